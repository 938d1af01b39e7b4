"""Faults of codes: unknown, local, withdrawn, written otherwise (C1 to C5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from stratify.codes import verhoeff_is_valid
from stratify.synth import clinical_codes
from stratify.synth.faults.ground import DRAW, Site, form, in_turn

_LOCAL_CODE = "1777541000006105"
"""In a supplier's own namespace (1000006): a right check digit, and in no UK release."""
_LOCAL_SYSTEM, _READ_SYSTEM = "EMIS", "READ2"
_COPD = [each.code for each in (*clinical_codes.COPD_DIAGNOSES, *clinical_codes.COPD_EXACERBATIONS)]
_DIAGNOSES = tuple(f"diag_{place:02d}" for place in range(1, 21))
_FILLED_UP = r"^(.{3,}?)X+$"


def _damaged(column: str) -> pl.Expr:
    """Give an id as a spreadsheet leaves it: in scientific notation, or with its last digit gone wrong."""
    code = pl.col(column)
    scientific = code.str.slice(0, 1) + "." + code.str.slice(1, 4) + "E+" + (code.str.len_bytes() - 1).cast(pl.String)
    last = ((code.str.slice(-1).cast(pl.Int64) + 3) % 10).cast(pl.String)
    return pl.when(pl.col(DRAW) // 3 % 2 == 0).then(scientific).otherwise(code.str.head(-1) + last)


def _unknown_code(site: Site) -> None:
    picked = site.pick("gp_event", pl.col("snomed_code").is_not_null())
    read = picked.only(form(0, 3))
    site.both(read, snomed_code=None, original_code=in_turn("H3z..", "XE0Uu", "G20..", "1371."))
    site.both(read, original_system=_READ_SYSTEM)
    site.both(picked.only(form(1, 3)), snomed_code=_LOCAL_CODE)
    damaged = picked.only(form(2, 3))
    site.write(damaged, snomed_code=_damaged("snomed_code"))
    site.mean(damaged, snomed_code=None)
    medicine = site.pick("gp_medication", pl.col("dmd_code").is_not_null())
    site.write(medicine, dmd_code=_damaged("dmd_code"))
    site.mean(medicine, dmd_code=None)


def _no_copd_codes(site: Site) -> None:
    of_hit = pl.col("org_code").is_in(site.hit)
    picked = site.take("gp_event", site.able("gp_event", of_hit & pl.col("snomed_code").is_in(_COPD)))
    site.note(picked)
    site.both(picked, snomed_code=None, original_code="EMISNQCO12", original_system=_LOCAL_SYSTEM)


def _other_spelling(site: Site) -> None:
    picked = site.pick("apc_episode", pl.col("diag_01").is_not_null())
    for column in _DIAGNOSES:
        code = pl.col(column)
        turn = pl.col(DRAW) % 4
        spelt = (
            pl.when(turn == 0)
            .then(code.str.slice(0, 3) + "." + code.str.slice(3))
            .when(turn == 1)
            .then(code.str.to_lowercase())
            .when(turn == 2)
            .then(code + "-")
            .otherwise(code.str.slice(0, 3) + " " + code.str.slice(3))
        )
        site.write(picked, **{column: spelt})
        site.mean(picked, **{column: code.str.replace(_FILLED_UP, "${1}")})


def _admission_method(site: Site) -> None:
    is_first, method = pl.col("episode_order") == "1", pl.col("admission_method")
    emergency = site.pick("apc_episode", is_first & method.str.starts_with("2"), words="28, or a method nobody knows")
    site.both(emergency.only(form(0, 2)), admission_method="28")
    unknown = emergency.only(form(1, 2))
    site.write(unknown, admission_method="2Z")
    site.leave_out(unknown)
    planned = site.pick("apc_episode", is_first & method.str.starts_with("1"), words="method 98 or 99")
    site.both(planned, admission_method=in_turn("98", "99"))


def previous_dmd_id(code: str) -> str:
    """Give the withdrawn id that fault C5 invents for a medicine: another first digit, and a right check digit."""
    body = f"{int(code[0]) % 9 + 1}{code[1:-1]}"
    return next(f"{body}{digit}" for digit in range(10) if verhoeff_is_valid(f"{body}{digit}"))


def _withdrawn_medicine(site: Site) -> None:
    picked = site.pick("gp_medication", pl.col("dmd_code").str.contains(r"^\d{6,18}$"))
    if len(picked):
        present = picked.rows["dmd_code"].unique().to_list()
        before = {code: previous_dmd_id(code) for code in present}
        site.write(picked, dmd_code=pl.col("dmd_code").replace_strict(before, return_dtype=pl.String))


SPOILERS: Mapping[str, Callable[[Site], None]] = {
    "C1": _unknown_code,
    "C2": _no_copd_codes,
    "C3": _other_spelling,
    "C4": _admission_method,
    "C5": _withdrawn_medicine,
}
