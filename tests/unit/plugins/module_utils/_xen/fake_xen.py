# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A hypervisor for the tests: libxencall's functions, and behind them a Xen that plays a recording.

It writes and reads memory by the offsets of the public headers, as numbers, and not through our own declarations: those are on trial.
Only memory that came from `xencall_alloc_buffer` and was not freed can be reached; anything else is EFAULT, as on a real host. What would
be the end of a process there is an assertion here: a handle that is closed, memory that is freed twice, or is written to beyond its ends
or after it was freed.

Faults: ``faults["getvcpuaffinity"] = [errno.EFAULT, 0]`` makes the first such call fail and lets the second pass; a single number
fails for good. `on` calls a function before a question is answered.
"""

import errno
import struct
import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._xen._xen_ffi import ffi

SYSCTL = {
    1: "readconsole",
    3: "physinfo",
    4: "sched_id",
    6: "getdomaininfolist",
    7: "debug_keys",
    10: "get_pmstat",
    11: "cpu_hotplug",
    12: "pm_op",
    16: "cputopoinfo",
    17: "numainfo",
    18: "cpupool_op",
    22: "pcitopoinfo",
    29: "get_cpu_policy",
}
DOMCTL = {
    5: "getdomaininfo",
    9: "setvcpuaffinity",
    12: "setvcpucontext",
    13: "getvcpucontext",
    14: "getvcpuinfo",
    25: "getvcpuaffinity",
    27: "resumedomain",
    36: "get_address_size",
    68: "setnodeaffinity",
    69: "getnodeaffinity",
    1101: "numa_op",
}
XENVER = {0: "version", 1: "extraversion", 3: "capabilities", 4: "changeset", 7: "pagesize", 9: "commandline"}

INVALID = 0xFFFFFFFF


class Memory:
    """What the caller handed over. Everything is little endian.

    It stands between guards, which show what was written beyond its ends. What was given back is kept, full of rubbish: who still reads
    there learns nothing right, and who writes there is found out.
    """

    GUARD = b"\xfd" * 64
    RUBBISH = b"\xdd"

    def __init__(self) -> None:
        self.live: t.Dict[int, t.Tuple[t.Any, int]] = {}
        self.freed: t.List[t.Tuple[t.Any, int]] = []

    def alloc(self, size: int) -> t.Any:
        """`size` bytes that were never written to."""
        cdata = ffi.new("uint8_t[]", len(self.GUARD) + size + len(self.GUARD))
        ffi.buffer(cdata)[:] = self.GUARD + b"\xcc" * size + self.GUARD
        pointer = cdata + len(self.GUARD)
        self.live[int(ffi.cast("uintptr_t", pointer))] = cdata, size
        return ffi.cast("void *", pointer)

    def free(self, pointer: t.Any) -> None:
        """Take it back; an assertion when it is nobody's, or when somebody wrote beyond its ends."""
        address = int(ffi.cast("uintptr_t", pointer))
        assert address in self.live, "what is freed was not allocated, or is freed for the second time"
        cdata, size = self.live.pop(address)
        whole = ffi.buffer(cdata)
        ends = bytes(whole[: len(self.GUARD)]), bytes(whole[len(self.GUARD) + size :])
        assert ends == (self.GUARD, self.GUARD), "written beyond the ends of a buffer of %d bytes" % size
        whole[:] = self.RUBBISH * len(whole)
        self.freed.append((cdata, size))

    def check(self) -> None:
        """An assertion when something was not given back, or was written to after that."""
        assert not self.live, "%d buffers were not freed" % len(self.live)
        for cdata, size in self.freed:
            assert bytes(ffi.buffer(cdata)) == self.RUBBISH * ffi.sizeof(cdata), (
                "a buffer of %d bytes was written to after it was freed" % size
            )

    def view(self, address: int, size: int) -> t.Any:
        """`size` bytes at `address`, None when they are not all inside one living buffer."""
        for start, (_cdata, room) in self.live.items():
            if start <= address and address + size <= start + room:
                return memoryview(ffi.buffer(ffi.cast("uint8_t *", address), size))
        return None


class Fault(Exception):
    """An errno on its way back."""


class FakeXen:
    """Give it to ``Xen(lib=...)``.

    `data` are the sections of a recording. `release`, `sysctl` and `domctl` say which hypervisor this is, `domaininfo_size` how long
    its records of domains are, and where the architecture's part begins.
    """

    def __init__(
        self,
        data: t.Dict[str, t.Any],
        release: t.Tuple[int, int] = (4, 17),
        sysctl: int = 0x15,
        domctl: int = 0x15,
        domaininfo_size: t.Optional[int] = None,
        never_fault: int = 1,
        console: bytes = b"(XEN) Xen version 4.17\n",
        ring: int = 16384,
    ) -> None:
        self.data = data
        if "domains" not in data:
            self.data = dict(data, domains=[lone_dom0(data["dom0_vcpus"])])
        self.release = release
        self.sysctl = sysctl
        self.domctl = domctl
        self.domaininfo_size = domaininfo_size or (112 if sysctl >= 0x14 else 104)
        self.never_fault = never_fault
        self.memory = Memory()
        self.faults: t.Dict[str, t.Any] = {}
        self.on: t.Dict[str, t.Callable[[int], None]] = {}
        self.asked: t.List[str] = []
        self.opened = 0
        self.handles: t.Set[int] = set()
        self.closed = 0
        self.written = console
        self.ring = ring
        self.open_errno = 0
        self.numa_op = False  # XenServer's hypercall for the memory by node
        self.hwp = False  # the hardware chooses the frequencies: no statistics of them
        self.pci_at_once = 64
        # What changed cpupools and CPUs, in order: (operation's number, pool, CPU or domain).
        self.steps: t.List[t.Tuple[t.Any, ...]] = []
        # CPUs that no cpupool takes any more, since they were to go offline from one that is not cpupool 0.
        self.locked: t.Set[int] = set()
        self.smt_off = False
        self.cpu_count: t.Optional[int] = (
            None  # what the first question about CPUs is told, when that is not the truth
        )

    # ---- libxencall ----

    def xencall_open(self, logger: t.Any, flags: int) -> t.Any:
        if self.open_errno:
            ffi.errno = self.open_errno
            return ffi.NULL
        self.opened += 1
        self.handles.add(self.opened)
        return ffi.cast("xencall_handle *", self.opened)

    def _open(self, handle: t.Any) -> int:
        """The number of a handle; the library itself would touch memory that is gone where this is an assertion."""
        number = int(ffi.cast("uintptr_t", handle))
        assert number in self.handles, "a handle that was never opened, or is closed"
        return number

    def xencall_close(self, handle: t.Any) -> int:
        self.handles.remove(self._open(handle))
        self.closed += 1
        if not self.handles:
            self.memory.check()
        return 0

    def xencall_buffers_never_fault(self, handle: t.Any) -> int:
        self._open(handle)
        return self.never_fault

    def xencall_alloc_buffer(self, handle: t.Any, size: int) -> t.Any:
        self._open(handle)
        return ffi.NULL if self.faults.get("alloc") else self.memory.alloc(size)

    def xencall_free_buffer(self, handle: t.Any, pointer: t.Any) -> None:
        self._open(handle)
        self.memory.free(pointer)

    def xencall1(self, handle: t.Any, number: int, address: int) -> int:
        self._open(handle)
        try:
            if number == 35:
                return self._sysctl(address)
            if number == 36:
                return self._domctl(address)
            if number == 7:
                return self._platform(address)
            raise Fault(errno.ENOSYS)
        except Fault as fault:
            ffi.errno = fault.args[0]
            return -1

    def xencall2(self, handle: t.Any, number: int, first: int, second: int) -> int:
        self._open(handle)
        try:
            if number == 12:
                return self._memory(first, second)
            if number == 34:
                return self._hvm(first, second)
            if number != 17:
                raise Fault(errno.ENOSYS)
            return self._version(XENVER[first], second)
        except Fault as fault:
            ffi.errno = fault.args[0]
            return -1

    def xencall5(self, handle: t.Any, number: int, *arguments: int) -> int:
        self._open(handle)
        try:
            if number != 42 or "sched_gran" not in self.data:
                self._ask("hypfs")
                raise Fault(errno.ENOSYS)
            return self._hypfs(*arguments)
        except Fault as fault:
            ffi.errno = fault.args[0]
            return -1

    # ---- common ----

    def _ask(self, question: str, about: int = 0) -> None:
        self.asked.append(question)
        if question in self.on:
            self.on[question](about)
        fault = self.faults.get(question, 0)
        if isinstance(fault, list):
            fault = fault.pop(0) if fault else 0
        if fault:
            raise Fault(fault)

    def _view(self, address: int, size: int) -> t.Any:
        view = self.memory.view(address, size)
        if view is None:
            raise Fault(errno.EFAULT)
        return view

    def _put(self, address: int, form: str, *values: t.Any) -> None:
        struct.pack_into("<" + form, self._view(address, struct.calcsize("<" + form)), 0, *values)

    def _get(self, address: int, form: str) -> t.Tuple[t.Any, ...]:
        return struct.unpack_from("<" + form, self._view(address, struct.calcsize("<" + form)), 0)

    def _bitmap(self, address: int) -> t.Tuple[int, int]:
        """The map's own address and its number of bits from a struct xenctl_bitmap."""
        pointer, bits = self._get(address, "QI")
        self._view(pointer, (bits + 7) // 8)
        return pointer, bits

    def _put_mask(self, address: int, mask: int, width: int) -> None:
        """As Xen does: what the caller has room for, and zeros beyond what Xen has."""
        pointer, bits = self._bitmap(address)
        length = (bits + 7) // 8
        self._view(pointer, length)[:] = (mask & ((1 << min(width, bits)) - 1)).to_bytes(length, "little")

    def _get_mask(self, address: int) -> int:
        pointer, bits = self._bitmap(address)
        return int.from_bytes(bytes(self._view(pointer, (bits + 7) // 8)), "little") & ((1 << bits) - 1)

    @property
    def cpu_width(self) -> int:
        return int(self.data["physinfo"]["max_cpu_id"]) + 1

    @property
    def node_width(self) -> int:
        return int(self.data["physinfo"]["max_node_id"]) + 1

    def _mask(self, numbers: t.Iterable[int], everything: bool = False) -> int:
        return (1 << self.cpu_width) - 1 if everything else sum(1 << number for number in numbers)

    # ---- xen_version ----

    def _version(self, question: str, address: int) -> int:
        self._ask(question)
        if question == "version":
            return self.release[0] << 16 | self.release[1]
        if question == "pagesize":
            return int(self.data.get("page_size", 4096))
        size = {"extraversion": 16, "capabilities": 1024, "changeset": 64, "commandline": 1024}[question]
        text = self.data["xen"][question].encode("utf-8")[: size - 1]
        self._view(address, size)[:] = text + b"\0" * (size - len(text))
        return 0

    # ---- memory_op and hypfs_op ----

    def _memory(self, command: int, address: int) -> int:
        self._ask("machine_memory_map" if command == 10 else "memory %d" % command)
        if command != 10 or "memory_map" not in self.data:
            raise Fault(errno.ENOSYS)
        room, _pad, buffer = self._get(address, "IIQ")
        regions = self.data["memory_map"]
        # Xen wants room for one more than it has
        if room < len(regions) + 1:
            raise Fault(errno.EINVAL)
        for index, region in enumerate(regions):
            self._put(buffer + 20 * index, "QQI", *region)
        self._put(address, "I", len(regions))
        return 0

    def _hypfs(self, command: int, path: int, length: int, buffer: int, room: int) -> int:
        self._ask("hypfs")
        name = bytes(self._view(path, length))
        assert name.endswith(b"\0")
        parts = name[:-1].decode("ascii").split("/")
        if (
            parts[:2] != ["", "cpupool"]
            or parts[3:] != ["sched-gran"]
            or parts[2] not in self.data["sched_gran"]
        ):
            raise Fault(errno.ENOENT)
        if command == 2:
            self._ask("hypfs_write")
            text = bytes(self._view(buffer, room))
            if self.pool(int(parts[2]))["cpus"]:
                raise Fault(errno.EBUSY)
            if text not in (b"cpu\0", b"core\0", b"socket\0"):
                raise Fault(errno.EINVAL)
            self.data["sched_gran"][parts[2]] = text[:-1].decode("ascii")
            return 0
        assert command == 1
        content = self.data["sched_gran"][parts[2]].encode("ascii") + b"\0"
        self._put(buffer, "BBHII", 2, 0, 0, len(content), 16)
        if room < 12 + len(content):
            raise Fault(errno.ENOBUFS)
        self._view(buffer + 12, len(content))[:] = content
        return 0

    # ---- sysctl: u is at 8 ----

    def _sysctl(self, address: int) -> int:
        command, interface = self._get(address, "II")
        self._view(address, 136)
        question = SYSCTL.get(command, "sysctl %d" % command)
        if interface != self.sysctl:
            self.asked.append(question + " refused")
            raise Fault(errno.EACCES)
        self._ask(question)
        answer = getattr(self, "_" + question, None)
        if answer is None:
            raise Fault(errno.ENOSYS)
        answer(address + 8)
        return 0

    def _sched_id(self, u: int) -> None:
        self._put(u, "I", self.data["sched_id"])

    def _physinfo(self, u: int) -> None:
        info = self.data["physinfo"]
        head = [info[name] for name in PHYSINFO_HEAD]
        pages = [info[name] for name in PHYSINFO_PAGES]
        self._put(u, "8I", *head)
        if self.sysctl >= 0x15:
            self._put(u + 32, "2I", 0x11223344, 0)
            self._put(u + 40, "5Q", *pages)
            self._put(u + 80, "8I", *[0xAAAAAAAA] * 8)
        else:
            self._put(u + 32, "5Q", *pages)
            self._put(u + 72, "8I", *[0xAAAAAAAA] * 8)

    def _cputopoinfo(self, u: int) -> None:
        room, _pad, array = self._get(u, "IIQ")
        rows = self.data["cputopo"]
        if not array:
            self._put(u, "I", len(rows) if self.cpu_count is None else self.cpu_count)
            return
        count = min(room, len(rows))
        for index in range(count):
            self._put(array + 12 * index, "3I", *rows[index])
        self._put(u, "I", count)

    def _numainfo(self, u: int) -> None:
        room, _pad, memory, distance = self._get(u, "IIQQ")
        numa = self.data["numainfo"]
        count = len(numa["memsize"])
        if memory or distance:
            count = min(count, room)
            for node in range(count):
                self._put(memory + 16 * node, "2Q", numa["memsize"][node], numa["memfree"][node])
                self._put(distance + 4 * node * count, "%dI" % count, *numa["distance"][node][:count])
        self._put(u, "I", count)

    def _domaininfo(self, address: int, domain: t.Dict[str, t.Any]) -> None:
        record = bytearray(self.domaininfo_size)
        struct.pack_into(
            "<HHI7Q",
            record,
            0,
            domain["domain"],
            0,
            domain["flags"],
            *[domain[n] for n in DOMAIN_PAGES],
            0x5555,
            domain["cpu_time"],
        )
        struct.pack_into("<3I", record, 64, domain["nr_online_vcpus"], domain["max_vcpu_id"], 0)
        record[76:92] = bytes.fromhex(domain["handle"])
        struct.pack_into("<I", record, 92, domain["cpupool"])
        if self.sysctl >= 0x14:
            record[96] = 46
            record[104:108] = struct.pack("<I", domain["emulation_flags"] or 0)
        else:
            record[96:100] = struct.pack("<I", domain["emulation_flags"] or 0)
        self._view(address, len(record))[:] = bytes(record)

    def _getdomaininfolist(self, u: int) -> None:
        first, _pad, room, buffer = self._get(u, "HHIQ")
        chosen = [domain for domain in self.data["domains"] if domain["domain"] >= first][:room]
        for index, domain in enumerate(chosen):
            self._domaininfo(buffer + index * self.domaininfo_size, domain)
        self._put(u + 16, "I", len(chosen))

    def _cpupool_op(self, u: int) -> None:
        op, wanted = self._get(u, "II")
        if op == 7:
            self._put_mask(u + 24, self._mask(self.data["cpupool_free"]), self.cpu_width)
            return
        if op != 3:
            self._change_cpupool(u, op, wanted)
            return
        pools = [pool for pool in self.data["cpupools"] if pool["id"] >= wanted]
        if not pools:
            raise Fault(errno.ENOENT)
        self._put(u + 4, "2I", pools[0]["id"], pools[0]["sched_id"])
        self._put(u + 20, "I", pools[0]["n_dom"])
        self._put_mask(u + 24, self._mask(pools[0]["cpus"]), self.cpu_width)

    def _get_pmstat(self, u: int) -> None:
        kind, cpu, room = self._get(u, "IIB")
        if "px_max_mhz" not in self.data:
            raise Fault(errno.ENODEV)
        if kind != 0x12 or str(cpu) not in self.data["px_max_mhz"]:
            raise Fault(errno.EINVAL)
        if self.hwp:
            raise Fault(errno.ENODATA)
        transitions, states = self._get(u + 16, "QQ")
        assert room >= 3
        self._put(transitions, "9Q", *range(9))
        top = self.data["px_max_mhz"][str(cpu)]
        for index in range(3):
            self._put(states + 24 * index, "3Q", top - 100 * index, 7, 7)
        self._put(u + 8, "4B", 3, 3, 0, 1)

    def _pm_op(self, u: int) -> None:
        kind, cpu, *counts = self._get(u, "5I")
        if "px_max_mhz" not in self.data:
            raise Fault(errno.ENODEV)
        if kind != 0x11 or str(cpu) not in self.data["px_max_mhz"]:
            raise Fault(errno.EINVAL)
        needed = (len(self.data["px_max_mhz"]), 5, 2)
        if tuple(counts) != needed:
            self._put(u + 8, "3I", *needed)
            raise Fault(errno.EAGAIN)
        affected, frequencies, governors = self._get(u + 24, "3Q")
        self._put(affected, "%dI" % needed[0], *map(int, self.data["px_max_mhz"]))
        self._put(frequencies, "%dI" % needed[1], *range(needed[1]))
        self._view(governors, 16 * needed[2])[:] = b"governor".ljust(16, b"\0") * needed[2]
        top = self.data["px_max_mhz"][str(cpu)] * 1000
        self._put(u + 48, "16s4I", b"hwp", 800000, top, 400000, 700000)

    def _pcitopoinfo(self, u: int) -> None:
        count, _pad, devices, nodes = self._get(u, "IIQQ")
        if "pci_nodes" not in self.data:
            raise Fault(errno.ENOSYS)
        if not (devices and nodes and count):
            raise Fault(errno.EINVAL)
        for index in range(min(count, self.pci_at_once)):
            segment, bus, devfn = self._get(devices + 4 * index, "HBB")
            name = "%04x:%02x:%02x.%x" % (segment, bus, devfn >> 3, devfn & 7)
            self._put(nodes + 4 * index, "I", self.data["pci_nodes"].get(name, 0xFFFFFFFE))
        self._put(u, "I", min(count, self.pci_at_once))

    def _get_cpu_policy(self, u: int) -> None:
        index, room, _msrs, reserved, buffer = self._get(u, "4IQ")
        if "cpu_policy" not in self.data:
            raise Fault(errno.ENOSYS)
        if reserved or index > 5:
            raise Fault(errno.EINVAL)
        leaves = self.data["cpu_policy"]
        if room < len(leaves):
            raise Fault(errno.ENOBUFS)
        for number, leaf in enumerate(leaves):
            self._put(buffer + 24 * number, "6I", *leaf)
        self._put(u + 4, "2I", len(leaves), 30)

    def pool(self, number: int) -> t.Dict[str, t.Any]:
        found = [pool for pool in self.data["cpupools"] if pool["id"] == number]
        if not found:
            raise Fault(errno.ENOENT)
        return t.cast(t.Dict[str, t.Any], found[0])

    def _unit(self, pool: t.Dict[str, t.Any], cpu: int) -> t.Set[int]:
        """The CPUs that the pool's granularity keeps together with this one, offline ones left out."""
        granularity = self.data.get("sched_gran", {}).get(str(pool["id"]), "cpu")
        core, socket, _node = self.data["cputopo"][cpu]
        return {
            other
            for other, (its_core, its_socket, _node) in enumerate(self.data["cputopo"])
            if (other == cpu)
            or (granularity == "socket" and its_socket == socket)
            or (granularity == "core" and (its_core, its_socket) == (core, socket))
        }

    def _change_cpupool(self, u: int, op: int, wanted: int) -> None:
        """As xen/common/sched/cpupool.c does it, with what was seen of it on a real 4.17."""
        sched_id, domid, cpu = self._get(u + 8, "3I")
        pools, free = self.data["cpupools"], self.data["cpupool_free"]
        self.steps.append((op, wanted, cpu if op in (4, 5) else domid if op == 6 else None))
        self._ask({1: "create", 2: "destroy", 4: "add_cpu", 5: "remove_cpu", 6: "move_domain"}[op], wanted)
        if op == 1:
            if any(pool["id"] == wanted for pool in pools):
                raise Fault(errno.EEXIST)
            if sched_id not in (5, 6, 8, 9):
                raise Fault(errno.ENOENT)
            # so it is since 4.17 at least
            if len(pools) >= 2 * self.cpu_width:
                raise Fault(errno.ENOSPC)
            pools.append({"id": wanted, "sched_id": sched_id, "n_dom": 0, "cpus": []})
            pools.sort(key=lambda pool: t.cast(int, pool["id"]))
            if "sched_gran" in self.data:
                self.data["sched_gran"][str(wanted)] = "cpu"
            return
        if op == 6 and domid == 0:
            # the domain that asks
            raise Fault(errno.EPERM)
        pool = self.pool(wanted)
        if op == 2:
            if wanted == 0 or pool["cpus"] or pool["n_dom"]:
                raise Fault(errno.EBUSY)
            pools.remove(pool)
            self.data.get("sched_gran", {}).pop(str(wanted), None)
        elif op == 4:
            unit = self._unit(pool, cpu)
            if not unit <= set(free) or unit & self.locked:
                raise Fault(errno.ENODEV)
            pool["cpus"] = sorted({*pool["cpus"], *unit})
            free[:] = sorted(set(free) - unit)
        elif op == 5:
            if ((wanted, cpu) == (0, 0) and self.release >= (4, 17)) or not self.data["pcpuinfo"][cpu][1] & 1:
                raise Fault(errno.EINVAL)
            if cpu not in pool["cpus"]:
                raise Fault(errno.EADDRNOTAVAIL)
            unit = self._unit(pool, cpu)
            left = sorted(set(pool["cpus"]) - unit)
            if not left and pool["n_dom"]:
                raise Fault(errno.EBUSY)
            pool["cpus"] = left
            free[:] = sorted({*free, *unit})
            self._widen(pool, unit)
        else:
            domain = self.domain(domid)
            if domain is None:
                raise Fault(errno.ESRCH)
            if domain["cpupool"] == wanted:
                return
            if not pool["cpus"]:
                raise Fault(errno.ENOENT)
            self.pool(domain["cpupool"])["n_dom"] -= 1
            pool["n_dom"] += 1
            domain["cpupool"] = wanted
            for vcpu in domain["vcpus"]:
                for kind in ("hard", "soft"):
                    self._keep(vcpu, kind, (1 << self.cpu_width) - 1)

    def _widen(self, pool: t.Dict[str, t.Any], gone: t.Set[int]) -> None:
        for domain in self.data["domains"]:
            for vcpu in domain["vcpus"] if domain["cpupool"] == pool["id"] else ():
                if pool["cpus"] and gone & set(vcpu["hard"]) and not set(vcpu["hard"]) & set(pool["cpus"]):
                    self._keep(vcpu, "hard", (1 << self.cpu_width) - 1)

    def _cpu_hotplug(self, u: int) -> None:
        cpu, op = self._get(u, "II")
        self.steps.append(("hotplug", op, cpu if op < 2 else None))
        rows = self.data["pcpuinfo"]
        if op < 2:
            if cpu >= len(rows) or (op == 1 and cpu == 0):
                raise Fault(errno.EINVAL)
            if rows[cpu][1] & 1 != op:
                raise Fault(errno.EEXIST)
            if op == 0 and self.smt_off and self._second(cpu):
                raise Fault(errno.EPERM)
            self._plug(cpu, op == 0)
            return
        if not any(self._second(number) for number in range(len(rows))):
            raise Fault(errno.EOPNOTSUPP)
        self.smt_off = op == 3
        for number, row in enumerate(rows):
            if self._second(number) and row[1] & 1 != (op == 2):
                self._plug(number, op == 2)

    def _second(self, cpu: int) -> bool:
        return self.data["cputopo"][cpu] in self.data["cputopo"][:cpu]

    def _plug(self, cpu: int, online: bool) -> None:
        row, free = self.data["pcpuinfo"][cpu], self.data["cpupool_free"]
        pool = next((pool for pool in self.data["cpupools"] if cpu in pool["cpus"]), None)
        if online:
            self.pool(0)["cpus"] = sorted([*self.pool(0)["cpus"], cpu])
        elif pool is None:
            free.remove(cpu)
        elif pool["id"] != 0:
            self.locked.add(cpu)
            raise Fault(errno.ENODEV)
        else:
            pool["cpus"].remove(cpu)
            self._widen(pool, {cpu})
        row[1] = (row[1] & ~1) | int(online)
        self.data["physinfo"]["nr_cpus"] += 1 if online else -1

    def _debug_keys(self, u: int) -> None:
        keys, count = self._get(u, "QI")
        if bytes(self._view(keys, count)) == b"u":
            self.written += self.dump().encode("ascii")

    def dump(self) -> str:
        """What dump_numa prints, in the form of this release."""
        nodes = range(len(self.data["numainfo"]["memsize"]))
        lines = ["'u' pressed -> dumping numa info (now = 691940627809)"]
        lines += ["NODE%d start->%d size->524288 free->355578" % (node, node << 20) for node in nodes]
        lines += ["CPU0...3 -> NODE0", "Memory location of each domain:"]
        for domain in self.data["domains"]:
            title = "d%d" if self.release >= (4, 18) else "Domain %d"
            lines.append((title + " (total: %d):") % (domain["domain"], domain["tot_pages"]))
            pages = self.data.get("memory_by_node", {}).get(str(domain["domain"]), {})
            lines += ["    Node %d: %d" % (node, pages.get(str(node), 0)) for node in nodes]
        return "".join("(XEN) %s\n" % line for line in lines)

    def _readconsole(self, u: int) -> None:
        _clear, incremental, _pad, index, buffer, room = self._get(u, "BBHIQI")
        end = len(self.written)
        start = max(0, end - self.ring)
        if incremental and start < index <= end:
            start = index
        text = self.written[start : start + room]
        if text:
            self._view(buffer, len(text))[:] = text
        self._put(u + 4, "I", start + len(text))
        self._put(u + 16, "I", len(text))

    # ---- domctl: domain is at 8, u at 16 ----

    def _domctl(self, address: int) -> int:
        command, interface, domid = self._get(address, "IIH")
        self._view(address, 144)
        question = DOMCTL.get(command, "domctl %d" % command)
        if interface != self.domctl:
            self.asked.append(question + " refused")
            raise Fault(errno.EACCES)
        self._ask(question, domid)
        domain = self.domain(domid)
        if question == "getdomaininfo":
            # An older Xen takes the next one.
            later = [other for other in self.data["domains"] if other["domain"] >= domid]
            if not later:
                raise Fault(errno.ESRCH)
            self._domaininfo(address + 16, later[0])
            return 0
        if domain is None:
            raise Fault(errno.ESRCH)
        answer = getattr(self, "_" + question, None)
        if answer is None:
            raise Fault(errno.ENOSYS)
        answer(address + 16, domain)
        return 0

    def domain(self, domid: int) -> t.Optional[t.Dict[str, t.Any]]:
        return next((domain for domain in self.data["domains"] if domain["domain"] == domid), None)

    def forget(self, domid: int) -> None:
        """The domain ends."""
        self.data["domains"] = [domain for domain in self.data["domains"] if domain["domain"] != domid]

    def _vcpu(self, domain: t.Dict[str, t.Any], number: int) -> t.Dict[str, t.Any]:
        if domain["max_vcpu_id"] == INVALID or number > domain["max_vcpu_id"]:
            raise Fault(errno.EINVAL)
        for vcpu in domain["vcpus"]:
            if vcpu["vcpu"] == number:
                return vcpu
        raise Fault(errno.ESRCH)

    def _getvcpuinfo(self, u: int, domain: t.Dict[str, t.Any]) -> None:
        vcpu = self._vcpu(domain, self._get(u, "I")[0])
        self._put(u + 4, "BBB", vcpu["online"], vcpu["blocked"], vcpu["running"])
        self._put(u + 8, "QI", vcpu["cpu_time"], vcpu["cpu"])

    def _getvcpuaffinity(self, u: int, domain: t.Dict[str, t.Any]) -> None:
        number, flags = self._get(u, "II")
        vcpu = self._vcpu(domain, number)
        if flags & 1:
            self._put_mask(u + 8, self._mask(vcpu["hard"], vcpu["hard_all"]), self.cpu_width)
        if flags & 2:
            self._put_mask(u + 24, self._mask(vcpu["soft"], vcpu["soft_all"]), self.cpu_width)

    def _setvcpuaffinity(self, u: int, domain: t.Dict[str, t.Any]) -> None:
        number, flags = self._get(u, "II")
        vcpu = self._vcpu(domain, number)
        pool = next(pool for pool in self.data["cpupools"] if pool["id"] == domain["cpupool"])
        online = self._mask(pool["cpus"])
        hard, soft = self._get_mask(u + 8), self._get_mask(u + 24)
        if flags & 1:
            if not hard & online:
                raise Fault(errno.EINVAL)
            self._keep(vcpu, "hard", hard)
            self._put_mask(u + 8, hard & online, self.cpu_width)
        if flags & 2:
            self._keep(vcpu, "soft", soft)
            in_force = self._mask(vcpu["hard"], vcpu["hard_all"]) & online
            self._put_mask(u + 24, soft & in_force, self.cpu_width)

    def _keep(self, vcpu: t.Dict[str, t.Any], kind: str, mask: int) -> None:
        vcpu[kind] = [cpu for cpu in range(len(self.data["cputopo"])) if mask >> cpu & 1]
        vcpu[kind + "_all"] = mask == (1 << self.cpu_width) - 1

    def _getnodeaffinity(self, u: int, domain: t.Dict[str, t.Any]) -> None:
        self._put_mask(u, sum(1 << node for node in domain["node_affinity"]), self.node_width)

    def _numa_op(self, u: int, domain: t.Dict[str, t.Any]) -> None:
        if not self.numa_op:
            raise Fault(errno.ENOSYS)
        op, _pad, count, _pad, buffer = self._get(u, "4IQ")
        assert op == 0
        pages = self.data["memory_by_node"].get(str(domain["domain"]), {})
        self._put(buffer, "%dQ" % count, *[pages.get(str(node), 0) for node in range(count)])

    def _get_address_size(self, u: int, domain: t.Dict[str, t.Any]) -> None:
        if domain["flags"] & 2:
            raise Fault(errno.EOPNOTSUPP)
        self._put(u, "I", domain["address_size"])

    def _context(self, u: int, domain: t.Dict[str, t.Any]) -> t.Any:
        """Where the registers of a vCPU go to or come from: 2800 bytes for a 32-bit PV guest, else 5168."""
        vcpu, _pad, address = self._get(u, "IIQ")
        self._vcpu(domain, vcpu)
        return self._view(address, len(domain["context"]))

    def _getvcpucontext(self, u: int, domain: t.Dict[str, t.Any]) -> None:
        self._context(u, domain)[:] = domain["context"]

    def _setvcpucontext(self, u: int, domain: t.Dict[str, t.Any]) -> None:
        domain["context"] = bytes(self._context(u, domain))

    def _resumedomain(self, _u: int, domain: t.Dict[str, t.Any]) -> None:
        domain["flags"] &= ~(1 << 2 | 0xFF << 16)

    def _hvm(self, command: int, address: int) -> int:
        self._ask("get_param" if command == 1 else "hvm %d" % command)
        domid, index = self._get(address, "H2xI")
        domain = self.domain(domid)
        if domain is None:
            raise Fault(errno.ESRCH)
        if command != 1 or index != 0 or not domain["flags"] & 2:
            raise Fault(errno.EINVAL)
        self._put(address + 8, "Q", domain["callback"])
        return 0

    def _setnodeaffinity(self, u: int, domain: t.Dict[str, t.Any]) -> None:
        mask = self._get_mask(u)
        if not mask & ((1 << len(self.data["numainfo"]["memsize"])) - 1):
            raise Fault(errno.EINVAL)
        domain["node_affinity"] = [node for node in range(self.node_width) if mask >> node & 1]

    # ---- platform: u is at 8 ----

    def _platform(self, address: int) -> int:
        command, interface, cpu = self._get(address, "III")
        self._view(address, 136)
        if interface != 0x03000001:
            raise Fault(errno.EACCES)
        self._ask("get_cpuinfo" if command == 55 else "platform %d" % command)
        if command != 55 or "pcpuinfo" not in self.data:
            raise Fault(errno.ENOSYS)
        rows = self.data["pcpuinfo"]
        row = rows[cpu] if cpu < len(rows) else [rows[0][0], 2, 0, 0]
        self._put(address + 12, "4I", *row)
        return 0


PHYSINFO_HEAD = (
    "threads_per_core",
    "cores_per_socket",
    "nr_cpus",
    "max_cpu_id",
    "nr_nodes",
    "max_node_id",
    "cpu_khz",
    "capabilities",
)
PHYSINFO_PAGES = ("total_pages", "free_pages", "scrub_pages", "outstanding_pages", "max_mfn")
DOMAIN_PAGES = ("tot_pages", "max_pages", "outstanding_pages", "shr_pages", "paged_pages")


def lone_dom0(vcpus: t.List[t.Dict[str, t.Any]]) -> t.Dict[str, t.Any]:
    """A domain 0 for a recording that has only its vCPUs."""
    domain: t.Dict[str, t.Any] = dict.fromkeys(
        [*DOMAIN_PAGES, "domain", "cpu_time", "cpupool", "emulation_flags"], 0
    )
    domain.update(flags=32, nr_online_vcpus=len(vcpus), max_vcpu_id=len(vcpus) - 1, handle="0" * 32)
    domain.update(node_affinity=[0], vcpus=vcpus)
    return domain
