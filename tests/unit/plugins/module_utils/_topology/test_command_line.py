# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the words of a command line come to, case by case as the parsers in Xen's source do it."""

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology import command_line, xen_options


def missing(wanted, line):
    found = xen_options.missing(command_line.parse(wanted), command_line.parse(line))
    return [one.name if one.value is None else one.name + "=" + one.value for one in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("smt", {("smt", ""): True}),
        ("smt=0 smt=enable", {("smt", ""): True}),
        ("no-smt", {("smt", ""): False}),
        ("no-smt=off", {("smt", ""): True}),
        ("smt=off smt=perhaps", {("smt", ""): False}),
        ("maxcpus=4 maxcpus=6", {("maxcpus", ""): "6"}),
        # dom0_build.c, parse_dom0_mem: a number is KiB, and what follows an error is not read
        ("dom0_mem=1024", {("dom0_mem", ""): (False, 256, 0)}),
        ("dom0_mem=-1G,max:10%", {("dom0_mem", ""): (True, 262144, 0), ("dom0_mem", "max"): (False, 0, 10)}),
        ("dom0_mem=min:1G+5%", {("dom0_mem", "min"): (False, 262144, 5)}),
        ("dom0_mem=512M,huge,max:1G", {("dom0_mem", ""): (False, 131072, 0)}),
        ("dom0_max_vcpus=2-8", {("dom0_max_vcpus", "min"): 2, ("dom0_max_vcpus", "max"): 8}),
        ("dom0_max_vcpus=4 dom0_max_vcpus=-8", {("dom0_max_vcpus", "min"): 4, ("dom0_max_vcpus", "max"): 8}),
        ("dom0_nodes=1,relaxed dom0_nodes=0", {("dom0_nodes", ""): (0, 1), ("dom0_nodes", "relaxed"): True}),
        ("xpti=dom0=false,domu=true", {("xpti", "dom0"): False, ("xpti", "domu"): True}),
        ("xpti", {("xpti", "dom0"): True, ("xpti", "domu"): True}),
        ("no-xpti", {("xpti", "dom0"): False, ("xpti", "domu"): False}),
        ("iommu=no-intremap,debug", {("iommu", "intremap"): False, ("iommu", "debug"): True, ("iommu", "verbose"): True}),
        ("iommu=dom0-strict dom0-iommu=strict=0", {("dom0-iommu", "strict"): False}),
        ("iommu=required", {("iommu", "force"): True}),
        ("numa=fake=3 numa=on", {("numa", ""): True, ("numa", "fake"): 3}),
        # numa_setup of numa.c compares beginnings, and knows no "no"
        ("numa=off", {("numa", ""): False}),
        ("no-numa", {}),
        ("crashkernel=256M,below=4G", {("crashkernel", ""): "256M", ("crashkernel", "below"): "4G"}),
        ("crashkernel=256M<4G", {("crashkernel", ""): "256M", ("crashkernel", "below"): "4G"}),
        ("crashkernel=1G-2G:64M,2G-:128M@16M", {("crashkernel", ""): "1G-2G:64M,2G-:128M", ("crashkernel", "at"): "16M"}),
        ("cpufreq=dom0-kernel", {("cpufreq", ""): "dom0-kernel", ("dom0_vcpus_pin", ""): True}),
        ("cpufreq=dom0-kernel dom0_vcpus_pin=no", {("cpufreq", ""): "dom0-kernel", ("dom0_vcpus_pin", ""): False}),
        ("watchdog watchdog_timeout=0", {("watchdog", ""): False, ("watchdog_timeout", ""): "0"}),
        ("pci-phantom=1:0,1 pci-phantom=2:0,1", {("pci-phantom", "1:0,1"): True, ("pci-phantom", "2:0,1"): True}),
        ("spec-ctrl=ibrs=0,no-ssbd spec-ctrl=no", {("spec-ctrl", ""): False}),
        ("gnttab=max-ver:1,no-transitive", {("gnttab", "max-ver"): True, ("gnttab", "transitive"): False}),
        ("dom0=pvh dom0=pv", {("dom0", "pvh"): False}),
    ],
)  # fmt: skip
def test_settings(line, expected):
    assert xen_options.settings(command_line.parse(line)) == expected


@pytest.mark.parametrize(
    ("wanted", "line", "expected"),
    [
        ("dom0_nodes=1", "placeholder dom0_nodes=0 dom0_nodes=1", ["dom0_nodes=1"]),
        ("dom0_nodes=0 dom0_nodes=1", "dom0_nodes=1,0", []),
        ("dom0_nodes=1", "dom0_nodes=1,relaxed", ["dom0_nodes=1"]),
        ("dom0_nodes=1,strict", "dom0_nodes=1", []),
        ("iommu=verbose", "placeholder iommu=verbose iommu=1", []),
        ("iommu=1 iommu=verbose", "iommu=verbose,no", ["iommu=1"]),
        ("dom0_mem=4096M,max:4096M", "dom0_mem=4G,max:4194304", []),
        ("dom0_mem=4096M,max:4096M", "dom0_mem=4G,max:4G dom0_mem=max:8G", ["dom0_mem=4096M,max:4096M"]),
        ("dom0_max_vcpus=4", "dom0_max_vcpus=4-4", []),
        ("smt=off", "no-smt", []),
        ("smt", "smt=1 smt=0", ["smt"]),
        ("cpufreq=dom0-kernel", "cpufreq=dom0-kernel no-dom0_vcpus_pin", ["cpufreq=dom0-kernel"]),
        ("pci-phantom=1:0,1", "pci-phantom=2:0,1 pci-phantom=1:0,1", []),
        ("smt=perhaps", "smt=perhaps", []),
        ("smt=perhaps", "smt", ["smt=perhaps"]),
        ("a=1", "", ["a=1"]),
    ],
)
def test_missing(wanted, line, expected):
    assert missing(wanted, line) == expected


def test_a_line_has_all_its_own_words():
    """As long as none overrides another."""
    line = "smt=off dom0_mem=1G,max:2G dom0_nodes=0 dom0_nodes=3 iommu=1,verbose iommu=no-igfx console=vga cpufreq=xen:performance ept=ad=0"
    for word in line.split():
        if not word.startswith("dom0_nodes"):
            assert missing(word, line) == []
    assert missing(line, line) == []
