"""A change tried on a finished run of invented people: what is told of lists and people, and what never is.

120 people with COPD, two practices. Two flare-ups are high risk and go to the clinic; tried: three.

- 40 with two flare-ups, 8 of them of the second practice: on the list today, off it with the change.
- 50 with four: on it both times. 30 with none: never.
- 60 people have no COPD.

Each practice has 6 places in the coming week.
"""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from types import SimpleNamespace

import polars as pl
import pytest

import invented
import invented_run
from invented import codelist, event, pathway, score, variable
from stratify import feedback, feedback_proposals, feedback_register, kept_weeks, publish, whatif_run
from stratify.contract_frames import schema_of
from stratify.disclosure import LARGEST_HIDDEN
from stratify.errors import RunError, SettingsError
from stratify.publish.what_if import by_sector, figures, worklists
from stratify.publish.what_if_words import statements
from stratify.whatif_changes import Changes, read_changes
from whole_runs import files, refusal, stratify

INDEX = date(2026, 6, 15)
LONG_AGO, MAY = date(2020, 1, 1), date(2026, 5, 18)
CANARY = "canary-key"


def _book():
    return invented.rule_book(
        codelists=[codelist("copd", "snomed_ct", ["C"]), codelist("flare", "snomed_ct", ["F"])],
        variables=[variable("has_copd", "has", {"event": "copd"}),
                   variable("flares", "count", {"event": "flare"}, lookback_months=12)],
        scores=[score("need", tiers=[{"tier": "high", "label": "High", "when": {"variable": "flares", "at_least": 2}},
                                     {"tier": "low", "label": "Low"}])],
        pathways=[
            pathway("lungs", cohort={"variable": "has_copd", "is_true": True}, tier_from="need",
                    clinics=[{"id": "clinic", "label": "Lung clinic", "roles": ["nurse"]}],
                    rank_by=[{"variable": "flares", "first": "most"}],
                    routes=[{"id": "worst", "when": {"score": "need", "tier_in": ["high"]}, "decision": "clinic",
                             "clinic": "clinic", "reason": "In the high group"},
                            {"id": "others", "decision": "self_management", "reason": "In the low group"}])
        ],
    )  # fmt: skip


BOOK = _book()
THREE = "{score: need, tier: high, variable: flares, at_least: 3}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("whatif") / "out"
    persons, records = [], []
    for number in range(180):
        key = f"{CANARY}-{number:03}"
        second = 32 <= number < 40 or 80 <= number < 90
        persons.append(
            {"patient_key": key, "sex": "F" if number % 2 else "M", "imd_decile": 1 if number < 40 else 9,
             "practice_code": "Y99002" if second else "Y99001", "age_years": 70}
        )  # fmt: skip
        if number < 120:
            records.append(event(key, "C", LONG_AGO))
        flares = 2 if number < 40 else 4 if number < 90 else 0
        day = MAY if number < 12 else date(2025, 12, 1)  # the first twelve came since the look back
        records += [event(key, "F", day + timedelta(days=place)) for place in range(flares)]
        records += [event(key, "W", LONG_AGO)] if number >= 168 else []  # a code that nobody reads
    capacity = [{"clinic_id": "clinic", "practice_code": practice, "clinic_date": INDEX + timedelta(days=1),
                 "role": "nurse", "slots": 6, "minutes_per_slot": 30} for practice in ("Y99001", "Y99002")]  # fmt: skip
    invented_run.make(
        out, BOOK, persons, invented.core_tables(records), index_date=INDEX, more={"clinic_capacity": capacity}
    )
    return out


@pytest.fixture(scope="module", autouse=True)
def known_book():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whatif_run, "load_rule_book", lambda folder: BOOK)
        yield


@pytest.fixture(scope="module")
def tried(run):
    return whatif_run.try_out(read_changes(None, thresholds=(THREE,)), run)


def test_today_and_the_change_stand_side_by_side(tried):
    """90 on the list today, 50 with the change; the 40 are beside them, under both sides' own 26 weeks."""
    assert tried.at("today", "clinic", 0)["length"] == 90
    assert tried.at("changed", "clinic", 0)["length"] == 50


def test_newcomers_are_those_who_were_not_on_the_list_before(tried):
    """12 came to the first practice in 13 weeks: about 24 in 26. 90 + 24 are fewer than the places: all have one."""
    assert tried.at("today", "clinic", 26)["places_so_far"] in range(105, 120)
    assert tried.at("today", "clinic", 4)["length"] in range(
        45, 60
    )  # 72 - 24 + 4 at the first practice, 0 at the other


def test_those_who_leave_the_list_are_counted_by_group(tried):
    """32 of one practice and 8 of the other; all 40 are of the most deprived fifth."""
    off = tried.moved.filter(pl.col("definition") == "clinic clinic", pl.col("after") == "not on the list")
    found = {(row["breakdown"], row["group"]): row["people_count"] for row in off.to_dicts()}
    assert found["everybody", "everybody"] == 40 and found["deprivation", "quintile 1"] == 40
    assert found["practice", "Y99001"] == 30 and found["practice", "Y99002"] == 10  # 32 and 8, rounded
    assert found["sex", "female"] == found["sex", "male"] == 20


def test_the_statement_says_what_it_gives_and_what_it_costs(tried):
    (line, *_) = statements(tried)
    assert line.startswith("Lung clinic: ") and "About 40 people leave it without a place." in line
    assert "minutes fewer a week of its staff" in line


def test_fewer_places_displace_people_and_the_page_says_how_many(run):
    """1 place a week at each practice is 26. The first has 72 on its list, so that 46 wait on; the second has 18."""
    found = whatif_run.try_out(read_changes(None, capacity=("{clinic: clinic, slots_per_week: 1}",)), run)
    (line, *_) = statements(found)
    assert "are displaced: today they would have a place within 26 weeks" in line
    moved = found.moved.filter(pl.col("breakdown") == "everybody", pl.col("after") == "still waits after 26 weeks")
    assert moved["people_count"].sum() in range(45, 55)
    assert found.at("changed", "clinic", 26)["length"] in range(60, 80)  # 72 - 26 + about 24
    assert found.at("today", "clinic", 0) == found.at("changed", "clinic", 0) | {
        "side": "today", "wait_weeks": 7.5
    }  # fmt: skip


def test_a_pathway_that_starts_later_at_one_practice_changes_nothing_at_the_other(run):
    asked = read_changes(None, switch_on=("{pathway: lungs, week: 13, practices: [Y99002]}",))
    found = whatif_run.try_out(asked, run)
    at = {(row["side"], row["practice_code"], row["week"]): row["length"] for row in found.lists.to_dicts()}
    assert at["today", "Y99001", 0] == at["changed", "Y99001", 0] == 70  # 72
    assert (at["today", "Y99002", 0], at["changed", "Y99002", 0]) == (20, 0)  # 18
    late = {row["side"]: row["length"] for row in found.weeks.filter(pl.col("week") == 13).to_dicts()}
    assert late["changed"] - late["today"] == pytest.approx(18, abs=1.5)  # all others are as they were


def test_no_change_at_all_changes_no_figure(run):
    found = whatif_run.try_out(Changes(), run)
    table = figures(found)
    assert table.filter(pl.col("today").ne_missing(pl.col("changed"))).is_empty()
    assert statements(found) == ["Nothing that may be told changes on any list."]


def test_the_outputs_are_the_same_bytes_ask_nothing_and_name_nobody(run, tried, tmp_path):
    """The second working out of the same question, from the run again, gives the same files."""
    publish.write_what_if(tried, tmp_path / "one")
    again = whatif_run.try_out(read_changes(None, thresholds=(THREE,)), run)
    publish.write_what_if(again, tmp_path / "other")
    one = files(tmp_path / "one")
    assert one == files(tmp_path / "other") and len(one) == 6
    for name, content in one.items():
        assert CANARY.encode() not in content, name
    page = one["what_if.html"].decode()
    assert "TEST – invented patients" in page and "<script" not in page and 'href="http' not in page
    assert page.count("http:") == page.count("http://www.w3.org/2000/svg") and "https:" not in page
    assert [each.name for each in (run / "restricted").iterdir() if each.name.startswith(".")] == []


def test_no_count_from_1_to_7_is_told_anywhere(run, tmp_path):
    """Four flare-ups tried, with places for few: groups of any size come about; what is told is 0, or 8 and more."""
    four = "{score: need, tier: high, variable: flares, at_least: 5}"
    asked = read_changes(
        None, thresholds=(four,), capacity=("{clinic: clinic, practices: [Y99002], slots_per_week: 0}",)
    )
    found = whatif_run.try_out(asked, run)
    told = figures(found).filter(pl.col("measure").is_in(["people on the list", "places given so far"]))
    for side in ("today", "changed"):
        assert told.filter(pl.col(side).is_between(1, LARGEST_HIDDEN)).is_empty()
    assert found.moved.filter(pl.col("people_count").is_between(1, LARGEST_HIDDEN)).is_empty()


def test_the_command_tells_it_on_a_screen_and_writes_the_files(run, tmp_path):
    done = stratify("whatif", run, "--threshold", THREE, "--out", tmp_path / "answer")
    assert done.exit_code == 0, done.output
    assert "Threshold: score need, tier high, flares: at least 3" in done.stdout and "Lung clinic" in done.stdout
    assert CANARY not in done.output
    assert sorted(files(tmp_path / "answer")) == [
        "what_if.csv", "what_if.html", "what_if.parquet", "what_if.svg", "what_if_people.csv", "what_if_people.parquet"
    ]  # fmt: skip


def test_a_name_that_is_not_there_and_a_folder_without_a_run_are_refused(run, tmp_path):
    with pytest.raises(SettingsError, match="clinic nix, practice Y1"):
        whatif_run.try_out(read_changes(None, capacity=("{clinic: nix, slots_per_week: 1, practices: [Y1]}",)), run)
    with pytest.raises(RunError, match="a finished run"):
        whatif_run.try_out(Changes(), tmp_path)
    assert "a finished run" in refusal(stratify("whatif", tmp_path), 8)


def test_who_joins_the_offers_is_counted_beside_the_clinics(tried):
    """30 with no flare-up have the offer today; the 40 with two who leave the clinic's list have it with the change."""
    (offers,) = worklists(tried)
    assert offers == {"worklist": "self_management", "label": "Offers of self-management", "today": 30, "changed": 70,
                      "join": 40, "leave": 0}  # fmt: skip
    assert "Offers of self-management: 40 join." in statements(tried)


def test_one_sentence_says_what_is_gained_and_what_is_paid_also_by_other_services(run):
    """1 GP contact a place, 2 ambulance calls a week on the list: fewer places, so fewer of one and more of the other.

    60 % do not attend, so that both lists stay long enough to be told.
    """
    gp = {"clinic": "clinic", "sector": "gp", "contacts_per_place": 1, "source": "assumed"}
    ambulance = {"clinic": "clinic", "sector": "ambulance", "contacts_per_week_on_list": 2, "source": "assumed"}
    fewer = {"capacity": [{"clinic": "clinic", "slots_per_week": 1}], "assume": {"did_not_attend_percent": 60}}
    asked = Changes.model_validate(fewer | {"loads": [gp, ambulance]})
    found = whatif_run.try_out(asked, run)
    sectors = {each["sector"]: each["changed"] - each["today"] for each in by_sector(found)}
    assert set(sectors) == {"GP", "ambulance"} and sectors["GP"] < 0 < sectors["ambulance"]
    sentence = statements(found)[-1]
    assert sentence.startswith("The trade-off: ") and sentence.count("; in return, ") == 1
    gained, paid = sentence.split("; in return, ")
    assert f"{-sectors['GP']:,} fewer GP contacts" in gained and "minutes a week fewer of clinic staff" in gained
    assert f"{sectors['ambulance']:,} more ambulance contacts" in paid and "who are displaced at Lung clinic" in paid


def test_a_new_pathway_that_reads_what_the_run_did_not_is_worked_out_from_the_records(run, monkeypatch):
    """90 people have a flare-up: 78 of long ago, and 12 of May, who were on no list 13 weeks before."""
    flared = variable("has_flared", "has", {"event": "flare"})
    flares = pathway(
        "flares",
        cohort={"variable": "has_flared", "is_true": True},
        precedence=9,
        clinics=[{"id": "flare_clinic", "label": "Flares", "roles": ["nurse"]}],
        routes=[{"id": "all", "decision": "clinic", "clinic": "flare_clinic", "reason": "It"}],
    )
    book = invented.rule_book(
        codelists=BOOK.codelists.values(), variables=[*BOOK.variables.values(), flared], scores=BOOK.scores.values(),
        pathways=[*BOOK.pathways.values(), flares],
    )  # fmt: skip
    seen = []
    count_lanes = whatif_run.whatif_queue.count_lanes
    monkeypatch.setattr(
        whatif_run.whatif_queue, "count_lanes", lambda *given: seen.append(count_lanes(*given)) or seen[-1]
    )
    monkeypatch.setattr(whatif_run, "changed_book", lambda *_: book)
    found = whatif_run.try_out(Changes(), run)
    assert found.at("today", "flare_clinic", 0)["length"] == 0
    assert found.at("changed", "flare_clinic", 0)["length"] == 90
    assert found.at("changed", "clinic", 0)["length"] == 90
    cells, moves, _ = seen[-1]
    mine = cells.filter(pl.col("clinic_id") == "flare_clinic")
    assert mine["present"].sum() == 90 and mine["entered"].sum() == 12
    assert moves.filter(pl.col("clinic_id") == "flare_clinic")["people_count"].sum() == 78


# ------------------------------------------------------------------------------------- a pattern in what teams said


@pytest.fixture(scope="module")
def said(run, tmp_path_factory):
    """Teams say that those with two flare-ups are not appropriate, and that the last twelve should have been there.

    The others on the list came. Nothing of it is of a real run but the shape.
    """
    day, reference = INDEX - timedelta(days=7), {number: f"R{number:03}" for number in range(90)}
    rows = [{"week": day, "row_reference": each, "patient_key": f"{CANARY}-{number:03}", "pathway": "lungs",
             "practice_code": "Y99001", "clinic_id": "clinic", "placement": "listed", "tier": "high"}
            for number, each in reference.items()]  # fmt: skip
    answers = [{"answer_id": each, "row_reference": each, "status": "applied", "outcome_date": day,
                "outcome": "not_appropriate" if number < 40 else "attended"}
               for number, each in reference.items()]  # fmt: skip
    out = tmp_path_factory.mktemp("said") / "out"
    shutil.copytree(run, out)
    restricted = out / "restricted"
    kept_weeks.write(restricted, "audit.list_row", invented.frame("audit.list_row", rows), day)
    kept_weeks.write(restricted, "audit.answer", invented.frame("audit.answer", answers), day)
    missed = [
        feedback.Said("should_have_been_here", "Y99001", day, f"{CANARY}-{number}", "clinic", source_row=number)
        for number in range(168, 180)
    ]
    register, words = feedback.extended(
        pl.DataFrame(schema=schema_of(feedback.REGISTER)), pl.DataFrame(schema=schema_of(feedback.WORDS)), missed, (),
        week=day,
    )  # fmt: skip
    feedback_register.write(restricted, register, words, day)
    folder = out.parent / "proposals"
    plan = SimpleNamespace(restricted=restricted, settings=SimpleNamespace(index_date=INDEX))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feedback_proposals, "plan_in_place", lambda _: plan)
        patch.setattr(feedback_proposals, "rule_book_in_place", lambda *_: BOOK)
        return SimpleNamespace(text=feedback_proposals.patterns(out, to=folder), folder=folder)


def test_a_rule_that_is_often_overruled_comes_with_a_change_and_what_it_would_do(said):
    """40 of 90 is 44 %: three flare-ups, or four, moves the 40 with two and none of the 50 with four."""
    assert "Often overruled: lungs, rule worst, tier high: not appropriate for 40 of 90 answered (44 %" in said.text
    assert "Proposal 1, for the clinical lead" in said.text
    assert "It would move 40 of 40 in the wrong place, and 0 of 50 others" in said.text
    page = (said.folder / "proposal_1" / "what_if.html").read_text(encoding="utf-8")
    assert "What if: From what teams said: lungs, rule worst, tier high" in page
    found = pl.read_csv(said.folder / "proposal_1" / "what_if.csv")
    now = found.filter(measure="people on the list", clinic_id="clinic", week=0).sort("practice_code")
    assert now.filter(pl.col("today") == 90)["changed"].to_list() == [50.0]
    assert CANARY not in said.text + page


def test_of_people_who_are_known_by_no_code_it_says_so_and_names_what_they_have_in_common(said):
    """Twelve should have been there, none has COPD on record, and all have a code that none of the other 48 has."""
    assert "Not known to lungs: 12 of 12 who should have been there have no record" in said.text
    assert "SNOMED CT W: recorded for 100 % of them and for 0 % of others" in said.text
    assert "stratify codelists add" in said.text
