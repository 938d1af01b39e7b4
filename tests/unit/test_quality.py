"""Data quality: counts per kind of rule, verdicts, and silence about values."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from stratify import contracts
from stratify.contracts import TableContract
from stratify.errors import QualityError
from stratify.quality import RuleResult, check_tables, overall_verdict, results_frame, results_page, verdicts
from stratify.quality import checks as quality_checks
from stratify.quality.results import rule_verdict
from stratify.store import Store, open_store

CUTOFF = date(2026, 11, 1)
CANARY = "CANARY9990000018"

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: urn:test
name: landing.reading
version: 1.0.0
status: active
domain: landing
description: {purpose: A test.}
schema:
- name: reading
  logicalType: object
  physicalType: table
  description: A test.
  properties:
  - id: RDG-01
    name: org_code
    logicalType: string
    physicalType: VARCHAR
    description: Organisation.
    required: true
    primaryKey: true
    primaryKeyPosition: 1
    logicalTypeOptions: {pattern: '^[A-Z][0-9]{5}$'}
  - id: RDG-02
    name: source_id
    logicalType: string
    physicalType: VARCHAR
    description: Supplier's id.
    primaryKey: true
    primaryKeyPosition: 2
  - id: RDG-03
    name: sample_date
    logicalType: date
    physicalType: DATE
    description: Sample.
    quality:
    - id: RDG-03-future
      type: custom
      engine: stratify
      implementation: '{property} > {data_cutoff}'
      severity: error
      description: Dated after the extract was taken.
  - id: RDG-04
    name: measurement
    logicalType: number
    physicalType: DOUBLE
    description: Value.
    logicalTypeOptions: {minimum: 0, maximum: 200}
  - id: RDG-05
    name: status
    logicalType: string
    physicalType: VARCHAR
    description: Status.
    quality:
    - id: RDG-05-values
      type: library
      metric: invalidValues
      arguments: {validValues: [ok, "it's not"]}
      mustBe: 0
      severity: warning
  quality:
  - id: RDG-80-both
    type: custom
    engine: stratify
    implementation: '{measurement} IS NOT NULL AND {status} IS NULL'
    severity: error
    description: A measurement without a status.
  - id: RDG-81-clock
    type: custom
    engine: stratify
    implementation: '{source_id} = ''12:30 {x} 5% :bind'''
    severity: error
    description: Braces, colons and percent signs are text.
  - id: RDG-90-rows
    type: library
    metric: rowCount
    mustBeGreaterThan: 2
    severity: error
    description: Too few rows.
  - id: RDG-91-rejected
    type: custom
    engine: stratify
    implementation: rejected_percent <= 2
    unit: percent
    severity: error
    description: Too many rows set aside.
"""

# What is wrong with each row stands behind it.
RAW_ROWS = [
    ("A81001", "1", "2026-01-05", "40", "ok"),  # nothing
    ("A81001", "2", "2026-01-05", "41", "ok"),  # shares its key with the next
    ("A81001", "2", "2026-01-06", "42", "it's not"),  # shares its key with the one before
    ("a81001", "3", "2026-01-05", "200", "ok"),  # pattern; 200 is the edge and in range
    (None, "4", "2026-01-05", "40", "ok"),  # missing
    (None, "4", "2026-01-05", "40", "ok"),  # missing; half its key is empty, so no duplicate
    ("A81001", "5", "2026-11-01", "40", "ok"),  # dated on the cutoff: not after it
    ("A81001", "6", "2026-11-02", "40", "ok"),  # after the cutoff
    ("A81001", "7", "2026-02-30", "40", "ok"),  # no such day: type
    ("A81001", "8", "1900-01-01", "40", "ok"),  # sentinel
    ("A81001", "9", "2026-01-05", "200.5", "ok"),  # above the range
    ("A81001", "10", "2026-01-05", "-1", "ok"),  # below the range
    ("A81001", "11", "2026-01-05", CANARY, "ok"),  # type; no number, so in no way out of range
    ("A81001", "12", "2026-01-05", "40", CANARY),  # values
    ("A81001", "13", "2026-01-05", "40", None),  # measurement without status
    ("A81001", "14", None, None, None),  # empty values break nothing else
    ("A81001", "12:30 {x} 5% :bind", "2026-01-05", "40", "ok"),  # clock
    (CANARY, None, "2026-01-05", "40", "ok"),  # pattern
]

RAW_FAILED = {
    "RDG-01-missing": 2,
    "RDG-01-pattern": 2,
    "RDG-03-type": 1,
    "RDG-03-sentinel": 1,
    "RDG-03-future": 1,
    "RDG-04-type": 1,
    "RDG-04-range": 2,
    "RDG-05-values": 1,
    "RDG-89-duplicate": 2,
    "RDG-80-both": 1,
    "RDG-81-clock": 1,
    "RDG-90-rows": 0,
    "RDG-91-rejected": 0,
}


def contract(layer: str = "landing") -> TableContract:
    # {x} of the clock rule would be read as a column; it is put back into the parsed rule.
    parsed = contracts.parse(CONTRACT.replace("{x} 5", "<x> 5").replace("landing", layer), where="test")
    rules = tuple(
        replace(rule, bad_when=rule.bad_when.replace("<x>", "{X}")) if rule.id == "RDG-81-clock" else rule
        for rule in parsed.rules
    )
    return replace(parsed, rules=rules)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "run.duckdb", temp_directory=tmp_path / "spill") as opened:
        opened.attach(tmp_path / "landing.duckdb", "landing")
        yield opened


def land(store: Store, rows: list[tuple[str | None, ...]], table: TableContract | None = None) -> TableContract:
    table = table or contract()
    columns = ", ".join(f'"{column.name}" VARCHAR' for column in table.columns)
    store.execute(f"CREATE TABLE {table.name} ({columns}, source_row BIGINT, source_file_id VARCHAR)")
    for number, row in enumerate(rows, 1):
        row = tuple(cell.replace("{x}", "{X}") if cell else cell for cell in row)
        store.execute(f"INSERT INTO {table.name} VALUES (?, ?, ?, ?, ?, ?, ?)", [*row, number, "file1"])
    return table


def check(store: Store, table: TableContract, stage: str = "landing", percent: float = 1.0) -> list[RuleResult]:
    return check_tables(store, [table], stage=stage, rejected_percent={table.name: percent}, data_cutoff=CUTOFF)


def only(table: TableContract, *rule_ids: str) -> TableContract:
    return replace(table, rules=tuple(rule for rule in table.rules if rule.id in rule_ids))


def test_planted_bad_rows_of_a_landing_table_are_counted_right_for_every_kind_of_rule(store: Store) -> None:
    results = check(store, land(store, RAW_ROWS))

    assert {result.rule_id: result.failed_count for result in results} == RAW_FAILED
    assert {result.row_count for result in results} == {18}


def test_landing_rows_that_fail_warn_because_they_are_set_aside(store: Store) -> None:
    results = check(store, land(store, RAW_ROWS))

    assert {result.verdict for result in results if result.failed_count} == {"warn"}
    assert verdicts(results) == {"landing.reading": "warn"}


def test_the_same_faults_stop_in_a_typed_table_except_those_that_only_warn(store: Store) -> None:
    table = contract("core")
    store.define(table)
    store.execute(
        "INSERT INTO core.reading VALUES ('A81001', '1', DATE '2026-01-05', 40, 'ok'), "
        "('A81001', '2', DATE '2026-11-02', 201, 'other'), (NULL, '3', NULL, NULL, NULL)"
    )

    results = check(store, table, stage="core")

    assert {result.rule_id: result.verdict for result in results if result.failed_count} == {
        "RDG-01-missing": "stop",
        "RDG-03-future": "stop",
        "RDG-04-range": "stop",
        "RDG-05-values": "warn",
    }
    assert {result.failed_count for result in results if result.failed_count} == {1}
    assert verdicts(results) == {"core.reading": "stop"}


def test_an_empty_table_breaks_only_the_rule_about_its_rows(store: Store) -> None:
    results = check(store, land(store, []))

    assert [result.rule_id for result in results if result.failed_count] == ["RDG-90-rows"]
    assert verdicts(results) == {"landing.reading": "stop"}


def test_a_row_count_rule_asks_for_more_than_its_limit(store: Store) -> None:
    table = only(land(store, RAW_ROWS[:2]), "RDG-90-rows")
    assert [result.verdict for result in check(store, table)] == ["stop"]  # 2 rows, more than 2 asked for

    store.execute("INSERT INTO landing.reading SELECT * FROM landing.reading LIMIT 1")
    assert [result.verdict for result in check(store, table)] == ["pass"]  # 3 rows


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        pytest.param(1.9, "pass", id="just_below"),
        pytest.param(2.0, "pass", id="exactly"),
        pytest.param(2.1, "stop", id="just_above"),
        pytest.param(float("nan"), "stop", id="not_a_number"),
    ],
)
def test_the_share_of_rows_set_aside_stops_above_its_limit(store: Store, percent: float, expected: str) -> None:
    table = only(land(store, RAW_ROWS[:3]), "RDG-91-rejected")
    assert [result.verdict for result in check(store, table, percent=percent)] == [expected]


def test_a_share_nobody_told_stops_the_run(store: Store) -> None:
    table = only(land(store, RAW_ROWS[:3]), "RDG-91-rejected")
    with pytest.raises(QualityError, match="RDG-91-rejected: expected the share of rows set aside; found none told"):
        check_tables(store, [table], stage="landing", rejected_percent={}, data_cutoff=CUTOFF)


@pytest.mark.parametrize(
    ("kind", "severity", "failed_count", "stage", "expected"),
    [
        ("pattern", "error", 0, "core", "pass"),
        ("pattern", "error", 1, "landing", "warn"),
        ("duplicate", "error", 1, "landing", "warn"),
        ("row_count", "error", 1, "landing", "stop"),
        ("rejected_percent", "error", 1, "landing", "stop"),
        ("row_count", "warning", 1, "landing", "warn"),
        ("pattern", "error", 1, "core", "stop"),
        ("pattern", "error", 1, "out", "stop"),
        ("pattern", "warning", 9, "out", "warn"),
    ],
)
def test_verdict_of_a_rule(kind: str, severity: str, failed_count: int, stage: str, expected: str) -> None:
    assert rule_verdict(kind=kind, severity=severity, failed_count=failed_count, stage=stage) == expected


FILES = [
    {
        "table_name": "landing.reading",
        "file_name": "reading_<1>.csv",
        "declared_count": None,
        "received_count": 12_000,
        "loaded_count": 11_999,
        "rejected_count": 1,
        "period_to": date(2026, 11, 1),
    }
]


def page(results: list[RuleResult], *, is_test: bool = True, unmatched: list[tuple] | None = None) -> str:
    return results_page(
        results,
        verdicts(results),
        title="Data quality",
        index_date=CUTOFF,
        run_id="abc123",
        is_test=is_test,
        files=FILES,
        unmatched=unmatched or [],
        counts={"landing.reading": {"received_count": 12_000, "loaded_count": 11_999, "rejected_count": 1}},
    )


def result(table: str, verdict: str, *, rule_id: str = "R-1", failed_count: int = 1) -> RuleResult:
    return RuleResult(table, rule_id, "org_code", "error", 10, failed_count, verdict, "org_code is <empty>.")


def test_a_table_has_the_worst_verdict_of_its_rules_and_the_run_that_of_its_tables() -> None:
    found = verdicts(
        [result("core.b", "warn"), result("core.b", "pass"), result("core.a", "stop"), result("core.a", "warn")]
    )

    assert list(found.items()) == [("core.a", "stop"), ("core.b", "warn")]
    assert overall_verdict(found.values()) == "stop"
    assert overall_verdict([]) == "pass"


def test_a_single_key_column_ignores_empty_keys(store: Store) -> None:
    table = land(store, RAW_ROWS)
    table = only(replace(table, key=("source_id",)), "RDG-89-duplicate")
    # "2" twice and "4" twice; the one empty id is nobody's double.
    assert [result.failed_count for result in check(store, table)] == [4]


def test_two_rules_with_the_same_predicate_are_both_counted(store: Store) -> None:
    table = land(store, RAW_ROWS)
    rule = next(rule for rule in table.rules if rule.id == "RDG-80-both")
    table = replace(table, rules=(rule, replace(rule, id="RDG-82-again", severity="warning")))
    assert [(result.rule_id, result.failed_count) for result in check(store, table)] == [
        ("RDG-80-both", 1),
        ("RDG-82-again", 1),
    ]


def test_no_value_of_a_record_reaches_results_or_page(store: Store) -> None:
    results = check(store, land(store, RAW_ROWS))

    assert CANARY not in repr(results)
    assert CANARY not in results_frame(results).write_json()
    assert CANARY not in page(results)


def test_great_expectations_keeps_no_value_in_what_it_answers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    from great_expectations.core import ExpectationSuiteValidationResult

    kept = ExpectationSuiteValidationResult.__init__

    def keep(self: object, *args: object, **kwargs: object) -> None:
        kept(self, *args, **kwargs)
        seen.append(str(self))

    monkeypatch.setattr(ExpectationSuiteValidationResult, "__init__", keep)
    check(store, land(store, RAW_ROWS))

    assert len(seen) == 1
    assert '"unexpected_count": 2' in seen[0]
    assert CANARY not in seen[0]


def test_a_rule_great_expectations_cannot_evaluate_stops_the_run_and_names_it_without_a_value(
    store: Store, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    table = land(store, RAW_ROWS)
    rule = next(rule for rule in table.rules if rule.id == "RDG-80-both")
    # A cast that fails on the planted value: DuckDB's message quotes it.
    broken = replace(rule, id="RDG-99-broken", bad_when="CAST({status} AS INTEGER) = 1")
    caplog.set_level(logging.DEBUG)

    with pytest.raises(QualityError) as fault:
        check(store, replace(table, rules=(*table.rules[:2], broken)))

    assert "landing.reading, rule RDG-99-broken" in str(fault.value)
    assert_silent(fault.value, caplog.text, "".join(capfd.readouterr()))


def test_a_rule_plain_sql_cannot_count_stops_the_run_without_a_value(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    table = land(store, RAW_ROWS)
    rule = next(rule for rule in table.rules if rule.id == "RDG-80-both")
    broken = replace(rule, bad_when="CAST({status} AS INTEGER) = 1")
    monkeypatch.setattr(quality_checks._Asker, "count", lambda *_: {rule.id: 0})

    with pytest.raises(QualityError) as fault:
        check(store, replace(table, rules=(broken,)))

    assert str(fault.value).startswith("landing.reading: expected rules that can be counted")
    assert_silent(fault.value, caplog.text)


def assert_silent(fault: BaseException, *texts: str) -> None:
    assert fault.__cause__ is None
    assert fault.__context__ is None
    for text in (str(fault), *texts):
        assert CANARY not in text


def test_a_table_or_column_that_is_not_there_stops_the_run(store: Store) -> None:
    with pytest.raises(QualityError, match=r"landing\.reading: .* found no such table"):
        check(store, contract())

    store.execute("CREATE TABLE landing.reading (org_code VARCHAR, source_id VARCHAR)")
    with pytest.raises(QualityError, match="found none named sample_date, measurement, status"):
        check(store, contract())


@pytest.mark.parametrize("rule_id", ["RDG-01-missing", "RDG-80-both", "RDG-89-duplicate", "RDG-90-rows"])
def test_two_counts_that_differ_stop_the_run(store: Store, monkeypatch: pytest.MonkeyPatch, rule_id: str) -> None:
    table = only(land(store, RAW_ROWS), rule_id)
    honest = quality_checks._count_plainly

    def one_too_many(*args: object) -> tuple[int, dict[str, int]]:
        rows, counted = honest(*args)
        return rows, {rule: count + 1 for rule, count in counted.items()}

    monkeypatch.setattr(quality_checks, "_count_plainly", one_too_many)
    with pytest.raises(QualityError, match=f"landing.reading, rule {rule_id}: expected the same count"):
        check(store, table)


def test_of_very_many_rows_the_counts_are_compared_on_some_and_verdicts_are_of_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {each.rule_id: each for each in check(store, land(store, RAW_ROWS))}
    monkeypatch.setattr(quality_checks, "MOST_ASKED", 2)
    seen: list[tuple[str, int]] = []
    honest = quality_checks._Asker.count

    def count(self, table, questions):
        seen.append((table.name, store.rows(f"SELECT count(*) FROM {table.name}")[0][0]))
        return honest(self, table, questions)

    monkeypatch.setattr(quality_checks._Asker, "count", count)
    again = {each.rule_id: each for each in check(store, contract())}
    assert again == whole
    assert len(RAW_ROWS) > 4
    assert seen[0][0].startswith("sample.")
    assert 0 < seen[0][1] < len(RAW_ROWS)
    assert not store.rows("SELECT 1 FROM duckdb_tables() WHERE schema_name = 'sample'")


@pytest.mark.parametrize("shared_by", [pytest.param(0, id="once_a_value"), pytest.param(1000, id="row_by_row")])
def test_a_row_that_breaks_a_pattern_is_counted_whichever_way_it_is_tried(
    store: Store, monkeypatch: pytest.MonkeyPatch, shared_by: int
) -> None:
    """Three of six ids are lower case: two share one. The two columns are tried in one pass; an empty value is good."""
    monkeypatch.setattr(quality_checks, "_SHARED_BY", shared_by)
    monkeypatch.setattr(quality_checks, "_FEW", 1)
    rows = [("A81001", "a1"), ("A81001", "a1"), ("a81001", "a2"), ("A81001", "A3"), ("A81001", "A4"), (None, "A5")]
    table = land(store, [(*row, None, None, None) for row in rows])
    (rule,) = only(table, "RDG-01-pattern").rules
    other = replace(rule, id="RDG-02-pattern", column="source_id", bad_when="NOT regexp_matches({source_id}, '^[A-Z]')")
    patterned = replace(table.column("source_id"), pattern="^[A-Z]")
    columns = tuple(patterned if each.name == "source_id" else each for each in table.columns)
    table = replace(table, columns=columns, rules=(rule, other))
    assert [result.failed_count for result in check(store, table)] == [1, 3]


JUDGED = ("RDG-01-missing", "RDG-01-pattern", "RDG-04-range", "RDG-80-both")


def judge(store: Store, table: TableContract, *, but: int = 0) -> dict[str, dict[str, str]]:
    """Keep which of some rules each landed row breaks, as loading does; ``but`` leaves out what one row breaks."""
    store.execute(f"ALTER TABLE {table.name} ADD COLUMN faults HUGEINT")
    bits = {rule_id: 1 << bit for bit, rule_id in enumerate(JUDGED)}
    predicates = {
        rule.id: contracts.predicate(table, rule, raw=True, data_cutoff=CUTOFF) for rule in only(table, *JUDGED).rules
    }
    told = " + ".join(f"if({predicates[rule_id]}, {bit}, 0)" for rule_id, bit in bits.items())
    store.execute(f"UPDATE {table.name} SET faults = if(source_row = {but}, 0, {told})")
    return {table.name: {rule_id: f"(faults & {bit}) <> 0" for rule_id, bit in bits.items()}}


@pytest.mark.parametrize("most", [pytest.param(2, id="on_a_sample"), pytest.param(100_000, id="on_all_rows")])
def test_rows_that_loading_found_bad_are_counted_from_what_it_kept_and_all_others_as_ever(
    store: Store, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    table = land(store, RAW_ROWS)
    judged = judge(store, table)
    monkeypatch.setattr(quality_checks, "MOST_ASKED", most)
    given = {"rejected_percent": {table.name: 1.0}, "data_cutoff": CUTOFF, "judged": judged}
    found = {each.rule_id: each.failed_count for each in check_tables(store, [table], stage="landing", **given)}
    assert found == RAW_FAILED


def test_a_bad_row_that_loading_let_pass_stops_the_run(store: Store) -> None:
    """Row 4 has an organisation in lower case; loading is said to have found one such row of two."""
    table = land(store, RAW_ROWS)
    given = {"rejected_percent": {table.name: 1.0}, "data_cutoff": CUTOFF, "judged": judge(store, table, but=4)}
    with pytest.raises(
        QualityError, match="RDG-01-pattern: expected the same count from loading and from plain SQL; found 1 and 2 of"
    ):
        check_tables(store, [table], stage="landing", **given)


def test_of_rows_that_all_share_a_key_some_are_still_taken(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their key all forty would be taken or none."""
    monkeypatch.setattr(quality_checks, "MOST_ASKED", 10)
    rows = [("A81001", "1", "2026-01-05", str(number), "ok") for number in range(40)]
    table = land(store, rows)
    with quality_checks._few_of(store, table, len(rows)) as few:
        taken = store.scalar(f"SELECT count(*) FROM {few.name}")
    assert few.name == "sample.reading" and 4 <= taken <= 16


def test_a_pattern_that_says_other_than_its_predicate_is_found_out(store: Store) -> None:
    table = only(land(store, RAW_ROWS), "RDG-01-pattern")
    (rule,) = table.rules
    # The expectation is made of the column's pattern, the plain count of the predicate: 2 against 1 of 18.
    table = replace(table, rules=(replace(rule, bad_when="{org_code} = 'a81001'"),))
    with pytest.raises(QualityError, match="found 2 and 1 of 18 rows"):
        check(store, table)


def test_loggers_are_as_before_and_the_store_still_works_after_a_check(store: Store) -> None:
    logger = logging.getLogger("great_expectations")
    before = (logger.level, logger.propagate, list(logger.handlers))
    check(store, land(store, RAW_ROWS[:3]))
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
    assert store.scalar("SELECT count(*) FROM landing.reading") == 3
    store.detach("landing")


def test_results_frame_keeps_its_contract_and_its_order() -> None:
    frame = results_frame([result("core.b", "warn"), result("core.a", "pass", rule_id="R-2"), result("core.a", "stop")])

    table = contracts.load("audit.quality_result")
    assert tuple(frame.columns) == table.column_names
    assert frame.select("table_name", "rule_id").rows() == [("core.a", "R-1"), ("core.a", "R-2"), ("core.b", "R-1")]
    assert results_frame([]).columns == frame.columns


def test_importing_quality_does_not_import_great_expectations() -> None:
    slow = "{'great_expectations', 'sqlalchemy', 'pandas', 'duckdb'}"
    code = f"import sys, stratify.quality; print(sorted({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
