"""A small invented county through the whole weekly run by the command line, and back again by ``explain``."""

import csv
import json
import re
import stat
from datetime import date, datetime
from hashlib import sha256
from shutil import copy

import polars as pl
import pytest
from python_calamine import CalamineWorkbook

from stratify import audit_trail, metric_run, pipeline, runs, taken_over
from stratify.publish.commissioner import TABLES
from stratify.rulebook import load_rule_book
from stratify.run_record import publish_context
from stratify.schemas import RunManifest
from stratify.settings import Settings
from stratify.store import open_store
from stratify.wording import load_wording
from whole_runs import (
    KEY,
    OBJECTIONS_HONOURED,
    all_text,
    counted_plainly,
    line_of,
    same_files,
    settings_file,
    sheet,
    stratify,
    workbooks,
    working_store,
)

INDEX_DATE = "2026-11-02"
CLINICS = {
    "assessment",
    "call",
    "care_home_round",
    "clinician_review",
    "community_matron",
    "copd_clinic",
    "diabetes_checks",
    "diabetes_gp_pharmacist",
    "diabetes_meeting",
    "diabetes_nurse",
    "diabetes_pharmacist",
    "diabetes_specialist",
    "feedback",
    "frailty_clinic",
    "palliative_review",
    "self_management",
    "letters",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weekly")


@pytest.fixture(scope="module")
def extracts(folder):
    done = stratify("synth", "--out", folder / "extracts", "--people", 1200, "--practices", 3)
    assert done.exit_code == 0, done.output
    return folder / "extracts"


@pytest.fixture(scope="module")
def out(folder):
    return folder / "out"


@pytest.fixture(scope="module")
def first(folder, extracts, out):
    """The run everybody here looks at, with everything a run does."""
    settings = settings_file(folder / "first", extracts, out, index_date=date(2026, 11, 2), clinical=None)
    done = stratify("run", "--settings", settings, STRATIFY_THREADS="2", STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def published(first, out):
    return out / "published"


@pytest.fixture(scope="module")
def manifest(published):
    return RunManifest.model_validate_json((published / "run_manifest.json").read_text(encoding="utf-8"))


def _capacity(book, name="Cover"):
    rows = CalamineWorkbook.from_path(book).get_sheet_by_name(name).to_python()
    return next((int(row[1]) for row in rows if row[0] == "All sessions"), None)


# What is published


NAMES = {
    "feedback": ("feedback_form",),
    "self_management": ("offers",),
    "letters": ("by_hand", "letters", "message", "messages_emis_", "no_letter"),
}


def test_the_tree_is_the_one_the_documents_name(published):
    assert {each.name for each in published.iterdir()} == {
        "direct_care",
        "secondary_use",
        "data_quality",
        "run_manifest.json",
    }
    tables = [name.removeprefix("out.") for name in TABLES]
    there = {"commissioner.duckdb", "manifest.json", "scorecard.csv", "SHA256SUMS"}
    there |= {"dashboard.html", "public_summary.html"}
    there |= {f"{each}.parquet" for each in tables}
    assert {each.name for each in (published / "secondary_use").iterdir()} == there
    sums = (published / "secondary_use" / "SHA256SUMS").read_text("utf-8").splitlines()
    assert {line.split("  ")[1] for line in sums} == there - {"SHA256SUMS"}  # what is signed is everything
    practices = {each.name for each in (published / "direct_care").iterdir()}
    assert practices == {"Y00001", "Y00002", "Y00003"}
    pages = set((published / "direct_care").glob(f"*/team_page_TEST_{INDEX_DATE}.html"))
    assert len(pages) == 3
    for path in {*(published / "direct_care").rglob("*")} - pages:
        parts = path.relative_to(published / "direct_care").parts
        assert len(parts) == 1 or parts[1] in CLINICS
        if path.is_file():
            kinds = NAMES.get(parts[1], ("clinic_list", "meeting_pack", "roster"))
            assert path.name.split(f"_TEST_{INDEX_DATE}.")[0].startswith(kinds)


def test_the_command_says_what_it_did_and_progress_goes_to_standard_error(first, manifest):
    assert f"Run {manifest.run_id} (TEST: invented people), {INDEX_DATE}" in first.stdout
    assert "Reading the extract files" not in first.stdout
    assert re.search(r"Reading the extract files: \d+\.\d s", first.stderr)


def test_the_manifest_accounts_for_every_row_person_and_file(manifest, published):
    assert manifest.is_test and manifest.index_date == INDEX_DATE
    assert all(each.received_count == each.loaded_count + each.rejected_count for each in manifest.inputs)
    assert sum(each.rejected_count for each in manifest.inputs) > 0  # the county has dirt in it
    placed = [each for each in manifest.decisions if each.pathway not in manifest.rules.drafts]
    on_pathways = sum(each.people for each in placed if each.decision != "not_eligible")
    assert on_pathways == sum(each.people for each in manifest.placements)
    listed = {each.file for each in manifest.outputs}
    there = {path.relative_to(published).as_posix() for path in published.rglob("*") if path.is_file()}
    assert there - listed == {"run_manifest.json"} and listed <= there


def test_no_list_is_longer_than_its_clinic_has_places(published):
    """The places are those of the capacity file: the slots of the scarcest role, summed over the week."""
    seen = 0
    for path in workbooks(published):
        places = _capacity(path)
        if places is not None:
            seen += 1
            assert len(sheet(path, "List")) <= places
    assert seen >= 6


def test_every_row_has_a_reason_with_a_date_and_room_for_the_decision(published):
    rows = [row for path in workbooks(published) for row in sheet(path, "List")]
    assert len(rows) >= 30
    for row in rows:
        assert re.search(r"\d{1,2} [A-Z][a-z]+ \d{4}", str(row["Why on this list"]) + str(row["Data gaps"])), row
        assert row["Decision"] == row["Outcome"] == row["Decided by"] == row["Reason for decision"] == ""
        assert re.fullmatch(r"([0-9A-F]{4}-){2}[0-9A-F]{4}", str(row["Row reference"]))


def test_nobody_is_in_the_files_of_a_practice_that_is_not_theirs(published, out, folder, first):
    with open_store(out / "restricted" / "run.duckdb", temp_directory=folder / "scratch", read_only=True) as store:
        store.attach(out / "restricted" / "identity.duckdb", "identity", read_only=True)
        home = dict(
            store.rows(
                "SELECT i.nhs_number, p.practice_code FROM identity.person AS i JOIN core.person AS p "
                "USING (patient_key) WHERE i.nhs_number IS NOT NULL"
            )
        )
    found = 0
    pages = (published / "direct_care").rglob("team_page_*.html")
    for path in [*workbooks(published), *(published / "direct_care").rglob("*.csv"), *pages]:
        practice = path.relative_to(published / "direct_care").parts[0]
        for number in re.findall(r"\b999 \d{3} \d{4}\b", all_text(path)):
            found += 1
            assert home[number.replace(" ", "")] == practice
    assert found >= 100


def test_everybody_on_a_pathway_of_a_practice_is_in_its_files_once_for_each_list(published):
    """One row a person: listed, waiting, or not listed and why."""
    for path in workbooks(published):
        listed = [row["Row reference"] for row in sheet(path, "List")]
        others = [row["Row reference"] for row in sheet(path, "Not listed and why")]
        assert len({*listed, *others}) == len(listed) + len(others)
        assert {row["Row reference"] for row in sheet(path, "Waiting")} <= set(others)


def test_the_offers_open_in_a_spreadsheet_without_starting_a_formula(published):
    paths = sorted((published / "direct_care").rglob("offers_*.csv"))
    assert len(paths) == 3
    for path in paths:
        content = path.read_bytes()
        assert content.startswith(b"\xef\xbb\xbf") and content.endswith(b"\r\n")
        assert not re.search(rb'(^|,)"[=+@-]', content, re.MULTILINE)


def test_the_commissioners_file_has_no_small_number_and_explains_itself(published, folder):
    path = published / "secondary_use" / "commissioner.duckdb"
    with open_store(path, temp_directory=folder / "scratch", read_only=True) as store:
        tables = {name for (name,) in store.rows("SELECT table_name FROM duckdb_tables()")}
        assert tables == {name.removeprefix("out.") for name in TABLES}
        for table, column in (
            ("pathway_count", "people_count"),
            ("population", "people_count"),
            ("metric_value", "numerator"),
            ("metric_value", "denominator"),
        ):
            counts = [count for (count,) in store.rows(f"SELECT {column} FROM {table}")]
            shown = [count for count in counts if count is not None]
            assert shown and all(count == 0 or count > 7 for count in shown)
            assert all(count % 5 == 0 for count in shown)
            hidden = store.rows(f"SELECT count(*) FROM {table} WHERE {column} IS NULL AND NOT is_suppressed")
            assert hidden == [(0,)]
        assert any(count is None for (count,) in store.rows("SELECT people_count FROM pathway_count"))
        bare = "SELECT count(*) FROM {} WHERE NOT internal AND coalesce(comment, '') = ''"
        assert store.scalar(bare.format("duckdb_columns()")) == store.scalar(bare.format("duckdb_tables()")) == 0
        about = dict(store.rows("SELECT topic, detail FROM about"))
        assert any(topic.endswith("TEST") for topic in about)


def test_published_admissions_are_those_of_the_core_tables_counted_once_more(out, published, folder, first):
    """By plain loops: an admission counts at the practice of its day, everybody but whoever objected."""
    with working_store(out, folder / "scratch") as store:
        may = dict(
            store.rows(
                "SELECT patient_key, sex FROM core.person WHERE may_be_counted AND person_status <> 'test_patient'"
            )
        )
        homes: dict[str, list[tuple[date, date, str]]] = {}
        for key, practice, start, end in store.rows(
            "SELECT patient_key, practice_code, coalesce(start_date, DATE '1900-01-01'), "
            "coalesce(end_date, DATE '9999-12-31') FROM core.registration WHERE registration_type = 'REGULAR'"
        ):
            homes.setdefault(key, []).append((start, end, practice))
        networks = dict(store.rows("SELECT practice_code, pcn_code FROM core.practice"))
        spells = store.rows("SELECT patient_key, admission_date FROM core.apc_spell WHERE is_emergency")
    counted: dict[tuple[str, str, str, str], int] = {}
    for key, day in spells:
        at = max(((start, home) for start, end, home in homes.get(key, ()) if start <= day < end), default=None)
        if key not in may or at is None or not date(2025, 9, 1) <= day <= date(2026, 8, 31):
            continue
        sex = may[key] if may[key] in ("F", "M") else "not known"
        for kind, code in (("practice", at[1]), ("pcn", networks[at[1]]), ("icb", "QZZ")):
            for cell in ((kind, code, "all", "all"), (kind, code, "sex", sex)):
                counted[cell] = counted.get(cell, 0) + 1
    path = published / "secondary_use" / "commissioner.duckdb"
    with open_store(path, temp_directory=folder / "scratch", read_only=True) as store:
        rows = store.rows(
            "SELECT geography_type, geography_code, breakdown, breakdown_value, numerator FROM metric_value "
            "WHERE metric = 'emergency_admissions' AND status = 'final' AND breakdown IN ('all', 'sex')"
        )
    shown = {tuple(cell): number for *cell, number in rows if number is not None}
    assert len(shown) >= 5
    assert shown == {cell: (counted.get(cell, 0) + 2) // 5 * 5 for cell in shown}
    assert all(counted.get(cell, 0) not in range(1, 8) for cell in shown)


def test_the_eight_care_processes_are_those_that_the_score_counts(out, folder, first):
    """The score counts what is still to do: eight less that, added up over everybody, is what was done."""
    plan = runs.plan_in_place(out)
    book = load_rule_book()
    with working_store(out, folder / "scratch") as store:
        store.attach(out / "restricted" / "identity.duckdb", "identity", read_only=True)
        found = metric_run.count_metrics(store, plan, publish_context(store, plan, book), book)
        scored = dict(
            store.rows(
                "SELECT patient_key, value FROM derived.patient_score "
                "WHERE score = 'diabetes_care_processes_8' AND tier IS NOT NULL"
            )
        )
    eight = [each.subject for each in found.rows if each.metric.startswith("diabetes_") and "eight" not in each.metric]
    done = found.counts.filter(pl.col("subject").is_in(eight) & (pl.col("part") == "numerator"))["people_count"].sum()
    mine = [scored[key] for key in found.people["patient_key"] if key in scored]
    assert len(eight) == 8 and len(mine) > 20
    assert done == sum(8 - value for value in mine)


def test_every_output_says_that_it_is_a_test(published, manifest):
    for path in published.rglob("*"):
        if path.is_file() and path.parts[-2] != "data_quality" and path.suffix != ".duckdb":
            assert "TEST" in path.name or manifest.is_test
    for path in workbooks(published):
        assert str(CalamineWorkbook.from_path(path).get_sheet_by_name("Cover").to_python()[0][0]).startswith("TEST")
    assert "TEST" in (published / "data_quality" / "index.html").read_text(encoding="utf-8")


def test_the_data_quality_pages_ask_nothing_of_the_network(published):
    pages = sorted((published / "data_quality").glob("*.html"))
    assert len(pages) == 5  # the run, its practices, who is reached, what was said of lists, what the supplier is told
    page = "".join(each.read_text(encoding="utf-8") for each in pages)
    assert not re.findall(r"(?:src|href|action|url)\s*[=(]\s*[\"']?(?:https?:)?//", page, re.IGNORECASE)
    assert "<script" not in page and "@import" not in page


def test_only_the_owner_may_open_what_is_restricted(out, first):
    restricted = (out / "restricted").resolve()
    assert stat.S_IMODE(restricted.stat().st_mode) == 0o700
    names = {"run.duckdb", "identity.duckdb", "plan.json", "key.json", "work.json", "practice_history.csv"}
    assert {path.name for path in restricted.iterdir()} == names | {"memory", "loaded"}
    for path in restricted.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.is_file() else 0o700), path.name


# The same again


def test_the_same_run_elsewhere_on_one_thread_gives_the_same_bytes(folder, extracts, published, manifest):
    settings = settings_file(
        folder / "again", extracts, folder / "again" / "out", index_date=date(2026, 11, 2), clinical=None
    )
    with counted_plainly():
        done = stratify("run", "--settings", settings, STRATIFY_THREADS="1", STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0, done.output
    assert f"Run {manifest.run_id} " in done.stdout
    same_files(published, folder / "again" / "out" / "published")


def test_another_date_key_policy_name_or_manifest_is_another_run(folder, extracts, manifest, monkeypatch):
    """Nothing is loaded to know the id; a changed manifest alone moves the day the data go up to."""
    monkeypatch.setattr(runs, "run_examples", lambda book: [])
    given = {
        "extracts": extracts,
        "source": "synthetic_county",
        "out": folder / "ids",
        "index_date": INDEX_DATE,
        "organisation": "Invented Board",
        "contact": "Ring the invented desk",
        "privacy": OBJECTIONS_HONOURED,
        "other_scores": False,
    }
    later = folder / "later"
    later.mkdir()
    for path in extracts.iterdir():
        (later / path.name).write_bytes(path.read_bytes().replace(b",2026-11-01,false,", b",2026-10-31,false,"))
    for path in later.iterdir():
        if path.name != "manifest.csv":
            path.write_bytes((extracts / path.name).read_bytes())

    def run_id(key=KEY, **changes):
        return runs.prepare(Settings.model_validate(given | changes), key=key.encode()).run_id

    assert run_id() == manifest.run_id
    assert run_id(out=folder / "other", threads=1, memory_limit="2GB") == manifest.run_id
    ids = [
        run_id(index_date="2026-11-03"),
        run_id(key=KEY + "x"),
        run_id(privacy=OBJECTIONS_HONOURED | {"local": "exempt"}),
        run_id(organisation="Another Board"),
        run_id(other_scores=True),
        run_id(extracts=later),
    ]
    assert len({manifest.run_id, *ids}) == 7


# Back from the list to the file


def _rows(published, clinic, name):
    return [row for path in workbooks(published) if path.parent.name == clinic for row in sheet(path, name)]


@pytest.mark.parametrize(
    ("clinic", "name", "words"),
    [
        pytest.param("copd_clinic", "Waiting", "This week: waiting Multi-professional COPD clinic", id="copd_waiting"),
        pytest.param("frailty_clinic", "List", "This week: listed Multi-professional frailty", id="frailty_listed"),
    ],
)
def test_explain_goes_from_a_row_of_a_list_to_lines_of_the_files(published, out, extracts, clinic, name, words):
    """What it says of each line (code, date) stands on that line of that file."""
    row = _rows(published, clinic, name)[0]
    done = stratify("explain", "--out", out, "--reference", row["Row reference"], STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0, done.output
    text = done.stdout
    assert "TEST: invented people" in text and "Decision support only" in text
    assert words in text
    number = str(row["NHS number"]).replace(" ", "")
    [(file, line)] = re.findall(r"^  from (\S+) line (\d+)$", text, re.MULTILINE)
    person = line_of(extracts / file, int(line))
    assert person["nhs_number"].replace(" ", "").replace("-", "") == number
    # Somebody who moved has a record at either practice; the evidence may come from both.
    with (extracts / "patient.csv").open(encoding="utf-8", newline="") as opened:
        records = {
            (each["org_code"], each["source_patient_id"])
            for each in csv.DictReader(opened)
            if each["nhs_number"].replace(" ", "").replace("-", "") == number
        }
    sources = re.findall(r"^ {6}(\d+ \w+ \d{4}).*, code (\w+): (\S+) line (\d+)$", text, re.MULTILINE)
    assert len(sources) >= 3
    for day, code, file, line in sources:
        cells = line_of(extracts / file, int(line))
        # The hospital frailty score reads the first three characters of an ICD-10 code.
        assert any(cell.replace(".", "").startswith(code) for cell in cells.values()), (file, line)
        assert any(cell.startswith(_iso(day)) for cell in cells.values()), (file, line, day)
        if "source_patient_id" in cells:
            assert (cells["org_code"], cells["source_patient_id"]) in records
        else:
            assert cells["nhs_number"] == person["nhs_number"]


def _iso(day):
    return datetime.strptime(day, "%d %B %Y").date().isoformat()


def test_explain_by_nhs_number_says_the_same(published, out):
    row = _rows(published, "frailty_clinic", "List")[0]
    by_reference = stratify("explain", "--out", out, "--reference", row["Row reference"], STRATIFY_IDENTITY_KEY=KEY)
    by_number = stratify("explain", "--out", out, "--nhs-number", row["NHS number"], STRATIFY_IDENTITY_KEY=KEY)
    assert by_number.exit_code == 0 and by_number.stdout == by_reference.stdout
    assert str(row["NHS number"]) not in by_number.stdout and str(row["Family name"]) not in by_number.stdout


def test_the_audit_trail_says_what_was_done_and_to_nobody(published, out, manifest):
    row = _rows(published, "frailty_clinic", "List")[0]
    for asked in (["--reference", row["Row reference"]], ["--nhs-number", row["NHS number"]]):
        done = stratify("explain", "--out", out, *asked, "--because", "complaint", STRATIFY_IDENTITY_KEY=KEY)
        assert done.exit_code == 0, done.output
    lines = audit_trail.read(out)
    assert audit_trail.faults(lines) == []
    run = next(each.entry["details"] for each in lines if each.entry["details"]["state"] == "done")
    assert run["run_id"] == manifest.run_id and run["rows_loaded"] == sum(each.loaded_count for each in manifest.inputs)
    whole = (published / "run_manifest.json").read_bytes()
    assert run["manifest_sha256"] == sha256(whole).hexdigest()
    looked_up = [each.entry["details"] for each in lines if each.entry["act"] == "explanation"][-4:]
    assert [each["state"] for each in looked_up] == ["begun", "done"] * 2
    assert [each["asked_by"] for each in looked_up[::2]] == ["reference", "NHS number"]
    assert looked_up[0]["because"] == "complaint"
    text = (out / "audit" / "trail.jsonl").read_text(encoding="utf-8")
    for told in (row["Row reference"], row["NHS number"], str(row["NHS number"]).replace(" ", ""), row["Family name"]):
        assert str(told) not in text


def test_explain_knows_every_reference_of_every_list_and_offer(published, out, folder):
    """References are worked out here as the publisher does; each must lead back to one person."""
    references = {row["Row reference"] for path in workbooks(published) for row in sheet(path, "Not listed and why")}
    offers = next((published / "direct_care").rglob("offers_*.csv")).read_text(encoding="utf-8-sig").splitlines()
    for reference in [sorted(references)[0], offers[1].split(",")[0].strip('"')]:
        done = stratify("explain", "--out", out, "--reference", reference.lower(), STRATIFY_IDENTITY_KEY=KEY)
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("arguments", "key", "exit_code", "words"),
    [
        pytest.param(["--nhs-number", "9990000018"], {}, 7, "found nothing. Set it", id="no_key"),
        pytest.param(
            ["--nhs-number", "9990000018"], {"STRATIFY_IDENTITY_KEY": KEY[::-1]}, 7, "another key", id="wrong_key"
        ),
        pytest.param(
            ["--nhs-number", "9990000018"],
            {"STRATIFY_IDENTITY_KEY": KEY},
            9,
            "nobody with that NHS number",
            id="unknown_person",
        ),
        pytest.param(
            ["--reference", "0000-0000-0000"], {"STRATIFY_IDENTITY_KEY": KEY}, 9, "References change", id="unknown_row"
        ),
        pytest.param(["--nhs-number", "12345"], {"STRATIFY_IDENTITY_KEY": KEY}, 2, "ten digits", id="no_number"),
    ],
)
def test_explain_refuses_in_one_message(out, first, arguments, key, exit_code, words):
    done = stratify("explain", "--out", out, *arguments, **key)
    assert done.exit_code == exit_code and done.stdout == ""
    assert words in done.stderr and "9990000018" not in done.stderr and len(done.stderr.splitlines()) == 1


def test_explain_of_a_folder_without_a_run_says_so(tmp_path):
    done = stratify("explain", "--out", tmp_path, "--nhs-number", "9990000018", STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 8 and "expected a finished run" in done.stderr


@pytest.mark.parametrize("parts", [1, 2, 7, 64])
def test_reasons_do_not_depend_on_how_many_people_are_worked_out_together(
    first, out, folder, tmp_path, monkeypatch, parts
):
    """What the run wrote of them all at once, against the same people in so many parts."""
    copy(out / "restricted" / "run.duckdb", tmp_path / "run.duckdb")
    plan, book = runs.plan_in_place(out), load_rule_book()
    with open_store(tmp_path / "run.duckdb", temp_directory=tmp_path / "scratch") as store:
        written = [store.rows(f"FROM derived.{name}") for name in ("reason", "explanation")]
        changes = store.frame("SELECT patient_key, pathway, off_list_when FROM derived.explanation")
        people = store.scalar("SELECT count(DISTINCT patient_key) FROM derived.reason")
        monkeypatch.setattr(pipeline, "_PEOPLE_AT_ONCE", -(-people // parts))
        known = taken_over.Shown.of(store, ())
        pipeline._put_into_words(store, book, changes, load_wording(plan.settings.clinical).plain, known)
        again = [store.rows(f"FROM derived.{name}") for name in ("reason", "explanation")]
    assert len(written[0]) > people and again == written


def test_someone_left_out_of_the_lists_has_an_explanation_too(published, out, folder, first):
    with working_store(out, folder / "scratch") as store:
        [(key, reason)] = store.rows(
            "SELECT patient_key, placement_reason FROM derived.placement WHERE placement = 'not_listed' "
            "ORDER BY ALL LIMIT 1"
        )
    identity = open_store(out / "restricted" / "identity.duckdb", temp_directory=folder / "scratch", read_only=True)
    with identity as store:
        number = store.scalar("SELECT nhs_number FROM person WHERE patient_key = $1", [key])
    done = stratify("explain", "--out", out, "--nhs-number", number, STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0 and "not_listed" in done.stdout and reason in done.stdout


def test_the_published_manifest_is_json_for_others_too(published):
    content = json.loads((published / "run_manifest.json").read_text(encoding="utf-8"))
    assert content["privacy"]["purpose"] == "case_finding"
    assert [each["file_name"] for each in content["inputs"]] == sorted(each["file_name"] for each in content["inputs"])
