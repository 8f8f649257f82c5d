# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A recording read back: what each section of what was heard must look like for `derive` to think about it.

Sections of `data`. One that was not heard is absent. Integers stand exactly as Xen says them, invalid markers included; what they
mean is `derive`'s business.

==================  ===============================================================================================================
xen                 {major, minor, extraversion, capabilities, changeset, commandline, interface {sysctl, domctl, platform, known}}
sched_id            XEN_SYSCTL_sched_id: number of the default scheduler
physinfo            XEN_SYSCTL_physinfo: {threads_per_core, cores_per_socket, nr_cpus, max_cpu_id, nr_nodes, max_node_id, cpu_khz,
                    capabilities, total_pages, free_pages, scrub_pages, outstanding_pages, max_mfn}
cputopo             XEN_SYSCTL_cputopoinfo: [[core, socket, node], ...], the index is the CPU; 0xFFFFFFFF = invalid
numainfo            XEN_SYSCTL_numainfo: {memsize [bytes], memfree [bytes], distance [[SLIT units]]}, the index is the node;
                    0xFFFFFFFF = invalid
pcpuinfo            XENPF_get_cpuinfo: [[max_present, flags, apic_id, acpi_id], ...], the index is the CPU; flags 1 online, 2 invalid
cpupools            XEN_SYSCTL_CPUPOOL_OP_INFO: [{id, sched_id, n_dom, cpus [CPU]}]
cpupool_free        XEN_SYSCTL_CPUPOOL_OP_FREEINFO: [CPU]
cpupool_names       {"0": "Pool-0"} as the toolstack names them
domains             XEN_SYSCTL_getdomaininfolist, with XEN_DOMCTL_getvcpuinfo, getvcpuaffinity and getnodeaffinity:
                    [{domain, flags, tot_pages, max_pages, outstanding_pages, shr_pages, paged_pages, cpu_time ns, nr_online_vcpus,
                    max_vcpu_id, handle (32 hex digits), cpupool, emulation_flags or null, node_affinity [node] or null, vcpus}];
                    a toolstack that names the kind of guest itself adds type ("pv", "pvh", "hvm" or null)
domain_names        {"0": "Domain-0"} as the toolstack names them
dom0_vcpus          the vcpus of domain 0 alone, for when the domains were not asked for
dom0_linux          {packages, cores, pus, nodes}: what Linux in dom0 believes
page_size           bytes, XENVER_pagesize
memory_by_node      {"3": {"0": pages}}: for each domain the pages it has on each node, when that was asked for
memory_map          XENMEM_machine_memory_map: [[address, size [bytes], type], ...]; type 1 is RAM
cpu_policy          XEN_SYSCTL_get_cpu_policy, the raw one: [[leaf, subleaf, a, b, c, d], ...]; subleaf 0xFFFFFFFF where a leaf has
                    none. Only leaves about vendor, features, caches and topology; it is the view of the CPU that Xen booted on
px_max_mhz          XEN_SYSCTL_get_pmstat: {"0": MHz}, the highest P-state of each CPU of which Xen has any
sched_gran          hypfs: {"0": "core"}, the scheduling granularity of each cpupool
pci_nodes           XEN_SYSCTL_pcitopoinfo: {"0000:40:00.0": node}; 0xFFFFFFFF = the firmware does not say, 0xFFFFFFFE = unknown to Xen
unanswered          {question: sentence}: what else the hypervisor was asked, and why there is no answer
node_memory         {"0": bytes}: the RAM of each node, from a source that knows it (hwloc XML)
node_low_memory     {"0": bytes}: how much of it Xen gives to guests last, likewise
node_domains        {"0": number}: what ACPI calls each node, from a source that knows it (hwloc XML)
pci_devices         sysfs of dom0: [{address "0000:00:1f.2", class, vendor, device, subsystem_vendor, subsystem_device, revision, driver or
                    null, parent (a bridge's address, or "pci0000:00"), buses [secondary, subordinate] of a bridge, interfaces
                    {network, block, infiniband, gpu: [name]}}]
pci_names           pci.ids: {"8086": "Intel Corporation", "8086:2918": "82801IB (ICH9) LPC Interface Controller"}
pci_assigned        xenstore: {"0000:41:00.0": domid}, devices that guests have
dmi                 /sys/class/dmi/id: {"sys_vendor": "QEMU"}
acpi                the firmware's tables: {madt, srat_cpus, srat_memory, slit}, each as far as there is one; see `acpi.py`
==================  ===============================================================================================================

A vCPU is {vcpu, online, blocked, running (0 or 1), cpu_time ns, cpu, hard [CPU], soft [CPU], hard_all, soft_all}. The masks name
CPUs that exist; `hard_all` and `soft_all` say that every bit, also those of CPUs that do not exist, is set.
"""

import typing as t

from .._errors import Failure
from . import shape
from .meanings import INVALID
from .raw import RECORDING, RawHost

#: Rows of a SLIT, see `acpi.py`.
_MOST_LOCALITIES = 4096
#: Ranges of memory: each is looked at for each node. A machine has some hundred.
_MOST_REGIONS = 4096

_TEXT = shape.text
_WHOLE = shape.whole
_IDS = shape.items(shape.number_id)

_VCPU = shape.record(
    {
        "vcpu": shape.number_id,
        "online": _WHOLE,
        "blocked": _WHOLE,
        "running": _WHOLE,
        "cpu_time": _WHOLE,
        "cpu": _WHOLE,
        "hard": _IDS,
        "soft": _IDS,
    },
    {"hard_all": shape.yes_no, "soft_all": shape.yes_no},
)

_VCPUS = shape.unique(shape.items(_VCPU), "vcpu", "number")


def _last_vcpu(value: t.Any) -> None:
    """Accept the number of a vCPU, or Xen's mark for none."""
    if isinstance(value, bool) or value != INVALID:
        shape.number_id(value)


_PHYSINFO = [
    "threads_per_core",
    "cores_per_socket",
    "nr_cpus",
    "max_cpu_id",
    "nr_nodes",
    "max_node_id",
    "cpu_khz",
    "capabilities",
    "total_pages",
    "free_pages",
    "scrub_pages",
    "outstanding_pages",
    "max_mfn",
]

_PAGE_SIZE = shape.one_of(*[1 << bit for bit in range(12, 17)])

SECTIONS = {
    "xen": shape.record(
        {"major": _WHOLE, "minor": _WHOLE},
        {
            "extraversion": _TEXT,
            "capabilities": _TEXT,
            "changeset": _TEXT,
            "commandline": _TEXT,
            "interface": shape.record(
                {},
                {
                    "sysctl": shape.maybe(_WHOLE),
                    "domctl": shape.maybe(_WHOLE),
                    "platform": shape.maybe(_WHOLE),
                    "known": shape.maybe(shape.yes_no),
                },
            ),
        },
    ),
    "sched_id": _WHOLE,
    "physinfo": shape.record(
        {},
        {field: shape.pages if field.endswith("_pages") else _WHOLE for field in _PHYSINFO},
    ),
    "cputopo": shape.items(shape.row(_WHOLE, _WHOLE, _WHOLE)),
    "numainfo": shape.record(
        {
            "memsize": shape.items(_WHOLE, shape.MOST_NODES),
            "memfree": shape.items(_WHOLE, shape.MOST_NODES),
            "distance": shape.items(shape.items(_WHOLE, shape.MOST_NODES), shape.MOST_NODES),
        }
    ),
    "pcpuinfo": shape.items(shape.row(_WHOLE, _WHOLE, _WHOLE, _WHOLE)),
    "cpupools": shape.unique(
        shape.items(
            shape.record({"id": shape.number_id, "cpus": _IDS}, {"sched_id": _WHOLE, "n_dom": _WHOLE}),
        ),
        "id",
        "number",
    ),
    "cpupool_free": _IDS,
    "cpupool_names": shape.keyed(_TEXT),
    "domains": shape.unique(
        shape.items(
            shape.record(
                {
                    "domain": shape.number_id,
                    "flags": _WHOLE,
                    "tot_pages": shape.pages,
                    "max_pages": shape.pages,
                    "max_vcpu_id": _last_vcpu,
                    "handle": _TEXT,
                    "cpupool": _WHOLE,
                    "vcpus": _VCPUS,
                },
                {
                    "outstanding_pages": _WHOLE,
                    "shr_pages": _WHOLE,
                    "paged_pages": _WHOLE,
                    "cpu_time": _WHOLE,
                    "nr_online_vcpus": _WHOLE,
                    "emulation_flags": shape.maybe(_WHOLE),
                    "type": shape.maybe(shape.one_of("pv", "pvh", "hvm")),
                    "node_affinity": shape.maybe(_IDS),
                },
            ),
            shape.MOST_DOMAINS,
        ),
        "domain",
        "number",
    ),
    "domain_names": shape.keyed(_TEXT),
    "dom0_vcpus": _VCPUS,
    "dom0_linux": shape.record(
        {}, {key: shape.maybe(_WHOLE) for key in ("packages", "cores", "pus", "nodes")}
    ),
    "page_size": _PAGE_SIZE,
    "memory_by_node": shape.keyed(shape.keyed(shape.pages)),
    "memory_map": shape.items(shape.row(_WHOLE, _WHOLE, _WHOLE), _MOST_REGIONS),
    "cpu_policy": shape.items(shape.row(*[shape.word] * 6)),
    "node_memory": shape.keyed(_WHOLE),
    "node_low_memory": shape.keyed(_WHOLE),
    "node_domains": shape.keyed(_WHOLE),
    "px_max_mhz": shape.keyed(shape.word),
    "sched_gran": shape.keyed(_TEXT),
    "pci_nodes": shape.named(_WHOLE),
    "unanswered": shape.named(_TEXT),
    "pci_devices": shape.items(
        shape.record(
            {"address": shape.pci_address, "class": _WHOLE, "vendor": _WHOLE, "device": _WHOLE},
            {
                "subsystem_vendor": _WHOLE,
                "subsystem_device": _WHOLE,
                "revision": _WHOLE,
                "driver": shape.maybe(_TEXT),
                "parent": shape.maybe(_TEXT),
                "buses": shape.row(_WHOLE, _WHOLE),
                "interfaces": shape.record(
                    {}, {kind: shape.items(_TEXT) for kind in ("network", "block", "infiniband", "gpu")}
                ),
            },
        )
    ),
    "pci_names": shape.named(_TEXT),
    "pci_assigned": shape.named(shape.number_id),
    "dmi": shape.named(_TEXT),
    "acpi": shape.record(
        {},
        {
            "madt": shape.items(shape.row(_WHOLE, _WHOLE, _WHOLE, _WHOLE)),
            "srat_cpus": shape.items(shape.row(_WHOLE, _WHOLE, _WHOLE, _WHOLE)),
            "srat_memory": shape.items(shape.row(_WHOLE, _WHOLE, _WHOLE, _WHOLE), _MOST_REGIONS),
            "slit": shape.items(shape.items(_WHOLE, _MOST_LOCALITIES), _MOST_LOCALITIES),
        },
    ),
}  # type: t.Dict[str, shape.Shape]

_COMPONENT = shape.record(
    {
        "name": _TEXT,
        "priority": shape.signed,
        "state": shape.one_of("used", "passed_over"),
        "reason": shape.maybe(_TEXT),
    },
    {"hypercalls": _WHOLE},
)
_RECORDING = shape.record(
    {
        "components": shape.items(_COMPONENT),
        "warnings": shape.items(_TEXT),
        "data": shape.record({}, SECTIONS),
    }
)


def check(recording: t.Any) -> None:
    """Raise :class:`Failure` with the spot where a recording has not the shape that it should have."""
    shape.fit(recording, _RECORDING, "the recording is damaged")


def from_recording(recording: t.Any) -> RawHost:
    """Take over what :meth:`.raw.RawHost.to_recording` gave; :class:`Failure` names the spot where it is damaged."""
    if not isinstance(recording, dict) or "recording" not in recording:
        raise Failure("this is no recording of a host: it should be a JSON object with the key 'recording'")
    if recording["recording"] != RECORDING or isinstance(recording["recording"], bool):
        raise Failure(
            f"the recording has format {recording['recording']!r}, but this version of the collection reads format {RECORDING}: "
            "use the version that wrote it"
        )
    check(recording)
    return RawHost(recording["data"], recording["components"], recording["warnings"])
