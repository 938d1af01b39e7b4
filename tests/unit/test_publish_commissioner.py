"""Counts for commissioners: who is counted where, what is hidden, and that the file holds nobody."""

from __future__ import annotations

import json
import re
from datetime import date

import duckdb
import pytest
from publish_example import INDEX_DATE, context, outcome, person, small_run

from stratify.metric_run import counted
from stratify.publish import build_counts, write_commissioner_file, write_manifest
from stratify.publish.commissioner import TABLES
from stratify.rulebook import load_rule_book

BOOK = load_rule_book()


def build(store, run):
    build_counts(store, run, counted(store, (), run, BOOK), signature="Not signed")


def county():
    """Three practices of one network, half of each in the most deprived fifth and half in the least,
    and half of those each sex.

    600, 40 and 520 people; 50, 20 and 15 are offered self-management for COPD, and 10 of the first are to be assessed.
    """
    sizes = {"A81001": range(600), "A81002": range(600, 640), "A81003": range(640, 1160)}
    people = [
        person(
            n,
            imd_decile=1 if n % 2 else 10,
            sex="FFMM"[n % 4],
            age_years=(30, 30, 76, 76)[n % 4],
            ethnic_category="AAHH"[n % 4],
            practice_code=code,
        )
        for code, numbers in sizes.items()
        for n in numbers
    ]
    people += [person(2000, person_status="died", practice_code=None), person(2001, may_be_counted=False)]
    people += [person(2002, practice_code="Z99999", pcn_code=None, person_status="practice_unknown")]
    offered = [*range(50), *range(600, 620), *range(640, 655)]
    outcomes = [outcome(n, "offered", "self_management", tier="LR") for n in offered]
    outcomes += [outcome(n, "listed", "assessment", tier=None) for n in range(50, 60)]
    outcomes += [outcome(n, "not_listed", "excluded", practice_code=None) for n in (2000, 2001, 2002)]
    return people, outcomes


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("county")
    people, outcomes = county()
    with small_run(folder, people=people, outcomes=outcomes) as store:
        build(store, context())
        write_commissioner_file(store, folder / "out", context())
    with duckdb.connect(str(folder / "out" / "commissioner.duckdb"), read_only=True) as connection:
        yield connection


def population(published, kind, code, value="all"):
    return published.execute(
        "SELECT people_count, is_suppressed FROM population WHERE geography_type = ? AND geography_code = ? "
        "AND breakdown_value = ?",
        [kind, code, value],
    ).fetchone()


def pathway_count(published, decision, tier, kind, code, value="all"):
    return published.execute(
        "SELECT people_count, is_suppressed FROM pathway_count WHERE pathway = 'copd' AND decision = ? AND tier = ? "
        "AND geography_type = ? AND geography_code = ? AND breakdown_value = ?",
        [decision, tier, kind, code, value],
    ).fetchone()


def test_population_counts_registered_people_who_may_be_counted(published):
    # Who died, who objected, and who is of a practice nobody knows are not counted: 600 + 40 + 520 = 1160.
    assert population(published, "icb", "QXX") == (1160, False)
    assert population(published, "pcn", "U10001") == (1160, False)
    assert population(published, "practice", "A81001") == (600, False)
    assert population(published, "practice", "A81001", "1") == (300, False)
    assert population(published, "practice", "A81001", "5") == (300, False)
    assert population(published, "practice", "Z99999") is None


def test_a_practice_below_500_has_its_total_and_no_breakdown(published):
    assert population(published, "practice", "A81002") == (40, False)
    assert population(published, "practice", "A81002", "5") == (None, True)


def test_the_breakdown_of_a_small_practice_cannot_be_had_by_subtraction(published):
    # 580 of the network less 300 and 260 would be the 20: the smaller of the two, 260, is hidden with it.
    assert population(published, "pcn", "U10001", "1") == (580, False)
    assert population(published, "practice", "A81003", "1") == (None, True)
    assert population(published, "practice", "A81003") == (520, False)


def test_pathway_counts_go_by_decision_and_tier(published):
    assert pathway_count(published, "all", "all", "icb", "QXX") == (95, False)
    assert pathway_count(published, "all", "all", "practice", "A81001") == (60, False)
    assert pathway_count(published, "self_management", "LR", "practice", "A81001") == (50, False)
    assert pathway_count(published, "assessment", "not graded", "practice", "A81001") == (10, False)
    assert pathway_count(published, "all", "LR", "pcn", "U10001") == (85, False)


def test_excluded_people_who_died_or_objected_are_not_counted(published):
    assert pathway_count(published, "excluded", "all", "icb", "QXX") is None


def test_places_have_names_and_rows_say_which_run(published):
    row = published.execute(
        "SELECT DISTINCT geography_name, index_date, run_id FROM population WHERE geography_code = 'A81001'"
    ).fetchall()
    assert row == [("Practice 1", INDEX_DATE, "run-1")]


def test_no_number_from_1_to_7_and_none_unrounded(published):
    for table in ("population", "pathway_count"):
        wrong = f"SELECT count(*) FROM {table} WHERE people_count BETWEEN 1 AND 7 OR people_count % 5 <> 0"
        assert published.execute(wrong).fetchone() == (0,)
        odd = f"SELECT count(*) FROM {table} WHERE is_suppressed <> (people_count IS NULL)"
        assert published.execute(odd).fetchone() == (0,)


def test_the_file_has_its_tables_with_a_comment_on_each_and_on_every_column(published):
    tables = dict(published.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
    assert sorted(f"out.{name}" for name in tables) == sorted(TABLES)
    assert all("TEST" in text and "run-1" in text for text in tables.values())
    bare = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
    assert published.execute(bare).fetchall() == []


def test_nobody_can_be_found_in_the_file(published):
    columns = published.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
    ).fetchall()
    assert not {name for _, name, _ in columns} & {"patient_key", "nhs_number", "family_name", "date_of_birth"}
    for table, column, kind in columns:
        if kind == "VARCHAR":
            for (value,) in published.execute(f'SELECT DISTINCT "{column}" FROM {table}').fetchall():
                assert not re.search(r"\d{10}|\d{3} \d{3} \d{4}|\b[0-9a-f]{32}\b|Family\d", value or "")


def test_the_file_is_read_only(published):
    with pytest.raises(duckdb.Error):
        published.execute("DELETE FROM population")


def test_about_says_what_was_used_who_is_not_counted_and_what_the_limits_are(published):
    about = {topic[3:]: detail for topic, detail in published.execute("SELECT * FROM about").fetchall()}
    assert about["TEST"].startswith("Invented patients")
    assert about["Index date"].startswith("23 November 2026")
    assert about["Data up to"] == "Hospital admissions: 31 October 2026; GP record: entries: 21 November 2026"
    assert "fewer than 8 people: Type 1 opt-out" in about["Who is not counted"]
    assert "fewer than 8 people: registered with a practice that the" in about["Who is not counted"]
    assert "version 1.1.0" in about["Pathway copd"] and "HR = Group 2, high risk" in about["Pathway copd"]
    assert "1 to 7 are hidden" in about["Disclosure control"]
    assert "the clinician decides" in about["Known limits"]
    assert "0.1.0" in about["How to cite"]


def test_after_boards_merged_counts_are_of_the_board_of_the_day_and_networks_keep_their_names(tmp_path):
    """River was of QAA until June; nothing is left of that board, and no place is without a name or twice."""
    people, outcomes = county()
    with small_run(tmp_path, people=people, outcomes=outcomes) as store:
        store.execute("CREATE TEMP TABLE was AS FROM core.practice")
        store.execute("UPDATE was SET icb_code = 'QAA', pcn_name = 'Old River', valid_to = DATE '2026-07-01'")
        store.execute("UPDATE core.practice SET valid_from = DATE '2026-07-01'")
        store.execute("INSERT INTO core.practice BY NAME FROM was")
        build(store, context())
        places = store.rows(
            "SELECT geography_type, geography_code, geography_name FROM out.population "
            "WHERE breakdown = 'all' AND geography_type <> 'practice' ORDER BY ALL"
        )
    assert [each[:2] for each in places] == [("icb", "QXX"), ("pcn", "U10001")]
    assert places[1][2] == "River"


def test_a_real_run_is_not_stamped(tmp_path):
    with small_run(tmp_path) as store:
        build(store, context(is_test=False))
        assert store.scalar("SELECT count(*) FROM out.about WHERE topic LIKE '%TEST%' OR detail LIKE '%TEST%'") == 0


def test_about_says_where_a_pathway_is_off_and_nothing_of_a_draft(tmp_path):
    off = frozenset({("copd", "A81001"), ("heart_failure", "A81001")})
    run = context(off=off, pathways=load_rule_book().published)
    assert "heart_failure" not in run.pathways
    with small_run(tmp_path) as store:
        build(store, run)
        topics = [topic for (topic,) in store.rows("SELECT topic FROM out.about WHERE topic LIKE '%switched on%'")]
    assert [each[3:] for each in topics] == ["Not switched on everywhere: copd"]


def test_a_run_with_nobody_on_a_pathway_has_empty_counts(tmp_path):
    with small_run(tmp_path, outcomes=[]) as store:
        build(store, context())
        assert store.scalar("SELECT count(*) FROM out.pathway_count") == 0
        assert store.scalar("SELECT count(*) FROM out.population") > 0


def test_the_manifest_is_sorted_indented_and_ends_with_a_newline(tmp_path):
    write_manifest(tmp_path / "a" / "run_manifest.json", {"b": date(2026, 1, 5), "a": {"z": 1, "é": [2]}})
    text = (tmp_path / "a" / "run_manifest.json").read_text(encoding="utf-8")
    assert text == '{\n  "a": {\n    "z": 1,\n    "é": [\n      2\n    ]\n  },\n  "b": "2026-01-05"\n}\n'
    assert json.loads(text)["b"] == "2026-01-05"
