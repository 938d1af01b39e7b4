"""The supplier's report: what it says of rows set aside and of files refused, and that no value can be in it."""

from dataclasses import replace
from datetime import date

import pytest
from extract_set import COUNTY, INDEX_DATE, as_csv, event, landed, nhs, observation, opened, patient, write_set
from python_calamine import CalamineWorkbook

from stratify import contracts, holding, ingest, publish, quality
from stratify.errors import ExtractError, combine, single_faults, with_advice
from stratify.ingest.checks import checks_of
from stratify.publish import supplier_report, supplier_workbook
from stratify.publish.supplier_report import OWN_RULES, Delivery, says_rule

CANARY = "CANARYVALUE"
DELIVERY = Delivery(
    run_id="0123456789abcdef",
    index_date=INDEX_DATE,
    source="canonical",
    organisation="Invented & Board",
    contact="Ring the invented desk",
    is_test=False,
)


def _of_rows(store, **changes):
    if "is_stopped" not in changes:
        store.create("audit.quality_result", quality.results_frame([]))
    return publish.report_of_rows(DELIVERY, store, **changes)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Three events: one fits, one with a date that is none, one of nobody. Three measurements, the last two the same
    key with other content. The same patient twice."""
    events = [
        event(),
        event("e2", effective_date=CANARY),
        event("e3", source_patient_id=CANARY),
    ]
    observations = [observation(), observation("o2", value_num="1"), observation("o2", value_num="2")]
    patients = [patient(), patient("p2", nhs_number=nhs(2)), patient("p2", nhs_number=nhs(2))]
    tables = {"gp_event": events, "gp_observation": observations, "patient": patients}
    with landed(tmp_path_factory.mktemp("report"), **tables) as store:
        return _of_rows(store)


def _sheets(folder, report):
    workbook, page = publish.write_supplier_report(folder, report)
    book = CalamineWorkbook.from_path(workbook)
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}, page.read_text("utf-8")


def test_every_file_has_its_rows_received_loaded_and_set_aside(report):
    files = {each.file_name: each for each in report.files}
    found = {
        name: (each.received_count, each.loaded_count, each.rejected_count, each.lost_value_count)
        for name, each in files.items()
        if each.received_count and name.startswith(("gp_event", "gp_obs", "patient."))
    }
    assert found == {"gp_event.csv": (3, 1, 2, 1), "gp_observation.csv": (3, 1, 2, 0), "patient.csv": (3, 2, 1, 0)}
    assert files["gp_event.csv"].verdict == "some rows set aside" and files["practice.csv"].verdict == "all rows fit"
    assert report.verdict == "part"
    assert report.count("received") == report.count("loaded") + report.count("rejected")


def test_every_rule_is_said_in_words_with_its_rows_and_what_is_asked(report):
    rules = {each.rule_id: each for each in report.rules}
    assert set(rules) == {"GPE-08-type", "GPE-81-date", "GPE-87-orphan", "GPO-89-duplicate", "PAT-89-repeat"}
    broken = rules["GPE-08-type"]
    assert broken.says.startswith("effective_date is no date. Expected a date written as 2026-01-31. The column: ")
    assert (broken.severity, broken.effect) == ("error", "value not used, row kept")
    assert (broken.row_count, broken.of_count, broken.share) == (1, 3, "33.3 %")
    assert rules["GPO-89-duplicate"].row_count == 2 and rules["GPO-89-duplicate"].effect == "row not used"
    assert rules["PAT-89-repeat"].severity == "information"
    assert report.rules[-1].rule_id == "PAT-89-repeat"  # errors first
    assert report.asked[0] == (
        "GP record: measurements: say which of the rows holds, and send that one alone (GPO-89-duplicate, 2 rows)."
    )
    assert not any("PAT-89-repeat" in text for text in report.asked)


def test_every_row_has_its_place_and_the_header_is_line_1(report):
    places = [(each.file_name, each.line, each.rule_id, each.column, each.effect) for each in report.places]
    assert places == [
        ("gp_event.csv", 3, "GPE-08-type", "effective_date", "value not used, row kept"),
        ("gp_event.csv", 3, "GPE-81-date", "", "row not used"),
        ("gp_event.csv", 4, "GPE-87-orphan", "source_patient_id", "row not used"),
        ("gp_observation.csv", 3, "GPO-89-duplicate", "", "row not used"),
        ("gp_observation.csv", 4, "GPO-89-duplicate", "", "row not used"),
        ("patient.csv", 4, "PAT-89-repeat", "", "row not used"),
    ]


def test_workbook_and_page_say_the_same_and_hold_no_value(report, tmp_path):
    sheets, page = _sheets(tmp_path, report)
    assert list(sheets) == ["Summary", "By rule", "Rows by place"]
    assert [row[:4] for row in sheets["Rows by place"][1:4]] == [
        ["gp_event.csv", 3, "GPE-08-type", "effective_date"],
        ["gp_event.csv", 3, "GPE-81-date", ""],
        ["gp_event.csv", 4, "GPE-87-orphan", "source_patient_id"],
    ]
    text = "\n".join(str(cell) for rows in sheets.values() for row in rows for cell in row)
    assert "Invented & Board" in text and "Invented &amp; Board" in page
    for planted in (CANARY, "CANARYNAME", nhs(1), nhs(2), "07700900000"):
        assert planted not in text and planted not in page
    for rule in report.rules:
        assert rule.rule_id in page and rule.rule_id in text
    assert "<script" not in page and "http:" not in page and "https:" not in page and "TEST" not in page


def test_the_same_report_is_the_same_bytes(report, tmp_path):
    for folder in ("one", "other"):
        publish.write_supplier_report(tmp_path / folder, report)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_a_report_on_invented_people_says_so_in_its_name_and_on_every_sheet(report, tmp_path):
    sheets, page = _sheets(tmp_path, replace(report, delivery=replace(DELIVERY, is_test=True)))
    assert {path.name for path in tmp_path.iterdir()} == {
        "supplier_report_TEST_2026-01-05.xlsx",
        "supplier_report_TEST_2026-01-05.html",
    }
    assert sheets["Summary"][0][0] == "TEST: invented patients." and '<div class="test"' in page


def test_places_of_a_rule_are_capped_and_the_rest_is_counted(tmp_path, monkeypatch):
    """Five rows of one rule: four in the workbook, two on the page, five in the counts; another rule is not cut."""
    monkeypatch.setattr(supplier_report, "MOST_PLACES", 4)
    monkeypatch.setattr(supplier_workbook, "MOST_PLACES_ON_PAGE", 2)
    events = [event(f"e{n}", effective_date=CANARY) for n in range(5)] + [event("e9", effective_precision="X")]
    with landed(tmp_path, gp_event=events) as store:
        report = _of_rows(store)
    sheets, page = _sheets(tmp_path / "report", report)
    rows = sheets["Rows by place"]
    assert [row[1] for row in rows if row[2] == "GPE-08-type"] == [2, 3, 4, 5]
    assert [row[0] for row in rows[-2:]] == [
        f"Not listed: 1 more of {rule}." for rule in ("GPE-08-type", "GPE-81-date")
    ]
    by_rule = {row[0]: row for row in sheets["By rule"]}
    heads = by_rule["Rule"]
    assert by_rule["GPE-08-type"][heads.index("Rows")] == 5
    assert by_rule["GPE-08-type"][heads.index("Places listed")] == 4
    assert "Not listed here: 3 more of GPE-08-type." in page
    assert any(each.rule_id == "GPE-09-values" for each in report.places) and "more of GPE-09-values" not in page


def test_a_delivery_that_fits_asks_for_nothing(tmp_path):
    with landed(tmp_path) as store:
        report = _of_rows(store)
    assert report.verdict == "whole" and report.rules == () and report.places == ()
    assert report.asked == ("Nothing: this is for your information.",)
    sheets, page = _sheets(tmp_path / "report", report)
    assert sheets["Rows by place"][1][0] == "No row and no value was set aside."
    assert "Loaded whole" in page


def test_a_stop_says_which_verdict_and_by_how_much(tmp_path):
    """Three of four events lose their date, which matters most: 75 % where 2 % may."""
    events = [event(f"e{n}", effective_date=CANARY if n else "2020-01-01") for n in range(4)]
    with landed(tmp_path, gp_event=events) as store:
        results = quality.check_tables(
            store,
            [contracts.load("landing.gp_event")],
            stage="landing",
            rejected_percent={"landing.gp_event": 75.0},
            data_cutoff=date(2026, 1, 4),
        )
        store.create("audit.quality_result", quality.results_frame(results))
        report = _of_rows(store, is_stopped=True)
    assert report.verdict == "stopped"
    (fault,) = report.faults
    assert fault.where == "GP record: entries, GPE-91-rejected"
    assert fault.expected.startswith("2 % of rows set aside at most, whole or in a column that matters most (")
    assert fault.found == "75.0 %: 3 of 4 rows"
    assert "Send the whole set again: nothing of this one is kept." in report.asked
    assert [each.rule_id for each in report.rules] == ["GPE-08-type", "GPE-81-date"]
    sheets, page = _sheets(tmp_path / "report", report)
    assert sheets["Faults"][1][0] == fault.where and "Why it was stopped" in page


def test_a_rule_that_only_warns_is_told(tmp_path):
    table, warned = next(
        (table, rule)
        for table in contracts.names("landing")
        for rule in contracts.load(table).rules
        if rule.severity == "warning" and rule.scope != "table"
    )
    with landed(tmp_path) as store:
        result = quality.RuleResult(table, warned.id, warned.column, "warning", 40, 10, "warn", warned.description)
        store.create("audit.quality_result", quality.results_frame([result]))
        report = publish.report_of_rows(DELIVERY, store)
    assert report.verdict == "whole" and report.asked[0] == f"Look at the rules listed: {warned.id}."
    (line,) = report.rules
    assert (line.rule_id, line.severity, line.effect) == (warned.id, "warning", "used, and to be looked at")
    assert (line.row_count, line.share, line.listed_count) == (10, "25.0 %", 0)


def _refused(folder):
    with pytest.raises(ExtractError) as caught:
        ingest.inspect_files(folder, COUNTY)
    return publish.report_of_refusal(replace(DELIVERY, run_id=None), caught.value, folder)


def test_a_refusal_says_which_files_and_what_was_expected_found_and_asked(tmp_path):
    folder = write_set(tmp_path / "extracts")
    (folder / "gp_event.csv").unlink()
    (folder / "patient.csv").write_bytes(b"")
    report = _refused(folder)
    faults = {each.where: each for each in report.faults}
    assert set(faults) == {"gp_event.csv", "patient.csv"}
    assert faults["patient.csv"].expected == "a header and rows" and faults["patient.csv"].found == "an empty file"
    assert faults["patient.csv"].asked == "Send the file again."
    assert faults["gp_event.csv"].asked == "Send the whole set again."
    assert report.asked[:2] == ("patient.csv: send the file again.", "gp_event.csv: send the whole set again.")
    assert {each.holds for each in report.files if each.file_name == "death.csv"} == {"Deaths"}
    verdicts = {each.file_name: each.verdict for each in report.files}
    assert verdicts["patient.csv"] == "1 fault" and verdicts["death.csv"] == "refused with the set"
    sheets, page = _sheets(tmp_path / "report", report)
    assert list(sheets) == ["Summary", "Faults", "By rule", "Rows by place"]
    assert sheets["Rows by place"][1][0] == "No row was read: the files were refused before."
    assert sheets["Faults"][1:] == [
        ["patient.csv", "a header and rows", "an empty file", "Send the file again."],
        ["gp_event.csv", "the file, since manifest.csv names it", "no such file", "Send the whole set again."],
    ]
    assert "refused before a run began" in page and "Why it was refused" in page
    assert "supplier" not in page.lower()  # it is the supplier who reads it


def test_every_fault_is_listed_where_the_message_counts_the_last_ones(tmp_path):
    folder = write_set(tmp_path / "extracts")
    names = [path.name for path in folder.iterdir() if path.name != "manifest.csv"]
    for name in names:
        (folder / name).write_bytes(b"")
    report = _refused(folder)
    assert report.asked[0].endswith(" and 7 more: send the file again.") and report.asked[0].count(".csv") == 6
    assert len(names) == 13 and {each.where for each in report.faults} == set(names)


def test_files_beyond_a_number_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(supplier_report, "MOST_FILES", 3)
    folder = write_set(tmp_path / "extracts")
    (folder / "patient.csv").write_bytes(b"")
    report = _refused(folder)
    assert len(report.files) == 3 and report.unlisted_file_count == 11  # 13 files and the manifest
    sheets, page = _sheets(tmp_path / "report", report)
    assert any(row[0] == "and 11 more files." for row in sheets["Summary"]) and "and 11 more" in page


def test_a_file_name_that_begins_like_a_formula_stays_text(report, tmp_path):
    place = replace(report.places[0], file_name="=1+1.csv")
    sheets, _ = _sheets(tmp_path, replace(report, places=(place,)))
    assert sheets["Rows by place"][1][0] == "=1+1.csv"


def test_every_rule_that_can_set_a_row_aside_has_words():
    for name in contracts.names("landing"):
        table = name.removeprefix("landing.")
        if table == "extract_manifest":
            continue
        contract = contracts.load(name)
        for check in checks_of(table):
            suffix = check.rule_id.split("-", 1)[1]
            is_possible = bool(contract.key) or not suffix.startswith("89-")  # without a key no row is doubled
            if check.rule is None and is_possible and not any(rule.id == check.rule_id for rule in contract.rules):
                assert suffix in OWN_RULES, check.rule_id
        for rule in contract.rules:
            assert len(says_rule(contract, rule)) > 20, rule.id
    assert "00-shape" in OWN_RULES


@pytest.mark.parametrize(
    ("table", "rule_id", "words"),
    [
        pytest.param("gp_observation", "GPO-09-values", "Expected one of YMD, YM, Y, U.", id="values"),
        pytest.param("gp_observation", "GPO-01-pattern", "Expected the form ^[A-Z][0-9]{5}$", id="pattern"),
        pytest.param("gp_observation", "GPO-11-type", "Expected a number, with a point and no thousands.", id="type"),
        pytest.param("gp_observation", "GPO-08-sentinel", "Not 1753-01-01, 1801-01-01,", id="sentinel"),
        pytest.param("gp_observation", "GPO-89-duplicate", "They differ, so none of them was used.", id="duplicate"),
    ],
)
def test_a_rule_says_what_was_expected(table, rule_id, words):
    contract = contracts.load(f"landing.{table}")
    rule = next(each for each in contract.rules if each.id == rule_id)
    assert words in says_rule(contract, rule)


def test_an_error_made_of_several_gives_them_back_and_may_be_told_more():
    one = ExtractError("a", expected="b", found="c", action="Do d.")
    three = combine([one, combine([one, one])])
    assert single_faults(three) == (one, one, one) and single_faults(one) == (one,)
    more = with_advice(three, "See e.")
    assert type(more) is ExtractError and str(more).endswith("Mend them all, then run again. See e.")
    assert single_faults(more) == (one, one, one)
    assert str(with_advice(one, "See e.")) == "a: expected b; found c. Do d. See e."


def test_a_line_that_is_no_record_has_its_place(tmp_path):
    """A line too short is in no table, and still told: line 4."""
    content = as_csv("gp_event", [event(), event("e2")])
    raw = {"gp_event": content + b"CANARYVALUE,x\n"}
    with landed(tmp_path, raw=raw, gp_event=[event(), event("e2")]) as store:
        report = _of_rows(store)
    assert [(each.file_name, each.line, each.rule_id) for each in report.places] == [
        ("gp_event.csv", 4, "GPE-00-shape")
    ]
    assert "fewer or more columns" in report.rules[0].says


def _weeks(store, *weeks):
    """Sets of measurements: name, rows received and rows set aside; nothing is read from files."""
    store.define(contracts.load("audit.source_file"))
    store.define(contracts.load("audit.rejected_row"))
    for name, received, lost in weeks:
        store.execute(
            "INSERT INTO audit.source_file BY NAME SELECT $1 AS source_file_id, 'gp_observation' AS table_name, "
            "$1 || '.csv' AS file_name, '' AS sha256, 1 AS byte_count, $2 AS received_count, $2 - $3 AS loaded_count, "
            "$3 AS rejected_count, 0 AS quarantined_count, 0 AS restricted_count, 0 AS duplicate_count, "
            "0 AS superseded_count, 0 AS withdrawn_count, DATE '2026-01-04' AS period_to, $1 AS extract",
            [name, received, lost],
        )
        store.execute(
            "INSERT INTO audit.rejected_row BY NAME SELECT $1 AS source_file_id, range + 2 AS source_row, "
            "'GPO-09-values' AS rule_id, 'gp_observation' AS table_name, 'effective_precision' AS column_name, "
            "'row' AS scope FROM range($2)",
            [name, lost],
        )


def test_the_share_is_that_of_the_worst_set_as_for_what_is_held(tmp_path):
    """Two good sets of 2,000 rows and one with 200 of 2,000 set aside: 10.0 %, and not 200 of 6,000 (3.3 %)."""
    with opened(tmp_path) as store:
        _weeks(store, ("2025-12-22", 2_000, 0), ("2025-12-29", 2_000, 200), ("2026-01-05", 2_000, 0))
        table = contracts.load("landing.gp_observation")
        assert holding.rejected_percent(store, table) == 10.0
        (line,) = _of_rows(store).rules
        assert (line.row_count, line.of_count, line.share) == (200, 6_000, "10.0 % of set 2025-12-29")


def test_a_set_of_few_rows_is_no_share_to_judge_by(tmp_path):
    """999 rows of which 500 are lost do not count alone; all together 500 of 2,999 are 16.7 %."""
    with opened(tmp_path) as store:
        _weeks(store, ("2025-12-29", 2_000, 0), ("2026-01-05", 999, 500))
        (line,) = _of_rows(store).rules
        assert line.share == "16.7 %"


def test_a_set_large_enough_to_judge_by_counts_alone(tmp_path):
    with opened(tmp_path) as store:
        _weeks(store, ("2025-12-29", 2_000, 0), ("2026-01-05", 1_000, 500))
        (line,) = _of_rows(store).rules
        assert line.share == "50.0 % of set 2026-01-05"


@pytest.mark.parametrize("is_stopped", [True, False])
def test_what_stops_or_holds_is_told_with_the_counts_of_the_set_it_is_judged_by(tmp_path, is_stopped):
    """A limit that is passed: told as why the run stopped, or with what to do about lists that are held."""
    table = contracts.load("landing.gp_observation")
    rule = next(each for each in table.rules if each.kind == "rejected_percent")
    with opened(tmp_path) as store:
        _weeks(store, ("2025-12-29", 2_000, 200), ("2026-01-05", 2_000, 0))
        verdict = "stop" if is_stopped else "hold"
        result = quality.RuleResult(
            table.name, rule.id, None, "error", 4_000, 1, verdict, rule.description, is_about_table=True
        )
        store.create("audit.quality_result", quality.results_frame([result]))
        report = publish.report_of_rows(DELIVERY, store, is_stopped=is_stopped)
    if is_stopped:
        (fault,) = report.faults
        assert fault.found == "10.0 %: 200 of 2,000 rows of set 2025-12-29"
    else:
        (line,) = [each for each in report.rules if each.rule_id == rule.id]
        assert (line.row_count, line.of_count, line.share) == (200, 2_000, "10.0 % of set 2025-12-29")
        assert line.asked == "Lists that read it are held: correct it, and send the whole set again."
        assert any(rule.id in text for text in report.asked)


@pytest.mark.parametrize("verdict", ["hold", "stop"])
def test_a_check_no_contract_can_hold_is_told_in_its_own_words(tmp_path, verdict):
    """The age of a feed (FIT-01): no contract of one table has the rule, held or stopped."""
    result = quality.RuleResult(
        "landing.gp_event", "FIT-01-age", None, "error", 50, 1, verdict, "Ends 90 days before.", is_about_table=True
    )
    with landed(tmp_path) as store:
        store.create("audit.quality_result", quality.results_frame([result]))
        report = publish.report_of_rows(DELIVERY, store, is_stopped=verdict == "stop")
    if verdict == "stop":
        (fault,) = report.faults
        assert (fault.where, fault.found) == ("GP record: entries, FIT-01-age", "Ends 90 days before.")
        assert report.rules == ()
    else:
        (line,) = report.rules
        assert (line.severity, line.says, line.effect) == ("error", "Ends 90 days before.", "about the whole table")
        assert line.asked == "Lists that read it are held: correct it, and send the whole set again."
        assert report.asked[0].startswith("GP record: entries: lists that read it are held: correct it")
