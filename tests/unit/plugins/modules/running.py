# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module's main() in this process and take what it prints."""

import json
import typing as t

from ansible.module_utils import basic


def run(
    monkeypatch: t.Any, capsys: t.Any, module: t.Any, check_mode: bool = False, **arguments: t.Any
) -> t.Dict[str, t.Any]:
    """The module's result for these arguments. `module` is the imported Python module with a main()."""
    payload = {
        "ANSIBLE_MODULE_ARGS": dict(arguments, _ansible_check_mode=check_mode, _ansible_remote_tmp="/tmp")
    }
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(payload).encode("utf-8"))
    # From 2.19 on arguments have a profile; the attribute is unknown before.
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    # Where a warning goes depends on what else this process has loaded; the modules' part ends with the call.
    warned: t.List[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "warn", lambda self, warning, **more: warned.append(warning))
    try:
        module.main()
    except SystemExit as end:
        printed = capsys.readouterr().out
        result = json.loads(printed.strip().splitlines()[-1])
        result["exit_status"] = end.code
        result["warned"] = warned
        return t.cast(t.Dict[str, t.Any], result)
    raise RuntimeError("the module did not end")


def warnings_of(result: t.Dict[str, t.Any]) -> t.List[str]:
    """What the module warned of in that run."""
    return t.cast(t.List[str], result["warned"])
