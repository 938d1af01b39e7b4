"""Self-assessments of pathways as a table of the commissioners' file, and beside them how far the pathways are used.

A score comes of recorded answers and of nothing else; usage is what the file of each week published.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from typing import Any

import polars as pl

from stratify.store import Macro
from stratify.sustainability import FACTORS, LEVELS, LOW, FactorAnswer

_SCHEMA = {
    "pathway": pl.String, "assessed_date": pl.Date, "factor": pl.String, "part": pl.String,
    "name": pl.String, "level": pl.String, "answered_date": pl.Date, "is_low": pl.Boolean, "action": pl.String,
    "score": pl.Float64,
}  # fmt: skip


def sustainability_rows(answers: Sequence[FactorAnswer], pathways: Collection[str], index_date: date) -> pl.DataFrame:
    """Give contract ``out.sustainability`` without the columns of the run: the ten factors on each day of an answer.

    A factor stands as it was last answered on or before the day. The score is the levels added up (``d`` 0 to ``a`` 3)
    as a share of the most there could be, and empty until all ten are answered.

    Args:
        answers: What teams answered, by day.
        pathways: Pathways that are published; answers of others are left out.
        index_date: The day the run describes; later answers are left out.
    """
    said = [each for each in answers if each.pathway in pathways and each.answered_date <= index_date]
    days = sorted({(each.pathway, each.answered_date) for each in said})
    return pl.DataFrame([row for pathway, day in days for row in _on_day(pathway, day, said)], schema=_SCHEMA)


def _on_day(pathway: str, day: date, said: Sequence[FactorAnswer]) -> Iterator[dict[str, Any]]:
    before = sorted((each for each in said if each.pathway == pathway and each.answered_date <= day), key=_day)
    known = {each.factor: each for each in before}
    points = sum(LEVELS.index(each.level) for each in known.values())
    score = round(100 * points / (len(FACTORS) * (len(LEVELS) - 1)), 1) if len(known) == len(FACTORS) else None
    for factor, what in FACTORS.items():
        answer = known.get(factor)
        is_low = answer is not None and answer.level in LOW
        yield {
            "pathway": pathway, "assessed_date": day, "factor": factor, "part": what.part, "name": what.name,
            "level": answer.level if answer else None, "answered_date": answer.answered_date if answer else None,
            "is_low": is_low, "action": f"{what.name} is low. {what.action}" if is_low else None, "score": score,
        }  # fmt: skip


def _day(answer: FactorAnswer) -> date:
    return answer.answered_date


SUSTAINED = Macro(
    name="sustained",
    parameters=("place",),
    query="""WITH used AS (
        SELECT pathway, geography_code, week, max(value) FILTER (metric = 'lists_answered') AS lists_answered,
            max(value) FILTER (metric = 'places_given') AS places_given
        FROM metric_week WHERE geography_type = lower(place) AND metric IN ('lists_answered', 'places_given')
        GROUP BY pathway, geography_code, week
    ), said AS (
        SELECT pathway, assessed_date, max(score) AS score,
            string_agg(name, '; ' ORDER BY name) FILTER (is_low) AS low_factors
        FROM sustainability GROUP BY pathway, assessed_date
    )
    SELECT u.geography_code, u.pathway, u.week, s.assessed_date, s.score, s.low_factors, u.lists_answered,
        u.places_given
    FROM used AS u ASOF LEFT JOIN said AS s ON u.pathway = s.pathway AND u.week >= s.assessed_date
    ORDER BY u.geography_code, u.pathway, u.week""",
    about="Week by week, how a team judged whether its pathway will last, beside how far it is used (per cent).",
    example="SELECT * FROM sustained('ICB')",
)
"""A question of the commissioners' file."""
