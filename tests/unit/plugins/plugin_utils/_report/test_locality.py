# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is near what in a picture: caches, kinds of CPUs, PCI devices."""

from __future__ import annotations

from xml.etree import ElementTree

from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import Cache
from ansible_collections.dom0.xen.plugins.plugin_utils._report.picture import picture
from ansible_collections.dom0.xen.plugins.plugin_utils._report.show import to_html, to_svg, to_text
from ansible_collections.dom0.xen.plugins.plugin_utils._report.words import folded
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hwloc_hosts import HOSTS
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._report.pictured import (
    HOSTILE,
    devices,
    hybrid,
    named_kinds,
    recorded,
)

SVG = "{http://www.w3.org/2000/svg}"


def test_caches_are_boxes_only_where_cores_share_them():
    topology = HOSTS["big"]._replace(
        caches=(
            Cache(1, "data", 32768, None, None, tuple(core.complete_cpuset for core in HOSTS["big"].cores)),
            Cache(3, "unified", 8 << 20, None, None, (CpuSet(range(8)), CpuSet(range(8, 16)))),
            Cache(4, "unified", 1 << 30, None, None, None),
        )
    )
    host = picture("a", topology)
    assert {box.label for box in host.root.walk() if box.kind == "cache"} == {"L3 8 MiB"}
    assert (
        host.caches() == "L1d 32 KiB for 2 CPUs, L3 8 MiB for 8 CPUs, L4 1 GiB, shared by whom is not known"
    )


def test_kinds_of_cpus_are_told_where_there_are_several():
    host = picture("a", from_facts(hybrid()))
    assert host.all_kinds() == (
        "Kinds of CPUs (thriftiest first): kind 0: CPUs 12-19, 1 thread a core, at most 3.8 GHz; "
        "kind 1: CPUs 0-11, 2 threads a core, at most 5 GHz"
    )
    assert host.caches() == "L2 2 MiB for 2 or 4 CPUs, L3 24 MiB for 20 CPUs"
    assert [str(box.cpus) for box in host.root.walk() if box.label == "L2 2 MiB"] == ["12-15", "16-19"]
    drawn = ElementTree.fromstring(to_svg(hybrid(), "a"))
    texts = [text.text for text in drawn.iter(SVG + "text")]
    assert (texts.count("kind 0"), texts.count("kind 1")) == (8, 6)
    assert len(drawn.findall(f".//{SVG}rect[@class='frame core kind1']")) == 6
    said = [title.text for title in drawn.iter(SVG + "title")]
    assert "CPU 12: core 6, package 0, node 0, kind 0; domid 2 (hard)" in said
    lines = to_text(hybrid(), "a").splitlines()
    assert "          cores 8-9 (kind 0), CPUs 14-15: -" in lines
    assert "        cores 0-1 (kind 1), CPUs 0-3: A" in lines
    assert max(map(len, lines)) <= 100
    assert "kind 0" not in to_html({"a": recorded("big-guests")})


def test_a_core_of_two_kinds_has_both_and_no_tint():
    host = picture("a", from_facts(named_kinds()))
    assert host.kind_words(CpuSet([2, 3])) == "{{ slow }}, " + HOSTILE[2]
    drawn = ElementTree.fromstring(to_svg(named_kinds(), "a"))
    assert len(drawn.findall(f".//{SVG}rect[@class='frame core']")) == 1
    assert "<b>fast" in [text.text for text in drawn.iter(SVG + "text")]


def test_a_core_beside_a_cache_of_several_stays_low():
    drawn = ElementTree.fromstring(to_svg(hybrid(), "a"))
    cores = drawn.findall(f".//{SVG}rect[@class='frame core kind1']")
    caches = [
        box for box in drawn.findall(f".//{SVG}rect[@class='frame cache']") if float(box.get("height")) < 200
    ]
    assert max(float(box.get("height")) for box in cores) < min(float(box.get("height")) for box in caches)


def test_devices_are_at_their_node_and_say_who_has_them():
    host = picture("a", from_facts(devices()))
    assert [host.device_words(device) for device in host.devices(0)] == ["0000:81:00.0 network enp1s0"]
    assert host.device_words(host.devices(1)[0]) == "0000:82:00.0 network enp0s2 (given to odd one 1)"
    assert not {device.class_id[:2] for node in (0, 1, None) for device in host.devices(node)} & {
        "05",
        "06",
        "08",
        "11",
    }
    texts = [text.text for text in ElementTree.fromstring(to_svg(devices())).iter(SVG + "text")]
    assert "and 4 more PCI devices" in texts
    page = to_html({"a": devices()})
    assert "a-name-that-is-far-too-long-" * 3 in page and "not known" in page
    assert "      PCI 0000:81:00.0 network enp1s0" in to_text(devices()).splitlines()


def test_a_device_without_a_name_in_linux_says_what_it_is():
    host = picture("a", from_facts(recorded("big-report")))
    assert [host.device_words(device) for device in host.devices(2)] == ["0000:81:00.0 Virtio 1.0 RNG"]
    words = [host.device_words(device) for device in host.devices(None)]
    assert "0000:00:1f.3 serial_bus 82801I (ICH9 Family) SMBus Controller" in words
    assert "0000:00:02.0 network enp0s2" in words


def test_who_has_a_device_is_not_cut_away():
    texts = [text.text for text in ElementTree.fromstring(to_svg(devices())).iter(SVG + "text")]
    assert "0000:82:00.0 network enp0s2 (given to odd one 1)" in texts


def test_words_are_folded_between_words():
    assert folded("one two three", 1000, 10) == ["one two three"]
    assert folded("one two three", 50, 10) == ["one two", "three"]
    assert folded("one " + "x" * 30, 60, 10)[1].endswith("…")
    assert folded("", 50, 10) == []
