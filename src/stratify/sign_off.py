"""Sign-off of a pathway: who answers for it, which definition was signed, and how long its lists may be.

Belongs here: what a site writes down, and whether it holds on a day. Does not belong: the digest of a definition
(``rule_versions``), holding lists (``approvals``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Bounds(BaseModel):
    """How many people a pathway may list or offer something to in a week: at one practice, and at all together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    least: int = Field(ge=0)
    most: int = Field(ge=0)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.least > self.most:
            raise ValueError("least is no more than most")
        return self

    def broken_by(self, people: int) -> bool:
        """Say whether a number of people is outside."""
        return not self.least <= people <= self.most


class SignOff(BaseModel):
    """One signature under one definition of a pathway.

    Attributes:
        pathway: The pathway.
        digest: Of the definition that is signed, as ``stratify rules digests`` gives it.
        clinical_lead: The clinician who answers for the pathway at this site, by name.
        signed_by: The officer of the organisation who signed, by name.
        role: What that officer is.
        signed_date: When.
        review_date: Last day the signature holds; the earlier of this and the definition's own counts.
        per_practice: How long the list of a practice may be.
        in_total: How long all lists may be together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pathway: str
    digest: str = Field(pattern=r"^[0-9a-f]{16}$")
    clinical_lead: str = Field(min_length=1)
    signed_by: str = Field(min_length=1)
    role: str = Field(min_length=1)
    signed_date: date
    review_date: date
    per_practice: Bounds
    in_total: Bounds


def signature_of(pathway: str, sign_offs: Sequence[SignOff], *, day: date) -> SignOff | None:
    """Give the latest signature under a pathway, or None."""
    mine = [each for each in sign_offs if each.pathway == pathway and each.signed_date <= day]
    return max(mine, key=lambda each: each.signed_date, default=None)


def fault_of(
    pathway: str, digest: str, review_date: date | None, sign_offs: Sequence[SignOff], *, day: date
) -> str | None:
    """Say why a pathway may not publish on a day, or give None where it may.

    Args:
        pathway: The pathway.
        digest: Of its definition as it is now.
        review_date: The review date of the definition; a draft may have none.
        sign_offs: All signatures.
        day: The day.
    """
    latest = signature_of(pathway, sign_offs, day=day)
    if latest is None:
        return "The pathway is not signed off"
    if latest.digest != digest:
        return "The pathway was changed after it was signed off"
    if min(latest.review_date, review_date or latest.review_date) < day:
        return "The review date of the pathway is past"
    return None


def outside_bounds(signature: SignOff, people: Mapping[str, int]) -> dict[str | None, str]:
    """Say which lists are outside the bounds that were signed, and how.

    Args:
        signature: The signature.
        people: People listed or offered something, by practice; a practice with nobody counts with 0.

    Returns:
        Why, by practice; None for every practice, when all together are outside.
    """
    total = sum(people.values())
    if signature.in_total.broken_by(total):
        bounds = signature.in_total
        return {
            None: f"The lists of all practices are outside what was signed off, {bounds.least} to {bounds.most} people"
        }
    bounds = signature.per_practice
    words = f"The list is outside what was signed off for a practice, {bounds.least} to {bounds.most} people"
    return {practice: words for practice, number in sorted(people.items()) if bounds.broken_by(number)}
