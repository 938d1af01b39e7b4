"""The shipped model judged on invented counties that it was not fitted on, a year later than it was.

    python -m benchmarks.model_truth FOLDER [--seeds 6,7,8,9] [--people 32000]

Every practice is another one and every person too. Of each county only what the risks need is worked out: landing, core
tables, values and outcomes of one index date. ``FOLDER`` keeps risk and outcome of each county, so that more can be
added; the counties themselves are deleted. What is printed stands in ``docs/model-checks.md``.
"""

from __future__ import annotations

import argparse
import os
import shutil
from datetime import date
from pathlib import Path

import polars as pl
import yaml

from stratify import ingest, pipeline
from stratify.modelling.cohort import gather
from stratify.modelling.design import IndexDates
from stratify.modelling.evaluation import Performance, evaluate, evaluate_groups
from stratify.modelling.model_card import BREAKDOWNS, with_groups
from stratify.modelling.promotion import champion_of
from stratify.modelling.stored import StoredModel
from stratify.privacy import THROWAWAY_KEY
from stratify.rulebook import load_rule_book
from stratify.runs import prepare
from stratify.settings import load_settings
from stratify.store import open_store
from stratify.synth import CountyOrder, write_county

MODEL = "emergency_admission_12_months"
INDEX_DATE = date(2026, 11, 2)
GROUPS = tuple(name for name in BREAKDOWNS if name not in ("all", "practice"))
SHOWN = ("auroc", "calibration_slope", "calibration_intercept", "calibration_gap")


def judged(folder: Path, model: StoredModel, *, seed: int, people: int) -> pl.DataFrame:
    """Invent a county and give its people's risks and outcomes: the latest index date only.

    Args:
        folder: For the county; it is deleted again.
        model: The model.
        seed: Of the county; not that of the one it was fitted on.
        people: How many.
    """
    folder.mkdir(parents=True)
    order = CountyOrder(
        people=people, practices=max(1, people // 2_500), seed=seed, index_date=INDEX_DATE, file_format="parquet"
    )
    write_county(folder / "extracts", order)
    privacy = dict.fromkeys(("type_1", "national", "local"), "exclude")
    privacy |= {"purpose": "case_finding", "approval_reference": "invented approval"}
    said = {"extracts": "extracts", "out": "out", "source": "synthetic_county", "organisation": "Invented Board"}
    said |= {"contact": "Ring the invented desk", "privacy": privacy}
    (folder / "settings.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")
    settings = load_settings(
        folder / "settings.yaml", environment=os.environ, overrides={"index_date": INDEX_DATE}, today=INDEX_DATE
    )
    plan = prepare(settings, key=THROWAWAY_KEY)
    pipeline.land(plan, key=THROWAWAY_KEY)
    book = load_rule_book()
    with open_store(plan.restricted / "run.duckdb", temp_directory=folder) as store:
        for name in ("landing", "identity"):
            store.attach(plan.restricted / f"{name}.duckdb", name)
        ingest.build_core(
            store,
            index_date=INDEX_DATE,
            key=THROWAWAY_KEY,
            measurements=book.resolved_measurements(),
            privacy_policy=settings.privacy,
            source=plan.source_as_received,
        )
        ingest.match_codes(store, list(book.codelists.values()))
    dates = IndexDates(latest_months_before=model.design.index_dates.latest_months_before, count=1)
    found = gather(plan.restricted, model.design.model_copy(update={"index_dates": dates}), book, INDEX_DATE)
    shutil.rmtree(folder)
    rows = with_groups(found.rows.with_columns(risk=pl.Series(model.fitted.risk(found.predictors))))
    return rows.select("patient_key", "outcome", "risk", *GROUPS)


def table(rows: pl.DataFrame) -> str:
    """Write how good the risks are, and every group whose mean risk is furthest off."""
    outcome, risk = rows["outcome"].to_numpy(), rows["risk"].to_numpy()
    everybody = evaluate(outcome, risk, person=rows["patient_key"].to_numpy())
    lines = [f"{everybody.people:,} people, {everybody.events:,} with an emergency admission"]
    lines += [f"{name}: {_words(everybody, name)}" for name in SHOWN]
    groups = evaluate_groups(outcome, risk, rows.select(GROUPS))
    lines += [
        f"{column} {value}: {found.people:,} people, {found.events:,}, gap {_words(found, 'calibration_gap')}"
        for (column, value), found in groups.items()
        if column != "all" and "calibration_gap" in found.measures
    ]
    return "\n".join(lines)


def _words(found: Performance, name: str) -> str:
    each = found.measures[name]
    return f"{each.value:.3f} ({each.low:.3f} to {each.high:.3f})"


def main() -> None:
    """Judge each county that was not yet, and print what all in the folder give together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="6,7,8,9")
    parser.add_argument("--people", type=int, default=32_000)
    asked = parser.parse_args()
    model = champion_of(MODEL, None)
    if model is None:
        raise SystemExit("no model is in use")
    for seed in map(int, asked.seeds.split(",")):
        kept = asked.folder / f"risks-{seed}-{asked.people}.parquet"
        if not kept.exists():
            judged(asked.folder / f"county-{seed}", model, seed=seed, people=asked.people).write_parquet(kept)
    files = sorted(asked.folder.glob("risks-*.parquet"))
    found = [
        pl.read_parquet(each).with_columns(patient_key=pl.lit(f"{each.stem} ") + pl.col("patient_key"))
        for each in files
    ]
    print(f"{len(files)} counties\n{table(pl.concat(found))}")


if __name__ == "__main__":
    main()
