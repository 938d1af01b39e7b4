"""The manifest of a run whose stages are stand-ins: everything a door reads of it, and nothing counted."""

from __future__ import annotations

import json


def bare_manifest(run_id: str) -> str:
    """Give ``run_manifest.json`` of a run that read and placed nobody."""
    nothing = {name: [] for name in ("inputs", "people", "withheld", "placements", "held")}
    return json.dumps({"run_id": run_id, "verdicts": {}, "code_version": "0", "rules": {"digest": ""}, **nothing})
