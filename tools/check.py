# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the project's checks side by side, and say where the time goes.

    python3 tools/check.py                    all of them (this is `make test`)
    python3 tools/check.py unit lint ...      some groups: unit, lint, sanity, galaxy, molecule
    python3 tools/check.py molecule:place     one scenario
    python3 tools/check.py quick              what a change touches (this is `make check`)

There are as many lanes as the machine has CPUs (LANES=1 for one after the other), as each check, an emulated host included, keeps about one busy.
The longest come first. All checks run, also after one has failed. What a check prints goes to ``.cache/logs/``; it is shown when the check fails,
and at once with V=1. The end is a table of checks, scenarios and their slowest tasks; the last line counts: every unit test, every Molecule
scenario, and each other check as one.
"""

from __future__ import annotations

import contextlib
import json
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
import touched
import tree
import workshop
from workshop import CACHE, LOGS, ROOT, SetupError, say

from tests.xenhost.cache import Cache, default_root, remove
from tests.xenhost.run import labelled

TAIL = 150
END_LIMIT_S = 120
SLOWEST = 10
_POLL_S = 0.1
SCENARIOS = ROOT / "extensions" / "molecule"
# Seconds that checks took in earlier runs, by title.
TIMES = CACHE / "times.json"
# What is known of scenarios before there was one: the longest begin first. Others take about as long as the last.
SCENARIO_SECONDS = {
    "errors": 400,
    "hvm": 400,
    "killed": 400,
    "move": 320,
    "place": 300,
    "reboot": 250,
    "": 150,
}


Argv = t.Sequence[t.Union[str, Path]]


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


class Check(t.NamedTuple):
    """One command. It starts once all of `after` have ended, whether they passed or not.

    `tally(succeeded, output)` counts what it did; without it, it is one check. `seconds` is a guess for the first run. `serves` others: it is
    started before them and not counted.
    """

    title: str
    argv: Argv
    cwd: Path = ROOT
    venv: Path | None = None
    variables: t.Mapping[str, str] = {}
    tally: t.Callable[[bool, str], Count] | None = None
    after: tuple[str, ...] = ()
    seconds: float = 5
    serves: bool = False

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return LOGS / (re.sub(r"\W+", "-", self.title.lower()).strip("-") + ".log")


class Skipped(t.NamedTuple):
    """A check that cannot run here, and why."""

    title: str
    why: str


Found = t.Iterator[t.Union[Check, Skipped]]


class Workshop(t.NamedTuple):
    """What the groups build their checks from: the control node's environment, and the checkout as Ansible wants it."""

    venv: Path
    tree: Path


# What there is to check


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


def _pytest(title: str, venv: Path, seconds: float, arguments: t.Sequence[str]) -> Check:
    report = LOGS / (re.sub(r"\W+", "-", title) + ".xml")
    argv: Argv = [venv / "bin/python", "-m", "pytest", "--color=no", f"--junitxml={report}"]
    return Check(title, [*argv, *arguments], venv=venv, tally=_junit(report), seconds=seconds)


def unit(shop: Workshop) -> Found:
    """Unit tests, on the control node's Python and on the oldest that managed hosts have."""
    extra = os.environ.get("PYTEST_ARGS", "").split()
    yield _pytest("unit tests", shop.venv, 150, extra)
    old = workshop.python36_environment()
    if not old:
        yield Skipped("unit tests on Python 3.6", "no Python 3.6 found")
    elif not extra:
        yield _pytest("unit tests on Python 3.6", old, 100, [])


def style(_shop: Workshop) -> Found:
    """Ruff."""
    yield Check("ruff check", ["ruff", "check", "."])
    yield Check("ruff format", ["ruff", "format", "--check", "--diff", "."])


def types(_shop: Workshop) -> Found:
    """Mypy."""
    configured = ["mypy", "--config-file", str(ROOT / "pyproject.toml")]
    package = "ansible_collections.dom0.xen.plugins"
    yield Check("mypy plugins", [*configured, "--package", package], CACHE, seconds=60)
    # They write to one cache.
    tools = [*configured, "--python-version", "3.11", "tools", "tests/xenhost"]
    yield Check("mypy tools", tools, variables={"MYPYPATH": "tools"}, after=("mypy plugins",))


def lint(shop: Workshop) -> Found:
    """Style, types, and the linters of playbooks, documentation and changelog."""
    yield from style(shop)
    yield from types(shop)
    yield Check("reuse lint", ["reuse", "lint"], variables={"REUSE_ENCODING_MODULE": "charset_normalizer"})
    yield Check(
        "ansible-lint", ["ansible-lint", "--offline", "--profile", "production"], shop.tree, seconds=40
    )
    docs = ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=all", "."]
    yield Check("antsibull-docs lint", docs, shop.tree, seconds=20)
    yield Check("antsibull-changelog lint", ["antsibull-changelog", "lint"], shop.tree)


def sanity(shop: Workshop) -> Found:
    """ansible-test with the newest ansible-core here, and with the oldest that the collection supports."""
    ansible_test.seed(shop.venv)
    options = ["--local", "--color", "no"]
    newest = "ansible-test sanity"
    yield Check(newest, ["ansible-test", "sanity", *options], shop.tree, seconds=110)
    # The tests run whole above, against the checkout. This is the one run of them in a collections tree and under Ansible's own loader, as
    # other people's machines run them: the shells of the collection are enough to see that nothing needs the stand-in of conftest.py.
    python = "{}.{}".format(*_version(shop.venv))
    units = ["ansible-test", "units", "--python", python, *options]
    targets = [f"tests/unit/plugins/{name}/" for name in ("action", "filter")]
    yield Check("ansible-test units", [*units, *targets], shop.tree, after=(newest,), seconds=30)
    title = "ansible-test sanity, ansible-core 2.16"
    oldest = workshop.oldest_environment()
    if not oldest:
        yield Skipped(title, "it wants Python 3.10, 3.11 or 3.12, and none was found")
        return
    if not workshop.find_python(workshop.OLDEST_TARGET):
        yield Skipped("Python 3.6 under ansible-test", "no Python 3.6 found")
    ansible_test.seed(oldest)
    # Its pylint adds nothing to the newer one's. It wants empty __init__.py in module_utils, which later releases took back.
    skipped = [word for test in ("pylint", "empty-init") for word in ("--skip-test", test)]
    argv = ["ansible-test", "sanity", *skipped, *options]
    # All of them write to tests/output.
    yield Check(title, argv, shop.tree, oldest, after=("ansible-test units",), seconds=70)


def _version(venv: Path) -> tuple[str, str]:
    program = "import sys; print(*sys.version_info[:2])"
    said = subprocess.run(
        [venv / "bin" / "python", "-c", program], capture_output=True, text=True, check=True
    ).stdout
    major, minor = said.split()
    return major, minor


def galaxy(shop: Workshop) -> Found:
    """Build the collection, and put it through the checks of Ansible Galaxy's import."""
    build = CACHE / "build"
    remove(build)
    build.mkdir(parents=True)
    command: Argv = ["ansible-galaxy", "collection", "build", "--force", "--output-path", build]
    yield Check("collection build", command, shop.tree)
    importer = workshop.galaxy_environment()
    path = os.pathsep.join([str(importer / "bin"), workshop.variables(shop.venv)["PATH"]])
    archive = build / f"dom0-xen-{_own_version()}.tar.gz"
    yield Check(
        "galaxy-importer",
        [importer / "bin/python", "-m", "galaxy_importer.main", archive],
        build,
        importer,
        {"PATH": path},
        after=("collection build",),
        seconds=35,
    )


def _own_version() -> str:
    """The version in galaxy.yml."""
    (version,) = re.findall(r"(?m)^version:\s*(\S+)", (ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    return version


def scenarios() -> dict[str, str]:
    """Molecule's scenarios, and the test host of each."""
    common = SCENARIOS / "config.yml"
    found = {}
    for path in sorted(SCENARIOS.glob("*/molecule.yml")):
        texts = [path.read_text(encoding="utf-8"), common.read_text(encoding="utf-8")]
        found[path.parent.name] = next(
            match[1] for text in texts for match in re.finditer(r"(?m)^  - name: (\S+)$", text)
        )
    return found


def molecule(shop: Workshop, only: str = "") -> Found:
    """The scenarios on real, emulated Xen hosts, each on a fresh one."""
    chosen = {name: host for name, host in scenarios().items() if only in ("", name)}
    if not chosen:
        raise SetupError(f"There is no scenario {only!r}; there are {', '.join(scenarios())}.")
    # A run that was killed has left word that its host is there.
    for name in chosen:
        for left in (workshop.HOME / ".ansible" / "tmp").glob(f"molecule.*.{name}"):
            remove(left)
        (LOGS / f"tasks-{name}.jsonl").unlink(missing_ok=True)
    for host in dict.fromkeys(chosen.values()):
        command: Argv = [shop.venv / "bin/python", "-m", "tests.xenhost", "prepare", host]
        # Most scenarios wait for `big`.
        seconds = 200 if host == "big" else 150
        yield Check(f"host {host}", command, seconds=seconds, serves=True)
    for name, host in chosen.items():
        variables = {"TASK_TIMES": str(LOGS / f"tasks-{name}.jsonl")}
        argv = ["molecule", "test", "--scenario-name", name]
        title = f"scenario {name}"
        needs = (f"host {host}",)
        seconds = SCENARIO_SECONDS.get(name, SCENARIO_SECONDS[""])
        yield Check(title, argv, variables=variables, after=needs, seconds=seconds)


def quick(shop: Workshop) -> Found:
    """What a developer runs after each edit: style, types, and the unit tests that a change can reach."""
    yield from style(shop)
    yield from types(shop)
    changed = touched.changed(ROOT)
    tests = touched.tests(ROOT, changed)
    if not changed:
        yield Skipped("unit tests", "nothing has changed")
    elif tests:
        arguments = [*_workers(len(tests)), *tests]
        yield _pytest("unit tests of what has changed", shop.venv, 100, arguments)
        old = workshop.python36_environment()
        travelling = [test for test in tests if touched.travels(test)]
        if old and travelling:
            yield _pytest("the same on Python 3.6, where it travels", old, 60, travelling)


def _workers(files: int) -> list[str]:
    """With few files the start of more processes costs more than it saves."""
    return ["-n", str(os.cpu_count() or 1), "--dist", "loadfile"] if files > 40 else []


GROUPS: dict[str, t.Callable[[Workshop], Found]] = {
    "unit": unit,
    "lint": lint,
    "sanity": sanity,
    "galaxy": galaxy,
    "molecule": molecule,
}


# Running them


class Ended(t.NamedTuple):
    """A check that has run."""

    check: Check
    tally: Count
    seconds: float


class Lanes:
    """Runs checks side by side."""

    def __init__(self, venv: Path, lanes: int, live: bool, known: t.Mapping[str, float]) -> None:
        self.venv = venv
        self.lanes = lanes
        self.live = live
        self.known = known
        self.ended: list[Ended] = []
        self._running: dict[str, tuple[Check, subprocess.Popen[bytes], float]] = {}
        self._shown: dict[str, int] = {}

    def run(self, checks: t.Sequence[Check]) -> None:
        """Run all; :attr:`ended` has how they ended. An interruption ends those that run."""
        waiting = _ordered(checks, self.known)
        try:
            while waiting or self._running:
                self._start(waiting)
                time.sleep(_POLL_S)
                for title in list(self._running):
                    self._look(title)
        except BaseException:
            for _check, process, _begin in self._running.values():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGINT)
            for _check, process, _begin in self._running.values():
                _end(process)
            raise

    def _start(self, waiting: list[Check]) -> None:
        busy = {check.title for check in waiting} | set(self._running)
        for check in list(waiting):
            if len(self._running) >= self.lanes:
                return
            if not busy.intersection(check.after):
                waiting.remove(check)
                self._launch(check)

    def _launch(self, check: Check) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        environment = {
            **workshop.variables(check.venv or self.venv),
            "NO_COLOR": "1",
            "ANSIBLE_NOCOLOR": "1",
            **check.variables,
        }
        if self.live:
            say(f"{check.title} ...")
        with check.log.open("wb") as stream:
            process = subprocess.Popen(
                check.argv,
                cwd=check.cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                # Its children are then found together, however deep they are.
                start_new_session=True,
            )
        self._running[check.title] = (check, process, time.monotonic())
        self._shown[check.title] = 0

    def _look(self, title: str) -> None:
        """Show what a check has printed, if that is asked for, and take note of its end."""
        check, process, begin = self._running[title]
        status = process.poll()
        if self.live:
            with check.log.open("rb") as stream:
                stream.seek(self._shown[title])
                new = stream.read()
            self._shown[title] += len(new)
            sys.stdout.write(new.decode(errors="replace"))
            sys.stdout.flush()
        if status is None:
            return
        del self._running[title]
        self._note(check, status, time.monotonic() - begin)

    def _note(self, check: Check, status: int, seconds: float) -> None:
        output = check.log.read_text(encoding="utf-8", errors="replace")
        succeeded = status == 0
        if check.tally:
            count = check.tally(succeeded, output)
            if not succeeded and not count.failed:
                count += Count(failed=1)
        elif check.serves and succeeded:
            count = Count()
        else:
            count = Count(int(succeeded), int(not succeeded))
        self.ended.append(Ended(check, count, seconds))
        if not count.failed:
            say(f"{check.title}: {count if check.tally else 'ok'} ({seconds:.0f} s)")
            return
        if not self.live:
            say(f"\n{_gist(output)}")
        say(
            f"{check.title}: FAILED with status {status} ({seconds:.0f} s); all of its output is in {check.log}\n"
        )

    @property
    def count(self) -> Count:
        """All of them added up."""
        total = Count()
        for ended in self.ended:
            total += ended.tally
        return total


def _ordered(checks: t.Sequence[Check], known: t.Mapping[str, float]) -> list[Check]:
    """What others wait for first, then the longest, by what they took before."""

    def length(check: Check) -> float:
        own = known.get(check.title, check.seconds)
        return own + max((length(other) for other in checks if check.title in other.after), default=0.0)

    return sorted(checks, key=lambda check: (not check.serves, -length(check)))


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


# Saying where the time went


def _tasks() -> list[tuple[float, str, str]]:
    """Seconds, scenario and name of every task that a scenario ran, the slowest first."""
    found = []
    for path in LOGS.glob("tasks-*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            found.append((float(entry["seconds"]), path.stem.partition("-")[2], str(entry["task"])))
    return sorted(found, reverse=True)


def report(ended: t.Sequence[Ended], lanes: int, seconds: float) -> str:
    """The closing table: each check with its seconds, the slowest tasks of the scenarios, and all of it."""
    lines = ["", f"{'seconds':>8}  check"]
    for one in sorted(ended, key=lambda one: -one.seconds):
        lines.append(f"{one.seconds:8.0f}  {one.check.title}{'  FAILED' if one.tally.failed else ''}")
    titles = {one.check.title for one in ended}
    tasks = [task for task in _tasks() if f"scenario {task[1]}" in titles][:SLOWEST]
    if tasks:
        lines += ["", f"{'seconds':>8}  slowest tasks of the scenarios"]
        lines += [f"{taken:8.0f}  {scenario}: {name}" for taken, scenario, name in tasks]
    total = sum(one.seconds for one in ended)
    load = os.getloadavg()[1]
    lines += [
        "",
        f"{seconds:8.0f}  in all; {total:.0f} one after the other, in {lanes} lanes, load {load:.0f}",
    ]
    return "\n".join(lines)


def _known() -> dict[str, float]:
    try:
        read = json.loads(TIMES.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(title): float(taken) for title, taken in read.items()}


def _learn(ended: t.Sequence[Ended]) -> None:
    times = _known() | {one.check.title: round(one.seconds, 1) for one in ended if not one.tally.failed}
    TIMES.write_text(json.dumps(times, indent=1) + "\n", encoding="utf-8")


def _stop_hosts(checks: t.Iterable[Check]) -> None:
    """Stop the hosts of the scenarios among these: Molecule does so itself, unless it is interrupted."""
    names = {check.title.partition(" ")[2] for check in checks if check.title.startswith("scenario ")}
    left = [name for name in labelled(Cache(default_root(os.environ))) if name.partition("+")[2] in names]
    if left:
        down = [sys.executable, "-m", "tests.xenhost", "down", *left]
        subprocess.run(down, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True, check=False)


def _lanes(live: bool) -> int:
    """How many checks run at once."""
    asked = os.environ.get("LANES", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    return 1 if live else min(os.cpu_count() or 1, 4)


def _gathered(names: t.Sequence[str]) -> tuple[Path, list[Check], list[Skipped]]:
    """The checks of these groups. Raises SetupError."""
    workshop.install_packages(tests=True)
    workshop.unpack_packages()
    shop = Workshop(workshop.control_environment(), tree.refresh())
    LOGS.mkdir(parents=True, exist_ok=True)
    found: list[Check | Skipped] = []
    for name in names:
        group, _colon, scenario = name.partition(":")
        found += (
            quick(shop) if group == "quick" else molecule(shop, scenario) if scenario else GROUPS[group](shop)
        )
    checks = list({one.title: one for one in found if isinstance(one, Check)}.values())
    return shop.venv, checks, [one for one in found if isinstance(one, Skipped)]


def main(names: list[str]) -> int:
    """Run groups of checks; the last line of the output is the count."""
    groups = [name.removeprefix("molecule:") if name.startswith("molecule:") else name for name in names]
    unknown = [
        name
        for name, group in zip(names, groups, strict=True)
        if name == group and name not in (*GROUPS, "quick")
    ]
    if unknown:
        print(
            f"{', '.join(unknown)}: no such group of checks; there are {', '.join(GROUPS)}, molecule:SCENARIO and quick.",
            file=sys.stderr,
        )
        return 2
    # SIGINT too: whoever starts this in the background has it ignored, and what is started here would inherit that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    live = bool(os.environ.get("V"))
    begin = time.monotonic()
    lanes = None
    checks: list[Check] = []
    try:
        venv, checks, skipped = _gathered(names or list(GROUPS))
        for one in skipped:
            say(f"{one.title}: skipped, {one.why}")
        lanes = Lanes(venv, _lanes(live), live, _known())
        lanes.run(checks)
    except SetupError as error:
        say(str(error))
        say(str(Count(failed=1)))
        return 2
    except KeyboardInterrupt:
        say("\ninterrupted")
        return 130
    finally:
        if lanes:
            _stop_hosts(checks)
    _learn(lanes.ended)
    say(report(lanes.ended, lanes.lanes, time.monotonic() - begin))
    say(f"\n{lanes.count + Count(skipped=len(skipped))}")
    return 1 if lanes.count.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
