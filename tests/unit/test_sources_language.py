"""The language of sources: what a declaration may say, what is refused and in which words, what each verb gives."""

from pathlib import Path

import polars as pl
import pytest
import yaml

from stratify.errors import SettingsError
from stratify.ingest import SOURCES
from stratify.ingest.sources.loading import load_declaration, our_declarations

PEOPLE = {
    "org_code": {"constant": "X00009"},
    "source_patient_id": "No",
    "date_of_birth": {"date": "Born"},
}


def declaration(**changes):
    return {
        "name": "small",
        "description": "Invented.",
        "is_synthetic": True,
        "form": {"dates": ["dd/MM/yyyy", "dd-MMM-yyyy"], "moments": ["dd/MM/yyyy HH:mm", "dd/MM/yyyy"]},
        "files": {
            "people": {
                "name": "people.csv",
                "versions": [{"version": "1", "columns": ["No", "Born", "A", "B", "When"]}],
            },
            "words": {"name": "words.csv", "versions": [{"version": "1", "columns": ["Key", "Word", "Since"]}]},
        },
        "tables": {"patient": [{"file": "people", "columns": PEOPLE}]},
    } | changes


def written(folder: Path, what):
    folder.mkdir(exist_ok=True)
    path = folder / "small.yaml"
    path.write_text(what if isinstance(what, str) else yaml.safe_dump(what), encoding="utf-8")
    return path


def refused(tmp_path, what):
    with pytest.raises(SettingsError) as caught:
        load_declaration(written(tmp_path, what))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def made(tmp_path, value, rows, words="", *, table="patient", **changes):
    """Give what a value makes of rows of No, Born, A, B, When, as the family name."""
    columns = {**PEOPLE, "family_name": value}
    what = declaration(tables={"patient": [{"file": "people", "columns": columns}]}, **changes)
    source = SOURCES[str(written(tmp_path, what))]
    (tmp_path / "set").mkdir(exist_ok=True)
    (tmp_path / "set" / "people.csv").write_text("No,Born,A,B,When\n" + rows, encoding="utf-8")
    (tmp_path / "set" / "words.csv").write_text("Key,Word,Since\n" + words, encoding="utf-8")
    landing = source.read(tmp_path / "set", tmp_path / "scratch")
    return pl.read_parquet(landing / "patient.parquet")["family_name"].to_list()


# Verbs


@pytest.mark.parametrize(
    ("value", "row", "gives"),
    [
        pytest.param("A", "1,, x  ,,", "x", id="a_column_without_blanks_around"),
        pytest.param("A", "1,,,,", None, id="an_empty_value_is_none"),
        pytest.param({"constant": "it's"}, "1,,,,", "it's", id="a_constant_with_a_quote"),
        pytest.param({"first_of": ["A", "B"]}, "1,,,b,", "b", id="the_first_that_is_filled"),
        pytest.param({"join": ["A", "B"], "separator": ", "}, "1,,a,b,", "a, b", id="joined"),
        pytest.param({"join": ["A", "B"], "separator": ", "}, "1,,,b,", "b", id="joined_without_the_empty_one"),
        pytest.param({"join": ["A", "B"]}, "1,,,,", None, id="nothing_joined"),
        pytest.param({"date": "A"}, "1,,02/03/1950,,", "1950-03-02", id="a_day"),
        pytest.param({"date": "A"}, "1,,02-MAR-1950,,", "1950-03-02", id="a_day_of_another_format"),
        pytest.param({"date": "A"}, "1,,2/3/1950,,", "2/3/1950", id="a_day_written_otherwise_stays"),
        pytest.param({"date": "A"}, "1,,31/02/1950,,", "31/02/1950", id="a_day_that_is_none_stays"),
        pytest.param({"date": "A"}, "1,,02/03/50,,", "02/03/50", id="a_year_of_two_digits_stays"),
        pytest.param({"moment": "A"}, "1,,02/03/1950 23:59,,", "1950-03-02T23:59:00", id="a_moment"),
        pytest.param({"moment": "A"}, "1,,02/03/1950,,", "1950-03-02", id="a_moment_without_a_time"),
        pytest.param({"days_between": ["A", "B"]}, "1,,28/02/2024,01/03/2024,", "2", id="days_over_a_leap_day"),
        pytest.param({"days_between": ["A", "B"]}, "1,,28/02/2024,soon,", None, id="no_days_to_what_is_no_day"),
        pytest.param(
            {"minutes_between": ["A", "B"]}, "1,,02/03/1950 23:50,03/03/1950 00:05,", "15", id="minutes_over_midnight"
        ),
        pytest.param({"line_of": "person"}, "1,,,,", "person:2", id="an_id_of_the_line"),
        pytest.param({"column": "A", "values": {"x": "y"}}, "1,,x,,", "y", id="a_word_in_our_words"),
        pytest.param({"column": "A", "values": {"x": "y"}}, "1,,z,,", "z", id="a_word_that_is_not_listed_stays"),
        pytest.param({"column": "A", "values": {"x": ""}}, "1,,x,,", None, id="a_word_for_nothing"),
        pytest.param(
            {"column": "A", "values": {"x": "y"}, "other_values": "empty"}, "1,,z,,", None, id="other_words_left_out"
        ),
        pytest.param({"column": "A", "is_lower_case": True}, "1,,First,,", "first", id="lower_case"),
        pytest.param({"column": "A", "is_postcode": True}, "1,,QZ12ZZ,,", "QZ1 2ZZ", id="a_postcode"),
        pytest.param({"column": "A", "is_postcode": True}, "1,,QZ1 2ZZ,,", "QZ1 2ZZ", id="a_postcode_as_it_should_be"),
        pytest.param({"column": "A", "part": "before_space"}, "1,,28 tablets of 5,,", "28", id="before_a_space"),
        pytest.param({"column": "A", "part": "after_space"}, "1,,28 tablets of 5,,", "tablets of 5", id="after_it"),
        pytest.param({"column": "A", "part": "after_space"}, "1,,28,,", None, id="nothing_after_a_space"),
        pytest.param(
            {"constant": "y", "when": [{"column": "A", "is_filled": True}], "otherwise": "B"}, "1,,,b,", "b", id="when"
        ),
        pytest.param({"constant": "y", "when": [{"column": "A", "none_of": ["x"]}]}, "1,,,,", "y", id="none_of_empty"),
        pytest.param({"constant": "y", "when": [{"column": "A", "one_of": ["x"]}]}, "1,,,,", None, id="one_of_empty"),
    ],
)
def test_what_a_verb_gives(tmp_path, value, row, gives):
    assert made(tmp_path, value, row + "\n") == [gives]


LOOK_UP = {"found_in": "words", "match": {"A": "Key"}, "give": "Word"}


@pytest.mark.parametrize(
    ("look_up", "gives"),
    [
        pytest.param(LOOK_UP | {"latest_by": {"date": "Since"}}, "newer", id="the_latest"),
        pytest.param(
            LOOK_UP | {"where": [{"column": "Word", "none_of": ["newer"]}]}, "old", id="the_only_one_that_fits"
        ),
    ],
)
def test_a_look_up_gives_one_row_and_multiplies_none(tmp_path, look_up, gives):
    words = "k,old,31/12/2020\nk,newer,01/01/2021\n"
    assert made(tmp_path, {"look_up": look_up}, "1,,k,,\n2,,other,,\n", words) == [gives, None]


def test_rows_without_a_match_and_rows_that_fit_no_table_are_told_apart(tmp_path):
    part = {"file": "people", "columns": PEOPLE, "when": [{"found_in": "words", "match": {"A": "Key"}}]}
    source = SOURCES[str(written(tmp_path, declaration(tables={"patient": [part]})))]
    (tmp_path / "people.csv").write_text("No,Born,A,B,When\n1,,k,,\n2,,x,,\n3,,,,\n")
    (tmp_path / "words.csv").write_text("Key,Word,Since\nk,a,\n")
    landing = source.read(tmp_path, tmp_path / "scratch")
    assert pl.read_parquet(landing / "patient.parquet")["source_patient_id"].to_list() == ["1"]
    left = pl.read_csv(tmp_path / "scratch" / "not_carried.csv").rows()
    assert ("people.csv", "no table takes them", 2) in left
    assert ("words.csv", "looked up from rows of other files", 1) in left


# What is refused


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"fiels": {}}, "small.yaml, fiels: expected what docs/sources.md lists; found a key", id="unknown_key"
        ),
        pytest.param({"name": None}, "small.yaml, name:", id="no_name"),
        pytest.param(
            {"canonical": ["people"]}, "expected landing tables of data_contracts/landing; found people", id="table"
        ),
        pytest.param({"not_supplied": ["patient"]}, "found patient, which it makes", id="made_and_never_supplied"),
        pytest.param({"includes": ["small"]}, "expected no declaration to include itself", id="circle"),
        pytest.param(
            {"includes": ["nothing"]}, "nothing.yaml: expected a declaration; found no file", id="no_such_include"
        ),
        pytest.param({"form": {"dates": ["%d/%m/%Y"]}}, "form.dates: ", id="a_format_in_other_words"),
        pytest.param(
            {"tables": {"patient": [{"file": "persons", "columns": PEOPLE}]}}, "none called persons", id="no_such_file"
        ),
        pytest.param(
            {"tables": {"patient": [{"file": "people", "columns": PEOPLE | {"sex": "Sex"}}]}},
            "small.yaml, people: expected columns of its first version; found none called Sex",
            id="no_such_column",
        ),
        pytest.param(
            {"tables": {"patient": [{"file": "people", "columns": PEOPLE | {"gender": "A"}}]}},
            "expected columns of landing.patient; found gender",
            id="no_such_landing_column",
        ),
        pytest.param(
            {"tables": {"patient": [{"file": "people", "columns": {"source_patient_id": "No"}}]}},
            "cannot do without; found none for org_code",
            id="a_required_column_missing",
        ),
        pytest.param(
            {
                "tables": {
                    "patient": [{"file": "people", "columns": PEOPLE | {"sex": {"column": "A", "constant": "F"}}}]
                }
            },
            "has exactly one of column, constant",
            id="two_makers",
        ),
        pytest.param(
            {"derived": {"more": {"made_by": "magic", "of": ["people"]}}}, "derived.more", id="no_such_function"
        ),
    ],
)
def test_a_declaration_that_does_not_hold_together_is_refused(tmp_path, changes, said):
    assert said in refused(tmp_path, declaration(**changes))


@pytest.mark.parametrize(
    ("version", "said"),
    [
        pytest.param(
            {"version": "2", "same_as": "3"}, "is the same as one that stands before it", id="no_such_version"
        ),
        pytest.param({"version": "2", "same_as": "1", "without": ["Z"]}, "not there: Z", id="without_what_never_was"),
        pytest.param({"version": "2"}, "gives its columns, or the version", id="neither"),
        pytest.param({"version": "1", "columns": ["No"]}, "has each version once", id="twice"),
    ],
)
def test_versions_are_proved(tmp_path, version, said):
    what = declaration()
    what["files"]["people"]["versions"].append(version)
    assert said in refused(tmp_path, what)


def test_a_key_given_twice_and_text_that_is_no_yaml_are_refused_by_line(tmp_path):
    assert "found a key given twice near line 2" in refused(tmp_path, "name: a\nname: b\n")
    assert "found text that is none near line 2" in refused(tmp_path, "name: a\n  b: [\n")


def test_a_declaration_is_found_by_its_path_and_no_other_name_is_taken(tmp_path):
    path = written(tmp_path, declaration())
    assert SOURCES[str(path)].name == "small" and SOURCES[str(path)].is_synthetic
    assert "nothing" not in SOURCES
    with pytest.raises(KeyError):
        SOURCES["nothing"]


def test_what_is_included_may_stand_beside(tmp_path):
    written(tmp_path, declaration())
    other = tmp_path / "mine.yaml"
    other.write_text("name: mine\ndescription: Mine.\nincludes: [small]\nunit_words: {a: b}\n")
    loaded = load_declaration(other)
    assert set(loaded.declaration.files) == {"people", "words"} and not loaded.declaration.is_synthetic
    before = loaded.digest
    written(tmp_path, declaration(description="Changed."))
    assert load_declaration(other).digest != before


@pytest.mark.parametrize("path", [pytest.param(each, id=each.stem) for each in our_declarations()])
def test_our_declarations_hold_together_and_are_called_after_their_file(path):
    loaded = load_declaration(path)
    assert loaded.declaration.name == path.stem
    assert len(loaded.declaration.description) > 30


def test_the_consent_flag_of_emis_is_turned_round(tmp_path):
    """In EMIS v2 FALSE under is_consent_9nu0 means has opted out; TRUE or empty means no opt-out (nhs-data 4.2).

    The words are those of docs/sources.md.
    """
    guide = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    snippet = guide.split("<!-- 9nu0 -->\n```yaml\n", 1)[1].split("```", 1)[0]
    what, told = declaration(), yaml.safe_load(snippet)
    what["files"] |= told["files"]
    what["tables"] |= told["tables"]
    source = SOURCES[str(written(tmp_path, what))]
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "patients.csv").write_text(
        "registration_id,is_consent_9nu0,updated_at\n"
        "objects,false,2026-01-04T08:00:00\nobjects too,FALSE,2026-01-04T08:00:00\n"
        "consents,true,2026-01-04T08:00:00\nnever asked,,2026-01-04T08:00:00\n",
        encoding="utf-8",
    )
    for name in ("people", "words"):
        (folder / f"{name}.csv").write_text(",".join(what["files"][name]["versions"][0]["columns"]) + "\n")
    landing = source.read(folder, tmp_path / "scratch")
    found = pl.read_parquet(landing / "opt_out.parquet").select("source_patient_id", "opt_out_type", "is_opted_out")
    assert found.sort("source_patient_id").rows() == [
        ("consents", "TYPE1", "false"),
        ("objects", "TYPE1", "true"),
        ("objects too", "TYPE1", "true"),
    ]
