# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The matrix runs what README.md says."""

from __future__ import annotations

from collections import Counter

import matrix
import pytest
from cases import CASES, JOBS
from conftest import CORES
from matrix import CHECK_SHOWS_MOST, MASKS_LEAST, SAMPLE, SHOW_LESS, SHOWS_MOST, fleets, jobs

Turns = set[tuple[str, str, str]]


def turns(full: bool, monkeypatch: pytest.MonkeyPatch) -> dict[str, Turns]:
    """Return core, playbook and mode of each run of each case."""
    monkeypatch.setattr(matrix, "FULL", full)
    found: dict[str, Turns] = {name: set() for name in CASES}
    for shared, cases in fleets(list(CORES)).items():
        for case in cases:
            turn = (shared.core, shared.playbook, shared.mode)
            assert turn not in found[case.name]
            found[case.name].add(turn)
    return found


def test_each_case_is_run_as_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, found in turns(False, monkeypatch).items():
        playbooks = CASES[name].playbooks
        assert {playbook for _core, playbook, _mode in found} == set(playbooks)
        for playbook in set(playbooks) - {"direct"}:
            assert (MASKS_LEAST, playbook, SHOWS_MOST) in found, name
            assert {mode for _core, ran, mode in found if ran == playbook} >= {SHOWS_MOST, CHECK_SHOWS_MOST}, name
        if "provision" in playbooks and "direct" in playbooks:
            most = [turn for turn in found if turn[1:] in (("provision", SHOWS_MOST), ("provision", CHECK_SHOWS_MOST), ("direct", SHOWS_MOST))]
            assert len({core for core, _playbook, _mode in most}) == len(most) == 3, name


def test_samples_are_as_large_as_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Counter(turn for each in turns(False, monkeypatch).values() for turn in each)
    provisioned, direct = (sum(playbook in case.playbooks for case in CASES.values()) for playbook in ("provision", "direct"))
    less = [found[MASKS_LEAST, "provision", mode] for mode in SHOW_LESS]
    assert sum(less) >= provisioned // SAMPLE
    assert max(less) - min(less) <= 1
    assert found[MASKS_LEAST, "direct", CHECK_SHOWS_MOST] >= direct // SAMPLE


def test_the_full_matrix_leaves_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    default, full = turns(False, monkeypatch), turns(True, monkeypatch)
    assert [name for name in CASES if not default[name] <= full[name]] == []
    for name, found in full.items():
        assert {(core, playbook) for core, playbook, _mode in found} == {(core, playbook) for core in CORES for playbook in CASES[name].playbooks}


def test_each_job_is_run_as_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "FULL", False)
    default = jobs(list(CORES))
    for name, case in JOBS.items():
        cores = [core for core, job, _mode in default if job == name]
        assert len(set(cores)) == len(cores) == (2 if case.secret else 1)
        assert case.secret is (MASKS_LEAST in cores)
    assert {core for core, _job, _mode in default} == set(CORES)
    monkeypatch.setattr(matrix, "FULL", True)
    assert set(default) <= set(jobs(list(CORES)))
