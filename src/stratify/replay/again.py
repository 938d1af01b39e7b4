"""Makes a past week again from its record alone, and says of every published file whether it is the same.

Belongs here: laying a record out, running it, comparing digests. Does not belong: what a record holds
(``kept_records``), why a week would be another today (``differences``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stratify import kept_records, pipeline, runs
from stratify.errors import PrivacyError, RunError
from stratify.kept_records import Record
from stratify.privacy import THROWAWAY_KEY, KeyRing, key_fingerprint
from stratify.settings import Settings
from stratify.store import open_store

Progress = Callable[[str], None]
_MOST_SHOWN = 20


@dataclass(frozen=True)
class Replay:
    """A week that was made again.

    Attributes:
        record: The record it was made from.
        run_id: Id of the run that was made; that of the record where nothing that decides it is another.
        other: What is not as it was then and is no input: code, versions; in words.
        agree: How many published files are the same.
        differ: Those that are not.
        lacking: Those that were there then.
        added: Those that were not.
    """

    record: Record
    run_id: str
    other: tuple[str, ...]
    agree: int
    differ: tuple[str, ...]
    lacking: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """True when every published file is what it was then."""
        return not (self.differ or self.lacking or self.added)

    @property
    def is_as_it_can_be(self) -> bool:
        """True when what differs comes of what the law had removed: every input left is checked, and so is the code."""
        return self.is_same or bool(self.record.erased and not self.other)


def key_of(record: Record, ring: KeyRing | None) -> bytes:
    """Give the identity key a record was made with, which no record holds.

    Args:
        record: The record.
        ring: The keys of the site; None where the environment has none, which invented people need not.

    Raises:
        PrivacyError: it is not in the ring.
    """
    keys: list[bytes] = [THROWAWAY_KEY, *(ring.keys.values() if ring else ())]
    found = next((each for each in keys if key_fingerprint(each) == record.key_fingerprint), None)
    if found is None:
        raise PrivacyError(
            "identity key",
            expected=f"the one with the fingerprint {record.key_fingerprint}, which made the run",
            found="another, or none",
            action="Bring it from your organisation's secret store, as a line of the key ring: docs/deploy.md.",
        )
    return found


def replay(records: Path, record: Record, into: Path, *, key: bytes, progress: Progress = lambda _: None) -> Replay:
    """Make a week again in an empty folder, from its record alone, and compare what it publishes.

    Args:
        records: The folder of records.
        record: One of them.
        into: An empty or new folder, for the inputs and the outputs.
        key: The identity key of the run.
        progress: Told the name of each stage as it starts.

    Raises:
        RunError: the folder is not empty, an input is not what was kept, or the run cannot be made.
    """
    stop_unless_empty(into)
    progress("Laying out what was known then")
    settings = kept_records.lay_out(records, record, into)
    plan = run_again(settings, key=key, progress=progress, run_id=record.run_id if record.erased else None)
    progress("Comparing")
    found = kept_records.output_digests((settings.out / "published").resolve(), into / "scratch")
    there = record.outputs.keys() & found.keys()
    same = {name for name in there if found[name] == record.outputs[name]}
    return Replay(
        record=record,
        run_id=plan.run_id,
        other=_other_than_then(record, plan),
        agree=len(same),
        differ=tuple(sorted(there - same)),
        lacking=tuple(sorted(record.outputs.keys() - there)),
        added=tuple(sorted(found.keys() - there)),
    )


def run_again(
    settings: Settings, *, key: bytes, progress: Progress = lambda _: None, run_id: str | None = None
) -> runs.Plan:
    """Do a whole run in the output folder of some settings, apart from the trail and the records of the site.

    Leaves in its restricted folder who was in the extract, whether or not the run was allowed to look at them.

    Args:
        settings: What to run.
        key: The identity key.
        progress: Told the name of each stage as it starts.
        run_id: What to call it, where it is made again from less than it had.

    Returns:
        Its plan.
    """
    with runs.one_at_a_time(settings.out):
        plan = runs.prepare(settings, key=key)
        if run_id is not None:
            plan = runs.under_id(plan, run_id)
        for words, stage in pipeline.stages(key, progress):
            progress(words)
            stage(plan)
            if (plan.restricted / "landing.duckdb").exists():  # until the core tables are made of it
                _keep_who_was_sent(plan)
        pipeline.finish(plan)
    return plan


def _keep_who_was_sent(plan: runs.Plan) -> None:
    with open_store(plan.restricted / "landing.duckdb", temp_directory=plan.restricted / "scratch") as store:
        sent = store.frame("SELECT DISTINCT patient_key FROM main.patient WHERE patient_key IS NOT NULL ORDER BY ALL")
    path = plan.restricted / WHO_WAS_SENT
    path.touch(mode=0o600)
    sent.write_parquet(path)


WHO_WAS_SENT = "who_was_sent.parquet"


def stop_unless_empty(folder: Path) -> None:
    """Refuse a folder that has something in it.

    Raises:
        RunError: it has.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"--out {folder.name}",
            expected="an empty folder, or a new one",
            found="something in it",
            action="Name another: a week is made again from nothing but its record.",
        )


def in_words(done: Replay) -> str:
    """Say what agrees, what does not, and what is known of why; names of files only."""
    record = done.record
    lines = [f"Week {record.week}, run {record.run_id}, from {len(record.inputs):,} kept inputs"]
    contents = sum(name.endswith(".duckdb") for name in record.outputs)
    total = len(record.outputs)
    lines.append(
        f"{done.agree:,} of {total:,} published files are the same: {contents} by contents, others to the byte"
    )
    lines += [f"Not as it was then: {each}" for each in done.other]
    for each in record.erased:
        lines.append(
            f"Rows of one person were taken out on {each.on}, of {len(each.inputs)} files: what came of them cannot "
            "be made again"
        )
    if done.run_id != record.run_id:
        lines.append(f"The run has another id, {done.run_id}, which every file says: compare people by --as-known-now")
    for words, names in (("differs", done.differ), ("is no longer made", done.lacking), ("is new", done.added)):
        lines += [f"  {words}: {name}" for name in names[:_MOST_SHOWN]]
        if len(names) > _MOST_SHOWN:
            lines.append(f"  … and {len(names) - _MOST_SHOWN:,} more")
    is_as_then = not (record.erased or done.other)
    if is_as_then and any("/team_page" in name for name in done.differ):
        lines.append("A team's page is sealed with the passphrase of then: set it as it was (docs/team-page.md).")
    return "\n".join(lines)


def _other_than_then(record: Record, plan: runs.Plan) -> tuple[str, ...]:
    now = {"stratify": plan.code_version, **kept_records.running_versions()}
    then = {"stratify": record.code_version, **record.versions}
    return tuple(
        f"{name} {then.get(name, 'of unknown version')}, here {now[name]}"
        for name in now
        if now[name] != then.get(name)
    )
