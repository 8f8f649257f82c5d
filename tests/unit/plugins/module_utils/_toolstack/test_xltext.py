# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What xl and xenpm print, from real hosts with Xen 4.14, 4.17 and 4.20, and damaged."""

import json
import re

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xltext
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xltext import Shown, TextError
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    recording,
    said,
    said_names,
)

ALL = Shown((), True)

PARSERS = {
    "xl info -n": xltext.info,
    "xenpm get-cpu-topology": xltext.cpu_topology,
    "xl vcpu-list": xltext.vcpus,
    "xl list -v -c -n": lambda text: xltext.domains(text, ["Pool-0", "pool two"]),
    "xl list -l": xltext.domain_types,
    "xl cpupool-list": lambda text: xltext.pools(text, said("small-trixie")["xl cpupool-list -c"]),
    "xl cpupool-list -c": lambda text: xltext.pools(said("small-trixie")["xl cpupool-list"], text),
}


def test_corpus_has_the_releases():
    releases = {
        tuple(recording(name).data["xen"][key] for key in ("major", "minor")) for name in said_names()
    }
    assert {(4, 14), (4, 17), (4, 20)} <= releases


@pytest.mark.parametrize("name", said_names())
def test_every_text_of_every_host_is_read(name):
    texts = said(name)
    host = xltext.info(texts["xl info -n"])
    heard = recording(name).data
    assert host.number("xen_major") == heard["xen"]["major"]
    assert host.number("nr_cpus") == heard["physinfo"]["nr_cpus"]
    places = {cpu: tuple(row) for cpu, row in enumerate(heard["cputopo"]) if row[0] != 0xFFFFFFFF}
    assert host.cpus == places == xltext.cpu_topology(texts["xenpm get-cpu-topology"])
    pools = xltext.pools(texts["xl cpupool-list"], texts["xl cpupool-list -c"])
    assert [list(pool.cpus) for pool in pools] == [pool["cpus"] for pool in heard["cpupools"]]
    assert [pool.domains for pool in pools] == [pool["n_dom"] for pool in heard["cpupools"]]
    rows = xltext.domains(texts["xl list -v -c -n"], [pool.name for pool in pools])
    domains = heard.get("domains", [{"domain": 0}])
    assert [row.domid for row in rows] == [domain["domain"] for domain in domains]
    assert all(row.pool for row in rows)
    vcpus = [(row.domid, row.vcpu) for row in xltext.vcpus(texts["xl vcpu-list"])]
    if "domains" in heard:
        assert vcpus == [(domain["domain"], vcpu["vcpu"]) for domain in domains for vcpu in domain["vcpus"]]
        assert {row.domid: row.name for row in rows} == {
            int(domid): name for domid, name in heard["domain_names"].items()
        }
    types = xltext.domain_types(texts["xl list -l"])
    assert set(types.values()) <= {"pv", "pvh"}
    if "domains" in heard:
        assert {domid for domid, kind in types.items() if kind == "pvh"} == {
            domain["domain"] for domain in domains if domain["flags"] & 2
        }


def test_guests_with_odd_names():
    texts = said("small-trixie")
    rows = xltext.domains(texts["xl list -v -c -n"], ["Pool-0", "pool two"])
    assert [
        (row.name, row.domid, row.memory, row.vcpus, row.state, row.pool, row.nodes) for row in rows[1:]
    ] == [
        ("odd one 1", 1, 32, 1, "--p---", "Pool-0", ALL),
        ("123", 2, 32, 1, "--p---", "pool two", Shown((1,), False)),
    ]
    vcpus = [row for row in xltext.vcpus(texts["xl vcpu-list"]) if row.domid == 1]
    assert [(row.cpu is None, row.hard, row.soft) for row in vcpus] == [
        (False, Shown((4,), False), Shown((1, 2, 6), False)),
        (True, Shown((5, 6), False), ALL),
        (True, ALL, Shown((0,), False)),
    ]


ROW = "%-40s %5d %5d %5d     %s  %8.1f %s %8s %16s%16s %s"
UUID = "b47e8e24-b25e-4d32-b37f-f3faa2d8ccdc"


@pytest.mark.parametrize(
    "name", ["web", "1 2 3", "a" * 60, "x     r-----", "-", "Name", "é ü", "tab\there", "d" * 40 + " 7"]
)
@pytest.mark.parametrize("pool", ["Pool-0", "a pool whose name is long", "sixteen-letters!"])
def test_domain_rows_of_any_name(name, pool):
    line = ROW % (name, 12, 4096, 3, "r-----", 1234.5, UUID, "-", "-", pool, "0-1,3")
    (row,) = xltext.domains("Name   ID\n" + line + "\n", ["Pool-0", pool, "long"])
    assert row == xltext.DomainRow(name, 12, 4096, 3, "r-----", 1234.5, UUID, pool, Shown((0, 1, 3), False))


def test_domain_that_has_crashed_under_flask():
    line = ROW % ("(null)", 3, 0, 0, "---sc-", 0.1, UUID, "3", "system_u:system_r:domU_t", "Pool-0", "none")
    (row,) = xltext.domains(line, ["Pool-0"])
    assert (row.name, row.state, row.pool, row.nodes) == (None, "---sc-", "Pool-0", Shown((), False))


def test_domain_of_a_pool_that_nobody_knows():
    line = ROW % ("web", 3, 0, 0, "-b----", 0.1, UUID, "-", "-", "new", "all")
    assert xltext.domains(line, ["Pool-0"])[0].pool is None


@pytest.mark.parametrize(
    ("name", "count", "cpus"),
    [
        ("Pool-0", 3, "0,1,2"),
        ("empty", 0, ""),
        ("pool 7", 0, ""),
        ("exactly-eighteen-c", 2, "3,4"),
        ("nineteen-characters", 1, "5"),
        ("a name that is much longer than the column", 1, "8"),
        ("128", 128, ",".join(map(str, range(128)))),
    ],
)
def test_pools_of_any_name(name, count, cpus):
    plain = "Name               CPUs   Sched     Active   Domain count\n%-19s%3d %9s       y       %4d\n" % (
        name,
        count,
        "credit2",
        5,
    )
    with_cpus = "Name               CPU list\n%-19s%s\n" % (name, cpus)
    (pool,) = xltext.pools(plain, with_cpus)
    assert pool == (name, "credit2", 5, tuple(int(cpu) for cpu in cpus.split(",")) if cpus else ())


def test_pool_that_only_one_form_has():
    texts = said("small-trixie")
    with pytest.raises(TextError, match="lists the pool 'pool two'"):
        xltext.pools(texts["xl cpupool-list"], texts["xl cpupool-list -c"].rsplit("pool two", 1)[0])


def test_unreachable_nodes_and_unknown_node_of_a_cpu():
    text = (
        "nr_cpus                : 2\ncpu_topology           :\ncpu:    core    socket     node\n"
        "  0:       0        0       -1\nnuma_info              :\nnode:    memsize    memfree    distances\n"
        "   0:      2048       1710      10,-1\n   3:       512        500      -1,10\n"
        "device topology        :\ndevice           node\n0000:40:00.0      1\n"
    )
    host = xltext.info(text)
    assert host.cpus == {0: (0, 0, 0xFFFFFFFF)}
    assert host.nodes[3] == (512, 500, (None, 10))
    assert host.devices == {"0000:40:00.0": 1}


@pytest.mark.parametrize(
    ("parser", "text", "wrong"),
    [
        ("xl info -n", "", "nothing about this host"),
        ("xl info -n", "Cannot open privcmd\n", "line 1, 'Cannot open privcmd', should be 'name : value'"),
        (
            "xl info -n",
            "a : 1\nnuma_info              :\n   0:   many     1      10\n",
            "line 3, .* a row of 'numa_info'",
        ),
        ("xl info -n", "a : 1\nnuma_info              :\n 9999:   1     1      10\n", "line 3"),
        ("xenpm get-cpu-topology", "CPU\tcore\tsocket\tnode\nCPUx\t 0\t 0\t 0\n", "line 2, 'CPUx"),
        (
            "xl vcpu-list",
            "web   1   0    0   ---       0.0  3-1 / all\n",
            "a vCPU with its hard and soft affinity",
        ),
        ("xl vcpu-list", "web   1   0    -   ---       0.0  all / all\n", "line 1"),
        ("xl list -v -c -n", "web 1 2 3\n", "a domain with its UUID"),
        ("xl list -v -c -n", "x" * 9000, "shorter than"),
        ("xl list -l", "[{", "it is no JSON"),
        ("xl list -l", "[" * 100000, "it is no JSON"),
        ("xl cpupool-list", "Pool-0   many\n", "line 1, 'Pool-0   many'"),
        ("xl cpupool-list -c", "Pool-0             0,x\npool two           7\n", "line 1, .* 0,1,2"),
    ],
)
def test_what_is_wrong_is_named(parser, text, wrong):
    with pytest.raises(TextError, match=wrong) as caught:
        PARSERS[parser](text)
    assert parser in caught.value.message


def test_types_of_guests():
    entry = '{"domid": %d, "config": {"c_info": {"type": "%s"}}}'
    assert xltext.domain_types(entry % (4, "pvh")) == {4: "pvh"}
    odd = [
        "7",
        "null",
        '"x"',
        "{}",
        '{"domid": true, "config": {"c_info": {"type": "pv"}}}',
        '{"domid": 1, "config": []}',
    ]
    assert xltext.domain_types("[%s]" % ", ".join(odd + [entry % (5, "hvm")])) == {5: "hvm"}


LISTED = "%s   %d   512     1     r-----       1.0 00000000-0000-0000-0000-00000000000%d            -           Pool-0 all\n"


def test_names_that_are_not_utf8_come_as_those_from_xenstore_do():
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    (row,) = xltext.domains(LISTED % (name, 3, 3), ["Pool-0"])
    assert (row.name, row.domid, row.pool) == ("caf\\xe9", 3, "Pool-0")
    assert max(json.dumps(row.name)) < "\x80"


def test_names_are_padded_by_bytes():
    # printf's width counts bytes: 16 characters of two bytes fill the column
    name = "\u00e4" * 8
    plain = (
        "Name               CPUs   Sched     Active   Domain count\n%-11s  4    credit2       y          2\n"
        % name
    )
    with_cpus = "Name               CPU list\n%-11s0,1,2,3\n" % name
    (pool,) = xltext.pools(plain, with_cpus)
    assert (pool.name, pool.cpus) == (name, (0, 1, 2, 3))


def test_a_newline_in_a_name():
    text = (
        "Name                                        ID   Mem VCPUs\n"
        + LISTED % ("a", 1, 1)
        + LISTED % ("b\nc\n d", 2, 2)
    )
    assert [(row.name, row.domid) for row in xltext.domains(text, ["Pool-0"])] == [("a", 1), ("b\nc\n d", 2)]
    vcpus = xltext.vcpus("odd\nname   1   0    0   r--       0.0  all / all\n")
    assert [(row.domid, row.vcpu) for row in vcpus] == [(1, 0)]


def test_a_row_that_does_not_end():
    with pytest.raises(TextError, match="line 2, 'b', should be a domain"):
        xltext.domains(LISTED % ("a", 1, 1) + "b\nc\n", ["Pool-0"])


def test_a_name_that_looks_like_a_row_cannot_stand_for_another_domain():
    with pytest.raises(TextError, match="two domains with the same id"):
        xltext.domains(
            LISTED % ("Domain-0", 0, 0) + LISTED % ("x\n" + LISTED % ("Domain-0", 0, 0), 4, 4), ["Pool-0"]
        )
    line = "x   0   0    0   r--       0.0  all / all\n"
    with pytest.raises(TextError, match="a vCPU twice"):
        xltext.vcpus(line * 2)


def test_a_guest_that_is_called_as_the_columns_are():
    text = LISTED % ("Domain-0", 0, 0) + LISTED % ("Name ID", 1, 1)
    assert [row.name for row in xltext.domains(text, ["Pool-0"])] == ["Domain-0", "Name ID"]


@pytest.mark.parametrize("parser", sorted(PARSERS))
@pytest.mark.parametrize(
    "line", [" " * 8000 + "x", "x" + " " * 8000 + "y", "1" * 8000, "1 " * 4000, "x" + " 1" * 4000 + "y"]
)
def test_lines_that_take_the_square_of_their_length_where_one_looks_at_each_start(parser, line):
    # some seconds each when they do, some thousandths when they do not; the limit of a test run ends what never does
    survives(parser, (line + "\n") * 20)


def survives(parser, text):
    try:
        PARSERS[parser](text)
    except TextError as error:
        assert error.message


# ---- never a traceback ----

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies


@pytest.mark.parametrize("parser", sorted(PARSERS))
@hypothesis.given(text=st.text())
def test_any_text(parser, text):
    survives(parser, text)


@pytest.mark.parametrize("parser", sorted(PARSERS))
@hypothesis.given(data=st.data())
def test_damaged_output(parser, data):
    """A real output, of which characters are changed, left out or doubled."""
    text = said(data.draw(st.sampled_from(said_names())))[parser]
    for _damage in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 12))
        put = data.draw(
            st.one_of(
                st.text(max_size=4), st.sampled_from(["9" * 25, "-1", "\n", ",,", "\t", text[at : at + 40]])
            )
        )
        text = text[:at] + put + text[at + length :]
    survives(parser, text)


@hypothesis.given(members=st.sets(st.integers(0, 300)), width=st.integers(1, 301))
def test_masks_as_xl_writes_them(members, width):
    shown = sorted(number for number in members if number < width)
    # xl's print_bitmap: runs, "all" for all of the width, "none" for none
    runs, rest = [], list(shown)
    while rest:
        first = last = rest.pop(0)
        while rest and rest[0] == last + 1:
            last = rest.pop(0)
        runs.append(str(first) if first == last else "%d-%d" % (first, last))
    text = "all" if len(shown) == width else ",".join(runs) or "none"
    (row,) = xltext.vcpus("web   1   0    0   ---       0.0  %s / all\n" % text)
    assert row.hard == (ALL if text == "all" else Shown(tuple(shown), False))


def test_json_of_the_corpus_is_json():
    for name in said_names():
        assert json.loads(said(name)["xl list -l"])
        assert re.match("Name ", said(name)["xl list -n"])
