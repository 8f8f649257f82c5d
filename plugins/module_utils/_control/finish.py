# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put back the affinities that a killed run has left lifted. Private to this collection."""

import typing as t

from .._errors import Failure
from .._topology.cpuset import CpuSet
from .._topology.model import Domain, Topology
from .._xen import errors
from .journal import Journal, Moved
from .patience import Patience
from .pin import pin
from .steps import Masks, Scene, affinity_difference, owed_note, put_back, settle


class Finished(t.NamedTuple):
    """The host after that, and sentences, notes and entries for --diff on what was put back, or would be."""

    topology: t.Any
    recovered: t.List[str]
    notes: t.List[str]
    diff: t.List[t.Dict[str, t.Any]]


def finish_killed(
    topology: t.Union[Topology, Scene],
    journal: Journal,
    pending: t.Iterable[Moved],
    open_xen: t.Optional[t.Callable[[], t.ContextManager[t.Any]]],
) -> Finished:
    """Put back what is `pending`, as the journal has it; without `open_xen` only say so. Raises Failure."""
    settled = settle(topology, pending)
    everything = topology.complete_cpuset
    due = [(step.domain, step.masks or {}) for step in settled.steps if step.domain is not None]
    notes = [owed_note(domain) for domain in topology.domains or () if domain.domid in settled.owed]
    if due and open_xen is not None:
        with open_xen() as xen:
            notes += [
                f"{domain.title} has ended meanwhile." for domain in _ended(xen, journal, everything, due)
            ]
    return Finished(
        settled.topology,
        [put_back(domain.title) for domain, _masks in due],
        notes,
        [affinity_difference(domain, masks, everything) for domain, masks in due],
    )


def _ended(
    xen: t.Any, journal: Journal, everything: CpuSet, due: t.Iterable[t.Tuple[Domain, Masks]]
) -> t.Iterator[Domain]:
    """Put back, and tell which domains have ended meanwhile. What is done stays so when one fails: it was due in any case."""
    for domain, masks in due:
        try:
            try:
                pin(xen, domain, masks, everything, Patience())
            except errors.NoSuchDomain:
                yield domain
            journal.end(domain.domid)
        except (Failure, OSError) as error:
            message = error.message if isinstance(error, Failure) else str(error)
            raise Failure(
                f"{message} Nothing had been done before.", rolled_back=[], not_rolled_back=[]
            ) from error
