"""Each threat of docs/threats.md with what stands against it taken out: the test that is named there then fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_LEAK = (
    "src/stratify/pipeline.py",
    'store.execute("DROP MACRO verhoeff_ok")',
    'counts.clear(); counts[str(store.rows("FROM identity.person"))] = 1',
)
"""What a run tells Prefect of a stage are counts by name: here it says who there is."""
_LOGGED = (*_LEAK[:2], '__import__("logging").getLogger("x").warning(str(store.rows("FROM landing.patient")))')
"""Nothing logs a row: here a line does."""
REMOVED = {
    "unit/test_ingest_files.py::test_a_manifest_line_that_says_nothing_usable_is_told_by_number": (
        "src/stratify/ingest/files.py",
        '"/" in name or "\\\\" in name or ',
        "",
    ),
    "unit/test_publish_lists.py::test_a_practice_code_that_leads_elsewhere_is_refused": (
        "src/stratify/publish/context.py",
        "if not _SAFE_NAME.fullmatch(name):",
        "if False:",
    ),
    "unit/test_returned_lists.py::test_what_is_no_list_is_refused_before_anything_of_it_is_held": (
        "src/stratify/publish/filled_lists.py",
        "if refused := unfit(path):",
        "if refused := None:",
    ),
    "unit/test_returned_lists.py::"
    "test_files_are_gathered_by_practice_and_what_a_spreadsheet_leaves_behind_is_passed_over": (
        "src/stratify/returned_files.py",
        "path.is_symlink() or ",
        "",
    ),
    "unit/test_rulebook.py::test_a_few_lines_that_stand_for_more_than_a_machine_holds_are_refused": (
        "src/stratify/strict_yaml.py",
        "if self.is_checked and _size(node, {}) > _MOST_VALUES:",
        "if False:",
    ),
    "unit/test_rulebook.py::test_a_key_given_twice_is_refused_wherever_people_write_yaml": (
        "src/stratify/strict_yaml.py",
        "if name in seen:",
        "if False:",
    ),
    "unit/test_inert.py::test_a_text_of_a_record_is_inert_in_every_output": (
        "src/stratify/publish/offers.py",
        "pl.all().map_elements(words.harmless, return_dtype=pl.String)",
        "pl.all()",
    ),
    "unit/test_ingest_files.py::test_a_gzipped_file_that_unpacks_to_more_than_records_can_is_refused_as_it_is_read": (
        "src/stratify/ingest/scanning.py",
        "if self._left < 0:",
        "if False:",
    ),
    "unit/test_extract_sets.py::"
    "test_a_link_among_the_extract_files_that_leads_out_is_refused_and_one_that_stays_inside_is_read": (
        "src/stratify/ingest/extract_sets.py",
        "    _stop_at_links_that_lead_out(folder)\n",
        "",
    ),
    "integration/test_bad_input.py::test_a_folder_named_like_a_statement_is_a_folder": (
        "src/stratify/store.py",
        'return str(path).replace("\'", "\'\'")',
        "return str(path)",
    ),
    "integration/test_mutated_files.py::test_a_damaged_file_is_refused_in_one_message_or_its_account_balances": (
        "src/stratify/ingest/files.py",
        "if sha256 != declared.sha256:",
        "if False:",
    ),
    "unit/test_rulebook.py::test_a_changed_codelist_needs_a_changed_manifest": (
        "src/stratify/codelist_reading.py",
        "if hashlib.sha256(content).hexdigest() != entry.sha256:",
        "if False:",
    ),
    "integration/test_canaries.py::test_nothing_misplaced_is_said_or_logged": _LOGGED,
    "integration/test_canaries.py::test_what_monitoring_reads_has_no_number_no_name_no_key_and_no_practice": (
        "src/stratify/lineage.py",
        "_dataset(published / name, manifest_sha256)",
        "_dataset(files[0], manifest_sha256)",
    ),
    "integration/test_flow.py::test_prefect_keeps_paths_dates_and_counts_and_nothing_about_anybody": _LEAK,
    "integration/test_interrupted_runs.py::test_a_fault_of_a_library_comes_out_without_its_message": (
        "src/stratify/runs.py",
        "place, kind = (ours or trace)[-1], type(fault).__name__",
        "place, kind = (ours or trace)[-1], str(fault)",
    ),
    "unit/test_privacy.py::test_a_key_file_others_can_read_is_refused": (
        "src/stratify/mounted_secret.py",
        "if mode & 0o077:",
        "if False:",
    ),
    "unit/test_page_lock.py::test_what_was_sealed_opens_with_the_passphrase_and_with_no_other": (
        "src/stratify/page_lock.py",
        'derive.derive(passphrase.encode("utf-8"))',
        'derive.derive(b"")',
    ),
    "unit/test_commissioner_file.py::test_opened_as_the_page_says_no_query_reaches_another_file": (
        "docs/for-commissioners.md",
        'locked = {"enable_external_access": "false", ',
        "locked = {",
    ),
    "property/test_attacker.py::test_other_counties_give_no_small_count_away_either": (
        "src/stratify/disclosure.py",
        "else []).hide_until_safe()",
        "else [])",
    ),
    "unit/test_audit_trail.py::test_any_changed_byte_shows": (
        "src/stratify/audit_trail.py",
        'is_changed = _digest(entry) != digest or _bytes(entry | {"digest": digest}) != text',
        "is_changed = False",
    ),
    "unit/test_backup.py::test_a_changed_missing_or_foreign_file_makes_a_backup_unfit": (
        "src/stratify/operations/backup.py",
        "if _digest(files[name]) != written[name])",
        "if False)",
    ),
    "unit/test_intact_memory.py::test_a_run_stops_before_it_begins_when_a_file_of_the_memory_is_not_as_it_was_left": (
        "src/stratify/taken_over.py",
        "if not (link / name).is_file() or _digest(link / name) != sha]",
        "if False]",
    ),
    "unit/test_doctor.py::test_a_link_that_was_swapped_for_one_that_leads_elsewhere_is_a_fault": (
        "src/stratify/operations/doctor.py",
        "if (out / name).is_symlink() and not (out / name).resolve().is_relative_to(runs_here)",
        "if False",
    ),
    "unit/test_controls.py::test_a_control_that_is_switched_off_stops_publication": (
        "src/stratify/controls.py",
        '        if missing:\n            raise RunError(\n                f"hazard',
        '        if False:\n            raise RunError(\n                f"hazard',
    ),
    "unit/test_notices.py::test_a_notice_that_cannot_be_sent_changes_nothing_and_gives_no_address_away": (
        "src/stratify/operations/notices.py",
        "could not be sent by {name} ({type(fault).__name__})",
        "could not be sent by {name} ({fault}) {hook.content.decode()}",
    ),
}
"""By test: the file, what stands there against the threat, and what the file has without it."""
BY_NATURE = {"unit/test_returned_lists.py::test_a_formula_is_never_worked_out_and_counts_for_what_it_shows"}
"""Nothing in the program could work a formula out: there is nothing to remove."""
_LEFT_OUT = shutil.ignore_patterns(".*", "demo", "build", "dist", "__pycache__", "*.egg-info")
_FAILED = 1


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Give a copy of the tree, to take something out of."""
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("defences") / "tree", ignore=_LEFT_OUT))


def test_every_threat_has_its_defence_named_and_the_defence_is_where_it_is_said_to_be():
    threats = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`tests/([^`]+::[^`]+)`", threats)) == REMOVED.keys() | BY_NATURE
    for file, stands, without in REMOVED.values():
        assert (ROOT / file).read_text(encoding="utf-8").count(stands) == 1, f"{file}: {stands}"
        assert stands != without


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(REMOVED))
def test_without_its_defence_the_test_of_a_threat_fails(tree, name):
    file, stands, without = REMOVED[name]
    path = tree / file
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(stands, without), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-p", "no:xdist", "-m", "slow or not slow", f"tests/{name}"],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree}", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
    finally:
        path.write_text(whole, encoding="utf-8")
    is_killed = done.returncode < 0  # what it would have held was more than there was
    is_failed = done.returncode == _FAILED and "FAILED" in done.stdout
    assert is_killed or is_failed, done.stdout[-2000:] + done.stderr[-2000:]
