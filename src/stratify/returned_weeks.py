"""The weeks that a run remembers side by side, in counts: what lists held, and what came back of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl

from stratify import kept_weeks
from stratify.errors import RunError

_LISTS = (("had a place", "listed"), ("waiting", "waiting"), ("offered self-management", "offered"))
_ANSWERS = ("accepted", "invited", "booked", "attended", "did_not_attend", "declined", "deferred", "not_appropriate",
            "offered", "activated", "concern", "disagreement")  # fmt: skip


def table(out: Path) -> str:
    """Give the weeks as lines of text, a column for each.

    Args:
        out: Output folder of a finished run.

    Raises:
        RunError: no week is kept there.
    """
    home = (out / "restricted").resolve() / kept_weeks.FOLDER
    weeks = sorted(path.name for path in home.iterdir()) if home.is_dir() else []
    if not weeks:
        raise RunError(
            f"output folder {out.name}", expected="a finished run", found="none", action="Run first, or correct it."
        )
    columns: list[dict[str, int]] = []
    seen: set[tuple[str, str]] = set()
    for week in weeks:
        rows = pl.read_parquet(home / week / "list_row.parquet", columns=["patient_key", "pathway", "placement"])
        rows = rows.filter(pl.col("placement").is_in([placement for _, placement in _LISTS]))
        people = set(rows.select("patient_key", "pathway").iter_rows())
        answers = pl.read_parquet(home / week / "answer.parquet").filter(pl.col("practice_code").is_not_null())
        counts = {"On a list or offered for the first time": len(people - seen)}
        counts |= {f"  {words}": rows.filter(pl.col("placement") == placement).height for words, placement in _LISTS}
        applied = answers.filter(pl.col("status") == "applied")
        counts["Answers taken in since the week before"] = applied.height
        counts |= {
            f"  {outcome.replace('_', ' ')}": applied.filter(pl.col("outcome") == outcome).height
            for outcome in _ANSWERS
        }
        counts["Known already"] = answers.filter(pl.col("status") == "already_known").height
        counts["Returned with a reason"] = answers.filter(pl.col("status") == "returned").height
        columns.append(counts)
        seen |= people
    shown = [name for name in columns[0] if any(each[name] for each in columns)]
    wide = max(len(name) for name in shown)
    heads = "".join(f"{date.fromisoformat(week):%d %b}".rjust(10) for week in weeks)
    return "\n".join(
        [
            "".ljust(wide) + heads,
            *(name.ljust(wide) + "".join(f"{each[name]:>10,}" for each in columns) for name in shown),
        ]
    )
