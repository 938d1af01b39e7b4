"""Faults of who somebody is: NHS numbers, two people for one, test records, flags (I1 to I8), impossible ages (D8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import numpy as np
import polars as pl

from stratify import codes
from stratify.synth.faults.ground import DRAW, Picked, Site, form, in_turn
from stratify.synth.faults.records import days_later, is_day

_NOBODY = ("0000000000", "9999999999", "1111111111", "0123456789")
_NOT_TRACED = "03"
_TRACE = "nhs_number_trace"
_FIRST_TRACED = date(2022, 1, 1)


def one_record(site: Site) -> pl.Expr:
    """Say whether the NHS number of a row is that of one patient record and no more."""
    numbers = site.seen("patient").get_column("nhs_number", default=pl.Series(dtype=pl.String)).drop_nulls()
    once = numbers.filter(numbers.is_unique())
    return pl.col("nhs_number").is_in(once.implode())


def _records_of_number(numbers: pl.Series, change: Callable[[str], str]) -> pl.Series:
    return pl.Series("number", [change(each) for each in numbers.to_list()], dtype=pl.String)


def _spoil_number(site: Site, change: Callable[[Picked], Mapping[str, str | pl.Expr]]) -> None:
    picked = site.pick("patient", one_record(site), stays=True)
    if len(picked):
        site.write(picked, **change(picked))
        site.mean(picked, nhs_number=None)
        site.mean(picked, nhs_number_status=_NOT_TRACED)


def _wrong_check_digit(number: str) -> str:
    return f"{number[:-1]}{(int(number[-1]) + 1) % 10}"


def _beginning_with(first: str, number: str) -> str:
    """Give a number with a right check digit that begins so and goes on like another."""
    for last in range(10):
        body = f"{first}{number[len(first) : 8]}{(int(number[8]) + last) % 10}"
        check = codes.nhs_check_digit(body)
        if check is not None:
            return f"{body}{check}"
    raise AssertionError("ten neighbours without a check digit: two in a row never happens")


def _invalid(site: Site) -> None:
    def change(picked: Picked) -> Mapping[str, str | pl.Expr]:
        wrong = _records_of_number(picked.rows["nhs_number"], _wrong_check_digit)
        return {"nhs_number": pl.lit(wrong), "nhs_number_status": _NOT_TRACED}

    _spoil_number(site, change)


def _sentinel(site: Site) -> None:
    _spoil_number(site, lambda _: {"nhs_number": in_turn(*_NOBODY), "nhs_number_status": _NOT_TRACED})


def _not_issued(site: Site) -> None:
    def change(picked: Picked) -> Mapping[str, str | pl.Expr]:
        other = _records_of_number(picked.rows["nhs_number"], lambda number: _beginning_with("5", number))
        return {"nhs_number": pl.lit(other), "nhs_number_status": _NOT_TRACED}

    _spoil_number(site, change)


def superseded_number(number: str) -> str:
    """Give the older NHS number that fault I4 invents for somebody.

    In the block 998, which no county of up to 800,000 people uses.
    """
    return _beginning_with("998", number)


def _superseded(site: Site) -> None:
    """Write an older number on all hospital rows of some people, and say in the trace which number survives it."""
    present = [table for table in site.fault.tables if not site.frame(table).is_empty()]
    if "apc_episode" not in present:
        return
    single = one_record(site)
    admitted = site.frame("apc_episode").filter(single)["nhs_number"].unique().sort()
    chosen = admitted[site.draw(len(admitted))]
    before = site.ground.touched_before
    if before is not None:  # who has an older number keeps it
        earlier = before.filter(pl.col("fault") == site.fault.id)["nhs_number"].drop_nulls()
        chosen = pl.concat([chosen, earlier]).unique().sort()
    borne = []
    for table in present:
        picked = site.take(table, site.able(table, pl.col("nhs_number").is_in(chosen.implode())))
        site.note(picked)
        if len(picked):
            site.write(picked, nhs_number=pl.lit(_records_of_number(picked.rows["nhs_number"], superseded_number)))
            borne.append(picked.rows["nhs_number"])
    if borne and _TRACE in site.ground.tables:
        site.add(_TRACE, _answers(site, pl.concat(borne).unique().sort()))


def _answers(site: Site, survivors: pl.Series) -> pl.DataFrame:
    """Give what the tracing service says of older numbers; the day is the number's own, the same in every extract."""
    columns = site.frame(_TRACE).columns
    rows = pl.DataFrame(
        {
            "nhs_number": _records_of_number(survivors, superseded_number),
            "surviving_nhs_number": survivors,
            "trace_outcome": ["90"] * len(survivors),
            "traced_date": [str(_FIRST_TRACED + timedelta(days=int(number) % 700)) for number in survivors],
        }
    )
    empty = [pl.lit(None, pl.String).alias(name) for name in columns if name not in rows.columns]
    return rows.with_columns(empty).select(columns)


def _two_births_or_sexes(site: Site) -> None:
    numbers = site.seen("patient").get_column("nhs_number", default=pl.Series(dtype=pl.String)).drop_nulls()
    twice = numbers.filter(numbers.is_duplicated()).unique()
    again = pl.col("nhs_number").is_in(twice.implode()) & is_day("date_of_birth")
    picked = site.pick("patient", again, stays=True)
    births, sexes = picked.only(form(0, 2)), picked.only(~form(0, 2))
    site.write(births, date_of_birth=days_later("date_of_birth", -(400 + pl.col(DRAW) % 3000)))
    other = pl.when(pl.col("sex") == "M").then(pl.lit("F")).otherwise(pl.lit("M"))
    site.write(sexes, sex=other)


def _two_people(site: Site) -> None:
    """Give somebody the number of somebody else; both are touched, and no number is meant on either record."""
    able = site.able("patient", one_record(site))
    wanted = site.draw(len(able))
    wanted = wanted[: len(able) // 2]
    if not len(wanted):
        return
    others = np.setdiff1d(np.arange(len(able)), wanted)
    partners = site.scene.rng.choice(others, size=len(wanted), replace=False)
    picked, owners = site.take("patient", able[wanted]), site.take("patient", able[partners])
    site.note(picked, "has the number of somebody else")
    site.note(owners, "somebody else has the number")
    site.write(picked, nhs_number=pl.lit(owners.rows["nhs_number"]))
    for record in (picked, owners):
        site.mean(record, nhs_number=None)


def _test_patient(site: Site) -> None:
    picked = site.pick("patient", pl.col("is_test_patient").ne_missing("true"), stays=True)
    site.both(picked, is_test_patient="true", given_names=in_turn("Mickey", "Test", "Dummy"))
    site.both(picked, family_name=in_turn("Mouse", "Patient", "Zztest"))


def _sensitive(site: Site) -> None:
    is_plain = pl.col("is_spine_sensitive").ne_missing("true") & pl.col("address_lines").is_not_null()
    picked = site.pick("patient", is_plain, stays=True)
    site.both(picked, is_spine_sensitive="true")
    hidden = ("phone_mobile", "email", "address_lines", "postcode", "lsoa11", "lsoa21")
    site.mean(picked, **dict.fromkeys(hidden))


def _too_old(site: Site) -> None:
    picked = site.pick("patient", one_record(site) & is_day("date_of_birth"), stays=True)
    born = date(site.scene.cutoff.year - 121, 2, 1)
    site.both(picked, date_of_birth=pl.lit(born) + pl.duration(days=pl.col(DRAW) % 300))


SPOILERS: Mapping[str, Callable[[Site], None]] = {
    "I1": _invalid,
    "I2": _sentinel,
    "I3": _not_issued,
    "I4": _superseded,
    "I5": _two_births_or_sexes,
    "I6": _two_people,
    "I7": _test_patient,
    "I8": _sensitive,
    "D8": _too_old,
}
