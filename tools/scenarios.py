# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run molecule scenarios, each in an invocation of its own: fresh instances, and one's faults are not the other's.

    python3 scenarios.py [COMMAND] [SCENARIO...]     COMMAND is molecule's, by default test; all scenarios where none is named

An engine is found or started, and the images are built, before molecule starts. Scenarios on the shared instances
run on the Debian releases in EDGE_SUITES (by default "bookworm trixie"). A scenario with instances of its own names
its images, as images.py knows them, in a file `images` beside its molecule.yml, and finds what each is called in the
engine in the variable EXPANSO_EDGE_IMAGE_<KIND>_<SUITE>.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

import cluster
import engine
import environments
import images
from paths import CACHE, REPOSITORY, SupportError, digest, program, say

MOLECULE = REPOSITORY / "molecule"
SHARED = "default"  # creates and destroys the shared instances
ON_KUBERNETES = ("audit", "k8s_secret", "k8s_workload", "rotation")  # they share a cluster, and run one after the other
STATE = CACHE / "molecule" / digest(REPOSITORY)
CLUSTER = STATE / "cluster"
COMMANDS = ("test", "create", "prepare", "check", "converge", "idempotence", "side_effect", "verify", "cleanup", "destroy", "login")


def scenarios():
    return sorted(file.parent.name for file in MOLECULE.glob("*/molecule.yml") if file.parent.name != SHARED)


def images_of(scenario):
    own = MOLECULE / scenario / "images"
    if own.exists():
        return [line for line in own.read_text(encoding="utf-8").split("\n") if line and not line.startswith("#")]
    return [f"systemd-{suite}" for suite in (os.environ.get("EDGE_SUITES") or "bookworm trixie").split()]


def run(command, scenario, keep_cluster=False):
    """Run one scenario; return molecule's exit code. `keep_cluster`: a later one uses it, too."""
    # molecule takes a scenario without verification for a success
    if command == "test" and not list((MOLECULE / scenario / "tests").glob("test_*.py")):
        raise SupportError(f"scenario {scenario} verifies nothing: there is no molecule/{scenario}/tests/test_*.py")
    os.environ["DOCKER_HOST"] = host = engine.up()
    names = {images.variable(*images.split(name)): images.build(name) for name in images_of(scenario)}
    state = STATE / scenario
    if command == "test":
        shutil.rmtree(state, ignore_errors=True)  # of a run that was interrupted
    variables = environments.activated(
        "test",
        **names,
        DOCKER_HOST=host,
        ANSIBLE_HOME=str(CACHE / "ansible"),
        MOLECULE_EPHEMERAL_DIRECTORY=str(state),
        MOLECULE_GLOB="molecule/*/molecule.yml",
        MOLECULE_COMMAND_BORDERS="false",
        EXPANSO_EDGE_CLUSTER=str(CLUSTER),
        EXPANSO_EDGE_KEEP_CLUSTER="1" if keep_cluster else "",
        # many runs of ansible-playbook compile the same files, see tests/support/kept_bytecode.py
        KEPT_BYTECODE=str(STATE / "bytecode"),
        PYTHONPATH=str(REPOSITORY / "tests" / "support"),
    )
    if not sys.stdout.isatty():
        variables.update(NO_COLOR="1", COLUMNS="150")
    molecule = ["molecule", "--base-config", str(MOLECULE / "config.yml"), command, "--scenario-name", scenario]
    return subprocess.run(molecule, cwd=REPOSITORY, env=variables, check=False).returncode


def run_all(command, wanted):
    known = scenarios()
    unknown = [name for name in wanted if name not in [*known, SHARED]]
    if unknown:
        raise SupportError(f"there is no scenario {', '.join(unknown)}: there are {', '.join(known)}.")
    chosen = wanted or known
    lanes = [lane for lane in ([name for name in chosen if (name in ON_KUBERNETES) == kind] for kind in (False, True)) if lane]
    if command == "test" and len(lanes) > 1:
        run_beside(command, lanes)
    else:
        run_lane(command, chosen)


def run_beside(command, lanes):
    """Run lanes of scenarios beside each other, because each waits most of its time. The output of the second follows that of the first."""
    programs = [[sys.executable, __file__, command, *lane] for lane in lanes]
    with tempfile.TemporaryFile() as output:
        second = subprocess.Popen(programs[1], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            codes = [subprocess.run(programs[0], stdin=subprocess.DEVNULL, check=False).returncode]
            say(f"Waiting for the scenarios that run beside: {', '.join(lanes[1])} ...")
            codes.append(second.wait())
        finally:
            second.terminate()
        output.seek(0)
        shutil.copyfileobj(output, sys.stdout.buffer)
        sys.stdout.flush()
    failed = [lane for lane, code in zip(lanes, codes) if code != 0]
    if failed:
        raise SupportError(f"molecule {command} failed for one of {', '.join(name for lane in failed for name in lane)}: see above.")


def run_lane(command, chosen):
    """Run scenarios one after the other, whatever fails."""
    failed = []
    if command == "test" and CLUSTER.exists() and any(name in ON_KUBERNETES for name in chosen):  # of a run that was interrupted
        cluster.down(CLUSTER)
    for number, scenario in enumerate(chosen, 1):
        say(f"\n--- molecule {command}: {scenario} ---")
        started = time.monotonic()
        if run(command, scenario, keep_cluster=any(name in ON_KUBERNETES for name in chosen[number:])) != 0:
            failed.append(scenario)
        say(f"--- {scenario}: {'FAILED' if scenario in failed else 'passed'} in {time.monotonic() - started:.0f} s ---")
    if failed:
        raise SupportError(f"molecule {command} failed for {', '.join(failed)}.")


def main():
    command, *wanted = sys.argv[1:] or ["test"]
    if command not in COMMANDS:
        raise SupportError(__doc__)
    run_all(command, wanted)


if __name__ == "__main__":
    sys.exit(program(main))
