"""Makes a county practice by practice, in as many processes as asked, and joins what they made in practice order.

Here: the order of the work, part files, and putting finished folders in place. What is in the rows belongs to those
who draw, spoil and lay them out; what should follow from them to ``truth``. A practice needs nothing from another, so
memory goes by the largest practice and the bytes do not depend on the number of processes.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import polars as pl

from stratify.errors import RunError, SettingsError
from stratify.synth import CountySummary, ExtractSummary, chance, truth
from stratify.synth.county import draw_practice
from stratify.synth.faults import Scene, SetScene, Tables, check_rates, replaced_from, spoil_rows, spoil_set
from stratify.synth.known import as_extracted, brought_up_to_date, key_of
from stratify.synth.layouts import LAYOUTS, ExtractFacts, FileStyle, Layout, WrittenFile
from stratify.synth.order import CountyOrder
from stratify.synth.world import County
from stratify.synth.write import TABLES, as_text

Tell = Callable[[str], None]

_COPY_BYTES = 4 << 20
_ROW_GROUP = 100_000
_MARK = ".synthetic-county"
"""Stands in every folder we write, so that only those are ever replaced."""


def make_and_place(
    order: CountyOrder, folder: Path, truth_folder: Path | None, *, replace: bool, tell: Tell
) -> CountySummary:
    """Make a county and put its folders in place whole.

    Args:
        order: A checked order.
        folder: Where the extracts shall stand.
        truth_folder: Where the truth shall stand; None for no truth.
        replace: Whether an earlier county there may go.
        tell: Told how far it is.

    Raises:
        SettingsError: a fault, a layout or a folder is not fit; nothing was written.
        RunError: the files could not be written.
    """
    if order.layout not in LAYOUTS:
        raise SettingsError(
            "synthetic county, layout",
            expected=", ".join(LAYOUTS),
            found="another word",
            action="Give one of them.",
        )
    check_rates(order.faults, order.weeks, order.file_format)
    places = [folder.absolute(), *([truth_folder.absolute()] if truth_folder else [])]
    for place in places:
        _check_place(place, replace=replace)
    _check_apart(places)
    with _in_words(folder), _scratch_beside(folder) as scratch:
        summary = _make(order, folder, scratch, with_truth=truth_folder is not None, tell=tell)
        if truth_folder is not None:
            _place(scratch / "truth", truth_folder.absolute())
        _place(scratch / "extracts", folder.absolute())
    return summary


def _make(order: CountyOrder, folder: Path, scratch: Path, *, with_truth: bool, tell: Tell) -> CountySummary:
    county = County(order)
    jobs = [(order, number, scratch, with_truth) for number in range(len(county.practices))]
    counts: list[list[Mapping[str, int]]] = []
    for done in _in_processes(jobs, order.workers):
        counts.append(done)
        if len(counts) == len(jobs) or len(counts) * 10 // len(jobs) > (len(counts) - 1) * 10 // len(jobs):
            tell(f"Practice {len(counts):,} of {len(jobs):,}")
    tell("Joining the practices' files")
    extracts = list[ExtractSummary]()
    digests, touches = dict[date, dict[str, str]](), dict[date, pl.DataFrame]()
    previous: Path | None = None
    for week, day in enumerate(county.index_dates):
        name = day.isoformat() if order.weeks else ""
        place = scratch / "extracts" / name
        files, touches[day] = _join(county, week, scratch, place, previous)
        previous = place
        manifests = LAYOUTS[order.layout].manifests([], _facts(county, week))
        digests[day] = {file.name: file.sha256 for file in files if file.name not in manifests}
        totals = {table: sum(each[week][table] for each in counts) for table in TABLES}
        extracts.append(ExtractSummary(day, folder / name, tuple(file.name for file in files), totals))
    (scratch / "extracts" / _MARK).touch()
    if with_truth:
        tell("Joining the truth")
        truth.join(scratch / "truth_parts", scratch / "truth", county=county, digests=digests, file_touches=touches)
        (scratch / "truth" / _MARK).touch()
    return CountySummary(folder, order.people, tuple(extracts))


# --------------------------------------------------------------------------------------------------- one practice


def _in_processes(
    jobs: Sequence[tuple[CountyOrder, int, Path, bool]], workers: int
) -> Iterator[list[Mapping[str, int]]]:
    if workers == 1 or len(jobs) == 1:
        yield from map(_make_practice, jobs)
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(_make_practice, jobs)


def _make_practice(job: tuple[CountyOrder, int, Path, bool]) -> list[Mapping[str, int]]:
    """Make everything about one practice's people, as part files of every extract; give the rows sent."""
    order, number, scratch, with_truth = job
    county = County(order)
    practice = county.practices[number]
    drawn = draw_practice(county, practice)
    layout = LAYOUTS[order.layout]
    codes = tuple(each.code for each in county.practices)
    so_far: Tables = {}
    touched: pl.DataFrame | None = None
    counts: list[Mapping[str, int]] = []
    for week, upto in enumerate(county.cutoff_days):
        facts = _facts(county, week)
        after = county.cutoff_days[week - 1] if facts.is_delta else None
        clean = {
            table: as_text(as_extracted(drawn.frames[table], table, upto=upto, after=after), table) for table in TABLES
        }

        def scene(fault: str, facts: ExtractFacts = facts) -> Scene:
            return Scene(
                practice_code=practice.code,
                practice_codes=codes,
                week=facts.week,
                cutoff=facts.cutoff,
                previous_cutoff=facts.previous_cutoff,
                rng=county.generator(practice, f"fault {fault}", facts.week),
                seed=order.seed,
            )

        written, meant, touches = spoil_rows(clean, dict(clean), order.faults, scene, so_far or None, touched)
        touched = touches if touched is None else pl.concat([touched, touches])
        so_far = {
            table: brought_up_to_date(so_far[table] if facts.is_delta else None, meant[table], table)
            for table in TABLES
        }
        if facts.is_delta:
            written = _with_parents(_whole_records(written, so_far, layout), so_far, layout)
        files = layout.files(written, facts)
        for name, rows in files.items():
            _write_part(_part(scratch, week, name, number), rows, layout.style_of(name), order.file_format)
        if with_truth:
            day = county.index_dates[week]
            expected = truth.expectations(so_far, index_date=day, touches=touched if facts.is_delta else touches)
            truth.write_part(scratch / "truth_parts", number, day, expected=expected, touches=touches)
        counts.append({table: written[table].height for table in TABLES})
    if with_truth:
        truth.write_state(scratch / "truth_parts", number, state=drawn.state, enrolment=drawn.enrolment)
    return counts


def _whole_records(written: Tables, so_far: Mapping[str, pl.DataFrame], layout: Layout) -> Tables:
    """Add the unchanged rows of records that a supplier overwrites as one row, where any of their rows changed."""
    record = ["org_code", "source_patient_id"]
    if not layout.whole_of:
        return written
    changed = pl.concat([written[table].select(record) for table in layout.whole_of]).unique()
    whole = dict(written)
    for table in layout.whole_of:
        rest = so_far[table].join(changed, on=record, how="semi").join(written[table], on=key_of(table), how="anti")
        whole[table] = pl.concat([written[table], rest])
    return whole


def _with_parents(written: Tables, so_far: Mapping[str, pl.DataFrame], layout: Layout) -> Tables:
    """Add the unchanged entries that values of a delta name as their parents, where the layout needs them."""
    if not layout.has_headings:
        return written
    named = written["gp_observation"].select("org_code", source_event_id="parent_event_id").drop_nulls().unique()
    whole = dict(written)
    for table in ("gp_event", "gp_observation"):
        key = key_of(table)
        parents = so_far[table].join(named, on=["org_code", "source_event_id"], how="semi")
        whole[table] = pl.concat([written[table], parents.join(written[table], on=key, how="anti")])
    return whole


def _facts(county: County, week: int) -> ExtractFacts:
    cutoffs = [day - timedelta(days=1) for day in county.index_dates]
    is_delta = week > 0 and county.order.weekly == "delta"
    return ExtractFacts(
        cutoff=cutoffs[week],
        previous_cutoff=cutoffs[week - 1] if is_delta else None,
        week=week,
        seed=county.order.seed,
        replaces_from=replaced_from(county.order.faults, week, cutoffs[week]) if is_delta else None,
    )


# --------------------------------------------------------------------------------------------------------- files


def _part(scratch: Path, week: int, name: str, number: int) -> Path:
    return scratch / "parts" / f"{week:03d}" / name / f"{number:06d}"


def _write_part(path: Path, rows: pl.DataFrame, style: FileStyle, file_format: str) -> None:
    """Write a practice's share of a file: rows without header, or Parquet where parts are joined as tables."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The first part says what the columns are; every part says how many rows it has.
    if file_format == "parquet" or style.unique_key:
        rows.write_parquet(path.with_suffix(".parquet"), compression="zstd", statistics=False)
        return
    path.with_suffix(".rows").write_text(f"{rows.height}", encoding="ascii")
    if path.name == f"{0:06d}":
        path.with_suffix(".header").write_bytes(_as_bytes(rows.clear(), style, with_header=True))
    path.with_suffix(".csv").write_bytes(_as_bytes(rows, style, with_header=False))


def _as_bytes(rows: pl.DataFrame, style: FileStyle, *, with_header: bool) -> bytes:
    text = rows.write_csv(include_header=with_header, line_terminator=style.line_terminator, quote_style=style.quote)
    return text.encode(style.encoding)


def _join(
    county: County, week: int, scratch: Path, folder: Path, previous: Path | None
) -> tuple[list[WrittenFile], pl.DataFrame]:
    """Join the practices' shares of every file of one extract, write its manifests and spoil it where asked."""
    layout, file_format, facts = LAYOUTS[county.order.layout], county.order.file_format, _facts(county, week)
    folder.mkdir(parents=True)
    written = []
    for place in sorted((scratch / "parts" / f"{week:03d}").iterdir()):
        if file_format == "parquet":
            out = (folder / place.name).with_suffix(".parquet")
            written.append(_join_parquet(place, out, layout.style_of(place.name)))
        else:
            written.append(_join_csv(place, folder / place.name, layout.style_of(place.name)))
        shutil.rmtree(place)
    for name, text in layout.manifests(written, facts).items():
        (folder / name).write_text(text, encoding="ascii", newline="")
        written.append(_measured(folder / name, text.count("\n") - 1))

    def rng_of(fault: str) -> np.random.Generator:
        return chance.generator(county.order.seed, chance.WHOLE_COUNTY, f"fault {fault}", week)

    scene = SetScene(week, facts.cutoff, facts.previous_cutoff, previous, rng_of)
    touches = spoil_set(folder, county.order.faults, scene)
    if not touches.is_empty():
        written = [_measured(each, 0) for each in sorted(folder.iterdir())]
    return written, touches


def _join_csv(parts: Path, out: Path, style: FileStyle) -> WrittenFile:
    if style.unique_key:
        rows = _unique(parts, style.unique_key).collect()
        out.write_bytes(_as_bytes(rows, style, with_header=True))
        return _measured(out, rows.height)
    count, size, digest = 0, 0, hashlib.sha256()
    with out.open("wb") as joined:
        for part in (*parts.glob("*.header"), *sorted(parts.glob("*.csv"))):
            if part.suffix == ".csv":
                count += int(part.with_suffix(".rows").read_text(encoding="ascii"))
            with part.open("rb") as opened:
                while chunk := opened.read(_COPY_BYTES):
                    digest.update(chunk)
                    size += joined.write(chunk)
            part.unlink()
    return WrittenFile(out.name, count, size, digest.hexdigest())


def _join_parquet(parts: Path, out: Path, style: FileStyle) -> WrittenFile:
    rows = _unique(parts, style.unique_key) if style.unique_key else pl.scan_parquet(sorted(parts.glob("*.parquet")))
    rows.sink_parquet(out, compression="zstd", statistics=False, maintain_order=True, row_group_size=_ROW_GROUP)
    return _measured(out, pl.scan_parquet(out).select(pl.len()).collect().item())


def _unique(parts: Path, key: Sequence[str]) -> pl.LazyFrame:
    rows = pl.scan_parquet(sorted(parts.glob("*.parquet")))
    return rows.unique(key, keep="first", maintain_order=True).sort(key, nulls_last=True)


def _measured(path: Path, row_count: int) -> WrittenFile:
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return WrittenFile(path.name, row_count, path.stat().st_size, digest)


# -------------------------------------------------------------------------------------------------------- places


def _check_place(place: Path, *, replace: bool) -> None:
    if not place.exists():
        return
    if not place.is_dir():
        raise SettingsError(
            f"folder {place.name}", expected="a folder", found="a file of that name", action="Give another folder."
        )
    held = sum(1 for _ in place.iterdir())
    if held and not (replace and (place / _MARK).is_file()):
        words = "; --replace replaces one that holds an earlier county" if not replace else " or an earlier county"
        raise SettingsError(
            f"folder {place.name}",
            expected=f"a folder that is new or empty{words}",
            found=f"{held:,} files or folders in it",
            action="Give another folder; nothing was written.",
        )


def _check_apart(places: Sequence[Path]) -> None:
    one, other = places[0].resolve(), places[-1].resolve()
    if len(places) > 1 and (one == other or one in other.parents or other in one.parents):
        raise SettingsError(
            f"folder {places[-1].name} for the truth",
            expected="a folder apart from the extracts, which no run reads",
            found="one that is, holds or is inside the folder of the extracts",
            action="Give another folder; nothing was written.",
        )


@contextmanager
def _scratch_beside(folder: Path) -> Iterator[Path]:
    """Give a folder on the same disk, so that finished folders can be moved into place at once."""
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _place(made: Path, place: Path) -> None:
    """Move a finished folder to its place; should that fail, what stood there stands there again."""
    place.parent.mkdir(parents=True, exist_ok=True)
    old = place.with_name(f".{place.name}.replaced")
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    try:
        shutil.move(made, place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise RunError(
            f"folder {folder.name}",
            expected="room and leave to write the synthetic county",
            found=fault.strerror or "an error of the file system",
            action="Mend that or give another folder; an earlier county is left as it was.",
        ) from None
