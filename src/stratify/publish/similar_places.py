"""Places alike in the people they have, and what changed at each: whom to ask how it went.

Worked out from published numbers alone, hidden and rounded as they are, so that it gives away no more than they do.
That a place is alike says nothing about why it does better or worse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from stratify.publish.context import PublishContext
from stratify.publish.places import named
from stratify.rollout import Switch
from stratify.store import Macro

NEAREST = 3
"""How many places are named beside each: a choice of ours."""
FEWEST_PLACES = 5
"""With fewer places of a kind, those named would be nearly all of them: a choice of ours."""
FEWEST_COMPARED = 0.5
"""Two places are compared where at least this share of the features is shown of both: a choice of ours."""

_MIX = ("age_band", "ethnic_group", "imd_quintile", "sex")
_PLACE = ["geography_type", "geography_code"]


def similar_places(
    population: pl.DataFrame, pathway_count: pl.DataFrame, context: PublishContext, places: pl.DataFrame
) -> pl.DataFrame:
    """Give contract ``out.similar_place`` without the columns of the run.

    A feature is a share of the people registered: of an age band, women, an ethnic group, a fifth of deprivation, or on
    a pathway. Each is divided by its standard deviation over the places of the kind; the distance of two places is the
    root of the mean square difference over the features shown of both.

    Args:
        population: Contract ``out.population``.
        pathway_count: Contract ``out.pathway_count``.
        context: The run: where a pathway is not switched on everywhere, nobody counted on it is no nought.
        places: What ``places_of`` gives.
    """
    shares = _shares(population, pathway_count, _off(context, places))
    enough = pl.col("geography_code").n_unique().over("geography_type") >= FEWEST_PLACES
    spread = pl.col("share").std(ddof=0).over("geography_type", "feature")
    scaled = (
        shares.filter(enough)
        .filter(spread > 0)
        .with_columns(pl.col("share") / spread, pl.col("feature").n_unique().over("geography_type").alias("features"))
        .sort(*_PLACE, "feature")
    )
    others = scaled.select(
        "geography_type",
        "feature",
        pl.col("geography_code").alias("other_code"),
        pl.col("geography_name").alias("other_name"),
        pl.col("share").alias("other_share"),
    )
    pairs = (
        scaled.join(others, on=["geography_type", "feature"], maintain_order="left_right")
        .filter(pl.col("geography_code") != pl.col("other_code"))
        .group_by(*_PLACE, "other_code", maintain_order=True)
        .agg(
            pl.col("geography_name", "other_name").first(),
            ((pl.col("share") - pl.col("other_share")) ** 2).mean().sqrt().round(2).alias("distance"),
            (pl.len() / pl.col("features").first()).alias("compared"),
        )
        .filter(pl.col("compared") >= FEWEST_COMPARED)
        .sort(*_PLACE, "distance", "other_code")
    )
    place = pl.int_range(1, pl.len() + 1).over(_PLACE).cast(pl.Float64)
    return pairs.with_columns(place.alias("nearness"), pl.col("compared").round(2)).filter(
        pl.col("nearness") <= NEAREST
    )


def place_changes(
    points: pl.DataFrame, metric_names: Mapping[str, str], context: PublishContext, places: pl.DataFrame
) -> pl.DataFrame:
    """Give contract ``out.place_change`` without the columns of the run.

    Args:
        points: Contract ``out.spc_point``.
        metric_names: What metrics are called, by id.
        context: The run: its roll-out, and the pathways that are published.
        places: What ``places_of`` gives.
    """
    rows = [row for switch in context.rollout for row in _switched(switch, context, places)]
    switched = pl.DataFrame(rows, schema=_CHANGE)
    again = points.filter(pl.col("starts_again_because").is_not_null()).select(
        *_PLACE,
        pl.col("month").alias("changed_date"),
        pl.lit("chart").alias("kind"),
        pl.concat_str(pl.col("metric").replace(dict(metric_names)), pl.lit(": "), "starts_again_because").alias("what"),
    )
    names = named(places).select(*_PLACE, "geography_name")
    return pl.concat([switched, again]).unique(maintain_order=True).join(names, on=_PLACE, how="left")


def _switched(switch: Switch, context: PublishContext, places: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Give what an entry of the roll-out has changed by the day of the run, at each place that it names."""
    if switch.pathway not in context.pathways:
        return
    label = context.pathways[switch.pathway].label
    replaced = context.pathways[switch.instead_of].label if switch.instead_of in context.pathways else None
    on = f"{label} is on" + (f", in place of {replaced}" if replaced else "")
    off = f"{label} is off again" + (f", and {replaced} on" if replaced else "")
    steps = [(switch.first_date, on), *([(switch.end_date, off)] if switch.end_date else [])]
    within = places.filter(pl.col("practice_code").is_in(switch.practices) | pl.col("pcn_code").is_in(switch.networks))
    networks = sorted(set(switch.networks) & set(places["pcn_code"]))
    for kind, codes in (("practice", sorted(within["practice_code"])), ("pcn", networks)):
        for code in codes:
            for day, what in steps:
                if day <= context.index_date:
                    yield {
                        "geography_type": kind, "geography_code": code, "changed_date": day, "kind": "roll-out",
                        "what": what,
                    }  # fmt: skip


_CHANGE: dict[str, type[pl.DataType]] = {
    "geography_type": pl.String,
    "geography_code": pl.String,
    "changed_date": pl.Date,
    "kind": pl.String,
    "what": pl.String,
}


def _off(context: PublishContext, places: pl.DataFrame) -> pl.DataFrame:
    """Give ``feature`` and ``geography_code`` where a pathway is off, a network with one such practice too."""
    off = pl.DataFrame(
        sorted(each for each in context.off if each[1]), schema={"feature": pl.String, "code": pl.String}, orient="row"
    ).with_columns(pl.concat_str(pl.lit("on "), "feature").alias("feature"))
    of = off.join(places, left_on="code", right_on="practice_code")
    return pl.concat(
        [off.rename({"code": "geography_code"}), of.select("feature", pl.col("pcn_code").alias("geography_code"))]
    ).unique(maintain_order=True)


def _shares(population: pl.DataFrame, pathway_count: pl.DataFrame, off: pl.DataFrame) -> pl.DataFrame:
    """Give ``share`` of each place and feature that is shown; a row that the tables lack is a nought."""
    everybody = (pl.col("breakdown") == "all") & (pl.col("geography_type") != "icb")
    whole = population.filter(everybody & (pl.col("people_count") > 0)).select(
        *_PLACE, "geography_name", pl.col("people_count").alias("whole")
    )
    # Those not known are not of one kind, and the share of men says nothing that the share of women does not.
    said = pl.col("breakdown").is_in(_MIX) & ~pl.col("breakdown_value").is_in(["not known", "M"])
    mix = population.filter(said).select(
        *_PLACE, pl.concat_str("breakdown", pl.lit(" "), "breakdown_value").alias("feature"), _told(pl.lit(True))
    )
    on = pathway_count.filter(everybody & (pl.col("decision") == "all") & (pl.col("tier") == "all")).select(
        *_PLACE, pl.concat_str(pl.lit("on "), "pathway").alias("feature"), _told(pl.col("held") == "no")
    )
    told = pl.concat([mix, on])
    asked = whole.join(told.select("geography_type", "feature").unique(), on="geography_type")
    found = asked.join(told, on=[*_PLACE, "feature"], how="left").with_columns(pl.col("told").fill_null(0))
    found = found.filter(pl.col("told") != _HIDDEN).join(off, on=["geography_code", "feature"], how="anti")
    return found.select(*_PLACE, "geography_name", "feature", (pl.col("told") / pl.col("whole")).alias("share"))


_HIDDEN = -1


def _told(is_counted: pl.Expr) -> pl.Expr:
    """Give a count as published; one that is hidden or not counted is not the nought of an absent row."""
    return pl.when(is_counted).then("people_count").fill_null(_HIDDEN).alias("told")


PLACES_ALIKE = Macro(
    name="places_alike",
    parameters=("wanted", "place"),
    query="""WITH changed AS (
        SELECT geography_type, geography_code, string_agg(strftime(changed_date, '%d/%m/%Y') || ' ' || what, '; '
            ORDER BY changed_date, what) AS changes
        FROM place_change GROUP BY geography_type, geography_code
    )
    SELECT s.geography_code, s.geography_name, v.pathway, v.status, v.value, v.lower_95, v.upper_95, s.nearness,
        s.distance, s.other_code, s.other_name, o.value AS other_value, o.lower_95 AS other_lower_95,
        o.upper_95 AS other_upper_95, coalesce(c.changes, 'nothing written down') AS other_changed
    FROM similar_place AS s
    JOIN metric_value AS v ON v.geography_type = s.geography_type AND v.geography_code = s.geography_code
    LEFT JOIN metric_value AS o ON o.geography_type = s.geography_type AND o.geography_code = s.other_code
        AND o.metric = v.metric AND o.pathway = v.pathway AND o.status = v.status AND o.breakdown = 'all'
    LEFT JOIN changed AS c ON c.geography_type = s.geography_type AND c.geography_code = s.other_code
    WHERE v.metric = wanted AND s.geography_type = lower(place) AND v.breakdown = 'all'
    ORDER BY s.geography_code, v.pathway, v.status, s.nearness""",
    about="The places most alike in the people they have, their value of a metric, and what changed there. Says whom "
    "to ask, and nothing about why.",
    example="SELECT * FROM places_alike('emergency_admissions', 'practice')",
)
"""A question of the commissioners' file."""
