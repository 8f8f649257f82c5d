# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes how long each task of a scenario took, a JSON line a task, to the file that TASK_TIMES names."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_times
type: aggregate
short_description: Seconds of each task
description: Appends one JSON line a task to the file that the environment variable TASK_TIMES names; without it does nothing.
"""


class CallbackModule(CallbackBase):
    """From the start of a task to the start of the next, on the first host that runs it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_times"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._path = os.environ.get("TASK_TIMES")
        self._task = ""
        self._begin = 0.0

    def _close(self) -> None:
        if self._task and self._path:
            entry = {"task": self._task, "seconds": round(time.monotonic() - self._begin, 2)}
            with open(self._path, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(entry) + "\n")
        self._task = ""

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        """End the task before, begin this one."""
        self._close()
        self._task, self._begin = task.get_name(), time.monotonic()

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """End the last task of the play before."""
        self._close()

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """End the last task."""
        self._close()
