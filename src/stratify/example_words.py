"""Worked examples in words: who the invented person is, what was found, and what the definition must say.

The answers are those of the examples files, which ``stratify rules test`` holds; nothing is worked out here.
"""

from __future__ import annotations

from stratify.plain_english import route_in_words, tier_name
from stratify.rule_words import YES_OR_NO, amount, figure, label_of, unit_of
from stratify.rulebook import RuleBook
from stratify.rules import Example, Pathway, Score

ORDINARY = (
    "The people are invented. What an example does not say is ordinary: aged 70, registered for ten years, hospital"
    " data linked, nothing else recorded. Every answer was worked out by hand, and `stratify rules test` compares it"
    " with what the rule gives."
)
_NO_VALUE = {"stale": "too old to use", "conflict": "contradictory", "unusable": "cannot be used"}
_DECISIONS = {
    "self_management": "self-management",
    "assessment": "assessment visit",
    "clinician_review": "a clinician's review of the record",
    "excluded": "left out of the pathway",
    "not_eligible": "not eligible: nothing",
}


def person_in_words(example: Example, book: RuleBook) -> str:
    """Say who the person of an example is and what was found of them."""
    person = example.person
    said = []
    for name in sorted(person.model_fields_set):
        value = getattr(person, name)
        if name == "age_years":
            said.append("age not known" if value is None else f"aged {figure(value)}")
        elif name == "months_registered":
            months = "time registered not known" if value is None else f"registered for {figure(value)} months"
            said.append(months)
        elif name == "sex":
            said.append(value or "sex not known")
        elif name == "imd_decile":
            said.append("deprivation not known" if value is None else f"deprivation decile {value}")
        elif name == "is_hospital_linked" and not value:
            said.append("hospital data not linked")
        elif name in ("status", "identity_doubt") and value != "registered" and value:
            said.append(value.replace("_", " "))
    said += [_finding(name, value, book) for name, value in example.values.items()]
    said += [f"{book.scores[name].label}: {_tier_given(name, tier, book)}" for name, tier in example.tiers.items()]
    return "; ".join(said) or "nothing recorded"


def _tier_given(name: str, tier: str, book: RuleBook) -> str:
    return next((tier_name(each) for each in book.scores[name].tiers if each.tier == tier), "no score")


def _finding(name: str, value: float | str, book: RuleBook) -> str:
    if name not in book.variables:
        return f"{name}: {value}"
    label, is_yes = label_of(name, book), book.variables[name].take == "has" or unit_of(name, book) == YES_OR_NO
    if isinstance(value, str):
        return f"{label}: {_NO_VALUE.get(value) or value}"
    if is_yes and value in (0, 1):
        return label if value else f"{label}: no"
    unit = "" if label.endswith(f", {unit_of(name, book)}") else unit_of(name, book)
    return f"{label}: {amount(value, unit)}"


def answer_in_words(example: Example, definition: Score | Pathway, book: RuleBook) -> str:
    """Say what a definition must say of the person of an example."""
    expect = example.expect
    if isinstance(definition, Pathway):
        return _pathway_answer(expect, definition, book)
    tiers = {each.tier: tier_name(each) for each in definition.tiers}
    said: list[str] = []
    if expect.get("withheld_reason"):
        return f"no score: {expect['withheld_reason']}"
    if expect.get("tier"):
        said.append(tiers.get(str(expect["tier"]), str(expect["tier"])))
    value = expect.get("value")
    if isinstance(value, int | float):
        said.append(amount(value, definition.unit or ""))
    possible = str(expect.get("possible_tiers") or "").split(";")
    if "tier" in expect and not expect["tier"]:
        said.append("no tier settled" if possible != [""] or expect.get("is_complete") is False else "no score")
    elif "value" in expect and value is None:
        said.append("no value")
    if len(possible) == len(tiers) > 1:
        said.append("every tier still possible")
    elif len(possible) > 1:
        said.append(f"still possible: {', '.join(tiers.get(each, each) for each in possible)}")
    if expect.get("is_complete") is False and len(possible) < 2:
        said.append("incomplete")
    return "; ".join([*said, *_missing(expect, book)]) or "nothing"


def _pathway_answer(expect: dict[str, str | float | bool | None], pathway: Pathway, book: RuleBook) -> str:
    decision = expect.get("decision")
    if "decision" in expect and decision in (None, "not_on_pathway"):
        return "not on this pathway"
    said = []
    if expect.get("clinic") and decision == "clinic":
        said.append(pathway.clinic(str(expect["clinic"])).label)
    elif decision:
        said.append(_DECISIONS.get(str(decision), str(decision)))
    rule = next((each for each in pathway.routes if each.id == expect.get("rule")), None)
    if rule:
        said.append(f"by route `{rule.id}`")
    elif expect.get("rule"):
        said.append(route_in_words(str(expect["rule"]), pathway, book).removeprefix("Every pathway: ").rstrip("."))
    graded = book.scores[pathway.tier_from].tiers if pathway.tier_from else ()
    tiers = {each.tier: tier_name(each) for each in graded}
    if expect.get("tier"):
        said.append(f"tier {tiers.get(str(expect['tier']), expect['tier'])}")
    if expect.get("data_gaps"):
        said.append(f"shown: {expect['data_gaps']}")
    return "; ".join([*said, *_missing(expect, book)]) or "nothing"


def _missing(expect: dict[str, str | float | bool | None], book: RuleBook) -> list[str]:
    names = [each for each in str(expect.get("missing") or "").split(";") if each]
    labels = [label_of(each, book) if each in {*book.variables, *book.scores} else each for each in names]
    return [f"missing: {', '.join(labels)}"] if labels else []
