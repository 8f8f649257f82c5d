# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors of Xen by release, and the page about them."""

import os

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology import faults

PAGE = os.path.join(os.path.dirname(__file__), *[os.pardir] * 5, "docs", "faults.md")


def having(release):
    return {fault.name for fault in faults.FAULTS if faults.has(fault, release)}


@pytest.mark.parametrize(
    ("name", "broken", "mended"),
    [
        ("dom0_nodes", ["4.12.0", "4.13.5", "4.14.0", "4.14.6", "4.15.3", "4.16.1"], ["4.11.4", "4.15.4", "4.16.2", "4.17.0", "4.20.4", "5.0.0"]),
        ("offline_hang", ["4.13.0", "4.14.6", "4.15.3", "4.16.2"], ["4.12.4", "4.15.4", "4.16.3", "4.17.0", "4.22.0"]),
        ("offline_interrupts", ["4.11.0", "4.14.6", "4.16.7", "4.17.4", "4.18.2"], ["4.17.5", "4.17.7", "4.18.3", "4.19.0", "4.20.0"]),
        ("core_hotplug", ["4.13.0"], ["4.13.1", "4.14.0", "4.17.7"]),
        ("credit_leave", ["4.13.5", "4.17.7", "4.21.2"], ["4.22.0", "4.23.0"]),
        ("credit_empty", ["4.13.5", "4.22.0", "4.23.0"], []),
        ("move_granularity", ["4.15.0", "4.16.7", "4.17.2", "4.18.0"], ["4.14.6", "4.17.3", "4.18.1", "4.19.0"]),
    ],
)  # fmt: skip
def test_releases(name, broken, mended):
    for releases, expected in ((broken, True), (mended, False)):
        for release in releases:
            assert (name in having(tuple(int(part) for part in release.split(".")))) is expected, release


def test_which_release_it_is():
    assert faults.release_of(4, 17, ".7") == (4, 17, 7)
    assert faults.release_of(4, 17, ".5-pre") == (4, 17, 5)
    assert faults.release_of(4, 18, "-unstable") == (4, 18, 0)
    assert faults.release_of(None, None, "") is None
    assert having(None) == set()


def test_what_mends_it():
    (fault,) = [fault for fault in faults.FAULTS if fault.name == "offline_hang"]
    assert faults.remedy(fault, (4, 14, 6)) == "Xen 4.15.4 or 4.16.3 or 4.17.0 mends that"
    assert faults.remedy(fault, (4, 16, 1)) == "Xen 4.16.3 or 4.17.0 mends that"


def test_the_page_has_the_table():
    with open(PAGE, encoding="utf-8") as stream:
        page = stream.read()
    for fault in faults.FAULTS:
        mended = ", ".join(".".join(map(str, release)) for release in fault.mended) or "none so far"
        since = ".".join(map(str, fault.since[:2]))
        row = "| {0} | {1} | {2} | {3} | {4} |".format(
            fault.action, fault.happens, since, mended, fault.source
        )
        assert row in page, row
    assert page.count("\n| ") == len(faults.FAULTS) + 2
