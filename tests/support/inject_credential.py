# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a credential to a job as AWX does, with AWX's own code: `awx-plugins-interfaces`, whose module is private, so this may need care with a new version.

Reads JSON from standard input: `inputs` and `injectors` of the credential type, `values` of the credential, and `folder`, the job's private directory.
Writes JSON: `env` and `safe_env` of the job, and `args` of ansible-playbook.
"""

import json
import sys
from types import SimpleNamespace

from awx_plugins.interfaces._temporary_private_inject_api import inject_credential


def main() -> None:
    given = json.load(sys.stdin)
    values = given["values"]
    kind = SimpleNamespace(inputs=given["inputs"], injectors=given["injectors"], managed=False, custom_injectors=None)
    credential = SimpleNamespace(get_input_keys=lambda: list(values), get_input=lambda name, default="": values.get(name, default))
    env, safe_env, args = {}, {}, []  # type: ignore[var-annotated]
    inject_credential(kind, credential, env, safe_env, args, given["folder"])
    json.dump({"env": env, "safe_env": safe_env, "args": args}, sys.stdout)


if __name__ == "__main__":
    main()
