"""Declarations read from their YAML files: what they include taken over, every name resolved before a file is opened.

Belongs here: reading and proving. Does not belong: what may be said (``stratify.declarations``), extract files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from stratify import contracts, strict_yaml
from stratify.declarations import (
    DEFAULT_FORM,
    Condition,
    Declaration,
    ExtractFile,
    LookUp,
    Made,
    Part,
    parts_of,
)
from stratify.errors import SettingsError, StratifyError, combine
from stratify.ingest.sources.functions import FUNCTIONS

ENDING = ".yaml"
_OURS = Path(__file__).parent
_GUIDE = "Correct the declaration: docs/sources.md."


@dataclass(frozen=True)
class Loaded:
    """A declaration with what it includes, and the digest of all that it was read from."""

    declaration: Declaration
    digest: str


def our_declarations() -> tuple[Path, ...]:
    """Give the declarations that come with stratify."""
    return tuple(sorted(_OURS.glob(f"*{ENDING}")))


def load_declaration(path: Path) -> Loaded:
    """Read a declaration and what it includes, and prove that it holds together.

    Args:
        path: The YAML file. What it includes is looked for beside it, then among those that come with stratify.

    Raises:
        SettingsError: it is no YAML, has an unknown key, or names a file, column or table that is not there.
    """
    texts: list[bytes] = []
    declaration = _taken_over(path, texts, ())
    faults = [*_faults(declaration, path.name)]
    if faults:
        raise combine(list[StratifyError](faults))
    return Loaded(declaration, hashlib.sha256(b"\0".join(texts)).hexdigest()[:16])


def used_columns(declaration: Declaration) -> dict[str, set[str]]:
    """Give the columns that are needed of each file, by the first version's names."""
    used: dict[str, set[str]] = {kind: set() for kind in declaration.derived}
    used |= {kind: set(file.key) for kind, file in declaration.files.items()}
    for kind, name in _references(declaration):
        used.setdefault(kind, set()).add(name)
    for derived in declaration.derived.values():
        function = FUNCTIONS.get(derived.made_by)
        for kind, columns in zip(derived.of, function.needs if function else (), strict=False):
            used.setdefault(kind, set()).update(columns)
    return used


def columns_of(declaration: Declaration, kind: str) -> tuple[str, ...]:
    """Give the columns a file, or rows derived of files, have."""
    if kind in declaration.derived:
        function = FUNCTIONS.get(declaration.derived[kind].made_by)
        return function.gives if function else ()
    return declaration.files[kind].columns


def _taken_over(path: Path, texts: list[bytes], above: tuple[str, ...]) -> Declaration:
    own = _read(path, texts)
    if own.name in above:
        raise _fault(path.name, "no declaration to include itself", f"a circle of {len(above)}")
    form = own.form.filled_from(DEFAULT_FORM)
    files = {kind: file.model_copy(update={"form": file.form.filled_from(form)}) for kind, file in own.files.items()}
    manifest = own.manifest
    if manifest is not None and not manifest.covers:
        manifest = manifest.model_copy(update={"covers": tuple(own.files)})
    changes = own.changes
    derived, tables, canonical, units = dict(own.derived), dict(own.tables), own.canonical, dict(own.unit_words)
    for name in own.includes:
        beside, ours = path.parent / f"{name}{ENDING}", _OURS / f"{name}{ENDING}"
        other = _taken_over(beside if beside.is_file() else ours, texts, (*above, own.name))
        twice = sorted((files.keys() & other.files.keys()) | (derived.keys() & other.derived.keys()))
        if twice:
            raise _fault(path.name, f"other names than those of {name}", f"{', '.join(twice)} twice")
        files, derived, units = other.files | files, other.derived | derived, other.unit_words | units
        tables |= {table: (*parts, *tables.get(table, ())) for table, parts in other.tables.items()}
        canonical = tuple(dict.fromkeys((*other.canonical, *canonical)))
        manifest = manifest or other.manifest
        changes = changes or other.changes
    return own.model_copy(
        update={
            "form": form,
            "files": files,
            "derived": derived,
            "tables": tables,
            "canonical": canonical,
            "unit_words": units,
            "manifest": manifest,
            "changes": changes,
        }
    )


def _read(path: Path, texts: list[bytes]) -> Declaration:
    if not path.is_file():
        raise _fault(path.name, "a declaration", "no file of that name")
    content = path.read_bytes()
    texts.append(content)
    try:
        return Declaration.model_validate(strict_yaml.load(content.decode("utf-8")))
    except UnicodeDecodeError:
        raise _fault(path.name, "UTF-8 text", "another encoding") from None
    except yaml.YAMLError as fault:
        raise _fault(path.name, "YAML", strict_yaml.fault_in_words(fault)) from None
    except ValidationError as fault:
        faults: list[StratifyError] = []
        for each in fault.errors(include_input=False, include_url=False, include_context=False):
            # Where a value may be a name or a rule, pydantic tells of both: the rule is what somebody meant.
            place = ".".join(str(part) for part in each["loc"] if part not in ("str", "Value"))
            if each["loc"] and each["loc"][-1] == "str" and each["type"] == "string_type":
                continue
            found = each["msg"].removeprefix("Value error, ")
            found = "a key the vocabulary does not have" if each["type"] == "extra_forbidden" else found
            faults.append(_fault(f"{path.name}, {place}" if place else path.name, "what docs/sources.md lists", found))
    raise combine(faults)  # outside, so that nothing of the file is chained to it


def _fault(where: str, expected: str, found: str) -> SettingsError:
    return SettingsError(f"source declaration {where}", expected=expected, found=found, action=_GUIDE)


def _faults(declaration: Declaration, name: str) -> Iterator[SettingsError]:
    landing = {each.removeprefix("landing."): contracts.load(each) for each in contracts.names("landing")}
    del landing["extract_manifest"]
    named = (*declaration.tables, *declaration.canonical, *declaration.may_lack, *declaration.not_supplied)
    odd = sorted(set(named) - set(landing))
    if odd:
        yield _fault(name, "landing tables of data_contracts/landing", f"{', '.join(odd)}")
    for table in sorted((set(declaration.tables) | set(declaration.canonical)) & set(declaration.not_supplied)):
        yield _fault(f"{name}, not_supplied", "tables that the source never has", f"{table}, which it makes")
    for kind, derived in declaration.derived.items():
        function = FUNCTIONS.get(derived.made_by)
        if function is None or len(function.needs) != len(derived.of):
            of = f"one of {', '.join(FUNCTIONS)}, of as many files as it needs"
            yield _fault(f"{name}, derived.{kind}", of, "another")
    for table, parts in declaration.tables.items():
        for number, part in enumerate(parts):
            if table in landing:
                where = f"{name}, tables.{table}.{number}"
                yield from _faults_of_part(landing[table], part, declaration, where)
    columns = {kind: set(columns_of(declaration, kind)) for kind in (*declaration.files, *declaration.derived)}
    lacking: dict[str, set[str]] = {}
    for kind, column in _references(declaration):
        if column not in columns.get(kind, {column}):
            lacking.setdefault(kind, set()).add(column)
    for kind, names in sorted(lacking.items()):
        yield _fault(f"{name}, {kind}", "columns of its first version", f"none called {', '.join(sorted(names))}")
    unknown = sorted({kind for kind, _ in _references(declaration)} - set(columns))
    if unknown:
        yield _fault(name, f"the files {', '.join(columns)}", f"none called {', '.join(unknown)}")
    if declaration.changes is not None:
        yield from _faults_of_changes(declaration, landing, name)


def _faults_of_changes(
    declaration: Declaration, landing: Mapping[str, contracts.TableContract], name: str
) -> Iterator[SettingsError]:
    """Give what a source lacks whose sets may hold changes only."""
    lacking = [kind for kind, file in declaration.files.items() if file.not_read is None and not file.key]
    if lacking:
        yield _fault(f"{name}, changes", "a key for every file that is read", f"none for {', '.join(lacking)}")
    for table, parts in declaration.tables.items():
        where = f"{name}, tables.{table}"
        if table in landing and "is_deleted" not in landing[table].column_names:
            yield _fault(
                where, "tables whose rows can be withdrawn, for a source with changes", "one without is_deleted"
            )
        if any(value.line_of for part in parts for made in part.columns.values() for value in parts_of(made)):
            yield _fault(where, "ids that stay the same from set to set, for a source with changes", "line_of")
    nested = sorted({kind for kind, _, where in searches(declaration) if any(each.found_in for each in where)})
    if nested:
        yield _fault(
            f"{name}, changes", "conditions on a row that is looked up to be about its columns", ", ".join(nested)
        )


def searches(declaration: Declaration) -> Iterator[tuple[str, Found, tuple[Condition, ...]]]:
    """Give every search for rows of another file: the file that searches, how it matches, what must hold besides."""
    for each, file in declaration.files.items():
        for left_out in file.left_out:
            yield from _of_searches(each, left_out.when)
    for parts in declaration.tables.values():
        for part in parts:
            yield from _of_searches(part.file, part.when)
            for made in part.columns.values():
                for value in parts_of(made):
                    yield from _of_searches(part.file, value.when)
                    if value.look_up is not None:
                        yield part.file, (value.look_up.found_in, value.look_up.match), value.look_up.where


Found = tuple[str, Mapping[str, str]]
"""The file that is searched, and which column of the one matches which of the other."""


def _of_searches(kind: str, conditions: tuple[Condition, ...]) -> Iterator[tuple[str, Found, tuple[Condition, ...]]]:
    for each in conditions:
        if each.found_in is not None:
            yield kind, (each.found_in, each.match), each.where


def _faults_of_part(
    contract: contracts.TableContract, part: Part, declaration: Declaration, where: str
) -> Iterator[SettingsError]:
    file = declaration.files.get(part.file)
    if file is None and part.file not in declaration.derived:
        yield _fault(where, "one of the files above", f"none called {part.file}")
        return
    odd = sorted(set(part.columns) - set(contract.column_names))
    if odd:
        yield _fault(where, f"columns of {contract.name}", f"{', '.join(odd)}")
    lacking = [column.name for column in contract.columns if column.is_required and column.name not in part.columns]
    if lacking:
        yield _fault(where, f"every column {contract.name} cannot do without", f"none for {', '.join(lacking)}")
    if file is not None and file.not_read is not None:
        yield _fault(where, "a file that is read", f"{part.file}, which is not")


def _references(declaration: Declaration) -> Iterator[tuple[str, str]]:
    """Give every column that is named, with the file it should be in."""
    for kind, file in declaration.files.items():
        for column in file.key:
            yield kind, column
        if file.withdrawn is not None:
            yield kind, file.withdrawn.column
        for left_out in file.left_out:
            yield from _of_conditions(kind, left_out.when)
    for parts in declaration.tables.values():
        for part in parts:
            yield from _of_conditions(part.file, part.when)
            for made in part.columns.values():
                yield from _of_value(part.file, made)


def _of_conditions(kind: str, conditions: tuple[Condition, ...]) -> Iterator[tuple[str, str]]:
    for each in conditions:
        if each.column is not None:
            yield kind, each.column
        if each.found_in is not None:
            yield from _of_match(kind, each.found_in, each.match)
            yield from _of_conditions(each.found_in, each.where)


def _of_match(kind: str, other: str, match: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for ours, theirs in match.items():
        yield kind, ours
        yield other, theirs


def _of_value(kind: str, made: Made | None) -> Iterator[tuple[str, str]]:
    for value in parts_of(made):
        if value.column is not None:
            yield kind, value.column
        yield from _of_conditions(kind, value.when)
        if value.look_up is not None:
            yield from _of_look_up(kind, value.look_up)


def _of_look_up(kind: str, look_up: LookUp) -> Iterator[tuple[str, str]]:
    yield from _of_match(kind, look_up.found_in, look_up.match)
    yield look_up.found_in, look_up.give
    yield from _of_conditions(look_up.found_in, look_up.where)
    yield from _of_value(look_up.found_in, look_up.latest_by)


def is_looked_up(declaration: Declaration, kind: str) -> bool:
    """Say whether rows of a file are used with others only."""
    makes = {part.file for parts in declaration.tables.values() for part in parts}
    makes |= {of for each in declaration.derived.values() for of in each.of}
    return kind not in makes and any(other == kind for other, _ in _references(declaration))


def files_behind(declaration: Declaration, table: str) -> frozenset[str]:
    """Give the files that rows of a landing table are made with: their own, and those that are looked up."""
    parts = declaration.tables.get(table, ())
    alone = declaration.model_copy(update={"files": {}, "tables": {table: parts}})
    reached = set[str]()
    next_to_it = {part.file for part in parts} | {kind for kind, _ in _references(alone)}
    while next_to_it:
        reached |= next_to_it
        beyond = {of for kind in next_to_it if kind in declaration.derived for of in declaration.derived[kind].of}
        for kind in next_to_it & declaration.files.keys():
            for left_out in declaration.files[kind].left_out:
                beyond |= {other for other, _ in _of_conditions(kind, left_out.when)}
        next_to_it = beyond - reached
    return frozenset(reached & declaration.files.keys())


def form_of(declaration: Declaration, kind: str) -> ExtractFile:
    """Give the file whose formats hold for a file, or for rows derived of files: then the first of them."""
    return declaration.files[declaration.derived[kind].of[0] if kind in declaration.derived else kind]
