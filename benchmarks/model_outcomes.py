"""``python -m benchmarks.model_outcomes FOLDER``: the model code on records of real outcomes that others published.

Each data set has a small adapter to people by predictors; the rest is ``stratify.modelling``. The folder has the data
sets by name and is only read; nothing of it is kept. docs/model-benchmarks.md has what came out, and where the data are
from.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from stratify.modelling.algorithms import fit
from stratify.modelling.design import Algorithm
from stratify.modelling.evaluation import Estimate, Performance, evaluate, inside_capacity

LISTED_PERCENT = 5
"""Places for so many of 100 people, where sensitivity and PPV are measured."""

_AGE_BANDS = {f"[{low}-{low + 10})": low + 5 for low in range(0, 100, 10)}


@dataclass(frozen=True)
class Sample:
    """A data set as people by predictors.

    Attributes:
        predictors: One column each; null is not known.
        outcome: 0 or 1.
        person: Who a row is about, so that nobody is both fitted on and judged.
        published: What others made of the same task, with where they say so.
        rising: Predictors of which more never lowers the risk.
    """

    predictors: pl.DataFrame
    outcome: pl.Series
    person: pl.Series
    published: str
    rising: tuple[str, ...] = ()


def uci_diabetes(folder: Path) -> Sample:
    """Give stays of people with diabetes in American hospitals; the outcome is a readmission within 30 days.

    Left out are stays that ended in death or hospice, after which nobody can come back.
    """
    rows = pl.read_csv(folder / "uci_diabetes130" / "diabetic_data.csv.gz", null_values=["?"], infer_schema_length=None)
    rows = rows.filter(~pl.col("discharge_disposition_id").is_in([11, 13, 14, 19, 20, 21]))
    group = pl.col("diag_1").str.slice(0, 3).cast(pl.Float64, strict=False)
    chapters = {"circulatory": (390, 460), "respiratory": (460, 520), "digestive": (520, 580), "injury": (800, 1000)}
    predictors = rows.select(
        pl.col("age").replace_strict(_AGE_BANDS, return_dtype=pl.Int64).alias("age_years"),
        (pl.col("gender") == "Female").alias("is_female"),
        (pl.col("admission_type_id") == 1).alias("is_emergency"),
        (pl.col("discharge_disposition_id") == 1).alias("went_home"),
        pl.col("discharge_disposition_id").is_in([3, 5, 15, 22, 28]).alias("went_to_other_care"),
        *("time_in_hospital", "num_lab_procedures", "num_procedures", "num_medications"),
        *("number_outpatient", "number_emergency", "number_inpatient", "number_diagnoses"),
        (pl.col("insulin") != "No").alias("takes_insulin"),
        (pl.col("change") == "Ch").alias("medicine_changed"),
        (pl.col("diabetesMed") == "Yes").alias("takes_diabetes_medicine"),
        pl.col("A1Cresult").replace_strict({"Norm": 0, ">7": 1, ">8": 2}, default=None).alias("hba1c_band"),
        *(group.is_between(*edges, closed="left").fill_null(False).alias(name) for name, edges in chapters.items()),
        pl.col("diag_1").str.starts_with("250").fill_null(False).alias("diabetes_is_the_reason"),
    )
    return Sample(
        predictors=predictors,
        outcome=(rows["readmitted"] == "<30").cast(pl.Int64),
        person=rows["patient_nbr"].cast(pl.String),
        published="about 0.68",
        rising=("number_inpatient", "number_emergency"),
    )


def parr30(folder: Path) -> Sample:
    """Give synthetic English admissions with what PARR-30 is made of; the outcome is a readmission within 30 days."""
    rows = pl.read_csv(folder / "parr30_synthetic" / "parr30_sample.csv.gz")
    low = pl.col("imd_score").str.extract(r"(\d+),").cast(pl.Int64)
    names = [name for name in rows.columns if name not in ("spell_id", "imd_score", "trust_code", "readmitted")]
    return Sample(
        predictors=rows.select(*names, low.alias("deprivation")),
        outcome=rows["readmitted"],
        person=rows["spell_id"],
        published="0.70",
        # In these invented data an emergency admission in the last 30 days lowers the risk: not held to rise.
        rising=("emerg_last_year",),
    )


def support2(folder: Path) -> Sample:
    """Give seriously ill people in hospital; the outcome is death within 180 days.

    Left out of the predictors are other people's predictions and all that was only known afterwards, and of the people
    those who were not followed for as long.
    """
    rows = pl.read_csv(folder / "support2" / "support2.csv.gz", infer_schema_length=None).select(
        pl.all().cast(pl.String).str.strip_chars().replace("", None)
    )
    days, died = pl.col("d.time").cast(pl.Float64), pl.col("death") == "1"
    rows = rows.filter(died | (days >= 180))
    measured = (
        *("age", "num.co", "scoma", "hday", "diabetes", "dementia", "meanbp", "wblc", "hrt", "resp"),
        *("temp", "pafi", "alb", "bili", "crea", "sod", "ph", "glucose", "bun", "urine", "adlp", "adls"),
    )
    reasons = sorted(rows["dzgroup"].drop_nulls().unique().to_list())
    predictors = rows.select(
        *(pl.col(name).cast(pl.Float64) for name in measured),
        (pl.col("sex") == "female").alias("is_female"),
        pl.col("ca").replace_strict({"no": 0, "yes": 1, "metastatic": 2}).alias("cancer"),
        *((pl.col("dzgroup") == name).alias(name) for name in reasons),
    )
    return Sample(
        predictors=predictors,
        outcome=rows.select((died & (days <= 180)).cast(pl.Int64).alias("died"))["died"],
        person=rows["sno"],
        published="0.78",
        rising=("num.co", "cancer"),
    )


SAMPLES: dict[str, Callable[[Path], Sample]] = {
    "uci_diabetes130": uci_diabetes,
    "parr30_synthetic": parr30,
    "support2": support2,
}


def tried(sample: Sample, kind: str) -> tuple[Performance, Performance]:
    """Fit on seven of ten people and judge by the others; give how the model did on each.

    Who is judged goes by a digest of the person: rows of one person are never on both sides.
    """
    digest = [int(hashlib.sha256(each.encode()).hexdigest()[:8], 16) for each in sample.person.to_list()]
    apart = np.array([each % 10 >= 7 for each in digest])
    known = sample.predictors.select(pl.all().cast(pl.Float64).fill_null(float("nan"))).to_numpy()
    outcome, person = sample.outcome.to_numpy(), sample.person.to_numpy()
    model = fit(
        Algorithm.model_validate({"kind": kind}),
        known[~apart],
        outcome[~apart],
        names=sample.predictors.columns,
        groups=[each % 101 for each, is_apart in zip(digest, apart, strict=True) if not is_apart],
        seed=1,
        directions=dict.fromkeys(sample.rising, 1),
    )
    risk = model.risk(known)
    found = []
    for side in (apart, ~apart):
        # Of a few people something is not known that was always known in fitting: the model gives them no risk.
        chosen = side & ~np.isnan(risk)
        listed = inside_capacity(risk[chosen], chosen.sum() * LISTED_PERCENT / 100)
        found.append(evaluate(outcome[chosen], risk[chosen], listed=listed, person=person[chosen]))
    return found[0], found[1]


def table(folder: Path, names: Sequence[str]) -> str:
    """Give what came out as a Markdown table."""
    lines = [
        "| data | model | rows judged | outcome | AUROC | published | AUROC, fitted on | slope | intercept "
        f"| Brier, scaled | PPV at {LISTED_PERCENT} % | sensitivity at {LISTED_PERCENT} % |",
        "| --- | --- | --: | --: | --- | --- | --: | --- | --- | --- | --- | --- |",
    ]
    for name in names:
        sample = SAMPLES[name](folder)
        for kind in ("logistic", "boosting"):
            judged, fitted = tried(sample, kind)
            measures = judged.measures
            told = ("auroc", "calibration_slope", "calibration_intercept", "brier_scaled", "ppv", "sensitivity")
            auroc, slope, intercept, brier, ppv, found = (_words(measures[each]) for each in told)
            lines.append(
                f"| {name} | {kind} | {judged.people:,} | {judged.events / judged.people:.1%} | {auroc} "
                f"| {sample.published} | {fitted.measures['auroc'].value:.3f} | {slope} | {intercept} | {brier} "
                f"| {ppv} | {found} |"
            )
    return "\n".join(lines)


def _words(each: Estimate) -> str:
    return f"{each.value:.3f} ({each.low:.3f} to {each.high:.3f})"


def main() -> None:
    """Read the arguments, and print the table."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.model_outcomes", description=__doc__)
    asked.add_argument("folder", type=Path, help="folder that has the data sets, each in a folder of its name")
    asked.add_argument("--only", action="append", choices=list(SAMPLES), help="this one, repeatable; all by default")
    given = asked.parse_args()
    print(table(given.folder, given.only or list(SAMPLES)))


if __name__ == "__main__":
    main()
