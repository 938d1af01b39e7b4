"""A run whose work per person is spread over buckets publishes what one that is not spread does, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

import whole_runs
from whole_runs import refusal, same_files, settings_file, stratify

DAY = "2026-11-02"


@pytest.fixture(scope="module")
def extracts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("spread") / "extracts"
    made = stratify("synth", "--out", folder, "--people", 200, "--practices", 2, "--workers", 1, "--index-date", DAY)
    assert made.exit_code == 0, made.output
    return folder


@pytest.mark.slow
def test_a_run_in_buckets_publishes_the_same(extracts, tmp_path):
    spreads = {"at_once": None, "in_buckets": {"engine": "duckdb", "buckets": 3}}
    for name, spread in spreads.items():
        file = settings_file(tmp_path / f"settings_{name}", extracts, tmp_path / name, spread=spread)
        with whole_runs.counted_plainly():
            done = stratify("run", "--settings", file, "--index-date", DAY)
        assert done.exit_code in (0, 10), done.output + done.stderr
    same_files(*(tmp_path / name / "published" for name in spreads))
    assert not list((tmp_path / "in_buckets").rglob("bucket=*")), "what workers read is gone with the run"


@pytest.mark.parametrize(
    ("spread", "words"),
    [
        pytest.param({"engine": "spark"}, "needs a scheduler", id="spark_nowhere"),
        pytest.param({"buckets": 0}, "spread.buckets", id="no_bucket"),
        pytest.param({"engine": "ray", "scheduler": "ray://x"}, "spread.engine", id="another_engine"),
    ],
)
def test_a_spread_that_cannot_be_is_refused_before_anything_is_read(tmp_path, spread, words):
    file = settings_file(tmp_path, tmp_path / "nothing", tmp_path / "out", spread=spread)
    assert words in refusal(stratify("run", "--settings", file), 2)


def test_plug_ins_are_not_spread(tmp_path):
    given = {"qrisk3": {"function": "our_qrisk:risk", "version": "1"}}
    file = settings_file(tmp_path, tmp_path / "nothing", tmp_path / "out", spread={}, plug_ins=given)
    assert "cannot be spread" in refusal(stratify("run", "--settings", file), 2)
