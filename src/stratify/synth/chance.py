"""Chance for the synthetic county: an independent generator for each practice and topic.

What one topic draws never moves what another draws, and a practice comes out the same whoever else is in the county.
"""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["generator"]

WHOLE_COUNTY = -1
"""Stands for the practice number where a draw is the county's and not a practice's."""


def generator(seed: int, practice_number: int, topic: str, *more: int) -> np.random.Generator:
    """Give the generator of one topic.

    Args:
        seed: The county's seed, 0 or more.
        practice_number: Number of the practice, or ``WHOLE_COUNTY``.
        topic: What is drawn, in a word: ``people``, ``spells``.
        more: Further numbers of 0 or more that tell draws of a topic apart: a week, a fault.
    """
    # The count stands before them, for a seed sequence does not tell a last nought from none.
    entropy = [seed, practice_number + 1, zlib.crc32(topic.encode()), len(more), *more]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
