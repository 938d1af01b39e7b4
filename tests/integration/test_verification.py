"""The proof of a run: other code comes to the same answers, and finds whatever was changed in a copy of the run.

The county is a small synthetic one; each of the tampered copies differs from the run in one row.
"""

from __future__ import annotations

import re
import shutil

import duckdb
import pytest
import test_vocabulary as vocabulary

import invented
from stratify.rulebook import clinical_folder
from stratify.synth import CountyOrder, write_county
from stratify.verification.answers import Person
from stratify.verification.definitions import Codes, Definitions
from stratify.verification.values import Value, values_of
from whole_runs import counted_plainly, refusal, settings_file, stratify

pytestmark = pytest.mark.slow  # a county worked out twice


def _plain(book):
    """Give a rule book as the plain dicts its files would hold."""
    parts = {
        kind: {
            name: each.model_dump(mode="json", by_alias=True, exclude_unset=True)
            for name, each in getattr(book, kind).items()
        }
        for kind in ("variables", "scores", "pathways")
    }
    lists = {
        name: Codes(each.system, each.match, {code: each.weights.get(code) for code in each.codes})
        for name, each in book.codelists.items()
    }
    return Definitions(lists, **parts, digest="")


@pytest.mark.parametrize(
    ("which", "records", "answer"), [case[1:] for case in vocabulary.CASES], ids=[case[0] for case in vocabulary.CASES]
)
def test_plain_python_reads_records_as_the_cases_were_worked_by_hand(which, records, answer):
    rows = {name: [] for name in invented.core_tables([])}
    for name, table in invented.core_tables(records).items():
        rows[name] = table.to_dicts()
    found = values_of(rows, _plain(vocabulary.BOOK), vocabulary.INDEX).get(which)
    if answer is None:
        assert found is None
    elif isinstance(answer, str) and answer[0] not in "<>":
        assert (found.value, found.state) == (None, answer)
    elif isinstance(answer, str):
        assert (found.bound, found.value, found.state) == (answer[:2], float(answer[2:]), "known")
    else:
        assert (found.value, found.state, found.bound) == (answer, "known", None)


@pytest.mark.parametrize(
    ("who", "which", "answer"), vocabulary.ANSWERS, ids=[f"{p}_{s}" for p, s, _ in vocabulary.ANSWERS]
)
def test_plain_python_scores_as_the_cases_were_worked_by_hand(who, which, answer):
    about = {"age_years": 70, "sex": "M", "imd_decile": None, "registered_date": None, "is_hospital_linked": True}
    if who == "unlinked":
        about |= {"age_years": None, "sex": None, "is_hospital_linked": False}
    rows = invented.value_rows({who: vocabulary.PEOPLE.get(who, {})}, vocabulary.MAY)
    values = {row["variable"]: Value(*(row[name] for name in Value._fields)) for row in rows.to_dicts()}
    person = Person(about, values, _plain(vocabulary.SCORE_BOOK), vocabulary.INDEX)
    found = person.score(which)
    mine = {
        "value": found.value,
        "tier": found.tier,
        "possible_tiers": ";".join(found.open_tiers) or None,
        "is_complete": found.is_complete,
        "missing_variables": ";".join(sorted(person.missing_of_score(which))) or None,
    }
    wanted = dict(answer)
    if wanted.get("missing_variables"):  # in order of the definition there, of name here
        wanted["missing_variables"] = ";".join(sorted(wanted["missing_variables"].split(";")))
    assert {name: mine[name] for name in wanted} == wanted


def _run(folder, **changes):
    """Run a county of 300; give the folder of its outputs."""
    order = CountyOrder(people=300, seed=11)
    write_county(folder / "extracts", order)
    day = order.index_date.isoformat()
    file = settings_file(folder, folder / "extracts", folder / "out", index_date=day, **changes, clinical=None)
    with counted_plainly():
        done = stratify("run", "--settings", file)
    assert done.exit_code in (0, 10), done.output
    return folder / "out"


def test_every_score_that_no_pathway_uses_is_derived_again_without_a_difference(tmp_path):
    done = stratify("verify", _run(tmp_path, other_scores=True), "--everybody")
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return _run(tmp_path_factory.mktemp("proof"))


def test_a_run_of_a_county_is_derived_again_without_a_difference(finished):
    done = stratify("verify", finished, "--everybody")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("All agree") and len(done.stdout.splitlines()) == 1
    people = int(done.stdout.split(" people;")[0].rsplit(" ", 1)[1])
    assert people > 200


# A patient with a decision, and something of theirs that the store is made to say otherwise.
_ON_A_PATHWAY = "SELECT patient_key FROM derived.pathway_decision WHERE decision = 'clinic'"
_TAMPERED = {
    "one_score_value": (
        "UPDATE derived.patient_score SET value = value + 1 WHERE (patient_key, score) = (SELECT min((patient_key, "
        f"score)) FROM derived.patient_score WHERE value IS NOT NULL AND patient_key IN ({_ON_A_PATHWAY}))",
        "score ", ": value",
    ),
    "one_tier": (
        "UPDATE derived.patient_score SET tier = 'HRC' WHERE (patient_key, score) = (SELECT min((patient_key, score)) "
        "FROM derived.patient_score WHERE score = 'copd_priority_group' AND tier <> 'HRC' "
        "AND patient_key IN (SELECT patient_key FROM derived.pathway_decision WHERE pathway = 'copd'))",
        "score copd_priority_group", ": tier",
    ),
    "one_decision": (
        "UPDATE derived.pathway_decision SET decision = 'self_management' WHERE (patient_key, pathway) = "
        "(SELECT min((patient_key, pathway)) FROM derived.pathway_decision WHERE decision = 'clinic')",
        "pathway ", ": decision",
    ),
    "one_variable_value": (
        "UPDATE derived.variable_value SET value = value + 1 WHERE (patient_key, variable) = (SELECT min((patient_key, "
        f"variable)) FROM derived.variable_value WHERE state = 'known' AND patient_key IN ({_ON_A_PATHWAY}))",
        "variable ", ": value",
    ),
    "one_deleted_row_of_evidence": (
        "DELETE FROM core.gp_observation WHERE (source_file_id, source_row) = (SELECT min((source_file_id, source_row))"
        " FROM derived.variable_value WHERE source_table = 'gp_observation' AND state = 'known' "
        f"AND patient_key IN ({_ON_A_PATHWAY}))",
        "variable ", ": ",
    ),
    "one_lost_decision": (
        "DELETE FROM derived.pathway_decision WHERE pathway = 'frailty' AND patient_key = (SELECT min(patient_key) "
        "FROM derived.pathway_decision WHERE pathway = 'frailty')",
        "pathway frailty", ": decision missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _TAMPERED)
def test_whatever_was_changed_afterwards_is_found(finished, tmp_path, name):
    sql, definition, kind = _TAMPERED[name]
    out = tmp_path / "out"
    shutil.copytree((finished / "restricted").resolve(), out / "restricted")
    with duckdb.connect(str(out / "restricted" / "run.duckdb")) as store:
        assert store.execute(sql).fetchone() == (1,)
        keys = {key for (key,) in store.execute("SELECT patient_key FROM core.person").fetchall()}
    done = stratify("verify", out, *(["--everybody"] if name == "one_lost_decision" else []))
    assert done.exit_code == 1
    counts, rows = done.stdout.split("The first ")
    assert any(line.split("  ")[2].startswith(definition) and kind in line for line in counts.splitlines()[1:])
    assert all(": file " in line and " line " in line for line in rows.splitlines()[1:])
    assert not any(key in done.output for key in keys)


def test_other_definitions_than_the_run_had_are_refused(finished, tmp_path):
    shutil.copytree(clinical_folder(), tmp_path / "clinical")
    with (tmp_path / "clinical" / "variables" / "copd.yaml").open("a", encoding="utf-8") as handle:
        handle.write("# changed\n")
    assert "those of the run" in refusal(stratify("verify", finished, "--clinical", tmp_path / "clinical"), 8)


def test_a_folder_without_a_run_is_refused(tmp_path):
    assert "a finished run" in refusal(stratify("verify", tmp_path), 8)


def test_the_people_of_a_run_are_compared_under_two_folders_of_definitions(finished, tmp_path):
    """Before, up to seven deficits of 36 (0.194) are fit; after, as it comes, four at most (0.111)."""
    before = tmp_path / "before"
    shutil.copytree(clinical_folder(), before)
    definition = before / "scores" / "efi.yaml"
    text = definition.read_text(encoding="utf-8")
    assert text.count(" 0.12") == 2
    definition.write_text(text.replace(" 0.12", " 0.2"), encoding="utf-8")
    silent = refusal(stratify("rules", "check", "--against", before), 5)
    assert "score efi:" in silent and "clinical/scores/efi.yaml" in silent
    version = re.search(r"^version: (.*)$", text, flags=re.MULTILINE)[1]
    earlier = definition.read_text(encoding="utf-8").replace(f"version: {version}", "version: 0.0.1")
    definition.write_text(earlier, encoding="utf-8")
    assert f"score efi: version 0.0.1 → {version}" in stratify("rules", "check", "--against", before).stdout
    done = stratify("rules", "diff", before, "--on", finished, "--out", tmp_path / "moved.csv")
    assert done.exit_code == 0, done.output
    assert f"score efi: version 0.0.1 → {version}" in done.stdout
    assert "fit → mild" in done.stdout and "no value is another" in done.stdout
    header, *rows = (tmp_path / "moved.csv").read_text(encoding="utf-8").splitlines()
    assert header == "definition,breakdown,group,before,after,people_count,is_suppressed"
    counts = {row.split(",")[-2] for row in rows}
    assert counts <= {""} | {str(number) for number in range(0, 1000, 5)}
