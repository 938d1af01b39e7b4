"""Lots in a run: whether any may be drawn this week, and what is recorded of it in the kept weeks.

Where ``lots`` meets settings, secret, memory and store. Nothing is drawn in the first week: plan and seed are recorded
in it, and may not change any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl

from stratify import kept_weeks
from stratify.contract_frames import schema_of
from stratify.errors import SettingsError
from stratify.evaluation_book import load_evaluations
from stratify.lots import SEED_FILE_VARIABLE, SEED_VARIABLE, Lot, Lots, digest_of_seed, why_stop
from stratify.mounted_secret import read_secret
from stratify.runs import Plan
from stratify.store import Store

_PLAN, _ALLOCATION = "audit.lot_plan", "audit.allocation"
_DAYS_A_YEAR = 365.25


def open_lots(store: Store, plan: Plan, environment: Mapping[str, str], same: Mapping[str, str]) -> Lots:
    """Give the lots that may be drawn this week; none unless the settings record that they may.

    Keeps ``audit.lot_plan`` of the week, but in a look back.

    Args:
        store: The store of the run, with core tables.
        plan: The run.
        environment: The environment variables, one of which leads to the seed.
        same: The pseudonym in use by each that it supersedes.

    Raises:
        SettingsError: the plan is not the one recorded, or the seed not the one sealed.
    """
    day, earlier = plan.settings.index_date, plan.settings.out / "restricted"
    on = [each for each in plan.settings.lots if each.is_on(day)]
    if not on:
        return Lots({})
    secret = read_secret(environment, SEED_VARIABLE, SEED_FILE_VARIABLE)
    seed = secret.content if secret else b""
    plans = kept_weeks.scan(earlier, _PLAN, before=day, same_person={}).collect()
    drawn = kept_weeks.scan(earlier, _ALLOCATION, before=day, same_person=same).collect()
    rows, seeds = [], {}
    for lot in on:
        _check(lot, plan, seed)
        known = plans.filter((pl.col("pathway") == lot.pathway) & (pl.col("clinic_id") == lot.clinic)).sort("week")
        _check_unchanged(lot, known)
        status, reason = _status(store, lot, known, drawn, plan)
        if status == "drawn":
            seeds[lot.pathway, lot.clinic] = (seed, lot.plan_digest)
        rows.append(_row(lot, plan, status, reason))
    if not kept_weeks.is_look_back(earlier, day):
        frame = pl.DataFrame(rows, schema=schema_of(_PLAN), orient="row")
        kept_weeks.write(plan.restricted, _PLAN, frame.sort("pathway", "clinic_id"), day)
    return Lots(seeds)


def keep(plan: Plan, lots: Lots) -> None:
    """Keep what was drawn this week, where anything was."""
    day = plan.settings.index_date
    if lots.drawn and not kept_weeks.is_look_back(plan.settings.out / "restricted", day):
        rows = [each | {"week": day, "run_id": plan.run_id} for each in lots.drawn]
        frame = pl.DataFrame(rows, schema=schema_of(_ALLOCATION), orient="row")
        kept_weeks.write(plan.restricted, _ALLOCATION, frame.sort("patient_key", "pathway"), day)


def _check(lot: Lot, plan: Plan, seed: bytes) -> None:
    declared = {each.id: each for each in load_evaluations(plan.settings.clinical)}.get(lot.evaluation)
    if (
        declared is None
        or (declared.design, declared.pathway, declared.clinic) != ("lot", lot.pathway, lot.clinic)
        or declared.digest != lot.plan_digest
    ):
        raise _refused(
            lot,
            "a declared evaluation of that id, design lot, of this pathway and clinic, with the digest recorded",
            "no such evaluation, or another digest",
            "Put the declaration back that the committee saw, or have the changed one decided on.",
        )
    if not seed or digest_of_seed(seed) != lot.seed_digest:
        raise _refused(
            lot,
            f"the sealed seed in {SEED_VARIABLE} or {SEED_FILE_VARIABLE}",
            "another" if seed else "none",
            "Ask whoever keeps it, or take the lot out of the settings.",
        )


def _check_unchanged(lot: Lot, known: pl.DataFrame) -> None:
    if known.filter((pl.col("plan_digest") != lot.plan_digest) | (pl.col("seed_digest") != lot.seed_digest)).height:
        raise _refused(
            lot,
            "plan and seed as they were recorded before the first draw",
            "others in a kept week",
            "Put them back, or end this lot and have another decided on.",
        )


def _refused(lot: Lot, expected: str, found: str, action: str) -> SettingsError:
    where = f"lots, {lot.pathway} {lot.clinic}"
    return SettingsError(where, expected=expected, found=found, action=f"{action} Nothing was drawn.")


def _status(store: Store, lot: Lot, known: pl.DataFrame, drawn: pl.DataFrame, plan: Plan) -> tuple[str, str | None]:
    if known.is_empty():
        return "recorded", "Plan and seed are recorded; the first draw is in the next week"
    stopped = known.filter(pl.col("status") == "stopped")
    if stopped.height:
        return "stopped", stopped["reason"][0]
    mine = drawn.filter((pl.col("pathway") == lot.pathway) & (pl.col("clinic_id") == lot.clinic))
    first = mine.sort("week").unique("patient_key", keep="first", maintain_order=True)
    until = min([plan.settings.index_date - timedelta(days=1), *filter(None, [plan.data_cutoffs.get("apc_episode")])])
    reason = _harm(store, first.select("patient_key", "week", "is_given"), until)
    return ("stopped", reason) if reason else ("drawn", None)


def _harm(store: Store, first: pl.DataFrame, until: date) -> str | None:
    if first.is_empty():
        return None
    with store.loaned(first) as people:
        rows = store.rows(_SINCE.format(people=people, until=until.isoformat()))
    sides = {is_given: (days / _DAYS_A_YEAR, admitted, died) for is_given, days, admitted, died in rows}
    if len(sides) < 2:
        return None
    years = (sides[True][0], sides[False][0])
    for place, what in ((1, "emergency admissions"), (2, "deaths")):
        reason = why_stop((int(sides[True][place]), int(sides[False][place])), years, what)
        if reason:
            return reason
    return None


_SINCE = """
SELECT is_given, sum(days)::DOUBLE, sum(admitted)::BIGINT, count(*) FILTER (died <= DATE '{until}')
FROM (
    SELECT p.is_given, d.died,
        greatest(date_diff('day', p.week, least(coalesce(d.died, DATE '{until}'), DATE '{until}')), 0) AS days, (
        SELECT count(*) FROM core.apc_spell AS s
        WHERE s.patient_key = p.patient_key AND s.is_emergency AND s.admission_date >= p.week
            AND s.admission_date <= DATE '{until}') AS admitted
    FROM {people} AS p
    LEFT JOIN (SELECT patient_key, min(date_of_death) AS died FROM core.death GROUP BY ALL) AS d USING (patient_key))
GROUP BY is_given ORDER BY is_given
"""


def _row(lot: Lot, plan: Plan, status: str, reason: str | None) -> dict[str, object]:
    return {
        "week": plan.settings.index_date,
        "run_id": plan.run_id,
        "pathway": lot.pathway,
        "clinic_id": lot.clinic,
        "evaluation": lot.evaluation,
        "plan_digest": lot.plan_digest,
        "seed_digest": lot.seed_digest,
        "ethics_reference": lot.ethics_reference,
        "ethics_decided_by": lot.ethics_decided_by,
        "ethics_decided_date": lot.ethics_decided_date,
        "status": status,
        "reason": reason,
    }
