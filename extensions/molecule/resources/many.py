# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a program that runs a module many times on a host, with other arguments each time, and starts Python once for all of them.

    python3 many.py MODULE '[ARGUMENTS, ...]' FILE

Run it with the Python and the environment of ansible-playbook. What Ansible sends for the module (tools/payload.py) goes to FILE with the lists
of arguments and the functions below. FILE needs nothing else on the host: it prints the modules' results, a JSON list. Each run is a process of its own,
forked once the module is loaded, so none sees what another has left in memory.
"""

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def load(payload, module):
    """Load the module of the zip archive in Ansible's `payload`: Ansible's `basic`, and the module."""
    import base64
    import importlib
    import os
    import re
    import sys
    import tempfile

    # The archive is the longest word of the file.
    archive = max(re.findall(r"[A-Za-z0-9+/=]{1000,}", payload), key=len)
    descriptor, path = tempfile.mkstemp(".zip")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(base64.b64decode(archive))
    sys.path.insert(0, path)
    basic = importlib.import_module("ansible.module_utils.basic")
    name = "ansible_collections.{0}.{1}.plugins.modules.{2}".format(*module.split("."))
    return basic, importlib.import_module(name), path


def run_here(basic, loaded, module, arguments):
    """Run a loaded module in this process, which ends with it."""
    import json
    import os
    import sys
    import traceback

    basic._ANSIBLE_ARGS = json.dumps(
        {"ANSIBLE_MODULE_ARGS": dict(arguments, _ansible_module_name=module)}
    ).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    try:
        loaded.main()
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc(file=sys.stdout)
    finally:
        sys.stdout.flush()
        # What the parent cleans up is not the child's.
        os._exit(0)


def run_all(payload, module, runs):
    """Run the module of the zip archive in Ansible's `payload` with each of `runs`; their results."""
    import json
    import os

    basic, loaded, archive = load(payload, module)
    results = []
    for arguments in runs:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.dup2(writer, 1)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            run_here(basic, loaded, module, arguments)
        os.close(writer)
        with os.fdopen(reader) as output:
            printed = output.read()
        os.waitpid(child, 0)
        try:
            results.append(json.loads(printed))
        except ValueError:
            results.append({"failed": True, "msg": "", "Traceback": printed})
    os.unlink(archive)
    return results


PROGRAM = """\
{functions}

import base64, json, sys
payload = base64.b64decode({payload!r}).decode()
json.dump(run_all(payload, {module!r}, json.loads({runs!r})), sys.stdout)
"""


def main(module: str, runs: str, target: str) -> None:
    """Write the program."""
    source = Path(__file__).read_text(encoding="utf-8")
    functions = source[source.index("def load") : source.index("PROGRAM =")]
    tool = Path(__file__).resolve().parents[3] / "tools" / "payload.py"
    with tempfile.TemporaryDirectory() as folder:
        payload = Path(folder) / "payload.py"
        subprocess.run([sys.executable, tool, module, payload], check=True, stdout=subprocess.DEVNULL)
        sent = base64.b64encode(payload.read_bytes())
    json.loads(runs)
    text = PROGRAM.format(functions=functions, payload=sent, module=module, runs=runs)
    Path(target).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
