"""Bursts, skew, warm-up and failing limiters, each against a simulation or a count of its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.plan.bursts import burst_seconds, waiting_room
from capacity.plan.guard import Guard
from capacity.plan.limiter_failure import read_limiter_failure
from capacity.plan.limits import allocate
from capacity.plan.network import Network, injection, reach, read_network
from capacity.plan.rows import Rows
from capacity.plan.skew import read_skew, rejected_wrongly, share_spread
from capacity.plan.warm_up import lost_while_warming


def random_graph(rng, size):
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size) if rng.random() < 0.45]
    caller, callee = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    calls = rng.uniform(0.2, 3.0, len(pairs))
    none = np.zeros(len(pairs), dtype=bool)
    return Network(size, caller, callee, calls, calls, rng.integers(0, 3, len(pairs)), ~none, none)


def play(network, capacity, rate, burst, *, steps, dt):
    """Flood every entry of full buckets; return each service's longest wait and whether a bucket cut its callers."""
    matrix = network.matrix(with_attempts=True).toarray()
    called = matrix.any(axis=0)
    tokens, queue, wait = burst.copy(), np.zeros(network.size), np.zeros(network.size)
    cut = 0.0
    for _ in range(steps):
        tokens = np.minimum(tokens, burst) + rate * dt
        done = np.zeros(network.size)
        for s in range(network.size):  # callers come before callees
            arriving = float(done @ matrix[:, s]) if called[s] else np.inf
            admitted = min(arriving, tokens[s])
            cut = max(cut, (arriving - admitted) / max(rate[s] * dt, 1e-12) if called[s] else 0.0)
            tokens[s] -= admitted
            queue[s] += admitted
            done[s] = min(queue[s], capacity[s] * dt)
            queue[s] -= done[s]
            wait[s] = max(wait[s], queue[s] / capacity[s])
    return wait, cut


@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
@settings(max_examples=40, deadline=None)
def test_full_buckets_at_once_make_no_queue_longer_than_allowed(seed, size):
    rng = np.random.default_rng(seed)
    network = random_graph(rng, size)
    capacity = rng.uniform(20, 500, size)
    rows = Rows.build(capacity, pool=np.arange(size), pooled=np.full(size, np.inf))
    entry = np.ones(size, dtype=bool)
    entry[network.callee] = False
    found = allocate(
        network, rows, demand_qps=100.0 * entry, entry=entry, core=np.ones(size, bool), value=np.zeros(size)
    )
    allowed = rng.uniform(0.05, 1.0, size)
    seconds = burst_seconds(network, rows, found.cluster_qps, wait_s=allowed)
    wait, cut = play(network, capacity, found.cluster_qps, seconds * found.cluster_qps, steps=150, dt=0.02)
    assert (wait <= allowed + 0.02 + 1e-9).all()  # one step of the simulation is within a step
    assert cut < 1e-6  # and no bucket turned away what the ones before it had let through
    tight = burst_seconds(network, rows, found.cluster_qps, wait_s=np.full(size, 0.2))
    wait, _ = play(network, capacity, found.cluster_qps, 3 * tight * found.cluster_qps, steps=150, dt=0.02)
    full = np.asarray(rows.use @ found.cluster_qps) > 0.99
    assert not full.any() or (wait > 0.2).any()  # three times as much is too much: the bound is not idle


def test_services_of_a_pool_wait_together():
    none = np.zeros(0)
    network = Network(2, none.astype(int), none.astype(int), none, none, none.astype(int), none > 0, none > 0)
    rows = Rows.build([np.inf, np.inf], pool=np.array([0, 0]), pooled=np.array([200.0, 100.0]))
    seconds = burst_seconds(network, rows, np.array([100.0, 25.0]), wait_s=np.array([0.3, 0.6]))
    assert seconds == pytest.approx([0.4, 0.4])  # 75 % of the pool is used, 0.3 s of its work may wait


def test_waiting_room_is_what_timeouts_and_slos_leave(bench):
    catalog = bench.shop()
    network = read_network(catalog)
    wait, assumed = waiting_room(network, np.where(np.arange(network.size) == 0, 0.3, np.nan))
    assert wait[0] == pytest.approx(0.15)
    assert not assumed[0]
    assert assumed[1:].all()
    assert wait[1:] == pytest.approx(0.1)


def test_what_an_instance_turns_away_wrongly_is_what_random_requests_say():
    rng = np.random.default_rng(0)
    n, limit = 12, 2400.0
    shares = 1.0 + 0.16 * np.sqrt(1 - 1 / n) * rng.standard_normal((4000, n))
    counts = rng.poisson(np.maximum(shares, 0) * limit / n)
    for offered in (1.0, 0.7):
        load = rng.poisson(np.maximum(shares, 0) * offered * limit / n)
        expected = np.maximum(load - limit / n, 0).sum() / load.sum()
        said = rejected_wrongly(
            np.array([offered * limit]), np.array([limit / n]), np.array([float(n)]),
            spread=share_spread(np.array([offered * limit]), np.array([float(n)])),
        )  # fmt: skip
        assert said[0] == pytest.approx(expected, rel=0.1, abs=2e-4)
    skew = read_skew(np.array([limit]), np.array([12.0]), np.array([8.0]), demand_qps=np.array([1e9]))
    within = (counts.max(axis=1) <= skew.busiest_factor[0] * limit / n).mean()
    assert within == pytest.approx(0.95, abs=0.02)
    assert skew.safe_zone_lost[0] == pytest.approx(1 / 3, abs=0.03)
    assert skew.no_false_reject_qps[0] > limit / 8


def test_one_instance_has_no_skew_and_no_limit_says_nothing():
    skew = read_skew(np.array([100.0, np.inf]), np.ones(2), np.ones(2), demand_qps=np.full(2, 90.0))
    assert (skew.busiest_factor[0], skew.safe_at_limit[0], skew.no_false_reject_qps[0]) == (1.0, 0.0, 100.0)
    assert np.isnan(skew.busiest_factor[1])


def test_a_cold_limiter_permit_by_permit():
    """Guava's arithmetic, one permit after another: the interval falls with every permit given out."""
    limit, seconds, factor, offered = 50.0, 10.0, 3.0, 40.0
    stable = 1 / limit
    permits = 2 * seconds / (stable + factor * stable)
    clock = given_out = missed = 0.0
    while clock < seconds:
        interval = stable + (factor - 1) * stable * max(permits - given_out, 0) / permits
        missed += max(offered - 1 / interval, 0) * interval
        clock += interval
        given_out += 1
    said = lost_while_warming(np.array([offered, 2 * limit]), np.array([limit, limit]))
    assert said[0] == pytest.approx(missed, rel=0.02)
    assert said[1] == pytest.approx(limit * seconds / 2)


def test_a_limiter_fails_to_the_side_that_is_expected_to_lose_less():
    """A shop and a feed lean on one database that would be overloaded without limits in 30 of 100 futures."""
    one = np.ones(2)
    network = Network(
        3, np.array([0, 1]), np.array([2, 2]), one, one, np.zeros(2, int), np.array([True, True]), np.zeros(2, bool)
    )
    rows = Rows.build([1e3, 1e3, 1e2], pool=np.arange(3), pooled=np.full(3, np.inf))
    entry = np.array([True, True, False])
    rate = np.array([100.0, 50.0, 0.0])
    guard = Guard(rows, rate, rate, rate, entry, np.array([True, False, True]), np.array([1.0, 0.0, 0.0]))
    over = np.zeros((100, 3), dtype=bool)
    over[:30, 2] = True
    found = read_limiter_failure(network, guard, over, typical_qps=rate)
    assert found.open_probability == pytest.approx([0.3, 0.3, 0.3])
    assert found.closed_loses == pytest.approx([100, 0, 100])
    assert found.open_loses == pytest.approx([30, 30, 30], rel=1e-6)
    assert found.opens.tolist() == [True, False, True]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_what_is_at_risk_behind_a_service_is_counted_future_by_future(seed):
    rng = np.random.default_rng(seed)
    network = random_graph(rng, 7)
    over = rng.random((20, 7)) < 0.15
    entry = np.ones(7, dtype=bool)
    rows = Rows.build(np.full(7, 1e3), pool=np.arange(7), pooled=np.full(7, np.inf))
    rate = rng.uniform(1, 100, 7)
    guard = Guard(rows, rate, rate, rate, entry, entry, rng.uniform(0, 1, 7))
    found = read_limiter_failure(network, guard, over, typical_qps=rate)
    needs = reach(injection(range(7), 7), network.matrix()).toarray() > 0
    for s in range(7):
        assert found.open_probability[s] == pytest.approx((over & needs[s]).any(axis=1).mean())
        stakes = np.where(over & needs[s], found.closed_loses, 0.0).max(axis=1)
        assert found.open_loses[s] == pytest.approx(stakes.mean(), rel=1e-4, abs=1e-6)
