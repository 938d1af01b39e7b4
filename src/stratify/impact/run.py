"""The declared evaluations of a run: kept weeks and records meet the designs, and out come findings.

Where ``impact`` meets the store and the memory on disk. People who objected to being counted are left out in the
queries and never read; so are those whose hospital records are not linked, of whom nothing would be known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from stratify import fairness, kept_weeks
from stratify.contract_frames import schema_of
from stratify.impact import designs, people
from stratify.impact.designs import DAYS_A_YEAR, Group
from stratify.impact.findings import FEWEST_EVENTS, Finding, row_of, settled
from stratify.rules.evaluation import Evaluation, Outcome
from stratify.store import Store

_COUNTED = (
    "SELECT patient_key FROM core.person "
    "WHERE may_be_counted AND is_hospital_linked AND person_status <> 'test_patient'"
)
_EVENTS: dict[Outcome, str] = {
    "emergency_admission": "SELECT patient_key, admission_date AS event_date FROM core.apc_spell WHERE is_emergency",
    "death": "SELECT patient_key, min(date_of_death) AS event_date FROM core.death GROUP BY ALL",
}
_FEEDS: dict[Outcome, tuple[str, ...]] = {"emergency_admission": ("apc_episode",), "death": ("apc_episode", "death")}
_GONE = """
SELECT patient_key, min(date_of_death) AS last_date FROM core.death WHERE date_of_death IS NOT NULL GROUP BY ALL
UNION ALL
SELECT patient_key, max(end_date) - 1 AS last_date FROM core.registration WHERE registration_type = 'REGULAR'
GROUP BY ALL HAVING count(*) = count(end_date)
"""
_Kept = Callable[[str], pl.DataFrame]
"""Gives a table of all kept weeks."""
_PERIOD_DAYS = 28
_GROUPS = {"imd_quintile": "imd_fifth", "ethnic_group": "ethnic_group"}
"""Groups of people for whom the declared outcome is told apart, as the file names them and as ``fairness`` does."""
_FEWEST_PERIODS, _FEWEST_OTHERS = 12, 10
"""Periods before, and practices where it is off beyond those where it is on, that a mixture needs."""


def evaluate(
    store: Store, restricted: Path, evaluations: Iterable[Evaluation], *, index_date: date, cutoffs: Mapping[str, date]
) -> list[Finding]:
    """Work out what every evaluation finds, its outcome and each of its harms.

    Where the outcome can be told of all people together, it is looked for in each group of them too.

    Args:
        store: The store of the run, with ``identity`` attached.
        restricted: The folder that holds the kept weeks, that of the run among them.
        evaluations: The declarations.
        index_date: The day the run describes.
        cutoffs: Last day of every feed that was received.
    """
    same = dict(store.rows("SELECT original_key, patient_key FROM identity.merged_number ORDER BY ALL"))
    counted = store.frame(f"{_COUNTED} ORDER BY ALL").lazy()

    @cache
    def kept(name: str) -> pl.DataFrame:
        rows = kept_weeks.scan(restricted, name, before=index_date + timedelta(days=1), same_person=same)
        return rows.join(counted, on="patient_key", how="semi", maintain_order="left").collect()

    found = []
    for evaluation in evaluations:
        for outcome in (evaluation.outcome, *evaluation.harms):
            until = min(
                [index_date - timedelta(days=1), *(cutoffs[name] for name in _FEEDS[outcome] if name in cutoffs)]
            )
            if evaluation.design == "places":
                found.append(_of_places(store, kept("audit.list_row"), evaluation, outcome, until))
            else:
                found += _of_people(store, kept, evaluation, outcome, until)
    return found


def impact_frame(found: Sequence[Finding], *, index_date: date, run_id: str) -> pl.DataFrame:
    """Give contract ``out.impact``."""
    rows = [row_of(each) | {"index_date": index_date, "run_id": run_id} for each in found]
    return pl.DataFrame(rows, schema=schema_of("out.impact"), orient="row")


# ------------------------------------------------------------------------------------------------------------ people


def _of_people(store: Store, kept: _Kept, evaluation: Evaluation, outcome: Outcome, until: date) -> list[Finding]:
    rows = kept("audit.list_row")
    if evaluation.design == "lot":
        units = people.drawn(rows, kept("audit.allocation"), evaluation)
    else:
        units = people.first_lists(rows, evaluation)
        units = people.in_order(units) if evaluation.design == "cut" else units
    with store.loaned(units.select("patient_key")) as mine:
        asked = f"SELECT * FROM ({{}}) SEMI JOIN {mine} USING (patient_key) ORDER BY ALL"
        events = store.frame(asked.format(_EVENTS[outcome]))
        gone = store.frame(asked.format(_GONE))
        persons = store.frame(asked.format("SELECT * FROM core.person"))
    seen = people.followed(units, events, gone, evaluation, data_until=until)
    why_not = None
    if units.is_empty():
        why_not = "no list of these weeks is kept yet" if evaluation.design != "lot" else "no lot was drawn yet"
    elif seen.is_empty():
        first = units["week"].min() + timedelta(days=evaluation.after_days)  # type: ignore[operator]
        why_not = f"nobody has been followed for {evaluation.after_days} days; the first will have been on {first}"
    whole = _compared(seen, persons, evaluation, outcome, why_not)
    if whole.estimate is None or outcome != evaluation.outcome:
        return [whole]
    return [whole, *_of_groups(seen, persons, evaluation, outcome)]


def _of_groups(
    seen: pl.DataFrame, persons: pl.DataFrame, evaluation: Evaluation, outcome: Outcome
) -> Iterator[Finding]:
    """Compare people of each group with people of the same group."""
    groups = fairness.groups(persons)
    for breakdown, column in _GROUPS.items():
        for (value,), members in groups.sort(column).group_by(column, maintain_order=True):
            mine = seen.join(members.select("patient_key"), on="patient_key", how="semi", maintain_order="left")
            of_group = _compared(mine, persons, evaluation, outcome, None)
            yield replace(of_group, breakdown=breakdown, group=str(value))


def _compared(
    seen: pl.DataFrame, persons: pl.DataFrame, evaluation: Evaluation, outcome: Outcome, why_not: str | None
) -> Finding:
    """Compare people who have been followed, as the design has it."""
    estimate = None
    if evaluation.design == "cut":
        near = designs.near_the_cut(seen, within=evaluation.within_places or 0)
        estimate = designs.at_the_cut(seen, within=evaluation.within_places or 0) if _has_both(near) else None
    else:
        near = designs.with_counterparts(seen if evaluation.design == "lot" else people.alike(seen, persons))
        compare = designs.by_lot if evaluation.design == "lot" else designs.matched
        estimate = compare(near) if _has_both(near) else None
    groups = (designs.group_of(near.filter("is_offered")), designs.group_of(near.filter(~pl.col("is_offered"))))
    waited = near.filter(~pl.col("is_offered"))
    later = waited.filter(pl.col("later") < pl.col("week") + timedelta(days=evaluation.after_days)).height
    return settled(
        evaluation,
        outcome,
        estimate,
        groups,
        basis=_basis(seen),
        why_not=why_not,
        later_percent=100 * later / waited.height if waited.height else None,
    )


def _has_both(units: pl.DataFrame) -> bool:
    return units["is_offered"].n_unique() == 2


def _basis(seen: pl.DataFrame) -> float | None:
    """Give events for 100 people a year, from what came after, or before where that is too little; else None."""
    for when in ("after", "before"):
        events, days = (float(seen[f"{what}_{when}"].sum()) for what in ("events", "days"))
        if events >= 2 * FEWEST_EVENTS:
            return 100 * events * DAYS_A_YEAR / days
    return None


# ------------------------------------------------------------------------------------------------------------ places

_PEOPLE_IN = f"""
SELECT practice_code, number, count(DISTINCT patient_key) AS people
FROM core.registration, (SELECT unnest(range({{first}}, {{last}})) AS number)
WHERE registration_type = 'REGULAR' AND practice_code IS NOT NULL AND patient_key IN ({_COUNTED})
    AND coalesce(start_date <= DATE '{{start}}' + CAST(number * {_PERIOD_DAYS} + {_PERIOD_DAYS // 2} AS INTEGER), true)
    AND coalesce(end_date > DATE '{{start}}' + CAST(number * {_PERIOD_DAYS} + {_PERIOD_DAYS // 2} AS INTEGER), true)
GROUP BY ALL ORDER BY ALL
"""
_EVENTS_IN = f"""
SELECT practice_code, count(*) AS events,
    CAST(floor(date_diff('day', DATE '{{start}}', event_date) / {_PERIOD_DAYS}.0) AS BIGINT) AS number
FROM ({{events}}) JOIN (
    SELECT patient_key, practice_code, start_date, end_date FROM core.registration
    WHERE registration_type = 'REGULAR' AND practice_code IS NOT NULL AND patient_key IN ({_COUNTED})) AS r
    USING (patient_key)
WHERE coalesce(start_date <= event_date, true) AND coalesce(event_date <= end_date, true)
GROUP BY ALL ORDER BY ALL
"""


def _of_places(store: Store, rows: pl.DataFrame, evaluation: Evaluation, outcome: Outcome, until: date) -> Finding:
    start = evaluation.recruits_from
    before = evaluation.before_days // _PERIOD_DAYS
    after = evaluation.after_days // _PERIOD_DAYS
    on = rows.filter((pl.col("pathway") == evaluation.pathway) & pl.col("placement").is_in(["listed", "offered"]))
    begun = dict(on.group_by("practice_code").agg(pl.col("week").min()).sort("practice_code").iter_rows())
    shape = {"start": start.isoformat(), "first": -before, "last": after, "events": _EVENTS[outcome]}
    held = store.frame(_PEOPLE_IN.format(**shape))
    rates = held.join(store.frame(_EVENTS_IN.format(**shape)), on=["practice_code", "number"], how="left").with_columns(
        pl.col("events").fill_null(0)
    )
    whole = rates.filter(pl.len().over("practice_code") == before + after).sort("practice_code", "number")
    codes = whole["practice_code"].unique(maintain_order=True).to_list()
    is_on = np.array([begun.get(code) == start for code in codes], dtype=np.bool_)
    is_used = is_on | np.array([code not in begun for code in codes], dtype=np.bool_)
    used = whole.filter(pl.col("practice_code").is_in([c for c, use in zip(codes, is_used, strict=True) if use]))
    is_on = is_on[is_used]
    marked = used.with_columns(pl.Series("is_on", np.repeat(is_on, before + after)))
    groups = (_people_of(marked.filter("is_on")), _people_of(marked.filter(~pl.col("is_on"))))
    why_not, estimate = None, None
    over = start + timedelta(days=after * _PERIOD_DAYS)
    many, others = int(is_on.sum()), int((~is_on).sum())
    if over > until + timedelta(days=1):
        why_not = f"the {after * _PERIOD_DAYS} days after it was switched on are over on {over}"
    elif before < _FEWEST_PERIODS or many == 0 or others - many < _FEWEST_OTHERS:
        why_not = (
            f"{many} practices where it is on and {others} where it is off, {before} periods of four weeks before; "
            f"it takes {_FEWEST_PERIODS} periods and {_FEWEST_OTHERS} more practices where it is off"
        )
    else:
        table = marked["events"].to_numpy() / marked["people"].to_numpy() * 100 * DAYS_A_YEAR / _PERIOD_DAYS
        estimate = designs.places_estimate(
            table.reshape(len(is_on), before + after), is_on, before=before, offered=groups[0], comparison=groups[1]
        )
    return settled(evaluation, outcome, estimate, groups, basis=None, why_not=why_not)


def _people_of(marked: pl.DataFrame) -> Group:
    after = marked.filter(pl.col("number") >= 0)
    people_each = after.group_by("practice_code").agg(pl.col("people").mean())["people"].sum()
    years = float(after["people"].sum()) * _PERIOD_DAYS / DAYS_A_YEAR
    return Group(round(float(people_each)), years, float(after["events"].sum()))
