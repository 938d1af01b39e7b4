"""Today's side of a forecast is the run's own: who is on each list, in which order, and who has the week's places.

Invented people on two pathways that share a clinic, in three practices of which two share sessions as a network; routed
by the real routing, with a memory of bookings, waits, closings and deferrals.
"""

from __future__ import annotations

import shutil
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

import invented
import invented_run
from invented import codelist, event, pathway, score, variable
from stratify import memory, routing, whatif_run
from stratify.approvals import COMPARATORS
from stratify.store import open_store
from stratify.whatif_changes import Changes, read_changes

INDEX = date(2026, 6, 15)
LONG_AGO = date(2020, 1, 1)
PRACTICES = {"Y99001": "U99001", "Y99002": "U99001", "Y99003": "U99002"}
PEOPLE = 400


def _pathway(name, precedence, register, clinic):
    own = {"id": clinic, "label": clinic, "roles": ["nurse"]}
    both = {"id": "home_round", "label": "Home round", "roles": ["nurse"]}
    return pathway(
        name, precedence=precedence, cohort={"variable": register, "is_true": True}, tier_from="need",
        clinics=[own, both],
        rank_by=[{"variable": "flares", "first": "most"}, {"variable": "age_years", "first": "most"}],
        routes=[{"id": "home", "when": {"variable": "at_home", "is_true": True}, "decision": "clinic",
                 "clinic": "home_round", "reason": "Housebound"},
                {"id": "worst", "when": {"score": "need", "tier_in": ["high", "middle"]}, "decision": "clinic",
                 "clinic": clinic, "reason": "In a high group"},
                {"id": "others", "decision": "self_management", "reason": "In the low group"}],
    )  # fmt: skip


BOOK = invented.rule_book(
    codelists=[codelist(name, "snomed_ct", [code]) for name, code in
               (("copd", "C"), ("failure", "H"), ("flare", "F"), ("home", "B"))],
    variables=[variable("has_copd", "has", {"event": "copd"}), variable("has_failure", "has", {"event": "failure"}),
               variable("at_home", "has", {"event": "home"}),
               variable("flares", "count", {"event": "flare"}, lookback_months=12)],
    scores=[score("need", tiers=[
        {"tier": "high", "label": "High", "when": {"variable": "flares", "at_least": 4}},
        {"tier": "middle", "label": "Middle", "when": {"variable": "flares", "at_least": 2}},
        {"tier": "low", "label": "Low"}])],
    pathways=[_pathway("lungs", 1, "has_copd", "lung_clinic"), _pathway("heart", 2, "has_failure", "heart_clinic")],
)  # fmt: skip


def _remembered():
    """Say where some people stand, by number: what state, since when and until when, waiting since when."""
    found = {}
    for number in range(0, PEOPLE, 7):
        key = (f"p{number:03}", "lungs")
        since = INDEX - timedelta(days=30 + number % 60)
        state, until = [
            ("waiting", None),
            ("booked", INDEX + timedelta(days=1)),
            ("booked", INDEX + timedelta(days=24)),
            ("attended", INDEX + timedelta(days=60)),
            ("declined", INDEX + timedelta(days=300)),
            ("deferred", INDEX + timedelta(days=10)),
            ("invited_1", INDEX + timedelta(days=5)),
            ("review", None),
        ][number // 7 % 8]
        found[key] = memory.Standing(
            state=state, since=since, until=until, practice_code=list(PRACTICES)[number % 3], clinic_id="lung_clinic",
            tier="middle", tier_rank=2, waiting_since=None if state in memory.CLOSED else since, why="As remembered",
        )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("whatif") / "out"
    rng = np.random.default_rng(5)
    persons, records = [], []
    for number in range(PEOPLE):
        key, practice = f"p{number:03}", list(PRACTICES)[number % 3]
        decile = int(rng.integers(1, 11)) if number % 6 else None
        persons.append({"patient_key": key, "practice_code": practice, "pcn_code": PRACTICES[practice], "sex": "F",
                        "age_years": 40 + number % 9, "imd_decile": decile})  # fmt: skip
        records += [event(key, "C", LONG_AGO)] if number % 5 else []
        records += [event(key, "H", LONG_AGO)] if number % 4 == 0 else []
        records += [event(key, "B", LONG_AGO)] if number % 11 == 0 else []
        records += [event(key, "F", INDEX - timedelta(days=20 * (each + 1))) for each in range(int(rng.integers(0, 7)))]
    sessions = [("lung_clinic", "U99001", 2, 5), ("lung_clinic", "Y99001", 2, 3), ("lung_clinic", "Y99001", 1, 2),
                ("lung_clinic", "Y99003", 1, 4), ("heart_clinic", "Y99001", 3, 2), ("heart_clinic", "U99001", 1, 4),
                ("home_round", "Y99002", 2, 3), ("home_round", "U99002", 4, 2)]  # fmt: skip
    capacity = [
        {"clinic_id": clinic, "practice_code": audience, "clinic_date": INDEX + timedelta(days=day), "role": "nurse",
         "slots": slots, "minutes_per_slot": 30}
        for clinic, audience, day, slots in sessions
    ]  # fmt: skip
    networks = [{"practice_code": practice, "pcn_code": network, "valid_from": LONG_AGO}
                for practice, network in PRACTICES.items()]  # fmt: skip
    more = {"clinic_capacity": capacity, "practice": networks}
    placed = invented_run.make(
        out, BOOK, persons, invented.core_tables(records), index_date=INDEX, more=more, standings=_remembered()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whatif_run, "load_rule_book", lambda folder: BOOK)
        yield out, placed


def _tried(run, monkeypatch, changes):
    """Ask, and give with the answer what was counted from: the lanes and the queues of each side."""
    seen = {"lanes": [], "queues": []}
    lanes, simulate = whatif_run._in_lanes, whatif_run.whatif.simulate

    def watched_lanes(*args):
        seen["lanes"].append(lanes(*args))
        return seen["lanes"][-1]

    def watched_simulate(queues, rules, known):
        seen["queues"].append(queues)
        return simulate(queues, rules, known)

    monkeypatch.setattr(whatif_run, "_in_lanes", watched_lanes)
    monkeypatch.setattr(whatif_run.whatif, "simulate", watched_simulate)
    return whatif_run.try_out(changes, run[0]), seen


def _on_lists(placed):
    at_clinic = (pl.col("decision") == "clinic") & (pl.col("clinic_id") != "clinician_review")
    return placed.filter(at_clinic, pl.col("placement").is_in(["listed", "waiting"]))


def test_todays_lists_have_the_people_of_the_run_in_its_order(run, monkeypatch):
    """Within each queue those whom routing ranked stand in the order of their ranks."""
    _, seen = _tried(run, monkeypatch, Changes())
    now = seen["lanes"][0].filter("is_now", pl.col("back_in") == 0)
    ranked = _on_lists(run[1]).filter(pl.col("priority_rank").is_not_null())
    both = ranked.join(now, on=["patient_key", "clinic_id"], suffix="_ours", maintain_order="left")
    assert both.height == ranked.height > 100
    shared = pl.col("practice_code").replace_strict({"Y99001": "U", "Y99002": "U"}, default=pl.col("practice_code"))
    for _, queue in both.with_columns(queue=shared).group_by("clinic_id", "queue"):
        order = queue.sort("priority_rank_ours")
        if queue["clinic_id"][0] != "home_round":  # there one practice of the network has its own session
            assert order["priority_rank"].is_sorted()
        for _, mine in order.group_by("practice_code", maintain_order=True):
            assert mine["priority_rank"].is_sorted()


def test_the_first_weeks_places_are_those_of_the_run(run, monkeypatch):
    """Booked people, shared sessions, one action a person: by clinic and practice as many as the run listed."""
    _, seen = _tried(run, monkeypatch, Changes())
    first = seen["queues"][0].first.group_by("clinic_id", "practice_code").agg(pl.col("people_count").sum())
    listed = _on_lists(run[1]).filter(pl.col("placement") == "listed")
    expected = listed.group_by("clinic_id", "practice_code").agg(people_count=pl.len().cast(pl.Int64))
    assert first.sort(pl.all()).equals(expected.sort(pl.all())) and listed.height > 15


def test_who_is_booked_closed_or_put_off_is_on_no_list_and_comes_back_on_the_day(run, monkeypatch):
    """Deferred for 10 days: back in week 2. Attended, due in 60 days: week 9. Invited until day 5: week 1."""
    _, seen = _tried(run, monkeypatch, Changes())
    states = {key: standing.state for (key, _), standing in _remembered().items()}
    lanes = seen["lanes"][0].filter("is_now", pl.col("pathway") == "lungs")
    weeks = {}
    for key, week in lanes.select("patient_key", "back_in").iter_rows():
        if key in states:
            weeks.setdefault(states[key], set()).add(week)
    assert weeks == {
        "waiting": {0},
        "deferred": {2},
        "attended": {9},
        "invited_1": {1},
        "declined": {43},
        "booked": {2, 5},
    }  # fmt: skip  a booking is settled a week after its day; who is in review is on no list


def test_places_that_bookings_hold_are_given_to_nobody(run, monkeypatch):
    """Booked for day 24, of week 3: each of these bookings holds a place of the list there."""
    _, seen = _tried(run, monkeypatch, Changes())
    places = seen["queues"][0].places.filter(pl.col("clinic_id") == "lung_clinic")
    booked = [each for each in _remembered().values() if each.until == INDEX + timedelta(days=24)]
    before = places.filter(pl.col("week") == 4)["places"].sum()
    assert places.filter(pl.col("week") == 3)["places"].sum() == before - len(booked) < before


def test_a_second_question_tells_the_same_from_the_kept_look_back(run, monkeypatch):
    change = read_changes(None, thresholds=("{score: need, tier: middle, variable: flares, at_least: 3}",))
    kept = run[0] / "look_back"
    one, _ = _tried(run, monkeypatch, change)
    stamp = (kept / "then.duckdb").stat().st_mtime_ns
    other, _ = _tried(run, monkeypatch, change)
    assert (kept / "then.duckdb").stat().st_mtime_ns == stamp
    assert [each.name for each in kept.iterdir()] == ["then.duckdb"]
    assert kept.stat().st_mode & 0o077 == 0 and (kept / "then.duckdb").stat().st_mode & 0o077 == 0
    assert one.weeks.equals(other.weeks) and one.moved.equals(other.moved)


def test_only_the_clinics_that_a_change_touches_have_another_forecast(run, monkeypatch):
    """Places at the heart clinic: the lung clinic's figures are today's to the last digit."""
    found, _ = _tried(run, monkeypatch, read_changes(None, capacity=("{clinic: heart_clinic, slots_per_week: 1}",)))
    sides = [found.weeks.filter(pl.col("side") == side, pl.col("clinic_id") == "lung_clinic").drop("side")
             for side in ("today", "changed")]  # fmt: skip
    assert sides[0].equals(sides[1])
    capacity = found.weeks.filter(pl.col("clinic_id") == "heart_clinic", pl.col("week") == 1)["capacity"].to_list()
    assert capacity == [6, 3]  # one at each audience: the network, Y99001 and, without a session today, Y99003


def test_worklists_and_offers_are_counted_as_the_run_placed_them(run, monkeypatch):
    """On the clinicians' list are those in review; offers are of those who have no other action. Rounded to 5."""
    found, _ = _tried(run, monkeypatch, Changes())
    on = {"worklist clinician_review": "listed", "worklist self_management": "offered"}
    for definition, placement in on.items():
        mine = run[1].filter(pl.col("placement") == placement)
        if placement == "listed":
            mine = mine.filter(pl.col("clinic_id") == "clinician_review")
        told = found.moved.filter(pl.col("definition") == definition, pl.col("breakdown") == "everybody")
        assert told["before"].to_list() == told["after"].to_list() == ["on the list"]
        assert told["people_count"][0] in (None, (mine.height + 2) // 5 * 5) and mine.height


def test_where_a_pathway_is_off_a_change_puts_nobody_on_its_list(run, monkeypatch, tmp_path):
    """The heart pathway is off at Y99001, so the run set its decisions there apart; so it stays with another edge."""
    shutil.copytree(run[0], tmp_path / "out", ignore=shutil.ignore_patterns("look_back"))
    with open_store(tmp_path / "out/restricted/run.duckdb", temp_directory=tmp_path) as store:
        there = (
            "pathway = 'heart' AND patient_key IN (SELECT patient_key FROM core.person WHERE practice_code = 'Y99001')"
        )
        store.execute("CREATE SCHEMA IF NOT EXISTS work")
        store.execute(f"CREATE TABLE {COMPARATORS} AS SELECT * FROM derived.pathway_decision WHERE {there}")
        for table in ("pathway_decision", "placement"):
            store.execute(f"DELETE FROM derived.{table} WHERE {there}")
    change = read_changes(None, thresholds=("{score: need, tier: middle, variable: flares, at_least: 1}",))
    _, seen = _tried((tmp_path / "out", None), monkeypatch, change)
    for lanes in seen["lanes"]:
        on = lanes.filter(pl.col("pathway") == "heart")
        assert sorted(on["practice_code"].unique()) == ["Y99002", "Y99003"]
        assert on["is_now"].any() and not on["is_now"].all()


def test_minutes_that_end_over_all_clinics_of_a_practice_end_in_the_forecast_as_week_after_week_in_routing(
    monkeypatch, tmp_path
):
    """A nurse has 150 minutes for two clinics of 4 places of 30: 4 and 1 in the first week, as long as both want them.

    Nobody comes or leaves. With 10 people for the lungs and 20 for the heart, routed anew each week without those who
    had a place: 4 + 1, 4 + 1, 2 + 3, then 4 a week for the heart. Each clinic by itself would give the heart 4 at once.
    """
    keys = [f"p{number:03}" for number in range(30)]
    persons = [{"patient_key": key, "practice_code": "Y99001", "pcn_code": "U99001", "age_years": 60} for key in keys]
    records = [event(key, "C" if number < 10 else "H", LONG_AGO) for number, key in enumerate(keys)]
    records += [event(key, "F", INDEX - timedelta(days=120 + each)) for key in keys for each in range(2)]

    def capacity(week):
        return [{"clinic_id": clinic, "practice_code": "Y99001", "clinic_date": INDEX + timedelta(weeks=week, days=2),
                 "role": "nurse", "slots": 4, "minutes_per_slot": 30}
                for clinic in ("lung_clinic", "heart_clinic")]  # fmt: skip

    most, out = {"nurse": 150}, tmp_path / "out"
    invented_run.make(
        out, BOOK, persons, invented.core_tables(records), index_date=INDEX, most_minutes=most,
        more={"clinic_capacity": capacity(0)},
    )  # fmt: skip
    with open_store(out / "restricted/run.duckdb", temp_directory=tmp_path, read_only=True) as store:
        decisions = store.frame("SELECT * FROM derived.pathway_decision")
    placed, realised = set(), []
    for week in range(6):
        found = routing.place(
            decisions.filter(~pl.col("patient_key").is_in(sorted(placed))), invented.frame("core.person", persons),
            invented.value_rows({}, INDEX), invented.frame("core.clinic_capacity", capacity(week)), BOOK,
            index_date=INDEX + timedelta(weeks=week), most_minutes=most,
        )  # fmt: skip
        listed = found.filter(pl.col("placement") == "listed")
        placed |= set(listed["patient_key"])
        realised.append([listed.filter(clinic_id=clinic).height for clinic in ("lung_clinic", "heart_clinic")])
    assert realised == [[4, 1], [4, 1], [2, 3], [0, 4], [0, 4], [0, 4]]
    monkeypatch.setattr(whatif_run, "load_rule_book", lambda folder: BOOK)
    told, _ = _tried((out, None), monkeypatch, Changes())
    weeks = told.weeks.filter(pl.col("side") == "today", pl.col("week") < 6).sort("clinic_id", "week")
    forecast = {clinic[0]: rows["places"].to_list() for clinic, rows in weeks.group_by("clinic_id")}
    assert list(zip(forecast["lung_clinic"], forecast["heart_clinic"], strict=True)) == [tuple(w) for w in realised]
    more = read_changes(None, capacity=("{clinic: lung_clinic, slots_per_week: 2}",))
    weeks = _tried((out, None), monkeypatch, more)[0].weeks.filter(pl.col("side") == "changed", pl.col("week") < 3)
    heart = weeks.filter(pl.col("clinic_id") == "heart_clinic").sort("week")["places"].to_list()
    assert heart == [3, 3, 3]  # what the lungs leave of the 150 minutes: 150 - 60, 3 places
