"""Everything ever released, put to the attacker: what it works out, and what the command says of it."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from test_release_history import OTHER, SMALL, cell, released
from typer.testing import CliRunner

from stratify.cli import app
from stratify.contract_frames import schema_of
from stratify.errors import PrivacyError
from stratify.release_attack import attacked
from stratify.release_history import TABLE

MONTH = {"subject": "2026-01 of metric x", "breakdown": "all", "breakdown_value": "all", "series": "metric x"}
NEXT_WEEK = {"index_date": date(2026, 11, 30), "run_id": "run-2"}


def network(hidden: int, shown: int | None, total: int | None, **changes: object) -> list[dict[str, object]]:
    """Give practices of a network of which some hide a small number and one has ten, and the network."""
    of_network = {"pcn_code": "N1", **changes}
    small = [cell(f"P{number}", None, SMALL, **of_network) for number in range(hidden)]
    ten = cell("Q", shown, None if shown else OTHER, **of_network)
    whole = cell("N1", total, None if total else OTHER, geography_type="pcn", **changes)
    return [*small, ten, whole]


def frame(*cells: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(cells, schema=schema_of(TABLE))


@pytest.mark.parametrize(("hidden", "given_away"), [(4, 4), (3, 0)])
def test_a_total_of_twelve_at_most_gives_four_of_one_or_more_away_beside_eight(hidden, given_away):
    found = attacked(frame(*network(hidden, 10, 10)))
    assert found.runs.rows() == [(date(2026, 11, 23), "run-1", hidden, given_away)]
    assert found.given_away["geography_code"].to_list() == [f"P{number}" for number in range(given_away)]


def test_a_month_told_again_is_put_together_with_what_the_file_before_said_of_it():
    """Each file leaves them one to several; that the month stayed leaves them 1."""
    first, second = network(4, 10, None, **MONTH), network(4, None, 10, **MONTH, **NEXT_WEEK)
    assert attacked(frame(*first, *second)).given_away.height == 8
    assert attacked(frame(*first)).given_away.height == attacked(frame(*second)).given_away.height == 0
    of_no_series = [each | {"series": None} for each in (*first, *second)]
    assert attacked(frame(*of_no_series)).given_away.height == 0


def test_a_month_that_was_revised_is_not_taken_for_the_same():
    first = network(4, 10, None, **MONTH)
    second = network(4, None, 10, **MONTH, **NEXT_WEEK)
    other = {"geography_type": "icb", "geography_code": "B"}
    revised = [each | other | {"told_count": told, "hidden_because": None, "pcn_code": None}
               for each, told in ((first[-1], 40), (second[-1], 45))]  # fmt: skip
    assert attacked(frame(*first, *second, *revised)).given_away.height == 0


def test_files_that_cannot_both_be_true_of_a_month_are_taken_alone():
    first, second = network(2, 30, None, **MONTH), network(2, None, 10, **MONTH, **NEXT_WEEK)
    found = attacked(frame(*first, *second))
    assert found.changed and found.given_away.height == 0


def test_a_release_that_contradicts_itself_proves_nothing():
    with pytest.raises(PrivacyError):
        attacked(frame(*network(2, 30, 10)))


def test_the_command_names_what_is_given_away_and_fails(tmp_path):
    released(tmp_path, *network(3, 10, 10))
    safe = CliRunner().invoke(app, ["released", str(tmp_path), "--attack"])
    assert safe.exit_code == 0, safe.output
    assert "3 numbers from 1 to 7, 0 given away" in safe.output and "can be worked out from all" in safe.output
    released(tmp_path, *network(4, 10, 10, **NEXT_WEEK))
    unsafe = CliRunner().invoke(app, ["released", str(tmp_path), "--attack"])
    assert unsafe.exit_code == 5
    assert "4 numbers from 1 to 7, 4 given away" in unsafe.output and "2026-11-30  P0" in unsafe.output


def test_of_releases_kept_before_which_places_add_up_was_kept_that_is_said(tmp_path):
    released(tmp_path, *network(3, 10, 10))
    (path,) = (tmp_path / "audit" / "released").iterdir()
    pl.read_parquet(path).drop("pcn_code", "icb_code", "series", "year_subject").write_parquet(path)
    said = CliRunner().invoke(app, ["released", str(tmp_path), "--attack"])
    assert said.exit_code == 0 and "1 runs were kept by a version that did not keep which places add up" in said.output
