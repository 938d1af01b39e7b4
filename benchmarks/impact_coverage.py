"""How often the intervals of each impact design hold the truth: ``python -m benchmarks.impact_coverage``.

The people of the county, what is wrong with them and when they die are drawn once. Each redraw then draws afresh, with
the county's own code: every hospital spell of everybody (``spells.draw_spells``), who meets the rule of a programme in
which month, the lot, who accepts (``programmes.recruit``), and what the programme takes away or adds
(``programmes.take_effect``). Both what happened and what would have happened without are known of everybody.

Two designs need what the county does not plant, and it is put in here by the same rule as the county's: places given in
order of need, half of each practice's list of a month (the cut); and a programme that takes away or adds one in ten
emergency spells of every adult of five practices (the places).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from stratify.impact import designs
from stratify.synth import county as drawing
from stratify.synth.conditions import Conditions, draw_conditions
from stratify.synth.gp_record import Flares, gp_rows
from stratify.synth.order import CountyOrder
from stratify.synth.population import People, draw_deaths, make_people
from stratify.synth.programmes import (
    PROGRAMMES,
    Enrolled,
    acceptance,
    admissions,
    recruit,
    runs,
    start_day,
    take_effect,
)
from stratify.synth.spells import Spells, draw_spells, one_bed_each
from stratify.synth.world import County

ORDER = CountyOrder(people=36_000, practices=30)
FIRST_SEED, BATCH = 1000, 25
WITHIN_PLACES = 5
BY_LOT = [each for each in PROGRAMMES if each.outcome == "emergency_admissions"]
MULTIPLIERS = (0.90, 1.00, 1.10)
PERIOD, BEFORE, AFTER = 28, 13, 13
TREATED = (2, 8, 14, 20, 26)


@dataclass(frozen=True)
class Practice:
    """One practice's people, drawn once."""

    people: People
    conditions: Conditions
    flares: Flares


@cache
def practices_of(people: int, practices: int) -> tuple[Practice, ...]:
    """Draw the people of every practice of a county of so many people and practices."""
    county = County(CountyOrder(people=people, practices=practices))
    found = []
    for practice in county.practices:
        mine = make_people(county, practice, drawing._numbers_of(county, practice))
        conditions = draw_conditions(county, mine)
        draw_deaths(county, mine, conditions)
        found.append(Practice(mine, conditions, gp_rows(county, mine, conditions)[1]))
    return tuple(found)


def _many(each: Practice, copies: int) -> Practice:
    """Put so many copies of a practice's people one after another: what is drawn of each of them is drawn apart."""
    count = each.people.count

    def repeated(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: repeated(part) for name, part in value.items()}
        if isinstance(value, np.ndarray) and len(value) == count:
            return np.concatenate([value] * copies)
        return value

    people, conditions = object.__new__(People), object.__new__(Conditions)
    for new, old in ((people, each.people), (conditions, each.conditions)):
        for field in fields(old):
            object.__setattr__(new, field.name, repeated(getattr(old, field.name)))
    object.__setattr__(conditions, "_people", people)
    shift = np.repeat(np.arange(copies) * count, len(each.flares.person))
    flares = Flares(np.tile(each.flares.person, copies) + shift, np.tile(each.flares.day, copies))
    return Practice(people, conditions, flares)


def redraw(county: County, practices: Sequence[Practice], copies: int) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Draw what happens to everybody so many times more.

    Returns:
        Everybody found eligible, a row each, with the number of the redraw; of each redraw and practice the emergency
        spells of adults in each period about the first day of the programmes; and of each practice the adults then.
    """
    frames, adults = [], []
    periods = BEFORE + AFTER
    counts = np.zeros((copies, len(practices), periods), dtype=np.int64)
    begins = start_day(county)
    first = begins - PERIOD * BEFORE
    for number, each in enumerate(practices):
        many, size = _many(each, copies), each.people.count
        people = many.people
        without = draw_spells(county, people, many.conditions, many.flares)
        rng = county.generator(people.practice, "programmes")
        joined = recruit(county, people, without, rng)
        after = take_effect(people, without, joined, rng)
        after = after if after is without else one_bed_each(after)
        frames.append(_eligible(number, people, joined, without, after, size))
        is_adult = people.age_on(begins) >= 18
        counted = without.is_emergency & is_adult[without.person]
        period = (without.admitted[counted] - first) // PERIOD
        is_near = (without.admitted[counted] >= first) & (period < periods)
        cell = without.person[counted][is_near] // size * periods + period[is_near]
        counts[:, number] = np.bincount(cell, minlength=copies * periods).reshape(copies, periods)
        middle = first + PERIOD * np.arange(periods) + PERIOD // 2
        own = each.people
        here = (own.start_day[:, None] <= middle) & (own.last_day[:, None] > middle)
        adults.append((here & is_adult[:size, None]).sum(axis=0))
    return pl.concat(frames), counts, np.array(adults)


def _eligible(number: int, people: People, joined: Enrolled, without: Spells, after: Spells, size: int) -> pl.DataFrame:
    person, day = joined.person, joined.eligible
    age = (day - people.birth_day[person]) / 365.25
    return pl.DataFrame(
        {
            "redraw": person // size,
            "practice": np.full(len(person), number),
            "programme": joined.programme,
            "day": day,
            "is_offered": joined.is_offered,
            "accepts_by": acceptance(people)[person],
            "age": age,
            "block": [f"{int(a // 15)} {bool(f)}" for a, f in zip(age, people.is_female[person], strict=True)],
            "events_before": admissions(without, person, day - 365, day - 1).astype(float),
            "days_before": np.full(len(person), 365.0),
            "without": admissions(without, person, day + 1, joined.until).astype(float),
            "events_after": admissions(after, person, day + 1, joined.until).astype(float),
            "days_after": (joined.until - day).astype(float),
        }
    )


def of_programmes(county: County, people: pl.DataFrame) -> list[dict[str, Any]]:
    """Give what the designs say of the county's own programmes in one redraw, and what was so."""
    people = people.filter(pl.col("days_after") > 0)
    rows = [_before_and_after(people)]
    for number, plan in enumerate(BY_LOT):
        where = [place for place, practice in enumerate(county.practices) if runs(practice, plan)]
        mine = people.filter(pl.col("programme") == number)
        offered = mine.filter("is_offered")
        others = people.filter(~pl.col("is_offered") & ~pl.col("practice").is_in(where))
        band = pl.col("block") + " " + pl.col("events_before").clip(0, 4).cast(pl.String)
        truth = (float((offered["events_after"] - offered["without"]).sum()), float(offered["days_after"].sum()))
        lot = mine.with_columns(pl.lit("all").alias("block"))
        rows.append(_row("by_lot", plan.multiplier, designs.by_lot(lot), truth))
        both = pl.concat([offered, others]).with_columns(band)
        rows.append(_row("matched", plan.multiplier, designs.matched(both), truth))
    return rows


def of_cut_and_places(
    people: pl.DataFrame, counts: np.ndarray, adults: np.ndarray, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Give what the designs say of the programmes put in here in one redraw, and what was so."""
    listed, rows = _in_order(people.filter(pl.col("days_after") > 0)), []
    for multiplier in MULTIPLIERS:
        changed, truth = _placed(listed, multiplier, rng)
        rows.append(_row("cut", multiplier, designs.at_the_cut(changed, within=WITHIN_PLACES), truth))
    return rows + _of_places(counts, adults, rng)


def _row(design: str, multiplier: float, found: designs.Estimate, truth: tuple[float, float]) -> dict[str, Any]:
    return {
        "design": design,
        "multiplier": multiplier,
        "difference": found.difference,
        "lower": found.lower,
        "upper": found.upper,
        "people": found.offered.people + found.comparison.people,
        "truth_events": truth[0],
        "truth_days": truth[1],
    }


def _before_and_after(people: pl.DataFrame) -> dict[str, Any]:
    """Say what a comparison of before and after says of the programme that does nothing; no design of ours."""
    mine = people.filter((pl.col("programme") == 1) & pl.col("is_offered"))
    change = (mine["events_after"] / mine["days_after"] - mine["events_before"] / 365).to_numpy() * 36525
    half = 1.96 * change.std(ddof=1) / len(change) ** 0.5
    found = {"difference": change.mean(), "lower": change.mean() - half, "upper": change.mean() + half}
    return {"design": "before_and_after", "multiplier": 1.0, **found, "people": len(change)} | {
        "truth_events": 0.0,
        "truth_days": 1.0,
    }


def _in_order(people: pl.DataFrame) -> pl.DataFrame:
    """Put each practice's list of a month in order of need, half of it with a place."""
    at = ["practice", "day"]
    order = people.sort(*at, "events_before", "age", descending=[False, False, True, True], maintain_order=True)
    rank, size = pl.int_range(pl.len()).over(at), pl.len().over(at)
    listed = order.with_columns(
        (rank - size // 2 + 0.5).alias("position"), (size // 2).alias("above"), (size - size // 2).alias("below")
    )
    return listed.with_columns((pl.col("position") < 0).alias("is_offered"))


def _placed(
    listed: pl.DataFrame, multiplier: float, rng: np.random.Generator
) -> tuple[pl.DataFrame, tuple[float, float]]:
    """Let those with a place have what the county's programmes do: those who accept, the more as others decline."""
    chance = listed["accepts_by"].to_numpy()
    takes = listed["is_offered"].to_numpy() & (rng.random(listed.height) < chance)
    without = listed["without"].to_numpy().astype(np.int64)
    share = np.where(takes, abs(multiplier - 1) / chance, 0.0)
    change = rng.binomial(without, share) * (1 if multiplier > 1 else -1)
    counts = pl.min_horizontal("above", "below") >= WITHIN_PLACES
    near = listed.filter((pl.col("position").abs() < 1) & counts)
    truth = ((multiplier - 1) * float(near["without"].sum()), float(near["days_after"].sum()))
    return listed.with_columns(pl.Series("events_after", (without + change).astype(float))), truth


def _of_places(counts: np.ndarray, adults: np.ndarray, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Give what the mixture says; an effect afterwards moves the places offered and neither mixture nor error."""
    is_offered = np.isin(np.arange(len(counts)), TREATED)
    scale = 36525 / PERIOD / adults
    group = designs.Group(int(adults[is_offered, -1].sum()), 1.0, 0.0)
    others = designs.Group(int(adults[~is_offered, -1].sum()), 1.0, 0.0)
    found = designs.places_estimate(counts * scale, is_offered, before=BEFORE, offered=group, comparison=others)
    after, weight = counts[is_offered][:, BEFORE:], scale[is_offered][:, BEFORE:]
    rows = []
    for multiplier in MULTIPLIERS:
        change = rng.binomial(after, abs(multiplier - 1)) * (1 if multiplier > 1 else -1)
        moved = float((change * weight).mean())
        ends = {name: getattr(found, name) + moved for name in ("difference", "lower", "upper")}
        truth = ((multiplier - 1) * float((after * weight).mean()) / 36525, 1.0)
        rows.append(_row("places", multiplier, replace(found, **ends), truth))
    return rows


def redraws(first: int, count: int, order: CountyOrder = ORDER, *, is_whole: bool = True) -> pl.DataFrame:
    """Give a row for each design and programme of so many redraws.

    Args:
        first: Seed of them all.
        count: How many.
        order: The county.
        is_whole: With the cut and the places, which need a county of some size.
    """
    practices = practices_of(order.people, order.practice_count)
    people, counts, adults = redraw(County(replace(order, seed=first)), practices, count)
    county, rows = County(order), []
    for number in range(count):
        mine = people.filter(pl.col("redraw") == number)
        found = of_programmes(county, mine)
        if is_whole:
            rng = np.random.Generator(np.random.PCG64([first, number]))
            found += of_cut_and_places(mine, counts[number], adults, rng)
        rows += [{"seed": first + number, **each} for each in found]
    return pl.DataFrame(rows)


def coverage(rows: pl.DataFrame) -> pl.DataFrame:
    """Give of each design and effect how often the interval holds the truth, and how often it leaves nought out.

    The truth is the mean of what was so over all redraws, in events for 100 people a year.
    """
    cell = ["design", "multiplier"]
    truth = pl.col("truth_events").sum().over(cell) / pl.col("truth_days").sum().over(cell) * 36525
    return (
        rows.with_columns(truth.alias("truth"))
        .group_by(cell)
        .agg(
            pl.len().alias("redraws"),
            pl.col("people").mean().round(0),
            pl.col("truth").first().round(2),
            pl.col("difference").mean().round(2).alias("mean_estimate"),
            (100 * pl.col("truth").is_between("lower", "upper").mean()).round(1).alias("covered_percent"),
            (100 * ((pl.col("upper") < 0) | (pl.col("lower") > 0)).mean()).round(1).alias("significant_percent"),
            (100 * (pl.col("upper") < 0).mean()).round(1).alias("success_percent"),
            ((pl.col("upper") - pl.col("lower")).mean() / 2).round(1).alias("half_interval"),
        )
        .sort(cell)
    )


def main() -> None:
    """Print the table of ``docs/impact.md``."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.impact_coverage", description=__doc__)
    asked.add_argument("--redraws", type=int, default=2_000)
    asked.add_argument("--workers", type=int, default=1)
    asked.add_argument("--keep", type=Path, default=None, help="folder of what was redrawn, to go on from")
    given = asked.parse_args()
    firsts = range(FIRST_SEED, FIRST_SEED + given.redraws, BATCH)
    with TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
            for done in [pool.submit(_batch, folder, first) for first in firsts]:
                done.result()
        whole = pl.concat([pl.read_parquet(folder / f"{first}.parquet") for first in firsts])
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=160):
        print(coverage(whole))


def _batch(folder: Path, first: int) -> None:
    path = folder / f"{first}.parquet"
    if not path.exists():
        redraws(first, BATCH).write_parquet(path)


if __name__ == "__main__":
    main()
