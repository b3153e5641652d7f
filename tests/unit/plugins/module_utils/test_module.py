# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import errno
import json
import locale
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible.module_utils import basic
from ansible_collections.expanso.edge.plugins.module_utils import _module
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._record import ARGUMENT_SPEC as RUN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault

TOKEN = "exp_bk_Zq81mKx02LwPd7Rt5"
OPAQUE = "opaque+token/of=no;shape"
ENCODED = base64.b64encode(TOKEN.encode()).decode()

SPEC = {
    "token": {"type": "str", "no_log": True},
    "count": {"type": "int"},
    "proxy_headers": {"type": "dict"},
    "kubeconfig": {"type": "raw"},
}


class Ended(Exception):
    """In place of the end of the process."""


class Module(EdgeModule):
    """The real module, but for its input, its output and its end."""

    given = {}  # type: Dict[str, Any]
    printed = {}  # type: Dict[str, Any]
    handled = None  # type: Any

    def _load_params(self) -> None:
        self.params = dict(self.given)

    def exit_json(self, **kwargs: Any) -> None:
        self.finish(kwargs)

    def fail_json(self, msg: str, **kwargs: Any) -> None:
        self.handled = sys.exc_info()[1]
        self.finish(dict(kwargs, msg=msg, failed=True))

    def finish(self, result: Dict[str, Any]) -> None:
        self.printed = result
        raise Ended


def run(work: Any, token: str = TOKEN, where: str = "") -> Module:
    class Given(Module):
        given = {"token": token}

    module = Given(argument_spec=SPEC)
    with pytest.raises(Ended):
        module.execute(work, "manage /etc/expanso/bootstrap.token", where)
    return module


FAULTS = {
    "for people": EdgeError("the engine refused " + TOKEN, lines=["base64: " + ENCODED, {"deep": TOKEN}]),
    "of the token": TokenFault("expired", "it is not " + TOKEN),
    "of the system": OSError(errno.ENOENT, "no such file", TOKEN),
    "unexpected": KeyError(TOKEN),
}


@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
def test_no_failure_holds_the_token_or_an_exception_that_does(fault: Exception) -> None:
    def work(module: EdgeModule) -> Dict[str, Any]:
        raise fault

    module = run(work)
    assert module.printed["failed"]
    said = json.dumps(module.printed)
    assert "Zq81mKx0" not in said
    assert ENCODED[8:24] not in said
    # since ansible-core 2.19 a failure that is told inside of a handler carries the exception's text
    assert module.handled is None


def test_another_token_than_the_one_given_is_masked_by_its_shape() -> None:
    def work(module: EdgeModule) -> Dict[str, Any]:
        raise EdgeError("the proxy quotes " + TOKEN)

    assert run(work, token=OPAQUE).printed["msg"] == "the proxy quotes ********"


def test_a_secret_that_was_learned_is_masked() -> None:
    def work(module: EdgeModule) -> Dict[str, Any]:
        raise EdgeError("the agent said " + module.learn("another+secret/of-no-shape"))

    assert run(work).printed["msg"] == "the agent said ********"


def test_what_is_wrong_with_a_token_has_a_stable_name_and_a_place() -> None:
    def work(module: EdgeModule) -> Dict[str, Any]:
        raise TokenFault("whitespace", "it has white space")

    assert run(work, where="/path").printed == {"msg": "/path: it has white space", "fault": "whitespace", "failed": True}


def test_details_become_results() -> None:
    def work(module: EdgeModule) -> Dict[str, Any]:
        raise EdgeError("the agent failed", agent_output=["a", "b"])

    assert run(work).printed == {"msg": "the agent failed", "agent_output": ["a", "b"], "failed": True}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (OSError(errno.EPERM, "Operation not permitted", "/etc/x"), "/etc/x: Operation not permitted; root is refused this by an attribute"),
        (OSError(errno.EBUSY, "Device or resource busy", "/etc/x"), "/etc/x: Device or resource busy; is something mounted there?"),
        (MemoryError(), "this node has too little memory left for the module"),
    ],
)
def test_a_failure_says_what_to_do(monkeypatch: pytest.MonkeyPatch, fault: Exception, said: str) -> None:
    def work(module: EdgeModule) -> Dict[str, Any]:
        raise fault

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert said in run(work).printed["msg"]


def test_a_program_that_cannot_be_run_is_named() -> None:
    def work(module: EdgeModule) -> Dict[str, Any]:
        module.run_command(["/nowhere/systemd-creds"])
        return {}

    assert run(work).printed["msg"] == "/nowhere/systemd-creds cannot be run: No such file or directory"


def test_a_failure_tells_of_the_changes_before_it() -> None:
    def work(module: EdgeModule) -> Dict[str, Any]:
        module.did("/etc/token written", action="written")
        module.did("/etc/earlier removed", obsolete_removed=["/etc/earlier"])
        module.doing = "remove the token"
        raise OSError(errno.EIO, "Input/output error", "/etc/other")

    assert run(work).printed == {
        "msg": "cannot remove the token: /etc/other: Input/output error; already done: /etc/token written, /etc/earlier removed",
        "changed": True,
        "action": "written",
        "obsolete_removed": ["/etc/earlier"],
        "failed": True,
    }


FULL = "; free space or inodes there (df, df --inodes, quota)"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/etc/x"), f"cannot manage /etc/expanso/bootstrap.token: /etc/x: No space left on device{FULL}"),
        (OSError(errno.ENOSPC, "No space left on device"), f"cannot manage /etc/expanso/bootstrap.token: No space left on device{FULL}"),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded", "/etc/expanso/bootstrap.token"),
            f"cannot manage /etc/expanso/bootstrap.token: Disk quota exceeded{FULL}",
        ),
    ],
)
def test_what_the_system_refuses_is_named(fault: OSError, said: str) -> None:
    def work(module: EdgeModule) -> Dict[str, Any]:
        raise fault

    assert run(work).printed["msg"] == said


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_result_whose_file_ansible_cannot_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, number: int) -> None:
    def refuse(path: Any, **_keywords: Any) -> Any:
        raise OSError(number, os.strerror(number), path)

    (tmp_path / "token").touch()
    with pytest.raises(SystemExit):
        module = Printing(argument_spec={})
        monkeypatch.setattr(os, "lstat", refuse)
        module.exit_json(path=str(tmp_path / "token"), msg="written")
    assert json.loads(capsys.readouterr().out)["msg"] == "written"


def test_a_locale_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def refuse(*_arguments: Any) -> str:
        raise locale.Error("unsupported locale setting")

    monkeypatch.setattr(locale, "setlocale", refuse)
    monkeypatch.setattr(basic, "_PARSED_MODULE_ARGS", None, raising=False)
    with pytest.raises(SystemExit):
        Printing(argument_spec={})
    assert json.loads(capsys.readouterr().out)["msg"] == "the locale of this node cannot be used: unsupported locale setting"


def test_an_unexpected_exception_says_where_but_not_what() -> None:
    def work(module: EdgeModule) -> Dict[str, Any]:
        raise KeyError(TOKEN)

    assert "unexpected KeyError at test_module.py:" in run(work).printed["msg"]


def test_a_result_passes() -> None:
    assert run(lambda module: {"changed": True}).printed == {"changed": True}


class Printing(EdgeModule):
    """A module of which even the print is real."""

    given = {}  # type: Dict[str, Any]

    def _load_params(self) -> None:
        self.params = dict(self.given)


@pytest.fixture(autouse=True)
def with_invocation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let newer ansible-core return the options, too, as older does."""
    monkeypatch.setattr(basic, "_PARSED_MODULE_ARGS", {"_ansible_inject_invocation": True}, raising=False)
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)


def printed(capsys: pytest.CaptureFixture, params: Dict[str, Any]) -> str:
    class Given(Printing):
        given = params

    with pytest.raises(SystemExit):
        Given(argument_spec=SPEC).fail_json(msg=f"it is said: {TOKEN}")
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "params",
    [
        {"token": TOKEN},
        {"token": TOKEN, "count": "many"},
        {"token": TOKEN, "count": {"a": [TOKEN]}},
        {"token": TOKEN, "unknown": TOKEN},
        {"token": {"a": [TOKEN]}},
        {"token": [TOKEN]},
        {"kubeconfig": {"users": [{"name": "a", "user": {"token": TOKEN}}]}},
        {"kubeconfig": "users: [{user: {token: " + TOKEN + "}}]"},
        {"proxy_headers": {"basic_auth": TOKEN}},
        {"proxy_headers": "basic_auth"},
    ],
)
def test_a_failure_of_ansible_itself_holds_no_secret(capsys: pytest.CaptureFixture, params: Dict[str, Any]) -> None:
    said = printed(capsys, params)
    assert "failed" in said
    if TOKEN in json.dumps(params):
        assert "Zq81mKx0" not in said


@pytest.mark.parametrize("token", ["", " ", "TOKEN"])
def test_a_trifle_does_not_take_every_message_apart(capsys: pytest.CaptureFixture, token: str) -> None:
    """Nor is it shown among the options, which older ansible-core returns."""
    answer = json.loads(printed(capsys, {"token": token}))
    assert answer["msg"].startswith("it is said: ")
    if "invocation" in answer:
        assert answer["invocation"]["module_args"]["token"] in ("", _module.MASK)


@pytest.mark.parametrize("token", ["x" * 10000000, "exp_bk_" + "\ud800" * 10, "exp_bk_0123456789\0"], ids=["long", "no UTF-8", "NUL"])
def test_a_token_that_cannot_be(token: str) -> None:
    """A failure is told at once, whatever the token is."""
    started = time.process_time()

    def judge(_module: EdgeModule) -> Dict[str, Any]:
        raise TokenFault("not_ascii", "character 8 is not ASCII")

    printed = run(judge, token=token).printed
    assert printed["fault"] == ("too_long" if len(token) > 1000 else "not_ascii")
    assert time.process_time() - started < 3


def test_options_are_checked_before_anything_is_done() -> None:
    class Given(Module):
        given = {"token": TOKEN, "proxy_headers": {"a": "\0"}}

    module = Given(argument_spec=SPEC)
    with pytest.raises(Ended):
        module.execute(lambda _module: pytest.fail("it is done"), "do it")
    assert module.printed["msg"] == "option proxy_headers has a NUL character (character 1): remove it"


class Logging(Printing):
    """The real module, but for the log."""

    logged = []  # type: Any

    def log(self, msg: str, log_args: Any = None) -> None:
        self.logged.append(msg + repr(log_args))


@pytest.mark.parametrize(
    ("value", "logged"),
    [
        ("a\0b\nc\ud800", "a?b?c?"),
        ("a" * 10000000, "(10000000 characters)"),
        ({"a": "b" * 10000000}, "characters)"),
        ({"users": [{"user": {"token": TOKEN}}]}, "users"),
        ("plain", "plain"),
    ],
)
def test_the_log_takes_every_option_and_holds_no_secret(value: Any, logged: str) -> None:
    """Ansible logs them before the module could look at them."""

    class Given(Logging):
        given = {"token": TOKEN, "kubeconfig": value}
        logged = []  # type: Any

    module = Given(argument_spec=SPEC)
    assert module.params["kubeconfig"] == value
    assert logged in module.logged[0]
    assert "Zq81mKx0" not in module.logged[0]


@pytest.mark.parametrize("check_mode", [False, True])
def test_changes_are_logged_without_the_token(monkeypatch: pytest.MonkeyPatch, check_mode: bool) -> None:
    logged = []
    monkeypatch.setattr(Module, "log", lambda _self, text, log_args=None: logged.append(text))

    class Given(Module):
        given = {"token": OPAQUE, "token_label": "the one of " + OPAQUE, "run_id": "this\nrun", "job_id": None, "_ansible_check_mode": check_mode}

    def work(module: EdgeModule) -> Dict[str, Any]:
        module.log_change("written", "/etc/" + TOKEN, None, "0123456789ab")
        module.log_change("removed", "/etc/token", "0123456789ab", None)
        return {}

    module = Given(argument_spec=dict(SPEC, **RUN_OPTIONS), supports_check_mode=True)
    logged.clear()  # that the module runs is logged by Ansible
    with pytest.raises(Ended):
        module.execute(work, "manage")
    assert logged == ([] if check_mode else [
        "expanso.edge: written /etc/******** (token none -> 0123456789ab, token_label the one of ********, run_id this?run)",
        "expanso.edge: removed /etc/token (token 0123456789ab -> none, token_label the one of ********, run_id this?run)",
    ])
