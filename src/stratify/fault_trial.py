"""Tries a run on each fault alone: a county with that fault and no other, the run of it, and what the truth says.

The report tells what the pipeline does today, which need not be what nhs-data asks for: a fault that falls short is
work to do and is said so. Planting faults belongs to ``synth.faults``, comparing to ``truth_score``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from stratify import pipeline, truth_score
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
_FEWEST = 0.02
"""A fault that is rarer in life is planted at this rate, so that a small county shows it."""


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
    """

    fault: Fault
    rate: float
    rows: int
    people: int
    refusal: str | None
    touched: Mapping[str, int]
    untouched: Mapping[str, int]

    @property
    def falls_short(self) -> bool:
        """Whether the run did something else than nhs-data 2.2 asks for."""
        if self.fault.expects == "refused":
            return self.refusal is None
        return self.refusal is not None or bool(self.touched or self.untouched)

    @property
    def verdict(self) -> str:
        """What the run did, in a sentence."""
        if self.refusal is not None:
            return f"Refused: {self.refusal}"
        if self.fault.expects == "refused":
            said = ["The run finished; nothing refused the files"]
        else:
            said = ["The run finished"]
        if self.touched:
            said.append(f"people it touched differ: {_counted(self.touched)}")
        if self.untouched:
            said.append(f"others differ: {_counted(self.untouched)}")
        if not self.touched and not self.untouched:
            said.append("everybody is as the truth says")
        return "; ".join(said) + "."


def try_faults(
    ids: Sequence[str] | None = None, *, people: int, seed: int, tell: Callable[[str], None] = lambda words: None
) -> list[Trial]:
    """Plant each fault alone and run the county.

    Args:
        ids: Which faults; all when not given.
        people: People of each county.
        seed: Seed of each county.
        tell: Told which fault is tried.

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
    trials = []
    for fault in FAULTS.values():
        if ids and fault.id not in ids:
            continue
        tell(f"{fault.id} {fault.name}")
        with TemporaryDirectory(prefix="stratify-trial-") as scratch:
            trials.append(_try(fault, Path(scratch), people=people, seed=seed))
    return trials


def _try(fault: Fault, folder: Path, *, people: int, seed: int) -> Trial:
    rate = max(fault.default_rate, _FEWEST)
    order = CountyOrder(people=people, seed=seed, faults={fault.id: rate}, weeks=2 if fault.needs_weeks else 0)
    made = write_county(folder / "extracts", order, truth_folder=folder / "truth")
    touches = pl.read_parquet(folder / "truth" / "fault.parquet")
    refusal = None
    for extract in made.extracts:
        settings = Settings(
            extracts=extract.folder,
            source="synthetic_county",
            out=folder / "out",
            index_date=extract.index_date,
            privacy=_EVERY_OBJECTION,
        )
        try:
            pipeline.run(settings, key=THROWAWAY_KEY)
        except StratifyError as refused:
            refusal = str(refused)
            break
    touched, untouched = Counter[str](), Counter[str]()
    if refusal is None:
        compared = truth_score.compare(folder / "out", folder / "truth", THROWAWAY_KEY)
        for each in compared.differences:
            (touched if each.faults else untouched)[f"{each.place} {each.kind}"] += 1
    return Trial(
        fault=fault,
        rate=rate,
        rows=touches.height,
        people=touches.select(pl.struct("org_code", "source_patient_id", "nhs_number").n_unique()).item(),
        refusal=refusal,
        touched=dict(sorted(touched.items())),
        untouched=dict(sorted(untouched.items())),
    )


def in_words(trials: Sequence[Trial]) -> str:
    """Say in a line or two how many faults are met as they should be."""
    short = [each.fault.id for each in trials if each.falls_short]
    if not short:
        return f"All {len(trials)} faults are met as they should be."
    return f"{len(trials) - len(short)} of {len(trials)} faults are met as they should be; not yet: {', '.join(short)}."


def report(trials: Sequence[Trial], *, people: int, seed: int) -> str:
    """Write the report as Markdown."""
    lines = [
        "# What a run does about each fault",
        "",
        f"Each fault was planted alone in an otherwise clean county of {people:,} invented people (seed {seed}), and",
        "the county was run. Made by `make faults`; `stratify synth faults` lists the faults with their usual rates.",
        "A difference is one thing about one person that the run and the truth of the county do not agree on.",
        "",
        in_words(trials),
        "",
        "| Fault | What it is | What should be done | Planted | Today | |",
        "|---|---|---|---|---|---|",
    ]
    for each in trials:
        fault = each.fault
        planted = f"{each.rows:,} rows or files, {each.people:,} people"
        mark = "falls short" if each.falls_short else "as it should be"
        cells = (fault.id, fault.name, fault.action, planted, each.verdict, mark)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in counts.items())
