"""Fast ways of counting against slow ones that are plainly right: shares admitted, steps at a limit, queues' rates."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from capacity.plan.backlog import backlog, drain_time_s, largest_and_drain, rate_for_delay
from capacity.plan.network import Matrix
from capacity.plan.turned_away import _where_a_limit_is_reached, admitted_share

seeds = st.integers(0, 10_000)


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_the_share_admitted_is_that_of_the_tightest_limit_on_the_way(seed):
    rng = np.random.default_rng(seed)
    n, services, entries = rng.integers(1, 20), rng.integers(1, 25), rng.integers(1, 6)
    load, limit = rng.lognormal(0, 1, (n, services)), rng.lognormal(0.5, 1, services)
    limit[rng.random(services) < 0.1] = np.inf
    limit[rng.random(services) < 0.1] = 0.0
    ways = rng.random((entries, services)) * (rng.random((entries, services)) < 0.4)
    passes = np.where(load > limit, limit / load, 1.0)
    slow = np.array([[passes[i, ways[e] > 0].min(initial=1.0) for e in range(entries)] for i in range(n)])
    assert np.array_equal(admitted_share(load, limit, Matrix(sparse.csr_array(ways))), slow)


@given(seed=seeds, steps=st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_every_step_at_a_limit_is_found(seed, steps):
    rng = np.random.default_rng(seed)
    rates = rng.lognormal(0, 0.8, (3, 4, steps))
    per_limit = rng.random((4, 6)) * rng.choice([0.01, 0.1, 0.3])
    over = np.einsum("set,el->stl", rates, per_limit) > 1.0 + 1e-9
    sample, step, columns = _where_a_limit_is_reached(rates, per_limit)
    found = set(zip(sample.tolist(), step.tolist(), strict=True))
    assert {(i, t) for i, t, _ in np.argwhere(over).tolist()} <= found
    assert set(np.flatnonzero(over.any(axis=(0, 1)))) <= set(columns.tolist())
    assert len(found) == len(sample)
    assert all(t < steps for _, t in found)


@given(seed=seeds, delay_s=st.sampled_from([0.1, 1.0, 60.0, 600.0]), step_s=st.sampled_from([1.0, 30.0]))
@settings(max_examples=60, deadline=None)
def test_the_rate_is_the_least_at_which_nothing_waits_longer(seed, delay_s, step_s):
    rng = np.random.default_rng(seed)
    arrivals = rng.lognormal(0, rng.uniform(0.1, 2), (4, rng.integers(1, 200)))
    rate = rate_for_delay(arrivals, delay_s, step_s=step_s)
    wait = backlog(arrivals, rate, step_s=step_s).max(axis=1) / rate
    assert (wait <= delay_s * (1 + 1e-6)).all()
    less = backlog(arrivals, rate * 0.999, step_s=step_s).max(axis=1) / (rate * 0.999)
    assert (less > delay_s).all()


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_the_largest_backlog_and_the_longest_drain_are_those_of_the_whole_time(seed):
    rng = np.random.default_rng(seed)
    arrivals = rng.lognormal(0, 1.0, (5, 120)) * (rng.random((5, 1)) < 0.8)
    rate = arrivals.mean(axis=1) * 1.2
    waiting = backlog(arrivals, rate, step_s=2.0)
    largest, drain = largest_and_drain(arrivals, rate, step_s=2.0)
    assert np.allclose(largest, waiting.max(axis=1))
    runs = np.zeros(5)
    for i, row in enumerate(waiting > 1e-9 * np.maximum(rate, 1.0)[:, None]):
        run = 0
        for is_waiting in row:
            run = run + 1 if is_waiting else 0
            runs[i] = max(runs[i], 2.0 * run)
    assert np.array_equal(drain, runs)
    assert np.array_equal(drain_time_s(arrivals, rate, step_s=2.0), runs)
