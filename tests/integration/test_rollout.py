"""Pathways switched on by practice and date: nobody else's output changes by a byte, and a roll-back restores it.

The stages up to the scores are run once, on an invented county of 300 people; what comes after is run for each setting
in the same folder, under one run id. So whatever the run id is printed on is compared to the byte as well.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

import whole_runs
from stratify import pipeline, runs
from stratify.errors import SettingsError
from stratify.privacy import THROWAWAY_KEY, PrivacyPolicy
from stratify.rollout import Switch
from stratify.rule_versions import digest_of_pathway
from stratify.rulebook import clinical_folder, load_rule_book
from stratify.runs import Plan
from stratify.settings import Settings
from stratify.sign_off import Bounds, SignOff
from stratify.store import open_store
from stratify.synth import CountyOrder, write_county
from whole_runs import OBJECTIONS_HONOURED, all_text, files, sheet

pytestmark = pytest.mark.slow

INDEX = date(2026, 1, 5)
NAMED = re.compile("(?<!Hospital )Frailty(?!, as recorded)")
"""The pathway by its name; the Hospital Frailty Risk Score is another pathway's."""


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Plan:
    """A county of three practices whose records are scored and whose people have no decision yet."""
    folder = tmp_path_factory.mktemp("waves")
    write_county(folder / "county", CountyOrder(people=300, practices=3, seed=11, index_date=INDEX, workers=1))
    settings = Settings(
        extracts=folder / "county",
        source="synthetic_county",
        out=folder / "out",
        index_date=INDEX,
        privacy=PrivacyPolicy(**OBJECTIONS_HONOURED),
        other_scores=False,
        threads=1,
    )
    with whole_runs.counted_plainly():
        plan = runs.prepare(settings, key=THROWAWAY_KEY)
        pipeline.land(plan, key=THROWAWAY_KEY)
        pipeline.validate(plan, key=THROWAWAY_KEY)
        pipeline.work_features(plan)
        pipeline.score(plan)
    return plan


@pytest.fixture(scope="module")
def published(scored, tmp_path_factory) -> Callable[..., Path]:
    """Publish under other settings, and give the folder; the same settings are published once."""
    made: dict[str, Path] = {}

    def publish(**settings: object) -> Path:
        if repr(settings) not in made:
            plan = scored.model_copy(update={"settings": scored.settings.model_copy(update=settings)})
            with whole_runs.counted_plainly():
                pipeline.decide(plan)
                pipeline.route(plan)
                pipeline.publish_outputs(plan)
            kept = tmp_path_factory.mktemp("published") / "published"
            made[repr(settings)] = Path(shutil.copytree(plan.published, kept))
        return made[repr(settings)]

    return publish


@pytest.fixture(scope="module")
def practices(published) -> list[str]:
    found = sorted(path.name for path in (published() / "direct_care").iterdir())
    assert len(found) == 3
    return found


def wave(*practices: str, pathway: str = "frailty", **changes: object) -> tuple[Switch, ...]:
    return (Switch.model_validate({"pathway": pathway, "practices": practices, "from": "2026-01-01"} | changes),)


def direct_care(folder: Path, practice: str) -> dict[str, bytes]:
    return files(folder / "direct_care" / practice)


def test_switching_a_pathway_on_at_one_practice_changes_no_other_practices_files_by_a_byte(published, practices):
    first, second, third = practices
    one, two = published(rollout=wave(first)), published(rollout=wave(first, second))
    assert direct_care(one, first) == direct_care(two, first)
    assert direct_care(one, third) == direct_care(two, third)
    assert direct_care(one, second) != direct_care(two, second)


def test_taking_the_entry_back_restores_the_earlier_lists_to_the_byte(scored, published, practices):
    before = files(published() / "direct_care")
    assert files(published(rollout=wave(practices[0])) / "direct_care") != before
    rolled_back = published(rollout=())  # made after the wave, in the same folder
    whole_runs.same_files(published(), rolled_back)


def test_a_trial_in_shadow_changes_no_file_and_is_counted(scored, published):
    """Heart failure is tried beside COPD: what is published is what it is with heart failure off everywhere."""
    off = published(rollout=wave(pathway="heart_failure"))
    tried = published(rollout=wave(pathway="heart_failure", instead_of="copd", until="2026-02-01"))
    whole_runs.same_files(off, tried)
    with open_store(scored.restricted / "run.duckdb", temp_directory=scored.restricted / "tmp") as store:
        counted = store.rows("SELECT outcome, sum(people_count) FROM audit.sandbox_week GROUP BY ALL ORDER BY ALL")
        listed = store.scalar("SELECT count(*) FROM derived.placement WHERE pathway = 'heart_failure'")
    assert {"joins", "leaves"} <= {outcome for outcome, _ in counted}
    assert listed == 0


def test_where_a_pathway_is_off_nothing_of_it_is_published(published, practices):
    folder = published(rollout=wave(practices[0])) / "direct_care"
    on, off = (
        {text for path in (folder / code).rglob("*.*") for text in [all_text(path)] if NAMED.search(text)}
        for code in practices[:2]
    )
    assert on
    assert not off
    assert not (folder / practices[1] / "frailty_clinic").exists()


def test_people_of_a_pathway_that_is_off_are_set_apart_as_comparators_and_keep_their_decision(scored, practices):
    plan = scored.model_copy(update={"settings": scored.settings.model_copy(update={"rollout": wave(practices[0])})})
    pipeline.decide(plan)
    with open_store(plan.restricted / "run.duckdb", temp_directory=plan.restricted / "tmp") as store:
        counted = dict(
            store.rows(
                "SELECT pathway, count(*) FROM work.comparator_decision WHERE decision <> 'not_eligible' GROUP BY ALL"
            )
        )
        places = store.rows(
            "SELECT DISTINCT practice_code FROM work.comparator_decision JOIN core.person USING (patient_key) "
            "WHERE practice_code IS NOT NULL ORDER BY ALL"
        )
        twice = store.scalar(
            "SELECT count(*) FROM work.comparator_decision JOIN derived.pathway_decision USING (patient_key, pathway)"
        )
    assert list(counted) == ["frailty"]
    assert counted["frailty"] > 0
    assert [code for (code,) in places] == practices[1:]
    assert twice == 0


def test_everybody_of_the_run_is_accounted_for_down_to_whoever_has_a_place_or_an_offer(scored, published, practices):
    published(rollout=wave(practices[2]))
    with open_store(scored.restricted / "run.duckdb", temp_directory=scored.restricted / "tmp") as store:
        people = store.scalar("SELECT count(*) FROM core.person")
        homes = "SELECT practice_code, count(*) FROM core.person WHERE person_status = 'registered' GROUP BY ALL"
        acted = "SELECT pathway, count(*) FROM derived.placement WHERE placement IN ('listed', 'offered') GROUP BY ALL"
        registered, reached = dict(store.rows(homes)), dict(store.rows(acted))
        first, off, last = (
            store.rows(
                "SELECT pathway, left_count, people_count FROM audit.attrition WHERE geography_type = 'county' "
                "AND breakdown = 'all' AND step_number = $1 ORDER BY pathway",
                [number],
            )
            for number in (1, 3, 8)
        )
    assert {("copd", 0, people), ("frailty", 0, people)} <= set(first)
    left = {pathway: count for pathway, count, _ in off}
    assert left["copd"] == 0
    assert left["frailty"] == registered[practices[0]] + registered[practices[1]]
    assert [(pathway, number) for pathway, _, number in last if pathway in ("copd", "frailty")] == [
        ("copd", reached["copd"]), ("frailty", reached.get("frailty", 0)),
    ]  # fmt: skip


def test_before_its_first_day_and_from_its_last_on_an_entry_has_the_pathway_off(published, practices):
    nowhere = published(rollout=wave(practices[0], **{"from": "2026-02-01"}))
    ended = published(rollout=wave(practices[0], until="2026-01-05"))
    assert direct_care(nowhere, practices[0]) == direct_care(ended, practices[0])
    assert direct_care(nowhere, practices[0]) != direct_care(published(), practices[0])


def test_a_list_with_fewer_or_more_people_than_was_signed_is_held_and_not_sent(scored, published, practices):
    book = load_rule_book(None)
    signed = [_signature(name, digest_of_pathway(book, name)) for name in book.pathways]
    fine = published(sign_offs=tuple(signed))
    assert not list(fine.rglob("held_*"))
    assert "Signed off by Invented Officer, medical director, on 1 December 2025" in all_text(
        next(fine.rglob("clinic_list_*.xlsx"))
    )
    none = Bounds(least=0, most=0)
    held = published(
        sign_offs=tuple(
            each.model_copy(update={"per_practice": none}) if each.pathway == "frailty" else each for each in signed
        )
    )
    notices = sorted(held.rglob("held_*.txt"))
    assert notices
    assert all("outside what was signed off for a practice, 0 to 0 people" in all_text(each) for each in notices)
    with_people = {path.relative_to(held / "direct_care").parts[0] for path in notices}
    lists = [path for path in (held / "direct_care").rglob("*.xlsx") if path.parent.name == "frailty_clinic"]
    for path in lists:
        if path.relative_to(held / "direct_care").parts[0] in with_people:
            assert not sheet(path, "List")


def test_a_definition_that_changed_after_it_was_signed_holds_its_lists_and_no_others(published):
    book = load_rule_book(None)
    signed = tuple(
        _signature(name, "0" * 16 if name == "frailty" else digest_of_pathway(book, name)) for name in book.pathways
    )
    held = published(sign_offs=signed)
    notices = [all_text(path) for path in held.rglob("held_*.txt")]
    assert notices
    assert all("The pathway was changed after it was signed off" in text for text in notices)
    assert sheet(next(path for path in held.rglob("*.xlsx") if path.parent.name == "copd_clinic"), "List") is not None


def test_an_entry_for_a_practice_that_is_not_there_is_refused_by_name(scored):
    plan = scored.model_copy(
        update={"settings": scored.settings.model_copy(update={"rollout": wave("Z99999", pathway="copd")})}
    )
    with pytest.raises(SettingsError, match="entry 1 names Z99999"):
        pipeline.decide(plan)


def _signature(pathway: str, digest: str):
    return SignOff.model_validate(
        {
            "pathway": pathway,
            "digest": digest,
            "clinical_lead": "Dr Invented",
            "signed_by": "Invented Officer",
            "role": "medical director",
            "signed_date": date(2025, 12, 1),
            "review_date": date(2026, 12, 1),
            "per_practice": {"least": 0, "most": 500},
            "in_total": {"least": 0, "most": 500},
        }
    )


def test_a_version_on_trial_runs_at_its_practice_alone_is_proved_and_is_rolled_back_to_the_byte(tmp_path, practices):
    """Whole runs from the command line: the run id is what it was as well."""
    clinical = Path(shutil.copytree(clinical_folder(), tmp_path / "clinical"))
    for suffix in ("yaml", "examples.yaml"):
        text = (clinical / "pathways" / f"frailty.{suffix}").read_text(encoding="utf-8")
        changed = re.sub(r"^precedence: \d+$", "precedence: 99", text, flags=re.MULTILINE)
        changed = changed.replace("id: frailty\n", "id: frailty_trial\n", 1)
        (clinical / "pathways" / f"frailty_trial.{suffix}").write_text(changed, encoding="utf-8")
    write_county(tmp_path / "county", CountyOrder(people=300, practices=3, seed=11, index_date=INDEX, workers=1))
    runs_made = []
    for here in ([], practices[:1], []):
        entry = {"pathway": "frailty_trial", "instead_of": "frailty", "practices": here, "from": "2026-01-01"}
        file = whole_runs.settings_file(
            tmp_path, tmp_path / "county", tmp_path / "out",
            index_date="2026-01-05", clinical=str(clinical), rollout=[entry],
        )  # fmt: skip
        with whole_runs.counted_plainly():
            done = whole_runs.stratify("run", "--settings", file)
        assert done.exit_code == 0, done.output
        if here:
            proved = whole_runs.stratify("verify", tmp_path / "out", "--everybody")
            assert proved.exit_code == 0, proved.output
        runs_made.append(Path(shutil.copytree(tmp_path / "out" / "published", tmp_path / f"kept{len(runs_made)}")))
    before, on, after = runs_made
    whole_runs.same_files(before, after)
    assert files(on) != files(before)
    with open_store(on / "secondary_use" / "commissioner.duckdb", temp_directory=tmp_path, read_only=True) as store:
        placed = store.rows(
            "SELECT pathway, geography_code FROM pathway_count WHERE geography_type = 'practice' "
            "AND starts_with(pathway, 'frailty') GROUP BY ALL ORDER BY ALL"
        )
    assert placed == [("frailty", practices[1]), ("frailty", practices[2]), ("frailty_trial", practices[0])]
