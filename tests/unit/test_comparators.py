"""Figures of other places: a line is whole, of a metric there is, with source and vintage, or it is refused."""

from datetime import date

import pytest
from typer.testing import CliRunner

from stratify.cli import app
from stratify.comparators import Comparator, read_comparators
from stratify.errors import SettingsError
from stratify.settings import load_settings

HEADER = ",".join(Comparator.model_fields)
GOOD = (
    "emergency_admissions,true,Emergency spells,E92000001,England,2025-04-01,2026-03-31,95.5,95.1,95.9,"
    '"for 1,000 people",An invented publication,2026-09-01'
)


def write(folder, *lines, header=HEADER):
    path = folder / "comparators.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_figure_is_read_with_its_vintage_and_a_revised_one_stands_beside_it(tmp_path):
    revised = GOOD.replace("95.5", "95.6").replace("2026-09-01", "2026-10-01")
    found = read_comparators(write(tmp_path, revised, GOOD), metrics={"emergency_admissions"})
    assert [(each.value, each.published_date.isoformat()) for each in found] == [
        (95.5, "2026-09-01"),
        (95.6, "2026-10-01"),
    ]
    without = GOOD.replace("95.1,95.9", ",")
    assert read_comparators(write(tmp_path, without))[0].lower_95 is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param("2026-09-01", "", "published_date", id="no vintage"),
        pytest.param("An invented publication", "", "source", id="no source"),
        pytest.param("true", "", "is_same_definition", id="nobody said whether it is the same"),
        pytest.param("2026-09-01", "2026-03-31", "must follow one another", id="published before its period ended"),
        pytest.param("2025-04-01", "2026-04-01", "must follow one another", id="a period that ends before it begins"),
        pytest.param("95.1", "96", "between lower_95 and upper_95", id="outside its interval"),
        pytest.param("95.9", "", "go together", id="half an interval"),
        pytest.param("95.5", "about 95", "value", id="no number"),
        pytest.param("emergency_admissions", "emergencies", "the id of a metric", id="a metric there is not"),
        pytest.param('"for 1,000 people"', "for 1,000 people", "13 cells; found 14", id="a comma without quotes"),
    ],
)
def test_a_line_that_does_not_hold_is_named_by_its_number_and_not_its_values(tmp_path, old, new, said):
    assert old in GOOD
    path = write(tmp_path, GOOD, GOOD.replace(old, new).replace("E92000001", "E92000002"))
    with pytest.raises(SettingsError) as caught:
        read_comparators(path, metrics={"emergency_admissions"})
    message = str(caught.value)
    assert "comparators.csv, line 3" in message and said in message and "line 2" not in message
    assert "E92000002" not in message and "about 95" not in message


def test_a_figure_twice_and_another_header_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="each figure once"):
        read_comparators(write(tmp_path, GOOD, GOOD))
    with pytest.raises(SettingsError, match="the columns metric"):
        read_comparators(write(tmp_path, GOOD, header=HEADER.replace("metric", "indicator")))


def test_the_command_counts_what_is_shown_and_not_compared_and_refuses_a_metric_there_is_not(tmp_path):
    other = GOOD.replace("true", "false").replace("2026-09-01", "2026-10-01")
    done = CliRunner().invoke(app, ["comparators", "check", str(write(tmp_path, GOOD, other))])
    assert done.exit_code == 0 and "2 figures can be read, 1 of them of another definition" in done.output
    wrong = write(tmp_path, GOOD.replace("emergency_admissions", "no_such_metric"))
    assert CliRunner().invoke(app, ["comparators", "check", str(wrong)]).exit_code != 0


def test_the_settings_name_the_file_of_figures(tmp_path):
    write(tmp_path, GOOD)
    settings = tmp_path / "settings.yaml"
    settings.write_text("source: synthea\nextracts: x\nout: y\ncomparators: comparators.csv\n", encoding="utf-8")
    found = load_settings(
        settings, environment={}, overrides={}, today=date(2026, 11, 2), synthetic_sources=frozenset({"synthea"})
    )
    assert [each.value for each in found.comparators] == [95.5]
    assert found.approved["comparators"][0]["published_date"] == "2026-09-01"
