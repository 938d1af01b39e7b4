"""Metrics as declarations: what is counted for commissioners, of whom, over which days, and what it judges.

A closed vocabulary, like that of scores and pathways: no SQL and no expression. What the data do not carry is declared
all the same, with the reason, so that its absence is never read as nought. How it is counted is in ``metrics``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stratify.rules.strict import Strict, refusal

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Version = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
Words = Annotated[str, Field(min_length=3)]
Sector = Literal["general_practice", "hospital", "community", "council"]
Event = Literal[
    "emergency_admission", "other_admission", "emergency_bed_day", "hospital_discharge", "ed_attendance",
    "outpatient_attendance", "gp_appointment", "community_contact", "referral", "home_visit_request", "reablement",
    "care_home_admission", "death", "death_with_preference", "death_in_hospital_data",
]  # fmt: skip
"""What can be counted; what each is, with its kinds and states, is in ``metric_events``."""
Period = Literal[
    "hospital_year", "feed_year", "last_month", "newest_survey", "year_before_run", "year_with_this_week", "this_week",
    "since_first_list",
]  # fmt: skip

_NUMERATORS = ("events", "sum_of", "score", "had_all", "had_any", "placed", "steps_to", "answers",
               "waiting_longer_than_days", "never_listed", "answered_since", "state_in", "within_days",
               "positive_answers")  # fmt: skip
_DENOMINATORS = ("registered", "on_pathway", "decided", "scored", "waiting", "steps_to", "answers", "events",
                 "occupied_beds", "survey_question")  # fmt: skip
_OF_EVENTS = ("never_listed", "state_in", "within_days")
"""Numerators that are part of the events of the denominator."""


class Numerator(Strict):
    """What is counted; exactly one of these.

    Attributes:
        events: Events of the period, each once.
        kinds: Only events of these kinds, such as attendances at these types of department.
        sum_of: The sum of a variable of the rule book that counts.
        score: With ``tier_in``: people in one of the tiers of a score.
        tier_in: Tiers.
        had_all: People for whom all these variables are known, flags true.
        had_any: People for whom one of these variables is known, flags true.
        placed: People whose placement this week is one of these.
        steps_to: People who came to one of these states in the period.
        answers: People of whom one of these answers came in the period.
        waiting_longer_than_days: People who have waited longer than this.
        never_listed: Events of people who had never been put on a list or offered anything before.
        answered_since: People of whom any answer came since.
        state_in: Events that ended in one of these states.
        within_days: Events followed within so many days by what they ask for.
        positive_answers: Positive answers to the question of a survey.
    """

    events: Event | None = None
    kinds: tuple[str, ...] = ()
    sum_of: Name | None = None
    score: Name | None = None
    tier_in: tuple[str, ...] = ()
    had_all: tuple[Name, ...] = ()
    had_any: tuple[Name, ...] = ()
    placed: tuple[str, ...] = ()
    steps_to: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    waiting_longer_than_days: Annotated[int, Field(ge=0)] | None = None
    never_listed: bool = False
    answered_since: bool = False
    state_in: tuple[str, ...] = ()
    within_days: Annotated[int, Field(ge=0)] | None = None
    positive_answers: bool = False

    @model_validator(mode="after")
    def _is_one(self) -> Numerator:
        given = [name for name in _NUMERATORS if getattr(self, name) not in (None, (), False)]
        if len(given) != 1:
            raise refusal(f"exactly one of {', '.join(_NUMERATORS)}; found {len(given)}")
        if bool(self.tier_in) != bool(self.score):
            raise refusal("score and tier_in go together")
        if self.kinds and not self.events:
            raise refusal("kinds only with events")
        return self


class Denominator(Strict):
    """Of whom it is counted; exactly one of these.

    Attributes:
        registered: Everybody registered on the day the denominator is of.
        on_pathway: Everybody who meets the cohort rule of a pathway.
        decided: On each pathway, everybody of whom this was proposed.
        scored: Everybody who has a tier of a score.
        waiting: On each pathway, everybody who waits.
        steps_to: On each pathway, everybody who came to one of these states in the period.
        before_days: With ``steps_to`` or ``events``: only those at least this many days before the last day, so that
            everybody has had as long for what follows.
        answers: On each pathway, everybody of whom one of these answers came in the period.
        events: Events of the period themselves.
        kinds: Only events of these kinds.
        occupied_beds: Beds of care homes that were occupied, in the mean of the period's months.
        survey_question: Answers to this question in the newest round of a survey.
    """

    registered: bool = False
    on_pathway: Name | None = None
    decided: Literal["clinic", "self_management", "assessment", "clinician_review"] | None = None
    scored: Name | None = None
    waiting: bool = False
    steps_to: tuple[str, ...] = ()
    before_days: Annotated[int, Field(ge=0)] = 0
    answers: tuple[str, ...] = ()
    events: Event | None = None
    kinds: tuple[str, ...] = ()
    occupied_beds: bool = False
    survey_question: Name | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Denominator:
        given = [name for name in _DENOMINATORS if getattr(self, name) not in (None, (), False)]
        if len(given) != 1:
            raise refusal(f"exactly one of {', '.join(_DENOMINATORS)}; found {len(given)}")
        if self.kinds and not self.events:
            raise refusal("kinds only with events")
        return self

    @property
    def is_of_each_pathway(self) -> bool:
        """Whether it is counted on every pathway by itself."""
        return bool(self.decided or self.waiting or self.steps_to or self.answers)


class LogicModel(Strict):
    """Where a metric stands between what is put in and what it is for, and which rules it judges.

    Attributes:
        node: Part of the logic model.
        judges: Pathways whose rules it judges; empty for the programme as a whole.
    """

    node: Literal["input", "activity", "output", "outcome"]
    judges: tuple[Name, ...] = ()


class Metric(Strict):
    """One metric.

    Attributes:
        id: Name in every table.
        version: Changes with every change of meaning.
        name: In words.
        owner: Role that answers for the definition.
        affects: Whose work it is counted in: organisations that a change of it falls on.
        family: What kind of experience of the service it tells of.
        kind: ``share``: people of people, in per cent. ``rate``: events for so many people.
        per: Of a rate, for how many people.
        numerator: What is counted.
        denominator: Of whom.
        period: Days that are counted.
        final_after_days: Hospital data older than this are final: the year up to then is counted too, kept apart.
        standardised: Whether a directly age and sex standardised rate is given beside the crude one.
        within: Id of the metric of everybody that this is the part of some ages of; it says the rest.
        age_bands: Those ages, as bands of the breakdown.
        pathway: Pathway whose held lists hold it too.
        exclusions: Who or what is not counted.
        suppression: How small numbers are kept: ``standard`` is what the table about says.
        source: Where the definition is from.
        logic_model: Where it stands.
        acid_test: One of the few that commissioners judge the whole by.
        coverage: Id of the metric that says of how many this one can be known; it is published beside.
        not_measurable: Why the data cannot carry it; nothing else is said then.
    """

    id: Name
    version: Version
    name: Words
    owner: Words
    affects: tuple[Sector, ...] = ()
    family: Literal["outcome", "experience", "process"]
    kind: Literal["share", "rate"] | None = None
    per: Literal[100, 1000, 100000] | None = None
    numerator: Numerator | None = None
    denominator: Denominator | None = None
    period: Period | None = None
    final_after_days: Annotated[int, Field(ge=1)] | None = None
    standardised: bool = False
    within: Name | None = None
    age_bands: tuple[str, ...] = ()
    pathway: Name | None = None
    exclusions: Words
    suppression: Literal["standard"]
    source: Words
    logic_model: LogicModel
    acid_test: bool = False
    coverage: Name | None = None
    not_measurable: Words | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Metric:
        counted = (self.kind, self.numerator, self.denominator, self.period)
        if self.not_measurable or self.within:
            if any(counted) or self.per or self.standardised or (self.not_measurable and self.within):
                raise refusal("what is not measurable, or is within another metric, says nothing of how it is counted")
        elif not all(counted):
            raise refusal("kind, numerator, denominator and period, or not_measurable, or within")
        if bool(self.within) != bool(self.age_bands):
            raise refusal("within and age_bands go together")
        if (self.kind == "rate") != bool(self.per):
            raise refusal("per of a rate, and only of a rate")
        if self.kind == "rate" and self.numerator and not (self.numerator.events or self.numerator.sum_of):
            raise refusal("a rate counts events or sum_of")
        if self.numerator and self.denominator:
            self._check_parts(self.numerator, self.denominator)
        if self.standardised and not (self.denominator and self.denominator.registered):
            raise refusal("standardised only of everybody registered")
        if self.final_after_days and self.period != "hospital_year":
            raise refusal("final_after_days only with period hospital_year")
        return self

    def _check_parts(self, part: Numerator, whole: Denominator) -> None:
        if any(getattr(part, name) not in (None, (), False) for name in _OF_EVENTS) and not whole.events:
            raise refusal(f"{', '.join(_OF_EVENTS)} only of events")
        if part.positive_answers != bool(whole.survey_question):
            raise refusal("positive_answers and survey_question go together")
        if (whole.survey_question is not None) != (self.period == "newest_survey"):
            raise refusal("period newest_survey with survey_question, and with nothing else")
        if whole.occupied_beds and not part.events:
            raise refusal("occupied_beds only for a rate of events")


class MetricsFile(Strict):
    """A file of metrics: ``clinical/metrics/<topic>.yaml``."""

    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)]
