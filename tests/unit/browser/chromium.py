# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real browser, headless, spoken to through pipes in the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/).

Standard library only. Nothing of the user's browser is touched: each browser has a profile of its own, removed in the end.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


#: Seconds without a word after which a browser is taken for dead. A busy machine is slow, not silent for minutes.
PATIENCE = 300
#: The browser reads commands from descriptor 3 and answers on 4.
PLUMBING = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"


class BrowserError(Exception):
    """The browser did not do what it was told."""


def program() -> str | None:
    """The browser of this machine, if it has one."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """A browser with one page. `events` are the messages of the protocol since the page was last opened."""

    def __init__(self, path: str) -> None:
        self._profile = tempfile.mkdtemp(prefix="dom0-xen-browser-")
        outside, self._out = os.pipe()
        self._in, inside = os.pipe()
        # out of the way of 3 and 4, which they become
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (outside, inside)]
        # root must not have the sandbox
        rooted = ["--no-sandbox"] if os.geteuid() == 0 else []
        argv = [path, *SWITCHES, *rooted, f"--user-data-dir={self._profile}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", PLUMBING, *map(str, theirs), *argv],
            pass_fds=theirs,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (outside, inside, *theirs):
            os.close(end)
        self._number = 0
        self._session: str | None = None
        self._heard = b""
        self.events: list[dict[str, t.Any]] = []
        targets = self.command("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.command(f"{domain}.enable")

    def close(self) -> None:
        """End the browser and remove its profile."""
        os.close(self._out)
        os.close(self._in)
        # it ends when its pipe does; its children hold files of the profile until then
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)

    def command(self, method: str, **parameters: t.Any) -> dict[str, t.Any]:
        """Run a command of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        waiting = memoryview(json.dumps(message).encode() + b"\0")
        while waiting:
            waiting = waiting[os.write(self._out, waiting) :]
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error'].get('message')}")
                return answer["result"]
            self.events.append(answer)

    def _message(self) -> dict[str, t.Any]:
        while b"\0" not in self._heard:
            if not select.select([self._in], [], [], PATIENCE)[0]:
                raise BrowserError(f"the browser has said nothing for {PATIENCE} seconds")
            piece = os.read(self._in, 1 << 16)
            if not piece:
                raise BrowserError("the browser has ended")
            self._heard += piece
        message, _end, self._heard = self._heard.partition(b"\0")
        return json.loads(message)

    def open(self, path: Path, width: int = 1280, dark: bool = False) -> None:
        """Show a file, and wait until it is there with all that it asks for."""
        self.look(width, dark)
        self.events.clear()
        self.command("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())

    def look(self, width: int, dark: bool = False, medium: str = "screen") -> None:
        """Set the width of the window, the reader's colour scheme, and whether the page is on screen or printed."""
        scheme = "dark" if dark else "light"
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", media=medium, features=features)

    def evaluate(self, expression: str) -> t.Any:
        """The value of a JavaScript expression in the page."""
        answer = self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise BrowserError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def requests(self) -> list[str]:
        """What the page asked for since it was opened, itself included."""
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def complaints(self) -> list[str]:
        """Errors and warnings that the browser has about the page."""
        return [
            json.dumps(event["params"])
            for event in self.events
            if event.get("method")
            in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        ]

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        data = self.command("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def pdf(self, path: Path) -> None:
        """The page as it is printed, with the printer's usual thrift of backgrounds."""
        self.command("Emulation.setEmulatedMedia", media="", features=[])
        data = self.command("Page.printToPDF", printBackground=False, preferCSSPageSize=True)["data"]
        path.write_bytes(base64.b64decode(data))
