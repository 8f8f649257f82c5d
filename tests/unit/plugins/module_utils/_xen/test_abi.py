# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The declarations against the numbers of Xen's public headers, and the generated file against the declarations."""

import importlib
import pathlib
import re
import subprocess
import sys

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology import meanings
from ansible_collections.dom0.xen.plugins.module_utils._xen import _xen_ffi, layouts

pytestmark = pytest.mark.skipif(_xen_ffi.ffi is None, reason="this Python has no _cffi_backend")

ffi = _xen_ffi.ffi
ROOT = pathlib.Path(__file__).resolve().parents[5]

# Sizes and offsets in bytes as gcc gives them for xen/include/public of Xen 4.11 to 4.22 on x86-64; Arm agrees up to `cpupool`.
SIZES = {
    "struct xen_sysctl": 136,
    "struct xen_domctl": 144,
    "struct xen_platform_op": 136,
    "struct xen_sysctl_physinfo_11": 104,
    "struct xen_sysctl_physinfo_15": 112,
    "struct xen_sysctl_cputopo": 12,
    "struct xen_sysctl_cputopoinfo": 16,
    "struct xen_sysctl_meminfo": 16,
    "struct xen_sysctl_numainfo": 24,
    "struct xen_sysctl_sched_id": 4,
    "struct xen_sysctl_cpupool_op": 40,
    "struct xen_sysctl_cpu_hotplug": 8,
    "struct xen_sysctl_getdomaininfolist": 24,
    "struct xen_sysctl_readconsole": 24,
    "struct xen_sysctl_debug_keys": 16,
    "struct xen_domctl_getdomaininfo_10": 104,
    "struct xen_domctl_getdomaininfo_14": 112,
    "struct xen_domctl_vcpuaffinity": 40,
    "struct xen_domctl_nodeaffinity": 16,
    "struct xen_domctl_getvcpuinfo": 24,
    "struct xenctl_bitmap": 16,
    "struct xenpf_pcpuinfo": 20,
    "struct xen_sysctl_get_pmstat": 32,
    "struct pm_px_val": 24,
    "struct xen_get_cpufreq_para": 72,  # the part of it that is declared
    "struct xen_sysctl_pm_op": 80,
    "struct physdev_pci_device": 4,
    "struct xen_sysctl_pcitopoinfo": 24,
    "struct xen_cpuid_leaf": 24,
    "struct xen_sysctl_cpu_policy": 32,
    "struct xen_domctl_numa_op": 24,
    "struct xen_domctl_vcpucontext": 16,
    "struct xen_domctl_address_size": 4,
    "struct vcpu_guest_context_64": 5168,
    "struct vcpu_guest_context_32": 2800,
    "struct xen_hvm_param": 16,
    "struct xen_memory_map": 16,
    "struct e820entry": 20,
    "struct xen_hypfs_direntry": 12,
}

PHYSINFO = {
    "threads_per_core": 0,
    "cores_per_socket": 4,
    "nr_cpus": 8,
    "max_cpu_id": 12,
    "nr_nodes": 16,
    "max_node_id": 20,
    "cpu_khz": 24,
    "capabilities": 28,
}
DOMAININFO = {
    "domain": 0,
    "flags": 4,
    "tot_pages": 8,
    "max_pages": 16,
    "outstanding_pages": 24,
    "shr_pages": 32,
    "paged_pages": 40,
    "shared_info_frame": 48,
    "cpu_time": 56,
    "nr_online_vcpus": 64,
    "max_vcpu_id": 68,
    "ssidref": 72,
    "handle": 76,
    "cpupool": 92,
}
OFFSETS = {
    "struct xen_sysctl": {"cmd": 0, "interface_version": 4, "u": 8},
    "struct xen_domctl": {"cmd": 0, "interface_version": 4, "domain": 8, "u": 16},
    "struct xen_platform_op": {"cmd": 0, "interface_version": 4, "u": 8},
    "struct xen_sysctl_physinfo_11": dict(
        PHYSINFO, total_pages=32, free_pages=40, scrub_pages=48, outstanding_pages=56, max_mfn=64, hw_cap=72
    ),
    "struct xen_sysctl_physinfo_15": dict(
        PHYSINFO,
        arch_capabilities=32,
        pad=36,
        total_pages=40,
        free_pages=48,
        scrub_pages=56,
        outstanding_pages=64,
        max_mfn=72,
        hw_cap=80,
    ),
    "struct xen_sysctl_cputopo": {"core": 0, "socket": 4, "node": 8},
    "struct xen_sysctl_cputopoinfo": {"num_cpus": 0, "cputopo": 8},
    "struct xen_sysctl_meminfo": {"memsize": 0, "memfree": 8},
    "struct xen_sysctl_numainfo": {"num_nodes": 0, "meminfo": 8, "distance": 16},
    "struct xen_sysctl_cpupool_op": {
        "op": 0,
        "cpupool_id": 4,
        "sched_id": 8,
        "domid": 12,
        "cpu": 16,
        "n_dom": 20,
        "cpumap": 24,
    },
    "struct xen_sysctl_cpu_hotplug": {"cpu": 0, "op": 4},
    "struct xen_sysctl_getdomaininfolist": {
        "first_domain": 0,
        "max_domains": 4,
        "buffer": 8,
        "num_domains": 16,
    },
    "struct xen_sysctl_readconsole": {"clear": 0, "incremental": 1, "index": 4, "buffer": 8, "count": 16},
    "struct xen_sysctl_debug_keys": {"keys": 0, "nr_keys": 8},
    "struct xen_domctl_getdomaininfo_10": dict(DOMAININFO, emulation_flags=96),
    "struct xen_domctl_getdomaininfo_14": dict(DOMAININFO, gpaddr_bits=96, emulation_flags=104),
    "struct xen_domctl_vcpuaffinity": {"vcpu": 0, "flags": 4, "cpumap_hard": 8, "cpumap_soft": 24},
    "struct xen_domctl_nodeaffinity": {"nodemap": 0},
    "struct xen_domctl_getvcpuinfo": {
        "vcpu": 0,
        "online": 4,
        "blocked": 5,
        "running": 6,
        "cpu_time": 8,
        "cpu": 16,
    },
    "struct xenctl_bitmap": {"bitmap": 0, "nr_bits": 8},
    "struct xenpf_pcpuinfo": {"xen_cpuid": 0, "max_present": 4, "flags": 8, "apic_id": 12, "acpi_id": 16},
    "struct xen_sysctl_get_pmstat": {
        "type": 0,
        "cpuid": 4,
        "total": 8,
        "usable": 9,
        "last": 10,
        "cur": 11,
        "trans_pt": 16,
        "pt": 24,
    },
    "struct xen_get_cpufreq_para": {
        "cpu_num": 0,
        "freq_num": 4,
        "gov_num": 8,
        "affected_cpus": 16,
        "scaling_available_frequencies": 24,
        "scaling_available_governors": 32,
        "scaling_driver": 40,
        "cpuinfo_cur_freq": 56,
        "cpuinfo_max_freq": 60,
        "cpuinfo_min_freq": 64,
        "scaling_cur_freq": 68,
    },
    "struct xen_sysctl_pm_op": {"cmd": 0, "cpuid": 4, "get_para": 8},
    "struct pm_px_val": {"freq": 0, "residency": 8, "count": 16},
    "struct physdev_pci_device": {"seg": 0, "bus": 2, "devfn": 3},
    "struct xen_sysctl_pcitopoinfo": {"num_devs": 0, "devs": 8, "nodes": 16},
    "struct xen_cpuid_leaf": {"leaf": 0, "subleaf": 4, "a": 8, "b": 12, "c": 16, "d": 20},
    "struct xen_sysctl_cpu_policy": {"index": 0, "nr_leaves": 4, "nr_msrs": 8, "leaves": 16, "msrs": 24},
    "struct xen_domctl_numa_op": {"op": 0, "nr_nodes": 8, "pages": 16},
    "struct xen_domctl_vcpucontext": {"vcpu": 0, "ctxt": 8},
    "struct xen_domctl_address_size": {"size": 0},
    "struct vcpu_guest_context_64": {"flags": 512, "regs_before": 520, "rax": 600},
    "struct vcpu_guest_context_32": {"flags": 512, "regs_before": 516, "eax": 540},
    "struct xen_hvm_param": {"domid": 0, "index": 4, "value": 8},
    "struct xen_memory_map": {"nr_entries": 0, "buffer": 8},
    "struct e820entry": {"addr_low": 0, "addr_high": 4, "size_low": 8, "size_high": 12, "type": 16},
    "struct xen_hypfs_direntry": {"type": 0, "encoding": 1, "content_len": 4, "max_write_len": 8},
}


@pytest.mark.parametrize("name", sorted(SIZES))
def test_size(name):
    assert ffi.sizeof(name) == SIZES[name]


@pytest.mark.parametrize("name", sorted(OFFSETS))
def test_offsets(name):
    assert {field: ffi.offsetof(name, field) for field in OFFSETS[name]} == OFFSETS[name]


#: What lies in a member: the offset of the inner one from the start of the outer struct.
INSIDE = {
    ("struct xen_sysctl_cpupool_op", "cpumap", "bitmap"): 24,
    ("struct xen_sysctl_cpupool_op", "cpumap", "nr_bits"): 32,
    ("struct xen_domctl_vcpuaffinity", "cpumap_hard", "bitmap"): 8,
    ("struct xen_domctl_vcpuaffinity", "cpumap_hard", "nr_bits"): 16,
    ("struct xen_domctl_vcpuaffinity", "cpumap_soft", "bitmap"): 24,
    ("struct xen_domctl_vcpuaffinity", "cpumap_soft", "nr_bits"): 32,
    ("struct xen_domctl_nodeaffinity", "nodemap", "bitmap"): 0,
    ("struct xen_domctl_nodeaffinity", "nodemap", "nr_bits"): 8,
    ("struct xen_sysctl_sched_id", "sched_id"): 0,
}
#: Where the part of an operation begins, whichever it is.
UNIONS = {"struct xen_sysctl": 8, "struct xen_domctl": 16, "struct xen_platform_op": 8}


@pytest.mark.parametrize("path", sorted(INSIDE), ids=".".join)
def test_offsets_inside(path):
    assert ffi.offsetof(*path) == INSIDE[path]


@pytest.mark.parametrize("name", sorted(UNIONS))
def test_every_operation_begins_where_the_union_does(name):
    union = dict(ffi.typeof(name).fields)["u"].type
    parts = [member for member, _info in union.fields]
    assert parts
    assert {ffi.offsetof(name, "u", member) for member in parts} == {UNIONS[name]}
    # and none is longer than the room that Xen copies
    assert max(ffi.sizeof(info.type) for _member, info in union.fields) <= 128


def test_first_three_numbers_of_a_domains_record_have_their_widths():
    for name in ("struct xen_domctl_getdomaininfo_10", "struct xen_domctl_getdomaininfo_14"):
        widths = {field: ffi.sizeof(info.type) for field, info in ffi.typeof(name).fields}
        assert {field: widths[field] for field in DOMAININFO} == {
            **dict.fromkeys(("flags", "nr_online_vcpus", "max_vcpu_id", "ssidref", "cpupool"), 4),
            **dict.fromkeys(("tot_pages", "max_pages", "outstanding_pages", "shr_pages", "paged_pages"), 8),
            **dict.fromkeys(("shared_info_frame", "cpu_time"), 8),
            "domain": 2,
            "handle": 16,
        }


def test_every_declared_struct_is_checked():
    header = (ROOT / "plugins/module_utils/_xen/xen_abi.h").read_text(encoding="utf-8")
    declared = set(re.findall(r"^(struct \w+) \{", header, re.MULTILINE))
    assert declared == set(SIZES)
    assert declared - set(OFFSETS) == {"struct xen_sysctl_sched_id"}


def test_layout_does_not_lean_on_alignment():
    """Every 64-bit member is where 64-bit alignment wants it, so that a reader which aligns less sees the same."""
    for name in SIZES:
        assert ffi.sizeof(name) % ffi.alignof(name) == 0
        end = 0
        for _field, info in ffi.typeof(name).fields:
            assert info.offset == end, name
            end = info.offset + ffi.sizeof(info.type)
        assert end == ffi.sizeof(name), name


# Numbers of operations, from the public headers; the same in Xen 4.11 to 4.22 but for those that say otherwise.
NUMBERS = {
    "connection": {  # xen.h
        "HYPERCALL_PLATFORM_OP": 7,
        "HYPERCALL_MEMORY_OP": 12,
        "HYPERCALL_XEN_VERSION": 17,
        "HYPERCALL_HVM_OP": 34,
        "HYPERCALL_SYSCTL": 35,
        "HYPERCALL_DOMCTL": 36,
        "HYPERCALL_HYPFS_OP": 42,  # since 4.14
        "DOMID_FIRST_RESERVED": 0x7FF0,
    },
    "sysctl": {  # sysctl.h
        "PHYSINFO": 3,
        "SCHED_ID": 4,
        "GETDOMAININFOLIST": 6,
        "CPUTOPOINFO": 16,
        "NUMAINFO": 17,
        "CPUPOOL_OP": 18,
        "GET_CPU_POLICY": 29,  # since 4.12, x86
        "CPUPOOL_INFO": 3,
        "CPUPOOL_FREEINFO": 7,
        "POLICY_RAW": 0,
        "INVALID_32": 0xFFFFFFFF,
    },
    "domctl": {  # domctl.h
        "GETDOMAININFO": 5,
        "SETVCPUCONTEXT": 12,
        "GETVCPUCONTEXT": 13,
        "GETVCPUINFO": 14,
        "GETVCPUAFFINITY": 25,
        "RESUMEDOMAIN": 27,
        "GET_ADDRESS_SIZE": 36,
        "GETNODEAFFINITY": 69,
        "OFFSET_OF_U": 16,
        "AFFINITY_HARD": 1,
        "AFFINITY_SOFT": 2,
    },
    "changes": {  # sysctl.h, hypfs.h
        "CPU_HOTPLUG": 11,
        "CPUPOOL_CREATE": 1,
        "CPUPOOL_DESTROY": 2,
        "CPUPOOL_ADDCPU": 4,
        "CPUPOOL_RMCPU": 5,
        "CPUPOOL_MOVEDOMAIN": 6,
        "CPU_ONLINE": 0,
        "CPU_OFFLINE": 1,
        "SMT_ENABLE": 2,  # since 4.13
        "SMT_DISABLE": 3,
        "HYPFS_WRITE": 2,
    },
    "hardware": {  # sysctl.h
        "GET_PMSTAT": 10,
        "PM_OP": 12,
        "PCITOPOINFO": 22,
        "PMSTAT_GET_PXSTAT": 0x12,
        "GET_CPUFREQ_PARA": 0x11,
        "CPUFREQ_NAME_LEN": 16,
        "INVALID_DEVICE": 0xFFFFFFFE,
    },
    "memory_op": {  # sysctl.h, domctl.h
        "READCONSOLE": 1,
        "DEBUG_KEYS": 7,
        "NUMA_OP": 1101,  # XenServer's and XCP-ng's patch
        "NUMA_OP_GET_NODE_PAGES": 0,
    },
    "pinning": {  # domctl.h
        "SETVCPUAFFINITY": 9,
        "SETNODEAFFINITY": 68,
        "AFFINITY_FORCE": 4,
    },
    "suspended": {  # hvm/hvm_op.h, hvm/params.h, domctl.h, sched.h
        "HVMOP_GET_PARAM": 1,
        "HVM_PARAM_CALLBACK_IRQ": 0,
        "HVM_GUEST": 2,
        "SHUT_DOWN": 4,
        "REASON_SHIFT": 16,
        "REASON_MASK": 0xFF,
        "SUSPEND": 2,
        "CANCELLED": 1,
    },
    "platform": {"GET_CPUINFO": 55, "FLAG_ONLINE": 1, "FLAG_INVALID": 2},  # platform.h
    "memory": {"MACHINE_MEMORY_MAP": 10, "RAM": 1},  # memory.h, E820
    "version": {  # version.h
        "VERSION": 0,
        "EXTRAVERSION": 1,
        "CAPABILITIES": 3,
        "CHANGESET": 4,
        "PAGESIZE": 7,
        "COMMANDLINE": 9,
    },
    "hypfs": {"OP_READ": 1, "TYPE_STRING": 2, "ENC_PLAIN": 0},  # hypfs.h
    "probe": {"DOMCTL_GETDOMAININFO": 5, "MAX_NODES": 64},
    "layouts": {"PLATFORM": 0x03000001},
}

#: What these files chose for themselves.
OURS = {
    "connection": {"REQUEST_ROOM", "RETRIES_AFTER_FAULT"},
    "sysctl": {
        "DOMAININFO_ROOM",
        "DOMAININFO_LEAST",
        "DOMAINS_AT_ONCE",
        "LEAVES_AT_FIRST",
    },
    "hardware": {"PX_STATES_MOST", "CPUFREQ_MOST"},
    "memory_op": {"CONSOLE_AT_ONCE"},
    "memory": {"ENTRIES_AT_FIRST", "ENTRIES_MOST"},
    "hypfs": {"ROOM"},
    "probe": {"SLACK"},
    "layouts": {"BEYOND"},
}


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_numbers_of_operations(name):
    module = importlib.import_module(layouts.__name__.rpartition(".")[0] + "." + name)
    source = pathlib.Path(module.__file__).read_text(encoding="utf-8")
    # those that it defines, not those that it imports
    defined = set(re.findall(r"^([A-Z][A-Z0-9_]*)(?:: [^=]+)? = ", source, re.MULTILINE))
    numbers = {each: getattr(module, each) for each in defined if isinstance(getattr(module, each), int)}
    assert {each: numbers[each] for each in set(numbers) - OURS.get(name, set())} == NUMBERS[name]


def test_numbers_of_schedulers():
    assert meanings.SCHEDULERS == {4: "sedf", 5: "credit", 6: "credit2", 7: "arinc653", 8: "rtds", 9: "null"}


# Interface versions of each release, from XEN_{SYSCTL,DOMCTL}_INTERFACE_VERSION, and what follows from them.
RELEASES = [
    ((4, 11), 0x11, 0x10, "physinfo_11", 104),
    ((4, 12), 0x12, 0x11, "physinfo_11", 104),
    ((4, 13), 0x12, 0x12, "physinfo_11", 104),
    ((4, 14), 0x13, 0x12, "physinfo_11", 104),
    ((4, 15), 0x13, 0x13, "physinfo_11", 104),
    ((4, 16), 0x14, 0x14, "physinfo_11", 112),
    ((4, 17), 0x15, 0x15, "physinfo_15", 112),
    ((4, 18), 0x15, 0x16, "physinfo_15", 112),
    ((4, 19), 0x15, 0x17, "physinfo_15", 112),
    ((4, 20), 0x15, 0x17, "physinfo_15", 112),
    ((4, 21), 0x16, 0x17, "physinfo_15", 112),
    ((4, 22), 0x16, 0x18, "physinfo_15", 112),
]


@pytest.mark.parametrize(("release", "sysctl", "domctl", "physinfo", "size"), RELEASES)
def test_release_has_its_layout(release, sysctl, domctl, physinfo, size):
    assert layouts.RELEASES[release] == (sysctl, domctl)
    layout = layouts.layout(sysctl, "x86_64")
    assert (layout.physinfo, layout.domaininfo_size) == (physinfo, size)
    assert ffi.sizeof(layout.domaininfo) == size
    assert layout.domaininfo_has_x86


def test_table_has_no_other_release():
    assert sorted(layouts.RELEASES) == [row[0] for row in RELEASES]


@pytest.mark.parametrize(("sysctl", "size"), [(0x13, 112), (0x14, 120), (0x16, 120)])
def test_arm_has_longer_records_of_domains(sysctl, size):
    layout = layouts.layout(sysctl, "aarch64")
    assert layout.domaininfo_size == size
    assert not layout.domaininfo_has_x86


def test_candidates_begin_with_the_expected_one_and_end_beyond_the_table():
    assert layouts.candidates((0x11, 0x12, 0x13), 0x12) == [0x12, 0x13, 0x11, 0x14, 0x15, 0x16, 0x17]
    assert layouts.candidates((0x11, 0x12), None) == [0x12, 0x11, 0x13, 0x14, 0x15, 0x16]


@pytest.mark.skipif(sys.version_info < (3, 10), reason="the generator is a developer's tool")
def test_generated_file_is_what_the_header_says():
    pytest.importorskip("cffi")
    pytest.importorskip("pycparser")
    tool = ROOT / "tools" / "generate_ffi.py"
    if not tool.exists():
        pytest.skip("the tools are not here")
    check = subprocess.run(
        [sys.executable, str(tool), "--check"], stderr=subprocess.PIPE, text=True, check=False
    )
    assert check.returncode == 0, check.stderr


def test_generated_file_has_short_lines_and_the_format_of_old_hosts():
    text = pathlib.Path(_xen_ffi.__file__).read_text(encoding="utf-8")
    assert max(len(line) for line in text.splitlines()) <= 120
    assert "_version=0x2601," in text
