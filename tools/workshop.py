# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workshop: Debian packages, Python interpreters and virtual environments that the developer tools need.

    python3 tools/workshop.py             make what is missing (this is `make setup`)
    python3 tools/workshop.py run CMD...  run a command in the workshop

Everything made here is in ``.cache/`` of the checkout and is used again as long as the requirement files stay the same.
Nothing of the user's is written: commands get a home directory of their own there. Standard library only, Python 3.10 and later.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.xenhost.cache import default_root, remove
from tests.xenhost.tools import find, missing, wanted

CACHE = ROOT / ".cache"
HOME = CACHE / "home"
LOGS = CACHE / "logs"
REQUIREMENTS = ROOT / "tests" / "requirements"

# A control node's environment, newest ansible-core first, and the Python versions that it runs on.
CONTROL = (("ansible-2.21", ((3, 14), (3, 13), (3, 12))), ("ansible-2.19", ((3, 11),)))
# The last ansible-core whose modules run on Python 3.6.
OLDEST = ("ansible-2.16", ((3, 12), (3, 11), (3, 10)))
OLDEST_TARGET = ((3, 6),)

# hwloc's own tools judge the XML that is written for them.
TEST_FILES = {
    "/usr/bin/hwloc-calc": "hwloc-nox",
    "/usr/bin/xmllint": "libxml2-utils",
    "/usr/share/hwloc/hwloc2.dtd": "libhwloc-common",
    # A real browser looks at the reports.
    "/usr/bin/chromium": "chromium",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf": "fonts-dejavu-core",
}

# Programs that judge what is written for them, unpacked and not installed: they would bring services, or write to /boot.
UNPACKED = CACHE / "unpacked"
UNPACKED_PACKAGES = (
    ("grub-common", "grub2-common"),
    (
        "xen-utils-4.17", "libxenmisc4.17", "libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1",
        "libxengnttab1", "libxenhypfs1", "libxenstore4", "libxentoolcore1", "libxentoollog1", "libyajl2",
    ),
)  # fmt: skip

_PROBE = "import sys, ensurepip, ssl, venv; print(getattr(sys, '_base_executable', sys.executable))"


NO_PYTHON = "No Python 3.11 or later that can make virtual environments was found; on Debian: apt-get install python3-venv."


class SetupError(Exception):
    """The workshop cannot be made; the message is one clear sentence that says what to do."""


def say(text: str) -> None:
    """Tell the user what goes on."""
    print(text, flush=True)


# Interpreters


def _bin_folders() -> list[Path]:
    """Where real interpreters are: PATH without version managers' shims (which fail unless chosen), and the managers' own trees."""
    folders = [Path(entry) for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry]
    folders = [folder for folder in folders if folder.name != "shims"]
    home = Path(os.path.expanduser("~"))
    for tree in (
        Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions",
        home / ".local/share/uv/python",
    ):
        folders += sorted(tree.glob("*/bin"))
    return list(dict.fromkeys([*folders, Path("/usr/local/bin"), Path("/usr/bin")]))


def find_python(versions: t.Iterable[tuple[int, int]]) -> Path | None:
    """The first interpreter of one of these versions, in their order, that can make a virtual environment."""
    for major, minor in versions:
        for folder in _bin_folders():
            candidate = folder / f"python{major}.{minor}"
            if os.access(candidate, os.X_OK):
                done = subprocess.run([candidate, "-c", _PROBE], capture_output=True, text=True, check=False)
                if done.returncode == 0:
                    return Path(done.stdout.strip())
    return None


# Debian packages


def install_packages(tests: bool = False) -> None:
    """Install with apt-get what this machine lacks of what the emulated hosts need, or with `tests` also the unit tests."""
    packages = {wanted()[program] for program in missing(wanted())}
    if tests:
        packages |= {package for path, package in TEST_FILES.items() if not os.path.exists(path)}
    if not any(find_python(versions) for _name, versions in CONTROL):
        packages.add("python3-venv")
    if not packages:
        return
    names = sorted(packages)
    by_hand = f"install by hand what these Debian packages bring: {' '.join(names)}"
    if find("apt-get") is None:
        raise SetupError(f"This machine has no apt-get; {by_hand}.")
    prefix: list[str] = []
    if os.geteuid() != 0:
        if find("sudo") is None:
            raise SetupError(
                f"Installing packages takes root or sudo, and neither is at hand; as root: apt-get install {' '.join(names)}."
            )
        prefix = ["sudo"] if sys.stdin.isatty() else ["sudo", "--non-interactive"]
    say(f"Installing Debian packages: {' '.join(names)}")
    quiet = [
        *prefix,
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "--quiet=2",
        "--option",
        "Dpkg::Use-Pty=0",
    ]
    _logged([*quiet, "update"], "apt", by_hand)
    _logged([*quiet, "install", "--yes", "--no-install-recommends", *names], "apt", by_hand)


def unpack_packages() -> None:
    """Unpack what is in UNPACKED_PACKAGES below UNPACKED; where this is no Debian that has them, the tests that want them are skipped."""
    for names in UNPACKED_PACKAGES:
        target = UNPACKED / names[0]
        if target.exists() or find("apt-get") is None:
            continue
        partial = UNPACKED / (names[0] + ".partial")
        remove(partial)
        partial.mkdir(parents=True)
        say(f"Unpacking Debian packages: {' '.join(names)}")
        done = subprocess.run(
            ["apt-get", "--quiet=2", "download", *names],
            cwd=partial,
            capture_output=True,
            text=True,
            check=False,
        )
        archives = sorted(partial.glob("*.deb"))
        for archive in archives if done.returncode == 0 else ():
            done = subprocess.run(
                ["dpkg-deb", "-x", archive, partial], capture_output=True, text=True, check=False
            )
            archive.unlink()
        if done.returncode != 0 or not archives:
            remove(partial)
            say(f"They cannot be had here, so tests that ask them are skipped: {done.stderr.strip()[:200]}")
            continue
        partial.rename(target)


def _logged(argv: t.Sequence[str | Path], name: str, advice: str) -> None:
    """Run a command with its output in a log file; on failure name the file and say what to do."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"setup-{name}.log"
    stdin = None if sys.stdin.isatty() else subprocess.DEVNULL
    environment = {**os.environ, "PIP_CACHE_DIR": str(CACHE / "pip")}
    with log.open("ab") as stream:
        done = subprocess.run(
            argv, stdin=stdin, stdout=stream, stderr=subprocess.STDOUT, env=environment, check=False
        )
    if done.returncode != 0:
        last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-5:]
        command = " ".join(shlex.quote(str(word)) for word in argv)
        raise SetupError(
            "\n".join(
                [f"{command} failed with status {done.returncode} (its output is in {log}); {advice}.", *last]
            )
        )


# Virtual environments


def _requirement_lines(path: Path) -> list[str]:
    """The lines of a requirement file, with those of the files that it names."""
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            lines += _requirement_lines(path.parent / line[3:].strip())
        elif line.strip() and not line.startswith("#"):
            lines.append(line.strip())
    return lines


def environment_for(name: str, python: Path) -> Path:
    """The virtual environment of a requirement file with an interpreter; made when it, or any of the two, is new."""
    lines = _requirement_lines(REQUIREMENTS / f"{name}.txt")
    key = hashlib.sha256("\n".join([str(python), *lines]).encode()).hexdigest()[:12]
    folder = CACHE / "venvs" / f"{name}-{key}"
    ready = folder / "ready"
    if ready.exists() and (folder / "bin" / "python").exists():
        return folder
    for old in (CACHE / "venvs").glob(f"{name}-*"):
        remove(old)
    say(f"Making the environment {name} with {python}")
    advice = "pip must reach a package index; then run the same command again"
    _logged([python, "-m", "venv", folder], name, f"remove {folder} and run the same command again")
    pip: list[str | Path] = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    # An old interpreter's own pip may be too old to choose versions that fit it.
    for first in [line for line in lines if line.startswith("pip==")]:
        _logged([*pip, first], name, advice)
    _logged([*pip, "--requirement", REQUIREMENTS / f"{name}.txt"], name, advice)
    ready.touch()
    return folder


def control_environment() -> Path:
    """The environment with the newest ansible-core that a Python of this machine can run; ``.cache/venv`` points to it."""
    for name, versions in CONTROL:
        python = find_python(versions)
        if python:
            folder = environment_for(name, python)
            link = CACHE / "venv"
            if not link.is_symlink() or os.readlink(link) != str(folder.relative_to(CACHE)):
                remove(link)
                link.symlink_to(folder.relative_to(CACHE))
            return folder
    raise SetupError(NO_PYTHON)


def galaxy_environment() -> Path:
    """The environment of Galaxy's own checks."""
    python = find_python(((3, 12), (3, 11), (3, 13)))
    if not python:
        raise SetupError(NO_PYTHON)
    return environment_for("galaxy-importer", python)


def oldest_environment() -> Path | None:
    """The environment with ansible-core 2.16, or None when no Python that it runs on is here."""
    name, versions = OLDEST
    python = find_python(versions)
    return environment_for(name, python) if python else None


def python36_environment() -> Path | None:
    """The environment of the unit tests on Python 3.6, or None when that is not here."""
    python = find_python(OLDEST_TARGET)
    return environment_for("python-3.6", python) if python else None


# Running in the workshop


def _write_home() -> None:
    """A home directory for the tools: the user's own way to packages, and nothing else of the user's."""
    HOME.mkdir(parents=True, exist_ok=True)
    # Some tools hand their pip neither environment variables nor the real home: give it what the user's pip would know.
    merged = configparser.RawConfigParser()
    user = Path(os.path.expanduser("~"))
    merged.read(
        [
            user / ".pip/pip.conf",
            user / ".config/pip/pip.conf",
            os.environ.get("PIP_CONFIG_FILE") or "/etc/pip.conf",
        ]
    )
    if not merged.has_section("global"):
        merged.add_section("global")
    for variable, value in os.environ.items():
        if variable.startswith("PIP_") and variable != "PIP_CONFIG_FILE":
            merged.set("global", variable[4:].lower().replace("_", "-"), value)
    merged.set("global", "cache-dir", str(CACHE / "pip"))
    target = HOME / ".config" / "pip" / "pip.conf"
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8") as stream:
        merged.write(stream)
    # The checkout may belong to another user (a container's volume): git must still list its files.
    (HOME / ".gitconfig").write_text("[safe]\n\tdirectory = *\n", encoding="utf-8")


def control_sockets() -> Path:
    """Where Ansible keeps the sockets of the connections that it leaves open for a while."""
    return default_root(os.environ) / "ansible-cp"


def variables(venv: Path) -> dict[str, str]:
    """Environment variables for a tool: this virtual environment first, real interpreters, a home of its own."""
    _write_home()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "PYENV_", "PYTHON", "MOLECULE_", "MAKE"))
    }
    folders = [venv / "bin", *_bin_folders(), Path("/usr/sbin"), Path("/sbin"), Path("/bin")]
    kept.update(
        PATH=os.pathsep.join(str(folder) for folder in dict.fromkeys(folders)),
        HOME=str(HOME),
        XDG_CACHE_HOME=str(CACHE / "xdg"),
        PIP_CACHE_DIR=str(CACHE / "pip"),
        HYPOTHESIS_STORAGE_DIRECTORY=str(CACHE / "hypothesis"),
        VIRTUAL_ENV=str(venv),
        ANSIBLE_COLLECTIONS_PATH=str(CACHE),
        # The emulated hosts are the user's and outlive a run: the tools must look where the user looks.
        XENHOST_CACHE=str(default_root(os.environ)),
        # The path of a socket may have 107 characters, and the home above is as deep as the checkout.
        ANSIBLE_SSH_CONTROL_PATH_DIR=str(control_sockets()),
    )
    if "UTF-8" not in (kept.get("LC_ALL") or kept.get("LC_CTYPE") or kept.get("LANG") or "").upper().replace(
        "UTF8", "UTF-8"
    ):
        kept["LC_ALL"] = "C.UTF-8"
    return kept


def main(arguments: list[str]) -> int:
    """Make the workshop, or run one command in it."""
    try:
        install_packages()
        venv = control_environment()
        if not arguments:
            return 0
        if arguments[0] != "run" or not arguments[1:]:
            raise SetupError("Usage: python3 tools/workshop.py [run COMMAND [ARGUMENT...]]")
        environment = variables(venv)
        program = shutil.which(arguments[1], path=environment["PATH"])
        if not program:
            raise SetupError(f"{arguments[1]} is not found in the workshop.")
        sys.stdout.flush()
        os.execve(program, arguments[1:], environment)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
