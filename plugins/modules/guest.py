#!/usr/bin/python
# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: guest
short_description: Start, pause and stop guests, one after the other, where there is memory for them
description:
  - Brings guests into the states wanted, with C(xl). Everything is checked before anything is done.
  - Guests are created one at a time, under a lock of the host, because C(xl) decides about a guest's memory by what is free at that
    moment, and two that start together may be sent to the same NUMA node.
  - Free memory by node is read around each creation. What the creation took from each node is returned, and where O(guests[].nodes) says
    which nodes the memory shall come from, a guest that does not fit there is not created.
  - What C(xl) did is read back from the hypervisor; its exit status alone says little.
version_added: 0.1.0
author:
  - dom0.xen contributors (@dom0-xen)
extends_documentation_fragment:
  - dom0.xen._attributes
  - dom0.xen._attributes.changing_module
  - dom0.xen._attributes.actiongroup_xen
  - dom0.xen._requirements
  - dom0.xen._requirements.xl
attributes:
  check_mode:
    details:
      - A configuration that does not exist yet is a warning then, since an earlier task of the play may be the one that would write it.
  diff_mode:
    details:
      - One entry for each guest.
options:
  guests:
    description:
      - The guests, in the order in which they are to be seen to.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the guest.
        type: str
        required: true
      state:
        description:
          - V(running) creates the guest when it does not exist, and lets it go on when it is paused.
          - V(paused) creates it paused when it does not exist, and pauses it when it runs.
          - V(stopped) shuts it down cleanly and waits until it is gone. A guest that does not exist is stopped.
          - V(destroyed) ends it at once and waits until it is gone. A guest that does not exist is destroyed.
        type: str
        choices:
          - running
          - paused
          - stopped
          - destroyed
        default: running
      config:
        description:
          - Absolute path of the xl configuration to create it from. Needed only when it does not exist yet.
          - Its C(name) has to be that of the guest.
        type: path
      nodes:
        description:
          - The NUMA nodes that its memory is planned to come from. It is not created unless each of them has its share free.
          - This does not make Xen take the memory there; C(cpus) and C(cpus_soft) in the configuration do, see M(dom0.xen.guest_config).
        type: list
        elements: int
      memory:
        description:
          - How much memory it will have, for the check of O(guests[].nodes). A number is MiB, other sizes have a unit, for example
            V(512M) or V(4GiB).
          - Without it, C(memory) of the configuration counts.
          - What Xen needs beside it is added, 1 MiB for each vCPU, 4 KiB for each MiB, and 2 MiB.
        type: raw
      timeout:
        description:
          - Seconds to wait for a guest to shut down, or for Xen to take back the memory of one that has ended.
          - Creating a guest takes as long as it takes.
        type: int
        default: 600
      force:
        description:
          - With V(stopped), destroy the guest when it has not shut down in time, or is paused.
          - With V(running) and V(paused), destroy what is kept of a guest that has crashed or shut down, and create it anew.
        type: bool
        default: false
notes:
  - O(guests[].nodes) is compared with memory that is free at the moment. A host that takes memory from dom0 to make room for guests (autoballoon
    in C(xl.conf)) has little of it; give dom0 a fixed amount on Xen's command line.
  - RV(guests[].memory_delta_by_node) includes what else happened to the host's memory meanwhile. M(dom0.xen.domain_info) can tell exactly.
seealso:
  - module: dom0.xen.guest_config
  - module: dom0.xen.domain_info
  - module: dom0.xen.placement_plan
"""

EXAMPLES = r"""
- name: Have two guests running, the first with its memory on node 1
  dom0.xen.guest:
    guests:
      - name: web
        config: /etc/xen/web.cfg
        nodes: [1]
      - name: db
        config: /etc/xen/db.cfg
  become: true

- name: Shut a guest down, and destroy it after two minutes
  dom0.xen.guest:
    guests:
      - name: web
        state: stopped
        timeout: 120
        force: true
  become: true
"""

RETURN = r"""
guests:
  description: What became of each guest, in the order given. Sizes are in bytes.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      returned: success
      type: str
      sample: gst-list1
    domid:
      description: Its number, V(null) when it does not exist.
      returned: success
      type: int
      sample: 22
    changed:
      description: Whether anything was done, or in check mode would be.
      returned: success
      type: bool
      sample: true
    before:
      description: The state it was in, V(absent) when it did not exist.
      returned: success
      type: str
      sample: absent
    state:
      description: >-
        The state it is in at the end (in check mode, would be); V(running), V(blocked), V(paused), V(shutdown), V(crashed), V(dying),
        or V(absent).
      returned: success
      type: str
      sample: paused
    steps:
      description: What was done, or would be.
      returned: success
      type: list
      elements: str
      sample:
        - create_paused
    free_before:
      description: Free memory of each node right before it was created.
      returned: success
      type: dict
      sample:
        "0": 1306296320
        "1": 961400832
    free_after:
      description: Free memory of each node right after.
      returned: success
      type: dict
      sample:
        "0": 1306234880
        "1": 860700672
    memory_delta_by_node:
      description: What the creation took from each node. V(null) when it was not created.
      returned: success
      type: dict
      sample:
        "0": 61440
        "1": 100700160
done:
  description: The entries of RV(guests) that were finished before the failure.
  returned: when something went wrong in the middle
  type: list
  elements: dict
problems:
  description: One sentence for each guest that could not be had as wanted.
  returned: when something is wrong with more than one guest, or could be
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._control import guests as control
from ..module_utils._control.lock import host_lock
from ..module_utils._errors import Failure
from ..module_utils._module import failures, open_xen
from ..module_utils._toolstack import xenstore
from ..module_utils._toolstack.xl import DomainState, Xl
from ..module_utils._topology.derive import domain_state
from ..module_utils._xen import sysctl

if t.TYPE_CHECKING:
    from ..module_utils._xen.connection import Xen

NO_MEMORY = 0xFFFFFFFF


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    with failures(module):
        wanted = control.wanted_guests(module.params["guests"])
        with open_xen(module) as xen:
            if module.check_mode:
                decisions, warnings = _decide(wanted, xen, may_be_missing=True)
                results = control.forecast(decisions, _free_by_node(xen))
            else:
                with host_lock():
                    decisions, warnings = _decide(wanted, xen, may_be_missing=False)
                    control.forecast(decisions, _free_by_node(xen))
                    results = control.carry_out(decisions, _host(module, xen))
        for warning in warnings:
            module.warn(warning)
        module.exit_json(
            changed=any(result["changed"] for result in results),
            guests=results,
            diff=[control.difference(result) for result in results if result["changed"]],
        )


def argument_spec() -> t.Dict[str, t.Any]:
    return {
        "guests": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "name": {"type": "str", "required": True},
                "state": {"type": "str", "choices": list(control.STATES), "default": control.RUNNING},
                "config": {"type": "path"},
                "nodes": {"type": "list", "elements": "int"},
                "memory": {"type": "raw"},
                "timeout": {"type": "int", "default": control.PATIENCE},
                "force": {"type": "bool", "default": False},
            },
        },
    }


def _decide(
    wanted: t.Sequence[control.Wanted], xen: "Xen", may_be_missing: bool
) -> t.Tuple[t.List[control.Decision], t.List[str]]:
    configs = {guest.config: _read(guest.config) for guest in wanted if guest.config is not None}
    return control.decide(wanted, _domains(xen), configs, may_be_missing)


def _read(path: str) -> t.Union[bytes, OSError]:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        return error


def _domains(xen: "Xen") -> t.List[DomainState]:
    domains = sysctl.getdomaininfolist(xen)
    with xenstore.Xenstore.open() as store:
        names = xenstore.domain_names(store, [domain.domain for domain in domains])
    return [
        DomainState(
            domain.domain,
            names.get(domain.domain),
            domain_state(domain.flags),
            domain.handle,
            domain.cpu_time,
        )
        for domain in domains
    ]


def _free_by_node(xen: "Xen") -> t.Dict[int, int]:
    return {node: free for node, free in enumerate(sysctl.numainfo(xen).memfree) if free != NO_MEMORY}


def _host(module: AnsibleModule, xen: "Xen") -> control.Host:
    executable = module.get_bin_path("xl")
    if executable is None:
        raise Failure("there is no xl on this host: install Xen's toolstack (xen-utils-common on Debian)")

    def run_command(argv: t.List[str]) -> t.Tuple[int, str, str]:
        rc, out, err = module.run_command(argv, environ_update={"LC_ALL": "C", "LANGUAGE": "C"})
        return rc, out, err

    return control.Host(
        xl=Xl(run_command, lambda: _domains(xen), executable),
        free_by_node=lambda: _free_by_node(xen),
    )


if __name__ == "__main__":
    main()
