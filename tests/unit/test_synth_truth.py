"""Gathering people's rows for the oracle, and the truth files: shares of practices joined into one folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stratify import contracts
from stratify.errors import RunError
from stratify.synth import CountyOrder, oracle, truth
from stratify.synth import clinical_codes as codes
from stratify.synth.county import draw_practice
from stratify.synth.known import as_extracted
from stratify.synth.programmes import ENROLMENT_COLUMNS
from stratify.synth.recorded import Records
from stratify.synth.recorded_diabetes import PRESSURES
from stratify.synth.state import STATE_COLUMNS
from stratify.synth.truth import EXPECTATION_COLUMNS, TOUCH_COLUMNS
from stratify.synth.world import County
from stratify.synth.write import TABLES, as_text

INDEX = date(2026, 11, 2)
ONE, TWO, THREE = "9990000018", "9990000026", "9990000034"
COPD = codes.COPD_DIAGNOSES[0].code


def tables(**rows: list[dict[str, Any]]) -> dict[str, pl.DataFrame]:
    """Landing tables as text with a few rows; what a row does not say is empty."""
    return {
        table: pl.DataFrame(
            rows.get(table, []), schema=dict.fromkeys(contracts.load(f"landing.{table}").column_names, pl.String)
        )
        for table in TABLES
    }


def patient(number: str | None, record: str, org: str = "Y00001", born: str = "1950-03-01") -> dict[str, Any]:
    return {"org_code": org, "source_patient_id": record, "nhs_number": number, "date_of_birth": born, "sex": "F"}


def entry(record: str, code: str, org: str = "Y00001", day: str = "2020-01-01") -> dict[str, Any]:
    return {"org_code": org, "source_patient_id": record, "snomed_code": code, "effective_date": day}


def by_record(expected: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["records"]: row for row in expected.to_dicts()}


def every_row(meant: Mapping[str, pl.DataFrame], expected: pl.DataFrame) -> dict[str, Records]:
    """Every row of each person, by the plainest reading: of each record, and of the NHS number."""
    owner = {("number", row["nhs_number"]): row["records"] for row in expected.to_dicts() if row["nhs_number"]}
    owner |= {("record", record): all_of for all_of in expected["records"] for record in all_of.split(";")}
    people = {records: Records() for records in expected["records"]}
    attributes = {
        "patient": "patients", "registration": "registrations", "gp_event": "events", "gp_observation": "observations",
        "gp_medication": "issues", "apc_episode": "episodes", "death": "deaths", "patient_flag": "flags",
        "opt_out": "objections",
    }  # fmt: skip
    for table, attribute in attributes.items():
        for row in meant[table].to_dicts():
            record = f"{row.get('org_code')}/{row.get('source_patient_id')}"
            whose = owner.get(("record", record)) or owner.get(("number", row.get("nhs_number")))
            # An entry that is marked confidential never lands.
            if whose and not (table in ("gp_event", "gp_observation") and row["is_confidential"] == "true"):
                getattr(people[whose], attribute).append(row)
                if row.get("snomed_code") in PRESSURES:
                    people[whose].pressures.append(row)
    return people


def test_leaving_out_rows_that_cannot_matter_changes_no_conclusion():
    """Everybody of a drawn practice, once from the rows gathered and once from every row there is."""
    county = County(CountyOrder(people=500, practices=1, seed=3))
    frames = draw_practice(county, county.practices[0]).frames
    meant = {
        table: as_text(as_extracted(frames[table], table, upto=county.last_day, after=None), table) for table in TABLES
    }
    expected = truth.expectations(meant, index_date=INDEX)
    assert expected.height == 500 and expected["frailty_rule"].count() > 50
    assert meant["gp_event"].height > 1_000
    people = every_row(meant, expected)
    for row in expected.to_dicts():
        answers = oracle.conclude(people[row["records"]], index_date=INDEX)
        for name, answer in answers.items():
            if name.endswith("_facts"):
                found = {each["variable"]: (each["value"], each["date"]) for each in row[name]}
                assert found == {
                    variable: (fact.value, date.fromisoformat(fact.day) if fact.day else None)
                    for variable, fact in answer.items()
                }
            else:
                assert row[name] == answer, name


def test_two_records_under_one_number_are_one_person_and_without_a_number_each_stands_alone():
    meant = tables(
        patient=[
            patient(ONE, "1"), patient(ONE, "7", "Y00002"), patient(None, "2"), patient(None, "3"),
            patient(TWO, "4", born="1990-01-01"),
        ],
        gp_event=[entry("7", COPD, "Y00002"), entry("2", COPD), entry("9", COPD)],
        apc_episode=[{"nhs_number": THREE, "provider_code": "RZ9", "spell_id": "S1"}],
    )  # fmt: skip
    expected = truth.expectations(meant, index_date=INDEX)
    assert expected["records"].to_list() == ["Y00001/1;Y00002/7", "Y00001/4", "Y00001/2", "Y00001/3"]
    assert expected["on_copd_register"].to_list() == ["yes", "no", "yes", "no"]
    assert expected["is_hospital_linked"].to_list() == [True, True, False, False]


def test_an_objection_holds_for_the_record_or_the_number_it_names():
    fresh = {"opt_out_type": "NDO", "is_opted_out": "false", "checked_at": "2026-11-01T06:00:00"}
    type_1 = {"opt_out_type": "TYPE1", "is_opted_out": "true", "effective_from": "2020-01-01"}
    meant = tables(
        patient=[patient(ONE, "1"), patient(TWO, "2"), patient(THREE, "3")],
        opt_out=[
            *({**fresh, "nhs_number": number} for number in (ONE, TWO, THREE)),
            {**type_1, "org_code": "Y00001", "source_patient_id": "1"},
            {**type_1, "nhs_number": TWO, "checked_at": "2020-01-01T00:00:00"},
        ],
    )
    found = by_record(truth.expectations(meant, index_date=INDEX))
    assert [found[f"Y00001/{record}"]["withheld_because"] for record in "123"] == ["Type 1 opt-out"] * 2 + [None]


def test_a_practice_closed_in_the_reference_is_not_known_and_one_it_does_not_hold_is_anothers():
    here = {"org_code": "Y00001", "registration_type": "REGULAR", "start_date": "2010-01-01"}
    meant = tables(
        patient=[patient(ONE, "1"), patient(TWO, "2")],
        registration=[
            {**here, "source_patient_id": "1", "practice_code": "Y00001"},
            {**here, "source_patient_id": "2", "practice_code": "Y00009"},
        ],
        practice=[{"practice_code": "Y00001", "valid_from": "2000-01-01", "valid_to": "2026-11-02"}],
    )
    found = by_record(truth.expectations(meant, index_date=INDEX))
    assert [found[f"Y00001/{record}"]["person_status"] for record in "12"] == ["practice_unknown", "registered"]


def touch(fault: str, *, expects: str = "as_meant", **names: str | None) -> dict[str, str | None]:
    return {**dict.fromkeys(TOUCH_COLUMNS), "fault": fault, "expects": expects, **names}


def touches(*rows: dict[str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(TOUCH_COLUMNS, pl.String)).drop("week")


def test_a_fault_touches_whoever_its_row_names_and_the_strongest_says_what_is_expected():
    meant = tables(patient=[patient(ONE, "1"), patient(None, "2"), patient(TWO, "3")])
    found = by_record(
        truth.expectations(
            meant,
            index_date=INDEX,
            touches=touches(
                touch("U2", org_code="Y00001", source_patient_id="1"),
                touch("I5", nhs_number=ONE, expects="not_listed"),
                touch("C3", nhs_number=ONE, expects="warned"),
                # The record whose number was spoilt, and whoever else goes by that number.
                touch("I1", org_code="Y00001", source_patient_id="2", nhs_number=TWO),
                touch("R4", org_code="Y00001", source_patient_id="404"),
            ),
        )
    )
    assert [(found[f"Y00001/{record}"]["faults"], found[f"Y00001/{record}"]["fault_expects"]) for record in "123"] == [
        ("C3;I5;U2", "not_listed"),
        ("I1", "as_meant"),
        ("I1", "as_meant"),
    ]


WEEKLY = County(CountyOrder(people=1_000, practices=2, seed=1, weeks=1, faults={"U2": 0.01}))
DIGESTS = {day: {"patient.csv": f"{week:064x}"} for week, day in enumerate(WEEKLY.index_dates)}


def rows_of(columns: Mapping[str, tuple[Any, str]], **values: list[Any]) -> pl.DataFrame:
    """Rows with some values; what they do not say is empty."""
    count = len(next(iter(values.values()), []))
    return pl.DataFrame(
        {name: pl.Series(values=values.get(name, [None] * count), dtype=kind) for name, (kind, _) in columns.items()}
    )


def joined(folder: Path, order: tuple[int, ...] = (0, 1)) -> Path:
    """Truth of two practices and two extracts with a person each, the shares written in some order."""
    parts = folder / "parts"
    for number in order:
        record = f"{number + 1}"
        state = rows_of(STATE_COLUMNS, nhs_number=[TWO, ONE], org_code=[record] * 2, source_patient_id=["b", "a"])
        truth.write_state(parts, number, state=state, enrolment=rows_of(ENROLMENT_COLUMNS))
        for week, day in enumerate(WEEKLY.index_dates):
            mine = touches(touch("U2", org_code=record, source_patient_id="a"), touch("R1"))[: 2 if week else 0]
            expected = rows_of(
                EXPECTATION_COLUMNS,
                records=[f"{record}/a"],
                hospital_frailty_points=[0.1 + 0.2],
                faults=["U2" if week else None],
            )
            truth.write_part(parts, number, day, expected=expected, touches=mine)
    of_file = touches(touch("F3", key="patient.csv", expects="refused"))
    file_touches = {WEEKLY.index_dates[0]: of_file, WEEKLY.index_dates[1]: of_file.clear()}
    truth.join(parts, folder / "truth", county=WEEKLY, digests=DIGESTS, file_touches=file_touches)
    return folder / "truth"


def test_shares_are_joined_in_the_order_of_the_practices(tmp_path):
    made = joined(tmp_path)
    person = pl.read_parquet(made / "person.parquet")
    assert person.select("org_code", "nhs_number").rows() == [("1", ONE), ("1", TWO), ("2", ONE), ("2", TWO)]
    for day in WEEKLY.index_dates:
        expected = pl.read_parquet(made / truth.expectation_file(day))
        assert expected["records"].to_list() == ["1/a", "2/a"]
        assert expected["hospital_frailty_points"].to_list() == [0.3, 0.3]  # 6 places
    fault = pl.read_parquet(made / "fault.parquet")
    assert fault.select("week", "fault", "org_code").rows() == [
        (0, "F3", None), (1, "U2", "1"), (1, "R1", None), (1, "U2", "2"), (1, "R1", None),
    ]  # fmt: skip
    assert list(fault.schema) == list(TOUCH_COLUMNS)


def test_about_says_which_county_which_files_and_what_each_column_means(tmp_path):
    made = joined(tmp_path)
    about = json.loads((made / "about.json").read_text())
    assert {name: about[name] for name in ("version", "people", "practices", "seed", "is_clean", "faults")} == {
        "version": 4, "people": 1_000, "practices": 2, "seed": 1, "is_clean": False, "faults": {"U2": 0.01},
    }  # fmt: skip
    assert about["index_dates"] == ["2026-11-02", "2026-11-09"] and about["index_date"] == "2026-11-02"
    assert about["extracts"] == {day.isoformat(): files for day, files in DIGESTS.items()}
    assert about["fault_counts"] == [
        {"fault": "F3", "rows": 1, "people": 0},
        {"fault": "R1", "rows": 2, "people": 0},
        {"fault": "U2", "rows": 2, "people": 2},
    ]
    for path in sorted(made.glob("*.parquet")):
        assert about["truth"][path.name] == sha256(path.read_bytes()).hexdigest()
        assert list(pl.read_parquet_schema(path)) == list(about["columns"][path.name])
        assert all(about["columns"][path.name].values())


def test_who_finishes_first_changes_no_byte(tmp_path):
    one, other = joined(tmp_path / "one"), joined(tmp_path / "other", (1, 0))
    assert sorted(each.name for each in one.iterdir()) == [
        "about.json", "enrolment.parquet", "expectation-2026-11-02.parquet", "expectation-2026-11-09.parquet",
        "fault.parquet", "person.parquet", "programme.parquet",
    ]  # fmt: skip
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()


def test_a_diagnosis_nobody_weighed_stops_the_truth():
    stay = {
        "nhs_number": ONE, "provider_code": "RZ9", "cds_unique_id": "C1", "spell_id": "S1", "episode_order": "1",
        "admission_date": "2026-01-01", "admission_method": "21", "diag_01": "Q999",
    }  # fmt: skip
    with pytest.raises(RunError, match="1 others, the first Q99"):
        truth.expectations(tables(patient=[patient(ONE, "1")], apc_episode=[stay]), index_date=INDEX)
