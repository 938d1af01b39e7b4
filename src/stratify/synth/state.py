"""Everybody of the synthetic county as they were drawn: one row a person, for the truth that no run reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from stratify.synth.columns import NEVER, days, picked
from stratify.synth.conditions import CONDITION_NAMES, DEFICIT_NAMES, Conditions
from stratify.synth.population import ETHNIC

if TYPE_CHECKING:
    from stratify.synth.population import People
    from stratify.synth.world import County

_FRAILTY = ("fit", "mild", "moderate", "severe")
_CARE_HOME = ("nursing", "residential", "unspecified")

STATE_COLUMNS: Mapping[str, tuple[Any, str]] = {
    "nhs_number": (pl.String, "NHS number, never issued to anybody; empty for the few without one."),
    "org_code": (pl.String, "Practice the person is, or first was, registered with."),
    "source_patient_id": (pl.String, "Patient id at that practice."),
    "date_of_birth": (pl.Date, "Date of birth."),
    "is_female": (pl.Boolean, "Sex drawn; a few records say otherwise."),
    "ethnic_category": (pl.String, "Ethnic category (2001); records lack some."),
    "imd_decile": (pl.Int64, "Deprivation decile (2019) of the home, 1 is most deprived."),
    "smoking": (pl.String, "never, ex or current."),
    "engagement": (pl.Float64, "0 to 1: how much the person consults and is measured."),
    "start_date": (pl.Date, "First day registered at that practice."),
    "moved_to": (pl.String, "Practice of the county moved to; empty for those who did not."),
    "date_of_death": (pl.Date, "Day of death; empty for the living."),
    "is_test_patient": (pl.Boolean, "A test record and no person."),
    "is_temporary": (pl.Boolean, "Registered for a time only."),
    "has_copd": (pl.Boolean, "Has COPD, whatever the record says."),
    "copd_severity": (pl.Float64, "0 to 1; 0 without COPD."),
    "fev1_percent": (pl.Float64, "True FEV1 in percent of predicted."),
    "mrc_grade": (pl.Int64, "True MRC grade, 1 to 5."),
    "exacerbations_a_year": (pl.Float64, "True rate of flare-ups; none happen without COPD."),
    "has_diabetes": (pl.Boolean, "Has diabetes."),
    "has_hypertension": (pl.Boolean, "Has hypertension."),
    "hba1c_mmol_mol": (pl.Float64, "True HbA1c."),
    "egfr": (pl.Float64, "True eGFR in ml/min/1.73 m2."),
    "body_mass_index": (pl.Float64, "True body mass index in kg/m2."),
    "systolic": (pl.Float64, "True mean systolic pressure in mm Hg."),
    "frailty": (pl.String, "Frailty drawn: fit, mild, moderate, severe; empty below 65."),
    "deficit_count": (pl.Int64, "Deficits of the eFI drawn, care home residence included."),
    "deficits": (pl.String, "Their names, separated by ';'."),
    "care_home": (pl.String, "Kind of care home lived in; empty at home."),
    "care_home_since": (pl.Date, "First day there."),
    "is_palliative": (pl.Boolean, "Receives palliative care."),
    "has_learning_disability": (pl.Boolean, "Has a learning disability."),
    "has_severe_mental_illness": (pl.Boolean, "Has a severe mental illness."),
    "is_carer": (pl.Boolean, "Looks after somebody."),
    "emergency_risk": (pl.Float64, "Rate of emergency admissions relative to people of the same age."),
    **{
        f"{name}_onset_date": (pl.Date, f"Day on which it began: {name.replace('_', ' ')}; empty where it has not.")
        for name in CONDITION_NAMES
    },
}
"""Columns of the state: type and meaning. It is the state on the last day of the county, or of the person's records."""


def state_rows(county: County, people: People, conditions: Conditions) -> pl.DataFrame:
    """Give one practice's people as the county drew them, one row each (``STATE_COLUMNS``)."""
    every = np.arange(people.count)
    day = np.maximum(people.last_day, people.birth_day)
    organisation, record = people.record_of(every, people.start_day)
    held = [np.flatnonzero(conditions.deficit_day[:, column] < NEVER) for column in range(len(DEFICIT_NAMES))]
    names = (
        pl.DataFrame(
            {
                "person": pl.Series(values=np.concatenate(held), dtype=pl.Int64),
                "name": picked(DEFICIT_NAMES, np.repeat(np.arange(len(held)), [len(each) for each in held])),
            }
        )
        .group_by("person")
        .agg(pl.col("name").str.join(";"))
    )
    deficits = pl.DataFrame({"person": every}).join(names, on="person", how="left", maintain_order="left")["name"]
    codes = [practice.code for practice in county.practices]
    made = {
        "nhs_number": people.number_of(every),
        "org_code": organisation,
        "source_patient_id": record,
        "date_of_birth": days(people.birth_day),
        "is_female": people.is_female,
        "ethnic_category": picked(ETHNIC, people.ethnic),
        "imd_decile": people.decile,
        "smoking": picked(("never", "ex", "current"), people.smoking),
        "engagement": people.engagement,
        "start_date": days(people.start_day),
        "moved_to": picked(codes, people.moved_to),
        "date_of_death": days(people.death_day),
        "is_test_patient": people.is_test,
        "is_temporary": people.is_temporary,
        "has_copd": conditions.has_copd,
        "copd_severity": conditions.copd_severity,
        "fev1_percent": conditions.fev1_percent_on(day),
        "mrc_grade": conditions.mrc_on(day),
        "exacerbations_a_year": conditions.exacerbations_a_year,
        "has_diabetes": conditions.has_diabetes,
        "has_hypertension": conditions.has_hypertension,
        "hba1c_mmol_mol": conditions.hba1c_on(day),
        "egfr": conditions.egfr_on(day),
        "body_mass_index": conditions.bmi,
        "systolic": conditions.systolic,
        "frailty": picked(_FRAILTY, conditions.frailty_on(day)),
        "deficit_count": conditions.deficits.sum(axis=1),
        "deficits": deficits,
        "care_home": picked(_CARE_HOME, people.care_home - 1),
        "care_home_since": days(people.care_home_since),
        "is_palliative": conditions.is_palliative,
        "has_learning_disability": conditions.has_learning_disability,
        "has_severe_mental_illness": conditions.has_severe_mental_illness,
        "is_carer": conditions.is_carer,
        "emergency_risk": conditions.risk,
        **{f"{name}_onset_date": days(day) for name, day in conditions.onset.items()},
    }
    rows = pl.DataFrame(made, schema={name: kind for name, (kind, _) in STATE_COLUMNS.items()})
    return rows.with_columns(pl.selectors.float().round(6))
