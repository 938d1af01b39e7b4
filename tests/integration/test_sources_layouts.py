"""One invented county as canonical, EMIS-style and SystmOne-style files: the same people on the same lists."""

import hashlib
import re
from datetime import date, timedelta

import polars as pl
import pytest

from stratify.synth.layouts import LAYOUTS
from whole_runs import counted_plainly, sheet, stratify, two_pathways, workbooks, working_store

INDEX_DATE = date(2026, 11, 2)
SOURCES = {"canonical": "synthetic_county", "emis": "synthetic_county_emis", "systmone": "synthetic_county_systmone"}
LOST = {
    "Row reference": "made of the run's id",
    "Language": "neither layout has a language but English, or whether an interpreter is needed",
    "Format needed": "nor formats",
    "Prefers contact by": "nor how somebody wants to be reached",
    "Usual GP": "a GUID in one, not sent in the other",
}
"""Columns of the lists that hold what a layout cannot carry, as its docstring says."""


DECIDES = {
    "gp_medication": ("bnf_code",),
    "patient": ("preferred_language", "lsoa11", "lsoa21", "imd_decile", "imd_version"),
}
"""What no supplier sends and lists depend on: which medicines count, who suits an offer, who of equals is first."""


def without_what_decides(folder):
    """Take the columns that neither layout carries out of a canonical set, so that it is the same to a run."""
    manifest = pl.read_csv(folder / "manifest.csv", infer_schema=False)
    for table, columns in DECIDES.items():
        path = folder / f"{table}.csv"
        rows = pl.read_csv(path, infer_schema=False)
        assert all(rows[name].count() for name in columns)
        rows.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in columns).write_csv(path)
        content, is_it = path.read_bytes(), pl.col("table_name") == table
        manifest = manifest.with_columns(
            byte_count=pl.when(is_it).then(pl.lit(str(len(content)))).otherwise("byte_count"),
            sha256=pl.when(is_it).then(pl.lit(hashlib.sha256(content).hexdigest())).otherwise("sha256"),
        )
    manifest.write_csv(folder / "manifest.csv")


pytestmark = pytest.mark.slow  # three whole runs; what each layout is read as is in every run of the tests


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One clean county of 800 people in each layout, run with the source of that layout."""
    folder = tmp_path_factory.mktemp("layouts")
    with counted_plainly():
        for layout, source in SOURCES.items():
            order = ("--people", "800", "--practices", "2", "--seed", "8", "--clean", "--workers", "1")
            made = stratify("synth", "--out", folder / layout, *order, "--layout", layout)
            assert made.exit_code == 0, made.output
            if layout == "canonical":
                without_what_decides(folder / layout)
            out = folder / f"out_{layout}"
            done = stratify(
                "run",
                "--source",
                source,
                "--extracts",
                folder / layout,
                "--out",
                out,
                "--index-date",
                INDEX_DATE,
                STRATIFY_OTHER_SCORES="false",
                STRATIFY_CLINICAL=str(two_pathways()),
            )
            assert done.exit_code == 0, done.output
    return folder


def told(cell, *, compared):
    """Leave out the line on numbers that are not verified: neither layout carries the status of an NHS number.

    Not ``compared``: without what is before a number in ">90" too, which EMIS does not carry.
    """
    told = "\n".join(line for line in cell.splitlines() if "NHS number not verified" not in line)
    told = re.sub(r"(?<=Is offered: ).*", "an offer", told)  # by language, of which SystmOne says English alone
    return told if compared else re.sub(r"[<>]=?(?=\d)", "", told)


def lists(out, *, compared):
    """Give every row of every list, without the columns that a layout cannot fill."""
    return {
        (path.relative_to(out).as_posix(), name): sorted(
            tuple(
                (heading, told(str(value), compared=compared)) for heading, value in row.items() if heading not in LOST
            )
            for row in sheet(path, name)
        )
        for path in workbooks(out / "published")
        for name in ("List", "Waiting", "Not listed and why")
    }


def conclusions(out, scratch):
    with working_store(out, scratch) as store:
        return store.rows(
            "SELECT p.patient_key, pathway, decision, reason, d.rule_id FROM derived.pathway_decision AS d "
            "JOIN core.person AS p USING (patient_key) WHERE is_hospital_linked ORDER BY ALL"
        )


@pytest.mark.parametrize("layout", ["emis", "systmone"])
def test_everybody_with_a_number_has_the_same_decisions_in_every_layout(runs, tmp_path, layout):
    canonical = conclusions(runs / "out_canonical", tmp_path / "a")
    assert len(canonical) > 200
    assert conclusions(runs / f"out_{layout}", tmp_path / "b") == canonical


@pytest.mark.parametrize("layout", ["emis", "systmone"])
def test_the_same_people_are_on_the_same_lists_in_every_layout(runs, layout):
    compared = layout != "emis"
    canonical = lists(runs / "out_canonical", compared=compared)
    assert sum(len(rows) for (_, name), rows in canonical.items() if name == "List") > 10
    assert lists(runs / f"out_{layout}", compared=compared) == canonical


@pytest.mark.parametrize("layout", ["emis", "systmone"])
def test_the_run_accounts_for_every_row_by_the_suppliers_own_files(runs, tmp_path, layout):
    kind = {"emis": "CareRecord_Observation", "systmone": "SRCode"}[layout]
    with working_store(runs / "out_canonical", tmp_path / "a") as store:
        wanted = store.scalar(
            "SELECT sum(received_count)::BIGINT FROM audit.source_file "
            "WHERE table_name IN ('gp_event', 'gp_observation')"
        )
    with working_store(runs / f"out_{layout}", tmp_path / "b") as store:
        rows = store.rows(
            "SELECT table_name, received_count, loaded_count + rejected_count, period_to FROM audit.source_file "
            f"WHERE file_name LIKE '%{kind}%' ORDER BY ALL"
        )
    assert [table for table, *_ in rows] == ["gp_event", "gp_observation"]
    assert all(received == accounted for _, received, accounted, _ in rows)
    assert {until for *_, until in rows} == {INDEX_DATE - timedelta(days=1)}
    assert sum(received for _, received, *_ in rows) == wanted


@pytest.mark.parametrize("layout", ["emis", "systmone"])
def test_source_check_knows_the_layout(runs, layout):
    done = stratify("source", "check", runs / layout)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"This folder looks like source {layout}: ")


def test_layouts_are_those_of_the_county():
    assert set(SOURCES) == set(LAYOUTS)
