"""Faults of rows, each alone: what is written, what is meant, and the account of what was touched."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from stratify import contracts
from stratify.codes import nhs_check_digit, nhs_number_is_valid, nhs_number_range, verhoeff_is_valid
from stratify.errors import SettingsError
from stratify.synth import clinical_codes
from stratify.synth.faults import FAULTS, REALISTIC, TOUCH_SCHEMA, Scene, check_rates, spoil_rows
from stratify.synth.faults.coding import previous_dmd_id

DOCUMENT = Path(__file__).parents[3] / "shared" / "domain" / "nhs-data.md"
CUTOFF = date(2026, 11, 1)
HERE, THERE = "Y00001", "Y00002"
PRACTICES = (HERE, THERE)
ROW_FAULTS = [id for id, fault in FAULTS.items() if fault.level == "row"]
IN_A_BULK = [id for id in ROW_FAULTS if not FAULTS[id].needs_weeks]
GRADES = [each.code for each in clinical_codes.MRC_GRADES]
COPD = [each.code for each in (*clinical_codes.COPD_DIAGNOSES, *clinical_codes.COPD_EXACERBATIONS)]


def number_of(person: int) -> str:
    """An NHS number of the 999 range."""
    body = next(
        f"9990{person:04d}{filler}" for filler in range(10) if nhs_check_digit(f"9990{person:04d}{filler}") is not None
    )
    return f"{body}{nhs_check_digit(body)}"


def text_frame(table: str, rows: list[dict[str, str | None]]) -> pl.DataFrame:
    names = contracts.load(f"landing.{table}").column_names
    assert all(set(row) <= set(names) for row in rows)
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String))
    return frame.sort(contracts.load(f"landing.{table}").key, maintain_order=True)


def share(people: int = 40) -> dict[str, pl.DataFrame]:
    """One practice's people by hand: 1 to 4 have moved to the other practice, 5 to 8 have died."""
    rows: dict[str, list[dict[str, str | None]]] = {
        table: []
        for table in (
            *("patient", "registration", "gp_event", "gp_observation", "gp_medication", "apc_episode"),
            *("op_attendance", "ed_attendance", "death", "practice"),
        )
    }

    def patient(person: int, org: str, id: str, start: str, end: str | None) -> None:
        rows["patient"].append(
            {
                "org_code": org, "source_patient_id": id, "nhs_number": number_of(person), "nhs_number_status": "01",
                "date_of_birth": f"{1930 + person}-05-17", "sex": "F", "address_lines": "1 Street",
                "postcode": "QZ1 1ZZ",
                "date_of_death": "2026-03-03" if 5 <= person <= 8 else None, "is_test_patient": "false",
                "is_spine_sensitive": "false", "is_deleted": "false", "lsoa11": "E01900012",
            }
        )  # fmt: skip
        rows["registration"].append(
            {
                "org_code": org, "source_registration_id": f"R{id}", "source_patient_id": id, "practice_code": org,
                "registration_type": "REGULAR", "start_date": start, "end_date": end, "is_deleted": "false",
            }
        )  # fmt: skip

    for person in range(1, people + 1):
        id = f"{person:06d}"
        has_moved, has_died = person <= 4, 5 <= person <= 8
        end = "2025-06-20" if has_moved else "2026-03-03" if has_died else None
        patient(person, HERE, id, "2015-02-14", end)
        if has_moved:
            patient(person, THERE, f"9{person:05d}", "2025-06-20", None)
        if has_died:
            rows["death"].append({"nhs_number": number_of(person), "source": "ONS", "date_of_death": "2026-03-03"})
        for count, code in enumerate((COPD[person % len(COPD)], "38341003", "267036007")):
            rows["gp_event"].append(
                {
                    "org_code": HERE, "source_event_id": f"E{person:05d}{count}", "source_patient_id": id,
                    "snomed_code": code, "snomed_term": "A term", "effective_date": f"2024-0{count + 2}-19",
                    "effective_precision": "YMD", "recorded_at": "2024-06-01T10:00:00", "is_deleted": "false",
                }
            )  # fmt: skip
        values = (
            (clinical_codes.FEV1_PERCENT, "60", "%"), (clinical_codes.FEV1_LITRES, "1.83", "L"),
            (clinical_codes.FEV1_FVC_RATIO, "0.65", None), (clinical_codes.HBA1C, "48", "mmol/mol"),
            (clinical_codes.EGFR, "90", "mL/min/1.73m2"), (clinical_codes.MRC_SCORE, "2", None),
            (clinical_codes.MRC_GRADES[1], "2", None), (clinical_codes.SYSTOLIC, "148", "mmHg"),
            (clinical_codes.DIASTOLIC, "78", "mmHg"), (clinical_codes.BODY_MASS_INDEX, "27.4", "kg/m2"),
            (clinical_codes.WEIGHT, "80", "kg"), (clinical_codes.HEIGHT, "172", "cm"),
            (clinical_codes.CAT_SCORE, "0", None), (clinical_codes.MMRC_SCORE, "3", None),
        )  # fmt: skip
        for count, (concept, value, unit) in enumerate(values):
            rows["gp_observation"].append(
                {
                    "org_code": HERE, "source_event_id": f"V{person:05d}{count:02d}", "source_patient_id": id,
                    "snomed_code": concept.code, "snomed_term": concept.term, "effective_date": "2025-09-18",
                    "effective_precision": "YMD", "recorded_at": "2025-09-18T10:00:00", "value_num": value,
                    "comparator": ">" if concept is clinical_codes.EGFR else None, "unit_raw": unit,
                    "parent_event_id": f"V{person:05d}99" if unit == "mmHg" else None, "is_deleted": "false",
                }
            )  # fmt: skip
        for count, medicine in enumerate((clinical_codes.PREDNISOLONE, clinical_codes.METFORMIN)):
            rows["gp_medication"].append(
                {
                    "org_code": HERE, "source_issue_id": f"I{person:05d}{count}", "source_patient_id": id,
                    "issue_date": "2026-04-27", "dmd_code": medicine.code, "is_deleted": "false",
                }
            )  # fmt: skip
        for count in range(2):
            month = 8 + 2 * count
            rows["apc_episode"].append(
                {
                    "provider_code": "RZ9", "cds_unique_id": f"B{person:05d}{count}", "nhs_number": number_of(person),
                    "spell_id": f"S{person:05d}{count}", "episode_order": "1",
                    "admission_date": f"2026-{month:02d}-14", "discharge_date": f"2026-{month:02d}-17",
                    "admission_method": "21" if count else "11", "diag_01": "E86X", "diag_02": "J440",
                    "update_type": "NETCHANGE", "freeze_status": "flex" if count else "freeze", "is_deleted": "false",
                }
            )  # fmt: skip
        rows["op_attendance"].append(
            {
                "provider_code": "RZ9", "attendance_id": f"O{person:05d}", "nhs_number": number_of(person),
                "appointment_date": "2026-02-02", "attended": "5", "is_deleted": "false",
            }
        )  # fmt: skip
    rows["practice"].append(
        {
            "practice_code": HERE, "practice_name": "Alder Surgery", "pcn_code": "U00001", "pcn_name": "North",
            "icb_code": "QZZ", "valid_from": "2019-07-01",
        }
    )  # fmt: skip
    return {table: text_frame(table, each) for table, each in rows.items()}


def scenes(week: int = 0, *, practice: str = HERE, codes: tuple[str, ...] = PRACTICES, is_delta: bool = True):
    cutoff = CUTOFF + timedelta(weeks=week)

    def scene_of(id: str) -> Scene:
        rng = np.random.default_rng([7, week, *id.encode()])
        previous = cutoff - timedelta(weeks=1) if week and is_delta else None
        return Scene(practice, codes, week, cutoff, previous, rng, seed=7)

    return scene_of


def spoiled(id: str, rate: float = 0.3, *, tables: dict[str, pl.DataFrame] | None = None):
    """What is written, meant and touched in a bulk extract with one fault."""
    tables = tables or share()
    return spoil_rows(dict(tables), dict(tables), {id: rate}, scenes())


def changed(before: pl.DataFrame, after: pl.DataFrame, table: str) -> pl.DataFrame:
    """Rows of the second that the first has not, told by their key and joined to how they were."""
    key = list(contracts.load(f"landing.{table}").key)
    new = after.join(before, on=before.columns, how="anti", nulls_equal=True)
    return new.join(before, on=key, how="left", suffix="_before", maintain_order="left")


def nothing_changed(before: dict[str, pl.DataFrame], after: dict[str, pl.DataFrame], *but: str) -> None:
    assert before.keys() == after.keys()
    for table, frame in before.items():
        if table not in but:
            assert_frame_equal(frame, after[table])


# -------------------------------------------------------------------------------------------------- the catalogue


def test_every_id_of_the_document_is_a_fault_in_its_order():
    if not DOCUMENT.exists():
        pytest.skip("the document is not here")
    section = DOCUMENT.read_text(encoding="utf-8").split("### 2.2")[1].split("\n## ")[0]
    assert list(FAULTS) == re.findall(r"^\| ([A-Z]\d+) \|", section, re.MULTILINE)
    assert len(FAULTS) == 56


def test_every_fault_has_words_a_rate_and_tables_that_have_a_contract():
    for id, fault in FAULTS.items():
        assert id == fault.id
        assert fault.name and fault.words
        assert 0 < fault.default_rate <= 0.1
        assert {f"landing.{table}" for table in fault.tables} <= set(contracts.names("landing")), id


def test_the_ordinary_mix_refuses_no_set():
    assert {FAULTS[id].expects for id in REALISTIC} == {"as_meant", "not_listed", "warned"}
    check_rates(REALISTIC, weeks=0, file_format="parquet")


@pytest.mark.parametrize(
    ("rates", "weeks", "file_format", "says"),
    [
        pytest.param({"X9": 0.1}, 0, "csv", "1 others", id="unknown_fault"),
        pytest.param({"U2": -0.1}, 0, "csv", "fault U2: expected a rate of 0 to 1; found -0.1", id="negative_rate"),
        pytest.param({"U2": 1.1}, 0, "csv", "found 1.1", id="rate_above_1"),
        pytest.param({"U2": float("nan")}, 0, "csv", "found nan", id="rate_that_is_no_number"),
        pytest.param({"R6": 0.1}, 0, "csv", "fault R6: expected weekly extracts", id="weeks_needed"),
        pytest.param({"F3": 0.1}, 0, "parquet", "fault F3: expected csv files", id="bytes_of_parquet"),
        pytest.param({"U1": 2, "F7": 1}, 0, "csv", "2 faults", id="several_at_once"),
    ],
)
def test_rates_that_nobody_can_have_are_refused(rates, weeks, file_format, says):
    with pytest.raises(SettingsError, match=re.escape(says)):
        check_rates(rates, weeks, file_format)


def test_rates_that_are_fine_pass_and_nought_asks_for_nothing():
    check_rates({id: fault.default_rate for id, fault in FAULTS.items()}, weeks=1, file_format="csv")
    check_rates(dict.fromkeys(FAULTS, 0.0), weeks=0, file_format="parquet")


# --------------------------------------------------------------------------------------------- all faults of rows


def test_without_rates_nothing_is_touched():
    tables = share()
    written, meant, touches = spoil_rows(dict(tables), dict(tables), dict.fromkeys(FAULTS, 0.0), scenes())
    nothing_changed(tables, written)
    nothing_changed(tables, meant)
    assert touches.is_empty()
    assert dict(touches.schema) == dict(TOUCH_SCHEMA)


@pytest.mark.parametrize("id", IN_A_BULK)
def test_each_fault_touches_the_tables_it_names_and_no_other(id):
    tables = share(600 if id == "S1" else 40)
    before = {table: pl.DataFrame(frame.rows(), frame.schema, orient="row") for table, frame in tables.items()}
    written, meant, touches = spoiled(id, 0.001, tables=tables)
    assert touches.height >= 1  # the first practice always has it
    assert set(touches["fault"]) == {id}
    assert touches["words"].null_count() == 0
    assert set(touches["table"]) <= {*FAULTS[id].tables, "patient"}
    nothing_changed(tables, before)  # what was given stays as it was
    if id != "F12":
        nothing_changed(tables, written, *FAULTS[id].tables)
        nothing_changed(tables, meant, *FAULTS[id].tables)
    differs = [table for table in tables if not written[table].equals(tables[table])]
    assert differs, "a fault shows in what is written"
    for table, frame in written.items():
        assert frame.columns == tables[table].columns
        key = contracts.load(f"landing.{table}").key
        for each in (frame, meant[table]):
            assert_frame_equal(each, each.sort(key, maintain_order=True, nulls_last=True))


@pytest.mark.parametrize("id", IN_A_BULK)
def test_every_row_touched_is_a_row_of_the_clean_county(id):
    tables = share()
    _, _, touches = spoiled(id, tables=tables)
    for table, key in touches.select("table", "key").iter_rows():
        names = contracts.load(f"landing.{table}").key
        assert key in set(tables[table].select(pl.concat_str(names, separator="|")).to_series()), table


@pytest.mark.parametrize("id", IN_A_BULK)
def test_a_fault_comes_out_the_same_twice(id):
    first, second = spoiled(id), spoiled(id)
    for one, other in zip(first[:2], second[:2], strict=True):
        nothing_changed(one, other)
    assert_frame_equal(first[2], second[2])


def test_another_practice_has_a_fault_only_by_chance():
    tables = share()
    _, _, touches = spoil_rows(dict(tables), dict(tables), {"I1": 1e-9}, scenes(practice=THERE))
    assert touches.is_empty()


def test_a_row_has_one_fault_at_most():
    tables = share(100)
    rates = dict.fromkeys((id for id in IN_A_BULK if id not in ("F12", "S1", "P4")), 0.2)
    _, _, touches = spoil_rows(dict(tables), dict(tables), rates, scenes())
    assert touches.height > 500
    assert not touches.select("table", "key").is_duplicated().any()


# --------------------------------------------------------------------------------------------------- whole rows


def test_r1_a_row_written_twice_is_meant_once():
    tables = share()
    written, meant, touches = spoiled("R1", tables=tables)
    nothing_changed(tables, meant)
    for table in FAULTS["R1"].tables:
        count = touches.filter(pl.col("table") == table).height
        assert count
        assert written[table].height == tables[table].height + count
        assert written[table].is_duplicated().sum() == 2 * count


def test_r2_of_two_rows_that_differ_neither_is_meant():
    tables = share()
    written, meant, touches = spoiled("R2", tables=tables)
    for table in FAULTS["R2"].tables:
        count = touches.filter(pl.col("table") == table).height
        key = contracts.load(f"landing.{table}").key
        assert written[table].filter(pl.struct(key).is_duplicated()).height == 2 * count
        assert not written[table].is_duplicated().any()
        assert meant[table].height == tables[table].height - count


def test_r3_one_fact_under_two_ids_is_meant_twice():
    tables = share()
    written, meant, touches = spoiled("R3", tables=tables)
    nothing_changed(written, meant)
    events = written["gp_event"]
    assert not events["source_event_id"].is_duplicated().any()
    assert events.drop("source_event_id").is_duplicated().sum() == 2 * touches.filter(table="gp_event").height


def test_r4_rows_of_nobody_are_not_meant():
    tables = share()
    written, meant, touches = spoiled("R4", tables=tables)
    known = tables["patient"].select("org_code", "source_patient_id")
    for table in FAULTS["R4"].tables:
        orphans = written[table].join(known, on=["org_code", "source_patient_id"], how="anti")
        assert orphans.height == touches.filter(table=table).height > 0
        assert meant[table].height == tables[table].height - orphans.height
    # Each is told of under the patient whose row it was.
    assert touches.join(known, on=["org_code", "source_patient_id"], how="anti").is_empty()


def test_r5_in_a_bulk_a_withdrawn_row_is_marked_and_not_meant():
    tables = share()
    written, meant, touches = spoiled("R5", tables=tables)
    for table in FAULTS["R5"].tables:
        count = touches.filter(table=table).height
        assert written[table].filter(is_deleted="true").height == count > 0
        assert meant[table].filter(is_deleted="true").is_empty()
        assert meant[table].height == tables[table].height - count


# ---------------------------------------------------------------------------------------------------- identities


@pytest.mark.parametrize(
    ("id", "is_so"),
    [
        pytest.param("I1", lambda number: not nhs_number_is_valid(number), id="invalid"),
        pytest.param("I2", lambda number: number in ("0000000000", "9999999999", "1111111111", "0123456789")),
        pytest.param(
            "I3", lambda number: nhs_number_is_valid(number) and nhs_number_range(number) == "other", id="not_issued"
        ),
    ],
)
def test_i1_to_i3_a_number_nobody_can_have_is_meant_as_none(id, is_so):
    tables = share()
    written, meant, touches = spoiled(id, tables=tables)
    rows = changed(tables["patient"], written["patient"], "patient")
    assert rows.height == touches.height
    assert all(is_so(number) for number in rows["nhs_number"])
    assert meant["patient"]["nhs_number"].null_count() == rows.height
    # Nobody with two records: one of them would stay linked.
    assert set(touches["nhs_number"]).isdisjoint({number_of(person) for person in range(1, 5)})


def test_i4_hospital_rows_bear_an_older_number_and_mean_the_present_one():
    tables = share()
    written, meant, touches = spoiled("I4", tables=tables)
    nothing_changed(tables, meant)
    people = set(touches["nhs_number"])
    for table in ("apc_episode", "op_attendance"):
        rows = changed(tables[table], written[table], table)
        assert set(rows["nhs_number_before"]) == people
        assert all(nhs_number_is_valid(number) and number.startswith("998") for number in rows["nhs_number"])


def test_i5_one_number_has_two_births_or_sexes():
    tables = share()
    written, meant, touches = spoiled("I5", 1.0, tables=tables)
    nothing_changed(tables, meant)
    rows = changed(tables["patient"], written["patient"], "patient")
    assert rows.height == touches.height == 8  # both records of four people
    born = [date.fromisoformat(each) for each in rows["date_of_birth"]]
    was = [date.fromisoformat(each) for each in rows["date_of_birth_before"]]
    other_birth = [(then - now).days > 366 for now, then in zip(born, was, strict=True)]
    assert [birth or sex == "M" for birth, sex in zip(other_birth, rows["sex"], strict=True)] == [True] * 8
    assert set(touches["expects"]) == {"not_listed"}


def test_i6_two_people_have_one_number_both_are_touched_and_neither_is_meant_with_it():
    tables = share()
    written, meant, touches = spoiled("I6", 0.2, tables=tables)
    without = changed(tables["patient"], meant["patient"], "patient")
    assert set(without["source_patient_id"]) == set(touches["source_patient_id"])
    assert without["nhs_number"].null_count() == without.height
    nothing_changed(tables, meant, "patient")
    twice = written["patient"].group_by("nhs_number").agg(pl.len(), pl.col("source_patient_id"))
    owners = twice.filter(pl.col("len") == 2)["source_patient_id"].to_list()
    pairs = [pair for pair in owners if not any(id.startswith("9") for id in pair)]
    assert {id for pair in pairs for id in pair} == set(touches["source_patient_id"])
    assert len(pairs) * 2 == touches.height


@pytest.mark.parametrize(
    ("id", "column", "values"),
    [pytest.param("I7", "is_test_patient", {"true"}), pytest.param("I8", "is_spine_sensitive", {"true"})],
)
def test_i7_and_i8_a_flag_is_written_and_meant(id, column, values):
    tables = share()
    written, meant, touches = spoiled(id, tables=tables)
    rows = changed(tables["patient"], written["patient"], "patient")
    assert rows.height == touches.height
    assert set(rows[column]) == values
    assert meant["patient"].filter(pl.col(column) == "true").height == touches.height


def test_i8_no_place_of_a_sensitive_person_is_meant():
    written, meant, _ = spoiled("I8")
    so = pl.col("is_spine_sensitive") == "true"
    assert written["patient"].filter(so)["address_lines"].null_count() == 0
    places = ["address_lines", "postcode", "lsoa11"]
    assert meant["patient"].filter(so).select(pl.all_horizontal(pl.col(places).is_null()).all()).item()


# --------------------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize("id", ["D1", "D2", "D3"])
def test_d1_to_d3_a_date_that_cannot_be_is_meant_as_unknown(id):
    tables = share()
    written, meant, touches = spoiled(id, tables=tables)
    for table in FAULTS[id].tables:
        rows = changed(tables[table], written[table], table)
        assert rows.height == touches.filter(table=table).height > 0
        days = set(rows["effective_date"])
        if id == "D1":
            assert days <= {"1900-01-01", "1753-01-01", "1899-12-30", "9999-12-31"}
        elif id == "D2":
            assert min(days) > CUTOFF.isoformat()
        else:
            births = tables["patient"].select("org_code", "source_patient_id", "date_of_birth")
            assert (rows.join(births, on=["org_code", "source_patient_id"])
                    .select((pl.col("effective_date") < pl.col("date_of_birth")).all()).item())  # fmt: skip
        unknown = meant[table].filter(pl.col("effective_date").is_null())
        assert unknown.height == rows.height
        assert set(unknown["effective_precision"]) == {"U"}
    if id == "D3":
        assert (
            meant["gp_observation"].filter(pl.col("effective_date").is_null())["value_num"].null_count() == rows.height
        )


def test_d4_an_event_long_after_death_is_not_meant():
    tables = share()
    written, meant, touches = spoiled("D4", tables=tables)
    assert set(touches["source_patient_id"]) <= {f"{person:06d}" for person in range(5, 9)}
    for table in FAULTS["D4"].tables:
        rows = changed(tables[table], written[table], table)
        # Died on 3 March: more than 30 days later is from 3 April on, up to the end of the extract.
        assert rows["effective_date"].is_between(pl.lit("2026-04-03"), pl.lit("2026-11-01")).all()
        assert meant[table].height == tables[table].height - rows.height


def test_d5_a_date_in_another_pattern_takes_its_row_with_it():
    tables = share()
    written, meant, touches = spoiled("D5", tables=tables)
    for table, column in (("gp_event", "effective_date"), ("gp_medication", "issue_date"),
                          ("apc_episode", "admission_date"), ("gp_observation", "effective_date")):  # fmt: skip
        rows = changed(tables[table], written[table], table)
        assert rows.height == touches.filter(table=table).height > 0
        assert rows[column].str.contains(r"^\d\d/\d\d/(\d\d){1,2}$").all()
        assert meant[table].height == tables[table].height - rows.height


def test_d6_a_discharge_before_admission_is_not_meant_and_a_past_registration_stays_past():
    tables = share()
    written, meant, touches = spoiled("D6", tables=tables)
    stays = changed(tables["apc_episode"], written["apc_episode"], "apc_episode")
    assert stays.select((pl.col("discharge_date") < pl.col("admission_date")).all()).item()
    assert meant["apc_episode"].height == tables["apc_episode"].height - stays.height
    past = changed(tables["registration"], written["registration"], "registration")
    assert past.select((pl.col("end_date") < pl.col("start_date")).all()).item()
    assert_frame_equal(meant["registration"], tables["registration"])
    assert touches.height == stays.height + past.height


def test_d7_a_year_alone_is_meant_as_its_first_day():
    tables = share()
    written, meant, _ = spoiled("D7", tables=tables)
    rows = changed(tables["gp_event"], written["gp_event"], "gp_event")
    assert set(rows["effective_precision"]) == {"Y"}
    assert set(rows["effective_date"].str.slice(0, 4)) == {"2024"}
    assert len(set(rows["effective_date"])) == 3
    assert set(meant["gp_event"].filter(effective_precision="Y")["effective_date"]) == {"2024-01-01"}


def test_d8_somebody_is_over_120():
    written, meant, touches = spoiled("D8")
    for each in (written, meant):
        old = each["patient"].filter(pl.col("date_of_birth") < "1906-11-01")
        assert old.height == touches.height
        assert old["date_of_birth"].min() >= "1905-01-01"  # the oldest date of birth a contract takes


# -------------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("id", "code", "was", "becomes", "units"),
    [
        # 48 / 10.929 + 2.15 = 6.54
        pytest.param("U1", clinical_codes.HBA1C, "48", {"6.5"}, {"%", None, "% Hb"}, id="hba1c"),
        pytest.param("U2", clinical_codes.FEV1_PERCENT, "60", {"1.8"}, {"L", None, "litres"}, id="fev1_litres"),
        pytest.param("U2", clinical_codes.FEV1_LITRES, "1.83", {"61"}, {"%", None, "% predicted"}, id="fev1_percent"),
        # 80 / 6.35 = 12.6; 172 / 30.48 = 5.64
        pytest.param("U6", clinical_codes.WEIGHT, "80", {"12.6"}, {"st", "stone"}, id="stones"),
        pytest.param("U6", clinical_codes.HEIGHT, "172", {"5.6"}, {"ft", "feet"}, id="feet"),
        pytest.param("U6", clinical_codes.BODY_MASS_INDEX, "27.4", {"274"}, {"kg/m2", None}, id="bmi"),
        pytest.param("U7", clinical_codes.EGFR, "90", {"0", "999"}, None, id="not_done"),
        pytest.param("U7", clinical_codes.CAT_SCORE, "0", {"999"}, None, id="a_cat_score_of_0_is_one"),
    ],
)
def test_a_value_in_a_wrong_unit_is_not_meant(id, code, was, becomes, units):
    tables = share()
    written, meant, _ = spoiled(id, 0.5, tables=tables)
    of_code = pl.col("snomed_code") == code.code
    rows = changed(tables["gp_observation"], written["gp_observation"], "gp_observation").filter(of_code)
    assert set(rows["value_num"]) == becomes
    assert set(rows["value_num_before"]) == {was}
    assert units is None or set(rows["unit_raw"]) == units
    assert meant["gp_observation"].filter(of_code)["value_num"].null_count() == rows.height


@pytest.mark.parametrize(
    ("code", "becomes", "units"),
    [
        pytest.param(clinical_codes.FEV1_LITRES, "1830", {"ml", "mls"}, id="ml"),
        pytest.param(clinical_codes.HEIGHT, "1.72", {"m", "metres"}, id="metres"),
        pytest.param(clinical_codes.FEV1_FVC_RATIO, "65", {"%", None}, id="ratio"),
    ],
)
def test_u3_a_value_in_another_unit_is_meant_converted(code, becomes, units):
    tables = share()
    written, meant, _ = spoiled("U3", 0.5, tables=tables)
    nothing_changed(tables, meant)
    rows = changed(tables["gp_observation"], written["gp_observation"], "gp_observation")
    rows = rows.filter(pl.col("snomed_code") == code.code)
    assert set(rows["value_num"]) == {becomes}
    assert set(rows["unit_raw"]) == units


def test_u4_a_comparator_is_lost_and_the_value_stays():
    tables = share()
    written, meant, touches = spoiled("U4", tables=tables)
    rows = changed(tables["gp_observation"], written["gp_observation"], "gp_observation")
    assert rows.height == touches.height
    assert rows["comparator"].null_count() == rows.height
    assert set(rows["value_num"]) == {"90"}
    nothing_changed(written, meant)


def test_u5_no_half_of_a_broken_blood_pressure_is_meant():
    tables = share()
    written, meant, touches = spoiled("U5", tables=tables)
    swapped = touches.filter(pl.col("words") == "systolic below diastolic").height
    halves = touches.height - swapped
    assert swapped > 0 and halves > 0 and halves % 2 == 0
    values = written["gp_observation"].filter(unit_raw="mmHg").group_by("source_patient_id").agg(
        pl.col("value_num").filter(pl.col("snomed_code") == clinical_codes.SYSTOLIC.code).first().alias("systolic"),
        pl.col("value_num").filter(pl.col("snomed_code") == clinical_codes.DIASTOLIC.code).first().alias("diastolic"),
    )  # fmt: skip
    assert values.filter(systolic="78", diastolic="148").height == swapped // 2
    assert values.filter(pl.col("diastolic").is_null()).height == halves // 2
    unknown = meant["gp_observation"].filter(pl.col("value_num").is_null())
    assert unknown.height == swapped + halves // 2


def test_u8_a_grade_against_its_value_is_not_meant():
    tables = share()
    written, meant, touches = spoiled("U8", tables=tables)
    rows = written["gp_observation"].filter(pl.col("snomed_code").is_in(GRADES)).to_dicts()
    against = [row for row in rows if GRADES.index(row["snomed_code"]) + 1 != float(row["value_num"])]
    modified = changed(tables["gp_observation"], written["gp_observation"], "gp_observation")
    modified = modified.filter(snomed_code_before=clinical_codes.MMRC_SCORE.code)
    assert set(modified.select("snomed_code", "value_num").rows()) == {(clinical_codes.MRC_SCORE.code, "0")}
    assert len(against) + modified.height == touches.height > modified.height
    assert meant["gp_observation"].height == tables["gp_observation"].height - touches.height


# --------------------------------------------------------------------------------------------------------- codes


def test_c1_a_code_nobody_knows_stays_and_means_nothing():
    tables = share(100)
    written, meant, touches = spoiled("C1", tables=tables)
    rows = changed(tables["gp_event"], written["gp_event"], "gp_event")
    read = rows.filter(original_system="READ2")
    local = rows.filter(snomed_code="1777541000006105")
    damaged = rows.join(read, on="source_event_id", how="anti").join(local, on="source_event_id", how="anti")
    assert min(read.height, local.height, damaged.height) > 0
    assert verhoeff_is_valid("1777541000006105")
    assert not any(verhoeff_is_valid(code) for code in damaged["snomed_code"])
    assert meant["gp_event"].height == tables["gp_event"].height
    assert meant["gp_event"]["snomed_code"].null_count() == read.height + damaged.height
    medicines = changed(tables["gp_medication"], written["gp_medication"], "gp_medication")
    assert not any(verhoeff_is_valid(code) for code in medicines["dmd_code"])
    assert meant["gp_medication"]["dmd_code"].null_count() == medicines.height > 0
    assert touches.height == rows.height + medicines.height


def test_c2_no_copd_code_is_left_at_the_practice():
    tables = share()
    written, meant, touches = spoiled("C2", 0.01, tables=tables)
    nothing_changed(written, meant)
    assert written["gp_event"].filter(pl.col("snomed_code").is_in(COPD)).is_empty()
    assert touches.height == tables["gp_event"].filter(pl.col("snomed_code").is_in(COPD)).height


def test_c3_icd10_written_otherwise_is_meant_in_its_normal_form():
    tables = share()
    written, meant, touches = spoiled("C3", tables=tables)
    rows = changed(tables["apc_episode"], written["apc_episode"], "apc_episode")
    assert rows.height == touches.height
    assert set(rows["diag_02"]) == {"J44.0", "j440", "J440-", "J44 0"}
    assert set(meant["apc_episode"]["diag_02"]) == {"J440"}
    assert meant["apc_episode"].filter(pl.col("diag_01") == "E86").height == rows.height


def test_c4_28_counts_and_a_method_nobody_knows_takes_its_row_with_it():
    tables = share()
    written, meant, touches = spoiled("C4", 0.5, tables=tables)
    rows = changed(tables["apc_episode"], written["apc_episode"], "apc_episode")
    assert rows.height == touches.height
    assert set(rows.filter(admission_method_before="21")["admission_method"]) == {"28", "2Z"}
    assert set(rows.filter(admission_method_before="11")["admission_method"]) == {"98", "99"}
    unknown = rows.filter(admission_method="2Z").height
    assert meant["apc_episode"].height == tables["apc_episode"].height - unknown
    assert set(meant["apc_episode"]["admission_method"]) == {"11", "21", "28", "98", "99"}


def test_c5_a_withdrawn_medicine_is_meant_as_the_present_one():
    tables = share()
    written, meant, touches = spoiled("C5", tables=tables)
    nothing_changed(tables, meant)
    rows = changed(tables["gp_medication"], written["gp_medication"], "gp_medication")
    assert rows.height == touches.height
    for now, then in rows.select("dmd_code_before", "dmd_code").iter_rows():
        assert then == previous_dmd_id(now)
        assert verhoeff_is_valid(then)


def test_no_withdrawn_medicine_has_the_id_of_another():
    medicines = [
        each
        for value in vars(clinical_codes).values()
        for each in (value if isinstance(value, tuple) else (value,))
        if isinstance(each, clinical_codes.Medicine)
    ]
    present = {each.code for each in medicines}
    assert len({previous_dmd_id(code) for code in present}) == len(present) > 10
    assert present.isdisjoint({previous_dmd_id(code) for code in present})


# ------------------------------------------------------------------------------------ registrations and practices


def test_p1_the_old_registration_of_somebody_who_moved_stays_open():
    tables = share()
    written, meant, touches = spoiled("P1", 1.0, tables=tables)
    nothing_changed(tables, meant)
    assert sorted(touches["source_patient_id"]) == ["000001", "000002", "000003", "000004"]
    assert written["registration"].filter(pl.col("end_date").is_null()).height == 36 + 4


def test_p2_a_temporary_resident_has_no_other_registration():
    tables = share()
    written, meant, touches = spoiled("P2", tables=tables)
    nothing_changed(written, meant)
    temporary = written["registration"].filter(registration_type="TEMPORARY")
    assert temporary.height == touches.height
    assert set(touches["source_patient_id"]).isdisjoint({f"{person:06d}" for person in range(1, 9)})


def test_p3_only_the_death_table_knows_of_somebody_dead():
    tables = share()
    written, meant, touches = spoiled("P3", 1.0, tables=tables)
    nothing_changed(written, meant)
    assert set(touches["table"]) == {"registration", "patient"}
    assert written["patient"]["date_of_death"].null_count() == written["patient"].height
    assert written["registration"].filter(pl.col("end_date").is_not_null()).height == 4  # those who moved
    assert_frame_equal(written["death"], tables["death"])


def test_s1_fewer_than_500_stay_on_the_list():
    tables = share(600)
    written, meant, touches = spoiled("S1", 0.01, tables=tables)
    nothing_changed(written, meant)
    left = written["registration"].filter(pl.col("end_date").is_null() & (pl.col("practice_code") == HERE))
    assert left.height == 450
    # 600 people, 4 moved and 4 died: 592 on the list, of whom 142 leave.
    assert touches.height == 142
    ended = changed(tables["registration"], written["registration"], "registration")
    assert ended["end_date"].is_between(pl.lit("2026-10-01"), pl.lit("2026-10-31")).all()


def test_s1_a_small_practice_is_told_of_and_stays_as_it_is():
    tables = share()
    written, _, touches = spoiled("S1", 0.01, tables=tables)
    nothing_changed(tables, written)
    assert touches.select("table", "key", "words").rows() == [("practice", HERE, "a list below 500 as it is")]


def test_f12_nothing_comes_of_a_practice_deactivated():
    tables = share()
    written, meant, touches = spoiled("F12", 0.01, tables=tables)
    nothing_changed(written, meant)
    assert written["practice"]["valid_to"].to_list() == ["2026-10-02"]
    assert written["gp_event"].is_empty()
    assert set(written["patient"]["org_code"]) == {THERE}
    assert_frame_equal(written["apc_episode"], tables["apc_episode"])
    expects = dict(touches.filter(table="patient").select("source_patient_id", "expects").iter_rows())
    assert {expects[f"{person:06d}"] for person in range(1, 5)} == {"as_meant"}  # listed where they are now
    assert {expects[f"{person:06d}"] for person in range(5, 41)} == {"not_listed"}
