# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to tokens: a case for each way to succeed and to fail.

A case is a function that prepares a node and gives it a token:

    @case(says="what a message of the run has to say, or the case did not happen", holds=True)
    def the_name(node: Node) -> None:
        node.token(node.key())

    says_in_check   what it says with `--check`, where that is something else
    holds           whether the token is in the node's file at the end of a real run
    needs           a function that says why this machine cannot do it, or None
    playbooks       which of the playbooks `provision`, `direct`, `rotate` and `retire` it is for

Cases are hosts of a job that they share. What concerns a whole job is a `@job`, which prepares as many nodes as it needs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

import canary
from lab import Lab, Node, vaulted

ENVIRONMENT = "EXPANSO_EDGE_BOOTSTRAP_TOKEN"


class Case(NamedTuple):
    """How one host fares."""

    name: str
    prepare: Callable[[Node], None]
    says: str
    says_in_check: str
    holds: bool
    needs: Callable[[], Optional[str]]
    playbooks: tuple[str, ...]


class JobCase(NamedTuple):
    """How a whole job fares.

    :ivar red: whether AWX shows it as failed
    :ivar secret: whether it has a token, which could leak. Without one it is run by one ansible-core only.
    """

    name: str
    prepare: Callable[[Lab], None]
    says: str
    playbook: str
    red: bool
    secret: bool


CASES: dict[str, Case] = {}
JOBS: dict[str, JobCase] = {}


def nothing() -> Optional[str]:
    """Need nothing."""
    return None


def case(
    says: str,
    says_in_check: str = "",
    *,
    holds: bool = False,
    needs: Callable[[], Optional[str]] = nothing,
    playbooks: tuple[str, ...] = ("provision", "direct"),
) -> Callable[[Any], Any]:
    """Make a case of a function that prepares a node."""

    def register(prepare: Callable[[Node], None]) -> Callable[[Node], None]:
        CASES[prepare.__name__] = Case(prepare.__name__, prepare, says, says_in_check or says, holds, needs, playbooks)
        return prepare

    return register


def job(says: str, playbook: str = "provision", *, red: bool = True, secret: bool = True) -> Callable[[Any], Any]:
    """Make a job of a function that prepares a lab."""

    def register(prepare: Callable[[Lab], None]) -> Callable[[Lab], None]:
        JOBS[prepare.__name__] = JobCase(prepare.__name__, prepare, says, playbook, red, secret)
        return prepare

    return register


def root() -> Optional[str]:
    """Need to be root."""
    return None if os.geteuid() == 0 else "only root can do this"


def immutable() -> Optional[str]:
    """Need a file system that knows immutable files, and the right to make them so."""
    if os.geteuid() != 0 or not shutil.which("chattr"):
        return "chattr +i needs root and e2fsprogs"
    return None


# Tokens that arrive.


@case(says="token written to", holds=True)
def key(node: Node) -> None:
    node.token(node.key())


@case(says="token written to", holds=True)
def jwt(node: Node) -> None:
    node.token(node.jwt())


@case(says="token written to", holds=True)
def opaque(node: Node) -> None:
    node.token(node.opaque())


@case(says="token written to", holds=True)
def on_demand(node: Node) -> None:
    node.token(node.key())
    node.variables["expanso_edge_token_on_demand"] = True


@case(says="already registered .* no token needed")
def registered_on_demand(node: Node) -> None:
    node.registered()
    node.token(node.opaque())
    node.variables["expanso_edge_token_on_demand"] = True


@case(says="is the one asked for", holds=True)
def there_already(node: Node) -> None:
    node.token(node.key())
    node.put("etc/bootstrap.token", node.lab.canaries["there_already/token"].text)


@case(says="token written to", holds=True)
def changed(node: Node) -> None:
    node.put("etc/bootstrap.token", node.key("former"))
    node.put("etc/bootstrap.env", f"{ENVIRONMENT}={node.opaque('former in environment')}\n")
    node.token(node.key())


@case(says="others may have read the token", holds=True)
def permissions_repaired(node: Node) -> None:
    token = node.key()
    node.token(token)
    node.put("etc/bootstrap.token", token, mode=0o644)


@case(says="token written to", holds=True)
def killed_before(node: Node) -> None:
    stale = node.put("etc/.bootstrap.token.x.expanso-edge.tmp", node.key("stale"))
    os.utime(stale, (0, 0))
    node.token(node.key())


@case(says="already registered .* no token needed")
def registered(node: Node) -> None:
    node.registered()
    node.token(node.key())


@case(says="already registered .* token removed")
def registered_with_a_token_left(node: Node) -> None:
    node.registered()
    node.put("etc/bootstrap.token", node.key("left"))
    node.variables["token_file_remove_after_registration"] = True


@case(says="token removed from")
def removed(node: Node) -> None:
    node.put("etc/bootstrap.token", node.key("left"))
    node.variables["token_file_state"] = "absent"


@case(says="no token was given for it")
def no_token(node: Node) -> None:
    node.key("of nobody")


# Tokens that are refused.


@case(says="white space at its end")
def trailing_space(node: Node) -> None:
    node.token(node.key() + " ")


@case(says="line break at its end")
def trailing_line_feed(node: Node) -> None:
    node.token(node.opaque() + "\n")


@case(says="white space inside")
def two_tokens(node: Node) -> None:
    node.token(f"{node.key('first')} {node.key('second')}")


@case(says="it is an API key")
def api_key(node: Node) -> None:
    node.token(node.api_key())


@case(says="JWT that expired at")
def expired(node: Node) -> None:
    node.token(node.jwt(lifetime=-3600))


@case(says="quotation marks")
def quoted(node: Node) -> None:
    node.token(f'"{node.key()}"')


@case(says="control character")
def control_character(node: Node) -> None:
    node.token(node.key() + "\x07")


@case(says="not ASCII")
def not_ascii(node: Node) -> None:
    node.token(node.jwt() + "é")


@case(says="whole NAME=value line")
def assignment(node: Node) -> None:
    node.token(f"{ENVIRONMENT}={node.opaque()}")


@case(says="path of a file")
def path_as_token(node: Node) -> None:
    node.token(f"/etc/expanso/{node.key()}")


@case(says="it is a URL")
def url_as_token(node: Node) -> None:
    node.token(f"https://start.cloud.expanso.io/?token={node.key()}")


@case(says="strict accepts nothing else")
def unknown_shape(node: Node) -> None:
    node.token(node.opaque())
    node.variables["token_file_strict"] = True


@case(says="the token cannot be used")
def too_long(node: Node) -> None:
    node.token(node.key() * 500)


@case(says="is a list, not a text")
def list_of_tokens(node: Node) -> None:
    node.token([node.key()])


@case(says="is a dictionary, not a text")
def dictionary(node: Node) -> None:
    node.token({"token": node.key()})


# Tokens that Ansible takes for templates.


@case(says="refers to nothing_of_that_name, which is not defined")
def undefined_in_token(node: Node) -> None:
    node.token(node.key() + "{{ nothing_of_that_name }}")


@case(says="cannot be templated")
def open_braces_in_token(node: Node) -> None:
    node.token(node.opaque() + "{{ x")


@case(says="cannot be templated")
def unknown_tag_in_token(node: Node) -> None:
    node.token(node.key() + "{% x %}")


@case(says="cannot be templated")
def unknown_filter(node: Node) -> None:
    node.token("{{ '" + node.key() + "' | no_filter_of_that_name }}")


@case(says="refers to vault_edge_token, which is not defined")
def undefined_reference(node: Node) -> None:
    node.key("of nobody")
    node.token("{{ vault_edge_token }}")


@case(says="is a token in braces")
def key_in_braces(node: Node) -> None:
    node.token("{{ " + node.key() + " }}")


@case(says="is a token in braces")
def jwt_in_braces(node: Node) -> None:
    node.token("{{ " + node.jwt() + " }}")


@case(says="refers to something that is not defined|cannot be templated|is a number in braces")
def opaque_in_braces(node: Node) -> None:
    node.token("{{ " + node.opaque() + " }}")


@case(says="refers to something that is not defined")
def token_as_a_key(node: Node) -> None:
    node.token("{{ {}['" + node.key() + "'] }}")


@case(says="cannot be templated")
def file_of_that_name(node: Node) -> None:
    node.token("{{ lookup('ansible.builtin.file', '/nowhere/" + node.key() + "') }}")


@case(says="cannot be templated|refers to something that is not defined")
def lookup_of_that_name(node: Node) -> None:
    node.token("{{ lookup('" + node.opaque().replace("'", "") + "') }}")


@case(says="cannot be templated|refers to something that is not defined")
def variable_of_that_name(node: Node) -> None:
    node.token("{{ lookup('ansible.builtin.vars', '" + node.key() + "') }}")


@case(says="cannot be templated|refers to something that is not defined")
def first_found_of_that_name(node: Node) -> None:
    node.token("{{ lookup('ansible.builtin.first_found', ['/nowhere/" + node.jwt() + "']) }}")


@case(says="cannot be templated|refers to nothing_of_that_name")
def mandatory_with_token(node: Node) -> None:
    node.token("{{ nothing_of_that_name | mandatory('" + node.key() + "') }}")


@case(says="cannot be templated")
def json_that_is_none(node: Node) -> None:
    node.token("{{ '[" + node.key() + "' | from_json }}")


@case(says="cannot be templated")
def yaml_that_is_none(node: Node) -> None:
    node.token("{{ '[" + node.jwt() + "' | from_yaml }}")


@case(says="cannot be templated")
def broken_expression(node: Node) -> None:
    node.token("{{ 'x' | regex_search('(" + node.key() + "') }}")


@case(says="token written to", holds=True)
def vaulted_token(node: Node) -> None:
    node.token({"__ansible_vault": vaulted(node.key())})


@case(says="decrypt")
def vaulted_with_another_password(node: Node) -> None:
    node.token({"__ansible_vault": vaulted(node.key(), "another password")})


# Tokens in the wrong variable as well.


@case(says="token written to", holds=True)
def token_as_label(node: Node) -> None:
    node.token(node.key())
    node.variables["expanso_edge_token_label"] = node.variables["expanso_edge_token"]


# The summary of the playbook shows the label, which is not secret, and knows no token but by its shape.
@case(says="token written to", holds=True, playbooks=("direct",))
def token_of_no_shape_as_label(node: Node) -> None:
    """In the enrolment record, the audit trail and the node's log."""
    node.token(node.opaque())
    node.variables["expanso_edge_token_label"] = node.variables["expanso_edge_token"]
    node.variables["expanso_edge_trail_file"] = str(node.root / "trail.jsonl")


@case(says="is not the path of a file on the controller", says_in_check="token written to")
def token_as_trail_file(node: Node) -> None:
    node.token(node.opaque())
    node.variables["expanso_edge_trail_file"] = node.variables["expanso_edge_token"]


@case(says="there is no account")
def token_as_owner(node: Node) -> None:
    node.token(node.key())
    node.variables["token_file_owner"] = node.variables["expanso_edge_token"]


@case(says="mode")
def token_as_mode(node: Node) -> None:
    node.token(node.key())
    node.variables["token_file_mode"] = node.variables["expanso_edge_token"]


@case(says="not absolute")
def token_as_path(node: Node) -> None:
    node.token(node.jwt())
    node.variables["token_file_path"] = node.variables["expanso_edge_token"]


@case(says="not an absolute path")
def token_as_marker(node: Node) -> None:
    node.token(node.key())
    node.variables["token_file_registration_markers"] = [node.variables["expanso_edge_token"] + "/x/../.."]


@case(says=r"option registration.binary \(\w+\) contains the token")
def token_as_agent(node: Node) -> None:
    node.token(node.key())
    node.registers(token_file_binary=f"/nowhere/{node.variables['expanso_edge_token']}")


@case(says=r"option registration.bootstrap_url \(\w+\) contains the token")
def token_in_url(node: Node) -> None:
    node.token(node.opaque())
    node.registers(hostile=True, token_file_bootstrap_url=f"http://127.0.0.1:1/?token={node.variables['expanso_edge_token']}")


@case(says=r"option registration.config_file \(\w+\) contains the token")
def token_as_configuration(node: Node) -> None:
    node.token(node.opaque())
    node.registers(token_file_config_file=node.variables["expanso_edge_token"])


@case(says=r"option registration.user \(\w+\) contains the token")
def token_as_account_of_the_agent(node: Node) -> None:
    node.token(node.opaque())
    node.registers(token_file_register_user=node.variables["expanso_edge_token"])


# Nodes where a token cannot be.


@case(says="is a symbolic link")
def symbolic_link(node: Node) -> None:
    node.put("elsewhere", "")
    node.token_file.symlink_to(node.root / "elsewhere")
    node.token(node.key())


@case(says="every account can write to the directory")
def unsafe_directory(node: Node) -> None:
    node.token(node.opaque())
    node.etc.chmod(0o777)


@case(says="is a directory")
def directory_in_place(node: Node) -> None:
    node.token(node.key())
    node.token_file.mkdir()


@case(says="there is no account 'nobody-of-that-name'", holds=False)
def account_missing(node: Node) -> None:
    node.token(node.jwt())
    node.variables["token_file_owner"] = "nobody-of-that-name"


@case(says="cannot manage|no directory can be made", says_in_check="token written to")
def read_only(node: Node) -> None:
    # nobody can make a file there, not even root
    node.token(node.key())
    node.variables["token_file_path"] = "/sys/kernel/bootstrap.token"


@case(says="cannot manage .*Operation not permitted", says_in_check="token written to", needs=immutable)
def immutable_directory(node: Node) -> None:
    node.token(node.opaque())
    subprocess.run(["chattr", "+i", str(node.etc)], check=True)


@case(says="0666 is not possible here")
def impossible_mode(node: Node) -> None:
    node.token(node.key())
    node.variables["token_file_mode"] = "0666"


@case(says="not absolute")
def relative_path(node: Node) -> None:
    node.token(node.key())
    node.variables["token_file_path"] = "etc/bootstrap.token"


@case(says="no route to host")
def unreachable(node: Node) -> None:
    node.token(node.opaque())
    node.variables["node_unreachable"] = True


@case(says="there is no /nowhere/python3 on it")
def python_missing(node: Node) -> None:
    node.token(node.key())
    node.variables["ansible_python_interpreter"] = "/nowhere/python3"


@case(says="the host cannot run modules")
def python_that_prints_the_module(node: Node) -> None:
    """The token is among what it prints."""
    node.token(node.opaque())
    program = node.root / "python3"
    program.write_text("#!/bin/sh\ncat ${1:--}\ncat ${1:--} >&2\n")
    program.chmod(0o755)
    node.variables["ansible_python_interpreter"] = str(program)


# Nodes that register.


@case(says='"registered"', says_in_check="would be registered")
def registers(node: Node) -> None:
    token = node.key()
    node.token(token)
    node.lab.plane.client.add_token(token)
    node.registers(token_file_remove_after_registration=True)


@case(says='"registered"', says_in_check="would be registered", holds=True)
def registers_with_a_hostile_agent(node: Node) -> None:
    token = node.opaque()
    node.token(token)
    node.lab.plane.client.add_token(token)
    node.registers(hostile=True)


@case(says="failed with exit code 11", says_in_check="would be registered", holds=True)
def refused_and_hostile_key(node: Node) -> None:
    node.token(node.key())
    node.registers(hostile=True)


@case(says="failed with exit code 11", says_in_check="would be registered", holds=True)
def refused_and_hostile_jwt(node: Node) -> None:
    node.token(node.jwt())
    node.registers(hostile=True)


@case(says="failed with exit code 1:", says_in_check="would be registered", holds=True)
def talkative_key(node: Node) -> None:
    node.token(node.key())
    node.talks("fail")


@case(says="failed with exit code 1:", says_in_check="would be registered", holds=True)
def talkative_jwt(node: Node) -> None:
    node.token(node.jwt())
    node.talks("fail")


@case(says="failed with exit code 1:", says_in_check="would be registered", holds=True)
def talkative_opaque(node: Node) -> None:
    node.token(node.opaque())
    node.talks("fail")


@case(says="did not finish within 1 seconds", says_in_check="would be registered", holds=True)
def time_out(node: Node) -> None:
    node.token(node.key())
    node.talks("hang", token_file_register_timeout=1)


@case(says="did not finish within 1 seconds", says_in_check="would be registered", holds=True)
def time_out_with_a_child_elsewhere(node: Node) -> None:
    node.token(node.jwt())
    node.talks("hang-and-fork", token_file_register_timeout=1)


@case(says='"registered"', says_in_check="would be registered", holds=True)
def daemon_that_talks_late(node: Node) -> None:
    node.token(node.key())
    node.talks("register-and-fork")


@case(says='"registered"', says_in_check="would be registered")
def daemon_that_talks_late_of_a_token_removed(node: Node) -> None:
    node.token(node.opaque())
    node.talks("register-and-fork", token_file_remove_after_registration=True)


@case(says="this node is registered nevertheless", says_in_check="would be registered", holds=True)
def registered_but_failed(node: Node) -> None:
    node.token(node.opaque())
    node.talks("register-and-fail")


@case(says="was ended by signal 9", says_in_check="would be registered", holds=True)
def killed(node: Node) -> None:
    node.token(node.jwt())
    node.talks("die")


@case(says="none of the registration markers", says_in_check="would be registered", holds=True)
def no_marker(node: Node) -> None:
    node.token(node.jwt())
    node.talks("forget", token_file_register_timeout=1)


@case(says="missing or not executable", says_in_check="would be registered")
def agent_missing(node: Node) -> None:
    node.token(node.key())
    node.registers(token_file_binary="/nowhere/expanso-edge")


@case(says='"registered"', says_in_check="would be registered", holds=True, needs=root)
def registers_as_another_account(node: Node) -> None:
    token = node.key()
    node.token(token)
    node.lab.plane.client.add_token(token)
    node.registers(token_file_register_user="nobody")


# What nobody expects: exceptions whose text is the token, or all variables around.


@case(says="unexpected Sabotage at .* text is withheld")
def broken_judgement(node: Node) -> None:
    node.token(node.opaque())
    node.sabotaged("_token.py:hashlib.sha256")


@case(says="unexpected Sabotage at .* text is withheld", says_in_check="token written to")
def broken_write(node: Node) -> None:
    node.token(node.key())
    node.sabotaged("_secure_file.py:os.fsync")


@case(says="unexpected Sabotage at .* text is withheld", says_in_check="would be registered", holds=True)
def broken_registration(node: Node) -> None:
    node.token(node.jwt())
    node.talks("forget")
    node.sabotaged("_process.py:subprocess.Popen")


# What the audit finds elsewhere.


@case(says="token written to", holds=True)
def exposed(node: Node) -> None:
    token = node.key()
    node.token(token)
    node.put("etc/units/x.service", f"[Service]\nExecStart=/usr/local/bin/expanso-edge run --token {token}\n", mode=0o644)
    node.put("etc/bootstrap.token.bak", token, mode=0o644)
    node.put("etc/pipeline.env", f"SECRET={token}\n")
    node.put(f"etc/{token}~", token, mode=0o644)


# Secrets of a swarm.


@case(says="token stored as expanso_bootstrap_token_v1")
def swarm_key(node: Node) -> None:
    node.token(node.key())
    node.swarm()


@case(says="token stored as expanso_bootstrap_token_v1", playbooks=("direct",))
def swarm_token_as_token_label(node: Node) -> None:
    node.token(node.opaque())
    node.variables["expanso_edge_token_label"] = node.variables["expanso_edge_token"]
    node.variables["expanso_edge_trail_file"] = str(node.root / "trail.jsonl")
    node.swarm()


@case(says="token stored as expanso_bootstrap_token_v4")
def swarm_rotation(node: Node) -> None:
    node.token(node.opaque())
    node.swarm(versions={"expanso_bootstrap_token_v2": "0123456789ab", "expanso_bootstrap_token_v3": "ba9876543210"})


@case(says="removed expanso_bootstrap_token_v3")
def swarm_absent(node: Node) -> None:
    node.token(node.key())
    node.swarm(versions={"expanso_bootstrap_token_v3": "ba9876543210"}, swarm_secret_state="absent")


@case(says="secret expanso_bootstrap_token already exists and was not created by this collection")
def swarm_foreign(node: Node) -> None:
    node.token(node.key())
    node.swarm(versions={"expanso_bootstrap_token": ""})


@case(says="white space at its start")
def swarm_white_space(node: Node) -> None:
    node.token(" " + node.jwt())
    node.swarm()


@case(says="the swarm holds no token and no token was given for it")
def swarm_no_token(node: Node) -> None:
    node.key("of nobody")
    node.swarm()


@case(says="the Docker engine refused: cannot store", says_in_check="token stored as")
def swarm_engine_that_quotes_a_key(node: Node) -> None:
    node.token(node.key())
    node.swarm("quotes")


@case(says="the Docker engine refused: cannot store", says_in_check="token stored as")
def swarm_engine_that_quotes_a_jwt(node: Node) -> None:
    node.token(node.jwt())
    node.swarm("quotes")


@case(says="the Docker engine refused: .*does not have a leader")
def swarm_without_a_leader(node: Node) -> None:
    node.token(node.key())
    node.swarm("leaderless")


@case(says="unexpected ValueError at .* text is withheld", says_in_check="token stored as")
def swarm_sdk_that_breaks(node: Node) -> None:
    node.token(node.opaque())
    node.swarm("breaks")


@case(says="the Docker engine refused", says_in_check="token stored as")
def swarm_engine_that_answers_400(node: Node) -> None:
    node.token(node.key())
    node.swarm("400")


@case(says="the Docker engine refused", says_in_check="token stored as")
def swarm_engine_that_answers_409(node: Node) -> None:
    node.token(node.opaque())
    node.swarm("409")


@case(says="the Docker engine refused", says_in_check="token stored as")
def swarm_engine_that_answers_503(node: Node) -> None:
    node.token(node.jwt())
    node.swarm("503")


@case(says="would cross the network unencrypted")
def swarm_in_the_clear(node: Node) -> None:
    node.token(node.key())
    node.swarm(swarm_secret_engine={"docker_host": "tcp://192.0.2.1:2375"})


@case(says="environment contains a bootstrap token, which whoever may read the service could read")
def swarm_token_in_the_environment_of_the_service(node: Node) -> None:
    node.token(node.key())
    served(node, swarm_secret_service_environment={"EDGE_TOKEN": node.variables["expanso_edge_token"]})


@case(says="environment contains a bootstrap token, which whoever may read the service could read")
def swarm_token_of_no_shape_in_the_environment_of_the_service(node: Node) -> None:
    node.token(node.opaque())
    served(node, swarm_secret_service_environment={ENVIRONMENT: node.variables["expanso_edge_token"]})


@case(says="arguments contains a bootstrap token, which whoever may read the service could read")
def swarm_token_in_the_arguments_of_the_service(node: Node) -> None:
    node.token(node.jwt())
    served(node, swarm_secret_service_arguments=["--token", node.variables["expanso_edge_token"]])


def served(node: Node, **variables: Any) -> None:
    """Let the swarm have a service, which is checked before the token is stored."""
    node.swarm(swarm_secret_service_state="present", swarm_secret_service_image="agent:1", **variables)


# Secrets of a cluster.


@case(says="token written to Secret")
def k8s_key(node: Node) -> None:
    node.token(node.key())
    node.kubernetes()


@case(says="token written to Secret", playbooks=("direct",))
def k8s_token_as_token_label(node: Node) -> None:
    node.token(node.opaque())
    node.variables["expanso_edge_token_label"] = node.variables["expanso_edge_token"]
    node.variables["expanso_edge_trail_file"] = str(node.root / "trail.jsonl")
    node.kubernetes()


@case(says="token written to Secret")
def k8s_rotation(node: Node) -> None:
    node.token(node.jwt())
    node.kubernetes(held=node.key("former"))


@case(says="holds the token")
def k8s_there_already(node: Node) -> None:
    token = node.opaque()
    node.token(token)
    node.kubernetes(held=token)


@case(says="token removed from Secret")
def k8s_absent(node: Node) -> None:
    node.kubernetes(held=node.key("left"), k8s_secret_state="absent")


@case(says="white space at its end")
def k8s_white_space(node: Node) -> None:
    node.token(node.key() + " ")
    node.kubernetes()


@case(says="no token was given for it")
def k8s_no_token(node: Node) -> None:
    node.key("of nobody")
    node.kubernetes()


@case(says="the account is not allowed to .*get secrets")
def k8s_forbidden(node: Node) -> None:
    node.token(node.key())
    node.kubernetes("forbids")


@case(says="admission webhook")
def k8s_api_that_quotes_a_key(node: Node) -> None:
    node.token(node.key())
    node.kubernetes("quotes")


@case(says="admission webhook")
def k8s_api_that_quotes_a_jwt(node: Node) -> None:
    node.token(node.jwt())
    node.kubernetes("quotes")


@case(says="answers, but not as a Kubernetes API does")
def k8s_api_that_breaks(node: Node) -> None:
    node.token(node.opaque())
    node.kubernetes("breaks")


@case(says="cannot connect to the Kubernetes API")
def k8s_api_that_hangs_up(node: Node) -> None:
    node.token(node.key())
    node.kubernetes("drops")


@case(says="cannot patch secrets")
def k8s_api_that_answers_400(node: Node) -> None:
    node.token(node.key())
    node.kubernetes("400")


@case(says="cannot patch secrets")
def k8s_api_that_answers_409(node: Node) -> None:
    node.token(node.opaque())
    node.kubernetes("409")


@case(says="cannot patch secrets")
def k8s_api_that_answers_503(node: Node) -> None:
    node.token(node.jwt())
    node.kubernetes("503")


@case(says="cannot patch secrets")
def k8s_api_that_answers_401(node: Node) -> None:
    node.token(node.key())
    node.kubernetes("401")


@case(says="is none of a label|label")
def k8s_token_as_label(node: Node) -> None:
    node.token(node.opaque())
    node.kubernetes(k8s_secret_labels={"app": node.variables["expanso_edge_token"]})


@case(says="contains a bootstrap token, which whoever may read a Deployment could read", playbooks=("provision",))
def k8s_token_in_the_environment_of_the_deployment(node: Node) -> None:
    node.token(node.key())
    deployed(node, k8s_secret_deployment_environment={ENVIRONMENT: node.variables["expanso_edge_token"]})


@case(says="contains a bootstrap token, which whoever may read a ConfigMap could read", playbooks=("provision",))
def k8s_token_in_the_configuration_of_the_deployment(node: Node) -> None:
    node.token(node.key())
    deployed(node, k8s_secret_deployment_config=f"token: {node.variables['expanso_edge_token']}")


@case(says="contains a bootstrap token, which whoever may read a Deployment could read", playbooks=("provision",))
def k8s_token_of_no_shape_in_the_environment_of_the_deployment(node: Node) -> None:
    node.token(node.opaque())
    deployed(node, k8s_secret_deployment_environment={ENVIRONMENT: node.variables["expanso_edge_token"]})


@case(says="contains a bootstrap token, which whoever may read a Deployment could read", playbooks=("provision",))
def k8s_token_in_the_arguments_of_the_deployment(node: Node) -> None:
    node.token(node.jwt())
    deployed(node, k8s_secret_deployment_run_arguments=["--token", node.variables["expanso_edge_token"]])


def deployed(node: Node, **variables: Any) -> None:
    """Let the cluster have a workload, which comes after the Secret is checked and before it is written."""
    node.kubernetes(k8s_secret_deployment_state="present", k8s_secret_deployment_image="agent:1", **variables)


# Services of systemd. A good one registers, a refused one has an agent that prints its token, an image starts nothing.


@case(says="would be waited for|registered", needs=root)
def systemd_environment_good(node: Node) -> None:
    systemd_good(node, "environment_file")


@case(says="would be waited for|registered", needs=root)
def systemd_credential_good(node: Node) -> None:
    systemd_good(node, "credential")


@case(says="would be waited for|registered", needs=root)
def systemd_encrypted_good(node: Node) -> None:
    systemd_good(node, "encrypted_credential")


def systemd_good(node: Node, delivery: str) -> None:
    token = node.key()
    node.token(token)
    node.lab.plane.client.add_token(token)
    node.runs_systemd(delivery)


@case(says="invalid bootstrap token(?s:.*)Its journal", says_in_check="would be waited for", needs=root)
def systemd_environment_refused(node: Node) -> None:
    node.token(node.opaque())
    node.runs_systemd("environment_file", hostile=True)


@case(says="invalid bootstrap token(?s:.*)Its journal", says_in_check="would be waited for", needs=root)
def systemd_credential_refused(node: Node) -> None:
    node.token(node.opaque())
    node.runs_systemd("credential", hostile=True)


@case(says="invalid bootstrap token(?s:.*)Its journal", says_in_check="would be waited for", needs=root)
def systemd_encrypted_refused(node: Node) -> None:
    node.token(node.opaque())
    node.runs_systemd("encrypted_credential", hostile=True)


@case(says="contains a bootstrap token, which every account of this node could read", needs=root)
def systemd_token_in_the_environment_of_the_unit(node: Node) -> None:
    node.token(node.jwt())
    node.runs_systemd("environment_file", systemd_service_environment={ENVIRONMENT: node.variables["expanso_edge_token"]})


@case(says="cannot be used in a systemd unit", needs=root)
def systemd_token_of_no_shape_as_agent(node: Node) -> None:
    node.token(node.opaque())
    node.runs_systemd("credential", systemd_service_binary=f"/nowhere/{node.variables['expanso_edge_token']}")


@case(says="token written to|token encrypted", needs=root)
def systemd_environment_image(node: Node) -> None:
    node.token(node.jwt())
    node.runs_systemd("environment_file", systemd_service_state="stopped")


@case(says="token written to|token encrypted", needs=root)
def systemd_credential_image(node: Node) -> None:
    node.token(node.jwt())
    node.runs_systemd("credential", systemd_service_state="stopped")


@case(says="token written to|token encrypted", needs=root)
def systemd_encrypted_image(node: Node) -> None:
    node.token(node.jwt())
    node.runs_systemd("encrypted_credential", systemd_service_state="stopped")


@case(says="text is withheld|invalid bootstrap token(?s:.*)Its journal", says_in_check="would be waited for", needs=root, playbooks=("direct",))
def systemd_broken(node: Node) -> None:
    node.token(node.opaque())
    node.runs_systemd("credential")
    node.sabotaged("wait_for_registration.py:time.sleep")


@case(says="token written to|token encrypted", needs=root)
def systemd_changed(node: Node) -> None:
    node.put("etc/bootstrap.env", f"{ENVIRONMENT}={node.key('former')}\n")
    node.token(node.key())
    node.runs_systemd("encrypted_credential")


@case(says="token removed from", needs=root)
def systemd_removed(node: Node) -> None:
    node.put("etc/bootstrap.env", f"{ENVIRONMENT}={node.key('left')}\n")
    node.runs_systemd("environment_file", systemd_service_state="absent")


def hand_made(node: Node, token: str) -> None:
    """Create a unit by hand, with the token in all of its texts."""
    text = f"""[Unit]
Description=Edge with {token}
[Service]
Environment="{ENVIRONMENT}={token}"
ExecStart=/usr/local/bin/expanso-edge run --token {token}
"""
    for name in ("expanso-edge.service", "expanso-edge-bootstrap.service"):
        node.put(f"units/{name}", text, mode=0o644)


@case(says="is not managed by this collection", needs=root)
def systemd_unit_made_by_hand(node: Node) -> None:
    token = node.key()
    node.token(token)
    node.runs_systemd("credential")
    hand_made(node, token)


@case(says="token written to", needs=root)
def systemd_unit_made_by_hand_adopted(node: Node) -> None:
    token = node.key()
    node.token(token)
    node.runs_systemd("environment_file", systemd_service_state="stopped", systemd_service_adopt=True)
    hand_made(node, token)


@case(says="token removed from|no token", needs=root)
def systemd_unit_made_by_hand_removed(node: Node) -> None:
    node.runs_systemd("environment_file", systemd_service_state="absent", systemd_service_adopt=True)
    hand_made(node, node.jwt("in a unit"))


# Plugins that run on the controller, used directly.


@case(says="takes no terms", playbooks=("direct",))
def plugins_key(node: Node) -> None:
    node.token(node.key())


@case(says="takes no terms", playbooks=("direct",))
def plugins_jwt(node: Node) -> None:
    node.token(node.jwt())


@case(says="takes no terms", playbooks=("direct",))
def plugins_opaque(node: Node) -> None:
    node.token(node.opaque())


@case(says="white space at its end", playbooks=("direct",))
def plugins_bad(node: Node) -> None:
    node.token(node.key() + " ")


@case(says="refers to nothing_of_that_name", playbooks=("direct",))
def plugins_template(node: Node) -> None:
    node.token(node.key() + "{{ nothing_of_that_name }}")


# Whole jobs.


@job(says="token written to", red=False)
def awx_credential(lab: Lab) -> None:
    lab.credential(lab.canary(canary.key(), "credential") + "\n")
    for name in ("fresh", "fresh2"):
        lab.node(name).will_hold = "credential"
    lab.node("registered").registered()


@job(says="token written to", red=False)
def own_token_beside_a_credential(lab: Lab) -> None:
    lab.credential(lab.canary(canary.jwt(), "credential"))
    lab.node("without").will_hold = "credential"
    own = lab.node("own")
    own.token(own.key())
    own.will_hold = "own/token"


@job(says="line break at its end|white space at its end")
def credential_with_a_windows_line_break(lab: Lab) -> None:
    lab.credential(lab.canary(canary.key(), "credential") + "\r\n")
    lab.node("fresh")


@job(says="byte order mark")
def credential_with_a_byte_order_mark(lab: Lab) -> None:
    lab.credential("\ufeff" + lab.canary(canary.key(), "credential") + "\n")
    lab.node("fresh")


@job(says="JWT that expired at")
def credential_that_expired(lab: Lab) -> None:
    lab.credential(lab.canary(canary.jwt(lifetime=-3600), "credential"))
    lab.node("fresh")


def credential_without_a_token(name: str, content: str, says: str) -> None:
    """AWX does not insist on a credential's required fields, and copies of credentials hold what it shows in place of a secret."""

    def prepare(lab: Lab) -> None:
        lab.credential(content)
        lab.node("fresh")

    prepare.__name__ = f"credential_{name}"
    job(says, secret=False)(prepare)


credential_without_a_token("that_is_empty", "", "it is empty")
credential_without_a_token("of_white_space", " \n", "white space|it is empty")
credential_without_a_token("that_awx_shows", "$encrypted$", "what is printed in place of a secret")
credential_without_a_token("of_stars", "**********\n", "what is printed in place of a secret")
credential_without_a_token("that_is_redacted", "$REDACTED$", "what is printed in place of a secret")
credential_without_a_token("of_an_invocation", "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER", "what is printed in place of a secret")


@job(says="leaves us with no hosts")
def limit_that_matches_nothing(lab: Lab) -> None:
    lab.credential(lab.canary(canary.key(), "credential"))
    lab.node("fresh")
    lab.arguments += ["--limit", "nowhere"]


@job(says="matches no host of this inventory within the limit fresh")
def limit_outside_of_the_group(lab: Lab) -> None:
    lab.credential(lab.canary(canary.key(), "credential"))
    lab.node("fresh")
    lab.extra_vars["expanso_edge_hosts"] = "another_site"
    lab.arguments += ["--limit", "fresh"]


UNANSWERED = dict.fromkeys(
    (
        *("expanso_edge_hosts", "expanso_edge_serial", "expanso_edge_max_fail_percentage", "expanso_edge_canary", "expanso_edge_plan_file"),
        *("expanso_edge_plan", "expanso_edge_plan_artifact", "expanso_edge_fingerprint", "expanso_edge_retire_all", "expanso_edge_reregister"),
        *("expanso_edge_sliced", "expanso_edge_trail_file"),
        *(["expanso_edge_become"] if os.geteuid() == 0 else []),  # the default is to become root
    ),
    "",
)
"""What AWX gives for the questions of a survey that nobody answered, and that have no default. Its `!unsafe ''` is null from ansible-core 2.19 on."""


@job(says="token written to", red=False)
def survey_left_empty(lab: Lab) -> None:
    lab.credential(lab.canary(canary.key(), "credential"))
    lab.node("fresh").will_hold = "credential"
    lab.extra_vars |= UNANSWERED


@job(says="token written to", playbook="rotate", red=False)
def survey_of_a_rotation_left_empty(lab: Lab) -> None:
    lab.credential(lab.canary(canary.key(), "credential"))
    lab.node("fresh").will_hold = "credential"
    lab.extra_vars |= UNANSWERED


@job(says="not registered", playbook="retire", red=False)
def survey_of_a_retirement_left_empty(lab: Lab) -> None:
    waiting = lab.node("waiting")
    waiting.put("etc/bootstrap.token", waiting.key())
    waiting.will_hold = "waiting/token"
    lab.extra_vars |= UNANSWERED


@job(says="token written to", red=False)
def survey_of_numbers(lab: Lab) -> None:
    """One host at a time, and one fork. From ansible-core 2.19 on, texts that look like numbers arrive as numbers."""
    lab.credential(lab.canary(canary.key(), "credential"), label="2026")
    for name in ("one", "two"):
        lab.node(name).will_hold = "credential"
    lab.extra_vars |= {"expanso_edge_serial": "1", "expanso_edge_max_fail_percentage": 0}
    lab.arguments += ["--forks", "1"]


@job(says="token written to", red=False)
def environment(lab: Lab) -> None:
    lab.environment[ENVIRONMENT] = lab.canary(canary.key(), ENVIRONMENT)
    lab.plane.client.add_token(lab.environment[ENVIRONMENT])
    lab.node("fresh").will_hold = ENVIRONMENT
    registers = lab.node("registers")
    registers.registers()
    registers.will_hold = ENVIRONMENT


@job(says="hold different tokens")
def two_sources(lab: Lab) -> None:
    lab.environment[ENVIRONMENT] = lab.canary(canary.key(), ENVIRONMENT)
    lab.credential(lab.canary(canary.opaque(), "credential"))
    lab.node("fresh")


@job(says="is meant for 2 hosts")
def one_jwt_for_two_hosts(lab: Lab) -> None:
    token = lab.canary(canary.jwt(), "credential")
    lab.credential(token)
    for name in ("one", "two"):
        lab.node(name)


@job(says="it is an API key")
def api_key_in_credential(lab: Lab) -> None:
    lab.credential(lab.canary(canary.api_key(), "credential"))
    lab.node("fresh")


@job(says="line break inside")
def credential_of_two_lines(lab: Lab) -> None:
    lab.credential(lab.canary(canary.key(), "first") + "\n" + lab.canary(canary.key(), "second") + "\n")
    lab.node("fresh")


@job(says="expanso_edge_token_file")
def token_where_its_file_belongs(lab: Lab) -> None:
    lab.extra_vars["expanso_edge_token_file"] = lab.canary(canary.key(), "credential")
    lab.node("fresh")


@job(says="cannot decrypt")
def vaulted_credential_with_another_password(lab: Lab) -> None:
    lab.credential(vaulted(lab.canary(canary.key(), "credential"), "another password"))
    lab.node("fresh")


@job(says="token written to", red=False)
def vaulted_credential(lab: Lab) -> None:
    lab.credential(vaulted(lab.canary(canary.opaque(), "credential")))
    lab.node("fresh").will_hold = "credential"


@job(says="white space at its end")
def vaulted_credential_that_is_bad(lab: Lab) -> None:
    lab.credential(vaulted(lab.canary(canary.key(), "credential") + " "))
    lab.node("fresh")


@job(says="expanso_edge_delivery has a value that is not shown, but must name")
def token_as_delivery(lab: Lab) -> None:
    lab.extra_vars["expanso_edge_delivery"] = lab.canary(canary.key(), "delivery")
    lab.node("fresh")


# Tokens that are replaced, by the playbook `rotate`.


@case(says="token written to", holds=True, playbooks=("rotate",))
def rotated(node: Node) -> None:
    node.put("etc/bootstrap.token", node.key("old"))
    node.token(node.key())


@case(says="is not a directory|Not a directory", holds=False, playbooks=("rotate",))
def rotation_that_fails(node: Node) -> None:
    node.put("file", "")
    node.variables["token_file_path"] = str(node.root / "file" / "bootstrap.token")
    node.token(node.key())


def to_be_registered_anew(node: Node, token: str) -> None:
    """A registered node that is to spend a token on another identity, with an agent that prints its token."""
    marker = node.put("data/auth/credentials.creds", "-----BEGIN NATS USER JWT-----\n")
    os.utime(marker, (1_700_000_000, 1_700_000_000))
    node.token(token)
    node.registers(hostile=True)
    node.variables["expanso_edge_reregister"] = True


@case(says='"registered anew"', says_in_check="would be registered anew", holds=True, playbooks=("rotate",))
def registers_anew(node: Node) -> None:
    token = node.key()
    node.lab.plane.client.add_token(token)
    to_be_registered_anew(node, token)


@case(says="the files of the former identity are still there", says_in_check="would be registered anew", holds=True, playbooks=("rotate",))
def refused_anew(node: Node) -> None:
    to_be_registered_anew(node, node.jwt())


# Tokens that are removed, by the playbook `retire`.


@case(says="token removed from", playbooks=("retire",))
def retired(node: Node) -> None:
    node.registered()
    node.put("etc/bootstrap.token", node.key())


@case(says="not registered", holds=True, playbooks=("retire",))
def still_needed(node: Node) -> None:
    node.put("etc/bootstrap.token", node.key())


@case(says="is not a token file", holds=True, playbooks=("retire",))
def retired_but_no_token_file(node: Node) -> None:
    node.registered()
    node.put("etc/bootstrap.token", node.key() + "\n" + "x" * 70_000)
