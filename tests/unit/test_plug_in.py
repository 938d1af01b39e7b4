"""A site's own function gives a value: what it is told, what becomes of its answer, and what is refused.

The stand-in adds up the inputs it knows. It is no score of anything.
"""

from __future__ import annotations

import sys
from datetime import date
from types import ModuleType

import polars as pl
import pytest

import invented
from invented import score, variable
from stratify import engine, plug_in
from stratify.errors import RunError, SettingsError
from stratify.hits import READS
from stratify.privacy import STAND_IN_POLICY
from stratify.reckoning import scored_rows
from stratify.rules import PERSON_FIELDS
from stratify.scores import score_rows
from stratify.settings import Settings
from stratify.store import open_store
from stratify.variable_words import variable_in_words

INDEX = date(2026, 6, 15)
MISSING = {"unit": "units", "text_when_missing": "not known"}
GIVEN = variable("risk", "given", {"plug_in": "stand_in"}, inputs=["age_years", "is_male", "pressure"], **MISSING)
BOOK = invented.rule_book(
    variables=[variable("pressure", "latest", {"measurement": "pressure"}, maximum_age_months=12), GIVEN],
    scores=[
        score("own_risk", value_of="risk", is_prediction=True,
              tiers=[{"tier": "high", "label": "High", "at_least": 200}, {"tier": "low", "label": "Low", "below": 200}])
    ],
)  # fmt: skip
seen: list[pl.DataFrame] = []


def stand_in(people: pl.DataFrame) -> pl.DataFrame:
    """Give age + pressure, and nothing without a pressure; the last person first."""
    seen.append(people)
    return people.select("person", value=pl.col("age_years") + pl.col("pressure")).reverse()


@pytest.fixture(autouse=True)
def module(monkeypatch):
    made = ModuleType("invented_site_scores")
    made.stand_in, made.number = stand_in, 7
    monkeypatch.setitem(sys.modules, "invented_site_scores", made)
    seen.clear()
    return made


def settings(function: str = "invented_site_scores:stand_in", name: str = "stand_in") -> Settings:
    given = {"extracts": "in", "source": "canonical", "out": "out", "index_date": INDEX, "privacy": STAND_IN_POLICY}
    return Settings.model_validate(given | {"plug_ins": {name: {"function": function, "version": "3"}}})


@pytest.fixture
def store(tmp_path):
    people = {"a": {"pressure": 140.0}, "b": {}, "c": {"pressure": 120.0}, "d": {"pressure": ">130"}}
    with open_store(tmp_path / "run.duckdb", temp_directory=tmp_path / "scratch") as opened:
        opened.execute("CREATE SCHEMA work")
        persons = [{"patient_key": key, "age_years": 70, "sex": "M"} for key in people]
        opened.create("core.person", invented.frame("core.person", persons))
        opened.create("derived.variable_value", invented.value_rows(people, date(2026, 5, 1)))
        yield opened


def test_the_value_of_the_function_becomes_a_score(store, monkeypatch):
    monkeypatch.setattr(plug_in, "MOST_PEOPLE", 3)
    assert plug_in.ask_all(store, BOOK, settings()) == 2
    scored = scored_rows(store, BOOK, index_date=INDEX)
    rows = {row["patient_key"]: row for row in engine.rows(store, score_rows(scored, BOOK)).to_dicts()}
    # 70 + 140 = 210, 70 + 120 = 190; no pressure, or one that is only known to be above 130, is not known.
    found = {key: (row["value"], row["tier"], row["possible_tiers"]) for key, row in rows.items()}
    assert found == {
        "a": (210, "high", "high"),
        "b": (None, None, "high;low"),
        "c": (190, "low", "low"),
        "d": (None, None, "high;low"),
    }
    assert rows["b"]["missing_variables"] == "risk;pressure"
    kept = store.rows(
        "SELECT value, state, value_date, record_count FROM derived.variable_value WHERE variable = 'risk'"
    )
    assert sorted(kept) == [(190.0, "known", INDEX, 3), (210.0, "known", INDEX, 3)]


def test_the_function_is_told_the_inputs_and_nothing_that_says_who_it_is(store):
    plug_in.ask_all(store, BOOK, settings())
    (told,) = seen
    assert told.columns == ["person", "age_years", "is_male", "pressure"]
    assert told["person"].to_list() == [0, 1, 2, 3]
    assert told["pressure"].to_list() == [140, None, 120, None]
    assert told["is_male"].to_list() == [1, 1, 1, 1]


def test_nobody_at_all_is_no_fault(store):
    store.execute("DELETE FROM core.person")
    assert plug_in.ask_all(store, BOOK, settings()) == 0


def test_without_a_variable_that_asks_for_one_no_function_is_looked_for(store):
    plain = invented.rule_book(variables=[BOOK.variables["pressure"]])
    assert plug_in.ask_all(store, plain, settings("no.such:thing")) == 0
    assert plug_in.identity(plain, settings("no.such:thing")) == {}


PEOPLE = pl.DataFrame({"person": [0, 1], "age_years": [70.0, 71.0], "is_male": [1.0, None], "pressure": [140.0, None]})


def _fails(_: pl.DataFrame) -> pl.DataFrame:
    raise ValueError("patient aged 71 of Example Street")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        pytest.param(_fails, "a fault in it (ValueError)", id="it_fails"),
        pytest.param(lambda people: [71.0], "a list", id="no_frame"),
        pytest.param(lambda people: people.lazy(), "a LazyFrame", id="a_frame_that_is_not_run"),
        pytest.param(lambda people: people, "4 columns", id="other_columns"),
        pytest.param(lambda people: people.select("person"), "1 columns", id="no_value"),
        pytest.param(lambda people: people.select("person", value=pl.lit("71")), "value as String", id="text"),
        pytest.param(lambda people: people.select(pl.col("person") + 0.5, value=1.0), "person as Float64", id="halves"),
        pytest.param(
            lambda people: people.select(pl.col("person") + 1, value=pl.lit(71.0)),
            "1 rows for nobody it was asked about",
            id="somebody_else",
        ),
        pytest.param(
            lambda people: people.select("person", value=pl.lit(71.0)).vstack(
                people.select("person", value=pl.lit(2.0))
            ),
            "2 rows for somebody it has answered for already",
            id="twice",
        ),
        pytest.param(
            lambda people: people.select("person", value=pl.lit(float("nan"))), "2 rows that hold no finite", id="nan"
        ),
        pytest.param(
            lambda people: people.select("person", value=71.0 / (pl.col("age_years") - 70)), "1 rows", id="infinite"
        ),
    ],
)
def test_a_wrong_answer_is_refused_and_no_value_is_told(answer, found):
    with pytest.raises(RunError) as fault:
        plug_in.ask(answer, GIVEN, PEOPLE)
    message = str(fault.value)
    assert message.startswith("plug-in stand_in, for risk: expected a Polars frame") and found in message
    assert "71" not in message and "Example Street" not in message
    assert fault.value.__cause__ is None and (fault.value.__suppress_context__ or not fault.value.__context__)


def test_people_may_be_left_out_or_have_no_value():
    given = plug_in.ask(lambda people: people.select("person", value=pl.lit(None)), GIVEN, PEOPLE)
    assert given["value"].to_list() == [None, None] and given["value"].dtype == pl.Float64
    assert plug_in.ask(lambda people: people.select("person", value=pl.lit(3)).head(1), GIVEN, PEOPLE).rows() == [
        (0, 3)
    ]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        pytest.param(settings(name="another"), "no such setting", id="not_in_the_settings"),
        pytest.param(settings("no_such_module:risk"), "none that can be imported", id="no_module"),
        pytest.param(settings("invented_site_scores:absent"), "none that can be imported", id="no_function"),
        pytest.param(settings("invented_site_scores:number"), "none that can be imported", id="a_number"),
    ],
)
def test_a_plug_in_without_a_function_is_a_fault_before_anything_is_loaded(told, found):
    with pytest.raises(SettingsError, match=found):
        plug_in.identity(BOOK, told)


def test_the_function_and_its_version_are_part_of_what_a_run_is():
    ((function, version, digest),) = plug_in.identity(BOOK, settings()).values()
    assert (function, version, len(digest)) == ("invented_site_scores:stand_in", "3", 64)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"inputs": []}, id="no_inputs"),
        pytest.param({"inputs": ["age_years", "age_years"]}, id="an_input_twice"),
        pytest.param({"maximum_age_months": 12}, id="an_age"),
        pytest.param({"take": "latest", "maximum_age_months": 12}, id="another_take"),
        pytest.param({"from": [{"event": "x"}]}, id="records"),
    ],
)
def test_a_variable_that_mixes_plug_in_and_records_is_refused(wrong):
    own = GIVEN.model_dump(by_alias=True, exclude_unset=True)
    with pytest.raises(ValueError, match=r"plug-in|maximum age|input"):
        type(GIVEN).model_validate(own | wrong)


def test_it_reads_as_a_sentence_and_reads_no_table():
    assert READS["plug_in"] == {}
    assert variable_in_words(GIVEN, BOOK) == (
        "The value that the site's own plug-in stand_in gives, from: Age, Male, pressure. "
        'Not known where it gives none. Shown then: "not known".'
    )
    assert set(BOOK.variables_of_score("own_risk")) == {"risk", "age_years", "is_male", "pressure"}
    assert {"age_years", "is_male"} <= set(PERSON_FIELDS)
