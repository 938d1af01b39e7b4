"""104 weeks of a small county, a delivery and an answer a week, each made again from its record alone.

WEEKS in the environment asks for fewer.
"""

from __future__ import annotations

import os
import shutil
from datetime import date, timedelta

import pytest

from stratify.publish import fill_in, read_filled
from stratify.synth import CountyOrder, write_county
from whole_runs import KEY, counted_plainly, same_files, settings_file, stratify

FIRST = date(2026, 11, 2)
WEEKS = int(os.environ.get("WEEKS", "104"))


def _answer_one(out, returned, week):
    """Have a practice answer the first open row of a list, another practice and outcome from week to week."""
    lists = sorted((out / "published" / "direct_care").glob("*/copd_clinic/*.xlsx"))
    for sent in lists:
        practice = sent.parts[-3]
        rows = read_filled(sent, file_id="", sent_by=practice).rows
        if rows:
            said = {"outcome": ("invited", "attended", "declined")[week % 3], "outcome_date": _day(week)}
            target = returned / practice / f"week-{week:03}.xlsx"
            fill_in(sent, target, {rows[0].cells[name].at: value for name, value in said.items()})
            return


def _day(week):
    return FIRST + timedelta(weeks=week, days=2)


@pytest.mark.slow
def test_every_one_of_the_weeks_is_made_again_exactly(tmp_path):
    supplier, extracts, out = tmp_path / "supplier", tmp_path / "extracts", tmp_path / "out"
    returned = tmp_path / "returned"
    returned.mkdir()
    extracts.mkdir()
    write_county(supplier, CountyOrder(people=100, seed=5, index_date=FIRST, weeks=WEEKS - 1, weekly="bulk"))
    deliveries = sorted(each for each in supplier.iterdir() if each.is_dir())
    assert len(deliveries) == WEEKS
    records = tmp_path / "records"
    settings = settings_file(tmp_path, extracts, out, records=str(records), returned=str(returned))
    weeks = [FIRST + timedelta(weeks=number) for number in range(WEEKS)]
    for number, (week, delivery) in enumerate(zip(weeks, deliveries, strict=True)):
        shutil.move(delivery, extracts / delivery.name)
        with counted_plainly():
            done = stratify("run", "--settings", settings, "--index-date", week, STRATIFY_IDENTITY_KEY=KEY)
        assert done.exit_code in (0, 10), done.output
        shutil.copytree((out / "published").resolve(), tmp_path / "put out" / str(week))
        _answer_one(out, returned, number)
    elsewhere = shutil.copytree(records, tmp_path / "elsewhere")
    for gone in (extracts, out, returned, records):
        shutil.rmtree(gone)
    for week in weeks:
        again = tmp_path / "again"
        with counted_plainly():
            done = stratify("replay", week, "--from", elsewhere, "--out", again, STRATIFY_IDENTITY_KEY=KEY)
        assert done.exit_code == 0, done.output
        same_files(tmp_path / "put out" / str(week), again / "out" / "published")
        shutil.rmtree(again)
