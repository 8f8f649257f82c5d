# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The component that asks xenstore for what the toolstack alone knows: names of domains and cpupools, PCI devices of guests."""

import typing as t

from .._errors import Failure
from .._toolstack import xenstore
from .component import DOMAINS, PCI, Component, Heard, Request


class Names(Component):
    """Names from xenstore, as the toolstack has written them."""

    name = "xenstore"
    priority = 40

    def collect(self, request: Request, heard: t.Dict[str, t.Any]) -> Heard:
        """Read the names of what was heard so far."""
        try:
            return self._read(request, heard)
        except xenstore.XenstoreError as error:
            raise Failure("the names of domains and cpupools are unknown: " + error.message) from error

    @staticmethod
    def _read(request: Request, heard: t.Dict[str, t.Any]) -> Heard:
        with xenstore.Xenstore.open() as store:
            sections: t.Dict[str, t.Any] = {"cpupool_names": _keyed(xenstore.cpupool_names(store))}
            if PCI in request.subset:
                sections["pci_assigned"] = dict(sorted(xenstore.assigned_devices(store).items()))
            if DOMAINS in request.subset:
                domids = [domain["domain"] for domain in heard["domains"]] if "domains" in heard else None
                sections["domain_names"] = _keyed(xenstore.domain_names(store, domids))
        return Heard(sections)


def _keyed(names: t.Dict[int, str]) -> t.Dict[str, str]:
    return {str(number): name for number, name in sorted(names.items())}
