# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What of an object in a cluster is ours, and whether applying a manifest changed it. What policies of the cluster add at each run is not.

Pure. See https://kubernetes.io/docs/reference/using-api/server-side-apply/.
"""

from typing import Any, Dict, Optional


def part(found: Any, pattern: Any) -> Any:
    """Return what an object has of the fields of a manifest. Of a list with names, as containers have, the entries by these names."""
    if isinstance(pattern, dict) and isinstance(found, dict):
        return {key: part(found.get(key), pattern[key]) for key in pattern}
    if isinstance(pattern, list) and isinstance(found, list) and all(isinstance(each, dict) and "name" in each for each in pattern):
        by_name = {each.get("name"): each for each in found if isinstance(each, dict)}
        return [part(by_name.get(each["name"]), each) for each in pattern]
    return found


def owned(found: Dict[str, Any], manager: str) -> Any:
    """Return the names of the fields that a manager owns by applying, which tells of one that it lets go."""
    entries = found["metadata"].get("managedFields") or []
    return [each.get("fieldsV1") for each in entries if isinstance(each, dict) and each.get("manager") == manager and each.get("operation") == "Apply"]


def differs(before: Optional[Dict[str, Any]], after: Dict[str, Any], manifest: Dict[str, Any], manager: str) -> bool:
    """Whether applying the manifest changed anything of ours."""
    return before is None or part(before, manifest) != part(after, manifest) or owned(before, manager) != owned(after, manager)
