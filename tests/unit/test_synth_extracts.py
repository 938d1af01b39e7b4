"""What is asked of a county, its chance, and what each of its extracts shows."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from stratify.errors import SettingsError
from stratify.synth import chance
from stratify.synth.columns import KNOWN, NEVER, REPLACES, days, ids, known, moments, picked
from stratify.synth.known import as_extracted, brought_up_to_date
from stratify.synth.order import CountyOrder, check_order
from stratify.synth.world import County


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"people": 99}, "people: expected 100 to 3,000,000; found 99"),
        ({"people": 3_000_001}, "found 3,000,001"),
        ({"people": 1_000, "practices": 11}, "practices: expected 1 to 10 for 1,000 people"),
        ({"people": 1_000, "practices": 0}, "practices: expected 1 to 10"),
        ({"people": 1_000, "practices": -1}, "practices: expected 1 to 10"),
        ({"people": 1_000_000, "practices": 3}, "practices: expected 25 to 10,000"),
        ({"seed": -1}, "seed: expected 0 or more"),
        ({"weeks": 105}, "weeks: expected 0 to 104"),
        ({"weeks": -1}, "weeks: expected 0 to 104"),
        ({"history_years": 0}, "years of history: expected 1 to 10"),
        ({"workers": 0}, "workers: expected 1 to 64"),
        ({"weekly": "daily"}, "weekly extracts: expected delta or bulk"),
        ({"file_format": "xlsx"}, "file format: expected csv or parquet"),
        ({"file_format": "parquet", "layout": "emis"}, "file format: expected csv, as suppliers send"),
    ],
)
def test_an_impossible_order_is_refused_with_what_is_possible(settings, words):
    with pytest.raises(SettingsError) as refused:
        check_order(CountyOrder(**settings))
    assert words in str(refused.value)


def test_every_reason_to_refuse_an_order_is_given_at_once():
    with pytest.raises(SettingsError) as refused:
        check_order(CountyOrder(people=3, seed=-4, weeks=900))
    assert all(word in str(refused.value) for word in ("people", "seed", "weeks"))


@pytest.mark.parametrize(
    ("people", "practices"), [(100, 1), (1_000, 2), (4_000, 8), (20_000, 8), (100_000, 10), (1_000_000, 100)]
)
def test_a_county_has_a_practice_for_every_ten_thousand_and_eight_where_people_allow(people, practices):
    order = CountyOrder(people=people)
    check_order(order)
    assert order.practice_count == practices


def test_each_extract_describes_the_day_before_its_run():
    county = County(CountyOrder(people=200, weeks=2, index_date=date(2026, 11, 2)))
    assert county.index_dates == (date(2026, 11, 2), date(2026, 11, 9), date(2026, 11, 16))
    assert days(np.array(county.cutoff_days)).to_list() == [date(2026, 11, 1), date(2026, 11, 8), date(2026, 11, 15)]
    assert county.last_day == county.cutoff_days[-1]
    assert county.first_day == county.cutoff_days[0] - 1096


def test_topics_practices_and_seeds_draw_apart_and_the_same_again():
    def draw(*of: object) -> float:
        return chance.generator(*of).random()

    assert draw(1, 2, "people") == draw(1, 2, "people")
    drawn = {draw(1, 2, "people"), draw(1, 2, "spells"), draw(1, 3, "people"), draw(2, 2, "people")}
    drawn |= {draw(1, 2, "people", 0), draw(1, 2, "people", 1), draw(1, chance.WHOLE_COUNTY, "people")}
    assert len(drawn) == 7


def test_columns_are_made_from_positions_and_days():
    assert picked(["a", "b"], np.array([1, -1, 0])).to_list() == ["b", None, "a"]
    assert ids("E", np.array([7, 12345]), 4).to_list() == ["E0007", "E12345"]
    assert days(np.array([0, NEVER])).to_list() == [date(1970, 1, 1), None]
    assert [str(each) for each in moments(np.array([1, NEVER]), np.array([60, 0]))] == ["1970-01-02 00:01:00", "None"]


EVENTS = pl.DataFrame(
    {
        "org_code": ["Y00001"] * 6,
        "source_event_id": ["E1", "E2", "E2", "E3", "E3", "E4"],
        "snomed_term": ["early", "as entered", "corrected", "entered", "entered", "late"],
        "is_deleted": [False, False, False, False, True, False],
        KNOWN: known(np.array([5, 5, 15, 5, 15, 25])),
        REPLACES: [False, False, True, False, True, False],
    }
)


def shown(upto: int, after: int | None = None) -> dict[str, tuple[str, bool]]:
    frame = as_extracted(EVENTS, "gp_event", upto=upto, after=after)
    assert KNOWN not in frame.columns and REPLACES not in frame.columns
    return {row["source_event_id"]: (row["snomed_term"], row["is_deleted"]) for row in frame.iter_rows(named=True)}


def test_a_bulk_extract_shows_the_latest_version_known_and_no_deleted_row():
    assert shown(10) == {"E1": ("early", False), "E2": ("as entered", False), "E3": ("entered", False)}
    assert shown(20) == {"E1": ("early", False), "E2": ("corrected", False)}
    assert shown(30) == {"E1": ("early", False), "E2": ("corrected", False), "E4": ("late", False)}


def test_a_delta_shows_what_became_known_since_with_deletions():
    assert shown(20, after=10) == {"E2": ("corrected", False), "E3": ("entered", True)}
    assert shown(30, after=20) == {"E4": ("late", False)}
    assert shown(4, after=3) == {}


def test_bulk_and_deltas_together_are_the_later_bulk():
    def text(upto: int, after: int | None) -> pl.DataFrame:
        frame = as_extracted(EVENTS, "gp_event", upto=upto, after=after)
        return frame.with_columns(pl.col("is_deleted").cast(pl.String))

    so_far = brought_up_to_date(None, text(10, None), "gp_event")
    so_far = brought_up_to_date(so_far, text(20, 10), "gp_event")
    so_far = brought_up_to_date(so_far, text(30, 20), "gp_event")
    later = text(30, None)
    assert so_far.sort("source_event_id").equals(later.sort("source_event_id"))
