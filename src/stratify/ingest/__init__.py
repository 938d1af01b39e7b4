"""From extract files to pseudonymised core tables, in four steps, each refusing what it cannot stand behind.

``gather_files`` checks extract sets whole, ``land`` rows, ``build_core`` people, ``match_codes`` codes. Belongs here:
everything between a supplier's file and ``core.*``. Does not belong: verdicts on tables (``quality``) and anything
clinical. The store must have the databases ``landing`` and ``identity`` attached; only they hold NHS numbers.
"""

from __future__ import annotations

from pathlib import Path

from stratify.ingest.activity import take_in_activity
from stratify.ingest.checks import judged_rules
from stratify.ingest.codematch import match_codes
from stratify.ingest.core import build_core
from stratify.ingest.damaged_codes import count_damaged_codes, said_with_a_stop
from stratify.ingest.door import Door, open_door
from stratify.ingest.extract_sets import gather_files
from stratify.ingest.feeds import LostFeed, Refused
from stratify.ingest.files import OPTIONAL_TABLES, InputFile, inspect_files
from stratify.ingest.onward import Onward
from stratify.ingest.rows import FileAccount, land
from stratify.ingest.sources import SOURCES, Source
from stratify.ingest.spelling import count_respelled

__all__ = [
    "OPTIONAL_TABLES",
    "SOURCES",
    "Door",
    "FileAccount",
    "InputFile",
    "LostFeed",
    "Onward",
    "Refused",
    "Source",
    "build_core",
    "count_damaged_codes",
    "count_respelled",
    "gather_files",
    "inspect_files",
    "judged_rules",
    "land",
    "match_codes",
    "open_door",
    "prepare_files",
    "said_with_a_stop",
    "take_in_activity",
]


def prepare_files(folder: Path, source: Source, scratch: Path) -> Path:
    """Bring the files of a source into the canonical layout.

    Args:
        folder: The files as they came.
        source: Where they come from.
        scratch: A folder inside the restricted area that ends with the run.

    Returns:
        The folder to inspect: the same one for a source in the canonical layout already.
    """
    return source.read(folder, scratch) if source.read else folder
