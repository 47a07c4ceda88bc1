"""Moments made once a group of like series are those of each series by itself."""

import numpy as np
import pytest

from capacity.forecast.design import Columns, join, slope_column
from capacity.forecast.level import robust_filter
from capacity.forecast.regression import (
    Moments,
    Shrinkage,
    learn_shrinkage,
    moments,
    pooled_covariance,
    pooled_system,
    pooled_windows,
)


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    days = 120
    wave = Columns(rng.normal(size=(days, 3)), ("a", "b", "c"), "season", np.full(3, 0.3))
    logs = rng.normal(size=(9, days))
    logs[4, 10:20] = np.nan
    logs[7, 10:20] = np.nan
    ratio = np.array([0.01, 0.1, 0.01, 0.1, 0.01, 0.01, 0.1, 0.01, 0.01])
    return join([slope_column(days, days), wave]), robust_filter(logs, ratio=ratio, sigma=np.full(9, np.inf))


def test_groups_do_not_change_a_moment(case):
    design, filtered = case
    together = moments(design, filtered, cuts=[50, 120])
    for series in range(9):
        own = moments(design, filtered.of(np.array([series])), cuts=[50, 120])
        for whole, one in zip(together, own, strict=True):
            for name in ("gram", "right", "square", "count", "state", "state_y"):
                np.testing.assert_allclose(getattr(whole, name)[series], getattr(one, name)[0], rtol=1e-10, atol=1e-12)


def test_windows_that_cover_all_days_add_up_to_the_whole_system(case):
    design, filtered = case
    (span,) = moments(design, filtered, cuts=[120])
    shrinkage = learn_shrinkage(span, design)
    left, right = pooled_system(span, shrinkage, design)
    gram, side = pooled_windows(design, filtered, shrinkage, [(0, 40), (40, 90), (90, 120)])
    np.testing.assert_allclose(gram.sum(axis=0) + np.diag(1 / shrinkage.pool_sd**2), left, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(side.sum(axis=0) + design.prior_mean / shrinkage.pool_sd**2, right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e9, 1e16])
def test_columns_that_are_empty_or_told_twice_leave_the_prior_and_no_error(scale):
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(50, 4))
    columns[:, 2], columns[:, 3] = columns[:, 1], 0.0
    gram = np.repeat(scale * (columns.T @ columns)[None], 6, axis=0)
    none = np.zeros((6, 4))
    span = Moments(gram, none, none[:, 0], none[:, 0] + 50, none, none[:, 0])
    shrinkage = Shrinkage(np.zeros(4), np.full(4, 0.1), np.full(4, 0.5), np.full(6, 0.2), together=0.2)
    covariance = pooled_covariance(span, shrinkage)
    assert covariance[3, 3] == pytest.approx(0.25)  # nothing was seen of it: the prior's 0.5²
    assert np.linalg.eigvalsh((covariance + covariance.T) / 2).min() > 0
    # Known exactly, a column seen alone is the pool's up to the series' own spread, 0.1² over six of them.
    if scale > 1e6:
        assert covariance[0, 0] == pytest.approx(1 / (6 / 0.1**2 + 1 / 0.25), rel=1e-3)
