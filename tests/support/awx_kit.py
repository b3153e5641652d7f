# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWX kit as tests read it: `examples/awx`, `examples/awx-setup`."""

from __future__ import annotations

import json
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from paths import REPOSITORY

PROJECT = REPOSITORY / "examples" / "awx"
SETUP = REPOSITORY / "examples" / "awx-setup"
SECRETS = {
    "expanso_edge_awx_vault_role_id": "ROLE-5c1f",
    "expanso_edge_awx_vault_secret_id": "SECRET-9d2a",
    "expanso_edge_awx_host_config_key": "HOSTKEY-7e3b",
    "expanso_edge_awx_webhook_password": "HOOK-1f4c",
}
"""What the files leave to be given by whoever runs them."""


def read(*names: str) -> dict[str, Any]:
    """The variables of files, as they are written. Later files take precedence."""
    loader = DataLoader()
    files = [loader.load_from_file(str(SETUP / name), trusted_as_template=True) for name in names]
    return {key: value for content in files for key, value in content.items()}


def definitions(*names: str, **given: str) -> dict[str, Any]:
    """The variables of files as Ansible templates them, with further variables given by the user. `!unsafe` texts stay as they are."""
    variables = {**read(*(names or ("definitions.yml",))), **given}
    templated = Templar(loader=DataLoader(), variables=variables).template(
        {key: value for key, value in variables.items() if key.startswith(("controller_", "aap_"))}
    )
    plain: dict[str, Any] = json.loads(json.dumps(templated))
    return plain
