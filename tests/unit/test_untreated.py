"""Learning without offers: a programme that halves admissions does not teach a model that its people are safe."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from little_model import ATTRITION, DESIGN
from sklearn.linear_model import LogisticRegression

from stratify import kept_weeks
from stratify.contract_frames import schema_of
from stratify.errors import RunError
from stratify.modelling.cohort import Cohort, Observed
from stratify.modelling.design import ModelDesign
from stratify.modelling.evaluation import evaluate
from stratify.modelling.fitting import fit_on
from stratify.modelling.untreated import without_offers
from stratify.modelling.untreated_run import without_help

YEAR = 365
NEVER = float("nan")


def test_somebody_cut_off_is_made_up_for_by_those_of_the_stratum_who_were_not():
    """Four alike, one offered something on day 100: the other three stand for four, each for 4/3."""
    found = without_offers([NEVER] * 4, [100, NEVER, NEVER, NEVER], [0] * 4, horizon_days=YEAR, seed=1)
    assert found.weights.tolist() == pytest.approx([0, 4 / 3, 4 / 3, 4 / 3])
    assert found.cut_off == 1
    assert sorted(set(found.rows.tolist())) == [1, 2, 3]
    assert len(found.rows) == 4


def test_an_outcome_before_the_offer_counts_and_one_after_it_does_not():
    """Outcome on day 50, offered on day 80: whole. Offered on day 80, outcome on day 90: cut off. Same day: counts."""
    found = without_offers([50, 90, 70, NEVER], [80, 80, 70, NEVER], [0] * 4, horizon_days=YEAR, seed=1)
    assert (found.weights > 0).tolist() == [True, False, True, True]


def test_weights_by_hand_where_an_outcome_comes_before_an_offer():
    """Day 10: A has the outcome, with nobody cut off before: weighs 1. Day 20: B, of B, C and D left, is offered
    something: C and D stand for 3/2 each. Together 4, as many as they are."""
    found = without_offers([10, NEVER, NEVER, NEVER], [NEVER, 20, NEVER, NEVER], [0] * 4, horizon_days=YEAR, seed=1)
    assert found.weights.tolist() == pytest.approx([1, 0, 1.5, 1.5])


def test_a_stratum_in_which_everybody_was_offered_something_is_named():
    found = without_offers([NEVER] * 4, [0, 0, NEVER, NEVER], [7, 7, 8, 8], horizon_days=YEAR, seed=1)
    assert found.unlearnable == (7,)
    assert found.weights.tolist() == [0, 0, 1, 1]


def test_days_before_the_index_date_are_refused():
    with pytest.raises(RunError, match="1 days before the index date"):
        without_offers([-1], [NEVER], [0], horizon_days=YEAR, seed=1)


class Programme:
    """A simulated year: weekly offers to those whom the model in use puts highest, which halve admissions afterwards.

    The risk without an offer is a logistic function of four things that are known; the day of the admission is even
    over the year. Of the tenth at the highest risk 90 % come to be offered something, of the next tenth 60 %, at a day
    that is even over the first three months.
    """

    def __init__(self, people: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.known = rng.normal(size=(people, 4))
        self.risk = 1 / (1 + np.exp(-(self.known @ [0.9, 0.6, 0.4, 0.3] - 2.2)))
        in_use = self.known @ [0.8, 0.7, 0.0, 0.3] + rng.normal(0, 0.3, people)  # an older, poorer model
        self.band = np.digitize(in_use, np.quantile(in_use, np.arange(1, 20) / 20))
        wanted = np.where(self.band >= 18, 0.9, np.where(self.band >= 16, 0.6, 0.0))
        self.offer = np.where(rng.random(people) < wanted, 7 * np.floor(rng.uniform(0, 13, people)), np.nan)
        self.untreated = np.where(rng.random(people) < self.risk, np.floor(rng.uniform(0, YEAR, people)), np.nan)
        prevented = (self.untreated > self.offer) & (rng.random(people) < 0.5)
        self.outcome = np.where(prevented, np.nan, self.untreated)
        self.treated = ~np.isnan(self.offer)


def slope_on_truth(programme: Programme, risk: np.ndarray) -> float:
    """Give by how much a risk rises for each unit of the risk without an offer, in the treated, through the origin."""
    truth, mine = programme.risk[programme.treated], risk[programme.treated]
    return float((truth * mine).sum() / (truth**2).sum())


def fitted(programme: Programme, rows: np.ndarray) -> np.ndarray:
    model = LogisticRegression(C=np.inf).fit(programme.known[rows], ~np.isnan(programme.outcome[rows]))
    return model.predict_proba(programme.known)[:, 1]


def both(people: int, seed: int) -> tuple[float, float, float]:
    programme = Programme(people, seed)
    found = without_offers(programme.outcome, programme.offer, programme.band, horizon_days=YEAR, seed=seed)
    safe = fitted(programme, found.rows)
    untreated = ~np.isnan(programme.untreated[programme.treated])
    calibration = evaluate(untreated, safe[programme.treated]).measures["calibration_slope"].value
    return slope_on_truth(programme, fitted(programme, np.arange(people))), slope_on_truth(programme, safe), calibration


def test_a_programme_that_halves_admissions_does_not_hide_its_people():
    naive, safe, calibration = both(60_000, seed=1)
    assert naive < 0.8
    assert 0.9 < safe < 1.1
    assert 0.9 < calibration < 1.1


def site_of(programme: Programme, folder, design: ModelDesign) -> Cohort:
    """Give the programme's people as a cohort, and keep its offers as weeks of lists in a run's folder."""
    first = date(2025, 6, 2)
    keys = [f"k{number:05}" for number in range(programme.risk.size)]
    rows = pl.DataFrame(
        {
            "patient_key": keys,
            "index_date": [first] * len(keys),
            "outcome": (~np.isnan(programme.outcome)).astype(int),
            "days_to_event": programme.outcome,
            "practice_code": [f"A9900{number % 5}" for number in range(len(keys))],
            "part": ["fit"] * len(keys),
            **{f"x_{name}": programme.known[:, place] for place, name in enumerate(design.names)},
        }
    ).with_columns(pl.col("days_to_event").fill_nan(None).cast(pl.Int64))
    for day in sorted(set(programme.offer[programme.treated].tolist())):
        week = first + timedelta(days=int(day))
        listed = [key for key, offer in zip(keys, programme.offer, strict=True) if offer == day]
        said = [{"week": week, "patient_key": key, "pathway": "p", "placement": "listed"} for key in listed]
        (folder / "restricted").mkdir(exist_ok=True)
        kept_weeks.write(folder / "restricted", "audit.list_row", pl.DataFrame(said, schema_of("audit.list_row")), week)
    return Cohort(rows, ATTRITION, design.names, Observed(None, first, 0, (), ()))


def test_a_fitting_reads_offers_from_the_weeks_that_are_kept(tmp_path):
    """From the same people and lists: as they turned out, and as they would be without help."""
    programme = Programme(30_000, seed=2)
    predictors = [{"variable": name} for name in ("age_years", "is_female", "imd_decile", "medicines_count")]
    design = ModelDesign.model_validate(DESIGN.model_dump(mode="json") | {"predictors": predictors})
    cohort = site_of(programme, tmp_path, design)
    naive, safe = (
        slope_on_truth(programme, fit_on(design, people, definitions="").fitted.risk(programme.known))
        for people in (cohort, without_help(cohort, design, tmp_path))
    )
    assert naive < 0.8
    assert 0.9 < safe < 1.1


def test_without_offers_a_cohort_stays_as_it_is(tmp_path):
    (tmp_path / "restricted").mkdir()
    programme = Programme(100, seed=2)
    programme.treated[:] = False
    cohort = site_of(programme, tmp_path, DESIGN.model_copy(update={"predictors": DESIGN.predictors}))
    assert without_help(cohort, DESIGN, tmp_path) is cohort


@pytest.mark.slow
def test_it_does_not_in_any_of_fifty_programmes():
    found = np.array([both(60_000, seed=100 + each) for each in range(50)])
    assert found[:, 0].max() < 0.8
    assert found[:, 1].min() > 0.9
    assert found[:, 1].max() < 1.1
    assert abs(found[:, 1].mean() - 1) < 0.02
    assert abs(found[:, 2].mean() - 1) < 0.03
