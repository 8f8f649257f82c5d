# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Interface versions: the expected one, another one, one beyond the table, none."""

import copy
import errno

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._xen import (
    _xen_ffi,
    errors,
    layouts,
    pinning,
    probe,
    sysctl,
)
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording

if _xen_ffi.ffi is None:
    pytest.skip("this Python has no _cffi_backend", allow_module_level=True)

from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen


def fake_xen(release, sysctl_version, domctl_version, **more):
    return FakeXen(
        copy.deepcopy(recording("small-guests").data), release, sysctl_version, domctl_version, **more
    )


@pytest.mark.parametrize(("release", "versions"), sorted(layouts.RELEASES.items()))
def test_known_release(release, versions):
    fake = fake_xen(release, *versions)
    with Xen(fake, machine="x86_64") as xen:
        assert xen.version == release
        assert xen.interface == {
            "sysctl": versions[0],
            "domctl": versions[1],
            "platform": 0x03000001,
            "known": True,
        }
        assert xen.warnings == []
        # Nothing was guessed: the first try was right.
        assert xen.calls == 3
        assert sysctl.physinfo(xen).total_pages == fake.data["physinfo"]["total_pages"]
        assert [info.domain for info in sysctl.getdomaininfolist(xen)] == [0, 2, 3, 4]


def test_release_that_is_not_in_the_table_with_known_versions():
    with Xen(fake_xen((4, 99), 0x16, 0x17), machine="x86_64") as xen:
        assert xen.interface["known"]
        assert (xen.interface["sysctl"], xen.interface["domctl"]) == (0x16, 0x17)


def test_release_with_other_versions_than_expected():
    """A vendor's Xen, for example."""
    with Xen(fake_xen((4, 13), 0x13, 0x11), machine="x86_64") as xen:
        assert xen.interface["known"]
        assert (xen.interface["sysctl"], xen.interface["domctl"]) == (0x13, 0x11)
        assert xen.layout.physinfo == "physinfo_11"


def test_newer_than_the_table_is_read_with_a_warning():
    fake = fake_xen((4, 24), 0x18, 0x1A, domaininfo_size=136)
    with Xen(fake, machine="x86_64") as xen:
        assert xen.interface["known"] is False
        assert xen.interface["sysctl"] == 0x18
        assert xen.layout.domaininfo_size == 136
        assert len(xen.warnings) == 1
        assert "newer than this collection knows" in xen.warnings[0]
        assert [info.domain for info in sysctl.getdomaininfolist(xen)] == [0, 2, 3, 4]


def test_newer_than_the_table_is_not_written_to():
    fake = fake_xen((4, 24), 0x16, 0x19)
    with Xen(fake, machine="x86_64") as xen:
        for write in (
            lambda: pinning.setvcpuaffinity(xen, 2, 0, hard=0x0F),
            lambda: pinning.setnodeaffinity(xen, 2, 1),
        ):
            with pytest.raises(errors.UnknownInterface, match="nothing is changed"):
                write()
    assert "setvcpuaffinity" not in fake.asked
    assert "setnodeaffinity" not in fake.asked


def test_newer_than_the_table_is_written_to_when_told_so():
    with Xen(fake_xen((4, 24), 0x16, 0x19), allow_unknown=True, machine="x86_64") as xen:
        assert pinning.setvcpuaffinity(xen, 2, 0, hard=0x0F).hard == 0x0F


def damage(section, key, value):
    def do(data):
        data[section][key] = value

    return do


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        (damage("physinfo", "nr_cpus", 9), "number of CPUs"),
        (damage("physinfo", "max_cpu_id", 3), "number of CPUs"),
        (damage("physinfo", "nr_nodes", 0), "number of NUMA nodes"),
        (damage("physinfo", "nr_nodes", 3), "number of NUMA nodes"),
        (damage("physinfo", "total_pages", 1), "the free memory"),
        (damage("numainfo", "memfree", [1, 1]), "free memory of the nodes"),
        (lambda data: data["domains"][0].update(domain=7), "domain 0"),
        (lambda data: data["domains"][0].update(tot_pages=2**60), "domain 0"),
    ],
)
def test_newer_than_the_table_and_senseless(change, doubt):
    fake = fake_xen((4, 24), 0x17, 0x19)
    # The probe asks for domain 0 by its number, which must still be there.
    change(fake.data)
    with pytest.raises(errors.UnknownInterface) as caught:
        Xen(fake, machine="x86_64")
    assert doubt in caught.value.message
    assert fake.closed == 1


@pytest.mark.parametrize(
    ("sysctl_version", "domctl_version", "name"), [(0x1B, 0x15, "sysctl"), (0x15, 0x1D, "domctl")]
)
def test_far_beyond_the_table(sysctl_version, domctl_version, name):
    with pytest.raises(errors.UnknownInterface) as caught:
        Xen(fake_xen((5, 0), sysctl_version, domctl_version), machine="x86_64")
    assert name in caught.value.message
    assert "FLASK" in caught.value.message


@pytest.mark.parametrize(
    ("question", "error", "kind"),
    [
        ("sched_id", errno.EPERM, errors.NotPermitted),
        ("sched_id", errno.ENOSYS, errors.NotSupported),
        ("getdomaininfo", errno.EPERM, errors.NotPermitted),
    ],
)
def test_other_refusals_end_the_search(question, error, kind):
    fake = fake_xen((4, 17), 0x15, 0x15)
    fake.faults[question] = error
    with pytest.raises(kind):
        Xen(fake, machine="x86_64")
    assert fake.asked.count(question) == 1


@pytest.mark.parametrize("size", [112, 120, 200])
def test_size_of_a_domains_record_is_measured(size):
    fake = fake_xen((4, 17), 0x15, 0x15, domaininfo_size=size)
    with Xen(fake, machine="x86_64") as xen:
        assert probe.domaininfo_size(xen) == fake.domaininfo_size


def test_size_of_a_domains_record_that_ends_like_a_pattern():
    fake = fake_xen((4, 17), 0x15, 0x15)
    with Xen(fake, machine="x86_64") as xen:
        write = fake._domaininfo

        def with_pattern(address, domain):
            write(address, domain)
            fake._view(address, fake.domaininfo_size)[-4:] = bytes([probe.PATTERNS[0]]) * 4

        fake._domaininfo = with_pattern
        assert probe.domaininfo_size(xen) == fake.domaininfo_size
