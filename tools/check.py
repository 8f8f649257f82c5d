# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the project's checks, each once, and stop at the first that fails.

    python3 tools/check.py                    all of them (this is `make test`)
    python3 tools/check.py unit lint ...      some groups: unit, lint, sanity, galaxy, molecule

What a check prints goes to ``.cache/logs/``; it is shown when the check fails, and at once with V=1. The last line counts: every unit
test, every Molecule scenario, and each other check as one.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path
from xml.etree import ElementTree

import ansible_test
import tree
import workshop
from workshop import CACHE, LOGS, ROOT, SetupError, say

from tests.xenhost.cache import remove

TAIL = 150
END_LIMIT_S = 120
SCENARIOS_HOSTS = ("big", "small-hvm", "small-bullseye", "small-trixie")  # see extensions/molecule


class Count(t.NamedTuple):
    """How many checks ended how."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: tuple[t.Any, ...]) -> Count:
        return Count(*(mine + its for mine, its in zip(self, other, strict=True)))

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed" + (
            f", {self.skipped} skipped" if self.skipped else ""
        )


class Failed(Exception):
    """A check failed; `count` is what it did before."""

    def __init__(self, count: Count) -> None:
        super().__init__()
        self.count = count


class Bench:
    """Runs commands in the workshop and keeps the count."""

    def __init__(self) -> None:
        self.venv = workshop.control_environment()
        self.tree = tree.refresh()
        self.count = Count()

    def run(
        self,
        title: str,
        argv: t.Sequence[str | Path],
        cwd: Path | None = None,
        venv: Path | None = None,
        result: t.Callable[[bool, str], Count] | None = None,
        **variables: str,
    ) -> None:
        """Run one check; `result` counts what it did from its success and output, otherwise it is one check.

        Raises Failed when it fails.
        """
        LOGS.mkdir(parents=True, exist_ok=True)
        log = LOGS / (re.sub(r"\W+", "-", title.lower()).strip("-") + ".log")
        environment = {
            **workshop.variables(venv or self.venv),
            "NO_COLOR": "1",
            "ANSIBLE_NOCOLOR": "1",
            **variables,
        }
        live = bool(os.environ.get("V"))
        print(f"{title} ... ", end="\n" if live else "", flush=True)
        begin = time.monotonic()
        with log.open("w+", encoding="utf-8", errors="replace") as stream:
            process = subprocess.Popen(
                argv,
                cwd=cwd or self.tree,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                # Its children are then found together, however deep they are.
                start_new_session=True,
            )
            try:
                for line in t.cast("t.IO[str]", process.stdout):
                    stream.write(line)
                    if live:
                        sys.stdout.write(line)
                        sys.stdout.flush()
                succeeded = process.wait() == 0
            except BaseException:
                _end(process)
                raise
            stream.seek(0)
            output = stream.read()
        count = result(succeeded, output) if result else Count(int(succeeded), int(not succeeded))
        self.count += count
        seconds = time.monotonic() - begin
        if succeeded and not count.failed:
            say(f"{'ok' if count.passed + count.skipped == 1 else count} ({seconds:.0f} s)")
            return
        say(f"FAILED ({seconds:.0f} s)")
        if not live:
            say(_gist(output))
        say(f"\n{title} failed (status {process.returncode}); all of its output is in {log}")
        if not count.failed:
            self.count += Count(failed=1)
        raise Failed(self.count)

    def skip(self, title: str, why: str) -> None:
        """Leave a check out, and say so."""
        self.count += Count(skipped=1)
        say(f"{title} ... skipped: {why}")


def _end(process: subprocess.Popen[t.Any]) -> None:
    """End a check and what it started: asked first, so that it can tidy up, then told, then killed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_LIMIT_S)


def _gist(output: str) -> str:
    """What a failed check has to say: ansible-test's errors, which stand far apart, else the end of the output."""
    lines = output.splitlines()
    errors = [line for line in lines if line.startswith(("ERROR: ", "FATAL: "))]
    return "\n".join(errors or lines[-TAIL:])


def _junit(path: Path) -> t.Callable[[bool, str], Count]:
    """Count the tests of a pytest run from the report that it writes."""
    path.unlink(missing_ok=True)

    def count(succeeded: bool, _output: str) -> Count:
        if not path.exists():
            return Count(failed=int(not succeeded))
        total = Count()
        for suite in ElementTree.parse(path).getroot().iter("testsuite"):
            tests, bad, skipped = (int(suite.get(name, "0")) for name in ("tests", "failures", "skipped"))
            bad += int(suite.get("errors", "0"))
            total += Count(tests - bad - skipped, bad, skipped)
        return total

    return count


def _has(folder: str) -> bool:
    return any((ROOT / folder).rglob("test_*.py"))


def unit(bench: Bench) -> None:
    """Unit tests, on the control node's Python and on the oldest that managed hosts have."""
    if not _has("tests/unit"):
        bench.skip("unit tests", "there are none yet")
        return
    LOGS.mkdir(parents=True, exist_ok=True)
    report = LOGS / "unit.xml"
    extra = os.environ.get("PYTEST_ARGS", "").split()
    pytest = ["-m", "pytest", "--color=no"]
    argv: list[str | Path] = [bench.venv / "bin/python", *pytest, f"--junitxml={report}", *extra]
    bench.run("unit tests", argv, ROOT, result=_junit(report))
    old = workshop.python36_environment()
    if not old:
        bench.skip("unit tests on Python 3.6", "no Python 3.6 found")
    elif not extra:
        report = LOGS / "unit-3.6.xml"
        argv = [old / "bin/python", *pytest, f"--junitxml={report}"]
        bench.run("unit tests on Python 3.6", argv, ROOT, old, result=_junit(report))


def lint(bench: Bench) -> None:
    """Style, types, and the linters of playbooks, documentation and changelog."""
    bench.run("ruff check", ["ruff", "check", "."], ROOT)
    bench.run("ruff format", ["ruff", "format", "--check", "--diff", "."], ROOT)
    configured = ["mypy", "--config-file", str(ROOT / "pyproject.toml")]
    bench.run("mypy plugins", [*configured, "--package", "ansible_collections.dom0.xen.plugins"], CACHE)
    bench.run(
        "mypy tools",
        [*configured, "--python-version", "3.11", "tools", "tests/xenhost"],
        ROOT,
        MYPYPATH="tools",
    )
    bench.run("reuse lint", ["reuse", "lint"], ROOT, REUSE_ENCODING_MODULE="charset_normalizer")
    bench.run("ansible-lint", ["ansible-lint", "--offline", "--profile", "production"])
    docs = ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=all", "."]
    bench.run("antsibull-docs lint", docs)
    bench.run("antsibull-changelog lint", ["antsibull-changelog", "lint"])


def sanity(bench: Bench) -> None:
    """ansible-test with the newest ansible-core here, and with the oldest that the collection supports."""
    ansible_test.seed(bench.venv)
    options = ["--local", "--color", "no"]
    bench.run("ansible-test sanity", ["ansible-test", "sanity", *options])
    if _has("tests/unit/plugins"):
        python = "{}.{}".format(*_version(bench.venv))
        bench.run("ansible-test units", ["ansible-test", "units", "--python", python, *options])
    title = "ansible-test sanity, ansible-core 2.16"
    oldest = workshop.oldest_environment()
    if not oldest:
        bench.skip(title, "it wants Python 3.10, 3.11 or 3.12, and none was found")
        return
    if not workshop.find_python(workshop.OLDEST_TARGET):
        bench.skip("Python 3.6 under ansible-test", "no Python 3.6 found")
    ansible_test.seed(oldest)
    # Its pylint adds nothing to the newer one's. It wants empty __init__.py in module_utils, which later releases took back.
    skipped = [word for test in ("pylint", "empty-init") for word in ("--skip-test", test)]
    bench.run(title, ["ansible-test", "sanity", *skipped, *options], venv=oldest)


def _version(venv: Path) -> tuple[str, str]:
    program = "import sys; print(*sys.version_info[:2])"
    said = subprocess.run(
        [venv / "bin" / "python", "-c", program], capture_output=True, text=True, check=True
    ).stdout
    major, minor = said.split()
    return major, minor


def galaxy(bench: Bench) -> None:
    """Build the collection, and put it through the checks of Ansible Galaxy's import."""
    build = CACHE / "build"
    bench.run(
        "collection build", ["ansible-galaxy", "collection", "build", "--force", "--output-path", build]
    )
    (archive,) = sorted(build.glob("dom0-xen-*.tar.gz"), key=os.path.getmtime)[-1:]
    importer = workshop.galaxy_environment()
    path = os.pathsep.join([str(importer / "bin"), workshop.variables(bench.venv)["PATH"]])
    bench.run(
        "galaxy-importer",
        [importer / "bin/python", "-m", "galaxy_importer.main", archive],
        build,
        importer,
        PATH=path,
    )


def molecule(bench: Bench) -> None:
    """The scenarios on a real, emulated Xen host."""
    if not (ROOT / "extensions" / "molecule").is_dir():
        bench.skip("molecule", "there are no scenarios yet")
        return
    # A run that was killed has left word that the host is there.
    for left in (workshop.HOME / ".ansible" / "tmp").glob("molecule.*"):
        remove(left)
    try:
        bench.run("molecule", ["molecule", "test", "--all", "--report"], ROOT, result=_scenarios)
    finally:
        # Molecule stops the host itself, unless it is interrupted.
        down = [str(bench.venv / "bin" / "python"), "-m", "tests.xenhost", "down", *SCENARIOS_HOSTS]
        subprocess.run(down, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True, check=False)


def _scenarios(succeeded: bool, output: str) -> Count:
    """Count the scenarios in Molecule's closing recap: one line each, with its actions by how they ended."""
    recap = re.findall(r"^(\S+) *: actions=\d+ .*\bfailed=(\d+)", output, re.MULTILINE)
    bad = {name for name, failed in recap if failed != "0"}
    good = {name for name, _failed in recap} - bad
    return Count(len(good), len(bad) or int(not succeeded))


GROUPS = {"unit": unit, "lint": lint, "sanity": sanity, "galaxy": galaxy, "molecule": molecule}


def main(names: list[str]) -> int:
    """Run groups of checks; the last line of the output is the count."""
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        print(
            f"{', '.join(unknown)}: no such group of checks; there are {', '.join(GROUPS)}.", file=sys.stderr
        )
        return 2
    # SIGINT too: whoever starts this in the background has it ignored, and what is started here would inherit that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    bench = None
    try:
        workshop.install_packages(tests=True)
        bench = Bench()
        for name in names or GROUPS:
            GROUPS[name](bench)
    except SetupError as error:
        say(str(error))
        say(str((bench.count if bench else Count()) + Count(failed=1)))
        return 2
    except Failed as failure:
        say(str(failure.count))
        return 1
    except KeyboardInterrupt:
        say("\ninterrupted")
        return 130
    say(str(bench.count))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
