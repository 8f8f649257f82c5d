# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a careful person writes instead of a loop: pins vCPUs with one xl for each. Arguments: CPUS VCPUS GUEST..."""

import subprocess
import sys

for guest in sys.argv[3:]:
    for vcpu in range(int(sys.argv[2])):
        subprocess.run(["xl", "vcpu-pin", guest, str(vcpu), sys.argv[1], "-"], check=True)
