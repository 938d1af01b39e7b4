"""Files that codelists come in: each layout by its header, what is left out, and what release files say of codes."""

from __future__ import annotations

import pytest

from stratify import codelist_files
from stratify.codelist_files import LAYOUTS, as_listed, code_is_well_formed, read_codelist_file
from stratify.errors import RuleError

DIABETES, TYPE_1, TYPE_2, BRITTLE = "73211009", "46635009", "44054006", "11530004"
RF2_REFSET = "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\n"


@pytest.fixture
def release(tmp_path):
    """Diabetes with two kinds below it, one of them inactive and one kind of that still below it."""
    folder = tmp_path / "SnomedCT_Invented" / "Snapshot" / "Terminology"
    folder.mkdir(parents=True)
    concepts = [(DIABETES, "1"), (TYPE_1, "1"), (TYPE_2, "1"), (BRITTLE, "0")]
    (folder / "sct2_Concept_InventedSnapshot_GB_20260101.txt").write_text(
        "id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\n"
        + "".join(f"{code}\t20260101\t{active}\t1\t1\n" for code, active in concepts)
        # The same concept in another file of the release, older: the newer one counts.
        + f"{BRITTLE}\t20020131\t1\t1\t1\n",
        encoding="utf-8",
    )
    names = {DIABETES: '"Sugar" diabetes (disorder)', TYPE_1: "Type 1 (disorder)", TYPE_2: "Type 2 (disorder)"}
    (folder / "sct2_Description_InventedSnapshot-en_GB_20260101.txt").write_text(
        "id\teffectiveTime\tactive\tmoduleId\tconceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId\n"
        + "".join(
            f"{n}\t20260101\t1\t1\t{code}\ten\t900000000000003001\t{term}\t1\n"
            f"{n}9\t20260101\t1\t1\t{code}\ten\t900000000000013009\ta synonym\t1\n"
            for n, (code, term) in enumerate(names.items())
        ),
        encoding="utf-8",
    )
    kinds = [(TYPE_1, DIABETES, "1", "116680003"), (BRITTLE, TYPE_1, "0", "116680003")]
    kinds += [(TYPE_2, TYPE_1, "1", "116680003"), (DIABETES, BRITTLE, "1", "363698007")]
    (folder / "sct2_Relationship_InventedSnapshot_GB_20260101.txt").write_text(
        "id\teffectiveTime\tactive\tmoduleId\tsourceId\tdestinationId\trelationshipGroup\ttypeId\n"
        + "".join(f"{n}\t20260101\t{on}\t1\t{a}\t{b}\t0\t{kind}\n" for n, (a, b, on, kind) in enumerate(kinds)),
        encoding="utf-8",
    )
    return tmp_path / "SnomedCT_Invented"


def written(tmp_path, text, name="list.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_an_opencodelists_file_is_read_with_its_terms(tmp_path):
    text = f'\ufeffcode,term,category\n{TYPE_1},"Type 1, early",1\n\n{TYPE_1},again,1\n,nothing,1\n{TYPE_2},Type 2,1\n'
    read = read_codelist_file(written(tmp_path, text))
    assert read.layout == LAYOUTS[0]
    assert read.codes == {TYPE_1: "Type 1, early", TYPE_2: "Type 2"}
    assert read.places == {TYPE_1: 2, TYPE_2: 6}
    assert read.left_out == (("repeated rows", 1), ("rows without a code", 1))


@pytest.mark.parametrize(
    "header",
    [
        "Cluster_ID,Cluster_Description,SNOMED_code,SNOMED_code_description,PCD_Refset_ID,Service_and_Ruleset",
        "Cluster ID\tCluster Description\tSNOMED concept ID\tSNOMED concept description\tPCD Refset ID\tOutput",
    ],
)
def test_a_primary_care_domain_file_gives_the_cluster_asked_for(tmp_path, header):
    comma = "\t" if "\t" in header else ","
    rows = [("DM_COD", "d", TYPE_1, "Type 1", "9", "x"), ("AST_COD", "a", "195967001", "Asthma", "8", "x")]
    text = "\n".join([header, *(comma.join(row) for row in rows)]) + "\n"
    read = read_codelist_file(written(tmp_path, text), group="DM_COD")
    assert (read.layout, read.codes) == (LAYOUTS[1], {TYPE_1: "Type 1"})


def test_of_several_clusters_one_must_be_named(tmp_path):
    path = written(tmp_path, f"cluster_id,snomed_code,snomed_code_description\nA_COD,{TYPE_1},x\nB_COD,{TYPE_2},y\n")
    with pytest.raises(RuleError, match=r"found 2: A_COD, B_COD\. Name one with --group\."):
        read_codelist_file(path)
    with pytest.raises(RuleError, match="expected the group C_COD"):
        read_codelist_file(path, group="C_COD")


def test_a_reference_set_of_trud_gives_the_members_that_are_active_now(tmp_path):
    """The newest row of a member counts, wherever it stands in a full file."""
    rows = [("m1", "20250101", "1", TYPE_1), ("m2", "20260101", "0", TYPE_2), ("m2", "20250101", "1", TYPE_2)]
    text = RF2_REFSET + "".join(f"{a}\t{b}\t{c}\t1\t99\t{d}\n" for a, b, c, d in rows)
    read = read_codelist_file(written(tmp_path, text, "der2_Refset_SimpleSnapshot.txt"))
    assert (read.layout, read.codes) == (LAYOUTS[2], {TYPE_1: ""})
    assert read.left_out == (("codes no longer in the reference set", 1),)


def test_another_header_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(RuleError, match=r"list\.csv, line 1: expected OpenCodelists .* found 2 columns of other names"):
        read_codelist_file(written(tmp_path, "a,b\n1,2\n"))


def test_a_file_without_a_code_or_of_other_bytes_is_refused(tmp_path):
    with pytest.raises(RuleError, match="expected at least one code; found none"):
        read_codelist_file(written(tmp_path, "code,term\n"))
    (tmp_path / "latin.csv").write_bytes(b"code,term\n73211009,M\xe9ni\xe8re\n")
    with pytest.raises(RuleError, match="expected UTF-8 text"):
        read_codelist_file(tmp_path / "latin.csv")


@pytest.mark.parametrize(
    ("code", "system", "is_fit"),
    [
        pytest.param(DIABETES, "snomed_ct", True, id="a_concept"),
        pytest.param("73211008", "snomed_ct", False, id="another_check_digit"),
        pytest.param("121589010", "snomed_ct", False, id="a_description_and_no_concept"),
        pytest.param("1.37E+15", "dmd", False, id="from_a_spreadsheet"),
        pytest.param("I252", "icd10", True, id="a_code"),
        pytest.param("I25", "icd10", True, id="a_category"),
        pytest.param("I25.2", "icd10", False, id="with_its_dot"),
        pytest.param("252", "icd10", False, id="no_letter"),
        pytest.param("0106", "bnf", True, id="a_section"),
        pytest.param("0212000AA", "bnf", True, id="a_substance"),
        pytest.param("0212000AAAAAAAAA", "bnf", False, id="sixteen_signs"),
        pytest.param("C10AA05", "bnf", False, id="an_atc_code"),
    ],
)
def test_a_code_can_be_one_of_its_system_or_not(code, system, is_fit):
    assert code_is_well_formed(code, system) is is_fit


def test_codes_are_listed_as_ours_are():
    assert as_listed("i25.2", "icd10") == "I252"
    assert as_listed("R69X", "icd10") == "R69"
    assert as_listed("0212000aa", "bnf") == "0212000AA"
    assert as_listed(DIABETES, "snomed_ct") == DIABETES


def test_a_release_names_codes_says_which_are_inactive_and_what_lies_below(release):
    assert codelist_files.release_terms(release, [DIABETES, BRITTLE]) == {DIABETES: '"Sugar" diabetes (disorder)'}
    assert codelist_files.inactive_codes(release, [DIABETES, BRITTLE, "195967001"]) == ({BRITTLE}, {"195967001"})
    assert codelist_files.descendants(release, [DIABETES]) == {TYPE_1, TYPE_2}
    assert codelist_files.descendants(release, [TYPE_1, TYPE_2]) == set()


def test_a_folder_that_is_no_release_is_refused(tmp_path):
    with pytest.raises(RuleError, match="expected RF2 snapshot files, sct2_Relationship_"):
        codelist_files.descendants(tmp_path, [DIABETES])
