"""The safety documents: what they are made from, what they claim of test results, and what they leave open."""

from __future__ import annotations

import re

import pytest
from tests.documentation import ROOT

from stratify import contracts, data_flows, safety_case, safety_pages
from stratify.errors import ContractError
from stratify.evidence import read_results, state_of
from stratify.hazards import load_hazards
from stratify.privacy import PrivacyPolicy
from stratify.rulebook import load_rule_book
from stratify.settings import Settings

NAMED = load_hazards()[0].tests


@pytest.fixture(scope="module")
def pages():
    return safety_pages.pages()


def _results(tmp_path, cases):
    file = tmp_path / "results.xml"
    file.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>", encoding="utf-8")
    return read_results(file)


def _case(test, inside="", case=""):
    path, _, name = test.partition("::")
    return f'<testcase classname="{path[:-3].replace("/", ".")}" name="{name}{case}">{inside}</testcase>'


def test_one_failed_case_of_a_test_fails_it_and_a_test_nobody_ran_was_not_passed(tmp_path):
    passed, failed = NAMED[:2]
    results = _results(
        tmp_path,
        _case(passed) + _case(failed, case="[a]") + _case(failed, "<failure/>", "[b]") + _case(failed, case="[c]"),
    )
    assert state_of(passed, results) == "passed"
    assert state_of(failed, results) == "FAILED"
    assert state_of(load_hazards()[1].tests[0], results) == "NOT RUN"
    assert state_of(passed, None) == "results not given"


@pytest.mark.parametrize("text", ["", "<testsuites/>", "no xml at all", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>"])
def test_a_file_that_says_nothing_of_any_test_is_refused(tmp_path, text):
    (tmp_path / "results.xml").write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match=r"results\.xml: expected the results of a test run"):
        read_results(tmp_path / "results.xml")


def test_the_safety_case_claims_of_tests_only_what_the_results_say(tmp_path, pages):
    book = load_rule_book()
    named = {test for each in load_hazards() for test in each.tests}
    assert "No test results were given for this copy" in pages["safety-case.md"]
    assert " passed" not in pages["safety-case.md"]
    told = safety_case.page(book, _results(tmp_path, _case(NAMED[0]) + _case(NAMED[1], "<skipped/>")))
    assert f"Of {len(named)} tests that hazards name, 1 passed in the results given." in told
    assert f"| `{NAMED[0]}` | passed |" in told and f"| `{NAMED[1]}` | SKIPPED |" in told
    assert told.count("| NOT RUN |") == len(named) - 2


def test_the_safety_case_has_the_headings_of_the_standard_and_nobodys_signature(pages):
    headings = re.findall(r"^## \d+\. (.+)$", pages["safety-case.md"], flags=re.MULTILINE)
    assert headings == [
        "Introduction", "System", "Clinical risk management", "Clinical risk analysis", "Clinical risk evaluation",
        "Clinical risk control", "Hazard log", "Test results", "Summary safety statement",
        "Quality assurance and approval", "Configuration control",
    ]  # fmt: skip
    assert "| Clinical Safety Officer |  |  |  |" in pages["safety-case.md"]
    assert pages["safety-case.md"].count(safety_case.TO_SAY) == 4


def test_a_rating_grows_with_severity_and_with_likelihood():
    """Major and low is 3, and so is major and medium; catastrophic and very high is the most there is."""
    hazard = load_hazards()[0]
    assert safety_case.rating(hazard.model_copy(update={"severity": "major", "likelihood": "low"})) == 3
    assert safety_case.rating(hazard.model_copy(update={"severity": "major", "likelihood": "medium"})) == 3
    assert safety_case.rating(hazard.model_copy(update={"severity": "catastrophic", "likelihood": "very high"})) == 5
    assert safety_case.rating(hazard.model_copy(update={"severity": "minor", "likelihood": "very low"})) == 1
    rows = list(safety_case._RATINGS.values())
    assert all(list(row) == sorted(row) for row in rows)
    assert all(list(column) == sorted(column, reverse=True) for column in zip(*rows, strict=True))


def test_every_table_that_comes_in_is_in_one_flow_of_data():
    named = [table for each in data_flows.load_flows().inputs for table in each.tables]
    assert sorted(named) == sorted(name.partition(".")[2] for name in contracts.names("landing"))


def test_nobody_is_said_to_be_in_what_has_restricted_columns():
    for each in data_flows.load_flows().inputs:
        restricted = [
            column.name
            for table in each.tables
            for column in contracts.load(f"landing.{table}").columns
            if column.classification == "restricted"
        ]
        assert bool(restricted) == (each.is_about == "people"), each.flow


def test_every_place_that_the_privacy_page_names_is_among_what_becomes_of_data():
    text = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8").split("## What is in each file")[1]
    told = " ".join(each.path for each in data_flows.load_flows().outputs)
    for path in re.findall(r"^\| `([a-z]+/[a-z_]+)", text, flags=re.MULTILINE):
        folder, name = path.split("/")
        assert folder in told and (folder not in ("published", "runs") or name in told or "building" in told), path


def test_of_a_deployment_its_own_settings_are_told(tmp_path):
    policy = PrivacyPolicy(
        purpose="case_finding",
        type_1="exclude",
        national="exempt",
        local="exclude",
        approval_reference="CAG 1 of a test",
    )
    settings = Settings(
        extracts=tmp_path,
        source="canonical",
        out=tmp_path,
        index_date="2026-11-02",
        privacy=policy,
        organisation="A board",
    )
    text = data_flows.page(settings)
    assert "**Purpose of the run**: `case_finding`. Approval: CAG 1 of a test." in text
    assert "Type 1 exclude, national exempt, local exclude." in text and "this is the software as it comes" not in text


def test_every_score_has_its_purpose_its_kind_and_its_licence(pages):
    book = load_rule_book()
    text = pages["intended-purpose.md"]
    for score in book.scores.values():
        section = text.split(f"\n## {score.label}\n")[1].split("\n## ")[0]
        assert "- **What it is**: " in section and f"- **Licence**: {score.licence}" in section
        assert f"(../rules/scores/{score.id}.md)" in section
    assert "Read by published pathways**: COPD" in text.split("\n## COPD priority group\n")[1].split("\n## ")[0]


def test_the_public_record_counts_the_kinds_of_scores_and_leaves_to_the_site_what_is_its_own(pages):
    text = pages["algorithmic-transparency.md"]
    scores, plain, recorded, predictions = map(
        int,
        re.search(
            r"(\d+) scores: (\d+) plain visible rules, (\d+) recorded by others, (\d+) predictions", text
        ).groups(),
    )
    assert scores == len(load_rule_book().scores) == plain + recorded + predictions and min(plain, recorded) > 0
    assert "senior responsible owner, suppliers and their access to data**: *To be filled in.*" in text


def test_a_page_that_is_out_of_date_is_found_and_named(tmp_path):
    found = {"a.md": "one\n", "b.md": "two\n"}
    assert safety_pages.write(tmp_path, found) == "2 pages are written."
    assert safety_pages.write(tmp_path, found, check_only=True) == "2 pages are up to date."
    (tmp_path / "b.md").write_text("changed\n", encoding="utf-8")
    with pytest.raises(ContractError, match=r"something else in b\.md"):
        safety_pages.write(tmp_path, found, check_only=True)
    assert (tmp_path / "b.md").read_text(encoding="utf-8") == "changed\n"
