"""A copy of what cannot be made again, and the way back from it.

    BACKUP/run/published  run/restricted    the run in place: lists, working store, identities, every week remembered
    BACKUP/released                         what went out last, where anything did
    BACKUP/audit                            the audit trail, and what was ever released of the commissioners' numbers
    BACKUP/SHA256SUMS                       the digest of every file, in the form that ``sha256sum --check`` reads

It holds names and NHS numbers, as the output folder does, and is not encrypted: it belongs on an encrypted disk. The
identity key is never in it. Extract files are not either; they are kept as agreed with each supplier.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from stratify import audit_trail, release_history, taken_over
from stratify.errors import RunError
from stratify.runs import Plan, flush_folder, one_at_a_time, plan_in_place, point, put_in_place, without_values

SUMS = "SHA256SUMS"


@without_values
def back_up(out: Path, to: Path) -> Path:
    """Copy the run in place into a folder of its own, named after its day and its id.

    It is made aside and gets its name when every file has been read back: a folder without SHA256SUMS is no backup.

    Args:
        out: Output folder of a finished run.
        to: The folder that backups are kept in, outside the output folder.

    Raises:
        RunError: there is no run, one is at work, or a copy differs from what was copied.
        OSError: there is no room, or the folder cannot be written to.
    """
    plan_in_place(out)
    if to.resolve().is_relative_to(out.resolve()):
        raise _unfit("a folder outside the output folder", "one inside it", "What is lost with the disk is no backup.")
    with one_at_a_time(out):
        plan = plan_in_place(out)
        final = to / f"stratify-{plan.settings.index_date}-{plan.run_id}"
        fresh = final.with_name(f".{final.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700, parents=True)
        parts = {"run": plan.build, "released": (out / "released").resolve(), "audit": out / audit_trail.FOLDER}
        for name, source in parts.items():
            if source.is_dir():
                shutil.copytree(source, fresh / name, ignore=shutil.ignore_patterns("scratch"))
        sums = {name: _digest(path) for name, path in _files(fresh).items()}
        for name, digest in sums.items():
            part, _, inside = name.partition("/")
            if _digest(parts[part] / inside) != digest:
                raise _unfit("copies that read back as they were", f"{name} differs", "Look at the disk; try again.")
        text = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
        (fresh / SUMS).write_text(text, encoding="utf-8")
        flush_folder(fresh)
        shutil.rmtree(final, ignore_errors=True)
        fresh.rename(final)
    return final


@without_values
def restore(backup: Path, out: Path, *, replace: bool) -> Plan:
    """Put a backup in place as the run of an output folder; the run that was there stays beside it, as after any run.

    Args:
        backup: A folder that :func:`back_up` made.
        out: The output folder, new or with runs in it.
        replace: Whether it may take the place of a run of the same day or a later one.

    Returns:
        The plan of the run that is in place now.

    Raises:
        RunError: the backup is not whole, or such a run is in place. Nothing was changed then.
    """
    _stop_if_not_whole(backup)
    plan = Plan.model_validate_json((backup / "run" / "restricted" / "plan.json").read_text(encoding="utf-8"))
    with one_at_a_time(out):
        if (out / "restricted").exists() and not replace:
            there = plan_in_place(out).settings.index_date
            if there >= plan.settings.index_date:
                raise _unfit(
                    f"no run of {plan.settings.index_date} or later in place",
                    f"one of {there}",
                    "Give --replace when it shall go back to the backup: what that run remembers is lost with it.",
                )
        build = out / "runs" / "building"
        shutil.rmtree(build, ignore_errors=True)
        shutil.copytree(backup / "run", build)
        (build / "restricted").chmod(0o700)
        settings = plan.settings.model_copy(update={"out": out})
        plan = plan.model_copy(update={"build": build, "settings": settings})
        (build / "restricted" / "plan.json").write_text(plan.model_dump_json(indent=1) + "\n", encoding="utf-8")
        _take_back_trail(backup / "audit", out, plan.run_id)
        release_history.take_back(backup / "audit", out)
        if (backup / "released").is_dir() and not (out / "released").exists():
            _take_back_release(backup / "released", out, plan.run_id)
        put_in_place(plan)
        return plan_in_place(out)


@without_values
def try_out(backup: Path) -> None:
    """Restore a backup into a folder beside it, as another machine would; see that a run could go on there; delete it.

    Raises:
        RunError: it cannot be restored, the memory is not as its run left it, or the trail was changed.
    """
    trial = backup.with_name(f".{backup.name}.tried")
    shutil.rmtree(trial, ignore_errors=True)
    try:
        trial.mkdir(mode=0o700)
        plan = restore(backup, trial, replace=False)
        taken_over.stop_if_memory_changed(trial)
        wrong = audit_trail.faults(audit_trail.read(trial))
        if wrong or not backup.name.endswith(plan.run_id):
            raise _unfit("the run and the trail that were copied", wrong[0] if wrong else "another run", "Look why.")
    finally:
        shutil.rmtree(trial, ignore_errors=True)


def kept_in(folder: Path) -> list[Path]:
    """Give the finished backups of a folder, those of the latest days last."""
    found = [each for each in folder.iterdir() if _NAME.fullmatch(each.name)] if folder.is_dir() else []
    return sorted((each for each in found if (each / SUMS).is_file()), key=lambda each: (each.name[:19], _made(each)))


def remove_older(folder: Path, *, keep: int, never: Path) -> int:
    """Delete all but so many of the latest backups of a folder, and never one; gives how many went.

    What :func:`back_up` did not make is left alone.
    """
    old = [each for each in kept_in(folder)[:-keep] if each != never]
    for each in old:
        shutil.rmtree(each)
    return len(old)


_NAME = re.compile(r"stratify-\d{4}-\d{2}-\d{2}-\w+")


def _made(backup: Path) -> float:
    return (backup / SUMS).stat().st_mtime


def _take_back_trail(kept: Path, out: Path, run_id: str) -> None:
    """Have the trail of the backup where there is none; beside the one that is there, where that is another."""
    trail = kept / audit_trail.TRAIL
    folder = out / audit_trail.FOLDER
    if not trail.is_file():
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    there = folder / audit_trail.TRAIL
    if not there.exists():
        shutil.copy2(trail, there)
    elif not there.read_bytes().startswith(trail.read_bytes()):
        shutil.copy2(trail, there.with_stem(f"{there.stem}-of-{run_id}"))


def _take_back_release(kept: Path, out: Path, run_id: str) -> None:
    fresh = out / "releases" / f"{run_id}.1"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(kept, fresh)
    flush_folder(fresh)
    point(out / "released", Path("releases") / fresh.name)


def _stop_if_not_whole(backup: Path) -> None:
    sums = backup / SUMS
    if not sums.is_file():
        raise _unfit(f"{SUMS} in the backup", "none", "Take another: this one was not finished, or is none.")
    lines = [line.partition("  ") for line in sums.read_text(encoding="utf-8").splitlines()]
    written = {name: digest for digest, _, name in lines}
    files = _files(backup)
    files.pop(SUMS)
    wrong = sorted(written.keys() ^ files.keys())
    wrong += sorted(name for name in written.keys() & files.keys() if _digest(files[name]) != written[name])
    if wrong:
        raise _unfit(
            "every file as it was copied", f"{len(wrong)} that are not, first {wrong[0]}", "Take another backup."
        )


def _files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def _digest(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _unfit(expected: str, found: str, action: str) -> RunError:
    return RunError("backup", expected=expected, found=found, action=action)
