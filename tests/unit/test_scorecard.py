"""The neighbourhood scorecard: filled from published values alone, and checked whoever filled it in."""

from __future__ import annotations

import csv
from datetime import date

import pytest
from publish_example import frame

from stratify.errors import ExtractError
from stratify.publish.scorecard import COLUMNS, GROUPS, MEASURES, check_scorecard, write_scorecard
from stratify.store import open_store

MONTH = {"period_start": date(2026, 10, 1), "period_end": date(2026, 10, 31)}


def value(metric, part, whole, breakdown="all", group="all", **changes):
    return {"metric": metric, "pathway": "frailty", "status": "provisional", "geography_type": "pcn",
            "geography_code": "U10001", "breakdown": breakdown, "breakdown_value": group, "numerator": part,
            "denominator": whole, "held": "no", **MONTH, **changes}  # fmt: skip


VALUES = [
    value("scorecard_bed_days", 120, 80),
    value("scorecard_bed_days", None, 10, "imd_quintile", "not known"),
    value("scorecard_ed_type_1", None, None, "sex", "F"),
    value("scorecard_ed_type_1", 15, 80),
    value("scorecard_ed_other", None, None, held="part"),
    value("scorecard_gp_appointments", 900, 800, geography_type="icb", geography_code="QXX"),
]


@pytest.fixture
def scorecard(tmp_path):
    with open_store(tmp_path / "run.duckdb", temp_directory=tmp_path / "tmp", threads=1) as store:
        store.create("out.metric_value", frame("out.metric_value", VALUES))
        place = {"geography_type": "pcn", "geography_code": "U10001", "geography_name": "River", "breakdown": "all"}
        store.create("out.population", frame("out.population", [place]))
        write_scorecard(store, tmp_path / "scorecard.csv")
    return tmp_path / "scorecard.csv"


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_every_measure_and_group_has_a_row_that_says_a_number_hidden_or_not_there(scorecard):
    header, *lines = rows(scorecard)
    assert tuple(header) == COLUMNS
    assert check_scorecard(scorecard) == len(lines) == len(MEASURES) * sum(len(each) for each in GROUPS.values())
    found = {tuple(line[3:6]): tuple(line[6:]) for line in lines}
    assert {tuple(line[:3]) for line in lines} == {("U10001", "River", "2026-10")}
    assert found["O3 bed days", "all", "all"] == ("120", "80")
    assert found["P1 caseload", "all", "all"] == ("80", "80")
    assert found["O3 bed days", "imd_quintile", "not known"] == ("*", "10")
    assert found["O3 bed days", "imd_quintile", "1"] == ("0", "0")  # nobody in the cohort
    assert found["O5 emergency department type 1", "all", "all"] == ("15", "80")
    assert found["O5 emergency department other", "all", "all"] == ("x", "x")  # held this week
    assert found["O4 ambulance conveyances", "all", "all"] == ("x", "x")  # in no extract
    assert found["O6 GP appointments", "all", "all"] == ("0", "0")  # counted, and nobody here


def test_there_is_no_scorecard_where_nothing_of_it_is_counted(tmp_path):
    with open_store(tmp_path / "run.duckdb", temp_directory=tmp_path / "tmp", threads=1) as store:
        store.create("out.metric_value", frame("out.metric_value", []))
        store.create("out.population", frame("out.population", []))
        write_scorecard(store, tmp_path / "scorecard.csv")
    assert not (tmp_path / "scorecard.csv").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param("O3 bed days,all,all,120,80\n", None, "1 missing, such as O3 bed days by all all", id="no row"),
        pytest.param("imd_quintile,not known,*,10\n", None, "1 missing", id="no row for not known"),
        pytest.param("O3 bed days,all,all,120,80", "O3 bed days,all,all,120.5,80", "no whole number", id="decimals"),
        pytest.param("O3 bed days,all,all,120,80", "O3 bed days,all,all,many,80", "no whole number", id="text"),
        pytest.param("all,all,120,80", 'all,all,"1,120",80', "no whole number", id="a comma in a number"),
        pytest.param("all,all,120,80", "all,all,121,80", "not rounded", id="not rounded"),
        pytest.param("all,all,120,80", "all,all,5,80", "fewer than 8", id="a small number"),
        pytest.param("all,all,120,80", "all,all,,80", "no whole number", id="an empty cell"),
        pytest.param(
            "2026-10,O3 bed days,all,all", "2026-09,O3 bed days,all,all", "one month; found 2", id="two months"
        ),
        pytest.param("2026-10,O3 bed days,all,all", "Oct 2026,O3 bed days,all,all", "a month as", id="no month"),
        pytest.param("O3 bed days,all,all", "O3 beds,all,all", "a measure and group", id="another measure"),
        pytest.param("P1 caseload,all,all", "O3 bed days,all,all", "once a place", id="a row twice"),
        pytest.param("place_code", "place", "the columns place_code", id="another header"),
    ],
)
def test_a_scorecard_that_is_filled_in_wrongly_is_refused(scorecard, old, new, said):
    text = scorecard.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    if new is None:
        scorecard.write_text("".join(line for line in lines if not line.endswith(old)), encoding="utf-8")
    else:
        assert old in text
        scorecard.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ExtractError) as caught:
        check_scorecard(scorecard)
    assert said in str(caught.value) and "many" not in str(caught.value)
