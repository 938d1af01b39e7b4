"""The commissioners' folder: opened by an older client, its macros, comments, sums and signature, and nobody in it."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
from datetime import date, timedelta

import duckdb
import polars as pl
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from metrics_example import CUTOFFS, fill
from publish_example import context, key

from commissioner_page import PAGE, questions
from stratify import contracts
from stratify.comparators import Comparator
from stratify.errors import PrivacyError
from stratify.metric_book import load_metrics
from stratify.metric_run import counted
from stratify.publish import build_counts, check_scorecard, signature_in_words, write_commissioner_file
from stratify.publish.commissioner import TABLES
from stratify.publish.macros import MACROS
from stratify.publish.scorecard import MEASURES
from stratify.rulebook import load_rule_book
from stratify.signing import SIGNING_KEY_FILE_VARIABLE, SIGNING_KEY_VARIABLE, read_signer
from stratify.store import open_store

OLDER_CLIENT = "STRATIFY_DUCKDB_1_2_PYTHON"
"""Names a Python that has DuckDB 1.2; the test that opens the file with it is skipped without one."""


def pem(key) -> str:
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, kind, serialization.NoEncryption()).decode()


KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


OTHERS = {
    "metric": "emergency_admissions", "area_code": "E92000001", "area_name": "England", "unit": "for 1,000 people",
    "source": "An invented publication", "definition": "Emergency spells", "value": 95.5,
}  # fmt: skip
OURS_TO = date(2026, 10, 31)
COMPARATORS = tuple(
    Comparator(**OTHERS, is_same_definition=same, period_start=end - timedelta(days=364), period_end=end,
               published_date=published)
    for same, end, published in (
        (True, OURS_TO, date(2026, 11, 2)), (True, date(2025, 3, 31), date(2025, 9, 1)),
        (False, OURS_TO, date(2026, 11, 3)),
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("file")
    book = load_rule_book()
    run = context(data_cutoffs=CUTOFFS, pathways=book.published, comparators=COMPARATORS, board_name="Riverside Board")
    signer = read_signer({SIGNING_KEY_VARIABLE: pem(KEY)})
    with open_store(folder / "run.duckdb", temp_directory=folder / "tmp", threads=1) as store:
        fill(store)
        found = counted(store, load_metrics(), run, book)
        build_counts(store, run, found, signature=signature_in_words(signer))
        write_commissioner_file(store, folder / "out", run, signer)
        write_commissioner_file(store, folder / "unsigned", run)
        # The store is as it was: a statement without a catalog is still about the run.
        assert store.scalar("SELECT count(*) FROM core.person") == 16
    return folder


@pytest.fixture(scope="module")
def opened(written):
    with duckdb.connect(str(written / "out" / "commissioner.duckdb"), read_only=True) as connection:
        yield connection


def test_every_macro_answers_its_own_example(opened):
    for macro in MACROS:
        assert opened.execute(macro.example).fetchall() is not None, macro.name
    rows = opened.execute("SELECT * FROM metric('emergency_admissions', 'PCN')").fetchall()
    assert [(row[0], row[3]) for row in rows] == [("U10001", "final"), ("U10001", "provisional")]
    assert opened.execute("SELECT count(*) FROM not_measurable()").fetchone() == (0,)


def test_a_comparator_is_never_beside_a_metric_without_its_vintage_and_whether_it_may_be_compared(opened):
    rows = opened.execute(
        "SELECT geography_name, other_published, comparable FROM beside('emergency_admissions', 'ICB') "
        "WHERE status = 'provisional' ORDER BY other_published"
    ).fetchall()
    assert rows == [
        ("Riverside Board", date(2025, 9, 1), "compare with care: the same definition, another period"),
        ("Riverside Board", date(2026, 11, 2), "the same definition and period"),
        ("Riverside Board", date(2026, 11, 3), "do not compare: another definition (Emergency spells)"),
    ]
    assert opened.execute("SELECT count(*) FROM beside('ed_attendances', 'ICB')").fetchone() == (0,)


def test_the_scorecard_of_the_folder_passes_its_own_check(written):
    assert check_scorecard(written / "out" / "scorecard.csv") == 2 * len(MEASURES) * 19


def test_an_older_client_opens_the_file_and_its_macros(written):
    python = os.environ.get(OLDER_CLIENT)
    if not python:
        pytest.skip(f"{OLDER_CLIENT} names no Python with DuckDB 1.2")
    told = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); "
        "print(duckdb.__version__, *[len(c.execute(q).fetchall()) for q in sys.argv[2:]])"
    )
    queries = [each.example for each in MACROS] + [f"FROM {name.split('.')[1]}" for name in TABLES]
    done = subprocess.run(
        [python, "-c", told, written / "out" / "commissioner.duckdb", *queries],
        capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    version, *counts = done.stdout.split()
    assert version.startswith("1.2.")
    assert len(counts) == len(queries) and int(counts[len(MACROS) + TABLES.index("out.metric_value")]) > 100


def test_tables_columns_and_macros_say_what_they_are(opened):
    bare = "SELECT count(*) FROM {} WHERE NOT internal AND coalesce(comment, '') = ''"
    assert opened.execute(bare.format("duckdb_tables()")).fetchone() == (0,)
    assert opened.execute(bare.format("duckdb_columns()")).fetchone() == (0,)
    told = dict(
        opened.execute(
            "SELECT function_name, comment FROM duckdb_functions() WHERE function_type = 'table_macro' AND NOT internal"
        ).fetchall()
    )
    assert set(told) == {each.name for each in MACROS}
    assert all(each.example in told[each.name] for each in MACROS)


NEEDS_MORE_PEOPLE = (
    "feedback_count",
    "full_clinic",
    "impact",
    "metric_funnel",
    "metric_gradient",
    "offer_cost",
    "place_change",
    "similar_place",
    "spc_chart",
    "spc_point",
    "sustainability",
)
"""Tables that are empty where every number is a small one, nothing reaches back far enough, or nothing is declared."""

ALLOWED = {
    "about": "topic detail",
    "comparator": (
        "metric area_code period_start period_end published_date area_name is_same_definition definition value "
        "lower_95 upper_95 unit source index_date run_id"
    ),
    "feedback_count": "answer entry_count is_suppressed index_date run_id",
    "full_clinic": "clinic_id serves reason index_date run_id",
    "impact": (
        "evaluation evaluation_version name owner pathway outcome breakdown breakdown_value role design recruits_from "
        "recruits_until after_days "
        "status reason offered_people comparison_people comparison_group offered_rate comparison_rate difference "
        "lower_95 upper_95 smallest_detectable people_needed assumptions wrong_if in_words plan_digest "
        "index_date run_id"
    ),
    "metric": (
        "metric metric_version name owner affects family kind unit numerator denominator period standardisation "
        "interval_method exclusions suppression source logic_model_node judges is_acid_test is_measurable "
        "not_measurable_because"
    ),
    "metric_funnel": (
        "metric metric_version pathway status geography_type geography_code geography_name value board_value position "
        "lower_limit_998 lower_limit_95 upper_limit_95 upper_limit_998 index_date run_id"
    ),
    "metric_gradient": (
        "metric metric_version pathway status geography_type geography_code geography_name slope lower_95 upper_95 "
        "reason index_date run_id"
    ),
    "metric_value": (
        "metric metric_version pathway status period_start period_end geography_type geography_code geography_name "
        "breakdown breakdown_value numerator denominator value lower_95 upper_95 standardised_value "
        "standardised_lower_95 standardised_upper_95 is_suppressed reason held index_date run_id"
    ),
    "metric_week": (
        "metric pathway geography_type geography_code week metric_version period_start period_end numerator "
        "denominator value lower_95 upper_95 reason is_suppressed run_id"
    ),
    "offer_cost": (
        "cost geography_type geography_code geography_name cost_version name owner pathway period_start period_end "
        "offered_count begun_count uptake_percent uptake_lower_95 uptake_upper_95 outcome outcome_count cost_pounds "
        "cost_lowest_pounds cost_highest_pounds cost_per_outcome_pounds cost_per_outcome_lower_pounds "
        "cost_per_outcome_upper_pounds worth_per_pound worth_per_pound_lower worth_per_pound_upper status reason "
        "in_words price_year source index_date run_id"
    ),
    "pathway_count": (
        "pathway pathway_version decision tier geography_type geography_code geography_name breakdown "
        "breakdown_value people_count is_suppressed index_date run_id held"
    ),
    "payer_activity": (
        "payer_code payer_name kind metric metric_version name status period_start period_end event_count value "
        "lower_95 upper_95 reason cost_pounds cost_lowest_pounds cost_highest_pounds cost_reason price_year "
        "price_source index_date run_id"
    ),
    "place_change": "geography_type geography_code geography_name changed_date kind what index_date run_id",
    "population": (
        "geography_type geography_code geography_name breakdown breakdown_value people_count is_suppressed "
        "index_date run_id"
    ),
    "release_week": ("week table_name geography_type rows_shown rows_hidden hidden_percent rules code_version run_id"),
    "similar_place": (
        "geography_type geography_code geography_name nearness other_code other_name distance compared index_date "
        "run_id"
    ),
    "spc_chart": (
        "metric metric_version geography_type geography_code geography_name first_month last_month better variation "
        "signals target target_source assurance reason index_date run_id"
    ),
    "spc_point": (
        "metric metric_version geography_type geography_code geography_name month numerator denominator value mean "
        "lower_limit upper_limit variation signals starts_again_because is_suppressed index_date run_id"
    ),
    "sustainability": (
        "pathway assessed_date factor part name level answered_date is_low action score index_date run_id"
    ),
}
"""Every column that may ever be published to commissioners. None is about a person; think before adding one."""


def test_no_column_is_published_that_is_not_allowed(written, opened):
    found: dict[str, list[str]] = {}
    for table, column in opened.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal ORDER BY table_name, column_index"
    ).fetchall():
        found.setdefault(table, []).append(column)
    assert {table: " ".join(columns) for table, columns in found.items()} == ALLOWED
    for table, columns in ALLOWED.items():
        assert " ".join(pl.read_parquet_schema(written / "out" / f"{table}.parquet")) == columns
    assert opened.execute("SELECT count(*) FROM duckdb_views() WHERE NOT internal").fetchone() == (0,)


def test_nobody_is_in_any_file_of_the_folder(written):
    """Neither in a table nor in what the format keeps beside it."""
    for path in (written / "out").iterdir():
        content = path.read_bytes()
        assert not [number for number in range(1, 15) if key(number).encode() in content], path.name
        assert not re.search(rb"\b9990\d{6}\b|Family\d|patient_key", content), path.name


def test_parquet_holds_the_same_rows_and_the_same_bytes_every_time(written, opened):
    for name in TABLES:
        table = contracts.load(name).table
        path = written / "out" / f"{table}.parquet"
        rows = opened.execute(f"SELECT * FROM {table}").fetchall()
        assert [tuple(row) for row in pl.read_parquet(path).rows()] == rows
        assert rows or table in NEEDS_MORE_PEOPLE
        assert path.read_bytes() == (written / "unsigned" / f"{table}.parquet").read_bytes()


def test_the_sums_are_of_every_file_and_the_signature_is_of_the_sums(written):
    folder = written / "out"
    sums = (folder / "SHA256SUMS").read_bytes()
    named = dict(reversed(line.split("  ")) for line in sums.decode().splitlines())
    assert set(named) == {each.name for each in folder.iterdir()} - {"SHA256SUMS", "SHA256SUMS.sig"}
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == found for name, found in named.items())
    KEY.public_key().verify((folder / "SHA256SUMS.sig").read_bytes(), sums)  # raises where it is not


def test_every_question_of_the_page_can_be_asked(opened):
    """What they answer is held to a county as large as the demo's (tests/e2e/test_for_commissioners.py)."""
    asked = questions()
    assert len(asked) == 10
    for each in asked:
        found = opened.execute(each.sql)
        assert [name for name, *_ in found.description] == each.columns, each.title
    others = re.findall(r"^```sql\n([^`]+)```", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(others) > len(asked) and all(opened.execute(each) for each in others)


@pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("sha256sum")), reason="no openssl or sha256sum here")
def test_the_commands_of_the_page_check_it_and_find_a_change(written, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(written / "out", folder)
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "stratify.pem").write_bytes(public)
    commands = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith(("openssl pkeyutl", "sha256sum"))
    ]
    assert len(commands) == 2

    def check() -> list[int]:
        return [subprocess.run(each, shell=True, cwd=folder, capture_output=True).returncode for each in commands]

    assert check() == [0, 0]
    with (folder / "metric_value.parquet").open("ab") as file:
        file.write(b"x")
    assert check()[1] != 0 and check()[0] == 0
    with (folder / "SHA256SUMS").open("ab") as file:
        file.write(b"\n")
    assert check()[0] != 0


def test_a_folder_without_a_key_says_that_it_is_not_signed(written):
    folder = written / "unsigned"
    assert not (folder / "SHA256SUMS.sig").exists()
    assert json.loads((folder / "manifest.json").read_text())["signature"].startswith("Not signed")
    assert "is signed (Ed25519" in json.loads((written / "out" / "manifest.json").read_text())["signature"]


def test_a_key_is_read_from_the_environment_or_a_file_of_its_owner_alone(tmp_path):
    assert read_signer({}) is None
    path = tmp_path / "key.pem"
    path.write_text(pem(KEY))
    path.chmod(0o600)
    both = [read_signer({SIGNING_KEY_FILE_VARIABLE: str(path)}), read_signer({SIGNING_KEY_VARIABLE: pem(KEY)})]
    assert both[0] and both[1] and both[0].fingerprint == both[1].fingerprint
    path.chmod(0o644)
    with pytest.raises(PrivacyError, match="mode 644"):
        read_signer({SIGNING_KEY_FILE_VARIABLE: str(path)})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({SIGNING_KEY_VARIABLE: "secret words"}, "private key in PEM", id="no key"),
        pytest.param({SIGNING_KEY_FILE_VARIABLE: "/no/such/file"}, "a file that can be read", id="no file"),
        pytest.param({SIGNING_KEY_VARIABLE: "a", SIGNING_KEY_FILE_VARIABLE: "b"}, "one of the two", id="two"),
        pytest.param(
            {SIGNING_KEY_VARIABLE: pem(rsa.generate_private_key(65537, 2048))}, "an Ed25519 key", id="another kind"
        ),
    ],
)
def test_what_is_no_signing_key_is_refused_and_not_shown(environment, said):
    with pytest.raises(PrivacyError, match=said) as refused:
        read_signer(environment)
    assert "secret words" not in str(refused.value) and "PRIVATE" not in str(refused.value)


def test_opened_as_the_page_says_no_query_reaches_another_file(written, tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    said = re.search(r"^locked = (.*)$", page, re.MULTILINE)
    locked = ast.literal_eval(said[1])
    (tmp_path / "other.csv").write_text("secret\n1\n", encoding="utf-8")
    path = str(shutil.copy(written / "out" / "commissioner.duckdb", tmp_path))  # other tests have it open, unlocked
    with duckdb.connect(path, read_only=True, config=locked) as opened:
        assert opened.execute("SELECT count(*) > 0 FROM metric_value").fetchone() == (True,)
        for query in (
            f"FROM read_csv('{tmp_path}/other.csv')",
            f"COPY metric TO '{tmp_path}/out.csv'",
            f"ATTACH '{tmp_path}/other.duckdb'",
            "INSTALL httpfs",
            "SET enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                opened.execute(query)
    with duckdb.connect(path, read_only=True) as unlocked:  # what the lock is for
        assert unlocked.execute(f"FROM read_csv('{tmp_path}/other.csv')").fetchall() == [(1,)]
