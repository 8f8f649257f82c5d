# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every option of Xen's command line that is not read like most. Pure. No module needs them all that only looks at a host."""

import re
import typing as t

from . import command_line, dom0_boot
from .command_line import Grammar, Setting, Settings, switch_value
from .model import Parameter


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
_ALIASES: t.Dict[Setting, t.Tuple[Setting, t.Any]] = {
    ("dom0", "pv"): (("dom0", "pvh"), False),
    ("hpet", "broadcast"): (("hpetbroadcast", ""), None),
    ("iommu", "dom0-passthrough"): (("dom0-iommu", "passthrough"), None),
    ("iommu", "dom0-strict"): (("dom0-iommu", "strict"), None),
    ("iommu", "required"): (("iommu", "force"), None),
    ("mmcfg", "amd_fam10"): (("mmcfg", "amd-fam10"), None),
}
# A switch alone in such a list stands for these parts.
_BOTH = {"cet": ("shstk", "ibt"), "pv-l1tf": ("dom0", "domu"), "xpti": ("dom0", "domu")}


def settings(parameters: t.Iterable[Parameter]) -> Settings:
    """Return what the words come to: see :func:`.command_line.settings`."""
    return command_line.settings(parameters, _GRAMMAR)


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
    "crashkernel": _crashkernel,
    "extra_guest_irqs": _extra_guest_irqs,
    "max_cstate": _max_cstate,
    "watchdog": _watchdog,
    "watchdog_timeout": _watchdog_timeout,
}  # type: t.Dict[str, t.Callable[[Settings, str], None]]
_GRAMMAR = Grammar(
    dict(command_line.PLAIN.special, **dom0_boot.SPECIAL, **_SPECIAL), PARTS, _assign_part, LISTS, SWITCHES
)
