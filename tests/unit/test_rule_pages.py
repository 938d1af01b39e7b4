"""The rule book as pages, HTML and a workbook: what stands on them, and that a folder of them is kept up to date."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from python_calamine import CalamineWorkbook

from stratify.errors import RuleError
from stratify.publish.rule_workbook import write_rule_workbook
from stratify.rule_html import as_html
from stratify.rule_pages import USES, keep_pages, pages
from stratify.rule_sheets import sheets
from stratify.rulebook import load_rule_book


@pytest.fixture(scope="module")
def book():
    return load_rule_book()


@pytest.fixture(scope="module")
def found(book):
    return pages(book, {"scores": {"efi": ("0.9.0", "0.9.1")}})


def test_the_index_leads_to_every_score_and_pathway_once(book, found):
    targets = re.findall(r"\]\(((?:scores|pathways)/\w+\.md)\)", found["README.md"].split("## How to read")[0])
    scores = [each for each in targets if each.startswith("scores/")]
    tiers_from = {each.tier_from for each in book.pathways.values()}
    assert set(targets) == set(found) - {"README.md", "measurements.md", "codelists.md"}
    graded = [each for each in book.pathways.values() if each.tier_from]
    assert len(scores) == len(book.scores) + len(graded), "once by its use, once where a pathway takes its tiers"
    assert tiers_from - {None} < {each.removeprefix("scores/").removesuffix(".md") for each in scores}


def test_every_shipped_score_has_a_use_of_its_own(book):
    assert [each.id for each in book.scores.values() if each.use == "other"] == []
    assert {each.use for each in book.scores.values()} | {"other"} == set(USES)


def test_an_example_says_who_what_was_found_and_the_answer(found):
    page = found["scores/hospital_frailty.md"]
    assert (
        "| just above 15 | aged 80; Hospital Frailty Risk Score, points: 15.1 | High hospital frailty risk; 15.1 points"
        in page
    )
    assert (
        "| hospital data not linked leaves every tier possible | aged 80; hospital data not linked | no tier settled;"
        " every tier still possible; missing: Hospital Frailty Risk Score, points |" in page
    )
    page = found["scores/copd_priority_group.md"]
    assert (
        "| worked example: FEV1 61, MRC 4 | On the COPD register; FEV1, percent of predicted: 61 %; MRC dyspnoea grade:"
        " 4 | Group 2, high risk (HR) |" in page
    )
    assert "| very severe airflow obstruction | " in found["pathways/copd.md"]
    assert (
        "| Multi-professional COPD clinic; by route `highest_groups`; tier Group 1, high risk"
        in (found["pathways/copd.md"])
    )


def test_every_worked_example_of_every_definition_is_on_its_page_with_an_answer(book, found):
    for definition, examples in book.examples.items():
        folder = "scores" if definition in book.scores else "pathways"
        told = found[f"{folder}/{definition}.md"].split("## Example patients")[1].splitlines()
        rows = [line for line in told if line.startswith("| ") and not line.startswith("| Example ")]
        assert len(rows) == len(examples), definition
        assert [row for row in rows if row.endswith("| nothing |")] == [], definition


def test_a_score_of_codes_with_points_shows_every_code(found):
    page = found["scores/hospital_frailty.md"]
    assert "What each diagnosis adds, 109 codes:" in page
    assert re.search(r"^\| F00 \| .* \| 7\.1 \|$", page, flags=re.MULTILINE)  # Gilbert 2018, the heaviest


def test_points_are_said_in_whole_numbers_and_percent_where_they_are(found):
    lace = found["scores/lace.md"]
    assert "| Length of stay | below 1 day | 0 |\n|  | at least 1 and below 2 days | 1 |" in lace
    assert "| Charlson comorbidity index (1987 weights) | none | 0 |\n|  | 1 | 1 |" in lace
    assert "|  | 4 or more | 5 |" in lace
    assert "| Above 5 % in 5 years | above 5 % |" in found["scores/kfre_uk_5_year.md"]


def test_a_doi_is_a_link_and_versions_that_were_recorded_are_told(found):
    assert (
        "[doi:10.1016/S0140-6736(18)30668-8](https://doi.org/10.1016/S0140-6736%2818%2930668-8);"
        in (found["scores/hospital_frailty.md"])
    )
    assert "- 1.0.0: this one.\n- 0.9.1: replaced.\n- 0.9.0: replaced.\n" in found["scores/efi.md"]


def test_a_folder_of_pages_is_kept_up_to_date(found, tmp_path):
    few = {name: found[name] for name in ("README.md", "scores/efi.md")}
    assert keep_pages(tmp_path, few) == "2 pages of the rule book; 2 written, 0 taken away"
    (tmp_path / "own.md").write_text("# Somebody's own page\n")
    (tmp_path / "scores" / "gone.md").write_text(found["scores/efi.md"])
    (tmp_path / "scores" / "efi.md").write_text("<!-- Made by hand -->")
    with pytest.raises(RuleError, match=r"1 stale or missing page, 1 left over: scores/efi\.md, scores/gone\.md"):
        keep_pages(tmp_path, few, check_only=True)
    assert keep_pages(tmp_path, few) == "2 pages of the rule book; 1 written, 1 taken away"
    assert keep_pages(tmp_path, few, check_only=True).endswith("0 written, 0 taken away")
    assert (tmp_path / "own.md").exists()


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.targets += [value for name, value in attrs if tag == "a" and name == "href" and value]


def test_html_pages_link_among_themselves_and_to_nothing_else_but_dois(found):
    html = as_html(found)
    assert set(html) == {name.replace("README", "index").replace(".md", ".html") for name in found}
    for name, page in html.items():
        links = _Links()
        links.feed(page)
        for target in links.targets:
            if not target.startswith("https://doi.org/"):
                place = "/".join([*name.split("/")[:-1], target.split("#")[0]]).replace("scores/../", "")
                assert place.replace("pathways/../", "") in html, (name, target)
        assert "<table>" in page or name == "measurements.html"
    assert "How to change a rule" in html["index.html"]  # the words stay where the link goes


def test_the_workbook_has_the_same_rules_examples_and_codelists(book, tmp_path):
    path = tmp_path / "rules.xlsx"
    write_rule_workbook(path, sheets(book))
    again = tmp_path / "again.xlsx"
    write_rule_workbook(again, sheets(book))
    assert path.read_bytes() == again.read_bytes()
    workbook = CalamineWorkbook.from_path(path)
    assert workbook.sheet_names == ["How to read", "Scores", "Rules", "What is read", "Example patients", "Codelists"]
    rows = {name: workbook.get_sheet_by_name(name).to_python() for name in workbook.sheet_names}
    assert len(rows["Scores"]) == len(book.scores) + 1
    assert len(rows["Codelists"]) == len(book.codelists) + 1
    assert len(rows["Example patients"]) == sum(map(len, book.examples.values())) + 1
    high = ["Hospital Frailty Risk Score", "tier", "1", "High hospital frailty risk", "above 15 points", ""]
    assert high in rows["Rules"]
    cells = [str(cell) for each in rows.values() for row in each for cell in row]
    assert [cell for cell in cells if "**" in cell or "<br>" in cell] == []
