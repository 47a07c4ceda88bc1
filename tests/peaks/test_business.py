"""The business's estimate of the worst second, with its record, beside the forecast's."""

import numpy as np
import pytest

from capacity.peaks import forecast_peaks
from capacity.peaks.business import peak_estimate
from capacity.promotion import Actual, Expectation


def _estimated(promotion, mid, came=None):
    expected = Expectation.model_validate({"peak_tps": {"low": 0.8 * mid, "mid": mid, "high": 1.25 * mid}})
    return promotion.model_copy(
        update={"expected": expected, "actual": None if came is None else Actual(peak_tps=came)}
    )


@pytest.fixture(scope="module")
def told(make_world):
    """A world whose past estimates were all a fifth too low, the outcomes known from traffic alone."""
    from dataclasses import replace

    world = make_world(1)
    first = forecast_peaks(world.demand, world.traffic, services=world.catalog)
    assert first.business is None
    seen = {}
    for past in world.demand.past:
        window = world.traffic.window(past.starts_at, past.ends_at, ["checkout"])
        seen[past.id] = window["peak_qps"].max() / 3.0  # three requests an order
    past = tuple(_estimated(p, seen[p.id] / 1.25) for p in world.demand.past)
    middle = float(np.median(first.peak_tps))
    demand = replace(world.demand, promotion=_estimated(world.demand.promotion, middle / 1.25), past=past)
    return first, forecast_peaks(demand, world.traffic, services=world.catalog)


def test_bias_is_learnt_from_the_seconds_that_traffic_shows(told):
    _, peaks = told
    assert peaks.business.track.n == 6
    assert peaks.business.track.bias == pytest.approx(np.log(1.25), abs=0.06)
    assert peaks.business.business_corrected.q50 > 1.15 * peaks.business.business.q50
    assert not peaks.business.contradicts


def test_the_forecast_is_compared_and_not_moved(told):
    first, peaks = told
    np.testing.assert_array_equal(first.peak_tps, peaks.peak_tps)
    np.testing.assert_array_equal(first.peak_qps, peaks.peak_qps)
    assert peaks.business.forecast.q50 == pytest.approx(float(np.median(peaks.peak_tps)))
    assert any("orders in the worst second: forecast" in line for line in peaks.why["checkout"])
    assert set(peaks.business.to_frame()["voice"]) == {"forecast", "business", "business_corrected"}


def test_a_what_if_is_not_set_beside_an_estimate_of_something_else(told):
    assert told[1].scaled(1.2).business is None


def test_what_was_written_down_goes_before_traffic(told):
    promotion = _estimated(told[1].promotion, 100.0)
    past = [_estimated(promotion.model_copy(update={"id": f"p{k}"}), 100.0, came=130.0) for k in range(8)]
    tps = np.random.default_rng(0).lognormal(np.log(120), 0.2, 500)
    found = peak_estimate(promotion, past, tps, dict.fromkeys([p.id for p in past], 50.0))
    assert found.track.n == 8
    assert found.track.bias == pytest.approx(np.log(1.3), abs=0.06)


def test_without_a_record_a_default_is_stated_and_contradictions_are_said(told):
    tps = np.random.default_rng(0).lognormal(np.log(120), 0.1, 500)
    found = peak_estimate(_estimated(told[1].promotion, 1200.0), [], tps, {})
    assert "no past estimate is on record" in found.summary()
    assert "contradict" in found.summary()
