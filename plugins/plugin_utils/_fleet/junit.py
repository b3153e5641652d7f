# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The report as JUnit XML, which pipelines show. Pure."""

from __future__ import annotations

import re
from xml.etree import ElementTree as tree

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Json

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NO_RESULT = ("unknown", "audit_failed")
_FLEET = "fleet"


def render(report: Json, fail_on: str = "error") -> bytes:
    """Return a suite for each node and one for the fleet, with a case for each finding. A node that answered and has no finding has one case, which passed.

    :param fail_on: ``error``, ``warning`` or ``never``. With ``warning``, warnings are failures too; errors always are
    """
    failing = ("error", "warning") if fail_on == "warning" else ("error",)
    by_node: dict[str | None, list[Json]] = {node["name"]: [] for node in report["nodes"]}
    for finding in report["findings"]:
        by_node.setdefault(finding["node"], []).append(finding)
    answered = {node["name"] for node in report["nodes"] if node["status"] == "answered"}
    suites = tree.Element("testsuites", name="expanso.edge.audit")
    for node, findings in by_node.items():
        name = legal(_FLEET if node is None else node)
        suite = tree.SubElement(suites, "testsuite", name=name, timestamp=report["generated_at"].rstrip("Z"))
        for finding in findings:
            _case(suite, name, finding, failing)
        if not findings and node in answered:
            tree.SubElement(suite, "testcase", classname=name, name="no finding", time="0")
        _count(suite)
    _count(suites)
    return tree.tostring(suites, encoding="utf-8", xml_declaration=True) + b"\n"


def _case(suite: tree.Element, node: str, finding: Json, failing: tuple[str, ...]) -> None:
    what = [finding["code"], *(finding[key] for key in ("place", "fingerprint") if finding[key])]
    case = tree.SubElement(suite, "testcase", classname=node, name=legal(" ".join(what)), time="0")
    message, text = legal(finding["message"]), legal(f"{finding['message']}\nremedy: {finding['remedy']}")
    if finding["status"] == "waived":
        waiver = finding["waiver"]
        tree.SubElement(case, "skipped", message=legal(f"waived until {waiver['expires']} by {waiver['owner']}: {waiver['reason']}"))
    elif finding["code"] in _NO_RESULT:
        tree.SubElement(case, "error", message=message, type=finding["code"]).text = text
    elif finding["severity"] in failing:
        tree.SubElement(case, "failure", message=message, type=finding["severity"]).text = text
    else:
        tree.SubElement(case, "system-out").text = f"{finding['severity']}: {text}"


def legal(text: str) -> str:
    """Return a text without the characters that XML does not allow, in whatever spelling."""
    return _ILLEGAL.sub("", text)


def _count(element: tree.Element) -> None:
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(kind) is not None for case in cases)))
