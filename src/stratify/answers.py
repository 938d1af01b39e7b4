"""The answers that came back, taken in: each moves what it moves, once, and two that disagree move nothing.

Belongs here: whom an answer is about, whether it is new, late or at odds with another, and the step it leads to. Does
not belong: reading and checking what came back, and what happens when nothing does (``follow_up``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta

import polars as pl

from stratify import periods
from stratify.coded_activity import SOURCE as GP_RECORD
from stratify.memory import ANSWER_WORDS, ANSWERS, CLOSED, GONE, INVITED, OFFER, Key, Standing
from stratify.rulebook import RuleBook
from stratify.rules import Pathway
from stratify.weeks import Row, Week

_IN_ORDER = tuple(ANSWER_WORDS)
"""Answers of one day, in the order in which they may follow one another."""
_ONE_DAY = ({"attended", "did_not_attend"}, {"attended", "declined"}, {"attended", "not_appropriate"},
            {"accepted", "not_appropriate"}, {"activated", "declined"})  # fmt: skip
"""Pairs that cannot both hold of one day; of one row, attended and either of the next two never can."""


_AT_ODDS = "disagreement"
"""Two answers to one row, found to disagree when they were read: neither is among the outcomes."""


def no_answers() -> pl.DataFrame:
    """Give contract ``core.outcome`` without a row."""
    texts = dict.fromkeys(_TEXTS, pl.String)
    days = dict.fromkeys(("outcome_date", "until_date"), pl.Date)
    return pl.DataFrame(schema={**texts, **days, "covers_other_needs": pl.Boolean, "source_row": pl.Int64})


_TEXTS = (
    "outcome_id", "patient_key", "pathway", "clinic_id", "practice_code", "source", "outcome", "reason_code",
    "decided_by_role", "row_reference", "source_file_id",
)  # fmt: skip


def take_in_answers(
    week: Week,
    transitions: pl.DataFrame,
    list_rows: pl.DataFrame,
    outcomes: pl.DataFrame,
    decided: Mapping[Key, Row],
    is_held: Callable[[Key], bool] = lambda _: False,
) -> None:
    """Take in every answer that was not taken in before.

    A visit answers the need of its list, and any other that was to be met at the same clinic; those held behind its
    place are answered only where the row says that they were covered, and are decided anew where it does not. What the
    GP record answers is left for a week in which the list is not held.

    Args:
        week: The week.
        transitions: Contract ``audit.transition``, earlier weeks: what was taken in.
        list_rows: Contract ``audit.list_row``, earlier weeks: what a row of a list stood for.
        outcomes: Contract ``core.outcome``: everything that came back, ever.
        decided: This week's decision by person and pathway.
        is_held: Tells whether the list of a person's practice is held.
    """
    answered = transitions.filter(pl.col("outcome_id").is_not_null())
    outcomes = outcomes.filter(pl.col("outcome_date") <= week.index_date)  # what is dated later is for a later week
    stood_for = _what_rows_stood_for(list_rows, outcomes)
    found = _answers_by_key(week, answered, stood_for, outcomes, decided)
    for key, (fresh, earlier) in found.items():
        believed = [each for each in fresh if each["source"] != GP_RECORD] if is_held(key) else fresh
        _take_in(week, key, (believed, earlier), decided.get(key))
    _leave_open(week, answered, stood_for, outcomes)


_StoodFor = Mapping[tuple[str, str], list[tuple[str, str]]]
"""By reference of a row and person: pathways, each with the placement it had; ``beside`` is held at the same clinic."""


def _answers_by_key(
    week: Week, answered: pl.DataFrame, stood_for: _StoodFor, outcomes: pl.DataFrame, decided: Mapping[Key, Row]
) -> dict[Key, tuple[list[Row], list[Row]]]:
    """Give for each person and pathway with news the answers not taken in yet, and those that were."""
    taken = set(answered.select("outcome_id", "pathway").iter_rows())
    uncovered = {
        (row["row_reference"], row["patient_key"])
        for row in outcomes.filter(~pl.col("covers_other_needs")).iter_rows(named=True)
    }
    fresh: dict[Key, list[Row]] = {}
    for answer in outcomes.sort("outcome_id").iter_rows(named=True):
        covers = (answer["row_reference"], answer["patient_key"]) not in uncovered
        for name in sorted(_pathways_of(answer, stood_for, week.book, covers=covers) & set(week.book.pathways)):
            key = (answer["patient_key"], name)
            if (answer["outcome_id"], name) not in taken and (key in week.standings or key in decided):
                taken.add((answer["outcome_id"], name))
                fresh.setdefault(key, []).append(answer)
    earlier: dict[Key, list[Row]] = {key: [] for key in fresh}
    theirs = answered.filter(pl.col("patient_key").is_in([key for key, _ in fresh]))
    for row in theirs.sort("week", "patient_key", "pathway", "position").iter_rows(named=True):
        key = (row["patient_key"], row["pathway"])
        earlier.setdefault(key, []).append({**row, "outcome_date": row["effective_date"]})
    return {key: (fresh[key], earlier[key]) for key in sorted(fresh)}


def _what_rows_stood_for(list_rows: pl.DataFrame, outcomes: pl.DataFrame) -> _StoodFor:
    named = outcomes["row_reference"].drop_nulls().unique().to_list()
    rows = list_rows.filter(pl.col("row_reference").is_in(named)).sort("week", "pathway")
    columns = ("row_reference", "patient_key", "pathway", "placement", "clinic_id", "week")
    seats = {
        (reference, person, week): clinic
        for reference, person, _, placement, clinic, week in rows.select(columns).iter_rows()
        if placement != "held"
    }
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for reference, person, pathway, placement, clinic, week in rows.select(columns).iter_rows():
        is_beside = placement == "held" and clinic is not None and clinic == seats.get((reference, person, week))
        found.setdefault((reference, person), []).append((pathway, "beside" if is_beside else placement))
    return found


def _pathways_of(answer: Row, stood_for: _StoodFor, book: RuleBook, *, covers: bool) -> set[str]:
    """Give the pathways an answer is about: that it names, of its row, or else those whose clinic it names.

    A visit is about the needs, too, that were to be met at its clinic; and about those held behind its place, where it
    says so and nothing says that it is not. Any other answer is about neither: a no to one thing is no to no other.
    """
    row = stood_for.get((answer["row_reference"] or "", answer["patient_key"]), [])
    met = set()
    if answer["outcome"] == "attended":
        met = {"beside", "held"} if answer["covers_other_needs"] and covers else {"beside"}
    also = {name for name, place in row if place in met}
    if answer["pathway"]:
        return {answer["pathway"]} | also
    if row:
        return {name for name, place in row if place not in ("beside", "held")} | also
    clinic = answer["clinic_id"]
    return {name for name, each in book.pathways.items() if clinic in {here.id for here in each.clinics}}


def _leave_open(week: Week, answered: pl.DataFrame, stood_for: _StoodFor, outcomes: pl.DataFrame) -> None:
    """Note on each need that a visit was not said to cover that it stays; one that it had closed is open again."""
    taken = set(answered.select("outcome_id", "pathway").iter_rows())
    visits = outcomes.filter((pl.col("outcome") == "attended") & (pl.col("source") != GP_RECORD))
    for answer in visits.sort("outcome_date", "outcome_id").iter_rows(named=True):
        for name, place in stood_for.get((answer["row_reference"] or "", answer["patient_key"]), []):
            key = (answer["patient_key"], name)
            is_theirs = place == "held" and name in week.book.pathways and key in week.standings
            if not is_theirs or answer["covers_other_needs"] or (answer["outcome_id"], name) in taken:
                continue
            state = week.at(key).state
            if (
                state == "attended"
                and answer["covers_other_needs"] is False
                and _closed_by(week, answered, key, answer)
            ):
                state = "waiting"
            elif state in (*CLOSED, *GONE):
                continue
            text = f"Seen at {_where(week.book, answer['clinic_id'])} on {periods.in_words(answer['outcome_date'])}; "
            text += "this need was not marked as covered"
            week.take(key, state, "not_covered", text, **{**_of_answer(answer), "outcome": None})


def _closed_by(week: Week, answered: pl.DataFrame, key: Key, answer: Row) -> bool:
    """Tell whether the row of an answer had closed a need before it said that this was not covered."""
    about = {"patient_key": key[0], "pathway": key[1], "row_reference": answer["row_reference"]}
    before = answered.filter(cause="answer", to_state="attended", **about)
    return before.height > 0 and before["effective_date"].max() == week.at(key).since


def _where(book: RuleBook, clinic: str | None) -> str:
    labels = (each.label for pathway in book.pathways.values() for each in pathway.places if each.id == clinic)
    return next(labels, "a clinic")


def _take_in(week: Week, key: Key, answers: tuple[list[Row], list[Row]], decision: Row | None) -> None:
    fresh, earlier = answers
    fresh = sorted(fresh, key=_when)
    disagreeing = [
        each
        for each in fresh
        if each["outcome"] == _AT_ODDS
        or any(_disagree(each, other) for other in (*fresh, *earlier) if other is not each)
    ]
    known = [each for each in earlier if each["cause"] not in ("answers_disagree", "late_answer")]
    for answer in fresh:
        if answer not in disagreeing:
            _apply(week, key, answer, known, decision)
            known.append(answer)
    for answer in disagreeing:
        others = (each for each in (*fresh, *earlier) if each is not answer and _disagree(answer, each))
        said = ", and ".join(_said(each) for each in sorted((answer, next(others, answer)), key=_when))
        text = "Two answers to one row of a list disagree: neither is applied"
        if answer["outcome"] != _AT_ODDS:
            text = f"Two answers disagree: {said}. Neither is applied"
        if week.at(key).state in (*GONE, "review"):
            _note(week, key, answer, text)
        else:
            _by_answer(week, key, answer, "review", "answers_disagree", text, None, decision)


def _when(answer: Row) -> tuple[date, int, str]:
    return (answer["outcome_date"], _IN_ORDER.index(answer["outcome"]), answer["outcome_id"])


def _disagree(one: Row, other: Row) -> bool:
    pair = {one["outcome"], other["outcome"]}
    if pair not in _ONE_DAY:
        return False
    is_one_row = one["row_reference"] is not None and one["row_reference"] == other["row_reference"]
    if one["outcome_date"] == other["outcome_date"]:
        return is_one_row or None in (one["row_reference"], other["row_reference"])
    return is_one_row and pair in ({"attended", "declined"}, {"attended", "not_appropriate"})


def _said(answer: Row) -> str:
    return f"{ANSWER_WORDS[answer['outcome']].lower()} on {periods.in_words(answer['outcome_date'])}"


def _apply(week: Week, key: Key, answer: Row, known: Iterable[Row], decision: Row | None) -> None:
    """Let an answer move what it moves; anything else is noted, so that it is never looked at again."""
    standing, outcome, day = week.at(key), answer["outcome"], answer["outcome_date"]
    pathway = week.book.pathways[key[1]]
    text = f"{ANSWER_WORDS[outcome]} on {periods.in_words(day)}"
    if answer["source"] == GP_RECORD and answer["reason_code"] in week.book.codelists:
        text += f" (GP record: {week.book.codelists[answer['reason_code']].entry.label})"
    froms, _ = ANSWERS[outcome]
    if any(_is_repeat(answer, each) for each in known):
        _note(week, key, answer, f"{text}: known already")
    elif standing.answer_date and day < standing.answer_date:
        if outcome in CLOSED and standing.state not in (*CLOSED, *GONE, "review"):
            text += f" came late, after a newer answer ({standing.heard}): which holds?"
            _by_answer(week, key, answer, "review", "late_answer", text, None, decision)
        else:
            _note(week, key, answer, f"{text}: a newer answer holds")
    elif standing.state not in froms or (outcome == "activated" and _is_in_queue(standing)):
        _note(week, key, answer, text)
    elif outcome == "did_not_attend" and standing.missed:
        _by_answer(week, key, answer, "review", "missed_twice", f"{text}, the second time", None, decision)
    else:
        until = _until(answer, standing, pathway)
        _by_answer(week, key, answer, _state_after(outcome, standing), "answer", text, until, decision)


def _is_in_queue(standing: Standing) -> bool:
    """Tell whether somebody waits for a clinic: using an offer does not end that; waiting for an offer it does."""
    return standing.state == "waiting" and standing.clinic_id != OFFER


def _is_repeat(answer: Row, other: Row) -> bool:
    if answer["outcome"] != other["outcome"]:
        return False
    is_one_row = answer["row_reference"] is not None and answer["row_reference"] == other["row_reference"]
    is_one_until = answer["until_date"] == other["until_date"] or answer["outcome"] not in ("booked", "deferred")
    return is_one_until and (is_one_row or answer["outcome_date"] == other["outcome_date"])


def _state_after(outcome: str, standing: Standing) -> str:
    if outcome == "invited":
        return INVITED[min(standing.invitations, len(INVITED) - 1)]
    if outcome == "accepted":
        return "offered" if standing.state == "stepped_up" else "waiting"
    return outcome


def _until(answer: Row, standing: Standing, pathway: Pathway) -> date | None:
    """Give the day until which an answer holds."""
    follow = pathway.follow_up
    day: date = answer["outcome_date"]
    named: date | None = answer["until_date"]
    match answer["outcome"]:
        case "attended" if _place(answer, standing) == pathway.assessment.id:
            return day + timedelta(days=follow.result_within_days)
        case "attended" | "activated":
            return periods.months_after(day, follow.review_after_months)
        case "declined":
            return periods.months_after(day, follow.ask_again_after_months)
        case "not_appropriate":
            return periods.months_after(day, follow.reconsider_after_months)
        case "booked" | "deferred":  # a slip of the pen in the year must not lose anybody
            latest = periods.months_after(day, follow.review_after_months)
            return min(named, latest) if named else day + timedelta(days=follow.open_ended_days)
        case "invited":
            return day + timedelta(days=follow.invite_again_after_days)
        case "offered":
            return day + timedelta(days=follow.call_after_days)
        case "accepted" if standing.state == "stepped_up":
            return day + timedelta(days=follow.call_after_days)
    return None


def _place(answer: Row, standing: Standing) -> str | None:
    if answer["outcome"] in ("offered", "activated"):
        return OFFER
    return answer["clinic_id"] or standing.clinic_id


def _by_answer(
    week: Week, key: Key, answer: Row, to: str, cause: str, text: str, until: date | None, decision: Row | None
) -> None:
    standing = week.at(key)
    seen = standing if standing.state != "new" or decision is None else None
    week.take(
        key,
        to,
        cause,
        text,
        **_of_answer(answer),
        clinic_id=_place(answer, standing),
        practice_code=standing.practice_code or answer["practice_code"],
        until_date=until,
        tier=seen.tier if seen else (decision or {}).get("tier"),
        tier_rank=seen.tier_rank if seen else (decision or {}).get("tier_rank"),
    )


def _note(week: Week, key: Key, answer: Row, text: str) -> None:
    week.take(key, week.at(key).state, "answer_noted", text, **_of_answer(answer), until_date=answer["until_date"])


def _of_answer(answer: Row) -> Row:
    role = answer["decided_by_role"]
    return {
        "effective_date": answer["outcome_date"],
        "by": f"{answer['source']}, {role}" if role else answer["source"],
        "outcome_id": answer["outcome_id"],
        "outcome": answer["outcome"],
        "row_reference": answer["row_reference"],
    }
