"""What practices say about lists, as a register that only grows: what was said, what was answered, what is overdue.

Belongs here: what an entry is, what is new and what is known, how each thing said stands, and counts of it. Does not
belong: files that come back (``publish.feedback_files``), the register on disk (``feedback_register``).

Words that somebody wrote are kept apart from the entries, so that whatever counts or shows entries cannot show them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from stratify.disclosure import Sum, protect
from stratify.errors import RunError
from stratify.filled_in import digest

REGISTER, WORDS = "audit.feedback", "audit.feedback_words"
KIND_WORDS = {
    "not_appropriate": "not appropriate",
    "should_have_been_here": "should have been here",
    "concern": "a concern",
}
ANSWER_WORDS = {
    "changed": "we changed it",
    "will_change": "we will change it",
    "passed_on": "we passed it on to who can change it",
    "not_changed": "we did not change it",
}
FROM_LISTS = ("not_appropriate", "concern")
"""Outcomes of a row of a list that are feedback, too."""

ANSWER_WITHIN_DAYS = 7
"""What a run takes in is answered in the next week's list."""


@dataclass(frozen=True)
class Said:
    """Something that a practice says about a list or a person.

    Attributes:
        kind: One of :data:`KIND_WORDS`.
        practice_code: Who says it.
        said_on: Day it was decided or noticed, or first day of the week of the list or form where nothing says it.
        patient_key: Whom it is about; None for a list as a whole, or somebody whom the data do not have.
        clinic_id: List it is about.
        row_reference: Row of a list it came in with.
        reason_code: Why.
        role: Who says so.
        source_week: Week of the form it came in.
        source_row: Row of that form.
        words: What was written with it.
    """

    kind: str
    practice_code: str
    said_on: date
    patient_key: str | None = None
    clinic_id: str | None = None
    row_reference: str | None = None
    reason_code: str | None = None
    role: str | None = None
    source_week: date | None = None
    source_row: int | None = None
    words: str | None = None

    @property
    def known_by(self) -> tuple[object, ...]:
        """What makes it the same thing said again: not its words, which may be mended."""
        return tuple(getattr(self, name) for name in _KNOWN_BY)

    @property
    def item(self) -> str:
        """Reference to name it by."""
        said = digest("feedback", *self.known_by)[:12].upper()
        return f"{said[:4]}-{said[4:8]}-{said[8:]}"


_KNOWN_BY = (
    "kind", "practice_code", "patient_key", "clinic_id", "row_reference", "reason_code", "role", "source_week",
    "source_row",
)  # fmt: skip


@dataclass(frozen=True)
class Answered:
    """An answer to something said, by a named role."""

    item: str
    answer: str
    answered_on: date
    role: str
    words: str


def extended(
    register: pl.DataFrame, words: pl.DataFrame, said: Iterable[Said], answered: Iterable[Answered], *, week: date
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Add to the register what is not in it yet; nothing that is in it changes.

    Args:
        register: Contract ``audit.feedback``.
        words: Contract ``audit.feedback_words``.
        said: What came back, in any order; what is known already changes nothing.
        answered: Answers; those to nothing that was said are left out.
        week: Index date of the run.

    Returns:
        Both, with the new entries at their end.
    """
    known = set(register.filter(pl.col("event") == "said").select(_KNOWN_BY).iter_rows())
    entries: list[dict[str, Any]] = []
    written: list[tuple[int, str, str]] = []

    def add(content: Mapping[str, object], text: str | None) -> None:
        number = register.height + len(entries) + 1
        entry = {**dict.fromkeys(register.columns), **content, "entry_number": number, "week": week}
        entry["has_words"] = text is not None
        entries.append({**entry, "digest": _digest(entry, text)})
        if text is not None:
            written.append((number, str(entry["practice_code"]), text))

    for each in sorted(said, key=lambda one: (one.practice_code, one.said_on, one.item)):
        if each.known_by not in known:
            known.add(each.known_by)
            fields = {name: getattr(each, name) for name in (*_KNOWN_BY, "said_on")}
            add({**fields, "item": each.item, "event": "said"}, each.words)
    whole = _with(register, entries)
    items = {row["item"]: row for row in whole.filter(pl.col("event") == "said").iter_rows(named=True)}
    texts = dict(words.select("entry_number", "words").iter_rows())
    before = {
        (*row[:-1], texts.get(row[-1])) for row in whole.select(*_SAME_ANSWER, "entry_number").iter_rows() if row[1]
    }
    for answer in sorted(answered, key=lambda one: (one.answered_on, one.item, one.answer, one.role, one.words)):
        key = (answer.item, answer.answer, answer.answered_on, answer.role, answer.words)
        if answer.item in items and key not in before:
            before.add(key)
            item = items[answer.item]
            kept = {name: item[name] for name in ("item", "practice_code", "kind", "clinic_id", "said_on")}
            fields = {"answer": answer.answer, "answered_on": answer.answered_on, "role": answer.role}
            add({**kept, **fields, "event": "answered"}, answer.words)
    fresh = pl.DataFrame(written, schema=words.schema, orient="row")
    return _with(register, entries), pl.concat([words, fresh])


_SAME_ANSWER = ("item", "answer", "answered_on", "role")


def _with(register: pl.DataFrame, entries: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.concat([register, pl.DataFrame(entries, schema=register.schema, orient="row")])


def _digest(entry: Mapping[str, object], text: str | None) -> str:
    """Give the digest of an entry: not of the person, whose pseudonym changes with the key."""
    return digest(*(value for name, value in sorted(entry.items()) if name not in ("patient_key", "digest")), text)


def check(register: pl.DataFrame, words: pl.DataFrame) -> None:
    """Hold a register to what it promises: every entry from 1 on is there, and none was changed.

    Raises:
        RunError: an entry is gone or was changed, or its words were.
    """
    numbers = register["entry_number"].to_list()
    gone = len(set(range(1, max(numbers, default=0) + 1)) - set(numbers))
    texts = dict(words.select("entry_number", "words").iter_rows())
    changed = sum(
        _digest(row, texts.get(row["entry_number"])) != row["digest"] for row in register.iter_rows(named=True)
    )
    if gone or changed or len(set(numbers)) < len(numbers):
        raise RunError(
            "feedback register",
            expected="every entry that was ever taken in, as it was",
            found=f"{gone} that are gone and {changed} that differ, in every kept week",
            action="Put restricted/memory back from a backup: what practices said is never deleted.",
        )


def kept_for_good(register: pl.DataFrame) -> set[tuple[object, ...]]:
    """Give what no run of the same week may leave out again, though a decision on a row may be corrected within it."""
    told = register.filter((pl.col("event") == "said") & (pl.col("kind") != "not_appropriate"))
    answers = register.filter(pl.col("event") == "answered")
    of_nobody = [name for name in _KNOWN_BY if name != "patient_key"]  # a number may be superseded in between
    return {*told.select(of_nobody).iter_rows(), *answers.select(_SAME_ANSWER).iter_rows()}


def standing(register: pl.DataFrame, *, today: date) -> pl.DataFrame:
    """Give each thing said as it stands on a day.

    Args:
        register: Contract ``audit.feedback``.
        today: The day.

    Returns:
        The entries of what was said, with ``due``, ``status`` (answered, waiting or overdue), and of the last answer
        ``answer``, ``answered_on``, ``answered_by`` and ``answer_number``.
    """
    last = (
        register.filter(pl.col("event") == "answered")
        .sort("answered_on", "entry_number")
        .group_by("item", maintain_order=True)
        .last()
        .select("item", "answer", "answered_on", answered_by="role", answer_number="entry_number")
    )
    said = register.filter(pl.col("event") == "said").drop("answer", "answered_on")
    due = pl.col("week") + timedelta(days=ANSWER_WITHIN_DAYS)
    status = (
        pl.when(pl.col("answer").is_not_null())
        .then(pl.lit("answered"))
        .otherwise(pl.when(pl.col("due") <= today).then(pl.lit("overdue")).otherwise(pl.lit("waiting")))
    )
    return said.join(last, on="item", how="left").with_columns(due=due).with_columns(status=status).sort("entry_number")


def tally(items: pl.DataFrame, practices: Collection[str]) -> pl.DataFrame:
    """Count what was said by practice and kind, answered or not, with small numbers hidden.

    Args:
        items: What :func:`standing` gives.
        practices: Practices to show, whether or not they said anything.

    Returns:
        A row for each practice (``all`` for all together), kind (``all`` for every kind) and status (``said`` for all
        of them): ``people_count``, empty where hidden.
    """
    rows = items.select("practice_code", "kind", "status")
    counts = {tuple(key): count for *key, count in rows.group_by(rows.columns).len().iter_rows()}
    cells = []
    for practice in ("all", *sorted(practices)):
        for kind in ("all", *KIND_WORDS):
            for status in ("said", "answered", "waiting", "overdue"):
                found = sum(
                    count
                    for (where, what, how), count in counts.items()
                    if practice in ("all", where) and kind in ("all", what) and status in ("said", how)
                )
                cells.append((practice, kind, status, found))
    key = ["practice_code", "kind", "status"]
    frame = pl.DataFrame(cells, schema=[*key, "people_count"], orient="row")
    sums = (
        Sum("practices", pl.col("practice_code") != "all", {"practice_code": pl.lit("all")}),
        Sum("kinds", pl.col("kind") != "all", {"kind": pl.lit("all")}),
        Sum("answered or not", pl.col("status") != "said", {"status": pl.lit("said")}),
    )
    return protect(frame, count="people_count", key=key, sums=sums)


def answers(items: pl.DataFrame) -> pl.DataFrame:
    """Count what was said by the answer that it got, with small numbers hidden.

    Args:
        items: What :func:`standing` gives.

    Returns:
        A row for each of :data:`ANSWER_WORDS`, ``none`` where there is no answer yet, and ``all``: ``entry_count``,
        empty where hidden, and ``is_suppressed``.
    """
    given = items["answer"].fill_null("none").to_list()
    counts = [(name, given.count(name)) for name in (*ANSWER_WORDS, "none")]
    frame = pl.DataFrame(
        [*counts, ("all", len(given))], schema={"answer": pl.String, "entry_count": pl.Int64}, orient="row"
    )
    whole = Sum("answers", pl.col("answer") != "all", {"answer": pl.lit("all")})
    return protect(frame, count="entry_count", key=["answer"], sums=[whole])
