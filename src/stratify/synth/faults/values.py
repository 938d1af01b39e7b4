"""Faults of measured values: units, sizes, pairs and grades (U1 to U8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from stratify.synth import clinical_codes as codes
from stratify.synth.faults.ground import Site, form, in_turn

_TABLE = "gp_observation"
_VALUE = pl.col("value_num").cast(pl.Float64, strict=False)
_GRADE_CODES = [each.code for each in codes.MRC_GRADES]
_GRADE_OF = {code: float(grade) for grade, code in enumerate(_GRADE_CODES, 1)}
_IN_ML = pl.col("unit_raw").str.to_lowercase().str.starts_with("m")
_STONE_KG, _FOOT_CM = 6.35, 30.48

_NOT_DONE: Mapping[str, tuple[str, ...]] = {
    codes.FEV1_PERCENT.code: ("0", "999"),
    codes.FEV1_LITRES.code: ("0", "999"),
    codes.HBA1C.code: ("0", "999"),
    codes.EGFR.code: ("0", "999"),
    codes.BODY_MASS_INDEX.code: ("0", "999"),
    codes.MRC_SCORE.code: ("0", "999"),
    codes.CAT_SCORE.code: ("999", "999"),  # a CAT score of 0 is one
}
"""What is written for "not done", by code: never a value that somebody can have."""


def _of(*concepts: codes.Concept) -> pl.Expr:
    return pl.col("snomed_code").is_in([each.code for each in concepts]) & _VALUE.is_not_null()


def _number(value: pl.Expr, digits: int) -> pl.Expr:
    return value.round(digits).cast(pl.String).str.strip_suffix(".0")


def _hba1c_percent(site: Site) -> None:
    picked = site.pick(_TABLE, _of(codes.HBA1C))
    # IFCC = 10.929 × (DCCT % − 2.15)
    site.write(picked, value_num=_number(_VALUE / 10.929 + 2.15, 1), unit_raw=in_turn("%", None, "% Hb"))
    site.mean(picked, value_num=None)


def _fev1_other_unit(site: Site) -> None:
    percent = site.pick(_TABLE, _of(codes.FEV1_PERCENT), words="FEV1 in litres under the percent code")
    site.write(percent, value_num=_number(_VALUE * 0.03, 2), unit_raw=in_turn("L", None, "litres"))
    site.mean(percent, value_num=None)
    litres = site.pick(_TABLE, _of(codes.FEV1_LITRES) & ~_IN_ML.fill_null(False), words="percent under the litre code")
    site.write(litres, value_num=_number(_VALUE / 0.03, 0), unit_raw=in_turn("%", None, "% predicted"))
    site.mean(litres, value_num=None)


def _smaller_unit(site: Site) -> None:
    for among, factor, digits, units, words in (
        (_of(codes.FEV1_LITRES) & ~_IN_ML.fill_null(False), 1000.0, 0, ("ml", "mls"), "FEV1 in ml"),
        (_of(codes.HEIGHT), 0.01, 2, ("m", "metres"), "height in metres"),
        (_of(codes.FEV1_FVC_RATIO), 100.0, 1, ("%", None), "ratio as percent"),
    ):
        picked = site.pick(_TABLE, among, words=words)
        site.write(picked, value_num=_number(_VALUE * factor, digits), unit_raw=in_turn(*units))


def _comparator_lost(site: Site) -> None:
    picked = site.pick(_TABLE, pl.col("comparator").is_in(["<", ">", "<=", ">="]) & _VALUE.is_not_null())
    site.both(picked, comparator=None)


def _broken_pair(site: Site) -> None:
    """Swap the two halves of a blood pressure, or lose the diastolic one."""
    together = ["org_code", "source_patient_id", "effective_date", "parent_event_id"]
    upper, lower = (site.able(_TABLE, _of(concept)) for concept in (codes.SYSTOLIC, codes.DIASTOLIC))
    if not len(upper) or not len(lower):
        return
    halves = [
        site.frame(_TABLE)[places].select(*together, value).with_columns(pl.Series(place, places))
        for places, place, value in (
            (upper, "upper", pl.col("value_num").alias("upper_value")),
            (lower, "lower", pl.col("value_num").alias("lower_value")),
        )
    ]
    alone = [half.filter(pl.len().over(together) == 1) for half in halves]
    pairs = alone[0].join(alone[1], on=together, how="inner", nulls_equal=True, maintain_order="left")
    pairs = pairs.filter(pl.col("upper_value").cast(pl.Float64) > pl.col("lower_value").cast(pl.Float64))
    chosen = pairs[site.draw(pairs.height)]
    if chosen.is_empty():
        return
    is_swapped = site.scene.rng.random(chosen.height) < 0.5
    for part, words in ((chosen.filter(is_swapped), "systolic below diastolic"), (chosen.filter(~is_swapped), "half")):
        systolic = site.take(_TABLE, part["upper"].to_numpy())
        diastolic = site.take(_TABLE, part["lower"].to_numpy())
        for picked in (systolic, diastolic):
            site.note(picked, words if words != "half" else "one half of a blood pressure")
            site.mean(picked, value_num=None)
        if words == "half":
            site.leave_out(diastolic, written=True)
        else:
            site.write(systolic, value_num=pl.lit(part["lower_value"]))
            site.write(diastolic, value_num=pl.lit(part["upper_value"]))


def _old_unit(site: Site) -> None:
    for concept, change, units, words in (
        (codes.WEIGHT, _number(_VALUE / _STONE_KG, 1), ("st", "stone"), "weight in stones"),
        (codes.HEIGHT, _number(_VALUE / _FOOT_CM, 1), ("ft", "feet"), "height in feet"),
        (codes.BODY_MASS_INDEX, _number(_VALUE * 10, 0), ("kg/m2", None), "body mass index times ten"),
    ):
        picked = site.pick(_TABLE, _of(concept), words=words)
        site.write(picked, value_num=change, unit_raw=in_turn(*units))
        site.mean(picked, value_num=None)


def _not_done(site: Site) -> None:
    picked = site.pick(_TABLE, pl.col("snomed_code").is_in(list(_NOT_DONE)) & _VALUE.is_not_null())
    words = [
        pl.col("snomed_code").replace_strict({code: each[turn] for code, each in _NOT_DONE.items()}, default=None)
        for turn in (0, 1)
    ]
    site.write(picked, value_num=pl.when(form(0, 2)).then(words[0]).otherwise(words[1]))
    site.mean(picked, value_num=None)


def _other_grade(site: Site) -> None:
    """Write a grade code whose value says another grade (the next one up, 1 after 5), or mMRC 0 as an MRC score."""
    is_score = (pl.col("snomed_code") == codes.MRC_SCORE.code) & _VALUE.is_in(np.arange(1.0, 6.0).tolist())
    is_modified = _of(codes.MMRC_SCORE)
    picked = site.pick(_TABLE, is_score | is_modified | pl.col("snomed_code").is_in(_GRADE_CODES))
    site.leave_out(picked)
    coded = picked.only(pl.col("snomed_code").is_in(_GRADE_CODES))
    grade = pl.col("snomed_code").replace_strict(_GRADE_OF, default=None, return_dtype=pl.Float64)
    site.write(coded, value_num=_number(grade % 5 + 1, 0))
    modified = picked.only(is_modified)
    site.write(modified, snomed_code=codes.MRC_SCORE.code, snomed_term=codes.MRC_SCORE.term, value_num="0")
    scored = picked.only(pl.col("snomed_code") == codes.MRC_SCORE.code)
    place = (_VALUE % 5).cast(pl.Int64)
    for column, choices in (
        ("snomed_code", _GRADE_CODES),
        ("snomed_term", [each.term for each in codes.MRC_GRADES]),
    ):
        site.write(scored, **{column: place.replace_strict(dict(enumerate(choices)), return_dtype=pl.String)})


SPOILERS: Mapping[str, Callable[[Site], None]] = {
    "U1": _hba1c_percent,
    "U2": _fev1_other_unit,
    "U3": _smaller_unit,
    "U4": _comparator_lost,
    "U5": _broken_pair,
    "U6": _old_unit,
    "U7": _not_done,
    "U8": _other_grade,
}
