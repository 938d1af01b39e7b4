"""A site's codelists: bring a full list in, see what it would change, adopt it; and find what is wrong with those held.

Belongs here: what an addition says, its report, writing it into a clinical folder, and the checks. Does not belong:
layouts of files (``codelist_files``), reckoning on a run (``codelist_trial``). Nothing is written but by :func:`adopt`.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from stratify import codelist_files, strict_yaml
from stratify.codelist_files import CodelistFile
from stratify.codelist_trial import Readers, Trial, readers
from stratify.errors import RuleError, combine
from stratify.periods import in_words as day_in_words
from stratify.rulebook import RuleBook, load_rule_book
from stratify.rules import Codelist, CodelistEntry

MOST_SHOWN = 10
"""Codes added or removed that a report names; the rest are counted."""

_SAME_AS_HELD = ("label", "system", "match", "licence")
"""What an addition may leave out where the list is held already."""


@dataclass(frozen=True)
class Addition:
    """A codelist as it would be adopted, beside the one held under its id, if any."""

    codelist: Codelist
    content: bytes
    read: CodelistFile
    descendants: int
    held: Codelist | None

    @property
    def added(self) -> dict[str, str]:
        """Codes the held list does not have, with their terms."""
        held = self.held.codes if self.held else {}
        return {code: term for code, term in self.codelist.codes.items() if code not in held}

    @property
    def removed(self) -> dict[str, str]:
        """Codes of the held list that this one does not have, with their terms."""
        held = self.held.codes if self.held else {}
        return {code: term for code, term in held.items() if code not in self.codelist.codes}


def read_addition(
    file: Path,
    book: RuleBook,
    *,
    codelist: str,
    says: Mapping[str, Any],
    group: str | None = None,
    release: Path | None = None,
    with_descendants: bool = False,
) -> Addition:
    """Read a file as the codelist it would become, and pin it.

    Args:
        file: The file as it was downloaded.
        book: The rule book it would join.
        codelist: Id it would have; that of a held list to replace it.
        says: What the manifest shall say: ``label``, ``system``, ``match``, ``version``, ``source``, ``licence``,
            ``status``, ``review_by``, ``note``; None where nothing is said.
        group: The cluster or reference set to take, where the file holds several.
        release: An RF2 release, for terms the file lacks and for descendants.
        with_descendants: Take every code below those of the file as well.

    Raises:
        RuleError: the file or what is said of it is not fit to adopt; all faults in one message.
    """
    held = book.codelists.get(codelist)
    read = codelist_files.read_codelist_file(file, group=group)
    said = {name: value for name, value in says.items() if value is not None}
    if held:
        said = {name: getattr(held.entry, name) for name in _SAME_AS_HELD} | said
    said.setdefault("match", "prefix" if said.get("system") in ("icd10", "bnf") else "exact")
    said.setdefault("status", "one_source")
    faults = list(_unfit(codelist, said, held))
    system = str(said.get("system", ""))
    malformed = [
        read.places[code]
        for code in read.codes
        if not codelist_files.code_is_well_formed(codelist_files.as_listed(code, system), system)
    ]
    if malformed and not faults:
        faults.append(
            RuleError(
                file.name,
                expected=f"codes of {system}, each with its check digit",
                found=f"{len(malformed)} of {len(read.codes)} that are none, first lines {_some(malformed)}",
                action="Download it again and keep it out of spreadsheets, which round long codes.",
            )
        )
    if faults:
        raise combine(list(faults))
    codes = {codelist_files.as_listed(code, system): term for code, term in read.codes.items()}
    below = _below(codes, system, release) if with_descendants else {}
    missing = [code for code, term in codes.items() if not term]
    if missing:
        same_system = [each.codes for each in book.codelists.values() if each.system == system]
        known = {code: term for codes_held in same_system for code, term in codes_held.items()}
        if release:
            known |= codelist_files.release_terms(release, missing)
        codes = codelist_files.with_terms(codes, known)
        nameless = [read.places[code] for code, term in codes.items() if not term and code in read.places]
        if nameless:
            raise RuleError(
                file.name,
                expected="a term for every code",
                found=f"{len(nameless)} without one, first lines {_some(nameless)}",
                action="Name the release they are of with --release: a reader must see what a code means.",
            )
    codes |= {code: term for code, term in below.items() if code not in codes}
    content = _as_csv(codes)
    entry = _entry(codelist, said, rows=len(codes), sha256=hashlib.sha256(content).hexdigest())
    if held and held.codes != codes and held.entry.version == entry.version:
        raise RuleError(
            f"codelist {codelist}",
            expected="a new version for other codes",
            found=f"version {entry.version}, which the held list has",
            action="Say with --version what makes this one different.",
        )
    return Addition(Codelist(entry, codes, {}), content, read, len(set(codes) - set(read.codes)) if below else 0, held)


def _unfit(codelist: str, said: Mapping[str, Any], held: Codelist | None) -> Iterator[RuleError]:
    where = f"codelist {codelist}"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", codelist):
        yield RuleError("--id", expected="small letters, digits and _", found="another name", action="Rename it.")
    missing = [
        f"--{name.replace('_', '-')}"
        for name in ("label", "system", "version", "source", "licence", "review_by")
        if not said.get(name)
    ]
    if missing:
        yield RuleError(
            where,
            expected="a list that says what it is, where it is from, on which terms and when to look again",
            found=f"no {', '.join(missing)}",
            action="Give them.",
        )
    if held and held.weights:
        yield RuleError(
            where,
            expected="a list without weights to replace",
            found="one whose codes carry weights, which the file would lose",
            action="Change its CSV by hand, with the manifest.",
        )
    if held and said.get("system") != held.system:
        yield RuleError(
            where, expected=f"codes of {held.system}", found=str(said.get("system")), action="Choose another --id."
        )


def _below(codes: Mapping[str, str], system: str, release: Path | None) -> dict[str, str]:
    if system != "snomed_ct" or release is None:
        raise RuleError(
            "--descendants",
            expected="a SNOMED CT list and --release",
            found=f"a list of {system}" if release else "no release",
            action="Only a release of SNOMED CT says what lies below a code.",
        )
    found = codelist_files.descendants(release, codes)
    terms = codelist_files.release_terms(release, found)
    # A concept that the release names nowhere cannot be shown to a reader.
    return {code: terms[code] for code in sorted(found) if code in terms}


def _entry(codelist: str, said: Mapping[str, Any], *, rows: int, sha256: str) -> CodelistEntry:
    try:
        return CodelistEntry.model_validate({**said, "id": codelist, "rows": rows, "sha256": sha256})
    except ValidationError as fault:
        names = sorted({".".join(str(part) for part in each["loc"]) for each in fault.errors(include_url=False)})
        raise RuleError(
            f"codelist {codelist}",
            expected="the words of the manifest (src/stratify/clinical/codelists/README.md)",
            found=f"another value in {', '.join(names)}",
            action="Correct it.",
        ) from None


def _as_csv(codes: Mapping[str, str]) -> bytes:
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("code", "term"))
    writer.writerows((code, " ".join(codes[code].split())) for code in sorted(codes))
    return text.getvalue().encode("utf-8")


def _some(lines: list[int]) -> str:
    return ", ".join(str(line) for line in sorted(lines)[:3])


# ------------------------------------------------------------------------------------------------------ the report


def addition_in_words(addition: Addition, book: RuleBook, trial: Trial | None, *, is_adopted: bool) -> str:
    """Say what an addition holds, what it changes, who reads it and, after a trial, how many people move."""
    entry, read, held = addition.codelist.entry, addition.read, addition.held
    lines = [f"{entry.label} ({entry.id}), {entry.version}", f"  read as: {read.layout}"]
    lines += [f"  left out: {count:,} {what}" for what, count in read.left_out]
    if addition.descendants:
        lines.append(f"  {len(read.codes):,} codes of the file, {addition.descendants:,} below them")
    if held:
        lines.append(
            f"  held: {len(held.codes):,} codes ({held.entry.version}); then {len(addition.codelist.codes):,}: "
            f"{len(addition.added):,} added, {len(addition.removed):,} removed"
        )
        lines += _codes_in_words("added", addition.added) + _codes_in_words("removed", addition.removed)
    else:
        lines.append(f"  a new list of {len(addition.codelist.codes):,} codes")
    lines.append(
        f"  sha256 {entry.sha256}, look again by {day_in_words(entry.review_by) if entry.review_by else 'no day'}"
    )
    lines += _readers_in_words(readers(book, entry.id))
    if trial:
        lines += _trial_in_words(trial, len(addition.codelist.codes))
    lines.append("Adopted." if is_adopted else "Nothing is written: give --adopt to adopt it.")
    return "\n".join(lines)


def _codes_in_words(what: str, codes: Mapping[str, str]) -> list[str]:
    shown = [f"    {what} {code}  {term}" for code, term in sorted(codes.items())[:MOST_SHOWN]]
    more = len(codes) - MOST_SHOWN
    return [*shown, f"    {what}: and {more:,} more"] if more > 0 else shown


def _readers_in_words(found: Readers) -> list[str]:
    if not found.is_anybody:
        return ["  read by no definition"]
    named = {
        "measurement": found.measurements,
        "variable": found.variables,
        "score": found.scores,
        "pathway": found.pathways,
    }
    told = "; ".join(f"{kind} {', '.join(names)}" for kind, names in named.items() if names)
    lines = [f"  read by {told}"]
    if found.measurements:
        lines.append("  codes of a measurement are read as files are loaded: run again to see what they change")
    return lines


def _trial_in_words(trial: Trial, codes: int) -> list[str]:
    lines = [f"On the run of {day_in_words(trial.index_date)}{', of invented people' if trial.is_test else ''}:"]
    if not trial.are_rules_of_run:
        lines.append("  reckoned with the definitions of today, which are not those of the run")
    lines.append(f"  {trial.codes_matched:,} of the list's {codes:,} codes match codes of the records")
    lines += [f"  {each.in_words}" for each in trial.movements] or ["  nobody joins or leaves anything"]
    return lines


# -------------------------------------------------------------------------------------------------------- adopting


def adopt(addition: Addition, folder: Path) -> None:
    """Write an addition into a clinical folder: the CSV and its manifest entry, proved by reading the rule book.

    Where the rule book does not hold together with it, both files are as they were.

    Args:
        addition: What to adopt.
        folder: The site's clinical folder.

    Raises:
        RuleError: the folder has no manifest that can be added to, or the rule book does not hold with the addition.
    """
    entry = addition.codelist.entry
    manifest = folder / "codelists" / "manifest.yaml"
    list_file = folder / "codelists" / f"{entry.id}.csv"
    if not manifest.is_file():
        raise RuleError(
            "codelists/manifest.yaml",
            expected="the manifest of a clinical folder",
            found="no file",
            action="Copy the clinical folder that comes with stratify, and name the copy with --clinical.",
        )
    before = {path: path.read_bytes() if path.is_file() else None for path in (manifest, list_file)}
    text = _with_entry(manifest.read_text(encoding="utf-8"), entry)
    try:
        _put(list_file, addition.content)
        _put(manifest, text.encode("utf-8"))
        load_rule_book(folder)
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                _put(path, content)
        raise


def _put(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)


def _with_entry(text: str, entry: CodelistEntry) -> str:
    """Give a manifest with an entry put in or replaced; every other line stays as it is."""
    said = entry.model_dump(exclude_none=True)
    lines = text.splitlines(keepends=True)
    starts = [(number, match) for number, line in enumerate(lines) if (match := _ENTRY.match(line))]
    indent = starts[0][1]["indent"] if starts else ""
    block = yaml.safe_dump([said], sort_keys=False, width=120 - len(indent), allow_unicode=True)
    block = "".join(f"{indent}{line}" for line in block.splitlines(keepends=True))
    after = next((at for at, match in starts if match["id"] > entry.id), len(lines))
    same = next((at for at, match in starts if match["id"] == entry.id), None)
    if same is not None:
        end = next((at for at, _ in starts if at > same), len(lines))
        changed = [*lines[:same], block, *lines[end:]]
    else:
        changed = [*lines[:after], block, *lines[after:]]
    whole = "".join(changed)
    expected = [
        *(each for each in (strict_yaml.load(text) or {}).get("codelists") or [] if each.get("id") != entry.id),
        said,
    ]
    try:
        found = strict_yaml.load(whole)["codelists"]
    except (yaml.YAMLError, KeyError, TypeError):
        found = []
    if sorted(found, key=lambda each: str(each["id"])) != sorted(expected, key=lambda each: str(each["id"])):
        raise RuleError(
            "codelists/manifest.yaml",
            expected="one entry after another, each beginning with its id",
            found="another layout, which an entry cannot be put into safely",
            action="Write the entry by hand; the report gives rows and sha256.",
        )
    return whole


_ENTRY = re.compile(r"(?P<indent> *)- id: (?P<id>[a-z0-9_]+)\s*$")


# -------------------------------------------------------------------------------------------------------- checking


@dataclass(frozen=True)
class Finding:
    """What is to be looked at in a codelist, and of which of the kinds that a check looks for."""

    kind: str
    codelist: str
    words: str


def check(
    book: RuleBook, *, as_of: date, release: Path | None = None, matched: Iterable[str] | None = None
) -> list[Finding]:
    """Find what is wrong, or worth a look, in the codelists of a rule book.

    Args:
        book: The rule book.
        as_of: The day a review is late on.
        release: An RF2 release that says which SNOMED CT codes are inactive.
        matched: Codelists that matched something in a run; None leaves that out.

    Returns:
        Findings, worst kind first, then by codelist.
    """
    held = [book.codelists[name] for name in sorted(book.codelists)]
    found = [*_malformed(held), *(_inactive(held, release) if release else ()), *_overlapping(book, held)]
    if matched is not None:
        known = set(matched)
        found += [
            Finding("unmatched", each.id, "no record of the run has one of its codes" + _read_or_not(book, each.id))
            for each in held
            if each.id not in known
        ]
    found += [
        Finding("stale", each.id, f"was to be looked at by {day_in_words(each.entry.review_by)}")
        for each in held
        if each.entry.review_by and each.entry.review_by < as_of
    ]
    return sorted(found, key=lambda each: (_KINDS.index(each.kind), each.codelist, each.words))


_KINDS = ("malformed", "inactive", "overlapping", "unmatched", "stale")


def findings_in_words(found: list[Finding], book: RuleBook, *, not_looked_for: Mapping[str, str]) -> str:
    """Say what a check found, a line each, with a count of each kind at the end.

    Args:
        found: The findings.
        book: The rule book that was checked.
        not_looked_for: Kinds that were not looked for, and the option that would have.
    """
    lines = [f"{each.kind:<12} {each.codelist}: {each.words}" for each in found]
    counts = ", ".join(
        f"{kind} not looked for ({not_looked_for[kind]})"
        if kind in not_looked_for
        else f"{sum(each.kind == kind for each in found)} {kind}"
        for kind in _KINDS
    )
    return "\n".join([*lines, f"{len(book.codelists)} codelists: {counts}"])


def _malformed(held: list[Codelist]) -> Iterator[Finding]:
    for each in held:
        bad = [code for code in each.codes if not codelist_files.code_is_well_formed(code, each.system)]
        if bad:
            yield Finding("malformed", each.id, f"{len(bad)} of {len(each.codes)} codes are none: {_named(bad)}")
        nameless = [code for code, term in each.codes.items() if not term.strip()]
        if nameless:
            yield Finding("malformed", each.id, f"{len(nameless)} codes have no term: {_named(nameless)}")


def _inactive(held: list[Codelist], release: Path) -> Iterator[Finding]:
    mine = [each for each in held if each.system == "snomed_ct"]
    inactive, unknown = codelist_files.inactive_codes(release, {code for each in mine for code in each.codes})
    for each in mine:
        ended = [code for code in each.codes if code in inactive]
        if ended:
            yield Finding("inactive", each.id, f"{len(ended)} codes, kept for old records: {_named(ended)}")
        strange = [code for code in each.codes if code in unknown]
        if strange:
            yield Finding("inactive", each.id, f"{len(strange)} codes the release does not know: {_named(strange)}")


def _overlapping(book: RuleBook, held: list[Codelist]) -> Iterator[Finding]:
    """Find lists that say the same, say two things of one code, or hold a code twice; sharing else is no fault."""
    same: dict[tuple[str, str, frozenset[str]], list[str]] = {}
    for each in held:
        same.setdefault((each.system, each.match, frozenset(each.codes)), []).append(each.id)
        if each.match == "prefix":
            within = [code for code in each.codes if any(code[:length] in each.codes for length in range(1, len(code)))]
            if within:
                yield Finding("overlapping", each.id, f"{len(within)} codes lie within a shorter one: {_named(within)}")
    for names in same.values():
        for name in names[1:]:
            yield Finding("overlapping", name, f"the same codes as {names[0]}")
    for measurement in book.measurements.values():
        said: dict[str, str] = {}
        for name in (*measurement.unit_of_codelists, *measurement.grade_codelists):
            shared = sorted(code for code in book.codelists[name].codes if code in said)
            if shared:
                words = f"{len(shared)} codes are in {said[shared[0]]} too, which says otherwise of {measurement.id}"
                yield Finding("overlapping", name, f"{words}: {_named(shared)}")
            said |= dict.fromkeys(book.codelists[name].codes, name)


def _read_or_not(book: RuleBook, codelist: str) -> str:
    return "" if readers(book, codelist).is_anybody else " (no definition reads it)"


def _named(codes: list[str]) -> str:
    shown = ", ".join(sorted(codes)[:MOST_SHOWN])
    return f"{shown} and {len(codes) - MOST_SHOWN} more" if len(codes) > MOST_SHOWN else shown
