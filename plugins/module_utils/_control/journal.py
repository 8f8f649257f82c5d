# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must not be lost when a run is killed: the affinities that a move to another cpupool resets. Private to this collection.

Written before the move, taken away once the affinities are back. It lies where a reboot forgets it, as Xen forgets the domains.
"""

import json
import os
import typing as t

from .._errors import Failure
from .._topology.cpuset import CpuSet
from .._topology.model import Topology
from . import files

PATH = "/run/dom0-xen/moves.json"


class Moved(t.NamedTuple):
    """A domain in one of `pools`, perhaps on its way, and the masks that its vCPUs shall have in the end: {vCPU: (hard, soft)}."""

    domid: int
    uuid: str
    pools: t.Tuple[int, ...]
    masks: t.Dict[int, t.Tuple[CpuSet, CpuSet]]


class Journal:
    """The file. Its content is replaced at once or not at all."""

    def __init__(self, path: str = PATH) -> None:
        self._path = path
        self._moved = {}  # type: t.Dict[int, Moved]

    def load(self, sift_by: t.Optional[Topology] = None) -> t.List[Moved]:
        """What an earlier run left undone; nothing when there is no such file. Raises Failure for one that is damaged or not root's.

        With `sift_by`, the host as it is, what turns out to be done is forgotten for good: a run was killed right before it did so. Otherwise a
        guest whose affinity somebody lifts later would get it back. Only who holds the host's lock may do that.
        """
        data = files.read_own(self._path)
        try:
            self._moved = {
                entry["domid"]: Moved(
                    entry["domid"],
                    entry["uuid"],
                    tuple(entry["pools"]),
                    {
                        vcpu: (CpuSet.from_mask(hard), CpuSet.from_mask(soft))
                        for vcpu, hard, soft in entry["masks"]
                    },
                )
                for entry in (json.loads(data.decode("utf-8")) if data is not None else ())
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Failure(
                "{0} is damaged ({1}: {2}). A run that was killed has noted there which affinity guests shall have: see that they have it, "
                "then remove the file".format(self._path, type(error).__name__, error),
                changed=False,
            ) from error
        if sift_by is not None and self._moved:
            undone = masks_to_restore(sift_by, self._moved.values())
            if len(undone) < len(self._moved):
                self._moved = {domid: moved for domid, moved in self._moved.items() if domid in undone}
                self._write()
        return list(self._moved.values())

    def begin(self, moved: Moved) -> None:
        """Note a move before it happens."""
        self._moved[moved.domid] = moved
        self._write()

    def end(self, domid: int) -> None:
        """Its affinities are back."""
        if self._moved.pop(domid, None) is not None:
            self._write()

    def _write(self) -> None:
        if not self._moved:
            files.remove(self._path)
            return
        entries = [
            {
                "domid": moved.domid,
                "uuid": moved.uuid,
                "pools": moved.pools,
                "masks": [[vcpu, hard.mask, soft.mask] for vcpu, (hard, soft) in moved.masks.items()],
            }
            for moved in self._moved.values()
        ]
        files.private_folder(os.path.dirname(self._path))
        files.write_whole(self._path, json.dumps(entries).encode("utf-8"))


def masks_to_restore(
    topology: Topology, pending: t.Iterable[Moved]
) -> t.Dict[int, t.Dict[int, t.Tuple[CpuSet, CpuSet]]]:
    """Of what an earlier run left: {domid: {vCPU: (hard, soft)}} of vCPUs that have lost their masks by the move and not got them back.

    Left out are domains that have ended, were not moved yet, or whose vCPUs somebody has given other masks since.
    """
    domains = {domain.domid: domain for domain in topology.domains or ()}
    found = {}
    for moved in pending:
        domain = domains.get(moved.domid)
        if domain is None or domain.uuid != moved.uuid or domain.cpupool not in moved.pools:
            continue
        lost = {
            vcpu.vcpu: moved.masks[vcpu.vcpu]
            for vcpu in domain.vcpus
            if vcpu.vcpu in moved.masks
            and (vcpu.hard, vcpu.soft) == (topology.complete_cpuset, topology.complete_cpuset)
            and moved.masks[vcpu.vcpu] != (vcpu.hard, vcpu.soft)
        }
        if lost:
            found[domain.domid] = lost
    return found
