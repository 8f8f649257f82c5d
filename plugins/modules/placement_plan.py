#!/usr/bin/python
# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: placement_plan
short_description: Plan on which hosts and NUMA nodes Xen guests belong
description:
  - Takes the facts that M(dom0.xen.topology_facts) gathered of one or several hosts and a list of guests that are wanted, and decides for
    all of them together on which host and NUMA nodes each belongs, which CPU affinity brings it there, and what has to be done for it.
  - Guests get memory and CPUs of one node wherever that is possible; where it is not, of the nearest nodes. Memory that dom0 and running
    guests hold is left to them, and the load of their vCPUs is counted where it is. CPUs are counted in physical cores, not in threads.
    CPUs that are offline are never used.
  - Guests that run already stay on the nodes where their memory is. The plan never moves or restarts anything.
  - Says for each guest why it is where it is, and for each guest without a place what is missing and what would help.
  - The work is done by an action plugin on the control node. No connection to a host is made, and nothing is sent there.
  - The same facts and the same list give the same plan, whatever the order of the list.
version_added: 0.1.0
author:
  - dom0.xen contributors (@dom0-xen)
extends_documentation_fragment:
  - dom0.xen._attributes.control_node
  - dom0.xen._attributes
  - dom0.xen._attributes.info_module
  - dom0.xen._attributes.actiongroup_xen
options:
  guests:
    description:
      - The guests that are wanted, those included that run already. Domains that are not in the list are left alone, and what they hold is
        not given to anybody.
      - An error names the entry and the field that is wrong, for example C(guests[2].memory).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the guest, unique in the list. A domain of this name that runs is this guest.
        type: str
        required: true
      vcpus:
        description: Number of vCPUs that it starts with.
        type: int
        required: true
      memory:
        description:
          - Its memory, as C(memory=) in its xl configuration, in MiB, or as a text with a unit such as V(512M) or V(4GiB).
          - What Xen needs for the guest on top of that is added by the plan.
        type: raw
        required: true
      host:
        description: The host that it has to be on. Without it the plan chooses among O(hosts).
        type: str
      nodes:
        description: The NUMA nodes that it has to be on, all of them. Without it the plan chooses.
        type: list
        elements: int
      pool:
        description:
          - Name or number of the cpupool that it runs in. A guest that runs stays in the one it is in; a new one gets V(Pool-0), as with xl.
          - C(pool=) in its xl configuration has to say the same.
        type: str
      priority:
        description: When not all guests can be placed, those with the higher number come first, whatever their size.
        type: int
        default: 0
      policy:
        description: How this guest is to be placed. What is not given here is as in O(defaults).
        type: dict
        suboptions:
          numa_policy:
            description:
              - V(preferred) takes as few nodes as possible, V(single) one node or none at all, V(spread) all nodes of the cpupool.
            type: str
            choices: [preferred, single, spread]
          pin:
            description:
              - V(soft) sets the soft affinity, with which Xen prefers the CPUs of the nodes and still uses others when these are busy.
                V(hard) sets the hard affinity, and the vCPUs never run anywhere else.
              - Memory follows both when a guest is created.
            type: str
            choices: [soft, hard]
          cpu_policy:
            description: V(shared) lets the guest share its CPUs with others. There is no other choice yet.
            type: str
            choices: [shared]
          memory_only_nodes:
            description:
              - Whether memory may come from nodes that have no CPUs of the cpupool. V(allow) only makes sense for guests whose configuration
                asks for it with C(vnuma=), since CPU affinity cannot.
            type: str
            choices: [avoid, allow]
  hosts:
    description:
      - Names of the hosts in the inventory that the plan is for.
      - Without it the hosts of O(facts), and without that the host that the task runs for.
    type: list
    elements: str
  facts:
    description:
      - Facts by name of the host, each as C(ansible_facts['xen_topology']) has them. Hosts that are not in it are looked up in C(hostvars).
      - Planning does not need the host itself, so facts may also come from a file.
    type: dict
  defaults:
    description: The policy of guests that do not say otherwise. The choices are those of O(guests[].policy).
    type: dict
    suboptions:
      numa_policy:
        description: How many nodes, see O(guests[].policy.numa_policy).
        type: str
        choices: [preferred, single, spread]
        default: preferred
      pin:
        description: Which affinity, see O(guests[].policy.pin).
        type: str
        choices: [soft, hard]
        default: soft
      cpu_policy:
        description: Whose CPUs, see O(guests[].policy.cpu_policy).
        type: str
        choices: [shared]
        default: shared
      memory_only_nodes:
        description: Whether memory may come from nodes without CPUs, see O(guests[].policy.memory_only_nodes).
        type: str
        choices: [avoid, allow]
        default: avoid
  reserve:
    description: Memory that stays free.
    type: dict
    suboptions:
      node_memory:
        description: On each node, in MiB or as a text with a unit.
        type: raw
        default: 0
      host_memory:
        description: On each host, in MiB or as a text with a unit.
        type: raw
        default: 0
      low_memory:
        description:
          - Whether to leave the low memory of the first node alone on hosts with several nodes. Xen keeps it for devices that can only
            address low memory and gives guests memory of any other node first. It is a quarter of the first node, rounded up to a power of
            two, at most 4 GiB.
          - With V(false) all free memory of the node counts. A guest that is meant to get the last of it then has part of its memory
            elsewhere.
        type: bool
        default: true
notes:
  - The facts have to include the domains. They do, unless C(gather_subset) of M(dom0.xen.topology_facts) left them out.
  - A plan is as good as the facts are recent. Gather them in the same play.
seealso:
  - module: dom0.xen.topology_facts
  - module: dom0.xen.guest_config
  - module: dom0.xen.guest
  - module: dom0.xen.vcpu_affinity
  - name: The plan
    description: Form of the plan, policies, objective, and what the figures in it rest on.
    link: https://github.com/dom0-xen/dom0.xen/blob/main/docs/plan.md
"""

EXAMPLES = r"""
- name: Ask Xen for the topology of the host and its guests
  dom0.xen.topology_facts:
  become: true

- name: Plan three guests
  dom0.xen.placement_plan:
    guests:
      - name: web1
        vcpus: 2
        memory: 2GiB
      - name: web2
        vcpus: 2
        memory: 2GiB
      - name: db
        vcpus: 8
        memory: 12GiB
        policy:
          numa_policy: single
          pin: hard
  register: placement

- name: Show it
  ansible.builtin.debug:
    var: placement.summary

- name: Stop when a guest has no place
  ansible.builtin.assert:
    that: placement.unplaced | length == 0
    fail_msg: "{{ placement.unplaced | map(attribute='nearest') | join(' ') }}"

- name: Plan for all hosts of a group at once and leave 1 GiB free on each node
  dom0.xen.placement_plan:
    hosts: "{{ groups['xen_hosts'] }}"
    guests: "{{ wanted_guests }}"
    defaults:
      pin: hard
    reserve:
      node_memory: 1GiB
  run_once: true
  register: placement

- name: Plan from facts that were saved, without any host
  dom0.xen.placement_plan:
    facts:
      alpha: "{{ lookup('ansible.builtin.file', 'alpha.json') | from_json }}"
    guests: "{{ wanted_guests }}"
"""

RETURN = r"""
schema_version:
  description: Version of the plan's form. A new minor version only adds keys.
  returned: success
  type: str
  sample: "1.0"
guests:
  description: The guests that have a place, in the order in which the plan is to be carried out.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the guest.
      returned: success
      type: str
      sample: db
    host:
      description: The host that it belongs on.
      returned: success
      type: str
      sample: alpha
    action:
      description:
        - V(create) when it does not run. V(keep) when it runs and its affinity is right, V(repin) when its affinity is to be set.
        - V(restart) when it runs, but where the request does not allow it to stay. Only stopping it and creating it again can bring it to
          its place.
      returned: success
      type: str
      sample: create
    domid:
      description: Its domain id on that host, when it runs there.
      returned: success
      type: int
      sample: null
    cpupool:
      description: Name of the cpupool that it belongs in.
      returned: success
      type: str
      sample: Pool-0
    nodes:
      description: Its NUMA nodes.
      returned: success
      type: list
      elements: int
      sample: [1]
    vcpus:
      description: Its vCPUs.
      returned: success
      type: int
      sample: 2
    memory_bytes:
      description: Its memory.
      returned: success
      type: int
      sample: 805306368
    need_bytes:
      description: What it takes from its nodes, with what Xen needs for it.
      returned: success
      type: int
      sample: 812646400
    memory_by_node:
      description: Its memory on each node, in bytes. Of a guest that runs it is where it was found, if the facts tell.
      returned: success
      type: dict
      sample: {"1": 805306368}
    pin:
      description: Which affinity is set, V(soft) or V(hard).
      returned: success
      type: str
      sample: soft
    cpuset:
      description: The online CPUs of its nodes that belong to its cpupool, in list format.
      returned: success
      type: str
      sample: 4-5,7
    hard:
      description: Hard affinity for all of its vCPUs, in list format, or V(all).
      returned: success
      type: str
      sample: all
    soft:
      description: Soft affinity for all of its vCPUs, in list format, or V(all).
      returned: success
      type: str
      sample: 4-5,7
    reasons:
      description: Why it is there.
      returned: success
      type: list
      elements: str
      sample:
        - "Needs 775 MiB: 768 MiB of its own and 7 MiB that Xen takes for it and its 2 vCPUs."
        - Node 1 has 1317 MiB free and 1 of 2 cores idle, the only node that fits.
        - Node 0 lacks 94 MiB, with 512 MiB kept in reserve.
    warnings:
      description: What the plan cannot promise for this guest.
      returned: success
      type: list
      elements: str
      sample: []
unplaced:
  description: The guests that have no place. One that runs is left as it is.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the guest.
      returned: success
      type: str
      sample: big
    reasons:
      description: What is missing, for each group of nodes.
      returned: success
      type: list
      elements: str
      sample:
        - "Needs 1410 MiB: 1400 MiB of its own and 10 MiB that Xen takes for it and its 2 vCPUs."
        - Node 0 lacks 729 MiB (681 MiB left by the rest of the plan, 512 MiB kept in reserve).
        - Node 1 lacks 868 MiB (542 MiB left by the rest of the plan).
    nearest:
      description: The smallest things that would give it a place.
      returned: success
      type: str
      sample: Free 729 MiB on node 0.
hosts:
  description: The nodes of each host, before and after.
  returned: success
  type: dict
  sample:
    alpha:
      nodes:
        - os_index: 0
          memory_free_bytes: 1793241088
          memory_reserved_bytes: 536870912
          memory_free_after_bytes: 1251127296
          cores: 2
          pus: 3
          vcpus_before: 1.0
          vcpus_after: 2.0
        - os_index: 1
          memory_free_bytes: 1381167104
          memory_reserved_bytes: 0
          memory_free_after_bytes: 568520704
          cores: 2
          pus: 3
          vcpus_before: 1.0
          vcpus_after: 3.0
      warnings: []
objective:
  description:
    - What the plan was chosen by, in order of importance. An earlier level is never made worse for a later one.
    - C(value) is what the plan has, C(bound) what no plan can be below, or null where that is not known. Where both are the same, the plan
      is proven to be the best on this level.
  returned: success
  type: list
  elements: dict
  sample:
    - level: unplaced
      value: 1
      bound: 1
      unit: guests
    - level: spanning
      value: 0
      bound: 0
      unit: nodes beyond those needed
summary:
  description: The plan in lines for people.
  returned: success
  type: list
  elements: str
  sample:
    - "db: create on node 1, soft affinity 4-5,7, 2 vCPUs, 768 MiB"
    - "    Needs 775 MiB: 768 MiB of its own and 7 MiB that Xen takes for it and its 2 vCPUs."
    - "    Node 1 has 1317 MiB free and 1 of 2 cores idle, the only node that fits."
    - "    Node 0 lacks 94 MiB, with 512 MiB kept in reserve."
"""
