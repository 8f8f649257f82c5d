# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is private to the collection: it may change or go away in any release.

"""What a placement is asked for: guests, hosts, policies. The same for planning and for checking a plan."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of a request; plugin_utils/_placement/spec.py has the same for the action plugins."""

    DOCUMENTATION = r"""
options:
  guests:
    description:
      - The guests that are wanted, those included that run already. Domains that are not in the list are left alone, and what they hold is
        not given to anybody.
      - An error names the entry and the field that is wrong, for example C(guests[2].memory).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the guest, unique in the list. A domain of this name that runs is this guest.
        type: str
        required: true
      vcpus:
        description: Number of vCPUs that it starts with.
        type: int
        required: true
      memory:
        description:
          - Its memory, as C(memory=) in its xl configuration, in MiB, or as a text with a unit such as V(512M) or V(4GiB).
          - What Xen needs for the guest on top of that is added by the plan.
        type: raw
        required: true
      host:
        description: The host that it has to be on. Without it the plan chooses among O(hosts).
        type: str
      nodes:
        description: The NUMA nodes that it has to be on, all of them. Without it the plan chooses.
        type: list
        elements: int
      cpus:
        description:
          - The CPUs that its vCPUs get, as a list or as a text such as V(4-7), by the affinity that C(pin) says. Without it the plan chooses.
          - A new guest has its memory on the nodes of these CPUs, a guest that runs keeps it where it is. Nobody gets a core of them alone.
            Where there are several hosts, O(guests[].host) has to be given too.
        type: raw
      pool:
        description:
          - Name or number of the cpupool that it runs in. A guest that runs stays in the one it is in; a new one gets V(Pool-0), as with xl.
          - C(pool=) in its xl configuration has to say the same.
        type: str
      priority:
        description: When not all guests can be placed, those with the higher number come first, whatever their size.
        type: int
        default: 0
      weight:
        description:
          - How much its vCPUs count in the load of cores, where 256 is normal, as in Xen's credit schedulers. The limit of
            O(cpu_allocation_ratio) counts vCPUs without weight.
        type: int
        default: 256
      dedicated_vcpus:
        description: With V(mixed), the vCPUs that get CPUs of their own, as a list or as a text such as V(0-1).
        type: raw
      pci_devices:
        description:
          - The PCI devices of the host that it gets, as addresses such as V(0000:03:00.0) or as dictionaries with C(address) and C(policy).
            With the policy V(required), the default, one of its nodes has to be that of the device, with V(preferred) it should be near.
          - Only hosts whose facts list the device can have the guest. Nobody else gets the device.
        type: list
        elements: raw
      trust_group:
        description:
          - Guests of different trust groups, and those of none, never share a core. Those of a group have whole cores of each node
            together, one thread for each vCPU. Where Xen runs with C(sched-gran=core) it sees to that itself, and cores are shared.
        type: str
      do_not_touch:
        description: Leave it as it runs, its affinity included. Of no effect on a guest that does not run.
        type: bool
        default: false
      vnuma:
        description:
          - Whether it gets a NUMA node of its own for each node of the host that it is on, where that is more than one. Each of its vCPUs then
            has soft affinity to the CPUs of its node.
          - The memory of these nodes is what Xen takes from the host's. It is shared out evenly where that fits, else as evenly as the free memory
            allows, and the vCPUs in proportion to it.
          - For HVM guests alone. Such a guest cannot be saved or migrated.
          - Of no effect with the policy V(none) for C(pin) or V(mixed) for C(cpu_policy), with O(guests[].trust_group) or O(guests[].cpus), on
            nodes without CPUs, and where it has fewer vCPUs than nodes.
        type: bool
        default: false
      policy:
        description: How this guest is to be placed. What is not given here is as in O(defaults).
        type: dict
        suboptions:
          numa_policy:
            description:
              - V(preferred) takes as few nodes as possible, V(single) one node or none at all, V(spread) all nodes of the cpupool, and a number
                exactly so many nodes.
            type: raw
          pin:
            description:
              - V(soft) sets the soft affinity, with which Xen prefers the CPUs of the nodes and still uses others when these are busy.
                V(hard) sets the hard affinity, and the vCPUs never run anywhere else. V(none) sets neither.
              - Memory follows both when a guest is created. With V(none) the toolstack decides about memory, too; the plan only keeps the
                room.
              - Where guests have cores for themselves, the hard affinity of all others leaves these out, whatever stands here.
            type: str
            choices: [soft, hard, none]
          cpu_policy:
            description:
              - V(shared) lets the guest share its CPUs with others. V(dedicated) gives each of its vCPUs a CPU of its own, on cores that
                nobody else in the plan may use. V(mixed) does so for O(guests[].dedicated_vcpus) alone.
            type: str
            choices: [shared, dedicated, mixed]
          memory_only_nodes:
            description:
              - Whether memory may come from nodes that have no CPUs of the cpupool. V(allow) only makes sense for guests whose configuration
                asks for it with C(vnuma=), since CPU affinity cannot.
            type: str
            choices: [avoid, allow]
          thread_policy:
            description:
              - How dedicated vCPUs use the threads of their cores. V(prefer) fills the threads of a core before the next core. V(isolate)
                gives each vCPU a core and leaves its other threads idle. V(require) is V(prefer) on cores with at least two threads
                online, or not at all.
            type: str
            choices: [prefer, isolate, require]
          backend_locality:
            description:
              - Whether to be near the nodes that dom0, where the backends of its disks and network interfaces run, is pinned to.
                V(preferred) counts like a PCI device there. It makes no difference where dom0 may run anywhere.
            type: str
            choices: [ignore, preferred]
          cache_policy:
            description:
              - On nodes with several last-level caches, V(preferred) keeps a guest on one node to one of them, if that has a core for each
                of its vCPUs and is not busier than the node as a whole. It is the soft affinity that does so, also with a V(hard) one
                to the node. V(ignore) lets it use all caches of its nodes.
            type: str
            choices: [preferred, ignore]
  hosts:
    description:
      - Names of the hosts in the inventory that the plan is for.
      - Without it the hosts of O(facts), and without that the host that the task runs for.
    type: list
    elements: str
  facts:
    description:
      - Facts by name of the host, each as C(ansible_facts['xen_topology']) has them. Hosts that are not in it are looked up in C(hostvars).
      - Facts that cannot be used, for they are damaged, contradict themselves or are too large, cost the host that they are of. A warning names
        it, and the others are planned without it.
      - Planning does not need the host itself, so facts may also come from a file. In place of facts there may be a recording of a host,
        or hwloc XML of any machine as text.
    type: dict
  defaults:
    description: The policy of guests that do not say otherwise. The choices are those of O(guests[].policy).
    type: dict
    suboptions:
      numa_policy:
        description: How many nodes, see O(guests[].policy.numa_policy).
        type: raw
        default: preferred
      pin:
        description: Which affinity, see O(guests[].policy.pin).
        type: str
        choices: [soft, hard, none]
        default: soft
      cpu_policy:
        description: Whose CPUs, see O(guests[].policy.cpu_policy).
        type: str
        choices: [shared, dedicated, mixed]
        default: shared
      memory_only_nodes:
        description: Whether memory may come from nodes without CPUs, see O(guests[].policy.memory_only_nodes).
        type: str
        choices: [avoid, allow]
        default: avoid
      thread_policy:
        description: How dedicated vCPUs use threads, see O(guests[].policy.thread_policy).
        type: str
        choices: [prefer, isolate, require]
        default: prefer
      backend_locality:
        description: Whether to be near dom0, see O(guests[].policy.backend_locality).
        type: str
        choices: [ignore, preferred]
        default: ignore
      cache_policy:
        description: Whether to keep to one last-level cache, see O(guests[].policy.cache_policy).
        type: str
        choices: [preferred, ignore]
        default: preferred
  reserve:
    description: Memory that stays free.
    type: dict
    suboptions:
      node_memory:
        description: On each node, in MiB or as a text with a unit.
        type: raw
        default: 0
      host_memory:
        description: On each host, in MiB or as a text with a unit.
        type: raw
        default: 0
      low_memory:
        description:
          - Whether to leave low memory alone on hosts with several nodes. Xen keeps it for devices that can only
            address low memory and gives guests any other memory first, of whichever node. It is all memory below an address, a quarter of the first node,
            rounded up to a power of two, at most 4 GiB; C(nodes[].memory_low_bytes) of the facts says on which nodes that lies.
          - With V(false) all free memory of these nodes counts. A guest that is meant to get the last of it then has part of its memory
            elsewhere.
        type: bool
        default: true
  cpu_allocation_ratio:
    description:
      - The most vCPUs of guests for each online CPU of a node that guests share. Without it there is no limit.
      - Dedicated vCPUs and their cores do not count. A node that is beyond the limit already gets nothing new.
    type: float
  host_policies:
    description:
      - What is different on some hosts, by name of the host or of a group of the inventory. Each may have C(defaults) as in O(defaults),
        C(reserve) as in O(reserve), and C(cpu_allocation_ratio). What a guest says itself counts on every host.
      - What the host's own entry says counts before what its groups say. Groups of a host that say different things of the same field are an
        error, unless the host's own entry has the field.
    type: dict
  groups:
    description: Guests that belong together or apart.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the group, unique in the list.
        type: str
        required: true
      policy:
        description: V(affinity) keeps its members together, V(anti-affinity) keeps them apart.
        type: str
        choices: [affinity, anti-affinity]
        required: true
      scope:
        description: What they share or do not share.
        type: str
        choices: [host, package, node]
        default: host
      members:
        description:
          - Names of guests. A list in the list stands for one member of an V(anti-affinity) group, so that the guests in it need not be
            apart from one another, as the guests of a fault domain.
        type: list
        elements: raw
        required: true
  rebalance:
    description:
      - What may be done to guests that run so that the whole becomes better. V(none) leaves them where their memory is, and sets only
        their affinity. V(migrate) lets the
        plan ask for up to O(max_moves) of them to be migrated within their host or moved to another one, V(restart) also for restarts where
        a move has no room.
      - A move has to make fewer guests span nodes, shorten ways, or lower the load noticeably. Guests with O(guests[].nodes), with CPUs of
        their own or in a trust group are not moved for this.
      - The role C(dom0.xen.place_guests) carries out those within a host, where it is told to. Those to other hosts are left to people.
    type: str
    choices: [none, migrate, restart]
    default: none
  max_moves:
    description: How many running guests O(rebalance) may give another place.
    type: int
    default: 3
  evacuate:
    description:
      - Hosts that are to be emptied. All guests that run there are planned onto the other hosts, and nothing new goes there. Guests that are
        not in O(guests) are taken as they run. Answers what happens when a host goes away.
    type: list
    elements: str
  labels:
    description:
      - What the options are called in errors and advice, by name of the option, for roles whose users know them by other names. For
        O(guests) and O(groups) it may be a list with what each entry is called.
    type: dict
"""
