# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Kubernetes API and a Docker engine on loopback that do as they are told, for what real ones do seldom. The real ones are in the molecule scenarios."""

import copy
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any, Callable, Dict, List, Optional, Tuple
from urllib.parse import parse_qs

Json = Dict[str, Any]
Answer = Tuple[int, Any]
Rule = Callable[[str, str, Json], Optional[Answer]]

PLURALS = {
    "ConfigMap": "api/v1/namespaces/edge/configmaps",
    "Deployment": "apis/apps/v1/namespaces/edge/deployments",
    "Event": "api/v1/namespaces/edge/events",
    "Namespace": "api/v1/namespaces",
    "PersistentVolumeClaim": "api/v1/namespaces/edge/persistentvolumeclaims",
    "Pod": "api/v1/namespaces/edge/pods",
    "ReplicaSet": "apis/apps/v1/namespaces/edge/replicasets",
    "Secret": "api/v1/namespaces/edge/secrets",
}


def refusal(code: int, message: str, reason: str = "") -> Answer:
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code}


class Cluster:
    """What the API holds, what it was asked, and rules that answer in its place: each takes method, path and body."""

    def __init__(self) -> None:
        self.objects = {}  # type: Dict[str, Json]
        self.asked = []  # type: List[Tuple[str, str]]
        self.headers = []  # type: List[Json]
        self.sent = []  # type: List[Json]
        self.rules = []  # type: List[Rule]
        self.url = ""

    def hold(self, kind: str, name: str, **fields: Any) -> Json:
        """Let the cluster hold an object; metadata may be given."""
        path = f"/{PLURALS[kind]}/{name}"
        metadata = dict({"name": name, "uid": "u-" + name}, **fields.pop("metadata", {}))
        if kind != "Namespace":
            metadata["namespace"] = "edge"
        self.objects[path] = dict({"apiVersion": "v1", "kind": kind, "metadata": metadata}, **fields)
        return self.objects[path]

    def find(self, kind: str, name: str) -> Optional[Json]:
        return self.objects.get(f"/{PLURALS[kind]}/{name}")

    def changes(self) -> List[Tuple[str, str]]:
        return [each for each in self.asked if each[0] != "GET" and "selfsubjectaccessreviews" not in each[1]]

    def answer(self, method: str, path: str, query: str, body: Json) -> Answer:
        for rule in self.rules:
            found = rule(method, path + ("?" + query if query else ""), body)
            if found is not None:
                return found
        dry = "dryRun" in query or bool(body.get("dryRun"))
        if path == "/version":
            return 200, {"gitVersion": "v1.32.5", "major": "1", "minor": "32"}
        if path in ("/apis", "/api"):
            return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": []}
        if method == "POST":
            return 201, dict(body, status={"allowed": True})
        if method == "PATCH":
            self.sent.append(body)
            made = copy.deepcopy(body)
            if "kind" not in body and path in self.objects:  # a merge of data alone
                made = copy.deepcopy(self.objects[path])
                made["data"] = {key: each for key, each in dict(made["data"], **body["data"]).items() if each is not None}
            made.setdefault("metadata", {}).setdefault("uid", "u-new")
            made["metadata"].setdefault("name", path.rsplit("/", 1)[-1])
            if not dry:
                self.objects[path] = made
            return 200, made
        if path not in self.objects:
            if path.strip("/") in PLURALS.values():
                return 200, {"kind": "List", "items": self._items(path, query)}
            return refusal(404, "not found", "NotFound")
        if method == "DELETE" and not dry:
            held = self.objects[path]
            if held["metadata"].get("finalizers"):
                held["metadata"].setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")
                return 200, held
            return 200, self.objects.pop(path)
        return 200, self.objects[path]

    def _items(self, path: str, query: str) -> List[Json]:
        """The objects of a kind that carry the labels asked for."""
        wanted = [each.split("=", 1) for each in parse_qs(query).get("labelSelector", [""])[0].split(",") if each]
        found = [each for key, each in sorted(self.objects.items()) if key.startswith(path + "/")]
        return [each for each in found if all((each["metadata"].get("labels") or {}).get(key) == value for key, value in wanted)]


class Server(ThreadingMixIn, HTTPServer):
    """One for several connections at a time, which clients keep open."""

    daemon_threads = True
    block_on_close = False


def handler(cluster: Any) -> Any:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one packet: the second would wait 40 ms for the client's acknowledgement

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def do(self) -> None:
            path, _mark, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            cluster.asked.append((self.command, self.path))
            cluster.headers.append({key.lower(): value for key, value in self.headers.items()})
            code, content = cluster.answer(self.command, path, query, json.loads(body.decode("utf-8")) if body else {})
            if code == 0:
                self.close_connection = True
                return
            if callable(content):  # in a way of its own
                content(self)
                return
            data = content if isinstance(content, bytes) else json.dumps(content).encode("utf-8")
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = do

    return Handler


class Engine:
    """A Docker engine, as much of it as is used: what it holds, what it was asked, and rules that answer in its place."""

    def __init__(self) -> None:
        self.info = {"Swarm": {"LocalNodeState": "active", "ControlAvailable": True}}  # type: Json
        self.secrets = []  # type: List[Json]
        self.services = []  # type: List[Json]
        self.tasks = []  # type: List[Json]
        self.networks = []  # type: List[Json]
        self.configs = []  # type: List[Json]
        self.nodes = [{"ID": "n1", "Description": {"Hostname": "worker1"}}]  # type: List[Json]
        self.obedient = False  # whether each service has a task that runs at once
        self.asked = []  # type: List[Tuple[str, str]]
        self.sent = []  # type: List[Tuple[str, Json]]
        self.headers = []  # type: List[Json]
        self.rules = []  # type: List[Rule]
        self.url = ""

    def run_service(self, name: str = "edge", **spec: Any) -> None:
        """Let a service of ours run as it was told to."""
        labels = {"io.expanso.edge.managed-by": "expanso.edge.swarm_secret"}
        container = {"ContainerSpec": {"Image": "agent"}}
        mode = {"Replicated": {"Replicas": 1}}
        self.services.append({"ID": "s", "Spec": dict({"Name": name, "Labels": labels, "Mode": mode, "TaskTemplate": container}, **spec)})
        self.tasks.append(self.task(self.services[-1]))

    def answer(self, method: str, path: str, query: str, body: Json) -> Answer:
        for rule in self.rules:
            found = rule(method, path, body)
            if found is not None:
                return found
        what = path.split("/", 2)[-1] if path.startswith("/v1.") else path.strip("/")
        if what == "version":
            return 200, {"ApiVersion": "1.43"}
        if method == "POST":
            self.sent.append((what, body))
        if what == "secrets/create":
            made = {"ID": "id-of-" + body["Name"], "Spec": {"Name": body["Name"], "Labels": body["Labels"]}}
            self.secrets.append(made)
            return 201, {"ID": made["ID"]}
        if method == "DELETE":
            self.secrets = [each for each in self.secrets if what != "secrets/" + each["ID"]]
            self.services = [each for each in self.services if what != "services/" + each["Spec"]["Name"]]
            return 204, b""
        if "Mode" in body:
            body["Mode"] = {key.capitalize(): value for key, value in body["Mode"].items()}  # the engine takes either
        if what == "services/create":
            self.services.append({"ID": "s", "Version": {"Index": 1}, "Spec": body})
            return 201, {"ID": "s"}
        if what.startswith("services/"):
            found_service = [each for each in self.services if what.split("/")[1] in (each["ID"], each["Spec"]["Name"])]
            if found_service and what.endswith("/update"):
                found_service[0].update(Spec=body, Version={"Index": found_service[0]["Version"]["Index"] + 1})
            return (200, found_service[0]) if found_service else (404, {"message": "no such service"})
        if what == "tasks" and self.obedient:
            return 200, [self.task(each) for each in self.services]
        return 200, getattr(self, what)

    @staticmethod
    def task(service: Json) -> Json:
        """A task that runs as its service describes it."""
        return {"Slot": 1, "NodeID": "n1", "DesiredState": "running", "Spec": service["Spec"]["TaskTemplate"], "Status": {"State": "running"}}


def serve(answering: Any) -> Server:
    server = Server(("127.0.0.1", 0), handler(answering))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server
