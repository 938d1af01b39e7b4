"""What a broken file of a declared source takes with it: the landing tables that are made with it.

Belongs here: whose fault a fault of a set is, and which tables go without it. Does not belong: finding faults
(``finding``, ``staging``), which tables a run can do without (``ingest.feeds``).
"""

from __future__ import annotations

from collections.abc import Sequence

from stratify.declarations import Declaration
from stratify.errors import ExtractError, StratifyError, combine
from stratify.ingest.feeds import INDISPENSABLE, Faults
from stratify.ingest.sources.loading import files_behind


class Losses:
    """The files of one set that are not read, and the landing tables that are not made for want of them."""

    def __init__(self, declaration: Declaration) -> None:
        self._declaration = declaration
        self.faults: list[StratifyError] = []
        self.kinds = set[str]()
        self.tables: Faults = {}

    def note(self, faults: Sequence[StratifyError]) -> None:
        """Note faults of files that a run can do without.

        Raises:
            ExtractError: one is of the set, or of a file that says who people are; all so far are listed.
        """
        self.faults += faults
        for fault in faults:
            kind = self._kind_of(fault)
            tables = [each for each in self._declaration.tables if kind in files_behind(self._declaration, each)]
            if kind is None or not tables or not isinstance(fault, ExtractError) or INDISPENSABLE & {*tables}:
                raise combine(self.faults)
            self.kinds.add(kind)
            for table in tables:
                self.tables.setdefault(table, []).append(fault)

    def _kind_of(self, fault: StratifyError) -> str | None:
        name = fault.where.partition(", ")[0]
        files = self._declaration.files.items()
        return next((kind for kind, file in files if name == file.name or file.pattern.fullmatch(name)), None)
