# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let the tests import ``ansible_collections.dom0.xen`` from this checkout, whatever its folder is called.

Three package objects are put into ``sys.modules``; the innermost one has this folder as its search path. Neither Ansible nor
a copy of the tree is needed. Standard library only (hypothesis is set up where there is one), Python 3.6+.

Inside a real collections tree, and wherever Ansible's own collection loader is at work already (ansible-test), nothing is done.
"""

import importlib
import importlib.machinery
import os
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))
COLLECTION = ("ansible_collections", "dom0", "xen")

# An interpreter that can only be a managed host's gets the tests of what travels there.
if sys.version_info < (3, 10):
    _UNIT = os.path.join(HERE, "tests", "unit")
    _TRAVELS = {os.path.join(_UNIT, "plugins", name) for name in ("modules", "module_utils")}
    collect_ignore = [
        os.path.join(folder, name)
        for folder in (_UNIT, os.path.join(_UNIT, "plugins"))
        for name in (sorted(os.listdir(folder)) if os.path.isdir(folder) else ())
        if name not in ("plugins", "__pycache__") and os.path.join(folder, name) not in _TRAVELS
    ]


def _someone_else_does_it():
    """True where the names resolve without us: in a real collections tree, or under Ansible's loader."""
    if tuple(HERE.split(os.sep)[-len(COLLECTION) :]) == COLLECTION:
        return True
    return any(type(finder).__name__ == "_AnsibleCollectionFinder" for finder in sys.meta_path)


def _package(name, path):
    """Register an empty package `name` that looks for its children in the folders `path`."""
    module = types.ModuleType(name)
    module.__path__ = path
    module.__package__ = name
    # Ansible's loader, should a test start it later, asks a collection for its parsed meta/runtime.yml.
    module._collection_meta = {}
    sys.modules[name] = module
    parent, _dot, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


class _Folders:
    """Find the collection's folders without ``__init__.py``, and give them the ``__file__`` that Ansible's plugin loader reads."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """Answer the import system for one folder below the collection; None for anything else."""
        if not name.startswith(".".join(COLLECTION) + "."):
            return None
        for folder in (os.path.join(entry, name.rpartition(".")[2]) for entry in path or ()):
            if os.path.isdir(folder) and not os.path.exists(os.path.join(folder, "__init__.py")):
                origin = os.path.join(folder, "__synthetic__")
                spec = importlib.machinery.ModuleSpec(name, _Folders, origin=origin, is_package=True)
                spec.submodule_search_locations.append(folder)
                spec.has_location = True
                return spec
        return None

    @staticmethod
    def create_module(spec):
        """Leave the making of the module to the import system."""

    @staticmethod
    def exec_module(module):
        """A folder has no code to run."""


def _provide_collection():
    """Point ``ansible_collections.dom0.xen`` at this checkout, ahead of any installed copy of it."""
    root, namespace, name = COLLECTION
    try:
        # The `ansible` package brings one with other collections in it: keep those.
        importlib.import_module(root)
    except ImportError:
        _package(root, [])
    _package(root + "." + namespace, [])
    _package(".".join((root, namespace, name)), [HERE])
    sys.meta_path.insert(0, _Folders)


if not _someone_else_does_it():
    _provide_collection()


def _settle_hypothesis():
    """Property tests that tell the same on every machine: no time limits, the same examples in each run.

    ``--hypothesis-profile=search`` looks for new examples instead.
    """
    try:
        from hypothesis import HealthCheck, settings
    except ImportError:
        return
    common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("search", **common)
    settings.register_profile("same", derandomize=True, database=None, **common)
    settings.load_profile("same")


_settle_hypothesis()
