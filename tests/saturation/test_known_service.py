"""Real captures of one known service, brought to the plain form by the recipe in benchmarks."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from capacity.catalog import Catalog, Service
from capacity.loadtest import LoadTests, read_load_tests
from capacity.saturation import Curves, fit_saturation

RECIPE = Path(__file__).resolve().parents[2] / "benchmarks" / "known_service.py"
TRUTH_RANDOM_ARRIVALS = 138.5
"""Rate at which p95 passes 300 ms with Poisson arrivals, by simulating the service as its README describes it."""


@pytest.fixture(scope="module")
def runs(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadTests:
    spec = importlib.util.spec_from_file_location("known_service", RECIPE)
    assert spec is not None
    assert spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    target = tmp_path_factory.mktemp("loadtests")
    recipe.write_runs(shared_data / "loadtests", target)
    return read_load_tests(target, timezone="UTC")


def curves_of(runs: LoadTests, *tools: str) -> Curves:
    services = Catalog.from_services(
        [Service.model_validate({"name": "work", "tier": "core", "slo": {"p95_ms": 300.0}})]
    )
    return fit_saturation([r for r in runs if r.run.removeprefix("known-") in tools], services)


def quantiles(curves: Curves) -> np.ndarray:
    return np.quantile(curves.instance_capacity_qps.to_numpy()[:, 0], [0.05, 0.5, 0.95])


def test_plateau_and_littles_law(runs: LoadTests) -> None:
    for run in runs:
        assert run.steps["achieved_qps"].max() == pytest.approx(147.6, rel=0.03)
        little = [g for g in run.gates if g.name == "littles_law"]
        assert all(g.verdict == "ok" and g.value is not None and g.value < 0.03 for g in little)


@pytest.mark.parametrize("tool", ["locust", "wrk"])
def test_the_pool_is_found_and_the_usl_is_not(runs: LoadTests, tool: str) -> None:
    fit = curves_of(runs, tool).fits["work"]
    assert fit.family == "pool"
    assert fit.c == pytest.approx(16, abs=0.4)
    assert fit.peak_throughput == pytest.approx(148, rel=0.03)
    assert fit.held_out_error["usl"] > 4 * fit.held_out_error["pool"]


def test_closed_users_at_the_objective(runs: LoadTests) -> None:
    said = " ".join(curves_of(runs, "locust").why["work"])
    users, rate = said.split("objective broke at ")[1].split(" requests")[0].split(" users per instance, ")
    assert 28 <= float(users) <= 32
    assert float(rate) == pytest.approx(147.0, rel=0.03)


def test_open_capacity_within_three_percent(runs: LoadTests) -> None:
    low, mid, high = quantiles(curves_of(runs, "vegeta"))
    assert mid == pytest.approx(146.5, rel=0.03)
    assert low < 146.5 < high


@pytest.mark.parametrize("tool", ["locust", "wrk"])
def test_closed_tests_give_the_capacity_for_random_arrivals(runs: LoadTests, tool: str) -> None:
    low, mid, high = quantiles(curves_of(runs, tool))
    assert mid == pytest.approx(TRUTH_RANDOM_ARRIVALS, rel=0.05)
    assert low < TRUTH_RANDOM_ARRIVALS < high


def test_all_tools_together(runs: LoadTests) -> None:
    curves = curves_of(runs, "locust", "vegeta", "wrk")
    low, mid, high = quantiles(curves)
    assert 134 < mid < 148
    assert low < TRUTH_RANDOM_ARRIVALS < high
    assert curves.evidence["work"] == "measured"
