"""Codes against codelists: exact, prefix and category, and what no list knows."""

from types import SimpleNamespace

import pytest
from extract_set import COPD, built, episode, event, medication, nhs, observation, patient

from stratify.errors import RuleError
from stratify.ingest import match_codes

SALBUTAMOL = "39113611000001102"
ASTHMA = "195967001"


def codelist(name, system, match, *codes):
    return SimpleNamespace(id=name, system=system, match=match, codes=dict.fromkeys(codes, "a term"))


LISTS = [
    codelist("copd", "snomed_ct", "exact", COPD),
    codelist("copd_icd10", "icd10", "prefix", "J44"),
    codelist("copd_exact", "icd10", "exact", "J44"),
    codelist("pneumonia", "icd10", "category", "J18"),
    codelist("inhalers", "bnf", "prefix", "0301"),
    codelist("absent", "snomed_ct", "exact", "73211009"),
]


def test_codes_are_matched_as_each_list_says_and_the_rest_is_counted(tmp_path):
    with built(
        tmp_path,
        gp_event=[
            event("e1"),
            event("e2", snomed_code=ASTHMA, snomed_term="Asthma"),
            event("e3", snomed_code=ASTHMA, snomed_term="asthma (disorder)"),
            event("e4", snomed_code=ASTHMA, snomed_term=""),
            event("e5", snomed_code="", original_code="H33..", original_system="CTV3"),
        ],
        gp_observation=[observation(snomed_term="")],
        gp_medication=[
            medication("m1", dmd_code=SALBUTAMOL, dmd_term="Salbutamol", bnf_code="0301011R0", original_code=""),
            medication("m2"),
        ],
        apc_episode=[episode(diag_01="J440", diag_02="J181", diag_03="E119")],
    ) as store:
        match_codes(store, LISTS)
        assert store.rows("SELECT code_system, code, codelist FROM derived.code_match") == [
            ("bnf", "0301011R0", "inhalers"),
            ("icd10", "J181", "pneumonia"),
            ("icd10", "J440", "copd_icd10"),
            ("snomed_ct", COPD, "copd"),
        ]
        assert store.rows("SELECT * FROM audit.unmatched_code") == [
            ("core.apc_diagnosis", "icd10", "E119", None, 1, 1),
            ("core.gp_event", "CTV3", "H33..", None, 1, 1),
            ("core.gp_event", "snomed_ct", ASTHMA, None, 3, 1),
            ("core.gp_medication", "LOCAL", "local-1", None, 1, 1),
            ("core.gp_observation", "snomed_ct", "313223002", None, 1, 1),
        ]


@pytest.mark.parametrize(("people", "kept"), [(40, ("Asthma", "TPP")), (4, (None, "another system"))])
def test_text_of_the_supplier_is_kept_where_it_is_of_more_than_a_few_people(tmp_path, people, kept):
    """Forty keys begin with at least five signs; what four people or one have may be about them."""
    numbers = range(people)
    rows = [event(f"e{n}", source_patient_id=f"p{n}", snomed_code=ASTHMA, snomed_term="Asthma") for n in numbers]
    rows += [event(f"w{n}", snomed_code=ASTHMA, snomed_term="Mrs Canary rang") for n in range(60)]
    rows += [
        event(f"l{n}", source_patient_id=f"p{n}", snomed_code="", original_code="X1", original_system="TPP")
        for n in numbers
    ]
    patients = [patient(f"p{n}", nhs_number=nhs(n)) for n in numbers]
    with built(tmp_path, patient=patients, gp_event=rows) as store:
        match_codes(store, LISTS)
        events = "SELECT term, code_system, row_count FROM audit.unmatched_code WHERE table_name = 'core.gp_event' "
        assert store.rows(events + "AND code_system = 'snomed_ct'") == [(kept[0], "snomed_ct", people + 60)]
        assert store.rows(events + "AND code = 'X1'") == [(kept[0] and "COPD", kept[1], people)]


def test_a_codelist_of_an_unknown_system_is_refused(tmp_path):
    with built(tmp_path) as store, pytest.raises(RuleError, match="codelist odd: expected a system of"):
        match_codes(store, [codelist("odd", "read2", "exact", "H33..")])
