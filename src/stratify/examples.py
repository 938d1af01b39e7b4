"""Runs the worked examples that stand beside each definition: the same reckoning, on invented people.

An example gives the values that were found, not records; what records mean for a value is tested elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import narwhals.stable.v2 as nw
import polars as pl

from stratify.definition_places import DefinitionFile
from stratify.errors import RuleError
from stratify.pathways import decide
from stratify.rulebook import RuleBook
from stratify.rules import (
    EDGES,
    PATHWAY_KEYS,
    PERSON_FIELDS,
    SCORE_KEYS,
    SHORT_KEYS,
    Condition,
    Example,
    Pathway,
    Score,
    Tier,
)
from stratify.scores import add_scores, score_rows

NO_TIER = "none"
"""What an example gives of a score that says nothing of a person."""


@dataclass(frozen=True)
class Outcome:
    """How one example came out; ``differences`` is empty when it holds, ``found`` says what was found."""

    definition: str
    name: str
    differences: tuple[str, ...]
    found: str = ""


def run_examples(book: RuleBook, *, only: str | None = None) -> list[Outcome]:
    """Work every example of a rule book, or those of one score or pathway.

    Those of a definition that came out in this process with the very same definitions are not worked again: a folder
    with one definition changed has some fifty that are as they were.

    Returns:
        One outcome per example, in order of definition and file.
    """
    return [each for name in sorted(book.examples) if only in (None, name) for each in _known_outcomes(name, book)]


def _known_outcomes(name: str, book: RuleBook) -> list[Outcome]:
    small = book.cut_down_to(name)
    named = {score: book.scores.get(score) for each in small.examples[name] for score in each.tiers}
    known = {variable for each in small.examples[name] for variable in each.values} & set(book.variables)
    tried = (small.variables, small.scores, small.pathways, small.examples, named, known)
    if name not in _WORKED or _WORKED[name][0] != tried:
        _WORKED[name] = (tried, _outcomes(name, small, book))
    return _WORKED[name][1]


_WORKED: dict[str, tuple[tuple[object, ...], list[Outcome]]] = {}
"""How the examples of each definition last came out, with all that they were worked from."""


def missing_examples(book: RuleBook, folder: Path, *, only: str | None = None) -> list[RuleError]:
    """Find what no example of a definition shows: an edge, the other side of it, a tier, a route.

    An edge is a number that a value is compared with in the definition itself. Each needs somebody on it and somebody
    whom it parts from them.

    Args:
        book: The rule book.
        folder: The clinical folder it was read from.
        only: Look at one score or pathway.
    """
    faults = []
    definitions: list[Score | Pathway] = [*book.scores.values(), *book.pathways.values()]
    for definition in (each for each in definitions if only in (None, each.id)):
        if isinstance(definition, Score) and definition.is_for_nobody:
            continue
        kind = "scores" if isinstance(definition, Score) else "pathways"
        file = DefinitionFile(folder / kind / f"{definition.id}.yaml")
        examples = book.examples.get(definition.id, ())
        for variable, edge, beyond in _edges(definition, book):
            values = [_value(each, variable, book) for each in examples]
            is_parted = any(each is not None and (each > edge if beyond == "above" else each < edge) for each in values)
            if edge not in values or not is_parted:
                wanted = f"{variable}: {edge:g}" if edge not in values else f"{variable} just {beyond} {edge:g}"
                faults.append((file.at_edge(edge), f"an example on each edge and one {beyond} it", wanted))
        shown = {str(each.expect.get(key)) for each in examples for key in ("tier", "rule", "rule_id")}
        parts = [each.tier for each in definition.tiers] if isinstance(definition, Score) else []
        parts += [each.id for each in definition.routes] if isinstance(definition, Pathway) else []
        for part in parts:
            if part not in shown:
                faults.append((file.at_word(f"{kind} {definition.id}", part), "an example of each answer", part))
    return [
        RuleError(where, expected=what, found=f"none with {wanted}", action=f"Add one to its examples: {wanted}")
        for where, what, wanted in faults
    ]


def _edges(definition: Score | Pathway, book: RuleBook) -> list[tuple[str, float, str]]:
    """Give variable, edge, and on which side of it lie the numbers that it leaves out or takes in."""
    edged: list[tuple[str, Condition | Tier]] = []
    edged += [(each.variable, each) for part in definition.conditions for each in part.walk() if each.variable]
    if isinstance(definition, Score) and definition.value_of:
        edged += [(definition.value_of, each) for each in definition.tiers]
    found = {
        (name, value, "above" if edge in ("above", "at_most") else "below")
        for name, each in edged
        if name not in book.scores
        for edge, value in ((edge, getattr(each, edge)) for edge in EDGES)
        if value is not None
    }
    return sorted(found)


def _value(example: Example, variable: str, book: RuleBook) -> float | None:
    """Give the number an example has for a variable; nought is what no record means."""
    if variable in PERSON_FIELDS:
        return getattr(example.person, variable, None)
    value = example.values.get(variable)
    if value is None:
        return None if book.variables[variable].is_value or book.variables[variable].take == "weight" else 0.0
    return float(value) if isinstance(value, int | float) else None


def _outcomes(definition: str, small: RuleBook, book: RuleBook) -> list[Outcome]:
    """Work the examples of one definition with nothing but what it depends on."""
    examples = small.examples[definition]
    scored = add_scores(nw.from_native(wide_rows(examples, small).lazy()), small)
    if definition in small.pathways:
        rows_scored = _with_tiers(scored.collect(backend="polars").to_native(), examples, small)
        found = decide(nw.from_native(rows_scored.lazy()), small.pathways[definition], small)
    else:
        found = score_rows(scored, small).filter(nw.col("score") == definition)
    rows = {row["patient_key"]: row for row in found.collect(backend="polars").to_native().to_dicts()}
    return [
        Outcome(definition, each.name, _differences(each, rows.get(str(number)), definition, book))
        for number, each in enumerate(examples)
    ]


def _with_tiers(scored: pl.DataFrame, examples: Sequence[Example], book: RuleBook) -> pl.DataFrame:
    """Put the tiers that examples give in the place of what the scores say of their people."""
    for name in sorted({name for each in examples for name in each.tiers if name in book.scores}):
        given = [each.tiers.get(name) for each in examples]
        of_row = pl.col("patient_key").replace_strict(
            {str(number): tier for number, tier in enumerate(given)}, return_dtype=pl.String
        )
        scored = scored.with_columns(_given=of_row)
        is_given, has_tier = pl.col("_given").is_not_null(), pl.col("_given") != NO_TIER
        put = {f"p_{name}__{each.tier}": pl.col("_given") == each.tier for each in book.scores[name].tiers}
        put |= {f"t_{name}": pl.when(has_tier).then(pl.col("_given")), f"e_{name}": has_tier, f"n_{name}": pl.lit(True)}
        put |= {f"w_{name}": pl.when(~has_tier).then(pl.lit("as the example says"))}
        scored = scored.with_columns(
            pl.when(is_given).then(value).otherwise(pl.col(column)).alias(column) for column, value in put.items()
        ).drop("_given")
    return scored


def _differences(example: Example, row: dict[str, object] | None, definition: str, book: RuleBook) -> tuple[str, ...]:
    keys = PATHWAY_KEYS if definition in book.pathways else SCORE_KEYS
    differences = []
    unknown = [name for name in example.values if name not in book.variables]
    differences += [f"values names {name}, which is no variable" for name in unknown]
    differences += [
        f"tiers gives {name} the tier {tier}, which it has not"
        for name, tier in example.tiers.items()
        if definition not in book.pathways
        or name not in book.scores
        or tier not in (NO_TIER, *(each.tier for each in book.scores[name].tiers))
    ]
    odd = [short for short in example.expect if SHORT_KEYS.get(short, short) not in keys]
    differences += [f"expects {short}, which is none of {', '.join(keys)}" for short in odd]
    if row is None:
        wants_nothing = set(example.expect.values()) <= {None, "not_on_pathway"}
        if not wants_nothing:
            differences.append("found nothing for this person; expected " + _listed(example.expect))
        return tuple(differences)
    return (*differences, *differences_of(example.expect, row))


def differences_of(expect: Mapping[str, str | float | bool | None], row: Mapping[str, object]) -> tuple[str, ...]:
    """Say in words what of a row is not as expected; what a row does not have is not looked at."""
    differences = []
    for short, wanted in expect.items():
        got = row.get(SHORT_KEYS.get(short, short), wanted)
        same = (
            abs(float(got) - wanted) < 1e-6
            if isinstance(got, float) and isinstance(wanted, int | float)
            else got == wanted
        )
        if not same:
            differences.append(f"{short}: expected {wanted}, found {got}")
    return tuple(differences)


def _listed(expect: dict[str, str | float | bool | None]) -> str:
    return ", ".join(f"{key} {value}" for key, value in expect.items())


def wide_rows(examples: Sequence[Example], book: RuleBook) -> pl.DataFrame:
    """Give the wide rows of the people of examples, numbered in order; see ``wide.person_rows`` for the columns."""
    rows: list[dict[str, object]] = []
    for number, example in enumerate(examples):
        person = example.person
        row: dict[str, object] = {
            "patient_key": str(number),
            "person_status": person.status,
            "identity_doubt": person.identity_doubt,
            "is_hospital_linked": person.is_hospital_linked,
            "x_age_years": person.age_years,
            "x_months_registered": person.months_registered,
            "x_is_female": None if person.sex is None else float(person.sex == "female"),
            "x_is_male": None if person.sex is None else float(person.sex == "male"),
            "x_imd_decile": person.imd_decile,
        }
        row |= {f"{letter}_{name}": False for name in PERSON_FIELDS for letter in "ousc"}
        for variable in book.variables.values():
            given, bound = _bounded(example.values.get(variable.id))
            is_filled = not variable.is_value and variable.take != "weight"
            value = given if isinstance(given, int | float) else None
            row[f"x_{variable.id}"] = 0.0 if value is None and is_filled and given is None else value
            is_unlinked = variable.reads_hospital and not person.is_hospital_linked
            row[f"o_{variable.id}"] = is_unlinked or bound.startswith(">")
            row[f"u_{variable.id}"] = bound.startswith("<")
            row[f"s_{variable.id}"] = bound in ("<", ">")
            row[f"c_{variable.id}"] = given == "conflict"
        rows.append(row)
    schema: dict[str, pl.DataType] = {
        "patient_key": pl.String(),
        "person_status": pl.String(),
        "identity_doubt": pl.String(),
        "is_hospital_linked": pl.Boolean(),
    }
    kinds = {"x": pl.Float64()} | dict.fromkeys("ousc", pl.Boolean())
    schema |= {f"{letter}_{name}": kinds[letter] for name in (*PERSON_FIELDS, *book.variables) for letter in kinds}
    return pl.DataFrame(rows, schema=schema)


def _bounded(given: float | str | None) -> tuple[float | str | None, str]:
    """Take a value known by a bound only apart: ``>90`` is 90 and ``>``."""
    found = re.fullmatch(r"([<>]=?) ?(.+)", given) if isinstance(given, str) else None
    return (float(found[2]), found[1]) if found else (given, "")
