"""What is forecast against what then happens: invented people whose records go on, routed week by week.

People with COPD have flare-ups at rates of their own, die or leave, join, are routed by the real ``routing.place`` each
week on what the real reckoning makes of their records of that week, and who had a place is not asked again for a year.
The forecast sees the records up to the index date only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

import invented
import invented_run
from invented import codelist, pathway, score, variable
from stratify import engine, pathways, routing, scores, whatif_changes, whatif_run
from stratify.publish.what_if import EVERY_PRACTICE
from stratify.wide import person_rows

INDEX = date(2026, 6, 15)
DAYS_BEFORE, WEEKS = 900, 26
PRACTICES = ("Y99001", "Y99002")

BOOK = invented.rule_book(
    codelists=[codelist("copd", "snomed_ct", ["C"]), codelist("flare", "snomed_ct", ["F"])],
    variables=[
        variable("has_copd", "has", {"event": "copd"}),
        variable("flares", "count", {"event": "flare"}, lookback_months=12),
    ],
    scores=[
        score(
            "need",
            tiers=[
                {"tier": "highest", "label": "Highest", "when": {"variable": "flares", "at_least": 4}},
                {"tier": "high", "label": "High", "when": {"variable": "flares", "at_least": 2}},
                {"tier": "low", "label": "Low"},
            ],
        )
    ],
    pathways=[
        pathway(
            "lungs",
            cohort={"variable": "has_copd", "is_true": True},
            tier_from="need",
            clinics=[{"id": "lung_clinic", "label": "Lung clinic", "roles": ["nurse"]}],
            rank_by=[{"variable": "flares", "first": "most"}],
            routes=[
                {"id": "worst", "when": {"score": "need", "tier_in": ["highest", "high"]}, "decision": "clinic",
                 "clinic": "lung_clinic", "reason": "In a high group"},
                {"id": "others", "decision": "self_management", "reason": "In the low group"},
            ],
        )
    ],
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """Invented people and all that happens to them, also after the index date."""

    practice: np.ndarray
    joins: np.ndarray
    leaves: np.ndarray
    person: np.ndarray
    day: np.ndarray
    slots: int

    def records(self, until: int) -> dict[str, pl.DataFrame]:
        seen = self.day < until
        flares = pl.DataFrame({"n": self.person[seen], "day": self.day[seen]}).with_columns(code=pl.lit("F"))
        known = pl.DataFrame({"n": np.arange(len(self.practice))}).with_columns(day=pl.lit(-3000), code=pl.lit("C"))
        rows = pl.concat([known, flares.select("n", "day", "code")], how="vertical_relaxed").sort(pl.all())
        empty = invented.core_tables([])
        events = rows.select(
            patient_key=_key("n"),
            snomed_code="code",
            effective_date=pl.lit(INDEX) + pl.duration(days="day"),
            source_row=pl.int_range(2, pl.len() + 2),
            source_file_id=pl.lit("f"),
            source_event_id=pl.int_range(pl.len()).cast(pl.String),
        )
        blank = empty["gp_event"]
        missing = [pl.lit(None, dtype=blank.schema[name]).alias(name) for name in blank.columns if name not in events]
        return empty | {"gp_event": events.with_columns(missing).select(blank.columns).cast(dict(blank.schema))}

    def persons(self, day: int) -> list[dict[str, object]]:
        rows = []
        for number, code in enumerate(self.practice):
            here = self.joins[number] <= day < self.leaves[number]
            status = "registered" if here else "died" if day >= self.leaves[number] else "left"
            rows.append(
                {
                    "patient_key": f"p{number:06}",
                    "practice_code": PRACTICES[code] if here else None,
                    "registered_date": _date(self.joins[number]) if here else None,
                    "person_status": status,
                    "sex": "F" if number % 2 else "M",
                    "imd_decile": number % 10 + 1,
                }
            )
        return rows

    def capacity(self, week: int) -> list[dict[str, object]]:
        return [
            {"clinic_id": "lung_clinic", "practice_code": practice, "clinic_date": INDEX + timedelta(days=7 * week + 2),
             "role": "nurse", "slots": self.slots, "minutes_per_slot": 20}
            for practice in PRACTICES
        ]  # fmt: skip


def _key(column: str) -> pl.Expr:
    return pl.concat_str(pl.lit("p"), pl.col(column).cast(pl.String).str.zfill(6))


def _date(day: float) -> date:
    return INDEX + timedelta(days=int(day))


def _world(people: int, *, slots: int, seed: int) -> World:
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.8, 1.6, people)  # flare-ups a year, most people few
    span = DAYS_BEFORE + 7 * (WEEKS + 1)
    counts = rng.poisson(rate * span / 365)
    person = np.repeat(np.arange(people), counts)
    day = rng.integers(-DAYS_BEFORE, 7 * (WEEKS + 1), len(person))
    leaves = -DAYS_BEFORE + rng.exponential(365 / 0.08, people).astype(int)  # 8 % a year die
    joins = np.where(rng.random(people) < 0.2, rng.integers(-DAYS_BEFORE, 7 * (WEEKS + 1), people), -5000)
    return World(rng.integers(0, 2, people), joins, np.maximum(leaves, joins + 1), person, day, slots)


def _forecast(world, out):
    deaths = [{"patient_key": f"p{number:06}", "source": "ONS", "date_of_death": _date(day)}
              for number, day in enumerate(world.leaves) if day <= 0]  # fmt: skip
    registered = [
        {"patient_key": f"p{number:06}", "practice_code": PRACTICES[world.practice[number]], "start_date": _date(day),
         "end_date": _date(world.leaves[number]) if world.leaves[number] <= 0 else None, "registration_type": "REGULAR"}
        for number, day in enumerate(world.joins) if day <= 0
    ]  # fmt: skip
    more = {"death": deaths, "registration": registered, "clinic_capacity": world.capacity(0)}
    here = [each for each, joins in zip(world.persons(0), world.joins, strict=True) if joins <= 0]
    tables = {name: frame.filter(pl.col("patient_key").is_in([each["patient_key"] for each in here]))
              for name, frame in world.records(0).items()}  # fmt: skip
    invented_run.make(out, BOOK, here, tables, index_date=INDEX, more=more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whatif_run, "load_rule_book", lambda folder: BOOK)
        return whatif_run.try_out(whatif_changes.Changes(), out)


def _realised(world):
    """Route week by week; give the length of the list, of both practices together, at the start of each week."""
    closed: dict[str, int] = {}
    tables, lengths = world.records(10_000), []
    for week in range(WEEKS + 1):
        day = INDEX + timedelta(weeks=week)
        persons = invented.frame("core.person", world.persons(7 * week))
        values = invented.values_of(tables, BOOK, day)
        wide = person_rows(engine.from_polars(persons), engine.from_polars(values), BOOK, index_date=day)
        decided = engine.collected(pathways.decide(scores.add_scores(wide, BOOK), BOOK.pathways["lungs"], BOOK))
        still = [key for key, since in closed.items() if week - since < 52]
        asked = decided.filter(pl.col("decision") == "clinic", ~pl.col("patient_key").is_in(still))
        capacity = invented.frame("core.clinic_capacity", world.capacity(week))
        placed = routing.place(asked, persons, values, capacity, BOOK, index_date=day)
        lengths.append(placed.filter(pl.col("placement").is_in(["listed", "waiting"])).height)
        closed |= dict.fromkeys(placed.filter(pl.col("placement") == "listed")["patient_key"], week)
    return lengths


def _weeks(found):
    return found.weeks.filter(pl.col("side") == "today").sort("week")


def test_a_small_list_lands_in_the_interval_that_was_stated(tmp_path):
    world = _world(700, slots=3, seed=3)
    found, lengths = _forecast(world, tmp_path / "run"), _realised(world)
    weeks = _weeks(found)
    assert weeks["length"][0] == lengths[0] > 60  # today's list is no forecast
    for week in (4, 13, 26):
        assert weeks["length_low"][week] <= lengths[week] <= weeks["length_high"][week], week
    assert weeks["length_high"][26] - weeks["length_low"][26] < lengths[0] / 2  # and the interval says something


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_list_over_2000_lands_within_5_percent(tmp_path, seed):
    world = _world(16_000, slots=25, seed=seed)
    found, lengths = _forecast(world, tmp_path / "run"), _realised(world)
    weeks = _weeks(found)
    assert min(lengths) > 2000
    errors = {week: weeks["length"][week] / lengths[week] - 1 for week in (4, 8, 13, 17, 21, 26)}
    assert all(abs(error) <= 0.05 for error in errors.values()), errors
    total = found.lists.filter(pl.col("practice_code") == EVERY_PRACTICE, pl.col("week") == 26)["length"][0]
    assert abs(total / lengths[26] - 1) <= 0.05  # as it is told, rounded
