"""The proof of a finished run: everything said of the people with a decision, derived once more from their own records.

Reads the restricted folder of a run and writes nothing. For every person with a decision it takes their rows of the
core tables (the evidence), and derives each variable's value with the row it is shown with, each score's value and
tiers, and each decision, by plain Python over dicts (``values``, ``answers``) that shares nothing with the reckoning of
the run. Then it compares: here. What it does not derive: the core tables themselves (how rows were read and brought
to one unit), the wording of reasons, and the places given out.

Numbers agree when they are within 0.000001, the last digit a score keeps: two ways to a logarithm may differ in it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stratify.errors import RunError
from stratify.store import Store, open_store
from stratify.verification.answers import Person
from stratify.verification.definitions import Definitions, Json, read_definitions, used_by_pathways
from stratify.verification.values import Value, values_of

__all__ = ["Proof", "in_words", "verify"]

MOST_SHOWN = 10
_AT_A_TIME = 5_000
_SAME_NUMBER = 1.000001e-6

_CORE = {
    "gp_event": "snomed_code, effective_date",
    "gp_observation": "snomed_code, effective_date, measurement, value_canonical, value_status, comparator",
    "gp_medication": "dmd_code, bnf_code, original_code, issue_date",
    "apc_spell": "primary_diagnosis, admission_date, discharge_date, is_emergency",
    "apc_diagnosis": "icd10_code, icd10_category, admission_date, is_emergency",
    "ed_attendance": "arrival_at",
    "patient_flag": "flag, start_date, end_date",
}
"""What is read of each core table, beside whose row it is and its place."""


@dataclass(frozen=True)
class Difference:
    """One thing the run and the proof do not agree on: which definition, in what, and the row it leads to.

    Where it is in a value, the row is the one the value is shown with; else it is the person's own row.
    """

    definition: str
    kind: str
    source_file_id: str
    source_row: int


@dataclass
class Proof:
    """What was compared and what differed."""

    run_id: str
    people: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[Difference] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Nothing differed."""
        return not self.counts

    def note(self, definition: str, kind: str, row: tuple[str, int]) -> None:
        """Note a difference."""
        self.counts[definition, kind] += 1
        if len(self.first) < MOST_SHOWN:
            self.first.append(Difference(definition, kind, *row))


def verify(out: Path, *, clinical: Path | None = None, everybody: bool = False) -> Proof:
    """Derive everything said of the people with a decision once more, and compare.

    Args:
        out: Output folder of a finished run.
        clinical: The clinical folder the run was made with, where it is not the one the run names.
        everybody: Derive for everybody in the run, so that one whose decision is missing is found too.

    Raises:
        RunError: the folder holds no finished run, or the definitions are not those of the run.
    """
    restricted = (out / "restricted").resolve()  # one and the same run to the end, whatever is swapped meanwhile
    if not (restricted / "plan.json").is_file():
        raise RunError(
            f"output folder {out.name}", expected="a finished run", found="none", action="Run first, or correct RUN."
        )
    plan = json.loads((restricted / "plan.json").read_text(encoding="utf-8"))
    named = plan["settings"]["clinical"]
    folder = clinical or (Path(named) if named else Path(__file__).parent.parent / "clinical")
    definitions = read_definitions(folder)
    if definitions.digest != plan["rule_digest"]:
        raise RunError(
            "clinical definitions",
            expected="those of the run",
            found="changed ones",
            action="Give the folder the run was made with (--clinical), or run again.",
        )
    if not plan["settings"]["other_scores"]:
        definitions = used_by_pathways(definitions)
    index_date = date.fromisoformat(plan["settings"]["index_date"])
    proof = Proof(plan["run_id"])
    with (
        TemporaryDirectory(prefix="stratify-verify-") as scratch,
        open_store(restricted / "run.duckdb", temp_directory=Path(scratch), read_only=True) as store,
    ):
        who = "core.person" if everybody else _DECISIONS
        keys = [key for (key,) in store.rows(f"SELECT DISTINCT patient_key FROM {who} ORDER BY ALL")]
        for start in range(0, len(keys), _AT_A_TIME):
            batch = keys[start : start + _AT_A_TIME]
            evidence = _Evidence(store, batch)
            for key in batch:
                _compare(proof, evidence, key, definitions, index_date)
    return proof


# Those of pathways that are off at the person's practice stand apart, and are no less to be right.
_DECISIONS = "(FROM derived.pathway_decision UNION ALL FROM work.comparator_decision)"


class _Evidence:
    """The rows of some people, by table and person."""

    def __init__(self, store: Store, keys: list[str]) -> None:
        columns = {f"core.{name}": f"{names}, source_file_id, source_row" for name, names in _CORE.items()}
        tables = {"core.person": "*", **columns}
        tables |= {f"derived.{name}": "*" for name in ("variable_value", "patient_score", "pathway_decision")}
        self._found = {
            name: _rows(store, _DECISIONS if name == "derived.pathway_decision" else name, names, keys)
            for name, names in tables.items()
        }

    def of(self, table: str, key: str) -> list[Json]:
        return self._found[table].get(key, [])


def _rows(store: Store, table: str, columns: str, keys: list[str]) -> dict[str, list[Json]]:
    """Give the rows of some people as dicts; ``columns`` is ours, no value goes into the query's text."""
    names = [row[0] for row in store.rows(f"DESCRIBE SELECT patient_key AS whose, {columns} FROM {table}")]
    wanted = "patient_key BETWEEN $1 AND $2 AND patient_key IN (SELECT unnest($3))"
    found = store.rows(
        f"SELECT patient_key AS whose, {columns} FROM {table} WHERE {wanted} ORDER BY 1", [keys[0], keys[-1], keys]
    )
    return {
        key: [dict(zip(names, row, strict=True)) for row in rows] for key, rows in groupby(found, lambda row: row[0])
    }


def _compare(proof: Proof, evidence: _Evidence, key: str, definitions: Definitions, index_date: date) -> None:
    (about,) = evidence.of("core.person", key) or (None,)
    decisions = {row["pathway"]: row for row in evidence.of("derived.pathway_decision", key)}
    if about is None:
        proof.note("person", "decision of nobody", ("no file", 0))
        return
    proof.people += 1
    own_row = (about["source_file_id"], about["source_row"])
    records = {name: evidence.of(f"core.{name}", key) for name in _CORE}
    values = values_of(records, definitions, index_date)
    stored = {row["variable"]: row for row in evidence.of("derived.variable_value", key)}
    for name in sorted({*values, *stored}):
        proof.compared["values"] += 1
        for kind, row in _value_differences(values.get(name), stored.get(name)):
            proof.note(f"variable {name}", kind, row)
    person = Person(about, values, definitions, index_date)
    scores = {row["score"]: row for row in evidence.of("derived.patient_score", key)}
    for name in sorted({*definitions.scores, *scores}):
        proof.compared["scores"] += 1
        for kind in _score_differences(person, name, scores.get(name), definitions):
            proof.note(f"score {name}", kind, own_row)
    for name in sorted({*definitions.pathways, *decisions}):
        proof.compared["decisions"] += 1
        for kind in _decision_differences(person, name, decisions.get(name), definitions):
            proof.note(f"pathway {name}", kind, own_row)


def _value_differences(mine: Value | None, stored: Json | None) -> Iterator[tuple[str, tuple[str, int]]]:
    if stored is None:
        if mine:
            yield "value missing", (mine.source_file_id, mine.source_row)
        return
    row = (stored["source_file_id"], stored["source_row"])
    if mine is None:
        yield "value from no record", row
        return
    if not _same(mine.value, stored["value"]):
        yield "value", row
    if (mine.state, mine.bound) != (stored["state"], stored["bound"]):
        yield "state", row
    if mine.record_count != stored["record_count"]:
        yield "number of records", row
    names = ("value_date", "source_table", "source_code", "source_file_id", "source_row")
    if any(getattr(mine, name) != stored[name] for name in names):
        yield "record it is shown with", row


def _score_differences(person: Person, name: str, stored: Json | None, definitions: Definitions) -> Iterator[str]:
    if name not in definitions.scores:
        yield "score of no definition"
        return
    mine = person.score(name)
    if mine.is_for is False or stored is None:
        if (mine.is_for is False) != (stored is None):
            yield "score missing" if stored is None else "score of somebody it is not for"
        return
    if stored["score_version"] != str(definitions.scores[name]["version"]):
        yield "version"
    if not _same(mine.value, stored["value"]):
        yield "value"
    if mine.tier != stored["tier"]:
        yield "tier"
    if mine.open_tiers != tuple(_listed(stored["possible_tiers"])):
        yield "tiers left open"
    if (mine.is_complete, mine.withheld) != (stored["is_complete"], stored["withheld_reason"]):
        yield "complete or withheld"
    missing = set() if mine.is_complete else person.missing_of_score(name)
    if missing != set(_listed(stored["missing_variables"])):
        yield "what is missing"


def _decision_differences(person: Person, name: str, stored: Json | None, definitions: Definitions) -> Iterator[str]:
    if name not in definitions.pathways:
        yield "decision of no definition"
        return
    mine = person.decide(name)
    if mine is None or stored is None:
        if (mine is None) != (stored is None):
            yield "decision missing" if stored is None else "decision on somebody not on it"
        return
    if stored["pathway_version"] != str(definitions.pathways[name]["version"]):
        yield "version"
    if mine.decision != stored["decision"]:
        yield "decision"
    if (mine.clinic, mine.rule) != (stored["clinic_id"], stored["rule_id"]):
        yield "clinic or rule"
    if (mine.tier, mine.tier_rank) != (stored["tier"], stored["tier_rank"]):
        yield "tier"
    if mine.missing != set(_listed(stored["missing_variables"])):
        yield "what is missing"


def _listed(names: str | None) -> list[str]:
    return names.split(";") if names else []


def _same(one: float | None, other: Any) -> bool:  # noqa: ANN401  as the store gives it
    if one is None or other is None:
        return one is None and other is None
    return abs(one - float(other)) <= _SAME_NUMBER


def in_words(proof: Proof) -> str:
    """Say what was compared, and what differed: counts, and rows of files; no value and nobody."""
    compared = ", ".join(f"{proof.compared[name]:,} {name}" for name in ("values", "scores", "decisions"))
    about = f"run {proof.run_id}: {proof.people:,} people; {compared}"
    if proof.holds:
        return f"All agree, each derived again from the person's own records. {about[0].upper()}{about[1:]}."
    lines = [f"{sum(proof.counts.values()):,} differences. {about[0].upper()}{about[1:]}."]
    lines += [f"  {count:,}  {definition}: {kind}" for (definition, kind), count in sorted(proof.counts.items())]
    lines.append(f"The first {len(proof.first)}, by the row each leads to:")
    lines += [
        f"  {each.definition}, {each.kind}: file {each.source_file_id} line {each.source_row}" for each in proof.first
    ]
    return "\n".join(lines)
