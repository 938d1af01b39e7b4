"""The run manifest as a file: same manifest, same bytes. What goes into it is for ``pipeline``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write a manifest as JSON with sorted keys, indented, ended by a newline; dates as ``2026-01-05``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(manifest, sort_keys=True, indent=2, ensure_ascii=False, default=_plain)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _plain(value: object) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"a manifest holds text, numbers, dates and paths; not {type(value).__name__}")
