"""The trained model in use, on many people: through the rule book as a run does it, and from the model's file alone.

Both begin with a value for each person and variable that is not nought. The answers are compared. Explained are those
in the tiers that lead to a list.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.laps import Laps, Stages, open_working_store

INDEX_DATE = date(2026, 11, 2)
OURS, ALONE = "the score of the rule book, the listed explained", "numpy from the model's file, batches of 100,000"
_MODEL, _BATCH = "emergency_admission_12_months", 100_000
_LISTED = "derived.patient_score WHERE tier IN ('very_high', 'high')"
_OFTEN = {"medicines_count": 3.0, "ed_attendances_count": 0.4, "emergency_admissions_count": 0.15}


def _model():
    from stratify.modelling.promotion import champion_of

    found = champion_of(_MODEL, None)
    if found is None:
        raise SystemExit("no model is in use")
    return found


def invent_values(folder: Path, people: int) -> Path:
    """Invent people and what is found of them, as often as in the county or nearly so; once a folder."""
    if (folder / "person.parquet").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(1)
    keys = np.array([f"{number * 2654435761 % (1 << 64):016x}" for number in range(people)])
    about = {"patient_key": keys, "age_years": chance.integers(18, 100, people)}
    about |= {"imd_decile": chance.integers(1, 11, people), "sex": np.where(chance.random(people) < 0.5, "F", "M")}
    pl.DataFrame(about).write_parquet(folder / "person.parquet")
    rows = []
    for name in _model().design.names:
        if name in ("age_years", "imd_decile", "is_female"):
            continue
        drawn = chance.poisson(_OFTEN.get(name, 0.06), people)
        drawn = drawn if name.endswith("_count") else np.minimum(drawn, 1)
        held = drawn > 0
        found = pl.DataFrame({"patient_key": keys[held], "value": drawn[held].astype(float)})
        rows.append(found.with_columns(variable=pl.lit(name)))
    pl.concat(rows).with_columns(state=pl.lit("known"), record_count=pl.lit(1, pl.Int64)).write_parquet(
        folder / "value.parquet"
    )
    return folder


def size_in_words(folder: Path) -> str:
    """Say how many values there are."""
    return f"{pl.scan_parquet(folder / 'value.parquet').select(pl.len()).collect().item():,} values"


def ours(values: Path, out: Path, memory_limit: str | None) -> Stages:
    """What a run does: the score of everybody with tiers and what is missing; then what made each listed risk."""
    from stratify import contracts, reckoning, score_parts
    from stratify.reasons import find_values
    from stratify.rulebook import load_rule_book

    book = load_rule_book(None).cut_down_to(_MODEL)
    score = book.scores[_MODEL]
    with open_working_store(out, memory_limit) as store:
        for name in ("core.person", "derived.variable_value"):
            store.define(contracts.load(name))
        store.execute(
            "INSERT INTO core.person BY NAME SELECT *, true AS is_hospital_linked, 'registered' AS person_status, "
            f"DATE '2010-01-01' AS registered_date FROM '{values / 'person.parquet'}'"
        )
        store.execute(f"INSERT INTO derived.variable_value BY NAME FROM '{values / 'value.parquet'}'")
        laps = Laps()
        reckoning.score_everybody(store, book, index_date=INDEX_DATE)
        laps.end("scores")
        listed = store.rows(
            "SELECT patient_key, value, tier FROM derived.patient_score WHERE tier IN ('very_high', 'high')"
        )
        mine = find_values(
            store.frame(
                "SELECT * FROM derived.variable_value WHERE patient_key IN "
                "(SELECT patient_key FROM derived.patient_score WHERE tier IN ('very_high', 'high'))"
            )
        )
        for key, value, tier in listed:
            parts = score_parts.parts_of(score, value, mine.get(key, {}), book)
            score_parts.in_words(score, value, tier, parts, book)
        laps.end(f"{len(listed):,} explained")
        _agree(values, float(store.scalar("SELECT sum(value) FROM derived.patient_score")))
    return laps.seconds


def alone(values: Path, out: Path, memory_limit: str | None) -> Stages:
    """Risk and what made it for everybody, from arrays."""
    del out, memory_limit
    fitted, known = _model().fitted, _wide(values)
    laps = Laps()
    for start in range(0, len(known), _BATCH):
        fitted.risk(known[start : start + _BATCH])
    laps.end("risks")
    for start in range(0, len(known), _BATCH):
        fitted.contributions(known[start : start + _BATCH])
    laps.end("everybody explained")
    return laps.seconds


def _wide(values: Path) -> np.ndarray:
    people = pl.read_parquet(values / "person.parquet").with_columns(is_female=(pl.col("sex") == "F").cast(pl.Float64))
    found = pl.read_parquet(values / "value.parquet").pivot("variable", index="patient_key", values="value")
    wide = people.join(found, on="patient_key", how="left")
    return wide.select(pl.col(name).cast(pl.Float64).fill_null(0.0) for name in _model().design.names).to_numpy()


def _agree(values: Path, total: float) -> None:
    expected = float(_model().fitted.risk(_wide(values)).sum())
    if abs(total - expected) > 1e-6 * expected:
        raise SystemExit(f"the two ways differ: risks add up to {total:.3f} and {expected:.3f}")


JOBS = {OURS: ours, ALONE: alone}
