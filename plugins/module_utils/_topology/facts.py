# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model on the wire: ``ansible_facts["xen_topology"]``. The schema is public and versioned; docs/facts.md describes each key.

One table says for every value how it is checked, written and read back; this file writes, `facts_reading.py` reads.
"""

import typing as t

from .._errors import printable
from .dmi import DMI_FIELDS, DMI_SERIALS
from .facts_forms import (
    DOMAIN,
    FLAG,
    ID,
    LIST,
    SET,
    TEXT,
    VCPU,
    WHOLE,
    Facts,
    Form,
    choice,
    entry,
    many,
    maybe,
    plain,
)
from .model import (
    Cache,
    Component,
    Core,
    CpuKind,
    CpuPool,
    Distances,
    Dom0Boot,
    Dom0Linux,
    HwlocObject,
    Memory,
    NumaNode,
    Package,
    Parameter,
    PciDevice,
    Pu,
    SubNuma,
    Topology,
    Unanswered,
    Xen,
)

#: major.minor. A new minor version only adds keys; a new major version may change or remove some.
SCHEMA_VERSION = "1.0"

INTERFACE = ("sysctl", "domctl", "platform", "known")

XEN = entry(
    Xen,
    computed={"version": lambda xen: printable(xen.version)},
    major=maybe(WHOLE),
    minor=maybe(WHOLE),
    extraversion=TEXT,
    changeset=maybe(TEXT),
    capabilities=many(TEXT),
    command_line=maybe(TEXT),
    scheduler=maybe(TEXT),
    parameters=many(entry(Parameter, name=TEXT, value=maybe(TEXT))),
    numa=maybe(choice("on", "off", "fake", "none")),
    smt=maybe(choice("on", "off", "none")),
    sched_gran=maybe(TEXT),
    interface=Form(
        ("record", {key: ("maybe", "yes_no" if key == "known" else "whole") for key in INTERFACE}),
        lambda versions, _all: dict(versions),
        lambda versions, _all: {key: versions[key] for key in INTERFACE},
    ),
)
DOM0_LINUX = entry(Dom0Linux, packages=maybe(WHOLE), cores=maybe(WHOLE), pus=maybe(WHOLE), nodes=maybe(WHOLE))
DOMAINS = many(DOMAIN, "MOST_DOMAINS")
PCI_DEVICE = entry(
    PciDevice,
    address=plain("pci_address"),
    class_name=TEXT,
    class_id=TEXT,
    vendor_id=TEXT,
    device_id=TEXT,
    subsystem_id=TEXT,
    revision=WHOLE,
    vendor=maybe(TEXT),
    device=maybe(TEXT),
    node=maybe(ID),
    driver=maybe(TEXT),
    assignable=FLAG,
    assigned_to=maybe(ID),
    network=many(TEXT),
    block=many(TEXT),
    infiniband=many(TEXT),
    gpu=many(TEXT),
    parent=maybe(TEXT),
    buses=maybe(many(WHOLE)),
)
DMI = Form(
    ("record", dict.fromkeys(DMI_FIELDS + DMI_SERIALS, ("maybe", "text"))),
    lambda fields, _all: printable(fields),
    lambda fields, _all: {field: printable(fields[field]) for field in sorted(DMI_FIELDS + DMI_SERIALS)},
)

HWLOC_OBJECT = entry(
    HwlocObject,
    type=TEXT,
    os_index=maybe(WHOLE),
    name=maybe(TEXT),
    subtype=maybe(TEXT),
    cpuset=LIST,
    nodeset=LIST,
    parent=maybe(TEXT),
    attributes=plain(("named", "text")),
    infos=many(Form(("row", "text", "text"), lambda info, _all: list(info), lambda info, _all: tuple(info))),
)

#: Keys that are there only when their subset was gathered, or when hwloc XML has such.
ON_DEMAND: t.Dict[str, Form] = {
    "domains": DOMAINS,
    "pci_devices": many(PCI_DEVICE),
    "dmi": DMI,
    "hwloc_objects": many(HWLOC_OBJECT),
    "host_name": TEXT,
}
DOM0_VCPUS = many(VCPU)
DOM0_BOOT = maybe(
    entry(
        Dom0Boot,
        memory=maybe(TEXT),
        max_vcpus=maybe(TEXT),
        pinned=FLAG,
        proximity_domains=maybe(many(WHOLE)),
        nodes=maybe(LIST),
        strict=maybe(FLAG),
    )
)

#: The keys of the facts that hold one field of Topology each, in the order in which they are written.
TOP: t.Dict[str, Form] = {
    "source": TEXT,
    "components": many(
        entry(
            Component,
            name=TEXT,
            priority=plain("signed"),
            state=choice("used", "passed_over"),
            reason=maybe(TEXT),
            hypercalls=maybe(WHOLE),
        ),
    ),
    "warnings": many(TEXT),
    "unanswered": many(entry(Unanswered, question=TEXT, reason=TEXT)),
    "xen": XEN,
    "cpu_khz": maybe(WHOLE),
    "cpuset": SET,
    "complete_cpuset": SET,
    "allowed_cpuset": SET,
    "nodeset": SET,
    "complete_nodeset": SET,
    "memory": entry(
        Memory,
        total_bytes=("total", maybe(WHOLE)),
        free_bytes=("free", maybe(WHOLE)),
        scrub_bytes=("scrub", maybe(WHOLE)),
        outstanding_claims_bytes=("outstanding", maybe(WHOLE)),
    ),
    "pus": many(
        entry(
            Pu,
            os_index=ID,
            online=maybe(FLAG),
            package=maybe(WHOLE),
            core=maybe(WHOLE),
            node=maybe(ID),
            cpupool=maybe(ID),
            apic_id=maybe(WHOLE),
            acpi_id=maybe(WHOLE),
            present=FLAG,
            max_khz=maybe(WHOLE),
        )
    ),
    "cores": many(
        entry(
            Core,
            logical_index=WHOLE,
            package=WHOLE,
            os_index=WHOLE,
            node=maybe(ID),
            cpuset=LIST,
            complete_cpuset=LIST,
        ),
        "MOST_CORES",
    ),
    "packages": many(entry(Package, os_index=WHOLE, cpuset=SET, complete_cpuset=SET, nodeset=SET)),
    "sub_numa": many(entry(SubNuma, package=WHOLE, node=ID, cpuset=LIST, complete_cpuset=LIST)),
    "caches": many(
        entry(
            Cache,
            level=plain("number_id"),
            type=choice("data", "instruction", "unified"),
            size_bytes=("size", maybe(WHOLE)),
            line_bytes=("line_size", maybe(WHOLE)),
            ways=maybe(plain("signed")),
            cpusets=maybe(many(LIST)),
        ),
        "MOST_CACHES",
    ),
    "cpu_kinds": many(
        entry(
            CpuKind,
            name=maybe(TEXT),
            efficiency=maybe(WHOLE),
            threads_per_core=maybe(WHOLE),
            max_khz=maybe(WHOLE),
            cpuset=LIST,
            complete_cpuset=LIST,
            source=TEXT,
        )
    ),
    "nodes": many(
        entry(
            NumaNode,
            os_index=ID,
            cpuset=SET,
            complete_cpuset=SET,
            memory_total_bytes=("memory_total", maybe(WHOLE)),
            memory_spanned_bytes=("memory_spanned", maybe(WHOLE)),
            memory_free_bytes=("memory_free", maybe(WHOLE)),
            memory_low_bytes=("memory_low", maybe(WHOLE)),
            nearest_cpu_nodes=many(ID),
            proximity_domain=maybe(WHOLE),
            shared_cpuset=LIST,
            subtype=maybe(TEXT),
        ),
        "MOST_NODES",
    ),
    "distances": entry(
        Distances,
        nodes=many(ID, "MOST_NODES"),
        matrix=many(many(maybe(WHOLE), "MOST_NODES"), "MOST_NODES"),
        from_firmware=maybe(FLAG),
    ),
    "cpupools": many(
        entry(
            CpuPool,
            id=ID,
            name=maybe(TEXT),
            scheduler=maybe(TEXT),
            sched_gran=maybe(TEXT),
            cpuset=SET,
            domains=maybe(WHOLE),
        )
    ),
    "cpupool_free": SET,
}


def to_facts(topology: Topology) -> Facts:
    """Return the facts: plain dictionaries, lists, texts, numbers, booleans and None. What is on demand is there if it was asked for."""
    everything = topology.complete_cpuset
    facts = {"schema_version": SCHEMA_VERSION}  # type: Facts
    for key, form in TOP.items():
        value = getattr(topology, key)
        facts[key] = form.write(value, everything)
        if form is SET:
            facts[key + "_mask"] = value.hwloc()
    facts["totals"] = {
        "pus": len(topology.pus),
        "pus_online": len(topology.online_cpuset),
        "cores": len(topology.cores),
        "packages": len(topology.packages),
        "nodes": len(topology.nodes),
        "threads_per_core": topology.threads_per_core,
    }
    facts["dom0"] = {
        "linux": maybe(DOM0_LINUX).write(topology.dom0_linux, everything),
        "boot": DOM0_BOOT.write(topology.dom0_boot, everything),
        "vcpus": DOM0_VCPUS.write(topology.dom0_vcpus, everything),
    }
    for key, form in ON_DEMAND.items():
        value = getattr(topology, key)
        if value is not None:
            facts[key] = form.write(value, everything)
    return facts
