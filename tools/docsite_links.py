# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An extension of Sphinx for docsite.py.

It links to Ansible's documentation without asking for its list of labels, and leaves out the tables of contents that the theme shows itself."""

import re

ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/"
# labels of Ansible's own pages that antsibull-docs refers to
PAGES = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
CONTENTS = re.compile(r"^\.\. contents::.*\n(?: +:.*\n)*", re.MULTILINE)
LABEL = re.compile(r"ansible_collections\.(?!expanso\.edge\.)(\w+)\.(\w+)\.(\w+_[a-z]+?)(?:__(parameter-\w+))?")


def address(label):
    """Where Ansible publishes what a label stands for; None for a label that is not Ansible's."""
    if label in PAGES:
        return ANSIBLE + PAGES[label]
    found = LABEL.fullmatch(label)
    if found is None:
        return None
    namespace, name, page, anchor = found.groups()
    return f"{ANSIBLE}collections/{namespace}/{name}/{page}.html{'#' + anchor if anchor else ''}"


def resolve(_app, _env, node, content):
    """Handle a label that this site does not have; Sphinx complains of it if this returns None."""
    from docutils import nodes  # which is there where Sphinx is

    found = address(node.get("reftarget", ""))
    return found and nodes.reference("", "", content, refuri=found, internal=False)


def without_contents(_app, _page, source):
    source[0] = CONTENTS.sub("", source[0])


def setup(app):
    app.connect("missing-reference", resolve)
    app.connect("source-read", without_contents)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
