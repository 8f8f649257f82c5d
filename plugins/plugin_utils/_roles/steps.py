# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""From a plan to what the modules are given on one host. Pure."""

from __future__ import annotations

import typing as t

from ...module_utils._errors import Failure, shown
from ...module_utils._toolstack import xlcfg

Data = t.Mapping[str, t.Any]

#: As many as Xen can give to a guest.
MOST_VCPUS = 8192
_APPLIED = ("create", "keep", "repin")
# What is done to guests that run only where the user allows it, and as which state of the module guest.
_STATES = {"migrate": "moved", "restart": "restarted", "stop": "stopped", "start": "running"}


def _keys(entry: Data) -> dict[str, t.Any]:
    """The placement keys of an xl configuration. An empty list takes a key away."""
    return {
        "vcpus": entry["vcpus"],
        "memory": entry["memory_bytes"] >> 20,
        "cpus": [] if entry["hard"] == "all" else entry["hard"],
        "cpus_soft": [] if entry["soft"] == "all" else entry["soft"],  # a list has a mask for each vCPU
    }


def _vnuma(planned: Data, text: str | None) -> dict[str, t.Any]:
    """The keys of a guest's virtual nodes. They are for HVM guests: xl refuses them for PV, and fails to build PVH ones."""
    vnodes = planned.get("vnuma")
    if not vnodes:
        return {}
    config = xlcfg.parse(text or "")
    kind = config.string("type") or config.string("builder") or "pv"
    if text is not None and kind != "hvm":
        raise Failure(
            f"{planned['name']}: virtual NUMA nodes are for HVM guests, and its configuration is for a {kind} guest: leave vnuma out, or set "
            "type to hvm."
        )
    return {
        "vnuma": [
            {
                "node": vnode["node"],
                "memory": vnode["memory_bytes"] >> 20,
                "vcpus": vnode["vcpus"],
                **({"distances": vnode["distances"]} if vnode["distances"] else {}),
            }
            for vnode in vnodes
        ],
        # xl cannot populate virtual nodes on demand.
        "maxmem": planned["memory_bytes"] >> 20,
    }


def _affinities(planned: Data) -> list[dict[str, t.Any]]:
    """What vcpu_affinity is given for one guest: one entry, or one for each vCPU where their masks differ."""
    name, hard, soft = planned["name"], planned["hard"], planned["soft"]
    if not 1 <= planned["vcpus"] <= MOST_VCPUS:
        raise Failure(
            f"{name}: the plan has {shown(planned['vcpus'])} vCPUs for it, and Xen at most {MOST_VCPUS}: plan again."
        )
    if isinstance(hard, str) and isinstance(soft, str):
        return [{"guest": name, "hard": hard, "soft": soft}]
    return [
        {"guest": name, "vcpus": vcpu, "hard": _of(hard, vcpu), "soft": _of(soft, vcpu)}
        for vcpu in range(planned["vcpus"])
    ]


def _of(masks: t.Any, vcpu: int) -> str:
    return masks if isinstance(masks, str) else masks[vcpu]


class _Host(t.NamedTuple):
    """What turning a plan's guests into arguments takes."""

    entries: t.Mapping[str, Data]
    config_dir: str
    texts: t.Mapping[str, str]

    def entry(self, name: str) -> Data:
        if name not in self.entries:
            raise Failure(f"The plan holds a guest {name!r} that the list of guests does not: plan again.")
        return self.entries[name]

    def config(self, planned: Data, nodes: t.Sequence[int] | None = None) -> dict[str, t.Any]:
        """For guest_config. With `nodes` its memory goes there for a while, and not to the nodes of the plan."""
        name = planned["name"]
        entry = self.entry(name)
        # Without a wish the configuration's own pool counts, and the planner took the same: what xl takes by default.
        pool = {"pool": planned["cpupool"]} if entry["plan"].get("pool") is not None else {}
        keys = _keys(planned)
        if nodes is None:
            keys.update(_vnuma(planned, self.texts.get(name)))
            if keys.get("vnuma") and planned["action"] in ("keep", "repin"):
                keys["keep_vnuma"] = True
        else:
            keys.update(cpus=",".join(f"node:{node}" for node in nodes), cpus_soft=[])
        return {"path": self.path(name), "name": name, **keys, **pool}

    def guest(self, planned: Data, state: str, nodes: t.Sequence[int]) -> dict[str, t.Any]:
        """For the module guest."""
        name = planned["name"]
        guest = {"name": name, "config": self.path(name), "state": state, "nodes": list(nodes)}
        if not planned.get("vnuma"):
            # How virtual nodes share the memory out is in the configuration alone.
            guest["memory"] = planned["memory_bytes"] >> 20
        timeout = self.entry(name)["timeout"]
        return guest if timeout is None else {**guest, "timeout": timeout}

    def path(self, name: str) -> str:
        return self.entry(name)["path"] or f"{self.config_dir.rstrip('/')}/{name}.cfg"


def _rounds(plan: Data, host: str, at: _Host, allowed: t.Container[str]) -> list[dict[str, t.Any]]:
    """The steps for guests that run, in the plan's order, in as few rounds as have each guest in a round only once."""
    planned = {entry["name"]: entry for entry in plan["guests"] if entry["host"] == host}
    ours = [
        step
        for step in plan.get("steps") or []
        if step["host"] == host and step["action"] in _STATES and step["guest"] in planned
    ]
    rounds: list[dict[str, t.Any]] = []
    for index, step in enumerate(ours):
        entry = planned[step["guest"]]
        if entry["action"] not in allowed:
            continue
        passing = any(
            later["guest"] == step["guest"] and later["action"] == "migrate" for later in ours[index + 1 :]
        )
        if not rounds or any(guest["name"] == step["guest"] for guest in rounds[-1]["guests"]):
            rounds.append({"configs": [], "guests": []})
        if step["action"] != "stop":
            rounds[-1]["configs"].append(at.config(entry, step["nodes"] if passing else None))
        rounds[-1]["guests"].append(at.guest(entry, _STATES[step["action"]], step["nodes"]))
    return rounds


def place_steps(
    plan: Data,
    wanted: t.Iterable[Data],
    host: str,
    config_dir: str = "/etc/xen",
    texts: t.Mapping[str, str] | None = None,
    check: bool = False,
    allowed: t.Iterable[str] = (),
    keep_off: t.Iterable[str] = (),
) -> dict[str, t.Any]:
    """What to hand to guest_config, guest, vcpu_affinity and domain_info on `host`, each in the order of the plan.

    `wanted` as :func:`.wanted.wanted_guests` gives it, `texts` as :func:`.wanted.guest_texts`; what is returned has no configuration in it, see
    :func:`.wanted.with_texts`.
    In check mode (`check`) a guest that does not exist yet has no vCPUs to pin and nothing to prove. `allowed` has those of "migrate" and
    "restart" that may be done to guests that run; others of them are left alone. `keep_off` names domains that the plan has no other say in, and that
    may be kept off CPUs which guests have for themselves. Returns::

        {"keep_off": [..], "loose": [numbers of domains that the plan wants kept off such CPUs],
         "rounds": [{"configs": [..], "guests": [..]}], "configs": [..], "guests": [..], "affinities": [..],
         "present": [names to read back], "applied": [names that were migrated or restarted]}

    The rounds come first, one after the other.
    """
    at = _Host({entry["name"]: entry for entry in wanted}, config_dir, texts or {})
    allowed = [action for action in allowed if action in ("migrate", "restart")]
    rounds = _rounds(plan, host, at, allowed)
    applied = list(dict.fromkeys(guest["name"] for one in rounds for guest in one["guests"]))
    loose = [
        step for step in plan.get("steps") or [] if step["action"] == "keep_off" and step["host"] == host
    ]
    permitted = set(keep_off)
    steps: dict[str, t.Any] = {
        "keep_off": [
            {"guest": str(step["domid"]), "hard": step["hard"]}
            for step in loose
            if step["guest"] in permitted
        ],
        "loose": [str(step["domid"]) for step in loose],
    }
    steps |= {"rounds": rounds, "configs": [], "guests": [], "affinities": [], "present": []}
    for planned in plan["guests"]:
        name, action = planned["name"], planned["action"]
        if planned["host"] != host or not (action in _APPLIED or name in applied):
            continue
        if action in _APPLIED:
            steps["configs"].append(at.config(planned))
            steps["guests"].append(at.guest(planned, at.entry(name)["state"], planned["nodes"]))
        if not (check and (action == "create" or name in applied)):
            steps["affinities"] += _affinities(planned)
            steps["present"].append(name)
    return {**steps, "applied": applied}
