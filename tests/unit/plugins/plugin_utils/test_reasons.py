# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleError, AnsibleLookupError, AnsibleUndefinedVariable
from ansible.parsing.vault import AnsibleVaultError, AnsibleVaultFormatError
from ansible.plugins.lookup import LookupBase
from ansible_collections.expanso.edge.plugins.plugin_utils._reasons import MOST_LINKS, NO_PASSWORD, links, why
from jinja2.exceptions import TemplateSyntaxError, UndefinedError

TEMPLATE = ["{{ lookup('community.hashi_vault.vault_kv2_get', 'edge').secret.token }}"]


class Sealed(LookupBase):
    """A lookup that raises the exception that it is given."""

    ansible_name = "community.hashi_vault.vault_kv2_get"

    def run(self, terms: list[BaseException], variables: object = None, **kwargs: object) -> list[object]:
        raise terms[0]


def raised(fault: BaseException, wrapper: str = "") -> BaseException:
    """An exception as it comes out of a lookup, wrapped as some ansible-core does."""
    try:
        try:
            Sealed().run([fault])
        except BaseException as exc:
            if wrapper:
                raise AnsibleError(wrapper) from exc
            raise
    except BaseException as exc:
        return exc
    raise AssertionError("nothing was raised")


def circle(*faults: BaseException) -> BaseException:
    for fault, cause in zip(faults, [*faults[1:], faults[0]]):
        fault.__cause__ = cause
    return faults[0]


def test_a_circle_of_exceptions_ends() -> None:
    first, second, third = ValueError("1"), ValueError("2"), ValueError("3")
    assert list(links(circle(first, second, third))) == [first, second, third]
    assert list(links(circle(first))) == [first]


def test_a_context_that_leads_back_ends() -> None:
    marker, missing = UndefinedError("a marker was tripped"), AnsibleError("lookup plugin (a.b.c) not found")
    marker.__context__, missing.__context__ = missing, marker
    assert why(marker, TEMPLATE, True) == "cannot be templated: there is no lookup a.b.c on the controller; install the collection that contains it"


def test_a_long_chain_is_bounded() -> None:
    fault = last = ValueError("0")
    for number in range(5000):
        last.__cause__ = ValueError(str(number))
        last = last.__cause__
    assert len(list(links(fault))) == MOST_LINKS


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (AnsibleLookupError("the vault is sealed"), "cannot be templated: lookup community.hashi_vault.vault_kv2_get failed: the vault is sealed"),
        (ValueError(""), "cannot be templated: lookup community.hashi_vault.vault_kv2_get failed: it gave no reason"),
        (ValueError("no key exp_bk_a1b2c3"), "cannot be templated: lookup community.hashi_vault.vault_kv2_get failed: no key ********"),
        (circle(ValueError("one"), ValueError("two")), "cannot be templated: lookup community.hashi_vault.vault_kv2_get failed: one: two"),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "An unhandled exception occurred while running the lookup plugin", "The lookup plugin 'x' failed: as it says"])
def test_a_lookup_that_fails(fault: BaseException, reason: str, wrapper: str) -> None:
    assert why(raised(fault, wrapper), TEMPLATE, True) == reason


def test_the_cause_is_shown() -> None:
    fault = AnsibleLookupError("cannot reach the vault")
    fault.__cause__ = ConnectionRefusedError(111, "Connection refused")
    assert why(raised(fault), TEMPLATE, True).endswith("failed: cannot reach the vault: [Errno 111] Connection refused")


@pytest.mark.parametrize(
    "message", ["lookup plugin (a.b.c) not found", "The lookup plugin 'a.b.c' was not found.", "A captured exception: The lookup plugin 'a.b.c' was not found."]
)
def test_a_lookup_that_is_missing(message: str) -> None:
    assert "there is no lookup a.b.c on the controller" in why(AnsibleError(message), ["{{ lookup('a.b.c') }}"], True)


@pytest.mark.parametrize(
    ("text", "message", "reason"),
    [
        ("{{ nobody }}", "'nobody' is undefined", "refers to nobody, which is not defined"),
        ("exp_bk_a1b2{{ nobody }}", "'nobody' is undefined", "refers to nobody, which is not defined"),
        ("{{ a.other_key }}", "'dict object' has no attribute 'other_key'", "refers to other_key, which is not defined"),
        ("{{ exp_bk_a1b2c3 }}", "'exp_bk_a1b2c3' is undefined", "is a token in braces: give it without braces"),
        ("{{EXP_AK_a1b2-3 }}", "'EXP_AK_a1b2' is undefined", "is a token in braces: give it without braces"),
        ("{{ eyJa1b2.eyJa1b2.a1b2 }}", "'eyJa1b2' is undefined", "is a token in braces: give it without braces"),
        ("{{ a1b2c3d4 }}", "'a1b2c3d4' is undefined", "refers to something that is not defined; its name is not shown"),
        ("{{ abcd-a1b2 }}", "'abcd' is undefined", "refers to something that is not defined; its name is not shown"),
        ("{{ a['exp_bk_a1b2'] }}", "object of type 'dict' has no attribute 'exp_bk_a1b2'", "refers to something that is not defined"),
    ],
)
@pytest.mark.parametrize("kind", [AnsibleUndefinedVariable, UndefinedError])
def test_what_is_not_defined(text: str, message: str, reason: str, kind: type[Exception]) -> None:
    found = why(kind(message), [text], True)
    assert found.startswith(reason) and "a1b2" not in found and "!unsafe" not in found


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (AnsibleVaultError("Decryption failed (no vault secrets were found that could decrypt)"), NO_PASSWORD),
        (AnsibleVaultError("Attempting to decrypt but no vault secrets found"), NO_PASSWORD),
        (AnsibleError("Error rendering template: Attempting to decrypt but no vault secrets found."), NO_PASSWORD),
        (AnsibleVaultFormatError("Vault vaulttext format error"), "cannot be decrypted: its vault block is damaged"),
        (AnsibleError("input is not vault encrypted data"), "cannot be decrypted: its vault block is damaged"),
        (RecursionError("maximum recursion depth exceeded"), "refers to itself"),
        (AnsibleError("No filter named 'no_such_filter'."), "cannot be templated: there is no filter no_such_filter"),
        (AnsibleError("No filter named 'a1b2c3d4'."), "cannot be templated: there is no filter"),
        (AnsibleError("The filter plugin 'ansible.builtin.b64decode' failed: exp_bk_a1b2"), "cannot be templated: filter ansible.builtin.b64decode failed"),
        (TypeError("exp_bk_a1b2"), "cannot be templated (TypeError)"),
    ],
)
def test_other_reasons(fault: BaseException, reason: str) -> None:
    found = why(fault, ["exp_bk_{{ x }}"], True)
    assert found.startswith(reason) and "a1b2" not in found and "!unsafe" not in found


@pytest.mark.parametrize(
    ("text", "stray"),
    [
        ("exp_bk_a1b2{{ x", True),
        ("exp_bk_a1b2{% x %}", True),
        ("{{a1}}{{", True),
        ("{{ lookup('x' }}", False),
        ("{{ a1b2 c3 }}", False),
        ("{% if x %}", False),
    ],
)
def test_advice_on_braces_only_if_they_are_not_a_template(text: str, stray: bool) -> None:
    fault = TemplateSyntaxError("expected token 'end of print statement', got 'a1b2'", 1)
    assert bool(re.search("needs the tag !unsafe", why(fault, [text], True))) == stray
    assert "!unsafe" not in why(fault, [text], False) and "a1b2" not in why(fault, [text], True)
