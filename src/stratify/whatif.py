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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

WEEKS = 26
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

Numbers = npt.NDArray[np.float64]
_RETURNING = {"clinic_id": pl.String, "practice_code": pl.String, "lane": pl.Int64, "week": pl.Int64,
              "people_count": pl.Int64, "chance": pl.Float64}  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """What is taken alike for every list.

    Attributes:
        share: Share of all people that the look back counted.
        did_not_attend_percent: Of places given, how many leave the person on the list.
        review_after_weeks: When somebody who had a place is due again.
        replicates: Draws behind each interval.
    """

    share: float = 1.0
    did_not_attend_percent: float = 0.0
    review_after_weeks: int = 52
    replicates: int = REPLICATES


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
    """

    cells: pl.DataFrame
    moves: pl.DataFrame
    places: pl.DataFrame
    returning: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_RETURNING))
    first: pl.DataFrame | None = None
    network_of: Mapping[str, str] = field(default_factory=dict)

    def of(self, clinic: str) -> Queues:
        """Give those of one clinic."""
        here = pl.col("clinic_id") == clinic
        first = None if self.first is None else self.first.filter(here)
        cells, moves, places = (each.filter(here) for each in (self.cells, self.moves, self.places))
        return Queues(cells, moves, places, self.returning.filter(here), first, self.network_of)

    def equals(self, other: Queues) -> bool:
        """Tell whether others are the same in every figure."""
        if (self.first is None) != (other.first is None) or self.network_of != other.network_of:
            return False
        pairs = [(self.cells, other.cells), (self.moves, other.moves), (self.places, other.places),
                 (self.returning, other.returning)]  # fmt: skip
        if self.first is not None and other.first is not None:
            pairs.append((self.first, other.first))
        return all(one.equals(two) for one, two in pairs)


@dataclass(frozen=True)
class Forecast:
    """What becomes of every list of a clinic.

    Attributes:
        queues: What it was worked out from.
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
    found = {}
    for clinic in queues.cells["clinic_id"].unique().sort():
        mine = queues.of(clinic)
        before = (known or {}).get(clinic)
        found[clinic] = before if before and before.queues.equals(mine) else _simulate_clinic(mine, rules)
    return found


@dataclass(frozen=True)
class _Room:
    """The places of each week: of each list alone, and of pools that some lists share (-1: none)."""

    own: Numbers
    pools: Numbers
    pool_of: npt.NDArray[np.int64]


def _room(queues: Queues, lists: pl.DataFrame) -> _Room:
    practices = lists["practice_code"].to_list()
    networks = sorted({queues.network_of[each] for each in practices if each in queues.network_of} - set(practices))
    rows = {name: place for place, name in enumerate(practices)}
    pools = {name: place for place, name in enumerate(networks)}
    own, shared = np.zeros((len(practices), WEEKS)), np.zeros((len(networks), WEEKS))
    for audience, week, places in queues.places.select("practice_code", "week", "places").iter_rows():
        if week < WEEKS and audience in rows:
            own[rows[audience], week] += places
        elif week < WEEKS and audience in pools:
            shared[pools[audience], week] += places
    pool_of = np.array([pools.get(queues.network_of.get(each, ""), -1) for each in practices], dtype=np.int64)
    return _Room(own, shared, pool_of)


def _simulate_clinic(queues: Queues, rules: Rules) -> Forecast:
    """Carry the lists of one clinic forward; its draws depend on no other clinic, so that what is alike stays alike."""
    cells, moves = queues.cells, queues.moves
    lists = cells.select(_CELL).unique().sort(_CELL).with_row_index("list")
    ordered = cells.join(lists, on=_CELL).sort("list", "lane")
    at = (ordered["list"].to_numpy(), ordered["lane"].to_numpy())
    back = queues.returning.join(lists, on=_CELL).filter(pl.col("week").is_between(1, WEEKS))
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
        mine = queues.first.join(lists, on=_CELL)
        first[mine["list"].to_numpy(), mine["lane"].to_numpy()] = mine["people_count"].to_numpy()
    rng = np.random.default_rng([SEED, zlib.crc32(str(cells["clinic_id"][0]).encode())])
    steps, coming = _flows(present, dense(ordered["entered"]), seen, rules, rng)
    plan = _Plan(present, _room(queues, lists), starts, first, back)
    length, used = _carry(plan, coming[1:], steps[1:], rules, rng)
    reached = _middle(plan, coming[0], steps[0], rules)
    weeks = ordered.select(*_CELL, "lane").with_columns(
        pl.Series("reached", [reached[:, each, lane].tolist() for each, lane in zip(*at, strict=True)])
    )
    return Forecast(queues, lists.select(_CELL), length, used, weeks)


@dataclass(frozen=True)
class _Plan:
    """What is known of the lists of a clinic before anything is drawn: by list, lane and week."""

    present: Numbers
    room: _Room
    starts: Numbers
    first: npt.NDArray[np.int64] | None
    back: pl.DataFrame


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


def _carry(
    plan: _Plan, coming: Numbers, steps: Numbers, rules: Rules, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Draw the coming weeks, many times."""
    draws, lists, lanes = coming.shape
    waiting = np.broadcast_to(plan.present, coming.shape).astype(np.int64)
    length = np.zeros((draws, lists, WEEKS + 1), dtype=np.int32)
    used = np.zeros((draws, lists, WEEKS), dtype=np.int32)
    due: dict[int, Any] = {}  # who is there from the next week on
    for each, lane, week, count, chance in plan.back.select("list", "lane", "week", "people_count", "chance").rows():
        still = chance * (1 - steps[:, lane, -1]).clip(0, 1) ** week
        due.setdefault(week - 1, np.zeros_like(waiting))[:, each, lane] += rng.binomial(count, still)
    attend = 1 - rules.did_not_attend_percent / 100
    own = np.arange(lanes)
    where = steps.copy()
    where[:, own, own] = 0
    leaving = where.sum(axis=2).clip(0, 1)
    where /= np.maximum(leaving, 1e-300)[:, :, None]
    for week in range(WEEKS + 1):
        is_on = plan.starts <= week
        length[:, :, week] = np.where(is_on, waiting, 0).sum(axis=2)
        if week == WEEKS:
            break
        if week == 0 and plan.first is not None:
            served = np.broadcast_to(plan.first, waiting.shape)
        else:
            served = _served(np.where(is_on, waiting, 0), plan.room, week, rng)
        used[:, :, week] = served.sum(axis=2)
        closed = rng.binomial(served, attend) if attend < 1 else served
        if week + rules.review_after_weeks < WEEKS:
            again = week + rules.review_after_weeks
            due[again] = due.get(again, 0) + closed
        left = waiting - closed
        waiting = rng.poisson(coming) + due.pop(week, 0)
        moving = rng.binomial(left, leaving[:, None, :])
        waiting += left - moving
        draw, each, lane = np.nonzero(moving)  # few move in a week, and only they have to be told where to
        np.add.at(waiting, (draw, each), rng.multinomial(moving[draw, each, lane], where[draw, lane])[:, :-1])
    return length, used


def _served(waiting: Any, room: _Room, week: int, rng: np.random.Generator | None) -> Any:  # noqa: ANN401  whole or not
    """Give each lane what those before it leave of the places: a list's own first, then those it shares.

    Of shared places, those of one lane have parts as large as they are many; whole ones where they are drawn.
    """
    before = np.cumsum(waiting, axis=-1) - waiting
    own = np.clip(room.own[:, week, None] - before, 0, waiting).astype(waiting.dtype)
    mine = np.flatnonzero(room.pool_of >= 0)
    mine = mine[np.argsort(room.pool_of[mine], kind="stable")]
    if not mine.size or not room.pools[:, week].any():
        return own
    pools, starts, pool = np.unique(room.pool_of[mine], return_index=True, return_inverse=True)
    free = np.broadcast_to(room.pools[pools, week], (*waiting.shape[:-2], len(pools)))
    for lane in range(waiting.shape[-1]):
        asked = waiting[..., mine, lane] - own[..., mine, lane]
        total = np.add.reduceat(asked, starts, axis=-1)
        given = np.minimum(total, free)
        upto = np.cumsum(asked, axis=-1)
        upto = upto - (upto[..., starts] - asked[..., starts])[..., pool]  # within the pool
        part = upto * given[..., pool] / np.maximum(total, 1e-12)[..., pool]
        before = (upto - asked) * given[..., pool] / np.maximum(total, 1e-12)[..., pool]
        if rng is not None:
            chance = 1e-9 + (1 - 1e-6) * rng.random(given.shape)[..., pool]
            part, before = np.floor(part + chance), np.floor(before + chance)
        own[..., mine, lane] += np.minimum(part - before, asked).astype(waiting.dtype)
        free = free - given
    return own


def _middle(plan: _Plan, coming: Numbers, steps: Numbers, rules: Rules) -> Numbers:
    """Follow those who are on a list today through the middle case; newcomers stand behind them in their lane."""
    waiting, today = plan.present.copy(), plan.present.copy()
    reached = np.zeros((WEEKS, *plan.present.shape))
    attend = 1 - rules.did_not_attend_percent / 100
    stays = 1 - steps[:, -1]
    due = np.zeros((WEEKS + 1, *plan.present.shape))
    for each, lane, week, count, chance in plan.back.select("list", "lane", "week", "people_count", "chance").rows():
        due[week - 1, each, lane] += count * chance * stays[lane] ** week
    for week in range(WEEKS):
        if week == 0 and plan.first is not None:
            served = plan.first * attend
        else:
            served = _served(np.where(plan.starts <= week, waiting, 0.0), plan.room, week, None) * attend
        waiting = (waiting - served) @ steps[:, :-1] + coming + due[week]
        today = np.maximum(today - served, 0) * stays
        reached[week] = plan.present - today
    return reached


def summary(forecasts: Forecasts, by: Sequence[str] = ("clinic_id",)) -> pl.DataFrame:
    """Give list lengths and places a week, with their interval, added up over lists.

    Args:
        forecasts: What was drawn.
        by: ``clinic_id``, or with it ``practice_code``.

    Returns:
        One row per group and week 0 to 26: ``length``, ``length_low``, ``length_high`` (the middle 90 %), ``places``
        of that week (none in the last), and ``places_so_far``.
    """
    rows = []
    groups = [
        (forecast, each)
        for forecast in forecasts.values()
        for each in forecast.lists.with_row_index("list")
        .group_by(list(by), maintain_order=True)
        .agg(pl.col("list"))
        .to_dicts()
    ]
    for forecast, each in groups:
        length = forecast.length[:, each["list"], :].sum(axis=1)
        places = forecast.places[:, each["list"], :].sum(axis=1).mean(axis=0)
        low, high = np.percentile(length, [(100 - INTERVAL_PERCENT) / 2, (100 + INTERVAL_PERCENT) / 2], axis=0)
        for week in range(WEEKS + 1):
            rows.append(
                {name: each[name] for name in by}
                | {
                    "week": week,
                    "length": float(length[:, week].mean()),
                    "length_low": float(low[week]),
                    "length_high": float(high[week]),
                    "places": float(places[week]) if week < WEEKS else 0.0,
                    "places_so_far": float(places[:week].sum()),
                }
            )
    schema = dict.fromkeys(by, pl.String) | {"week": pl.Int64} | dict.fromkeys(_FIGURES, pl.Float64)
    return pl.DataFrame(rows, schema=schema)


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
    reached = np.array(ranked["reached"].to_list(), dtype=np.float64).reshape(ranked.height, WEEKS)
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
