"""Places alike: by published numbers alone, what changed beside them, and nothing where nothing can be said."""

from __future__ import annotations

from datetime import date

import duckdb
import polars as pl
import pytest
from publish_example import INDEX_DATE, context

from stratify.publish.similar_places import PLACES_ALIKE, place_changes, similar_places
from stratify.rollout import Switch

CODES = ("P1", "P2", "P3", "P4", "P5", "P6")
PLACES = pl.DataFrame(
    [(code, code, "N1" if code < "P4" else "N2", None, "B", None, 1000) for code in CODES],
    schema=["practice_code", "practice_name", "pcn_code", "pcn_name", "icb_code", "icb_name", "list_size"],
    schema_overrides={"pcn_name": pl.String, "icb_name": pl.String},
    orient="row",
)


def population(women: dict[str, int | None], whole: int = 1000) -> pl.DataFrame:
    """Give the published population of practices: all, and women; None is hidden."""
    rows = [("practice", code, code, "all", "all", whole) for code in women]
    rows += [("practice", code, code, "sex", "F", count) for code, count in women.items() if count != 0]
    # Neither men nor those of whom it is not known may weigh.
    rows += [
        ("practice", code, code, "sex", value, 5 * n) for n, code in enumerate(women) for value in ("M", "not known")
    ]
    schema = ["geography_type", "geography_code", "geography_name", "breakdown", "breakdown_value", "people_count"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def on_copd(people: dict[str, int | None], held: str = "no") -> pl.DataFrame:
    rows = [
        ("copd", "all", "all", "practice", code, "all", count, held) for code, count in people.items() if count != 0
    ]
    schema = ["pathway", "decision", "tier", "geography_type", "geography_code", "breakdown", "people_count", "held"]
    return pl.DataFrame(
        rows, schema={name: pl.Int64 if name == "people_count" else pl.String for name in schema}, orient="row"
    )


NOBODY = on_copd({})
WOMEN = {"P1": 400, "P2": 410, "P3": 450, "P4": 500, "P5": 600, "P6": 610}


def found(*tables: pl.DataFrame, **changes: object) -> dict[str, list[tuple[str, float, float]]]:
    given = similar_places(*tables, context(**changes), PLACES)
    alike: dict[str, list[tuple[str, float, float]]] = {}
    for code, other, distance, compared in given.select(
        "geography_code", "other_code", "distance", "compared"
    ).iter_rows():
        alike.setdefault(code, []).append((other, distance, compared))
    return alike


def test_the_three_nearest_stand_in_order_with_how_far_they_are():
    """Shares .40 .41 .45 .50 .60 .61: mean .495, variance .04015 / 6, standard deviation .0818.

    The squares are .009025, .007225, .002025, .000025, .011025, .013225: .04255 / 6 = .0070917, root .0842.
    .01 apart is .01 / .0842 = 0.12; .05 is 0.59; .04 is 0.48; .10 is 1.19; .11 is 1.31.
    """
    alike = found(population(WOMEN), NOBODY)
    assert alike["P1"] == [("P2", 0.12, 1.0), ("P3", 0.59, 1.0), ("P4", 1.19, 1.0)]
    assert alike["P6"] == [("P5", 0.12, 1.0), ("P4", 1.31, 1.0), ("P3", 1.9, 1.0)]
    assert all(len(each) == 3 for each in alike.values()) and set(alike) == set(CODES)


def test_a_second_feature_counts_as_much_as_the_first():
    """On a pathway are 100 of P1 and 0 of the others: mean 1/60, standard deviation .1 x root(5) / 6 = .03727.

    So P1 is .1 / .03727 = 2.683 from all others there, and 0.119 from P2 by sex: root((2.683² + 0.119²) / 2) = 1.90.
    """
    alike = found(population(WOMEN), on_copd({"P1": 100, "P2": 0}))
    assert alike["P1"][0] == ("P2", 1.9, 1.0)
    assert alike["P2"][0] == ("P3", 0.34, 1.0)  # 0.475 / root 2: nobody of either is on it


def test_what_is_hidden_is_not_nought_and_with_less_than_half_shown_of_both_nothing_is_said():
    hidden = {**WOMEN, "P1": None}
    assert "P1" not in found(population(hidden), NOBODY)  # the one feature there is
    alike = found(population(hidden), on_copd(dict.fromkeys(CODES, 50) | {"P2": 60}))
    assert [each[0] for each in alike["P1"]] == ["P3", "P4", "P5"]  # half: by the pathway alone
    assert {each[2] for each in alike["P1"]} == {0.5}


OTHERS = on_copd(dict.fromkeys(CODES[1:], 50) | {"P2": 60})


@pytest.mark.parametrize(
    ("people", "changes"),
    [
        pytest.param(OTHERS, {"off": frozenset({("copd", "P1")})}, id="not switched on"),
        pytest.param(pl.concat([OTHERS, on_copd({"P1": 5}, held="part")]), {}, id="held"),
    ],
)
def test_where_a_pathway_is_not_counted_it_is_not_compared(people, changes):
    assert found(population(WOMEN), people, **changes)["P1"][0] == ("P2", 0.12, 0.5)


def test_with_few_places_none_is_named():
    assert found(population({code: WOMEN[code] for code in CODES[:4]}), NOBODY) == {}


POINTS = pl.DataFrame(
    [("emergency_admissions", "pcn", "N1", date(2026, 5, 1), "A virtual ward opened (Ward lead, 1 May 2026)"),
     ("emergency_admissions", "pcn", "N2", date(2026, 5, 1), None)],
    schema=["metric", "geography_type", "geography_code", "month", "starts_again_because"], orient="row",
)  # fmt: skip


def changes(*switches: dict) -> list[tuple]:
    rollout = tuple(Switch.model_validate(each) for each in switches)
    given = place_changes(POINTS, {"emergency_admissions": "Admissions"}, context(rollout=rollout), PLACES)
    return given.select("geography_code", "changed_date", "kind", "what").sort("geography_code", "changed_date").rows()


CHART = ("N1", date(2026, 5, 1), "chart", "Admissions: A virtual ward opened (Ward lead, 1 May 2026)")
JUNE = date(2026, 6, 1)


def test_written_causes_and_switches_stand_with_their_day_at_each_place_they_name():
    label = context().pathways["copd"].label
    wave = {"pathway": "copd", "practices": ["P5"], "networks": ["N1"], "from": JUNE}
    on = [(code, JUNE, "roll-out", f"{label} is on") for code in ("N1", "P1", "P2", "P3", "P5")]
    assert changes(wave) == sorted([CHART, *on])


def test_a_wave_that_ended_says_both_days_and_one_to_come_says_nothing():
    copd, frailty = (context().pathways[name].label for name in ("copd", "frailty"))
    over = {"pathway": "copd", "instead_of": "frailty", "practices": ["P4"], "from": JUNE, "until": INDEX_DATE}
    later = {"pathway": "copd", "practices": ["P6"], "from": date(2027, 1, 1)}
    draft = {"pathway": "not_published", "practices": ["P6"], "from": JUNE}
    assert changes(over, later, draft) == [
        CHART,
        ("P4", JUNE, "roll-out", f"{copd} is on, in place of {frailty}"),
        ("P4", INDEX_DATE, "roll-out", f"{copd} is off again, and {frailty} on"),
    ]


def test_the_question_puts_value_and_changes_of_the_others_beside_ones_own():
    value = (
        "geography_type",
        "geography_code",
        "metric",
        "pathway",
        "status",
        "breakdown",
        "value",
        "lower_95",
        "upper_95",
    )
    values = [
        ("practice", code, "m", "all", "final", "all", n, n - 1.0, n + 1.0) for n, code in enumerate(("P1", "P2"))
    ]
    values += [("practice", "P2", "m", "all", "final", "sex", 9.0, 9.0, 9.0)]
    with duckdb.connect() as connection:
        for name, columns, rows in (
            ("similar_place", {"geography_type": "TEXT", "geography_code": "TEXT", "geography_name": "TEXT",
                               "nearness": "DOUBLE", "distance": "DOUBLE", "other_code": "TEXT", "other_name": "TEXT"},
             [("practice", "P1", "One", 1.0, 0.1, "P2", "Two"), ("practice", "P1", "One", 2.0, 0.2, "P3", "Three")]),
            ("metric_value", dict.fromkeys(value[:6], "TEXT") | dict.fromkeys(value[6:], "DOUBLE"), values),
            ("place_change", {"geography_type": "TEXT", "geography_code": "TEXT", "changed_date": "DATE",
                              "what": "TEXT"},
             [("practice", "P2", JUNE, "copd is on"), ("practice", "P2", date(2026, 1, 5), "frailty is on")]),
        ):  # fmt: skip
            connection.execute(f"CREATE TABLE {name} ({', '.join(f'{k} {v}' for k, v in columns.items())})")
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)
        connection.execute(f"CREATE MACRO places_alike(wanted, place) AS TABLE {PLACES_ALIKE.query}")
        asked = (
            "SELECT other_name, value, other_value, other_upper_95, other_changed FROM places_alike('m', 'practice')"
        )
        assert connection.execute(asked).fetchall() == [
            ("Two", 0.0, 1.0, 2.0, "05/01/2026 frailty is on; 01/06/2026 copd is on"),
            ("Three", 0.0, None, None, "nothing written down"),
        ]
