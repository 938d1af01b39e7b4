"""Four weeks of a small county, struck by faults at random, beside the same four weeks undisturbed.

    python tests/struck_weeks.py FOLDER SEED FAULTS      a JSON report on standard output

A week is run as the runbook says: whatever struck a run, mend what its message names and run again. Every run is a
child forked from this one fresh process, so that it can be killed, or find the disk full, at any moment. A moment is
counted in what a run does to files and to its store, so that faults fall where the work is and not where the time goes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial, wraps
from pathlib import Path
from typing import Any

import whole_runs
from stratify import answering, audit_trail, contracts, pipeline, quality, runs
from stratify.cli import app
from stratify.store import Store, open_store
from stratify.synth import CountyOrder, write_county

WEEKS = tuple(date(2026, 11, 2) + timedelta(weeks=number) for number in range(4))
PEOPLE = 120
FAULTS_OF_FOUR_WEEKS = 20
NEVER_THE_SAME = ("plan.json", "work.json")
"""Where a run was built, and the digests of its databases, whose bytes are others every time."""

Act = Callable[[], object]


# ------------------------------------------------------------------------------------------------- moments and children


@dataclass
class Moments:
    """Counts what a run does to the files of the trial and to its store, and does something from one of them on.

    Attributes:
        root: Folder of the trial.
        at: The moment to strike at; never when None.
        strike: What is done then; told whether the moment would use room on the disk.
    """

    root: Path
    at: int | None = None
    strike: Callable[[bool], object] = lambda writes: None
    count: int = 0
    inside: threading.local = field(default_factory=threading.local)

    def watch(self) -> None:
        """Begin to count, in this process and for good."""
        sys.addaudithook(self._heard)
        for name in ("execute", "rows", "scalar", "frame", "create", "add"):
            setattr(Store, name, self._counted(getattr(Store, name)))

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(real)
        def asked(*given: Any, **named: Any) -> Any:
            self._pass(writes=False)
            return real(*given, **named)

        return asked

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _OF_FILES or getattr(self.inside, "is_in", False):
            return
        if event == "open":
            path, mode, flags = arguments
            if not (set(mode or "") & set("wxa+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                return
        else:
            path = arguments[0]
        if isinstance(path, int) or not os.fsdecode(path).startswith(str(self.root)):
            return
        self._pass(writes=event in _TAKES_ROOM)

    def _pass(self, *, writes: bool) -> None:
        if self.at is not None and self.count >= self.at:
            self.inside.is_in = True
            try:
                self.strike(writes)
            finally:
                self.inside.is_in = False
        self.count += 1


_TAKES_ROOM = ("open", "os.mkdir", "os.link", "os.symlink", "shutil.copyfile")
_OF_FILES = (*_TAKES_ROOM, "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree")


def die(writes: bool = False) -> None:
    """End this process as a power cut would: nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def no_room(writes: bool) -> None:
    """Have whatever would take room find the disk full."""
    if writes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code, or minus the signal that killed it, and what it said on standard error."""

    code: int
    said: str


class Child:
    """A forked process that does something and ends; a traceback is exit code 70."""

    def __init__(self, work: Act, said: Path) -> None:
        self.said, self.ended = said, None
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                with said.open("w") as heard:
                    os.dup2(heard.fileno(), 2)
                    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                work()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            finally:
                sys.stderr.flush()
                os._exit(code)

    def end(self) -> Ended:
        status = os.waitpid(self.pid, 0)[1]
        return Ended(os.waitstatus_to_exitcode(status), self.said.read_text(encoding="utf-8"))


# ------------------------------------------------------------------------------------------------------------ the site


class Site:
    """One output folder, and what a run of a week reads: extract files, and what had come back by then."""

    def __init__(self, folder: Path, extracts: Path, returned: Path) -> None:
        self.folder, self.out, self.backups = folder, folder / "out", folder / "backups"
        self.extracts, self.returned = extracts, returned
        folder.mkdir(parents=True)

    def _command(self, *arguments: object) -> Act:
        return lambda: app([str(each) for each in arguments], prog_name="stratify")

    def run(self, week: date, *, extracts: Path | None = None, afresh: bool = False) -> Act:
        """Give what runs a week."""
        home = self.folder / f"settings {week}{' damaged' if extracts else ''}"
        returned = self.returned / week.isoformat()
        file = whole_runs.settings_file(home, extracts or self.extracts, self.out, returned=str(returned))
        more = ("--afresh",) if afresh else ()
        return self._command("run", "--settings", file, "--index-date", week, *more)

    def back_up(self) -> None:
        done = self.do(self._command("backup", "--out", self.out, "--to", self.backups))
        assert done.code == 0, done.said

    def restore(self) -> Ended:
        newest = max(self.backups.glob("stratify-*"))
        return self.do(self._command("restore", newest, "--out", self.out, "--replace"))

    def do(self, work: Act) -> Ended:
        return Child(work, self.folder / "said").end()

    def state(self) -> dict[str, str]:
        """Give a digest of everything that is in place, of databases by what is in them."""
        return self._told(lambda: {**_contents(self.out, "published"), **_contents(self.out, "restricted")})

    def published(self) -> dict[str, str]:
        """Give a digest of every published file, of databases by what is in them; nothing where none can be read."""
        return self._told(lambda: _contents(self.out, "published"))

    def _told(self, work: Callable[[], dict[str, str]]) -> dict[str, str]:
        target = self.folder / "told.json"
        done = self.do(lambda: target.write_text(json.dumps(work()), encoding="utf-8"))
        assert done.code == 0, done.said
        return dict(json.loads(target.read_text(encoding="utf-8")))


def _contents(out: Path, name: str) -> dict[str, str]:
    folder, found = out / name, {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name in NEVER_THE_SAME:
            continue
        content = path.read_bytes()
        if path.suffix == ".duckdb":
            content = _rows(path, out.parent / "scratch")
        elif path.name == quality.HISTORY_FILE:  # counts of a run that was in place and replaced stay, and are not read
            content = quality.earlier(quality.read_history(path), date.max).write_csv().encode()
        elif path.name == "SHA256SUMS":
            content = b"\n".join(line for line in content.splitlines() if not line.endswith(b".duckdb"))
        found[f"{name}/{path.relative_to(folder).as_posix()}"] = hashlib.sha256(content).hexdigest()
    return found


def _rows(path: Path, scratch: Path) -> bytes:
    """Give every row of every table of a database, in an order of its own."""
    with open_store(path, temp_directory=scratch, read_only=True) as store:
        tables = store.rows("SELECT schema_name, table_name, sql FROM duckdb_tables() ORDER BY ALL")
        return repr(
            [(each, store.rows(f'SELECT * FROM "{each[0]}"."{each[1]}" ORDER BY ALL')) for each in tables]
        ).encode()


# ---------------------------------------------------------------------------------------------------------- the faults


@dataclass(frozen=True)
class Week:
    """A week that is struck, with what its undisturbed run was like.

    Attributes:
        day: Its index date.
        moments: How many moments it has.
        placing: How many it has from when it is put in place.
        largest: Bytes of the largest file it makes.
        published: Digests of what it publishes.
    """

    day: date
    moments: int
    placing: int
    largest: int
    published: dict[str, str]


@dataclass(frozen=True)
class Struck:
    """What a fault did: whether it did strike, how the run ended, whether only whole outputs were in place after it."""

    what: str
    hit: bool
    ended: list[int]
    is_clear: bool
    is_whole: bool


def strike(kind: str, site: Site, week: Week, rng: random.Random) -> Struck:
    """Run a week with a fault in it, and mend afterwards what the runbook says is to be mended."""
    before = site.published()
    what, ends, hit, is_told = FAULTS[kind](site, week, rng)
    is_whole = site.published() in (before, week.published) if is_told else True
    clear = all(_is_clear(each) for each in ends)
    return Struck(f"{kind}: {what}", hit, [each.code for each in ends], clear, is_whole)


def _is_clear(ended: Ended) -> bool:
    """Tell whether a run ended well, was killed, or said in four parts what is wrong and what to do."""
    if ended.code in (0, 10, -signal.SIGKILL):
        return True
    return "Error: " in ended.said and "; found " in ended.said and "Traceback" not in ended.said


Found = tuple[str, list[Ended], bool, bool]
"""What was done, how runs ended, whether it struck, whether what is published must be as before or as undisturbed."""


def _is_in_place(site: Site, week: Week) -> bool:
    """Tell whether the week was put in place by now: only --afresh does it once more then."""
    plan = site.out / "restricted" / "plan.json"
    return plan.is_file() and json.loads(plan.read_text(encoding="utf-8"))["settings"]["index_date"] == str(week.day)


def _at(site: Site, week: Week, moments: Moments) -> Ended:
    run = site.run(week.day, afresh=_is_in_place(site, week))
    return site.do(lambda: (moments.watch(), run()))


def _killed(site: Site, week: Week, rng: random.Random) -> Found:
    moment, delay = rng.randrange(week.moments), rng.choice((0.0, rng.uniform(0, 0.2)))

    def later(writes: bool) -> None:
        if not delay:
            die()
        moments.at = None
        threading.Thread(target=lambda: (time.sleep(delay), die()), daemon=True).start()

    moments = Moments(site.folder, moment, later)
    done = _at(site, week, moments)
    return f"at moment {moment}, {1000 * delay:.0f} ms later", [done], done.code == -signal.SIGKILL, True


def _power_cut(site: Site, week: Week, rng: random.Random) -> Found:
    """Kill the run while it is put in place."""
    moment = rng.randrange(week.placing)
    run = site.run(week.day, afresh=_is_in_place(site, week))

    def work() -> None:
        moments = Moments(site.folder, moment, die)
        real = pipeline.put_in_place
        pipeline.put_in_place = lambda plan: (moments.watch(), real(plan))[1]
        run()

    done = site.do(work)
    return f"at moment {moment} of putting in place", [done], done.code == -signal.SIGKILL, True


def _disk_full(site: Site, week: Week, rng: random.Random) -> Found:
    moment = rng.randrange(week.moments)
    done = _at(site, week, Moments(site.folder, moment, no_room))
    return f"from moment {moment} on", [done], done.code not in (0, 10), True


def _write_fails(site: Site, week: Week, rng: random.Random) -> Found:
    """Have no file grow past a size, whoever writes it: libraries that write by themselves too."""
    most = int(2 ** rng.uniform(11, week.largest.bit_length() - 1))
    run = site.run(week.day, afresh=_is_in_place(site, week))
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    done = site.do(lambda: (resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard)), run()))
    return f"no file past {most} bytes", [done], done.code not in (0, 10), True


def _two_at_once(site: Site, week: Week, rng: random.Random) -> Found:
    delay = rng.uniform(0, 3)
    run = site.run(week.day, afresh=_is_in_place(site, week))
    first = Child(run, site.folder / "said")
    time.sleep(delay)
    second = Child(run, site.folder / "said by the second")
    ends = [first.end(), second.end()]
    return f"{delay:.1f} s apart", ends, sorted(each.code for each in ends)[-1] == 8, True


def _clock_jumps(site: Site, week: Week, rng: random.Random) -> Found:
    """Move the clock by up to three years, in the middle of a run and in the dates of the files it finds."""
    moment, days = rng.randrange(week.moments), rng.choice((-1, 1)) * rng.randrange(1, 1_100)
    offset = [timedelta()]
    found = [path for folder in (site.out, site.extracts) for path in folder.rglob("*") if path.is_file()]
    for path in found:
        os.utime(path, (path.stat().st_mtime + 86_400 * days,) * 2)
    run = site.run(week.day, afresh=_is_in_place(site, week))

    def work() -> None:
        real = time.time
        time.time = lambda: real() + offset[0].total_seconds()
        audit_trail.this_account = lambda door: audit_trail.Actor("trial", lambda: datetime.now(UTC) + offset[0])
        Moments(site.folder, moment, lambda writes: offset.__setitem__(0, timedelta(days=days))).watch()
        run()

    done = site.do(work)
    return f"{days} days, at moment {moment}", [done], done.code in (0, 10), True


def _unreadable_input(site: Site, week: Week, rng: random.Random) -> Found:
    """Damage a file of the newest set; the supplier sends it again afterwards."""
    damaged = site.folder / "damaged"
    shutil.rmtree(damaged, ignore_errors=True)
    shutil.copytree(site.extracts, damaged, copy_function=os.link)
    newest = max(each for each in damaged.iterdir() if each.is_dir() and each.name <= week.day.isoformat())
    path = rng.choice(sorted(each for each in newest.iterdir() if each.is_file()))
    how = _damage(path, rng)
    done = site.do(site.run(week.day, extracts=damaged, afresh=_is_in_place(site, week)))
    shutil.rmtree(damaged)
    is_told = done.code not in (0, 10)  # a feed that falls alone: the lists say so, and are others
    return f"{path.name} {how}", [done], not is_told or done.code in (3, 4), is_told


def _broken_state(site: Site, week: Week, rng: random.Random) -> Found:
    """Damage a file of the run in place; where the next run says so, the backup is put in place."""
    here = (site.out / "current").resolve()
    files = sorted(each for each in here.rglob("*") if each.is_file())
    is_of_memory = rng.random() < 0.7
    if is_of_memory:
        files = [each for each in files if {"memory"} & {*each.parts} or each.name == "practice_history.csv"]
    path = rng.choice(files)
    how = _damage(path, rng)
    ends = [site.do(site.run(week.day, afresh=_is_in_place(site, week)))]
    if ends[0].code not in (0, 10):
        ends.append(site.restore())
        assert ends[1].code == 0, ends[1].said
    return f"{path.relative_to(here)} {how}", ends[:1], True, False


def _damage(path: Path, rng: random.Random) -> str:
    how = rng.choice(("cut off", "gone", "changed in one byte", "emptied", "a folder"))
    content = bytearray(path.read_bytes())
    path.unlink()  # never through a link that another folder shares
    if how == "a folder":
        path.mkdir()
    elif how != "gone":
        if how == "changed in one byte" and content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        size = {"cut off": rng.randrange(len(content)) if content else 0, "emptied": 0}.get(how, len(content))
        path.write_bytes(content[:size])
    return how


FAULTS: dict[str, Callable[[Site, Week, random.Random], Found]] = {
    "killed": _killed,
    "power cut while it is put in place": _power_cut,
    "disk full": _disk_full,
    "write fails": _write_fails,
    "unreadable input": _unreadable_input,
    "broken previous state": _broken_state,
    "two at once": _two_at_once,
    "clock jumps": _clock_jumps,
}


# ------------------------------------------------------------------------------------------------------------ the trial


def undisturbed(folder: Path, extracts: Path, returned: Path) -> tuple[list[Week], list[dict[str, str]]]:
    """Run the four weeks, with answers after each, and give what each was like and what it left."""
    site, weeks, states = Site(folder, extracts, returned), [], []
    (returned / WEEKS[0].isoformat()).mkdir(parents=True)
    for number, day in enumerate(WEEKS):
        counted = folder / "counted.json"
        run = site.run(day)

        def work(run: Act = run, counted: Path = counted) -> None:
            moments, real, begun = Moments(folder), pipeline.put_in_place, []
            pipeline.put_in_place = lambda plan: (begun.append(moments.count), real(plan))[1]
            moments.watch()
            try:
                run()
            finally:
                counted.write_text(json.dumps([moments.count, moments.count - begun[0]]), encoding="utf-8")

        done = site.do(work)
        assert done.code in (0, 10), done.said
        moments, placing = json.loads(counted.read_text(encoding="utf-8"))
        largest = max(path.stat().st_size for path in (site.out / "current").resolve().rglob("*") if path.is_file())
        weeks.append(Week(day, moments, placing, largest, site.published()))
        states.append(site.state())
        if number + 1 < len(WEEKS):
            back = Path(shutil.copytree(returned / day.isoformat(), returned / WEEKS[number + 1].isoformat()))
            answered = site.do(partial(answering.answer, site.out, back, seed=number))
            assert answered.code == 0, answered.said
    return weeks, states


def disturbed(
    site: Site, weeks: list[Week], states: list[dict[str, str]], kinds: list[tuple[str, int]], rng: random.Random
) -> Iterator[dict[str, Any]]:
    """Run the four weeks with faults in them, each a kind and the number of its week; gives a report of each week."""
    for week, state in zip(weeks, states, strict=True):
        mine = [kind for kind, number in kinds if WEEKS[number] == week.day]
        struck = [strike(kind, site, week, rng) for kind in mine]
        last = site.do(site.run(week.day))
        found = site.state()
        site.back_up()
        yield {
            "week": week.day.isoformat(),
            "struck": [vars(each) for each in struck],
            "last": last.code,
            "said": last.said[-2_000:] if last.code not in (0, 10) else "",
            "differ": sorted(name for name in {*state, *found} if state.get(name) != found.get(name)),
        }


def trial(folder: Path, seed: int, faults: int) -> dict[str, Any]:
    """Strike four weeks again and again until so many faults did strike; one that came too late for a run is none."""
    rng = random.Random(seed)
    extracts, returned = folder / "extracts", folder / "returned"
    order = CountyOrder(people=PEOPLE, seed=seed, index_date=WEEKS[0], weeks=len(WEEKS) - 1, weekly="bulk")
    folder.mkdir()  # and no thread is ever begun in this process: a fork would leave its locks taken
    assert Child(lambda: write_county(extracts, order), folder / "said").end().code == 0
    weeks, states = undisturbed(folder / "undisturbed", extracts, returned)
    report: dict[str, Any] = {"moments": [each.moments for each in weeks], "weeks": []}
    left, number = faults, 0
    while left > 0:
        number += 1
        site = Site(folder / f"disturbed {number}", extracts, returned)
        names = [name for _ in range(FAULTS_OF_FOUR_WEEKS) for name in rng.sample(sorted(FAULTS), len(FAULTS))]
        kinds = []
        for name in names[: min(left, FAULTS_OF_FOUR_WEEKS)]:
            first = 1 if name == "broken previous state" else 0
            kinds.append((name, rng.randrange(first, len(WEEKS))))
        for week in disturbed(site, weeks, states, kinds, rng):
            left -= sum(each["hit"] for each in week["struck"])
            report["weeks"].append(week)
            sys.stderr.write(f"{json.dumps(week)}\n")
        report["trail"] = audit_trail.faults(audit_trail.read(site.out)) + report.get("trail", [])
        shutil.rmtree(site.folder)
    return report


@contextmanager
def _warmed() -> Iterator[None]:
    """Do once what every child would do again: definitions proved, contracts read, counts taken plainly."""
    os.environ |= {"STRATIFY_IDENTITY_KEY": whole_runs.KEY, "STRATIFY_KEY_FILE": ""}
    runs.run_examples = lambda book: []  # proved elsewhere; the same every time
    for name in (name for layer in ("landing", "core", "derived", "out", "audit") for name in contracts.names(layer)):
        contracts.load(name)
    with whole_runs.counted_plainly():
        yield


if __name__ == "__main__":
    root, chosen, wanted = sys.argv[1:]
    with _warmed():
        print(json.dumps(trial(Path(root), int(chosen), int(wanted))))
