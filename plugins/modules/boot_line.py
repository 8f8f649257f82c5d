#!/usr/bin/python
# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: boot_line
short_description: Words on Xen's command line in the boot loader
description:
  - Has the next boot start Xen with certain words on its command line. They are in effect when the module succeeds. It reads the menu that
    was generated, finds the entry that boots by default, evaluates its line as Xen does, and compares.
  - Where the words would have no effect, since others come after them or add to them, or since the entry that boots is not Xen's or the
    menu is not understood, it fails. It then names the file and the line, and says what to write. All files are put back.
  - V(grub) is GRUB with its own scripts. The words go to a drop-in for C(/etc/default/grub), or, where drop-ins are not read (Fedora, openSUSE,
    Alpine), to a line of their own at the end of that file. They are added to C(GRUB_CMDLINE_XEN_DEFAULT), which GRUB's scripts write last.
  - V(extlinux) is Alpine's C(update-extlinux), with a line of its own for C(xen_opts) in C(/etc/update-extlinux.conf).
  - V(xen_cfg) is C(xen.efi), started by the firmware. The words go to the C(options) of the section that boots in its C(xen.cfg), with a comment
    above that says which they are.
  - V(xcp) is XCP-ng and XenServer, with C(xen-cmdline --set-xen). Words that are not asked for any more stay there.
  - Most users want the role P(dom0.xen.dom0#role), which uses this module, words what dom0 gets, and reboots the host where that is allowed.
version_added: 0.1.0
author:
  - dom0.xen contributors (@dom0-xen)
extends_documentation_fragment:
  - dom0.xen._attributes
  - dom0.xen._attributes.changing_module
  - dom0.xen._attributes.actiongroup_xen
  - dom0.xen._source.locking
attributes:
  check_mode:
    details:
      - The menu is not generated. What can be foreseen from the settings fails as the run would.
  diff_mode:
    details:
      - One entry for each file, of the lines that change alone, as there may be passwords in others.
options:
  words:
    description:
      - The words, for example V(smt=off). None takes away what was set by this module.
    type: list
    elements: str
    required: true
  layout:
    description:
      - Which boot loader it is. Without it the first one that the host has of V(xcp), V(grub), V(extlinux) and V(xen_cfg).
    type: str
    choices: [grub, extlinux, xen_cfg, xcp]
  menu:
    description:
      - The menu that the boot loader reads, or C(xen.cfg). Without it the usual places.
    type: path
  update_command:
    description:
      - The command that writes the menu. Without it C(update-grub), C(grub2-mkconfig -o) or C(grub-mkconfig -o) with the menu, whichever
        there is.
    type: list
    elements: str
    default: []
  drop_in:
    description:
      - The drop-in of V(grub), which belongs to this module alone. Those are read in the order of their names.
      - Without it C(/etc/default/grub.d/zz-dom0-xen.cfg).
    type: path
  running:
    description:
      - The command line that Xen runs with, C(xen.command_line) of the facts. With it RV(pending) is returned.
    type: str
  claim_reboot:
    description:
      - Say by RV(reboot) whether the host is to be booted anew for the words, and keep a mark of the boot that this was said in. It fails where the
        host was booted anew for the same line before and Xen still runs without the words, as another boot would not help. Needs O(running).
    type: bool
    default: false
seealso:
  - module: dom0.xen.topology_facts
"""

EXAMPLES = r"""
- name: Switch off the second threads of cores from the next boot on
  dom0.xen.boot_line:
    words: [smt=off]
  become: true

- name: Set them in the file of xen.efi
  dom0.xen.boot_line:
    words: ["dom0_mem=4096M,max:4096M", dom0_max_vcpus=4]
    layout: xen_cfg
    menu: /boot/efi/EFI/xen/xen.cfg
  become: true
"""

RETURN = r"""
layout:
  description: The boot loader's layout. V(null) where there is none and nothing was asked for.
  returned: success
  type: str
  sample: grub
menu:
  description: The menu that the boot loader reads.
  returned: success
  type: str
  sample: /boot/grub/grub.cfg
files:
  description: The files with settings that were changed, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/default/grub.d/zz-dom0-xen.cfg]
entry:
  description: The entry that boots by default. V(null) without words, and in check mode before a change.
  returned: success
  type: str
  sample: Debian GNU/Linux, with Xen hypervisor
line:
  description: What it starts Xen with. V(null) where RV(entry) is.
  returned: success
  type: str
  sample: placeholder dom0_mem=4096M,max:4096M dom0_max_vcpus=4
line_number:
  description: The number of that line in its file.
  returned: when there is a line
  type: int
  sample: 141
pending:
  description: The words that Xen does not run with, and that wait for a reboot.
  returned: when O(running) is given
  type: list
  elements: str
  sample: [dom0_max_vcpus=4]
reboot:
  description: Whether the host is to be booted anew.
  returned: when O(claim_reboot) is set
  type: bool
  sample: true
"""

import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._boot import layouts
from ..module_utils._changing import LOCK_ARGUMENTS, host_lock
from ..module_utils._control import files
from ..module_utils._errors import Failure
from ..module_utils._module import Module, failures

MARK_PATH = "/var/lib/dom0-xen/boot-line.json"
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def main() -> None:
    module = Module(
        argument_spec={
            "words": {"type": "list", "elements": "str", "required": True},
            "layout": {"type": "str", "choices": list(layouts.LAYOUTS)},
            "menu": {"type": "path"},
            "update_command": {"type": "list", "elements": "str", "default": []},
            "drop_in": {"type": "path"},
            "running": {"type": "str"},
            "claim_reboot": {"type": "bool", "default": False},
            **LOCK_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    params = module.params
    words = [word for entry in params["words"] for word in entry.split()]
    with failures(module), host_lock(module):
        outcome = _settle(module, words)
        found, layout = outcome.found, outcome.layout
        line = None if found is None else " ".join(found.lines[0])
        result: t.Dict[str, t.Any] = {
            "layout": None if layout is None else layout.kind,
            "menu": None if layout is None else layout.menu,
            "files": [path for path, _before, _after in outcome.files],
            "entry": None if found is None else found.entry,
            "line": line,
        }
        if found is not None:
            result["line_number"] = found.number
        if params["running"] is not None:
            result["pending"] = layouts.missing(words, params["running"].split())
            if params["claim_reboot"]:
                result["reboot"] = _claim_reboot(module, result["pending"], line or "")
        module.exit_json(
            changed=outcome.changed,
            diff=[_difference(path, before or "", after or "") for path, before, after in outcome.files],
            **result,
        )


def _difference(path: str, before: str, after: str) -> t.Dict[str, str]:
    """An entry for a diff, of the lines that change alone: a boot loader's files also have passwords and the command lines of kernels."""
    old, new = before.splitlines(True), after.splitlines(True)
    return {
        "before_header": path,
        "after_header": path,
        "before": "".join(line for line in old if line not in new),
        "after": "".join(line for line in new if line not in old),
    }


def _settle(module: AnsibleModule, words: t.List[str]) -> layouts.Outcome:
    params = module.params
    host = layouts.Host(
        read=_read,
        write=_write,
        remove=files.remove,
        names=_names,
        which=lambda name: _which(module, name),
        run=lambda argv: _run(module, argv),
    )
    try:
        layout = layouts.find(
            host, params["layout"], params["menu"], params["update_command"], params["drop_in"]
        )
    except Failure as failure:
        if not words:
            return layouts.Outcome(None, False, (), None)
        raise Failure(
            "{0}. Nothing was changed. Put this on Xen's command line with the boot loader that there is: {1}".format(
                failure.message.rstrip("."), " ".join(words)
            )
        ) from failure
    return layouts.settle(host, layout, words, module.check_mode)


def _claim_reboot(module: AnsibleModule, pending: t.List[str], line: str) -> bool:
    """Whether to boot for what is pending; the mark says for which line that was said, and in which boot."""
    data = files.read_own(MARK_PATH)
    if not pending:
        if data is not None and not module.check_mode:
            files.remove(MARK_PATH)
        return False
    try:
        mark = json.loads(data or b"{}")
    except ValueError:
        mark = {}
    boot = (_read(BOOT_ID) or "").strip()
    if isinstance(mark, dict) and line and mark.get("line") == line and mark.get("boot") != boot:
        raise Failure(
            "the host was booted anew for this already, and Xen still runs without {0}: it is not started by the menu that was written. See "
            "what the firmware starts (efibootmgr -v) and which menu that reads, and give dom0_menu; to have it booted again nonetheless, "
            "remove {1}".format(" ".join(pending), MARK_PATH)
        )
    if not module.check_mode:
        os.makedirs(os.path.dirname(MARK_PATH), mode=0o700, exist_ok=True)
        files.write_whole(MARK_PATH, json.dumps({"line": line, "boot": boot}).encode("utf-8"))
    return True


def _read(path: str) -> t.Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return stream.read()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


def _write(path: str, text: str) -> None:
    # Where the file really is: menus and settings may be links.
    path = os.path.realpath(path)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    files.write_whole(path, text.encode("utf-8", "surrogateescape"), 0o644, keep=True)


def _names(folder: str) -> t.List[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _which(module: AnsibleModule, name: str) -> t.Optional[str]:
    if "/" in name:
        return name if os.access(name, os.X_OK) and os.path.isfile(name) else None
    return t.cast(t.Optional[str], module.get_bin_path(name))


def _run(module: AnsibleModule, argv: t.Sequence[str]) -> t.Tuple[int, str]:
    status, out, err = module.run_command(list(argv), environ_update={"LC_ALL": "C", "LANGUAGE": "C"})
    return status, (out + err).strip()


if __name__ == "__main__":
    main()
