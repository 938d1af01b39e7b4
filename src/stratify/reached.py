"""Who is reached, in a run: counted exactly for the restricted folder, and shown on a page under disclosure control.

Where ``fairness`` meets the store and ``publish``.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from stratify import approvals, disclosure, fairness, kept_weeks, pools, publish, signals
from stratify.disclosure import Sum
from stratify.rulebook import RuleBook
from stratify.runs import Plan
from stratify.store import Store

PAGE = "who_is_reached.html"

_MEASURES = ("need", "listed", "waiting", "other")
_SHOWN = ("all", "imd_fifth", "ethnic_group", "practice")


def count_who_is_reached(store: Store, plan: Plan, book: RuleBook) -> pl.DataFrame:
    """Count who is reached, which clinics are full and which practices silent, and write the page of it.

    Leaves ``audit.attrition``, ``listed_share``, ``workload``, ``clinic_signal`` and ``silent_practice``. Gives what
    commissioners are told of clinics that are full.
    """
    persons = store.frame("SELECT * FROM core.person ORDER BY patient_key")
    placements = store.frame("SELECT * FROM derived.placement ORDER BY patient_key, pathway")
    off = approvals.places_off(store, plan, book)
    people = fairness.groups(persons)
    store.create("audit.attrition", fairness.attrition(people, placements, book.pathways, off))
    store.create("audit.listed_share", fairness.shares(people, placements))
    networks = pools.networks(persons)
    work = fairness.workload(
        store.frame("SELECT * FROM derived.clinic_session"),
        store.frame("SELECT * FROM core.clinic_capacity"),
        placements,
    )
    store.create("audit.workload", work)
    found = signals.full_clinics(
        store.frame("SELECT * FROM derived.clinic_session"), placements, networks, index_date=plan.settings.index_date
    )
    store.create("audit.clinic_signal", found)
    full = publish.full_clinics_told(found)
    silent = _silent(store, plan)
    store.create("audit.silent_practice", silent)
    counted = fairness.groups(persons.filter("may_be_counted"))
    steps = _shown_steps(fairness.attrition(counted, placements, book.pathways, off))
    shares = _shown_shares(fairness.shares(counted, placements))
    page = publish.reached_page(
        [_pathway(name, book, steps, shares) for name in sorted(book.pathways)],
        fairness.load_ratios(work),
        work.to_dicts(),
        minutes=fairness.minutes_against_bound(work, plan.settings.most_minutes_a_week),
        full=full.to_dicts(),
        silent=silent.filter(~(pl.col("has_feedback") & pl.col("has_uptake"))).to_dicts(),
        bound=plan.settings.most_workload_ratio,
        title=f"Who is reached: {plan.settings.organisation}",
        index_date=plan.settings.index_date,
        run_id=plan.run_id,
        is_test=plan.is_test,
    )
    (plan.published / "data_quality").mkdir(parents=True, exist_ok=True)
    (plan.published / "data_quality" / PAGE).write_text(page, encoding="utf-8")
    return full


def _silent(store: Store, plan: Plan) -> pl.DataFrame:
    """Give contract ``audit.silent_practice``, from the weeks kept and this one."""
    restricted, today = plan.settings.out / "restricted", plan.settings.index_date
    rows = kept_weeks.scan(restricted, "audit.list_row", before=today, same_person={})
    rows = rows.filter(pl.col("practice_code").is_not_null())
    answers = kept_weeks.scan(restricted, "audit.answer", before=today, same_person={})
    return signals.silent_practices(
        rows.select("week", "practice_code", "placement", "row_reference").collect(),
        pl.concat([answers.collect(), store.frame("SELECT * FROM audit.answer")]),
        store.frame("SELECT * FROM audit.transition"),
        index_date=today,
    )


def _shown_steps(counts: pl.DataFrame) -> pl.DataFrame:
    whole = counts.filter((pl.col("geography_type") == "county") & (pl.col("breakdown") == "all"))
    key = ["pathway", "step_number", "kind"]
    cells = whole.unpivot(
        on=["left_count", "people_count"], index=["pathway", "step_number", "step"], variable_name="kind"
    )
    remain = Sum(
        "who is left and who remains",
        pl.col("step_number") > 1,
        {"step_number": pl.col("step_number") - 1, "kind": pl.lit("people_count")},
    )
    return disclosure.protect(cells, count="value", key=key, sums=(remain,))


def _shown_shares(counts: pl.DataFrame) -> pl.DataFrame:
    key = ["pathway", "clinic_id", "breakdown", "breakdown_value", "measure"]
    cells = counts.filter(pl.col("breakdown").is_in(_SHOWN)).unpivot(
        on=[f"{name}_count" for name in _MEASURES], index=key[:-1], variable_name="measure"
    )
    whole = {"breakdown": pl.lit("all"), "breakdown_value": pl.lit("all")}
    sums = (
        Sum("groups", pl.col("breakdown") != "all", whole, within=("breakdown",)),
        Sum("what comes of need", pl.col("measure") != "need_count", {"measure": pl.lit("need_count")}),
    )
    return disclosure.protect(cells, count="value", key=key, sums=sums)


def _pathway(name: str, book: RuleBook, steps: pl.DataFrame, shares: pl.DataFrame) -> dict[str, Any]:
    pathway = book.pathways[name]
    shown: dict[int, dict[str, Any]] = {}
    for row in steps.filter(pl.col("pathway") == name).sort("step_number").to_dicts():
        step = shown.setdefault(row["step_number"], {"text": row["step"]})
        step[row["kind"].removesuffix("_count")] = row["value"]
    cells: dict[str, dict[tuple[str, str], dict[str, int | None]]] = {}
    for row in shares.filter(pl.col("pathway") == name).to_dicts():
        group = cells.setdefault(row["clinic_id"], {}).setdefault((row["breakdown"], row["breakdown_value"]), {})
        group[row["measure"].removesuffix("_count")] = row["value"]
    clinics = []
    for clinic_id, groups in sorted(cells.items()):
        order = sorted(groups, key=lambda each: (_SHOWN.index(each[0]), each[1] == fairness.NOT_KNOWN, each[1]))
        everybody = groups["all", "all"]
        rows = [publish.share_row(*group, groups[group], everybody) for group in order]
        clinics.append({"label": pathway.clinic(clinic_id).label, "rows": rows})
    return {"id": name, "label": pathway.label, "steps": list(shown.values()), "clinics": clinics}
