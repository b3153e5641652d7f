# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role and the modules have to agree about."""

from __future__ import annotations

from pathlib import Path

import yaml
from ansible_collections.expanso.edge.plugins.module_utils._credential import NAME

ROLE = Path(__file__).resolve().parents[3] / "roles" / "systemd_service"
VARIABLES = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))


def test_the_same_credential() -> None:
    assert VARIABLES["__systemd_service_credential"] == NAME
