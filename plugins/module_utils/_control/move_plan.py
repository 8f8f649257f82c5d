# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a guest can be moved with its state, and what its successor is made from. Pure. Private to this collection."""

import re
import typing as t

from .._errors import Failure
from .._toolstack import xlcfg
from .._toolstack.xl import DomainState
from .._topology.guests import uuid_text
from .config import vcpu_count, visible

LIVE, SAVE, AUTO = "live", "save", "auto"
# What xl itself puts behind names while a guest migrates (xl_migrate.c).
AWAY, INCOMING = "--migratedaway", "--incoming"
WAYS = (AUTO, LIVE, SAVE)
MIB = 1 << 20
#: Memory on other nodes that does not make a guest count as spread: what the planner leaves out of account, too.
TOLERANCE = 16 * MIB
ByNode = t.Dict[int, int]


class Move(t.NamedTuple):
    """A guest to move: domain `domid` to `nodes`, by `way`; `second` if another way may follow. Sizes in bytes.

    `config` is the text that its successor is made from. `need` is what the nodes have to have for it, `size` what the domain has now, `disks`
    are what it can write to, as libxl knows them.
    """

    name: str
    domid: int
    uuid: str
    nodes: t.Tuple[int, ...]
    way: str
    second: bool
    config: str
    need: int
    size: int
    disks: t.Tuple[str, ...] = ()


def elsewhere(by_node: t.Mapping[int, int], nodes: t.Iterable[int]) -> int:
    """Bytes of a guest's memory on other nodes than these."""
    return sum(size for node, size in by_node.items() if node not in set(nodes))


def is_there(by_node: t.Mapping[int, int], nodes: t.Iterable[int]) -> bool:
    """Whether a guest's memory is on these nodes, but for what does not count."""
    return elsewhere(by_node, nodes) <= min(TOLERANCE, sum(by_node.values()) // 4)


def plan_move(
    domain: DomainState,
    nodes: t.Tuple[int, ...],
    way: str,
    text: str,
    live: t.Mapping[str, t.Any],
    need: int,
) -> Move:
    """Check that a guest can be moved, and make the configuration of its successor from the text of its own.

    `live` is what libxl has of it now (an entry of `xl list -l`, its ``config``). Raises Failure for what xl could not keep: PCI devices,
    virtual NUMA nodes, a paused guest, or a configuration of another shape than the guest has.
    """
    name = t.cast(str, domain.name)
    if domain.state not in ("running", "blocked"):
        raise Failure(
            "guest {0!r} (domain {1}) is {2}: only a guest that runs can be moved with its state, as it has to take part; let it run "
            "first, or end it and create it anew".format(name, domain.domid, domain.state)
        )
    made, built = live.get("c_info", {}), live.get("b_info", {})
    if live.get("pcidevs"):
        raise Failure(
            "guest {0!r} has PCI devices and cannot be moved with its state: detach them first".format(name)
        )
    if built.get("vnuma_nodes"):
        raise Failure(
            "guest {0!r} has virtual NUMA nodes, which Xen can neither save nor migrate: restart it instead".format(
                name
            )
        )
    kind = made.get("type", "pv")
    if way == AUTO:
        way, second = (SAVE, False) if kind == "pv" else (LIVE, True)
    else:
        second = False
    config = _successor(name, text, kind, domain.uuid, live)
    disks = [
        str(disk.get("pdev_path") or disk.get("vdev"))
        for disk in live.get("disks") or ()
        if disk.get("readwrite")
    ]
    return Move(
        name,
        domain.domid,
        uuid_text(domain.uuid),
        tuple(nodes),
        way,
        second,
        config,
        need,
        domain.memory,
        tuple(disks),
    )


def _successor(name: str, text: str, kind: str, uuid: str, live: t.Mapping[str, t.Any]) -> str:
    """The guest's configuration with what makes it the same guest: its UUID, its size, its network addresses."""
    config = xlcfg.parse(text)
    built = live.get("b_info", {})
    stated = config.string("type") or ("hvm" if config.string("builder") == "hvm" else "pv")
    if stated != kind:
        raise Failure(
            "guest {0!r} is of type {1}, and its configuration says {2}: restart it instead of moving it".format(
                name, kind, visible(config, "type") or stated
            )
        )
    if config.value("vnuma") is not None:
        raise Failure(
            "guest {0!r}: its configuration has vnuma, which a guest can only be started with: restart it instead".format(
                name
            )
        )
    vcpus = built.get("max_vcpus", 1)
    if vcpu_count(config) != vcpus:
        raise Failure(
            "guest {0!r} has {1} vCPUs, and its configuration {2}: restart it instead of moving it".format(
                name, vcpus, vcpu_count(config)
            )
        )
    changes = {"uuid": uuid_text(uuid)}  # type: t.Dict[str, t.Any]
    for key, known in (("maxmem", "max_memkb"), ("memory", "target_memkb")):
        if built.get(known):
            changes[key] = built[known] >> 10
    for key, known, what in (("vif", "nics", "network"), ("disk", "disks", "disk")):
        entries, devices = config.get(key) or [], live.get(known) or []
        if not isinstance(entries, list) or len(entries) != len(devices):
            raise Failure(
                "guest {0!r} has {1} {2} devices, and its configuration {3}: bring them in line (attach or detach them, or change {4}) "
                "before it is moved".format(
                    name, len(devices), what, len(entries) if isinstance(entries, list) else "a text", key
                )
            )
        if key == "vif" and devices:
            changes[key] = [_with_mac(str(entry), nic.get("mac")) for entry, nic in zip(entries, devices)]
    return xlcfg.edit(text, changes)


def _with_mac(entry: str, mac: t.Optional[str]) -> str:
    if mac is None or re.search(r"(?:^|,)\s*mac\s*=", entry):
        return entry
    return entry + ("," if entry.strip() else "") + "mac=" + mac
