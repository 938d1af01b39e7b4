"""NHS numbers of invented people: which a source links, and that none but 999 numbers stand in this repository."""

import re
from pathlib import Path

import pytest
from extract_set import CANONICAL, COUNTY, KEY, landed, nhs, opt_out, patient

from stratify import privacy
from stratify.codes import is_sentinel_nhs_number, nhs_check_digit, nhs_number_is_valid, verhoeff_is_valid
from stratify.errors import PrivacyError

ROOT = Path(__file__).parents[2]
SITE_KEY = bytes(range(32))
REFUSED_ON_PURPOSE = {
    "9434765919": "the example of the NHS Data Dictionary, for the check digit",
    "4000000004": "planted where a run must refuse it",
}


def _number(first_nine):
    """Complete a number here, so that it does not stand in the repository."""
    return first_nine + str(nhs_check_digit(first_nine))


NEVER_ISSUED = [_number("900000001"), _number("912345678"), _number("998999999"), nhs(1)]


@pytest.mark.parametrize("number", NEVER_ISSUED)
def test_a_synthetic_source_links_any_number_that_begins_with_nine(tmp_path, number):
    with landed(tmp_path, patient=[patient(nhs_number=number)]) as store:
        assert store.rows("SELECT patient_key FROM landing.patient") == [(privacy.pseudonym(KEY, number),)]
        assert store.scalar("SELECT count(*) FROM audit.rejected_row") == 0


@pytest.mark.parametrize("number", NEVER_ISSUED)
def test_a_real_source_links_none_of_them(tmp_path, number):
    with landed(tmp_path, source=CANONICAL, key=SITE_KEY, patient=[patient(nhs_number=number)]) as store:
        [(key,)] = store.rows("SELECT patient_key FROM landing.patient")
        assert key == privacy.local_pseudonym(SITE_KEY, "A10001", "p1")
        assert store.rows("SELECT rule_id FROM audit.rejected_row") == [("PAT-86-nhs-number",)]


def test_a_number_that_systems_write_for_many_people_is_linked_by_no_source(tmp_path):
    rows = [patient(nhs_number="9999999999")]
    with landed(tmp_path, source=COUNTY, patient=rows, opt_out=[opt_out("NDO", nhs_number="9999999999")]) as store:
        assert store.rows("SELECT rule_id FROM audit.rejected_row ORDER BY ALL") == [
            ("OPT-86-nhs-number",),
            ("PAT-86-nhs-number",),
        ]


@pytest.mark.parametrize("first_digit", "467")
def test_a_synthetic_source_with_a_number_that_is_issued_is_refused(tmp_path, first_digit):
    number = _number(first_digit + "00000120")
    with pytest.raises(PrivacyError, match=r"invented numbers only \(they begin with 9\)") as caught:  # noqa: SIM117
        with landed(tmp_path, patient=[patient(nhs_number=number)]):
            pass
    assert number not in str(caught.value)


def _looks_like_a_person(number):
    """A right check digit and no 999; ten-digit SNOMED ids (their own check digit, partition 00 to 02) are none."""
    if number.startswith("999") or number in REFUSED_ON_PURPOSE or is_sentinel_nhs_number(number):
        return False
    is_snomed = verhoeff_is_valid(number) and number[-3:-1] in ("00", "01", "02")
    return nhs_number_is_valid(number) and not is_snomed


def test_no_test_fixture_or_page_holds_an_nhs_number_outside_the_999_range():
    pages = [path for folder in ("tests", "docs") for path in sorted((ROOT / folder).rglob("*"))]
    found = []
    for path in (*pages, ROOT / "README.md", ROOT / "CHANGELOG.md"):
        if path.suffix in (".py", ".md", ".yaml", ".csv", ".json", ".txt", ".html"):
            text = path.read_text(encoding="utf-8")
            numbers = re.findall(r"(?<![\d.])(\d{3}[ -]?\d{3}[ -]?\d{4})(?!\d)", text)
            places = [re.sub("[ -]", "", number) for number in numbers]
            found += [path.relative_to(ROOT).as_posix() for number in places if _looks_like_a_person(number)]
    assert found == []


def test_that_search_would_find_one():
    assert _looks_like_a_person(_number("400000012")) and _looks_like_a_person(_number("912345678"))
    assert not _looks_like_a_person(nhs(1))
