"""The places that counts for commissioners are of: practices, their networks and boards, on the index date."""

from __future__ import annotations

import polars as pl

from stratify.publish.context import PublishContext
from stratify.store import Store

KINDS = {"practice": "practice_code", "pcn": "pcn_code", "icb": "icb_code"}
"""Kinds of place, and the column of :func:`places_of` with the code of each."""

# One row per practice, with what it belonged to on the index date: the membership then current, or else the last one
# before, or else the first. A network counts to one board only, the first by code, so that its total adds up.
_PLACES = """
WITH practice AS (
    SELECT practice_code, practice_name, pcn_code, pcn_name, icb_code,
    FROM core.practice
    QUALIFY row_number() OVER (
        PARTITION BY practice_code
        ORDER BY valid_from <= $day AND coalesce($day < valid_to, true) DESC, valid_from <= $day DESC, valid_from DESC
    ) = 1
), network AS (
    SELECT pcn_code, min(pcn_name) AS pcn_name, min(icb_code) AS icb_code FROM practice GROUP BY pcn_code
)
SELECT practice_code, practice_name, n.pcn_code, n.pcn_name, n.icb_code, coalesce(p.people, 0) AS list_size
FROM practice JOIN network AS n USING (pcn_code)
LEFT JOIN (
    SELECT practice_code, count(*) AS people FROM core.person WHERE person_status = 'registered' GROUP BY practice_code
) AS p USING (practice_code)
"""


def places_of(store: Store, context: PublishContext) -> pl.DataFrame:
    """Give a row per practice: code and name, those of its network and of its board, and its ``list_size``.

    The settings name one board; where practices are of several, none has a name.
    """
    places = store.frame(_PLACES.replace("$day", f"DATE '{context.index_date.isoformat()}'")).sort("practice_code")
    name = context.board_name if places["icb_code"].n_unique() == 1 else None
    return places.with_columns(pl.lit(name, pl.String).alias("icb_name"))


def named(places: pl.DataFrame) -> pl.DataFrame:
    """Give a row per place: ``geography_type``, code, name, the code above it, and of a practice its ``list_size``."""
    practices = places.select(
        pl.lit("practice").alias("geography_type"),
        pl.col("practice_code").alias("geography_code"),
        pl.col("practice_name").alias("geography_name"),
        "pcn_code",
        "list_size",
    )
    networks = places.unique("pcn_code").select(
        pl.lit("pcn").alias("geography_type"),
        pl.col("pcn_code").alias("geography_code"),
        pl.col("pcn_name").alias("geography_name"),
        "icb_code",
    )
    boards = places.unique("icb_code").select(
        pl.lit("icb").alias("geography_type"),
        pl.col("icb_code").alias("geography_code"),
        pl.col("icb_name").alias("geography_name"),
    )
    return pl.concat([practices, networks, boards], how="diagonal_relaxed")


def held_marks(context: PublishContext, places: pl.DataFrame) -> pl.DataFrame:
    """Say which places lack practices whose lists are held on a pathway.

    Returns:
        ``pathway``, ``geography_type``, code, name and ``held``: ``all``, or ``part`` where some practices are.
    """
    marks = []
    for name in sorted({each.pathway for each in context.held}):
        where = {each.practice_code for each in context.held if each.pathway == name}
        lacking = (
            pl.lit(True) if None in where else pl.col("practice_code").is_in(sorted(each for each in where if each))
        )
        for kind, code in KINDS.items():
            label = pl.col(code.replace("_code", "_name")).first()
            marks.append(
                places.with_columns(lacking.alias("is_held"))
                .group_by(pl.col(code).alias("geography_code"))
                .agg(
                    pl.col("is_held").all().alias("is_all"),
                    pl.col("is_held").any().alias("is_any"),
                    label.alias("geography_name"),
                )
                .filter("is_any")
                .select(
                    pl.lit(name).alias("pathway"),
                    pl.lit(kind).alias("geography_type"),
                    "geography_code",
                    "geography_name",
                    pl.when("is_all").then(pl.lit("all")).otherwise(pl.lit("part")).alias("held"),
                )
            )
    columns = ("pathway", "geography_type", "geography_code", "geography_name", "held")
    return pl.concat(marks) if marks else pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
