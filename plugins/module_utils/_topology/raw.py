# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was heard from a host, uninterpreted, as one plain value; and its form as a file, a *recording*.

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

#: Version of the recording's format.
RECORDING = 1


class RawHost:
    """What the discovery components heard.

    `data` has the sections listed above. `components` is a list of {name, priority, state ("used" or "passed_over"), reason
    (text or None)}, with hypercalls (a number) where it made some. `warnings` are sentences for the user.
    """

    def __init__(
        self,
        data: t.Optional[t.Dict[str, t.Any]] = None,
        components: t.Iterable[t.Dict[str, t.Any]] = (),
        warnings: t.Iterable[str] = (),
    ) -> None:
        self.data = {} if data is None else data  # type: t.Dict[str, t.Any]
        self.components = list(components)  # type: t.List[t.Dict[str, t.Any]]
        self.warnings = list(warnings)  # type: t.List[str]

    def to_recording(self) -> t.Dict[str, t.Any]:
        """Return the value as a dict that JSON can hold."""
        return {
            "recording": RECORDING,
            "components": self.components,
            "warnings": self.warnings,
            "data": self.data,
        }

    @classmethod
    def from_recording(cls, recording: t.Any) -> "RawHost":
        """Take over what :meth:`to_recording` gave; :class:`Failure` names the spot where it is damaged."""
        if not isinstance(recording, dict) or "recording" not in recording:
            raise Failure(
                "this is no recording of a host: it should be a JSON object with the key 'recording'"
            )
        if recording["recording"] != RECORDING or isinstance(recording["recording"], bool):
            raise Failure(
                f"the recording has format {recording['recording']!r}, but this version of the collection reads format {RECORDING}: "
                "use the version that wrote it"
            )
        # a host that is asked reads no recording, and Python compiles anew what Ansible sends
        from .recording import check

        check(recording)
        return cls(recording["data"], recording["components"], recording["warnings"])
