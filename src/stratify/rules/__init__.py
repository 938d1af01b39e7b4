"""The closed vocabulary clinicians write in: codelists, measurements, variables, scores, pathways, worked examples.

Strict, frozen models of the files in ``clinical/``; a definition that leaves a gap between tiers or mixes shapes does
not load. This package knows what may be *said*; ``rulebook`` reads the files, and what they *mean* is in ``features``,
``scores`` and ``pathways``. No expression language, no SQL, no templates beyond ``{value}`` and ``{date}``.
"""

from __future__ import annotations

from stratify.rules.codes import (
    Bounds,
    Codelist,
    CodelistEntry,
    CodelistManifest,
    Measurement,
    ResolvedMeasurement,
    Size,
    UnitWords,
)
from stratify.rules.conditions import EDGES, AtLeast, Condition
from stratify.rules.pathway import Check, Clinic, CodedAnswer, Decision, FollowUp, Offer, Pathway, RankBy, Roster, Route
from stratify.rules.scoring import Band, Eligibility, Points, Score, Tier
from stratify.rules.variables import (
    ANY,
    CODED,
    HOSPITAL_RECORDS,
    PERSON_FIELDS,
    DayPart,
    Records,
    Take,
    Variable,
    VariablesFile,
)
from stratify.rules.worked import (
    PATHWAY_KEYS,
    SCORE_KEYS,
    SHORT_KEYS,
    Bounded,
    Example,
    ExamplePerson,
    ExamplesFile,
    Patient,
    PatientsFile,
)

__all__ = [
    "ANY",
    "CODED",
    "EDGES",
    "HOSPITAL_RECORDS",
    "PATHWAY_KEYS",
    "PERSON_FIELDS",
    "SCORE_KEYS",
    "SHORT_KEYS",
    "AtLeast",
    "Band",
    "Bounded",
    "Bounds",
    "Check",
    "Clinic",
    "CodedAnswer",
    "Codelist",
    "CodelistEntry",
    "CodelistManifest",
    "Condition",
    "DayPart",
    "Decision",
    "Eligibility",
    "Example",
    "ExamplePerson",
    "ExamplesFile",
    "FollowUp",
    "Measurement",
    "Offer",
    "Pathway",
    "Patient",
    "PatientsFile",
    "Points",
    "RankBy",
    "Records",
    "ResolvedMeasurement",
    "Roster",
    "Route",
    "Score",
    "Size",
    "Take",
    "Tier",
    "UnitWords",
    "Variable",
    "VariablesFile",
]
