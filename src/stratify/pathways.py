"""What a pathway means: one proposal for each person on it, and the rule that made it.

First the person: somebody who died or left is excluded, somebody whose identity is in doubt goes to a clinician. Then
the routes in order: the first that holds decides, unless an earlier one is not known and would lead elsewhere. Then the
visit that would settle it is proposed, or a clinician's look when records contradict each other. Incomplete is never
low.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import narwhals.stable.v2 as nw

from stratify.hits import Frame
from stratify.rulebook import RuleBook
from stratify.rules import PERSON_FIELDS, Pathway, Route
from stratify.scores import is_unknown, joined, truth
from stratify.wide import doubt

REGISTERED = ("registered", "practice_unknown")
STATUS_REASONS = {
    "died": "Has died",
    "left": "No longer registered with a practice of this run",
    "temporary": "Temporary or private registration only",
    "never_registered": "No registration with a practice of this run",
    "test_patient": "Test record",
}
DRAFT = "A draft: it is worked out, and no list is published until a clinical lead and a review date stand in it"
NOT_LINKED = "Hospital data not linked"
SHORT_REGISTRATION_MONTHS = 12
PERSON_GAPS = {
    "age_years": "Age not known",
    "months_registered": "Date of registration not known",
    "is_female": "Sex not known",
    "is_male": "Sex not known",
    "imd_decile": "Deprivation of the area not known",
}


def decide(wide: Frame, pathway: Pathway, book: RuleBook, *, in_words: bool = True) -> Frame:
    """Propose what happens to each person on a pathway.

    Args:
        wide: Rows of ``wide.person_rows`` with the columns of ``scores.add_scores``.
        pathway: The pathway.
        book: The rule book it belongs to.
        in_words: Say why, and what is missing; without, only where each person would go (``patient_key``,
            ``decision``, ``clinic_id``).

    Returns:
        Contract ``derived.pathway_decision``: one row for everybody whose cohort rule holds or is not known.
    """
    cohort = truth(pathway.cohort, book)
    rows = wide.with_columns(cohort.alias("in_cohort"))
    rows = rows.filter(nw.when(~nw.col("in_cohort")).then(nw.lit(False)).otherwise(nw.lit(True)))
    rows = rows.with_columns(
        *((truth(each.when, book) if each.when else nw.lit(True)).alias(f"q_{each.id}") for each in pathway.routes)
    )
    rows = rows.with_columns(_first_true(pathway).alias("certain"))
    pending = {each.id: _could_divert(each, pathway) for each in pathway.routes}
    cohort_unknown = nw.col("in_cohort").is_null()
    in_cohort = book.variables_of(pathway.cohort)
    depends = {each.id: book.variables_of(each.when) if each.when else () for each in pathway.routes}
    names = dict.fromkeys([*in_cohort, *(name for each in depends.values() for name in each)])
    missing: dict[str, nw.Expr] = {}
    for name in names:
        if name not in PERSON_FIELDS:
            asked = _any([pending[each.id] for each in pathway.routes if name in depends[each.id]])
            missing[name] = (asked | cohort_unknown if name in in_cohort else asked) & is_unknown(name, book)
    rows = rows.with_columns(
        is_out=~nw.col("person_status").is_in(list(REGISTERED)),
        is_doubtful=~nw.col("identity_doubt").is_null(),
        is_unsettled=cohort_unknown | _any(list(pending.values())),
        is_contradictory=_any([wanted & doubt("c", name, book) for name, wanted in missing.items()]),
    )
    if not in_words:
        return rows.select("patient_key", *(expr.alias(name) for name, expr in _destinations(pathway).items()))
    measured = [name for name in missing if book.variables[name].is_value]
    rows = rows.with_columns(
        missing_variables=joined([nw.when(wanted).then(nw.lit(name)) for name, wanted in missing.items()]),
        passed_over=joined(
            [nw.when(_is_passed_over(each, pathway)).then(nw.lit(each.gap)) for each in pathway.routes if each.gap]
        ),
        gap_texts=joined(
            [
                nw.when(nw.col(f"x_{name}").is_null()).then(nw.lit(text))
                for name, text in [
                    *((name, PERSON_GAPS[name]) for name in PERSON_FIELDS if name in names),
                    *((name, _missing_text(name, book)) for name in measured),
                ]
            ]
        ),
    )
    return _proposal(rows, pathway, book)


def _destinations(pathway: Pathway) -> dict[str, nw.Expr]:
    """Write what is decided and the clinic or worklist, by column."""
    decision: nw.Expr = nw.lit(None, dtype=nw.String)
    clinic: nw.Expr = nw.lit(None, dtype=nw.String)
    for each in reversed(pathway.routes):
        here = nw.col("certain") == each.id
        decision = nw.when(here).then(nw.lit(each.decision)).otherwise(decision)
        clinic = nw.when(here).then(nw.lit(_destination(each, pathway), dtype=nw.String)).otherwise(clinic)
    for when, _, outcome, worklist, _ in _steps(pathway):
        decision = nw.when(when).then(nw.lit(outcome)).otherwise(decision)
        clinic = nw.when(when).then(nw.lit(worklist, dtype=nw.String)).otherwise(clinic)
    return {"decision": decision, "clinic_id": clinic}


def _steps(pathway: Pathway) -> list[tuple[nw.Expr, str, str, str | None, nw.Expr]]:
    """Give what goes before any route, the last first of all: when, its rule, decision, worklist, and why."""
    return [
        (
            nw.col("is_unsettled"),
            "cannot_grade",
            "assessment",
            pathway.assessment.id,
            nw.lit("A value that could change the route is missing or out of date: see the data gaps"),
        ),
        (
            nw.col("is_unsettled") & nw.col("is_contradictory"),
            "contradictory",
            "clinician_review",
            pathway.clinician_review.id,
            nw.lit("The records contradict each other where it matters: see the data gaps"),
        ),
        (
            nw.col("is_doubtful"),
            "identity_doubt",
            "clinician_review",
            pathway.clinician_review.id,
            nw.concat_str([nw.lit("Identity to be confirmed: "), nw.col("identity_doubt")], ignore_nulls=True),
        ),
        (nw.col("is_out"), "person_status", "excluded", None, _status_reason()),
    ]


def _proposal(rows: Frame, pathway: Pathway, book: RuleBook) -> Frame:
    reason: nw.Expr = nw.lit(None, dtype=nw.String)
    rule: nw.Expr = nw.lit(None, dtype=nw.String)
    for each in reversed(pathway.routes):
        here = nw.col("certain") == each.id
        rule = nw.when(here).then(nw.lit(each.id)).otherwise(rule)
        reason = nw.when(here).then(nw.lit(each.reason)).otherwise(reason)
    for when, rule_id, _, _, words in _steps(pathway):
        rule = nw.when(when).then(nw.lit(rule_id)).otherwise(rule)
        reason = nw.when(when).then(words).otherwise(reason)
    tier: nw.Expr = nw.lit(None, dtype=nw.String)
    tier_rank: nw.Expr = nw.lit(None, dtype=nw.Int64)
    tier_value: nw.Expr = nw.lit(None, dtype=nw.Float64)
    if pathway.tier_from:
        tier = nw.col(f"t_{pathway.tier_from}")
        for position, each_tier in reversed(list(enumerate(book.scores[pathway.tier_from].tiers, 1))):
            tier_rank = nw.when(tier == each_tier.tier).then(nw.lit(position)).otherwise(tier_rank)
        if not book.scores[pathway.tier_from].is_decision_list:
            tier_value = nw.col(f"x_{pathway.tier_from}")
    gaps = [
        nw.when(~nw.col("gap_texts").is_null()).then(nw.col("gap_texts")),
        nw.when(~nw.col("passed_over").is_null()).then(nw.col("passed_over")),
        nw.when(~nw.col("is_hospital_linked") & nw.col("passed_over").is_null()).then(nw.lit(NOT_LINKED)),
        nw.when(nw.col("x_months_registered") < float(SHORT_REGISTRATION_MONTHS)).then(
            nw.lit("Joined the practice less than 12 months ago: the record may be incomplete")
        ),
    ]
    return rows.select(
        "patient_key",
        nw.lit(pathway.id).alias("pathway"),
        nw.lit(pathway.version).alias("pathway_version"),
        *(expr.alias(name) for name, expr in _destinations(pathway).items()),
        rule.alias("rule_id"),
        reason.alias("reason"),
        tier.alias("tier"),
        tier_rank.alias("tier_rank"),
        tier_value.alias("tier_value"),
        "missing_variables",
        nw.when(~nw.col("is_out")).then(joined(gaps)).alias("data_gaps"),
    )


def _first_true(pathway: Pathway) -> nw.Expr:
    certain: nw.Expr = nw.lit(None, dtype=nw.String)
    for each in reversed(pathway.routes):
        certain = nw.when(nw.col(f"q_{each.id}")).then(nw.lit(each.id)).otherwise(certain)
    return certain


def _could_divert(route: Route, pathway: Pathway) -> nw.Expr:
    """Tell whether a route is not known, stands before the one that holds, and would lead to another place."""
    if route.when is None or route.when_unknown == "pass_over":
        return nw.lit(False)
    other = [
        each.id for each in _after(route, pathway) if (each.decision, each.clinic) != (route.decision, route.clinic)
    ]
    return nw.col(f"q_{route.id}").is_null() & nw.col("certain").is_in(other) if other else nw.lit(False)


def _is_passed_over(route: Route, pathway: Pathway) -> nw.Expr:
    """Tell whether a route is not known, and declared to be passed over then."""
    later = [each.id for each in _after(route, pathway)]
    if route.when_unknown != "pass_over" or not later:
        return nw.lit(False)
    return nw.col(f"q_{route.id}").is_null() & nw.col("certain").is_in(later)


def _after(route: Route, pathway: Pathway) -> tuple[Route, ...]:
    return pathway.routes[pathway.routes.index(route) + 1 :]


def _destination(route: Route, pathway: Pathway) -> str | None:
    worklists = {"assessment": pathway.assessment.id, "clinician_review": pathway.clinician_review.id}
    return route.clinic or worklists.get(route.decision)


def _any(parts: Sequence[nw.Expr]) -> nw.Expr:
    return reduce(lambda left, right: left | right, parts, nw.lit(False))


def _status_reason() -> nw.Expr:
    words: nw.Expr = nw.lit("Not registered")
    for status, text in STATUS_REASONS.items():
        words = nw.when(nw.col("person_status") == status).then(nw.lit(text)).otherwise(words)
    return words


def _missing_text(name: str, book: RuleBook) -> str:
    variable = book.variables[name]
    return variable.text_when_missing or f"{variable.label}: not known"
