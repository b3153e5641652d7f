# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restricted Pod Security standard, as kubernetes.io/docs/concepts/security/pod-security-standards words it: for clusters without its admission."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

VOLUMES = {"name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def violations(pod: Json) -> Iterator[str]:
    """What in the specification of a pod the restricted standard forbids. It includes what the baseline standard forbids."""
    whole = pod.get("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    for volume in pod.get("volumes", []):
        yield from (f"volume {volume['name']}: {kind}" for kind in set(volume) - VOLUMES)
    if whole.get("sysctls"):
        yield "sysctls"
    for container in pod.get("initContainers", []) + pod["containers"]:
        own = container.get("securityContext", {})
        where = f"container {container['name']}: "
        if own.get("privileged"):
            yield where + "privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield where + "allowPrivilegeEscalation"
        if "ALL" not in own.get("capabilities", {}).get("drop", []):
            yield where + "capabilities are not dropped"
        if set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
            yield where + "capabilities are added"
        if own.get("runAsNonRoot", whole.get("runAsNonRoot")) is not True:
            yield where + "runAsNonRoot"
        if own.get("runAsUser", whole.get("runAsUser")) == 0:
            yield where + "runAsUser"
        if own.get("seccompProfile", whole.get("seccompProfile", {})).get("type") not in ("RuntimeDefault", "Localhost"):
            yield where + "seccompProfile"
        if own.get("procMount", "Default") != "Default":
            yield where + "procMount"
        if any(port.get("hostPort") for port in container.get("ports", [])):
            yield where + "hostPort"
