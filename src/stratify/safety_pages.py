"""The pages of ``docs/safety``: all of them, written or held against what the code and the definitions say now."""

from __future__ import annotations

from pathlib import Path

from stratify import data_flows, hazard_page, safety_case, transparency
from stratify.errors import ContractError
from stratify.evidence import Results
from stratify.rulebook import load_rule_book
from stratify.settings import Settings


def pages(*, settings: Settings | None = None, results: Results | None = None) -> dict[str, str]:
    """Give the pages: Markdown by file name; deterministic.

    Args:
        settings: Those of the deployment they are for; None for the software as it comes.
        results: What a run of the tests said, for the safety case.
    """
    clinical = settings.clinical if settings else None
    book = load_rule_book(clinical)
    return {
        "algorithmic-transparency.md": transparency.record_page(book, clinical),
        "data-flows.md": data_flows.page(settings),
        "hazard-log.md": hazard_page.page(),
        "intended-purpose.md": transparency.purpose_page(book, clinical),
        "safety-case.md": safety_case.page(book, results),
    }


def write(folder: Path, found: dict[str, str], *, check_only: bool = False) -> str:
    """Write the pages, or find out whether they are up to date.

    Raises:
        ContractError: some are out of date, and only that was asked.
    """
    if check_only:
        held = {name: (folder / name).read_text(encoding="utf-8") for name in found if (folder / name).is_file()}
        stale = sorted(name for name, text in found.items() if held.get(name) != text)
        if stale:
            raise ContractError(
                folder.name,
                expected="what hazards, controls, definitions and contracts say",
                found=f"something else in {', '.join(stale)}",
                action="Run `stratify safety docs docs/safety`.",
            )
        return f"{len(found)} pages are up to date."
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return f"{len(found)} pages are written."
