"""What stands in a record is text and nothing else in every output: no formula, no markup, no turned text."""

import csv
import io
import json
import re
import zipfile
from datetime import date

import pytest
from publish_example import CAPACITY, INDEX_DATE, OUTCOMES, context, frame, key, outcome, person, small_run
from pypdf import PdfReader
from python_calamine import CalamineWorkbook

from stratify import contracts
from stratify.publish import (
    ReturnedLine,
    write_bundles,
    write_direct_care,
    write_letters,
    write_packs,
    write_returned_rows,
)
from stratify.publish.words import without_marks
from stratify.quality.practices import practices_over_time, read_history, with_run
from stratify.quality.practices_page import practices_page
from stratify.rulebook import load_rule_book
from stratify.wording import load_wording

CORPUS = {
    "equals": '=HYPERLINK("http://evil.test","Zed")',
    "plus": "+1+1",
    "minus": "-2+3",
    "at": "@SUM(A1:A9)",
    "tab": "\t=1+1",
    "carriage_return": "\r=1+1",
    "wide_equals": "\uff1d1+1",
    "html": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "entity": "&lt;b&gt; &amp; \"q\" 'p'",
    "typst": "#strong[bold] $x$ `code` @ref <tag> */ // \\u{202e} #import",
    "template": "{practice} {{ 7*7 }} {why} %s ${x}",
    "header": '&P &N &L&"Arial"',
    "turned": "O'Neill-\u202egnol\u2066\u200f\ufeff",
    "controls": "Bell\x07 and \x1b[31mred\x00",
    "emoji": "Zoë 😀 👩\u200d🚀 日本",
    "apostrophes": "O'Neill ’Brien ``D’Arcy´",
    "long": "Featherstonehaugh-Cholmondeley" * 6,
    "spaces": "Von und zu " * 20,
}
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
NUMBERS = {name: number for number, name in enumerate(CORPUS, 101)}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Everything a run of such people writes: each text is a name, a practice, a venue, a doctor, a medicine."""
    folder = tmp_path_factory.mktemp("inert")
    people = [
        person(number, practice_code="A81001", usual_gp_id=CORPUS[name], preferred_language=CORPUS[name][:8])
        for name, number in NUMBERS.items()
    ]
    listed = [
        outcome(number, "listed", "clinic", clinic_id="copd_clinic", clinic_date=date(2026, 11, 24), priority_rank=rank)
        for rank, number in enumerate(NUMBERS.values(), 1)
    ]
    offered = [
        row | {"patient_key": key(number + 100), "placement": "offered", "decision": "self_management",
               "clinic_id": None, "offer_id": "copd_app", "state": "offered"}
        for number, row in zip(NUMBERS.values(), listed, strict=True)
    ]  # fmt: skip
    people += [
        each | {"patient_key": key(number + 100), "contact_preference": "sms" if number % 2 else "letter"}
        for number, each in zip(NUMBERS.values(), people, strict=True)
    ]
    with small_run(folder, people=people, outcomes=[*listed, *offered]) as store:
        for name, number in NUMBERS.items():
            for each in (number, number + 100):
                store.execute(
                    "UPDATE identity.person SET family_name = $1, given_names = $1, address_lines = $1, title = $1 "
                    "WHERE patient_key = $2",
                    [CORPUS[name], key(each)],
                )
        store.execute("UPDATE core.practice SET practice_name = $1", ["".join(CORPUS.values())])
        store.execute("UPDATE core.clinic_capacity SET venue = $1", [CORPUS["html"] + CORPUS["turned"]])
        for name in ("core.death", "core.gp_observation", "core.apc_spell", "core.community_contact", "core.referral",
                     "derived.variable_value", "core.patient_flag"):  # fmt: skip
            store.create(name, frame(name, []))
        accepted = [
            {"outcome_id": str(number), "patient_key": key(number), "pathway": "copd", "outcome": "accepted",
             "outcome_date": INDEX_DATE, "source": "LIST_RETURN"}
            for number in NUMBERS.values()
        ]  # fmt: skip
        store.create("core.outcome", frame("core.outcome", accepted))
        medicines = [
            {"patient_key": key(number), "dmd_term": CORPUS[name], "issue_date": date(2026, 11, 1)}
            for name, number in NUMBERS.items()
        ]
        store.create("core.gp_medication", frame("core.gp_medication", medicines))
        failed = [
            {"delivery_id": str(number), "week": INDEX_DATE, "row_reference": "R", "patient_key": key(number + 100),
             "practice_code": "A81001", "clinic_id": "self_management", "status": "failed",
             "delivery_date": date(2026, 11, 20)}
            for number in list(NUMBERS.values())[:9]
        ]  # fmt: skip
        store.create("audit.delivery", frame("audit.delivery", failed))
        agreed = [
            {"statement_id": str(number), "week": INDEX_DATE, "row_reference": f"R{number}", "patient_key": key(number),
             "action": "Ring the person", "practice_code": "A81001", "clinic_id": "copd_clinic", "owner_role": "GP",
             "due_date": date(2026, 11, 20), "is_done": False}
            for number in NUMBERS.values()
        ]  # fmt: skip
        store.create("audit.action", frame("audit.action", agreed))
        out, wording, book = folder / "out", load_wording(), load_rule_book()
        files = write_direct_care(store, out, context())
        files += write_packs(store, out, context(), book, wording.agenda)
        files += write_letters(store, out, context(), wording.letters)
        files += write_bundles(store, out, context(), book)
    lines = [ReturnedLine(text, "List!A1", "R", "wrong", "instead") for text in CORPUS.values()]
    files.append(write_returned_rows(out, "A81001", lines, context()))
    columns = contracts.load("audit.practice_count").column_names
    row = dict.fromkeys(columns, 900) | {"practice_code": "A81001", "table_name": "patient"}
    counts = with_run(
        read_history(folder / "none.csv"), frame("audit.practice_count", [row]), index_date=INDEX_DATE, run_id="r"
    )
    names = {"A81001": "".join(CORPUS.values())}
    page = folder / "out" / "practices.html"
    page.write_text(
        practices_page(
            practices_over_time(counts, names), title="Pages", index_date=INDEX_DATE, run_id="r", is_test=True
        ),
        encoding="utf-8",
    )
    return [*files, page]


def of_kind(outputs, suffix):
    found = [path for path in outputs if path.suffix == suffix]
    assert found
    return found


@pytest.mark.parametrize("name", CORPUS)
def test_a_text_of_a_record_is_inert_in_every_output(outputs, name):
    """Each text is there, as text: in the list, the offers, the pack and the letters; and in no bundle."""
    text = without_marks(CORPUS[name])
    book = next(path for path in of_kind(outputs, ".xlsx") if path.name.startswith("clinic_list"))
    sheets = [CalamineWorkbook.from_path(str(book)).get_sheet_by_name(each).to_python() for each in ("List", "Actions")]
    shown = {str(cell).strip() for sheet in sheets for row in sheet for cell in row}
    assert text.strip() in shown
    csvs = [
        list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
        for path in of_kind(outputs, ".csv")
    ]
    found = [cell for rows in csvs for row in rows for cell in row if cell.lstrip("'") == text or cell == text]
    assert found
    assert not [cell for cell in found if cell[:1] in tuple("=+-@\t\r\n\uff1d")]
    assert f"999000{1 + list(CORPUS).index(name):04}" in next(path for path in of_kind(outputs, ".json")).read_text(
        encoding="utf-8"
    )


def test_a_workbook_has_no_formula_no_link_and_no_mark(outputs):
    for path in of_kind(outputs, ".xlsx"):
        with zipfile.ZipFile(path) as archive:
            for part in archive.namelist():
                content = archive.read(part).decode("utf-8")
                assert "<f>" not in content and "<hyperlink" not in content, part
                assert not TURNING.search(content), part
            heads = re.findall(
                r"<oddHeader>(.*?)</oddHeader>", archive.read("xl/worksheets/sheet1.xml").decode("utf-8")
            )
            if path.name.startswith("clinic_list"):
                assert heads and len(heads[0]) < 500  # a header that is too long would be left out whole


def test_a_csv_begins_no_cell_like_a_formula_and_keeps_its_columns(outputs):
    for path in of_kind(outputs, ".csv"):
        text = path.read_bytes().decode("utf-8-sig")
        assert not TURNING.search(text)
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert len({len(row) for row in rows}) == 1
        assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r\n\uff1d")], path.name


def test_a_pdf_shows_markup_as_letters_and_has_no_link_out_and_no_mark(outputs):
    paths = of_kind(outputs, ".pdf")
    assert {path.name.partition("_TEST")[0] for path in paths} == {"meeting_pack_copd_clinic", "letters"}
    for path in paths:
        file = PdfReader(path)
        text = "\n".join(page.extract_text() for page in file.pages)
        assert not TURNING.search(text.replace("\u200b", ""))
        assert "#strong[bold]$x$`code`@ref<tag>" in re.sub(r"\s|\u200b", "", text)
        actions = [note.get_object().get("/A", {}) for page in file.pages for note in page.get("/Annots", [])]
        assert not [each for each in actions if "/URI" in each or "/JS" in each or "/Launch" in each]
        assert "/OpenAction" not in file.trailer["/Root"] and "/JavaScript" not in str(file.trailer["/Root"])


def test_the_head_of_each_page_of_a_pack_is_one_line_however_long_the_practice_is_called(outputs):
    """The name has some 900 letters. A page has 841.89 points, its upper margin 14 mm (39.7 points)."""
    path = next(path for path in of_kind(outputs, ".pdf") if path.name.startswith("meeting_pack"))
    for page in PdfReader(path).pages:
        lines = {}

        def look(text, page, place, *_, lines=lines):
            height = round(place[5] * page[3] + page[5])
            if text.strip() and height > 841.89 - 39.7:
                lines.setdefault(height, []).append(text)

        page.extract_text(visitor_text=look)
        assert len(lines) == 1 and "…" in "".join(*lines.values())


def test_a_bundle_names_nobody_and_its_texts_have_no_mark(outputs):
    for path in of_kind(outputs, ".json"):
        bundle = json.loads(path.read_text(encoding="utf-8"))
        organization = next(
            each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == "Organization"
        )
        rest = json.dumps(
            [each for each in bundle["entry"] if each["resource"] is not organization], ensure_ascii=False
        )
        assert not TURNING.search(json.dumps(bundle, ensure_ascii=False))
        assert "HYPERLINK" not in rest and "Featherstone" not in rest and "alert(" not in rest


def test_a_page_has_no_tag_of_a_record(outputs):
    for path in of_kind(outputs, ".html"):
        page = path.read_text(encoding="utf-8")
        assert "<script>alert" not in page and "<img src=x" not in page


def test_a_message_has_no_mark_and_the_batch_a_number_that_can_be_dialled(outputs):
    for path in of_kind(outputs, ".txt"):
        assert not TURNING.search(path.read_text(encoding="utf-8").replace("\r\n", "\n"))


def test_the_corpus_reaches_every_kind_of_output(outputs):
    assert {path.suffix for path in outputs} == {".xlsx", ".csv", ".pdf", ".json", ".txt", ".html"}
    assert {each["placement"] for each in OUTCOMES} and CAPACITY
