"""Fit for use: which lists a failed data quality check touches, from what definitions declare that they read.

A pathway reads scores and variables, a score reads variables, a variable reads codelists and measurements, and those
stand in columns of tables. Walked backwards, that says whose lists a fault in one table, column or codelist touches;
everybody else's may be published. Rule book in, names out: no files, no clock, no counting of rows (``quality``).

A pathway depends on what decides: its cohort, routes, tier score and order. What it merely shows as a reason may be
lacking without anybody being in the wrong place; it is named and holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

import polars as pl

from stratify.hits import READS
from stratify.rulebook import RuleBook
from stratify.rules import ANY, CODED, Clinic, Pathway, Variable

STRUCTURAL = frozenset(
    {"patient", "person", "registration", "practice", "opt_out", "death", "clinic_capacity", "outcome"}
)
"""Tables that say who people are, where they belong, whether they may be looked at, who can be
seen, and what came of it: a failed check of one makes every list doubtful."""

LEAST_EXPECTED = 10
"""People expected at a practice from which on finding none is a fault and no chance (``e**-10`` is 1 in 22,000)."""

MOST_UNKNOWN_PRODUCTS = 2.0
"""Percent of medicine issues without a product that is in use."""

# Extract columns that a core column is made of; a core column that is not named here comes from its namesake.
_MADE_OF: Mapping[str, Mapping[str, Sequence[tuple[str, str]]]] = {
    "apc_spell": {
        "primary_diagnosis": [("apc_episode", "diag_01")],
        "admission_date": [("apc_episode", "admission_date")],
        "discharge_date": [("apc_episode", "discharge_date")],
        "is_emergency": [("apc_episode", "admission_method")],
    },
    "apc_diagnosis": {
        "icd10_code": [("apc_episode", f"diag_{number:02}") for number in range(1, 21)],
        "icd10_category": [("apc_episode", f"diag_{number:02}") for number in range(1, 21)],
        "admission_date": [("apc_episode", "admission_date")],
        "is_emergency": [("apc_episode", "admission_method")],
    },
    "gp_observation": {
        "value_canonical": [("gp_observation", "value_num"), ("gp_observation", "unit_raw")],
        "value_status": [
            ("gp_observation", "value_num"),
            ("gp_observation", "unit_raw"),
            ("gp_observation", "comparator"),
        ],
    },
}
# An episode without its spell or its place in it is lost to every spell.
_WHOLE_ROW = frozenset({"patient_key", "source_file_id", "source_row", "spell_id", "provider_code", "episode_order"})


@dataclass(frozen=True)
class Doubt:
    """What a failed check casts doubt on.

    Attributes:
        table: Table without its layer.
        columns: Its columns in doubt; none for the whole table.
        codelists: Codelists in doubt, and of the table nothing else; none otherwise.
        practice_code: The practice whose records these are; None for all.
    """

    table: str
    columns: tuple[str, ...] = ()
    codelists: tuple[str, ...] = ()
    practice_code: str | None = None


@dataclass(frozen=True)
class Touched:
    """What a doubt touches, each by id and in order.

    Attributes:
        variables: Variables read from what is in doubt.
        scores: Scores that depend on one of them.
        pathways: Pathways on which one of them decides something; their lists are held.
        clinics: Clinics and worklists of those pathways.
        shown_on: Other pathways that show one of them as a reason.
    """

    variables: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    pathways: tuple[str, ...] = ()
    clinics: tuple[str, ...] = ()
    shown_on: tuple[str, ...] = ()


def is_structural(table: str) -> bool:
    """Say whether a failed check of a table (with or without its layer) makes every list doubtful."""
    return table.rpartition(".")[2] in STRUCTURAL


def touched(book: RuleBook, doubt: Doubt) -> Touched:
    """Say what a doubt touches.

    Args:
        book: The rule book.
        doubt: What is in doubt; of a table that is not structural.
    """
    variables = {each.id for each in book.variables.values() if _reads(book, each, doubt)}
    pathways = [each for each in _in_order(book) if variables & set(deciding_variables(book, each))]
    places = [place.id for each in pathways for place in _places(each)]
    return Touched(
        variables=tuple(sorted(variables)),
        scores=tuple(name for name in sorted(book.scores) if variables & set(book.variables_of_score(name))),
        pathways=tuple(each.id for each in pathways),
        clinics=tuple(dict.fromkeys(places)),
        shown_on=tuple(each.id for each in _in_order(book) if each not in pathways and variables & set(each.show)),
    )


def _in_order(book: RuleBook) -> list[Pathway]:
    return sorted(book.published.values(), key=lambda each: each.precedence)


def deciding_variables(book: RuleBook, pathway: Pathway) -> tuple[str, ...]:
    """Give the variables that decide on a pathway: who is on it, the route, the tier, the order."""
    own = [name for each in pathway.conditions for name in book.variables_of(each)]
    own += [name for each in pathway.scores for name in book.variables_of_score(each)]
    own += [step.variable for step in pathway.rank_by]
    return tuple(name for name in dict.fromkeys(own) if name in book.variables)


def _reads(book: RuleBook, variable: Variable, doubt: Doubt) -> bool:
    if doubt.codelists:
        return bool(set(doubt.codelists) & set(codelists_of(book, variable)))
    read = columns_of(book, variable)
    if not doubt.columns or set(doubt.columns) & _WHOLE_ROW:
        return any(table == doubt.table for table, _ in read)
    return any((doubt.table, column) in read for column in doubt.columns)


def codelists_of(book: RuleBook, variable: Variable) -> tuple[str, ...]:
    """Give every codelist that a variable reads, also through measurements and as what ends it."""
    return tuple(dict.fromkeys(name for group in _groups(book, variable) for name in group[1]))


def columns_of(book: RuleBook, variable: Variable) -> frozenset[tuple[str, str]]:
    """Give every (table, column) that a variable reads, in core tables and in the extract tables they are made of."""
    kinds = {(each.kind, each.what) for each in (*variable.leaves, *variable.not_on_days_with)}
    kinds |= {("event", "")} if variable.ended_by else set()
    kinds |= {("stay", "")} if variable.before else set()
    core = {(table, column) for kind, _ in kinds for table, columns in READS[kind].items() for column in columns}
    # A grade may stand as a code alone, among the events.
    graded = (book.measurements[what].grade_codelists for kind, what in kinds if kind == "measurement")
    if any(graded):
        core |= {("gp_event", column) for column in READS["event"]["gp_event"]}
    made_of = {source for table, column in core for source in _MADE_OF.get(table, {}).get(column, [(table, column)])}
    return frozenset(core | made_of)


# Codelists that find nothing at one practice


@dataclass(frozen=True)
class CodeGroup:
    """Codelists that stand in for one another: a practice that uses one of them need not use the others.

    Attributes:
        variable: The variable that reads them.
        label: What it asks about a person.
        kind: Kind of record: ``event``, ``measurement`` or ``issue``.
        codelists: The codelists, sorted.
    """

    variable: str
    label: str
    kind: str
    codelists: tuple[str, ...]


def _groups(book: RuleBook, variable: Variable) -> list[tuple[str, tuple[str, ...]]]:
    """Give the codelists of a variable by kind of record; what ends it is a kind of its own."""
    found: dict[str, list[str]] = {}
    for records in variable.leaves:
        if records.kind == "measurement":
            each = book.measurements[records.what]
            names = [*each.codelists, *each.grade_codelists, *each.offset_codelists]
        elif records.kind not in CODED or records.what == ANY:
            continue
        else:
            names = [records.what]
        found.setdefault(records.kind, []).extend(names)
    if variable.ended_by:
        found["ends"] = [variable.ended_by]
    for kind, names in (
        ("rules out", [each.what for each in variable.not_on_days_with]),
        ("leaves out", [each.excluding for each in variable.leaves if each.excluding]),
    ):
        if names:
            found[kind] = names
    return [(kind, tuple(sorted(set(names)))) for kind, names in found.items()]


def code_groups(book: RuleBook) -> list[CodeGroup]:
    """Give the codelists of the GP record that decide something, as groups that stand in for one another.

    Each set of codelists once, under the first variable by id that reads it.
    """
    deciding = {name for each in book.published.values() for name in deciding_variables(book, each)}
    found: dict[tuple[str, ...], CodeGroup] = {}
    for name in sorted(deciding):
        variable = book.variables[name]
        for kind, codelists in _groups(book, variable):
            if kind in ("event", "measurement", "issue"):
                found.setdefault(codelists, CodeGroup(name, variable.label, kind, codelists))
    return list(found.values())


@dataclass(frozen=True)
class Silence:
    """A practice where a group of codelists finds nobody though the rate elsewhere predicts people.

    Attributes:
        group: The codelists.
        practice_code: The practice.
        people: People with a record at the practice.
        expected: People expected, rounded.
    """

    group: CodeGroup
    practice_code: str
    people: int
    expected: int


def silent_codelists(groups: Sequence[CodeGroup], people: pl.DataFrame, found: pl.DataFrame) -> list[Silence]:
    """Find the practices where codelists find nobody and the rate at all the others predicts 10 people or more.

    The rate is one for each age band, so that a practice of students is not expected to have the chronic illness of
    the county. People are counted, not rows: one person's twenty entries say nothing of anybody else.

    Args:
        groups: The codelists, from :func:`code_groups`.
        people: One row per ``practice_code`` and ``age_band``: ``people``, who have a record there.
        found: The same for each ``variable`` and ``kind`` of the groups: ``people`` with an entry of the codelists;
            nought is absent.

    Returns:
        In order of group and practice.
    """
    silences = []
    totals = dict(people.group_by("age_band").agg(pl.col("people").sum()).iter_rows())
    sizes: dict[str, dict[str, int]] = {}
    for practice, band, count in people.select("practice_code", "age_band", "people").iter_rows():
        sizes.setdefault(practice, {})[band] = count
    for group in groups:
        mine = found.filter((pl.col("variable") == group.variable) & (pl.col("kind") == group.kind))
        with_entry = dict(mine.group_by("age_band").agg(pl.col("people").sum()).iter_rows())
        heard = set(mine.filter(pl.col("people") > 0)["practice_code"])
        for practice in sorted(set(sizes) - heard):
            # Nobody here has an entry, so everybody who has one is elsewhere.
            expected = sum(
                here * with_entry.get(band, 0) / (totals[band] - here)
                for band, here in sorted(sizes[practice].items())
                if totals[band] > here
            )
            if round(expected, 6) >= LEAST_EXPECTED:
                silences.append(Silence(group, practice, sum(sizes[practice].values()), round(expected)))
    return silences


@dataclass(frozen=True)
class Fall:
    """A group of codelists that finds far fewer people everywhere than in the runs before.

    Attributes:
        group: The codelists.
        people: People found.
        expected: People expected, rounded.
    """

    group: CodeGroup
    people: int
    expected: int


def fallen_codelists(
    found: Mapping[CodeGroup, int], people: int, before: Sequence[tuple[Mapping[CodeGroup, int], int]]
) -> list[Fall]:
    """Find the codelists that find under half of the people that the rate of the runs before leads one to expect.

    Entries are counted over all the years, so that nothing of the season moves them; what does is a feed whose codes
    were lost or replaced at every practice at once, of which no practice can be told from the others.

    Args:
        found: People with an entry of each group, in the whole run.
        people: People registered.
        before: The same for the last runs; a group that a run did not know, or whose codelists have changed since, is
            absent.
    """
    falls = []
    for group, now in found.items():
        rates = [counts[group] / registered for counts, registered in before if registered and group in counts]
        expected = median(rates) * people if rates else 0.0
        if expected >= _LEAST_TO_FALL and now * 100 < expected * (100 - _LARGEST_FALL_PERCENT):
            falls.append(Fall(group, now, round(expected)))
    return falls


_LEAST_TO_FALL, _LARGEST_FALL_PERCENT = 20, 50


# Feeds that are missing or old


def old_feeds(data_cutoffs: Mapping[str, date], most_days: Mapping[str, int], *, index_date: date) -> dict[str, int]:
    """Give the feeds older than they may be, and by how many days each ends before the index date.

    Args:
        data_cutoffs: The last day that each extract table describes.
        most_days: How many days before the index date it may end; a table that is not named may be of any age.
        index_date: The day the run describes.
    """
    ages = {table: (index_date - data_cutoffs[table]).days for table in sorted(most_days) if table in data_cutoffs}
    return {table: days for table, days in ages.items() if days > most_days[table]}


# What is held


@dataclass(frozen=True)
class Hold:
    """One pathway whose lists one failed check holds, everywhere or at one practice.

    Attributes:
        table: Table with its layer.
        rule_id: The check.
        pathway: The pathway.
        practice_code: The practice; None for every practice.
        scores: Scores the check touches.
        clinics: Clinics and worklists of the pathway.
        reason: What is wrong, for whoever misses the list; no number of people, so that anybody may read it.
    """

    table: str
    rule_id: str
    pathway: str
    practice_code: str | None
    scores: tuple[str, ...]
    clinics: tuple[str, ...]
    reason: str


def holds(book: RuleBook, doubt: Doubt, *, table: str, rule_id: str, reason: str) -> list[Hold]:
    """Give a hold for each pathway that a failed check touches, in order of precedence; none where it touches none."""
    found = touched(book, doubt)
    return [
        Hold(
            table=table,
            rule_id=rule_id,
            pathway=name,
            practice_code=doubt.practice_code,
            scores=found.scores,
            clinics=tuple(place.id for place in _places(book.pathways[name])),
            reason=reason,
        )
        for name in found.pathways
    ]


def hold_of(pathway: Pathway, *, table: str, rule_id: str, practice_code: str | None, reason: str) -> Hold:
    """Give the hold of one pathway for a reason that no data are at fault for."""
    return Hold(table, rule_id, pathway.id, practice_code, (), tuple(place.id for place in _places(pathway)), reason)


def _places(pathway: Pathway) -> tuple[Clinic, ...]:
    return pathway.places


def reasons_by_list(found: Iterable[Hold]) -> dict[tuple[str, str | None], str]:
    """Give why each list is held, by pathway and practice (None: every practice); several reasons one after another."""
    reasons: dict[tuple[str, str | None], list[str]] = {}
    for each in found:
        reasons.setdefault((each.pathway, each.practice_code), []).append(each.reason)
    return {key: "; ".join(dict.fromkeys(texts)) for key, texts in reasons.items()}
