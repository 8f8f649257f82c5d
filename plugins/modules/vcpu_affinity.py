#!/usr/bin/python
# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: vcpu_affinity
short_description: Hard and soft affinity of the virtual CPUs of running guests
description:
  - Sets on which CPUs the virtual CPUs of guests may run (hard affinity) and where they should run if there is room (soft affinity),
    for any number of guests in one task.
  - Compares with what the hypervisor has and sets only what differs. Everything that was asked for is checked before anything is set.
  - What is set is read back from the hypervisor. When something goes wrong in the middle, what was set is set back.
  - Affinity is gone when the guest ends or is moved to another cpupool. For the next start, set it in the guest's
    configuration as well, see M(dom0.xen.guest_config).
  - Affinity never moves memory. A guest has its memory on the NUMA nodes that were chosen when it was started. To re-pin running guests to
    where their memory is, hand it a plan, see O(plan).
version_added: 0.1.0
author:
  - dom0.xen contributors (@dom0-xen)
extends_documentation_fragment:
  - dom0.xen._attributes
  - dom0.xen._attributes.changing_module
  - dom0.xen._attributes.actiongroup_xen
  - dom0.xen._source.locking
  - dom0.xen._requirements
  - dom0.xen._source.writing
options:
  affinities:
    description:
      - What is wanted, as a list of guests with masks.
      - A guest may appear in several entries. They count in their order, so that for the same virtual CPU a later entry wins over an
        earlier one, separately for O(affinities[].hard) and O(affinities[].soft).
      - At least one of O(affinities) and O(plan) is needed.
    type: list
    elements: dict
    suboptions:
      guest:
        description:
          - The guest, by name, number (domid), or UUID. V(Domain-0) is dom0 itself.
        type: str
        required: true
      vcpus:
        description:
          - Which of its virtual CPUs, as V(all), as numbers and ranges such as V(0-3,6), or as a list of these. Virtual CPUs that
            are offline count, too.
        type: raw
        default: all
      hard:
        description:
          - The CPUs that they may run on.
          - A text as in C(cpus) of an xl configuration, in which items count from left to right. They are V(3), V(0-3), V(all), V(node:1),
            and V(nodes:0-1), each with V(^) before it to take CPUs away again. Beyond xl there are V(package:0), V(packages:0-1), and
            V(core:0.3), which is core 3 of package 0. A list of such texts is their union.
          - Places name all their CPUs, also those that are offline. V(all) also includes CPUs that appear later.
          - V(planned) takes what O(plan) has for the guest.
          - At least one of the CPUs must be online and in the cpupool of the guest.
          - Without it, hard affinity stays as it is.
        type: raw
      soft:
        description:
          - The CPUs that they should run on, written like O(affinities[].hard).
          - Only those that hard affinity allows have an effect.
          - Without it, soft affinity stays as it is.
        type: raw
      nodes:
        description:
          - The NUMA nodes from which memory is taken that the guest gets from now on, for example by ballooning, as numbers and ranges such as
            V(0-1), or as a list of these. Memory that it has stays where it is.
          - V(auto) has Xen derive them from the affinity of the virtual CPUs, as it does unless the toolstack or somebody else has chosen them.
          - V(planned) takes what O(plan) has for the guest.
          - Without it, they stay as they are.
        type: raw
      force:
        description:
          - Whether to undo a pin that the guest holds on one of its own virtual CPUs for the moment. Only dom0 does so. Without it the
            module tries again for ten seconds when it meets one, and then fails.
        type: bool
        default: false
  plan:
    description:
      - The registered result of M(dom0.xen.placement_plan), for entries with V(planned).
      - Without O(affinities), all guests of the plan that run and are to stay where they are get the affinity that the plan has for
        them. So running guests are re-pinned to where their memory is. Guests that would have to be restarted are left alone.
    type: dict
  plan_host:
    description: The name that this host has in the plan. Needed when several hosts of the plan have a guest of the same name.
    type: str
notes:
  - Where a cpupool schedules by core or package (C(sched-gran), see M(dom0.xen.cpupool)), neighbouring virtual CPUs of a guest are scheduled as
    one, and have one affinity. What is asked of one of them is set for all of them, and reported for all of them, with a warning. Asking for
    different masks is refused.
seealso:
  - module: dom0.xen.domain_info
  - module: dom0.xen.guest_config
  - module: dom0.xen.placement_plan
  - name: dom0.xen.pin_vcpus
    description: The role around this module.
    link: https://github.com/dom0-xen/dom0.xen/tree/main/roles/pin_vcpus
"""

EXAMPLES = r"""
- name: Keep two guests on node 1, and let a third prefer it
  dom0.xen.vcpu_affinity:
    affinities:
      - guest: web
        hard: node:1
      - guest: 6b1f0a52-5d0e-4d2c-9d7f-0a4bb1c7a002
        hard: node:1,^4-5
      - guest: batch
        soft: node:1
  become: true

- name: Give each virtual CPU of a guest a core of its own, and the last one the rest of the node
  dom0.xen.vcpu_affinity:
    affinities:
      - {guest: db, hard: node:0}
      - {guest: db, vcpus: 0, hard: core:0.0}
      - {guest: db, vcpus: 1, hard: core:0.1}
  become: true

- name: Keep dom0 on the first package, and out of the way of guests
  dom0.xen.vcpu_affinity:
    affinities:
      - guest: Domain-0
        hard: package:0
        soft: core:0.0
  become: true

- name: Plan where guests belong
  dom0.xen.placement_plan:
    guests:
      - {name: web, vcpus: 2, memory: 1GiB}
      - {name: db, vcpus: 4, memory: 2GiB}
  register: planned

- name: Pin the guests that run to where their memory is
  dom0.xen.vcpu_affinity:
    plan: "{{ planned }}"
    plan_host: "{{ inventory_hostname }}"
  become: true

- name: Have a guest's future memory come from the node that the plan chose, and its virtual CPUs prefer two packages
  dom0.xen.vcpu_affinity:
    affinities:
      - {guest: web, soft: "packages:0-1", nodes: planned}
    plan: "{{ planned }}"
  become: true

- name: Lift all restrictions of a guest
  dom0.xen.vcpu_affinity:
    affinities:
      - {guest: web, hard: all, soft: all, nodes: auto}
  become: true
"""

RETURN = r"""
recovered:
  description: One sentence for each guest whose affinity a killed run of M(dom0.xen.cpupool) had left lifted, and which has it again.
  returned: success
  type: list
  elements: str
  sample: []
guests:
  description: The guests, in the order in which they are first named, each with the virtual CPUs that were asked for.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name, V(null) when the toolstack gave it none.
      returned: success
      type: str
      sample: web
    domid:
      description: Its number.
      returned: success
      type: int
      sample: 3
    uuid:
      description: Its UUID.
      returned: success
      type: str
      sample: 6b1f0a52-5d0e-4d2c-9d7f-0a4bb1c7a001
    changed:
      description: Whether any of its masks was set, or in check mode would be.
      returned: success
      type: bool
      sample: true
    nodes_before:
      description: The NUMA nodes for its future memory that were found. V(null) when they were not asked for.
      returned: success
      type: str
      sample: 0-1
    nodes:
      description: Those that are set now, or in check mode would be. V(null) when they were not asked for.
      returned: success
      type: str
      sample: "1"
    vcpus:
      description:
        - Its virtual CPUs. C(hard_before) and C(soft_before) are the masks that were found, C(hard) and C(soft) those that are set now,
          or in check mode would be, V(all) for one that covers every CPU.
        - C(hard_effective) and C(soft_effective) are what of the masks counts at the moment, which is their part within the online CPUs of the
          guest's cpupool, and for C(soft_effective) within C(hard) as well.
      returned: success
      type: list
      elements: dict
      sample:
        - vcpu: 0
          hard_before: all
          hard: 4-7
          hard_effective: 4-5,7
          soft_before: all
          soft: all
          soft_effective: 4-5,7
rolled_back:
  description: What had been set when the module failed in the middle, and was set back, with the virtual CPUs as a list such as V(0-3).
  returned: failure after something was to be set
  type: list
  elements: dict
  sample:
    - {name: web, domid: 3, uuid: 6b1f0a52-5d0e-4d2c-9d7f-0a4bb1c7a001, vcpus: 0-1}
done:
  description: What had been set and could not be set back, in the form of RV(rolled_back).
  returned: failure after something was to be set
  type: list
  elements: dict
  sample: []
"""

import contextlib

from ..module_utils._changing import LOCK_ARGUMENTS, host_lock
from ..module_utils._control.affinity import (
    ENTRY,
    apply_affinity,
    guest_diff,
    guest_result,
    plan_affinity,
    planned_guests,
)
from ..module_utils._module import WRITING_ARGUMENTS, Module, failures, open_xen
from ..module_utils._settled import settled


def main() -> None:
    """Plan, then apply unless only a check was asked for."""
    module = Module(
        argument_spec={
            "affinities": {"type": "list", "elements": "dict", "options": ENTRY},
            "plan": {"type": "dict"},
            "plan_host": {"type": "str"},
            **LOCK_ARGUMENTS,
            **WRITING_ARGUMENTS,
        },
        required_one_of=[("affinities", "plan")],
        supports_check_mode=True,
    )
    with failures(module), contextlib.ExitStack() as stack:
        stack.enter_context(host_lock(module))
        finished = settled(module)
        topology = finished.topology
        affinities, plan, host = (module.params[name] for name in ("affinities", "plan", "plan_host"))
        if affinities is None:
            topology.check_names("the plan's guests cannot be looked up")
            running = [domain.name for domain in topology.domains or () if domain.name is not None]
            affinities = planned_guests(plan, host, running)
        actions = plan_affinity(topology, affinities, plan, host)
        notes = [note for action in actions for note in action.notes]
        for warning in list(topology.warnings) + finished.notes + notes:
            module.warn(warning)
        changed = any(action.changed for action in actions)
        diff = [guest_diff(action) for action in actions if action.changed]
        if changed and not module.check_mode:
            actions = apply_affinity(stack.enter_context(open_xen(module)), actions)
        module.exit_json(
            changed=changed or bool(finished.recovered),
            guests=[guest_result(action) for action in actions],
            recovered=finished.recovered,
            diff=finished.diff + diff,
        )


if __name__ == "__main__":
    main()
