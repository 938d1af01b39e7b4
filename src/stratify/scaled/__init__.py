"""Past one machine: the work that is per person, cut into buckets of people, or done by a cluster.

Belongs here: what is cut, how a bucket is worked out, and how its results are put in place and gathered. Does not
belong: what is worked out (``reckoning`` and below), and Prefect's tasks over buckets (``flows.on_dask``).
"""

from __future__ import annotations

from stratify.scaled.buckets import (
    RESULTS,
    Spread,
    Work,
    cut,
    gather,
    gather_decisions,
    one_after_another,
    work_bucket,
    work_everybody,
    work_of,
)

__all__ = [
    "RESULTS",
    "Spread",
    "Work",
    "cut",
    "gather",
    "gather_decisions",
    "one_after_another",
    "work_bucket",
    "work_everybody",
    "work_of",
]
