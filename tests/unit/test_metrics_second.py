"""Every metric once more, by code that shares nothing with it: exact numbers, and every one that is published."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from datetime import date

import metrics_county
import metrics_example
import polars as pl
import pytest
from publish_example import context, frame

from second.metrics import BREAKDOWNS, Second
from stratify.controls import keep_promise
from stratify.cost_book import Costs
from stratify.errors import RunError
from stratify.metric_book import load_metrics
from stratify.metric_run import counted
from stratify.payers import PROMISE, unreconciled
from stratify.publish import build_counts
from stratify.rulebook import load_rule_book
from stratify.rules.cost import ActivityCost, OfferCost, Price
from stratify.store import open_store

INDEX_DATE = date(2026, 11, 23)
CUTOFFS = metrics_example.CUTOFFS
TABLES = (
    "core.person", "core.registration", "core.apc_spell", "core.death", "core.ed_attendance", "core.op_attendance",
    "core.gp_appointment", "core.community_contact", "core.referral", "core.home_visit_request", "core.care_home_bed",
    "core.survey_result", "core.social_care_event", "core.place_preference", "derived.pathway_decision",
    "derived.placement", "derived.patient_score", "derived.variable_value", "audit.transition",
)  # fmt: skip
PEOPLE = 1500
NOBODY = {"owner": "Nobody", "price_year": 2026, "source": "Invented for this test"}
COSTS = Costs(
    (OfferCost(
        id="lungs", version="1.0.0", name="An invented course", pathway="copd", outcome="offers_taken_up",
        for_each_offered=Price(pounds=10, lowest=8, highest=15), for_each_begun=Price(pounds=40, lowest=40, highest=50),
        **NOBODY,
    ),),
    {"emergency_admissions": ActivityCost(
        metric="emergency_admissions", each=Price(pounds=2000, lowest=1500, highest=3000), **NOBODY)},
)  # fmt: skip


def worked_out(store):
    """Give what the run counts, and the second reckoning of the same tables."""
    run = context(data_cutoffs=CUTOFFS, pathways=load_rule_book().published)
    found = counted(store, load_metrics(), run, load_rule_book())
    practices = {row[0]: row[1] for row in store.rows("SELECT practice_code, pcn_code FROM core.practice")}
    tables = {name: store.frame(f"FROM {name}").to_dicts() for name in TABLES}
    mine = Second(tables, index_date=INDEX_DATE, until=CUTOFFS["apc_episode"], practices=set(practices))
    return run, found, mine, practices


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    folder = tmp_path_factory.mktemp("second")
    with open_store(folder / "run.duckdb", temp_directory=folder / "tmp", threads=1) as store:
        metrics_example.fill(store)
        yield store, *worked_out(store)


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    folder = tmp_path_factory.mktemp("county")
    with open_store(folder / "run.duckdb", temp_directory=folder / "tmp", threads=1) as store:
        metrics_county.fill(store, PEOPLE)
        run, found, mine, practices = worked_out(store)
        build_counts(store, run, found, signature="Not signed", costs=COSTS)
        yield store, run, found, mine, practices


def summed(items):
    """Give numbers and people by practice and group."""
    counts, people = defaultdict(int), defaultdict(set)
    for each in items:
        counts[each.practice, each.groups] += each.n
        people[each.practice, each.groups].add(each.patient)
    return {where: (n, len(people[where]) if where[1] else None) for where, n in counts.items() if n}


def exact(found, subject, part):
    """Give the same of what the run counted; of beds and answers, who they are of is not compared."""
    rows = found.counts.filter((pl.col("subject") == subject) & (pl.col("part") == part) & (pl.col("people_count") > 0))
    given = {}
    for row in rows.to_dicts():
        groups = None if row["age_band"] is None else tuple(row[name] for name in BREAKDOWNS)
        given[row["practice_code"], groups] = (row["people_count"], row["person_count"] if groups else None)
    return given


@pytest.mark.parametrize("which", ["example", "county"])
def test_every_metric_is_what_the_second_reckoning_gives(which, request):
    _, _, found, mine, _ = request.getfixturevalue(which)
    assert {each.metric for each in found.rows} == {each.id for each in load_metrics()}
    for row in found.rows:
        answer = mine.answer(row.metric, row.pathway, row.status)
        where = (row.metric, row.pathway, row.status)
        assert exact(found, row.subject, "numerator") == summed(answer.part), where
        if row.total[0] not in ("copd", "frailty") and row.total[1] == "all":  # pathways are counted with the pathways
            assert exact(found, *row.total) == summed(answer.whole), where
        if which == "county" and row.pathway in ("all", "copd", "frailty"):
            assert answer.part and answer.whole, where


def places(items, networks):
    """Add up by place and group: a place is a practice, its network and the board."""
    found = defaultdict(int)
    for each in items:
        for place in (("practice", each.practice), ("pcn", networks[each.practice]), ("icb", "QXX")):
            found[*place, "all", "all"] += each.n
            for name, value in zip(BREAKDOWNS, each.groups or (), strict=bool(each.groups)):
                found[*place, name, value] += each.n
    return found


def test_every_published_number_is_the_second_reckonings_and_networks_add_up_to_their_board(county):
    store, _, _, mine, networks = county
    rows = store.frame("FROM out.metric_value").to_dicts()
    kinds = {row[0]: row[1:] for row in store.rows("SELECT metric, kind, unit FROM out.metric")}
    seen, shown = {}, 0
    for row in rows:
        which = (row["metric"], row["pathway"], row["status"])
        if which not in seen:
            answer = mine.answer(*which)
            seen[which] = places(answer.part, networks), places(answer.whole, networks)
            for numbers in seen[which]:
                for kind in ("practice", "pcn"):
                    parts = sum(n for where, n in numbers.items() if where[0] == kind and where[2] == "all")
                    assert parts == numbers["icb", "QXX", "all", "all"], which
        place = (row["geography_type"], row["geography_code"], row["breakdown"], row["breakdown_value"])
        for name, numbers in zip(("numerator", "denominator"), seen[which], strict=True):
            if row[name] is not None:
                assert row[name] == (numbers[place] + 2) // 5 * 5, (which, place, name)
        if row["value"] is not None:
            shown += 1
            kind, unit = kinds[row["metric"]]
            per = 100 if kind == "share" else int("".join(filter(str.isdigit, unit)))
            low, high = interval(kind, row["numerator"], row["denominator"])
            worked = (per * row["numerator"] / row["denominator"], per * low, per * high)
            given = (row["value"], row["lower_95"], row["upper_95"])
            assert given == pytest.approx(worked, abs=0.0501), (which, place)
    assert shown > 1000


def interval(kind, part, whole):
    """Give Wilson's interval of a share, and Byar's of a count for so many people."""
    z = 1.959963984540054
    if kind == "share":
        middle, half = (part + z * z / 2) / (whole + z * z), z * math.sqrt(part * (whole - part) / whole + z * z / 4)
        return middle - half / (whole + z * z), middle + half / (whole + z * z)
    low = part * (1 - 1 / (9 * part) - z / (3 * math.sqrt(part))) ** 3 if part else 0.0
    more = part + 1
    return low / whole, more * (1 - 1 / (9 * more) + z / (3 * math.sqrt(more))) ** 3 / whole


def received(store):
    """Give the store episodes, one for each spell, as a run has them."""
    spells = store.rows("SELECT provider_code, spell_id FROM core.apc_spell")
    episodes = [{"provider_code": provider, "spell_id": spell} for provider, spell in spells]
    store.create("core.apc_episode", frame("core.apc_episode", episodes))


@pytest.mark.parametrize("which", ["example", "county"])
def test_activity_by_payer_is_every_spell_and_attendance_received(which, request):
    store, run, found, *_ = request.getfixturevalue(which)
    received(store)
    assert unreconciled(store, found, run) == 0


@pytest.mark.parametrize("change", [1, -1], ids=["one_too_many", "one_too_few"])
def test_a_spell_that_is_counted_twice_or_not_at_all_breaks_the_promise(example, change):
    store, run, found, *_ = example
    received(store)
    subject = next(row.subject for row in found.rows if row.metric == "other_admissions" and row.status == "final")
    is_one = (pl.col("subject") == subject) & (pl.col("part") == "numerator")
    counts = found.counts.with_columns(
        pl.when(is_one & (pl.int_range(pl.len()).over(is_one) == 0))
        .then(pl.col("people_count") + change)
        .otherwise("people_count")
        .alias("people_count")
    )
    assert unreconciled(store, replace(found, counts=counts), run) == 1


def test_a_source_spell_that_is_lost_before_it_is_counted_stops_the_run(example):
    store, run, found, *_ = example
    received(store)
    store.execute("DELETE FROM core.apc_episode WHERE spell_id = (SELECT min(spell_id) FROM core.apc_episode)")
    with pytest.raises(RunError, match=r"reconciliation: expected spells and attendances .*; found 1 that do not"):
        keep_promise(PROMISE, unreconciled(store, found, run))


def test_activity_cost_and_outcome_of_each_payer_are_those_of_the_second_reckoning(county):
    store, _, _, mine, networks = county
    rows = store.frame("FROM out.payer_activity").to_dicts()
    assert {(row["metric"], row["status"]) for row in rows} == {
        *((name, status) for name in ("emergency_admissions", "other_admissions", "ed_attendances")
          for status in ("provisional", "final")),
        ("readmitted_within_30_days", "provisional"), ("three_admissions_before_death", "provisional"),
    }  # fmt: skip
    for row in rows:
        exactly = places(mine.answer(row["metric"], "all", row["status"]).part, networks)["icb", "QXX", "all", "all"]
        assert row["payer_code"] == "QXX" and row["event_count"] == (exactly + 2) // 5 * 5 > 0
        if row["metric"] == "emergency_admissions":
            pounds = (row["cost_pounds"], row["cost_lowest_pounds"], row["cost_highest_pounds"])
            assert pounds == tuple(price * row["event_count"] for price in (2000, 1500, 3000))
            assert (row["cost_reason"], row["price_source"]) == (None, "Invented for this test")
        else:
            assert row["cost_pounds"] is None and (row["kind"] == "outcome") == (row["cost_reason"] is None)


def test_the_cost_of_an_outcome_is_worked_out_again_from_what_is_published_beside_it(county):
    store, *_, mine, networks = county
    rows = {row["geography_code"]: row for row in store.frame("FROM out.offer_cost").to_dicts()}
    answer = mine.answer("offers_taken_up", "copd", "provisional")
    exactly = [places(items, networks) for items in (answer.whole, answer.part)]
    assert set(rows) == {"QXX", "U10000", "U10001"}
    told = 0
    for code, row in rows.items():
        kind = "icb" if code == "QXX" else "pcn"
        offered, begun = ((each[kind, code, "all", "all"] + 2) // 5 * 5 for each in exactly)
        assert row["offered_count"] == offered and row["begun_count"] == row["outcome_count"]
        pounds = [row[f"cost_per_outcome{end}_pounds"] for end in ("", "_lower", "_upper")]
        if row["begun_count"] is None:
            assert (row["status"], pounds) == ("cannot be told yet", [None] * 3) and "hidden" in row["reason"]
            continue
        told += 1
        assert row["begun_count"] == begun and row["status"] == "told"
        fewest, most = (offered * each for each in interval("share", begun, offered))
        worked = [(10 * offered + 40 * begun) / begun, (8 * offered + 40 * begun) / most]
        assert pounds == pytest.approx([*worked, (15 * offered + 50 * begun) / fewest], abs=0.01)
        assert "only a comparison tells" in row["in_words"]
    assert told


def told(rows, places_of_kind):
    """Give what is shown of each feature at each place: None where it is hidden, 0 where there is no row."""
    features = {name for found in rows.values() for name in found}
    return {code: {name: rows.get(code, {}).get(name, 0) for name in features} for code in places_of_kind}


def test_the_places_alike_are_those_of_a_second_reckoning_of_the_published_numbers(county):
    store, *_ = county
    sizes, rows = {}, defaultdict(dict)
    for row in store.frame("FROM out.population WHERE geography_type = 'practice'").to_dicts():
        if row["breakdown"] == "all":
            sizes[row["geography_code"]] = row["people_count"]
        elif row["breakdown"] != "care_home" and row["breakdown_value"] not in ("M", "not known"):
            rows[row["geography_code"]][row["breakdown"], row["breakdown_value"]] = row["people_count"]
    for row in store.frame("FROM out.pathway_count WHERE geography_type = 'practice'").to_dicts():
        if (row["decision"], row["tier"], row["breakdown"]) == ("all", "all", "all"):
            rows[row["geography_code"]]["on", row["pathway"]] = row["people_count"]
    shown = told(rows, sizes)
    shares = {code: {name: n / sizes[code] for name, n in shown[code].items() if n is not None} for code in sizes}
    spreads = {}
    for name in {each for found in shares.values() for each in found}:
        have = [found[name] for found in shares.values() if name in found]
        mean = sum(have) / len(have)
        spread = math.sqrt(sum((each - mean) ** 2 for each in have) / len(have))
        if spread > 1e-12:
            spreads[name] = spread
    mine = defaultdict(list)
    for one in sizes:
        for other in set(sizes) - {one}:
            both = [name for name in spreads if name in shares[one] and name in shares[other]]
            if 2 * len(both) >= len(spreads):
                squares = [((shares[one][name] - shares[other][name]) / spreads[name]) ** 2 for name in both]
                mine[one].append((math.sqrt(sum(squares) / len(squares)), other))
    given = store.rows("SELECT geography_code, distance, other_code FROM out.similar_place WHERE geography_type = "
                       "'practice' ORDER BY geography_code, nearness")  # fmt: skip
    assert len(given) == sum(min(3, len(each)) for each in mine.values()) >= 15
    for code in mine:
        nearest = [distance for distance, _ in sorted(mine[code])[:3]]
        assert [distance for one, distance, _ in given if one == code] == pytest.approx(nearest, abs=0.0051)
    distances = {(one, other): distance for one in mine for distance, other in mine[one]}
    assert all(distance == pytest.approx(distances[one, other], abs=0.0051) for one, distance, other in given)


def test_the_history_has_every_number_as_it_is_published_and_says_why_one_is_hidden(county):
    store, _, found, mine, networks = county
    cells = {
        tuple(row[name] for name in ("subject", "part", "geography_type", "geography_code", "breakdown",
                                     "breakdown_value")): (row["told_count"], row["hidden_because"])
        for row in store.frame("FROM audit.released_cell WHERE tier = 'all'").to_dicts()
    }  # fmt: skip
    names = {(each.metric, each.pathway, each.status): each for each in found.rows}
    why = set()
    for row in store.frame("FROM out.metric_value WHERE breakdown IN ('all', 'sex')").to_dicts():
        which = names[row["metric"], row["pathway"], row["status"]]
        place = (row["geography_type"], row["geography_code"], row["breakdown"], row["breakdown_value"])
        for subject, part, number in (
            (which.subject, "numerator", row["numerator"]), (*which.total, row["denominator"])
        ):  # fmt: skip
            count, because = cells.get((subject, part, *place), (0, None))
            assert count == number, (which, place)
            why.add(because)
        if cells.get((which.subject, "numerator", *place), (0, None))[1] == "from 1 to 7":
            assert 1 <= places(mine.answer(row["metric"], row["pathway"], row["status"]).part, networks)[place] <= 7
    assert why == {
        None, "from 1 to 7", "of fewer than 8 people", "breakdown of a small practice", "would give another away"
    }  # fmt: skip
