# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is fuzzed: every parser, and every entry on the control node, each with inputs that it is made for."""

from __future__ import annotations

import functools
import json
import struct
import types
import typing as t
from pathlib import Path
from unittest import mock

from ansible.errors import AnsibleError
from ansible_collections.dom0.xen.plugins.action import placement_check, placement_plan
from ansible_collections.dom0.xen.plugins.filter import cpuset as cpuset_filter
from ansible_collections.dom0.xen.plugins.filter import hwloc_xml, pictures, report, roles
from ansible_collections.dom0.xen.plugins.module_utils._control import config
from ansible_collections.dom0.xen.plugins.module_utils._discovery import xl_reading
from ansible_collections.dom0.xen.plugins.module_utils._discovery.component import DOMAINS, Request
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xenstore, xlcfg, xltext
from ansible_collections.dom0.xen.plugins.module_utils._topology import acpi, command_line
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.expression import resolve
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_export import to_hwloc_xml
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_import import from_hwloc_xml
from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost
from ansible_collections.dom0.xen.plugins.module_utils._topology.recording import from_recording
from ansible_collections.dom0.xen.plugins.module_utils._xen.numa_dump import parse_numa_dump
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.capacity import host_room
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import Reserve
from ansible_collections.dom0.xen.plugins.plugin_utils._report import show, text

from .runner import Entry

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = ROOT / "tests" / "recordings"
#: The first has guests and memory by node, the others offline CPUs, threads, PCI devices, an old and a new Xen.
NAMES = (
    "small-guests",
    "big-guests",
    "shuffled-maxcpus",
    "sparse-offline",
    "big-report",
    "small-bullseye",
    "small-trixie",
    "amd",
)


def _recording(name: str) -> t.Any:
    return json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))


def _said(name: str) -> dict[str, str]:
    """What Xen's own tools printed on a host, by command."""
    parts = (RECORDINGS / f"{name}.txt").read_text(encoding="utf-8").split("$ ")[1:]
    return {command: said for command, _newline, said in (part.partition("\n") for part in parts)}


RECORDED = [_recording(name) for name in NAMES]
HOSTS = [derive(from_recording(recording)) for recording in RECORDED]
FACTS = [to_facts(host) for host in HOSTS]
SAID = [_said(name) for name in NAMES if (RECORDINGS / f"{name}.txt").exists()]
SMALL, BIG = HOSTS[0], HOSTS[1]

REFUSED = (Failure,)
TOLD = (Failure, AnsibleError)


# facts, recordings, hwloc XML


def _replay(recording: t.Any) -> None:
    facts = to_facts(derive(from_recording(recording)))
    json.dumps(facts)
    from_facts(facts)


def _draw(facts: t.Any) -> None:
    from_facts(facts)
    for draw in (show.to_text, show.to_svg, show.to_html, text.host_summary):
        draw(facts)


def _room(facts: t.Any) -> None:
    host_room("a", from_facts(facts), Reserve())


def _export(facts: t.Any) -> None:
    host = from_facts(facts)
    from_hwloc_xml(to_hwloc_xml(host, "a").text)


def _import(xml: str) -> None:
    host = from_hwloc_xml(xml)
    json.dumps(to_facts(host))
    to_hwloc_xml(host)


def _draw_fleet(facts: t.Any) -> None:
    for draw in (show.to_text, show.to_svg, show.to_html):
        draw({"bad": facts, "good": FACTS[2]})


# the planner


WANTED: list[dict[str, t.Any]] = [
    {"name": "web", "vcpus": 2, "memory": 256, "policy": {"numa_policy": "single", "pin": "hard"}},
    {"name": "db", "vcpus": 2, "memory": "300MiB", "priority": 3, "nodes": [0], "weight": 10},
    {"name": "new", "vcpus": 1, "memory": 128, "policy": {"cpu_policy": "dedicated"}, "trust_group": "a"},
]
ASKED: dict[str, t.Any] = {
    "guests": WANTED,
    "facts": {"alpha": FACTS[0], "beta": FACTS[2]},
    "defaults": {"pin": "soft"},
    "reserve": {"node_memory": "64MiB", "low_memory": False},
    "groups": [{"name": "apart", "policy": "anti-affinity", "scope": "node", "members": ["web", "db"]}],
    "capacity": [{"name": "shape", "vcpus": 1, "memory": 64}],
    "host_policies": {"beta": {"defaults": {"pin": "none"}, "cpu_allocation_ratio": 4}},
    "explain": True,
    # the other engine is a program of its own, which takes no input that was not checked
    "engine": "builtin",
}


def _action(plugin: t.Any, name: str, args: t.Any) -> t.Any:
    """Run a plugin as the task executor does, without an executor."""
    if not isinstance(args, dict):
        return None
    task = types.SimpleNamespace(
        args=args,
        async_val=0,
        check_mode=False,
        diff=False,
        action=f"dom0.xen.{name}",
        collections=[],
        environment=[],
    )
    connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="unused"))
    made = plugin.ActionModule(task, connection, types.SimpleNamespace(), None, None, None)
    made._load_name = name
    return made.run(
        None, {"inventory_hostname": "alpha", "hostvars": {"alpha": {}}, "groups": {"xen": ["alpha"]}}
    )


_plan = functools.partial(_action, placement_plan, "placement_plan")
_check = functools.partial(_action, placement_check, "placement_check")
PLAN = {key: found for key, found in _plan(ASKED).items() if key != "summary"}
CARRIED = {key: found for key, found in ASKED.items() if key not in ("capacity", "explain")}
CHECKED = {key: found for key, found in CARRIED.items() if key != "engine"}


def _one_host(facts: t.Any) -> None:
    _plan({"guests": WANTED, "facts": {"alpha": facts, "beta": FACTS[2]}, "engine": "builtin"})


# xl and xenstore


def _of_the_tools(texts: dict[str, str]) -> None:
    def run(argv: list[str]) -> tuple[int, str, str]:
        command = " ".join(argv)
        return (0, texts[command], "") if command in texts else (127, "", "no such command")

    with mock.patch.object(
        xl_reading.xenstore.Xenstore, "open", side_effect=xenstore.XenstoreError("no xenstore")
    ):
        heard = xl_reading.read(Request(frozenset([DOMAINS]), lambda: None, run))
    raw = RawHost(heard.sections, [{"name": "xl", "priority": 50, "state": "used", "reason": None}])
    facts = to_facts(derive(raw))
    json.dumps(facts).encode()
    from_facts(facts)


def _with_text(command: str) -> t.Callable[[str], None]:
    def run(said: str) -> None:
        _of_the_tools({**SAID[0], command: said})

    return run


def _store(replies: bytes) -> None:
    def ask(question: t.Callable[[xenstore.Xenstore], t.Any]) -> None:
        rest = [replies]

        def receive(size: int) -> bytes:
            piece, rest[0] = rest[0][:size], rest[0][size:]
            return piece

        question(xenstore.Xenstore(lambda request: None, receive, lambda: None))

    for question in (
        xenstore.domain_names,
        xenstore.cpupool_names,
        xenstore.assigned_devices,
        lambda store: store.exchange("/a", b"b", b"c"),
    ):
        try:
            ask(question)
        except xenstore.XenstoreError:
            continue


def _reply(kind: int, request: int, body: bytes) -> bytes:
    return xenstore.HEADER.pack(kind, request, 0, len(body)) + body


REPLIES = [
    _reply(1, 1, b"0\x003\x00") + _reply(2, 2, b"Domain-0") + _reply(2, 3, b"web"),
    _reply(1, 1, b"7\0")
    + _reply(1, 2, b"0\0")
    + _reply(1, 3, b"dev-0\0vdev\0")
    + _reply(2, 4, b"0000:41:00.0"),
    _reply(6, 1, b"12\0") + _reply(2, 2, b"b") + _reply(11, 3, b"OK\0") + _reply(7, 4, b"OK\0"),
    _reply(16, 1, b"ENOENT\0"),
]

CONFIG = """\
# made by hand
name = "web"
type = 'hvm'
memory = 512
maxmem = 512
vcpus = 2
cpus = ["0-1", "all,^3"]
cpus_soft = "node:0"
disk = [ 'phy:/dev/vg/web,xvda,w', "file:/a b,xvdb,r" ]
vif += [ 'bridge=xenbr0' ]
vnuma = [ [ "pnode=0","size=256","vcpus=0","vdistances=10,20" ], [ "pnode=1","size=256","vcpus=1" ] ]
extra = "console=hvc0 \\"quoted\\""; on_crash = "destroy"
"""


def _configure(data: bytes) -> None:
    for entry in (
        {"vcpus": 3, "cpus": "0-2", "memory": 600},
        {"cpus": ["0", 1], "cpus_soft": [], "pool": "a", "name": "b"},
        {"vnuma": [{"node": 0, "memory": 512, "vcpus": "0-1"}]},
    ):
        try:
            change = config.plan_config(entry, data)
            config.difference(change)
            config.result(change)
        except Failure:
            continue
    parsed = xlcfg.parse(xlcfg.decode(data))
    config.vnuma_memory(parsed)
    config.vcpu_count(parsed)


# sets, command lines, tables


def _sets(found: str) -> None:
    for read in (
        CpuSet.parse,
        CpuSet.from_hwloc,
        CpuSet.from_taskset,
        lambda said: resolve(said, None),
        lambda said: resolve(said, BIG),
    ):
        try:
            cpus = read(found)
            str(cpus)
            list(cpus)
            cpus.hwloc()
        except Failure:
            continue


def _boot(line: str) -> None:
    recording = {**RECORDED[0], "data": {**RECORDED[0]["data"]}}
    recording["data"]["xen"] = {**recording["data"]["xen"], "commandline": line}
    _replay(recording)
    command_line.parse(line)
    roles.FilterModule().filters()["boot_pending"](line, "dom0_mem=1G")


def _policy(rows: t.Any) -> None:
    _replay({**RECORDED[0], "data": {**RECORDED[0]["data"], "cpu_policy": rows}})


def _tables(data: bytes) -> None:
    for read in (acpi.parse_madt, acpi.parse_srat, acpi.parse_slit):
        try:
            read(data)
        except Failure:
            continue


def _table(signature: bytes, body: bytes, revision: int = 3) -> bytes:
    head = struct.pack(
        "<4sIBB6s8sI4sI", signature, 36 + len(body), revision, 0, b"ABCDEF", b"ABCDEFGH", 1, b"ABCD", 1
    )
    made = bytearray(head + body)
    made[9] = -sum(made) & 0xFF
    return bytes(made)


def _mended(data: bytes) -> None:
    """With the sum of the bytes as it should be, or damage would end there."""
    made = bytearray(data)
    if len(made) > 9:
        made[9] = (made[9] - sum(made[: struct.unpack_from("<I", made, 4)[0]])) & 0xFF
    _tables(bytes(made))


TABLES = [
    _table(
        b"APIC",
        struct.pack("<II", 0xFEE00000, 1)
        + struct.pack("<BBBBI", 0, 8, 0, 0, 1)
        + struct.pack("<BBHIII", 9, 16, 0, 7, 1, 300),
    ),
    _table(
        b"SRAT",
        struct.pack("<IQ", 1, 0)
        + struct.pack("<BBBBIB3sI", 0, 16, 1, 0, 1, 0, bytes(3), 0)
        + struct.pack("<BBIHQQIIQ", 1, 40, 1, 0, 1 << 32, 1 << 30, 0, 1, 0),
    ),
    _table(b"SLIT", struct.pack("<Q", 2) + bytes((10, 20, 20, 10))),
]

DUMP = """\
(XEN) 'u' pressed -> dumping numa info (now = 691940627809)
(XEN) NODE0 start->0 size->524288 free->355578
(XEN) NODE1 start->1048576 size->524288 free->304245
(XEN) Memory location of each domain:
(XEN) Domain 0 (total: 262144):
(XEN)     Node 0: 84337
(XEN)     Node 1: 177807
(XEN) [  12.3] d2 (total: 32768):
(XEN)     Node 0: 0
(XEN)     Node 1: 32768
"""


# filters, with all of their arguments


def _filter(plugin: t.Any, name: str) -> t.Callable[[t.Any], None]:
    function = plugin.FilterModule().filters()[name]

    def run(arguments: t.Any) -> None:
        if isinstance(arguments, list) and 0 < len(arguments) <= 8:
            function(*arguments)

    return run


LISTS = {
    "alpha": roles.FilterModule().filters()["asked_guests"](
        [{**guest, "config": {"type": "pv"}} for guest in WANTED], "alpha"
    )
}
DOMAIN_ROWS = FACTS[0]["domains"]
VERDICTS = report.FilterModule().filters()["limit_verdicts"](DOMAIN_ROWS, FACTS[0], "alpha")
WANTED_ROWS = roles.FilterModule().filters()["wanted_guests"](LISTS)
SETTINGS = {
    "max_vcpus": "2-4",
    "vcpus_pin": None,
    "nodes": [0],
    "nodes_strict": True,
    "memory": "1GiB",
    "smt": False,
    "arguments": ["a=b"],
}

ARGUMENTS: dict[str, tuple[t.Any, list[t.Any]]] = {
    "cpuset": (cpuset_filter, ["0-3,5", "hwloc", FACTS[2]]),
    "to_hwloc_xml": (hwloc_xml, [FACTS[2], "alpha"]),
    "to_html": (pictures, [{"alpha": FACTS[0]}, PLAN, "a title"]),
    "to_svg": (pictures, [FACTS[0], "alpha", PLAN, "after", 720]),
    "to_text": (pictures, [FACTS[0], "alpha", PLAN, 100]),
    "host_summary": (report, [FACTS[0], "alpha"]),
    "placement_summary": (report, [VERDICTS, "alpha"]),
    "plan_reasons": (report, [PLAN]),
    "placement_verdicts": (
        report,
        [PLAN, FACTS[0], "alpha", DOMAIN_ROWS, {"web": {"0": 1 << 28}}, 4096, False, ["web"]],
    ),
    "limit_verdicts": (
        report,
        [
            DOMAIN_ROWS,
            FACTS[0],
            "alpha",
            [{"name": "g1", "nodes": "0", "hard": "0-1"}],
            1,
            ["Domain-0"],
            [{"name": "g1", "cpus": "0-1"}],
        ],
    ),
    "verdict_metrics": (report, [VERDICTS, FACTS[0], 1700000000.5]),
    "asked_guests": (
        roles,
        [[{**guest, "config": {"type": "pv"}, "timeout": "30"} for guest in WANTED], "alpha"],
    ),
    "wanted_guests": (roles, [LISTS, ["alpha", "beta"]]),
    "guest_texts": (roles, [[{"name": "web", "config": {"type": "pv"}}], {"db": 'type = "pv"'}]),
    "with_texts": (roles, [[{"name": "web"}], {"web": "a = 1\n"}]),
    "place_steps": (
        roles,
        [PLAN, WANTED_ROWS, "alpha", "/etc/xen", {"web": "type = 'hvm'\n"}, False, ["migrate"]],
    ),
    "xl_config": (
        roles,
        [{"name": "web", "type": "pv", "memory": 512, "vif": ["bridge=xenbr0"], "vcpus": 2}],
    ),
    "boot_arguments": (roles, [SETTINGS, FACTS[0]]),
    "boot_pending": (roles, ["dom0_mem=1G,max:1G smt=off", "console=com1 dom0_mem=2G"]),
}


def _command(name: str) -> str:
    return f"text of {name}"


ENTRIES: tuple[Entry, ...] = (
    Entry("recording", "tree", RECORDED, _replay, REFUSED),
    Entry("facts, drawn", "tree", FACTS, _draw, REFUSED),
    Entry("facts, drawn in a fleet", "tree", FACTS, _draw_fleet, REFUSED),
    Entry("facts, as room for guests", "tree", FACTS, _room, REFUSED),
    Entry("facts, as hwloc XML and back", "tree", FACTS, _export, REFUSED),
    Entry("facts of one of two hosts, planned", "tree", FACTS[:4], _one_host, TOLD),
    Entry("request of placement_plan", "tree", [ASKED], _plan, TOLD),
    Entry(
        "plan given to placement_plan",
        "tree",
        [PLAN],
        lambda plan: _plan({**CARRIED, "given_plan": plan}),
        TOLD,
    ),
    Entry("earlier plan", "tree", [PLAN], lambda plan: _plan({**CARRIED, "earlier_plan": plan}), TOLD),
    Entry(
        "plan given to placement_check", "tree", [PLAN], lambda plan: _check({**CHECKED, "plan": plan}), TOLD
    ),
    Entry("hwloc XML", "text", [to_hwloc_xml(host).text for host in HOSTS], _import, REFUSED),
    *(
        Entry(
            _command(name), "text", [said[name] for said in SAID if name in said], _with_text(name), REFUSED
        )
        for name in sorted(SAID[0])
        if name
        in (
            "xl info -n",
            "xl cpupool-list",
            "xl cpupool-list -c",
            "xl vcpu-list",
            "xl list -v -c -n",
            "xl list -l",
        )
    ),
    Entry(
        "text of xenpm get-cpu-topology",
        "text",
        [said["xenpm get-cpu-topology"] for said in SAID if "xenpm get-cpu-topology" in said],
        xltext.cpu_topology,
        REFUSED,
    ),
    Entry("replies of xenstore", "bytes", REPLIES, _store, REFUSED),
    Entry("xl.cfg", "bytes", [CONFIG.encode()], _configure, REFUSED),
    Entry(
        "sets and expressions",
        "text",
        ["0-3,8,^2", "nodes:0-1,core:0.0,package:0", "0x0000000f,,0x1", "ff,00000001", "all,^node:1"],
        _sets,
        REFUSED,
    ),
    Entry(
        "command line of Xen",
        "text",
        [
            "dom0_mem=1G,max:2G dom0_max_vcpus=1-4 dom0_nodes=0,1,relaxed numa=fake=2 sched-gran=core smt=off cpufreq=xen:performance"
        ],
        _boot,
        REFUSED,
    ),
    Entry(
        "CPUID",
        "tree",
        [recording["data"]["cpu_policy"] for recording in RECORDED if "cpu_policy" in recording["data"]],
        _policy,
        REFUSED,
    ),
    Entry("tables of ACPI", "bytes", TABLES, _tables, REFUSED),
    Entry("tables of ACPI with a right sum", "bytes", TABLES, _mended, REFUSED),
    Entry("dump of NUMA nodes", "text", [DUMP], parse_numa_dump, REFUSED),
    *(
        Entry(f"filter {name}", "tree", [arguments], _filter(plugin, name), TOLD)
        for name, (plugin, arguments) in ARGUMENTS.items()
    ),
)
