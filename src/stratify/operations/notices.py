"""Being told: one short notice when a run failed, was refused or holds lists, and when a deployment is not well.

It goes to a web hook, by e-mail, or both, as the environment says; where it says nothing, nobody is told. A notice says
what happened and what to do first. Nobody is in it: its words are those of the faults themselves, which hold no value.
A notice that cannot be sent changes nothing of what it is about; it is said on standard error instead.
"""

from __future__ import annotations

import json
import smtplib
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage

from stratify.errors import StratifyError
from stratify.mounted_secret import read_secret
from stratify.runs import Summary

URL_VARIABLE = "STRATIFY_NOTICE_URL"
URL_FILE_VARIABLE = "STRATIFY_NOTICE_URL_FILE"
MAIL_VARIABLE = "STRATIFY_NOTICE_MAIL"
MAIL_SERVER_VARIABLE = "STRATIFY_NOTICE_MAIL_SERVER"
SECONDS_TO_WAIT = 20
RUNBOOK = "docs/data-engineer-at-0500.md"

_FIRST = {
    2: "Correct what it names in the settings or the environment, then run again.",
    3: "Send the supplier the report that the message names, ask for the file, then run again.",
    4: "Send the supplier the report that the message names, then run again.",
    5: "Undo the last change of definitions; `stratify rules test` shows what is wrong.",
    6: "Undo the last upgrade, and report it.",
    7: "Do what the message says; never work round it.",
    8: "Look whether another run is at work, then at disk and share, then run again.",
}


@dataclass(frozen=True)
class Notice:
    """What happened and what to do first.

    Attributes:
        kind: ``failed``, ``refused``, ``held``, ``feed not read`` or ``not well``.
        what: In a sentence or two.
        first: What to do first.
    """

    kind: str
    what: str
    first: str

    def in_words(self, machine: str) -> str:
        """Say it as a text, with the machine it is about."""
        return f"stratify on {machine}: {self.kind}\n{self.what}\nFirst: {self.first}\nMore: {RUNBOOK}"


def of_fault(fault: BaseException) -> Notice:
    """Give the notice of a run that did not finish."""
    if not isinstance(fault, StratifyError):
        what = f"The run ended with {type(fault).__name__}; the last good lists stay in place."
        return Notice("failed", what, "Run it again once; if it fails again, report the last line of its log.")
    kind = "refused" if fault.exit_code in (3, 4) else "failed"
    words = f"{type(fault).__name__}: {fault}"
    return Notice(kind, f"{words}\nThe last good lists stay in place.", _FIRST.get(fault.exit_code, _FIRST[8]))


def of_run(done: Summary) -> Notice | None:
    """Give the notice of a run that finished, where somebody has to do something; None otherwise."""
    lost = sorted({each["table_name"] for each in done.manifest["lost_feeds"]})
    said = [f"Lists are HELD: {', '.join(done.held)}."] if done.held else []
    said += [f"Feeds NOT READ: {', '.join(lost)}."] if lost else []
    if not said:
        return None
    what = f"Run {done.run_id} for {done.manifest['index_date']} is in place. {' '.join(said)}"
    first = (
        "Ask the supplier for the files that were not read." if lost else "See why they are held, and tell the teams."
    )
    return Notice("held" if done.held else "feed not read", what, first)


@contextmanager
def told_of_faults(environment: Mapping[str, str]) -> Iterator[None]:
    """Send a notice when what is done inside does not finish; what was raised is raised on."""
    try:
        yield
    except Exception as fault:
        send(of_fault(fault), environment)
        raise


def send_of_run(done: Summary, environment: Mapping[str, str]) -> None:
    """Send the notice of a run that finished, where there is one."""
    notice = of_run(done)
    if notice is not None:
        send(notice, environment)


def send(notice: Notice, environment: Mapping[str, str]) -> list[str]:
    """Send a notice to wherever the environment says.

    Args:
        notice: The notice.
        environment: The process's environment variables.

    Returns:
        Where it went; nothing where nowhere is named or nothing could be reached.
    """
    ways: list[tuple[str, Callable[[], None]]] = []
    try:
        hook = read_secret(environment, URL_VARIABLE, URL_FILE_VARIABLE)
    except StratifyError as fault:
        hook = None
        _say(str(fault))
    text = notice.in_words(socket.gethostname())
    if hook is not None:
        ways.append(("web hook", lambda: _post(hook.content.decode(), text, notice.kind)))
    receivers = environment.get(MAIL_VARIABLE, "").replace(",", " ").split()
    if receivers:
        server = environment.get(MAIL_SERVER_VARIABLE) or "localhost"
        ways.append(("e-mail", lambda: _mail(server, receivers, text, notice.kind)))
    reached = []
    for name, way in ways:
        try:
            way()
            reached.append(name)
        except (OSError, ValueError, smtplib.SMTPException) as fault:  # the address may hold a secret
            _say(f"the notice could not be sent by {name} ({type(fault).__name__})")
    return reached


def _post(url: str, text: str, kind: str) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError("a web hook is an address of the web")
    body = json.dumps({"text": text, "kind": kind}).encode()
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  checked above
    with urllib.request.urlopen(asked, timeout=SECONDS_TO_WAIT):  # noqa: S310
        pass


def _mail(server: str, receivers: Sequence[str], text: str, kind: str) -> None:
    host, _, port = server.partition(":")
    message = EmailMessage()
    message["Subject"] = f"stratify: {kind}"
    message["From"] = f"stratify@{socket.getfqdn()}"
    message["To"] = ", ".join(receivers)
    message.set_content(text)
    with smtplib.SMTP(host, int(port or 25), timeout=SECONDS_TO_WAIT) as open_server:
        open_server.send_message(message)


def _say(words: str) -> None:
    sys.stderr.write(f"stratify: {words}\n")
