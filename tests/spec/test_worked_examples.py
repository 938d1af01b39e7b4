"""Every worked example that stands beside a definition holds: one test for each, named as the example is."""

from __future__ import annotations

import re

import pytest

from stratify.examples import Outcome, run_examples
from stratify.rulebook import load_rule_book

BOOK = load_rule_book()
EXAMPLES = [(definition, example.name) for definition in sorted(BOOK.examples) for example in BOOK.examples[definition]]


def _id(example: tuple[str, str]) -> str:
    return f"{example[0]}-{re.sub('[^a-z0-9]+', '_', example[1].lower()).strip('_')}"


@pytest.fixture(scope="module")
def outcomes() -> dict[tuple[str, str], Outcome]:
    return {(each.definition, each.name): each for each in run_examples(BOOK)}


def test_no_example_hides_another_of_its_name():
    assert len(set(EXAMPLES)) == len(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=_id)
def test_worked_example(outcomes, example):
    assert outcomes[example].differences == ()


def test_every_tier_of_every_score_has_an_example():
    for score in BOOK.scores.values():
        shown = {example.expect.get("tier") for example in BOOK.examples[score.id]}
        assert {tier.tier for tier in score.tiers} <= shown, score.id


def test_every_route_of_every_pathway_decides_some_example():
    for pathway in BOOK.pathways.values():
        shown = {example.expect.get("rule") for example in BOOK.examples[pathway.id]}
        assert {route.id for route in pathway.routes} <= shown, pathway.id
