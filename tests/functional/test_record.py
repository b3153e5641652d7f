# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays known of tokens: the enrolment record on the node, and the audit trail on the controller."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from ansible_runs import TOKEN_VARIABLE, Controller, Json, Run, local_node
from control_plane import ControlPlane, new_key
from files import file, tree

PROVISION = "expanso.edge.provision"
TASK = "Bring the token file to its state"
RUN_ID = r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}"


def entries(home: Path, name: str) -> list[Json]:
    """A node's enrolment record."""
    found: list[Json] = json.loads((home / name / "data" / "enrolment.json").read_text())["enrolments"]
    return found


def fingerprint(token: str) -> str:
    return hashlib.sha256(b"expanso.edge bootstrap token\0" + token.encode()).hexdigest()[:12]


def lines(trail: Path) -> list[Json]:
    """The lines of an audit trail, which is whole."""
    found, previous = [json.loads(line) for line in trail.read_text().splitlines()], "0" * 64
    for each in found:
        bare = json.dumps({name: value for name, value in each.items() if name != "hash"}, sort_keys=True, separators=(",", ":"))
        assert (each["previous"], each["hash"]) == (previous, hashlib.sha256(bare.encode()).hexdigest())
        previous = each["hash"]
    return found


def test_record_of_a_node(controller: Controller, home: Path) -> None:
    """Predicted, written, left alone once the node is registered, and left when the token is removed."""
    first, second = new_key(), new_key()
    variables = local_node(home, "node", expanso_edge_token_label="spring")
    record = home / "node" / "data" / "enrolment.json"

    def run(token: str, *arguments: str, **more: object) -> Run:
        hosts = {"node": {**variables, **more}}
        return controller.run(PROVISION, "--diff", *arguments, hosts=hosts, environment={TOKEN_VARIABLE: token}, secrets=[first, second])

    predicted = run(first, "--check").result(TASK)
    assert predicted["record"]["fingerprint"] == predicted["diff"]["after"]["record"]["fingerprint"] == fingerprint(first)
    assert predicted["diff"]["before"]["record"] is None and list(home.iterdir()) == []

    done = run(first, "-e", "awx_job_id=17")
    entry = entries(home, "node")[0]
    assert entries(home, "node") == [done.result(TASK)["record"]] == [{
        "fingerprint": fingerprint(first), "kind": "bootstrap_key", "label": "spring", "delivery": "file", "job_id": "17", "collection_version": "1.1.0",
        "run_id": entry["run_id"], "written_at": entry["written_at"],
    }]
    assert re.fullmatch(RUN_ID, entry["run_id"]) and re.fullmatch(r"[0-9-]{10}T[0-9:]{8}Z", entry["written_at"])
    assert (record.stat().st_mode & 0o777, record.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    before = tree(home)
    assert run(first).recap("node")["changed"] == 0 and tree(home) == before

    assert run(second).recap("node")["changed"] == 1
    assert [each["fingerprint"] for each in entries(home, "node")] == [fingerprint(first), fingerprint(second)]

    (home / "node" / "data" / "identity").touch()
    seen = file(record)
    result = run(first).result(TASK)
    assert (result["changed"], result["registered"], result["record"]["fingerprint"]) == (False, True, fingerprint(second))
    assert run(first, token_file_state="absent").result(TASK)["action"] == "removed"
    assert file(record) == seen and not (home / "node" / "bootstrap.token").exists()


def test_record_of_many_nodes(controller: Controller, home: Path, agent: Path, plane: ControlPlane) -> None:
    """Upgraded, unwritable, damaged, switched off and registering ones; one run, one identifier."""
    key = new_key()
    plane.client.add_token(key)
    registers = {"token_file_register": True, "expanso_edge_binary": str(agent), "expanso_edge_bootstrap_url": plane.url}
    hosts = {
        "upgraded": local_node(home, "upgraded"),
        "linked": local_node(home, "linked"),
        "damaged": local_node(home, "damaged"),
        "labelled": local_node(home, "labelled", expanso_edge_token_label="{{ undefined_variable }}"),
        "mistaken": local_node(home, "mistaken", expanso_edge_token_label=key),
        "registers": local_node(home, "registers", **registers),
    }
    for name in ("upgraded", "linked", "damaged"):
        (home / name / "data").mkdir(parents=True)
    path = home / "upgraded" / "bootstrap.token"
    path.write_text(key)
    path.chmod(0o600)
    os.utime(path, (1764496800, 1764496800))
    (home / "linked" / "data" / "enrolment.json").symlink_to("/dev/null")
    (home / "damaged" / "data" / "enrolment.json").write_text("{")

    run = controller.run(PROVISION, hosts=hosts, environment={TOKEN_VARIABLE: key}, secrets=[key])
    assert run.returncode == 0, run.output
    upgraded = run.result(TASK, "upgraded")
    assert (upgraded["action"], upgraded["changed"], upgraded["record"]["written_at"]) == ("kept", True, "2025-11-30T10:00:00Z")
    assert "enrolment.json is a symbolic link, which is not followed" in run.output and run.result(TASK, "linked")["action"] == "written"
    assert (home / "damaged" / "data" / "enrolment.json.damaged").read_text() == "{"
    assert entries(home, "labelled")[0]["label"] is None and entries(home, "mistaken")[0]["label"] == "********"
    assert {entries(home, name)[0]["run_id"] for name in hosts if name != "linked"} == {upgraded["record"]["run_id"]}
    assert [each["fingerprint"] for each in entries(home, "registers")] == [fingerprint(key)]
    assert run.result(TASK, "registers")["record"] == entries(home, "registers")[0]

    again = controller.run(PROVISION, hosts=hosts, environment={TOKEN_VARIABLE: key}, secrets=[key])
    assert again.totals()["changed"] == 0


def test_trail_of_a_fleet(controller: Controller, home: Path, agent: Path, plane: ControlPlane) -> None:
    key = new_key()
    plane.client.add_token(key)
    trail = home / "trail.jsonl"
    registers = {"token_file_register": True, "token_file_remove_after_registration": True, "expanso_edge_binary": str(agent)}
    hosts = {f"node{number}": local_node(home, f"node{number}", expanso_edge_token_label="spring") for number in range(12)}
    hosts["registers"] = local_node(home, "registers", expanso_edge_bootstrap_url=plane.url, **registers)

    def run(*arguments: str) -> Run:
        common = ["--forks", "10", "-e", f"expanso_edge_trail_file={trail}", "-e", "awx_user_name=ada"]
        return controller.run(PROVISION, *common, *arguments, hosts=hosts, environment={TOKEN_VARIABLE: key}, secrets=[key])

    run("--check")
    assert not trail.exists()
    assert run().returncode == 0
    found = lines(trail)
    assert key not in trail.read_text() and trail.stat().st_mode & 0o777 == 0o600
    assert {each["node"] for each in found} == set(hosts) and {each["run_id"] for each in found} == {entries(home, "node0")[0]["run_id"]}
    written = next(each for each in found if each["node"] == "node0")
    assert {name: written[name] for name in ("action", "module", "place", "user", "job_id", "label", "former_fingerprint", "fingerprint")} == {
        "action": "written", "module": "expanso.edge.bootstrap_token", "place": str(home / "node0" / "bootstrap.token"), "user": "ada", "job_id": None,
        "label": "spring", "former_fingerprint": None, "fingerprint": fingerprint(key),
    }
    assert [(each["action"], each["former_fingerprint"], each["fingerprint"]) for each in found if each["node"] == "registers"] == [
        ("written", None, fingerprint(key)), ("registered", None, fingerprint(key)), ("removed", fingerprint(key), None),
    ]
    run()
    assert lines(trail) == found

    trail.chmod(0o600)
    before = tree(home)
    for wrong in (str(home), "{{ undefined_variable }}", str(home / "missing" / "trail")):
        refused = run("-e", json.dumps({"expanso_edge_trail_file": wrong, "token_file_state": "absent"}), "-vvv")
        assert refused.totals()["failed"] == len(hosts) and not any(refused.remote_commands(name) for name in hosts), refused.output
    assert tree(home) == before
