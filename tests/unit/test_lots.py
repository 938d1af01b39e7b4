"""Lots at the last place: only among those who tie there, the same every time, recorded first, and stopped for harm."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from types import SimpleNamespace

import polars as pl
import pytest
import yaml
from publish_example import frame, key, person
from pydantic import ValidationError
from test_routing import BOOK, INDEX, slots, wants

import invented
from stratify import contracts, kept_weeks, lot_run
from stratify.errors import SettingsError
from stratify.evaluation_book import load_evaluations
from stratify.lots import Lot, Lots, Tie, digest_of_seed, why_stop
from stratify.routing import place
from stratify.store import open_store

SEED = b"an invented seed that nobody keeps"
KEYS = [f"p{number:02d}" for number in range(8)]


def lots(seed: bytes = SEED) -> Lots:
    return Lots({("lungs", "lung_clinic"): (seed, "f" * 64)})


def placed(drawing: Lots | None, *, order=KEYS, capacity=None, people=(), flares=None):
    """Eight people who want the lung clinic, of whom the first two had more flare-ups and the last one fewer."""
    counts = flares or {"p00": 5, "p01": 4, "p07": 1}
    values = {name: {"flares": float(counts.get(name, 3))} for name in order}
    found = place(
        invented.frame("derived.pathway_decision", [wants(name) for name in order]),
        invented.frame("core.person", [{"patient_key": name, **dict(people).get(name, {})} for name in order]),
        invented.value_rows(values, INDEX),
        invented.frame("core.clinic_capacity", capacity or [slots(4)]),
        BOOK,
        index_date=INDEX,
        lots=drawing,
    )
    return {row["patient_key"]: row for row in found.to_dicts()}


def ranks(found):
    return {name: row["priority_rank"] for name, row in found.items()}


def test_a_lot_decides_among_those_who_tie_at_the_last_place_and_nobody_else_moves():
    """p02 to p06 tie for the third and fourth of four places; p00, p01 and p07 stay where they are."""
    without, drawing = placed(None), lots()
    found = placed(drawing)
    assert [ranks(found)[name] for name in ("p00", "p01", "p07")] == [1, 2, 8]
    assert {ranks(found)[name] for name in KEYS[2:7]} == {3, 4, 5, 6, 7}
    assert sum(row["placement"] == "listed" for row in found.values()) == 4
    assert ranks(found) != ranks(without)
    given = {row["patient_key"] for row in drawing.drawn if row["is_given"]}
    assert given == {name for name in KEYS[2:7] if found[name]["placement"] == "listed"} and len(given) == 2
    assert {(row["tied"], row["given"]) for row in drawing.drawn} == {(5, 2)}
    assert found[min(given)]["placement_reason"] == "Has a place (by lot: 5 people equally in need, 2 of the places)"
    for name in ("p00", "p01", "p07"):
        assert found[name] == without[name]


def test_the_same_seed_gives_the_same_whatever_the_order_of_rows_and_another_gives_another():
    assert placed(lots()) == placed(lots(), order=KEYS[::-1])
    drawn = {tuple(sorted(ranks(placed(lots(f"seed {number}".encode()))).items())) for number in range(12)}
    assert len(drawn) > 6


def test_every_tied_person_has_the_same_chance():
    """2 of 5 places over 600 seeds: 240 each, and 12 is one standard error."""
    times = dict.fromkeys(KEYS[2:7], 0)
    for number in range(600):
        drawing = lots(f"seed {number}".encode())
        drawing.draw([Tie("lungs", "lung_clinic", "Y99001", tuple(KEYS[2:7]), 2)])
        for row in drawing.drawn:
            times[row["patient_key"]] += row["is_given"]
    assert all(200 < count < 280 for count in times.values()) and sum(times.values()) == 1200


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"capacity": [slots(8)]}, id="places for all who tie"),
        pytest.param({"capacity": [slots(2)]}, id="the last place is above the tie"),
        pytest.param({"flares": {name: number for number, name in enumerate(KEYS)}}, id="nobody ties"),
        pytest.param(
            {"capacity": [slots(4, practice_code="U1")], "people": [(name, {"pcn_code": "U1"}) for name in KEYS]},
            id="the places are a network's",
        ),
        pytest.param(
            {"people": [(name, {"imd_decile": number + 1}) for number, name in enumerate(KEYS)]},
            id="deprivation orders them",
        ),
    ],
)
def test_where_no_tie_is_at_the_last_place_a_lot_changes_nothing(changes):
    drawing = lots()
    assert placed(drawing, **changes) == placed(None, **changes)
    assert drawing.drawn == []


def test_a_lot_of_another_clinic_changes_nothing():
    assert placed(Lots({("lungs", "home_visit"): (SEED, "f" * 64)})) == placed(None)


# --------------------------------------------------------------------------------------------------------- when to stop


def test_a_lot_stops_when_one_side_fares_much_worse():
    """10 years each, 30 against 8: 22 / √38 = 3.57, beyond 3.29; 30 against 9 is 3.36, 30 against 10 is 3.16."""
    assert "to whom the lot gave a place" in str(why_stop((30, 8), (10.0, 10.0), "deaths"))
    assert "to whom it gave none" in str(why_stop((9, 30), (10.0, 10.0), "deaths"))
    assert why_stop((30, 10), (10.0, 10.0), "deaths") is None
    assert why_stop((0, 0), (10.0, 10.0), "deaths") is None
    assert why_stop((3, 0), (10.0, 0.0), "deaths") is None


# ------------------------------------------------------------------------------------------------------- week by week

PLAN = {
    "id": "lot_of_lungs",
    "version": "1.0.0",
    "name": "Does a place help those who tie for it?",
    "owner": "Somebody",
    "pathway": "lungs",
    "clinic": "lung_clinic",
    "design": "lot",
    "outcome": "emergency_admission",
    "recruits_from": "2026-06-01",
    "recruits_until": "2026-12-31",
    "after_days": 182,
}


class Site:
    """What a run has of a site with a lot, week by week, and its kept weeks; records are those of 100 people."""

    def __init__(self, folder, **changes):
        self.folder = folder
        (folder / "clinical" / "evaluations").mkdir(parents=True)
        self.file = folder / "clinical" / "evaluations" / "lungs.yaml"
        self.file.write_text(yaml.safe_dump({"evaluations": [PLAN]}), encoding="utf-8")
        (folder / "out" / "restricted").mkdir(parents=True)
        digest = load_evaluations(folder / "clinical")[0].digest
        self.lot = lot(plan_digest=digest, **changes)
        self.admissions: list[dict] = []

    def week(self, number: int, seed: bytes = SEED, drawn: int = 0) -> tuple[str, str | None, Lots]:
        day = INDEX + timedelta(weeks=number)
        settings = SimpleNamespace(
            index_date=day, out=self.folder / "out", lots=(self.lot,), clinical=self.folder / "clinical"
        )
        plan = SimpleNamespace(
            settings=settings, restricted=self.folder / "out" / "restricted", run_id=f"run {number}", data_cutoffs={}
        )
        with open_store(self.folder / f"{number}.duckdb", temp_directory=self.folder, threads=1) as store:
            for name, rows in (
                ("core.person", [person(each) for each in range(100)]),
                ("core.apc_spell", self.admissions),
                ("core.death", []),
            ):
                store.create(name, invented.frame(name, rows) if rows else frame(name, []))
            opened = lot_run.open_lots(store, plan, {"STRATIFY_LOT_SEED": seed.decode()}, {})
        for each in range(drawn):
            opened.drawn.append(
                {"patient_key": key(each), "pathway": "lungs", "practice_code": "A1", "clinic_id": "lung_clinic",
                 "draw": "d", "tied": drawn, "given": drawn // 2, "is_given": each % 2 == 0,
                 "plan_digest": self.lot.plan_digest}
            )  # fmt: skip
        lot_run.keep(plan, opened)
        kept = kept_weeks.scan(plan.restricted, "audit.lot_plan", before=day + timedelta(days=1), same_person={})
        row = kept.filter(pl.col("week") == day).collect().row(0, named=True)
        return row["status"], row["reason"], opened


def lot(**changes) -> Lot:
    given = {
        "pathway": "lungs",
        "clinic": "lung_clinic",
        "evaluation": "lot_of_lungs",
        "plan_digest": "0" * 64,
        "seed_digest": hashlib.sha256(SEED).hexdigest(),
        "ethics_reference": "26/XX/0000 (invented)",
        "ethics_decided_by": "Invented Research Ethics Committee",
        "ethics_decided_date": date(2026, 5, 4),
        "from": date(2026, 6, 1),
    }
    return Lot.model_validate(given | changes)


def test_plan_and_seed_are_recorded_in_the_first_week_and_drawn_from_the_next_on(tmp_path):
    site = Site(tmp_path)
    status, _, opened = site.week(0)
    assert status == "recorded" and opened.seeds == {}
    status, _, opened = site.week(1)
    assert status == "drawn"
    assert opened.seeds == {("lungs", "lung_clinic"): (SEED, site.lot.plan_digest)}


def test_the_same_week_again_gives_the_same(tmp_path):
    site = Site(tmp_path)
    assert [site.week(0)[0], site.week(0)[0], site.week(1)[0], site.week(1)[0]] == ["recorded"] * 2 + ["drawn"] * 2


def test_another_plan_than_the_one_decided_on_is_refused(tmp_path):
    site = Site(tmp_path)
    site.file.write_text(yaml.safe_dump({"evaluations": [PLAN | {"after_days": 90}]}), encoding="utf-8")
    with pytest.raises(SettingsError, match="the digest recorded; found no such evaluation, or another digest"):
        site.week(0)


def test_another_seed_is_refused_and_never_shown(tmp_path):
    with pytest.raises(SettingsError, match="the sealed seed") as fault:
        Site(tmp_path).week(0, seed=b"quite another seed")
    assert "quite another" not in str(fault.value)


def test_plan_and_seed_cannot_be_exchanged_for_others_after_they_were_recorded(tmp_path):
    site = Site(tmp_path)
    site.week(0)
    other = b"a seed that suits somebody better"
    site.lot = lot(plan_digest=site.lot.plan_digest, seed_digest=digest_of_seed(other))
    with pytest.raises(SettingsError, match="as they were recorded before the first draw"):
        site.week(1, seed=other)


def test_nothing_is_drawn_any_more_once_it_was_stopped_for_harm(tmp_path):
    """Fifty a side, three weeks on: 30 admissions of those given a place, none of the others: 30/√30 = 5.5."""
    site = Site(tmp_path)
    site.week(0)
    assert site.week(1, drawn=100)[0] == "drawn"
    assert site.week(2)[0] == "drawn"
    day = INDEX + timedelta(weeks=1, days=2)
    site.admissions = [
        {"patient_key": key(each), "spell_id": str(each), "admission_date": day, "is_emergency": True}
        for each in range(0, 60, 2)
    ]
    status, reason, opened = site.week(4)
    assert (status, opened.seeds) == ("stopped", {}) and "emergency admissions are more among those" in str(reason)
    site.admissions = []
    assert site.week(5)[:2] == ("stopped", reason)


def test_a_lot_needs_the_decision_of_a_committee_before_it_begins():
    for name in ("ethics_reference", "ethics_decided_by"):
        with pytest.raises(ValidationError):
            lot(**{name: ""})
    with pytest.raises(ValidationError, match="no earlier than the research ethics committee decided"):
        lot(ethics_decided_date=date(2026, 6, 2))
    assert contracts.load("audit.allocation").column_names[0] == "week"
