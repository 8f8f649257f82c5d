# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What only xenstore knows: names of domains and cpupools, and which PCI devices guests have. Standard library only.

Xenstore is a tree of small values that a daemon keeps. Its wire protocol (xen/include/public/io/xs_wire.h) is the same over the
daemon's Unix socket and over the kernel's device: a header of four 32-bit numbers in the machine's byte order, then `len` bytes.
"""

import errno
import os
import re
import select
import socket
import struct
import time
import typing as t
from functools import partial

from .._errors import Failure, shown
from .command import how_to_start

SOCKETS = ("/run/xenstored/socket", "/var/run/xenstored/socket")
DEVICES = ("/dev/xen/xenbus", "/proc/xen/xenbus")
LIMIT = 15.0  # seconds for the whole of an answer; after that the daemon counts as stuck

XS_DIRECTORY = 1
XS_READ = 2
XS_TRANSACTION_START = 6
XS_TRANSACTION_END = 7
XS_WRITE = 11
XS_RM = 13
XS_ERROR = 16
XS_RESUME = 18

HEADER = struct.Struct("=IIII")  # type, req_id, tx_id, len
LONGEST = 4096  # XENSTORE_PAYLOAD_MAX
MOST_ATTEMPTS = 100  # of a transaction that others come between


class XenstoreError(Failure):
    """Xenstore cannot be reached or does not answer as it should."""


class _Again(XenstoreError):
    """A transaction met another one, and has to be done again."""


def _help() -> str:
    return "start it (%s), or see what has stopped it, and try again" % how_to_start()


class _Line:
    """A socket or device of which no question takes longer than `limit` seconds. Raises OSError (ETIMEDOUT)."""

    def __init__(self, descriptor: int, limit: float) -> None:
        # The kernel's device does not know time limits, and a read that waits there cannot be called off.
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._limit = limit
        self._deadline = 0.0

    def send(self, data: bytes) -> None:
        """Write all of a question; its time begins."""
        self._deadline = time.monotonic() + self._limit
        while data:
            self._wait(select.POLLOUT)
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                continue

    def receive(self, size: int) -> bytes:
        """Up to `size` bytes; none when there are no more to come."""
        while True:
            self._wait(select.POLLIN)
            try:
                return os.read(self._descriptor, size)
            except BlockingIOError:
                continue

    def _wait(self, event: int) -> None:
        waiting = select.poll()
        waiting.register(self._descriptor, event)
        left = self._deadline - time.monotonic()
        if left <= 0 or not waiting.poll(left * 1000):
            raise OSError(errno.ETIMEDOUT, "no answer within %g seconds" % self._limit)


class Xenstore:
    """A connection. `send` takes bytes, `receive(n)` gives up to n bytes, `close` ends it."""

    def __init__(
        self,
        send: t.Callable[[bytes], t.Any],
        receive: t.Callable[[int], bytes],
        close: t.Callable[[], None],
    ) -> None:
        self._send = send
        self._receive = receive
        self._close = close
        self._request = 0

    @classmethod
    def open(
        cls,
        sockets: t.Sequence[str] = SOCKETS,
        devices: t.Sequence[str] = DEVICES,
        limit: float = LIMIT,
    ) -> "Xenstore":
        """Connect to the daemon's socket, else to the kernel's device, which also reaches a daemon in a domain of its own.

        No question then takes longer than `limit` seconds. Raises XenstoreError.
        """
        reasons = []
        for path in sockets:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            # xenstored keeps few waiting in line. A wait for a place there has its limit from the kernel (socket(7)).
            seconds = struct.pack("@ll", int(limit), int(limit % 1 * 1000000))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)
            try:
                connection.connect(path)
            except OSError as error:
                connection.close()
                reasons.append("%s: %s" % (path, error.strerror or error))
                if error.errno in (errno.ECONNREFUSED, errno.EAGAIN):
                    # There was a daemon here, and there can be no other one: the device would not reach any either.
                    what = "is not running" if error.errno == errno.ECONNREFUSED else "does not answer"
                    raise XenstoreError("xenstored %s (%s): %s." % (what, reasons[-1], _help())) from error
            else:
                line = _Line(connection.fileno(), limit)
                return cls(line.send, line.receive, connection.close)
        for path in devices:
            try:
                device = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
            except OSError as error:
                reasons.append("%s: %s" % (path, error.strerror or error))
            else:
                line = _Line(device, limit)
                return cls(line.send, line.receive, partial(os.close, device))
        raise XenstoreError(
            "Xenstore cannot be reached (%s): run this as root in dom0, and see to xenstored; %s."
            % ("; ".join(reasons), _help())
        )

    def close(self) -> None:
        """End the connection."""
        self._close()

    def __enter__(self) -> "Xenstore":
        return self

    def __exit__(self, *_exception: t.Any) -> None:
        self.close()

    def read(self, path: str) -> t.Optional[bytes]:
        """The value at `path`, None when there is none."""
        return self._ask(XS_READ, path)

    def directory(self, path: str) -> t.List[str]:
        """The names right below `path`, an empty list when it does not exist."""
        answer = self._ask(XS_DIRECTORY, path) or b""
        return [name.decode("ascii", "replace") for name in answer.split(b"\0") if name]

    def write(self, path: str, value: bytes) -> None:
        """Put a value at `path`, which is made if need be, with all above it. Raises XenstoreError when that is not allowed."""
        if self._ask(XS_WRITE, path, value) is None:
            raise XenstoreError("Xenstore refused to write %s: run this as root in dom0." % path)

    def remove(self, path: str) -> None:
        """Take `path` away with all below it; no error when there is none."""
        self._ask(XS_RM, path)

    def exchange(self, path: str, old: bytes, new: bytes) -> bool:
        """Put `new` in the place of `old`, if that is the value at `path`, in one step; whether it was."""
        for _attempt in range(MOST_ATTEMPTS):
            answer = self._ask(XS_TRANSACTION_START, "")
            if answer is None:
                break
            match = re.match(rb"([0-9]{1,9})\0*\Z", answer)
            if match is None:
                raise XenstoreError(
                    "Xenstore answered %s where the number of a transaction should be." % shown(answer)
                )
            number = int(match.group(1))
            found = self._ask(XS_READ, path, transaction=number) == old
            if found:
                self._ask(XS_WRITE, path, new, transaction=number)
            try:
                self._ask(XS_TRANSACTION_END, "T" if found else "F", transaction=number)
            except _Again:
                continue
            return found
        raise XenstoreError(
            "Xenstore does not take what shall stand at %s: see its log, and try again." % path
        )

    def resumed(self, domid: int) -> None:
        """Say that a domain that was suspended goes on, so that its next end is told to those who wait for it."""
        self._ask(XS_RESUME, str(domid))

    def _ask(self, kind: int, path: str, value: bytes = b"", transaction: int = 0) -> t.Optional[bytes]:
        """Send one request and wait for its answer; None for ENOENT (and for EACCES: nothing there for us)."""
        self._request += 1
        payload = path.encode("utf-8") + b"\0" + value
        if len(payload) > LONGEST:
            raise XenstoreError(
                "What shall stand at %s is too long for xenstore: it takes %d bytes." % (path, LONGEST)
            )
        try:
            self._send(HEADER.pack(kind, self._request, transaction, len(payload)) + payload)
            while True:
                answer, request, _transaction, length = HEADER.unpack(self._exactly(HEADER.size))
                if length > LONGEST:
                    raise XenstoreError(
                        "Xenstore answered with %d bytes, more than its protocol allows." % length
                    )
                body = self._exactly(length)
                # Anything else (a watch event, say) was not asked for here.
                if request == self._request and answer in (kind, XS_ERROR):
                    break
        except OSError as error:
            raise XenstoreError(
                "xenstored does not answer (%s): %s." % (error.strerror or error, _help())
            ) from error
        if answer == XS_ERROR:
            name = body.rstrip(b"\0").decode("ascii", "replace")
            if name in ("ENOENT", "EACCES"):
                return None
            if name == "EAGAIN":
                raise _Again("Somebody else changed what this transaction did in xenstore.")
            raise XenstoreError("Xenstore refused what was asked about %s (%s)." % (path, name))
        return body

    def _exactly(self, size: int) -> bytes:
        """`size` bytes, however many pieces they come in."""
        pieces = []
        while size:
            piece = self._receive(size)
            if not piece:
                raise XenstoreError("xenstored closed the connection: %s." % _help())
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def _text(value: bytes) -> str:
    """A name as text that JSON and terminals can hold: bytes that are not UTF-8 are written as \\xNN."""
    return value.rstrip(b"\0").decode("utf-8", "backslashreplace")


def _names(store: Xenstore, numbers: t.Iterable[int], path: str) -> t.Dict[int, str]:
    found = {}
    for number in numbers:
        value = store.read(path % number)
        if value is not None:
            found[number] = _text(value)
    return found


def _numbers(names: t.Iterable[str]) -> t.List[int]:
    # a domain's or a cpupool's; others are no numbers of Xen
    return sorted(int(name) for name in names if re.match(r"[0-9]{1,9}\Z", name))


def domain_names(store: Xenstore, domids: t.Optional[t.Iterable[int]] = None) -> t.Dict[int, str]:
    """Name of each domain, by id; of those in `domids`, else of all. A domain that is gone, or was given no name, is not in it."""
    wanted = _numbers(store.directory("/local/domain")) if domids is None else domids
    return _names(store, wanted, "/local/domain/%d/name")


def recall_suspend(store: Xenstore, domid: int) -> bool:
    """Take back a request to suspend that the domain has not taken up; whether there was one.

    A guest that takes it up empties the place itself (docs/misc/xenstore-paths, ~/control/shutdown).
    """
    return store.exchange("/local/domain/%d/control/shutdown" % domid, b"suspend", b"")


def cpupool_names(store: Xenstore) -> t.Dict[int, str]:
    """Name of each cpupool, by id. Xen itself has none: they are the toolstack's.

    The first one is Pool-0 where nothing is written of it, as on Xen 4.14 (libxl_cpupoolid_to_name, libxl_utils.c).
    """
    names = _names(store, _numbers(store.directory("/local/pool")), "/local/pool/%d/name")
    names.setdefault(0, "Pool-0")
    return names


def name_cpupool(store: Xenstore, pool: int, name: t.Optional[str]) -> None:
    """Give the cpupool a name, or with None take away what xenstore has of it. `xl` and guests' configurations know it by that."""
    if name is None:
        store.remove("/local/pool/%d" % pool)
    else:
        store.write("/local/pool/%d/name" % pool, name.encode("utf-8"))


_ADDRESS = re.compile(r"([0-9a-fA-F]{1,8}):([0-9a-fA-F]{1,2}):([0-9a-fA-F]{1,2})\.0?([0-7])\Z")


def assigned_devices(store: Xenstore) -> t.Dict[str, int]:
    """The PCI devices that dom0 has handed to guests, by address ("0000:41:00.0"), with the guest's id.

    Source: backend/pci of dom0, as libxl writes it (tools/libs/light/libxl_pci.c).
    """
    found = {}
    for domid in _numbers(store.directory("/local/domain/0/backend/pci")):
        folder = "/local/domain/0/backend/pci/%d" % domid
        for index in store.directory(folder):
            for key in store.directory("%s/%s" % (folder, index)):
                if not re.match(r"dev-[0-9]+\Z", key):
                    continue
                match = _ADDRESS.match(_text(store.read("%s/%s/%s" % (folder, index, key)) or b""))
                if match:
                    numbers = [int(part, 16) for part in match.groups()]
                    found["%04x:%02x:%02x.%x" % tuple(numbers)] = domid
    return found
