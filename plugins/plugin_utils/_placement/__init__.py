# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where guests should go, and why. Pure, on the control node. Private to this collection.

===============  =======================================================================================
spec.py          the options of a request
request.py       what a user wrote, checked: errors name the entry and the field; fields.py reads single values
sources.py       where topologies come from: facts, recordings, hwloc XML
model.py         the values that the other files pass round; settings.py: what a plan is to do beside placing
capacity.py      a host's topology as room for guests: memory of nodes, cores of cpupools, who holds what
running.py       guests that run: whether they may stay, and what everybody holds before anything is placed
fixed.py         guests whose CPUs the user has chosen
places.py        sets of nodes of a host
options.py       the places that a guest can have, with what each takes and costs, made when they are looked at
problem.py       hosts and guests as numbers
state.py         who is where, what is left, what it costs; an index of nodes for fleets
choose.py        the best place for one guest as things are
search.py        greedy by size from several orders; improve.py: local search; pairs.py: two nodes at once; effort.py: when it ends
scarcity.py      guests that compete for too few slots on nodes, and groups that no host can have as a whole
together.py      affinity groups, all of them on one host or as many as one has room for
earlier.py       guests that do not run yet keep their places of an earlier plan
exhaustive.py    a bounded search that proves the first levels of the objective
exact.py         the exact engine: program.py makes an integer program of the placement, solver.py is a program of its own that solves it
bounds.py        what no placement can beat
cores.py         which cores exactly, and the masks that follow
moves.py         what has to be done for a placement; steps.py: in an order in which every step fits
explain.py       why here, why not there, what would help; candidates.py: places that lost, how many more would fit
entries.py       the parts of the plan as data, and in lines for people
plan.py          all of it in order: topologies and a request in, the documented plan out
check.py         whether any plan keeps the hard rules, independent of the above; check_steps.py replays its steps
===============  =======================================================================================
"""
