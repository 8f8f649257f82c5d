# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Memory by node from Xen's console, which is small, shared, and may be full of other things."""

import copy
import errno

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._xen import _xen_ffi, errors, numa_dump
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.plugins.module_utils._xen.numa_dump import DumpCut, parse_numa_dump
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording

# From a host with Xen 4.17, the time of the fourth domain's end left out.
DUMP = """\
(XEN) Freed 656kB init memory
(XEN) Removing cpu 3 from runqueue 0
(XEN) 'u' pressed -> dumping numa info (now = 691940627809)
(XEN) NODE0 start->0 size->524288 free->355578
(XEN) NODE1 start->1048576 size->524288 free->304245
(XEN) CPU0...3 -> NODE0
(XEN) CPU4...7 -> NODE1
(XEN) Memory location of each domain:
(XEN) Domain 0 (total: 262144):
(XEN)     Node 0: 84337
(XEN)     Node 1: 177807
(XEN) Domain 2 (total: 32768):
(XEN)     Node 0: 0
(XEN)     Node 1: 32768
(XEN) Domain 3 (total: 49152):
(XEN)     Node 0: 49152
(XEN)     Node 1: 0
"""
PAGES = {0: {0: 84337, 1: 177807}, 2: {0: 0, 1: 32768}, 3: {0: 49152, 1: 0}}


def test_dump():
    assert parse_numa_dump(DUMP) == PAGES


def test_dump_of_a_newer_xen():
    assert parse_numa_dump(DUMP.replace("Domain ", "d")) == PAGES


@pytest.mark.parametrize("stamp", ["[2026-11-22 10:11:12] ", "[  691.940627] ", "[0000000012ab34cd] "])
def test_dump_with_times(stamp):
    assert parse_numa_dump(DUMP.replace("(XEN) ", "(XEN) " + stamp)) == PAGES


def test_dump_with_carriage_returns():
    assert parse_numa_dump(DUMP.replace("\n", "\r\n")) == PAGES


def test_last_dump_counts():
    assert parse_numa_dump(DUMP.replace("84337", "1") + DUMP) == PAGES
    assert parse_numa_dump(DUMP + DUMP.replace("84337", "1"))[0][0] == 1


def test_earlier_dump_when_the_last_is_cut():
    cut = DUMP.replace("84337", "1")
    assert parse_numa_dump(DUMP + cut[: cut.index("(XEN)     Node 1: 0")]) == PAGES


def test_domains_with_virtual_nodes():
    text = DUMP.replace(
        "(XEN) Domain 3",
        "(XEN)      2 vnodes, 4 vcpus, guest physical layout:\n"
        "(XEN)         0: pnode   1, vcpus 0-1 \n"
        "(XEN)            0000000000000000 - 0000000004000000\n"
        "(XEN) Domain 3",
    )
    assert parse_numa_dump(text) == PAGES


def test_lines_in_between_and_after():
    text = DUMP.replace(
        "(XEN) Domain 2", "(XEN) grant_table.c:803:d2v0 Bad flags\n[ 1.0] of dom0 itself\n(XEN) Domain 2"
    )
    assert parse_numa_dump(text + "(XEN) Something else\n") == PAGES


def test_guest_cannot_write_a_dump():
    """A guest's console may end up in the ring, with its own prefix."""
    lies = "".join("(d3) " + line[6:] + "\n" for line in DUMP.replace("84337", "1").splitlines())
    assert parse_numa_dump(DUMP + lies) == PAGES
    middle = DUMP.replace("(XEN) Domain 3", "(d2) Domain 9 (total: 1):\n(d2)     Node 0: 1\n(XEN) Domain 3")
    assert parse_numa_dump(middle) == PAGES


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "beginning is missing"),
        (DUMP[DUMP.index("(XEN) NODE1") :], "beginning is missing"),
        (DUMP[: DUMP.index("(XEN) NODE0")], "list of nodes is missing"),
        (DUMP[: DUMP.index("(XEN) Memory location")], "list of domains is missing"),
        (DUMP[: DUMP.index("(XEN) Domain 0")], "list of domains is missing"),
        (DUMP[: DUMP.index("(XEN)     Node 1: 177807")], "lines of domain 0"),
        (DUMP[: DUMP.index("(XEN)     Node 1: 0")], "lines of domain 3"),
    ],
)
def test_dump_that_is_cut(text, reason):
    with pytest.raises(DumpCut) as caught:
        parse_numa_dump(text)
    assert reason in caught.value.message
    assert "conring_size" in caught.value.message


def test_dump_that_is_cut_anywhere_never_gives_another_number():
    for piece in [DUMP[:length] for length in range(len(DUMP))] + [
        DUMP[start:] for start in range(len(DUMP))
    ]:
        try:
            found = parse_numa_dump(piece)
        except DumpCut:
            continue
        assert found
        assert {domid: PAGES[domid] for domid in found} == found


# ---- pressing the key ----


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self, wake=lambda: None):
        self.now = 0.0
        self.wake = wake

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.wake()


@pytest.fixture
def fake():
    if _xen_ffi.ffi is None:
        pytest.skip("this Python has no _cffi_backend")
    from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen

    return FakeXen(copy.deepcopy(recording("small-guests").data))


def expected(fake):
    return {
        int(domid): {int(node): pages for node, pages in nodes.items()}
        for domid, nodes in fake.data["memory_by_node"].items()
    }


def ask(fake, clock=None):
    clock = clock or Clock()
    with Xen(fake, machine="x86_64") as xen:
        return numa_dump.memory_by_node(xen, clock, clock.sleep)


@pytest.mark.parametrize("release", [(4, 17), (4, 18)])
def test_key_is_pressed_and_read(fake, release):
    fake.release = release
    # An older dump with other numbers must not be taken for ours.
    fake.written += DUMP.replace("84337", "1").encode("ascii")
    assert ask(fake) == expected(fake)
    assert fake.asked.count("debug_keys") == 1


def test_ring_that_has_wrapped_before(fake):
    fake.written = b"(XEN) old\n" * 5000
    assert ask(fake) == expected(fake)


def test_ring_that_is_too_small(fake):
    fake.ring = 300
    clock = Clock()
    with pytest.raises(DumpCut, match="beginning is missing.*conring_size=32k"):
        ask(fake, clock)
    assert clock.now == 0, "waiting cannot help"


def test_ring_that_is_too_small_for_many_domains(fake):
    model = fake.data["domains"][1]
    fake.data["domains"] = [dict(model, domain=number, handle="%032x" % number) for number in range(400)]
    with pytest.raises(DumpCut) as caught:
        ask(fake)
    printed = len(fake.dump())
    size = int(caught.value.message.split("conring_size=")[1].split("k")[0]) * 1024
    assert 2 * printed <= size < 4 * printed
    fake.ring = size
    assert len(ask(fake)) == 400


def test_dump_that_comes_late(fake):
    written = fake.dump().encode("ascii")
    fake._debug_keys = lambda u: None
    pieces = [written[:200], written[200:500], written[500:]]

    def wake():
        if pieces:
            fake.written += pieces.pop(0)

    assert ask(fake, Clock(wake)) == expected(fake)
    assert not pieces


def test_dump_that_never_comes(fake):
    fake._debug_keys = lambda u: None
    clock = Clock()
    with pytest.raises(DumpCut):
        ask(fake, clock)
    assert clock.now >= numa_dump.PATIENCE


def test_domain_that_is_missing(fake):
    whole = fake.dump
    fake.dump = lambda: whole()[: whole().index("(XEN) Domain 4")]
    with pytest.raises(DumpCut, match="domain 4 is missing"):
        ask(fake)


def test_domain_that_ends_meanwhile_is_not_missed(fake):
    fake.on["debug_keys"] = lambda _domid: fake.forget(3)
    assert set(ask(fake)) == {0, 2, 4}


def test_domain_that_begins_meanwhile_is_welcome(fake):
    new = dict(fake.data["domains"][1], domain=9, handle="9" * 32)
    fake.on["debug_keys"] = lambda _domid: fake.data["domains"].append(new)
    assert set(ask(fake)) == {0, 2, 3, 4, 9}


@pytest.mark.parametrize("question", ["debug_keys", "readconsole"])
def test_policy_forbids_it(fake, question):
    fake.faults[question] = errno.EPERM
    with pytest.raises(errors.NotPermitted, match="FLASK"):
        ask(fake)
