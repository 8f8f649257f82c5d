# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The xl commands that start and stop guests. Private to this collection.

xl's exit status is not to be trusted: `xl pause` and `xl unpause` exit 0 whatever happens, and others exit 0 before the work is done
(xl_vmcontrol.c). So each method reads the domains back and raises XlError when they are not as they should be.

Guests are named to xl by domain id only: names may hold anything, and one made of digits would be taken for an id. Configurations
go behind ``-f``, where xl does not take a path with ``=`` for a setting.
"""

import json
import os
import shlex
import typing as t

from .._errors import Failure
from .complaints import first_complaints

#: Runs a command: (argv), or (argv, seconds at most), see `command.py`.
RunCommand = t.Callable[..., t.Tuple[int, str, str]]

#: Seconds that xl gets, and for what makes or ends guests; it waits for one by itself when a guest does not hear that it shall shut down.
_QUICK, _SLOW = 180.0, 1800.0
#: Bytes a second, the least at which a guest's memory is saved, restored or migrated.
_SLOWEST = 16 << 20

#: `xl pause` counts: as many `xl unpause` let the domain go on. Others may have paused it, too.
_MOST_PAUSES = 16


class XlError(Failure):
    """An xl command failed, or did not do what it said. `output` of the result is what xl printed."""


class DomainState(t.NamedTuple):
    """A domain, as much of it as starting and stopping need.

    `state` is "running", "blocked", "paused", "suspended", "shutdown", "crashed" or "dying"; `cpu_time` in ns, `memory` in bytes. "suspended"
    is one that stands still to be saved or migrated. `made` is False for one that was left half built: whoever was creating it is no more.
    """

    domid: int
    name: t.Optional[str]
    state: str
    uuid: str = ""
    cpu_time: int = 0
    memory: int = 0
    made: bool = True

    @property
    def gone(self) -> bool:
        """Whether nothing of it runs any more: it ended, and its remains are being, or wait to be, taken away."""
        return self.state in ("shutdown", "crashed", "dying")


class Xl:
    """xl, run through `run_command(argv) -> (rc, out, err)`; `domains()` lists all domains as they are now.

    With `limited`, `run_command` also gets the seconds after which it has to give up.
    xl quotes what it does not like of a configuration: `hide(path, output)` takes out what nobody may see.
    """

    def __init__(
        self,
        run_command: RunCommand,
        domains: t.Callable[[], t.Sequence[DomainState]],
        executable: str = "xl",
        hide: t.Callable[[str, str], str] = lambda path, output: output,
        limited: bool = False,
    ) -> None:
        self._run_command = run_command
        self._limited = limited
        self._executable = executable
        self._hide = hide
        self.domains = domains

    def domain(self, domid: int) -> t.Optional[DomainState]:
        """The domain of that id, or None."""
        return next((domain for domain in self.domains() if domain.domid == domid), None)

    def create(self, name: str, config: str, paused: bool = False) -> DomainState:
        """Create the guest `name` from the configuration at `config` (absolute path); return it as it is afterwards.

        Raises XlError when xl failed, or when there is no such guest in the end.
        """
        before = {domain.domid for domain in self.domains()}
        arguments = ["create", "-q"] + (["-p"] if paused else []) + ["-f", config]
        rc, output = self._run(arguments, _SLOW, config)
        made = [domain for domain in self.domains() if domain.name == name and domain.domid not in before]
        if rc != 0:
            left = "".join(
                "; domain {0} ({1}) of that name is left over: destroy it".format(domain.domid, domain.state)
                for domain in made
            )
            raise self._failure(
                "guest {0!r} could not be created from {1}".format(name, config), rc, output, left
            )
        if not made:
            raise self._failure(
                "xl created guest {0!r} from {1} without an error, but it is not there: it ended at once, look into its own console "
                "and /var/log/xen".format(name, config),
                rc,
                output,
            )
        return made[-1]

    def pause(self, domid: int) -> None:
        """Stop the domain's vCPUs where they are; those of one that is suspended will not run once it is resumed.

        Raises XlError when it does not become "paused".
        """
        rc, output = self._run(["pause", str(domid)])
        domain = self.domain(domid)
        if domain is None or domain.state not in ("paused", "suspended"):
            raise self._failure(
                "domain {0} could not be paused: it is {1}".format(domid, _state(domain)), rc, output
            )

    def unpause(self, domid: int) -> None:
        """Let the domain's vCPUs run, however often it was paused. Raises XlError when it stays "paused" or is gone."""
        for _pause in range(_MOST_PAUSES):
            rc, output = self._run(["unpause", str(domid)])
            domain = self.domain(domid)
            if domain is None or domain.state != "paused" or rc != 0:
                break
        if domain is None or domain.state == "paused":
            raise self._failure(
                "domain {0} could not be unpaused: it is {1}".format(domid, _state(domain)), rc, output
            )

    def shutdown(self, domid: int) -> None:
        """Ask the domain to shut down cleanly; by an ACPI power button where it has no Xen drivers. Does not wait.

        Raises XlError when xl could not even ask, unless the domain has ended meanwhile.
        """
        rc, output = self._run(["shutdown", "-F", str(domid)])
        domain = self.domain(domid)
        if rc != 0 and domain is not None and not domain.gone:
            raise self._failure("domain {0} could not be asked to shut down".format(domid), rc, output)

    def destroy(self, domid: int) -> None:
        """End the domain at once. What Xen needs to take its memory back may go on. Raises XlError when it lives on."""
        rc, output = self._run(["destroy", str(domid)], _SLOW)
        domain = self.domain(domid)
        if domain is not None and domain.state != "dying":
            raise self._failure(
                "domain {0} could not be destroyed: it is {1}".format(domid, _state(domain)), rc, output
            )

    def rename(self, domid: int, name: str) -> None:
        """Give the domain another name. Raises XlError when it has not got it."""
        rc, output = self._run(["rename", "--", str(domid), name])
        domain = self.domain(domid)
        if domain is None or domain.name != name:
            raise self._failure("domain {0} could not be renamed to {1!r}".format(domid, name), rc, output)

    def configuration(self, domid: int) -> t.Dict[str, t.Any]:
        """What libxl has of the domain now (libxl_domain_config as JSON, xl list -l), with its devices and memory as they are."""
        rc, out, err = self._call(["list", "-l", str(domid)], _QUICK)
        try:
            (entry,) = json.loads(out[out.index("[") :])
            return t.cast("t.Dict[str, t.Any]", entry["config"])
        except (ValueError, KeyError, TypeError):
            raise self._failure(
                "xl does not know the configuration of domain {0}: was it made by another toolstack?".format(
                    domid
                ),
                rc,
                err.strip("\n"),  # there may be passwords in the JSON
            ) from None

    def save(self, domid: int, file: str) -> None:
        """Write the domain's state to `file`, and leave it paused. Raises XlError when it is not: xl then lets it run on."""
        rc, output = self._run(["save", "-p", str(domid), file], self._time_for(domid))
        domain = self.domain(domid)
        if rc != 0 or domain is None or domain.state != "paused":
            raise self._failure(
                "domain {0} could not be saved: it is {1}".format(domid, _state(domain)), rc, output
            )

    def restore(self, name: str, config: str, file: str) -> DomainState:
        """Make guest `name` from a saved file and a configuration for it; return it, paused. Raises XlError when it is not there."""
        before = {domain.domid for domain in self.domains()}
        size = os.path.getsize(file) if os.path.exists(file) else 0
        rc, output = self._run(["restore", "-p", config, file], _SLOW + size // _SLOWEST, config)
        made = [
            domain
            for domain in self.domains()
            if domain.name == name and domain.domid not in before and domain.made and not domain.gone
        ]
        if rc != 0 or not made:
            raise self._failure("guest {0!r} could not be restored from {1}".format(name, file), rc, output)
        return made[-1]

    def migrate(self, domid: int, config: str) -> None:
        """Migrate the domain live to the host that it is on, to be made there from `config`. Raises XlError when xl says it failed.

        xl wants a command that reaches the other side, for a shell; this one is its own receiver, without a network or anything of the user's.
        """
        receiver = "exec {0} migrate-receive".format(shlex.quote(self._executable))
        arguments = ["migrate", "-C", config, "-s", "", str(domid), receiver]
        rc, output = self._run(arguments, self._time_for(domid), config)
        if rc != 0:
            raise self._failure("domain {0} could not be migrated".format(domid), rc, output)

    def _time_for(self, domid: int) -> float:
        domain = self.domain(domid)
        return _SLOW + (domain.memory // _SLOWEST if domain is not None else 0)

    def _run(
        self, arguments: t.List[str], limit: float = _QUICK, config: t.Optional[str] = None
    ) -> t.Tuple[int, str]:
        rc, out, err = self._call(arguments, limit)
        output = "\n".join(part.strip("\n") for part in (out, err) if part.strip())
        return rc, output if config is None else self._hide(config, output)

    def _call(self, arguments: t.List[str], limit: float) -> t.Tuple[int, str, str]:
        argv = [self._executable] + arguments
        return self._run_command(argv, limit) if self._limited else self._run_command(argv)

    def _failure(self, what: str, rc: int, output: str, more: str = "") -> XlError:
        said = first_complaints(output)
        return XlError(
            what
            + (" (xl exits with {0})".format(rc) if rc and not said else "")
            + (": " + said if said else "")
            + more,
            output=output,
        )


def _state(domain: t.Optional[DomainState]) -> str:
    return "gone" if domain is None else domain.state
