# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup bootstrap_token, filter token_fingerprint and test bootstrap_token, on the controller."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ansible_runs import TOKEN_VARIABLE, Controller, Json, Run
from conftest import AT_HAND
from control_plane import new_jwt, new_key

KEY, OTHER_KEY, JWT, EXPIRED_JWT = new_key(), new_key(), new_jwt(), new_jwt(-60)
OPAQUE, API_KEY = new_key().replace("exp_bk_", "k"), new_key().replace("exp_bk_", "exp_ak_")
SECRETS = (KEY, OTHER_KEY, JWT, EXPIRED_JWT, OPAQUE, API_KEY)

VARIABLE, FILE = "variable expanso_edge_token", r"file \S+/{name} on the controller \(variable expanso_edge_token_file\)"
ENVIRONMENT = f"environment variable {TOKEN_VARIABLE} on the controller"
FILES = {
    "key": KEY.encode(),
    "key with line feed": KEY.encode() + b"\n",
    "two line feeds": KEY.encode() + b"\n\n",
    "blank": KEY.encode() + b" ",
    "mark": b"\xef\xbb\xbf" + KEY.encode(),
    "latin": KEY.encode() + b"\xe9",
    "empty": b"",
    "huge": b"x" * 100000,
    "api key": API_KEY.encode(),
}


@dataclass(frozen=True)
class Case:
    """A host's variables, and the expected result of the lookup: a token from a source, or an error."""

    name: str
    own: str | int | None = None
    file: str | None = None
    variables: Json = field(default_factory=dict)
    options: str = ""
    token: str | None = None  # None if an error is expected
    source: str = ""  # or the error


def found(file: str) -> str:
    return FILE.replace("{name}", re.escape(file))


WITHOUT_ENVIRONMENT = [
    Case("own", KEY, token=KEY, source=VARIABLE),
    Case("own, a JWT", JWT, token=JWT, source=VARIABLE),
    Case("own, opaque", OPAQUE, token=OPAQUE, source=VARIABLE),
    Case("own, by another variable", "{{ theirs }}", variables={"theirs": KEY}, token=KEY, source=VARIABLE),
    Case("own, encrypted", "vault", token=KEY, source=VARIABLE),
    Case("file missing, not judged", file="nowhere", options="judge=false", token="", source=f"cannot read {found('nowhere')}"),
    Case("file, encrypted", file="encrypted", token=KEY, source=found("encrypted")),
    Case("own before the file", KEY, "api key", token=KEY, source=VARIABLE),
    Case("own before a file that is missing", KEY, "nowhere", token=KEY, source=VARIABLE),
    Case("file", file="key", token=KEY, source=found("key")),
    Case("file with a line feed", file="key with line feed", token=KEY, source=found("key with line feed")),
    Case("nothing", token="", source=f"looked at {VARIABLE}, variable expanso_edge_token_file and {ENVIRONMENT}: none of them is set"),
    Case("empty file name", file="", token="", source="none of them is set"),
    Case("own, by two variables", "{{ theirs }}", variables={"theirs": "{{ others }}", "others": KEY}, token=KEY, source=VARIABLE),
    Case("own, made of two", "{{ first }}{{ second }}", variables={"first": KEY[:9], "second": KEY[9:]}, token=KEY, source=VARIABLE),
    Case("not judged", API_KEY, options="judge=false", token=API_KEY, source=VARIABLE),
    # errors
    Case("empty", "", source=f"{VARIABLE}: it is empty"),
    Case("number", 12345678, source=f"{VARIABLE} is a number, not a text"),
    Case("API key", API_KEY, source=f"{VARIABLE}: it is an API key"),
    Case("expired", EXPIRED_JWT, source=f"{VARIABLE}: it is a JWT that expired at"),
    Case("unknown shape, strictly", OPAQUE, options="strict=true", source=f"{VARIABLE}: it is neither a bootstrap key"),
    Case("refers to nothing", "{{ nobody }}", source=f"{VARIABLE} refers to nobody, which is not defined"),
    Case("refers to what refers to nothing", "{{ theirs }}", variables={"theirs": "{{ nobody }}"}, source=f"{VARIABLE} refers to nobody, which is"),
    Case("refers to itself", "{{ expanso_edge_token }}", source=f"{VARIABLE} refers to itself"),
    Case("key in braces", f"{{{{ {KEY} }}}}", source=f"{VARIABLE} is a token in braces: give it without braces"),
    Case("opaque in braces", f"{{{{ {OPAQUE} }}}}", source=f"{VARIABLE} (refers to something that is not defined; its name|cannot be templated)"),
    Case("JWT in braces", f"{{{{ {JWT} }}}}", source=f"{VARIABLE} is a token in braces"),
    Case("key of a dictionary", f"{{{{ theirs['{KEY}'] }}}}", variables={"theirs": {}}, source=f"{VARIABLE} refers to something that is not defined"),
    Case("braces astray", OPAQUE + "{{ x", source=f"{VARIABLE} cannot be templated: a token that contains braces needs the tag !unsafe"),
    Case("part not defined", OPAQUE + "{{ nobody }}", source=f"{VARIABLE} refers to nobody, which is not defined"),
    Case("source that is missing", "{{ lookup('no.such.source', 'edge').token }}", source=f"{VARIABLE} cannot be templated: there is no lookup no.such.source"),
    Case("source that fails", "{{ lookup('broken', 'lookup error', 'sealed') }}", source="cannot be templated: lookup broken failed: sealed"),
    Case("source that breaks", "{{ lookup('broken', 'error', 'no hvac') }}", source="cannot be templated: lookup broken failed: no hvac"),
    Case("cause behind it", "{{ lookup('broken', 'chain', 'no way') }}", source=r"lookup broken failed: no way: \[Errno 111\] Connection refused"),
    Case("circle of causes", "{{ lookup('broken', 'circle', 'round') }}", source="cannot be templated: lookup broken failed: round"),
    Case("source that quotes it", f"{{{{ lookup('broken', 'error', 'bad {KEY}') }}}}", source=r"lookup broken failed: bad \*{8}"),
    Case("source that quotes its path", f"{{{{ lookup('broken', 'error', 'no /run/{OPAQUE}') }}}}", source=r"lookup broken failed: no /run/\*{8}"),
    Case("source of the file", file="{{ nobody }}", source="variable expanso_edge_token_file refers to nobody, which is not defined"),
    Case("encrypted and damaged", "damaged vault", source=rf"{VARIABLE} cannot be decrypted: its \S+ block is damaged"),
    Case("encrypted with another password", "other vault", source=f"{VARIABLE} cannot be decrypted"),
    Case("file missing", file="nowhere", source=f"cannot read {found('nowhere')}: No such file"),
    Case("directory for a file", file=".", source="cannot read file .*: it is not a regular file"),
    Case("file with two line feeds", file="two line feeds", source=found("two line feeds") + ": it has a line break at its end"),
    Case("file with a blank", file="blank", source=found("blank") + ": it has white space at its end"),
    Case("file with a byte order mark", file="mark", source=found("mark") + ": it starts with a byte order mark"),
    Case("file that is not ASCII", file="latin", source=found("latin") + rf": byte {len(KEY) + 1} is not ASCII"),
    Case("empty file", file="empty", source=found("empty") + ": it is empty"),
    Case("huge file", file="huge", source=found("huge") + r": it has more than \d+ characters"),
    Case("file, encrypted with another password", file="encrypted for others", source=f"cannot decrypt {found('encrypted for others')}: give Ansible"),
    Case("file, encrypted and damaged", file="encrypted, damaged", source=rf"cannot decrypt {found('encrypted, damaged')}: its \S+ block is damaged"),
    Case("file, encrypted, two line feeds", file="encrypted, two lines", source=found("encrypted, two lines") + ": it has a line break at its end"),
    Case("list of files", file="{{ ['/a', '/b'] }}", source="variable expanso_edge_token_file is a list, not a text: give it the path of one file"),
    Case("date", "{{ '2027-01-31' | to_datetime('%Y-%m-%d') }}", source=f"{VARIABLE} is a date, not a text"),
    Case("number in braces", "{{ 0x1f2e }}", source=f"{VARIABLE} is a number in braces, not a text"),
    Case("number by another variable", "{{ theirs }}", variables={"theirs": 12345678}, source=f"{VARIABLE} is a number, not a text"),
    Case("number by a key", "{{ theirs.token }}", variables={"theirs": {"token": 1000000}}, source=f"{VARIABLE} is a number, not a text"),
    Case("list in braces", f"{{{{ ['{KEY}'] }}}}", source=f"{VARIABLE} is a list, not a text"),
    Case("list by another variable", "{{ theirs }}", variables={"theirs": [KEY]}, source=f"{VARIABLE} is a list, not a text"),
    Case("NUL", KEY + "\0", source=f"{VARIABLE}: it has a control character \\(NUL, character {len(KEY) + 1}\\)"),
    Case("huge", "x" * 10_000_000, source=f"{VARIABLE}: it has more than 16384 characters"),
    Case("key with something stuck to it", KEY + ";rm", source=f"{VARIABLE}: it begins like a bootstrap key, but character {len(KEY) + 1} cannot be part"),
    Case("terms", KEY, options="'key'", source="takes no terms"),
]
WITH_ENVIRONMENT = [
    Case("environment", token=OTHER_KEY, source=ENVIRONMENT),
    Case("own before the environment", KEY, token=KEY, source=VARIABLE),
    Case("the same in the file", file="other key", token=OTHER_KEY, source=found("other key")),
    Case("another in the file", file="key", source=f"{found('key')} and {ENVIRONMENT} hold different tokens: unset one of them"),
    Case("nothing in the file", file="empty", source=f"{found('empty')} is empty, but {ENVIRONMENT} holds a token: put the token into the file"),
    Case("own before both", KEY, "key", token=KEY, source=VARIABLE),
]


@pytest.fixture(scope="module", params=sorted({AT_HAND[0], AT_HAND[-1]}))
def controller(request: pytest.FixtureRequest, place: Path) -> Controller:
    """The oldest and the newest ansible-core at hand: between them, templating was rewritten."""
    return Controller(request.param, place / request.param)


@pytest.fixture(scope="module")
def run_cases(controller: Controller, place: Path) -> Callable[..., Run]:
    for name, content in {**FILES, "other key": OTHER_KEY.encode()}.items():
        (place / name).write_bytes(content)
    vaults = {}
    for name in ("vault", "other vault"):
        (place / f"{name} password").write_text(name)
        vaults[name] = {"__ansible_vault": controller.encrypt(KEY, place / f"{name} password")}
    encrypted = {
        "encrypted": vaults["vault"]["__ansible_vault"],
        "encrypted for others": vaults["other vault"]["__ansible_vault"],
        "encrypted, damaged": vaults["vault"]["__ansible_vault"][:-101] + "\n",
        "encrypted, two lines": controller.encrypt(KEY + "\n\n", place / "vault password"),
    }
    for name, text in encrypted.items():
        (place / name).write_text(text)
    vaults["damaged vault"] = {"__ansible_vault": vaults["vault"]["__ansible_vault"][:-101] + "\n"}

    def run(cases: list[Case], environment: dict[str, str]) -> Run:
        hosts = {}
        for number, case in enumerate(cases):
            own = {} if case.own is None else {"expanso_edge_token": vaults.get(str(case.own), case.own)}
            file = {} if case.file is None else {"expanso_edge_token_file": case.file and (case.file if "{{" in case.file else str(place / case.file))}
            lookup = f"lookup({', '.join(filter(None, [repr('expanso.edge.bootstrap_token'), case.options]))})"
            found = {"found": f"{{{{ {lookup} | expanso.edge.token_fingerprint }}}}"}
            hosts[f"host{number}"] = {**own, **file, **case.variables, **found}
        tasks = [
            {"name": "token", "ansible.builtin.debug": {"msg": "{{ found }}"}, "ignore_errors": True},
            {
                "name": "source",
                "ansible.builtin.debug": {"msg": "{{ lookup('expanso.edge.bootstrap_token', want='source') }}"},
                "ignore_errors": True,
            },
        ]
        password = f"--vault-password-file={place / 'vault password'}"
        return controller.run([{"tasks": tasks}], "-vv", password, hosts=hosts, environment=environment, secrets=SECRETS)

    return run


@pytest.fixture(scope="module")
def without_environment(run_cases: Callable[..., Run]) -> Run:
    return run_cases(WITHOUT_ENVIRONMENT, {})


@pytest.fixture(scope="module")
def with_environment(run_cases: Callable[..., Run]) -> Run:
    return run_cases(WITH_ENVIRONMENT, {TOKEN_VARIABLE: OTHER_KEY})


ODD = ("0x1f2e3d4c", "1_000_000_000", "12345678e12", "0012345678", "1e400", "None.None.None", "0b10101010", "(1,2,3,4)", "True.and.False", "007", "1.50")
"""Tokens that are literals of another type in Python, which jinja2_native turned them into up to ansible-core 2.18."""


@pytest.mark.parametrize("native", ["0", "1"])
@pytest.mark.parametrize("core", [core for core in AT_HAND if core in ("core-2.16", "core-2.17", "core-2.18")])
def test_native_types_change_no_token(core: str, native: str, place: Path) -> None:
    """A token is passed on exactly as it was given, or refused, but never changed."""
    old = Controller(core, place / f"{core}-{native}")
    hosts: dict[str, Json] = {}
    for number, text in enumerate(ODD):
        (place / f"odd{number}").write_text(text)
        hosts[f"plain{number}"] = {"expanso_edge_token": text}
        hosts[f"reference{number}"] = {"expanso_edge_token": "{{ theirs }}", "theirs": text}
        hosts[f"twice{number}"] = {"expanso_edge_token": "{{ theirs }}", "theirs": "{{ others }}", "others": text}
        hosts[f"key{number}"] = {"expanso_edge_token": "{{ theirs.token }}", "theirs": {"token": text}}
        hosts[f"lookup{number}"] = {"expanso_edge_token": f"{{{{ lookup('file', '{place}/odd{number}') }}}}"}
        hosts[f"parts{number}"] = {"expanso_edge_token": "{{ a }}{{ b }}", "a": text[:3], "b": text[3:]}
    for number, other in enumerate((7982, 1000000000, 1.5, None, True)):
        hosts[f"other{number}"] = {"expanso_edge_token": "{{ theirs.token }}", "theirs": {"token": other}}
    task: Json = {
        "expanso.edge.bootstrap_token": {"path": f"{place}/{core}-{native} {{{{ inventory_hostname }}}}", "record": False},
        "name": "put",
        "ignore_errors": True,
    }
    run = old.run([{"tasks": [task]}], hosts=hosts, environment={"ANSIBLE_JINJA2_NATIVE": native})
    for host in hosts:
        file, right = place / f"{core}-{native} {host}", next((text for number, text in enumerate(ODD) if re.fullmatch(rf"[a-z]+{number}", host)), "")
        if file.exists():
            assert not host.startswith("other") and file.read_text() == right, host
        else:
            assert re.search("not a text|it has 3 characters|none of them is set|is empty|it is what a program prints", run.result("put", host)["msg"]), host
    assert not (place / f"{core}-{native} other0").exists()
    assert all((place / f"{core}-{native} {kind}0").read_text() == ODD[0] for kind in ("plain", "reference", "twice", "key", "lookup", "parts"))


def test_one_warning_about_a_file_that_others_may_read(controller: Controller, place: Path) -> None:
    open_file, closed, encrypted = place / "open", place / "closed", place / "open but encrypted"
    for path, mode, content in ((open_file, 0o666, KEY), (closed, 0o600, KEY), (encrypted, 0o644, "")):
        path.write_text(content)
        path.chmod(mode)
    (place / "password of a file").write_text("secret of it")
    encrypted.write_text(controller.encrypt(KEY, place / "password of a file"))
    tasks: list[Json] = [{"name": "put", "expanso.edge.bootstrap_token": {"path": f"{place}/warned of {{{{ inventory_hostname }}}}", "record": False}}]
    tasks += [{"name": "look", "ansible.builtin.debug": {"msg": "{{ lookup('expanso.edge.bootstrap_token') | length }}"}}]
    hosts = {f"open{number}": {"expanso_edge_token_file": str(open_file)} for number in range(5)}
    hosts |= {"closed": {"expanso_edge_token_file": str(closed)}, "encrypted": {"expanso_edge_token_file": str(encrypted)}}
    run = controller.run([{"tasks": tasks}], f"--vault-password-file={place / 'password of a file'}", hosts=hosts, secrets=SECRETS)
    assert run.returncode == 0, run.output
    output = " ".join(run.output.split())
    assert output.count("is open to other accounts (mode 0666): close it with chmod 600") == 1, run.output
    assert output.count("is open to other accounts") == 1


def test_token_and_source_together(controller: Controller, place: Path) -> None:
    """The source is asked one time for both. If the token is not judged, an error is returned as the source."""
    both, counter = "lookup('expanso.edge.bootstrap_token', want='both', judge=false)", place / f"both {controller.core}"
    task = {
        "name": "both",
        "ansible.builtin.debug": {"msg": "{{ [found.token | expanso.edge.token_fingerprint, found.source] }}"},
        "vars": {"found": f"{{{{ {both} }}}}"},
    }
    once = {"expanso_edge_token": f"{{{{ lookup('once', '{counter}', '{KEY}') }}}}"}
    check = {"name": "check", "ansible.builtin.debug": {"msg": f"{{{{ ({both}).source }}}}"}}
    hosts: dict[str, Json] = {"node": {"expanso_edge_token": KEY}, "broken": {"expanso_edge_token": "{{ nobody }}"}}
    run = controller.run([{"tasks": [task]}], hosts=hosts, secrets=SECRETS)
    assert run.result("both", "node")["msg"][1] == VARIABLE
    assert run.result("both", "broken")["msg"][1] == f"{VARIABLE} refers to nobody, which is not defined"
    assert controller.run([{"tasks": [check]}], hosts={"node": once}, secrets=SECRETS).result("check")["msg"] == VARIABLE
    assert counter.read_text() == "asked\n"


def test_a_number_on_a_line_of_an_ini_inventory(controller: Controller, place: Path) -> None:
    """There a text needs two kinds of quotation marks, and the advice of the message must work."""
    inventory = place / f"inventory {controller.core}.ini"
    inventory.write_text(
        "[all:vars]\nansible_connection=local\nansible_python_interpreter=/usr/bin/python3\n[all]\n"
        "bare expanso_edge_token=12345678\nonce expanso_edge_token='12345678'\ntwice expanso_edge_token='\"12345678\"'\n"
    )
    options = {"path": f"{place}/ini {controller.core} {{{{ inventory_hostname }}}}", "record": False}
    task = {"name": "put", "expanso.edge.bootstrap_token": options, "ignore_errors": True}
    run = controller.run([{"tasks": [task]}], "--inventory", str(inventory), "--limit", "bare,once,twice")
    for host in ("bare", "once"):
        assert "in two kinds of them, such as '\"...\"'" in run.result("put", host)["msg"]
    assert (place / f"ini {controller.core} twice").read_text() == "12345678"


@pytest.fixture(scope="module")
def fingerprints(controller: Controller) -> dict[str, str]:
    """The fingerprints that the filter returns. Another test compares them with the module's, with every ansible-core."""
    tokens = {"token": [*SECRETS, ""]}
    task = {"name": "print", "ansible.builtin.debug": {"msg": "{{ token | map('expanso.edge.token_fingerprint') }}"}}
    return dict(zip([*SECRETS, ""], controller.run([{"tasks": [task]}], hosts={"node": tokens}, secrets=SECRETS).result("print")["msg"]))


def assert_case(case: Case, host: str, run: Run, fingerprints: dict[str, str]) -> None:
    event = run.event("token", host)
    if case.token is None:
        assert event["outcome"] == "failed", event
        assert re.search(case.source, event["result"]["msg"].replace("\n", " ")), event["result"]["msg"]
        return
    assert (event["outcome"], event["result"]["msg"]) == ("ok", fingerprints[case.token])
    assert re.search(case.source, run.result("source", host)["msg"])
    assert re.search(rf"^bootstrap token for {host}: .*{case.source}", run.output, re.MULTILINE)


@pytest.mark.parametrize(("host", "case"), [pytest.param(f"host{n}", case, id=case.name) for n, case in enumerate(WITHOUT_ENVIRONMENT)])
def test_without_environment(host: str, case: Case, without_environment: Run, fingerprints: dict[str, str]) -> None:
    assert_case(case, host, without_environment, fingerprints)


@pytest.mark.parametrize(("host", "case"), [pytest.param(f"host{n}", case, id=case.name) for n, case in enumerate(WITH_ENVIRONMENT)])
def test_with_environment(host: str, case: Case, with_environment: Run, fingerprints: dict[str, str]) -> None:
    assert_case(case, host, with_environment, fingerprints)


def test_fingerprints_distinguish_tokens(fingerprints: dict[str, str]) -> None:
    assert len(set(fingerprints.values())) == len(SECRETS) + 1
    assert all(re.fullmatch("[0-9a-f]{12}", fingerprint) for fingerprint in fingerprints.values())


def test_test(controller: Controller) -> None:
    """Whether a value is a well-formed token, as a condition."""
    values = {"key": KEY, "jwt": JWT, "opaque": OPAQUE, "api_key": API_KEY, "expired": EXPIRED_JWT, "number": 4711, "nothing": None}
    conditions = [
        "key is expanso.edge.bootstrap_token",
        "jwt is expanso.edge.bootstrap_token(strict=true)",
        "opaque is expanso.edge.bootstrap_token",
        "opaque is not expanso.edge.bootstrap_token(strict=true)",
        *(f"{name} is not expanso.edge.bootstrap_token" for name in ("api_key", "expired", "number", "nothing")),
    ]
    tasks = [{"name": condition, "ansible.builtin.assert": {"that": [condition], "quiet": True}} for condition in conditions]
    run = controller.run([{"tasks": tasks}], hosts={"node": values}, secrets=SECRETS)
    assert run.returncode == 0, run.output
    assert run.recap("node")["ok"] == len(conditions)


def test_no_fingerprint_of_a_value_that_is_not_a_text(controller: Controller) -> None:
    task = {"name": "print", "ansible.builtin.debug": {"msg": "{{ [1] | expanso.edge.token_fingerprint }}"}}
    run = controller.run([{"tasks": [task]}])
    assert "expanso.edge.token_fingerprint takes the text of a token" in run.result("print")["msg"]
