"""The register of care homes that a site writes down: which homes there are, where, and who leads the round there.

That somebody lives in a home is known from the record and the status periods; which home, from the postcode of the
person's address. Nobody is taken for a resident because a postcode fits.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

NOT_KNOWN = "Home not known: check the address"


class CareHome(BaseModel):
    """One home.

    Attributes:
        id: Location id of the Care Quality Commission, or another id of the site's.
        name: Name, as teams know it.
        postcode: Of its address.
        named_lead: Who leads the round there, by name or role.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    postcode: str = Field(min_length=5)
    named_lead: str = Field(min_length=1)


def home_and_lead(postcode: str | None, homes: Sequence[CareHome]) -> tuple[str, str | None]:
    """Give the home of a resident and who leads there; of several at one postcode all are named, for the team to say.

    Args:
        postcode: Of the resident's address; None where it is not known or not to be shown.
        homes: The register.
    """
    here = [each for each in homes if postcode and _bare(each.postcode) == _bare(postcode)]
    if not here:
        return NOT_KNOWN, None
    leads = dict.fromkeys(each.named_lead for each in here)
    return " or ".join(f"{each.name} ({each.id})" for each in here), "; ".join(leads)


def _bare(postcode: str) -> str:
    return "".join(postcode.split()).upper()
