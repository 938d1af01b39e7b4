"""The monthly look at who was admitted and had been on no list, from a finished run and the weeks it keeps.

    <into>/direct_care/<practice>/admitted_never_listed_2026-05.csv   the practice's own patients, with why
    <into>/secondary_use/admitted_2026-05.csv                         counts under disclosure control

Where ``modelling.overlooked`` meets the store, the kept weeks and ``publish``. A practice is told the names of those
who are still with it, or died.
"""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from stratify import disclosure, kept_weeks, publish
from stratify.codes import spaced
from stratify.disclosure import Sum
from stratify.errors import RunError
from stratify.modelling.overlooked import REASONS, WAS_LISTED, count_admitted, find_admitted
from stratify.runs import Plan, plan_in_place, without_values
from stratify.store import Store, open_store

_HOSPITAL = "apc_episode"
# The practice of a stay is that of its day; of two registrations at once it is the newer one.
_ADMISSIONS = """
SELECT patient_key, admission_date, primary_diagnosis, practice_code, start_date AS registered_from
FROM core.apc_spell JOIN core.registration AS r USING (patient_key)
WHERE is_emergency AND admission_date BETWEEN DATE '{first}' AND DATE '{last}'
    AND registration_type = 'REGULAR' AND practice_code IS NOT NULL
    AND coalesce(start_date <= admission_date, true) AND coalesce(admission_date < end_date, true)
QUALIFY row_number() OVER (
    PARTITION BY provider_code, spell_id ORDER BY start_date DESC NULLS LAST, r.source_registration_id) = 1
ORDER BY ALL
"""
_WHO = """
SELECT p.patient_key, p.practice_code AS practice_now, p.person_status, p.may_be_counted, i.nhs_number, i.family_name,
    i.given_names, coalesce(i.date_of_birth, p.date_of_birth) AS date_of_birth
FROM core.person AS p LEFT JOIN identity.person AS i USING (patient_key) ORDER BY patient_key
"""


@without_values
def write_admitted(out: Path, month: date, into: Path) -> str:
    """Write who was admitted in a month and never listed for each practice, and the counts of it.

    Args:
        out: Output folder of a finished run, for a day after the month.
        month: Any day of the month.
        into: Folder to write into.

    Returns:
        The counts in words, under disclosure control.

    Raises:
        RunError: there is no finished run, its hospital data end before the month does, or no earlier list is kept.
    """
    plan = plan_in_place(out)
    first, last = _days_of(month)
    _check_covered(plan, first, last)
    with (
        TemporaryDirectory(prefix="stratify-admitted-") as scratch,
        open_store(plan.restricted / "run.duckdb", temp_directory=Path(scratch), read_only=True) as store,
    ):
        store.attach(plan.restricted / "identity.duckdb", "identity", read_only=True)
        found = _found(store, plan, first, last)
        people = store.frame(_WHO)
    named = _named(found, people)
    stem = f"{first:%Y-%m}"
    for (practice,), rows in named.group_by("practice_code", maintain_order=True):
        folder = into / "direct_care" / publish.folder_name(str(practice))
        publish.write_never_listed(folder / f"admitted_never_listed_{stem}.csv", rows.drop("practice_code"))
    counts = _counted(found, people).with_columns(pl.lit(stem).alias("month"))
    publish.write_admitted_counts(into / "secondary_use" / f"admitted_{stem}.csv", counts)
    whole = counts.filter(pl.col("practice_code") == "all")
    lines = [
        f"{'hidden' if row['people_count'] is None else format(row['people_count'], ','):>8}  {row['reason_words']}"
        for row in whole.to_dicts()
    ]
    return "\n".join([f"Admitted as an emergency in {stem}, all practices; numbers under 8 are hidden:", *lines])


def write_last_month(out: Path, into: Path) -> str:
    """Write as :func:`write_admitted` of the last whole month that the hospital data of the run in place cover.

    What is there of another month goes: names are kept for as long as somebody acts on them.

    Args:
        out: Output folder of a finished run.
        into: A folder that gets the folder of the month.

    Raises:
        RunError: there is no finished run, no hospital data, or no list is kept of before that month.
    """
    known_to = plan_in_place(out).data_cutoffs.get(_HOSPITAL)
    if known_to is None:
        raise RunError(
            "admissions of the last month",
            expected="hospital data in the run in place",
            found="none",
            action="Ask again after a run that has them.",
        )
    month = last_whole_month(known_to)
    home = into / f"{month:%Y-%m}"
    said = write_admitted(out, month, home)
    for other in sorted(into.iterdir()):
        if other != home:
            shutil.rmtree(other)
    return said


def last_whole_month(known_to: date) -> date:
    """Give the first day of the last month that ends no later than a day."""
    return ((known_to + timedelta(days=1)).replace(day=1) - timedelta(days=1)).replace(day=1)


def _days_of(month: date) -> tuple[date, date]:
    first = month.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _check_covered(plan: Plan, first: date, last: date) -> None:
    kept = [week for week in kept_weeks.weeks(plan.restricted) if week < first]
    known_to = plan.data_cutoffs.get(_HOSPITAL)
    if not kept or known_to is None or known_to < last:
        raise RunError(
            f"admissions of {first:%B %Y}",
            expected="hospital data to its last day, and a week of lists kept of before its first",
            found=f"hospital data to {known_to or 'no day'}, and {'a' if kept else 'no'} week of before",
            action="Ask for another month, or after a run with newer data.",
        )


def _found(store: Store, plan: Plan, first: date, last: date) -> pl.DataFrame:
    same = dict(store.rows("SELECT original_key, patient_key FROM identity.merged_number ORDER BY ALL"))
    rows = kept_weeks.scan(plan.restricted, "audit.list_row", before=last, same_person=same)
    return find_admitted(
        store.frame(_ADMISSIONS.format(first=first, last=last)),
        rows.collect(),
        store.frame("SELECT * FROM derived.pathway_decision ORDER BY patient_key, pathway"),
    )


def _named(found: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    """Give contract ``out.admitted_never_listed`` with ``practice_code``, of those whom the practice may be told of."""
    still = (pl.col("person_status") == "registered") & (pl.col("practice_now") == pl.col("practice_code"))
    mine = found.filter(pl.col("reason") != WAS_LISTED).join(people, on="patient_key")
    return mine.filter(still | (pl.col("person_status") == "died")).select(
        "practice_code",
        pl.col("nhs_number").map_elements(spaced, return_dtype=pl.String),
        "family_name",
        "given_names",
        "date_of_birth",
        pl.when(still).then(pl.lit("Registered")).otherwise(pl.lit("Recorded as having died")).alias("status"),
        "admission_date",
        pl.col("reason").replace_strict(REASONS, return_dtype=pl.String).alias("why"),
        "pathway",
        pl.col("words").alias("said"),
        "last_week",
    )


def _counted(found: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    counts = count_admitted(found, people.filter("may_be_counted").select("patient_key"))
    whole = {name: pl.lit("all") for name in ("practice_code", "reason")}
    sums = [Sum(name, pl.col(name) != "all", {name: value}) for name, value in whole.items()]
    shown = disclosure.protect(counts, count="people_count", key=("practice_code", "reason"), sums=sums)
    told = {"all": "Everybody admitted", **REASONS}
    words = pl.col("reason").replace_strict(told, return_dtype=pl.String)
    place = pl.col("reason").replace_strict(list(told), list(range(len(told))), return_dtype=pl.Int64)
    return shown.with_columns(words.alias("reason_words")).sort(
        pl.col("practice_code") != "all", "practice_code", place
    )
