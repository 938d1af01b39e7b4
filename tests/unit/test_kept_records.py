"""Records of weeks: each content kept once, sealed, removed by schedule with nothing lost that another week reads."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from stratify import audit_trail, kept_records, privacy
from stratify.errors import PrivacyError, RunError
from stratify.kept_records import Record
from stratify.replay import again, erasure, retention
from stratify.settings import Settings

BY = audit_trail.Actor("tester", lambda: datetime(2026, 11, 27, 5, tzinfo=UTC))
WEEKS = (date(2026, 11, 9), date(2026, 11, 16))


def _record(records, folder, week, **files):
    """Keep a record of a week that read some files, by name and content."""
    inputs = {}
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
        inputs[f"extracts/{name}"] = kept_records.put(records, folder / name)
    (folder / "placement").write_text(f"places of {week}", encoding="utf-8")
    settings = Settings(
        extracts=folder, source="synthetic_county", out=folder, index_date=week, privacy=privacy.STAND_IN_POLICY
    )
    record = Record(
        week=week, run_id=f"run-{week}", code_version="1+a", versions={}, settings=settings, inputs=inputs,
        key_fingerprint=privacy.key_fingerprint(privacy.THROWAWAY_KEY), outputs={},
        placements=kept_records.put(records, folder / "placement"),
    )  # fmt: skip
    kept_records.add(records, record, by=BY)
    return record


@pytest.fixture
def kept(tmp_path):
    records = tmp_path / "records"
    first = _record(records, tmp_path, WEEKS[0], both="the same in two weeks", own="of the first")
    second = _record(records, tmp_path, WEEKS[1], both="the same in two weeks", own="of the second")
    return records, first, second


def _contents(records):
    return {path.name for path in (records / "objects").rglob("*") if path.is_file()}


def test_a_record_is_read_as_it_was_written_and_each_content_is_kept_once(kept):
    records, first, second = kept
    assert kept_records.read(records, WEEKS[0]) == first
    assert first.inputs["extracts/both"] == second.inputs["extracts/both"]
    assert _contents(records) == first.contents | second.contents and len(_contents(records)) == 5


def test_a_week_laid_out_to_be_made_again_writes_to_no_file_that_the_site_named(kept, tmp_path):
    records, first, _ = kept
    named = {"metrics_file": tmp_path / "stratify.prom", "lineage_file": tmp_path / "lineage.jsonl", "records": records}
    of_site = first.model_copy(update={"settings": first.settings.model_copy(update=named)})
    laid_out = kept_records.lay_out(records, of_site, tmp_path / "again")
    assert (laid_out.metrics_file, laid_out.lineage_file, laid_out.records) == (None, None, None)


def test_of_two_records_of_a_week_the_last_is_read_unless_one_is_named(kept, tmp_path):
    records, first, _ = kept
    later = first.model_copy(update={"run_id": "later"})
    kept_records.add(records, later, by=BY)
    assert kept_records.read(records, WEEKS[0]).run_id == "later"
    assert kept_records.read(records, WEEKS[0], first.run_id) == first


def test_a_schedule_removes_old_weeks_and_no_content_that_another_week_reads(kept):
    records, _, second = kept
    done = retention.remove_old(records, weeks=1, today=date(2026, 11, 17), by=BY)
    assert (done.weeks, done.contents) == ((WEEKS[0],), 2)
    assert _contents(records) == second.contents
    assert kept_records.all_records(records) == [second]
    lines = audit_trail.read(records)
    assert audit_trail.faults(lines) == []
    assert [each.entry["act"] for each in lines] == ["record of a run"] * 2 + ["retention"] * 2


def test_of_a_week_that_was_removed_it_is_said_when(kept):
    records, _, _ = kept
    retention.remove_old(records, weeks=1, today=date(2026, 11, 17), by=BY)
    with pytest.raises(RunError, match="none since 2026-11-27, when it was removed by schedule"):
        kept_records.read(records, WEEKS[0])
    with pytest.raises(RunError, match=r"found none\. Correct the week"):
        kept_records.read(records, date(2026, 11, 23))


def test_a_week_that_is_as_old_as_allowed_stays(kept):
    records, first, second = kept
    assert retention.remove_old(records, weeks=1, today=date(2026, 11, 16), by=BY).weeks == ()
    assert kept_records.all_records(records) == [first, second]


def test_the_key_of_a_record_is_found_in_the_ring_and_no_other_will_do(kept):
    _, first, _ = kept
    assert again.key_of(first, None) == privacy.THROWAWAY_KEY
    ring = privacy.KeyRing("new", {"new": b"n" * 40, "old": b"the key of a year ago, of some length"})
    old = first.model_copy(update={"key_fingerprint": privacy.key_fingerprint(ring.keys["old"])})
    assert again.key_of(old, ring) == ring.keys["old"]
    with pytest.raises(PrivacyError, match="expected the one with the fingerprint"):
        again.key_of(old, None)


def test_another_version_of_the_program_is_named_and_what_an_erasure_took_is_no_fault(kept):
    _, first, _ = kept
    done = again.Replay(first, first.run_id, ("stratify 1+a, here 1+b",), 3, ("run_manifest.json",), (), ())
    assert "Not as it was then: stratify 1+a, here 1+b" in again.in_words(done)
    assert not done.is_as_it_can_be
    erasure = kept_records.Erasure(on=date(2026, 11, 20), inputs=("extracts/own",))
    shorter = first.model_copy(update={"erased": (erasure,)})
    assert again.Replay(shorter, first.run_id, (), 3, ("run_manifest.json",), (), ()).is_as_it_can_be
    assert not again.Replay(shorter, first.run_id, ("python 3.11, here 3.12",), 3, ("a",), (), ()).is_as_it_can_be


def test_a_file_that_changes_while_a_run_reads_it_costs_the_week_its_record(tmp_path):
    extracts = tmp_path / "extracts"
    extracts.mkdir()
    (extracts / "patient.csv").write_text("before", encoding="utf-8")
    settings = Settings(
        extracts=extracts, source="synthetic_county", out=tmp_path / "out", index_date=WEEKS[0],
        privacy=privacy.STAND_IN_POLICY, records=tmp_path / "records",
    )  # fmt: skip
    with (
        pytest.raises(RunError, match=r"1 that were changed, first extracts/patient\.csv"),
        kept_records.kept(settings, {}, by=BY),
    ):
        (extracts / "patient.csv").write_text("something else", encoding="utf-8")
    assert not (tmp_path / "records" / "weeks").exists()


def test_a_declaration_of_ones_own_is_kept_with_those_beside_it_that_it_includes(tmp_path):
    (tmp_path / "extracts").mkdir()
    (tmp_path / "ours.yaml").write_text("name: ours\nincludes: [part, hes]\n", encoding="utf-8")
    (tmp_path / "part.yaml").write_text("name: part\n", encoding="utf-8")
    (tmp_path / "settings.yaml").write_text("none of it", encoding="utf-8")
    settings = Settings(
        extracts=tmp_path / "extracts", source=str(tmp_path / "ours.yaml"), out=tmp_path / "out", index_date=WEEKS[0],
        privacy=privacy.STAND_IN_POLICY,
    )  # fmt: skip
    names = [name for name in kept_records.input_paths(settings) if name.startswith("source/")]
    assert names == ["source/ours.yaml", "source/part.yaml"]


def test_nobody_is_taken_out_for_a_reason_of_ones_own_or_of_a_layout_whose_columns_are_not_known(kept, tmp_path):
    records, first, _ = kept

    def erase(because):
        erasure.erase(records, None, ["9990000018"], ring=None, because=because, today=WEEKS[1], by=BY)

    with pytest.raises(RunError, match="asked_by_patient, court_order, sent_by_mistake; found another reason"):
        erase("somebody asked for it")
    settings = first.settings.model_copy(update={"source": "synthetic_county_systmone"})
    kept_records.add(records, first.model_copy(update={"settings": settings}), by=BY)
    before = (records / "audit" / "trail.jsonl").read_bytes()
    with pytest.raises(RunError, match="found one of another layout, week 2026-11-09"):
        erase("court_order")
    assert (records / "audit" / "trail.jsonl").read_bytes() == before
