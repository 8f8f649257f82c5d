# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model on the wire: ``ansible_facts["xen_topology"]``. The schema is public and versioned; docs/facts.md describes each key.

One table says for every value how it is checked, written and read back.
"""

import typing as t

from .._errors import Failure
from . import shape
from .affinities import ALL, affinity_text
from .cpuset import CpuSet
from .dmi import DMI_FIELDS, DMI_SERIALS
from .model import (
    Cache,
    Component,
    Core,
    CpuKind,
    CpuPool,
    Distances,
    Dom0Boot,
    Dom0Linux,
    Domain,
    Locality,
    Memory,
    NumaNode,
    Package,
    Parameter,
    PciDevice,
    Pu,
    SubNuma,
    Topology,
    Unanswered,
    Vcpu,
    Xen,
)

#: major.minor. A new minor version only adds keys; a new major version may change or remove some.
SCHEMA_VERSION = "1.0"

Facts = t.Dict[str, t.Any]


class Form(t.NamedTuple):
    """How one kind of value stands in the facts. `write` and `read` are given the value and the host's complete_cpuset."""

    shape: shape.Shape
    write: t.Callable[[t.Any, CpuSet], t.Any]
    read: t.Callable[[t.Any, CpuSet], t.Any]


def _affinity_shape(value: t.Any) -> None:
    if not (isinstance(value, str) and value == ALL):
        shape.id_list(value)


def _plain(check: shape.Shape) -> Form:
    return Form(check, lambda value, _all: value, lambda value, _all: value)


def _choice(*choices: str) -> Form:
    return _plain(shape.one_of(*choices))


def _maybe(form: Form) -> Form:
    return Form(
        shape.maybe(form.shape),
        lambda value, everything: None if value is None else form.write(value, everything),
        lambda value, everything: None if value is None else form.read(value, everything),
    )


def _many(form: Form, most: int = shape.MOST) -> Form:
    return Form(
        shape.items(form.shape, most),
        lambda values, everything: [form.write(value, everything) for value in values],
        lambda values, everything: tuple(form.read(value, everything) for value in values),
    )


def _entry(
    kind: t.Any, computed: t.Optional[t.Dict[str, t.Callable[[t.Any], t.Any]]] = None, **keys: t.Any
) -> Form:
    """Make the form of a NamedTuple: a dictionary with these keys, each a form, or a pair (field, form) where the names differ.

    A SET also gets a second key with the suffix ``_mask`` in hwloc's format, a LIST does not; that and the `computed` keys are not read
    back. Facts may lack the key of a field that has a default: an earlier minor version did not write it.
    """
    fields = {
        key: form if isinstance(form, tuple) and not isinstance(form, Form) else (key, form)
        for key, form in keys.items()
    }
    defaults = kind._field_defaults

    def write(value: t.Any, everything: CpuSet) -> Facts:
        entry = {key: compute(value) for key, compute in (computed or {}).items()}
        for key, (field, form) in fields.items():
            member = getattr(value, field)
            entry[key] = form.write(member, everything)
            if form is SET:
                entry[key + "_mask"] = member.hwloc()
        return entry

    def read(entry: Facts, everything: CpuSet) -> t.Any:
        return kind(
            **{
                field: form.read(entry[key], everything)
                for key, (field, form) in fields.items()
                if key in entry or field not in defaults
            }
        )

    shapes = ({}, {})  # type: t.Tuple[t.Dict[str, shape.Shape], t.Dict[str, shape.Shape]]
    for key, (field, form) in fields.items():
        shapes[field in defaults][key] = form.shape
    return Form(shape.record(*shapes), write, read)


TEXT = _plain(shape.text)
WHOLE = _plain(shape.whole)
ID = _plain(shape.number_id)
FLAG = _plain(shape.yes_no)
INTERFACE = ("sysctl", "domctl", "platform", "known")
SET = Form(shape.id_list, lambda members, _all: str(members), lambda members, _all: CpuSet.parse(members))
#: A set without a mask beside it. A mask is as long as the largest number in it: beside each of thousands of cores they would be most of the
#: facts of a large host.
LIST = Form(SET.shape, SET.write, SET.read)
SHARE = _plain(shape.fraction)
AFFINITY = Form(
    _affinity_shape,
    affinity_text,
    lambda members, everything: everything if members == ALL else CpuSet.parse(members),
)
BY_NODE = Form(
    shape.keyed(shape.whole),
    lambda sizes, _all: {str(node): sizes[node] for node in sorted(sizes)},
    lambda sizes, _all: {int(node): sizes[node] for node in sizes},
)

LOCALITY = _entry(
    Locality,
    cpu_nodes=LIST,
    memory_nodes=_maybe(LIST),
    may_leave=_maybe(_many(ID)),
    away=_maybe(_many(ID)),
    remote_share=_maybe(SHARE),
    distance=_maybe(SHARE),
    worst_distance=_maybe(SHARE),
)
VCPU = _entry(
    Vcpu,
    vcpu=ID,
    online=FLAG,
    running=FLAG,
    blocked=FLAG,
    cpu=_maybe(ID),
    hard=AFFINITY,
    soft=AFFINITY,
    time_ns=WHOLE,
)
DOMAIN = _entry(
    Domain,
    domid=ID,
    name=_maybe(TEXT),
    uuid=TEXT,
    type=_maybe(_choice("pv", "pvh", "hvm")),
    state=_choice("running", "blocked", "paused", "shutdown", "crashed", "dying"),
    cpupool=_maybe(ID),
    memory_bytes=("memory", WHOLE),
    max_memory_bytes=("max_memory", _maybe(WHOLE)),
    max_vcpus=_plain(shape.number_id),
    # no mask beside it: it may be unknown
    node_affinity=_maybe(SET),
    vcpus=_many(VCPU),
    memory_by_node=_maybe(BY_NODE),
    locality=_maybe(LOCALITY),
)
XEN = _entry(
    Xen,
    computed={"version": lambda xen: xen.version},
    major=_maybe(WHOLE),
    minor=_maybe(WHOLE),
    extraversion=TEXT,
    changeset=_maybe(TEXT),
    capabilities=_many(TEXT),
    command_line=_maybe(TEXT),
    scheduler=_maybe(TEXT),
    parameters=_many(_entry(Parameter, name=TEXT, value=_maybe(TEXT))),
    numa=_maybe(_choice("on", "off", "fake", "none")),
    smt=_maybe(_choice("on", "off", "none")),
    sched_gran=_maybe(TEXT),
    interface=Form(
        shape.record(
            {key: shape.maybe(shape.yes_no if key == "known" else shape.whole) for key in INTERFACE},
        ),
        lambda versions, _all: dict(versions),
        lambda versions, _all: {key: versions[key] for key in INTERFACE},
    ),
)
DOM0_LINUX = _entry(
    Dom0Linux, packages=_maybe(WHOLE), cores=_maybe(WHOLE), pus=_maybe(WHOLE), nodes=_maybe(WHOLE)
)
DOMAINS = _many(DOMAIN, shape.MOST_DOMAINS)
PCI_DEVICE = _entry(
    PciDevice,
    address=_plain(shape.pci_address),
    class_name=TEXT,
    class_id=TEXT,
    vendor_id=TEXT,
    device_id=TEXT,
    subsystem_id=TEXT,
    revision=WHOLE,
    vendor=_maybe(TEXT),
    device=_maybe(TEXT),
    node=_maybe(ID),
    driver=_maybe(TEXT),
    assignable=FLAG,
    assigned_to=_maybe(ID),
    network=_many(TEXT),
    block=_many(TEXT),
    infiniband=_many(TEXT),
    gpu=_many(TEXT),
    parent=_maybe(TEXT),
    buses=_maybe(_many(WHOLE)),
)
DMI = Form(
    shape.record({field: shape.maybe(shape.text) for field in DMI_FIELDS + DMI_SERIALS}),
    lambda fields, _all: dict(fields),
    lambda fields, _all: {field: fields[field] for field in sorted(DMI_FIELDS + DMI_SERIALS)},
)

#: Keys that are there only when their subset was gathered.
_ON_DEMAND = {"domains": DOMAINS, "pci_devices": _many(PCI_DEVICE), "dmi": DMI}  # type: t.Dict[str, Form]
DOM0_VCPUS = _many(VCPU)
DOM0_BOOT = _maybe(
    _entry(
        Dom0Boot,
        memory=_maybe(TEXT),
        max_vcpus=_maybe(TEXT),
        pinned=FLAG,
        proximity_domains=_maybe(_many(WHOLE)),
        nodes=_maybe(LIST),
        strict=_maybe(FLAG),
    )
)

#: The keys of the facts that hold one field of Topology each, in the order in which they are written.
_TOP = {
    "source": TEXT,
    "components": _many(
        _entry(
            Component,
            name=TEXT,
            priority=_plain(shape.signed),
            state=_choice("used", "passed_over"),
            reason=_maybe(TEXT),
            hypercalls=_maybe(WHOLE),
        ),
    ),
    "warnings": _many(TEXT),
    "unanswered": _many(_entry(Unanswered, question=TEXT, reason=TEXT)),
    "xen": XEN,
    "cpu_khz": _maybe(WHOLE),
    "cpuset": SET,
    "complete_cpuset": SET,
    "allowed_cpuset": SET,
    "nodeset": SET,
    "complete_nodeset": SET,
    "memory": _entry(
        Memory,
        total_bytes=("total", _maybe(WHOLE)),
        free_bytes=("free", _maybe(WHOLE)),
        scrub_bytes=("scrub", _maybe(WHOLE)),
        outstanding_claims_bytes=("outstanding", _maybe(WHOLE)),
    ),
    "pus": _many(
        _entry(
            Pu,
            os_index=ID,
            online=_maybe(FLAG),
            package=_maybe(WHOLE),
            core=_maybe(WHOLE),
            node=_maybe(ID),
            cpupool=_maybe(ID),
            apic_id=_maybe(WHOLE),
            acpi_id=_maybe(WHOLE),
            present=FLAG,
            max_khz=_maybe(WHOLE),
        )
    ),
    "cores": _many(
        _entry(
            Core,
            logical_index=WHOLE,
            package=WHOLE,
            os_index=WHOLE,
            node=_maybe(ID),
            cpuset=LIST,
            complete_cpuset=LIST,
        ),
        shape.MOST_CORES,
    ),
    "packages": _many(_entry(Package, os_index=WHOLE, cpuset=SET, complete_cpuset=SET, nodeset=SET)),
    "sub_numa": _many(_entry(SubNuma, package=WHOLE, node=ID, cpuset=LIST, complete_cpuset=LIST)),
    "caches": _many(
        _entry(
            Cache,
            level=_plain(shape.number_id),
            type=_choice("data", "instruction", "unified"),
            size_bytes=("size", WHOLE),
            line_bytes=("line_size", _maybe(WHOLE)),
            ways=_maybe(_plain(shape.signed)),
            cpusets=_maybe(_many(LIST)),
        ),
        shape.MOST_CACHES,
    ),
    "cpu_kinds": _many(
        _entry(
            CpuKind,
            name=_maybe(TEXT),
            efficiency=_maybe(WHOLE),
            threads_per_core=_maybe(WHOLE),
            max_khz=_maybe(WHOLE),
            cpuset=LIST,
            complete_cpuset=LIST,
            source=TEXT,
        )
    ),
    "nodes": _many(
        _entry(
            NumaNode,
            os_index=ID,
            cpuset=SET,
            complete_cpuset=SET,
            memory_total_bytes=("memory_total", _maybe(WHOLE)),
            memory_spanned_bytes=("memory_spanned", _maybe(WHOLE)),
            memory_free_bytes=("memory_free", _maybe(WHOLE)),
            nearest_cpu_nodes=_many(ID),
            proximity_domain=_maybe(WHOLE),
        ),
        shape.MOST_NODES,
    ),
    "distances": _entry(
        Distances,
        nodes=_many(ID, shape.MOST_NODES),
        matrix=_many(_many(_maybe(WHOLE), shape.MOST_NODES), shape.MOST_NODES),
        from_firmware=_maybe(FLAG),
    ),
    "cpupools": _many(
        _entry(
            CpuPool,
            id=ID,
            name=_maybe(TEXT),
            scheduler=_maybe(TEXT),
            sched_gran=_maybe(TEXT),
            cpuset=SET,
            domains=_maybe(WHOLE),
        )
    ),
    "cpupool_free": SET,
}  # type: t.Dict[str, Form]

_ADDED = Topology._field_defaults
_SHAPE = shape.record(
    dict(
        {key: form.shape for key, form in _TOP.items() if key not in _ADDED},
        dom0=shape.record(
            {"linux": shape.maybe(DOM0_LINUX.shape), "vcpus": DOM0_VCPUS.shape}, {"boot": DOM0_BOOT.shape}
        ),
    ),
    dict(
        {key: form.shape for key, form in _TOP.items() if key in _ADDED},
        **{key: form.shape for key, form in _ON_DEMAND.items()},
    ),
)


def to_facts(topology: Topology) -> Facts:
    """Return the facts: plain dictionaries, lists, texts, numbers, booleans and None. What is on demand is there if it was asked for."""
    everything = topology.complete_cpuset
    facts = {"schema_version": SCHEMA_VERSION}  # type: Facts
    for key, form in _TOP.items():
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
        "linux": _maybe(DOM0_LINUX).write(topology.dom0_linux, everything),
        "boot": DOM0_BOOT.write(topology.dom0_boot, everything),
        "vcpus": DOM0_VCPUS.write(topology.dom0_vcpus, everything),
    }
    for key, form in _ON_DEMAND.items():
        value = getattr(topology, key)
        if value is not None:
            facts[key] = form.write(value, everything)
    return facts


def domain_facts(domain: Domain, topology: Topology) -> Facts:
    """Return one entry of the key `domains`; `topology` is the host that the domain runs on."""
    return t.cast(Facts, DOMAIN.write(domain, topology.complete_cpuset))


def from_facts(facts: t.Any) -> Topology:
    """Read facts back into the model.

    A newer minor version of the schema is accepted; what it added is not looked at. :class:`Failure` names a missing or damaged key, a
    limit that is passed or a contradiction, or says that the facts have another major version.
    """
    # only the control node reads facts, and Python compiles anew what Ansible sends to a host
    from . import coherent

    _check_version(facts)
    shape.fit(facts, _SHAPE, "the topology facts are damaged")
    coherent.check_size(facts)
    everything = CpuSet.parse(facts["complete_cpuset"])
    on_demand = {
        key: form.read(facts[key], everything) if key in facts else None for key, form in _ON_DEMAND.items()
    }  # type: t.Dict[str, t.Any]
    topology = Topology(
        dom0_linux=_maybe(DOM0_LINUX).read(facts["dom0"]["linux"], everything),
        dom0_boot=DOM0_BOOT.read(facts["dom0"].get("boot"), everything),
        dom0_vcpus=DOM0_VCPUS.read(facts["dom0"]["vcpus"], everything),
        **on_demand,
        **{key: form.read(facts[key], everything) for key, form in _TOP.items() if key in facts},
    )
    coherent.check(topology)
    return topology


def _check_version(facts: t.Any) -> None:
    if not isinstance(facts, dict):
        raise Failure(
            "these are no topology facts: give the dictionary ansible_facts['xen_topology'] of a host"
        )
    version = facts.get("schema_version")
    major, dot, minor = version.partition(".") if isinstance(version, str) else ("", "", "")
    if not (dot and shape.is_number(major) and shape.is_number(minor)):
        raise Failure(
            "these are no topology facts: schema_version is missing or damaged; give ansible_facts['xen_topology'], which "
            "dom0.xen.topology_facts gathers"
        )
    if major != SCHEMA_VERSION.partition(".")[0]:
        raise Failure(
            f"the topology facts have schema version {version}, but this version of the collection reads {SCHEMA_VERSION}: "
            "gather them again with the same version of dom0.xen"
        )
