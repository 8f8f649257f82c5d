# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opening the way to Xen, the checks before it, and what happens to one hypercall."""

import errno

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._xen import _xen_ffi, connection, errors, sysctl
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording

if _xen_ffi.ffi is None:
    pytest.skip("this Python has no _cffi_backend", allow_module_level=True)

from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen


@pytest.fixture
def fake():
    return FakeXen(recording("small-guests").data)


def machine(root, capabilities=None, hypervisor="xen\n", uuid=None, device=True, proc_xen=True):
    """The files of a machine below `root`; None leaves one out."""
    for folder in ("proc", "sys/hypervisor", "dev/xen") + (("proc/xen",) if proc_xen else ()):
        (root / folder).mkdir(parents=True)
    if capabilities is not None:
        (root / "proc/xen/capabilities").write_text(capabilities)
    if hypervisor is not None:
        (root / "sys/hypervisor/type").write_text(hypervisor)
    if uuid is not None:
        (root / "sys/hypervisor/uuid").write_text(uuid)
    if device:
        (root / "dev/xen/privcmd").write_text("")
    return str(root)


NIL = "00000000-0000-0000-0000-000000000000\n"
GUEST = "6b1f0a52-5d0e-4d2c-9d7f-0a4bb1c7a001\n"


def test_control_domain_is_let_in(tmp_path):
    connection.check_control_domain(machine(tmp_path, "control_d\n", uuid=NIL))


def test_old_device_will_do(tmp_path):
    root = machine(tmp_path, "control_d\n", device=False)
    (tmp_path / "proc/xen/privcmd").write_text("")
    connection.check_control_domain(root)


@pytest.mark.parametrize(
    ("files", "kind", "says"),
    [
        ({"hypervisor": None, "proc_xen": False}, errors.NotXen, "does not run on Xen"),
        ({"hypervisor": "kvm\n", "proc_xen": False}, errors.NotXen, "says kvm"),
        ({"capabilities": "", "uuid": GUEST}, errors.NotControlDomain, "guest on Xen"),
        ({"capabilities": "", "uuid": NIL}, errors.NotControlDomain, "guest on Xen"),
        ({"uuid": GUEST}, errors.NotControlDomain, "guest on Xen"),
        ({"uuid": NIL}, errors.NotControlDomain, "mount -t xenfs xenfs /proc/xen"),
        ({"capabilities": "control_d\n", "device": False}, errors.NotXen, "modprobe xen-privcmd"),
    ],
)
def test_others_are_told_why_not(tmp_path, files, kind, says):
    with pytest.raises(kind) as caught:
        connection.check_control_domain(machine(tmp_path, **files))
    assert says in caught.value.message


def test_not_root(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "_may_open", lambda path: False)
    with pytest.raises(errors.NotPermitted, match="become: true"):
        connection.check_control_domain(machine(tmp_path, "control_d\n"))


def test_device_is_looked_at_by_its_permissions(tmp_path):
    path = tmp_path / "device"
    path.write_text("")
    assert connection._may_open(str(path))
    assert not connection._may_open(str(tmp_path / "other"))


def test_open_checks_before_anything_else(monkeypatch):
    def refuse():
        raise errors.NotXen("no")

    monkeypatch.setattr(connection, "check_control_domain", refuse)
    monkeypatch.setattr(connection, "load_library", lambda: pytest.fail("the library was loaded"))
    with pytest.raises(errors.NotXen):
        Xen.open()


def test_open_takes_the_library(monkeypatch, fake):
    monkeypatch.setattr(connection, "check_control_domain", lambda: None)
    monkeypatch.setattr(connection, "load_library", lambda: fake)
    with Xen.open() as xen:
        assert xen.version == (4, 17)
    assert fake.closed == 1


def test_missing_binding(monkeypatch):
    monkeypatch.setattr(connection, "ffi", None)
    with pytest.raises(errors.BindingMissing) as caught:
        connection.load_library()
    assert "python3-cffi-backend" in caught.value.message
    assert "ansible_python_interpreter" in caught.value.message


def test_missing_library(monkeypatch):
    monkeypatch.setattr(connection, "LIBRARY", "libxencall-of-the-tests.so.1")
    with pytest.raises(errors.LibraryMissing, match="libxencall-of-the-tests"):
        connection.load_library()


def test_device_refuses(fake):
    fake.open_errno = errno.EACCES
    with pytest.raises(errors.NotPermitted, match="root") as caught:
        Xen(fake)
    assert caught.value.errno == errno.EACCES
    assert fake.closed == 0


def test_handle_is_closed_when_probing_fails(fake):
    fake.faults["version"] = errno.EPERM
    with pytest.raises(errors.NotPermitted):
        Xen(fake)
    assert (fake.opened, fake.closed) == (1, 1)


def test_handle_is_closed_once(fake):
    with Xen(fake) as xen:
        xen.close()
    assert fake.closed == 1
    fake.asked.clear()
    with pytest.raises(errors.XenError, match="closed"):
        sysctl.sched_id(xen)
    with pytest.raises(errors.XenError, match="closed"):
        xen.version_op(0, None, "version")
    assert fake.asked == []


def test_buffers_are_zeroed_and_freed(fake):
    with Xen(fake) as xen:
        with xen.buffer("uint32_t", 3) as memory:
            assert list(memory[0:3]) == [0, 0, 0]
            assert len(fake.memory.live) == 1
        with pytest.raises(RuntimeError), xen.buffer("uint8_t", 0):
            raise RuntimeError
    assert not fake.memory.live


def test_no_memory_for_a_buffer(fake):
    with Xen(fake) as xen:
        fake.faults["alloc"] = 1
        with pytest.raises(errors.XenError, match="not enough memory"):
            sysctl.sched_id(xen)


@pytest.mark.parametrize(("never_fault", "passes"), [(0, True), (1, False)])
def test_fault_is_tried_again_where_memory_may_fault(fake, never_fault, passes):
    fake.never_fault = never_fault
    with Xen(fake) as xen:
        fake.faults["physinfo"] = [errno.EFAULT, errno.EFAULT]
        before = xen.calls
        if passes:
            assert sysctl.physinfo(xen).nr_cpus == 8
            assert xen.calls == before + 3
        else:
            with pytest.raises(errors.XenError):
                sysctl.physinfo(xen)
            assert xen.calls == before + 1


def test_fault_is_not_tried_for_ever(fake):
    fake.never_fault = 0
    with Xen(fake) as xen:
        fake.faults["physinfo"] = errno.EFAULT
        fake.asked.clear()
        with pytest.raises(errors.XenError, match="memory"):
            sysctl.physinfo(xen)
    assert fake.asked == ["physinfo"] * 3


def test_other_errors_are_not_tried_again(fake):
    fake.never_fault = 0
    with Xen(fake) as xen:
        fake.faults["physinfo"] = errno.EPERM
        fake.asked.clear()
        with pytest.raises(errors.NotPermitted):
            sysctl.physinfo(xen)
    assert fake.asked == ["physinfo"]


@pytest.mark.parametrize("spoil", [-1, 3], ids=["before", "behind"])
def test_what_is_written_beyond_a_buffer_is_found_by_the_fake(fake, spoil):
    xen = Xen(fake)
    with pytest.raises(AssertionError, match="beyond the ends"), xen.buffer("uint8_t", 3) as memory:
        memory[spoil] = 0
    xen.close()


def test_what_is_used_after_its_end_is_found_by_the_fake(fake):
    xen = Xen(fake)
    with xen.buffer("uint8_t", 3) as memory:
        pass
    assert memory[0] == 0xDD
    with pytest.raises(AssertionError, match="second time"):
        fake.xencall_free_buffer(xen._handle, memory)
    handle = xen._handle
    memory[0] = 0
    with pytest.raises(AssertionError, match="written to after"):
        xen.close()
    with pytest.raises(AssertionError, match="is closed"):
        fake.xencall_close(handle)


def test_what_is_not_given_back_is_found_by_the_fake(fake):
    xen = Xen(fake)
    fake.xencall_alloc_buffer(xen._handle, 1)
    with pytest.raises(AssertionError, match="1 buffers were not freed"):
        xen.close()


def test_memory_of_python_is_refused_by_the_fake(fake):
    """The fake is as strict as Xen, else the other tests would not show that hypercall buffers are used."""
    ffi = _xen_ffi.ffi
    with Xen(fake) as xen:
        with pytest.raises(errors.XenError) as caught:
            sysctl_op = ffi.new("struct xen_sysctl *")
            xen.sysctl(sysctl_op, sysctl.SCHED_ID, "sched_id")
        assert caught.value.errno == errno.EFAULT
