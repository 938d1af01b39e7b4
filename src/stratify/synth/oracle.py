"""What the rules should conclude about one invented person, worked out a second time from the words of the rules.

Plain Python over one person's rows as text, as an extract file holds them. Written from ``docs/rules/`` and the
published sources, and sharing nothing with ``clinical/``, ``features``, ``scores`` or ``pathways``: what a code means
is what the county meant by writing it (``clinical_codes``), what a diagnosis weighs is Gilbert's table once more. So
where a run and this disagree, one of them is wrong. What was found of a person belongs to ``recorded``, gathering the
rows and writing the answers to ``truth``.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from stratify.synth.recorded import COPD_FACTS, DEFICIT_FACTS, HOSPITAL_FACTS, Facts, Person, Records, Row

Answer = str | int | float | bool | Facts | None


@dataclass(frozen=True, slots=True)
class Known:
    """Whether something holds: yes, no, or not known (``None``).

    Attributes:
        holds: The answer.
        because: Variables whose facts make it hold.
        lacking: Variables it asks about that are not known.
        is_contradictory: Some of those are not known because records contradict each other.
    """

    holds: bool | None
    because: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    is_contradictory: bool = False


YES, NO = Known(True), Known(False)
Route = tuple[str, Known, str, str | None]
"""Name, whether it holds, what is proposed, and where."""


@dataclass(frozen=True, slots=True)
class Graded:
    """A tier the records prove (or none), and every tier that what is not known leaves open, highest need first."""

    tier: str | None
    open_tiers: tuple[str, ...]
    rules: tuple[tuple[str, Known], ...] = ()

    def is_one_of(self, *tiers: str) -> Known:
        """Say whether the tier is one of these: known once every open tier is, or none is."""
        inside = [tier in tiers for tier in self.open_tiers]
        parts = [rule for tier, rule in self.rules if tier in tiers]
        return _made_of(parts, True if inside and all(inside) else None if any(inside) else False)


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
    asked = _Asked(facts, conflicts, person.is_linked)
    group = _priority_group(asked)
    is_listed = YES if on_register else Known(None, lacking=("is_on_copd_register",), is_contradictory=True)
    in_highest = group.is_one_of("HRC", "HR")
    if on_register is None and in_highest.holds is not False:
        # The groups are for people on the register; whoever may not be on it can be in none for certain.
        in_highest = Known(None, lacking=_joined([is_listed.lacking, in_highest.lacking]), is_contradictory=True)
    routes: list[Route] = [
        *_elsewhere(asked),
        (
            "emergency_admission",
            _any_of(asked.at_least("copd_emergency_admissions_count", 1), asked.has("has_copd_admission_in_gp_record")),
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
        **_answers("copd", _decide(standing, is_listed, routes)),
    }


def _priority_group(asked: _Asked) -> Graded:
    three_classes = _all_of(asked.has("has_inhaled_corticosteroid"), asked.has("has_lama"), asked.has("has_laba"))
    return _first_tier(
        (
            "HRC",
            _any_of(
                asked.below("fev1_percent_predicted", 30), asked.at_least("mrc_grade", 5), asked.has("has_home_oxygen")
            ),
        ),
        (
            "HR",
            _any_of(
                asked.below("fev1_percent_predicted", 50),
                asked.has("has_cor_pulmonale"),
                asked.at_least("mrc_grade", 4),
                asked.at_least("copd_exacerbations_count", 2),
            ),
        ),
        (
            "MR",
            _any_of(
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


def _first_tier(*rules: tuple[str, Known]) -> Graded:
    """Go down the tiers to the first that holds; those passed that might hold stay open.

    The last tier is what is left, so it is proved only when no other one is open.
    """
    open_tiers: list[str] = []
    for place, (tier, rule) in enumerate(rules, 1):
        if rule.holds is False:
            continue
        doubted = bool(open_tiers)
        open_tiers.append(tier)
        if rule.holds:
            return Graded(None if doubted and place == len(rules) else tier, tuple(open_tiers), rules)
    return Graded(None, tuple(open_tiers), rules)


# ------------------------------------------------------------------------------------------------ frailty pathway

_EFI = (("severe", 13), ("moderate", 9), ("mild", 5), ("fit", 0))
_HOSPITAL_TIERS = ("high", "intermediate", "low")


def _frailty(person: Person, standing: Standing, age: int | None, months_registered: int | None) -> dict[str, Answer]:
    facts = person.living() | person.frailty_facts()
    asked = _Asked(facts, frozenset(), person.is_linked)
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
    recorded = _any_of(asked.has("has_severe_frailty_recorded"), asked.has("has_moderate_frailty_recorded"))
    routes: list[Route] = [
        *_elsewhere(asked),
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
        **_answers("frailty", _decide(standing, YES, routes)),
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
    asked = _Asked(living, frozenset(), person.is_linked)
    palliative, in_home = (known for _, known, _, _ in _elsewhere(asked))
    if not in_home.holds:
        return {}
    facts = living | person.care_home_facts()
    asked = _Asked(facts, frozenset(), person.is_linked)
    has_plan = asked.has("has_care_plan_of_the_year").holds
    came = _any_of(asked.has("has_left_hospital"), asked.has("has_moved_into_care_home"))
    # Without hospital records nobody knows who left hospital: it is the same round in any case.
    routes: list[Route] = [
        ("palliative", palliative, "clinic", "palliative_review"),
        ("moved_or_came_back", came, "clinic", "care_home_round"),
        ("no_plan", NO if has_plan else YES, "clinic", "care_home_round"),
        ("resident", YES, "clinic", "care_home_round"),
    ]
    return {"care_homes_facts": facts, **_answers("care_homes", _decide(standing, YES, routes))}


# ------------------------------------------------------------------------------------------- what routes share


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands: registered or why not, and whether it is in doubt who they are."""

    status: str
    is_doubtful: bool


@dataclass(frozen=True, slots=True)
class _Decision:
    decision: str
    clinic: str | None
    rule: str
    because: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


class _Asked:
    """One person's facts, asked by the words of the rules; what is not known settles nothing."""

    def __init__(self, facts: Facts, conflicts: frozenset[str], is_linked: bool) -> None:
        self._facts, self._conflicts = facts, conflicts
        self._may_be_more = frozenset() if is_linked else HOSPITAL_FACTS

    def has(self, name: str) -> Known:
        return Known(True, (name,)) if name in self._facts else NO

    def at_least(self, name: str, edge: float) -> Known:
        """A count that is absent is nought; a measured value that is absent is not known."""
        found = self._facts.get(name)
        if found and found.sign:
            return self._beside(name, edge)
        if found and found.value >= edge:
            return Known(True, (name,))
        return self._missing(name) if self._is_unknown(name) or name in self._may_be_more else NO

    def below(self, name: str, edge: float) -> Known:
        if self._is_unknown(name):
            return self._missing(name)
        if self._facts[name].sign:
            over = self._beside(name, edge)
            return over if over.holds is None else NO if over.holds else Known(True, (name,))
        return Known(True, (name,)) if self._facts[name].value < edge else NO

    def _beside(self, name: str, edge: float) -> Known:
        """Say whether a value of which only one side is known is at least an edge: not known where it lies between."""
        found = self._facts[name]
        if found.sign in (">", ">="):
            return Known(True, (name,)) if found.value >= edge else self._missing(name)
        is_under = found.value <= edge if found.sign == "<" else found.value < edge
        return NO if is_under else self._missing(name)

    def _is_unknown(self, name: str) -> bool:
        return name in ("fev1_percent_predicted", "mrc_grade") and name not in self._facts

    def _missing(self, name: str) -> Known:
        return Known(None, lacking=(name,), is_contradictory=name in self._conflicts)


def _elsewhere(asked: _Asked) -> list[Route]:
    """Palliative care first, then care homes: those people are seen there and never called to a clinic or class."""
    palliative = _any_of(asked.has("is_palliative"), asked.has("palliative_code_recorded"))
    in_home = _any_of(asked.has("lives_in_care_home"), asked.has("care_home_code_recorded"))
    return [
        ("palliative", palliative, "clinic", "palliative_review"),
        ("care_home", in_home, "clinic", "care_home_round"),
    ]


def _decide(standing: Standing, cohort: Known, routes: list[Route]) -> _Decision:
    """Take the first route that holds, unless one above it is not known and leads elsewhere."""
    if standing.status not in ("registered", "practice_unknown"):
        return _Decision("excluded", None, "person_status")
    if standing.is_doubtful:
        return _Decision("clinician_review", "clinician_review", "identity_doubt")
    rule, holding, decision, clinic = next(each for each in routes if each[1].holds)
    doubts = [cohort] if cohort.holds is None else []
    for name, known, other_decision, other_clinic in routes:
        if name == rule:
            break
        if known.holds is None and (other_decision, other_clinic) != (decision, clinic):
            doubts.append(known)
    lacking = _joined(doubt.lacking for doubt in doubts)
    if any(doubt.is_contradictory for doubt in doubts):
        return _Decision("clinician_review", "clinician_review", "contradictory", lacking=lacking)
    if doubts:
        return _Decision("assessment", "assessment", "cannot_grade", lacking=lacking)
    return _Decision(decision, clinic, rule, because=holding.because)


def _answers(pathway: str, decided: _Decision) -> dict[str, Answer]:
    return {
        f"{pathway}_decision": decided.decision,
        f"{pathway}_clinic": decided.clinic,
        f"{pathway}_rule": decided.rule,
        f"{pathway}_because": ";".join(sorted(decided.because)) or None,
        f"{pathway}_lacking": ";".join(sorted(decided.lacking)) or None,
    }


def _any_of(*parts: Known) -> Known:
    answers = [part.holds for part in parts]
    return _made_of(parts, True if True in answers else None if None in answers else False)


def _all_of(*parts: Known) -> Known:
    answers = [part.holds for part in parts]
    return _made_of(parts, False if False in answers else None if None in answers else True)


def _made_of(parts: Iterable[Known], holds: bool | None) -> Known:
    """Give an answer with what its parts rest on: facts only where it holds."""
    if holds is False:
        return NO
    listed = list(parts)
    return Known(
        holds,
        because=_joined(part.because for part in listed if part.holds) if holds else (),
        lacking=_joined(part.lacking for part in listed),
        is_contradictory=any(part.is_contradictory for part in listed),
    )


def _joined(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for some in names for name in some))


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
