"""The simulated load tests: the engine against closed forms, truths against queues, and the tables."""

import numpy as np
import pytest

from benchmarks.saturation import staircases
from benchmarks.saturation.coverage import judged, judged_curves
from benchmarks.saturation.engine import Stations, simulate
from benchmarks.saturation.services import FAMILIES, Known, capacity_near, draw
from benchmarks.saturation.staircases import plan, run
from capacity.saturation.erlang import response_quantile

SERVICE_S = 0.1


def pool(slots, sigma=np.nan, most=300) -> Stations:  # type: ignore[no-untyped-def]
    n = np.arange(most + 1.0)
    slots = np.asarray(slots)
    return Stations(np.minimum(n[None, :], slots[:, None]) / SERVICE_S, slots, np.full(len(slots), sigma))


def test_exponential_workers_agree_with_erlang() -> None:
    slots, rate = np.array([1, 4, 16]), np.array([5.0, 28.0, 130.0])
    found = simulate(
        [pool(np.tile(slots, 40))],
        rate=np.tile(rate, 40),
        users=np.zeros(120, dtype=int),
        most=np.full(120, 300),
        requests=1500,
        seeds=np.arange(120),
    )
    expected = response_quantile(rate, servers=slots, service_s=SERVICE_S, probability=0.95)
    together = found.latency_s.reshape(40, 3, -1)
    assert np.nanquantile(together, 0.95, axis=(0, 2)) == pytest.approx(expected, rel=0.06)
    assert found.throughput.reshape(40, 3).mean(axis=0) == pytest.approx(rate, rel=0.03)


def test_two_stations_in_series_of_one_worker_each_are_two_queues() -> None:
    found = simulate(
        [pool([1] * 60), pool([1] * 60)],
        rate=np.full(60, 5.0),
        users=np.zeros(60, dtype=int),
        most=np.full(60, 300),
        requests=800,
        seeds=np.arange(60),
    )
    # Each holds a request for 1/(μ − λ) on average (Jackson).
    assert np.nanmean(found.latency_s) == pytest.approx(2 / (10.0 - 5.0), rel=0.05)


def test_users_who_wait_keep_littles_law_and_the_curve() -> None:
    users = np.array([2, 8, 20])
    found = simulate(
        [pool([8, 8, 8], sigma=0.5)],
        rate=np.ones(3),
        users=users,
        most=np.full(3, 300),
        requests=3000,
        seeds=np.arange(3),
    )
    assert found.throughput == pytest.approx(np.minimum(users, 8) / SERVICE_S, rel=0.03)
    assert found.throughput * np.nanmean(found.latency_s, axis=1) == pytest.approx(users, rel=0.03)


def test_late_and_refused_are_counted() -> None:
    found = simulate(
        [pool([2], most=4)],
        rate=np.array([40.0]),
        users=np.zeros(1, dtype=int),
        most=np.array([4]),
        requests=3000,
        seeds=np.arange(1),
        limit_s=np.array([1e9]),
    )
    # M/M/2/4 at twice its rate: states weigh 1, 4, 8, 16, 32, and the last one refuses.
    assert found.refused[0] == pytest.approx(32 / 61, abs=0.03)
    assert found.late[0] == 0.0


def test_truth_is_the_queue_s() -> None:
    slots, most = 6, 200
    limit = 2.0 * float(response_quantile(0.1, servers=slots, service_s=SERVICE_S, probability=0.95))
    rates = np.linspace(30.0, 59.9, 3000)
    late = response_quantile(rates, servers=slots, service_s=SERVICE_S, probability=0.95) > limit
    truth = float(rates[np.argmax(late)])
    known = Known(
        "mmc",
        (np.minimum(np.arange(most + 1.0), slots) / SERVICE_S,),
        (slots,),
        (float("nan"),),
        most,
        SERVICE_S,
        "p95_ms",
        limit,
        truth,
    )
    assert capacity_near([known], [known], seeds=np.zeros(1, dtype=int), requests=6000)[0] == pytest.approx(
        truth, rel=0.03
    )


def test_a_small_run_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staircases, "REQUESTS", 400)
    rng = np.random.default_rng(3)
    services = []
    for family in ("pool", "usl", "mmc"):
        one = draw(rng, family)
        services.append(
            Known(
                family,
                one.rates,
                one.slots,
                one.sigma,
                one.most,
                one.alone_s,
                "p95_ms",
                6 * one.alone_s,
                0.8 * one.peak_qps,
            )
        )
    plans = [plan(rng, s, is_open=bool(i % 2), stop=None) for i, s in enumerate(services)]
    tests = run(plans, seed=1)
    frame = judged(tests, n_samples=100)
    assert list(frame["family"]) == ["pool", "usl", "mmc"]
    assert set(frame["evidence"]) <= {"measured", "bounded"}
    assert (frame["width"] > 0).all()
    assert judged_curves(tests)["width"].gt(0).all()
    assert set(frame["family"]) <= set(FAMILIES)
