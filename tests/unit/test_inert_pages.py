"""Texts as strange as records hold, in what is published beside lists and letters: pages, forms, reports, rosters."""

import csv
import io
import itertools
import json
import zipfile
from html.parser import HTMLParser
from importlib.resources import files as package_files

import polars as pl
import pytest
from publish_example import INDEX_DATE, context, frame, key, outcome, person, small_run
from python_calamine import CalamineWorkbook
from test_inert import CORPUS, TURNING

from stratify import feedback, page_lock
from stratify.care_homes import CareHome
from stratify.contract_frames import schema_of
from stratify.page_lock import Lock, Passphrases
from stratify.publish import (
    TeamPages,
    feedback_page,
    reached_page,
    write_direct_care,
    write_form_of_practice,
    write_supplier_report,
)
from stratify.publish.panel_forms import FormQuestion, write_form
from stratify.publish.rule_workbook import write_rule_workbook
from stratify.publish.supplier_report import Delivery, Fault, FileLine, Place, RuleLine, SupplierReport
from stratify.publish.what_if import EVERY_PRACTICE, SIDES, WhatIf, protected_lists
from stratify.publish.what_if_page import write_what_if
from stratify.rulebook import load_rule_book
from whole_runs import opened_page

ALL = " ".join(CORPUS.values())
WORDS = "four plain invented words"
ABOUT = {"title": ALL, "index_date": INDEX_DATE, "run_id": "r", "is_test": True}
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d")


class Seen(HTMLParser):
    """What a browser makes of a page: elements, attributes and text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.handlers, self.text = set(), set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.handlers |= {name for name, _ in attrs if name.startswith("on")}

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("inert_pages")


@pytest.fixture(scope="module")
def pages(folder):
    """Every page that is published, each with the corpus in every text that comes from files, records or settings."""
    found = {"who is reached": _reached(), "feedback": _feedback()}
    found["supplier report"] = write_supplier_report(folder / "supplier", _supplier_report())[1].read_text("utf-8")
    made = {path.name: path for path in write_what_if(_what_if(), folder / "what_if")}
    return found | {name: made[name].read_text("utf-8") for name in ("what_if.html", "what_if.svg")}


def _reached():
    counted = {"text": ALL, "left": 10, "people": 20}
    shares = {"breakdown": "Practice", "value": ALL, "need": 20, "listed": 10, "waiting": 10, "need_share": "1 %",
              "listed_share": "1 %"}  # fmt: skip
    work = {"clinic_id": ALL, "practice_code": ALL, "role": ALL, "places_count": 3, "minutes_offered_count": 60,
            "minutes_used_count": 30}  # fmt: skip
    return reached_page(
        [{"id": "copd", "label": ALL, "steps": [counted], "clinics": [{"label": ALL, "rows": [shares]}]}],
        [(ALL, 0.1, 0.5, 5.0)],
        [work],
        full=[{"clinic_id": ALL, "serves": ALL, "reason": ALL}],
        silent=[{"practice_code": ALL, "has_feedback": False, "has_uptake": False}],
        bound=3.0,
        **ABOUT,
    )


def _feedback():
    nothing = pl.DataFrame(schema={"practice_code": pl.String, "kind": pl.String, "status": pl.String})
    return feedback_page(feedback.tally(nothing, ["A81001"]), {"A81001": ALL}, **ABOUT)


def _supplier_report():
    texts = list(CORPUS.values())
    return SupplierReport(
        Delivery("r", INDEX_DATE, ALL, ALL, ALL, is_test=True),
        "part",
        (ALL,),
        tuple(FileLine(text, ALL, 1, 1, 1, 1, 0, 0, "all rows fit") for text in texts),
        0,
        tuple(Fault(text, text, text, text) for text in texts),
        tuple(RuleLine(text, ALL, text, "error", text, text, 1, 3, 1, text) for text in texts),
        tuple(Place(text, 3, text, text, text) for text in texts),
    )


def _what_if():
    clinics = {"one": ALL, ALL: ALL}
    keys = itertools.product(SIDES, clinics, range(27))
    at = [{"side": side, "clinic_id": clinic, "week": week} for side, clinic, week in keys]
    numbers = {"length": 40.0, "length_low": 30.0, "length_high": 50.0, "places": 2.0, "places_so_far": 20.0,
               "capacity": 2.0}  # fmt: skip
    moves = {"definition": "clinic one", "breakdown": ALL, "group": ALL, "before": ALL, "after": "on it",
             "people_count": 20, "is_suppressed": False}  # fmt: skip
    load = {"clinic": ALL, "sector": "primary", "source": ALL, "contacts_per_place": 1.0,
            "contacts_per_week_on_list": 0.1}  # fmt: skip
    return WhatIf(
        title=ALL,
        tried=(ALL,),
        run_id="r",
        index_date=INDEX_DATE,
        is_test=True,
        digests=dict.fromkeys(SIDES, "0"),
        changes_digest="0",
        labels=clinics,
        weeks=pl.DataFrame([each | numbers for each in at]),
        lists=protected_lists(pl.DataFrame([each | numbers | {"practice_code": ALL} for each in at])),
        waits=pl.DataFrame([{"side": side, "clinic_id": ALL, "people": 20, "median_week": 3.0} for side in SIDES]),
        moved=pl.DataFrame([moves]),
        minutes=pl.DataFrame([{"clinic_id": ALL, "role": ALL, "minutes": 20.0}]),
        loads=(load,),
        share_looked_back=1.0,
        look_back_weeks=13,
        assumed={"did_not_attend_percent": 5.0, "review_after_weeks": 52.0},
    )


PAGES = ("who is reached", "feedback", "supplier report", "what_if.html", "what_if.svg")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_markup_as_letters_runs_nothing_of_it_and_keeps_the_direction_of_reading(pages, name):
    seen = Seen(pages[name])
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>" in seen.text
    assert "&lt;b&gt; &amp;" in seen.text and "{{ 7*7 }}" in seen.text
    assert not seen.tags & {"script", "img", "iframe", "b"} and not seen.handlers
    assert not TURNING.search(pages[name])


# ----------------------------------------------------------------------------------------------- the page of the team


@pytest.fixture(scope="module")
def direct_care(folder):
    """A team's page and a care-home roster of people, homes and a practice with such names."""
    numbers = {name: number for number, name in enumerate(CORPUS, 1)}
    people = [person(each, ais_format=CORPUS[name], usual_gp_id=CORPUS[name]) for name, each in numbers.items()]
    round_ = {"pathway": "care_homes", "clinic_id": "care_home_round", "tier": None, "tier_rank": None}
    placed = [outcome(each, "listed", "clinic", priority_rank=each, **round_) for each in numbers.values()]
    homes = tuple(
        CareHome(id=f"1-{each}", name=f"{CORPUS[name]}", postcode=f"QZ1 {each:02}", named_lead=CORPUS[name] or "x")
        for name, each in numbers.items()
    )
    made = context(care_homes=homes)
    with small_run(folder, people=people, outcomes=placed) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_lock, "ITERATIONS", 5_000)
        store.create("derived.variable_value", frame("derived.variable_value", []))
        for name, each in numbers.items():
            store.execute(
                "UPDATE identity.person SET family_name = $1, given_names = $1, postcode = $2 WHERE patient_key = $3",
                [CORPUS[name], f"QZ1 {each:02}", key(each)],
            )
        store.execute("UPDATE core.practice SET practice_name = $1", [ALL])
        pages = TeamPages(store, made, load_rule_book(), None, Lock(Passphrases(WORDS), "run-1"))
        written = write_direct_care(store, folder / "out", made, pages)
    return {path.name.split("_TEST")[0]: path for path in written if "A81001" in path.parts}


def test_a_teams_page_shows_nothing_by_markup(direct_care):
    """All that it shows comes as data under lock, and its script writes text and no markup."""
    page = direct_care["team_page"].read_text("utf-8")
    shown = json.loads(opened_page(page, WORDS).removeprefix(page))
    names = {each["family_name"] for clinic in shown["clinics"] for each in clinic.get("listed", [])}
    assert CORPUS["html"] in names and CORPUS["typst"] in names
    assert "<script>alert" not in page and not TURNING.search(page)
    assert Seen(page).tags & {"img", "iframe", "b"} == set()
    script = package_files("stratify.publish").joinpath("team_page.js").read_text("utf-8")
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", ".srcdoc"):
        assert way not in script


def test_a_roster_starts_no_formula_and_turns_no_text(direct_care):
    text = direct_care["roster_care_home_round"].read_bytes().decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert not TURNING.search(text) and len(rows) == 1 + len(CORPUS) and len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if cell.startswith(FORMULA_STARTS)]
    assert any("'=HYPERLINK" in cell for row in rows for cell in row)


# ----------------------------------------------------------------------------------------------- workbooks and tables


@pytest.fixture(scope="module")
def workbooks(folder):
    """Every workbook but the clinic list: feedback form, supplier report, rule book, form of a panel."""
    items = []
    for number, text in enumerate(CORPUS.values(), 1):
        item = dict.fromkeys(schema_of("out.feedback_item"), text)
        items.append(item | {"item": f"F{number}", "said_on": INDEX_DATE, "answered_on": INDEX_DATE})
    said = pl.DataFrame(items, schema=schema_of("out.feedback_item"))
    made = context(contact=ALL)
    form = write_form_of_practice(folder, ("A81001", ALL), [*CORPUS.values()], said, made)
    rules, panel = folder / "rules.xlsx", folder / "panel.xlsx"
    write_rule_workbook(rules, [_Table()])
    questions = [
        FormQuestion(f"q{n}", text, text, 0, 10, 1, text, (1, 2, 3),
                     {"lower_quartile": 1, "upper_quartile": 3, "median": 2}, (text,))
        for n, text in enumerate(CORPUS.values())
    ]  # fmt: skip
    for path in (panel, folder / "panel.csv"):
        write_form(path, questions, title=CORPUS["equals"], mark="Form of panel: x", made=INDEX_DATE, round_number=2)
    return {"form": form, "supplier": write_supplier_report(folder / "s", _supplier_report())[0], "rules": rules,
            "panel": panel}  # fmt: skip


class _Table:
    name = "Rules"
    columns = (("Rule", 30), ("Words", 60))
    rows = tuple((text, text) for text in CORPUS.values())


@pytest.mark.parametrize("name", ["form", "supplier", "rules", "panel"])
def test_a_workbook_has_no_formula_no_link_and_no_mark(workbooks, name):
    with zipfile.ZipFile(workbooks[name]) as archive:
        for part in archive.namelist():
            content = archive.read(part).decode("utf-8")
            assert "<f>" not in content and "<hyperlink" not in content, part
            assert not TURNING.search(content), part
    book = CalamineWorkbook.from_path(str(workbooks[name]))
    cells = {str(cell) for each in book.sheet_names for row in book.get_sheet_by_name(each).to_python() for cell in row}
    assert any('=HYPERLINK("http://evil.test","Zed")' in cell for cell in cells)


def test_the_form_of_a_panel_starts_no_formula(folder, workbooks):
    text = (folder / "panel.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) > len(CORPUS) and not TURNING.search(text)
    assert not [cell for row in rows for cell in row if cell.startswith(FORMULA_STARTS)]


def test_the_tables_of_a_tried_change_start_no_formula(folder, pages):
    text = (folder / "what_if" / "what_if.csv").read_text("utf-8")
    assert pages and EVERY_PRACTICE in text
    assert not [cell for row in csv.reader(io.StringIO(text)) for cell in row if cell.startswith(FORMULA_STARTS)]
