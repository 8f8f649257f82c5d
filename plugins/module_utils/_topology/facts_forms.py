# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How values stand in the facts: the forms that `facts.py` makes its table of, and a domain's, which `domain_info` returns too. Pure."""

import typing as t

from .._errors import printable
from .affinities import ALL, affinity_text
from .cpuset import CpuSet
from .model import Domain, Locality, Topology, Vcpu

Facts = t.Dict[str, t.Any]


#: Which shape a value has, for who reads: the name of something in `shape.py` (`facts_reading.py` has one of its own), or a tuple of the
#: name of what makes a shape and what that is given. What only writes has no use for it.
Spec = t.Any


class Form(t.NamedTuple):
    """How one kind of value stands in the facts. `write` and `read` are given the value and the host's complete_cpuset."""

    shape: Spec
    write: t.Callable[[t.Any, CpuSet], t.Any]
    read: t.Callable[[t.Any, CpuSet], t.Any]


def plain(check: Spec) -> Form:
    return Form(check, lambda value, _all: value, lambda value, _all: value)


def choice(*choices: str) -> Form:
    return plain(("one_of", list(choices)))


def maybe(form: Form) -> Form:
    return Form(
        ("maybe", form.shape),
        lambda value, everything: None if value is None else form.write(value, everything),
        lambda value, everything: None if value is None else form.read(value, everything),
    )


def many(form: Form, most: str = "MOST") -> Form:
    return Form(
        ("items", form.shape, most),
        lambda values, everything: [form.write(value, everything) for value in values],
        lambda values, everything: tuple(form.read(value, everything) for value in values),
    )


def entry(
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

    shapes = ({}, {})  # type: t.Tuple[t.Dict[str, Spec], t.Dict[str, Spec]]
    for key, (field, form) in fields.items():
        shapes[field in defaults][key] = form.shape
    return Form(("record",) + shapes, write, read)


# What a host says is data: neither facts nor what is made of them has a character that a terminal would obey.
TEXT = Form("text", lambda text, _all: printable(text), lambda text, _all: printable(text))
WHOLE = plain("whole")
ID = plain("number_id")
FLAG = plain("yes_no")
SET = Form("id_list", lambda members, _all: str(members), lambda members, _all: CpuSet.parse(members))
#: A set without a mask beside it. A mask is as long as the largest number in it: beside each of thousands of cores they would be most of the
#: facts of a large host.
LIST = Form(SET.shape, SET.write, SET.read)
SHARE = plain("fraction")
AFFINITY = Form(
    "affinity",
    affinity_text,
    lambda members, everything: everything if members == ALL else CpuSet.parse(members),
)
BY_NODE = Form(
    ("keyed", "whole"),
    lambda sizes, _all: {str(node): sizes[node] for node in sorted(sizes)},
    lambda sizes, _all: {int(node): sizes[node] for node in sizes},
)

LOCALITY = entry(
    Locality,
    cpu_nodes=LIST,
    memory_nodes=maybe(LIST),
    may_leave=maybe(many(ID)),
    away=maybe(many(ID)),
    remote_share=maybe(SHARE),
    distance=maybe(SHARE),
    worst_distance=maybe(SHARE),
)
VCPU = entry(
    Vcpu,
    vcpu=ID,
    online=FLAG,
    running=FLAG,
    blocked=FLAG,
    cpu=maybe(ID),
    hard=AFFINITY,
    soft=AFFINITY,
    time_ns=WHOLE,
)
DOMAIN = entry(
    Domain,
    domid=ID,
    name=maybe(TEXT),
    uuid=TEXT,
    type=maybe(choice("pv", "pvh", "hvm")),
    state=choice("running", "blocked", "paused", "shutdown", "crashed", "dying"),
    cpupool=maybe(ID),
    memory_bytes=("memory", WHOLE),
    max_memory_bytes=("max_memory", maybe(WHOLE)),
    max_vcpus=plain("number_id"),
    # no mask beside it: it may be unknown
    node_affinity=maybe(SET),
    vcpus=many(VCPU),
    memory_by_node=maybe(BY_NODE),
    locality=maybe(LOCALITY),
)


def domain_facts(domain: Domain, topology: Topology) -> Facts:
    """Return one entry of the key `domains`; `topology` is the host that the domain runs on."""
    return t.cast(Facts, DOMAIN.write(domain, topology.complete_cpuset))
