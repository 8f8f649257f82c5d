# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words in the boot loader, on machines in a folder: in effect in the entry that boots, or refused with everything as it was."""

import random
import re
from pathlib import Path

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._boot import layouts
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._boot.machines import (
    Machine,
    debian,
    without_drop_ins,
)

WORDS = ("dom0_max_vcpus=4", "dom0_mem=4096M,max:4096M")


def settle(machine, words=WORDS, check=False, kind=None, menu=None, command=(), drop_in=None):
    layout = layouts.find(machine.host(), kind, menu, command, drop_in)
    return layouts.settle(machine.host(), layout, words, check)


def snapshot(machine):
    return {path: path.read_bytes() for path in machine.root.rglob("*") if path.is_file()}


def same_again(machine):
    """A second run changes nothing, and runs nothing."""
    before, runs = snapshot(machine), len(machine.runs)
    assert not settle(machine).changed
    assert snapshot(machine) == before
    assert len(machine.runs) == runs


def refused(machine, sentence, **arguments):
    """It fails, in check mode alike, and everything is as it was."""
    before = snapshot(machine)
    with pytest.raises(Failure, match=sentence):
        settle(machine, check=True, **arguments)
    assert machine.runs == []
    for _time in range(2):
        with pytest.raises(Failure, match=sentence) as failure:
            settle(machine, **arguments)
        assert "Nothing was changed" in failure.value.message
        assert snapshot(machine) == before


# --- Debian, by its own scripts


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Debian's scripts take their time: they run three times, all told."""
    machine = debian(tmp_path_factory.mktemp("debian"))
    assert machine.host().run(["update-grub"])[0] == 0
    return machine


def test_debian(made):
    machine = made
    # Words before ours, words behind, and an assignment.
    settings = "GRUB_CMDLINE_XEN=\"dom0_mem=min:1G dom0_max_vcpus=2\"\nGRUB_CMDLINE_XEN_DEFAULT='dom0_max_vcpus=1 dom0_mem=1024M'\n"
    for name in ("/etc/default/grub", "/etc/default/grub.d/xen.cfg"):
        machine.put(name, (machine.get(name) or "") + settings)
    before = snapshot(machine)
    assert settle(machine, check=True).changed
    assert snapshot(machine) == before
    outcome = settle(machine)
    assert outcome.changed
    assert outcome.found is not None
    assert outcome.found.entry == "Debian GNU/Linux, with Xen hypervisor"
    assert layouts.missing(WORDS, outcome.found.lines[0]) == []
    assert [path for path, _before, _after in outcome.files] == ["/etc/default/grub.d/zz-dom0-xen.cfg"]
    same_again(machine)
    # Nothing asked for: as it was.
    assert settle(machine, words=[]).changed
    assert machine.get("/etc/default/grub.d/zz-dom0-xen.cfg") is None
    assert "dom0_max_vcpus=4" not in (machine.get("/boot/grub/grub.cfg") or "")


def copy(made: Machine, folder: Path) -> Machine:
    """The made machine with a menu, whose scripts still write to their own root: for what is refused without running them."""
    machine = Machine(folder)
    for name in (
        "/etc/default/grub",
        "/etc/default/grub.d/xen.cfg",
        "/boot/grub/grub.cfg",
        "/usr/sbin/update-grub",
    ):
        machine.put(name, made.get(name) or "")
    return machine


def test_debian_whose_default_entry_is_not_xen(made, tmp_path):
    machine = copy(made, tmp_path)
    machine.put(
        "/usr/sbin/update-grub", "cd $ROOT/boot/grub; sed -i 's/default=\"Debian.*/default=0/' grub.cfg\n"
    )
    machine.host().run(["update-grub"])
    machine.runs.clear()
    refused(
        machine, r"/boot/grub/grub.cfg: the entry 'Debian GNU/Linux' that boots by default does not start Xen"
    )


def test_debian_whose_saved_entry_is_another(made, tmp_path):
    machine = copy(made, tmp_path)
    menu = (made.get("/boot/grub/grub.cfg") or "").replace(
        'default="Debian GNU/Linux, with Xen hypervisor"', 'default="${saved_entry}"'
    )
    body = (
        f"cat > $ROOT/boot/grub/grub.cfg <<'EOF'\n{re.sub('placeholder .*[$]', 'placeholder @ $', menu)}EOF\n"
    )
    script = (
        'for f in "$ROOT"/etc/default/grub.d/*.cfg; do . "$f"; done\n'
        + body
        + 'sed -i "s/ @ / $GRUB_CMDLINE_XEN_DEFAULT /" $ROOT/boot/grub/grub.cfg\n'
    )
    machine.put("/usr/sbin/update-grub", script)
    machine.put(
        "/boot/grub/grubenv", "# GRUB Environment Block\nsaved_entry=xen-gnulinux-simple-1234-ABCD\n####"
    )
    assert settle(machine).found.entry == "Debian GNU/Linux, with Xen hypervisor"
    machine.put("/boot/grub/grubenv", "# GRUB Environment Block\nsaved_entry=gnulinux-simple-1234-ABCD\n####")
    with pytest.raises(Failure, match="'Debian GNU/Linux' that boots by default does not start Xen"):
        settle(machine)


# --- by a script that does as Debian's do with settings


def simple(root: Path, settings: str = "", xen_cfg: str = "", drop_ins: bool = True) -> Machine:
    machine = Machine(root)
    read = 'for x in "$ROOT"/etc/default/grub.d/*.cfg; do [ -e "$x" ] && . "$x"; done\n' if drop_ins else ""
    machine.put(
        "/usr/sbin/update-grub",
        f'. "$ROOT/etc/default/grub"\n{read}'
        'echo "menuentry Xen {\nmultiboot2 /xen.gz placeholder ${GRUB_CMDLINE_XEN} ${GRUB_CMDLINE_XEN_DEFAULT}\n}" > "$ROOT/boot/grub/grub.cfg"\n',
    )
    machine.put("/etc/default/grub", "GRUB_TIMEOUT=5\n" + settings)
    machine.put("/etc/default/grub.d/xen.cfg", xen_cfg)
    machine.put("/boot/grub/grub.cfg", "")
    machine.host().run(["update-grub"])
    machine.runs.clear()
    return machine


@pytest.mark.parametrize(
    ("words", "settings", "xen_cfg", "sentence"),
    [
        (["dom0_nodes=1"], "GRUB_CMDLINE_XEN='dom0_nodes=0'\n", "",
         r"/etc/default/grub, line 2 has dom0_nodes=0, .* adds to it; write dom0_nodes=1 in its place there"),
        (["dom0_nodes=1"], "", '# a\nGRUB_CMDLINE_XEN_DEFAULT="iommu=1 dom0_nodes=0"\n', r"/etc/default/grub.d/xen.cfg, line 2 has dom0_nodes=0"),
    ],
)  # fmt: skip
def test_words_elsewhere_that_add_up(tmp_path, words, settings, xen_cfg, sentence):
    refused(simple(tmp_path, settings, xen_cfg), sentence, words=words)


def test_a_menu_that_lacks_what_is_set(tmp_path):
    """As a run leaves it that was killed before the menu was written."""
    machine = simple(tmp_path)
    settle(machine)
    menu = machine.get("/boot/grub/grub.cfg") or ""
    machine.put("/boot/grub/grub.cfg", menu.replace("dom0_max_vcpus=4", ""))
    assert settle(machine, check=True).changed
    assert settle(machine).changed
    assert machine.get("/boot/grub/grub.cfg") == menu
    machine.path("/boot/grub/grub.cfg").unlink()
    assert settle(machine).changed
    assert machine.get("/boot/grub/grub.cfg") == menu


def test_a_drop_in_that_comes_before_an_assignment(tmp_path):
    machine = simple(tmp_path, xen_cfg='\nGRUB_CMDLINE_XEN_DEFAULT="iommu=1"\n')
    refused(
        machine,
        r"/etc/default/grub.d/xen.cfg, line 2 assigns GRUB_CMDLINE_XEN_DEFAULT anew behind .*/dom0-xen.cfg",
        drop_in="/etc/default/grub.d/dom0-xen.cfg",
    )
    assert settle(machine).changed
    same_again(machine)


def test_the_drop_in_of_an_earlier_version_goes(tmp_path):
    machine = simple(tmp_path)
    old = '# Written by the Ansible role dom0.xen.dom0: what is changed here is lost.\nGRUB_CMDLINE_XEN="$GRUB_CMDLINE_XEN smt=off"\n'
    machine.put(layouts.FORMER_DROP_IN, old)
    outcome = settle(machine)
    assert machine.get(layouts.FORMER_DROP_IN) is None
    assert "smt=off" not in outcome.found.lines[0]
    same_again(machine)
    machine.put(layouts.FORMER_DROP_IN, "GRUB_CMDLINE_XEN=mine\n")
    assert not settle(machine).changed


def test_drop_ins_that_are_not_read(tmp_path):
    """The folder is there, and grub-mkconfig does not look into it: the file of settings gets a line."""
    machine = simple(
        tmp_path, settings="GRUB_CMDLINE_XEN_DEFAULT=dom0_max_vcpus=1 # mine\nLAST=1", drop_ins=False
    )
    before = machine.get("/etc/default/grub")
    outcome = settle(machine)
    assert machine.get("/etc/default/grub.d/zz-dom0-xen.cfg") is None
    assert machine.get("/etc/default/grub") == before + (
        '\nGRUB_CMDLINE_XEN_DEFAULT="$GRUB_CMDLINE_XEN_DEFAULT dom0_max_vcpus=4 dom0_mem=4096M,max:4096M" # dom0.xen.dom0\n'
    )
    assert outcome.found.lines == (("placeholder", "dom0_max_vcpus=1", *WORDS),)
    same_again(machine)
    settle(machine, words=["smt=off"])
    assert machine.get("/etc/default/grub").count("dom0.xen.dom0") == 1
    settle(machine, words=[])
    assert machine.get("/etc/default/grub") == before + "\n"


@pytest.mark.parametrize(
    ("tool", "menu"), [("grub2-mkconfig", "/boot/grub2/grub.cfg"), ("grub-mkconfig", "/boot/grub/grub.cfg")]
)
def test_distributions_without_drop_ins(tmp_path, tool, menu):
    machine = without_drop_ins(tmp_path, tool, menu)
    before = machine.get("/etc/default/grub")
    outcome = settle(machine)
    assert machine.runs == [[tool, "-o", menu]]
    assert outcome.found.entry == "Fedora, with Xen hypervisor"
    assert machine.get("/etc/default/grub").startswith(before)
    assert not machine.path("/etc/default/grub.d").exists()
    same_again(machine)


def test_words_that_grub_has_to_have_quoted(tmp_path):
    words = ["crashkernel=256M<4G", "cpufreq=hwp;xen", "ivrs_ioapic[4]=00:14.0"]
    machine = without_drop_ins(tmp_path)
    outcome = settle(machine, words=words)
    assert outcome.found.lines[0] == ("placeholder", *words)
    assert not settle(machine, words=words).changed


def test_a_command_that_fails_puts_everything_back(tmp_path):
    machine = simple(tmp_path)
    machine.put("/usr/sbin/update-grub", "echo half > $ROOT/boot/grub/grub.cfg; echo no space left; exit 3\n")
    before = snapshot(machine)
    with pytest.raises(Failure, match="update-grub failed with status 3: no space left. Nothing was changed"):
        settle(machine)
    assert snapshot(machine) == before


def test_several_menus_are_not_guessed_among(tmp_path):
    machine = without_drop_ins(tmp_path)
    machine.put("/boot/efi/EFI/fedora/grub.cfg", "menuentry x { }\n")
    with pytest.raises(
        Failure, match="several menus of GRUB, /boot/grub2/grub.cfg, /boot/efi/EFI/fedora/grub.cfg"
    ):
        settle(machine)
    # One that only names another is none.
    machine.put("/boot/efi/EFI/fedora/grub.cfg", "configfile $prefix/grub.cfg\n")
    assert settle(machine).changed


def test_opensuse_whose_grub_starts_xen_efi(tmp_path):
    """The words are what xen.efi reads for the section that GRUB names."""
    machine = without_drop_ins(tmp_path)
    machine.put(
        "/usr/sbin/grub2-mkconfig",
        '. "$ROOT/etc/default/grub"\necho "menuentry x { chainloader (\\$root)/EFI/opensuse/xen-4.18.efi xen-4.18.efi config.2; }" > "$2"\n'
        'mkdir -p "$ROOT/boot/efi/EFI/opensuse"\n'
        'printf "[config.1]\\noptions=other\\n[config.2]\\noptions=$GRUB_CMDLINE_XEN_DEFAULT\\n" > "$ROOT/boot/efi/EFI/opensuse/xen-4.18.cfg"\n',
    )
    outcome = settle(machine)
    assert (outcome.found.path, outcome.found.number) == ("/boot/efi/EFI/opensuse/xen-4.18.cfg", 4)
    same_again(machine)
    machine.path("/boot/efi/EFI/opensuse/xen-4.18.cfg").unlink()
    machine.put("/usr/sbin/grub2-mkconfig", "true\n")
    with pytest.raises(Failure, match="reads its own xen.cfg, and that was not found"):
        settle(machine)


# --- others


ALPINE = """DEFAULT menu.c32
PROMPT 0
LABEL lts
  LINUX vmlinuz-lts
  APPEND root=/dev/vda3
LABEL xen-lts
  MENU DEFAULT
  KERNEL /boot/mboot.c32
  APPEND /boot/xen.gz %s --- /boot/vmlinuz-lts root=/dev/vda3 quiet --- /boot/initramfs-lts
"""


def test_alpine(tmp_path):
    machine = Machine(tmp_path)
    machine.put("/etc/update-extlinux.conf", "overwrite=1\nxen_opts=dom0_mem=384M\n")
    script = f'. "$ROOT/etc/update-extlinux.conf"\ncat > "$ROOT/boot/extlinux.conf" <<EOF\n{ALPINE % "$xen_opts"}EOF\n'
    machine.put("/usr/sbin/update-extlinux", script)
    machine.put("/boot/extlinux.conf", ALPINE % "dom0_mem=384M")
    outcome = settle(machine)
    assert outcome.layout.kind == "extlinux"
    assert outcome.found == layouts.Found((("dom0_mem=384M", *WORDS),), "xen-lts", "/boot/extlinux.conf", 9)
    assert machine.get("/etc/update-extlinux.conf").startswith("overwrite=1\nxen_opts=dom0_mem=384M\n")
    same_again(machine)
    refused_words = ["dom0_nodes=0"]
    machine.put("/etc/update-extlinux.conf", "xen_opts=dom0_nodes=1\n")
    with pytest.raises(Failure, match=r"/etc/update-extlinux.conf, line 1 has dom0_nodes=1"):
        settle(machine, words=refused_words)
    machine.put("/usr/sbin/update-extlinux", script.replace("  MENU DEFAULT\n", ""))
    with pytest.raises(Failure, match="default label 'lts' starts vmlinuz-lts, not Xen"):
        settle(machine, words=["smt=off"])


XEN_CFG = """[global]
default=xen
; options=not this
[other]
options=mine
[xen]
kernel=vmlinuz root=/dev/sda1
options=console=vga dom0_mem=1G # for now
ramdisk=initrd
"""


def test_xen_cfg(tmp_path):
    machine = Machine(tmp_path)
    path = "/boot/efi/EFI/xen/xen.cfg"
    machine.put(path, XEN_CFG)
    outcome = settle(machine)
    assert outcome.layout.kind == "xen_cfg"
    assert outcome.found.lines == (("console=vga", "dom0_mem=1G", *WORDS),)
    edited = XEN_CFG.replace(
        "options=console=vga dom0_mem=1G # for now",
        "# dom0.xen.dom0 dom0_max_vcpus=4 dom0_mem=4096M,max:4096M\n"
        "options=console=vga dom0_mem=1G dom0_max_vcpus=4 dom0_mem=4096M,max:4096M # for now",
    )
    assert machine.get(path) == edited
    same_again(machine)
    settle(machine, words=["smt=off"])
    assert "options=console=vga dom0_mem=1G smt=off # for now" in machine.get(path)
    settle(machine, words=[])
    assert machine.get(path) == XEN_CFG
    # By hand, words were put behind ours.
    machine.put(path, edited.replace(" # for now", " iommu=1"))
    settle(machine, words=["smt=off"])
    assert "dom0_mem=1G iommu=1 smt=off\n" in machine.get(path)
    machine.put("/boot/efi/EFI/b/xen-4.17.cfg", XEN_CFG)
    with pytest.raises(
        Failure, match="several files for xen.efi, /boot/efi/EFI/b/xen-4.17.cfg, /boot/efi/EFI/xen/xen.cfg"
    ):
        settle(machine)


def test_xcp(tmp_path):
    machine = Machine(tmp_path)
    menu = "set default=0\nmenuentry 'XCP-ng' {\n  multiboot2 /boot/xen.gz dom0_mem=2G,max:2G watchdog ucode=scan\n  module2 /boot/vmlinuz\n}\n"
    machine.put("/boot/grub/grub.cfg", menu)
    # Replaces a word of the same name, else adds one: xcp.bootloader.
    machine.put(
        layouts.XEN_CMDLINE,
        'shift\nfor w; do k=${w%%=*}; f="$ROOT/boot/grub/grub.cfg"\n'
        'if grep -q " $k=" "$f"; then sed -i "s/ $k=[^ ]*/ $w/" "$f"; else sed -i "s/\\(multiboot2.*\\)/\\1 $w/" "$f"; fi; done\n',
        0o755,
    )
    machine.put("/usr/bin/grub-mkconfig", "exit 1\n")
    outcome = settle(machine)
    assert outcome.layout.kind == "xcp"
    assert machine.runs == [[layouts.XEN_CMDLINE, "--set-xen", *WORDS]]
    assert outcome.found.lines == (
        ("dom0_mem=4096M,max:4096M", "watchdog", "ucode=scan", "dom0_max_vcpus=4"),
    )
    same_again(machine)
    assert not settle(machine, words=[]).changed
    machine.put(layouts.XEN_CMDLINE, "true\n", 0o755)
    before = snapshot(machine)
    with pytest.raises(
        Failure,
        match="without smt=off: /boot/grub/grub.cfg, line 3, which /opt/xensource/libexec/xen-cmdline wrote",
    ):
        settle(machine, words=["smt=off"])
    assert snapshot(machine) == before


def test_no_boot_loader(tmp_path):
    with pytest.raises(Failure, match="no boot loader was found"):
        settle(Machine(tmp_path))
    with pytest.raises(Failure, match="there is no make-menu on this host"):
        settle(Machine(tmp_path), command=["make-menu"])


# --- whatever stands in the settings


def test_success_is_never_claimed_wrongly(tmp_path):
    """Settings made at random: afterwards the line that the script wrote has the words in effect, or everything is as it was."""
    random.seed(7)
    pieces = [
        "dom0_mem=1G",
        "dom0_nodes=0",
        "dom0_nodes=1",
        "smt=0",
        "no-smt",
        "iommu=1",
        "iommu=no,verbose",
        "dom0_max_vcpus=-2",
        "xpti=dom0=0",
    ]
    outcomes = set()
    for turn in range(25):
        values = [" ".join(random.sample(pieces, random.randrange(4))) for _name in range(3)]
        form = random.choice(
            [
                'GRUB_CMDLINE_XEN="{0}"\n',
                "GRUB_CMDLINE_XEN_DEFAULT='{0}'\n",
                'GRUB_CMDLINE_XEN_DEFAULT="$GRUB_CMDLINE_XEN_DEFAULT {0}"\n',
            ]
        )
        machine = simple(
            tmp_path / str(turn),
            form.format(values[0]),
            form.format(values[1]),
            drop_ins=random.random() < 0.7,
        )
        words = [random.choice(["dom0_nodes=0", "dom0_nodes=1"]), random.choice(pieces[3:])]
        before = snapshot(machine)
        try:
            settle(machine, words=words)
        except Failure:
            assert snapshot(machine) == before
            outcomes.add(False)
            continue
        line = (machine.get("/boot/grub/grub.cfg") or "").split("\n")[1].split()[2:]
        assert layouts.missing(words, line) == []
        settled, runs = snapshot(machine), len(machine.runs)
        assert not settle(machine, words=words).changed
        assert snapshot(machine) == settled
        assert len(machine.runs) == runs
        outcomes.add(True)
    assert outcomes == {True, False}
