"""Faults put into the synthetic county on purpose, by name and at a rate: all 56 of ``nhs-data.md`` §2.2.

A clean county has none of them. ``spoil_rows`` puts faults into one practice's rows and says beside it what a right
pipeline should read out of them; ``spoil_set`` acts on the bytes of a finished set. Opt-outs and clinic sessions are
never touched. What follows for a person belongs to ``oracle``, which concludes from what is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from stratify.synth.faults import coding, dates, identities, practices, records, values
from stratify.synth.faults.catalogue import FAULTS, REALISTIC, Fault, check_rates
from stratify.synth.faults.ground import TOUCH_SCHEMA, Ground, Scene, Site, Tables
from stratify.synth.faults.records import replaced_from
from stratify.synth.faults.sets import SetScene, spoil_set

__all__ = [
    "FAULTS", "REALISTIC", "TOUCH_SCHEMA", "Fault", "Scene", "SetScene", "Tables", "check_rates", "replaced_from",
    "spoil_rows", "spoil_set",
]  # fmt: skip

_SPOILERS: Mapping[str, Callable[[Site], None]] = {
    **practices.SPOILERS,
    **coding.SPOILERS,
    **values.SPOILERS,
    **identities.SPOILERS,
    **dates.SPOILERS,
    **records.SPOILERS,
}
_LAST = ("F10", "F12")
_ORDER = (
    "C2", "S1", "P4",  # whole practices first: they need every row
    "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "D8", "P3", "P1", "P2",
    "U8", "U2", "U3", "U1", "U5", "U6", "U4", "U7",  # few rows can have these
    "C4", "C3", "D6", "R6", "R8", "R7", "C5", "C1", "D4", "D3", "D1", "D2", "D5", "D7",
    "R4", "R3", "R2", "R1", "R5",
    *_LAST,
)  # fmt: skip
"""A row has one fault at most: those that find few rows choose before those that find any."""


def spoil_rows(
    written: Tables,
    meant: Tables,
    rates: Mapping[str, float],
    scene_of: Callable[[str], Scene],
    history: Tables | None = None,
    touched_before: pl.DataFrame | None = None,
) -> tuple[Tables, Tables, pl.DataFrame]:
    """Put faults into one practice's share of one extract.

    Args:
        written: Text frames by landing table, with the practice's rows of ``practice`` where faults of it are wanted.
        meant: The same rows in the same order.
        rates: Rate of each fault by id; those of files are passed over.
        scene_of: Gives the scene of a fault, with a generator of its own.
        history: What earlier extracts of this practice meant, latest version of each row; None for the first.
        touched_before: Touches of the practice's earlier extracts: a person's fault stays when the row is sent again.

    Returns:
        What is to be written, what a right pipeline reads out of it, both in key order, and the rows touched
        (``TOUCH_SCHEMA``).
    """
    wanted = [id for id in _ORDER if rates.get(id)]
    ground = Ground(written, meant, rates=rates, scene_of=scene_of, history=history, touched_before=touched_before)
    for id in wanted:
        _SPOILERS[id](ground.site(id))
    return ground.result()
