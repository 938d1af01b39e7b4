"""The release gate: lists of the run in place, checked once more against what is known by now, and sent on their way.

    out/released               -> releases/<run id>.<n>    the link that is swapped
    out/releases/<run id>.<n>/direct_care/...              as in the run, without the rows that failed
    out/releases/<run id>.<n>/release.json                 what went out, when, by whom, what was moved and why

Belongs here: reading newer files, holding pathways that may no longer publish, writing and putting in place. Which rows
fail is for ``gate``; what an objection leads to for ``privacy``, by way of ``ingest``. The run stays as it was.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from stratify import approvals, fitness, gate, ingest, periods, publish
from stratify.errors import RunError
from stratify.gate import Known
from stratify.publish import HeldList
from stratify.rulebook import RuleBook
from stratify.run_record import publish_context, team_pages
from stratify.runs import Plan, flush_folder, one_at_a_time, plan_in_place, point, rule_book_in_place
from stratify.store import Store, open_store

MOST_HOURS = 24
"""Hours that a run may be old when its lists go out."""

MOST_LOST_PERCENT = 10
"""Percent of the people on lists who may be missing from the newer files: more is a broken file, not people moving."""

_PEOPLE_TABLES = frozenset(
    {
        "patient", "registration", "practice", "clinic_capacity", "death", "patient_flag", "opt_out",
        "nhs_number_trace", "pathway_activity",
    }
)  # fmt: skip
_NOT_READ = ("gp_event", "gp_observation", "gp_medication", "apc_episode", "op_attendance", "ed_attendance")
_CONTACTS = ("invited_1", "invited_2", "invited_3", "booked", "offered", "activated")
_NO_STEPS = pl.DataFrame(
    schema={"patient_key": pl.String, "pathway": pl.String, "step": pl.String, "step_date": pl.Date}
)


@dataclass(frozen=True)
class Released:
    """What was released: where it is, and its record."""

    folder: Path
    record: Mapping[str, Any]


def release(out: Path, *, latest: Path | None, key: bytes, by: str, now: datetime) -> Released:
    """Check every row of the lists in place once more, and put what passes where it goes out.

    Args:
        out: Output folder of a finished run.
        latest: Newer files about people, in the layout of the run's source; the run's own when None.
        key: The identity key of the run.
        by: Who releases, for the record.
        now: The moment, as this machine's clock has it.

    Raises:
        RunError: there is no run, it is more than 24 hours old, its week is over or has other definitions by now, or
            the newer files lack more people than can have left.
        ExtractError: the newer files are not fit to read.
    """
    with one_at_a_time(out):
        plan, book = _plan_in_place(out, now)
        build = out / "releases" / "building"
        shutil.rmtree(build, ignore_errors=True)
        work = build / "restricted"
        work.mkdir(parents=True, mode=0o700)
        try:
            used: list[dict[str, str]] = []
            listed = _known_to_the_run(plan, work)
            newer = listed
            if latest is not None:
                whom = pl.DataFrame({"patient_key": sorted(listed.persons)}, schema={"patient_key": pl.String})
                newer, used = _known_by_now(plan, latest, work, whom, key=key, day=now.date())
            with _copy_of_the_run(plan, work) as store:
                placements = store.frame("SELECT * FROM derived.placement ORDER BY patient_key, pathway")
                _stop_if_too_many_are_lost(placements, newer)
                newer = replace(
                    newer, steps=pl.concat([_NO_STEPS if newer.steps is None else newer.steps, _remembered(plan)])
                )
                failed = gate.failed_rows(placements, listed, newer, made_on=plan.settings.index_date, day=now.date())
                objections = failed.filter(pl.col("check") == gate.OBJECTED)["patient_key"].n_unique()
                held = _held_by_now(plan, book, now.date())
                _take_out(store, placements, failed, newer, held)
                context = _context(publish_context(store, plan, book), held, objections, now)
                pages = team_pages(store, plan, book, context)
                files = publish.write_direct_care(store, build / "direct_care", context, pages)
                if plan.settings.fhir:
                    files += publish.write_bundles(store, build / "direct_care", context, book)
                record = _record(plan, build, files, failed, placements, held, used, by=by, now=now)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        publish.write_manifest(build / "release.json", record)
        return Released(_put_in_place(out, plan, build), record)


def _plan_in_place(out: Path, now: datetime) -> tuple[Plan, RuleBook]:
    plan = plan_in_place(out)
    made = plan.published / "run_manifest.json"
    hours = (now - datetime.fromtimestamp(made.stat().st_mtime)).total_seconds() / 3600
    if hours > MOST_HOURS:
        raise RunError(
            f"run {plan.run_id}",
            expected=f"one made at most {MOST_HOURS} hours before its lists go out",
            found=f"one made {hours:.0f} hours before",
            action="Run again, with the newest extract, then release.",
        )
    last = plan.settings.index_date + timedelta(days=6)
    if now.date() > last:
        raise RunError(
            f"run {plan.run_id}",
            expected=f"a release up to {periods.in_words(last)}, the last day of the week of its lists",
            found=f"one on {periods.in_words(now.date())}",
            action="Run for the week that has begun, then release.",
        )
    book = rule_book_in_place(plan)
    return plan, book


def _known_to_the_run(plan: Plan, work: Path) -> Known:
    with open_store(plan.restricted / "run.duckdb", temp_directory=work / "scratch", read_only=True) as store:
        whom = store.frame("SELECT DISTINCT patient_key FROM derived.placement")
        return Known(_persons(store, whom), flags=_flags(store, whom, plan.settings.index_date))


def _known_by_now(
    plan: Plan, latest: Path, work: Path, whom: pl.DataFrame, *, key: bytes, day: date
) -> tuple[Known, list[dict[str, str]]]:
    """Read the newer files about people, and nothing of their journals."""
    source = plan.source
    source = replace(source, not_supplied=(*dict.fromkeys((*source.not_supplied, *_NOT_READ)),))
    found = ingest.gather_files(latest, source, work / "prepared", known_by=day)
    files = [each for each in found if each.table in _PEOPLE_TABLES]
    with open_store(work / "latest.duckdb", temp_directory=work / "scratch") as store:
        for name in ("landing", "identity"):
            store.attach(work / f"latest_{name}.duckdb", name)
        ingest.land(store, files, source=source, index_date=day, key=key, door=ingest.open_door(plan.settings.entry))
        ingest.build_core(
            store, index_date=day, key=key, measurements=[], privacy_policy=plan.settings.privacy, source=source
        )
        objected = store.rows("SELECT patient_key FROM landing.standing WHERE withheld_because IS NOT NULL")
        dissent = store.rows("SELECT patient_key FROM landing.text_dissent")
        known = Known(
            _persons(store, whom),
            objected=frozenset(name for (name,) in objected),
            flags=_flags(store, whom, day),
            text_dissent=frozenset(name for (name,) in dissent),
            steps=store.frame(_STEPS),
        )
    return known, [{"file": each.shown_name, "sha256": each.sha256} for each in files]


_STEPS = """
SELECT patient_key, pathway, CASE WHEN step = 'offered' THEN 'contacted' ELSE step END AS step,
    CAST(activity_date AS DATE) AS step_date
FROM landing.pathway_activity
WHERE patient_key IS NOT NULL AND coalesce(lower(is_deleted), 'false') <> 'true'
    AND (source_file_id, source_row) NOT IN (SELECT (source_file_id, source_row) FROM audit.rejected_row)
ORDER BY ALL
"""


_COLUMNS = {
    "person_status": pl.String,
    "practice_code": pl.String,
    "identity_doubt": pl.String,
    "is_spine_sensitive": pl.Boolean,
    "contact_preference": pl.String,
    "ais_format": pl.String,
    "interpreter_needed": pl.Boolean,
    "has_digital_access": pl.Boolean,
}
"""What is looked at again of a person."""


def _persons(store: Store, whom: pl.DataFrame) -> dict[str, dict[str, Any]]:
    with store.loaned(whom) as loan:
        found = store.frame(
            f"SELECT patient_key, {', '.join(_COLUMNS)} FROM core.person WHERE patient_key IN (FROM {loan})"
        )
    return {row["patient_key"]: row for row in found.iter_rows(named=True)}


def _flags(store: Store, whom: pl.DataFrame, day: date) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    with store.loaned(whom) as loan:
        rows = store.rows(
            "SELECT patient_key, flag FROM core.patient_flag WHERE (start_date IS NULL OR start_date <= $1) "
            f"AND (end_date IS NULL OR end_date > $1) AND patient_key IN (FROM {loan})",
            [day],
        )
    for key, flag in rows:
        found.setdefault(key, set()).add(flag)
    return {key: frozenset(flags) for key, flags in found.items()}


def _remembered(plan: Plan) -> pl.DataFrame:
    """Give the contacts of earlier weeks, where a run has kept any."""
    parts = [
        pl.read_parquet(path)
        .filter(pl.col("to_state").is_in(_CONTACTS) & (pl.col("week") < plan.settings.index_date))
        .select(
            "patient_key", "pathway", pl.lit("contacted").alias("step"), pl.col("effective_date").alias("step_date")
        )
        for path in sorted((plan.restricted / "memory").glob("*/transition.parquet"))
    ]
    return pl.concat(parts) if parts else _NO_STEPS


@contextmanager
def _copy_of_the_run(plan: Plan, work: Path) -> Iterator[Store]:
    """Open a store that shows the run's tables; what is changed in it is a table of its own."""
    with open_store(work / "release.duckdb", temp_directory=work / "scratch") as store:
        store.attach(plan.restricted / "run.duckdb", "made", read_only=True)
        store.attach(plan.restricted / "identity.duckdb", "identity", read_only=True)
        tables = store.rows("SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'made'")
        for schema, table in tables:
            is_changed = f"{schema}.{table}" in ("core.person", "derived.placement")
            store.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            kind = "TABLE" if is_changed else "VIEW"
            store.execute(f"CREATE {kind} {schema}.{table} AS SELECT * FROM made.{schema}.{table}")
        yield store


def _stop_if_too_many_are_lost(placements: pl.DataFrame, newer: Known) -> None:
    standing = placements.filter(pl.col("placement").is_in(gate.STANDING))["patient_key"].unique()
    lost = sum(key not in newer.persons and key not in newer.objected for key in standing)
    if 100 * lost > MOST_LOST_PERCENT * max(len(standing), 10):
        raise RunError(
            "newer files",
            expected=f"at least {100 - MOST_LOST_PERCENT} % of the {len(standing)} people on lists",
            found=f"{lost} people who are not in them",
            action="Give whole files of every practice, not only what changed; nothing was released.",
        )


def _held_by_now(plan: Plan, book: RuleBook, day: date) -> list[HeldList]:
    """Give the pathways that may no longer publish: data too old by now, a signature that no longer holds."""
    most_days: dict[str, int] = {str(table): days for table, days in plan.settings.most_days_old.items()}
    why: dict[str, list[str]] = {}
    for table in fitness.old_feeds(plan.data_cutoffs, most_days, index_date=day):
        for name in fitness.touched(book, fitness.Doubt(table)).pathways:
            why.setdefault(name, []).append(f"{publish.source_in_words(table)}: too old on the day of the release")
    for name, words in approvals.unsigned(plan, book, day=day).items():
        why.setdefault(name, []).append(words)
    return [
        HeldList("derived.placement", "release", name, None, (), (), "; ".join(words), 0)
        for name, words in sorted(why.items())
    ]


def _take_out(store: Store, placements: pl.DataFrame, failed: pl.DataFrame, newer: Known, held: list[HeldList]) -> None:
    """Move rows that failed to not listed, with the reason; leave out whoever objected; hold what is held."""
    gone = failed.filter(pl.col("check") == gate.OBJECTED)["patient_key"].unique()
    reasons = failed.select("patient_key", "pathway", pl.col("reason").alias("gate_reason"))
    is_failed = pl.col("gate_reason").is_not_null()
    is_held = pl.col("pathway").is_in([each.pathway for each in held]) & (pl.col("decision") != "excluded")
    changed = (
        placements.filter(~pl.col("patient_key").is_in(gone.to_list()))
        .join(reasons, on=["patient_key", "pathway"], how="left", maintain_order="left")
        .with_columns(
            pl.when(is_held)
            .then(pl.lit("list_held"))
            .when(is_failed)
            .then(pl.lit("not_listed"))
            .otherwise("placement")
            .alias("placement"),
            pl.coalesce("gate_reason", "placement_reason").alias("placement_reason"),
            pl.when(is_failed).then(None).otherwise("clinic_date").alias("clinic_date"),
            pl.when(is_failed).then(None).otherwise("priority_rank").alias("priority_rank"),
        )
        .drop("gate_reason")
    )
    store.execute("DROP TABLE derived.placement")
    store.create("derived.placement", changed)
    columns = [name for name in _COLUMNS if name != "practice_code"]  # whose list a row is on stays as it was
    keys = changed["patient_key"].unique().to_list()
    rows = [(key, *(newer.persons[key][name] for name in columns)) for key in keys if key in newer.persons]
    types = {name: _COLUMNS[name] for name in columns}
    with store.loaned(pl.DataFrame(rows, schema={"key": pl.String, **types}, orient="row")) as loan:
        sets = ", ".join(f"{name} = n.{name}" for name in columns)
        store.execute(f"UPDATE core.person SET {sets} FROM {loan} AS n WHERE n.key = patient_key")


def _context(
    made: publish.PublishContext, held: list[HeldList], objections: int, now: datetime
) -> publish.PublishContext:
    checked = (
        f"Checked again before it was released, on {periods.in_words(now.date())} at {now:%H:%M}. Whoever may no "
        "longer be called stands under 'Not listed and why'; a place that came free so stays free this week."
    )
    withheld = [*made.withheld, ("objection since the list was made", objections)] if objections else made.withheld
    return replace(made, held=(*made.held, *held), lost_feeds=(*made.lost_feeds, checked), withheld=list(withheld))


def _record(
    plan: Plan,
    build: Path,
    files: list[Path],
    failed: pl.DataFrame,
    placements: pl.DataFrame,
    held: list[HeldList],
    used: list[dict[str, str]],
    *,
    by: str,
    now: datetime,
) -> dict[str, Any]:
    """Give the record of a release: counts, files and hashes, nobody in it."""
    checked = placements.filter(pl.col("placement").is_in(gate.STANDING) & pl.col("practice_code").is_not_null())
    moved = failed.group_by("pathway", "check").len().sort("pathway", "check")
    return {
        "run_id": plan.run_id,
        "is_test": plan.is_test,
        "index_date": plan.settings.index_date,
        "released_at": now.isoformat(timespec="minutes"),
        "released_by": by,
        "rule_digest": plan.rule_digest,
        "approved": plan.settings.approved,
        "newer_files": used,
        "rows_checked": checked.height,
        "rows_released": checked.height - failed.height,
        "rows_moved": [
            {"pathway": pathway, "check": check, "rows": rows} for pathway, check, rows in moved.iter_rows()
        ],
        "held": [{"pathway": each.pathway, "reason": each.reason} for each in held],
        "files": [
            {
                "file": path.relative_to(build).as_posix(),
                "practice_code": path.relative_to(build / "direct_care").parts[0],
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in files
        ],
    }


def _put_in_place(out: Path, plan: Plan, build: Path) -> Path:
    releases = out / "releases"
    taken = [int(path.suffix[1:]) for path in releases.iterdir() if path.suffix[1:].isdigit()]
    final = releases / f"{plan.run_id}.{max(taken, default=0) + 1}"
    flush_folder(build)
    build.rename(final)
    point(out / "released", Path("releases") / final.name)
    return final


def for_the_trail(done: Released) -> dict[str, Any]:
    """Give what the audit trail says of a release: counts, and the digest of its record, which has every file's."""
    return {
        "run_id": done.record["run_id"],
        "rows_checked": done.record["rows_checked"],
        "rows_released": done.record["rows_released"],
        "held": sorted({each["pathway"] for each in done.record["held"]}),
        "record_sha256": hashlib.sha256((done.folder / "release.json").read_bytes()).hexdigest(),
    }


def in_words(done: Released) -> str:
    """Say what was released, in counts."""
    record = done.record
    lines = [
        f"Released run {record['run_id']}{' (TEST: invented people)' if record['is_test'] else ''}: "
        f"{record['rows_released']:,} of {record['rows_checked']:,} rows, {len(record['files']):,} files"
    ]
    lines += [f"  {each['rows']:>5,} not released: {each['pathway']}, {each['check']}" for each in record["rows_moved"]]
    lines += [f"  HELD: {each['pathway']}: {each['reason']}" for each in record["held"]]
    lines += [] if record["newer_files"] else ["  No newer files were given: checked against the run's own data"]
    pages = publish.team_pages_in_words((each["file"] for each in record["files"]), is_test=record["is_test"])
    return "\n".join([*lines, f"  {pages}", f"Outputs: {done.folder}"])
