"""Tries a run on each fault alone: a county with that fault and no other, the run of it, and what the truth says.

The report tells what the pipeline does today, which need not be what nhs-data asks for: a fault that falls short is
work to do and is said so. Planting faults belongs to ``synth.faults``, comparing to ``truth_score``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from stratify import pipeline, truth_score
from stratify.audit_trail import this_account
from stratify.errors import SettingsError, StratifyError
from stratify.privacy import THROWAWAY_KEY, PrivacyPolicy
from stratify.settings import Settings
from stratify.synth import CountyOrder, write_county
from stratify.synth.faults import FAULTS, Fault

__all__ = ["Trial", "in_words", "report", "try_faults"]

_EVERY_OBJECTION = PrivacyPolicy(
    purpose="case_finding",
    type_1="exclude",
    national="exclude",
    local="exclude",
    approval_reference="invented approval, for a trial of faults",
)


_MAY_HOLD = ("suppress", "reject_file")
"""What nhs-data 2.2 may want that keeps lists back which others would be right on: holding for less is a false hold."""


@dataclass(frozen=True)
class Trial:
    """What a run did about one fault.

    Attributes:
        fault: The fault.
        rate: Rate it was planted at.
        rows: Rows, or files, it was put into.
        people: People whose rows those are.
        refusal: Why the run was refused, in the words of its message; None where it finished.
        touched: Differences from the truth about people whom the fault touched, by pathway and kind.
        untouched: Differences about anybody else.
        held: People on lists that the run held, by pathway.
        is_left_out: The run refused what the fault is in, and went on without it.
    """

    fault: Fault
    rate: float
    rows: int = 0
    people: int = 0
    refusal: str | None = None
    touched: Mapping[str, int] = field(default_factory=dict)
    untouched: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    is_left_out: bool = False

    @property
    def falls_short(self) -> bool:
        """Whether the run did something else than nhs-data 2.2 asks for.

        What follows from a refused file is not held against the run: its rows are not read, as they should not be.
        """
        if self.fault.expects == "refused":
            return self.refusal is None and not self.is_left_out
        if self.held and self.fault.action not in _MAY_HOLD:
            return True
        return self.refusal is not None or bool(self.touched or self.untouched)

    @property
    def verdict(self) -> str:
        """What the run did, in a sentence."""
        if self.refusal is not None:
            return f"Refused: {self.refusal}"
        if self.is_left_out:
            said = ["The file was refused, and the run finished with what came of its feed before"]
        elif self.fault.expects == "refused":
            said = ["The run finished; nothing refused the files"]
        else:
            said = ["The run finished"]
        if self.held:
            said.append(f"lists held: {_counted(self.held)} people")
        if self.touched:
            said.append(f"people it touched differ: {_counted(self.touched)}")
        if self.untouched:
            said.append(f"others differ: {_counted(self.untouched)}")
        if not self.touched and not self.untouched:
            said.append(f"everybody{' else' if self.held else ''} is as the truth says")
        return "; ".join(said) + "."


def try_faults(
    ids: Sequence[str] | None = None,
    *,
    people: int,
    seed: int,
    workers: int = 1,
    tell: Callable[[str], None] = lambda words: None,
) -> list[Trial]:
    """Plant each fault alone and run the county.

    Args:
        ids: Which faults; all when not given.
        people: People of each county.
        seed: Seed of each county.
        workers: Processes; what comes out does not depend on it.
        tell: Told which fault was tried.

    Raises:
        SettingsError: there is no such fault.
    """
    unknown = [each for each in ids or () if each not in FAULTS]
    if unknown:
        raise SettingsError(
            "trial of faults",
            expected="ids that `stratify synth faults` lists",
            found=f"{len(unknown)} others",
            action="Correct --fault.",
        )
    wanted = [fault.id for fault in FAULTS.values() if not ids or fault.id in ids]
    trials = []
    with ProcessPoolExecutor(min(workers, len(wanted)), mp_context=get_context("spawn")) as pool:
        for trial in pool.map(partial(_try, people=people, seed=seed), wanted):
            tell(f"{trial.fault.id} {trial.fault.name}")
            trials.append(trial)
    return trials


def _try(id: str, *, people: int, seed: int) -> Trial:
    """Plant one fault at its usual rate, in at least one row, or in the one set that can have it, and run the county.

    A fault of weekly extracts is in the changes of the first week after the whole extract.
    """
    fault = FAULTS[id]
    rate = 1.0 if fault.share_of == "sets" else fault.default_rate
    order = CountyOrder(people=people, seed=seed, weeks=int(fault.needs_weeks), faults={id: rate})
    refusal, touched, untouched = None, Counter[str](), Counter[str]()
    held: Mapping[str, int] = {}
    is_left_out = False
    with TemporaryDirectory(prefix="stratify-trial-") as name:
        extracts, truth, out = (Path(name) / each for each in ("extracts", "truth", "out"))
        write_county(extracts, order, truth_folder=truth)
        touches = pl.read_parquet(truth / "fault.parquet")
        settings = Settings(
            extracts=extracts,
            source="synthetic_county",
            out=out,
            index_date=order.index_date + timedelta(weeks=order.weeks),
            privacy=_EVERY_OBJECTION,
        )
        try:
            pipeline.run(settings, key=THROWAWAY_KEY, by=this_account("trial"))
        except StratifyError as refused:
            refusal = _first_reason(refused)
        else:
            compared = truth_score.compare(out, truth, THROWAWAY_KEY)
            held, is_left_out = compared.held, id in compared.refused
            for each in compared.differences:
                (touched if each.faults else untouched)[f"{each.place} {each.kind}"] += 1
    whose = touches.select(pl.coalesce("nhs_number", pl.concat_str("org_code", "source_patient_id", separator="/")))
    return Trial(
        fault=fault,
        rate=rate,
        rows=touches.height,
        people=whose.drop_nulls().n_unique(),
        refusal=refusal,
        touched=dict(sorted(touched.items())),
        untouched=dict(sorted(untouched.items())),
        held=held,
        is_left_out=is_left_out,
    )


def _first_reason(refused: StratifyError) -> str:
    """Give a message on one line; of a list of reasons the first."""
    said = " ".join(str(refused).split())
    said = said.partition(" For the supplier: ")[0]  # the path of a folder that is gone
    first = re.search(r"found 1\. (.*?) 2\. ", said)
    return first.group(1) if first else said


def in_words(trials: Sequence[Trial]) -> str:
    """Say in a line or two how many faults are met as they should be."""
    short = [each.fault.id for each in trials if each.falls_short]
    said = f"{len(trials) - len(short)} of {len(trials)} faults are met as they should be."
    return said + (f" {len(short)} are not: {', '.join(short)}." if short else "")


def report(trials: Sequence[Trial], *, people: int, seed: int) -> str:
    """Write the report as Markdown."""
    lines = [
        "# What a run does about each fault",
        "",
        f"Each fault was planted alone in an otherwise clean county of {people:,} invented people (seed {seed}), at",
        "the rate that `stratify synth faults` lists, and the county was run. Faults of files are in one file; those",
        "that need weekly extracts are in the changes of the first week. Made by `make faults`. A difference is one",
        "thing about one person that the run and the truth do not agree on.",
        "",
        in_words(trials),
        "",
        "| Fault | What it is | What should be done | Planted in | What the run did | |",
        "|---|---|---|---|---|---|",
    ]
    for each in trials:
        fault = each.fault
        things = "files" if fault.level == "file" else f"rows of {each.people:,} people"
        planted, mark = f"{each.rows:,} {things}", "**falls short**" if each.falls_short else "as it should be"
        cells = (fault.id, fault.name, fault.action.replace("_", " "), planted, each.verdict, mark)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in counts.items())
