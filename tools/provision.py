# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make provision` runs: the playbook expanso.edge.provision from this checkout, with pinned dependencies.

    INVENTORY   the inventory; by default this machine
    TOKEN_FILE  file on this machine that holds the bootstrap token, instead of EXPANSO_EDGE_BOOTSTRAP_TOKEN
    ARGS        further arguments of ansible-playbook

All three are read from the environment: a token never stands on a command line, where every user of the machine could
read it.
"""

import json
import os
import re
import shlex
import sys
from pathlib import Path

import environments
from paths import REPOSITORY, SupportError, program

THIS_MACHINE = REPOSITORY / "examples" / "inventory" / "localhost.yml"
TOKEN = "EXPANSO_EDGE_BOOTSTRAP_TOKEN"


class Unclear(SupportError):
    """The user has to say something first; nothing was done."""

    exit_code = 2


def token_file():
    """The file that TOKEN_FILE names, or None."""
    name = os.environ.get("TOKEN_FILE")
    if not name:
        return None
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise Unclear(f"TOKEN_FILE: there is no file {path}. Nothing was done.")
    if not os.access(path, os.R_OK):
        raise Unclear(f"TOKEN_FILE: this user may not read {path}. Nothing was done.")
    return path


def inventory():
    name = os.environ.get("INVENTORY")
    if not name:
        return str(THIS_MACHINE)
    # a list of host names with commas is an inventory, too
    if "," not in name and not Path(name).expanduser().exists():
        raise Unclear(f"INVENTORY: there is no {Path(name).expanduser().absolute()}. Nothing was done.")
    return name if "," in name else str(Path(name).expanduser().absolute())


def arguments():
    try:
        given = shlex.split(os.environ.get("ARGS", ""))
    except ValueError as fault:
        raise Unclear(f"ARGS: {fault}. Nothing was done.") from None
    if any(re.search(r"expanso_edge_token[\"']?\s*[=:]", argument) for argument in given):
        raise Unclear(
            "ARGS: a token on a command line can be read by every user of this machine, and stands in the shell's history."
            f" Set {TOKEN}, or TOKEN_FILE=, or put it into the inventory with Ansible Vault. Nothing was done."
        )
    return given


def command():
    token, given = token_file(), arguments()
    if not os.environ.get("INVENTORY") and not os.environ.get(TOKEN) and token is None:
        raise Unclear(
            "no bootstrap token. Nothing was done.\n"
            "  Copy the token from your workspace in Expanso Cloud, then either\n"
            f"      read -rs {TOKEN} && export {TOKEN}        # paste it, and press Enter\n"
            "      make provision\n"
            "  or, where the token is in a file of this machine,\n"
            "      make provision TOKEN_FILE=/path/to/token\n"
            "  That is for this machine. For a fleet, whose inventory may hold the tokens: make provision INVENTORY=inventory.yml"
        )
    found = ["--inventory", inventory()]
    if "," in found[1]:  # a list of names has no groups
        found += ["--extra-vars", "expanso_edge_hosts=all"]
    if token:
        found += ["--extra-vars", json.dumps({"expanso_edge_token_file": str(token)})]
    return ["ansible-playbook", *found, *given, "expanso.edge.provision"]


def main():
    playbook = command()
    variables = environments.activated("provision")
    # Pipelining keeps the token's payload off the node's disk; a fleet is reached 20 nodes at a time. The user's own
    # settings in the environment win.
    for name, value in (("ANSIBLE_PIPELINING", "true"), ("ANSIBLE_FORKS", "20"), ("ANSIBLE_NOCOWS", "true")):
        variables.setdefault(name, value)
    os.execvpe(playbook[0], playbook, variables)


if __name__ == "__main__":
    sys.exit(program(main))
