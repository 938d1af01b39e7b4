"""Bringing a codelist in: what is said before it is adopted, what adopting writes, and what a check finds."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest
import yaml

from stratify import codelists
from stratify.codelist_trial import Movement, readers
from stratify.errors import RuleError
from stratify.rulebook import load_rule_book
from whole_runs import refusal, stratify

DIABETES, TYPE_1, TYPE_2, ASTHMA = "73211009", "46635009", "44054006", "195967001"
SAYS = {
    "label": "Diabetes",
    "system": "snomed_ct",
    "version": "site 2",
    "source": "an invented list",
    "licence": "none",
    "review_by": date(2027, 1, 31),
}
OPTIONS = tuple(
    part for name, value in SAYS.items() for part in (f"--{name.replace('_', '-')}", str(value)) if name != "label"
)


def add_list(folder, name, codes, **changes):
    content = ("code,term\n" + "".join(f"{code},{term}\n" for code, term in sorted(codes.items()))).encode()
    (folder / "codelists" / f"{name}.csv").write_bytes(content)
    entry = {"id": name, "label": name, "system": "snomed_ct", "match": "exact", "version": "1", "source": "invented"}
    entry |= {"licence": "none", "status": "one_source", "rows": len(codes)}
    return entry | {"sha256": hashlib.sha256(content).hexdigest()} | changes


@pytest.fixture
def clinical(tmp_path):
    """A clinical folder with two codelists, one of which a variable reads."""
    folder = tmp_path / "clinical"
    for name in ("codelists", "variables", "scores", "pathways"):
        (folder / name).mkdir(parents=True)
    entries = [
        add_list(folder, "asthma", {ASTHMA: "Asthma"}),
        add_list(folder, "diabetes", {DIABETES: "Diabetes", TYPE_1: "Type 1"}, review_by=date(2026, 6, 30)),
    ]
    text = "# The lists of an invented site.\n" + yaml.safe_dump({"codelists": entries}, sort_keys=False)
    (folder / "codelists" / "manifest.yaml").write_text(text, encoding="utf-8")
    (folder / "variables" / "site.yaml").write_text(
        "variables:\n  - {id: has_diabetes, label: Diabetes, from: [event: diabetes], take: has, text: diabetes, "
        "source: invented}\n",
        encoding="utf-8",
    )
    return folder


@pytest.fixture
def full_list(tmp_path):
    path = tmp_path / "full.csv"
    path.write_text(f"code,term\n{DIABETES},Diabetes mellitus\n{TYPE_2},Type 2\n", encoding="utf-8")
    return path


def read(file, clinical, name="diabetes", **changes):
    return codelists.read_addition(file, load_rule_book(clinical), codelist=name, says=SAYS | changes)


def test_a_report_names_what_is_added_and_removed_and_who_reads_it_and_writes_nothing(clinical, full_list):
    before = {path: path.read_bytes() for path in clinical.rglob("*") if path.is_file()}
    done = stratify("codelists", "add", full_list, "--id", "diabetes", "--clinical", clinical, *OPTIONS)
    assert done.exit_code == 0, done.output
    assert "held: 2 codes (1); then 2: 1 added, 1 removed" in done.stdout
    assert f"added {TYPE_2}  Type 2" in done.stdout
    assert f"removed {TYPE_1}  Type 1" in done.stdout
    assert "read by variable has_diabetes" in done.stdout
    assert "look again by 31 January 2027" in done.stdout
    assert "Nothing is written: give --adopt to adopt it." in done.stdout
    assert {path: path.read_bytes() for path in clinical.rglob("*") if path.is_file()} == before


def test_adopting_writes_the_list_and_its_entry_and_leaves_every_other_line(clinical, full_list):
    manifest = clinical / "codelists" / "manifest.yaml"
    asthma = manifest.read_text(encoding="utf-8").split("- id: diabetes")[0]
    done = stratify("codelists", "add", full_list, "--id", "diabetes", "--clinical", clinical, *OPTIONS, "--adopt")
    assert done.exit_code == 0, done.output
    assert "Adopted." in done.stdout
    held = load_rule_book(clinical).codelists["diabetes"]
    assert held.codes == {DIABETES: "Diabetes mellitus", TYPE_2: "Type 2"}
    assert (held.entry.label, held.entry.version, held.entry.review_by) == ("diabetes", "site 2", date(2027, 1, 31))
    assert manifest.read_text(encoding="utf-8").startswith(asthma)


def test_a_new_list_is_put_in_its_place_in_the_alphabet(clinical, full_list):
    addition = read(full_list, clinical, "copd_of_the_site")
    codelists.adopt(addition, clinical)
    text = (clinical / "codelists" / "manifest.yaml").read_text(encoding="utf-8")
    assert [line.split(": ")[1] for line in text.splitlines() if line.startswith("- id")] == [
        "asthma",
        "copd_of_the_site",
        "diabetes",
    ]
    assert addition.held is None


def test_what_the_rule_book_refuses_is_taken_back_whole(clinical, full_list):
    """Another file of the folder was broken meanwhile: found when all is read again."""
    addition = read(full_list, clinical)
    (clinical / "variables" / "site.yaml").write_text("variables: [{id: broken}]\n", encoding="utf-8")
    before = {path: path.read_bytes() for path in clinical.rglob("*") if path.is_file()}
    with pytest.raises(RuleError):
        codelists.adopt(addition, clinical)
    assert {path: path.read_bytes() for path in clinical.rglob("*") if path.is_file()} == before


def test_other_codes_under_the_same_version_are_refused(clinical, full_list):
    with pytest.raises(RuleError, match="expected a new version for other codes; found version 1"):
        read(full_list, clinical, version="1")


def test_a_list_says_what_it_is_from_where_on_which_terms_and_until_when(clinical, full_list):
    done = stratify("codelists", "add", full_list, "--id", "new_list", "--clinical", clinical)
    message = refusal(done, 5)
    assert "found no --label, --system, --version, --source, --licence, --review-by" in message


def test_codes_that_a_spreadsheet_rounded_are_refused_by_line_and_never_shown(clinical, tmp_path):
    path = tmp_path / "rounded.csv"
    path.write_text(f"code,term\n{DIABETES},x\n1777541000006100,y\n1.37E+15,z\n", encoding="utf-8")
    with pytest.raises(RuleError, match="found 2 of 3 that are none, first lines 3, 4") as raised:
        read(path, clinical)
    assert "1777541000006100" not in str(raised.value)


def test_a_code_without_a_term_gets_the_one_of_another_list_or_is_refused(clinical, tmp_path):
    path = tmp_path / "refset.txt"
    head = "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\n"
    path.write_text(head + f"m1\t20260101\t1\t1\t9\t{ASTHMA}\n", encoding="utf-8")
    assert read(path, clinical).codelist.codes == {ASTHMA: "Asthma"}
    path.write_text(head + f"m1\t20260101\t1\t1\t9\t{TYPE_2}\n", encoding="utf-8")
    with pytest.raises(RuleError, match="found 1 without one, first lines 2"):
        read(path, clinical)


def test_descendants_ask_for_a_release(clinical, full_list):
    done = stratify(
        "codelists", "add", full_list, "--id", "diabetes", "--clinical", clinical, *OPTIONS, "--descendants"
    )
    assert "expected a SNOMED CT list and --release; found no release" in refusal(done, 5)


def test_adopting_needs_a_folder_of_the_site(full_list):
    done = stratify("codelists", "add", full_list, "--id", "diabetes", *OPTIONS, "--adopt")
    assert "--adopt: expected a site's clinical folder; found none" in refusal(done, 2)


def test_movements_hide_few_and_round_the_rest():
    assert Movement("variable x", 0, 7).in_words == "variable x: nobody joins, fewer than 8 leave"
    assert Movement("score x, high", 8, 12).in_words == "score x, high: about 10 join, about 10 leave"
    assert (
        Movement("score x, same tier", 0, 0, 1_003).in_words
        == "score x, same tier: about 1,005 stay with another value"
    )


def test_a_measurement_of_the_same_name_reads_no_list_by_that_name():
    """``egfr`` is a measurement and a codelist: a variable that takes the latest egfr reads the list through it."""
    book = load_rule_book()
    assert readers(book, "fev1_percent_predicted").measurements == ("fev1_percent_predicted",)
    assert "fev1_percent_predicted" in readers(book, "fev1_percent_predicted").variables
    assert "copd" in readers(book, "copd").pathways
    assert readers(book, "charlson_dementia").variables == ("charlson_dementia",)
    assert not readers(book, "no_such_list").is_anybody


# -------------------------------------------------------------------------------------------------------- checking


def test_the_lists_that_come_with_stratify_are_well_formed_and_none_is_late_in_the_year_they_were_taken():
    book = load_rule_book()
    found = codelists.check(book, as_of=date(2026, 11, 27))
    assert {each.kind for each in found} == {"overlapping"}
    assert all(each.entry.review_by for each in book.codelists.values())


def test_a_check_finds_malformed_and_late_lists_and_fails_on_the_malformed(clinical):
    entry = add_list(clinical, "bad", {"73211008": "Another check digit", TYPE_1: "Type 1"})
    manifest = clinical / "codelists" / "manifest.yaml"
    whole = manifest.read_text(encoding="utf-8") + yaml.safe_dump([entry], sort_keys=False)
    manifest.write_text(whole, encoding="utf-8")
    done = stratify("codelists", "check", "--clinical", clinical, "--as-of", "2026-07-01")
    assert done.exit_code == 5
    assert "malformed    bad: 1 of 2 codes are none: 73211008" in done.stdout
    assert "stale        diabetes: was to be looked at by 30 June 2026" in done.stdout
    on_the_day = codelists.check(load_rule_book(clinical), as_of=date(2026, 6, 30))
    assert [each.kind for each in on_the_day] == ["malformed"]


def test_a_check_without_a_fault_ends_well_and_says_what_it_did_not_look_for(clinical):
    done = stratify("codelists", "check", "--clinical", clinical, "--as-of", "2026-01-01")
    assert done.exit_code == 0, done.output
    assert done.stdout == (
        "2 codelists: 0 malformed, inactive not looked for (--release), 0 overlapping, "
        "unmatched not looked for (--on), 0 stale\n"
    )


def test_lists_with_the_same_codes_and_prefixes_within_one_another_are_found(clinical):
    more = [
        add_list(clinical, "twin", {ASTHMA: "Asthma"}),
        add_list(clinical, "wide", {"I25": "Ischaemic", "I252": "Old"}, system="icd10", match="prefix"),
    ]
    manifest = clinical / "codelists" / "manifest.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8") + yaml.safe_dump(more, sort_keys=False), encoding="utf-8")
    found = codelists.check(load_rule_book(clinical), as_of=date(2026, 1, 1))
    assert [(each.kind, each.codelist, each.words) for each in found] == [
        ("overlapping", "twin", "the same codes as asthma"),
        ("overlapping", "wide", "1 codes lie within a shorter one: I252"),
    ]


def test_lists_that_matched_nothing_are_told_with_whether_anything_reads_them(clinical):
    found = codelists.check(load_rule_book(clinical), as_of=date(2026, 1, 1), matched=[])
    assert [each.words for each in found] == [
        "no record of the run has one of its codes (no definition reads it)",
        "no record of the run has one of its codes",
    ]


def test_inactive_codes_of_a_release_are_told(clinical, tmp_path):
    folder = tmp_path / "release"
    folder.mkdir()
    head = "id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\n"
    rows = f"{DIABETES}\t20260101\t1\t1\t1\n{TYPE_1}\t20260101\t0\t1\t1\n"
    (folder / "sct2_Concept_Snapshot_GB_20260101.txt").write_text(head + rows, encoding="utf-8")
    found = codelists.check(load_rule_book(clinical), as_of=date(2026, 1, 1), release=folder)
    assert [(each.codelist, each.words) for each in found] == [
        ("asthma", f"1 codes the release does not know: {ASTHMA}"),
        ("diabetes", f"1 codes, kept for old records: {TYPE_1}"),
    ]
