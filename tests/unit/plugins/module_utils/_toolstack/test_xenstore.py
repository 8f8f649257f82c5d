# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The xenstore client against a daemon that speaks the wire protocol over a real socket, and against broken ones."""

import os
import socket
import struct
import threading

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xenstore
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.command import how_to_start
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xenstore import Xenstore, XenstoreError

TREE = {
    "/local": b"",
    "/local/domain": b"",
    "/local/domain/0": b"",
    "/local/domain/0/name": b"Domain-0",
    "/local/domain/12": b"",
    "/local/domain/12/name": b"web one",
    "/local/domain/13": b"",
    "/local/domain/14": b"",
    "/local/domain/14/name": "bäume".encode(),
    "/local/domain/15": b"",
    "/local/domain/15/name": b"\xff\xfe odd",
    "/local/pool": b"",
    "/local/pool/0": b"",
    "/local/pool/0/name": b"Pool-0",
}


class Daemon:
    """Answers as xenstored does. Give `receive` pieces of at most `piece` bytes."""

    def __init__(self, tree=None, piece=4096, before=b""):
        self.tree = TREE if tree is None else tree
        self.piece = piece
        self.before = before
        self.waiting = b""
        self.closed = 0
        self.resumed = []
        # What somebody else writes right before the end of a transaction, each once: (path, value).
        self.between = []
        self.begun = None

    def answer(self, request):
        kind, number, transaction, length = struct.unpack_from("=IIII", request)
        assert transaction == (0 if self.begun is None else 5)
        assert len(request) == 16 + length
        raw, zero, value = request[16:].partition(b"\0")
        assert zero
        assert kind == 11 or not value
        path = raw.decode("utf-8")
        if kind == 11:
            parts = path.split("/")
            above = {"/".join(parts[:count]): b"" for count in range(2, len(parts))}
            self.tree = {**above, **self.tree, path: value}
            body = b"OK\0"
        elif kind == 6:
            assert (path, self.begun) == ("", None)
            self.begun = dict(self.tree)
            body = b"5\0"
        elif kind == 7:
            body, before, self.begun = b"OK\0", self.begun, None
            if self.between:
                kind, body, self.tree = 16, b"EAGAIN\0", dict([*before.items(), self.between.pop(0)])
            elif path != "T":
                assert path == "F"
                self.tree = before
        elif kind == 18:
            self.resumed.append(path)
            body = b"OK\0"
        elif path not in self.tree:
            kind, body = 16, b"ENOENT\0"
        elif kind == 2:
            body = self.tree[path]
        elif kind == 1:
            names = {name[len(path) + 1 :].split("/")[0] for name in self.tree if name.startswith(path + "/")}
            body = b"".join(name.encode("utf-8") + b"\0" for name in sorted(names))
        elif kind == 13:
            self.tree = {
                name: held
                for name, held in self.tree.items()
                if name != path and not name.startswith(path + "/")
            }
            body = b"OK\0"
        else:
            kind, body = 16, b"EINVAL\0"
        return self.before + struct.pack("=IIII", kind, number, 0, len(body)) + body

    def send(self, request):
        self.waiting += self.answer(request)

    def receive(self, size):
        count = min(size, self.piece)
        piece, self.waiting = self.waiting[:count], self.waiting[count:]
        return piece

    def close(self):
        self.closed += 1

    def connect(self):
        return Xenstore(self.send, self.receive, self.close)


@pytest.fixture
def store():
    return Daemon().connect()


def test_read(store):
    assert store.read("/local/domain/12/name") == b"web one"
    assert store.read("/local/domain/13/name") is None


def test_directory(store):
    assert store.directory("/local/domain") == ["0", "12", "13", "14", "15"]
    assert store.directory("/nowhere") == []
    assert store.directory("/local/domain/13") == []


def test_names(store):
    assert xenstore.domain_names(store) == {0: "Domain-0", 12: "web one", 14: "bäume", 15: "\\xff\\xfe odd"}
    assert xenstore.domain_names(store, [12, 13, 99]) == {12: "web one"}
    assert xenstore.cpupool_names(store) == {0: "Pool-0"}


def test_the_first_pool_has_a_name_where_none_is_written():
    assert xenstore.cpupool_names(Daemon({}).connect()) == {0: "Pool-0"}
    store = Daemon({"/local/pool": b"", "/local/pool/1": b"", "/local/pool/1/name": b"two"}).connect()
    assert xenstore.cpupool_names(store) == {0: "Pool-0", 1: "two"}


@pytest.mark.parametrize("piece", [1, 3, 16, 17])
def test_answer_in_pieces(piece):
    store = Daemon(piece=piece).connect()
    assert store.read("/local/domain/12/name") == b"web one"
    assert store.directory("/local/domain") == ["0", "12", "13", "14", "15"]


CONTROL = "/local/domain/12/control/shutdown"


@pytest.mark.parametrize(
    ("value", "between", "recalled", "left"),
    [
        (b"suspend", [], True, b""),
        (b"poweroff", [], False, b"poweroff"),
        (b"", [], False, b""),
        (None, [], False, None),
        # The guest takes it up at the last moment.
        (b"suspend", [(CONTROL, b"")], False, b""),
        (b"suspend", [("/other", b"x")], True, b""),
    ],
)
def test_a_request_to_suspend_is_recalled_in_one_step(value, between, recalled, left):
    daemon = Daemon(dict(TREE, **({} if value is None else {CONTROL: value})))
    daemon.between = between
    assert xenstore.recall_suspend(daemon.connect(), 12) is recalled
    assert (daemon.tree.get(CONTROL), daemon.between, daemon.begun) == (left, [], None)


def test_a_transaction_that_never_gets_through_is_given_up():
    daemon = Daemon(dict(TREE, **{CONTROL: b"suspend"}))
    daemon.between = [("/other", b"x")] * 1000
    with pytest.raises(XenstoreError, match="does not take what shall stand at .*control/shutdown"):
        xenstore.recall_suspend(daemon.connect(), 12)
    daemon.answer = lambda request: struct.pack("=IIII", 16, 1, 0, 7) + b"EACCES\0"
    with pytest.raises(XenstoreError, match="does not take"):
        xenstore.recall_suspend(daemon.connect(), 12)


def test_xenstore_hears_of_a_domain_that_goes_on():
    daemon = Daemon()
    daemon.connect().resumed(12)
    assert daemon.resumed == ["12"]


def test_watch_events_are_passed_over():
    event = struct.pack("=IIII", 15, 0, 0, 8) + b"@a\0tok\0\0"
    assert Daemon(before=event).connect().read("/local/domain/12/name") == b"web one"


def test_connection_is_closed_at_the_end():
    daemon = Daemon()
    with daemon.connect():
        assert daemon.closed == 0
    assert daemon.closed == 1


def test_refusal_is_a_sentence():
    daemon = Daemon()
    daemon.answer = lambda request: struct.pack("=IIII", 16, 1, 0, 7) + b"EQUOTA\0"
    with pytest.raises(XenstoreError, match="EQUOTA"):
        daemon.connect().read("/local")


def test_not_permitted_is_nothing_there():
    daemon = Daemon()
    daemon.answer = lambda request: struct.pack("=IIII", 16, 1, 0, 7) + b"EACCES\0"
    assert daemon.connect().read("/local") is None


def test_daemon_that_hangs_up():
    daemon = Daemon()
    daemon.answer = lambda request: b"\0\0\0"
    with pytest.raises(XenstoreError, match="closed the connection"):
        daemon.connect().read("/local")


def test_daemon_that_talks_nonsense():
    daemon = Daemon()
    daemon.answer = lambda request: struct.pack("=IIII", 2, 1, 0, 1 << 30)
    with pytest.raises(XenstoreError, match="more than its protocol allows"):
        daemon.connect().read("/local")


def test_daemon_that_does_not_answer():
    def receive(size):
        raise socket.timeout("timed out")

    with pytest.raises(XenstoreError, match="does not answer.*systemctl (re)?start xen"):
        Xenstore(lambda data: None, receive, lambda: None).read("/local")


def test_over_a_socket(tmp_path):
    path = str(tmp_path / "socket")
    daemon = Daemon()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(1)

    def serve():
        connection, _address = listener.accept()
        with connection:
            while True:
                request = connection.recv(4096)
                if not request:
                    return
                for position in daemon.answer(request):
                    connection.sendall(bytes([position]))

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    with listener, Xenstore.open([str(tmp_path / "none"), path], []) as store:
        assert xenstore.domain_names(store, [0, 12]) == {0: "Domain-0", 12: "web one"}
    server.join(60)
    assert not server.is_alive()


def test_over_a_device(tmp_path):
    """The kernel's device is a file: what is written goes out, what is read comes in."""
    path = tmp_path / "xenbus"
    answer = struct.pack("=IIII", 2, 1, 0, 3) + b"yes"
    request = struct.pack("=IIII", 2, 1, 0, 7) + b"/local\0"
    path.write_bytes(b"\0" * len(request) + answer)
    with Xenstore.open([], [str(tmp_path / "none"), str(path)]) as store:
        assert store.read("/local") == b"yes"
    assert path.read_bytes() == request + answer


def test_nobody_there(tmp_path):
    with pytest.raises(XenstoreError) as caught:
        Xenstore.open([str(tmp_path / "socket")], [str(tmp_path / "device")])
    assert "see to xenstored" in caught.value.message
    assert how_to_start() in caught.value.message
    assert str(tmp_path / "socket") in caught.value.message
    assert str(tmp_path / "device") in caught.value.message


@pytest.fixture
def stuck(tmp_path):
    """The socket of a daemon that takes connections and nothing else, as one that was sent SIGSTOP."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(1)
        yield path, listener


def test_a_daemon_that_is_stopped_has_a_limit(stuck):
    path, _listener = stuck
    with Xenstore.open([path], [], limit=0.05) as store, pytest.raises(XenstoreError) as caught:
        store.read("/local")
    assert "does not answer (no answer within 0.05 seconds)" in caught.value.message
    assert "start it (" + how_to_start() in caught.value.message


def test_a_daemon_that_is_stopped_with_many_waiting_for_it(stuck):
    """Linux lets no more connect than it has been told to keep; the next one waits for a place, and not for ever."""
    path, _listener = stuck
    waiting = []
    try:
        with pytest.raises(XenstoreError, match="does not answer") as caught:
            for _one in range(10):
                waiting.append(Xenstore.open([path], ["/dev/null"], limit=0.05))
    finally:
        for store in waiting:
            store.close()
    assert how_to_start() in caught.value.message


def test_a_daemon_that_is_busy_is_waited_for(stuck):
    """C xenstored has a line of one: others, xl for instance, are before us in it."""
    path, listener = stuck
    listener.listen(0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.connect(path)
        before_us = []

        def take():
            waiting.wait(0.1)
            before_us.append(listener.accept()[0])

        waiting = threading.Event()
        server = threading.Thread(target=take, daemon=True)
        server.start()
        # Whether it has to wait or comes when the other one has been taken, it is let in.
        Xenstore.open([path], ["/dev/null"], limit=60).close()
        server.join(60)
        assert len(before_us) == 1
        before_us[0].close()


def test_the_limit_is_for_the_whole_answer(stuck):
    """A byte now and then does not make it longer."""
    path, listener = stuck

    def drip():
        connection, _address = listener.accept()
        with connection:
            try:
                while True:
                    connection.sendall(b"\0")
                    stopped.wait(0.01)
            except OSError:
                pass

    stopped = threading.Event()
    server = threading.Thread(target=drip, daemon=True)
    server.start()
    # Its zeros are the heads of answers that nobody asked for.
    with Xenstore.open([path], [], limit=0.2) as store, pytest.raises(XenstoreError, match="within 0.2 s"):
        store.read("/local")
    stopped.set()
    server.join(60)
    assert not server.is_alive()


def test_a_daemon_that_was_killed_is_not_looked_for_elsewhere(tmp_path, stuck):
    """Its socket stays, and refuses; the kernel's device would wait for an answer to the end of the limit, and for nothing."""
    path, listener = stuck
    listener.close()
    with pytest.raises(XenstoreError, match="is not running .*refused.*systemctl (re)?start xen"):
        Xenstore.open([str(tmp_path / "none"), path], ["/dev/null"])


def test_a_device_that_gives_no_answer_has_a_limit():
    """A terminal whose other end is ours stands for the kernel's device: the question goes in, and nothing comes out."""
    master, slave = os.openpty()
    try:
        with Xenstore.open([], [os.ttyname(slave)], limit=0.05) as store:
            with pytest.raises(XenstoreError, match="does not answer"):
                store.read("/local")
            with pytest.raises(XenstoreError, match="does not answer"):
                store.read("/local")
    finally:
        os.close(slave)
        os.close(master)


def test_a_daemon_that_takes_no_questions_has_a_limit(stuck):
    path, _listener = stuck
    with Xenstore.open([path], [], limit=0.05) as store, pytest.raises(OSError, match="no answer within"):
        for _one in range(1000):
            store._send(bytes(4096))


def test_descriptors_are_given_back(tmp_path):
    path = tmp_path / "xenbus"
    path.write_bytes(b"")
    store = Xenstore.open([], [str(path)])
    descriptor = store._close.args[0]
    store.close()
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(descriptor)


def test_names_of_cpupools_are_written_and_taken_away():
    daemon = Daemon()
    store = daemon.connect()
    for name in ("db pool", "-q", "two\nlines", 'a "quoted" name', "grün"):
        xenstore.name_cpupool(store, 3, name)
        assert xenstore.cpupool_names(store) == {0: "Pool-0", 3: name}
    xenstore.name_cpupool(store, 3, None)
    xenstore.name_cpupool(store, 3, None)
    assert xenstore.cpupool_names(store) == {0: "Pool-0"}


def test_what_is_too_long_for_xenstore_is_not_sent(store):
    with pytest.raises(XenstoreError, match="too long"):
        xenstore.name_cpupool(store, 3, "x" * 5000)


def test_writing_without_the_right_to():
    class Deaf(Daemon):
        def answer(self, request):
            return struct.pack("=IIII", 16, struct.unpack_from("=II", request)[1], 0, 7) + b"EACCES\0"

    with pytest.raises(XenstoreError, match="as root"):
        xenstore.name_cpupool(Deaf().connect(), 3, "db")
