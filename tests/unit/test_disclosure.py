"""Disclosure control: what is hidden, what is rounded, and that no sum gives a hidden count away."""

from __future__ import annotations

import itertools
import random

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stratify import disclosure
from stratify.disclosure import Sum, protect
from stratify.errors import PrivacyError

SUMS = (
    Sum("rows", pl.col("row") != "all", {"row": pl.lit("all")}),
    Sum("columns", pl.col("column") != "all", {"column": pl.lit("all")}),
)


def cube(table: list[list[int]]) -> pl.DataFrame:
    """Give a table with its margins and grand total, one row a cell."""
    cells = {(str(r), str(c)): number for r, row in enumerate(table) for c, number in enumerate(row)}
    cells |= {(str(r), "all"): sum(row) for r, row in enumerate(table)}
    cells |= {("all", str(c)): sum(column) for c, column in enumerate(zip(*table, strict=True))}
    cells["all", "all"] = sum(map(sum, table))
    rows = [{"row": row, "column": column, "people": number} for (row, column), number in cells.items()]
    return pl.DataFrame(rows, schema={"row": pl.String, "column": pl.String, "people": pl.Int64})


def published(table: list[list[int]]) -> dict[tuple[str, str], int | None]:
    """Give what is published of each cell; None is hidden."""
    safe = protect(cube(table), count="people", key=["row", "column"], sums=SUMS)
    return {(row, column): number for row, column, number, _ in safe.iter_rows()}


@pytest.mark.parametrize(
    ("exact", "shown"),
    [(0, 0), (1, None), (7, None), (8, 10), (12, 10), (13, 15), (17, 15), (18, 20), (1002, 1000)],
)
def test_a_count_is_hidden_from_1_to_7_and_rounded_to_5_above(exact, shown):
    frame = pl.DataFrame({"place": ["a"], "people": [exact]})
    (row,) = protect(frame, count="people", key=["place"], sums=()).iter_rows()
    assert row == ("a", shown, shown is None)


def test_one_small_part_takes_the_next_smallest_with_it():
    # 40 - 20 - 15 would leave 5: so 15, the smaller of the other two, is hidden as well.
    assert published([[5, 15, 20]]) == {
        ("0", "0"): None,
        ("0", "1"): None,
        ("0", "2"): 20,
        ("all", "0"): None,
        ("all", "1"): None,
        ("all", "2"): 20,
        ("0", "all"): 40,
        ("all", "all"): 40,
    }


def test_ties_go_to_the_first_key():
    shown = published([[5, 20, 20]])
    assert shown["0", "1"] is None
    assert shown["0", "2"] == 20


def test_noughts_are_never_hidden():
    assert published([[0, 3, 30, 40]])["0", "0"] == 0


def test_a_total_with_a_single_part_is_hidden_with_it():
    # The only practice of a network is hidden: its network would be the same number, and the board less the other
    # network would be it too.
    frame = pl.DataFrame(
        {
            "kind": ["practice", "practice", "practice", "network", "network", "board"],
            "code": ["p1", "p2", "p3", "n1", "n2", "b"],
            "above": ["n1", "n2", "n2", "b", "b", None],
            "people": [50, 60, 70, 50, 130, 180],
        }
    )
    sums = [
        Sum(low, pl.col("kind") == low, {"kind": pl.lit(high), "code": pl.col("above")})
        for low, high in (("practice", "network"), ("network", "board"))
    ]
    safe = protect(frame, count="people", key=["kind", "code"], sums=sums, hide=pl.col("code") == "p1")
    # p1, so n1; then n2 beside it; then p2, the smaller of the parts of n2, or n2 could be had by adding.
    assert safe["people"].to_list() == [None, None, 70, None, None, 180]


def test_rounding_gives_four_ones_away_unless_more_is_hidden():
    # 12 is published as 10 (8 to 12), 8 as 10 (8 to 12): at most 4 are left for four hidden parts of at least 1 each.
    shown = published([[1, 1, 1, 1, 8]])
    assert shown["0", "4"] is None
    assert shown["0", "all"] == 10


def test_parts_of_a_small_place_can_be_hidden_whatever_they_are():
    frame = pl.DataFrame({"place": ["a", "b", "c"], "people": [50, 60, 0]})
    safe = protect(frame, count="people", key=["place"], sums=(), hide=pl.col("place").is_in(["a", "c"]))
    assert safe["people"].to_list() == [None, 60, 0]


def test_places_add_up_along_their_own_columns():
    frame = pl.DataFrame(
        {
            "kind": ["practice", "practice", "practice", "network", "network"],
            "code": ["p1", "p2", "p3", "n1", "n2"],
            "network": ["n1", "n1", "n2", None, None],
            "people": [6, 90, 70, 96, 70],
        }
    )
    to_network = Sum("practices", pl.col("kind") == "practice", {"kind": pl.lit("network"), "code": pl.col("network")})
    safe = protect(frame, count="people", key=["kind", "code"], sums=[to_network])
    assert safe["people"].to_list() == [None, None, 70, 95, 70]
    assert safe["is_suppressed"].to_list() == [True, True, False, False, False]


def test_two_breakdowns_of_one_total_each_add_up_on_their_own():
    frame = pl.DataFrame(
        {
            "by": ["all", "sex", "sex", "age", "age", "age"],
            "value": ["all", "F", "M", "old", "older", "oldest"],
            "people": [60, 30, 30, 4, 26, 30],
        }
    )
    each = Sum("values", pl.col("by") != "all", {"by": pl.lit("all"), "value": pl.lit("all")}, within=("by",))
    safe = protect(frame, count="people", key=["by", "value"], sums=[each])
    assert safe["people"].to_list() == [60, 30, 30, None, None, 30]


def test_parts_that_do_not_add_up_are_refused():
    frame = pl.DataFrame({"row": ["a", "b", "all"], "people": [10, 20, 31]})
    with pytest.raises(PrivacyError, match="add up"):
        protect(frame, count="people", key=["row"], sums=SUMS[:1])


@pytest.mark.parametrize("people", [[10, 10, None], [10, 10, -1]])
def test_counts_that_are_none_are_refused(people):
    frame = pl.DataFrame({"row": ["a", "b", "c"], "people": people}, schema_overrides={"people": pl.Int64})
    with pytest.raises(PrivacyError, match="1 without a fit count"):
        protect(frame, count="people", key=["row"], sums=())


def test_a_cell_given_twice_is_refused():
    with pytest.raises(PrivacyError, match="1 rows too many"):
        protect(pl.DataFrame({"row": ["a", "a"], "people": [10, 20]}), count="people", key=["row"], sums=())


def test_an_empty_table_stays_empty():
    frame = pl.DataFrame(schema={"row": pl.String, "column": pl.String, "people": pl.Int64})
    assert protect(frame, count="people", key=["row", "column"], sums=SUMS).columns[-1] == "is_suppressed"


def test_small_numbers_in_sentences_are_fewer_than_8():
    told = [disclosure.in_words(number) for number in (0, 1, 7, 8, 1234)]
    assert told == ["0", "fewer than 8", "fewer than 8", "8", "1,234"]


counts = st.one_of(st.integers(0, 12), st.sampled_from([0, 1, 1, 2, 7, 8, 8, 12, 13, 30]))
tables = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
    lambda size: st.lists(st.lists(counts, min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0])
)
quick = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@quick
@given(tables)
def test_no_published_count_is_small_and_no_nought_is_hidden(table):
    exact = {(row, column): number for row, column, number in cube(table).iter_rows()}
    for cell, shown in published(table).items():
        if exact[cell] == 0:
            assert shown == 0
        elif shown is not None:
            assert exact[cell] >= 8
            assert abs(shown - exact[cell]) <= 2
            assert shown % 5 == 0


@quick
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_rows_makes_no_difference(table, random):
    frame = cube(table)
    places = list(range(frame.height))
    random.shuffle(places)
    turned = protect(frame[places], count="people", key=["row", "column"], sums=SUMS)
    straight = protect(frame, count="people", key=["row", "column"], sums=SUMS)
    assert turned.sort("row", "column").equals(straight.sort("row", "column"))


def possible(number: int | None, most: int) -> range:
    """Give what a published count can have been: 10 is 8 to 12; a hidden one is anything from 1."""
    if number is None:
        return range(1, most + 1)
    return range(1) if number == 0 else range(max(number - 2, 8), number + 3)


@quick
@given(st.lists(counts, min_size=1, max_size=6))
@example([1, 1, 1, 1, 8])
@example([7, 8])
@example([2])
def test_subtracting_parts_from_their_total_leaves_more_than_one_value(parts):
    """Interval reasoning, as somebody would do it with the published file alone."""
    shown = published([parts])
    numbers = [shown["0", str(c)] for c in range(len(parts))]
    total = possible(shown["0", "all"], 200)
    for hidden, number in enumerate(numbers):
        if number is not None:
            continue
        others = [possible(each, 200) for place, each in enumerate(numbers) if place != hidden]
        low = max(1, total[0] - sum(each[-1] for each in others))
        high = total[-1] - sum(each[0] for each in others)
        assert high > low


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(st.lists(st.sampled_from([0, 1, 2, 3, 7, 8, 9, 11]), min_size=2, max_size=2), min_size=2, max_size=2))
@example([[1, 8], [8, 1]])
@example([[1, 11], [0, 8]])
@example([[7, 8], [8, 0]])
def test_no_table_that_fits_everything_published_is_the_only_one(table):
    """Brute force: every table of two by two that would be published alike, with all its margins at once."""
    shown = published(table)
    most = max(12, *map(max, table)) + 1
    inner = [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
    allowed = {cell: set(possible(shown[cell], 60)) for cell in shown}
    seen: dict[tuple[str, str], set[int]] = {cell: set() for cell in shown if shown[cell] is None}
    for a, b, c, d in itertools.product(*(sorted(n for n in allowed[cell] if n <= most) for cell in inner)):
        whole = dict(zip(inner, (a, b, c, d), strict=True)) | {("0", "all"): a + b, ("1", "all"): c + d}
        whole |= {("all", "0"): a + c, ("all", "1"): b + d, ("all", "all"): a + b + c + d}
        if all(number in allowed[cell] for cell, number in whole.items()):
            for cell in seen:
                seen[cell].add(whole[cell])
    assert all(len(values) > 1 for values in seen.values())


def test_of_the_other_parts_the_one_goes_that_asks_for_no_more_elsewhere():
    # 40 and 45 are smaller than 60, but each would leave a column with a single hidden number.
    shown = published([[3, 60, 40, 50], [60, 4, 45, 55], [70, 80, 90, 100]])
    assert {cell for cell, number in shown.items() if number is None} == {
        ("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")
    }  # fmt: skip


def test_what_was_hidden_for_another_and_is_not_needed_any_more_is_shown_again(monkeypatch):
    chance = random.Random(1)
    tables = [[[chance.choice([2, 5, 20, 30, 60, 90]) for _ in range(6)] for _ in range(6)] for _ in range(40)]
    fewer = [sum(number is None for number in published(table).values()) for table in tables]
    monkeypatch.setattr(disclosure._Table, "_show_needless", lambda self, asked: False)
    hidden = [sum(number is None for number in published(table).values()) for table in tables]
    assert all(few <= many for few, many in zip(fewer, hidden, strict=True)) and sum(fewer) < sum(hidden)
