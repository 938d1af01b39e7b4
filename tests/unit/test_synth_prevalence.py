"""The county beside England: hand-made extracts whose rates are known, and the report of them."""

from __future__ import annotations

import csv
import hashlib
import json
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from stratify import contracts
from stratify.errors import ExtractError, RunError
from stratify.synth import clinical_codes as codes
from stratify.synth.england import Source, Target, Tolerance, read_targets, targets
from stratify.synth.prevalence import Measured, in_words, measure, outside
from stratify.synth.prevalence_report import report, write_report

CUTOFF = "2026-11-01"
HERE = "Y00001"

COPD = codes.COPD_DIAGNOSES[0].code


def person(number: int, born: str = "1950-06-01", **more: str) -> dict[str, str]:
    """One patient; 9990000000 and so on are of the never-issued range."""
    return {
        "org_code": HERE,
        "source_patient_id": f"{number:03d}",
        "nhs_number": f"999000{number:04d}",
        "date_of_birth": born,
        "sex": "F",
        "ethnic_category": "A",
        "imd_decile": "5",
        "is_test_patient": "false",
        "is_deleted": "false",
        **more,
    }


def registration(number: int, start: str = "2010-01-01", end: str = "", **more: str) -> dict[str, str]:
    return {
        "org_code": HERE,
        "source_registration_id": f"R{number:03d}",
        "source_patient_id": f"{number:03d}",
        "practice_code": HERE,
        "registration_type": "REGULAR",
        "start_date": start,
        "end_date": end,
        **more,
    }


def event(number: int, code: str, day: str = "2020-05-05", **more: str) -> dict[str, str]:
    return {
        "org_code": HERE, "source_patient_id": f"{number:03d}", "snomed_code": code, "effective_date": day, **more
    }  # fmt: skip


def episode(number: int, day: str, method: str = "21", order: int = 1, diagnosis: str = "R074") -> dict[str, str]:
    return {
        "nhs_number": f"999000{number:04d}",
        "episode_order": str(order),
        "admission_date": day,
        "admission_method": method,
        "diag_01": diagnosis,
    }


def write_set(folder: Path, tables: dict[str, list[dict[str, str]]], *, as_parquet: bool = False) -> Path:
    """Write an extract set with just these rows; GP events and observations are always there."""
    folder.mkdir()
    lines = []
    for table, rows in ({"gp_event": [], "gp_observation": []} | tables).items():
        columns = contracts.load(f"landing.{table}").column_names
        frame = pl.DataFrame(
            {name: [row.get(name) or None for row in rows] for name in columns},
            schema=dict.fromkeys(columns, pl.String),
        )
        name = f"{table}.{'parquet' if as_parquet else 'csv'}"
        if as_parquet:
            frame.write_parquet(folder / name)
        else:
            frame.write_csv(folder / name)
        lines.append({"file_name": name, "table_name": table, "period_to": CUTOFF})
    with (folder / "manifest.csv").open("w", newline="") as opened:
        writer = csv.DictWriter(opened, ["file_name", "table_name", "period_to"])
        writer.writeheader()
        writer.writerows(lines)
    return folder


def target(of: str, measure: str = "percent", value: float = 50.0, **more: object) -> Target:
    source = Source("A publication", "A publisher", 2024, "https://example.org")
    tolerance = Tolerance("relative", 0.1, "for the test")
    return Target(
        "x", "A group", "A figure", measure, value, source, "seen", more.pop("tolerance", tolerance), of=of, **more
    )  # type: ignore[arg-type]


def value(folder: Path, of: str, measure_: str = "percent", **more: object) -> float | None:
    (one,) = measure(folder, [target(of, measure_, **more)])
    return one.value


# ------------------------------------------------------------------------------------------------- the figures


def test_every_published_figure_has_a_source_a_status_and_a_reason_for_its_tolerance():
    assert len(targets()) > 80
    for each in targets():
        assert each.source.publication and each.source.publisher and each.source.link.startswith("https://"), each.id
        assert 2005 <= each.source.year <= 2026, each.id
        assert each.status in ("seen", "worked", "recalled"), each.id
        assert each.tolerance.why and each.allowed > 0, each.id


def test_a_figure_worked_out_from_others_says_how():
    assert [each.id for each in targets() if each.status == "worked" and not each.note] == []


def test_what_every_figure_counts_is_counted_or_has_a_reason(tmp_path):
    folder = write_set(tmp_path / "set", {"patient": [person(1)], "registration": [registration(1)]})
    for each in measure(folder):
        assert not (each.reason or "").startswith("nothing in the county"), each.target.id


FIGURES = """
sources: {a: {publication: p, publisher: q, year: 2020, link: "https://example.org"}}
tolerances: {t: {by: relative, amount: 0.1, why: w}}
targets:
  - {id: one, group: g, what: w, measure: percent, of: copd, value: 2, source: a, status: seen, tolerance: t}
"""


def test_published_figures_are_read():
    (one,) = read_targets(FIGURES)
    assert (one.id, one.value, one.allowed, one.age, one.source.year) == (
        "one",
        2.0,
        pytest.approx(0.2),
        (0, 120),
        2020,
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(", tolerance: t}", "}", id="no_tolerance"),
        pytest.param("source: a,", "", id="no_source"),
        pytest.param("status: seen", "status: guessed", id="unknown_status"),
        pytest.param("measure: percent", "measure: per_mille", id="unknown_measure"),
        pytest.param("measure: percent", "measure: ratio", id="ratio_without_groups"),
        pytest.param("measure: percent", "measure: share", id="share_of_nothing"),
        pytest.param("value: 2", "value: 0", id="nought_cannot_be_compared"),
        pytest.param("amount: 0.1", "amount: 0", id="no_room"),
        pytest.param("value: 2", "value: 2, value: 3", id="given_twice"),
        pytest.param("of: copd", "of: copd, unit: litres", id="unknown_key"),
    ],
)
def test_a_figure_that_lacks_something_is_refused(old, new):
    assert old in FIGURES
    with pytest.raises(RunError, match=r"england\.yaml"):
        read_targets(FIGURES.replace(old, new))


def test_two_figures_of_one_id_are_refused():
    with pytest.raises(RunError, match="1 ids given twice"):
        read_targets(FIGURES + FIGURES[FIGURES.index("  - {id") :])


# ------------------------------------------------------------------------------------------------- prevalence


def test_prevalence_is_of_people_registered_on_the_last_day(tmp_path):
    """Registered: 1, 2, 3. COPD: 1 and, registered no longer or dead or a test, 4 to 7. So 1 of 3."""
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [
                person(1), person(2), person(3), person(4), person(5, date_of_death="2026-10-01"),
                person(6, is_test_patient="true"), person(7),
            ],
            "registration": [
                registration(1), registration(2), registration(3, end="2026-11-02"), registration(4, end="2026-11-01"),
                registration(5), registration(6), registration(7, registration_type="TEMPORARY"),
            ],
            "gp_event": [event(number, COPD) for number in (1, 4, 5, 6, 7)],
        },
    )  # fmt: skip
    (one,) = measure(folder, [target("copd")])
    assert (one.numerator, one.denominator) == (1, 3)
    assert one.value == pytest.approx(100 / 3)


def test_a_death_known_only_to_the_registrar_counts(tmp_path):
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [person(1), person(2)],
            "registration": [registration(1), registration(2)],
            "death": [{"nhs_number": "9990000002", "date_of_death": "2026-06-01"}],
            "gp_event": [event(2, COPD)],
        },
    )
    assert value(folder, "copd") == 0.0
    assert value(folder, "deaths", "per_1000") == 500.0  # 1 death; both were registered half a year back


def test_somebody_with_records_at_two_practices_is_one_person(tmp_path):
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [person(1), person(1, org_code="Y00002", source_patient_id="900")],
            "registration": [
                registration(1, end="2024-01-01"),
                registration(1, start="2024-01-01", org_code="Y00002", source_patient_id="900"),
            ],
            "gp_event": [event(1, COPD)],
        },
    )
    (one,) = measure(folder, [target("copd")])
    assert (one.numerator, one.denominator) == (1, 1)


@pytest.mark.parametrize(
    ("resolved", "expected"),
    [
        pytest.param("2021-05-04", 100.0, id="copd_again_after_it"),
        pytest.param("2021-05-05", 0.0, id="same_day"),
        pytest.param("2021-05-06", 0.0, id="resolved_last"),
        pytest.param("2026-11-02", 100.0, id="after_the_extract"),
    ],
)
def test_copd_that_was_resolved_is_off_the_register(tmp_path, resolved, expected):
    events = [event(1, COPD, "2020-01-01"), event(1, COPD, "2021-05-05"), event(1, codes.COPD_RESOLVED.code, resolved)]
    folder = write_set(
        tmp_path / "set", {"patient": [person(1)], "registration": [registration(1)], "gp_event": events}
    )
    assert value(folder, "copd") == expected


def test_rows_marked_deleted_do_not_count(tmp_path):
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [person(1)],
            "registration": [registration(1)],
            "gp_event": [event(1, COPD, is_deleted="true")],
        },
    )
    assert value(folder, "copd") == 0.0


def test_a_figure_of_one_age_and_sex_counts_nobody_else(tmp_path):
    """Women of 40 to 49: 2 (just 40) and 3 (49 for one more day). 2 has COPD: half."""
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [
                person(1, "1986-11-10"), person(2, "1986-10-25"), person(3, "1976-11-05"), person(4, "1976-10-20"),
                person(5, "1980-01-01", sex="M"),
            ],
            "registration": [registration(number) for number in range(1, 6)],
            "gp_event": [event(number, COPD) for number in (1, 2, 4, 5)],
        },
    )  # fmt: skip
    (one,) = measure(folder, [target("copd", age=(40, 49), sex="F")])
    assert (one.numerator, one.denominator) == (1, 2)
    assert value(folder, "everybody", "age_share", age=(40, 49)) == 60.0  # 2, 3 and 5 of 5


def test_whoever_has_diabetes_no_longer_has_non_diabetic_hyperglycaemia(tmp_path):
    before, after = codes.NON_DIABETIC_HYPERGLYCAEMIA.code, codes.TYPE_2_DIABETES.code
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [person(number) for number in (1, 2, 3, 4)],
            "registration": [registration(number) for number in (1, 2, 3, 4)],
            "gp_event": [event(1, before), event(2, before), event(2, after), event(3, after)],
        },
    )
    assert value(folder, "pre_diabetes") == 25.0  # 1
    assert value(folder, "diabetes") == 50.0  # 2 and 3


def test_the_latest_smoking_status_counts(tmp_path):
    never, former, current = (each.code for each in codes.SMOKING)
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [person(1), person(2), person(3)],
            "registration": [registration(number) for number in (1, 2, 3)],
            "gp_event": [
                event(1, current, "2019-01-01"),
                event(1, former, "2024-01-01"),
                event(2, current, "2024-01-01"),
                event(2, never, "2018-01-01"),
            ],
        },
    )
    assert value(folder, "smokes", among="has_smoking_status") == 50.0


def test_a_status_period_or_a_code_makes_a_care_home_resident(tmp_path):
    def flag(number: int, end: str) -> dict[str, str]:
        return {
            "nhs_number": f"999000{number:04d}", "flag": "CARE_HOME_NURSING", "start_date": "2024-01-01",
            "end_date": end,
        }  # fmt: skip

    folder = write_set(
        tmp_path / "set",
        {
            "patient": [person(number) for number in (1, 2, 3, 4)],
            "registration": [registration(number) for number in (1, 2, 3, 4)],
            "gp_event": [event(1, codes.CARE_HOME_RESIDENTIAL.code)],
            "patient_flag": [flag(2, ""), flag(3, "2026-11-01")],
        },
    )
    assert value(folder, "care_home") == 50.0  # 1 by code, 2 by period; 3 went home on the last day


@pytest.mark.parametrize(
    ("deficits", "medicines", "category"),
    [
        pytest.param(4, 4, "efi_fit", id="four_deficits_and_four_medicines"),
        pytest.param(4, 5, "efi_mild", id="polypharmacy_is_the_fifth"),
        pytest.param(8, 5, "efi_moderate", id="nine"),
        pytest.param(12, 5, "efi_severe", id="thirteen"),
    ],
)
def test_frailty_follows_the_number_of_deficits(tmp_path, deficits, medicines, category):
    coded = [concepts[0].code for _, concepts in codes.DEFICITS.values() if concepts]
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [person(1)],
            "registration": [registration(1)],
            "gp_event": [event(1, code) for code in coded[:deficits]],
            "gp_medication": [
                {
                    "org_code": HERE,
                    "source_patient_id": "001",
                    "issue_date": day,
                    "dmd_code": f"{number}",
                    "bnf_code": f"01010{number:04d}AAAAAA",
                }
                for number in range(medicines)
                for day in ("2026-03-01", "2026-04-01")
            ],
        },
    )
    names = ["efi_fit", "efi_mild", "efi_moderate", "efi_severe"]
    assert [name for name in names if value(folder, name) == 100.0] == [category]
    assert value(folder, "items", "per_person") == 2 * medicines


# ------------------------------------------------------------------------------------------------------ events


def test_rates_count_spells_of_a_year_of_people_registered_in_its_middle(tmp_path):
    """Registered on 3 May 2026: 1 and 2, not 3, who came later. Emergencies in the year: 1 once, 3 once: 2 of 2."""
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [person(1), person(2), person(3)],
            "registration": [registration(1), registration(2, end="2026-10-01"), registration(3, start="2026-08-01")],
            "apc_episode": [
                episode(1, "2026-02-01"),
                episode(1, "2026-02-01", order=2),
                episode(1, "2025-11-01"),  # a day too early
                episode(2, "2026-03-01", method="11"),
                episode(3, "2026-11-01", method="2A", diagnosis="J441"),
                episode(3, "2026-11-02"),  # a day too late
            ],
        },
    )
    assert value(folder, "emergency_admissions", "per_1000") == 1000.0
    assert value(folder, "admissions", "per_1000") == 1500.0
    assert value(folder, "copd_admissions", "per_1000") == 500.0
    assert value(folder, "joined_within_a_year") == 50.0  # of 1 and 3


def test_a_share_is_of_events_and_not_of_people(tmp_path):
    def appointment(number: int, attended: str) -> dict[str, str]:
        return {"nhs_number": f"999000{number:04d}", "appointment_date": "2026-06-01", "attended": attended}

    rows = [appointment(1, "5"), appointment(1, "6"), appointment(1, "3"), appointment(2, "4")]
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [person(1), person(2)],
            "registration": [registration(1), registration(2)],
            "op_attendance": rows,
        },
    )
    assert value(folder, "op_missed", "share", among="op_appointments") == 25.0
    assert value(folder, "op_attendances", "per_1000") == 1000.0


def test_only_the_latest_word_on_an_opt_out_counts(tmp_path):
    def objection(number: int, state: str, since: str) -> dict[str, str]:
        return {
            "nhs_number": f"999000{number:04d}", "opt_out_type": "TYPE1", "is_opted_out": state, "effective_from": since
        }  # fmt: skip

    by_record = {"org_code": HERE, "source_patient_id": "003", "opt_out_type": "TYPE1", "is_opted_out": "true"}
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [person(1), person(2), person(3, nhs_number=""), person(4)],
            "registration": [registration(number) for number in (1, 2, 3, 4)],
            "opt_out": [
                objection(1, "true", "2020-01-01"),
                objection(2, "false", "2021-01-01"),
                objection(2, "true", "2020-01-01"),
                by_record,
            ],
        },
    )
    assert value(folder, "opted_out_type_1") == 50.0  # 1, and 3 by the record
    assert value(folder, "opted_out_nationally") == 0.0


def test_a_table_that_is_not_there_is_a_reason_and_no_nought(tmp_path):
    folder = write_set(tmp_path / "set", {"patient": [person(1)], "registration": [registration(1)]})
    (one,) = measure(folder, [target("ed_attendances", "per_1000")])
    assert (one.value, one.is_inside, one.reason) == (None, None, "the set has no ed_attendance")
    assert outside([one]) == []


# ------------------------------------------------------------------------------------------------------ ratios


def test_a_ratio_compares_two_groups_as_if_both_had_the_ages_of_the_county(tmp_path):
    """Eight people, four of about 36 and four of about 76; deprived: 1 young and 3 old; affluent: 3 young and 1 old.

    With COPD: of the deprived 2 of 3 old and the young one; of the affluent 1 of 3 young and the one old.
    Deprived: (4 x 1/1 + 4 x 2/3) / 8 = 0.8333; affluent: (4 x 1/3 + 4 x 1/1) / 8 = 0.6667; 1.25 times.
    """
    young, old, poor, rich = "1990-01-01", "1950-06-01", "2", "9"
    homes = [
        (young, poor),
        (old, poor),
        (old, poor),
        (old, poor),
        (young, rich),
        (young, rich),
        (young, rich),
        (old, rich),
    ]
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [person(number, born, imd_decile=home) for number, (born, home) in enumerate(homes, 1)],
            "registration": [registration(number) for number in range(1, 9)],
            "gp_event": [event(number, COPD) for number in (1, 2, 3, 5, 8)],
        },
    )
    (one,) = measure(folder, [target("copd", "ratio", 1.2, groups=("most_deprived", "least_deprived"))])
    assert one.value == pytest.approx(1.25)
    assert (one.numerator, one.denominator) == (3, 2)
    assert one.chance == pytest.approx(2 * 1.2 * (1 / 3 + 1 / 2) ** 0.5)


def test_a_ratio_to_a_group_without_a_case_cannot_be_measured(tmp_path):
    folder = write_set(
        tmp_path / "set",
        {
            "patient": [person(1, imd_decile="1"), person(2, imd_decile="10")],
            "registration": [registration(1), registration(2)],
            "gp_event": [event(1, COPD)],
        },
    )
    (one,) = measure(folder, [target("copd", "ratio", 2.0, groups=("most_deprived", "least_deprived"))])
    assert one.value is None and one.reason == "nobody has it in one of the groups"


# --------------------------------------------------------------------------------------------------- tolerance


@pytest.mark.parametrize(
    ("county", "chance", "inside"),
    [
        pytest.param(45.0, 0.0, True, id="exactly_a_tenth_below"),
        pytest.param(44.9, 0.0, False, id="just_more_than_a_tenth_below"),
        pytest.param(55.1, 0.0, False, id="just_more_than_a_tenth_above"),
        pytest.param(55.1, 0.2, True, id="within_chance_of_it"),
        pytest.param(None, 0.0, None, id="not_measured"),
    ],
)
def test_inside_is_within_tolerance_and_chance(county, chance, inside):
    one = Measured(target("copd"), county, 1, 2, chance)
    assert one.is_inside is inside
    assert outside([one]) == ([one] if inside is False else [])


def test_chance_is_two_standard_errors_of_the_published_figure(tmp_path):
    folder = write_set(
        tmp_path / "set",
        {"patient": [person(number) for number in range(1, 5)], "registration": [registration(1), registration(2)]},
    )
    (share,) = measure(folder, [target("copd", value=20)])
    assert share.chance == pytest.approx(2 * 100 * (0.2 * 0.8 / 2) ** 0.5)
    (rate,) = measure(folder, [target("deaths", "per_1000", 10)])
    assert rate.chance == pytest.approx(2 * 1000 * (0.01 / 2) ** 0.5)


# ------------------------------------------------------------------------------------------ files and the report


def _small(folder: Path, *, as_parquet: bool = False) -> Path:
    """Forty people of all ages, every fourth with COPD, every third once in hospital."""
    numbers = range(1, 41)
    return write_set(
        folder,
        {
            "patient": [
                person(number, f"{2026 - 2 * number}-03-01", sex="FM"[number % 2], imd_decile=str(1 + number % 10))
                for number in numbers
            ],
            "registration": [registration(number, start="2026-01-01") for number in numbers],
            "gp_event": [event(number, COPD) for number in numbers if number % 4 == 0],
            "apc_episode": [episode(number, "2026-06-01") for number in numbers if number % 3 == 0],
        },
        as_parquet=as_parquet,
    )


def _truth(folder: Path) -> Path:
    folder.mkdir()
    about = {"people": 40, "seed": 1, "index_date": "2026-11-02"}
    (folder / "about.json").write_text(json.dumps(about))
    pl.DataFrame(
        {
            "date_of_birth": [date(1950, 1, 1)] * 4,
            "date_of_death": [None, None, None, date(2026, 1, 1)],
            "is_test_patient": [False] * 4,
            "is_temporary": [False, False, True, False],
            "has_copd": [True, False, True, True],
            "care_home": [None, "nursing", None, None],
        }
    ).write_parquet(folder / "person.parquet")
    return folder


def test_csv_and_parquet_measure_the_same(tmp_path):
    text, parquet = _small(tmp_path / "csv"), _small(tmp_path / "parquet", as_parquet=True)
    assert measure(text) == measure(parquet)


def test_a_folder_that_is_no_extract_set_is_refused(tmp_path):
    with pytest.raises(ExtractError, match=r"manifest\.csv"):
        measure(tmp_path)
    with pytest.raises(ExtractError, match="patient and registration"):
        measure(write_set(tmp_path / "set", {}))


def test_the_report_shows_every_figure_and_how_it_stands(tmp_path):
    measured = measure(_small(tmp_path / "set"))
    made = report(measured, _truth(tmp_path / "truth"), name="county")
    for each in measured:
        assert f"| {each.target.what} |" in made.page
        assert each.target.what in made.ratios
        assert each.target.source.link in made.page
    assert "| COPD | 25.00 | 1.90 % | ± 0.28 |" in made.page  # 10 of 40
    assert "40 invented people (seed 1)" in made.page
    assert "](county-ratios.svg)" in made.page and "](county-ages.svg)" in made.page
    assert in_words(measured).count("OUTSIDE") == len(outside(measured)) > 0


def test_the_report_says_what_is_so_beside_what_is_recorded(tmp_path):
    page = report(measure(_small(tmp_path / "set")), _truth(tmp_path / "truth")).page
    assert "| COPD | 50.00 | 25.00 | 1.90 % |" in page  # 1 of the 2 who live and are not temporary; 10 of 40 recorded
    assert "| Care home residents, 65 and over | 50.00 | 0.00 | 2.50 % |" in page


def test_the_drawings_are_well_formed_and_say_what_they_show(tmp_path):
    made = report(measure(_small(tmp_path / "set")), _truth(tmp_path / "truth"))
    for drawing in (made.ratios, made.ages):
        root = ElementTree.fromstring(drawing)
        words = {child.tag.split("}")[1]: child.text for child in root if child.text and child.text.strip()}
        assert root.get("role") == "img" and words["title"] and words["desc"]
        assert root.get("aria-labelledby") == "title description"


def test_the_same_county_gives_the_same_bytes(tmp_path):
    extracts, truth = _small(tmp_path / "set"), _truth(tmp_path / "truth")
    digests = []
    for folder in ("first", "second"):
        write_report(extracts, truth, tmp_path / folder / "county.md")
        written = sorted((tmp_path / folder).iterdir())
        assert [each.name for each in written] == ["county-ages.svg", "county-ratios.svg", "county.md"]
        digests.append([hashlib.sha256(each.read_bytes()).hexdigest() for each in written])
    assert digests[0] == digests[1]


def test_a_truth_that_lacks_a_file_is_refused(tmp_path):
    truth = _truth(tmp_path / "truth")
    (truth / "about.json").unlink()
    with pytest.raises(ExtractError, match=r"no about\.json"):
        write_report(_small(tmp_path / "set"), truth, tmp_path / "county.md")
    assert not (tmp_path / "county.md").exists()
