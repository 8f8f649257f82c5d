# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""What a user asks of a placement, checked. Every fault is found in one go, and each names its entry and its field."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ...module_utils._errors import Failure
from .fields import (
    Fault,
    cpus,
    guest_name,
    node_ids,
    number_between,
    pci_devices,
    ratio,
    read_places,
    read_size,
    refuse_others,
    show,
    text,
    vcpu_ids,
    whole,
    yes_no,
)
from .given import read_given
from .hostwise import Field, Said, for_hosts
from .model import MIB, MOST_VCPUS, Group, Guest, Membership, Policy, Reserve
from .settings import Settings, Worth

__all__ = ["CHOICES", "Request", "RequestError", "read_all", "read_request", "read_size"]

#: The most NUMA nodes that a guest can be asked to have.
MOST_NODES = 64

#: Policies and their choices. numa_policy may also be a number of nodes.
CHOICES: dict[str, tuple[str, ...]] = {
    "numa_policy": ("single", "preferred", "spread"),
    "pin": ("soft", "hard", "none"),
    "cpu_policy": ("shared", "dedicated", "mixed"),
    "memory_only_nodes": ("avoid", "allow"),
    "thread_policy": ("prefer", "isolate", "require"),
    "backend_locality": ("ignore", "preferred"),
    "cache_policy": ("preferred", "ignore"),
}
REBALANCE = ("none", "migrate", "restart")
GROUP_POLICIES = ("affinity", "anti-affinity")
SCOPES = ("host", "package", "node")

GUEST_KEYS = (
    "name",
    "vcpus",
    "memory",
    "host",
    "nodes",
    "cpus",
    "pool",
    "priority",
    "weight",
    "dedicated_vcpus",
    "pci_devices",
    "trust_group",
    "do_not_touch",
    "vnuma",
    "policy",
)
_RESERVE_KEYS = ("node_memory", "host_memory", "low_memory")
_HOST_KEYS = ("defaults", "reserve", "cpu_allocation_ratio")
_GROUP_KEYS = ("name", "policy", "scope", "members")


class RequestError(Failure):
    """A request that cannot be used. The message names each faulty entry and field."""


class Request(t.NamedTuple):
    """What is asked for."""

    guests: tuple[Guest, ...]
    reserve: Reserve
    settings: Settings


def read_request(
    hosts: t.Sequence[str],
    guests: t.Any,
    defaults: t.Any = None,
    reserve: t.Any = None,
) -> tuple[tuple[Guest, ...], Reserve]:
    """Check guests, their default policy and the reserve alone; see :func:`read_all`."""
    request = read_all(hosts, {"guests": guests, "defaults": defaults, "reserve": reserve})
    return request.guests, request.reserve


def read_all(
    hosts: t.Sequence[str],
    given: t.Mapping[str, t.Any],
    inventory: t.Mapping[str, t.Collection[str]] | None = None,
) -> Request:
    """Check what a user wrote and turn it into values.

    `hosts`: names that the plan is for. `given`: the options of ``dom0.xen.placement_plan``, those that are None left out: `guests`, and
    `defaults`, `reserve`, `cpu_allocation_ratio`, `host_policies`, `groups`, `capacity`, `rebalance`, `max_moves`, `evacuate`, `explain`,
    `move_worth`, `earlier_plan`, `given_plan`; `labels` has what these are called in messages. `inventory`: hosts by group. Raises :class:`RequestError`.
    """
    reader = _Reader(hosts, given.get("labels"), inventory or {})
    base = reader.policy(given.get("defaults"), Policy(), reader.called("defaults"))
    kept = reader.reserve(given.get("reserve"), Reserve(), reader.called("reserve"))
    limit = reader.option(given, "cpu_allocation_ratio", ratio)
    kept = dataclasses.replace(kept, cpu_allocation_ratio=limit)
    bases, reserves = reader.host_policies(given.get("host_policies"), base, kept)
    guests = reader.guests(given.get("guests"), "guests", base, bases)
    guests = reader.groups(given.get("groups"), guests)
    capacity = reader.guests(given.get("capacity") or [], "capacity", base, bases)
    reader.faults += [
        f"{shape.label}.cpus: leave it out, a shape may be anywhere"
        for shape in capacity
        if shape.cpus is not None
    ]
    earlier = reader.option(given, "earlier_plan", read_places) or {}
    written = reader.option(given, "given_plan", read_given)
    if earlier and written is not None:
        reader.faults.append(
            f"{reader.called('earlier_plan')}: leave it out, {reader.called('given_plan')} has its places already"
        )
    rebalance = given.get("rebalance") or "none"
    if rebalance not in REBALANCE:
        reader.faults.append(
            f"{reader.called('rebalance')}: {show(rebalance)} is none of {', '.join(REBALANCE)}"
        )
    most = reader.option(given, "max_moves", lambda value: whole(value, 0, 1_000_000))
    evacuate = tuple(str(host) for host in given.get("evacuate") or ())
    for host in evacuate:
        if host not in hosts:
            reader.faults.append(
                f"{reader.called('evacuate')}: {show(host)} is not one of the hosts of this plan ({', '.join(hosts)})"
            )
    worth = reader.worth(given.get("move_worth"))
    if reader.faults:
        raise RequestError("the guests cannot be planned as they are given: " + "; ".join(reader.faults))
    settings = Settings(
        str(rebalance),
        Settings.max_moves if most is None else most,
        evacuate,
        tuple(capacity),
        bool(given.get("explain")),
        reserves,
        earlier,
        written,
        reader.called("reserve"),
        worth,
    )
    return Request(tuple(guests), kept, settings)


class _Reader:
    """Reads the parts of a request and collects what is wrong."""

    def __init__(
        self, hosts: t.Sequence[str], labels: t.Any, inventory: t.Mapping[str, t.Collection[str]]
    ) -> None:
        self.hosts = hosts
        self.inventory = inventory
        self.faults: list[str] = []
        self.labels: dict[str, t.Any] = {}
        self.by_host: dict[t.Any, dict[str, Policy]] = {}
        if labels is not None and not isinstance(labels, t.Mapping):
            self.faults.append(f"labels: a dictionary is needed, not {show(labels)}")
        else:
            self.labels.update(labels or {})

    def called(self, option: str) -> str:
        """What an option is called in messages."""
        label = self.labels.get(option)
        return label if isinstance(label, str) else option

    def entry(self, option: str, index: int) -> str:
        """What an entry of a list is called in messages."""
        labels = self.labels.get(option)
        if isinstance(labels, (list, tuple)):
            return str(labels[index]) if index < len(labels) else f"{option}[{index}]"
        return f"{self.called(option)}[{index}]"

    def option(self, given: t.Mapping[str, t.Any], key: str, reader: t.Callable[[t.Any], t.Any]) -> t.Any:
        """Read one option; None when it is not given or wrong."""
        return self.take({self.called(key): given.get(key)}, self.called(key), "", reader)

    def take(
        self,
        entry: t.Mapping[str, t.Any],
        key: str,
        label: str,
        reader: t.Callable[[t.Any], t.Any],
        needed: bool = False,
    ) -> t.Any:
        """Read one field; None when it is not given or wrong."""
        name = f"{label}.{key}" if label else key
        if entry.get(key) is None:
            if needed:
                self.faults.append(f"{name}: is missing")
            return None
        try:
            return reader(entry[key])
        except (Fault, ValueError) as fault:
            self.faults.append(f"{name}: {fault}")
            return None

    def guests(self, given: t.Any, option: str, base: Policy, bases: t.Mapping[str, Policy]) -> list[Guest]:
        """Read a list of guests."""
        if not isinstance(given, (list, tuple)):
            self.faults.append(f"{self.called(option)}: a list of guests is needed, not {show(given)}")
            given = ()
        read: list[Guest] = []
        seen: dict[str, str] = {}
        for index, entry in enumerate(given):
            where = self.entry(option, index)
            guest = self.guest(entry, where, base, bases)
            if guest is None:
                continue
            if guest.name in seen:
                self.faults.append(f"{where}.name: {guest.name!r} is already the name of {seen[guest.name]}")
            seen.setdefault(guest.name, where)
            read.append(guest)
        return read

    def guest(self, entry: t.Any, label: str, base: Policy, bases: t.Mapping[str, Policy]) -> Guest | None:
        """Read one guest."""
        if not isinstance(entry, t.Mapping):
            self.faults.append(
                f"{label}: a guest is a dictionary with name, vcpus and memory, not {show(entry)}"
            )
            return None
        before = len(self.faults)
        refuse_others(entry, GUEST_KEYS, label, self.faults)

        def take(key: str, reader: t.Callable[[t.Any], t.Any], needed: bool = False) -> t.Any:
            return self.take(entry, key, label, reader, needed)

        name = take("name", guest_name, needed=True)
        vcpus = take("vcpus", lambda value: whole(value, 1, MOST_VCPUS), needed=True)
        memory = take("memory", lambda value: read_size(value, MIB), needed=True)
        host = take("host", self._host)
        nodes = take("nodes", node_ids)
        chosen = take("cpus", cpus)
        pool = take("pool", text)
        priority = take("priority", lambda value: whole(value, -1000, 1000))
        weight = take("weight", lambda value: whole(value, 1, 65535))
        dedicated = take("dedicated_vcpus", vcpu_ids)
        devices = take("pci_devices", pci_devices)
        trust = take("trust_group", text)
        untouched = take("do_not_touch", yes_no)
        vnuma = take("vnuma", yes_no)
        policy = self.policy(entry.get("policy"), base, f"{label}.policy")
        policies = self.policies_on(entry.get("policy"), policy, bases)
        each = [policy, *sorted(set(policies.values()), key=str)]
        for one in each:
            if nodes is not None and one.node_count not in (None, len(nodes)):
                self.faults.append(
                    f"{label}.nodes: {len(nodes)} nodes are named, but numa_policy is {one.numa_policy}"
                )
                break
        if chosen is not None:
            self.faults += [f"{label}.cpus: {fault}" for fault in self._with_cpus(entry, host, each)]
        mixed = any(one.cpu_policy == "mixed" for one in each)
        if mixed and not dedicated:
            self.faults.append(f"{label}.dedicated_vcpus: is missing, and cpu_policy is mixed")
        if dedicated and not mixed:
            self.faults.append(f"{label}.dedicated_vcpus: is for cpu_policy mixed alone")
        if dedicated and vcpus is not None and (max(dedicated) >= vcpus or len(dedicated) == vcpus):
            self.faults.append(
                f"{label}.dedicated_vcpus: give some of the vCPUs 0 to {vcpus - 1}, not all of them"
            )
        if len(self.faults) > before:
            return None
        return Guest(
            name,
            vcpus,
            memory,
            host,
            nodes,
            pool,
            priority or 0,
            policy,
            label,
            weight or Guest.weight,
            dedicated or (),
            devices or (),
            (),
            trust,
            bool(untouched),
            policies,
            chosen,
            bool(vnuma),
        )

    def _with_cpus(
        self, entry: t.Mapping[str, t.Any], host: str | None, policies: t.Sequence[Policy]
    ) -> t.Iterator[str]:
        """What cannot go with CPUs that the user has chosen."""
        if host is None and len(self.hosts) > 1:
            yield "say with host on which of the hosts they are"
        if entry.get("nodes") is not None:
            yield "leave out nodes, which follow from the CPUs"
        if entry.get("trust_group") is not None or any(one.cpu_policy != "shared" for one in policies):
            yield "cores for it alone are for the plan to choose: leave out the CPUs, or cpu_policy and trust_group"
        if any(one.pin == "none" for one in policies):
            yield "with pin none no affinity is set"

    def _host(self, value: t.Any) -> str:
        if value not in self.hosts:
            raise Fault(f"{show(value)} is not one of the hosts of this plan ({', '.join(self.hosts)})")
        return str(value)

    def policies_on(self, given: t.Any, policy: Policy, bases: t.Mapping[str, Policy]) -> dict[str, Policy]:
        """The policies on hosts where they are not `policy`; guests that ask for the same share them."""
        if not bases:
            return {}
        known = repr(sorted(given.items(), key=str)) if isinstance(given, t.Mapping) else ""
        if known not in self.by_host:
            made = {base: self.policy(given, base, "", quiet=True) for base in set(bases.values())}
            self.by_host[known] = {host: made[base] for host, base in bases.items() if made[base] != policy}
        return self.by_host[known]

    def policy(self, given: t.Any, base: Policy, label: str, quiet: bool = False) -> Policy:
        """Read a policy; what is not given is as in `base`. `quiet`: its faults have been told already."""
        faults: list[str] = [] if quiet else self.faults
        if given is None:
            return base
        if not isinstance(given, t.Mapping):
            faults.append(f"{label}: a dictionary is needed, not {show(given)}")
            return base
        refuse_others(given, tuple(CHOICES), label, faults)
        values: dict[str, str] = {}
        for key, choices in CHOICES.items():
            value = given.get(key)
            if value is None:
                values[key] = getattr(base, key)
            elif value in choices:
                values[key] = str(value)
            elif key == "numa_policy" and _is_count(value):
                values[key] = str(int(value))
            else:
                more = ", or a number of nodes" if key == "numa_policy" else ""
                faults.append(f"{label}.{key}: {show(value)} is none of {', '.join(choices)}{more}")
                values[key] = choices[0]
        return Policy(**values)

    def reserve(self, given: t.Any, base: Reserve, label: str) -> Reserve:
        """Read a reserve; what is not given is as in `base`."""
        if given is None:
            return base
        if not isinstance(given, t.Mapping):
            self.faults.append(f"{label}: a dictionary is needed, not {show(given)}")
            return base
        refuse_others(given, _RESERVE_KEYS, label, self.faults)
        readers: dict[str, t.Callable[[t.Any], t.Any]] = {
            "node_memory": read_size,
            "host_memory": read_size,
            "low_memory": yes_no,
        }
        values = {key: self.take(given, key, label, reader) for key, reader in readers.items()}
        return dataclasses.replace(base, **{key: value for key, value in values.items() if value is not None})

    def worth(self, given: t.Any) -> Worth:
        """Read what makes another place worth it."""
        label = self.called("move_worth")
        if given is None:
            return Worth()
        if not isinstance(given, t.Mapping):
            self.faults.append(f"{label}: a dictionary is needed, not {show(given)}")
            return Worth()
        refuse_others(given, ("smt", "peak"), label, self.faults)
        smt = self.take(given, "smt", label, lambda value: number_between(value, 0, 1000))
        peak = self.take(given, "peak", label, lambda value: number_between(value, 0, 1))
        return Worth(Worth.smt if smt is None else smt, Worth.peak if peak is None else peak)

    def host_policies(
        self, given: t.Any, common: Policy, kept: Reserve
    ) -> tuple[dict[str, Policy], dict[str, Reserve]]:
        """Read what is different on some hosts or groups of the inventory: the default policies and the reserves there."""
        bases: dict[str, Policy] = {}
        reserves: dict[str, Reserve] = {}
        if given is None:
            return bases, reserves
        option = self.called("host_policies")
        if not isinstance(given, t.Mapping):
            self.faults.append(f"{option}: a dictionary of hosts and groups is needed, not {show(given)}")
            return bases, reserves
        said: dict[str, Said] = {}
        for name in sorted(given, key=str):
            label = f"{option}.{name}"
            if name not in self.hosts and name not in self.inventory:
                self.faults.append(
                    f"{label}: {show(name)} is not one of the hosts of this plan ({', '.join(self.hosts)}), and no group of the inventory"
                )
                continue
            if not isinstance(given[name], t.Mapping):
                self.faults.append(f"{label}: a dictionary is needed, not {show(given[name])}")
                continue
            said[name] = self._said(given[name], label)
        for host, fields in for_hosts(self.hosts, said, self.inventory, option, self.faults).items():
            parts: dict[str, dict[str, t.Any]] = {"defaults": {}, "reserve": {}}
            for (part, field), value in fields.items():
                parts["reserve" if field == "" else part][field or part] = value
            bases[host] = dataclasses.replace(common, **parts["defaults"])
            reserves[host] = dataclasses.replace(kept, **parts["reserve"])
        return bases, reserves

    def _said(self, entry: t.Mapping[str, t.Any], label: str) -> Said:
        """Read what one entry of `host_policies` says, and nothing that it leaves open."""
        refuse_others(entry, _HOST_KEYS, label, self.faults)
        policy = self.policy(entry.get("defaults"), Policy(), f"{label}.defaults")
        reserve = self.reserve(entry.get("reserve"), Reserve(), f"{label}.reserve")
        limit = self.take(entry, "cpu_allocation_ratio", label, ratio)
        fields: dict[Field, t.Any] = {}
        parts: tuple[tuple[str, t.Any, t.Collection[str]], ...] = (
            ("defaults", policy, CHOICES),
            ("reserve", reserve, _RESERVE_KEYS),
        )
        for part, value, keys in parts:
            given = entry.get(part)
            for key in keys:
                if isinstance(given, t.Mapping) and given.get(key) is not None:
                    fields[part, key] = getattr(value, key)
        if limit is not None:
            fields["cpu_allocation_ratio", ""] = limit
        return Said(label, fields)

    def groups(self, given: t.Any, guests: list[Guest]) -> list[Guest]:
        """Read the groups, and return the guests with what they are members of."""
        if given is None:
            return guests
        if not isinstance(given, (list, tuple)):
            self.faults.append(f"{self.called('groups')}: a list of groups is needed, not {show(given)}")
            return guests
        known = {guest.name for guest in guests}
        memberships: dict[str, list[Membership]] = {}
        seen: dict[str, str] = {}
        for index, entry in enumerate(given):
            label = self.entry("groups", index)
            if not isinstance(entry, t.Mapping):
                self.faults.append(
                    f"{label}: a group is a dictionary with name, policy and members, not {show(entry)}"
                )
                continue
            refuse_others(entry, _GROUP_KEYS, label, self.faults)
            name = self.take(entry, "name", label, text, needed=True)
            policy = self.take(
                entry, "policy", label, lambda value: _one_of(value, GROUP_POLICIES), needed=True
            )
            scope = self.take(entry, "scope", label, lambda value: _one_of(value, SCOPES)) or "host"
            members = entry.get("members")
            if not isinstance(members, (list, tuple)):
                self.faults.append(f"{label}.members: a list of names is needed, not {show(members)}")
                continue
            if name is None or policy is None:
                continue
            if name in seen:
                self.faults.append(f"{label}.name: {name!r} is already the name of {seen[name]}")
                continue
            seen[name] = label
            group = Group(name, policy, scope)
            inside: set[str] = set()
            for part, member in enumerate(members):
                for one in member if isinstance(member, (list, tuple)) else [member]:
                    if not isinstance(one, str) or one not in known:
                        self.faults.append(f"{label}.members: {show(one)} is not one of the guests")
                    elif one in inside:
                        self.faults.append(f"{label}.members: {show(one)} is named twice")
                    else:
                        inside.add(one)
                        memberships.setdefault(one, []).append(Membership(group, part))
        return [
            dataclasses.replace(guest, groups=tuple(memberships[guest.name]))
            if guest.name in memberships
            else guest
            for guest in guests
        ]


def _is_count(value: t.Any) -> bool:
    digits = isinstance(value, int) and not isinstance(value, bool)
    digits |= isinstance(value, str) and re.fullmatch("[0-9]{1,3}", value) is not None
    return digits and 1 <= int(value) <= MOST_NODES


def _one_of(value: t.Any, choices: t.Sequence[str]) -> str:
    if value not in choices:
        raise Fault(f"{show(value)} is none of {', '.join(choices)}")
    return str(value)
