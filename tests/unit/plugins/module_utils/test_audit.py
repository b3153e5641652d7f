# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import json
import re
from pathlib import Path
from typing import Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import (
    Content,
    Facts,
    Finding,
    Policy,
    age_days,
    findings_for,
    parse_content,
    secrets_in,
)
from ansible_collections.expanso.edge.plugins.module_utils._permissions import AclEntry, Attributes, Reader, others_may_read, permits
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, fingerprint
from audited_files import usual_policy
from hypothesis import example, given
from hypothesis import strategies as st

NOW = 1_800_000_000.0
DAY = 86400
AGENT, STRANGER = 4711, 4712
KEY = "exp_bk_9f8e7d6c5b4a39281706"
API_KEY = "exp_ak_9f8e7d6c5b4a39281706"
PATH = "/etc/expanso/bootstrap.token"
POLICY = usual_policy(account="root", owners=frozenset((0,)), groups=frozenset((0,)), now=NOW)
REGISTERED = POLICY._replace(registered=True, marker="/var/lib/expanso/edge/auth/credentials.creds")
GOOD = Facts(PATH, "file", attributes=Attributes(0, 0, 0o600), size=len(KEY), modified=NOW - DAY, data=KEY.encode())


def jwt(expires_at: float) -> str:
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in ('{"alg":"x"}', json.dumps({"exp": expires_at}), "s"))


def found(facts: Facts, policy: Policy = POLICY, elsewhere: bool = False) -> list[Finding]:
    content = None if facts.data is None else parse_content(facts.path, facts.data, policy.now)
    return findings_for(facts, content, policy, elsewhere)


def codes(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.code) for finding in findings]


def holding(data: bytes, path: str = PATH) -> Facts:
    return GOOD._replace(path=path, data=data, size=len(data))


def test_nothing_is_wrong_with_a_good_file() -> None:
    assert found(GOOD) == []


def env(value: str) -> bytes:
    return f"{ENV_NAME}={value}\n".encode()


@pytest.mark.parametrize(
    ("data", "format", "kind", "code", "secrets"),
    [
        (KEY.encode(), "raw", "bootstrap_key", None, (KEY,)),
        (jwt(NOW + 60).encode(), "raw", "jwt", None, (jwt(NOW + 60),)),
        (b"some-opaque-token", "raw", "opaque", None, ("some-opaque-token",)),
        (env(KEY), "env", "bootstrap_key", None, (KEY,)),
        (b'# comment\nA=b\n  %s = "%s"\n' % (ENV_NAME.encode(), KEY.encode()), "env", "bootstrap_key", None, (KEY,)),
        ("# für später\n".encode() + env(KEY), "env", "bootstrap_key", None, (KEY,)),
        (env("first") + env(KEY), "env", "bootstrap_key", None, (KEY,)),
        # faults: the secret in the file is one all the same
        (jwt(NOW - 60).encode(), "raw", "jwt", "expired", (jwt(NOW - 60),)),
        (API_KEY.encode(), "raw", None, "api_key", (API_KEY,)),
        (env(API_KEY), "env", None, "api_key", (API_KEY,)),
        (f" {KEY}".encode(), "raw", None, "whitespace", (KEY,)),
        (env(f'"{KEY} "'), "env", None, "whitespace", (KEY,)),
        (f"{KEY}\r\n".encode(), "raw", None, "line_break", (KEY,)),
        (f"{KEY}\n\n".encode(), "raw", None, "line_break", (KEY,)),
        (f"{KEY}\n{KEY}x\n".encode(), "raw", None, "line_break", (KEY, KEY + "x")),
        (f"{KEY}\0".encode(), "raw", None, "control_character", (KEY,)),
        (b"\xef\xbb\xbf" + KEY.encode(), "raw", None, "bom", (KEY,)),
        (b"\xef\xbb\xbf" + env(KEY), "env", None, "bom", (KEY,)),
        (KEY.encode("utf-16"), "raw", None, "bom", (KEY,)),
        (f'"{KEY}"'.encode(), "raw", None, "quoted", (KEY,)),
        (f"export {ENV_NAME}={KEY}\n".encode(), "raw", None, "assignment", (KEY,)),
        (f"OTHER_TOKEN={KEY}".encode(), "raw", None, "assignment", (KEY,)),
        # faults: nothing of it is a secret
        (b"", "raw", None, "empty", ()),
        (env(""), "env", None, "empty", ()),
        (b"YOUR_BOOTSTRAP_TOKEN\n", "raw", None, "placeholder", ()),
        (b"$encrypted$", "raw", None, "masked", ()),
        (b"$ANSIBLE_VAULT;1.1;AES256\n6162\n", "raw", None, "vault_text", ()),
        (b"{{ token }}", "raw", None, "template", ()),
        (b"/run/secrets/expanso_bootstrap_token", "raw", None, "path", ()),
        (b"https://start.cloud.expanso.io", "raw", None, "url", ()),
        (b"exp_bk_", "raw", None, "truncated", ()),
        (b"x" * 65537, "raw", None, "too_long", ()),
        (b"all of this is no token", "raw", None, "whitespace", ()),
        ("gr\u00f6\u00dfer".encode("latin-1"), "raw", None, "not_ascii", ()),
    ],
)
def test_what_a_file_holds(data: bytes, format: str, kind: Optional[str], code: Optional[str], secrets: tuple[str, ...]) -> None:
    content = parse_content(PATH, data, NOW)
    assert content.format == format
    assert (content.token and content.token.kind) == kind
    assert (content.fault and content.fault.code) == code
    assert content.secrets == secrets
    assert (f"error {code}" in [" ".join(each) for each in codes(found(holding(data)))]) == (code is not None)


def test_the_fingerprint_is_that_of_the_token_alone() -> None:
    for data in (KEY.encode(), f"{KEY}\n".encode(), env(KEY)):
        content = parse_content(PATH, data, NOW)
        assert content.token and content.token.fingerprint == fingerprint(KEY)


def test_an_environment_file_by_its_name_needs_the_variable() -> None:
    content = parse_content("/etc/expanso/bootstrap.env", KEY.encode(), NOW)
    assert (content.format, content.fault and content.fault.code, content.secrets) == ("env", "variable_missing", (KEY,))


def test_an_expired_token_tells_when() -> None:
    content = parse_content(PATH, jwt(0).encode(), NOW)
    assert content.token and content.token.expires_at == "1970-01-01T00:00:00Z"
    assert codes(found(holding(jwt(0).encode()), REGISTERED)) == [("info", "expired"), ("warning", "left_over")]


def test_an_infinite_expiry_is_none() -> None:
    content = parse_content(PATH, jwt(float("-inf")).encode(), NOW)
    assert content.fault is None and content.token and content.token.expires_at is None


def test_no_representation_shows_a_secret() -> None:
    content = parse_content(PATH, f"{KEY} ".encode(), NOW)
    assert content.secrets == (KEY,)
    assert KEY not in repr(content) and KEY not in repr(parse_content(PATH, KEY.encode(), NOW))


@pytest.mark.parametrize(
    ("facts", "policy", "expected"),
    [
        # there is nothing
        (Facts(PATH, "absent"), POLICY, [("error", "token_not_found")]),
        (Facts(PATH, "absent"), REGISTERED, [("info", "token_not_found")]),
        (Facts(PATH, "absent"), POLICY._replace(registered=None), [("warning", "token_not_found")]),
        # unknown
        (Facts(PATH, "unknown", problem="Permission denied"), POLICY, [("warning", "not_readable")]),
        (Facts(PATH, "unknown", problem="Input/output error"), POLICY, [("warning", "not_readable")]),
        (GOOD._replace(data=None, problem="Permission denied"), POLICY, [("warning", "not_readable")]),
        # something else is there
        (Facts(PATH, "link", attributes=Attributes(0, 0, 0o777)), POLICY, [("error", "symbolic_link")]),
        (Facts(PATH, "directory", attributes=Attributes(0, 0, 0o755)), POLICY, [("error", "not_regular_file")]),
        (Facts(PATH, "other", attributes=Attributes(0, 0, 0o600)), POLICY, [("error", "not_regular_file")]),
        # the place
        (GOOD._replace(unsafe=("/etc/expanso", "every account")), POLICY, [("error", "directory_writable")]),
        (Facts(PATH, "absent", unsafe=("/etc/expanso", "every account")), REGISTERED, [("error", "directory_writable"), ("info", "token_not_found")]),
        (GOOD._replace(leftovers=("/etc/expanso/.t.x.expanso-edge.tmp",)), POLICY, [("warning", "temporary_file")]),
        # permissions
        (GOOD._replace(attributes=Attributes(0, 0, 0o400)), POLICY, []),
        (GOOD._replace(attributes=Attributes(0, 0, 0o640)), POLICY, [("error", "mode_too_wide")]),
        (GOOD._replace(attributes=Attributes(0, 0, 0o604)), POLICY, [("error", "mode_too_wide")]),
        (GOOD._replace(attributes=Attributes(0, 0, 0o700)), POLICY, [("error", "mode_too_wide")]),
        (GOOD._replace(attributes=Attributes(0, 0, 0o4600)), POLICY, [("error", "mode_too_wide")]),
        (GOOD._replace(attributes=Attributes(0, 0, 0o640)), POLICY._replace(mode=0o640), []),
        (GOOD._replace(attributes=Attributes(0, AGENT, 0o640)), POLICY._replace(mode=0o640), [("error", "wrong_group")]),
        (GOOD._replace(attributes=Attributes(0, AGENT, 0o640)), POLICY._replace(mode=0o640, groups=frozenset((AGENT,))), []),
        (GOOD._replace(attributes=Attributes(0, AGENT, 0o600)), POLICY, []),
        (GOOD._replace(attributes=Attributes(0, AGENT, 0o600)), POLICY._replace(group_matters=True), [("error", "wrong_group")]),
        (GOOD._replace(attributes=Attributes(AGENT, 0, 0o600)), POLICY, [("error", "wrong_owner")]),
        (GOOD._replace(attributes=Attributes(AGENT, 0, 0o600)), POLICY._replace(owners=frozenset((AGENT,))), []),
        (GOOD._replace(links=2), POLICY, [("error", "hard_link")]),
        (GOOD._replace(acl=(AclEntry("user", STRANGER, 4),)), POLICY, [("error", "acl_grants_access")]),
        (GOOD._replace(acl=(AclEntry("group", STRANGER, 4),)), POLICY, [("error", "acl_grants_access")]),
        (GOOD._replace(acl=(AclEntry("user", 0, 4), AclEntry("group", 0, 4))), POLICY, []),
        (GOOD._replace(acl=(AclEntry("user", AGENT, 4),)), POLICY._replace(owners=frozenset((AGENT,))), [("error", "wrong_owner")]),
        (GOOD._replace(attributes=Attributes(AGENT, 0, 0o600), acl=(AclEntry("user", 0, 4),)), POLICY._replace(owners=frozenset((AGENT,))), []),
        # without being able to read it, its permissions can be judged all the same
        (
            GOOD._replace(data=None, problem="Permission denied", attributes=Attributes(0, 0, 0o660)),
            POLICY,
            [("warning", "not_readable"), ("error", "mode_too_wide")],
        ),
        # the content
        (holding(f"{KEY}\n".encode()), POLICY, [("warning", "trailing_newline")]),
        (holding(f"{KEY}\r\n".encode()), POLICY, [("error", "line_break"), ("warning", "trailing_newline")]),
        (holding(env(KEY)), POLICY, []),
        (holding(b"some-opaque-token"), POLICY, [("info", "unknown_shape")]),
        # its life
        (GOOD, REGISTERED, [("warning", "left_over")]),
        (GOOD, POLICY._replace(max_age=1), []),
        (GOOD, POLICY._replace(max_age=0), [("warning", "too_old")]),
        (GOOD._replace(modified=NOW - 31 * DAY), POLICY._replace(max_age=30), [("warning", "too_old")]),
        (GOOD._replace(modified=NOW + DAY), POLICY._replace(max_age=0), []),
    ],
)
def test_findings(facts: Facts, policy: Policy, expected: list[tuple[str, str]]) -> None:
    assert codes(found(facts, policy)) == expected


def test_a_missing_file_is_no_fault_where_another_is_there() -> None:
    assert codes(found(Facts(PATH, "absent"), elsewhere=True)) == [("info", "token_not_found")]


class TestTroubleshooting:
    """The three cases of the vendor's guide, in its own words, with help that helps."""

    def test_not_found(self) -> None:
        (finding,) = found(Facts(PATH, "absent"))
        assert finding.message.startswith(f"bootstrap token file not found: {PATH} ")
        assert "this node is not registered" in finding.message
        assert "expanso.edge.bootstrap_token" in finding.remedy

    def test_permission_denied_to_the_agent(self) -> None:
        reader = Reader("the account expanso", AGENT, frozenset((AGENT,)))
        policy = POLICY._replace(owners=frozenset((AGENT,)), reader=reader)
        denied, owner = found(GOOD._replace(barrier=PATH), policy)
        assert denied.code == "permission_denied" and owner.code == "wrong_owner"
        assert denied.message == f"permission denied reading bootstrap token: the account expanso cannot read {PATH}, which is root:root 0600"
        assert "chown root:root would lock that account out" in denied.remedy

    def test_permission_denied_by_a_directory(self) -> None:
        reader = Reader("the account expanso", AGENT, frozenset((AGENT,)))
        policy = POLICY._replace(owners=frozenset((AGENT,)), reader=reader)
        (denied,) = found(GOOD._replace(barrier="/etc/expanso", attributes=Attributes(AGENT, 0, 0o600)), policy)
        assert denied.message == f"permission denied reading bootstrap token: the account expanso cannot pass the directory /etc/expanso to read {PATH}"
        assert "pass" in denied.remedy and "chown" not in denied.remedy

    def test_permission_denied_to_who_looks(self) -> None:
        (finding,) = found(GOOD._replace(data=None, problem="Permission denied"), POLICY._replace(account="expanso"))
        assert finding.message == f"permission denied reading bootstrap token: the account expanso cannot read {PATH}"
        assert "become: true" in finding.remedy and "chown root:root would lock it out" in finding.remedy

    @pytest.mark.parametrize("data", [f"{KEY} ".encode(), jwt(0).encode(), API_KEY.encode(), b"\xef\xbb\xbf" + KEY.encode()])
    def test_invalid(self, data: bytes) -> None:
        (finding,) = found(holding(data))
        assert finding.message.startswith(f"invalid bootstrap token: {PATH}: ")
        assert "expanso.edge.bootstrap_token" in finding.remedy


AS_AGENT = Reader("agent", AGENT, frozenset((AGENT,)))
AS_GROUP = Reader("group", None, frozenset((AGENT,)))
ROOT = Reader("root", 0, frozenset((0,)))


@pytest.mark.parametrize(
    ("owner", "group", "mode", "acl", "reader", "may"),
    [
        (AGENT, 0, 0o400, (), AS_AGENT, True),
        (AGENT, AGENT, 0o044, (), AS_AGENT, False),  # the owner's bits alone count for the owner
        (0, AGENT, 0o040, (), AS_AGENT, True),
        (0, AGENT, 0o604, (), AS_AGENT, False),  # and those of the group for its members
        (0, 0, 0o604, (), AS_AGENT, True),
        (0, 0, 0o640, (), AS_AGENT, False),
        (0, 0, 0o000, (), ROOT, True),
        (0, AGENT, 0o640, (), AS_GROUP, True),
        (0, 0, 0o640, (), AS_GROUP, False),
        (0, 0, 0o600, (AclEntry("user", AGENT, 4),), AS_AGENT, True),
        (0, 0, 0o604, (AclEntry("user", AGENT, 1),), AS_AGENT, False),
        (0, 0, 0o600, (AclEntry("user", STRANGER, 4),), AS_AGENT, False),
        (0, 0, 0o600, (AclEntry("group", AGENT, 4),), AS_AGENT, True),
        (0, 0, 0o600, (AclEntry("group", AGENT, 4),), AS_GROUP, True),
        (0, 0, 0o604, (AclEntry("group", AGENT, 1),), AS_AGENT, False),
        (0, 0, 0o600, (AclEntry("group", STRANGER, 4),), AS_AGENT, False),
    ],
)
def test_permits_in_the_order_of_the_kernel(owner: int, group: int, mode: int, acl: tuple[AclEntry, ...], reader: Reader, may: bool) -> None:
    assert permits(Attributes(owner, group, mode), acl, reader, 4) is may


@pytest.mark.parametrize(
    ("attributes", "acl", "expected"),
    [
        (Attributes(0, 0, 0o600), (), False),
        (Attributes(0, 0, 0o640), (), False),
        (Attributes(0, AGENT, 0o640), (), True),
        (Attributes(0, AGENT, 0o620), (), False),
        (Attributes(0, 0, 0o604), (), True),
        (Attributes(AGENT, 0, 0o600), (), True),
        (Attributes(0, 0, 0o600), (AclEntry("user", AGENT, 4),), True),
    ],
)
def test_others_may_read(attributes: Attributes, acl: tuple[AclEntry, ...], expected: bool) -> None:
    assert others_may_read(attributes, acl, POLICY.owners, POLICY.groups) is expected


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (f"'{KEY}'", (KEY,)),
        (f"# old: {KEY}\n{KEY}2", (KEY, KEY + "2")),
        (f"{ENV_NAME}='{KEY}'", (KEY,)),
        ("YWJjZGVmZ2g=", ("YWJjZGVmZ2g=",)),  # base64 is no assignment
        ("two words", ()),
        ("", ()),
    ],
)
def test_secrets_in(text: str, secrets: tuple[str, ...]) -> None:
    assert secrets_in(text) == secrets


def test_age_in_whole_days() -> None:
    assert [age_days(GOOD._replace(modified=NOW - seconds), NOW) for seconds in (0, DAY - 1, DAY, -DAY)] == [0, 0, 1, 0]
    assert age_days(Facts(PATH, "absent"), NOW) is None


# Random bytes, and tokens between all sorts of wrapping: whatever is in a file, the audit of it neither fails nor quotes it.
wrapped = st.lists(
    st.sampled_from([KEY.encode(), API_KEY.encode(), ENV_NAME.encode(), b"=", b'"', b"'", b"\\", b" ", b"\n", b"\r", b"\0", b"\xef\xbb\xbf", b"#"])
)


@given(st.one_of(st.binary(max_size=200), wrapped.map(b"".join)), st.sampled_from([PATH, "/etc/expanso/bootstrap.env"]))
def test_no_content_breaks_the_audit_or_is_quoted(data: bytes, path: str) -> None:
    content = parse_content(path, data, NOW)
    findings = findings_for(holding(data, path), content, REGISTERED, False)
    assert (content.token is None) <= bool({finding.severity for finding in findings} & {"error"})
    secret = KEY.partition("exp_bk_")[2]
    assert secret not in repr(findings) and secret not in repr(content)


@example("000A_0=0000", False)  # of the shape of an assignment
@given(st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=60), st.booleans())
def test_what_is_a_token_is_a_secret(text: str, newline: bool) -> None:
    content: Content = parse_content(PATH, (text + "\n" * newline).encode(), NOW)
    if content.token and content.format == "raw":
        assert content.secrets in ((text,), (text.strip("\"'`"),))


def test_every_code_is_documented() -> None:
    root = Path(__file__).resolve().parents[4] / "plugins"
    documentation = (root / "modules" / "bootstrap_token_info.py").read_text().partition("About the file:")[2].partition("severity:")[0]
    documented = set(re.findall(r"V\((\w+)\)", documentation))
    names = ("_audit/findings", "_audit/exposure", "_audit/inspection", "_audit/node", "_audit/reports", "_audit/subjects", "_token", "_token_file")
    source = "".join((root / "module_utils" / f"{name}.py").read_text() for name in names)
    assert documented == set(re.findall(r'(?:Finding\(|_Words\(|TokenFault\(|_rules\(|code=)\s*"(\w+)"', source))
