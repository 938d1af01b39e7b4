"""Weekly releases of a county that changes a little, and somebody who has them all."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest

from attacker import Attack, attack
from stratify import disclosure
from stratify.disclosure import Sum
from stratify.errors import PrivacyError

WEEKS = 12
NETWORKS = {"p1": "n1", "p2": "n1", "p3": "n2", "p4": "n2", "p5": "n2"}
KEY = ["kind", "place", "fifth", "tier"]
PLACES = (
    Sum(
        "practices",
        pl.col("kind") == "practice",
        {"kind": pl.lit("network"), "place": pl.col("place").replace(NETWORKS)},
    ),
    Sum("networks", pl.col("kind") == "network", {"kind": pl.lit("board"), "place": pl.lit("b")}),
    Sum("fifths", pl.col("fifth") != "all", {"fifth": pl.lit("all")}),
    Sum("tiers", pl.col("tier") != "all", {"tier": pl.lit("all")}),
)


def county(chance: random.Random, people: int) -> list[tuple[str, str, str]]:
    """Invent people: practice, deprivation fifth, tier; some tiers and practices are rare."""
    practices = chance.choices(list(NETWORKS), weights=[8, 5, 3, 2, 1], k=people)
    fifths = chance.choices("12345?", weights=[5, 4, 4, 3, 2, 1], k=people)
    tiers = chance.choices(["severe", "moderate", "mild", "incomplete"], weights=[1, 3, 9, 2], k=people)
    return list(zip(practices, fifths, tiers, strict=True))


def a_week_later(chance: random.Random, people: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Let one in fifty leave, come or change tier."""
    kept = [each for each in people if chance.random() > 0.01]
    moved = [(p, f, chance.choice(["severe", "moderate"]) if chance.random() < 0.01 else t) for p, f, t in kept]
    return moved + county(chance, len(people) - len(kept))


def cells(people: list[tuple[str, str, str]]) -> pl.DataFrame:
    """Count people for each place, fifth and tier, each value and all together."""
    counted: dict[tuple[str, ...], int] = {}
    for practice, fifth, tier in people:
        for kind, place in (("practice", practice), ("network", NETWORKS[practice]), ("board", "b")):
            for each in (fifth, "all"):
                for one in (tier, "all"):
                    counted[kind, place, each, one] = counted.get((kind, place, each, one), 0) + 1
    rows = [(*name, number) for name, number in sorted(counted.items())]
    return pl.DataFrame(rows, schema=[*KEY, "people"], orient="row")


def releases(seed: int, people: int) -> list[pl.DataFrame]:
    chance = random.Random(seed)
    now, done = county(chance, people), []
    for _ in range(WEEKS):
        exact = cells(now)
        safe = disclosure.protect(exact, count="people", key=KEY, sums=PLACES)
        done.append(exact.with_columns(safe["people"].alias("shown")))
        now = a_week_later(chance, now)
    return done


def tried(frames: list[pl.DataFrame], **more: bool) -> Attack:
    return attack(frames, exact="people", published="shown", key=KEY, sums=PLACES, **more)


@pytest.mark.parametrize("people", [400, 1_500])
def test_twelve_weekly_releases_of_small_places_give_no_small_count_away(people):
    found = tried(releases(1, people))
    assert found.small > 600
    assert found.pinned.rows() == []


def test_where_practices_are_of_common_size_nine_in_ten_counts_that_could_be_published_are():
    # Some 4,000 people a practice; the smallest English practices have about half of that.
    found = tried(releases(1, 20_000))
    assert found.pinned.rows() == []
    assert found.published >= 0.9 * found.publishable


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_other_counties_give_no_small_count_away_either(seed):
    for people in (400, 1_500, 6_000):
        assert tried(releases(seed, people)).pinned.rows() == []


MONTHS_TOLD = 24
MONTH_SUMS = (
    Sum("networks", pl.col("kind") == "network", {"kind": pl.lit("board"), "place": pl.lit("b")}),
    Sum("months of a year", pl.col("year").is_not_null(), {"month": pl.col("year")}),
)
MONTH_KEY = ["kind", "place", "month"]


def months_and_years(seed: int, a_month: tuple[float, ...], files: int = 4) -> list[pl.DataFrame]:
    """Give a file a month: the last 24 months of each network and the board, and the last twelve together."""
    chance = np.random.default_rng(seed)
    happened = {f"n{number}": chance.poisson(each, MONTHS_TOLD + files) for number, each in enumerate(a_month)}
    happened["b"] = sum(happened.values())
    done = []
    for first in range(files):
        rows = []
        for place, series in happened.items():
            where = ("board" if place == "b" else "network", place)
            for month in range(first, first + MONTHS_TOLD):
                year = f"year {first}" if month >= first + 12 else None
                rows.append((*where, f"month {month}", int(series[month]), year, "months"))
            rows.append((*where, f"year {first}", int(series[first + 12 : first + 24].sum()), None, None))
        schema = dict.fromkeys(MONTH_KEY, pl.String) | {"people": pl.Int64, "year": pl.String, "series": pl.String}
        exact = pl.DataFrame(rows, schema=schema, orient="row")
        together = ("series", "kind", "place")
        safe = disclosure.protect(exact, count="people", key=MONTH_KEY, sums=MONTH_SUMS, together=together)
        done.append(exact.with_columns(safe["people"].alias("shown")))
    return done


@pytest.mark.parametrize(
    ("seed", "a_month"),
    [
        pytest.param(6, (1, 2, 6), id="told_month_by_month_ten_would_be_given_away"),
        pytest.param(1, (0.2, 10, 20), id="one_rare_place"),
        pytest.param(2, (8, 10, 15), id="now_and_then_a_small_month"),
    ],
)
def test_months_that_every_file_tells_again_give_no_small_count_away_to_who_knows_that_they_stayed(seed, a_month):
    found = attack(
        months_and_years(seed, a_month),
        exact="people",
        published="shown",
        key=MONTH_KEY,
        sums=MONTH_SUMS,
        knows_what_stayed=True,
    )
    assert found.small > 0
    assert found.pinned.rows() == []


def test_what_is_shown_of_a_year_that_is_over_does_not_change_with_the_counts_of_the_week():
    """Whoever knows that the counts of the year stayed learns nothing more from the file of another week."""
    chance = random.Random(3)
    year, now = cells(county(chance, 700)), county(chance, 700)
    shown = []
    for _ in range(4):
        week = cells(now).with_columns(pl.lit("week").alias("of"))
        both = pl.concat([year.with_columns(pl.lit("year").alias("of")), week])
        safe = disclosure.protect(both, count="people", key=["of", *KEY], sums=PLACES)
        shown.append(safe.filter(pl.col("of") == "year")["people"].to_list())
        now = a_week_later(chance, now)
    assert shown[0] == shown[1] == shown[2] == shown[3]
    assert None in shown[0]


ONE_OF_FOUR = [("practice", "p1", "all", tier, 1, None) for tier in "abcd"]


def test_the_attacker_finds_what_is_given_away():
    # The total is 12 at most and the published part 8 at least, so four hidden ones of 1 or more have 4 among them.
    rows = [*ONE_OF_FOUR, ("practice", "p1", "all", "e", 8, 10), ("practice", "p1", "all", "all", 12, 10)]
    frame = pl.DataFrame(rows, schema=[*KEY, "people", "shown"], orient="row")
    assert tried([frame]).pinned["tier"].to_list() == ["a", "b", "c", "d"]


def test_the_attacker_puts_two_weeks_together_only_where_it_knows_what_stayed():
    # Each week alone leaves four hidden ones 1 to 5 and 1 to 6; that none moved while the rest did leaves them 1.
    first = [*ONE_OF_FOUR, ("practice", "p1", "all", "e", 8, 10), ("practice", "p1", "all", "all", 12, None)]
    second = [*ONE_OF_FOUR, ("practice", "p1", "all", "e", 8, None), ("practice", "p1", "all", "all", 12, 10)]
    frames = [pl.DataFrame(rows, schema=[*KEY, "people", "shown"], orient="row") for rows in (first, second)]
    assert tried(frames).pinned.height == 0
    assert tried(frames, knows_what_stayed=True).pinned.height == 8


def test_what_contradicts_itself_proves_nothing():
    rows = [("practice", "p1", "all", "a", 3, None), ("practice", "p1", "all", "all", 0, 0)]
    with pytest.raises(PrivacyError, match="none that do"):
        tried(
            [pl.DataFrame(rows, schema=[*KEY, "people", "shown"], orient="row", schema_overrides={"shown": pl.Int64})]
        )
