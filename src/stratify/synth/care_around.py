"""What the synthetic county's councils, homes, surveys and palliative care registers know of one practice's people.

Feeds that are counted for commissioners and decide nothing: occupied beds, results of a survey, events of social care,
preferred places of death. Plausible, and said to be no more: the national figures behind them are Adult Social Care
Outcomes Framework 2023-24 (about 560 permanent admissions for 100,000 people of 65 and over; 84 % at home 91 days after
reablement) and, for a recorded preference, PMC7643820 (13 % of deaths).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from stratify.synth.columns import KNOWN, NEVER, YEAR, Ints, days, ids, known, picked, same
from stratify.synth.conditions import Conditions
from stratify.synth.population import People
from stratify.synth.registry import care_home_register
from stratify.synth.spells import EMERGENCY, Spells
from stratify.synth.versions import known_after
from stratify.synth.world import County

_COUNCIL = "E10000099"
_REGISTER = "RZ6"
"""The invented community trust keeps the palliative care register."""
_PLACES = ("home", "care_home", "hospice", "hospital", "undecided")
_REABLEMENT = 0.06
"""Of emergency stays of people of 65 and over that they survive, those that end with reablement."""
_QUESTION = "gp_care_joined_up"


def around_rows(county: County, people: People, conditions: Conditions, spells: Spells) -> Mapping[str, pl.DataFrame]:
    """Give occupied beds, survey results, events of social care and preferred places of death.

    Args:
        county: The county.
        people: The people, with their deaths and homes.
        conditions: What is wrong with them.
        spells: Their hospital spells, as they are.
    """
    return {
        "care_home_bed": _beds(county, people),
        "survey_result": _survey(county, people),
        "social_care_event": _social_care(county, people, spells),
        "place_preference": _preferences(county, people, conditions),
    }


def _beds(county: County, people: People) -> pl.DataFrame:
    """Count who lives in each home in the middle of each month; residents of a kind are spread over its homes."""
    homes = care_home_register(people.practice)
    months = _months(county)
    middle = (months + 14)[:, None]
    alike = len(homes) // 3
    resident = np.flatnonzero(people.care_home)
    place = people.care_home[resident] - 1 + 3 * (np.arange(len(resident)) % alike)
    there = (people.care_home_since[resident] <= middle) & (people.last_day[resident] >= middle)
    occupied = np.stack([(there & (place == number)).sum(axis=1) for number in range(len(homes))], axis=1)
    beds = occupied.max(axis=0, initial=0) + 2
    number = np.tile(np.arange(len(homes)), len(months))
    month = np.repeat(months, len(homes))
    return pl.DataFrame(
        {
            "care_home_id": picked([each["id"] for each in homes], number),
            "month_start_date": days(month),
            "practice_code": same(people.practice.code, len(month)),
            "bed_count": beds[number],
            "occupied_bed_count": occupied.reshape(-1),
            "is_deleted": same(False, len(month)),
            KNOWN: known(month + 34),
        }
    ).filter(pl.col(KNOWN) <= county.last_day)


def _months(county: County) -> Ints:
    """Give the first days of the months of the county's history, as days from 1970."""
    first = np.datetime64(county.first_day, "D").astype("datetime64[M]") + 1
    last = np.datetime64(county.last_day, "D").astype("datetime64[M]")
    return np.arange(first, last + 1).astype("datetime64[D]").astype(np.int64)


def _survey(county: County, people: People) -> pl.DataFrame:
    """Ask a sample of the adults each spring; the poor are less content."""
    rng = county.generator(people.practice, "survey")
    years = np.unique(_months(county).astype("datetime64[D]").astype("datetime64[Y]"))
    start = years.astype("datetime64[D]").astype(np.int64)
    adults = int((people.age_on(county.cutoff_days[0]) >= 16).sum())
    asked = np.minimum(adults, 400)
    answers = rng.binomial(asked, 0.28, len(years))
    positive = rng.binomial(answers, 0.70 + 0.02 * (people.practice.mean_decile - 5) / 5)
    return pl.DataFrame(
        {
            "survey": same("gp_patient_survey", len(years)),
            "question": same(_QUESTION, len(years)),
            "practice_code": same(people.practice.code, len(years)),
            "period_end_date": days(start + 90),
            "period_start_date": days(start + 2),
            "answer_count": answers,
            "positive_answer_count": positive,
            "is_deleted": same(False, len(years)),
            KNOWN: known(start + 190),
        }
    ).filter(pl.col(KNOWN) <= county.last_day)


def _social_care(county: County, people: People, spells: Spells) -> pl.DataFrame:
    """Give reablement after stays in hospital, and moves into a home that the council arranged; a few end it."""
    rng = county.generator(people.practice, "social care")
    old = people.age_on(county.cutoff_days[0]) >= 65
    stay = np.flatnonzero((spells.kind == EMERGENCY) & ~spells.has_died & (old & people.has_number)[spells.person])
    stay = stay[rng.random(len(stay)) < _REABLEMENT]
    moved = np.flatnonzero((people.care_home > 0) & (people.care_home_since >= county.first_day) & people.has_number)
    moved = moved[rng.random(len(moved)) < 0.5]
    person = np.concatenate([spells.person[stay], moved])
    start = np.concatenate([spells.discharged[stay], people.care_home_since[moved]])
    kind = np.repeat([0, 1], [len(stay), len(moved)])
    ended = np.where(
        kind == 0, start + rng.integers(14, 43, len(start)), np.minimum(people.last_day[person] + 1, NEVER)
    )
    shown = known_after(start, 5, 40, rng)
    seen = (start <= people.last_day[person]) & (shown <= county.last_day)
    person, start, kind, ended, shown = person[seen], start[seen], kind[seen], ended[seen], shown[seen]
    number = np.flatnonzero(seen) + people.practice.number * 10**7
    is_over = ended <= county.cutoff_days[0]
    return pl.DataFrame(
        {
            "council_code": same(_COUNCIL, len(person)),
            "event_id": ids("S", number, 12),
            "nhs_number": people.number_of(person),
            "kind": picked(("reablement_after_discharge", "long_term_care_home"), kind),
            "start_date": days(start),
            "end_date": days(np.where(is_over, ended, NEVER)),
            "is_deleted": same(False, len(person)),
            KNOWN: known(np.where(is_over, np.maximum(shown, np.minimum(ended + 7, county.cutoff_days[0])), shown)),
        }
    )


def _preferences(county: County, people: People, conditions: Conditions) -> pl.DataFrame:
    """Ask those in palliative care, and a few others: most would stay where they live."""
    rng = county.generator(people.practice, "preferred places")
    luck = rng.random((people.count, 3))
    asked = people.has_number & ~people.is_test & (luck[:, 0] < np.where(conditions.is_palliative, 0.6, 0.004))
    person = np.flatnonzero(asked)
    last = np.minimum(people.last_day[person], county.last_day)
    day = last - 20 - np.floor(luck[person, 1] * YEAR / 2).astype(np.int64)
    lives = np.where(people.care_home[person] > 0, 1, 0)
    place = np.select([luck[person, 2] < 0.72, luck[person, 2] < 0.88, luck[person, 2] < 0.92], [lives, 2, 3], 4)
    shown = known_after(day, 0, 9, rng)
    return pl.DataFrame(
        {
            "provider_code": same(_REGISTER, len(person)),
            "record_id": ids("W", people.practice.number * 10**7 + person, 12),
            "nhs_number": people.number_of(person),
            "recorded_date": days(day),
            "preferred_place": picked(_PLACES, place),
            "is_deleted": same(False, len(person)),
            KNOWN: known(shown),
        }
    ).filter((pl.col(KNOWN) <= county.last_day) & pl.Series(values=day >= county.first_day))
