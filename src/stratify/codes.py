"""Identifiers that carry their own check digit: NHS numbers and SNOMED CT (and dm+d) concept ids.

Whether an identifier is well formed belongs here, and what the status beside an NHS number says of it. Whether it
belongs to anybody, and what a code means, does not.
Everything takes text and gives a plain value; nothing is read, logged or raised.
"""

from __future__ import annotations

from typing import Literal

NhsNumberRange = Literal["england", "scotland_chi", "northern_ireland", "test", "other"]

NumberStanding = Literal["verified", "unverified", "unresolved"]

NHS_NUMBER_STATUSES: dict[str, NumberStanding] = {
    "01": "verified",  # present and verified
    "02": "unverified",  # present, not traced
    "03": "unverified",  # trace required
    "04": "unresolved",  # trace attempted: no match, or several
    "05": "unresolved",  # trace needs to be resolved
    "06": "unverified",  # trace in progress
    "07": "unverified",  # not present, trace not required: a number that is there all the same is nobody's word
    "08": "unverified",  # trace postponed (a baby under six weeks)
}
"""What each NHS NUMBER STATUS INDICATOR CODE (NHS Data Dictionary) says of the number beside it.

Only a verified number leads to a contact as it is. An unverified one is linked, counted as a warning, and the person
confirms who they are first; one that is unresolved is linked, and a clinician looks at the record first. A status left
empty says nothing: a GP system's own record is matched to the Spine.
"""

_SEPARATORS = str.maketrans("", "", " -")
_DIGITS = frozenset("0123456789")
_WEIGHTS = (10, 9, 8, 7, 6, 5, 4, 3, 2)

_RANGES: tuple[tuple[str, str, NhsNumberRange], ...] = (
    ("0010000000", "3112999999", "scotland_chi"),
    ("3200000000", "3999999999", "northern_ireland"),
    ("4000000000", "4999999999", "england"),
    ("6000000000", "7999999999", "england"),
    ("9000000000", "9999999999", "test"),
)
"""First and last number of each range, inclusive. 5xx and 8xx are not issued in England; 9xx is issued to nobody."""

_MULTIPLY = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
"""Multiplication in the dihedral group D5 (Verhoeff 1969)."""

_PERMUTE = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
"""Permutation of a digit by its place from the right, period eight (Verhoeff 1969)."""


def spaced(nhs_number: str | None) -> str | None:
    """Write an NHS number as people read it: 3 digits, 3 and 4; None stays None."""
    return f"{nhs_number[:3]} {nhs_number[3:6]} {nhs_number[6:]}" if nhs_number else None


def nhs_check_digit(nine_digits: str) -> int | None:
    """Give the check digit of the first nine digits of an NHS number (modulus 11).

    Args:
        nine_digits: Exactly nine digits.

    Returns:
        0 to 9, or None where the sum leads to 10 (no such number is issued) or the text is not nine digits.

    Source: NHS Data Dictionary, NHS NUMBER.
    """
    if len(nine_digits) != 9 or not _DIGITS.issuperset(nine_digits):
        return None
    total = sum(int(digit) * weight for digit, weight in zip(nine_digits, _WEIGHTS, strict=True))
    check = 11 - total % 11
    return {11: 0, 10: None}.get(check, check)


def nhs_number_is_valid(text: str) -> bool:
    """Tell whether a text is an NHS number with a right check digit.

    Spaces and hyphens between digits are tolerated; a number that lost its leading zero is not. Numbers that mean
    nobody pass here too: see :func:`is_sentinel_nhs_number`.
    """
    number = text.translate(_SEPARATORS)
    if len(number) != 10 or not _DIGITS.issuperset(number):
        return False
    return nhs_check_digit(number[:9]) == int(number[9])


def is_sentinel_nhs_number(text: str) -> bool:
    """Tell whether a number is one that systems write for "no match" or "many", though its check digit is right.

    Every repeated digit passes the check (54 d + d = 55 d), and so does 0123456789.
    """
    number = text.translate(_SEPARATORS)
    return len(number) == 10 and _DIGITS.issuperset(number) and (len(set(number)) == 1 or number == "0123456789")


def nhs_number_range(text: str) -> NhsNumberRange:
    """Give the range a ten digit number falls in; ``other`` where it is none or in a range never issued to people.

    The check digit is not looked at. ``test`` is every number that begins with 9: none is issued to a person. 999 is
    the test range proper, with 909,090 numbers; counties of invented people that need more go on to the others.
    Source: nhs-number ranges, NHS England.
    """
    number = text.translate(_SEPARATORS)
    if len(number) == 10 and _DIGITS.issuperset(number):
        for first, last, name in _RANGES:
            if first <= number <= last:
                return name
    return "other"


def statuses_of(standing: NumberStanding) -> tuple[str, ...]:
    """Give the NHS NUMBER STATUS INDICATOR CODEs that leave a number so, in order."""
    return tuple(status for status, found in NHS_NUMBER_STATUSES.items() if found == standing)


def is_unverified(status: str | None) -> bool:
    """Tell whether a status says that the NHS number beside it is not verified; no status says nothing."""
    return status is not None and NHS_NUMBER_STATUSES.get(status) != "verified"


def verhoeff_is_valid(text: str) -> bool:
    """Tell whether a SNOMED CT or dm+d id ends in its right Verhoeff check digit.

    Only 6 to 18 digits with no leading zero can be an id. A float-mangled id (1777541000006100 for ...105) fails.
    """
    if not 6 <= len(text) <= 18 or not _DIGITS.issuperset(text) or text[0] == "0":
        return False
    state = 0
    for place, digit in enumerate(reversed(text)):
        state = int(_MULTIPLY[state][int(_PERMUTE[place % 8][int(digit)])])
    return state == 0
