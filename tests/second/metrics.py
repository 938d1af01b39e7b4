"""The commissioners' metrics once more, in plain Python over rows, from the words of each declaration and its source.

Shares nothing with ``metrics``, ``metric_events`` or the declarations. A metric gives what is counted and of whom as
lists of :class:`Item`; numbers of places and groups are sums over them. Scores and variables are taken as they are:
they have a second derivation of their own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

Row = dict[str, Any]
Groups = tuple[str, str, str, str, str]
BREAKDOWNS = ("imd_quintile", "ethnic_group", "age_band", "sex", "care_home")
ETHNIC = {"A": 0, "B": 0, "C": 0, "D": 1, "E": 1, "F": 1, "G": 1, "H": 2, "J": 2, "K": 2, "L": 2, "R": 4, "S": 4,
          "M": 3, "N": 3, "P": 3}  # fmt: skip
ETHNIC_WORDS = ("White", "Mixed", "Asian or Asian British", "Black or Black British", "Other")
LISTED = {"listed", "invited_1", "invited_2", "invited_3", "booked", "attended", "offered", "activated"}
COMMUNITY = {"pulmonary_rehabilitation", "home_oxygen", "stop_smoking", "diabetes_prevention", "diabetes_education",
             "podiatry", "dietetics", "weight_management", "heart_failure", "frailty", "falls", "community_nursing",
             "urgent_community_response", "virtual_ward", "physiotherapy", "occupational_therapy", "palliative",
             "social_prescribing"}  # fmt: skip
PROCESSES = {
    "diabetes_hba1c": ("any", "hba1c_of_the_year"),
    "diabetes_blood_pressure": ("all", "systolic_blood_pressure", "diastolic_blood_pressure"),
    "diabetes_cholesterol": ("any", "cholesterol_of_the_year"),
    "diabetes_kidney_function": ("any", "creatinine_of_the_year", "egfr_of_the_year"),
    "diabetes_urine_albumin": ("any", "albumin_creatinine_ratio_of_the_year"),
    "diabetes_foot_check": ("any", "has_foot_check_of_the_year"),
    "diabetes_body_mass_index": ("any", "body_mass_index_of_the_year"),
    "diabetes_smoking_status": ("any", "has_smoking_status_of_the_year"),
}


class Item(NamedTuple):
    """So many of something at a practice, of one person with their groups; of none, both are None."""

    practice: str
    patient: str | None
    groups: Groups | None
    n: int = 1


@dataclass(frozen=True)
class Answer:
    """What is counted, and of whom."""

    part: list[Item]
    whole: list[Item]


class Event(NamedTuple):
    """Something that happened to somebody."""

    patient: str
    day: date
    n: int = 1
    kind: str | None = None
    good: bool = False
    placed: date | None = None


def groups_of(person: Row, age: int | None, home: str) -> Groups:
    """Give the groups of a person of an age, who lives in a care home, or does not, or nobody knows."""
    limits = ((17, "under 18"), (39, "18 to 39"), (64, "40 to 64"), (79, "65 to 79"))
    band = "not known" if age is None else next((words for last, words in limits if age <= last), "80 and over")
    decile, ethnic = person["imd_decile"], person["ethnic_category"]
    return (
        "not known" if decile is None else str((decile + 1) // 2),
        ETHNIC_WORDS[ETHNIC[ethnic]] if ethnic in ETHNIC else "not known",
        band,
        person["sex"] if person["sex"] in ("F", "M") else "not known",
        home,
    )


def year_before(day: date) -> date:
    """Give the same day of the year before."""
    return day.replace(year=day.year - 1, day=min(day.day, 28) if day.month == 2 else day.day)


class Second:
    """Every metric of a run, from its tables.

    Args:
        tables: Rows of each table by its name.
        index_date: The day of the run.
        until: The last day of every feed.
        practices: Practices of the reference.
    """

    def __init__(self, tables: Mapping[str, list[Row]], *, index_date: date, until: date, practices: set[str]) -> None:
        self.t, self.today, self.end = tables, index_date, until + timedelta(days=1)
        self.practices = practices
        counted = [p for p in tables["core.person"] if p["may_be_counted"]]
        self.person = {p["patient_key"]: p for p in counted if p["person_status"] != "test_patient"}
        self.home: dict[str, str] = defaultdict(lambda: "no")
        said = [v for v in tables["derived.variable_value"] if v["state"] == "known" and v["value"] == 1]
        for words, variables in (
            ("not known", ("care_home_temporary_code_recorded",)),
            ("yes", ("lives_in_care_home", "care_home_code_recorded")),
        ):
            self.home |= {v["patient_key"]: words for v in said if v["variable"] in variables}
        self.groups = {key: groups_of(p, p["age_years"], self.home[key]) for key, p in self.person.items()}
        self.now = [
            Item(p["practice_code"], key, self.groups[key])
            for key, p in self.person.items()
            if p["person_status"] == "registered" and p["practice_code"] in practices
        ]
        self.registrations: dict[str, list[Row]] = defaultdict(list)
        for r in tables["core.registration"]:
            if r["registration_type"] == "REGULAR" and r["practice_code"]:
                self.registrations[r["patient_key"]].append(r)
        self.spells: dict[str, list[Row]] = defaultdict(list)
        for s in tables["core.apc_spell"]:
            self.spells[s["patient_key"]].append(s)
        self.died: dict[str, date] = {}
        self.place_of_death: dict[str, str] = {}
        for d in tables["core.death"]:
            if d["date_of_death"]:
                key = d["patient_key"]
                self.died[key] = min(d["date_of_death"], self.died.get(key, d["date_of_death"]))
                if d["place_of_death"]:
                    self.place_of_death[key] = max(d["place_of_death"], self.place_of_death.get(key, ""))

    # Where people are

    def practice_on(self, patient: str, day: date) -> str | None:
        """Give the practice somebody was registered with on a day, the newest of several."""
        here = [
            r for r in self.registrations[patient]
            if (r["start_date"] is None or r["start_date"] <= day) and (r["end_date"] is None or day < r["end_date"])
        ]  # fmt: skip
        newest = max((r["start_date"] or date.min for r in here), default=None)
        first = min(
            (r["source_registration_id"] for r in here if (r["start_date"] or date.min) == newest), default=None
        )
        return next((r["practice_code"] for r in here if r["source_registration_id"] == first), None)

    def then(self, day: date) -> list[Item]:
        """Give everybody registered on an earlier day, of the age of that day."""
        dead = {
            d["patient_key"] for d in self.t["core.death"] if d["date_of_death"] is None or d["date_of_death"] <= day
        }
        found = []
        for key, p in self.person.items():
            born = p["date_of_birth"]
            practice = self.practice_on(key, day)
            if key in dead or practice is None or (born and born > day):
                continue
            age = None if born is None else day.year - born.year - ((day.month, day.day) < (born.month, born.day))
            found.append(Item(practice, key, groups_of(p, age, self.home[key])))
        return [each for each in found if each.practice in self.practices]

    def items(self, events: list[Event], start: date, end: date, *, kinds: set[str] | None = None) -> list[Item]:
        """Give events of some days, each at the practice of its day."""
        found = []
        for e in events:
            if e.patient in self.person and start <= e.day < end and (kinds is None or e.kind in kinds):
                practice = self.practice_on(e.patient, e.placed or e.day)
                if practice in self.practices:
                    found.append(Item(str(practice), e.patient, self.groups[e.patient], e.n))
        return found

    # What happened

    def admissions(self) -> list[Event]:
        return [
            Event(s["patient_key"], s["admission_date"], kind="overnight" if self.nights(s) else "same_day")
            for s in self.t["core.apc_spell"] if s["is_emergency"]
        ]  # fmt: skip

    def others(self) -> list[Event]:
        return [Event(s["patient_key"], s["admission_date"]) for s in self.t["core.apc_spell"] if not s["is_emergency"]]

    @staticmethod
    def nights(s: Row) -> int:
        return max(0, (s["discharge_date"] - s["admission_date"]).days) if s["discharge_date"] else 0

    def bed_days(self) -> list[Event]:
        spells = [s for s in self.t["core.apc_spell"] if s["is_emergency"] and self.nights(s)]
        return [Event(s["patient_key"], s["admission_date"], self.nights(s)) for s in spells]

    def discharges(self) -> list[Event]:
        starts: dict[str, list[tuple[date, str]]] = defaultdict(list)
        for s in self.t["core.apc_spell"]:
            if s["is_emergency"]:
                starts[s["patient_key"]].append((s["admission_date"], s["provider_code"] + s["spell_id"]))
        found = []
        for s in self.t["core.apc_spell"]:
            left, me = s["discharge_date"], s["provider_code"] + s["spell_id"]
            if left and s["discharge_method"] not in ("4", "5"):
                soon = [d for d, other in starts[s["patient_key"]] if other != me and 0 <= (d - left).days <= 29]
                found.append(Event(s["patient_key"], left, good=bool(soon)))
        return found

    def attendances(self) -> list[Event]:
        return [
            Event(a["patient_key"], a["arrival_at"].date(), kind=a["department_type"])
            for a in self.t["core.ed_attendance"] if a["attendance_category"] != "4" and not a["is_sdec"]
        ]  # fmt: skip

    def outpatients(self) -> list[Event]:
        kinds = {"1": "first", "3": "first", "2": "follow_up", "4": "follow_up"}
        return [
            Event(a["patient_key"], a["appointment_date"], kind=kinds.get(a["first_attendance"]))
            for a in self.t["core.op_attendance"] if a["attended"] in ("5", "6")
        ]  # fmt: skip

    def appointments(self) -> list[Event]:
        rows = self.t["core.gp_appointment"]
        return [Event(a["patient_key"], a["start_at"].date()) for a in rows if a["status"] == "ATTENDED"]

    def contacts(self) -> list[Event]:
        rows = self.t["core.community_contact"]
        return [Event(c["patient_key"], c["contact_date"]) for c in rows if c["attended"] in ("5", "6")]

    def referrals(self) -> list[Event]:
        found = []
        for r in self.t["core.referral"]:
            if r["status"] != "rejected" and r["service"] in COMMUNITY:
                seen = r["first_seen_date"]
                in_time = seen is not None and 0 <= (seen - r["referral_date"]).days <= 28
                found.append(Event(r["patient_key"], r["referral_date"], good=in_time))
        return found

    def reablements(self) -> list[Event]:
        homes: dict[str, list[Row]] = defaultdict(list)
        for e in self.t["core.social_care_event"]:
            if e["kind"] == "long_term_care_home":
                homes[e["patient_key"]].append(e)
        found = []
        for e in self.t["core.social_care_event"]:
            key, day = e["patient_key"], e["start_date"] + timedelta(days=91)
            born = self.person[key]["date_of_birth"] if key in self.person else None
            if e["kind"] != "reablement_after_discharge" or born is None:
                continue
            if (e["start_date"].year - born.year) - (
                (e["start_date"].month, e["start_date"].day) < (born.month, born.day)
            ) < 65:
                continue
            away = (
                (key in self.died and self.died[key] <= day)
                or any(
                    s["admission_date"] <= day and (not s["discharge_date"] or s["discharge_date"] > day)
                    for s in self.spells[key]
                )
                or any(h["start_date"] <= day and (not h["end_date"] or h["end_date"] > day) for h in homes[key])
                or self.practice_on(key, day) is None
            )
            found.append(Event(key, e["start_date"], good=not away))
        return found

    def moves(self) -> list[Event]:
        rows = self.t["core.social_care_event"]
        return [Event(e["patient_key"], e["start_date"]) for e in rows if e["kind"] == "long_term_care_home"]

    def deaths(self, good: Callable[[str], bool], among: Callable[[str], bool] = lambda _: True) -> list[Event]:
        return [
            Event(key, day, good=good(key), placed=day - timedelta(days=1))
            for key, day in self.died.items()
            if among(key)
        ]

    def preference(self, key: str) -> str | None:
        said = [
            (p["recorded_date"], p["preferred_place"]) for p in self.t["core.place_preference"]
            if p["patient_key"] == key and p["recorded_date"] <= self.died[key]
        ]  # fmt: skip
        place = max(said)[1] if said else None
        return None if place == "undecided" else place

    def last_admissions(self, key: str) -> int:
        return sum(
            s["is_emergency"] and 0 <= (self.died[key] - s["admission_date"]).days < 90 for s in self.spells[key]
        )

    # Metrics

    def answer(self, metric: str, pathway: str, status: str) -> Answer:
        """Give a metric of a pathway (``all`` for most), provisional or final."""
        end = self.end if status == "provisional" else min(self.today - timedelta(days=60), self.end).replace(day=1)
        start = year_before(end)
        whole = self.now if status == "provisional" else self.then(end - timedelta(days=1))
        rates: dict[str, Callable[[], list[Event]]] = {
            "emergency_admissions": self.admissions, "other_admissions": self.others,
            "emergency_bed_days": self.bed_days,
            "ed_attendances": self.attendances, "gp_appointments": self.appointments,
            "community_contacts": self.contacts, "care_home_admissions": self.moves,
        }  # fmt: skip
        if metric in rates:
            return Answer(self.items(rates[metric](), start, end), whole)
        if metric == "ed_attendances_type_1":
            return Answer(self.items(self.attendances(), start, end, kinds={"01"}), whole)
        if metric in ("emergency_admissions_65_and_over", "permanent_care_home_admissions"):
            everybody = self.answer(metric.removesuffix("_65_and_over").removeprefix("permanent_"), pathway, status)
            old = ("65 to 79", "80 and over")
            return Answer(
                *([i for i in items if i.groups and i.groups[2] in old] for items in (everybody.part, everybody.whole))
            )
        shares = {
            "readmitted_within_30_days": (self.discharges, 30),
            "community_referrals_seen_within_28_days": (self.referrals, 28),
            "still_at_home_91_days_after_discharge": (self.reablements, 91),
            "preferred_place_recorded": (lambda: self.deaths(lambda k: self.preference(k) is not None), 0),
            "three_admissions_before_death": (lambda: self.deaths(lambda k: self.last_admissions(k) >= 3), 0),
            "died_in_preferred_place": (
                lambda: self.deaths(
                    lambda k: self.preference(k) == self.place_of_death[k],
                    lambda k: k in self.place_of_death and self.preference(k) is not None,
                ), 0),
        }  # fmt: skip
        if metric in shares:
            made, less = shares[metric]
            end -= timedelta(days=less)
            events = made()
            good = [e for e in events if e.good]
            return Answer(self.items(good, year_before(end), end), self.items(events, year_before(end), end))
        if metric.startswith("scorecard_"):
            return self.of_cohort(metric.removeprefix("scorecard_"))
        if metric == "care_home_visit_requests":
            return self.per_bed(start, end)
        if metric == "patient_reported_experience":
            return self.survey("gp_care_joined_up")
        if metric.startswith("diabetes_"):
            return self.processes(metric)
        if metric == "copd_exacerbation_admissions":
            cohort = self.on_pathway("copd")
            number = {v["patient_key"]: v["value"] for v in self.known("copd_emergency_admissions_count")}
            part = [i._replace(n=int(number[str(i.patient)])) for i in cohort if number.get(str(i.patient), 0) > 0]
            return Answer(part, cohort)
        if metric == "admissions_of_people_never_listed":
            return self.never_listed(start, end)
        return self.of_steps(metric, pathway)

    def of_cohort(self, what: str) -> Answer:
        """Give a measure of the scorecard: the last whole month, of everybody on the frailty pathway."""
        end = self.end.replace(day=1)
        start = (end - timedelta(days=1)).replace(day=1)
        made, kinds = {
            "outpatient_first": (self.outpatients, {"first"}),
            "outpatient_follow_up": (self.outpatients, {"follow_up"}),
            "emergency_same_day": (self.admissions, {"same_day"}), "bed_days": (self.bed_days, None),
            "emergency_overnight": (self.admissions, {"overnight"}), "ed_type_1": (self.attendances, {"01"}),
            "ed_other": (self.attendances, {"02", "03", "04"}), "gp_appointments": (self.appointments, None),
            "community_contacts": (self.contacts, None),
        }[what]  # fmt: skip
        here = {i.patient: i for i in self.on_pathway("frailty")}
        events = [
            e for e in made() if e.patient in here and start <= e.day < end and (kinds is None or e.kind in kinds)
            and self.practice_on(e.patient, e.day)
        ]  # fmt: skip
        return Answer([here[e.patient]._replace(n=e.n) for e in events], list(here.values()))

    def per_bed(self, start: date, end: date) -> Answer:
        asked = [
            Event(v["patient_key"], v["requested_at"].date()) for v in self.t["core.home_visit_request"]
            if v["requested_by"] == "care_home"
        ]  # fmt: skip
        months: dict[tuple[str, str], list[int]] = defaultdict(list)
        for b in self.t["core.care_home_bed"]:
            if b["occupied_bed_count"] is not None and start.replace(day=1) <= b["month_start_date"] < end:
                months[b["practice_code"], b["care_home_id"]].append(b["occupied_bed_count"])
        beds: dict[str, float] = defaultdict(float)
        for (practice, _), told in months.items():
            beds[practice] += sum(told) / len(told)
        part = [i._replace(groups=None) for i in self.items(asked, start, end)]
        whole = [Item(p, None, None, int(n + 0.5)) for p, n in beds.items() if p in self.practices and n >= 0.5]
        return Answer(part, whole)

    def survey(self, question: str) -> Answer:
        mine = [
            s for s in self.t["core.survey_result"] if s["question"] == question and s["period_end_date"] < self.today
        ]
        newest = [s for s in mine if s["period_end_date"] == max(each["period_end_date"] for each in mine)]
        part = [Item(s["practice_code"], None, None, s["positive_answer_count"]) for s in newest]
        whole = [Item(s["practice_code"], None, None, s["answer_count"]) for s in newest]
        return Answer(*([i for i in items if i.n and i.practice in self.practices] for items in (part, whole)))

    def known(self, variable: str) -> list[Row]:
        rows = self.t["derived.variable_value"]
        return [v for v in rows if v["variable"] == variable and v["state"] == "known"]

    def processes(self, metric: str) -> Answer:
        tier = {
            s["patient_key"]: s["tier"] for s in self.t["derived.patient_score"]
            if s["score"] == "diabetes_care_processes_8" and s["tier"]
        }  # fmt: skip
        whole = [i for i in self.now if i.patient in tier]
        if metric == "diabetes_all_eight_processes":
            return Answer([i for i in whole if tier[str(i.patient)] == "all"], whole)
        how, *variables = PROCESSES[metric]
        had = [
            {v["patient_key"] for v in self.known(name) if not name.startswith("has_") or v["value"] >= 1}
            for name in variables
        ]
        done = set.intersection(*had) if how == "all" else set.union(*had)
        return Answer([i for i in whole if i.patient in done], whole)

    def on_pathway(self, pathway: str, decision: str | None = None) -> list[Item]:
        mine = {
            d["patient_key"] for d in self.t["derived.pathway_decision"]
            if d["pathway"] == pathway and decision in (None, d["decision"])
        }  # fmt: skip
        return [i for i in self.now if i.patient in mine]

    def never_listed(self, start: date, end: date) -> Answer:
        steps = [s for s in self.t["audit.transition"] if s["patient_key"] in self.person]
        start = max(start, min(s["effective_date"] for s in steps))
        listed: dict[str, list[date]] = defaultdict(list)
        for s in steps:
            if s["to_state"] in LISTED:
                listed[s["patient_key"]].append(s["effective_date"])
        events = self.admissions()
        missed = [e for e in events if bisect_right(sorted(listed[e.patient]), e.day - timedelta(days=1)) == 0]
        return Answer(self.items(missed, start, end), self.items(events, start, end))

    def of_steps(self, metric: str, pathway: str) -> Answer:
        tomorrow = self.today + timedelta(days=1)
        start = year_before(tomorrow)
        mine = [
            s for s in self.t["audit.transition"] if s["pathway"] == pathway and start <= s["effective_date"] < tomorrow
        ]

        def answered(*answers: str) -> set[str]:
            return {s["patient_key"] for s in mine if s["outcome"] in answers}

        def came(state: str, before: date = date.max) -> dict[str, date]:
            found: dict[str, date] = {}
            for s in mine:
                if s["to_state"] == state != s["from_state"] and s["effective_date"] < before:
                    found[s["patient_key"]] = min(s["effective_date"], found.get(s["patient_key"], date.max))
            return found

        placed = {p["patient_key"]: p for p in self.t["derived.placement"] if p["pathway"] == pathway}
        waits = {k for k, p in placed.items() if p["placement"] in ("waiting", "held") and p["waiting_since"]}
        listed = came("listed", tomorrow - timedelta(days=14))
        last: dict[str, date] = {}
        for s in self.t["audit.transition"]:
            if s["pathway"] == pathway and s["outcome"]:
                last[s["patient_key"]] = max(s["effective_date"], last.get(s["patient_key"], date.min))
        clinic = {str(i.patient) for i in self.on_pathway(pathway, "clinic")}
        by_itself = {str(i.patient) for i in self.on_pathway(pathway, "self_management")}
        kept_or_missed = answered("attended", "did_not_attend")
        any_answer = kept_or_missed | answered("accepted", "activated", "booked", "declined", "deferred")
        part, whole = {
            "places_given": ({k for k, p in placed.items() if p["placement"] == "listed"}, clinic),
            "offers_made": (set(came("offered")), by_itself),
            "offers_taken_up": (set(came("activated")), set(came("offered"))),
            "waiting_over_28_days": (
                {k for k in waits if (self.today - placed[k]["waiting_since"]).days > 28}, waits),
            "did_not_attend": (answered("did_not_attend"), kept_or_missed),
            "declined": (answered("declined"), any_answer),
            "lists_answered": ({k for k, day in listed.items() if last.get(k, date.min) >= day}, set(listed)),
        }[metric]  # fmt: skip
        return Answer(*([i for i in self.now if i.patient in some] for some in (part & whole, whole)))
