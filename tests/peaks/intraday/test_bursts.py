import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from capacity import backtest_intraday, forecast_intraday
from capacity.peaks.intraday.bursts import learn_heights
from capacity.peaks.intraday.outlook import mix
from capacity.peaks.intraday.uncertainty import SCORES, at_probability, score_under, value_at_score


def jobs(n_days: int, *, every_h: int, miss: float, seed: int = 0) -> pd.DataFrame:
    """Hours whose peak second is four times as high whenever a job ran; a missed job runs an hour late."""
    rng = np.random.default_rng(seed)
    ts = pd.date_range("2026-03-02", periods=24 * n_days, freq="h")
    due = np.flatnonzero(np.arange(ts.size) % every_h == 1)
    at = np.minimum(due + (rng.random(due.size) < miss), ts.size - 1)
    burst = np.zeros(ts.size, dtype=bool)
    burst[at] = True
    quiet = 100 * (1 + 0.3 * np.sin(2 * np.pi * ts.hour / 24)) * rng.lognormal(0, 0.08, ts.size)
    peak = np.where(burst, 420 * rng.lognormal(0, 0.06, ts.size), quiet)
    value = 3600 * quiet * 0.6
    return pd.DataFrame({"ts": ts, "series": "web", "value": value, "peak": peak, "burst": burst})


def test_a_regular_job_is_foreseen():
    history = jobs(21, every_h=3, miss=0.0)
    forecast = forecast_intraday(history, horizon=24, quantiles=[0.05, 0.5, 0.95])
    height = forecast.peak_qps[0.5].to_numpy()
    assert ((height > 300) == (np.arange(24) % 3 == 1)).all()
    assert any("two heights" in text for text in forecast.why)


def test_a_job_that_slips_is_foreseen_when_it_did_not_run():
    history = jobs(28, every_h=4, miss=0.3)
    tested = backtest_intraday(history, quantiles=[0.05, 0.5, 0.95], leads=1).next
    burst = history["burst"].to_numpy()[-len(tested) :]
    late = np.arange(len(tested)) % 4 == 2
    said = tested["peak_0.5"].to_numpy() > 250
    assert (said[late] == burst[late]).mean() > 0.9
    inside = (tested["peak"] >= tested["peak_0.05"]) & (tested["peak"] <= tested["peak_0.95"])
    assert inside.mean() == pytest.approx(0.9, abs=0.06)


def test_one_height_is_left_one():
    rng = np.random.default_rng(1)
    wave = np.sin(2 * np.pi * np.arange(24) / 24)
    plain = 5 + 0.8 * wave + rng.normal(0, 0.2, (4, 14, 24))
    assert not learn_heights(plain).present.any()
    heavy = 5 + 0.8 * wave + 0.1 * rng.standard_t(3, (4, 14, 24))
    assert not learn_heights(heavy).present.any()


def test_labels_find_the_bursts_whatever_the_share():
    rng = np.random.default_rng(2)
    for share in (0.05, 0.5, 0.9):
        burst = rng.random((1, 21, 24)) < share
        peaks = 4 + 0.4 * np.sin(2 * np.pi * np.arange(24) / 24) + 1.2 * burst + rng.normal(0, 0.12, burst.shape)
        peaks[0, 3, 5] = np.nan
        heights = learn_heights(peaks)
        assert heights.present.all()
        label = heights.bursts(peaks)
        assert np.isnan(label[0, 3, 5])
        seen = np.isfinite(label)
        assert (label[seen] == burst[seen]).mean() > 0.99


def test_scores_and_values_undo_each_other():
    rng = np.random.default_rng(3)
    quantiles = np.sort(rng.normal(0, 1, (5, SCORES.size)), axis=1)
    score = rng.uniform(-2, 2, 5)
    value = value_at_score(quantiles, score)
    np.testing.assert_allclose(score_under(quantiles, value), score, atol=1e-6)


def test_a_mixture_has_the_shares_of_its_parts():
    share = np.array([0.1, 0.5, 0.75])
    low, high = np.broadcast_to(SCORES, (3, SCORES.size)), np.broadcast_to(50 + SCORES, (3, SCORES.size))
    probability = ndtr(np.stack([SCORES] * 3))
    found = mix(low, high, share, probability)
    for row, p in zip(found, share, strict=True):
        assert at_probability(row, 1 - p - 0.03) < 25 < at_probability(row, min(1 - p + 0.03, 0.999))
