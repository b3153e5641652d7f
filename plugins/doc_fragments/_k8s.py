# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later


class ModuleDocFragment:
    """How a module connects to a Kubernetes cluster."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig on the host that the module runs on, or its content as a dictionary. Also E(K8S_AUTH_KUBECONFIG).
      - White space at the end of a token in it, as a line break of a file, is not part of it.
      - By default the service account of the pod that the module runs in, else the file that E(KUBECONFIG) names or C(~/.kube/config).
    type: raw
  context:
    description: Context of the kubeconfig. Also E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description: URL of the API server. Also E(K8S_AUTH_HOST).
    type: str
  api_key:
    description: Bearer token of the account. Also E(K8S_AUTH_API_KEY). One line break at its end, as files have, is not part of it.
    type: str
  username:
    description: Account for basic authentication. Also E(K8S_AUTH_USERNAME).
    type: str
  password:
    description: Its password. Also E(K8S_AUTH_PASSWORD).
    type: str
  validate_certs:
    description: Verify the API server's certificate. Also E(K8S_AUTH_VERIFY_SSL).
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description: File of the authority that signed the API server's certificate. Also E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description: File of the certificate that the account shows. Also E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description: File of the key to O(client_cert). Also E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  proxy:
    description: URL of an HTTP proxy. Also E(K8S_AUTH_PROXY).
    type: str
  no_proxy:
    description: Hosts that are reached without the proxy, separated by commas. Also E(K8S_AUTH_NO_PROXY).
    type: str
  proxy_headers:
    description:
      - Headers for the proxy, a dictionary.
      - C(proxy_basic_auth), name and password for the proxy, separated by a colon. Also E(K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH).
      - C(basic_auth), name and password, separated by a colon. Also E(K8S_AUTH_PROXY_HEADERS_BASIC_AUTH).
      - C(user_agent), user agent. Also E(K8S_AUTH_PROXY_HEADERS_USER_AGENT).
    type: dict
  persist_config:
    description: Save refresh tokens of the account to the kubeconfig. Also E(K8S_AUTH_PERSIST_CONFIG).
    type: bool
  impersonate_user:
    description: User to act as. Also E(K8S_AUTH_IMPERSONATE_USER).
    type: str
  impersonate_groups:
    description: Groups to act as. Also E(K8S_AUTH_IMPERSONATE_GROUPS).
    type: list
    elements: str
requirements:
  - collection kubernetes.core >= 2.4.2
  - kubernetes >= 19.15.0 (Python library)
notes:
  - Connects as the modules of kubernetes.core do, with the same options and environment variables, AWX's credential for Kubernetes among them.
"""
