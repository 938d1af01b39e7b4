"""Bad rows, objections and planted canaries through whole runs: what happens to each person, and where each is named.

Everybody here has COPD; what a person's row is about is in the name. Around them live healthy people, so that bad rows
stay under the share that holds a list or stops a run, and counts above the numbers that are hidden.
"""

import logging
import re
from collections import defaultdict
from types import SimpleNamespace

import pytest

from stratify.codes import nhs_check_digit
from whole_runs import (
    KEY,
    OBJECTIONS_HONOURED,
    all_text,
    counted_plainly,
    database_text,
    extract_set,
    refusal,
    settings_file,
    sheet,
    stratify,
    workbooks,
    working_store,
)

HEALTHY = 300
HBA1C = "1049321000000109"
MRC_GRADES = {1: "391120009", 2: "391123006", 5: "391126003"}
CANARY_DATE = "CANARY-DATE-31"
CANARY_UNIT = "CANARYUNIT"
NAMES = (
    "severe",
    "other_practice",
    "mild",
    "litres",
    "litres_without_unit",
    "future",
    "sentinel",
    "no_date",
    "twice_different",
    "twice_the_same",
    "wrong_number",
    "lost_practice",
    "hba1c_percent",
    "type_1",
    "national",
    "local",
    "unchecked",
    "stale_check",
)
PLACE = {name: number for number, name in enumerate(NAMES, 2)}
"""Line of each person in patient.csv, and the number of their records."""

OBJECTORS = {
    "type_1": "Type 1 opt-out",
    "national": "national data opt-out",
    "local": "local objection to risk stratification",
    "unchecked": "national opt-out not checked",
    "stale_check": "national opt-out not checked",
}


def _number(name):
    """An NHS number of the test range; one has a wrong check digit."""
    number = extract_set.nhs(PLACE[name])
    return number if name != "wrong_number" else number[:9] + str((nhs_check_digit(number[:9]) + 1) % 10)


def _tables():
    rows = defaultdict(list)
    rows["practice"] = [
        extract_set.practice(),
        extract_set.practice(practice_code="A10002", practice_name="Other Surgery"),
    ]
    rows["clinic_capacity"] = [
        extract_set.capacity(clinic_date="2026-01-06", venue="Test Hall"),
    ]

    def record(name, table, row):
        rows[table].append({**row, "source_patient_id": f"p-{name}"})
        return rows[table][-1]

    for name in NAMES:
        home = {"other_practice": "A10002", "lost_practice": "A10099"}.get(name, "A10001")
        person = extract_set.patient(
            f"p-{name}",
            nhs_number=_number(name),
            family_name=f"CANARY{name}".upper().replace("_", ""),
            given_names="CANARYGIVEN",
            address_lines="1 CANARYSTREET",
            email=f"CANARYMAIL{PLACE[name]}@example.org",
        )
        rows["patient"].append(person)
        rows["registration"].append(extract_set.registration(f"p-{name}", practice_code=home))
        if name not in ("unchecked", "wrong_number"):
            checked = "2025-12-01 00:00:00" if name == "stale_check" else "2026-01-02 00:00:00"
            opted_out = "true" if name == "national" else "false"
            rows["opt_out"].append(extract_set.opt_out("NDO", opted_out, nhs_number=_number(name), checked_at=checked))
        if name in ("type_1", "local"):
            kind = "TYPE1" if name == "type_1" else "RISK_STRAT_LOCAL"
            rows["opt_out"].append(extract_set.opt_out(kind, nhs_number=_number(name)))
        record(name, "gp_event", extract_set.event(f"copd-{name}"))
        grade = extract_set.event(f"mrc-{name}", snomed_code=MRC_GRADES[1], effective_date="2025-06-01")
        record(name, "gp_event", grade)
        fev1 = record(name, "gp_observation", extract_set.observation(f"fev1-{name}", value_num="25"))
        if name in ("mild", "litres", "litres_without_unit", "hba1c_percent"):
            fev1["value_num"] = "85"
        if name.startswith("litres"):
            fev1 |= {"value_num": "0.9", "unit_raw": "L" if name == "litres" else ""}
        if name in ("future", "sentinel", "no_date"):
            fev1["effective_date"] = {"future": "2027-01-01", "sentinel": "1900-01-01", "no_date": CANARY_DATE}[name]
        if name.startswith("twice"):
            again = {**fev1, "value_num": "85"} if name == "twice_different" else dict(fev1)
            rows["gp_observation"].append(again)
        if name == "hba1c_percent":
            value = extract_set.observation(f"hba1c-{name}", snomed_code=HBA1C, value_num="7.1", unit_raw="%")
            record(name, "gp_observation", value)
        if name == "severe":
            odd = extract_set.observation("odd", value_num="9", unit_raw=CANARY_UNIT, snomed_code=extract_set.COPD)
            record(name, "gp_observation", odd)
        if name == "severe":
            for number, text in enumerate(("CANARYNAME rang", extract_set.nhs(900), "L0CAL.1")):
                local = extract_set.event(
                    f"local-{number}", snomed_code="", original_code=text, original_system="LOCAL"
                )
                record(name, "gp_event", local)
    for number in range(HEALTHY):
        name = f"well-{number}"
        nhs_number = extract_set.nhs(1_000 + number)
        home = "A10001" if number % 2 else "A10002"
        rows["patient"].append(
            extract_set.patient(f"p-{name}", nhs_number=nhs_number, family_name=f"WELL{number}", email="", postcode="")
        )
        rows["registration"].append(extract_set.registration(f"p-{name}", practice_code=home))
        rows["opt_out"].append(extract_set.opt_out("NDO", "false", nhs_number=nhs_number))
        record(name, "gp_event", extract_set.event(f"e-{name}", snomed_code="38341003", snomed_term="Hypertension"))
        record(name, "gp_observation", extract_set.observation(f"o-{name}"))
        record(name, "gp_medication", extract_set.medication(f"m-{name}"))
    return dict(rows)


@pytest.fixture(scope="module")
def tables():
    return _tables()


@pytest.fixture(scope="module")
def extracts(tables, tmp_path_factory):
    return extract_set.write_set(tmp_path_factory.mktemp("planted") / "extracts", **tables)


def _finished(folder, extracts, **privacy):
    lines = []
    listener = logging.Handler(logging.NOTSET)
    listener.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger().addHandler(listener)
    settings = settings_file(
        folder, extracts, folder / "out", index_date="2026-01-05", privacy=OBJECTIONS_HONOURED | privacy
    )
    try:
        with counted_plainly():
            done = stratify("run", "--settings", settings, STRATIFY_IDENTITY_KEY=KEY)
    finally:
        logging.getLogger().removeHandler(listener)
    assert done.exit_code == 0, done.output
    with working_store(folder / "out", folder / "scratch") as store:
        store.attach(folder / "out" / "restricted" / "identity.duckdb", "identity", read_only=True)
        yield SimpleNamespace(
            out=folder / "out",
            published=folder / "out" / "published",
            store=store,
            said=done.output + done.stderr + "\n".join(lines),
        )


@pytest.fixture(scope="module")
def found(extracts, tmp_path_factory):
    """Case finding, every objection honoured."""
    yield from _finished(tmp_path_factory.mktemp("case_finding"), extracts)


@pytest.fixture(scope="module")
def cared(extracts, tmp_path_factory):
    """Direct care: nobody is left off the lists of their own practice."""
    yield from _finished(tmp_path_factory.mktemp("direct_care"), extracts, purpose="direct_care")


def _copd(run, name):
    """Give what the COPD pathway decided for a person, and where that leads this week."""
    return run.store.rows(
        "SELECT d.decision, p.placement, p.placement_reason, d.data_gaps FROM derived.pathway_decision AS d "
        "JOIN derived.placement AS p USING (patient_key, pathway) JOIN core.person AS c USING (patient_key) "
        "JOIN audit.source_file AS f ON f.source_file_id = c.source_file_id "
        "WHERE d.pathway = 'copd' AND f.file_name = 'patient.csv' AND c.source_row = $1",
        [PLACE[name]],
    )


def _rejected(run, table):
    return run.store.rows(
        "SELECT rule_id, file_name, source_row, r.column_name, scope FROM audit.rejected_row AS r "
        "JOIN audit.source_file USING (source_file_id) WHERE r.table_name = $1 ORDER BY source_row, rule_id",
        [table],
    )


def _line(tables, table, identifier, key="source_event_id", last=False):
    lines = [line for line, row in enumerate(tables[table], 2) if row[key] == identifier]
    return lines[-1 if last else 0]


# Rows


def test_somebody_with_severe_copd_and_a_clinic_is_listed(found):
    [(decision, placement, _, gaps)] = _copd(found, "severe")
    assert (decision, placement) == ("clinic", "listed") and not gaps


def test_somebody_mild_is_offered_the_app(found):
    assert [row[:2] for row in _copd(found, "mild")] == [("self_management", "offered")]


@pytest.mark.parametrize("name", ["litres", "litres_without_unit", "future", "sentinel", "no_date", "twice_different"])
def test_an_fev1_that_cannot_be_used_leads_to_an_assessment_and_to_no_other_route(found, name):
    """0.9 read as percent would be group 1; left out unsaid, with MRC grade 1, it would be an app."""
    [(decision, placement, _, gaps)] = _copd(found, name)
    assert (decision, placement) == ("assessment", "listed")
    assert "No FEV1 of the last 24 months that can be used" in gaps


def test_a_row_sent_twice_counts_once_and_still_counts(found):
    assert _copd(found, "twice_the_same")[0][:2] == ("clinic", "listed")


def test_every_row_set_aside_is_named_by_rule_file_and_line(found, tables):
    def fev1(name, last=False):
        return _line(tables, "gp_observation", f"fev1-{name}", last=last)

    file = "gp_observation.csv"
    assert _rejected(found, "gp_observation") == sorted(
        [
            ("GPO-08-future", file, fev1("future"), "effective_date", "value"),
            ("GPO-08-sentinel", file, fev1("sentinel"), "effective_date", "value"),
            ("GPO-08-type", file, fev1("no_date"), "effective_date", "value"),
            ("GPO-81-date", file, fev1("no_date"), None, "row"),
            ("GPO-89-duplicate", file, fev1("twice_different"), None, "row"),
            ("GPO-89-duplicate", file, fev1("twice_different", last=True), None, "row"),
            ("GPO-89-repeat", file, fev1("twice_the_same", last=True), None, "row"),
        ],
        key=lambda row: (row[2], row[0]),
    )
    assert _rejected(found, "patient") == [
        ("PAT-86-nhs-number", "patient.csv", PLACE["wrong_number"], "nhs_number", "value")
    ]
    counts = found.store.rows(
        "SELECT received_count, loaded_count, rejected_count FROM audit.source_file WHERE table_name = 'gp_observation'"
    )
    received = len(tables["gp_observation"])
    assert counts == [(received, received - 4, 4)]


def test_values_that_are_not_used_are_counted_by_reason_and_said(found):
    statuses = found.store.rows(
        "SELECT measurement, value_status, count(*) FROM core.gp_observation WHERE measurement IS NOT NULL "
        "AND value_status <> 'ok' GROUP BY ALL ORDER BY ALL"
    )
    assert statuses == [
        ("fev1_percent_predicted", "unit_conflict", 1),
        ("fev1_percent_predicted", "unit_missing", 1),
        ("hba1c", "unit_conflict", 1),
    ]
    assert (
        "values kept but not used: 1 fev1_percent_predicted: unit conflict, 1 fev1_percent_predicted: unit missing"
        in found.said
    )


def test_hba1c_in_percent_under_the_code_of_mmol_mol_reaches_no_value(found):
    """7.1 % is 54 mmol/mol; read as mmol/mol it would be a coma. No definition reads HbA1c as a number yet."""
    rows = found.store.rows(
        "SELECT value_canonical, coalesce(value_status, 'not read') FROM core.gp_observation WHERE snomed_code = $1",
        [HBA1C],
    )
    assert rows == [(None, "unit_conflict")]
    assert "1 hba1c: unit conflict" in found.said
    assert _copd(found, "hba1c_percent")[0][:2] == ("self_management", "offered")


def test_somebody_with_a_wrong_nhs_number_is_listed_without_it_and_as_not_linked(found):
    [(decision, placement, _, _)] = _copd(found, "wrong_number")
    assert (decision, placement) == ("clinic", "listed")
    [row] = [
        row for path in workbooks(found.published) for row in sheet(path, "List")
        if row["Family name"] == "CANARYWRONGNUMBER"
    ]  # fmt: skip
    assert row["NHS number"] == "" and "Hospital data not linked" in str(row["Data gaps"])


def test_somebody_of_a_practice_outside_the_reference_waits_is_warned_of_and_is_counted_nowhere(found):
    """They are that practice's own, so its list names them; no network is known to count them in."""
    assert _copd(found, "lost_practice")[0][:2] == ("clinic", "waiting")
    assert "1 practice_unknown" in found.said
    [(failed, verdict)] = found.store.rows(
        "SELECT failed_count, verdict FROM audit.quality_result WHERE table_name = 'core.person' "
        "AND rule_id = 'CPER-81-practice'"
    )
    assert (failed, verdict) == (1, "warn")
    assert "A10099" not in all_text(found.published / "secondary_use" / "commissioner.duckdb")


def test_somebody_whose_practice_has_no_session_waits_and_the_list_says_why(found):
    [(decision, placement, reason, _)] = _copd(found, "other_practice")
    assert (decision, placement) == ("clinic", "waiting")
    words = "No session of Multi-professional COPD clinic is planned for this practice in the coming week"
    assert reason == words
    [path] = (found.published / "direct_care" / "A10002" / "copd_clinic").glob("*.xlsx")
    [row] = sheet(path, "Waiting")
    assert row["Family name"] == "CANARYOTHERPRACTICE" and row["Why waiting"] == words
    assert sheet(path, "List") == []


def test_codelists_that_match_nothing_in_the_data_are_named(found):
    """A codelist of wrong codes finds nobody, and nobody would be missed: the run says which found nothing."""
    unused = found.store.rows(
        "SELECT measure FROM audit.step_count WHERE step = 'codelist that matches nothing' ORDER BY ALL"
    )
    names = [name for (name,) in unused]
    assert "home_oxygen" in names and "copd" not in names and "fev1_percent_predicted" not in names
    assert f"{len(names)} codelists that match nothing in these data: " in found.said


def test_free_text_where_a_code_belongs_is_counted_and_not_shown(found):
    """A name, a number of a person and a code of a supplier's own, one row each."""
    lines = (found.published / "data_quality" / "unmatched_codes.csv").read_text(encoding="utf-8").splitlines()
    own = [line.split(",") for line in lines if line.startswith("core.gp_event,LOCAL,")]
    assert [(code, count) for _, _, code, _, count in own] == [("(no code: not shown)", "2"), ("L0CAL.1", "1")]


# Objections


def _texts(run):
    return {path: all_text(path) for path in run.published.rglob("*") if path.is_file()}


def test_whoever_objects_or_was_not_checked_is_in_no_file_and_is_counted(found):
    texts = _texts(found)
    identified = database_text(found.out / "restricted" / "identity.duckdb")
    for name in OBJECTORS:
        number = _number(name)
        family = f"CANARY{name}".upper().replace("_", "")
        for path, text in [*texts.items(), ("identity", identified)]:
            assert number not in text.replace(" ", ""), path
            assert family not in text, path
    withheld = found.store.rows(
        "SELECT surface, reason, people_count FROM audit.withheld WHERE surface = 'direct_care' ORDER BY reason"
    )
    assert withheld == [
        ("direct_care", "Type 1 opt-out", 1),
        ("direct_care", "local objection to risk stratification", 1),
        ("direct_care", "national data opt-out", 1),
        ("direct_care", "national opt-out not checked", 2),
    ]
    people = found.store.scalar("SELECT count(*) FROM core.person")
    assert people == HEALTHY + len(NAMES) - len(OBJECTORS)


def test_direct_care_lists_them_and_counts_them_nowhere(cared, found):
    listed = "".join(text for path, text in _texts(cared).items() if "direct_care" in path.parts).replace(" ", "")
    for name in OBJECTORS:
        assert _copd(cared, name)[0][:2] == ("clinic", "listed") or _copd(cared, name)[0][1] == "waiting"
        assert _number(name) in listed
    [(counted,)] = cared.store.rows("SELECT count(*) FROM core.person WHERE may_be_counted")
    assert counted == HEALTHY + len(NAMES) - len(OBJECTORS)
    same = "SELECT * EXCLUDE run_id FROM out.{} ORDER BY ALL"
    for table in ("population", "pathway_count"):
        assert cared.store.rows(same.format(table)) == found.store.rows(same.format(table))


@pytest.mark.parametrize(
    ("opt_outs", "words"),
    [
        pytest.param([], "expected checks of the national opt-out no older than 7 days", id="no_rows"),
        pytest.param(
            [extract_set.opt_out("NDO", "false", checked_at="2025-12-28 00:00:00")],
            "found none for any of 1 people with an NHS number",
            id="eight_days_old",
        ),
    ],
)
def test_case_finding_without_a_check_to_rely_on_is_refused(tmp_path, opt_outs, words):
    padding = [extract_set.event(f"e{number}") for number in range(3)]
    folder = extract_set.write_set(
        tmp_path / "extracts",
        opt_out=opt_outs,
        gp_event=padding,
        gp_observation=[extract_set.observation()],
        gp_medication=[extract_set.medication()],
    )
    settings = settings_file(tmp_path, folder, tmp_path / "out", index_date="2026-01-05")
    with counted_plainly():
        done = stratify("run", "--settings", settings, STRATIFY_IDENTITY_KEY=KEY)
    message = refusal(done, 7)
    assert words in message and "999" not in message
    assert not (tmp_path / "out" / "published").exists()


# Canaries


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OBJECTORS])
def test_a_person_is_named_in_the_files_of_their_own_practice_alone(found, name):
    home = {"other_practice": "A10002", "lost_practice": "A10099"}.get(name, "A10001")
    family = f"CANARY{name}".upper().replace("_", "")
    for path, text in _texts(found).items():
        parts = path.relative_to(found.published).parts
        is_home = parts[0] == "direct_care" and parts[1] == home
        if not is_home:
            assert not re.search(rf"\b{family}\b", text), path
            assert _number(name) not in text.replace(" ", ""), path
    texts = [text for path, text in _texts(found).items() if home in path.parts]
    assert any(re.search(rf"\b{family}\b", text) for text in texts)


def test_no_canary_is_published_for_secondary_use_or_said(found):
    for path, text in _texts(found).items():
        if "direct_care" not in path.parts:
            assert "CANARY" not in text, path
            assert not re.search(r"\b999\d{7}\b", text.replace(" ", "")), path
            assert "07700900000" not in text
    assert "CANARY" not in found.said
    assert not re.search(r"\b999\d{7}\b", found.said)


def test_no_address_email_or_bad_value_leaves_the_restricted_folder(found):
    """Contact on a list is the mobile number alone."""
    for path, text in _texts(found).items():
        for planted in ("CANARYSTREET", "CANARYMAIL", CANARY_DATE):
            assert planted not in text, path


def test_the_working_store_knows_nobody_by_name_or_number(found):
    text = database_text_of_run(found)
    for planted in ("CANARYSEVERE", "CANARYGIVEN", "CANARYSTREET", "CANARYMAIL", "07700900000", CANARY_DATE):
        assert planted not in text
    for name in NAMES:
        assert _number(name) not in text
    assert "CANARYSEVERE" in database_text(found.out / "restricted" / "identity.duckdb")


def database_text_of_run(run):
    columns = (
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
        "WHERE NOT internal AND database_name = current_database()"
    )
    return "\n".join(
        value or ""
        for schema, table, column in run.store.rows(columns)
        for (value,) in run.store.rows(f'SELECT DISTINCT CAST("{column}" AS VARCHAR) FROM "{schema}"."{table}"')
    )


def test_no_raw_row_is_left_on_the_disk_of_a_finished_run(found):
    """Not in a table that was dropped, nor in a file beside: the bytes themselves are looked through."""
    for path in found.out.rglob("*"):
        if path.is_file() and "direct_care" not in path.parts and path.name != "identity.duckdb":
            content = path.read_bytes()
            assert CANARY_DATE.encode() not in content, path
            assert b"CANARYSTREET" not in content, path
    assert not list(found.out.rglob("landing.duckdb*")) and not list(found.out.rglob("scratch"))
