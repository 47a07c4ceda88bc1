"""The level's filter against dense linear algebra, outliers and breaks."""

import numpy as np
import pytest

from capacity.forecast import level, regression
from capacity.forecast.design import Columns, join

RATIO = 0.05


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    n = 80
    x = np.column_stack([np.sin(np.arange(n) / 3), rng.standard_normal(n)])
    y = 5 + np.cumsum(rng.normal(0, 0.1, n)) + x @ [0.7, -0.3] + rng.normal(0, 0.3, n)
    y[[10, 11, 30]] = np.nan
    return x, y


def test_whitened_regression_is_generalized_least_squares(data):
    x, y = data
    known = np.isfinite(y)
    design = join([Columns(x, ("a", "b"), "season", np.ones(2))])
    filtered = level.robust_filter(y[None], ratio=np.array([RATIO]), sigma=np.array([np.inf]))
    (span,) = regression.moments(design, filtered, cuts=[len(y)])
    theta = np.linalg.solve(span.gram[0], span.right[0])

    t = np.arange(len(y))
    covariance = (np.eye(len(y)) + RATIO * np.minimum(t[:, None], t[None]))[np.ix_(known, known)]
    full = np.column_stack([np.ones(known.sum()), x[known]])
    inverse = np.linalg.inv(covariance)
    dense = np.linalg.solve(full.T @ inverse @ full, full.T @ inverse @ y[known])
    np.testing.assert_allclose(theta, dense[1:], atol=1e-4)


def test_smoother_is_the_best_linear_predictor_of_the_level(data):
    _, y = data
    known = np.isfinite(y)
    filtered = level.robust_filter(y[None], ratio=np.array([RATIO]), sigma=np.array([np.inf]))
    smooth = level.smoothed(filtered, ratio=np.array([RATIO]))[0]
    t = np.arange(len(y))
    walk = 1e5 + RATIO * np.minimum(t[:, None], t[None])
    weights = walk[:, known] @ np.linalg.inv(walk[np.ix_(known, known)] + np.eye(known.sum()))
    np.testing.assert_allclose(smooth, weights @ y[known], atol=2e-3)


def test_outlier_is_pulled_in_and_a_break_is_followed():
    rng = np.random.default_rng(0)
    y = rng.normal(0, 0.05, (2, 200))
    y[0, 100] += 3
    y[1, 100:] += 1
    filtered = level.robust_filter(y, ratio=np.full(2, 0.01), sigma=np.full(2, 0.05))
    assert abs(filtered.state[0, 101]) < 0.05
    assert not filtered.breaks[0].any()
    assert filtered.breaks[1].sum() == 1
    assert np.flatnonzero(filtered.breaks[1])[0] <= 106
    assert filtered.state[1, 115] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("ratio", [0.001, 0.1])
def test_memory_is_recovered_from_simulated_levels(ratio):
    rng = np.random.default_rng(4)
    walk = np.cumsum(rng.normal(0, np.sqrt(ratio) * 0.1, (40, 900)), axis=1)
    residual = walk + rng.normal(0, 0.1, walk.shape)
    chosen = level.choose_ratio(level.log_likelihoods(residual, sigma=np.full(40, 0.1)))
    assert np.exp(np.log(chosen).mean()) == pytest.approx(ratio, rel=0.5)
