"""A whole run of a clean county agrees with the truth about everybody, and a truth that is changed is caught."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl
import pytest

import admission_risk_again
from stratify import privacy, truth_score
from stratify.care_homes import CareHome, home_and_lead
from stratify.errors import PrivacyError, RunError, SettingsError
from stratify.privacy import THROWAWAY_KEY
from stratify.rulebook import clinical_folder
from stratify.synth import CountyOrder, write_county
from stratify.synth.registry import care_home_register
from stratify.synth.truth import EXPECTATION_COLUMNS, TOUCH_COLUMNS
from stratify.synth.world import County
from whole_runs import counted_plainly, settings_file, stratify

INDEX = date(2026, 11, 2)
EXPECTATION = "expectation-2026-11-02.parquet"


class Scored(NamedTuple):
    out: Path
    truth: Path
    expected: pl.DataFrame


@pytest.fixture(scope="module")
def county(tmp_path_factory) -> Scored:
    """Five thousand people without faults, run for case finding."""
    folder = tmp_path_factory.mktemp("clean")
    order = CountyOrder(people=5_000, practices=4, seed=5, index_date=INDEX)
    write_county(folder / "extracts", order, truth_folder=folder / "truth")
    settings = settings_file(folder, folder / "extracts", folder / "out", index_date=INDEX, clinical=None)
    with counted_plainly():
        done = stratify("run", "--settings", settings)
    assert done.exit_code == 0, done.output
    return Scored(folder / "out", folder / "truth", pl.read_parquet(folder / "truth" / EXPECTATION))


def changed(county: Scored, folder: Path, where: pl.Expr, **columns: Any) -> tuple[Path, int]:
    """Write a truth that differs for the first person in the run of whom something holds; give it and their row."""
    kept = pl.col("withheld_because").is_null()
    row = county.expected.select((where & kept).fill_null(False).arg_true().first()).item()
    frame = county.expected.with_row_index("at").with_columns(
        pl.when(pl.col("at") == row)
        .then(value if isinstance(value, pl.Expr) else pl.lit(value, dtype=EXPECTATION_COLUMNS[name][0]))
        .otherwise(name)
        .alias(name)
        for name, value in columns.items()
    )
    return with_expectation(county, folder, frame.drop("at")), row + 1


def with_expectation(county: Scored, folder: Path, frame: pl.DataFrame) -> Path:
    shutil.copytree(county.truth, folder / "truth")
    return rewritten(folder / "truth", EXPECTATION, frame)


def rewritten(truth: Path, name: str, frame: pl.DataFrame) -> Path:
    frame.write_parquet(truth / name)
    about = json.loads((truth / "about.json").read_text())
    about["truth"][name] = sha256((truth / name).read_bytes()).hexdigest()
    (truth / "about.json").write_text(json.dumps(about))
    return truth


def facts(pathway: str, named: str, /, **other: pl.Expr) -> pl.Expr:
    """Everybody's facts with another value or date of the one named."""
    each = {name: pl.element().struct.field(name) for name in ("variable", "value", "date")}
    is_it = each["variable"] == named
    made = {
        name: pl.when(is_it).then(other[name]).otherwise(each[name]) if name in other else each[name] for name in each
    }
    return pl.col(f"{pathway}_facts").list.eval(pl.struct(**made))


def has(pathway: str, variable: str) -> pl.Expr:
    return pl.col(f"{pathway}_facts").list.eval(pl.element().struct.field("variable") == variable).list.any()


def test_run_and_truth_agree_on_everybody(county):
    compared = truth_score.compare(county.out, county.truth, THROWAWAY_KEY)
    assert compared.differences == (), truth_score.in_words(compared)
    assert compared.is_clean and compared.people == 5_000 and compared.touched == 0 and compared.faults == {}
    assert compared.agreeing == compared.on_pathway
    assert compared.on_pathway["copd"] > 50 and compared.on_pathway["frailty"] > 700
    assert compared.on_pathway["care_homes"] > 20
    assert compared.on_pathway["diabetes"] > 150 and compared.on_pathway["diabetes_prevention"] > 100
    assert sum(compared.withheld.values()) > 300 and len(compared.withheld) == 3


def test_people_on_held_lists_are_held_and_neither_missed_nor_wrong(county, tmp_path):
    """All decisions of one practice and of one whole pathway are wrong: only where lists are not held that is told."""
    out = tmp_path / "out"
    shutil.copytree(county.out / "restricted", out / "restricted")
    with duckdb.connect(str(out / "restricted" / "run.duckdb")) as run:
        practices = [code for (code,) in run.execute(
            "SELECT practice_code FROM derived.placement WHERE pathway = 'frailty' GROUP BY ALL ORDER BY ALL"
        ).fetchall()]  # fmt: skip
        run.execute("DELETE FROM derived.pathway_decision WHERE pathway = 'copd'")
        run.execute(
            "DELETE FROM derived.pathway_decision WHERE pathway = 'frailty' AND patient_key IN "
            "(SELECT patient_key FROM core.person WHERE practice_code IN ($1, $2))", practices[:2],
        )  # fmt: skip
        hold = "INSERT INTO audit.held_list SELECT 'core.x', 'FIT', $1, $2, NULL, 'c', 'r', 0"
        run.execute(hold, ["copd", "all"])
        run.execute(hold, ["frailty", practices[0]])
    before = truth_score.compare(county.out, county.truth, THROWAWAY_KEY)
    compared = truth_score.compare(out, county.truth, THROWAWAY_KEY)
    assert compared.held["copd"] == before.on_pathway["copd"] and compared.on_pathway["copd"] == 0
    assert 0 < compared.held["frailty"] < before.on_pathway["frailty"] and before.held == {}
    assert compared.held["frailty"] + compared.on_pathway["frailty"] == before.on_pathway["frailty"]
    # The second practice is not held: that nobody of it is listed is told.
    assert compared.count("frailty", "missed") > 0 and compared.count("copd", "missed") == 0
    assert f"copd: 0 people, 0 agree, {compared.held['copd']:,} more on held lists" in truth_score.in_words(compared)


def test_the_agreement_is_about_something(county):
    """Every route that a clean county can take is taken, and every group and tier given."""
    kept = county.expected.filter(pl.col("withheld_because").is_null())
    assert set(kept["frailty_rule"].drop_nulls()) >= {
        "palliative", "care_home", "moderate_or_severe", "hospital_frailty_high", "mild", "fit", "cannot_grade",
        "person_status",
    }  # fmt: skip
    assert set(kept["care_homes_rule"]) >= {"moved_or_came_back", "no_plan", "resident"}
    assert set(kept["copd_rule"]) >= {"emergency_admission", "highest_groups", "lower_groups", "cannot_grade"}
    assert set(kept["diabetes_rule"]) >= {
        "palliative", "care_home", "specialist", "gp_and_pharmacist", "nurse", "checks_to_do", "all_done",
        "cannot_grade", "person_status",
    }  # fmt: skip
    assert set(kept["diabetes_prevention_rule"].drop_nulls()) >= {"diabetes_range", "at_risk"}
    assert set(kept["diabetes_group"]) == {"HRC", "HR", "MRa", "MRb", "LR", None}
    assert set(kept["diabetes_checks"]) == {"all", "not_all", None}
    assert set(kept["copd_group"]) == {"HRC", "HR", "MR", "LR", None}
    assert set(kept["efi_tier"]) == {"severe", "moderate", "mild", "fit", None}
    assert set(kept["hospital_frailty_tier"]) == {"high", "intermediate", "low", None}
    assert {"registered", "died", "left", "temporary", "test_patient"} <= set(kept["person_status"])
    assert not all(kept["is_hospital_linked"])
    found = {
        each
        for name in truth_score.PATHWAYS
        for row in kept[f"{name}_facts"].drop_nulls()
        for each in row.struct.field("variable")
    }
    about = json.loads((county.truth / "about.json").read_text())
    assert {name for names in about["facts"].values() for name in names} - found <= {
        # Few have them.
        "azithromycin_issues_count", "has_home_oxygen", "has_first_stroke_or_tia_in_year",
        "has_first_myocardial_infarction_in_year",
        # The county writes none of these.
        "has_copd_admission_in_gp_record", "has_moderate_frailty_recorded", "has_severe_frailty_recorded",
    }  # fmt: skip


def test_planted_residents_of_care_homes_are_found_with_their_home(county):
    """Who has lived in a home for 60 days, longer than records lag, is on the pathway, in the home of the address."""
    drawn = pl.read_parquet(county.truth / "person.parquet").filter(
        pl.col("care_home_since") < INDEX - timedelta(days=60), ~pl.col("is_test_patient")
    )
    resident = drawn.join(county.expected, on="nhs_number", suffix="_record").filter(
        pl.col("person_status") == "registered", pl.col("withheld_because").is_null()
    )
    homes = [
        CareHome(**each)
        for practice in County(CountyOrder(people=5_000, practices=4, seed=5, index_date=INDEX)).practices
        for each in care_home_register(practice)
    ]
    planted = {
        privacy.pseudonym(THROWAWAY_KEY, number): f"{address.split(', ')[0]} at {address.split(', ')[1]}"
        for number, address in pl.read_csv(county.out.parent / "extracts" / "patient.csv", infer_schema=False)
        .filter(pl.col("nhs_number").is_in(resident["nhs_number"].implode()))
        .select("nhs_number", "address_lines").drop_nulls().iter_rows()
    }  # fmt: skip
    with duckdb.connect(str(county.out / "restricted" / "run.duckdb"), read_only=True) as run:
        run.execute(f"ATTACH '{county.out / 'restricted' / 'identity.duckdb'}' AS identity (READ_ONLY)")
        found = dict(
            run.execute(
                "SELECT patient_key, postcode FROM derived.pathway_decision JOIN identity.person USING (patient_key) "
                "WHERE pathway = 'care_homes' AND decision = 'clinic'"
            ).fetchall()
        )
    keys = [privacy.pseudonym(THROWAWAY_KEY, number) for number in resident["nhs_number"]]
    assert len(keys) > 20 and sum(key in found for key in keys) >= 0.98 * len(keys)
    named = [key for key in keys if key in found and key in planted]
    right = [key for key in named if home_and_lead(found[key], homes)[0].startswith(f"{planted[key]} (")]
    assert len(named) > 20 and len(right) >= 0.98 * len(named)


@pytest.fixture(scope="module")
def placed(county) -> pl.DataFrame:
    with duckdb.connect(str(county.out / "restricted" / "run.duckdb"), read_only=True) as run:
        rows = run.execute(
            "SELECT patient_key, pathway, placement, placement_reason, clinic_id, practice_code, state, offer_id, "
            "preferred_language FROM derived.placement JOIN (SELECT patient_key, preferred_language FROM core.person) "
            "USING (patient_key) ORDER BY ALL"
        ).fetchall()
    names = ("patient_key", "pathway", "placement", "placement_reason", "clinic_id", "practice_code", "state",
             "offer_id", "preferred_language")  # fmt: skip
    return pl.DataFrame(rows, schema=list(names), orient="row", infer_schema_length=None)


def test_what_the_trained_model_decides_is_that_of_a_plain_reckoning_from_the_extract_files(county):
    """Its weights are in no truth, so they are put on what the files say a second time: nobody is missing or more."""
    model = clinical_folder() / "models" / "emergency_admission_12_months-0.2.0.json"
    wanted = admission_risk_again.conclude(county.out.parent / "extracts", model, INDEX)
    keys = {privacy.pseudonym(THROWAWAY_KEY, number): number for number in wanted}
    with duckdb.connect(str(county.out / "restricted" / "run.duckdb"), read_only=True) as store:
        registered = "SELECT patient_key FROM core.person WHERE person_status = 'registered'"
        people = {key for (key,) in store.execute(registered).fetchall()}
        risks = dict(
            store.execute(
                "SELECT patient_key, value FROM derived.patient_score WHERE score = 'emergency_admission_12_months' "
                f"AND value IS NOT NULL AND patient_key IN ({registered})"
            ).fetchall()
        )
        decided = store.execute(
            "SELECT patient_key, clinic_id, tier_value FROM derived.pathway_decision "
            "WHERE pathway = 'high_risk_of_admission' AND tier IN ('very_high', 'high') AND decision <> 'excluded'"
        ).fetchall()
    mine = {key: wanted[number] for key, number in keys.items() if key in people}
    assert len(mine) > 2_000 and risks.keys() == mine.keys()
    assert max(abs(risks[key] - each.risk) for key, each in mine.items()) < 1e-6
    linked = {key: clinic for key, clinic, _ in decided if key in mine}
    assert linked == {key: each.clinic for key, each in mine.items() if each.clinic}
    assert len(set(linked.values())) == 4 and all(value == risks[key] for key, _, value in decided if key in mine)


WITH_CLINICS = [each for each in truth_score.PATHWAYS if each != "diabetes_prevention"]


@pytest.mark.parametrize("pathway", WITH_CLINICS)
def test_every_planted_person_is_on_the_right_route_or_waits_with_the_right_reason(county, placed, pathway):
    """The truth says who goes to which clinic: each has a place there, waits since it is full or has none, is dealt
    with at the place of another need, or was seen or said no, as the feed of the county tells."""
    planted = county.expected.filter(
        pl.col(f"{pathway}_decision") == "clinic",
        pl.col("withheld_because").is_null(),
        pl.col("nhs_number").is_not_null(),
    )
    where = {
        privacy.pseudonym(THROWAWAY_KEY, number): clinic
        for number, clinic in planted.select("nhs_number", f"{pathway}_clinic").iter_rows()
    }
    mine = placed.filter(pl.col("pathway") == pathway, pl.col("patient_key").is_in(list(where))).to_dicts()
    assert len(mine) == len(where) > 20
    kinds = Counter(row["placement"] for row in mine)
    assert set(kinds) <= {"listed", "waiting", "held", "not_listed"} and kinds["listed"] and kinds["waiting"]
    taken = Counter(
        (row["clinic_id"], row["practice_code"]) for row in placed.to_dicts() if row["placement"] == "listed"
    )
    for row in mine:
        # Who declined, and whose need is greater now, is looked at by a clinician first.
        assert row["clinic_id"] == ("clinician_review" if row["state"] == "review" else where[row["patient_key"]])
        reason, place = row["placement_reason"], (row["clinic_id"], row["practice_code"])
        if row["placement"] == "waiting":
            assert ("is full this week: number " in reason) == (taken[place] > 0)
            assert taken[place] or reason.startswith("No session of ")
        if row["placement"] == "not_listed":
            assert reason.startswith(("Attended on ", "Declined on "))
        if row["placement"] == "held":  # the other need has the place that the reason names
            assert [other for other in placed.filter(pl.col("patient_key") == row["patient_key"])["placement"].to_list()
                    if other in ("listed", "waiting")]  # fmt: skip


def test_everybody_planted_at_risk_of_diabetes_is_offered_something_in_a_language_they_speak_or_is_told_why_not(
    county, placed
):
    """Row 21: who is at risk is offered a place, dealt with for another need first, or has answered or had one before.
    Peer education is held in seven languages, the programme in English, the one online in any."""
    planted = county.expected.filter(
        pl.col("diabetes_prevention_rule") == "at_risk",
        pl.col("withheld_because").is_null(),
        pl.col("nhs_number").is_not_null(),
    )
    keys = [privacy.pseudonym(THROWAWAY_KEY, number) for number in planted["nhs_number"]]
    mine = placed.filter(pl.col("pathway") == "diabetes_prevention", pl.col("patient_key").is_in(keys)).to_dicts()
    assert len(mine) == len(keys) > 60
    peers = {"ar", "bn", "gu", "pa", "pl", "so", "ur"}
    offers = Counter(row["offer_id"] for row in mine if row["placement"] == "offered")
    assert offers["peer_education"] and offers["prevention_programme"] and offers["prevention_online"]
    for row in mine:
        if row["placement"] == "offered":
            language = row["preferred_language"]
            assert row["offer_id"] != "peer_education" or language in peers
            assert row["offer_id"] != "prevention_programme" or language in ("en", None)
        elif row["placement"] == "listed":  # an offer of the county's past was not taken up: a person rings
            assert row["clinic_id"] in ("call", "clinician_review") and row["state"] in ("stepped_up", "review")
        else:
            assert row["placement"] in ("held", "waiting", "not_listed") and row["placement_reason"]


def test_specialist_time_goes_to_cases_that_meet_the_rule_and_what_is_left_of_it_is_reported(county, placed):
    """Row 13: nobody is at the specialist clinic or the meeting whom the truth does not send there."""
    rule_of = {
        privacy.pseudonym(THROWAWAY_KEY, number): rule
        for number, rule in county.expected.select("nhs_number", "diabetes_rule").drop_nulls().iter_rows()
    }
    clinics = {"diabetes_meeting": "meeting", "diabetes_specialist": "specialist"}
    listed = [row for row in placed.to_dicts() if row["placement"] == "listed" and row["clinic_id"] in clinics]
    assert len(listed) > 5
    for row in listed:
        assert rule_of.get(row["patient_key"], clinics[row["clinic_id"]]) == clinics[row["clinic_id"]]
    with duckdb.connect(str(county.out / "restricted" / "run.duckdb"), read_only=True) as run:
        work = run.execute(
            "SELECT practice_code, listed_count, minutes_offered_count, minutes_used_count FROM audit.workload "
            "WHERE clinic_id = 'diabetes_specialist' AND role = 'diabetologist' ORDER BY ALL"
        ).fetchall()
    here = Counter(row["practice_code"] for row in listed if row["clinic_id"] == "diabetes_specialist")
    assert {place: count for place, count, _, _ in work if count} == dict(here)
    assert sum(offered - used for _, _, offered, used in work) > 0
    assert all(0 <= used <= offered for _, _, offered, used in work)


def test_a_planted_person_on_three_pathways_gets_one_invitation(placed):
    """Whoever needs something on three pathways is called or offered something on one of them, or waits for one."""
    wanted = placed.filter(pl.col("placement") != "not_listed")
    several = wanted.group_by("patient_key").agg(
        pl.len().alias("pathways"), pl.col("placement").is_in(["listed", "offered"]).sum().alias("invitations")
    )
    three = several.filter(pl.col("pathways") >= 3)
    assert three.height > 10 and three["invitations"].max() == 1
    assert several["invitations"].max() == 1


IN_HIGHEST = pl.col("copd_rule") == "highest_groups"
A_YEAR_AGO = pl.lit(date(2025, 11, 30))


@pytest.mark.parametrize(
    ("where", "columns", "place", "kind"),
    [
        pytest.param(
            pl.col("diabetes_rule") == "nurse",
            {"diabetes_decision": "self_management", "diabetes_clinic": None, "diabetes_rule": "all_done"},
            "diabetes", "wrong route", id="wrong route in diabetes",
        ),
        pytest.param(
            pl.col("diabetes_prevention_rule") == "at_risk",
            {"diabetes_prevention_decision": None, "diabetes_prevention_clinic": None,
             "diabetes_prevention_rule": None},
            "diabetes_prevention", "wrongly listed", id="wrongly offered prevention",
        ),
        pytest.param(
            pl.col("frailty_rule") == "fit",
            {"frailty_decision": "clinic", "frailty_clinic": "frailty_clinic", "frailty_rule": "moderate_or_severe"},
            "frailty", "missed", id="missed",
        ),
        pytest.param(
            IN_HIGHEST, {"copd_decision": None, "copd_clinic": None, "copd_rule": None}, "copd", "wrongly listed",
            id="wrongly listed",
        ),
        pytest.param(
            pl.col("copd_rule") == "lower_groups",
            {"copd_decision": "assessment", "copd_clinic": "assessment", "copd_rule": "cannot_grade"},
            "copd", "wrong route", id="wrong route",
        ),
        pytest.param(IN_HIGHEST, {"copd_rule": "emergency_admission"}, "copd", "wrong reason", id="another rule"),
        pytest.param(
            IN_HIGHEST, {"copd_because": "has_laba"}, "copd", "wrong reason", id="another reason that decides"
        ),
        pytest.param(
            pl.col("copd_lacking") == "mrc_grade", {"copd_lacking": "fev1_percent_predicted"}, "copd", "wrong reason",
            id="something else is lacking",
        ),
        pytest.param(
            IN_HIGHEST & has("copd", "mrc_grade"), {"copd_facts": facts("copd", "mrc_grade", date=A_YEAR_AGO)},
            "copd", "wrong reason", id="a reason with another date",
        ),
        pytest.param(
            IN_HIGHEST & has("copd", "mrc_grade"),
            {"copd_facts": facts("copd", "mrc_grade", variable=pl.lit("has_cor_pulmonale"))},
            "copd", "wrong reason", id="a reason that is none",
        ),
        pytest.param(pl.col("copd_group") == "MR", {"copd_groups_open": "HR;MR"}, "copd", "wrong tier", id="open tier"),
        pytest.param(
            pl.col("hospital_frailty_tier") == "low", {"hospital_frailty_tier": "high"}, "frailty", "wrong tier",
            id="tier",
        ),
        pytest.param(pl.col("efi_deficits") == 4, {"efi_deficits": 3}, "frailty", "wrong value", id="deficits"),
        pytest.param(
            (pl.col("frailty_rule") == "fit") & has("frailty", "medicines_count"),
            {"frailty_facts": facts("frailty", "medicines_count", value=pl.lit(40.0))}, "frailty", "wrong value",
            id="a value nobody is shown",
        ),
        pytest.param(
            pl.col("person_status") == "registered", {"person_status": "left"}, "person", "wrong status", id="status"
        ),
        pytest.param(
            pl.col("person_status") == "registered", {"withheld_because": "Type 1 opt-out"}, "person", "not withheld",
            id="not withheld",
        ),
    ],
)  # fmt: skip
def test_a_changed_truth_is_caught(county, tmp_path, where, columns, place, kind):
    truth, row = changed(county, tmp_path, where, **columns)
    compared = truth_score.compare(county.out, truth, THROWAWAY_KEY)
    found = {(each.place, each.kind, each.row) for each in compared.unexplained}
    assert (place, kind, row) in found
    assert {each[2] for each in found} <= {row, 0}
    assert compared.count(place, kind) in (1, 2)  # a fact that is another one: one too many and one too few


def test_people_missing_and_people_nobody_invented_are_caught(county, tmp_path):
    objecting = county.expected["withheld_because"].is_not_null().sum()
    nobody_objects = county.expected.with_columns(withheld_because=pl.lit(None, dtype=pl.String))
    truth = with_expectation(county, tmp_path / "more", nobody_objects)
    compared = truth_score.compare(county.out, truth, THROWAWAY_KEY)
    assert compared.count("person", "missing from the run") == objecting
    assert compared.count("person", "withheld count") == 1
    without = county.expected.filter(~((pl.col("copd_rule") == "lower_groups") & pl.col("withheld_because").is_null()))
    gone = county.expected.height - without.height
    truth = with_expectation(county, tmp_path / "fewer", without)
    compared = truth_score.compare(county.out, truth, THROWAWAY_KEY)
    assert gone and Counter(each.kind for each in compared.unexplained) == {"not in the truth": gone}


def test_a_record_that_came_loose_is_told_of_its_person(county, tmp_path):
    """The run has the only record of somebody alone, as if its NHS number had not been read; the truth knows one."""
    alone = ~pl.col("is_hospital_linked") & (pl.col("person_status") == "registered")
    truth, row = changed(county, tmp_path, alone, nhs_number="9999999999")
    compared = truth_score.compare(county.out, truth, THROWAWAY_KEY)
    assert {(each.kind, each.row) for each in compared.unexplained} == {
        ("missing from the run", row), ("not in the truth", row)
    }  # fmt: skip


def test_what_a_fault_touched_is_told_under_the_fault_and_fails_only_when_strict(county, tmp_path):
    lower = pl.col("copd_rule") == "lower_groups"
    truth, _ = changed(county, tmp_path, lower, copd_rule="highest_groups", faults="D2;U2", fault_expects="as_meant")
    compared = truth_score.compare(county.out, truth, THROWAWAY_KEY)
    assert compared.unexplained == () and compared.faults == {"D2": 1, "U2": 1} and compared.touched == 1
    assert compared.by_fault()["U2"] == {("copd", "wrong reason"): 1}
    assert compared.count("copd", "wrong reason", is_touched=True) == 1
    assert compared.failures(strict=False) == () and len(compared.failures(strict=True)) == 1
    assert "U2: 1 people, 1 differ; copd: wrong reason 1" in truth_score.in_words(compared)


ON_COPD_ALONE = IN_HIGHEST & pl.all_horizontal(
    pl.col(f"{name}_rule").is_null() for name in truth_score.PATHWAYS if name != "copd"
)


def test_whom_a_fault_keeps_off_every_list_may_be_with_a_clinician_or_nowhere(county, tmp_path):
    kept_off = {"faults": "I5", "fault_expects": "not_listed"}
    listed, row = changed(county, tmp_path / "listed", ON_COPD_ALONE, **kept_off)
    compared = truth_score.compare(county.out, listed, THROWAWAY_KEY)
    assert [(each.place, each.kind, each.row, each.faults) for each in compared.differences] == [
        ("copd", "wrongly listed", row, ("I5",))
    ]
    on_none = pl.all_horizontal(
        pl.col(f"{name}_rule").is_null() for name in ("copd", "diabetes", "diabetes_prevention")
    )
    for name, where, more, kinds in (
        ("fit", pl.col("frailty_rule") == "fit", {"frailty_decision": "self_management", "efi_tier": "mild"}, set()),
        ("reviewed", pl.col("frailty_rule") == "hospital_frailty_high", {"frailty_rule": "mild"}, set()),
        ("nowhere", ~pl.col("is_hospital_linked"), {"nhs_number": "9999999999"}, {"not in the truth"}),
    ):
        truth, _ = changed(county, tmp_path / name, where & on_none, **kept_off, **more)
        compared = truth_score.compare(county.out, truth, THROWAWAY_KEY)
        assert {each.kind for each in compared.differences} == kinds, name
        assert compared.unexplained == ()


def test_a_set_that_should_have_been_refused_is_said_once_and_explains_what_followed(county, tmp_path):
    truth, row = changed(county, tmp_path, pl.col("efi_deficits") == 4, efi_deficits=3)
    kinds = {name: kind for name, (kind, _) in TOUCH_COLUMNS.items()}
    told = {"fault": "F3", "week": 0, "key": "patient.csv", "expects": "refused"}
    of_a_practice = {"fault": "F10", "week": 0, "org_code": "Y00001", "expects": "refused"}
    rewritten(truth, "fault.parquet", pl.DataFrame([told, of_a_practice], schema=kinds))
    compared = truth_score.compare(county.out, truth, THROWAWAY_KEY)
    assert [(each.place, each.kind, each.row, each.faults) for each in compared.differences] == [
        ("run", "not refused", 0, ("F3",)), ("frailty", "wrong value", row, ("F3",))
    ]  # fmt: skip
    assert compared.unexplained == ()
    assert "F3: expected the extract refused, the last lists in place; found a finished run" in truth_score.in_words(
        compared
    )


def test_the_command_ends_with_1_when_they_differ(county, tmp_path):
    done = stratify("synth", "score", county.out, county.truth)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip().splitlines()[-1] == "Run and truth agree."
    truth, row = changed(county, tmp_path, pl.col("efi_deficits") == 4, efi_deficits=3)
    done = stratify("synth", "score", county.out, truth)
    assert done.exit_code == 1
    assert "frailty, wrong value: expected efi deficits 3; found 4" in done.stdout
    assert f"row {row} of the truth" in done.stdout
    number = county.expected["nhs_number"][row - 1]
    assert number is None or number not in done.stdout


def test_a_truth_that_is_none_or_another_one_is_refused(county, tmp_path):
    with pytest.raises(SettingsError, match=r"no about\.json"):
        truth_score.compare(county.out, tmp_path, THROWAWAY_KEY)
    with pytest.raises(RunError, match="a finished run"):
        truth_score.compare(tmp_path, county.truth, THROWAWAY_KEY)
    with pytest.raises(PrivacyError, match="another key"):
        truth_score.compare(county.out, county.truth, b"another key of a test site, long enough 123456789")
    order = CountyOrder(people=100, practices=1, index_date=INDEX)
    write_county(tmp_path / "extracts", order, truth_folder=tmp_path / "other")
    with pytest.raises(RunError, match="other files, for 2026-11-02"):
        truth_score.compare(county.out, tmp_path / "other", THROWAWAY_KEY)
    another_day = CountyOrder(people=100, practices=1, index_date=date(2026, 10, 5), weeks=1)
    write_county(tmp_path / "weekly", another_day, truth_folder=tmp_path / "days")
    with pytest.raises(RunError, match="one of its 2 days from 2026-10-05 to 2026-10-12; found one for 2026-11-02"):
        truth_score.compare(county.out, tmp_path / "days", THROWAWAY_KEY)
    truth = with_expectation(county, tmp_path / "changed", county.expected)
    (truth / EXPECTATION).write_bytes(b"changed")
    with pytest.raises(SettingsError, match="changed files"):
        truth_score.compare(county.out, truth, THROWAWAY_KEY)
    (truth / EXPECTATION).unlink()
    with pytest.raises(SettingsError, match=r"no expectation-2026-11-02\.parquet"):
        truth_score.compare(county.out, truth, THROWAWAY_KEY)


def test_the_truth_changes_no_byte_of_the_extracts(tmp_path):
    order = CountyOrder(people=300, practices=2)
    write_county(tmp_path / "one", order, truth_folder=tmp_path / "truth")
    write_county(tmp_path / "two", order, truth_folder=tmp_path / "again")
    write_county(tmp_path / "without", order)
    for one, other in (("truth", "again"), ("one", "two"), ("one", "without")):
        assert {each.name for each in (tmp_path / one).iterdir()} == {
            each.name for each in (tmp_path / other).iterdir()
        }
        for path in (tmp_path / one).iterdir():
            assert path.read_bytes() == (tmp_path / other / path.name).read_bytes()


def test_what_is_drawn_and_what_is_recorded_go_together(county):
    """Most who have COPD are on the register and nobody else is; most recorded frailty is that drawn."""
    both = pl.read_parquet(county.truth / "person.parquet").join(
        county.expected, on=["nhs_number"], nulls_equal=False, suffix="_record"
    )
    on_register = both.filter(pl.col("on_copd_register") == "yes")
    assert all(on_register["has_copd"])
    assert on_register.height > 0.85 * both.filter("has_copd", ~pl.col("is_test_patient")).height
    graded = both.filter(pl.col("efi_tier").is_not_null(), pl.col("person_status") == "registered")
    assert graded.filter(pl.col("efi_tier") == pl.col("frailty")).height > 0.7 * graded.height
