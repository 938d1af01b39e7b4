"""What the records of one invented person say, read a second time from the words of the rules.

Here: what the county meant by each code it writes, the windows of the rules laid over one person's rows, and each fact
the rules ask about, by the name of its variable. What follows from the facts belongs to ``oracle``. Nothing is shared
with ``clinical/`` or ``features``: codes mean what ``clinical_codes`` calls them, and the published eFI lists say which
are deficits.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache

from stratify.errors import RunError
from stratify.synth import clinical_codes as codes

Row = Mapping[str, str | None]


@dataclass
class Records:
    """Everything the county wrote about one person: rows of the landing tables, every value as text."""

    patients: list[Row] = field(default_factory=list)
    registrations: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    observations: list[Row] = field(default_factory=list)
    pressures: list[Row] = field(default_factory=list)
    issues: list[Row] = field(default_factory=list)
    episodes: list[Row] = field(default_factory=list)
    deaths: list[Row] = field(default_factory=list)
    flags: list[Row] = field(default_factory=list)
    objections: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something found: its value (1 for yes), and the day of the latest record behind it, empty when undated.

    ``sign`` is the comparator of a value that is not exact: the true one lies on that side of it.
    """

    value: float
    day: str
    sign: str = ""


Facts = dict[str, Fact]
"""What was found of a person, by the variable of the rules; what was not found is absent."""


# ----------------------------------------------------------------------------------------------- what codes mean

REGISTER = {each.code for each in (*codes.COPD_DIAGNOSES, *codes.COPD_EXACERBATIONS)}
"""An exacerbation of COPD says that there is COPD: NHS England's register list holds both."""
_FLARE_UPS = {each.code for each in codes.COPD_EXACERBATIONS}
_RESOLVED = {codes.COPD_RESOLVED.code}
_OXYGEN = {codes.LONG_TERM_OXYGEN.code}
_COR_PULMONALE = {codes.COR_PULMONALE.code}
_PALLIATIVE = {codes.PALLIATIVE_CARE.code}
CARE_HOME = {each.code for each in (codes.CARE_HOME_NURSING, codes.CARE_HOME_RESIDENTIAL, codes.CARE_HOME_UNSPECIFIED)}
_CARE_PLAN = {codes.ADVANCE_CARE_PLAN.code, codes.CARE_PLAN_AGREED.code}
CARE_HOME_FLAGS = {"CARE_HOME_NURSING", "CARE_HOME_RESIDENTIAL", "CARE_HOME_UNSPECIFIED"}
_MRC_GRADE = {each.code: number for number, each in enumerate(codes.MRC_GRADES, 1)}
_MRC_SCORES = {codes.MRC_SCORE.code: 0, codes.MMRC_SCORE.code: 1}
"""What is added to the value for the MRC grade: mMRC is one lower."""
_MRC_UNITS = {"grade", "score", "{score}", "{grade}", "1", "/5", "/4"}
_PERCENT_WORDS = {
    "%", "per cent", "percent", "% predicted", "%predicted", "% pred", "%pred", "% pred fev1", "{percent}",
    "% of predicted", "percent predicted", "% pred.",
}  # fmt: skip

DEFICIT_CODES: dict[str, str] = {
    concept.code: name for name, (_, concepts) in codes.DEFICITS.items() for concept in concepts
} | {
    # Codes the county writes for another reason that are a deficit in the published eFI lists as well.
    codes.TYPE_1_DIABETES.code: "diabetes",
    codes.DEMENTIA.code: "memory_cognitive",
    codes.CARE_HOME_NURSING.code: "requirement_for_care",
    codes.CARE_HOME_UNSPECIFIED.code: "requirement_for_care",  # not "lives in a residential home": the list omits it
    codes.MRC_GRADES[3].code: "dyspnoea",  # grade 4 and no other: the list holds no grade 5
    **dict.fromkeys(REGISTER, "respiratory_disease"),  # COPD by any of its codes
    codes.COPD_REVIEW.code: "respiratory_disease",
    codes.LONG_TERM_OXYGEN.code: "respiratory_disease",
    codes.REHABILITATION_REFERRAL.code: "respiratory_disease",
    codes.REHABILITATION_STARTED.code: "respiratory_disease",
    codes.ASTHMA_REVIEW.code: "respiratory_disease",
    **{each.code: "chronic_kidney_disease" for each in codes.CHRONIC_KIDNEY_DISEASE},
    **{each.code: "memory_cognitive" for each in codes.DEMENTIAS},
    codes.DIABETES_REVIEW.code: "diabetes",
    codes.FOOT_EXAMINATION.code: "diabetes",
    codes.RETINAL_SCREENING.code: "diabetes",
}
"""Deficit of the eFI by SNOMED CT code. Polypharmacy has none: it is five or more medicines."""

_DEFICIT_VARIABLE = {name: f"efi_{name}" for name in codes.DEFICITS if name != "polypharmacy"} | {
    "anaemia": "efi_anaemia_haematinic",
    "cerebrovascular": "efi_cerebrovascular_disease",
}
"""What the rules call a deficit, where that is not what the county calls it."""


def either_code(*medicines: codes.Medicine) -> frozenset[str]:
    """Give the codes that say which medicine it was: the dm+d one, and the BNF one where it has one.

    A row that lost one of the two still says it with the other.
    """
    return frozenset(code for each in medicines for code in (each.code, each.bnf_code) if code)


STEROID = either_code(codes.BECLOMETASONE, codes.LABA_ICS, *codes.TRIPLE_INHALERS)
MUSCARINIC = either_code(codes.TIOTROPIUM, codes.LAMA_LABA, *codes.TRIPLE_INHALERS)
BETA_AGONIST = either_code(codes.LAMA_LABA, codes.LABA_ICS, *codes.TRIPLE_INHALERS)
TRIPLE = either_code(*codes.TRIPLE_INHALERS)
ANTIBIOTICS = either_code(*codes.ANTIBIOTICS)
PREDNISOLONE = either_code(codes.PREDNISOLONE)
AZITHROMYCIN = either_code(codes.AZITHROMYCIN)

MEANINGFUL_CODES = frozenset(
    {
        codes.FEV1_PERCENT.code,
        *_MRC_GRADE,
        *_MRC_SCORES,
        *_RESOLVED,
        *_COR_PULMONALE,
        *_PALLIATIVE,
        *CARE_HOME,
        *_CARE_PLAN,
    }
    | DEFICIT_CODES.keys()
)
"""Every code of a GP entry that any conclusion can rest on."""
COPD_MEDICINES = STEROID | MUSCARINIC | BETA_AGONIST | ANTIBIOTICS | PREDNISOLONE | AZITHROMYCIN
"""Codes, dm+d and BNF, of medicines that matter by the days they were issued; any other counts as one of so many."""

_EMERGENCIES = {"21", "22", "23", "24", "25", "28", "2A", "2D"}
"""Admission methods of a new emergency: a transfer (2B) and a birth at home as intended (2C) are none."""

TENTHS: dict[str, int] = {
    "F00": 71, "G30": 40, "R29": 36, "N39": 32, "F05": 32, "W19": 32, "B96": 29, "R41": 27, "R26": 26, "I67": 26,
    "E87": 23, "E86": 23, "R54": 22, "F03": 21, "L03": 20, "Z60": 18, "R55": 18, "N17": 18, "L89": 17, "I95": 16,
    "A41": 16, "M19": 15, "M81": 14, "S72": 14, "N18": 14, "R33": 13, "R32": 12, "J18": 11, "I63": 8, "F32": 5,
    "K52": 3,
    "G81": 44, "I69": 37, "R31": 30, "R56": 26, "S42": 23, "H54": 19, "G20": 18, "K59": 18, "S22": 18, "L97": 16,
    "G40": 15, "J96": 15, "E16": 14, "S32": 14, "R69": 13, "G45": 12, "S09": 12, "A09": 11, "Z74": 11, "J69": 10,
    "H91": 9, "R63": 9, "K92": 8, "J22": 7, "N20": 7, "D64": 4,
}  # fmt: skip
"""Tenths of a point of the Hospital Frailty Risk Score, of the categories the county writes (Gilbert 2018)."""

WEIGHTLESS = frozenset(
    (
        "J44", "R07", "R10", "I20", "R51", "S52", "T39", "I48", "J45", "I10", "E11", "Z86", "E78", "I25", "K21", "Z92",
        "H26", "K63", "Z09", "M17", "K40", "C50", "M16", "K29", "O80",
        "B34", "C34", "C44", "C80", "E03", "E10", "E66", "F20", "F81", "G56", "I21", "I26", "I50", "J06", "J21", "J35",
        "K02", "K35", "K80", "K85", "M54", "N92", "O13", "O20", "O26", "O47", "O82", "T81", "Z37", "Z38", "Z49", "Z51",
    )
)  # fmt: skip
"""Categories the county writes that the score does not know. Any other category is a fault, never nought."""


# ------------------------------------------------------------------------------------------ one person's records

HOSPITAL_FACTS = frozenset({"copd_emergency_admissions_count", "copd_exacerbations_count", "hospital_frailty_points"})
"""Facts that may be more than is known while hospital records are not linked."""

LIVING_FACTS = ("is_palliative", "palliative_code_recorded", "lives_in_care_home", "care_home_code_recorded")
COPD_FACTS = (
    *LIVING_FACTS, "has_home_oxygen", "copd_emergency_admissions_count", "has_copd_admission_in_gp_record",
    "fev1_percent_predicted", "mrc_grade", "copd_exacerbations_count", "has_cor_pulmonale",
    "prednisolone_issues_count", "rescue_antibiotic_issues_count", "azithromycin_issues_count",
    "has_single_triple_inhaler", "has_inhaled_corticosteroid", "has_lama", "has_laba",
)  # fmt: skip
"""What the COPD rules ask about. The county writes no code for an admission in the GP record."""
FRAILTY_FACTS = (
    *LIVING_FACTS, "hospital_frailty_points", "has_severe_frailty_recorded", "has_moderate_frailty_recorded",
    *_DEFICIT_VARIABLE.values(), "medicines_count",
)  # fmt: skip
"""What the frailty rules ask about. The county writes no frailty graded by a clinician."""
CARE_HOME_FACTS = (*LIVING_FACTS, "has_left_hospital", "has_moved_into_care_home", "has_care_plan_of_the_year")
"""What the care-home rules ask about, beside the frailty that no clinician of the county graded."""
DEFICIT_FACTS = frozenset(_DEFICIT_VARIABLE.values())


class Person:
    """One person's records with the windows of the rules laid over them; dates stay text, which sorts as time does."""

    def __init__(self, records: Records, index_date: date) -> None:
        self.records, self.index_date, self.today = records, index_date, index_date.isoformat()
        self.numbers = {row["nhs_number"] for row in records.patients} - {None}
        self.is_linked = bool(self.numbers)
        born = sorted({row["date_of_birth"] for row in records.patients} - {None}, key=str)
        self._born = (born[0] or "") if born else ""
        died = [row["date_of_death"] for row in (*records.patients, *records.deaths) if row.get("date_of_death")]
        # Results and letters are filed for 30 days after a death; what is dated later is not about this person.
        self._last_filed = (date.fromisoformat(max(map(str, died))) + timedelta(days=30)).isoformat() if died else "9"
        self._days: dict[str, set[str]] = {}
        # An entry is an entry, with or without a value beside it; one without a date is older than any window.
        for row in (*records.events, *records.observations):
            day = self.day_of(row)
            if day < self.today and day <= self._last_filed:
                self._days.setdefault(row["snomed_code"] or "", set()).add(day)
        self._emergencies = self._emergency_spells() if self.is_linked else []

    def since(self, months: int) -> str:
        """Give the first day of a window of so many calendar months."""
        return _first_day(self.index_date, months)

    # ------------------------------------------------------------------------------------------------- the facts

    def living(self) -> Facts:
        """Give what is known of palliative care and care homes."""
        return found_of(
            is_palliative=latest_of(self._flagged({"PALLIATIVE"})),
            palliative_code_recorded=latest_of(self.entered(_PALLIATIVE, months=24)),
            lives_in_care_home=latest_of(self._flagged(CARE_HOME_FLAGS)),
            care_home_code_recorded=latest_of(self.entered(CARE_HOME, months=24)),
        )

    def on_register(self) -> bool | None:
        """Say whether the latest of "COPD" and "COPD resolved" is COPD; None when both are of one day."""
        ill, well = self.entered(REGISTER), self.entered(_RESOLVED)
        if not ill:
            return False
        if well and max(ill) == max(well):
            return None
        return not well or max(ill) > max(well)

    def copd_facts(self) -> tuple[Facts, frozenset[str]]:
        """Give what was found of what the COPD rules ask about, and which values contradict themselves."""
        fev1, fev1_conflicts = self._fev1()
        mrc, mrc_conflicts = self._mrc()
        admissions = self._copd_admissions()
        flare_ups = self.entered(_FLARE_UPS, months=12) | admissions
        facts = found_of(
            has_home_oxygen=latest_of(self.entered(_OXYGEN, months=12)),
            copd_emergency_admissions_count=latest_of(admissions, len(admissions)),
            fev1_percent_predicted=fev1,
            mrc_grade=mrc,
            copd_exacerbations_count=latest_of(flare_ups, _apart(flare_ups, 14)),
            has_cor_pulmonale=latest_of(self.entered(_COR_PULMONALE, months=60)),
            prednisolone_issues_count=_counted(self.issued(PREDNISOLONE, 12)),
            rescue_antibiotic_issues_count=_counted(self.issued(ANTIBIOTICS, 12)),
            azithromycin_issues_count=_counted(self.issued(AZITHROMYCIN, 12)),
            has_single_triple_inhaler=latest_of(self.issued(TRIPLE, 6)),
            has_inhaled_corticosteroid=latest_of(self.issued(STEROID, 6)),
            has_lama=latest_of(self.issued(MUSCARINIC, 6)),
            has_laba=latest_of(self.issued(BETA_AGONIST, 6)),
        )
        conflicts = {"fev1_percent_predicted": fev1_conflicts, "mrc_grade": mrc_conflicts}
        return facts, frozenset(name for name, holds in conflicts.items() if holds)

    def frailty_facts(self) -> Facts:
        """Give the deficits, the medicines and the hospital frailty points that were found."""
        found: dict[str, set[str]] = {}
        for code, days in self._days.items():
            if code in DEFICIT_CODES:
                found.setdefault(_DEFICIT_VARIABLE[DEFICIT_CODES[code]], set()).update(days)
        deficits = {name: Fact(1, max(days)) for name, days in found.items()}
        return deficits | found_of(medicines_count=self._medicines(), hospital_frailty_points=self._points())

    def care_home_facts(self) -> Facts:
        """Give what was found of moving in, of leaving hospital and of the plan; a month ends 30 days before today."""
        month = (self.index_date - timedelta(days=30)).isoformat()
        codes_of_homes = self.entered(CARE_HOME)
        moved_in = min(codes_of_homes, default="")  # an entry without a date is older than any other
        return found_of(
            has_left_hospital=latest_of({day for day in self._stays_ended() if month <= day < self.today}),
            has_moved_into_care_home=latest_of({moved_in} if moved_in >= month else set()),
            has_care_plan_of_the_year=latest_of(self.entered(_CARE_PLAN, months=12)),
        )

    # ------------------------------------------------------------------------------------------ what they rest on

    def is_within(self, day: str, months: int) -> bool:
        """Say whether a day is in the window of so many months, and of this person's life."""
        return self.since(months) <= day < self.today and day <= self._last_filed

    def entered(self, wanted: set[str], months: int | None = None) -> set[str]:
        """Give the days with an entry of one of some codes, ever or in so many months."""
        first = self.since(months) if months else ""
        return {day for code in wanted for day in self._days.get(code, ()) if day >= first}

    def day_of(self, row: Row) -> str:
        """Give the day an entry counts as of: none where the whole of its date lies before birth."""
        day = _first_possible(row)
        return "" if day < self._born[: _PRECISE.get(row.get("effective_precision") or "", 10)] else day

    def _issues(self) -> list[Row]:
        """Give the issues of this life: a day before birth, or long after death, is somebody else's."""
        return [row for row in self.records.issues if self._born <= (row["issue_date"] or "") <= self._last_filed]

    def issued(self, wanted: frozenset[str], months: int) -> set[str]:
        """Give the days of so many months on which one of some medicines was issued."""
        first = self.since(months)
        return {
            row["issue_date"] or ""
            for row in self._issues()
            if (row["dmd_code"] in wanted or row["bnf_code"] in wanted)
            and first <= (row["issue_date"] or "") < self.today
        }

    def _flagged(self, wanted: set[str]) -> set[str]:
        return {
            row["start_date"] or ""
            for row in self.records.flags
            if row["flag"] in wanted
            and (row["start_date"] or "") <= self.today
            and (row["end_date"] is None or row["end_date"] > self.today)
        }

    def _emergency_spells(self) -> list[tuple[str, str, set[str]]]:
        """Give day of admission, primary diagnosis of the first episode and all diagnoses of each emergency spell.

        An episode without the person's NHS number is nobody's: its diagnoses do not count, and if it is the first
        of its spell neither does the admission (an empty primary diagnosis).
        """
        spells: dict[tuple[str | None, str | None], list[Row]] = {}
        for row in self.records.episodes:
            spells.setdefault((row["provider_code"], row["spell_id"]), []).append(row)
        found = []
        for rows in spells.values():
            rows.sort(key=lambda row: (int(row["episode_order"] or 0), row["cds_unique_id"] or ""))
            first, own = rows[0], [row for row in rows if row["nhs_number"] in self.numbers]
            if first["admission_method"] in _EMERGENCIES:
                every = {row[f"diag_{place:02d}"] for row in own for place in range(1, 21)}
                primary = (first["diag_01"] or "") if first["nhs_number"] in self.numbers else ""
                found.append((first["admission_date"] or "", primary, {code for code in every if code is not None}))
        return found

    def _stays_ended(self) -> set[str]:
        """Give the day each stay ended: that of the last episode, of a spell whose first is this person's."""
        if not self.is_linked:
            return set()
        spells: dict[tuple[str | None, str | None], list[Row]] = {}
        for row in self.records.episodes:
            spells.setdefault((row["provider_code"], row["spell_id"]), []).append(row)
        ended = set()
        for rows in spells.values():
            rows.sort(key=lambda row: (int(row["episode_order"] or 0), row["cds_unique_id"] or ""))
            began, end = rows[0]["admission_date"], rows[-1].get("discharge_date")
            if rows[0]["nhs_number"] in self.numbers and began and end and began <= end:
                ended.add(end)
        return ended

    def _copd_admissions(self) -> set[str]:
        """Give the days of emergency admissions for COPD (J41 to J44 as primary diagnosis) of twelve months."""
        first = self.since(12)
        return {
            day
            for day, primary, _ in self._emergencies
            if primary[:3] in ("J41", "J42", "J43", "J44") and first <= day < self.today
        }

    def _points(self) -> Fact | None:
        """Give the Hospital Frailty Risk Score of two years; None without an emergency stay, which is not nought."""
        first = self.since(24)
        stays = [(day, every) for day, _, every in self._emergencies if every and first <= day < self.today]
        if not stays:
            return None
        categories = {code[:3] for _, every in stays for code in every}
        strange = sorted(categories - TENTHS.keys() - WEIGHTLESS)
        if strange:
            raise RunError(
                "synthetic county, truth",
                expected="only ICD-10 categories that synth/recorded.py knows",
                found=f"{len(strange)} others, the first {strange[0]}",
                action="Add each with its weight of Gilbert 2018, or as weightless.",
            )
        return Fact(sum(TENTHS.get(category, 0) for category in categories) / 10, max(day for day, _ in stays))

    def _medicines(self) -> Fact | None:
        """Give how many different medicines twelve months saw: substances (BNF to nine characters), else products."""
        first = self.since(12)
        issued = [
            ((row["bnf_code"] or "")[:9] or row["dmd_code"] or row["original_code"], row["issue_date"] or "")
            for row in self._issues()
            if first <= (row["issue_date"] or "") < self.today
        ]
        days = {day for medicine, day in issued if medicine}
        return latest_of(days, len({medicine for medicine, _ in issued if medicine}))

    def _fev1(self) -> tuple[Fact | None, bool]:
        """Give the FEV1 in percent of predicted that may be used, and whether the latest day contradicts itself."""
        found = [
            (self.day_of(row), _percent(row))
            for row in self.records.observations
            if row["snomed_code"] == codes.FEV1_PERCENT.code
        ]
        return self.latest(found, months=24)

    def _mrc(self) -> tuple[Fact | None, bool]:
        """Give the MRC grade that may be used, from grades coded, scores, and mMRC scores, which are one lower."""
        found: list[tuple[str, Reading | None]] = [
            (self.day_of(row), (float(_MRC_GRADE[row["snomed_code"] or ""]), ""))
            for row in self.records.events
            if row["snomed_code"] in _MRC_GRADE
        ]
        found += [
            (self.day_of(row), _grade(row))
            for row in self.records.observations
            if row["snomed_code"] in _MRC_GRADE or row["snomed_code"] in _MRC_SCORES
        ]
        return self.latest(found, months=15)

    def latest(self, found: list[tuple[str, Reading | None]], *, months: int) -> tuple[Fact | None, bool]:
        """Give the value of the latest day that may be used, and whether that day contradicts itself."""
        latest = max((day for day, _ in found if day < self.today and day <= self._last_filed), default="")
        if not latest or latest < self.since(months):
            return None, False
        # Of two entries of the latest day one that can be used makes up for one that cannot; two that differ do not.
        values = {value for day, value in found if day == latest and value is not None}
        if len(values) != 1:
            return None, len(values) > 1
        value, sign = values.pop()
        return Fact(value, latest, sign), False


def found_of(**facts: Fact | None) -> Facts:
    """Give what was found, by name."""
    return {name: fact for name, fact in facts.items() if fact is not None}


def latest_of(days: set[str], value: float = 1) -> Fact | None:
    """Give a fact of the latest of some days; None when there is no day."""
    return Fact(value, max(days)) if days else None


def _counted(days: set[str]) -> Fact | None:
    return latest_of(days, len(days))


def _apart(days: set[str], gap: int) -> int:
    """Count days, where one no more than so many days after the one before belongs with it."""
    ordered = sorted(date.fromisoformat(day) for day in days)
    return sum(1 for place, day in enumerate(ordered) if place == 0 or day - ordered[place - 1] > timedelta(days=gap))


_PRECISE = {"Y": 4, "YM": 7}
"""Letters of a date that are known, by its precision."""
Reading = tuple[float, str]
"""A value and its comparator, empty for an exact one."""


def _first_possible(row: Row) -> str:
    """Give the first day an entry may be of: of a year alone 1 January, so that no window holds what may be outside."""
    day, precision = row["effective_date"] or "", row.get("effective_precision")
    if not day or precision not in ("Y", "YM"):
        return day
    return day[:4] + "-01-01" if precision == "Y" else day[:7] + "-01"


def sign_of(row: Row) -> str | None:
    """Give the comparator of a value; None for "about", which says nothing against an edge."""
    sign = row.get("comparator") or ""
    return "" if sign == "=" else sign if sign in ("", "<", "<=", ">", ">=") else None


def _percent(row: Row) -> Reading | None:
    """Give a value that may be a percentage of predicted, or None: no unit, another unit or an impossible value."""
    value, sign = None if row["value_num"] is None else float(row["value_num"]), sign_of(row)
    is_percent = " ".join((row["unit_raw"] or "").lower().split()) in _PERCENT_WORDS
    return (value, sign) if value is not None and sign is not None and is_percent and 8 <= value <= 151 else None


def _grade(row: Row) -> Reading | None:
    """Give the MRC grade of a value, or of a code that says it; None when code and value say two things."""
    code, value = row["snomed_code"] or "", None if row["value_num"] is None else float(row["value_num"])
    sign = sign_of(row)
    value = None if value == 999 else value  # not done
    if code in _MRC_GRADE:
        agrees = value is None or (value == _MRC_GRADE[code] and sign == "")
        return (float(_MRC_GRADE[code]), "") if agrees else None
    unit = " ".join((row["unit_raw"] or "").lower().split())
    if value is None or sign is None or (unit and unit not in _MRC_UNITS):
        return None
    grade = value + _MRC_SCORES[code]
    return (grade, sign) if 1 <= grade <= 5 else None


@lru_cache(maxsize=64)
def _first_day(index_date: date, months: int) -> str:
    return months_back(index_date, months).isoformat()


def months_back(day: date, months: int) -> date:
    """Give the same day so many calendar months before, or the last of a shorter month."""
    year, month = day.year + (day.month - 1 - months) // 12, (day.month - 1 - months) % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
