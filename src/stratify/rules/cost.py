"""What offers and hospital activity cost, as the site declares it: a price, how far it may be off, and who says so.

Nothing here has a price of ours: a run without a declaration tells no cost. Working with them is for ``publish``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stratify.rules.strict import Strict, refusal

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Words = Annotated[str, Field(min_length=3)]
Pounds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Year = Annotated[int, Field(ge=2000, le=2100)]


class Price(Strict):
    """A price in pounds, and the range that whoever declares it thinks it lies in.

    Attributes:
        pounds: The best figure.
        lowest: It is hardly less than this.
        highest: It is hardly more than this.
    """

    pounds: Pounds
    lowest: Pounds
    highest: Pounds

    @model_validator(mode="after")
    def _in_order(self) -> Price:
        if not self.lowest <= self.pounds <= self.highest:
            raise refusal("lowest, pounds and highest are in that order", "pounds")
        return self


class OfferCost(Strict):
    """What an offer of supported self-management costs.

    Attributes:
        id: Short name.
        version: Of the declaration.
        name: What is paid for, in words.
        owner: Role that answers for the figures.
        pathway: The pathway that makes the offer.
        outcome: The metric that counts what it is for, among people who were offered it.
        for_each_offered: For everybody who was offered it.
        for_each_begun: For everybody who began.
        outcome_worth: What one outcome is said to be worth; none where nobody says so.
        price_year: Year of the prices.
        source: Where they are from.
    """

    id: Name
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    name: Words
    owner: Words
    pathway: Name
    outcome: Name
    for_each_offered: Price | None = None
    for_each_begun: Price | None = None
    outcome_worth: Price | None = None
    price_year: Year
    source: Words

    @model_validator(mode="after")
    def _costs_something(self) -> OfferCost:
        if not (self.for_each_offered or self.for_each_begun):
            raise refusal("for_each_offered, for_each_begun or both")
        return self


class ActivityCost(Strict):
    """What one spell or attendance costs whoever pays for it.

    Attributes:
        metric: The metric that counts it.
        each: The price of one.
        owner: Role that answers for it.
        price_year: Year of the price.
        source: Where it is from.
    """

    metric: Literal["emergency_admissions", "other_admissions", "ed_attendances"]
    each: Price
    owner: Words
    price_year: Year
    source: Words


class CostsFile(Strict):
    """A file of costs: ``clinical/costs/<topic>.yaml``."""

    offers: tuple[OfferCost, ...] = ()
    activities: tuple[ActivityCost, ...] = ()
