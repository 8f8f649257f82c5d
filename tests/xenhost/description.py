# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptions of test hosts: read from TOML, checked here, a plain immutable value afterwards.

Everything but :func:`load` is pure. Errors are :class:`HostError` sentences that name the file and the field.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

from .errors import HostError

HOSTS = Path(__file__).parent / "hosts"

# Suites that carry a Xen this project was tried on, and the release of Xen in each.
SUITES = {"bullseye": "4.14", "bookworm": "4.17", "trixie": "4.20"}
VENDORS = ("AuthenticAMD", "GenuineIntel")

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
_DEVICE = re.compile(r"[a-z0-9][a-z0-9-]*\Z")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")
_SIZE = re.compile(r"(\d+) ?(MiB|GiB)\Z")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?\Z")


@dataclass(frozen=True)
class Node:
    """One NUMA node: memory in MiB, the QEMU CPUs in it (may be none), QEMU device models behind its own PCI root."""

    memory_mib: int
    cpus: tuple[int, ...]
    pci: tuple[str, ...]


@dataclass(frozen=True)
class Host:
    """A test host as described. ``distances`` is a square of SLIT units, or empty when the firmware shall give none."""

    name: str
    summary: str
    suite: str
    packages: tuple[str, ...]
    disk_mib: int
    sockets: int
    cores: int
    threads: int
    vendor: str
    nodes: tuple[Node, ...]
    distances: tuple[tuple[int, ...], ...]
    xen_arguments: tuple[str, ...]
    dom0_arguments: tuple[str, ...]
    dom0_memory_mib: int
    dom0_vcpus: int

    @property
    def cpus(self) -> int:
        """Number of logical CPUs."""
        return self.sockets * self.cores * self.threads

    @property
    def memory_mib(self) -> int:
        """Memory of all nodes, MiB."""
        return sum(node.memory_mib for node in self.nodes)


class _Table:
    """A TOML table that knows where it stands, hands out checked values and complains about what nobody asked for."""

    def __init__(self, source: str, path: str, value: t.Any) -> None:
        self.source = source
        self.path = path
        if not isinstance(value, dict):
            raise HostError(f"{source}: {path or 'the file'} must be a table.")
        self.rest: dict[str, t.Any] = dict(value)

    def fail(self, key: str, text: str) -> HostError:
        return HostError(f"{self.source}: {self.path + '.' if self.path else ''}{key} {text}.")

    def table(self, key: str) -> _Table:
        return _Table(self.source, f"{self.path}.{key}" if self.path else key, self.rest.pop(key, {}))

    def tables(self, key: str) -> list[_Table]:
        value = self.rest.pop(key, [])
        if not isinstance(value, list):
            raise self.fail(key, "must be an array of tables")
        return [_Table(self.source, f"{self.path}.{key}[{index}]", item) for index, item in enumerate(value)]

    def text(self, key: str, default: str = "") -> str:
        value = self.rest.pop(key, default)
        if not isinstance(value, str) or "\n" in value:
            raise self.fail(key, f"must be a one-line string, not {value!r}")
        return value

    def choice(self, key: str, default: str, choices: t.Iterable[str]) -> str:
        value = self.text(key, default)
        if value not in choices:
            raise self.fail(key, f"must be one of {', '.join(choices)}, not {value!r}")
        return value

    def number(self, key: str, default: int, low: int, high: int) -> int:
        value = self.rest.pop(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.fail(key, f"must be a whole number from {low} to {high}, not {value!r}")
        return value

    def size(self, key: str, default: str | None = None) -> int:
        value = self.rest.pop(key, default)
        match = _SIZE.match(value) if isinstance(value, str) else None
        if match is None or int(match[1]) == 0:
            raise self.fail(key, f'must be a size such as "512MiB" or "2GiB", not {value!r}')
        return int(match[1]) * (1024 if match[2] == "GiB" else 1)

    def strings(self, key: str, pattern: re.Pattern[str] | None, what: str) -> tuple[str, ...]:
        value = self.rest.pop(key, [])
        if not isinstance(value, list):
            raise self.fail(key, "must be an array of strings")
        for item in value:
            good = isinstance(item, str) and item.strip() == item and item != "" and "\n" not in item
            if not good or (pattern is not None and not pattern.match(item)):
                raise self.fail(key, f"holds {item!r}, which is not {what}")
        return tuple(value)

    def end(self) -> None:
        for key in self.rest:
            raise self.fail(key, "is not a known field")


def cpu_list(text: str) -> tuple[int, ...]:
    """``"0-3,8"`` as ``(0, 1, 2, 3, 8)``; ``""`` as ``()``. Raises ValueError."""
    found: list[int] = []
    for part in text.split(",") if text else []:
        match = _RANGE.match(part.strip())
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise ValueError(part)
        found.extend(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(found)


def _nodes(numa: _Table, cpus: int) -> tuple[Node, ...]:
    owner: dict[int, int] = {}
    nodes = []
    for index, table in enumerate(numa.tables("nodes")):
        text = table.text("cpus")
        try:
            mine = cpu_list(text)
        except ValueError as error:
            raise table.fail(
                "cpus", f'must be a list such as "0-3,8", not {text!r} ({error} is neither)'
            ) from None
        for cpu in mine:
            if cpu >= cpus:
                raise table.fail("cpus", f"names CPU {cpu}, but the host has CPUs 0 to {cpus - 1}")
            if cpu in owner:
                raise table.fail("cpus", f"names CPU {cpu}, which node {owner[cpu]} has already")
            owner[cpu] = index
        nodes.append(Node(table.size("memory"), mine, table.strings("pci", _DEVICE, "a QEMU device model")))
        table.end()
    if not nodes:
        raise numa.fail("nodes", "must describe at least one node")
    missing = sorted(set(range(cpus)) - set(owner))
    if missing:
        raise numa.fail("nodes", f"must place every CPU; CPU {missing[0]} is in no node")
    return tuple(nodes)


def _distances(numa: _Table, count: int) -> tuple[tuple[int, ...], ...]:
    rows = numa.rest.pop("distances", [])
    if rows == []:
        return ()
    if (
        not isinstance(rows, list)
        or len(rows) != count
        or any(not isinstance(r, list) or len(r) != count for r in rows)
    ):
        raise numa.fail("distances", f"must be {count} rows of {count} numbers, one a node")
    for source, row in enumerate(rows):
        for target, value in enumerate(row):
            low, high = (10, 10) if source == target else (11, 254)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                expected = "10" if low == high else f"{low} to {high}"
                raise numa.fail(
                    "distances", f"from node {source} to node {target} must be {expected}, not {value!r}"
                )
    return tuple(tuple(row) for row in rows)


def parse(name: str, data: t.Mapping[str, t.Any], source: str) -> Host:
    """A checked Host from the tables of its description. ``source`` names the file in errors. Raises HostError."""
    if not _NAME.match(name):
        raise HostError(f"{source}: the host's name {name!r} must be lower-case letters, digits and dashes.")
    top = _Table(source, "", data)
    image, cpu, numa, xen, dom0 = (top.table(key) for key in ("image", "cpu", "numa", "xen", "dom0"))
    sockets, cores, threads = (cpu.number(key, 1, 1, 64) for key in ("sockets", "cores", "threads"))
    if sockets * cores * threads > 255:
        raise cpu.fail("sockets", f"times cores times threads is {sockets * cores * threads}, more than 255")
    nodes = _nodes(numa, sockets * cores * threads)
    host = Host(
        name=name,
        summary=top.text("summary"),
        suite=image.choice("suite", "bookworm", SUITES),
        packages=tuple(sorted(set(image.strings("packages", _PACKAGE, "a package name")))),
        disk_mib=image.size("disk", "3GiB"),
        sockets=sockets,
        cores=cores,
        threads=threads,
        vendor=cpu.choice("vendor", "GenuineIntel", VENDORS),
        nodes=nodes,
        distances=_distances(numa, len(nodes)),
        xen_arguments=xen.strings("arguments", None, "an argument"),
        dom0_arguments=dom0.strings("arguments", None, "an argument"),
        dom0_memory_mib=dom0.size("memory", "1GiB"),
        dom0_vcpus=dom0.number("vcpus", 2, 1, sockets * cores * threads),
    )
    if host.memory_mib < host.dom0_memory_mib + 256:
        raise dom0.fail(
            "memory",
            f"is {host.dom0_memory_mib} MiB, which leaves less than 256 MiB of the host's {host.memory_mib} MiB",
        )
    for table in (image, cpu, numa, xen, dom0, top):
        table.end()
    return host


def names() -> list[str]:
    """Names of the hosts that are described in ``hosts/``."""
    return sorted(path.stem for path in HOSTS.glob("*.toml"))


def load(name: str) -> Host:
    """Read ``hosts/NAME.toml``. Raises HostError."""
    path = HOSTS / f"{name}.toml"
    if name not in names():
        raise HostError(f"There is no test host {name!r}; described are: {', '.join(names())}.")
    try:
        import tomllib
    except ImportError:
        raise HostError(
            "Descriptions are TOML: run this with Python 3.11 or later (Debian 12 and 13 have it)."
        ) from None
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HostError(f"{path.name}: not valid TOML: {error}.") from None
    return parse(name, data, path.name)
