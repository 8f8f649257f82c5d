#!/usr/bin/python
# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: placement_check
short_description: Check that a plan for Xen guests breaks no rule
description:
  - Takes a plan as M(dom0.xen.placement_plan) returns it, perhaps edited by hand or read from a file, with the facts and the options that
    it is for, and says which hard rules it breaks.
  - It shares nothing with the planner but how it reads facts and options. It computes anew what each guest takes, which CPUs
    its masks reach, and what is free before each step.
  - Checked are whether every guest is in the plan once; its host, cpupool, nodes and C(numa_policy); that each vCPU may run somewhere, and
    where C(pin) keeps it; that dedicated vCPUs have whole cores that nobody else in the plan may use, and C(thread_policy); trust groups;
    C(cpu_allocation_ratio); PCI devices and their owners; groups; C(do_not_touch); which actions are permitted and how many guests are
    moved; and that each step fits on its nodes and host, with the reserve left alone.
  - The facts have to be those from before the plan is carried out.
  - What the plan only prefers, such as few nodes or even load, is not its business.
  - The work is done by an action plugin on the control node. No connection to a host is made, and nothing is sent there.
version_added: 0.1.0
author:
  - dom0.xen contributors (@dom0-xen)
extends_documentation_fragment:
  - dom0.xen._attributes.control_node
  - dom0.xen._attributes
  - dom0.xen._attributes.info_module
  - dom0.xen._attributes.actiongroup_xen
  - dom0.xen._placement
options:
  plan:
    description: The plan.
    type: dict
    required: true
  fail:
    description: Whether the task fails when the plan breaks a rule. Otherwise it only reports.
    type: bool
    default: true
seealso:
  - module: dom0.xen.placement_plan
  - name: The plan
    description: Form of the plan, policies, objective, and what the figures in it rest on.
    link: https://github.com/dom0-xen/dom0.xen/blob/main/docs/plan.md
"""

EXAMPLES = r"""
- name: Plan
  dom0.xen.placement_plan:
    guests: "{{ wanted_guests }}"
  register: placement

- name: Keep the plan in a file for somebody to edit
  ansible.builtin.copy:
    content: "{{ placement | to_nice_json }}"
    dest: plan.json
    mode: "0644"
  delegate_to: localhost

- name: Check what has become of it
  dom0.xen.placement_check:
    plan: "{{ lookup('ansible.builtin.file', 'plan.json') | from_json }}"
    guests: "{{ wanted_guests }}"
"""

RETURN = r"""
valid:
  description: Whether the plan breaks no rule.
  returned: success, or when it breaks one
  type: bool
  sample: false
violations:
  description: The rules that it breaks.
  returned: success, or when it breaks one
  type: list
  elements: dict
  contains:
    guest:
      description: The guest that it is about, V(null) when it is about a host or the whole plan.
      returned: success, or when it breaks one
      type: str
      sample: web
    rule:
      description: The option, policy or part of the plan that it is about.
      returned: success, or when it breaks one
      type: str
      sample: steps
    text:
      description: What is wrong, as a sentence.
      returned: success, or when it breaks one
      type: str
      sample: Step 1, create web, needs 207 MiB more than node 1 of alpha has then.
"""
