# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""A program that is given a secret: run it, read its output, and make sure that nothing of it is left.

A program may leave helpers behind that ignore signals, move into a session of their own or keep the output open. They have the secret, too.
"""

import ctypes
import os
import select
import signal
import subprocess
import time
from typing import Any, Callable, Dict, Iterable, List, Optional

from ansible_collections.expanso.edge.plugins.module_utils._account import Account
from ansible_collections.expanso.edge.plugins.module_utils._secrets import SAID

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_LOOK_SECONDS = 0.05
_LAST_PATIENCE = 5.0


class Program:
    """A program at work. Whatever becomes of it, :meth:`end` has to be called."""

    def __init__(self, command: List[str], environment: Dict[str, str], account: Account, inherited: Iterable[int] = ()) -> None:
        """Start the program, never by way of a shell.

        :param inherited: open files that it and its children keep open
        :raises OSError: it cannot be run
        :raises subprocess.SubprocessError: the account cannot be taken on
        """
        _adopt_orphans()
        self._pipe, writing = os.pipe()
        os.set_blocking(self._pipe, False)
        self._open = True
        self._output = bytearray()
        try:
            # not the module's run_command(): it waits for all who hold the output, without a limit
            self._child = subprocess.Popen(  # pylint: disable=ansible-bad-function
                command,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                cwd="/",
                env=dict(os.environ, **environment),
                start_new_session=True,
                pass_fds=tuple(inherited),
                preexec_fn=_become(account),
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(writing)

    @property
    def code(self) -> Optional[int]:
        """Its exit code, less than zero where a signal ended it, None while it runs."""
        return self._child.poll()

    @property
    def output(self) -> bytes:
        """The end of its output so far."""
        return bytes(self._output)

    def listen(self, seconds: float) -> None:
        """Read its output, and return when there is some, when it ends, or when the time is up."""
        if not self._open:
            time.sleep(min(max(seconds, 0.0), _LOOK_SECONDS))
        elif select.select([self._pipe], [], [], min(max(seconds, 0.0), _LOOK_SECONDS))[0]:
            self._read()

    def wait(self, deadline: float, until: Callable[[], Any]) -> bool:
        """Listen until something has happened, and return whether that was in time.

        :param deadline: in the time of :func:`time.monotonic`
        """
        while not until():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.listen(left)
        return True

    def end(self, patience: float) -> int:
        """End what is left of it and of all that it started; return how many processes could not be ended.

        :param patience: seconds until it is made to end
        """
        self._signal(signal.SIGTERM)
        self._gone_within(patience)
        deadline = time.monotonic() + _LAST_PATIENCE
        while self._left() and time.monotonic() < deadline:
            self._signal(signal.SIGKILL)
            self._gone_within(_LOOK_SECONDS)
        self._read()
        os.close(self._pipe)
        self._open = False
        return len(self._left())

    def _gone_within(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._left() and time.monotonic() < deadline:
            self.listen(_LOOK_SECONDS)

    def _signal(self, number: int) -> None:
        for send, pid in [(os.killpg, self._child.pid)] + [(os.kill, pid) for pid in self._left()]:
            try:
                send(pid, number)
            except OSError:  # it has ended
                continue

    def _left(self) -> List[int]:
        """Return the processes that are left of it, and reap those that have ended."""
        ended = self.code is not None
        found = descendants(os.getpid())
        for pid, dead in found.items():
            if dead and pid != self._child.pid:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except OSError:  # another's child, which that one reaps
                    continue
        return [pid for pid, dead in found.items() if not dead and not (ended and pid == self._child.pid)]

    def _read(self) -> None:
        """Take the output that is there, so that nothing waits for a reader."""
        for _more in range(64):  # a program that prints without end must not hold this one up
            if not self._open:
                return
            try:
                data = os.read(self._pipe, 65536)
            except BlockingIOError:
                return
            self._open = bool(data)
            self._output += data
            del self._output[:-SAID]


def descendants(own: int) -> Dict[int, bool]:
    """Return the processes below one, and whether each has ended and waits for its parent."""
    parents, dead = {}, {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as handle:
                # pid (name) state parent ...: the name may hold blanks and parentheses
                state, parent = handle.read().rsplit(b")", 1)[1].split()[:2]
        except (OSError, ValueError, IndexError):  # it has ended
            continue
        parents[int(entry)] = int(parent)
        dead[int(entry)] = state in (b"Z", b"X")
    found, young = {own}, {own}
    while young:
        young = {pid for pid, parent in parents.items() if parent in young} - found
        found |= young
    return {pid: dead[pid] for pid in found - {own}}


def _adopt_orphans() -> None:
    """Become the parent of all below this process whose own parent ends, so that they are found, whatever session they are in."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):  # a C library without it: then those that still have their parent are found
        return


def may_access(account: Account, path: str, mode: int) -> bool:
    """Whether an account can do something with a file, as :func:`os.access` tells the account itself."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _become(account)()
            code = 0 if os.access(path, mode) else 1
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def _become(account: Account) -> Callable[[], None]:
    def become() -> None:
        if (account.uid, account.gid) == (os.geteuid(), os.getegid()):
            return
        if account.name == str(account.uid):
            os.setgroups([])
        else:
            os.initgroups(account.name, account.gid)
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)

    return become
