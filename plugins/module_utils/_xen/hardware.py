# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HYPERVISOR_sysctl, where it tells of frequencies and devices. Header: xen/include/public/sysctl.h."""

import errno
import typing as t

from . import errors

if t.TYPE_CHECKING:
    from .connection import Xen

GET_PMSTAT = 10
PM_OP = 12
PCITOPOINFO = 22

PMSTAT_GET_PXSTAT = 0x12
GET_CPUFREQ_PARA = 0x11
CPUFREQ_NAME_LEN = 16

INVALID_DEVICE = 0xFFFFFFFE  # XEN_INVALID_DEV
PX_STATES_MOST = 255  # their number is a byte
CPUFREQ_MOST = 1 << 16  # CPUs, frequencies or governors that are believed

_Answer = t.TypeVar("_Answer")

errors.explain(
    {
        (errno.ENODEV, "get_pmstat"): (
            errors.NotSupported,
            "Xen does not scale the frequencies of this host's CPUs.",
        ),
        (errno.EOPNOTSUPP, "get_pmstat"): (
            errors.NotSupported,
            "Xen leaves the frequencies of this host's CPUs to the hardware and lists none.",
        ),
        (errno.EINVAL, "get_pmstat"): (
            errors.NotSupported,
            "Xen knows no frequencies of CPU {cpu}: dom0's kernel has not passed the firmware's on (module xen-acpi-processor).",
        ),
        (errno.ENODATA, "get_pmstat"): (
            errors.NotSupported,
            "Xen keeps no statistics of the frequencies of CPU {cpu}.",
        ),
        (errno.ENODEV, "get_cpufreq_para"): (
            errors.NotSupported,
            "Xen does not scale the frequencies of this host's CPUs.",
        ),
        (errno.EINVAL, "get_cpufreq_para"): (
            errors.NotSupported,
            "Xen knows no frequencies of CPU {cpu}: dom0's kernel has not passed the firmware's on (module xen-acpi-processor).",
        ),
    }
)


def pcitopoinfo(xen: "Xen", devices: t.Sequence[t.Tuple[int, int, int]]) -> t.List[int]:
    """XEN_SYSCTL_pcitopoinfo: the NUMA node of each PCI device, named by (segment, bus, devfn), in the same order.

    INVALID_32 where the firmware does not say, INVALID_DEVICE for one that Xen does not know. Xen may answer for 64 or more at once
    and stop there: as many calls as that takes. Raises NotSupported on hypervisors without PCI.
    """
    if not devices:
        return []
    count = len(devices)
    with xen.request("struct xen_sysctl") as op, xen.buffer(
        "struct physdev_pci_device", count
    ) as asked, xen.buffer("uint32_t", count) as nodes:
        for index, (segment, bus, devfn) in enumerate(devices):
            asked[index].seg, asked[index].bus, asked[index].devfn = segment, bus, devfn
        done = 0
        while done < count:
            request = op.u.pcitopoinfo
            request.num_devs = count - done
            request.devs = xen.address(asked + done)
            request.nodes = xen.address(nodes + done)
            xen.sysctl(op, PCITOPOINFO, "pcitopoinfo")
            processed = int(request.num_devs)
            if not 0 < processed <= count - done:
                raise errors.UnknownInterface(
                    "Xen's answer about PCI devices is not in the form that interface version 0x%x should have: update the "
                    "collection." % xen.interface["sysctl"]
                )
            done += processed
        return [int(nodes[index]) for index in range(count)]


def px_frequencies(xen: "Xen", cpus: t.Sequence[int]) -> t.Dict[int, t.List[int]]:
    """XEN_SYSCTL_get_pmstat, PMSTAT_get_pxstat: the frequencies of the P-states of each of these online CPUs, in MHz, the highest first.

    One call a CPU, as :func:`_of_each` makes them. A CPU that has no P-states is left out. Raises NotSupported where Xen does not scale
    frequencies, or does it another way (HWP), or knows no P-states.
    """
    # Older releases copy the table of transitions whatever its size, so there must be room for the largest.
    with xen.request("struct xen_sysctl") as op, xen.buffer(
        "struct pm_px_val", PX_STATES_MOST
    ) as states, xen.buffer("uint64_t", PX_STATES_MOST**2) as transitions:

        def ask(cpu: int) -> t.List[int]:
            request = op.u.get_pmstat
            request.type = PMSTAT_GET_PXSTAT
            request.cpuid = cpu
            request.total = PX_STATES_MOST
            request.trans_pt = xen.address(transitions)
            request.pt = xen.address(states)
            xen.sysctl(op, GET_PMSTAT, "get_pmstat", cpu=cpu)
            count = int(request.total)
            xen.check_room(count, PX_STATES_MOST, "list of P-states")
            return [int(states[index].freq) for index in range(count)]

        return _of_each(cpus, ask)


def cpufreq_maxima(xen: "Xen", cpus: t.Sequence[int]) -> t.Dict[int, int]:
    """XEN_SYSCTL_pm_op, GET_CPUFREQ_PARA: the highest frequency of each of these online CPUs in kHz, as Xen's driver has it.

    It answers also where the hardware chooses the frequencies (HWP, Xen 4.18). Two calls a CPU: the first tells how much room the
    second needs. A CPU of which Xen knows nothing is left out. Raises NotSupported where Xen does not scale frequencies.
    """
    with xen.request("struct xen_sysctl") as op:

        def ask(cpu: int) -> int:
            para = op.u.pm_op.get_para
            para.cpu_num = para.freq_num = para.gov_num = 0
            counts = (0, 0, 0)
            while True:
                sizes = (4 * counts[0], 4 * counts[1], CPUFREQ_NAME_LEN * counts[2])
                with xen.buffer("uint8_t", sum(sizes)) as room:
                    op.u.pm_op.cmd = GET_CPUFREQ_PARA
                    op.u.pm_op.cpuid = cpu
                    start = xen.address(room)
                    para.affected_cpus = start
                    para.scaling_available_frequencies = start + sizes[0]
                    para.scaling_available_governors = start + sizes[0] + sizes[1]
                    try:
                        xen.sysctl(op, PM_OP, "get_cpufreq_para", cpu=cpu)
                    except errors.Busy:
                        before, counts = counts, (int(para.cpu_num), int(para.freq_num), int(para.gov_num))
                        if counts == before or max(counts) > CPUFREQ_MOST:
                            raise
                    else:
                        return int(para.cpuinfo_max_freq)

        return {cpu: khz for cpu, khz in _of_each(cpus, ask).items() if khz}


def _of_each(cpus: t.Sequence[int], ask: t.Callable[[int], _Answer]) -> t.Dict[int, _Answer]:
    """Ask of each CPU; but of the first and the last before the others, and where Xen knows nothing of either, of no other.

    Raises what the second of these raised, or the only one.
    """
    found: t.Dict[int, _Answer] = {}
    ordered = sorted(cpus)
    ordered = ordered[:1] + ordered[1:][-1:] + ordered[1:-1]
    for position, cpu in enumerate(ordered):
        try:
            found[cpu] = ask(cpu)
        except errors.XenError as error:
            if error.errno not in (errno.EINVAL, errno.ENODATA):
                raise
            if not found and position in (1, len(ordered) - 1):
                raise
    return found
