# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Every target makes what it needs (see tools/workshop.py): there is nothing to install first but git, make and python3.

PYTHON = python3
RUN = $(PYTHON) tools/workshop.py run
# What `make bench` measures: everything, or the names of some benchmarks.
BENCH =

# How long `make fuzz` tries inputs, in seconds.
FUZZ_SECONDS = 600

.PHONY: help setup demo check test unit lint sanity galaxy molecule fuzz bench clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## install missing Debian packages and make the Python environments
	@$(PYTHON) tools/workshop.py

demo:  ## boot a real, emulated Xen host and place guests on it (KEEP=1 leaves it up)
	@$(RUN) python tools/demo.py

check:  ## after each edit: style, types, and the unit tests that the change can reach
	@$(PYTHON) tools/check.py quick

test:  ## every check there is, Molecule on the emulated host included
	@$(PYTHON) tools/check.py

unit:  ## unit tests (PYTEST_ARGS="-k cpuset" passes arguments to pytest)
	@$(PYTHON) tools/check.py unit

lint:  ## ruff, mypy, ansible-lint, documentation and changelog
	@$(PYTHON) tools/check.py lint

sanity:  ## ansible-test sanity and units
	@$(PYTHON) tools/check.py sanity

galaxy:  ## build the collection and run Ansible Galaxy's checks on it
	@$(PYTHON) tools/check.py galaxy

molecule:  ## the scenarios on emulated hosts (SCENARIO=place runs one)
	@$(PYTHON) tools/check.py molecule$(if $(SCENARIO),:$(SCENARIO))

fuzz:  ## damaged input for every parser and entry on the control node, 10 minutes (FUZZ_SECONDS=3600 for an hour)
	@$(RUN) nice -n 19 python -m tests.fuzz --seconds $(FUZZ_SECONDS)

bench:  ## measure on the emulated host what the documentation claims
	@$(RUN) python benchmarks/run.py $(BENCH)

clean:  ## stop the emulated hosts and remove everything that the other targets left
	@$(PYTHON) tools/clean.py
