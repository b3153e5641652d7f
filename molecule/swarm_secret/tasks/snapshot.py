# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the manager: print as JSON what its engine and the control plane tell, by the Docker SDK."""

import json
import sys
import time
import urllib.request

import docker

client = docker.from_env().api
hostnames = {node["ID"]: node["Description"]["Hostname"] for node in client.nodes()}
services = {service["Spec"]["Name"]: service for service in client.services()}
tasks = client.tasks()
secrets = client.secrets()

with urllib.request.urlopen(sys.argv[1] + "/admin/state", timeout=10) as answer:
    plane = json.load(answer)

snapshot = {
    "secrets": {secret["Spec"]["Name"]: secret["Spec"].get("Labels", {}) for secret in secrets},
    "services": services,
    # by slot, those that should run
    "tasks": {
        str(task["Slot"]): {
            "node": hostnames[task["NodeID"]],
            "state": task["Status"]["State"],
            "container": task["Status"]["ContainerStatus"]["ContainerID"],
        }
        for task in tasks
        if task["DesiredState"] == "running" and task.get("NodeID") and "ContainerStatus" in task["Status"]
    },
    "spent": {label: token["nodes"] for label, token in plane["tokens"].items()},
    "refusals": plane["refusals"],
    # everything that the engine tells anybody who may ask
    "told": {
        "services": list(services.values()),
        "secrets": secrets,
        "tasks": tasks,
        "inspected": [client.inspect_service(name) for name in services],
        "events": list(client.events(since=1, until=int(time.time()), decode=True)),
        "logs": [b"".join(client.service_logs(name, stdout=True, stderr=True)).decode("utf-8", "replace") for name in services],
    },
}
print(json.dumps(snapshot))
