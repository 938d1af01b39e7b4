"""Being told: what a notice says, where it goes, and that one that cannot be sent changes nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from stratify.errors import ExtractError, RunError
from stratify.operations import notices
from stratify.operations.notices import Notice
from stratify.runs import Summary
from web_hook import listening

REFUSED = ExtractError("patient.csv", expected="10 rows", found="9 rows", action="Ask for it again.")


@pytest.fixture
def hook():
    """Give a web hook of this machine, and what came in."""
    with listening() as (url, received):
        yield SimpleNamespace(url=f"{url}/canarysecret", received=received)


def _done(**changes):
    manifest = {"index_date": "2026-11-02", "held": [], "lost_feeds": []} | changes
    return Summary("abc", Path("published"), "pass", manifest)


def test_a_refused_delivery_is_told_once_with_what_to_do_first(hook):
    with pytest.raises(ExtractError), notices.told_of_faults({"STRATIFY_NOTICE_URL": hook.url}):
        raise REFUSED
    (said,) = hook.received
    assert said["kind"] == "refused"
    assert "ExtractError: patient.csv: expected 10 rows; found 9 rows." in said["text"]
    assert "First: Send the supplier the report" in said["text"] and "docs/data-engineer-at-0500.md" in said["text"]


def test_of_a_fault_that_is_none_of_ours_only_its_kind_is_told(hook):
    with pytest.raises(ValueError, match="canary"), notices.told_of_faults({"STRATIFY_NOTICE_URL": hook.url}):
        raise ValueError("canaryvalue of a record")
    assert "ValueError" in hook.received[0]["text"] and "canary" not in hook.received[0]["text"]


def test_a_run_that_holds_lists_or_lacks_a_feed_is_told_and_a_quiet_one_is_not(hook):
    environment = {"STRATIFY_NOTICE_URL": hook.url}
    notices.send_of_run(_done(), environment)
    assert hook.received == []
    notices.send_of_run(_done(held=[{"pathway": "copd"}], lost_feeds=[{"table_name": "death"}]), environment)
    notices.send_of_run(_done(lost_feeds=[{"table_name": "death"}]), environment)
    assert [each["kind"] for each in hook.received] == ["held", "feed not read"]
    assert "Lists are HELD: copd. Feeds NOT READ: death." in hook.received[0]["text"]


def test_where_nothing_is_named_nobody_is_told(hook):
    assert notices.send(Notice("held", "what", "first"), {}) == []
    assert hook.received == []


def test_an_e_mail_has_its_receivers_and_the_same_words(monkeypatch):
    sent = []

    class Server:
        def __init__(self, host, port, timeout):
            sent.append((host, port))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def send_message(self, message):
            sent.append((message["To"], message["Subject"], message.get_content()))

    monkeypatch.setattr(notices.smtplib, "SMTP", Server)
    environment = {"STRATIFY_NOTICE_MAIL": "a@example.org, b@example.org", "STRATIFY_NOTICE_MAIL_SERVER": "post:2525"}
    assert notices.send(Notice("held", "what happened", "what to do"), environment) == ["e-mail"]
    assert sent[0] == ("post", 2525) and sent[1][:2] == ("a@example.org, b@example.org", "stratify: held")
    assert "what happened\nFirst: what to do" in sent[1][2]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/canarysecret", "file:///etc/canarysecret", "canarysecret"])
def test_a_notice_that_cannot_be_sent_changes_nothing_and_gives_no_address_away(url, capsys):
    with pytest.raises(RunError, match="the fault itself"), notices.told_of_faults({"STRATIFY_NOTICE_URL": url}):
        raise RunError("a", expected="b", found="the fault itself", action="c")
    said = capsys.readouterr().err
    assert "the notice could not be sent by web hook" in said and "canary" not in said
