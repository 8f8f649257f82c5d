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
    # From 2.19 on warnings are collected for the whole process; drop those of an earlier run.
    try:
        from ansible.module_utils.common import warnings
    except ImportError:
        pass
    else:
        for name in ("_global_warnings", "_global_deprecations"):
            kept = getattr(warnings, name, None)
            if hasattr(kept, "clear"):
                kept.clear()
    try:
        module.main()
    except SystemExit as end:
        printed = capsys.readouterr().out
        result = json.loads(printed.strip().splitlines()[-1])
        result["exit_status"] = end.code
        return t.cast(t.Dict[str, t.Any], result)
    raise RuntimeError("the module did not end")


def warnings_of(result: t.Dict[str, t.Any]) -> t.List[str]:
    """The texts of the warnings, whichever form this version of Ansible gives them."""
    return [
        str(warning) if isinstance(warning, str) else json.dumps(warning)
        for warning in result.get("warnings", [])
    ]
