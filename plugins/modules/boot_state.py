#!/usr/bin/python
# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: boot_state
short_description: Cpupools and affinity that a Xen host restores when it boots
description:
  - Cpupools and the affinity of virtual CPUs are gone when a host is booted again. This module writes down what there shall be, in one file on
    the host, and puts a program there that restores it, with two systemd units.
  - The first one runs before C(xendomains) starts guests, so that the cpupools that their configurations name are there. The second one runs
    after it, and moves and pins the guests that were started. What they cannot do they say in the journal, and go on with the rest.
  - The program is this collection's own code in one file, and needs no Ansible. What is possible, and in which order, is decided at boot
    as it is by M(dom0.xen.cpupool) and M(dom0.xen.vcpu_affinity).
  - The units run it with a Python of the system, C(/usr/bin/python3) before others, that root alone can replace and that has
    C(_cffi_backend), whatever Python this module runs under. Where there is none, the module fails.
  - A boot waits no longer than a minute for another run that changes the host, and no longer than ten minutes for the program.
  - Nothing is changed in the hypervisor now.
  - The units are enabled, that is for the next boot; they are not started now.
version_added: 0.1.0
author:
  - dom0.xen contributors (@dom0-xen)
extends_documentation_fragment:
  - dom0.xen._attributes
  - dom0.xen._attributes.changing_module
  - dom0.xen._attributes.actiongroup_xen
  - dom0.xen._source.locking
  - dom0.xen._requirements
options:
  state:
    description:
      - With V(absent), the file, the program and the units are removed.
    type: str
    choices: [present, absent]
    default: present
  cpupools:
    description:
      - The cpupools, in the words of O(dom0.xen.cpupool#module:cpupools).
      - Without it, those that were written before remain. An empty list forgets them.
    type: list
    elements: dict
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      state:
        description: Whether it shall be there.
        type: str
        choices: [present, absent]
        default: present
      former_name:
        description: A name that it may have. The first cpupool is C(Pool-0) when Xen boots, which is added here when it has another name now.
        type: str
      cpus:
        description: Its CPUs.
        type: raw
      scheduler:
        description: Its scheduler.
        type: str
        choices: [credit, credit2, 'null', rtds]
      granularity:
        description: Its granularity.
        type: str
        choices: [cpu, core, socket]
      domains:
        description: Guests in it, by name or UUID. Their numbers are other ones each time.
        type: list
        elements: str
      evacuate_to:
        description: Where its guests go, with O(cpupools[].state=absent).
        type: str
  numa_split:
    description: Write down a cpupool for each NUMA node instead, see O(dom0.xen.cpupool#module:numa_split).
    type: bool
    default: false
  broken_affinity:
    description:
      - What becomes of hard affinity that has no CPU in its cpupool, see O(dom0.xen.cpupool#module:broken_affinity).
      - Without it, what was written before remains, V(refuse) at first.
    type: raw
  affinities:
    description:
      - The affinity of guests and of dom0, in the words of O(dom0.xen.vcpu_affinity#module:affinities).
      - Without it and O(plan), those that were written before remain. An empty list forgets them.
    type: list
    elements: dict
    suboptions:
      guest:
        description: The guest, by name or UUID.
        type: str
        required: true
      vcpus:
        description: Which of its virtual CPUs.
        type: raw
        default: all
      hard:
        description: The CPUs that they may run on.
        type: raw
      soft:
        description: The CPUs that they should run on.
        type: raw
      nodes:
        description: The NUMA nodes of its future memory.
        type: raw
      force:
        description: Whether to undo a pin that the guest holds on itself.
        type: bool
        default: false
  plan:
    description:
      - The registered result of M(dom0.xen.placement_plan), for entries with V(planned). What it has is
        written down, not the plan itself.
      - Without O(affinities), all guests of the plan.
    type: dict
  plan_host:
    description: The name that this host has in the plan.
    type: str
notes:
  - Guests that are started later than C(xendomains) starts them have what their configurations say, see M(dom0.xen.guest_config).
seealso:
  - module: dom0.xen.cpupool
  - module: dom0.xen.vcpu_affinity
"""

EXAMPLES = r"""
- name: Have the databases' cpupool and their affinity again after a boot
  dom0.xen.boot_state:
    cpupools:
      - {name: databases, cpus: node:1, domains: [db1, db2]}
    affinities:
      - {guest: Domain-0, hard: node:0}
      - {guest: db1, hard: "4-5"}
  become: true

- name: Forget all of it
  dom0.xen.boot_state:
    state: absent
  become: true
"""

RETURN = r"""
boot_state:
  description: What the file has.
  returned: success and O(state=present)
  type: dict
  sample:
    state: 1
    broken_affinity: refuse
    cpupools:
      - {name: databases, cpus: "node:1", state: present, domains: [db1, db2]}
    affinities:
      - {guest: Domain-0, hard: "node:0", vcpus: all, force: false}
units:
  description: The names of the units.
  returned: success
  type: list
  elements: str
  sample: [dom0-xen-restore.service, dom0-xen-restore-guests.service]
files:
  description: The files that were written or removed, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/dom0-xen/state.json]
"""

import importlib.util
import io
import os
import re
import sys
import typing as t
import zipfile

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _restore
from ..module_utils._changing import LOCK_ARGUMENTS, host_lock
from ..module_utils._control import affinity, boot_state, cpupools, files, pool_order
from ..module_utils._discovery import authoritative
from ..module_utils._discovery.component import DOMAINS
from ..module_utils._errors import Failure
from ..module_utils._module import INTERPRETERS, Module, failures, open_xen
from ..module_utils._toolstack import command
from ..module_utils._topology.host import host_of

#: What stands before the target of a link, where others have the content of a file.
LINK = b"link to "

IMPORT = re.compile(rb"^[ \t]*from[ ](\.+)([\w.]*)[ ]import[ ](\([^)]*\)|[^\n(#]+)", re.MULTILINE)
TYPES_ONLY = re.compile(rb"^if t\.TYPE_CHECKING:\n(?:[ \t][^\n]*\n|\n)*", re.MULTILINE)

#: What a Python succeeds with that can run the program.
PROBE = "import sys, _cffi_backend; raise SystemExit(sys.version_info < (3, 6))"


def main() -> None:
    """Compare the files with what they shall be, then write unless only a check was asked for."""
    module = Module(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "cpupools": {"type": "list", "elements": "dict", "options": cpupools.ENTRY},
            "numa_split": {"type": "bool", "default": False},
            "broken_affinity": {"type": "raw"},
            "affinities": {"type": "list", "elements": "dict", "options": affinity.ENTRY},
            "plan": {"type": "dict"},
            "plan_host": {"type": "str"},
            **LOCK_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with failures(module), host_lock(module):
        before = _read(boot_state.STATE_PATH)
        paths = [os.path.join(boot_state.UNIT_FOLDER, name) for name in boot_state.UNITS]
        links = [os.path.join(boot_state.WANTS_FOLDER, name) for name in boot_state.UNITS]
        result: t.Dict[str, t.Any] = {"units": list(boot_state.UNITS)}
        wanted: t.Dict[str, t.Optional[bytes]] = dict.fromkeys(
            [boot_state.STATE_PATH, boot_state.PROGRAM_PATH, *paths, *links]
        )
        after = None
        if module.params["state"] == "present":
            state = _state(module, before)
            after = boot_state.written(state).encode("utf-8")
            wanted[boot_state.STATE_PATH] = after
            wanted[boot_state.PROGRAM_PATH] = program()
            python = _interpreter()
            for name, path in zip(boot_state.UNITS, paths):
                wanted[path] = boot_state.unit(name, python).encode("utf-8")
            for path, link in zip(paths, links):
                wanted[link] = LINK + path.encode("utf-8")
            result["boot_state"] = state
        changes = [path for path, content in wanted.items() if _read(path) != content]
        if not module.check_mode:
            # Links behind what they point to; the state last: units and program that restore the old one do no harm.
            for path in sorted(changes, key=lambda path: path == boot_state.STATE_PATH):
                _put(path, wanted[path])
        module.exit_json(
            changed=bool(changes), files=changes, diff=_differences(before, after, changes), **result
        )


def _state(module: AnsibleModule, before: t.Optional[bytes]) -> boot_state.State:
    """The state to write."""
    params = module.params
    pools, affinities = params["cpupools"], params["affinities"]
    with open_xen(module):
        topology = host_of(authoritative.ask([DOMAINS], lambda: open_xen(module)))
    if pools is not None or params["numa_split"]:
        topology.check_names("what the first cpupool is called now")
    if params["numa_split"]:
        if pools is not None:
            raise Failure("give cpupools, or numa_split: true, not both")
        pools = cpupools.numa_split(topology)
        pools[0]["former_name"] = pool_order.POOL_0
    first = next((pool.name for pool in topology.cpupools if pool.id == 0), None)
    for entry in pools or ():
        if entry["name"] == first and first != pool_order.POOL_0 and entry.get("former_name") is None:
            entry["former_name"] = pool_order.POOL_0
    if affinities is not None or params["plan"] is not None:
        affinities = affinity.without_plan(affinities, params["plan"], params["plan_host"])
    return boot_state.merged(
        None if before is None else boot_state.read_state(before),
        cpupools=pools,
        affinities=affinities,
        broken_affinity=params["broken_affinity"],
    )


def program() -> bytes:
    """The file that restores: `_restore` and all that it may import, behind one entry."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_STORED) as archive:

        def add(name: str, data: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)

        add("dom0_xen/__init__.py", b"")
        add("__main__.py", b"from dom0_xen import _restore\n\nraise SystemExit(_restore.main())\n")
        package, _dot, name = _restore.__name__.rpartition(".")
        for path, data in sorted(sources(package, name).items()):
            add("dom0_xen/" + path, data)
    return memory.getvalue()


def sources(package: str, name: str) -> t.Dict[str, bytes]:
    """{path below `package`: source} of a module and of all that its import statements, also those in functions, lead to in the package."""
    found: t.Dict[str, bytes] = {}
    done: t.Set[str] = set()
    waiting: t.List[t.Tuple[str, t.List[str]]] = [(name, [])]
    while waiting:
        one, children = waiting.pop()
        if not one:
            waiting += [(child, []) for child in children]
            continue
        spec = importlib.util.find_spec(package + "." + one)
        if spec is None:
            # What is imported of a package may be a value in it.
            continue
        folder = spec.submodule_search_locations is not None
        if folder:
            waiting += [(one + "." + child, []) for child in children]
        if one in done:
            continue
        done.add(one)
        parts = one.split(".")
        waiting += [(".".join(parts[:count]), []) for count in range(1, len(parts))]
        text = t.cast(t.Any, spec.loader).get_source(spec.name)
        # Ansible's own loader has sources as bytes, Python's as text.
        data = text if isinstance(text, bytes) else (text or "").encode("utf-8")
        found["/".join([*parts, "__init__.py"] if folder else parts) + ("" if folder else ".py")] = data
        for level, base, names in imports(data):
            above = parts[: len(parts) - level + int(folder)]
            waiting.append((".".join(above + ([base] if base else [])), names))
    return found


def imports(source: bytes) -> t.Iterator[t.Tuple[int, str, t.List[str]]]:
    """The relative imports of a source of this collection: (level, module or "", names); but for those that only type checkers see.

    To parse some sixty files takes longer than all else that the module does; unit tests hold this against Python's own parser.
    """
    for match in IMPORT.finditer(TYPES_ONLY.sub(b"", source)):
        dots, module, names = (part.decode("ascii") for part in match.groups())
        listed = [name.split(" as ")[0].strip() for name in names.strip("()").split(",")]
        yield len(dots), module, [name for name in listed if name]


def _read(path: str) -> t.Optional[bytes]:
    """The content of a file, or LINK and where a link points to; None when there is neither. Raises Failure for one that is not root's."""
    if os.path.islink(path):
        return LINK + os.fsencode(os.readlink(path))
    return files.read_own(path)


def _put(path: str, content: t.Optional[bytes]) -> None:
    """Write or remove a file, at once or not at all."""
    folder = os.path.dirname(path)
    ours = path in (boot_state.STATE_PATH, boot_state.PROGRAM_PATH)
    if content is None:
        files.remove(path)
        if ours and not os.listdir(folder):
            os.rmdir(folder)
        return
    if ours:
        files.private_folder(folder)
    else:
        os.makedirs(folder, mode=0o755, exist_ok=True)
    if content.startswith(LINK):
        files.link_whole(path, os.fsdecode(content[len(LINK) :]))
    else:
        files.write_whole(path, content, 0o644)


def _interpreter() -> str:
    """The system's Python that root's units run: one that root alone can replace, and that can talk to Xen. Raises Failure."""
    reasons = []
    for path in dict.fromkeys([*INTERPRETERS, *([sys.executable] if sys.prefix == sys.base_prefix else [])]):
        if not os.path.exists(path):
            continue
        try:
            files.check_place(path)
        except Failure as failure:
            reasons.append(failure.message)
            continue
        # As the unit runs it: without what its user has installed for himself.
        if command.run([path, "-I", "-c", PROBE])[0] == 0:
            return path
        reasons.append("{0} has no module _cffi_backend".format(path))
    raise Failure(
        "no Python of this host's system can restore anything when it boots ({0}): install the package python3-cffi-backend (Debian) or "
        "python3-cffi; the one that this runs under, {1}, is not for root's units".format(
            "; ".join(reasons) or "there is none", sys.executable
        )
    )


def _differences(
    before: t.Optional[bytes], after: t.Optional[bytes], changes: t.Sequence[str]
) -> t.List[t.Dict[str, t.Any]]:
    entries = []
    for path in changes:
        said = path == boot_state.STATE_PATH
        sides = (before, after) if said else (None, None)
        entries.append(
            {
                "before_header": path,
                "after_header": path,
                "before": (sides[0] or b"").decode("utf-8", "replace"),
                "after": (sides[1] or b"").decode("utf-8", "replace"),
            }
        )
    return entries


if __name__ == "__main__":
    main()
