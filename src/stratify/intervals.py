"""Intervals of shares and rates, of 95 % unless another is asked for, as English public health publishes them.

Wilson for shares, Byar for counts of events, Dobson's for standardised rates: E. B. Wilson 1927, J Am Stat Assoc
22:209; N. E. Breslow and N. E. Day 1987, IARC 82, eq. 2.10; A. J. Dobson 1991, Stat Med 10:457. Pure arithmetic.
"""

from __future__ import annotations

import math

Z = 1.959963984540054
"""Of a standard normal variable, 2.5 % lie above."""


def wilson(part: float, whole: float, z: float = Z) -> tuple[float, float]:
    """Give the interval of a share, as a part of 1.

    Args:
        part: People who have it.
        whole: All people, above 0.
        z: Of a standard normal variable; another one gives another interval than that of 95 %.
    """
    share = part / whole
    centre = share + z**2 / (2 * whole)
    half = z * math.sqrt(share * (1 - share) / whole + z**2 / (4 * whole**2))
    scale = 1 + z**2 / whole
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def byar(count: float) -> tuple[float, float]:
    """Give the interval of a number of events."""
    low = count * (1 - 1 / (9 * count) - Z / (3 * math.sqrt(count))) ** 3 if count else 0.0
    high = (count + 1) * (1 - 1 / (9 * (count + 1)) + Z / (3 * math.sqrt(count + 1))) ** 3
    return max(0.0, low), high


def dobson(rate: float, variance: float, count: float) -> tuple[float, float]:
    """Give the interval of a directly standardised rate.

    Args:
        rate: The rate.
        variance: Its variance: over all strata, weight squared times events over people squared.
        count: Events in all strata together, above 0.
    """
    low, high = byar(count)
    scale = math.sqrt(variance / count)
    return max(0.0, rate + scale * (low - count)), rate + scale * (high - count)
