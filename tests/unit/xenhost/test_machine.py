# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.dom0.xen.tests.xenhost import description, machine


def host(**changes):
    data = {
        "cpu": {"sockets": 2, "cores": 2, "threads": 1},
        "numa": {
            "nodes": [
                {"cpus": "0,2", "memory": "1GiB"},
                {"cpus": "1,3", "memory": "768MiB", "pci": ["virtio-rng-pci", "e1000e"]},
                {"memory": "512MiB", "pci": ["virtio-rng-pci"]},
            ],
        },
    }
    for table, values in changes.items():
        data.setdefault(table, {}).update(values)
    return description.parse("odd", data, "odd.toml")


def values(argv, option):
    return [argv[index + 1] for index, word in enumerate(argv) if word == option]


def test_cpus_and_memory_are_those_of_the_description():
    argv = machine.argv(host())
    assert values(argv, "-smp") == ["4,sockets=2,cores=2,threads=1"]
    assert values(argv, "-m") == ["2304M"]
    assert values(argv, "-object") == [
        "memory-backend-ram,id=memory0,size=1024M",
        "memory-backend-ram,id=memory1,size=768M",
        "memory-backend-ram,id=memory2,size=512M",
    ]


def test_a_node_may_have_scattered_cpus_or_none():
    assert values(machine.argv(host()), "-numa") == [
        "node,nodeid=0,cpus=0-0,cpus=2-2,memdev=memory0",
        "node,nodeid=1,cpus=1-1,cpus=3-3,memdev=memory1",
        "node,nodeid=2,memdev=memory2",
    ]


def test_distances_are_given_in_both_directions():
    argv = machine.argv(host(numa={"distances": [[10, 12, 28], [13, 10, 17], [29, 18, 10]]}))
    assert values(argv, "-numa")[3:] == [
        "dist,src=0,dst=1,val=12",
        "dist,src=0,dst=2,val=28",
        "dist,src=1,dst=0,val=13",
        "dist,src=1,dst=2,val=17",
        "dist,src=2,dst=0,val=29",
        "dist,src=2,dst=1,val=18",
    ]


def test_each_node_with_devices_has_a_bridge_and_each_device_a_port():
    devices = values(machine.argv(host()), "-device")
    assert devices[:2] == [
        "virtio-blk-pci,drive=disk,bus=pcie.0",
        "virtio-net-pci,netdev=net,bus=pcie.0,romfile=",
    ]
    assert devices[2:] == [
        "pxb-pcie,id=pxb1,bus=pcie.0,bus_nr=0x40,numa_node=1",
        "pcie-root-port,id=port0,bus=pxb1,chassis=1,slot=1",
        "virtio-rng-pci,bus=port0",
        "pcie-root-port,id=port1,bus=pxb1,chassis=2,slot=2",
        "e1000e,bus=port1",
        "pxb-pcie,id=pxb2,bus=pcie.0,bus_nr=0x80,numa_node=2",
        "pcie-root-port,id=port2,bus=pxb2,chassis=3,slot=3",
        "virtio-rng-pci,bus=port2",
    ]


@pytest.mark.parametrize("vendor", description.VENDORS)
def test_the_vendor_decides_about_threads(vendor):
    (cpu,) = values(machine.argv(host(cpu={"vendor": vendor})), "-cpu")
    assert cpu.endswith(f",vendor={vendor}")
    assert "-smap" in cpu.split(",")


def test_xen_gets_dom0s_share_and_the_descriptions_arguments():
    (line,) = values(
        machine.argv(host(xen={"arguments": ["smt=0", "maxcpus=6"]}, dom0={"memory": "512MiB", "vcpus": 1})),
        "-append",
    )
    words = line.split()
    assert words[:2] == ["dom0_mem=512M,max:512M", "dom0_max_vcpus=1"]
    assert words[-3:] == ["numa=on", "smt=0", "maxcpus=6"]


def test_a_descriptions_numa_argument_replaces_ours():
    line = machine.xen_command_line(host(xen={"arguments": ["numa=fake=3"]}))
    assert [word for word in line.split() if word.startswith("numa")] == ["numa=fake=3"]


def test_commas_in_dom0s_arguments_survive_qemus_module_list():
    (modules,) = values(machine.argv(host(dom0={"arguments": ["modprobe.blacklist=a,b"]})), "-initrd")
    kernel, _comma, initrd = modules.rpartition(",")
    assert kernel.startswith("boot/vmlinuz root=/dev/vda ro console=hvc0 ")
    assert kernel.endswith(" modprobe.blacklist=a,,b")
    assert initrd == "boot/initrd"


def test_restoring_is_the_same_machine_with_a_snapshot():
    booting, restoring = machine.argv(host()), machine.argv(host(), restore=True)
    assert restoring == [*booting, "-loadvm", machine.SNAPSHOT]


def test_no_path_and_no_port_of_this_machine_is_in_it():
    argv = machine.argv(host())
    assert not any(word.startswith("/") or "=/" in word.replace("root=/dev/vda", "") for word in argv)
    assert not any("hostfwd" in word for word in argv)
