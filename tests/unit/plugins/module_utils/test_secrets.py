# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import hashlib
import json
import time
from typing import Any, List
from urllib.parse import quote

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._secrets import assigned, contains, encodings, find_token, last_lines, mask, visible
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from hypothesis import given
from hypothesis import strategies as st

TOKENS = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60)


@given(TOKENS, st.binary(max_size=7), st.binary(max_size=7))
def test_base64_at_any_offset_is_masked(token: str, before: bytes, after: bytes) -> None:
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        text = encode(before + token.encode() + after).decode()
        masked = mask(text, token)
        # what is left at the edges depends on at most two of the token's characters on each side
        assert "********" in masked
        assert len(masked.replace("********", "")) <= len(text) - (len(token) - 4) * 4 // 3


@given(TOKENS)
def test_other_encodings_are_masked(token: str) -> None:
    for text in (token, quote(token, safe=""), token.encode().hex()):
        assert mask(f"say {text} twice {text}", token) == "say ******** twice ********"


@given(TOKENS)
def test_go_json_is_masked(token: str) -> None:
    text = json.dumps(token)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    assert mask(f"say {text} twice", token) == "say ******** twice"


@pytest.mark.parametrize("token", ["exp_bk_Zq81mKx02LwPd7", "eyJh.eyJleHAi." + "kX3v" * 40])
def test_pieces_and_digests_are_masked(token: str) -> None:
    lines = base64.encodebytes(token.encode()).decode().splitlines()
    digests = [hashlib.new(name, token.encode()).hexdigest() for name in ("md5", "sha1", "sha256")]
    for text in (token[:15] + "...", "..." + token[-8:], *(line.rstrip("=") for line in lines if len(line) > 12), *digests, digests[0][:12]):
        masked = mask(f"<{text}>", token)
        assert "********" in masked
        assert len(masked.replace("********", "")) <= len("<...>"), masked


def test_what_is_no_piece_of_the_token_stays() -> None:
    assert mask("Error: invalid bootstrap token exp_bk_ at /etc/expanso/bootstrap.token", "exp_bk_Zq81mKx02LwPd7") == (
        "Error: invalid bootstrap token exp_bk_ at /etc/expanso/bootstrap.token"
    )


def test_a_short_token_is_masked_as_a_whole_only() -> None:
    assert mask("abc, ab, abcabc", "abc") == "********, ab, ********"


def test_an_empty_token_masks_nothing() -> None:
    assert mask("text", "") == "text"


def test_a_short_token_masks_no_base64_by_chance() -> None:
    assert all(len(form) >= 8 for form in encodings("ab") if form not in ("ab", "6162"))


@pytest.mark.parametrize(
    "secret",
    ["exp_bk_Zq81mKx02LwPd7", "exp_ak_Zq81mKx02LwPd7", "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.kX3vkX3vkX3vkX3vkX3v"],
)
def test_what_has_the_shape_of_a_token_is_masked(secret: str) -> None:
    assert mask(f"config: token={secret}; url=https://example.com") == "config: token=********; url=https://example.com"


def test_what_is_assigned_to_the_variable_of_a_token_is_masked() -> None:
    for quote_mark in ("", '"', "'"):
        text = f"Environment={quote_mark}A=b EXPANSO_EDGE_BOOTSTRAP_TOKEN=%s{quote_mark} C=d"
        assert mask(text % OPAQUE) == text % "********"
    for text in ("EXPANSO_EDGE_BOOTSTRAP_TOKEN=$(cat /run/token)", 'EXPANSO_EDGE_BOOTSTRAP_TOKEN="$$(cat x)"', "EXPANSO_EDGE_BOOTSTRAP_TOKEN is not set"):
        assert mask(text) == text


@pytest.mark.parametrize("part", [slice(0, 60), slice(0, 40), slice(21, None)], ids=["beginning", "header and a bit", "end"])
def test_a_part_of_a_jwt_is_masked(part: slice) -> None:
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJrWDN2UXo5IiwiZXhwIjoxNzAwMDAwMDAwfQ." + "kX3vQz9_" * 6
    assert mask(f"there is no account '{jwt[part]}...'") == "there is no account '********'"
    assert mask(f"/srv/token_{jwt[part]}: no such file") == "/srv/********: no such file"


@pytest.mark.parametrize(
    "text",
    ["exp_bk_...", "expanso-edge-bootstrap.service", "registry.example.com/expanso/edge:1.2.3", "exp_ak_", "config.d/50-connection.yaml", "io.expanso.edge"],
)
def test_what_only_resembles_a_token_stays(text: str) -> None:
    assert mask(text) == text


def test_several_secrets_are_masked() -> None:
    assert mask("first-secret and second-secret", "first-secret", "second-secret") == "******** and ********"


KEY = "exp_bk_Zq81mKx02LwPd7"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9." + "kX3vQz9_" * 6
OPAQUE = "Rk-29xP0_mN4zQ7wV1tB"


def spelled(token: str) -> dict[str, str]:
    data = token.encode()
    pairs = [f"{each:02x}" for each in data]
    return {
        "upper case": token.upper(),
        "lower case": token.lower(),
        "percent, whole": "".join(f"%{each}" for each in pairs),
        "percent, whole, upper case": "".join(f"%{each.upper()}" for each in pairs),
        "hexadecimal with blanks": " ".join(pairs),
        "hexadecimal with colons": ":".join(pairs),
        "hexadecimal with colons, upper case": ":".join(pairs).upper(),
        "escaped": "".join(f"\\x{each}" for each in pairs),
        "C": ", ".join(f"0x{each}" for each in pairs),
        "xxd": " ".join("".join(pairs[start : start + 2]) for start in range(0, len(pairs), 2)),
        "numbers of Go": " ".join(str(each) for each in data),
        "numbers of Python": ", ".join(str(each) for each in data),
        "base32": base64.b32encode(data).decode().rstrip("="),
        "base32, lower case": base64.b32encode(data).decode().rstrip("=").lower(),
        "base32 with a line break": base64.b32encode(data + b"\n").decode().rstrip("="),
        "base32 of something before it": base64.b32encode(b"abc" + data).decode().rstrip("=")[5:],
        "base64 with a line break": base64.b64encode(data + b"\n").decode().rstrip("="),
        "hexadecimal with a line break": (data + b"\n").hex(),
    }


@pytest.mark.parametrize("token", [KEY, JWT, OPAQUE])
@pytest.mark.parametrize("form", spelled(KEY))
def test_what_programs_make_of_a_token_is_masked(token: str, form: str) -> None:
    masked = mask(f"<{spelled(token)[form]}>", token)
    assert "********" in masked
    assert len(masked.replace("********", "")) <= 8, masked


@pytest.mark.parametrize("token", [KEY, JWT, OPAQUE])
@pytest.mark.parametrize("form", ["upper case", "base64 with a line break", "hexadecimal with a line break", "percent", "two lines", "as it is"])
def test_a_text_that_contains_a_token(token: str, form: str) -> None:
    text = {**spelled(token), "percent": quote(token + "+", safe=""), "two lines": f"{token[:9]}\n{token[9:]}", "as it is": token}[form]
    assert contains(f"http://[::1]/{text}&x", token) and contains(text, f"{token}\n")
    assert not contains(text[4:], token) and not contains(f"x{token[1:]}", token)


def test_a_short_token_is_in_any_text_by_chance() -> None:
    assert not contains("/usr/local/bin/expanso-edge", "edge")


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("name", ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
def test_digests_are_masked(name: str, end: str) -> None:
    digest = hashlib.new(name, (OPAQUE + end).encode())
    assert mask(f"<{digest.hexdigest()}> <{digest.hexdigest().upper()}>", OPAQUE) == "<********> <********>"
    assert mask(base64.b64encode(digest.digest()).decode(), OPAQUE) == "********"


@pytest.mark.parametrize("form", ["upper case", "base64 with a line break", "hexadecimal with colons", "percent, whole", "xxd"])
def test_a_key_that_nobody_knows_is_masked_by_its_shape(form: str) -> None:
    masked = mask(f"config: {spelled(KEY)[form]}")
    assert "********" in masked and len(masked) <= len("config: ********") + 1, masked


@pytest.mark.parametrize("form", ["upper case", "base64 with a line break", "hexadecimal with colons", "percent, whole", "xxd"])
def test_a_jwt_that_nobody_knows_is_masked_by_its_shape(form: str) -> None:
    masked = mask(f"config: {spelled(JWT)[form]}")
    assert "********" in masked and len(masked) <= len("config: ********") + 1, masked


@pytest.mark.parametrize("token", [KEY, JWT])
@pytest.mark.parametrize("offset", range(3))
def test_a_token_that_nobody_knows_is_masked_in_base64(offset: int, token: str) -> None:
    masked = mask(base64.b64encode(b"e:=|"[:offset] + token.encode()).decode())
    assert masked.endswith("********") and len(masked) < 8 + 5, masked


@pytest.mark.parametrize(
    "text",
    ["2026-11-26 10:11:12.123456 10 11 12 13 14", "aa:bb:cc:dd:ee:ff:00:11 is a MAC", "0123456789abcdef0123", "10, 20, 30, 40, 50, 60, 70, 80"],
)
def test_numbers_that_are_no_token_stay(text: str) -> None:
    assert mask(text, OPAQUE) == text


@pytest.mark.parametrize("text", ["a", "0a", "a-", "10 ", "exp_bk_", "a.a", "0a: ", "aaaaaaaaaaa.", "eyJ", "eyJ."])
def test_a_line_of_megabytes_takes_no_minutes(text: str) -> None:
    before = time.process_time()
    lines = last_lines((text * 1_000_000).encode(), 12, JWT)
    assert sum(map(len, lines)) <= 12 * 2003
    assert time.process_time() - before < 5


def test_masking_what_is_long_takes_no_minutes() -> None:
    before = time.process_time()
    assert KEY not in mask(("a" * 999 + KEY) * 3000, KEY, JWT, OPAQUE)
    assert time.process_time() - before < 30


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"one\r\ntwo\rthree\n", ["one", "two", "three"]),
        (b"\x1b[31mred\x1b[0m and \x1b]0;title\x07plain", ["red and plain"]),
        (b"a\0b\x08c\x7f\xc2\x85\xe2\x80\xaed", ["abc d"]),
        (b"tab\there", ["tab here"]),
        (b"a\xffb", ["a\ufffdb"]),
        ("exp_bk_\x1b[1mZq81mKx02LwPd7".encode(), ["********"]),
        ("\0".join(KEY).encode(), ["********"]),
        (b"", []),
    ],
)
def test_control_characters_are_not_shown(said: bytes, shown: list[str]) -> None:
    assert last_lines(said, 12) == shown


def test_the_last_lines_are_shown() -> None:
    assert last_lines(b"".join(b"%d\n" % number for number in range(100_000)), 3) == ["99997", "99998", "99999"]


def test_a_long_line_is_cut() -> None:
    assert last_lines(b"x" * 5000, 1) == ["x" * 2000 + "..."]


def test_a_secret_of_megabytes_takes_no_minutes() -> None:
    secret = "".join(chr(33 + number * number % 89) for number in range(2000)) * 5000
    before = time.process_time()
    assert mask("the token is " + secret[:3000], secret) == "the token is ********"
    assert time.process_time() - before < 20


def test_masking_many_texts_takes_no_minutes() -> None:
    before = time.process_time()
    for number in range(5000):
        mask(f"{number}: /etc/expanso/neighbour-{number} holds the token too", JWT, KEY)
    assert time.process_time() - before < 5


def test_names_are_visible() -> None:
    assert visible("a\x1b[1m\nb\udcffc\u202ed") == "a?[1m?b?c?d"
    assert visible("B\u00f6rse 1") == "B\u00f6rse 1"


SIGNS = "+Rk/29x=P0&mN<4z\"Q7\\w%V1.tB=="
ROUND = "Rk-29xP0_mN4zQ7wV1tB"
PRINTED = {
    "alone": "{0}",
    "in a sentence": "the token {0}, which is wrong.",
    "in parentheses": "(token: {0})",
    "quoted": "cannot use '{0}'",
    "in double quotes": 'cannot use "{0}".',
    "in backquotes": "`{0}`",
    "NAME=value": "EXPANSO_EDGE_BOOTSTRAP_TOKEN={0}",
    "NAME=value, quoted": "EXPANSO_EDGE_BOOTSTRAP_TOKEN='{0}';",
    "structure of Go": "{{Token:{0} URL:https://start.cloud.expanso.io}}",
    "another line": "one\ntoken={0}\nthree",
    "coloured": "\x1b[31mtoken={0}\x1b[0m",
}


@pytest.mark.parametrize("token", [ROUND, SIGNS, "abcd"])
@pytest.mark.parametrize("text", PRINTED.values(), ids=PRINTED)
def test_a_token_is_found_by_its_fingerprint(text: str, token: str) -> None:
    assert find_token(text.format(token).encode(), fingerprint(token)) == token
    assert find_token(text.format(token + "x").encode(), fingerprint(token)) == ""


@pytest.mark.parametrize("token", [ROUND, SIGNS])
def test_a_token_with_escapes_is_found_by_its_fingerprint(token: str) -> None:
    written = [
        json.dumps({"level": "error", "token": token}),
        json.dumps({"token": token, "n": 1}, separators=(",", ":")).replace("&", "\\u0026").replace("<", "\\u003c"),  # as Go does
        json.dumps({"body": json.dumps({"token": ROUND})}),
        f"GET https://start.cloud.expanso.io/bootstrap?a=1&token={quote(token, safe='')}&b=2 failed",
        f"GET https://start.cloud.expanso.io/bootstrap/{quote(token, safe='')}",
    ]
    for each in written:
        assert find_token(each.encode(), fingerprint(ROUND if "body" in each else token)), each


@given(TOKENS, st.sampled_from(sorted(PRINTED.values())))
def test_any_token_is_found_by_its_fingerprint(token: str, text: str) -> None:
    assert find_token(text.format(token).encode(), fingerprint(token)) == token


@pytest.mark.parametrize("text", [b"", b"\n", b"\xff\xfe", "größer".encode(), b"Failed with result 'exit-code'."])
def test_no_token_is_found_where_none_is(text: bytes) -> None:
    assert find_token(text, fingerprint(ROUND)) == ""


@pytest.mark.parametrize("text", ["=", '="', "a=", "exp_bk_", "a.a", "%41", "\\u0041", "".join(map(chr, range(33, 127)))])
def test_looking_for_a_token_takes_no_minutes(text: str) -> None:
    before = time.process_time()
    assert find_token(text.encode() * 100_000, fingerprint(ROUND)) == ""
    assert time.process_time() - before < 20


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        ({"environment": {"EXPANSO_EDGE_BOOTSTRAP_TOKEN": KEY}}, [KEY]),
        ({"spec": [{"env": [{"name": "EXPANSO_EDGE_BOOTSTRAP_TOKEN", "value": 1234}, {"name": "OTHER", "value": KEY}]}]}, ["1234"]),
        ({"args": ["run", "--token", KEY, "--token=other"]}, [KEY, "other"]),
        ({"args": ["run", "--token"], "EXPANSO_EDGE_BOOTSTRAP_TOKEN": None}, []),
        ({"env": [{"name": "EXPANSO_EDGE_BOOTSTRAP_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}, []),
        ("EXPANSO_EDGE_BOOTSTRAP_TOKEN", []),
        (None, []),
    ],
)
def test_what_a_structure_gives_as_a_token(value: Any, tokens: List[str]) -> None:
    assert list(assigned(value)) == tokens


def test_the_name_of_the_variable_is_not_secret() -> None:
    pasted, text = f"export EXPANSO_EDGE_BOOTSTRAP_TOKEN={KEY}", "variable expanso_edge_token: EXPANSO_EDGE_BOOTSTRAP_TOKEN{}"
    assert mask(text.format(f"={KEY} in /etc/expanso/bootstrap.token"), pasted) == text.format("******** in /etc/expanso/bootstrap.token")
