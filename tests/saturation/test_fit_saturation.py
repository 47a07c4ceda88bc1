"""Capacity at the objective: coverage on known services, bounds, evidence, and bad input."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from capacity.catalog import Catalog, Service
from capacity.errors import UsageError
from capacity.lessons import parse_lessons
from capacity.loadtest import LoadTest
from capacity.loadtest.gates import check_run, check_steps
from capacity.loadtest.steps import to_frame
from capacity.saturation import Curves, fit_saturation, rules
from capacity.saturation.erlang import response_quantile


def service(name: str = "s", **keys) -> Service:  # type: ignore[no-untyped-def]
    return Service.model_validate({"name": name, "tier": "core", "slo": {"p95_ms": 100.0}, **keys})


def load_test(rows, *, environment="production", **keys) -> LoadTest:  # type: ignore[no-untyped-def]
    steps = to_frame(rows)
    mocked = keys.get("mocked", ())
    gates = (*check_run(environment=environment, approach=None, mocked=mocked, dated=True), *check_steps(steps))
    given = {"run": "r", "service": "s", "instances": 1, **keys}
    return LoadTest(steps=steps, gates=gates, environment=environment, **given)


def staircase(end: float = 100.0, top: float = 1.1, **keys):  # type: ignore[no-untyped-def]
    """Rows of an open test whose p95 passes 100 ms where the load passes ``end``."""
    shares = np.arange(0.2, top + 1e-9, 0.05)
    rows = [
        {
            "offered_qps": end * u,
            "achieved_qps": end * min(u, 1.05),
            "p95_ms": 40.0 if u < 0.7 else 40.0 * np.exp((u - 0.7) / 0.3 * np.log(2.5)),
            "p99_ms": 90.0 if u < 0.7 else 90.0 * np.exp((u - 0.7) / 0.3 * np.log(2.5)),
            "error_fraction": 0.0,
            "seconds": 120.0,
        }
        for u in shares
    ]
    return load_test([r | keys.pop("also", {}) for r in rows], **keys)


def quantiles(curves: Curves, name: str = "s") -> np.ndarray:
    return np.quantile(curves.instance_capacity_qps.sel(service=name).to_numpy(), [0.05, 0.5, 0.95])


def catalog(*services: Service) -> Catalog:
    return Catalog.from_services(list(services) or [service()])


@pytest.mark.parametrize("closed", [False, True])
def test_interval_covers_known_services(simulated_test, closed: bool) -> None:  # type: ignore[no-untyped-def]
    rng, inside, width = np.random.default_rng(20), [], []
    for k in range(40 if closed else 100):
        known = simulated_test(rng, closed=closed, family=("pool", "usl")[k % 2])
        curves = fit_saturation([known.test], catalog(known.service), n_samples=300, seed=k)
        low, _, high = quantiles(curves) / known.truth_qps
        inside.append(low <= 1.0 <= high)
        width.append(high - low)
        assert curves.evidence["s"] == "measured"
    assert 0.84 <= np.mean(inside) <= 0.98
    assert np.mean(width) < (0.25 if closed else 0.12)


@pytest.mark.parametrize("closed", [False, True])
def test_a_test_that_stops_early_bounds_from_below(simulated_test, closed: bool) -> None:  # type: ignore[no-untyped-def]
    rng, right = np.random.default_rng(21), []
    for k in range(24):
        known = simulated_test(rng, closed=closed, family=("pool", "usl")[k % 2], stop=0.6)
        curves = fit_saturation([known.test], catalog(known.service), n_samples=200, seed=k)
        bound = curves.lower_bound_qps["s"]
        right.append(0.25 * known.truth_qps < bound <= known.truth_qps)
        assert curves.evidence["s"] == "bounded"
        highest = known.test.steps["achieved_qps"].max() / known.test.instances
        assert quantiles(curves)[2] <= highest * rules.MOST_BEYOND * 1.1
        assert curves.next_step["s"].startswith("continue from")
    assert np.mean(right) >= 0.95


def test_mmc_truth_in_an_open_test() -> None:
    rng, errors = np.random.default_rng(2), []
    for k in range(20):
        c, s = int(rng.integers(2, 40)), float(rng.uniform(0.01, 0.1))
        limit = float(response_quantile(0.0, servers=c, service_s=s, probability=0.95) * rng.uniform(1.2, 2.5))
        rates = np.linspace(0.02, 0.999, 2000) * c / s
        truth = rates[np.argmax(response_quantile(rates, servers=c, service_s=s, probability=0.95) > limit) - 1]
        offered = np.concatenate([np.linspace(0.2, 0.75, 4), np.arange(0.8, 0.99, 0.05)]) * c / s
        tails = {
            p: 1e3 * response_quantile(offered, servers=c, service_s=s, probability=q)
            for p, q in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))
        }
        rows = [
            {"offered_qps": r, "achieved_qps": r, "seconds": 120.0} | {p: v[i] for p, v in tails.items()}
            for i, r in enumerate(offered)
        ]
        rows.append({"offered_qps": 1.1 * c / s, "achieved_qps": c / s, "seconds": 120.0, "p95_ms": 2e4 * limit})
        curves = fit_saturation([load_test(rows)], catalog(service(slo={"p95_ms": limit * 1e3})), n_samples=200, seed=k)
        errors.append(np.log(quantiles(curves)[1] / truth))
    assert abs(np.median(errors)) < 0.03, errors
    assert np.max(np.abs(errors)) < 0.1, errors


def test_the_crossing_between_two_steps() -> None:
    low, mid, high = quantiles(fit_saturation([staircase()], catalog()))
    assert mid == pytest.approx(100.0, rel=0.03)
    assert low < 100.0 < high


def test_capacity_is_per_instance() -> None:
    one = fit_saturation([staircase()], catalog())
    four = staircase(end=400.0, instances=4)
    assert quantiles(fit_saturation([four], catalog()))[1] == pytest.approx(quantiles(one)[1], rel=0.02)


def test_every_given_part_must_hold() -> None:
    strict = fit_saturation([staircase()], catalog(service(slo={"p95_ms": 100.0, "p99_ms": 120.0})))
    assert quantiles(strict)[2] < quantiles(fit_saturation([staircase()], catalog()))[0]


def test_errors_break_the_objective() -> None:
    test = staircase()
    steps = test.steps.assign(error_fraction=np.where(test.steps["offered_qps"] > 70, 0.05, 0.0))
    curves = fit_saturation([replace(test, steps=steps)], catalog(service(slo={"error_fraction": 0.01})))
    assert 60 <= quantiles(curves)[1] <= 76


def test_cpu_bounds_a_partial_test_from_above() -> None:
    rows = [{"offered_qps": r, "achieved_qps": r, "p95_ms": 40.0, "cpu_fraction": r / 110} for r in (40.0, 55, 70, 85)]
    curves = fit_saturation([load_test(rows)], catalog())
    assert curves.evidence["s"] == "bounded"
    assert 0.85 * 110 < quantiles(curves)[2] <= 110 * 1.06
    assert quantiles(curves)[0] >= 85 * 0.96


def test_generator_saturated_gives_a_bound_only() -> None:
    rows = [{"offered_qps": r, "achieved_qps": min(r, 205.0), "p95_ms": 40.0} for r in (50.0, 100, 150, 200, 300, 400)]
    curves = fit_saturation([load_test(rows)], catalog())
    assert curves.evidence["s"] == "bounded"
    assert "more load generators" in curves.next_step["s"]


def test_outside_production_only_lowers() -> None:
    inside = quantiles(fit_saturation([staircase()], catalog()))
    outside = quantiles(fit_saturation([staircase(environment="staging")], catalog()))
    assert outside[0] < inside[0]
    assert outside[1] < inside[1]
    assert outside[2] <= inside[2] * 1.01


def test_the_ratio_between_environments_is_learnt() -> None:
    tests, services = [], []
    for k in range(6):
        name = f"s{k}"
        services.append(service(name))
        tests.append(staircase(end=120.0, service=name, run=f"{name}-staging", environment="staging"))
        if k:
            tests.append(staircase(end=100.0, service=name, run=f"{name}-production"))
    only_staging = quantiles(fit_saturation(tests, Catalog.from_services(services)), "s0")
    assert only_staging[1] == pytest.approx(100.0, rel=0.06)
    assert any("5 services tested in both" in w for w in fit_saturation(tests, catalog(*services)).why["s0"])


def test_several_runs_combine_and_drift_is_said() -> None:
    when = [datetime(2025, 10, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)]
    old, new = (
        staircase(end=e, run=r, started_at=w) for e, r, w in zip((80.0, 100.0), ("old", "new"), when, strict=True)
    )
    curves = fit_saturation([old, new], catalog())
    assert 85 < quantiles(curves)[1] < 100
    assert np.ptp(quantiles(curves)) > np.ptp(quantiles(fit_saturation([new], catalog())))
    assert any("runs differ by" in w for w in curves.why["s"])


def test_changed_version_and_type_widen() -> None:
    test = staircase(version="1", instance_type="small")
    same = np.ptp(quantiles(fit_saturation([test], catalog(service(version="1", instance_type="small")))))
    version = np.ptp(quantiles(fit_saturation([test], catalog(service(version="2", instance_type="small")))))
    kind = fit_saturation([test], catalog(service(version="1", instance_type="large")))
    assert same < version < np.ptp(quantiles(kind))
    assert "instance_type_changed" in kind.to_frame()["gates"].iloc[0]


def traffic(rows, *, error_fraction: float = 0.0) -> SimpleNamespace:  # type: ignore[no-untyped-def]
    columns = [
        "service",
        "ts",
        "interval_s",
        "qps_per_instance",
        "instances",
        "p95_ms",
        "p99_ms",
        "error_fraction",
        "cpu_fraction",
    ]
    stamps = pd.date_range("2026-06-18T20:00", periods=len(rows), freq="min", tz="UTC")
    frame = pd.DataFrame(
        [["s", t, 60.0, q, 10.0, p, p * 1.5, error_fraction, cpu] for t, (q, p, cpu) in zip(stamps, rows, strict=True)],
        columns=columns,
    )
    return SimpleNamespace(is_empty=False, proven=lambda slo=None: frame)


def test_production_alone_is_a_lower_bound() -> None:
    rows = [(90.0, 80.0, np.nan), (70.0, 60.0, np.nan), (60.0, 50.0, np.nan), (300.0, 500.0, np.nan)]
    curves = fit_saturation([], catalog(), traffic=traffic(rows))
    assert curves.evidence["s"] == "production"
    assert curves.lower_bound_qps["s"] == 60.0
    low, _, high = quantiles(curves)
    assert 60.0 <= low <= high <= 60.0 * rules.MOST_BEYOND


def test_load_whose_latency_nobody_recorded_is_worth_less_than_a_proof() -> None:
    curves = fit_saturation([], catalog(), traffic=traffic([(q, np.nan, np.nan) for q in (30.0, 50.0, 45.0, 40.0)]))
    assert curves.evidence["s"] == "production"
    low, mid, high = quantiles(curves)
    assert 0.68 * 40 < low < 0.75 * 40
    assert 0.85 * 40 < mid < high <= 40.0
    assert curves.lower_bound_qps["s"] == 0.0
    assert any("nobody recorded p95_ms" in why for why in curves.why["s"])
    assert any("nobody records latency" in said and said.endswith(": s") for said in curves.assumptions)
    assert not any(said.startswith("capacity is quoted") for said in curves.assumptions)


def test_a_test_has_the_word_where_latency_is_not_recorded() -> None:
    with_traffic = fit_saturation([staircase()], catalog(), traffic=traffic([(500.0, np.nan, np.nan)] * 5))
    assert (with_traffic.instance_capacity_qps == fit_saturation([staircase()], catalog()).instance_capacity_qps).all()


def test_idle_instances_say_nothing_of_where_they_end() -> None:
    idle = traffic([(3.0, np.nan, np.nan)] * 5)
    assert fit_saturation([], catalog(service(instances=10)), traffic=idle).evidence["s"] == "none"
    assert fit_saturation([], catalog(service(instances=9)), traffic=idle).evidence["s"] == "production"


def test_errors_are_no_service() -> None:
    curves = fit_saturation([], catalog(), traffic=traffic([(50.0, np.nan, np.nan)] * 5, error_fraction=0.2))
    assert curves.evidence["s"] == "none"


def test_latency_that_broke_the_objective_is_no_service() -> None:
    assert fit_saturation([], catalog(), traffic=traffic([(50.0, 900.0, np.nan)] * 5)).evidence["s"] == "none"


def test_production_raises_what_a_test_says() -> None:
    seen = traffic([(100.0, 80.0, np.nan)] * 5)
    curves = fit_saturation([staircase()], catalog(), traffic=seen)
    assert curves.instance_capacity_qps.min() >= 100.0
    assert any("lay below and was raised" in w for w in curves.why["s"])
    contradicted = fit_saturation([staircase(end=60.0)], catalog(), traffic=seen)
    assert contradicted.instance_capacity_qps.min() >= 100.0
    moved = fit_saturation([staircase(instance_type="a")], catalog(service(instance_type="b")), traffic=seen)
    assert moved.instance_capacity_qps.min() < 100.0


def test_third_parties_and_unknown_services() -> None:
    services = [
        service("db", scalable=False, max_qps=9000.0, instances=3),
        service("pay", third_party=True, max_qps=500.0),
        service("dark"),
    ]
    curves = fit_saturation([], catalog(*services))
    assert curves.evidence == {"db": "sla", "pay": "sla", "dark": "none"}
    assert curves.fixed_qps == {"db": 9000.0, "pay": 500.0}
    assert (curves.instance_capacity_qps.sel(service="db") == 3000.0).all()
    assert np.isnan(curves.instance_capacity_qps.sel(service="dark").to_numpy()).all()
    assert curves.summary() == "3 services: 2 sla, 1 none"


def test_without_an_objective_a_share_of_the_plateau() -> None:
    rows = [{"concurrency": n, "achieved_qps": min(n, 10.0) * 10, "seconds": 120.0} for n in (1.0, 2, 4, 8, 12, 16, 24)]
    curves = fit_saturation([load_test(rows)], catalog(service(slo={})))
    assert quantiles(curves)[1] < 100 * rules.WITHOUT_SLO * 1.05
    assert any("no latency objective" in a for a in curves.assumptions)


def test_an_objective_nobody_measured_is_not_judged() -> None:
    rows = [{"offered_qps": r, "achieved_qps": r} for r in (10.0, 20, 30, 40, 50)]
    curves = fit_saturation([load_test(rows)], catalog())
    assert curves.evidence["s"] == "bounded"
    assert any("recorded no latency" in w for w in curves.why["s"])


def test_lessons_correct() -> None:
    text = (
        "- {parameter: instance_capacity_qps, scope: {service: s}, quantiles: {q05: 0.78, q50: 0.8, q95: 0.82}, "
        'evidence: "peak broke earlier", promotion: p, learned_at: 2026-01-01}\n'
    )
    plain = quantiles(fit_saturation([staircase()], catalog()))
    learnt = quantiles(fit_saturation([staircase()], catalog(), lessons=parse_lessons(text)))
    assert learnt[1] / plain[1] == pytest.approx(0.8, rel=0.01)


@pytest.mark.parametrize(
    "rows",
    [
        [{"achieved_qps": 10.0, "concurrency": 1.0}],
        [{"achieved_qps": 10.0, "offered_qps": 10.0, "p95_ms": 500.0}],
        [{"achieved_qps": 0.0, "offered_qps": 10.0}],
        [{"achieved_qps": 10.0, "concurrency": 4.0, "p95_ms": 20.0}] * 6,
        [
            {"achieved_qps": x, "concurrency": n, "p95_ms": p}
            for x, n, p in ((50, 1, 90), (20, 2, 10), (70, 3, 200), (5, 9, 1))
        ],
        [
            {"achieved_qps": 1e11, "offered_qps": 1e11, "p95_ms": 1.0},
            {"achieved_qps": 1e12, "offered_qps": 1e12, "p95_ms": 2.0},
        ],
        [{"achieved_qps": 50.0, "concurrency": 1e7 * k, "p95_ms": 20.0 * k} for k in range(1, 9)],
    ],
)
def test_strange_tests_give_a_cautious_answer(rows) -> None:  # type: ignore[no-untyped-def]
    curves = fit_saturation([load_test(rows)], catalog(), n_samples=200)
    values = curves.instance_capacity_qps.to_numpy()
    assert np.isnan(values).all() or (np.isfinite(values).all() and (values >= 0).all())
    assert curves.evidence["s"] in ("bounded", "measured", "none")
    assert values.max() <= max(r["achieved_qps"] for r in rows) * rules.MOST_BEYOND * 1.0001 or np.isnan(values).all()


def test_samples_do_not_depend_on_neighbours_and_differ_between_services() -> None:
    tests = [staircase(), staircase(service="t", run="q")]
    both = fit_saturation(tests, catalog(service("t"), service("s"))).instance_capacity_qps
    alone = fit_saturation(tests[:1], catalog()).instance_capacity_qps
    assert (both.sel(service="s").to_numpy() == alone.sel(service="s").to_numpy()).all()
    assert abs(np.corrcoef(both.to_numpy().T)[0, 1]) < 0.08
    with pytest.raises(UsageError):
        fit_saturation([], catalog(), n_samples=0)


def test_arrays_keep_everything() -> None:
    rows = [
        {"concurrency": n, "achieved_qps": min(n, 10.0) * 10, "p95_ms": 50.0 + n} for n in (1.0, 2, 4, 8, 12, 16, 24)
    ]
    curves = fit_saturation(
        [load_test(rows)], catalog(service(), service("dark"), service("b", third_party=True, max_qps=5.0))
    )
    again = Curves.from_arrays(curves.to_arrays())
    pd.testing.assert_frame_equal(again.to_frame(), curves.to_frame())
    pd.testing.assert_frame_equal(again.points, curves.points, check_dtype=False)
    assert again.why == curves.why
    assert again.gates == curves.gates
    assert again.fits["s"].parameters == curves.fits["s"].parameters
    assert again.to_arrays()["curves"].tobytes() == curves.to_arrays()["curves"].tobytes()


def test_figures_draw() -> None:
    curves = fit_saturation([staircase()], catalog(service(), service("dark")))
    for chart in (curves.plot("s"), curves.plot("dark"), curves.plot()):
        assert b"<svg" in chart.to_svg()
        assert chart.alt
    with pytest.raises(UsageError, match="did you mean 'dark'"):
        curves.plot("drak")


def test_a_figure_has_no_empty_panels_and_names_the_objective() -> None:
    rows = [{"offered_qps": r, "achieved_qps": min(r, 100.0), "p95_ms": 50.0 + r} for r in (20.0, 40, 60, 80, 100, 120)]
    curves = fit_saturation([load_test(rows)], catalog(service(), service("dark")), n_samples=200)
    assert len(curves.plot("dark").figure.axes) == 1
    tested = curves.plot("s").figure
    assert len(tested.axes) > 2
    texts = [text.get_text() for axes in tested.axes for text in axes.texts]
    assert any(text.startswith("objective ") for text in texts)
    assert "all answered" in texts


def asked_of_few_users(*, users: int, base_s: float, takes_qps: float) -> LoadTest:
    """A rate that was asked for and sent by so many users, who wait for their answers once all of them are busy."""
    rows = []
    for asked in range(50, 500, 50):
        sent = min(asked, users / base_s, takes_qps)
        inside = asked * base_s if sent >= asked else users
        mean_ms = 1e3 * inside / sent
        latency = {"p50_ms": 0.95 * mean_ms, "p95_ms": 1.3 * mean_ms, "p99_ms": 1.6 * mean_ms, "mean_ms": mean_ms}
        load = {"offered_qps": asked, "achieved_qps": sent, "concurrency": inside}
        rows.append({**load, **latency, "error_fraction": 0.0, "seconds": 120.0})
    return load_test(rows)


def test_a_rate_that_was_not_sent_is_no_load() -> None:
    """Taken as load, the rates asked put the end of a server of 300/s at 331 [304, 350]."""
    test = asked_of_few_users(users=60, base_s=0.05, takes_qps=300.0)
    assert test.short_of_rate_steps
    curves = fit_saturation([test], catalog(service(slo={"p95_ms": 150.0})))
    low, mid, high = quantiles(curves)
    assert low < mid <= 300.0
    assert high < 310.0


def test_few_users_say_only_what_they_sent() -> None:
    test = asked_of_few_users(users=10, base_s=0.05, takes_qps=1000.0)
    curves = fit_saturation([test], catalog(service(slo={"p95_ms": 150.0})))
    assert curves.evidence["s"] == "bounded"
    assert quantiles(curves)[0] >= 0.95 * 200.0
