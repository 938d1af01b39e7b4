"""Check digits of NHS numbers and SNOMED CT ids, against published examples."""

from __future__ import annotations

import pytest

from stratify.codes import (
    is_sentinel_nhs_number,
    is_unverified,
    nhs_check_digit,
    nhs_number_is_valid,
    nhs_number_range,
    statuses_of,
    verhoeff_is_valid,
)


def test_check_digit_of_the_data_dictionary_example():
    """943 476 591: 90+36+24+28+42+30+20+27+2 = 299 = 27 x 11 + 2, and 11 - 2 = 9."""
    assert nhs_check_digit("943476591") == 9


def test_check_digit_eleven_becomes_zero():
    """999 000 001: (10+9+8) x 9 + 1 x 2 = 245 = 22 x 11 + 3, so 8; 000 000 000 leaves 0, so 11, which is written 0."""
    assert nhs_check_digit("999000001") == 8
    assert nhs_check_digit("000000000") == 0


def test_check_digit_ten_is_never_issued():
    """999 000 000: 243 = 22 x 11 + 1, and 11 - 1 = 10."""
    assert nhs_check_digit("999000000") is None


@pytest.mark.parametrize("text", ["", "12345678", "1234567890", "12345678x", "１２３４５６７８９"])
def test_check_digit_needs_nine_plain_digits(text):
    assert nhs_check_digit(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("9434765919", True, id="published_example"),
        pytest.param("943 476 5919", True, id="spaces"),
        pytest.param("943-476-5919", True, id="hyphens"),
        pytest.param("9434765918", False, id="wrong_check_digit"),
        pytest.param("9434756919", False, id="two_digits_swapped"),
        pytest.param("9990000000", False, id="check_digit_would_be_ten"),
        pytest.param("123456789", False, id="leading_zero_lost"),
        pytest.param("0123456789", True, id="sentinel_still_passes_the_sum"),
        pytest.param("", False, id="empty"),
        pytest.param("94347659190", False, id="eleven_digits"),
    ],
)
def test_nhs_number_validity(text, expected):
    assert nhs_number_is_valid(text) is expected


@pytest.mark.parametrize("digit", "0123456789")
def test_repeated_digits_pass_the_check_but_are_sentinels(digit):
    assert nhs_number_is_valid(digit * 10)
    assert is_sentinel_nhs_number(digit * 10)


def test_sentinels_are_few():
    assert is_sentinel_nhs_number("012 345 6789")
    assert not is_sentinel_nhs_number("9434765919")
    assert not is_sentinel_nhs_number("1111")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("4000000000", "england", id="first_of_england"),
        pytest.param("4999999999", "england", id="last_of_4"),
        pytest.param("5000000000", "other", id="five_is_reserved"),
        pytest.param("6000000000", "england", id="first_of_6"),
        pytest.param("7999999999", "england", id="last_of_7"),
        pytest.param("8000000000", "other", id="ireland"),
        pytest.param("0009999999", "other", id="below_chi"),
        pytest.param("0010000000", "scotland_chi", id="first_chi"),
        pytest.param("3112999999", "scotland_chi", id="last_chi"),
        pytest.param("3113000000", "other", id="after_chi"),
        pytest.param("3200000000", "northern_ireland", id="first_of_northern_ireland"),
        pytest.param("8999999999", "other", id="last_before_nine"),
        pytest.param("9000000000", "test", id="first_of_nine"),
        pytest.param("9989999999", "test", id="below_999"),
        pytest.param("999 000 0018", "test", id="first_of_test_with_spaces"),
        pytest.param("12", "other", id="no_number"),
    ],
)
def test_nhs_number_ranges(text, expected):
    assert nhs_number_range(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("13645005", True, id="copd"),
        pytest.param("313223002", True, id="fev1_percent"),
        pytest.param("999791000000106", True, id="hba1c"),
        pytest.param("1777541000006105", True, id="right_id"),
        pytest.param("1777541000006100", False, id="damaged_by_a_spreadsheet"),
        pytest.param("13645006", False, id="wrong_check_digit"),
        pytest.param("13654005", False, id="two_digits_swapped"),
        pytest.param("1.3645E7", False, id="a_float"),
        pytest.param("013645005", False, id="leading_zero"),
        pytest.param("12345", False, id="too_short"),
        pytest.param("", False, id="empty"),
    ],
)
def test_verhoeff(text, expected):
    assert verhoeff_is_valid(text) is expected


def test_only_a_verified_number_leads_to_a_contact_as_it_is():
    """NHS Data Dictionary, NHS NUMBER STATUS INDICATOR CODE: 01 is verified; 04 and 05 were traced to no one person."""
    assert statuses_of("verified") == ("01",)
    assert statuses_of("unverified") == ("02", "03", "06", "07", "08")
    assert statuses_of("unresolved") == ("04", "05")
    assert [is_unverified(each) for each in ("01", "02", "05", None)] == [False, True, True, False]
