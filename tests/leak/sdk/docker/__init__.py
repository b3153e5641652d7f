# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In place of the Docker SDK: a swarm in a file, whose engine says and does what FAKE_ENGINE tells it to.

FAKE_ENGINE_STATE names the file: {"secrets": [{"ID", "Spec": {"Name", "Labels"}}]}. No data of a secret is kept, as an engine gives none.
FAKE_ENGINE is empty, or

    quotes     refuse a secret, and quote it in the refusal
    400, 503   refuse a secret with that status, and a page of HTML that quotes the request, as a proxy before an engine may
    breaks     raise what the SDK never should, with the secret in it
    leaderless refuse everything
"""

import base64
import html
import json
import os

from . import errors, tls

__all__ = ["APIClient", "errors", "tls"]


class APIClient:
    """As much of the SDK's low-level client as is used."""

    def __init__(self, **_options):
        self._path = os.environ["FAKE_ENGINE_STATE"]
        self._does = os.environ.get("FAKE_ENGINE", "")
        with open(self._path, encoding="utf-8") as state:
            self._state = json.load(state)

    def info(self):
        return {"Swarm": {"LocalNodeState": "active", "ControlAvailable": True}}

    def services(self):
        return []

    def secrets(self, filters):
        if self._does == "leaderless":
            raise errors.APIError("rpc error: code = Unknown desc = The swarm does not have a leader.")
        return [each for each in self._state["secrets"] if each["Spec"]["Name"].startswith(filters["name"])]

    def create_secret(self, name, data, labels):
        text = data.decode("ascii")
        if self._does == "quotes":
            encoded = base64.b64encode(data).decode("ascii")
            raise errors.APIError(f'cannot store "{text}": POST {{"Name": "{name}", "Data": "{encoded}"}}')
        if self._does.isdigit():
            encoded = base64.urlsafe_b64encode(data).decode("ascii")
            page = f"<html><h1>{self._does}</h1><pre>POST /secrets/create {encoded}\n{html.escape(text)}</pre></html>"
            raise errors.APIError(page, self._does)
        if self._does == "breaks":
            raise ValueError("cannot make sense of " + text)
        made = {"ID": "id-of-" + name, "Spec": {"Name": name, "Labels": labels}}
        self._save([*self._state["secrets"], made])
        return made

    def remove_secret(self, identifier):
        self._save([each for each in self._state["secrets"] if each["ID"] != identifier])

    def _save(self, secrets):
        self._state["secrets"] = secrets
        with open(self._path, "w", encoding="utf-8") as state:
            json.dump(self._state, state)
