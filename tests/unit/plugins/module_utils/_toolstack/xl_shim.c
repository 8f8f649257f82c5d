/* Copyright (c) 2026, dom0.xen contributors
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Answers for libxenctrl and libxenstore, for LD_PRELOAD: with them a real xl reads configurations on a machine without Xen. The host has
 * SHIM_CPUS CPUs in four nodes of the same size, and xl 4.17's structures. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 4, MAX_NUMNODES = 64, CREDIT2 = 6 };

struct topology { uint32_t core, socket, node; };
struct physinfo {
    uint32_t threads_per_core, cores_per_socket, nr_cpus, max_cpu_id, nr_nodes, max_node_id;
};
struct pool { uint32_t id, scheduler, domains; uint8_t *cpus; };

static char handle;

static unsigned int cpus(void)
{
    const char *text = getenv("SHIM_CPUS");

    return text ? strtoul(text, NULL, 10) : 32;
}

void *xc_interface_open(void *logger, void *dombuild_logger, unsigned int flags) { return &handle; }
int xc_interface_close(void *xch) { return 0; }
void *xs_open(unsigned long flags) { return &handle; }
void xs_close(void *xsh) { }
void *xs_read(void *xsh, uint32_t transaction, const char *path, unsigned int *length) { errno = ENOENT; return NULL; }
char **xs_directory(void *xsh, uint32_t transaction, const char *path, unsigned int *number) { errno = ENOENT; return NULL; }

int xs_fileno(void *xsh) { return 0; }

int xc_domain_getinfolist(void *xch, uint32_t first, unsigned int most, void *there) { return 0; }
int xc_domain_getinfo(void *xch, uint32_t first, unsigned int most, void *there) { return 0; }
long xc_sharing_freed_pages(void *xch) { return 0; }
long xc_sharing_used_frames(void *xch) { return 0; }
int xc_get_max_cpus(void *xch) { return cpus(); }
int xc_get_online_cpus(void *xch) { return cpus(); }
int xc_get_max_nodes(void *xch) { return MAX_NUMNODES; }
int xc_version(void *xch, int command, void *argument) { return command == 0 ? 4 << 16 | 17 : -1; }
int xc_sched_id(void *xch, int *id) { *id = CREDIT2; return 0; }

int xc_cputopoinfo(void *xch, unsigned int *number, struct topology *there)
{
    for ( unsigned int cpu = 0; there && cpu < *number && cpu < cpus(); cpu++ )
        there[cpu] = (struct topology){ cpu, cpu * NODES / cpus(), cpu * NODES / cpus() };
    *number = cpus();
    return 0;
}

int xc_physinfo(void *xch, struct physinfo *there)
{
    *there = (struct physinfo){ 1, cpus() / NODES, cpus(), cpus() - 1, NODES, MAX_NUMNODES - 1 };
    return 0;
}

struct pool *xc_cpupool_getinfo(void *xch, uint32_t id)
{
    struct pool *there = id ? NULL : calloc(1, sizeof(*there));

    if ( there )
        there->cpus = calloc(1, cpus() / 8 + 8);
    return there;
}

void xc_cpupool_infofree(void *xch, struct pool *there) { free(there); }
