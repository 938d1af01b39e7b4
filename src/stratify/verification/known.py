"""How far something is known: yes, no or not known by Kleene's rules, and numbers that may be higher or lower."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from stratify.verification.definitions import Json
from stratify.verification.values import VALUES, Value, reads_hospital

PERSON_FIELDS = ("age_years", "months_registered", "is_female", "is_male", "imd_decile")

Truth = bool | None


class Known(NamedTuple):
    """How far a number is known: it may be higher or lower than ``number``, and not be ``number`` itself."""

    number: float | None
    may_be_higher: bool = False
    may_be_lower: bool = False
    is_strict: bool = False
    is_contradictory: bool = False

    @property
    def is_unknown(self) -> bool:
        """Nobody knows it, or not for sure."""
        return self.number is None or self.may_be_higher or self.may_be_lower


def every(parts: Iterable[Truth]) -> Truth:
    """Give the Kleene and."""
    found = list(parts)
    return False if False in found else None if None in found else True


def some(parts: Iterable[Truth]) -> Truth:
    """Give the Kleene or."""
    found = list(parts)
    return True if True in found else None if None in found else False


def opposite(truth: Truth) -> Truth:
    """Give the Kleene not."""
    return None if truth is None else not truth


def known_of_person(about: Json, index_date: date) -> dict[str, Known]:
    """Give what is known of a person without any record."""
    joined = about["registered_date"]
    months = None
    if joined:
        months = (index_date.year - joined.year) * 12 + index_date.month - joined.month
        months -= joined.day > index_date.day
    sex = about["sex"] if about["sex"] in ("F", "M") else None
    found: dict[str, Any] = {
        "age_years": about["age_years"],
        "months_registered": months,
        "is_female": None if sex is None else sex == "F",
        "is_male": None if sex is None else sex == "M",
        "imd_decile": about["imd_decile"],
    }
    return {name: Known(None if value is None else float(value)) for name, value in found.items()}


def known_of_variable(variable: Json, found: Value | None, *, is_linked: bool) -> Known:
    """Give how far a variable is known from its value; a count or a yes without a value is nought."""
    number = found.value if found and found.state == "known" else None
    is_contradictory = found is not None and found.state == "conflict"
    is_out_of_reach = reads_hospital(variable) and not is_linked
    if variable["take"] in VALUES:
        bound = found.bound if found else None
        nobody_knows = is_out_of_reach and number is None
        higher, lower = bound in (">", ">=") or nobody_knows, bound in ("<", "<=") or nobody_knows
        return Known(number, higher, lower, bound in ("<", ">"), is_contradictory)
    if variable["take"] != "weight":
        number = None if is_contradictory else number or 0.0
    return Known(number, is_out_of_reach, False, False, is_contradictory)
