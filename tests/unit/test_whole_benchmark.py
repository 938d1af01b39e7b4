"""What the benchmark of whole runs says of its figures; nothing is timed here."""

import pytest
from benchmarks import whole
from benchmarks.measuring import Run


def _run(job, *, wall, cpu):
    return Run(job, wall_seconds=wall, cpu_seconds=cpu, peak_mb=500, written_mb=10, stages={})


def test_a_cost_that_grows_four_times_as_people_double_grows_with_their_square():
    assert whole.exponent({1_000: 3.0, 2_000: 12.0, 4_000: 48.0}) == pytest.approx(2.0)
    assert whole.exponent({1_000: 3.0, 10_000: 30.0}) == pytest.approx(1.0)
    assert whole.exponent({1_000: 3.0}) is None


def test_growth_shows_each_size_beside_the_bare_script_and_draws_both():
    """At 1,000 people 30 / 10 s of CPU are 3 times, at 10,000 200 / 100 are 2; from 30 to 200 is the power 0.82."""
    kept = {
        10_000: {whole.BARE: _run("b", wall=60, cpu=100), whole.RUN: _run("r", wall=150, cpu=200)},
        1_000: {whole.BARE: _run("b", wall=6, cpu=10), whole.RUN: _run("r", wall=24, cpu=30)},
    }
    table, plot = whole.growth(kept)
    rows = [line for line in table.splitlines() if line.startswith("| 1")]
    assert [row.split(" | ")[0] for row in rows] == ["| 1,000", "| 10,000"]
    assert rows[0].endswith("| 4.00 | 3.00 |") and rows[1].endswith("| 2.50 | 2.00 |")
    assert "bare reference script: CPU grows with people to the power 1.00." in table
    assert "stratify run: CPU grows with people to the power 0.82." in table
    assert plot.startswith("<svg") and plot.count("<path") + plot.count("<polyline") >= 2
