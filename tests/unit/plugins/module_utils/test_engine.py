# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any

import pytest
import yaml
from ansible_collections.expanso.edge.plugins.doc_fragments._engine import ModuleDocFragment
from ansible_collections.expanso.edge.plugins.module_utils._engine import ARGUMENT_SPEC, APIError, DockerException, check_engine, reason
from ansible_collections.expanso.edge.plugins.module_utils._errors import SwarmError

pytest.importorskip("docker")


@pytest.mark.parametrize(
    ("swarm", "words"),
    [
        ({"LocalNodeState": "inactive"}, "is not in a swarm"),
        ({}, "is not in a swarm"),
        (None, "is not in a swarm"),
        ({"LocalNodeState": "locked"}, "is locked"),
        ({"LocalNodeState": "pending"}, "state pending"),
        ({"LocalNodeState": "error"}, "state error"),
        ({"LocalNodeState": "active"}, "is a worker of its swarm"),
        (
            {"LocalNodeState": "active", "ControlAvailable": False, "RemoteManagers": [{"Addr": "b:2377"}, {"Addr": "a:2377"}]},
            r"name a manager \(they are a:2377, b:2377\)",
        ),
    ],
)
def test_an_engine_that_is_not_a_manager_is_refused_for_its_reason(swarm: Any, words: str) -> None:
    with pytest.raises(SwarmError, match=f"engine E .*{words}"):
        check_engine({"Swarm": swarm}, "engine E")


def test_a_manager_is_accepted() -> None:
    check_engine({"Swarm": {"LocalNodeState": "active", "ControlAvailable": True}}, "engine E")


def test_an_engine_that_was_a_manager_must_not_begin_a_new_swarm() -> None:
    with pytest.raises(SwarmError, match="is not in a swarm, or not yet after a restart"):
        check_engine({"Swarm": {"LocalNodeState": "inactive"}}, "E", was_manager=True)


def test_versions_of_sdk_and_requests_that_do_not_fit() -> None:
    fault = DockerException("Error while fetching server API version: Not supported URL scheme http+docker")
    assert reason(fault).startswith("the Docker SDK for Python and its library requests are not compatible (docker ")
    assert "install docker 7.1 or newer, or requests below 2.32" in reason(fault)


def test_an_address_of_the_sdk_s_own_in_another_fault_is_not_a_sign_of_that() -> None:
    """It stands in every refusal of an engine that is reached by a socket."""
    url = "500 Server Error for http+docker://localhost/v1.43/secrets: Internal Server Error"
    assert reason(DockerException(url)) == url
    assert reason(APIError(url, explanation="no leader")) == "no leader"


def test_options_are_documented() -> None:
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert {name: (option["type"], option.get("default")) for name, option in documented.items()} == {
        name: (option["type"], option.get("default")) for name, option in ARGUMENT_SPEC.items()
    }
