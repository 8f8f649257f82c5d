# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints how many bytes Ansible sends to a host for a module: the AnsiballZ file, as its executor builds it.

    python3 tools/workshop.py run python tools/payload.py
    python3 tools/workshop.py run python tools/payload.py dom0.xen.topology_facts [FILE [ARGUMENTS]]

Without arguments, of each module of this collection: the files and KiB of our own source in it, how many of these KiB are compiled whatever
the module is asked (`weight.py`), and the bytes of the whole.

With FILE it is written there, too: it runs on any host. ARGUMENTS are the module's, as JSON; none without.

It needs the Python and the environment of ansible-playbook, which `workshop.py run` gives it. It uses what Ansible's executor uses, which is
nobody's public interface.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sys
import typing as t
import zipfile
from pathlib import Path

import weight
from ansible import constants
from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, module_loader
from ansible.template import Templar


def payload(module: str, arguments: dict[str, t.Any]) -> bytes:
    """The file. The loader of plugins is ready."""
    found = module_loader.find_plugin_with_context(module)
    if not found.resolved:
        raise SystemExit(
            f"{module} is not found: run this with `python3 tools/workshop.py run python tools/payload.py`"
        )
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


def own_sizes(data: bytes) -> dict[str, int]:
    """The files of this collection in what is sent, and their bytes; empty ones do not count."""
    archive = max(re.findall(rb"[A-Za-z0-9+/=]{1000,}", data), key=len)
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(archive))) as files:
        return {
            info.filename: info.file_size
            for info in files.infolist()
            if info.filename.startswith("ansible_collections/dom0/xen/") and info.file_size
        }


def table() -> t.Iterator[str]:
    """A line for each module."""
    yield f"{'module':16} {'files':>5} {'KiB':>6} {'compiled':>8} {'bytes sent':>10}"
    for module in weight.modules():
        data = payload(f"dom0.xen.{module}", {})
        sizes = own_sizes(data)
        at_once = sum(weight.own_files(module, lazy=False).values())
        yield f"{module:16} {len(sizes):5} {sum(sizes.values()) / 1024:6.1f} {at_once / 1024:8.1f} {len(data):10}"


if __name__ == "__main__":
    init_plugin_loader([])
    if len(sys.argv) == 1:
        for line in table():
            print(line)
        sys.exit()
    data = payload(sys.argv[1], json.loads(sys.argv[3]) if len(sys.argv) > 3 else {})
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_bytes(data)
    sys.stdout.write(f"{len(data)}\n")
