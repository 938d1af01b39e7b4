"""The rule book: the definitions that come with stratify hold together; each way of breaking them has its message."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path

import pytest
import yaml

from stratify import contracts, rulebook, strict_yaml
from stratify.errors import RuleError
from stratify.examples import run_examples
from stratify.own_files import with_examples
from stratify.rulebook import clinical_folder, load_rule_book


@pytest.fixture
def clinical_with_examples(tmp_path: Path) -> Path:
    """A copy of the clinical folder to break."""
    return Path(shutil.copytree(clinical_folder(), tmp_path / "clinical"))


@pytest.fixture
def clinical(clinical_with_examples: Path) -> Path:
    """The same with one small example per definition: quicker to read."""
    for path in sorted(clinical_with_examples.rglob("*.examples.yaml")):
        path.write_text("examples: [{name: nobody, expect: {tier: null}}]\n", encoding="utf-8")
    return clinical_with_examples


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def fault_of(clinical: Path) -> str:
    with pytest.raises(RuleError) as raised:
        load_rule_book(clinical)
    assert raised.value.exit_code == 5
    return str(raised.value)


def rewrite_codelist(clinical: Path, name: str, content: bytes, rows: int) -> None:
    """Replace a codelist and make its manifest entry agree with the new bytes."""
    (clinical / "codelists" / f"{name}.csv").write_bytes(content)
    manifest = clinical / "codelists" / "manifest.yaml"
    entries = yaml.load(manifest.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    for entry in entries["codelists"]:
        if entry["id"] == name:
            entry |= {"sha256": hashlib.sha256(content).hexdigest(), "rows": rows}
    manifest.write_text(yaml.dump(entries, Dumper=yaml.CSafeDumper), encoding="utf-8")


# ------------------------------------------------------------------------------------- the definitions as they come


@pytest.fixture(scope="module")
def book():
    return load_rule_book()


def test_the_definitions_that_come_with_stratify_load(book):
    assert set(book.pathways) - set(book.published) == {"heart_failure"}
    others = {"care_homes", "copd", "diabetes", "diabetes_prevention", "frailty"}
    assert set(book.published) == {*others, "high_risk_of_admission"}
    assert set(book.scores) >= {"gold_grade", "gold_abe_2023", "copd_priority_group", "efi", "hospital_frailty"}


def test_every_worked_example_holds(book):
    outcomes = run_examples(book)
    assert {each.definition for each in outcomes} == {*book.scores, *book.pathways}
    assert [(each.definition, each.name, each.differences) for each in outcomes if each.differences] == []


def test_example_names_are_used_once_per_definition(book):
    for definition, examples in book.examples.items():
        names = [each.name for each in examples]
        assert len(names) == len(set(names)), definition


def test_the_efi_has_thirty_six_deficits_each_once(book):
    items = [each.when.variable for each in book.scores["efi"].points]
    assert len(items) == len(set(items)) == 36
    assert sum(name.startswith("efi_") for name in items) == 35
    assert "medicines_count" in items


def test_flags_that_variables_read_are_flags_the_contract_knows(book):
    known = contracts.load("core.patient_flag").column("flag").valid_values
    read = {each.what for variable in book.variables.values() for each in variable.records if each.kind == "flag"}
    assert read <= set(known)
    assert {"PALLIATIVE", "CARE_HOME_NURSING", "CARE_HOME_RESIDENTIAL", "CARE_HOME_UNSPECIFIED"} <= read


def test_an_mmrc_grade_is_the_mrc_grade_one_higher(book):
    mrc = next(each for each in book.resolved_measurements() if each.id == "mrc_grade")
    assert mrc.grades["391126003"] == 5  # MRC 5
    assert mrc.grades["1099411000000103"] == 5  # mMRC 4
    assert mrc.grades["1099371000000102"] == 1  # mMRC 0
    assert mrc.offset_codes["1099361000000109"] == 1  # a value under the mMRC score
    assert mrc.offset_codes["1099411000000103"] == 1  # a value 4 beside the code of mMRC 4 agrees with it
    assert "391126003" not in mrc.offset_codes
    assert "450755002" in mrc.codes


def test_a_latest_value_says_what_to_do_when_it_is_missing(book):
    latest = [each for each in book.variables.values() if each.is_value]
    assert {each.id for each in latest} >= {"fev1_percent_predicted", "mrc_grade", "cat_score"}
    assert all(each.text_when_missing and "{value}" in each.text and "{date}" in each.text for each in latest)


def test_an_unchanged_copy_has_the_same_digest_and_a_changed_one_another(clinical_with_examples, book):
    assert load_rule_book(clinical_with_examples).digest == book.digest
    edit(clinical_with_examples / "scores" / "efi.yaml", "version: 1.0.0", "version: 1.0.1")
    assert load_rule_book(clinical_with_examples).digest != book.digest


def test_files_that_are_as_they_were_are_not_read_again_and_a_changed_one_is(clinical_with_examples, monkeypatch):
    """Of files that were written just now that cannot be told: the clock is put on to be past that."""
    monkeypatch.setattr(rulebook, "_DIGESTS", {})
    reads: list[str] = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (reads.append(path.name), read_bytes(path))[1])

    def read_of():
        reads.clear()
        return load_rule_book(clinical_with_examples).digest, "efi.yaml" in reads

    digest, _ = read_of()
    assert read_of() == (digest, True)
    monkeypatch.setattr(rulebook, "time", lambda: time.time() + 60)
    assert [read_of(), read_of()] == [(digest, True), (digest, False)]
    edit(clinical_with_examples / "scores" / "efi.yaml", "version: 1.0.0", "version: 1.0.1")
    changed, is_read = read_of()
    assert changed != digest and is_read
    edit(clinical_with_examples / "scores" / "efi.yaml", "version: 1.0.1", "version: 1.0.0")
    assert read_of()[0] == digest


def test_every_moved_edge_makes_the_example_on_it_fail(clinical_with_examples):
    """Six edges moved at once, in four scores; the examples that stand on them are the ones that fail."""
    scores = clinical_with_examples / "scores"
    group = scores / "copd_priority_group.yaml"
    edit(group, "copd_exacerbations_count, at_least: 2", "copd_exacerbations_count, at_least: 1")
    edit(group, "fev1_percent_predicted, below: 30", "fev1_percent_predicted, at_most: 30")
    edit(scores / "gold_abe_2023.yaml", "cat_score, at_least: 10", "cat_score, above: 10")
    edit(scores / "efi.yaml", "medicines_count, at_least: 5", "medicines_count, above: 5")
    edit(scores / "efi.yaml", "months_registered, below: 12", "months_registered, at_most: 12")
    edit(scores / "hospital_frailty.yaml", "age_years, at_least: 75", "age_years, above: 75")
    failed = {
        (each.definition, each.name)
        for each in run_examples(load_rule_book(clinical_with_examples))
        if each.differences
    }
    assert failed >= {
        ("copd_priority_group", "one flare-up is not two"),
        ("copd_priority_group", "FEV1 on 30"),
        ("gold_abe_2023", "CAT 10 is low impact by its own bands yet more symptoms here"),
        ("efi", "five medicines are the fifth deficit"),
        ("efi", "registered for 12 months"),
        ("hospital_frailty", "aged 75"),
        ("copd", "moderate risk, no admission"),
    }
    assert ("copd_priority_group", "FEV1 just above 30") not in failed


# --------------------------------------------------------------------------------------- each fault has its message


def test_an_unknown_key_is_named_with_its_place(clinical):
    edit(clinical / "scores" / "gold_grade.yaml", "value_of:", "when_missing: low\nvalue_of:")
    message = fault_of(clinical)
    assert "clinical/scores/gold_grade.yaml, line 12, when_missing" in message
    assert "a key the vocabulary does not have" in message


def test_text_that_is_no_yaml_is_told_with_its_line(clinical):
    edit(clinical / "scores" / "gold_grade.yaml", "value_of:", "  value_of:")
    message = fault_of(clinical)
    assert "clinical/scores/gold_grade.yaml: expected YAML" in message
    assert "near line" in message


def test_a_file_that_is_not_utf8_is_told(clinical):
    (clinical / "scores" / "gold_grade.yaml").write_bytes("label: Grade \u2013 1".encode("cp1252"))
    assert "clinical/scores/gold_grade.yaml: expected UTF-8 text" in fault_of(clinical)


def test_a_gap_between_tiers_does_not_load(clinical):
    edit(clinical / "scores" / "hospital_frailty.yaml", "at_least: 5, at_most: 15}", "at_least: 5, at_most: 14}")
    message = fault_of(clinical)
    assert "tier high and tier intermediate leave a gap or overlap" in message
    assert "{'above': 15.0}" in message


def test_an_edge_in_both_tiers_does_not_load(clinical):
    edit(clinical / "scores" / "gold_grade.yaml", "at_least: 50, below: 80", "at_least: 50, at_most: 80")
    assert "tier gold_1 and tier gold_2 leave a gap or overlap" in fault_of(clinical)


def test_tiers_that_do_not_reach_the_lowest_value_do_not_load(clinical):
    edit(
        clinical / "scores" / "hospital_frailty.yaml",
        "low, label: Low hospital frailty risk, below: 5",
        "low, label: Low hospital frailty risk, at_least: 0, below: 5",
    )
    assert "tier high and tier low must have no upper edge, the other no lower edge" in fault_of(clinical)


def test_a_tier_that_holds_no_number_does_not_load(clinical):
    edit(clinical / "scores" / "gold_grade.yaml", "at_least: 30, below: 50", "at_least: 50, below: 30")
    assert "tier gold_3 holds no number" in fault_of(clinical)


def test_a_codelist_that_matches_nothing_does_not_load(clinical):
    rewrite_codelist(clinical, "cat_score", b"code,term\n", rows=0)
    message = fault_of(clinical)
    assert "clinical/codelists/cat_score.csv: expected 0 codes, at least one; found 0" in message
    assert "finds nobody" in message


def test_a_codelist_that_lost_a_row_does_not_load(clinical):
    path = clinical / "codelists" / "cor_pulmonale.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    message = fault_of(clinical)
    assert "expected the content the manifest's sha256 names; found another content" in message
    assert "expected 2 codes, at least one; found 1" in message


def test_a_changed_codelist_needs_a_changed_manifest(clinical):
    edit(clinical / "codelists" / "cor_pulmonale.csv", "Chronic cor pulmonale", "Chronic  cor pulmonale")
    message = fault_of(clinical)
    assert "clinical/codelists/cor_pulmonale.csv: expected the content the manifest's sha256 names" in message
    assert "Bump version, rows and sha256" in message


def test_a_codelist_without_a_manifest_entry_does_not_load(clinical):
    (clinical / "codelists" / "new_list.csv").write_text("code,term\n195951007,Acute exacerbation\n")
    assert "clinical/codelists/new_list.csv: expected an entry in the manifest; found none" in fault_of(clinical)


def test_a_manifest_entry_without_a_file_does_not_load(clinical):
    (clinical / "codelists" / "cat_score.csv").unlink()
    assert "cat_score.csv: expected the codelist the manifest names; found no file" in fault_of(clinical)


def test_a_missing_manifest_is_told(clinical):
    (clinical / "codelists" / "manifest.yaml").unlink()
    assert "clinical/codelists/manifest.yaml: expected a file; found none" in fault_of(clinical)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"snomed,term\n446660005,CAT\n", "expected a UTF-8 CSV with the columns code and term"),
        ("code,term\n446660005,CAT \u2013 total\n".encode("cp1252"), "expected a UTF-8 CSV"),
        (b"code,term\n446660005,CAT\n446660005,CAT\n", "expected every code once; found a blank or repeated code"),
    ],
    ids=["other header", "not UTF-8", "repeated code"],
)
def test_a_codelist_of_another_layout_does_not_load(clinical, content, message):
    rewrite_codelist(clinical, "cat_score", content, rows=content.count(b"\n") - 1)
    assert message in fault_of(clinical)


def test_a_codelist_of_the_wrong_system_does_not_load(clinical):
    edit(
        clinical / "variables" / "copd.yaml",
        "      - emergency_admission: copd_emergency_icd10\n    take: count",
        "      - emergency_admission: copd\n    take: count",
    )
    message = fault_of(clinical)
    assert "variable copd_emergency_admissions_count: expected a codelist of icd10" in message
    assert "copd, of snomed_ct: it would find nobody" in message


def test_a_weight_needs_a_codelist_with_weights(clinical):
    edit(
        clinical / "variables" / "frailty.yaml",
        "hospital_diagnosis: hospital_frailty_weights",
        "hospital_diagnosis: copd_emergency_icd10",
    )
    assert "hospital_frailty_points: expected a codelist with weights that is defined" in fault_of(clinical)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("variables/copd.yaml", "event: copd\n", "event: copdd\n", "is_on_copd_register: expected a codelist that is"),
        (
            "variables/copd.yaml",
            "measurement: cat_score",
            "measurement: cat",
            "a measurement that is defined; found cat",
        ),
        (
            "scores/gold_grade.yaml",
            "value_of: fev1_p",
            "value_of: fev2_p",
            "found fev2_percent_predicted, which is not",
        ),
        ("pathways/copd.yaml", "tier_in: [HRC, HR]", "tier_in: [HRC, HIGH]", "a tier of copd_priority_group that is"),
        ("pathways/copd.yaml", "  - has_home_oxygen\n", "  - has_oxygen\n", "found has_oxygen, which is not"),
        ("pathways/copd.yaml", "precedence: 3", "precedence: 1", "expected a precedence of its own"),
        ("scores/efi.yaml", "id: efi\n", "id: efi_2016\n", "expected id: efi, like the file; found id: efi_2016"),
    ],
    ids=["codelist", "measurement", "variable", "tier", "shown variable", "precedence", "file name"],
)
def test_a_name_that_leads_nowhere_does_not_load(clinical, file, old, new, message):
    edit(clinical / file, old, new)
    assert message in fault_of(clinical)


def test_missing_examples_are_told(clinical):
    (clinical / "scores" / "efi.examples.yaml").unlink()
    message = fault_of(clinical)
    assert "clinical/scores/efi.examples.yaml: expected worked examples beside the definition; found no file" in message


def test_examples_without_a_definition_are_told(clinical):
    (clinical / "scores" / "efi.examples.yaml").rename(clinical / "scores" / "efi9.examples.yaml")
    assert "efi9.examples.yaml: expected the definition efi9.yaml beside it; found no file" in fault_of(clinical)


def test_scores_that_depend_on_each_other_in_a_circle_are_told_with_the_circle(clinical):
    scores = clinical / "scores"
    edit(
        scores / "gold_abe_2023.yaml",
        "    when:\n      any_of:\n        - {variable: mrc_grade, at_least: 3}",
        "    when:\n      any_of:\n        - {score: copd_priority_group, tier_in: [HR]}\n"
        "        - {variable: mrc_grade, at_least: 3}",
    )
    edit(
        scores / "copd_priority_group.yaml",
        "        - {variable: has_home_oxygen, is_true: true}",
        "        - {variable: has_home_oxygen, is_true: true}\n        - {score: gold_abe_2023, tier_in: [E]}",
    )
    message = fault_of(clinical)
    assert "scores that do not depend on themselves" in message
    assert "copd_priority_group → gold_abe_2023 → copd_priority_group" in message


def test_all_faults_are_told_at_once(clinical):
    edit(clinical / "scores" / "gold_grade.yaml", "value_of:", "when_missing: low\nvalue_of:")
    (clinical / "scores" / "efi.examples.yaml").unlink()
    edit(clinical / "pathways" / "frailty.yaml", "tier_in: [mild]", "tier_in: [little]")
    message = fault_of(clinical)
    assert message.startswith("3 faults")
    assert "when_missing" in message
    assert "efi.examples.yaml" in message
    assert "little" in message


def test_a_folder_that_is_not_there_is_told(tmp_path):
    assert "expected a folder of clinical definitions; found none" in fault_of(tmp_path / "clinical")


def test_a_key_given_twice_is_refused_wherever_people_write_yaml(tmp_path):
    """Plain YAML would keep the last one and say nothing."""
    with pytest.raises(yaml.YAMLError, match="a key given twice"):
        strict_yaml.load("national: exclude\nlocal: exclude\nnational: exempt\n")
    assert strict_yaml.load("a: {b: 1}\nc: [1, 2]\n") == {"a": {"b": 1}, "c": [1, 2]}


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(9)),
        "a: &a [*a]\n",
    ],
)
def test_a_few_lines_that_stand_for_more_than_a_machine_holds_are_refused(text):
    with pytest.raises(yaml.YAMLError) as caught:
        strict_yaml.load(text)
    assert strict_yaml.fault_in_words(caught.value).startswith("aliases that stand for more than anybody writes")


def test_an_alias_may_be_used_to_say_a_thing_once():
    assert strict_yaml.load("a: &a [1]\nb: *a\n") == {"a": [1], "b": [1]}


def test_examples_of_ones_own_are_worked_in_place_of_the_shipped_ones(tmp_path):
    file = tmp_path / "gold_grade.examples.yaml"
    values = "{is_on_copd_register: 1, fev1_percent_predicted: 85}"
    file.write_text(f"examples:\n  - {{name: mine, values: {values}, expect: {{tier: grade_9}}}}\n")
    book = with_examples(load_rule_book(), file)
    assert list(book.examples) == ["gold_grade"]
    (outcome,) = run_examples(book)
    assert outcome.name == "mine"
    assert "expected grade_9" in outcome.differences[0]


def test_an_example_file_named_after_no_definition_is_refused(tmp_path):
    file = tmp_path / "gold.examples.yaml"
    file.write_text("examples: []\n")
    with pytest.raises(RuleError, match=r"gold\.examples\.yaml: expected a file .* no score or pathway called gold"):
        with_examples(load_rule_book(), file)
