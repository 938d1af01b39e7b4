"""What holds for any county: nobody lost, nobody twice, no session over-full, no order of rows, missing never low."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from functools import cache
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import invented
import little_county
from little_county import INDEX
from stratify import engine
from stratify.pathways import REGISTERED, decide
from stratify.pools import sessions
from stratify.routing import place
from stratify.rulebook import load_rule_book
from stratify.scores import add_scores, score_rows

BOOK = load_rule_book().cut_down_to(
    "copd", "frailty", "bode", "charlson_shmi", "dose", "gold_abe_2026", "kfre_uk_5_year", "lace"
)
"""The pathways and what they use, and a score of each kind besides: the whole book would take minutes."""
SEEDS = st.integers(0, 10_000)
ACTIONS = ("listed", "offered")
# One example takes most of a second, so a failing one is shown as found: making it smaller would take minutes.
WHOLE = settings(phases=[Phase.explicit, Phase.generate])


@cache
def reckoned(seed: int) -> dict[str, pl.DataFrame]:
    return little_county.reckon(little_county.random_county(BOOK, seed, people=60), BOOK)


# --------------------------------------------------------------------------------------------------- whole reckoning


@settings(WHOLE, max_examples=3)
@given(seed=SEEDS, order=SEEDS)
def test_the_order_of_rows_changes_nothing(seed, order):
    county = little_county.random_county(BOOK, seed, people=60)
    other = little_county.reckon(little_county.shuffled(county, order), BOOK)
    for name, frame in reckoned(seed).items():
        assert frame.equals(other[name]), name


@settings(WHOLE, max_examples=3)
@given(seed=SEEDS)
def test_everybody_on_a_pathway_has_one_decision_and_its_score_agrees(seed):
    tables = reckoned(seed)
    decisions = tables["pathway_decision"]
    assert decisions.select("patient_key", "pathway").is_unique().all()
    assert decisions.select("decision", "rule_id", "reason").null_count().sum_horizontal().item() == 0
    persons, _, _ = little_county.random_county(BOOK, seed, people=60)
    of_age = persons.filter((pl.col("age_years") >= 65) | pl.col("age_years").is_null())
    assert set(decisions.filter(pathway="frailty")["patient_key"]) == set(of_age["patient_key"])
    on_register = tables["variable_value"].filter(variable="is_on_copd_register")
    assert set(decisions.filter(pathway="copd")["patient_key"]) == set(on_register["patient_key"])
    for pathway in BOOK.pathways.values():
        tiers = tables["patient_score"].filter(score=pathway.tier_from).select("patient_key", score_tier="tier")
        both = decisions.filter(pathway=pathway.id).join(tiers, on="patient_key", how="left")
        assert both.filter(~pl.col("tier").eq_missing(pl.col("score_tier"))).is_empty()


@settings(WHOLE, max_examples=3)
@given(seed=SEEDS)
def test_a_tier_given_is_one_that_is_open_and_the_lowest_only_alone(seed):
    lowest = {score.id: score.tiers[-1].tier for score in BOOK.scores.values() if score.tiers}
    for row in reckoned(seed)["patient_score"].to_dicts():
        is_open = (row["possible_tiers"] or "").split(";")
        if row["score"] not in lowest:
            assert row["tier"] is None and row["possible_tiers"] is None
            continue
        assert row["tier"] is None or row["tier"] in is_open
        assert row["tier"] != lowest[row["score"]] or is_open == [row["tier"]]
        assert row["is_complete"] <= (is_open == [row["tier"]])
        assert (row["possible_tiers"] is None) == (row["withheld_reason"] is not None)


# -------------------------------------------------------------------------------------------------------- placements

_PEOPLE = [f"p{number}" for number in range(8)]
_PLACES = {
    "copd": ("copd_clinic", "palliative_review", "care_home_round"),
    "frailty": ("frailty_clinic", "palliative_review", "care_home_round"),
}
_OTHERS = ("self_management", "assessment", "clinician_review", "excluded", "not_eligible")


@st.composite
def _decisions(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = []
    for key in draw(st.lists(st.sampled_from(_PEOPLE), unique=True)):
        for pathway in draw(st.lists(st.sampled_from(["copd", "frailty"]), unique=True, min_size=1)):
            choice = draw(st.sampled_from([*_PLACES[pathway], *_OTHERS]))
            is_clinic = choice in _PLACES[pathway]
            worklist = choice if choice in ("assessment", "clinician_review") else None
            rows.append(
                {"patient_key": key, "pathway": pathway, "reason": "Because", "rule_id": "rule"}
                | {"decision": "clinic" if is_clinic else choice, "clinic_id": choice if is_clinic else worklist}
                | {"tier_rank": draw(st.sampled_from([1, 2, None]))}
            )
    return rows


_CAPACITY = st.lists(
    st.builds(
        lambda clinic, day, practice, nurses, doctors: [
            {"clinic_id": clinic, "practice_code": practice, "clinic_date": INDEX + timedelta(days=day)}
            | {"role": role, "slots": slots}
            for role, slots in (("nurse", nurses), ("gp", doctors))
        ],
        st.sampled_from(sorted({name for names in _PLACES.values() for name in names})),
        st.integers(-1, 8),
        st.sampled_from(["Y99001", "Y99002"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=6,
    unique_by=lambda rows: tuple(rows[0][name] for name in ("clinic_id", "practice_code", "clinic_date")),
).map(lambda found: [row for rows in found for row in rows])
_PERSONS = st.lists(
    st.fixed_dictionaries(
        {
            "practice_code": st.sampled_from(["Y99001", "Y99001", "Y99002", None]),
            "imd_decile": st.sampled_from([1, 5, 10, None]),
            "age_years": st.sampled_from([66, 80, None]),
        }
    ),
    min_size=len(_PEOPLE),
    max_size=len(_PEOPLE),
)


@settings(max_examples=100)
@given(decisions=_decisions(), capacity=_CAPACITY, persons=_PERSONS)
def test_placements_keep_their_promises(decisions, capacity, persons):
    people = [{"patient_key": key, **row} for key, row in zip(_PEOPLE, persons, strict=True)]
    slots = invented.frame("core.clinic_capacity", capacity)
    placed = place(
        invented.frame("derived.pathway_decision", decisions),
        invented.frame("core.person", people),
        invented.value_rows({"p1": {"fev1_percent_predicted": 30}}, INDEX),
        slots,
        BOOK,
        index_date=INDEX,
    ).to_dicts()
    wanted = {(row["patient_key"], row["pathway"]) for row in decisions if row["decision"] != "not_eligible"}
    assert sorted((row["patient_key"], row["pathway"]) for row in placed) == sorted(wanted), "one placement each"
    assert all(row["placement_reason"] for row in placed), "nobody is left without a reason"
    actions = Counter(row["patient_key"] for row in placed if row["placement"] in ACTIONS)
    assert max(actions.values(), default=0) <= 1, "nobody has two actions"
    room = {
        (each.clinic_id, each.practice_code, each.clinic_date): each.places
        for each in sessions(slots, index_date=INDEX)
    }
    used = Counter(
        (row["clinic_id"], row["practice_code"], row["clinic_date"]) for row in placed if row["clinic_date"] is not None
    )
    assert all(count <= room[session] for session, count in used.items()), "no session above its places"
    for row in placed:
        if row["placement"] == "waiting":
            free = [room[each] - used[each] for each in room if each[:2] == (row["clinic_id"], row["practice_code"])]
            assert not any(free), "nobody waits beside a free place"
        if row["placement"] in ACTIONS:
            assert row["practice_code"] is not None
            assert row["decision"] != "excluded"
        if row["decision"] != "excluded" and row["practice_code"] is not None:
            assert row["placement"] != "not_listed", "everybody with a practice is on a list, waits or is held"
    ranks: dict[tuple[str, str], list[int]] = {}
    for row in placed:
        if row["decision"] == "clinic" and row["priority_rank"] is not None:
            ranks.setdefault((row["clinic_id"], row["practice_code"]), []).append(row["priority_rank"])
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in ranks.values()), "ranks without gaps"


# ---------------------------------------------------------------------------------------------- missing is never low

_LATEST = {
    "fev1_percent_predicted": (20, 29.9, 30, 49.9, 50, 79.9, 80, 95),
    "mrc_grade": (1, 2, 3, 4, 5),
    "cat_score": (9, 10),
}
_COUNTS = ("copd_exacerbations_count", "copd_emergency_admissions_count")
_HAS = ("has_copd_admission_in_gp_record", "has_home_oxygen", "is_palliative", "care_home_code_recorded",
        "has_severe_frailty_recorded")  # fmt: skip
_DEFICITS = sorted(name for name in BOOK.variables if name.startswith("efi_"))
_LOST = ("stale", "conflict", "unusable", None)


@st.composite
def _person_and_less(
    draw: st.DrawFn,
) -> tuple[tuple[dict[str, Any], dict[str, Any]], tuple[dict[str, Any], dict[str, Any]]]:
    """Give a person with everything known, and the same with some of it not known."""
    values: dict[str, Any] = {"is_on_copd_register": draw(st.sampled_from([1, 1, 1, None]))}
    values |= {name: draw(st.sampled_from(found)) for name, found in _LATEST.items()}
    values |= {name: draw(st.sampled_from([None, None, 1, 2])) for name in _COUNTS}
    values |= dict.fromkeys(draw(st.lists(st.sampled_from(_HAS), max_size=1)), 1)
    values |= dict.fromkeys(_DEFICITS[: draw(st.integers(0, 14))], 1)
    values["hospital_frailty_points"] = draw(st.sampled_from([None, 4.9, 15, 15.1]))
    person = {"age_years": draw(st.sampled_from([50, 66, 74, 75, 90])), "registered_date": date(2010, 1, 1)}
    less, lost = dict(person), dict(values)
    for name in draw(st.lists(st.sampled_from(sorted(_LATEST)), unique=True, max_size=3)):
        lost[name] = draw(st.sampled_from(_LOST))
    if draw(st.booleans()):
        less["is_hospital_linked"] = False
        lost |= {"hospital_frailty_points": None, "copd_emergency_admissions_count": None}
        lost["copd_exacerbations_count"] = (
            draw(st.sampled_from([None, 1])) if values["copd_exacerbations_count"] else None
        )
    if draw(st.sampled_from([True, False, False])):
        less["age_years"] = None
    less["registered_date"] = draw(st.sampled_from([date(2010, 1, 1), date(2026, 3, 1), None]))
    if values["is_on_copd_register"] and draw(st.sampled_from([True, False, False, False])):
        lost["is_on_copd_register"] = "conflict"
    return (person, values), (less, lost)


@settings(WHOLE, max_examples=6)
@given(pairs=st.lists(_person_and_less(), min_size=40, max_size=40))
def test_what_is_not_known_never_makes_a_tier_or_a_route_lower(pairs):
    """Losing knowledge leaves a person's destination as it was, or sends the person to a visit or a clinician.

    Lost here: a measured value (gone, stale, contradictory, unusable), the link to hospital data, the age, the date of
    registration, a register entry that is contradicted. The one exception is declared: a rule with
    ``when_unknown: pass_over`` is passed over, with its gap shown.
    """
    people = {f"{number:02}_{which}": found for number, pair in enumerate(pairs) for which, found in enumerate(pair)}
    persons = invented.frame("core.person", [{"patient_key": key, **person} for key, (person, _) in people.items()])
    values = invented.value_rows({key: found for key, (_, found) in people.items()}, date(2026, 5, 1))
    wide = engine.from_polars(invented.wide_of(persons, values, BOOK, INDEX))
    scored = engine.from_polars(invented.collected(add_scores(wide, BOOK)))
    found = {(row["patient_key"], row["score"]): row for row in invented.collected(score_rows(scored, BOOK)).to_dicts()}
    for (key, name), known in found.items():
        if not key.endswith("_0"):
            continue
        less = found[key.replace("_0", "_1"), name]
        was_open, is_open = ((row["possible_tiers"] or "").split(";") for row in (known, less))
        if known["possible_tiers"] is not None:
            assert set(was_open) <= set(is_open), (name, people[key], "a tier that was open is ruled out")
        if less["is_complete"]:
            assert known["is_complete"] and known["tier"] == less["tier"], (name, people[key])
        if BOOK.scores[name].tiers and less["tier"] == BOOK.scores[name].tiers[-1].tier:
            assert known["tier"] == less["tier"], (name, people[key], "lowest given without being proved")
    for pathway in BOOK.pathways.values():
        decided = {row["patient_key"]: row for row in invented.collected(decide(scored, pathway, BOOK)).to_dicts()}
        passed_over = {route.id for route in pathway.routes if route.when_unknown == "pass_over"}
        for key, known in decided.items():
            if not key.endswith("_0"):
                continue
            less = decided[key.replace("_0", "_1")]
            is_same = (known["decision"], known["clinic_id"]) == (less["decision"], less["clinic_id"])
            assert (
                is_same or less["decision"] in ("assessment", "clinician_review") or known["rule_id"] in passed_over
            ), (pathway.id, known["rule_id"], less["rule_id"], people[key])
            if known["rule_id"] in passed_over and not is_same and less["decision"] != "assessment":
                assert less["data_gaps"], "what was passed over is said"


# --------------------------------------------------------------------------------------------- the county is worth it


@pytest.mark.parametrize("pathway", sorted(BOOK.pathways))
def test_the_little_counties_reach_every_outcome(pathway):
    """Guards the tests above: a county that sends everybody to one place would prove little."""
    found = pl.concat([reckoned(seed)["pathway_decision"] for seed in (0, 1)]).filter(pathway=pathway)
    expected = {"clinic", "self_management", "assessment", "clinician_review", "excluded"}
    assert expected <= set(found["decision"])
    assert set(REGISTERED) <= {"registered", *(row.get("person_status") for row in little_county.PERSONS)}
