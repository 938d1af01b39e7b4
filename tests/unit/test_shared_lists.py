"""Who may see whom: a list holds the patients of its practice, or of the practices of the network that shares it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from publish_example import CAPACITY, INDEX_DATE, OUTCOMES, PEOPLE, context, key, outcome, person, small_run
from python_calamine import CalamineWorkbook

from stratify.publish import HeldList, row_reference, write_direct_care
from stratify.store import Store

NETWORK, FIRST, SECOND = "U10001", "A81001", "A81002"
SHARED = f"{NETWORK}/copd_clinic/clinic_list_copd_clinic_TEST_2026-11-23.xlsx"
PRACTICE_OF = {1: FIRST, 2: FIRST, 3: FIRST, 21: SECOND, 22: SECOND}
"""Everybody for whom the COPD clinic is meant."""


@contextmanager
def run_with_a_pool(folder: Path) -> Iterator[Store]:
    """The invented run with two people of a second practice, and a session of the network of two places."""
    people = [*PEOPLE, person(21, practice_code=SECOND), person(22, practice_code=SECOND)]
    there = {"clinic_id": "copd_clinic", "practice_code": SECOND}
    outcomes = [
        *OUTCOMES,
        outcome(21, "listed", "clinic", clinic_date=date(2026, 11, 26), priority_rank=3, **there),
        outcome(22, "waiting", "clinic", priority_rank=4, placement_reason="Full", **there),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("publish_example.CAPACITY", [*CAPACITY, ("copd_clinic", NETWORK, 26, "gp", 2)])
        with small_run(folder, people=people, outcomes=outcomes) as store:
            yield store


def written(folder: Path, **changes: object) -> dict[str, Path]:
    with run_with_a_pool(folder) as store:
        paths = write_direct_care(store, folder / "out", context(**changes))
    return {path.relative_to(folder / "out").as_posix(): path for path in paths}


def rows(path: Path, name: str) -> list[dict[str, object]]:
    head, *body = CalamineWorkbook.from_path(str(path)).get_sheet_by_name(name).to_python()
    return [dict(zip(head, row, strict=True)) for row in body if sum(cell != "" for cell in row) > 1]


def references(path: Path) -> set[str]:
    return {str(row["Row reference"]) for name in ("List", "Waiting", "Not listed and why") for row in rows(path, name)}


def cover(path: Path) -> str:
    sheet = CalamineWorkbook.from_path(str(path)).get_sheet_by_name("Cover").to_python()
    return "\n".join(str(cell) for row in sheet for cell in row)


def test_a_session_of_the_network_is_on_the_cover_of_each_practice_whose_lists_stay_its_own(tmp_path):
    files = written(tmp_path)
    assert not [name for name in files if name.startswith(NETWORK)]
    for practice in (FIRST, SECOND):
        path = files[f"{practice}/copd_clinic/clinic_list_copd_clinic_TEST_2026-11-23.xlsx"]
        assert "Room 4; places shared by the practices of River" in cover(path)


@pytest.mark.parametrize("shared", [frozenset(), frozenset({"copd_clinic"})], ids=["by_practice", "shared"])
def test_no_list_holds_a_patient_from_outside_its_declared_audience(tmp_path, shared):
    files = written(tmp_path, shared_lists=shared)
    everybody = {number: PRACTICE_OF.get(number, FIRST) for number in (*range(1, 10), 12, 21, 22)} | {10: SECOND}
    checked = 0
    for name, path in files.items():
        if path.suffix != ".xlsx":
            continue
        audience, clinic, _ = name.split("/")
        allowed = {FIRST, SECOND} if audience == NETWORK else {audience}
        theirs = {
            row_reference(INDEX_DATE, clinic, key(number)) for number, home in everybody.items() if home in allowed
        }
        assert references(path) <= theirs
        checked += len(references(path))
    assert checked > 10


def test_practices_that_share_a_clinic_have_one_list_with_everybody_on_it_and_whose_patient_each_is(tmp_path):
    files = written(tmp_path, shared_lists=frozenset({"copd_clinic"}))
    assert [name for name in files if "/copd_clinic/" in name] == [SHARED.replace(".xlsx", ".csv"), SHARED]
    path = files[SHARED]
    assert "River: one list for Practice 1 (A81001), Practice 2 (A81002) (U10001)" in cover(path)
    # In the order of the network's queue, whatever the practice.
    assert [row["Row reference"] for row in rows(path, "List")] == [
        row_reference(INDEX_DATE, "copd_clinic", key(number)) for number in (2, 1, 21)
    ]
    assert [str(row["Usual GP"]).partition(",")[0] for row in rows(path, "List")] == [
        "Practice 1 (A81001)", "Practice 1 (A81001)", "Practice 2 (A81002)",
    ]  # fmt: skip
    assert "Practice 2 (A81002): Full" in {row["Why waiting"] for row in rows(path, "Waiting")}


def test_a_list_held_at_one_practice_of_a_shared_clinic_takes_its_people_off_and_says_so(tmp_path):
    held = HeldList("core.gp_event", "FIT-02", "copd", SECOND, (), ("copd_clinic",), "Records are missing", 2)
    files = written(tmp_path, shared_lists=frozenset({"copd_clinic"}), held=(held,))
    path = files[SHARED]
    assert "Practice 2 (A81002): Held this week: COPD" in cover(path)
    assert not references(path) & {row_reference(INDEX_DATE, "copd_clinic", key(number)) for number in (21, 22)}


def test_a_practice_where_a_pathway_is_off_has_no_file_notice_or_column_of_it(tmp_path):
    held = HeldList("core.gp_event", "FIT-01", "copd", None, (), ("copd_clinic",), "Too old", 2)
    files = written(tmp_path, held=(held,), off=frozenset({("copd", FIRST), ("copd", SECOND)}))
    assert not [name for name in files if "copd_clinic" in name or "held_" in name]


def test_the_cover_says_who_signed_each_pathway_off(tmp_path):
    files = written(tmp_path, approval={"copd": "Signed off by A. Officer."})
    assert "Signed off by A. Officer." in cover(
        files[f"{FIRST}/copd_clinic/clinic_list_copd_clinic_TEST_2026-11-23.xlsx"]
    )
