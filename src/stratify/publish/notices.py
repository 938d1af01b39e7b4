"""What stands in the place of a list that is held: a notice that says why, how many people, and what to use meanwhile.

Direct care only, and nobody in it. Which lists are held was settled before.
"""

from __future__ import annotations

from pathlib import Path

from stratify.publish import words
from stratify.publish.context import PublishContext
from stratify.rules import Pathway


def notice_line(pathway: Pathway, reason: str, people: int) -> str:
    """Say in a line that a pathway's lists are held, for the cover of a list it shares with others."""
    return f"Held this week: {pathway.label}, {_people(people)}, and not on this list. {reason.rstrip('.')}."


def write_notice(
    path: Path, context: PublishContext, *, place: str, practice: str, held: list[tuple[Pathway, str, int]]
) -> None:
    """Write the notice of one clinic, worklist or offer of one practice.

    Args:
        path: The file to write; its folder is made.
        context: The run.
        place: The clinic, worklist or offer, in words.
        practice: The practice, in words.
        held: Each pathway held, why, and how many people of the practice that touches.
    """
    stamp = ["TEST: invented patients. Not for care.", ""] if context.is_test else []
    lines = [
        *stamp,
        f"{place}: held this week",
        practice,
        f"Week of {words.week_in_words(context.index_date)}, run {context.run_id}",
        "",
    ]
    for pathway, reason, people in held:
        lines += [
            f"There is no new list for the {pathway.label} pathway this week.",
            f"Why: {reason.rstrip('.')}.",
            f"Whom it touches: {_people(people)} of this practice on the pathway, as far as the data go. "
            "Somebody missing from the data is not counted.",
            "",
        ]
    lines += [
        "This is not an empty list. The last list you were sent stays valid: go on with it, and check each record",
        "before you call, since whoever died, left or objected since is still on it. Nobody loses a place by this: the",
        "next good list starts from everybody again. Lists of other pathways are published as usual.",
        f"Questions: {context.contact}.",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode("utf-8"))


def _people(number: int) -> str:
    return f"{number:,} {'person' if number == 1 else 'people'}"
