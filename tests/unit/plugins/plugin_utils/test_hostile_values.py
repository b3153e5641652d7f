# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller's code does with values that nobody should give it: it takes them, or refuses them with one short sentence that holds no token."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.expanso.edge.plugins.filter.job_result import job_result
from ansible_collections.expanso.edge.plugins.filter.provision_summary import provision_summary
from ansible_collections.expanso.edge.plugins.filter.registration_markers import registration_markers
from ansible_collections.expanso.edge.plugins.filter.retire_summary import retire_summary
from ansible_collections.expanso.edge.plugins.filter.rotation_differences import rotation_differences
from ansible_collections.expanso.edge.plugins.filter.rotation_problems import rotation_problems
from ansible_collections.expanso.edge.plugins.filter.rotation_summary import rotation_summary
from ansible_collections.expanso.edge.plugins.filter.text_map import text_map
from ansible_collections.expanso.edge.plugins.filter.token_fingerprint import token_fingerprint
from ansible_collections.expanso.edge.plugins.filter.token_problems import token_problems
from ansible_collections.expanso.edge.plugins.filter.unit_word import unit_word
from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import DELIVERIES
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import compare, groups, merge, reconcile, registry, scope, settings, waivers
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import moment_now
from ansible_collections.expanso.edge.plugins.plugin_utils._job import NAMES
from ansible_collections.expanso.edge.plugins.plugin_utils._rotation import PlanError, parse, texts_again
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import FILE_VARIABLE, TOKEN_VARIABLE, SourceError, resolve
from hostile_values import values

TOKEN = "exp_bk_9f8e7d6c5b4a39281706f5e4d3c2b1a0"
VALUES = values(TOKEN)
REFUSED = (DataError, PlanError, SourceError, AnsibleError)
LONGEST = 1000
"""Characters of a message."""


def brief(value: Any) -> str:
    """What a test says of a value."""
    try:
        return repr(value)[:60].replace(TOKEN, "TOKEN")
    except (RecursionError, ValueError):
        return "deep"


def faults(work: Callable[[Any], object], given: Mapping[str, Any] | None = None) -> list[str]:
    """What is wrong with how some work goes with each of the values."""
    wrong = []
    for value in VALUES:
        try:
            work(value)
        except REFUSED as exc:
            said = str(exc)
            if TOKEN[7:] in said:
                wrong.append(f"{brief(value)}: a token is shown")
            if len(said) > LONGEST or "\n" in said or not said:
                wrong.append(f"{brief(value)}: {len(said)} characters: {said[:100]!r}")
        except Exception as exc:
            wrong.append(f"{brief(value)}: {type(exc).__name__}: {str(exc)[:100]}")
    return wrong


@pytest.mark.parametrize("name", settings.OPTIONS)
def test_an_option_of_an_audit(name: str) -> None:
    assert faults(lambda value: settings.parse({name: value})) == []


ENTRIES = [
    *((registry.parse, {"fingerprint": "5d41402abc4b"}, name) for name in registry.FIELDS),
    *((waivers.parse, {"finding": "copy", "node": "*", "owner": "me", "reason": "why", "expires": "2027-01-01"}, name) for name in waivers.FIELDS),
]


@pytest.mark.parametrize(("take", "entry", "name"), ENTRIES, ids=lambda each: each if isinstance(each, str) else getattr(each, "__module__", "").split(".")[-1])
def test_a_field_of_a_list_that_people_write(take: Callable[[Any], object], entry: dict[str, Any], name: str) -> None:
    assert faults(lambda value: take([{**entry, name: value}])) == []


@pytest.mark.parametrize("take", [registry.parse, waivers.parse])
def test_a_list_that_people_write(take: Callable[[Any], object]) -> None:
    assert faults(take) + faults(lambda value: take([value])) == []
    assert faults(lambda value: take([{value: "x"}]) if isinstance(value, (str, int, float, tuple, bytes, type(None))) else None) == []


def as_json(value: Any) -> bytes:
    """A value in a file of JSON, as far as JSON knows such values."""
    try:
        return json.dumps(value).encode()
    except (TypeError, ValueError):
        return b"\xff\xfe"
    except RecursionError:
        return b"[" * 5000 + b"]" * 5000


REPORT: dict[str, Any] = {"schema_version": 1, "generated_at": "2026-11-30T10:00:00Z", "findings": [], "nodes": [], "run": {}}


@pytest.mark.parametrize(
    "read",
    [
        lambda data: compare.read(data, "report"),
        lambda data: groups.members(compare.load(data, "report"), "report", 30, moment_now()),
        lambda data: merge.read(data, "job", "report"),
        lambda data: reconcile.parse(data, "nodes"),
        lambda data: parse(data.decode("utf-8", "replace"), False, time.time()),
    ],
    ids=["earlier", "inventory", "slice", "nodes", "plan"],
)
def test_a_file_that_people_name(read: Callable[[bytes], object]) -> None:
    assert faults(lambda value: read(as_json(value))) == []
    for key in REPORT:
        assert faults(lambda value, key=key: read(as_json({**REPORT, key: value}))) == []
        assert faults(lambda value, key=key: read(as_json({**REPORT, key: [value]}))) == []
        assert faults(lambda value, key=key: read(as_json({**REPORT, key: [dict.fromkeys(("id", "name", "code", "node", "status"), value)]}))) == []
    for text in (b"", b"\0" * 100, b"\xff\xfe{\0}\0", b"\x1f\x8b", TOKEN.encode(), b"[" * 100_000, b'{"a":' * 100_000, b"9" * 100_000, b"name\n" + b"x\n" * 10):
        assert faults(lambda _value, text=text: read(text)) == []


@pytest.mark.parametrize("name", [TOKEN_VARIABLE, FILE_VARIABLE])
def test_a_source(name: str) -> None:
    assert faults(lambda value: resolve({name: value}.get, {})) == []


@pytest.mark.parametrize("name", [TOKEN_VARIABLE, *NAMES])
def test_a_variable_of_a_host(name: str) -> None:
    def check(value: Any) -> None:
        hostvars = {"a": {name: value}, "b": {name: value}}
        for said in (token_problems(["a", "b"], hostvars, {}), rotation_problems(["a", "b"], hostvars)):
            assert TOKEN[7:] not in "".join(said) and len("".join(said)) < 2 * LONGEST, said

    assert faults(check) == []


RESULTS = [f"{role}_{what}" for role in DELIVERIES for what in ("result", "retired", "audit")]
VARIABLES = [*RESULTS, *NAMES, "expanso_edge_failure", "expanso_edge_fault", "expanso_edge_rotation_plan", "expanso_edge_audit_failure"]


@pytest.mark.parametrize("name", VARIABLES)
def test_what_a_host_has_after_a_run(name: str) -> None:
    role = name.rpartition("_")[0]

    def check(value: Any) -> None:
        answer = {"action": "written", "msg": value, "fingerprint": value, "registered": value}
        for each in (value, {"action": value}, answer, {"tokens": [value], "node": value}):
            variables = {"expanso_edge_delivery": role if role in DELIVERIES else "token_file", name: each}
            hostvars = {"a": variables}
            provision_summary(["a"], hostvars, job=hostvars)
            retire_summary(["a"], hostvars)
            rotation_summary(["a"], hostvars, job=hostvars)
            rotation_differences("a", hostvars, hostvars)
            for playbook in ("provision", "rotate", "retire"):
                json.dumps(job_result(["a"], hostvars, playbook, job=hostvars))
            if name.endswith("_audit"):
                scope.nodes([scope.Host("a", deliveries=[name[: -len("_audit")]], results={name[: -len("_audit")]: each} if isinstance(each, Mapping) else {})])

    assert faults(check) == []


@pytest.mark.parametrize(
    "filtered",
    [
        lambda value: registration_markers(value, "/d"),
        lambda value: registration_markers([], value),
        lambda value: registration_markers([value], value),
        text_map,
        lambda value: text_map({"a": value}),
        token_fingerprint,
        unit_word,
        lambda value: unit_word(value, "delay", "number"),
        texts_again,
    ],
)
def test_a_filter(filtered: Callable[[Any], object]) -> None:
    assert faults(filtered) == []
