"""Clinical codes the synthetic county writes: SNOMED CT concepts, dm+d medicines, ICD-10 and OPCS-4.

Only codes and terms belong here, chosen for the county and held apart from ``clinical/``: were the county to read
the pipeline's own codelists, a wrong list would look right. How often a code occurs is decided elsewhere.

Sources: SNOMED CT from the NHS primary care domain (PCD) refsets and OpenSAFELY codelists, and from the published
eFI lists of the University of Manchester (gm-sde); dm+d from OpenSAFELY codelists (inhalers, antibacterials, oral
prednisolone); ICD-10 groups of frailty from Gilbert 2018 (doi:10.1016/S0140-6736(18)30668-8). Check digits are tested.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Concept:
    """A SNOMED CT concept with a term for display."""

    code: str
    term: str


@dataclass(frozen=True)
class Medicine:
    """A dm+d product (VMP). ``bnf_code`` has nine characters where only the substance is certain."""

    code: str
    term: str
    bnf_code: str | None
    quantity: int
    quantity_unit: str


def _concepts(*pairs: tuple[str, str]) -> tuple[Concept, ...]:
    return tuple(Concept(code, term) for code, term in pairs)


COPD_DIAGNOSES = _concepts(
    ("13645005", "Chronic obstructive pulmonary disease"),  # PCD COPD_COD
    ("185086009", "Chronic obstructive bronchitis"),  # PCD COPD_COD
    ("87433001", "Pulmonary emphysema"),  # PCD COPD_COD
    ("313297008", "Moderate chronic obstructive pulmonary disease"),  # PCD COPD_COD
    ("313299006", "Severe chronic obstructive pulmonary disease"),  # PCD COPD_COD
)
COPD_RESOLVED = Concept("941201000000103", "Chronic obstructive pulmonary disease resolved")  # PCD COPDRES_COD
COPD_REVIEW = Concept("394703002", "Chronic obstructive pulmonary disease annual review")  # QOF review list
COPD_EXACERBATIONS = _concepts(
    ("195951007", "Acute exacerbation of chronic obstructive pulmonary disease"),  # PCD COPD_COD
    ("285381006", "Acute infective exacerbation of chronic obstructive pulmonary disease"),  # PCD COPD_COD
    ("847091000000104", "Acute non-infective exacerbation of chronic obstructive pulmonary disease"),  # PCD COPD_COD
)
FEV1_LITRES = Concept("59328004", "Forced expired volume in 1 second")
FEV1_PERCENT = Concept("313223002", "Percent predicted forced expired volume in one second")
FEV1_FVC_RATIO = Concept(
    "407603001", "Forced expired volume in 1 second/forced vital capacity ratio after bronchodilation"
)
MRC_GRADES = _concepts(
    ("391120009", "Medical Research Council Dyspnoea scale grade 1"),
    ("391123006", "Medical Research Council Dyspnoea scale grade 2"),
    ("391124000", "Medical Research Council Dyspnoea scale grade 3"),
    ("391125004", "Medical Research Council Dyspnoea scale grade 4"),
    ("391126003", "Medical Research Council Dyspnoea scale grade 5"),
)
MRC_SCORE = Concept("450755002", "Medical Research Council Dyspnoea scale score")
MMRC_SCORE = Concept(
    "1099361000000109", "Modified Medical Research Council dyspnoea scale score"
)  # 0 to 4: MRC minus 1
CAT_SCORE = Concept("446660005", "Chronic obstructive pulmonary disease assessment test score")
LONG_TERM_OXYGEN = Concept("243137006", "Long-term oxygen therapy")
COR_PULMONALE = Concept("83291003", "Cor pulmonale")  # PCD PULMOHYP_COD
REHABILITATION_REFERRAL = Concept("24461000000105", "Referral to pulmonary rehabilitation")
REHABILITATION_STARTED = Concept("391128002", "Pulmonary rehabilitation program commenced")

SMOKING = _concepts(
    ("266919005", "Never smoked tobacco"),
    ("8517006", "Ex-smoker"),
    ("77176002", "Smoker"),
)
"""By status: 0 never, 1 ex, 2 current."""

SYSTOLIC = Concept("72313002", "Systolic arterial pressure")
DIASTOLIC = Concept("1091811000000102", "Diastolic arterial pressure")
BODY_MASS_INDEX = Concept("60621009", "Body mass index")
EGFR = Concept("1020291000000106", "GFR calculated by abbreviated Modification of Diet in Renal Disease")
HAEMOGLOBIN = Concept("1022431000000105", "Haemoglobin estimation")
CHOLESTEROL = Concept("1005671000000105", "Serum cholesterol level")
HBA1C = Concept("999791000000106", "Haemoglobin A1c level - IFCC standardised")

TYPE_2_DIABETES = Concept("44054006", "Diabetes mellitus type 2")
TYPE_1_DIABETES = Concept("46635009", "Diabetes mellitus type 1")
HYPERTENSION = Concept("38341003", "Hypertensive disorder")
ASTHMA = Concept("195967001", "Asthma")
DEPRESSION = Concept("35489007", "Depressive disorder")
LEARNING_DISABILITY = Concept("110359009", "Intellectual disability")
MANIA = Concept("231494001", "Mania")
ISCHAEMIC_HEART_DISEASE = Concept("414545008", "Ischaemic heart disease")
HYPOTHYROIDISM = Concept("40930008", "Hypothyroidism")
DEMENTIA = Concept("52448006", "Dementia")
PALLIATIVE_CARE = Concept("103735009", "Palliative care")  # PCD PALCARE_COD
HOUSEBOUND = Concept("160689007", "Housebound")
IS_CARER = Concept("224484003", "Patient themselves providing care")
HAS_CARER = Concept("184156005", "Has a carer")
CARE_HOME_NURSING = Concept("160734000", "Lives in nursing home")  # PCD CAREHOME_COD
CARE_HOME_RESIDENTIAL = Concept("394923006", "Lives in a residential home")  # PCD CAREHOME_COD
CARE_HOME_UNSPECIFIED = Concept("248171000000108", "Lives in care home")  # PCD CAREHOME_COD

DEFICITS: dict[str, tuple[float, tuple[Concept, ...]]] = {
    # Published eFI deficits (Clegg 2016) with a rough weight: how common each is among older people.
    "activity_limitation": (0.7, _concepts(("160983005", "Attendance allowance"), ("21134002", "Disability"))),
    "anaemia": (1.0, _concepts(("87522002", "Iron deficiency anaemia"), ("271737000", "Anaemia"))),
    "arthritis": (
        3.0,
        _concepts(
            ("396275006", "Osteoarthritis"),
            ("239873007", "Osteoarthritis of knee"),
            ("69896004", "Rheumatoid arthritis"),
        ),
    ),
    "atrial_fibrillation": (
        1.0,
        _concepts(("49436004", "Atrial fibrillation"), ("282825002", "Paroxysmal atrial fibrillation")),
    ),
    "cerebrovascular": (
        0.9,
        _concepts(("230690007", "Cerebrovascular accident"), ("266257000", "Transient ischaemic attack")),
    ),
    "chronic_kidney_disease": (
        1.5,
        _concepts(("433144002", "Chronic kidney disease stage 3"), ("700379002", "Chronic kidney disease stage 3B")),
    ),
    "diabetes": (0.0, (TYPE_2_DIABETES,)),
    "dizziness": (1.2, _concepts(("404640003", "Dizziness"), ("399153001", "Vertigo"))),
    "dyspnoea": (1.0, _concepts(("267036007", "Dyspnoea"), ("60845006", "Dyspnoea on exertion"))),
    "falls": (1.2, _concepts(("1912002", "Fall"), ("279992002", "Recurrent falls"), ("298344006", "Elderly fall"))),
    "foot_problems": (0.7, _concepts(("201037000", "Corns and callus"), ("185303007", "Seen by podiatrist"))),
    "fragility_fracture": (
        0.6,
        _concepts(("5913000", "Fracture of neck of femur"), ("263225007", "Fracture of proximal end of femur")),
    ),
    "hearing_impairment": (1.6, _concepts(("15188001", "Hearing loss"), ("60700002", "Sensorineural hearing loss"))),
    "heart_failure": (0.6, _concepts(("84114007", "Heart failure"), ("42343007", "Congestive heart failure"))),
    "heart_valve_disease": (
        0.4,
        _concepts(("48724000", "Mitral valve regurgitation"), ("60573004", "Aortic valve stenosis")),
    ),
    "housebound": (0.25, (HOUSEBOUND,)),
    "hypertension": (4.0, _concepts(("38341003", "Hypertensive disorder"), ("59621000", "Essential hypertension"))),
    "hypotension_syncope": (0.7, _concepts(("271594007", "Syncope"), ("28651003", "Orthostatic hypotension"))),
    "ischaemic_heart_disease": (
        1.3,
        _concepts(
            ("414545008", "Ischaemic heart disease"), ("194828000", "Angina"), ("22298006", "Myocardial infarction")
        ),
    ),
    "memory_cognitive": (
        0.6,
        _concepts(("386807006", "Memory impairment"), ("386805003", "Mild neurocognitive disorder")),
    ),
    "mobility_transfer": (
        0.8,
        _concepts(
            ("8510008", "Reduced mobility"), ("160681005", "Mobile outside with aid"), ("160693001", "Mobility poor")
        ),
    ),
    "osteoporosis": (0.8, _concepts(("18040001", "Senile osteoporosis"), ("102447009", "Postmenopausal osteoporosis"))),
    "parkinsonism_tremor": (0.3, _concepts(("49049000", "Parkinson's disease"), ("26079004", "Tremor"))),
    "peptic_ulcer": (0.3, _concepts(("13200003", "Peptic ulcer"), ("397825006", "Gastric ulcer"))),
    "peripheral_vascular_disease": (
        0.5,
        _concepts(("400047006", "Peripheral vascular disease"), ("399957001", "Peripheral arterial occlusive disease")),
    ),
    "polypharmacy": (2.2, ()),  # Not a code: five or more different medicines in a year.
    "requirement_for_care": (0.4, _concepts(("160774006", "Home help attends"), ("184156005", "Has a carer"))),
    "respiratory_disease": (1.0, (ASTHMA,)),
    "skin_ulcer": (0.5, _concepts(("46742003", "Skin ulcer"), ("95344007", "Ulcer of lower extremity"))),
    "sleep_disturbance": (0.8, _concepts(("193462001", "Insomnia"), ("314938000", "Poor sleep pattern"))),
    "social_vulnerability": (1.2, _concepts(("105529008", "Lives alone"), ("267076002", "Feeling lonely"))),
    "thyroid_disease": (0.8, _concepts(("40930008", "Hypothyroidism"), ("34486009", "Hyperthyroidism"))),
    "urinary_incontinence": (
        0.8,
        _concepts(("165232002", "Urinary incontinence"), ("87557004", "Urge incontinence of urine")),
    ),
    "urinary_system_disease": (
        1.2,
        _concepts(("68566005", "Urinary tract infectious disease"), ("21173002", "Benign adenoma of prostate")),
    ),
    "visual_impairment": (
        1.6,
        _concepts(("193570009", "Cataract"), ("267718000", "Age-related macular degeneration")),
    ),
    "weight_loss_anorexia": (0.6, _concepts(("89362005", "Weight loss"), ("79890006", "Loss of appetite"))),
}

SALBUTAMOL = Medicine(
    "39113611000001102", "Salbutamol 100micrograms/dose inhaler CFC free", "0301011R0AAAPAP", 200, "dose"
)
TIOTROPIUM = Medicine(
    "9479011000001103",
    "Tiotropium bromide 18microgram inhalation powder capsules with device",
    "0301020Q0AAAAAA",
    30,
    "capsule",
)
LAMA_LABA = Medicine(
    "24645511000001105",
    "Umeclidinium bromide 65micrograms/dose / Vilanterol 22micrograms/dose dry powder inhaler",
    "0301040W0AAAAAA",
    30,
    "dose",
)
LABA_ICS = Medicine(
    "12911011000001100",
    "Beclometasone 100micrograms/dose / Formoterol 6micrograms/dose inhaler CFC free",
    "0302000C0AABXBX",
    120,
    "dose",
)
TRIPLE_INHALERS = (
    Medicine(
        "34952111000001105",
        "Generic Trelegy Ellipta 92micrograms/dose / 55micrograms/dose / 22micrograms/dose dry powder inhaler",
        None,
        30,
        "dose",
    ),
    Medicine(
        "39343511000001103",
        "Generic Trixeo Aerosphere 5micrograms/dose / 7.2micrograms/dose / 160micrograms/dose inhaler CFC free",
        "0302000Y0AAAAAA",
        120,
        "dose",
    ),
)
PREDNISOLONE = Medicine("325427002", "Prednisolone 5mg tablets", "0603020T0", 42, "tablet")
ANTIBIOTICS = (
    Medicine("324059006", "Doxycycline 100mg capsules", "0501030I0AAABAB", 8, "capsule"),
    Medicine("39732411000001106", "Amoxicillin 500mg capsules", "0501013B0AAABAB", 21, "capsule"),
    Medicine("324244008", "Clarithromycin 500mg tablets", "0501050B0AAADAD", 14, "tablet"),
)
AZITHROMYCIN = Medicine("324252006", "Azithromycin 250mg capsules", "0501050A0AAAAAA", 12, "capsule")
METFORMIN = Medicine("325278007", "Metformin 500mg tablets", "0601022B0", 112, "tablet")
GLICLAZIDE = Medicine("325242002", "Gliclazide 80mg tablets", "0601021M0", 56, "tablet")
REPEAT_MEDICINES = (
    Medicine("39733011000001106", "Atorvastatin 20mg tablets", "0212000B0", 56, "tablet"),
    Medicine("319283006", "Amlodipine 5mg tablets", "0206020A0", 56, "tablet"),
    Medicine("319773006", "Aspirin 75mg dispersible tablets", "0209000A0", 56, "tablet"),
    Medicine("317291008", "Omeprazole 20mg gastro-resistant capsules", "0103050P0", 56, "capsule"),
    Medicine("322236009", "Paracetamol 500mg tablets", "0407010H0", 100, "tablet"),
    Medicine("317972000", "Furosemide 40mg tablets", "0202020L0", 56, "tablet"),
    Medicine("322341003", "Co-codamol 30mg/500mg tablets", "0407010F0", 100, "tablet"),
    Medicine("321745007", "Amitriptyline 10mg tablets", "0403010B0", 56, "tablet"),
    Medicine("25290511000001101", "Empagliflozin 10mg tablets", "0601023AN", 56, "tablet"),
)
"""Ordered by how common they are. Where the county is not sure of the product part, the BNF code is the substance's."""

ED_COMPLAINTS = _concepts(
    ("267036007", "Dyspnoea"),
    ("29857009", "Chest pain"),
    ("21522001", "Abdominal pain"),
    ("217082002", "Accidental fall"),
    ("386661006", "Fever"),
    ("25064002", "Headache"),
)
ED_BY_AMBULANCE = Concept("1048031000000100", "Arrival by emergency road ambulance")
ED_OWN_TRANSPORT = Concept("1048071000000103", "Arrival by own transport")
ED_TREATMENT_COMPLETE = Concept("182992009", "Treatment completed")
ED_DISCHARGED_HOME = Concept("306689006", "Discharge to home")
ED_TO_WARD = Concept("306706006", "Discharge to ward")

COPD_ICD10 = ("J441", "J440")
FRAILTY_PRIMARY_ICD10 = ("W199", "N390", "E86X", "R296", "R268", "F059", "A419", "S720", "N179", "J181", "I639", "R55X")
"""Primary diagnoses of emergency admissions of frail people; most are in groups of the Hospital Frailty Risk Score."""

FRAILTY_SECONDARY_ICD10 = (
    "F009", "G309", "R296", "N390", "R410", "W199", "R268", "E86X", "F03X", "L893",
    "R54X", "N189", "E871", "I679", "B962", "M819", "R33X", "Z602", "R32X", "I951",
)  # fmt: skip
GENERAL_PRIMARY_ICD10 = ("R074", "R104", "J181", "N390", "L031", "I209", "K529", "R51X", "S525", "T391", "I489", "J459")
GENERAL_SECONDARY_ICD10 = ("I10X", "E119", "Z864", "E780", "F329", "J459", "I259", "K219", "Z921", "M199")
ELECTIVE_PRIMARY_ICD10 = ("H269", "K635", "Z098", "M171", "K409", "C509", "M169", "K297")
ELECTIVE_OPCS4 = ("C712", "H221", "G451", "W401", "T201", "B274", "W371", "G459")
"""The procedure that goes with each elective primary diagnosis."""

DEATH_CAUSES = ("I219", "C349", "I639", "F03X", "J189", "C189", "A419")
COPD_DEATH_CAUSE = "J449"
