"""The sources an extract can come from, and what each can never supply.

Belongs here: one entry per source. A source whose files have another layout is a declaration, a YAML file in this
folder or a site's own (``stratify.declarations`` says what may stand in it, docs/sources.md how to write one); its
files become the canonical landing tables as Parquet, each row with ``source_file_name`` and ``source_line``, so that
``explain`` can point at the original file and row. Synthea, older than this language, is read by a module. Does not
belong: checks of rows, which are the same for every source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Protocol

from stratify.declarations import Declaration
from stratify.errors import SettingsError
from stratify.ingest.feeds import Faults
from stratify.ingest.sources import recognising, synthea
from stratify.ingest.sources.loading import ENDING, Loaded, load_declaration, our_declarations
from stratify.ingest.sources.reading import SetReader, read_declared


class ReadSet(Protocol):
    """Turns the files of a folder into the canonical layout in another; ``apart`` as :class:`SetReader` has it."""

    def __call__(self, folder: Path, scratch: Path, *, apart: Faults | None = None) -> Path: ...


class ReadOne(Protocol):
    """The same for one of several folders that are known already."""

    def __call__(self, folder: Path, *, apart: Faults | None = None) -> Path: ...


@dataclass(frozen=True)
class Source:
    """Where an extract comes from.

    ``needs_manifest``: every file must be named in ``manifest.csv``. ``not_supplied``: landing tables it never has.
    ``may_lack``: tables it has only at times. ``read``: turns its files into the canonical layout; None where they
    have it already. ``read_sets``: the same for a folder of several sets, oldest first, of which some may hold changes
    only: gives what reads one of them. ``declaration``: what its files look like, where a declaration says so.
    """

    name: str
    is_synthetic: bool
    needs_manifest: bool
    description: str
    not_supplied: tuple[str, ...] = ()
    may_lack: tuple[str, ...] = ()
    read: ReadSet | None = None
    read_sets: Callable[[Sequence[Path], Path], ReadOne] | None = None
    declaration: Declaration | None = None


_OTHERS = (
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


class _Sources(Mapping[str, Source]):
    """Every source by name; the path of a declaration file gives the source it declares."""

    def __init__(self) -> None:
        self._others = {source.name: source for source in _OTHERS}
        self._paths = {path.name.removesuffix(ENDING): path for path in our_declarations()}

    def __getitem__(self, name: str) -> Source:
        if name in self._others:
            return self._others[name]
        if name in self._paths:
            return _ours(self._paths[name])
        if name.endswith(ENDING):
            return _declared(load_declaration(Path(name)))
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in self._others or name in self._paths or (isinstance(name, str) and name.endswith(ENDING))

    def __iter__(self) -> Iterator[str]:
        return iter(sorted((*self._others, *self._paths)))

    def __len__(self) -> int:
        return len(self._others) + len(self._paths)


def _declared(loaded: Loaded) -> Source:
    declaration = loaded.declaration
    return Source(
        name=declaration.name,
        is_synthetic=declaration.is_synthetic,
        needs_manifest=False,
        description=declaration.description,
        not_supplied=declaration.not_supplied,
        may_lack=declaration.may_lack,
        read=partial(read_declared, loaded=loaded, source_name=declaration.name),
        read_sets=partial(_read_sets, loaded=loaded, source_name=declaration.name),
        declaration=declaration,
    )


def _read_sets(folders: Sequence[Path], scratch: Path, *, loaded: Loaded, source_name: str) -> ReadOne:
    places = [scratch / folder.name for folder in folders]
    return SetReader(folders, places, loaded=loaded, source_name=source_name).read


@cache
def _ours(path: Path) -> Source:
    return _declared(load_declaration(path))


SOURCES: Mapping[str, Source] = _Sources()
"""Every source by name, or by the path of a declaration (``.yaml``)."""


def check_source(folder: Path, name: str | None = None) -> tuple[str, bool]:
    """Say which source a folder looks like, and what will not fit; no row is read and no value shown.

    Args:
        folder: The files as they came.
        name: A source, or the path of a declaration, to compare with alone; None for all that come with stratify.

    Returns:
        What to show, and whether the folder fits one source.

    Raises:
        ExtractError: there is no such folder.
        SettingsError: there is no source of that name, or its declaration is wrong.
    """
    if name is not None and name not in SOURCES:
        raise SettingsError(
            "source",
            expected=f"one of {', '.join(SOURCES)}, or the path of a declaration ({ENDING})",
            found="another name",
            action="Correct --source.",
        )
    chosen = SOURCES if name is None else {SOURCES[name].name: SOURCES[name]}
    return recognising.check_folder(folder, chosen)
