"""Queues against an event-driven reference, schedules, degradation and what limits turn away."""

from collections import deque
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from capacity.plan.backlog import backlog, drain_time_s, rate_for_delay
from capacity.plan.degradation import ladder, read_features, shed
from capacity.plan.network import injection, reach, read_network
from capacity.plan.schedule import WARM_UP, Span, changes, hold_within_freeze
from capacity.plan.turned_away import admitted_share, external_qps, rejected_fraction, spread_samples
from capacity.plan.write import requests_per_order


def test_transactions_are_orders_however_often_a_checkout_is_asked_for_one():
    per_order = requests_per_order(np.array([0, 2, 3]), {0: 3.2, 1: 9.0, 2: 0.0})
    assert per_order.tolist() == [3.2, 1.0, 1.0]


def _worst_delay_by_events(arrivals, rate):
    """First in, first out, one request at a time, arrivals at the end of each second."""
    waiting, clock, worst = deque(), 0.0, 0.0
    for second, count in enumerate(arrivals):
        waiting.extend([second + 1.0] * int(count))
    for arrived in waiting:
        clock = max(clock, arrived - 1.0) + 1.0 / rate
        worst = max(worst, clock - arrived)
    return worst


def test_least_rate_keeps_the_delay_of_every_single_request():
    rng = np.random.default_rng(0)
    arrivals = np.concatenate([rng.poisson(20, 60), rng.poisson(400, 30), rng.poisson(20, 400)]).astype(float)
    rate = float(rate_for_delay(arrivals[None], 60.0, step_s=1.0)[0])
    assert rate < arrivals.max() / 2
    assert _worst_delay_by_events(arrivals, rate) == pytest.approx(60, abs=1.5)


def test_ramp_and_drain_of_a_backlog():
    arrivals = np.concatenate([np.full(100, 30.0), np.zeros(200)])[None]
    waiting = backlog(arrivals, np.array([20.0]), step_s=1.0)
    assert waiting[0, 99] == pytest.approx(1000)
    assert waiting[0, 149] == pytest.approx(0)
    assert drain_time_s(arrivals, np.array([20.0]), step_s=1.0) == pytest.approx(149, abs=1)


DAYS = [datetime(2026, 11, d, tzinfo=UTC) for d in range(8, 15)]
SPANS = [Span(n, a, b) for n, a, b in zip("abcd", DAYS[1:], DAYS[2:], strict=False)]


def test_rises_are_ready_before_the_phase_and_before_the_freeze():
    steps = changes([4, 10, 10, 6], SPANS, now=4, startup_s=600, freeze=None)
    assert [c.instances for c in steps] == [10, 6, 4]
    assert steps[0].ready_by == DAYS[2] - WARM_UP
    assert steps[0].start_at == steps[0].ready_by - timedelta(minutes=10)
    freeze = (DAYS[1] - timedelta(hours=12), DAYS[5] + timedelta(hours=12))
    counts = hold_within_freeze([4, 10, 10, 6], SPANS, freeze=freeze)
    steps = changes(counts, SPANS, now=4, startup_s=600, freeze=freeze)
    assert counts == [10, 10, 10, 10]
    assert steps[0].ready_by == freeze[0] - WARM_UP
    assert [c.instances for c in steps] == [10, 4]
    assert steps[-1].start_at == freeze[1]


def test_a_freeze_in_the_middle_holds_what_is_needed_inside():
    freeze = (DAYS[2], DAYS[4])
    counts = hold_within_freeze([4, 6, 10, 5], SPANS, freeze=freeze)
    steps = changes(counts, SPANS, now=4, startup_s=60, freeze=freeze)
    assert counts == [4, 10, 10, 5]
    assert not [c for c in steps if freeze[0] < c.start_at < freeze[1]]


def test_the_ladder_has_what_is_planned_first_and_frees_most_for_least(bench):
    catalog = bench.shop()
    features = read_features(read_network(catalog))
    assert {f.name for f in features} == {"banners", "recommendations", "similar items"}
    names = list(catalog.names)
    typical = np.full(len(names), 100.0)
    by_name = {f.name: f for f in features}
    saved = by_name["similar items"].saved_qps(typical)
    assert saved[names.index("recommend")] == pytest.approx(100)
    assert shed(typical, [by_name["similar items"], by_name["recommendations"]])[names.index("recommend")] == 0.0
    capacity = np.full(len(names), 1000.0)
    order = [f.name for f in ladder(features, [by_name["recommendations"]], typical=typical, capacity=capacity)]
    assert order == ["recommendations", "banners", "similar items"]


def test_external_rates_are_found_back(bench):
    network = read_network(bench.shop())
    outside = np.zeros((3, network.size))
    outside[:, [0, 1]] = [[100, 10], [50, 50], [0, 5]]
    load = np.asarray(outside @ reach(injection(range(network.size), network.size), network.matrix()))
    assert external_qps(network, load) == pytest.approx(outside)


def test_what_a_limit_deep_inside_turns_away_is_turned_away_at_the_entry(bench):
    catalog = bench.shop()
    network, names = read_network(catalog), list(catalog.names)
    outside = np.zeros((1, network.size))
    outside[0, names.index("checkout")] = 100.0
    load = np.asarray(outside @ reach(injection(range(network.size), network.size), network.matrix()))
    limit = np.full(network.size, np.inf)
    limit[names.index("inventory")] = 100.0
    cut = rejected_fraction(network, load, limit, np.array([names.index("web"), names.index("checkout")]))
    assert cut[0, names.index("checkout")] == pytest.approx(0.5)
    assert cut[0, names.index("web")] == 0.0
    rows = reach(injection([names.index("checkout")], network.size), network.matrix(only=network.binding))
    assert admitted_share(load, limit, rows) == pytest.approx(np.array([[0.5]]))


def test_spread_samples_stand_for_all():
    values = np.random.default_rng(0).lognormal(size=5000)
    chosen = values[spread_samples(values, 64)]
    assert np.median(chosen) == pytest.approx(np.median(values), rel=0.05)
    assert np.quantile(chosen, 0.95) == pytest.approx(np.quantile(values, 0.95), rel=0.1)
