"""Explains a decision to the person it is about: what the record says in words for anybody, and what is missing.

Made from the same facts as the professional reasons and never written by hand; the words are data
(``clinical/wording/plain_words.yaml``). No score, no tier, no value.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from stratify.rules.wording import PlainWords

MOST_SAID = 3
"""Facts said to the person: a letter is no record."""
_NO_WORDS = PlainWords(version="0", otherwise="your health record shows that a check-up may help you", words={})


def explanations(
    decisions: pl.DataFrame,
    reasons: pl.DataFrame,
    values: pl.DataFrame,
    changes: pl.DataFrame,
    plain: PlainWords | None,
) -> pl.DataFrame:
    """Put each decision into words for the person, beside the smallest change that would lead elsewhere.

    A fact is said when it is known and so: a measurement that is too old, or contradicts another, is not.

    Args:
        decisions: Contract ``derived.pathway_decision``, for the people to be shown.
        reasons: Contract ``derived.reason``, for the same people.
        values: Contract ``derived.variable_value``, for the same people.
        changes: What ``smallest_change.smallest_changes`` gives for them.
        plain: The words; without them every reason is the general one.

    Returns:
        Contract ``derived.explanation``, one row for each decision but exclusions.
    """
    plain = plain or _NO_WORDS
    known = values.filter((pl.col("state") == "known") & (pl.col("value") != 0))
    held = reasons.join(known.select("patient_key", "variable"), on=["patient_key", "variable"], how="semi")
    facts: dict[tuple[str, str], list[str]] = {}
    for key, pathway, variable in (
        held.sort("patient_key", "pathway", "position").select("patient_key", "pathway", "variable").iter_rows()
    ):
        facts.setdefault((key, pathway), []).append(variable)
    rows = []
    asked = decisions.filter(pl.col("decision") != "excluded").sort("patient_key", "pathway")
    for key, pathway, missing in asked.select("patient_key", "pathway", "missing_variables").iter_rows():
        said = _each_once(plain.words.get(name) for name in facts.get((key, pathway), []))
        asks = _each_once(plain.asks.get(name) for name in (missing or "").split(";"))
        rows.append((key, pathway, sentences(said[:MOST_SAID] or [plain.otherwise]), _asking(asks, missing)))
    found = pl.DataFrame(
        rows,
        schema={"patient_key": pl.String, "pathway": pl.String, "plain_reason": pl.String, "plain_missing": pl.String},
        orient="row",
    )
    return found.join(changes, on=["patient_key", "pathway"], how="left", maintain_order="left")


def _each_once(words: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(each for each in words if each))


def sentences(facts: list[str]) -> str:
    """Write facts as sentences, one a line: ``You have had a fall.``"""
    return "\n".join(f"{each[:1].upper()}{each[1:]}." for each in facts)


def _asking(asks: list[str], missing: str | None) -> str | None:
    if not missing:
        return None
    return f"We would like to check {' and '.join(asks)}." if asks else "We would like to check a few things with you."
