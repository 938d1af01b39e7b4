"""What is on register of the people of the synthetic county: patient records, registrations, and flags of their status.

Rows of ``landing.patient``, ``landing.registration`` and ``landing.patient_flag``, with every version of them. Who the
people are belongs to ``population``, what they have to ``conditions``; what is written in their records to others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from stratify.synth.columns import KNOWN, NEVER, REPLACES, YEAR, Flags, Ints, days, ids, known, picked, same
from stratify.synth.conditions import DEFICIT_NAMES
from stratify.synth.places import Practice, areas_of, care_homes_of
from stratify.synth.population import ETHNIC

if TYPE_CHECKING:
    from stratify.synth.conditions import Conditions
    from stratify.synth.population import People
    from stratify.synth.world import County

_FAMILY_NAMES = (
    "Ashdown", "Barley", "Carrow", "Dunnock", "Elmhirst", "Fenwright", "Garside", "Hollins", "Ibbot", "Jessop",
    "Kettlewell", "Lathom", "Marlow", "Nettleton", "Oakes", "Pargeter", "Quince", "Rushworth", "Stannard", "Thwaite",
    "Underhill", "Varley", "Wainhouse", "Yarrow",
)  # fmt: skip
_FAMILY_NAMES_ELSEWHERE = (
    "Adeyemi", "Begum", "Chaudhry", "Das", "Eze", "Farah", "Gill", "Hussain", "Islam", "Joshi", "Kowalska", "Lim",
    "Mensah", "Nowak", "O'Shea", "Patel", "Rahman", "Singh", "Tran", "Uddin",
)  # fmt: skip
_MEN = ("Alan", "Brian", "Callum", "Derek", "Edwin", "Frank", "George", "Harjit", "Imran", "Jacob", "Leon", "Omar")
_WOMEN = (
    "Agnes", "Brenda", "Chloe", "Doreen", "Edith", "Fatima", "Gwen", "Hannah", "Iris", "Joan", "Kulwinder", "Lucy",
)  # fmt: skip
_TITLES = ("Mrs", "Ms", "Miss", "Mr")

_LANGUAGES = {
    "C": ("pl", "ro", "pt"), "H": ("gu", "pa", "hi"), "J": ("ur", "pa"), "K": ("bn",), "L": ("ta", "ar"),
    "N": ("so", "fr", "yo"), "R": ("zh",), "S": ("ar", "fa"),
}  # fmt: skip
_SPEAKS_ANOTHER, _NEEDS_INTERPRETER = 0.35, 0.3

_FORMATS = ("large print", "large print", "easy read", "braille", "BSL", "audio", "large print;audio")
_CONTACT_ONLINE = ("sms", "sms", "nhs_app", "nhs_app", "email", "phone", "letter")
_CONTACT_OTHERWISE = ("letter", "letter", "phone")
_NO_SECOND = -1
_HOUSEBOUND = DEFICIT_NAMES.index("housebound")


def patient_rows(county: County, people: People) -> pl.DataFrame:
    """Give the versions of the rows of ``landing.patient``: one record a person, two for those who moved.

    A record has a further version when an extract first shows the address of a care home or a death.
    """
    rng = county.generator(people.practice, "patient records")
    who = _who(county, people, rng)
    at_home, in_home = _addresses(people, rng)
    first = county.cutoff_days[0]
    count, every = people.count, np.arange(people.count)
    moved_in = np.where(people.care_home > 0, people.care_home_since + rng.integers(3, 40, count), NEVER)
    death = death_known(county, people)

    versions: list[tuple[Ints, Ints, Ints, Flags]] = []
    moved = np.flatnonzero(people.moved_to >= 0)
    for person, begins, home_known in (
        (every, people.start_day, np.where(moved_in < people.end_day, moved_in, NEVER)),
        (moved, people.end_day[moved], moved_in[moved]),
    ):
        settled = np.maximum(begins, first)
        died = death[person]
        shown = begins
        for fact in (home_known, died):
            shown = np.where(fact <= settled, np.maximum(shown, fact), shown)
        record_day = begins
        versions.append((person, record_day, shown, np.zeros(len(person), dtype=np.bool_)))
        for fact in (home_known, died):
            later = np.flatnonzero((fact > settled) & (fact <= county.last_day))
            versions.append((person[later], record_day[later], fact[later], np.ones(len(later), dtype=np.bool_)))
    person, record_day, shown, replaces = (np.concatenate(parts) for parts in zip(*versions, strict=True))

    lives_in = moved_in[person] <= shown
    organisation, record = people.record_of(person, record_day)
    rows = who[person].with_columns(
        org_code=organisation,
        source_patient_id=record,
        **{
            name: _either(lives_in, in_home[name].gather(person), at_home[name].gather(person))
            for name in ("address_lines", "postcode")
        },
        date_of_death=days(np.where(death[person] <= shown, people.death_day[person], NEVER)),
    )
    rows = rows.with_columns(
        pl.when(~pl.col("is_spine_sensitive")).then(pl.col("address_lines", "postcode")),
        known(shown).alias(KNOWN),
        pl.Series(REPLACES, replaces),
    )
    return rows


def registration_rows(county: County, people: People) -> pl.DataFrame:
    """Give the versions of the rows of ``landing.registration``: one a person, two for those who moved.

    One that ends after the first extract, or whose end is heard of then, is shown open before.
    """
    rng = county.generator(people.practice, "registrations")
    count, every = people.count, np.arange(people.count)
    moved = np.flatnonzero(people.moved_to >= 0)
    has_moved = people.moved_to >= 0
    death = death_known(county, people)
    left = np.where(has_moved, people.end_day, people.end_day + rng.integers(0, 7, count))
    ends_by_death = people.gp_knows_death & ~has_moved

    person = np.concatenate([every, moved])
    is_second = np.arange(len(person)) >= count
    start = np.where(is_second, people.end_day[person], people.start_day[person])
    dies = np.where(is_second, people.gp_knows_death[person], ends_by_death[person])
    end = np.where(dies, people.death_day[person], np.where(is_second, NEVER, people.end_day[person]))
    heard = np.where(dies, death[person], np.where(end < NEVER, left[person], NEVER))

    settled = np.maximum(start, county.cutoff_days[0])
    at_once = heard <= settled
    later = np.flatnonzero(~at_once & (heard <= county.last_day))
    row = np.concatenate([np.arange(len(person)), later])
    replaces = np.arange(len(row)) >= len(person)
    shows_end = at_once[row] | replaces
    organisation, record = people.record_of(person[row], start[row])
    return pl.DataFrame(
        {
            "org_code": organisation,
            "source_registration_id": "R" + record,
            "source_patient_id": record,
            "practice_code": organisation,
            "registration_type": picked(("REGULAR", "TEMPORARY"), people.is_temporary[person[row]].astype(np.int64)),
            "start_date": days(start[row]),
            "end_date": days(np.where(shows_end, end[row], NEVER)),
            "end_reason": picked(("Transfer out", "Death"), np.where(shows_end & (end[row] < NEVER), dies[row], -1)),
            "usual_gp_id": picked([f"GP{number}" for number in range(1, 8)], person[row] % 7),
            "is_deleted": same(False, len(row)),
            KNOWN: known(np.where(shows_end & (end[row] < NEVER), np.maximum(heard[row], start[row]), start[row])),
            REPLACES: replaces,
        }
    )


def death_known(county: County, people: People) -> Ints:
    """Give the day on which an extract first shows that the practice knows of a death; never where it does not."""
    delay = county.generator(people.practice, "deaths known").integers(1, 15, people.count)
    return np.where(people.gp_knows_death, people.death_day + delay, NEVER)


def flag_rows(county: County, people: People, conditions: Conditions) -> pl.DataFrame:
    """Give the versions of the rows of ``landing.patient_flag`` of people with an NHS number; most still hold."""
    rng = county.generator(people.practice, "flags")
    count, last = people.count, county.last_day
    never = np.full(count, NEVER, dtype=np.int64)
    luck = rng.random(count)
    age = people.age_on(county.cutoff_days[0])
    frail = conditions.frailty >= 2
    in_home = people.care_home > 0
    helped = np.max(np.where(conditions.deficit_day < NEVER, conditions.deficit_day, -NEVER), axis=1, initial=-NEVER)
    disabled = conditions.has_learning_disability
    parts: list[tuple[Ints, Ints, Ints, Ints, Ints]] = []
    names: list[str] = []
    sources = ("CODED", "ADDRESS_MATCH", "LOCAL_LIST")

    def lately(years: float) -> Ints:
        return people.last_day - rng.integers(20, int(years * YEAR), count)

    def add(flag: str, who: Flags, since: Ints, source: str = "CODED", *, ended: float = 0.0) -> None:
        start = np.maximum(np.maximum(since, people.birth_day), 0)
        end = np.where(rng.random(count) < ended, start + rng.integers(30, 300, count), NEVER)
        heard = np.maximum(start + rng.integers(0, 30, count), people.start_day)
        who = who & people.has_number & ~people.is_test & (since < NEVER) & (start <= people.last_day) & (heard <= last)
        some = np.flatnonzero(who)
        end = np.where(end > people.last_day, NEVER, end)
        names.append(flag)
        alike = (np.full(len(some), len(names) - 1), np.full(len(some), sources.index(source)))
        parts.append((some, *alike, start[some], np.stack([end, heard])[:, some]))

    for kind, name in enumerate(("CARE_HOME_NURSING", "CARE_HOME_RESIDENTIAL", "CARE_HOME_UNSPECIFIED"), start=1):
        add(name, (people.care_home == kind) & (luck < 0.85), people.care_home_since)
    add("CARE_HOME_UNSPECIFIED", in_home & (luck > 0.4), people.care_home_since, "ADDRESS_MATCH")
    # Somebody who stayed in a home to recover and went back to their own.
    back = np.flatnonzero((rng.random(count) < 0.02) & frail & ~in_home)
    stayed = never.copy()
    stayed[back] = people.last_day[back] - rng.integers(310, 700, len(back))
    add("CARE_HOME_RESIDENTIAL", stayed < NEVER, stayed, ended=1.0)
    housebound = conditions.deficit_day[:, _HOUSEBOUND]
    add("HOUSEBOUND", luck < 0.8, housebound, ended=0.1)
    add("IS_CARER", luck < 0.9, conditions.onset["carer"], ended=0.15)
    add("HAS_CARER", frail & (luck < 0.4), np.where(frail, helped, NEVER), ended=0.05)
    add("HAS_CARER", ~frail & disabled & (luck < 0.6), lately(9), ended=0.05)
    palliative = conditions.onset["palliative"]
    add("PALLIATIVE", luck < 0.95, palliative, ended=0.03)
    add("ADVANCE_PLAN", luck < 0.5, np.where(palliative < NEVER, palliative + 20, NEVER), "LOCAL_LIST")
    add("LEARNING_DISABILITY", disabled, people.birth_day + 4 * int(YEAR))
    add("SMI", luck < 0.95, conditions.onset["severe_mental_illness"])
    add("DEMENTIA", luck < 0.85, conditions.onset["dementia"])
    add("HOMELESS", (rng.random(count) < 0.0004 + 0.002 * people.poverty) & (age > 16) & ~in_home, lately(3), ended=0.4)
    add("SAFEGUARDING", rng.random(count) < 0.001, lately(3), ended=0.4)
    foreign = np.isin(people.ethnic, [ETHNIC.index(each) for each in ("J", "K", "N")])
    add("INTERPRETER", foreign & (rng.random(count) < 0.05), lately(9))

    person, which, place, start = (np.concatenate([part[column] for part in parts]) for column in range(4))
    end, heard = np.concatenate([part[4] for part in parts], axis=1)
    settled = np.maximum(heard, county.cutoff_days[0])
    at_once = end <= settled
    later = np.flatnonzero(~at_once & (end <= last))
    row = np.concatenate([np.arange(len(person)), later])
    replaces = np.arange(len(row)) >= len(person)
    shows_end = at_once[row] | replaces
    return pl.DataFrame(
        {
            "nhs_number": people.number_of(person[row]),
            "flag": picked(names, which[row]),
            "start_date": days(start[row]),
            "source": picked(sources, place[row]),
            "end_date": days(np.where(shows_end, end[row], NEVER)),
            "confidence": picked(("recorded", "matched"), (place[row] == 1).astype(np.int64)),
            KNOWN: known(np.where(shows_end & (end[row] < NEVER), np.maximum(end[row], heard[row]), heard[row])),
            REPLACES: replaces,
        }
    )


def _who(county: County, people: People, rng: np.random.Generator) -> pl.DataFrame:
    """Give what every version of a person's record says alike, one row a person."""
    count, every = people.count, np.arange(people.count)
    age = people.age_on(county.cutoff_days[0])

    def any_of(choices: tuple[str, ...]) -> Ints:
        return rng.integers(0, len(choices), count)

    native = (people.ethnic == 0) | (rng.random(count) < 0.2)
    family = np.where(native, any_of(_FAMILY_NAMES), len(_FAMILY_NAMES) + any_of(_FAMILY_NAMES_ELSEWHERE))
    family = np.where(people.is_test, len(_FAMILY_NAMES) + len(_FAMILY_NAMES_ELSEWHERE), family)
    given = np.where(people.is_female, len(_MEN) + any_of(_WOMEN), any_of(_MEN))

    spoken = ("en", *dict.fromkeys(language for some in _LANGUAGES.values() for language in some))
    another = np.where(rng.random(count) < _SPEAKS_ANOTHER, rng.integers(0, 12, count), _NO_SECOND)
    language = np.zeros(count, dtype=np.int64)
    for letter, some in _LANGUAGES.items():
        theirs = (people.ethnic == ETHNIC.index(letter)) & (another >= 0)
        places = np.array([spoken.index(each) for each in some])
        language[theirs] = places[another[theirs] % len(some)]
    interpreter = (language > 0) & (rng.random(count) < _NEEDS_INTERPRETER)

    format_ = np.where(rng.random(count) < np.where(age > 75, 0.04, 0.006), any_of(_FORMATS), -1)
    chance = (
        np.where(age < 12, 0.2, np.clip(0.97 - 0.011 * np.clip(age - 45, 0, None), 0.2, 1)) - 0.108 * people.poverty
    )
    online = rng.random(count) < chance
    asked = rng.random(count) >= 0.10
    preference = np.where(online, any_of(_CONTACT_ONLINE), len(_CONTACT_ONLINE) + any_of(_CONTACT_OTHERWISE))
    preference = np.where(rng.random(count) < 0.85, preference, -1)

    sensitive = rng.random(count) < 0.001
    mobile = (rng.random(count) < np.where(online, 0.96, 0.45)) & (age >= 12) & ~sensitive
    email = online & (rng.random(count) < 0.7) & (age >= 16) & ~sensitive
    title = np.where(people.is_female, rng.integers(0, 3, count), 3)
    status = np.where(people.has_number, (rng.random(count) < 0.01).astype(np.int64), 2)
    sex = np.where(rng.random(count) < 0.001, 2, people.is_female.astype(np.int64))
    said = rng.random(count)
    ethnic = np.select(
        [said < 0.02, said < 0.05, said < 0.075], [-1, ETHNIC.index("Z"), ETHNIC.index("99")], people.ethnic
    )
    areas = areas_of(people.practice)
    other_half = rng.random(count) < 0.5
    has_decile = rng.random(count) >= 0.01
    return pl.DataFrame(
        {
            "nhs_number": people.number_of(every),
            "nhs_number_status": picked(("01", "02", "07"), status),
            "family_name": picked((*_FAMILY_NAMES, *_FAMILY_NAMES_ELSEWHERE, "Zztest"), family),
            "given_names": picked((*_MEN, *_WOMEN), given),
            "title": picked(_TITLES, np.where(age >= 16, title, -1)),
            "phone_mobile": _only(mobile, ids("07700", rng.integers(900_000, 901_000, count), 6)),
            "email": _only(email, ids(f"person{people.practice.number + 1}.", every + 1, 1) + "@example.org"),
            "date_of_birth": days(people.birth_day),
            "sex": picked(("M", "F", "U"), sex),
            "ethnic_category": picked(ETHNIC, ethnic),
            "preferred_language": picked(spoken, language),
            "interpreter_needed": pl.Series(values=interpreter),
            "ais_format": picked(_FORMATS, format_),
            "contact_preference": picked((*_CONTACT_ONLINE, *_CONTACT_OTHERWISE), preference),
            "has_digital_access": _only(asked, pl.Series(values=online)),
            "lsoa11": picked(areas.code_2011, people.area),
            "lsoa21": _either(
                other_half, picked(areas.second_code_2021, people.area), picked(areas.code_2021, people.area)
            ),
            "imd_decile": _only(has_decile, pl.Series(values=people.decile)),
            "imd_version": picked(("2019",), has_decile.astype(np.int64) - 1),
            "is_test_patient": pl.Series(values=people.is_test),
            "is_spine_sensitive": pl.Series(values=sensitive),
            "is_confidential": pl.Series(values=rng.random(count) < 0.002),
            "is_deleted": same(False, count),
        }
    )


def _addresses(people: People, rng: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give everybody's own address, and the address of the care home of those who live in one."""
    count, districts = people.count, _districts(people.practice)
    house, street = rng.integers(1, 180, count), rng.integers(1, 41, count)
    own = ids("", house, 1) + " Street " + ids("", street, 1) + ", Valeton"
    homes = care_homes_of(people.practice)
    kind = np.maximum(people.care_home, 1)
    alike = len(homes) // 3
    place = (kind - 1) + 3 * rng.integers(0, alike, count)
    return (
        pl.DataFrame({"address_lines": own, "postcode": picked(districts, people.area)}),
        pl.DataFrame(
            {
                "address_lines": picked(
                    [f"{home.name}, {home.street} Orchard Close, Valeton" for home in homes], place
                ),
                "postcode": picked([home["postcode"] for home in care_home_register(people.practice)], place),
            }
        ),
    )


def care_home_register(practice: Practice) -> list[dict[str, str]]:
    """Give the care homes of a practice as the setting ``care_homes`` has them."""
    districts = _districts(practice)
    return [
        {
            "id": f"1-{practice.number + 1:04}{home.street:02}",
            "name": f"{home.name} at {home.street} Orchard Close",
            "postcode": districts[home.street % len(districts)],
            "named_lead": "care_home_lead_nurse" if home.kind == 1 else "gp",
        }
        for home in care_homes_of(practice)
    ]


def _districts(practice: Practice) -> list[str]:
    """Give the postcodes of a practice, one for each of its areas."""
    return [f"QZ{practice.number % 99 + 1} {area % 9 + 1}Z{chr(ord('A') + area)}" for area in range(24)]


def _only(condition: Flags, column: pl.Series) -> pl.Series:
    """Leave the values where the condition holds and empty the others."""
    return pl.select(pl.when(pl.Series(values=condition)).then(column)).to_series()


def _either(condition: Flags, here: pl.Series, there: pl.Series) -> pl.Series:
    """Give the one value where the condition holds and the other elsewhere."""
    return pl.select(pl.when(pl.Series(values=condition)).then(here).otherwise(there)).to_series()
