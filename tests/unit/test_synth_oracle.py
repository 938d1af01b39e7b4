"""The oracle on people made by hand: answers worked out from the words of the rules, not from the pipeline."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from stratify.errors import RunError
from stratify.synth import clinical_codes as codes
from stratify.synth import oracle
from stratify.synth.recorded import DEFICIT_CODES, Fact, Records

INDEX = date(2026, 11, 2)
NUMBER = "9990000018"
COPD = codes.COPD_DIAGNOSES[0].code
FLARE = codes.COPD_EXACERBATIONS[0].code


def person(**changes: Any) -> Records:
    """A man of 70, registered for ten years, hospital data linked, no objection, nothing in his record."""
    patient = {
        "org_code": "Y00001", "source_patient_id": "000001", "nhs_number": NUMBER, "date_of_birth": "1956-03-01",
        "sex": "M", "date_of_death": None, "is_test_patient": "false", **changes.pop("patient", {}),
    }  # fmt: skip
    registration = {
        "org_code": "Y00001", "source_patient_id": "000001", "practice_code": "Y00001", "registration_type": "REGULAR",
        "start_date": "2016-11-01", "end_date": None, **changes.pop("registration", {}),
    }  # fmt: skip
    checked = {
        "opt_out_type": "NDO", "is_opted_out": "false", "effective_from": None, "checked_at": "2026-11-01T06:00:00",
        "expires_at": "2026-11-08T06:00:00",
    }  # fmt: skip
    objections = changes.pop("objections", [checked])
    others = {"patients": changes.pop("other_patients", []), "registrations": changes.pop("other_registrations", [])}
    return Records(
        patients=[patient, *others["patients"]],
        registrations=[registration, *others["registrations"]],
        objections=objections,
        **changes,
    )


def entry(code: str, day: str) -> dict[str, str]:
    return {"snomed_code": code, "effective_date": day}


def measured(code: str, day: str, value: str, unit: str | None = None) -> dict[str, str | None]:
    return {"snomed_code": code, "effective_date": day, "value_num": value, "unit_raw": unit}


def fev1(value: str, day: str = "2026-05-01", unit: str | None = "%") -> dict[str, str | None]:
    return measured(codes.FEV1_PERCENT.code, day, value, unit)


def mrc(grade: int, day: str = "2026-05-01") -> dict[str, str]:
    return entry(codes.MRC_GRADES[grade - 1].code, day)


def issued(medicine: codes.Medicine, day: str) -> dict[str, str | None]:
    return {"issue_date": day, "dmd_code": medicine.code, "bnf_code": medicine.bnf_code, "original_code": None}


def episode(
    day: str, *diagnoses: str, method: str = "21", order: int = 1, number: str | None = NUMBER
) -> dict[str, str | None]:
    slots = {f"diag_{place:02d}": None for place in range(1, 21)}
    listed = {f"diag_{place:02d}": code for place, code in enumerate(diagnoses, 1)}
    return {
        "provider_code": "RZ9", "cds_unique_id": f"C{order}", "nhs_number": number, "spell_id": "S1",
        "episode_order": str(order), "admission_date": day, "admission_method": method, **slots, **listed,
    }  # fmt: skip


def deficits(count: int) -> list[dict[str, str]]:
    """Entries of so many different deficits, all ten years old."""
    one_each = {name: code for code, name in sorted(DEFICIT_CODES.items(), reverse=True)}
    return [entry(code, "2016-02-02") for _, code in sorted(one_each.items())[:count]]


def conclude(records: Records, index_date: date = INDEX) -> dict[str, Any]:
    return oracle.conclude(records, index_date=index_date)


def copd(**changes: Any) -> dict[str, Any]:
    """Conclude about somebody on the COPD register with FEV1 85 and MRC 1 unless told otherwise."""
    events = [entry(COPD, "2020-01-01"), *changes.pop("mrc", [mrc(1)]), *changes.pop("events", [])]
    observations = [*changes.pop("fev1", [fev1("85")]), *changes.pop("observations", [])]
    return conclude(person(events=events, observations=observations, **changes))


def route(answers: dict[str, Any], pathway: str = "copd") -> tuple[Any, Any, Any]:
    return answers[f"{pathway}_decision"], answers[f"{pathway}_clinic"], answers[f"{pathway}_rule"]


@pytest.mark.parametrize(
    ("changes", "group", "left_open"),
    [
        pytest.param({}, "LR", "LR", id="all known and nothing wrong"),
        pytest.param({"fev1": [fev1("29")]}, "HRC", "HRC", id="FEV1 below 30"),
        pytest.param({"fev1": [fev1("30")]}, "HR", "HR", id="FEV1 on 30"),
        pytest.param({"fev1": [fev1("50")]}, "MR", "MR", id="FEV1 on 50"),
        pytest.param({"fev1": [fev1("80")]}, "LR", "LR", id="FEV1 on 80"),
        pytest.param({"fev1": []}, None, "HRC;HR;MR;LR", id="no FEV1, MRC 1"),
        pytest.param({"fev1": [], "mrc": [mrc(2)]}, "MR", "HRC;HR;MR", id="no FEV1, MRC 2"),
        pytest.param({"fev1": [], "mrc": [mrc(4)]}, "HR", "HRC;HR", id="no FEV1, MRC 4"),
        pytest.param({"fev1": [], "mrc": [mrc(5)]}, "HRC", "HRC", id="no FEV1, MRC 5"),
        pytest.param({"fev1": [fev1("28", "2024-11-01")]}, None, "HRC;HR;MR;LR", id="FEV1 a day past 24 months"),
        pytest.param({"fev1": [fev1("28", "2024-11-02")]}, "HRC", "HRC", id="FEV1 just 24 months old"),
        pytest.param({"fev1": [fev1("28", "2026-11-02")]}, None, "HRC;HR;MR;LR", id="FEV1 on the index date"),
        pytest.param({"fev1": [fev1("2.1", unit="L")]}, None, "HRC;HR;MR;LR", id="litres under the percent code"),
        pytest.param(
            {"fev1": [fev1("28", "2025-01-01"), fev1("2.1", "2026-01-01", None)]}, None, "HRC;HR;MR;LR",
            id="an older value never stands in for one that cannot be used",
        ),
        pytest.param({"mrc": [mrc(5, "2020-01-01"), mrc(1)]}, "LR", "LR", id="an old MRC 5 is not today's grade"),
        pytest.param({"mrc": [mrc(1, "2025-08-01")]}, None, "HRC;HR;MR;LR", id="MRC a day past 15 months"),
        pytest.param(
            {"mrc": [], "observations": [measured(codes.MMRC_SCORE.code, "2026-05-01", "3")]}, "HR", "HR",
            id="mMRC 3 is MRC 4",
        ),
        pytest.param({"fev1": [fev1("28", unit=" %  Predicted")]}, "HRC", "HRC", id="percent in other letters"),
        pytest.param(
            {"mrc": [], "observations": [measured(codes.MRC_GRADES[1].code, "2026-05-01", "4")]}, None, "HRC;HR;MR;LR",
            id="a grade whose value says another",
        ),
        pytest.param(
            {"mrc": [], "observations": [measured(codes.MRC_SCORE.code, "2026-05-01", "4", "%")]}, None, "HRC;HR;MR;LR",
            id="an MRC score in percent",
        ),
        pytest.param({"events": [entry(codes.LONG_TERM_OXYGEN.code, "2025-11-02")]}, "HRC", "HRC", id="home oxygen"),
        pytest.param({"events": [entry(codes.LONG_TERM_OXYGEN.code, "2025-11-01")]}, "LR", "LR", id="oxygen long ago"),
        pytest.param({"events": [entry(codes.COR_PULMONALE.code, "2021-11-02")]}, "HR", "HR", id="cor pulmonale"),
        pytest.param(
            {"events": [entry(FLARE, "2026-01-01"), entry(FLARE, "2026-01-15")]}, "MR", "MR",
            id="two entries 14 days apart are one flare-up",
        ),
        pytest.param(
            {"events": [entry(FLARE, "2026-01-01"), entry(FLARE, "2026-01-16")]}, "HR", "HR",
            id="two entries 15 days apart are two",
        ),
        pytest.param(
            {"events": [entry(FLARE, f"2026-01-{day:02d}") for day in (1, 12, 23)]}, "MR", "MR",
            id="each within 14 days of the one before, though not of the first",
        ),
        pytest.param({"issues": [issued(codes.ANTIBIOTICS[0], "2026-01-01")]}, "LR", "LR", id="antibiotics once"),
        pytest.param(
            {"issues": [issued(each, "2026-01-01") for each in codes.ANTIBIOTICS]}, "LR", "LR",
            id="three antibiotics on one day are one day",
        ),
        pytest.param({"issues": [issued(codes.PREDNISOLONE, "2025-11-02")]}, "MR", "MR", id="prednisolone"),
        pytest.param(
            {"issues": [issued(codes.TIOTROPIUM, "2026-06-01"), issued(codes.LABA_ICS, "2026-07-01")]}, "MR", "MR",
            id="three classes in two inhalers",
        ),
        pytest.param(
            {"issues": [issued(codes.TIOTROPIUM, "2026-05-01"), issued(codes.LABA_ICS, "2026-07-01")]}, "LR", "LR",
            id="one of them more than 6 months ago",
        ),
    ],
)  # fmt: skip
def test_priority_group_by_hand(changes, group, left_open):
    answers = copd(**changes)
    assert (answers["copd_group"], answers["copd_groups_open"]) == (group, left_open)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, ("self_management", None, "lower_groups"), id="low risk"),
        pytest.param({"fev1": []}, ("assessment", "assessment", "cannot_grade"), id="not graded"),
        pytest.param({"fev1": [], "mrc": [mrc(4)]}, ("clinic", "copd_clinic", "highest_groups"), id="HRC or HR"),
        pytest.param(
            {"fev1": [fev1("60"), fev1("40")]}, ("clinician_review", "clinician_review", "contradictory"),
            id="two values on one day",
        ),
        pytest.param(
            {"fev1": [fev1("60"), fev1("40")], "mrc": [mrc(5)]}, ("clinic", "copd_clinic", "highest_groups"),
            id="two values that change nothing",
        ),
        pytest.param(
            {"fev1": [], "episodes": [episode("2026-01-01", "J440")]}, ("clinic", "copd_clinic", "emergency_admission"),
            id="emergency admission",
        ),
        pytest.param(
            {"episodes": [episode("2026-01-01", "J440", method="11")]}, ("self_management", None, "lower_groups"),
            id="planned admission",
        ),
        pytest.param(
            {"episodes": [episode("2026-01-01", "J440", method="2B")]}, ("self_management", None, "lower_groups"),
            id="moved from another hospital",
        ),
        pytest.param(
            {"episodes": [episode("2026-01-01", "J440", number=None), episode("2026-01-01", "J440", order=2)]},
            ("self_management", None, "lower_groups"), id="first episode of the stay is nobody's",
        ),
        pytest.param(
            {"episodes": [episode("2026-01-01", "J181", "J440")]}, ("self_management", None, "lower_groups"),
            id="COPD as a secondary diagnosis",
        ),
        pytest.param(
            {"episodes": [episode("2026-01-01", "J181"), episode("2026-01-01", "J440", order=2)]},
            ("self_management", None, "lower_groups"), id="COPD in the second episode only",
        ),
        pytest.param(
            {"patient": {"nhs_number": None}, "objections": []}, ("assessment", "assessment", "cannot_grade"),
            id="admissions not known without an NHS number",
        ),
        pytest.param(
            {"events": [entry(codes.CARE_HOME_RESIDENTIAL.code, "2024-11-02")]},
            ("clinic", "care_home_round", "care_home"), id="care home",
        ),
        pytest.param(
            {"flags": [{"flag": "PALLIATIVE", "start_date": "2026-01-01", "end_date": None}],
             "events": [entry(codes.CARE_HOME_RESIDENTIAL.code, "2025-11-02")]},
            ("clinic", "palliative_review", "palliative"), id="palliative care in a care home",
        ),
        pytest.param(
            {"flags": [{"flag": "PALLIATIVE", "start_date": "2026-01-01", "end_date": "2026-11-02"}]},
            ("self_management", None, "lower_groups"), id="palliative care ended",
        ),
        pytest.param(
            {"registration": {"end_date": "2026-10-01"}}, ("excluded", None, "person_status"), id="has left",
        ),
        pytest.param(
            {"deaths": [{"source": "PDS"}], "fev1": []}, ("excluded", None, "person_status"), id="has died",
        ),
    ],
)  # fmt: skip
def test_copd_route_by_hand(changes, expected):
    assert route(copd(**changes)) == expected


@pytest.mark.parametrize(
    ("events", "register"),
    [
        pytest.param([entry(COPD, "2020-01-01")], "yes", id="diagnosis"),
        pytest.param([], "no", id="nothing"),
        pytest.param(
            [entry(COPD, "2020-01-01"), entry(codes.COPD_RESOLVED.code, "2021-01-01")], "no", id="resolved later"
        ),
        pytest.param(
            [entry(codes.COPD_RESOLVED.code, "2020-01-01"), entry(FLARE, "2021-01-01")], "yes", id="came back"
        ),
        pytest.param(
            [entry(COPD, "2020-01-01"), entry(codes.COPD_RESOLVED.code, "2020-01-01")],
            "contradictory",
            id="both on one day",
        ),
    ],
)
def test_register_by_hand(events, register):
    answers = conclude(person(events=events))
    assert answers["on_copd_register"] == register
    assert answers.get("copd_rule") == {"yes": "cannot_grade", "no": None, "contradictory": "contradictory"}[register]


@pytest.mark.parametrize(
    ("count", "tier", "rule"),
    [(0, "fit", "fit"), (4, "fit", "fit"), (5, "mild", "mild"), (8, "mild", "mild"),
     (9, "moderate", "moderate_or_severe"), (12, "moderate", "moderate_or_severe"),
     (13, "severe", "moderate_or_severe"), (35, "severe", "moderate_or_severe")],
)  # fmt: skip
def test_frailty_by_deficits(count, tier, rule):
    answers = conclude(person(events=deficits(count)))
    assert (answers["efi_deficits"], answers["efi_tier"], answers["frailty_rule"]) == (count, tier, rule)


def test_five_substances_are_a_deficit_and_two_strengths_of_one_are_not():
    five = [issued(each, "2026-03-01") for each in codes.REPEAT_MEDICINES[:5]]
    again = {**five[0], "bnf_code": f"{five[0]['bnf_code']}ZZ", "dmd_code": "1"}
    assert conclude(person(issues=five))["efi_deficits"] == 1
    assert conclude(person(issues=[*five[:4], again]))["efi_deficits"] == 0


@pytest.mark.parametrize(
    ("count", "tier", "left_open", "rule"),
    [(0, None, "severe;moderate;mild;fit", "cannot_grade"), (5, "mild", "severe;moderate;mild", "cannot_grade"),
     (9, "moderate", "severe;moderate", "moderate_or_severe")],
)  # fmt: skip
def test_a_recent_joiner_may_be_frailer_than_the_record_shows(count, tier, left_open, rule):
    answers = conclude(person(events=deficits(count), registration={"start_date": "2025-11-03"}))
    assert (answers["efi_tier"], answers["efi_tiers_open"], answers["frailty_rule"]) == (tier, left_open, rule)
    answers = conclude(person(events=deficits(count), registration={"start_date": "2025-11-02"}))
    assert answers["frailty_rule"] != "cannot_grade"


def test_nobody_below_65_is_on_the_frailty_pathway():
    assert "frailty_decision" not in conclude(person(patient={"date_of_birth": "1961-11-03"}, events=deficits(20)))
    assert conclude(person(patient={"date_of_birth": "1961-11-02"}))["frailty_rule"] == "fit"


OLD = {"date_of_birth": "1946-03-01"}


@pytest.mark.parametrize(
    ("diagnoses", "points", "tier", "rule"),
    [
        pytest.param(("G309", "G308", "W190"), 7.2, "intermediate", "fit", id="worked example, G30 once"),
        pytest.param(("F03X", "E86X", "S720", "L893", "N179", "R268", "R296"), 15.5, "high", "hospital_frailty_high",
                     id="worked example, high"),
        pytest.param(("J440", "I10X"), 0.0, "low", "fit", id="worked example, none of the codes"),
        pytest.param(("F009", "G309", "R268", "K529", "I951", "I639"), 16.4, "high", "hospital_frailty_high",
                     id="sum of tenths"),
    ],
)  # fmt: skip
def test_hospital_frailty_by_hand(diagnoses, points, tier, rule):
    answers = conclude(person(patient=OLD, episodes=[episode("2024-11-02", *diagnoses)]))
    assert (answers["hospital_frailty_points"], answers["hospital_frailty_tier"]) == (points, tier)
    assert answers["frailty_rule"] == rule


def test_hospital_frailty_without_a_stay_a_link_or_the_age():
    assert conclude(person(patient=OLD))["hospital_frailty_tiers_open"] is None
    assert conclude(person(patient=OLD, episodes=[episode("2024-11-01", "F009")]))["hospital_frailty_points"] is None
    unlinked = conclude(person(patient={**OLD, "nhs_number": None}))
    assert unlinked["hospital_frailty_tiers_open"] == "high;intermediate;low"
    assert unlinked["frailty_rule"] == "fit"  # passed over, shown as a gap
    young = conclude(person(patient={"date_of_birth": "1951-11-03"}, episodes=[episode("2026-01-01", "F009")]))
    assert (young["age_years"], young["hospital_frailty_points"]) == (74, None)


def test_a_diagnosis_nobody_weighed_is_a_fault_and_never_nought():
    with pytest.raises(RunError, match="1 others, the first Q99"):
        conclude(person(patient=OLD, episodes=[episode("2026-01-01", "Q999")]))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({}, "registered", id="registered"),
        pytest.param({"registration": {"end_date": "2026-11-02"}}, "left", id="left on the index date"),
        pytest.param({"registration": {"end_date": "2026-11-03"}}, "registered", id="leaves tomorrow"),
        pytest.param({"registration": {"registration_type": "TEMPORARY"}}, "temporary", id="temporary"),
        pytest.param({"patient": {"is_test_patient": "true"}}, "test_patient", id="test record"),
        pytest.param({"patient": {"date_of_death": "2026-01-01"}}, "died", id="died, says the practice"),
        pytest.param({"deaths": [{"source": "ONS"}], "patient": {"is_test_patient": "true"}}, "died", id="died first"),
    ],
)
def test_status_by_hand(changes, status):
    assert conclude(person(**changes))["person_status"] == status


def objection(kind: str, opted_out: bool = True, since: str | None = "2020-01-01", checked: str = "2026-11-01"):
    return {
        "opt_out_type": kind, "is_opted_out": str(opted_out).lower(), "effective_from": since,
        "checked_at": f"{checked}T06:00:00", "expires_at": None,
    }  # fmt: skip


FRESH = objection("NDO", False, None)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        pytest.param([FRESH], None, id="asked, no objection"),
        pytest.param([], "national opt-out not checked", id="never asked"),
        pytest.param([objection("NDO", False, checked="2026-10-26")], None, id="asked seven days ago"),
        pytest.param(
            [objection("NDO", False, checked="2026-10-25")], "national opt-out not checked", id="asked too long ago"
        ),
        pytest.param([objection("NDO", checked="2020-01-01")], "national data opt-out", id="national, however old"),
        pytest.param([FRESH, objection("TYPE1")], "Type 1 opt-out", id="type 1"),
        pytest.param([FRESH, objection("TYPE1"), objection("TYPE1", False, "2021-01-01")], None, id="withdrawn"),
        pytest.param(
            [FRESH, objection("TYPE1"), objection("TYPE1", False, "2026-11-03")], "Type 1 opt-out",
            id="withdrawn from tomorrow",
        ),
        pytest.param(
            [FRESH, objection("TYPE1"), objection("TYPE1", False)], "Type 1 opt-out", id="a tie leaves it standing"
        ),
        pytest.param([objection("NDO"), objection("TYPE1")], "Type 1 opt-out", id="the first reason of two"),
        pytest.param(
            [FRESH, objection("RISK_STRAT_LOCAL")], "local objection to risk stratification", id="local objection"
        ),
        pytest.param([FRESH, objection("SMS_DISSENT")], None, id="a channel is no objection"),
    ],
)  # fmt: skip
def test_objections_by_hand(rows, reason):
    assert conclude(person(objections=rows))["withheld_because"] == reason


def test_without_a_number_only_the_practice_can_be_objected_to():
    nobody = {"nhs_number": None}
    assert conclude(person(patient=nobody, objections=[]))["withheld_because"] is None
    assert conclude(person(patient=nobody, objections=[objection("TYPE1")]))["withheld_because"] == "Type 1 opt-out"


def test_windows_end_at_the_last_day_of_a_shorter_month():
    """Six months before 31 August 2026 is 28 February."""
    records = person(
        events=[entry(COPD, "2020-01-01"), mrc(1)],
        observations=[fev1("85")],
        issues=[issued(codes.TRIPLE_INHALERS[0], "2026-02-28")],
    )
    assert conclude(records, date(2026, 8, 31))["copd_group"] == "MR"
    assert conclude(records, date(2026, 9, 1))["copd_group"] == "LR"


OTHER = {"org_code": "Y00002", "source_patient_id": "000009"}


def as_it_is(**changes: Any) -> dict[str, Any]:
    """Another record of the same man."""
    patients = person().patients
    return {**patients[0], **OTHER, **changes}


@pytest.mark.parametrize(
    ("records", "age", "is_doubtful"),
    [
        pytest.param(person(), 70, False, id="one record"),
        pytest.param(person(patient={"date_of_birth": None}), None, True, id="no date of birth"),
        pytest.param(person(patient={"date_of_birth": "1906-11-02"}), 120, True, id="120 today"),
        pytest.param(person(patient={"date_of_birth": "1906-11-03"}), 119, False, id="120 tomorrow"),
        pytest.param(person(patient={"date_of_birth": "2026-12-01"}), None, True, id="not born yet"),
        pytest.param(person(other_patients=[as_it_is(date_of_birth="1957-03-02")]), 70, False, id="366 days apart"),
        pytest.param(person(other_patients=[as_it_is(date_of_birth="1957-03-03")]), None, True, id="367 days apart"),
        pytest.param(person(other_patients=[as_it_is(sex="F")]), 70, True, id="two sexes"),
        pytest.param(person(other_patients=[as_it_is(sex="U")]), 70, False, id="one sex not recorded"),
    ],
)
def test_whose_record_it_is_may_be_in_doubt(records, age, is_doubtful):
    answers = conclude(records)
    assert (answers["age_years"], answers["identity_in_doubt"]) == (age, is_doubtful)
    if is_doubtful:
        # Whoever may be 65 is looked at: not knowing the age keeps nobody off the frailty pathway.
        assert route(answers, "frailty") == ("clinician_review", "clinician_review", "identity_doubt")


def test_the_current_practice_speaks_for_a_person_with_two_dates_of_birth():
    """Born on 1 November 1961 by one record and on 3 November by the other: 65 on the index date only by the former."""
    old = as_it_is(date_of_birth="1961-11-01")
    before = {**person().registrations[0], **OTHER, "practice_code": "Y00002", "end_date": "2016-10-31"}
    records = person(patient={"date_of_birth": "1961-11-03"}, other_patients=[old], other_registrations=[before])
    assert conclude(records)["age_years"] == 64
    back = {**before, "start_date": "2026-01-01", "end_date": None}
    records = person(
        patient={"date_of_birth": "1961-11-03"}, registration={"end_date": "2025-12-31"},
        other_patients=[old], other_registrations=[back],
    )  # fmt: skip
    assert conclude(records)["age_years"] == 65


def test_the_dead_are_excluded_whoever_they_were():
    answers = conclude(person(patient={"date_of_birth": None}, deaths=[{"source": "PDS"}]))
    assert route(answers, "frailty") == ("excluded", None, "person_status")


def test_a_practice_that_closed_leaves_its_people_registered_with_a_question():
    answers = oracle.conclude(person(), index_date=INDEX, closed_practices={"Y00001"})
    assert (answers["person_status"], answers["frailty_rule"]) == ("practice_unknown", "fit")


def test_a_registration_that_has_not_begun_is_none():
    assert conclude(person(registration={"start_date": "2026-11-03"}))["person_status"] == "never_registered"


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        pytest.param({"fev1": [fev1("28")]}, "fev1_percent_predicted", id="FEV1"),
        pytest.param(
            {"fev1": [fev1("28")], "mrc": [mrc(4)]}, "fev1_percent_predicted;mrc_grade",
            id="what meets the second group speaks for somebody in the first",
        ),
        pytest.param({"fev1": [fev1("85")], "mrc": [mrc(3)]}, "mrc_grade", id="a lower group"),
        pytest.param({}, None, id="nothing puts anybody in the lowest group"),
        pytest.param(
            {"fev1": [fev1("28")], "episodes": [episode("2026-01-01", "J440")]}, "copd_emergency_admissions_count",
            id="an admission comes before the group",
        ),
        pytest.param(
            {"fev1": [fev1("28")],
             "flags": [{"flag": "CARE_HOME_NURSING", "start_date": "2026-01-01", "end_date": None}]},
            "lives_in_care_home", id="and a care home before both",
        ),
        pytest.param(
            {"issues": [issued(codes.TIOTROPIUM, "2026-06-01"), issued(codes.LABA_ICS, "2026-07-01")]},
            "has_inhaled_corticosteroid;has_laba;has_lama", id="three classes together",
        ),
        pytest.param({"issues": [issued(codes.LABA_ICS, "2026-07-01")]}, None, id="two of them prove nothing"),
        pytest.param({"fev1": []}, None, id="nothing decides while something is lacking"),
    ],
)  # fmt: skip
def test_what_decides_is_named(changes, because):
    assert copd(**changes)["copd_because"] == because


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"fev1": []}, "fev1_percent_predicted", id="no FEV1"),
        pytest.param({"fev1": [], "mrc": []}, "fev1_percent_predicted;mrc_grade", id="neither"),
        pytest.param({"fev1": [], "mrc": [mrc(4)]}, None, id="no FEV1, and it would change nothing"),
        pytest.param({"fev1": [fev1("60"), fev1("40")]}, "fev1_percent_predicted", id="two FEV1 of one day"),
        pytest.param(
            {"patient": {"nhs_number": None}, "objections": []},
            "copd_emergency_admissions_count;copd_exacerbations_count", id="hospital data not linked",
        ),
        pytest.param(
            {"events": [entry(codes.COPD_RESOLVED.code, "2020-01-01")], "fev1": [fev1("28")]}, "is_on_copd_register",
            id="on the register or not",
        ),
    ],
)  # fmt: skip
def test_what_is_lacking_is_named(changes, lacking):
    assert copd(**changes)["copd_lacking"] == lacking


def test_facts_have_the_value_and_the_day_of_the_latest_record():
    answers = copd(
        fev1=[fev1("41", "2026-02-03"), fev1("44", "2025-02-03")],
        events=[entry(FLARE, "2026-01-01"), entry(FLARE, "2026-06-01"), entry(FLARE, "2025-01-01")],
        issues=[issued(codes.ANTIBIOTICS[0], "2026-03-01"), issued(codes.ANTIBIOTICS[1], "2026-02-01")],
    )
    assert answers["copd_facts"] == {
        "fev1_percent_predicted": Fact(41, "2026-02-03"),
        "mrc_grade": Fact(1, "2026-05-01"),
        "copd_exacerbations_count": Fact(2, "2026-06-01"),
        "rescue_antibiotic_issues_count": Fact(2, "2026-03-01"),
    }
    assert answers["frailty_facts"] == {
        "efi_respiratory_disease": Fact(1, "2026-06-01"),  # an exacerbation is an entry of COPD
        "medicines_count": Fact(2, "2026-03-01"),
    }


@pytest.mark.parametrize(
    ("lost", "found"),
    [
        pytest.param({"dmd_code": None}, 1, id="the_bnf_code_says_it"),
        pytest.param({"bnf_code": None}, 1, id="the_dmd_code_says_it"),
        pytest.param({"dmd_code": None, "bnf_code": None}, None, id="nothing_says_it"),
    ],
)
def test_an_issue_that_lost_one_of_its_codes_is_still_of_the_medicine_the_other_says(lost, found):
    """A spreadsheet wrote the dm+d code as 3.9732E+16: it is no code, and the BNF code beside it says amoxicillin."""
    answers = copd(issues=[issued(codes.ANTIBIOTICS[1], "2026-02-01") | lost])
    fact = answers["copd_facts"].get("rescue_antibiotic_issues_count")
    assert fact == (Fact(1, "2026-02-01") if found else None)


def test_a_deficit_without_a_date_counts_and_has_none():
    undated = {"snomed_code": codes.HYPERTENSION.code, "effective_date": None}
    answers = conclude(person(events=[undated]))
    assert answers["frailty_facts"] == {"efi_hypertension": Fact(1, "")}
    assert conclude(person(events=[undated, entry(codes.HYPERTENSION.code, "2020-01-01")]))["frailty_facts"] == {
        "efi_hypertension": Fact(1, "2020-01-01")
    }


def test_a_frailty_route_rests_on_its_deficits():
    answers = conclude(person(events=deficits(9)))
    assert len(answers["frailty_because"].split(";")) == 9
    high = person(patient=OLD, episodes=[episode("2026-01-01", "F009", "G309", "R268", "K529", "I951", "I639")])
    assert conclude(high)["frailty_because"] == "hospital_frailty_points"
