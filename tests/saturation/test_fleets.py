"""Fleets of several sizes, several runs, and their drift: against known truths."""

import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.catalog import Catalog, Service
from capacity.loadtest import LoadTest
from capacity.loadtest.gates import check_run, check_steps
from capacity.loadtest.steps import to_frame
from capacity.saturation import Curves, fit_saturation
from capacity.saturation.combine import Common, combine, environment_ratio
from capacity.saturation.drift import find_drift
from capacity.saturation.runs import RunCapacity, run_capacity
from capacity.saturation.scaling import NEVER, candidates, efficiency, instances_that_carry
from capacity.saturation.together import weigh, years_in_common

SERVICE = Service.model_validate({"name": "s", "tier": "core", "slo": {"p95_ms": 100.0}, "instances": 8})
SHARES = np.concatenate([np.linspace(0.3, 0.8, 4), np.arange(0.85, 1.16, 0.05)])


def staircase(end: float, *, instances: int = 1, environment: str = "production", **keys: object) -> LoadTest:
    """An open test whose p95 passes 100 ms where each instance is offered ``end``."""
    whole = end * instances
    rows = [
        {
            "offered_qps": whole * u,
            "achieved_qps": whole * min(u, 1.05),
            "p95_ms": 40.0 if u < 0.7 else 40.0 * np.exp((u - 0.7) / 0.3 * np.log(2.5)),
            "p99_ms": 90.0 if u < 0.7 else 90.0 * np.exp((u - 0.7) / 0.3 * np.log(2.5)),
            "seconds": 120.0,
        }
        for u in SHARES
    ]
    steps = to_frame(rows)
    gates = (*check_run(environment=environment, approach=None, mocked=(), dated=True), *check_steps(steps))
    given = {"run": f"{instances}-{end:.4g}", "service": "s", **keys}
    return LoadTest(steps=steps, gates=gates, environment=environment, instances=instances, **given)  # type: ignore[arg-type]


def fitted(*tests: LoadTest, service: Service = SERVICE, n: int = 800) -> Curves:
    return fit_saturation(list(tests), Catalog.from_services([service]), n_samples=n)


def spread(curves: Curves) -> np.ndarray:
    return np.quantile(curves.instance_capacity_qps.sel(service="s").to_numpy(), [0.05, 0.5, 0.95])


def as_run(test: LoadTest, *, n: int = 800) -> RunCapacity:
    found = run_capacity(test, SERVICE, rng=np.random.default_rng(zlib.crc32(test.run.encode())), n_samples=n)
    assert found is not None
    return found


def day(year: int) -> datetime:
    return datetime(year, 10, 1, tzinfo=UTC)


def test_a_known_fleet_is_found_and_covered() -> None:
    rng, inside, beyond, widths = np.random.default_rng(4), [], [], []
    for _ in range(30):
        alpha, beta = rng.uniform(0.005, 0.06), rng.uniform(0.0, 2e-3)
        tests = [
            staircase(
                100.0 * float(efficiency(n, alpha, beta) * np.exp(rng.normal(0, np.hypot(0.02, 0.015 / np.sqrt(n))))),
                instances=n,
                run=f"r{n}",
            )
            for n in (1, 2, 4, 8, 16)
        ]
        curve = fitted(*tests, n=400).fleet_scaling["s"]
        for n, kept in ((16, inside), (64, beyond)):
            low, high = np.quantile(curve.fleet_capacity_qps(n), [0.05, 0.95])
            truth = float(100.0 * n * efficiency(n, alpha, beta))
            kept.append(low <= truth <= high)
            widths.append((n, (high - low) / truth))
        assert not curve.is_extrapolated(16)
        assert curve.is_extrapolated(17)
    assert np.mean(inside) >= 0.8
    assert np.mean(beyond) >= 0.8
    measured, far = (np.median([w for k, w in widths if k == n]) for n in (16, 64))
    assert far > 2 * measured


def test_capacity_is_of_an_instance_among_those_of_today() -> None:
    tests = [staircase(100.0 * float(efficiency(n, 0.05, 0.0)), instances=n, run=f"r{n}") for n in (1, 2, 4, 8, 16)]
    for today in (2, 16):
        curves = fitted(*tests, service=SERVICE.model_copy(update={"instances": today}))
        assert spread(curves)[1] == pytest.approx(100.0 * float(efficiency(today, 0.05, 0.0)), rel=0.04)
        frame = curves.fleet_scaling["s"].to_frame().set_index("instances")
        assert frame.loc[16, "of_n_times_one"] == pytest.approx(float(efficiency(16, 0.05, 0.0)), rel=0.05)
        assert bool(frame.loc[128, "extrapolated"])
        assert frame.loc[128, "q95"] / frame.loc[128, "q05"] > frame.loc[16, "q95"] / frame.loc[16, "q05"]
        assert any("extrapolated" in w for w in curves.why["s"])
        assert any("beyond the largest" in a for a in curves.assumptions)


def test_figure_says_where_it_is_extrapolated() -> None:
    chart = fitted(*[staircase(100.0, instances=n, run=f"r{n}") for n in (1, 4)]).fleet_scaling["s"].plot()
    assert b"<svg" in chart.to_svg()
    assert "to the right of 4 instances it is extrapolated" in chart.alt


def test_a_fleet_much_larger_than_the_tested_ones_is_the_next_step() -> None:
    service = SERVICE.model_copy(update={"instances": 40})
    tests = [staircase(100.0, instances=n, run=f"r{n}", started_at=day(2026)) for n in (2, 8)]
    assert fitted(*tests, service=service).next_step["s"].startswith("repeat with a larger fleet: 8 instances")


def test_a_fleet_that_shares_nothing_is_a_line() -> None:
    curve = fitted(*[staircase(100.0, instances=n, run=f"r{n}") for n in (1, 2, 4, 8)]).fleet_scaling["s"]
    assert curve.weights["linear"] > curve.weights["amdahl"] > curve.weights["usl"]
    assert np.median(curve.fleet_capacity_qps(8)) == pytest.approx(800.0, rel=0.03)


@pytest.mark.parametrize("other", [4, 6])
def test_fleets_of_like_size_are_an_assumption(other: int) -> None:
    curves = fitted(staircase(100.0, instances=4), staircase(101.0, instances=other, run="again"))
    assert not curves.fleet_scaling
    assert any("n times one" in a for a in curves.assumptions)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 0.5), st.floats(0.0, 0.02), st.floats(0.0, 0.5), st.integers(1, 2000))
def test_more_sharing_never_raises_a_fleets_capacity(alpha: float, beta: float, more: float, n: int) -> None:
    assert efficiency(n, alpha + more, beta) <= efficiency(n, alpha, beta)
    assert efficiency(n, alpha, beta + more / 100) <= efficiency(n, alpha, beta)


@settings(max_examples=80, deadline=None)
@given(st.floats(0.0, 0.3), st.floats(0.0, 0.01), st.floats(0.0, 300.0), st.floats(0.0, 50.0))
def test_needed_instances_rise_with_the_load_and_carry_it(alpha: float, beta: float, load: float, more: float) -> None:
    need, larger = (float(instances_that_carry(v, alpha, beta)) for v in (load, load + more))
    assert need <= larger
    if need < NEVER:
        assert need * float(efficiency(need, alpha, beta)) == pytest.approx(load, rel=1e-6, abs=1e-9)
    else:
        sizes = np.geomspace(1, 1e6, 4000)
        assert (sizes * efficiency(sizes, alpha, beta)).max() <= load * (1 + 1e-6)


def test_runs_of_one_night_share_alike_and_a_newer_one_weighs_more() -> None:
    def weights(years: list[float]) -> np.ndarray:
        ages = years_in_common(np.array(years))
        logs = np.log([100.0, 102.0])
        found = weigh(logs, 4e-4 * np.eye(2), years=ages, instances=np.ones(2), curves=candidates(1))
        return found.mean_weights

    assert weights([0.0, 0.0]) == pytest.approx([0.5, 0.5], abs=1e-6)
    assert weights([1.0, 0.0])[1] > 0.6
    assert weights([3.0, 0.0])[1] > weights([1.0, 0.0])[1]
    assert weights([np.nan, 0.0])[1] == pytest.approx(weights([1.0, 0.0])[1], rel=0.02)


def test_production_weighs_more_and_weights_are_said() -> None:
    tests = [
        staircase(100.0, run="inside", started_at=day(2026)),
        staircase(104.0, run="outside", environment="staging", started_at=day(2026)),
    ]
    said = next(w for w in fitted(*tests).why["s"] if "weigh more" in w)
    inside, outside = (float(said.split(name)[1].split("%")[0]) for name in ("inside ", "outside "))
    assert inside > 3 * outside


def test_a_service_that_moves_is_followed() -> None:
    """Capacity walks by a tenth a year; four tests, the last of today: the truth of today is covered."""
    rng, inside, errors, means = np.random.default_rng(9), [], [], []
    for _ in range(60):
        logs = np.cumsum(rng.normal(0.0, 0.1, 4))
        tests = [
            staircase(100.0 * float(np.exp(v + rng.normal(0, 0.025))), run=f"r{k}", started_at=day(2023 + k))
            for k, v in enumerate(logs)
        ]
        low, middle, high = spread(fitted(*tests, n=300))
        truth = 100.0 * float(np.exp(logs[-1]))
        inside.append(low <= truth <= high)
        errors.append(np.log(middle / truth))
        means.append(np.log(np.mean([float(t.steps["offered_qps"].max()) / 1.15 for t in tests]) / truth))
    assert 0.82 <= np.mean(inside) <= 1.0
    assert np.std(errors) < 0.6 * np.std(means)


def test_drift_has_a_number_a_verdict_and_a_consequence() -> None:
    tests = [
        staircase(e, run=f"r{y}", started_at=day(y), version=v)
        for e, y, v in ((120.0, 2024, "1"), (110.0, 2025, "2"), (96.0, 2026, "3"))
    ]
    curves = fitted(*tests)
    drift = curves.drift["s"]
    assert drift.exceeds
    assert drift.change == pytest.approx(-0.2, abs=0.03)
    assert drift.per_year == pytest.approx(-0.105, abs=0.02)
    assert drift.versions == ("1", "3")
    gate = next(g for g in curves.gates["s"] if g.name == "drift_between_runs")
    assert gate.verdict == "flagged"
    assert "newer runs weigh more" in gate.says
    assert "repeat the test" in gate.remedy
    assert "drift_between_runs" in curves.to_frame()["gates"].iloc[0]
    assert spread(curves)[1] < 104


def test_runs_that_agree_do_not_drift() -> None:
    rng, flagged = np.random.default_rng(3), []
    for _ in range(60):
        ends = 100.0 * np.exp(rng.normal(0, 0.025, 3))
        tests = [staircase(float(e), run=f"r{k}", started_at=day(2024 + k)) for k, e in enumerate(ends)]
        flagged.append(fitted(*tests, n=100).drift["s"].exceeds)
    assert np.mean(flagged) <= 0.2


def test_nights_apart_are_no_trend() -> None:
    found = find_drift(
        ["a", "b", "c"],
        np.log([90.0, 100.0, 120.0]),
        4e-4 * np.eye(3),
        years_ago=np.full(3, np.nan),
        versions=[None] * 3,
    )
    assert np.isnan(found.per_year)
    assert found.exceeds
    assert "unknown or equal date" in found.says


def test_what_runs_share_does_not_average_out() -> None:
    ratio = environment_ratio([])

    def width(count: int, environment: str) -> float:
        tests = [
            staircase(100.0, run=f"r{k}", environment=environment, started_at=day(2026) + timedelta(days=k))
            for k in range(count)
        ]
        runs = [as_run(t) for t in tests]
        common = Common(ratio, n=800, rng=np.random.default_rng(0))
        return float(np.ptp(np.quantile(combine("s", runs, fleet=8, common=common).qps, [0.05, 0.95])))

    assert width(8, "staging") > 0.7 * width(1, "staging")
    assert width(8, "production") < 0.7 * width(1, "production")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(60, 140), st.floats(0, 4)), min_size=2, max_size=5), st.integers(0, 1000))
def test_together_is_no_surer_than_independent_runs_may_be(given_runs: list[tuple[float, float]], seed: int) -> None:
    one = as_run(staircase(100.0))
    runs = [
        replace(one, run=f"r{k}", qps=one.qps * e / 100.0, started_s=(4 - ago) * 3.15e7)
        for k, (e, ago) in enumerate(given_runs)
    ]
    common = Common(environment_ratio([]), n=800, rng=np.random.default_rng(seed))
    found = np.log(combine("s", runs, fleet=8, common=common).qps).std()
    best = float(np.sqrt(np.diag(common.covariance(runs)).min()))
    assert found >= 0.9 * best / np.sqrt(len(runs))


def test_what_a_larger_fleet_held_rules_out_less_of_a_smaller_one() -> None:
    tests = [staircase(100.0 * float(efficiency(n, 0.1, 0.0)), instances=n, run=f"r{n}") for n in (1, 2, 4, 8)]
    plain, truth = spread(fitted(*tests)), 100.0 * float(efficiency(8, 0.1, 0.0))
    held = staircase(100.0 * float(efficiency(16, 0.1, 0.0)) * 1.4, instances=16, run="held")
    steps = held.steps[held.steps["p95_ms"] <= 50].reset_index(drop=True)
    gates = check_run(environment="production", approach=None, mocked=(), dated=True)
    raised = spread(fitted(*tests, replace(held, steps=steps, gates=(*gates, *check_steps(steps)))))
    assert raised[0] > plain[0]
    assert raised[0] < truth * 1.1


def test_arrays_keep_fleets_and_drift() -> None:
    tests = [staircase(100.0, instances=n, run=f"r{n}", started_at=day(2020 + n)) for n in (1, 2, 4)]
    curves = fitted(*tests, n=50)
    again = Curves.from_arrays(curves.to_arrays())
    assert again.drift == curves.drift
    assert again.fleet_scaling["s"].weights == curves.fleet_scaling["s"].weights
    np.testing.assert_array_equal(
        again.fleet_scaling["s"].fleet_capacity_qps(7), curves.fleet_scaling["s"].fleet_capacity_qps(7)
    )
