# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts for the tests of hwloc XML, and a look at such XML that the tests share."""

import re
import typing as t
from xml.etree import ElementTree

from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import Topology
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    GIB,
    INVALID,
    SMALL,
    made_host,
    recording,
    recording_names,
)

#: Two sockets of four SMT cores; the first is split in the nodes 0 and 1, the second is node 2; node 3 is memory alone.
BIG = [(cpu // 2 % 4, cpu // 8, min(cpu // 4, 2)) for cpu in range(16)]
#: Four packages of two cores, a node for each two of them.
WIDE = [(cpu // 2 % 2, cpu // 4, cpu // 8) for cpu in range(16)]

DISTANCES = ((10, 12, 21, 28), (12, 10, 21, 28), (21, 21, 10, 17), (28, 28, 17, 10))


def numa(sizes: t.Sequence[t.Optional[int]], distance: t.Any = DISTANCES) -> t.Dict[str, t.Any]:
    """Make the section numainfo; sizes in GiB, None = no such memory."""
    memory = [INVALID if size is None else size * GIB for size in sizes]
    return {
        "memsize": memory,
        "memfree": [size // 2 for size in memory],
        "distance": [list(row) for row in distance],
    }


def offline(cpus: t.Iterable[int], count: int) -> t.Dict[str, t.Any]:
    """Make the sections that say that these of `count` CPUs are offline."""
    online = [cpu for cpu in range(count) if cpu not in cpus]
    return {
        "pcpuinfo": [[count - 1, int(cpu in online), cpu, cpu] for cpu in range(count)],
        "cpupools": [{"id": 0, "sched_id": 6, "n_dom": 1, "cpus": online}],
        "physinfo": {"nr_cpus": len(online)},
    }


def _device(address: str, kind: int, parent: str, **more: t.Any) -> t.Dict[str, t.Any]:
    """Make a member of the section pci_devices."""
    made = {
        "address": address,
        "class": kind,
        "vendor": 0x8086,
        "device": 0x10FB,
        "driver": "ixgbe",
        "parent": parent,
    }
    if "buses" in more:
        made["buses"] = more.pop("buses")
    return dict(made, interfaces=more)


BIG_NUMA = numa([2, 2, 2, 1])

#: Hosts put together, beside the recordings of real ones.
MADE = {
    "small": made_host(),
    "big": made_host(BIG, numainfo=BIG_NUMA),
    "smt-off": made_host(BIG, numainfo=BIG_NUMA, **offline(range(1, 16, 2), 16)),
    "node-offline": made_host(BIG, numainfo=BIG_NUMA, **offline(range(4, 8), 16)),
    "package-offline": made_host(BIG, numainfo=BIG_NUMA, **offline(range(8, 16), 16)),
    "core-offline": made_host(**offline([2, 3], 8)),
    # as some processors have it: an offline CPU keeps its node alone
    "placeless-offline": made_host(
        [*SMALL[:3], (INVALID, INVALID, 0), *SMALL[4:6], (INVALID, INVALID, 1), SMALL[7]],
        **offline([3, 6], 8),
    ),
    # two cores with two threads, and four slower ones with one
    "hybrid": made_host(
        [(core, 0, 0) for core in (0, 0, 1, 1, 8, 9, 10, 11)],
        px_max_mhz={str(cpu): 5201 if cpu < 4 else 3900 for cpu in range(8) if cpu not in (3, 5)},
        **offline([3, 5], 8),
    ),
    "wide": made_host(WIDE),
    "wide-offline": made_host(WIDE, **offline([4, 5, 6, 7, 12, 13, 14, 15], 16)),
    "one-node": made_host([(core, package, 0) for core, package, _node in SMALL]),
    "one-cpu": made_host([(0, 0, 0)]),
    "empty-node": made_host(
        [*SMALL, (0, 2, 2), (1, 2, 2)], numainfo=numa([2, 2, None, None]), **offline([8, 9], 10)
    ),
    "sparse-nodes": made_host(
        [(core, package, 1 + 2 * node) for core, package, node in SMALL], numainfo=numa([None, 2, None, 2])
    ),
    "unreachable": made_host(
        BIG, numainfo=numa([2, 2, 2, 1], [[10, 12, INVALID, 28], [12, 10, INVALID, 28], *DISTANCES[2:]])
    ),
    "no-distances": made_host(BIG, numainfo=numa([2, 2, 2, 1], [])),
    "package-crossing": made_host(
        [(core, package, cpu // 6) for cpu, (core, package, _node) in enumerate(SMALL)]
    ),
    "core-crossing": made_host(
        [(core, package, cpu % 2) for cpu, (core, package, _node) in enumerate(SMALL)]
    ),
    "unplaced": made_host([*SMALL[:6], (INVALID, 1, 1), (1, INVALID, INVALID)]),
    "state-unknown": made_host(
        pcpuinfo=[[7, 1, cpu, cpu] for cpu in range(6)],
        cpupools=None,
        cpupool_free=None,
        physinfo={"nr_cpus": 7},
    ),
    "pools": made_host(
        cpupools=[
            {"id": 0, "sched_id": 6, "n_dom": 2, "cpus": [0, 1, 2, 3]},
            {"id": 3, "sched_id": 8, "cpus": [4, 5]},
        ],
        cpupool_free=[6, 7],
        cpupool_names={"0": "Pool-0", "3": 'rt <name=1> & "more"'},
    ),
    "odd-characters": made_host(
        xen={
            "major": 4,
            "minor": 20,
            "extraversion": "-rc1",
            "commandline": "a=\"b\" <c> & 'd'\t\n\r\u00e9 \u20ac end",
        }
    ),
    # two packages, of which one has both threads' caches apart and shares a large one; a device near each node, one near nobody knows what
    "devices": made_host(
        cpu_policy=[
            [0, INVALID, 11, 0x756E6547, 0x6C65746E, 0x49656E69],
            [4, 0, 1 | 1 << 5 | 1 << 14, 63 | 7 << 22, 63, 0],
            [4, 1, 2 | 1 << 5 | 1 << 14, 63 | 7 << 22, 63, 0],
            [4, 2, 3 | 2 << 5 | 1 << 14, 63 | 7 << 22, 1023, 0],
            [4, 3, 3 | 3 << 5 | 3 << 14, 63 | 15 << 22, 4095, 0],
            [0xB, 0, 1, 2, 0x100, 0],
            [0xB, 1, 2, 4, 0x201, 0],
        ],
        pci_devices=[
            _device("0000:00:1f.2", 0x010601, "pci0000:00", block=["sda", "sdb"]),
            _device("0000:40:00.0", 0x060400, "pci0000:40", buses=[0x41, 0x42]),
            _device("0000:41:00.0", 0x060400, "0000:40:00.0", buses=[0x42, 0x42]),
            _device("0000:42:00.0", 0x020000, "0000:41:00.0", network=['eth "0" <&>'], infiniband=["mlx5_0"]),
            _device("0000:42:00.1", 0x030000, "0000:41:00.0", gpu=["card0"]),
            _device("0000:80:00.0", 0x020000, "pci0000:80"),
            _device("0000:80:01.0", 0x020000, "pci0000:80"),
            _device("0000:c0:00.0", 0x020000, "nobody"),
            _device("10000:e1:00.0", 0x010802, "pci10000:e0"),
        ],
        pci_nodes={
            "0000:40:00.0": 1,
            "0000:41:00.0": INVALID,
            "0000:42:00.0": 1,
            "0000:80:00.0": 0,
            "0000:80:01.0": 1,
            "0000:c0:00.0": 0,
        },
        pci_names={"8086": "Intel Corporation", "8086:10fb": "82599ES"},
        pci_assigned={"0000:42:00.1": 7},
        dmi={"sys_vendor": "Maker & <Sons>", "product_serial": "123"},
    ),
    "many-words": made_host([(cpu // 2 % 16, cpu // 32, cpu // 32) for cpu in range(96)]),
}


def hosts() -> t.Dict[str, Topology]:
    """Return all of them, derived."""
    found = {name: derive(host) for name, host in MADE.items()}
    found.update({"recorded-" + name: derive(recording(name)) for name in recording_names()})
    found["constructed-arm"] = derive(recording("constructed/arm"))
    return found


HOSTS = hosts()

_LINE = re.compile(r"  +<(object type=|info name=|/object>|/?distances2|indexes |u64values |/?cpukind)")
_IO = ("Bridge", "PCIDev", "OSDev")
_CACHE_TYPES = {"Cache": "01", "iCache": "2"}
_ATTRIBUTE = re.compile(r' [a-z_]+="[^"<>]*"')
_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|quot|#9|#10|#13);)")
_SETS = ["cpuset", "complete_cpuset", "nodeset", "complete_nodeset"]


def bits(mask: str) -> int:
    """Read hwloc's format of a set, by itself so that the tests do not trust the code under test."""
    words = mask.split(",")
    first, between, last = words[0], words[1:-1], words[1:][-1:]
    assert re.match(r"0x[0-9a-f]{8}\Z", first) or mask == "0x0"
    # hwloc writes nothing for 32 zeros, but for the last word
    assert all(re.match(r"(0x[0-9a-f]{8})?\Z", word) for word in between)
    assert all(re.match(r"(0x[0-9a-f]{8}|0x0)\Z", word) for word in last)
    assert "0x00000000" not in words
    return int("".join(word[2:].rjust(8, "0") for word in words), 16)


def check_rules(text: str) -> "ElementTree.Element":
    """Hold an export against the rules that the readers of hwloc XML rely on; return the Machine."""
    lines = text.split("\n")
    assert lines[:3] == [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<!DOCTYPE topology SYSTEM "hwloc2.dtd">',
        '<topology version="2.0">',
    ]
    assert lines[-2:] == ["</topology>", ""]
    assert "\r" not in text and "'" not in re.sub(r'value="[^"]*"', "", text)
    assert not _ENTITY.search(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    for line in lines[3:-2]:
        assert _LINE.match(line), line
        if "<object" in line or "<info" in line:
            # what is left when all attributes are taken away
            assert _ATTRIBUTE.sub("", line).strip() in ("<object>", "<object/>", "<info/>"), line
    document = ElementTree.fromstring(text)
    beside = [child.tag for child in document if child.tag != "cpukind"]
    assert beside in (["object"], ["object", "distances2"])
    # kinds of CPUs come last
    assert [child.tag for child in document][: len(beside)] == beside
    machine = document[0]
    assert machine.get("type") == "Machine"
    _check_object(machine, None)
    numbers = [int(found.get("gp_index")) for found in machine.iter("object")]
    assert numbers == list(range(1, len(numbers) + 1))
    nodes = [found for found in machine.iter("object") if found.get("type") == "NUMANode"]
    assert nodes
    mask = 0
    for node in nodes:
        assert not mask & bits(node.get("nodeset"))
        mask |= bits(node.get("nodeset"))
    assert bits(machine.get("nodeset")) == bits(machine.get("allowed_nodeset")) == mask
    assert machine.get("allowed_cpuset") == machine.get("cpuset")
    _check_distances(document.find("distances2"), nodes)
    return machine


def _check_object(thing: t.Any, parent: t.Any) -> None:
    kind = thing.get("type")
    if kind in _IO:
        _check_io(thing, parent)
        return
    if "Cache" in kind:
        level, form = re.match(r"L([1-5])(i?Cache)\Z", kind).groups()
        assert (thing.get("depth"), thing.get("cache_type") in _CACHE_TYPES[form]) == (level, True)
        assert int(thing.get("cache_size")) > 0
    allowed = [name for name in thing.keys() if name.startswith("allowed_")]  # noqa: SIM118
    assert bool(allowed) == (parent is None)
    sets = [bits(thing.get(name)) for name in _SETS]
    cpuset, complete_cpuset, nodeset, complete_nodeset = sets
    assert not cpuset & ~complete_cpuset and not nodeset & ~complete_nodeset
    if parent is not None:
        assert all(not mine & ~bits(parent.get(name)) for mine, name in zip(sets, _SETS))
    below = list(thing)
    tags = [child.tag for child in below]
    assert tags == sorted(tags)  # info, then object
    children = [child for child in below if child.tag == "object"]
    # what has sets comes before what has none
    io = [child for child in children if child.get("type") in _IO]
    assert children[len(children) - len(io) :] == io
    for child in io:
        _check_object(child, thing)
    children = children[: len(children) - len(io)]
    memory = [child for child in children if child.get("type") == "NUMANode"]
    normal = [child for child in children if child.get("type") != "NUMANode"]
    assert children == memory + normal
    if kind == "NUMANode":
        assert not children
        assert nodeset == 1 << int(thing.get("os_index"))
        assert cpuset == bits(parent.get("cpuset")) or (cpuset == 0 and parent.get("type") == "Machine")
    elif kind == "PU":
        assert not children
        assert cpuset == complete_cpuset == 1 << int(thing.get("os_index"))
    else:
        assert cpuset == sum(bits(child.get("cpuset")) for child in normal)
        complete = [bits(child.get("complete_cpuset")) for child in normal]
        firsts = [mask & -mask for mask in complete]
        assert firsts == sorted(firsts)
        assert all(not one & other for one, other in zip(complete, complete[1:]))
    for child in children:
        _check_object(child, thing)


def _check_io(thing: t.Any, parent: t.Any) -> None:
    """Host bridges on normal objects; below them PCI bridges and devices; OS devices below those. None of them has sets."""
    kind = thing.get("type")
    assert not [name for name in _SETS if name in thing.keys()]  # noqa: SIM118
    assert next(iter(thing.keys())) == "type"
    above = parent.get("type")
    if kind == "OSDev":
        assert above in ("PCIDev", "Bridge")
        assert thing.get("name") and thing.get("osdev_type") in "0123"
    elif thing.get("bridge_type") == "0-1":
        assert above not in _IO
        assert re.match(r"[0-9a-f]{4}:\[[0-9a-f]{2}-[0-9a-f]{2}\]\Z", thing.get("bridge_pci"))
    else:
        assert above == "Bridge"
        assert re.match(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\Z", thing.get("pci_busid"))
        assert re.match(
            r"[0-9a-f]{4} \[[0-9a-f]{4}:[0-9a-f]{4}\] \[[0-9a-f]{4}:[0-9a-f]{4}\] [0-9a-f]{2} [0-9a-f]{2}\Z",
            thing.get("pci_type"),
        )
        assert kind == "PCIDev" or (thing.get("bridge_type"), int(thing.get("depth")) > 0) == ("1-1", True)
    for child in thing:
        if child.tag == "object":
            _check_io(child, thing)


def _check_distances(matrix: t.Any, nodes: t.Sequence[t.Any]) -> None:
    if matrix is None:
        return
    wanted = {"type": "NUMANode", "indexing": "os", "kind": "5", "name": "NUMALatency"}
    assert {name: matrix.get(name) for name in wanted} == wanted
    for child in matrix:
        assert int(child.get("length")) == len(child.text.encode("utf-8"))
        assert re.match(r"[0-9]+( [0-9]+)*\Z", child.text)
    (indexes,) = matrix.findall("indexes")
    rows = [child.text.split() for child in matrix.findall("u64values")]
    count = int(matrix.get("nbobjs"))
    assert count >= 2 and len(indexes.text.split()) == len(rows) == count
    assert all(len(row) == count for row in rows)
    assert set(indexes.text.split()) <= {node.get("os_index") for node in nodes}


def outline(machine: t.Any, indent: str = "") -> t.List[str]:
    """List the tree the way lstopo does: an object a line; a PU stands for itself only."""
    kind, number = machine.get("type"), machine.get("os_index")
    lines = [indent + kind + ("" if number is None or kind == "Machine" else " " + number)]
    pus = [child.get("os_index") for child in machine if child.get("type") == "PU"]
    if pus:
        lines[0] += ": " + " ".join(pus)
    for child in machine:
        if child.tag == "object" and child.get("type") != "PU":
            lines += outline(child, indent + "  ")
    return lines
