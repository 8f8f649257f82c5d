# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts read back into the model, on the control node: hosts only write them. Pure."""

import typing as t

from .._errors import Failure
from . import coherent, shape
from .affinities import ALL
from .cpuset import CpuSet
from .facts import DOM0_BOOT, DOM0_LINUX, DOM0_VCPUS, ON_DEMAND, SCHEMA_VERSION, TOP
from .facts_forms import Spec, maybe
from .model import Topology


def _affinity(value: t.Any) -> None:
    if not (isinstance(value, str) and value == ALL):
        shape.id_list(value)


def _shape_of(spec: Spec) -> t.Any:
    """Make what a form's `shape` says: a shape or, within one, what it is made of."""
    if spec == "affinity":
        return _affinity
    if isinstance(spec, str):
        return getattr(shape, spec)
    if isinstance(spec, dict):
        return {key: _shape_of(member) for key, member in spec.items()}
    name, arguments = spec[0], spec[1:]
    if name == "one_of":
        return shape.one_of(*arguments[0])
    return getattr(shape, name)(*[_shape_of(argument) for argument in arguments])


_ADDED = Topology._field_defaults
_SHAPE = _shape_of(
    (
        "record",
        dict(
            {key: form.shape for key, form in TOP.items() if key not in _ADDED},
            dom0=(
                "record",
                {"linux": maybe(DOM0_LINUX).shape, "vcpus": DOM0_VCPUS.shape},
                {"boot": DOM0_BOOT.shape},
            ),
        ),
        dict(
            {key: form.shape for key, form in TOP.items() if key in _ADDED},
            **{key: form.shape for key, form in ON_DEMAND.items()},
        ),
    )
)


def from_facts(facts: t.Any) -> Topology:
    """Read facts back into the model.

    A newer minor version of the schema is accepted; what it added is not looked at. :class:`Failure` names a missing or damaged key, a
    limit that is passed or a contradiction, or says that the facts have another major version.
    """
    _check_version(facts)
    shape.fit(facts, _SHAPE, "the topology facts are damaged")
    coherent.check_size(facts)
    everything = CpuSet.parse(facts["complete_cpuset"])
    on_demand = {
        key: form.read(facts[key], everything) if key in facts else None for key, form in ON_DEMAND.items()
    }  # type: t.Dict[str, t.Any]
    topology = Topology(
        dom0_linux=maybe(DOM0_LINUX).read(facts["dom0"]["linux"], everything),
        dom0_boot=DOM0_BOOT.read(facts["dom0"].get("boot"), everything),
        dom0_vcpus=DOM0_VCPUS.read(facts["dom0"]["vcpus"], everything),
        **on_demand,
        **{key: form.read(facts[key], everything) for key, form in TOP.items() if key in facts},
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
