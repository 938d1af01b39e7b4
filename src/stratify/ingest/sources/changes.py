"""What a set of changes changes: rows that take the place of others, rows that look up something new, rows that go.

Belongs here: which row of several sets stands, and the names under which a declaration's words find it, as things are
with the set and as they were before it. Does not belong: staging (``staging``), what the words mean (``wording``),
which version of a landing row holds (``ingest.versions``).

A set of changes holds the rows that changed, file by file. What is made of them also depends on rows that did not: an
entry on the dictionary of an earlier set, an address on the patient it belongs to. So the sets are staged one after
the other, and of each file ``found_<file>`` holds what stands by now. A landing row goes into a set of changes if its
own row came in it, if it would be made otherwise than before, or, as withdrawn, if it would be made no longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stratify import contracts
from stratify.declarations import Declaration
from stratify.ingest.sources.functions import FUNCTIONS
from stratify.ingest.sources.loading import searches
from stratify.ingest.sources.staging import Staged, define_rows
from stratify.ingest.sources.wording import State, found, identifier, left_out_reason, raw, rows, text
from stratify.store import Store


@dataclass(frozen=True)
class _Piece:
    """The rows of one kind of file in one set: the view that has them, and the folder of the set."""

    view: str
    set_name: str


class Standing:
    """The rows of a source over its sets in order, as they stand after the set defined last."""

    def __init__(self, store: Store, declaration: Declaration, used: Mapping[str, set[str]]) -> None:
        self._store, self._declaration = store, declaration
        self._used = {kind: sorted(used[kind]) for kind, file in declaration.files.items() if file.not_read is None}
        self._pieces: dict[str, list[_Piece]] = {kind: [] for kind in self._used}
        self._set = 0
        self._first_number = 0
        self._is_first = True
        self._has_old: dict[str, bool] = {}

    def define(self, set_name: str, staged: Sequence[Staged], deltas: frozenset[str], *, first_number: int) -> None:
        """Take in the next set: its rows, and what they do to those before it.

        Args:
            set_name: Its folder, to say in later sets where a row came from.
            staged: Its files, numbered on from those of the sets before.
            first_number: The number that its first file has, or would have.
            deltas: Kinds of file of which it holds changes only.
        """
        self._set += 1
        self._is_first = not any(self._pieces.values()) or not deltas
        self._first_number = first_number
        here = {one.kind for one in staged}
        self._store.execute("BEGIN")  # some hundred statements, each of which would be written to disk by itself
        for kind in self._used:
            view = identifier(f"set_{self._set}_{kind}")
            define_rows(self._store, view, [one for one in staged if one.kind == kind], self._used[kind])
            self._view(raw(kind), f"FROM {view}")
            is_change = kind in deltas or (bool(deltas) and kind not in here)
            self._take_in(kind, _Piece(view, set_name), is_change=is_change)
        self._has_old = dict.fromkeys(self._used, False)
        if not self._is_first:
            self._find_changed()
            self._find_old()
        for state in self._states():
            self._define_rows(state)
        self._store.execute("COMMIT")

    @property
    def has_before(self) -> bool:
        """Whether there is anything that the set changes."""
        return not self._is_first

    def is_known(self, kind: str) -> bool:
        """Say whether any set has had a file of a kind."""
        return bool(self._pieces.get(kind))

    def emitted(self, table: str, made: str, made_before: str) -> str:
        """Write the rows of a landing table that a set of changes has.

        Args:
            table: Without its layer.
            made: The query of its rows as things are, with ``_file``, ``_line`` and ``_name``.
            made_before: The same of the rows before the set.
        """
        parts = self._declaration.tables[table]
        if not any(self._has_old.get(part.file, True) for part in parts):  # of what several files make nobody knows
            return made
        contract = contracts.load(f"landing.{table}")
        names, key = contract.column_names, contract.key
        columns = ", ".join(identifier(name) for name in names)
        place = "_file, _line, _name"
        same = " AND ".join(f"o.{identifier(name)} IS NOT DISTINCT FROM n.{identifier(name)}" for name in names)
        same_key = " AND ".join(f"o.{identifier(name)} = n.{identifier(name)}" for name in key)
        filled = " AND ".join(f"o.{identifier(name)} IS NOT NULL" for name in key)
        keys = ", ".join(f"o.{identifier(name)}" for name in key)
        is_here = f"n._file >= {self._first_number}"
        for name, query in (("made_now", made), ("made_before", made_before)):
            self._store.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
        gone = ""
        if "is_deleted" in names:
            withdrawn = columns.replace(identifier("is_deleted"), "'true' AS is_deleted")
            gone = (
                f" UNION ALL SELECT {withdrawn}, {place} FROM made_before AS o WHERE {filled} "
                f"AND coalesce(o.is_deleted, '') <> 'true' "
                f"AND NOT EXISTS (SELECT 1 FROM made_now AS n WHERE {same_key}) "
                f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY _file DESC, _line DESC) = 1"
            )
        return (
            f"SELECT {columns}, {place} FROM made_now AS n WHERE {is_here} UNION ALL "
            f"SELECT {columns}, {place} FROM made_now AS n WHERE NOT {is_here} "
            f"AND NOT EXISTS (SELECT 1 FROM made_before AS o WHERE {same}){gone}"
        )

    def _states(self) -> tuple[State, ...]:
        return ("",) if self._is_first else ("", "before_")

    def _view(self, name: str, sql: str) -> None:
        self._store.execute(f"CREATE OR REPLACE VIEW {name} AS {sql}")

    # Which row stands

    def _take_in(self, kind: str, piece: _Piece, *, is_change: bool) -> None:
        earlier, replaced = self._pieces[kind], identifier(f"replaced_{kind}")
        if self._is_first:
            self._pieces[kind] = [piece]
            self._view(found(kind), f"FROM {piece.view}")
            return
        self._store.execute(
            f"CREATE TABLE IF NOT EXISTS {identifier(f'gone_{kind}')} (_file INT, _line BIGINT, by_set INT)"
        )
        self._view(found(kind, "before_"), self._union(kind, earlier, upto=self._set - 1))
        before, gone = found(kind, "before_"), identifier(f"gone_{kind}")
        of_key = "true"
        if is_change:
            keys = ", ".join(identifier(name) for name in self._declaration.files[kind].key)
            of_key = f"({keys}) IN (SELECT ({keys}) FROM {raw(kind)})"
        self._store.execute(f"CREATE OR REPLACE TABLE {replaced} AS FROM {before} WHERE {of_key}")
        if is_change:
            self._store.execute(f"INSERT INTO {gone} SELECT _file, _line, {self._set} FROM {replaced}")
        self._pieces[kind] = [*earlier, piece] if is_change else [piece]
        self._view(found(kind), self._union(kind, self._pieces[kind], upto=self._set))

    def _union(self, kind: str, pieces: Sequence[_Piece], *, upto: int) -> str:
        """Write the rows of several sets that no later one took the place of, by the end of a set."""
        here = identifier(f"set_{self._set}_{kind}")
        parts = []
        for each in pieces:
            of = text(f" (row of {each.set_name})")
            name = "" if each.view == here else f" REPLACE (_name || {of} AS _name)"
            parts.append(f"SELECT *{name} FROM {each.view}")
        gone = f"SELECT _file, _line FROM {identifier(f'gone_{kind}')} WHERE by_set <= {upto}"
        return (
            f"SELECT p.* FROM ({' UNION ALL BY NAME '.join(parts)}) AS p ANTI JOIN ({gone}) AS g USING (_file, _line)"
        )

    # What looks up something that changed

    def _find_changed(self) -> None:
        wanted: dict[str, list[Mapping[str, str]]] = {}
        searched: dict[str, dict[str, list[Mapping[str, str]]]] = {kind: {} for kind in self._used}
        for kind, (other, match), _ in searches(self._declaration):
            if kind in searched and match not in searched[kind].get(other, []):
                searched[kind].setdefault(other, []).append(match)
                wanted.setdefault(other, []).append(match)
        changed = {other for other in wanted if self._note_changed(other)}
        for kind, others in searched.items():
            conditions = []
            for other, matches in others.items():
                for match in matches if other in changed else ():
                    ours = ", ".join(f"b.{identifier(name)}" for name in match)
                    theirs = ", ".join(identifier(name) for name in match.values())
                    conditions.append(f"({ours}) IN (SELECT ({theirs}) FROM {identifier(f'changed_{other}')})")
            where = " OR ".join(f"coalesce({each}, false)" for each in conditions) or "false"
            self._store.execute(
                f"CREATE OR REPLACE TABLE {identifier(f'touched_{kind}')} AS SELECT b.* "
                f"FROM {found(kind, 'before_')} AS b ANTI JOIN {identifier(f'replaced_{kind}')} AS r "
                f"USING (_file, _line) WHERE {where}"
            )

    def _find_old(self) -> None:
        """Note of which files rows of earlier sets are replaced or made again: only they were made otherwise before."""
        has_any = [
            f"EXISTS (FROM {identifier(f'replaced_{kind}')}) OR EXISTS (FROM {identifier(f'touched_{kind}')})"
            for kind in self._used
        ]
        found_any = self._store.rows(f"SELECT {', '.join(has_any)}")[0]
        self._has_old = {kind: bool(any_old) for kind, any_old in zip(self._used, found_any, strict=True)}

    def _note_changed(self, kind: str) -> bool:
        """Note the rows of a file that say something new, and those whose place they took; say whether any do."""
        columns = ", ".join(identifier(name) for name in self._used[kind])
        new, old = (f"SELECT {columns} FROM {name}" for name in (raw(kind), identifier(f"replaced_{kind}")))
        changed = identifier(f"changed_{kind}")
        self._store.execute(f"CREATE OR REPLACE TABLE {changed} AS ({new} EXCEPT {old}) UNION ALL ({old} EXCEPT {new})")
        return bool(self._store.scalar(f"SELECT count(*) FROM {changed}"))

    # The rows that tables are made of

    def _define_rows(self, state: State) -> None:
        for kind in self._used:
            reason = left_out_reason(self._declaration.files[kind], "r", state)
            base = raw(kind)
            if not self._is_first:
                own = raw(kind) if state == "" else identifier(f"replaced_{kind}")
                base = f"(FROM {own} UNION ALL BY NAME FROM {identifier(f'touched_{kind}')})"
            self._view(rows(kind, state), f"SELECT * FROM {base} AS r WHERE {reason} IS NULL")
            if any(kind in derived.of for derived in self._declaration.derived.values()):
                standing = f"SELECT * FROM {found(kind, state)} AS r WHERE {reason} IS NULL"
                self._view(identifier(f"{state}standing_{kind}"), standing)
        for kind, derived in self._declaration.derived.items():
            inputs = (identifier(f"{state}standing_{each}") for each in derived.of)
            name = raw(kind) if state == "" else identifier(f"{state}raw_{kind}")
            self._view(name, f"SELECT *, 0 AS _part FROM ({FUNCTIONS[derived.made_by].sql(*inputs)})")
            self._view(rows(kind, state), f"FROM {name}")
