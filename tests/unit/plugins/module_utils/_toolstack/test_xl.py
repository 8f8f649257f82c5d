# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.complaints import first_complaints
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xl import (
    DomainState,
    Xl,
    XlError,
)

ODD = "-a b'c\"d\ne=5;$(x)"
FAILED = (
    "Parsing config from /etc/xen/web.cfg\n"
    "xc: error: panic: xg_dom_core.c:693: xc_dom_find_loader: no loader found: Invalid kernel\n"
    "libxl: error: libxl_dom.c:584:libxl__build_dom: xc_dom_parse_image failed\n"
    "libxl: error: libxl_create.c:1717:domcreate_rebuild_done: Domain 9:cannot (re-)build domain: -3\n"
    "libxl: error: libxl_domain.c:1183:libxl__destroy_domid: Domain 9:Non-existant domain\n"
)


class Toolstack:
    """Domains, and what the commands do to them; `answers` replaces a command's outcome, `idle` its effect."""

    def __init__(self, *domains):
        self.domains = {domain.domid: domain for domain in domains}
        self.calls = []
        self.limits = []
        self.answers = {}
        self.idle = set()
        self.pauses = {}

    def list(self):
        return list(self.domains.values())

    def __call__(self, argv, limit=None):
        self.calls.append(argv)
        self.limits.append(limit)
        command = argv[1]
        if command not in self.idle:
            getattr(self, command)(argv[2:])
        return self.answers.get(command, (0, "", ""))

    def create(self, arguments):
        domid = max(self.domains, default=0) + 1
        state = "paused" if "-p" in arguments else "blocked"
        self.domains[domid] = DomainState(domid, arguments[-1].split("/")[-1], state)

    def pause(self, arguments):
        self.pauses[int(arguments[0])] = self.pauses.get(int(arguments[0]), 0) + 1
        self._set(arguments, "paused")

    def unpause(self, arguments):
        self.pauses[int(arguments[0])] = self.pauses.get(int(arguments[0]), 1) - 1
        if not self.pauses[int(arguments[0])]:
            self._set(arguments, "running")

    def shutdown(self, arguments):
        pass

    def destroy(self, arguments):
        self.domains.pop(int(arguments[0]), None)

    def _set(self, arguments, state):
        domid = int(arguments[0])
        self.domains[domid] = self.domains[domid]._replace(state=state)


def test_names_never_reach_the_command_line():
    stack = Toolstack(DomainState(3, ODD, "running"))
    xl = Xl(stack, stack.list, "/usr/sbin/xl")
    xl.pause(3)
    xl.unpause(3)
    xl.shutdown(3)
    xl.destroy(3)
    assert stack.calls == [
        ["/usr/sbin/xl", "pause", "3"],
        ["/usr/sbin/xl", "unpause", "3"],
        ["/usr/sbin/xl", "shutdown", "-F", "3"],
        ["/usr/sbin/xl", "destroy", "3"],
    ]


def test_create_takes_any_path():
    stack = Toolstack(DomainState(1, "a=b", "running"))
    made = Xl(stack, stack.list).create("a=b", "/etc/xen/a=b", paused=True)
    assert stack.calls == [["xl", "create", "-q", "-p", "-f", "/etc/xen/a=b"]]
    assert made == DomainState(2, "a=b", "paused")


def test_create_that_fails_says_why_and_what_it_left():
    stack = Toolstack()
    stack.idle.add("create")
    stack.answers["create"] = (3, "", FAILED)
    with pytest.raises(XlError) as caught:
        Xl(stack, stack.list).create("web", "/etc/xen/web")
    assert str(caught.value) == (
        "guest 'web' could not be created from /etc/xen/web: panic: xg_dom_core.c:693: xc_dom_find_loader: no loader found: "
        "Invalid kernel; xc_dom_parse_image failed; Domain 9:cannot (re-)build domain: -3"
    )
    assert "Non-existant" in caught.value.result["output"]
    stack.idle.clear()
    with pytest.raises(XlError, match=r"domain 1 \(blocked\) of that name is left over"):
        Xl(stack, stack.list).create("web", "/etc/xen/web")
    stack.answers["create"] = (7, "", "")
    with pytest.raises(XlError, match="xl exits with 7"):
        Xl(stack, stack.list).create("web2", "/etc/xen/web2")


def test_commands_that_exit_0_without_effect_are_found_out():
    stack = Toolstack(DomainState(4, "web", "running"), DomainState(5, "db", "paused"))
    stack.idle.update(("create", "pause", "unpause", "destroy"))
    xl = Xl(stack, stack.list)
    with pytest.raises(XlError, match="without an error, but it is not there"):
        xl.create("new", "/etc/xen/new")
    with pytest.raises(XlError, match="domain 4 could not be paused: it is running"):
        xl.pause(4)
    with pytest.raises(XlError, match="domain 5 could not be unpaused: it is paused"):
        xl.unpause(5)
    with pytest.raises(XlError, match="domain 4 could not be destroyed: it is running"):
        xl.destroy(4)
    with pytest.raises(XlError, match="it is gone"):
        xl.pause(6)


def test_a_domain_paused_twice_is_unpaused():
    stack = Toolstack(DomainState(4, "web", "running"))
    xl = Xl(stack, stack.list)
    xl.pause(4)
    stack.pause(["4"])
    xl.unpause(4)
    assert stack.domains[4].state == "running"


def test_shutdown_asks_and_minds_only_those_who_cannot_hear():
    stack = Toolstack(DomainState(4, "web", "running"))
    stack.answers["shutdown"] = (1, "Shutting down domain 4\n", "shutdown failed (rc=-9)\n")
    xl = Xl(stack, stack.list)
    with pytest.raises(XlError, match=r"domain 4 could not be asked to shut down: shutdown failed \(rc=-9\)"):
        xl.shutdown(4)
    del stack.domains[4]
    xl.shutdown(4)


def test_destroy_is_done_once_the_domain_is_dying():
    stack = Toolstack(DomainState(4, "web", "dying"))
    stack.idle.add("destroy")
    Xl(stack, stack.list).destroy(4)


def test_complaints_are_short():
    assert first_complaints("") == ""
    assert first_complaints("just words\nlast words\n") == "last words"
    assert (
        first_complaints("error: a\nerror: a\nerror: b\nerror: c\nerror: d") == "error: a; error: b; error: c"
    )


@pytest.mark.parametrize(
    "printed",
    [
        '[\n    {\n        "config": {\n            "vnc": {"passwd": "hunter22"},\n        }\n    }\n]\n',
        '[\n    {\n        "config": {\n            "vnc": {"passwd": "hunter22"',
        '[{"vnc": {"passwd": "hunter22"}}]',
    ],
)
def test_a_configuration_that_cannot_be_read_is_not_repeated(printed):
    def run_command(argv):
        return 0, printed, "libxl: error: libxl_x.c:1:f: Domain 3:no userdata"

    with pytest.raises(XlError, match="the configuration of domain 3") as caught:
        Xl(run_command, list).configuration(3)
    assert "hunter22" not in str(caught.value) + str(caught.value.result)


def test_what_moves_memory_gets_time_for_it(tmp_path):
    stack = Toolstack(DomainState(3, "web", "running", memory=1 << 40))
    stack.idle = {"save", "restore", "migrate"}
    xl = Xl(stack, stack.list, limited=True)
    saved = tmp_path / "web.save"
    with saved.open("wb") as stream:
        stream.truncate(1 << 40)
    for call in (
        lambda: xl.pause(3),
        lambda: xl.save(3, str(saved)),
        lambda: xl.restore("web", "/etc/xen/web", str(saved)),
        lambda: xl.migrate(3, "/etc/xen/web"),
        lambda: xl.destroy(3),
    ):
        with contextlib.suppress(XlError):
            call()
    pause, save, restore, migrate, destroy = stack.limits
    assert pause < destroy < save == restore == migrate
    # At a disk's 16 MiB a second.
    assert save - destroy == 1 << 16
