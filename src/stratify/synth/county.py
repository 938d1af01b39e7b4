"""Puts one practice of the synthetic county together: its people, what is wrong with them, and every record of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from stratify.synth.administration import clinic_capacity_rows, opt_out_rows
from stratify.synth.columns import KNOWN
from stratify.synth.conditions import draw_conditions
from stratify.synth.gp_record import gp_rows
from stratify.synth.hospital import care_rows
from stratify.synth.places import Practice, lsoa_rows, practice_rows
from stratify.synth.population import draw_deaths, make_people, reserved_nhs_numbers
from stratify.synth.registry import flag_rows, patient_rows, registration_rows
from stratify.synth.state import state_rows
from stratify.synth.world import County

_FIRST = "_first_shown"


@dataclass(frozen=True)
class Drawn:
    """Everything about one practice's people.

    Attributes:
        frames: Typed versions of rows by landing table (``columns.KNOWN``, ``columns.REPLACES``).
        state: Everybody as drawn, which no run may read.
        enrolment: Who was in which programme, and what came of it.
    """

    frames: Mapping[str, pl.DataFrame]
    state: pl.DataFrame
    enrolment: pl.DataFrame


def draw_practice(county: County, practice: Practice) -> Drawn:
    """Draw one practice: the people whose first practice in the county it is, with their records elsewhere too."""
    people = make_people(county, practice, _numbers_of(county, practice))
    conditions = draw_conditions(county, people)
    draw_deaths(county, people, conditions)
    gp, flares = gp_rows(county, people, conditions)
    care = care_rows(county, people, conditions, flares)
    own = pl.col("practice_code") == practice.code
    areas = lsoa_rows(county)
    frames = {
        "patient": patient_rows(county, people),
        "registration": registration_rows(county, people),
        **gp,
        **care.frames,
        "patient_flag": flag_rows(county, people, conditions),
        "opt_out": opt_out_rows(county, people),
        "practice": practice_rows(county).filter(own),
        "clinic_capacity": clinic_capacity_rows(county, practice),
        "lsoa": areas if practice is county.practices[0] else areas.clear(),
        # Nobody's number was superseded but those of fault I4, which writes the answers about them.
        "nhs_number_trace": pl.DataFrame(schema={"nhs_number": pl.String, KNOWN: pl.Int32}),
    }
    return Drawn(
        frames=_not_before_the_patient(frames) if county.order.weeks else frames,
        state=state_rows(county, people, conditions),
        enrolment=care.enrolment,
    )


def _not_before_the_patient(frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Let no row be shown before the patient it is about: a newcomer's history comes with them."""
    shown = {
        "source_patient_id": _first_shown(frames["patient"], ["org_code", "source_patient_id"]),
        "nhs_number": _first_shown(frames["patient"].drop_nulls("nhs_number"), ["nhs_number"]),
    }
    held = dict(frames)
    for table, frame in frames.items():
        name = next((each for each in shown if each in frame.columns), None)
        if name is None or table == "patient":
            continue
        by = [each for each in shown[name].columns if each != _FIRST]
        held[table] = (
            frame.join(shown[name], on=by, how="left", maintain_order="left")
            .with_columns(pl.max_horizontal(KNOWN, _FIRST).alias(KNOWN))
            .drop(_FIRST)
        )
    return held


def _first_shown(patients: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    return patients.group_by(by, maintain_order=True).agg(pl.col(KNOWN).min().alias(_FIRST))


def _numbers_of(county: County, practice: Practice) -> pl.Series:
    edges = _edges(county.order.people, len(county.practices))
    first, after = edges[practice.number], edges[practice.number + 1]
    return _numbers(county.order.people, county.order.seed)[first:after]


@lru_cache(maxsize=1)
def _numbers(people: int, seed: int) -> pl.Series:
    return reserved_nhs_numbers(people, seed)


def _edges(people: int, practices: int) -> list[int]:
    """Share people out so that the largest practice has about half as many again as the smallest."""
    weights = [1.0 + 0.5 * ((number * 3) % practices) / max(1, practices - 1) for number in range(practices)]
    total = sum(weights)
    return [round(people * sum(weights[:number]) / total) for number in range(practices + 1)]
