#!/usr/bin/python
# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: pcpu
short_description: Physical CPUs of a Xen host, online or offline, and SMT
description:
  - Takes CPUs offline, brings them online, and switches SMT, that is the second threads of all cores, while Xen runs.
  - When no CPU remains of those that a guest's hard affinity allows, Xen lets the guest run on all of them, for good and without saying so.
    The module looks first. It refuses and names those guests, or sets their affinity to CPUs that remain, as asked.
  - A CPU in a cpupool other than the first one is taken out of it before it goes offline. When a CPU comes online, it joins the first one.
  - When a step fails, those before it are undone, last first.
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
  offline:
    description:
      - CPUs that shall be offline, written as in O(dom0.xen.vcpu_affinity#module:affinities[].hard), for example V(core:1.3) or V(6-7).
      - Never CPU 0, and never the last CPU of a cpupool with guests.
    type: raw
  online:
    description:
      - CPUs that shall be online, written likewise.
      - CPUs that neither option names stay as they are.
    type: raw
  smt:
    description:
      - V(true) brings the second threads of all cores online, except those that O(offline) names. V(false) takes them offline.
      - Not possible when Xen was booted with C(sched-gran=core) or C(sched-gran=socket).
    type: bool
  broken_affinity:
    description:
      - What to do about guests whose hard affinity would have no CPU left.
      - V(refuse) changes nothing and names them.
      - V(nearest) lets them run on what remains of the NUMA nodes that they were restricted to, else on the nodes nearest to those.
      - Anything else names the CPUs for them.
    type: raw
    default: refuse
notes:
  - A CPU that was in a cpupool other than the first one does not go back there when it comes online again. The module M(dom0.xen.cpupool)
    puts it there.
  - The next boot brings everything back as Xen's command line has it (C(smt), C(maxcpus)).
seealso:
  - module: dom0.xen.cpupool
  - module: dom0.xen.vcpu_affinity
"""

EXAMPLES = r"""
- name: Run one thread of each core
  dom0.xen.pcpu:
    smt: false
    broken_affinity: nearest
  become: true

- name: Take a core that reports errors out of use
  dom0.xen.pcpu:
    offline: core:1.3
  become: true

- name: Have all CPUs back
  dom0.xen.pcpu:
    online: all
  become: true
"""

RETURN = r"""
recovered:
  description: One sentence for each guest whose affinity a killed run of M(dom0.xen.cpupool) had left lifted, and which has it again.
  returned: success
  type: list
  elements: str
  sample: []
online:
  description: The CPUs that are online, or in check mode would be.
  returned: success
  type: str
  sample: 0-5,7
offline:
  description: Those that are not.
  returned: success
  type: str
  sample: "6"
online_before:
  description: The CPUs that were online.
  returned: success
  type: str
  sample: 0-7
affinities:
  description: The guests whose hard affinity was set anew since it would have had no CPU left, each with its virtual CPUs.
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
    vcpus:
      description: The virtual CPUs, with the masks that were found and those that are set now.
      returned: success
      type: list
      elements: dict
      sample:
        - {vcpu: 0, hard_before: "6", hard: "4-5,7"}
steps:
  description: What was done, or in check mode would be, one sentence for each step, in their order.
  returned: success
  type: list
  elements: str
  sample:
    - affinity of web (domid 3) set
    - CPU 6 taken offline
rolled_back:
  description: Steps that were undone, since a later one failed.
  returned: failure after something was done
  type: list
  elements: str
  sample:
    - CPU 6 taken offline
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
    - hard affinity 6 of vCPU 0 of web (domid 3) would have no CPU any more (there are 0-5,7)
"""

import contextlib

from ..module_utils._changing import LOCK_ARGUMENTS, host_lock
from ..module_utils._control import granularity, pool_steps
from ..module_utils._control import pcpus as control
from ..module_utils._control.journal import Journal
from ..module_utils._control.risks import refuse_risks
from ..module_utils._module import FAULT_ARGUMENTS, WRITING_ARGUMENTS, Module, failures, open_xen
from ..module_utils._settled import settled


def main() -> None:
    """Plan, then carry out unless only a check was asked for."""
    module = Module(
        argument_spec={
            "offline": {"type": "raw"},
            "online": {"type": "raw"},
            "smt": {"type": "bool"},
            "broken_affinity": {"type": "raw", "default": "refuse"},
            **FAULT_ARGUMENTS,
            **LOCK_ARGUMENTS,
            **WRITING_ARGUMENTS,
        },
        required_one_of=[("offline", "online", "smt")],
        supports_check_mode=True,
    )
    with failures(module), contextlib.ExitStack() as stack:
        stack.enter_context(host_lock(module))
        finished = settled(module)
        topology = finished.topology
        plan = control.plan_pcpus(
            topology,
            granularity.of_cpupools(topology),
            module.params["online"],
            module.params["offline"],
            module.params["smt"],
            module.params["broken_affinity"],
        )
        refuse_risks(plan.risks, module.params["allow_known_faults"])
        notes = list(topology.warnings + plan.notes + plan.risks) + finished.notes
        everything = topology.complete_cpuset
        if plan.steps and not module.check_mode:
            hands = pool_steps.Hands(stack.enter_context(open_xen(module)), Journal(), everything)
            notes += pool_steps.carry_out(
                plan.steps, hands, lambda: pool_steps.check_online(plan.after, hands)
            )
        for note in notes:
            module.warn(note)
        module.exit_json(
            changed=bool(plan.steps or finished.recovered),
            recovered=finished.recovered,
            online=str(plan.after),
            offline=str(everything - plan.after),
            online_before=str(plan.before),
            affinities=control.affinity_results(plan, everything),
            steps=[pool_steps.described(step) for step in plan.steps],
            diff=finished.diff + control.differences(plan, everything),
        )


if __name__ == "__main__":
    main()
