"""The business's estimate: record, combination, and what it does to a forecast."""

from datetime import date

import numpy as np
import pytest

from capacity.forecast import forecast_demand
from capacity.forecast.business import PRIOR_SD, combine, learn_track
from capacity.promotion import Promotions

EXPECTED = {"dau": {"low": 6e6, "mid": 7e6, "high": 8e6}}


def test_a_bias_is_learnt_and_shrunk():
    few, many = learn_track([0.2]), learn_track([0.2] * 20)
    assert 0 < few.bias < many.bias < 0.2
    assert many.sd < few.sd < np.hypot(PRIOR_SD, 0.2)


def test_a_record_all_over_the_place_weighs_less():
    steady, erratic = learn_track([0.1, 0.12, 0.08, 0.1]), learn_track([0.9, -0.7, 0.6, -0.5])
    history = (0.0, 0.15)
    assert combine(history, (0.1, steady.sd))[2] > 1.5 * combine(history, (0.1, erratic.sd))[2]


def test_combination_is_between_and_no_surer_than_two_independent_voices():
    mean, sd, weight = combine((0.0, 0.2), (0.1, 0.1))
    assert 0 < mean < 0.1
    assert 0 < weight < 1
    assert np.sqrt(1 / (1 / 0.04 + 1 / 0.01)) < sd <= 0.1


def test_voices_far_apart_widen():
    assert combine((0.0, 0.1), (1.0, 0.1))[1] > 3 * combine((0.0, 0.1), (0.05, 0.1))[1]


@pytest.fixture(scope="module")
def with_record(site):
    """Past double11 and 618 estimated a quarter too low, and an estimate for the coming one."""
    truth = site.truth["dau"]
    briefs = []
    for p in site.promotions.values():
        largest = max(truth[str(day)] for day in p.dates)
        mid = 0.8 * largest
        briefs.append(p.model_copy(update={"expected": _expectation(mid)}))
    return Promotions(briefs)


def _expectation(mid):
    from capacity.promotion import Expectation

    return Expectation.model_validate({"dau": {"low": 0.8 * mid, "mid": mid, "high": 1.2 * mid}})


def test_three_opinions_are_shown_and_past_bias_is_corrected(site, with_record):
    coming = with_record["2025-double11"]
    demand = forecast_demand(
        site.activity.before(coming.dates[0].replace(day=1)), coming, promotions=with_record, n_samples=400
    )
    assert demand.business is not None
    voices = demand.business.opinions["dau"]
    assert voices["business"].q50 == pytest.approx(coming.expected.dau.mid)
    assert voices["business_corrected"].q50 > 1.12 * voices["business"].q50
    low, high = sorted((voices["history"].q50, voices["business_corrected"].q50))
    assert low <= voices["combined"].q50 <= high
    assert demand.business.tracks["dau"].n == 7  # everything before double11 2025
    frame = demand.business.to_frame()
    assert set(frame["voice"]) == {"history", "business", "business_corrected", "combined"}


def test_only_the_promotions_days_are_moved(site, with_record):
    coming = with_record["2025-double11"]
    activity = site.activity.before(coming.dates[0].replace(day=1))
    plain = site.promotions["2025-double11"]
    moved = forecast_demand(activity, coming, promotions=with_record, n_samples=300)
    base = forecast_demand(activity, plain, promotions=site.promotions, n_samples=300)
    before = slice(None, "2025-11-09")
    np.testing.assert_allclose(moved.dau.sel(date=before), base.dau.sel(date=before))
    largest = moved.total_dau.sel(date="2025-11-11").to_numpy()
    assert np.median(largest) == pytest.approx(moved.business.opinions["dau"]["combined"].q50, rel=0.01)


def test_an_estimate_signed_later_is_not_seen(site):
    expectation = _expectation(9e6).model_copy(update={"signed_at": site.promotions["2025-double11"].dates[0]})
    coming = site.promotions["2025-double11"].model_copy(update={"expected": expectation})
    demand = forecast_demand(
        site.activity.before(coming.dates[0].replace(day=1)), coming, promotions=site.promotions, n_samples=200
    )
    assert demand.business is None


def _with(site, **expected):
    from capacity.promotion import Expectation

    coming = site.promotions["2025-double11"]
    coming = coming.model_copy(update={"expected": Expectation.model_validate(expected)})
    activity = site.activity.before(coming.dates[0].replace(day=1))
    return forecast_demand(activity, coming, promotions=site.promotions, n_samples=300)


def test_without_a_record_the_default_is_stated(site):
    demand = _with(site, dau={"low": 5e6, "mid": 6e6, "high": 7e6})
    assert demand.business.tracks["dau"].n == 0
    assert any(f"no past estimate is on record: no bias and a spread of {PRIOR_SD:.0%}" in w for w in demand.why)


def test_voices_that_contradict_each_other_are_told_apart(site):
    agreeing = _with(site, dau={"low": 8e6, "mid": 9e6, "high": 1e7})
    wrong_unit = _with(site, dau={"low": 8e9, "mid": 9e9, "high": 1e10})
    assert not any("contradict" in line for line in agreeing.why)
    assert any("contradict each other on DAU" in line for line in wrong_unit.why)
    width = [np.log(d.total_dau.sel(date="2025-11-11")).std() for d in (agreeing, wrong_unit)]
    assert width[1] > 3 * width[0]


def test_an_estimate_of_nothing_is_none(site):
    demand = _with(site, dau={"low": 0, "mid": 0, "high": 1e6})
    assert demand.business is None


def test_actual_speaks_where_history_has_expired(site, with_record):
    """The record reaches back to promotions that only `promotions.yaml` remembers."""
    from capacity.promotion import Actual

    coming = with_record["2025-double11"]
    frame = site.activity.frame
    activity = type(site.activity)(frame[frame["date"] >= "2024-08-01"]).before(date(2025, 10, 20))
    short = forecast_demand(activity, coming, promotions=with_record, n_samples=100)
    told = Promotions(
        [
            p.model_copy(update={"actual": Actual(dau=float(max(site.truth["dau"][str(d)] for d in p.dates)))})
            for p in with_record.values()
        ]
    )
    remembered = forecast_demand(activity, coming, promotions=told, n_samples=100)
    assert short.business.tracks["dau"].n == 3
    assert remembered.business.tracks["dau"].n == 7
    assert remembered.business.tracks["dau"].bias > short.business.tracks["dau"].bias > 0.1
