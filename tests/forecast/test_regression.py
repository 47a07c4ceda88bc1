"""Moments made once a group of like series are those of each series by itself."""

import numpy as np
import pytest

from capacity.forecast.design import Columns, join, slope_column
from capacity.forecast.level import robust_filter
from capacity.forecast.regression import learn_shrinkage, moments, pooled_system, pooled_windows


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
