# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manners in which a server, or a proxy in front of it, fails one request. Each is a rule for the servers of `fake_servers`."""

import json
import time
from typing import Any, Callable, Dict, Optional, Tuple

Json = Dict[str, Any]
Process = Callable[[], Tuple[int, Any]]
Manner = Callable[[Process, Json], Tuple[int, Any]]


def page(code: int) -> Manner:
    """A proxy's error page, which quotes the request."""

    def answer(_process: Process, body: Json) -> Tuple[int, Any]:
        return raw(code, f"<html><body><h1>Error</h1>\n<pre>{json.dumps(body)}</pre>{'x' * 3000}</body></html>".encode(), kind="text/html")

    return answer


def refusal(code: int, message: str, *headers: Tuple[str, str]) -> Manner:
    """The server's own answer, which quotes the request."""

    def answer(_process: Process, body: Json) -> Tuple[int, Any]:
        text = f"{message}: {json.dumps(body)}"
        return raw(code, json.dumps({"kind": "Status", "status": "Failure", "message": text, "code": code}).encode(), *headers)

    return answer


def raw(code: int, data: bytes, *headers: Tuple[str, str], length: Optional[int] = None, kind: str = "application/json") -> Tuple[int, Any]:
    def send(handler: Any) -> None:
        handler.send_response(code)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(data) if length is None else length)), *headers):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = length is not None

    return code, send


def as_bytes(content: Any) -> bytes:
    return content if isinstance(content, bytes) else json.dumps(content).encode()


def half(process: Process, _body: Json) -> Tuple[int, Any]:
    code, content = process()
    data = as_bytes(content)
    return raw(code, data[: len(data) // 2], length=len(data) + 1)


def truncated(process: Process, _body: Json) -> Tuple[int, Any]:
    code, content = process()
    data = as_bytes(content)
    return raw(code, data[: len(data) // 2])


def done_then_cut(process: Process, _body: Json) -> Tuple[int, Any]:
    process()
    return 0, None


def silence(_process: Process, _body: Json) -> Tuple[int, Any]:
    def wait(handler: Any) -> None:
        time.sleep(SILENT_SECONDS)
        handler.close_connection = True

    return 200, wait


def garbage(_process: Process, body: Json) -> Tuple[int, Any]:
    def send(handler: Any) -> None:
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.2 " + json.dumps(body).encode() + b"\r\n")
        handler.close_connection = True

    return 200, send


SILENT_SECONDS = 3

MANNERS: Dict[str, Manner] = {
    "cut": lambda _process, _body: (0, None),
    "done, then cut": done_then_cut,
    "half": half,
    "truncated": truncated,
    "silence": silence,
    "not HTTP": garbage,
    "null": lambda _process, _body: (200, None),
    "list of numbers": lambda _process, _body: (200, [1]),
    "login": lambda _process, body: raw(200, b"<html>log in, then repeat " + json.dumps(body).encode() + b"</html>", kind="text/html"),
    "redirect": lambda _process, _body: raw(307, b"", ("Location", "/login")),
    "page 502": page(502),
    "page 403": page(403),
    "error without message": lambda _process, _body: (500, {"detail": "no"}),
    "error of another kind": lambda _process, _body: (500, {"message": {"a": 1}, "details": ["b"]}),
    "401": refusal(401, "Unauthorized"),
    "404": refusal(404, "page not found"),
    "409": refusal(409, "the object has been modified; please apply your changes to the latest version"),
    "413": refusal(413, "request entity too large"),
    "422": refusal(422, "is invalid"),
    "429": refusal(429, "too many requests", ("Retry-After", "100000")),
    "500": refusal(500, "rpc error: code = Unknown desc = The swarm does not have a leader"),
    "503": refusal(503, "the server is currently unable to handle the request", ("Retry-After", "100000")),
}


class Fault:
    """A rule that fails the next request of a kind, one time."""

    def __init__(self, server: Any, request: Tuple[str, str], manner: Manner) -> None:
        self.server, self.request, self.manner, self.happened = server, request, manner, False
        server.rules.append(self)

    def __call__(self, method: str, path: str, body: Json) -> Any:
        if self.happened or kind_of(method, path) != self.request:
            return None
        self.happened = True
        clean, _mark, query = path.partition("?")
        return self.manner(lambda: self.server.answer(method, clean, query, body), body)


def kind_of(method: str, path: str) -> Tuple[str, str]:
    """What tells one request of a role from another."""
    clean, _mark, query = path.partition("?")
    return method, clean + ("?dryRun" if "dryRun" in query else "")
