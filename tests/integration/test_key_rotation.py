"""Identity in a finished run: numbers stand in one file; the key is changed, and no trace of the old one is left."""

import re
import shutil
import stat
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stratify import key_rotation, privacy, runs
from stratify.store import open_store
from stratify.synth import CountyOrder, write_county
from whole_runs import (
    counted_plainly,
    files,
    refusal,
    same_files,
    settings_file,
    sheet,
    stratify,
    workbooks,
)

pytestmark = pytest.mark.slow  # whole runs with one key and another

INDEX_DATE = date(2026, 11, 2)
KEYS = {version: f"invented key of {version}, long enough to pass 0123456789" for version in ("2025", "2026", "2027")}


def ring(folder: Path, current: str, *versions: str) -> str:
    """Write a key ring file and give its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"ring-{current}"
    path.write_text("\n".join([f"current: {current}", *(f"{each}: {KEYS[each]}" for each in versions)]) + "\n")
    path.chmod(0o600)
    return str(path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished run made with the key of 2025, with numbers that are not usable and one that was superseded."""
    folder = tmp_path_factory.mktemp("rotation")
    order = CountyOrder(people=300, seed=3, index_date=INDEX_DATE, faults={"I1": 0.05, "I4": 0.05})
    write_county(folder / "extracts", order)
    settings = settings_file(folder, folder / "extracts", folder / "out", index_date=INDEX_DATE)
    with counted_plainly():
        done = stratify("run", "--settings", settings, STRATIFY_KEY_FILE=ring(folder, "2025", "2025"))
    assert done.exit_code == 0, done.output
    return folder / "out"


@pytest.fixture
def out(finished, tmp_path) -> Path:
    """A copy of it for one test."""
    copied = tmp_path / "out"
    shutil.copytree(finished, copied, symlinks=True)
    return copied


def rotate(out: Path, tmp_path: Path, old: str = "2025", new: str = "2026", *, current: str | None = None):
    keys = ring(tmp_path, current or new, *KEYS)
    return stratify("identity", "rotate", "--out", out, "--from", old, "--to", new, STRATIFY_KEY_FILE=keys)


def tables(out: Path, scratch: Path) -> dict[str, list[str]]:
    """Every text of every table of both restricted databases."""
    found = {}
    for name in ("run", "identity"):
        with open_store(out / "restricted" / f"{name}.duckdb", temp_directory=scratch, read_only=True) as store:
            for schema, table, column in store.rows(
                "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
                "WHERE NOT internal AND data_type = 'VARCHAR' ORDER BY ALL"
            ):
                texts = store.rows(f'SELECT "{column}" FROM "{schema}"."{table}" ORDER BY rowid')
                found[f"{name}.{schema}.{table}.{column}"] = [text for (text,) in texts]
    return found


def crosswalk(out: Path) -> pl.DataFrame:
    return pl.read_csv(out / "restricted" / key_rotation.CROSSWALK, infer_schema=False)


def explained(out: Path, tmp_path: Path, *asked: str, current: str = "2026") -> str:
    done = stratify("explain", "--out", out, *asked, STRATIFY_KEY_FILE=ring(tmp_path, current, *KEYS))
    assert done.exit_code == 0, done.output
    return done.stdout


def a_row(out: Path) -> dict[str, object]:
    """A row of a list of this run that has an NHS number."""
    return next(
        row
        for path in workbooks(out / "published")
        for row in sheet(path, "List")
        if row.get("NHS number") and row.get("Row reference")
    )


def _ten_digits(texts: list[str]) -> list[str]:
    return [found for text in texts for found in re.findall(r"\d{10}", text or "")]


def test_no_number_stands_in_any_database_but_the_identity_file_and_no_pseudonym_leaves(out, tmp_path):
    held = tables(out, tmp_path)
    numbers = {*held["identity.main.person.nhs_number"], *held["identity.main.merged_number.superseded_nhs_number"]}
    numbers = {number for number in numbers if number}
    assert len(numbers) >= 250
    with_numbers = {name for name, texts in held.items() if numbers.intersection(_ten_digits(texts))}
    assert with_numbers == {
        "identity.main.person.nhs_number",
        "identity.main.merged_number.nhs_number",
        "identity.main.merged_number.superseded_nhs_number",
    }
    pseudonyms = {key.encode() for key in held["run.core.person.patient_key"]}
    published = [path for path in (out / "published").resolve().rglob("*") if path.is_file()]
    assert any(path.suffix == ".duckdb" for path in published)
    for path in published:
        content = path.read_bytes()
        assert not any(key in content for key in pseudonyms), path.name
        if "direct_care" not in path.parts:
            assert not any(number.encode() in content for number in numbers), path.name


def test_every_pseudonym_is_new_and_everything_else_is_as_it_was(out, tmp_path):
    before, published = tables(out, tmp_path), tmp_path / "published"
    shutil.copytree((out / "published").resolve(), published)
    done = rotate(out, tmp_path)
    assert done.exit_code == 0, done.output
    after, new = tables(out, tmp_path), crosswalk(out)
    fresh = dict(new.select("former_key", "patient_key").iter_rows())
    old_version, new_version = (privacy.key_fingerprint(KEYS[each].encode()) for each in ("2025", "2026"))
    assert len(fresh) >= 250 and not set(fresh) & set(fresh.values())
    assert before.keys() == after.keys()
    assert sum(name.endswith(("patient_key", "original_key")) for name in before) >= 10
    for name, texts in before.items():
        expected = [fresh.get(text, new_version if text == old_version else text) for text in texts]
        assert after[name] == expected, name
    numbers = dict(
        zip(after["identity.main.person.patient_key"], after["identity.main.person.nhs_number"], strict=True)
    )
    for key, number in numbers.items():
        if number:
            assert key == privacy.pseudonym(KEYS["2026"].encode(), number)
    assert None in numbers.values()  # records without a number have new keys too
    assert after["identity.main.merged_number.original_key"]
    same_files(published, (out / "published").resolve())


def test_the_kept_weeks_have_the_new_pseudonyms_and_leave_out_whoever_has_none(out, tmp_path):
    kept = out / "restricted" / "memory" / str(INDEX_DATE) / "transition.parquet"
    before = pl.read_parquet(kept)
    stranger = before.head(1).with_columns(patient_key=pl.lit("0" * 32))
    pl.concat([before, stranger]).write_parquet(kept)
    rotate(out, tmp_path)
    fresh = dict(crosswalk(out).select("former_key", "patient_key").iter_rows())
    assert before.height >= 25
    expected = before.with_columns(pl.col("patient_key").replace_strict(fresh))
    assert pl.read_parquet(kept).equals(expected)


def test_a_run_under_another_key_does_not_forget_the_weeks_before_it_refuses(out, tmp_path):
    settings = settings_file(tmp_path, tmp_path / "extracts", out, index_date=INDEX_DATE)
    done = stratify("run", "--settings", settings, STRATIFY_KEY_FILE=ring(tmp_path, "2026", "2026"))
    assert "weeks kept under the identity key of this run; found ones of another" in refusal(done, 7)


def test_no_old_pseudonym_is_left_in_the_bytes_of_any_database(out, tmp_path):
    rotate(out, tmp_path)
    former = [key.encode() for key in crosswalk(out)["former_key"]]
    for path in (out / "runs").rglob("*.duckdb"):
        content = path.read_bytes()
        assert not any(key in content for key in former), path.name


def test_all_it_writes_is_for_the_owner_alone(out, tmp_path):
    rotate(out, tmp_path)
    restricted = (out / "restricted").resolve()
    assert stat.S_IMODE(restricted.stat().st_mode) == 0o700
    names = {path.relative_to(restricted).as_posix() for path in restricted.rglob("*") if path.is_file()}
    week = f"memory/{INDEX_DATE}"
    assert names == {
        *("run.duckdb", "identity.duckdb", "plan.json", "key.json", "key_crosswalk.csv"),
        *(f"{week}/transition.parquet", f"{week}/list_row.parquet", f"{week}/answer.parquet"),
        *(f"{week}/feedback.parquet", f"{week}/feedback_words.parquet"),
        *(
            f"{week}/action.parquet",
            f"{week}/delivery.parquet",
            f"{week}/metric_week.parquet",
            f"{week}/release_week.parquet",
        ),
    }
    for path in restricted.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.is_file() else 0o700), path.name


def test_explain_finds_the_same_person_by_number_and_by_the_reference_on_a_list(out, tmp_path):
    row = a_row(out)
    asked = ("--nhs-number", str(row["NHS number"])), ("--reference", str(row["Row reference"]))
    before = [explained(out, tmp_path, *each) for each in asked]
    rotate(out, tmp_path)
    assert [explained(out, tmp_path, *each) for each in asked] == before
    assert rotate(out, tmp_path, "2026", "2027").exit_code == 0
    assert [explained(out, tmp_path, *each, current="2027") for each in asked] == before


def test_explain_uses_the_key_of_the_ring_that_made_the_run(out, tmp_path):
    """Between the change of the ring and the rotation the run still has the earlier key."""
    assert explained(out, tmp_path, "--nhs-number", str(a_row(out)["NHS number"]), current="2027")


def test_given_twice_it_changes_nothing_more(out, tmp_path):
    rotate(out, tmp_path)
    place = (out / "current").resolve()
    before = files(place / "restricted")
    done = rotate(out, tmp_path)
    assert done.exit_code == 0 and "has the new key already" in done.stdout
    assert (out / "current").resolve() == place
    assert files(place / "restricted") == before


class Killed(BaseException):
    """Stands for a kill: nothing of ours catches it."""


@pytest.mark.parametrize("moment", ["rekeying", "writing", "before_the_rename", "before_the_link", "before_the_end"])
def test_killed_at_any_moment_the_run_is_whole_and_the_next_try_completes(out, tmp_path, monkeypatch, moment):
    number = str(a_row(out)["NHS number"])
    before = explained(out, tmp_path, "--nhs-number", number)
    place = {
        "rekeying": (key_rotation, "_copy"),
        "writing": (key_rotation, "_write"),
        "before_the_rename": (runs, "flush_folder"),
        "before_the_link": (runs, "point"),
        "before_the_end": (runs, "_forget_old"),
    }[moment]

    def kill(*_, **__):
        raise Killed

    loaded = privacy.read_key_ring({"STRATIFY_KEY_FILE": ring(tmp_path, "2026", *KEYS)})
    with monkeypatch.context() as patch:
        patch.setattr(*place, kill)
        with pytest.raises(Killed):
            key_rotation.rotate(out, loaded, old_version="2025", new_version="2026")
    assert explained(out, tmp_path, "--nhs-number", number) == before
    assert rotate(out, tmp_path).exit_code == 0
    assert explained(out, tmp_path, "--nhs-number", number) == before
    version = privacy.key_fingerprint(KEYS["2026"].encode())
    assert set(tables(out, tmp_path)["identity.main.person.key_version"]) == {version}


@pytest.mark.parametrize(
    ("old", "new", "current", "message"),
    [
        pytest.param("2026", "2026", None, "expected two keys; found one key", id="one_key_twice"),
        pytest.param("2024", "2026", None, "a version that is in it; found another", id="unknown_version"),
        pytest.param("2026", "2027", None, "a run made with the old key; found one of another key", id="another_run"),
        pytest.param("2025", "2026", "2027", "found an earlier one", id="not_the_current_key"),
    ],
)
def test_what_it_cannot_stand_behind_is_refused_and_nothing_changes(out, tmp_path, old, new, current, message):
    place = (out / "current").resolve()
    said = refusal(rotate(out, tmp_path, old, new, current=current), 7)
    assert message in said
    assert not any(key in said for key in KEYS.values())
    assert (out / "current").resolve() == place and not (out / "restricted" / key_rotation.CROSSWALK).exists()


def test_a_pseudonym_whose_number_is_not_held_is_refused(out, tmp_path):
    with open_store(out / "restricted" / "run.duckdb", temp_directory=tmp_path) as store:
        store.execute(f"UPDATE core.person SET patient_key = '{'0' * 32}' WHERE rowid = 0")
    assert "found 1 pseudonyms without" in refusal(rotate(out, tmp_path), 7)


def test_a_folder_without_a_run_is_refused_and_not_made(tmp_path):
    assert "expected a finished run; found none" in refusal(rotate(tmp_path / "none", tmp_path), 8)
    assert not (tmp_path / "none").exists()
