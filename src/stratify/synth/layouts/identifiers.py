"""Our ids as suppliers print ids: as a GUID in braces (EMIS) or as a number (SystmOne), each readable back.

Ids of the county are ASCII. One or more leading letters and then digits is the usual form (``V00300000012``), but any
text of the allowed length has a GUID and a number of its own. Like the ids themselves these are unique only within an
organisation.

**GUID**: a digit stands for itself, any other character is ``A`` and its ASCII code in two hexadecimal digits; filled
up with ``F`` to 32 and cut 8-4-4-4-12. ``V00300000012`` is ``{A5600300-0000-12FF-FFFF-FFFFFFFFFFFF}``. To read one
back: drop braces and hyphens, then from the left turn ``A`` and two digits into their character and keep digits, until
an ``F`` stands where one of these should.

**Number**: the id is cut behind its last character that is no digit. 10 plus the length of the first part, then two
digits for each of its characters (ASCII code less 32), then the rest as it is. ``V00300000012`` is ``115400300000012``.
Read back from the left. It is text: as a 64-bit number it fits while the id has one letter and at most 15 digits.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from stratify.errors import SettingsError

_DIGITS = "0123456789"
_LONGEST = 32
_AS_HEXADECIMAL = {chr(code): f"A{code:02X}" for code in range(32, 127) if chr(code) not in _DIGITS}


def guids(ids: pl.Series) -> pl.Series:
    """Give the GUID of each id.

    Raises:
        SettingsError: an id is too long to be read back from a GUID.
    """
    digits = ids.str.replace_many(list(_AS_HEXADECIMAL), list(_AS_HEXADECIMAL.values()))
    longest = digits.str.len_bytes().max()
    if isinstance(longest, int) and longest > _LONGEST:
        raise SettingsError(
            f"synthetic county, ids of column {ids.name}",
            expected=f"at most {_LONGEST} places, where a digit takes one and any other character three",
            found=f"{longest}",
            action="Shorten the ids where they are made, or give another layout.",
        )
    full = digits.str.pad_end(_LONGEST, "F")
    parts = [full.str.slice(start, length) for start, length in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))]
    return pl.select(pl.concat_str(["{" + parts[0], *parts[1:-1], parts[-1] + "}"], separator="-")).to_series()


def numbers(ids: pl.Series) -> pl.Series:
    """Give the number of each id, as text."""
    first_parts = ids.str.strip_chars_end(_DIGITS)
    # The longest comes first: of "A" and "AB" the second must be found in "AB12".
    found = sorted(first_parts.unique().drop_nulls().to_list(), key=lambda part: (-len(part), part))
    lettered = [part for part in found if part]
    coded = [f"{10 + len(part)}" + "".join(f"{ord(each) - 32:02d}" for each in part) for part in lettered]
    text = ids.str.replace_many(lettered, coded, leftmost=True) if lettered else ids
    if "" not in found:
        return text
    return pl.select(pl.when(first_parts == "").then("10" + text).otherwise(text)).to_series()


def each_once(values: pl.Series, make: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Make a column of few different values by making each of them once; null stays null."""
    different = values.drop_nulls().unique()
    if different.is_empty():
        return values.cast(pl.String)
    return values.replace_strict(different, make(different), default=None, return_dtype=pl.String)
