# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook expanso.edge.audit: a fleet with planted faults, its report, and the inventory that is made of it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import Controller, Json, Run, local_node
from control_plane import new_jwt, new_key

AUDIT = "expanso.edge.audit"
REFUSAL = "Refuse data and options that cannot be used"
DOWN = {"ansible_connection": "nowhere"}
UNREADABLE = {"token_file_path": "/x" * 3000}


def fleet(home: Path, **nodes: Json) -> dict[str, Json]:
    """Nodes with their variables. They share this machine, so nothing is looked for elsewhere."""
    return {name: local_node(home, name, **{"expanso_edge_audit_places": [], **own}) for name, own in nodes.items()}


def plant(home: Path, name: str, token: str | None = None, mode: int = 0o600, enrolled_with: Json | None = None) -> None:
    """Give a node a token, or a registration with the record of the token that it had."""
    data = home / name / "data"
    data.mkdir(parents=True, mode=0o700)
    if token:
        path = home / name / "bootstrap.token"
        path.write_text(token)
        path.chmod(mode)
    if enrolled_with:
        (data / "enrolment.json").write_text(json.dumps({"version": 1, "enrolments": [enrolled_with]}))
        (data / "identity").touch()


def entry(mark: str, kind: str) -> Json:
    """An entry of a record."""
    return {
        "fingerprint": mark, "kind": kind, "label": None, "delivery": "file", "written_at": "2026-01-01T00:00:00Z", "run_id": "r", "job_id": None,
        "collection_version": "1.1.0",
    }  # fmt: skip


def audit(controller: Controller, hosts: dict[str, Json], directory: Path, *arguments: str, **variables: Any) -> Run:
    """Run the playbook."""
    given = {"expanso_edge_audit_directory": str(directory), "expanso_edge_audit_formats": ["json", "html", "csv", "junit", "prometheus", "ocsf"], **variables}
    return controller.run(AUDIT, "-e", json.dumps(given), *arguments, hosts=hosts)


def findings(report: Json) -> set[tuple[str, str | None]]:
    """What was found where."""
    return {(each["code"], each["node"]) for each in report["findings"]}


def load(directory: Path) -> Json:
    report: Json = json.loads((directory / "audit.json").read_text())
    return report


def mark(controller: Controller, token: str) -> str:
    """The fingerprint of a token."""
    task = {"name": "Mark", "ansible.builtin.debug": {"msg": "{{ value | expanso.edge.token_fingerprint }}"}}
    run = controller.run([{"tasks": [task], "vars": {"value": token}}])
    found: str = run.result("Mark")["msg"]
    return found


@pytest.fixture
def mixed(home: Path, controller: Controller) -> tuple[dict[str, Json], list[str]]:
    """A fleet with faults."""
    key, spent = new_key(), new_jwt()
    used = mark(controller, key)
    plant(home, "clean", enrolled_with=entry(used, "bootstrap_key"))
    plant(home, "open", key, mode=0o644)
    plant(home, "left", key, enrolled_with=entry(used, "bootstrap_key"))
    plant(home, "spender", enrolled_with=entry(mark(controller, spent), "jwt"))
    plant(home, "found", spent)
    return fleet(home, clean={}, open={}, left={}, spender={}, found={}, down=DOWN, broken=UNREADABLE), [key, spent]


def test_a_mixed_fleet(controller: Controller, home: Path, mixed: tuple[dict[str, Json], list[str]]) -> None:
    hosts, secrets = mixed
    directory = home / "reports"
    first = audit(controller, hosts, directory, "-vvv", expanso_edge_serial=2, expanso_edge_audit_waivers=[
        {"finding": "left_over", "node": "le*", "owner": "ops", "reason": "soon", "expires": "2999-12-31"},
    ])  # fmt: skip
    report = load(directory)
    planted = {
        ("mode_too_wide", "open"), ("left_over", "left"), ("spent_elsewhere", "found"), ("unknown", "down"), ("audit_failed", "broken"),
        ("expires_soon", None),
    }  # fmt: skip
    assert {each for each in findings(report) if each[0] != "token_not_found"} == planted
    assert [each["status"] for each in report["findings"] if each["code"] == "left_over"] == ["waived"]
    assert (report["scope"]["asked"], report["scope"]["answered"], report["scope"]["unreachable"]) == (7, 5, ["down"])
    assert {node["name"]: node["registered"] for node in report["nodes"]} == {
        "clean": True, "open": False, "left": True, "spender": True, "found": False, "down": None, "broken": None,
    }  # fmt: skip
    # nodes and controller have the same clock
    assert {node["clock_offset_seconds"] for node in report["nodes"]} == {0.0, None}
    assert first.returncode == 2 and first.totals()["failed"] == 1 and first.totals()["changed"] == 0
    published = {name: first.published[name] for name in ("playbook", "nodes", "answered", "unreachable", "failed", "errors", "warnings", "waived", "exceeded")}
    assert published == {
        "playbook": "audit", "nodes": 7, "answered": 5, "unreachable": 1, "failed": 1, "errors": 3, "warnings": report["totals"]["warning"], "waived": 1,
        "exceeded": True,
    }  # fmt: skip
    assert first.published["codes"]["mode_too_wide"] == 1 and "left_over" not in first.published["codes"]
    assert first.published["report_sha256"] == hashlib.sha256((directory / "audit.json").read_bytes()).hexdigest()
    assert {name: first.remote_commands(name) for name in hosts} == {**dict.fromkeys(hosts, 1), "down": 0}
    names = {"audit.json", "audit.html", "audit.csv", "audit.junit.xml", "audit.prom", "audit.ocsf.jsonl"}
    assert {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()} == {**dict.fromkeys(names, 0o600), "audit.prom": 0o644}
    assert directory.stat().st_mode & 0o777 == 0o700
    for path in directory.iterdir():
        assert not any(secret in path.read_text() for secret in secrets), path

    # the faults are mended, but left is silent now
    (home / "open" / "bootstrap.token").chmod(0o600)
    (home / "found" / "bootstrap.token").unlink()
    second = audit(controller, {**hosts, "left": {**hosts["left"], **DOWN}}, directory, expanso_edge_audit_fail_on="never")
    report = load(directory)
    assert second.returncode == 0 and second.published["exceeded"] is False
    assert {(each["code"], each["node"]) for each in report["mended"]} == {("mode_too_wide", "open")}
    assert {(each["code"], each["node"]): each["change"] for each in report["findings"] if each["node"] in ("left", "down")} == {
        ("unknown", "left"): "new",
        ("unknown", "down"): "still",
    }
    assert any(line.startswith("compared with the report of ") for line in second.result("Show the summary")["msg"])


def test_all_are_down(controller: Controller, home: Path) -> None:
    directory = home / "reports"
    hosts = fleet(home, a=DOWN, b=DOWN)
    run = audit(controller, hosts, directory, expanso_edge_audit_formats=["json"])
    # that one node is unknown is a warning, but an audit that knows nothing has failed
    assert (run.returncode, load(directory)["scope"]["unreachable"]) == (2, ["a", "b"])
    assert "no node answered, so nothing is known of any" in run.output
    assert load(directory)["totals"]["unknown"] == 2 and run.published["unreachable"] == 2
    strict = audit(controller, hosts, directory, "--limit", "a", expanso_edge_audit_formats=["json"], expanso_edge_audit_fail_on="warning")
    assert (strict.returncode, load(directory)["scope"]["unreachable"]) == (2, ["a"])
    assert load(directory)["mended"] == []  # b was not asked


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"expanso_edge_delivery": "carrier_pigeon"}, "variable expanso_edge_delivery is 'carrier_pigeon', but must name one or more of token_file"),
        ({"expanso_edge_audit_fail_on": "info"}, "expanso_edge_audit_fail_on has an unknown value: known are error, warning, never"),
        ({"expanso_edge_audit_registry": "/no/such/file"}, "expanso_edge_audit_registry: /no/such/file cannot be read on the controller"),
        ({"expanso_edge_audit_waivers": [{"finding": "left_over"}]}, "waivers, entry 1: node is missing"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_node_is_asked(variables: Json, says: str, controller: Controller, home: Path) -> None:
    run = audit(controller, fleet(home, a={}), home / "reports", "-vvv", **variables)
    assert run.returncode != 0 and says in run.result(REFUSAL)["msg"]
    assert run.remote_commands("a") == 0 and not (home / "reports").exists()


def test_a_token_in_the_place_of_a_fingerprint_is_refused_before_any_node_is_asked(controller: Controller, home: Path) -> None:
    secret = new_key()
    for value in (secret, ["0123456789ab", secret]):
        run = audit(controller, fleet(home, a={}), home / "reports", "-vvv", expanso_edge_fingerprint=value)
        assert run.returncode != 0 and "is not a fingerprint" in run.result("Refuse what is not a fingerprint")["msg"]
        assert run.remote_commands("a") == 0 and not (home / "reports").exists()


def test_an_audit_by_fingerprint_leaves_the_regular_report_alone(controller: Controller, home: Path) -> None:
    directory, regular = home / "reports", home / "reports" / "audit.json"
    regular.parent.mkdir()
    regular.write_text("the regular one")
    sought = {"expanso_edge_fingerprint": "0123456789AB", "expanso_edge_audit_formats": ["json", "prometheus"], "expanso_edge_audit_fail_on": "never"}
    run = audit(controller, fleet(home, a={}), directory, **sought)
    assert run.returncode == 0, run.output
    assert {path.name for path in directory.iterdir()} == {"audit.json", "audit-0123456789ab.json", "audit-0123456789ab.prom.txt"}
    assert regular.read_text() == "the regular one" and findings(json.loads((directory / "audit-0123456789ab.json").read_text())) == {("token_not_found", "a")}


def test_a_pattern_without_hosts_fails(controller: Controller, home: Path) -> None:
    run = audit(controller, fleet(home, a={}), home / "reports", expanso_edge_hosts="nobody")
    assert run.returncode == 2 and "the pattern nobody matches no host" in run.output


def test_check_mode_writes_no_report(controller: Controller, home: Path) -> None:
    plant(home, "open", new_key(), mode=0o644)
    run = audit(controller, fleet(home, open={}), home / "reports", "--check")
    assert run.returncode == 2 and not (home / "reports").exists() and run.published["check_mode"] is True
    assert run.result("Show the summary")["msg"][0] == "1 node asked, 1 answered; check mode: no report is written"


def listed(controller: Controller, inventory: Path) -> tuple[int, str, str]:
    """What ansible-inventory says of a file."""
    done = subprocess.run(
        [str(controller._programs / "ansible-inventory"), "-i", str(inventory), "--list"],
        env={**controller._settings(inventory.parent, inventory.parent / "events"), "ANSIBLE_INVENTORY_UNPARSED_FAILED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, " ".join(done.stderr.split())


@pytest.fixture
def inventory(home: Path) -> Path:
    """An inventory of the report that is in the directory beside it."""
    path = home / "expanso_edge_audit.yml"
    path.write_text("plugin: expanso.edge.audit\npath: reports/audit.json\n")
    return path


def test_every_core(every_core: Controller, home: Path, inventory: Path) -> None:
    """YAML makes dates of a registry's texts, which older versions of ansible-core cannot pass on in an option."""
    plant(home, "waiting", new_key())
    variables = home / "variables.yml"
    variables.write_text(f"expanso_edge_audit_registry: [{{fingerprint: '{'0' * 12}', expires: {datetime.now(timezone.utc):%Y-%m-%d}}}]\n")
    run = audit(every_core, fleet(home, waiting={}, down=DOWN), home / "reports", "-e", f"@{variables}", expanso_edge_audit_formats=["json"])
    assert run.returncode == 0, run.output
    assert {("unknown_token", None), ("unknown", "down")} <= findings(load(home / "reports"))
    assert run.published["codes"]["unknown_token"] == run.published["codes"]["unknown"] == 1
    returncode, output, errors = listed(every_core, inventory)
    assert returncode == 0, errors
    groups = json.loads(output)
    assert groups["expanso_edge_unreachable"]["hosts"] == ["down"]
    assert groups["expanso_edge_unregistered"]["hosts"] == ["waiting"]


def test_an_inventory_of_hostile_names(controller: Controller, home: Path, inventory: Path) -> None:
    example = json.loads((Path(__file__).parents[1] / "support" / "audit_report_example.json").read_text())
    (home / "reports").mkdir()
    (home / "reports" / "audit.json").write_text(json.dumps(example))
    returncode, output, errors = listed(controller, inventory)
    assert returncode == 0, errors
    groups = json.loads(output)
    assert groups["expanso_edge_left_over"]["hosts"] == ["edge04", "edge07"]
    assert "<script>alert(1)</script>" in groups["expanso_edge_findings_error"]["hosts"]
    assert "edge-rogue-7" not in output  # it is not in the inventory
    (home / "reports" / "audit.json").write_text(json.dumps({**example, "schema_version": 2}))
    returncode, output, errors = listed(controller, inventory)
    assert returncode != 0 and "has another schema_version than 1" in errors
