"""The commissioners' pages: made of the published file alone, honest about what is hidden, and fit for everybody."""

from __future__ import annotations

import html
import re
import shutil
from dataclasses import replace
from datetime import date

import duckdb
import polars as pl
import pytest
from monthly_example import CUTOFFS, fill
from publish_example import context, key
from pypdf import PdfReader
from test_control_charts import JUMPED, STEADY
from test_smallest_change import jargon_in

from browser import browser
from readability import flesch_kincaid_age, smog_age
from stratify import feedback
from stratify.metric_book import MOST_ACID_TESTS, load_metrics
from stratify.metric_months import with_months
from stratify.metric_run import counted
from stratify.publish import build_counts, write_commissioner_file
from stratify.publish.dashboard import dashboard
from stratify.publish.dashboard_charts import (
    LONGEST,
    Bar,
    Course,
    FunnelPoint,
    Interval,
    MonthPoint,
    bars,
    control_chart,
    courses,
    funnel,
    intervals,
)
from stratify.publish.dashboard_figures import place_of
from stratify.publish.public_summary import public_summary, quarter
from stratify.publish.published_file import published_file
from stratify.rulebook import load_rule_book
from stratify.store import open_store

PAGES = ("dashboard.html", "public_summary.html")
SAID = ["changed"] * 14 + ["not_changed"] * 9 + ["passed_on"] * 3 + [None] * 20
SECTIONS = ["Acid tests", "Tiers and flow", "Equity", "Over time", "Queue", "Data quality", "What changed"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The published folder of two networks; the store it was made from is gone."""
    place = tmp_path_factory.mktemp("pages")
    book = load_rule_book()
    run = context(data_cutoffs=CUTOFFS, pathways=book.published)
    said = feedback.answers(pl.DataFrame({"answer": SAID}, schema={"answer": pl.String}))
    with open_store(place / "run.duckdb", temp_directory=place / "tmp", threads=1) as store:
        fill(store, river=STEADY, hill=JUMPED)
        found = with_months(store, counted(store, load_metrics(), run, book))
        build_counts(store, run, replace(found, said=said), signature="Not signed")
        last = store.frame("SELECT * FROM out.metric_week").with_columns(pl.col("week") - pl.duration(days=7))
        full = pl.DataFrame({"clinic_id": ["copd_clinic"], "serves": ["U10001"], "reason": ["No session this week"]})
        earlier = {"out.metric_week": last}
        build_counts(store, run, replace(found, said=said), signature="Not signed", full=full, earlier=earlier)
        write_commissioner_file(store, place / "out", run)
    (place / "run.duckdb").unlink()
    return place / "out"


def text_of(folder, name) -> str:
    return (folder / name).read_text(encoding="utf-8")


def words_of(page: str) -> str:
    """Give what a page says, a line for each block of it."""
    body = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", page, flags=re.DOTALL)
    body = re.sub(r"</(p|li|h1|h2|h3|td|th|tr|caption|dd|dt|summary)>", "\n", body)
    lines = (html.unescape(re.sub(r"<[^>]+>", " ", line)).split() for line in body.splitlines())
    return "\n".join(" ".join(line) for line in lines if line)


@pytest.fixture(scope="module")
def figures(folder):
    """Each figure of the dashboard: title, what is said, query and rows of its table."""
    found = []
    for part in re.findall(r"<figure.*?</figure>", text_of(folder, "dashboard.html"), re.DOTALL):
        query = html.unescape(re.search(r"<pre><code>(.*?)</code>", part, re.DOTALL)[1])
        rows = re.findall(r"<tr>(<td.*?)</tr>", part, re.DOTALL)
        cells = [[html.unescape(each) for each in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)] for row in rows]
        title = html.unescape(re.search(r"<h3[^>]*>(.*?)</h3>", part)[1])
        said = html.unescape(re.search(r"</h3>\s*<p>(.*?)</p>", part, re.DOTALL)[1])
        found.append((title, said, query, cells, "<svg" in part))
    return found


def test_the_parts_are_there_and_every_figure_says_something_in_one_sentence(folder, figures):
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", text_of(folder, "dashboard.html"))[:-1] == SECTIONS
    assert len(figures) >= 20 and sum(has_picture for *_, has_picture in figures) >= 10
    for title, said, *_ in figures:
        assert said.endswith(".") and 20 < len(said) < 600, title


def test_every_query_gives_the_rows_that_stand_above_it(folder, figures):
    with duckdb.connect(str(folder / "commissioner.duckdb"), read_only=True) as file:
        for title, _, query, cells, _ in figures:
            rows = file.execute(query).fetchall()
            assert len(rows) == len(cells), title
            for row, shown in zip(rows, cells, strict=True):
                numbers = [each for each in row if isinstance(each, int | float) and not isinstance(each, bool)]
                written = {re.sub(r"[,]|\.0$", "", each) for each in shown}
                assert {f"{round(each, 1):g}" if each < 1e5 else str(each) for each in numbers} <= written, title


def test_there_are_six_acid_tests_at_most(folder):
    part = re.search(r'<h2 id="acid-tests">.*?<h2', text_of(folder, "dashboard.html"), re.DOTALL)[0]
    assert 1 <= part.count("<figure") <= MOST_ACID_TESTS


def test_what_is_hidden_says_so_and_is_never_nought(folder, figures):
    """Four people go to the clinic as HRC: hidden, in the picture and in the table."""
    page = text_of(folder, "dashboard.html")
    _, _, _, cells, _ = next(each for each in figures if each[0] == "Tiers, by pathway")
    assert [row[-1] for row in cells if "HRC" in row] == ["hidden"]
    tiers = re.search(r"<svg[^>]*aria-label=\"Tiers, by pathway\".*?</svg>", page, re.DOTALL)[0]
    assert "hidden" in tiers
    assert "None" not in words_of(page) and "nan" not in words_of(page).lower().split()


def test_those_not_known_are_a_group_of_every_breakdown(figures):
    groups = [each for each in figures if each[0].endswith("by group of people")]
    assert groups
    for title, _, _, cells, _ in groups:
        assert {row[2] for row in cells if row[3] == "not known"} >= {"imd_quintile"}, title


def test_a_chart_of_control_is_drawn_for_the_board_and_where_something_stands_out(figures):
    titles = [title for title, *_ in figures if " by month: " in title]
    assert [each.split(": ")[-1] for each in titles] == ["Board QXX", "Hill PCN"]
    said = next(said for title, said, *_ in figures if title.endswith("Hill PCN"))
    assert "special cause: concern (" in said and "seven or more in a row on one side of the mean" in said


def test_no_page_says_that_a_figure_moved_by_so_much(folder):
    """Nothing here has a comparison beside it, so nothing may read as an effect."""
    claim = re.compile(
        r"\b(fell|fallen|fall|dropped|drop|reduced|cut|rose|risen|increased|improved|saved|prevented|avoided)"
        r"\s+(\w+\s+){0,3}by\s+\d",
        re.IGNORECASE,
    )
    for name in PAGES:
        assert not claim.search(words_of(text_of(folder, name)))
    assert claim.search("Admissions fell after enrolment by 12 %")  # it would be found


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small_runs_nothing_and_asks_for_nothing(folder, name):
    page = text_of(folder, name)
    assert len(page.encode()) < 5_000_000
    assert "default-src 'none'" in page and "<script" not in page and "<img" not in page
    assert not re.search(r"(src|href)=\"(?!#)", page) and "url(" not in page
    assert not [number for number in range(3000) if key(number) in page]


def test_the_same_file_gives_the_same_pages_and_nothing_else_is_needed(folder, tmp_path):
    shutil.copy(folder / "commissioner.duckdb", tmp_path / "other.duckdb")
    with published_file(tmp_path / "other.duckdb") as file:
        assert dashboard(file) == text_of(folder, "dashboard.html")
        assert public_summary(file) == text_of(folder, "public_summary.html")


def test_weeks_stand_as_their_own_files_had_them_and_full_clinics_are_named(folder, figures):
    _, said, _, cells, has_picture = next(each for each in figures if each[0].endswith("week by week"))
    assert said.startswith("2 week(s) up to 23 November 2026") and has_picture
    assert {row[3] for row in cells} == {"16 November 2026", "23 November 2026"}
    _, said, _, cells, _ = next(each for each in figures if each[0] == "Clinics that take nobody new in")
    assert (said, cells) == (
        "1 clinic(s) take nobody new in this week.",
        [["copd_clinic", "U10001", "No session this week"]],
    )


def test_a_week_that_is_hidden_breaks_the_line_of_weeks():
    drawn = courses(
        [Course("Offers", ()), Course("copd", [10.0, None, 30.0]), Course("frailty", [5.0, 6.0, None])], title="t"
    )
    first, second = re.findall(r'<path d="([^"]+)"', drawn)
    assert first.count("M") == 2 and "L" not in first
    assert second.count("L") == 1 and drawn.count("<circle") == 4 and ">hidden<" in drawn and ">30 %<" in drawn


def test_names_of_practices_beyond_the_limits_stand_apart_and_away_from_the_line():
    values = {"First Surgery": 95.0, "Second Surgery": 95.0, "Third": 60.0}
    limits = (70.0, 75.0, 85.0, 90.0)
    points = [FunnelPoint(name, 200 + n, values[name], limits, True) for n, name in enumerate(values)]
    drawn = funnel(points, title="t", unit="per cent", board=80.0)
    first, second, third = (float(re.search(rf'y="([\d.]+)"[^>]*>{name}<', drawn)[1]) for name in values)
    assert first - second >= 14 and third > first


def test_a_pathway_is_told_apart_where_the_name_of_a_place_is_too_long():
    row = {
        "place": "Invented Integrated Care Board of a Long Name",
        "geography_type": "icb",
        "pathway": "diabetes_prevention",
    }
    label = place_of(row)
    assert label.endswith("…: Diabetes prevention") and len(label) <= LONGEST


def test_a_number_that_is_hidden_has_no_bar_and_a_month_that_is_hidden_breaks_the_line():
    drawn = bars([Bar("a", None, "hidden"), Bar("b", 0, "0")], title="t")
    assert "<rect" not in drawn and ">hidden<" in drawn
    dots = intervals([Interval("a", None, None, None, "hidden"), Interval("b", 5, 4, 6, "5.0")], title="t", unit="u")
    assert dots.count("<circle") == 1 and ">hidden<" in dots
    months = [MonthPoint(date(2026, n, 1), None if n == 2 else 10.0, None, None, None, None, False) for n in (1, 2, 3)]
    chart = control_chart(months, title="t", unit="u", target=None, assurance=None)
    course = re.search(r'<path d="([^"]+)"', chart)[1]
    assert course.count("M") == 2 and "L" not in course and ">hidden<" in chart


# ------------------------------------------------------------------------------------------- for patients and carers


def test_the_page_for_patients_is_read_at_eleven(folder):
    """NHS content guide: a reading age of 9 to 11. Numbers and headings of the table are left out."""
    text = re.sub(r"<table.*?</table>", "", text_of(folder, "public_summary.html"), flags=re.DOTALL)
    words = words_of(text).split("Finding people who may need more help\n")[-1]
    assert flesch_kincaid_age(words) <= 11.0
    assert smog_age(words) <= 12.0


def test_the_page_for_patients_holds_no_jargon(folder):
    words = words_of(text_of(folder, "public_summary.html")).replace("(COPD)", "")  # said in words beside it
    assert jargon_in(words) == []


def test_the_page_for_patients_says_how_to_say_no_what_was_done_and_what_came_of_what_was_said(folder):
    words = words_of(text_of(folder, "public_summary.html"))
    for needed in (
        "How to say no", "You do not have to say why. Your care stays the same.", "You can change your mind",
        "October to December 2026", "We looked at the records of 1,200 people",
        "This does not tell you if our work helps.", "Things we were told so far: 45.", "We changed something: 15.",
        "999", "111", "large print",
    ):  # fmt: skip
        assert needed in words, needed
    # Three were passed on: hidden, and with them the smallest other one.
    assert "We passed it on to those who can change it: not shown." in words


@pytest.mark.parametrize(
    ("day", "said"), [("2026-01-01", "January to March 2026"), ("2026-12-31", "October to December 2026")]
)
def test_a_page_is_of_the_quarter_of_its_run(day, said):
    assert quarter(date.fromisoformat(day)) == said


# --------------------------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.mark.parametrize("width", [1200, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(chromium, folder, name, width):
    chromium.narrow(width)
    chromium.open((folder / name).as_uri())
    found = chromium.faults_for_users()
    assert [each for each in found if each.startswith(("serious", "critical"))] == []
    assert chromium.run("document.documentElement.scrollWidth") <= width


def test_numbers_and_query_open_by_keyboard_alone(chromium, folder):
    chromium.narrow(1200)
    chromium.open((folder / "dashboard.html").as_uri())
    is_closed = "document.activeElement.matches('details:not([open]) > summary')"
    for _ in range(30):
        chromium.press("Tab")
        if chromium.run(is_closed):
            break
    assert chromium.run(is_closed)
    chromium.press("Enter")
    assert chromium.run("document.activeElement.parentElement.open")


def test_it_prints_every_sentence_and_of_the_tables_those_that_are_open(chromium, folder, figures, tmp_path):
    def printed(name: str) -> str:
        chromium.print(tmp_path / name)
        pages = PdfReader(tmp_path / name).pages
        assert len(pages) <= 9
        return re.sub(r"\s+", "", "".join(page.extract_text() for page in pages))

    chromium.open((folder / "dashboard.html").as_uri())
    closed = printed("page.pdf")
    for title, said, query, *_ in figures:
        assert re.sub(r"\s+", "", said) in closed, title
        assert re.sub(r"\s+", "", query) not in closed, title
    _, _, _, cells, _ = next(each for each in figures if each[0] == "Tiers, by pathway")
    row = re.sub(r"\s+", "", "".join(cells[0]))
    assert row not in closed
    chromium.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    chromium.print(tmp_path / "open.pdf")
    opened = "".join(page.extract_text() for page in PdfReader(tmp_path / "open.pdf").pages)
    assert row in re.sub(r"\s+", "", opened)


def test_the_page_for_patients_prints_on_three_sheets_at_most(chromium, folder, tmp_path):
    chromium.open((folder / "public_summary.html").as_uri())
    chromium.print(tmp_path / "summary.pdf")
    assert len(PdfReader(tmp_path / "summary.pdf").pages) <= 3
