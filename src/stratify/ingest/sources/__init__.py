"""The sources an extract can come from, and what each can never supply.

Belongs here: one entry per source. A source whose files have another layout gets a module of its own in this folder
with ``prepare(folder, scratch) -> folder``, named in its entry as ``read``: it writes the canonical landing tables as
Parquet into ``scratch``, each with the extra columns ``source_file_name`` and ``source_line``, so that ``explain`` can
point at the original file and row. Does not belong: checks of files and rows, which are the same for every source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stratify.ingest.sources import synthea


@dataclass(frozen=True)
class Source:
    """Where an extract comes from.

    ``needs_manifest``: every file must be named in ``manifest.csv``. ``not_supplied``: landing tables it never has.
    ``may_lack``: tables it has only at times. ``read``: turns its files into the canonical layout; None where they
    have it already.
    """

    name: str
    is_synthetic: bool
    needs_manifest: bool
    description: str
    not_supplied: tuple[str, ...] = ()
    may_lack: tuple[str, ...] = ()
    read: Callable[[Path, Path], Path] | None = None


_ALL = (
    Source(
        name="canonical",
        is_synthetic=False,
        needs_manifest=True,
        description="Real extracts in the canonical layout: the tables of data_contracts/landing with manifest.csv.",
    ),
    Source(
        name="synthetic_county",
        is_synthetic=True,
        needs_manifest=True,
        description="Invented people in the canonical layout, as stratify synth writes them.",
    ),
    Source(
        name="synthea",
        is_synthetic=True,
        needs_manifest=False,
        description="Synthea CSV files, plain or gzipped: invented people. Practice, registrations and clinics are "
        "marked stand-ins; no NHS numbers, so no hospital data is linked.",
        not_supplied=("apc_episode", "op_attendance", "ed_attendance", "death", "patient_flag", "opt_out"),
        may_lack=("gp_observation", "gp_medication"),
        read=synthea.read,
    ),
)

SOURCES: dict[str, Source] = {source.name: source for source in _ALL}
