# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In place of a Kubernetes API server: one that behaves as badly as it is told to. The real one is in the molecule scenarios.

The first part of a path is the name of a cluster, a store of objects by path. What a cluster does with an object that is applied:

    ""        stores it
    quotes    refuses it, and quotes it in the refusal, as an admission webhook may
    breaks    answers with what is no JSON, and holds the object
    drops     closes the connection
    forbids   lets nobody do anything
    400, 503  refuses it with that status, and a page of HTML that quotes the request, as a proxy may
"""

from __future__ import annotations

import base64
import html
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]


class ApiServer:
    """A server on a free port of the loopback interface, in a thread."""

    def __init__(self) -> None:
        self.behaviour: dict[str, str] = {}
        self.objects: dict[str, Json] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"api": self}))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def cluster(self, name: str, behaviour: str, *objects: Json) -> str:
        """Have a cluster with these objects; return the URL of its API."""
        self.behaviour[name] = behaviour
        for each in objects:
            metadata, resource = each["metadata"], each["kind"].lower() + "s"
            self.objects[f"/{name}/api/v1/namespaces/{metadata['namespace']}/{resource}/{metadata['name']}"] = each
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    api: ApiServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = self._path()
        if "/secrets" in path and self._behaviour() == "forbids":
            self._status(403, "Forbidden", 'secrets is forbidden: User "leak" cannot get resource "secrets"')
            return
        if path.endswith("/version"):
            self._answer(200, {"gitVersion": "v1.32.5"})
        elif path.endswith("/apis"):
            self._answer(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
        elif path in self.api.objects:
            self._answer(200, self.api.objects[path])
        elif path.rsplit("/", 1)[-1] in ("secrets", "pods", "events"):
            self._answer(200, {"kind": "List", "items": [each for key, each in self.api.objects.items() if key.startswith(path + "/")]})
        else:
            self._status(404, "NotFound", "not found")

    def do_POST(self) -> None:
        body = json.loads(self._body())
        if body["kind"] == "SelfSubjectAccessReview":
            body["status"] = {"allowed": self._behaviour() != "forbids"}
        self._answer(201, body)

    def do_PATCH(self) -> None:
        body = self._body()
        behaviour, path = self._behaviour(), self._path()
        if behaviour == "quotes":
            data = json.loads(body).get("data", {})
            plain = ", ".join(base64.b64decode(value).decode() for value in data.values())
            self._status(422, "Invalid", f'admission webhook "policy.test" denied the request: {data} ({plain})')
        elif behaviour == "breaks":
            self._send(200, b"<html>" + body)
        elif behaviour and behaviour.isdigit():
            texts = [base64.b64decode(value).decode() for value in json.loads(body).get("data", {}).values()]
            request = html.escape(f"{self.command} {self.path} {dict(self.headers)} {body.decode()} {texts}")
            self._send(int(behaviour), f"<html><h1>{behaviour}</h1><pre>{request}</pre></html>".encode(), "text/html")
        elif behaviour == "drops":
            self.close_connection = True
        else:
            applied = json.loads(body)
            applied["metadata"].update(uid="1", generation=1)
            if not self._dry_run():
                self.api.objects[path] = applied
            self._answer(200, applied)

    def do_DELETE(self) -> None:
        dry_run = json.loads(self._body()).get("dryRun")
        found = self.api.objects[self._path()] if dry_run else self.api.objects.pop(self._path())
        self._answer(200, found)

    def _path(self) -> str:
        return urlsplit(self.path).path

    def _behaviour(self) -> Optional[str]:
        return self.api.behaviour.get(self._path().split("/")[1])

    def _dry_run(self) -> bool:
        return bool(parse_qs(urlsplit(self.path).query).get("dryRun"))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _status(self, code: int, reason: str, message: str) -> None:
        self._answer(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code})

    def _answer(self, code: int, content: Json) -> None:
        self._send(code, json.dumps(content).encode())

    def _send(self, code: int, data: bytes, kind: str = "application/json") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
