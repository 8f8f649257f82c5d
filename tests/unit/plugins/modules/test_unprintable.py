# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and words of hosts and guests are data: no module prints a character of them that a terminal would obey."""

import json
import unicodedata
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.dom0.xen.plugins.module_utils import _module
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.modules import boot_line
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run

NASTY = "x\x1b[31m\x07\x9b\x7f\u202e\u2066\u2028\ufffe\0\r\n\tRED"


class Speaking:
    """A module that says such words in every way there is."""

    def __init__(self, fails):
        self.fails = fails

    def main(self):
        module = _module.Module(argument_spec={}, supports_check_mode=True)
        module.warn(NASTY)
        with _module.failures(module):
            if self.fails:
                raise Failure("guest " + NASTY, done=[{"name": NASTY}])
            diff = {"before_header": NASTY, "after_header": NASTY, "before": "", "after": "a\nb\x1b\n"}
            module.exit_json(guests=[{"name": NASTY, NASTY: 1}], diff=[diff])


def texts(value):
    if isinstance(value, dict):
        return [text for item in value.items() for text in texts(item)]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("fails", [False, True])
def test_results_failures_and_warnings_are_printable(monkeypatch, capsys, fails):
    result = run(monkeypatch, capsys, Speaking(fails))
    assert "RED" in json.dumps(result)
    for text in texts(result):
        assert not [char for char in text if unicodedata.category(char)[0] in "C" and char != "\n"], text
    if fails:
        assert "\n" not in result["msg"]
    else:
        assert "\n" not in result["diff"][0]["before_header"] + result["diff"][0]["after_header"]
        assert result["diff"][0]["after"] == "a\nb\\x1b\n"


def test_every_module_speaks_through_the_one_class():
    folder = Path(boot_line.__file__).resolve().parent
    for path in sorted(folder.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert "AnsibleModule(" not in text, path.name
        assert "Module(" in text or "def main" not in text, path.name


def test_a_boot_loaders_file_is_shown_by_the_lines_that_change():
    before = "password hunter2\nkernel=vmlinuz root=/dev/x key=hunter2\noptions=a\n"
    entry = boot_line._difference("/boot/xen.cfg", before, before.replace("options=a", "options=a b"))
    assert (entry["before"], entry["after"]) == ("options=a\n", "options=a b\n")
