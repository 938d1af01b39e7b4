"""What a change would do: lists and waits over the coming weeks, by arithmetic on counts.

A list is a clinic at a practice. In it people stand in lanes, in the order in which ``routing`` gives out places: by
pathway, tier, and where they stand in the pathway's own ranking. Each week the places go to the first lanes first, then
the others move between lanes or leave for other reasons than a place, then newcomers stand behind those of their lane.
How many come, move and leave is taken from a look back: who was where some weeks ago.

Lanes and moves matter: those who wait longest are those ranked last, who also leave most easily, and somebody who had a
place does not come again for having become worse.

Counts in, counts out: no files, no clock, nobody's record. What a change is stands in ``whatif_changes``, what it does
to whom is worked out in ``whatif_run``.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from stratify import whatif_weeks
from stratify.whatif_weeks import WEEKS, Numbers, Plan, Room, Rules

__all__ = ["BOUND", "MINUTES", "TURNS", "WEEKS", "Forecast", "Forecasts", "Queues", "Rules", "places_by_week",
           "replicates_for", "simulate", "summary", "week_of_place"]  # fmt: skip

LOOK_BACK_WEEKS = 13
REPLICATES = 400
INTERVAL_PERCENT = 90
SEED = 20_260_101

_CELL = ("clinic_id", "practice_code")
_PRIOR_WINDOWS = 0.1
"""How many look backs what all practices of a clinic show is worth, beside a practice's own."""

_PRIOR_PEOPLE = 5.0
"""How many people, who move and leave as all on the clinic's lists do, are added to those seen in each lane."""

_MOST_WORK = 2_000_000

_RETURNING = {"clinic_id": pl.String, "practice_code": pl.String, "lane": pl.Int64, "week": pl.Int64,
              "people_count": pl.Int64, "chance": pl.Float64}  # fmt: skip


MINUTES = {"clinic_id": pl.String, "practice_code": pl.String, "role": pl.String, "minutes": pl.Int64}
BOUND = {"practice_code": pl.String, "role": pl.String, "week": pl.Int64, "minutes": pl.Int64}
TURNS = {"clinic_id": pl.String, "lane": pl.Int64, "turn": pl.Float64}


@dataclass(frozen=True)
class Queues:
    """Who stands in every list, who comes and goes, and the places there are.

    Attributes:
        cells: One row per lane of a list: ``clinic_id``, ``practice_code``, ``lane`` (0 has the first places),
            ``present`` (on it today), ``entered`` (of them, on no list of the clinic at the look back), ``starts``
            (week from which it is served).
        moves: What became of those on a list at the look back: ``clinic_id``, ``lane``, ``to_lane`` (empty for none),
            ``people_count``.
        places: ``clinic_id``, ``practice_code`` (a practice, or a network whose practices share them), ``week``,
            ``places``; a list and week that is absent has none.
        returning: Who is off the list for now and comes back: ``clinic_id``, ``practice_code``, ``lane``, ``week``,
            ``people_count``, ``chance`` that they do.
        first: Who has the places of the first week, where it is known person by person: ``clinic_id``,
            ``practice_code``, ``lane``, ``people_count``. None: the first lanes.
        network_of: The network of each practice.
        minutes: What a place takes of a role whose minutes are bounded: ``clinic_id``, ``practice_code`` (as in
            ``places``), ``role``, ``minutes``. These clinics are drawn together.
        bound: Minutes that such a role has for all of them: ``practice_code``, ``role``, ``week``, ``minutes``; one
            that is absent has none.
        turns: Where each lane stands among those of every clinic: ``clinic_id``, ``lane``, ``turn``.
    """

    cells: pl.DataFrame
    moves: pl.DataFrame
    places: pl.DataFrame
    returning: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_RETURNING))
    first: pl.DataFrame | None = None
    network_of: Mapping[str, str] = field(default_factory=dict)
    minutes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=MINUTES))
    bound: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=BOUND))
    turns: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TURNS))

    @property
    def together(self) -> list[tuple[str, ...]]:
        """The clinics that have a list: those that share minutes together, each of the others by itself."""
        named = self.cells["clinic_id"].unique().sort().to_list()
        bounded = tuple(name for name in named if name in set(self.minutes["clinic_id"]))
        return [*((name,) for name in named if name not in bounded), *([bounded] if bounded else [])]

    def of(self, clinics: Sequence[str]) -> Queues:
        """Give those of some clinics."""
        here = pl.col("clinic_id").is_in(list(clinics))
        first = None if self.first is None else self.first.filter(here)
        cells, moves, places, returning, minutes, turns = (
            each.filter(here)
            for each in (self.cells, self.moves, self.places, self.returning, self.minutes, self.turns)
        )
        bound = self.bound.clear() if minutes.is_empty() else self.bound
        # Their turns among themselves: those of others are no figure of these clinics.
        turns = turns.clear() if minutes.is_empty() else turns.with_columns(pl.col("turn").rank())
        return Queues(cells, moves, places, returning, first, self.network_of, minutes, bound, turns)

    def equals(self, other: Queues) -> bool:
        """Tell whether others are the same in every figure."""
        if (self.first is None) != (other.first is None) or self.network_of != other.network_of:
            return False
        names = ("cells", "moves", "places", "returning", "minutes", "bound", "turns")
        pairs = [(getattr(self, name), getattr(other, name)) for name in names]
        if self.first is not None and other.first is not None:
            pairs.append((self.first, other.first))
        return all(one.equals(two) for one, two in pairs)


@dataclass(frozen=True)
class Forecast:
    """What becomes of every list of a clinic.

    Attributes:
        queues: What it was worked out from, with the clinics that were drawn together with it.
        lists: One row per list: ``clinic_id``, ``practice_code``.
        length: On each list at the start of each week, 0 the index date and 26 the last: draw, list, week.
        places: Places given in each week: draw, list, week.
        reached: Of those on the list today, how many of each lane have left it by the end of each week, in the middle
            case: one row per list and lane, a number per week.
    """

    queues: Queues
    lists: pl.DataFrame
    length: npt.NDArray[np.int32]
    places: npt.NDArray[np.int32]
    reached: pl.DataFrame


Forecasts = Mapping[str, Forecast]
"""By clinic."""


def replicates_for(cells: pl.DataFrame) -> int:
    """Give how many draws stand behind an interval: fewer for many long lists, which chance moves less."""
    if cells.is_empty():
        return REPLICATES
    work = cells.group_by("clinic_id").agg(each=pl.col("practice_code").n_unique() * (pl.col("lane").max() + 1) ** 2)
    return min(REPLICATES, max(_MOST_WORK // int(work["each"].max()), 100))  # type: ignore[arg-type]


def simulate(queues: Queues, rules: Rules, known: Forecasts | None = None) -> dict[str, Forecast]:
    """Carry every list forward by 26 weeks.

    Args:
        queues: Every list.
        rules: What is taken alike.
        known: Forecasts by the same rules: a clinic whose lists are the same is not worked out again.
    """

    def worked_out(clinics: Sequence[str]) -> Mapping[str, Forecast]:
        mine = queues.of(clinics)
        before = {each: known[each] for each in clinics if known and each in known}
        is_alike = bool(before) and all(each.queues.equals(mine) for each in before.values())
        return before if is_alike else _forecasts(mine, clinics, rules)

    with ThreadPoolExecutor() as threads:  # NumPy draws without holding the others up; each clinic has its own draws
        found = dict(each for part in threads.map(worked_out, queues.together) for each in part.items())
    return dict(sorted(found.items()))


def _forecasts(queues: Queues, clinics: Sequence[str], rules: Rules) -> dict[str, Forecast]:
    """Carry the lists of some clinics forward; what is drawn of one depends on the minutes that they share, no more."""
    audiences = _numbered({*queues.cells["practice_code"], *queues.places["practice_code"]})
    roles = _numbered(set(queues.minutes["role"]))
    minutes = np.zeros((len(audiences), WEEKS, len(roles)))
    for audience, role, week, count in queues.bound.select("practice_code", "role", "week", "minutes").iter_rows():
        if audience in audiences and role in roles and week < WEEKS:
            minutes[audiences[audience], week, roles[role]] = count
    known = [_cells_in_order(queues, clinic) for clinic in clinics]
    plans = [_plan(queues, *each, rules, audiences, roles) for each in zip(clinics, known, strict=True)]
    drawn = whatif_weeks.carry(plans, minutes, rules)
    reached = whatif_weeks.follow_middle(plans, minutes, rules)
    return {
        clinic: Forecast(queues, _lists(ordered), length, used, _by_lane(ordered, weeks))
        for clinic, ordered, (length, used), weeks in zip(clinics, known, drawn, reached, strict=True)
    }


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(sorted(names))}


def _cells_in_order(queues: Queues, clinic: str) -> pl.DataFrame:
    """Give the cells of a clinic by list and lane, with the number of the list."""
    cells = queues.cells.filter(pl.col("clinic_id") == clinic)
    return cells.with_columns(list=pl.col("practice_code").rank("dense").cast(pl.Int64) - 1).sort("list", "lane")


def _lists(ordered: pl.DataFrame) -> pl.DataFrame:
    return ordered.select(_CELL).unique(maintain_order=True)


def _by_lane(ordered: pl.DataFrame, weeks: Numbers) -> pl.DataFrame:
    """Give a number per week for each list and lane, of an array by week, list and lane."""
    mine = np.ascontiguousarray(weeks[:, ordered["list"].to_numpy(), ordered["lane"].to_numpy()].T)
    return ordered.select(*_CELL, "lane").with_columns(pl.Series("reached", mine, dtype=pl.Array(pl.Float64, WEEKS)))


def _plan(
    queues: Queues,
    clinic: str,
    ordered: pl.DataFrame,
    rules: Rules,
    audiences: Mapping[str, int],
    roles: Mapping[str, int],
) -> Plan:
    """Lay a clinic out by list and lane."""
    moves, back, turns, takes = (
        each.filter(pl.col("clinic_id") == clinic)
        for each in (queues.moves, queues.returning, queues.turns, queues.minutes)
    )
    lists = ordered.select("practice_code", "list").unique(maintain_order=True)
    at = (ordered["list"].to_numpy(), ordered["lane"].to_numpy())
    back = back.join(lists, on="practice_code").filter(pl.col("week").is_between(1, WEEKS))
    lanes = max([*ordered["lane"], *moves["lane"], *moves["to_lane"].drop_nulls(), *back["lane"]]) + 1

    def dense(values: pl.Series, rest: float = 0) -> Numbers:
        made = np.full((lists.height, lanes), rest, dtype=np.float64)
        made[at] = values.to_numpy()
        return made

    seen = np.zeros((lanes, lanes + 1))
    for lane, to, count in moves.select("lane", "to_lane", "people_count").iter_rows():
        seen[lane, lanes if to is None else to] += count
    present, starts = dense(ordered["present"]), dense(ordered["starts"], WEEKS + 1)
    # Whoever comes into a lane with nobody in it is served as the others of the list are.
    starts = np.minimum(starts, np.where(present > 0, WEEKS + 1, starts.min(axis=1, keepdims=True)))
    first = None
    if queues.first is not None:
        first = np.zeros((lists.height, lanes), dtype=np.int64)
        mine = queues.first.filter(pl.col("clinic_id") == clinic).join(lists, on="practice_code")
        first[mine["list"].to_numpy(), mine["lane"].to_numpy()] = mine["people_count"].to_numpy()
    order = np.arange(lanes, dtype=np.float64)
    order[turns["lane"].to_numpy()] = turns["turn"].to_numpy()
    rng = np.random.default_rng([SEED, zlib.crc32(clinic.encode())])
    steps, coming = _flows(present, dense(ordered["entered"]), seen, rules, rng)
    room = _room(queues, clinic, lists["practice_code"].to_list(), takes, audiences, roles)
    return Plan(present, room, starts, first, back, order.tolist(), coming, steps, rng)


def _room(
    queues: Queues,
    clinic: str,
    practices: Sequence[str],
    takes: pl.DataFrame,
    audiences: Mapping[str, int],
    roles: Mapping[str, int],
) -> Room:
    places, each = np.zeros((len(audiences), WEEKS)), np.zeros((len(audiences), len(roles)))
    mine = queues.places.filter(pl.col("clinic_id") == clinic, pl.col("week") < WEEKS)
    for audience, week, count in mine.select("practice_code", "week", "places").iter_rows():
        places[audiences[audience], week] += count
    for audience, role, count in takes.select("practice_code", "role", "minutes").iter_rows():
        if audience in audiences:
            each[audiences[audience], roles[role]] = count
    networks = _numbered({queues.network_of.get(name, name) for name in practices} & set(audiences) - set(practices))
    pool_of = np.array([networks.get(queues.network_of.get(name, ""), -1) for name in practices], dtype=np.int64)
    own = np.array([audiences[name] for name in practices], dtype=np.int64)
    shared = np.array([audiences[name] for name in networks], dtype=np.int64)
    return Room(places[own], places[shared], pool_of, each[own], each[shared], own, shared)


def _flows(
    present: Numbers, entered: Numbers, seen: Numbers, rules: Rules, rng: np.random.Generator
) -> tuple[Numbers, Numbers]:
    """Give what happens in a week: where those of each lane are a week on, and how many newcomers each lane has.

    The first of each is the best guess, the others are drawn from what the look back leaves open. How people move and
    leave is taken to be alike at all practices; how many come is each practice's own, drawn towards what its size would
    make of the clinic's. They come into lanes as newcomers of the clinic do.

    Returns:
        Chances by draw, lane and next lane (the last: none); newcomers by draw, list and lane.
    """
    lanes = seen.shape[0]
    leave = seen[:, -1].sum() / max(seen.sum(), 1)
    prior = np.hstack([np.eye(lanes) * (1 - leave), np.full((lanes, 1), leave)]) * _PRIOR_PEOPLE
    chances = seen + prior + 1e-9
    drawn = rng.standard_gamma(np.broadcast_to(chances, (rules.replicates, *chances.shape)))
    steps = _weekly(np.concatenate([chances[None], drawn]))
    # Who came early in the window has moved and left since: what was seen is the newcomers of each week, carried on.
    stays = steps[:, :, :-1]
    carried, each = np.zeros_like(stays), np.broadcast_to(np.eye(lanes), stays.shape)
    for _ in range(LOOK_BACK_WEEKS):
        carried = carried + each
        each = each @ stays
    total = entered.sum(axis=0)
    mix = np.maximum(np.linalg.solve(np.swapaxes(carried, 1, 2), np.broadcast_to(total, stays.shape[:2])[..., None]), 0)
    mix = mix[..., 0]
    mix *= (total.sum() / np.maximum((mix[:, None, :] @ carried).sum(axis=(1, 2)), 1e-12))[:, None]
    size = present.sum(axis=1) + 1
    shape = entered.sum(axis=1) + _PRIOR_WINDOWS * total.sum() * size / size.sum()
    own = np.concatenate([shape[None], rng.standard_gamma(np.broadcast_to(shape, (rules.replicates, len(shape))))])
    scale = own / ((1 + _PRIOR_WINDOWS) * rules.share * max(total.sum(), 1))
    return steps, scale[:, :, None] * mix[:, None, :]


def _weekly(chances: Numbers) -> Numbers:
    """Give the chances of a week from those of the whole look back: its root, without what is less than nothing."""
    square = np.zeros((chances.shape[0], chances.shape[2], chances.shape[2]))
    square[:, :-1] = chances / chances.sum(axis=2, keepdims=True)
    square[:, -1, -1] = 1
    values, vectors = np.linalg.eig(square)
    root = vectors * (values.astype(complex) ** (1 / LOOK_BACK_WEEKS))[:, None, :] @ np.linalg.inv(vectors)
    found = np.maximum(root.real, 0)[:, :-1]
    return np.asarray(found / found.sum(axis=2, keepdims=True))


def summary(forecasts: Forecasts, by: Sequence[str] = ("clinic_id",)) -> pl.DataFrame:
    """Give list lengths and places a week, with their interval, added up over lists.

    Args:
        forecasts: What was drawn.
        by: ``clinic_id``, or with it ``practice_code``.

    Returns:
        One row per group and week 0 to 26: ``length``, ``length_low``, ``length_high`` (the middle 90 %), ``places``
        of that week (none in the last), and ``places_so_far``.
    """
    parts = []
    for forecast in forecasts.values():
        groups = forecast.lists.select(by).unique(maintain_order=True)
        of = forecast.lists.join(groups.with_row_index("group"), on=list(by), maintain_order="left")["group"].to_numpy()
        length, places = (
            np.stack([each[:, of == group].sum(axis=1) for group in range(groups.height)], axis=1)
            for each in (forecast.length, forecast.places)
        )
        low, high = np.percentile(length, [(100 - INTERVAL_PERCENT) / 2, (100 + INTERVAL_PERCENT) / 2], axis=0)
        given = np.pad(places.mean(axis=0), ((0, 0), (0, 1)))
        figures = (length.mean(axis=0), low, high, given, np.cumsum(given, axis=1) - given)
        parts.append(
            groups.join(
                pl.DataFrame({"week": range(WEEKS + 1)}), how="cross", maintain_order="left_right"
            ).with_columns(
                pl.Series(name, each.ravel(), dtype=pl.Float64) for name, each in zip(_FIGURES, figures, strict=True)
            )
        )
    schema = dict.fromkeys(by, pl.String) | {"week": pl.Int64} | dict.fromkeys(_FIGURES, pl.Float64)
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


_FIGURES = ("length", "length_low", "length_high", "places", "places_so_far")


def week_of_place(people: pl.DataFrame, forecasts: Forecasts) -> pl.DataFrame:
    """Say in which week each of those on a list today would have a place, in the middle case.

    Args:
        people: One row per person and list: ``patient_key``, ``clinic_id``, ``practice_code``, ``lane``,
            ``priority_rank``.
        forecasts: What was drawn for the lists they are on.

    Returns:
        The rows with ``week``: 0 is the coming week; empty where none of the 26 is enough.
    """
    lane = pl.int_range(1, pl.len() + 1).over(*_CELL, "lane")
    numbered = people.sort(*_CELL, "lane", "priority_rank", "patient_key").with_columns(number=lane)
    if numbered.is_empty():
        return numbered.with_columns(week=pl.lit(None, pl.Int64))
    weeks = pl.concat([each.reached for each in forecasts.values()])
    ranked = numbered.join(weeks, on=[*_CELL, "lane"], how="left", maintain_order="left")
    reached = ranked["reached"].to_numpy()
    # Half a person counts: of ten who are expected to have left 4.5 the fifth is as likely to as not.
    enough = reached >= ranked["number"].to_numpy()[:, None] - 0.5
    week = np.where(enough.any(axis=1), enough.argmax(axis=1), -1)
    return ranked.drop("reached", "number").with_columns(
        week=pl.when(pl.Series(week) >= 0).then(pl.Series(week)).otherwise(None)
    )


def places_by_week(
    sessions: pl.DataFrame, changes: Sequence[tuple[str, str, int | None, int | None, int]] = ()
) -> pl.DataFrame:
    """Give the places of each list in each of the 26 weeks.

    Weeks that are planned have the places of their sessions; those after the last planned one the mean of a planned
    week, spread evenly.

    Args:
        sessions: ``clinic_id``, ``practice_code``, ``week`` (0 is the coming one), ``session_count``, ``places``.
        changes: Clinic, practice, sessions or places a week, and the week from which they hold.
    """
    planned = (int(sessions["week"].max()) + 1) if sessions.height else 1  # type: ignore[arg-type]
    lists = {(row["clinic_id"], row["practice_code"]): (np.zeros(planned), np.zeros(planned))
             for row in sessions.to_dicts()}  # fmt: skip
    for row in sessions.to_dicts():
        counts, places = lists[row["clinic_id"], row["practice_code"]]
        counts[row["week"]] += row["session_count"]
        places[row["week"]] += row["places"]
    made: dict[tuple[str, str], Numbers] = {}
    for key, (_, places) in lists.items():
        later = _spread(float(places.mean()), WEEKS - planned)
        made[key] = np.concatenate([places, later])[:WEEKS]
    for clinic, practice, session_count, slots, start in changes:
        counts, places = lists.get((clinic, practice), (np.zeros(1), np.zeros(1)))
        each = float(places.sum() / counts.sum()) if counts.sum() else 0.0
        weekly = float(slots) if slots is not None else each * (session_count or 0)
        whole = made.setdefault((clinic, practice), np.zeros(WEEKS)).copy()
        whole[start:] = _spread(weekly, WEEKS - start)
        made[clinic, practice] = whole
    rows = [
        (clinic, practice, week, int(count))
        for (clinic, practice), weeks in sorted(made.items())
        for week, count in enumerate(weeks)
    ]
    schema = {"clinic_id": pl.String, "practice_code": pl.String, "week": pl.Int64, "places": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _spread(weekly: float, weeks: int) -> Numbers:
    """Give whole places a week whose sum never leaves the mean by one."""
    return np.diff(np.floor(weekly * np.arange(max(weeks, 0) + 1) + 1e-9))
