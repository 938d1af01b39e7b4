"""A headless Chromium for tests of pages: opened, typed into, looked at and printed, with no network of its own.

It is spoken to over two pipes in its own protocol (Chrome DevTools), so that no driver has to be kept beside it.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 60.0


class Page:
    """One page in the browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers, self._read = commands, answers, b""
        self._number, self._session = 0, None
        self.events: list[dict[str, Any]] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._ask(f"{domain}.enable")

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._message())
            if answer.get("id") == 0:
                continue
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            if answer["method"] == "Page.javascriptDialogOpening":  # "leave without saving?": yes
                leave = {"id": 0, "sessionId": self._session, "method": "Page.handleJavaScriptDialog"}
                os.write(self._commands, json.dumps(leave | {"params": {"accept": True}}).encode() + b"\0")
            elif "id" not in answer:
                self.events.append(answer)

    def _message(self) -> bytes:
        while b"\0" not in self._read:
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser ended"
            self._read += part
        message, _, self._read = self._read.partition(b"\0")
        return message

    def open(self, address: str) -> None:
        """Go to an address and wait until it has loaded."""
        self._ask("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def before_every_page(self, script: str) -> str:
        """Have a script run before those of every page from now on; gives its number, to take it back."""
        return str(self._ask("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"])

    def no_longer(self, number: str) -> None:
        """Take a script back."""
        self._ask("Page.removeScriptToEvaluateOnNewDocument", identifier=number)

    def run(self, script: str) -> Any:
        """Work out an expression on the page; a promise is waited for."""
        found = self._ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until something holds on the page."""
        end = time.monotonic() + _SECONDS
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < end, f"it never came that {condition}"
            time.sleep(0.05)

    def press(self, key: str, *, text: str = "") -> None:
        """Press and release a key of the keyboard."""
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, **_KEYS.get(key, {}), **more)

    def type(self, text: str) -> None:
        """Type text where the focus is."""
        self._ask("Input.insertText", text=text)

    def narrow(self, width: int, height: int = 900) -> None:
        """Make the window so wide."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Take a picture of the page."""
        taken = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def print(self, path: Path) -> None:
        """Print the page as a PDF, on the paper that its style asks for."""
        made = self._ask("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(made["data"]))

    def save_downloads_in(self, folder: Path) -> None:
        """Let downloads go to a folder."""
        session, self._session = self._session, None
        self._ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self._session = session

    def faults_for_users(self, axe: str | None = None) -> list[str]:
        """Give what axe-core finds against WCAG 2 A and AA: rule, how serious, and how often."""
        self.run(axe or files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
        tags = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']"
        shown = "`${each.impact}: ${each.id} (${each.nodes.length}) ${each.nodes[0].html.slice(0, 200)}`"
        options = f"{{runOnly: {tags}, resultTypes: ['violations']}}"
        found = self.run(f"axe.run(document, {options}).then((all) => all.violations.map((each) => {shown}))")
        return list(found)


_KEYS = {
    "Tab": {"windowsVirtualKeyCode": 9},
    "Enter": {"windowsVirtualKeyCode": 13, "text": "\r"},
    " ": {"windowsVirtualKeyCode": 32, "text": " "},
}


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """Start a browser with a profile of its own in a folder; the test is skipped where there is none.

    It has no network: every name leads nowhere.
    """
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(_NAMES)} is installed (.ci/run installs chromium)")
    read_commands, commands = os.pipe()
    answers, write_answers = os.pipe()
    arguments = [
        found, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
        "--disable-dev-shm-usage", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}", "about:blank",
    ]  # fmt: skip
    # The protocol is on the file numbers 3 and 4; a shell puts them there.
    shell = f'exec "$@" 3<&{read_commands} 4>&{write_answers}'
    process = subprocess.Popen(
        ["bash", "-c", shell, "bash", *arguments],
        pass_fds=(read_commands, write_answers),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    os.close(read_commands)
    os.close(write_answers)
    try:
        yield Page(commands, answers)
    finally:
        process.terminate()
        process.wait(timeout=30)
        os.close(commands)
        os.close(answers)
