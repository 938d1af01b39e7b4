"""Pathways: who is on one, where each goes, and in which order clinics see them."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from stratify.rules.agreement import Agreement
from stratify.rules.conditions import Condition
from stratify.rules.strict import Strict, refusal
from stratify.rules.variables import Variable

Decision = Literal["clinic", "self_management", "assessment", "clinician_review", "excluded", "not_eligible"]


class Clinic(Strict):
    """A clinic or worklist people are listed for. ``needs_capacity`` false: a worklist without sessions.

    The rest is for whoever plans and leads it: the role that leads, ``minutes`` for one person, how often it is held,
    within how many working days of the event that brings somebody, and the questions asked about each person.
    """

    id: str
    label: str
    roles: tuple[str, ...] = Field(min_length=1)
    needs_capacity: bool = True
    lead: str | None = None
    minutes: int | None = Field(default=None, ge=1)
    every_days: int | None = Field(default=None, ge=1)
    within_working_days: int | None = Field(default=None, ge=1)
    agenda: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _led(self) -> Clinic:
        if self.lead and self.lead not in self.roles:
            raise ValueError(f"{self.lead} leads, and is none of the roles")
        return self


ASSESSMENT = Clinic(id="assessment", label="Assessment visit", roles=("practice_nurse",), needs_capacity=False)
CLINICIAN_REVIEW = Clinic(
    id="clinician_review", label="Clinician review of the record", roles=("gp",), needs_capacity=False
)
CALL = Clinic(id="call", label="Calls: an offer was not taken up", roles=("care_coordinator",), needs_capacity=False)


class Offer(Strict):
    """What is offered instead of a clinic.

    ``languages`` (BCP-47): those it is held in; without them it is for everybody, with an interpreter where needed.
    ``needs_places``: it has no more places than the sessions of its id in the clinic capacity.
    """

    id: str
    label: str
    languages: tuple[str, ...] = ()
    needs_places: bool = False


class Check(Strict):
    """A test, or a review by a related service, that belongs to the review of a person on the pathway.

    It is due when the latest record of ``done`` is ``again_after_days`` old or there is none, so that nothing is done
    again within its window. ``when``: only for these people; without ``done`` no record says that it was done.
    """

    id: str
    label: str
    by: str
    done: str | None = None
    again_after_days: int | None = Field(default=None, ge=1)
    when: Condition | None = None

    @model_validator(mode="after")
    def _sound(self) -> Check:
        if (self.done is None) != (self.again_after_days is None):
            raise ValueError("a check that is recorded (done) says after how many days it is due again, and no other")
        if self.done is None and self.when is None:
            raise ValueError("a check is recorded (done), or is for some people only (when)")
        if self.when and (self.when.scores or any(each.none_of or each.is_missing for each in self.when.walk())):
            raise ValueError("a check is for people of whom something was found: no tier, none_of or is_missing")
        return self

    def outlasts(self, variable: Variable) -> bool:
        """Tell whether a record within the window may be too old for the variable of ``done``: it would be repeated."""
        months, days = (
            variable.lookback_months or variable.maximum_age_months,
            variable.lookback_days or variable.maximum_age_days,
        )
        seen = months * _DAYS_A_MONTH if months else days
        return seen is not None and self.again_after_days is not None and seen < self.again_after_days


_DAYS_A_MONTH = 365 / 12


class FollowUp(Strict):
    """How long each answer, and each silence, holds on a pathway.

    Attributes:
        invite_again_after_days: An invitation without an answer is repeated; after the third a clinician looks.
        booking_settles_after_days: How long after a booked day its outcome is waited for.
        open_ended_days: How long a booking or deferral without a date holds.
        contact_apart_days: How long an invitation or offer keeps other pathways from inviting or offering.
        call_after_days: An offer not taken up becomes a call by a person.
        result_within_days: When to look again at somebody whose missing values were to be measured.
        review_after_months: When somebody who attended, or uses what was offered, is due again.
        ask_again_after_months: When somebody who declined is asked again, and an offer may be repeated.
        reconsider_after_months: When somebody for whom it was not appropriate is looked at again.
    """

    invite_again_after_days: int = Field(default=14, ge=1)
    booking_settles_after_days: int = Field(default=7, ge=0)
    open_ended_days: int = Field(default=28, ge=1)
    contact_apart_days: int = Field(default=28, ge=0)
    call_after_days: int = Field(default=28, ge=1)
    result_within_days: int = Field(default=56, ge=1)
    review_after_months: int = Field(default=12, ge=1)
    ask_again_after_months: int = Field(default=12, ge=1)
    reconsider_after_months: int = Field(default=12, ge=1)


class CodedAnswer(Strict):
    """What in the GP record is an answer: an entry of a codelist while somebody is at one place of the pathway.

    Attributes:
        codelist: Any entry of it, of an exact day.
        means: ``attended`` or ``declined``; of an offer ``activated`` or ``declined``.
        at: The clinic or worklist the person is listed for or waits for; ``self_management`` for an offer.
    """

    codelist: str
    means: Literal["attended", "activated", "declined"]
    at: str

    @model_validator(mode="after")
    def _sound(self) -> CodedAnswer:
        if self.means == ("attended" if self.at == "self_management" else "activated"):
            raise ValueError("an offer (self_management) is activated or declined, a clinic is attended or declined")
        return self


class Route(Strict):
    """One rule of a pathway: the first that holds decides. The last has no ``when`` and takes the rest.

    A route to self-management makes the first of its ``offers`` (all of the pathway where it names none) that is in the
    language of the person and has a place left.
    """

    id: str
    when: Condition | None = None
    decision: Decision
    clinic: str | None = None
    offers: tuple[str, ...] = ()
    reason: str
    when_unknown: Literal["assessment", "pass_over"] = "assessment"
    gap: str | None = None

    @model_validator(mode="after")
    def _sound(self) -> Route:
        if (self.decision == "clinic") != (self.clinic is not None):
            raise ValueError("a route to a clinic names it, and only such a route does")
        if self.offers and self.decision != "self_management":
            raise ValueError("only a route to self_management names offers")
        if self.when_unknown == "pass_over" and not self.gap:
            raise ValueError("a rule that is passed over when unknown states the data gap to show")
        return self


class Roster(Strict):
    """What the roster of care homes shows of everybody on the pathway, beside the list of its clinic.

    Attributes:
        clinic: The clinic in whose folder it lies; its ``within_working_days`` say by when the team is to come.
        plan: Variable whose day is that of the plan.
        visit_after: Variables whose day is that of moving in or coming back.
    """

    clinic: str
    plan: str
    visit_after: tuple[str, ...] = ()


class RankBy(Strict):
    """One step of ranking after the tier: a variable, or the score the tier is from; most or least first."""

    variable: str
    first: Literal["most", "least"]


class Pathway(Strict):
    """Who is on a pathway, where each goes, and in which order clinics see them.

    A ``draft`` is worked out, and no list of it is published. A published one has a clinical lead, a review date and a
    ``plain_name``: what somebody on it would call it, for the page for patients and carers. ``graded_response``: what
    each tier is to get, in words.
    """

    id: str
    version: str
    label: str
    status: Literal["draft", "published"]
    clinical_lead: str | None = None
    review_date: date | None = None
    source: str
    note: str | None = None
    plain_name: str | None = Field(default=None, min_length=1)
    precedence: int
    cohort: Condition
    tier_from: str | None = None
    graded_response: dict[str, str] = Field(default_factory=dict)
    routes: tuple[Route, ...] = Field(min_length=1)
    rank_by: tuple[RankBy, ...] = ()
    show: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    clinics: tuple[Clinic, ...] = ()
    roster: Roster | None = None
    offers: tuple[Offer, ...] = ()
    assessment: Clinic = ASSESSMENT
    clinician_review: Clinic = CLINICIAN_REVIEW
    call: Clinic = CALL
    follow_up: FollowUp = FollowUp()
    coded: tuple[CodedAnswer, ...] = ()
    agreed: tuple[Agreement, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> Pathway:
        if self.status == "published" and not (self.clinical_lead and self.review_date):
            raise ValueError("a pathway without a clinical lead and a review date is a draft: it cannot be published")
        if self.status == "published" and not self.plain_name:
            raise ValueError(
                "a pathway without a plain_name cannot be published: patients read about it under that name"
            )
        known = {each.id for each in self.clinics}
        for number, each in enumerate(self.routes[:-1]):
            if each.when is None:
                raise refusal(f"route {each.id} needs a rule (when); only the last takes the rest", "routes", number)
        if self.routes[-1].when is not None:
            raise refusal("the last route takes the rest: it has no rule (when)", "routes", len(self.routes) - 1)
        offers = {offer.id for offer in self.offers}
        for number, each in enumerate(self.routes):
            if each.decision == "self_management" and not self.offers:
                words = f"route {each.id} leads to self_management, and the pathway has no offers"
                raise refusal(words, "routes", number)
            if each.clinic and each.clinic not in known:
                words = f"route {each.id} names the clinic {each.clinic}, which the pathway does not have"
                raise refusal(words, "routes", number, "clinic")
            for name in each.offers:
                if name not in offers:
                    words = f"route {each.id} names the offer {name}, which the pathway does not have"
                    raise refusal(words, "routes", number, "offers")
        if self.roster and self.roster.clinic not in known:
            raise refusal(f"the roster is of {self.roster.clinic}, which the pathway does not have", "roster", "clinic")
        places = {each.id for each in self.places} | ({"self_management"} if self.offers else set())
        for number, answer in enumerate(self.coded):
            if answer.at not in places:
                raise refusal(f"an entry counts at {answer.at}, which the pathway does not have", "coded", number, "at")
        return self

    @property
    def is_published(self) -> bool:
        """Lists of it may be published."""
        return self.status == "published"

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition that decides."""
        return (self.cohort, *(each.when for each in self.routes if each.when))

    @property
    def scores(self) -> tuple[str, ...]:
        """Scores whose tier it uses, the one it takes its own tier from first; each once."""
        own = [self.tier_from] if self.tier_from else []
        return tuple(dict.fromkeys([*own, *(name for each in self.conditions for name in each.scores)]))

    @property
    def shown(self) -> tuple[str, ...]:
        """Variables that it orders by, shows or checks: they decide no route; each once."""
        checked = [name for each in self.checks for name in _of_check(each)]
        rostered = [self.roster.plan, *self.roster.visit_after] if self.roster else []
        ranked = [step.variable for step in self.rank_by if step.variable != self.tier_from]
        return tuple(dict.fromkeys([*ranked, *self.show, *checked, *rostered]))

    def clinic(self, name: str) -> Clinic:
        """Give a clinic or worklist of the pathway by id."""
        return next(each for each in self.places if each.id == name)

    @property
    def places(self) -> tuple[Clinic, ...]:
        """Every clinic and worklist people are listed for."""
        return (*self.clinics, self.assessment, self.clinician_review, self.call)

    @property
    def offers_in_words(self) -> str:
        """What may be offered, in words."""
        return " or ".join(each.label for each in self.offers)

    def offer(self, name: str) -> Offer:
        """Give an offer of the pathway by id."""
        return next(each for each in self.offers if each.id == name)

    def offers_of(self, rule_id: str) -> tuple[Offer, ...]:
        """Give what may be offered to somebody whom a route decided on, in the order in which it is tried."""
        named = next((each.offers for each in self.routes if each.id == rule_id), ())
        return tuple(self.offer(name) for name in named) or self.offers


def _of_check(check: Check) -> tuple[str, ...]:
    return ((check.done,) if check.done else ()) + (check.when.variables if check.when else ())
