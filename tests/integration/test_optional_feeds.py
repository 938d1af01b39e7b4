"""Whole runs with and without the optional feeds: they are accounted for, change where nobody is placed but by the
steps of before, and are named nowhere.

Every second row of them is bad, and every text that a row can hold is a canary.
"""

from types import SimpleNamespace

import pytest

from whole_runs import KEY, all_text, counted_plainly, extract_set, settings_file, stratify, working_store

from optional_rows import GOOD  # isort: skip  (whole_runs puts its folder on the path)

pytestmark = pytest.mark.slow  # whole runs with and without each feed

ONLY_IN_FEEDS = extract_set.nhs(77)
"""A number of somebody whom no practice knows."""

CANARIES = {
    "gp_appointment": {
        "source_slot_id": "CANARYSLOT",
        "national_category": "CANARYCATEGORY",
        "clinician_role": "CANARYROLE",
        "mode": "CANARYMODE",
        "status": "CANARYBAD",
    },
    "referral": {"referral_id": "CANARYREFERRAL", "priority": "CANARYHASTE", "service": "CANARYBAD"},
    "home_visit_request": {"request_id": "CANARYVISIT", "reason_code": "CANARYREASON", "requested_at": "CANARYBAD"},
    "community_contact": {"contact_id": "CANARYCONTACT", "attended": "CANARYCAME", "team": "CANARYBAD"},
    "pathway_activity": {
        "activity_id": "CANARYSTEP",
        "recorded_by_role": "CANARYNURSE",
        "reason_code": "CANARYSAID",
        "step": "CANARYBAD",
    },
    "lsoa": {"local_authority_name": "CANARYPLACE", "imd_decile": "CANARYTENTH", "lsoa_code": "CANARYBAD"},
    "care_home_bed": {"care_home_id": "CANARYHOME", "bed_count": "CANARYBEDS", "practice_code": "CANARYBAD"},
    "survey_result": {"question": "CANARYQUESTION", "answer_count": "CANARYBAD"},
    "social_care_event": {"event_id": "CANARYEVENT", "end_date": "CANARYEND", "kind": "CANARYBAD"},
    "place_preference": {"record_id": "CANARYWISH", "preferred_place": "CANARYBAD"},
}


def _feeds():
    rows = {}
    for table, canaries in CANARIES.items():
        kept = {name: text for name, text in canaries.items() if text not in ("CANARYBAD", "CANARYQUESTION")}
        bad = dict(canaries)
        if "nhs_number" in GOOD[table]:
            bad["nhs_number"] = ONLY_IN_FEEDS
        own_id = next(iter(canaries))
        rows[table] = [GOOD[table] | kept, GOOD[table] | bad | {own_id: bad[own_id] + "2"}]
    return rows


def _run(folder, **feeds):
    checked = extract_set.opt_out("NDO", "false")
    extracts = extract_set.write_set(folder / "extracts", opt_out=[checked], **feeds)
    settings = settings_file(folder, extracts, folder / "out", index_date="2026-01-05")
    with counted_plainly():
        done = stratify("run", "--settings", settings, STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0, done.output
    return SimpleNamespace(out=folder / "out", said=done.output + done.stderr, scratch=folder / "scratch")


KEPT = {
    "care_home_bed": "CANARYHOME",
    "community_contact": "CANARYCONTACT",
    "gp_appointment": "CANARYSLOT",
    "home_visit_request": "CANARYVISIT",
    "place_preference": "CANARYWISH",
    "referral": "CANARYREFERRAL",
    "social_care_event": "CANARYEVENT",
    "survey_result": "gp_care_joined_up",
}
"""Feeds whose rows are kept for the run, and the id of the good one: teams see them, or they are counted."""


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    return _run(tmp_path_factory.mktemp("without"))


@pytest.fixture(scope="module")
def fed(tmp_path_factory):
    return _run(tmp_path_factory.mktemp("with"), **_feeds())


def _rows(run, *layers):
    with working_store(run.out, run.scratch) as store:
        names = [
            f"{layer}.{table}"
            for layer in layers
            for (table,) in store.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = $1", [layer])
        ]
        return {name: store.rows(f"FROM {name} ORDER BY ALL") for name in sorted(names)}


def test_every_row_of_the_feeds_is_accounted_for_and_too_many_bad_ones_hold_no_list(fed):
    with working_store(fed.out, fed.scratch) as store:
        counts = store.rows(
            "SELECT table_name, received_count, loaded_count, rejected_count FROM audit.source_file "
            "WHERE table_name IN (SELECT unnest($1)) ORDER BY ALL",
            [sorted(CANARIES)],
        )
        assert counts == [(table, 2, 1, 1) for table in sorted(CANARIES)]
        warned = store.rows(
            "SELECT table_name, verdict FROM audit.quality_result WHERE rule_id LIKE '%-91-rejected' "
            "AND failed_count > 0 ORDER BY ALL"
        )
        assert warned == [(f"landing.{table}", "warn") for table in sorted(CANARIES)]


def test_nothing_that_is_worked_out_about_anybody_changes_but_the_place_of_who_declined(fed, without):
    mine, theirs = _rows(fed, "core", "derived"), _rows(without, "core", "derived")
    assert len(mine.pop("core.outcome")) == 1 and theirs.pop("core.outcome") == []
    assert len(mine["core.person"]) == 1 and mine["derived.pathway_decision"]
    for table in KEPT:  # nothing reads them to decide
        assert len(mine.pop(f"core.{table}")) == 1 and theirs.pop(f"core.{table}") == []
    # A step of before is remembered: who declined is asked again later, by the same decision.
    (placed,), (unasked,) = mine.pop("derived.placement"), theirs.pop("derived.placement")
    assert placed[:6] == unasked[:6]
    assert [text for text in placed if "Declined on 15 December 2025" in str(text)]
    assert not [text for text in unasked if "eclined" in str(text)]
    assert mine == theirs


def test_what_was_received_is_counted_for_commissioners_and_what_was_not_says_so(fed, without):
    def not_measurable(run):
        with working_store(run.out, run.scratch) as store:
            rows = store.rows("SELECT metric, not_measurable_because FROM out.metric WHERE NOT is_measurable")
        return {metric: why for metric, why in rows if "not received" in why}

    assert not_measurable(fed) == {}
    lacking = not_measurable(without)
    assert {"care_home_visit_requests", "gp_appointments", "patient_reported_experience"} <= set(lacking)
    assert "the feeds home_visit_request and care_home_bed were not received" in lacking["care_home_visit_requests"]


def test_no_text_of_the_feeds_is_kept_or_given_out(fed):
    """Not in a file that was written, not in what was said, and in no bytes left on the disk."""
    texts = [text for row in CANARIES.values() for text in row.values()]
    never_kept = [text for text in texts if text not in KEPT.values()]
    for path in fed.out.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [text for text in never_kept if text.encode() in content], path
    for path in (fed.out / "published").rglob("*"):
        if path.is_file():
            content = all_text(path)
            assert not [text for text in texts if text in content], path
            assert ONLY_IN_FEEDS not in content.replace(" ", ""), path
    assert not [text for text in texts if text in fed.said] and ONLY_IN_FEEDS not in fed.said
    everything = str(_rows(fed, "core", "derived", "audit", "out"))
    assert not [text for text in never_kept if text in everything]


def test_the_raw_rows_of_the_feeds_are_gone(fed):
    assert not list(fed.out.rglob("landing.duckdb*"))
