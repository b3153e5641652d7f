# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example pipelines: no secret on a command line, and none where it is not needed."""

from __future__ import annotations

import re
import subprocess
from typing import Any, NamedTuple

import pytest
import yaml
from paths import REPOSITORY

FOLDER = REPOSITORY / "examples" / "ci"
FILES = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}
TOKEN = "EXPANSO_EDGE_BOOTSTRAP_TOKEN"


class Script(NamedTuple):
    """A script of a pipeline, and the variables that only it gets."""

    job: str
    text: str
    environment: dict[str, Any]


def scripts(name: str) -> list[Script]:
    pipeline = yaml.safe_load(FILES[name])
    if "jobs" in pipeline:
        steps = [(job, step) for job, content in pipeline["jobs"].items() for step in content["steps"] if "run" in step]
        return [Script(job, step["run"], step.get("env", {})) for job, step in steps]
    jobs = {job: {**pipeline[content["extends"]], **content} for job, content in pipeline.items() if isinstance(content, dict) and "extends" in content}
    return [Script(job, "\n".join([*content["before_script"], *content["script"]]), content.get("variables", {})) for job, content in jobs.items()]


SCRIPTS = [pytest.param(name, script, id=f"{name}:{script.job}") for name in FILES for script in scripts(name)]


def test_both_pipelines_have_both_jobs() -> None:
    assert {name: [script.job for script in scripts(name)] for name in FILES} == dict.fromkeys(
        ("github-actions.yml", "gitlab-ci.yml"), ["provision", "audit"]
    )


@pytest.mark.parametrize(("name", "script"), SCRIPTS)
def test_a_script_is_sound(name: str, script: Script) -> None:
    done = subprocess.run(["bash", "-n"], input=script.text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "${{" not in script.text, "text of a secret or of an input would become part of the script"
    for line in script.text.splitlines():
        for word in ("set -x", "StrictHostKeyChecking", TOKEN, "expanso_edge_token"):
            assert word not in line
        if "ansible-playbook" in line:
            (playbook,) = re.findall(r"expanso\.edge\.(\w+)", line)
            assert (REPOSITORY / "playbooks" / f"{playbook}.yml").is_file()
            assert playbook == script.job


def test_only_the_step_that_provisions_has_the_token() -> None:
    holders = [script.job for script in scripts("github-actions.yml") if TOKEN in script.environment]
    assert holders == ["provision"]
    assert len(re.findall(rf"secrets\.{TOKEN}\b", FILES["github-actions.yml"])) == 1
    pipeline = yaml.safe_load(FILES["github-actions.yml"])
    assert pipeline["permissions"] == {"contents": "read"}
    assert all("environment" in job for job in pipeline["jobs"].values()), "secrets are those of a protected environment"
    gitlab = yaml.safe_load(FILES["gitlab-ci.yml"])
    assert gitlab["provision"]["environment"] != gitlab["audit"]["environment"]["name"], "the scope of the variable"
    assert TOKEN not in "".join(line.partition("#")[0] for line in FILES["gitlab-ci.yml"].splitlines())
