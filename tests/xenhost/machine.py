# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a host's description to QEMU's command line. Pure.

File names are relative to the directory the machine runs in, so that no odd character of a user's path meets QEMU's
option syntax, and so that the same description gives the same command line (and snapshot) everywhere.
"""

from __future__ import annotations

from .description import Host

QEMU = "qemu-system-x86_64"

# QEMU is told a name with this before the host's, by which its process is known.
NAME_PREFIX = "xenhost-"

# Names inside the run directory.
DISK = "disk.qcow2"
QMP_SOCKET = "qmp.sock"
CONSOLE_SOCKET = "console.sock"
CONSOLE_LOG = "console.log"
SNAPSHOT = "booted"

# A PV dom0 kernel dies of a page fault at boot when emulated CPUs offer these.
_CPU_FLAGS = "-smap,-smep,-pku,-pks,-la57"


def xen_command_line(host: Host) -> str:
    """Arguments for the hypervisor, as it reports them in ``xl info``."""
    # Mitigations of speculation (above all XPTI: a page-table switch at each entry) nearly double an emulated boot.
    words = [
        f"dom0_mem={host.dom0_memory_mib}M,max:{host.dom0_memory_mib}M",
        f"dom0_max_vcpus={host.dom0_vcpus}",
        "console=com1",
        "com1=115200,8n1",
        "loglvl=info",
        # QEMU lets vector instructions pass where they should trap, so what Xen leaves in the registers until then is read by the wrong one.
        "spec-ctrl=no,eager-fpu=yes",
    ]
    if not any(word.split("=")[0] == "numa" for word in host.xen_arguments):
        words.append("numa=on")
    return " ".join([*words, *host.xen_arguments])


def dom0_command_line(host: Host) -> str:
    """Arguments for dom0's kernel."""
    words = ["root=/dev/vda", "ro", "console=hvc0", "noresume"]
    # What the kernel does for safety or diagnosis alone is dear when emulated.
    words += ["mitigations=off", "init_on_alloc=0", "audit=0", "apparmor=0"]
    # On a busy machine a service may be silent for longer than a watchdog likes.
    words += ["nowatchdog", "systemd.service_watchdogs=off"]
    return " ".join([*words, *host.dom0_arguments])


def _numa(host: Host) -> list[str]:
    args: list[str] = []
    for index, node in enumerate(host.nodes):
        cpus = "".join(f",cpus={first}-{last}" for first, last in _ranges(node.cpus))
        args += ["-object", f"memory-backend-ram,id=memory{index},size={node.memory_mib}M"]
        args += ["-numa", f"node,nodeid={index}{cpus},memdev=memory{index}"]
    for source, row in enumerate(host.distances):
        for target, value in enumerate(row):
            if source != target:
                args += ["-numa", f"dist,src={source},dst={target},val={value}"]
    return args


def _ranges(cpus: tuple[int, ...]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for cpu in sorted(cpus):
        if ranges and ranges[-1][1] == cpu - 1:
            ranges[-1] = (ranges[-1][0], cpu)
        else:
            ranges.append((cpu, cpu))
    return ranges


def _pci(host: Host) -> list[str]:
    """An expander bridge for each node that has devices, and behind it a root port a device."""
    args: list[str] = []
    bridges = 0
    port = 0
    for index, node in enumerate(host.nodes):
        if not node.pci:
            continue
        bridges += 1
        args += ["-device", f"pxb-pcie,id=pxb{index},bus=pcie.0,bus_nr={0x40 * bridges:#x},numa_node={index}"]
        for device in node.pci:
            args += [
                "-device",
                f"pcie-root-port,id=port{port},bus=pxb{index},chassis={port + 1},slot={port + 1}",
            ]
            args += ["-device", f"{device},bus=port{port}"]
            port += 1
    return args


def argv(host: Host, restore: bool = False) -> list[str]:
    """QEMU's argument vector; with ``restore`` it continues from the snapshot in its disk instead of booting."""
    args = [QEMU, "-name", f"{NAME_PREFIX}{host.name}", "-nodefaults", "-no-user-config", "-display", "none"]
    args += ["-machine", "q35", "-accel", "tcg,thread=single"]
    args += ["-cpu", f"max,{_CPU_FLAGS},vendor={host.vendor}"]
    args += ["-smp", f"{host.cpus},sockets={host.sockets},cores={host.cores},threads={host.threads}"]
    args += ["-m", f"{host.memory_mib}M", *_numa(host)]
    # Xen is a multiboot kernel; its first module is dom0's kernel with arguments, its second the initrd.
    args += ["-kernel", "boot/xen", "-append", xen_command_line(host)]
    args += ["-initrd", f"boot/vmlinuz {dom0_command_line(host).replace(',', ',,')},boot/initrd"]
    args += ["-drive", f"if=none,id=disk,format=qcow2,file={DISK}"]
    # With expander bridges present QEMU must be told the bus.
    args += ["-device", "virtio-blk-pci,drive=disk,bus=pcie.0"]
    args += ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,bus=pcie.0,romfile="]
    args += _pci(host)
    args += ["-chardev", f"socket,id=console,path={CONSOLE_SOCKET},server=on,wait=off,logfile={CONSOLE_LOG}"]
    args += ["-serial", "chardev:console", "-qmp", f"unix:{QMP_SOCKET},server=on,wait=off"]
    return args + (["-loadvm", SNAPSHOT] if restore else [])
