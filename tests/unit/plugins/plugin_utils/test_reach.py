# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError
from ansible_collections.expanso.edge.plugins.plugin_utils._reach import VARIABLE, explained, failure

KNOWN = "Warning: Permanently added '[192.0.2.7]:22' (ED25519) to the list of known hosts."
SSH = "Failed to connect to the host via ssh: "
SENT = 'Data could not be sent to remote host "192.0.2.7". Make sure this host can be reached over ssh: '
TOKEN = "exp_bk_" + "kq7wz2xv9m" * 3
AWAY = "the host cannot be reached: "
NOT = "the host cannot run modules: "
PASSWORD = "check ansible_become_method and ansible_become_password"
NO_DIRECTORY = (
    "its account has no temporary directory: free or mount a file system for it, name another one with ansible_remote_tmp, or give the account a login shell"
)
LOGIN = "look at the account's login shell, and at what that runs first (.bashrc)"
DISK = "free or mount a file system with a temporary directory for its account"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("down", AWAY + "down"),
        (f"{SSH}ssh: connect to host 192.0.2.7 port 22: Connection refused", AWAY + "ssh: connect to host 192.0.2.7 port 22: Connection refused"),
        (f"{SENT}{KNOWN}\r\nme@192.0.2.7: Permission denied (publickey).", AWAY + "me@192.0.2.7: Permission denied (publickey)."),
        (
            f"{SSH}ssh: connect to host bastion port 22: No route to host\r\nkex_exchange_identification: Connection closed by remote host\r\n"
            "Connection closed by UNKNOWN port 65535",
            AWAY + "ssh: connect to host bastion port 22: No route to host",
        ),
        (f"{SSH}{'*' * 20}\r\nProperty of ACME\r\nKeep out\r\n{'*' * 20}\r\nme@h: Permission denied", AWAY + f"Keep out; {'*' * 20}; me@h: Permission denied"),
        (f"{SSH}{KNOWN}\r\n", AWAY + "the connection was lost, and ssh does not say why"),
        (SENT.rstrip(), AWAY + "the connection was lost, and ssh does not say why"),
        (f"{SENT}{KNOWN}", AWAY + "the connection was lost, and ssh does not say why"),
        (
            'Failed to create temporary directory. In some cases, … Failed command was: ( umask 77 && mkdir -p "` echo ~/.ansible/tmp `" ), exited with …',
            NOT + NO_DIRECTORY,
        ),
        ("Timeout (12s) waiting for privilege escalation prompt: ", NOT + f"Timeout (12s) waiting for privilege escalation prompt: {PASSWORD}"),
    ],
)
def test_a_connection_fails(text: str, message: str) -> None:
    assert failure(AnsibleConnectionFailure(text), {VARIABLE: True}) == {"failed": True, "msg": message}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Missing sudo password", NOT + f"Missing sudo password: {PASSWORD}"),
        ("Incorrect su password", NOT + f"Incorrect su password: {PASSWORD}"),
        (
            "failed to transfer file to /home/me/x /root/.ansible/tmp/y:\n\ndd: error writing 'y': No space left on device\n1+0 records in\n",
            NOT + f"dd: error writing 'y': No space left on device: {DISK}",
        ),
        ("failed to transfer file to /home/me/x /root/y:\n\nsomething else", NOT + "something else"),
        (
            'failed to resolve remote temporary directory from ansible-tmp-1: `( umask 77 && mkdir -p "` echo ~/.ansible/tmp `" )` returned empty string',
            NOT + f"its login shell does not run commands: {LOGIN}",
        ),
    ],
)
def test_ansible_cannot_become_root_or_copy_a_file(text: str, message: str) -> None:
    assert failure(AnsibleError(text), {VARIABLE: True}) == {"failed": True, "msg": message}


@pytest.mark.parametrize(
    ("fault", "variables"),
    [
        (AnsibleAuthenticationFailure("denied"), {}),
        (AnsibleConnectionFailure("down"), {VARIABLE: False}),
        (AnsibleError("Missing sudo password"), {}),
        (AnsibleError("another fault"), {VARIABLE: True}),
    ],
)
def test_other_faults_are_left_to_ansible(fault: AnsibleError, variables: dict[str, bool]) -> None:
    with pytest.raises(type(fault)) as caught:
        failure(fault, variables)
    assert caught.value is fault


def answer(stderr: str = "", stdout: str = "", rc: int = 1) -> dict[str, object]:
    """What Ansible returns if a module gave no result."""
    texts = {"module_stderr": stderr, "module_stdout": stdout, "exception": stderr}
    return {"failed": True, "changed": False, "rc": rc, "msg": "MODULE FAILURE\nSee stdout/stderr for the exact error", **texts}


TRACEBACK = """Traceback (most recent call last):
  File "/usr/lib/python3.11/tempfile.py", line 362, in _get_default_tempdir
FileNotFoundError: [Errno 2] No usable temporary directory found in ['/tmp', '/root']
"""


NO_LIBRARY = """Fatal Python error: init_fs_encoding: failed to get the Python codec of the filesystem encoding
Python runtime state: core initialized
ModuleNotFoundError: No module named 'encodings'

Current thread 0x00007f4bfb276040 (most recent call first):
  <no Python frame>
"""


@pytest.mark.parametrize(
    ("stderr", "stdout", "reason"),
    [
        ("/bin/sh: 1: /usr/bin/python3: not found\n", "", "there is no /usr/bin/python3 on it: install Python, or name another one with "
         "ansible_python_interpreter"),
        ("", "bash: /opt/py/python3.9: No such file or directory", "there is no /opt/py/python3.9 on it: install Python, or name another one with "
         "ansible_python_interpreter"),
        ("env: 'python': No such file or directory", "", "there is no python on it: install Python, or name another one with ansible_python_interpreter"),
        (f"{KNOWN}\r\n/bin/sh: 1: sudo: not found\nShared connection to h closed.\r\n", "", "/bin/sh: 1: sudo: not found: install sudo on it, or name another "
         "way with ansible_become_method"),
        ("sudo: sorry, you must have a tty to run sudo\n", "", "sudo: sorry, you must have a tty to run sudo: its sudo wants a terminal, so set "
         "ansible_pipelining to false for this host"),
        ("su: Yetkilendirme hatası\n", "", f"su: Yetkilendirme hatası: {PASSWORD}"),
        (TRACEBACK, "", f"FileNotFoundError: [Errno 2] No usable temporary directory found in ['/tmp', '/root']: {DISK}"),
        ("", "This account is currently not available.\n", "This account is currently not available: give the account a login shell, or name another one with "
         "ansible_user"),
        ("pyenv: python3.9: command not found\n\nThe `python3.9' command exists in these Python versions:\n  3.9.1\n", "", "there is no python3.9 on it: "
         "install Python, or name another one with ansible_python_interpreter"),
        (f"{KNOWN}\r\n", "broken python\n", "broken python"),
        ("", "", f"nothing was printed instead of a result: {LOGIN}"),
        ("rbash: line 1: /bin/sh: restricted: cannot specify `/' in command names\n", "", "rbash: line 1: /bin/sh: restricted: cannot specify `/' in command "
         "names: give the account a login shell, or name another one with ansible_user"),
        ("sudo: unknown user nosuch\nsudo: error initializing audit plugin sudoers_audit\n", "", "sudo: unknown user nosuch: create that account, or name "
         "another one with ansible_become_user"),
        ("su: user nosuch does not exist or the user entry does not contain all the required fields\n", "", "su: user nosuch does not exist or the user entry "
         "does not contain all the required fields: create that account, or name another one with ansible_become_user"),
        (NO_LIBRARY, "", "ModuleNotFoundError: No module named 'encodings': its Python is not complete, or PYTHONHOME or PYTHONPATH leads it elsewhere"),
    ],
)  # fmt: skip
def test_a_module_gives_no_result(stderr: str, stdout: str, reason: str) -> None:
    assert explained(answer(stderr, stdout)) == {"failed": True, "changed": False, "rc": 1, "msg": NOT + reason}


@pytest.mark.parametrize("rc", [137, -9])
def test_a_module_is_killed(rc: int) -> None:
    assert explained(answer(rc=rc))["msg"] == f"{NOT}the module was killed: look for the out-of-memory killer in the log of its kernel, and run this again"


@pytest.mark.parametrize("secret", [TOKEN, "K3.opaque-token/of+another=shape"])
def test_whatever_ran_instead_of_a_module_may_print_the_token(secret: str) -> None:
    found = explained(answer(stdout=f"line 1: token {secret} not found"), secret)
    assert secret not in str(found)
    assert found["msg"].startswith(f"{NOT}line 1: token *")


@pytest.mark.parametrize(
    "result",
    [
        {"changed": True, "action": "written", "msg": "token written"},
        {"changed": True, "msg": "registered"},
        {"failed": True, "msg": "a fault", "fault": "missing"},
        {"started": 1, "ansible_job_id": "j1.2"},
    ],
)
def test_a_result_of_the_module_stays(result: dict[str, object]) -> None:
    assert explained(result) == result


@pytest.mark.parametrize("result", [{}, {"changed": True}, {"msg": 5}, {"msg": "a", "action": ["written"]}, {"msg": None, "changed": {"a": 1}}])
def test_what_is_no_answer_of_the_module_is_a_failure(result: dict[str, object]) -> None:
    found = explained(result)
    assert found["failed"] and found["changed"] in (True, False) and found["msg"].startswith(f"{NOT}what it answers is not an answer of the module")


@pytest.mark.parametrize("connection", ["docker", "community.docker.docker", "containers.podman.podman", "kubernetes.core.kubectl"])
def test_a_container_that_does_not_run_looks_like_one_without_a_temporary_directory(connection: str) -> None:
    fault = AnsibleConnectionFailure("Failed to create temporary directory. In some cases, … exited with result 1")
    said = str(failure(fault, {VARIABLE: True, "ansible_connection": connection})["msg"])
    assert said == NOT + "its container does not run, or has no temporary directory: start it, or name such a directory with ansible_remote_tmp"
