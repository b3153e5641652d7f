# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the picture of the audit's page that stands in the documentation: `make picture`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder
from audit_reports import example
from chromium import chromium
from paths import REPOSITORY, collections

_AnsibleCollectionFinder(paths=[str(collections())])._install()

from ansible_collections.expanso.edge.plugins.plugin_utils._audit_page import render

PICTURE = REPOSITORY / "docs" / "images" / "audit-page.png"


def main() -> None:
    PICTURE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        file = Path(folder) / "page.html"
        file.write_text(render(example(), "0" * 64), encoding="utf-8")
        page = browser.page(file, width=1180, height=1080)
        page.picture(PICTURE)
        page.close()
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
