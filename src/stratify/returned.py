"""What practices sent back, and what a feed tells: applied as outcomes, or returned with what is wrong.

Belongs here: bringing together the files that came back, the rows they answer, and what earlier weeks had. Does not
belong: what a cell means (``filled_in``), how a file is opened (``publish.filled_lists``), what an outcome moves (the
memory of lists). Nothing that somebody typed is kept, shown or logged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from stratify import contracts, feedback_run, filled_in, ingest, publish, returned_files, sent_lists
from stratify.actions import Action, Register, read_actions
from stratify.codes import spaced
from stratify.contract_frames import schema_of
from stratify.deliveries import UNDER_WAY, Delivery, answers_of, number_of, read_deliveries
from stratify.filled_in import Answer, Disagreement, Fault, FilledRow, SentRow
from stratify.publish import PublishContext, ReturnedLine
from stratify.returned_files import ReturnedFile
from stratify.rulebook import RuleBook, load_rule_book
from stratify.runs import Plan, plan_in_place, without_values
from stratify.store import Store, open_store
from stratify.wording import load_wording

STEP = "came back"
"""What the manifest's counts of this are called."""

_FEWEST_ALIKE = 5
_LOOK = "A clinician is asked. If one of the two is wrong, correct it and send the list again"
_Row = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """What came back: outcomes, an account of answers and faults, rows left open, new actions, messages."""

    outcomes: tuple[_Row, ...]
    answers: tuple[_Row, ...]
    open_count: int
    actions: tuple[Action, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


def take_in(store: Store, plan: Plan, book: RuleBook) -> list[tuple[str, str, int]]:
    """Fill ``core.outcome`` and ``audit.answer`` from the feed of the extract and from what practices sent back.

    Args:
        store: The run's store with ``landing`` and ``identity``, after the core tables.
        plan: The run.
        book: The rule book.

    Returns:
        Counts, as ``audit.step_count`` has them.
    """
    index_date, restricted = plan.settings.index_date, plan.settings.out / "restricted"
    store.define(contracts.load("audit.answer"))
    earlier = sent_lists.earlier_answers(restricted, before=index_date)
    clinics = {each.id: {clinic.id for clinic in each.places} for each in book.pathways.values()}
    told = ingest.take_in_activity(store, clinics, known=earlier)

    def sent(references: set[str]) -> dict[str, SentRow]:
        return _known_of(store, plan, sent_lists.sent_rows(restricted, references, before=index_date))

    senders = _senders(store, plan)
    lists, told_us = feedback_run.sorted_out(plan.returned)
    register = _register(store, plan, book, restricted, before=index_date)
    reading = read(
        lists,
        sent,
        earlier=earlier,
        senders=senders,
        today=index_date,
        register=register,
        posted=lambda numbers: _posted(store, plan, restricted, numbers, before=index_date),
    )
    store.create("audit.action", register.log)
    told_of = [_stated(each, index_date) for each in reading.actions]
    posted = sent_lists.earlier_deliveries(restricted, before=index_date, same_person=_same_person(store))
    store.create("audit.delivery", posted)
    seen = set(posted["delivery_id"])
    arrived = [
        _reported(each, index_date)
        for each in reading.deliveries
        if each.status != UNDER_WAY and each.delivery_id not in seen
    ]
    for name, rows in (
        ("core.outcome", reading.outcomes), ("audit.answer", reading.answers),
        ("audit.action", told_of), ("audit.delivery", arrived),
    ):  # fmt: skip
        if rows:
            with store.loaned(_frame(name, rows)) as loan:
                store.execute(f"INSERT INTO {name} BY NAME FROM {loan}")
    counts = {f"feed: {became}": count for became, count in told.items()}
    counts |= {f"lists: {words}": count for words, count in _tally(reading).items()}
    fed_back = feedback_run.take_in(store, plan, book, told_us, earlier=earlier, senders=senders)
    counts |= {f"feedback: {words}": count for words, count in fed_back.items()}
    return [(STEP, measure, count) for measure, count in sorted(counts.items())]


def _tally(reading: Reading) -> dict[str, int]:
    found = Counter(str(each["status"]).replace("_", " ") for each in reading.answers)
    found["rows left open"] = reading.open_count
    found["actions new or changed"] = len(reading.actions)
    found |= Counter(f"messages: {each.status.replace('_', ' ')}" for each in reading.deliveries)
    alike = {each["source_file_id"] for each in reading.answers if each["is_all_alike"]}
    found["files with one answer for everybody"] = len(alike)
    return {words: count for words, count in found.items() if count}


def _register(store: Store, plan: Plan, book: RuleBook, restricted: Path, *, before: date) -> Register:
    """Give what meetings may agree, and what they stated before, each person under the pseudonym in use."""
    agenda = load_wording(plan.settings.clinical).agenda
    clinics = (clinic for pathway in book.pathways.values() for clinic in pathway.clinics)
    log = sent_lists.earlier_actions(restricted, before=before, same_person=_same_person(store))
    return Register(
        agenda.actions if agenda else (), frozenset(each.id for each in clinics if publish.is_meeting(each)), log
    )


def _stated(action: Action, week: date) -> _Row:
    return {
        "statement_id": action.statement_id,
        "week": week,
        "row_reference": action.sent.row_reference,
        "action": action.action,
        "patient_key": action.sent.patient_key,
        "practice_code": action.sent.practice_code,
        "clinic_id": action.sent.clinic_id,
        "owner_role": action.owner_role,
        "due_date": action.due_date,
        "is_done": action.is_done,
        "source_file_id": action.file_id,
        "source_row": action.number,
    }


def _posted(store: Store, plan: Plan, restricted: Path, numbers: set[str], *, before: date) -> dict[str, list[SentRow]]:
    """Give the rows of lists and offers of people by NHS number; the last four weeks are enough."""
    people = store.rows(
        "SELECT patient_key FROM identity.person WHERE nhs_number IN (SELECT unnest($1)) "
        "UNION SELECT patient_key FROM identity.merged_number WHERE superseded_nhs_number IN (SELECT unnest($1))",
        [sorted(numbers)],
    )
    rows = sent_lists.rows_to(restricted, {key for (key,) in people}, before=before, same_person=_same_person(store))
    found: dict[str, list[SentRow]] = {}
    for row in _known_of(store, plan, rows).values():
        for number in row.nhs_numbers & numbers:
            found.setdefault(number, []).append(row)
    return found


def _same_person(store: Store) -> dict[str, str]:
    return dict(store.rows("SELECT original_key, patient_key FROM identity.merged_number"))


def _reported(delivery: Delivery, week: date) -> _Row:
    return {
        "delivery_id": delivery.delivery_id,
        "week": week,
        "row_reference": delivery.sent.row_reference,
        "patient_key": delivery.sent.patient_key,
        "practice_code": delivery.sent.practice_code,
        "clinic_id": delivery.sent.clinic_id,
        "status": delivery.status,
        "delivery_date": delivery.day,
        "source_file_id": delivery.file_id,
        "source_row": delivery.number,
    }


def _frame(name: str, rows: Sequence[_Row]) -> pl.DataFrame:
    schema = schema_of(name)
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in rows], schema=schema)


def _senders(store: Store, plan: Plan) -> set[str]:
    """Give who may send something back: the practices of the run, and their networks where lists are shared."""
    column = "unnest([practice_code, pcn_code])" if plan.settings.shared_lists else "practice_code"
    return {code for (code,) in store.rows(f"SELECT DISTINCT {column} FROM core.practice") if code}


def _known_of(store: Store, plan: Plan, rows: dict[str, SentRow]) -> dict[str, SentRow]:
    """Put to each row the NHS numbers its person has and had, and who shares its list, under the pseudonym in use."""
    now: dict[str, str] = dict(store.rows("SELECT original_key, patient_key FROM identity.merged_number"))
    rows = {name: replace(row, patient_key=now.get(row.patient_key, row.patient_key)) for name, row in rows.items()}
    numbers: dict[str, set[str]] = {}
    asked = sorted({row.patient_key for row in rows.values()})
    for person, number in store.rows(
        "SELECT patient_key, nhs_number FROM identity.person WHERE patient_key IN (SELECT unnest($1)) "
        "UNION ALL SELECT patient_key, superseded_nhs_number FROM identity.merged_number",
        [asked],
    ):
        if number:
            numbers.setdefault(person, set()).add(number)
    networks = dict(store.rows("SELECT practice_code, max(pcn_code) FROM core.practice GROUP BY practice_code"))
    return {
        name: replace(
            row,
            nhs_numbers=frozenset(numbers.get(row.patient_key, ())),
            shared_by=networks.get(row.practice_code) if row.clinic_id in plan.settings.shared_lists else None,
        )
        for name, row in rows.items()
    }


# ------------------------------------------------------------------------------------------------------- the reading


def read(
    files: Iterable[ReturnedFile],
    sent: Callable[[set[str]], dict[str, SentRow]],
    *,
    earlier: pl.DataFrame,
    senders: set[str],
    today: date,
    register: Register | None = None,
    posted: Callable[[set[str]], dict[str, list[SentRow]]] = lambda _: {},
) -> Reading:
    """Read files that came back, row by row.

    Args:
        files: The files.
        sent: Gives the rows that were sent for some references.
        earlier: Contract ``audit.answer`` of earlier weeks.
        senders: Practices of the run, and networks that share lists: to others nothing can be returned.
        today: The day the run describes.
        register: What may be agreed, and the actions stated in earlier weeks; None where no meeting has a register.
        posted: Gives the rows of lists and offers of some NHS numbers.
    """
    rows: list[FilledRow] = []
    agreed: list[FilledRow] = []
    posts: list[FilledRow] = []
    answers: list[_Row] = []
    open_count = 0

    def returned(file_id: str, number: int, sender: str | None, fault: Fault, **more: object) -> None:
        key = filled_in.digest(file_id, sender, number, fault.at, fault.wrong)
        practice = sender if sender in senders else None
        answers.append(_line(key, file_id, number, fault.at, practice, "returned", fault, **more))

    for file in files:
        filled = publish.read_filled(file.path, file_id=file.file_id, sent_by=file.sent_by)
        if filled.refused:
            returned(file.file_id, 0, file.sent_by, filled.refused)
        for number, fault in filled.faults:
            returned(file.file_id, number, file.sent_by, fault)
        open_count += sum(row.is_open for row in filled.rows)
        rows += [row for row in filled.rows if not row.is_open]
        agreed += filled.actions if register else ()
        posts += filled.deliveries
    known_rows = sent({str(row.cells["row_reference"].value).strip().upper() for row in (*rows, *agreed)})
    found: list[Answer] = []
    for row in rows:
        answered = filled_in.read_reference(row, known_rows)
        if isinstance(answered, Fault):
            returned(row.file_id, row.number, row.sent_by, answered)
            continue
        mine, faults = filled_in.read_row(row, answered, today=today)
        found += mine
        for fault in faults:
            returned(row.file_id, row.number, row.sent_by, fault, row_reference=answered.row_reference)
    stated, wrong = read_actions(agreed, known_rows, register, today=today) if register else ([], [])
    for row, fault in wrong:
        returned(row.file_id, row.number, row.sent_by, fault)
    told, wrong = read_deliveries(posts, posted({number_of(row) for row in posts}) if posts else {}, today=today)
    for row, fault in wrong:
        returned(row.file_id, row.number, row.sent_by, fault)
    known_rows = known_rows | {each.sent.row_reference: each.sent for each in told}
    before = sent_lists.applied_to(known_rows, earlier)
    found += answers_of(told, (*found, *before))
    kept, at_odds = filled_in.settle(found, before)
    alike = _files_alike(found)
    seen = set(earlier.filter(pl.col("status") != "returned")["answer_id"])
    outcomes: dict[str, _Row] = {}
    for answer in kept:
        status = "already_known" if answer.outcome_id in seen | outcomes.keys() else "applied"
        outcomes.setdefault(answer.outcome_id, _outcome(answer.outcome_id, answer))
        answers.append(
            _line(
                answer.outcome_id,
                answer.file_id,
                answer.number,
                answer.cell,
                answer.sent.practice_code,
                status,
                **_said(answer, alike),
            )
        )
    for each in at_odds:
        key = filled_in.digest("disagreement", *sorted({one.outcome_id for one in each.answers}))
        outcomes[key] = _outcome(key, each.as_answer)
        answers += _disagreeing(each, alike)
    ordered = sorted(answers, key=lambda each: (each["source_file_id"], each["source_row"], each["cell"]))
    return Reading(
        tuple(row for _, row in sorted(outcomes.items())), tuple(ordered), open_count, tuple(stated), tuple(told)
    )


def _disagreeing(each: Disagreement, alike: set[str]) -> list[_Row]:
    fault = Fault("", f"Two answers to this row disagree: {each.said}. Neither is applied", _LOOK)
    return [
        _line(
            filled_in.digest("disagreement", one.outcome_id, one.file_id, one.number),
            one.file_id,
            one.number,
            one.cell,
            one.sent.practice_code,
            "returned",
            fault,
            **_said(one, alike),
        )
        for one in each.answers
    ]


def _line(
    answer_id: str,
    file_id: str,
    number: int,
    cell: str,
    practice: str | None,
    status: str,
    fault: Fault | None = None,
    **more: object,
) -> _Row:
    return {
        **dict.fromkeys(contracts.load("audit.answer").column_names),
        "answer_id": answer_id,
        "source_file_id": file_id,
        "source_row": number,
        "cell": cell,
        "practice_code": practice,
        "source": "LIST_RETURN",
        "status": status,
        "wrong": fault.wrong if fault else None,
        "instead": fault.instead if fault else None,
        "is_all_alike": False,
        **more,
    }


def _said(answer: Answer, alike: set[str]) -> _Row:
    return {
        "row_reference": answer.sent.row_reference,
        "outcome": answer.outcome,
        "outcome_date": answer.outcome_date,
        "until_date": answer.until_date,
        "reason_code": answer.reason_code,
        "decided_by_role": answer.role,
        "is_all_alike": answer.file_id in alike,
    }


def _outcome(outcome_id: str, answer: Answer) -> _Row:
    said = _said(answer, set())
    return {
        **said,
        "outcome_id": outcome_id,
        "patient_key": answer.sent.patient_key,
        "clinic_id": answer.sent.clinic_id,
        "practice_code": answer.sent.practice_code,
        "source": "LIST_RETURN",
        "covers_other_needs": answer.covers_other_needs,
        "source_file_id": answer.file_id,
        "source_row": answer.number,
    }


def _files_alike(answers: Iterable[Answer]) -> set[str]:
    """Give the files in which everybody has the same answer: whoever looks later can tell that from a decision each."""
    said: dict[str, list[tuple[object, ...]]] = {}
    for each in answers:
        if each.outcome != "concern":
            said.setdefault(each.file_id, []).append((each.outcome, each.outcome_date, each.reason_code, each.role))
    return {file_id for file_id, mine in said.items() if len(mine) >= _FEWEST_ALIKE and len(set(mine)) == 1}


# ------------------------------------------------------------------------------------------------------ what goes back


def returned_lines(store: Store, plan: Plan, lists: Mapping[str, str]) -> dict[str, list[ReturnedLine]]:
    """Give what is wrong with what came back, by the practice that sent it, in the order of its files.

    A row names its person where that is a patient of whoever sent it; ``lists`` gives what a list is called.
    """
    names = {(each.file_id, each.sent_by): each.shown_name for each in plan.returned}
    wrong_cells = store.rows(_RETURNED)
    references = {reference for _, _, reference, *_ in wrong_cells if reference}
    rows = sent_lists.sent_rows(plan.settings.out / "restricted", references, before=plan.settings.index_date)
    rows = _known_of(store, plan, rows) if rows else {}
    people = {key: about for key, *about in store.rows(_PATIENTS, [sorted({row.patient_key for row in rows.values()})])}
    found: dict[str, list[ReturnedLine]] = {}
    for file_id, cell, reference, practice, wrong, instead in wrong_cells:
        line = ReturnedLine(
            names.get((file_id, practice)) or names.get((file_id, None), ""), cell, reference or "", wrong, instead
        )
        if (row := rows.get(reference)) and row.clinic_id:
            rank = "" if row.rank is None else str(row.rank)
            line = replace(line, list_name=lists.get(row.clinic_id, row.clinic_id), rank=rank)
            home, network, number, name = people.get(row.patient_key, [None] * 4)
            if practice in (home, network):
                line = replace(line, nhs_number=spaced(number) or "none", name=name)
        found.setdefault(practice, []).append(line)
    return {practice: sorted(lines, key=lambda each: each.file) for practice, lines in found.items()}


_PATIENTS = """
SELECT patient_key, person.practice_code, person.pcn_code, i.nhs_number, concat_ws(', ', i.family_name, i.given_names)
FROM core.person AS person JOIN identity.person AS i USING (patient_key)
WHERE patient_key IN (SELECT unnest($1))
"""
_RETURNED = """
SELECT source_file_id, cell, row_reference, practice_code, wrong, instead FROM audit.answer
WHERE status = 'returned' AND source = 'LIST_RETURN' AND practice_code IS NOT NULL
ORDER BY practice_code, source_file_id, source_row, cell, answer_id
"""


def write_returned(store: Store, plan: Plan, folder: Path, context: PublishContext) -> list[Path]:
    """Write for each practice what is wrong with what it sent back: the cell, and what to write instead."""
    labels = {place.id: place.label for each in context.pathways.values() for place in each.places}
    labels[filled_in.OFFERS] = "Self-management offers"
    return [
        publish.write_returned_rows(folder, practice, lines, context)
        for practice, lines in sorted(returned_lines(store, plan, labels).items())
    ]


# ------------------------------------------------------------------------------------------------------- before a run


@without_values
def check(out: Path, files: Sequence[Path], *, practice: str | None, today: date) -> str:
    """Say what of some files the next run would apply, and what it would return; nothing is written.

    Args:
        out: Output folder of the finished run whose lists were sent.
        files: Files that came back.
        practice: Who sent them; a CSV says so itself.
        today: The day the next run describes.

    Raises:
        RunError: there is no finished run.
    """
    plan = plan_in_place(out)
    restricted = plan.restricted
    earlier = sent_lists.earlier_answers(restricted, before=today)
    with (
        TemporaryDirectory(prefix="stratify-returned-") as scratch,
        open_store(restricted / "run.duckdb", temp_directory=Path(scratch), read_only=True) as store,
    ):
        store.attach(restricted / "identity.duckdb", "identity", read_only=True)
        gathered = [
            replaced.model_copy(update={"sent_by": practice, "shown_name": f"file {number}"})
            for number, path in enumerate(files, 1)
            for replaced in [returned_files.of_path(path)]
        ]
        lists, told_us = feedback_run.sorted_out(gathered)
        look = feedback_run.look(store, plan, told_us, senders=_senders(store, plan), today=today)
        reading = read(
            lists,
            lambda references: _known_of(store, plan, sent_lists.sent_rows(restricted, references, before=today)),
            earlier=earlier,
            senders=_senders(store, plan),
            today=today,
            register=_register(store, plan, load_rule_book(plan.settings.clinical), restricted, before=today),
            posted=lambda numbers: _posted(store, plan, restricted, numbers, before=today),
        )
    return _in_words(reading, {each.file_id: each.shown_name for each in gathered}) + feedback_run.look_in_words(look)


def _in_words(reading: Reading, names: Mapping[str, str]) -> str:
    applied = [each for each in reading.answers if each["status"] == "applied"]
    wrong = [each for each in reading.answers if each["status"] == "returned"]
    known = len(reading.answers) - len(applied) - len(wrong)
    lines = [f"Would be applied: {len(applied):,}. Known already: {known:,}. Left open: {reading.open_count:,}"]
    said = Counter(filled_in.OUTCOME_WORDS[each["outcome"]] for each in applied)
    lines += [f"  {count:>5,}  {words}" for words, count in sorted(said.items())]
    if reading.actions:
        lines.append(f"New or changed on the register of actions: {len(reading.actions):,}")
    lines.append(f"Would be returned: {len(wrong):,}")
    lines += [
        f"  {names[each['source_file_id']]}, {each['cell']}: {each['wrong']}. {each['instead']}." for each in wrong
    ]
    return "\n".join(lines)
