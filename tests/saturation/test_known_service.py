"""Real captures of one known service by six tools, each read by its own reader."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.known_service import CAPTURES, write_runs
from capacity.catalog import Catalog, Service
from capacity.loadtest import LoadTests, read_load_tests
from capacity.saturation import Curves, fit_saturation

TRUTH_RANDOM_ARRIVALS = 138.5
"""Rate at which p95 passes 300 ms with Poisson arrivals, by simulating the service as its README describes it."""
CLOSED = [tool for tool in CAPTURES if tool != "vegeta"]


@pytest.fixture(scope="module")
def runs(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadTests:
    target = tmp_path_factory.mktemp("loadtests")
    write_runs(shared_data / "loadtests", target)
    return read_load_tests(target, timezone="UTC")


def curves_of(runs: LoadTests, *tools: str) -> Curves:
    services = Catalog.from_services(
        [Service.model_validate({"name": "work", "tier": "core", "slo": {"p95_ms": 300.0}})]
    )
    return fit_saturation([r for r in runs if r.run.removeprefix("known-") in tools], services)


def quantiles(curves: Curves) -> np.ndarray:
    return np.quantile(curves.instance_capacity_qps.to_numpy()[:, 0], [0.05, 0.5, 0.95])


def test_plateau_and_littles_law(runs: LoadTests) -> None:
    assert {run.tool for run in runs} == set(CAPTURES)
    for run in runs:
        assert run.steps["achieved_qps"].max() == pytest.approx(147.6, rel=0.03)
        little = {g.step: g for g in run.gates if g.name == "littles_law"}
        grew = {g.step for g in run.gates if g.name == "unsteady_step" and g.verdict == "flagged"}
        assert grew == ({len(run.steps) - 1} if run.tool == "vegeta" else set())
        most = 0.06 if run.tool == "prometheus" else 0.03  # its points lie ten seconds apart, across steps
        assert all(g.value is not None and g.value < most for step, g in little.items() if step not in grew)


@pytest.mark.parametrize("tool", CLOSED)
def test_the_pool_is_found_and_the_usl_is_not(runs: LoadTests, tool: str) -> None:
    fit = curves_of(runs, tool).fits["work"]
    assert fit.family == "pool"
    assert fit.c == pytest.approx(16, abs=0.4)
    assert fit.peak_throughput == pytest.approx(148, rel=0.03)
    assert fit.held_out_error["usl"] > 4 * fit.held_out_error["pool"]


@pytest.mark.parametrize("tool", CLOSED)
def test_closed_users_at_the_objective(runs: LoadTests, tool: str) -> None:
    said = " ".join(curves_of(runs, tool).why["work"])
    users, rate = said.split("objective broke at ")[1].split(" requests")[0].split(" users per instance, ")
    assert 28 <= float(users) <= 32
    assert float(rate) == pytest.approx(147.0, rel=0.03)


def test_open_capacity_within_three_percent(runs: LoadTests) -> None:
    low, mid, high = quantiles(curves_of(runs, "vegeta"))
    assert mid == pytest.approx(146.5, rel=0.03)
    assert low < 146.5 < high


@pytest.mark.parametrize("tool", CLOSED)
def test_closed_tests_give_the_capacity_for_random_arrivals(runs: LoadTests, tool: str) -> None:
    low, mid, high = quantiles(curves_of(runs, tool))
    assert mid == pytest.approx(TRUTH_RANDOM_ARRIVALS, rel=0.05)
    assert low < TRUTH_RANDOM_ARRIVALS < high


def test_a_tool_that_writes_no_p95_says_so(runs: LoadTests) -> None:
    wrk = next(run for run in runs if run.tool == "wrk")
    assert wrk.steps["p95_ms"].isna().all()
    assert any("p95 is not reported" in note for note in wrk.notes)


def test_all_tools_together(runs: LoadTests) -> None:
    curves = curves_of(runs, *CAPTURES)
    low, mid, high = quantiles(curves)
    assert 134 < mid < 148
    assert low < TRUTH_RANDOM_ARRIVALS < high
    assert curves.evidence["work"] == "measured"
