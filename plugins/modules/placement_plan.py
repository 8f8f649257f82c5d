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
  - Guests that run already stay on the nodes where their memory is, unless O(rebalance) or O(evacuate) says otherwise. Planning itself
    never moves or restarts anything. The plan lists what has to be done in an order in which every step fits.
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
  - dom0.xen._placement
options:
  capacity:
    description:
      - Guests as in O(guests), of which the plan says how many more like each would fit beside it. They are not planned themselves.
    type: list
    elements: dict
  earlier_plan:
    description:
      - A plan from before, as this module returned it. Guests that do not run yet keep the places that they have in it, unless other
        places let more guests have one, make fewer of them span nodes, shorten ways, or lower the load noticeably.
      - Guests that run are another matter, see O(rebalance).
    type: dict
  given_plan:
    description:
      - A plan as this module returned it, perhaps edited by hand, that is to be carried out as it is written. Nothing is searched for. Each
        guest gets the C(host), the C(nodes) and the masks C(hard) and C(soft) that stand there, and what has to be done for that is worked out
        anew, so that it can be given again when it has been carried out. What it costs is in RV(objective), beside the bounds of the best plan.
      - An entry needs C(name), C(host) and C(nodes). Masks that are left out follow from the nodes. A guest that runs and is to go elsewhere
        needs the C(action) V(migrate), V(move) or V(restart) as well. All other keys only tell.
      - It fails with a sentence for each thing that cannot be, for example masks beyond the nodes, CPUs that are offline by now, a guest that
        runs elsewhere, or nodes without the memory. At last the plan is held against every rule that M(dom0.xen.placement_check) knows.
    type: dict
  move_worth:
    description:
      - What makes another place worth it for a guest that has one, as it runs and may be moved (O(rebalance)) or has one in O(earlier_plan).
        That fewer guests have no place, fewer span nodes, or ways are shorter is always worth it.
    type: dict
    suboptions:
      smt:
        description: So many vCPUs less beyond the cores, summed over nodes.
        type: float
        default: 0.5
      peak:
        description: This part of the load of the busiest node less.
        type: float
        default: 0.05
  explain:
    description: Whether to tell for each new place which other places were possible, and on which level of the objective they lost.
    type: bool
    default: false
  engine:
    description:
      - What searches. V(builtin) is the collection's own engine and needs nothing. V(exact) then also solves the placement as an integer program
        with the solver HiGHS, which the Python package C(highspy) on the control node brings, in a process of its own. Its answer is
        taken only if it is better, and what it proves is told in RV(objective).
      - V(auto) does so where the package is there and one of the levels of RV(objective) down to the peak of the load is not proven, and is
        V(builtin) otherwise. All levels share a budget of about ten seconds of CPU time, which is counted in steps of the solver.
      - With many guests or hosts the program would be too large; then the built-in engine's answer stands. RV(search) says what has happened.
    type: str
    choices: [auto, builtin, exact]
    default: auto
  time_limit:
    description:
      - Seconds after which everything stops that can be left out, the search, proofs, and what is said about reasons and other places, and the
        best plan so far is returned. RV(search) says when that happened, and so do the reasons that are shorter for it. Facts are always read and
        the first plan is always finished.
      - The search also ends after a fixed number of steps, so that a plan does not depend on how fast the machine is. With this option it
        may.
    type: float
notes:
  - The facts have to include the domains. They do, unless C(gather_subset) of M(dom0.xen.topology_facts) left them out.
  - A plan is as good as the facts are recent. Gather them in the same play.
seealso:
  - module: dom0.xen.topology_facts
  - module: dom0.xen.placement_check
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

- name: Say what happens when a host goes away, and how many more guests of a kind would fit then
  dom0.xen.placement_plan:
    hosts: "{{ groups['xen_hosts'] }}"
    guests: []
    evacuate: [xen3.example.com]
    capacity:
      - {name: small, vcpus: 2, memory: 4GiB}
  run_once: true
  register: without_xen3

- name: Give a database cores of its own, next to its network card, and keep its replica on another host
  dom0.xen.placement_plan:
    hosts: "{{ groups['xen_hosts'] }}"
    guests:
      - name: db1
        vcpus: 8
        memory: 64GiB
        pci_devices: ["0000:41:00.0"]
        policy: {cpu_policy: dedicated, thread_policy: isolate, numa_policy: single}
      - name: db2
        vcpus: 8
        memory: 64GiB
    groups:
      - {name: databases, policy: anti-affinity, scope: host, members: [db1, db2]}
  run_once: true

- name: Carry out a plan that somebody edited, or say what is wrong with it
  dom0.xen.placement_plan:
    hosts: "{{ groups['xen_hosts'] }}"
    guests: "{{ wanted_guests }}"
    given_plan: "{{ lookup('ansible.builtin.file', 'plan.json') | from_json }}"
  run_once: true

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
  sample: "1.1"
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
        - V(migrate) within its host and V(move) to another one only with O(rebalance) or O(evacuate).
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
    vnuma:
      description: Its own NUMA nodes, with C(node), C(memory_bytes), C(vcpus) and C(distances) of each; V(null) when it has none.
      returned: success
      type: list
      elements: dict
      sample: null
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
    cache:
      description:
        - The CPUs of the last-level cache that its vCPUs keep to, in list format. V(null) where the node has only one, or it keeps to none.
      returned: success
      type: str
      sample: null
    hard:
      description:
        - Hard affinity for all of its vCPUs, in list format, or V(all). A list with one for each vCPU when they differ.
      returned: success
      type: raw
      sample: all
    soft:
      description:
        - Soft affinity for all of its vCPUs, in list format, or V(all). A list with one for each vCPU when they differ.
      returned: success
      type: raw
      sample: 4-5,7
    from:
      description: C(host) and C(nodes) where it runs when it gets another place, else V(null).
      returned: success
      type: dict
      sample: null
    candidates:
      description:
        - With O(explain), the places that lost, C(level) being the first level of RV(objective) on which each is worse and C(worse_by) by how
          much. The level is V(room) for one without room beside the rest of the plan, and V(order) for one that is as good.
      returned: success
      type: list
      elements: dict
      sample: null
    reasons:
      description: Why it is there.
      returned: success
      type: list
      elements: str
      sample:
        - "Needs 775 MiB: 768 MiB of its own and 7 MiB that Xen takes for it and its 2 vCPUs."
        - Node 1 has 1317 MiB left for it and 1 of 2 cores idle, the only node that fits.
        - Node 0 lacks 94 MiB beside the rest of the plan, with 512 MiB kept in reserve.
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
    helps:
      description: Everything small that would give it a place, one sentence each.
      returned: success
      type: list
      elements: str
      sample:
        - Free 729 MiB on node 0.
        - Leave out db (768 MiB, 2 vCPUs, priority 0).
        - Add a host with a node of 2 cores and 1410 MiB free.
steps:
  description:
    - What has to be done, in an order in which each step fits. A guest that is migrated or moved has its memory twice until it is there.
      When guests wait for one another's memory, one goes through another place first, or is restarted where that is permitted.
    - Guests that are kept have no step.
  returned: success
  type: list
  elements: dict
  sample:
    - step: 1
      guest: db
      action: create
      host: alpha
      nodes: [1]
      takes: {"alpha": {"1": 812646400}}
      frees: {}
      text: create db on node 1 of alpha, 775 MiB
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
      is proven to be the best on this level. C(gap) is the difference.
  returned: success
  type: list
  elements: dict
  sample:
    - level: unplaced
      value: 1
      bound: 1
      gap: 0
      unit: guests
    - level: spanning
      value: 0
      bound: 0
      gap: 0
      unit: nodes beyond those needed
search:
  description:
    - C(ended_by) is what ended the search, V(nothing left to improve), V(steps) when its steps were used up, V(time), or V(given plan) where
      nothing was searched for.
    - C(exact) is what became of the exact engine. V(better) is the only case in which the plan is its answer. Others are V(no better),
      V(not asked), V(nothing left to prove), V(too large), V(no highspy), or with O(engine=auto) why it failed.
    - C(asked) has the levels of RV(objective) that it was asked about, C(open) those down to the peak of the load that are not proven in the end.
  returned: success
  type: dict
  sample: {"ended_by": "nothing left to improve", "exact": "nothing left to prove", "asked": [], "open": []}
capacity:
  description:
    - For each guest of O(capacity), how many C(more) like it would fit beside the plan, each alone, and how many there can be C(at_most).
    - Where both are the same, the figure is C(proven). Else there is room for so many at least.
  returned: success
  type: list
  elements: dict
  sample:
    - name: small
      more: 3
      at_most: 3
      proven: true
summary:
  description: The plan in lines for people.
  returned: success
  type: list
  elements: str
  sample:
    - "db: create on node 1, soft affinity 4-5,7, 2 vCPUs, 768 MiB"
    - "    Needs 775 MiB: 768 MiB of its own and 7 MiB that Xen takes for it and its 2 vCPUs."
    - "    Node 1 has 1317 MiB left for it and 1 of 2 cores idle, the only node that fits."
    - "    Node 0 lacks 94 MiB beside the rest of the plan, with 512 MiB kept in reserve."
"""
