"""How long capacity at the objective takes for thousands of tested services: one run of twelve steps each.

Half of the runs offer a rate (an M/M/c queue's exact latencies), half have users who wait for answers (a pool's
throughput); steps carry 1 % noise. Only `fit_saturation` counts, not the making of the runs.
"""

import resource
import time

import numpy as np

from capacity.catalog import Catalog, Service
from capacity.loadtest import LoadTest
from capacity.loadtest.gates import check_run, check_steps
from capacity.loadtest.steps import to_frame
from capacity.saturation import fit_saturation
from capacity.saturation.erlang import response_quantile

STEPS = 12
_SHARES = np.concatenate([np.linspace(0.15, 0.75, 5), np.linspace(0.8, 1.1, STEPS - 5)])
_PARTS = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


def make_test(name: str, rng: np.random.Generator, *, is_open: bool) -> tuple[Service, LoadTest]:
    """Draw a service, its objective and a run that passes it."""
    servers, service_s = int(rng.integers(6, 40)), float(np.exp(rng.uniform(np.log(0.01), np.log(0.2))))
    top = servers / service_s
    limit_ms = 1e3 * service_s * float(rng.uniform(3.5, 6.0))
    rates = np.minimum(_SHARES, 0.999) * top
    if is_open:
        load = {"offered_qps": _SHARES * top}
        served = np.minimum(_SHARES, 1.0) * top
        tails = {
            part: 1e3 * response_quantile(rates, servers=servers, service_s=service_s, probability=q)
            for part, q in _PARTS.items()
        }
    else:
        users = np.unique(np.maximum(np.round(np.geomspace(1, 3 * servers, STEPS)), 1.0))
        users = users if len(users) == STEPS else np.arange(1.0, STEPS + 1) * servers / 4
        load = {"concurrency": users}
        served = np.minimum(users, servers) / (service_s * (1 + 0.001 * users))
        mean_ms = 1e3 * users / served
        tails = {"p50_ms": 0.9 * mean_ms, "p95_ms": 1.8 * mean_ms, "p99_ms": 2.4 * mean_ms}
    noise = np.exp(0.01 * rng.standard_normal(STEPS))
    columns = load | {"achieved_qps": served * noise} | {k: v / noise for k, v in tails.items()}
    rows = [{k: float(v[i]) for k, v in columns.items()} | {"seconds": 120.0} for i in range(STEPS)]
    steps = to_frame(rows)
    gates = (*check_run(environment="production", approach=None, mocked=(), dated=True), *check_steps(steps))
    service = Service.model_validate({"name": name, "tier": "core", "slo": {"p95_ms": limit_ms}})
    return service, LoadTest(run=name, service=name, instances=1, steps=steps, gates=gates, environment="production")


def run(*, count: int, n_samples: int = 2000) -> str:
    """Time it, and say what was measured."""
    rng = np.random.default_rng(0)
    pairs = [make_test(f"s{k:05d}", rng, is_open=k % 2 == 0) for k in range(count)]
    catalog = Catalog.from_services([service for service, _ in pairs])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    curves = fit_saturation([test for _, test in pairs], catalog, n_samples=n_samples)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return (
        f"capacity at the objective, {count} services with one run of {STEPS} steps, {n_samples} samples: "
        f"{cpu:.1f} s of CPU, {wall:.1f} s, {1e3 * cpu / count:.1f} ms each, {more:.0f} MiB more than the runs; "
        f"{curves.summary()}"
    )
