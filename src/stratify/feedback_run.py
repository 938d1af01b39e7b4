"""Feedback in a run: what came back of it, the register that grows by it, and the files and the page that show it.

Where ``feedback`` meets the store, the kept weeks and ``publish``. Words that somebody wrote are in ``identity``,
beside the names, and go into the files of the practice they belong to and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from stratify import contracts, feedback, feedback_reading, feedback_register, publish, sent_lists
from stratify.feedback import Answered, Said
from stratify.filled_in import Cell, Fault, as_day, digest, is_filled
from stratify.publish import PublishContext
from stratify.publish.feedback_files import FORM
from stratify.returned_files import ReturnedFile
from stratify.rulebook import RuleBook, load_rule_book
from stratify.runs import Plan
from stratify.store import Store

PAGE = "feedback.html"
_Rows = Sequence[tuple[int, Mapping[str, Cell]]]


@dataclass(frozen=True)
class Told:
    """What files of feedback say, and what of them cannot be used: file, sender, row and fault."""

    said: tuple[Said, ...]
    answered: tuple[Answered, ...]
    faults: tuple[tuple[ReturnedFile, str | None, int, Fault], ...]


def sorted_out(files: Iterable[ReturnedFile]) -> tuple[list[ReturnedFile], list[ReturnedFile]]:
    """Tell lists that came back from files of feedback."""
    lists: list[ReturnedFile] = []
    told: list[ReturnedFile] = []
    for each in files:
        (told if publish.is_told(each.path) else lists).append(each)
    return lists, told


def read(
    store: Store,
    files: Iterable[ReturnedFile],
    *,
    senders: set[str],
    lists: Mapping[str, str],
    items: Mapping[str, date],
    today: date,
) -> Told:
    """Read files of feedback.

    Args:
        store: A store with ``core.person`` and ``identity``.
        files: The files.
        senders: Who may say something.
        lists: Clinic by the name of its list.
        items: Day each thing was said, by its reference: what can be answered.
        today: The day the run describes.
    """
    said: list[Said] = []
    answered: list[Answered] = []
    faults: list[tuple[ReturnedFile, str | None, int, Fault]] = []
    for file in files:
        told = publish.read_told(file.path)
        if told.refused:
            faults.append((file, file.sent_by, 0, told.refused))
        elif told.kind != FORM and file.sent_by:
            only = Fault("the file", "Answers are given by whoever runs the lists", "Send the form of your practice")
            faults.append((file, file.sent_by, 0, only))
        elif told.kind != FORM:
            mine, wrong = feedback_reading.read_answers(told.rows, items=items, today=today)
            answered += mine
            faults += [(file, None, number, fault) for number, fault in wrong]
        for (practice, week), rows in _by_sender(
            told.rows if told.kind == FORM else (), told.week, file.sent_by
        ).items():
            if practice not in senders or week is None:
                no = Fault(
                    "the file", "Nothing says which practice and week it is of", "practice_code and week, or a form"
                )
                faults.append((file, file.sent_by, 0, no))
                continue
            people = _people(store, practice, feedback_reading.numbers_of(rows))
            told_here, wrong = feedback_reading.read_form(
                rows, practice=practice, week=week, lists=lists, people=people, today=today
            )
            said += told_here
            faults += [(file, practice, number, fault) for number, fault in wrong]
    return Told(tuple(said), tuple(answered), tuple(faults))


def look(store: Store, plan: Plan, files: Iterable[ReturnedFile], *, senders: set[str], today: date) -> Told:
    """Read files of feedback before a run, against the store of the run in place, with ``identity`` attached."""
    register = feedback_register.read(plan.restricted, before=today, same_person={}).register
    items = dict(register.filter(event="said").select("item", "said_on").iter_rows())
    return read(store, files, senders=senders, lists=_lists_of(load_rule_book(plan.settings.clinical)), items=items,
                today=today)  # fmt: skip


def _lists_of(book: RuleBook) -> dict[str, str]:
    return {clinic.label: clinic.id for each in book.published.values() for clinic in each.places}


def look_in_words(told: Told) -> str:
    """Say what a look at files of feedback found; nothing where there was none of them."""
    if not (told.said or told.answered or told.faults):
        return ""
    lines = [f"\nFeedback that would be taken in: {len(told.said):,}. Answers: {len(told.answered):,}"]
    lines += [f"  {file.shown_name}, {fault.at}: {fault.wrong}. {fault.instead}." for file, _, _, fault in told.faults]
    return "\n".join(lines)


def _by_sender(
    rows: _Rows, week: date | None, sent_by: str | None
) -> dict[tuple[str | None, date | None], list[tuple[int, Mapping[str, Cell]]]]:
    """Part rows by practice and week: a form is of one, a CSV names them in each row."""
    found: dict[tuple[str | None, date | None], list[tuple[int, Mapping[str, Cell]]]] = {}
    for number, cells in rows:
        sender, of_week = sent_by, week
        if "practice_code" in cells:
            named = str(cells["practice_code"].value or "").strip().upper()
            sender = named if sent_by in (None, named) else None
            of_week = as_day(cells["week"].value) if is_filled(cells["week"].value) else None
        found.setdefault((sender, of_week), []).append((number, cells))
    return found


def _people(store: Store, practice: str, numbers: set[str]) -> dict[str, str]:
    return dict(
        store.rows(
            "SELECT nhs_number, min(patient_key) FROM identity.person JOIN core.person USING (patient_key) "
            "WHERE practice_code = $1 AND nhs_number IN (SELECT unnest($2)) GROUP BY ALL ORDER BY ALL",
            [practice, sorted(numbers)],
        )
    )


# ------------------------------------------------------------------------------------------------------- the register


def take_in(
    store: Store,
    plan: Plan,
    book: RuleBook,
    files: Iterable[ReturnedFile],
    *,
    earlier: pl.DataFrame,
    senders: set[str],
) -> dict[str, int]:
    """Make ``audit.feedback`` of the register that was kept, and of what files of feedback and filled-in lists say.

    Args:
        store: The run's store with ``core.person``, ``audit.answer`` of this week and ``identity``.
        plan: The run.
        book: The rule book.
        files: Files of feedback.
        earlier: Contract ``audit.answer`` of earlier weeks.
        senders: Who may say something.

    Returns:
        Counts by what they count.

    Raises:
        RunError: what was said before is gone, or was changed.
    """
    today, restricted = plan.settings.index_date, plan.settings.out / "restricted"
    same = dict(store.rows("SELECT original_key, patient_key FROM identity.merged_number ORDER BY ALL"))
    kept = feedback_register.read(restricted, before=today, same_person=same)
    of_week = pl.concat([earlier, store.frame("SELECT * FROM audit.answer ORDER BY ALL")], how="vertical_relaxed")
    from_lists = _said_in_lists(of_week, restricted, today, same)
    before, _ = feedback.extended(kept.register, kept.words, from_lists, (), week=today)
    items = dict(before.filter(event="said").select("item", "said_on").iter_rows())
    told = read(store, files, senders=senders, lists=_lists_of(book), items=items, today=today)
    register, words = feedback.extended(kept.register, kept.words, (*from_lists, *told.said), told.answered, week=today)
    feedback_register.stop_if_shortened(restricted, register, today)
    store.create(feedback.REGISTER, register)
    with store.loaned(words) as loan:
        store.execute(f"CREATE OR REPLACE TABLE identity.feedback_words AS FROM {loan}")
    if told.faults:
        with store.loaned(_fault_rows(told, senders)) as loan:
            store.execute(f"INSERT INTO audit.answer BY NAME FROM {loan}")
    fresh = register.slice(kept.register.height)
    known = earlier.select("row_reference", kind="outcome").unique()
    again = fresh.join(known, on=["row_reference", "kind"], how="semi").height if kept.has_begun else 0
    counts = {
        "items new": fresh.filter(event="said").height,
        "answers new": fresh.filter(event="answered").height,
        "items overdue": feedback.standing(register, today=today).filter(status="overdue").height,
        "returned": len(told.faults),
        "NOTICE entries put back from other kept weeks": kept.mended,
        "NOTICE items put back from lists that came back in earlier weeks": again,
    }
    return {words: count for words, count in counts.items() if count}


def _said_in_lists(answers: pl.DataFrame, restricted: Path, today: date, same: Mapping[str, str]) -> list[Said]:
    """Give what lists that came back say: of every week, so that what the register lost is found again."""
    told = answers.filter(
        pl.col("outcome").is_in(feedback.FROM_LISTS)
        & (pl.col("status") != "returned")
        & (pl.col("source") == "LIST_RETURN")
    )
    rows = sent_lists.sent_rows(restricted, set(told["row_reference"].drop_nulls()), before=today)
    return [
        Said(
            each["outcome"],
            sent.practice_code,
            each["outcome_date"],
            same.get(sent.patient_key, sent.patient_key),
            sent.clinic_id,
            row_reference=sent.row_reference,
            reason_code=each["reason_code"],
            role=each["decided_by_role"],
        )
        for each in told.iter_rows(named=True)
        if (sent := rows.get(each["row_reference"]))
    ]


def _fault_rows(told: Told, senders: set[str]) -> pl.DataFrame:
    """Give what cannot be used as rows of ``audit.answer``: they go back like those of lists."""
    columns = ("answer_id", "source_file_id", "source_row", "cell", "practice_code", "wrong", "instead")
    rows = [
        (digest(file.file_id, sender, number, fault.at, fault.wrong), file.file_id, number, fault.at,
         sender if sender in senders else None, fault.wrong, fault.instead)
        for file, sender, number, fault in told.faults
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String) | {"source_row": pl.Int64}, orient="row")
    frame = frame.with_columns(source=pl.lit("LIST_RETURN"), status=pl.lit("returned"), is_all_alike=pl.lit(False))
    return frame.unique(contracts.load("audit.answer").key, maintain_order=True)


def keep(store: Store, plan: Plan) -> None:
    """Keep the register with this week; ``identity`` is attached."""
    feedback_register.write(
        plan.restricted,
        store.frame(f"SELECT * FROM {feedback.REGISTER} ORDER BY entry_number"),
        store.frame("SELECT * FROM identity.feedback_words ORDER BY entry_number"),
        plan.settings.index_date,
    )


# ------------------------------------------------------------------------------------------------------- what is shown


_PRACTICES = """
SELECT practice_code, arg_max(practice_name, valid_from) FROM core.practice
WHERE practice_code IN (SELECT practice_code FROM core.person WHERE person_status = 'registered')
GROUP BY practice_code ORDER BY ALL
"""


def write_forms(store: Store, folder: Path, context: PublishContext) -> list[Path]:
    """Write the form of each practice; ``identity`` is attached."""
    said = publish.SaidBefore(store, context)
    lists = sorted(publish.list_names(context).values())
    return [
        publish.write_form_of_practice(folder, (code, name or code), lists, said.rows(code), context)
        for code, name in store.rows(_PRACTICES)
    ]


def answers_given(store: Store, today: date) -> pl.DataFrame:
    """Count what practices said by the answer that it got, for commissioners: of nobody who objected."""
    register = store.frame(
        f"SELECT * FROM {feedback.REGISTER} WHERE patient_key IS NULL "
        "OR patient_key IN (SELECT patient_key FROM core.person WHERE may_be_counted) ORDER BY entry_number"
    )
    return feedback.answers(feedback.standing(register, today=today))


def write_page(store: Store, plan: Plan) -> None:
    """Write the page of how much was said and answered, by practice and kind."""
    today = plan.settings.index_date
    names: dict[str, Any] = dict(store.rows(_PRACTICES))
    items = feedback.standing(store.frame(f"SELECT * FROM {feedback.REGISTER} ORDER BY entry_number"), today=today)
    counts = feedback.tally(items.filter(pl.col("practice_code").is_in(list(names))), names)
    page = publish.feedback_page(
        counts,
        names,
        title=f"What practices say: {plan.settings.organisation}",
        index_date=today,
        run_id=plan.run_id,
        is_test=plan.is_test,
    )
    (plan.published / "data_quality" / PAGE).write_text(page, encoding="utf-8")
