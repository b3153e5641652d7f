# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The Kubernetes API, asked by path, and its faults put into a sentence."""

import json
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._k8s_connection import ApiError, connect, explained, json_object, library_version, odd, unreachable
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import FIELD_MANAGER, KINDS, Kind
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule


def _named(found: Any) -> bool:
    """Whether this is an object as every API server sends it."""
    return isinstance(found, dict) and isinstance(found.get("metadata"), dict) and isinstance(found["metadata"].get("name"), str)


class Api:
    """Requests to one cluster. Every fault is an :class:`ApiError`."""

    def __init__(self, module: EdgeModule) -> None:
        self.dry_run = module.check_mode
        self.untold: Optional[str] = None  # why a dry run was not possible
        client = connect(module)
        self._request = client.client.request
        self.server = client.configuration.host

    def _ask(self, verb: str, method: str, kind: Kind, namespace: Optional[str], name: Optional[str], **options: Any) -> Dict[str, Any]:
        """Send a request; return the object that the API answered with. One with a name has metadata, uid or not."""
        tried = " ".join(filter(None, (verb, kind.resource, name, f"in namespace {namespace}" if namespace else "")))
        try:
            data = self._request(method, kind.path(namespace, name), serialize=False, **options).data
        except Exception as exc:  # of the client's many libraries
            fault = explained(exc, self.server, tried)
            if self.dry_run and fault.no_dry_run:
                self.untold = str(fault)
            raise fault from None
        found = self._decode(data, tried)
        if method in ("get", "patch") and name is not None and not _named(found):
            raise self._odd("an object without a name", tried)
        return found

    def _decode(self, data: bytes, tried: str, key: str = "kind") -> Dict[str, Any]:
        found = json_object(data)
        if key not in found:
            raise self._odd("a web page, or half an answer", tried)
        return found

    def _odd(self, what: str, tried: str) -> ApiError:
        return odd(self.server, f": {what} (tried to {tried})")

    def warn(self, module: EdgeModule) -> None:
        """Warn where a dry run was not possible."""
        if self.untold:
            module.warn(f"the cluster cannot say in advance whether it accepts this: {self.untold}")

    def get(self, kind: str, namespace: Optional[str], name: str) -> Optional[Dict[str, Any]]:
        """Return an object, None where it does not exist."""
        try:
            return self._ask("get", "get", KINDS[kind], namespace, name)
        except ApiError as exc:
            if exc.status == 404:
                return None
            raise

    def version(self) -> str:
        """Return the version of the API server, such as v1.32.5."""
        try:
            data = self._request("get", "/version", serialize=False).data
        except Exception as exc:
            raise ApiError(unreachable(exc, self.server)) from None
        return str(self._decode(data, "get its version", "gitVersion")["gitVersion"])

    def find(self, kind: str, namespace: str, labels: str = "") -> List[Dict[str, Any]]:
        """Return the objects in a namespace that carry the labels."""
        return self._list(kind, namespace, label_selector=labels or None)[0]

    def some(self, kind: str, namespace: str, most: int) -> Tuple[List[Dict[str, Any]], bool]:
        """Return objects in a namespace, not many more than a number, and whether these are all."""
        return self._list(kind, namespace, limit=most)

    def _list(self, kind: str, namespace: str, **options: Any) -> Tuple[List[Dict[str, Any]], bool]:
        answer = self._ask("list", "get", KINDS[kind], namespace, None, **options)
        found, metadata = answer.get("items"), answer.get("metadata")
        if not isinstance(found, list) or not all(_named(each) for each in found):
            raise self._odd("a list without items that have names", f"list {KINDS[kind].resource}")
        return found, not (isinstance(metadata, dict) and metadata.get("continue"))

    def apply(self, manifest: Dict[str, Any], force: bool = False, manager: str = FIELD_MANAGER) -> Dict[str, Any]:
        """Apply a manifest on the server, as a field manager of our own; return the object as it is then."""
        metadata = manifest["metadata"]
        body: Any = manifest
        if library_version() < 25:  # the older client cannot serialize it for this content type
            body = json.dumps(manifest).encode("utf-8")
        return self._ask(
            "patch",
            "patch",
            KINDS[manifest["kind"]],
            metadata.get("namespace"),
            metadata["name"],
            body=body,
            content_type="application/apply-patch+yaml",
            field_manager=manager,
            force_conflicts=force,
            dry_run="All" if self.dry_run else None,
        )

    def create_namespace(self, name: str) -> None:
        """Create a namespace. It is not applied: its fields are left to others."""
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        try:
            self._ask("create", "post", KINDS["Namespace"], None, None, body=manifest, dry_run="All" if self.dry_run else None)
        except ApiError as exc:
            if exc.status != 409:  # another program was faster
                raise

    def delete(self, found: Dict[str, Any], cascade: str = "Background") -> None:
        """Delete an object, if it is still the one that was seen."""
        metadata = found["metadata"]
        # where there is a body, the API looks for a dry run there alone
        options: Dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": cascade}
        if metadata.get("uid"):
            options["preconditions"] = {"uid": metadata["uid"]}
        if self.dry_run:
            options["dryRun"] = ["All"]
        try:
            self._ask("delete", "delete", KINDS[found["kind"]], metadata.get("namespace"), metadata["name"], body=options)
        except ApiError as exc:
            if exc.status != 404:
                raise

    def again(self, found: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Return an object as it is now, None where it is gone, or another one has its name."""
        metadata = found["metadata"]
        now = self.get(found["kind"], metadata.get("namespace"), metadata["name"])
        return now if now and now["metadata"].get("uid") == metadata.get("uid") else None

    def remove_key(self, found: Dict[str, Any], key: str) -> Dict[str, Any]:
        """Take one key out of the data of a Secret or ConfigMap; return what is left."""
        metadata = found["metadata"]
        return self._ask(
            "patch",
            "patch",
            KINDS[found["kind"]],
            metadata["namespace"],
            metadata["name"],
            body={"metadata": {"uid": metadata["uid"]}, "data": {key: None}},
            content_type="application/merge-patch+json",
            field_manager=FIELD_MANAGER,
            dry_run="All" if self.dry_run else None,
        )

    def may(self, verb: str, kind: str, namespace: Optional[str], name: Optional[str]) -> bool:
        """Ask whether the account may do something; every account may ask."""
        attributes = {"verb": verb, "group": KINDS[kind].group, "resource": KINDS[kind].resource}
        attributes.update({key: value for key, value in (("namespace", namespace), ("name", name)) if value})
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        answer = self._ask("create", "post", KINDS["SelfSubjectAccessReview"], None, None, body=review)
        if not isinstance(answer.get("status"), dict):
            raise self._odd("a review without a status", "ask for a right")
        return bool(answer["status"].get("allowed"))
