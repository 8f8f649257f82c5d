# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests that should run, stand still, be elsewhere or be gone, against those that do: what to do about each. Private to this collection.

:func:`decide` compares, once and without doing anything, and gives the steps for each guest; :mod:`.guests` takes them.
"""

import re
import typing as t

from .._errors import Failure, printable
from .._toolstack import xlcfg
from .._toolstack.xl import DomainState
from . import move_plan
from .config import vcpu_count, visible, vnuma_memory
from .move_plan import MIB

RUNNING, PAUSED, STOPPED, DESTROYED, RESTARTED, MOVED, ABSENT = STATES = (
    "running",
    "paused",
    "stopped",
    "destroyed",
    "restarted",
    "moved",
    "absent",
)
#: Seconds that a guest gets to shut down, or Xen to take its memory back.
PATIENCE = 600
# What a guest takes besides its memory: structures per vCPU, page tables and the like per MiB, and a flat rest.
_PER_VCPU, _PER_MIB, _FLAT = MIB, 4 << 10, 2 * MIB
# Steps.
CREATE, CREATE_PAUSED, PAUSE, UNPAUSE = "create", "create_paused", "pause", "unpause"
SHUTDOWN, DESTROY, AWAIT_END = "shutdown", "destroy", "await_end"
MOVE, REMOVE_CONFIG, RECOVER, RESUME = "move", "remove_config", "recover", "resume"
CHANGING = (
    CREATE,
    CREATE_PAUSED,
    PAUSE,
    UNPAUSE,
    SHUTDOWN,
    DESTROY,
    MOVE,
    REMOVE_CONFIG,
    RECOVER,
    RESUME,
)
#: What becomes of a saved file that waits for the user's word.
DISCARD, GO_ON = SAVED_CHOICES = ("discard", "restore")
# The states that a configuration is for.
_CONFIGURED = (RUNNING, PAUSED, RESTARTED, MOVED)


class Wanted(t.NamedTuple):
    """A guest as the user wants it. `memory` in bytes; `nodes` is where its memory shall come from; None = not said."""

    name: str
    state: str = RUNNING
    config: t.Optional[str] = None
    nodes: t.Optional[t.Tuple[int, ...]] = None
    memory: t.Optional[int] = None
    timeout: float = PATIENCE
    force: bool = False
    move_by: str = move_plan.AUTO
    saved: t.Optional[str] = None


class Decision(t.NamedTuple):
    """What to do about one guest: `steps` in order, on the domain `domid` (None: there is none yet).

    `need` is the memory in bytes that each node has to have before it is created, by node; empty when that is nobody's concern. `move` is
    how to move it, and `memory_before` where its memory is before, in bytes by node. `disks` are what one that is created will write to, {what it
    is: path}, and `uuid` is the one in its configuration.
    """

    wanted: Wanted
    domid: t.Optional[int]
    before: str
    steps: t.Tuple[str, ...]
    need: t.Mapping[int, int] = {}
    move: t.Optional[move_plan.Move] = None
    memory_before: t.Optional[t.Mapping[int, int]] = None
    disks: t.Mapping[t.Any, str] = {}
    uuid: t.Optional[str] = None

    @property
    def changes(self) -> bool:
        """Whether anything is done; waiting for something that ends by itself is not."""
        return any(step in CHANGING for step in self.steps)

    @property
    def creates(self) -> bool:
        """Whether a domain is created."""
        return CREATE in self.steps or CREATE_PAUSED in self.steps


def wanted_guests(entries: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[Wanted]:
    """Check the user's list: {name, config, state, nodes, memory, timeout, force, move_by, saved}, all but name may be absent or None.

    `memory` is MiB, or a text with a unit ("512M", "4GiB"). Raises Failure that names the entry and the field.
    """
    found = []  # type: t.List[Wanted]
    seen = {}  # type: t.Dict[str, int]
    for index, entry in enumerate(entries):
        name = entry.get("name")
        where = "guests[{0}]".format(index)
        if not isinstance(name, str) or not name:
            raise Failure("{0}: name must be the name of a guest, not {1!r}".format(where, name))
        where = "{0} ({1})".format(where, name)
        if name in seen:
            raise Failure(
                "{0}: guests[{1}] has the same name; one guest can be wanted in one way only".format(
                    where, seen[name]
                )
            )
        seen[name] = index
        values = {key: entry[key] for key in Wanted._fields if entry.get(key) is not None}
        if values.get("state", RUNNING) not in STATES:
            raise Failure(
                "{0}: state must be one of {1}, not {2!r}".format(where, ", ".join(STATES), values["state"])
            )
        if "config" in values and not str(values["config"]).startswith("/"):
            raise Failure("{0}: config must be an absolute path, not {1!r}".format(where, values["config"]))
        if "memory" in values:
            values["memory"] = _size(values["memory"], where)
        if "nodes" in values:
            values["nodes"] = tuple(sorted(set(values["nodes"]))) or None
        if "timeout" in values and values["timeout"] <= 0:
            raise Failure(
                "{0}: timeout must be more than 0 seconds, not {1!r}".format(where, values["timeout"])
            )
        if values.get("state") == MOVED and not values.get("nodes"):
            raise Failure("{0}: nodes must say where its memory shall be moved to".format(where))
        for state in (RESTARTED, MOVED):
            if values.get("state") == state and "config" not in values:
                raise Failure("{0}: config must be given to have it {1}".format(where, state))
        found.append(Wanted(**values))
    return found


def decide(
    wanted: t.Sequence[Wanted],
    domains: t.Sequence[DomainState],
    configs: t.Mapping[str, t.Union[bytes, OSError]],
    may_be_missing: bool = False,
    known: t.Optional["Known"] = None,
) -> t.Tuple[t.List[Decision], t.List[str]]:
    """Compare what is wanted with the domains there are; return the decisions, in the order wanted, and warnings.

    `configs` has the content of every configuration file that a guest names, or the error from reading it. With `may_be_missing`
    (check mode: another task may be going to write it) a file that does not exist is a warning. Raises Failure, before anything is
    done, with a sentence for each guest that cannot be had as wanted. `known` is needed for guests that shall be moved.
    """
    decisions = []  # type: t.List[Decision]
    warnings = []  # type: t.List[str]
    problems = []  # type: t.List[str]
    for guest in wanted:
        try:
            decisions.append(_decide(guest, domains, configs, may_be_missing, warnings, known or Known()))
        except Failure as failure:
            problems.append(failure.message)
    problems = problems or _check_disks(decisions, domains, known or Known())
    if problems:
        more = (
            " (and {0} more guests cannot be had as wanted)".format(len(problems) - 1)
            if len(problems) > 1
            else ""
        )
        raise Failure(problems[0] + more, problems=problems, changed=False)
    return decisions, warnings


def _decide(
    guest: Wanted,
    domains: t.Sequence[DomainState],
    configs: t.Mapping[str, t.Union[bytes, OSError]],
    may_be_missing: bool,
    warnings: t.List[str],
    known: "Known",
) -> Decision:
    if guest.name in known.interrupted:
        # Check mode: a run takes care of it first, and only then looks.
        return Decision(guest, None, "moving", (RECOVER,))
    same = [domain for domain in domains if domain.name == guest.name]
    # A dying domain keeps its name while Xen takes its memory back; it is no guest any more.
    alive = [domain for domain in same if domain.state != "dying"]
    if len(alive) > 1:
        ids = ", ".join(str(domain.domid) for domain in alive)
        raise Failure(
            "guest {0!r} is there more than once (domains {1}): rename or destroy all but one".format(
                guest.name, ids
            )
        )
    domain = alive[0] if alive else same[0] if same else None
    uuid = _uuid(guest, configs)
    if domain is None:
        domain = _nameless(guest, uuid, domains, warnings, known)
    if domain is not None and domain.domid == 0:
        raise Failure(
            "{0!r} is the control domain: it cannot be started or stopped as a guest".format(guest.name)
        )
    steps = _steps(guest, domain)
    if guest.state == ABSENT and guest.config is not None:
        data = configs[guest.config]
        if not isinstance(data, OSError):
            _config(guest, configs, may_be_missing, warnings)
            steps += (REMOVE_CONFIG,)
        elif not isinstance(data, FileNotFoundError):
            raise Failure(
                "guest {0!r}: {1} cannot be read: {2}".format(guest.name, guest.config, data.strerror or data)
            )
    decision = Decision(guest, domain.domid if domain else None, domain.state if domain else ABSENT, steps)
    if guest.state in _CONFIGURED:
        if guest.config is None:
            if decision.creates:
                raise Failure(
                    "guest {0!r} does not run, and no config says which file to create it from".format(
                        guest.name
                    )
                )
        else:
            config = _config(guest, configs, may_be_missing, warnings)
            if decision.creates:
                others = [one for one in domains if one.domid not in (0, decision.domid) and not one.gone]
                _check_alone(guest, uuid, others)
                decision = decision._replace(need=_need(guest, config), uuid=uuid)
                if config is not None:
                    decision = decision._replace(disks=known.disks(config))
                _check_return(decision, domain, known)
            if MOVE in steps:
                decision = _with_move(decision, t.cast(DomainState, domain), config, known)
    return decision


def _nothing() -> t.Dict[t.Any, t.Any]:
    return {}


class Known(t.NamedTuple):
    """What deciding about moves takes: {domid: {node: bytes}}, what libxl knows of a domain, and guests whose move was interrupted.

    `free` is what nodes have free, {node: bytes}, so that a guest is not stopped that would find no room when it comes back. `names` are
    those of domains that xenstore has none for, {domid: name}. `disks` gives what a configuration's disks are, {what it is: path}, and `held`
    the domains that write to disks, {what it is: domid}.
    """

    memory: t.Callable[[], t.Dict[int, t.Dict[int, int]]] = _nothing
    configuration: t.Callable[[int], t.Dict[str, t.Any]] = lambda domid: {}
    interrupted: t.FrozenSet[str] = frozenset()
    free: t.Optional[t.Mapping[int, int]] = None
    names: t.Mapping[int, str] = {}
    disks: t.Callable[[xlcfg.Config], t.Mapping[t.Any, str]] = lambda config: {}
    held: t.Callable[[], t.Mapping[t.Any, int]] = _nothing


def _uuid(guest: Wanted, configs: t.Mapping[str, t.Union[bytes, OSError]]) -> t.Optional[str]:
    """The UUID in a guest's configuration, as 32 digits; None where there is none, or no such file, or it cannot be read."""
    data = None if guest.config is None else configs[guest.config]
    if data is None or isinstance(data, OSError):
        return None
    try:
        text = xlcfg.parse(xlcfg.decode(data)).string("uuid") or ""
    except Failure:
        return None
    digits = re.sub("[^0-9a-f]", "", text.lower())
    return digits if len(digits) == 32 else None


def _nameless(
    guest: Wanted,
    uuid: t.Optional[str],
    domains: t.Sequence[DomainState],
    warnings: t.List[str],
    known: Known,
) -> t.Optional[DomainState]:
    """The guest, where xenstore has lost its name: by its UUID, or by what libxl has written down of it."""
    for domain in domains:
        if domain.domid == 0 or domain.name is not None or domain.gone or not domain.made:
            continue
        if (uuid is not None and _digits(domain.uuid) == uuid) or known.names.get(domain.domid) == guest.name:
            warnings.append(
                "guest {0!r}: domain {1} is this guest, by its UUID or libxl's record of it, and xenstore has no name for it (was xenstored "
                "restarted?): xl, and what serves its devices, cannot reach it; restart the host when it can be done".format(
                    guest.name, domain.domid
                )
            )
            if guest.state == MOVED:
                raise Failure(warnings.pop())
            return domain
    return None


def _digits(uuid: str) -> str:
    return uuid.replace("-", "").lower()


def _check_alone(guest: Wanted, uuid: t.Optional[str], others: t.Sequence[DomainState]) -> None:
    """Raise Failure when another domain has the UUID that a guest would be created with: it is that guest, or a copy of its configuration."""
    for domain in others:
        if uuid is not None and _digits(domain.uuid) == uuid:
            raise Failure(
                "guest {0!r} was not created: domain {1} ({2}) has the UUID that is in {3}, and so perhaps its disks. If it is this guest under "
                "another name, rename it (xl rename {1} NAME) or end it; else give the configuration a uuid of its own".format(
                    guest.name,
                    domain.domid,
                    "no name" if domain.name is None else repr(domain.name),
                    guest.config,
                )
            )


def _check_disks(
    decisions: t.Sequence[Decision], domains: t.Sequence[DomainState], known: Known
) -> t.List[str]:
    """A sentence for each guest that would be created with a disk that another domain writes to, or another guest of the list."""
    held = dict(known.held()) if any(decision.disks for decision in decisions) else {}
    names = {domain.domid: domain.name for domain in domains}
    taken = {}  # type: t.Dict[t.Any, str]
    uuids = {}  # type: t.Dict[t.Optional[str], str]
    problems = []  # type: t.List[str]
    for decision in decisions:
        if decision.uuid is not None and decision.uuid in uuids:
            problems.append(
                "guest {0!r} was not created: the configuration of guest {1!r} has the same UUID; give it one of its own".format(
                    decision.wanted.name, uuids[decision.uuid]
                )
            )
        uuids[decision.uuid] = decision.wanted.name
        if decision.domid is not None and (DESTROY in decision.steps or AWAIT_END in decision.steps):
            held = {disk: domid for disk, domid in held.items() if domid != decision.domid}
        for disk, path in decision.disks.items():
            by = taken.get(disk)
            if disk in held:
                by = "domain {0} ({1!r})".format(held[disk], names.get(held[disk]))
            if by is not None:
                problems.append(
                    "guest {0!r} was not created: {1} can write to its disk {2}; two that write to one disk destroy what is on it. End that "
                    "one first, or give the guest another disk".format(decision.wanted.name, by, path)
                )
                break
        taken.update(
            dict.fromkeys(decision.disks, "guest {0!r} of the same task".format(decision.wanted.name))
        )
    return problems


def _check_return(decision: Decision, domain: t.Optional[DomainState], known: Known) -> None:
    """Raise Failure when a guest that would be ended first certainly finds no room for coming back."""
    guest = decision.wanted
    if domain is None or domain.gone or known.free is None:
        return
    for node, share in decision.need.items():
        if node not in known.free or known.free[node] + domain.memory < share:
            raise Failure(
                "guest {0!r} was not stopped: it would need {1} MiB on node {2} to come back, where there are {3} MiB; make room there, "
                "or plan again".format(guest.name, -(-share // MIB), node, known.free.get(node, 0) // MIB)
            )


def _with_move(
    decision: Decision, domain: DomainState, config: t.Optional[xlcfg.Config], known: Known
) -> Decision:
    guest = decision.wanted
    nodes = t.cast("t.Tuple[int, ...]", guest.nodes)
    found = known.memory().get(domain.domid, {})
    decision = decision._replace(memory_before=found)
    if move_plan.is_there(found, nodes):
        return decision._replace(steps=())
    live = known.configuration(domain.domid)
    need = memory_need(domain.memory, live.get("b_info", {}).get("max_vcpus", 1))
    if config is None:
        return decision
    return decision._replace(move=move_plan.plan_move(domain, nodes, guest.move_by, config.text, live, need))


def _steps(guest: Wanted, domain: t.Optional[DomainState]) -> t.Tuple[str, ...]:
    create = CREATE_PAUSED if guest.state == PAUSED else CREATE
    if domain is not None and domain.state == "suspended" and guest.state != DESTROYED:
        return _from_suspension(guest, domain, create)
    if guest.state == MOVED:
        if domain is None or domain.gone:
            raise Failure(
                "guest {0!r} does not run, so there is nothing to move: have it running, its configuration decides where".format(
                    guest.name
                )
            )
        return (MOVE,)
    if guest.state in (RUNNING, PAUSED, RESTARTED):
        if domain is None:
            return (create,)
        if domain.state == "dying":
            return (AWAIT_END, create)
        if domain.gone:
            if not guest.force:
                raise Failure(
                    "guest {0!r} (domain {1}) has ended ({2}) and its remains were kept to be looked at: destroy them with state "
                    "destroyed, or give force to have that done".format(
                        guest.name, domain.domid, domain.state
                    )
                )
            return (DESTROY, AWAIT_END, create)
        if not domain.made:
            # What xl was building when it was killed; there is nothing in it that could be lost.
            return (DESTROY, AWAIT_END, create)
        if guest.state == RESTARTED:
            return _ending(guest, domain) + (create,)
        if guest.state == RUNNING:
            return (UNPAUSE,) if domain.state == "paused" else ()
        return () if domain.state == "paused" else (PAUSE,)
    if domain is None:
        return ()
    if domain.state == "dying":
        return (AWAIT_END,)
    if guest.state == DESTROYED or not domain.made:
        return (DESTROY, AWAIT_END)
    if domain.gone:
        return (DESTROY, AWAIT_END) if guest.state == ABSENT else ()
    return _ending(guest, domain)


def _from_suspension(guest: Wanted, domain: DomainState, create: str) -> t.Tuple[str, ...]:
    """The steps for a guest that stands still to be saved or migrated, by nobody of ours: only by force."""
    if guest.force and guest.state == RUNNING:
        return (RESUME,)
    if guest.force and guest.state in (STOPPED, ABSENT, RESTARTED):
        return (DESTROY, AWAIT_END) + ((create,) if guest.state == RESTARTED else ())
    raise Failure(
        "guest {0!r} (domain {1}) is suspended: somebody is saving or migrating it, or was killed at that. Wait for the end of that; where "
        "nobody is at it, let it go on with state running and force".format(guest.name, domain.domid)
    )


def _ending(guest: Wanted, domain: DomainState) -> t.Tuple[str, ...]:
    """The steps that end a guest cleanly, or by force where that is given."""
    if domain.state == "paused":
        if not guest.force:
            raise Failure(
                "guest {0!r} (domain {1}) is paused and cannot shut down cleanly: let it run first, or give force to have it "
                "destroyed".format(guest.name, domain.domid)
            )
        return (DESTROY, AWAIT_END)
    return (SHUTDOWN, AWAIT_END)


def _config(
    guest: Wanted,
    configs: t.Mapping[str, t.Union[bytes, OSError]],
    may_be_missing: bool,
    warnings: t.List[str],
) -> t.Optional[xlcfg.Config]:
    path = t.cast(str, guest.config)
    data = configs[path]
    if isinstance(data, OSError):
        if may_be_missing and isinstance(data, FileNotFoundError):
            warnings.append("guest {0!r}: {1} does not exist yet".format(guest.name, path))
            return None
        raise Failure("guest {0!r}: {1} cannot be read: {2}".format(guest.name, path, data.strerror or data))
    try:
        config = xlcfg.parse(xlcfg.decode(data))
        name = config.string("name")
        vcpu_count(config)
    except Failure as failure:
        raise Failure("guest {0!r}: {1}, {2}".format(guest.name, path, failure.message)) from failure
    if name is None:
        raise Failure("guest {0!r}: {1} has no name: set name in it".format(guest.name, path))
    if printable(name) != printable(guest.name):
        raise Failure(
            "guest {0!r}: {1} is the configuration of a guest called {2!r}: give the right file, or the same name".format(
                guest.name, path, visible(config, "name")
            )
        )
    return config


def memory_need(memory: int, vcpus: int) -> int:
    """Bytes that Xen has to have for a guest of `memory` bytes and that many vCPUs."""
    return memory + vcpus * _PER_VCPU + -(-memory // MIB) * _PER_MIB + _FLAT


def _need(guest: Wanted, config: t.Optional[xlcfg.Config]) -> t.Dict[int, int]:
    """Bytes of each node: an even share, or with virtual nodes their memory and an even share of what comes on top of it."""
    nodes = guest.nodes or ()
    memory = guest.memory
    if memory is None and config is not None and config.integer("memory"):
        memory = t.cast(int, config.integer("memory")) * MIB
    if not nodes or memory is None:
        return {}
    need = memory_need(memory, vcpu_count(config) if config is not None else 1)
    own = {} if config is None else vnuma_memory(config)
    if set(own) != set(nodes):
        return dict.fromkeys(nodes, -(-need // len(nodes)))
    over = -(-(need - memory) // len(nodes))
    return {node: own[node] * MIB + over for node in nodes}


def check_memory(decision: Decision, free: t.Mapping[int, int]) -> None:
    """Raise Failure when the nodes that a guest's memory shall come from lack it."""
    guest, need = decision.wanted, decision.need
    if not guest.nodes:
        return
    unknown = [node for node in guest.nodes if node not in free]
    if unknown:
        raise Failure(
            "guest {0!r}: there is no memory on node {1} of this host; nodes with memory are {2}".format(
                guest.name, listed(unknown), listed(free) or "unknown"
            )
        )
    short = [node for node in need if free[node] < need[node]]
    if short:
        # mostly the same of each
        shares = dict.fromkeys(-(-need[node] // MIB) for node in short)
        raise Failure(
            "guest {0!r} was not created: it needs {1} MiB free on node {2}, where there are {3} MiB; plan again, or make room "
            "there".format(
                guest.name, listed(shares), listed(short), listed(free[node] // MIB for node in short)
            )
        )


def listed(numbers: t.Iterable[int]) -> str:
    """Numbers as people read them."""
    return ", ".join(str(number) for number in numbers)


_SIZE = re.compile(r"\s*([0-9]{1,15})\s*(?:([KMGT])(?:i?B)?)?\s*\Z", re.IGNORECASE)


def _size(value: t.Any, where: str) -> int:
    """Bytes of a size: a number is MiB, a unit counts in powers of 1024."""
    match = None if isinstance(value, bool) else _SIZE.match(str(value))
    size = int(match.group(1)) * 1024 ** ("KMGT".index((match.group(2) or "M").upper()) + 1) if match else 0
    if size <= 0:
        raise Failure(
            "{0}: memory must be a number of MiB or a size such as 512M or 4GiB, not {1!r}".format(
                where, value
            )
        )
    return size
