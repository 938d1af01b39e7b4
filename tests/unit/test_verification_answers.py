"""The plain second derivation: where it must be as careful as what it checks."""

from __future__ import annotations

from datetime import date

import pytest

from stratify.rulebook import clinical_folder
from stratify.verification.answers import Person
from stratify.verification.definitions import read_definitions


@pytest.mark.parametrize("score", ["cambridge_mortality_20", "efi2"])
@pytest.mark.parametrize(("age", "is_given"), [(None, False), (50, True)])
def test_a_score_of_an_age_has_no_value_where_the_age_is_not_known(score, age, is_given):
    # With no record of anything, what these scores add up is exact; whom they are for is not known without an age.
    known = {"sex": "M", "is_hospital_linked": True, "registered_date": date(2020, 1, 1), "imd_decile": 5}
    person = Person(known | {"age_years": age}, {}, read_definitions(clinical_folder()), date(2026, 11, 2))
    assert (person.score(score).value is not None) is is_given
