"""No definition changes under the same version, and what is written down of the versions is up to date."""

from __future__ import annotations

import dataclasses
import json

import pytest

from invented import codelist, rule_book, score, variable
from stratify.errors import RuleError
from stratify.rule_versions import changes, check_versions, history_of, versions_of, write_versions


def _book(*, version="1.0.0", points=2, lookback_months=12, label="Flare-ups", codes=("F",)):
    return rule_book(
        codelists=[codelist("flare", "snomed_ct", list(codes))],
        variables=[
            variable("has_flare", "has", {"event": "flare"}, lookback_months=lookback_months, label=label),
        ],
        scores=[
            score(
                "need",
                version=version,
                points=[{"when": {"variable": "has_flare", "is_true": True}, "points": points}],
            ),
            score("other", points=[{"when": {"variable": "age_years", "at_least": 65}}]),
        ],
    )


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({"points": 3}, ["score need: CHANGED UNDER THE SAME VERSION 1.0.0"], id="its_own_points"),
        pytest.param({"lookback_months": 6}, ["score need: CHANGED UNDER THE SAME VERSION 1.0.0"], id="a_variable"),
        pytest.param({"codes": ("F", "G")}, ["codelist flare: CHANGED UNDER THE SAME VERSION 1"], id="a_codelist"),
        pytest.param({"points": 3, "version": "1.1.0"}, ["score need: version 1.0.0 → 1.1.0"], id="with_its_version"),
        pytest.param({"label": "Flare-ups of COPD"}, [], id="the_words_of_a_variable"),
    ],
)
def test_what_counts_as_a_change(changed, expected):
    assert [each.in_words() for each in changes(versions_of(_book()), versions_of(_book(**changed)))] == expected


def test_a_changed_definition_under_the_same_version_fails_the_check_and_is_not_written_over(tmp_path):
    file = tmp_path / "versions.json"
    write_versions(_book(), file)
    before = file.read_bytes()
    for attempt in (check_versions, write_versions):
        with pytest.raises(RuleError, match=r"score need: expected a new version .*clinical/scores/need\.yaml"):
            attempt(_book(points=3), file)
    assert file.read_bytes() == before


def test_a_file_that_lacks_a_new_version_is_out_of_date_until_it_is_written(tmp_path):
    file = tmp_path / "versions.json"
    write_versions(_book(), file)
    raised = _book(points=3, version="1.1.0")
    with pytest.raises(RuleError, match=r"1 that differ: score need: version 1\.0\.0 → 1\.1\.0.*rules versions"):
        check_versions(raised, file)
    write_versions(raised, file)
    assert check_versions(raised, file) == "No definition differs."


def test_versions_that_were_replaced_are_kept_and_never_used_for_something_else(tmp_path):
    file = tmp_path / "versions.json"
    for points, version in ((2, "1.0.0"), (3, "1.1.0"), (4, "1.2.0")):
        write_versions(_book(points=points, version=version), file)
    assert history_of(file)["scores"] == {"need": ("1.0.0", "1.1.0"), "other": ()}
    with pytest.raises(RuleError, match=r"score need: expected a version that was never .*1\.0\.0 a second time"):
        write_versions(_book(points=5, version="1.0.0"), file)


def test_a_new_and_a_removed_definition_are_told():
    whole, part = _book(), _book()
    part = dataclasses.replace(part, scores={"need": part.scores["need"]})
    assert [each.in_words() for each in changes(versions_of(whole), versions_of(part))] == [
        "score other: taken away, was version 1.0.0"
    ]
    assert [each.in_words() for each in changes(versions_of(part), versions_of(whole))] == [
        "score other: new, version 1.0.0"
    ]


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"scores": {}}), "no JSON"])
def test_another_file_is_refused(tmp_path, text):
    file = tmp_path / "versions.json"
    file.write_text(text)
    with pytest.raises(RuleError, match="a clinical folder, or a file of versions"):
        check_versions(_book(), file)
