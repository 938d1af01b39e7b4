"""Bad input through the command line: one clear message with where, expected, found and what to do, and an exit code.

What can be told of a file or a definition before a row is read. Rows are in ``test_bad_rows``; the finer cases of the
file gate and of the rule book have unit tests of their own.
"""

import hashlib
import shutil
from pathlib import Path

import pytest
import yaml

from stratify import rulebook, runs
from whole_runs import KEY, OBJECTIONS_HONOURED, counted_plainly, extract_set, files, refusal, settings_file, stratify

CANARY = "CANARY"


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A set that may be run as it is, on 5 January 2026."""
    return extract_set.write_set(
        tmp_path_factory.mktemp("clean") / "extracts", opt_out=[extract_set.opt_out("NDO", "false")]
    )


@pytest.fixture
def extracts(clean, tmp_path):
    return Path(shutil.copytree(clean, tmp_path / "extracts"))


@pytest.fixture
def clinical(tmp_path):
    return Path(shutil.copytree(rulebook.clinical_folder(), tmp_path / "clinical"))


def _run(folder, tmp_path, *arguments, environment=None, **changes):
    given = {"extracts": folder, "out": tmp_path / "out", "index_date": "2026-01-05"} | changes
    settings = settings_file(tmp_path, **given)
    return stratify("run", "--settings", settings, *arguments, **({"STRATIFY_IDENTITY_KEY": KEY} | (environment or {})))


def _declare(extracts):
    """Write a manifest that is true of the files as they are now, whatever became of them."""
    tables = {path.name: path.name.split(".")[0] for path in extracts.iterdir() if path.name != "manifest.csv"}
    extract_set.write_manifest(extracts, tables)


# Files


def _swap_columns(content):
    header, rest = content.split(b"\n", 1)
    names = header.split(b",")
    first, second = names.index(b"family_name"), names.index(b"given_names")
    names[first], names[second] = names[second], names[first]
    return b",".join(names) + b"\n" + rest


def _cp1252(content):
    return content.replace(b"CANARYNAME", "CANARYNAM\u00c9".encode("cp1252"))


FILES = {
    "empty": ("patient", lambda content: b"", ["patient.csv", "a header and rows", "an empty file"]),
    "swapped_columns": (
        "patient",
        _swap_columns,
        ["patient.csv", "in their order", "given_names where family_name belongs"],
    ),
    "wrong_delimiter": (
        "gp_event",
        lambda content: content.replace(b",", b";"),
        ["gp_event.csv", "columns separated by commas", "columns separated by semicolons"],
    ),
    "cp1252": ("patient", _cp1252, ["patient.csv", "UTF-8 text", "first on line 2 (looks like cp1252)"]),
    "cut_in_the_last_value": (
        "gp_observation",
        lambda content: content.rstrip(b"\n")[:-1],
        ["gp_observation.csv", "a line end after the last line", "none: the file is cut off"],
    ),
}


@pytest.mark.parametrize("is_declared", [pytest.param(True, id="manifest_agrees"), pytest.param(False, id="not")])
@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, fault in FILES.items()])
def test_a_broken_file_is_refused_whole(extracts, tmp_path, monkeypatch, fault, is_declared):
    """A manifest that was written after the damage, and so agrees with the file, changes nothing."""
    monkeypatch.setattr(runs, "run_examples", lambda book: [])  # proved elsewhere; the same every time
    table, damage, words = fault
    path = extracts / f"{table}.csv"
    path.write_bytes(damage(path.read_bytes()))
    if is_declared:
        _declare(extracts)
    message = refusal(_run(extracts, tmp_path), 3)
    for word in words:
        assert word in message
    assert CANARY not in message
    assert not (tmp_path / "out" / "published").exists()


def test_a_table_without_rows_blocks_the_run_though_its_manifest_is_true(extracts, tmp_path):
    path = extracts / "patient.csv"
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n")
    _declare(extracts)
    with counted_plainly():
        message = refusal(_run(extracts, tmp_path), 4)
    assert "landing.patient PAT-90-rows: An empty table means a failed extract, not an empty population" in message
    assert "the last good lists stay in place" in message and ".." not in message


def test_a_feed_whose_codes_are_damaged_blocks_the_run_though_every_row_can_be_kept(extracts, tmp_path):
    """A spreadsheet on the way costs SNOMED ids their last digits; who is known by them would go missing in silence."""
    events = [extract_set.event(f"e{number}") for number in range(100)]
    for number in range(3):
        events[number]["snomed_code"] = "13645006"  # the check digit of 13645005 is 5
    (extracts / "gp_event.csv").write_bytes(extract_set.as_csv("gp_event", events))
    _declare(extracts)
    with counted_plainly():
        message = refusal(_run(extracts, tmp_path), 4)
    assert "landing.gp_event GPE-91-rejected" in message and "in a critical column" in message
    events[2]["snomed_code"] = "13645005"
    (extracts / "gp_event.csv").write_bytes(extract_set.as_csv("gp_event", events))
    _declare(extracts)
    with counted_plainly():
        assert _run(extracts, tmp_path).exit_code == 0, "2 of 100 is within the limit of 2 %"


def test_a_folder_named_like_a_statement_is_a_folder(clean, tmp_path):
    home = tmp_path / "it's \"; DROP TABLE core.person; --"
    extracts = Path(shutil.copytree(clean, home / "extracts"))
    with counted_plainly():
        assert _run(extracts, tmp_path, out=home / "out").exit_code == 0
    assert (home / "out" / "published" / "run_manifest.json").is_file()


def test_a_missing_file_is_named_and_so_is_everything_else_that_is_wrong(extracts, tmp_path):
    (extracts / "gp_medication.csv").unlink()
    (extracts / "death.csv").write_bytes(b"")
    message = refusal(_run(extracts, tmp_path), 3)
    assert "gp_medication.csv: expected the file, since manifest.csv names it; found no such file" in message
    assert "death.csv: expected a header and rows; found an empty file" in message
    assert "2 faults" in message


def test_a_missing_file_that_the_manifest_does_not_miss_is_missed_too(extracts, tmp_path):
    (extracts / "opt_out.csv").unlink()
    _declare(extracts)
    message = refusal(_run(extracts, tmp_path), 3)
    assert "landing.opt_out: expected a file of this table; found none" in message


def test_a_folder_without_a_manifest_or_no_folder_is_refused(extracts, tmp_path):
    (extracts / "manifest.csv").unlink()
    assert "manifest.csv: expected a manifest" in refusal(_run(extracts, tmp_path), 3)
    assert "found no such folder" in refusal(_run(tmp_path / "nowhere", tmp_path), 3)


def test_a_file_changed_after_it_was_declared_is_refused(extracts, tmp_path):
    path = extracts / "gp_event.csv"
    path.write_bytes(path.read_bytes().replace(b"2020-01-01", b"2020-01-02"))
    assert "expected the SHA-256 manifest.csv declares; found another content" in refusal(_run(extracts, tmp_path), 3)


def test_a_synthetic_source_with_numbers_of_real_people_is_refused(extracts, tmp_path):
    """4000000004 is a number of the range that is given out in England, and its check digit is right."""
    path = extracts / "opt_out.csv"
    path.write_bytes(path.read_bytes().replace(extract_set.nhs(1).encode(), b"4000000004"))
    _declare(extracts)
    message = refusal(_run(extracts, tmp_path), 7)
    assert "opt_out.csv, column nhs_number: expected invented numbers only (they begin with 9)" in message
    assert "found 1 distinct numbers that real people may have" in message and "4000000004" not in message


# Definitions


def test_an_unknown_key_in_a_definition_is_refused(clean, clinical, tmp_path):
    path = clinical / "scores" / "copd_priority_group.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("label: COPD priority group", "lable: COPD", 1))
    message = refusal(_run(clean, tmp_path, "--clinical", clinical), 5)
    assert "a key the vocabulary does not have. Did you mean label?" in message
    assert "found a key the vocabulary does not have" in message
    same = stratify("rules", "test", "--clinical", clinical)
    assert same.exit_code == 5 and "a key the vocabulary does not have" in same.stderr


def test_a_definition_whose_worked_example_fails_is_refused(clean, clinical, tmp_path):
    path = clinical / "scores" / "copd_priority_group.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("{variable: fev1_percent_predicted, below: 50}", "{variable: fev1_percent_predicted, below: 45}")
    )
    message = refusal(_run(clean, tmp_path, "--clinical", clinical), 5)
    assert "worked examples: expected what each example says" in message
    failed = stratify("rules", "test", "--clinical", clinical)
    assert failed.exit_code == 5 and "FAILED  copd_priority_group" in failed.stdout
    assert "RuleError: worked examples: expected all to hold" in failed.stderr


def _empty_codelist(clinical, name, codes=()):
    """Give a codelist other codes, and a manifest that agrees."""
    content = "code,term\n" + "".join(f"{code},invented\n" for code in codes)
    (clinical / "codelists" / f"{name}.csv").write_text(content, encoding="utf-8")
    path = clinical / "codelists" / "manifest.yaml"
    manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    entry = next(each for each in manifest["codelists"] if each["id"] == name)
    entry |= {"rows": max(len(codes), 1), "sha256": hashlib.sha256(content.encode()).hexdigest()}
    path.write_text(yaml.safe_dump(manifest), encoding="utf-8")


def test_a_codelist_without_codes_is_refused(clean, clinical, tmp_path):
    _empty_codelist(clinical, "home_oxygen")
    message = refusal(_run(clean, tmp_path, "--clinical", clinical), 5)
    assert "clinical/codelists/home_oxygen.csv: expected 1 codes, at least one; found 0" in message
    assert "A codelist that matches nothing finds nobody" in message


def test_a_codelist_that_is_not_the_one_described_is_refused(clean, clinical, tmp_path):
    path = clinical / "codelists" / "copd.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("13645005", "13645006"), encoding="utf-8")
    message = refusal(_run(clean, tmp_path, "--clinical", clinical), 5)
    assert "clinical/codelists/copd.csv: expected the content the manifest's sha256 names" in message


# Settings, source, key


@pytest.mark.parametrize(
    ("changes", "exit_code", "words"),
    [
        pytest.param({"privacy": None}, 2, ["privacy is missing and has no default"], id="no_privacy"),
        pytest.param(
            {"privacy": {name: value for name, value in OBJECTIONS_HONOURED.items() if name != "purpose"}},
            2,
            ["privacy.purpose is missing and has no default"],
            id="no_purpose",
        ),
        pytest.param(
            {"privacy": {name: value for name, value in OBJECTIONS_HONOURED.items() if name != "approval_reference"}},
            2,
            ["needs approval_reference"],
            id="no_approval",
        ),
        pytest.param(
            {"purpos": "x", "colour": "red"}, 2, ["purpos is no setting", "colour is no setting"], id="unknown"
        ),
        pytest.param({"index_date": "2026-02-30"}, 2, ["index_date"], id="no_such_day"),
        pytest.param({"threads": 0}, 2, ["threads"], id="no_threads"),
        pytest.param({"memory_limit": "lots"}, 2, ["memory_limit"], id="no_size"),
        pytest.param({"source": "vision"}, 2, ["expected one of canonical, emis, "], id="source"),
        pytest.param({"extracts": None}, 2, ["extracts is missing"], id="no_extracts"),
        pytest.param({"clinical": "nowhere"}, 5, ["a folder of clinical definitions; found none"], id="no_clinical"),
    ],
)
def test_settings_that_are_not_fit_are_refused(clean, tmp_path, changes, exit_code, words):
    source = {} if "privacy" not in changes or changes["privacy"] else {"source": "canonical"}
    message = refusal(_run(clean, tmp_path, **(source | changes)), exit_code)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"extracts: [", "expected YAML; found text that is none near line 2", id="no_yaml"),
        pytest.param(b"out: a\nout: b\n", "expected YAML; found a key given twice near line 2", id="a_key_twice"),
        pytest.param("organisation: H\u00e9".encode("cp1252"), "expected UTF-8 text", id="cp1252"),
        pytest.param(b"- a\n- b\n", "expected settings, one a line", id="a_list"),
        pytest.param(None, "found no file of that name", id="no_file"),
    ],
)
def test_a_settings_file_that_is_none_is_refused(tmp_path, content, words):
    path = tmp_path / "settings.yaml"
    if content is not None:
        path.write_bytes(content)
    assert words in refusal(stratify("run", "--settings", path), 2)


def test_nothing_at_all_is_refused_with_everything_that_is_missing(tmp_path):
    message = refusal(stratify("run"), 2)
    for name in ("extracts", "source", "out", "privacy"):
        assert f"{name} is missing and has no default" in message


def test_a_real_source_needs_its_key_and_a_policy_of_its_own(clean, tmp_path):
    missing = refusal(_run(clean, tmp_path, source="canonical", environment={"STRATIFY_IDENTITY_KEY": ""}), 7)
    assert "STRATIFY_IDENTITY_KEY: expected the identity key of this site; found nothing" in missing
    short = refusal(_run(clean, tmp_path, source="canonical", environment={"STRATIFY_IDENTITY_KEY": "short"}), 7)
    assert "expected 32 bytes or more; found 5" in short and "short" not in short.split("found 5")[0]
    arguments = ["--source", "canonical", "--extracts", clean, "--out", tmp_path / "out"]
    no_settings = refusal(stratify("run", *arguments, STRATIFY_IDENTITY_KEY=KEY), 2)
    assert "privacy is missing and has no default" in no_settings


def test_a_date_that_is_none_is_refused(clean, tmp_path):
    done = stratify("run", "--index-date", "5/1/2026", "--source", "synthetic_county", "--extracts", clean)
    assert done.exit_code == 2 and "Invalid value for '--index-date'" in done.stderr


def test_an_output_folder_that_cannot_be_one_is_refused(clean, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        message = refusal(_run(clean, tmp_path, "--out", out), 8)
        assert f"output folder {out.name}: expected a folder that can be written to" in message


def test_a_folder_without_leave_to_write_is_refused(clean, tmp_path, monkeypatch):
    """As the system says it; the tests themselves may run as somebody who may write anywhere."""

    def refuse(self, *arguments, **named):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump({"privacy": OBJECTIONS_HONOURED}), encoding="utf-8")
    done = stratify(
        "run", "--settings", settings, "--source", "synthetic_county", "--extracts", clean, "--out", tmp_path / "out"
    )
    message = refusal(done, 8)
    assert "found Permission denied" in message


def test_a_full_disk_is_one_message_and_no_traceback(clean, tmp_path, monkeypatch):
    def full(*arguments, **named):
        raise OSError(28, "No space left on device", "run.duckdb")

    monkeypatch.setattr(runs, "prepare", full)
    from stratify import pipeline

    monkeypatch.setattr(pipeline, "prepare", full)
    message = refusal(_run(clean, tmp_path), 8)
    assert "run.duckdb" in message and "found No space left on device" in message


def test_check_finds_the_same_faults_and_writes_nothing(extracts, clean, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = {**files(tmp_path), **files(clean)}
    arguments = ["--source", "synthetic_county", "--index-date", "2026-01-05"]
    (extracts / "patient.csv").write_bytes(b"")
    message = refusal(stratify("check", "--extracts", extracts, *arguments), 3)
    assert "patient.csv: expected a header and rows; found an empty file" in message
    after = {**files(tmp_path), **files(clean)}
    assert set(after) == set(before)
