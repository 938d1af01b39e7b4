"""Each practice over the runs: what is counted, what is called a fall, what earlier runs are, and the page."""

import re
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from extract_set import as_csv, built, event, nhs, patient, practice, registration

from stratify import contracts, quality
from stratify.errors import RunError
from stratify.quality import practices as counting
from stratify.store import open_store

CANARY = "CANARYVALUE"
DAY = date(2026, 6, 1)
SCHEMA = {name: counting._SCHEMA[name] for name in contracts.load("audit.practice_count").column_names}


def _counts(practices):
    """Counts from {practice: (people, linked, {table: (received, rejected, lost)})}."""
    rows = []
    for code, (people, linked, tables) in practices.items():
        rows += [
            (code, table, received, received - rejected, rejected, lost, None, None)
            for table, (received, rejected, lost) in tables.items()
        ]
        rows.append((code, "person", None, None, None, None, people, linked))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _history(weeks):
    """The counts of one run a week, the last one on DAY."""
    history = quality.read_history(counting.Path("none"))
    for number, practices in enumerate(weeks):
        day = DAY - timedelta(weeks=len(weeks) - 1 - number)
        history = quality.with_run(history, _counts(practices), index_date=day, run_id=f"run{number}")
    return history


def _over_time(*weeks):
    return quality.practices_over_time(_history(weeks), {"A10001": "First <Surgery>"})


def _one(rows, people=100, linked=90, rejected=0, lost=0):
    return {"A10001": (people, linked, {"gp_event": (rows, rejected, lost)})}


# Counting


def test_rows_and_people_are_counted_for_the_practice_that_published_them(tmp_path):
    """Two practices. Of the first: an event without a usable date, an event of nobody, a good one. One event names no
    practice. Two people of the first, one without an NHS number; one of the second."""
    other = {"org_code": "A10002"}
    tables = {
        "practice": [practice(), practice(practice_code="A10002", practice_name="Other")],
        "patient": [
            patient(),
            patient("p2", nhs_number=""),
            patient("p3", nhs_number=nhs(3), **other),
        ],
        "registration": [
            registration(),
            registration("p2"),
            registration("p3", practice_code="A10002", **other),
        ],
        "gp_event": [
            event(),
            event("e2", effective_date="2031-01-01"),
            event("e3", source_patient_id="nobody"),
            event("e4", org_code=CANARY),
            event("e5", source_patient_id="p3", **other),
        ],
    }
    with built(tmp_path, **tables) as store:
        landed = [contracts.load(f"landing.{name}") for name in ("gp_event", "apc_episode", "opt_out", "patient")]
        counts = quality.practice_counts(store, landed)
        store.create("audit.practice_count", counts)  # it keeps its contract
    rows = {(row["practice_code"], row["table_name"]): tuple(row.values())[2:] for row in counts.to_dicts()}
    assert rows == {
        ("A10001", "gp_event"): (3, 2, 1, 1, None, None),
        ("A10002", "gp_event"): (1, 1, 0, 0, None, None),
        ("unknown", "gp_event"): (1, 0, 1, 0, None, None),
        ("A10001", "patient"): (2, 2, 0, 0, None, None),
        ("A10002", "patient"): (1, 1, 0, 0, None, None),
        ("A10001", "person"): (None, None, None, None, 2, 1),
        ("A10002", "person"): (None, None, None, None, 1, 1),
    }


def test_a_line_that_is_no_record_is_received_from_nobody_known(tmp_path):
    raw = {"gp_event": as_csv("gp_event", [event()]) + b"CANARYVALUE,x\n"}
    with built(tmp_path, raw=raw, gp_event=[event()]) as store:
        counts = quality.practice_counts(store, [contracts.load("landing.gp_event")])
    rows = {(row["practice_code"], row["received_count"], row["rejected_count"]) for row in counts.to_dicts()}
    assert {("A10001", 1, 0), ("unknown", 1, 1)} <= rows
    assert CANARY not in str(counts.to_dicts())


# What a fall is


@pytest.mark.parametrize(
    ("now", "grade"),
    [
        pytest.param(1_200, "steady", id="more"),
        pytest.param(801, "steady", id="just_above_four_fifths"),
        pytest.param(800, "amber", id="four_fifths"),
        pytest.param(501, "amber", id="just_above_half"),
        pytest.param(500, "red", id="half"),
        pytest.param(0, "red", id="nothing"),
    ],
)
def test_a_fall_by_a_fifth_is_amber_and_by_half_red(now, grade):
    """Usually 1,000 rows."""
    (found,) = _over_time(_one(1_000), _one(now))
    assert found.grade == grade
    assert found.received.change == pytest.approx(now / 1_000 - 1)


@pytest.mark.parametrize(
    ("changes", "grade"),
    [
        pytest.param({"rejected": 250}, "amber", id="a_quarter_set_aside"),
        pytest.param({"lost": 600}, "red", id="most_lost_a_critical_value"),
        pytest.param({"rejected": 100, "lost": 99}, "steady", id="just_below_a_fifth_together"),
        pytest.param({"people": 79, "linked": 71}, "amber", id="a_fifth_of_the_people_gone"),
        pytest.param({"linked": 45}, "red", id="half_of_the_links_gone"),
        pytest.param({"linked": 73}, "steady", id="links_just_above_four_fifths_of_the_usual"),
    ],
)
def test_rows_that_came_and_cannot_be_used_are_a_fall_and_so_are_people_and_links(changes, grade):
    """Usually 1,000 usable rows, 100 people, 90 of them linked."""
    (found,) = _over_time(_one(1_000), _one(1_000, **changes))
    assert found.grade == grade


def test_the_usual_number_is_the_median_of_the_four_runs_before():
    """1000, 1000, 100, 1000 before: one bad week is not the measure of the next. 5000 is too long ago."""
    (found,) = _over_time(*(_one(rows) for rows in (5_000, 1_000, 1_000, 100, 1_000, 900)))
    assert found.received.usual == 1_000 and found.grade == "steady"
    assert found.received.values == (5_000, 1_000, 1_000, 100, 1_000, 900)


def test_one_table_that_falls_is_seen_where_the_others_hide_it():
    def week(medicines):
        return {"A10001": (100, 90, {"gp_event": (9_000, 0, 0), "gp_medication": (medicines, 0, 0)})}

    (found,) = _over_time(week(1_000), week(700))
    assert found.grade == "amber" and found.received.grade == "steady"
    assert [(each.name, each.grade) for each in found.tables] == [("gp_event", "steady"), ("gp_medication", "amber")]


def test_a_table_with_few_rows_is_not_graded_by_itself():
    def week(visits):
        return {"A10001": (100, 90, {"gp_event": (9_000, 0, 0), "home_visit_request": (visits, 0, 0)})}

    (found,) = _over_time(week(99), week(10))
    assert found.grade == "steady"
    (found,) = _over_time(week(100), week(10))
    assert found.grade == "red"


@pytest.mark.parametrize(("rows", "grade"), [(9, "red"), (10, "new")])
def test_fewer_rows_than_one_percent_of_the_list_is_red_even_in_the_first_run(rows, grade):
    (found,) = _over_time(_one(rows, people=1_000, linked=900))
    assert found.grade == grade and found.too_few == (("gp_event",) if rows == 9 else ())


def test_the_list_size_is_the_most_people_there_ever_were():
    """1,000 people before; 9 rows and 5 people now are below 1 % of 1,000."""
    (found,) = _over_time(_one(5_000, people=1_000, linked=900), _one(9, people=5, linked=4))
    assert found.list_size == 1_000 and found.too_few == ("gp_event",)


def test_a_table_nobody_sends_is_missing_nowhere():
    (found,) = _over_time(_one(1_000, people=1_000, linked=900))
    assert found.too_few == ()


def test_a_practice_that_falls_silent_is_red_and_after_a_month_no_longer_sends():
    both = _one(1_000) | {"A10002": (100, 90, {"gp_event": (1_000, 0, 0)})}
    weeks = [both, both, both, both, *[_one(1_000)] * 4]
    grades = [
        {each.code: each.grade for each in _over_time(*weeks[:count])}["A10002"] for count in range(5, len(weeks) + 1)
    ]
    assert grades == ["red", "red", "red", "gone"]  # the median of 1000, 0, 0, 0 is 0


def test_a_practice_that_joins_is_new_and_its_absence_before_is_no_nought():
    joined = _one(1_000) | {"A10002": (100, 90, {"gp_event": (1_000, 0, 0)})}
    found = {each.code: each for each in _over_time(_one(1_000), _one(1_000), joined)}
    assert found["A10002"].grade == "new" and found["A10002"].received.values == (None, None, 1_000)
    later = {each.code: each for each in _over_time(_one(1_000), joined, joined)}
    assert later["A10002"].received.usual == 1_000 and later["A10002"].grade == "steady"


def test_the_worst_change_comes_first_and_rows_of_nobody_known_last():
    def week(a, b, c):
        rows = {"A10001": a, "A10002": b, "A10003": c}
        known = {code: (100, 90, {"gp_event": (count, 0, 0)}) for code, count in rows.items()}
        return known | {"unknown": (0, 0, {"gp_event": (4, 4, 0)})}

    found = _over_time(week(1_000, 1_000, 1_000), week(950, 400, 750))
    assert [(each.code, each.grade) for each in found] == [
        ("A10002", "red"),
        ("A10003", "amber"),
        ("A10001", "steady"),
        ("unknown", "steady"),
    ]


# Earlier runs


def test_a_run_that_is_run_again_is_not_in_the_history_twice():
    history = _history([_one(1_000), _one(900)])
    again = quality.with_run(history, _counts(_one(900)), index_date=DAY, run_id="run1")
    assert again.sort("run_id", "table_name").equals(history.sort("run_id", "table_name"))


def test_of_two_runs_for_one_date_the_later_one_counts_and_both_stay_on_file():
    history = _history([_one(1_000), _one(900)])
    corrected = quality.with_run(history, _counts(_one(2_000)), index_date=DAY - timedelta(weeks=1), run_id="corrected")
    assert set(corrected["run_id"]) == {"run0", "run1", "corrected"}
    before = quality.earlier(corrected, DAY)
    assert set(before["run_id"]) == {"corrected"} and before["received_count"].drop_nulls().to_list() == [2_000]


def test_the_history_on_disk_comes_back_as_it_was_and_its_digest_is_of_earlier_runs_alone(tmp_path):
    path = tmp_path / quality.HISTORY_FILE
    nothing = quality.history_digest(path, DAY)
    first = _history([_one(1_000)])
    first.write_csv(path)
    assert quality.read_history(path).equals(first)
    assert quality.history_digest(path, DAY) == nothing  # its own date is not earlier
    assert quality.history_digest(path, DAY + timedelta(days=1)) != nothing


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("CANARYVALUE\n1\n", id="other_columns"),
        pytest.param(",".join(counting._SCHEMA) + "\nCANARYVALUE,r,A10001,gp_event,1,1,0,0,,\n", id="no_date"),
        pytest.param(",".join(counting._SCHEMA) + "\n2026-06-01,r,,gp_event,1,1,0,0,,\n", id="no_practice"),
    ],
)
def test_a_history_that_is_none_is_refused_in_words(tmp_path, content):
    path = tmp_path / quality.HISTORY_FILE
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match="expected the counts of earlier runs") as caught:
        quality.read_history(path)
    assert CANARY not in str(caught.value) and caught.value.__context__ is None


# The page


def _page(practices, **changes):
    given = {"title": "By practice", "index_date": DAY, "run_id": "abc", "is_test": False} | changes
    return quality.practices_page(practices, **given)


def test_the_page_says_why_and_shows_every_number_beside_its_picture():
    week = _one(1_000) | {"A10002": (100, 90, {"gp_event": (1_000, 0, 0)})}
    page = _page(_over_time(week, week, _one(400, rejected=10) | {"A10002": (100, 90, {"gp_event": (1_000, 0, 0)})}))
    assert "1 red of 2 practices" in page
    assert "Rows received fell by 60 %, from 1,000 to 400." in page
    assert "First &lt;Surgery&gt;" in page and "<Surgery>" not in page
    pictures = re.findall(r'<svg [^>]*aria-label="([^"]*)"', page)
    assert len(pictures) == 2 + 2 * 7  # each practice in the table, then six totals and one table each
    assert "rows received in 3 runs to 1 June 2026: now 400, usually 1,000" in pictures
    listed = re.findall(r'<th scope="row">(\d+ [A-Z][a-z]+ 2026)</th>', page)
    assert listed == ["1 June 2026", "25 May 2026", "18 May 2026"] * 2
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")


def test_the_same_practices_are_the_same_page_and_a_test_says_so():
    practices = _over_time(_one(1_000), _one(700))
    assert _page(practices) == _page(practices) and 'class="test"' not in _page(practices)
    assert 'class="test"' in _page(practices, is_test=True)


def test_a_table_is_named_in_words_and_too_few_is_said_only_where_there_is_something_to_compare_with():
    def words(table):
        return {"gp_event": "GP record: entries"}[table]

    first = _page(_over_time(_one(40)), name_of=words)
    assert "GP record: entries (usable)" in first and "too few" not in first and "gp_event" not in first
    later = _page(_over_time(_one(40), _one(40), _one(40)), name_of=words)
    assert "GP record: entries (too few to grade)" in later


def test_the_first_run_has_nothing_to_compare_with():
    page = _page(_over_time(_one(1_000)))
    assert "The first run: nothing to compare with yet" in page and ">New<" in page


def test_a_long_history_is_drawn_and_listed_in_part_and_says_so():
    page = _page(_over_time(*[_one(1_000)] * 60))
    assert "The last 12 of 60 runs, the latest first" in page
    assert len(re.findall(r'<th scope="row">\d+ [A-Z][a-z]+ \d{4}</th>', page)) == 12
    assert "rows received in 52 runs to" in page


def test_no_practice_at_all_is_a_page_too():
    page = _page(quality.practices_over_time(quality.read_history(counting.Path("none")), {}))
    assert "No practice sent anything." in page


# Codelists


def test_what_codelists_found_is_noted_once_a_run_and_shown_as_no_practice(tmp_path):
    history = _history([_one(900), _one(1_000)])
    with open_store(Path(":memory:"), temp_directory=tmp_path) as store:
        for week, found in enumerate(({"copd event 0a": 20, "asthma event 0b": 0}, {"copd event 0a": 21})):
            store.create("audit.practice_count", _counts(_one(1_000)))
            quality.note_codelists(store, {"copd event 0a": 99})
            quality.note_codelists(store, found)  # a stage that is done again
            counts = store.frame("SELECT * FROM audit.practice_count")
            day = DAY - timedelta(weeks=1 - week)
            history = quality.with_run(history, counts, index_date=day, run_id=f"run{week}")
    before = quality.codelists_before(quality.earlier(history, DAY + timedelta(weeks=1)))
    assert before == [({"copd event 0a": 20, "asthma event 0b": 0}, 100), ({"copd event 0a": 21}, 100)]
    assert quality.codelists_before(quality.earlier(history, DAY))[0][0]["copd event 0a"] == 20
    assert [each.code for each in quality.practices_over_time(history, {})] == ["A10001"]
