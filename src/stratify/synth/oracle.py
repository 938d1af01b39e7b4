"""What the rules should conclude about one invented person, worked out a second time from the words of the rules.

Plain Python over one person's rows as text, as an extract file holds them. Written from ``docs/rules/`` and the
published sources, and sharing nothing with ``clinical/``, ``features``, ``scores`` or ``pathways``: what a code means
is what the county meant by writing it (``clinical_codes``), what a diagnosis weighs is Gilbert's table once more. So
where a run and this disagree, one of them is wrong. What was found of a person belongs to ``recorded``, what pathways
share to ``rulings``, diabetes to ``oracle_diabetes``, gathering the rows and writing the answers to ``truth``.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import date, timedelta

from stratify.synth import oracle_diabetes
from stratify.synth.recorded import COPD_FACTS, DEFICIT_FACTS, Facts, Person, Records, Row
from stratify.synth.rulings import (
    NO,
    YES,
    Answer,
    Asked,
    Graded,
    Known,
    Route,
    Standing,
    all_of,
    answers_of,
    any_of,
    decide,
    elsewhere,
    first_tier,
    joined,
)


def conclude(
    records: Records, *, index_date: date, closed_practices: Container[str | None] = frozenset()
) -> dict[str, Answer]:
    """Work out everything the rules should conclude about one person.

    Args:
        records: The person's rows.
        index_date: The day the run describes; nothing dated on it or later is used.
        closed_practices: Practices that the reference knows, and not as open on that day.

    Returns:
        Answers by the column names of the expectation file; ``copd_facts`` and ``frailty_facts`` are found facts.
    """
    person = Person(records, index_date)
    status, own = _standing(records, person.today)
    if status == "registered" and own and own["practice_code"] in closed_practices:
        status = "practice_unknown"
    age, is_doubtful = _identity(records, own, index_date)
    answers: dict[str, Answer] = {
        "person_status": status,
        "identity_in_doubt": is_doubtful,
        "withheld_because": _withheld_because(records, index_date),
        "is_hospital_linked": person.is_linked,
        "age_years": age,
    }
    standing = Standing(status, is_doubtful)
    answers |= _copd(person, standing) | _care_homes(person, standing)
    answers |= oracle_diabetes.conclude(person, standing, age)
    if age is None or age >= 65:
        answers |= _frailty(person, standing, age, _months_between(own["start_date"] if own else None, index_date))
    return answers


# --------------------------------------------------------------------------------------------------- COPD pathway


def _copd(person: Person, standing: Standing) -> dict[str, Answer]:
    on_register = person.on_register()
    if on_register is False:
        return {"on_copd_register": "no"}
    facts, conflicts = person.copd_facts()
    facts = person.living() | facts
    asked = Asked(facts, conflicts, person.is_linked)
    group = _priority_group(asked)
    is_listed = YES if on_register else Known(None, lacking=("is_on_copd_register",), is_contradictory=True)
    in_highest = group.is_one_of("HRC", "HR")
    if on_register is None and in_highest.holds is not False:
        # The groups are for people on the register; whoever may not be on it can be in none for certain.
        in_highest = Known(None, lacking=joined([is_listed.lacking, in_highest.lacking]), is_contradictory=True)
    routes: list[Route] = [
        *elsewhere(asked),
        (
            "emergency_admission",
            any_of(asked.at_least("copd_emergency_admissions_count", 1), asked.has("has_copd_admission_in_gp_record")),
            "clinic",
            "copd_clinic",
        ),
        ("highest_groups", in_highest, "clinic", "copd_clinic"),
        # Everybody else: what speaks for them is what put them in their group.
        ("lower_groups", Known(True, group.is_one_of(group.tier or "").because), "self_management", None),
    ]
    return {
        "on_copd_register": "yes" if on_register else "contradictory",
        # Who may be on the register is graded as if they were: a clinician who looks at the record needs it.
        "copd_group": group.tier,
        "copd_groups_open": ";".join(group.open_tiers),
        "copd_facts": {name: facts[name] for name in COPD_FACTS if name in facts},
        **answers_of("copd", decide(standing, is_listed, routes)),
    }


def _priority_group(asked: Asked) -> Graded:
    three_classes = all_of(asked.has("has_inhaled_corticosteroid"), asked.has("has_lama"), asked.has("has_laba"))
    return first_tier(
        (
            "HRC",
            any_of(
                asked.below("fev1_percent_predicted", 30), asked.at_least("mrc_grade", 5), asked.has("has_home_oxygen")
            ),
        ),
        (
            "HR",
            any_of(
                asked.below("fev1_percent_predicted", 50),
                asked.has("has_cor_pulmonale"),
                asked.at_least("mrc_grade", 4),
                asked.at_least("copd_exacerbations_count", 2),
            ),
        ),
        (
            "MR",
            any_of(
                asked.below("fev1_percent_predicted", 80),
                asked.at_least("mrc_grade", 2),
                asked.at_least("copd_exacerbations_count", 1),
                asked.at_least("rescue_antibiotic_issues_count", 2),
                asked.at_least("prednisolone_issues_count", 1),
                asked.at_least("azithromycin_issues_count", 1),
                asked.has("has_single_triple_inhaler"),
                three_classes,
            ),
        ),
        ("LR", YES),
    )


# ------------------------------------------------------------------------------------------------ frailty pathway

_EFI = (("severe", 13), ("moderate", 9), ("mild", 5), ("fit", 0))
_HOSPITAL_TIERS = ("high", "intermediate", "low")


def _frailty(person: Person, standing: Standing, age: int | None, months_registered: int | None) -> dict[str, Answer]:
    facts = person.living() | person.frailty_facts()
    asked = Asked(facts, frozenset(), person.is_linked)
    is_polypharmacy = asked.at_least("medicines_count", 5)
    deficits = (*sorted(DEFICIT_FACTS & facts.keys()), *is_polypharmacy.because)
    place = next(place for place, (_, least) in enumerate(_EFI) if len(deficits) >= least)
    # A record that may not have arrived whole can only show too little; not knowing since when is no comfort.
    is_low = months_registered is None or months_registered < 12
    tiers = tuple(tier for tier, _ in _EFI)
    efi = Graded(
        None if is_low and tiers[place] == "fit" else tiers[place],
        tiers[: place + 1] if is_low else (tiers[place],),
        tuple((tier, Known(True, deficits)) for tier in tiers),
    )
    points, hospital = _hospital_frailty(facts, person.is_linked, age)
    # Not known for want of hospital data: passed over, and shown as a gap.
    is_high = Known(True, ("hospital_frailty_points",)) if hospital.open_tiers == ("high",) else NO
    recorded = any_of(asked.has("has_severe_frailty_recorded"), asked.has("has_moderate_frailty_recorded"))
    routes: list[Route] = [
        *elsewhere(asked),
        ("moderate_or_severe", efi.is_one_of("severe", "moderate"), "clinic", "frailty_clinic"),
        ("recorded_frailty_higher", recorded, "clinician_review", "clinician_review"),
        ("hospital_frailty_high", is_high, "clinician_review", "clinician_review"),
        ("mild", efi.is_one_of("mild"), "self_management", None),
        ("fit", YES, "not_eligible", None),
    ]
    return {
        "efi_deficits": len(deficits),
        "efi_tier": efi.tier,
        "efi_tiers_open": ";".join(efi.open_tiers),
        "hospital_frailty_points": points,
        "hospital_frailty_tier": hospital.tier,
        "hospital_frailty_tiers_open": ";".join(hospital.open_tiers) or None,
        "frailty_facts": facts,
        **answers_of("frailty", decide(standing, YES, routes)),
    }


def _hospital_frailty(facts: Facts, is_linked: bool, age: int | None) -> tuple[float | None, Graded]:
    if age is not None and age < 75:
        return None, Graded(None, ())
    if not is_linked:
        return None, Graded(None, _HOSPITAL_TIERS)
    if "hospital_frailty_points" not in facts:
        return None, Graded(None, ())
    points = facts["hospital_frailty_points"].value
    tier = "high" if points > 15 else "intermediate" if points >= 5 else "low"
    return points, Graded(tier, (tier,))


# --------------------------------------------------------------------------------------------- care-home pathway


def _care_homes(person: Person, standing: Standing) -> dict[str, Answer]:
    living = person.living()
    asked = Asked(living, frozenset(), person.is_linked)
    palliative, in_home = (known for _, known, _, _ in elsewhere(asked))
    if not in_home.holds:
        return {}
    facts = living | person.care_home_facts()
    asked = Asked(facts, frozenset(), person.is_linked)
    has_plan = asked.has("has_care_plan_of_the_year").holds
    came = any_of(asked.has("has_left_hospital"), asked.has("has_moved_into_care_home"))
    # Without hospital records nobody knows who left hospital: it is the same round in any case.
    routes: list[Route] = [
        ("palliative", palliative, "clinic", "palliative_review"),
        ("moved_or_came_back", came, "clinic", "care_home_round"),
        ("no_plan", NO if has_plan else YES, "clinic", "care_home_round"),
        ("resident", YES, "clinic", "care_home_round"),
    ]
    return {"care_homes_facts": facts, **answers_of("care_homes", decide(standing, YES, routes))}


# ------------------------------------------------------------------------------------------------ who and when

_SAME_BIRTH_DAYS, _OLDEST_AGE = 366, 120
_SEXES = frozenset({"M", "F", "I"})


def _standing(records: Records, today: str) -> tuple[str, Row | None]:
    """Give where the person stands on the index date, and the registration they are seen under."""
    current = [
        row
        for row in records.registrations
        if (row["start_date"] or "") <= today and (row["end_date"] is None or row["end_date"] > today)
    ]
    regular = [row for row in current if row["registration_type"] in ("REGULAR", None)]
    # Of several the latest start, then the one that ends last or not at all.
    own = max(regular, key=lambda row: (row["start_date"] or "", row["end_date"] or "9999-12-31"), default=None)
    if records.deaths or any(row["date_of_death"] for row in records.patients):
        return "died", own
    if any(row["is_test_patient"] == "true" for row in records.patients):
        return "test_patient", own
    if own is not None:
        return "registered", own
    if current:
        return "temporary", None
    has_ended = any(row["end_date"] is not None and row["end_date"] <= today for row in records.registrations)
    return ("left" if has_ended else "never_registered"), None


def _identity(records: Records, own: Row | None, index_date: date) -> tuple[int | None, bool]:
    """Give the age, and whether it is in doubt who this is.

    Two dates of birth more than a year apart or two sexes under one NHS number are two people's, or a fault
    (``nhs-data.md``, I5); so is an age of 120 (D8), and a birth after the day. Without a date of birth nobody knows.
    """
    births = sorted({row["date_of_birth"] for row in records.patients} - {None}, key=str)
    sexes = {row["sex"] for row in records.patients} & _SEXES
    days = [date.fromisoformat(each) for each in births if each]
    if not days or days[-1] - days[0] > timedelta(days=_SAME_BIRTH_DAYS):
        return None, True
    born = days[0] if len(days) == 1 else _spoken_for(records, own)
    age = index_date.year - born.year - ((index_date.month, index_date.day) < (born.month, born.day))
    return (age if age >= 0 else None), len(sexes) > 1 or age >= _OLDEST_AGE or age < 0


def _spoken_for(records: Records, own: Row | None) -> date:
    """Give the date of birth of the record that speaks for the person: the current one, else the latest registered."""
    latest: dict[tuple[str | None, str | None], str] = {}
    for row in records.registrations:
        record = row["org_code"], row["source_patient_id"]
        latest[record] = max(latest.get(record, ""), row["start_date"] or "")
    rows = sorted(records.patients, key=lambda row: (row["org_code"] or "", row["source_patient_id"] or ""))
    rows.sort(key=lambda row: latest.get((row["org_code"], row["source_patient_id"]), ""), reverse=True)
    if own is not None:
        rows.sort(
            key=lambda row: (
                row["org_code"] != own["practice_code"],
                row["source_patient_id"] != own["source_patient_id"],
            )
        )
    return next(date.fromisoformat(row["date_of_birth"]) for row in rows if row["date_of_birth"])


def _withheld_because(records: Records, index_date: date) -> str | None:
    """Say why case finding leaves the person out when every objection is honoured; None when it does not."""
    today = index_date.isoformat()

    def objects(kind: str) -> bool:
        begun = [
            (row["effective_from"] or "", row["checked_at"] or "", row["is_opted_out"] == "true")
            for row in records.objections
            if row["opt_out_type"] == kind and (row["is_opted_out"] == "true" or (row["effective_from"] or "") <= today)
        ]
        return bool(begun) and max(begun)[2]

    checks = [
        (row["checked_at"] or "", row["is_opted_out"] == "true", row["expires_at"])
        for row in records.objections
        if row["opt_out_type"] == "NDO"
    ]
    checked_at, is_out, expires_at = max(checks, key=lambda check: check[:2], default=("", False, None))
    oldest = (index_date - timedelta(days=7)).isoformat()
    is_fresh = checked_at[:10] >= oldest and (expires_at is None or expires_at[:10] >= today)
    has_number = any(row["nhs_number"] for row in records.patients)
    if objects("TYPE1"):
        return "Type 1 opt-out"
    if is_out:
        return "national data opt-out"
    if objects("RISK_STRAT_LOCAL"):
        return "local objection to risk stratification"
    return "national opt-out not checked" if has_number and not is_fresh else None


def _months_between(since: str | None, index_date: date) -> int | None:
    if since is None:
        return None
    start = date.fromisoformat(since)
    return (index_date.year - start.year) * 12 + index_date.month - start.month - (index_date.day < start.day)
