# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Boot loaders' layouts: which files set Xen's words on this host, what writes the menu from them, and what the next boot has.

A *layout* is a value. :func:`find` recognises one, :func:`settle` sets the words and looks whether the next boot has them. Files and
commands come in as a `Host`.
"""

import posixpath
import re
import typing as t

from .._errors import Failure
from .._topology import command_line, xen_options
from . import fragments, grub

GRUB, EXTLINUX, XEN_CFG, XCP = LAYOUTS = ("grub", "extlinux", "xen_cfg", "xcp")
DROP_IN = "/etc/default/grub.d/zz-dom0-xen.cfg"
#: Where earlier versions had theirs.
FORMER_DROP_IN = "/etc/default/grub.d/dom0-xen.cfg"
XEN_CMDLINE = "/opt/xensource/libexec/xen-cmdline"
#: GRUB's scripts write ``${GRUB_CMDLINE_XEN} ${GRUB_CMDLINE_XEN_DEFAULT}`` (20_linux_xen).
_VARIABLES = ("GRUB_CMDLINE_XEN", "GRUB_CMDLINE_XEN_DEFAULT")
_EXTLINUX_SETTINGS, _EXTLINUX_MENU = "/etc/update-extlinux.conf", "/boot/extlinux.conf"
_ESP = ("/boot/efi", "/efi", "/boot")
_HEAD = "# Written by the Ansible role dom0.xen.dom0: what is changed here is lost.\n"


class Host(t.NamedTuple):
    """The ways to a host: all take absolute paths. `read` gives None where there is no file, `run` (status, output of both kinds)."""

    read: t.Callable[[str], t.Optional[str]]
    write: t.Callable[[str, str], None]
    remove: t.Callable[[str], None]
    names: t.Callable[[str], t.List[str]]
    which: t.Callable[[str], t.Optional[str]]
    run: t.Callable[[t.Sequence[str]], t.Tuple[int, str]]


class Layout(t.NamedTuple):
    """`settings` is the file for a shell in which words are set (xen.cfg itself for XEN_CFG), `menu` what the boot loader reads."""

    kind: str
    menu: str
    command: t.Tuple[str, ...]
    settings: str
    drop_in: str


class Found(t.NamedTuple):
    """The line that the next boot starts Xen with: all its ways, the entry, and where it stands."""

    lines: t.Tuple[t.Tuple[str, ...], ...]
    entry: str
    path: str
    number: int


class Outcome(t.NamedTuple):
    """`files` are those that change, with both texts; `found` is None where nothing was asked for, or in check mode before a change."""

    layout: t.Optional[Layout]
    changed: bool
    files: t.Tuple[t.Tuple[str, t.Optional[str], t.Optional[str]], ...]
    found: t.Optional[Found]


def find(
    host: Host,
    kind: t.Optional[str],
    menu: t.Optional[str],
    command: t.Sequence[str],
    drop_in: t.Optional[str],
) -> Layout:
    """Recognise the layout; what is given is taken as it is. Raises Failure where there is none that is known."""
    if kind is None:
        if command:
            kind = EXTLINUX if posixpath.basename(command[0]) == "update-extlinux" else GRUB
        elif host.which(XEN_CMDLINE):
            kind = XCP
        elif any(map(host.which, ("update-grub", "grub2-mkconfig", "grub-mkconfig"))):
            kind = GRUB
        elif host.which("update-extlinux") and host.read(_EXTLINUX_SETTINGS) is not None:
            kind = EXTLINUX
        elif _xen_cfgs(host):
            kind = XEN_CFG
        else:
            raise Failure(
                "no boot loader was found that is known here: no {0}, update-grub, grub-mkconfig, grub2-mkconfig or update-extlinux on "
                "the PATH, and no xen.cfg on the EFI system partition".format(XEN_CMDLINE)
            )
    if command and not host.which(command[0]):
        raise Failure(
            "there is no {0} on this host, which is to write the boot loader's menu".format(command[0])
        )
    if kind == EXTLINUX:
        return Layout(
            kind, menu or _EXTLINUX_MENU, tuple(command) or ("update-extlinux",), _EXTLINUX_SETTINGS, ""
        )
    if kind == XEN_CFG:
        there = [menu] if menu else _xen_cfgs(host)
        if len(there) != 1:
            raise Failure(
                "there {0}: name the one that xen.efi reads (dom0_menu)".format(
                    "are several files for xen.efi, " + ", ".join(there)
                    if there
                    else "is no xen.cfg on the EFI system partition"
                )
            )
        return Layout(kind, there[0], (), there[0], "")
    menu = menu or _grub_menu(host)
    if kind == XCP:
        return Layout(kind, menu, (XEN_CMDLINE,), "", "")
    if not command:
        tool = next(
            (tool for tool in ("update-grub", "grub2-mkconfig", "grub-mkconfig") if host.which(tool)), None
        )
        if tool is None:
            raise Failure("there is no update-grub, grub-mkconfig or grub2-mkconfig on this host")
        command = [tool] if tool == "update-grub" else [tool, "-o", menu]
    drop_in = drop_in or DROP_IN
    folder = posixpath.dirname(drop_in)
    # The file that a folder of drop-ins belongs to; there is none for a folder of another name.
    return Layout(kind, menu, tuple(command), folder[:-2] if folder.endswith("/grub.d") else "", drop_in)


def _xen_cfgs(host: Host) -> t.List[str]:
    found = []
    for root in _ESP:
        for vendor in host.names(root + "/EFI"):
            folder = posixpath.join(root, "EFI", vendor)
            found += [
                folder + "/" + name
                for name in host.names(folder)
                if re.match(r"xen.*\.cfg\Z", name, re.IGNORECASE)
            ]
    return sorted(set(found))


def _grub_menu(host: Host) -> str:
    """The menu that GRUB shows: of some distributions' the one beside GRUB on the EFI system partition only names another."""
    there = ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"]
    for root in _ESP:
        there += ["{0}/EFI/{1}/grub.cfg".format(root, vendor) for vendor in host.names(root + "/EFI")]
    menus = [path for path in there if "menuentry" in (host.read(path) or "")]
    if not menus:
        # It will be there when it was written.
        return there[1] if host.names("/boot/grub2") else there[0]
    if len(menus) > 1:
        raise Failure(
            "there are several menus of GRUB, {0}: name the one that boots (dom0_menu)".format(
                ", ".join(menus)
            )
        )
    return menus[0]


def look(host: Host, layout: Layout) -> Found:
    """Read what the next boot starts Xen with. Raises Failure that names the file."""
    text = host.read(layout.menu)
    if text is None:
        raise Failure("there is no {0}".format(layout.menu))
    try:
        if layout.kind == EXTLINUX:
            words, label, number = fragments.extlinux_line(text)
            return Found((words,), label, layout.menu, number)
        if layout.kind == XEN_CFG:
            section = fragments.cfg_section(text)
            options, number = fragments.cfg_options(text, section)
            return Found((tuple((options or "").split()),), section, layout.menu, number)
        folder = posixpath.dirname(layout.menu)
        block = host.read(folder + "/grubenv")

        def read(path: str) -> t.Optional[str]:
            # Beside the menu, where GRUB has it without a folder or by a variable of its own.
            if posixpath.dirname(path) not in ("", "/"):
                return None
            return host.read(folder + "/" + posixpath.basename(path)) or ""

        lines = grub.default_lines(text, None if block is None else grub.parse_environment(block), read)
    except Failure as failure:
        raise Failure("{0}: {1}".format(layout.menu, failure.message)) from failure
    first = lines[0]
    if first.command == "chainloader":
        return _chained(host, layout, first)
    return Found(tuple(line.words for line in lines), first.entry, layout.menu, first.number)


def _chained(host: Host, layout: Layout, line: grub.Line) -> Found:
    """What xen.efi, started by GRUB, reads from the file beside it."""
    image = re.sub(r"\A\([^)]*\)", "", line.image)
    name = posixpath.splitext(image)[0] + ".cfg"
    section = next(
        (word for word in reversed(line.words) if not word.endswith(".efi") and "=" not in word), None
    )
    for root in (*_ESP, ""):
        text = host.read(root + name)
        if text is not None:
            try:
                section = fragments.cfg_section(text, section)
            except Failure as failure:
                raise Failure("{0}: {1}".format(root + name, failure.message)) from failure
            options, number = fragments.cfg_options(text, section)
            return Found((tuple((options or "").split()),), line.entry, root + name, number)
    raise Failure(
        "{0}, line {1}: the default entry {2!r} starts {3}, which reads its own xen.cfg, and that was not found: name it (dom0_menu), with "
        "the layout xen_cfg".format(layout.menu, line.number, line.entry, line.image)
    )


def missing(words: t.Sequence[str], line: t.Sequence[str]) -> t.List[str]:
    """Return those of `words` that have no effect on a line: what stands behind ``--`` is for dom0's kernel."""
    own = line[: list(line).index("--")] if "--" in line else line
    return [
        one.name if one.value is None else one.name + "=" + one.value
        for one in xen_options.missing(command_line.parse(" ".join(words)), command_line.parse(" ".join(own)))
    ]


def settle(host: Host, layout: Layout, words: t.Sequence[str], check: bool) -> Outcome:
    """Have the next boot start Xen with `words`; without words, take away what was set earlier.

    Where the words have no effect then, all files are put back and Failure says which file has what is in the way, and what to write.
    In check mode nothing is written; what can be foreseen fails alike.
    """
    ways = _ways(host, layout, words)
    if not words:
        return _unset(host, layout, ways[0], check)
    errors = []  # type: t.List[Failure]
    before = _look(host, layout)
    if not _differences(host, ways[0]) and _absent(words, before) == []:
        return Outcome(layout, False, (), before)
    menu = host.read(layout.menu)
    for way in ways:
        files = _differences(host, way)
        if check:
            foreseen = _foreseen(host, layout, way, words)
            if foreseen is None:
                return Outcome(layout, True, files, None)
            errors.append(foreseen)
            continue
        try:
            _carry_out(host, layout, files, words)
            now = look(host, layout)
            if not _absent(words, now):
                return Outcome(layout, True, files, now)
            errors.append(_in_the_way(host, layout, words, now))
        except Failure as failure:
            errors.append(failure)
        except BaseException:
            _put_back(host, layout, files, menu)
            raise
        _put_back(host, layout, files, menu)
    raise Failure(
        "{0}. Nothing was changed. These words are to be on the line that starts Xen in the entry that boots: {1}".format(
            errors[0].message.rstrip("."), " ".join(words)
        )
    )


Way = t.Dict[str, t.Optional[str]]


def _ways(host: Host, layout: Layout, words: t.Sequence[str]) -> t.List[Way]:
    """What to write, as {path: text, or None for no such file}, the way to try first in front."""
    if layout.kind == XCP:
        return [{}]
    settings = host.read(layout.settings)
    if layout.kind == XEN_CFG:
        text = t.cast(str, settings)
        try:
            return [{layout.settings: fragments.cfg_edited(text, fragments.cfg_section(text), words)}]
        except Failure as failure:
            raise Failure("{0}: {1}".format(layout.settings, failure.message)) from failure
    if layout.kind == EXTLINUX:
        return [{layout.settings: fragments.shell_settings(settings or "", "xen_opts", words)}]
    quoted = [fragments.quoted(word) for word in words]
    drop_in = _HEAD + '{0}="${0} {1}"\n'.format(_VARIABLES[1], " ".join(quoted)) if words else None
    without = None if settings is None else fragments.shell_settings(settings, _VARIABLES[1], ())
    former = (
        {FORMER_DROP_IN: None} if layout.drop_in == DROP_IN and _is_ours(host.read(FORMER_DROP_IN)) else {}
    )  # type: Way
    by_drop_in = dict(former, **{layout.drop_in: drop_in})
    by_settings = dict(former, **{layout.drop_in: None})
    if settings is not None:
        by_drop_in[layout.settings] = without
        by_settings[layout.settings] = fragments.shell_settings(settings, _VARIABLES[1], quoted)
    if settings is not None and (settings != without or not _has_drop_ins(host, layout)):
        # It is set there already, or drop-ins are not read here.
        return [by_settings, by_drop_in] if settings != without else [by_settings]
    return [by_drop_in, by_settings] if settings is not None else [by_drop_in]


def _is_ours(text: t.Optional[str]) -> bool:
    return text is not None and text.startswith(_HEAD)


def _has_drop_ins(host: Host, layout: Layout) -> bool:
    """Whether grub-mkconfig may read drop-ins: the folder is there, or the script names it."""
    folder = posixpath.dirname(layout.drop_in)
    if host.names(folder):
        return True
    for tool in ("grub2-mkconfig", "grub-mkconfig"):
        path = host.which(tool)
        if path and "default/grub.d" in (host.read(path) or ""):
            return True
    return False


def _differences(host: Host, way: Way) -> t.Tuple[t.Tuple[str, t.Optional[str], t.Optional[str]], ...]:
    return tuple(
        (path, host.read(path), text) for path, text in sorted(way.items()) if host.read(path) != text
    )


def _look(host: Host, layout: Layout) -> t.Optional[Found]:
    try:
        return look(host, layout)
    except Failure:
        return None


def _absent(words: t.Sequence[str], found: t.Optional[Found]) -> t.Optional[t.List[str]]:
    """The words without an effect on one of the lines that may boot; None when there is no line."""
    if found is None:
        return None
    absent = {word for line in found.lines for word in missing(words, line)}
    return [word for word in words if word in absent]


def _carry_out(
    host: Host,
    layout: Layout,
    files: t.Sequence[t.Tuple[str, t.Optional[str], t.Optional[str]]],
    words: t.Sequence[str],
) -> None:
    for path, _before, after in files:
        _place(host, path, after)
    if not layout.command:
        return
    argv = list(layout.command)
    if layout.kind == XCP:
        argv += ["--set-xen", *words]
    status, output = host.run(argv)
    if status:
        raise Failure(
            "{0} failed with status {1}: {2}".format(
                " ".join(argv), status, " / ".join(output.split("\n")[-5:]).strip()
            )
        )


def _place(host: Host, path: str, text: t.Optional[str]) -> None:
    if text is None:
        host.remove(path)
    else:
        host.write(path, text)


def _put_back(
    host: Host,
    layout: Layout,
    files: t.Sequence[t.Tuple[str, t.Optional[str], t.Optional[str]]],
    menu: t.Optional[str],
) -> None:
    """Have the files as they were before, and the menu to the letter."""
    for path, before, _after in files:
        if host.read(path) != before:
            _place(host, path, before)
    if menu is not None and host.read(layout.menu) != menu:
        host.write(layout.menu, menu)


def _unset(host: Host, layout: Layout, way: Way, check: bool) -> Outcome:
    files = _differences(host, way)
    if files and not check:
        menu = host.read(layout.menu)
        try:
            _carry_out(host, layout, files, ())
        except BaseException:
            _put_back(host, layout, files, menu)
            raise
    return Outcome(layout, bool(files), files, None)


# --- what is in the way


def _culprit(words: t.Sequence[str], line: t.Sequence[str]) -> t.Optional[str]:
    """The word of a line without which more of `words` would have their effect."""
    least, found = len(missing(words, line)), None
    wanted = set(words)
    for at in range(len(line) - 1, -1, -1):
        if line[at] in wanted and line.count(line[at]) == 1:
            continue
        rest = missing(words, [*line[:at], *line[at + 1 :]])
        if len(rest) < least:
            least, found = len(rest), line[at]
    return found


def _in_the_way(host: Host, layout: Layout, words: t.Sequence[str], found: Found) -> Failure:
    """Why words that were set have no effect: by which word of which file."""
    line = next(line for line in found.lines if missing(words, line))
    absent = missing(words, line)
    where = "{0}, line {1}".format(found.path, found.number)
    culprit = _culprit(words, line)
    if culprit is not None:
        place = _set_in(host, layout, culprit) or where
        return Failure(
            "the next boot would start Xen without the effect of {0}: {1} has {2}, which counts for Xen instead, or adds to it; write {0} in "
            "its place there".format(" ".join(absent), place, culprit)
        )
    behind = None
    for path, one in _all_assignments(host, layout):
        if _is_ours(host.read(path)):
            behind = ""
        elif (
            behind is not None
            and one.name == _VARIABLES[1]
            and not re.search(r"\$\{?" + one.name + r"\b", one.text)
        ):
            behind = "; {0}, line {1} assigns {2} anew behind {3}: name the drop-in so that it comes later (dom0_file), or write the words there".format(
                path, one.number, one.name, layout.drop_in
            )
    return Failure(
        "the next boot would start Xen without {0}: {1}, which {2} wrote, does not have what was set{3}".format(
            " ".join(absent), where, " ".join(layout.command) or "nothing", behind or ""
        )
    )


def _setting_files(host: Host, layout: Layout) -> t.List[str]:
    """The files for a shell in the order in which they are read."""
    if layout.kind == GRUB:
        folder = posixpath.dirname(layout.drop_in)
        return [layout.settings] + [
            folder + "/" + name for name in sorted(host.names(folder)) if name.endswith(".cfg")
        ]
    return [layout.settings] if layout.kind == EXTLINUX else []


def _all_assignments(host: Host, layout: Layout) -> t.List[t.Tuple[str, fragments.Assignment]]:
    names = _VARIABLES if layout.kind == GRUB else ("xen_opts",)
    return [
        (path, one)
        for path in _setting_files(host, layout)
        for one in fragments.assignments(host.read(path) or "", names)
    ]


def _set_in(host: Host, layout: Layout, word: str) -> t.Optional[str]:
    for path, one in reversed(_all_assignments(host, layout)):
        if re.search(r"(?:\A|[\s\"'])" + re.escape(word) + r"(?:[\s\"']|\Z)", one.text):
            return "{0}, line {1}".format(path, one.number)
    return None


def _foreseen(host: Host, layout: Layout, way: Way, words: t.Sequence[str]) -> t.Optional[Failure]:
    """In check mode: the failure that the run would end with, as far as the settings tell."""
    if layout.kind == XCP:
        return None
    if layout.kind == XEN_CFG:
        text = t.cast(str, way[layout.settings])
        options, number = fragments.cfg_options(text, fragments.cfg_section(text))
        line = (options or "").split()
        return (
            _in_the_way(host, layout, words, Found((tuple(line),), "", layout.menu, number))
            if missing(words, line)
            else None
        )
    found = Found(((),), "", layout.menu, 1)
    try:
        found = look(host, layout) if host.read(layout.menu) else found
    except Failure as failure:
        return failure
    overlaid = host._replace(
        read=lambda path: way[path] if path in way else host.read(path),
        names=lambda folder: sorted(
            {
                *host.names(folder),
                *(posixpath.basename(path) for path in way if posixpath.dirname(path) == folder),
            }
        ),
    )
    known = dict.fromkeys(_VARIABLES if layout.kind == GRUB else ("xen_opts",), "")
    for _path, one in _all_assignments(overlaid, layout):
        value = re.sub(
            r"\$(?:\{(\w+)\}|(\w+))",
            lambda match: known.get(match.group(1) or match.group(2), "\0"),
            one.text,
        )
        known[one.name] = re.sub(r"[\"']", "", value)
    foreseen = " ".join(known[name] for name in sorted(known))
    if re.search("[\0`$\\\\]", foreseen):
        return None
    line = foreseen.split()
    if (
        layout.kind == GRUB
        and not _has_drop_ins(host, layout)
        and any(missing(words, one) for one in found.lines)
    ):
        return None
    return (
        _in_the_way(overlaid, layout, words, found._replace(lines=(tuple(line),)))
        if missing(words, line)
        else None
    )
