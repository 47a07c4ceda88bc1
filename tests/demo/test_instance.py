"""The chain inside one instance against closed forms."""

import math

import numpy as np
import pytest

from capacity.demo.instance import Instance
from capacity.demo.parameters import draw_parameters
from capacity.demo.services import draw_services

PLAIN = Instance("pool", 0.1, 10, 0.0, 0.0, 0.5, 1e-4, 0.03, 0.8)


def erlang_c(servers: int, load: float) -> float:
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) / (1 - load / servers)
    return last / (sum(terms) + last)


def test_chain_without_contention_is_the_queue_of_erlang():
    rate = np.array([60.0])
    distribution = PLAIN.inside(rate)[0]
    assert distribution[PLAIN.slots :].sum() == pytest.approx(erlang_c(10, 6.0), rel=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_littles_law_holds_in_the_chain(seed):
    for service in draw_services(draw_parameters(seed)).values():
        instance, rate = service.instance, np.array([0.8 * service.instance.peak_throughput])
        distribution = instance.inside(rate)[0]
        mean, _ = instance.moments(np.arange(1.0, instance.most + 1))
        admitted = rate[0] * (1 - distribution[-1])
        response = float(distribution[:-1] @ mean) / (1 - distribution[-1])
        assert admitted * response == pytest.approx(float(distribution @ np.arange(instance.most + 1)), rel=1e-9)


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_objective_holds_just_below_capacity_and_breaks_just_above(seed):
    for service in draw_services(draw_parameters(seed)).values():
        for part, capacity in service.capacity_by_part.items():
            latency, errors, _ = service.instance.table.at(np.array([0.995, 1.005]) * capacity)
            values = {"p95_ms": latency[:, 1], "p99_ms": latency[:, 2], "error_fraction": errors}[part]
            assert values[0] <= service.slo[part] < values[1], (service.spec.name, part)
        assert 0.3 < service.capacity_qps / service.instance.peak_throughput < 0.97


def test_latency_table_agrees_with_a_played_queue():
    """Events one by one: the number inside is a birth–death chain whatever the service times' shape is said to be."""
    instance, rate = Instance("pool", 0.1, 4, 0.001, 0.0, 1.0, 0.0, 0.0, 0.8), 30.0
    rng = np.random.default_rng(5)
    states = np.arange(instance.most + 1.0)
    speed = np.concatenate([[0.0], instance.throughput(states[1:])])
    inside, time_in = 0, np.zeros(instance.most + 1)
    waits, coins = rng.exponential(size=200_000), rng.random(200_000)
    for wait, coin in zip(waits, coins, strict=True):
        up = rate if inside < instance.most else 0.0
        total = up + speed[inside]
        time_in[inside] += wait / total
        inside += 1 if coin < up / total else -1
    played = time_in / time_in.sum()
    assert np.abs(played - instance.inside(np.array([rate]))[0]).max() < 0.01
