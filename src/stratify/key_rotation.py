"""Changes the identity key of the finished run in place: new pseudonyms, the same people, and a list of which is which.

Here: which run it is and which key made it, the new pseudonym of each old one, and copies of the restricted databases
under new pseudonyms. Does not belong: keys themselves (``privacy``), putting a folder in place (``runs``).

The re-keyed run is built beside the one in place and swapped in with the same one rename a run ends with: killed at any
moment, the folder holds the run under the old key or under the new one, and the command is simply given again. Nothing
published changes. The databases are written anew, not changed, so that no old pseudonym stays behind in a freed block.
The kept weeks are written anew, too; what they hold of people whose number is held no longer is left out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from stratify import kept_weeks, privacy
from stratify.errors import PrivacyError, RunError
from stratify.privacy import KeyRing
from stratify.runs import Plan, one_at_a_time, put_in_place, without_values
from stratify.store import Store, open_store

CROSSWALK = "key_crosswalk.csv"
"""In the restricted folder of a run whose key was changed: each pseudonym before and after."""

_KEY_COLUMNS = ("patient_key", "original_key")
"""Columns of restricted databases that hold pseudonyms."""

_REMEMBERED = ('"audit"."transition"', '"audit"."list_row"')
_SAID = '"audit"."feedback"'
"""What was said stays, though whom it is about may not be told any more."""
"""Tables that hold people of earlier weeks, too; whose number is held no longer cannot be given a new pseudonym."""


@dataclass(frozen=True)
class Rotation:
    """What came of changing the key: the run, and how many pseudonyms are new; none where it was done before."""

    run_id: str
    pseudonym_count: int
    crosswalk: Path


@without_values
def rotate(out: Path, ring: KeyRing, *, old_version: str, new_version: str) -> Rotation:
    """Make the run in place one of the new key, and write which old pseudonym is which new one.

    Args:
        out: Output folder of a finished run.
        ring: The keys of the site.
        old_version: Version of the key that made the run.
        new_version: Version of the key it shall have: the current one.

    Returns:
        What was done. A run that has the new key already is left as it is.

    Raises:
        RunError: no finished run there, or another run is at work.
        PrivacyError: one key twice, a version that is not in the ring or not the current one, a run of another key, or
            a pseudonym whose number is not held. Nothing is changed then.
    """
    old, new = ring.of_version(old_version), ring.of_version(new_version)
    if old == new:
        raise _refused("two keys", "one key", "Add a new key to the ring and make it the current one.")
    if new_version != ring.current:
        raise _refused(
            "the current key of the ring as the new one",
            "an earlier one",
            "Make the new version `current` in the ring first: the next run would undo this otherwise.",
        )
    _fingerprint_of_run(out)  # before the lock, which would make the folder
    with one_at_a_time(out):
        restricted = (out / "restricted").resolve()
        plan = Plan.model_validate_json((restricted / "plan.json").read_text(encoding="utf-8"))
        made_with = _fingerprint_of_run(out)
        if made_with == privacy.key_fingerprint(new):
            return Rotation(plan.run_id, 0, out / "restricted" / CROSSWALK)
        if made_with != privacy.key_fingerprint(old):
            raise _refused("a run made with the old key", "one of another key", "Correct --from, or add that key.")
        build = out / "runs" / "building"
        settings = plan.settings.model_copy(update={"out": out})
        plan = plan.model_copy(update={"build": build, "settings": settings})
        shutil.rmtree(build, ignore_errors=True)
        (plan.restricted / "scratch").mkdir(parents=True, mode=0o700)
        plan.restricted.chmod(0o700)
        shutil.copytree((out / "published").resolve(), plan.published)
        count = _rekey(restricted, plan.restricted, old=old, new=new)
        _write(plan.restricted / "plan.json", plan.model_dump_json(indent=1) + "\n")
        put_in_place(plan)
        return Rotation(plan.run_id, count, out / "restricted" / CROSSWALK)


def key_of_run(out: Path, ring: KeyRing) -> bytes:
    """Give the key of the ring that made the run in place; the current one where none did, or there is no run."""
    path = out / "restricted" / "key.json"
    return (ring.made_with(_fingerprint_of_run(out)) if path.is_file() else None) or ring.key


def listed_keys(restricted: Path) -> dict[str, str]:
    """Give, by pseudonym, the one that the references on the published lists were made from, where it is another."""
    path = restricted / CROSSWALK
    if not path.is_file():
        return {}
    rows = pl.read_csv(path, schema_overrides=dict.fromkeys(_CROSSWALK_COLUMNS, pl.String))
    return dict(rows.select("patient_key", "listed_key").iter_rows())


def in_words(done: Rotation) -> str:
    """Say on a line or two what was done."""
    if not done.pseudonym_count:
        return f"Run {done.run_id} has the new key already; nothing was changed."
    return (
        f"Run {done.run_id}: {done.pseudonym_count:,} pseudonyms are new; which was which: {done.crosswalk}\n"
        "The run before it, if one is kept, still has its own key: keep that key until the run is gone."
    )


_CROSSWALK_COLUMNS = ("former_key", "patient_key", "listed_key", "former_key_version", "key_version")


def _rekey(restricted: Path, build: Path, *, old: bytes, new: bytes) -> int:
    """Copy every database of a restricted folder under new pseudonyms, with the account of them."""
    databases = sorted(path.stem for path in restricted.glob("*.duckdb"))
    versions = privacy.key_fingerprint(old), privacy.key_fingerprint(new)
    with open_store(Path(":memory:"), temp_directory=build / "scratch") as store:
        for name in databases:
            store.attach(restricted / f"{name}.duckdb", f"{name}_before", read_only=True)
        fresh = _new_pseudonyms(store, old=old, new=new)
        held = _held(store, databases, but=(*_REMEMBERED, _SAID))
        lost = len(held - fresh.keys())
        if lost:
            raise _refused(
                "the number or the record behind every pseudonym",
                f"{lost} pseudonyms without",
                "Run again with the new key instead: this run was not changed.",
            )
        listed = listed_keys(restricted)
        kept_weeks.rekey(restricted, build, fresh)
        held = held | (_held(store, databases) | kept_weeks.people(restricted)) & fresh.keys()
        frame = pl.DataFrame(
            [(key, fresh[key], listed.get(key, key), *versions) for key in sorted(held)],
            schema=dict.fromkeys(_CROSSWALK_COLUMNS, pl.String),
            orient="row",
        )
        with store.loaned(frame) as loan:
            store.execute(f"CREATE TEMP TABLE crosswalk AS FROM {loan}")
        for name in databases:
            with _private(build / f"{name}.duckdb") as path:
                store.attach(path, f"{name}_after")
                _copy(store, name, key_version=versions[1])
                store.detach(f"{name}_after")
            store.detach(f"{name}_before")
    _write(build / CROSSWALK, frame.write_csv())
    _write(build / "key.json", json.dumps({"key_fingerprint": versions[1]}) + "\n")
    return frame.height


def _new_pseudonyms(store: Store, *, old: bytes, new: bytes) -> dict[str, str]:
    """Give the new pseudonym of each old one that can be worked out: from a number, or from a record without one."""
    numbers = store.rows(
        "SELECT nhs_number FROM identity_before.person WHERE nhs_number IS NOT NULL "
        "UNION SELECT superseded_nhs_number FROM identity_before.merged_number ORDER BY ALL"
    )
    records = store.rows("SELECT DISTINCT org_code, source_patient_id FROM run_before.core.patient ORDER BY ALL")
    return {privacy.pseudonym(old, number): privacy.pseudonym(new, number) for (number,) in numbers} | {
        privacy.local_pseudonym(old, org, record): privacy.local_pseudonym(new, org, record) for org, record in records
    }


def _tables(store: Store, name: str) -> Mapping[str, list[str]]:
    """Give the tables of an attached database, each with its columns in order."""
    found: dict[str, list[str]] = {}
    for schema, table, column in store.rows(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
        "WHERE database_name = $1 AND NOT internal AND table_name IN (SELECT table_name FROM duckdb_tables()) "
        "ORDER BY schema_name, table_name, column_index",
        [f"{name}_before"],
    ):
        found.setdefault(f'"{schema}"."{table}"', []).append(column)
    return found


def _held(store: Store, databases: list[str], *, but: tuple[str, ...] = ()) -> set[str]:
    """Give every pseudonym that stands in any table, but for some."""
    held: set[str] = set()
    for name in databases:
        for table, columns in _tables(store, name).items():
            for column in set(columns) & set(_KEY_COLUMNS) if table not in but else ():
                asked = f"SELECT DISTINCT {column} FROM {name}_before.{table} WHERE {column} IS NOT NULL"
                held.update(key for (key,) in store.rows(asked))
    return held


def _copy(store: Store, name: str, *, key_version: str) -> None:
    """Fill a new database with the tables of the old one, row by row in order, under new pseudonyms."""
    store.execute(f"COPY FROM DATABASE {name}_before TO {name}_after (SCHEMA)")
    for table, columns in _tables(store, name).items():
        joins, fields = "", []
        for column in columns:
            if column in _KEY_COLUMNS:
                how = "JOIN" if table in _REMEMBERED else "LEFT JOIN"
                joins += f' {how} crosswalk AS of_{column} ON t."{column}" = of_{column}.former_key'
                fields.append(f"of_{column}.patient_key")
            else:
                fields.append(f"'{key_version}'" if column == "key_version" else f't."{column}"')
        store.execute(
            f"INSERT INTO {name}_after.{table} SELECT {', '.join(fields)} "
            f"FROM {name}_before.{table} AS t{joins} ORDER BY t.rowid"
        )


@contextmanager
def _private(path: Path) -> Iterator[Path]:
    yield path
    path.chmod(0o600)


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8", newline="")


def _fingerprint_of_run(out: Path) -> str:
    path = out / "restricted" / "key.json"
    if not path.is_file():
        raise RunError(
            f"output folder {out.name}", expected="a finished run", found="none", action="Run first, or correct --out."
        )
    return str(json.loads(path.read_text(encoding="utf-8"))["key_fingerprint"])


def _refused(expected: str, found: str, action: str) -> PrivacyError:
    return PrivacyError("change of the identity key", expected=expected, found=found, action=action)
