"""Two published scores from the hospital diagnoses of many people: ours, a plain script, and a peer.

The Hospital Frailty Risk Score and the Charlson index (Quan 2011 weights) are what all three can work out. Each job
gives the seconds of its reckoning alone; tables are loaded before. Answers are compared, not only times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.laps import Laps, Stages, open_working_store, score

INDEX_DATE = date(2026, 11, 2)
OURS, ALONE = "two scores, each value with its record", "two scores alone"
PLAIN, PEER = "plain Polars script", "comorbidipy 0.8.0"
_FRAILTY, _CHARLSON = "hospital_frailty", "charlson_quan_2011"
_DIAGNOSES_EACH = 9.26
_PEER_PACKAGE = "comorbidipy==0.8.0"
_PEER_SCRIPT = """
import json, sys, time
import comorbidipy, polars
rows = polars.read_parquet(sys.argv[1])
began = time.process_time()
frailty = comorbidipy.hfrs(rows, id_col="id", code_col="code")
first = time.process_time()
charlson = comorbidipy.comorbidity(rows, id_col="id", code_col="code")
second = time.process_time()
print(json.dumps({"frailty": first - began, "charlson": second - first}))
"""


def invent_diagnoses(folder: Path, people: int) -> Path:
    """Invent emergency diagnoses, about nine a person, common codes far oftener than rare ones; once a folder."""
    if (folder / "diagnosis.parquet").exists():
        return folder
    from stratify.rulebook import load_rule_book

    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(1)
    listed = {code for each in load_rule_book(None).codelists.values() if each.system == "icd10" for code in each.codes}
    known = {code if len(code) == 4 else f"{code}{digit}" for code in listed if len(code) < 5 for digit in "0189"}
    others = {f"{letter}{number:02}{digit}" for letter in "HKLST" for number in range(0, 99, 3) for digit in "019"}
    pool = np.array(sorted(known | others))
    weight = 1 / np.arange(1, len(pool) + 1) ** 0.8
    chance.shuffle(weight)
    rows = int(people * _DIAGNOSES_EACH)
    person = np.sort(chance.integers(0, people, rows))
    keys = np.array([f"{number * 2654435761 % (1 << 64):016x}" for number in range(people)])
    drawn = pl.DataFrame(
        {
            "patient_key": keys[person],
            "icd10_code": pool[chance.choice(len(pool), rows, p=weight / weight.sum())],
            "days_ago": chance.integers(1, 720, rows),
        }
    )
    drawn.select(
        "patient_key",
        pl.lit("RXX").alias("provider_code"),
        (pl.int_range(pl.len()) // 6).cast(pl.String).alias("spell_id"),
        pl.lit(1).alias("episode_order"),
        (pl.int_range(pl.len()) % 6 + 1).alias("position"),
        "icd10_code",
        pl.col("icd10_code").str.slice(0, 3).alias("icd10_category"),
        (pl.lit(INDEX_DATE) - pl.duration(days="days_ago")).cast(pl.Date).alias("admission_date"),
        pl.lit(True).alias("is_emergency"),
        pl.lit("a" * 16).alias("source_file_id"),
        pl.int_range(pl.len()).alias("source_row"),
    ).write_parquet(folder / "diagnosis.parquet")
    drawn.select(id="patient_key", code="icd10_code").write_parquet(folder / "plain.parquet")
    born = pl.Series(chance.integers(18, 100, people))
    pl.DataFrame({"patient_key": keys, "age_years": born}).write_parquet(folder / "person.parquet")
    return folder


def ours(diagnoses: Path, out: Path, memory_limit: str | None) -> Stages:
    """What a run does: values with the record behind each, then both scores with eligibility and what is missing."""
    return _scored(diagnoses, out, memory_limit, with_records=True)


def alone(diagnoses: Path, out: Path, memory_limit: str | None) -> Stages:
    """Both scores with eligibility, tiers and what is missing for everybody, without the record behind each value."""
    return _scored(diagnoses, out, memory_limit, with_records=False)


def _scored(diagnoses: Path, out: Path, memory_limit: str | None, *, with_records: bool) -> Stages:
    from stratify import contracts
    from stratify.rulebook import load_rule_book

    book = load_rule_book(None).cut_down_to(_FRAILTY, _CHARLSON)
    with open_working_store(out, memory_limit) as store:
        for name in contracts.names("core"):
            store.define(contracts.load(name))
        store.execute(f"INSERT INTO core.apc_diagnosis BY NAME FROM '{diagnoses / 'diagnosis.parquet'}'")
        store.execute(
            "INSERT INTO core.person BY NAME SELECT *, true AS is_hospital_linked, 'registered' AS person_status "
            f"FROM '{diagnoses / 'person.parquet'}'"
        )
        stages, values = score(store, book, INDEX_DATE, is_with_records=with_records)
        points = store.rows(
            f"SELECT sum(value) FROM {values} WHERE variable = 'hospital_frailty_points' "
            f"UNION ALL SELECT sum(value) FROM derived.patient_score WHERE score = '{_CHARLSON}'"
        )
        _agree(diagnoses, *(float(each[0]) for each in points))
    return stages


def plain(diagnoses: Path, out: Path, memory_limit: str | None) -> Stages:
    """The least there is: distinct codes looked up once, joined, summed; no window, no evidence, nobody eligible."""
    del memory_limit, out
    from stratify.rulebook import load_rule_book

    book = load_rule_book(None)
    rows = pl.read_parquet(diagnoses / "plain.parquet")
    weights = book.codelists["hospital_frailty_weights"].weights
    conditions = {}
    for each in book.scores[_CHARLSON].points:
        name = each.when.variable or each.when.all_of[0].variable  # the milder form names itself first
        (codelist,) = book.variables[name].codelists
        conditions[name] = (float(each.points), tuple(book.codelists[codelist].codes))
    laps = Laps()
    frailty = (
        rows.lazy()
        .select("id", category=pl.col("code").str.slice(0, 3))
        .unique()
        .join(pl.LazyFrame({"category": list(weights), "weight": list(weights.values())}), on="category")
        .group_by("id")
        .agg(pl.col("weight").sum().round(1))
        .collect()
    )
    laps.end("frailty")
    meant = [
        (code, name)
        for code in rows["code"].unique().sort()
        for name, (_, starts) in conditions.items()
        if code.startswith(starts)
    ]
    found = (
        rows.lazy()
        .join(pl.LazyFrame(meant, schema=["code", "condition"], orient="row"), on="code")
        .select("id", "condition")
        .unique()
    )
    flags = found.group_by("id").agg(
        *(
            (pl.col("condition") == name).any().cast(pl.Float64).mul(points).alias(name)
            for name, (points, _) in conditions.items()
        )
    )
    charlson = flags.with_columns(
        *(pl.when(pl.col(grave) > 0).then(0.0).otherwise(pl.col(mild)).alias(mild) for mild, grave in _GRAVER)
    ).select("id", points=pl.sum_horizontal(*conditions))
    total = charlson.collect()
    laps.end("charlson")
    _agree(diagnoses, float(frailty["weight"].sum()), float(total["points"].sum()))
    return laps.seconds


_GRAVER = (
    ("charlson_mild_liver_disease", "charlson_moderate_or_severe_liver_disease"),
    ("charlson_any_malignancy", "charlson_metastatic_solid_tumour"),
)


def peer_lacks() -> str | None:
    """Say what the peer lacks on this machine."""
    return None if os.environ.get("PEER_PYTHON") else "a Python 3.13 of its own: name one in PEER_PYTHON"


def peer(diagnoses: Path, out: Path, memory_limit: str | None) -> Stages:
    """The newest comorbidipy, in an environment of its own: it needs a newer Python, ``PEER_PYTHON`` says which."""
    del memory_limit, out
    home = diagnoses / "peer"
    if not (home / "bin" / "python").exists():
        uv = str(Path(sys.executable).parent / "uv")
        subprocess.run(
            [uv, "venv", "--quiet", "--no-python-downloads", "--python", os.environ["PEER_PYTHON"], str(home)],
            check=True,
        )
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python"), _PEER_PACKAGE], check=True
        )
    command = [str(home / "bin" / "python"), "-c", _PEER_SCRIPT, str(diagnoses / "plain.parquet")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {name: round(seconds, 3) for name, seconds in json.loads(done.stdout).items()}


def _agree(diagnoses: Path, frailty: float, charlson: float) -> None:
    """Hold the totals of the answers against those of whoever came first."""
    mine, kept = [round(frailty, 1), round(charlson, 1)], diagnoses / "answers.json"
    if kept.exists() and json.loads(kept.read_text(encoding="utf-8")) != mine:
        raise ValueError(f"total points of both scores: expected those of the job before; found {mine}")
    kept.write_text(json.dumps(mine), encoding="utf-8")


JOBS = {OURS: ours, ALONE: alone, PLAIN: plain, PEER: peer}
