# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The one boundary between the modules and Ansible: no message or result that passes it holds a secret."""

import errno
import locale
import os
import re
from typing import Any, Callable, Dict, Iterator, List, Optional

from ansible.module_utils import basic
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._secrets import MASK, PIECE, assigned, mask
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault

Result = Dict[str, Any]

_STRUCTURED = ("kubeconfig", "proxy_headers")
"""Options that may hold secrets deep inside, unknown to Ansible."""

_PUBLIC = ("manifests", "service_plan")
"""Options that become what many can read, so that a token in them is refused. Until then it is not to be seen either."""

_ROOT_IS_REFUSED = "; root is refused this by an attribute (lsattr), a network file system, a security module, or a container's capabilities"
_HINTS = {
    errno.ENOSPC: "; free space or inodes there (df, df --inodes, quota)",
    errno.EDQUOT: "; free space or inodes there (df, df --inodes, quota)",
    errno.EPERM: _ROOT_IS_REFUSED,
    errno.EACCES: _ROOT_IS_REFUSED,
    errno.EBUSY: "; is something mounted there? Then mount the directory above it instead, or name another path",
}

LONGEST_LOGGED = 4096
LONGEST_MESSAGE = 16384

_RUN_OPTIONS = ("token_label", "run_id", "job_id")
"""Those of the modules that change a token, see :data:`_record.ARGUMENT_SPEC`."""

_SECRET_KEY = re.compile(r"token|password|secret|auth$|key-data|certificate-data|^value$", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"(?:token|password|secret|auth|key-data|certificate-data|value)[\"']?\s*:\s*[\"']?([^\s\"',}]{8,})", re.IGNORECASE)


class EdgeModule(AnsibleModule):
    """An Ansible module whose options hold secrets. Modules end by :meth:`execute` alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._learned: List[str] = []
        self._done: List[str] = []
        self.so_far: Result = {}
        """What the result of a failure tells of the changes that were made before it."""
        self.doing = ""
        # Ansible fails before it has read its options where the node's locale cannot be used
        self.params: Result = {}
        if getattr(basic, "_PARSED_MODULE_ARGS", {}) is None:
            basic._PARSED_MODULE_ARGS = {}
        fault = ""
        try:
            super().__init__(*args, **kwargs)
        except locale.Error as exc:
            fault = f"the locale of this node cannot be used: {exc}"
        except Exception as exc:  # Ansible's own checks stumble over some values, such as an infinite number of seconds
            if not hasattr(self, "cleanup_files"):  # nothing was begun: ansible-test asks for the options in this way
                raise
            fault = f"an option has a value that cannot be checked: {_unexpected(exc)}"
        if fault:
            self.fail_json(msg=fault)

    def learn(self, secret: str) -> str:
        """Keep a secret that was found at run time out of everything that the module prints; return it."""
        if len(secret) >= PIECE:
            self._learned.append(secret)
            self.no_log_values.add(secret)
        return secret

    def did(self, what: str, **facts: Any) -> None:
        """Remember a change that was made, so that a failure afterwards tells of it.

        :param facts: what the result of that failure holds of it
        """
        self._done.append(what)
        self.so_far.update(facts, changed=True)

    def execute(self, work: Callable[["EdgeModule"], Result], doing: str, where: str = "") -> None:
        """Do the module's work and end it, with its result or with a failure that tells why.

        :param doing: what cannot be done where the system refuses, such as ``manage /etc/expanso/bootstrap.token``; the work may change it on its way
        :param where: put before what is wrong with a token
        """
        failure: Result = {}
        result: Result = {}
        self.doing = doing
        try:
            _checks.options(self.argument_spec, self.params)
            result = work(self)
        except TokenFault as exc:
            failure = {"msg": f"{where}: {exc.message}" if where else exc.message, "fault": exc.code}
        except EdgeError as exc:
            failure = dict(exc.details, msg=str(exc))
        except OSError as exc:
            failure = {"msg": _refused(exc, self.doing)}
        except Exception as exc:
            failure = {"msg": _unexpected(exc)}
        # Outside of any handler: since ansible-core 2.19, fail_json attaches the text of the exception that is being handled.
        if failure and self._done:
            failure = dict(self.so_far, **failure)
            failure["msg"] += f"; already done: {', '.join(self._done)}"
        if failure:
            self.fail_json(**self.masked(failure))
        self.exit_json(**result)

    def _secrets(self) -> List[str]:
        given = [value for name, option in self.argument_spec.items() if option.get("no_log") for value in _texts(self.params.get(name))]
        for name in _STRUCTURED:
            given += _sensitive(self.params.get(name))
        for name in _PUBLIC:
            given += assigned(self.params.get(name))
        if not isinstance(self.params.get("proxy_headers"), dict):  # of the wrong shape, so nothing tells what of it is secret
            given += _texts(self.params.get("proxy_headers"))
        # what is too long for a secret is refused before it gets anywhere, and takes minutes to look for
        given = [each for each in given if len(each) <= _checks.LONGEST]
        # no program can print what is between these, which UTF-8 does not know
        return [piece for each in given for piece in _checks.SURROGATE.split(each) if len(piece) >= PIECE] + self._learned

    def masked(self, value: Any, *more: str) -> Any:
        """Return a structure with every piece of every secret masked, in whatever encoding, and what has a token's shape as well.

        :param more: further secrets
        """
        secrets = self._secrets() + list(more)

        def masked(each: Any) -> Any:
            if isinstance(each, dict):
                return {masked(key): masked(inner) for key, inner in each.items()}
            if isinstance(each, (list, tuple)):
                return [masked(inner) for inner in each]
            return mask(each, *secrets) if isinstance(each, str) else each

        return masked(value)

    def log_change(self, action: str, place: str, former: Optional[str], now: Optional[str]) -> None:
        """Tell the node's journal or syslog what was changed, unless this is check mode.

        :param former: fingerprint of the token that the place held, None where it held none
        :param now: the same of the token that it holds now
        """
        if not self.check_mode:
            words = [f"token {former or 'none'} -> {now or 'none'}"]
            words += [f"{name} {value}" for name, value in self.run_options().items() if value]
            self.log(_loggable(f"expanso.edge: {action} {place} ({', '.join(words)})", self._secrets()))

    def run_options(self, *secrets: str) -> Result:
        """Return the options that tell of the run and of the token, masked: a label may be the token by mistake."""
        return {name: self.masked((self.params[name] or "")[:LONGEST_LOGGED], *secrets) for name in _RUN_OPTIONS}

    def run_command(self, args: Any, **kwargs: Any) -> Any:
        """Run a program. Ansible itself does not tell which one could not be run, and why."""
        try:
            return super().run_command(args, handle_exceptions=False, **kwargs)
        except OSError as exc:
            program = args[0] if isinstance(args, list) else args
            fault = f"{program} cannot be run: {exc.strerror or type(exc).__name__}"
        raise EdgeError(fault)

    def warn(self, warning: str, **more: Any) -> None:
        """Warn, masked: ansible-core 2.19 and newer do not mask warnings."""
        super().warn(self.masked(warning), **more)

    def _log_invocation(self) -> None:
        """Log that the module runs. Ansible logs the options before they could be checked, and fails where the log does not accept them."""
        secrets = self._secrets()
        self.no_log_values.update(secrets)
        given: Result = dict(self.params)
        self.params = {name: _loggable(value, secrets) for name, value in given.items()}
        try:
            super()._log_invocation()
        finally:
            self.params = given

    def add_path_info(self, kwargs: Result) -> Result:
        """Add what Ansible tells of the file at the result's path, which matters less than the result."""
        try:
            return dict(super().add_path_info(kwargs))
        except OSError:
            return kwargs

    def _return_formatted(self, kwargs: Result) -> None:
        """Print the result. Ansible calls this for its own failures, too, some of which come before it knows what is secret."""
        self.no_log_values.update(self._secrets())
        if kwargs.get("failed"):
            kwargs["msg"] = _shortened(self.masked(str(kwargs["msg"])))  # Ansible's own messages quote whatever an option holds
        token = self.params.get("token")
        if isinstance(token, str) and len(token) < PIECE:
            # A blank would take every message apart. Older ansible-core returns a module's options, so there it is replaced.
            self.no_log_values.discard(token)
            self.params["token"] = token and MASK
        # Ansible returns a module's options at -vvv, and one that is not secret may contain a token by mistake.
        self.params = self.masked(self.params)
        # ansible-core 2.22 adds the secrets to the output, for the controller; an asynchronous task's output is a file.
        new_secrets = getattr(self, "_new_secrets", None)
        if new_secrets is not None:
            new_secrets.flush()
        super()._return_formatted(kwargs)


def _loggable(value: Any, secrets: List[str]) -> Any:
    """Return an option's value as a log accepts it: not too long, because Ansible would search it for minutes, and without control characters."""
    text = value if isinstance(value, str) else str(value)
    if len(text) > LONGEST_LOGGED:
        return f"({len(text)} characters)"
    shown = mask(text, *secrets)  # an option that is not secret may quote the token
    if not isinstance(value, str):
        return value if shown == text else shown
    return "".join(each if each.isprintable() else "?" for each in shown)


def _shortened(text: str) -> str:
    more = len(text) - LONGEST_MESSAGE
    return text if more <= 0 else f"{text[:LONGEST_MESSAGE]} ... ({more} more characters)"


def _refused(fault: OSError, doing: str) -> str:
    hint = _HINTS.get(fault.errno or 0, "")
    if isinstance(fault, PermissionError) and os.geteuid():
        hint = "; run it as root (become: true)"
    place = f"{fault.filename}: " if fault.filename and not doing.endswith(f" {fault.filename}") else ""
    return f"cannot {doing}: {place}{fault.strerror or type(fault).__name__}{hint}"


def _unexpected(fault: Exception) -> str:
    """Return an unexpected exception's type and place, never its text: that may quote a secret."""
    if isinstance(fault, RecursionError):
        return "its lists or dictionaries are nested too deeply"
    if isinstance(fault, MemoryError):
        return "this node has too little memory left for the module: free some, or raise its limit (ulimit -v)"
    place, trace = "an unknown place", fault.__traceback__
    while trace:
        place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"unexpected {type(fault).__name__} at {place}; its text is withheld, because it may hold the token: please report this"


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in an option's value, which has the wrong shape where Ansible has not checked it yet."""
    if isinstance(value, dict):
        value = list(value.keys()) + list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _sensitive(value: Any) -> List[str]:
    """Return the texts in a structure that stand under the name of a secret; a structure may be given as text, too."""
    if isinstance(value, dict):
        named = [text for key, inner in value.items() if _SECRET_KEY.search(str(key)) for text in _texts(inner)]
        return named + [text for inner in value.values() if isinstance(inner, (dict, list)) for text in _sensitive(inner)]
    if isinstance(value, list):
        return [text for inner in value if isinstance(inner, (dict, list)) for text in _sensitive(inner)]
    return _SECRET_VALUE.findall(value) if isinstance(value, str) else []
