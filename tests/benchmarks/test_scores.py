"""Scores of quantile forecasts: worked examples, and that they reward what they should."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scores import interval_score, pinball, score, share_better


def frame(actual, low, middle, high, open_=None):
    columns = {0.1: low, 0.5: middle, 0.9: high, 0.99: high}
    return pd.DataFrame({"actual": actual, "open": [True] * len(actual) if open_ is None else open_} | columns)


def test_scores_of_three_days_by_hand():
    found = score(frame([10.0, 20.0, 70.0], [8, 21, 60], [10, 25, 65], [12, 30, 80]))
    assert found["wape"] == pytest.approx(10 / 100)
    assert found["bias"] == pytest.approx(0.0)
    assert found["inside_80"] == pytest.approx(2 / 3)
    assert found["width_80"] == pytest.approx((4 + 9 + 20) / 100)
    assert found["interval_score_80"] == pytest.approx((4 + 9 + 20 + 10 * 1) / 100)
    assert found["below_q99"] == 1.0
    assert found["pinball_99"] == pytest.approx(0.01 * (2 + 10 + 10) / 100)


def test_closed_days_count_in_no_interval():
    found = score(frame([10.0, 0.0], [11, 0], [11, 0], [12, 0], [True, False]))
    assert found["inside_80"] == 0.0
    assert found["wape"] == pytest.approx(0.1)


def test_a_missing_forecast_is_refused():
    with pytest.raises(ValueError, match="1 of 2 forecasts are missing"):
        score(frame([10.0, 10.0], [9, np.nan], [10, 10], [11, 11]))


@given(st.floats(0.01, 0.99), st.integers(0, 10_000))
def test_pinball_is_least_at_the_quantile(probability, seed):
    actual = np.random.default_rng(seed).lognormal(size=400)
    at = np.quantile(actual, probability, method="inverted_cdf")  # the interpolated one is not quite the minimum
    best = pinball(actual, np.full(400, at), probability)
    assert best <= pinball(actual, np.full(400, at * 1.2), probability) + 1e-12
    assert best <= pinball(actual, np.full(400, at * 0.8), probability) + 1e-12


@given(st.floats(0.5, 0.95), st.integers(0, 10_000))
def test_interval_score_is_least_at_its_own_quantiles(level, seed):
    actual = np.random.default_rng(seed).lognormal(size=400)

    def of(coverage):
        ends = np.quantile(actual, [(1 - coverage) / 2, (1 + coverage) / 2])
        return interval_score(actual, np.full(400, ends[0]), np.full(400, ends[1]), level)

    assert of(level) <= of(level - 0.3) + 1e-12
    assert of(level) <= of(min(level + 0.2, 0.999)) + 1e-12


def test_share_better_counts_series():
    judged = pd.DataFrame(
        {
            "method": ["ours", "ours", "theirs", "theirs"],
            "series": ["a", "b", "a", "b"],
            "actual": 10.0,
            0.5: [11.0, 13.0, 12.0, 11.0],
        }
    )
    assert share_better(judged, "ours", "theirs") == 0.5
