"""What a failed check touches, by hand on a small rule book; codelists that find nobody; feeds that are old."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

import invented
from invented import codelist, pathway, score, variable
from stratify import contracts, fitness
from stratify.fitness import CodeGroup, Doubt, code_groups, holds, old_feeds, silent_codelists, touched
from stratify.ingest import OPTIONAL_TABLES
from stratify.rulebook import RuleBook, load_rule_book
from stratify.rules import Measurement

REST = [{"id": "rest", "decision": "self_management", "reason": "The rest"}]
YES = {"is_true": True}
NURSE = ["nurse"]


def _measurement(name: str, **more: object) -> Measurement:
    return Measurement.model_validate(
        {"id": name, "label": name, "unit": "u", "plausible": {"at_least": 0, "at_most": 9}, "source": "invented"}
        | more
    )


def _book() -> RuleBook:
    """Lungs: register, FEV1 and admissions decide, MRC is shown. Hearts: a medicine and a flag, by way of two scores.

    Falls: the age alone. Nothing reads the weights of hospital diagnoses but the score frail, which no pathway uses.
    """
    book = invented.rule_book(
        codelists=[
            codelist("copd", "snomed_ct", ["1"]),
            codelist("copd_over", "snomed_ct", ["2"]),
            codelist("fev1", "snomed_ct", ["3"]),
            codelist("mrc_4", "snomed_ct", ["4"]),
            codelist("lung_icd10", "icd10", ["J44"]),
            codelist("weights", "icd10", {"F00": 7.0}),
            codelist("statin", "bnf", ["0212"]),
            codelist("statin_dmd", "dmd", ["9"]),
        ],
        variables=[
            variable("on_register", "has", {"event": "copd"}, ended_by="copd_over"),
            variable("fev1", "latest", {"measurement": "fev1"}, maximum_age_months=24),
            variable("mrc", "latest", {"measurement": "mrc"}, maximum_age_months=24),
            variable("admissions", "count", {"emergency_admission": "lung_icd10"}, lookback_months=12),
            variable("points", "weight", {"hospital_diagnosis": "weights"}),
            variable("on_statin", "has", {"issue": "statin"}, {"issue": "statin_dmd"}),
            variable("dying", "has", {"flag": "PALLIATIVE"}),
        ],
        scores=[
            score("lung_group", tiers=[{"tier": "high", "label": "h", "when": {"variable": "fev1", "below": 5}},
                                       {"tier": "low", "label": "l"}]),
            score("treated", tiers=[{"tier": "yes", "label": "y", "when": {"variable": "on_statin", **YES}},
                                    {"tier": "no", "label": "n"}]),
            score("heart_group", tiers=[{"tier": "on", "label": "o", "when": {"score": "treated", "tier_in": ["yes"]}},
                                        {"tier": "off", "label": "f"}]),
            score("frail", value_of="points", tiers=[{"tier": "a", "label": "a", "above": 5},
                                                     {"tier": "b", "label": "b", "at_most": 5}]),
            score("any", tiers=[{"tier": "all", "label": "All"}]),
        ],
        pathways=[
            pathway("lungs", precedence=1, cohort={"variable": "on_register", **YES}, tier_from="lung_group",
                    routes=REST, rank_by=[{"variable": "admissions", "first": "most"}], show=["mrc"],
                    clinics=[{"id": "lung_clinic", "label": "Lung clinic", "roles": NURSE}]),
            pathway("hearts", precedence=2, cohort={"variable": "age_years", "at_least": 18}, tier_from="heart_group",
                    routes=[{"id": "dying", "when": {"variable": "dying", **YES}, "decision": "clinician_review",
                             "reason": "Dying"}, *REST],
                    clinics=[{"id": "heart_clinic", "label": "Heart clinic", "roles": NURSE}]),
            pathway("falls", precedence=3, cohort={"variable": "age_years", "at_least": 65}, tier_from="any",
                    routes=REST),
        ],
    )  # fmt: skip
    book.measurements["fev1"] = _measurement("fev1", codelists=["fev1"])
    book.measurements["mrc"] = _measurement("mrc", grade_codelists={"mrc_4": 4})
    return book


BOOK = _book()


@pytest.mark.parametrize(
    ("doubt", "variables", "scores", "pathways", "shown_on"),
    [
        pytest.param(Doubt("apc_episode"), "admissions points", "frail", "lungs", "", id="hospital"),
        pytest.param(Doubt("apc_episode", ("diag_01",)), "admissions points", "frail", "lungs", "", id="diag_01"),
        pytest.param(Doubt("apc_episode", ("diag_07",)), "points", "frail", "", "", id="a_later_diagnosis"),
        pytest.param(Doubt("apc_episode", ("discharge_method",)), "", "", "", "", id="a_column_nobody_reads"),
        pytest.param(Doubt("apc_episode", ("spell_id",)), "admissions points", "frail", "lungs", "", id="a_key"),
        pytest.param(Doubt("apc_spell", ("primary_diagnosis",)), "admissions", "", "lungs", "", id="a_core_column"),
        pytest.param(Doubt("gp_observation", ("value_num",)), "fev1 mrc", "lung_group", "lungs", "", id="a_value"),
        # The register is read from entries, which stand in both tables; the grade may be a code among events.
        pytest.param(Doubt("gp_event"), "mrc on_register", "", "lungs", "", id="events"),
        pytest.param(
            Doubt("gp_observation"), "fev1 mrc on_register", "lung_group", "lungs", "", id="observations"
        ),
        pytest.param(Doubt("gp_event", ("is_problem",)), "", "", "", "", id="an_event_column_nobody_reads"),
        pytest.param(
            Doubt("gp_medication"), "on_statin", "heart_group treated", "hearts", "", id="through_two_scores"
        ),
        pytest.param(Doubt("patient_flag"), "dying", "", "hearts", "", id="a_route"),
        pytest.param(Doubt("ed_attendance"), "", "", "", "", id="a_table_nobody_reads"),
        pytest.param(Doubt("gp_event", codelists=("copd",)), "on_register", "", "lungs", "", id="a_codelist"),
        pytest.param(Doubt("gp_event", codelists=("copd_over",)), "on_register", "", "lungs", "", id="what_ends_it"),
        pytest.param(Doubt("gp_observation", codelists=("fev1",)), "fev1", "lung_group", "lungs", "", id="measured"),
        pytest.param(Doubt("gp_observation", codelists=("mrc_4",)), "mrc", "", "", "lungs", id="shown_and_no_more"),
    ],
)  # fmt: skip
def test_what_a_doubt_touches(doubt: Doubt, variables: str, scores: str, pathways: str, shown_on: str) -> None:
    found = touched(BOOK, doubt)
    assert " ".join(found.variables) == variables
    assert " ".join(found.scores) == scores
    assert " ".join(found.pathways) == pathways
    assert " ".join(found.shown_on) == shown_on


def test_a_hold_names_scores_clinics_practice_and_reason() -> None:
    doubt = Doubt("gp_medication", practice_code="A1")
    (found,) = holds(BOOK, doubt, table="landing.gp_medication", rule_id="GPM-91", reason="Too few")
    assert (found.pathway, found.practice_code, found.rule_id) == ("hearts", "A1", "GPM-91")
    assert found.scores == ("heart_group", "treated")
    assert found.clinics == ("heart_clinic", "assessment", "clinician_review", "call")
    assert fitness.reasons_by_list([found, found]) == {("hearts", "A1"): "Too few"}


def test_codelists_that_stand_in_for_one_another_are_one_group_and_those_that_decide_nothing_are_none() -> None:
    assert [(each.variable, each.kind, each.codelists) for each in code_groups(BOOK)] == [
        ("fev1", "measurement", ("fev1",)),
        ("on_register", "event", ("copd",)),
        ("on_statin", "issue", ("statin", "statin_dmd")),
    ]


def test_every_extract_and_core_table_is_structural_or_read_or_known_to_be_read_by_nobody() -> None:
    """A new table must be given its place: what nobody thought of would hold nothing."""
    book = load_rule_book()
    nobody = {"op_attendance", "extract_manifest", *OPTIONAL_TABLES}
    for name in (*contracts.names("landing"), *contracts.names("core")):
        table = name.split(".")[1]
        is_read = bool(touched(book, Doubt(table)).pathways)
        assert [fitness.is_structural(name), is_read, table in nobody].count(True) == 1, name


def test_the_columns_variables_are_said_to_read_are_those_they_cannot_do_without() -> None:
    """Take any one column of READS away and the reckoning fails; take all others away and it does not."""
    book = load_rule_book()
    day = date(2026, 1, 1)
    own = {"patient_key", "source_file_id", "source_row"}
    read: dict[str, set[str]] = {}
    for tables in fitness.READS.values():
        for table, columns in tables.items():
            read.setdefault(table, set()).update(columns)
    full = {
        table: frame.select(sorted((read[table] | own) & set(frame.columns)))
        for table, frame in invented.core_tables([]).items()
    }
    assert invented.values_of(full, book, day).height == 0
    codes = ("snomed_code", "dmd_code", "bnf_code", "icd10_code", "primary_diagnosis")
    for table, columns in read.items():
        for column in sorted(columns - set(codes)):
            with pytest.raises(Exception, match=column):
                invented.values_of(full | {table: full[table].drop(column)}, book, day)


# ------------------------------------------------------------------------------- codelists that find nobody somewhere

GROUP = CodeGroup("on_register", "on register", "event", ("copd",))


def _counts(rows: list[tuple[str, int, int, int]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """From (practice, age band, people, people with an entry)."""
    schema = {"practice_code": pl.String, "age_band": pl.Int64, "people": pl.Int64}
    people = pl.DataFrame([row[:3] for row in rows], schema=schema, orient="row")
    found = [("on_register", "event", *row[:2], row[3]) for row in rows if row[3]]
    return people, pl.DataFrame(found, schema={"variable": pl.String, "kind": pl.String, **schema}, orient="row")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # 20 of 1,000 elsewhere: 500 here make 10.
        pytest.param([("A", 0, 500, 0), ("B", 0, 1_000, 20)], [("A", 10)], id="exactly_10"),
        pytest.param([("A", 0, 499, 0), ("B", 0, 1_000, 20)], [], id="just_below_10"),
        pytest.param([("A", 0, 500, 1), ("B", 0, 1_000, 20)], [], id="one_entry"),
        # 900 young people of whom elsewhere nobody has it, and 100 old of whom 5 in 100 have: 5 here, not 25.
        pytest.param(
            [("A", 0, 900, 0), ("A", 1, 100, 0), ("B", 0, 1_000, 0), ("B", 1, 1_000, 50)], [], id="a_young_practice"
        ),
        pytest.param([("A", 0, 500, 0), ("B", 0, 500, 0)], [], id="nobody_anywhere"),
        pytest.param([("A", 0, 5_000, 0)], [], id="one_practice_alone"),
        # Two silent practices: 40 of 2,000 + 1,000 elsewhere is 1.33 in 100, of 1,000 people 13.
        pytest.param(
            [("A", 0, 1_000, 0), ("B", 0, 2_000, 40), ("C", 0, 1_000, 0)], [("A", 13), ("C", 13)], id="two_silent"
        ),
    ],
)
def test_a_codelist_that_finds_nobody_where_ten_are_expected(rows, expected) -> None:
    found = silent_codelists([GROUP], *_counts(rows))
    assert [(each.practice_code, each.expected) for each in found] == expected


# A rate of 100 in 1,000 is 10 in 100; of 1,000 people 100 are expected, and 49 are under half of them.
@pytest.mark.parametrize(
    ("now", "people", "before", "expected"),
    [
        pytest.param(49, 1_000, [(100, 1_000)], [100], id="under_half"),
        pytest.param(50, 1_000, [(100, 1_000)], [], id="half"),
        pytest.param(0, 1_000, [(19, 1_000)], [], id="nobody_of_nineteen"),
        pytest.param(0, 1_000, [(20, 1_000)], [20], id="nobody_of_twenty"),
        pytest.param(50, 500, [(100, 1_000)], [], id="half_of_the_county_left"),
        pytest.param(49, 1_000, [(100, 1_000), (100, 1_000), (0, 1_000)], [100], id="one_bad_run_before"),
        pytest.param(0, 1_000, [], [], id="the_first_run"),
        pytest.param(0, 1_000, [(None, 1_000)], [], id="a_codelist_that_was_changed"),
    ],
)
def test_a_codelist_that_finds_under_half_of_the_people_it_found_before(now, people, before, expected) -> None:
    runs = [({} if count is None else {GROUP: count}, registered) for count, registered in before]
    falls = fitness.fallen_codelists({GROUP: now}, people, runs)
    assert [(each.people, each.expected) for each in falls] == [(now, each) for each in expected]


# ------------------------------------------------------------------------------------------------------- old feeds


def test_a_feed_is_old_a_day_after_the_last_that_is_allowed() -> None:
    ends = {"apc_episode": date(2026, 1, 1), "gp_event": date(2026, 1, 30)}
    limits = {"apc_episode": 30, "gp_event": 7, "patient_flag": 0}
    assert old_feeds(ends, limits, index_date=date(2026, 1, 31)) == {}
    assert old_feeds(ends, limits, index_date=date(2026, 2, 1)) == {"apc_episode": 31}
