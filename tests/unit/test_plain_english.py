"""Definitions in words: each thing the vocabulary can say has one wording, with its edge, unit and window."""

from __future__ import annotations

import pytest

from stratify.plain_english import condition_in_words, route_in_words, tier_in_words, variable_in_words
from stratify.rule_pages import pages
from stratify.rulebook import RuleBook
from stratify.rules import Codelist, CodelistEntry, Condition, Measurement, Pathway, Score, Variable


def codelist(name: str, label: str, **more: str) -> Codelist:
    entry = {
        "id": name,
        "label": label,
        "system": "snomed_ct",
        "match": "exact",
        "version": "1, as held 2026-11",
        "source": "A test",
        "licence": "None needed",
        "status": "one_source",
        "rows": 2,
        "sha256": "0",
    }
    return Codelist(CodelistEntry.model_validate(entry | more), {"1": "one", "2": "two"}, {})


def variable(name: str, label: str, records: list[dict[str, object]], take: str, **more: object) -> Variable:
    given = {
        "id": name,
        "label": label,
        "from": records,
        "take": take,
        "text": f"{label}, {{date}}",
        "source": "A test",
    }
    return Variable.model_validate(given | more)


LATEST = {"take": "latest", "unit": "%", "maximum_age_months": 24, "text_when_missing": "No FEV1: spirometry needed"}
VARIABLES = (
    variable("has_copd", "COPD", [{"event": "copd"}], "has", ended_by="copd_resolved"),
    variable("fev1", "FEV1, percent of predicted", [{"measurement": "fev1"}], **LATEST),
    variable("mrc", "MRC grade", [{"measurement": "fev1"}], **(LATEST | {"unit": "grade", "maximum_age_months": 1})),
    variable(
        "flare_ups",
        "Flare-ups",
        [{"event": "copd"}, {"event": "flare_up"}, {"emergency_admission": "copd_icd10"}],
        "episodes",
        lookback_months=12,
        merge_days=14,
        text_when_missing="Hospital flare-ups not known",
    ),
    variable(
        "steroid_days", "Steroid days", [{"issue": "steroid"}, {"issue": "steroid_dmd"}], "count", lookback_months=1
    ),
    variable("medicines", "Medicines", [{"any_issue": True}], "distinct_codes", lookback_months=12),
    variable("points", "Points", [{"hospital_diagnosis": "copd_icd10"}], "weight", lookback_months=24),
    variable("at_home", "Housebound", [{"flag": "HOUSEBOUND"}, {"flag": "BEDBOUND"}], "has"),
)
MEASUREMENT = Measurement.model_validate(
    {
        "id": "fev1",
        "label": "FEV1",
        "unit": "%",
        "codelists": ["copd"],
        "grade_codelists": {"flare_up": 1},
        "offset_codelists": {"steroid": 1},
        "plausible": {"at_least": 8, "at_most": 151},
        "units": [{"words": ["%", "percent"]}, {"words": ["ratio"], "multiply_by": 100}],
        "is_unit_required": True,
        "not_done_values": [-1],
        "source": "A test",
    }
)
GROUP = Score.model_validate(
    {
        "id": "group",
        "version": "1.2.0",
        "label": "COPD group",
        "status": "inferred",
        "source": "A test",
        "licence": "Facts",
        "eligibility": [{"when": {"variable": "has_copd", "is_true": True}, "otherwise": "No COPD"}],
        "tiers": [
            {"tier": "HR", "label": "High risk", "when": {"variable": "fev1", "below": 50}},
            {
                "tier": "MR",
                "label": "Moderate risk (MR)",
                "when": {"any_of": [{"variable": "fev1", "below": 80}, {"variable": "mrc", "at_least": 2}]},
            },
            {"tier": "LR", "label": "Low risk"},
        ],
    }
)
SHARE = Score.model_validate(
    {
        "id": "share",
        "version": "1.0.0",
        "label": "Index",
        "status": "one_source",
        "source": "A test",
        "licence": "Facts",
        "divide_by": 4,
        "points": [
            {"when": {"variable": "has_copd", "is_true": True}},
            {"when": {"variable": "at_home", "is_true": True}},
            {"when": {"variable": "medicines", "at_least": 5}},
            {"when": {"variable": "steroid_days", "at_least": 1}},
        ],
        "understated_when": {"variable": "months_registered", "below": 12},
        "tiers": [{"tier": "frail", "label": "Frail", "above": 0.25}, {"tier": "fit", "label": "Fit", "at_most": 0.25}],
    }
)
POINTS = Score.model_validate(
    {
        "id": "hospital",
        "version": "1.0.0",
        "label": "Hospital score",
        "status": "two_sources",
        "source": "A test",
        "licence": "Facts",
        "unit": "points",
        "value_of": "points",
        "withheld_when_absent": "No hospital record",
        "tiers": [
            {"tier": "high", "label": "High", "above": 15},
            {"tier": "middle", "label": "Middle", "at_least": 5, "at_most": 15},
            {"tier": "low", "label": "Low", "below": 5},
        ],
    }
)
PATHWAY = Pathway.model_validate(
    {
        "id": "copd",
        "version": "2.0.0",
        "label": "COPD",
        "status": "draft",
        "clinical_lead": "A lead",
        "review_date": "2027-04-01",
        "source": "A test",
        "precedence": 1,
        "cohort": {"variable": "has_copd", "is_true": True},
        "tier_from": "group",
        "routes": [
            {
                "id": "highest",
                "when": {"score": "group", "tier_in": ["HR", "MR"]},
                "decision": "clinic",
                "clinic": "copd_clinic",
                "reason": "Needs it | most",
            },
            {
                "id": "hospital",
                "when": {"score": "hospital", "tier_in": ["high"]},
                "decision": "clinician_review",
                "reason": "Which is right?",
                "when_unknown": "pass_over",
                "gap": "Hospital data not linked",
            },
            {"id": "rest", "decision": "self_management", "reason": "Needs it less"},
        ],
        "rank_by": [{"variable": "flare_ups", "first": "most"}, {"variable": "fev1", "first": "least"}],
        "show": ["fev1"],
        "clinics": [{"id": "copd_clinic", "label": "COPD clinic", "roles": ["respiratory_nurse", "gp"]}],
        "offers": [{"id": "app", "label": "The app"}],
        "assessment": {"id": "assessment", "label": "Visit", "roles": ["practice_nurse"], "needs_capacity": False},
        "clinician_review": {"id": "clinician_review", "label": "Review", "roles": ["gp"], "needs_capacity": False},
    }
)
CODELISTS = (
    codelist("copd", "COPD codes", note="First line\nsecond | line"),
    codelist("copd_resolved", "COPD resolved"),
    codelist("flare_up", "Flare-up of COPD"),
    codelist("copd_icd10", "COPD in hospital", system="icd10", match="prefix", status="two_sources"),
    codelist("steroid", "Steroid", system="bnf", match="prefix"),
    codelist("steroid_dmd", "Steroid", system="dmd", status="inferred"),
)
BOOK = RuleBook(
    codelists={each.id: each for each in CODELISTS},
    measurements={"fev1": MEASUREMENT},
    variables={each.id: each for each in VARIABLES},
    scores={each.id: each for each in (GROUP, SHARE, POINTS)},
    pathways={"copd": PATHWAY},
    examples={},
    digest="0",
)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        pytest.param({"variable": "fev1", "below": 30}, "FEV1, percent of predicted: below 30 %", id="below"),
        pytest.param({"variable": "fev1", "at_most": 30}, "FEV1, percent of predicted: at most 30 %", id="at_most"),
        pytest.param({"variable": "fev1", "above": 0.125}, "FEV1, percent of predicted: above 0.125 %", id="in_full"),
        pytest.param(
            {"variable": "fev1", "at_least": 30, "below": 50},
            "FEV1, percent of predicted: at least 30 and below 50 %",
            id="range",
        ),
        pytest.param({"variable": "mrc", "at_least": 4}, "MRC grade: at least 4", id="unit_that_goes_without_saying"),
        pytest.param({"variable": "has_copd", "is_true": True}, "COPD: yes", id="is_true"),
        pytest.param({"variable": "age_years", "at_least": 65}, "Age: at least 65 years", id="age"),
        pytest.param(
            {"variable": "months_registered", "below": 12},
            "Time registered with the practice: below 12 months",
            id="registered",
        ),
        pytest.param(
            {"score": "group", "tier_in": ["MR", "HR"]},
            "COPD group: High risk (HR) or Moderate risk (MR)",
            id="tiers_in_the_order_of_the_score",
        ),
        pytest.param(
            {"all_of": [{"variable": "has_copd", "is_true": True}, {"variable": "mrc", "at_least": 4}]},
            "COPD: yes; and MRC grade: at least 4",
            id="all_of",
        ),
        pytest.param(
            {
                "any_of": [
                    {"variable": "at_home", "is_true": True},
                    {"all_of": [{"variable": "has_copd", "is_true": True}, {"variable": "mrc", "at_least": 4}]},
                ]
            },
            "Housebound: yes; or (COPD: yes; and MRC grade: at least 4)",
            id="nested_parts_in_brackets",
        ),
        pytest.param({"none_of": [{"variable": "at_home", "is_true": True}]}, "Housebound: no", id="none_of_one"),
        pytest.param(
            {"none_of": [{"variable": "at_home", "is_true": True}, {"variable": "has_copd", "is_true": True}]},
            "none of (Housebound: yes; COPD: yes)",
            id="none_of_several",
        ),
    ],
)
def test_a_condition_says_its_edge_and_unit(condition, words):
    assert condition_in_words(Condition.model_validate(condition), BOOK) == words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param(
            "has_copd",
            'Yes if there is an entry in the GP record of "COPD codes" (`copd`), at any time; a later entry of "COPD'
            ' resolved" (`copd_resolved`) ends it. No record means no. Begun and ended on one day: not known.',
            id="has_with_an_end",
        ),
        pytest.param(
            "fev1",
            'The latest value of "FEV1", in %. It is used up to an age of 24 months. Not known when'
            " there is none, when the latest is older, when the latest day holds two different values, or when the"
            ' latest cannot be used. Shown then: "No FEV1: spirometry needed".',
            id="latest",
        ),
        pytest.param(
            "flare_ups",
            'The number of episodes made by an entry in the GP record of "COPD codes" (`copd`) or "Flare-up of COPD"'
            ' (`flare_up`) or an emergency hospital admission with a primary diagnosis of "COPD in hospital"'
            " (`copd_icd10`) in the last 12 months. A record no more than 14 days after the one before belongs to the"
            " same episode. No record means 0. May be higher when hospital data are not linked."
            ' Shown then: "Hospital flare-ups not known".',
            id="episodes",
        ),
        pytest.param(
            "steroid_days",
            'The number of days with an issue of "Steroid" (`steroid`) or "Steroid" (`steroid_dmd`) in the last month.'
            " No record means 0.",
            id="count_in_one_month",
        ),
        pytest.param(
            "medicines",
            "The number of different codes among medicines issued in the last 12 months, one code for each substance"
            " where the BNF code is known. No record means 0.",
            id="distinct_codes",
        ),
        pytest.param(
            "points",
            'The points of every diagnosis of "COPD in hospital" (`copd_icd10`), in any position, of an emergency'
            " hospital stay in the last 24 months,"
            " added up; each counts once however often it is recorded."
            " No such stay means no value at all, not nought. Not known when hospital data are not linked.",
            id="weight",
        ),
        pytest.param(
            "at_home",
            'Yes if there is a status period "housebound" or "bedbound" that holds on the index date.'
            " No record means no.",
            id="flags",
        ),
        pytest.param(
            "age_years",
            "Age, in whole years on the index date. Not known when its date is not known.",
            id="person_field",
        ),
    ],
)
def test_a_variable_says_its_records_window_and_what_missing_means(name, words):
    assert variable_in_words(name, BOOK) == words
    if name in BOOK.variables:
        assert variable_in_words(BOOK.variables[name], BOOK) == words


@pytest.mark.parametrize(
    ("score", "tier", "words"),
    [
        pytest.param("group", "HR", "High risk (HR): FEV1, percent of predicted: below 50 %", id="first_rule"),
        pytest.param(
            "group",
            "MR",
            "Moderate risk (MR): otherwise, when FEV1, percent of predicted: below 80 %; or MRC grade: at least 2",
            id="later_rule",
        ),
        pytest.param("group", "LR", "Low risk (LR): everybody else, once no rule above can hold", id="last_rule"),
        pytest.param("hospital", "high", "High: above 15 points", id="no_upper_edge"),
        pytest.param("hospital", "middle", "Middle: at least 5 and at most 15 points", id="both_edges"),
        # 4 things: 1 of 4 is 0.25, which "above 0.25" leaves out
        pytest.param("share", "frail", "Frail: above 0.25 (2 to 4 of 4)", id="share_above_its_edge"),
        pytest.param("share", "fit", "Fit: at most 0.25 (0 to 1 of 4)", id="share_on_its_edge"),
    ],
)
def test_a_tier_says_when_it_is_given(score, tier, words):
    assert tier_in_words(score, tier, BOOK) == words


@pytest.mark.parametrize(
    ("route", "words"),
    [
        pytest.param("highest", "When COPD group: High risk (HR) or Moderate risk (MR) → COPD clinic.", id="clinic"),
        pytest.param(
            "hospital", "When Hospital score: High → a clinician's review of the record.", id="clinician_review"
        ),
        pytest.param("rest", "Everybody else on the pathway → self-management: The app.", id="the_rest"),
        pytest.param(
            "cannot_grade",
            "Every pathway: something missing or out of date could change the route: an assessment visit collects it.",
            id="a_rule_that_every_pathway_has",
        ),
    ],
)
def test_a_route_says_who_takes_it_and_what_is_proposed(route, words):
    assert route_in_words(route, PATHWAY, BOOK) == words


@pytest.fixture(scope="module")
def found():
    return pages(BOOK)


def test_pages_name_every_definition_with_version_status_source_and_licence(found):
    assert sorted(found) == [
        "README.md", "codelists.md", "measurements.md", "pathways/copd.md",
        "scores/group.md", "scores/hospital.md", "scores/share.md",
    ]  # fmt: skip
    whole = "".join(found.values())
    read = [each for each in VARIABLES if each.id in BOOK.variables_of_score("group") or each.id in PATHWAY.show]
    assert len(read) > 2
    for each in (*read, MEASUREMENT, *CODELISTS):
        assert f"`{each.id}`" in whole
    assert "- **Version**: 2.0.0, a draft: it is worked out, and no list is published\n" in found["pathways/copd.md"]
    assert "- **To be reviewed by**: 1 April 2027\n" in found["pathways/copd.md"]
    page = found["scores/group.md"]
    assert page.split("\n")[2] == "# COPD group"
    assert "- **Version**: 1.2.0\n" in page
    assert "- **What kind of thing it is**: a plain visible rule\n" in page
    assert "- **Status**: **worked out in part: to be confirmed by a clinician**\n" in page
    assert "- **Licence**: Facts\n" in page
    assert "- **Used by**: pathway [COPD](../pathways/copd.md)\n" in page


def test_a_page_says_who_a_score_is_for_and_what_happens_without_a_value(found):
    assert "| COPD: yes | No COPD |\n" in found["scores/group.md"]
    assert "## Who it is for\n\nEverybody.\n" in found["scores/share.md"]
    assert "| any record at all | No hospital record |" in found["scores/hospital.md"]
    assert 'with no record at all there is no score: "No hospital record".\n' in found["scores/hospital.md"]
    whole = "".join(found.values())
    assert "While Time registered with the practice: below 12 months, the value can only be too low" in whole


def test_a_page_gives_routes_in_order_with_what_happens_when_they_are_not_known(found):
    page = found["pathways/copd.md"]
    rows = [line for line in page.splitlines() if line.startswith(("| 1 | `", "| 2 | `", "| 3 | `"))]
    assert rows == [
        "| 1 | `highest` | COPD group: High risk (HR) or Moderate risk (MR) | COPD clinic | Needs it \\| most"
        " | steps 3 and 4 above, if a later route would lead elsewhere |",
        "| 2 | `hospital` | Hospital score: High | a clinician's review of the record | Which is right?"
        ' | passed over: the next route may decide, with the data gap "Hospital data not linked" |',
        "| 3 | `rest` | everybody else | self-management: The app | Needs it less | – |",
    ]


def test_a_page_says_the_order_of_a_clinic_its_roles_and_the_offer(found):
    page = found["pathways/copd.md"]
    assert (
        "1. COPD group (HR, MR, LR)\n2. Flare-ups, highest first\n3. FEV1, percent of predicted, lowest first\n"
        "4. The longest wait first\n5. The more deprived area first\n"
        "6. By pseudonym, so that neither names nor chance decide\n" in page
    )
    assert "| COPD clinic (`copd_clinic`) | respiratory nurse, GP | sessions with slots for every role |" in page
    assert "| Visit (`assessment`) | practice nurse | a worklist without sessions |" in page
    assert "**Offer** instead of a clinic: The app (`app`)." in page


def test_the_page_of_measurements_says_units_conversions_grades_and_what_is_plausible(found):
    page = found["measurements.md"]
    assert '- **Codes that carry a value**: "COPD codes" (`copd`); "Steroid" (`steroid`): value plus 1\n' in page
    assert '- **Codes that are the value**: "Flare-up of COPD" (`flare_up`) is 1\n' in page
    assert "- **Plausible**: at least 8 and at most 151\n" in page
    assert "- **Units it may be written in**: `%`, `percent`; `ratio` (multiplied by 100)\n" in page
    assert "- **Without a unit**: the value is kept and never scored\n" in page
    assert "- **Values that mean it was not done**: -1\n" in page


def test_a_codelist_is_one_row_of_the_table_whatever_its_note_holds(found):
    page = found["codelists.md"]
    assert (
        "| COPD codes (`copd`) | SNOMED CT | the code itself | 2 | 1, as held 2026-11 | A test | None needed"
        " | one source only | First line second \\| line |" in page
    )
    assert "| COPD in hospital (`copd_icd10`) | ICD-10 | codes that begin with it |" in page
    assert (
        "| COPD codes (`copd`) | SNOMED CT | 2 | one source only | First line second \\| line |"
        in (found["scores/group.md"])
    )


def test_pages_do_not_depend_on_the_order_in_which_files_were_read(found):
    turned = RuleBook(
        codelists=dict(reversed(BOOK.codelists.items())),
        measurements=BOOK.measurements,
        variables=dict(reversed(BOOK.variables.items())),
        scores=dict(reversed(BOOK.scores.items())),
        pathways=BOOK.pathways,
        examples={},
        digest="1",
    )
    assert pages(turned) == found


def test_a_page_ends_with_one_newline_and_has_no_trailing_blanks(found):
    for name, page in found.items():
        assert page.endswith("\n") and not page.endswith("\n\n"), name
        assert [line for line in page.splitlines() if line != line.rstrip()] == [], name
