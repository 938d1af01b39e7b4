"""The arithmetic of a forecast on small counts: places, lanes, starts, no shows, and how often the truth is inside."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from stratify import whatif, whatif_places

CELL = {"clinic_id": pl.String, "practice_code": pl.String, "lane": pl.Int64, "present": pl.Int64,
        "entered": pl.Int64, "starts": pl.Int64}  # fmt: skip
MOVE = {"clinic_id": pl.String, "lane": pl.Int64, "to_lane": pl.Int64, "people_count": pl.Int64}
PLACE = {"clinic_id": pl.String, "practice_code": pl.String, "week": pl.Int64, "places": pl.Int64}


def _run(cells, places_a_week, *, moves=(), **rules):
    """Forecast one clinic: cells by practice as (lane, present, entered, starts), so many places a week at each."""
    rows = [("clinic", practice, *each) for practice, lanes in cells.items() for each in lanes]
    places = [("clinic", practice, week, places_a_week) for practice in cells for week in range(26)]
    frames = (
        pl.DataFrame(rows, schema=CELL, orient="row"),
        pl.DataFrame([("clinic", *each) for each in moves], schema=MOVE, orient="row"),
        pl.DataFrame(places, schema=PLACE, orient="row"),
    )
    return whatif.simulate(whatif.Queues(*frames), whatif.Rules(**rules))


def _lengths(forecast, by=("clinic_id",)):
    return whatif.summary(forecast, by)["length"].to_list()


STAY = [(0, 0, 10_000_000)]
"""So many who were seen to stay that nobody is drawn to leave."""


def test_without_newcomers_a_list_falls_by_its_places():
    """10 people, 3 places: 10, 7, 4, 1, 0."""
    lengths = _lengths(_run({"A": [(0, 10, 0, 0)]}, 3, moves=STAY))
    assert [round(each) for each in lengths[:6]] == [10, 7, 4, 1, 0, 0]


def test_no_week_gives_more_places_than_there_are():
    forecast = _run({"A": [(0, 40, 30, 0), (1, 20, 10, 0)]}, 4, moves=[(0, 0, 30), (0, 1, 5), (1, None, 3), (1, 1, 9)])
    assert forecast["clinic"].places.max() <= 4


def test_one_practice_gives_no_place_to_another():
    """A has 10 and B has 1; 2 places each: B's spare place goes to nobody, so A has 8 after a week."""
    forecast = _run({"A": [(0, 10, 0, 0)], "B": [(0, 1, 0, 0)]}, 2, moves=STAY)
    by = whatif.summary(forecast, ["clinic_id", "practice_code"])
    assert by.filter(pl.col("week") == 1)["length"].round().to_list() == [8, 0]


def test_those_who_do_not_attend_stay_on_the_list():
    """100 people, 10 places, half do not attend: 5 a week leave, 50 after ten weeks."""
    lengths = _lengths(_run({"A": [(0, 100, 0, 0)]}, 10, moves=STAY, did_not_attend_percent=50))
    assert lengths[10] == pytest.approx(50, abs=2)


def test_who_had_a_place_is_due_again_after_the_review():
    """4 people, 4 places, review after 6 weeks: 4 in week 0, none till week 6, then 4 again, served, and in week 13."""
    lengths = _lengths(_run({"A": [(0, 4, 0, 0)]}, 4, moves=STAY, review_after_weeks=6))
    assert [round(each) for each in lengths[:9]] == [4, 0, 0, 0, 0, 0, 0, 4, 0]


def test_a_pathway_that_starts_later_has_no_list_before():
    lengths = _lengths(_run({"A": [(0, 30, 0, 5)]}, 1, moves=STAY))
    assert [round(each) for each in lengths[3:7]] == [0, 0, 30, 29]


def test_newcomers_come_at_the_rate_that_was_seen():
    """130 came in 13 weeks and nobody left: 10 a week, 260 in 26 weeks, and with no place all are there."""
    lengths = _lengths(_run({"A": [(0, 0, 130, 0)]}, 0, moves=STAY))
    assert lengths[26] == pytest.approx(260, rel=0.03)


def test_newcomers_of_a_share_of_the_people_stand_for_all():
    lengths = _lengths(_run({"A": [(0, 0, 130, 0)]}, 0, moves=STAY, share=0.5))
    assert lengths[26] == pytest.approx(520, rel=0.03)


def test_those_who_leave_do_so_by_the_share_that_was_seen():
    """Of 1,000 a quarter left in 13 weeks: of 400 today 300 are there after 13 weeks and 225 after 26."""
    lengths = _lengths(_run({"A": [(0, 400, 0, 0)]}, 0, moves=[(0, None, 250), (0, 0, 750)]))
    assert lengths[13] == pytest.approx(300, rel=0.03) and lengths[26] == pytest.approx(225, rel=0.03)


def test_places_go_to_the_first_lane_first():
    """2 and 5 people, 1 place a week: the first lane has weeks 0 and 1, the second the next five."""
    forecast = _run({"A": [(0, 2, 0, 0), (1, 5, 0, 0)]}, 1, moves=[(0, 0, 10_000_000), (1, 1, 10_000_000)])
    people = pl.DataFrame(
        {"patient_key": [f"p{n}" for n in range(7)], "clinic_id": "clinic", "practice_code": "A",
         "lane": [0, 0, 1, 1, 1, 1, 1], "priority_rank": [1, 2, 3, 4, 5, 6, 7]}
    )  # fmt: skip
    assert whatif.week_of_place(people, forecast)["week"].to_list() == [0, 1, 2, 3, 4, 5, 6]


def test_the_truth_is_inside_the_interval_about_as_often_as_stated():
    """300 lists whose newcomers and leavers really come by chance: 90 in 100 are to be inside, and no fewer than 83."""
    rng = np.random.default_rng(7)
    inside = 0
    for _ in range(12):
        rates, present = rng.gamma(4, 0.5, 25), rng.integers(10, 60, 25)
        leave, cells = 0.012, {}
        seen = [(0, None, int(rng.binomial(900, 1 - (1 - leave) ** 13)))]
        seen.append((0, 0, 900 - seen[0][2]))
        for number, rate in enumerate(rates):
            cells[f"P{number:02}"] = [(0, int(present[number]), int(rng.poisson(rate * 13)), 0)]
        found = whatif.summary(_run(cells, 1, moves=seen), ["clinic_id", "practice_code"]).filter(pl.col("week") == 26)
        waiting = present.copy()
        for _week in range(26):
            waiting = waiting - np.minimum(waiting, 1)
            waiting = waiting - rng.binomial(waiting, leave) + rng.poisson(rates)
        low, high = found["length_low"].to_numpy(), found["length_high"].to_numpy()
        inside += int(((low <= waiting) & (waiting <= high)).sum())
    assert 0.83 * 300 <= inside < 300


def test_what_becomes_of_one_clinic_does_not_depend_on_another():
    alone = _lengths(_run({"A": [(0, 30, 12, 0)]}, 1, moves=[(0, 0, 20)]))
    cells = pl.DataFrame([("another", "A", 0, 9, 5, 0), ("clinic", "A", 0, 30, 12, 0)], schema=CELL, orient="row")
    moves = pl.DataFrame([("another", 0, None, 3), ("clinic", 0, 0, 20)], schema=MOVE, orient="row")
    places = pl.DataFrame([("clinic", "A", week, 1) for week in range(26)], schema=PLACE, orient="row")
    both = whatif.summary(whatif.simulate(whatif.Queues(cells, moves, places), whatif.Rules()))
    assert both.filter(pl.col("clinic_id") == "clinic")["length"].to_list() == alone


def test_places_after_the_last_planned_week_are_as_many_as_a_planned_one():
    """2 and 3 places in two planned weeks: 2.5 a week after, so 2, 3, 2, 3 … and 65 in all."""
    sessions = pl.DataFrame(
        {"clinic_id": "c", "practice_code": "A", "week": [0, 1], "session_count": [1, 1], "places": [2, 3]}
    )
    found = whatif.places_by_week(sessions)
    assert found["places"][:6].to_list() == [2, 3, 2, 3, 2, 3] and found["places"].sum() == 65


def test_another_number_of_sessions_has_sessions_as_large_as_today():
    """2 sessions of 6 places today; 3 a week from week 4 on: 12 and then 18."""
    sessions = pl.DataFrame(
        {"clinic_id": "c", "practice_code": "A", "week": [0, 0], "session_count": [1, 1], "places": [6, 6]}
    )
    found = whatif.places_by_week(sessions, [("c", "A", 3, None, 4), ("c", "B", None, 5, 0)])
    assert found.filter(pl.col("practice_code") == "A")["places"].to_list() == [12] * 4 + [18] * 22
    assert found.filter(pl.col("practice_code") == "B")["places"].to_list() == [5] * 26


BOTH = {"A": "N", "B": "N"}


def _shared(cells, places, **more):
    """Forecast practices of a network, with so many places a week at each audience."""
    rows = [("clinic", practice, *each) for practice, lanes in cells.items() for each in lanes]
    weekly = [("clinic", audience, week, count) for audience, count in places.items() for week in range(26)]
    stay = [("clinic", lane, lane, 10_000_000) for lane in (0, 1)]
    frames = (pl.DataFrame(rows, schema=CELL, orient="row"), pl.DataFrame(stay, schema=MOVE, orient="row"),
              pl.DataFrame(weekly, schema=PLACE, orient="row"))  # fmt: skip
    return whatif.simulate(whatif.Queues(*frames, network_of=BOTH, **more), whatif.Rules())


def test_shared_places_go_to_the_first_lane_of_all_practices_before_the_second_of_any():
    """A has 2 in the first lane, B 3 in the second; 2 shared places: week 0 is A's, then B has 3, 1 and none."""
    lengths = whatif.summary(
        _shared({"A": [(0, 2, 0, 0)], "B": [(1, 3, 0, 0)]}, {"N": 2}), ["clinic_id", "practice_code"]
    )
    assert lengths.filter(pl.col("practice_code") == "A")["length"][:3].round().to_list() == [2, 0, 0]
    assert lengths.filter(pl.col("practice_code") == "B")["length"][:4].round().to_list() == [3, 3, 1, 0]


def test_a_practice_uses_its_own_places_first_and_no_week_gives_more_than_there_are():
    """A, with 9 people, has 1 place of its own, and shares 2 with B, with 6: 3 a week together, A 1 at least."""
    found = _shared({"A": [(0, 9, 0, 0)], "B": [(0, 6, 0, 0)]}, {"A": 1, "N": 2})["clinic"].places
    assert set(found[:, :, :4].sum(axis=1).ravel()) == {3} and found[:, 0, :4].min() == 1
    assert found[:, 1, 0].mean() == pytest.approx(2 * 6 / 14, abs=0.1)  # of those who want the shared ones, 6 of 14


def test_who_comes_back_is_on_the_list_from_that_week_on():
    """Nobody today, 1 place a week; 4 are back in week 3: 0, 0, 0, 4, 3, 2, 1, 0. Of 8 who may be back half are."""
    back = pl.DataFrame([("clinic", "A", 0, 3, 4, 1.0)], schema=whatif.Queues(*[pl.DataFrame()] * 3).returning.schema,
                        orient="row")  # fmt: skip
    lengths = _lengths(_shared({"A": [(0, 0, 0, 0)]}, {"A": 1}, returning=back))
    assert [round(each) for each in lengths[:9]] == [0, 0, 0, 4, 3, 2, 1, 0, 0]
    half = back.with_columns(people_count=pl.lit(8, pl.Int64), chance=pl.lit(0.5))
    lengths = _lengths(_shared({"A": [(0, 0, 0, 0)]}, {"A": 0}, returning=half))
    assert lengths[2] == 0 and lengths[3] == pytest.approx(4, abs=0.3)


def test_the_first_weeks_places_are_of_those_who_are_known_to_have_them():
    """2 in each lane and 2 places: one of each lane is known to have one (somebody has a place elsewhere already)."""
    first = pl.DataFrame({"clinic_id": "clinic", "practice_code": "A", "lane": [0, 1], "people_count": [1, 1]})
    forecast = _shared({"A": [(0, 2, 0, 0), (1, 2, 0, 0)]}, {"A": 2}, first=first)
    reached = forecast["clinic"].reached.sort("lane")["reached"].to_list()
    assert [round(lane[0]) for lane in reached] == [1, 1] and _lengths(forecast)[:3] == pytest.approx(
        [4, 2, 0], abs=0.1
    )


def test_a_clinic_whose_figures_are_the_same_is_not_worked_out_again():
    before = _shared({"A": [(0, 9, 4, 0)]}, {"A": 1})
    queues = before["clinic"].queues
    again = whatif.simulate(queues, whatif.Rules(), before)
    other = whatif.simulate(whatif.Queues(queues.cells, queues.moves, queues.places.head(3)), whatif.Rules(), before)
    assert again["clinic"] is before["clinic"] and other["clinic"] is not before["clinic"]


def test_a_booking_holds_a_place_of_the_practice_before_one_that_it_shares():
    """Three bookings at A on day 8, week 1: its one place there and then two of the network's three."""
    places = pl.DataFrame([("c", "A", 1, 1), ("c", "N", 1, 3), ("c", "N", 2, 3)], schema=PLACE, orient="row")
    booked = pl.DataFrame({"clinic_id": "c", "practice_code": "A", "until": [date(2026, 6, 23)] * 3})
    left = whatif_places.without_booked(places, booked, BOTH, date(2026, 6, 15))
    assert left["places"].to_list() == [0, 1, 3]


def _bounded(cells, places, bound, *, turns=()):
    """Forecast clinics whose places take 20 minutes each of a nurse who has so many a week at each audience."""
    rows = [(clinic, practice, lane, present, 0, 0) for clinic, practice, lane, present in cells]
    weekly = [(clinic, audience, week, count) for clinic, audience, count in places for week in range(26)]
    clinics = sorted({clinic for clinic, *_ in cells})
    stay = [(clinic, lane, lane, 10_000_000) for clinic in clinics for lane in (0, 1)]
    most = [(audience, "nurse", week, count) for audience, count in bound.items() for week in range(26)]
    queues = whatif.Queues(
        pl.DataFrame(rows, schema=CELL, orient="row"), pl.DataFrame(stay, schema=MOVE, orient="row"),
        pl.DataFrame(weekly, schema=PLACE, orient="row"), network_of=BOTH,
        minutes=pl.DataFrame([(clinic, audience, "nurse", 20) for clinic, audience, _ in places],
                             schema=whatif.MINUTES, orient="row"),
        bound=pl.DataFrame(most, schema=whatif.BOUND, orient="row"),
        turns=pl.DataFrame(turns, schema=whatif.TURNS, orient="row"),
    )  # fmt: skip
    return {name: each.places.sum(axis=1) for name, each in whatif.simulate(queues, whatif.Rules()).items()}


def test_minutes_that_clinics_share_go_lane_by_lane_in_the_order_of_need_over_all_of_them():
    """100 minutes are 5 places: the first lane of hearts, 2 people, before the lungs, 4, before hearts' second lane."""
    turns = [("hearts", 0, 1.0), ("lungs", 0, 2.0), ("hearts", 1, 3.0)]
    cells = [("hearts", "A", 0, 2), ("hearts", "A", 1, 9), ("lungs", "A", 0, 4)]
    found = _bounded(cells, [("hearts", "A", 6), ("lungs", "A", 6)], {"A": 100}, turns=turns)
    # Week 0: 2 and 3 of the lungs; week 1: the last of the lungs, and 4 of the second lane; week 2: the last 5.
    assert [found["hearts"][:, week].tolist() for week in range(3)] == [[2] * 400, [4] * 400, [5] * 400]
    assert [found["lungs"][:, week].tolist() for week in range(3)] == [[3] * 400, [1] * 400, [0] * 400]


def test_minutes_of_a_network_end_over_its_practices_and_those_of_a_practice_are_its_own():
    """The network's nurse has 60 minutes, 3 shared places of both clinics; A's own has 20, 1 place."""
    cells = [("hearts", "A", 0, 50), ("hearts", "B", 0, 50), ("lungs", "B", 0, 50)]
    places = [("hearts", "A", 5), ("hearts", "N", 2), ("lungs", "N", 5)]
    found = _bounded(cells, places, {"A": 20, "N": 60}, turns=[("hearts", 0, 1.0), ("lungs", 0, 2.0)])
    assert set(found["hearts"][:, :9].ravel()) == {3} and set(found["lungs"][:, :9].ravel()) == {1}
