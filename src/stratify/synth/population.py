"""The people of the synthetic county: who they are, where they live, where and when they are registered, when they die.

No illness and no care belongs here; deaths take a risk from whoever knows the illnesses. Everything is drawn per
practice from its own generator, so the county is the same on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from stratify.codes import nhs_check_digit

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Texts = npt.NDArray[Any]

NEVER = 10**6
"""A day that never comes; days are counted from 1970-01-01."""

YEAR = 365.25

_AGE_BANDS = (5.3, 5.8, 6.1, 5.8, 6.1, 6.6, 7.1, 6.9, 6.6, 6.1, 6.6, 6.7, 5.9, 4.9, 4.5, 4.0, 2.5, 1.6, 0.75, 0.2)
"""Percent of people in each five year band from 0, shaped like the ONS estimates for England of mid-2023."""

_PRACTICE_NAMES = (
    "Alderbrook", "Birchwater", "Coldharbour Lane", "Dunmere", "Eastbeck", "Fallowfield Cross", "Greenholt",
    "Hallowdene", "Inglethorpe", "Juniper Hill", "Kestrelford", "Lindenmoor",
)  # fmt: skip
_NETWORK_NAMES = ("Northvale Primary Care Network", "Southvale Primary Care Network")

_FAMILY_NAMES = (
    "Ashdown", "Barley", "Carrow", "Dunnock", "Elmhirst", "Fenwright", "Garside", "Hollins", "Ibbot", "Jessop",
    "Kettlewell", "Lathom", "Marlow", "Nettleton", "Oakes", "Pargeter", "Quince", "Rushworth", "Stannard", "Thwaite",
    "Underhill", "Varley", "Wainhouse", "Yarrow",
)  # fmt: skip
_FAMILY_NAMES_ELSEWHERE = (
    "Adeyemi", "Begum", "Chaudhry", "Das", "Eze", "Farah", "Gill", "Hussain", "Islam", "Joshi", "Kowalska", "Lim",
    "Mensah", "Nowak", "O'Shea", "Patel", "Rahman", "Singh", "Tran", "Uddin",
)  # fmt: skip
_GIVEN_NAMES = (
    ("Alan", "Brian", "Callum", "Derek", "Edwin", "Frank", "George", "Harjit", "Imran", "Jacob", "Leon", "Omar"),
    ("Agnes", "Brenda", "Chloe", "Doreen", "Edith", "Fatima", "Gwen", "Hannah", "Iris", "Joan", "Kulwinder", "Lucy"),
)  # fmt: skip

_ETHNIC = ("A", "B", "C", "D", "F", "G", "H", "J", "K", "L", "M", "N", "P", "R", "S", "Z", "99")
_ETHNIC_AFFLUENT = (78, 1, 5, 0.5, 0.6, 0.5, 3, 1, 0.5, 1, 0.5, 1, 0.2, 1, 0.7, 3, 2.5)
_ETHNIC_DEPRIVED = (60, 1, 7, 1, 0.6, 0.8, 4, 7, 3, 1.5, 2, 4, 0.6, 0.6, 1.4, 3, 2.5)

_LANGUAGES = {
    "C": ("pl", "ro", "pt"),
    "H": ("gu", "pa", "hi"),
    "J": ("ur", "pa"),
    "K": ("bn",),
    "L": ("ta", "ar"),
    "N": ("so", "fr", "yo"),
    "R": ("zh",),
    "S": ("ar", "fa"),
}
_SPEAKS_ANOTHER = 0.35
_NEEDS_INTERPRETER = 0.3


@dataclass(frozen=True)
class Practice:
    """A GP practice of the county. ``mean_decile`` is the middle of its patients' deprivation deciles."""

    number: int
    code: str
    name: str
    pcn_code: str
    pcn_name: str
    mean_decile: float


@dataclass
class People:
    """The people whose home practice is one practice; every array has one element a person, days are from 1970."""

    practice: Practice
    birth_day: Ints
    age: Floats
    is_female: Flags
    decile: Ints
    ethnic: Texts
    smoking: Ints
    nhs_number: Texts
    source_patient_id: Texts
    start_day: Ints
    end_day: Ints
    moved_to: Ints
    is_temporary: Flags
    is_test: Flags
    last_day: Ints
    death_day: Ints = field(init=False)
    gp_knows_death: Flags = field(init=False)
    care_home: Ints = field(init=False)

    def __post_init__(self) -> None:
        """Nobody has died and nobody lives in a care home until somebody says so."""
        self.death_day = np.full(self.count, NEVER, dtype=np.int64)
        self.gp_knows_death = np.zeros(self.count, dtype=np.bool_)
        self.care_home = np.zeros(self.count, dtype=np.int64)

    @property
    def count(self) -> int:
        """How many people."""
        return len(self.birth_day)

    @property
    def has_number(self) -> Flags:
        """Who has an NHS number."""
        return np.array([number is not None for number in self.nhs_number], dtype=np.bool_)

    def record_codes(self, person: Ints, day: Ints, practices: Sequence[Practice]) -> tuple[Texts, Texts]:
        """Give organisation and patient id that hold an entry: from the day of a move the new practice's."""
        moved = (self.moved_to[person] >= 0) & (day >= self.end_day[person])
        codes = np.array([practice.code for practice in practices], dtype=object)
        organisation = np.where(moved, codes[self.moved_to[person]], self.practice.code)
        ids = np.where(moved, self.moved_ids[person], self.source_patient_id[person])
        return organisation, ids

    @property
    def moved_ids(self) -> Texts:
        """Patient ids at the practice moved to, told apart from that practice's own."""
        return np.array([f"M{self.practice.number:03d}{number:06d}" for number in range(self.count)], dtype=object)


def make_practices(count: int) -> tuple[Practice, ...]:
    """Give the practices: about four to a network, from a deprived part of the county to an affluent one."""
    networks = max(1, round(count / 4))
    made = []
    for number in range(count):
        network = number * networks // count
        stem = _PRACTICE_NAMES[number % len(_PRACTICE_NAMES)]
        again = number // len(_PRACTICE_NAMES)
        made.append(
            Practice(
                number=number,
                code=f"Y{number + 1:05d}",
                name=f"{stem} Surgery" + (f" {again + 1}" if again else ""),
                pcn_code=f"U{network + 1:05d}",
                pcn_name=_NETWORK_NAMES[network] if network < 2 else f"Vale {network + 1} Primary Care Network",
                mean_decile=2.0 + 7.0 * ((number * 5) % count) / max(1, count - 1),
            )
        )
    return tuple(made)


def practice_rows(practices: Sequence[Practice]) -> pl.DataFrame:
    """Give the rows of ``landing.practice``."""
    return pl.DataFrame(
        {
            "practice_code": [p.code for p in practices],
            "practice_name": [p.name for p in practices],
            "pcn_code": [p.pcn_code for p in practices],
            "pcn_name": [p.pcn_name for p in practices],
            "icb_code": ["QZZ"] * len(practices),
            "valid_from": [date(2019, 7, 1)] * len(practices),
        }
    )


def reserved_nhs_numbers(count: int, rng: np.random.Generator) -> Texts:
    """Give different valid NHS numbers of the never-issued range 999 000 0000 to 999 999 9999, in random order."""
    last = np.arange(10**6 - 1, dtype=np.int64)  # without 999 999 999(9), which systems write for "many matches"
    digits = (last[:, None] // 10 ** np.arange(5, -1, -1)) % 10
    check = 11 - (9 * (10 + 9 + 8) + digits @ np.arange(7, 1, -1)) % 11
    valid = last[check != 10]
    stems = rng.permutation(valid)[:count]
    numbers = []
    for stem in stems:
        nine = f"999{stem:06d}"
        numbers.append(f"{nine}{nhs_check_digit(nine)}")
    return np.array(numbers, dtype=object)


def make_people(
    practice: Practice, numbers: Texts, *, practices: int, cutoff_day: int, rng: np.random.Generator
) -> People:
    """Draw the people of one practice, one for each NHS number given.

    Args:
        practice: Where they are, or were first, registered.
        numbers: Their NHS numbers.
        practices: How many practices somebody can move between.
        cutoff_day: The last day the extract describes.
        rng: The practice's generator.
    """
    count = len(numbers)
    deciles = np.arange(1, 11)
    weights = np.exp(-((deciles - practice.mean_decile) ** 2) / (2 * 2.2**2))
    decile = rng.choice(deciles, size=count, p=weights / weights.sum())

    middles = np.arange(2.5, 100, 5)
    tilt = np.exp(0.0035 * (practice.mean_decile - 5.5) * (middles - 40))
    bands = np.array(_AGE_BANDS) * tilt
    age = rng.choice(len(middles), size=count, p=bands / bands.sum()) * 5 + rng.random(count) * 5
    birth_day = cutoff_day - np.floor(age * YEAR).astype(np.int64)

    deprived = np.clip((8 - decile) / 6, 0, 1)
    share = np.array(_ETHNIC_AFFLUENT) * (1 - deprived[:, None]) + np.array(_ETHNIC_DEPRIVED) * deprived[:, None]
    share[:, 0] *= np.where(age > 70, 1.6, 1.0)
    cumulative = np.cumsum(share / share.sum(axis=1, keepdims=True), axis=1)
    position = np.minimum((rng.random(count)[:, None] > cumulative).sum(axis=1), len(_ETHNIC) - 1)

    current = np.where(age < 16, 0, np.where(age < 65, 0.17, 0.09)) * (0.5 + deprived)
    former = np.where(age < 25, 0.03, np.where(age < 50, 0.2, 0.38))
    luck = rng.random(count)
    smoking = np.where(luck < current, 2, np.where((luck < current + former) & (age >= 16), 1, 0))

    tenure = np.where(rng.random(count) < 0.065, rng.random(count) * 365, 365 + rng.random(count) ** 1.5 * 25 * YEAR)
    start_day = np.maximum(cutoff_day - tenure.astype(np.int64), birth_day)
    is_temporary = rng.random(count) < 0.005
    start_day = np.where(is_temporary, np.maximum(cutoff_day - rng.integers(1, 80, count), birth_day), start_day)

    leaves = (rng.random(count) < 0.03) & ~is_temporary & (cutoff_day - start_day > 200)
    end_day = np.where(leaves, cutoff_day - rng.integers(5, 700, count), NEVER)
    end_day = np.where(leaves, np.maximum(end_day, start_day + 100), NEVER)
    stays_in_county = leaves & (rng.random(count) < 0.4) & (practices > 1)
    elsewhere = (practice.number + rng.integers(1, max(2, practices), count)) % practices
    moved_to = np.where(stays_in_county, elsewhere, -1)

    is_test = np.zeros(count, dtype=np.bool_)
    is_test[rng.choice(count, size=max(1, count // 1500), replace=False)] = True
    has_number = (rng.random(count) >= 0.003) | stays_in_county | is_test

    return People(
        practice=practice,
        birth_day=birth_day,
        age=age,
        is_female=rng.random(count) < np.where(age > 75, 0.57, 0.503),
        decile=decile,
        ethnic=np.array(_ETHNIC, dtype=object)[position],
        smoking=smoking,
        nhs_number=where_so(has_number, numbers),
        source_patient_id=np.array([f"{number + 1:06d}" for number in range(count)], dtype=object),
        start_day=start_day,
        end_day=end_day,
        moved_to=moved_to,
        is_temporary=is_temporary,
        is_test=is_test,
        last_day=np.where(leaves & ~stays_in_county, np.minimum(end_day, cutoff_day), cutoff_day),
    )


def draw_deaths(people: People, hazard: Floats, *, cutoff_day: int, rng: np.random.Generator) -> None:
    """Decide who died in the two years to the cutoff, about 1 in 100, and end their records there.

    Args:
        people: Changed in place.
        hazard: Relative risk of each person, 1 for a healthy person of 40.
        cutoff_day: The last day the extract describes.
        rng: The practice's generator.
    """
    can_die = ~people.is_test & ~people.is_temporary & (people.end_day == NEVER) & people.has_number
    risk = np.where(can_die, hazard, 0.0)
    chance = np.minimum(risk * 0.0105 * people.count / max(float(risk.sum()), 1e-9), 0.6)
    dies = rng.random(people.count) < chance
    day = np.maximum(cutoff_day - rng.integers(8, 730, people.count), people.start_day + 1)
    people.death_day = np.where(dies, np.minimum(day, cutoff_day - 1), NEVER)
    people.gp_knows_death = dies & (rng.random(people.count) < 0.9)
    people.last_day = np.where(dies, people.death_day, people.last_day)
    people.end_day = np.where(people.gp_knows_death, people.death_day, people.end_day)


def patient_rows(
    people: People, practices: Sequence[Practice], *, cutoff_day: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Give the rows of ``landing.patient``: one a person, and a second one for those who moved within the county."""
    count, age = people.count, people.age
    native = np.isin(people.ethnic, ("A", "Z", "99"))
    family = np.where(
        native | (rng.random(count) < 0.2),
        _pick(_FAMILY_NAMES, rng, count),
        _pick(_FAMILY_NAMES_ELSEWHERE, rng, count),
    )
    given = np.where(people.is_female, _pick(_GIVEN_NAMES[1], rng, count), _pick(_GIVEN_NAMES[0], rng, count))
    family = np.where(people.is_test, "Zztest", family)

    language = np.full(count, "en", dtype=object)
    another = rng.random(count) < _SPEAKS_ANOTHER
    which = rng.integers(0, 12, count)
    for person in np.flatnonzero(another):
        spoken = _LANGUAGES.get(str(people.ethnic[person]))
        if spoken:
            language[person] = spoken[which[person] % len(spoken)]
    interpreter = (language != "en") & (rng.random(count) < _NEEDS_INTERPRETER)

    formats = _pick(
        ("large print", "large print", "easy read", "braille", "BSL", "audio", "large print;audio"), rng, count
    )
    needs_format = rng.random(count) < np.where(age > 75, 0.04, 0.006)

    chance = np.where(age < 12, 0.2, np.clip(0.97 - 0.011 * np.clip(age - 45, 0, None), 0.2, 1)) - 0.012 * (
        10 - people.decile
    )
    luck = rng.random(count)
    online = luck < chance
    asked = rng.random(count) >= 0.10
    preference = np.where(
        online, _pick(("sms", "sms", "nhs_app", "nhs_app", "email", "phone", "letter"), rng, count),
        _pick(("letter", "letter", "phone"), rng, count),
    )  # fmt: skip

    sensitive = rng.random(count) < 0.001
    number = rng.integers(1, 180, count)
    street = rng.integers(1, 40, count)
    address = np.array(
        [
            f"Home {street[i] % 5 + 1}, Orchard Close, Valeton"
            if people.care_home[i]
            else f"{number[i]} Street {street[i]}, Valeton"
            for i in range(count)
        ],
        dtype=object,
    )
    postcode = np.array(
        [f"QZ{people.practice.number % 9 + 1} {street[i] % 9 + 1}ZZ" for i in range(count)], dtype=object
    )
    area = np.array(
        [f"E019{people.practice.number % 100:02d}{people.decile[i] - 1}{street[i]:02d}" for i in range(count)],
        dtype=object,
    )
    mobile = np.array([f"07700{value}" for value in rng.integers(900000, 901000, count)], dtype=object)
    has_mobile = (rng.random(count) < np.where(online, 0.96, 0.45)) & (age >= 12) & ~sensitive
    has_email = online & (rng.random(count) < 0.7) & (age >= 16) & ~sensitive
    email = np.array(
        [f"person{people.practice.number + 1}.{index + 1}@example.org" for index in range(count)], dtype=object
    )
    title = where_so(age >= 16, np.where(people.is_female, _pick(("Mrs", "Ms", "Miss"), rng, count), "Mr"))
    status = np.where(people.has_number, np.where(rng.random(count) < 0.01, "02", "01"), "07")
    sex = np.where(people.is_female, "F", "M")
    sex = np.where(rng.random(count) < 0.001, "U", sex)

    first = pl.DataFrame(
        {
            "org_code": texts([people.practice.code] * count),
            "source_patient_id": texts(people.source_patient_id),
            "nhs_number": texts(people.nhs_number),
            "nhs_number_status": texts(status),
            "family_name": texts(family),
            "given_names": texts(given),
            "title": texts(title),
            "phone_mobile": texts(where_so(has_mobile, mobile)),
            "email": texts(where_so(has_email, email)),
            "address_lines": texts(where_so(~sensitive, address)),
            "postcode": texts(where_so(~sensitive, postcode)),
            "date_of_birth": days(people.birth_day),
            "sex": texts(sex),
            "ethnic_category": texts(where_so(rng.random(count) >= 0.02, people.ethnic)),
            "preferred_language": texts(language),
            "interpreter_needed": pl.Series(values=interpreter),
            "ais_format": texts(where_so(needs_format, formats)),
            "contact_preference": texts(where_so(rng.random(count) < 0.85, preference)),
            "has_digital_access": pl.Series(values=where_so(asked, online).tolist(), dtype=pl.Boolean),
            "lsoa11": texts(area),
            "lsoa21": texts(area),
            "imd_decile": pl.Series(values=where_so(rng.random(count) >= 0.01, people.decile).tolist(), dtype=pl.Int64),
            "date_of_death": days(np.where(people.gp_knows_death, people.death_day, NEVER)),
            "is_test_patient": pl.Series(values=people.is_test),
            "is_spine_sensitive": pl.Series(values=sensitive),
            "is_confidential": pl.Series(values=rng.random(count) < 0.002),
            "is_deleted": pl.Series(values=np.zeros(count, dtype=np.bool_)),
        }
    ).with_columns(imd_version=pl.when(pl.col("imd_decile").is_not_null()).then(pl.lit("2019")))
    moved = np.flatnonzero(people.moved_to >= 0)
    if not len(moved):
        return first
    organisation, ids = people.record_codes(moved, np.full(len(moved), cutoff_day), practices)
    second = first[moved.tolist()].with_columns(org_code=texts(organisation), source_patient_id=texts(ids))
    return pl.concat([first, second])


def registration_rows(people: People, practices: Sequence[Practice]) -> pl.DataFrame:
    """Give the rows of ``landing.registration``: one a person, two for those who moved within the county."""
    every = np.arange(people.count)
    moved = np.flatnonzero(people.moved_to >= 0)
    person = np.concatenate([every, moved])
    again = np.concatenate([np.zeros(people.count, dtype=np.bool_), np.ones(len(moved), dtype=np.bool_)])
    start = np.where(again, people.end_day[person], people.start_day[person])
    organisation, ids = people.record_codes(person, np.where(again, people.end_day[person], 0), practices)
    is_death = people.gp_knows_death[person]
    end = np.where(again & ~is_death, NEVER, people.end_day[person])
    reason = where_so(end != NEVER, np.where(is_death, "Death", "Transfer out"))
    return pl.DataFrame(
        {
            "org_code": texts(organisation),
            "source_registration_id": texts([f"R{each}" for each in ids]),
            "source_patient_id": texts(ids),
            "practice_code": texts(organisation),
            "registration_type": texts(np.where(people.is_temporary[person], "TEMPORARY", "REGULAR")),
            "start_date": days(start),
            "end_date": days(end),
            "end_reason": texts(reason),
            "usual_gp_id": texts([f"GP{int(each) % 7 + 1}" for each in person]),
            "is_deleted": pl.Series(values=np.zeros(len(person), dtype=np.bool_)),
        }
    )


def where_so(condition: Flags, values: Texts | str) -> Texts:
    """Give the values where the condition holds and None elsewhere."""
    chosen = np.full(condition.shape, None, dtype=object)
    chosen[condition] = values if isinstance(values, str) else values[condition]
    return chosen


def texts(values: Sequence[object] | Texts) -> pl.Series:
    """Make a text column; None stays empty."""
    return pl.Series(values=[None if value is None else str(value) for value in values], dtype=pl.String)


def days(values: Ints) -> pl.Series:
    """Make a date column of days since 1970-01-01; a day that never comes is empty."""
    column = pl.Series(values=values.astype(np.int64))
    return pl.select(pl.when(column != NEVER).then(column).cast(pl.Int32).cast(pl.Date)).to_series()


def _pick(choices: Sequence[str], rng: np.random.Generator, count: int) -> Texts:
    return np.array(choices, dtype=object)[rng.integers(0, len(choices), count)]
