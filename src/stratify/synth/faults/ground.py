"""The ground faults are put into: one practice's share of one extract, as it is written and as it is meant.

Here: choosing rows by chance, changing them in the one or the other, leaving out, adding, and an account of every row
touched. A row is touched by one fault at most, so that what is meant stays plain. What a fault does belongs to the
modules beside this one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl

from stratify.errors import RunError
from stratify.synth.columns import Flags, Ints
from stratify.synth.faults.catalogue import FAULTS, Expects, Fault
from stratify.synth.known import key_of

Tables = dict[str, pl.DataFrame]
"""Text frames by landing table."""
Value = str | pl.Expr | None
"""One text for all rows chosen, or an expression over them."""

TOUCH_SCHEMA: Mapping[str, type[pl.DataType]] = dict.fromkeys(
    ("fault", "table", "key", "org_code", "source_patient_id", "nhs_number", "words", "expects"), pl.String
)
"""One row per row touched: ``key`` is its key as the clean county has it, values joined by ``|``; so are the ids."""

DRAW = "_draw"
"""Column of rows chosen: a random whole number each."""


@dataclass(frozen=True)
class Scene:
    """What a fault may know of one practice's share of one extract.

    ``rng`` is the fault's own for this practice and extract. ``seed`` is the county's: what befalls a whole practice is
    drawn from it, so that every share agrees on which practices are hit. ``previous_cutoff`` is None for a bulk.
    """

    practice_code: str
    practice_codes: tuple[str, ...]
    week: int
    cutoff: date
    previous_cutoff: date | None
    rng: np.random.Generator
    seed: int = 0


@dataclass(frozen=True)
class Picked:
    """Rows chosen: where they stand in their table, and as they are, with ``DRAW``."""

    table: str
    places: Ints
    rows: pl.DataFrame

    def __len__(self) -> int:
        """How many."""
        return len(self.places)

    def only(self, so: pl.Expr) -> Picked:
        """Give those for which it is so."""
        if not len(self):
            return self
        kept = self.rows.select(so.fill_null(False).alias("so")).to_series()
        return Picked(self.table, self.places[kept.to_numpy()], self.rows.filter(kept))


def in_turn(*choices: str | None) -> pl.Expr:
    """Give each row chosen one of some texts."""
    return pl.col(DRAW).mod(len(choices)).replace_strict(dict(enumerate(choices)), return_dtype=pl.String)


def form(number: int, forms: int) -> pl.Expr:
    """Say of each row chosen whether its turn is that of one of several forms."""
    return pl.col(DRAW).mod(forms) == number


def touched(fault: Fault, table: str, rows: pl.DataFrame, words: Value, expects: Expects) -> pl.DataFrame:
    """Give the account of rows of a table (``TOUCH_SCHEMA``)."""
    key = [pl.col(name).fill_null("") for name in key_of(table)]
    said = pl.lit(words or fault.name) if not isinstance(words, pl.Expr) else words
    ids = [
        pl.col(name) if name in rows.columns else pl.lit(None, pl.String).alias(name)
        for name in ("org_code", "source_patient_id", "nhs_number")
    ]
    return rows.select(
        pl.lit(fault.id).alias("fault"),
        pl.lit(table).alias("table"),
        pl.concat_str(key, separator="|").alias("key"),
        *ids,
        said.alias("words"),
        pl.lit(expects).alias("expects"),
    )


@dataclass
class _Table:
    """One table while faults are put in."""

    written: pl.DataFrame
    meant: pl.DataFrame
    used: Flags
    changes: dict[tuple[bool, str], list[tuple[Ints, pl.Series]]]
    gone: dict[bool, list[Ints]]
    more: dict[bool, list[tuple[Ints | None, pl.DataFrame]]]
    sent_again: list[pl.DataFrame]


class Ground:
    """Everything of one share; ``site`` gives the view that one fault has of it."""

    def __init__(
        self,
        written: Tables,
        meant: Tables,
        *,
        rates: Mapping[str, float],
        scene_of: Callable[[str], Scene],
        history: Tables | None,
        touched_before: pl.DataFrame | None,
    ) -> None:
        uneven = [name for name, frame in written.items() if name not in meant or meant[name].height != frame.height]
        if uneven or len(meant) != len(written):
            raise RunError(
                "synthetic county, faults",
                expected="written and meant to begin as the same rows",
                found=f"a difference in {', '.join(uneven) or 'the tables'}",
                action="This is a fault of the county's engine: report it.",
            )
        self.rates, self.scene_of = rates, scene_of
        self.history: Tables = history or {}
        self.touched_before = touched_before
        self.tables = {
            name: _Table(frame, meant[name], np.zeros(frame.height, dtype=np.bool_), {}, {}, {}, [])
            for name, frame in written.items()
        }
        self.touches: list[pl.DataFrame] = []
        self.afterwards: list[Callable[[Tables, Tables], None]] = []

    def site(self, id: str) -> Site:
        """Give one fault's view."""
        return Site(self, FAULTS[id], self.scene_of(id))

    def result(self) -> tuple[Tables, Tables, pl.DataFrame]:
        """Give what is written, what is meant, and the account of the rows touched."""
        written = {name: _assembled(name, table, is_written=True) for name, table in self.tables.items()}
        meant = {name: _assembled(name, table, is_written=False) for name, table in self.tables.items()}
        for act in self.afterwards:
            act(written, meant)
        return written, meant, pl.concat([pl.DataFrame(schema=TOUCH_SCHEMA), *self.touches])


class Site:
    """One fault's view of the ground: it chooses rows and says what becomes of them."""

    def __init__(self, ground: Ground, fault: Fault, scene: Scene) -> None:
        self.ground, self.fault, self.scene = ground, fault, scene
        self.rate = ground.rates[fault.id]

    # ------------------------------------------------------------------------------------------------- choosing

    @property
    def is_delta(self) -> bool:
        """True where the extract holds only what became known since the one before."""
        return self.scene.previous_cutoff is not None

    @cached_property
    def hit(self) -> tuple[str, ...]:
        """Practices the fault befalls as a whole: the first always does, and the same in every share and week."""
        return self._hit("")

    @cached_property
    def hit_this_week(self) -> tuple[str, ...]:
        """Practices the fault befalls in this extract; the first always does in the first weekly one."""
        return self._hit(f"|{self.scene.week}", is_first_sure=self.scene.week == 1)

    def _hit(self, more: str, *, is_first_sure: bool = True) -> tuple[str, ...]:
        def chance(code: str) -> float:
            drawn = hashlib.sha256(f"{self.scene.seed}|{self.fault.id}|{code}{more}".encode()).digest()
            return int.from_bytes(drawn[:8]) / 2**64

        return tuple(
            code
            for place, code in enumerate(self.scene.practice_codes)
            if chance(code) < self.rate or (is_first_sure and place == 0)
        )

    def frame(self, table: str) -> pl.DataFrame:
        """Give a table as it was before any fault; empty where there is none."""
        held = self.ground.tables.get(table)
        return pl.DataFrame() if held is None else held.written

    def seen(self, table: str) -> pl.DataFrame:
        """Give everything of a table that a reader has by now: earlier extracts with this one laid over them."""
        now, before = self.frame(table), self.ground.history.get(table)
        if before is None or before.is_empty() or not self.is_delta:
            return now
        if now.is_empty():
            return before
        return pl.concat([before, now]).unique(key_of(table), keep="last", maintain_order=True)

    def able(self, table: str, among: pl.Expr | None = None) -> Ints:
        """Give where the rows are that could have the fault: neither deleted nor touched by another."""
        held = self.ground.tables.get(table)
        if held is None or held.written.is_empty():
            return np.zeros(0, dtype=np.int64)
        so = pl.lit(True) if among is None else among.fill_null(False)
        if "is_deleted" in held.written.columns:
            so = so & pl.col("is_deleted").ne_missing("true")
        free = pl.Series("free", ~held.used)
        return held.written.select((pl.lit(free) & so).arg_true()).to_series().to_numpy().astype(np.int64)

    def draw(self, count: int) -> Ints:
        """Choose by chance among so many, each at the rate; at least one where that is due."""
        scene = self.scene
        wanted = int(scene.rng.binomial(count, self.rate)) if count else 0
        is_due = scene.practice_code == scene.practice_codes[0] and scene.week == int(self.fault.needs_weeks)
        if not wanted and is_due and count:
            wanted = 1
        return np.sort(scene.rng.choice(count, size=wanted, replace=False)).astype(np.int64)

    def take(self, table: str, places: Ints) -> Picked:
        """Take rows, so that no other fault does; they are not noted yet."""
        held = self.ground.tables.get(table)
        if held is None or not len(places):
            return Picked(table, np.zeros(0, dtype=np.int64), pl.DataFrame())
        held.used[places] = True
        draws = self.scene.rng.integers(0, 10**6, len(places))
        return Picked(table, places, held.written[places].with_columns(pl.Series(DRAW, draws)))

    def pick(
        self,
        table: str,
        among: pl.Expr | None = None,
        *,
        words: Value = None,
        stays: bool = False,
        is_noted: bool = True,
    ) -> Picked:
        """Choose rows by chance, take them and note them.

        Args:
            table: Landing table.
            among: Which rows could have it; all where it is None.
            words: What is said of them; the fault's name where it is None.
            stays: The fault stays: a row that had it in an earlier extract has it whenever it is sent again.
            is_noted: False where the caller narrows the choice before noting it.
        """
        able = self.able(table, among)
        places = able[self.draw(len(able))]
        if stays:
            places = np.union1d(places, self.had_it_before(table))
        picked = self.take(table, places)
        if is_noted:
            self.note(picked, words)
        return picked

    def had_it_before(self, table: str) -> Ints:
        """Give where the rows are that had the fault in an earlier extract."""
        earlier = self.ground.touched_before
        able = self.able(table)
        if earlier is None or not len(able):
            return able[:0]
        keys = earlier.filter((pl.col("fault") == self.fault.id) & (pl.col("table") == table))["key"]
        if keys.is_empty():
            return able[:0]
        own = touched(self.fault, table, self.frame(table)[able], None, "as_meant")["key"]
        had_it: Ints = able[own.is_in(keys.implode()).to_numpy()]
        return had_it

    def pick_past(self, table: str, among: pl.Expr | None = None, *, words: Value = None) -> pl.DataFrame:
        """Choose rows of earlier extracts by chance and note them; none that this extract sends anyhow."""
        before = self.ground.history.get(table)
        if before is None or before.is_empty() or table not in self.ground.tables:
            return pl.DataFrame()
        able = before if among is None else before.filter(among.fill_null(False))
        if able.is_empty():
            return pl.DataFrame()
        chosen = self.not_sent(table, able[self.draw(able.height)])
        if chosen.is_empty():
            return pl.DataFrame()
        chosen = chosen.with_columns(pl.Series(DRAW, self.scene.rng.integers(0, 10**6, chosen.height)))
        self.send_again(table, chosen)
        self.note_rows(table, chosen, words)
        return chosen

    def not_sent(self, table: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Give those rows whose key this extract does not send."""
        key = list(key_of(table))
        held = self.ground.tables[table]
        left = rows.join(held.written.select(key), on=key, how="anti", maintain_order="left")
        for again in held.sent_again:
            left = left.join(again, on=key, how="anti", maintain_order="left")
        return left

    def send_again(self, table: str, rows: pl.DataFrame) -> None:
        """Remember that this extract sends rows of earlier ones."""
        self.ground.tables[table].sent_again.append(rows.select(key_of(table)))

    # -------------------------------------------------------------------------------------------------- noting

    def note(self, picked: Picked, words: Value = None, *, expects: Expects | None = None) -> None:
        """Note rows taken."""
        if len(picked):
            self.note_rows(picked.table, picked.rows, words, expects=expects)

    def note_rows(self, table: str, rows: pl.DataFrame, words: Value = None, *, expects: Expects | None = None) -> None:
        """Note rows that need not be in this extract."""
        if not rows.is_empty():
            self.ground.touches.append(touched(self.fault, table, rows, words, expects or self.fault.expects))

    # ------------------------------------------------------------------------------------------------- changing

    def write(self, picked: Picked, **columns: Value) -> None:
        """Change what is written of rows taken."""
        self._change(picked, columns, is_written=True)

    def mean(self, picked: Picked, **columns: Value) -> None:
        """Change what is meant by rows taken."""
        self._change(picked, columns, is_written=False)

    def both(self, picked: Picked, **columns: Value) -> None:
        """Change what is written and is meant so."""
        self.write(picked, **columns)
        self.mean(picked, **columns)

    def _change(self, picked: Picked, columns: Mapping[str, Value], *, is_written: bool) -> None:
        if not len(picked):
            return
        changes = self.ground.tables[picked.table].changes
        for name, value in columns.items():
            values = pl.lit(value, pl.String) if not isinstance(value, pl.Expr) else value.cast(pl.String)
            held = picked.rows.with_columns(values.alias("_value"))["_value"]
            changes.setdefault((is_written, name), []).append((picked.places, held))

    def leave_out(self, picked: Picked, *, written: bool = False, meant: bool = True) -> None:
        """Leave rows taken out of what is meant, or of what is written."""
        for is_written, is_so in ((True, written), (False, meant)):
            if is_so and len(picked):
                self.ground.tables[picked.table].gone.setdefault(is_written, []).append(picked.places)

    def add(
        self,
        table: str,
        rows: pl.DataFrame,
        changes: Mapping[str, Value] | None = None,
        *,
        written: bool = True,
        meant: bool = True,
        beside: Ints | None = None,
    ) -> None:
        """Add rows to what is written or meant, changed so; ``beside`` are the rows of the same keys."""
        if rows.is_empty():
            return
        held = self.ground.tables[table]
        changed = rows.with_columns(
            (pl.lit(value, pl.String) if not isinstance(value, pl.Expr) else value.cast(pl.String)).alias(name)
            for name, value in (changes or {}).items()
        ).select(held.written.columns)
        for is_written, is_so in ((True, written), (False, meant)):
            if is_so:
                held.more.setdefault(is_written, []).append((beside, changed))


def _assembled(name: str, table: _Table, *, is_written: bool) -> pl.DataFrame:
    frame = table.written if is_written else table.meant
    columns = []
    for (for_written, column), changes in table.changes.items():
        if for_written == is_written:
            places = np.concatenate([each for each, _ in changes])
            values = pl.concat([each for _, each in changes])
            columns.append(frame[column].clone().scatter(places, values).alias(column))
    frame = frame.with_columns(columns)
    kept = np.ones(frame.height, dtype=np.bool_)
    for gone in table.gone.get(is_written, ()):
        kept[gone] = False
    more = table.more.get(is_written, [])
    if not more:
        return frame if kept.all() else frame.filter(pl.Series(kept))
    places = np.flatnonzero(kept)
    rows = np.concatenate([places, np.arange(frame.height, frame.height + sum(each.height for _, each in more))])
    frame = pl.concat([frame, *(each for _, each in more)])
    if any(beside is None for beside, _ in more):
        return frame[rows].sort(key_of(name), maintain_order=True, nulls_last=True)
    # A row added comes right behind the one it stands beside, whose key it has.
    order = np.concatenate([2 * places, *(2 * beside + 1 for beside, _ in more if beside is not None)])
    return frame[rows[np.argsort(order, kind="stable")]]
