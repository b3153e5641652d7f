# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Where in a Kubernetes namespace a bootstrap token can be read besides its Secret: other Secrets, ConfigMaps, the Deployment with its
former templates, and pods.

Pure: what the API returned goes in, findings come out.
"""

from typing import Any, Dict, Iterable, Iterator, List, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._audit import cluster
from ansible_collections.expanso.edge.plugins.module_utils._audit.cluster import exposed
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Finding
from ansible_collections.expanso.edge.plugins.module_utils._audit.k8s import Found, Subject, annotations, family, held, value_of
from ansible_collections.expanso.edge.plugins.module_utils._audit.sightings import Search
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME

TOO_WIDE = 0o037
"""Bits that the mode of a token's file in a container must not have."""

DEFAULT_MODE = 0o644
"""Of the files of a Secret that is mounted without a mode."""

_REVISION = "deployment.kubernetes.io/revision"
_NO_COPIES = ("kubernetes.io/service-account-token",)

Json = Dict[str, Any]


def search_for(subject: Subject, found: Found, fingerprints: Iterable[str], now: float) -> Search:
    """Return a search that knows the tokens of the Secrets, and those of further fingerprints."""
    contents = [held(each, subject.key, now) for each in family(found.secrets, subject.name)]
    known = [content for content in contents if content and content.mark]
    search = Search([*(content.mark for content in known if content.mark), *fingerprints])
    for content in known:
        search.named(content.text)
    return search


def findings_elsewhere(subject: Subject, found: Found, search: Search) -> Iterator[Finding]:
    """Yield where else tokens can be read.

    In the Deployment any token counts, in ConfigMaps and other pods a key or one that is looked for, in other Secrets only one that is looked for.
    """
    if found.deployment is not None and subject.deployment is not None:
        yield from _of_workload(subject, subject.place("Deployment", subject.deployment), found.deployment, search, jwts=True)
        yield from _of_former_templates(subject, found, search)
    for place, pod in _other_pods(subject, found.pods).items():
        yield from _of_workload(subject, place, {"spec": {"template": pod}}, search, jwts=False)
        if subject.deployment is not None:
            for name in sorted(_used(pod, found, subject)):
                message = f"{place} uses Secret {subject.namespace}/{name} as well, so its containers can read the token"
                yield Finding("used_by_others", "warning", message, f"remove it from there; {cluster.NEW_TOKEN}", place)
    for each in found.configmaps:
        texts = list((each.get("data") or {}).values()) + [value_of({"data": each.get("binaryData")}, key) or "" for key in each.get("binaryData") or {}]
        place = subject.place("ConfigMap", each["metadata"]["name"])
        for mark in _marks([*texts, *annotations(each).values()], search):
            yield exposed("token_in_config", place, mark)
    ours = {each["metadata"]["name"] for each in family(found.secrets, subject.name)}
    for each in found.secrets:
        if each["metadata"]["name"] in ours or each.get("type") in _NO_COPIES:
            continue
        place = subject.place("Secret", each["metadata"]["name"])
        texts = [value_of(each, key) or "" for key in each.get("data") or {}] + list(annotations(each).values())
        for mark in search.wanted.intersection(_marks(texts, search)):
            yield Finding("copy", "warning", f"{place} holds the token too", "remove it if nothing needs it", place, mark)
    yield from cluster.not_everything(search, f"namespace {subject.namespace}")


def _marks(texts: Iterable[Any], search: Search) -> List[str]:
    return sorted({mark for text in texts for mark in search.look(str(text), jwts=False)})


def _other_pods(subject: Subject, pods: List[Json]) -> Dict[str, Json]:
    """Return the pods that do not belong to the Deployment, one of each owner, by what they are called."""
    found: Dict[str, Json] = {}
    for pod in pods:
        owners = pod["metadata"].get("ownerReferences") or []
        kind, name = (str(owners[0].get("kind")), str(owners[0].get("name"))) if owners else ("Pod", pod["metadata"]["name"])
        if not (subject.deployment and kind == "ReplicaSet" and name.rpartition("-")[0] == subject.deployment):
            found.setdefault(subject.place(kind, name), pod)
    return found


def _of_former_templates(subject: Subject, found: Found, search: Search) -> Iterator[Finding]:
    """Yield where former templates of the Deployment hold a token. Its ReplicaSets keep them, ten by default."""
    for each in found.replicasets:
        owners = [(owner.get("kind"), owner.get("name")) for owner in each["metadata"].get("ownerReferences") or []]
        if ("Deployment", subject.deployment) not in owners or annotations(each).get(_REVISION) == annotations(found.deployment).get(_REVISION):
            continue
        place = subject.place("ReplicaSet", each["metadata"]["name"])
        for finding in _tokens_of(place, each, search, jwts=True):
            yield finding._replace(remedy=f"remove this ReplicaSet, which 'kubectl rollout undo' could go back to; {cluster.NEW_TOKEN}")


def _of_workload(subject: Subject, place: str, workload: Json, search: Search, jwts: bool) -> Iterator[Finding]:
    """Yield what is wrong with a Deployment, or with a pod in the place of its template."""
    yield from _tokens_of(place, workload, search, jwts)
    for name, mode in _wide(subject, workload["spec"]["template"]):
        message = f"{place} mounts Secret {subject.namespace}/{name} with mode {mode:04o}, wider than 0440"
        yield Finding("mode_too_wide", "error", message, "set its defaultMode to 0400", place)


def _tokens_of(place: str, workload: Json, search: Search, jwts: bool) -> Iterator[Finding]:
    """Yield the tokens that can be read in a template, and in annotations of it and of what it belongs to."""
    template = workload["spec"]["template"]
    told: List[Tuple[str, str]] = []
    texts = [*annotations(workload).values(), *annotations(template).values()]
    told += [("token_in_annotation", mark) for text in texts for mark in search.look(text, jwts=jwts)]
    for container in _containers(template):
        for variable in container.get("env") or []:
            name, value = variable.get("name"), str(variable.get("value") or "")
            told += [("token_in_environment", mark) for mark in (search.assigned(value) if name == ENV_NAME else search.look(value, jwts=jwts))]
        words = "\n".join(map(str, [*(container.get("command") or []), *(container.get("args") or [])]))
        told += [("token_in_arguments", mark) for mark in search.look(words, jwts=jwts)]
    for code, mark in dict.fromkeys(told):
        yield exposed(code, place, mark)


def _containers(pod: Json) -> List[Json]:
    spec = pod.get("spec") or {}
    return [each for key in ("initContainers", "containers", "ephemeralContainers") for each in spec.get(key) or []]


def _volumes(pod: Json) -> Iterator[Tuple[str, Json, Any]]:
    """Yield the Secrets that a pod mounts: the name, what is mounted of it, and the mode."""
    for volume in (pod.get("spec") or {}).get("volumes") or []:
        if volume.get("secret"):
            yield str(volume["secret"].get("secretName")), volume["secret"], volume["secret"].get("defaultMode")
        projected = volume.get("projected") or {}
        for source in projected.get("sources") or []:
            if source.get("secret"):
                yield str(source["secret"].get("name")), source["secret"], projected.get("defaultMode")


def _wide(subject: Subject, pod: Json) -> Iterator[Tuple[str, int]]:
    """Yield the Secrets of tokens that a pod mounts for others to read, and the mode."""
    for name, source, default in _volumes(pod):
        if not family([{"metadata": {"name": name}}], subject.name):
            continue
        mode = DEFAULT_MODE if default is None else int(default)
        items = source.get("items") or []
        modes = [int(mode if each.get("mode") is None else each["mode"]) for each in items if each.get("key") == subject.key] if items else [mode]
        for each in modes:
            if each & TOO_WIDE:
                yield name, each


def _used(pod: Json, found: Found, subject: Subject) -> List[str]:
    """Return the Secrets of tokens that a pod reads, as files or as variables."""
    names = {name for name, _source, _mode in _volumes(pod)}
    for container in _containers(pod):
        for variable in container.get("env") or []:
            names.add(str(((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")))
        for source in container.get("envFrom") or []:
            names.add(str((source.get("secretRef") or {}).get("name")))
    ours = {each["metadata"]["name"] for each in family(found.secrets, subject.name)}
    return [name for name in names if name in ours]
