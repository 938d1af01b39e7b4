"""Charlson in four forms: 1987 weights, with age, Quan 2011 weights, and the SHMI's own codes and weights.

Sources: Charlson 1987, J Chronic Dis 40:373 and 1994 (age); Quan 2005, Med Care 43:1130 (codes) and 2011, Am J
Epidemiol 173:676 (weights) [2+]; NHS England SHMI specification v1.35 (codes in two lists but for E110 and M351;
weights [1]).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from second.answers import Answer, conditions

CODES = {
    "mi": "I21 I22 I252",
    "chf": "I099 I110 I130 I132 I255 I420 I425 I426 I427 I428 I429 I43 I50 P290",
    "pvd": "I70 I71 I731 I738 I739 I771 I790 I792 K551 K558 K559 Z958 Z959",
    "cevd": "G45 G46 H340 I60 I61 I62 I63 I64 I65 I66 I67 I68 I69",
    "dementia": "F00 F01 F02 F03 F051 G30 G311",
    "cpd": "I278 I279 J40 J41 J42 J43 J44 J45 J46 J47 J60 J61 J62 J63 J64 J65 J66 J67 J684 J701 J703",
    "rheumd": "M05 M06 M315 M32 M33 M34 M351 M353 M360",
    "pud": "K25 K26 K27 K28",
    "mld": "B18 K700 K701 K702 K703 K709 K713 K714 K715 K717 K73 K74 K760 K762 K763 K764 K768 K769 Z944",
    "diab": (
        "E100 E101 E106 E108 E109 E110 E111 E116 E118 E119 E120 E121 E126 E128 E129 E130 E131 E136 E138 E139 "
        "E140 E141 E146 E148 E149"
    ),
    "diabwc": (
        "E102 E103 E104 E105 E107 E112 E113 E114 E115 E117 E122 E123 E124 E125 E127 E132 E133 E134 E135 E137 "
        "E142 E143 E144 E145 E147"
    ),
    "hp": "G041 G114 G801 G802 G81 G82 G830 G831 G832 G833 G834 G839",
    "rend": (
        "I120 I131 N032 N033 N034 N035 N036 N037 N052 N053 N054 N055 N056 N057 N18 N19 N250 Z490 Z491 Z492 Z940 Z992"
    ),
    "canc": (
        "C00 C01 C02 C03 C04 C05 C06 C07 C08 C09 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20 C21 C22 C23 C24 "
        "C25 C26 C30 C31 C32 C33 C34 C37 C38 C39 C40 C41 C43 C45 C46 C47 C48 C49 C50 C51 C52 C53 C54 C55 C56 "
        "C57 C58 C60 C61 C62 C63 C64 C65 C66 C67 C68 C69 C70 C71 C72 C73 C74 C75 C76 C81 C82 C83 C84 C85 C88 "
        "C90 C91 C92 C93 C94 C95 C96 C97"
    ),
    "msld": "I850 I859 I864 I982 K704 K711 K721 K729 K765 K766 K767",
    "metacanc": "C77 C78 C79 C80",
    "aids": "B20 B21 B22 B24",
}
SHMI_CODES = {
    "mi": "I21 I22 I23 I252 I258",
    "chf": "I50",
    "pvd": "I71 I739 I790 R02 Z958 Z959",
    "cevd": "G450 G451 G452 G454 G458 G459 G46 I60 I61 I62 I63 I64 I65 I66 I67 I68 I69",
    "dementia": "F00 F01 F02 F03 F051",
    "cpd": "J40 J41 J42 J43 J44 J45 J46 J47 J60 J61 J62 J63 J64 J65 J66 J67",
    "rheumd": "M05 M060 M063 M069 M32 M332 M34 M351 M353",
    "pud": "K25 K26 K27 K28",
    "mld": "K702 K703 K717 K73 K74",
    "diab": (
        "E101 E105 E106 E108 E109 E110 E111 E115 E116 E118 E119 E131 E135 E136 E138 E139 E141 E145 E146 E148 E149"
    ),
    "diabwc": "E102 E103 E104 E107 E112 E113 E114 E117 E132 E133 E134 E137 E142 E143 E144 E147",
    "hp": "G041 G81 G820 G821 G822",
    "rend": "I12 I13 N01 N03 N052 N053 N054 N055 N056 N072 N073 N074 N18 N19 N25",
    "canc": (
        "C00 C01 C02 C03 C04 C05 C06 C07 C08 C09 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20 C21 C22 C23 C24 "
        "C25 C26 C30 C31 C32 C33 C34 C37 C38 C39 C40 C41 C43 C44 C45 C46 C47 C48 C49 C50 C51 C52 C53 C54 C55 "
        "C56 C57 C58 C60 C61 C62 C63 C64 C65 C66 C67 C68 C69 C70 C71 C72 C73 C74 C75 C76 C81 C82 C83 C84 C85 "
        "C86 C88 C90 C91 C92 C93 C94 C95 C96 C97"
    ),
    "msld": "K721 K729 K766 K767",
    "metacanc": "C77 C78 C79 C80",
    "aids": "B20 B21 B22 B23 B24 O987",
}

WEIGHTS = {  # condition: 1987, Quan 2011, SHMI v1.35
    "mi": (1, 0, 5),
    "chf": (1, 2, 13),
    "pvd": (1, 0, 6),
    "cevd": (1, 0, 11),
    "dementia": (1, 2, 14),
    "cpd": (1, 1, 4),
    "rheumd": (1, 1, 4),
    "pud": (1, 0, 9),
    "mld": (1, 2, 8),
    "diab": (1, 0, 3),
    "diabwc": (2, 1, -1),
    "hp": (2, 2, 1),
    "rend": (2, 1, 10),
    "canc": (2, 2, 8),
    "msld": (3, 4, 18),
    "metacanc": (6, 6, 14),
    "aids": (6, 4, 2),
}
GIVES_WAY_TO = {"mld": "msld", "diab": "diabwc", "canc": "metacanc"}
SHMI_CODES_IN_ONE_LIST_ONLY = ("E110", "M351")


def without_the_milder(found: set[str], gives_way_to: dict[str, str]) -> set[str]:
    """Drop each condition of which the graver form is there too."""
    return {each for each in found if gives_way_to.get(each) not in found}


def _score(codes: Iterable[str | None] | None, column: int) -> Answer:
    if codes is None:
        return Answer(withheld="no coded stay")
    table = SHMI_CODES if column == 2 else CODES
    found = without_the_milder(conditions(codes, table), GIVES_WAY_TO)
    return Answer(sum(WEIGHTS[each][column] for each in found))


def charlson_1987(codes: Iterable[str | None] | None) -> Answer:
    """Give the Charlson index, original weights [2+], 0-29. None: no coded stay, no score; only null codes: 0."""
    return _score(codes, 0)


def charlson_1987_with_age(codes: Iterable[str | None] | None, age: int | None) -> Answer:
    """Give the age-adjusted index [2+]: 1 point from 50, 2 from 60, 3 from 70, 4 from 80. No age, no score."""
    answer = _score(codes, 0)
    if answer.withheld or age is None:
        return Answer(withheld=answer.withheld or "no age")
    return Answer(answer.value + age_points(age))


def charlson_quan_2011(codes: Iterable[str | None] | None) -> Answer:
    """Give the index with the weights of Quan 2011 [2+], 0-24: twelve conditions score, AIDS 4."""
    return _score(codes, 1)


def charlson_shmi(codes: Iterable[str | None] | None) -> Answer:
    """Give the SHMI comorbidity score v1.35 [weights 1]: never below 0."""
    answer = _score(codes, 2)
    return answer if answer.withheld else Answer(max(0, answer.value))


def age_points(age: int) -> int:
    """Give the points of an age in completed years [2+]."""
    return 4 if age >= 80 else 3 if age >= 70 else 2 if age >= 60 else 1 if age >= 50 else 0


def ten_year_survival(points: int) -> float:
    """Give the expected share alive after ten years by Charlson 1987."""
    return 0.983 ** math.exp(0.9 * points)
