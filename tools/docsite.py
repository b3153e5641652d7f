# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the documentation site: the guides in docs/docsite, and a page for each plugin, module and role.

    python3 docsite.py     the site is made below .cache (or EXPANSO_EDGE_CACHE), and the path of its first page is printed

Every warning is an error, so a link to a page, a label or an option that does not exist stops it. Nothing is fetched: links to other sites are not followed.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import environments
from paths import CACHE, SupportError, copy_checkout, locked, program

COLLECTION = "expanso.edge"
SITE = CACHE / "docs"

# Added to the configuration that antsibull-docs writes.
CONFIGURATION = """
extensions.append("docsite_links")
intersphinx_mapping = {}  # would be fetched
smartquotes = False  # what people copy keeps its characters
"""


def run(command, folder, variables):
    """Run a tool; what it prints is shown only where it fails."""
    done = subprocess.run(
        command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise SupportError(f"{' '.join(command[:2])} failed.\n{done.stdout.replace(str(folder), '').strip()}")


def make(folder):
    """Make the site from this checkout in an empty folder; return the directory of its pages.

    :raises SupportError: a page is not right; the message says which, and where
    """
    # in a copy, because antsibull-docs wants the collection at the place where it would be installed
    copy = copy_checkout(folder)
    variables = environments.activated(
        "lint",
        ANSIBLE_COLLECTIONS_PATH=f"{folder}:{environments.dependencies()}",
        ANSIBLE_HOME=str(folder / "ansible"),
        GIT_CEILING_DIRECTORIES=str(CACHE),  # otherwise only what git tracks is documented, and that is nothing of a cache that lies in a checkout
        PYTHONPATH=str(Path(__file__).parent),
        PYTHONDONTWRITEBYTECODE="1",
    )
    site = folder / "site"
    for target in (site, site / "rst"):
        target.mkdir(mode=0o755)  # antsibull-docs does not write where others may
    shutil.copytree(copy / "docs" / "images", site / "images")
    theme = ["--sphinx-theme", "furo", "--title", "Expanso Edge collection for Ansible", "--project", COLLECTION]
    theme += ["--copyright", "Expanso Edge collection contributors"]
    # without --no-breadcrumbs the guides would be lost among the modules in the list of pages
    source = ["--use-current", "--squash-hierarchy", "--fail-on-error", "--no-breadcrumbs"]
    run(["antsibull-docs", "sphinx-init", "--dest-dir", ".", *source, *theme, COLLECTION], site, variables)
    with open(site / "conf.py", "a", encoding="utf-8") as configuration:
        configuration.write(CONFIGURATION)
    run(["antsibull-docs", "--config-file", "antsibull-docs.cfg", "collection", *source, "--dest-dir", "rst", COLLECTION], site, variables)
    run(["sphinx-build", "-M", "html", "rst", "build", "-c", ".", "-W", "--keep-going", "-j", "2"], site, variables)
    return site / "build" / "html"


def main():
    with tempfile.TemporaryDirectory(prefix="docs-") as folder:
        made = make(Path(folder))
        with locked(CACHE / "lock" / "docs"):
            shutil.rmtree(SITE, ignore_errors=True)
            shutil.copytree(made, SITE)
    print(SITE / "index.html")


if __name__ == "__main__":
    sys.exit(program(main))
