# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the disk of a test host from Debian packages: no mount, no container engine, root or not.

mmdebstrap makes a root file system as a tar archive, ``mke2fs -d`` an ext4 disk of it. Hypervisor, dom0's kernel and
initrd are taken out for QEMU to load. An image is shared by all hosts with the same suite and packages.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shlex
import shutil
import tarfile
import typing as t
from pathlib import Path

from . import code_cache, idle_kernel, tools
from .cache import Cache, content_key, remove
from .description import SUITES, Host
from .errors import HostError

# Raise it when the way of building changes the result: old images are then left alone and new ones built.
BUILDER = 1

DISK = "disk.raw"
PACKAGES = (
    "dbus",
    "iproute2",
    "kmod",
    "linux-image-amd64",
    "openssh-server",
    "pciutils",
    "procps",
    "python3",
    "python3-cffi-backend",
    "systemd-sysv",
    "udev",
)
# Nothing of this is there for a test host; without it the image is smaller and its making faster.
_DRIVERS = (
    "bluetooth",
    "gpu",
    "iio",
    "infiniband",
    "isdn",
    "media",
    "net/ethernet",
    "net/wireless",
    "staging",
)
_EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    *(f"{root}/modules/*/kernel/drivers/{driver}/*" for root in ("/lib", "/usr/lib") for driver in _DRIVERS),
    *(f"{root}/modules/*/kernel/sound/*" for root in ("/lib", "/usr/lib")),
)
# udev would load these for the emulated chipset and CPU; each costs an emulated boot a second and serves nobody.
_UNUSED_MODULES = (
    "aesni_intel",
    "ahci",
    "button",
    "cfg80211",
    "crc32_pclmul",
    "crct10dif_pclmul",
    "drm",
    "evdev",
    "ghash_clmulni_intel",
    "i2c_i801",
    "iTCO_wdt",
    "lpc_ich",
    "pcspkr",
    "psmouse",
    "qemu_fw_cfg",
    "serio_raw",
    "sha1_ssse3",
    "sha256_ssse3",
    "sha512_ssse3",
)
_MASKED_UNITS = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "man-db.timer",
    "modprobe@configfs.service",
    "modprobe@dm_mod.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "modprobe@loop.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-logind.service",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-update-utmp-runlevel.service",
    "systemd-update-utmp.service",
)
# Where every Python 3 of Debian looks for modules, whatever its version.
_PYTHON_FOLDER = "usr/lib/python3/dist-packages"
# On a busy machine nothing that is slow shall be taken for dead.
_PATIENCE = "30min"


class Entry(t.NamedTuple):
    """A file (``content``, text or bytes) or a symbolic link (``target``) that is laid over the root file system."""

    path: str
    content: str | bytes = ""
    target: str = ""
    mode: int = 0o644


def packages(host: Host) -> tuple[str, ...]:
    """Debian packages of a host's image."""
    release = SUITES[host.suite]
    return tuple(
        sorted({*PACKAGES, f"xen-hypervisor-{release}-amd64", f"xen-utils-{release}", *host.packages})
    )


def early_files() -> list[Entry]:
    """Files that must be there before the kernel is installed: they shape the initrd (of dom0 and of guests alike)."""
    modules = ("ext4", "virtio_blk", "virtio_net", "virtio_pci", "xen-blkfront", "xen-netfront")
    return [
        Entry(
            "etc/modprobe.d/xenhost.conf",
            "".join(f"install {module} /bin/false\n" for module in _UNUSED_MODULES),
        ),
        Entry("etc/initramfs-tools/conf.d/xenhost", "MODULES=list\nCOMPRESS=gzip\n"),
        Entry("etc/initramfs-tools/modules", "".join(f"{module}\n" for module in modules)),
        # devtmpfs names the disk; asking udev about every device once, in the real system, is enough.
        Entry("etc/initramfs-tools/scripts/init-top/udev", "#!/bin/sh\nexit 0\n", mode=0o755),
        Entry("etc/initramfs-tools/scripts/init-bottom/udev", "#!/bin/sh\nexit 0\n", mode=0o755),
    ]


def late_files(public_key: str, private_key: str) -> list[Entry]:
    """Files that make the root file system a host we can log in to. dom0 may log in to itself (for ``xl migrate``)."""
    wants = "etc/systemd/system/multi-user.target.wants"
    return [
        Entry("etc/hostname", "xenhost\n"),
        Entry("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 xenhost\n::1 localhost ip6-localhost\n"),
        Entry("etc/fstab", f"/dev/vda / ext4 defaults,noatime,x-systemd.device-timeout={_PATIENCE} 0 0\n"),
        Entry("etc/resolv.conf", "nameserver 10.0.2.3\n"),
        Entry(
            "etc/systemd/network/80-dhcp.network",
            "[Match]\nName=en* eth*\n\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n",
        ),
        Entry(
            "etc/systemd/system.conf.d/xenhost.conf",
            f"[Manager]\nDefaultTimeoutStartSec={_PATIENCE}\nDefaultDeviceTimeoutSec={_PATIENCE}\n",
        ),
        # Units that are made from init scripts have a limit of their own.
        Entry("etc/systemd/system/xen.service.d/xenhost.conf", f"[Service]\nTimeoutSec={_PATIENCE}\n"),
        Entry("etc/systemd/system/xendomains.service.d/xenhost.conf", f"[Service]\nTimeoutSec={_PATIENCE}\n"),
        Entry("etc/systemd/journald.conf.d/xenhost.conf", "[Journal]\nStorage=volatile\n"),
        Entry(f"{wants}/systemd-networkd.service", target="/lib/systemd/system/systemd-networkd.service"),
        Entry(
            "etc/ssh/sshd_config.d/xenhost.conf",
            "PermitRootLogin prohibit-password\nPasswordAuthentication no\nUseDNS no\n",
        ),
        Entry("root/.ssh/authorized_keys", public_key, mode=0o600),
        Entry("root/.ssh/id_ed25519", private_key, mode=0o600),
        Entry("root/.ssh/id_ed25519.pub", public_key),
        Entry(
            "root/.ssh/config",
            "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n",
        ),
        # What a PV guest can boot: dom0's own kernel and initrd, under names that do not change.
        Entry("boot/guest-kernel", target="../vmlinuz"),
        Entry("boot/guest-initrd", target="../initrd.img"),
        # And one that sleeps for ever: created in a fraction of that time.
        Entry("boot/idle-kernel", idle_kernel.kernel()),
        *(Entry(f"etc/systemd/system/{unit}", target="/dev/null") for unit in _MASKED_UNITS),
        # Compiling Ansible's modules once, instead of in each task.
        Entry(
            f"{_PYTHON_FOLDER}/xenhost_code_cache.py", Path(code_cache.__file__).read_text(encoding="utf-8")
        ),
        Entry(f"{_PYTHON_FOLDER}/xenhost.pth", "import xenhost_code_cache\n"),
        Entry(f"{code_cache.FOLDER[1:]}/README", "Code of Python sources, under their digest.\n"),
    ]


def archive(entries: t.Iterable[Entry]) -> bytes:
    """A tar archive of the entries and their directories, owned by root; the same entries give the same bytes."""
    out = io.BytesIO()
    seen: set[str] = set()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry in entries:
            parts = entry.path.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                directory = "/".join(parts[:depth])
                if directory not in seen:
                    seen.add(directory)
                    info = tarfile.TarInfo(directory)
                    info.type, info.mode = (
                        tarfile.DIRTYPE,
                        0o700 if directory in ("root", "root/.ssh") else 0o755,
                    )
                    tar.addfile(info)
            info = tarfile.TarInfo(entry.path)
            if entry.target:
                info.type, info.linkname = tarfile.SYMTYPE, entry.target
                tar.addfile(info)
            else:
                data = entry.content.encode() if isinstance(entry.content, str) else entry.content
                info.size, info.mode = len(data), entry.mode
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def key(host: Host, public_key: str) -> str:
    """Key of a host's image: equal for hosts that can share it."""
    files = hashlib.sha256(archive([*early_files(), *late_files(public_key, "")])).hexdigest()
    return content_key(
        {
            "builder": BUILDER,
            "suite": host.suite,
            "packages": packages(host),
            "excluded": _EXCLUDED,
            "disk": host.disk_mib,
            "files": files,
        }
    )


def sources(suite: str, targets: str, host_suite: str) -> list[str]:
    """apt source lines for ``suite``, from where this machine itself gets Debian.

    ``targets`` is what ``apt-get indextargets`` printed with :data:`TARGETS`, a line a repository; ``host_suite`` is this
    machine's own release. Repositories that are not Debian's own (they do not carry the release and its updates) are left
    out. Empty when nothing is known: mmdebstrap then uses its own default.
    """
    found: dict[tuple[str, str], None] = {}
    if not host_suite:
        return []
    for line in targets.splitlines():
        uri, release, component = (line.split() + ["", "", ""])[:3]
        if component == "main" and release in (host_suite, f"{host_suite}-updates", f"{host_suite}-security"):
            found[uri, suite + release[len(host_suite) :]] = None
    if not any(release == suite for _uri, release in found):
        return []
    return [f"deb {uri} {release} main" for uri, release in found]


TARGETS = "$(REPO_URI) $(RELEASE) $(COMPONENT)"


def _own_release() -> str:
    """This machine's Debian release (``bookworm``), or "" on anything else."""
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return ""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return (
        fields.get("VERSION_CODENAME", "").strip('"') if fields.get("ID", "").strip('"') == "debian" else ""
    )


def own_sources(suite: str) -> list[str]:
    """:func:`sources` for this machine."""
    if tools.find("apt-get") is None:
        return []
    return sources(
        suite,
        tools.run(["apt-get", "indextargets", "--format", TARGETS, "Created-By: Packages"]),
        _own_release(),
    )


def apt_options() -> list[str]:
    """How this machine's apt reaches its repositories: proxies and leniency about dates, as apt.conf lines."""
    if tools.find("apt-config") is None:
        return []
    lines = []
    for line in tools.run(["apt-config", "dump", "--format", '%f "%v";%n', "Acquire"]).splitlines():
        name, _space, value = line.partition(" ")
        if value != '"";' and (
            name.endswith("::Proxy") or name in ("Acquire::Check-Valid-Until", "Acquire::Check-Date")
        ):
            lines.append(line)
    return lines


def mmdebstrap_argv(
    host: Host, options: t.Iterable[str], source_lines: t.Sequence[str], directory: Path
) -> list[str]:
    """The command that makes ``directory/root.tar``; ``early.tar`` and ``late.tar`` lie there too."""
    args = [
        "mmdebstrap",
        "--variant=minbase",
        "--architectures=amd64",
        f"--include={','.join(packages(host))}",
    ]
    args += [f"--aptopt={option}" for option in [*options, 'Acquire::Languages "none"']]
    args += [f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED]
    args += [f"--essential-hook=tar-in {shlex.quote(str(directory / 'early.tar'))} /"]
    args += [f"--customize-hook=tar-in {shlex.quote(str(directory / 'late.tar'))} /"]
    return [*args, host.suite, str(directory / "root.tar"), *source_lines]


def key_path(cache: Cache) -> Path:
    """Where the SSH key that opens the test hosts is kept."""
    return cache.root / "key" / "id_ed25519"


def project_key(cache: Cache) -> tuple[Path, str]:
    """The SSH key that opens the test hosts (generated once, kept out of the repository): its path and public half."""
    directory, path = cache.part("key"), key_path(cache)
    if not path.exists():
        tools.require("ssh-keygen")
        remove(directory / "new")
        tools.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "xenhost", "-f", str(directory / "new")]
        )
        os.replace(directory / "new.pub", directory / "id_ed25519.pub")
        os.replace(directory / "new", path)
    return path, (directory / "id_ed25519.pub").read_text(encoding="ascii")


def _extract_boot(archive_path: Path, directory: Path) -> None:
    """Take hypervisor, kernel and initrd out of the root file system's archive."""
    wanted = {"xen": "xen-", "vmlinuz": "vmlinuz-", "initrd": "initrd.img-"}
    with tarfile.open(archive_path) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if not member.isfile() or not name.startswith("boot/"):
                continue
            for target, prefix in list(wanted.items()):
                if not name.startswith(f"boot/{prefix}") or (target == "xen" and not name.endswith(".gz")):
                    continue
                data = tar.extractfile(member)
                if data is None:
                    continue
                # QEMU's multiboot loader wants the hypervisor as a plain ELF.
                with (
                    gzip.open(data) if target == "xen" else data as stream,
                    (directory / target).open("wb") as out,
                ):
                    shutil.copyfileobj(stream, out)
                del wanted[target]
    if wanted:
        raise HostError(f"The built system has no {' and no '.join(wanted)} in /boot; see build.log.")


def _make_disk(host: Host, directory: Path) -> None:
    """``root.tar`` → ext4 in :data:`DISK` (sparse)."""
    root, log = directory / "root", directory / "build.log"
    root.mkdir()
    # mke2fs takes ownership from the files: a user who is not root keeps it in fakeroot's book.
    save: list[str] = [] if os.geteuid() == 0 else ["fakeroot", "-s", str(directory / "owners"), "--"]
    load: list[str] = [] if os.geteuid() == 0 else ["fakeroot", "-i", str(directory / "owners"), "--"]
    tools.run(
        [*save, "tar", "-x", "-p", "--same-owner", "-f", str(directory / "root.tar"), "-C", str(root)], log
    )
    mke2fs = tools.find("mke2fs") or "mke2fs"
    options = [
        "-q",
        "-t",
        "ext4",
        "-m",
        "0",
        "-L",
        "dom0",
        "-E",
        "lazy_itable_init=0,lazy_journal_init=0",
        "-d",
        str(root),
    ]
    tools.run([*load, mke2fs, *options, str(directory / DISK), f"{host.disk_mib}M"], log)


def build(host: Host, cache: Cache, say: t.Callable[[str], None]) -> Path:
    """Directory of the host's image, built if it is not there yet. Raises HostError."""
    private, public = project_key(cache)
    name = key(host, public)
    final = cache.part("images") / name
    with cache.lock(f"image-{name}", say):
        if final.exists():
            return final
        tools.require(*tools.wanted())
        say(f"building the {host.suite} image with Xen {SUITES[host.suite]} (two to three minutes)")
        with cache.building("images", name) as directory:
            (directory / "early.tar").write_bytes(archive(early_files()))
            (directory / "late.tar").write_bytes(
                archive(late_files(public, private.read_text(encoding="ascii")))
            )
            environment = dict(os.environ)
            if os.geteuid() == 0:
                # /tmp may be a small tmpfs.
                environment["TMPDIR"] = str(directory)
            try:
                tools.run(
                    mmdebstrap_argv(host, apt_options(), own_sources(host.suite), directory),
                    directory / "build.log",
                    env=environment,
                )
                say("making its disk")
                _extract_boot(directory / "root.tar", directory)
                _make_disk(host, directory)
            except HostError as error:
                # The directory goes; the log stays to explain.
                kept = shutil.copyfile(directory / "build.log", cache.root / "images" / "failed.log")
                raise HostError(str(error).replace(str(directory / "build.log"), str(kept))) from None
            for scrap in ("root", "root.tar", "early.tar", "late.tar", "owners"):
                remove(directory / scrap)
    return final
