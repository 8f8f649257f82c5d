# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that end at whichever deed is asked for: by SIGKILL, in a process of their own, nothing of them runs after it, no `finally` either; or
by an exception in its place.

A made-up host lives in memory. What became of it in the child comes back through a file that the child writes before it is killed, as a
real host outlives the run; files on disk are as the kernel has them, with what was not yet written lost.
"""

import atexit
import collections
import errno
import os
import pickle
import signal
import sys
import traceback

from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure

KILLED = "killed"
#: How often a run was ended so far, by what ended it. With EVERY_POINT=1 the process says so in the end.
TRIALS = collections.Counter()
if os.environ.get("EVERY_POINT"):
    atexit.register(lambda: sys.stderr.write("Runs that were ended: {0}\n".format(dict(TRIALS))))
#: What may come in the place of a deed, beside SIGKILL.
FAULTS = {
    "ENOSPC": lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "EIO": lambda: OSError(errno.EIO, os.strerror(errno.EIO)),
    "SystemExit": lambda: SystemExit(1),
    "KeyboardInterrupt": KeyboardInterrupt,
}
#: What a run does to files, by its name in `os`.
FILE_DEEDS = ("rename", "replace", "unlink", "fsync", "makedirs", "fchmod", "fchown")


class Mortal:
    """A made-up host that counts what is done to it, and of which the deed with the number or name `kill` is the last of a run.

    `kept` are the names of those of its attributes that make it up.
    """

    kept = ()
    kill = None
    fault = None
    deeds = 0
    _way_back = None

    def deed(self, name=None):
        """One more thing was done, or is about to be; some have a name."""
        self.deeds += 1
        if self.kill is not None and self.kill in (self.deeds, name):
            if self.fault is not None:
                raise self.fault
            self._keep(KILLED)
            os.kill(os.getpid(), signal.SIGKILL)

    def in_child(self, path, kill, act):
        """Call `act` in a child that is killed at its deed `kill` (None: never); what became of the host is in this one then.

        Return KILLED, else the message of the Failure that it ended with, else None.
        """
        self._way_back, self.kill, self.deeds = str(path), kill, 0
        child = os.fork()
        if child == 0:
            try:
                self._watch_files()
                said = None
                try:
                    act()
                except Failure as failure:
                    said = failure.message
                self._keep(said)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        with open(self._way_back, "rb") as stream:
            said, found = pickle.load(stream)
        os.unlink(self._way_back)
        TRIALS[KILLED] += said == KILLED
        assert status == (signal.SIGKILL if said == KILLED else 0)
        for name, value in found.items():
            setattr(self, name, value)
        self.kill = None
        return said

    def with_fault(self, point, fault, act):
        """Call `act`, with `fault` in the place of its deed with the number `point`; whether it got so far, and what it ended with."""
        self.kill, self.fault, self.deeds, error = point, fault, 0, None
        real = {name: getattr(os, name) for name in FILE_DEEDS}
        try:
            self._watch_files()
            act()
        except (Failure, SystemExit, KeyboardInterrupt, OSError) as caught:
            error = caught
        finally:
            for name, call in real.items():
                setattr(os, name, call)
        self.kill = self.fault = None
        TRIALS[str(fault) or type(fault).__name__] += self.deeds >= point
        return self.deeds >= point, error

    def _keep(self, said):
        with open(self._way_back, "wb") as stream:
            pickle.dump((said, {name: getattr(self, name) for name in self.kept + ("deeds",)}), stream)

    def _watch_files(self):
        """In the child: a run may be killed before and after each change of a file, too."""
        for name in FILE_DEEDS:
            setattr(os, name, self._watched(getattr(os, name)))

    def _watched(self, real):
        # That is for when the power fails, and takes most of a test's time.
        idle = real is os.fsync

        def call(*arguments, **more):
            self.deed()
            result = None if idle else real(*arguments, **more)
            self.deed()
            return result

        return call
