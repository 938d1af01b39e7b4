"""Explaining somebody by a superseded NHS number: found while the trace holds, two people when it does not."""

from pathlib import Path

import pytest

from whole_runs import KEY, counted_plainly, extract_set, refusal, settings_file, stratify

pytestmark = pytest.mark.slow  # whole runs, one after another

OLD, NEW, NOBODY = (extract_set.nhs(number) for number in (9, 1, 700))


def answered(outcome: str) -> dict[str, str]:
    survivor = NEW if outcome == "90" else ""
    return {"nhs_number": OLD, "surviving_nhs_number": survivor, "trace_outcome": outcome, "traced_date": "2025-11-20"}


def ran(folder: Path, *outcomes: str) -> Path:
    """A run in which the practice of person 1 has the number in use and another practice the old one, on a record."""
    records = [extract_set.patient("p1"), extract_set.patient("p9", org_code="A10002", nhs_number=OLD)]
    practices = [extract_set.practice(), extract_set.practice(practice_code="A10002")]
    registrations = [
        extract_set.registration("p1"),
        extract_set.registration("p9", org_code="A10002", practice_code="A10002", start_date="2005-01-01"),
    ]
    extract_set.write_set(
        folder / "extracts",
        patient=records,
        practice=practices,
        registration=registrations,
        gp_event=[extract_set.event(), extract_set.event("e9", org_code="A10002", source_patient_id="p9")],
        nhs_number_trace=[answered(each) for each in outcomes],
        opt_out=[extract_set.opt_out("NDO", "false", nhs_number=each) for each in (OLD, NEW)],
    )
    settings = settings_file(folder, folder / "extracts", folder / "out", index_date=extract_set.INDEX_DATE)
    with counted_plainly():
        done = stratify("run", "--settings", settings, STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0, done.output
    return folder / "out"


def explained(out: Path, number: str) -> str:
    done = stratify("explain", "--out", out, "--nhs-number", number, STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def merged(tmp_path_factory) -> Path:
    return ran(tmp_path_factory.mktemp("merged"), "90")


def test_a_superseded_number_leads_to_the_person_and_is_said_to_be_superseded(merged):
    by_old, by_new = explained(merged, OLD), explained(merged, NEW)
    assert "The NHS number asked about was superseded, as traced on 20 November 2025" in by_old
    assert "superseded" not in by_new
    said = [line for line in by_old.splitlines() if "number" not in line]
    assert said[:2] == by_new.splitlines()[:2]
    assert by_old.split("Person:")[1] == by_new.split("Person:")[1]
    assert not any(number in text for number in (OLD, NEW) for text in (by_old, by_new))


def test_taken_back_in_a_later_trace_each_number_leads_to_its_own_person_again(tmp_path):
    apart = ran(tmp_path, "00")
    by_old, by_new = explained(apart, OLD), explained(apart, NEW)
    assert "superseded" not in by_old + by_new
    assert "registered, A10002," in by_old and "registered, A10001," in by_new


def test_a_number_nobody_has_is_found_nowhere_and_not_repeated(merged):
    done = stratify("explain", "--out", merged, "--nhs-number", NOBODY, STRATIFY_IDENTITY_KEY=KEY)
    message = refusal(done, 9)
    assert NOBODY not in message and "nobody with that NHS number" in message
