# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Xen knows and hwloc has no word for: the names of the infos that say it, written by the export and read back by the import."""

from .model import Memory

#: Infos of the Machine. The import reads back those after BACKEND.
HOST_NAME = "HostName"
BACKEND = "Backend"
SOURCE = "XenSource"  # who told: always there, so it also marks our own files
VERSION = "XenVersion"
CHANGESET = "XenChangeset"
CAPABILITIES = "XenCapabilities"
SCHEDULER = "XenScheduler"
COMMAND_LINE = "XenCommandLine"
CPU_KHZ = "XenCpuKHz"
PU_KHZ = "XenPUMaxKHz"  # khz=3900000 cpuset=0x000000f0: the highest frequency of these PUs
CPUPOOL = "XenCpupool"  # id=0 scheduler=credit2 domains=1 cpuset=0x0000000f name=Pool-0; what is not known is left out
CPUPOOL_FREE = "XenCpupoolFree"
UNPLACED = "XenUnplacedPUs"  # online, but Xen does not say where
UNKNOWN = "XenUnknownPUs"  # nobody could tell whether they are online
CACHE = "XenCache"  # level=3 type=unified size=16777216 line=64 ways=16: of which it is not known which CPUs share one
LEFT_OUT = "XenLeftOut"  # Core P#1 package=0 cpuset=0x0 complete_cpuset=0x0000000c: why
MEMORY = {field: "XenMemory" + field.capitalize() for field in Memory._fields}  # bytes

#: Infos of a kind of CPUs.
KIND = "XenKind"  # its name
KIND_SOURCE = "XenKindSource"
KIND_THREADS = "XenThreadsPerCore"
KIND_CPUS = "XenKindCPUs"  # there when some of its CPUs are offline: all of them
KIND_KHZ = "XenMaxKHz"

#: Infos of a NUMA node.
PROXIMITY = "ACPIProximityDomain"
NODE_FREE = "XenMemoryFree"  # bytes
NODE_LOW = "XenMemoryLow"  # bytes that Xen gives to guests last
NODE_SPANNED = "XenMemorySpanned"  # bytes, holes included
NODE_HOLES = "XenMemoryHoles"  # local_memory is what the node spans, for want of its RAM
LOCAL_CPUS = "XenLocalCPUs"  # there when the node has no online CPU, for hwloc gives such a node the Machine's sets: none; offline: 4-7
NEAREST = "XenNearestNodes"
MADE_UP = "XenNUMA"
