"""docs/sources.md, followed to the letter: its files and its declaration, from a folder to a list."""

import re
from pathlib import Path

import pytest

from stratify.declarations import Condition, LookUp, Value
from whole_runs import counted_plainly, refusal, settings_file, stratify, working_store

GUIDE = Path(__file__).parents[2] / "docs" / "sources.md"
PRIVACY = {"purpose": "direct_care", "type_1": "exclude", "national": "exclude", "local": "exclude"}


@pytest.fixture
def written(tmp_path):
    """The files of the guide, each as its block is headed: extracts in one folder, the declaration beside it."""
    blocks = re.findall(
        r"^```(?:csv|yaml) (\S+)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) == 4
    (tmp_path / "extracts").mkdir()
    for name, text in blocks:
        (tmp_path / ("extracts" if name.endswith(".csv") else ".") / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_guide_leads_to_a_run(written):
    settings = settings_file(
        written,
        written / "extracts",
        written / "out",
        source="larkfield.yaml",
        index_date="2026-01-05",
        privacy=PRIVACY,
    )
    with counted_plainly():
        done = stratify("run", "--settings", settings)
    assert done.exit_code == 0, done.output
    assert "2 people" in done.stdout
    with working_store(written / "out", written / "scratch") as store:
        files = store.rows(
            "SELECT file_name, table_name, received_count, rejected_count, period_to::VARCHAR FROM "
            "audit.source_file WHERE NOT starts_with(file_name, '(') ORDER BY ALL"
        )
        values = store.rows("SELECT value_canonical, unit_raw, source_row FROM core.gp_observation ORDER BY source_row")
    assert files == [
        ("journal_20260104.csv", "gp_event", 2, 0, "2026-01-04"),
        ("journal_20260104.csv", "gp_medication", 1, 0, "2026-01-04"),
        ("journal_20260104.csv", "gp_observation", 2, 0, "2026-01-04"),
        ("people_20260104.csv", "patient", 2, 0, "2026-01-04"),
        ("people_20260104.csv", "registration", 2, 0, "2026-01-04"),
    ]
    # results on lines 3 and 5 of the journal, in the words of the source brought to percent
    assert values == [(41.0, "%", 3), (82.0, "%", 5)]


def test_the_folder_of_the_guide_fits_its_declaration_alone(written):
    done = stratify("source", "check", written / "extracts", "--source", written / "larkfield.yaml")
    assert done.exit_code == 0, done.output
    assert "schema version: 1 in 3 files" in done.stdout
    assert stratify("source", "check", written / "extracts").exit_code == 3


def test_a_declaration_that_is_wrong_stops_the_run_in_its_own_words(written):
    path = written / "larkfield.yaml"
    path.write_text(path.read_text().replace("family_name: Surname", "family_name: Surnam"))
    settings = settings_file(
        written,
        written / "extracts",
        written / "out",
        source="larkfield.yaml",
        index_date="2026-01-05",
        privacy=PRIVACY,
    )
    message = refusal(stratify("run", "--settings", settings), 2)
    assert "larkfield.yaml, people: expected columns of its first version; found none called Surnam" in message


def test_the_words_of_the_guide_are_those_of_the_language():
    text = GUIDE.read_text(encoding="utf-8")
    words = {name for model in (Value, Condition, LookUp) for name in model.model_fields}
    words |= {"form", "withdrawn", "left_out", "not_read", "includes", "canonical", "manifest", "derived", "stand_ins"}
    words |= {"unit_words", "not_supplied", "is_synthetic", "versions"}
    assert sorted(word for word in words if word not in text) == []
