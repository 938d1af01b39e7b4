"""Clinic lists and offers: who is in which file, what stands in it, and that it can be printed, typed into, trusted."""

from __future__ import annotations

import csv
import hashlib
import re
import zipfile
from datetime import date
from pathlib import Path

import pytest
from publish_example import INDEX_DATE, OUTCOMES, context, frame, key, outcome, person, small_run
from python_calamine import CalamineWorkbook

from stratify.care_homes import CareHome
from stratify.errors import ContractError
from stratify.publish import row_reference, write_direct_care
from stratify.publish.sheets import letters_of

LIST = "A81001/copd_clinic/clinic_list_copd_clinic_TEST_2026-11-23.xlsx"
OFFERS = "A81001/self_management/offers_TEST_2026-11-23.csv"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("direct_care")
    with small_run(folder) as store:
        paths = write_direct_care(store, folder / "out", context())
    return folder / "out", [path.relative_to(folder / "out").as_posix() for path in paths]


def sheet(path: Path, name: str) -> list[list]:
    return CalamineWorkbook.from_path(str(path)).get_sheet_by_name(name).to_python()


def records(path: Path, name: str) -> list[dict]:
    head, *rows = sheet(path, name)
    return [dict(zip(head, row, strict=True)) for row in rows]


def xml(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def offers(folder: Path) -> list[dict[str, str]]:
    text = (folder / OFFERS).read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(text.splitlines()))


def test_a_file_is_written_for_each_practice_and_clinic_with_people_or_a_session(written):
    assert written[1] == [
        "A81001/clinician_review/clinic_list_clinician_review_TEST_2026-11-23.csv",
        "A81001/clinician_review/clinic_list_clinician_review_TEST_2026-11-23.xlsx",
        LIST.replace(".xlsx", ".csv"),
        LIST,
        OFFERS,
        "A81002/assessment/clinic_list_assessment_TEST_2026-11-23.csv",
        "A81002/assessment/clinic_list_assessment_TEST_2026-11-23.xlsx",
        "A81002/frailty_clinic/clinic_list_frailty_clinic_TEST_2026-11-23.xlsx",  # a session, and nobody to fill it
    ]


def test_the_list_is_in_order_of_rank_with_real_dates_and_text_numbers(written):
    first, second = records(written[0] / LIST, "List")
    assert (first["Rank"], second["Rank"]) == (1, 2)
    assert first["NHS number"] == "999 000 0002"
    assert first["Date of birth"] == date(1950, 1, 2)
    assert first["Session"] == date(2026, 11, 24)
    assert first["Age"] == 76
    assert first["Priority"] == "Group 1, high risk and complex"
    assert first["Language"] == "Polish, interpreter needed"
    assert first["Other needs to cover"] == "Frailty"
    assert first["Suggested roles"] == "Respiratory nurse, respiratory physiotherapist, pharmacist, GP"
    assert second["Priority"] == "Group 2, high risk"


def test_only_the_first_three_reasons_are_shown_a_line_each(written):
    first = records(written[0] / LIST, "List")[0]
    assert first["Why on this list"] == "• First reason\n• FEV1 38 % predicted on 12 March 2026\n• Third reason"


def test_a_sensitive_record_has_no_phone_on_any_sheet(written):
    first, second = records(written[0] / LIST, "List")
    assert first["Mobile"] == ""
    assert first["Prefers contact by"].startswith("Sensitive record")
    assert second["Mobile"] == "07700 900001"


def test_addresses_and_emails_are_in_no_file(written):
    for name in written[1]:
        path = written[0] / name
        text = "".join(xml(path).values()) if path.suffix == ".xlsx" else path.read_text()
        assert not re.search(r"ZZ1 1ZZ|1 Road|a@b\.test", text)


def test_no_cell_is_a_formula_or_a_link_whatever_a_name_says(written):
    parts = xml(written[0] / LIST)
    sheets = "".join(text for name, text in parts.items() if "worksheets/" in name)
    assert "<f>" not in sheets
    assert "<hyperlink" not in sheets
    assert records(written[0] / LIST, "List")[1]["Family name"] == "=HYPERLINK(1)"


def test_row_references_are_the_first_twelve_hex_digits_of_the_hash(written):
    digits = hashlib.sha256(f"{INDEX_DATE}copd_clinic{key(2)}".encode()).hexdigest()[:12].upper()
    expected = f"{digits[:4]}-{digits[4:8]}-{digits[8:]}"
    assert row_reference(INDEX_DATE, "copd_clinic", key(2)) == expected
    assert records(written[0] / LIST, "List")[0]["Row reference"] == expected


def test_waiting_people_are_shown_with_rank_and_why(written):
    (waiting,) = records(written[0] / LIST, "Waiting")
    assert waiting["Rank"] == 3
    assert waiting["Family name"] == "O'Neill"
    assert waiting["Data gaps"] == "Hospital data not linked"
    assert waiting["Why waiting"].startswith("Multi-professional COPD clinic is full")


def test_not_listed_has_everybody_else_of_this_practice_and_nobody_of_another(written):
    rows = records(written[0] / LIST, "Not listed and why")
    happens = {
        row["NHS number"][-4:].lstrip("0"): (row["What happens instead"], row["Why not on this list"]) for row in rows
    }
    assert sorted(happens, key=int) == ["3", "4", "5", "6", "7", "8", "9", "12"]
    assert happens["8"] == ("Do not contact", "Recorded as having died")
    assert happens["4"] == ("Is offered: Supported self-management by app", "Lower group")
    assert happens["12"][0] == "Is on another list: Clinician review of the record"
    assert happens["3"][0] == "Waits for a place: Multi-professional COPD clinic"
    assert rows[0]["Rank, if waiting here"] == 3


def test_somebody_held_for_another_need_is_told_so_on_that_clinics_list(tmp_path):
    outcomes = [
        *OUTCOMES,
        outcome(3, "waiting", "clinic", clinic_id="frailty_clinic", pathway="frailty", priority_rank=1),
    ]
    with small_run(tmp_path, outcomes=outcomes) as store:
        write_direct_care(store, tmp_path / "out", context())
    path = tmp_path / "out/A81001/frailty_clinic/clinic_list_frailty_clinic_TEST_2026-11-23.xlsx"
    rows = {row["NHS number"][-1]: row for row in records(path, "Not listed and why")}
    assert rows["2"]["What happens instead"] == "Held: another need is met first"
    assert rows["2"]["Why not on this list"] == "Has a place at COPD"


def test_somebody_on_two_pathways_of_one_worklist_has_one_row_with_both(tmp_path):
    outcomes = [
        outcome(1, "listed", "assessment", clinic_id="assessment", priority_rank=1),
        outcome(2, "offered", "self_management"),
        outcome(2, "held", "assessment", clinic_id="assessment", pathway="frailty", placement_reason="Later"),
    ]
    with small_run(tmp_path, outcomes=outcomes) as store:
        write_direct_care(store, tmp_path / "out", context())
    (row,) = records(
        tmp_path / "out/A81001/assessment/clinic_list_assessment_TEST_2026-11-23.xlsx", "Not listed and why"
    )
    assert row["Pathway"] == "COPD\nFrailty"
    assert row["What happens instead"].split("\n") == [
        "COPD: Is offered: Supported self-management by app",
        "Frailty: Held: another need is met first",
    ]


def test_the_cover_adds_up_from_everybody_to_the_list(written):
    rows = [row for row in sheet(written[0] / LIST, "Cover") if len(row) > 1]
    start = next(i for i, row in enumerate(rows) if row[0] == "People")
    counts = {}
    for row in rows[start + 1 :]:
        if row[1] == "":
            break
        counts[row[0]] = int(row[1])
    everybody = counts.pop("Everybody on the pathway at this practice")
    # 2 listed + 1 waiting + 5 offered + 1 died + 1 in clinician review
    assert everybody == 10 == sum(counts.values())
    assert counts["On this list"] == 2
    assert counts["Left out: Recorded as having died"] == 1
    assert counts["Other route: Supported self-management by app"] == 5


def test_the_cover_says_what_a_reader_must_know(written):
    text = "\n".join(str(cell) for row in sheet(written[0] / LIST, "Cover") for cell in row)
    assert "TEST: invented patients" in text
    assert "Decision support only: a list proposes, the clinician decides. Check the record before acting." in text
    assert "Practice 1 (A81001)" in text
    assert "Week of Monday 23 November 2026 to Sunday 29 November 2026" in text
    assert "Fewer than 8 people" in text and "41 people" in text
    assert "the clinical safety officer" in text
    assert "Hospital admissions" in text and "31 October 2026" in text
    assert "Pathway COPD, version" in text


def test_a_session_has_as_many_places_as_its_scarcest_role(written):
    row = next(row for row in sheet(written[0] / LIST, "Cover") if row[0] == "Tuesday 24 November 2026")
    assert row[1:4] == [2, "GP, pharmacist", "Room 4"]


def test_an_empty_list_says_that_nobody_has_a_place(written):
    path = written[0] / "A81002/frailty_clinic/clinic_list_frailty_clinic_TEST_2026-11-23.xlsx"
    assert sheet(path, "List")[1][0].startswith("Nobody has a place on this list")
    cover = [str(row[0]) for row in sheet(path, "Cover")]
    assert any(each.startswith("There are more places than people on this list") for each in cover)


def test_a_list_that_is_full_says_nothing_of_places_left(written):
    """Two have the two places and one waits."""
    assert not any(str(row[0]).startswith("There are more places") for row in sheet(written[0] / LIST, "Cover"))


def test_other_needs_covered_is_open_only_where_there_are_other_needs(written):
    """Of the two on the list the first has another need; the cells of the column are of two styles."""
    names = sheet(written[0] / LIST, "List")[0]
    column = letters_of(names.index("Other needs covered"))
    text = xml(written[0] / LIST)["xl/worksheets/sheet2.xml"]
    first, second = (re.search(rf'<c r="{column}{row}" s="(\d+)"', text)[1] for row in (2, 3))
    styles = xml(written[0] / LIST)["xl/styles.xml"]
    found = re.findall(r"<xf [^>]*?(?:/>|>.*?</xf>)", styles[styles.index("<cellXfs") :])
    assert 'locked="0"' in found[int(first)] and 'locked="0"' not in found[int(second)]


def test_sheets_are_protected_but_for_the_clinicians_cells_and_can_be_filtered(written):
    parts = xml(written[0] / LIST)
    page = parts["xl/worksheets/sheet2.xml"]
    assert re.search(r'<sheetProtection [^>]*sheet="1"[^>]*autoFilter="0"', page)
    assert "password" not in page
    assert '"accept,defer,decline,not appropriate"' in page
    assert 'type="date"' in page
    assert "<autoFilter " in page and 'state="frozen"' in page
    styles = parts["xl/styles.xml"]
    assert 'locked="0"' in styles


def test_the_list_prints_on_a4_landscape_one_page_wide_with_heading_and_footer(written):
    page = xml(written[0] / LIST)["xl/worksheets/sheet2.xml"]
    assert 'paperSize="9"' in page and 'orientation="landscape"' in page and 'fitToHeight="0"' in page
    assert "OFFICIAL-SENSITIVE: personal" in page and "Page &amp;P of &amp;N" in page and "TEST" in page
    assert "List!$1:$1" in xml(written[0] / LIST)["xl/workbook.xml"]


def test_rows_are_high_enough_for_their_longest_cell(written):
    page = xml(written[0] / LIST)["xl/worksheets/sheet2.xml"]
    heights = [float(each) for each in re.findall(r'<row r="[23]"[^>]* ht="([\d.]+)"', page)]
    # Three reasons of which none is wider than its column: three lines of 12 points at least.
    assert len(heights) == 2
    assert all(height >= 36 for height in heights)


def test_names_of_sheets_and_files_hold_nobody(written):
    for name in written[1]:
        assert not re.search(r"\d{10}|Kowalska|[0-9a-f]{32}", name)
    assert CalamineWorkbook.from_path(str(written[0] / LIST)).sheet_names == [
        "Cover",
        "List",
        "Actions",
        "Changes",
        "Waiting",
        "Not listed and why",
        "You said, we changed",
    ]


def test_the_same_run_writes_the_same_bytes(written, tmp_path):
    with small_run(tmp_path, outcomes=OUTCOMES[::-1]) as store:
        write_direct_care(store, tmp_path / "out", context())
    for name in written[1]:
        assert (tmp_path / "out" / name).read_bytes() == (written[0] / name).read_bytes(), name


def test_a_real_run_has_no_test_stamp_anywhere(tmp_path):
    with small_run(tmp_path) as store:
        paths = write_direct_care(store, tmp_path / "out", context(is_test=False))
    assert all("TEST" not in path.name for path in paths)
    assert "TEST" not in "".join(
        xml(tmp_path / "out/A81001/copd_clinic/clinic_list_copd_clinic_2026-11-23.xlsx").values()
    )


def test_people_without_a_practice_are_in_no_file(written):
    for name in written[1]:
        path = written[0] / name
        text = "".join(xml(path).values()) if path.suffix == ".xlsx" else path.read_text(encoding="utf-8")
        assert "Family11" not in text


def test_a_practice_code_that_leads_elsewhere_is_refused(tmp_path):
    people = [person(1, practice_code="../../x")]
    outcomes = [outcome(1, "offered", "self_management", practice_code="../../x")]
    with small_run(tmp_path, people=people, outcomes=outcomes) as store, pytest.raises(ContractError, match="letters"):
        write_direct_care(store, tmp_path / "out", context())


def test_offers_open_in_excel_and_start_no_formula(written):
    raw = (written[0] / OFFERS).read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.count(b"\r\n") == 6 == raw.count(b"\n")  # heading and five people
    braille = next(row for row in offers(written[0]) if row["nhs_number"] == "999 000 0004")
    assert (braille["family_name"], braille["given_names"], braille["phone_mobile"]) == (
        "'-2+3",
        "'+Ann",
        "'+447700900001",
    )
    assert all(line.startswith('"') and line.endswith('"') for line in raw.decode("utf-8-sig").splitlines())


def test_offers_say_how_to_make_them(written):
    ways = {row["nhs_number"][-1]: row["how_to_offer"] for row in offers(written[0])}
    assert ways == {
        "4": "Manual: needs braille, easy read",
        "5": "On paper or by call: no digital access",
        "6": "By call: digital access not asked",
        "7": "By NHS App message",
        "9": "By call with interpreter (Urdu)",
    }


def test_nobody_whose_number_is_not_verified_is_contacted_as_they_stand(tmp_path):
    """Not traced: list and offer say to confirm who it is first; verified, or from a feed without a status: neither."""
    outcomes = [
        outcome(1, "listed", "clinic", clinic_id="copd_clinic"),
        outcome(7, "offered", "self_management", clinic_id=None),
    ]
    remark = "NHS number not verified: confirm who this is before any contact"
    for status, is_said in (("02", True), ("01", False), (None, False)):
        folder = tmp_path / str(status)
        folder.mkdir()
        with small_run(folder, outcomes=outcomes) as store:
            store.execute("UPDATE identity.person SET nhs_number_status = ?", [status])
            write_direct_care(store, folder / "out", context())
        (listed,) = records(folder / "out" / LIST, "List")
        (offered,) = offers(folder / "out")
        assert (remark in listed["Data gaps"], offered["how_to_offer"].startswith(remark)) == (is_said, is_said)


def test_offers_say_why_and_whether_digital_access_was_asked(written):
    asked = {row["nhs_number"][-1]: row["has_digital_access"] for row in offers(written[0])}
    assert asked == {"4": "yes", "5": "no", "6": "not asked", "7": "yes", "9": "yes"}
    assert offers(written[0])[0]["why"] == "First reason; FEV1 38 % predicted on 12 March 2026; Third reason"


def test_the_index_date_is_the_created_date(written):
    assert f"{INDEX_DATE.isoformat()}T00:00:00Z" in xml(written[0] / LIST)["docProps/core.xml"]


def test_a_list_can_be_imported_as_csv_row_by_row_without_cells_to_fill_in(written):
    """1 and 2 are listed, 2 first; what a spreadsheet would take for a formula is guarded."""
    text = (written[0] / LIST).with_suffix(".csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(text.splitlines()))
    workbook = records(written[0] / LIST, "List")
    assert [row["row_reference"] for row in rows] == [row["Row reference"] for row in workbook]
    assert [row["nhs_number"] for row in rows] == ["999 000 0002", "999 000 0001"]
    assert rows[1]["family_name"] == "'=HYPERLINK(1)" and rows[0]["clinic_date"] == "2026-11-24"
    assert rows[0]["why"] == "First reason; FEV1 38 % predicted on 12 March 2026; Third reason"
    assert "decision" not in rows[0] and "outcome" not in rows[0]


def test_an_absurd_name_ends_in_dots_and_no_row_is_taller_than_a_spreadsheet_has(tmp_path):
    """A name of 600 letters; a row has 409 points at most."""
    with small_run(tmp_path) as store:
        store.execute("UPDATE identity.person SET family_name = $1", ["W" * 600])
        store.execute("UPDATE core.practice SET practice_name = $1", ["Practice of a very long name " * 20])
        write_direct_care(store, tmp_path / "out", context())
    path = tmp_path / "out" / LIST
    rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_name("List").to_python()
    shown = rows[1][rows[0].index("Family name")]
    assert shown.startswith("WWW") and shown.endswith("W…") and len(shown) > 100
    with zipfile.ZipFile(path) as archive:
        sheets = [archive.read(name).decode() for name in archive.namelist() if "worksheets/sheet" in name]
    heights = [float(height) for sheet in sheets for height in re.findall(r'<row [^>]*ht="([0-9.]+)"', sheet)]
    assert max(heights) <= 409


def test_a_care_home_round_says_why_of_residents_and_not_of_everybody_on_the_pathways_that_feed_it(tmp_path):
    """1 is a resident on the list, 2 a resident who was seen, 3 is sent by another pathway; 4 to 6 live at home."""
    elm = CareHome(id="H1", name="Elm House", postcode="QZ11ZA", named_lead="Dr E")
    round_ = {"pathway": "care_homes", "clinic_id": "care_home_round", "tier": None, "tier_rank": None}
    outcomes = [
        outcome(1, "listed", "clinic", priority_rank=1, clinic_date=date(2026, 11, 24), **round_),
        outcome(2, "not_listed", "clinic", state="attended", placement_reason="Seen on 20 November 2026", **round_),
        outcome(2, "not_listed", "excluded", pathway="diabetes", placement_reason="Checks are done", tier=None),
        outcome(3, "waiting", "clinic", priority_rank=1, **round_ | {"pathway": "diabetes"}),
        *(outcome(each, "not_listed", "excluded", pathway="diabetes", placement_reason="Checks are done", tier=None)
          for each in (4, 5, 6)),
    ]  # fmt: skip
    with small_run(tmp_path, people=[person(each) for each in range(1, 7)], outcomes=outcomes) as store:
        store.create("derived.variable_value", frame("derived.variable_value", []))
        store.execute(
            f"UPDATE identity.person SET postcode = 'QZ1 1ZA', nhs_number = NULL WHERE patient_key = '{key(1)}'"
        )
        write_direct_care(store, tmp_path / "out", context(care_homes=(elm,)))
    path = tmp_path / "out" / "A81001" / "care_home_round" / "clinic_list_care_home_round_TEST_2026-11-23.xlsx"
    book = CalamineWorkbook.from_path(str(path))
    rows = book.get_sheet_by_name("Not listed and why").to_python()
    assert sorted(row[0][-2:] for row in rows[1:]) == ["02", "03"]
    cover = "\n".join(str(cell) for row in book.get_sheet_by_name("Cover").to_python() for cell in row)
    assert "leaves out 3 people whom this clinic is not for" in cover
    [resident] = records(path, "List")
    assert resident["Why on this list"].startswith("• Lives at Elm House (H1)\n• ")
    assert resident["NHS number"] == "" and "• No NHS number in the record" in "• " + resident["Data gaps"]
