/*
 * Copyright (c) 2026, dom0.xen contributors
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What this collection says to Xen and hears from it, as one C text that cffi reads. `tools/generate_ffi.py` turns it into
 * `_xen_ffi.py`; a test regenerates that file and compares, another one holds sizes and offsets against the public headers.
 *
 * Written down from the facts of Xen's public headers (xen/include/public/, named before each struct) for Xen 4.11 to 4.22.
 * Differences from them, on purpose:
 *   - a guest handle is a plain uint64_t, it holds the address of a hypercall buffer;
 *   - padding is spelled out, so the layout does not depend on the alignment rules of the reader;
 *   - only members that are used have a name; a struct that changed has one text a layout, named after the first
 *     interface version that has it.
 */

/* ---- tools/include/xencall.h: libxencall.so.1 ------------------------------------------------------------------------ */

typedef struct xencall_handle xencall_handle;

xencall_handle *xencall_open(void *logger, unsigned int open_flags);
int xencall_close(xencall_handle *handle);
int xencall1(xencall_handle *handle, unsigned int op, uint64_t arg1);
int xencall2(xencall_handle *handle, unsigned int op, uint64_t arg1, uint64_t arg2);
int xencall5(xencall_handle *handle, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3, uint64_t arg4, uint64_t arg5);
void *xencall_alloc_buffer(xencall_handle *handle, size_t size);
void xencall_free_buffer(xencall_handle *handle, void *buffer);
int xencall_buffers_never_fault(xencall_handle *handle); /* from libxencall 1.1, Xen 4.11 */

/* ---- domctl.h -------------------------------------------------------------------------------------------------------- */

/* A bitmap: bit n of byte m is number 8 * m + n. */
struct xenctl_bitmap {
    uint64_t bitmap;
    uint32_t nr_bits;
    uint32_t pad;
};

/* x86: one element of getdomaininfolist up to Xen 4.15 (domctl 0x10 to 0x13). Every member up to cpupool is the same everywhere. */
struct xen_domctl_getdomaininfo_10 {
    uint16_t domain;
    uint16_t pad1;
    uint32_t flags;
    uint64_t tot_pages;
    uint64_t max_pages;
    uint64_t outstanding_pages;
    uint64_t shr_pages;
    uint64_t paged_pages;
    uint64_t shared_info_frame;
    uint64_t cpu_time; /* ns */
    uint32_t nr_online_vcpus;
    uint32_t max_vcpu_id;
    uint32_t ssidref;
    uint8_t handle[16];
    uint32_t cpupool;
    uint32_t emulation_flags; /* arch-x86/xen.h: struct xen_arch_domainconfig */
    uint32_t misc_flags;      /* from Xen 4.15, padding before */
};

/* x86: the same from Xen 4.16 (domctl 0x14). */
struct xen_domctl_getdomaininfo_14 {
    uint16_t domain;
    uint16_t pad1;
    uint32_t flags;
    uint64_t tot_pages;
    uint64_t max_pages;
    uint64_t outstanding_pages;
    uint64_t shr_pages;
    uint64_t paged_pages;
    uint64_t shared_info_frame;
    uint64_t cpu_time;
    uint32_t nr_online_vcpus;
    uint32_t max_vcpu_id;
    uint32_t ssidref;
    uint8_t handle[16];
    uint32_t cpupool;
    uint8_t gpaddr_bits;
    uint8_t pad2[7];
    uint32_t emulation_flags;
    uint32_t misc_flags;
};

struct xen_domctl_getvcpuinfo {
    uint32_t vcpu;
    uint8_t online;
    uint8_t blocked;
    uint8_t running;
    uint8_t pad1;
    uint64_t cpu_time; /* ns */
    uint32_t cpu;
    uint32_t pad2;
};

struct xen_domctl_vcpuaffinity {
    uint32_t vcpu;
    uint32_t flags;
    struct xenctl_bitmap cpumap_hard;
    struct xenctl_bitmap cpumap_soft;
};

struct xen_domctl_nodeaffinity {
    struct xenctl_bitmap nodemap;
};

/* getvcpucontext and setvcpucontext: `ctxt` is the address of a struct vcpu_guest_context. */
struct xen_domctl_vcpucontext {
    uint32_t vcpu;
    uint32_t pad;
    uint64_t ctxt;
};

/* get_address_size: 32 or 64 bits, of a PV guest. */
struct xen_domctl_address_size {
    uint32_t size;
};

/* Not in the public headers: XenServer's own (domctl 1101), sub-operation 0 is "pages on each node". */
struct xen_domctl_numa_op {
    uint32_t op;
    uint32_t pad1;
    uint32_t nr_nodes;
    uint32_t pad2;
    uint64_t pages; /* uint64_t for each node */
};

struct xen_domctl {
    uint32_t cmd;
    uint32_t interface_version;
    uint16_t domain;
    uint16_t pad[3];
    union {
        struct xen_domctl_getdomaininfo_14 getdomaininfo;
        struct xen_domctl_getvcpuinfo getvcpuinfo;
        struct xen_domctl_vcpuaffinity vcpuaffinity;
        struct xen_domctl_nodeaffinity nodeaffinity;
        struct xen_domctl_vcpucontext vcpucontext;
        struct xen_domctl_address_size address_size;
        struct xen_domctl_numa_op numa_op;
        uint64_t whole[16];
    } u;
};

/* ---- arch-x86/xen.h: struct vcpu_guest_context, of which only the register is used that holds what a hypercall returns ---- */

/* Of a 64-bit guest, and of every HVM and PVH guest on a 64-bit hypervisor. */
struct vcpu_guest_context_64 {
    uint8_t fpu_ctxt[512];
    uint64_t flags;
    uint64_t regs_before[10];
    uint64_t rax;
    uint8_t rest[4560];
};

/* Of a 32-bit PV guest. */
struct vcpu_guest_context_32 {
    uint8_t fpu_ctxt[512];
    uint32_t flags;
    uint32_t regs_before[6];
    uint32_t eax;
    uint8_t rest[2256];
};

/* ---- hvm/hvm_op.h ---------------------------------------------------------------------------------------------------- */

struct xen_hvm_param {
    uint16_t domid;
    uint16_t pad;
    uint32_t index;
    uint64_t value;
};

/* ---- sysctl.h -------------------------------------------------------------------------------------------------------- */

struct xen_sysctl_readconsole {
    uint8_t clear;
    uint8_t incremental;
    uint16_t pad1;
    uint32_t index;
    uint64_t buffer;
    uint32_t count;
    uint32_t pad2;
};

/* Up to Xen 4.16 (sysctl 0x11 to 0x14). */
struct xen_sysctl_physinfo_11 {
    uint32_t threads_per_core;
    uint32_t cores_per_socket;
    uint32_t nr_cpus;
    uint32_t max_cpu_id;
    uint32_t nr_nodes;
    uint32_t max_node_id;
    uint32_t cpu_khz;
    uint32_t capabilities;
    uint64_t total_pages;
    uint64_t free_pages;
    uint64_t scrub_pages;
    uint64_t outstanding_pages;
    uint64_t max_mfn;
    uint32_t hw_cap[8];
};

/* From Xen 4.17 (sysctl 0x15). */
struct xen_sysctl_physinfo_15 {
    uint32_t threads_per_core;
    uint32_t cores_per_socket;
    uint32_t nr_cpus;
    uint32_t max_cpu_id;
    uint32_t nr_nodes;
    uint32_t max_node_id;
    uint32_t cpu_khz;
    uint32_t capabilities;
    uint32_t arch_capabilities;
    uint32_t pad;
    uint64_t total_pages;
    uint64_t free_pages;
    uint64_t scrub_pages;
    uint64_t outstanding_pages;
    uint64_t max_mfn;
    uint32_t hw_cap[8];
};

struct xen_sysctl_sched_id {
    uint32_t sched_id;
};

struct xen_sysctl_getdomaininfolist {
    uint16_t first_domain;
    uint16_t pad1;
    uint32_t max_domains;
    uint64_t buffer;
    uint32_t num_domains;
    uint32_t pad2;
};

struct xen_sysctl_debug_keys {
    uint64_t keys;
    uint32_t nr_keys;
    uint32_t pad;
};

/* One P-state. */
struct pm_px_val {
    uint64_t freq;      /* MHz */
    uint64_t residency; /* ns */
    uint64_t count;
};

/* struct xen_sysctl_get_pmstat with the member getpx of its union. */
struct xen_sysctl_get_pmstat {
    uint32_t type;
    uint32_t cpuid;
    uint8_t total;
    uint8_t usable;
    uint8_t last;
    uint8_t cur;
    uint32_t pad;
    uint64_t trans_pt;
    uint64_t pt;
};

/* The beginning of struct xen_get_cpufreq_para, which no release has changed. */
struct xen_get_cpufreq_para {
    uint32_t cpu_num;
    uint32_t freq_num;
    uint32_t gov_num;
    uint32_t pad;
    uint64_t affected_cpus;
    uint64_t scaling_available_frequencies;
    uint64_t scaling_available_governors;
    char scaling_driver[16];
    uint32_t cpuinfo_cur_freq; /* kHz */
    uint32_t cpuinfo_max_freq;
    uint32_t cpuinfo_min_freq;
    uint32_t scaling_cur_freq;
};

/* struct xen_sysctl_pm_op with the member get_para of its union. */
struct xen_sysctl_pm_op {
    uint32_t cmd;
    uint32_t cpuid;
    struct xen_get_cpufreq_para get_para;
};

/* One element of cputopoinfo. */
struct xen_sysctl_cputopo {
    uint32_t core;
    uint32_t socket;
    uint32_t node;
};

struct xen_sysctl_cputopoinfo {
    uint32_t num_cpus;
    uint32_t pad;
    uint64_t cputopo;
};

/* One element of numainfo. */
struct xen_sysctl_meminfo {
    uint64_t memsize; /* bytes */
    uint64_t memfree; /* bytes */
};

struct xen_sysctl_numainfo {
    uint32_t num_nodes;
    uint32_t pad;
    uint64_t meminfo;
    uint64_t distance;
};

struct xen_sysctl_cpupool_op {
    uint32_t op;
    uint32_t cpupool_id;
    uint32_t sched_id;
    uint32_t domid;
    uint32_t cpu;
    uint32_t n_dom;
    struct xenctl_bitmap cpumap;
};

/* physdev.h: struct physdev_pci_device, one element of pcitopoinfo. */
struct physdev_pci_device {
    uint16_t seg;
    uint8_t bus;
    uint8_t devfn;
};

struct xen_sysctl_pcitopoinfo {
    uint32_t num_devs;
    uint32_t pad;
    uint64_t devs;
    uint64_t nodes; /* uint32_t for each device */
};

/* arch-x86/xen.h: struct xen_cpuid_leaf, one element of get_cpu_policy. */
struct xen_cpuid_leaf {
    uint32_t leaf;
    uint32_t subleaf;
    uint32_t a;
    uint32_t b;
    uint32_t c;
    uint32_t d;
};

/* From Xen 4.12, x86. */
struct xen_sysctl_cpu_policy {
    uint32_t index;
    uint32_t nr_leaves;
    uint32_t nr_msrs;
    uint32_t pad;
    uint64_t leaves;
    uint64_t msrs;
};

struct xen_sysctl_cpu_hotplug {
    uint32_t cpu;
    uint32_t op;
};

struct xen_sysctl {
    uint32_t cmd;
    uint32_t interface_version;
    union {
        struct xen_sysctl_readconsole readconsole;
        struct xen_sysctl_physinfo_11 physinfo_11;
        struct xen_sysctl_physinfo_15 physinfo_15;
        struct xen_sysctl_sched_id sched_id;
        struct xen_sysctl_getdomaininfolist getdomaininfolist;
        struct xen_sysctl_debug_keys debug_keys;
        struct xen_sysctl_get_pmstat get_pmstat;
        struct xen_sysctl_cpu_hotplug cpu_hotplug;
        struct xen_sysctl_pm_op pm_op;
        struct xen_sysctl_cputopoinfo cputopoinfo;
        struct xen_sysctl_numainfo numainfo;
        struct xen_sysctl_cpupool_op cpupool_op;
        struct xen_sysctl_pcitopoinfo pcitopoinfo;
        struct xen_sysctl_cpu_policy cpu_policy;
        uint64_t whole[16];
    } u;
};

/* ---- platform.h ------------------------------------------------------------------------------------------------------ */

struct xenpf_pcpuinfo {
    uint32_t xen_cpuid;
    uint32_t max_present;
    uint32_t flags;
    uint32_t apic_id;
    uint32_t acpi_id;
};

struct xen_platform_op {
    uint32_t cmd;
    uint32_t interface_version;
    union {
        struct xenpf_pcpuinfo pcpu_info;
        uint64_t whole[16];
    } u;
};

/* ---- memory.h -------------------------------------------------------------------------------------------------------- */

struct xen_memory_map {
    uint32_t nr_entries;
    uint32_t pad;
    uint64_t buffer;
};

/* One entry of it, 20 bytes without padding (arch-x86/e820.h): the 64-bit members are written as halves. */
struct e820entry {
    uint32_t addr_low;
    uint32_t addr_high;
    uint32_t size_low;
    uint32_t size_high;
    uint32_t type;
};

/* ---- hypfs.h --------------------------------------------------------------------------------------------------------- */

struct xen_hypfs_direntry {
    uint8_t type;
    uint8_t encoding;
    uint16_t pad;
    uint32_t content_len;
    uint32_t max_write_len;
};
