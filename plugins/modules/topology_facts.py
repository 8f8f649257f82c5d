#!/usr/bin/python
# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: topology_facts
short_description: The real CPU and NUMA topology of a Xen host
description:
  - Asks the Xen hypervisor itself, through hypercalls, which CPUs, cores, packages, and NUMA nodes the host has, how far the nodes
    are from each other, and how much memory is free on each. What Linux in the control domain (dom0) shows is a picture of dom0's
    virtual CPUs and has nothing to do with it.
  - Also tells Xen's version, scheduler, and command line, the cpupools, the virtual CPUs of dom0, and, unless left out, all domains
    with their virtual CPUs and affinities.
  - CPUs are named by Xen's own numbers, the ones that C(xl vcpu-pin) and C(cpus=) use. Sets of CPUs and of NUMA nodes come as
    lists such as V(0-3,8), and beside them, with C(_mask) added to the key, as masks in the form that hwloc uses.
version_added: 0.1.0
author:
  - dom0.xen contributors (@dom0-xen)
extends_documentation_fragment:
  - dom0.xen._attributes
  - dom0.xen._attributes.facts_module
  - dom0.xen._attributes.actiongroup_xen
  - dom0.xen._requirements
  - dom0.xen._source
options:
  gather_subset:
    description:
      - What to gather, in the words that M(ansible.builtin.setup) uses.
      - V(min) is the topology of the host with Xen, cpupools, and the virtual CPUs of dom0. It is always gathered.
      - V(domains) adds all domains with their virtual CPUs, affinities, and memory. It costs two hypercalls a virtual CPU.
      - V(pci) adds PCI devices with their NUMA nodes, drivers, and the names of network interfaces and disks.
      - V(dmi) adds what the firmware calls the machine.
      - V(all) is everything, and what is meant when nothing but exclusions is given.
      - V(!) in front of a name leaves it out.
    type: list
    elements: str
    default: [min, domains]
  cpu_kinds:
    description:
      - The kinds of CPUs of the host, the thriftiest first, where they are known better than they can be found out. Every CPU must be
        in one of them.
      - Without it, they are told apart by the threads of their cores and, where Xen scales them, by their highest frequencies.
    type: list
    elements: dict
    suboptions:
      name:
        description: What to call the kind.
        type: str
        required: true
      cpus:
        description: Its CPUs, as a list such as V(0-3,8).
        type: str
        required: true
  serials:
    description: Have serial numbers and the UUID of the machine in V(dmi), and in a recording too.
    type: bool
    default: false
  record:
    description:
      - Also keep what was heard, before anything was made of it. Such a recording is all that a bug report needs. It has names and
        UUIDs of guests when O(gather_subset) has V(domains), Xen's command line, and serial numbers only with O(serials=true).
      - With O(recording) it is written to that file on the managed host, readable for its owner only. Without, it is returned.
      - In check mode no file is written.
    type: bool
    default: false
  recording:
    description:
      - Absolute path of a recording on the managed host, to be written with O(record=true), or to be replayed with O(source=recording).
    type: path
notes:
  - To have these facts gathered with all others, put V(dom0.xen.topology_facts) beside V(ansible.builtin.setup) into C(facts_modules)
    of C(ansible.cfg) or into the variable C(ansible_facts_modules). The C(gather_subset) of a play does not reach it then;
    C(module_defaults) does.
  - Ansible runs several fact modules side by side and stops them after C(gather_timeout) seconds, 10 unless set. Where a host
    is slower than that, set the variable C(ansible_facts_parallel) to V(false).
  - Memory that Xen reports for a node (C(memory_spanned_bytes)) spans from its first to its last page and may contain holes. How much
    RAM there is (C(memory_total_bytes)) comes from the machine's memory map and the firmware's tables, and so does how much of it Xen gives to guests last
    (C(memory_low_bytes)).
seealso:
  - module: dom0.xen.domain_info
  - module: dom0.xen.placement_plan
"""

EXAMPLES = r"""
- name: Ask Xen for the topology of the host
  dom0.xen.topology_facts:
  become: true

- name: Show each NUMA node with its CPUs and its free memory
  ansible.builtin.debug:
    msg: "node {{ item.os_index }}: CPUs {{ item.cpuset }}, {{ item.memory_free_bytes | human_readable }} free"
  loop: "{{ ansible_facts['xen_topology']['nodes'] }}"
  loop_control:
    label: "{{ item.os_index }}"

- name: Only the host, without its guests
  dom0.xen.topology_facts:
    gather_subset:
      - min
  become: true

- name: Keep a recording of the host, for a bug report or to plan without it
  dom0.xen.topology_facts:
    record: true
    recording: /root/host.json
  become: true

- name: What a host was like that is somewhere else
  dom0.xen.topology_facts:
    source: recording
    recording: /srv/recordings/host.json
  delegate_to: localhost

- name: Tell performance and efficiency cores apart on a host where Xen cannot
  dom0.xen.topology_facts:
    cpu_kinds:
      - name: efficiency
        cpus: 16-23
      - name: performance
        cpus: 0-15
  become: true

- name: Network interfaces with the NUMA node that they are near to
  dom0.xen.topology_facts:
    gather_subset:
      - pci
  become: true

- name: Gather them with all other facts
  hosts: xen_hosts
  become: true
  gather_facts: true
  vars:
    ansible_facts_modules:
      - ansible.builtin.setup
      - dom0.xen.topology_facts
  tasks:
    - name: The host has threads
      ansible.builtin.debug:
        msg: "{{ ansible_facts['xen_topology']['totals']['threads_per_core'] }} threads per core"
"""

RETURN = r"""
recording:
  description:
    - What was heard. Written to a file as JSON it can be given to O(recording) again.
    - C(data) has a section for each question, with the answers as they came. C(components) and C(warnings) say who was asked.
  returned: when O(record) is true and O(recording) is not given
  type: dict
  sample:
    recording: 1
    components:
      - {name: hypercall, priority: 55, state: used, reason: null, hypercalls: 33}
    warnings: []
    data: {sched_id: 6, page_size: 4096, cputopo: [[0, 0, 0], [0, 0, 0]]}
recording_path:
  description: The file that the recording was written to, or would be in check mode.
  returned: when O(record) is true and O(recording) is given
  type: str
  sample: /root/host.json
ansible_facts:
  description: Facts to add.
  returned: success
  type: dict
  contains:
    xen_topology:
      description: The host as Xen knows it. Sizes are in bytes, frequencies in kHz.
      returned: success
      type: dict
      contains:
        schema_version:
          description: Version of this structure. A new minor version only adds keys.
          returned: success
          type: str
          sample: "1.0"
        source:
          description: The component that gave the topology.
          returned: success
          type: str
          sample: hypercall
        components:
          description: Everybody that was asked, with whether it was used, and if not, why.
          returned: success
          type: list
          elements: dict
          sample:
            - name: hypercall
              priority: 55
              state: used
              reason: null
              hypercalls: 33
            - name: xenstore
              priority: 40
              state: used
              reason: null
              hypercalls: null
            - name: dom0
              priority: 10
              state: used
              reason: null
              hypercalls: null
        warnings:
          description: What contradicts itself or is doubtful, one sentence each. The module warns of them as well.
          returned: success
          type: list
          elements: str
          sample: []
        unanswered:
          description: Questions that the hypervisor did not answer, with the reason. What depends on them is V(null).
          returned: success
          type: list
          elements: dict
          sample:
            - question: get_pmstat
              reason: Xen does not scale the frequencies of this host's CPUs.
        xen:
          description:
            - The running hypervisor. C(interface) has the interface versions in use, and whether this collection knows them.
            - C(parameters) are the words of the command line. C(numa) is V(on), V(off), V(fake) or V(none), C(smt) is V(on), V(off) or
              V(none), C(sched_gran) is V(cpu), V(core) or V(socket).
          returned: success
          type: dict
          sample:
            version: "4.17.7"
            major: 4
            minor: 17
            extraversion: ".7"
            changeset: ""
            capabilities: [xen-3.0-x86_64, hvm-3.0-x86_32, hvm-3.0-x86_32p, hvm-3.0-x86_64]
            command_line: dom0_mem=1024M,max:1024M dom0_max_vcpus=2 console=com1 com1=115200,8n1 loglvl=info numa=on
            scheduler: credit2
            parameters:
              - {name: dom0_mem, value: "1024M,max:1024M"}
              - {name: dom0_max_vcpus, value: "2"}
              - {name: console, value: com1}
              - {name: com1, value: "115200,8n1"}
              - {name: loglvl, value: info}
              - {name: numa, value: "on"}
            numa: "on"
            smt: "on"
            sched_gran: cpu
            interface: {sysctl: 21, domctl: 21, platform: 50331649, known: true}
        cpu_khz:
          description: Frequency of the time stamp counter.
          returned: success
          type: int
          sample: 2445406
        totals:
          description: How many there are. C(threads_per_core) is the largest number of any core, CPUs that are offline included.
          returned: success
          type: dict
          sample: {pus: 8, pus_online: 8, cores: 4, packages: 2, nodes: 2, threads_per_core: 2}
        cpuset:
          description: CPUs that are online and whose place is known.
          returned: success
          type: str
          sample: 0-7
        complete_cpuset:
          description: CPUs that exist, offline ones included.
          returned: success
          type: str
          sample: 0-7
        allowed_cpuset:
          description: CPUs that may be used. The same as C(cpuset); what cpupools do is told in C(cpupools).
          returned: success
          type: str
          sample: 0-7
        nodeset:
          description: NUMA nodes whose place is known.
          returned: success
          type: str
          sample: 0-1
        complete_nodeset:
          description: NUMA nodes that exist.
          returned: success
          type: str
          sample: 0-1
        memory:
          description: Memory of the host. Claims are memory that is promised to domains under construction.
          returned: success
          type: dict
          sample: {total_bytes: 4294426624, free_bytes: 3174391808, scrub_bytes: 0, outstanding_claims_bytes: 0}
        pus:
          description:
            - Hardware threads. C(core) is Xen's number and unique within its package only. Unknown is V(null).
            - Those that are not C(present) are listed by the firmware, but Xen never brought them up.
          returned: success
          type: list
          elements: dict
          sample:
            - os_index: 0
              online: true
              package: 0
              core: 0
              node: 0
              cpupool: 0
              apic_id: 0
              acpi_id: 0
              present: true
              max_khz: null
        cores:
          description: Cores. C(logical_index) counts them through the whole host.
          returned: success
          type: list
          elements: dict
          sample:
            - logical_index: 0
              package: 0
              os_index: 0
              node: 0
              cpuset: 0-1
              complete_cpuset: 0-1
        packages:
          description: Packages, also called sockets.
          returned: success
          type: list
          elements: dict
          sample:
            - os_index: 0
              cpuset: 0-3
              cpuset_mask: "0x0000000f"
              complete_cpuset: 0-3
              complete_cpuset_mask: "0x0000000f"
              nodeset: "0"
              nodeset_mask: "0x00000001"
        nodes:
          description:
            - NUMA nodes, also those that have memory or CPUs only. C(nearest_cpu_nodes) has the nodes with online CPUs that are
              nearest to it, itself if it has any.
          returned: success
          type: list
          elements: dict
          sample:
            - os_index: 0
              cpuset: 0-3
              cpuset_mask: "0x0000000f"
              complete_cpuset: 0-3
              complete_cpuset_mask: "0x0000000f"
              memory_total_bytes: 2146946048
              memory_spanned_bytes: 2147483648
              memory_free_bytes: 1793241088
              memory_low_bytes: 536476672
              nearest_cpu_nodes: [0]
              proximity_domain: 0
        sub_numa:
          description: The parts of packages that hold several NUMA nodes.
          returned: success
          type: list
          elements: dict
          sample:
            - {package: 0, node: 0, cpuset: 0-3, complete_cpuset: 0-3}
            - {package: 0, node: 1, cpuset: 4-7, complete_cpuset: 4-7}
        caches:
          description:
            - Caches by level and type, as the CPU that Xen booted on describes them. C(cpusets) has the CPUs that share each one, V(null)
              where that is unknown.
          returned: success
          type: list
          elements: dict
          sample:
            - level: 3
              type: unified
              size_bytes: 16777216
              line_bytes: 64
              ways: 16
              cpusets: [0-3, 4-7]
        cpu_kinds:
          description:
            - CPUs that are alike. C(efficiency) counts from V(0), the thriftiest, and is V(null) where the order is unknown.
          returned: success
          type: list
          elements: dict
          sample:
            - name: null
              efficiency: 0
              threads_per_core: 2
              max_khz: null
              cpuset: 0-7
              complete_cpuset: 0-7
              source: xen
        distances:
          description: How far each node in C(nodes) is from each other, a row for each that looks. Ten is itself, V(null) unreachable.
          returned: success
          type: dict
          sample: {nodes: [0, 1], matrix: [[10, 21], [21, 10]], from_firmware: true}
        cpupools:
          description: The cpupools, with the number of domains in each.
          returned: success
          type: list
          elements: dict
          sample:
            - {id: 0, name: Pool-0, scheduler: credit2, sched_gran: cpu, cpuset: 0-7, cpuset_mask: "0x000000ff", domains: 1}
        cpupool_free:
          description: Online CPUs in no cpupool.
          returned: success
          type: str
          sample: ""
        dom0:
          description:
            - The control domain. C(linux) is what Linux in it believes, C(boot) what Xen's command line asks for it, C(vcpus) are its
              virtual CPUs.
          returned: success
          type: dict
          sample:
            linux: {packages: 1, cores: 1, pus: 2, nodes: 1}
            boot:
              memory: 1024M,max:1024M
              max_vcpus: "2"
              pinned: false
              proximity_domains: null
              nodes: null
              strict: null
            vcpus:
              - {vcpu: 0, online: true, running: true, blocked: false, cpu: 5, hard: all, soft: all, time_ns: 566885044289}
              - {vcpu: 1, online: true, running: true, blocked: false, cpu: 2, hard: all, soft: all, time_ns: 527220631710}
        pci_devices:
          description:
            - PCI devices of the host. C(node) is the NUMA node that Xen has from the firmware, V(null) where that is silent.
            - C(assignable) devices are kept for guests, C(assigned_to) is the domain that has one. C(network), C(block), C(infiniband)
              and C(gpu) have the names that dom0 gives.
          returned: when O(gather_subset) has V(pci)
          type: list
          elements: dict
          sample:
            - address: "0000:00:02.0"
              class_name: network
              class_id: "020000"
              vendor_id: "1af4"
              device_id: "1000"
              subsystem_id: "1af4:0001"
              revision: 0
              vendor: Red Hat, Inc.
              device: Virtio network device
              node: null
              driver: virtio-pci
              assignable: false
              assigned_to: null
              network: [enp0s2]
              block: []
              infiniband: []
              gpu: []
              parent: pci0000:00
              buses: null
        dmi:
          description: What the firmware calls the machine. Serial numbers are V(null) unless O(serials=true).
          returned: when O(gather_subset) has V(dmi)
          type: dict
          sample:
            {sys_vendor: QEMU, product_name: "Standard PC (Q35 + ICH9, 2009)", bios_vendor: SeaBIOS, product_serial: null}
        domains:
          description:
            - All domains, dom0 included, as M(dom0.xen.domain_info) returns them.
            - C(memory_by_node) is always V(null) here.
          returned: when O(gather_subset) has V(domains)
          type: list
          elements: dict
          sample:
            - domid: 3
              name: disc-db
              uuid: 6b1f0a52-5d0e-4d2c-9d7f-0a4bb1c7a002
              type: pv
              state: paused
              cpupool: 0
              memory_bytes: 201326592
              max_memory_bytes: 202375168
              max_vcpus: 2
              node_affinity: "0"
              vcpus:
                - {vcpu: 0, online: true, running: false, blocked: false, cpu: 0, hard: all, soft: 0-3, time_ns: 0}
                - {vcpu: 1, online: false, running: false, blocked: false, cpu: null, hard: all, soft: 0-3, time_ns: 0}
              memory_by_node: null
              locality:
                cpu_nodes: 0-1
                memory_nodes: null
                may_leave: null
                away: null
                remote_share: null
                distance: null
                worst_distance: null
"""

import typing as t

from ..module_utils._discovery.collecting import RECORDING
from ..module_utils._discovery.component import SERIALS
from ..module_utils._discovery.registry import components, resolve_subset
from ..module_utils._errors import Failure
from ..module_utils._gathering import SOURCE_ARGUMENTS, gather, keep_recording
from ..module_utils._module import Module, failures
from ..module_utils._topology.derive import derive
from ..module_utils._topology.facts import to_facts
from ..module_utils._topology.kinds import overrides


def main() -> None:
    """Collect, derive, put on the wire."""
    module = Module(
        argument_spec=dict(
            SOURCE_ARGUMENTS,
            gather_subset={"type": "list", "elements": "str", "default": ["min", "domains"]},
            cpu_kinds={
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "cpus": {"type": "str", "required": True},
                },
            },
            serials={"type": "bool", "default": False},
            record={"type": "bool", "default": False},
        ),
        supports_check_mode=True,
    )
    with failures(module):
        wanted = module.params
        if wanted["record"] and wanted["source"] == RECORDING:
            raise Failure(
                "There is nothing to record when a recording is replayed: leave out record, or choose another source."
            )
        subset = resolve_subset(wanted["gather_subset"])
        if wanted["serials"]:
            subset |= {SERIALS}
        raw = gather(module, components(), subset)
        result: t.Dict[str, t.Any] = {"changed": False}
        if wanted["record"]:
            result = keep_recording(module, raw, wanted["recording"])
        topology = derive(raw, overrides(wanted["cpu_kinds"]))
        for warning in topology.warnings:
            module.warn(warning)
        module.exit_json(ansible_facts={"xen_topology": to_facts(topology)}, **result)


if __name__ == "__main__":
    main()
