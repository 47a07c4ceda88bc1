import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.peaks.intraday.block_maxima import largest_normal, learn_ratio
from capacity.peaks.intraday.counts import choose_curvature, estimate_overdispersion, gather, spread
from capacity.peaks.intraday.uncertainty import SCORES, at_probability


@given(st.floats(0, 1e9), st.floats(1e-6, 1.0))
def test_the_even_scale_is_undone(count, curvature):
    there = spread(np.array([count]), np.array(curvature))
    assert gather(there, np.array(curvature))[0] == pytest.approx(count, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("phi", [0.05, 0.5])
def test_noise_is_even_from_few_requests_to_many(phi):
    rng = np.random.default_rng(1)
    spreads = [
        spread(rng.poisson(mean * rng.gamma(1 / phi, phi, 20_000)).astype(float), np.array(phi)).std()
        for mean in (30.0, 300.0, 30_000.0)
    ]
    assert max(spreads) / min(spreads) < 1.25


@pytest.mark.parametrize("phi", [0.0, 0.02, 0.3])
def test_overdispersion_is_found_under_a_moving_mean(phi):
    rng = np.random.default_rng(2)
    mean = 400 * (1 + 0.6 * np.sin(2 * np.pi * np.arange(14 * 288) / 288))
    rate = mean if phi == 0 else mean * rng.gamma(1 / phi, phi, mean.size)
    counts = rng.poisson(rate).astype(float)
    counts[500:530] = np.nan
    found = float(estimate_overdispersion(counts[None])[0])
    assert found == pytest.approx(phi, rel=0.25, abs=0.002)


def test_the_scale_keeps_levels_additive_where_noise_is_poisson():
    counts = np.random.default_rng(3).poisson(2000.0, (1, 500)).astype(float)
    assert choose_curvature(counts)[0, 0] * 2000 >= 0.9
    assert choose_curvature(np.full((1, 10), np.nan)).shape == (1, 1)


@pytest.mark.parametrize("phi", [0.003, 0.03])
def test_the_peak_second_of_a_minute_follows_from_mean_and_dispersion(phi):
    rng = np.random.default_rng(4)
    seconds = rng.poisson(200.0 * rng.gamma(1 / phi, phi, (400, 60))).astype(float)
    counts, peaks = seconds.sum(1), seconds.max(1)
    ratio = learn_ratio(counts[None, :100], peaks[None, :100], 60)
    assert ratio.dispersion[0] == pytest.approx(phi, rel=0.5)
    quantiles = ratio.peaks(np.broadcast_to(counts[None, 100:, None], (1, 300, SCORES.size)))
    assert np.mean(peaks[100:] <= at_probability(quantiles, 0.5)[0]) == pytest.approx(0.5, abs=0.2)
    inside = (peaks[100:] >= at_probability(quantiles, 0.05)[0]) & (peaks[100:] <= at_probability(quantiles, 0.95)[0])
    assert inside.mean() > 0.8
    assert largest_normal(60) > largest_normal(10)


def test_no_peak_second_is_below_the_mean_or_above_the_interval():
    ratio = learn_ratio(np.full((1, 5), np.nan), np.full((1, 5), np.nan), 3600)
    counts = np.exp(np.linspace(0, 12, SCORES.size))[None, None]
    peaks = ratio.peaks(counts)
    assert (peaks <= np.maximum(counts, 1.0) + 1e-9).all()
    assert (np.diff(peaks[0, 0]) >= 0).all()
