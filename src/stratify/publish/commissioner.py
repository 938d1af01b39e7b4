"""Counts for commissioners: secondary use, nobody in them, disclosure control on every number.

Who is counted: people registered with a known practice on the index date who have not objected to being counted. Every
table is a full cube over its columns, so that whoever adds up gets the totals that are published; ``disclosure`` sees
to it that subtracting reveals nobody. Rates, comparisons and trends do not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stratify import contracts, disclosure
from stratify.contract_frames import empty
from stratify.cost_book import Costs
from stratify.errors import PrivacyError
from stratify.publish.about import NOT_GRADED, SMALLEST_PRACTICE, about_rows
from stratify.publish.cells import CELL, PLACE, SUMS
from stratify.publish.comparators import comparator_rows
from stratify.publish.comparisons import funnels, gradients
from stratify.publish.context import PublishContext
from stratify.publish.control_charts import control_charts, month_cells
from stratify.publish.costs import offer_costs, payer_activity
from stratify.publish.macros import MACROS
from stratify.publish.metric_tables import Counted, metric_definitions, metric_values
from stratify.publish.places import KINDS, held_marks, named, places_of
from stratify.publish.released import CELLS, WEEKS, hidden_because, release_weeks, released_cells
from stratify.publish.similar_places import place_changes, similar_places
from stratify.publish.sustainability import sustainability_rows
from stratify.publish.weeks_told import TABLE as METRIC_WEEK
from stratify.publish.weeks_told import weeks_told
from stratify.store import Store

TABLES = (
    "out.about",
    "out.comparator",
    "out.feedback_count",
    "out.full_clinic",
    "out.impact",
    "out.metric",
    "out.metric_funnel",
    "out.metric_gradient",
    "out.metric_value",
    "out.metric_week",
    "out.offer_cost",
    "out.pathway_count",
    "out.payer_activity",
    "out.place_change",
    "out.population",
    "out.release_week",
    "out.similar_place",
    "out.spc_chart",
    "out.spc_point",
    "out.sustainability",
)
"""The tables of the commissioners' file."""

_BREAKDOWNS = ("all", "imd_quintile", "ethnic_group", "age_band", "sex", "care_home")
"""``care_home`` is of networks and boards alone: a practice's residents are often those of a single home."""
_SAID = {"answer": pl.String, "entry_count": pl.Int64, "is_suppressed": pl.Boolean}
_OF_PATHWAYS = ("all", "imd_quintile")
"""Breakdowns of ``out.pathway_count``."""


def build_counts(
    store: Store,
    context: PublishContext,
    counted: Counted,
    *,
    signature: str,
    impact: pl.DataFrame | None = None,
    full: pl.DataFrame | None = None,
    earlier: Mapping[str, pl.DataFrame] | None = None,
    costs: Costs | None = None,
) -> None:
    """Make the tables of the commissioners' file in the run's store, all under one disclosure control.

    Args:
        store: The store of the run.
        context: What its outputs say of it.
        counted: Who is registered, and the metrics; exact.
        signature: Who signs the file, in words.
        impact: Contract ``out.impact``; None where nothing was evaluated.
        full: ``clinic_id``, ``serves`` and ``reason`` of clinics that take nobody in; None where there is none.
        earlier: Contracts ``out.metric_week`` and ``out.release_week``, as earlier weeks published them; None where
            nothing is kept.
        costs: What the site declares; none where None.

    Raises:
        PrivacyError: counts do not add up, so that what they reveal cannot be known, or a small number is left.
    """
    places = places_of(store, context)
    decisions = store.frame(
        f"SELECT patient_key, pathway, decision, coalesce(tier, '{NOT_GRADED}') AS tier FROM derived.pathway_decision"
    ).join(counted.people, on="patient_key", how="inner")
    published = decisions.filter(pl.col("pathway").is_in(sorted(context.pathways)) & ~_is_held(context))
    cells = _cube(pl.concat([counted.counts, _of_pathways(published)]), places)
    cells = cells.with_columns(pl.lit(None, pl.String).alias(name) for name in ("year_subject", "series"))
    months = month_cells(counted, places)
    if months is not None:
        cells = pl.concat([cells, months.select(cells.columns)])
    safe = _protected(cells, places)
    store.create(CELLS, released_cells(safe, context))
    names = named(places).select("geography_type", "geography_code", "geography_name")
    safe = safe.join(names, on=["geography_type", "geography_code"], how="left", maintain_order="left")
    run = [pl.lit(context.index_date).alias("index_date"), pl.lit(context.run_id).alias("run_id")]
    people = safe.filter((pl.col("subject") == "population") & (pl.col("tier") == "all")).with_columns(run)
    _keep(store, "out.population", people)
    versions = {each.id: each.version for each in context.pathways.values()}
    of_pathways = safe.filter(pl.col("subject").is_in(sorted(versions)) & pl.col("breakdown").is_in(_OF_PATHWAYS))
    pathways = of_pathways.with_columns(
        pl.col("subject").alias("pathway"),
        pl.col("subject").replace_strict(versions, return_dtype=pl.String).alias("pathway_version"),
        pl.col("part").alias("decision"),
        *run,
    )
    marked = _marked(pathways, context, places)
    _keep(store, "out.pathway_count", marked)
    _keep(store, "out.similar_place", similar_places(people, marked, context, places).with_columns(run))
    _keep(store, "out.impact", impact if impact is not None else empty("out.impact"))
    definitions = metric_definitions(counted)
    _keep(store, "out.metric", definitions)
    values = metric_values(safe, counted, held_marks(context, places)).with_columns(run)
    _keep(store, "out.metric_value", values)
    before = earlier or {}
    _keep(store, METRIC_WEEK, weeks_told(values, before.get(METRIC_WEEK), context.index_date))
    declared, in_words = costs or Costs(), {each.id: each.name for each in counted.metrics}
    _keep(store, "out.offer_cost", offer_costs(values, names, declared, in_words).with_columns(run))
    _keep(store, "out.payer_activity", payer_activity(values, names, declared, definitions).with_columns(run))
    boards = {row[kind]: row["icb_code"] for row in places.to_dicts() for kind in ("practice_code", "pcn_code")}
    told = full.filter(pl.col("serves").is_in(sorted(each for each in boards if each))) if full is not None else None
    _keep(store, "out.full_clinic", told.with_columns(run) if told is not None else empty("out.full_clinic"))
    scales = {each.metric: (each.is_share, each.per) for each in counted.rows}
    _keep(store, "out.metric_gradient", gradients(values, scales).with_columns(run))
    _keep(store, "out.metric_funnel", funnels(values, boards, scales).with_columns(run))
    _keep(store, "out.comparator", comparator_rows(context.comparators).with_columns(run))
    lasting = sustainability_rows(context.sustainability, context.pathways, context.index_date)
    _keep(store, "out.sustainability", lasting.with_columns(run))
    points, charts = control_charts(safe, counted)
    _keep(store, "out.spc_point", points.with_columns(run))
    _keep(store, "out.spc_chart", charts.with_columns(run))
    _keep(store, "out.place_change", place_changes(points, in_words, context, places).with_columns(run))
    tables = {
        "out.metric_value": values, "out.pathway_count": marked, "out.population": people, "out.spc_point": points
    }  # fmt: skip
    _keep(store, WEEKS, release_weeks(tables, before.get(WEEKS), context))
    said = counted.said if counted.said is not None else pl.DataFrame(schema=_SAID)
    _keep(store, "out.feedback_count", said.with_columns(run))
    rows = about_rows(context, not_counted=_not_counted(store), macros=MACROS, signature=signature)
    store.create("out.about", pl.DataFrame(rows, schema={"topic": pl.String, "detail": pl.String}, orient="row"))


def _keep(store: Store, name: str, frame: pl.DataFrame) -> None:
    contract = contracts.load(name)
    counts = [each.name for each in contract.columns if each.type == "BIGINT"]
    small = sum(frame[name].is_between(1, disclosure.LARGEST_HIDDEN).sum() for name in counts)
    if small:
        raise PrivacyError(
            name,
            expected="no count from 1 to 7",
            found=f"{small} rows with one",
            action="Nothing was published; correct disclosure control.",
        )
    store.create(name, frame.select(contract.column_names).sort(contract.key))


def _of_pathways(decisions: pl.DataFrame) -> pl.DataFrame:
    """Count people of each pathway by decision and tier, each value and all together."""
    groups = [name for name in _BREAKDOWNS if name != "all"]
    base = (
        decisions.group_by(
            pl.col("pathway").alias("subject"), pl.col("decision").alias("part"), "tier", "practice_code", *groups
        )
        .agg(pl.len().cast(pl.Int64).alias("people_count"))
        .with_columns(
            pl.col("people_count").alias("person_count"),
            *(pl.lit(None, pl.String).alias(name) for name in ("total_subject", "total_part", "ages_subject")),
        )
    )
    frames = [base]
    for name in ("part", "tier"):
        frames += [frame.with_columns(pl.lit("all").alias(name)) for frame in frames]
    return pl.concat(frames).select(
        "subject", "part", "tier", "practice_code", *groups, "total_subject", "total_part", "ages_subject",
        "people_count", "person_count",
    )  # fmt: skip


def _cube(counts: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Add exact counts up to each place and breakdown; tiers have the breakdowns of ``out.pathway_count`` alone."""
    placed = counts.join(places.select(*KINDS.values()), on="practice_code", how="inner")
    ages = pl.col("ages_subject")
    frames = [
        placed.filter((pl.col("tier") == "all") | pl.lit(breakdown in _OF_PATHWAYS))
        .filter(pl.lit(True) if breakdown == "all" else pl.col(breakdown).is_not_null())
        .with_columns(
            pl.lit(kind).alias("geography_type"),
            pl.col(code).alias("geography_code"),
            pl.lit(breakdown).alias("breakdown"),
            (pl.lit("all") if breakdown == "all" else pl.col(breakdown)).alias("breakdown_value"),
            (ages if breakdown == "age_band" else pl.lit(None, pl.String)).alias("ages_subject"),
        )
        .group_by("subject", "part", "tier", *PLACE)
        .agg(
            pl.col("people_count", "person_count").sum(),
            pl.col("total_subject", "total_part", "ages_subject").first(),
        )
        for kind, code in KINDS.items()
        for breakdown in _BREAKDOWNS
        if (kind, breakdown) != ("practice", "care_home")
    ]
    return pl.concat(frames)


def _is_held(context: PublishContext) -> pl.Expr:
    """Say whether a decision is of a list that is held."""
    held = pl.lit(False)
    for each in context.held:
        here = pl.lit(True) if each.practice_code is None else pl.col("practice_code") == each.practice_code
        held = held | ((pl.col("pathway") == each.pathway) & here)
    return held


def _marked(counts: pl.DataFrame, context: PublishContext, places: pl.DataFrame) -> pl.DataFrame:
    """Mark what is held: a row for every place that is not counted at all, and a word on counts that lack practices.

    Without it, a held pathway would read as one with nobody on it.
    """
    marks = held_marks(context, places)
    place = ["pathway", "geography_type", "geography_code"]
    known = counts.join(marks.select(*place, "held"), on=place, how="left", maintain_order="left")
    known = known.with_columns(pl.col("held").fill_null("no"))
    versions = {each.id: each.version for each in context.pathways.values()}
    absent = marks.join(counts, on=place, how="anti").select(
        "pathway",
        pl.col("pathway").replace_strict(versions, return_dtype=pl.String).alias("pathway_version"),
        *(pl.lit("all").alias(name) for name in ("decision", "tier", "breakdown", "breakdown_value")),
        "geography_type",
        "geography_code",
        "geography_name",
        pl.when(pl.col("held") == "part").then(pl.lit(0, pl.Int64)).alias("people_count"),
        pl.lit(False).alias("is_suppressed"),
        pl.lit(context.index_date).alias("index_date"),
        pl.lit(context.run_id).alias("run_id"),
        "held",
    )
    return pl.concat([known.select(absent.columns), absent])


def _protected(cells: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Put all cells under disclosure control at once, so that no table gives away what another one hides."""
    above = named(places).drop("geography_name")
    placed = cells.join(above, on=["geography_type", "geography_code"], how="left").sort(CELL)
    is_small = (
        (pl.col("geography_type") == "practice")
        & (pl.col("breakdown") != "all")
        & (pl.col("list_size") < SMALLEST_PRACTICE)
    ).fill_null(False)
    # Ten admissions of two people are a small number too.
    is_of_few = pl.col("person_count") <= disclosure.LARGEST_HIDDEN
    together = ("series", "geography_type", "geography_code")
    hide = is_small | is_of_few
    safe = disclosure.protect(placed, count="people_count", key=CELL, sums=SUMS, hide=hide, together=together)
    exact = pl.lit(placed["people_count"])
    return safe.with_columns(hidden_because(exact, is_of_few=is_of_few, is_small_practice=is_small))


def _not_counted(store: Store) -> list[tuple[str, int]]:
    """Give why people of the run are not counted, and how many: by objection, then by registration."""
    objections = store.rows(
        "SELECT reason, people_count FROM audit.withheld WHERE surface = 'secondary_use' ORDER BY reason"
    )
    unregistered, unknown = store.rows(
        "SELECT count(*) FILTER (WHERE person_status NOT IN ('registered', 'practice_unknown')), "
        "count(*) FILTER (WHERE person_status IN ('registered', 'practice_unknown') AND p.practice_code IS NULL) "
        "FROM core.person AS c LEFT JOIN (SELECT DISTINCT practice_code FROM core.practice) AS p USING (practice_code) "
        "WHERE may_be_counted"
    )[0]
    if not objections:
        objected = store.scalar("SELECT count(*) FROM core.person WHERE NOT may_be_counted")
        objections = [("objection to being counted (Type 1, national or local)", objected)]
    return [
        *((str(reason), int(number)) for reason, number in objections),
        ("not registered on the index date", int(unregistered)),
        ("registered with a practice that the practice reference does not hold", int(unknown)),
    ]
