# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the firmware's tables add, in the light of what Xen says."""

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.firmware import (
    Firmware,
    common,
    joined,
    total,
)
from hypothesis import given
from hypothesis import strategies as st

GIB = 2**30


def firmware(**sections):
    """The firmware's view and the warnings that it makes; `memory_map` besides the tables."""
    warnings = []
    heard = {"acpi": dict({"madt": []}, **sections)}
    if "memory_map" in sections:
        heard["memory_map"] = heard["acpi"].pop("memory_map")
    return Firmware(heard, warnings), warnings


# --- ranges


RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)


def members(ranges):
    return {number for start, end in ranges for number in range(start, end)}


@given(RANGES, RANGES)
def test_ranges_are_sets_of_bytes(first, second):
    one, two = joined(first), joined(second)
    assert members(one) == members(first)
    assert total(one) == len(members(first))
    assert members(common(one, two)) == members(first) & members(second)
    assert joined(common(one, two)) == common(one, two) or total(common(one, two)) == len(
        members(first) & members(second)
    )


# --- processors


def madt(*apic_ids, kind=0, flags=1):
    return [[kind, 100 + apic_id, apic_id, flags] for apic_id in apic_ids]


def test_cpus_that_xen_never_brought_up_have_the_next_numbers():
    view, warnings = firmware(madt=madt(0, 1, 2, 3, 4, 5))
    assert view.never_brought_up({0: 0, 1: 1, 2: 2}) == [(3, 3, 103), (4, 4, 104), (5, 5, 105)]
    assert warnings == []


def test_the_boot_cpu_comes_first_and_x2apic_entries_last():
    view, _warnings = firmware(madt=madt(300, kind=9) + madt(4, 0, 2))
    assert view.never_brought_up({0: 2, 1: 4}) == [(2, 0, 100), (3, 300, 400)]


def test_disabled_entries_and_repetitions_are_no_cpus():
    view, _warnings = firmware(madt=madt(0, 1) + madt(2, flags=0) + madt(3, flags=2) + madt(1, kind=9))
    assert view.never_brought_up({0: 0, 1: 1}) == []


def test_numbers_that_the_order_does_not_explain_are_unknown():
    view, _warnings = firmware(madt=madt(0, 1, 2, 3))
    assert view.never_brought_up({0: 0, 1: 2}) == [(None, 1, 101), (None, 3, 103)]


def test_a_table_of_another_machine_is_said():
    view, warnings = firmware(madt=madt(50, 51))
    assert view.never_brought_up({0: 0, 1: 1}) == []
    assert len(warnings) == 1
    assert "lists none of the CPUs" in warnings[0]


def test_without_xens_apic_ids_nothing_is_compared():
    view, warnings = firmware(madt=madt(0, 1))
    assert view.never_brought_up({}) == []
    assert warnings == []


# --- proximity domains


def cpus(*pairs, kind=0):
    return [[kind, apic_id, domain, 1] for apic_id, domain in pairs]


def memory(*rows):
    return [[start, size, domain, 1] for start, size, domain in rows]


def test_domains_are_learned_from_cpus_and_the_rest_from_xens_order():
    view, warnings = firmware(
        srat_cpus=cpus((0, 4), (1, 3), (2, 0)),
        srat_memory=memory((0, GIB, 0), (GIB, GIB, 1), (2 * GIB, GIB, 3), (3 * GIB, 2 * GIB, 4)),
    )
    view.learn_nodes([(0, 0), (1, 1)], {0: 2 * GIB, 1: GIB, 2: GIB, 3: GIB}, False)
    # domain 0 has no online CPU, domain 1 has none at all
    assert view.node_of == {4: 0, 3: 1, 0: 2, 1: 3}
    assert view.numa == "on"
    assert warnings == []


def test_x2apic_entries_are_met_first():
    view, _warnings = firmware(srat_cpus=cpus((0, 7)) + cpus((300, 5), kind=2))
    assert view.domains == [5, 7]


def test_an_order_that_does_not_explain_the_cpus_is_not_used():
    rows = memory((0, GIB, 0), (GIB, GIB, 1), (2 * GIB, 3 * GIB, 2), (8 * GIB, GIB, 3))
    view, _warnings = firmware(srat_cpus=cpus((0, 0), (1, 1)), srat_memory=rows)
    # Xen has the two nodes with CPUs the other way round; of the others one is known by its size
    view.learn_nodes([(0, 1), (1, 0)], {0: GIB, 1: GIB, 2: GIB, 3: 3 * GIB}, False)
    assert view.node_of == {0: 1, 1: 0, 2: 3, 3: 2}


def test_sizes_that_two_domains_have_tell_nothing():
    rows = memory((0, GIB, 0), (GIB, GIB, 1), (2 * GIB, GIB, 2), (3 * GIB, GIB, 3))
    view, _warnings = firmware(srat_cpus=cpus((0, 0), (1, 1)), srat_memory=rows)
    view.learn_nodes([(0, 1), (1, 0)], dict.fromkeys(range(4), GIB), False)
    assert view.node_of == {0: 1, 1: 0}


def test_a_node_of_another_size_is_not_taken_by_its_order():
    view, _warnings = firmware(srat_cpus=cpus((0, 0)), srat_memory=memory((0, GIB, 0), (GIB, GIB, 1)))
    view.learn_nodes([(0, 0)], {0: GIB, 1: 7 * GIB}, False)
    assert view.node_of == {0: 0}


def test_nodes_of_one_size_are_told_apart_by_their_distances():
    rows = memory((0, GIB, 0), (GIB, GIB, 1), (2 * GIB, GIB, 2), (3 * GIB, GIB, 3))
    slit = [[10, 21, 17, 28], [21, 10, 31, 12], [17, 31, 10, 40], [28, 12, 40, 10]]
    sections = {"srat_cpus": cpus((0, 0), (1, 1)), "srat_memory": rows, "slit": slit}

    def told(*order):
        """Xen's distances if its nodes were these domains."""
        return {
            (source, target): slit[order[source]][order[target]] for source in range(4) for target in range(4)
        }

    everywhere = dict.fromkeys(range(4), GIB)
    # numbered otherwise than by the order of the table
    for order in ((1, 0, 2, 3), (1, 0, 3, 2), (0, 1, 2, 3)):
        view, _warnings = firmware(**sections)
        view.learn_nodes([(0, order.index(0)), (1, order.index(1))], everywhere, False, told(*order))
        expected = {domain: node for node, domain in enumerate(order)}
        assert view.node_of == (expected if order == (0, 1, 2, 3) else {0: 1, 1: 0})
        assert view.is_source_of(told(*order))
    # in the order of the table, but as far as others: not believed
    view, _warnings = firmware(**sections)
    view.learn_nodes([(0, 0), (1, 1)], everywhere, False, told(0, 1, 3, 2))
    assert view.node_of == {0: 0, 1: 1}


def test_distances_that_xen_made_up_are_not_the_tables():
    slit = [[10, 31], [31, 10]]
    view, _warnings = firmware(srat_cpus=cpus((0, 0), (1, 1)), slit=slit)
    view.learn_nodes([(0, 0), (1, 1)], {0: GIB, 1: GIB}, False)
    assert view.is_source_of({(0, 1): 20, (1, 0): 20}) is False
    assert view.is_source_of({(0, 1): 31, (1, 0): 31}) is True
    view, _warnings = firmware(srat_cpus=cpus((0, 0), (1, 1)))
    assert view.is_source_of({(0, 1): 20}) is None


def test_domains_and_nodes_that_do_not_match_are_said():
    view, warnings = firmware(srat_cpus=cpus((0, 0), (1, 1), (2, 2)))
    view.learn_nodes([(0, 0), (1, 0), (2, 1)], {0: GIB, 1: GIB}, False)
    assert view.node_of == {}
    assert len(warnings) == 1
    assert "do not match one to one" in warnings[0]
    # when Xen was told to make up its nodes, that is no wonder
    view, warnings = firmware(srat_cpus=cpus((0, 0), (1, 1), (2, 2)))
    view.learn_nodes([(0, 0), (1, 0), (2, 1)], {0: GIB, 1: GIB}, True)
    assert (view.numa, view.node_of, warnings) == ("fake", {}, [])


def test_made_up_nodes_keep_the_cpus_and_distances_of_domains():
    view, _warnings = firmware(srat_cpus=cpus((0, 4), (1, 1)), slit=[[10] * 5] * 4 + [[10, 17, 10, 10, 10]])
    view.learn_nodes([(0, 0), (1, 1)], {0: GIB, 1: GIB}, True)
    assert (view.numa, view.node_of) == ("fake", {4: 0, 1: 1})
    assert view.is_source_of({(0, 1): 17, (1, 0): 10}) is True


def test_one_node_of_several_domains_is_numa_switched_off():
    view, warnings = firmware(srat_cpus=cpus((0, 0), (1, 1)))
    view.learn_nodes([(0, 0), (1, 0)], {0: GIB}, False)
    assert (view.numa, view.node_of, warnings) == ("off", {}, [])


def test_one_domain():
    view, _warnings = firmware(srat_cpus=cpus((0, 5), (1, 5)))
    view.learn_nodes([(0, 0)], {0: GIB}, False)
    assert (view.numa, view.node_of) == ("none", {5: 0})


def test_a_cpu_in_two_domains_is_not_believed():
    view, warnings = firmware(srat_cpus=cpus((0, 0), (1, 1), (0, 1)))
    assert view.domain_of == {1: 1}
    assert len(warnings) == 1
    assert "APIC id 0 in several proximity domains" in warnings[0]


# --- memory


E820 = [
    [0, 640 << 10, 1],
    [640 << 10, 384 << 10, 2],
    [1 << 20, 2 * GIB - (1 << 20), 1],
    [4 * GIB, 2 * GIB, 1],
]
SRAT = {"srat_cpus": cpus((0, 0), (1, 1)), "srat_memory": memory((0, 3 * GIB, 0), (4 * GIB, 2 * GIB, 1))}
SPANS = {0: 3 * GIB, 1: 2 * GIB}


def ram(spans=None, fake=False, **sections):
    spans = SPANS if spans is None else spans
    view, warnings = firmware(**dict({"memory_map": E820}, **sections))
    view.learn_nodes([(0, min(spans)), (1, max(spans))], spans, fake)
    return view.ram_by_node(spans, [spans.get(node) for node in range(max(spans) + 1)]), warnings


def test_ram_is_the_map_within_the_domains():
    assert ram(**SRAT) == ({0: 2 * GIB - (384 << 10), 1: 2 * GIB}, [])


def low(spans, ranges, order=None):
    """The low memory of nodes of these spans, whose domains have `ranges` of RAM; the CPU with APIC id n is of node n."""
    rows = [(start, size, domain) for domain, (start, size) in enumerate(ranges)]
    order = order or list(range(len(ranges)))
    view, _warnings = firmware(
        srat_cpus=cpus(*((apic_id, domain) for apic_id, domain in enumerate(order))),
        srat_memory=memory(*rows),
        memory_map=[[start, size, 1] for start, size in ranges],
    )
    view.learn_nodes([(apic_id, apic_id) for apic_id in range(len(order))], spans, False)
    return view.low_by_node(spans)


def test_low_memory_is_below_a_quarter_of_the_first_node_rounded_up():
    ranges = [(0, GIB), (GIB, GIB)]
    assert low({0: GIB, 1: GIB}, ranges) == {0: GIB // 4, 1: 0}
    # rounded up to a power of two
    odd = 3 * GIB // 2
    assert low({0: odd, 1: GIB}, [(0, odd), (odd, GIB)]) == {0: GIB // 2, 1: 0}
    # at most 4 GiB
    large = 64 * GIB
    assert low({0: large, 1: large}, [(0, large), (large, large)]) == {0: 4 * GIB, 1: 0}


def test_low_memory_is_on_the_nodes_that_lie_there():
    # node 0 has domain 2, at 4 GiB: the first below is node 1, domain 1, which begins at 2 GiB
    ranges = [(0, 2 * GIB), (2 * GIB, GIB), (4 * GIB, GIB)]
    assert low({0: GIB, 1: GIB, 2: 2 * GIB}, ranges, [2, 1, 0]) == {0: 0, 1: GIB, 2: 2 * GIB}


def test_low_memory_is_unknown_where_nodes_are_or_there_is_one():
    assert low({0: GIB}, [(0, GIB)]) == {}
    view, _warnings = firmware()
    assert view.low_by_node({0: GIB, 1: GIB}) == {}


def test_one_node_has_all_of_it():
    whole = {0: 4 * GIB - (384 << 10)}
    assert ram({0: 6 * GIB}, **SRAT) == (whole, [])
    assert ram({0: 6 * GIB}) == (whole, [])


def test_made_up_nodes_follow_each_other():
    spans = {0: 3 * GIB, 1: 3 * GIB}
    assert ram(spans, fake=True, **SRAT)[0] == {0: 2 * GIB - (384 << 10), 1: 2 * GIB}
    # unless they do not cover it
    assert ram({0: GIB, 1: GIB}, fake=True, **SRAT)[0] == {0: None, 1: None}


def test_ram_without_a_domain_is_said():
    found, warnings = ram(**dict(SRAT, memory_map=[*E820, [100 * GIB, GIB, 1]]))
    assert found == {0: 2 * GIB - (384 << 10), 1: 2 * GIB}
    assert len(warnings) == 1
    assert f"{GIB} bytes of this host's RAM" in warnings[0]


def test_memory_in_two_domains_leaves_all_unknown():
    rows = memory((0, 3 * GIB, 0), (2 * GIB, 4 * GIB, 1))
    found, warnings = ram({0: 3 * GIB, 1: 4 * GIB}, srat_cpus=SRAT["srat_cpus"], srat_memory=rows)
    assert found == {0: None, 1: None}
    assert "same memory to several" in warnings[0]


def test_what_is_missing_leaves_it_unknown():
    view, _warnings = firmware(**SRAT)
    view.learn_nodes([(0, 0), (1, 1)], SPANS, False)
    assert view.ram_by_node(SPANS, []) == {0: None, 1: None}
    assert ram()[0] == {0: None, 1: None}


def test_ram_beyond_all_addresses_is_said_and_leaves_it_unknown():
    found, warnings = ram(**dict(SRAT, memory_map=[*E820, [2**63, 2**62, 1]]))
    assert found == {0: None, 1: None}
    assert len(warnings) == 1
    assert "beyond all addresses" in warnings[0]


def test_persistent_memory_is_no_ram():
    rows = [*SRAT["srat_memory"], [6 * GIB, 2 * GIB, 1, 1 | 4]]
    found, _warnings = ram(
        {0: 3 * GIB, 1: 4 * GIB},
        srat_cpus=SRAT["srat_cpus"],
        srat_memory=rows,
        memory_map=[*E820, [6 * GIB, 2 * GIB, 7]],
    )
    assert found[1] == 2 * GIB


NUMBER = st.integers(0, 5)
ROW = st.lists(st.one_of(NUMBER, st.just(2**64 - 1)), min_size=4, max_size=4)


@pytest.mark.parametrize("fake", [True, False])
@given(
    st.lists(ROW, max_size=5),
    st.lists(ROW, max_size=5),
    st.lists(ROW, max_size=5),
    st.lists(st.tuples(NUMBER, NUMBER, NUMBER), max_size=4),
    st.lists(st.tuples(NUMBER, NUMBER), max_size=5),
    st.dictionaries(NUMBER, st.integers(1, 9), max_size=4),
)
def test_any_tables_are_understood_or_said(fake, madt, srat_cpus, srat_memory, memory_map, seen, spans):
    view, warnings = firmware(
        madt=madt, srat_cpus=srat_cpus, srat_memory=srat_memory, memory_map=[list(row) for row in memory_map]
    )
    view.never_brought_up(dict(seen))
    view.learn_nodes(seen, spans, fake)
    found = view.ram_by_node(spans, [spans.get(node) for node in range(6)])
    assert set(found) == set(spans)
    assert len(set(view.node_of.values())) == len(view.node_of)
    assert all(isinstance(warning, str) for warning in warnings)
