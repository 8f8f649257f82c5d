# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints how many bytes Ansible sends to a host for a module: the AnsiballZ file, as its executor builds it.

    python3 payload.py dom0.xen.topology_facts [FILE [ARGUMENTS]]

With FILE it is written there, too: it runs on any host. ARGUMENTS are the module's, as JSON; none without.

Run it with the Python and the environment of ansible-playbook. It uses what Ansible's executor uses, which is nobody's public interface.
"""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

from ansible import constants
from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, module_loader
from ansible.template import Templar


def payload(module: str, arguments: dict[str, t.Any]) -> bytes:
    """The file."""
    init_plugin_loader([])
    found = module_loader.find_plugin_with_context(module)
    if not found.resolved:
        raise SystemExit(f"{module} is not found")
    variables = {"ansible_python_interpreter": "/usr/bin/python3"}
    built = modify_module(
        module_name=found.resolved_fqcn or module,
        module_path=found.plugin_resolved_path,
        module_args=arguments,
        templar=Templar(loader=DataLoader(), variables=variables),
        task_vars=variables,
        environment={},
        module_compression=constants.DEFAULT_MODULE_COMPRESSION,
    )
    return t.cast(bytes, built[0] if isinstance(built, tuple) else built.b_module_data)


if __name__ == "__main__":
    data = payload(sys.argv[1], json.loads(sys.argv[3]) if len(sys.argv) > 3 else {})
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_bytes(data)
    sys.stdout.write(f"{len(data)}\n")
