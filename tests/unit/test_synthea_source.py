"""Synthea files become landing tables: every row carried or counted, nothing guessed, stand-ins marked."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from stratify import codes, contracts
from stratify.errors import ExtractError
from stratify.ingest import SOURCES, inspect_files, scanning
from stratify.ingest.sources import synthea
from stratify.rulebook import load_rule_book

SYNTHEA = SOURCES["synthea"]
COPD, WELL_CHILD, DEVICE = "13645005", "410620009", "72506001"

PATIENTS = (
    "Id,BIRTHDATE,DEATHDATE,SSN,DRIVERS,PASSPORT,PREFIX,FIRST,LAST,RACE,GENDER,ZIP\n"
    "p1,1950-06-01,,999-10-1234,S99912345,X1234567X,Mrs.,Ann1,CANARYNAME2,white,F,02108\n"
    "p2,1940-02-29,2019-12-31,999-10-5678,,,,Bob3,Other4,asian,M,02109\n"
)
CONDITIONS = (
    "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n"
    f'2010-11-09,2015-01-01,p1,e1,{COPD},"Emphysema, chronic"\n'
    f"2011-01-02,,p2,e2,{COPD},COPD\n"
    f"2011-01-02,,p2,e2,{COPD},COPD\n"
)
ENCOUNTERS = (
    "Id,START,STOP,PATIENT,ENCOUNTERCLASS,CODE,DESCRIPTION\n"
    f"e1,2010-11-09T15:06:37Z,2010-11-09T15:21:37Z,p1,wellness,{WELL_CHILD},Visit\n"
    f"e2,2011-01-02T08:00:00Z,2011-01-04T08:00:00Z,p2,inpatient,{WELL_CHILD},Stay\n"
    f"e3,2011-02-02T08:00:00Z,2011-02-02T09:00:00Z,p2,emergency,{WELL_CHILD},Emergency\n"
    "e4,2012-01-01T08:00:00Z,,p1,virtual,,No code\n"
)
OBSERVATIONS = (
    "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,VALUE,UNITS\n"
    "2019-01-01,p1,e1,19926-5,FEV1/FVC,45.4,%\n"
    "2019-01-01,p1,e1,72166-2,Tobacco smoking status NHIS,Never smoker,\n"
    "2019-01-01,p1,e1,5778-6,Color of Urine,brown,\n"
    "2019-01-01,p1,e1,8302-2,Body Height,160.5,cm\n"
    "2019-01-01,p1,,,Thyrotropin,1.5e-1,mU/L\n"
)
MEDICATIONS = (
    "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n"
    "2018-03-04T10:00:00Z,2018-03-01T10:00:00Z,p1,e1,895994,Fluticasone\n"
    "2019-03-04,,p1,e1,,Something\n"
)
ALL = {
    "patients": PATIENTS,
    "conditions": CONDITIONS,
    "encounters": ENCOUNTERS,
    "observations": OBSERVATIONS,
    "medications": MEDICATIONS,
}


def write(folder: Path, **changes):
    folder.mkdir(parents=True)
    for name, text in (ALL | changes).items():
        if text is not None:
            content = text if isinstance(text, bytes) else text.encode()
            (folder / f"{name}.csv").write_bytes(content)
    return folder


def landed(tmp_path, **changes):
    folder = synthea.read(write(tmp_path / "synthea", **changes), tmp_path / "scratch")
    return {path.stem: pl.read_parquet(path) for path in folder.glob("*.parquet")}


def not_carried(tmp_path):
    frame = pl.read_csv(tmp_path / "scratch" / synthea.NOT_CARRIED)
    assert frame.columns == ["file", "reason", "rows"]
    return {(name, reason): count for name, reason, count in frame.iter_rows()}


def refused(tmp_path, **changes):
    with pytest.raises(ExtractError) as caught:
        synthea.read(write(tmp_path / "synthea", **changes), tmp_path / "scratch")
    assert "CANARYNAME" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # nothing of the file is chained
    return str(caught.value)


def test_what_is_written_passes_the_file_gate(tmp_path):
    folder = synthea.read(write(tmp_path / "synthea"), tmp_path / "scratch")
    files = inspect_files(folder, SYNTHEA)
    # conditions 3, encounters 4 less the inpatient and the emergency one = 2; 3 + 2 = 5 events
    assert {file.table: file.row_count for file in files} == {
        "clinic_capacity": 20_345,  # 13 clinics on 1,565 Mondays of 2010 to 2039
        "gp_event": 5,
        "gp_medication": 2,
        "gp_observation": 5,
        "patient": 2,
        "practice": 1,
        "registration": 2,
    }
    assert all(file.has_origin and file.period_to is None for file in files)


def test_every_table_has_the_columns_of_its_contract_as_text(tmp_path):
    for table, frame in landed(tmp_path).items():
        names = contracts.load(f"landing.{table}").column_names
        assert tuple(frame.columns) == (*names, "source_file_name", "source_line")
        assert set(frame.select(names).dtypes) == {pl.String}


def test_a_patient_has_no_nhs_number_and_keeps_the_date_of_death(tmp_path):
    patient = landed(tmp_path)["patient"]
    first, second = patient.rows(named=True)
    assert (first["source_patient_id"], first["family_name"], first["given_names"]) == ("p1", "CANARYNAME2", "Ann1")
    assert (first["title"], first["date_of_birth"], first["sex"], first["date_of_death"]) == (
        "Mrs.",
        "1950-06-01",
        "F",
        None,
    )
    assert second["date_of_death"] == "2019-12-31"
    assert patient["nhs_number"].null_count() == patient["ethnic_category"].null_count() == 2


def test_us_identity_numbers_and_addresses_are_nowhere(tmp_path):
    text = "".join(frame.write_csv() for frame in landed(tmp_path).values())
    for number in ("999-10-1234", "S99912345", "X1234567X", "02108", "white"):
        assert number not in text


def test_a_middle_name_is_a_given_name(tmp_path):
    patients = (
        "Id,BIRTHDATE,DEATHDATE,FIRST,MIDDLE,LAST,GENDER\np1,1950-06-01,,Ann1,Eve2,Test3,F\np2,1950-06-01,,B,,C,M\n"
    )
    assert landed(tmp_path, patients=patients)["patient"]["given_names"].to_list() == ["Ann1 Eve2", "B"]


def test_registration_and_practice_are_marked_stand_ins(tmp_path):
    tables = landed(tmp_path)
    registration = tables["registration"].rows(named=True)[1]
    assert (registration["practice_code"], registration["start_date"], registration["end_date"]) == (
        synthea.PRACTICE_CODE,
        "1940-02-29",
        "2019-12-31",
    )
    practice = tables["practice"].rows(named=True)[0]
    assert "STAND-IN" in practice["practice_name"] and "STAND-IN" in practice["pcn_name"]
    assert practice["practice_code"] == tables["patient"]["org_code"][0] == synthea.PRACTICE_CODE
    assert tables["clinic_capacity"]["venue"].str.contains("STAND-IN").all()


def test_any_week_has_one_session_of_every_clinic(tmp_path):
    sessions = landed(tmp_path)["clinic_capacity"].with_columns(pl.col("clinic_date").str.to_date())
    # 28 April 2020 is a Tuesday: the Monday of its seven days is 4 May.
    week = sessions.filter(pl.col("clinic_date").dt.to_string().is_between(pl.lit("2020-04-28"), pl.lit("2020-05-04")))
    assert sorted(week["clinic_id"].unique()) == sorted(synthea.CLINICS)
    assert week["clinic_date"].dt.to_string().unique().to_list() == ["2020-05-04"]


def test_stand_in_clinics_are_those_of_the_pathways():
    asked = {clinic.id for pathway in load_rule_book().pathways.values() for clinic in pathway.clinics}
    assert asked == set(synthea.CLINICS)


def test_an_entry_points_at_its_file_and_line_and_repeats_stay_apart(tmp_path):
    events = landed(tmp_path)["gp_event"].filter(pl.col("source_file_name") == "conditions.csv")
    assert events["source_line"].to_list() == [2, 3, 4]  # the header is line 1
    assert events["source_event_id"].to_list() == ["conditions:2", "conditions:3", "conditions:4"]
    assert events["snomed_code"].to_list() == [COPD] * 3
    assert events["snomed_term"][0] == "Emphysema, chronic"


def test_a_timestamp_becomes_its_day_and_anything_else_stays_for_the_contract(tmp_path):
    conditions = CONDITIONS + f"soon,,p1,e1,{COPD},COPD\n"
    tables = landed(tmp_path, conditions=conditions)
    days = dict(tables["gp_event"].select("source_event_id", "effective_date").iter_rows())
    assert days["encounters:2"] == "2010-11-09"
    assert days["conditions:5"] == "soon"
    assert tables["gp_medication"]["issue_date"].to_list() == ["2018-03-04", "2019-03-04"]


def test_inpatient_and_emergency_encounters_are_counted_and_not_carried(tmp_path):
    events = landed(tmp_path)["gp_event"].filter(pl.col("source_file_name") == "encounters.csv")
    assert events["encounter_id"].to_list() == ["e1", "e4"]
    left = not_carried(tmp_path)
    assert left["encounters.csv", "inpatient stays: they have no ICD-10 diagnosis"] == 1
    assert left["encounters.csv", "emergency attendances: no NHS number to link them by"] == 1


def test_every_row_is_carried_or_counted_as_not_carried(tmp_path):
    others = {
        "payers": "Id,NAME\n1,A\n2,B\n",
        "immunizations": "DATE,PATIENT,CODE,DESCRIPTION\n2019-01-01,p1,140,x\n",
    }
    tables = landed(tmp_path, **others)
    total: dict[str, int] = {}
    for table, frame in tables.items():
        if table != "registration":  # made of the same lines as patient
            for name in frame["source_file_name"]:
                total[name] = total.get(name, 0) + 1
    for (name, reason), count in not_carried(tmp_path).items():
        if not reason.startswith("text values"):
            total[name] = total.get(name, 0) + count
    lines = {f"{name}.csv": text.count("\n") - 1 for name, text in (ALL | others).items()}
    assert {name: count for name, count in total.items() if name in lines} == lines


def test_a_row_without_a_code_is_carried_so_that_the_contract_rejects_and_counts_it(tmp_path):
    tables = landed(tmp_path)
    for table, name in (("gp_event", "snomed_code"), ("gp_observation", "snomed_code"), ("gp_medication", "dmd_code")):
        codeless = tables[table].filter(pl.col(name).is_null() & pl.col("original_code").is_null())
        assert codeless.height == 1
        assert codeless["original_system"].to_list() == [None]


def test_observations_keep_loinc_value_and_unit_and_get_snomed_only_where_declared(tmp_path):
    frame = landed(tmp_path)["gp_observation"]
    columns = ("snomed_code", "original_code", "original_system", "value_num", "unit_raw")
    assert frame.select(columns).rows() == [
        ("251944000", "19926-5", "LOINC", "45.4", "%"),
        ("266919005", "72166-2", "LOINC", None, None),
        (None, "5778-6", "LOINC", None, None),
        (None, "8302-2", "LOINC", "160.5", "cm"),
        (None, None, None, "1.5e-1", "mU/L"),
    ]
    # Never smoker is said by its code; brown is the one text that is lost.
    lost = "text values that no SNOMED CT code is declared for: only their rows are carried"
    assert not_carried(tmp_path)["observations.csv", lost] == 1


def test_declared_snomed_codes_are_well_formed_and_have_a_source():
    declared = pl.read_csv(Path(synthea.__file__).with_name("synthea_codes.csv"), infer_schema=False)
    assert all(codes.verhoeff_is_valid(code) for code in declared["snomed_code"])
    assert declared.select("loinc", "value_text").is_unique().all()
    assert declared["source"].null_count() == 0


def test_medicines_and_vaccines_keep_their_american_codes(tmp_path):
    immunizations = "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n2019-01-01T00:00:00Z,p1,e1,08,Hep B\n"
    tables = landed(tmp_path, immunizations=immunizations)
    medicine = tables["gp_medication"].rows(named=True)[0]
    assert (medicine["dmd_code"], medicine["original_code"], medicine["original_system"]) == (None, "895994", "RXNORM")
    vaccine = tables["gp_event"].filter(pl.col("source_event_id") == "immunizations:2").rows(named=True)[0]
    assert (vaccine["snomed_code"], vaccine["original_code"], vaccine["original_system"]) == (None, "08", "CVX")


def test_the_system_column_of_newer_files_decides(tmp_path):
    conditions = (
        "START,STOP,PATIENT,ENCOUNTER,SYSTEM,CODE,DESCRIPTION\n"
        f"2010-11-09,,p1,e1,SNOMED-CT,{COPD},COPD\n"
        "2010-11-09,,p1,e1,ICD10,K02.9,Caries\n"
    )
    allergies = (
        "START,STOP,PATIENT,ENCOUNTER,CODE,SYSTEM,DESCRIPTION\n"
        "2010-11-09,,p1,e1,111088007,Unknown,Latex\n"
        "2010-11-09,,p1,e1,1191,Unknown,Aspirin\n"
        "2010-11-09,,p1,e1,7984,RxNorm,Penicillin V\n"
        "2010-11-09,,p1,e1,111088008,Unknown,Check digit wrong\n"
    )
    frame = landed(tmp_path, conditions=conditions, allergies=allergies)["gp_event"]
    found = {row[0]: row[1:] for row in frame.select("source_event_id", *_CODE_COLUMNS).iter_rows()}
    assert found["conditions:2"] == (COPD, None, None)
    assert found["conditions:3"] == (None, "K02.9", "ICD10")
    assert found["allergies:2"] == ("111088007", None, None)
    assert found["allergies:3"] == (None, "1191", "not stated")
    assert found["allergies:4"] == (None, "7984", "RxNorm")
    assert found["allergies:5"] == (None, "111088008", "not stated")


_CODE_COLUMNS = ("snomed_code", "original_code", "original_system")


def test_columns_in_another_order_extra_columns_gzip_crlf_and_a_byte_order_mark_change_nothing(tmp_path):
    plain = landed(tmp_path / "a")["gp_event"]
    shuffled = (
        "\ufeffDESCRIPTION,CODE,COST,ENCOUNTER,PATIENT,STOP,START\r\n"
        f'"Emphysema, chronic",{COPD},1.0,e1,p1,2015-01-01,2010-11-09\r\n'
        f"COPD,{COPD},2.0,e2,p2,,2011-01-02\r\n"
        f"COPD,{COPD},2.0,e2,p2,,2011-01-02\r\n"
    )
    folder = write(tmp_path / "b" / "synthea", conditions=None)
    (folder / "conditions.csv.gz").write_bytes(gzip.compress(shuffled.encode()))
    other = pl.read_parquet(synthea.read(folder, tmp_path / "b" / "scratch") / "gp_event.parquet")
    assert other["source_file_name"].unique().sort().to_list() == ["conditions.csv.gz", "encounters.csv"]
    assert other.drop("source_file_name").equals(plain.drop("source_file_name"))


def test_optional_files_may_be_absent_and_that_is_said(tmp_path):
    tables = landed(tmp_path, observations=None)
    assert "gp_observation" not in tables
    assert not_carried(tmp_path)["observations.csv", "file not supplied"] == 0


def test_reading_twice_gives_the_same_bytes(tmp_path):
    folder = write(tmp_path / "synthea")
    first = {path.name: path.read_bytes() for path in synthea.read(folder, tmp_path / "one").iterdir()}
    synthea.read(folder, tmp_path / "two")
    again = {path.name: path.read_bytes() for path in synthea.read(folder, tmp_path / "two").iterdir()}
    assert first == again


# Bad input: the message


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ExtractError, match="extract folder nowhere: expected a folder of Synthea CSV files"):
        synthea.read(tmp_path / "nowhere", tmp_path / "scratch")


def test_all_missing_files_are_named_at_once(tmp_path):
    message = refused(tmp_path, patients=None, encounters=None)
    assert "2 faults" in message
    assert "patients.csv: expected this file, plain or gzipped; found none. Export the Synthea set as CSV" in message
    assert "encounters.csv: expected this file" in message


def test_the_same_file_plain_and_gzipped_is_refused(tmp_path):
    folder = write(tmp_path / "synthea")
    (folder / "patients.csv.gz").write_bytes(gzip.compress(PATIENTS.encode()))
    with pytest.raises(ExtractError, match=r"patients\.csv: expected one file; found a plain and a gzipped one"):
        synthea.read(folder, tmp_path / "scratch")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("", "patients.csv: expected a header and rows; found an empty file", id="empty"),
        pytest.param(PATIENTS.split("\n")[0] + "\n", "found a header only", id="header_only"),
        pytest.param(
            "Id,FIRST,LAST\np1,A,CANARYNAME\n", "found no BIRTHDATE, DEATHDATE, GENDER.", id="columns_lacking"
        ),
        pytest.param(PATIENTS.replace("LAST", "FIRST"), "found no LAST; FIRST twice", id="column_twice"),
        pytest.param(PATIENTS.split("\n", 1)[1], "found no Id, BIRTHDATE", id="no_header"),
        pytest.param(PATIENTS.replace(",", ";"), "found columns separated by semicolons", id="semicolons"),
        pytest.param(PATIENTS.rstrip("\n"), "found none: the file is cut off", id="cut_off"),
        pytest.param(PATIENTS.encode("utf-16"), "bytes that are not, first on line 1", id="utf16"),
        pytest.param(
            PATIENTS.replace("Bob3", "Zoë").encode("cp1252"), "bytes that are not, first on line 3", id="cp1252"
        ),
        pytest.param(
            PATIENTS.replace("02109", "02109,CANARYNAME"),
            "expected 12 values on every line, as in the header; found more, fewer or none on 1 lines, first on line 3",
            id="too_many_values",
        ),
        pytest.param(PATIENTS.replace(",02108", ""), "on 1 lines, first on line 2", id="too_few_values"),
        pytest.param(PATIENTS + "\n", "on 1 lines, first on line 4", id="blank_line"),
        pytest.param(PATIENTS.replace("Ann1", '"Ann1'), "a quote never closed", id="quote_never_closed"),
        pytest.param(PATIENTS.replace("Ann1", '"An\nn1"'), "a line break inside a value", id="line_break_in_value"),
    ],
)
def test_a_broken_file_is_refused_with_a_reason_and_no_content(tmp_path, content, words):
    assert words in refused(tmp_path, patients=content)


def test_a_gzip_that_unpacks_to_more_than_records_can_is_refused_as_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(scanning, "ALWAYS_UNPACKED", 1 << 20)
    folder = write(tmp_path / "synthea", conditions=None)
    (folder / "conditions.csv.gz").write_bytes(gzip.compress(CONDITIONS.encode() + b"x" * (8 << 20)))
    with pytest.raises(ExtractError, match=r"conditions\.csv\.gz: .* one that unpacks to over 200 times its size"):
        synthea.read(folder, tmp_path / "scratch")


def test_a_gzip_cut_short_is_refused(tmp_path):
    folder = write(tmp_path / "synthea", conditions=None)
    (folder / "conditions.csv.gz").write_bytes(gzip.compress(CONDITIONS.encode())[:-12])
    with pytest.raises(ExtractError, match=r"conditions\.csv\.gz: expected a file that can be read to its end"):
        synthea.read(folder, tmp_path / "scratch")


def test_faults_of_several_files_come_in_one_message(tmp_path):
    message = refused(tmp_path, conditions="", observations="DATE,PATIENT\n2019-01-01,p1\n")
    assert "2 faults" in message
    assert "observations.csv: expected the Synthea columns DATE, PATIENT, CODE, DESCRIPTION, VALUE, UNITS" in message
