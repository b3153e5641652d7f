# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any

import pytest
import yaml
from ansible_collections.expanso.edge.plugins.doc_fragments._engine import ModuleDocFragment
from ansible_collections.expanso.edge.plugins.module_utils._engine import ARGUMENT_SPEC, APIError, DockerException, check_engine, reason
from ansible_collections.expanso.edge.plugins.module_utils._errors import SwarmError

pytest.importorskip("docker")

PROXY = "the proxy cannot be reached: check it, or the environment variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY"


@pytest.mark.parametrize(
    ("swarm", "words"),
    [
        ({"LocalNodeState": "inactive"}, "is not in a swarm"),
        ({}, "is not in a swarm"),
        (None, "is not in a swarm"),
        ({"LocalNodeState": "locked"}, "is locked"),
        ({"LocalNodeState": "pending"}, "state pending"),
        ({"LocalNodeState": "error"}, "state error"),
        ({"LocalNodeState": "active"}, "is a worker of its swarm"),
        (
            {"LocalNodeState": "active", "ControlAvailable": False, "RemoteManagers": [{"Addr": "b:2377"}, {"Addr": "a:2377"}]},
            r"name a manager \(they are a:2377, b:2377\)",
        ),
    ],
)
def test_an_engine_that_is_not_a_manager_is_refused_for_its_reason(swarm: Any, words: str) -> None:
    with pytest.raises(SwarmError, match=f"engine E .*{words}"):
        check_engine({"Swarm": swarm}, "engine E")


def test_a_manager_is_accepted() -> None:
    check_engine({"Swarm": {"LocalNodeState": "active", "ControlAvailable": True}}, "engine E")


def test_an_engine_that_was_a_manager_must_not_begin_a_new_swarm() -> None:
    with pytest.raises(SwarmError, match="is not in a swarm, or not yet after a restart"):
        check_engine({"Swarm": {"LocalNodeState": "inactive"}}, "E", was_manager=True)


def test_versions_of_sdk_and_requests_that_do_not_fit() -> None:
    fault = DockerException("Error while fetching server API version: Not supported URL scheme http+docker")
    assert reason(fault).startswith("the Docker SDK for Python and its library requests are not compatible (docker ")
    assert "install docker 7.1 or newer, or requests below 2.32" in reason(fault)


def test_an_address_of_the_sdk_s_own_in_another_fault_is_not_a_sign_of_that() -> None:
    """It stands in every refusal of an engine that is reached by a socket."""
    url = "500 Server Error for http+docker://localhost/v1.43/secrets: Internal Server Error"
    assert reason(DockerException(url)) == url
    assert reason(APIError(url, explanation="no leader")) == "no leader"


def test_options_are_documented() -> None:
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert {name: (option["type"], option.get("default")) for name, option in documented.items()} == {
        name: (option["type"], option.get("default")) for name, option in ARGUMENT_SPEC.items()
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))", "the connection was closed before an answer came"),
        ("('Connection broken: IncompleteRead(59 bytes read, 59 more expected)')", "the connection was closed in the middle of an answer"),
        ("('Connection aborted.', BadStatusLine('SSH-2.0-OpenSSH'))", "the answer is not HTTP: check the address, and whether it begins with https://"),
        ("SSLError(1, '[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1)')", "TLS failed: it does not use TLS: check the address and its port"),
        ("SSLError(1, '[SSL] alert certificate required')", "alert certificate required: the server does not accept client_cert and client_key"),
        ("CERTIFICATE_VERIFY_FAILED: certificate has expired", "certificate has expired: renew the certificate, or set the clock"),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1)",
            "self-signed certificate: check the CA certificate, and for which names the server's certificate is; "
            "there the environment variable REQUESTS_CA_BUNDLE counts instead of ca_path",
        ),
        ("Failed to resolve 'a.example' ([Errno -2])", "the host name a.example is unknown"),
        ('502 Server Error ("<!DOCTYPE html>..', "a web page with status 502, which no engine sends: check the address, and any proxy in between"),
        ("rpc error: The swarm does not have a leader.", "rpc error: The swarm does not have a leader."),
        (
            "(Caused by SSLError(SSLError(136, '[X509: NO_CERTIFICATE_OR_CRL_FOUND] no certificate or crl found (_ssl.c:1)')))",
            "TLS failed: the file of the CA certificate holds no certificate in PEM format; "
            "there the environment variable REQUESTS_CA_BUNDLE counts instead of ca_path",
        ),
        (
            """(Caused by SSLError(CertificateError("hostname '127.0.0.1' doesn't match '10.9.9.9'")))""",
            "TLS failed: the server's certificate is not for 127.0.0.1: check the address, and for which names the certificate is",
        ),
        ("(Caused by SSLError(SSLError(524297, '[SSL] PEM lib (_ssl.c:1)')))", "TLS failed: the client's certificate or key is not in PEM format"),
        ("SSLError(116, '[X509: KEY_VALUES_MISMATCH] key values mismatch (_ssl.c:1)')", "TLS failed: the client's key does not belong to its certificate"),
        ("(Caused by ProxyError('Unable to connect to proxy', X('Connection refused')))", PROXY),
        ("(Caused by ProxyError('Cannot connect to proxy.', X('Connection refused')))", PROXY),
        ("Exceeded 0 redirects.", "it redirects to another address: is there a proxy in between that wants a login?"),
    ],
)
def test_what_libraries_say(monkeypatch: pytest.MonkeyPatch, text: str, expected: str) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/bundle.pem")
    assert reason(DockerException(text)).endswith(expected)
