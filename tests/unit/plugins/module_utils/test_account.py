# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._account import AccountError, group_id, user_id


def test_unknown_account() -> None:
    assert user_id("root") == 0 and user_id("4711") == 4711
    for name, shown in {"٠": "٠", "²": "²", "9" * 10000: "9" * 60 + r"\.\.\. \(10000 characters\)", "a\0b": r"a\?b", "\ud800": r"\?", "": ""}.items():
        for find, kind in ((user_id, "account"), (group_id, "group")):
            with pytest.raises(AccountError, match=f"there is no {kind} '{shown}' on this node"):
                find(name)
    with pytest.raises(AccountError, match="'no-such-account'"):
        user_id("no-such-account")
