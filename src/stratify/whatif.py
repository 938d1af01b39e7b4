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
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
class Forecast:
    """What becomes of every list.

    Attributes:
        lists: One row per list: ``clinic_id``, ``practice_code``.
        length: On each list at the start of each week, 0 the index date and 26 the last: draw, list, week.
        places: Places given in each week: draw, list, week.
        reached: Of those on the list today, how many of each lane have left it by the end of each week, in the middle
            case: one row per list and lane, a number per week.
    """

    lists: pl.DataFrame
    length: npt.NDArray[np.int32]
    places: npt.NDArray[np.int32]
    reached: pl.DataFrame


def simulate(cells: pl.DataFrame, moves: pl.DataFrame, places: pl.DataFrame, rules: Rules) -> Forecast:
    """Carry every list forward by 26 weeks.

    Args:
        cells: One row per lane of a list: ``clinic_id``, ``practice_code``, ``lane`` (0 has the first places),
            ``present`` (on it today), ``entered`` (of them, on no list of the clinic at the look back), ``starts``
            (week from which it is served).
        moves: What became of those on a list at the look back: ``clinic_id``, ``lane``, ``to_lane`` (empty for none),
            ``people_count``.
        places: ``clinic_id``, ``practice_code``, ``week``, ``places``; a list and week that is absent has none.
        rules: What is taken alike.
    """
    if cells.height:  # fewer draws for many long lists, which chance moves less
        work = cells.group_by("clinic_id").agg(
            each=pl.col("practice_code").n_unique() * (pl.col("lane").max() + 1) ** 2
        )
        most = max(_MOST_WORK // int(work["each"].max()), 100)  # type: ignore[arg-type]
        rules = replace(rules, replicates=min(rules.replicates, most))
    parts = []
    for mine in cells.sort("clinic_id").partition_by("clinic_id", maintain_order=True):
        here = pl.col("clinic_id") == mine["clinic_id"][0]
        parts.append(_simulate_clinic(mine, moves.filter(here), places.filter(here), rules))
    if not parts:
        none = np.zeros((rules.replicates, 0, WEEKS + 1), dtype=np.int32)
        lanes = cells.select(*_CELL, "lane", reached=pl.lit([0.0]))
        return Forecast(cells.select(_CELL), none, none[:, :, :WEEKS], lanes)
    return Forecast(
        pl.concat([each.lists for each in parts]),
        np.concatenate([each.length for each in parts], axis=1),
        np.concatenate([each.places for each in parts], axis=1),
        pl.concat([each.reached for each in parts]),
    )


def _simulate_clinic(cells: pl.DataFrame, moves: pl.DataFrame, places: pl.DataFrame, rules: Rules) -> Forecast:
    """Carry the lists of one clinic forward; its draws depend on no other clinic, so that what is alike stays alike."""
    lists = cells.select(_CELL).unique().sort(_CELL).with_row_index("list")
    ordered = cells.join(lists, on=_CELL).sort("list", "lane")
    at = (ordered["list"].to_numpy(), ordered["lane"].to_numpy())
    lanes = max([*ordered["lane"], *moves["lane"], *moves["to_lane"].drop_nulls()]) + 1

    def dense(values: pl.Series, rest: float = 0) -> Numbers:
        made = np.full((lists.height, lanes), rest, dtype=np.float64)
        made[at] = values.to_numpy()
        return made

    room = np.zeros((lists.height, WEEKS))
    given = places.join(lists, on=_CELL).filter(pl.col("week") < WEEKS)
    room[given["list"].to_numpy(), given["week"].to_numpy()] = given["places"].to_numpy()
    seen = np.zeros((lanes, lanes + 1))
    for lane, to, count in moves.select("lane", "to_lane", "people_count").iter_rows():
        seen[lane, lanes if to is None else to] += count
    present, starts = dense(ordered["present"]), dense(ordered["starts"], WEEKS + 1)
    entered = dense(ordered["entered"])
    rng = np.random.default_rng([SEED, zlib.crc32(str(cells["clinic_id"][0]).encode())])
    steps, coming = _flows(present, entered, seen, rules, rng)
    length, used = _carry(present, coming[1:], steps[1:], room, starts, rules, rng)
    reached = _middle(present, coming[0], steps[0], room, starts, rules)
    weeks = ordered.select(*_CELL, "lane").with_columns(
        pl.Series("reached", [reached[:, each, lane].tolist() for each, lane in zip(*at, strict=True)])
    )
    return Forecast(lists.select(_CELL), length, used, weeks)


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
    present: Numbers,
    coming: Numbers,
    steps: Numbers,
    room: Numbers,
    starts: Numbers,
    rules: Rules,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Draw the coming weeks, many times."""
    draws = coming.shape[0]
    waiting = np.broadcast_to(present, coming.shape).astype(np.int64)
    length = np.zeros((draws, present.shape[0], WEEKS + 1), dtype=np.int32)
    used = np.zeros((draws, present.shape[0], WEEKS), dtype=np.int32)
    due: dict[int, Any] = {}
    attend = 1 - rules.did_not_attend_percent / 100
    for week in range(WEEKS + 1):
        is_on = starts <= week
        length[:, :, week] = np.where(is_on, waiting, 0).sum(axis=2)
        if week == WEEKS:
            break
        served = _served(np.where(is_on, waiting, 0), room[:, week])
        used[:, :, week] = served.sum(axis=2)
        closed = rng.binomial(served, attend) if attend < 1 else served
        if week + rules.review_after_weeks < WEEKS:
            due[week + rules.review_after_weeks] = closed
        left = waiting - closed
        waiting = rng.poisson(coming) + due.pop(week, 0)
        for lane in range(present.shape[1]):
            moved = rng.multinomial(left[:, :, lane], steps[:, None, lane, :])
            waiting += moved[:, :, :-1]
    return length, used


def _served(waiting: Any, room: Numbers) -> Any:  # noqa: ANN401  whole or not
    """Give each lane what those before it leave of the places."""
    before = np.cumsum(waiting, axis=-1) - waiting
    return np.clip(room[..., None] - before, 0, waiting).astype(waiting.dtype)


def _middle(present: Numbers, coming: Numbers, steps: Numbers, room: Numbers, starts: Numbers, rules: Rules) -> Numbers:
    """Follow those who are on a list today through the middle case; newcomers stand behind them in their lane."""
    waiting, today = present.copy(), present.copy()
    reached = np.zeros((WEEKS, *present.shape))
    attend = 1 - rules.did_not_attend_percent / 100
    stays = 1 - steps[:, -1]
    for week in range(WEEKS):
        served = _served(np.where(starts <= week, waiting, 0.0), room[:, week]) * attend
        waiting = (waiting - served) @ steps[:, :-1] + coming
        today = np.maximum(today - served, 0) * stays
        reached[week] = present - today
    return reached


def summary(forecast: Forecast, by: Sequence[str] = ("clinic_id",)) -> pl.DataFrame:
    """Give list lengths and places a week, with their interval, added up over lists.

    Args:
        forecast: What was drawn.
        by: ``clinic_id``, or with it ``practice_code``.

    Returns:
        One row per group and week 0 to 26: ``length``, ``length_low``, ``length_high`` (the middle 90 %), ``places``
        of that week (none in the last), and ``places_so_far``.
    """
    rows = []
    groups = forecast.lists.with_row_index("list").group_by(list(by), maintain_order=True).agg(pl.col("list"))
    for each in groups.to_dicts():
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


def week_of_place(people: pl.DataFrame, forecast: Forecast) -> pl.DataFrame:
    """Say in which week each of those on a list today would have a place, in the middle case.

    Args:
        people: One row per person and list: ``patient_key``, ``clinic_id``, ``practice_code``, ``lane``,
            ``priority_rank``.
        forecast: What was drawn for the lists they are on.

    Returns:
        The rows with ``week``: 0 is the coming week; empty where none of the 26 is enough.
    """
    lane = pl.int_range(1, pl.len() + 1).over(*_CELL, "lane")
    numbered = people.sort(*_CELL, "lane", "priority_rank", "patient_key").with_columns(number=lane)
    ranked = numbered.join(forecast.reached, on=[*_CELL, "lane"], how="left", maintain_order="left")
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
