# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SDK's exceptions."""


class DockerException(Exception):
    """The parent of all."""


class APIError(DockerException):
    """The engine refused."""

    def __init__(self, explanation, status="500"):
        super().__init__(status + " Server Error: " + explanation)
        self.status_code = int(status)
        self.explanation = explanation


class NotFound(APIError):
    """There is no such thing."""


class InvalidVersion(DockerException):
    """The engine is too old for what it is asked."""
