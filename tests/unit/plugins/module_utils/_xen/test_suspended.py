# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Suspended guests go on, on a hypervisor that plays the recording of a real host: one register is another one, nothing else."""

import copy
import errno

import pytest

pytest.importorskip("_cffi_backend")

from ansible_collections.dom0.xen.plugins.module_utils._xen import errors, suspended
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen

WEB = 2
SUSPENDED = 1 << 2 | 2 << 16
PV, HVM = 0, 1 << 1
# Where rax and eax are in struct vcpu_guest_context of arch-x86/xen.h, as gcc gives it, and how long that is.
WIDE, NARROW = (600, 8, 5168), (540, 4, 2800)


def host(flags, **values):
    fake = FakeXen(copy.deepcopy(recording("small-guests").data), **values.pop("fake", {}))
    domain = fake.domain(WEB)
    domain.update(flags=flags, context=bytes(number % 251 for number in range(5168)), **values)
    return fake, domain


def resume(fake, machine="x86_64", **options):
    with Xen(fake, machine=machine, **options) as xen:
        fake.asked.clear()
        suspended.resume(xen, WEB)
    assert not fake.memory.live, "a hypercall buffer was not freed"


@pytest.mark.parametrize(
    ("flags", "values", "register"),
    [
        (PV, {"address_size": 64}, WIDE),
        (PV, {"address_size": 32}, NARROW),
        (HVM, {"callback": 0x2000000000000F3}, WIDE),
    ],
)
def test_the_answer_is_put_where_the_guest_finds_it(flags, values, register):
    offset, width, size = register
    fake, domain = host(flags | SUSPENDED, **values)
    domain["context"] = before = domain["context"][:size]
    resume(fake)
    assert fake.asked[-3:] == ["getvcpucontext", "setvcpucontext", "resumedomain"]
    assert domain["context"] == before[:offset] + b"\1".ljust(width, b"\0") + before[offset + width :]
    assert domain["flags"] == flags


def test_a_guest_that_made_no_hypercall_gets_no_answer():
    fake, domain = host(HVM | SUSPENDED, callback=0)
    before = domain["context"]
    resume(fake)
    assert fake.asked == ["getdomaininfo", "get_param", "resumedomain"]
    assert (domain["context"], domain["flags"]) == (before, HVM)


def test_arm_has_no_register_to_set():
    fake, domain = host(HVM | SUSPENDED, fake={"domaininfo_size": 120})
    resume(fake, machine="aarch64")
    assert fake.asked == ["getdomaininfo", "resumedomain"]
    assert domain["flags"] == HVM


@pytest.mark.parametrize("flags", [0, 1 << 3, 1 << 2, 1 << 2 | 3 << 16])
def test_nothing_is_done_to_one_that_runs_or_has_ended(flags):
    fake, domain = host(flags, address_size=64)
    resume(fake)
    assert fake.asked == ["getdomaininfo"]
    assert domain["flags"] == flags


def test_what_is_refused_changes_nothing():
    for question in ("get_address_size", "getvcpucontext", "setvcpucontext", "resumedomain"):
        fake, domain = host(SUSPENDED, address_size=64)
        fake.faults[question] = errno.ENOSYS
        with pytest.raises(errors.NotSupported, match=question):
            resume(fake)
        assert domain["flags"] == SUSPENDED
    fake, domain = host(SUSPENDED, address_size=16)
    with pytest.raises(errors.Invalid, match="addresses of 16 bits"):
        resume(fake)
    fake, domain = host(SUSPENDED, address_size=64, fake={"release": (4, 30), "sysctl": 0x17, "domctl": 0x19})
    with pytest.raises(errors.UnknownInterface, match="nothing is changed"):
        resume(fake)
    resume(fake, allow_unknown=True)
    assert domain["flags"] == 0
    fake.forget(WEB)
    with pytest.raises(errors.NoSuchDomain):
        resume(fake, allow_unknown=True)
