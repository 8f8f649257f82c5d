# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json

from ansible_collections.dom0.xen.plugins.module_utils._control import move_journal


def test_journals_that_cannot_be_read_are_none(tmp_path):
    (tmp_path / "a.move").write_text("{")
    (tmp_path / "b.move").write_text(json.dumps({"name": "x"}))
    (tmp_path / "c.cfg").write_text("")
    assert move_journal.journals(str(tmp_path)) == []
    assert move_journal.journals(str(tmp_path / "none")) == []
