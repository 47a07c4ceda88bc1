"""Where theory exists the simulator agrees with it: token buckets, M/M/c, Jackson, ramps, drains, retries."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.plan.network import Network
from capacity.plan.sharing import Sharing, nothing_shared
from capacity.rehearsal.bucket import admit
from capacity.rehearsal.simulate import Script, simulate
from capacity.rehearsal.waits import mean_wait_s
from capacity.rehearsal.world import Guards, World, sort_levels


@given(rate=st.floats(0.1, 1000), burst=st.floats(0, 500), seed=st.integers(0, 10_000), seconds=st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_a_bucket_admits_at_most_rate_times_time_and_the_burst(rate, burst, seed, seconds):
    offered = np.random.default_rng(seed).exponential(2 * rate, seconds)
    tokens, total = np.array([burst]), 0.0
    for second in range(seconds):
        admitted, tokens = admit(tokens, offered[second : second + 1], rate=np.array([rate]), burst=np.array([burst]))
        assert 0 <= admitted[0] <= offered[second]
        total += admitted[0]
    assert total <= rate * seconds + burst + 1e-6


def test_a_flooded_bucket_admits_exactly_that():
    tokens, total = np.array([30.0]), 0.0
    for _ in range(50):
        admitted, tokens = admit(tokens, np.array([1e9]), rate=np.array([7.0]), burst=np.array([30.0]))
        total += admitted[0]
    assert total == pytest.approx(7 * 50 + 30)


def test_no_limit_admits_everything():
    admitted, tokens = admit(np.array([np.inf]), np.array([5.0]), rate=np.array([np.inf]), burst=np.array([np.inf]))
    assert admitted == 5.0
    assert np.isinf(tokens)


def _simulated_wait(rate, servers, server_rate, requests, seed):
    """Event-driven M/M/c: mean wait of the requests after a warm-up."""
    rng = np.random.default_rng(seed)
    arrival = np.cumsum(rng.exponential(1 / rate, requests))
    service = rng.exponential(1 / server_rate, requests)
    free = [0.0] * servers
    waits = np.empty(requests)
    for i in range(requests):
        begin = max(arrival[i], free[0])
        waits[i] = begin - arrival[i]
        heapq.heapreplace(free, begin + service[i])
    return waits[requests // 10 :].mean()


@pytest.mark.parametrize(("servers", "use"), [(1, 0.6), (4, 0.75), (20, 0.9)])
def test_mean_wait_agrees_with_an_event_driven_queue(servers, use):
    simulated = np.mean([_simulated_wait(use * servers, servers, 1.0, 200_000, seed) for seed in range(3)])
    assert float(mean_wait_s(use * servers, servers=servers, server_rate=1.0)) == pytest.approx(simulated, rel=0.06)


def test_mean_wait_at_the_edges():
    assert mean_wait_s([0.0, 5.0, 4.0], servers=4, server_rate=1.0).tolist() == [0.0, np.inf, np.inf]
    # one server: ρ / (μ − λ)
    assert float(mean_wait_s(0.5, servers=1, server_rate=1.0)) == pytest.approx(1.0)


def world(edges, capacity, *, size, limit=None, timeout=1.0, retries=None, queued=(), delay=None, paths=1):
    caller = np.array([e[0] for e in edges], dtype=np.int64)
    calls = np.array([e[2] for e in edges], dtype=float)
    is_queued = np.array([i in queued for i in range(len(edges))], dtype=bool)
    tries = np.zeros(len(edges), dtype=np.int64) if retries is None else np.array(retries, dtype=np.int64)
    network = Network(
        size, caller, np.array([e[1] for e in edges], dtype=np.int64), calls, calls, tries, ~is_queued, is_queued
    )
    guards = Guards.none(size, len(edges))
    return World(
        network=network,
        levels=sort_levels(network),
        unit_qps=np.broadcast_to(np.array(capacity, dtype=float), (paths, size)).copy(),
        fixed_qps=np.full(size, np.inf),
        key_roof_qps=np.full(size, np.inf),
        pool=np.arange(size),
        sharing=nothing_shared(paths),
        entries=np.array([0]),
        guards=guards if limit is None else guards.with_cluster(np.array(limit, dtype=float)),
        timeout_s=np.full(size, float(timeout)),
        max_delay_s=np.full(size, np.inf) if delay is None else np.array(delay, dtype=float),
        core=np.ones(size, dtype=bool),
    )


def script(rate, *, size, instances=1, **more):
    rate = np.asarray(rate, dtype=float)
    return Script(
        arrivals=rate[None, None, :],
        instances=np.full((len(rate), size), instances),
        capacity_factor=more.pop("factor", np.ones((len(rate), size))),
        warmth=np.ones(len(rate)),
        **more,
    )


def test_a_jackson_network_carries_its_traffic_equations():
    """λ = (I − Pᵀ)⁻¹ λ_ext at every service, when nothing is overloaded."""
    edges = [(0, 1, 0.5), (0, 2, 2.0), (1, 2, 1.0), (2, 3, 0.25)]
    trace = simulate(world(edges, [1000] * 4, size=4), script(np.full(100, 100.0), size=4))
    expected = np.array([100.0, 50.0, 250.0, 62.5])
    assert trace.arrived[0] / 100 == pytest.approx(expected, rel=1e-6)
    assert trace.timeline["served"][5, 1] == pytest.approx(expected, rel=1e-5)
    assert not trace.overloaded.any()


def test_a_broker_ramps_and_drains_like_a_fluid_queue():
    """1,000 s at 30/s into 20/s leave 10,000 waiting, gone 500 s later."""
    rate = np.concatenate([np.full(1000, 30.0), np.zeros(700)])
    found = simulate(world([(0, 1, 1.0)], [1000, 20], size=2, queued=(0,), delay=[np.inf, 100.0]), script(rate, size=2))
    waiting = found.timeline["backlog"][:, 1, 1]
    assert waiting[99] == pytest.approx(10_000, rel=0.01)
    assert waiting[149] == pytest.approx(0, abs=250)
    assert waiting[155] == 0
    assert found.overloaded[0, 1]  # it waits 500 s, which is more than 100 s
    calm = world([(0, 1, 1.0)], [1000, 20], size=2, queued=(0,), delay=[np.inf, 600.0])
    assert not simulate(calm, script(rate, size=2)).overloaded.any()


def test_retries_multiply_load_as_attempts_do():
    """A callee that is gone and r retries: 1 + r attempts; a budget b: 1 + b."""
    factor = np.ones((300, 2))
    factor[:, 1] = 0.0
    gone = world([(0, 1, 1.0)], [1e6, 100], size=2, retries=[3])
    free = simulate(gone, script(np.full(300, 50.0), size=2, factor=factor, budget=np.inf))
    assert free.arrived[0, 1] / (300 * 50) == pytest.approx(4.0, rel=0.05)
    held = simulate(gone, script(np.full(300, 50.0), size=2, factor=factor, budget=0.1))
    assert held.arrived[0, 1] / (300 * 50) == pytest.approx(1.1, rel=0.01)


def test_a_limit_at_capacity_keeps_goodput_and_its_loss_lets_it_collapse():
    rate = np.full(300, 150.0)
    limited = simulate(world([], [100], size=1, limit=[100.0]), script(rate, size=1))
    assert limited.first_break_s[0, 0] == -1
    assert limited.rejected[0, 0] == pytest.approx(50 * 300, rel=0.01)
    lost = simulate(world([], [100], size=1, limit=[100.0]), script(rate, size=1, limited=np.zeros(300, dtype=bool)))
    assert 0 <= lost.first_break_s[0, 0] < 10
    assert lost.overloaded[0, 0]
    assert limited.overloaded[0, 0]  # limits never make overload less


def test_overload_without_a_budget_stays_after_its_cause_is_gone():
    """80 % use is calm; a dip of 40 s starts retries that keep it broken: metastable. With a budget it recovers."""
    factor = np.ones((900, 2))
    factor[100:140, 1] = 0.3
    rate = np.full(900, 80.0)
    edges, size = [(0, 1, 1.0)], 2
    stuck = simulate(
        world(edges, [1e6, 100], size=size, retries=[3]), script(rate, size=size, factor=factor, budget=np.inf)
    )
    assert stuck.stuck_s[0, 1] > 600
    calm = simulate(
        world(edges, [1e6, 100], size=size, retries=[3]), script(rate, size=size, factor=factor, budget=0.1)
    )
    assert calm.stuck_s[0, 1] < 60
    assert calm.last_break_s[0, 1] < 250


def test_pools_serve_whoever_needs_it():
    """Two services of one pool of ten: 6 and 3 instances' worth fit together, 6 and 5 do not."""
    shared = world([(0, 1, 0.5)], [10, 10], size=2)
    shared = World(**{**shared.__dict__, "pool": np.array([0, 0])})
    fits = Script(np.full((1, 1, 50), 60.0), np.full((50, 1), 10), np.ones((50, 2)), np.ones(50))
    assert not simulate(shared, fits).overloaded.any()
    full = Script(np.full((1, 1, 50), 75.0), np.full((50, 1), 10), np.ones((50, 2)), np.ones(50))
    assert simulate(shared, full).overloaded.all()


def test_callers_come_before_callees():
    levels = world([(2, 1, 1.0), (1, 0, 1.0), (2, 0, 1.0)], [1, 1, 1], size=3).levels
    assert [level.tolist() for level in levels] == [[2], [1], [0]]


def test_instances_that_share_serve_less():
    """Ten instances of which each slows the others by a twentieth are worth 10 / 1.45."""
    alone = world([], [10], size=1)
    sharing = Sharing(np.array([0]), np.full((1, 1), 0.05), np.zeros((1, 1)), np.array([1]), np.array([10]))
    shared = World(**{**alone.__dict__, "sharing": sharing})
    for rate, over in ((65.0, False), (75.0, True)):
        script = Script(np.full((1, 1, 50), rate), np.full((50, 1), 10), np.ones((50, 1)), np.ones(50))
        assert simulate(shared, script).overloaded.any() == over
        assert not simulate(alone, script).overloaded.any()
