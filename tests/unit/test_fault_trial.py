"""What a trial of one fault calls as it should be, and what falls short."""

from __future__ import annotations

from typing import Any

import pytest

from stratify.fault_trial import Trial, report
from stratify.synth.faults import FAULTS


@pytest.mark.parametrize(
    ("fault", "what_happened", "falls_short"),
    [
        pytest.param("F2", {"refusal": "no rows"}, False, id="a_file_refused_with_the_run"),
        pytest.param("F2", {}, True, id="a_file_read_that_should_not_be"),
        pytest.param("F2", {"is_left_out": True, "touched": {"copd missed": 3}}, False, id="a_feed_refused_alone"),
        pytest.param("C2", {"held": {"copd": 7}}, False, id="lists_held_that_should_be"),
        pytest.param("D3", {"held": {"copd": 7}}, True, id="lists_held_for_a_value_set_aside"),
        pytest.param("D3", {}, False, id="a_value_set_aside"),
        pytest.param("D3", {"refusal": "stopped"}, True, id="a_run_stopped_for_a_value"),
        pytest.param("C2", {"untouched": {"frailty missed": 1}}, True, id="others_differ"),
    ],
)
def test_what_falls_short(fault: str, what_happened: dict[str, Any], falls_short: bool) -> None:
    trial = Trial(FAULTS[fault], 1.0, rows=3, people=2, **what_happened)
    assert trial.falls_short is falls_short
    assert ("**falls short**" in report([trial], people=100, seed=1)) is falls_short


def test_a_trial_says_what_was_left_out_and_whose_lists_are_held() -> None:
    left_out = Trial(FAULTS["F2"], 1.0, is_left_out=True, held={"copd": 7})
    assert left_out.verdict == (
        "The file was refused, and the run finished with what came of its feed before; lists held: copd 7 people; "
        "everybody else is as the truth says."
    )
