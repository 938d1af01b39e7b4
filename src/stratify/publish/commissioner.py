"""Counts for commissioners: secondary use, nobody in them, disclosure control on every number.

Who is counted: people registered with a known practice on the index date who have not objected to being counted. Every
table is a full cube over its columns, so that whoever adds up gets the totals that are published; ``disclosure`` sees
to it that subtracting reveals nobody. Rates, comparisons and trends do not belong here.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stratify import contracts, disclosure, periods
from stratify.disclosure import Sum
from stratify.errors import PrivacyError
from stratify.publish.about import NOT_GRADED, SMALLEST_PRACTICE, UNKNOWN, about_rows
from stratify.publish.context import PublishContext
from stratify.store import Store, build_file

TABLES = ("out.about", "out.pathway_count", "out.population")
"""The tables of the commissioners' file."""

# People of a practice outside the reference belong to no network: they are not counted at all, since a handful of them
# would have to be hidden, and with them the totals of whole networks.
_COUNTED = "may_be_counted AND person_status = 'registered'"

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

_PEOPLE = f"""
SELECT patient_key, practice_code,
    coalesce(CAST(CAST(ceil(imd_decile / 2) AS BIGINT) AS VARCHAR), '{UNKNOWN}') AS imd_quintile
FROM core.person WHERE {_COUNTED}
"""

_SUMS_OF_PLACES = (
    Sum(
        "practices of a network",
        pl.col("geography_type") == "practice",
        {"geography_type": pl.lit("pcn"), "geography_code": pl.col("pcn_code")},
    ),
    Sum(
        "networks of a board",
        pl.col("geography_type") == "pcn",
        {"geography_type": pl.lit("icb"), "geography_code": pl.col("icb_code")},
    ),
    Sum(
        "values of a breakdown",
        pl.col("breakdown") != "all",
        {"breakdown": pl.lit("all"), "breakdown_value": pl.lit("all")},
        within=("breakdown",),
    ),
)
_SUMS_OF_PATHWAYS = (
    *_SUMS_OF_PLACES,
    Sum("decisions", pl.col("decision") != "all", {"decision": pl.lit("all")}),
    Sum("tiers", pl.col("tier") != "all", {"tier": pl.lit("all")}),
)


def build_counts(store: Store, context: PublishContext) -> None:
    """Make ``out.pathway_count``, ``out.population`` and ``out.about`` in the run's store.

    Raises:
        PrivacyError: counts do not add up, so that what they reveal cannot be known, or a small number is left.
    """
    places = store.frame(_PLACES.replace("$day", f"DATE '{context.index_date.isoformat()}'")).sort("practice_code")
    people = store.frame(_PEOPLE).join(places, on="practice_code", how="inner")
    decisions = store.frame(
        "SELECT patient_key, pathway, pathway_version, decision, "
        f"coalesce(tier, '{NOT_GRADED}') AS tier FROM derived.pathway_decision"
    ).join(people, on="patient_key", how="inner")
    decisions = decisions.filter(pl.col("pathway").is_in(sorted(context.pathways)))
    population = _protected(context, "out.population", _cube(people), _SUMS_OF_PLACES, places)
    store.create("out.population", population)
    published = decisions.filter(~_is_held(context))
    counted = _cube(published, by=("pathway", "pathway_version"), alls=("decision", "tier"))
    safe = _protected(context, "out.pathway_count", counted, _SUMS_OF_PATHWAYS, places)
    store.create("out.pathway_count", _marked(safe, context, places))
    rows = about_rows(context, not_counted=_not_counted(store))
    store.create("out.about", pl.DataFrame(rows, schema={"topic": pl.String, "detail": pl.String}, orient="row"))


def write_commissioner_file(store: Store, path: Path, context: PublishContext) -> None:
    """Write the commissioners' DuckDB file of the tables ``build_counts`` made; it must not exist yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stamp = "TEST: invented patients, not for use. " if context.is_test else ""
    note = f"{stamp}Run {context.run_id}, index date {periods.in_words(context.index_date)}; read the table about."
    build_file(store, path, TABLES, note=note)


def _cube(people: pl.DataFrame, *, by: tuple[str, ...] = (), alls: tuple[str, ...] = ()) -> pl.DataFrame:
    """Count people for each place and breakdown and, for every column in ``alls``, each value and all together."""
    places = {"practice": "practice_code", "pcn": "pcn_code", "icb": "icb_code"}
    keys = [*by, *alls, "geography_type", "geography_code", "breakdown", "breakdown_value"]
    base = people.group_by(*by, *alls, *places.values(), "imd_quintile").agg(pl.len().cast(pl.Int64).alias("people"))
    frames = [
        base.with_columns(
            pl.lit(kind).alias("geography_type"),
            pl.col(code).alias("geography_code"),
            pl.lit(breakdown).alias("breakdown"),
            value.alias("breakdown_value"),
        )
        for kind, code in places.items()
        for breakdown, value in (("all", pl.lit("all")), ("imd_quintile", pl.col("imd_quintile")))
    ]
    for name in alls:
        frames += [frame.with_columns(pl.lit("all").alias(name)) for frame in frames]
    return pl.concat(frames).group_by(keys).agg(pl.col("people").sum().alias("people_count")).sort(keys)


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
    kinds = {"practice": "practice_code", "pcn": "pcn_code", "icb": "icb_code"}
    marks = []
    for name in sorted({each.pathway for each in context.held}):
        where = {each.practice_code for each in context.held if each.pathway == name}
        lacking = pl.lit(True) if None in where else pl.col("practice_code").is_in(sorted(where - {None}))
        for kind, code in kinds.items():
            label = pl.lit(None, pl.String) if kind == "icb" else pl.col(code.replace("_code", "_name")).first()
            marks.append(
                places.with_columns(lacking.alias("is_held"))
                .group_by(pl.col(code).alias("geography_code"))
                .agg(pl.col("is_held").all().alias("is_all"), pl.col("is_held").any().alias("is_any"), label.alias("n"))
                .filter("is_any")
                .select(
                    pl.lit(name).alias("pathway"),
                    pl.lit(kind).alias("geography_type"),
                    "geography_code",
                    pl.col("n").alias("name"),
                    pl.when("is_all").then(pl.lit("all")).otherwise(pl.lit("part")).alias("mark"),
                )
            )
    if not marks:
        return counts.with_columns(pl.lit("no").alias("held")).select(contracts.load("out.pathway_count").column_names)
    place = ["pathway", "geography_type", "geography_code"]
    marked = pl.concat(marks)
    known = counts.join(marked.select(*place, "mark"), on=place, how="left", maintain_order="left")
    known = known.with_columns(pl.col("mark").fill_null("no").alias("held"))
    rows = marked.join(counts, on=place, how="anti").with_columns(
        pl.col("pathway").replace_strict({each.id: each.version for each in context.pathways.values()}).alias("version")
    )
    absent = rows.select(
        "pathway",
        pl.col("version").alias("pathway_version"),
        *(pl.lit("all").alias(name) for name in ("decision", "tier", "breakdown", "breakdown_value")),
        "geography_type",
        "geography_code",
        pl.col("name").alias("geography_name"),
        pl.when(pl.col("mark") == "part").then(pl.lit(0, pl.Int64)).alias("people_count"),
        pl.lit(False).alias("is_suppressed"),
        pl.lit(context.index_date).alias("index_date"),
        pl.lit(context.run_id).alias("run_id"),
        pl.col("mark").alias("held"),
    )
    contract = contracts.load("out.pathway_count")
    whole = pl.concat([known.select(contract.column_names), absent.select(contract.column_names)])
    return whole.sort(contract.key)


def _protected(
    context: PublishContext,
    name: str,
    cube: pl.DataFrame,
    sums: tuple[Sum, ...],
    places: pl.DataFrame,
) -> pl.DataFrame:
    """Put a cube under disclosure control and give places their names; what is held is marked later."""
    contract = contracts.load(name)
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
    known = pl.concat([practices, networks], how="diagonal_relaxed")
    placed = cube.join(known, on=["geography_type", "geography_code"], how="left").sort(contract.key)
    is_small = (
        (pl.col("geography_type") == "practice")
        & (pl.col("breakdown") != "all")
        & (pl.col("list_size") < SMALLEST_PRACTICE)
    )
    safe = disclosure.protect(
        placed, count="people_count", key=contract.key, sums=sums, hide=is_small.fill_null(False)
    ).with_columns(
        pl.lit(context.index_date).alias("index_date"),
        pl.lit(context.run_id).alias("run_id"),
    )
    left = safe.filter(pl.col("people_count").is_between(1, disclosure.LARGEST_HIDDEN)).height
    if left:
        raise PrivacyError(
            name,
            expected="no count from 1 to 7",
            found=f"{left} rows with one",
            action="Nothing was published; correct disclosure control.",
        )
    return safe.select(column for column in contract.column_names if column in safe.columns)


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
