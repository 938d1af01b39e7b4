"""What a team answers about whether a pathway will last, factor by factor: CSV, each answer with its day.

The ten factors are those of the NHS Sustainability Model (L Maher, D Gustafson, A Evans; NHS Institute for Innovation
and Improvement, 2010): process, staff, organisation, each on four levels from ``a``, the best, to ``d``. The model's
own texts and points are not copied here: a team reads them in its guide, and every factor counts the same.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from stratify.csv_lines import read_lines

Level = Literal["a", "b", "c", "d"]
FactorName = Literal[
    "benefits", "credibility", "adaptability", "monitoring", "training", "behaviours", "senior_leaders",
    "clinical_leaders", "fit", "infrastructure",
]  # fmt: skip
LEVELS: tuple[Level, ...] = ("d", "c", "b", "a")
"""From the worst to the best."""
LOW = ("c", "d")
"""Levels that prompt an action. The cut is a choice of ours: the lower half."""


@dataclass(frozen=True)
class Factor:
    """One of the ten: its part (process, staff or organisation), its name, and what to agree where it is low."""

    part: str
    name: str
    action: str


FACTORS: dict[FactorName, Factor] = {
    "benefits": Factor(
        "process",
        "Benefits beyond helping patients",
        "Ask the staff what it saves or spares them, and mend what only adds work.",
    ),
    "credibility": Factor(
        "process",
        "Credibility of the benefits",
        "Show the teams the evidence and their own figures, and answer what they doubt.",
    ),
    "adaptability": Factor(
        "process",
        "Adaptability of the process",
        "Agree what goes on if a person leaves or a clinic closes, and who changes the process then.",
    ),
    "monitoring": Factor(
        "process",
        "Monitoring progress",
        "Agree which figures are looked at, by whom, how often, and who is told.",
    ),
    "training": Factor(
        "staff",
        "Training and involvement of staff",
        "Find out who was not trained or asked, and set a day for each.",
    ),
    "behaviours": Factor(
        "staff",
        "Behaviours of staff",
        "Ask those who do not use the lists why, and give them a way to change what is wrong.",
    ),
    "senior_leaders": Factor(
        "staff",
        "Senior leaders",
        "Name one senior leader who answers for it, and bring one obstacle that only they can remove.",
    ),
    "clinical_leaders": Factor(
        "staff",
        "Clinical leaders",
        "Name one clinical leader who answers for it, and give them time in the week for it.",
    ),
    "fit": Factor(
        "organisation",
        "Fit with the organisation's goals and culture",
        "Write down which goal of the organisation it serves, and have that goal's owner agree.",
    ),
    "infrastructure": Factor(
        "organisation",
        "Infrastructure",
        "List the staff, rooms, equipment and procedures that it lacks, and who gets each.",
    ),
}
"""The factors in the model's order, by the word that the file names them by."""


class FactorAnswer(BaseModel):
    """One answer of the team of a pathway.

    Attributes:
        pathway: Its id.
        factor: One of :data:`FACTORS`.
        answered_date: The day of the answer.
        level: ``a`` (best) to ``d``.
        answered_by: The role that answered; kept in the file and published nowhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pathway: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    factor: FactorName
    answered_date: date
    level: Level
    answered_by: Annotated[str, Field(min_length=2)]


def read_answers(file: Path, *, pathways: Collection[str] | None = None) -> tuple[FactorAnswer, ...]:
    """Read the answers of a file, in order of pathway, day and factor; lines that nobody filled in are left out.

    Args:
        file: CSV, UTF-8, with a header of the columns of :class:`FactorAnswer`.
        pathways: Ids of pathways that there are; None to take any.

    Raises:
        SettingsError: the file cannot be read, or lines are wrong; every one is named, and no value of it.
    """
    seen: set[tuple[str, str, date]] = set()

    def fault_of(line: FactorAnswer) -> tuple[str, str, str] | None:
        if pathways is not None and line.pathway not in pathways:
            return "the id of a pathway", "another word", "See the table pathway_count for the ids."
        key = (line.pathway, line.factor, line.answered_date)
        if key in seen:
            return "one answer a factor and day", "one that occurs before", "Take one out."
        seen.add(key)
        return None

    order = list(FACTORS)
    found = read_lines(file, FactorAnswer, fault_of=fault_of, to_fill_in=("answered_date", "level", "answered_by"))
    return tuple(sorted(found, key=lambda each: (each.pathway, each.answered_date, order.index(each.factor))))


def blank_form(pathways: Collection[str]) -> str:
    """Give a file to fill in: a line for each pathway and factor."""
    lines = [",".join(FactorAnswer.model_fields)]
    lines += [f"{pathway},{factor},,," for pathway in sorted(pathways) for factor in FACTORS]
    return "\n".join(lines) + "\n"
