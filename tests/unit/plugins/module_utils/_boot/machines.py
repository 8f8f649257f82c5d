# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A machine with GRUB in a folder: Debian's real grub-mkconfig and scripts, or in their place a script that follows a distribution's source.

Everything has the paths that it would have on the machine; :func:`host` maps them to the folder.
"""

import os
import re
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.dom0.xen.plugins.module_utils._boot.layouts import Host
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils.unpacked import unpacked

# What Debian's are, and what each stands for when it asks the machine.
_SCRIPTS = (
    "usr/sbin/grub-mkconfig",
    "usr/share/grub/grub-mkconfig_lib",
    "etc/grub.d/00_header",
    "etc/grub.d/10_linux",
    "etc/grub.d/20_linux_xen",
    "etc/grub.d/30_uefi-firmware",
    "etc/grub.d/41_custom",
)
_PROBE = 'case "$*" in *=device*) echo /dev/vda1;; *fs_uuid*) echo 1234-ABCD;; *partuuid*) exit 1;; *=fs*) echo ext2;; *=drive*) echo hd0;; esac'
_XEN_ENTRIES = """
  cat <<EOT
submenu 'Advanced' --id advanced {
menuentry 'Plain' --class gnu-linux {
  linux /vmlinuz
}
}
menuentry 'Fedora, with Xen hypervisor' --class xen $menuentry_id_option 'xen-simple' {
  if [ "\\$grub_platform" = "pc" -o "\\$grub_platform" = "" ]; then
    xen_rm_opts=
  else
    xen_rm_opts="no-real-mode edd=off"
  fi
  multiboot2 /xen.gz placeholder ${GRUB_CMDLINE_XEN} ${GRUB_CMDLINE_XEN_DEFAULT} \\${xen_rm_opts}
  module2 /vmlinuz placeholder root=/dev/vda1
}
EOT
"""


class Machine:
    """`root` is its folder. `runs` has the commands that were run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = []  # type: t.List[t.List[str]]

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def put(self, name: str, text: str, mode: int = 0o644) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)
        self.path(name).chmod(mode)

    def get(self, name: str) -> t.Optional[str]:
        path = self.path(name)
        return path.read_text() if path.is_file() else None

    def host(self) -> Host:
        return Host(
            read=self.get,
            write=self.put,
            remove=lambda name: self.path(name).unlink(),
            names=lambda name: sorted(os.listdir(self.path(name))) if self.path(name).is_dir() else [],
            which=self._which,
            run=self._run,
        )

    def _which(self, name: str) -> t.Optional[str]:
        folders = ("/usr/sbin", "/usr/bin") if "/" not in name else ("",)
        there = [f"{folder}/{name}" if folder else name for folder in folders]
        return next((path for path in there if self.path(path).is_file()), None)

    def _run(self, argv: t.Sequence[str]) -> t.Tuple[int, str]:
        self.runs.append(list(argv))
        program = self._which(argv[0])
        assert program is not None
        words = [str(self.path(word)) if word.startswith("/") else word for word in argv[1:]]
        environment = {
            "PATH": f"{self.path('/usr/sbin')}:/usr/bin:/bin",
            "LC_ALL": "C",
            "ROOT": str(self.root),
        }
        done = subprocess.run(
            ["sh", str(self.path(program)), *words],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout.decode("utf-8", "replace").strip()


def debian(root: Path) -> Machine:
    """Debian 12 with two releases of Xen, by the scripts of its packages."""
    source = unpacked("grub-common")
    machine = Machine(root)
    for name in _SCRIPTS:
        text = (source / name).read_text(encoding="utf-8")
        # The scripts find everything below their own root.
        text = re.sub(
            r"(?<![A-Za-z0-9_.}])/(?=(?:usr|etc|boot|lib|sbin|sys)/|(?:usr|etc|boot)\")", f"{root}/", text
        )
        machine.put(name, text, 0o755)
    machine.put(
        "usr/sbin/update-grub", f"exec {root}/usr/sbin/grub-mkconfig -o {root}/boot/grub/grub.cfg\n", 0o755
    )
    machine.put("usr/sbin/grub-probe", f"#!/bin/sh\n{_PROBE}\n", 0o755)
    machine.put("usr/bin/grub-file", '#!/bin/sh\n[ "$1" = --is-x86-multiboot2 ]\n', 0o755)
    machine.put("usr/bin/grub-script-check", "#!/bin/sh\n", 0o755)
    relative = f'#!/bin/sh\nfor path; do :; done\necho "${{path#{root}}}"\n'
    machine.put("usr/bin/grub-mkrelpath", relative, 0o755)
    for name in ("vmlinuz", "initrd.img"):
        machine.put(f"boot/{name}-6.1.0-20-amd64", "x")
    machine.put("boot/config-6.1.0-20-amd64", "CONFIG_XEN_DOM0=y\n")
    for release in ("4.17", "4.14"):
        machine.put(f"boot/xen-{release}-amd64.gz", "x")
    machine.put(
        "etc/default/grub", 'GRUB_DEFAULT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'
    )
    machine.put("etc/default/grub.d/xen.cfg", 'GRUB_DEFAULT="Debian GNU/Linux, with Xen hypervisor"\n')
    machine.path("boot/grub").mkdir()
    return machine


def without_drop_ins(root: Path, tool: str = "grub2-mkconfig", menu: str = "/boot/grub2/grub.cfg") -> Machine:
    """Fedora, openSUSE and Alpine: grub-mkconfig sources /etc/default/grub alone (util/grub-mkconfig.in of rhboot/grub2 and upstream's)."""
    machine = Machine(root)
    body = (
        '. "$ROOT/etc/default/grub"\n{\necho "set default=\\"${GRUB_DEFAULT}\\""\n'
        + _XEN_ENTRIES
        + '} > "$2"\n'
    )
    machine.put(f"usr/sbin/{tool}", body, 0o755)
    machine.put("etc/default/grub", 'GRUB_DEFAULT="Fedora, with Xen hypervisor"\nGRUB_TIMEOUT=5\n')
    machine.put(menu, "menuentry 'Plain' {\n  linux /vmlinuz\n}\n")
    return machine
