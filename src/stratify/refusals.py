"""A delivery that leads to no run leaves a report for its supplier, and the message on the terminal names it.

    out/refused/<index date>/supplier_report_<index date>.xlsx, .html

Belongs here: when such a report is written, and where. Does not belong: what it says (``publish``), who refuses
(``ingest``, ``pipeline``). Nothing below ``published`` is touched. A second refusal on the same day takes the place of
the first; nothing is deleted when a later run passes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stratify import publish
from stratify.errors import ExtractError, QualityError, RunError, StratifyError, with_advice
from stratify.publish import Delivery
from stratify.runs import Plan, chosen_source, without_values
from stratify.settings import Settings
from stratify.store import open_store

UNFIT = "data quality"
"""Where a fault is said to be that a verdict on the data raised; other QualityErrors are about our own rules."""


@contextmanager
def supplier_told(settings: Settings, *, out: Path | None = None) -> Iterator[None]:
    """Write the supplier's report when extract files are refused or their rows stop the run, and add where it is.

    Args:
        settings: Of the run; ``out`` is the folder it is built in.
        out: The folder the report goes below, when it is another one.

    Raises:
        ExtractError, QualityError: as raised inside, with the path of the report in what to do.
    """
    refused: StratifyError | None = None
    try:
        yield
    except ExtractError as fault:
        refused = fault
    except QualityError as fault:
        if fault.where != UNFIT:
            raise
        refused = fault
    if refused is not None:  # outside, so that what is raised has nothing chained to it
        raise with_advice(refused, _written(settings, out or settings.out, refused))


def delivery_of(plan: Plan) -> Delivery:
    """Give what the report of a run says of its delivery."""
    return _delivery(plan.settings, run_id=plan.run_id, is_test=plan.is_test)


def refusals_of(plan: Plan) -> list[ExtractError]:
    """Give why feeds of a run were refused that it could do without."""
    return [refusal.as_error() for each in plan.lost for refusal in each.refusals]


def _delivery(settings: Settings, *, run_id: str | None, is_test: bool) -> Delivery:
    source = chosen_source(settings)
    return Delivery(
        run_id=run_id,
        index_date=settings.index_date,
        source=source.name,
        organisation=settings.organisation,
        contact=settings.contact,
        is_test=is_test,
    )


def _written(settings: Settings, out: Path, fault: StratifyError) -> str:
    """Write the report and say where; a fault in doing so is told and hides nothing."""
    if not settings.extracts.is_dir():
        return "There is no delivery to report on."
    try:
        workbook = _write(settings, out, fault)
    except (OSError, RunError) as other:
        reason = other.strerror if isinstance(other, OSError) else other.found
        return f"The report for the supplier could not be written ({reason})."
    return f"For the supplier: {workbook}, and the page beside it; places only, no patient data."


@without_values
def _write(settings: Settings, out: Path, fault: StratifyError) -> Path:
    restricted = settings.out / "runs" / "building" / "restricted"
    landed = restricted / "run.duckdb"
    if isinstance(fault, QualityError) and landed.is_file():
        plan = Plan.model_validate_json((restricted / "plan.json").read_text(encoding="utf-8"))
        with open_store(landed, temp_directory=restricted / "scratch", read_only=True) as store:
            report = publish.report_of_rows(delivery_of(plan), store, is_stopped=True, refused=refusals_of(plan))
    else:
        is_test = chosen_source(settings).is_synthetic
        delivery = _delivery(settings, run_id=None, is_test=is_test)
        report = publish.report_of_refusal(delivery, fault, settings.extracts)
    folder = out / "refused" / settings.index_date.isoformat()
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    workbook, _ = publish.write_supplier_report(fresh, report)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return folder / workbook.name
