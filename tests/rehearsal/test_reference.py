"""The fluid against an event-driven simulation of single requests: waits, ramps, bursts, retry storms, limits."""

import heapq
from dataclasses import replace

import numpy as np
import pytest

from capacity.rehearsal.waits import mean_wait_s
from tests.rehearsal.reference import Reference, Station, many
from tests.rehearsal.worlds import by_second, script, world

CAPACITY = 100.0  # twenty servers of 0.2 s


def fluid(rate, *, retries=0, budget=np.inf, slow=None, limit=None):
    """The same by the program: a front without limits of its own calls the back once a request."""
    factor = np.ones((len(rate), 2))
    if slow:
        factor[slow[0] : slow[1], 1] = slow[2]
    back = world([(0, 1, 1.0)], [1e6, CAPACITY], size=2, retries=[retries])
    if limit:
        rates, bursts = np.array([np.inf, limit[0]]), np.array([np.inf, limit[1]])
        back = replace(back, guards=back.guards.with_cluster(rates, bursts))
    return by_second(back, script(rate, size=2, factor=factor, budget=budget))


def in_bins(values, seconds):
    whole = len(values) // seconds * seconds
    return values[:whole].reshape(-1, seconds).mean(axis=1)


@pytest.mark.parametrize("law", ["exponential", "deterministic"])
def test_a_ramp_past_capacity_and_back(law):
    """Up to 1.5 times capacity and down: goodput falls to nothing and comes back when it does in the reference."""
    rate = np.concatenate([np.linspace(50, 150, 100), np.linspace(150, 50, 100), np.full(60, 50.0)])
    arrived, good = many(lambda seed: Reference(Station(20, 0.2, law), seed=seed), rate, runs=4)
    ours_arrived, ours = fluid(rate)
    assert ours_arrived.sum() == pytest.approx(arrived.sum(), rel=0.02)
    assert ours.sum() == pytest.approx(good.sum(), rel=0.03)
    assert np.abs(in_bins(ours, 10) - in_bins(good, 10)).mean() < 0.05 * CAPACITY
    collapse, theirs = (np.flatnonzero(in_bins(g, 5) < 5.0) * 5 for g in (ours, good))
    assert abs(collapse[0] - theirs[0]) <= 10
    assert abs(collapse[-1] - theirs[-1]) <= 10


def test_a_burst_of_three_seconds_drains():
    rate = np.concatenate([np.full(30, 60.0), np.full(3, 160.0), np.full(60, 60.0)])
    _, good = many(lambda seed: Reference(Station(20, 0.2), seed=seed), rate, runs=8)
    _, ours = fluid(rate)
    assert ours.sum() == pytest.approx(good.sum(), rel=0.02)
    assert np.abs(in_bins(ours, 3) - in_bins(good, 3)).max() < 0.12 * CAPACITY


def test_a_retry_storm_without_a_budget_stays_in_both():
    """Forty seconds at 30 % of capacity; then 80 % of it is asked, tried four times: 3.2 times capacity for good."""
    rate = np.full(400, 80.0)
    arrived, good = many(
        lambda seed: Reference(Station(20, 0.2, slow=[(100, 140, 0.3)]), retries=3, seed=seed), rate, runs=2
    )
    ours_arrived, ours = fluid(rate, retries=3, slow=(100, 140, 0.3))
    for found, seen in ((arrived, good), (ours_arrived, ours)):
        assert seen[:100].mean() == pytest.approx(80, rel=0.03)
        assert seen[200:].mean() < 2.0
        assert found[200:].mean() == pytest.approx(320, rel=0.02)
    assert in_bins(ours_arrived, 10) == pytest.approx(in_bins(arrived, 10), rel=0.1)


def test_with_a_budget_it_recovers_in_both():
    rate = np.full(300, 80.0)
    arrived, good = many(
        lambda seed: Reference(Station(20, 0.2, slow=[(100, 140, 0.3)]), retries=3, budget=0.1, seed=seed), rate, runs=3
    )
    ours_arrived, ours = fluid(rate, retries=3, budget=0.1, slow=(100, 140, 0.3))
    assert ours_arrived.sum() == pytest.approx(arrived.sum(), rel=0.02)
    assert ours.sum() == pytest.approx(good.sum(), rel=0.03)
    assert np.abs(in_bins(ours, 10) - in_bins(good, 10)).max() < 0.12 * CAPACITY
    assert in_bins(ours, 10)[-10:].min() > 79
    assert in_bins(good, 10)[-10:].min() > 70


def test_load_taken_off_ends_a_storm_in_both():
    """A storm holds until demand falls below capacity ÷ attempts: 100 / 4 = 25/s; at 20/s it ends, and stays ended."""
    rate = np.concatenate([np.full(200, 80.0), np.full(60, 20.0), np.full(100, 80.0)])
    _, good = many(lambda seed: Reference(Station(20, 0.2, slow=[(60, 100, 0.3)]), retries=3, seed=seed), rate, runs=2)
    _, ours = fluid(rate, retries=3, slow=(60, 100, 0.3))
    for seen in (good, ours):
        assert seen[120:200].mean() < 2.0
        assert seen[220:260].mean() == pytest.approx(20, rel=0.1)
        assert seen[270:].mean() == pytest.approx(80, rel=0.03)
    _, still = fluid(np.where(rate == 20.0, 30.0, rate), retries=3, slow=(60, 100, 0.3))
    assert still[270:].mean() < 2.0


def test_a_token_bucket_on_single_requests():
    rate = np.concatenate([np.full(20, 50.0), np.full(40, 200.0), np.full(20, 50.0)])
    _, good = many(lambda seed: Reference(Station(20, 0.2, rate=90.0, burst=30.0), seed=seed), rate)
    _, ours = fluid(rate, limit=(90.0, 30.0))
    assert ours[20:60].sum() == pytest.approx(90 * 40 + 30)
    assert good[20:60].sum() == pytest.approx(90 * 40 + 30, rel=0.01)
    assert np.abs(in_bins(ours, 5) - in_bins(good, 5)).max() < 0.03 * CAPACITY


def station(arrivals, servers, rate, rng):
    """First-in-first-out with exponential service: waits, and the times at which requests leave."""
    service = rng.exponential(1.0 / rate, len(arrivals))
    free, waits, leaves = [0.0] * servers, np.empty(len(arrivals)), np.empty(len(arrivals))
    for i, came in enumerate(arrivals):
        begin = max(came, free[0])
        waits[i], leaves[i] = begin - came, begin + service[i]
        heapq.heapreplace(free, leaves[i])
    return waits, np.sort(leaves)


@pytest.mark.parametrize(("servers", "use"), [(1, 0.6), (4, 0.7), (20, 0.8)])
def test_the_mean_wait_is_that_of_erlang_c(servers, use):
    """Wait before service; the number waiting is λ times it by Little's law, the number in service λ ÷ μ."""
    waits = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        arrivals = np.cumsum(rng.exponential(1 / (use * servers), 400_000))
        waits.append(station(arrivals, servers, 1.0, rng)[0][30_000:].mean())
    assert float(mean_wait_s(use * servers, servers=servers, server_rate=1.0)) == pytest.approx(
        np.mean(waits), rel=0.03
    )


def test_a_jackson_network_of_single_requests():
    """Three stations, routing 0 → 1 with 0.6 and → 2 with 0.4, 1 → 2 with 0.5: rates and numbers within 3 %."""
    rate, servers, speed = 8.0, (3, 5, 4), (4.0, 1.4, 2.2)
    edges = [(0, 1, 0.6), (0, 2, 0.4), (1, 2, 0.5)]
    found, good = by_second(world(edges, [c * m for c, m in zip(servers, speed, strict=True)], size=3),
                            script(np.full(50, rate), size=3))  # fmt: skip
    lam = np.array([rate, 0.6 * rate, 0.4 * rate + 0.5 * 0.6 * rate])
    assert found[-1] == pytest.approx(lam[2])
    assert good[-1] == pytest.approx(lam[2])
    seen_wait, seen_rate, seen_number = np.zeros((3, 3, 3))
    for seed in range(3):
        rng = np.random.default_rng(100 + seed)
        into = np.cumsum(rng.exponential(1 / rate, 250_000))
        w0, out0 = station(into, servers[0], speed[0], rng)
        goes = rng.random(len(out0)) < 0.6
        w1, out1 = station(out0[goes], servers[1], speed[1], rng)
        both = np.sort(np.concatenate([out0[~goes], out1[rng.random(len(out1)) < 0.5]]))
        w2, _ = station(both, servers[2], speed[2], rng)
        for k, (came, waits) in enumerate(((into, w0), (out0[goes], w1), (both, w2))):
            cut = len(waits) // 10
            seen_wait[seed, k] = waits[cut:].mean()
            seen_rate[seed, k] = len(came) / came[-1]
            seen_number[seed, k] = seen_rate[seed, k] * (waits[cut:].mean() + 1 / speed[k])
    expected = mean_wait_s(lam, servers=np.array(servers), server_rate=np.array(speed))
    assert seen_rate.mean(axis=0) == pytest.approx(lam, rel=0.01)
    assert expected == pytest.approx(seen_wait.mean(axis=0), rel=0.05)  # two standard errors of the reference
    assert lam * (expected + 1 / np.array(speed)) == pytest.approx(seen_number.mean(axis=0), rel=0.03)
