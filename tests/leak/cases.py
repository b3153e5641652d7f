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

All cases are hosts of one job. What concerns a whole job is a `@job`, which prepares as many nodes as it needs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

import canary
from lab import Lab, Node

ENVIRONMENT = "EXPANSO_EDGE_BOOTSTRAP_TOKEN"


class Case(NamedTuple):
    """How one host fares."""

    name: str
    prepare: Callable[[Node], None]
    says: str
    says_in_check: str
    holds: bool
    needs: Callable[[], Optional[str]]


class JobCase(NamedTuple):
    """How a whole job fares."""

    name: str
    prepare: Callable[[Lab], None]
    says: str
    playbook: str
    needs: Callable[[], Optional[str]]


CASES: dict[str, Case] = {}
JOBS: dict[str, JobCase] = {}


def nothing() -> Optional[str]:
    """Need nothing."""
    return None


def case(says: str, says_in_check: str = "", *, holds: bool = False, needs: Callable[[], Optional[str]] = nothing) -> Callable[[Any], Any]:
    """Make a case of a function that prepares a node."""

    def register(prepare: Callable[[Node], None]) -> Callable[[Node], None]:
        CASES[prepare.__name__] = Case(prepare.__name__, prepare, says, says_in_check or says, holds, needs)
        return prepare

    return register


def job(says: str, playbook: str = "provision.yml", *, needs: Callable[[], Optional[str]] = nothing) -> Callable[[Any], Any]:
    """Make a job of a function that prepares a lab."""

    def register(prepare: Callable[[Lab], None]) -> Callable[[Lab], None]:
        JOBS[prepare.__name__] = JobCase(prepare.__name__, prepare, says, playbook, needs)
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


@case(says="registered already .* no token needed")
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


@case(says="registered already .* no token needed")
def registered(node: Node) -> None:
    node.registered()
    node.token(node.key())


@case(says="registered already .* token removed")
def registered_with_a_token_left(node: Node) -> None:
    node.registered()
    node.put("etc/bootstrap.token", node.key("left"))
    node.variables["token_file_remove_after_registration"] = True


@case(says="token removed from")
def removed(node: Node) -> None:
    node.put("etc/bootstrap.token", node.key("left"))
    node.variables["token_file_state"] = "absent"


@case(says="there is no token for it")
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


@case(says="strict judgement")
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


# Nodes where a token cannot be.


@case(says="is a symbolic link")
def symbolic_link(node: Node) -> None:
    node.put("elsewhere", "")
    node.token_file.symlink_to(node.root / "elsewhere")
    node.token(node.key())


@case(says="every account may write the directory")
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


@case(says="mode 0666 is not possible")
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


@case(says="not found|No such file")
def python_missing(node: Node) -> None:
    node.token(node.key())
    node.variables["ansible_python_interpreter"] = "/nowhere/python3"


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


@case(says="the swarm holds no token and there is none for it")
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


@case(says="would cross the network in the clear")
def swarm_in_the_clear(node: Node) -> None:
    node.token(node.key())
    node.swarm(swarm_secret_engine={"docker_host": "tcp://192.0.2.1:2375"})


# Secrets of a cluster.


@case(says="token written to Secret")
def k8s_key(node: Node) -> None:
    node.token(node.key())
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


@case(says="there is no token for it")
def k8s_no_token(node: Node) -> None:
    node.key("of nobody")
    node.kubernetes()


@case(says="the account may not .*get secrets")
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


# Whole jobs.


@job(says="token written to")
def awx_credential(lab: Lab) -> None:
    lab.credential(lab.canary(canary.key(), "credential") + "\n")
    for name in ("fresh", "fresh2"):
        lab.node(name)
    lab.node("registered").registered()


@job(says="token written to")
def environment(lab: Lab) -> None:
    lab.environment[ENVIRONMENT] = lab.canary(canary.key(), ENVIRONMENT)
    lab.plane.client.add_token(lab.environment[ENVIRONMENT])
    lab.node("fresh")
    lab.node("registers").registers()


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


@job(says="takes no terms", playbook="plugins.yml")
def plugins(lab: Lab) -> None:
    for kind in (canary.key, canary.jwt, canary.opaque):
        node = lab.node(kind.__name__)
        node.token(lab.canary(kind(), f"{node.name}/token"))
    bad = lab.node("bad")
    bad.token(bad.key() + " ")
    template = lab.node("template")
    template.token(template.key() + "{{ nothing_of_that_name }}")


DELIVERIES = ("environment_file", "credential", "encrypted_credential")


def systemd_nodes(lab: Lab) -> None:
    """For each delivery a node that registers, one that is refused and whose agent prints its token, and one that starts nothing."""
    for delivery in DELIVERIES:
        good, refused, image = (lab.node(f"{delivery}-{name}") for name in ("good", "refused", "image"))
        for node, kind in ((good, canary.key), (refused, canary.opaque), (image, canary.jwt)):
            node.token(lab.canary(kind(), f"{node.name}/token"))
        lab.plane.client.add_token(good.variables["expanso_edge_token"])
        good.runs_systemd(delivery)
        refused.runs_systemd(delivery, hostile=True)
        image.runs_systemd(delivery, systemd_service_state="stopped")


@job(says="invalid bootstrap token.*Its journal|would be waited for", playbook="provision.yml", needs=root)
def systemd_provisioned(lab: Lab) -> None:
    systemd_nodes(lab)


@job(says="invalid bootstrap token.*Its journal|would be waited for", playbook="systemd.yml", needs=root)
def systemd_used_directly(lab: Lab) -> None:
    systemd_nodes(lab)
    broken = lab.node("broken")
    broken.token(broken.opaque())
    broken.runs_systemd("credential")
    broken.sabotaged("wait_for_registration.py:time.sleep")
    changed = lab.node("changed")
    changed.put("etc/bootstrap.env", f"{ENVIRONMENT}={changed.key('former')}\n")
    changed.token(changed.key())
    changed.runs_systemd("encrypted_credential")
    removed = lab.node("removed")
    removed.put("etc/bootstrap.env", f"{ENVIRONMENT}={removed.key('left')}\n")
    removed.runs_systemd("environment_file", systemd_service_state="absent")
