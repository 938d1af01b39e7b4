"""The public Synthea sample, which nobody here wrote, from its files to places on lists."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stratify import pipeline, runs
from stratify.audit_trail import this_account
from stratify.ingest.sources import synthea
from stratify.settings import load_settings
from stratify.store import open_store

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SAMPLE = SHARED / "synthea_sample_2020"
NEEDS_SAMPLE = pytest.mark.skipif(
    not SAMPLE.is_dir(), reason="the public Synthea sample of April 2020 is not beside the checkout"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    settings = load_settings(
        None,
        environment={},
        overrides={
            "source": "synthea",
            "extracts": SAMPLE,
            "out": tmp_path_factory.mktemp("synthea") / "out",
            "index_date": date(2020, 4, 28),
        },
        today=date(2020, 4, 28),
        synthetic_sources=frozenset({"synthea"}),
    )
    done = pipeline.run(settings, key=runs.identity_key(settings, {}), by=this_account("test"))
    path = settings.out / "restricted" / "run.duckdb"
    with open_store(path, temp_directory=tmp_path_factory.mktemp("scratch")) as store:
        yield store, done


@NEEDS_SAMPLE
def test_the_copd_register_is_14_living_and_13_dead_of_27(finished):
    """27 people have a code of NHS England's COPD_COD; counted by hand with the codelist, 13 of them have DEATHDATE."""
    store, _ = finished
    found = store.rows(
        "SELECT decision, reason, count(*) FROM derived.pathway_decision WHERE pathway = 'copd' "
        "AND decision <> 'not_eligible' GROUP BY ALL ORDER BY ALL"
    )
    assert [(decision, count) for decision, _, count in found] == [("assessment", 14), ("excluded", 13)]
    assert found[1][1] == "Has died"


@NEEDS_SAMPLE
def test_nobody_is_graded_and_the_gaps_are_said(finished):
    """The sample has FEV1/FVC and neither FEV1 nor an MRC grade, and no hospital record is linked."""
    store, _ = finished
    graded = "SELECT count(*) FROM derived.patient_score WHERE score IN ('gold_grade', 'copd_priority_group') AND tier "
    assert store.scalar(graded + "IS NOT NULL") == 0
    gaps = store.rows(
        "SELECT data_gaps FROM derived.pathway_decision WHERE pathway = 'copd' AND decision = 'assessment'"
    )
    assert len(gaps) == 14
    for (text,) in gaps:
        assert "FEV1" in text and "MRC" in text and "Hospital data not linked" in text
    assert store.rows("SELECT DISTINCT is_hospital_linked FROM core.person") == [(False,)]


@NEEDS_SAMPLE
def test_every_row_of_every_file_is_accounted_for(finished):
    """Rows without a code, by the sample's notes: 4 encounters, 79 medicines, 376 procedures, 3,960 values."""
    store, _ = finished
    rejected = dict(
        store.rows("SELECT file_name, rejected_count FROM audit.source_file WHERE rejected_count > 0 ORDER BY ALL")
    )
    assert rejected == {
        "encounters.csv.gz": 4,
        "medications.csv.gz": 79,
        "observations.csv.gz": 3_960,
        "procedures.csv.gz": 376,
    }
    received = dict(store.rows("SELECT file_name, sum(received_count)::BIGINT FROM audit.source_file GROUP BY ALL"))
    assert received["observations.csv.gz"] == 299_697
    assert received["encounters.csv.gz"] == 53_346 - 1_838 - 2_090  # inpatient and emergency ones are not carried
    left = dict(store.rows("SELECT measure, count FROM audit.step_count WHERE step = 'not carried'"))
    assert left["encounters.csv.gz: inpatient stays: they have no ICD-10 diagnosis"] == 1_838
    assert left["encounters.csv.gz: emergency attendances: no NHS number to link them by"] == 2_090


@NEEDS_SAMPLE
def test_codes_no_codelist_knows_are_listed(finished):
    store, _ = finished
    systems = dict(store.rows("SELECT code_system, sum(row_count)::BIGINT FROM audit.unmatched_code GROUP BY ALL"))
    assert systems["RXNORM"] == 42_989 - 79
    assert systems["CVX"] == 15_478
    [(late,)] = store.rows("SELECT count FROM audit.step_count WHERE measure = 'gp_observation dated after death'")
    assert late == 66  # of the 80 that the sample is known to have, more than 30 days after
    # Smoking status and FEV1/FVC have a SNOMED CT code.
    assert systems["LOINC"] == 299_697 - 3_960 - 12_552 - 285 - late
    assert systems["snomed_ct"] > 0


@NEEDS_SAMPLE
def test_the_run_is_stamped_as_a_test(finished):
    _, done = finished
    assert done.manifest["is_test"] is True
    assert done.manifest["source"] == "synthea"


@pytest.mark.parametrize(
    ("name", "tables", "people"),
    [
        pytest.param("synthea_tiny_2024", 7, 27, id="plain_files_of_2024"),
        pytest.param("synthea_nj_2025", 6, 109, id="files_of_2025_without_observations"),
    ],
)
def test_newer_versions_are_read_whole(tmp_path, name, tables, people):
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not beside the checkout")
    landing = synthea.read(folder, tmp_path)
    written = {path.stem: pl.scan_parquet(path).select(pl.len()).collect().item() for path in landing.iterdir()}
    assert len(written) == tables
    left = pl.read_csv(tmp_path / synthea.NOT_CARRIED)
    assert ("observations.csv" in left.filter(pl.col("reason") == "file not supplied")["file"]) == (tables == 6)
    assert written["patient"] == written["registration"] == people
