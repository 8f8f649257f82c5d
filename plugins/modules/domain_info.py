#!/usr/bin/python
# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: domain_info
short_description: Where the domains of a Xen host may run, do run, and have their memory
description:
  - Tells of each domain its state, its virtual CPUs with the CPU that each is on and those that it may and should be on, its cpupool,
    and the NUMA nodes that its memory is taken from.
  - The answers come from the hypervisor, not from configuration files, and so prove what is in force.
  - When asked to, also tells how much of a domain's memory is on which NUMA node.
version_added: 0.1.0
author:
  - dom0.xen contributors (@dom0-xen)
extends_documentation_fragment:
  - dom0.xen._attributes
  - dom0.xen._attributes.info_module
  - dom0.xen._attributes.actiongroup_xen
  - dom0.xen._requirements
  - dom0.xen._source
options:
  guests:
    description:
      - The domains to tell about, each by name, number, or UUID. It is an error if one of them does not exist.
      - Without it, all domains, dom0 included.
    type: list
    elements: str
  memory_by_node:
    description:
      - How to find out on which NUMA nodes the memory of the domains is.
      - V(none) does not find out.
      - V(hypercall) asks with a hypercall that the hypervisors of XenServer and XCP-ng may have, and fails where there is none.
      - V(debug_key) takes that hypercall where there is one. Elsewhere it presses Xen's debug key V(u) and reads what it prints from
        Xen's console.
      - B(Warning.) Most hypervisors have no better way. For the debug key, Xen walks over every page of every domain on the host, whichever were asked
        for, and holds a lock of that domain meanwhile. Domains with hundreds of GiB can be delayed for seconds, and the watchdog of a
        host that is booted with C(watchdog) may fire. The printed text stays in Xen's console, that is, in C(xl dmesg).
      - Xen's console keeps 16 KiB unless it is booted with more. With many domains the text does not fit and the module
        fails; then boot Xen with, for example, C(conring_size=128k).
    type: str
    choices:
      - none
      - hypercall
      - debug_key
    default: none
seealso:
  - module: dom0.xen.topology_facts
  - module: dom0.xen.vcpu_affinity
"""

EXAMPLES = r"""
- name: Ask about all domains
  dom0.xen.domain_info:
  become: true
  register: running

- name: Prove that two guests have their memory on node 1
  dom0.xen.domain_info:
    guests:
      - web
      - 6b1f0a52-5d0e-4d2c-9d7f-0a4bb1c7a002
    memory_by_node: debug_key
  become: true
  register: proof
  failed_when: >-
    proof is failed or
    proof.domains | selectattr('memory_by_node.1', '!=', proof.domains[0].memory_bytes) | length > 0

- name: Where the guests were that a recording tells of
  dom0.xen.domain_info:
    source: recording
    recording: /srv/recordings/host.json
  delegate_to: localhost
"""

RETURN = r"""
domains:
  description: The domains, in the order in which they were asked for, else by number. Sizes are in bytes.
  returned: success
  type: list
  elements: dict
  contains:
    domid:
      description: Its number. A domain gets a new one whenever it is started.
      returned: success
      type: int
      sample: 2
    name:
      description: Its name, V(null) when the toolstack gave it none.
      returned: success
      type: str
      sample: disc web
    uuid:
      description: Its UUID.
      returned: success
      type: str
      sample: 6b1f0a52-5d0e-4d2c-9d7f-0a4bb1c7a001
    type:
      description: V(pv), V(pvh), V(hvm), or V(null) where Xen does not tell the last two apart.
      returned: success
      type: str
      sample: pv
    state:
      description: V(running), V(blocked), V(paused), V(shutdown), V(crashed), or V(dying).
      returned: success
      type: str
      sample: paused
    cpupool:
      description: Number of its cpupool.
      returned: success
      type: int
      sample: 0
    memory_bytes:
      description: Memory that it has.
      returned: success
      type: int
      sample: 134217728
    max_memory_bytes:
      description: Memory that it may have at most.
      returned: success
      type: int
      sample: 135266304
    max_vcpus:
      description: Number of its virtual CPUs, offline ones included.
      returned: success
      type: int
      sample: 4
    node_affinity:
      description: NUMA nodes that memory is taken from first. This is about future memory. What it has already may be elsewhere.
      returned: success
      type: str
      sample: "1"
    vcpus:
      description:
        - Its virtual CPUs. C(cpu) is where it runs or ran last, V(null) when it is offline. C(hard) has the CPUs that it may run on,
          C(soft) those that it should run on, V(all) for all of them. C(time_ns) is the time that it has run.
      returned: success
      type: list
      elements: dict
      sample:
        - {vcpu: 0, online: true, running: false, blocked: false, cpu: 7, hard: 4-7, soft: all, time_ns: 0}
        - {vcpu: 1, online: false, running: false, blocked: false, cpu: null, hard: 4-7, soft: all, time_ns: 0}
    memory_by_node:
      description:
        - Memory on each NUMA node, by the node's number. The sum may differ a little from C(memory_bytes), for a guest may give back
          or get memory in between.
        - V(null) when it was not asked for, and for a domain that began meanwhile.
      returned: success
      type: dict
      sample: {"0": 0, "1": 134217728}
    locality:
      description:
        - How near its online virtual CPUs are to its memory. Without O(memory_by_node) only C(cpu_nodes) is known, the nodes on which they
          may run.
        - C(memory_nodes) have at least one percent of its memory. C(may_leave) are the virtual CPUs whose hard affinity lets them run
          elsewhere, C(away) those that do so now.
        - C(remote_share) is the share of accesses to memory that leave the node, C(distance) their average distance in SLIT units (10 is
          local), if each virtual CPU runs equally often on every CPU that it should run on; C(worst_distance) if it does so on every
          one that it may run on.
      returned: success
      type: dict
      sample:
        cpu_nodes: 0-1
        memory_nodes: "0"
        may_leave: [0]
        away: []
        remote_share: 0.0
        distance: 10.0
        worst_distance: 15.5
"""

from ..module_utils._discovery.component import DOMAINS, MEMORY_BY_HYPERCALL, MEMORY_BY_NODE
from ..module_utils._discovery.domains import components
from ..module_utils._gathering import SOURCE_ARGUMENTS, gather
from ..module_utils._module import Module, failures
from ..module_utils._topology.facts_forms import domain_facts
from ..module_utils._topology.host import host_of
from ..module_utils._topology.locality import with_locality


def main() -> None:
    """Collect, derive, pick."""
    module = Module(
        argument_spec={
            "guests": {"type": "list", "elements": "str"},
            "memory_by_node": {
                "type": "str",
                "choices": ["none", "hypercall", "debug_key"],
                "default": "none",
            },
            **SOURCE_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with failures(module):
        subset = {DOMAINS}
        if module.params["memory_by_node"] != "none":
            subset.add(
                MEMORY_BY_NODE if module.params["memory_by_node"] == "debug_key" else MEMORY_BY_HYPERCALL
            )
        topology = with_locality(host_of(gather(module, components(), subset)))
        for warning in topology.warnings:
            module.warn(warning)
        guests = module.params["guests"]
        everybody = topology.domains or ()
        domains = everybody if guests is None else [topology.domain(guest) for guest in guests]
        module.exit_json(changed=False, domains=[domain_facts(domain, topology) for domain in domains])


if __name__ == "__main__":
    main()
