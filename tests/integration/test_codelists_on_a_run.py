"""A codelist tried on a finished run: who joins and leaves, in counts; and what the run's records never matched."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from stratify import codelist_trial, codelists
from stratify.rulebook import load_rule_book
from whole_runs import KEY, counted_plainly, extract_set, settings_file, stratify

pytestmark = pytest.mark.slow  # a run of its own

COPD = "13645005"
EMPHYSEMA = "87433001"
"""Both in the COPD list that comes with stratify."""

ASTHMA = "195967001"
"""Not in it."""

SAYS = ("--version", "site 1", "--source", "an invented list", "--licence", "none", "--review-by", "2027-01-31")

ENTRY = {
    "label": "Asthma of the site",
    "system": "snomed_ct",
    "version": "site 1",
    "source": "an invented list",
    "licence": "none",
    "review_by": date(2027, 1, 31),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Sixty people: 1 to 20 with COPD, 21 to 23 with emphysema, 24 to 35 with asthma; the others with nothing."""
    folder = tmp_path_factory.mktemp("run")
    coded = {n: COPD if n <= 20 else EMPHYSEMA if n <= 23 else ASTHMA for n in range(1, 36)}
    people = [extract_set.patient(f"p{n}", nhs_number=extract_set.nhs(n)) for n in range(1, 61)]
    extracts = extract_set.write_set(
        folder / "extracts",
        patient=people,
        registration=[extract_set.registration(f"p{n}") for n in range(1, 61)],
        gp_event=[extract_set.event(f"e{n}", source_patient_id=f"p{n}", snomed_code=code) for n, code in coded.items()],
        opt_out=[extract_set.opt_out("NDO", "false", nhs_number=extract_set.nhs(n)) for n in range(1, 61)],
    )
    settings = settings_file(folder, extracts, folder / "out", index_date="2026-01-05")
    with counted_plainly():
        done = stratify("run", "--settings", settings, STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0, done.output
    return folder / "out"


def _listed(folder, *codes):
    path = folder / "list.csv"
    path.write_text("code,term\n" + "".join(f"{code},invented term\n" for code in codes), encoding="utf-8")
    return path


def test_people_who_join_and_leave_are_counted_and_few_are_not_told(run, tmp_path):
    """COPD and asthma for COPD and emphysema: 12 join, told to the nearest 5; 3 leave, which is not told."""
    before = sorted(path.name for path in run.resolve().rglob("*"))
    done = stratify("codelists", "add", _listed(tmp_path, COPD, ASTHMA), "--id", "copd", *SAYS, "--on", run)
    assert done.exit_code == 0, done.output
    assert "On the run of 5 January 2026, of invented people:" in done.stdout
    assert "2 of the list's 2 codes match codes of the records" in done.stdout
    assert "variable is_on_copd_register: about 10 join, fewer than 8 leave" in done.stdout
    assert "pathway copd, assessment: about 10 join, fewer than 8 leave" in done.stdout
    assert "Nothing is written" in done.stdout
    assert sorted(path.name for path in run.resolve().rglob("*")) == before
    assert "999" not in done.output
    assert "CANARYNAME" not in done.output


def test_a_list_that_nothing_reads_is_matched_and_moves_nobody(run, tmp_path):
    more = ("--label", "Asthma of the site", "--system", "snomed_ct")
    done = stratify("codelists", "add", _listed(tmp_path, ASTHMA), "--id", "site_asthma", *SAYS, *more, "--on", run)
    assert "read by no definition" in done.stdout
    assert "1 of the list's 1 codes match codes of the records" in done.stdout
    assert "nobody joins or leaves anything" in done.stdout


def test_lists_that_no_record_of_the_run_matched_are_named(run):
    done = stratify("codelists", "check", "--on", run, "--as-of", "2026-11-27")
    unmatched = {line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line.startswith("unmatched")}
    assert "housebound" in unmatched
    assert not unmatched & {"copd", "asthma"}
    assert "unmatched    housebound: no record of the run has one of its codes" in done.stdout


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    done = stratify("codelists", "check", "--on", tmp_path)
    assert done.exit_code == 8
    assert "expected a finished run; found none. Run first, or correct the name." in done.stderr


def test_the_same_list_moves_nobody_even_when_all_is_reckoned_twice(run):
    """Under another digest the run's own results are not what it is compared with."""
    book = dataclasses.replace(load_rule_book(), digest="another")
    trial = codelist_trial.compare(run, book, book.codelists["copd"])
    assert trial.movements == ()
    assert trial.codes_matched == 2
    assert not trial.are_rules_of_run


def test_definitions_that_are_not_those_of_the_run_are_owned_up_to(run, tmp_path):
    read = codelists.read_addition(
        _listed(tmp_path, ASTHMA), load_rule_book(), codelist="site_asthma", says=dict(ENTRY)
    )
    trial = codelist_trial.Trial(date(2026, 1, 5), False, False, 1, ())
    said = codelists.addition_in_words(read, load_rule_book(), trial, is_adopted=False)
    assert (
        "On the run of 5 January 2026:\n  reckoned with the definitions of today, which are not those of the run"
        in said
    )
