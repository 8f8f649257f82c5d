#!/usr/bin/python
# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: guest
short_description: Start, stop, restart and move guests, one after the other, where there is memory for them
description:
  - Brings guests into the states wanted, with C(xl). Everything is checked before anything is done.
  - Xen never moves the memory of a guest. O(guests[].state=moved) has a guest arrive anew, with its state, on other NUMA nodes of its host.
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
  - dom0.xen._source.locking
  - dom0.xen._requirements
  - dom0.xen._requirements.xl
  - dom0.xen._source.writing
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
          - V(restarted) shuts it down cleanly and creates it again from O(guests[].config), always. A guest that does not exist is created. Where
            O(guests[].nodes) could not have its memory again, it is not shut down.
          - V(moved) has the memory of a guest that runs on O(guests[].nodes), its state kept. Where it is there already nothing is done. What
            there is of it elsewhere counts when it is more than 16 MiB, or more than a quarter of the guest.
          - V(absent) ends it as V(stopped) does, removes what is kept of one that has ended, and removes O(guests[].config), if that is given,
            with links to it in C(/etc/xen/auto).
        type: str
        choices:
          - running
          - paused
          - stopped
          - destroyed
          - restarted
          - moved
          - absent
        default: running
      config:
        description:
          - Absolute path of the xl configuration to create it from. Needed when it does not exist yet, and for V(restarted) and V(moved).
          - Its C(name) has to be that of the guest.
          - With V(moved) it is what the guest goes on with, so its C(cpus) or C(cpus_soft) have to lead to O(guests[].nodes). UUID, memory and
            network addresses are taken from the running guest.
        type: path
      nodes:
        description:
          - The NUMA nodes that its memory is planned to come from. It is not created unless each of them has its share free.
          - This does not make Xen take the memory there; C(cpus) and C(cpus_soft) in the configuration do, see M(dom0.xen.guest_config).
          - Required for V(moved).
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
          - With V(stopped), V(absent) and V(restarted), destroy the guest when it has not shut down in time, cannot be asked to, or is paused.
          - With V(running), V(paused) and V(restarted), destroy what is kept of a guest that has crashed or shut down, and create it anew.
          - With V(running), let a guest go on that somebody has suspended to save or migrate it. Give it only where nobody is at that
            any more.
        type: bool
        default: false
      move_by:
        description:
          - How V(moved) does it. Both ways need memory for the guest on O(guests[].nodes), and the guest's cooperation, which Linux gives.
          - V(live) migrates the guest to the host that it is on, while it runs. Xen needs log-dirty mode for it, which PV guests have only
            where Xen is built with shadow paging (Debian's is not).
          - V(save) saves the guest to O(save_dir) and restores it from there. It stands still meanwhile. The guest as it was is kept, paused,
            until its successor is seen to be on the right nodes, and goes on if that fails. Where there is no room for both, it is ended first,
            and the saved file is kept until the successor runs.
          - V(auto) takes V(save) for PV guests and V(live) for others, then V(save) if that fails while the guest runs on.
        type: str
        choices:
          - auto
          - live
          - save
        default: auto
      saved:
        description:
          - What becomes of the guest's memory where a move of it was interrupted after it had been saved, and it is not certain that the guest has not
            run since (the host has booted, the guest was created anew, its disks have changed). Nothing is restored by itself then, as memory that
            is older than a guest's disks destroys what is on them. A task that would create the guest fails, and names the saved file; a guest that
            runs stays, and RV(left) names the file.
          - V(discard) removes the file, and ends what is left of the guest as it was.
          - V(restore) has the guest go on from it. Give it only where the guest has certainly not run since.
          - Without such a file it does nothing.
        type: str
        choices:
          - discard
          - restore
  save_dir:
    description:
      - The folder for saved guests, with room for the memory of one. It is made, for root alone, if it is not there. A folder that others than
        root can write to is refused, and so is the one that C(xendomains) restores at boot, C(/var/lib/xen/save).
    type: path
    default: /var/lib/dom0-xen/saves
notes:
  - Whatever goes wrong while a guest is moved, it goes on as before, or the failure says where its state is. That holds for a run that is told to end
    (C(SIGTERM), C(SIGHUP)), too.
  - A run that is killed leaves each guest as it was, as it should be, or, while it is moved, with its state in a paused or suspended domain or
    a saved file. The next task that names the guest finishes the move, or takes it back, before it does what it is asked to, where that is certain
    to be the guest's newest state; else see O(guests[].saved). V(destroyed) and V(absent) restore nothing.
    C(/var/lib/dom0-xen) holds what it has to know for that. An C(xl) that is still at work keeps the lock of the host.
  - The C(xl) that watches over a guest ends when the guest is suspended. One that goes on after that, since its move was taken back, has nobody
    who acts on its C(on_poweroff), C(on_reboot) and C(on_crash) until it is moved or restarted, as no command of C(xl) brings a watcher back. A
    warning says so.
  - A guest that an C(xl) was building when it was killed is destroyed and created anew. So is a domain destroyed that a killed C(xl) had not
    even named; it would hold its memory for ever.
  - V(moved) presses Xen's debug key C(u) to see where memory is, see the warning of O(dom0.xen.domain_info#module:memory_by_node).
  - Guests with PCI devices or virtual NUMA nodes cannot be moved with their state, and are refused.
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

- name: Move the memory of a running guest to node 0, its state kept
  dom0.xen.guest:
    guests:
      - name: db
        state: moved
        config: /etc/xen/db.cfg
        nodes: [0]
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
        The state it is in at the end (in check mode, would be); V(running), V(blocked), V(paused), V(suspended), V(shutdown),
        V(crashed), V(dying), or V(absent).
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
    moved_by:
      description: How it was moved, V(live) or V(save). V(null) when it was not.
      returned: success
      type: str
      sample: save
    note:
      description: Why it was not moved live, when that was tried first.
      returned: success
      type: str
      sample: null
    memory_before_by_node:
      description: Where its memory was. V(null) unless O(guests[].state=moved).
      returned: success
      type: dict
      sample:
        "0": 100663296
        "1": 0
    memory_by_node:
      description: Where its memory is (in check mode, would be) after it was moved. V(null) when it was not.
      returned: success
      type: dict
      sample:
        "0": 0
        "1": 100663296
recovered:
  description:
    - One sentence for each guest whose move had been interrupted, and was finished or taken back.
    - And for each whose affinity a killed run of M(dom0.xen.cpupool) had left lifted, and which has it again.
    - And for each domain that a killed C(xl) had begun to build and not yet named. It was destroyed, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: []
left:
  description:
    - Guests whose move was interrupted, and of which it is for the user to say what becomes of them as they were, see O(guests[].saved). C(message) has
      it in one sentence.
  returned: success, and when the task fails because of them
  type: list
  elements: dict
  contains:
    name:
      description: The guest's name.
      returned: success
      type: str
      sample: db
    file:
      description: The file that its memory was saved to, V(null) when that is not whole.
      returned: success
      type: str
      sample: /var/lib/dom0-xen/saves/ea32f8cc-a707-41d4-bc07-b0062b99057a.save
    begun:
      description: When that move began, in UTC. V(null) when a former version of this collection began it.
      returned: success
      type: str
      sample: "2026-12-01T07:29:40Z"
    reason:
      description: Why nothing was done by itself.
      returned: success
      type: str
      sample: the host has booted since
    message:
      description: All of it.
      returned: success
      type: str
saved_file:
  description: Where the state of a guest is that could not be restored.
  returned: when the saved file is all there is of a guest
  type: str
  sample: /var/lib/dom0-xen/saves/ea32f8cc-a707-41d4-bc07-b0062b99057a.save
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

import contextlib
import errno
import fcntl
import os
import signal
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._changing import LOCK_ARGUMENTS, host_lock
from ..module_utils._control import disks, guest_plan, move_journal, move_plan, remains
from ..module_utils._control import guests as control
from ..module_utils._control.config import hide_values
from ..module_utils._control.journal import Journal
from ..module_utils._control.lock import as_stdin
from ..module_utils._control.move_ways import Suspension
from ..module_utils._errors import Failure
from ..module_utils._module import WRITING_ARGUMENTS, Module, failures, open_xen
from ..module_utils._toolstack import command, xenstore, xlcfg
from ..module_utils._toolstack.xl import DomainState, Xl
from ..module_utils._topology.guests import domain_state, uuid_text
from ..module_utils._xen import numa_dump, suspended, sysctl

if t.TYPE_CHECKING:
    from ..module_utils._control.finish import Finished
    from ..module_utils._xen.connection import Xen

NO_MEMORY = 0xFFFFFFFF
PAGE = 4096
#: What xl holds while it builds a domain.
XL_LOCK = "/var/lock/xl"
AUTO_START = "/etc/xen/auto"


def main() -> None:
    module = Module(argument_spec=argument_spec(), supports_check_mode=True)
    with failures(module):
        wanted = guest_plan.wanted_guests(module.params["guests"])
        with open_xen(module) as xen:
            host = _host(module, xen)
            done = {"recovered": [], "left": []}  # type: t.Dict[str, t.List[t.Any]]
            if module.check_mode:
                pools = _finish_pools(module)
                interrupted = _mend(wanted, host, done, act=False)
                done["recovered"] += remains.sweep(host, act=False)
                decisions, warnings = _decide(wanted, host, True, interrupted)
                results = control.forecast(decisions, host.free_by_node())
            else:
                with host_lock(module) as lock, as_stdin(t.cast(int, lock)), _ended_by_signals(), _saying(
                    done
                ):
                    pools = _finish_pools(module)
                    _mend(wanted, host, done, act=True)
                    # After the moves, which know of their own half-built domains.
                    done["recovered"] += remains.sweep(host, act=True)
                    decisions, warnings = _decide(wanted, host, False)
                    control.forecast(decisions, host.free_by_node())
                    results = control.carry_out(decisions, host)
        done["recovered"] += pools.recovered if pools else []
        for warning in warnings + (pools.notes if pools else []):
            module.warn(warning)
        module.exit_json(
            changed=bool(done["recovered"]) or any(result["changed"] for result in results),
            guests=results,
            diff=(pools.diff if pools else [])
            + [control.difference(result) for result in results if result["changed"]],
            **done,
        )


def _mend(
    wanted: t.Sequence[guest_plan.Wanted], host: control.Host, done: t.Dict[str, t.List[t.Any]], act: bool
) -> t.FrozenSet[str]:
    """See to moves whose run was killed; with `act` False, the guests that something would be done for."""
    found, damaged = move_journal.look(host.folders.journals)
    for path in damaged:
        host.warn(
            "{0} should say that a move was begun, and cannot be read: see whether a guest stands still (xl list), and whether a file with its "
            "UUID is in the folder for saved guests, then remove it".format(path)
        )
    if not found:
        return frozenset()
    # Few hosts need it, and Python compiles anew what Ansible sends.
    from ..module_utils._control.interrupted import mend

    mended = mend(found, wanted, host.ways(), act)
    for warning in mended.warnings:
        host.warn(warning)
    done["recovered"] += mended.recovered
    done["left"] += mended.left
    return mended.interrupted


@contextlib.contextmanager
def _saying(done: t.Dict[str, t.List[t.Any]]) -> t.Iterator[None]:
    """Within it, a Failure, and a signal that ends this, also says what was done of what an earlier run had left."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Failure(
            "this run was told to end ({0}); no guest stands still because of that, unless a warning says so: run it again".format(
                error
            ),
            changed=True,
            **done,
        ) from error
    except Failure as failure:
        for key, value in done.items():
            failure.result.setdefault(key, value)
        failure.result["changed"] = bool(failure.result.get("changed") or done["recovered"])
        raise


@contextlib.contextmanager
def _ended_by_signals() -> t.Iterator[None]:
    """Within it, a signal that ends this ends it as Ctrl-C does: on the way out a guest that is being moved goes on."""
    signals = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def end(number: int, _frame: t.Any) -> None:
        for one in signals:
            # The way out is not to be ended, too. Not SIG_IGN, which what is started would inherit.
            signal.signal(one, lambda _number, _frame: None)
        raise KeyboardInterrupt("signal {0}".format(number))

    before = [signal.signal(one, end) for one in signals]
    try:
        yield
    finally:
        for one, handler in zip(signals, before):
            signal.signal(one, handler)


def _finish_pools(module: AnsibleModule) -> "t.Optional[Finished]":
    """Put back affinity that a killed run of cpupool has left lifted; None, and nothing asked, where none was killed."""
    if not Journal().load():
        return None
    # Few hosts need it, and Python compiles anew what Ansible sends.
    from ..module_utils._unfinished import finish

    return finish(module)


def argument_spec() -> t.Dict[str, t.Any]:
    return {
        "guests": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "name": {"type": "str", "required": True},
                "state": {"type": "str", "choices": list(guest_plan.STATES), "default": guest_plan.RUNNING},
                "config": {"type": "path"},
                "nodes": {"type": "list", "elements": "int"},
                "memory": {"type": "raw"},
                "timeout": {"type": "int", "default": guest_plan.PATIENCE},
                "force": {"type": "bool", "default": False},
                "move_by": {"type": "str", "choices": list(move_plan.WAYS), "default": move_plan.AUTO},
                "saved": {"type": "str", "choices": list(guest_plan.SAVED_CHOICES)},
            },
        },
        "save_dir": {"type": "path", "default": move_journal.SAVE_FOLDER},
        **LOCK_ARGUMENTS,
        **WRITING_ARGUMENTS,
    }


def _decide(
    wanted: t.Sequence[guest_plan.Wanted],
    host: control.Host,
    may_be_missing: bool,
    interrupted: t.FrozenSet[str] = frozenset(),
) -> t.Tuple[t.List[guest_plan.Decision], t.List[str]]:
    configs = {guest.config: _read(guest.config) for guest in wanted if guest.config is not None}
    domains = host.xl.domains()
    known = guest_plan.Known(
        host.memory,
        host.xl.configuration,
        interrupted,
        host.free_by_node(),
        _lost_names(domains),
        lambda config: disks.identities(disks.of_config(config)),
        lambda: _held(host.xl.domains()),
    )
    return guest_plan.decide(wanted, domains, configs, may_be_missing, known)


def _lost_names(domains: t.Sequence[DomainState]) -> t.Dict[int, str]:
    """Names that libxl has written down of domains that xenstore has none for."""
    found = {
        domain.domid: disks.of_record(domain.domid, uuid_text(domain.uuid))[0]
        for domain in domains
        if domain.name is None and domain.domid != 0
    }
    return {domid: name for domid, name in found.items() if name is not None}


def _held(domains: t.Sequence[DomainState]) -> t.Dict[disks.Identity, int]:
    """Which domain writes to what."""
    found = {}  # type: t.Dict[disks.Identity, int]
    unknown = []
    for domain in domains:
        if domain.domid == 0 or domain.gone:
            continue
        own = disks.of_record(domain.domid, uuid_text(domain.uuid))[1]
        if own is None:
            unknown.append(domain.domid)
        else:
            found.update(dict.fromkeys(disks.identities(own), domain.domid))
    if unknown:
        with xenstore.Xenstore.open() as store:
            for domid in unknown:
                found.update(dict.fromkeys(disks.identities(disks.of_xenstore(store, domid)), domid))
    return found


def _holders(paths: t.Sequence[str], domains: t.Sequence[DomainState]) -> t.Set[int]:
    held = _held(domains)
    return {held[one] for path in paths for one in disks.identity(path) if one in held}


def _read(path: str) -> t.Union[bytes, OSError]:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        return error


def _hide(path: str, output: str) -> str:
    data = _read(path)
    return "" if isinstance(data, OSError) else hide_values(xlcfg.decode(data), output)


def _domains(xen: "Xen") -> t.List[DomainState]:
    domains = sysctl.getdomaininfolist(xen)
    with xenstore.Xenstore.open() as store:
        names = xenstore.domain_names(store, [domain.domain for domain in domains])
    return [
        DomainState(
            domain.domain,
            names.get(domain.domain),
            _state(domain.flags),
            domain.handle,
            domain.cpu_time,
            domain.tot_pages * PAGE,
            domain.cpu_time > 0 or _is_made(domain.domain, domain.handle),
        )
        for domain in domains
    ]


def _state(flags: int) -> str:
    state = domain_state(flags)
    return "suspended" if state == "shutdown" and suspended.is_suspended(flags) else state


def _is_made(domid: int, handle: str) -> bool:
    """Whether a domain is built; False when it is not and nobody is at it.

    libxl records each that it has built; without its record of dom0 it is not in use. While an xl of somebody else builds, wait for it.
    """
    if not os.path.exists(disks.RECORD.format(0, uuid_text("0" * 32))):
        return True
    record = disks.RECORD.format(domid, uuid_text(handle))
    deadline = time.monotonic() + guest_plan.PATIENCE
    while not os.path.exists(record):
        if not _xl_builds():
            # It may have become ready between the two looks.
            return os.path.exists(record)
        if time.monotonic() > deadline:
            return True
        time.sleep(0.25)
    return True


def _xl_builds() -> bool:
    """Whether an xl is creating or restoring a guest, by the lock (fcntl) that it holds until then."""
    try:
        with open(XL_LOCK, "r+b") as stream:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return True
        raise
    return False


def _free_by_node(xen: "Xen") -> t.Dict[int, int]:
    return {node: free for node, free in enumerate(sysctl.numainfo(xen).memfree) if free != NO_MEMORY}


def _memory(xen: "Xen") -> t.Dict[int, t.Dict[int, int]]:
    return {
        domid: {node: pages * PAGE for node, pages in by_node.items()}
        for domid, by_node in numa_dump.memory_by_node(xen).items()
    }


def _resume(xen: "Xen", domid: int) -> None:
    suspended.resume(xen, domid)
    with xenstore.Xenstore.open() as store:
        store.resumed(domid)


def _recall(domid: int) -> bool:
    with xenstore.Xenstore.open() as store:
        return xenstore.recall_suspend(store, domid)


def _remove(path: str) -> None:
    """Remove a configuration, and the links that have it started with the host."""
    real = os.path.realpath(path)
    if os.path.isdir(AUTO_START):
        for name in os.listdir(AUTO_START):
            link = os.path.join(AUTO_START, name)
            if os.path.islink(link) and os.path.realpath(link) == real:
                os.unlink(link)
    os.unlink(path)


def _host(module: AnsibleModule, xen: "Xen") -> control.Host:
    executable = module.get_bin_path("xl")
    if executable is None:
        raise Failure("there is no xl on this host: install Xen's toolstack (xen-utils-common on Debian)")

    return control.Host(
        xl=Xl(command.run, lambda: _domains(xen), executable, _hide, limited=True),
        free_by_node=lambda: _free_by_node(xen),
        clock=time.monotonic,
        sleep=time.sleep,
        memory=lambda: _memory(xen),
        folders=move_journal.Folders(move_journal.FOLDER, module.params["save_dir"]),
        suspension=Suspension(lambda domid: _resume(xen, domid), _recall),
        remove=_remove,
        warn=module.warn,
        holders=lambda paths: _holders(paths, _domains(xen)) if paths else (),
    )


if __name__ == "__main__":
    main()
