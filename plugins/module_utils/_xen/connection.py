# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One open way to the hypervisor: libxencall, its hypercall buffers, the interface versions in use.

Nothing is opened unless this domain is the control domain. Memory that Xen reads or writes comes from libxencall alone: other
memory of a Python process may move or be paged out. A handle must not be used after a fork (xencall.h).
"""

import contextlib
import errno
import os
import typing as t

from . import errors, probe
from ._xen_ffi import ffi

LIBRARY = "libxencall.so.1"
DEVICES = ("dev/xen/privcmd", "proc/xen/privcmd")

# xen/include/public/xen.h: __HYPERVISOR_*, DOMID_FIRST_RESERVED
HYPERCALL_PLATFORM_OP = 7
HYPERCALL_MEMORY_OP = 12
HYPERCALL_XEN_VERSION = 17
HYPERCALL_HVM_OP = 34
HYPERCALL_SYSCTL = 35
HYPERCALL_DOMCTL = 36
HYPERCALL_HYPFS_OP = 42

DOMID_FIRST_RESERVED = 0x7FF0
#: Domctls that Xen keeps as they are: they want 0 for the interface version (xen/include/public/domctl.h). get_domain_state.
STABLE_DOMCTLS = (90,)

REQUEST_ROOM = 512  # bytes
RETRIES_AFTER_FAULT = 2


def _read(root: str, path: str) -> t.Optional[str]:
    """The text of a file below `root`, None when it cannot be read."""
    try:
        with open(os.path.join(root, path), encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def _may_open(path: str) -> bool:
    return os.access(path, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def check_control_domain(root: str = "/") -> None:
    """Return when this is a Xen control domain and we may talk to Xen; else raise NotXen, NotControlDomain or NotPermitted.

    Only files are read, no device is opened: in a guest, opening privcmd may block for good (Linux since the fix of XSA-482).
    `root` is for tests.
    """
    capabilities = _read(root, "proc/xen/capabilities")
    if capabilities is None or "control_d" not in capabilities.split():
        hypervisor = (_read(root, "sys/hypervisor/type") or "").strip()
        guest_uuid = (_read(root, "sys/hypervisor/uuid") or "").strip().strip("0-")
        if hypervisor != "xen" and not os.path.isdir(os.path.join(root, "proc/xen")):
            says = (
                "/sys/hypervisor/type says %s" % hypervisor
                if hypervisor
                else "there is no /sys/hypervisor/type"
            )
            raise errors.NotXen(
                "This machine does not run on Xen (%s): run this in the control domain (dom0) of a Xen host, and see that it was "
                "booted under Xen." % says
            )
        if capabilities is not None or guest_uuid:
            raise errors.NotControlDomain(
                "This machine is a guest on Xen, not its control domain (/proc/xen/capabilities lacks control_d): run this "
                "in dom0 of the host."
            )
        raise errors.NotControlDomain(
            "This machine runs on Xen, but there is no /proc/xen/capabilities that would show it to be the control domain: in "
            "dom0, mount it (mount -t xenfs xenfs /proc/xen); from a guest, run this against dom0 instead."
        )
    present = [path for path in (os.path.join(root, device) for device in DEVICES) if os.path.exists(path)]
    if not present:
        raise errors.failure(errno.ENOENT, "open", "open")
    if not _may_open(present[0]):
        raise errors.failure(errno.EACCES, "open", "open")


def has_binding() -> bool:
    """Whether this Python interpreter has `_cffi_backend`, which Xen is asked through."""
    return ffi is not None


def load_library() -> t.Any:
    """Libxencall. Raises BindingMissing or LibraryMissing."""
    if not has_binding():
        raise errors.BindingMissing(
            "This Python has no module _cffi_backend, which is needed to talk to Xen: install the package "
            "python3-cffi-backend (Debian) or python3-cffi, or set ansible_python_interpreter to a Python that has it."
        )
    try:
        return ffi.dlopen(LIBRARY)
    except OSError as error:
        raise errors.LibraryMissing(
            "%s cannot be loaded (%s): install Xen's libraries (Debian: libxencall1, which comes with xen-utils-VERSION; "
            "XCP-ng and XenServer: xen-dom0-libs)." % (LIBRARY, error)
        ) from error


class Xen:
    """An open connection. Close it, or use it in a `with` statement.

    version      (major, minor) of the running hypervisor
    interface    {"sysctl": int, "domctl": int, "platform": int, "known": bool}
    layout       what differs between interface versions (layouts.Layout)
    calls        number of hypercalls made
    warnings     sentences for the user
    """

    def __init__(self, lib: t.Any, allow_unknown: bool = False, machine: t.Optional[str] = None) -> None:
        """Open through `lib`, an object with libxencall's functions, and find the interface versions.

        With `allow_unknown` a hypervisor newer than the tables may be written to; reading is allowed anyway.
        """
        self.calls = 0
        self.warnings: t.List[str] = []
        self.allow_unknown = allow_unknown
        self.cpu_bits: t.Optional[int] = None
        self.node_bits: t.Optional[int] = None
        self._lib = lib
        self._handle = lib.xencall_open(ffi.NULL, 0)
        if self._handle == ffi.NULL:
            raise errors.failure(ffi.errno, "open", "open")
        try:
            self._attempts = 1 if lib.xencall_buffers_never_fault(self._handle) else 1 + RETRIES_AFTER_FAULT
            found = probe.probe(self, machine or os.uname().machine)
            self.version, self.interface, self.layout = found.version, found.interface, found.layout
            if not self.interface["known"]:
                self.layout = probe.check_unknown(self, found)
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, allow_unknown: bool = False) -> "Xen":
        """Open the way to the hypervisor below us.

        Raises NotXen, NotControlDomain, NotPermitted, BindingMissing, LibraryMissing or UnknownInterface, each with a sentence.
        """
        check_control_domain()
        return cls(load_library(), allow_unknown=allow_unknown)

    def close(self) -> None:
        """Give the device back. May be called again."""
        if self._handle is not None:
            self._lib.xencall_close(self._handle)
            self._handle = None

    def _opened(self) -> t.Any:
        """The handle, which the library does not check: after its end it would follow it into memory that is gone."""
        if self._handle is None:
            raise errors.XenError("The connection to Xen is closed already.")
        return self._handle

    def __enter__(self) -> "Xen":
        return self

    def __exit__(self, *_exception: t.Any) -> None:
        self.close()

    @contextlib.contextmanager
    def buffer(self, declaration: str, count: int = 1) -> t.Iterator[t.Any]:
        """`count` zeroed objects of the C type `declaration` in memory that Xen may use, as a pointer to the first."""
        size = max(1, ffi.sizeof(declaration) * count)
        memory = self._lib.xencall_alloc_buffer(self._opened(), size)
        if memory == ffi.NULL:
            raise errors.failure(errno.ENOMEM, "library", "a hypercall buffer of %d bytes" % size)
        try:
            ffi.buffer(memory, size)[:] = bytes(size)
            yield ffi.cast(declaration + " *", memory)
        finally:
            self._lib.xencall_free_buffer(self._opened(), memory)

    @contextlib.contextmanager
    def request(self, declaration: str) -> t.Iterator[t.Any]:
        """One zeroed operation struct, with room behind it: a newer Xen may hand back a longer one than is known here."""
        with self.buffer("uint8_t", REQUEST_ROOM) as memory:
            yield ffi.cast(declaration + " *", memory)

    @staticmethod
    def address(pointer: t.Any) -> int:
        """The number that a guest handle holds."""
        return int(ffi.cast("uintptr_t", pointer))

    def check_writable(self) -> None:
        """Raise UnknownInterface when this hypervisor is newer than the tables and nobody allowed writing to it."""
        if not (self.interface["known"] or self.allow_unknown):
            raise errors.UnknownInterface(
                "This hypervisor (Xen %d.%d, sysctl 0x%x, domctl 0x%x) is newer than this collection knows: facts are read, but "
                "nothing is changed on it; update the collection."
                % (self.version + (self.interface["sysctl"], self.interface["domctl"]))
            )

    def check_room(self, count: int, room: int, what: str) -> None:
        """Raise UnknownInterface for an answer that claims to have more than there was room for: what stands behind a buffer is not Xen's."""
        if count > room:
            raise errors.UnknownInterface(
                "Xen says that its %s has %d members, where there was room for %d: interface version 0x%x does not allow that; update the "
                "collection." % (what, count, room, self.interface["sysctl"])
            )

    def version_op(self, command: int, argument: t.Any, question: str) -> int:
        """HYPERVISOR_xen_version; `argument` is a buffer or None. Returns what the hypercall returns."""
        address = 0 if argument is None else self.address(argument)
        return self._call("version", question, {}, HYPERCALL_XEN_VERSION, command, address)

    def sysctl(self, op: t.Any, command: int, question: str, **values: t.Any) -> None:
        """HYPERVISOR_sysctl on the buffer `op` (struct xen_sysctl)."""
        op.cmd = command
        op.interface_version = self.interface["sysctl"]
        self._call("sysctl", question, values, HYPERCALL_SYSCTL, self.address(op))

    def domctl(self, op: t.Any, command: int, question: str, domid: int, **values: t.Any) -> None:
        """HYPERVISOR_domctl on the buffer `op` (struct xen_domctl) and the domain `domid`."""
        if not 0 <= domid < DOMID_FIRST_RESERVED:
            raise errors.failure(errno.ESRCH, "domctl", "getdomaininfo", domid=domid)
        op.cmd = command
        op.interface_version = 0 if command in STABLE_DOMCTLS else self.interface["domctl"]
        op.domain = domid
        self._call("domctl", question, dict(values, domid=domid), HYPERCALL_DOMCTL, self.address(op))

    def platform_op(self, op: t.Any, command: int, question: str, **values: t.Any) -> None:
        """HYPERVISOR_platform_op on the buffer `op` (struct xen_platform_op)."""
        op.cmd = command
        op.interface_version = self.interface["platform"]
        self._call("platform", question, values, HYPERCALL_PLATFORM_OP, self.address(op))

    def memory_op(self, op: t.Any, command: int, question: str, **values: t.Any) -> int:
        """HYPERVISOR_memory_op on the buffer `op`. It knows no interface version. Returns what the hypercall returns."""
        return self._call("memory", question, values, HYPERCALL_MEMORY_OP, command, self.address(op))

    def hvm_op(self, op: t.Any, command: int, question: str, **values: t.Any) -> None:
        """HYPERVISOR_hvm_op on the buffer `op`. It knows no interface version."""
        self._call("hvm", question, values, HYPERCALL_HVM_OP, command, self.address(op))

    def hypfs_op(
        self,
        command: int,
        name: t.Any,
        length: int,
        memory: t.Any,
        room: int,
        question: str = "read",
        **values: t.Any,
    ) -> None:
        """HYPERVISOR_hypfs_op on the entry that the buffer `name` names, `length` bytes with its ending zero."""
        arguments = (command, self.address(name), length, self.address(memory), room)
        self._call("hypfs", question, values, HYPERCALL_HYPFS_OP, *arguments)

    def _call(
        self, kind: str, question: str, values: t.Dict[str, t.Any], number: int, *arguments: int
    ) -> int:
        handle = self._opened()
        call = getattr(self._lib, "xencall%d" % len(arguments))
        error = 0
        for _attempt in range(self._attempts):
            self.calls += 1
            answer = int(call(handle, number, *arguments))
            if answer >= 0:
                return answer
            error = ffi.errno
            # Memory that is only locked may still be moved by the kernel for a moment; libxencall says whether that can be.
            if error != errno.EFAULT:
                break
        raise errors.failure(error, kind, question, **values)
