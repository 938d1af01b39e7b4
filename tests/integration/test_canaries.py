"""Numbers, names and free text where they do not belong: what a run says, logs, checks and hands on shows none of it.

People with everything in its place are in ``test_bad_rows``, what Prefect keeps in ``test_flow``; here a supplier has
put what is somebody's into columns of codes, dates, units and terms, and a real Great Expectations counts it.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from great_expectations.datasource.fluent.interfaces import Batch

from stratify import privacy
from stratify.codes import nhs_check_digit
from whole_runs import (
    KEY,
    all_text,
    counted_plainly,
    database_text,
    extract_set,
    refusal,
    settings_file,
    stratify,
    working_store,
)

PEOPLE = 120
SURNAME = "CANARYSMITH"
TEXT = "canarytext she rang today"
MISPLACED = extract_set.nhs(501)
"""A number of the test range with a right check digit, of nobody in the set."""

DAMAGED = extract_set.nhs(502)[:9] + str((nhs_check_digit(extract_set.nhs(502)[:9]) + 1) % 10)
RESTRICTED = "118199002"
"""A code whose rows never land (``restricted_codes.yaml``)."""

SUPERSEDED = extract_set.nhs(503)
"""A number that another one took the place of: rows under it belong to person 9."""

PLANTED = (SURNAME.lower(), "canarytext", MISPLACED, DAMAGED, SUPERSEDED, RESTRICTED)
"""As they are looked for, in small letters and without blanks between digits."""


def planted(people: int = PEOPLE) -> dict[str, list[dict[str, str]]]:
    """Ordinary people, and rows with every canary in every kind of column that is none of its own."""
    numbers = range(people)
    rows = {
        "patient": [
            extract_set.patient(f"p{n}", nhs_number=extract_set.nhs(n), family_name=f"ORDINARY{n}") for n in numbers
        ],
        "registration": [extract_set.registration(f"p{n}") for n in numbers],
        "gp_event": [extract_set.event(f"e{n}-{k}", source_patient_id=f"p{n}") for n in numbers for k in range(4)],
        "gp_observation": [
            extract_set.observation(f"o{n}-{k}", source_patient_id=f"p{n}") for n in numbers for k in range(4)
        ],
        "gp_medication": [
            # With a product of its own, or the share of issues without one would stop the run.
            extract_set.medication(f"m{n}-{k}", source_patient_id=f"p{n}", bnf_code="0301011R0AAAAAA")
            for n in numbers
            for k in range(4)
        ],
        "apc_episode": [
            extract_set.episode(f"c{n}", nhs_number=extract_set.nhs(n), spell_id=f"s{n}") for n in numbers for _ in "1"
        ],
        "opt_out": [extract_set.opt_out("NDO", "false", nhs_number=extract_set.nhs(n)) for n in numbers],
    }
    rows["patient"][0] |= {"nhs_number": DAMAGED}
    rows["patient"][1] |= {"ethnic_category": SURNAME, "sex": TEXT, "nhs_number_status": MISPLACED}
    rows["patient"][2] |= {"ais_format": TEXT, "lsoa21": SURNAME, "date_of_death": TEXT}
    rows["registration"][3] |= {"end_reason": TEXT, "usual_gp_id": SURNAME}
    for table, code, term in (
        ("gp_event", "snomed_code", "snomed_term"),
        ("gp_observation", "snomed_code", "snomed_term"),
        ("gp_medication", "dmd_code", "dmd_term"),
    ):
        day = "issue_date" if table == "gp_medication" else "effective_date"
        for number, (column, value) in enumerate(
            (
                (code, SURNAME), (code, DAMAGED), (code, TEXT), (day, TEXT), (day, MISPLACED),
                (term, f"{TEXT} {SURNAME}"), (term, f"rang, {MISPLACED}"),
                ("original_code", SURNAME), ("original_code", DAMAGED), ("original_code", TEXT),
            )
        ):  # fmt: skip
            row = rows[table][number * 4]
            row |= {column: value}
            if column == term:
                row |= {code: "195967001" if code == "snomed_code" else "39113611000001102"}  # of no codelist
            if column == "original_code":
                row |= {code: "", "original_system": "OWN", term: f"{SURNAME} {MISPLACED}"}
        rows[table][60] |= {"original_system": SURNAME, "original_code": "local", code: "", term: TEXT}
    rows["gp_observation"][70] |= {"unit_raw": TEXT}
    rows["gp_observation"][71] |= {"unit_raw": SURNAME}
    rows["gp_observation"][72] |= {"value_num": MISPLACED}
    rows["gp_observation"][73] |= {"value_num": TEXT}
    rows["apc_episode"][5] |= {"diag_02": SURNAME}
    rows["apc_episode"][6] |= {"nhs_number": DAMAGED}
    rows["apc_episode"][7] |= {"opertn_01": TEXT, "discharge_destination": SURNAME, "spell_id": MISPLACED}
    rows["gp_event"][61] |= {"snomed_code": RESTRICTED, "snomed_term": f"{TEXT} {SURNAME}"}
    rows["gp_observation"][74] |= {"snomed_code": RESTRICTED, "value_num": "", "snomed_term": TEXT}
    rows["apc_episode"][9] |= {"nhs_number": SUPERSEDED}
    rows["nhs_number_trace"] = [
        trace(SUPERSEDED, extract_set.nhs(9)),
        trace(SURNAME, extract_set.nhs(10)),
        trace(MISPLACED, TEXT),
        trace(extract_set.nhs(504), MISPLACED, traced_date=TEXT),
        trace(extract_set.nhs(505), "", trace_outcome=SURNAME),
        trace(DAMAGED, extract_set.nhs(11)),
    ]
    return rows


def trace(old: str, new: str, **changes: str) -> dict[str, str]:
    row = {"nhs_number": old, "surviving_nhs_number": new, "trace_outcome": "90", "traced_date": "2025-11-20"}
    return row | changes


def _named(text: str) -> list[str]:
    plain = text.lower().replace(" ", "")
    return [each for each in PLANTED if each in plain]


@pytest.fixture(scope="module")
def heard():
    """Everything any logger says, at any level, and everything Great Expectations gives."""
    lines: list[str] = []
    answers: list[str] = []
    listener = logging.Handler(logging.NOTSET)
    listener.emit = lambda record: lines.append(f"{record.getMessage()} {record.exc_info} {record.__dict__}")
    root = logging.getLogger()
    level, real = root.level, Batch.validate

    def validate(self, *given, **named):
        answer = real(self, *given, **named)
        answers.append(str(answer.to_json_dict()))
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Batch, "validate", validate)
        root.addHandler(listener)
        root.setLevel(logging.DEBUG)
        logging.getLogger("stratify.ingest").debug("a line like any other")
        try:
            yield SimpleNamespace(lines=lines, answers=answers)
        finally:
            root.removeHandler(listener)
            root.setLevel(level)


@pytest.fixture(scope="module")
def finished(heard, tmp_path_factory):
    folder = tmp_path_factory.mktemp("canaries")
    extracts = extract_set.write_set(folder / "extracts", **planted())
    observed = {"metrics_file": str(folder / "stratify.prom"), "lineage_file": str(folder / "lineage.jsonl")}
    settings = settings_file(folder, extracts, folder / "out", index_date="2026-01-05", clinical=None, **observed)
    done = stratify("run", "--settings", settings, STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0, done.output
    said = {"said": done.output + done.stderr, "observed": [Path(each) for each in observed.values()]}
    return SimpleNamespace(out=folder / "out", scratch=folder / "scratch", **said)


def test_the_canaries_were_read(finished):
    """Or nothing below would mean anything."""
    with working_store(finished.out, finished.scratch) as store:
        aside = dict(store.rows("SELECT table_name, count(*) FROM audit.rejected_row GROUP BY ALL"))
        assert aside["patient"] >= 4 and aside["gp_event"] >= 4 and aside["gp_observation"] >= 5
        units = [unit for (unit,) in store.rows("SELECT DISTINCT unit_raw FROM core.gp_observation")]
        assert TEXT in units


def test_a_restricted_code_and_a_superseded_number_were_read_and_are_in_no_table(finished):
    """Counted among what may not land; the rows under the old number are person 9's, and its line of the trace held."""
    with working_store(finished.out, finished.scratch) as store:
        restricted = dict(store.rows("SELECT table_name, restricted_count FROM audit.source_file"))
        assert restricted["gp_event"] == restricted["gp_observation"] == 1
        key = privacy.pseudonym(KEY.encode(), extract_set.nhs(9))
        assert store.scalar("SELECT count(*) FROM core.apc_episode WHERE patient_key = ?", [key]) == 1
        traced = "SELECT rejected_count FROM audit.source_file WHERE table_name = 'nhs_number_trace'"
        assert store.scalar(traced) == 5
    held = database_text(finished.out / "restricted" / "run.duckdb")
    assert SUPERSEDED not in held and RESTRICTED not in held
    assert RESTRICTED not in database_text(finished.out / "restricted" / "identity.duckdb")


def test_explain_by_a_superseded_number_shows_no_number(finished, heard):
    done = stratify("explain", "--out", finished.out, "--nhs-number", SUPERSEDED, STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0 and "superseded" in done.stdout
    assert not _named(done.stdout) and extract_set.nhs(9) not in done.stdout.replace(" ", "")
    assert not _named("\n".join(heard.lines))


def test_source_check_says_nothing_of_what_stands_in_the_files(heard, tmp_path):
    """Neither of a folder that fits, nor of one whose header a row ran into."""
    folder = extract_set.write_set(tmp_path / "extracts", **planted(20))
    fits = stratify("source", "check", folder)
    assert "canonical" in fits.output and not _named(fits.output)
    path = folder / "patient.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("org_code", f"{SURNAME} {MISPLACED}", 1), encoding="utf-8")
    extract_set.write_manifest(folder, {each.name: each.stem for each in folder.iterdir() if each.stem != "manifest"})
    for chosen in ((), ("--source", "canonical")):
        unfit = stratify("source", "check", folder, *chosen)
        assert unfit.exit_code == 3 and not _named(unfit.output + unfit.stderr)
    assert not _named("\n".join(heard.lines))


def test_changing_the_key_shows_no_number_and_no_key_and_writes_none_down(finished, heard, tmp_path):
    out, new = tmp_path / "out", "another invented key of a test site, long enough 0123456789"
    shutil.copytree(finished.out, out, symlinks=True)
    keys = tmp_path / "ring"
    keys.write_text(f"current: new\nold: {KEY}\nnew: {new}\n", encoding="utf-8")
    keys.chmod(0o600)
    given = ("identity", "rotate", "--out", out)
    wrong = stratify(*given, "--from", "new", "--to", "old", STRATIFY_KEY_FILE=str(keys))
    done = stratify(*given, "--from", "old", "--to", "new", STRATIFY_KEY_FILE=str(keys))
    assert (wrong.exit_code != 0, done.exit_code) == (True, 0), done.output
    said = wrong.output + wrong.stderr + done.output + "\n".join(heard.lines)
    crosswalk = (out / "restricted" / "key_crosswalk.csv").read_text(encoding="utf-8")
    assert "pseudonyms are new" in done.output and crosswalk.count("\n") > PEOPLE
    assert not _named(said) and not _named(crosswalk)
    every_number = {extract_set.nhs(number) for number in range(1, PEOPLE)}
    assert not any(number in said + crosswalk for number in every_number)
    assert KEY not in said + crosswalk and new not in said + crosswalk


def test_nothing_misplaced_is_said_or_logged(finished, heard):
    assert "rows" in finished.said and "a line like any other" in heard.lines[0]
    assert not _named(finished.said)
    assert not _named("\n".join(heard.lines))


def test_great_expectations_gives_counts_and_nothing_misplaced(finished, heard):
    answers = "\n".join(heard.answers)
    assert len(heard.answers) > 20 and "unexpected_count" in answers
    assert not _named(answers)


def test_nothing_misplaced_is_published_outside_the_practice(finished):
    """Not on the data quality page, among unmatched codes, in the manifest, or in what commissioners get."""
    seen = set()
    for path in sorted((finished.out / "published").rglob("*")):
        if path.is_file() and "direct_care" not in path.parts:
            seen.add(path.name)
            assert not _named(all_text(path)), path.relative_to(finished.out)
    assert {"index.html", "unmatched_codes.csv", "run_manifest.json", "commissioner.duckdb"} <= seen
    assert {"practices.html", "supplier_report_TEST_2026-01-05.html", "supplier_report_TEST_2026-01-05.xlsx"} <= seen


def test_what_monitoring_reads_has_no_number_no_name_no_key_and_no_practice(finished):
    """Prometheus and OpenLineage files leave the machine with nobody asking who may read them."""
    metrics, lineage = (path.read_text(encoding="utf-8") for path in finished.observed)
    assert f"stratify_people {PEOPLE}" in metrics and '"eventType":"COMPLETE"' in lineage
    keys = [privacy.pseudonym(KEY.encode(), extract_set.nhs(number)) for number in range(PEOPLE)]
    hidden = [*keys, KEY, "ordinary", *(extract_set.nhs(number) for number in range(PEOPLE))]
    hidden += [each.name for each in (finished.out / "published" / "direct_care").iterdir()]
    for text in (metrics, lineage):
        assert not _named(text) and [each for each in hidden if each.lower() in text.lower()] == []


def test_a_verdict_that_blocks_shows_nothing_misplaced(heard, tmp_path):
    """With a dozen people, these are more bad rows than a run may have."""
    extracts = extract_set.write_set(tmp_path / "extracts", **planted(20))
    settings = settings_file(tmp_path, extracts, tmp_path / "out", index_date="2026-01-05", clinical=None)
    with counted_plainly():
        done = stratify("run", "--settings", settings, STRATIFY_IDENTITY_KEY=KEY)
    assert not _named(refusal(done, 4)) and not _named(done.stderr)
    assert not _named("\n".join(heard.lines))
    assert not (tmp_path / "out" / "published").exists()


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: text.replace("\n", "", 1), id="first_row_ran_into_the_header"),
        pytest.param(lambda text: text.split("\n", 1)[1], id="no_header"),
        pytest.param(lambda text: text.replace("ORDINARY3,", f'"{SURNAME},'), id="quote_never_closed"),
        pytest.param(lambda text: text + f"{SURNAME},{MISPLACED}", id="cut"),
        pytest.param(lambda text: text.replace("org_code", f"{SURNAME} {MISPLACED}", 1), id="in_the_header"),
    ],
)
def test_a_refused_file_shows_nothing_of_itself(heard, tmp_path, command, damage):
    extracts = extract_set.write_set(tmp_path / "extracts", **planted(20))
    path: Path = extracts / "patient.csv"
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    extract_set.write_manifest(
        extracts, {each.name: each.stem for each in extracts.iterdir() if each.stem != "manifest"}
    )
    arguments = ["--source", "synthetic_county", "--extracts", extracts, "--index-date", "2026-01-05"]
    if command == "run":
        arguments = [
            "--settings",
            settings_file(tmp_path, extracts, tmp_path / "out", index_date="2026-01-05", clinical=None),
        ]
    done = stratify(command, *arguments, STRATIFY_IDENTITY_KEY=KEY)
    message = refusal(done, 3)
    assert not _named(message) and "ORDINARY" not in message and extract_set.nhs(1) not in message
    assert not _named("\n".join(heard.lines))
