# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

import subprocess
from pathlib import Path

import pytest
from ansible_collections.dom0.xen.tests.xenhost import reach, tools

KEY = Path("/k e y/id")


def options(text):
    lines = [line.split(None, 1) for line in text.splitlines()]
    return {words[0]: words[1] for words in lines}


def test_ssh_config_names_everything_ssh_needs():
    found = options(reach.ssh_config("small", 40022, KEY, Path("/run/x/ssh.sock")))
    assert (found["Host"], found["HostName"], found["Port"], found["User"]) == (
        "small",
        "127.0.0.1",
        "40022",
        "root",
    )
    assert found["IdentityFile"] == '"/k e y/id"'
    assert (found["StrictHostKeyChecking"], found["UserKnownHostsFile"]) == ("no", "/dev/null")
    assert found["ControlPath"] == "/run/x/ssh.sock"


def test_connections_are_not_shared_where_the_socket_would_not_fit():
    found = options(reach.ssh_config("small", 40022, KEY, Path("/" + "d" * 100)))
    assert not any(name.startswith("Control") for name in found)


@pytest.mark.skipif(tools.find("ssh") is None, reason="needs ssh")
def test_ssh_reads_the_config_as_meant(tmp_path):
    path = tmp_path / "ssh_config"
    path.write_text(reach.ssh_config("small", 40022, KEY, Path("/run/x y/ssh.sock")))
    done = subprocess.run(["ssh", "-G", "-F", str(path), "small"], capture_output=True, text=True, check=True)
    said = options(done.stdout)
    assert (said["hostname"], said["port"], said["user"]) == ("127.0.0.1", "40022", "root")
    assert (said["identityfile"], said["controlpath"]) == ("/k e y/id", "/run/x y/ssh.sock")


def test_inventory_is_yaml_that_names_the_hosts():
    yaml = pytest.importorskip("yaml")
    text = reach.inventory(
        {"small": reach.host_variables(40022, KEY), "big": reach.host_variables(40023, KEY)}
    )
    hosts = yaml.safe_load(text)["all"]["children"]["xen_hosts"]["hosts"]
    assert list(hosts) == ["small", "big"]
    assert hosts["small"]["ansible_host"] == "127.0.0.1"
    assert (hosts["small"]["ansible_port"], hosts["big"]["ansible_port"]) == (40022, 40023)
    assert hosts["small"]["ansible_ssh_private_key_file"] == "/k e y/id"
    assert hosts["small"]["ansible_python_interpreter"] == "/usr/bin/python3"
    assert "-oUserKnownHostsFile=/dev/null" in hosts["small"]["ansible_ssh_common_args"]


def test_an_inventory_of_no_host_is_valid():
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(reach.inventory({})) == {"all": {"children": {"xen_hosts": {"hosts": {}}}}}
