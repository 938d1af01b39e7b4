"""Whole runs of many small counties with random faults: nobody lost, nobody listed twice, every row accounted for.

Which county is drawn depends on its number alone, and every failure names it with what it was made of; to see one
again: ``pytest tests/property/test_counties.py -k county_7_``. Files are counted here without the package's own
readers. A fault may make a run refuse the county: then there is one message and nothing is published.
"""

from __future__ import annotations

import csv
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest

from stratify import runs, truth_score
from stratify.privacy import THROWAWAY_KEY, local_pseudonym, pseudonym
from stratify.rulebook import load_rule_book
from stratify.store import Store
from stratify.synth import CountyOrder, write_county
from stratify.synth.faults import FAULTS
from whole_runs import OBJECTIONS_HONOURED, counted_plainly, refusal, settings_file, stratify, workbooks, working_store
from whole_runs import sheet as rows_of_sheet

INDEX_DATE = date(2026, 11, 2)
FAULTS_OF_ONE_EXTRACT = [id for id, fault in FAULTS.items() if not fault.needs_weeks]
EXIT_CODES_OF_DATA = (3, 4, 7)
"""A file, a verdict or a rule on identity: what a fault in the data may lead to."""

IN_EVERY_RUN = (3, 14, 29)
"""Small ones: Parquet for direct care, CSV for case finding, and one that is refused."""

IN_THE_LONG_RUN = tuple(number for number in range(1, 61) if number not in IN_EVERY_RUN)


@dataclass(frozen=True)
class Drawn:
    """A county as it was drawn: enough to make it again."""

    number: int
    order: CountyOrder
    purpose: str

    def __str__(self) -> str:
        """Say how to make it again."""
        faults = " ".join(f"--fault {id}={rate!r}" for id, rate in self.order.faults.items())
        return (
            f"county {self.number}, purpose {self.purpose}: stratify synth --people {self.order.people} "
            f"--practices {self.order.practices} --seed {self.order.seed} --format {self.order.file_format} "
            f"--index-date {INDEX_DATE} --clean {faults}"
        )


def drawn(number: int) -> Drawn:
    """Draw a county: sizes, format, purpose, and up to five faults at rates about the usual one, or none."""
    rng = random.Random(f"county {number}")
    people = rng.randint(100, 600)
    file_format = rng.choice(("csv", "csv", "parquet"))
    possible = [id for id in FAULTS_OF_ONE_EXTRACT if file_format == "csv" or FAULTS[id].level == "row"]
    weights = [1 if FAULTS[id].expects == "refused" else 3 for id in possible]
    chosen = set(rng.choices(possible, weights, k=rng.choice((0, 1, 2, 3, 4, 6))))
    rates = {
        id: 1.0
        if FAULTS[id].share_of == "sets"
        else round(min(1.0, FAULTS[id].default_rate * 10 ** rng.uniform(-0.5, 1.5)), 5)
        for id in sorted(chosen)
    }
    order = CountyOrder(
        people=people,
        practices=rng.randint(1, min(4, people // 100)),
        seed=rng.randrange(1_000_000),
        index_date=INDEX_DATE,
        faults=rates,
        file_format=file_format,
    )
    return Drawn(number, order, rng.choice(("direct_care", "case_finding")))


class Extracts:
    """The files as anybody could read them: names and tables of the manifest, lines counted, rows as text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def tables(self) -> dict[str, str]:
        """Table of each file, by name."""
        with (self.folder / "manifest.csv").open(encoding="utf-8", newline="") as lines:
            return {row["file_name"]: row["table_name"] for row in csv.DictReader(lines)}

    def count(self, name: str) -> int:
        """Count the rows of a file: lines below the header, or what the Parquet file itself says."""
        path = self.folder / name
        if path.suffix == ".parquet":
            return pl.scan_parquet(path).select(pl.len()).collect().item()
        return path.read_bytes().count(b"\n") - 1

    def rows(self, table: str) -> Iterator[tuple[str, int, dict[str, str]]]:
        """Give the rows of a table with file name and line; the first row below the header is on line 2."""
        for name in sorted(name for name, of in self.tables.items() if of == table):
            path = self.folder / name
            if path.suffix == ".parquet":
                frame = pl.read_parquet(path).with_columns(pl.all().cast(pl.String).fill_null(""))
                body: Iterator[dict[str, str]] = frame.iter_rows(named=True)
                yield from ((name, line, row) for line, row in enumerate(body, 2))
            else:
                with path.open(encoding="utf-8", newline="") as lines:
                    yield from ((name, line, row) for line, row in enumerate(csv.DictReader(lines), 2))


@pytest.fixture(scope="module")
def scratch():
    """Definitions and their examples are the same for every county, and proved elsewhere."""
    with ExitStack() as held:
        patch = held.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(runs, "run_examples", lambda book: [])
        held.enter_context(counted_plainly())
        yield Path(held.enter_context(TemporaryDirectory(prefix="stratify-counties-")))


@pytest.mark.parametrize(
    "number",
    [pytest.param(number, id=f"county_{number}_") for number in IN_EVERY_RUN]
    + [pytest.param(number, id=f"county_{number}_", marks=pytest.mark.slow) for number in IN_THE_LONG_RUN],
)
def test_nobody_is_lost_or_listed_twice_and_every_row_is_accounted_for(number, scratch):
    county = drawn(number)
    folder = scratch / str(number)
    try:
        _hold(county, folder)
    except AssertionError as broken:
        raise AssertionError(f"{county}\n{broken}") from broken
    except Exception as crash:
        raise AssertionError(f"{county}\nended in {type(crash).__name__}: {crash}") from crash


def _hold(county: Drawn, folder: Path) -> None:
    extracts, truth, out = folder / "extracts", folder / "truth", folder / "out"
    write_county(extracts, county.order, truth_folder=truth)
    privacy = OBJECTIONS_HONOURED | {"purpose": county.purpose}
    done = stratify(
        "run", "--settings", settings_file(folder, extracts, out, index_date=INDEX_DATE, privacy=privacy, clinical=None)
    )
    files = Extracts(extracts)
    if done.exit_code:
        assert county.order.faults, f"a clean county is refused: {done.output}"
        assert done.exit_code in EXIT_CODES_OF_DATA, done.output
        message = refusal(done, done.exit_code)
        assert not re.search(r"\b9\d{9}\b", message), "a message holds an NHS number"
        assert not (out / "published").exists() and not (out / "current").exists()
        return
    with working_store(out, folder / "scratch") as store:
        store.attach(out / "restricted" / "identity.duckdb", "identity", read_only=True)
        _hold_accounts(store, files, out)
        _hold_rows(store, files)
        kept = _hold_people(store, files, county.purpose)
        _hold_placements(store)
        store.detach("identity")
    _hold_lists(out / "published" / "direct_care", files, kept)
    compared = truth_score.compare(out, truth, THROWAWAY_KEY)
    assert not compared.unexplained, truth_score.in_words(compared)
    if not county.order.faults:
        assert compared.agreeing == compared.on_pathway and not compared.differences


# What holds of every finished run


def _hold_accounts(store: Store, files: Extracts, out: Path) -> None:
    """Every file of the manifest has an account of as many rows as it has lines, and what was set aside is named."""
    accounts = {
        name: counts
        for name, *counts in store.rows(
            "SELECT file_name, received_count, loaded_count, rejected_count, restricted_count, "
            "(SELECT count(DISTINCT source_row) FROM audit.rejected_row AS r "
            "WHERE r.source_file_id = f.source_file_id AND scope = 'row') FROM audit.source_file AS f"
        )
    }
    assert sorted(accounts) == sorted(files.tables), "the accounts are not of the files of the manifest"
    for name, (received, loaded, rejected, restricted, named) in accounts.items():
        assert received == files.count(name), f"{name} has {files.count(name)} rows, {received} are accounted for"
        assert received == loaded + rejected, f"{name}: {received} received, {loaded} loaded, {rejected} set aside"
        # Rows that may not land are counted and never named.
        assert rejected - restricted <= named <= rejected, f"{name}: {rejected} set aside, {named} of them named"
    manifest = json.loads((out / "published" / "run_manifest.json").read_text(encoding="utf-8"))
    said = {each["file_name"]: (each["received_count"], each["loaded_count"]) for each in manifest["inputs"]}
    assert said == {name: (received, loaded) for name, (received, loaded, *_) in accounts.items()}


RECORDS = ("registration", "gp_event", "gp_observation", "gp_medication")
HOSPITAL = ("apc_episode", "op_attendance", "ed_attendance", "death", "patient_flag")


def _hold_rows(store: Store, files: Extracts) -> None:
    """Each line is in a core table once, or set aside, or of somebody who is not in the run, and that is counted."""
    steps = dict(store.rows("SELECT measure, count FROM audit.step_count WHERE step = 'core'"))
    for table in (*RECORDS, *HOSPITAL):
        lines = Counter({name: files.count(name) for name, of in files.tables.items() if of == table})
        # A grade that is coded as an event is an observation too: lines of other tables' files do not count here.
        in_core = store.rows(
            f"SELECT file_name, source_row FROM core.{table} JOIN audit.source_file USING (source_file_id) "
            "WHERE table_name = $1",
            [table],
        )
        aside = store.rows(
            "SELECT DISTINCT file_name, source_row FROM audit.rejected_row AS r JOIN audit.source_file "
            "USING (source_file_id) WHERE r.table_name = $1 AND scope = 'row'",
            [table],
        )
        assert len(set(in_core)) == len(in_core), f"core.{table} has a line of a file twice"
        assert not set(in_core) & set(aside), f"a line is set aside and in core.{table}"
        assert all(2 <= line <= lines[name] + 1 for name, line in [*in_core, *aside]), (
            f"{table} names no line of a file"
        )
        elsewhere = steps[f"{table} withheld"] + steps.get(f"{table} unlinked", 0)
        elsewhere += steps.get(f"{table} dated after death", 0)
        if table == "gp_medication":
            elsewhere += steps[f"{table} dated before birth"]
        elsewhere += store.scalar(
            "SELECT coalesce(sum(rejected_count), 0)::BIGINT FROM audit.source_file WHERE table_name = $1", [table]
        ) - len(aside)  # may not land
        found = len(in_core) + len(aside) + elsewhere
        assert found == lines.total(), f"{table}: {lines.total()} lines, {found} found again"


def _hold_people(store: Store, files: Extracts, purpose: str) -> dict[tuple[str, str], str]:
    """Everybody of patient.csv is in the run, set aside by line, or withheld and counted; give whose each record is."""
    in_run = {key for (key,) in store.rows("SELECT patient_key FROM core.person")}
    aside = set(
        store.rows(
            "SELECT file_name, source_row FROM audit.rejected_row AS r JOIN audit.source_file USING (source_file_id) "
            "WHERE r.table_name = 'patient' AND scope = 'row'"
        )
    )
    contested = set(
        store.rows(
            "SELECT file_name, source_row FROM audit.rejected_row JOIN audit.source_file USING (source_file_id) "
            "WHERE rule_id = 'PAT-84-contested'"
        )
    )
    # Two people under one number have a key each, of their records.
    whose = {
        (row["org_code"], row["source_patient_id"]): _key(
            row | {"nhs_number": ""} if (name, line) in contested else row
        )
        for name, line, row in files.rows("patient")
        if (name, line) not in aside
    }
    absent = set(whose.values()) - in_run
    assert in_run <= set(whose.values()), "somebody in the run is in no patient file"
    counted = store.scalar("SELECT coalesce(sum(people_count), 0) FROM audit.withheld WHERE surface = 'direct_care'")
    assert len(absent) == counted, f"{len(absent)} people are not in the run, {counted} are said to be withheld"
    assert purpose == "case_finding" or not absent
    assert len(in_run) == store.scalar("SELECT count(*) FROM core.person"), "somebody is in the run twice"
    return whose


def _key(row: dict[str, str]) -> str:
    """Give the key of a patient row: of a number that may be linked, or of the record."""
    number = re.sub(r"[ -]", "", row["nhs_number"])
    weighed = sum(
        int(digit) * weight for digit, weight in zip(number, range(10, 1, -1), strict=False) if digit.isdigit()
    )
    is_number = re.fullmatch(r"9\d{9}", number) and (-weighed) % 11 == int(number[9]) and len(set(number)) > 1
    if is_number:
        return pseudonym(THROWAWAY_KEY, number)
    return local_pseudonym(THROWAWAY_KEY, row["org_code"], row["source_patient_id"])


def _hold_placements(store: Store) -> None:
    """Everybody has at most one decision on a pathway, and everybody with one that counts has one place there."""
    placed = Counter(store.rows("SELECT patient_key, pathway FROM derived.placement"))
    drafts = [name for name, each in load_rule_book().pathways.items() if not each.is_published]
    decided = Counter(
        store.rows(
            "SELECT patient_key, pathway FROM derived.pathway_decision "
            "WHERE decision <> 'not_eligible' AND NOT list_contains($1, pathway)",
            [drafts],
        )
    )
    assert set(decided.values()) <= {1}, "somebody has two decisions on a pathway"
    assert placed == decided, "a decision without a place, a place without a decision, or two"
    people = {key for (key,) in store.rows("SELECT patient_key FROM core.person")}
    assert {key for key, _ in placed} <= people


def _hold_lists(folder: Path, files: Extracts, whose: dict[tuple[str, str], str]) -> None:
    """Nobody is called twice in one week, and each is called by the practice of their latest registration."""
    homes = _homes(files, whose)
    called: Counter[tuple[str, ...]] = Counter()
    for practice, row in _called(folder):
        number = re.sub(r"\D", "", str(row["NHS number"]))
        if number:
            called[(number,)] += 1
            key = pseudonym(THROWAWAY_KEY, number)
            assert practice in homes[key], f"a list of {practice} has somebody who is not registered there"
        else:
            called[practice, *(str(row[name]) for name in ("Family name", "Given names", "Date of birth"))] += 1
    twice = sum(count > 1 for count in called.values())
    assert not twice, f"{twice} people are called twice in one week"


def _called(folder: Path) -> Iterator[tuple[str, dict[str, object]]]:
    for path in workbooks(folder.parent):
        for row in rows_of_sheet(path, "List"):
            yield path.relative_to(folder).parts[0], row
    for path in sorted(folder.rglob("offers_*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for row in csv.DictReader(lines):
                names = {"NHS number": "nhs_number", "Family name": "family_name", "Given names": "given_names"}
                names["Date of birth"] = "date_of_birth"
                yield path.relative_to(folder).parts[0], {heading: row[name] for heading, name in names.items()}


def _homes(files: Extracts, whose: dict[tuple[str, str], str]) -> dict[str, set[str]]:
    """Give the practices at which somebody's latest open regular registration is; ties give more than one."""
    latest: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for _, _, row in files.rows("registration"):
        is_open = not row["end_date"] or row["end_date"] > INDEX_DATE.isoformat()
        key = whose.get((row["org_code"], row["source_patient_id"]))
        if key and is_open and row["registration_type"] == "REGULAR" and row["start_date"] <= INDEX_DATE.isoformat():
            latest[key].append((row["start_date"], row["practice_code"]))
    return {key: {practice for start, practice in each if start == max(each)[0]} for key, each in latest.items()}
