"""Care of the synthetic county outside hospital wards: referrals, home visits asked for, community contacts, pathways.

What a pathway offers, who takes it up and what came of it is here as it comes back from lists, apps and referral
systems; who is in a programme and what it changes belongs to ``programmes``. Nobody publishes national rates of most of
this by person: community contacts follow Community Services Statistics (NHS England, about 100 million contacts a
year); the rest is plausible and said to be no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from stratify.synth import hospital_codes as codes
from stratify.synth.columns import (
    KNOWN,
    NEVER,
    REPLACES,
    Flags,
    Floats,
    Ints,
    days,
    ids,
    known,
    moments,
    picked,
    same,
)
from stratify.synth.conditions import Conditions
from stratify.synth.population import ETHNIC, People
from stratify.synth.programmes import PROGRAMMES, Enrolled, runs, start_day
from stratify.synth.spells import Spells, come, first_days, on_working_days
from stratify.synth.versions import FOR_GOOD, are_shown, known_after
from stratify.synth.world import County

_COMMUNITY = "RZ6"
"""The invented community trust; it holds every referral here as well."""

_MAY_NEED_AN_INTERPRETER = tuple(number for number, code in enumerate(ETHNIC) if code in "CJKLNRS")
_TWO_YEARS = 731


def contact_rows(
    county: County, people: People, conditions: Conditions, spells: Spells, joined: Enrolled
) -> dict[str, pl.DataFrame]:
    """Give referrals, home-visit requests, community contacts and pathway activity of one practice's people.

    Args:
        county: The county.
        people: The people.
        conditions: What is wrong with them.
        spells: Their hospital spells, as they are; some are followed by visits at home.
        joined: Who is in which programme.
    """
    need = _Need(county, people, conditions)
    return {
        "referral": _referrals(county, people, need),
        "home_visit_request": _home_visits(county, people, need),
        "community_contact": _community(county, people, need, spells),
        "pathway_activity": _activity(county, people, need, joined),
    }


class _Need:
    """What makes people likely to be referred, visited and offered something; arrays with one element a person."""

    def __init__(self, county: County, people: People, conditions: Conditions) -> None:
        age = people.age_on(county.cutoff_days[0])
        self.age = age
        self.poverty = (10 - people.decile) / 9
        self.numbered = people.has_number & ~people.is_test
        self.frailty = conditions.frailty
        self.severity = conditions.copd_severity
        self.at_home = people.care_home == 0
        self._known: dict[str, Floats | Flags] = {
            **{name: day < NEVER for name, day in conditions.onset.items()},
            "severe_copd": conditions.copd_severity >= 0.5,
            "very_severe_copd": conditions.copd_severity >= 0.75,
            "mild_frailty": conditions.frailty == 1,
            "moderate_frailty": conditions.frailty == 2,
            "severe_frailty": conditions.frailty == 3,
            "housebound": conditions.has_deficit("housebound"),
            "falls": conditions.has_deficit("falls"),
            "palliative_care": conditions.is_palliative,
            "smoker": people.smoking == 2,
            "adult": age >= 16,
            "over_65": age >= 65,
            "poverty": self.poverty,
        }

    def rate(self, of: Mapping[str, float]) -> Floats:
        """Add up what each thing adds to a yearly rate; those without an NHS number are nobody's."""
        total = sum(self._known[name] * more for name, more in of.items())
        return np.round(total * self.numbered, 6)

    def has(self, name: str) -> Flags:
        """Say who has something."""
        return self._known[name] > 0


# ------------------------------------------------------------------------------------------------------ referrals


@dataclass(frozen=True)
class _Service:
    """Somewhere people are referred to: how often a year and why, days waited in the middle, days on its books."""

    name: str
    rate: Mapping[str, float]
    wait: int
    stay: int


_SERVICES = (
    _Service("respiratory", {"copd": 0.08, "adult": 0.006}, 95, 150),
    _Service("pulmonary_rehabilitation", {"copd": 0.10}, 80, 70),
    _Service("home_oxygen", {"very_severe_copd": 0.08}, 21, 400),
    _Service("stop_smoking", {"smoker": 0.07}, 12, 84),
    _Service("diabetes_specialist", {"type_2_diabetes": 0.05, "type_1_diabetes": 0.2}, 60, 300),
    _Service("diabetes_prevention", {"non_diabetic_hyperglycaemia": 0.18}, 45, 270),
    _Service("diabetes_education", {"type_2_diabetes": 0.08}, 40, 50),
    _Service("podiatry", {"type_2_diabetes": 0.10, "over_65": 0.03}, 42, 250),
    _Service("weight_management", {"obesity": 0.05}, 90, 180),
    _Service("heart_failure", {"heart_failure": 0.2}, 28, 200),
    _Service("cardiology", {"adult": 0.012, "ischaemic_heart_disease": 0.08, "atrial_fibrillation": 0.1}, 75, 120),
    _Service("renal", {"chronic_kidney_disease": 0.06}, 80, 300),
    _Service("frailty", {"mild_frailty": 0.02, "moderate_frailty": 0.12, "severe_frailty": 0.2}, 30, 90),
    _Service("falls", {"falls": 0.08, "moderate_frailty": 0.05, "severe_frailty": 0.06}, 40, 70),
    _Service("memory", {"dementia": 0.12, "over_65": 0.01}, 100, 120),
    _Service("mental_health", {"adult": 0.016, "depression": 0.12}, 50, 140),
    _Service(
        "community_nursing",
        {"mild_frailty": 0.08, "moderate_frailty": 0.3, "severe_frailty": 0.6, "housebound": 0.3},
        4,
        80,
    ),
    _Service("physiotherapy", {"adult": 0.045, "over_65": 0.015}, 45, 80),
    _Service("occupational_therapy", {"mild_frailty": 0.05, "moderate_frailty": 0.15, "severe_frailty": 0.2}, 35, 60),
    _Service("palliative", {"palliative_care": 0.6}, 5, 200),
    _Service("social_prescribing", {"adult": 0.006, "poverty": 0.016}, 18, 90),
)


def _referrals(county: County, people: People, need: _Need) -> pl.DataFrame:
    rng = county.generator(people.practice, "referrals")
    drawn = [come(county, people, need.rate(each.rate), rng) for each in _SERVICES]
    service = np.repeat(np.arange(len(drawn)), [len(person) for person, _ in drawn])
    person = np.concatenate([each[0] for each in drawn])
    day = on_working_days(np.concatenate([each[1] for each in drawn]))
    kept = day >= first_days(county, people)[person]
    service, person, day = service[kept], person[kept], day[kept]
    count = len(person)
    luck = rng.random((count, 4))
    urgent = luck[:, 0] < 0.12
    rejected = luck[:, 1] < 0.05
    wait = np.array([each.wait for each in _SERVICES])[service] * np.where(urgent, 0.35, 1.0)
    # Waits are long for a few, and longer where more people are poor.
    wait = wait * rng.gamma(3.0, 1 / 3, count) * (0.9 + 0.25 * need.poverty[person])
    seen = on_working_days(day + 2 + np.round(wait, 3).astype(np.int64))
    stay = 1 + np.round(np.array([each.stay for each in _SERVICES])[service] * rng.gamma(2.0, 0.5, count), 3).astype(
        np.int64
    )
    never = rejected | (luck[:, 2] < 0.07) | (seen > people.last_day[person])
    answered = day + rng.integers(1, 15, count)
    closed = np.where(rejected, answered, np.where(never, seen + 30, seen + stay))
    closed = np.where(closed > county.last_day, NEVER, closed)
    seen = np.where(never | (seen > county.last_day), NEVER, seen)

    # What is known of each in turn: received, on the waiting list, seen, closed.
    steps = np.stack([day, np.where(rejected, NEVER, answered), seen, closed])
    happened = steps < NEVER
    told = np.stack([np.where(step < NEVER, known_after(step, 0, 9, rng, late=0.01), 0) for step in steps])
    shown = np.maximum.accumulate(told, axis=0)
    after = np.vstack([np.where(happened, shown, FOR_GOOD)[1:], np.full((1, count), FOR_GOOD)])
    later = np.minimum.accumulate(after[::-1], axis=0)[::-1]
    chunks = [
        np.flatnonzero((steps[place] < NEVER) & are_shown(county, shown[place], later[place])) for place in range(4)
    ]
    row, state = np.concatenate(chunks), np.repeat(np.arange(4), [len(each) for each in chunks])
    status = np.where((state == 3) & rejected[row], 4, state)
    return pl.DataFrame(
        {
            "provider_code": same(_COMMUNITY, len(row)),
            "referral_id": ids("F", people.practice.number * 10**7 + row, 12),
            "nhs_number": people.number_of(person[row]),
            "referral_date": days(day[row]),
            "referring_practice_code": people.record_of(person[row], day[row])[0],
            "service": picked([each.name for each in _SERVICES], service[row]),
            "priority": picked(("routine", "urgent"), urgent[row].astype(np.int64)),
            "status": picked(("received", "waiting", "seen", "discharged", "rejected"), status),
            "first_seen_date": days(np.where(state >= 2, seen[row], NEVER)),
            "closed_date": days(np.where(state == 3, closed[row], NEVER)),
            "is_deleted": same(False, len(row)),
            KNOWN: known(shown[state, row]),
            REPLACES: pl.Series(values=state > 0),
        }
    )


# ---------------------------------------------------------------------------------------------------- home visits


def _home_visits(county: County, people: People, need: _Need) -> pl.DataFrame:
    rng = county.generator(people.practice, "home visits")
    frail = np.array([0.0, 0.0, 0.05, 0.3, 0.9])[need.frailty + 1]
    rate = np.where(need.at_home, 0.002 + frail + 1.3 * need.has("housebound"), 3.4) + 2.0 * need.has("palliative_care")
    person, day = come(county, people, np.round(rate, 6), rng, winter=0.15)
    in_home = (people.care_home[person] > 0) & (people.care_home_since[person] <= day)
    luck = rng.random((len(person), 6))
    team = next(each for each in PROGRAMMES if each.outcome == "home_visit_requests")
    # Those who will live in a home ask less before they do. From its first day the team answers before anybody asks.
    not_yet = (people.care_home[person] > 0) & ~in_home & (luck[:, 0] > 0.3)
    spared = in_home & runs(people.practice, team) & (day >= start_day(county)) & (luck[:, 0] >= team.multiplier)
    kept = ~not_yet & ~spared
    person, day, in_home, luck = person[kept], day[kept], in_home[kept], luck[kept]
    count = len(person)
    org, patient = people.record_of(person, day)
    second = 8 * 3600 + (luck[:, 1] * 600).astype(np.int64) * 60
    outcome = np.searchsorted((0.62, 0.87, 0.93, 0.97), luck[:, 2])
    by = np.where(in_home & (luck[:, 3] < 0.85), 4, np.searchsorted((0.5, 0.85, 0.95), luck[:, 4]))
    delay = 3600 + (luck[:, 5] * 300).astype(np.int64) * 60
    arrives = second + delay
    is_visited = outcome == 0
    return pl.DataFrame(
        {
            "org_code": org,
            "request_id": ids("H", people.practice.number * 10**7 + np.arange(count), 12),
            "source_patient_id": patient,
            "requested_at": moments(day, second),
            "requested_by": picked(("patient", "carer", "ambulance", "other", "care_home"), by),
            "reason_code": picked(
                [each.code for each in codes.VISIT_REASONS], rng.integers(-1, len(codes.VISIT_REASONS), count)
            ),
            "outcome": picked(
                ("visited", "telephone", "sent_to_hospital", "declined_by_practice", "cancelled"), outcome
            ),
            "visited_at": moments(np.where(is_visited, day, NEVER), arrives),
            "is_deleted": same(False, count),
            KNOWN: known(known_after(day, 0, 3, rng, late=0.01)),
        }
    ).filter(pl.col(KNOWN) <= county.last_day)


# ------------------------------------------------------------------------------------------------------ community


@dataclass(frozen=True)
class _Team:
    """A community team: spells of visiting a year and why, visits in each in the mean, days between them, and how."""

    name: str
    rate: Mapping[str, float]
    visits: int
    every: int
    mode: int
    is_planned: bool = True


_MODES = ("home_visit", "face_to_face", "telephone")
_TEAMS = (
    _Team(
        "district_nursing",
        {"adult": 0.004, "mild_frailty": 0.16, "moderate_frailty": 0.6, "severe_frailty": 1.1, "housebound": 0.6},
        16,
        4,
        0,
    ),
    _Team("community_matron", {"moderate_frailty": 0.08, "severe_frailty": 0.25}, 8, 14, 0),
    _Team("community_respiratory", {"copd": 0.12, "severe_copd": 0.2}, 4, 14, 1),
    _Team("heart_failure", {"heart_failure": 0.3}, 5, 14, 1),
    _Team(
        "therapy",
        {"adult": 0.01, "mild_frailty": 0.1, "moderate_frailty": 0.3, "severe_frailty": 0.4, "falls": 0.1},
        5,
        7,
        0,
    ),
    _Team("podiatry", {"type_2_diabetes": 0.3, "over_65": 0.05}, 3, 60, 1),
    _Team("continence", {"mild_frailty": 0.03, "moderate_frailty": 0.08, "severe_frailty": 0.12}, 2, 60, 1),
    _Team("palliative", {"palliative_care": 1.2}, 10, 5, 0),
    _Team(
        "urgent_community_response",
        {"mild_frailty": 0.04, "moderate_frailty": 0.16, "severe_frailty": 0.3},
        2,
        1,
        0,
        False,
    ),
)
_AFTER_A_STAY = "virtual_ward"


def _community(county: County, people: People, need: _Need, spells: Spells) -> pl.DataFrame:
    rng = county.generator(people.practice, "community contacts")
    persons, dates, teams = [], [], []
    for number, team in enumerate(_TEAMS):
        person, day = come(county, people, need.rate(team.rate), rng)
        which, visit = _visits(rng.poisson(team.visits - 1, len(person)) + 1)
        persons.append(person[which])
        dates.append(day[which] + visit * team.every + (rng.integers(0, 2, len(which)) if team.every > 1 else 0))
        teams.append(np.full(len(which), number))
    home = np.flatnonzero(
        (spells.kind <= 1) & ~spells.has_died & need.numbered[spells.person] & (rng.random(len(spells)) < 0.04)
    )
    which, visit = _visits(rng.integers(4, 12, len(home)))
    person = np.concatenate([*persons, spells.person[home][which]])
    day = np.concatenate([*dates, spells.discharged[home][which] + 1 + visit])
    who = np.concatenate([*teams, np.full(len(which), len(_TEAMS))])
    planned = np.array([each.is_planned for each in _TEAMS] + [True])[who]
    mode = np.array([each.mode for each in _TEAMS] + [2])[who]
    day = np.where(planned & (who != len(_TEAMS)), on_working_days(day), day)
    kept = (day >= first_days(county, people)[person]) & (day <= people.last_day[person])
    person, day, who, planned, mode = person[kept], day[kept], who[kept], planned[kept], mode[kept]
    count = len(person)
    luck = rng.random((count, 3))
    mode = np.where(luck[:, 0] < 0.08, 2, mode)
    # People are at home when the nurse comes; clinics are missed, by the poor more than by others.
    missed = np.where(mode == 0, 0.012, 0.04 + 0.05 * need.poverty[person])
    attended = np.select([luck[:, 1] < missed, luck[:, 1] < missed + 0.05, luck[:, 1] < missed + 0.08], [0, 1, 2], 3)
    return pl.DataFrame(
        {
            "provider_code": same(_COMMUNITY, count),
            "contact_id": ids("C", people.practice.number * 10**8 + np.arange(count), 13),
            "nhs_number": people.number_of(person),
            "nhs_number_status": picked(("01", "02"), (luck[:, 2] < 0.02).astype(np.int64)),
            "contact_date": days(day),
            "team": picked([*(each.name for each in _TEAMS), _AFTER_A_STAY], who),
            "contact_mode": picked(_MODES, mode),
            "attended": picked(("3", "2", "4", "5"), attended),
            "is_planned": pl.Series(values=planned),
            "is_deleted": same(False, count),
            KNOWN: known(known_after(day, 3, 20, rng)),
        }
    ).filter(pl.col(KNOWN) <= county.last_day)


def _visits(times: Ints) -> tuple[Ints, Ints]:
    """Give, for so many visits each, whose each visit is and which of theirs, from nought."""
    which = np.repeat(np.arange(len(times)), times)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(times) - times, times)


# ------------------------------------------------------------------------------------------------ pathway activity

_STEPS = ("offered", "accepted", "declined", "attended", "dna", "reviewed", "discharged", "activated")
_OFFERED, _ACCEPTED, _DECLINED, _ATTENDED, _DNA, _REVIEWED, _DISCHARGED, _ACTIVATED = range(8)
_SOURCES = ("LIST_RETURN", "APP_PROVIDER", "REFERRAL_SYSTEM")
_REASONS = ("not_needed", "no_time", "prefers_own_gp", "too_far", "language", "too_unwell")
_ROLES = ("care_coordinator", "practice_nurse", "app_provider")
_PATHWAYS = ("copd", "frailty", "diabetes_prevention", "proactive_care")
_CLINICS = ("copd_clinic", "frailty_clinic")


@dataclass(frozen=True)
class _Offer:
    """Offers of one kind: pathway, who and when, clinic (-1 outside one), whether it is an app, programme (-1 none)."""

    pathway: int
    person: Ints
    day: Ints
    clinic: int = -1
    is_app: bool = False
    source: int = 0


def _activity(county: County, people: People, need: _Need, joined: Enrolled) -> pl.DataFrame:
    """Give what became of every offer of the last two years: of pathways, then of programmes."""
    rng = county.generator(people.practice, "pathway activity")
    severe, home = need.has("severe_copd"), need.at_home
    well = need.numbered & ~need.has("palliative_care")
    kinds = (
        (0, need.has("copd") & severe & home, 0.6, 0, False, 0),
        (0, need.has("copd") & ~severe & home, 0.5, -1, True, 0),
        (1, (need.frailty >= 2) & home, 0.45, 1, False, 0),
        (1, (need.frailty == 1) & home, 0.12, -1, True, 0),
        (2, need.has("non_diabetic_hyperglycaemia"), 0.22, -1, False, 2),
    )
    offers = []
    for at, who, rate, seen_at, is_app, known_from in kinds:
        person, day = come(county, people, np.where(who & well, rate, 0.0), rng)
        day = on_working_days(day)
        kept = (day > county.cutoff_days[0] - _TWO_YEARS) & (day >= first_days(county, people)[person])
        offers.append(_Offer(at, person[kept], day[kept], seen_at, is_app, known_from))
    chunks = [_follow(people, need, offer, rng) for offer in offers]
    chunks.append(_programme_steps(joined, rng))
    steps = pl.concat(chunks)
    person, day, pathway, programme, step, clinic, source, reason, role = (each.to_numpy() for each in steps)
    count = len(person)
    shown = known_after(day, 1, 10, rng)
    kept = (day <= people.last_day[person]) & (shown <= county.last_day)
    return pl.DataFrame(
        {
            "source": picked(_SOURCES, source),
            "activity_id": ids("P", people.practice.number * 10**7 + np.arange(count), 12),
            "nhs_number": people.number_of(person),
            "pathway": picked(_PATHWAYS, pathway),
            "programme": picked([each.name for each in PROGRAMMES], programme),
            "step": picked(_STEPS, step),
            "activity_date": days(day),
            "clinic_id": picked(_CLINICS, clinic),
            "reason_code": picked(_REASONS, reason),
            "recorded_by_role": picked(_ROLES, role),
            "is_deleted": same(False, count),
            KNOWN: known(shown),
        }
    ).filter(pl.Series(values=kept))


def _steps(
    person: Ints,
    day: Ints,
    step: Ints | int,
    *,
    pathway: int,
    programme: Ints | int = -1,
    clinic: int = -1,
    source: int = 0,
    reason: Ints | int = -1,
    role: int = 0,
) -> pl.DataFrame:
    """Put together steps as whole numbers; what is not a person or a day is a position in a list of words."""
    given: dict[str, Ints | int] = {
        "person": person,
        "day": day,
        "pathway": pathway,
        "programme": programme,
        "step": step,
        "clinic": clinic,
        "source": source,
        "reason": reason,
        "role": role,
    }
    return pl.DataFrame({name: np.broadcast_to(each, person.shape).astype(np.int64) for name, each in given.items()})


def _follow(people: People, need: _Need, offer: _Offer, rng: np.random.Generator) -> pl.DataFrame:
    """Follow offers: answered or not, then a clinic or sessions, or an app that is used or is not."""
    person, day = offer.person, offer.day
    count = len(person)
    luck = rng.random((count, 6))
    foreign = np.isin(people.ethnic[person], _MAY_NEED_AN_INTERPRETER)
    accepts = 0.46 + 0.022 * people.decile[person] + 0.16 * people.engagement[person] - 0.14 * foreign
    declines = accepts + 0.20 + 0.1 * foreign
    accepted = luck[:, 0] < np.round(accepts, 6)
    declined = ~accepted & (luck[:, 0] < np.round(declines, 6))
    answered = day + rng.integers(1, 22, count)
    reason = np.where(foreign & (luck[:, 1] < 0.4), _REASONS.index("language"), (luck[:, 2] * 6).astype(np.int64))
    reason = np.where(~foreign & (reason == _REASONS.index("language")), 0, reason)
    made: list[pl.DataFrame] = []

    def note(who: Flags, when: Ints, step: int, why: Ints | int = -1, source: int = 0, role: int = 0) -> None:
        reason = why if isinstance(why, int) else why[who]
        made.append(
            _steps(
                person[who],
                when[who],
                step,
                pathway=offer.pathway,
                clinic=offer.clinic,
                source=source,
                reason=reason,
                role=role,
            )
        )

    note(np.ones(count, dtype=np.bool_), day, _OFFERED, source=offer.source)
    note(accepted, answered, _ACCEPTED, source=offer.source)
    note(declined, answered, _DECLINED, reason, source=offer.source)
    if offer.is_app:
        starts = accepted & (luck[:, 3] < np.interp(need.age[person], (40, 60, 75, 90), (0.75, 0.7, 0.5, 0.25)))
        note(starts, answered + rng.integers(0, 28, count), _ACTIVATED, source=1, role=2)
        note(starts & (luck[:, 4] < 0.6), answered + rng.integers(80, 120, count), _REVIEWED, role=1)
    else:
        missed = accepted & (luck[:, 3] < 0.08 + 0.14 * need.poverty[person])
        comes = accepted & (~missed | (luck[:, 4] < 0.5))
        first = on_working_days(answered + rng.integers(7, 45, count))
        second = on_working_days(first + rng.integers(7, 40, count))
        came = np.where(missed, second, first)
        reviewed = comes & (luck[:, 5] < 0.7)
        note(missed, first, _DNA, role=1)
        note(comes, came, _ATTENDED, role=1)
        note(reviewed, came + rng.integers(80, 130, count), _REVIEWED, role=1)
        note(reviewed, came + rng.integers(131, 250, count), _DISCHARGED)
    return pl.concat(made)


def _programme_steps(joined: Enrolled, rng: np.random.Generator) -> pl.DataFrame:
    """Give the steps of everybody offered a place in a programme; the comparison arm hears nothing of it."""
    offered = np.flatnonzero(joined.is_offered)
    person, day, programme = joined.person[offered], joined.eligible[offered], joined.programme[offered]
    enrolled = joined.enrolled[offered] < NEVER
    inside = np.flatnonzero(enrolled)
    which, visit = _visits(rng.integers(2, 7, len(inside)))
    meets = day[inside][which] + 10 + visit * 30 + rng.integers(0, 10, len(which))
    met = np.where(rng.random(len(which)) < 0.1, _DNA, _ATTENDED)
    reason = np.where(enrolled, -1, rng.integers(0, len(_REASONS), len(offered)))
    member, of, began = person[inside], programme[inside], day[inside]
    at = _PATHWAYS.index("proactive_care")
    return pl.concat(
        [
            _steps(person, day, _OFFERED, pathway=at, programme=programme),
            _steps(
                person, day, np.where(enrolled, _ACCEPTED, _DECLINED), pathway=at, programme=programme, reason=reason
            ),
            _steps(member[which], meets, met, pathway=at, programme=of[which], role=1),
            _steps(member, began + 180, _REVIEWED, pathway=at, programme=of, role=1),
            _steps(member, began + 365, _DISCHARGED, pathway=at, programme=of),
        ]
    )
