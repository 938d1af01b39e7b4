"""When an extract of the synthetic county first shows something, and which versions of a row anybody ever sees."""

from __future__ import annotations

import numpy as np

from stratify.synth.columns import Flags, Ints
from stratify.synth.world import County

FOR_GOOD = 10**7
"""Stands for the day of the next version where there is none; later than ``columns.NEVER``."""


def known_after(day: Ints, least: int, most: int, rng: np.random.Generator, *, late: float = 0.03) -> Ints:
    """Draw the day on which an extract first shows what happened on a day.

    Args:
        day: When it happened, or was finished.
        least: Fewest days until it is known.
        most: Most days.
        rng: The generator of the topic.
        late: Share that is known weeks or months later still.
    """
    count = len(day)
    more = np.where(rng.random(count) < late, rng.integers(20, 150, count), 0)
    known: Ints = day + rng.integers(least, most + 1, count) + more
    return known


def are_shown(county: County, known: Ints, next_known: Ints) -> Flags:
    """Say which versions any extract shows: known at a cutoff, and the next version not yet."""
    cutoffs = np.array([*county.cutoff_days, FOR_GOOD * 10])
    first = cutoffs[np.searchsorted(cutoffs, known, side="left")]
    shown: Flags = (first <= county.last_day) & (first < next_known)
    return shown
