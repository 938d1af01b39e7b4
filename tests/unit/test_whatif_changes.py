"""A file of changes: what each makes of the definitions, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from invented import pathway, rule_book, score, variable
from stratify import panel
from stratify.errors import RuleError, SettingsError
from stratify.rulebook import load_rule_book
from stratify.whatif_changes import Changes, changed_book, read_changes, read_loads


def _book():
    return rule_book(
        variables=[variable("flares", "count", {"event": "x"}), variable("points", "count", {"event": "x"})],
        scores=[
            score("need", tiers=[{"tier": "high", "label": "H", "when": {"variable": "flares", "at_least": 2}},
                                 {"tier": "low", "label": "L"}]),
            score("frailty", value_of="points", tiers=[{"tier": "severe", "label": "S", "above": 10},
                                                       {"tier": "fit", "label": "F", "at_most": 10}]),
        ],
        pathways=[
            pathway("lungs", cohort={"variable": "flares", "at_least": 1}, tier_from="need",
                    clinics=[{"id": "clinic", "label": "C", "roles": ["nurse"]}],
                    routes=[{"id": "worst", "when": {"score": "need", "tier_in": ["high"]}, "decision": "clinic",
                             "clinic": "clinic", "reason": "r"},
                            {"id": "rest", "decision": "self_management", "reason": "r"}])
        ],
    )  # fmt: skip


@pytest.fixture
def book(monkeypatch):
    monkeypatch.setattr("stratify.rulebook._unresolved", lambda *_: [])  # its codelists are not there
    return _book()


def _changed(book, *thresholds):
    return changed_book(book, read_changes(None, thresholds=thresholds))


def test_a_rule_of_a_tier_gets_another_edge_and_nothing_else_changes(book):
    changed = _changed(book, "{score: need, tier: high, variable: flares, at_least: 3}")
    assert changed.scores["need"].tiers[0].when.at_least == 3 and book.scores["need"].tiers[0].when.at_least == 2
    assert changed.scores["frailty"] is book.scores["frailty"] and changed.digest != book.digest


def test_an_edge_of_a_tier_moves_with_the_one_it_meets(book):
    tiers = _changed(book, "{score: frailty, tier: severe, above: 12}").scores["frailty"].tiers
    assert (tiers[0].above, tiers[1].at_most) == (12, 12)


def test_a_route_takes_other_tiers(book):
    changed = _changed(book, "{pathway: lungs, route: worst, tiers: [high, low]}")
    assert changed.pathways["lungs"].routes[0].when.tier_in == ("high", "low")


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        pytest.param("{score: nix, tier: high, variable: flares, at_least: 3}", "a score of the rule book", id="score"),
        pytest.param("{score: need, tier: nix, variable: flares, at_least: 3}", "a tier of that name", id="tier"),
        pytest.param("{score: need, tier: high, variable: flares, above: 3}", "found 0 of them", id="edge"),
        pytest.param("{score: frailty, tier: severe, below: 3}", "a tier with the edge below", id="no_such_edge"),
    ],
)
def test_a_threshold_that_is_not_there_is_refused(book, threshold, words):
    with pytest.raises(RuleError, match=words):
        _changed(book, threshold)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"thresholds": ("{score: need, tier: high}",)}, "one of below, at_most", id="no_edge"),
        pytest.param({"thresholds": ("{tier: high, at_least: 2}",)}, "a score and its tier", id="no_score"),
        pytest.param({"capacity": ("{clinic: c}",)}, "sessions_per_week or slots_per_week", id="no_capacity"),
        pytest.param({"switch_on": ("{pathway: p, week: 30}",)}, "less than or equal to 25", id="too_late"),
        pytest.param({"capacity": ("{clinic: c, slots: 3}",)}, "Extra inputs", id="unknown_word"),
        pytest.param({"capacity": ("{clinic: [",)}, "expected YAML", id="no_yaml"),
    ],
)
def test_what_is_no_change_is_refused(options, words):
    with pytest.raises(SettingsError, match=words):
        read_changes(None, **options)


def test_the_command_line_adds_to_the_file(tmp_path):
    file = tmp_path / "changes.yaml"
    file.write_text("title: More places\ncapacity:\n  - {clinic: a, slots_per_week: 3}\npathways: [new.yaml]\n")
    found = read_changes(file, capacity=("{clinic: b, sessions_per_week: 2, from_week: 4}",))
    assert [each.clinic for each in found.capacity] == ["a", "b"]
    assert found.pathways == (str(tmp_path / "new.yaml"),)  # beside the file
    assert "Capacity: b at each practice: 2 sessions a week from week 4" in found.in_words


def test_nothing_to_change_is_the_same_book(book):
    assert changed_book(book, Changes()) is book


def test_the_shipped_loads_name_clinics_of_the_shipped_pathways_and_say_where_from():
    clinics = {clinic.id for each in load_rule_book().pathways.values() for clinic in each.clinics}
    loads = read_loads(None)
    assert {each.clinic for each in loads} <= clinics and {each.source for each in loads} == {"assumed"}


def test_the_examples_of_the_guide_fit_the_shipped_definitions():
    docs = Path(__file__).parents[2] / "docs"
    changed = changed_book(load_rule_book(), read_changes(docs / "whatif.example.yaml"))
    when = changed.scores["copd_priority_group"].tiers[1].when
    assert [each.at_least for each in when.any_of if each.variable == "copd_exacerbations_count"] == [3]
    assert panel.Panel.model_validate(yaml.safe_load((docs / "panel.example.yaml").read_text())).questions
