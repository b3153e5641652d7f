# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
"""Where people and programs leave tokens on a node, as data. Another place is another row.

Pure: nothing here looks at a node.
"""

import os
from typing import Iterable, List, NamedTuple, Tuple

HOME = "~"
"""Stands for the home directory of every account."""

_MOST_ACCOUNTS = 5000

WHOLE = ("processes", "units", "neighbours")
"""Places that have code of their own in ``exposure``."""

JOURNAL = "journal"


class Spot(NamedTuple):
    """Files to look into."""

    place: str  # what users switch on and off
    kind: str  # what a finding says of it
    directory: str  # the last part may be a pattern
    names: Tuple[str, ...] = ("*",)  # patterns, of files
    depth: int = 0  # how many levels of directories below are searched
    largest: int = 0  # bytes; a larger file is something else. 0: no limit but that of all files
    without: Tuple[str, ...] = ()  # patterns of files and directories that are something else


TELLING = ("*token*", "*expanso*", "*bootstrap*", "*.env", "env", ".env", "*secret*", "*.jwt", "*.key", "*.sh")
"""Names of files that are looked into first where there are too many for all."""

_HISTORIES = (
    ".bash_history", ".zsh_history", ".zhistory", ".histfile", ".ash_history", ".sh_history", ".ksh_history", ".mksh_history", ".history", ".python_history",
    ".psql_history", ".mysql_history", ".sqlite_history", ".node_repl_history", ".lesshst", ".viminfo", ".nano_history",
)  # fmt: skip
_STARTUP = (
    ".profile", ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".zshrc", ".zshenv", ".zprofile", ".zlogin", ".kshrc", ".cshrc",
    ".tcshrc", ".login", ".pam_environment", ".xsessionrc", ".env", ".envrc", ".netrc",
)  # fmt: skip
_FOR_PROGRAMS = (".curlrc", ".git-credentials", ".npmrc", ".pgpass", ".wgetrc", "*.ini", "*.yaml", "*.yml", "hosts")
_SMALL = 64 * 1024
_BINARY = ("lastlog*", "faillog*", "tallylog*", "*.journal", "*.journal~")

SPOTS = (
    Spot("histories", "history", HOME, _HISTORIES),
    Spot("histories", "history", "~/.local/share/fish", ("*_history",)),
    Spot("histories", "history", "~/.local/share/powershell/PSReadLine", ("*_history.txt",)),
    Spot("histories", "history", HOME, (".*history*.tmp", ".*history.sw?", ".*history~", ".*history.bak", ".*history.old")),
    Spot("histories", "history", "~/.bash_sessions"),
    Spot("histories", "history", "~/.zsh_sessions"),
    Spot("histories", "history", "~/.local/share/atuin", ("history.db*",)),
    Spot("histories", "history", "~/.local/state/nvim", depth=2),
    Spot("histories", "history", "~/.vim", ("*.sw?", ".*.sw?", "*%*"), depth=2),
    Spot("profiles", "profile", "/etc", ("environment*", "profile*", "bash.bashrc", "bashrc", "csh.*", "zsh*", "rc.local")),
    Spot("profiles", "profile", "/etc/environment.d"),
    Spot("profiles", "profile", "/etc/profile.d"),
    Spot("profiles", "profile", "/etc/security", ("pam_env.conf",)),
    Spot("profiles", "profile", "/etc/zsh"),
    Spot("profiles", "profile", "/etc/fish", depth=1),
    Spot("profiles", "profile", "/etc/skel", (*_STARTUP, *_HISTORIES)),
    Spot("profiles", "profile", "/etc/X11/Xsession.d"),
    Spot("profiles", "profile", HOME, _STARTUP),
    Spot("profiles", "profile", "~/.ssh", ("environment", "rc")),
    Spot("profiles", "profile", "~/.config/environment.d"),
    Spot("profiles", "profile", "~/.config/fish", ("*.fish", "fish_variables"), depth=1),
    Spot("profiles", "profile", "~/.config/systemd/user", depth=2),
    Spot("defaults", "defaults", "/etc/default", depth=2),
    Spot("defaults", "defaults", "/etc/sysconfig", depth=2),
    Spot("defaults", "defaults", "/etc/conf.d", depth=1),
    Spot("defaults", "defaults", "/etc", ("sudoers",)),
    Spot("defaults", "defaults", "/etc/sudoers.d"),
    Spot("defaults", "defaults", "/etc/init.d"),
    Spot("defaults", "defaults", "/etc/supervisor*", depth=1),
    Spot("defaults", "defaults", "/etc/NetworkManager/dispatcher.d", depth=1),
    Spot("defaults", "defaults", "/etc/kubernetes/manifests"),
    Spot("cron", "cron", "/etc", ("crontab", "anacrontab")),
    Spot("cron", "cron", "/etc/cron.*"),
    Spot("cron", "cron", "/etc/crontabs"),
    Spot("cron", "cron", "/var/spool/cron", depth=2),
    Spot("cron", "cron", "/var/spool/at", depth=2),
    Spot("ansible", "ansible", "~/.ansible/tmp", depth=2),
    Spot("ansible", "ansible", "~/.ansible_async", depth=1),
    Spot("ansible", "ansible", "/tmp/ansible[-_.]*", depth=1),
    Spot("ansible", "ansible", "/tmp/.ansible*", depth=2),
    Spot("ansible", "ansible", "/var/tmp/ansible[-_.]*", depth=1),
    Spot("ansible", "ansible", "/var/tmp/.ansible*", depth=2),
    Spot("ansible", "ansible", "/tmp", ("ansible[-_.]*",)),
    Spot("ansible", "ansible", "/var/tmp", ("ansible[-_.]*",)),
    Spot("cloud_init", "cloud_init", "/var/lib/cloud/instances", depth=4),
    Spot("cloud_init", "cloud_init", "/var/lib/cloud/scripts", depth=2),
    Spot("cloud_init", "cloud_init", "/var/lib/cloud/seed", depth=3),
    Spot("cloud_init", "cloud_init", "/var/lib/cloud/data", depth=1),
    Spot("cloud_init", "cloud_init", "/run/cloud-init", depth=2),
    Spot("cloud_init", "cloud_init", "/etc/cloud", depth=2),
    Spot("cloud_init", "cloud_init", "/var/log", ("cloud-init*",)),
    Spot("cloud_init", "cloud_init", "/root", ("*-ks.cfg",)),
    Spot("cloud_init", "cloud_init", "/var/lib/waagent", ("CustomData", "ovf-env.xml")),
    Spot("copies", "copy", HOME, (*TELLING, *_FOR_PROGRAMS), largest=_SMALL),
    Spot("copies", "copy", "~/.docker", ("config.json",)),
    Spot("copies", "copy", "~/.kube", ("config",)),
    Spot("copies", "copy", "/etc/expanso*", depth=3, largest=_SMALL, without=(".*",)),
    Spot("copies", "copy", "/opt/expanso*", depth=3, largest=_SMALL),
    Spot("copies", "copy", "/srv/expanso*", depth=3, largest=_SMALL),
    Spot("copies", "copy", "/var/backups", depth=3, without=("alternatives.*", "apt.*", "aptitude.*", "dpkg.*")),
    Spot("copies", "copy", "/usr/local/bin", TELLING, largest=_SMALL),
    Spot("copies", "copy", "/usr/local/sbin", TELLING, largest=_SMALL),
    Spot("copies", "copy", "/var/lib/systemd/coredump", ("*expanso*",)),
    Spot("copies", "copy", "/var/crash", ("*expanso*",), depth=1),
    Spot("containers", "container", "/var/lib/docker/containers", ("config.v2.json",), depth=1),
    Spot("containers", "container", "/var/lib/containers/storage/overlay-containers", ("config.json",), depth=2),
    Spot("containers", "container", "~/.local/share/containers/storage/overlay-containers", ("config.json",), depth=2),
    Spot("temporary", "temporary", "/tmp", largest=_SMALL),
    Spot("temporary", "temporary", "/tmp", TELLING, depth=3, largest=_SMALL),
    Spot("temporary", "temporary", "/var/tmp", largest=_SMALL),
    Spot("temporary", "temporary", "/var/tmp", TELLING, depth=3, largest=_SMALL),
    Spot("temporary", "temporary", "/dev/shm", largest=_SMALL),
    Spot("logs", "log", HOME, ("nohup.out", "screenlog.*", "typescript")),
    Spot("logs", "log", "~/.tmux/resurrect"),
    Spot("logs", "log", "~/.local/share/tmux/resurrect"),
    Spot("logs", "log", "/var/mail"),
    Spot("logs", "log", "/var/spool/mail"),
    Spot("logs", "log", "/var/log", depth=4, without=("journal", *_BINARY)),
    Spot("containers", "log", "/var/lib/docker/containers", ("*-json.log*",), depth=1),
)
"""In the order in which they are searched: what is quick to read first. A file that is in several of them belongs to the first."""

CHOICES = (*WHOLE, *dict.fromkeys(spot.place for spot in SPOTS), JOURNAL)
"""What users can switch on and off."""

PACKED = ("log", "cloud_init", "copy")
"""Kinds of files that may be compressed."""

NESTED = ("cloud_init",)
"""Kinds of files in which there may be others, compressed and in base64."""


def homes(accounts: Iterable[str], others: Iterable[str]) -> List[str]:
    """Return the home directories of all accounts.

    :param accounts: lines of passwd(5)
    :param others: names in ``/home``: some accounts are known to a directory service only
    """
    fields = (line.rstrip("\n").split(":") for line in accounts)
    found = ["/root"] + [each[5] for each in fields if len(each) > 6 and each[5].startswith("/")] + [f"/home/{name}" for name in others]
    return list(dict.fromkeys(os.path.normpath(each) for each in found))[:_MOST_ACCOUNTS]
