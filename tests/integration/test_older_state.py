"""The state that an older release left is taken on by this one: nobody is asked again, and no wait begins anew.

``older_state`` holds what that release (27 November 2026: no audit trail yet, no account of its files) left after two
weeks of nine invented people with COPD: six places a week. After the first week the practice answered that one had
attended, and that it had invited another.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stratify import audit_trail, kept_weeks
from whole_runs import KEY, counted_plainly, extract_set, refusal, settings_file, stratify, working_store

LEFT = Path(__file__).parent / "older_state" / "0.1.0_2026-11-27"
FIRST, THIRD = date(2026, 1, 5), date(2026, 1, 19)
DIRECT_CARE = {"purpose": "direct_care", "type_1": "exclude", "national": "exclude", "local": "exclude"}
ATTENDED, INVITED = "49bf41e52c06", "28916b715d0f"
"""Begins of the pseudonyms of the two who were answered for."""


def _laid_out(folder):
    """Put the older state in place as its release had it: a run, and the links that lead to it."""
    out = folder / "out"
    run = out / "runs" / "635eaaa33d4ee172.2"
    (run / "published").mkdir(parents=True)
    (run / "restricted").mkdir(mode=0o700)
    for path in LEFT.iterdir():
        target = run / "restricted" / path.name
        (shutil.copytree if path.is_dir() else shutil.copy)(path, target)
    for name, to in (
        ("current", f"runs/{run.name}"),
        ("published", "current/published"),
        ("restricted", "current/restricted"),
    ):
        (out / name).symlink_to(to)
    people = range(9)
    extracts = extract_set.write_set(
        folder / "extracts",
        patient=[
            extract_set.patient(f"p{n}", nhs_number=extract_set.nhs(n), date_of_birth=f"{1940 + n}-06-01")
            for n in people
        ],
        registration=[extract_set.registration(f"p{n}") for n in people],
        gp_event=[extract_set.event(f"e{n}", source_patient_id=f"p{n}") for n in people],
        gp_observation=[
            extract_set.observation(f"o{n}", source_patient_id=f"p{n}", value_num=str(25 + n)) for n in people
        ],
        gp_medication=[extract_set.medication(f"m{n}", source_patient_id=f"p{n}") for n in people],
        clinic_capacity=[extract_set.capacity(clinic_date="2026-01-21", slots="6")],
    )
    return settings_file(folder, extracts, out, privacy=DIRECT_CARE), out


def _third_week(settings):
    with counted_plainly():
        return stratify("run", "--settings", settings, "--index-date", THIRD, STRATIFY_IDENTITY_KEY=KEY)


@pytest.fixture(scope="module")
def taken_on(tmp_path_factory):
    folder = tmp_path_factory.mktemp("older")
    settings, out = _laid_out(folder)
    done = _third_week(settings)
    assert done.exit_code == 0, done.output
    with working_store(out, folder / "scratch") as store:
        rows = store.frame("SELECT * FROM derived.placement WHERE pathway = 'copd' ORDER BY patient_key").to_dicts()
    return out, {row["patient_key"][:12]: row for row in rows}


def test_who_was_answered_for_is_not_asked_again(taken_on):
    _, placed = taken_on
    assert len(placed) == 9
    assert (placed[ATTENDED]["state"], placed[ATTENDED]["placement"]) == ("attended", "not_listed")
    assert (placed[INVITED]["state"], placed[INVITED]["placement"]) == ("invited_1", "not_listed")


def test_everybody_else_keeps_the_day_on_which_their_wait_began_and_nobody_is_new(taken_on):
    out, placed = taken_on
    others = [row for key, row in placed.items() if key not in (ATTENDED, INVITED)]
    assert {row["waiting_since"] for row in others} == {FIRST}
    assert sorted(row["placement"] for row in others) == ["listed"] * 6 + ["waiting"]
    steps = pl.read_parquet(out / "restricted" / kept_weeks.FOLDER / str(THIRD) / "transition.parquet")
    assert "new" not in steps["from_state"].to_list()


def test_what_the_older_release_kept_is_kept_on_byte_by_byte(taken_on):
    out, _ = taken_on
    kept = out / "restricted" / kept_weeks.FOLDER
    before = {path.relative_to(LEFT / "memory"): path.read_bytes() for path in (LEFT / "memory").rglob("*.parquet")}
    assert len(before) == 6
    assert {path: (kept / path).read_bytes() for path in before} == before
    history = (out / "restricted" / "practice_history.csv").read_text(encoding="utf-8")
    assert "2026-01-05,f05ec9ef5af8d58c,A10001,gp_event,9,9,0,0" in history


def test_the_older_run_can_be_backed_up_before_the_first_run_of_this_release(tmp_path):
    _, out = _laid_out(tmp_path)
    done = stratify("backup", "--out", out, "--to", tmp_path / "safe")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "safe" / "stratify-2026-01-12-635eaaa33d4ee172" / "SHA256SUMS").is_file()
    assert [each.entry["act"] for each in audit_trail.read(out)] == ["backup", "backup"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param(pl.col("effective_date").cast(pl.String), "effective_date is String", id="another_kind"),
        pytest.param(None, "no patient_key", id="without_people"),
    ],
)
def test_a_format_that_this_release_does_not_know_stops_the_run_with_one_next_step(tmp_path, changed, said):
    settings, out = _laid_out(tmp_path)
    path = out / "restricted" / kept_weeks.FOLDER / "2026-01-12" / "transition.parquet"
    steps = pl.read_parquet(path)
    (steps.drop("patient_key") if changed is None else steps.with_columns(changed)).write_parquet(path)
    message = refusal(_third_week(settings), 8)
    assert "memory of earlier weeks" in message and said in message
    assert "Install the release that wrote it" in message
    assert (out / "current").resolve().name == "635eaaa33d4ee172.2"
