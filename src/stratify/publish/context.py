"""What every output says about the run it came from, and how rows and files are named without naming anybody."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

import polars as pl

from stratify import contracts
from stratify.care_homes import CareHome
from stratify.comparators import Comparator
from stratify.errors import ContractError
from stratify.rollout import Switch
from stratify.rules import Pathway, Score
from stratify.sustainability import FactorAnswer

_T = TypeVar("_T")
_MANY = 20
"""How many files or practices there are when it takes long enough to tell how far it is."""
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class HeldList:
    """A pathway whose lists, offers and counts a failed check holds this week.

    Attributes:
        table: Table the check is about, with its layer.
        rule_id: The check.
        pathway: Pathway id.
        practice_code: The practice; None for every practice.
        scores: Scores the check touches.
        clinics: Clinics and worklists of the pathway.
        reason: What is wrong, in words that anybody may read.
        people: People whose place, visit, review or offer is held.
    """

    table: str
    rule_id: str
    pathway: str
    practice_code: str | None
    scores: tuple[str, ...]
    clinics: tuple[str, ...]
    reason: str
    people: int


@dataclass(frozen=True)
class PublishContext:
    """The run as its readers need to know it.

    Attributes:
        run_id: Id of the run.
        index_date: The day the run describes; lists are for the week that begins on it.
        is_test: The run is on invented patients: every output is stamped.
        pathways: Pathway definitions by id.
        scores: Score definitions by id.
        data_cutoffs: Last day covered by each landing table's extract.
        purpose: The purpose the data were released for.
        withheld: Why people were left out of the whole run, and how many; objections to this use.
        code_version: Version of the program.
        rule_digest: Digest of all clinical definitions.
        contact: How to report a concern.
        held: What is held this week.
        lost_feeds: What is read instead of each feed whose newest file was refused or is missing, a sentence each.
        rollout: Where pathways are switched on, and from when until when.
        off: Where pathways are not switched on, by pathway and practice: nothing of them is published there.
        shared_lists: Clinics of which the practices of a network share one list.
        actions: What a meeting may agree to do, in the words of the agenda.
        tell: Told how far the outputs are.
        approval: Who signed each pathway off, or that nobody did, in a sentence.
        care_homes: The homes of the area.
        comparators: Figures of other places.
        sustainability: What teams answered about whether a pathway will last.
        board_name: What the board is called, where there is one and the settings name it.
        practice_phones: The number that patients ring, by practice.
    """

    run_id: str
    index_date: date
    is_test: bool
    pathways: dict[str, Pathway]
    scores: dict[str, Score]
    data_cutoffs: dict[str, date]
    purpose: str
    withheld: list[tuple[str, int]]
    code_version: str
    rule_digest: str
    contact: str
    held: tuple[HeldList, ...] = ()
    lost_feeds: tuple[str, ...] = ()
    rollout: tuple[Switch, ...] = ()
    off: frozenset[tuple[str, str | None]] = frozenset()
    shared_lists: frozenset[str] = frozenset()
    actions: tuple[str, ...] = ()
    approval: Mapping[str, str] = field(default_factory=dict)
    care_homes: tuple[CareHome, ...] = ()
    comparators: tuple[Comparator, ...] = ()
    sustainability: tuple[FactorAnswer, ...] = ()
    board_name: str | None = None
    practice_phones: Mapping[str, str] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda _: None

    def told(self, items: Collection[_T], words: str) -> Iterator[_T]:
        """Go through what is written, and tell at each quarter how far it is; nothing where there is little."""
        quarter = -(-len(items) // 4)
        for number, each in enumerate(items, 1):
            yield each
            if len(items) >= _MANY and (number % quarter == 0 or number == len(items)):
                self.tell(f"  {words}: {number:,} of {len(items):,}")

    def held_at(self, practice_code: str) -> dict[str, str]:
        """Give why lists are held at a practice, by pathway; several reasons one after another."""
        reasons: dict[str, list[str]] = {}
        for each in self.held:
            if each.practice_code in (None, practice_code) and (each.pathway, practice_code) not in self.off:
                reasons.setdefault(each.pathway, []).append(each.reason)
        return {pathway: "; ".join(dict.fromkeys(texts)) for pathway, texts in reasons.items()}

    def file_name(self, stem: str, suffix: str) -> str:
        """Name a dated file, with TEST in it for a run on invented patients."""
        return f"{stem}_{'TEST_' if self.is_test else ''}{self.index_date.isoformat()}.{suffix}"


def row_reference(week: date, place: str, patient_key: str) -> str:
    """Give the reference of a person's row on one list: another in every other list and week.

    It does not depend on the run: where a week is run again after its lists went out, what comes back still finds its
    row.
    """
    digest = hashlib.sha256(f"{week}{place}{patient_key}".encode()).hexdigest()[:12].upper()
    return f"{digest[:4]}-{digest[4:8]}-{digest[8:]}"


def folder_name(name: str) -> str:
    """Give a code or id as the name of a folder.

    Raises:
        ContractError: it has characters that could lead out of the folder it belongs in.
    """
    if not _SAFE_NAME.fullmatch(name):
        raise ContractError(
            "publish",
            expected="practice codes and clinic ids of letters, digits, - and _",
            found="one with other characters",
            action="Correct the practice reference or the pathway definition.",
        )
    return name


def check_frame(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Hold a frame to the contract of what is handed over, and give it with the contract's columns in order.

    Raises:
        ContractError: a column is missing or too many, a required value is empty, or a key occurs twice.
    """
    contract = contracts.load(name)
    odd = sorted(set(frame.columns) ^ set(contract.column_names))
    if odd:
        found = f"a difference in {', '.join(odd)}"
    else:
        faults = [
            f"{empty} without {column.name}"
            for column in contract.columns
            if column.is_required and (empty := frame[column.name].null_count())
        ]
        doubled = frame.height - frame.select(contract.key).n_unique() if frame.height else 0
        if doubled:
            faults.append(f"{doubled} with a {' and '.join(contract.key)} that occurs before")
        found = f"of {frame.height} rows, {' and '.join(faults)}" if faults else ""
    if found:
        raise ContractError(
            name, expected="rows that keep the contract", found=found, action="Correct the step that writes it."
        )
    return frame.select(contract.column_names)
