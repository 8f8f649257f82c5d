# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What xl and xenpm print, as the sections that the hypervisor's own answers have. Raises Failure for what cannot be read."""

import re
import typing as t

from .._errors import Failure
from .._toolstack import xenstore, xltext
from .._toolstack.complaints import first_complaints
from .._topology.meanings import INVALID, SCHEDULERS
from .component import DOMAINS, Heard, Request

MIB = 1 << 20
WHOLE_MASKS = (4, 14)  # the oldest release of which it was seen that xl shows masks of CPUs to their end
_PAGE_SIZE = 4096

# XEN_DOMINF_*
_FLAGS = {"d": 1 << 0, "s": 1 << 2, "p": 1 << 3, "b": 1 << 4, "r": 1 << 5}
_HVM = 1 << 1
_REASON_SHIFT = 16

_ROUGH = (
    "This was read from what xl prints, not from the hypervisor: memory is known to a MiB, times to a tenth of a second; APIC ids and "
    "the versions of Xen's interfaces are unknown."
)


def read(request: Request) -> Heard:
    """Ask the tools for the topology, and for the domains if they are wanted."""
    ask = _Asker(request)
    warnings = [_ROUGH]
    said = xltext.info(ask("xl", "info", "-n"))
    places = said.cpus or xltext.cpu_topology(ask("xenpm", "get-cpu-topology"))
    if not places:
        raise Failure("Neither xl nor xenpm says anything about this host's CPUs.")
    pools = xltext.pools(ask("xl", "cpupool-list"), ask("xl", "cpupool-list", "-c"))
    sections = _host(said, places)
    numbers = _pool_numbers(pools, warnings)
    _pools(pools, numbers, said, places, sections, warnings)
    if _cut(said, places):
        warnings.append(
            "This xl may cut affinities off after as many CPUs as are online (%s), and the host has a CPU %d: the affinities of virtual "
            "CPUs are unknown, and the domains are left out." % (said.fields["nr_cpus"], max(places))
        )
    else:
        vcpus = _vcpus(xltext.vcpus(ask("xl", "vcpu-list")), max(places) + 1)
        sections["dom0_vcpus"] = vcpus.get(0, [])
        if DOMAINS in request.subset:
            rows = xltext.domains(ask("xl", "list", "-v", "-c", "-n"), [pool.name for pool in pools])
            types = xltext.domain_types(ask("xl", "list", "-l"))
            nodes = None if _cut_nodes(said) else sorted(said.nodes)
            pages = MIB // sections["page_size"]
            sections["domains"] = [
                dict(
                    _domain(row, vcpus.get(row.domid, []), types.get(row.domid), nodes),
                    tot_pages=row.memory * pages,
                    cpupool=numbers.get(row.pool or "", INVALID),
                )
                for row in rows
            ]
            sections["domain_names"] = {str(row.domid): row.name for row in rows if row.name is not None}
    return Heard(sections, warnings)


class _Asker:
    """Runs a tool; what it prints. Raises Failure when it complains."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __call__(self, *argv: str) -> str:
        if self._request.run_command is None:
            raise Failure("No commands can be run here, so %s cannot be asked." % argv[0])
        rc, out, err = self._request.run_command(list(argv))
        if rc != 0:
            raise Failure(
                "'%s' failed (status %d): %s"
                % (" ".join(argv), rc, first_complaints(err or out) or "it does not say why")
            )
        return out


def _host(said: xltext.Info, places: t.Dict[int, t.Tuple[int, int, int]]) -> t.Dict[str, t.Any]:
    """The sections about Xen, CPUs and nodes, in the form in which Xen itself says them."""
    fields = said.fields
    page_size = said.number("xen_pagesize") or _PAGE_SIZE
    xen: t.Dict[str, t.Any] = {}
    for section, field in (("extraversion", "extra"), ("capabilities", "caps"), ("changeset", "changeset")):
        if "xen_" + field in fields:
            xen[section] = fields["xen_" + field]
    if "xen_commandline" in fields:
        xen["commandline"] = fields["xen_commandline"]
    major, minor = said.number("xen_major"), said.number("xen_minor")
    sections: t.Dict[str, t.Any] = {
        "page_size": page_size,
        "physinfo": _physinfo(said, page_size),
        "cputopo": [list(places.get(cpu, (INVALID,) * 3)) for cpu in range(max(places) + 1)],
    }
    if major is not None and minor is not None:
        sections["xen"] = dict(xen, major=major, minor=minor)
    scheduler = _scheduler(fields.get("xen_scheduler"))
    if scheduler is not None:
        sections["sched_id"] = scheduler
    if said.devices:
        sections["pci_nodes"] = dict(sorted(said.devices.items()))
    if said.nodes:
        count = max(said.nodes) + 1
        nothing = xltext.NodeRow(INVALID, INVALID, ())
        rows = [said.nodes.get(node, nothing) for node in range(count)]
        sections["numainfo"] = {
            "memsize": [INVALID if row is nothing else row.size * MIB for row in rows],
            "memfree": [INVALID if row is nothing else row.free * MIB for row in rows],
            "distance": [
                [INVALID if distance is None else distance for distance in row.distances[:count]]
                + [INVALID] * (count - len(row.distances))
                for row in rows
            ],
        }
    return sections


def _physinfo(said: xltext.Info, page_size: int) -> t.Dict[str, int]:
    found = {}
    for name in ("nr_cpus", "max_cpu_id", "nr_nodes", "cores_per_socket", "threads_per_core"):
        number = said.number(name)
        if number is not None:
            found[name] = number
    mhz = re.match(r"([0-9]{1,9})\.([0-9]{1,9})\Z", said.fields.get("cpu_mhz", ""))
    if mhz:
        found["cpu_khz"] = int(mhz.group(1)) * 1000 + int(mhz.group(2))
    pages = MIB // page_size
    total, free, claims = (
        said.number(name) for name in ("total_memory", "free_memory", "outstanding_claims")
    )
    if total is not None:
        found["total_pages"] = total * pages
    if claims is not None:
        found["outstanding_pages"] = claims * pages
        if free is not None:
            # xl has taken the claims off
            found["free_pages"] = (free + claims) * pages
    return found


def _scheduler(name: t.Optional[str]) -> t.Optional[int]:
    return next((number for number, known in SCHEDULERS.items() if known == name), None)


# --- cpupools


def _pool_numbers(pools: t.Sequence[xltext.PoolRow], warnings: t.List[str]) -> t.Dict[str, int]:
    """The numbers of the pools by their names. xl lists them by number without telling it; the first is always 0."""
    numbers = {pool.name: 0 for pool in pools[:1]}
    if len(pools) > 1:
        try:
            with xenstore.Xenstore.open() as store:
                numbers.update((name, number) for number, name in xenstore.cpupool_names(store).items())
        except xenstore.XenstoreError as error:
            warnings.append(
                "The numbers of the cpupools %s are unknown, so they are left out: xl does not print them. %s"
                % (", ".join(pool.name for pool in pools[1:]), error.message)
            )
    return numbers


def _pools(
    pools: t.Sequence[xltext.PoolRow],
    numbers: t.Dict[str, int],
    said: xltext.Info,
    places: t.Dict[int, t.Tuple[int, int, int]],
    sections: t.Dict[str, t.Any],
    warnings: t.List[str],
) -> None:
    """The cpupools, and the CPUs that are free for one where that is certain."""
    sections["cpupools"] = []
    sections["cpupool_names"] = {str(numbers[pool.name]): pool.name for pool in pools if pool.name in numbers}
    for pool in pools:
        if pool.name in numbers:
            entry: t.Dict[str, t.Any] = {
                "id": numbers[pool.name],
                "n_dom": pool.domains,
                "cpus": sorted(pool.cpus),
            }
            scheduler = _scheduler(pool.scheduler)
            if scheduler is not None:
                entry["sched_id"] = scheduler
            sections["cpupools"].append(entry)
    if len(sections["cpupools"]) < len(pools):
        return
    pooled = {cpu for pool in pools for cpu in pool.cpus}
    free = sorted(set(places) - pooled)
    if said.number("free_cpus") == 0:
        sections["cpupool_free"] = []
    elif said.number("free_cpus") == len(free) and said.number("nr_cpus") == len(places):
        sections["cpupool_free"] = free
    else:
        warnings.append(
            "xl says that %s CPUs are in no cpupool, but not which: of the CPUs outside of all cpupools nobody knows whether they are "
            "online." % said.fields.get("free_cpus", "some")
        )


# --- domains


def _cut(said: xltext.Info, places: t.Dict[int, t.Tuple[int, int, int]]) -> bool:
    """Whether there are CPUs with a higher number than xl shows in masks: before 4.14 it may show as many as are online."""
    release = (said.number("xen_major") or 0, said.number("xen_minor") or 0)
    return release < WHOLE_MASKS and max(places) >= (said.number("nr_cpus") or 0)


def _cut_nodes(said: xltext.Info) -> bool:
    """Whether there are nodes with a higher number than xl shows in masks."""
    return max(said.nodes, default=0) >= (said.number("nr_nodes") or 0)


def _vcpus(rows: t.Iterable[xltext.VcpuRow], cpus: int) -> t.Dict[int, t.List[t.Dict[str, t.Any]]]:
    """The virtual CPUs by domain."""
    found: t.Dict[int, t.List[t.Dict[str, t.Any]]] = {}
    # thousands of vCPUs have the same masks, each a list of all CPUs
    lists: t.Dict[xltext.Shown, t.List[int]] = {}
    for row in rows:
        entry: t.Dict[str, t.Any] = {
            "vcpu": row.vcpu,
            "online": int(row.cpu is not None),
            "blocked": int(row.blocked),
            "running": int(row.running),
            "cpu_time": _nanoseconds(row.seconds),
            "cpu": INVALID if row.cpu is None else row.cpu,
        }
        for kind, mask in (("hard", row.hard), ("soft", row.soft)):
            if mask not in lists:
                lists[mask] = list(range(cpus)) if mask.all else list(mask.members)
            entry[kind] = lists[mask]
            entry[kind + "_all"] = mask.all
        found.setdefault(row.domid, []).append(entry)
    return found


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 10) * 10**8


def _domain(
    row: xltext.DomainRow,
    vcpus: t.List[t.Dict[str, t.Any]],
    kind: t.Optional[str],
    all_nodes: t.Optional[t.List[int]],
) -> t.Dict[str, t.Any]:
    """A domain as its section has it, without its memory and cpupool. `all_nodes` is None where xl has cut off the masks of nodes."""
    flags = sum(_FLAGS[letter] for letter in row.state[:4] + row.state[5:] if letter != "-")
    if row.state[3] == "s":
        flags |= xltext.REASONS.get(row.state[4], 0xFF) << _REASON_SHIFT
    if kind in ("pvh", "hvm"):
        flags |= _HVM
    nodes = all_nodes if all_nodes is None or row.nodes.all else list(row.nodes.members)
    return {
        "domain": row.domid,
        "flags": flags,
        "type": kind,
        "max_pages": INVALID,
        "nr_online_vcpus": row.vcpus,
        "max_vcpu_id": max((vcpu["vcpu"] for vcpu in vcpus), default=INVALID),
        "handle": row.uuid.replace("-", ""),
        "cpu_time": _nanoseconds(row.seconds),
        "emulation_flags": None,
        "node_affinity": nodes,
        "vcpus": vcpus,
    }
