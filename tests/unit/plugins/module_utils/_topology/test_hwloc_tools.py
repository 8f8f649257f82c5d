# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hwloc's own tools make of the exports, with both of hwloc's XML parsers (Debian packages hwloc-nox, libhwloc-common, libxml2-utils)."""

import os
import shutil
import subprocess

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_export import to_hwloc_xml
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_import import from_hwloc_xml
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hwloc_hosts import HOSTS

DTD = "/usr/share/hwloc/hwloc2.dtd"

PARSERS = pytest.mark.parametrize("libxml", ["0", "1"], ids=["own-parser", "libxml"])
EVERY = pytest.mark.parametrize("name", sorted(HOSTS))


class Xml:
    """The export of a host in a file, and programs that are asked about it."""

    def __init__(self, name, folder):
        self.topology = HOSTS[name]
        self.path = str(folder / "host.xml")
        self.write(to_hwloc_xml(self.topology).text)

    def write(self, text):
        with open(self.path, "w", encoding="utf-8") as stream:
            stream.write(text)

    def run(self, program, *arguments, libxml="1"):
        """Run the program; return its return code, output and complaints."""
        if not shutil.which(program):
            pytest.skip(program + " is not installed (Debian packages hwloc-nox and libxml2-utils)")
        # a tool must not look at the machine that it runs on, nor at anybody's settings
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HWLOC_")}
        environment.update(HWLOC_LIBXML=libxml, HWLOC_XMLFILE=self.path, HWLOC_THISSYSTEM="0")
        process = subprocess.Popen(
            [program, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        output, complaints = process.communicate()
        return process.returncode, output, complaints

    def ask(self, program, *arguments, **options):
        """Run the program, which must be content; return its output."""
        code, output, complaints = self.run(program, *arguments, **options)
        assert (code, complaints) == (0, "")
        return output

    def count(self, kind, **options):
        return int(self.ask("hwloc-calc", "--input", self.path, "--number-of", kind, "all", **options) or 0)


@pytest.fixture
def xml(name, tmp_path):
    return Xml(name, tmp_path)


@EVERY
@PARSERS
def test_lstopo_reads_it(xml, libxml):
    shown = xml.ask("lstopo-no-graphics", "--input", xml.path, "--of", "console", libxml=libxml)
    assert shown.startswith("Machine")
    assert shown.count("PU L#") == len(xml.topology.cpuset)
    assert shown.count("NUMANode L#") == len(xml.topology.nodeset)


@EVERY
def test_hwloc_counts_what_xen_counts(xml):
    topology = xml.topology
    if any(warning.startswith("Left out") for warning in to_hwloc_xml(topology).warnings):
        pytest.skip("packages or cores of this host have no place in hwloc's tree")
    assert xml.count("pu") == len(topology.cpuset)
    assert xml.count("core") == sum(1 for core in topology.cores if core.cpuset)
    assert xml.count("package") == sum(1 for package in topology.packages if package.cpuset)
    assert xml.count("numanode") == len(topology.nodeset)


@EVERY
def test_lstopos_own_copy_comes_back_as_the_same_host(xml):
    copied = xml.ask("lstopo-no-graphics", "--input", xml.path, "--of", "xml")
    before, after = from_hwloc_xml(to_hwloc_xml(xml.topology).text), from_hwloc_xml(copied)
    for field in (
        "pus",
        "cores",
        "packages",
        "nodes",
        "distances",
        "cpupools",
        "memory",
        "complete_cpuset",
        "cpu_kinds",
    ):
        assert getattr(after, field) == getattr(before, field), field


@EVERY
def test_dtd_agrees(xml):
    if not os.path.exists(DTD):
        pytest.skip(DTD + " is not there (Debian package libhwloc-common)")
    options = ("--noout", "--nonet", "--nowarning", "--dtdvalid", DTD)
    assert xml.run("xmllint", *(options + (xml.path,)))[0] == 0
    xml.write(to_hwloc_xml(xml.topology).text.replace('type="Machine"', 'type="Engine"'))
    assert xml.run("xmllint", *(options + (xml.path,)))[0] == 3


@EVERY
def test_distrib_spreads_over_the_host(xml):
    shares = xml.ask("hwloc-distrib", "--input", xml.path, "3").split()
    assert len(shares) == 3
    assert all(CpuSet() < CpuSet.from_hwloc(share) <= xml.topology.cpuset for share in shares)


@EVERY
def test_bind_would_bind_to_the_cpus_of_a_node(xml):
    for node in xml.topology.nodes:
        if node.cpuset:
            _code, _output, said = xml.run(
                "hwloc-bind", "--physical", "-v", "--cpubind", f"node:{node.os_index}", "--", "true"
            )
            heard, _space, cpus = said.strip().rpartition("\n")[2].rpartition(" ")
            assert (heard, CpuSet.from_hwloc(cpus)) == ("binding on cpu set", node.cpuset)


@pytest.mark.parametrize("name", ["big"])
@PARSERS
def test_big_host_in_every_tool(xml, libxml):
    assert [xml.count(kind, libxml=libxml) for kind in ("pu", "core", "package", "numanode")] == [16, 8, 2, 4]
    calc = ("hwloc-calc", "--input", xml.path, "--po", "-I")
    assert xml.ask(*calc, "pu", "package:1", libxml=libxml) == "8,9,10,11,12,13,14,15\n"
    assert xml.ask(*calc, "pu", "numanode:1", libxml=libxml) == "4,5,6,7\n"
    assert xml.ask(*calc, "core", "group:1", libxml=libxml) == "2,3\n"
    matrix = xml.ask("lstopo-no-graphics", "--input", xml.path, "--distances", libxml=libxml).split("\n")
    assert [line.split()[1:] for line in matrix if line.strip()][-4:] == [
        ["10", "12", "21", "28"],
        ["12", "10", "21", "28"],
        ["21", "21", "10", "17"],
        ["28", "28", "17", "10"],
    ]


@pytest.mark.parametrize("name", ["smt-off"])
def test_offline_cpus_are_not_there_for_hwloc(xml):
    assert xml.ask("hwloc-calc", "--input", xml.path, "--po", "-I", "pu", "all") == "0,2,4,6,8,10,12,14\n"


@pytest.mark.parametrize("name", ["big"])
def test_nothing_claims_that_hwloc_could_bind_there(xml):
    told = xml.ask("hwloc-info", "--support").split("\n")
    claims = [line for line in told if line.startswith(("cpubind:", "membind:"))]
    assert claims and all(line.endswith("= 0") for line in claims)


@pytest.mark.parametrize("name", ["big"])
def test_tools_do_find_faults(xml):
    # else the tests above would prove nothing
    xml.write(to_hwloc_xml(xml.topology).text.replace(" complete_nodeset=", " another_nodeset="))
    code, _output, complaints = xml.run("hwloc-calc", "--input", xml.path, "all")
    assert code != 0 or complaints


@pytest.mark.parametrize("name", ["small"])
@pytest.mark.parametrize(
    "cpus", ["0", "5,31", "32", "64", "31-32", "0,95", "4095", "64,165", "0-4095", "96-127,4000"]
)
def test_hwloc_writes_sets_as_we_do(xml, cpus):
    """With a made-up machine of hwloc's own, since the recorded ones are small."""
    items = ["pu:" + item for item in cpus.split(",")]
    printed = xml.ask("hwloc-calc", "--input", "node:1 core:4096 pu:1", *items)
    assert printed.strip() == CpuSet.parse(cpus).hwloc()
    assert CpuSet.from_hwloc(printed) == CpuSet.parse(cpus)


SYNTHETIC = [
    "pack:2 [numa(memory=1GB)] l3:2 core:4 pu:2",
    "pack:2 [numa] [numa(memory=4GB)] core:2 pu:1",
    "pack:1 die:2 [numa] [numa] l2:2 core:2 pu:2",
    "group:2 pack:2 core:3 l1i:1 pu:1",
    "[numa] pack:2 group:2 [numa] core:2 pu:1",
]


@pytest.mark.parametrize(
    ("description", "version"),
    # hwloc 1 has groups and nodes in one another where several nodes have the same CPUs
    [(description, "v2") for description in SYNTHETIC]
    + [(description, "v1") for description in SYNTHETIC if "[numa] [" not in description],
)
def test_any_machine_of_hwlocs_comes_out_as_it_went_in(description, version, tmp_path):
    """lstopo makes machines that were never written down here, in both versions of its format that it can write."""
    xml = Xml("small", tmp_path)
    flags = ("--export-xml-flags", "1") if version == "v1" else ()
    xml.write(xml.run("lstopo-no-graphics", "--input", description, *flags, "--of", "xml")[1])
    shown = xml.ask("lstopo-no-graphics", "--input", xml.path, "--of", "console")
    with open(xml.path, encoding="utf-8") as stream:
        xml.write(to_hwloc_xml(from_hwloc_xml(stream.read())).text)
    again = xml.ask("lstopo-no-graphics", "--input", xml.path, "--of", "console")
    assert again == shown
