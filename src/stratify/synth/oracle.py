"""What the rules should conclude about one invented person, worked out a second time from the words of the rules.

Plain Python over one person's rows as text, as an extract file holds them. Written from ``docs/rules.md`` and the
published sources, and sharing nothing with ``clinical/``, ``features``, ``scores`` or ``pathways``: what a code means
is what the county meant by writing it (``clinical_codes``), what a diagnosis weighs is Gilbert's table once more. So
where a run and this disagree, one of them is wrong. Gathering the rows and writing the answers belong to ``truth``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from stratify.errors import RunError
from stratify.synth import clinical_codes as codes
from stratify.synth import recorded
from stratify.synth.recorded import NO, YES, Answer, Known, Person, Records


@dataclass(frozen=True)
class Graded:
    """A tier the records prove (or none), and every tier that what is not known leaves open, highest need first."""

    tier: str | None
    open_tiers: tuple[str, ...]
    is_contradictory: bool = False

    def is_one_of(self, *tiers: str) -> Known:
        """Say whether the tier is one of these: known once every open tier is, or none is."""
        inside = [tier in tiers for tier in self.open_tiers]
        holds = True if inside and all(inside) else (False if not any(inside) else None)
        return Known(holds, holds is None and self.is_contradictory)


def conclude(records: Records, *, index_date: date) -> dict[str, Answer]:
    """Work out everything the rules should conclude about one person.

    Args:
        records: The person's rows.
        index_date: The day the run describes; nothing dated on it or later is used.

    Returns:
        Answers by the column names of ``truth/expectation.parquet``.
    """
    today = index_date.isoformat()
    person = Person(records, index_date)
    status, registered_since = _standing(records, today)
    age = _age(records, index_date)
    answers: dict[str, Answer] = {
        "person_status": status,
        "withheld_because": _withheld_because(records, index_date),
        "is_hospital_linked": person.is_linked,
        "age_years": age,
        **person.values(),
    }
    answers |= _copd(person, status)
    answers |= _frailty(person, status, age, _months_between(registered_since, index_date))
    return answers


# --------------------------------------------------------------------------------------------------- COPD pathway


def _copd(person: Person, status: str) -> dict[str, Answer]:
    register = person.on_register()
    if register.holds is False:
        return {"on_copd_register": "no"}
    group = _priority_group(person)
    admitted = _at_least(len(person.copd_admissions()), 1, person.is_linked)
    routes = [
        *_elsewhere(person),
        ("emergency_admission", admitted, "clinic", "copd_clinic"),
        ("highest_groups", group.is_one_of("HRC", "HR"), "clinic", "copd_clinic"),
        ("lower_groups", YES, "self_management", None),
    ]
    decision, clinic, rule = _decide(status, register, routes)
    return {
        "on_copd_register": "yes" if register.holds else "contradictory",
        # Who may be on the register is graded as if they were: a clinician who looks at the record needs it.
        "copd_group": group.tier,
        "copd_groups_open": ";".join(group.open_tiers),
        "copd_decision": decision,
        "copd_clinic": clinic,
        "copd_rule": rule,
    }


def _priority_group(person: Person) -> Graded:
    fev1, fev1_conflicts = person.fev1()
    mrc, mrc_conflicts = person.mrc()
    flare_ups, linked = person.flare_ups(), person.is_linked

    def below(limit: float) -> Known:
        return Known(None if fev1 is None else fev1 < limit, fev1_conflicts)

    def breathless(grade: int) -> Known:
        return Known(None if mrc is None else mrc >= grade, mrc_conflicts)

    def seen(days: set[str], times: int = 1) -> Known:
        return Known(len(days) >= times)

    oxygen = seen(person.days_of({codes.LONG_TERM_OXYGEN.code}, months=12))
    heart = seen(person.days_of({codes.COR_PULMONALE.code}, months=60))
    three_classes = all(
        person.days_issued(kind, 6) for kind in (recorded.STEROID, recorded.MUSCARINIC, recorded.BETA_AGONIST)
    )
    return _first_tier(
        ("HRC", _any_of(below(30), breathless(5), oxygen)),
        ("HR", _any_of(below(50), heart, breathless(4), _at_least(flare_ups, 2, linked))),
        (
            "MR",
            _any_of(
                below(80),
                breathless(2),
                _at_least(flare_ups, 1, linked),
                seen(person.days_issued(recorded.ANTIBIOTICS, 12), 2),
                seen(person.days_issued({codes.PREDNISOLONE.code}, 12)),
                seen(person.days_issued({codes.AZITHROMYCIN.code}, 12)),
                seen(person.days_issued(recorded.TRIPLE, 6)),
                Known(three_classes),
            ),
        ),
        ("LR", YES),
    )


def _first_tier(*rules: tuple[str, Known]) -> Graded:
    """Go down the tiers to the first that holds; those passed that might hold stay open.

    The last tier is what is left, so it is proved only when no other one is open.
    """
    open_tiers: list[str] = []
    contradicts = False
    for place, (tier, rule) in enumerate(rules, 1):
        if rule.holds is False:
            continue
        doubted = bool(open_tiers)
        open_tiers.append(tier)
        if rule.holds:
            return Graded(None if doubted and place == len(rules) else tier, tuple(open_tiers), contradicts)
        contradicts |= rule.is_contradictory
    return Graded(None, tuple(open_tiers), contradicts)


# ------------------------------------------------------------------------------------------------ frailty pathway

_EFI = (("severe", 13), ("moderate", 9), ("mild", 5), ("fit", 0))


def _frailty(person: Person, status: str, age: int, months_registered: int | None) -> dict[str, Answer]:
    if age < 65:
        return {}
    present = {
        recorded.DEFICIT_CODES[code]
        for code, day in person.entries
        if code in recorded.DEFICIT_CODES and day < person.today
    }
    count = len(present) + (person.medicines() >= 5)
    place = next(place for place, (_, least) in enumerate(_EFI) if count >= least)
    # A record that may not have arrived whole can only show too little; not knowing since when is no comfort.
    is_low = months_registered is None or months_registered < 12
    tiers = tuple(tier for tier, _ in _EFI)
    proved = None if is_low and tiers[place] == "fit" else tiers[place]
    efi = Graded(proved, tiers[: place + 1] if is_low else (tiers[place],))
    points, hospital = _hospital_frailty(person, age)
    routes = [
        *_elsewhere(person),
        ("moderate_or_severe", efi.is_one_of("severe", "moderate"), "clinic", "frailty_clinic"),
        # Frailty graded by a clinician comes here; the county writes no such code.
        # Not known for want of hospital data: passed over, and shown as a gap.
        (
            "hospital_frailty_high",
            Known(hospital.is_one_of("high").holds is True),
            "clinician_review",
            "clinician_review",
        ),
        ("mild", efi.is_one_of("mild"), "self_management", None),
        ("fit", YES, "not_eligible", None),
    ]
    decision, clinic, rule = _decide(status, YES, routes)
    return {
        "efi_deficits": count,
        "efi_deficit_names": ";".join(sorted(present | ({"polypharmacy"} if person.medicines() >= 5 else set()))),
        "efi_tier": efi.tier,
        "efi_tiers_open": ";".join(efi.open_tiers),
        "hospital_frailty_points": points,
        "hospital_frailty_tier": hospital.tier,
        "hospital_frailty_tiers_open": ";".join(hospital.open_tiers) or None,
        "frailty_decision": decision,
        "frailty_clinic": clinic,
        "frailty_rule": rule,
    }


def _hospital_frailty(person: Person, age: int) -> tuple[float | None, Graded]:
    if age < 75:
        return None, Graded(None, ())
    if not person.is_linked:
        return None, Graded(None, ("high", "intermediate", "low"))
    first = person.since(24)
    stays = [every for day, _, every in person.emergencies if first <= day < person.today]
    if not stays:
        return None, Graded(None, ())
    categories = {code[:3] for every in stays for code in every}
    strange = sorted(categories - recorded.TENTHS.keys() - recorded.WEIGHTLESS)
    if strange:
        raise RunError(
            "synthetic county, truth",
            expected="only ICD-10 categories that synth/oracle.py knows",
            found=f"{len(strange)} others, the first {strange[0]}",
            action="Add each with its weight of Gilbert 2018, or as weightless.",
        )
    tenths = sum(recorded.TENTHS.get(category, 0) for category in categories)
    tier = "high" if tenths > 150 else "intermediate" if tenths >= 50 else "low"
    return tenths / 10, Graded(tier, (tier,))


# ------------------------------------------------------------------------------------------- what routes share


def _elsewhere(person: Person) -> list[tuple[str, Known, str, str | None]]:
    """Palliative care first, then care homes: those people are seen there and never called to a clinic or class."""
    palliative = person.has_flag({"PALLIATIVE"}) or bool(person.days_of({codes.PALLIATIVE_CARE.code}, months=24))
    in_home = person.has_flag(recorded.CARE_HOME_FLAGS) or bool(person.days_of(recorded.CARE_HOME_CODES, months=24))
    return [
        ("palliative", Known(palliative), "clinic", "palliative_review"),
        ("care_home", Known(in_home), "clinic", "care_home_round"),
    ]


def _decide(
    status: str, cohort: Known, routes: list[tuple[str, Known, str, str | None]]
) -> tuple[str, str | None, str]:
    """Take the first route that holds, unless one above it is not known and leads elsewhere."""
    if status != "registered":
        return "excluded", None, "person_status"
    rule, _, decision, clinic = next(each for each in routes if each[1].holds)
    doubts = [cohort] if cohort.holds is None else []
    for name, known, other_decision, other_clinic in routes:
        if name == rule:
            break
        if known.holds is None and (other_decision, other_clinic) != (decision, clinic):
            doubts.append(known)
    if any(doubt.is_contradictory for doubt in doubts):
        return "clinician_review", "clinician_review", "contradictory"
    if doubts:
        return "assessment", "assessment", "cannot_grade"
    return decision, clinic, rule


def _any_of(*parts: Known) -> Known:
    if any(part.holds for part in parts):
        return YES
    unknown = [part for part in parts if part.holds is None]
    return Known(None, any(part.is_contradictory for part in unknown)) if unknown else NO


def _at_least(count: int, edge: int, is_linked: bool) -> Known:
    """What comes from hospital records too may be higher than is known when they are not linked."""
    return YES if count >= edge else (NO if is_linked else Known(None))


# ------------------------------------------------------------------------------------------------ who and when


def _standing(records: Records, today: str) -> tuple[str, str | None]:
    """Give where the person stands on the index date, and since when they are registered where they are now."""
    current = [
        row
        for row in records.registrations
        if (row["start_date"] or "") <= today and (row["end_date"] is None or row["end_date"] > today)
    ]
    regular = [row["start_date"] or "" for row in current if row["registration_type"] == "REGULAR"]
    since = max(regular, default=None)
    if records.deaths or any(row["date_of_death"] for row in records.patients):
        return "died", since
    if any(row["is_test_patient"] == "true" for row in records.patients):
        return "test_patient", since
    if since is not None:
        return "registered", since
    if current:
        return "temporary", None
    return ("left" if records.registrations else "never_registered"), None


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
    if has_number and is_out:
        return "national data opt-out"
    if objects("RISK_STRAT_LOCAL"):
        return "local objection to risk stratification"
    return "national opt-out not checked" if has_number and not is_fresh else None


def _age(records: Records, index_date: date) -> int:
    born = date.fromisoformat(records.patients[0]["date_of_birth"] or "")
    return index_date.year - born.year - ((index_date.month, index_date.day) < (born.month, born.day))


def _months_between(since: str | None, index_date: date) -> int | None:
    if since is None:
        return None
    start = date.fromisoformat(since)
    return (index_date.year - start.year) * 12 + index_date.month - start.month - (index_date.day < start.day)
