"""Published data sets that nobody here wrote, from their files to landing tables, every row accounted for."""

import gzip
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from stratify import ingest, privacy
from stratify.rulebook import load_rule_book
from stratify.store import open_store
from whole_runs import KEY, counted_plainly, extract_set, refusal, stratify

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def landed(source_name, folder, tmp_path, index_date):
    """Land a folder; give files by table and name with what was received and rejected, rules, and the rest."""
    with built(source_name, folder, tmp_path, index_date, stop_at_landing=True) as (_, counts, rules):
        return counts, rules, (tmp_path / "prepared" / "not_carried.csv").read_text().splitlines()


@contextmanager
def built(source_name, folder, tmp_path, index_date, *, stop_at_landing=False):
    """The store with the core tables of a folder; what was received and rejected by table and file; rules."""
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not beside the checkout")
    source = ingest.SOURCES[source_name]
    files = ingest.gather_files(folder, source, tmp_path / "prepared", known_by=index_date)
    key = privacy.THROWAWAY_KEY if source.is_synthetic else KEY.encode()
    with open_store(tmp_path / "run.duckdb", temp_directory=tmp_path / "tmp") as store:
        for name in ("landing", "identity"):
            store.attach(tmp_path / f"{name}.duckdb", name)
        accounts = ingest.land(store, files, source=source, index_date=index_date, key=key)
        assert all(each.received_count == each.loaded_count + each.rejected_count for each in accounts)
        rules = dict(store.rows("SELECT rule_id, count(*) FROM audit.rejected_row GROUP BY ALL"))
        if not stop_at_landing:
            ingest.build_core(
                store, index_date=index_date, key=key, measurements=[], privacy_policy=extract_set.DIRECT_CARE,
                source=source,
            )  # fmt: skip
        counts = {
            (each.table, each.file_name): (each.received_count, each.rejected_count)
            for each in accounts
            if not each.file_name.startswith("(stand-in")
        }
        yield store, counts, rules


def test_artificial_hes_is_read_whole_and_linked_to_nobody(tmp_path):
    """Its notes: 1,588 APC, 779 OP and 751 A&E rows; a pseudonym and no NHS number, so every row is set aside."""
    counts, rules, _ = landed("hes", SHARED / "hes_artificial", tmp_path, date(2026, 1, 1))
    assert counts == {
        ("apc_episode", "hes_apc_0102.csv.gz"): (1_588, 1_588),
        ("op_attendance", "hes_op_0304.csv.gz"): (779, 779),
        ("ed_attendance", "hes_ae_0708.csv.gz"): (751, 751),
    }
    assert (rules["APC-86-nhs-number"], rules["OPA-86-nhs-number"], rules["EDA-86-nhs-number"]) == (1_588, 779, 751)
    # X-filled and dotless ICD-10 are read: of the first diagnoses one is no code.
    assert rules["APC-18-pattern"] == 1
    assert not any(rule.startswith("APC-05") for rule in rules)  # a spell is made of person and day of admission
    assert rules["APC-07-sentinel"] == 1  # 1801-01-01


def test_opensafely_dummy_codes_were_damaged_and_it_is_said(tmp_path):
    """By its notes 43 % of 88,468 dm+d rows and 3 % of 21,332 SNOMED CT rows fail the check digit."""
    folder = SHARED / "opensafely_dummy_2025"
    with built("opensafely", folder, tmp_path, date(2026, 1, 1), stop_at_landing=True) as (store, counts, rules):
        damaged = ingest.count_damaged_codes(store)
    left = (tmp_path / "prepared" / "not_carried.csv").read_text().splitlines()
    assert counts["gp_medication", "medications.csv.gz"][0] == 88_468
    assert counts["gp_observation", "clinical_events.csv.gz"][0] == 21_332
    assert counts["patient", "patients.csv.gz"] == (1_000, 0)
    assert counts["registration", "practice_registrations.csv.gz"] == (1_287, 0)
    assert round(100 * rules["GPM-05-verhoeff"] / 88_468) == 43
    assert round(100 * rules["GPO-04-verhoeff"] / 21_332) == 3
    assert rules["PAT-24-future"] == 46  # deaths after 2025, by its notes
    said = dict(damaged)
    issues = next(words for words in said if words.startswith("medications.csv.gz: "))
    assert "43 % of 88,468 rows have a dm+d code that fails its check digit" in issues
    assert said[issues] == rules["GPM-05-verhoeff"]
    assert any(line.startswith("apcs.csv.gz,") and line.endswith(",2") for line in left)


@pytest.mark.slow
def test_a_check_of_opensafely_dummy_is_stopped_and_says_why_in_plain_words():
    """A feed nearly half of whose medicines have no code that can be trusted is no feed to make lists of."""
    if not (SHARED / "opensafely_dummy_2025").is_dir():
        pytest.skip("opensafely_dummy_2025 is not beside the checkout")
    with counted_plainly():
        done = stratify(
            "check", "--source", "opensafely", "--extracts", SHARED / "opensafely_dummy_2025",
            "--index-date", "2026-01-01",
        )  # fmt: skip
    said = refusal(done, 4)
    assert "GPM-91-rejected" in said
    assert "medications.csv.gz: 43 % of 88,468 rows have a dm+d code that fails its check digit" in said


def test_omop_has_every_row_carried_or_counted(tmp_path):
    """Its notes: 28 people, 10,040 measurements, 2,294 concepts."""
    counts, _, left = landed("omop", SHARED / "synthea_nj_omop", tmp_path, date(2023, 1, 1))
    assert {table: rejected for (table, _), (_, rejected) in counts.items() if rejected} == {}
    received = {name: count for (_, name), (count, _) in counts.items()}
    assert received["person.csv.gz"] == 28 and received["measurement.csv.gz"] == 10_040
    assert "concept.csv.gz,looked up from rows of other files,2294" in left
    stays = next(line for line in left if line.startswith("visit_occurrence.csv.gz"))
    with_visits = received["visit_occurrence.csv.gz"] + int(stays.rsplit(",", 1)[1])
    with gzip.open(SHARED / "synthea_nj_omop" / "visit_occurrence.csv.gz", "rt") as lines:
        assert with_visits == sum(1 for _ in lines) - 1


def test_an_omop_run_ends_with_lists(tmp_path):
    folder = SHARED / "synthea_nj_omop"
    if not folder.is_dir():
        pytest.skip("synthea_nj_omop is not beside the checkout")
    with counted_plainly():
        done = stratify(
            "run", "--source", "omop", "--extracts", folder, "--out", tmp_path / "out", "--index-date", "2022-10-10",
            STRATIFY_OTHER_SCORES="false",
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "28 people" in done.stdout


def test_mimic_diagnoses_keep_their_codes_and_are_counted_by_code_system(tmp_path):
    """Its notes: 100 people; 2,313 diagnoses in ICD-10-CM and 2,193 in ICD-9-CM, which no codelist knows."""
    folder = SHARED / "mimic_iv_demo" / "hosp"
    with built("mimic", folder, tmp_path, date(2210, 1, 1)) as (store, counts, rules):  # its dates lie in the future
        assert counts["patient", "patients.csv.gz"] == (100, 0)
        assert counts["gp_event", "diagnoses_icd.csv.gz"] == (2_313 + 2_193, 0)
        assert rules == {"PAT-86-nhs-number": 100}  # a rule of the value: each stays in under a key of its own
        ingest.match_codes(store, list(load_rule_book().codelists.values()))
        unmatched = store.rows(
            "SELECT code_system, sum(row_count)::INT, count(*) FROM audit.unmatched_code WHERE table_name = "
            "'core.gp_event' GROUP BY ALL ORDER BY ALL"
        )
        assert [(system, rows) for system, rows, _ in unmatched] == [("ICD-10-CM", 2_313), ("ICD-9-CM", 2_193)]
        # J441 is one of both ICD-10s; J45909 has more places than the WHO's has, and is kept as it is
        kept = "SELECT original_code FROM core.gp_event WHERE original_code IN ('J441', 'J45909') GROUP BY ALL"
        assert sorted(code for (code,) in store.rows(kept)) == ["J441", "J45909"]
        assert store.scalar("SELECT count(*) FROM core.person WHERE practice_code IS NOT NULL") == 0


@pytest.mark.parametrize(
    ("folder", "people"),
    [
        pytest.param("synthea_sample_2020", 1_171, id="2020", marks=pytest.mark.slow),
        pytest.param("synthea_nj_2025", 109, id="2025"),
        pytest.param("synthea_tiny_2024", 27, id="2024"),
    ],
)
def test_each_synthea_set_has_every_row_carried_or_counted(tmp_path, folder, people):
    """Its notes say how many people each has; every file's lines are those received and those left behind."""
    counts, _, left = landed("synthea", SHARED / folder, tmp_path, date(2026, 1, 1))
    by_file: dict[str, int] = {}
    for (table, name), (received, _) in counts.items():
        if table in ("patient", "gp_event", "gp_observation", "gp_medication"):
            by_file[name] = by_file.get(name, 0) + received
    assert next(count for (table, _), (count, _) in counts.items() if table == "patient") == people
    for line in left[1:]:
        name, _, count = (line.split(",", 1)[0], "", line.rsplit(",", 1)[1])
        by_file[name] = by_file.get(name, 0) + int(count)
    for path in sorted((SHARED / folder).glob("conditions.csv*")):
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            assert by_file[path.name] == sum(1 for _ in lines) - 1


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        pytest.param("mimic_iv_demo/hosp", "mimic", id="mimic"),
        pytest.param("hes_artificial", "hes", id="hes"),
        pytest.param("opensafely_dummy_2025", "opensafely", id="opensafely"),
        pytest.param("synthea_nj_omop", "omop", id="omop"),
        pytest.param("synthea_sample_2020", "synthea", id="synthea_2020"),
        pytest.param("synthea_nj_2025", "synthea", id="synthea_2025"),
        pytest.param("synthea_tiny_2024", "synthea", id="synthea_2024"),
    ],
)
def test_source_check_tells_published_sets_apart(folder, source):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"{folder} is not beside the checkout")
    done = stratify("source", "check", SHARED / folder)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"This folder looks like source {source}: ")
