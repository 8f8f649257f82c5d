# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where guests should go, and why. Pure, on the control node. Private to this collection.

=============  =========================================================================================
request.py     what a user wrote, checked: errors name the entry and the field
model.py       the values that the other files pass round
capacity.py    a host's topology as room for guests: memory of nodes, cores of cpupools, who holds what
problem.py     hosts and guests as numbers: resources, and for each guest the places that it can have
search.py      greedy by size, then local search on the objective
exhaustive.py  a bounded search that proves the first levels of the objective
bounds.py      what no placement can beat
explain.py     why here, why not there, what would help
plan.py        all of it in order: topologies and a request in, the documented plan out
=============  =========================================================================================
"""
