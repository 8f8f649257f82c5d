# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GRUB's menu: which entry boots, and the line it starts Xen with."""

import contextlib
import textwrap

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._boot import grub
from hypothesis import given
from hypothesis import strategies as st

# As 00_header writes it.
HEADER = """
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="%s"
fi
if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
export menuentry_id_option
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
"""
MENU = """
menuentry 'Plain' --class debian $menuentry_id_option 'plain-id' {
\tlinux /vmlinuz root=/dev/vda1
}
submenu 'More > less' $menuentry_id_option 'more-id' {
\tmenuentry 'Old' $menuentry_id_option 'old-id' {
\t\tsavedefault
\t\tmultiboot2 /xen-4.14.gz placeholder old
\t}
\tmenuentry "New" --unrestricted $menuentry_id_option 'new-id' {
\t\tmultiboot2\t--quirk-bad-kludge /boot/xen-4.17.gz placeholder \\
\t\t\tnew=1 'quoted<1' "and $nothing two"${empty}
\t\tmodule2 /vmlinuz
\t}
}
menuentry 'Xen' {
\tmultiboot /xen.gz top -- quiet
}
"""


def lines(default, menu=MENU, environment=None, header=HEADER, read=lambda name: ""):
    return grub.default_lines(header % default + menu, environment, read)


@pytest.mark.parametrize(
    ("default", "entry", "words"),
    [
        ("2", "Xen", "top -- quiet"),
        ("Xen", "Xen", "top -- quiet"),
        ("1>0", "More > less>Old", "placeholder old"),
        ("1>New", "More > less>New", "placeholder new=1 quoted<1 and  two"),
        ("more-id>new-id", "More > less>New", "placeholder new=1 quoted<1 and  two"),
        ("More >> less>old-id", "More > less>Old", "placeholder old"),
        ("1>7", "More > less>Old", "placeholder old"),
        ("1>Nonesuch", "More > less>Old", "placeholder old"),
        ("more-id", "More > less>Old", "placeholder old"),
    ],
)
def test_default_entry(default, entry, words):
    (line,) = lines(default)
    assert (line.entry, " ".join(line.words)) == (entry, words)


@pytest.mark.parametrize("default", ["0", "Plain", "plain-id", "9", "Nonesuch", "", "${saved_entry}"])
def test_an_entry_without_xen_is_not_taken_for_one(default):
    with pytest.raises(grub.NotUnderstood, match="'Plain' that boots by default does not start Xen"):
        lines(default)


def test_a_submenu_without_an_entry():
    """GRUB 2.06 takes the first, Fedora's looks for the same number in it."""
    with pytest.raises(grub.NotUnderstood, match="'1' is a submenu"):
        lines("1")


def test_saved_and_next_entry():
    assert lines("${saved_entry}", environment={"saved_entry": "Xen"})[0].entry == "Xen"
    assert lines("2", environment={"next_entry": "1>0", "saved_entry": "0"})[0].entry == "More > less>Old"
    block = "# GRUB Environment Block\nsaved_entry=More >> less>new-id\nkernelopts=root=x ro\n" + "#" * 900
    assert lines("${saved_entry}", environment=grub.parse_environment(block))[0].entry == "More > less>New"


def test_what_the_firmware_decides_is_left_open():
    menu = """
    menuentry 'Xen' {
      if [ "$grub_platform" = "pc" -o "$grub_platform" = "" ]; then
        opts=
      else
        opts="no-real-mode edd=off"
      fi
      multiboot2 /xen.gz a ${opts}
    }
    if [ "$grub_platform" = "efi" ]; then
      menuentry 'Firmware' { fwsetup }
    fi
    menuentry 'Xen 2' { multiboot2 /xen.gz b; }
    """
    assert {line.words for line in lines("0", menu)} == {("a",), ("a", "no-real-mode", "edd=off")}
    assert {line.words for line in lines("Xen 2", menu)} == {("b",)}
    with pytest.raises(grub.NotUnderstood, match="depends on the firmware"):
        lines("2", menu)
    with pytest.raises(grub.NotUnderstood, match="depends on the firmware"):
        lines("Firmware", menu)


@pytest.mark.parametrize(
    ("menu", "sentence"),
    [
        ("menuentry 'Xen' { multiboot2 /xen.gz a", "ends where }"),
        ("menuentry 'Xen { multiboot2 /xen.gz a }", "quote that is not closed"),
        ('menuentry "Xen', "ends within a quote"),
        ("if true; then menuentry x { a; }", "ends where elif or else or fi"),
        ("}", "has a '}' too many"),
        ("menuentry x { a | b; }", "outside of quotes"),
        ("menuentry x { multiboot2 /xen.gz a; multiboot2 /xen.gz b; }", "loads Xen more than once"),
        ("menuentry x { if somehow; then multiboot2 /xen.gz a; fi; }", "whether multiboot2 runs"),
        ("submenu x { }", "is empty"),
        ("function f { f; }\nf", "nested too deeply"),
        (
            "menuentry x { chainloader /EFI/debian/shimx64.efi; }",
            "does not start Xen, but /EFI/debian/shimx64.efi",
        ),
    ],
)
def test_what_is_not_understood_is_said(menu, sentence):
    with pytest.raises(grub.NotUnderstood, match=sentence):
        grub.default_lines(menu)


def test_entries_from_elsewhere():
    """Fedora's blscfg and files that the menu sources: a title that is not in the menu may be theirs."""
    menu = "menuentry 'Xen' { multiboot2 /xen.gz a; }\nblscfg\n"
    assert lines("Xen", menu)[0].words == ("a",)
    with pytest.raises(grub.NotUnderstood, match="blscfg"):
        lines("0123abcd-6.8.5-301.fc40.x86_64", menu)
    custom = textwrap.dedent(
        """
        if [ -f  ${config_directory}/custom.cfg ]; then
          source ${config_directory}/custom.cfg
        elif [ -z "${config_directory}" -a -f  $prefix/custom.cfg ]; then
          source $prefix/custom.cfg
        fi
        """
    )
    menu = "menuentry 'Xen' { multiboot2 /xen.gz a; }\n" + custom
    assert lines("Nonesuch", menu)[0].words == ("a",)
    mine = "set default=Mine\nmenuentry 'Mine' { multiboot2 /xen.gz mine; }\n"
    assert lines("Xen", menu, read=lambda name: mine)[0].words == ("mine",)


def test_a_script_that_loads_xen_itself():
    assert grub.default_lines("multiboot2 /xen.gz placeholder a b\n")[0].words == ("placeholder", "a", "b")


def test_xen_efi_by_the_chain_loader():
    menu = "menuentry 'Xen' { chainloader ($root)/EFI/opensuse/xen.efi xen.efi config.1; }"
    (line,) = grub.default_lines(menu)
    assert (line.command, line.words) == ("chainloader", ("xen.efi", "config.1"))


PIECES = [
    "menuentry",
    "submenu",
    "'x'",
    '"y $z"',
    "{",
    "}",
    "if",
    "then",
    "else",
    "fi",
    "[",
    "]",
    "set",
    "default=1",
    "multiboot2 /xen.gz",
    ";",
]


@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(st.sampled_from([*PIECES, "\n", "$", "\\", "'", "for", "do", "done"]), max_size=25).map(
            " ".join
        ),
    )
)
def test_any_text_is_understood_or_refused(text):
    with contextlib.suppress(grub.NotUnderstood):
        grub.default_lines(text)
