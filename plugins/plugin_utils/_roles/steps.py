# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""From a plan to what the modules are given on one host. Pure."""

from __future__ import annotations

import typing as t

from ...module_utils._errors import Failure
from .wanted import config_text

Data = t.Mapping[str, t.Any]

# A guest that would have to be restarted is reported, never touched.
_APPLIED = ("create", "keep", "repin")


def _keys(entry: Data) -> dict[str, t.Any]:
    """The placement keys of an xl configuration. An empty list takes a key away."""
    return {
        "vcpus": entry["vcpus"],
        "memory": entry["memory_bytes"] >> 20,
        "cpus": [] if entry["hard"] == "all" else entry["hard"],
        "cpus_soft": [] if entry["soft"] == "all" else entry["soft"],  # a list has a mask for each vCPU
    }


def _affinities(planned: Data) -> list[dict[str, t.Any]]:
    """What vcpu_affinity is given for one guest: one entry, or one for each vCPU where their masks differ."""
    name, hard, soft = planned["name"], planned["hard"], planned["soft"]
    if isinstance(hard, str) and isinstance(soft, str):
        return [{"guest": name, "hard": hard, "soft": soft}]
    return [
        {"guest": name, "vcpus": vcpu, "hard": _of(hard, vcpu), "soft": _of(soft, vcpu)}
        for vcpu in range(planned["vcpus"])
    ]


def _of(masks: t.Any, vcpu: int) -> str:
    return masks if isinstance(masks, str) else masks[vcpu]


def place_steps(
    plan: Data,
    wanted: t.Iterable[Data],
    host: str,
    config_dir: str = "/etc/xen",
    texts: t.Mapping[str, str] | None = None,
    check: bool = False,
) -> dict[str, t.Any]:
    """What to hand to guest_config, guest, vcpu_affinity and domain_info on `host`, each in the order of the plan.

    `wanted` as :func:`.wanted.wanted_guests` gives it; `texts`: name → configuration rendered from the guest's own template.
    In check mode (`check`) a guest that does not exist yet has no vCPUs to pin and nothing to prove. Returns::

        {"configs": [..], "guests": [..], "affinities": [..], "present": [names to read back]}
    """
    entries = {entry["name"]: entry for entry in wanted}
    steps: dict[str, t.Any] = {"configs": [], "guests": [], "affinities": [], "present": []}
    for planned in plan["guests"]:
        if planned["host"] != host or planned["action"] not in _APPLIED:
            continue
        name = planned["name"]
        if name not in entries:
            raise Failure(f"The plan holds a guest {name!r} that the list of guests does not: plan again.")
        entry = entries[name]
        path = entry["path"] or f"{config_dir.rstrip('/')}/{name}.cfg"
        content = config_text(texts[name]) if texts and name in texts else entry["content"]
        base = {} if content is None else {"content": content}
        # Without a wish the configuration's own pool counts, and the planner took the same: what xl takes by default.
        pool = {"pool": planned["cpupool"]} if entry["plan"].get("pool") is not None else {}
        steps["configs"].append({"path": path, "name": name, **base, **_keys(planned), **pool})
        guest = {"name": name, "config": path, "state": entry["state"], "nodes": list(planned["nodes"])}
        guest["memory"] = planned["memory_bytes"] >> 20
        if entry["timeout"] is not None:
            guest["timeout"] = entry["timeout"]
        steps["guests"].append(guest)
        if not (check and planned["action"] == "create"):
            steps["affinities"] += _affinities(planned)
            steps["present"].append(name)
    return steps
