"""Patients of one's own, tried through the whole of the run: from rows as a practice writes them to a decision.

The patients of a file become an extract set of an invented practice, pass the front door (values, units, codes, dates)
and the same reckoning as a run. Nothing is kept: the store is in memory and the set in a folder that goes.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import narwhals.stable.v2 as nw

from stratify import contracts, engine, features, hits, ingest, pathways, privacy, scores, wide
from stratify.codes import nhs_check_digit
from stratify.errors import RuleError
from stratify.examples import Outcome, differences_of
from stratify.ingest import Source
from stratify.privacy import PrivacyPolicy
from stratify.rulebook import RuleBook, keys_of
from stratify.rules import Patient, PatientsFile
from stratify.store import Store, open_store

_SOURCE = Source(
    name="own_patients",
    is_synthetic=True,
    needs_manifest=True,
    description="Invented patients of a file of one's own.",
)
_POLICY = PrivacyPolicy(purpose="direct_care", type_1="exclude", national="exclude", local="exclude")
_PRACTICE, _HOSPITAL = "Y99999", "RZZ01"
_SEX = {"female": "F", "male": "M"}


def try_patients(file: PatientsFile, book: RuleBook) -> list[Outcome]:
    """Try every patient of a file.

    Args:
        file: The patients.
        book: The definitions they are tried on.

    Returns:
        One outcome per patient and definition of which something is expected, in order of the file.

    Raises:
        RuleError: something is expected of what is no score or pathway, or what they do not give.
        ExtractError: a record is none that an extract could hold.
    """
    _check_expected(file, book)
    book = book.cut_down_to(*sorted({name for each in file.patients for name in each.expect}))
    with TemporaryDirectory(prefix="stratify-") as scratch:
        folder = Path(scratch)
        _write_set(folder / "extracts", file)
        with open_store(Path(":memory:"), temp_directory=folder / "store") as store:
            rows = _reckoned(store, folder, file, book)
    return [
        Outcome(
            definition,
            each.name,
            _differences(expect, rows.get((number, definition))),
            _in_words(rows, number, definition),
        )
        for number, each in enumerate(file.patients)
        for definition, expect in each.expect.items()
    ]


def _check_expected(file: PatientsFile, book: RuleBook) -> None:
    for each in file.patients:
        for definition, expect in each.expect.items():
            known = keys_of(definition, book) if definition in {*book.scores, *book.pathways} else ()
            odd = sorted(set(expect) - set(known))
            if not known or odd:
                raise RuleError(
                    f"patient {each.name}, expect",
                    expected=f"any of {', '.join(known)}" if known else "a score or pathway that is defined",
                    found=", ".join(odd) if known else definition,
                    action="Correct the name.",
                )


def _reckoned(store: Store, folder: Path, file: PatientsFile, book: RuleBook) -> dict[tuple[int, str], dict[str, Any]]:
    """Give the row of each patient (by place in the file) and definition."""
    index_date = file.index_date
    for name in ("landing", "identity"):
        store.attach(Path(":memory:"), name)
    files = ingest.inspect_files(folder / "extracts", _SOURCE)
    key = privacy.THROWAWAY_KEY
    ingest.land(store, files, source=_SOURCE, index_date=index_date, key=key)
    ingest.build_core(
        store,
        index_date=index_date,
        key=key,
        measurements=book.resolved_measurements(),
        privacy_policy=_POLICY,
        source=_SOURCE,
    )
    ingest.match_codes(store, list(book.codelists.values()))
    matches = store.rows("SELECT code_system, code, codelist FROM derived.code_match")
    codes = engine.from_polars(hits.code_table(book, matches, index_date=index_date))
    tables = {name: engine.from_polars(store.frame(f"SELECT * FROM core.{name}")) for name in hits.SOURCE_TABLES}
    persons = store.frame("SELECT * FROM core.person")
    values = _settled(features.variable_values(tables, codes, book, index_date=index_date))
    rows = _settled(wide.person_rows(engine.from_polars(persons), values, book, index_date=index_date))
    scored = _settled(scores.add_scores(rows, book))
    places = {row["patient_key"]: row["source_row"] - 2 for row in persons.to_dicts()}
    found = {}
    for row in engine.collected(scores.score_rows(scored, book)).to_dicts():
        found[places[row["patient_key"]], row["score"]] = row
    for name, pathway in book.pathways.items():
        for row in engine.collected(pathways.decide(scored, pathway, book)).to_dicts():
            found[places[row["patient_key"]], name] = row
    return found


def _settled(frame: engine.Frame) -> engine.Frame:
    return nw.from_native(engine.collected(frame).lazy())


def _differences(expect: dict[str, Any], row: dict[str, Any] | None) -> tuple[str, ...]:
    if row is not None:
        return differences_of(expect, row)
    wanted = ", ".join(f"{key} {value}" for key, value in expect.items())
    return () if set(expect.values()) <= {None} else (f"found nothing for this patient; expected {wanted}",)


def _in_words(rows: dict[tuple[int, str], dict[str, Any]], number: int, definition: str) -> str:
    row = rows.get((number, definition))
    if row is None:
        return "not one this is for"
    shown = (
        "tier",
        "value",
        "withheld_reason",
        "decision",
        "clinic_id",
        "rule_id",
        "possible_tiers",
        "missing_variables",
    )
    return ", ".join(f"{name} {row[name]}" for name in shown if row.get(name) is not None)


# The extract set


def _write_set(folder: Path, file: PatientsFile) -> None:
    folder.mkdir()
    rows: dict[str, list[dict[str, Any]]] = {
        name: []
        for name in (
            "clinic_capacity", "patient", "registration", "gp_event", "gp_observation", "gp_medication", "apc_episode",
            "op_attendance", "ed_attendance", "death", "patient_flag", "opt_out",
        )
    }  # fmt: skip
    names = {"practice_code": _PRACTICE, "practice_name": "Invented Surgery", "pcn_code": "U99999"}
    rows["practice"] = [names | {"pcn_name": "Invented Network", "icb_code": "QZZ", "valid_from": "2000-01-01"}]
    numbers = _nhs_numbers()
    for place, each in enumerate(file.patients):
        for table, row in _records(each, f"p{place}", next(numbers), file.index_date):
            rows[table].append(row)
    for table, mine in rows.items():
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, contracts.load(f"landing.{table}").column_names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(mine)
    cutoff = file.index_date - timedelta(days=1)
    lines = ["file_name,table_name,source_system,row_count,byte_count,sha256,period_to"]
    for table, mine in sorted(rows.items()):
        content = (folder / f"{table}.csv").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        lines.append(f"{table}.csv,{table},SYNTHETIC,{len(mine)},{len(content)},{digest},{cutoff}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _nhs_numbers() -> Iterator[str]:
    """Give invented NHS numbers of the range that is never issued."""
    for number in range(1_000_000):
        digit = nhs_check_digit(f"999{number:06d}")
        if digit is not None:
            yield f"999{number:06d}{digit}"


def _records(each: Patient, name: str, nhs_number: str, index_date: date) -> Iterator[tuple[str, dict[str, Any]]]:
    mine = {"org_code": _PRACTICE, "source_patient_id": name}
    number = nhs_number if each.is_hospital_linked else ""
    yield "patient", mine | {
        "nhs_number": number, "family_name": "INVENTED", "given_names": name, "date_of_birth": each.born,
        "sex": _SEX[each.sex], "date_of_death": each.died,
    }  # fmt: skip
    yield "registration", mine | {
        "source_registration_id": f"{name}-r", "practice_code": _PRACTICE, "registration_type": "REGULAR",
        "start_date": each.registered,
    }  # fmt: skip
    for place, event in enumerate(each.events):
        yield "gp_event", mine | _entry(f"{name}-e{place}", event.code, event.date)
    for place, seen in enumerate(each.observations):
        value = {"value_num": seen.value, "unit_raw": seen.unit, "comparator": seen.comparator}
        yield "gp_observation", mine | _entry(f"{name}-o{place}", seen.code, seen.date) | value
    for place, issue in enumerate(each.medications):
        codes = {"dmd_code": issue.dmd, "bnf_code": issue.bnf, "original_code": None if issue.dmd else issue.bnf}
        system = {} if issue.dmd else {"original_system": "BNF"}
        yield "gp_medication", mine | {"source_issue_id": f"{name}-m{place}", "issue_date": issue.date} | codes | system
    for place, spell in enumerate(each.spells):
        diagnoses = {f"diag_{position:02}": code for position, code in enumerate(spell.diagnoses, 1)}
        yield "apc_episode", diagnoses | {
            "provider_code": _HOSPITAL, "cds_unique_id": f"{name}-c{place}", "nhs_number": number,
            "spell_id": f"{name}-s{place}", "episode_order": 1, "admission_date": spell.admitted,
            "discharge_date": spell.discharged, "episode_start": spell.admitted, "episode_end": spell.discharged,
            "admission_method": spell.admission_method, "patient_class": 1,
        }  # fmt: skip
    for place, day in enumerate(each.ed_attendances):
        yield "ed_attendance", {
            "provider_code": _HOSPITAL, "attendance_id": f"{name}-a{place}", "nhs_number": number,
            "arrival_at": f"{day} 12:00:00",
        }  # fmt: skip
    for flag in each.flags:
        yield "patient_flag", {
            "nhs_number": number, "flag": flag.flag, "start_date": flag.start, "end_date": flag.end, "source": "GP",
        }  # fmt: skip
    yield "opt_out", {
        "nhs_number": nhs_number, "opt_out_type": "NDO", "is_opted_out": "false", "effective_from": "2000-01-01",
        "checked_at": f"{index_date - timedelta(days=1)} 00:00:00",
    }  # fmt: skip


def _entry(name: str, code: str, day: date | None) -> dict[str, Any]:
    return {
        "source_event_id": name, "snomed_code": code, "effective_date": day,
        "effective_precision": "YMD" if day else "U",
    }  # fmt: skip
