# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""A plan that is to be carried out as it is written, perhaps by somebody who edited it: read, and held against request and hosts.

Hosts, nodes and masks are taken from it. What has to be done for that is worked out anew, so the same plan also serves when it has been
carried out already.
"""

from __future__ import annotations

import typing as t

from ...module_utils._topology.cpuset import LARGEST_ID, CpuSet, CpuSetError
from .cores import Affinity, Masks
from .fields import LARGEST_SIZE, Fault, node_ids, show, whole
from .model import MIB, MOST_VCPUS, Guest, Host, Pool, Running
from .words import count, listing, mib, node_words

#: Actions by which a guest that runs gets another place.
GOING = ("migrate", "move", "restart")

#: What follows from the nodes where it is left out.
_MASKS = "cpuset, hard and soft"


class GivenGuest(t.NamedTuple):
    """An entry of `guests`. What may be left out is None. `hard`, `soft`: a text for all vCPUs, or one for each.

    `shares`: memory of its virtual nodes by node of the host.
    """

    name: str
    host: str
    nodes: tuple[int, ...]
    action: str | None
    pool: str | None
    pin: str | None
    vcpus: int | None
    memory: int | None
    cpuset: str | None
    hard: str | tuple[str, ...] | None
    soft: str | tuple[str, ...] | None
    shares: dict[int, int] | None

    def masks(self, vcpus: int, every: CpuSet) -> Masks:
        """(hard, soft) of each vCPU with `every` for any CPU; none where both follow from the nodes."""
        if self.hard is None and self.soft is None:
            return ()
        hard, soft = (_each(masks or "all", vcpus) for masks in (self.hard, self.soft))
        return tuple((one or every, other or every) for one, other in zip(hard, soft, strict=True))

    def affinity(self, guest: Guest, host: str, computed: Affinity) -> Affinity:
        """The masks as they are written, and for what is left out those that were `computed`."""
        hard = computed.hard if self.hard is None else tuple(_each(self.hard, guest.vcpus))
        soft = computed.soft if self.soft is None else tuple(_each(self.soft, guest.vcpus))
        if (hard, soft) == (computed.hard, computed.soft):
            return computed
        pin, own = guest.policy_on(host).pin, guest.dedicated_on(host)
        cpuset = CpuSet()
        for vcpu in range(guest.vcpus):
            pinned = (
                hard if vcpu in own or guest.trust_group or pin == "hard" else soft if pin == "soft" else ()
            )
            cpuset |= (pinned[vcpu] if pinned else None) or computed.cpuset
        return Affinity(cpuset, hard, soft, computed.every)


class GivenPlan(t.NamedTuple):
    """The plan: guests with a place by name, and what it says of those without."""

    guests: t.Mapping[str, GivenGuest]
    unplaced: t.Mapping[str, dict[str, t.Any]]


def read_given(plan: t.Any) -> GivenPlan:
    """Read a plan, of which ``guests`` and ``unplaced`` count. Raises :class:`.fields.Fault`."""
    lists = [plan.get(key) if isinstance(plan, t.Mapping) else None for key in ("guests", "unplaced")]
    guests, unplaced = lists[0], lists[1] or []
    if not all(isinstance(one, (list, tuple)) for one in (guests, unplaced)):
        raise Fault(
            f"{show(plan)} is no plan of dom0.xen.placement_plan: it has no lists guests and unplaced"
        )
    placed: dict[str, GivenGuest] = {}
    left: dict[str, dict[str, t.Any]] = {}
    for index, raw in enumerate(t.cast("list[t.Any]", guests)):
        one = _entry(raw, f"guests[{index}]")
        if one.name in placed:
            raise Fault(f"{one.name} is in it twice")
        placed[one.name] = one
    for index, raw in enumerate(unplaced):
        name = raw.get("name") if isinstance(raw, t.Mapping) else None
        if not isinstance(name, str):
            raise Fault(f"unplaced[{index}]: a dictionary with a name is needed, not {show(raw)}")
        if name in placed or name in left:
            raise Fault(f"{name} is in it twice")
        left[name] = {
            "name": name,
            "reasons": list(raw.get("reasons") or ["The plan that was given leaves it out."]),
            "nearest": raw.get("nearest") or "Give it a place in the plan.",
            "helps": list(raw.get("helps") or []),
        }
    return GivenPlan(placed, left)


def _entry(raw: t.Any, label: str) -> GivenGuest:
    if not isinstance(raw, t.Mapping):
        raise Fault(f"{label}: a dictionary with name, host and nodes is needed, not {show(raw)}")
    if isinstance(raw.get("name"), str):
        label = f"{label} ({raw['name']})"

    def read(key: str, reader: t.Callable[[t.Any], t.Any], needed: bool = False) -> t.Any:
        if raw.get(key) is None:
            if needed:
                raise Fault(f"{label}: {key} is missing")
            return None
        try:
            return reader(raw[key])
        except Fault as fault:
            raise Fault(f"{label}: {key}: {fault}") from fault

    return GivenGuest(
        read("name", _text, True),
        read("host", _text, True),
        read("nodes", node_ids, True),
        read("action", _text),
        read("cpupool", _text),
        read("pin", _text),
        read("vcpus", lambda value: whole(value, 1, MOST_VCPUS)),
        read("memory_bytes", _bytes),
        read("cpuset", _mask),
        read("hard", _masks),
        read("soft", _masks),
        read("vnuma", _shares),
    )


def _text(value: t.Any) -> str:
    if not isinstance(value, str):
        raise Fault(f"{show(value)} is no text")
    return str(value)


def _bytes(value: t.Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SIZE:
        raise Fault(f"{show(value)} is no number of bytes")
    return int(value)


def _mask(value: t.Any) -> str:
    # A single CPU is a number in YAML.
    number = isinstance(value, int) and not isinstance(value, bool)
    text = str(whole(value, 0, LARGEST_ID)) if number else _text(value)
    try:
        if text != "all" and not CpuSet.parse(text):
            raise Fault(f"{show(value)} has no CPU in it")
    except CpuSetError as error:
        raise Fault(str(error)) from error
    return text


def _masks(value: t.Any) -> str | tuple[str, ...]:
    return tuple(_mask(one) for one in value) if isinstance(value, (list, tuple)) else _mask(value)


def _shares(value: t.Any) -> dict[int, int]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, t.Mapping) for one in value):
        raise Fault(f"{show(value)} is no list of virtual nodes, each with node and memory_bytes")
    found: dict[int, int] = {}
    for one in value:
        node, size = whole(one.get("node"), 0, 65535), _bytes(one.get("memory_bytes"))
        if node in found:
            raise Fault(f"node {node} is in it twice")
        if size < MIB or size % MIB:
            raise Fault(f"{size} bytes are no whole number of MiB")
        found[node] = size
    return dict(sorted(found.items()))


def _each(masks: str | tuple[str, ...], vcpus: int) -> list[CpuSet | None]:
    texts = [masks] * vcpus if isinstance(masks, str) else masks
    return [None if text == "all" else CpuSet.parse(text) for text in texts]


# Against the request and the hosts.


def faults_of(plan: GivenPlan, guests: t.Sequence[Guest], hosts: t.Sequence[Host]) -> list[str]:
    """What the plan has that cannot be, in clauses: guests that nobody asked for, hosts and nodes that are not there, masks that contradict."""
    by_name = {host.name: host for host in hosts}
    asked = {guest.name: guest for guest in guests}
    found = [
        f"{name} is in the plan, but was not asked for"
        for name in sorted({*plan.guests, *plan.unplaced} - set(asked))
    ]
    for name, guest in sorted(asked.items()):
        written = plan.guests.get(name)
        if written is not None:
            found += [f"{name}: {clause}" for clause in _faults(written, guest, by_name)]
        elif name not in plan.unplaced:
            found.append(
                f"{name} is asked for, but not in the plan: plan again, or add it to guests with name, host and nodes, or to unplaced"
            )
    return found


def _faults(written: GivenGuest, guest: Guest, hosts: t.Mapping[str, Host]) -> t.Iterator[str]:
    if written.vcpus is not None and written.vcpus != guest.vcpus:
        yield f"the plan is for {count(written.vcpus, 'vCPU')}, and {guest.vcpus} are asked for: plan again, or correct vcpus"
    if written.memory is not None and written.memory != guest.memory:
        yield f"the plan is for {mib(written.memory)}, and {mib(guest.memory)} are asked for: plan again, or correct memory_bytes"
    host = hosts.get(written.host)
    if host is None:
        yield f"its host is {written.host}, of which nothing is known; there {'are' if len(hosts) > 1 else 'is'} {listing(sorted(hosts))}"
        return
    pin = guest.policy_on(host.name).pin
    if written.pin not in (None, pin):
        yield f"its pin is {written.pin}, and its policy on {host.name} {pin}: change the policy that is asked for, not the plan"
    lost = [node for node in written.nodes if node not in host.nodes]
    if lost:
        yield f"it is to be on {node_words(lost)}, and {host.name} has {node_words(sorted(host.nodes))}"
        return
    pool = host.find_pool(written.pool) if written.pool is not None else host.find_pool(guest.pool)
    if pool is None:
        yield f"there is no cpupool {written.pool or guest.pool or 'with id 0'} on {host.name}"
        return
    if written.shares is not None:
        yield from _share_faults(written.shares, written, guest)
    if not guest.do_not_touch:
        yield from _mask_faults(written, guest, host, pool)


def _share_faults(shares: t.Mapping[int, int], written: GivenGuest, guest: Guest) -> t.Iterator[str]:
    whole_memory = sum(shares.values())
    if not guest.vnuma:
        yield "it has virtual nodes in the plan, and no vnuma is asked for: take vnuma out of the plan"
    elif tuple(shares) != written.nodes:
        yield (
            f"vnuma is for {node_words(sorted(shares))}, and it is to be on {node_words(written.nodes)}: correct it, or take vnuma away, which "
            "then follows from its nodes"
        )
    elif whole_memory != guest.memory:
        yield f"its virtual nodes have {mib(whole_memory)} together, and {mib(guest.memory)} are asked for"


def _mask_faults(written: GivenGuest, guest: Guest, host: Host, pool: Pool) -> t.Iterator[str]:
    there = CpuSet()
    for node in written.nodes:
        if node in pool.cells:
            there |= pool.cells[node].cpuset
    way = f"write CPUs of these, or leave out {_MASKS}, which then follow from its nodes"
    pin, own = guest.policy_on(host.name).pin, guest.dedicated_on(host.name)
    for kind, masks in (("hard", written.hard), ("soft", written.soft)):
        if masks is None:
            continue
        if not isinstance(masks, str) and len(masks) != guest.vcpus:
            yield f"{kind} has {count(len(masks), 'mask')} for {count(guest.vcpus, 'vCPU')}"
            return
        for vcpu, mask in enumerate(_each(masks, guest.vcpus)):
            if mask is not None and not mask <= pool.cpuset:
                yield (
                    f"{kind} has the CPUs {mask - pool.cpuset}, which are not online in cpupool {pool.name} of {host.name}; "
                    f"there its nodes have {there or 'none'}: {way}"
                )
                return
            alone = vcpu in own or (guest.trust_group is not None and not host.core_scheduling)
            bound = kind == ("hard" if alone else pin)
            if bound and guest.cpus is None and there and not (mask is not None and mask <= there):
                has = "has" if len(written.nodes) == 1 else "have"
                yield f"{kind} is {mask or 'all'}, and its {node_words(written.nodes)} {has} {there}: {way}"
                return


def stays(written: GivenGuest, guest: Guest, host: Host, running: Running) -> bool:
    """Whether a guest that runs is where the plan has it, as far as that can be told."""
    pool = host.pools[running.pool]
    if host.name != written.host or (
        written.pool is not None and written.pool not in (pool.name, str(pool.id))
    ):
        return False
    if running.nodes == written.nodes or guest.policy_on(host.name).pin == "none" or guest.cpus is not None:
        return True
    # Node affinity follows from the CPUs: it leaves out nodes without any.
    return not running.nodes_measured and running.nodes == tuple(
        node for node in written.nodes if node in pool.cells
    )


def why_it_goes(written: GivenGuest, host: Host, running: Running) -> str:
    """Say where a guest runs that is not where the plan has it."""
    return (
        f"runs on {node_words(running.nodes)} of {host.name} (cpupool {host.pools[running.pool].name}), and the plan that was given has it on "
        f"{node_words(written.nodes)} of {written.host}{'' if written.pool is None else f' (cpupool {written.pool})'}"
    )


def stale(written: GivenGuest, host: Host, running: Running) -> str:
    """Say what to do about a guest that runs elsewhere, though the plan does not move it."""
    said = "leave it where it runs" if written.action in ("keep", "repin") else "create it"
    return (
        f"{written.name} {why_it_goes(written, host, running)}, where it would {said}: plan again, or for it to go there make its action "
        f"{listing(GOING)}".replace(" and restart", " or restart")
    )


def differs(written: GivenGuest, entry: t.Mapping[str, t.Any]) -> str | None:
    """Say when the CPUs of an entry are not those that its masks make, so that nobody edits them in vain."""
    if (
        written.cpuset is None
        or entry["pin"] == "none"
        or CpuSet.parse(written.cpuset) == CpuSet.parse(entry["cpuset"])
    ):
        return None
    return (
        f"{written.name}: cpuset is {written.cpuset}, and its masks make it {entry['cpuset']}: change {entry['pin']}, or leave out {_MASKS}, "
        "which then follow from its nodes"
    )
