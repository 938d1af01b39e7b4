"""A whole run of a county whose dates and values sit on the edges of the rules agrees with the truth.

A clean county seldom has a record on the first day of a window, two values on one day or a birthday on the index date.
Here most records are moved there, and half of the adults are given COPD entries at random.
"""

from __future__ import annotations

import calendar
import random
from collections.abc import Callable
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from stratify import truth_score
from stratify.privacy import THROWAWAY_KEY
from stratify.synth import CountyOrder, truth, write_county
from stratify.synth import clinical_codes as codes
from stratify.synth.programmes import ENROLMENT_COLUMNS
from stratify.synth.state import STATE_COLUMNS
from stratify.synth.world import County
from whole_runs import counted_plainly, settings_file, stratify

pytestmark = pytest.mark.slow  # a county on every edge, worked out twice

INDEX = date(2026, 8, 31)
ORDER = CountyOrder(people=2_000, practices=3, seed=22, index_date=INDEX)
DRAW = random.Random(22)


def back(months: int, days: int = 0) -> str:
    """The day so many months before the index date (the last of a shorter month), moved by some days."""
    year, month = divmod(INDEX.year * 12 + INDEX.month - 1 - months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return (date(year, month + 1, min(INDEX.day, last)) + timedelta(days=days)).isoformat()


EDGES = [back(months, days) for months in (6, 12, 15, 24, 60) for days in (-1, 0, 1)]
EDGES += [back(0, -1), back(0, -2), back(12, 14), back(12, 15)]
PLANTED = (
    *codes.COPD_DIAGNOSES,
    *codes.COPD_EXACERBATIONS * 3, codes.COPD_RESOLVED, *codes.MRC_GRADES * 2, codes.LONG_TERM_OXYGEN,
    codes.COR_PULMONALE, codes.PALLIATIVE_CARE, codes.CARE_HOME_NURSING, codes.CARE_HOME_RESIDENTIAL,
    codes.TYPE_2_DIABETES, codes.FOOT_EXAMINATION, *codes.SMOKING, *codes.DEFICITS["ischaemic_heart_disease"][1],
    *codes.DEFICITS["cerebrovascular"][1],
)  # fmt: skip
Rows = list[dict[str, str | None]]


def moved(column: str, share: float) -> Callable[[dict[str, str | None]], Rows]:
    def move(row: dict[str, str | None]) -> Rows:
        if DRAW.random() >= share:
            return [row]
        day = DRAW.choice(EDGES)
        # Some are dated to the month or the year only; such a day is often invented, and its end may lie ahead.
        precision = {"effective_precision": DRAW.choice(["YMD"] * 4 + ["YM", "Y"])}
        return [row | {column: day} | (precision if "effective_precision" in row else {})]

    return move


def measured_again(row: dict[str, str | None]) -> Rows:
    """A second value of something measured, often of the same day, sometimes another, impossible, bounded or in
    another unit."""
    row = moved("effective_date", 0.35)(row)[0]
    values = {
        codes.FEV1_PERCENT.code: (row["value_num"], "29.9", "30", "49.9", "50", "79.9", "80", "7", "152", "2.1"),
        codes.MRC_SCORE.code: (row["value_num"], "0", "1", "2", "3", "4", "5", "6"),
        codes.MMRC_SCORE.code: (row["value_num"], "0", "1", "2", "3", "4", "5"),
        codes.HBA1C.code: (
            row["value_num"],
            "6.5",
            "22",
            "41.9",
            "42",
            "47.9",
            "48",
            "58",
            "59",
            "75",
            "76",
            "90",
            "91",
        ),
        codes.EGFR.code: (row["value_num"], "0", "14", "15", "29", "30", "44", "45", "49", "50", "201"),
        codes.ALBUMIN_CREATININE_RATIO.code: (row["value_num"], "2.9", "3", "30", "31", "70", "71", "250", "251"),
        codes.BODY_MASS_INDEX.code: (row["value_num"], "9", "35", "35.1"),
        codes.SYSTOLIC.code: (row["value_num"], "0", "139", "140", "141", "60"),
        codes.DIASTOLIC.code: (row["value_num"], "89", "90", "91", "200"),
        codes.CHOLESTEROL.code: (row["value_num"], "0", "31"),
        codes.CREATININE.code: (row["value_num"], "0", "999", "9"),
    }.get(row["snomed_code"] or "")
    if values is None or DRAW.random() < 0.6:
        return [row]
    again = row | {"source_event_id": f"X{row['source_event_id']}", "value_num": DRAW.choice(values)}
    if DRAW.random() < 0.3:
        again |= {"comparator": DRAW.choice(["<", "<=", ">", ">=", "=", "~"])}
    if row["snomed_code"] == codes.FEV1_PERCENT.code and DRAW.random() < 0.2:
        again |= {"unit_raw": DRAW.choice(["L", None])}
    if row["snomed_code"] == codes.HBA1C.code and DRAW.random() < 0.3:
        again |= {"unit_raw": DRAW.choice(["%", None, "MMOL/MOL"])}
    if DRAW.random() < 0.3:
        again |= {"effective_date": DRAW.choice(EDGES)}
    return [row, again]


def on_the_edges(extracts: Path) -> dict[str, pl.DataFrame]:
    """Write a county and move its records to the edges; give its tables."""
    write_county(extracts, ORDER)
    tables = {path.stem: pl.read_csv(path, infer_schema=False) for path in extracts.glob("*.csv")}
    manifest = tables.pop("manifest")

    def change(table: str, with_row: Callable[[dict[str, str | None]], Rows]) -> None:
        rows = [new for row in tables[table].to_dicts() for new in with_row(row)]
        tables[table] = pl.DataFrame(rows, schema=tables[table].schema)

    births: dict[str | None, str] = {}

    def born(row: dict[str, str | None]) -> Rows:
        person = row["nhs_number"] or f"{row['org_code']}/{row['source_patient_id']}"
        own = row["date_of_birth"] or ""
        edge = back(12 * DRAW.choice([65, 75]), DRAW.choice([-1, 0, 1]))
        return [
            row | {"date_of_birth": births.setdefault(person, edge if own < "1975" and DRAW.random() < 0.3 else own)}
        ]

    admissions: dict[str | None, str | None] = {}

    def admitted(row: dict[str, str | None]) -> Rows:
        day = admissions.setdefault(row["spell_id"], DRAW.choice(EDGES) if DRAW.random() < 0.4 else None)
        if day:
            row |= {"admission_date": day, "episode_start": day, "episode_end": None, "discharge_date": None}
        return [row | {"diag_01": DRAW.choice(["J441", "J440", "J181", "I10X"])} if DRAW.random() < 0.3 else row]

    def registered(row: dict[str, str | None]) -> Rows:
        starts = [back(12, -1), back(12), back(12, 1), back(11), back(0, -1)]
        return [row | {"start_date": DRAW.choice(starts)} if not row["end_date"] and DRAW.random() < 0.3 else row]

    change("patient", born)
    change("registration", registered)
    change("gp_event", moved("effective_date", 0.35))
    change("gp_observation", measured_again)
    change("gp_medication", moved("issue_date", 0.25))
    change("apc_episode", admitted)
    like = tables["gp_event"].to_dicts()[0] | {"effective_precision": "YMD", "is_problem": "false"}
    planted = [
        like | {
            "org_code": patient["org_code"], "source_patient_id": patient["source_patient_id"],
            "source_event_id": f"Z{number:06d}{place}", "snomed_code": each.code, "snomed_term": each.term,
            "effective_date": DRAW.choice(EDGES),
        }
        for number, patient in enumerate(tables["patient"].to_dicts())
        if (patient["date_of_birth"] or "") < "1990" and patient["is_test_patient"] != "true" and DRAW.random() < 0.5
        for place, each in enumerate(DRAW.choices(PLANTED, k=DRAW.choice([1, 2, 3, 6])))
    ]  # fmt: skip
    more = pl.DataFrame(planted, schema=tables["gp_event"].schema)
    tables["gp_event"] = pl.concat([tables["gp_event"], more])
    lines = manifest.to_dicts()
    for line in lines:
        path = extracts / line["file_name"]
        tables[path.stem].write_csv(path)
        content = path.read_bytes()
        line |= {
            "row_count": tables[path.stem].height,
            "sha256": sha256(content).hexdigest(),
            "byte_count": len(content),
        }
    pl.DataFrame(lines, schema=manifest.columns).write_csv(extracts / "manifest.csv")
    return tables


def test_run_and_truth_agree_on_the_edges(tmp_path):
    extracts = tmp_path / "extracts"
    tables = on_the_edges(extracts)
    expected = truth.expectations(tables, index_date=INDEX)
    assert {
        "palliative", "care_home", "emergency_admission", "highest_groups", "lower_groups", "cannot_grade",
        "contradictory", "person_status",
    } <= set(expected["copd_rule"])  # fmt: skip
    assert {
        "palliative", "care_home", "meeting", "specialist", "gp_and_pharmacist", "nurse", "cannot_grade",
        "contradictory",
    } <= set(expected["diabetes_rule"])  # fmt: skip
    assert {"diabetes_range", "at_risk", "cannot_grade"} <= set(expected["diabetes_prevention_rule"])
    parts, county = tmp_path / "parts", County(ORDER)
    touches = pl.DataFrame(schema=dict.fromkeys(truth.TOUCH_COLUMNS, pl.String))
    truth.write_part(parts, 0, INDEX, expected=expected, touches=touches)
    nobody = [
        pl.DataFrame(schema={name: kind for name, (kind, _) in each.items()})
        for each in (STATE_COLUMNS, ENROLMENT_COLUMNS)
    ]
    truth.write_state(parts, 0, state=nobody[0], enrolment=nobody[1])
    digests = {path.name: sha256(path.read_bytes()).hexdigest() for path in extracts.glob("[!m]*.csv")}
    truth.join(parts, tmp_path / "truth", county=county, digests={INDEX: digests}, file_touches={})

    policy = {"purpose": "direct_care", "type_1": "exclude", "national": "exclude", "local": "exclude"}
    settings = settings_file(tmp_path, extracts, tmp_path / "out", index_date=INDEX, privacy=policy, clinical=None)
    with counted_plainly():
        done = stratify("run", "--settings", settings)
    assert done.exit_code == 0, done.output
    compared = truth_score.compare(tmp_path / "out", tmp_path / "truth", THROWAWAY_KEY)
    assert compared.differences == (), truth_score.in_words(compared)
    assert compared.purpose == "direct_care" and compared.withheld == {}
    assert compared.agreeing["diabetes"] > 150 and compared.agreeing["diabetes_prevention"] > 50
    assert compared.agreeing["copd"] > 200 and compared.agreeing["frailty"] > 200
