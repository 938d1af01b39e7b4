"""Clinical codes the synthetic county writes: SNOMED CT concepts, dm+d medicines, ICD-10 and OPCS-4.

Only codes and terms belong here, chosen for the county and held apart from ``clinical/``: were the county to read
the pipeline's own codelists, a wrong list would look right. How often a code occurs is decided elsewhere.

Sources: SNOMED CT from the NHS primary care domain (PCD) refsets and OpenSAFELY codelists, and from the published
eFI lists of the University of Manchester (gm-sde); tests from gm-sde, OpenSAFELY (SRO measures) and, with messages,
NHS England's counts of SNOMED CT codes used in primary care; minor illness from the Synthea modules; ethnic categories
from the census list of NCL ICB; dm+d from OpenSAFELY codelists (inhalers, antibacterials, oral prednisolone, ACE
inhibitors, beta blockers, antidepressants, urinary infections), gm-sde (statins, diuretics, opioids, diabetes,
anticholinergics), OpenPrescribing Hospitals (apixaban) and NHS England's prescription examples (flucloxacillin); ICD-10
groups of frailty from Gilbert 2018 (doi:10.1016/S0140-6736(18)30668-8). Check digits are tested.
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
    """A dm+d product (VMP). ``bnf_code`` has nine characters where only the substance is certain.

    ``quantity`` is what lasts four weeks, or one course of a medicine for a short illness.
    """

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

CREATININE = Concept("1000731000000107", "Serum creatinine level")
ALBUMIN_CREATININE_RATIO = Concept("1023491000000104", "Urine albumin:creatinine ratio")
SODIUM = Concept("1000661000000107", "Serum sodium level")
POTASSIUM = Concept("1000651000000109", "Serum potassium level")
ALANINE_AMINOTRANSFERASE = Concept("1018251000000107", "Serum alanine aminotransferase level")
WHITE_CELLS = Concept("1022541000000102", "Total white cell count")
PLATELETS = Concept("1022651000000100", "Platelet count")
THYROID_STIMULATING_HORMONE = Concept("1022791000000101", "Serum thyroid stimulating hormone level")
WEIGHT = Concept("27113001", "Body weight")
HEIGHT = Concept("50373000", "Body height measure")
ALCOHOL_INTAKE = Concept("160573003", "Alcohol intake")
BLOOD_PRESSURE = Concept("163020007", "On examination - blood pressure reading")
"""The entry that a pair of pressures belongs to."""

DIABETES_REVIEW = Concept("170777000", "Diabetic annual review")
FOOT_EXAMINATION = Concept("401191002", "Diabetic foot examination")
RETINAL_SCREENING = Concept("134395001", "Diabetic retinopathy screening")
STRUCTURED_EDUCATION_REFERRAL = Concept("415270003", "Referral to diabetes structured education programme")  # QOF DM014
STRUCTURED_EDUCATION_MISSED = Concept("306861000000107", "Did not attend diabetes structured education programme")
ASTHMA_REVIEW = Concept("394700004", "Asthma annual review")
MEDICATION_REVIEW = Concept("314530002", "Medication review done")
ADVANCE_CARE_PLAN = Concept("713603004", "Advance care planning")
CARE_PLAN_AGREED = Concept("811871000000107", "Health and social care plan agreed")
INFLUENZA_VACCINATION = Concept("822851000000102", "Seasonal influenza vaccination")
TEXT_MESSAGE = Concept("279991000000102", "Short message service text message sent to patient")

MINOR_ILLNESSES = _concepts(
    ("195662009", "Acute viral pharyngitis"),
    ("444814009", "Viral sinusitis"),
    ("10509002", "Acute bronchitis"),
    ("65363002", "Otitis media"),
    ("43878008", "Streptococcal sore throat"),
    ("271807003", "Eruption of skin"),
    ("21522001", "Abdominal pain"),
    ("82423001", "Chronic pain"),
    ("44465007", "Sprain of ankle"),
    ("284549007", "Laceration of hand"),
)
"""The first five are winter's."""

ETHNIC_CATEGORIES: dict[str, Concept] = {
    # By letter of the NHS Data Dictionary; the concepts are those of the census of 2011.
    letter: Concept(code, term)
    for letter, code, term in (
        ("A", "976631000000101", "White: English or Welsh or Scottish or Northern Irish or British"),
        ("B", "976651000000108", "White: Irish"),
        ("C", "976691000000100", "White: any other White background"),
        ("D", "976711000000103", "Mixed multiple ethnic groups: White and Black Caribbean"),
        ("E", "976731000000106", "Mixed multiple ethnic groups: White and Black African"),
        ("F", "976751000000104", "Mixed multiple ethnic groups: White and Asian"),
        ("G", "976771000000108", "Mixed multiple ethnic groups: any other Mixed or multiple ethnic background"),
        ("H", "976791000000107", "Asian or Asian British: Indian"),
        ("J", "976811000000108", "Asian or Asian British: Pakistani"),
        ("K", "976831000000100", "Asian or Asian British: Bangladeshi"),
        ("L", "976871000000103", "Asian or Asian British: any other Asian background"),
        ("M", "976911000000101", "Black or African or Caribbean or Black British: Caribbean"),
        ("N", "976891000000104", "Black or African or Caribbean or Black British: African"),
        ("P", "976931000000109", "Black or African or Caribbean or Black British: other background"),
        ("R", "976851000000107", "Asian or Asian British: Chinese"),
        ("S", "976971000000106", "Other ethnic group: any other ethnic group"),
    )
}

NON_DIABETIC_HYPERGLYCAEMIA = Concept("700449008", "Non-diabetic hyperglycaemia")
CHRONIC_KIDNEY_DISEASE = _concepts(
    ("433144002", "Chronic kidney disease stage 3"),
    ("431857002", "Chronic kidney disease stage 4"),
    ("433146000", "Chronic kidney disease stage 5"),
)
CANCERS = _concepts(
    ("254837009", "Malignant neoplasm of breast"),
    ("399068003", "Malignant tumour of prostate"),
    ("363406005", "Malignant neoplasm of colon"),
    ("254632001", "Small cell carcinoma of lung"),
)
"""The first is written of women, the second of men."""
DEMENTIAS = _concepts(("26929004", "Alzheimer's disease"), ("429998004", "Vascular dementia"))
PSYCHOSES = _concepts(("13746004", "Bipolar disorder"), ("58214004", "Schizophrenia"))
OBESITY = Concept("162864005", "Body mass index 30+ - obesity")

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
        0.14,
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
BECLOMETASONE = Medicine(
    "42292311000001106", "Beclometasone 100micrograms/dose inhaler", "0302000C0AAABAB", 200, "dose"
)
METFORMIN = Medicine("325278007", "Metformin 500mg tablets", "0601022B0", 84, "tablet")
GLICLAZIDE = Medicine("325242002", "Gliclazide 80mg tablets", "0601021M0", 28, "tablet")
EMPAGLIFLOZIN = Medicine("25290511000001101", "Empagliflozin 10mg tablets", "0601023AN", 28, "tablet")
SITAGLIPTIN = Medicine("424345005", "Sitagliptin 100mg tablets", "0601023X0", 28, "tablet")
INSULIN_GLARGINE = Medicine(
    "38896911000001108",
    "Insulin glargine 100units/ml solution for injection 3ml cartridges",
    "0601012V0",
    5,
    "cartridge",
)
INSULIN_ASPART = Medicine(
    "3468611000001108", "Insulin aspart 100units/ml solution for injection 3ml cartridges", "0601011A0", 5, "cartridge"
)
ATORVASTATIN = Medicine("39733011000001106", "Atorvastatin 20mg tablets", "0212000B0", 28, "tablet")
SIMVASTATIN = Medicine("320000009", "Simvastatin 40mg tablets", "0212000Y0", 28, "tablet")
AMLODIPINE = Medicine("319283006", "Amlodipine 5mg tablets", "0206020A0", 28, "tablet")
RAMIPRIL = Medicine("318902004", "Ramipril 5mg capsules", "0205051R0", 28, "capsule")
CANDESARTAN = Medicine("318979007", "Candesartan 8mg tablets", "0205052C0", 28, "tablet")
BISOPROLOL = Medicine("318590006", "Bisoprolol 5mg tablets", "0204000H0", 28, "tablet")
PROPRANOLOL = Medicine("318353009", "Propranolol 40mg tablets", "0204000R0", 56, "tablet")
ASPIRIN = Medicine("319773006", "Aspirin 75mg dispersible tablets", "0209000A0", 28, "tablet")
APIXABAN = Medicine("42206511000001102", "Apixaban 5mg tablets", "0208020Z0", 56, "tablet")
FUROSEMIDE = Medicine("317972000", "Furosemide 40mg tablets", "0202020L0", 28, "tablet")
SPIRONOLACTONE = Medicine("318056008", "Spironolactone 25mg tablets", "0202030S0", 28, "tablet")
OMEPRAZOLE = Medicine("317291008", "Omeprazole 20mg gastro-resistant capsules", "0103050P0", 28, "capsule")
PARACETAMOL = Medicine("322236009", "Paracetamol 500mg tablets", "0407010H0", 100, "tablet")
CO_CODAMOL = Medicine("322341003", "Co-codamol 30mg/500mg tablets", "0407010F0", 100, "tablet")
CODEINE = Medicine("322503009", "Codeine 30mg tablets", "0407020C0", 56, "tablet")
AMITRIPTYLINE = Medicine("321745007", "Amitriptyline 10mg tablets", "0403010B0", 28, "tablet")
CITALOPRAM = Medicine("321987003", "Citalopram 20mg tablets", "0403030D0", 28, "tablet")
FLUOXETINE = Medicine("321949006", "Fluoxetine 20mg capsules", "0403030E0", 28, "capsule")
OLANZAPINE = Medicine("321614001", "Olanzapine 10mg tablets", "040201060", 28, "tablet")
TOLTERODINE = Medicine("326554006", "Tolterodine 2mg tablets", "0704020N0", 56, "tablet")
CETIRIZINE = Medicine("320818006", "Cetirizine 10mg tablets", "0304010I0", 30, "tablet")
REPEAT_MEDICINES = (
    ATORVASTATIN, AMLODIPINE, ASPIRIN, OMEPRAZOLE, PARACETAMOL, FUROSEMIDE, CO_CODAMOL, AMITRIPTYLINE, EMPAGLIFLOZIN,
    SIMVASTATIN, RAMIPRIL, CANDESARTAN, BISOPROLOL, PROPRANOLOL, APIXABAN, SPIRONOLACTONE, CODEINE, CITALOPRAM,
    FLUOXETINE, OLANZAPINE, TOLTERODINE, CETIRIZINE, METFORMIN, GLICLAZIDE, SITAGLIPTIN, INSULIN_GLARGINE,
    INSULIN_ASPART, SALBUTAMOL, BECLOMETASONE,
)  # fmt: skip
"""No two are one substance. Where the county is not sure of the product part, the BNF code is the substance's."""

FLUCLOXACILLIN = Medicine("323465006", "Flucloxacillin 500mg capsules", "0501012G0", 28, "capsule")
NITROFURANTOIN = Medicine(
    "39108511000001108", "Nitrofurantoin 100mg modified-release capsules", "0501130R0AAAGAG", 6, "capsule"
)
CHLORPHENAMINE = Medicine("320697002", "Chlorphenamine 4mg tablets", "0304010G0", 28, "tablet")
