"""Codes that the synthetic county's hospitals write: ICD-10, OPCS-4, and SNOMED CT in the emergency department.

Only codes belong here, with how common each is among people of an age and what makes it likelier; they are held apart
from ``clinical/`` as those of ``clinical_codes`` are. What a category weighs in the Hospital Frailty Risk Score is
``recorded``'s: a category that is new here is added there.

Sources: ICD-10 (WHO, 5th edition) and OPCS-4 classifications; how common, roughly, from primary diagnoses of the
Hospital Admitted Patient Care Activity 2023-24 (NHS England); emergency care codes from the Emergency Care Data Set.
"""

from __future__ import annotations

from dataclasses import dataclass

from stratify.synth.clinical_codes import Concept

AGES = (0, 2, 8, 18, 35, 55, 70, 82, 92)
"""Ages at which the weights of a diagnosis are given; between them it changes evenly."""


@dataclass(frozen=True)
class Cause:
    """A primary diagnosis: how common at each of ``AGES``, the specialty, and what makes it likelier, how much."""

    code: str
    by_age: tuple[float, ...]
    specialty: str = "300"
    because: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Procedure:
    """A planned admission: diagnosis, procedure, specialty, how common at each of ``AGES``, share who stay a night."""

    diagnosis: str
    operation: str
    specialty: str
    by_age: tuple[float, ...]
    stays: float = 0.0


@dataclass(frozen=True)
class Beside:
    """A secondary diagnosis: how often it is written for anybody, and for those with what it is about."""

    code: str
    anyway: float
    about: str = ""
    often: float = 0.0


COPD_CAUSES = ("J441", "J440")
"""Primary diagnoses of an admission for a flare-up of COPD."""

EMERGENCY_CAUSES = (
    Cause("B349", (30, 30, 15, 5, 2, 1.5, 1, 1, 1), "420"),
    Cause("J219", (60, 6, 0, 0, 0, 0, 0, 0, 0), "420"),
    Cause("J069", (20, 22, 9, 3, 2, 1, 0.5, 0.3, 0.3), "420"),
    Cause("R560", (3, 14, 1, 0, 0, 0, 0, 0, 0), "420"),
    Cause("A099", (8, 9, 5, 3, 3, 3, 3, 3, 3)),
    Cause("J459", (0, 6, 13, 6, 4, 3, 2, 1, 1), "340", (("asthma", 6),)),
    Cause("R104", (2, 3, 12, 14, 13, 9, 5, 4, 3), "100"),
    Cause("K358", (0, 0.5, 5, 6, 3, 1.5, 0.6, 0.3, 0.1), "100"),
    Cause("S525", (0, 2, 5, 3, 1, 1.5, 2, 2, 1.5), "110"),
    Cause("S099", (5, 8, 5, 3, 2, 2, 2, 3, 4), "100"),
    Cause("T391", (0, 0.3, 1, 12, 6, 3, 0.8, 0.3, 0.1), "300", (("depression", 2), ("severe_mental_illness", 4))),
    Cause("O209", (0, 0, 0, 7, 6, 0, 0, 0, 0), "502"),
    Cause("R074", (0, 0, 1, 5, 9, 15, 11, 7, 4), "320"),
    Cause("I214", (0, 0, 0, 0, 0.6, 4, 5, 4, 3), "320", (("ischaemic_heart_disease", 2.5),)),
    Cause("I209", (0, 0, 0, 0, 0.3, 2, 2, 1.5, 1), "320", (("ischaemic_heart_disease", 6),)),
    Cause("I489", (0, 0, 0, 0.2, 0.7, 3, 5, 5, 3), "320", (("atrial_fibrillation", 3),)),
    Cause("I500", (0, 0, 0, 0, 0.1, 1, 3, 6, 8), "320", (("heart_failure", 8),)),
    Cause("I639", (0, 0, 0, 0, 0.4, 2, 4, 6, 6), "328", (("stroke", 2),)),
    Cause("G459", (0, 0, 0, 0, 0.1, 1, 2, 2.5, 2), "328"),
    Cause("J189", (6, 6, 4, 2, 2, 5, 9, 14, 18), "340", (("copd", 1.5), ("dementia", 1.3))),
    Cause("J690", (0, 0, 0, 0, 0, 0.3, 1, 2, 4), "430", (("dementia", 4),)),
    Cause("J22X", (1, 1, 0.5, 0.3, 0.3, 1, 3, 5, 6), "300"),
    Cause("J960", (0, 0, 0, 0, 0, 0.4, 0.8, 0.8, 0.6), "340", (("copd", 3),)),
    Cause("N390", (4, 4, 3, 3, 3, 4, 7, 12, 16), "300", (("urinary_incontinence", 1.5),)),
    Cause("A419", (1, 1, 0.5, 0.5, 1, 3, 6, 8, 9)),
    Cause("N179", (0, 0, 0, 0.2, 0.5, 2, 5, 7, 8), "300", (("chronic_kidney_disease", 3),)),
    Cause("E86X", (0.5, 0.5, 0.2, 0.2, 0.2, 0.5, 1.5, 4, 6), "430"),
    Cause("E871", (0, 0, 0, 0, 0.1, 1, 2, 3, 3)),
    Cause("S720", (0, 0, 0, 0.1, 0.2, 0.8, 2.5, 8, 15), "110", (("osteoporosis", 2.5), ("falls", 1.5))),
    Cause("S223", (0, 0, 0, 0.3, 0.6, 1, 1.5, 3, 4), "110", (("osteoporosis", 2), ("falls", 1.5))),
    Cause("S328", (0, 0, 0, 0.1, 0.1, 0.3, 0.8, 2.5, 4), "110", (("osteoporosis", 2.5), ("falls", 1.5))),
    Cause("S422", (0, 0, 0, 0.1, 0.2, 0.5, 1, 2, 3), "110", (("osteoporosis", 2),)),
    Cause("R296", (0, 0, 0, 0, 0, 0.5, 2, 6, 9), "430", (("falls", 3),)),
    Cause("R268", (0, 0, 0, 0, 0, 0.3, 1, 3, 5), "430", (("mobility_transfer", 2),)),
    Cause("F059", (0, 0, 0, 0, 0, 0.2, 0.8, 3, 5), "430", (("dementia", 4),)),
    Cause("R410", (0, 0, 0, 0, 0, 0.2, 1, 3, 4), "430", (("dementia", 3),)),
    Cause("R55X", (0, 0.3, 1, 3, 3, 3, 5, 7, 7), "300", (("hypotension_syncope", 2),)),
    Cause("L031", (0.5, 1, 1, 1, 3, 4, 5, 5, 5), "300", (("type_2_diabetes", 1.5), ("obesity", 1.5))),
    Cause("R51X", (0, 0.3, 1, 4, 5, 4, 2, 1, 0.5)),
    Cause("K529", (2, 2, 1, 2, 2, 2, 2, 2, 1.5)),
    Cause("K802", (0, 0, 0, 1, 4, 5, 4, 3, 2), "100"),
    Cause("K859", (0, 0, 0, 0.5, 1.5, 2, 1.5, 1, 0.5), "100"),
    Cause("K922", (0, 0, 0, 0.5, 1, 2, 4, 5, 5), "301", (("peptic_ulcer", 2),)),
    Cause("K590", (2, 2, 2, 1, 1, 1.5, 2.5, 4, 5), "100"),
    Cause("N200", (0, 0, 0, 0.7, 3, 4, 2.5, 1, 0.5), "101"),
    Cause("R31X", (0, 0, 0, 0.2, 0.4, 1, 3, 4, 4), "101"),
    Cause("R33X", (0, 0, 0, 0, 0.2, 0.7, 3, 4, 4), "101"),
    Cause("D649", (0, 0.2, 0.2, 0.5, 0.7, 1, 2.5, 4, 4), "300", (("anaemia", 3),)),
    Cause("I269", (0, 0, 0, 0.2, 0.7, 1.5, 2.5, 2.5, 2), "340", (("cancer", 2),)),
    Cause("E101", (0, 0.5, 0.5, 0.5, 0.3, 0.1, 0, 0, 0), "307", (("type_1_diabetes", 60),)),
    Cause("E162", (0.2, 0, 0, 0, 0, 0.1, 0.2, 0.3, 0.3), "307", (("type_1_diabetes", 20), ("type_2_diabetes", 6))),
    Cause("E115", (0, 0, 0, 0, 0.05, 0.2, 0.3, 0.3, 0.2), "307", (("type_2_diabetes", 10),)),
    Cause("G409", (0.5, 1, 1, 1, 1.2, 1, 0.7, 0.6, 0.5), "300", (("learning_disability", 10),)),
    Cause("C349", (0, 0, 0, 0, 0.05, 0.4, 0.8, 0.7, 0.4), "800", (("cancer", 6),)),
    Cause("L893", (0, 0, 0, 0, 0, 0.1, 0.3, 0.7, 1.2), "430", (("skin_ulcer", 4), ("housebound", 3))),
    Cause("T814", (0, 0.2, 0.5, 1, 1.7, 2.5, 3, 2.5, 1.5), "100"),
)
"""Primary diagnoses of emergency admissions but those for flare-ups of COPD."""

UNCODED = "R69X"
"""Written by a hospital that has not coded the stay yet."""

SECONDARY = (
    Beside("I10X", 0.02, "hypertension", 0.55),
    Beside("E119", 0.0, "type_2_diabetes", 0.75),
    Beside("E109", 0.0, "type_1_diabetes", 0.85),
    Beside("J449", 0.0, "copd", 0.7),
    Beside("J459", 0.0, "asthma", 0.45),
    Beside("I259", 0.0, "ischaemic_heart_disease", 0.6),
    Beside("I500", 0.0, "heart_failure", 0.6),
    Beside("I489", 0.0, "atrial_fibrillation", 0.65),
    Beside("I694", 0.0, "stroke", 0.15),
    Beside("G819", 0.0, "stroke", 0.05),
    Beside("I679", 0.0, "stroke", 0.1),
    Beside("N183", 0.0, "chronic_kidney_disease", 0.5),
    Beside("F03X", 0.0, "dementia", 0.45),
    Beside("G309", 0.0, "dementia", 0.25),
    Beside("F009", 0.0, "dementia", 0.25),
    Beside("F329", 0.01, "depression", 0.2),
    Beside("F209", 0.0, "severe_mental_illness", 0.5),
    Beside("F819", 0.0, "learning_disability", 0.6),
    Beside("C800", 0.0, "cancer", 0.25),
    Beside("M819", 0.0, "osteoporosis", 0.3),
    Beside("E039", 0.0, "hypothyroidism", 0.35),
    Beside("E669", 0.005, "obesity", 0.2),
    Beside("M199", 0.02, "arthritis", 0.2),
    Beside("D649", 0.01, "anaemia", 0.2),
    Beside("G20X", 0.0, "parkinsonism_tremor", 0.3),
    Beside("H919", 0.0, "hearing_impairment", 0.08),
    Beside("H547", 0.0, "visual_impairment", 0.05),
    Beside("K219", 0.03, "peptic_ulcer", 0.15),
    Beside("I951", 0.003, "hypotension_syncope", 0.12),
    Beside("W199", 0.01, "falls", 0.25),
    Beside("R296", 0.002, "falls", 0.25),
    Beside("R268", 0.002, "mobility_transfer", 0.22),
    Beside("Z740", 0.0, "requirement_for_care", 0.2),
    Beside("Z602", 0.002, "social_vulnerability", 0.15),
    Beside("R32X", 0.0, "urinary_incontinence", 0.15),
    Beside("L97X", 0.0, "skin_ulcer", 0.15),
    Beside("L893", 0.0, "housebound", 0.12),
    Beside("R634", 0.001, "weight_loss_anorexia", 0.1),
    Beside("R54X", 0.0, "frail", 0.1),
    Beside("N390", 0.012, "frail", 0.1),
    Beside("B962", 0.004, "frail", 0.05),
    Beside("J189", 0.01, "frail", 0.06),
    Beside("F059", 0.002, "frail", 0.08),
    Beside("R410", 0.002, "frail", 0.07),
    Beside("E86X", 0.003, "frail", 0.06),
    Beside("E871", 0.006, "frail", 0.06),
    Beside("N179", 0.01, "frail", 0.1),
    Beside("K590", 0.01, "frail", 0.07),
    Beside("R33X", 0.004, "frail", 0.04),
    Beside("Z921", 0.01, "atrial_fibrillation", 0.3),
    Beside("Z864", 0.06, "smoked", 0.25),
    Beside("E780", 0.05, "hypertension", 0.12),
)
"""Secondary diagnoses. ``frail`` stands for moderate or severe frailty, ``smoked`` for present and former smokers."""

PLANNED = (
    Procedure("H269", "C712", "130", (0, 0, 0, 0, 0.3, 5, 20, 25, 18)),
    Procedure("K635", "H221", "301", (0, 0, 0.1, 2, 6, 14, 15, 8, 2)),
    Procedure("K297", "G451", "301", (0, 0.2, 0.4, 3, 7, 10, 10, 7, 4)),
    Procedure("Z098", "G459", "301", (0, 0, 0, 0.5, 2, 5, 6, 3, 1)),
    Procedure("M171", "W401", "110", (0, 0, 0, 0, 0.1, 3, 6, 4, 0.8), 0.97),
    Procedure("M169", "W371", "110", (0, 0, 0, 0, 0.2, 2.5, 5, 4, 1), 0.97),
    Procedure("K409", "T201", "100", (1, 2, 1, 0.5, 1, 2.5, 3, 2, 1), 0.12),
    Procedure("C509", "B274", "103", (0, 0, 0, 0, 0.4, 1.5, 1.6, 1, 0.5), 0.6),
    Procedure("N920", "Q181", "502", (0, 0, 0, 0.7, 4, 3, 0.7, 0.2, 0), 0.1),
    Procedure("K029", "F109", "140", (0, 3, 5, 2, 1, 0.4, 0.2, 0.1, 0.1)),
    Procedure("J350", "F344", "120", (0.2, 4, 4, 2.5, 0.6, 0, 0, 0, 0), 0.25),
    Procedure("M545", "A521", "191", (0, 0, 0, 0.4, 3, 5, 4, 3, 1)),
    Procedure("C449", "S065", "330", (0, 0, 0, 0.1, 0.8, 3, 7, 10, 10)),
    Procedure("R31X", "M459", "101", (0, 0, 0.1, 0.5, 1, 4, 7, 7, 4)),
    Procedure("I251", "K633", "320", (0, 0, 0, 0, 0.3, 2, 2.5, 1.5, 0.3), 0.1),
    Procedure("G560", "A651", "110", (0, 0, 0, 0.1, 1, 2, 1.5, 1.2, 0.5)),
)
CHEMOTHERAPY = Procedure("Z511", "X352", "370", (1,) * 9)
DIALYSIS = Procedure("Z491", "X403", "361", (1,) * 9)
DELIVERIES = (("O800", "R249"), ("O809", "R249"), ("O821", "R182"), ("O820", "R172"))
"""Diagnosis and operation: born unaided, and by emergency and planned caesarean."""
DELIVERED = "Z370"
ANTENATAL = ("O479", "O268", "O139")
BORN = "Z380"

ED_COMPLAINTS = (
    Concept("267036007", "Dyspnoea"),
    Concept("29857009", "Chest pain"),
    Concept("21522001", "Abdominal pain"),
    Concept("217082002", "Accidental fall"),
    Concept("386661006", "Fever"),
    Concept("25064002", "Headache"),
)
ED_DIAGNOSES = (
    Concept("195951007", "Acute exacerbation of chronic obstructive pulmonary disease"),
    Concept("68566005", "Urinary tract infectious disease"),
    Concept("271594007", "Syncope"),
    Concept("195967001", "Asthma"),
    Concept("22298006", "Myocardial infarction"),
    Concept("5913000", "Fracture of neck of femur"),
)
"""The first is written for a flare-up of COPD."""
ED_BY_AMBULANCE = Concept("1048031000000100", "Arrival by emergency road ambulance")
ED_OWN_TRANSPORT = Concept("1048071000000103", "Arrival by own transport")
ED_TREATMENT_COMPLETE = Concept("182992009", "Treatment completed")
ED_DISCHARGED_HOME = Concept("306689006", "Discharge to home")
ED_TO_WARD = Concept("306706006", "Discharge to ward")

VISIT_REASONS = (
    Concept("267036007", "Dyspnoea"),
    Concept("1912002", "Fall"),
    Concept("386661006", "Fever"),
    Concept("68566005", "Urinary tract infectious disease"),
    Concept("46742003", "Skin ulcer"),
    Concept("8510008", "Reduced mobility"),
    Concept("386807006", "Memory impairment"),
)
"""Why somebody asks for a visit at home."""

DEATH_CAUSES = ("I219", "C349", "I639", "F03X", "J189", "C189", "A419")
COPD_DEATH_CAUSE = "J449"
