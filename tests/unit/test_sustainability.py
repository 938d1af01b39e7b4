"""Whether a pathway will last: the score moves with recorded answers alone, and a low factor asks for an action."""

from __future__ import annotations

from datetime import date

import duckdb
import polars as pl
import pytest
from typer.testing import CliRunner

from stratify.cli import app
from stratify.errors import SettingsError
from stratify.publish.sustainability import SUSTAINED, sustainability_rows
from stratify.settings import load_settings
from stratify.sustainability import FACTORS, FactorAnswer, blank_form, read_answers

MARCH, JUNE, NOVEMBER = date(2026, 3, 2), date(2026, 6, 1), date(2026, 11, 2)
ON = {"copd", "frailty"}


def answer(factor: str, level: str, day: date = MARCH, pathway: str = "copd") -> FactorAnswer:
    return FactorAnswer(pathway=pathway, factor=factor, answered_date=day, level=level, answered_by="COPD lead")


ALL_B = tuple(answer(factor, "b") for factor in FACTORS)


def scores(*answers: FactorAnswer, index_date: date = NOVEMBER) -> dict[date, float | None]:
    rows = sustainability_rows(answers, ON, index_date)
    return dict(rows.select("assessed_date", "score").unique().rows())


def test_there_are_ten_factors_in_three_parts():
    assert [each.part for each in FACTORS.values()] == ["process"] * 4 + ["staff"] * 4 + ["organisation"] * 2


def test_a_score_is_the_levels_of_all_ten_and_there_is_none_before_all_are_answered():
    # Ten at b: 10 x 2 of 10 x 3 = 66.7. One of them from b to a in June: 21 of 30 = 70.
    assert scores(*ALL_B) == {MARCH: 66.7}
    assert scores(*ALL_B, answer("fit", "a", JUNE)) == {MARCH: 66.7, JUNE: 70.0}
    assert scores(*ALL_B[1:]) == {MARCH: None}


def test_the_score_changes_by_a_recorded_answer_and_by_nothing_else():
    before = sustainability_rows(ALL_B, ON, JUNE)
    assert sustainability_rows(ALL_B[::-1], ON, NOVEMBER).equals(before)  # time passes, lines are in another order
    later = (*ALL_B, answer("training", "d", NOVEMBER), answer("fit", "d", JUNE, "frailty"))
    # Not yet answered in June, and another pathway's answer is no answer of this one.
    then = sustainability_rows(later, ON, JUNE).filter(pl.col("pathway") == "copd")
    assert then.equals(before)
    # 9 x 2 + 0 of 30 = 60, and only the day of the answer has it.
    assert scores(*ALL_B, answer("training", "d", NOVEMBER)) == {MARCH: 66.7, NOVEMBER: 60.0}


@pytest.mark.parametrize(("level", "asks"), [("a", False), ("b", False), ("c", True), ("d", True)])
def test_a_low_factor_prompts_an_action_that_names_it(level, asks):
    for factor, what in FACTORS.items():
        rows = sustainability_rows([answer(factor, level)], ON, NOVEMBER)
        prompted = rows.filter(pl.col("action").is_not_null())
        assert prompted["factor"].to_list() == ([factor] if asks else [])
        assert rows.filter("is_low").height == prompted.height
        assert all(text.startswith(f"{what.name} is low. ") for text in prompted["action"])


def test_an_answer_about_a_pathway_that_is_not_published_is_left_out():
    assert sustainability_rows([answer("fit", "a", pathway="draft")], ON, NOVEMBER).is_empty()


def test_usage_of_each_week_stands_beside_the_assessment_of_that_time():
    answers = (*ALL_B, answer("training", "d", JUNE))
    weeks = [
        ("lists_answered", "copd", "icb", "QX1", date(2026, 2, 23), 10.0),
        ("lists_answered", "copd", "icb", "QX1", date(2026, 5, 25), 40.0),
        ("places_given", "copd", "icb", "QX1", date(2026, 5, 25), 90.0),
        ("lists_answered", "copd", "icb", "QX1", JUNE, None),
        ("lists_answered", "copd", "pcn", "U1", JUNE, 55.0),
        ("declined", "copd", "icb", "QX1", JUNE, 5.0),
    ]
    said = sustainability_rows(answers, ON, NOVEMBER).select("pathway", "assessed_date", "name", "is_low", "score")
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE metric_week (metric TEXT, pathway TEXT, geography_type TEXT, "
            "geography_code TEXT, week DATE, value DOUBLE)"
        )
        connection.execute(
            "CREATE TABLE sustainability (pathway TEXT, assessed_date DATE, name TEXT, is_low BOOLEAN, score DOUBLE)"
        )
        connection.executemany("INSERT INTO metric_week VALUES (?, ?, ?, ?, ?, ?)", weeks)
        connection.executemany("INSERT INTO sustainability VALUES (?, ?, ?, ?, ?)", said.rows())
        connection.execute(f"CREATE MACRO sustained(place) AS TABLE {SUSTAINED.query}")
        found = connection.execute(SUSTAINED.example).fetchall()
    assert found == [
        ("QX1", "copd", date(2026, 2, 23), None, None, None, 10.0, None),
        ("QX1", "copd", date(2026, 5, 25), MARCH, 66.7, None, 40.0, 90.0),
        ("QX1", "copd", JUNE, JUNE, 60.0, "Training and involvement of staff", None, None),
    ]


HEADER, *LINES = blank_form(["copd"]).splitlines()
GOOD = "copd,fit,2026-03-02,b,COPD lead"


def write(folder, *lines):
    path = folder / "sustainability.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return path


def test_the_blank_form_is_read_as_no_answers_and_a_filled_line_as_one(tmp_path):
    assert len(LINES) == 10 and read_answers(write(tmp_path, *LINES)) == ()
    assert read_answers(write(tmp_path, *LINES, GOOD)) == (answer("fit", "b"),)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param(GOOD.replace(",b,", ",,"), "level", id="a day and no level"),
        pytest.param(GOOD.replace(",b,", ",e,"), "level", id="a level there is not"),
        pytest.param(GOOD.replace("2026-03-02", ""), "answered_date", id="no day"),
        pytest.param(GOOD.replace("COPD lead", ""), "answered_by", id="nobody who answered"),
        pytest.param(GOOD.replace("fit", "money"), "factor", id="a factor there is not"),
        pytest.param(GOOD.replace("copd", "gout"), "the id of a pathway", id="a pathway there is not"),
        pytest.param(GOOD, "one answer a factor and day", id="answered twice in a day"),
    ],
)
def test_a_line_that_does_not_hold_is_named_by_its_number_and_not_its_values(tmp_path, line, said):
    with pytest.raises(SettingsError) as caught:
        read_answers(write(tmp_path, GOOD, line), pathways=ON)
    message = str(caught.value)
    assert "sustainability.csv, line 3" in message and said in message
    assert "gout" not in message and "money" not in message


def test_the_commands_print_a_form_and_check_it_filled_in(tmp_path):
    run = CliRunner()
    form = run.invoke(app, ["sustainability", "form"]).output
    assert form.startswith(HEADER) and "copd,senior_leaders,,,\n" in form
    path = write(tmp_path, *form.splitlines()[1:], GOOD)
    assert "1 answers can be read" in run.invoke(app, ["sustainability", "check", str(path)]).output
    assert run.invoke(app, ["sustainability", "check", str(write(tmp_path, "gout" + GOOD[4:]))]).exit_code != 0


def test_the_settings_name_the_file_of_answers(tmp_path):
    write(tmp_path, GOOD)
    settings = tmp_path / "settings.yaml"
    settings.write_text("source: synthea\nextracts: x\nout: y\nsustainability: sustainability.csv\n", encoding="utf-8")
    found = load_settings(
        settings, environment={}, overrides={}, today=NOVEMBER, synthetic_sources=frozenset({"synthea"})
    )
    assert found.sustainability == (answer("fit", "b"),)
    assert found.approved["sustainability"][0]["level"] == "b"
