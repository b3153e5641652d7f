# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane for tests: it registers nodes, and counts how often each token was spent.

It is not a product of the vendor; the stand-in agent beside it (expanso-edge) speaks to it.
Standard library only, Python 3.9 or newer, one file, so that it runs anywhere:

    python3 control_plane.py --listen 127.0.0.1:8080 --state state.json

    docker run -d -v $PWD/control_plane.py:/control_plane.py:ro -v control-plane:/state IMAGE \\
        python3 /control_plane.py --listen 0.0.0.0:8080 --state /state/state.json

With port 0 it takes a free one; the first line that it prints ends with its URL.
No token is kept or logged, only a digest of each. The state survives a restart.
Whoever reaches the port is its administrator: keep it on loopback or a network of the tests' own.

For nodes:

    POST /bootstrap   {"token": …, "name": …, "data_dir": …}, or "Authorization: Bearer TOKEN"
                      201 {"node_id", "name", "jwt"}; else {"error"}: 400 no token,
                      401 unknown or revoked token, 409 single-use token already spent, 503 unavailable

For tests, JSON in and out, in every mode:

    GET  /health           200
    GET  /admin/state      everything known, see below
    POST /admin/tokens     {"token": …, "label": "fleet", "single_use": false}   both options may be left out;
                           adding a known token again changes single_use, and takes a revocation back;
                           409 when the label is another token's
    POST /admin/revoke     {"token": …} or {"label": …}; 404 when there is no such token
    POST /admin/mode       {"mode": …, "seconds": …, "failures": …}
    POST /admin/reset      forget tokens and events, mode normal

Modes, for POST /bootstrap only:

    normal        answer
    unavailable   503
    flaky         503 to the next `failures` requests (default 1), then normal
    slow          wait `seconds` (default 2) or for a new mode, then do and answer as usual,
                  even if the node has gone
    hang          accept, never answer; nothing is spent; a new mode closes the connections
    lost          register the node and spend the token, but close the connection without an answer

The state, by label ("token-1", "token-2"… where none was given) and in the order of events:

    {"mode": {"name": "normal", "seconds": 2, "failures": 1},
     "tokens": {"fleet": {"id": …, "single_use": false, "revoked": false, "spent": 3, "nodes": {"web1": 2, "web2": 1}}},
     "registrations": [{"time", "outcome": "registered", "token": "fleet", "node", "node_id", "data_dir", "address"}],
     "refusals": [{"time", "outcome", "token": null, "node", …}]}

    outcome of a refusal: malformed, unknown, revoked, spent, unavailable (503), unanswered (hang)

From Python:

    with ControlPlane() as plane:                    # a free loopback port, in a thread; stopped at the end
        plane.client.add_token(token)
        ...                                          # nodes register at plane.url
        assert plane.client.nodes(token) == {"web1": 1}

    client = ControlPlaneClient("http://192.0.2.7:8080")    # one that runs elsewhere
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import secrets
import signal
import socketserver
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, NamedTuple

MODES = ("normal", "unavailable", "flaky", "slow", "hang", "lost")
LARGEST_REQUEST = 1024 * 1024
REFUSALS = {
    "malformed": (400, "no bootstrap token in the request"),
    "unknown": (401, "invalid bootstrap token"),
    "revoked": (401, "invalid bootstrap token"),
    "spent": (409, "bootstrap token already spent"),
    "unavailable": (503, "temporarily unavailable"),
}

Json = dict[str, Any]


class ControlPlaneError(Exception):
    """A request that cannot be served, or was not."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


# Tokens to test with.


def new_key() -> str:
    """A fresh reusable bootstrap key."""
    return "exp_bk_" + secrets.token_urlsafe(24)


def new_jwt(lifetime: float = 3600, **claims: object) -> str:
    """A fresh token in the shape of a JWT; its signature is random, for nobody here verifies it."""
    now = int(time.time())
    header = {"alg": "HS256", "typ": "JWT"}
    payload = {"iat": now, "exp": now + int(lifetime), "jti": secrets.token_hex(8), **claims}
    parts = [json.dumps(part).encode() for part in (header, payload)] + [secrets.token_bytes(32)]
    return ".".join(base64.urlsafe_b64encode(part).decode("ascii").rstrip("=") for part in parts)


def token_id(token: str) -> str:
    """What is kept of a token: enough to know it again, in no form in which one would search for it."""
    data = b"control plane of the tests\0" + token.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:16]


# What the control plane knows.


@dataclass
class Mode:
    """How requests of nodes are answered."""

    name: str = "normal"
    seconds: float = 2
    failures: int = 1


@dataclass
class Token:
    """A token that was added."""

    id: str
    single_use: bool = False
    revoked: bool = False


@dataclass
class Event:
    """One attempt of a node to register."""

    time: str
    outcome: str
    token: str | None
    node: str
    node_id: str | None
    data_dir: str
    address: str


class Node(NamedTuple):
    """What a node says of itself, and where it called from."""

    name: str
    data_dir: str
    address: str


@dataclass
class State:
    """Tokens by label, all events in their order, and the mode. Pure: no lock, no file, no network."""

    mode: Mode = field(default_factory=Mode)
    tokens: dict[str, Token] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @classmethod
    def from_json(cls, data: Json) -> State:
        """The inverse of dataclasses.asdict()."""
        return cls(
            mode=Mode(**data["mode"]),
            tokens={label: Token(**token) for label, token in data["tokens"].items()},
            events=[Event(**event) for event in data["events"]],
        )

    def report(self) -> Json:
        """Everything known, as the admin API gives it."""
        return {
            "mode": asdict(self.mode),
            "tokens": {
                label: {**asdict(token), "spent": len(self.spenders(label)), "nodes": Counter(self.spenders(label))}
                for label, token in self.tokens.items()
            },
            "registrations": [asdict(event) for event in self.events if event.outcome == "registered"],
            "refusals": [asdict(event) for event in self.events if event.outcome != "registered"],
        }

    def spenders(self, label: str) -> list[str]:
        """The nodes that spent a token, once for each time."""
        return [event.node for event in self.events if event.outcome == "registered" and event.token == label]

    def label_of(self, token: str) -> str | None:
        """The label of a known token."""
        wanted = token_id(token)
        return next((label for label, known in self.tokens.items() if known.id == wanted), None)

    def add_token(self, token: str, label: str | None, single_use: bool) -> str:
        """Make a token valid; return its label."""
        known = self.label_of(token)
        if label is None:
            label = known or f"token-{len(self.tokens) + 1}"
        if known not in (None, label) or (known is None and label in self.tokens):
            raise ControlPlaneError(409, "label and token belong to different tokens")
        self.tokens[label] = Token(token_id(token), single_use)
        return label

    def revoke(self, label: str | None) -> None:
        """Make a token invalid."""
        if label not in self.tokens:
            raise ControlPlaneError(404, "no such token")
        self.tokens[label].revoked = True

    def judge(self, token: str | None) -> tuple[str, str | None]:
        """The outcome of an attempt with this token, and the token's label."""
        if self.mode.name == "unavailable":
            return "unavailable", None
        if self.mode.name == "flaky" and self.mode.failures > 0:
            self.mode.failures -= 1
            return "unavailable", None
        if not token:
            return "malformed", None
        label = self.label_of(token)
        if label is None:
            return "unknown", None
        if self.tokens[label].revoked:
            return "revoked", label
        if self.tokens[label].single_use and self.spenders(label):
            return "spent", label
        return "registered", label

    def record(self, outcome: str, label: str | None, node: Node) -> Event:
        """Write an attempt down; a registered node gets its identity here."""
        event = Event(
            time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            outcome=outcome,
            token=label,
            node=node.name,
            node_id=f"node-{secrets.token_hex(8)}" if outcome == "registered" else None,
            data_dir=node.data_dir,
            address=node.address,
        )
        self.events.append(event)
        return event


class Store:
    """The state behind a lock, kept in a file where one is named."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._mode_changes = 0
        self._state = State()
        if path is not None:
            if path.exists():
                try:
                    self._state = State.from_json(json.loads(path.read_text(encoding="utf-8")))
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise ControlPlaneError(500, f"{path} is not a state of the control plane") from None
            self._save()

    def _save(self) -> None:
        """Replace the file atomically: a restart finds the old state or the new one."""
        if self._path is not None:
            fresh = self._path.with_name(self._path.name + ".new")
            with fresh.open("w", encoding="utf-8") as stream:
                json.dump(asdict(self._state), stream)
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(self._path)

    def report(self) -> Json:
        """Everything known."""
        with self._changed:
            return self._state.report()

    def add_token(self, request: Json) -> Json:
        """Make a token valid."""
        token, label = text(request, "token"), text(request, "label")
        if not token:
            raise ControlPlaneError(400, "token is missing")
        with self._changed:
            label = self._state.add_token(token, label, bool(request.get("single_use", False)))
            self._save()
        return {"label": label}

    def revoke(self, request: Json) -> Json:
        """Make a token invalid."""
        token, label = text(request, "token"), text(request, "label")
        with self._changed:
            label = label if token is None else self._state.label_of(token)
            self._state.revoke(label)
            self._save()
        return {"label": label}

    def set_mode(self, request: Json) -> Json:
        """Change how nodes are answered, and answer those that wait."""
        try:
            mode = Mode(
                str(request["mode"]),
                float(request.get("seconds", Mode.seconds)),
                int(request.get("failures", Mode.failures)),
            )
        except (KeyError, TypeError, ValueError):
            raise ControlPlaneError(400, "mode is missing, or seconds or failures is not a number") from None
        if mode.name not in MODES:
            raise ControlPlaneError(400, f"mode is not one of {', '.join(MODES)}")
        with self._changed:
            self._state.mode = mode
            self._let_go()
            self._save()
        return asdict(mode)

    def reset(self, _request: Json) -> Json:
        """Forget everything."""
        with self._changed:
            self._state = State()
            self._let_go()
            self._save()
        return {}

    def release(self) -> None:
        """Release the nodes that wait, because this is the end."""
        with self._changed:
            self._let_go()

    def _let_go(self) -> None:
        self._mode_changes += 1
        self._changed.notify_all()

    def bootstrap(self, token: str | None, node: Node) -> tuple[Event, bool]:
        """Register a node, or refuse it; return what happened, and whether the node shall be told."""
        with self._changed:
            mode, before = self._state.mode, self._mode_changes
            if mode.name == "hang":
                event = self._state.record("unanswered", None, node)
                self._save()
                self._changed.wait_for(lambda: self._mode_changes != before)
                return event, False
            if mode.name == "slow":
                self._changed.wait_for(lambda: self._mode_changes != before, mode.seconds)
            event = self._state.record(*self._state.judge(token), node)
            self._save()
            return event, mode.name != "lost"


def text(request: Json, key: str) -> str | None:
    """An optional text in a request."""
    value = request.get(key)
    if value is not None and not isinstance(value, str):
        raise ControlPlaneError(400, f"{key} is not a text")
    return value


# HTTP.


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    server_version = "control-plane-of-the-tests"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:  # the name is http.server's
        """Health and state."""
        if self.path == "/health":
            self._answer(200, {"status": "ok"})
        elif self.path == "/admin/state":
            self._answer(200, self.server.store.report())
        else:
            self._answer(404, {"error": "not found"})

    def do_POST(self) -> None:  # the name is http.server's
        """Registration and administration."""
        store = self.server.store
        actions: dict[str, Callable[[Json], Json]] = {
            "/admin/tokens": store.add_token,
            "/admin/revoke": store.revoke,
            "/admin/mode": store.set_mode,
            "/admin/reset": store.reset,
        }
        try:
            if self.path == "/bootstrap":
                self._bootstrap(self._request())
            elif self.path in actions:
                self._answer(200, actions[self.path](self._request()))
                self.server.log(f"POST {self.path}")
            else:
                self._answer(404, {"error": "not found"})
        except ControlPlaneError as error:
            self._answer(error.status, {"error": error.message})

    def _request(self) -> Json:
        """The body of the request, a JSON object; an empty body is an empty object."""
        try:
            length = int(self.headers.get("Content-Length", 0))
            if length > LARGEST_REQUEST:
                raise ControlPlaneError(413, "the request is too large")
            request = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            request = None
        if not isinstance(request, dict):
            raise ControlPlaneError(400, "the body is not a JSON object")
        return request

    def _bootstrap(self, request: Json) -> None:
        token = text(request, "token")
        scheme, dummy, credential = self.headers.get("Authorization", "").partition(" ")
        if token is None and scheme == "Bearer":
            token = credential.encode("latin-1").decode("utf-8", "surrogateescape")
        address = self.client_address[0]
        node = Node(text(request, "name") or address, text(request, "data_dir") or "", address)
        event, answered = self.server.store.bootstrap(token, node)
        self.server.log(f"POST /bootstrap {event.outcome}, node {event.node!r}, token {event.token!r}")
        if not answered:
            self.close_connection = True
        elif event.outcome == "registered":
            jwt = new_jwt(sub=event.node_id, name=event.node)
            self._answer(201, {"node_id": event.node_id, "name": event.node, "jwt": jwt})
        else:
            status, message = REFUSALS[event.outcome]
            self._answer(status, {"error": message})

    def _answer(self, status: int, body: Json) -> None:
        data = json.dumps(body).encode("ascii") + b"\n"
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except ConnectionError:
            self.close_connection = True  # the node has gone; what was done stays done

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a request line could hold a token."""


class Server(ThreadingHTTPServer):
    """The listening socket; one thread a request."""

    request_queue_size = 256
    # HTTPServer's own would look the host's name up, which takes long where no DNS answers.
    server_bind = socketserver.TCPServer.server_bind

    def __init__(self, address: tuple[str, int], store: Store, log: Callable[[str], None]) -> None:
        self.store = store
        self.log = log
        super().__init__(address, Handler)


class ControlPlane:
    """A control plane in a thread of this process, for as long as the context lasts."""

    def __init__(
        self,
        listen: str = "127.0.0.1:0",
        state: Path | None = None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        host, dummy, port = listen.rpartition(":")
        self._store = Store(state)
        self._server = Server((host, int(port)), self._store, log)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, as seen from this host."""
        host, port = str(self._server.server_address[0]), self._server.server_address[1]
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"

    @property
    def client(self) -> ControlPlaneClient:
        """A client for it."""
        return ControlPlaneClient(self.url)

    def __enter__(self) -> ControlPlane:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._store.release()
        self._server.server_close()
        self._thread.join()


class ControlPlaneClient:
    """The admin API, from Python."""

    def __init__(self, url: str, timeout: float = 10) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def _call(self, path: str, body: Json | None = None) -> Json:
        """GET, or POST where there is a body."""
        data = None if body is None else json.dumps(body).encode("ascii")
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                answer: Json = json.load(response)
        except urllib.error.HTTPError as error:
            raise ControlPlaneError(error.code, json.load(error).get("error", "")) from None
        return answer

    def wait_until_ready(self, seconds: float = 10) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._call("/health")
            except OSError as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no control plane at {self.url}: {error}") from None
                time.sleep(0.1)
            else:
                return

    def add_token(self, token: str, *, label: str | None = None, single_use: bool = False) -> None:
        """Make a token valid."""
        self._call("/admin/tokens", {"token": token, "label": label, "single_use": single_use})

    def revoke(self, token: str) -> None:
        """Make a token invalid."""
        self._call("/admin/revoke", {"token": token})

    def set_mode(self, mode: str, *, seconds: float = Mode.seconds, failures: int = Mode.failures) -> None:
        """Change how nodes are answered."""
        self._call("/admin/mode", {"mode": mode, "seconds": seconds, "failures": failures})

    def reset(self) -> None:
        """Forget tokens and events; mode normal."""
        self._call("/admin/reset", {})

    def state(self) -> Json:
        """Everything known."""
        return self._call("/admin/state")

    def nodes(self, token: str) -> dict[str, int]:
        """How often each node spent the token."""
        wanted = token_id(token)
        found = [known["nodes"] for known in self.state()["tokens"].values() if known["id"] == wanted]
        if not found:
            raise ControlPlaneError(404, "no such token")
        nodes: dict[str, int] = found[0]
        return nodes

    def spent(self, token: str) -> int:
        """How often the token was spent."""
        return sum(self.nodes(token).values())

    def registrations(self, node: str | None = None) -> list[Json]:
        """All registrations, or those of one node."""
        return [event for event in self.state()["registrations"] if node in (None, event["node"])]

    def refusals(self, outcome: str | None = None) -> list[Json]:
        """All refusals, or those of one kind."""
        return [event for event in self.state()["refusals"] if outcome in (None, event["outcome"])]


def main(argv: list[str]) -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="ADDRESS:PORT")
    parser.add_argument("--state", type=Path, metavar="FILE", help="default: in memory only")
    args = parser.parse_args(argv)

    # Blocked, then waited for: this works as PID 1 of a container too, where default actions do not.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        plane = ControlPlane(args.listen, args.state, lambda line: print(line, flush=True))
    except (OSError, ValueError, OverflowError, ControlPlaneError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    with plane:
        print(f"control plane of the tests listens on {plane.url}", flush=True)
        signal.sigwait(ends)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
