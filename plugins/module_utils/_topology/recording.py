# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shape of a recording: what each section of `raw.py` must look like for `derive` to think about it."""

import typing as t

from . import shape

_TEXT = shape.text
_WHOLE = shape.whole
_IDS = shape.items(shape.number_id)

_VCPU = shape.record(
    {
        "vcpu": shape.number_id,
        "online": _WHOLE,
        "blocked": _WHOLE,
        "running": _WHOLE,
        "cpu_time": _WHOLE,
        "cpu": _WHOLE,
        "hard": _IDS,
        "soft": _IDS,
    },
    {"hard_all": shape.yes_no, "soft_all": shape.yes_no},
)

_PHYSINFO = [
    "threads_per_core",
    "cores_per_socket",
    "nr_cpus",
    "max_cpu_id",
    "nr_nodes",
    "max_node_id",
    "cpu_khz",
    "capabilities",
    "total_pages",
    "free_pages",
    "scrub_pages",
    "outstanding_pages",
    "max_mfn",
]

_PAGE_SIZE = shape.one_of(*[1 << bit for bit in range(12, 17)])

SECTIONS = {
    "xen": shape.record(
        {"major": _WHOLE, "minor": _WHOLE},
        {
            "extraversion": _TEXT,
            "capabilities": _TEXT,
            "changeset": _TEXT,
            "commandline": _TEXT,
            "interface": shape.record(
                {},
                {
                    "sysctl": shape.maybe(_WHOLE),
                    "domctl": shape.maybe(_WHOLE),
                    "platform": shape.maybe(_WHOLE),
                    "known": shape.maybe(shape.yes_no),
                },
            ),
        },
    ),
    "sched_id": _WHOLE,
    "physinfo": shape.record(
        {},
        {field: shape.pages if field.endswith("_pages") else _WHOLE for field in _PHYSINFO},
    ),
    "cputopo": shape.items(shape.row(_WHOLE, _WHOLE, _WHOLE)),
    "numainfo": shape.record(
        {
            "memsize": shape.items(_WHOLE),
            "memfree": shape.items(_WHOLE),
            "distance": shape.items(shape.items(_WHOLE)),
        }
    ),
    "pcpuinfo": shape.items(shape.row(_WHOLE, _WHOLE, _WHOLE, _WHOLE)),
    "cpupools": shape.items(
        shape.record({"id": shape.number_id, "cpus": _IDS}, {"sched_id": _WHOLE, "n_dom": _WHOLE}),
    ),
    "cpupool_free": _IDS,
    "cpupool_names": shape.keyed(_TEXT),
    "domains": shape.items(
        shape.record(
            {
                "domain": shape.number_id,
                "flags": _WHOLE,
                "tot_pages": shape.pages,
                "max_pages": shape.pages,
                "max_vcpu_id": _WHOLE,
                "handle": _TEXT,
                "cpupool": _WHOLE,
                "vcpus": shape.items(_VCPU),
            },
            {
                "outstanding_pages": _WHOLE,
                "shr_pages": _WHOLE,
                "paged_pages": _WHOLE,
                "cpu_time": _WHOLE,
                "nr_online_vcpus": _WHOLE,
                "emulation_flags": shape.maybe(_WHOLE),
                "type": shape.maybe(_TEXT),
                "node_affinity": shape.maybe(_IDS),
            },
        )
    ),
    "domain_names": shape.keyed(_TEXT),
    "dom0_vcpus": shape.items(_VCPU),
    "dom0_linux": shape.record(
        {}, {key: shape.maybe(_WHOLE) for key in ("packages", "cores", "pus", "nodes")}
    ),
    "page_size": _PAGE_SIZE,
    "memory_by_node": shape.keyed(shape.keyed(shape.pages)),
    "memory_map": shape.items(shape.row(_WHOLE, _WHOLE, _WHOLE)),
    "cpu_policy": shape.items(shape.row(*[shape.word] * 6)),
    "node_memory": shape.keyed(_WHOLE),
    "node_domains": shape.keyed(_WHOLE),
    "px_max_mhz": shape.keyed(shape.word),
    "sched_gran": shape.keyed(_TEXT),
    "pci_nodes": shape.named(_WHOLE),
    "unanswered": shape.named(_TEXT),
    "pci_devices": shape.items(
        shape.record(
            {"address": _TEXT, "class": _WHOLE, "vendor": _WHOLE, "device": _WHOLE},
            {
                "subsystem_vendor": _WHOLE,
                "subsystem_device": _WHOLE,
                "revision": _WHOLE,
                "driver": shape.maybe(_TEXT),
                "parent": shape.maybe(_TEXT),
                "buses": shape.row(_WHOLE, _WHOLE),
                "interfaces": shape.record(
                    {}, {kind: shape.items(_TEXT) for kind in ("network", "block", "infiniband", "gpu")}
                ),
            },
        )
    ),
    "pci_names": shape.named(_TEXT),
    "pci_assigned": shape.named(shape.number_id),
    "dmi": shape.named(_TEXT),
    "acpi": shape.record(
        {},
        {
            "madt": shape.items(shape.row(_WHOLE, _WHOLE, _WHOLE, _WHOLE)),
            "srat_cpus": shape.items(shape.row(_WHOLE, _WHOLE, _WHOLE, _WHOLE)),
            "srat_memory": shape.items(shape.row(_WHOLE, _WHOLE, _WHOLE, _WHOLE)),
            "slit": shape.items(shape.items(_WHOLE)),
        },
    ),
}  # type: t.Dict[str, shape.Shape]

_COMPONENT = shape.record(
    {
        "name": _TEXT,
        "priority": shape.signed,
        "state": shape.one_of("used", "passed_over"),
        "reason": shape.maybe(_TEXT),
    },
    {"hypercalls": _WHOLE},
)
_RECORDING = shape.record(
    {
        "components": shape.items(_COMPONENT),
        "warnings": shape.items(_TEXT),
        "data": shape.record({}, SECTIONS),
    }
)


def check(recording: t.Any) -> None:
    """Raise :class:`Failure` with the spot where a recording has not the shape that it should have."""
    shape.fit(recording, _RECORDING, "the recording is damaged")
