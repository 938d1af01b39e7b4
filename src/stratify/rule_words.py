"""Words and figures of rules: numbers, edges, labels, tables. What they are put together to is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stratify.rulebook import RuleBook
from stratify.rules import PERSON_FIELDS, Band, Condition, Tier

STATUS_WORDS = {
    "two_sources": "two sources agree",
    "one_source": "one source only",
    "inferred": "worked out in part: to be confirmed by a clinician",
}
"""How well a definition or codelist is supported."""

EDGE_WORDS = {"above": "above", "at_least": "at least", "below": "below", "at_most": "at most"}
PERSON_LABELS = {
    "age_years": "Age",
    "months_registered": "Time registered with the practice",
    "is_female": "Female",
    "is_male": "Male",
    "imd_decile": "Deprivation of the area (decile of the index of multiple deprivation, 1 the most deprived)",
}
_PERSON_UNITS = {"age_years": "years", "months_registered": "months"}
UNSPOKEN_UNITS = ("grade", "score", "ratio")


def figure(value: float) -> str:
    """Write a number of a rule in full: no rounding, no trailing noughts."""
    return f"{value:.10g}"


def plus(value: float) -> str:
    """Write what is added: ``plus 3``, ``less 3``."""
    return f"plus {figure(value)}" if value >= 0 else f"less {figure(-value)}"


def plural(count: int, word: str) -> str:
    """Write a count with its word in the right number."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def label_of(name: str, book: RuleBook) -> str:
    """Give the label of a variable, a person field or a score."""
    if name in book.scores:
        return book.scores[name].label
    return PERSON_LABELS.get(name) or book.variables[name].label


def unit_of(name: str, book: RuleBook) -> str:
    """Give the unit that is said after a number; nothing where it goes without saying."""
    if name in PERSON_FIELDS:
        return _PERSON_UNITS.get(name, "")
    if name in book.scores:
        return book.scores[name].unit or ""
    unit = book.variables[name].unit or ("points" if book.variables[name].take == "weight" else "")
    return "" if unit in UNSPOKEN_UNITS else unit


def edges_in_words(edged: Condition | Tier | Band, unit: str) -> str:
    """Say the edges of a comparison, a tier or a band, for example ``at least 30 and below 50 %``."""
    if isinstance(edged, Condition) and edged.is_true:
        return "yes"
    if isinstance(edged, Condition) and edged.is_missing:
        return "not known"
    if edged.at_least is not None and edged.at_least == edged.at_most:
        text = f"exactly {figure(edged.at_least)}"
    else:
        found = [
            (words, getattr(edged, name)) for name, words in EDGE_WORDS.items() if getattr(edged, name) is not None
        ]
        text = " and ".join(f"{words} {figure(value)}" for words, value in found)
    return f"{text} {unit}" if unit else text


def codes_in_words(name: str, book: RuleBook) -> str:
    """Name a codelist by its label and id."""
    return f'"{book.codelists[name].entry.label}" (`{name}`)'


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(each) for each in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def anchor(kind: str, name: str) -> str:
    """Write the place a link leads to."""
    return f'<a id="{kind}-{name}"></a>\n'


def items(pairs: Iterable[tuple[str, str | None]]) -> str:
    """Write titled items, leaving out those without text."""
    return "".join(f"- **{title}**: {' '.join(text.split())}\n" for title, text in pairs if text)
