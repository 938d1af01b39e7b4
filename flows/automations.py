"""Has the Prefect server tell of a run that was killed, or that nobody began: neither can send a notice of its own.

Run once, and after each change of the web hook: ``python -m flows.automations``. A run that fails, is refused, holds
lists or lacks a feed tells by itself, and is not told of a second time here.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta

from prefect.automations import EventTrigger
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.events.actions import CallWebhook
from prefect.events.schemas.automations import AutomationCore, Posture

from stratify.errors import SettingsError, StratifyError
from stratify.mounted_secret import read_secret
from stratify.operations import notices

BLOCK = "stratify-notice"
LATE_FOR = timedelta(minutes=15)
"""How long a run may be late before somebody is told: a worker that is restarted takes less."""

_OURS = {"prefect.resource.role": "flow", "prefect.resource.name": "stratify *"}
_EACH_RUN = {"prefect.resource.id"}


def automations(late_for: timedelta = LATE_FOR) -> dict[str, tuple[EventTrigger, notices.Notice]]:
    """Give what the server is to look for, by name, and the notice of each."""
    killed = EventTrigger(
        expect={"prefect.flow-run.Crashed", "prefect.flow-run.Cancelled"},
        match_related=_OURS, for_each=_EACH_RUN, posture=Posture.Reactive, threshold=1,
    )  # fmt: skip
    late = EventTrigger(
        after={"prefect.flow-run.Late"},
        expect={"prefect.flow-run.Pending", "prefect.flow-run.Running", "prefect.flow-run.Cancelled"},
        match_related=_OURS, for_each=_EACH_RUN, posture=Posture.Proactive, threshold=1, within=late_for,
    )  # fmt: skip
    what = "{{ flow.name }}"
    return {
        "stratify: a run was killed": (
            killed,
            notices.Notice(
                "failed", f"{what}: killed or cancelled. The last good lists stay in place.", "Run it again."
            ),
        ),
        "stratify: a run is late": (
            late,
            notices.Notice(
                "late", f"{what}: not begun. The last good lists stay in place.", "`systemctl status stratify-worker`."
            ),
        ),
    }


def set_up(late_for: timedelta = LATE_FOR) -> list[str]:
    """Have the server tell by the web hook of the environment; what was set up before is replaced. Gives the names.

    Raises:
        SettingsError: the environment names no web hook. By e-mail nothing but ``stratify doctor --notify`` can tell.
    """
    hook = read_secret(os.environ, notices.URL_VARIABLE, notices.URL_FILE_VARIABLE)
    if hook is None:
        raise SettingsError(
            f"environment, {notices.URL_FILE_VARIABLE}",
            expected="the file of a web hook's address: the server tells by it",
            found="none",
            action="Name one; or have cron call `stratify doctor --notify`, which sends e-mail too.",
        )
    block = Webhook(url=hook.content.decode(), headers={"Content-Type": "application/json"})
    document = block.save(BLOCK, overwrite=True)
    asked = automations(late_for)
    with get_client(sync_client=True) as server:
        for name, (trigger, notice) in asked.items():
            for old in server.read_automations_by_name(name):
                server.delete_automation(old.id)
            payload = json.dumps({"text": notice.in_words("this server"), "kind": notice.kind})
            action = CallWebhook(block_document_id=document, payload=payload)
            server.create_automation(AutomationCore(name=name, trigger=trigger, actions=[action]))
    return list(asked)


if __name__ == "__main__":
    try:
        print("\n".join(set_up()))  # noqa: T201
    except StratifyError as fault:
        sys.stderr.write(f"{type(fault).__name__}: {fault}\n")
        sys.exit(fault.exit_code)
