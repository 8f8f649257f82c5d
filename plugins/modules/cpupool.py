#!/usr/bin/python
# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: cpupool
short_description: Cpupools of a Xen host, their CPUs and the guests in them
description:
  - Makes, changes, renames and removes cpupools, and moves guests into them, any number of each in one task.
  - Compares with what the hypervisor has, and works out an order in which every step is possible. CPUs leave one cpupool before they join
    another, guests move to a cpupool that has CPUs, and the cpupool of dom0 is never emptied. Everything is checked before anything is done.
  - Xen resets the affinity of a guest that moves to another cpupool, so that its virtual CPUs may run anywhere there. The module puts
    it back. If it is killed in between, the next run does, of this module or of M(dom0.xen.vcpu_affinity), M(dom0.xen.pcpu) or
    M(dom0.xen.guest).
  - When a step fails, those before it are undone, last first.
  - Cpupools are gone when the host is booted again. The role P(dom0.xen.cpupools#role) has them restored then.
version_added: 0.1.0
author:
  - dom0.xen contributors (@dom0-xen)
extends_documentation_fragment:
  - dom0.xen._attributes
  - dom0.xen._attributes.changing_module
  - dom0.xen._attributes.actiongroup_xen
  - dom0.xen._source.locking
  - dom0.xen._source.faults
  - dom0.xen._requirements
  - dom0.xen._source.writing
options:
  cpupools:
    description:
      - The cpupools, by name. Others stay as they are, except that CPUs which no cpupool is to have go to the first one, C(Pool-0), where
        Xen has them at boot. To keep CPUs out of all cpupools, give that one its O(cpupools[].cpus), too.
      - Exactly one of O(cpupools) and O(numa_split) is needed.
    type: list
    elements: dict
    suboptions:
      name:
        description: Its name. C(Pool-0) is the name of the one that Xen boots with, unless it was renamed.
        type: str
        required: true
      state:
        description:
          - Whether it shall be there.
          - With V(absent), guests that are in it must go elsewhere, see O(cpupools[].evacuate_to). The first cpupool cannot be absent.
        type: str
        choices: [present, absent]
        default: present
      former_name:
        description: A name that it may have now, in which case it is renamed.
        type: str
      cpus:
        description:
          - Exactly the CPUs that it shall have, written as in O(dom0.xen.vcpu_affinity#module:affinities[].hard), for example V(node:1) or
            V(4-7).
          - Those that are offline are left out, with a warning.
          - They are taken from C(Pool-0) and from cpupools of the list, never from one that is not in the list.
          - Needed for a cpupool that is to be made. Without it, one that is there keeps its CPUs.
        type: raw
      scheduler:
        description:
          - Its scheduler. Xen gives it to a cpupool when it is made, and the module refuses to change it.
          - Without it, a new cpupool gets the scheduler that Xen was booted with.
          - With V(credit), an error of Xen can bring the whole host down when a CPU leaves the cpupool (seen with Xen 4.17; a part of it
            is mended in 4.22). The module then warns.
        type: str
        choices: [credit, credit2, 'null', rtds]
      granularity:
        description:
          - What its scheduler treats as one, a CPU, a core with all of its threads, or a package. With V(core), virtual CPUs of different
            guests never share a core.
          - From Xen 4.15 on, on x86. Set while the cpupool has no CPUs, so that guests in it must wait elsewhere, see O(by_way_of),
            and O(cpupools[].cpus) must say which it has afterwards.
          - A cpupool with V(core) or V(socket) has whole cores or packages. The first one has what Xen was booted with (C(sched-gran)).
        type: str
        choices: [cpu, core, socket]
      domains:
        description:
          - Guests that shall be in it, by name, number (domid), or UUID. Guests that no entry names stay where they are.
        type: list
        elements: str
      evacuate_to:
        description: With O(cpupools[].state=absent), the name of the cpupool for guests that are still in it, C(Pool-0) for example.
        type: str
  numa_split:
    description:
      - Give each NUMA node with online CPUs a cpupool of its own, C(Pool-node0) and so on. The first cpupool becomes that of the first node.
      - Guests stay in the first cpupool. Move them with O(cpupools[].domains).
    type: bool
    default: false
  broken_affinity:
    description:
      - What to do about guests whose hard affinity would have no CPU left in their cpupool. Xen would let them run on all of its CPUs, for good
        and without saying so.
      - V(refuse) changes nothing and names them.
      - V(nearest) lets them run on what remains of the NUMA nodes that they were restricted to, else on the nodes nearest to those.
      - Anything else names the CPUs for them, as in O(cpupools[].cpus).
    type: raw
    default: refuse
  by_way_of:
    description:
      - A cpupool, by name, in which guests may wait for a moment where there is no way otherwise, C(Pool-0) for example. They come back with
        their affinity.
      - Needed to change the O(cpupools[].granularity) of a cpupool with guests, as it must have no CPUs then. Also used when cpupools
        exchange their last CPUs and C(Pool-0) has none to lend for a moment.
      - The guests that have to wait must be named in O(cpupools[].domains), so that the next run can bring them back if this one is killed.
      - Without it, guests leave their cpupool only for the one in which they shall be.
    type: str
notes:
  - Works by hypercall. The names are written to xenstore, where C(xl) has them.
  - A CPU that was to be taken offline while it was in a cpupool other than the first one is refused by every cpupool from then on, until the
    host is booted again (seen with Xen 4.17). The module M(dom0.xen.pcpu) takes it out first.
seealso:
  - module: dom0.xen.vcpu_affinity
  - module: dom0.xen.pcpu
  - name: dom0.xen.cpupools
    description: The role around this module, which also restores cpupools when the host boots.
    link: https://github.com/dom0-xen/dom0.xen/tree/main/roles/cpupools
"""

EXAMPLES = r"""
- name: Have the databases on node 1 for themselves
  dom0.xen.cpupool:
    cpupools:
      - name: databases
        cpus: node:1
        domains: [db1, db2]
  become: true

- name: Keep tenants apart down to the core
  dom0.xen.cpupool:
    cpupools:
      - {name: red, cpus: "4-7", granularity: core, domains: [red1, red2]}
      - {name: blue, cpus: "8-15", granularity: core, scheduler: credit2, domains: [blue1]}
  become: true

- name: One cpupool for each NUMA node
  dom0.xen.cpupool:
    numa_split: true
    broken_affinity: nearest
  become: true

- name: Change what the scheduler hands out, with guests in it
  dom0.xen.cpupool:
    cpupools:
      - {name: blue, cpus: "8-15", granularity: cpu, domains: [blue1]}
    by_way_of: Pool-0
  become: true

- name: Rename one, and remove another
  dom0.xen.cpupool:
    cpupools:
      - {name: tenants, former_name: red}
      - {name: blue, state: absent, evacuate_to: Pool-0}
  become: true
"""

RETURN = r"""
cpupools:
  description: The cpupools that were asked for, in their order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      returned: success
      type: str
      sample: databases
    id:
      description: Its number. V(null) for one that is absent.
      returned: success
      type: int
      sample: 1
    changed:
      description: Whether anything of it has changed, or in check mode would.
      returned: success
      type: bool
      sample: true
    before:
      description: What it was, in the form of RV(cpupools[].after). V(null) when there was none.
      returned: success
      type: dict
      sample:
    after:
      description: What it is, or in check mode would be. V(null) when there is none.
      returned: success
      type: dict
      sample:
        name: databases
        cpus: 4-7
        scheduler: credit2
        granularity: cpu
        domains: [db1, db2]
steps:
  description: What was done, or in check mode would be, one sentence for each step, in their order.
  returned: success
  type: list
  elements: str
  sample:
    - cpupool 'databases' made
    - CPU 4 removed from cpupool 'Pool-0'
    - CPU 4 added to cpupool 'databases'
    - db1 (domid 3) moved to cpupool 'databases'
rolled_back:
  description: Steps that were undone, since a later one failed.
  returned: failure after something was done
  type: list
  elements: str
  sample:
    - CPU 4 removed from cpupool 'Pool-0'
not_rolled_back:
  description: Steps that could not be undone, each with the reason.
  returned: failure after something was done
  type: list
  elements: str
  sample: []
broken:
  description: The hard affinities that would have no CPU left, with O(broken_affinity=refuse).
  returned: when there are any
  type: list
  elements: str
  sample:
    - hard affinity 4-5 of vCPU 0 of web (domid 3) would have no CPU in cpupool 'Pool-0' (0-3)
"""

import contextlib

from ..module_utils._changing import LOCK_ARGUMENTS, host_lock
from ..module_utils._control import cpupools as control
from ..module_utils._control import granularity, pool_steps
from ..module_utils._control.journal import Journal
from ..module_utils._control.risks import refuse_risks
from ..module_utils._discovery import authoritative
from ..module_utils._discovery.component import DOMAINS
from ..module_utils._module import FAULT_ARGUMENTS, WRITING_ARGUMENTS, Module, failures, open_xen
from ..module_utils._toolstack import xenstore
from ..module_utils._topology.host import host_of


def main() -> None:
    """Plan, then carry out unless only a check was asked for."""
    module = Module(
        argument_spec={
            "cpupools": {"type": "list", "elements": "dict", "options": control.ENTRY},
            "numa_split": {"type": "bool", "default": False},
            "broken_affinity": {"type": "raw", "default": "refuse"},
            "by_way_of": {"type": "str"},
            **FAULT_ARGUMENTS,
            **LOCK_ARGUMENTS,
            **WRITING_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with failures(module):
        asked, split = module.params["cpupools"], module.params["numa_split"]
        if (asked is None) != split:
            module.fail_json(msg="Give cpupools, or numa_split: true, one of the two.")
        with contextlib.ExitStack() as stack:
            stack.enter_context(host_lock(module))
            topology = host_of(authoritative.ask([DOMAINS], lambda: open_xen(module)))
            journal = Journal()
            plan = control.plan_cpupools(
                topology,
                granularity.of_cpupools(topology),
                control.numa_split(topology) if split else asked,
                module.params["broken_affinity"],
                journal.load(None if module.check_mode else topology),
                module.params["by_way_of"],
            )
            refuse_risks(plan.risks, module.params["allow_known_faults"])
            notes = list(topology.warnings + plan.notes + plan.risks)
            if plan.steps and not module.check_mode:
                store = stack.enter_context(xenstore.Xenstore.open())
                hands = pool_steps.Hands(
                    stack.enter_context(open_xen(module)),
                    journal,
                    topology.complete_cpuset,
                    lambda pool, name: xenstore.name_cpupool(store, pool, name),
                    lambda: xenstore.cpupool_names(store),
                )
                notes += pool_steps.carry_out(
                    plan.steps, hands, lambda: pool_steps.check_cpupools(plan, hands)
                )
        for note in notes:
            module.warn(note)
        titles = {domain.domid: domain.name or "domid %d" % domain.domid for domain in topology.domains or ()}
        module.exit_json(
            changed=bool(plan.steps),
            cpupools=control.results(plan, titles),
            steps=[pool_steps.described(step) for step in plan.steps],
            diff=control.differences(plan, titles, topology.complete_cpuset),
        )


if __name__ == "__main__":
    main()
