"""A load killed by SIGKILL at any moment: the last good outputs stay whole, and the next run has every row once.

What else of a run can be killed is in ``test_interrupted_runs``; here it is reading files into landing tables and
landing tables into core, with real rows, some of them bad, some there twice. A moment is a statement of the store, by
number; for half of them death comes a little later than the statement begins, so that it falls inside one. Which
statement that is may differ; what must hold does not. Children are forked from one fresh process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from whole_runs import extract_set

IN_EVERY_RUN, IN_THE_LONG_RUN = 3, 50
PEOPLE = 60

WORKER = '''
import hashlib, json, os, random, signal, sys, threading, time
from datetime import date
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from bare_manifest import bare_manifest
from stratify import audit_trail, contracts, pipeline, privacy, runs
from stratify.settings import Settings
from stratify.store import Store, open_store
extracts, root = sys.argv[2], Path(sys.argv[3])
seed, how_many = sys.argv[4], int(sys.argv[5])
runs.run_examples = lambda book: []  # proved elsewhere; the same every time
pipeline.release_history.keep = lambda plan: None  # these runs count nothing
pipeline.quality.check_tables = lambda *given, **named: []  # verdicts only look at what is loaded
for name in (name for layer in ("landing", "core", "audit") for name in contracts.names(layer)):
    contracts.load(name)  # once, and not in every child
real_stages = pipeline.stages


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Clock:
    """Counts the statements of the store, and dies before one of them or while it or one after it is at work."""

    def __init__(self, dies_before=None, delay=0.0):
        self.count, self.dies_before, self.delay = 0, dies_before, delay

    def tick(self):
        if self.count == self.dies_before:
            if not self.delay:
                die()
            threading.Thread(target=lambda: (time.sleep(self.delay), die())).start()
        self.count += 1

    def watch(self, name):
        real = getattr(Store, name)
        def work(store, *arguments):
            self.tick()
            return real(store, *arguments)
        setattr(Store, name, work)


def contents(plan):
    """Give every row of every core, audit and identity table, in order."""
    found = {}
    with open_store(plan.restricted / "run.duckdb", temp_directory=plan.restricted / "scratch") as store:
        store.attach(plan.restricted / "identity.duckdb", "identity", read_only=True)
        names = store.rows("SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'run' "
                           "AND schema_name IN ('core', 'audit') ORDER BY ALL")
        for name in [f"{schema}.{table}" for schema, table in names] + ["identity.person"]:
            found[name] = [[str(value) for value in row] for row in store.rows(f"SELECT * FROM {name} ORDER BY ALL")]
    return found


def stages_of(clock):
    """The two stages that load, then one that publishes what they loaded."""
    def stages(key, progress):
        (land_words, land), (check_words, check) = real_stages(key)[:2]
        def load(plan):
            for name in ("execute", "rows", "scalar"):
                clock.watch(name)
            land(plan)
            check(plan)
            if clock.dies_before is not None:
                die()  # the thread was slower than the rest of the load
        def show(plan):
            plan.published.mkdir(parents=True, exist_ok=True)
            (plan.published / "contents.json").write_text(json.dumps(contents(plan)))
            (plan.published / "statements").write_text(str(clock.count))
            (plan.published / "run_manifest.json").write_text(bare_manifest(plan.run_id))
        return (land_words, load), ("publish", show)
    return stages


def run(out, day, clock):
    child = os.fork()
    if child == 0:
        try:
            pipeline.stages = stages_of(clock)
            pipeline.run(Settings(extracts=extracts, source="synthetic_county", out=out, index_date=date(2026, 1, day),
                                  privacy=privacy.STAND_IN_POLICY, threads=2), key=privacy.THROWAWAY_KEY,
                         by=audit_trail.this_account("test"))
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]


def look(out):
    """Give a digest of everything in place, published and restricted, and the names of the runs there are."""
    digest = hashlib.sha256()
    for name in ("published", "restricted"):
        for path in sorted((out / name).rglob("*")):
            if path.is_file():
                digest.update(f"{name}/{path.relative_to(out / name)}".encode() + path.read_bytes())
    return digest.hexdigest()


def loaded(out):
    return json.loads((out / "published" / "contents.json").read_text())


# Two weeks take turns, so that every death is one after a good run of the other week.
weeks = (6, 5)
assert all(run(root / f"week_{day}", day, Clock()) == 0 for day in weeks)
expected = {day: loaded(root / f"week_{day}") for day in weeks}
statements = int((root / "week_6" / "published" / "statements").read_text())
out = root / "week_5"

rng = random.Random(seed)
report = {"statements": statements, "rows": {name: len(rows) for name, rows in expected[6].items()}, "moments": []}
for number in range(how_many):
    before, day = look(out), weeks[number % 2]
    at, delay = rng.randrange(statements), rng.choice((0.0, rng.uniform(0, 0.05)))
    status = run(out, day, Clock(at, delay))
    after = look(out)
    left = (out / "runs" / "building" / "restricted").is_dir()
    again = run(out, day, Clock())
    found = loaded(out)
    report["moments"].append({
        "moment": f"before statement {at} of {statements}, {1000 * delay:.1f} ms later",
        "killed": status == signal.SIGKILL and left,
        "kept": before == after,
        "completed": again == 0,
        "differ": sorted(name for name in {*expected[day], *found} if found.get(name) != expected[day].get(name)),
        "runs": sorted(path.name.split(".")[0] for path in (out / "runs").iterdir()),
    })
print(json.dumps(report))
'''


@pytest.fixture(scope="module")
def extracts(tmp_path_factory):
    """Sixty people; of each table a row that breaks a rule, one there twice, and two that share a key and differ."""
    people = range(PEOPLE)
    number = {n: extract_set.nhs(n) for n in people}
    events = [extract_set.event(f"e{n}-{k}", source_patient_id=f"p{n}") for n in people for k in range(8)]
    observations = [extract_set.observation(f"o{n}-{k}", source_patient_id=f"p{n}") for n in people for k in range(8)]
    issues = [extract_set.medication(f"m{n}-{k}", source_patient_id=f"p{n}") for n in people for k in range(8)]
    spells = [extract_set.episode(f"c{n}", nhs_number=number[n], spell_id=f"s{n}") for n in people]
    for rows, column in ((events, "effective_date"), (observations, "effective_date"), (issues, "issue_date")):
        rows[3] = {**rows[3], column: "no date"}
        rows[5] = {**rows[5], "source_patient_id": "nobody"}
        rows += [dict(rows[10]), {**rows[20], column: "2024-02-01"}]
    return extract_set.write_set(
        tmp_path_factory.mktemp("loads") / "extracts",
        patient=[extract_set.patient(f"p{n}", nhs_number=number[n] if n != 7 else "9990000000") for n in people],
        registration=[extract_set.registration(f"p{n}") for n in people],
        gp_event=events,
        gp_observation=observations,
        gp_medication=issues,
        apc_episode=spells,
        opt_out=[extract_set.opt_out("NDO", "false", nhs_number=number[n]) for n in people if n != 7],
    )


def _killed(extracts: Path, folder: Path, seed: str, moments: int) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(Path(__file__).parents[1]), str(extracts), str(folder), seed, str(moments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=3_000,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "moments", [IN_EVERY_RUN, pytest.param(IN_THE_LONG_RUN, marks=pytest.mark.slow)], ids=lambda each: f"{each}_moments"
)
def test_a_load_killed_at_any_moment_costs_no_row_doubles_none_and_harms_no_output(extracts, tmp_path, moments):
    report = _killed(extracts, tmp_path, f"{moments} moments", moments)
    assert len(report["moments"]) == moments and report["statements"] > 100
    assert report["rows"]["core.person"] == PEOPLE
    sent, without_date, of_nobody, there_twice, with_one_key = 8 * PEOPLE + 2, 1, 1, 1, 2
    assert report["rows"]["core.gp_event"] == sent - without_date - of_nobody - there_twice - with_one_key
    assert report["rows"]["audit.rejected_row"] >= 3 * (of_nobody + there_twice + with_one_key)
    for found in report["moments"]:
        assert found["killed"], found
        assert found["kept"], f"{found['moment']}: the outputs of the week before were changed"
        assert found["completed"], f"{found['moment']}: the next run did not complete"
        assert not found["differ"], f"{found['moment']}: {found['differ']} are not as after an undisturbed run"
        assert len(found["runs"]) == 2 and "building" not in found["runs"]
