# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode says of a token whose source it does not ask."""

from __future__ import annotations

from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import NAME
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from ansible_collections.expanso.edge.plugins.plugin_utils._recorded_action import Json
from ansible_collections.expanso.edge.plugins.plugin_utils._token_action import STAND_IN, _predicted


def test_what_only_the_token_could_tell_is_left_out() -> None:
    mark = fingerprint(STAND_IN)
    answer: Json = {"msg": f"token stored as {mark}", "fingerprint": mark, "token_kind": "bootstrap_key", "expires_at": None}
    answer.update(versions=[{"fingerprint": mark}], record={"fingerprint": mark, "kind": "bootstrap_key", "label": "spring"})
    predicted = _predicted(answer)
    assert mark not in str(predicted)
    assert (predicted["fingerprint"], predicted["token_kind"]) == (None, None)
    assert predicted["record"] == {"fingerprint": None, "kind": None, "label": "spring"}
    assert predicted["msg"].endswith("check mode did not ask the token's source")


def test_a_predicted_name_is_a_name() -> None:
    """The role passes it on to the next module."""
    assert NAME.fullmatch(_predicted({"name": f"tokens-{fingerprint(STAND_IN)}"})["name"])
