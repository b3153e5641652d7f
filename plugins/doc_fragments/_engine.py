# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later


class ModuleDocFragment:
    """How a module reaches a Docker engine: the options that community.docker's modules have, by the same names."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - Where the engine answers, as seen from the host that the module runs on. A Unix socket, C(tcp://HOST:2376) with TLS, or C(ssh://USER@HOST).
      - Plain TCP is refused unless it is loopback, because the token would cross the network unencrypted.
      - By default the environment variable E(DOCKER_HOST).
    type: str
    default: unix:///var/run/docker.sock
  tls:
    description:
      - Use TLS without verifying the engine's certificate. Prefer O(validate_certs).
      - By default the environment variable E(DOCKER_TLS).
    type: bool
    default: false
  validate_certs:
    description:
      - Use TLS and verify the engine's certificate.
      - By default the environment variable E(DOCKER_TLS_VERIFY).
    type: bool
    default: false
  ca_path:
    description:
      - Certificate of the authority that the engine's certificate is verified with.
      - By default C(ca.pem) in the directory that the environment variable E(DOCKER_CERT_PATH) names.
    type: path
  client_cert:
    description:
      - The client's certificate.
      - By default C(cert.pem) in the directory that the environment variable E(DOCKER_CERT_PATH) names.
    type: path
  client_key:
    description:
      - The client's key.
      - By default C(key.pem) in the directory that the environment variable E(DOCKER_CERT_PATH) names.
    type: path
  api_version:
    description:
      - Version of the engine's API.
      - By default the environment variable E(DOCKER_API_VERSION).
    type: str
    default: auto
  timeout:
    description:
      - How long to wait for an answer of the engine, in seconds.
      - By default the environment variable E(DOCKER_TIMEOUT).
    type: int
    default: 60
requirements:
  - Docker SDK for Python 4.4.3 or newer (C(python3-docker) or C(pip install docker)) on the host that the module runs on
"""
