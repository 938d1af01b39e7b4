"""A slip of the pen anywhere in a definition is refused with its file, its line and how to mend it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from stratify.errors import RuleError, single_faults
from stratify.examples import missing_examples
from stratify.rulebook import clinical_folder, load_rule_book

GROUP, GRADE, KFRE = "scores/copd_priority_group.yaml", "scores/gold_grade.yaml", "scores/kfre_uk_5_year.yaml"
HFRS, DOSE, COPD = "scores/hospital_frailty.yaml", "scores/dose.yaml", "pathways/copd.yaml"
EXAMPLES, VARIABLES = "scores/gold_grade.examples.yaml", "variables/copd.yaml"
MEASURED, MANIFEST = "variables/measurements.yaml", "codelists/manifest.yaml"

TYPOS: dict[str, tuple[str, str, str, str, str]] = {
    # name: file, what stands there, what is written instead, what is found, how to mend it
    "unknown_variable_in_a_condition": (
        GROUP, "{variable: has_home_oxygen,", "{variable: has_home_oxigen,", "has_home_oxigen, which is not",
        "Did you mean has_home_oxygen?",
    ),
    "unknown_variable_as_the_value": (
        GRADE, "value_of: fev1_percent_predicted", "value_of: fev1_percent_predict",
        "fev1_percent_predict, which is not", "Did you mean fev1_percent_predicted?",
    ),
    "unknown_variable_with_a_coefficient": (
        KFRE, "{variable: is_male,", "{variable: is_mael,", "is_mael, which is not", "Did you mean is_male?",
    ),
    "unknown_variable_of_bands": (
        DOSE, "variable: mrc_grade\n", "variable: mrc_grad\n", "mrc_grad, which is not", "Did you mean mrc_grade?",
    ),
    "unknown_variable_in_an_example": (
        EXAMPLES, "fev1_percent_predicted: 29.9", "fev1_percent: 29.9", "fev1_percent, which is not",
        "Did you mean fev1_percent_predicted?",
    ),
    "unknown_answer_in_an_example": (
        EXAMPLES, "{tier: gold_4, possible_tiers: gold_4, value: 29.9",
        "{teir: gold_4, possible_tiers: gold_4, value: 29.9", "teir", "Did you mean tier?",
    ),
    "unknown_reason_in_an_example": (
        EXAMPLES, "fev1_percent_predicted: stale}", "fev1_percent_predicted: stail}", "stail", "Did you mean stale?",
    ),
    "unknown_variable_shown": (
        COPD, "  - has_home_oxygen\n", "  - has_oxygen_home\n", "has_oxygen_home, which is not",
        "Did you mean has_home_oxygen?",
    ),
    "unknown_score": (
        COPD, "tier_from: copd_priority_group", "tier_from: copd_priority_groups",
        "copd_priority_groups, which is not", "Did you mean copd_priority_group?",
    ),
    "unknown_tier": (COPD, "tier_in: [HRC, HR]", "tier_in: [HRC, HRR]", "HRR, which is not", "Did you mean HR?"),
    "unknown_clinic": (
        COPD, "clinic: care_home_round", "clinic: care_home_rounds", "names the clinic care_home_rounds",
        "Correct the definition",
    ),
    "unknown_codelist": (
        VARIABLES, "ended_by: copd_resolved", "ended_by: copd_resolve", "copd_resolve, which is not",
        "Did you mean copd_resolved?",
    ),
    "unknown_measurement": (
        VARIABLES, "measurement: cat_score", "measurement: cat_scor", "cat_scor, which is not",
        "Did you mean cat_score?",
    ),
    "codelist_of_another_system": (
        VARIABLES, "ended_by: copd_resolved", "ended_by: copd_emergency_icd10", "of icd10: it would find nobody",
        "Name the right codelist",
    ),
    "unknown_unit_of_a_variable": (
        VARIABLES, 'unit: "%"\n    text: "FEV1 {value}', 'unit: "%%"\n    text: "FEV1 {value}', "%%",
        "Write unit: %",
    ),
    "unknown_unit_of_a_codelist": (
        MEASURED, "hba1c_dcct: \"%\"", "hba1c_dcct: percentage", "percentage is none of its units",
        "Correct the definition",
    ),
    "unknown_code_system": (MANIFEST, "  system: icd10\n", "  system: icd_10\n", "icd_10", "Did you mean icd10?"),
    "unknown_way_of_matching": (
        MANIFEST, "  match: category\n", "  match: categorie\n", "categorie", "Did you mean category?",
    ),
    "unknown_key_of_a_score": (
        GRADE, "licence:", "license:", "a key the vocabulary does not have", "Did you mean licence?",
    ),
    "unknown_key_of_a_condition": (
        GROUP, "fev1_percent_predicted, below: 30", "fev1_percent_predicted, bellow: 30",
        "a key the vocabulary does not have", "Did you mean below?",
    ),
    "unknown_key_of_a_tier": (
        GRADE, "tier: gold_4, label:", "tier: gold_4, lable:", "a key the vocabulary does not have",
        "Did you mean label?",
    ),
    "unknown_key_of_a_variable": (
        VARIABLES, "take: episodes\n", "takes: episodes\n", "a key the vocabulary does not have",
        "Did you mean take?",
    ),
    "unknown_key_of_an_example": (
        EXAMPLES, "{name: just below 30,", "{nam: just below 30,", "a key the vocabulary does not have",
        "Did you mean name?",
    ),
    "unknown_key_of_a_route": (
        COPD, "    reason: Lives in a care home", "    reson: Lives in a care home",
        "a key the vocabulary does not have", "Did you mean reason?",
    ),
    "unknown_way_of_taking": (VARIABLES, "take: episodes\n", "take: episode\n", "episode", "Did you mean episodes?"),
    "unknown_status": (GRADE, "status: two_sources", "status: two_source", "two_source", "Did you mean two_sources?"),
    "a_key_left_out": (GRADE, "licence: Thresholds are facts\n", "", "none", "Add licence"),
    "tiers_with_a_gap": (
        HFRS, "at_least: 5, at_most: 15}", "at_least: 5, at_most: 14}",
        "tier high and tier intermediate leave a gap or overlap", "Correct the definition",
    ),
    "tiers_that_overlap": (
        GRADE, "label: GOLD 1 (mild), at_least: 80", "label: GOLD 1 (mild), at_least: 79",
        "tier gold_1 and tier gold_2 leave a gap or overlap", "Correct the definition",
    ),
    "tiers_turned_round": (
        GRADE, "at_least: 30, below: 50", "at_least: 50, below: 30", "tier gold_3 holds no number",
        "Correct the definition",
    ),
    "bands_with_a_gap": (
        DOSE, "{at_least: 3, below: 4, points: 1}", "{at_least: 3, below: 3.5, points: 1}",
        "band of 2 and band of 1 leave a gap or overlap", "Correct the definition",
    ),
    "a_tier_named_twice": (GROUP, "tier: MR", "tier: HR", "a tier is named twice", "Correct the definition"),
    "a_missing_coefficient": (
        KFRE, ", times: 0.2467}", "}", "a variable has bands or a coefficient (times)", "Correct the definition",
    ),
    "a_coefficient_that_is_no_number": (
        KFRE, "times: 0.2467}", "times: 0.2467.}", "0.2467.", "Correct the definition",
    ),
    "an_edge_that_is_no_number": (
        GROUP, "fev1_percent_predicted, below: 30", "fev1_percent_predicted, below: 3O", "3O",
        "Correct the definition",
    ),
    "two_precedences_alike": (
        "pathways/frailty.yaml", "precedence: 2", "precedence: 3", "that of copd", "Give each pathway its own",
    ),
    "a_text_without_its_end": (GRADE, "label: GOLD grade", 'label: "GOLD grade', "near line", "Correct the line"),
}  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """The clinical folder with the few scores of this file."""
    folder = tmp_path_factory.mktemp("typos") / "clinical"
    shutil.copytree(clinical_folder(), folder)
    kept = {Path(each).stem.removesuffix(".examples") for each in (GROUP, GRADE, KFRE, HFRS, DOSE, COPD)}
    for path in (*folder.glob("scores/*.yaml"), *folder.glob("pathways/*.yaml")):
        name = path.stem.removesuffix(".examples")
        if name not in {*kept, "frailty", "efi"}:
            path.unlink()
        elif path.stem.endswith(".examples") and f"scores/{path.name}" != EXAMPLES:
            path.write_text("examples: [{name: nobody, expect: {tier: null}}]\n")
    return folder


@pytest.mark.parametrize("name", TYPOS)
def test_a_typo_is_refused_with_file_line_and_repair(small, name, monkeypatch):
    file, right, wrong, found, repair = TYPOS[name]
    if file != MANIFEST:
        shipped = load_rule_book().codelists
        monkeypatch.setattr("stratify.rulebook.read_codelists", lambda folder, faults: shipped)  # a second each
    path = small / file
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    try:
        with pytest.raises(RuleError) as refused:
            load_rule_book(small)
    finally:
        path.write_text(text, encoding="utf-8")
    begins = text.index(right) + (1 if right.startswith("\n") else 0)
    line = 1 if not wrong else text.count("\n", 0, begins) + 1
    mine = [each for each in single_faults(refused.value) if found in each.found]
    assert mine, refused.value
    assert mine[0].where.startswith(f"clinical/{file}"), mine[0]
    if "near line" not in found:
        assert mine[0].where.startswith(f"clinical/{file}, line {line},") or mine[0].where == f"clinical/{file}, line 1"
    assert repair in mine[0].action, mine[0]


@pytest.mark.parametrize(("right", "found", "repair"), [
    ("fev1_percent_predicted: 30}", "none with fev1_percent_predicted: 30", "fev1_percent_predicted: 30"),
    ("fev1_percent_predicted: 80}", "none with fev1_percent_predicted: 80", "fev1_percent_predicted: 80"),
])  # fmt: skip
def test_an_edge_without_an_example_is_told_with_the_line_of_the_edge(right, found, repair):
    shipped = load_rule_book()
    assert missing_examples(shipped, clinical_folder()) == []
    text = (clinical_folder() / GRADE).read_text(encoding="utf-8")
    wanted = float(right.split(": ")[1].rstrip("}"))
    kept = tuple(each for each in shipped.examples["gold_grade"] if each.values.get("fev1_percent_predicted") != wanted)
    small = shipped.cut_down_to("gold_grade")
    (fault,) = missing_examples(dataclasses.replace(small, examples={"gold_grade": kept}), clinical_folder())
    line = next(number for number, each in enumerate(text.splitlines(), 1) if f": {wanted:g}" in each)
    assert fault.where == f"clinical/{GRADE}, line {line}"
    assert fault.found == found
    assert repair in fault.action


def test_a_tier_without_an_example_is_told(small):
    shipped = load_rule_book()
    kept = tuple(each for each in shipped.examples["gold_grade"] if each.expect.get("tier") != "gold_1")
    faults = missing_examples(
        dataclasses.replace(shipped.cut_down_to("gold_grade"), examples={"gold_grade": kept}), clinical_folder()
    )
    assert [each.found for each in faults][-1] == "none with gold_1"
