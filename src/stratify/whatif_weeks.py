"""The coming weeks, drawn on counts: who has a place, who moves, leaves and comes, at clinics that are drawn together.

Clinics are drawn together where a role's minutes in a week end over all of them. Whole columns of draws and lists at a
time; lanes one after another, in the order of need, because each has what those before it leave. What is known of the
lists, and what the flows are, is made in ``whatif``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

WEEKS = 26

Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


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
    replicates: int = 400

    @property
    def attend(self) -> float:
        """The share of places given that meet the need."""
        return 1 - self.did_not_attend_percent / 100


@dataclass(frozen=True)
class Room:
    """The places of each week: of each list alone, and of pools that some lists share; and the minutes they take.

    Attributes:
        own: Places by list and week.
        pools: Places by pool and week.
        pool_of: The pool of each list; -1 for none.
        takes: Minutes of one place by list and bounded role; 0 for none.
        pool_takes: The same by pool.
        audience: The row of each list in ``Minutes``.
        pool_audience: The row of each pool there.
    """

    own: Numbers
    pools: Numbers
    pool_of: Counts
    takes: Numbers
    pool_takes: Numbers
    audience: Counts
    pool_audience: Counts


Minutes = Numbers
"""The minutes that each bounded role may still see people: by practice or network, week and role."""


@dataclass(frozen=True)
class Plan:
    """What is known of the lists of a clinic before anything is drawn: by list, lane and week.

    Attributes:
        present: On each list today, by list and lane.
        room: The places.
        starts: The week from which each lane is served.
        first: Who has the places of the first week, by list and lane; None: the first lanes.
        back: Who comes back: ``list``, ``lane``, ``week``, ``people_count``, ``chance``.
        turns: Where each lane stands among those of all clinics that are drawn together.
        coming: Newcomers a week, by draw, list and lane; the first is the middle case.
        steps: Chances of a week by draw, lane and next lane, the last: none; the first is the middle case.
        rng: Where this clinic's draws come from, so that they depend on no other's.
    """

    present: Numbers
    room: Room
    starts: Numbers
    first: Counts | None
    back: pl.DataFrame
    turns: Sequence[int]
    coming: Numbers
    steps: Numbers
    rng: np.random.Generator


def carry(plans: Sequence[Plan], minutes: Minutes, rules: Rules) -> list[tuple[npt.NDArray[np.int32], ...]]:
    """Draw the coming weeks, many times.

    Returns:
        For each clinic, people on each list at the start of each week, and places given: draw, list, week.
    """
    states = [_State(plan, rules) for plan in plans]
    for week in range(WEEKS + 1):
        for each in states:
            each.note_length(week)
        if week < WEEKS:
            served = _served(plans, [each.on_list(week) for each in states], minutes, week, is_drawn=True)
            for each, places in zip(states, served, strict=True):
                each.go_on(week, places)
    return [(each.length, each.used) for each in states]


class _State:
    """The lists of one clinic in a week, in every draw."""

    def __init__(self, plan: Plan, rules: Rules) -> None:
        self.plan, self.rules = plan, rules
        self.coming, steps = plan.coming[1:], plan.steps[1:]
        draws, lists, lanes = self.coming.shape
        self.waiting = np.broadcast_to(plan.present, self.coming.shape).astype(np.int64)
        self.length = np.zeros((draws, lists, WEEKS + 1), dtype=np.int32)
        self.used = np.zeros((draws, lists, WEEKS), dtype=np.int32)
        self.due: dict[int, Any] = {}  # who is there from the next week on
        for each, lane, week, count, chance in _back(plan):
            still = chance * (1 - steps[:, lane, -1]).clip(0, 1) ** week
            self.due.setdefault(week - 1, np.zeros_like(self.waiting))[:, each, lane] += plan.rng.binomial(count, still)
        self.where = steps.copy()
        self.where[:, np.arange(lanes), np.arange(lanes)] = 0
        self.leaving = self.where.sum(axis=2).clip(0, 1)
        self.where /= np.maximum(self.leaving, 1e-300)[:, :, None]

    def on_list(self, week: int) -> Counts:
        """Give who may be served."""
        return np.where(self.plan.starts <= week, self.waiting, 0)

    def note_length(self, week: int) -> None:
        self.length[:, :, week] = self.on_list(week).sum(axis=2)

    def go_on(self, week: int, served: Counts) -> None:
        """Take those who are served off, move the others, let newcomers in."""
        rng = self.plan.rng
        self.used[:, :, week] = served.sum(axis=2)
        closed = rng.binomial(served, self.rules.attend) if self.rules.attend < 1 else served
        again = week + self.rules.review_after_weeks
        if again < WEEKS:
            self.due[again] = self.due.get(again, 0) + closed
        left = self.waiting - closed
        waiting = rng.poisson(self.coming) + self.due.pop(week, 0)
        moving = rng.binomial(left, self.leaving[:, None, :])
        waiting += left - moving
        draw, each, lane = np.nonzero(moving)  # few move in a week, and only they have to be told where to
        np.add.at(waiting, (draw, each), rng.multinomial(moving[draw, each, lane], self.where[draw, lane])[:, :-1])
        self.waiting = waiting


def follow_middle(plans: Sequence[Plan], minutes: Minutes, rules: Rules) -> list[Numbers]:
    """Follow those who are on a list today through the middle case; newcomers stand behind them in their lane.

    Returns:
        For each clinic, how many of each list and lane have left it by the end of each week: week, list, lane.
    """
    waiting = [each.present for each in plans]
    today = [each.present for each in plans]
    reached = [np.zeros((WEEKS, *each.present.shape)) for each in plans]
    due = [_due(each) for each in plans]
    for week in range(WEEKS):
        on_lists = [np.where(each.starts <= week, rows, 0.0) for each, rows in zip(plans, waiting, strict=True)]
        served = _served(plans, on_lists, minutes, week, is_drawn=False)
        for place, each in enumerate(plans):
            closed, steps = served[place] * rules.attend, each.steps[0]
            waiting[place] = (waiting[place] - closed) @ steps[:, :-1] + each.coming[0] + due[place][week]
            today[place] = np.maximum(today[place] - closed, 0) * (1 - steps[:, -1])
            reached[place][week] = each.present - today[place]
    return reached


def _due(plan: Plan) -> Numbers:
    stays = 1 - plan.steps[0][:, -1]
    due = np.zeros((WEEKS + 1, *plan.present.shape))
    for each, lane, week, count, chance in _back(plan):
        due[week - 1, each, lane] += count * chance * stays[lane] ** week
    return due


def _back(plan: Plan) -> list[tuple[Any, ...]]:
    return plan.back.select("list", "lane", "week", "people_count", "chance").rows()


def _served(plans: Sequence[Plan], waiting: Sequence[Any], minutes: Minutes, week: int, *, is_drawn: bool) -> list[Any]:
    """Give the places of a week: those of the first week to whom they are known to go, else in order of need."""
    if week == 0 and all(each.first is not None for each in plans):
        return [np.broadcast_to(each.first, rows.shape) for each, rows in zip(plans, waiting, strict=True)]  # type: ignore[arg-type]
    shape = waiting[0].shape[:-2]
    left = np.broadcast_to(minutes[:, week], (*shape, minutes.shape[0], minutes.shape[2])).copy()
    parts = [_Giving(each, rows, left, week, is_drawn=is_drawn) for each, rows in zip(plans, waiting, strict=True)]
    for _, place, lane in sorted((turn, place, lane) for place, each in enumerate(plans)
                                 for lane, turn in enumerate(each.turns)):  # fmt: skip
        parts[place].serve(lane)
    return [each.served for each in parts]


class _Giving:
    """The places of one clinic while they are given out; ``left`` is shared by all clinics that are drawn together."""

    def __init__(self, plan: Plan, waiting: Any, left: Numbers, week: int, *, is_drawn: bool) -> None:  # noqa: ANN401  whole or not
        room = plan.room
        self.room, self.waiting, self.left, self.is_drawn = room, waiting, left, is_drawn
        self.rng = plan.rng
        self.served = np.zeros_like(waiting)
        self.own = np.broadcast_to(room.own[:, week].astype(waiting.dtype), waiting.shape[:-1]).copy()
        self.free = np.broadcast_to(room.pools[:, week], (*waiting.shape[:-2], room.pools.shape[0])).copy()
        mine = np.flatnonzero(room.pool_of >= 0)
        self.mine = mine[np.argsort(room.pool_of[mine], kind="stable")] if self.free.any() else mine[:0]
        self.pools, self.starts, self.pool = np.unique(room.pool_of[self.mine], return_index=True, return_inverse=True)

    def serve(self, lane: int) -> None:
        """Give a lane what is left: a list's own places first, then those it shares."""
        asked = self.waiting[..., lane]
        if not asked.any():
            return
        given = np.minimum(asked, self.own)
        if self.left.shape[-1]:
            given = np.minimum(given, self._would_do(self.room.takes, self.room.audience)).astype(asked.dtype)
            self._take(given, self.room.takes, self.room.audience)
        self.own -= given
        self.served[..., lane] = given
        if self.mine.size:
            self._share(lane, asked - given)

    def _share(self, lane: int, wanted: Any) -> None:  # noqa: ANN401
        """Give out shared places: parts as large as those who ask are many, whole ones where they are drawn."""
        asked = wanted[..., self.mine]
        total = np.add.reduceat(asked, self.starts, axis=-1)
        given = np.minimum(total, self.free[..., self.pools])
        if self.left.shape[-1]:
            takes, audience = self.room.pool_takes[self.pools], self.room.pool_audience[self.pools]
            given = np.minimum(given, self._would_do(takes, audience))
            self._take(given, takes, audience)
        upto = np.cumsum(asked, axis=-1)
        upto = upto - (upto[..., self.starts] - asked[..., self.starts])[..., self.pool]  # within the pool
        share = given[..., self.pool] / np.maximum(total, 1e-12)[..., self.pool]
        part, before = upto * share, (upto - asked) * share
        if self.is_drawn:
            chance = 1e-9 + (1 - 1e-6) * self.rng.random(given.shape)[..., self.pool]
            part, before = np.floor(part + chance), np.floor(before + chance)
        self.served[..., self.mine, lane] += np.minimum(part - before, asked).astype(self.waiting.dtype)
        self.free[..., self.pools] -= given

    def _would_do(self, takes: Numbers, audience: Counts) -> Numbers:
        """Say for how many places the minutes left would do: whole ones where they are drawn."""
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(takes > 0, self.left[..., audience, :] / takes, np.inf).min(axis=-1)
        enough = np.maximum(each, 0)
        return np.asarray(np.floor(enough + 1e-9) if self.is_drawn else enough)

    def _take(self, given: Any, takes: Numbers, audience: Counts) -> None:  # noqa: ANN401
        self.left[..., audience, :] -= given[..., None] * takes
