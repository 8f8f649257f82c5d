# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a running host is reached: an ssh_config file and an Ansible inventory. Pure."""

from __future__ import annotations

import json
import shlex
import typing as t
from pathlib import Path

ADDRESS = "127.0.0.1"
GROUP = "xen_hosts"
# A busy emulator may need a minute to answer.
PATIENCE_S = 120
# Test hosts share one address and are rebuilt at will: their host keys say nothing.
_OPTIONS = {
    "StrictHostKeyChecking": "no",
    "UserKnownHostsFile": "/dev/null",
    "IdentitiesOnly": "yes",
    "LogLevel": "ERROR",
}
# sockaddr_un has 108 bytes; ssh binds the name with a dot and sixteen random characters behind it.
_CONTROL_PATH_LIMIT = 107 - 17


def _quoted(value: str) -> str:
    return f'"{value}"' if any(character in value for character in " \t#'") else value


def ssh_config(name: str, port: int, key: Path, control: Path) -> str:
    """An ssh_config(5) text with one host. Connections are shared through ``control`` where its path is short enough."""
    lines = [f"Host {name}", f"  HostName {ADDRESS}", f"  Port {port}", "  User root"]
    lines.append(f"  IdentityFile {_quoted(str(key))}")
    lines += [f"  {option} {value}" for option, value in _OPTIONS.items()]
    lines += ["  BatchMode yes", f"  ConnectTimeout {PATIENCE_S}"]
    if len(str(control).encode()) <= _CONTROL_PATH_LIMIT:
        lines += ["  ControlMaster auto", "  ControlPersist 60", f"  ControlPath {_quoted(str(control))}"]
    return "\n".join(lines) + "\n"


def host_variables(port: int, key: Path) -> dict[str, t.Any]:
    """The connection variables that Ansible needs for a host."""
    return {
        "ansible_host": ADDRESS,
        "ansible_port": port,
        "ansible_user": "root",
        "ansible_timeout": PATIENCE_S,
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": shlex.join(f"-o{option}={value}" for option, value in _OPTIONS.items()),
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def inventory(hosts: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    """An inventory with the hosts in the group ``xen_hosts``: JSON, which Ansible's YAML inventory plugin reads."""
    lines = ["all:", "  children:", f"    {GROUP}:", "      hosts:" if hosts else "      hosts: {}"]
    for name, variables in hosts.items():
        lines.append(f"        {name}:")
        # A JSON scalar is a YAML scalar.
        lines += [f"          {key}: {json.dumps(value)}" for key, value in variables.items()]
    return "\n".join(lines) + "\n"
