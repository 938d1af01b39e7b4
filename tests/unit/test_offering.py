"""Offers of a pathway: in a language of the person, and only while there are places."""

from __future__ import annotations

import pytest

from stratify.offering import choose_offer
from stratify.rules import Offer

PEER = Offer(id="peer", label="Peer education", languages=("so", "ur"), needs_places=True)
ENGLISH = Offer(id="english", label="The programme", languages=("en",), needs_places=True)
ONLINE = Offer(id="online", label="The programme online")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        pytest.param("so", "peer", id="Somali"),
        pytest.param("ur-PK", "peer", id="a regional form of a language is that language"),
        pytest.param("en", "english", id="English"),
        pytest.param("pl", "online", id="a language of none: what is for everybody"),
        pytest.param(None, "online", id="a language that is not known: first what is for everybody"),
    ],
)
def test_the_first_offer_in_a_language_of_the_person_is_made(language, expected):
    offer, reason = choose_offer((PEER, ENGLISH, ONLINE), language, lambda _: True)
    assert (offer and offer.id, reason) == (expected, "")


def test_an_offer_without_a_place_gives_way_to_the_next():
    offer, _ = choose_offer((ENGLISH, ONLINE), "en", lambda _: False)
    assert offer == ONLINE


def test_without_a_place_the_person_waits_and_is_told_for_what():
    offer, reason = choose_offer((PEER, ENGLISH), "en", lambda _: False)
    assert (offer, reason) == (None, "No place is left this week: The programme")


def test_without_an_offer_in_the_language_the_person_waits_and_is_told_so():
    offer, reason = choose_offer((PEER, ENGLISH), "pl", lambda _: True)
    assert (offer, reason) == (
        None,
        "None of these is held in a language of this person: Peer education, The programme",
    )
