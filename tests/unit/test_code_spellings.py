"""ICD-10 codes in other spellings (C3): put right, used, and counted for the quality page and the supplier."""

from datetime import date

import pytest
from extract_set import COUNTY, built, episode, opened, patient, write_set

from stratify import contracts, ingest, publish, quality
from stratify.publish import Delivery
from stratify.quality.results import RuleResult

INVENTED = Delivery(None, date(2026, 1, 5), "canonical", "Invented Board", "Ring", is_test=False)
SPELLINGS = ("j440", "J44.0", "J44 0", " J440", "J440*", "J440†", "I10X", "I10-", "i10xx")


def counted(folder, **tables):
    files = ingest.inspect_files(write_set(folder / "extracts", **tables), COUNTY)
    with opened(folder) as store:
        return ingest.count_respelled(store, files)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_another_spelling_is_counted_and_means_the_same(tmp_path, spelling):
    rows = [episode("c1", diag_02=spelling), episode("c2", spell_id="s2")]
    assert counted(tmp_path / "files", apc_episode=rows) == {"apc_episode": (2, 1)}
    with built(tmp_path / "core", apc_episode=rows) as store:
        expected = "J440" if "44" in spelling else "I10"
        found = store.rows("SELECT icd10_code FROM core.apc_diagnosis WHERE position = 2")
        assert found == [(expected,)]


@pytest.mark.parametrize("code", ["J440", "I10", "C349", "M8005", "S7200", "T840", "U071", ""])
def test_a_code_as_it_is_printed_and_an_empty_place_are_not_counted(tmp_path, code):
    assert counted(tmp_path, apc_episode=[episode(diag_02=code)]) == {"apc_episode": (1, 0)}


def test_a_row_with_several_counts_once_and_files_of_a_table_together(tmp_path):
    rows = [episode("c1", diag_01="j440", diag_02="I10X"), episode("c2", spell_id="s2", diag_01="J44.0")]
    deaths = [{"nhs_number": patient()["nhs_number"], "date_of_death": "2025-12-01", "source": "ONS"}]
    deaths[0]["cause_underlying"] = "C34.9"
    assert counted(tmp_path, apc_episode=rows, death=deaths) == {"apc_episode": (2, 2), "death": (1, 1)}


def test_the_supplier_is_told_how_many_rows_and_that_they_were_used(tmp_path):
    result = RuleResult(
        "landing.apc_episode",
        "FIT-06-spelling",
        None,
        "warning",
        40,
        10,
        "warn",
        "An ICD-10 code is written otherwise.",
    )
    with opened(tmp_path) as store:
        store.define(contracts.load("audit.source_file"))
        store.define(contracts.load("audit.rejected_row"))
        store.create("audit.quality_result", quality.results_frame([result]))
        (line,) = publish.report_of_rows(INVENTED, store).rules
    assert (line.rule_id, line.severity, line.effect) == ("FIT-06-spelling", "warning", "used, and to be looked at")
    assert (line.row_count, line.of_count, line.share) == (10, 40, "25.0 %")
    assert quality.results_from(quality.results_frame([result])) == [result]


@pytest.mark.parametrize(
    ("given", "family", "is_test", "is_told"),
    [
        ("Mickey", "Mouse", "", True),
        ("MICKEY", "MOUSE", "false", True),
        ("Anne", "Zztest", "", True),
        ("Mickey", "Mouse", "true", False),  # marked as a test: left out anyway
        ("Anne", "Mouse", "", False),
        ("Joe", "Test", "", False),
    ],
)
def test_a_name_that_test_records_have_is_a_warning_and_leaves_nobody_out(tmp_path, given, family, is_test, is_told):
    """I7: only the mark of the practice leaves a record out; a name may be somebody's own."""
    contract = contracts.load("landing.patient")
    named = patient(given_names=given, family_name=family, is_test_patient=is_test)
    with built(tmp_path, patient=[named]) as store:
        results = quality.check_tables(
            store, [contract], stage="landing", rejected_percent={contract.name: 0.0}, data_cutoff=INVENTED.index_date
        )
        (result,) = [each for each in results if each.rule_id == "PAT-82-test_name"]
        assert (result.failed_count, result.verdict) == ((1, "warn") if is_told else (0, "pass"))
        assert store.rows("SELECT person_status = 'test_patient' FROM core.person") == [(is_test == "true",)]
