#!/usr/bin/python
# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: guest_config
short_description: Placement keys in the xl configurations of guests
description:
  - Sets, in the configuration files that C(xl) creates guests from, the keys that decide where a guest's vCPUs and memory will be.
  - Files are read by the grammar of C(xl) itself. Only the values concerned are changed. Every other byte, comments and layout included,
    stays as it is, and a key that already has the wanted value is not touched, however it is written.
  - Many files can be given in one task. All are checked before the first is written, and each is replaced in one step, its owner, mode
    and security context kept.
  - A single text for C(cpus) in a file, as in C(cpus="0-3"), makes C(xl) choose a NUMA node for the memory without regard to these CPUs.
    This module never writes it, and where it finds it without C(cpus_soft), turns it into a list with one entry for each vCPU.
  - C(xl) before 4.22 takes no notice of C(cpus) and C(cpus_soft) in a file that does not set C(vcpus). Where one of them is and no number
    of vCPUs, C(vcpus) is set to C(xl)'s default, 1.
  - The configuration is used when a guest is created. What runs already is not changed; see M(dom0.xen.vcpu_affinity) for that.
version_added: 0.1.0
author:
  - dom0.xen contributors (@dom0-xen)
extends_documentation_fragment:
  - dom0.xen._attributes
  - dom0.xen._attributes.changing_module
  - dom0.xen._attributes.actiongroup_xen
  - dom0.xen._source.locking
attributes:
  diff_mode:
    details:
      - One entry for each file, a line a setting. Only values that cannot be, or have in them, a password are shown, which are those that this
        module sets and a few more; of the others it says whether they change. Comments are not shown.
options:
  guests:
    description:
      - The files, and what shall be in them. A key that is not given stays as it is in the file.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Absolute path of the configuration. A symbolic link is followed, so that links for automatic start stay links.
        type: path
        required: true
      content:
        description:
          - What the file is made of, in the language of xl.cfg(5); the other options are set on top of it.
          - Without it, the file has to exist, and its own content is the base.
          - A new file belongs to the user that the module runs as, with mode C(0600) unless O(guests[].mode) or O(mode) says otherwise, as there may be
            passwords in it.
          - It appears nowhere in what Ansible prints.
        type: str
      name:
        description: The name of the guest.
        type: str
      vcpus:
        description: How many vCPUs the guest starts with.
        type: int
      maxvcpus:
        description: How many vCPUs it can have at most.
        type: int
      memory:
        description: Memory that it starts with, in MiB.
        type: int
      maxmem:
        description: Memory that it can have at most, in MiB.
        type: int
      cpus:
        description:
          - Which CPUs the vCPUs may run on (hard affinity).
          - A text, or a number, is for all vCPUs, a list has one entry for each, as many as C(maxvcpus) or else C(vcpus) says. An empty
            list removes the key.
          - Entries are what C(xl) understands, for example V(0-3,8) or V(all,^0), and V(node:1), V(package:0) or V(core:0.3), which are turned
            into CPU numbers by this host's topology. C(xl) itself reads no CPU from 64 on (8 on Arm) from V(node:1), so that where a file has
            it and the host has such CPUs there, it is turned into numbers as well.
          - What names no CPU is refused, also where a file has it.
          - It is always written as a list with one entry for each vCPU, also for V(all). C(xl) then leaves the nodes for the memory to
            Xen, which takes those of the CPUs.
        type: raw
      cpus_soft:
        description: Which CPUs the vCPUs run on preferably (soft affinity). Written like O(guests[].cpus).
        type: raw
      pool:
        description: The cpupool that the guest runs in. An empty text removes the key.
        type: str
      cpu_weight:
        description: Its share of CPU time against other guests, from V(1) to V(65535). Xen's default is 256.
        type: int
      cap:
        description: The most CPU time that it gets, in percent of one CPU. V(0) is no limit.
        type: int
      vnuma:
        description:
          - The guest's own NUMA nodes, each with memory of exactly one node of the host. An empty list removes the key.
          - This is for HVM guests. C(xl) refuses it for PV guests, which is an error here, and fails to build a PVH guest with it, which is a
            warning.
          - The sizes together have to be C(maxmem), or else C(memory), and each vCPU has to be in one node.
          - Xen takes the memory from these nodes and from no other; a guest for which one of them has not enough is not created. It cannot be saved
            or migrated.
        type: list
        elements: dict
        suboptions:
          node:
            description: The host's NUMA node that the memory comes from. The vCPUs get soft affinity to its CPUs unless C(cpus_soft) is set.
            type: int
            required: true
          memory:
            description: Memory of the virtual node, in MiB.
            type: int
            required: true
          vcpus:
            description: Its vCPUs, for example V(0-3), or a list of numbers.
            type: raw
            required: true
          distances:
            description: Distances to each virtual node, in their order, in SLIT units. Without them 10 and 20 are taken.
            type: list
            elements: int
      keep_vnuma:
        description:
          - Leave O(guests[].vnuma) in the file as it is where it is for the same nodes of the host, and has the same memory and the same vCPUs
            together, however they are shared out, also when O(guests[].content) lacks it. For guests that run, since it was decided when they were
            started.
        type: bool
        default: false
      owner:
        description: Owner of this file, see O(owner).
        type: str
      group:
        description: Group of this file, see O(group).
        type: str
      mode:
        description: Mode of this file, see O(mode).
        type: raw
  owner:
    description:
      - Name or number of the user that the files shall belong to. Without it a file that exists keeps its owner.
      - O(owner), O(group) and O(mode) hold for all files that do not say otherwise themselves.
    type: str
  group:
    description: Name or number of the group that the files shall belong to. Without it a file that exists keeps its group.
    type: str
  mode:
    description:
      - The permissions that the files shall have, as M(ansible.builtin.copy) takes them, for example V('0640') or V(u=rw,g=r). Quote octal numbers.
      - A file that exists gets them before anything is written to it. Without O(mode) it keeps those that it has, and a new file has C(0600).
    type: raw
  backup:
    description:
      - Keep a copy of each file that is changed, beside it. Its name ends in the date and C(~), and begins with a dot in a folder called
        C(auto), because everything else there is started when the host boots.
    type: bool
    default: false
requirements:
  - for V(node:), V(package:) and V(core:) in CPU expressions only, what M(dom0.xen.topology_facts) needs
notes:
  - A warning names the keys of a file that no C(xl) knows, such as C(maxcpus), which it passes over without a word.
  - Escapes in strings are understood as C(xl) does. A file that C(xl) would refuse is refused, with line and column.
  - Nothing of a configuration is in the result but the values of the keys that this module sets, as far as they look like what belongs there;
    O(guests[].content) is not even among the arguments that Ansible prints with C(-vvv), and messages about what C(xl) could not read say the
    place and do not quote it. The module does not write its arguments to the system's log.
  - Like M(dom0.xen.guest), it holds a lock of the host while it works, so that two plays do not get into each other's way.
seealso:
  - module: dom0.xen.guest
  - module: dom0.xen.vcpu_affinity
  - module: dom0.xen.placement_plan
"""

EXAMPLES = r"""
- name: Let two guests run on node 1, and prefer CPUs 0-3 for a third
  dom0.xen.guest_config:
    guests:
      - path: /etc/xen/web.cfg
        cpus: node:1
      - path: /etc/xen/db.cfg
        vcpus: 4
        memory: 4096
        cpus: node:1
      - path: /etc/xen/build.cfg
        cpus: []
        cpus_soft: 0-3
    backup: true
  become: true

- name: Write a new configuration
  dom0.xen.guest_config:
    guests:
      - path: /etc/xen/mail.cfg
        content: |
          type = "pvh"
          kernel = "/boot/vmlinuz-guest"
          disk = [ "/dev/vg0/mail,raw,xvda,rw" ]
        name: mail
        vcpus: 2
        memory: 1024
        cpus: ["4", "5"]
  become: true

- name: Give a guest that is larger than any node two NUMA nodes of its own
  dom0.xen.guest_config:
    guests:
      - path: /etc/xen/large.cfg
        vcpus: 8
        memory: 65536
        maxmem: 65536
        vnuma:
          - {node: 0, memory: 32768, vcpus: 0-3, distances: [10, 21]}
          - {node: 1, memory: 32768, vcpus: 4-7, distances: [21, 10]}
  become: true

- name: Repair what has a single text for cpus, and change nothing else
  dom0.xen.guest_config:
    guests:
      - path: /etc/xen/old.cfg
  become: true
"""

RETURN = r"""
guests:
  description: What became of each file, in the order given.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      returned: success
      type: str
      sample: /etc/xen/list1.cfg
    changed:
      description: Whether it was, or in check mode would be, written.
      returned: success
      type: bool
      sample: true
    repaired:
      description: Whether something was changed that the task did not ask for.
      returned: success
      type: bool
      sample: true
    reasons:
      description: Why.
      returned: success
      type: list
      elements: str
      sample:
        - >-
          cpus was a single string, with which xl chooses a node for the memory by itself, often another one than that of the CPUs; as a
          list, with one entry for each vCPU, memory follows the CPUs
    before:
      description: The placement keys that the file had.
      returned: success
      type: dict
      sample:
        name: gst-str1
        vcpus: 2
        memory: 96
        cpus: 4-7
    after:
      description: The placement keys that it has now.
      returned: success
      type: dict
      sample:
        name: gst-list1
        vcpus: 2
        memory: 96
        cpus: ["4-7", "4-7"]
    backup_file:
      description: The copy of what was there before.
      returned: when O(backup) is set and the file existed and was changed
      type: str
      sample: /etc/xen/list1.cfg.1232.2026-11-25@03:24:01~
done:
  description: The entries of RV(guests) that were written before the failure.
  returned: when a file could not be written
  type: list
  elements: dict
"""

import functools
import os
import platform
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._changing import LOCK_ARGUMENTS, host_lock
from ..module_utils._control import config, files
from ..module_utils._module import Module, failures, open_xen
from ..module_utils._toolstack import xlcfg, xlkeys


def main() -> None:
    # Configurations may have passwords: arguments are not written to the system's log.
    module = _Module(argument_spec=argument_spec(), supports_check_mode=True, no_log=True)
    with failures(module):
        if module.check_mode:
            changes = _plan(module)
            guests = [config.result(change) for change in changes]
        else:
            with host_lock(module):
                changes = _plan(module)
                guests = config.apply_configs(
                    changes,
                    write=_write,
                    backup=functools.partial(_backup, module) if module.params["backup"] else None,
                    own=lambda path: _own(module, path, None),
                )
        for change in changes:
            for warning in change.warnings:
                module.warn("{0}: {1}".format(change.path, warning))
            unknown = xlkeys.unknown_keys(xlcfg.parse(change.after).keys())
            if unknown:
                module.warn(
                    "{0}: xl knows no key {1}, and passes over it".format(change.path, ", ".join(unknown))
                )
        module.exit_json(
            changed=any(guest["changed"] for guest in guests),
            guests=guests,
            diff=[config.difference(change) for change in changes if change.changed],
        )


class _Module(Module):
    """One that says what it was called with, but for the configurations in it.

    Not the parameter's no_log: what Ansible does with that stars out the value wherever it is, and a configuration may be as short as "a=1".
    """

    def _load_params(self) -> None:
        super()._load_params()
        # What Ansible itself hands over ("fuse", for one) is no configuration.
        given = {key: value for key, value in self.params.items() if not key.startswith("_ansible_")}
        self._texts = sorted(_texts_of(given), key=len, reverse=True)

    def exit_json(self, **result: t.Any) -> None:
        super().exit_json(invocation=self._invocation(), **result)

    def fail_json(self, msg: str, **result: t.Any) -> None:
        # Where an argument has not its type, Ansible quotes it.
        for text in self._texts:
            for spelled in (text, repr(text)[1:-1]):
                msg = msg.replace(spelled, config.HIDDEN)
        super().fail_json(msg, invocation=self._invocation(), **result)

    def _invocation(self) -> t.Dict[str, t.Any]:
        # Before arguments are checked, anything may be anywhere.
        spec = argument_spec()
        options = spec["guests"]["options"]
        said = {key: value if key in spec else config.HIDDEN for key, value in self.params.items()}
        guests = said.get("guests")
        said["guests"] = (
            [
                {key: entry[key] if key in options and key != "content" else config.HIDDEN for key in entry}
                if isinstance(entry, dict)
                else config.HIDDEN
                for entry in guests
            ]
            if isinstance(guests, list)
            else config.HIDDEN
        )
        return {"module_args": said}


def _texts_of(value: t.Any, harmless: bool = False) -> t.Set[str]:
    """The texts in arguments that may be of a configuration."""
    if isinstance(value, dict):
        known = argument_spec()["guests"]["options"]
        return {
            text
            for key, item in value.items()
            for text in _texts_of(item, harmless or (key in known and key != "content"))
        }
    if isinstance(value, (list, tuple)):
        return {text for item in value for text in _texts_of(item, harmless)}
    return {value} if isinstance(value, str) and len(value) > 3 and not harmless else set()


_OWNERSHIP: t.Dict[str, t.Any] = {
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "raw"},
}


def argument_spec() -> t.Dict[str, t.Any]:
    return {
        "guests": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "path": {"type": "path", "required": True},
                "content": {"type": "str"},
                "name": {"type": "str"},
                "vcpus": {"type": "int"},
                "maxvcpus": {"type": "int"},
                "memory": {"type": "int"},
                "maxmem": {"type": "int"},
                "cpus": {"type": "raw"},
                "cpus_soft": {"type": "raw"},
                "pool": {"type": "str"},
                "cpu_weight": {"type": "int"},
                "cap": {"type": "int"},
                "vnuma": {
                    "type": "list",
                    "elements": "dict",
                    "options": {
                        "node": {"type": "int", "required": True},
                        "memory": {"type": "int", "required": True},
                        "vcpus": {"type": "raw", "required": True},
                        "distances": {"type": "list", "elements": "int"},
                    },
                },
                "keep_vnuma": {"type": "bool", "default": False},
                **_OWNERSHIP,
            },
        },
        **_OWNERSHIP,
        "backup": {"type": "bool", "default": False},
        **LOCK_ARGUMENTS,
    }


def _plan(module: AnsibleModule) -> t.List[config.ConfigChange]:
    # Where the file really is: replacing a link by a file would be a surprise.
    entries = [dict(entry, path=os.path.realpath(entry["path"])) for entry in module.params["guests"]]
    # The size of xl's bitmap of nodes: MAX_NUMNODES, in whole bytes.
    node_bits = 8 if platform.machine().startswith(("aarch64", "arm")) else config.NODE_BITS
    changes = config.plan_configs(entries, _read, _Resolver(module), node_bits)
    return [change._replace(attributes=_attributes(module, change)) for change in changes]


def _read(path: str) -> t.Optional[bytes]:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _attributes(module: AnsibleModule, change: config.ConfigChange) -> t.Dict[str, t.Tuple[t.Any, t.Any]]:
    """Owner, group and mode of the file that will change, as (now, then). Ends the module for those that there cannot be."""
    differ: t.Dict[str, t.Dict[str, t.Any]] = {}
    # Of a new file only what is asked for can be looked at, beside its folder.
    place = change.path if change.before is not None else os.path.dirname(change.path)
    really, module.check_mode = module.check_mode, True
    try:
        _own(module, change.path, differ, place)
    finally:
        module.check_mode = really
    if change.before is None:
        return {}
    return {key: (old, differ["after"][key]) for key, old in differ.get("before", {}).items()}


def _own(
    module: AnsibleModule, path: str, differ: t.Optional[t.Dict[str, t.Any]], place: t.Optional[str] = None
) -> None:
    """Give the file at `path` the owner, group and mode asked for, or say in `differ` what that would change about `place`."""
    (entry,) = [entry for entry in module.params["guests"] if os.path.realpath(entry["path"]) == path]
    for key, set_it in (
        ("owner", module.set_owner_if_different),
        ("group", module.set_group_if_different),
        ("mode", module.set_mode_if_different),
    ):
        wanted = module.params[key] if entry[key] is None else entry[key]
        set_it(place or path, wanted, False, differ, expand=False)


class _Resolver:
    """CPU expressions that xl does not know, by this host's topology, which is asked for once and only if need be."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._topology = None  # type: t.Any

    def __call__(self, text: str) -> str:
        # Few configurations need it, and Python compiles anew what Ansible sends.
        from ..module_utils._discovery import authoritative
        from ..module_utils._topology import expression
        from ..module_utils._topology.host import host_of

        if self._topology is None:
            self._topology = host_of(authoritative.ask(open_xen=lambda: open_xen(self._module)))
        return str(expression.resolve(text, self._topology))


def _write(path: str, data: bytes) -> None:
    files.write_whole(path, data, keep=True)


def _backup(module: AnsibleModule, path: str) -> str:
    # Between making the copy and giving it the mode of the file it may be read by nobody else.
    before = os.umask(0o077)
    try:
        copy = module.backup_local(path)
    finally:
        os.umask(before)
    folder, name = os.path.split(copy)
    if os.path.basename(folder) != "auto":
        return copy
    hidden = os.path.join(folder, "." + name)
    os.rename(copy, hidden)
    return hidden


if __name__ == "__main__":
    main()
