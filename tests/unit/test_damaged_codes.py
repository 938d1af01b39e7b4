"""Codes that lost their last digits are counted by file and said in words, and so is why a run stopped over them."""

import pytest
from extract_set import event, landed, medication

from stratify.errors import QualityError
from stratify.ingest import count_damaged_codes, said_with_a_stop

WHOLE, DAMAGED = "35936411000001109", "35936411000001100"  # the last digit is the check digit
CODES = {"original_code": None, "original_system": None}
ISSUES = [medication(f"m{number}", dmd_code=DAMAGED if number < 3 else WHOLE, **CODES) for number in range(7)]
ENTRIES = [event(f"e{number}", snomed_code="13645006" if number == 0 else "13645005") for number in range(150)]
FAILS = "code that fails its check digit; the code is not used"
SAID = [
    (f"gp_event.csv: less than 1 % of 150 rows have a SNOMED CT {FAILS}", 1),
    (f"gp_medication.csv: 43 % of 7 rows have a dm+d {FAILS}", 3),  # 3 of 7 are 42.9 %
]


def test_damaged_codes_are_said_by_file_with_their_share(tmp_path):
    with landed(tmp_path, gp_medication=ISSUES, gp_event=ENTRIES) as store:
        assert count_damaged_codes(store) == SAID


def test_whole_codes_are_nothing_to_speak_of(tmp_path):
    with landed(tmp_path) as store:
        assert count_damaged_codes(store) == []


def test_a_run_that_stops_says_what_is_known_of_its_codes(tmp_path):
    fault = QualityError("data quality", expected="a sound feed", found="GPM-91-rejected", action="Ask the supplier.")
    with landed(tmp_path, gp_medication=ISSUES) as store:
        with pytest.raises(QualityError) as caught, said_with_a_stop(store):
            raise fault
        assert str(caught.value).endswith(f"Ask the supplier. Codes were damaged on their way: {SAID[1][0]} (3 rows).")
        assert DAMAGED not in str(caught.value)
    with landed(tmp_path / "sound") as store, pytest.raises(QualityError) as caught, said_with_a_stop(store):
        raise fault
    assert caught.value is fault
