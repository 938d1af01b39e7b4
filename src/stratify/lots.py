"""Lots at the last place: who of several people equally in need gets it, drawn so that it can be judged afterwards.

Off unless a site's settings record a decision of a research ethics committee. Changes nothing but the order among
people who are alike in everything that a clinic's list is ordered by, on lists whose last place falls among them;
without a lot their pseudonyms order them. Belongs here: what a site writes down, the draw, and when it stops. Which
lists have such a tie is for ``routing``, what is recorded for ``lot_run``.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SEED_VARIABLE, SEED_FILE_VARIABLE = "STRATIFY_LOT_SEED", "STRATIFY_LOT_SEED_FILE"

STOPS_AT = 3.2905267314919255
"""Of a standard normal variable, 0.05 % lie above: looked at every week, a limit this far out is hardly ever passed by
chance (J. L. Haybittle 1971, Br J Radiol 44:793)."""

_DIGEST = r"^[0-9a-f]{64}$"


class Lot(BaseModel):
    """A lot as a site may have it, of one clinic of one pathway.

    Attributes:
        pathway: The pathway.
        clinic: The clinic.
        evaluation: The declared evaluation it is for, with design ``lot``.
        plan_digest: SHA-256 of that declaration, as ``stratify impact`` prints it.
        seed_digest: SHA-256 of the seed, which somebody keeps who has no hand in lists.
        ethics_reference: Reference of the favourable opinion.
        ethics_decided_by: The committee.
        ethics_decided_date: Its day.
        first_date: First week (``from`` in the settings): what is planned is recorded then, and drawn from the next on.
        end_date: First week in which nothing is drawn any more (``until``); none while it has no end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    pathway: str
    clinic: str
    evaluation: str
    plan_digest: str = Field(pattern=_DIGEST)
    seed_digest: str = Field(pattern=_DIGEST)
    ethics_reference: str = Field(min_length=1)
    ethics_decided_by: str = Field(min_length=1)
    ethics_decided_date: date
    first_date: date = Field(alias="from")
    end_date: date | None = Field(default=None, alias="until")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.first_date < self.ethics_decided_date:
            raise ValueError("begins no earlier than the research ethics committee decided")
        if self.end_date is not None and self.end_date <= self.first_date:
            raise ValueError("ends after it begins")
        return self

    def is_on(self, day: date) -> bool:
        """Say whether a day is within the dates."""
        return self.first_date <= day and (self.end_date is None or day < self.end_date)


@dataclass(frozen=True)
class Tie:
    """People of one list, alike in all that orders it, of whom some have the last places and some have none."""

    pathway: str
    clinic: str
    practice: str
    keys: tuple[str, ...]
    places: int


@dataclass
class Lots:
    """The lots that may be drawn in a week, and what the last draw gave.

    Attributes:
        seeds: Seed and digest of the plan, by pathway and clinic.
        drawn: Of each person drawn: tie, and whether the lot gave a place.
    """

    seeds: Mapping[tuple[str, str], tuple[bytes, str]]
    drawn: list[dict[str, Any]] = field(default_factory=list)

    def draw(self, ties: Sequence[Tie]) -> dict[tuple[str, str], str]:
        """Give the turn of everybody who ties, by person and pathway: the least comes first, in any week the same."""
        self.drawn, turns = [], {}
        for tie in ties:
            if (tie.pathway, tie.clinic) not in self.seeds:
                continue
            seed, plan = self.seeds[tie.pathway, tie.clinic]
            mine = {key: _turn(seed, tie, key) for key in tie.keys}
            turns.update({(key, tie.pathway): turn for key, turn in mine.items()})
            for place, key in enumerate(sorted(mine, key=lambda each: mine[each])):
                self.drawn.append(
                    {
                        "patient_key": key,
                        "pathway": tie.pathway,
                        "practice_code": tie.practice,
                        "clinic_id": tie.clinic,
                        "draw": f"{tie.clinic} {tie.practice}",
                        "tied": len(tie.keys),
                        "given": tie.places,
                        "is_given": place < tie.places,
                        "plan_digest": plan,
                    }
                )
        return turns


def _turn(seed: bytes, tie: Tie, key: str) -> str:
    return hmac.new(seed, f"{tie.pathway} {tie.clinic} {key}".encode(), hashlib.sha256).hexdigest()


def digest_of_seed(seed: bytes) -> str:
    """Give what the settings say of a seed."""
    return hashlib.sha256(seed).hexdigest()


def why_stop(events: tuple[int, int], years: tuple[float, float], what: str) -> str | None:
    """Say that one side fares so much worse that nobody may go on drawing; None where it does not.

    Args:
        events: Of those the lot gave a place, and of those it did not.
        years: Their years since the draw.
        what: What was counted.
    """
    if not sum(events) or min(years) <= 0:
        return None
    far = (events[0] * years[1] - events[1] * years[0]) / math.sqrt(years[0] * years[1] * sum(events))
    if abs(far) < STOPS_AT:
        return None
    side = "to whom the lot gave a place" if far > 0 else "to whom it gave none"
    return f"Stopped for harm: {what} are more among those {side}, against the others, than chance would have it"
