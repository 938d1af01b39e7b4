"""The oracle on residents of care homes made by hand: which of them the round is for, and why."""

from __future__ import annotations

import pytest
from test_synth_oracle import conclude, entry, episode, person, route

from stratify.synth import clinical_codes as codes

HOME, PLAN = codes.CARE_HOME_NURSING.code, codes.CARE_PLAN_AGREED.code


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        pytest.param({"events": [entry(HOME, "2026-01-05")]}, "no_plan", id="no plan"),
        pytest.param({"events": [entry(HOME, "2026-01-05"), entry(PLAN, "2025-11-02")]}, "resident", id="12 months"),
        pytest.param({"events": [entry(HOME, "2026-01-05"), entry(PLAN, "2025-11-01")]}, "no_plan", id="a day more"),
        pytest.param({"events": [entry(HOME, "2026-10-03")]}, "moved_or_came_back", id="moved in 30 days ago"),
        pytest.param({"events": [entry(HOME, "2026-10-02")]}, "no_plan", id="moved in 31 days ago"),
        pytest.param(
            {"events": [entry(HOME, "2025-01-05"), entry(HOME, "2026-10-20")]}, "no_plan", id="coded again, not moved"
        ),
        pytest.param(
            {"events": [entry(HOME, "2026-01-05")],
             "episodes": [{**episode("2026-09-28", "J181", method="11"), "discharge_date": "2026-10-03"}]},
            "moved_or_came_back", id="left hospital 30 days ago, a planned stay too",
        ),
        pytest.param(
            {"events": [entry(HOME, "2026-01-05")],
             "episodes": [{**episode("2026-09-28", "J181"), "discharge_date": "2026-10-02"}]},
            "no_plan", id="left hospital 31 days ago",
        ),
        pytest.param(
            {"events": [entry(HOME, "2026-01-05"), entry(codes.PALLIATIVE_CARE.code, "2026-01-05")]}, "palliative",
            id="palliative care first",
        ),
        pytest.param({"events": [entry(HOME, "2024-11-01")]}, None, id="not renewed in 24 months"),
        pytest.param({"events": []}, None, id="at home"),
    ],
)  # fmt: skip
def test_the_route_of_residents_of_care_homes(changes, rule):
    answers = conclude(person(**changes))
    assert answers.get("care_homes_rule") == rule


def test_residents_who_died_are_excluded_and_younger_ones_are_residents_too():
    events = [entry(HOME, "2026-01-05")]
    dead = conclude(person(events=events, patient={"date_of_death": "2026-10-01"}))
    assert dead["care_homes_decision"] == "excluded"
    young = conclude(person(events=events, patient={"date_of_birth": "1980-03-01"}))
    assert route(young, "care_homes") == ("clinic", "care_home_round", "no_plan")
