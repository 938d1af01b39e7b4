"""Faults of rows in the county as it is drawn: each finds rows to be in, and the extracts stay sound."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from stratify import contracts
from stratify.synth import chance
from stratify.synth.county import draw_practice
from stratify.synth.faults import FAULTS, REALISTIC, Scene, Tables, spoil_rows
from stratify.synth.known import as_extracted, brought_up_to_date
from stratify.synth.order import CountyOrder
from stratify.synth.world import County
from stratify.synth.write import TABLES, as_text

ROW_FAULTS = [id for id, fault in FAULTS.items() if fault.level == "row"]
WEEKS = 2


@pytest.fixture(scope="module")
def county() -> County:
    return County(CountyOrder(people=4_000, practices=2, seed=5, weeks=WEEKS))


@pytest.fixture(scope="module")
def extracts(county) -> list[Tables]:
    """The first practice's share of the bulk and of two weekly deltas, without faults."""
    frames = draw_practice(county, county.practices[0]).frames
    days = county.cutoff_days
    return [
        {
            table: as_text(as_extracted(frames[table], table, upto=upto, after=days[week - 1] if week else None), table)
            for table in TABLES
        }
        for week, upto in enumerate(days)
    ]


def spoil_all(county: County, extracts: list[Tables], rates: dict[str, float]):
    """Put faults into every extract, one after the other, as the county does."""
    codes = tuple(each.code for each in county.practices)
    days = county.index_dates
    history: Tables = {}
    before: pl.DataFrame | None = None
    results = []
    for week, tables in enumerate(extracts):

        def scene(id: str, week: int = week) -> Scene:
            rng = chance.generator(5, 0, f"fault {id}", week)
            return Scene(codes[0], codes, week, days[week], days[week - 1] if week else None, rng, seed=5)

        written, meant, touches = spoil_rows(dict(tables), dict(tables), rates, scene, history or None, before)
        before = touches if before is None else pl.concat([before, touches])
        history = {table: brought_up_to_date(history.get(table), meant[table], table) for table in TABLES}
        results.append((written, meant, touches))
    return results, history


@pytest.mark.parametrize("id", ROW_FAULTS)
def test_every_fault_finds_rows_to_be_in(county, extracts, id):
    results, _ = spoil_all(county, extracts, {id: FAULTS[id].default_rate})
    assert sum(touches.height for _, _, touches in results) >= 1
    assert any(
        not written[table].equals(tables[table])
        for (written, _, _), tables in zip(results, extracts, strict=True)
        for table in TABLES
    )


def test_all_faults_together_leave_files_that_can_be_written(county, extracts):
    results, history = spoil_all(county, extracts, {id: FAULTS[id].default_rate for id in ROW_FAULTS if id != "F12"})
    for written, meant, touches in results:
        for table in TABLES:
            names = contracts.load(f"landing.{table}").column_names
            assert tuple(written[table].columns) == tuple(meant[table].columns) == names
            assert set(written[table].dtypes) == {pl.String}
        assert not touches.select("fault", "table", "key").is_duplicated().any()
    for table in ("patient", "registration", "gp_event", "gp_observation", "gp_medication", "apc_episode"):
        key = contracts.load(f"landing.{table}").key
        assert not history[table].select(key).is_duplicated().any(), table


def test_the_ordinary_mix_touches_few_rows_and_spares_the_reference(county, extracts):
    results, _ = spoil_all(county, extracts, dict(REALISTIC))
    for _, _, touches in results:
        assert not {"opt_out", "practice", "clinic_capacity"} & set(touches["table"])
    written, _, touches = results[0]
    for table in ("gp_event", "gp_observation", "gp_medication", "registration", "patient", "apc_episode"):
        count = extracts[0][table].height
        assert touches.filter(table=table).height <= 0.015 * count  # 2 in 100 rows set aside block a run
        assert written[table].height >= count


def test_no_fault_moves_what_another_draws(county, extracts):
    """With a second fault in other tables, the first touches the same rows."""
    alone, _ = spoil_all(county, extracts[:1], {"I1": 0.01})
    both, _ = spoil_all(county, extracts[:1], {"I1": 0.01, "C4": 0.2})
    assert alone[0][2].equals(both[0][2].filter(fault="I1"))
    assert np.unique(both[0][2]["fault"].to_numpy().astype(str)).tolist() == ["C4", "I1"]


def test_the_trace_says_of_every_older_number_which_one_survives_and_of_no_other(county, extracts):
    results, _ = spoil_all(county, extracts[:1], {"I4": 0.05})
    written, meant, touches = results[0]
    trace = written["nhs_number_trace"]
    bearing = {
        number
        for table in ("apc_episode", "op_attendance", "ed_attendance")
        for number in written[table]["nhs_number"].drop_nulls()
        if number.startswith("998")
    }
    assert trace.height == touches["nhs_number"].n_unique() >= 1
    assert set(trace["nhs_number"]) == bearing
    assert set(trace["surviving_nhs_number"]) == set(touches["nhs_number"])
    assert set(trace["trace_outcome"]) == {"90"}
    assert extracts[0]["nhs_number_trace"].is_empty() and meant["nhs_number_trace"].equals(trace)
