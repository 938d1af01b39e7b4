"""Words for people: what a team is asked to decide, each fact in plain words, and letters to patients."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import Field, model_validator

from stratify.rules.pathway import Clinic
from stratify.rules.strict import Strict

PLACEHOLDERS = ("{practice}", "{phone}", "{why}")
LONGEST_MESSAGE = 459
"""Three parts of a text message; a choice of ours: longer ones are split by some phones and cost more."""


class Topic(Strict):
    """A question a team decides about a person, who chairs it, what can be decided, and the facts that raise it.

    ``lead``: roles, the first that the clinic has chairs it.
    """

    id: str
    question: str
    lead: tuple[str, ...] = Field(min_length=1)
    options: tuple[str, ...] = Field(min_length=1)
    variables: tuple[str, ...] = Field(min_length=1)

    def chair(self, clinic: Clinic) -> str:
        """The role that chairs it: the first of its own that the clinic has, or whoever leads the clinic."""
        return next((role for role in self.lead if role in clinic.roles), clinic.lead or clinic.roles[0])


class Agenda(Strict):
    """The topics of a team in the order they are taken, and the measurements whose course is shown.

    ``no_action``: options after which nothing is to be done; ``other_actions``: what else may be agreed.
    """

    version: str
    topics: tuple[Topic, ...] = Field(min_length=1)
    otherwise: Topic
    trends: tuple[str, ...] = ()
    no_action: tuple[str, ...] = ()
    other_actions: tuple[str, ...] = ()

    def raised_by(self, variables: Iterable[str]) -> list[Topic]:
        """Give the topics that these facts raise, the first fact's first."""
        by_variable = {name: topic for topic in self.topics for name in topic.variables}
        raised = {by_variable[name].id: by_variable[name] for name in variables if name in by_variable}
        return list(raised.values())

    @property
    def actions(self) -> tuple[str, ...]:
        """What may be agreed to be done: the options of all topics, each once, and what else there is."""
        options = (option for topic in (*self.topics, self.otherwise) for option in topic.options)
        return tuple(dict.fromkeys(each for each in (*options, *self.other_actions) if each not in self.no_action))


class PlainWords(Strict):
    """Each variable as said to the person: "you ..." without jargon, scores or diagnoses the person may not know."""

    version: str
    otherwise: str
    words: dict[str, str]
    asks: dict[str, str] = Field(default_factory=dict)


class Section(Strict):
    """A heading of a letter and what stands under it; ``{why}`` alone stands for the plain reasons."""

    heading: str
    lines: tuple[str, ...] = Field(min_length=1)


class Letter(Strict):
    """A letter and a message to people of one pathway.

    ``formats``: those of the Accessible Information Standard in which it can be had; whoever needs another gets none,
    and a person acts. An invitation to a clinic goes to nobody whom a clinician has not accepted; a letter with an
    offer may be made ready (``needs_acceptance: false``) for the practice to check and send.
    Placeholders: ``{practice}``, ``{phone}``, ``{why}``; letter and message both say which number to ring.
    """

    id: str
    version: str
    label: str
    pathway: str
    clinic: str | None = None
    needs_acceptance: bool = True
    formats: tuple[str, ...] = ()
    title: str
    sections: tuple[Section, ...] = Field(min_length=1)
    message: str = Field(max_length=LONGEST_MESSAGE)

    @model_validator(mode="after")
    def _safe(self) -> Letter:
        if self.clinic and not self.needs_acceptance:
            raise ValueError("an invitation to a clinic needs the acceptance of a clinician")
        texts = [self.title, self.message, *(line for each in self.sections for line in (each.heading, *each.lines))]
        odd = sorted({found for text in texts for found in re.findall(r"\{[^}]*\}?|\}", text)} - set(PLACEHOLDERS))
        if odd:
            raise ValueError(f"placeholders are {', '.join(PLACEHOLDERS)}")
        if "{why}" in self.title + self.message:
            raise ValueError("reasons stand in a letter, never in a title or message: others may see those")
        if not all("{phone}" in text for text in (self.message, " ".join(texts[2:]))):
            raise ValueError("a letter and its message say which number to ring: {phone}")
        return self
