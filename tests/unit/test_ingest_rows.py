"""Rows: what sets one aside, on which line it was, and that all of them are accounted for."""

import pytest
from extract_set import (
    CANONICAL,
    COPD,
    COUNTY,
    INDEX_DATE,
    as_csv,
    capacity,
    episode,
    event,
    landed,
    nhs,
    observation,
    opt_out,
    patient,
    registration,
)

from stratify import ingest, privacy
from stratify.codes import nhs_check_digit
from stratify.errors import ExtractError, PrivacyError


def rejected(store, table):
    return store.rows(
        f"SELECT source_row, rule_id, scope FROM audit.rejected_row WHERE table_name = '{table}' ORDER BY ALL"
    )


def account(store, table):
    return next(each for each in store.accounts if each.table == table)


def real_number():
    """A number of the English range with a right check digit; made here, so that none stands in the repository."""
    first_nine = "4" + "0" * 7 + "1"
    return first_nine + str(nhs_check_digit(first_nine))


def test_good_rows_are_loaded_and_accounted_for(tmp_path):
    with landed(tmp_path) as store:
        one = account(store, "gp_event")
        assert (one.declared_count, one.received_count, one.loaded_count, one.rejected_count) == (1, 1, 1, 0)
        assert len(one.source_file_id) == 16
        assert store.rows("SELECT count(*) FROM audit.rejected_row") == [(0,)]
        assert store.rows(
            "SELECT table_name, loaded_count FROM audit.source_file WHERE file_name = 'gp_event.csv'"
        ) == [("gp_event", 1)]


def test_a_row_of_the_wrong_shape_keeps_the_lines_below_it_right(tmp_path):
    """Line 3 is short, line 5 is long; the good rows are on lines 2, 4 and 6."""
    lines = as_csv("gp_event", [event(f"e{number}") for number in (2, 3, 4, 5, 6)]).splitlines(keepends=True)
    lines[2] = b"A10001,e3\n"
    lines[4] = lines[4].rstrip() + b",too,many\n"
    with landed(tmp_path, raw={"gp_event": b"".join(lines)}) as store:
        assert store.rows("SELECT source_event_id, source_row FROM landing.gp_event ORDER BY 2") == [
            ("e2", 2),
            ("e4", 4),
            ("e6", 6),
        ]
        assert rejected(store, "gp_event") == [(3, "GPE-00-shape", "row"), (5, "GPE-00-shape", "row")]
        one = account(store, "gp_event")
        assert (one.received_count, one.loaded_count, one.rejected_count) == (5, 3, 2)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param('A10001,"e2,p1\nA10001,e3,p1\n', id="a_quote_never_closed"),
        pytest.param('A10001,e2,p1,,"two\nlines",,,,,,,,,,,\n', id="a_line_break_inside_a_value"),
        pytest.param("\n", id="a_blank_line"),
    ],
)
def test_a_file_whose_lines_are_no_records_is_refused_whole(tmp_path, broken):
    content = (
        as_csv("gp_event", [event()]) + broken.encode() + as_csv("gp_event", [event("CANARYVALUE")]).split(b"\n")[1]
    )
    with (
        pytest.raises(
            ExtractError, match="a quote never closed, a line break inside a value, or a blank line"
        ) as caught,
        landed(tmp_path, raw={"gp_event": content + b"\n"}),
    ):
        pass
    assert "gp_event.csv" in str(caught.value)
    assert "CANARYVALUE" not in str(caught.value)


def test_blanks_are_trimmed_and_empty_is_null(tmp_path):
    with landed(tmp_path, gp_event=[event(snomed_term=" 00au\t\u00a0", episodicity="  ")]) as store:
        assert store.rows("SELECT snomed_term, episodicity FROM landing.gp_event") == [("00au", None)]


def test_icd10_codes_are_brought_to_one_form(tmp_path):
    forms = {
        "j44.0": "J440",
        "R69X": "R69",
        "I10-": "I10",
        "W19 X": "W19",
        "J440": "J440",
        "G20": "G20",
        "A17.0+": "A170",
    }
    rows = [episode(f"c{number}", diag_01=raw) for number, raw in enumerate(forms)]
    with landed(tmp_path, apc_episode=rows) as store:
        assert [code for (code,) in store.rows("SELECT diag_01 FROM landing.apc_episode ORDER BY source_row")] == list(
            forms.values()
        )
        assert rejected(store, "apc_episode") == []


FAULTS = [
    ({"effective_date": "2026-01-05"}, "GPE-08-future", "value"),  # the day after the extract
    ({"effective_date": "1900-01-01"}, "GPE-08-sentinel", "value"),
    ({"snomed_code": "13645006"}, "GPE-04-verhoeff", "value"),  # a damaged code
    ({"org_code": ""}, "GPE-01-missing", "row"),
    ({"source_patient_id": "p9"}, "GPE-87-orphan", "row"),  # no such patient
    ({"is_deleted": "true"}, "GPE-88-withdrawn", "row"),
    ({"snomed_code": "", "original_code": ""}, "GPE-80-code", "row"),
]


def test_a_fault_is_recorded_by_rule_line_and_scope(tmp_path):
    rows = [event(f"e{number}", **changes) for number, (changes, _, _) in enumerate(FAULTS)]
    with landed(tmp_path, gp_event=rows) as store:
        expected = [(line, rule, scope) for line, (_, rule, scope) in enumerate(FAULTS, 2)]
        assert rejected(store, "gp_event") == expected
        assert account(store, "gp_event").rejected_count == 4  # the four of scope row


@pytest.mark.parametrize("day", ["31/03/2020", "03/31/2020", "01/02/2020", "31/03/20", "2020-02-30"])
def test_a_date_in_another_pattern_sets_its_row_aside(tmp_path, day):
    """Also one that could be read either way: 1 February and 2 January are the same eight figures."""
    rows = [event("e1", effective_date=day), event("e2")]
    values = [observation("o1", effective_date=day), observation("o2")]
    with landed(tmp_path, gp_event=rows, gp_observation=values) as store:
        assert rejected(store, "gp_event") == [(2, "GPE-08-type", "value"), (2, "GPE-81-date", "row")]
        assert rejected(store, "gp_observation") == [(2, "GPO-08-type", "value"), (2, "GPO-81-date", "row")]
        assert account(store, "gp_event").loaded_count == account(store, "gp_observation").loaded_count == 1


def test_a_date_on_the_day_of_the_extract_is_no_fault(tmp_path):
    with landed(tmp_path, gp_event=[event(effective_date="2026-01-04")]) as store:
        assert rejected(store, "gp_event") == []


def test_a_warning_sets_nothing_aside(tmp_path):
    with landed(tmp_path, registration=[registration(start_date="2020-01-01", end_date="2019-01-01")]) as store:
        assert rejected(store, "registration") == []


def test_an_exact_repeat_keeps_the_first(tmp_path):
    with landed(tmp_path, gp_event=[event(), event("e2"), event(), event()]) as store:
        assert rejected(store, "gp_event") == [(4, "GPE-89-repeat", "row"), (5, "GPE-89-repeat", "row")]
        assert account(store, "gp_event").loaded_count == 2


def test_one_key_with_different_content_sets_all_its_rows_aside(tmp_path):
    rows = [event(), event(), event(effective_date="2019-01-01"), event("e2")]
    with landed(tmp_path, gp_event=rows) as store:
        assert rejected(store, "gp_event") == [(line, "GPE-89-duplicate", "row") for line in (2, 3, 4)]


def test_rows_without_a_whole_key_are_no_duplicates(tmp_path):
    with landed(tmp_path, gp_event=[event(""), event("")]) as store:
        assert {rule for _, rule, _ in rejected(store, "gp_event")} == {"GPE-02-missing"}


def test_duplicates_are_found_across_spellings_of_one_nhs_number(tmp_path):
    spaced = f"{nhs(1)[:3]} {nhs(1)[3:6]}-{nhs(1)[6:]}"
    death = {"nhs_number": nhs(1), "source": "ONS", "date_of_death": "2025-01-01"}
    with landed(tmp_path, death=[death, death | {"nhs_number": spaced}]) as store:
        assert rejected(store, "death") == [(3, "DTH-89-repeat", "row")]


NOBODYS_NUMBERS = {
    "missing": "",
    "wrong_check_digit": nhs(1)[:9] + str((int(nhs(1)[9]) + 1) % 10),
    "sentinel": "9999999999",
    "repeated_digit": "0000000000",
    "too_short": "99900",
}


def test_a_number_that_means_nobody_unlinks_a_patient_and_sets_other_rows_aside(tmp_path):
    with landed(
        tmp_path,
        patient=[patient(name, nhs_number=number) for name, number in NOBODYS_NUMBERS.items()],
        gp_event=[event(name, source_patient_id=name) for name in NOBODYS_NUMBERS],
        apc_episode=[episode(name, nhs_number=number) for name, number in NOBODYS_NUMBERS.items()],
    ) as store:
        lines = range(2, 7)
        assert rejected(store, "patient") == [(line, "PAT-86-nhs-number", "value") for line in lines]
        assert rejected(store, "apc_episode") == [(line, "APC-86-nhs-number", "row") for line in lines]
        local = [(privacy.local_pseudonym(privacy.THROWAWAY_KEY, "A10001", name),) for name in NOBODYS_NUMBERS]
        assert store.rows("SELECT patient_key FROM landing.patient ORDER BY source_row") == local
        assert store.rows("SELECT patient_key FROM landing.gp_event ORDER BY source_row") == local


def test_an_episode_withheld_by_law_is_not_counted_as_a_bad_number(tmp_path):
    with landed(tmp_path, apc_episode=[episode(nhs_number="", is_legally_restricted="true")]) as store:
        assert rejected(store, "apc_episode") == [(2, "APC-85-restricted", "row")]


def test_a_real_number_in_a_synthetic_source_stops_the_run(tmp_path):
    number = real_number()
    with pytest.raises(PrivacyError, match="1 distinct numbers that real people may have") as caught:  # noqa: SIM117
        with landed(tmp_path, patient=[patient(nhs_number=number)]):
            pass
    assert number not in str(caught.value)
    assert caught.value.exit_code == 7


def test_a_real_source_never_runs_with_the_throwaway_key(tmp_path):
    with pytest.raises(PrivacyError, match="the throwaway key of invented people"), landed(tmp_path, source=CANONICAL):
        pass


def test_a_real_source_links_no_test_numbers(tmp_path):
    with landed(tmp_path, source=CANONICAL, key=bytes(range(32))) as store:
        assert rejected(store, "patient") == [(2, "PAT-86-nhs-number", "value")]


def test_keys_are_pseudonyms_and_nothing_in_the_accounts_holds_a_value(tmp_path):
    with landed(tmp_path, gp_event=[event(), event("CANARY", effective_date="CANARY")]) as store:
        assert store.rows("SELECT patient_key FROM landing.patient") == [
            (privacy.pseudonym(privacy.THROWAWAY_KEY, nhs(1)),)
        ]
        for table in ("audit.source_file", "audit.rejected_row"):
            text = str(store.rows(f"SELECT * FROM {table}"))
            assert "CANARY" not in text and nhs(1) not in text


def test_an_objection_by_local_record_needs_no_number(tmp_path):
    rows = [
        opt_out("TYPE1", nhs_number="", org_code="A10001", source_patient_id="p1"),
        opt_out("TYPE1", nhs_number=""),
    ]
    with landed(tmp_path, opt_out=rows) as store:
        assert {(line, rule) for line, rule, _ in rejected(store, "opt_out")} == {
            (3, "OPT-80-who"),
            (3, "OPT-86-nhs-number"),
        }


def test_several_files_of_a_table_are_accounted_for_each(tmp_path):
    from extract_set import opened, write_manifest, write_set

    folder = write_set(tmp_path / "extracts", gp_event=[event(), event("e2", org_code="bad")])
    (folder / "gp_event_b.csv").write_bytes(as_csv("gp_event", [event(), event("e3")]))
    names = {path.name: path.name[:-4].removesuffix("_b") for path in folder.glob("*.csv") if path.stem != "manifest"}
    write_manifest(folder, names)
    with opened(tmp_path) as store:
        files = ingest.inspect_files(folder, COUNTY)
        accounts = ingest.land(store, files, source=COUNTY, index_date=INDEX_DATE, key=privacy.THROWAWAY_KEY)
        found = [
            (each.file_name, each.loaded_count, each.rejected_count) for each in accounts if each.table == "gp_event"
        ]
        # e1 is repeated in the second file: the first file's row stays
        assert found == [("gp_event.csv", 1, 1), ("gp_event_b.csv", 1, 1)]


def test_a_prepared_file_points_at_original_files_and_lines(tmp_path):
    """Two original files in one landing file: each gets an account, each row its own line."""
    from extract_set import opened, write_manifest, write_set

    folder = write_set(tmp_path / "extracts")
    header, *rows = as_csv("gp_event", [event(), event("e2"), event("e3", effective_date="x")]).splitlines()
    origins = [b"conditions.csv,7", b"procedures.csv,2", b"procedures.csv,9"]
    lines = [header + b",source_file_name,source_line"]
    lines += [row + b"," + origin for row, origin in zip(rows, origins, strict=True)]
    (folder / "gp_event.csv").write_bytes(b"\n".join(lines) + b"\n")
    write_manifest(folder, {path.name: path.stem for path in folder.glob("*.csv") if path.stem != "manifest"})
    with opened(tmp_path) as store:
        files = ingest.inspect_files(folder, COUNTY)
        accounts = ingest.land(store, files, source=COUNTY, index_date=INDEX_DATE, key=privacy.THROWAWAY_KEY)
        mine = [each for each in accounts if each.table == "gp_event"]
        assert [(each.file_name, each.received_count) for each in mine] == [
            ("conditions.csv", 1),
            ("procedures.csv", 2),
        ]
        assert store.rows("SELECT source_event_id, source_row FROM landing.gp_event ORDER BY 1") == [
            ("e1", 7),
            ("e2", 2),
            ("e3", 9),
        ]
        assert store.rows("SELECT DISTINCT source_file_id, source_row FROM audit.rejected_row") == [
            (mine[1].source_file_id, 9)
        ]


@pytest.mark.parametrize(
    ("bad", "is_refused"), [pytest.param(10, False, id="half"), pytest.param(11, True, id="more_than_half")]
)
def test_a_file_with_most_dates_in_another_pattern_is_refused_whole(tmp_path, bad, is_refused):
    rows = [event(f"e{n}", effective_date="13/04/2020" if n < bad else "2020-04-13") for n in range(20)]
    if is_refused:
        with pytest.raises(ExtractError) as caught, landed(tmp_path, gp_event=rows):
            pass
        message = str(caught.value)
        assert "gp_event.csv: expected dates written as 2026-01-31 in effective_date; found another" in message
        assert "pattern in 11 of 20 rows" in message
        assert "13/04/2020" not in message
    else:
        with landed(tmp_path, gp_event=rows) as store:
            assert len({line for line, *_ in rejected(store, "gp_event")}) == bad


def test_a_clinic_row_with_letters_for_slots_is_set_aside(tmp_path):
    with landed(tmp_path, clinic_capacity=[capacity(), capacity(role="physiotherapist", slots="six")]) as store:
        assert rejected(store, "clinic_capacity") == [(3, "CAP-05-type", "row")]


def test_both_readings_of_a_table_agree_on_what_is_bad(tmp_path):
    """Rows set aside plus rows loaded are all rows, whatever mixture of faults they have."""
    rows = [
        event(),
        event(),
        event("e2", snomed_code="1"),
        event("e3", is_deleted="true", effective_date="x"),
        event(""),
    ]
    values = [observation(), observation("o2", value_num="many"), observation("o3", source_patient_id="nobody")]
    with landed(tmp_path, gp_event=rows, gp_observation=values) as store:
        for table, expected in (("gp_event", (5, 2, 3)), ("gp_observation", (3, 2, 1))):
            one = account(store, table)
            assert (one.received_count, one.loaded_count, one.rejected_count) == expected
        assert COPD in str(store.rows("SELECT snomed_code FROM landing.gp_event"))


@pytest.mark.parametrize(
    ("count", "is_refused"), [pytest.param(19, False, id="too_few_to_tell"), pytest.param(20, True, id="twenty_rows")]
)
def test_a_file_whose_critical_column_is_empty_throughout_is_refused(tmp_path, count, is_refused):
    rows = [event(f"e{number}", effective_date=None) for number in range(count)]
    if not is_refused:
        with landed(tmp_path, gp_event=rows):
            return
    with (
        pytest.raises(ExtractError, match=r"gp_event\.csv: .*none in effective_date, in any of 20 rows"),
        landed(tmp_path, gp_event=rows),
    ):
        pass


def test_codes_of_a_source_s_own_stand_in_for_snomed_codes(tmp_path):
    rows = [event(f"e{n}", snomed_code=None, original_code="H3", original_system="READ2") for n in range(25)]
    with landed(tmp_path, gp_event=rows) as store:
        assert store.scalar("SELECT count(*) FROM landing.gp_event") == 25


def test_a_value_that_does_not_fit_its_type_stays_as_it_came(tmp_path):
    """Stored typed, seen as text: what fits as its type writes it, what does not as the file had it."""
    rows = [
        observation("o1", value_num="7.10", effective_date="2020-01-01", is_deleted="no idea"),
        observation("o2", value_num="high", recorded_at="yesterday"),
        observation("o3", value_num=""),
    ]
    with landed(tmp_path, gp_observation=rows) as store:
        assert store.rows(
            "SELECT value_num, effective_date, recorded_at, is_deleted FROM landing.gp_observation ORDER BY source_row"
        ) == [
            ("7.1000", "2020-01-01", None, "no idea"),
            ("high", "2025-06-01", "yesterday", None),
            (None, "2025-06-01", None, None),
        ]
        assert rejected(store, "gp_observation") == [
            (2, "GPO-18-type", "value"),
            (3, "GPO-10-type", "value"),
            (3, "GPO-11-type", "value"),
        ]


def test_one_value_written_in_two_ways_is_a_repeat(tmp_path):
    """7 and 7.0 under one id say the same; 7 and 8 do not, nor do two texts that are no number."""
    pairs = {"o1": ("7", "7.0"), "o2": ("7", "8"), "o3": ("high", "low")}
    rows = [observation(event_id, value_num=value) for event_id, values in pairs.items() for value in values]
    with landed(tmp_path, gp_observation=rows) as store:
        found = [(line, rule) for line, rule, _ in rejected(store, "gp_observation") if "-89-" in rule]
        assert found == [(3, "GPO-89-repeat"), *((line, "GPO-89-duplicate") for line in (4, 5, 6, 7))]


def test_rows_keep_the_order_of_their_file_whatever_stands_beside_them(tmp_path):
    """More people than rows: the rows must not be held to be looked up."""
    people = [patient(f"p{number}", nhs_number=nhs(number)) for number in range(1, 41)]
    rows = [event(f"e{number}", source_patient_id=f"p{number}") for number in range(30, 0, -1)]
    with landed(tmp_path, patient=people, gp_event=rows) as store:
        stored = store.rows("SELECT source_event_id, source_row FROM landing.gp_event")
        assert stored == [(f"e{31 - line + 1}", line) for line in range(2, 32)]
