# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Placement keys in guests' xl configurations: wanted against what the files say. Private to this collection.

:func:`plan_configs` decides, without touching anything; :func:`apply_configs` writes. Reading, writing and what CPU expressions mean
on the host come in as callables.

`cpus` is never written as a single string. With ``cpus="0-3"`` and no ``cpus_soft``, xl (4.12 and later) still lets automatic
placement choose nodes, out of all of them: memory may land, for good, on a node that the vCPUs are kept away from. With one entry a
vCPU, in a list, xl leaves the choice to the hypervisor, which allocates on the nodes of the affinity. (libxl_numa.c, xl_parse.c)

CPUs are written as numbers. xl reads ``node:1`` into a bitmap of the size that one of nodes has, 64 bits on x86 and 8 on Arm, and so cuts
off every CPU beyond (update_cpumap_range of xl_parse.c, libxl_node_bitmap_alloc; all releases to 4.22).

Neither `cpus` nor `cpus_soft` is left without a number of vCPUs: before 4.22, xl takes a missing one for 0 there, and heeds no entry of
such a list, or writes past the end of a buffer for a string (xl_parse.c, fixed by 4b71a86eaa). Found on a 4.17 host.
"""

import re
import typing as t

from .._errors import Failure, printable
from .._toolstack import xlcfg

#: The keys that can be set, in the order in which they are appended to a file that lacks them.
KEYS = (
    "name",
    "vcpus",
    "maxvcpus",
    "memory",
    "maxmem",
    "cpus",
    "cpus_soft",
    "pool",
    "cpu_weight",
    "cap",
    "vnuma",
)
#: The least and the most that xl, or Xen's schedulers, take. A weight of 0 and beyond 16 bits they refuse when the guest starts.
_NUMBERS = {
    "vcpus": (1, None),
    "maxvcpus": (1, None),
    "memory": (1, None),
    "maxmem": (1, None),
    "cpu_weight": (1, 65535),
    "cap": (0, 65535),
}  # type: t.Dict[str, t.Tuple[int, t.Optional[int]]]
_AFFINITIES = ("cpus", "cpus_soft")
_VNODE = ("node", "memory", "vcpus", "distances")
_LOCAL = 10

# One item of xl's CPU lists (xl_parse.c, update_cpumap_range); xl has no tolerance for blanks, so none are written.
_ITEM = re.compile(
    r"(?P<away>\^?)(?P<nodes>nodes?:)?(?:(?P<all>all)|(?P<first>[0-9]{1,9})(?:-(?P<last>[0-9]{1,9}))?)\Z"
)
_MOST_VCPUS = 8192

STRING_FORM = (
    "cpus was a single string, with which xl chooses a node for the memory by itself, often another one than that of the CPUs; "
    "as a list, with one entry for each vCPU, memory follows the CPUs"
)

NO_COUNT = "vcpus was not set, without which xl (before 4.22) takes no notice of cpus and cpus_soft; now it says the default, 1"

NODES_CUT = "{0} named CPUs by node, and xl reads no CPU from {1} on there; as numbers, all of them are meant"

#: The CPUs that xl can read from ``node:``, on x86; see NODES_CUT.
NODE_BITS = 64

Resolve = t.Callable[[str], str]


class ConfigChange(t.NamedTuple):
    """What becomes of one file. `before` is None for a new file; texts are as :func:`xlcfg.decode` makes them.

    `reasons` says why something was changed that nobody asked for (`repaired`); `warnings` what was seen and left alone. `attributes` has
    those of an existing file that change, as {"mode": ("0644", "0600")}.
    """

    path: str
    before: t.Optional[str]
    after: str
    repaired: bool
    reasons: t.Tuple[str, ...]
    warnings: t.Tuple[str, ...]
    attributes: t.Mapping[str, t.Tuple[t.Any, t.Any]] = {}

    @property
    def rewritten(self) -> bool:
        """Whether the file has to be written."""
        return self.before != self.after

    @property
    def changed(self) -> bool:
        """Whether it, its owner, group or mode change."""
        return self.rewritten or bool(self.attributes)


def plan_configs(
    entries: t.Sequence[t.Mapping[str, t.Any]],
    read: t.Callable[[str], t.Optional[bytes]],
    resolve: t.Optional[Resolve] = None,
    node_bits: int = NODE_BITS,
) -> t.List[ConfigChange]:
    """Decide what to write for each entry: {path, content?, and any of KEYS}; a key that is absent or None stays as it is.

    ``cpus`` and ``cpus_soft`` are a text, a number, or a list with one of these for each vCPU; an empty list removes the key, an empty
    ``pool`` and an empty ``vnuma`` likewise; ``vnuma`` is what :func:`vnuma_list` takes. `memory` and `maxmem` are MiB. `read(path)`
    gives a file's bytes, None when there is none; `resolve(text)` turns an expression that names CPUs by their place (``node:1``,
    ``package:0``) into numbers. `node_bits` is how many CPUs xl can read from ``node:``. Nothing is changed here.

    Raises Failure, which names the entry, before anything is done.
    """
    changes = []  # type: t.List[ConfigChange]
    paths = {}  # type: t.Dict[str, int]
    for index, entry in enumerate(entries):
        path = entry.get("path")
        where = "guests[{0}]".format(index)
        if not isinstance(path, str) or not path.startswith("/"):
            raise Failure(
                "{0}: path must be the absolute path of an xl configuration, not {1!r}".format(where, path)
            )
        where = "{0} ({1})".format(where, path)
        if path in paths:
            raise Failure(
                "{0}: guests[{1}] has the same path; join the two entries".format(where, paths[path])
            )
        paths[path] = index
        try:
            changes.append(plan_config(entry, read(path), resolve, node_bits))
        except Failure as failure:
            raise Failure("{0}: {1}".format(where, failure.message)) from failure
    return changes


def plan_config(
    entry: t.Mapping[str, t.Any],
    data: t.Optional[bytes],
    resolve: t.Optional[Resolve] = None,
    node_bits: int = NODE_BITS,
) -> ConfigChange:
    """Decide about one file with the content `data` (None: it does not exist). See :func:`plan_configs`."""
    base = _base(entry.get("content"), data)
    wanted = {key: entry[key] for key in KEYS if entry.get(key) is not None}
    reasons = []  # type: t.List[str]
    warnings = []  # type: t.List[str]
    config = xlcfg.parse(xlcfg.edit(base, _simple_changes(wanted)))
    if "vnuma" in wanted:
        vnodes = vnuma_list(wanted["vnuma"])
        there = (
            [] if data is None or not entry.get("keep_vnuma") else _vnodes(xlcfg.parse(xlcfg.decode(data)))
        )
        if vnodes is not None and there and _together(_said(there)) == _together(vnodes):
            vnodes = _said(there)
        if vnodes is None or vnodes != _said(_vnodes(config)):
            config = xlcfg.parse(xlcfg.edit(config.text, {"vnuma": vnodes}))
    _check_sizes(config, wanted)
    if _VNUMA_CONCERNS & set(wanted):
        _check_vnuma(config, warnings)
    for key in _AFFINITIES:
        if key not in wanted:
            _refuse_no_cpu(key, config)
    if not _stated_vcpus(config) and any(
        wanted.get(key, config.get(key)) not in (None, [], ()) for key in _AFFINITIES
    ):
        config = xlcfg.parse(xlcfg.edit(config.text, {"vcpus": 1}))
        reasons.append(NO_COUNT)
    vcpus = vcpu_count(config)
    affinities = {
        key: affinity_list(key, wanted[key], vcpus, resolve) for key in _AFFINITIES if key in wanted
    }
    config = xlcfg.parse(xlcfg.edit(config.text, affinities))

    before = None if data is None else xlcfg.decode(data)
    repairs = {}  # type: t.Dict[str, t.List[str]]
    if "cpus" not in wanted and _string_form(config):
        text = t.cast(str, config.string("cpus"))
        if not _covers_all(text):
            repairs["cpus"] = [_by_number(text, resolve)] * vcpus
        elif text.strip() != "all":
            warnings.append(
                'cpus="{0}" was left as it is: xl may put the memory on a node whose CPUs are excluded; set cpus to say '
                "which CPUs are wanted".format(visible(config, "cpus"))
            )
    # What stands on the disk, where it can be read, is at fault; a base text that was repaired before is not.
    if (affinities.get("cpus") or repairs) and _string_form_bites(base if before is None else before):
        reasons.append(STRING_FORM)
    for key in _AFFINITIES:
        if key not in wanted and key not in repairs:
            _fit(key, xlcfg.parse(base), config, repairs, reasons, warnings)
            if key in repairs:
                repairs[key] = [_by_number(text, resolve) for text in repairs[key]]
            else:
                _uncut(key, config, resolve, node_bits, repairs, reasons, warnings)
    after = xlcfg.edit(config.text, repairs)
    repaired = bool(reasons) and before != after
    return ConfigChange(
        path=entry.get("path", ""),
        before=before,
        after=after,
        repaired=repaired,
        reasons=tuple(reasons) if repaired else (),
        warnings=tuple(warnings),
    )


def _base(content: t.Optional[str], data: t.Optional[bytes]) -> str:
    """The text that the keys are set in."""
    if content is not None:
        # Templates and lookups lose the last newline; xl wants it behind a comment.
        return content if not content or content.endswith("\n") else content + "\n"
    if data is None:
        raise Failure("there is no such file; give content to create it")
    return xlcfg.decode(data)


def _simple_changes(wanted: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Changes to keys that mean the same in every file."""
    for key, (least, most) in _NUMBERS.items():
        number = wanted.get(key, least)
        if (
            isinstance(number, bool)
            or not isinstance(number, int)
            or number < least
            or number > (most or number)
        ):
            raise Failure(
                "{0} must be a whole number from {1}{2}, not {3!r}".format(
                    key, least, " to {0}".format(most) if most else "", number
                )
            )
    if wanted.get("name") == "":
        raise Failure("name must not be empty")
    changes = {key: wanted[key] for key in KEYS if key in wanted and key not in _AFFINITIES + ("vnuma",)}
    if changes.get("pool") == "":
        changes["pool"] = None
    return changes


def apply_configs(
    changes: t.Sequence[ConfigChange],
    write: t.Callable[[str, bytes], None],
    backup: t.Optional[t.Callable[[str], str]] = None,
    own: t.Callable[[str], None] = lambda path: None,
) -> t.List[t.Dict[str, t.Any]]:
    """Write what has changed, file by file, each wholly or not at all; return their :func:`result`\\ s.

    `write(path, data)` replaces the file at once, keeping owner, group and mode; a new one it makes for root alone. `backup(path)` copies an
    existing one first and returns the copy's path. `own(path)` sets owner, group and mode: of an existing file before anything is written to
    it. When one cannot be written, Failure says which, with the files already written in its result's ``done``.
    """
    done = []  # type: t.List[t.Dict[str, t.Any]]
    for change in changes:
        outcome = result(change)
        try:
            if change.attributes:
                own(change.path)
            if change.rewritten:
                if backup is not None and change.before is not None:
                    outcome["backup_file"] = backup(change.path)
                write(change.path, xlcfg.encode(change.after))
                if change.before is None:
                    own(change.path)
        except (Failure, OSError) as error:
            reason = error.message if isinstance(error, Failure) else error.strerror or str(error)
            raise Failure(
                "{0} could not be written: {1}; the files before it in the list are done, it and those after it are as they "
                "were".format(change.path, reason),
                changed=any(entry["changed"] for entry in done),
                done=done,
            ) from error
        done.append(outcome)
    return done


def result(change: ConfigChange) -> t.Dict[str, t.Any]:
    """What the user is told about one file: {path, changed, repaired, reasons, before: {key: value}, after: {key: value}}."""
    return {
        "path": printable(change.path),
        "changed": change.changed,
        "repaired": change.repaired,
        "reasons": list(change.reasons),
        "before": _keys(change.before or ""),
        "after": _keys(change.after),
    }


def difference(change: ConfigChange) -> t.Dict[str, str]:
    """One entry for a diff, a line a setting, see :func:`_view`. Why something was repaired stands in the header of the new side."""
    path = printable(change.path)
    before, after = _view(change.before or ""), _view(change.after, change.before or "")
    if before == after and change.rewritten:
        after += "# comments, blanks or quotes differ\n"
    for key, (old, new) in sorted(change.attributes.items()):
        before, after = "# {0} {1}\n".format(key, old) + before, "# {0} {1}\n".format(key, new) + after
    return {
        "before_header": path if change.before is not None else path + " (absent)",
        "after_header": path + "".join(" ({0})".format(reason) for reason in change.reasons),
        "before": before,
        "after": after,
    }


def vcpu_count(config: xlcfg.Config) -> int:
    """How many vCPUs xl gives the guest room for: maxvcpus, else those of vnuma, else vcpus, else 1."""
    return _stated_vcpus(config) or 1


def _stated_vcpus(config: xlcfg.Config) -> int:
    """The same where the file says it, else 0."""
    for key in ("maxvcpus", "vcpus"):
        number = config.integer(key)
        if number is not None and not 0 <= number <= _MOST_VCPUS:
            raise Failure("{0} = {1} is not a number of vCPUs".format(key, number))
    return config.integer("maxvcpus") or _vnuma_vcpus(config) or config.integer("vcpus") or 0


def affinity_list(
    key: str, expression: t.Any, vcpus: int, resolve: t.Optional[Resolve] = None
) -> t.Optional[t.List[str]]:
    """The list of xl CPU expressions, one for each of `vcpus` vCPUs, that `expression` asks for; None to remove the key."""
    if isinstance(expression, (list, tuple)):
        if not expression:
            return None
        if len(expression) != vcpus:
            raise Failure(
                "{0} has {1} entries and the guest {2} vCPUs (maxvcpus, else vcpus): write one entry for each vCPU, or a single "
                "text for all".format(key, len(expression), vcpus)
            )
        return [cpu_expression(key, item, resolve) for item in expression]
    return [cpu_expression(key, expression, resolve)] * vcpus


def cpu_expression(key: str, expression: t.Any, resolve: t.Optional[Resolve] = None) -> str:
    """One expression in xl's own grammar, without blanks. Raises Failure for one that xl would refuse, or read as no CPU at all."""
    if isinstance(expression, bool) or not isinstance(expression, (str, int)):
        raise Failure(
            "{0}: {1!r} does not name CPUs; write a text such as 0-3,8 or node:1".format(key, expression)
        )
    items = [item.strip() for item in str(expression).split(",")]
    matches = [_ITEM.match(item) for item in items]
    if not all(matches):
        if resolve is not None and str(expression).strip():
            return resolve(str(expression))
        wrong = next(item for item, match in zip(items, matches) if not match)
        raise Failure(
            "{0}: {1!r} in {2!r} is no CPU expression of xl: write CPUs (3), ranges (0-3), node:1 or all, each with ^ in front to "
            "take it away again".format(key, wrong, str(expression))
        )
    chosen = set()  # type: t.Set[int]
    open_ended = False  # true once there may be CPUs that only the host can name
    for item, match in zip(items, t.cast("t.List[t.Match[str]]", matches)):
        first = int(match.group("first") or 0)
        last = int(match.group("last") or first)
        if last < first:
            raise Failure("{0}: the range {1!r} in {2!r} runs backwards".format(key, item, str(expression)))
        if last - first > 65535:
            raise Failure(
                "{0}: the range {1!r} in {2!r} is longer than any host".format(key, item, str(expression))
            )
        if match.group("all") and match.group("away"):
            raise Failure("{0}: xl does not accept {1!r} in {2!r}".format(key, item, str(expression)))
        if match.group("nodes") or match.group("all"):
            open_ended = open_ended or not match.group("away")
        elif match.group("away"):
            chosen -= set(range(first, last + 1))
        else:
            chosen |= set(range(first, last + 1))
    if not chosen and not open_ended:
        raise Failure(
            "{0}: {1!r} names no CPU; xl starts from none and takes the items from left to right".format(
                key, str(expression)
            )
        )
    if resolve is not None and any(_by_node(item) for item in items):
        return resolve(",".join(items))
    if resolve is not None and open_ended and any(match and match.group("away") for match in matches):
        _refuse_all_taken_away(key, str(expression), items, resolve)
    return ",".join(items)


def _by_node(item: str) -> bool:
    """Whether an item names CPUs by node; ``node:all`` is but another word for ``all``."""
    match = _ITEM.match(item)
    return match is not None and match.group("nodes") is not None and match.group("all") is None


def _by_number(text: str, resolve: t.Optional[Resolve]) -> str:
    """What a configuration says of CPUs, in numbers where it names nodes."""
    items = text.split(",")
    # What is no CPU expression of xl's may be anything, and who resolves it would quote it.
    if resolve is None or not any(map(_by_node, items)) or not all(map(_ITEM.match, items)):
        return text
    return resolve(text)


def _refuse_all_taken_away(key: str, text: str, items: t.Sequence[str], resolve: Resolve) -> None:
    """Raise Failure where ``all`` and what is taken away leave none of the host's CPUs; nothing where the host cannot be asked."""
    try:
        everything = set(_numbers(resolve("all")))
    except Failure:
        return
    left = set()  # type: t.Set[int]
    for item in items:
        match = t.cast("t.Match[str]", _ITEM.match(item))
        numbers = set(_numbers(item.lstrip("^")))
        left = (
            set(everything)
            if match.group("all")
            else left - numbers
            if match.group("away")
            else left | numbers
        )
    if not left:
        raise Failure("{0}: {1!r} names no CPU of this host".format(key, text))


def _entries(config: xlcfg.Config, key: str) -> t.List[str]:
    """The texts for the vCPUs that there are; a single one is for all."""
    value = config.value(key)
    if isinstance(value, xlcfg.Items):
        return [str(xlcfg.plain(item)) for item in value.items[: vcpu_count(config)]]
    return [] if value is None else [value.text]


def _names_no_cpu(text: str) -> bool:
    """Whether xl, which passes over empty items, reads no CPU at all from a text."""
    chosen = set()  # type: t.Set[int]
    for item in text.split(","):
        if not item:
            continue
        match = _ITEM.match(item)
        if match is None or match.group("all") or (match.group("nodes") and not match.group("away")):
            return False
        if not match.group("nodes"):
            first = int(match.group("first"))
            numbers = range(first, min(int(match.group("last") or first), first + 65535) + 1)
            chosen = chosen.difference(numbers) if match.group("away") else chosen.union(numbers)
    return not chosen


def _refuse_no_cpu(key: str, config: xlcfg.Config) -> None:
    if any(_names_no_cpu(text) for text in _entries(config, key)):
        raise Failure(
            "{0} in the file names no CPU, and xl refuses such a guest where vcpus is set (seen with 4.17): give {0}, or an empty list to "
            "remove it".format(key)
        )


def _uncut(
    key: str,
    config: xlcfg.Config,
    resolve: t.Optional[Resolve],
    node_bits: int,
    repairs: t.Dict[str, t.List[str]],
    reasons: t.List[str],
    warnings: t.List[str],
) -> None:
    """Turn nodes into numbers where xl would read fewer CPUs than there are on them."""
    entries = _entries(config, key)
    if resolve is None or not any(_by_node(item) for text in entries for item in text.split(",")):
        return
    try:
        numbered = [_by_number(text, resolve) for text in entries]
    except Failure as failure:
        warnings.append(
            "{0} names CPUs by node, of which xl reads none from {1} on, and whether this host has such could not be found out: {2}".format(
                key, node_bits, failure.message
            )
        )
        return
    if any(number >= node_bits for text in numbered for number in _numbers(text)):
        repairs[key] = (
            numbered if isinstance(config.value(key), xlcfg.Items) else numbered * vcpu_count(config)
        )
        reasons.append(NODES_CUT.format(key, node_bits))


def _readable(text: str) -> t.Optional[xlcfg.Config]:
    """The parsed text; None when xl could not read it either, as may be with what a base text replaces."""
    try:
        return xlcfg.parse(text)
    except xlcfg.ConfigSyntaxError:
        return None


def _keys(text: str) -> t.Dict[str, t.Any]:
    config = _readable(text)
    if config is None:
        return {}
    found = {key: visible(config, key) for key in KEYS if config.value(key) is not None}
    for key in _NUMBERS:
        # xl takes a number in quotes for a number.
        number = xlcfg.to_integer(found[key]) if isinstance(found.get(key), str) else None
        if number is not None:
            found[key] = number
    return found


def _check_sizes(config: xlcfg.Config, wanted: t.Mapping[str, t.Any]) -> None:
    for now, most in (("vcpus", "maxvcpus"), ("memory", "maxmem")):
        if now not in wanted and most not in wanted:
            continue
        numbers = [config.integer(key) for key in (now, most)]
        if None not in numbers and t.cast(int, numbers[0]) > t.cast(int, numbers[1]):
            raise Failure(
                "{0} = {1} is more than {2} = {3}: set both".format(now, numbers[0], most, numbers[1])
            )


def _string_form(config: xlcfg.Config) -> bool:
    """Whether xl would choose nodes without regard to the cpus that are given."""
    return (
        isinstance(config.value("cpus"), xlcfg.Atom)
        and config.value("cpus_soft") is None
        and not any("pnode" in option for vnode in _vnodes(config) for option in vnode)
    )


def _string_form_bites(text: str) -> bool:
    """Whether a text has the string form with CPUs that matter. False for one that xl could not read either."""
    config = _readable(text)
    return config is not None and _string_form(config) and not _covers_all(t.cast(str, config.string("cpus")))


def _covers_all(text: str) -> bool:
    """Whether a CPU expression starts from all CPUs. A list would end automatic placement, and with it what is good about it."""
    return any(item.strip() in ("all", "node:all", "nodes:all") for item in text.split(","))


def _vnodes(config: xlcfg.Config) -> t.List[t.Dict[str, str]]:
    """The virtual NUMA nodes of ``vnuma`` as {option: text}."""
    vnuma = config.get("vnuma")
    found = []
    for vnode in vnuma if isinstance(vnuma, list) else []:
        options = vnode if isinstance(vnode, list) else []
        pairs = [str(option).partition("=") for option in options]
        found.append({name.strip(): text.strip() for name, _equals, text in pairs})
    return found


def _is_number(text: str) -> bool:
    """Whether a text is a number, of nodes or MiB: digits that int() reads, and no more than make sense."""
    return re.match(r"[0-9]{1,15}\Z", text) is not None


def vnuma_memory(config: xlcfg.Config) -> t.Dict[int, int]:
    """MiB of the host's nodes that ``vnuma`` takes; nothing where it is not there, or not of numbers."""
    found = {}  # type: t.Dict[int, int]
    for vnode in _vnodes(config):
        node, size = vnode.get("pnode", ""), vnode.get("size", "")
        if not (_is_number(node) and _is_number(size)):
            return {}
        found[int(node)] = found.get(int(node), 0) + int(size)
    return found


def _vnuma_vcpus(config: xlcfg.Config) -> int:
    return sum(len(_numbers(vnode.get("vcpus", ""))) for vnode in _vnodes(config))


def _numbers(text: str) -> t.List[int]:
    """The numbers of a list such as ``0-1, 4``; what cannot be read is left out, as by xl's own count."""
    found = []  # type: t.List[int]
    for item in text.split(","):
        match = re.match(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*\Z", item)
        if match:
            first, last = int(match.group(1)), int(match.group(2) or match.group(1))
            found += range(first, min(last, first + _MOST_VCPUS) + 1)
    return found


def vnuma_list(vnodes: t.Any) -> t.Optional[t.List[t.List[str]]]:
    """``vnuma`` in xl's words from [{node, memory, vcpus, distances}], one for each virtual node; None to remove the key.

    `node` is the physical node that the memory (MiB) is taken from, and from no other; `vcpus` a text such as ``0-1``, a number, or a
    list of numbers; `distances` (SLIT units) are those to each virtual node, in their order, or absent: xl then takes 10 and 20.
    """
    if not isinstance(vnodes, (list, tuple)):
        raise Failure("vnuma must be a list with an entry for each virtual node, not {0!r}".format(vnodes))
    written = []
    for index, vnode in enumerate(vnodes):
        where = "vnuma[{0}]".format(index)
        if not isinstance(vnode, dict) or set(vnode) - set(_VNODE):
            raise Failure("{0} must be a mapping of {1}, not {2!r}".format(where, ", ".join(_VNODE), vnode))
        sizes = [vnode.get("node"), vnode.get("memory")]
        if any(isinstance(size, bool) or not isinstance(size, int) for size in sizes) or not (
            t.cast(int, sizes[0]) >= 0 and t.cast(int, sizes[1]) > 0
        ):
            raise Failure(
                "{0}: node must be the number of a NUMA node of the host, and memory a whole number of MiB".format(
                    where
                )
            )
        vcpus = vnode.get("vcpus")
        text = ",".join(str(item) for item in (vcpus if isinstance(vcpus, (list, tuple)) else [vcpus]))
        if not re.match(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*\Z", text):
            raise Failure(
                "{0}: vcpus must be numbers of vCPUs, such as 0-1 or [0, 1], not {1!r}".format(where, vcpus)
            )
        options = ["pnode={0}".format(sizes[0]), "size={0}".format(sizes[1]), "vcpus={0}".format(text)]
        distances = vnode.get("distances")
        if distances:
            if (
                not isinstance(distances, (list, tuple))
                or len(distances) != len(vnodes)
                or not all(isinstance(distance, int) and 10 <= distance <= 255 for distance in distances)
                or distances[index] != _LOCAL
            ):
                raise Failure(
                    "{0}: distances must be {1} numbers from 10 to 255, one to each virtual node, with 10 for itself, not "
                    "{2!r}".format(where, len(vnodes), distances)
                )
            options.append("vdistances={0}".format(",".join(str(distance) for distance in distances)))
        written.append(options)
    return written or None


def _said(vnodes: t.Sequence[t.Mapping[str, str]]) -> t.List[t.List[str]]:
    """What a file says of virtual nodes, written as :func:`vnuma_list` does, so that blanks and order make no difference."""
    names = ("pnode", "size", "vcpus", "vdistances")
    return [
        ["{0}={1}".format(name, re.sub(r"\s", "", vnode[name])) for name in names if name in vnode]
        for vnode in vnodes
    ]


def _together(vnodes: t.Sequence[t.Sequence[str]]) -> t.Any:
    """What virtual nodes are whatever they have each: the nodes of the host, and all their memory and vCPUs; None when not readable."""
    fields = [dict(option.split("=", 1) for option in vnode) for vnode in vnodes]
    sizes = [vnode.get("size", "") for vnode in fields]
    if not all(_is_number(size) for size in sizes):
        return None
    vcpus = sorted(vcpu for vnode in fields for vcpu in _numbers(vnode.get("vcpus", "")))
    return sorted(vnode.get("pnode", "") for vnode in fields), sum(int(size) for size in sizes), vcpus


_VNUMA_CONCERNS = {"vnuma", "memory", "maxmem", "vcpus", "maxvcpus", "content"}


def _check_vnuma(config: xlcfg.Config, warnings: t.List[str]) -> None:
    """Raise Failure for virtual nodes that xl would refuse when the guest starts (xl_parse.c, libxl_vnuma.c)."""
    vnodes = _vnodes(config)
    if not vnodes:
        return
    kind = config.string("type") or ("hvm" if config.string("builder") == "hvm" else "pv")
    if kind == "pv":
        raise Failure("vnuma is for HVM guests, xl refuses it for a PV guest: remove it, or set type to hvm")
    if kind == "pvh":
        warnings.append(
            "vnuma in a PVH guest: xl cannot build its ACPI tables (XENMEM_get_vnumainfo: no buffer space; seen with Xen 4.17), and the "
            "guest does not start"
        )
    sizes = [vnode.get("size", "") for vnode in vnodes]
    memory, most = config.integer("memory"), config.integer("maxmem")
    if all(_is_number(size) for size in sizes):
        total = sum(int(size) for size in sizes)
        wanted = most if most is not None else memory
        if wanted is not None and total != wanted:
            raise Failure(
                "the virtual nodes of vnuma have {0} MiB together, and {1} is {2}: xl wants them to be the same".format(
                    total, "memory" if most is None else "maxmem", wanted
                )
            )
    if None not in (memory, most) and memory != most:
        raise Failure(
            "memory is {0} and maxmem {1}: with vnuma they have to be the same, as its memory cannot be populated on demand".format(
                memory, most
            )
        )
    vcpus = [vcpu for vnode in vnodes for vcpu in _numbers(vnode.get("vcpus", ""))]
    count = config.integer("maxvcpus") or config.integer("vcpus") or 1
    if sorted(vcpus) != list(range(count)):
        raise Failure(
            "the virtual nodes of vnuma have the vCPUs {0}, and the guest has {1}: each of 0 to {2} has to be in one of them".format(
                ", ".join(str(vcpu) for vcpu in sorted(vcpus)) or "none", count, count - 1
            )
        )


def _fit(
    key: str,
    before: xlcfg.Config,
    config: xlcfg.Config,
    repairs: t.Dict[str, t.List[str]],
    reasons: t.List[str],
    warnings: t.List[str],
) -> None:
    """Keep a list of affinities that nobody spoke about in step with the number of vCPUs."""
    vcpus = vcpu_count(config)
    entries = config.get(key)
    if not isinstance(entries, list) or not entries or len(entries) == vcpus:
        return
    if len(entries) > vcpus or vcpu_count(before) == vcpus:
        if len(entries) < vcpus:
            warnings.append(
                "{0} has {1} entries for {2} vCPUs: those without an entry may run anywhere".format(
                    key, len(entries), vcpus
                )
            )
        return  # entries without a vCPU mean nothing to xl
    if any(str(entry) != str(entries[0]) for entry in entries):
        raise Failure(
            "{0} in the file has {1} different entries and the guest would have {2} vCPUs: give {0} as well".format(
                key, len(entries), vcpus
            )
        )
    repairs[key] = [str(entries[0])] * vcpus
    reasons.append("{0} had {1} entries, now one for each of the {2} vCPUs".format(key, len(entries), vcpus))


HIDDEN = "********"
_WORD = re.compile(
    "pvh?|hvm|generic|linux|destroy|(rename-)?restart|preserve|coredump-(destroy|restart)|soft-reset"
)
_SHAPES = {
    "name": re.compile("[^\"'=;\\n]{1,255}"),
    "uuid": re.compile("[0-9a-fA-F-]{1,36}"),
    "pool": re.compile(r"[\w.-]{1,64}"),
    "vnuma": re.compile(r"\s*(pnode|size|vcpus|vdistances)\s*=[0-9,\s-]{0,4000}"),
}  # type: t.Dict[str, t.Pattern[str]]


def _is_harmless(key: str, value: t.Any) -> bool:
    """Whether a value may be shown: what this collection writes, and a few words, as far as they look like what belongs there.

    Anything else may be a password, or have one in it, in one spelling or another: in disk, vfb, extra, device_model_args, a key that is new.
    """
    if isinstance(value, xlcfg.Items):
        return all(_is_harmless(key, item) for item in value.items)
    if key in _AFFINITIES:
        return all(_ITEM.match(item.strip()) for item in value.text.split(","))
    if key in _NUMBERS:
        return xlcfg.to_integer(value.text) is not None
    shape = _SHAPES.get(key)
    if shape is not None:
        return shape.fullmatch(value.text) is not None
    return (key in ("type", "builder") or key.startswith("on_")) and _WORD.fullmatch(value.text) is not None


def visible(config: xlcfg.Config, key: str) -> t.Any:
    """The value of a key for people, None where there is none, HIDDEN where it may be a password or have one in it."""
    value = config.value(key)
    return printable(config.get(key)) if value is None or _is_harmless(key, value) else HIDDEN


def _view(text: str, earlier: t.Optional[str] = None) -> str:
    """The settings of a configuration, one a line, in their order, with what is not harmless hidden; no comments.

    A hidden setting that is not what it is in the text `earlier` says so.
    """
    config = _readable(text)
    if config is None:
        return "(xl cannot read these {0} lines)\n".format(text.count("\n") + 1)
    before = _readable(earlier or "")
    known = {}  # type: t.Dict[str, t.List[t.Any]]
    for one in before.statements if before else ():
        known.setdefault(one.key, []).append(xlcfg.plain(one.value))
    lines = []
    for one in config.statements:
        value = _written(one.value) if _is_harmless(one.key, one.value) else HIDDEN
        if value == HIDDEN and xlcfg.plain(one.value) not in known.get(one.key, [xlcfg.plain(one.value)]):
            value += " (changed)"
        lines.append("{0} {1} {2}\n".format(one.key, one.operator, value))
    return "".join(lines)


def _written(value: t.Any) -> str:
    if isinstance(value, xlcfg.Items):
        return "[" + ", ".join(_written(item) for item in value.items) + "]"
    return t.cast(str, printable(xlcfg.render(value.text, value.quote) if value.quote else value.text))


# Words of configurations that stand in many a sentence of xl's as well.
_COMMON = {
    "disk",
    "file",
    "raw",
    "vif",
    "bridge",
    "kernel",
    "ramdisk",
    "root",
    "type",
    "target",
    "format",
    "vdev",
    "access",
    "script",
}
_BETWEEN = re.compile("[\\s,:;=%'\"`()\\[\\]{}]+")


def hide_values(text: str, output: str) -> str:
    """What a command printed, without the words that stand in the configuration `text` where a password may be."""
    config = _readable(text)
    if config is None:
        return HIDDEN if output else ""
    hidden = []  # type: t.List[str]
    for one in config.statements:
        if not _is_harmless(one.key, one.value):
            hidden += _texts(one.value)
    pieces = {piece for value in hidden for piece in _BETWEEN.split(value) if len(piece) > 2} - _COMMON
    for value in sorted(hidden, key=len, reverse=True):
        if len(value) > 2 and value not in _COMMON:
            output = output.replace(value, HIDDEN)

    def hide(match: t.Match[str]) -> str:
        word = match.group()
        bare = word.strip("`'\"(),.;:")
        whole = len(bare) > 3 and bare not in _COMMON and any(bare in value for value in hidden)
        return HIDDEN if whole or not pieces.isdisjoint(_BETWEEN.split(word)) else word

    return re.sub(r"\S+", hide, output)


def _texts(value: t.Any) -> t.List[str]:
    """The texts in a value."""
    return (
        [text for item in value.items for text in _texts(item)]
        if isinstance(value, xlcfg.Items)
        else [value.text]
    )
