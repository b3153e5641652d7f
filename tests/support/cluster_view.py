# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests look at in a cluster, through Kubernetes' own client and never through the code under test."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config, stream, utils
from kubernetes.client.exceptions import ApiException
from paths import REPOSITORY

RBAC = REPOSITORY / "examples" / "kubernetes-rbac.yml"

Json = dict[str, Any]


class Cluster:
    """The cluster that cluster.py has put into a folder, seen by its administrator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "admin.conf"
        self.about: Json = json.loads((folder / "cluster.json").read_text(encoding="utf-8"))
        self.api = config.new_client_from_config(str(self.kubeconfig))
        self.core = client.CoreV1Api(self.api)
        self.apps = client.AppsV1Api(self.api)

    def create(self, *manifests: Json) -> None:
        """Create objects; those that are there already stay as they are."""
        for manifest in manifests:
            try:
                utils.create_from_dict(self.api, manifest)
            except utils.FailToCreateError as error:
                if any(each.status != 409 for each in error.api_exceptions):
                    raise

    def namespace(self, name: str) -> None:
        """Create a namespace that lets in only pods of the restricted standard, where the cluster knows of it."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        # pods need an account, which the cluster makes a moment later
        wait_for(lambda: self.core.list_namespaced_service_account(name).items, 30, "an account")

    def remove_namespaces(self, prefix: str) -> None:
        for each in self.core.list_namespace().items:
            if each.metadata.name.startswith(prefix):
                self.core.delete_namespace(each.metadata.name)

    def exists(self, namespace: str) -> bool:
        try:
            self.core.read_namespace(namespace)
        except ApiException as error:
            assert error.status == 404
            return False
        return True

    def secret(self, namespace: str, name: str = "expanso-bootstrap-token") -> Any:
        """A Secret, None where there is none."""
        try:
            return self.core.read_namespaced_secret(name, namespace)
        except ApiException as error:
            assert error.status == 404
            return None

    def objects(self, namespace: str) -> dict[str, str]:
        """All that the namespace holds but Secrets, as the API tells it, events and managed fields included."""
        lists = {
            "configmaps": self.core.list_namespaced_config_map,
            "persistentvolumeclaims": self.core.list_namespaced_persistent_volume_claim,
            "pods": self.core.list_namespaced_pod,
            "events": self.core.list_namespaced_event,
            "serviceaccounts": self.core.list_namespaced_service_account,
            "deployments": self.apps.list_namespaced_deployment,
            "replicasets": self.apps.list_namespaced_replica_set,
        }
        found = {kind: ask(namespace, _preload_content=False).data.decode() for kind, ask in lists.items()}
        found["namespace"] = self.core.read_namespace(namespace, _preload_content=False).data.decode()
        return found

    def read(self, kind: str, namespace: str, name: str) -> Json:
        """One of those objects."""
        [found] = [each for each in json.loads(self.objects(namespace)[kind])["items"] if each["metadata"]["name"] == name]
        return found

    def log(self, name: str) -> str | None:
        """A log of the cluster's own programs; None for a cluster whose logs cannot be had."""
        if "container" not in self.about or "Debian" not in self.about["source"]:
            return None
        command = ["docker", "exec", self.about["container"], "cat", f"/var/log/kubernetes/{name}"]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=True).stdout

    def volume(self, namespace: str, claim: str = "expanso-edge-data") -> None:
        """Have a new, empty volume for a claim to come, and for no other, where the cluster does not make them by itself."""
        if client.StorageV1Api(self.api).list_storage_class().items:
            return
        path = f"/var/lib/edge-volumes/{namespace}"
        with contextlib.suppress(ApiException):  # one of a claim that is gone
            self.core.delete_persistent_volume(namespace)
        wait_for(lambda: all(each.metadata.name != namespace for each in self.core.list_persistent_volume().items), 30, "no volume of that name")
        script = f"rm -rf {path}; mkdir -p {path}"
        subprocess.run(["docker", "exec", self.about["container"], "sh", "-c", script], stdin=subprocess.DEVNULL, check=True)
        node = {"key": "kubernetes.io/hostname", "operator": "Exists"}
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "claimRef": {"namespace": namespace, "name": claim},
            "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [node]}]}},
        }
        self.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace}, "spec": spec})

    def pod(self, namespace: str, condition: str = "Ready", labels: str = "app.kubernetes.io/name=expanso-edge", seconds: int = 90) -> Any:
        """The one pod with these labels, once it fulfils a condition."""

        def look() -> Any:
            pods = [pod for pod in self.core.list_namespaced_pod(namespace, label_selector=labels).items if not pod.metadata.deletion_timestamp]
            fulfilled = [pod for pod in pods if any(each.type == condition and each.status == "True" for each in pod.status.conditions or [])]
            return fulfilled[0] if len(pods) == len(fulfilled) == 1 else None

        return wait_for(look, seconds, f"a pod that is {condition} in {namespace}")

    def execute(self, namespace: str, pod: str, container: str, *command: str, line: str = "") -> str:
        """What a command in a container prints, given a line on its standard input: the command itself is logged by the cluster."""
        # a client of its own, because a stream changes how the whole client speaks
        core = client.CoreV1Api(config.new_client_from_config(str(self.kubeconfig)))
        options = {"command": list(command), "stdin": True, "stdout": True, "stderr": True, "_preload_content": False}
        answer = stream.stream(core.connect_get_namespaced_pod_exec, pod, namespace, container=container, **options)
        answer.write_stdin(line + "\n")
        answer.run_forever(timeout=60)
        code = answer.returncode  # not to be had once all is read
        output: str = answer.read_all()
        assert code == 0, f"{command} ended with exit code {code}: {output}"
        return output

    def provisioner(self, namespace: str, *replacements: tuple[str, str]) -> Path:
        """Make the account of examples/kubernetes-rbac.yml, with its least role, in a namespace; return a kubeconfig for it."""
        text = RBAC.read_text(encoding="utf-8").replace("expanso-system", namespace)
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        self.create(*yaml.safe_load(text)["items"])
        return self.account(namespace, "expanso-edge-provisioner")

    def account(self, namespace: str, name: str) -> Path:
        """Return a kubeconfig for a service account, which is made where it is missing."""
        self.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}})
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": None, "expirationSeconds": 7200}}
        answer = self.core.create_namespaced_service_account_token(name, namespace, request)
        return self.kubeconfig_with({"token": answer.status.token}, f"{namespace}-{name}")

    def kubeconfig_with(self, user: Json, name: str) -> Path:
        """Return a kubeconfig for this cluster with other credentials."""
        content = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        content["users"][0]["user"] = user
        path = self.folder / f"{name}.conf"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path


def wait_for(look: Callable[[], Any], seconds: int, what: str) -> Any:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"{what}: not there after {seconds} s"
        time.sleep(0.5)
    return found
