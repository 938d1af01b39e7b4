"""Which of a pathway's offers somebody is made: one in a language of theirs, that has a place left.

Sees one person at a time, in the order that ``routing`` calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stratify.rules import Offer


def choose_offer(
    offers: Sequence[Offer], language: str | None, take_place: Callable[[str], bool]
) -> tuple[Offer | None, str]:
    """Give the first offer that suits and has a place, or why there is none.

    An offer that names no languages suits everybody. Somebody whose language is not known is not kept from any, and is
    made one that names none first.

    Args:
        offers: The offers in the order in which they are tried.
        language: The language the person prefers (BCP-47).
        take_place: Takes a place of the offer of this id for the person; False when none is left.

    Returns:
        The offer and nothing, or None and the reason to wait in plain words.
    """
    suitable = [each for each in offers if _suits(each, language)]
    if language is None:
        suitable.sort(key=lambda each: bool(each.languages))
    for each in suitable:
        if not each.needs_places or take_place(each.id):
            return each, ""
    if suitable:
        return None, f"No place is left this week: {', '.join(each.label for each in suitable)}"
    return None, f"None of these is held in a language of this person: {', '.join(each.label for each in offers)}"


def _suits(offer: Offer, language: str | None) -> bool:
    return not offer.languages or language is None or _primary(language) in {_primary(each) for each in offer.languages}


def _primary(tag: str) -> str:
    return tag.split("-")[0].lower()
