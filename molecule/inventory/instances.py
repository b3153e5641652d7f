#!/usr/bin/env python
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory of the shared instances: one container for each Debian release in EDGE_SUITES.

    EDGE_SUITES="bullseye bookworm trixie forky"   the releases to test on; by default bookworm and trixie

The containers' names differ from checkout to checkout, so that two of them can be tested at once.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import images
from paths import REPOSITORY, digest


def inventory():
    checkout = digest(REPOSITORY)
    suites = (os.environ.get("EDGE_SUITES") or "bookworm trixie").split()
    variables = {
        suite: {
            "ansible_host": f"edge-{suite}-{checkout[:6]}",
            "container_image": images.reference(suite),
        }
        for suite in suites
    }
    common = {
        "ansible_connection": "community.docker.docker",
        "ansible_python_interpreter": "/usr/bin/python3",
        "container_labels": {"expanso-edge-tests": checkout},  # what `make clean` knows them by
        "container_network": f"edge-{checkout[:6]}",
    }
    return {"instances": {"hosts": suites, "vars": common}, "_meta": {"hostvars": variables}}


if __name__ == "__main__":
    print(json.dumps(inventory(), indent=2))
