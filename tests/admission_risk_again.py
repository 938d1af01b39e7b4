"""The risk of an emergency admission by the shipped model, a second time, from the extract files of a county.

The weights are the model's own: its file is the only place they can come from, since nobody published them, and so the
truth of the county cannot know its tiers. Whatever they are put on is read here from the rows as the county wrote them:
what a code means is what the county meant by it; codelists, variables and scoring of the pipeline are not used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import polars as pl

from stratify.synth import clinical_codes as codes

_DEFICITS = {name: {each.code for each in concepts} for name, (_, concepts) in codes.DEFICITS.items()}
_EVER = {
    "has_heart_failure": _DEFICITS["heart_failure"],
    "has_coronary_heart_disease": {codes.ISCHAEMIC_HEART_DISEASE.code} | _DEFICITS["ischaemic_heart_disease"],
    "is_on_diabetes_register": {codes.TYPE_1_DIABETES.code, codes.TYPE_2_DIABETES.code},
    "is_on_kidney_disease_register": {each.code for each in codes.CHRONIC_KIDNEY_DISEASE}
    | _DEFICITS["chronic_kidney_disease"],
    "has_cancer_ever": {each.code for each in codes.CANCERS},
    "has_stroke_or_tia": _DEFICITS["cerebrovascular"],
    "has_atrial_fibrillation": _DEFICITS["atrial_fibrillation"],
    "has_dementia": {codes.DEMENTIA.code, *(each.code for each in codes.DEMENTIAS)},
    "has_serious_mental_illness": {codes.MANIA.code, *(each.code for each in codes.PSYCHOSES)},
    "has_learning_disability": {codes.LEARNING_DISABILITY.code},
    "has_depression_ever": {codes.DEPRESSION.code},
    "efi_falls": _DEFICITS["falls"],
    "efi_mobility_transfer": _DEFICITS["mobility_transfer"],
    "efi_requirement_for_care": _DEFICITS["requirement_for_care"]
    | {codes.CARE_HOME_NURSING.code, codes.CARE_HOME_UNSPECIFIED.code},
}
_COPD = {each.code for each in (*codes.COPD_DIAGNOSES, *codes.COPD_EXACERBATIONS)}
_FLARES, _COPD_CAUSES = {each.code for each in codes.COPD_EXACERBATIONS}, ("J41", "J42", "J43", "J44")
_DAYS_OF_ONE_FLARE = 14
_EX_SMOKER, _SMOKER = ({each.code} for each in codes.SMOKING[1:])
_CARE_HOME = {each.code for each in (codes.CARE_HOME_NURSING, codes.CARE_HOME_RESIDENTIAL, codes.CARE_HOME_UNSPECIFIED)}
_EMERGENCY = ["21", "22", "23", "24", "25", "28", "2A", "2D"]
_RECORD = ["org_code", "source_patient_id"]


class Person(NamedTuple):
    """What the model and the pathway make of somebody: the risk, and where they go; None where it leads nowhere."""

    risk: float
    clinic: str | None


def conclude(extracts: Path, model_file: Path, index_date: date) -> dict[str, Person]:
    """Give everybody whom the model has a risk for, by NHS number: adults registered for a year or more.

    Somebody of whom a fact is not known has none, unless the model says what not knowing it means.

    Args:
        extracts: Extract files of a clean county, as CSV.
        model_file: The model.
        index_date: The day of the run.
    """
    facts = _facts(extracts, index_date)
    model = json.loads(model_file.read_text(encoding="utf-8"))
    tiers = model["design"]["tiers"]
    needed = [term["predictor"] for term in model["fitted"]["terms"] if term["when_unknown"] is None]
    facts = {number: mine for number, mine in facts.items() if all(mine.get(each, 0) is not None for each in needed)}
    return {number: _person(mine, model["fitted"], tiers) for number, mine in facts.items()}


def _person(mine: Mapping[str, float | None], fitted: Mapping[str, object], tiers: Mapping[str, float]) -> Person:
    total = float(fitted["base"])
    for term in fitted["terms"]:
        if term["predictor"] not in mine:
            assert len(set(term["points"])) == 1, f"{term['predictor']} counts, and is not read here"
            continue
        value = mine[term["predictor"]]
        if value is None:
            total += term["when_unknown"]
        else:
            total += term["points"][sum(value > edge for edge in term["edges"])]
    risk = 1 / (1 + math.exp(-total))
    if risk < tiers["high"]:
        return Person(risk, None)
    if mine["is_palliative"]:
        return Person(risk, "palliative_review")
    if mine["is_in_care_home"]:
        return Person(risk, "care_home_round")
    return Person(risk, "community_matron" if risk >= tiers["very_high"] else "clinician_review")


def _facts(extracts: Path, index_date: date) -> dict[str, dict[str, float | None]]:
    today, year = index_date.isoformat(), index_date.replace(year=index_date.year - 1).isoformat()
    two_years = index_date.replace(year=index_date.year - 2).isoformat()

    def rows(table: str) -> pl.DataFrame:
        found = pl.read_csv(extracts / f"{table}.csv", infer_schema=False)
        return found.filter(pl.col("is_deleted").ne_missing("true")) if "is_deleted" in found.columns else found

    patients = rows("patient").drop_nulls("nhs_number")
    owner = patients.select(*_RECORD, "nhs_number").unique()
    here = rows("registration").filter(
        pl.col("registration_type").fill_null("REGULAR") == "REGULAR",
        pl.col("start_date") <= today,
        pl.col("end_date").is_null() | (pl.col("end_date") > today),
    )
    here = here.join(patients, on=_RECORD).sort("start_date").group_by("nhs_number").last()
    entries = pl.concat([rows(table).select(*_RECORD, "snomed_code", day="effective_date", hidden="is_confidential")
                         for table in ("gp_event", "gp_observation")]).filter(pl.col("hidden") != "true")  # fmt: skip
    entries = entries.join(owner, on=_RECORD).filter(pl.col("day").is_null() | (pl.col("day") < today))

    def entered(wanted: set[str], since: str = "") -> dict[str, str]:
        found = entries.filter(pl.col("snomed_code").is_in(wanted) & (pl.col("day").fill_null("") >= since))
        return dict(found.group_by("nhs_number").agg(pl.col("day").fill_null("").max()).iter_rows())

    def counted(found: pl.DataFrame, what: str) -> dict[str, int]:
        return dict(found.group_by("nhs_number").agg(pl.col(what).n_unique()).iter_rows())

    stays = rows("apc_episode").with_columns(pl.col("episode_order").cast(pl.Int64)).sort("episode_order")
    stays = stays.group_by("provider_code", "spell_id", maintain_order=True).first()
    is_emergency = pl.col("admission_method").is_in(_EMERGENCY)
    stays = stays.filter(is_emergency & pl.col("admission_date").is_between(pl.lit(year), pl.lit(today), closed="left"))
    visits = rows("ed_attendance").with_columns(day=pl.col("arrival_at").str.slice(0, 10))
    issues = rows("gp_medication").filter(pl.col("issue_date").is_between(pl.lit(year), pl.lit(today), closed="left"))
    issues = issues.join(owner, on=_RECORD).with_columns(
        medicine=pl.coalesce(pl.col("bnf_code").str.slice(0, 9), "dmd_code", "original_code")
    )
    flags = rows("patient_flag").filter(
        pl.col("start_date") <= today, pl.col("end_date").is_null() | (pl.col("end_date") > today)
    )
    homes, palliative = (
        set(flags.filter(pl.col("flag").str.starts_with(kind))["nhs_number"]) for kind in ("CARE_HOME", "PALLIATIVE")
    )
    flares: dict[str, list[date]] = {}
    coded = entries.filter(pl.col("snomed_code").is_in(_FLARES) & (pl.col("day") >= year)).select("nhs_number", "day")
    caused = stays.filter(pl.col("diag_01").str.slice(0, 3).is_in(_COPD_CAUSES))
    caused = caused.select("nhs_number", day="admission_date").drop_nulls()
    for number, day in pl.concat([coded, caused]).unique().sort("nhs_number", "day").iter_rows():
        flares.setdefault(number, []).append(date.fromisoformat(day))
    counts = {
        "copd_exacerbations_count": {number: _apart(days) for number, days in flares.items()},
        "emergency_admissions_count": counted(stays, "admission_date"),
        "ed_attendances_count": counted(
            visits.filter(pl.col("day").is_between(pl.lit(year), pl.lit(today), closed="left")), "day"
        ),
        "medicines_count": counted(issues.drop_nulls("medicine"), "medicine"),
    }
    ever = {name: entered(wanted) for name, wanted in _EVER.items()}
    smokes, stopped = entered(_SMOKER), entered(_EX_SMOKER)
    ill, well = entered(_COPD), entered({codes.COPD_RESOLVED.code})
    coded_home, coded_palliative = entered(_CARE_HOME, two_years), entered({codes.PALLIATIVE_CARE.code}, two_years)
    facts: dict[str, dict[str, float | None]] = {}
    for person in here.iter_rows(named=True):
        number, born = person["nhs_number"], date.fromisoformat(person["date_of_birth"])
        age = index_date.year - born.year - ((index_date.month, index_date.day) < (born.month, born.day))
        if age < 18 or person["start_date"] > year:
            continue
        decile = person["imd_decile"]
        facts[number] = {
            "age_years": age,
            "imd_decile": None if decile is None else float(decile),
            "is_female": {"F": True, "M": False}.get(person["sex"]),
            "is_current_smoker": number in smokes and smokes[number] > stopped.get(number, ""),
            "is_on_copd_register": number in ill and ill[number] > well.get(number, ""),
            "lives_in_care_home": number in homes,
            "is_in_care_home": number in homes or number in coded_home,
            "is_palliative": number in palliative or number in coded_palliative,
            **{name: each.get(number, 0) for name, each in counts.items()},
            **{name: number in each for name, each in ever.items()},
        }
    return facts


def _apart(days: list[date]) -> int:
    """Count what is more than so many days after the one before."""
    return 1 + sum((after - before).days > _DAYS_OF_ONE_FLARE for before, after in pairwise(days))
