# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What xl and xenpm print, as values. Pure: texts come in, nothing is run. Private to this collection.

The forms are those of Xen 4.11 to 4.22 (tools/xl/xl_info.c, xl_vcpu.c, xl_cpupool.c; tools/misc/xenpm.c). Names of guests and pools may hold
anything, so columns are found from their ends and by their widths, never by splitting at spaces. Widths are bytes, as printf counts them.

What these texts cannot tell, and where they mislead:

* A CPU without a core id is left out; one that is offline and has kept its id stands there like any other.
* Masks of nodes end at the *number* of online nodes, not at the highest number. So did masks of CPUs in older releases; in 4.14, 4.17 and
  4.20 they were seen to be whole.
* Memory is in MiB, cut off; times are in tenths of a second; ``free_memory`` has the outstanding claims taken off.
* Pools have no numbers, domains no type and no maximum.

Every function raises TextError, which names the command, the line and what is wrong with it.
"""

import json
import re
import typing as t

from .._errors import Failure, shown

NUMBERS = 2**32 - 1  # what any number in these texts is below: they are printed from unsigned ints
IDS = 65535  # the highest number of a CPU, node, domain or vCPU that is believed
SECONDS = 2**53  # what a time is below
LONGEST = (
    8192  # characters of a line: the command line of Xen has 1,023 at most, a list of CPUs some thousand
)

LARGEST_TEXT = 2**25  # characters; 32,752 domains have some 6 million
MOST_BREAKS = 64  # newlines in one name

_INFO_HEADS = ("cpu:", "device  ", "node:", "No device topology")
_STATES = r"[r-][b-][p-][s-][-rscwS?][d-]"
#: XEN_DOMINF_shutdown's reasons by their letters, SHUTDOWN_* of xen/include/public/sched.h. "-" is a poweroff as well as none.
REASONS = {"-": 0, "r": 1, "s": 2, "c": 3, "w": 4, "S": 5}
_NAMELESS = "(null)"
_HEAD = re.compile(r"Name {1,40}(?:ID|CPUs|CPU list)\b")
_DIGITS = "0123456789"
#: Surrogates that no byte becomes ("surrogateescape").
_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class TextError(Failure):
    """A tool printed something that is not in its usual form."""


class Shown(t.NamedTuple):
    """A mask as printed: `members`, ascending; `all` when the word "all" stood there, and members are then empty."""

    members: t.Tuple[int, ...]
    all: bool


class NodeRow(t.NamedTuple):
    """A node of `xl info -n`: sizes in MiB; `distances` to the nodes 0, 1, ... in SLIT units, None for unreachable."""

    size: int
    free: int
    distances: t.Tuple[t.Optional[int], ...]


class Info(t.NamedTuple):
    """`xl info -n`. `fields` by name, as text; `cpus` are (core, socket, node) by CPU; `devices` nodes by address ``0000:00:1f.2``.

    `cpus`, `nodes` and `devices` are empty where the text has no such part.
    """

    fields: t.Dict[str, str]
    cpus: t.Dict[int, t.Tuple[int, int, int]]
    nodes: t.Dict[int, NodeRow]
    devices: t.Dict[str, int]

    def number(self, name: str) -> t.Optional[int]:
        """The field as a whole number; None when it is not there, or none."""
        text = self.fields.get(name, "")
        return int(text) if re.match(r"[0-9]{1,15}\Z", text) else None


class PoolRow(t.NamedTuple):
    """A cpupool of `xl cpupool-list`, with its CPUs of `xl cpupool-list -c`."""

    name: str
    scheduler: str
    domains: int
    cpus: t.Tuple[int, ...]


class DomainRow(t.NamedTuple):
    """A domain of `xl list -v -c -n`. `memory` in MiB, claims included; `state` are xl's six letters; `uuid` as printed.

    `pool` is None when no pool of that name is known.
    """

    name: t.Optional[str]
    domid: int
    memory: int
    vcpus: int
    state: str
    seconds: float
    uuid: str
    pool: t.Optional[str]
    nodes: Shown


class VcpuRow(t.NamedTuple):
    """A vCPU of `xl vcpu-list`. `cpu` is None while it is offline."""

    domid: int
    vcpu: int
    cpu: t.Optional[int]
    running: bool
    blocked: bool
    seconds: float
    hard: Shown
    soft: Shown


def _lines(text: str, command: str) -> t.Iterator[t.Tuple[int, str]]:
    """The lines with their numbers, a character for each byte. Only a newline ends one: names may hold others that Python takes for line ends."""
    if len(text) > LARGEST_TEXT:
        raise TextError(
            "'%s' printed more than %d characters: no host has so much to say." % (command, LARGEST_TEXT)
        )
    raw = _NO_BYTES.sub("?", text).encode("utf-8", "surrogateescape").decode("latin-1")
    for number, line in enumerate(raw.split("\n"), 1):
        line = line.rstrip("\r")
        if len(line) > LONGEST:
            raise _unreadable(command, number, line, "shorter than %d characters" % LONGEST)
        if line.strip(" \t"):
            yield number, line


def _text(raw: str) -> str:
    """Text of a line's characters: bytes that are not UTF-8 are written as \\xNN, as for names that come from xenstore."""
    return raw.encode("latin-1").decode("utf-8", "backslashreplace")


def _unreadable(command: str, number: int, line: str, wanted: str) -> TextError:
    return TextError(
        "What '%s' printed cannot be read: line %d, %s, should be %s."
        % (command, number, shown(_text(line[:90]), 80), wanted)
    )


def _rows(text: str, command: str) -> t.Iterator[t.Tuple[int, str]]:
    """The lines of a table, without that with the names of its columns."""
    first = True
    for number, line in _lines(text, command):
        if not (first and _HEAD.match(line)):
            yield number, line
        first = False


class _Columns:
    """Reads rows whose first column is a name and whose others are found from the end by a regular expression.

    A name may have a newline in it: what cannot be a row is then the beginning of the next one's name.
    """

    def __init__(self, command: str, behind: str, wanted: str) -> None:
        self._command, self._wanted = command, wanted
        # A run of blanks is looked at from its beginning alone, or thousands of them would take their square.
        self._pattern = re.compile("(?:^|(?<! )) +" + behind)
        self._pending: t.List[str] = []
        self._begin = 0

    def read(self, number: int, line: str) -> t.Optional[t.Tuple[str, t.Tuple[t.Any, ...]]]:
        """The name and the other columns of the row that ends with this line; None when it goes on with the next."""
        match = self._pattern.search(line)
        if match is None:
            self._begin = self._begin or number
            self._pending.append(line)
            if len(self._pending) > MOST_BREAKS:
                self.end()
            return None
        name = _text("\n".join([*self._pending, line[: match.start()]]))
        self._pending, self._begin = [], 0
        return name, match.groups()

    def end(self) -> None:
        """Raise TextError when a row has begun that does not end."""
        if self._pending:
            raise _unreadable(self._command, self._begin, self._pending[0], self._wanted)


def _whole(text: str, most: int = NUMBERS) -> int:
    """A number of a text that a regular expression has found to be digits. Raises ValueError when it is too large."""
    if len(text) > 20 or int(text) > most:
        raise ValueError(text)
    return int(text)


def _shown(text: str) -> Shown:
    """Read what xl's print_bitmap wrote. Raises ValueError."""
    if text == "all":
        return Shown((), True)
    members: t.List[int] = []
    if text != "none":
        for part in text.split(","):
            match = re.match(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z", part)
            if match is None:
                raise ValueError(text)
            first = _whole(match.group(1), IDS)
            last = _whole(match.group(2) or match.group(1), IDS)
            if last < first or (members and first <= members[-1]):
                raise ValueError(text)
            members.extend(range(first, last + 1))
    return Shown(tuple(members), False)


# --- the host


def info(text: str, command: str = "xl info -n") -> Info:
    """Read `xl info` or `xl info -n`."""
    fields: t.Dict[str, str] = {}
    cpus: t.Dict[int, t.Tuple[int, int, int]] = {}
    nodes: t.Dict[int, NodeRow] = {}
    devices: t.Dict[str, int] = {}
    part = ""
    for number, line in _lines(text, command):
        match = re.match(r"([a-z][a-z_ ]{0,30}?) +:(?: (.*))?$", line)
        if match and match.group(1) in ("cpu_topology", "device topology", "numa_info"):
            part = match.group(1)
        elif match:
            part = ""
            fields.setdefault(match.group(1), _text(match.group(2) or "").strip())
        elif line.startswith(_INFO_HEADS):
            continue
        else:
            try:
                if part == "cpu_topology":
                    cpu, place = _cpu_row(re.match(r" *([0-9]+): +([0-9]+) +([0-9]+) +(-?[0-9]+) *$", line))
                    cpus[cpu] = place
                elif part == "numa_info":
                    node, row = _node_row(line)
                    nodes[node] = row
                elif part == "device topology":
                    address, node = _device_row(line)
                    devices[address] = node
                elif fields:
                    # A field whose value has a line break (a compiler's version, say), or one of a newer xl: not needed.
                    continue
                else:
                    raise ValueError(line)
            except ValueError:
                raise _unreadable(
                    command, number, line, "a row of '%s'" % part if part else "'name : value'"
                ) from None
    if not fields:
        raise TextError("'%s' printed nothing about this host." % command)
    return Info(fields, cpus, nodes, devices)


def _cpu_row(match: t.Any) -> t.Tuple[int, t.Tuple[int, int, int]]:
    if match is None:
        raise ValueError
    cpu, core, socket, node = match.groups()
    # An unknown node is ~0, printed as a signed number.
    place = (_whole(core), _whole(socket), NUMBERS if node.startswith("-") else _whole(node))
    return _whole(cpu, IDS), place


def _node_row(line: str) -> t.Tuple[int, NodeRow]:
    match = re.match(r" *([0-9]+): +([0-9]+) +([0-9]+) +(-?[0-9]+(?:,-?[0-9]+)*) *$", line)
    if match is None:
        raise ValueError(line)
    distances = tuple(
        None if text.startswith("-") else _whole(text) for text in match.group(4).split(",")[: IDS + 1]
    )
    return _whole(match.group(1), 4095), NodeRow(
        _whole(match.group(2), 2**44), _whole(match.group(3), 2**44), distances
    )


def _device_row(line: str) -> t.Tuple[str, int]:
    match = re.match(r"([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]) +(-?[0-9]+) *$", line)
    if match is None:
        raise ValueError(line)
    return match.group(1), NUMBERS if match.group(2).startswith("-") else _whole(match.group(2))


def cpu_topology(text: str, command: str = "xenpm get-cpu-topology") -> t.Dict[int, t.Tuple[int, int, int]]:
    """Read `xenpm get-cpu-topology`: (core, socket, node) by CPU."""
    found: t.Dict[int, t.Tuple[int, int, int]] = {}
    for number, line in _lines(text, command):
        if line.split() == ["CPU", "core", "socket", "node"]:
            continue
        try:
            cpu, place = _cpu_row(re.match(r"CPU([0-9]+)\t *([0-9]+)\t *([0-9]+)\t *(-?[0-9]+) *$", line))
        except ValueError:
            raise _unreadable(command, number, line, "CPU, core, socket and node") from None
        found[cpu] = place
    return found


# --- cpupools

_POOL_NAME = 19  # the width of that column


def pools(
    plain: str, with_cpus: str, commands: t.Sequence[str] = ("xl cpupool-list", "xl cpupool-list -c")
) -> t.List[PoolRow]:
    """Read both forms of `xl cpupool-list`, in their order: by the pools' numbers, which they do not tell."""
    rows = list(_rows(plain, commands[0]))
    others = list(_rows(with_cpus, commands[1]))
    found = []
    for index, (number, line) in enumerate(rows):
        name, scheduler, domains_text = _pool_row(line)
        if not scheduler:
            raise _unreadable(
                commands[0], number, line, "a name, the number of CPUs, a scheduler, y, a number"
            )
        # Both list the pools in the same order, unless one was made or went away in between.
        near = others[index : index + 1]
        other = next((row for row in near + others if _names(row[1], name)), None)
        if other is None:
            raise TextError(
                "'%s' lists the pool %s, but '%s' does not." % (commands[0], shown(_text(name)), commands[1])
            )
        listed = other[1][max(_POOL_NAME, len(name)) :].strip(" ")
        try:
            cpus = tuple(_whole(cpu, IDS) for cpu in listed.split(",")) if listed else ()
            count = _whole(domains_text)
        except ValueError:
            raise _unreadable(commands[1], other[0], other[1], "a name and CPUs such as 0,1,2") from None
        found.append(PoolRow(_text(name), scheduler, count, cpus))
    names = [pool.name for pool in found]
    if len(set(names)) < len(names):
        raise TextError("'%s' lists two cpupools with the same name." % commands[0])
    return found


def _pool_row(line: str) -> t.Tuple[str, str, str]:
    """Name, scheduler and number of domains of a row; empty texts when it is none. Read from its end, as the name may hold anything."""
    head, domains_text = _last_word(line)
    head, active = _last_word(head)
    head, scheduler = _last_word(head)
    name = head.rstrip(_DIGITS)
    if (
        name == head
        or not re.match(r"[0-9]+\Z", domains_text)
        or active not in ("y", "n")
        or not re.match(r"[a-z0-9_]+\Z", scheduler)
    ):
        return "", "", ""
    # A name of ordinary length ends with its column, whatever digits it ends with.
    narrow = len(line) > _POOL_NAME and line[_POOL_NAME - 1] == " "
    return (line[:_POOL_NAME] if narrow else name).rstrip(" "), scheduler, domains_text


def _last_word(line: str) -> t.Tuple[str, str]:
    """What is before the last word of a line, without the blanks between, and that word."""
    head, _blank, word = line.rstrip(" ").rpartition(" ")
    return head.rstrip(" "), word


def _names(line: str, pool: str) -> bool:
    """Whether the line of `xl cpupool-list -c` is that pool's."""
    return line[: max(_POOL_NAME, len(pool))].rstrip(" ") == pool


# --- domains

_DOMAIN = (
    r"([0-9]+) +([0-9]+) +([0-9]+) {5}(%s) +([0-9]+\.[0-9]) "
    r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) +(-|[0-9a-f]+) (.*) ([^ ]+)$" % _STATES
)


def domains(text: str, pool_names: t.Sequence[str], command: str = "xl list -v -c -n") -> t.List[DomainRow]:
    """Read `xl list -v -c -n`. `pool_names` are those of all pools: a long one stands right behind the column before it."""
    found = []
    known = set(pool_names)
    wanted = "a domain with its UUID, cpupool and nodes"
    columns = _Columns(command, _DOMAIN, wanted)
    for number, line in _rows(text, command):
        row = columns.read(number, line)
        if row is None:
            continue
        name, (domid, memory, vcpus, state, seconds, uuid, _reason, rest, nodes) = row
        try:
            found.append(
                DomainRow(
                    None if name == _NAMELESS else name,
                    _whole(domid, IDS),
                    _whole(memory, 2**44),
                    _whole(vcpus, IDS),
                    state,
                    _seconds(seconds),
                    uuid,
                    _pool_at_the_end(_text(rest), known),
                    _shown(nodes),
                )
            )
        except ValueError:
            raise _unreadable(command, number, line, wanted) from None
    columns.end()
    if len({row.domid for row in found}) < len(found):
        raise TextError(
            "'%s' lists two domains with the same id: the name of one may look like a row." % command
        )
    return found


def _pool_at_the_end(text: str, names: t.Container[str]) -> t.Optional[str]:
    """The longest of the names that a text ends with."""
    return next((text[start:] for start in range(len(text)) if text[start:] in names), None)


def _seconds(text: str) -> float:
    value = float(text)
    if value > SECONDS:
        raise ValueError(text)
    return value


_VCPU = r"([0-9]+) +([0-9]+) +([0-9]+|-) +([r-])([b-])([p-]) +([0-9]+\.[0-9]) +([^ ]+) / ([^ ]+) *$"


def vcpus(text: str, command: str = "xl vcpu-list") -> t.List[VcpuRow]:
    """Read `xl vcpu-list`."""
    found = []
    wanted = "a vCPU with its hard and soft affinity"
    columns = _Columns(command, _VCPU, wanted)
    for number, line in _rows(text, command):
        row = columns.read(number, line)
        if row is None:
            continue
        domid, vcpu, cpu, running, blocked, paused, seconds, hard, soft = row[1]
        try:
            if (cpu == "-") != (paused == "p"):
                raise ValueError(line)
            found.append(
                VcpuRow(
                    _whole(domid, IDS),
                    _whole(vcpu, IDS),
                    None if cpu == "-" else _whole(cpu, IDS),
                    running == "r",
                    blocked == "b",
                    _seconds(seconds),
                    _shown(hard),
                    _shown(soft),
                )
            )
        except ValueError:
            raise _unreadable(command, number, line, wanted) from None
    columns.end()
    if len({(row.domid, row.vcpu) for row in found}) < len(found):
        raise TextError("'%s' lists a vCPU twice: the name of a guest may look like a row." % command)
    return found


def domain_types(text: str, command: str = "xl list -l") -> t.Dict[int, str]:
    """Read the kinds of guests ("pv", "pvh", "hvm"), by domain, from the JSON of `xl list -l`; one that does not say is left out."""
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TextError("What '%s' printed cannot be read: it is no JSON (%s)." % (command, error)) from None
    # A single domain comes without a list around it.
    found = {}
    for entry in entries if isinstance(entries, list) else [entries]:
        value = entry
        for key in ("config", "c_info", "type"):
            value = value.get(key) if isinstance(value, dict) else None
        domid = entry.get("domid") if isinstance(entry, dict) else None
        if isinstance(domid, int) and not isinstance(domid, bool) and value in ("pv", "pvh", "hvm"):
            found[domid] = t.cast(str, value)
    return found
