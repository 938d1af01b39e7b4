"""People in care homes as a group of the commissioners' file: few, and nobody finds out how few by adding up."""

from __future__ import annotations

import metrics_county
import metrics_example
import polars as pl
import pytest
from publish_example import context

from attacker import attack
from stratify import disclosure
from stratify.metric_book import load_metrics
from stratify.metric_run import counted
from stratify.publish import build_counts
from stratify.rulebook import load_rule_book
from stratify.store import open_store

METRICS = {"emergency_admissions", "emergency_admissions_65_and_over", "readmitted_within_30_days"}
PEOPLE = 900


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Give what is published, and every cell with what is shown of it and how it was protected."""
    folder = tmp_path_factory.mktemp("homes")
    seen = []
    protect = disclosure.protect

    def watched(frame, **how):
        safe = protect(frame, **how)
        seen.append((frame.with_columns(safe["people_count"].alias("shown")), how))
        return safe

    with pytest.MonkeyPatch.context() as patch, open_store(folder / "run.duckdb", temp_directory=folder) as store:
        patch.setattr(disclosure, "protect", watched)
        metrics_county.fill(store, PEOPLE)
        book = load_rule_book()
        run = context(data_cutoffs=metrics_example.CUTOFFS, pathways={})
        found = counted(store, [each for each in load_metrics() if each.id in METRICS], run, book)
        build_counts(store, run, found, signature="Not signed")
        values = store.frame("FROM out.metric_value")
    [(cells, how)] = seen
    return values, cells, how


def test_metrics_are_told_of_people_in_care_homes_others_and_those_of_whom_it_is_not_known(built):
    values, _, _ = built
    mine = values.filter((pl.col("breakdown") == "care_home") & (pl.col("geography_type") == "icb"))
    told = mine.filter((pl.col("metric") == "emergency_admissions") & pl.col("value").is_not_null())
    assert set(told["breakdown_value"]) == {"yes", "no", "not known"}


def test_somebody_who_has_the_file_works_out_no_small_number_of_people_in_care_homes(built):
    _, cells, how = built
    of_homes = cells.filter((pl.col("breakdown") == "care_home") & pl.col("people_count").is_between(1, 7))
    assert of_homes.height > 5
    found = attack([cells], exact="people_count", published="shown", key=how["key"], sums=how["sums"])
    assert found.small >= of_homes.height
    assert found.pinned.rows() == []


def test_no_single_home_is_a_group_and_no_practice_whose_residents_may_be_those_of_one(built):
    values, cells, _ = built
    kinds = cells.filter(pl.col("breakdown") == "care_home")["geography_type"].unique()
    assert sorted(kinds) == ["icb", "pcn"]
    assert set(cells.filter(pl.col("breakdown") == "care_home")["breakdown_value"]) == {"yes", "no", "not known"}
    assert "care_home_id" not in values.columns
