"""Sizing: exact on small cases, bounded on large ones, honest outside the samples, monotone in the risk."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.plan.promise import honest_share, keep_promise
from capacity.plan.sizing import (
    allowed_samples,
    instances_for,
    needed_survivors,
    size_jointly,
    survivors,
)


@given(n=st.integers(0, 500), z=st.integers(2, 6), k=st.integers(0, 5))
def test_survivors_are_what_the_emptiest_zones_hold(n, z, k):
    k = min(k, z - 1)
    zones = sorted(n // z + (i < n % z) for i in range(z))
    assert survivors(n, z, k) == sum(zones[: z - k])


@given(t=st.integers(0, 500), z=st.integers(2, 6), k=st.integers(0, 5))
def test_instances_for_is_the_least_that_leaves_enough(t, z, k):
    k = min(k, z - 1)
    n = int(instances_for(t, z, k))
    assert survivors(n, z, k) >= t
    assert n == 0 or survivors(n - 1, z, k) < t


def test_one_service_without_risk_is_the_textbook_count():
    load = np.array([[7.2], [4.0]])
    found = size_jointly(load, [1.0], zones=[3], losses=[1])
    assert found.instances == [3 * np.ceil(7.2 / 2)]


def _draw(rng, n, p, common, own):
    mean = np.exp(rng.uniform(0.5, 3, p))
    return mean * np.exp(common * rng.standard_normal((n, 1)) + own * rng.standard_normal((n, p)))


def _best_by_trying_all(load, cost, zones, losses, allowed):
    levels = [np.unique(np.append(needed_survivors(load[:, p]), 0)) for p in range(load.shape[1])]
    best = np.inf
    for combination in itertools.product(*levels):
        lost = (needed_survivors(load) > np.array(combination)).any(axis=1).sum()
        if lost <= allowed:
            best = min(best, float((cost * instances_for(np.array(combination), zones, losses)).sum()))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_close_to_the_optimum_and_bound_below_it(seed):
    rng = np.random.default_rng(seed)
    load = _draw(rng, 40, 3, 0.2, 0.2)
    cost = rng.uniform(0.5, 2, 3)
    zones, losses = np.array([3, 3, 2]), np.array([1, 1, 1])
    best = _best_by_trying_all(load, cost, zones, losses, 4)
    found = size_jointly(load, cost, zones=zones, losses=losses, allowed=4)
    assert found.cost_bound <= best + 1e-6 <= found.cost + 2e-6
    assert found.cost <= 1.15 * best
    assert (needed_survivors(load) > found.surviving).any(axis=1).sum() <= 4


def test_certified_gap_is_small_on_a_company():
    rng = np.random.default_rng(0)
    load = _draw(rng, 2000, 14, 0.2, 0.08)
    found = size_jointly(load, rng.uniform(0.5, 3, 14), zones=[3] * 14, losses=[1] * 14, allowed=90)
    assert found.gap < 0.02


@given(seed=st.integers(0, 10_000), m=st.integers(0, 30), more=st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_more_risk_never_costs_more(seed, m, more):
    rng = np.random.default_rng(seed)
    load = _draw(rng, 120, 4, 0.15, 0.15)
    lost = rng.random(120) < rng.choice([0.0, 0.05, 0.3])
    cost = rng.uniform(0.2, 3, 4)
    kw = {"zones": [3] * 4, "losses": [1] * 4, "lost_anyway": lost, "bound": False}
    assert size_jointly(load, cost, allowed=m + more, **kw).cost <= size_jointly(load, cost, allowed=m, **kw).cost


@given(seed=st.integers(0, 10_000), factor=st.floats(1.1, 3.0))
@settings(max_examples=30, deadline=None)
def test_more_demand_never_costs_less(seed, factor):
    rng = np.random.default_rng(seed)
    load = _draw(rng, 150, 4, 0.15, 0.1)
    kw = {"zones": [3] * 4, "losses": [1] * 4, "allowed": 7, "bound": False}
    assert (
        size_jointly(load * factor, [1.0, 2.0, 0.5, 1.0], **kw).cost
        >= size_jointly(load, [1.0, 2.0, 0.5, 1.0], **kw).cost
    )


@pytest.mark.parametrize(("n_pools", "common", "own"), [(4, 0.2, 0.05), (12, 0.2, 0.08), (30, 0.05, 0.15)])
def test_promise_holds_outside_the_samples(n_pools, common, own):
    """Fresh futures of the same process: the joint probability is kept, and the one that is told is near it."""
    told, true = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        mean = np.exp(rng.uniform(0.5, 4, n_pools))

        def draw(n, mean=mean, rng=rng):
            return mean * np.exp(common * rng.standard_normal((n, 1)) + own * rng.standard_normal((n, n_pools)))

        promise = keep_promise(
            draw(2000), rng.uniform(0.5, 3, n_pools), probability=0.05, zones=[3] * n_pools, losses=[1] * n_pools
        )
        told.append(promise.overload_probability)
        true.append((needed_survivors(draw(20_000)) > promise.sizing.surviving).any(axis=1).mean())
    assert np.mean(true) <= 0.052
    assert max(told) <= 0.05
    assert abs(np.mean(told) - np.mean(true)) < 0.012


def test_correlated_demand_costs_less_than_a_sum_of_quantiles():
    rng = np.random.default_rng(3)
    load = 20 * np.exp(0.2 * rng.standard_normal((2000, 1))) * np.ones((1, 10))
    m = allowed_samples(0.05, 2000)
    joint = size_jointly(load, np.ones(10), zones=[3] * 10, losses=[1] * 10, allowed=m)
    each = needed_survivors(np.quantile(load, 1 - 0.05 / 10, axis=0))
    assert joint.cost < instances_for(each, [3] * 10, [1] * 10).sum()


def test_quota_and_lost_futures_are_counted_against_the_risk():
    load = np.column_stack([np.arange(1.0, 101.0), np.full(100, 3.0)])
    found = size_jointly(load, [1.0, 1.0], zones=[3, 3], losses=[0, 0], quota=[90, 10], allowed=5)
    assert found.instances.tolist() == [90, 3]
    assert (~found.kept).sum() == 10
    anyway = np.arange(100) >= 97
    found = size_jointly(load, [1.0, 1.0], zones=[3, 3], losses=[0, 0], allowed=5, lost_anyway=anyway)
    assert found.instances[0] == 95


def test_running_instances_are_a_floor():
    found = size_jointly(np.array([[2.0]]), [1.0], zones=[3], losses=[1], floor=[30])
    assert found.instances == [30]


def test_honest_share_is_above_the_count_it_was_chosen_on():
    rng = np.random.default_rng(1)
    load = _draw(rng, 400, 40, 0.02, 0.2)
    kw = {"zones": [3] * 40, "losses": [1] * 40, "allowed": 20}
    chosen = size_jointly(load, np.ones(40), **kw)
    assert honest_share(load, np.ones(40), **kw) > (~chosen.kept).mean() + 0.01


def test_no_samples_to_lose():
    assert allowed_samples(0.05, 10) == 0
    assert size_jointly(np.zeros((5, 2)), [1.0, 1.0], zones=[1, 3], losses=[0, 1]).instances.tolist() == [0, 0]
