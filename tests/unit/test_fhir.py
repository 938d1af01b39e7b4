"""The proposals as FHIR R4: valid by HL7's schema, drafts, nobody named by more than an NHS number, the same ids."""

import json
from datetime import date
from pathlib import Path

import jsonschema
import pytest
from publish_example import INDEX_DATE, OUTCOMES, PEOPLE, context, frame, key, person, small_run

from stratify.publish import row_reference, write_bundles
from stratify.rulebook import load_rule_book

SCHEMA = json.loads((Path(__file__).parents[1] / "fhir" / "r4.schema.json").read_text(encoding="utf-8"))
WORDS = {
    # Value sets that the JSON schema of R4 does not hold its codes to (http://hl7.org/fhir/R4, required bindings).
    "RiskAssessment": {"status": ("registered", "preliminary", "final", "amended")},
    "ServiceRequest": {"status": ("draft", "active"), "intent": ("proposal", "plan", "order")},
    "Task": {"status": ("draft", "requested"), "intent": ("proposal", "plan", "order")},
    "List": {"status": ("current", "retired"), "mode": ("working", "snapshot", "changes")},
    "Flag": {"status": ("active", "inactive")},
    "Observation": {"status": ("final", "unknown")},
}
NEEDED = {
    "RiskAssessment": ("status", "subject"),
    "ServiceRequest": ("status", "intent", "subject"),
    "Task": ("status", "intent"),
    "List": ("status", "mode"),
    "Flag": ("status", "code", "subject"),
    "Observation": ("status", "code"),
    "Organization": ("identifier",),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    people = [person(1, identity_doubt="Two dates of birth"), *PEOPLE[1:]]
    with small_run(tmp_path_factory.mktemp("run"), people=people) as store:
        store.execute("UPDATE derived.reason SET variable = 'fev1_percent_predicted' WHERE position = 2")
        store.execute("UPDATE derived.reason SET variable = 'copd_exacerbations_count' WHERE position = 3")
        store.execute("UPDATE derived.reason SET variable = 'has_home_oxygen' WHERE position = 4")
        values = [
            {"patient_key": key(2), "state": "known", "record_count": 1, "value_date": date(2026, 3, 12)} | each
            for each in (
                {"variable": "fev1_percent_predicted", "value": 38.0, "source_table": "gp_observation",
                 "source_code": "313222007"},
                {"variable": "copd_exacerbations_count", "value": 2.0, "source_table": "gp_event",
                 "source_code": "195951007"},
                {"variable": "has_home_oxygen", "value": 1.0, "source_table": "gp_event", "source_code": "not a code"},
            )
        ]  # fmt: skip
        store.create("derived.variable_value", frame("derived.variable_value", values))
        flag = {"patient_key": key(2), "source": "GP_CODE", "source_file_id": "f4", "source_row": 2}
        flags = [
            flag | {"flag": "HOUSEBOUND", "start_date": date(2025, 1, 1)},
            flag | {"flag": "PALLIATIVE", "start_date": date(2025, 1, 1), "end_date": date(2026, 1, 1)},
            flag | {"flag": "SAFEGUARDING", "start_date": date(2025, 1, 1)},
        ]
        store.create("core.patient_flag", frame("core.patient_flag", flags))
        yield store


@pytest.fixture(scope="module")
def files(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    written = write_bundles(store, folder, context(), load_rule_book())
    return {path.relative_to(folder).as_posix(): json.loads(path.read_text(encoding="utf-8")) for path in written}


@pytest.fixture(scope="module")
def bundle(files):
    return files["A81001/fhir/bundle_TEST_2026-11-23.json"]


def resources(bundle, kind):
    return [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == kind]


def of(bundle, kind, number, place="copd_clinic"):
    reference = row_reference(INDEX_DATE, place, key(number))
    return next(each for each in resources(bundle, kind) if each["identifier"][0]["value"] == reference)


def test_there_is_one_bundle_for_each_practice_with_somebody_on_a_list(files):
    assert list(files) == ["A81001/fhir/bundle_TEST_2026-11-23.json", "A81002/fhir/bundle_TEST_2026-11-23.json"]


def test_every_bundle_keeps_the_hl7_schema_of_r4(files):
    for bundle in files.values():
        jsonschema.Draft6Validator(SCHEMA).validate(bundle)
        inside = [each["resource"] for each in bundle["entry"]]
        inside += [each for one in inside for each in one.get("contained", [])]
        for each in inside:
            kind = each["resourceType"]
            assert set(NEEDED[kind]) <= set(each)
            for name, allowed in WORDS.get(kind, {}).items():
                assert each[name] in allowed


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"authoredOn": "23/11/2026"}, id="a_date_of_another_kind"),
        pytest.param({"colour": "red"}, id="a_field_that_r4_has_not"),
        pytest.param({"intent": "whatever"}, id="an_intent_that_r4_has_not"),
    ],
)
def test_the_schema_in_the_tests_finds_what_is_wrong(bundle, wrong):
    task = resources(bundle, "Task")[0] | wrong
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft6Validator(SCHEMA).validate(bundle | {"entry": [{"resource": task}]})


def test_ids_are_each_there_once_and_every_reference_is_answered_in_the_bundle(files):
    for bundle in files.values():
        urls = [each["fullUrl"] for each in bundle["entry"]]
        assert len(set(urls)) == len(urls)

        def asked(found, within):
            for name, value in found.items() if isinstance(found, dict) else ():
                if name == "reference":
                    yield value, within
                else:
                    yield from asked(value, within)
            for value in found if isinstance(found, list) else ():
                yield from asked(value, within)

        for each in bundle["entry"]:
            inside = {f"#{one['id']}" for one in each["resource"].get("contained", [])}
            references = {reference for reference, _ in asked(each["resource"], None)}
            assert references <= {*urls, *inside}
            assert inside <= references  # R4, dom-3: what is contained is referred to


def test_everything_proposed_is_a_draft_for_a_clinician(bundle):
    for kind in ("Task", "ServiceRequest"):
        assert {(each["status"], each["intent"]) for each in resources(bundle, kind)} == {("draft", "proposal")}
    assert {each["status"] for each in resources(bundle, "RiskAssessment")} == {"preliminary"}
    request = of(bundle, "ServiceRequest", 2)
    task = of(bundle, "Task", 2)
    assert request["code"]["text"] == "Multi-professional COPD clinic"
    assert request["occurrenceDateTime"] == "2026-11-24"
    assert task["focus"] == {"reference": f"urn:uuid:{request['id']}"}


def test_an_assessment_says_why_by_which_rules_and_what_priority(bundle):
    book = load_rule_book()
    found = of(bundle, "RiskAssessment", 2)
    rules = [(each["system"], each["code"], each["version"]) for each in found["method"]["coding"]]
    assert rules == [
        ("urn:stratify:pathway", "copd", "1.0.0"),
        ("urn:stratify:score", "copd_priority_group", book.scores["copd_priority_group"].version),
    ]
    risk = found["prediction"][0]["qualitativeRisk"]
    assert [(each["system"], each["code"]) for each in risk["coding"]] == [
        ("urn:stratify:tier:copd_priority_group", "HRC")
    ]
    assert found["prediction"][0]["rationale"] == "In one of the two highest COPD priority groups"
    assert "probabilityDecimal" not in found["prediction"][0]
    assert [each["display"] for each in found["basis"]] == [
        "First reason", "FEV1 38 % predicted on 12 March 2026", "Third reason", "Fourth reason, never shown"
    ]  # fmt: skip


def test_a_fact_of_one_record_has_its_code_and_a_count_or_a_text_that_is_no_code_has_none(bundle):
    value, count, has = of(bundle, "RiskAssessment", 2)["contained"]
    assert value["code"]["coding"] == [{"system": "http://snomed.info/sct", "code": "313222007"}]
    assert value["valueQuantity"] == {"value": 38.0, "unit": "%"}
    assert value["effectiveDateTime"] == "2026-03-12"
    assert count["valueQuantity"] == {"value": 2.0} and "coding" not in count["code"]
    assert has["valueBoolean"] is True and "coding" not in has["code"]


def test_a_list_names_its_tasks_in_order_of_rank(bundle):
    clinic = next(each for each in resources(bundle, "List") if each["code"]["coding"][0]["code"] == "copd_clinic")
    tasks = [f"urn:uuid:{of(bundle, 'Task', number)['id']}" for number in (2, 1)]  # ranks 1 and 2
    assert [each["item"]["reference"] for each in clinic["entry"]] == tasks


def test_an_offer_is_a_service_request_and_a_worklist_is_a_task_alone(files, bundle):
    request = of(bundle, "ServiceRequest", 7, place="self_management")
    assert request["code"]["text"] == "Supported self-management by app"
    other = files["A81002/fhir/bundle_TEST_2026-11-23.json"]
    assert resources(other, "ServiceRequest") == []
    assert [each["code"]["text"] for each in resources(other, "Task")] == ["Assessment visit"]


def test_a_person_is_named_by_nhs_number_alone_and_a_doubtful_one_by_none(bundle):
    assert of(bundle, "Task", 2)["for"] == {
        "type": "Patient",
        "identifier": {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000002"},
    }
    assert "identifier" not in of(bundle, "Task", 1)["for"]
    text = json.dumps(bundle)
    for name in ("9990000001", "Kowalska", "Family7", "HYPERLINK", "07700", "ZZ1 1ZZ", "1950", key(2)):
        assert name not in text


def test_a_practice_has_nobody_of_another_and_its_ods_code(files, bundle):
    practice = resources(bundle, "Organization")[0]
    assert practice["identifier"] == [{"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "A81001"}]
    assert "9990000010" not in json.dumps(bundle)
    assert "9990000010" in json.dumps(files["A81002/fhir/bundle_TEST_2026-11-23.json"])


def test_flags_say_what_to_know_before_contact_and_neither_ended_nor_private_ones(bundle):
    mine = {"type": "Patient", "identifier": {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000002"}}
    flags = {each["code"]["text"] for each in resources(bundle, "Flag") if each["subject"] == mine}
    assert flags == {
        "Polish, interpreter needed", "Sensitive record: contact from the practice record only", "Housebound"
    }  # fmt: skip


def test_who_waits_is_held_or_is_not_called_is_in_no_bundle(files):
    text = json.dumps(files)
    for number in (3, 8, 11):
        assert f"999000{number:04}" not in text
    assert {each["placement"] for each in OUTCOMES} > {"waiting", "held", "not_listed"}


def test_the_same_week_gives_the_same_bytes_and_another_run_the_same_ids(store, bundle, tmp_path):
    one = write_bundles(store, tmp_path / "one", context(), load_rule_book())
    other = write_bundles(store, tmp_path / "other", context(), load_rule_book())
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    again = write_bundles(store, tmp_path / "again", context(run_id="run-2"), load_rule_book())
    ids = [each["fullUrl"] for each in json.loads(again[0].read_text(encoding="utf-8"))["entry"]]
    assert ids == [each["fullUrl"] for each in bundle["entry"]]


def test_bundles_of_real_people_are_not_marked_as_test_data(store, tmp_path):
    path = write_bundles(store, tmp_path, context(is_test=False), load_rule_book())[0]
    assert path.name == "bundle_2026-11-23.json"
    assert "HTEST" not in path.read_text(encoding="utf-8")
