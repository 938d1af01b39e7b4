"""Faults that show only between extracts: rows sent before that are withdrawn, replaced, late or gone."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from stratify import contracts
from stratify.synth.faults import FAULTS, Scene, Tables, spoil_rows
from stratify.synth.known import brought_up_to_date

BULK = date(2026, 11, 1)
HERE, THERE = "Y00001", "Y00002"
NEEDS_WEEKS = [id for id, fault in FAULTS.items() if fault.level == "row" and fault.needs_weeks]


def frame(table: str, rows: list[dict[str, str]]) -> pl.DataFrame:
    names = contracts.load(f"landing.{table}").column_names
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String))


def history(people: int = 30) -> Tables:
    """What the bulk extract said: a record, a registration, an event and two stays each."""
    ids = [f"{person:06d}" for person in range(1, people + 1)]
    numbers = {id: f"999{id}0" for id in ids}
    return {
        "patient": frame("patient", [
            {"org_code": HERE, "source_patient_id": id, "nhs_number": numbers[id], "date_of_birth": "1950-01-02",
             "is_test_patient": "false", "sex": "F", "is_deleted": "false"} for id in ids]),
        "registration": frame("registration", [
            {"org_code": HERE, "source_registration_id": f"R{id}", "source_patient_id": id, "practice_code": HERE,
             "registration_type": "REGULAR", "start_date": "2015-02-14", "is_deleted": "false"} for id in ids]),
        "gp_event": frame("gp_event", [
            {"org_code": HERE, "source_event_id": f"E{id}", "source_patient_id": id, "snomed_code": "13645005",
             "effective_date": "2026-03-19" if id > "000003" else "2024-03-19", "is_deleted": "false"}
            for id in ids]),
        "apc_episode": frame("apc_episode", [
            {"provider_code": "RZ9", "cds_unique_id": f"B{id}{stay}", "nhs_number": numbers[id],
             "spell_id": f"S{id}{stay}", "episode_order": "1", "admission_date": day, "discharge_date": day,
             "admission_method": "21", "diag_01": "J440", "diag_02": "I10X", "update_type": "NETCHANGE",
             "freeze_status": state, "is_deleted": "false"}
            for id in ids for stay, day, state in (("1", "2026-05-14", "freeze"), ("2", "2026-10-14", "flex"))]),
        "practice": frame("practice", [
            {"practice_code": HERE, "practice_name": "Alder Surgery", "pcn_code": "U00001", "pcn_name": "North",
             "icb_code": "QZZ", "valid_from": "2019-07-01"}]),
    }  # fmt: skip


def delta(rows: int = 6) -> Tables:
    """A week in which a few people have a new event, and one a stay."""
    ids = [f"{person:06d}" for person in range(1, rows + 1)]
    return {
        "patient": history()["patient"].clear(),
        "registration": history()["registration"].head(1),
        "gp_event": frame("gp_event", [
            {"org_code": HERE, "source_event_id": f"N{id}", "source_patient_id": id, "snomed_code": "38341003",
             "effective_date": "2026-11-04", "is_deleted": "false"} for id in ids]),
        "apc_episode": frame("apc_episode", [
            {"provider_code": "RZ9", "cds_unique_id": "B0000013", "nhs_number": "9990000010", "spell_id": "S0000013",
             "episode_order": "1", "admission_date": "2026-11-03", "admission_method": "21", "diag_01": "J181",
             "update_type": "NETCHANGE", "freeze_status": "flex", "is_deleted": "false"}]),
        "practice": history()["practice"].clear(),
    }  # fmt: skip


def scenes(week: int, codes: tuple[str, ...] = (HERE, THERE), *, is_delta: bool = True):
    cutoff = BULK + timedelta(weeks=week)

    def scene_of(id: str) -> Scene:
        rng = np.random.default_rng([11, week, *id.encode()])
        return Scene(codes[0], codes, week, cutoff, cutoff - timedelta(weeks=1) if is_delta else None, rng, seed=11)

    return scene_of


def spoiled(id: str, rate: float = 0.3, *, week: int = 1, codes: tuple[str, ...] = (HERE, THERE)):
    tables = delta()
    return spoil_rows(dict(tables), dict(tables), {id: rate}, scenes(week, codes), history())


def by_now(meant: Tables, table: str) -> pl.DataFrame:
    """All rows of a table once the delta is laid over what was sent before."""
    return brought_up_to_date(history()[table], meant[table], table)


@pytest.mark.parametrize("id", NEEDS_WEEKS)
def test_a_fault_of_weeks_is_not_in_a_bulk_and_is_in_the_first_delta(id):
    tables = history()
    bulk = lambda _: Scene(HERE, (HERE, THERE), 0, BULK, None, np.random.default_rng(1), seed=11)  # noqa: E731
    written, meant, touches = spoil_rows(dict(tables), dict(tables), {id: 0.5}, bulk)
    assert touches.is_empty()
    assert all(written[table].equals(tables[table]) and meant[table].equals(tables[table]) for table in tables)
    written, _, touches = spoiled(id, 1e-9)
    assert set(touches["fault"]) == {id}
    assert any(not written[table].equals(each) for table, each in delta().items())


def test_r5_a_row_sent_before_is_withdrawn():
    written, meant, touches = spoiled("R5")
    gone = written["gp_event"].filter(is_deleted="true")
    assert gone.height == touches.filter(table="gp_event").height > 0
    assert written["gp_event"].height == delta()["gp_event"].height + gone.height
    assert by_now(meant, "gp_event").height == 30 + 6 - gone.height
    assert set(gone["effective_date"]) == {"2026-03-19"}  # nothing of more than a year ago


def test_r6_a_stay_sent_before_is_deleted_or_replaced():
    written, meant, touches = spoiled("R6")
    assert written["apc_episode"].equals(meant["apc_episode"])
    sent = written["apc_episode"].filter(pl.col("cds_unique_id") != "B0000013")
    deleted, replaced = sent.filter(is_deleted="true"), sent.filter(is_deleted="false")
    assert touches.height == deleted.height + replaced.height
    assert min(deleted.height, replaced.height) > 0
    assert set(replaced.select("diag_01", "diag_02").rows()) == {("I10X", "J440")}
    assert by_now(meant, "apc_episode").height == 60 + 1 - deleted.height


def test_r7_what_a_bulk_replacement_leaves_out_is_gone():
    written, meant, touches = spoiled("R7")
    sent = written["apc_episode"]
    assert set(sent["update_type"]) == {"BULK"}
    assert not sent["is_deleted"].eq("true").any()  # nothing but the window says so
    assert sent.height == 30 + 1 - touches.height
    assert set(sent["admission_date"]) == {"2026-10-14", "2026-11-03"}  # 90 days; nothing of May
    assert by_now(meant, "apc_episode").height == 60 + 1 - touches.height


def test_r7_comes_every_fourth_week():
    weeks = [week for week in range(1, 10) if spoiled("R7", week=week)[2].height]
    assert weeks == [1, 5, 9]


def test_r8_a_flex_row_is_revised_at_freeze():
    written, meant, touches = spoiled("R8")
    revised = written["apc_episode"].filter(pl.col("cds_unique_id") != "B0000013")
    assert revised.height == touches.height > 0
    assert set(revised["freeze_status"]) == {"freeze"}
    assert set(revised["admission_date"]) == {"2026-10-14"}
    assert set(revised["diag_01"]) == {"I10X"}
    assert by_now(meant, "apc_episode").height == 61


def test_f10_of_a_practice_that_delivers_too_little_nothing_is_meant():
    written, meant, touches = spoiled("F10", 0.01)
    assert written["gp_event"].height < delta()["gp_event"].height
    assert meant["gp_event"].is_empty()
    assert meant["apc_episode"].equals(delta()["apc_episode"])  # the hospital sends for itself
    assert touches.height == 6
    assert set(touches["expects"]) == {"as_meant"}


def test_f10_of_a_whole_extract_sent_weekly_the_last_good_part_stays():
    tables = history()
    scene = scenes(1, is_delta=False)
    written, meant, _ = spoil_rows(dict(tables), dict(tables), {"F10": 0.01}, scene, history())
    assert written["gp_event"].height < 20
    assert meant["gp_event"].equals(tables["gp_event"])


def test_p4_the_people_of_a_practice_that_closes_are_registered_with_the_next():
    written, meant, touches = spoiled("P4", 1e-9)
    assert written["practice"].equals(meant["practice"])
    assert written["practice"].select("practice_code", "valid_to").rows() == [(HERE, "2026-11-02")]
    assert by_now(meant, "registration")["practice_code"].to_list() == [THERE] * 30
    assert touches["table"].value_counts().sort("table").rows() == [("practice", 1), ("registration", 30)]


def test_p4_goes_on_in_later_weeks():
    written, _, _ = spoiled("P4", 1e-9, week=3)
    assert written["registration"]["practice_code"].to_list() == [THERE]
    assert written["practice"].is_empty()  # the reference is not sent again


def test_p4_the_only_practice_moves_to_another_network():
    written, _, _ = spoiled("P4", 1e-9, codes=(HERE,))
    assert written["practice"].select("pcn_code", "valid_to").rows() == [("U50001", None)]
    assert written["registration"]["practice_code"].to_list() == [HERE]


@pytest.mark.parametrize(("id", "column", "value"), [("I7", "is_test_patient", "true"), ("I1", "nhs_number", None)])
def test_a_persons_fault_stays_when_the_row_is_sent_again(id, column, value):
    tables = history()
    bulk = scenes(0, is_delta=False)
    _, meant, before = spoil_rows(dict(tables), dict(tables), {id: 1e-9}, bulk)
    assert before.height == 1
    again = {**delta(), "patient": history()["patient"]}
    _, later, touches = spoil_rows(dict(again), dict(again), {id: 1e-9}, scenes(2), meant, before)
    assert touches["key"].to_list() == before["key"].to_list()
    assert later["patient"].filter(pl.col(column).eq_missing(pl.lit(value, pl.String))).height == 1


def test_c2_no_copd_code_comes_in_later_weeks():
    tables = delta()
    tables["gp_event"] = history()["gp_event"].head(3)
    written, _, touches = spoil_rows(dict(tables), dict(tables), {"C2": 1e-9}, scenes(4), history())
    assert touches.height == 3
    assert written["gp_event"]["snomed_code"].null_count() == 3
