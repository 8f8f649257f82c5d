# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Xen's command line: its words, and the settings that they come to. Pure.

A *setting* is one variable of Xen that words assign: ``(option, part)``, with part "" for what the option itself says. Of most options
the last word counts. Some are lists of parts that add up over words (`PARTS`), and some words add to a list (`LISTS`).

Source: docs/misc/xen-command-line.pandoc of Xen; xen/common/kernel.c (parse_params, parse_bool, parse_boolean); and the function behind
each custom_param(), Xen 4.12 to 4.23-dev.
"""

import re
import typing as t

from .model import Parameter

MOST_NODES = 64  # MAX_NUMNODES

_NO = frozenset(("no", "off", "false", "disable", "0"))
_YES = frozenset(("yes", "on", "true", "enable", "1"))


def _words(text: str) -> t.FrozenSet[str]:
    return frozenset(text.split())


#: Options whose value is a list of parts, each a setting of its own that stays as it is when a later word does not name it.
PARTS = _words(
    "acpi argo cet cpuid dom0 dom0-cpuid dom0-iommu efi ept gnttab hpet iommu mmcfg pci psr pv pv-l1tf "
    "spec-ctrl tsc ucode vpmu xpti"
)
#: Options of which each word adds something to a list.
LISTS = _words("dom0_nodes ivmd pci-phantom rmrr")

#: Switches: any other value leaves them as they were.
SWITCHES = _words(
    "acpi_pstate_strict acpi_skip_timer_override allow_unsafe altp2m apicv arat asid async-show-all ats "
    "cmos-rtc-probe console_to_ring cpuidle cpuinfo dit dom0_vcpus_pin e820-mtrr-clip e820-verbose ext_regions "
    "force-ept fred global-pages hap hap_1gb hap_2mb hest_disable hmp-unsafe hpetbroadcast hvm_fep hvm_port80 invpcid "
    "iommu_inclusive_mapping lapic lapic_timer_c2_ok ler llc-coloring mce mce_fb msi mtrr.show mwait-idle noapic "
    "noirqbalance noreboot nosmp partial-emulation pci-passthrough pdx-compress pku probe-port-aliases pv-linear-pt "
    "pv-shim ro-hpet sched_smt_power_savings scmi-smc-passthrough scrub-domheap smt sync_console tdt "
    "tickle_one_idle_cpu tmem tmem_compress unrestricted_guest vmid vpid x2apic x2apic_phys xsave"
)

# Parts that are another name for a setting: the value that the part has then, None for its own.
_ALIASES = {
    ("dom0", "pv"): (("dom0", "pvh"), False),
    ("hpet", "broadcast"): (("hpetbroadcast", ""), None),
    ("iommu", "dom0-passthrough"): (("dom0-iommu", "passthrough"), None),
    ("iommu", "dom0-strict"): (("dom0-iommu", "strict"), None),
    ("iommu", "required"): (("iommu", "force"), None),
    ("mmcfg", "amd_fam10"): (("mmcfg", "amd-fam10"), None),
}  # type: t.Dict[Setting, t.Tuple[Setting, t.Any]]
# A switch alone in such a list stands for these parts.
_BOTH = {"cet": ("shstk", "ibt"), "pv-l1tf": ("dom0", "domu"), "xpti": ("dom0", "domu")}

Setting = t.Tuple[str, str]
Settings = t.Dict[Setting, t.Any]


def parse(line: t.Optional[str]) -> t.Tuple[Parameter, ...]:
    """Return the words of the command line in their order."""
    found = []
    for word in (line or "").split():
        name, equals, value = word.partition("=")
        found.append(Parameter(name, value if equals else None))
    return tuple(found)


def settings(parameters: t.Iterable[Parameter]) -> Settings:
    """Return what the words come to, as Xen reads them from left to right.

    Values are bool for switches, a number or text for others, (subtracted, pages, percent) for ``dom0_mem``, and a tuple of numbers for
    ``dom0_nodes``. What was added to another list is a part of its own.
    """
    found = {}  # type: Settings
    for parameter in parameters:
        _assign(found, parameter.name, parameter.value)
    return found


def missing(wanted: t.Sequence[Parameter], line: t.Iterable[Parameter]) -> t.List[Parameter]:
    """Return the words of `wanted` that do not have their effect on `line`: that are not there, or are overridden or added to."""
    line = tuple(line)
    now, then = settings(line), settings(wanted)
    absent = object()
    # Xen's defaults for what a word leaves open
    for there in (now, then):
        if ("dom0_nodes", "") in there:
            there.setdefault(("dom0_nodes", "relaxed"), False)
    wrong = {setting for setting, value in then.items() if now.get(setting, absent) != value}
    if ("dom0_nodes", "relaxed") in wrong:
        wrong.add(("dom0_nodes", ""))
    return [
        parameter
        for parameter in wanted
        # What Xen does not understand has no effect; it can only be there.
        if (wrong & set(settings([parameter])) or (not settings([parameter]) and parameter not in line))
    ]


def switch_value(text: str) -> t.Optional[bool]:
    """Return what Xen's parse_bool makes of a text; None for one that is no switch."""
    return True if text in _YES else False if text in _NO else None


def made_up_nodes(parameters: t.Iterable[Parameter]) -> int:
    """Return how many NUMA nodes Xen was told to make up (``numa=fake=3``); 0 where it takes the firmware's.

    Another ``numa=`` after it does not take it back (numa_setup of xen/common/numa.c).
    """
    return t.cast(int, settings(parameters).get(("numa", "fake"), 0))


def dom0_memory(parameters: t.Iterable[Parameter]) -> t.Optional[str]:
    """Return the parts of all ``dom0_mem=`` as one word would have them."""
    there = {}  # type: t.Dict[str, str]
    for parameter in parameters:
        for item in (parameter.value or "").split(",") if parameter.name == "dom0_mem" else ():
            match = _AMOUNT.match(item)
            if match is None:
                break
            there[match.group("part") or ""] = item
    return ",".join(there[part] for part in ("", "min", "max") if part in there) or None


def dom0_vcpus(found: Settings) -> t.Optional[str]:
    """Return the bounds of all ``dom0_max_vcpus=`` as one word would have them."""
    low, high = found.get(("dom0_max_vcpus", "min")), found.get(("dom0_max_vcpus", "max"))
    if low == high:
        return None if low is None else str(low)
    return "{0}-{1}".format("" if low is None else low, "" if high is None else high)


def _assign(found: Settings, name: str, value: t.Optional[str]) -> None:
    """Let one word have its effect."""
    # Xen keeps 127 characters of a word.
    if value is not None:
        value = value[: max(0, 126 - len(name))]
    negated = name.startswith("no-")
    option = name[3:] if negated else name
    if negated and value:
        # A switch is turned round; what is none is refused then.
        flag = switch_value(value)
        if flag is not None and option in SWITCHES:
            found[(option, "")] = not flag
        return
    text = "no" if negated else value or ""
    if option in _SPECIAL:
        _SPECIAL[option](found, text)
    elif option in LISTS:
        found[(option, text)] = True
    elif option in PARTS:
        for part in text.split(","):
            _assign_part(found, option, part)
    elif option:
        flag = switch_value(text) if text else True
        if flag is not None or option not in SWITCHES:
            found[(option, "")] = text if flag is None else flag


def _assign_part(found: Settings, option: str, part: str) -> None:
    negated = part.startswith("no-")
    name, separator, text = part.partition("=")
    if option in ("gnttab", "psr") and ":" in part:
        name, separator, text = part.partition(":")
    if negated:
        name = name[3:]
    flag = switch_value(part) if part else (True if option in _BOTH or option == "vpmu" else None)
    if flag is not None:
        if option == "spec-ctrl":
            for setting in [setting for setting in found if setting[0] == option]:
                del found[setting]
        for each in _BOTH.get(option, ("",)):
            found[(option, each)] = flag
        return
    if not name:
        return
    setting = (option, name)
    switched = switch_value(text)
    value = not negated if not separator else text if switched is None else switched  # type: t.Any
    if option == "spec-ctrl" and setting == (option, "xen") and value is False:
        _assign_part(found, option, "no")
        return
    if setting in _ALIASES:
        setting, other = _ALIASES[setting]
        value = value if other is None else other
    found[setting] = value
    if setting == ("iommu", "debug") and value is True:
        found[("iommu", "verbose")] = True


_AMOUNT = re.compile(
    r"(?:(?P<part>min|max):)?(?P<minus>-)?"
    r"(?:(?P<size>0[xX][0-9a-fA-F]{1,15}|0|[1-9][0-9]{0,17})(?P<unit>[BKMGTbkmgt])?(?:\+(?P<more>[0-9]{1,2})%)?|(?P<percent>[0-9]{1,2})%)\Z"
)


def _dom0_mem(found: Settings, text: str) -> None:
    for item in text.split(","):
        match = _AMOUNT.match(item)
        if match is None:
            return  # Xen reads no further
        # Without a unit it is KiB.
        unit = "BKMGT".index((match.group("unit") or "K").upper())
        found[("dom0_mem", match.group("part") or "")] = (
            bool(match.group("minus")),
            int(match.group("size") or "0", 0) << 10 * unit >> 12,  # pages
            int(match.group("more") or match.group("percent") or 0),
        )


def _dom0_max_vcpus(found: Settings, text: str) -> None:
    match = re.match(r"([0-9]{0,9})(-?)([0-9]{0,9})\Z", text)
    if match is None:
        return
    low, dash, high = match.groups()
    if low or not dash:
        found[("dom0_max_vcpus", "min")] = max(1, int(low or 0))
    if not dash:
        found[("dom0_max_vcpus", "max")] = max(1, int(low or 0))
    elif high:
        found[("dom0_max_vcpus", "max")] = int(high)


def _dom0_nodes(found: Settings, text: str) -> None:
    named = set()  # type: t.Set[int]
    for item in text.split(","):
        if re.match(r"[0-9]{1,10}\Z", item):
            named.add(int(item))
        elif item in ("relaxed", "strict"):
            found[("dom0_nodes", "relaxed")] = item == "relaxed"
    if named:
        found[("dom0_nodes", "")] = tuple(sorted(named.union(found.get(("dom0_nodes", ""), ()))))


def _numa(found: Settings, text: str) -> None:
    match = re.match("fake=([0-9]{0,9})", text)
    if match is not None:
        found[("numa", "fake")] = min(int(match.group(1) or 0), MOST_NODES)
        found[("numa", "")] = True
    elif text.startswith("off"):
        found[("numa", "")] = False
    elif text.startswith("on"):
        found[("numa", "")] = True
    elif text.startswith("noacpi"):
        found[("numa", "noacpi")] = True


def _cpufreq(found: Settings, text: str) -> None:
    found[("cpufreq", "")] = text
    # setup_cpufreq_option of xen/drivers/cpufreq/cpufreq.c
    if re.split("[,:;=]", text)[0] == "dom0-kernel":
        found[("dom0_vcpus_pin", "")] = True


def _crashkernel(found: Settings, text: str) -> None:
    # The size, and where it may be, are set apart: a word without a place leaves the place of the one before it.
    match = re.match(r"(.*?)(?:(@)|<|,below=)([0-9a-zA-Z]+)\Z", text)
    found[("crashkernel", "")] = text if match is None else match.group(1)
    if match is not None:
        found[("crashkernel", "at" if match.group(2) else "below")] = match.group(3)


def _watchdog(found: Settings, text: str) -> None:
    flag = switch_value(text) if text else True
    if text == "force":
        found[("watchdog", "force")] = flag = True
    if flag is not None:
        found[("watchdog", "")] = flag


def _watchdog_timeout(found: Settings, text: str) -> None:
    found[("watchdog_timeout", "")] = text
    found[("watchdog", "")] = text.strip("0") not in ("", "x")


def _extra_guest_irqs(found: Settings, text: str) -> None:
    match = re.match(r"([0-9]*)(?:,([0-9]+))?", text)
    for part, number in zip(("", "dom0"), match.groups() if match else ()):
        if number:
            found[("extra_guest_irqs", part)] = int(number)


def _max_cstate(found: Settings, text: str) -> None:
    state, comma, deeper = text.partition(",")
    found[("max_cstate", "")] = state
    if comma:
        found[("max_cstate", "sub")] = deeper


_SPECIAL = {
    "cpufreq": _cpufreq,
    "crashkernel": _crashkernel,
    "dom0_max_vcpus": _dom0_max_vcpus,
    "dom0_mem": _dom0_mem,
    "dom0_nodes": _dom0_nodes,
    "extra_guest_irqs": _extra_guest_irqs,
    "max_cstate": _max_cstate,
    "numa": _numa,
    "watchdog": _watchdog,
    "watchdog_timeout": _watchdog_timeout,
}  # type: t.Dict[str, t.Callable[[Settings, str], None]]
