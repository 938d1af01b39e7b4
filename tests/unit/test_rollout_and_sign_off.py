"""Where a pathway is on, and when a signature under it holds: waves by practice and date, digests, bounds."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pydantic import ValidationError

import invented
from stratify import rollout, sign_off
from stratify.errors import SettingsError
from stratify.rollout import Switch
from stratify.rule_versions import digest_of_pathway
from stratify.settings import load_settings
from stratify.sign_off import SignOff

MONDAY = date(2026, 6, 15)
NETWORK_OF = {"Y99001": "U1", "Y99002": "U1", "Y99003": "U2", "Y99004": None}


def switch(pathway: str = "lungs", **changes: object) -> Switch:
    return Switch.model_validate({"pathway": pathway, "from": MONDAY} | changes)


def off(*switches: Switch, pathways: tuple[str, ...] = ("lungs", "frailty"), day: date = MONDAY):
    return rollout.switched_off(switches, pathways, NETWORK_OF, day)


# ---------------------------------------------------------------------------------------------------------- roll-out


def test_a_pathway_that_no_entry_names_is_on_everywhere():
    assert off() == set()
    assert not {name for name, _ in off(switch(practices=["Y99001"]))} & {"frailty"}


def test_a_pathway_is_on_at_the_practices_and_networks_of_its_entries_and_off_elsewhere():
    found = off(switch(practices=["Y99004"], networks=["U1"]))
    assert found == {("lungs", "Y99003"), ("lungs", None)}


@pytest.mark.parametrize(
    ("day", "is_on"),
    [
        pytest.param(MONDAY - timedelta(days=1), False, id="the_day_before_it_begins"),
        pytest.param(MONDAY, True, id="the_day_it_begins"),
        pytest.param(MONDAY + timedelta(days=6), True, id="the_day_before_it_ends"),
        pytest.param(MONDAY + timedelta(days=7), False, id="the_day_it_is_off_again"),
    ],
)
def test_the_dates_of_an_entry(day, is_on):
    found = off(switch(practices=["Y99001"], until=MONDAY + timedelta(days=7)), day=day)
    assert (("lungs", "Y99001") not in found) == is_on


def test_an_entry_without_practices_has_the_pathway_on_nowhere():
    assert {place for name, place in off(switch()) if name == "lungs"} == {*NETWORK_OF, None}


def test_a_version_on_trial_takes_the_place_of_the_pathway_at_its_practices_alone():
    found = off(switch("lungs_trial", instead_of="lungs", practices=["Y99002"]), pathways=("lungs", "lungs_trial"))
    assert {name for name, practice in found if practice == "Y99002"} == {"lungs"}
    for practice in ("Y99001", "Y99003", "Y99004", None):
        assert {name for name, place in found if place == practice} == {"lungs_trial"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"practices": ["Y99001"], "until": MONDAY}, "ends after it begins", id="no_day"),
        pytest.param({"practices": ["Y99001"], "instead_of": "lungs"}, "not of itself", id="instead_of_itself"),
    ],
)
def test_an_entry_that_says_nothing_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        switch(**changes)


def test_a_misspelt_pathway_or_practice_is_refused_by_its_entry():
    with pytest.raises(SettingsError, match="entry 2 names lunks, Y9"):
        rollout.check([switch(practices=["Y1"]), switch("lunks", practices=["Y9"])], ["lungs"], ["Y1"])


# ---------------------------------------------------------------------------------------------------------- sign-off


def signature(pathway: str = "lungs", **changes: object) -> SignOff:
    return SignOff.model_validate(
        {
            "pathway": pathway,
            "digest": "0123456789abcdef",
            "clinical_lead": "Dr Invented",
            "signed_by": "Invented Officer",
            "role": "medical director",
            "signed_date": MONDAY - timedelta(days=30),
            "review_date": MONDAY + timedelta(days=30),
            "per_practice": {"least": 1, "most": 3},
            "in_total": {"least": 2, "most": 5},
        }
        | changes
    )


@pytest.mark.parametrize(
    ("signatures", "review", "why"),
    [
        pytest.param([signature()], MONDAY, None, id="signed_and_reviewed_up_to_today"),
        pytest.param([], MONDAY, "not signed off", id="nobody_signed"),
        pytest.param([signature("frailty")], MONDAY, "not signed off", id="another_pathway_is_signed"),
        pytest.param([signature(signed_date=MONDAY + timedelta(days=1))], MONDAY, "not signed", id="signed_tomorrow"),
        pytest.param([signature(digest="f" * 16)], MONDAY, "changed after it was signed", id="changed_since"),
        pytest.param([signature()], MONDAY - timedelta(days=1), "review date", id="definition_past_its_review"),
        pytest.param([signature(review_date=MONDAY - timedelta(days=1))], MONDAY, "review", id="signature_past_it"),
        pytest.param([signature(digest="f" * 16), signature(signed_date=MONDAY)], MONDAY, None, id="signed_again"),
        pytest.param([signature(), signature(digest="f" * 16, signed_date=MONDAY)], MONDAY, "changed", id="the_latest"),
    ],
)  # fmt: skip
def test_when_a_pathway_may_publish(signatures, review, why):
    found = sign_off.fault_of("lungs", "0123456789abcdef", review, signatures, day=MONDAY)
    assert (found is None) if why is None else (why in (found or ""))


@pytest.mark.parametrize(
    ("people", "held"),
    [
        pytest.param({"a": 1, "b": 3}, set(), id="at_both_edges"),
        pytest.param({"a": 0, "b": 3}, {"a"}, id="too_few_at_one"),
        pytest.param({"a": 1, "b": 4}, {"b"}, id="too_many_at_one"),
        pytest.param({"a": 3, "b": 3}, {None}, id="too_many_in_all"),
        pytest.param({"a": 1, "b": 0}, {None}, id="too_few_in_all"),
    ],
)
def test_lists_outside_the_bounds_that_were_signed(people, held):
    assert set(sign_off.outside_bounds(signature(), people)) == held


def test_the_digest_of_a_pathway_changes_with_a_score_it_depends_on_and_not_with_one_it_does_not():
    def digest(low: int, other: int) -> str:
        flares = invented.variable("flares", "count", {"event": "x"}, lookback_months=12)
        scores = [
            invented.score(name, value_of="flares",
                           tiers=[{"tier": "high", "label": "High", "at_least": edge},
                                  {"tier": "low", "label": "Low", "below": edge}])
            for name, edge in (("group", low), ("other", other))
        ]  # fmt: skip
        lungs = invented.pathway("lungs", cohort={"variable": "age_years", "at_least": 18}, tier_from="group",
                                 routes=[{"id": "rest", "decision": "not_eligible", "reason": "Nothing"}])  # fmt: skip
        return digest_of_pathway(invented.rule_book(variables=[flares], scores=scores, pathways=[lungs]), "lungs")

    assert digest(2, 5) == digest(2, 6)
    assert digest(2, 5) != digest(3, 5)


# ---------------------------------------------------------------------------------------------------------- settings


def test_roll_out_and_sign_offs_may_stand_in_files_of_their_own(tmp_path):
    (tmp_path / "waves.yaml").write_text(
        "rollout:\n- {pathway: copd, practices: [Y99001], from: 2026-06-01}\n", encoding="utf-8"
    )
    (tmp_path / "signed.yaml").write_text("sign_offs: []\n", encoding="utf-8")
    (tmp_path / "settings.yaml").write_text(
        "extracts: here\nsource: synthetic_county\nout: out\nrollout: waves.yaml\nsign_offs: signed.yaml\n",
        encoding="utf-8",
    )
    found = load_settings(
        tmp_path / "settings.yaml", environment={}, overrides={}, today=MONDAY,
        synthetic_sources=frozenset({"synthetic_county"}),
    )  # fmt: skip
    assert found.rollout == (Switch(pathway="copd", practices=("Y99001",), first_date=date(2026, 6, 1)),)
    assert found.sign_offs == ()


def test_a_file_of_sign_offs_without_sign_offs_is_refused(tmp_path):
    (tmp_path / "signed.yaml").write_text("rollout: []\n", encoding="utf-8")
    (tmp_path / "settings.yaml").write_text("sign_offs: signed.yaml\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="sign_offs"):
        load_settings(tmp_path / "settings.yaml", environment={}, overrides={}, today=MONDAY)
