"""Work that is not done twice: whatever changes between two runs, what is taken over gives the tables and bytes of one
that does everything, and a run says what it took over.

One output folder takes over what it can, the other does everything afresh; all of both is compared.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from test_held_lists import small_clinical

import whole_runs
from stratify import runs
from stratify.store import open_store

pytestmark = pytest.mark.slow

DAYS = ("2026-11-02", "2026-11-09")
PEOPLE = 200


@dataclass
class Site:
    """Files, definitions and settings of a site, and its two output folders."""

    folder: Path
    settings: dict[str, object] = field(default_factory=dict)
    day: int = 0

    @property
    def extracts(self) -> Path:
        return self.folder / "extracts"

    @property
    def clinical(self) -> Path:
        return self.folder / "clinical"

    def run(self, name: str, *arguments: str) -> str:
        """Run into one of the output folders, and give what is said of the work."""
        out = self.folder / name
        file = whole_runs.settings_file(
            self.folder / f"settings_{name}", self.extracts, out, clinical=str(self.clinical), **self.settings
        )
        with whole_runs.counted_plainly():
            done = whole_runs.stratify("run", "--settings", file, "--index-date", DAYS[self.day], *arguments)
        assert done.exit_code in (0, 10), done.output + done.stderr
        return done.stdout

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.clinical / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def rewrite(self, table: str, change: Callable[[list[dict[str, str]]], list[dict[str, str]]]) -> None:
        """Change the rows of a file, and have the manifest say so."""
        path, manifest = self.extracts / f"{table}.csv", self.extracts / "manifest.csv"
        rows = _read(path)
        changed = change(rows)
        assert changed != _read(path)
        _write(path, changed)
        entries = _read(manifest)
        for entry in entries:
            if entry["file_name"] == path.name:
                entry["row_count"], entry["byte_count"] = str(len(changed)), str(path.stat().st_size)
                entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        _write(manifest, entries)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


# ------------------------------------------------------------------------------------------------------------- changes


def another_name(site: Site) -> None:
    site.settings["organisation"] = "Invented Board again"


def a_codelist_loses_a_code(site: Site) -> None:
    manifest = site.clinical / "codelists" / "manifest.yaml"
    path = site.clinical / "codelists" / "efi_falls.csv"
    rows = _read(path)[:-1]
    _write(path, rows)
    entries = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    for entry in entries["codelists"]:
        if entry["id"] == "efi_falls":
            entry |= {"rows": len(rows), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    manifest.write_text(yaml.safe_dump(entries, allow_unicode=True), encoding="utf-8")


def a_score_has_another_label(site: Site) -> None:
    label = next(line for line in _lines(site.clinical / "scores" / "efi.yaml") if line.startswith("label:"))
    site.edit("scores/efi.yaml", label, "label: Invented label again")


def a_pathway_has_another_label(site: Site) -> None:
    label = next(line for line in _lines(site.clinical / "pathways" / "copd.yaml") if line.startswith("label:"))
    site.edit("pathways/copd.yaml", label, "label: Invented label again")


def a_pathway_is_on_at_one_practice(site: Site) -> None:
    practice = _read(site.extracts / "practice.csv")[0]["practice_code"]
    site.settings["rollout"] = [{"pathway": "frailty", "from": "2026-01-01", "practices": [practice]}]


def somebody_objects(site: Site) -> None:
    """The next person of the file of objections who did not object does now."""

    def objecting(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        mine = next(row for row in rows if row["is_opted_out"] == "false")
        mine["is_opted_out"] = "true"
        return rows

    site.rewrite("opt_out", objecting)


def rows_are_withdrawn_and_changed(site: Site) -> None:
    def changed(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        rows[3]["effective_date"] = "2026-10-01"
        return [row for number, row in enumerate(rows) if number % 50 != 7]

    site.rewrite("gp_event", changed)


def somebody_moves(site: Site) -> None:
    def moved(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        codes = sorted({row["practice_code"] for row in rows})
        rows[0]["practice_code"] = codes[codes.index(rows[0]["practice_code"]) - 1]
        return rows

    site.rewrite("registration", moved)


def the_files_are_others(site: Site) -> None:
    for change in (somebody_objects, rows_are_withdrawn_and_changed, somebody_moves):
        change(site)


def a_week_goes_by(site: Site) -> None:
    site.day += 1


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


CHANGES: dict[str, tuple[Callable[[Site], None], bool]] = {
    "another_name": (another_name, True),
    "codelist": (a_codelist_loses_a_code, True),
    "score": (a_score_has_another_label, True),
    "pathway": (a_pathway_has_another_label, True),
    "rollout": (a_pathway_is_on_at_one_practice, True),
    "files": (the_files_are_others, False),
    "week": (a_week_goes_by, False),
}
"""What changes, and whether loading is taken over then."""


# ------------------------------------------------------------------------------------------------------------ comparing


def tables_of(out: Path, scratch: Path) -> dict[str, list[tuple[object, ...]]]:
    """Give the rows of every table of a run, in the order they lie in."""
    found = {}
    for name in ("run", "identity"):
        path = out / "restricted" / f"{name}.duckdb"
        with open_store(path, temp_directory=scratch, read_only=True) as store:
            for schema, table in store.rows("SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL"):
                rows = store.rows(f"SELECT * FROM {schema}.{table}")
                # Of core tables the order is that of the files, which threads may write in pieces.
                found[f"{name}: {schema}.{table}"] = sorted(rows, key=repr) if schema == "core" else rows
    return found


def same_runs(one: Path, other: Path, scratch: Path) -> None:
    mine, theirs = tables_of(one, scratch), tables_of(other, scratch)
    assert sorted(mine) == sorted(theirs)
    for name in mine:
        assert mine[name] == theirs[name], name
    whole_runs.same_files((one / "published").resolve(), (other / "published").resolve())
    memory = [whole_runs.files((each / "restricted" / "memory").resolve()) for each in (one, other)]
    assert memory[0] == memory[1]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A site with a run in place."""
    folder = tmp_path_factory.mktemp("base")
    synth = ("synth", "--out", folder / "extracts", "--people", PEOPLE, "--practices", 2, "--workers", 1)
    done = whole_runs.stratify(*synth)
    assert done.exit_code == 0, done.output
    small_clinical(folder)
    said = Site(folder).run("out")
    assert "loading: done" in said and "unchanged" not in said.split("files,")[0]
    return folder


@pytest.fixture
def site(base, tmp_path) -> Site:
    shutil.copytree(base, tmp_path / "site", symlinks=True)
    return Site(tmp_path / "site")


@pytest.mark.parametrize(
    "names",
    [("codelist", "score"), ("rollout", "another_name"), ("pathway",), ("files",), ("week",)],
    ids="_then_".join,
)
def test_whatever_changes_what_is_taken_over_gives_what_doing_everything_gives(site, tmp_path, names):
    """Of two changes the second is made in a run that took over itself."""
    shutil.copytree(site.folder / "out", site.folder / "afresh", symlinks=True)
    for name in names:
        change, is_loaded = CHANGES[name]
        change(site)
        said = site.run("out")
        assert ("loading: unchanged since" in said) is is_loaded, f"{name}: {said}"
    assert "loading: done" in site.run("afresh", "--afresh")
    same_runs(site.folder / "out", site.folder / "afresh", tmp_path / "scratch")


def test_a_run_says_how_much_it_worked_out_and_one_that_would_be_the_same_is_not_built(site):
    out = site.folder / "out"
    in_place = (out / "current").resolve()
    before = whole_runs.files(in_place)
    assert f"run: unchanged since {in_place.name}, which stays in place" in site.run("out")
    assert whole_runs.files((out / "current").resolve()) == before and (out / "current").resolve() == in_place
    assert not (out / "runs" / "building").exists()
    a_codelist_loses_a_code(site)
    said = site.run("out")
    # Of the definitions of two pathways the falls are one variable; one index and the pathway for frailty read it.
    assert f"loading: unchanged since {in_place.name}, taken over" in said
    assert "variables: 1 worked out" in said and "scores: 1 worked out" in said and "pathways: 1 worked out, 1" in said
    trail = (out / "audit" / "trail.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(trail[-1])["details"]["work"]["variables"].startswith("1 worked out")


def test_other_code_or_a_file_that_is_not_as_it_was_left_takes_nothing_over(site, monkeypatch):
    out = site.folder / "out"
    page = out / "published" / "data_quality" / "index.html"
    page.write_text(page.read_text(encoding="utf-8") + "<!-- changed -->", encoding="utf-8")
    said = site.run("out")
    assert "loading: unchanged" in said and "pathways: 2 unchanged" in said
    assert "changed -->" not in page.read_text(encoding="utf-8")
    store = (out / "restricted" / "run.duckdb").resolve()
    with open_store(store, temp_directory=out / "scratch") as opened:
        opened.execute("DELETE FROM core.gp_event")
    assert "loading: done" in site.run("out")
    with monkeypatch.context() as patch:
        patch.setattr(runs, "code_digest", lambda: "another")
        assert "loading: done" in site.run("out")
