# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No two guests write to one disk, and none is created twice."""

import json
import os

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._control import disks, guest_plan
from ansible_collections.dom0.xen.plugins.module_utils._control.disks import Disk
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xlcfg
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xl import DomainState

UUID = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "disk"),
    [
        ("phy:/dev/vg/db,xvda,w", Disk("/dev/vg/db", True)),
        ("phy:/dev/vg/db,xvda,w!", Disk("/dev/vg/db", True, True)),
        ("/dev/vg/db,raw,xvda,rw", Disk("/dev/vg/db", True)),
        ("/dev/vg/db, , xvda", Disk("/dev/vg/db", True)),
        ("/dev/vg/db,,hda,r", Disk("/dev/vg/db", False)),
        ("file:/srv/db.img,xvda,ro", Disk("/srv/db.img", False)),
        ("tap:aio:/srv/db.img,xvda,w", Disk("/srv/db.img", True)),
        ("format=qcow2, vdev=xvda, access=rw, target=/srv/a,b=c.qcow2", Disk("/srv/a,b=c.qcow2", True)),
        ("vdev=hdc,devtype=cdrom,target=/srv/x.iso", Disk("/srv/x.iso", False)),
        ("/srv/x.iso,raw,hdc,cdrom", Disk("/srv/x.iso", False)),
        ("file:/srv/x.iso,hdc:cdrom,r", Disk("/srv/x.iso", False)),
        (",,hdc,cdrom", None),
        ("", None),
        ("rbd:pool/image,raw,xvda,w", Disk("rbd:pool/image", True)),
    ],
)
def test_disks_of_configurations(text, disk):
    assert disks.parse(text) == disk


def test_a_disk_is_what_it_is_whatever_it_is_called(tmp_path):
    image, link, hard, other = (tmp_path / name for name in ("image", "link", "hard", "other"))
    image.write_bytes(b"x")
    other.write_bytes(b"x")
    link.symlink_to(image)
    os.link(str(image), str(hard))
    (known,) = disks.identity(str(image))
    assert disks.identity(str(link)) == disks.identity(str(hard)) == [known]
    assert disks.identity(str(other)) != [known]
    for nothing in ("relative", str(tmp_path), str(tmp_path / "none"), "rbd:pool/image", "/a\0b", ""):
        assert disks.identity(nothing) == []
    assert disks.identities([Disk(str(image), False), Disk(str(other), True, True)]) == {}


def test_what_libxl_has_written_down(tmp_path):
    record = str(tmp_path / "{0}.{1}")
    content = {
        "c_info": {"name": "db", "uuid": "x"},
        "disks": [{"pdev_path": "/dev/vg/db", "readwrite": 1}, {"pdev_path": "/x.iso"}, {"vdev": "hdc"}],
    }
    (tmp_path / "5.u").write_text(json.dumps(content))
    assert disks.of_record(5, "u", record) == (
        "db",
        [Disk("/dev/vg/db", True), Disk("/x.iso", False), Disk("", False)],
    )
    for text in ("", "[]", "{", '{"disks": 3}', '{"c_info": []}', '{"disks": [1]}'):
        (tmp_path / "5.u").write_text(text)
        assert disks.of_record(5, "u", record) == (None, None)
    assert disks.of_record(6, "u", record) == (None, None)


class Store:
    """What xenstore has."""

    def __init__(self, values):
        self._values = values

    def read(self, path):
        return self._values.get(path)

    def directory(self, path):
        start = path + "/"
        return sorted({one[len(start) :].split("/")[0] for one in self._values if one.startswith(start)})


def test_disks_of_another_toolstack():
    backend = "/local/domain/0/backend/"
    store = Store(
        {
            backend + "vbd/7/51712/params": b"/dev/vg/db\0",
            backend + "vbd/7/51712/mode": b"w",
            backend + "qdisk/7/51728/params": b"qcow2:/srv/x.qcow2",
            backend + "qdisk/7/51728/mode": b"r",
            backend + "vif/7/0/mac": b"00:16:3e:00:00:01",
            backend + "vbd/8/51712/params": b"/dev/vg/other",
        }
    )
    assert disks.of_xenstore(store, 7) == [Disk("/srv/x.qcow2", False), Disk("/dev/vg/db", True)]
    assert disks.of_xenstore(store, 9) == []


def cfg(name, path, uuid=None, access="w"):
    changes = {"name": name, "vcpus": 1, "memory": 64, "disk": ["{0},raw,xvda,{1}".format(path, access)]}
    return xlcfg.encode(xlcfg.edit("", dict(changes, **({"uuid": uuid} if uuid else {}))))


def decide(entries, domains, files, held=None, names=None):
    known = guest_plan.Known(
        names=names or {},
        disks=lambda config: disks.identities(disks.of_config(config)),
        held=lambda: held or {},
    )
    return guest_plan.decide(guest_plan.wanted_guests(entries), domains, files, known=known)


DOM0 = DomainState(0, None, "running", "0" * 32, 9, 1 << 30)


def test_a_disk_that_another_domain_writes_to_is_refused(tmp_path):
    image = tmp_path / "image"
    image.write_bytes(b"")
    (held,) = disks.identity(str(image))
    files = {"/db": cfg("db", image), "/ro": cfg("ro", image, access="r")}
    other = DomainState(7, "db-old", "running", "f" * 32, 1)
    with pytest.raises(Failure, match="domain 7 .'db-old'. can write to its disk .*image") as caught:
        decide([{"name": "db", "config": "/db"}], [DOM0, other], files, {held: 7})
    assert caught.value.result["changed"] is False
    # It is ended first.
    wanted = [{"name": "db-old", "state": "destroyed"}, {"name": "db", "config": "/db"}]
    assert [one.creates for one in decide(wanted, [DOM0, other], files, {held: 7})[0]] == [False, True]
    # The guest's own domain, which makes way for it.
    own = DomainState(7, "db", "running", "f" * 32, 1)
    wanted = [{"name": "db", "config": "/db", "state": "restarted"}]
    assert decide(wanted, [DOM0, own], files, {held: 7})[0][0].creates
    assert decide([{"name": "ro", "config": "/ro"}], [DOM0, other], files, {held: 7})[0][0].creates


def test_two_guests_of_a_task_with_one_disk_are_refused(tmp_path):
    (tmp_path / "image").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "image")
    files = {"/a": cfg("a", tmp_path / "image"), "/b": cfg("b", tmp_path / "link")}
    with pytest.raises(Failure, match="guest 'b' was not created: guest 'a' of the same task can write"):
        decide([{"name": "a", "config": "/a"}, {"name": "b", "config": "/b"}], [DOM0], files)
    for mode in ("r", "w!"):
        files["/b"] = cfg("b", tmp_path / "link", access=mode)
        decide([{"name": "a", "config": "/a"}, {"name": "b", "config": "/b"}], [DOM0], files)


def test_two_guests_of_a_task_with_one_uuid_are_refused():
    files = {"/a": cfg("a", "/x", UUID), "/b": cfg("b", "/y", UUID)}
    with pytest.raises(Failure, match="guest 'b' was not created: .* has the same UUID"):
        decide([{"name": "a", "config": "/a"}, {"name": "b", "config": "/b"}], [DOM0], files)


@pytest.mark.parametrize("state", ["running", "blocked", "paused"])
@pytest.mark.parametrize("text", [UUID, "01234567-89AB-CDEF-0123-456789abcdef", None])
def test_a_guest_whose_name_is_lost_is_that_guest(state, text):
    """By its UUID, or by what libxl has written down; it is not created again, and is found to be ended."""
    domain = DomainState(5, None, state, UUID, 123, 64 << 20)
    files = {"/db": cfg("db", "/x", text)}
    names = {} if text else {5: "db"}
    for wanted, steps in (
        ("running", ("unpause",) if state == "paused" else ()),
        ("destroyed", ("destroy", "await_end")),
    ):
        entry = {"name": "db", "config": "/db", "state": wanted}
        (decision,), warnings = decide([entry], [DOM0, domain], files, names=names)
        assert (decision.domid, decision.steps) == (5, steps)
        assert "domain 5 is this guest" in warnings[0]
    with pytest.raises(Failure, match="xenstore has no name for it"):
        decide([dict(entry, state="moved", nodes=[0])], [DOM0, domain], files, names=names)


def test_a_uuid_that_another_guest_has_is_refused():
    domain = DomainState(5, "db-copy", "running", UUID, 123, 64 << 20)
    files = {"/db": cfg("db", "/x", UUID)}
    with pytest.raises(Failure, match="domain 5 .'db-copy'. has the UUID that is in /db"):
        decide([{"name": "db", "config": "/db"}], [DOM0, domain], files)
    assert (
        decide([{"name": "db", "config": "/db", "state": "destroyed"}], [DOM0, domain], files)[0][0].steps
        == ()
    )
