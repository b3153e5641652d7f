# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headless Chromium, spoken to through two pipes in the DevTools protocol: no port, no driver, nothing but Debian's package."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path[:0] = [str(TOOLS)]

import debian

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
)  # fmt: skip
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for number, end in zip((3, 4), ends):
    os.dup2(end, number, inheritable=True)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads commands from descriptor 3 and writes answers to descriptor 4."""
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowDown": 40}
SECONDS = 60
"""Longer than any answer takes, also on a busy machine."""


class BrowserError(Exception):
    """Chromium did not do what it was asked for."""


def program() -> str:
    """Chromium of this machine. It is installed where this process may, otherwise the error says what to do (paths.SupportError)."""
    found = shutil.which("chromium")
    if not found:
        debian.install(["chromium"], "The test of the audit's page in a browser")
        found = shutil.which("chromium")
    if not found:
        raise BrowserError("there is no program `chromium`, although its package is installed.")
    return found


class Browser:
    """One Chromium with a profile of its own."""

    def __init__(self, process: subprocess.Popen[bytes], commands: int, answers: int, log: Path) -> None:
        self.process, self.commands, self.answers, self.log = process, commands, answers, log
        self.number = 0
        self.buffer = b""
        self.events: list[dict[str, Any]] = []

    def receive(self, until: float) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            ready, dummy, dummy = select.select([self.answers], [], [], max(until - time.monotonic(), 0))
            data = os.read(self.answers, 1 << 20) if ready else b""
            if not data:
                last = self.log.read_text(errors="replace")[-2000:]
                raise BrowserError(f"Chromium {'ended' if ready else f'did not answer within {SECONDS} s'}. The end of what it printed:\n{last}")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(message)
        return answer

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result. Events that come meanwhile are kept."""
        self.number += 1
        number = self.number
        command = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        until = time.monotonic() + SECONDS
        while True:
            message = self.receive(until)
            if message.get("id") == number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def wait(self, method: str, session: str) -> dict[str, Any]:
        """The first such event that has not been waited for."""
        until = time.monotonic() + SECONDS
        position = 0
        while True:
            for message in self.events[position:]:
                if message.get("method") == method and message.get("sessionId") == session and not message.get("seen"):
                    message["seen"] = True
                    parameters: dict[str, Any] = message["params"]
                    return parameters
            position = len(self.events)
            self.events.append(self.receive(until))

    def page(self, file: Path, **options: Any) -> Page:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, target, session, file, **options)


class Page:
    """A file that is shown in a tab, with all that it logs and asks the network for."""

    def __init__(
        self, browser: Browser, target: str, session: str, file: Path, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True
    ) -> None:
        self.browser, self.target, self.session = browser, target, session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Page.bringToFront")  # a page behind another gets no keys and draws nothing
        self.call("Page.navigate", url=file.as_uri())
        self.browser.wait("Page.loadEventFired", session)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **parameters)

    def value(self, expression: str) -> Any:
        """What an expression in JavaScript gives. It also works where the page itself may run no script."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, key: str, **options: Any) -> None:
        """Press and release one key, as a person does. A text is typed."""
        if key not in KEYS:
            self.call("Input.insertText", text=key)
            return
        character = {"Enter": {"text": "\r"}, " ": {"text": " "}}.get(key, {})
        common = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": KEYS[key], **options}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **character)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def happened(self, method: str) -> list[dict[str, Any]]:
        return [one["params"] for one in self.browser.events if one.get("method") == method and one.get("sessionId") == self.session]

    def complaints(self) -> list[str]:
        """Everything on the console, and every script that failed."""
        return [json.dumps(one) for name in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") for one in self.happened(name)]

    def requests(self) -> list[str]:
        """What was asked for, but for the file itself and what is written in it."""
        urls = [one["request"]["url"] for one in self.happened("Network.requestWillBeSent")]
        return [url for url in urls[1:] if not url.startswith("data:")]

    def picture(self, path: Path, whole: bool = False) -> None:
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        self.browser.call("Target.closeTarget", targetId=self.target)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A running Chromium, ended and cleaned up afterwards."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        command_read, command_write = os.pipe()
        answer_read, answer_write = os.pipe()
        log = Path(folder) / "log"
        browser = [program(), *OPTIONS, f"--user-data-dir={folder}/profile", "about:blank"]
        launch = [sys.executable, "-I", "-c", LAUNCH, str(command_read), str(answer_write), *browser]
        with open(log, "wb") as output:
            process = subprocess.Popen(
                launch, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=(command_read, answer_write), env={**os.environ, "HOME": folder}
            )
        os.close(command_read)
        os.close(answer_write)
        one = Browser(process, command_write, answer_read, log)
        try:
            yield one
            one.call("Browser.close")
        finally:
            os.close(command_write)  # it ends when nobody can command it any more
            os.close(answer_read)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
