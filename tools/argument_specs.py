# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that every role's argument_specs and defaults agree: the same variables, the same default values.

    python3 argument_specs.py     run where PyYAML is installed
"""

import sys
from pathlib import Path

import yaml
from paths import REPOSITORY, SupportError, program, say


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def faults(role):
    """What is wrong with the role, one message for each fault."""
    file = role / "meta" / "argument_specs.yml"
    if not file.is_file():
        return [f"{file.relative_to(REPOSITORY)} is missing"]
    specs = load(file)["argument_specs"]
    defaults = load(role / "defaults" / "main.yml")
    options = {name: option for spec in specs.values() for name, option in spec.get("options", {}).items()}
    # Inventory-wide variables have their defaults in each role that reads them.
    found = [f"{name} has a default, but is missing in argument_specs" for name in sorted(defaults.keys() - options.keys())]
    for name, option in options.items():
        if name not in defaults:
            if "default" in option:
                found.append(f"{name} has a default only in argument_specs, which the role does not get")
        elif option.get("required"):
            found.append(f"{name} is required and has a default")
        elif option.get("default") != defaults[name]:
            found.append(f"{name}: argument_specs say {option.get('default')!r}, defaults say {defaults[name]!r}")
        # no_log on an option makes an inline-vaulted value fail on ansible-core 2.18 and older
        if "no_log" in option:
            found.append(f"{name}: no_log in argument_specs breaks inline-vaulted values on old ansible-core")
    for entry, spec in specs.items():
        if not (role / "tasks" / f"{entry}.yml").is_file():
            found.append(f"argument_specs describe an entry point {entry} without tasks")
        if not spec.get("short_description"):
            found.append(f"entry point {entry} has no short_description")
    return found


def main():
    roles = sorted(path for path in Path(REPOSITORY / "roles").iterdir() if path.is_dir())
    if not roles:
        raise SupportError("there are no roles to check.")
    found = [f"role {role.name}: {fault}" for role in roles for fault in faults(role)]
    if found:
        raise SupportError("\n".join(found))
    say(f"{len(roles)} role(s): argument_specs and defaults agree.")


if __name__ == "__main__":
    sys.exit(program(main))
