"""The processes of the second family behave as they are described."""

from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.second_family.beats import Beat, countdown, rush
from benchmarks.second_family.instances import Instance
from benchmarks.second_family.markets import MARKETS, WEIGHTS
from benchmarks.second_family.noise import cox_factor, excited


def test_every_market_has_its_promotions_in_order():
    assert sum(WEIGHTS) == pytest.approx(1)
    assert len(WEIGHTS) == len(MARKETS)
    for market in MARKETS.values():
        assert set(market.targets) <= {kind.name for kind in market.kinds}
        for kind in market.kinds:
            spans = [tuple(datetime.fromisoformat(text) for text in dates) for dates in kind.dates]
            assert all(start < end for start, end in spans)
            assert all(a[1] <= b[0] for a, b in pairwise(spans))
            assert all(moment.minute == 0 for span in spans for moment in span)
        for name in market.targets:
            dates = next(kind.dates for kind in market.kinds if kind.name == name)
            assert {"2023", "2024", "2025", "2026"} <= {starts[:4] for starts, _ in dates}


@pytest.mark.parametrize("form", ["log-gaussian", "gamma"])
def test_dispersion_falls_with_the_rate(form):
    rng = np.random.default_rng(0)
    spreads = []
    for rate in (100.0, 1600.0):
        factor = cox_factor(
            rng, np.full(200_000, rate, np.float32), spread=0.1, usual=100.0, fall=0.5, memory_s=5.0, form=form
        )
        assert factor.mean() == pytest.approx(1, abs=0.01)
        spreads.append(factor.std())
    assert spreads[0] == pytest.approx(0.1, rel=0.05)
    assert spreads[1] == pytest.approx(0.1 * 16**-0.25, rel=0.05)


def test_excitement_adds_two_generations():
    counts = np.full(100_000, 50.0, np.float32)
    total = excited(np.random.default_rng(0), counts, np.full(100_000, 0.2, np.float32), memory_s=5.0)
    assert total.mean() / 50 == pytest.approx(1 + 0.2 + 0.04, rel=0.005)


@pytest.mark.parametrize(("shape", "scale_s", "form"), [("gamma", 30.0, 1.2), ("power", 60.0, 1.2)])
def test_a_rush_starts_at_its_instant_and_ends(shape, scale_s, form):
    beat = Beat(1000, 10.0, shape, scale_s, form, 0.5)
    seconds = np.arange(0.0, 20_000)
    height = rush(beat, seconds)
    assert height[:1000].max() == 0
    assert height.max() == pytest.approx(1, abs=0.01)
    assert height[-1] == 0
    reloads = countdown(beat, seconds)
    assert reloads[1000:].max() == 0
    assert (np.diff(reloads[700:1000]) > 0).all()


def test_two_kinds_of_instances_agree_where_theory_says_they_do():
    """Without a knee, sharing among c processors and M/M/c have the same number inside in the mean."""
    parts = {"service_s": 0.05, "servers": 6, "variation": 1.0, "base_errors": 0.0, "cpu_idle": 0.0, "cpu_busy": 0.8}
    queue = Instance(form="queue", knee=400.0, cpu_power=1.0, **parts)
    sharing = Instance(form="sharing", knee=1e5, cpu_power=1.0, **parts | {"servers": 6})
    rate = np.array([0.3, 0.6, 0.8]) * 6 / 0.05
    erlangs = rate * 0.05
    _, _, inside = queue.table.at(rate)
    states = np.arange(400)
    weight = np.cumprod(
        np.concatenate([np.ones((3, 1)), erlangs[:, None] / np.minimum(np.arange(1, 400), 6)], axis=1), axis=1
    )
    exact = (weight * states).sum(axis=1) / weight.sum(axis=1)
    assert inside == pytest.approx(exact, rel=0.01)
    assert sharing.throughput(states[1:].astype(float))[:20] == pytest.approx(queue.throughput(states[1:21]), rel=1e-4)


@pytest.mark.parametrize("form", ["queue", "sharing"])
def test_latency_rises_with_load(form):
    instance = Instance(form, 0.02, 8, 1.2, 30.0, 1e-4, 0.02, 0.7, 1.1)
    table = instance.table
    assert (np.diff(table.latency_ms, axis=0) > -1e-9).all()
    assert (np.diff(table.latency_ms, axis=1) > 0).all()
    assert (np.diff(table.failing) >= -1e-12).all()
    limit = float(table.latency_ms[50, 2])
    assert table.capacity({"p99_ms": limit})["p99_ms"] == pytest.approx(table.rate[50], rel=1e-3)
