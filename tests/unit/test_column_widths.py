"""How wide columns are, and on how many pages of A4 a list of thirty prints."""

import re
import zipfile
from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from publish_example import context

from stratify.publish.column_widths import balanced
from stratify.publish.list_columns import CHANGES, LAST_PRINTED, LIST, NOT_LISTED, WAITING, Column
from stratify.publish.sheets import POINTS, longest_word
from stratify.publish.workbook import ClinicWorkbook, write_workbook
from stratify.rulebook import load_rule_book

WHY = (
    "• Electronic frailty index (eFI) 0.36, 13 of 36: Severe frailty\n"
    "• Memory or cognitive problems, the latest entry on 14 June 2020\n"
    "• Activity limitation, the latest entry on 18 September 2023"
)
HISTORY = (
    "Offered on 28 September 2025; Accepted on 25 September 2025; Did not attend on 20 October 2025; Another route is "
    "proposed now: Has a place"
)
GAP = "Joined the practice less than 12 months ago: the record may be incomplete"
COVER_SHEET_THEN_LIST = "xl/worksheets/sheet2.xml"


def thirty():
    """Thirty people: long names and reasons, every second with a history, every tenth with a gap."""
    rows = [
        {
            "priority_rank": number, "clinic_date": date(2026, 11, 24), "nhs_number": "999 000 0018",
            "family_name": "Featherstonehaugh", "given_names": "Bartholomew", "date_of_birth": date(1940, 9, 28),
            "age_years": 86, "sex": "Female", "phone_mobile": "07700 900001", "tier": "Moderate frailty", "why": WHY,
            "language": "Punjabi, interpreter needed" if number % 10 == 1 else "English",
            "data_gaps": GAP if number % 10 == 2 else None, "other_needs": "Diabetes\nHigh risk of admission",
            "since_last_week": HISTORY if number % 2 else "New on the pathway: Has a place",
            "previous_outcome": "Did not attend on 20 October 2025" if number % 2 else None,
        }
        for number in range(1, 31)
    ]  # fmt: skip
    kinds = {"date": pl.Date, "number": pl.Int64}
    return pl.DataFrame(rows, schema={each.name: kinds.get(each.kind, pl.String) for each in LIST})


def nobody(columns):
    return pl.DataFrame(schema=dict.fromkeys([each.name for each in columns], pl.String))


def text_columns(*widths):
    return [Column(name, "", width, least=40) for name, width in zip("ab", widths, strict=True)]


def test_a_column_with_little_in_it_gives_its_width_to_the_one_that_makes_rows_tall():
    long, short = "word " * 40, "yes"
    found = balanced(text_columns(120, 120), pl.DataFrame({"a": [short], "b": [long]}))
    assert found[0].pixels <= 48 and found[1].pixels >= 190


def test_two_columns_alike_share_their_width():
    text = "word " * 40
    one, other = balanced(text_columns(200, 60), pl.DataFrame({"a": [text], "b": [text]}))
    assert abs(one.pixels - other.pixels) <= 16


@pytest.mark.parametrize("columns", [LIST, WAITING, NOT_LISTED])
def test_columns_are_together_no_wider_than_they_were_and_none_is_narrower_than_its_longest_word(columns):
    frame = thirty()
    frame = frame.with_columns(
        **{each.name: pl.lit(None, pl.String) for each in columns if each.name not in frame.columns}
    )
    found = balanced(columns, frame)
    assert sum(each.pixels for each in found) <= sum(each.pixels for each in columns)
    for each, before in zip(found, columns, strict=True):
        widest = max(longest_word(str(value or "")) for value in frame[each.name])
        assert each.pixels >= min(widest, before.pixels)


def test_a_column_that_would_break_a_word_is_widened_with_pixels_of_another():
    found = balanced(text_columns(40, 200), pl.DataFrame({"a": ["1 September 2026"], "b": ["word " * 40]}))
    assert found[0].pixels >= longest_word("September") and sum(each.pixels for each in found) == 240


def test_nobody_on_a_list_leaves_its_columns_as_they_are():
    found = balanced(text_columns(120, 120), pl.DataFrame({"a": [], "b": []}, schema={"a": pl.String, "b": pl.String}))
    assert [each.pixels for each in found] == [120, 120]


def printed(path):
    """Give the points of a printed letter and the pages: A4 landscape, 7.6 mm at each side, 15.2 above, 14 below."""
    with zipfile.ZipFile(path) as archive:
        sheet = archive.read(COVER_SHEET_THEN_LIST).decode()
    last = [each.name for each in LIST].index(LAST_PRINTED[0]) + 1
    widths = {}
    for first, until, width in re.findall(r'<col min="(\d+)" max="(\d+)" width="([\d.]+)"', sheet):
        widths |= dict.fromkeys(range(int(first), int(until) + 1), float(width) * 7)  # pixels of 96 to the inch
    wide = sum(pixels for number, pixels in widths.items() if number <= last) * 0.75
    scale = min(int((297 - 15.2) / 25.4 * 72 / wide * 100) / 100, 1)
    head, *rows = [float(each) for each in re.findall(r'<row [^>]* ht="([\d.]+)"', sheet)]
    room = (210 - 29.2) / 25.4 * 72 / scale - head
    count, used = 1, 0.0
    for height in rows:
        if used + height > room:
            count, used = count + 1, 0.0
        used += height
    return POINTS * scale, count


def test_a_list_of_thirty_prints_on_six_pages_of_whole_rows_in_letters_that_can_be_read(tmp_path):
    pathway = load_rule_book().published["frailty"]
    book = ClinicWorkbook(
        clinic=pathway.clinic("frailty_clinic"),
        pathways=(pathway,),
        practice_code="A81001",
        practice_name="Hill",
        sessions=(),
        counts=(),
        listed=thirty(),
        tier_ranks=(1,) * 30,
        waiting=nobody(WAITING),
        waiting_ranks=(),
        not_listed=nobody(NOT_LISTED),
        changes=nobody(CHANGES),
    )
    write_workbook(tmp_path / "list.xlsx", book, replace(context(), is_test=False))
    points, pages = printed(tmp_path / "list.xlsx")
    assert points >= 7
    assert pages <= 6
