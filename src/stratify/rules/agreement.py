"""Where a threshold comes from that people settled together: the record of a panel, carried by the definition."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from stratify.rules.strict import Strict


class Agreement(Strict):
    """What a panel of two rounds settled (``stratify panel close`` writes it); it decides nothing by itself."""

    threshold: str
    value: float
    unit: str
    panel: str
    closed: date
    panellists: int = Field(ge=3)
    median: float
    lower_quartile: float
    upper_quartile: float
    is_agreed: bool
    dissent: int = Field(ge=0)
    dissent_reasons: tuple[str, ...] = ()
    policy_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
