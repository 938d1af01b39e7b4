"""Puts the synthetic county together, practice by practice, into one typed frame per landing table."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl

from stratify.synth.administration import clinic_capacity_rows, opt_out_rows
from stratify.synth.conditions import death_risk, draw_conditions, flag_rows
from stratify.synth.copd_record import write_copd
from stratify.synth.gp_record import GpRecord, write_background
from stratify.synth.hospital import hospital_rows
from stratify.synth.population import (
    draw_deaths,
    make_people,
    make_practices,
    patient_rows,
    practice_rows,
    registration_rows,
    reserved_nhs_numbers,
)
from stratify.synth.truth import true_state_rows

STATE = "true_state"
"""Name of the frame with everybody as drawn; it is no landing table."""


def draw_county(*, people: int, practices: int, seed: int, index_date: date) -> dict[str, pl.DataFrame]:
    """Draw everything there is in the county.

    Each practice has its own generator, so adding one leaves the others as they are but for their size and numbers.

    Args:
        people: How many people.
        practices: How many practices; they differ in size by about a half.
        seed: Seed of every generator.
        index_date: The first day of the clinics; nothing else is later than the day before.

    Returns:
        Typed frames by landing table, and under ``STATE`` everybody as drawn, which no run may read.
    """
    cutoff_day = (index_date - date(1970, 1, 1)).days - 1
    everyone = make_practices(practices)
    shared = _generator(seed, 10**6)
    numbers = reserved_nhs_numbers(people, shared)
    sizes = _sizes(people, practices)
    collected: dict[str, list[pl.DataFrame]] = {
        "practice": [practice_rows(everyone)],
        "clinic_capacity": [clinic_capacity_rows(everyone, index_date=index_date, rng=shared)],
    }
    first = 0
    for practice, size in zip(everyone, sizes, strict=True):
        rng = _generator(seed, practice.number)
        own = make_people(practice, numbers[first : first + size], practices=practices, cutoff_day=cutoff_day, rng=rng)
        first += size
        conditions = draw_conditions(own, rng)
        draw_deaths(own, death_risk(own, conditions), cutoff_day=cutoff_day, rng=rng)
        record = GpRecord(own, cutoff_day, rng)
        write_background(record, conditions)
        flares = write_copd(record, conditions)
        made = {
            "patient": patient_rows(own, everyone, cutoff_day=cutoff_day, rng=rng),
            "registration": registration_rows(own, everyone),
            "patient_flag": flag_rows(own, conditions, cutoff_day=cutoff_day, rng=rng),
            "opt_out": opt_out_rows(own, index_date=index_date, rng=rng),
            STATE: true_state_rows(own, conditions),
            **record.frames(everyone),
            **hospital_rows(own, conditions, flares, everyone, cutoff_day=cutoff_day, rng=rng),
        }
        for table, frame in made.items():
            collected.setdefault(table, []).append(frame)
    return {table: pl.concat(frames) for table, frames in collected.items()}


def _generator(seed: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number])))


def _sizes(people: int, practices: int) -> list[int]:
    """Share people out so that the largest practice has about half as many again as the smallest."""
    weights = [1.0 + 0.5 * ((number * 3) % practices) / max(1, practices - 1) for number in range(practices)]
    edges = [round(people * sum(weights[:number]) / sum(weights)) for number in range(practices + 1)]
    return [after - before for before, after in pairwise(edges)]
