# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Needs make, git and Python 3.11 or newer; everything else is made below .cache (or EXPANSO_EDGE_CACHE) when needed.

PYTHON ?= python3
TOOLS := $(PYTHON) tools

# Variables given to make reach the programs through their environment, never through a command line.
export INVENTORY TOKEN_FILE ARGS PYTEST_ARGS EDGE_SUITES

ifneq ($(filter command line,$(origin EXPANSO_EDGE_BOOTSTRAP_TOKEN)),)
$(error A token on make's command line can be read by every user of this machine. Export EXPANSO_EDGE_BOOTSTRAP_TOKEN, or use TOKEN_FILE=)
endif

ifneq ($(filter command line,$(origin GALAXY_TOKEN)),)
$(error A token on make's command line can be read by every user of this machine. Export GALAXY_TOKEN)
endif

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@printf 'Provision:\n'
	@printf '  %-34s %s\n' 'make provision' 'this machine, token from EXPANSO_EDGE_BOOTSTRAP_TOKEN'
	@printf '  %-34s %s\n' 'make provision TOKEN_FILE=path' 'this machine, token from a file'
	@printf '  %-34s %s\n' 'make provision INVENTORY=path' 'a fleet; ARGS= takes options of ansible-playbook'
	@printf 'Develop:\n'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | grep -v '^provision' | \
	  while IFS='|' read -r target text; do printf '  make %-29s %s\n' "$$target" "$$text"; done

.PHONY: provision
provision: ## Provision bootstrap tokens
	@$(TOOLS)/provision.py

.PHONY: test
test: ## Run all of the following
	@$(TOOLS)/check.py lint sanity unit functional leak molecule

.PHONY: lint sanity unit functional leak
lint: ## Style, types, documentation, changelog, tarball
sanity: ## ansible-test sanity on every released ansible-core that can be had
unit: ## Unit tests; PYTEST_ARGS= takes options of pytest
functional: ## Real ansible-playbook runs on every supported ansible-core
leak: ## Search all that comes out of a run for the token
lint sanity unit functional leak:
	@$(TOOLS)/check.py $@

.PHONY: molecule
molecule: ## Scenarios in containers; SCENARIO=name COMMAND=converge EDGE_SUITES="bookworm forky"
	@$(TOOLS)/scenarios.py $(or $(COMMAND),test) $(SCENARIO)

.PHONY: changelog
changelog: ## Put the changelog fragments and what is new into CHANGELOG.md
	@$(TOOLS)/changelog.py

.PHONY: tables
tables: ## Write the tables of variables in the roles' READMEs
	@$(TOOLS)/lint.py tables

.PHONY: docs
docs: ## Make the documentation site, and check its links
	@$(TOOLS)/docsite.py

.PHONY: picture
picture: ## Make the picture of the audit's page in the documentation
	@"$$($(TOOLS)/environments.py test)/bin/python" tests/support/audit_picture.py

.PHONY: bench
bench: ## Measure what roles and playbooks cost; ARGS="--nodes 20 --rounds 3"
	@"$$($(TOOLS)/environments.py test)/bin/python" tools/bench.py

.PHONY: build
build: ## Build the collection's tarball, here
	@$(TOOLS)/lint.py build

.PHONY: release
release: ## Check a release, and build its tarball; COMMAND=tag or COMMAND=publish
	@$(TOOLS)/release.py $(or $(COMMAND),check)

.PHONY: clean
clean: ## Remove containers, images, the engine and the cache
	@$(TOOLS)/clean.py
