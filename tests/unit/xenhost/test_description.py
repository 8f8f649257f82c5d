# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

import copy
import re

import pytest
from ansible_collections.dom0.xen.tests.xenhost import description
from ansible_collections.dom0.xen.tests.xenhost.errors import HostError

GOOD = {
    "summary": "two nodes",
    "image": {"suite": "bookworm", "packages": ["strace", "gdb"], "disk": "4GiB"},
    "cpu": {"sockets": 2, "cores": 2, "threads": 1, "vendor": "AuthenticAMD"},
    "numa": {
        "distances": [[10, 21, 28], [21, 10, 17], [28, 17, 10]],
        "nodes": [
            {"cpus": "0-1", "memory": "1GiB"},
            {"cpus": "2,3", "memory": "768MiB", "pci": ["virtio-rng-pci"]},
            {"memory": "512MiB"},
        ],
    },
    "xen": {"arguments": ["smt=0"]},
    "dom0": {"arguments": ["quiet"], "memory": "512MiB", "vcpus": 1},
}


def parse(data):
    return description.parse("odd", data, "odd.toml")


def test_a_description_becomes_a_host():
    host = parse(GOOD)
    assert (host.name, host.suite, host.packages, host.disk_mib) == (
        "odd",
        "bookworm",
        ("gdb", "strace"),
        4096,
    )
    assert (host.cpus, host.memory_mib, host.vendor) == (4, 2304, "AuthenticAMD")
    assert host.nodes == (
        description.Node(1024, (0, 1), ()),
        description.Node(768, (2, 3), ("virtio-rng-pci",)),
        description.Node(512, (), ()),
    )
    assert host.distances == ((10, 21, 28), (21, 10, 17), (28, 17, 10))
    assert (host.xen_arguments, host.dom0_arguments, host.dom0_memory_mib, host.dom0_vcpus) == (
        ("smt=0",),
        ("quiet",),
        512,
        1,
    )


def test_what_is_left_out_has_a_default():
    host = parse({"cpu": {"cores": 2}, "numa": {"nodes": [{"cpus": "0-1", "memory": "2GiB"}]}})
    assert (host.suite, host.sockets, host.threads, host.vendor) == ("bookworm", 1, 1, "GenuineIntel")
    assert (host.distances, host.xen_arguments, host.dom0_memory_mib, host.dom0_vcpus) == ((), (), 1024, 2)


def test_the_reader_does_not_change_what_it_reads():
    before = copy.deepcopy(GOOD)
    parse(GOOD)
    assert before == GOOD


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("image.suite", "sarge", "image.suite must be one of bullseye, bookworm, trixie, not 'sarge'"),
        ("image.disk", "4G", "image.disk must be a size such as"),
        ("image.disk", "0GiB", "image.disk must be a size such as"),
        ("image.disk", 4, "image.disk must be a size such as"),
        (
            "image.packages",
            ["Not A Package"],
            "image.packages holds 'Not A Package', which is not a package name",
        ),
        ("image.packages", "gdb", "image.packages must be an array of strings"),
        ("image", [], "image must be a table"),
        ("cpu.cores", 0, "cpu.cores must be a whole number from 1 to 64, not 0"),
        ("cpu.cores", True, "cpu.cores must be a whole number"),
        ("cpu.cores", "2", "cpu.cores must be a whole number"),
        ("cpu.sockets", 64, "numa.nodes must place every CPU; CPU 4 is in no node"),
        ("cpu.vendor", "Cyrix", "cpu.vendor must be one of"),
        ("cpu.speed", 3, "cpu.speed is not a known field"),
        ("numa.nodes", [], "numa.nodes must describe at least one node"),
        ("numa.nodes.0.cpus", "0-4", "numa.nodes[0].cpus names CPU 4, but the host has CPUs 0 to 3"),
        ("numa.nodes.0.cpus", "0-2", "numa.nodes[1].cpus names CPU 2, which node 0 has already"),
        ("numa.nodes.0.cpus", "0", "numa.nodes must place every CPU; CPU 1 is in no node"),
        ("numa.nodes.0.cpus", "1-0", "numa.nodes[0].cpus must be a list such as"),
        ("numa.nodes.0.cpus", "zero", "numa.nodes[0].cpus must be a list such as"),
        ("numa.nodes.0.memory", "lots", "numa.nodes[0].memory must be a size such as"),
        ("numa.nodes.0.size", "1GiB", "numa.nodes[0].size is not a known field"),
        ("numa.nodes.1.pci", ["a,b=c"], "numa.nodes[1].pci holds 'a,b=c', which is not a QEMU device model"),
        ("numa.distances", [[10, 21], [21, 10]], "numa.distances must be 3 rows of 3 numbers"),
        ("numa.distances.0.0", 11, "numa.distances from node 0 to node 0 must be 10, not 11"),
        ("numa.distances.0.2", 10, "numa.distances from node 0 to node 2 must be 11 to 254, not 10"),
        ("numa.distances.2.0", 255, "numa.distances from node 2 to node 0 must be 11 to 254, not 255"),
        ("xen.arguments", ["two\nlines"], "xen.arguments holds 'two\\nlines', which is not an argument"),
        ("dom0.memory", "2176MiB", "dom0.memory is 2176 MiB, which leaves less than 256 MiB"),
        ("dom0.vcpus", 5, "dom0.vcpus must be a whole number from 1 to 4, not 5"),
        ("summary", 1, "summary must be a one-line string, not 1"),
        ("colour", "red", "colour is not a known field"),
    ],
)
def test_a_bad_field_is_named_with_its_file(path, value, sentence):
    data = copy.deepcopy(GOOD)
    where = data
    *parents, last = [int(word) if word.isdigit() else word for word in path.split(".")]
    for word in parents:
        where = where[word]
    where[last] = value
    with pytest.raises(HostError) as caught:
        parse(data)
    message = str(caught.value)
    assert message.startswith("odd.toml: ")
    assert sentence in message
    assert message.endswith(".")


@pytest.mark.parametrize("name", ["", "Big", "../big", "a b", "9lives"])
def test_a_host_name_is_plain(name):
    with pytest.raises(HostError, match="must be lower-case letters"):
        description.parse(name, GOOD, "x.toml")


def test_more_cpus_than_xapic_ids_are_refused():
    with pytest.raises(HostError, match=re.escape("is 256, more than 255")):
        parse({**GOOD, "cpu": {"sockets": 4, "cores": 64}})


@pytest.mark.parametrize(
    ("text", "cpus"), [("", ()), ("3", (3,)), ("0-3,8", (0, 1, 2, 3, 8)), ("4, 2-3", (4, 2, 3))]
)
def test_cpu_lists(text, cpus):
    assert description.cpu_list(text) == cpus


def test_the_hosts_that_are_shipped_are_valid():
    pytest.importorskip("tomllib")
    hosts = {name: description.load(name) for name in description.names()}
    assert {"small", "big"} <= set(hosts)
    small, big = hosts["small"], hosts["big"]
    assert (small.cpus, len(small.nodes), small.distances) == (8, 2, ((10, 21), (21, 10)))
    assert (big.cpus, big.sockets, big.threads, [node.cpus for node in big.nodes]) == (
        16,
        2,
        2,
        [(0, 1, 2, 3), (4, 5, 6, 7), tuple(range(8, 16)), ()],
    )
    assert {value for row in big.distances for value in row} == {10, 12, 17, 21, 28}
    assert [bool(node.pci) for node in big.nodes] == [False, True, True, False]


def test_an_unknown_host_is_refused_with_those_that_are_known():
    with pytest.raises(HostError, match=r"no test host 'huge'; described are: .*big.*small"):
        description.load("huge")
