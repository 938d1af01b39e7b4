"""The shipped model judged on invented counties that it was not fitted on, a year later than it was.

    python -m benchmarks.model_truth FOLDER [--seeds 21,22,23,24] [--people 27000] [--model FILE]

Every practice is another one and every person too. Of each county only what the risks need is worked out: landing, core
tables, values and outcomes of one index date. ``FOLDER`` keeps predictors and outcomes of each county, so that more
can be added and another model judged on the same people; the counties themselves are deleted. What the shipped model
reaches is kept in ``benchmarks/results/model_truth.md``.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
from datetime import date
from pathlib import Path

import polars as pl
import yaml

from stratify import ingest, pipeline
from stratify.modelling.cohort import gather
from stratify.modelling.design import IndexDates, ModelDesign
from stratify.modelling.evaluation import LEAST_EVENTS, Performance, evaluate_groups, group_gaps, inside_capacity
from stratify.modelling.model_card import BREAKDOWNS, with_groups
from stratify.modelling.promotion import champion_of
from stratify.modelling.stored import StoredModel, read_model
from stratify.privacy import THROWAWAY_KEY
from stratify.rulebook import load_rule_book
from stratify.runs import prepare
from stratify.settings import load_settings
from stratify.store import open_store
from stratify.synth import CountyOrder, write_county
from stratify.synth.planted import planted_on_admissions

MODEL = "emergency_admission_12_months"
INDEX_DATE = date(2026, 11, 2)
GROUPS = tuple(name for name in BREAKDOWNS if name not in ("all", "practice"))
LISTED_PERCENT = 2.0
SHOWN = {
    "calibration_slope": "slope",
    "calibration_intercept": "intercept",
    "calibration_gap": "share less mean risk",
    "auroc": "AUROC",
    "ppv": "PPV",
    "sensitivity": "sensitivity",
}
LARGEST_GAP = 0.02
RESULTS = Path(__file__).parent / "results"


def gathered(folder: Path, design: ModelDesign, order: CountyOrder) -> pl.DataFrame:
    """Invent a county and give a design's people: groups, outcome and a column a predictor.

    Args:
        folder: For the county; it is deleted again.
        design: The model as declared.
        order: The county.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_county(folder / "extracts", order)
    privacy = dict.fromkeys(("type_1", "national", "local"), "exclude")
    privacy |= {"purpose": "case_finding", "approval_reference": "invented approval"}
    said = {"extracts": "extracts", "out": "out", "source": "synthetic_county", "organisation": "Invented Board"}
    said |= {"contact": "Ring the invented desk", "privacy": privacy}
    (folder / "settings.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")
    settings = load_settings(
        folder / "settings.yaml",
        environment=os.environ,
        overrides={"index_date": order.index_date},
        today=order.index_date,
    )
    plan = prepare(settings, key=THROWAWAY_KEY)
    pipeline.land(plan, key=THROWAWAY_KEY)
    book = load_rule_book()
    with open_store(plan.restricted / "run.duckdb", temp_directory=folder) as store:
        for name in ("landing", "identity"):
            store.attach(plan.restricted / f"{name}.duckdb", name)
        ingest.build_core(
            store,
            index_date=order.index_date,
            key=THROWAWAY_KEY,
            measurements=book.resolved_measurements(),
            privacy_policy=settings.privacy,
            source=plan.source_as_received,
        )
        ingest.match_codes(store, list(book.codelists.values()))
    rows = gather(plan.restricted, design, book, order.index_date).rows
    shutil.rmtree(folder)
    return rows


def judged(model: StoredModel, rows: pl.DataFrame) -> dict[tuple[str, str], Performance]:
    """Judge a model on people gathered: everybody first, then every group of everything a model is judged by."""
    known = rows.select(pl.col(f"x_{name}").fill_null(float("nan")) for name in model.fitted.names).to_numpy()
    risk = model.fitted.risk(known)
    listed = inside_capacity(risk, len(risk) * LISTED_PERCENT / 100)
    return evaluate_groups(
        rows["outcome"].to_numpy(),
        risk,
        with_groups(rows).select(GROUPS),
        listed=listed,
        person=rows["patient_key"].to_numpy(),
    )


def table(found: dict[tuple[str, str], Performance]) -> str:
    """Write what was found as a Markdown table, and which groups are out, each alone and all of them together."""
    lines = [
        f"| people | | rows | events | {' | '.join(SHOWN.values())} |",
        "| --- | --- | --: | --: |" + " --- |" * len(SHOWN),
    ]
    for (breakdown, value), each in found.items():
        name = "Everybody" if breakdown == "all" else BREAKDOWNS[breakdown]
        cells = [_words(each, measure) for measure in SHOWN]
        lines.append(
            f"| {name} | {'' if breakdown == 'all' else value} | {each.people:,} | {each.events:,} "
            f"| {' | '.join(cells)} |"
        )
    alone = {key: each.measures["calibration_gap"] for key, each in found.items() if "calibration_gap" in each.measures}
    del alone["all", "all"]
    together = group_gaps({key: found[key] for key in alone}, largest=LARGEST_GAP)
    out_alone = [key for key, gap in alone.items() if abs(gap.value) > LARGEST_GAP and not gap.low <= 0 <= gap.high]
    out_together = [key for key, gap in together.items() if gap.is_out]
    for words, out in (("its own interval", out_alone), (f"intervals that hold for all {len(alone)}", out_together)):
        names = "; ".join(f"{BREAKDOWNS[name]}: {value}" for name, value in out)
        lines.append(f"\nMore than {LARGEST_GAP} out and beyond chance, by {words}: {names or 'none'}.")
    return "\n".join(lines) + "\n"


def against_planted(model: StoredModel) -> pl.DataFrame:
    """Put what a model learnt beside what the county plants, effect by effect.

    Returns:
        One row an effect planted: ``variable``, ``planted`` (in words), ``direction`` (1 or -1), ``odds_ratio`` (of
        the highest value beside the lowest; null where the model has no such predictor), ``is_found`` (it has that
        direction; a term of nothing has none).
    """
    terms = {term.predictor: term for term in model.fitted.terms}
    rows = []
    for each in planted_on_admissions():
        term = terms.get(each.variable)
        rise = None if term is None else term.points[-1] - term.points[0] if term.times is None else term.times
        ratio = None if rise is None else math.exp(rise)
        rows.append((each.variable, each.words, each.direction, ratio, (rise or 0.0) * each.direction > 0))
    names = ("variable", "planted", "direction", "odds_ratio", "is_found")
    return pl.DataFrame(rows, schema=names, orient="row")


def planted_table(found: pl.DataFrame) -> str:
    """Write what :func:`against_planted` gives as a Markdown table, and which effects were not found."""
    lines = ["| planted on admissions | how | odds ratio in the model, highest value beside lowest | found |"]
    lines.append("| --- | --- | --: | --- |")
    for name, planted, _, ratio, is_found in found.iter_rows():
        told = "not a predictor" if ratio is None else f"{ratio:.2f}"
        lines.append(f"| `{name}` | {planted} | {told} | {'yes' if is_found else 'NO'} |")
    lost = found.filter(~pl.col("is_found"))["variable"].to_list()
    return "\n".join(lines) + f"\n\nPlanted and not found in its direction: {', '.join(lost) or 'none'}.\n"


def _words(found: Performance, name: str) -> str:
    each = found.measures.get(name)
    return f"{each.value:.3f} ({each.low:.3f} to {each.high:.3f})" if each else f"fewer than {LEAST_EVENTS} events"


def main() -> None:
    """Gather each county that was not yet, judge the model on all of them together, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="21,22,23,24", help="of the counties; none that a model was fitted on")
    parser.add_argument("--people", type=int, default=27_000, help="of each county")
    parser.add_argument("--model", type=Path, help="another than the one in use; its table is only printed")
    asked = parser.parse_args()
    model = read_model(asked.model) if asked.model else champion_of(MODEL, None)
    if model is None:
        raise SystemExit("no model is in use")
    dates = IndexDates(latest_months_before=model.design.index_dates.latest_months_before, count=1)
    design = model.design.model_copy(update={"index_dates": dates})
    asked.folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for seed in map(int, asked.seeds.split(",")):
        kept = asked.folder / f"people-{seed}-{asked.people}.parquet"
        if not kept.exists():
            order = CountyOrder(
                people=asked.people,
                practices=max(1, asked.people // 2_500),
                seed=seed,
                index_date=INDEX_DATE,
                file_format="parquet",
            )
            gathered(asked.folder / f"county-{seed}", design, order).write_parquet(kept)
        parts.append(pl.read_parquet(kept).with_columns(patient_key=pl.lit(f"{seed} ") + pl.col("patient_key")))
    command = f"python -m benchmarks.model_truth FOLDER --seeds {asked.seeds} --people {asked.people}"
    said = f"{MODEL} {model.design.version} ({model.digest[:12]}), {len(parts)} counties: `{command}`\n\n"
    said += table(judged(model, pl.concat(parts))) + "\n" + planted_table(against_planted(model))
    print(said)
    if not asked.model:
        (RESULTS / "model_truth.md").write_text(said, encoding="utf-8")


if __name__ == "__main__":
    main()
