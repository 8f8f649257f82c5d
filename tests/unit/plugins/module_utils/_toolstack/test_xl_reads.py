# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real xl 4.17 of Debian judges: what it reads from configurations before and after they are edited.

xl_shim.c stands in for the libraries that want Xen.
"""

import functools
import json
import os
import re
import shutil
import subprocess

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._control import config
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xlkeys
from ansible_collections.dom0.xen.plugins.module_utils._topology import expression
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import made_host
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils.unpacked import unpacked

HEAD = 'name = "guest1"\nkernel = "/k"\nmemory = 512\n'


class Xl:
    def __init__(self, folder):
        root = unpacked("xen-utils-4.17")
        if shutil.which("gcc") is None:
            pytest.skip("no gcc here")
        self._folder = folder
        shim = folder / "shim.so"
        source = os.path.join(os.path.dirname(__file__), "xl_shim.c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(shim), source], check=True)
        self.program = next(root.glob("usr/lib/xen-4.17/bin/xl"))
        libraries = ":".join(sorted({str(path.parent) for path in root.rglob("*.so*")}))
        self._environment = {"LD_LIBRARY_PATH": libraries, "LD_PRELOAD": str(shim), "LC_ALL": "C"}

    def reads(self, text, cpus=256):
        """{hard: sets, soft: sets, vcpus} of the guest that xl would create; None where it refuses."""
        path = self._folder / "guest.cfg"
        path.write_text(text)
        done = subprocess.run(
            [str(self.program), "-N", "create", "-d", str(path)],
            env=dict(self._environment, SHIM_CPUS=str(cpus)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        output = done.stdout.decode()
        if done.returncode or "{" not in output:
            return None
        info = json.loads(output[output.index("{") :])["b_info"]
        return {
            "vcpus": info.get("max_vcpus", 1),
            "hard": [CpuSet(one) for one in info.get("vcpu_hard_affinity", [])],
            "soft": [CpuSet(one) for one in info.get("vcpu_soft_affinity", [])],
        }


@pytest.fixture(scope="module")
def xl(tmp_path_factory):
    return Xl(tmp_path_factory.mktemp("xl"))


@functools.lru_cache(maxsize=None)
def host(cpus):
    return derive(made_host([(cpu, cpu * 4 // cpus, cpu * 4 // cpus) for cpu in range(cpus)]))


def resolver(cpus):
    return lambda text: str(expression.resolve(text, host(cpus)))


def edited(text, there, **wanted):
    return config.plan_config(dict(wanted, path="/etc/xen/a.cfg"), text.encode(), resolver(there)).after


def test_xl_cuts_nodes_and_numbers_are_whole(xl):
    text = HEAD + 'vcpus = 1\ncpus = ["node:1"]\n'
    assert xl.reads(text) is None
    assert xl.reads(edited(text, 256))["hard"] == [CpuSet(range(64, 128))]
    text = HEAD + 'vcpus = 1\ncpus = ["nodes:2"]\n'
    assert xl.reads(text, 96)["hard"] == [CpuSet(range(48, 64))]
    assert xl.reads(edited(text, 96), 96)["hard"] == [CpuSet(range(48, 72))]


@pytest.mark.parametrize("cpus", [96, 256])
@pytest.mark.parametrize("text", ["node:3", "nodes:1-2,^5", "0-3,^node:0,node:1", "all,^node:1", "0-7,^2-3"])
def test_what_is_written_is_what_was_meant(xl, cpus, text):
    """Whatever is asked for, and whatever is repaired: xl reads the CPUs that the words mean."""
    meant = expression.resolve(text, host(cpus))
    base = HEAD + "vcpus = 2\n"
    for after in (
        edited(base, cpus, cpus=text),
        edited(base, cpus, cpus=[text, text]),
        edited(base + 'cpus = "{0}"\n'.format(text), cpus, memory=256),
        edited(base + 'cpus = ["{0}", "{0}"]\n'.format(text), cpus, memory=256),
    ):
        assert xl.reads(after, cpus)["hard"] == [meant, meant], after
    assert xl.reads(edited(base, cpus, cpus_soft=text), cpus)["soft"] == [meant, meant]


@pytest.mark.parametrize("vcpus", ["", "vcpus = 2\n"])
@pytest.mark.parametrize("text", ["", ",", "^3", "2,^2", "0-3,^0-7"])
def test_what_names_no_cpu_is_never_called_repaired(xl, vcpus, text):
    """xl refuses it where vcpus is set, and overlooks it where not: the edit is refused, and what is given instead is taken."""
    before = HEAD + vcpus + 'cpus = "{0}"\n'.format(text)
    with pytest.raises(Failure, match="names no CPU"):
        edited(before, 32, memory=256)
    assert xl.reads(edited(before, 32, cpus="3"), 32)["hard"][0] == CpuSet([3])
    assert xl.reads(edited(before, 32, cpus=[]), 32)["hard"] == []


def test_xl_has_the_keys_that_are_known(xl):
    """Each of xl 4.17's own, as they stand in the program, and none that it lacks but later releases have."""
    program = xl.program.read_bytes()
    later = {key for key in xlkeys.KEYS.split() if key.encode() + b"\0" not in program}
    assert later <= {
        "acpi_laptop_slate", "altp2m_count", "arm_sci", "device_model_args_hvm", "device_model_args_pv", "device_model_user", "llc_colors", "nr_spis", "pae",
        "sve", "bootloader_restrict", "bootloader_user", "hvm_pirq", "smbios", "trap_unmapped_accesses", "virtio", "vkb_device", "xen_platform_pci_bar_uc",
        "xenstore_feature_mask", "xenstore_quota", "gfx_passthru",
    }  # fmt: skip
    assert re.search(rb"\0maxvcpus\0", program)
    assert b"\0maxcpus\0" not in program
    assert xlkeys.unknown_keys(["maxcpus", "vcpus", "restart"]) == ["maxcpus (maxvcpus?)", "restart"]
