"""A threshold that people settle together, in two rounds: forms out, answers in, what was settled and by how much.

The state of a panel is a folder of plain files: ``panel.yaml`` (what is asked of whom), ``round_1`` and ``round_2``
with ``forms`` and ``answers``, and at the end ``outcome.yaml``. The same answers give the same bytes. Round two shows
each panellist their own answer beside the others', without names. Who said what stays in ``answers``; the outcome names
nobody. Does not belong: what a form looks like (``publish``).
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from stratify import strict_yaml
from stratify.errors import SettingsError, combine
from stratify.publish import FORM_COLUMNS, FORM_MARK, FormQuestion, read_form, write_form
from stratify.rules.agreement import Agreement
from stratify.rules.strict import Strict

ROUNDS = (1, 2)
M = TypeVar("M", bound=BaseModel)


class Question(Strict):
    """One threshold that is asked for: a number on a scale."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    text: str = Field(min_length=1)
    threshold: str = Field(min_length=1)
    unit: str
    least: float
    most: float
    step: float = Field(gt=0)
    evidence: str = ""
    agreed_when_quartiles_within: float = Field(ge=0)

    @model_validator(mode="after")
    def _sound(self) -> Question:
        if self.least >= self.most or self.on_scale(self.most) != self.most:
            raise ValueError("least is below most, and most is a whole number of steps above it")
        return self

    def on_scale(self, value: float) -> float:
        """Give the nearest number of the scale; of two as near, the lower."""
        steps = math.ceil((value - self.least) / self.step - 0.5 - 1e-9)
        return round(self.least + steps * self.step, 9)


class Panel(Strict):
    """What is asked, and of whom; a panellist is a short name that stands on no outcome."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    opened: date
    panellists: tuple[str, ...] = Field(min_length=3)
    questions: tuple[Question, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sound(self) -> Panel:
        for name, given in (("panellist", self.panellists), ("question", [each.id for each in self.questions])):
            if len(set(given)) != len(given):
                raise ValueError(f"a {name} is named twice")
        if any(not each.replace("_", "").replace("-", "").isalnum() for each in self.panellists):
            raise ValueError("a panellist is named in letters, digits, - and _: it is the name of a file")
        return self


class Answer(Strict):
    """What one panellist says to one question."""

    question: str
    lowest: float
    best: float
    highest: float
    reason: str = Field(min_length=1)


class Answers(Strict):
    """A filled-in form."""

    panellist: str
    answers: tuple[Answer, ...]


def open_round(folder: Path, questions: Path | None = None, *, as_csv: bool = False) -> list[Path]:
    """Make the forms of the next round: the first from a file of questions, the second from the answers to the first.

    Raises:
        SettingsError: the questions are not fit, the panel is open already, or fewer than three have answered.
    """
    if questions:
        panel = _read(Panel, questions)
        if (folder / "panel.yaml").exists() and _read(Panel, folder / "panel.yaml") != panel:
            raise _fault(folder, "a folder of its own for each panel", "another panel in it", "Name a new folder.")
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "panel.yaml", panel.model_dump(mode="json"))
        return [_form(folder, panel, name, 1, as_csv=as_csv) for name in panel.panellists]
    panel = _panel(folder)
    first = _answers(folder, panel, 1)
    if len(first) < 3:
        raise _fault(
            folder, "three or more answers to round one", f"{len(first)}", "Take in more before round two is opened."
        )
    return [_form(folder, panel, each, 2, as_csv=as_csv, first=first) for each in first]


def take_answer(folder: Path, form: Path) -> str:
    """Check a filled-in form cell by cell and keep it; a later form of the same panellist and round replaces it.

    Returns:
        Whose form of which round it was, and how many answers are in now.

    Raises:
        SettingsError: every cell that is not fit, with what to write there.
    """
    panel = _panel(folder)
    rows = _rows(form)
    round_number, panellist = _whose(panel, form, rows)
    last = 2 if any((folder / "round_2" / "forms").glob("*")) else 1
    if round_number != last:
        raise _fault(form, f"a form of round {last}", f"one of round {round_number}", "Fill in the latest form.")
    start = next((at for at, row in enumerate(rows) if [str(each) for each in row[:1]] == [FORM_COLUMNS[0]]), None)
    if start is None:
        raise _fault(form, "the heading row of the form", "none", "Leave the headings as they are.")
    place = {str(heading).strip(): column for column, heading in enumerate(rows[start])}
    missing = [heading for heading in FORM_COLUMNS if heading not in place]
    if missing:
        raise _fault(form, "every column of the form", f"none named {', '.join(missing)}", "Leave the headings.")
    faults: list[SettingsError] = []
    found: dict[str, Answer] = {}
    known = {each.id: each for each in panel.questions}
    for at, row in enumerate(rows[start + 1 :], start + 2):
        cells = {name: row[column] if column < len(row) else "" for name, column in place.items()}
        question = known.get(str(cells[FORM_COLUMNS[0]]).strip())
        if question is None:
            continue
        answer = _checked(question, cells, {name: f"{_letter(column)}{at}" for name, column in place.items()}, faults)
        if answer:
            found[question.id] = answer
    unanswered = [name for name in known if name not in found and not faults]
    if unanswered:
        faults.append(_fault(form, "an answer to every question", f"none to {', '.join(unanswered)}", "Fill them in."))
    if faults:
        raise combine(list(faults))
    kept = Answers(panellist=panellist, answers=tuple(found[each.id] for each in panel.questions))
    _write(folder / f"round_{round_number}" / "answers" / f"{panellist}.yaml", kept.model_dump(mode="json"))
    count = len(_answers(folder, panel, round_number))
    asked = len(panel.panellists) if round_number == 1 else len(_answers(folder, panel, 1))
    return f"Round {round_number}: {panellist}'s answers are kept; {count} of {asked} are in."


def close(folder: Path, *, on: date) -> tuple[Path, tuple[Agreement, ...]]:
    """Settle the panel: the median of each threshold, its spread, and who could not live with it, in their words.

    Whoever answered round one and not round two is taken at the answer to round one.

    Returns:
        The file ``outcome.yaml``, whose ``agreed`` a score's or pathway's definition carries, and what it says.

    Raises:
        SettingsError: no form of round two was answered.
    """
    panel = _panel(folder)
    first, second = _answers(folder, panel, 1), _answers(folder, panel, 2)
    if not second:
        raise _fault(folder, "answers to round two", "none", "Open round two, and take its forms in.")
    last = first | second
    settled: list[dict[str, Any]] = []
    for question in panel.questions:
        before = _spread([each[question.id].best for each in first.values()])
        now = [each[question.id] for each in last.values()]
        spread = _spread([each.best for each in now])
        value = question.on_scale(spread["median"])
        dissent = [each for each in now if not each.lowest <= value <= each.highest]
        settled.append(
            {
                "threshold": question.threshold,
                "value": value,
                "unit": question.unit,
                "panel": panel.id,
                "closed": on.isoformat(),
                "panellists": len(now),
                **spread,
                "is_agreed": spread["upper_quartile"] - spread["lower_quartile"]
                <= question.agreed_when_quartiles_within + 1e-9,
                "dissent": len(dissent),
                "dissent_reasons": sorted(each.reason for each in dissent),
                "round_1": before,
                "question": question.id,
            }
        )
    said = {"panel": panel.model_dump(mode="json", exclude={"panellists"}), "settled": settled}
    policy = hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    carried = [
        {name: value for name, value in each.items() if name not in ("round_1", "question")} | {"policy_hash": policy}
        for each in settled
    ]
    agreed = tuple(Agreement.model_validate(each) for each in carried)
    spreads = {each["question"]: {"round_1": each["round_1"], "round_2": _only_spread(each)} for each in settled}
    outcome = {"panel": panel.id, "title": panel.title, "policy_hash": policy, "spreads": spreads, "agreed": carried}
    _write(folder / "outcome.yaml", outcome)
    return folder / "outcome.yaml", agreed


def in_words(agreed: Sequence[Agreement]) -> str:
    """Say what was settled, a line each."""
    lines = []
    for each in agreed:
        how = "agreed" if each.is_agreed else "NOT agreed: the answers are still too far apart"
        lines.append(
            f"{each.threshold}: {each.value:g} {each.unit} (median {each.median:g}, middle half "
            f"{each.lower_quartile:g} to {each.upper_quartile:g}, {each.panellists} panellists, "
            f"{each.dissent} could not live with it): {how}"
        )
    return "\n".join([*lines, f"Policy {agreed[0].policy_hash}"])


# ---------------------------------------------------------------------------------------------------- forms and answers


def _form(
    folder: Path,
    panel: Panel,
    panellist: str,
    number: int,
    *,
    as_csv: bool,
    first: Mapping[str, Mapping[str, Answer]] | None = None,
) -> Path:
    rows = []
    for question in panel.questions:
        own: tuple[float, float, float] | None = None
        spread: dict[str, float] | None = None
        reasons: tuple[str, ...] = ()
        if first:
            mine = first[panellist][question.id]
            own = (mine.lowest, mine.best, mine.highest)
            others = [each[question.id] for name, each in first.items() if name != panellist]
            spread = _spread([each.best for each in others])
            reasons = tuple(sorted(each.reason for each in others))  # by their words: no order of people
        rows.append(
            FormQuestion(
                id=question.id,
                text=question.text,
                unit=question.unit,
                least=question.least,
                most=question.most,
                step=question.step,
                evidence=question.evidence,
                own=own,
                others=spread,
                reasons=reasons,
            )
        )
    path = folder / f"round_{number}" / "forms" / f"{panellist}.{'csv' if as_csv else 'xlsx'}"
    write_form(
        path, rows, title=panel.title, mark=_mark(panel, number, panellist), made=panel.opened, round_number=number
    )
    return path


def _mark(panel: Panel, number: int, panellist: str) -> str:
    return f"{FORM_MARK} {panel.id} / {number} / {panellist}"


def _whose(panel: Panel, form: Path, rows: Sequence[Sequence[Any]]) -> tuple[int, str]:
    marks = {_mark(panel, number, name): (number, name) for number in ROUNDS for name in panel.panellists}
    found = [marks[str(cell).strip()] for row in rows for cell in row if str(cell).strip() in marks]
    if len(found) != 1:
        raise _fault(
            form, "a form of this panel, with the line that says whose it is", "none", "Use the form sent out."
        )
    return found[0]


def _rows(form: Path) -> list[list[Any]]:
    if not form.is_file():
        raise _fault(form, "a filled-in form", "no file of that name", "Correct the path.")
    rows = read_form(form)
    if rows is None:
        raise _fault(form, "a workbook, or CSV in UTF-8", "a file that cannot be read as one", "Save it as .xlsx.")
    return rows


def _checked(
    question: Question, cells: Mapping[str, Any], places: Mapping[str, str], faults: list[SettingsError]
) -> Answer | None:
    """Check the cells of one question; what is wrong goes to the faults, with the cell and what to write."""
    numbers: dict[str, float] = {}
    scale = f"a number from {question.least:g} to {question.most:g} in steps of {question.step:g}"
    before = len(faults)
    for key, heading in (("lowest", FORM_COLUMNS[-4]), ("best", FORM_COLUMNS[-3]), ("highest", FORM_COLUMNS[-2])):
        cell, where = cells[heading], f"cell {places[heading]}, {heading} of {question.id}"
        text = str(cell).strip().replace(",", ".")
        try:
            value = float(text)
        except ValueError:
            found = "nothing" if not text else "text"
            faults.append(SettingsError(where, expected=scale, found=found, action="Choose a number."))
            continue
        if not question.least <= value <= question.most or abs(question.on_scale(value) - value) > 1e-9:
            faults.append(SettingsError(where, expected=scale, found="another number", action="Choose one of them."))
            continue
        numbers[key] = value
    reason, heading = str(cells[FORM_COLUMNS[-1]]).strip(), FORM_COLUMNS[-1]
    if not reason:
        where = f"cell {places[heading]}, {heading} of {question.id}"
        faults.append(SettingsError(where, expected="a reason in words", found="nothing", action="Give a reason."))
    if len(numbers) == 3 and not numbers["lowest"] <= numbers["best"] <= numbers["highest"]:
        faults.append(
            SettingsError(
                f"cells {places[FORM_COLUMNS[-4]]} to {places[FORM_COLUMNS[-2]]}, {question.id}",
                expected="lowest, best and highest in rising order",
                found="another order",
                action="Put them in order.",
            )
        )
    if len(faults) > before:
        return None
    return Answer(question=question.id, reason=reason, **numbers)


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Give the median and the quartiles of two or more answers."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "lower_quartile": low, "upper_quartile": high}


def _only_spread(settled: Mapping[str, Any]) -> dict[str, float]:
    return {name: settled[name] for name in ("median", "lower_quartile", "upper_quartile")}


def _panel(folder: Path) -> Panel:
    if not (folder / "panel.yaml").is_file():
        raise _fault(folder, "a panel that was opened", "none", "Open it with a file of questions.")
    return _read(Panel, folder / "panel.yaml")


def _answers(folder: Path, panel: Panel, number: int) -> dict[str, dict[str, Answer]]:
    """Give the answers of a round that are in, in the panel's own order."""
    found = {}
    for name in panel.panellists:
        path = folder / f"round_{number}" / "answers" / f"{name}.yaml"
        if path.is_file():
            found[name] = {each.question: each for each in _read(Answers, path).answers}
    return found


def _read(model: type[M], path: Path) -> M:
    if not path.is_file():
        raise _fault(path, "a file", "none of that name", "Correct the path.")
    try:
        return model.model_validate(strict_yaml.load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as fault:
        raise _fault(path, "YAML", strict_yaml.fault_in_words(fault), "See docs/whatif.md.") from None
    except ValidationError as fault:
        details = "; ".join(
            f"{'.'.join(str(part) for part in each['loc'])} {each['msg'].removeprefix('Value error, ')}".strip()
            for each in fault.errors(include_input=False, include_url=False)
        )
        raise _fault(path, "what docs/whatif.md says of a panel", details, "Correct it.") from None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=110)
    path.write_text(text, encoding="utf-8", newline="")


def _letter(column: int) -> str:
    return chr(ord("A") + column) if column < 26 else f"A{chr(ord('A') + column - 26)}"


def _fault(path: Path, expected: str, found: str, action: str) -> SettingsError:
    return SettingsError(path.name, expected=expected, found=found, action=action)
