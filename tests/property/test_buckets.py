"""Cut into any number of buckets, and worked out with any number of threads, people come to the same, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import invented
import little_county
from little_county import INDEX
from stratify import scaled
from stratify.errors import RunError
from stratify.reckoning import decide_everybody, score_everybody, work_values
from stratify.rulebook import load_rule_book
from stratify.runs import code_digest
from stratify.scaled import buckets
from stratify.scaled.buckets import work_bucket
from stratify.store import Store, open_store

PEOPLE = 300
ALL = load_rule_book()
BOOK = ALL.cut_down_to("heart_failure", "dose")
"""Little: each bucket costs the planning of every definition."""


@pytest.fixture(scope="module", autouse=True)
def little_book() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buckets, "_rule_book", lambda clinical, digest: BOOK)
        yield


def bytes_of(store: Store, folder: Path) -> dict[str, bytes]:
    found = {}
    for table in scaled.RESULTS:
        path = folder / f"{table}.parquet"
        store.execute(f"COPY {table} TO '{path}' (FORMAT parquet)")
        found[table] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[Store]:
    """Core tables of people whose keys are digests, as those of a run are, with records of nobody known beside them."""
    found = little_county.random_county(ALL.cut_down_to("copd", "frailty"), seed=2028, people=PEOPLE)
    persons, tables, _ = little_county.with_digests(found)
    folder = tmp_path_factory.mktemp("buckets")
    with open_store(folder / "run.duckdb", temp_directory=folder / "scratch") as opened:
        for name, frame in {"person": persons, **tables}.items():
            opened.create(f"core.{name}", frame)
        opened.execute(
            "INSERT INTO core.gp_event BY NAME SELECT * REPLACE (NULL AS patient_key) FROM core.gp_event LIMIT 5"
        )
        matches = invented.matches(BOOK, tables)
        schema = ("code_system", "code", "codelist")
        opened.create("derived.code_match", pl.DataFrame(matches, schema=schema, orient="row"))
        yield opened


@pytest.fixture(scope="module")
def at_once(store, tmp_path_factory) -> dict[str, bytes]:
    """Everybody worked out at once, as in a run that is not spread."""
    work_values(store, BOOK, index_date=INDEX)
    score_everybody(store, BOOK, index_date=INDEX)
    decide_everybody(store, BOOK, index_date=INDEX)
    assert all(store.scalar(f"SELECT count(*) FROM {table}") > 0 for table in scaled.RESULTS)
    return bytes_of(store, tmp_path_factory.mktemp("at_once"))


def work_in(folder: Path, buckets: int, threads: int = 1, **changes: object) -> scaled.Work:
    given = {
        "folder": folder / "buckets",
        "buckets": buckets,
        "index_date": INDEX,
        "clinical": None,
        "rule_digest": BOOK.digest,
        "code_digest": code_digest(),
        "other_scores": True,
        "threads": threads,
    }
    return scaled.Work.model_validate(given | changes)


@pytest.mark.parametrize(
    ("count", "threads"),
    [
        (1, 2),
        (2, 1),
        pytest.param(7, 2, marks=pytest.mark.slow),
        pytest.param(64, 1, marks=pytest.mark.slow),
    ],
)
def test_buckets_come_to_what_everybody_comes_to_at_once(store, at_once, tmp_path, count, threads):
    work = work_in(tmp_path, count, threads)
    scaled.cut(store, work)
    scaled.one_after_another(work)
    assert len(list(work.done.iterdir())) == count
    for table in scaled.RESULTS[:2]:
        scaled.gather(store, work, BOOK, table)
    scaled.gather_decisions(store, work, BOOK)
    assert bytes_of(store, tmp_path) == at_once
    for name in BOOK.pathways:
        assert store.scalar(f"SELECT count(*) FROM work.scored_for_{name}") == PEOPLE


@pytest.fixture
def two_buckets(store, tmp_path) -> scaled.Work:
    work = work_in(tmp_path, 2)
    scaled.cut(store, work)
    return work


def test_nobody_is_in_two_buckets_and_only_what_definitions_read_leaves_the_store(store, two_buckets):
    persons = [pl.read_parquet(two_buckets.core("person") / f"bucket={number}" / "*.parquet") for number in (0, 1)]
    everybody = pl.concat(persons)["patient_key"]
    assert everybody.n_unique() == everybody.len() == PEOPLE
    assert persons[0]["patient_key"].max() < "8" <= persons[1]["patient_key"].min()
    assert not {"date_of_birth", "ethnic_category", "practice_code"} & set(persons[0].columns)
    assert two_buckets.folder.stat().st_mode & 0o077 == 0


def test_a_bucket_that_was_worked_out_before_stays_and_one_that_broke_off_leaves_nothing(two_buckets, monkeypatch):
    work_bucket(two_buckets, 0)
    before = {path: path.stat().st_mtime_ns for path in two_buckets.done.rglob("*.parquet")}
    work_bucket(two_buckets, 0)
    assert {path: path.stat().st_mtime_ns for path in two_buckets.done.rglob("*.parquet")} == before

    def break_off(*_args: object, **_more: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("stratify.scaled.buckets.decide_everybody", break_off)
    with pytest.raises(OSError, match="disk"):
        work_bucket(two_buckets, 1)
    assert [path.name for path in two_buckets.done.iterdir()] == ["bucket=0"]
    assert list((two_buckets.folder / "aside").iterdir()) == []


def test_two_attempts_at_one_bucket_leave_one(two_buckets, monkeypatch):
    """A worker that seemed lost ends after the one that took its place."""
    once = buckets.decide_everybody

    def overtaken(store: Store, *args: object, **more: object) -> int:
        monkeypatch.setattr(buckets, "decide_everybody", once)
        work_bucket(two_buckets, 0)
        return once(store, *args, **more)

    monkeypatch.setattr(buckets, "decide_everybody", overtaken)
    work_bucket(two_buckets, 0)
    assert [path.name for path in two_buckets.done.iterdir()] == ["bucket=0"]
    assert list((two_buckets.folder / "aside").iterdir()) == []


def test_a_bucket_that_is_missing_stops_the_gathering(store, two_buckets):
    (two_buckets.done / "bucket=1" / scaled.RESULTS[0]).mkdir(parents=True)
    with pytest.raises(RunError, match="1 missing"):
        scaled.gather(store, two_buckets, BOOK, scaled.RESULTS[0])


@pytest.mark.parametrize(("name", "found"), [("rule_digest", "other definitions"), ("code_digest", "other code")])
def test_a_worker_with_something_else_installed_works_nothing_out(tmp_path, name, found):
    with pytest.raises(RunError, match=found):
        work_bucket(work_in(tmp_path, 2, **{name: "another"}), 0)
