"""What the records of one invented person say, read a second time from the words of the rules.

Here: what the county meant by each code it writes, the windows of the rules laid over one person's rows, and the value
of each variable. What follows from the values belongs to ``oracle``. Nothing is shared with ``clinical/`` or
``features``: codes mean what ``clinical_codes`` calls them, and the published eFI lists say which are deficits.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from stratify.synth import clinical_codes as codes

Row = Mapping[str, str | None]
Answer = str | int | float | bool | None


@dataclass
class Records:
    """Everything the county wrote about one person: rows of the landing tables, every value as text."""

    patients: list[Row] = field(default_factory=list)
    registrations: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    observations: list[Row] = field(default_factory=list)
    issues: list[Row] = field(default_factory=list)
    episodes: list[Row] = field(default_factory=list)
    deaths: list[Row] = field(default_factory=list)
    flags: list[Row] = field(default_factory=list)
    objections: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Known:
    """Whether something holds: yes, no, or not known (``None``) and then whether because records contradict."""

    holds: bool | None
    is_contradictory: bool = False


YES, NO = Known(True), Known(False)


# ----------------------------------------------------------------------------------------------- what codes mean

_REGISTER = {each.code for each in (*codes.COPD_DIAGNOSES, *codes.COPD_EXACERBATIONS)}
"""An exacerbation of COPD says that there is COPD: NHS England's register list holds both."""
_FLARE_UPS = {each.code for each in codes.COPD_EXACERBATIONS}
CARE_HOME_CODES = {
    each.code for each in (codes.CARE_HOME_NURSING, codes.CARE_HOME_RESIDENTIAL, codes.CARE_HOME_UNSPECIFIED)
}
CARE_HOME_FLAGS = {"CARE_HOME_NURSING", "CARE_HOME_RESIDENTIAL", "CARE_HOME_UNSPECIFIED"}
_MRC_GRADE = {each.code: number for number, each in enumerate(codes.MRC_GRADES, 1)}
_PERCENT_WORDS = {"%", "per cent", "% predicted", "%predicted", "% Pred FEV1"}

DEFICIT_CODES: dict[str, str] = {
    concept.code: name for name, (_, concepts) in codes.DEFICITS.items() for concept in concepts
} | {
    # Codes the county writes for another reason that are a deficit in the published eFI lists as well.
    codes.TYPE_1_DIABETES.code: "diabetes",
    codes.DEMENTIA.code: "memory_cognitive",
    codes.CARE_HOME_NURSING.code: "requirement_for_care",
    codes.CARE_HOME_UNSPECIFIED.code: "requirement_for_care",  # not "lives in a residential home": the list omits it
    codes.MRC_GRADES[3].code: "dyspnoea",  # grade 4 and no other: the list holds no grade 5
    **dict.fromkeys(_REGISTER, "respiratory_disease"),  # COPD by any of its codes
    codes.COPD_REVIEW.code: "respiratory_disease",
    codes.LONG_TERM_OXYGEN.code: "respiratory_disease",
    codes.REHABILITATION_REFERRAL.code: "respiratory_disease",
    codes.REHABILITATION_STARTED.code: "respiratory_disease",
}
"""Deficit of the eFI by SNOMED CT code. Polypharmacy has none: it is five or more medicines."""

STEROID = {codes.LABA_ICS.code, *(each.code for each in codes.TRIPLE_INHALERS)}
MUSCARINIC = {codes.TIOTROPIUM.code, codes.LAMA_LABA.code, *(each.code for each in codes.TRIPLE_INHALERS)}
BETA_AGONIST = {codes.LAMA_LABA.code, codes.LABA_ICS.code, *(each.code for each in codes.TRIPLE_INHALERS)}
TRIPLE = {each.code for each in codes.TRIPLE_INHALERS}
ANTIBIOTICS = {each.code for each in codes.ANTIBIOTICS}

TENTHS: dict[str, int] = {
    "F00": 71, "G30": 40, "R29": 36, "N39": 32, "F05": 32, "W19": 32, "B96": 29, "R41": 27, "R26": 26, "I67": 26,
    "E87": 23, "E86": 23, "R54": 22, "F03": 21, "L03": 20, "Z60": 18, "R55": 18, "N17": 18, "L89": 17, "I95": 16,
    "A41": 16, "M19": 15, "M81": 14, "S72": 14, "N18": 14, "R33": 13, "R32": 12, "J18": 11, "I63": 8, "F32": 5,
    "K52": 3,
}  # fmt: skip
"""Tenths of a point of the Hospital Frailty Risk Score, of the categories the county writes (Gilbert 2018)."""

WEIGHTLESS = frozenset(
    (
        "J44", "R07", "R10", "I20", "R51", "S52", "T39", "I48", "J45", "I10", "E11", "Z86", "E78", "I25", "K21", "Z92",
        "H26", "K63", "Z09", "M17", "K40", "C50", "M16", "K29", "O80",
    )
)  # fmt: skip
"""Categories the county writes that the score does not know. Any other category is a fault, never nought."""


# ------------------------------------------------------------------------------------------ one person's records


class Person:
    """One person's records with the windows of the rules laid over them; dates stay text, which sorts as time does."""

    def __init__(self, records: Records, index_date: date) -> None:
        self.records, self.index_date, self.today = records, index_date, index_date.isoformat()
        self.is_linked = any(row["nhs_number"] for row in records.patients)
        # An entry is an entry, with or without a value beside it.
        self.entries = [
            (row["snomed_code"] or "", row["effective_date"] or "") for row in (*records.events, *records.observations)
        ]
        self.emergencies = self._emergency_spells() if self.is_linked else []

    def since(self, months: int) -> str:
        """Give the first day of a window of so many calendar months."""
        return _months_back(self.index_date, months).isoformat()

    def days_of(self, wanted: Iterable[str], months: int | None = None) -> set[str]:
        """Give the days with an entry of one of these codes."""
        first, meant = self.since(months) if months else "", set(wanted)
        return {day for code, day in self.entries if code in meant and first <= day < self.today}

    def days_issued(self, wanted: Iterable[str], months: int) -> set[str]:
        """Give the days with an issue of one of these medicines."""
        first, meant = self.since(months), set(wanted)
        return {
            row["issue_date"] or ""
            for row in self.records.issues
            if row["dmd_code"] in meant and first <= (row["issue_date"] or "") < self.today
        }

    def has_flag(self, wanted: set[str]) -> bool:
        """Say whether a status period of one of these kinds holds on the index date."""
        return any(
            row["flag"] in wanted
            and (row["start_date"] or "") <= self.today
            and (row["end_date"] is None or row["end_date"] > self.today)
            for row in self.records.flags
        )

    def _emergency_spells(self) -> list[tuple[str, str, set[str]]]:
        """Give day of admission, primary diagnosis of the first episode and all diagnoses of each emergency spell."""
        spells: dict[tuple[str | None, str | None], list[Row]] = {}
        for row in self.records.episodes:
            spells.setdefault((row["provider_code"], row["spell_id"]), []).append(row)
        found = []
        for rows in spells.values():
            rows.sort(key=lambda row: int(row["episode_order"] or 0))
            if (rows[0]["admission_method"] or "").startswith("2"):
                listed = {row[f"diag_{place:02d}"] for row in rows for place in range(1, 21)}
                every = {code for code in listed if code is not None}
                found.append((rows[0]["admission_date"] or "", rows[0]["diag_01"] or "", every))
        return found

    def copd_admissions(self) -> set[str]:
        """Give the days of emergency admissions for COPD (J41 to J44 as primary diagnosis) of twelve months."""
        first = self.since(12)
        return {
            day
            for day, primary, _ in self.emergencies
            if primary[:3] in ("J41", "J42", "J43", "J44") and first <= day < self.today
        }

    def flare_ups(self) -> int:
        """Count the flare-ups of twelve months; records no more than 14 days apart are one."""
        days = sorted(date.fromisoformat(day) for day in self.days_of(_FLARE_UPS, months=12) | self.copd_admissions())
        return sum(1 for number, day in enumerate(days) if number == 0 or day - days[number - 1] > timedelta(days=14))

    def medicines(self) -> int:
        """Count the different medicines of twelve months: substances (BNF to nine characters), else products."""
        first = self.since(12)
        return len(
            {
                (row["bnf_code"] or "")[:9] or row["dmd_code"]
                for row in self.records.issues
                if first <= (row["issue_date"] or "") < self.today
            }
        )

    def on_register(self) -> Known:
        """Say whether the latest of "COPD" and "COPD resolved" is COPD; not known when both are on one day."""
        ill, well = self.days_of(_REGISTER), self.days_of({codes.COPD_RESOLVED.code})
        if not ill:
            return NO
        if well and max(ill) == max(well):
            return Known(None, True)
        return YES if not well or max(ill) > max(well) else NO

    def fev1(self) -> tuple[float | None, bool]:
        """Give the FEV1 in percent of predicted that may be used, and whether the latest day contradicts itself."""
        found = [
            (row["effective_date"] or "", _percent(row))
            for row in self.records.observations
            if row["snomed_code"] == codes.FEV1_PERCENT.code
        ]
        return self._latest(found, months=24)

    def mrc(self) -> tuple[float | None, bool]:
        """Give the MRC grade that may be used, from grades coded, scores, and mMRC scores, which are one lower."""
        found: list[tuple[str, float | None]] = [
            (row["effective_date"] or "", float(_MRC_GRADE[row["snomed_code"] or ""]))
            for row in (*self.records.events, *self.records.observations)
            if row["snomed_code"] in _MRC_GRADE
        ]
        for row in self.records.observations:
            if row["value_num"] is not None and row["snomed_code"] in (codes.MRC_SCORE.code, codes.MMRC_SCORE.code):
                grade = float(row["value_num"]) + (row["snomed_code"] == codes.MMRC_SCORE.code)
                found.append((row["effective_date"] or "", grade if 1 <= grade <= 5 else None))
        return self._latest(found, months=15)

    def _latest(self, found: list[tuple[str, float | None]], *, months: int) -> tuple[float | None, bool]:
        before = [each for each in found if each[0] < self.today]
        latest = max((day for day, _ in before), default="")
        if not latest or latest < self.since(months):
            return None, False
        # Of two entries of the latest day one that can be used makes up for one that cannot; two that differ do not.
        values = {value for day, value in before if day == latest and value is not None}
        return (values.pop() if len(values) == 1 else None), len(values) > 1

    def values(self) -> dict[str, Answer]:
        """Give the values that are compared one by one, by the names of the variables."""
        return {
            "fev1_percent_predicted": self.fev1()[0],
            "mrc_grade": self.mrc()[0],
            "copd_exacerbations_count": self.flare_ups(),
            "copd_emergency_admissions_count": len(self.copd_admissions()),
            "prednisolone_issues_count": len(self.days_issued({codes.PREDNISOLONE.code}, 12)),
            "rescue_antibiotic_issues_count": len(self.days_issued(ANTIBIOTICS, 12)),
            "azithromycin_issues_count": len(self.days_issued({codes.AZITHROMYCIN.code}, 12)),
            "medicines_count": self.medicines(),
        }


def _percent(row: Row) -> float | None:
    """Give a value that may be a percentage of predicted, or None: no unit, another unit or an impossible value."""
    value = None if row["value_num"] is None else float(row["value_num"])
    return value if value is not None and row["unit_raw"] in _PERCENT_WORDS and 8 <= value <= 151 else None


def _months_back(day: date, months: int) -> date:
    year, month = day.year + (day.month - 1 - months) // 12, (day.month - 1 - months) % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
