"""Hospital care and deaths of the synthetic county as records show them: episodes, and the rows of every other feed.

A spell becomes one or more episodes with their diagnoses; a trust that sends each change as it happens shows people
who are still in hospital, the others a stay weeks after it has ended. Either sends it again when the month is frozen,
and coded by then. Who is in hospital and when belongs to ``spells``; attendances to ``attendances``; care outside
hospital to ``contacts``; what programmes change to ``programmes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from stratify.synth import hospital_codes as codes
from stratify.synth.attendances import ed_rows, op_rows
from stratify.synth.care_around import around_rows
from stratify.synth.columns import KNOWN, NEVER, REPLACES, YEAR, Flags, Floats, Ints, days, ids, known, picked, same
from stratify.synth.conditions import DEFICIT_NAMES, Conditions
from stratify.synth.contacts import contact_rows
from stratify.synth.gp_record import Flares
from stratify.synth.hospital_codes import AGES, Beside, Cause, Procedure
from stratify.synth.population import ETHNIC, People
from stratify.synth.programmes import run_programmes
from stratify.synth.spells import (
    ANTENATAL,
    BIRTH,
    COPD,
    DAY_CASE,
    DELIVERY,
    EMERGENCY,
    PROVIDERS,
    REGULAR,
    STAY,
    TRANSFER,
    Spells,
    draw_spells,
    with_transfers,
)
from stratify.synth.versions import FOR_GOOD, are_shown, known_after
from stratify.synth.world import County

_METHODS = ("21", "22", "2A", "24", "23", "2D", "25", "11", "12", "13", "31", "32", "82", "83", "2C", "2B")
_PLACE = {method: number for number, method in enumerate(_METHODS)}
_COLUMNS_OF_DIAGNOSES = 13
_CODED = (1.45, 1.2, 1.0)
"""How much each trust codes besides the main diagnosis; they differ in how deep they code."""
_SENDS_CHANGES = 0
"""Position of the trust that sends every change as it happens."""


@dataclass(frozen=True)
class Care:
    """Everything hospitals, community services and programmes have about one practice's people.

    Attributes:
        frames: Typed frames by landing table, with ``_known`` and where versions follow one another ``_replaces``.
        enrolment: Rows of ``truth/enrolment.parquet``.
    """

    frames: Mapping[str, pl.DataFrame]
    enrolment: pl.DataFrame


def care_rows(county: County, people: People, conditions: Conditions, flares: Flares) -> Care:
    """Give hospital, community and programme records of one practice's people.

    Args:
        county: The county.
        people: The people, with their deaths.
        conditions: What is wrong with them.
        flares: Flare-ups of COPD, some of which lead to an admission.
    """
    without = draw_spells(county, people, conditions, flares)
    changed, joined, enrolment = run_programmes(county, people, without)
    spells = with_transfers(county, changed, people.practice)
    method = _methods(county, people, conditions, spells)
    by_door = np.flatnonzero((method == _PLACE["21"]) | (method == _PLACE["2A"]))
    frames = {
        "apc_episode": _episodes(county, people, conditions, spells, method),
        "ed_attendance": ed_rows(county, people, conditions, spells.chosen(by_door), method[by_door] == _PLACE["2A"]),
        "op_attendance": op_rows(county, people, conditions, spells),
        "death": _deaths(county, people, conditions, spells),
        **contact_rows(county, people, conditions, spells, joined),
        **around_rows(county, people, conditions, spells),
    }
    return Care(frames, enrolment)


# ------------------------------------------------------------------------------------------------------- episodes


def _methods(county: County, people: People, conditions: Conditions, spells: Spells) -> Ints:
    """Draw the admission method of each spell, as a position in ``_METHODS``."""
    rng = county.generator(people.practice, "admission methods")
    luck, again = rng.random(len(spells)), rng.random(len(spells))
    emergency = np.searchsorted(np.cumsum((0.70, 0.09, 0.05, 0.05, 0.01)), luck)
    in_crisis = (conditions.onset["severe_mental_illness"][spells.person] <= spells.admitted) & (again < 0.06)
    emergency = np.where(in_crisis, _PLACE["25"], emergency)
    planned = _PLACE["11"] + np.searchsorted((0.55, 0.85), luck)
    kind = spells.kind
    chosen: Ints = np.select(
        [kind <= EMERGENCY, kind == REGULAR, kind == TRANSFER, kind == BIRTH, kind >= DELIVERY],
        [
            emergency,
            np.full(len(spells), _PLACE["13"]),
            np.full(len(spells), _PLACE["2B"]),
            _PLACE["82"] + np.searchsorted((0.97, 0.98), luck),
            _PLACE["31"] + (luck < 0.15),
        ],
        planned,
    ).astype(np.int64)
    return chosen


def _episodes(county: County, people: People, conditions: Conditions, spells: Spells, method: Ints) -> pl.DataFrame:
    rng = county.generator(people.practice, "episodes")
    practice = people.practice
    length = spells.discharged - spells.admitted
    parts = _parts(spells, length, rng)
    spell = np.repeat(np.arange(len(spells)), parts)
    order = np.arange(len(spell)) - np.repeat(np.cumsum(parts) - parts, parts)
    start = spells.admitted[spell] + (length[spell] * order) // parts[spell]
    end = spells.admitted[spell] + (length[spell] * (order + 1)) // parts[spell]

    person, kind = spells.person[spell], spells.kind[spell]
    day = spells.admitted[spell]
    diagnoses, operation, specialty = _diagnoses(people, conditions, spells, spell, order, rng)
    in_home = (people.care_home[person] > 0) & (people.care_home_since[person] <= day)
    home = np.where(people.care_home[person] == 1, 1, 2)
    sent_on = np.zeros(len(spells), dtype=np.bool_)
    sent_on[:-1] = spells.kind[1:] == TRANSFER
    died = spells.has_died[spell]
    numbered = people.has_number[person]
    number = practice.number * 10**7 + spell
    ordinary = (kind <= EMERGENCY) | (kind == STAY) | (kind == TRANSFER)
    source = np.select([kind == TRANSFER, kind == BIRTH, in_home & ordinary], [3, 4, home], 0)
    destination = np.select([died, sent_on[spell], in_home], [4, 3, home], 0)
    patient_class = np.select(
        [kind == DAY_CASE, kind == REGULAR, (kind >= DELIVERY) & (length[spell] == 0)], [1, 2, 3], 0
    )
    luck = rng.random((len(spell), 3))
    ethnic = np.where(luck[:, 0] < 0.05, ETHNIC.index("Z"), people.ethnic[person])
    whole = pl.DataFrame(
        {
            "provider_code": picked(PROVIDERS, spells.provider[spell]),
            "cds_unique_id": ids("B", number * 10 + order + 1, 13),
            "nhs_number": people.number_of(person),
            "nhs_number_status": picked(
                ("01", "02", "07"), np.where(numbered, (luck[:, 1] < 0.03).astype(np.int64), 2)
            ),
            "spell_id": ids("S", number, 12),
            "episode_order": pl.Series(values=order + 1),
            "admission_date": days(day),
            "episode_start": days(start),
            "admission_method": picked(_METHODS, method[spell]),
            "admission_source": picked(("19", "55", "56", "51", "79"), source),
            "patient_class": picked(("1", "2", "3", "5"), patient_class),
            "treatment_function": picked(_SPECIALTIES, specialty),
            "main_specialty": picked(_SPECIALTIES, specialty),
            "opertn_01": operation,
            "ethnic_category": picked(ETHNIC, ethnic),
            "practice_code_at_event": people.record_of(person, start)[0],
            "update_type": picked(("NETCHANGE", "BULK"), (spells.provider[spell] != _SENDS_CHANGES).astype(np.int64)),
            "is_legally_restricted": same(False, len(spell)),
            "is_deleted": same(False, len(spell)),
        }
    )
    return _versions(county, people, spells, spell, start, end, destination, luck[:, 2], whole, diagnoses)


def _parts(spells: Spells, length: Ints, rng: np.random.Generator) -> Ints:
    """Draw how many episodes each spell has: the longer, the more consultants."""
    luck = rng.random((len(spells), 3))
    ordinary = (spells.kind <= EMERGENCY) | (spells.kind == STAY) | (spells.kind == TRANSFER)
    second = ordinary & (luck[:, 0] < np.interp(length, (0, 1, 3, 10), (0.0, 0.30, 0.5, 0.7)))
    third = second & (length >= 6) & (luck[:, 1] < 0.35)
    fourth = third & (length >= 14) & (luck[:, 2] < 0.3)
    parts: Ints = 1 + second.astype(np.int64) + third + fourth
    return parts


def _versions(
    county: County,
    people: People,
    spells: Spells,
    spell: Ints,
    start: Ints,
    end: Ints,
    destination: Ints,
    luck: Floats,
    whole: pl.DataFrame,
    diagnoses: Sequence[Ints],
) -> pl.DataFrame:
    """Give each episode as extracts show it: still in hospital, then finished (flex), then final (freeze)."""
    rng = county.generator(people.practice, "episode versions")
    discharged = spells.discharged[spell]
    prompt = spells.provider == _SENDS_CHANGES
    ended = np.where(prompt, known_after(spells.discharged, 2, 9, rng), known_after(spells.discharged, 20, 46, rng))[
        spell
    ]
    frozen = ended + rng.integers(28, 46, len(spells))[spell]
    seen = (spells.admitted + rng.integers(1, 5, len(spells)))[spell]
    is_stay = (spells.kind <= EMERGENCY) | (spells.kind == STAY) | (spells.kind == TRANSFER)
    is_open = (prompt & is_stay)[spell] & (start <= seen) & (seen < discharged)

    opened = np.flatnonzero(is_open & are_shown(county, seen, ended))
    flex = np.flatnonzero(are_shown(county, ended, frozen))
    final = np.flatnonzero(are_shown(county, frozen, np.full(len(frozen), FOR_GOOD)))
    row = np.concatenate([opened, flex, final])
    version = np.repeat(np.arange(3), [len(opened), len(flex), len(final)])
    in_bed = version == 0
    coded = (version == 2) | (luck[row] < np.where(in_bed, 0.5, 0.96))
    died = spells.has_died[spell][row]
    day = np.where(in_bed, seen[row], np.where(version == 1, ended[row], frozen[row]))
    leaves_himself = (luck[row] > 0.985).astype(np.int64)
    # The codes of a stay come with the discharge; until then it may stand there with none but "not known yet".
    unknown = np.full(len(row), len(_DIAGNOSES) - 1)
    first = np.where(coded, diagnoses[0][row], unknown)
    others = [np.where(coded, each[row], -1) for each in diagnoses[1:]]
    return whole[pl.Series(values=row)].with_columns(
        days(np.where(in_bed, NEVER, discharged[row])).alias("discharge_date"),
        days(np.where(in_bed & (end[row] > seen[row]), NEVER, end[row])).alias("episode_end"),
        picked(("1", "6", "4", "8"), np.select([in_bed, died], [3, 2], leaves_himself)).alias("discharge_method"),
        picked(("19", "55", "56", "51", "79", "98"), np.where(in_bed, 5, destination[row])).alias(
            "discharge_destination"
        ),
        picked(_DIAGNOSES, first).alias("diag_01"),
        *(picked(_DIAGNOSES, each).alias(f"diag_{place:02d}") for place, each in enumerate(others, 2)),
        picked(("flex", "freeze"), (version == 2).astype(np.int64)).alias("freeze_status"),
        known(day).alias(KNOWN),
        pl.Series(values=(version == 2) | ((version == 1) & is_open[row])).alias(REPLACES),
    )


# ------------------------------------------------------------------------------------------------------ diagnoses

_OBSTETRICS, _BABIES, _CHILDREN, _OLD_AGE, _CHEST = "501", "424", "420", "430", "340"
_SPECIALTIES = tuple(
    sorted(
        {each.specialty for each in (*codes.EMERGENCY_CAUSES, *codes.PLANNED, codes.CHEMOTHERAPY, codes.DIALYSIS)}
        | {_OBSTETRICS, _BABIES, _CHILDREN, _OLD_AGE, _CHEST}
    )
)
_DIAGNOSES = (
    *sorted(
        {each.code for each in (*codes.EMERGENCY_CAUSES, *codes.SECONDARY)}
        | {each.diagnosis for each in (*codes.PLANNED, codes.CHEMOTHERAPY, codes.DIALYSIS)}
        | {diagnosis for diagnosis, _ in codes.DELIVERIES}
        | {*codes.COPD_CAUSES, *codes.ANTENATAL, codes.DELIVERED, codes.BORN}
    ),
    codes.UNCODED,
)
_NUMBER_OF = {code: number for number, code in enumerate(_DIAGNOSES)}
_CATEGORY = np.unique([code[:3] for code in _DIAGNOSES], return_inverse=True)[1]
_OPERATIONS = tuple(
    sorted(
        {each.operation for each in (*codes.PLANNED, codes.CHEMOTHERAPY, codes.DIALYSIS)}
        | {operation for _, operation in codes.DELIVERIES}
    )
)


def _diagnoses(
    people: People, conditions: Conditions, spells: Spells, spell: Ints, order: Ints, rng: np.random.Generator
) -> tuple[list[Ints], pl.Series, Ints]:
    """Draw what each episode is about.

    Returns:
        Diagnoses, a position in ``_DIAGNOSES`` or -1 for each column; the operation; the specialty, a position in
        ``_SPECIALTIES``.
    """
    person, kind, day = spells.person[spell], spells.kind[spell], spells.admitted[spell]
    age = (day - people.birth_day[person]) / YEAR
    count = len(spell)
    since = _since(people, conditions)
    has = {name: since[name][person] <= day for name in since}

    primary = np.full(count, -1, dtype=np.int64)
    operation = np.full(count, -1, dtype=np.int64)
    specialty = np.full(count, _SPECIALTIES.index("300"), dtype=np.int64)

    def write(
        which: Ints, diagnosis: Sequence[str], choice: Ints, where: Sequence[str], done: Sequence[str] = ()
    ) -> None:
        primary[which] = np.array([_NUMBER_OF[code] for code in diagnosis])[choice]
        specialty[which] = np.array([_SPECIALTIES.index(each) for each in where])[choice]
        if done:
            operation[which] = np.array([_OPERATIONS.index(each) for each in done])[choice]

    urgent = np.flatnonzero((kind == EMERGENCY) | (kind == TRANSFER))
    causes = codes.EMERGENCY_CAUSES
    choice = _cause(age[urgent], {name: held[urgent] for name, held in has.items()}, causes, rng)
    write(urgent, [each.code for each in causes], choice, [each.specialty for each in causes])
    flared = np.flatnonzero(kind == COPD)
    write(flared, codes.COPD_CAUSES, (rng.random(len(flared)) < 0.4).astype(np.int64), (_CHEST,) * 2)
    planned = np.flatnonzero((kind == DAY_CASE) | (kind == STAY))
    stays = kind[planned] == STAY
    choice = _procedure(age[planned], stays, codes.PLANNED, rng)
    write(
        planned,
        [each.diagnosis for each in codes.PLANNED],
        choice,
        [each.specialty for each in codes.PLANNED],
        [each.operation for each in codes.PLANNED],
    )
    regular = np.flatnonzero(kind == REGULAR)
    kinds = (codes.CHEMOTHERAPY, codes.DIALYSIS)
    # Whoever comes again and again without a cancer comes for dialysis.
    write(
        regular,
        [each.diagnosis for each in kinds],
        (~has["cancer"][regular]).astype(np.int64),
        [each.specialty for each in kinds],
        [each.operation for each in kinds],
    )
    mothers = np.flatnonzero(kind == DELIVERY)
    choice = np.searchsorted((0.3, 0.6, 0.85), rng.random(len(mothers)))
    write(
        mothers,
        [diagnosis for diagnosis, _ in codes.DELIVERIES],
        choice,
        (_OBSTETRICS,) * len(codes.DELIVERIES),
        [done for _, done in codes.DELIVERIES],
    )
    waiting = np.flatnonzero(kind == ANTENATAL)
    write(waiting, codes.ANTENATAL, rng.integers(0, len(codes.ANTENATAL), len(waiting)), (_OBSTETRICS,) * 3)
    babies = np.flatnonzero(kind == BIRTH)
    write(babies, (codes.BORN,), np.zeros(len(babies), dtype=np.int64), (_BABIES,))

    # A later episode is mostly about the same; its specialty is what the person was moved to.
    same_again = (order > 0) & (rng.random(count) < 0.7)
    before = np.arange(count) - order
    primary = np.where(same_again, primary[before], primary)
    moved_on = (order > 0) & (age >= 75) & ((kind <= EMERGENCY) | (kind == TRANSFER)) & (rng.random(count) < 0.6)
    specialty = np.where(moved_on, _SPECIALTIES.index(_OLD_AGE), specialty)
    specialty = np.where((age < 16) & (kind <= EMERGENCY), _SPECIALTIES.index(_CHILDREN), specialty)
    others = _others(people, spells, spell, age, has, primary, rng)
    return [primary, *others], picked(_OPERATIONS, operation), specialty


def _since(people: People, conditions: Conditions) -> dict[str, Ints]:
    """Give the day since which each person has what a diagnosis is about."""
    every = {name for each in codes.EMERGENCY_CAUSES for name, _ in each.because}
    every |= {each.about for each in codes.SECONDARY if each.about} | {"cancer"}
    special = {
        "frail": np.where(conditions.frailty >= 2, 0, NEVER),
        "smoked": np.where(people.smoking > 0, 0, NEVER),
    }
    return {
        name: special[name]
        if name in special
        else conditions.onset[name]
        if name in conditions.onset
        else conditions.deficit_day[:, DEFICIT_NAMES.index(name)]
        for name in sorted(every)
    }


def _cause(age: Floats, has: Mapping[str, Flags], causes: Sequence[Cause], rng: np.random.Generator) -> Ints:
    weights = np.empty((len(age), len(causes)))
    for number, cause in enumerate(causes):
        weights[:, number] = np.interp(age, AGES, cause.by_age)
        for name, factor in cause.because:
            weights[:, number] *= np.where(has[name], factor, 1.0)
    return _by_weight(weights, rng)


def _procedure(age: Floats, stays: Flags, choices: Sequence[Procedure], rng: np.random.Generator) -> Ints:
    weights = np.empty((len(age), len(choices)))
    for number, each in enumerate(choices):
        weights[:, number] = np.interp(age, AGES, each.by_age) * np.where(stays, each.stays, 1 - each.stays)
    return _by_weight(weights, rng)


def _by_weight(weights: npt.NDArray[np.float64], rng: np.random.Generator) -> Ints:
    """Draw a column of each row by its weight."""
    upto = np.cumsum(weights, axis=1)
    lot = rng.random(len(weights)) * upto[:, -1]
    column: Ints = np.minimum((upto <= lot[:, None]).sum(axis=1), weights.shape[1] - 1).astype(np.int64)
    return column


def _others(
    people: People,
    spells: Spells,
    spell: Ints,
    age: Floats,
    has: Mapping[str, Flags],
    primary: Ints,
    rng: np.random.Generator,
) -> list[Ints]:
    """Draw the secondary diagnoses of each episode, filled from the left and each once."""
    kind = spells.kind[spell]
    depth = np.array(_CODED)[spells.provider[spell]]
    depth *= np.select(
        [kind == BIRTH, kind == REGULAR, (kind == DELIVERY) | (kind == ANTENATAL), kind == DAY_CASE],
        [0, 0.05, 0.1, 0.3],
        1.0,
    )
    table: Sequence[Beside] = codes.SECONDARY
    lot = rng.random((len(spell), len(table)))
    for number, each in enumerate(table):
        anyway = each.anyway * (age >= 30)
        chance = np.where(has[each.about], each.often, anyway) * depth
        is_main = _CATEGORY[primary] == _CATEGORY[_NUMBER_OF[each.code]]
        # What is written keeps its lot as its place in line, evenly spread; what is not goes to the end.
        column = lot[:, number]
        lot[:, number] = np.where((column < chance) & ~is_main, column / np.maximum(chance, 1e-9), 2.0)
    width = _COLUMNS_OF_DIAGNOSES - 1
    first = np.argsort(lot, axis=1, kind="stable")[:, :width]
    written = np.take_along_axis(lot, first, axis=1) < 2.0
    found = np.where(written, np.array([_NUMBER_OF[each.code] for each in table])[first], -1)
    mothers = kind == DELIVERY
    found[mothers, 1:] = found[mothers, :-1]
    found[mothers, 0] = _NUMBER_OF[codes.DELIVERED]
    return [np.ascontiguousarray(found[:, column]) for column in range(width)]


# --------------------------------------------------------------------------------------------------------- deaths


def _deaths(county: County, people: People, conditions: Conditions, spells: Spells) -> pl.DataFrame:
    """Give one row a death and source; sources differ, and a few deaths are known to one source alone."""
    rng = county.generator(people.practice, "death certificates")
    dead = np.flatnonzero((people.death_day <= county.last_day) & people.has_number)
    count = len(dead)
    died = people.death_day[dead]
    in_hospital = np.isin(dead, spells.person[spells.has_died])
    registered = died + rng.integers(2, 22, count)
    luck = rng.random((count, 4))
    ons = luck[:, 0] < 0.93
    spine = luck[:, 1] < 0.9
    practice = people.gp_knows_death[dead] & (luck[:, 2] < 0.7)
    spine |= ~(ons | practice | people.gp_knows_death[dead])
    elsewhere = np.where(luck[:, 2] < 0.1, 2, 3)
    place = np.select([in_hospital, people.care_home[dead] > 0, luck[:, 3] < 0.01], [0, 1, 4], elsewhere)
    cause = rng.integers(0, len(codes.DEATH_CAUSES), count)
    cause = np.where(conditions.has_copd[dead] & (luck[:, 0] < 0.3), len(codes.DEATH_CAUSES), cause)
    nothing = np.full(count, -1, dtype=np.int64)
    frames = []
    for source, some, shown in (
        ("ONS", ons, registered + rng.integers(3, 10, count)),
        ("PDS", spine, died + rng.integers(2, 12, count)),
        ("GP", practice, died + rng.integers(1, 9, count)),
        ("SUS", in_hospital, died + rng.integers(20, 46, count)),
    ):
        by_register = source == "ONS"
        rows = pl.DataFrame(
            {
                "nhs_number": people.number_of(dead),
                "source": same(source, count),
                "date_of_death": days(died),
                "date_registered": days(registered if by_register else np.full(count, NEVER)),
                "place_of_death": picked(
                    ("hospital", "care_home", "hospice", "home", "elsewhere"), place if by_register else nothing
                ),
                "cause_underlying": picked(
                    (*codes.DEATH_CAUSES, codes.COPD_DEATH_CAUSE), cause if by_register else nothing
                ),
                KNOWN: known(shown),
            }
        )
        frames.append(rows.filter(pl.Series(values=some)))
    return pl.concat(frames).filter(pl.col(KNOWN) <= county.last_day)
