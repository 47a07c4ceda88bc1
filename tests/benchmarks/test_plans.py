"""The benchmark of plans: its company is what it says, and its figures are those of a plan."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import plans
from benchmarks.synthetic_shop import make_company
from capacity.catalog import find_cycles


@pytest.fixture(scope="module")
def company():
    return make_company(120, 500, 200, entries=8, seed=1)


def test_the_company_has_what_it_was_asked_for_and_a_bit_of_everything(company):
    catalog, peaks, curves = company
    services = list(catalog.values())
    calls = [call for service in services for call in service.calls]
    assert len(services) == 120
    assert len(calls) == 500
    assert len(peaks.entries) == 8
    assert not find_cycles(catalog)
    assert {s.tier for s in services} == {"core", "non_core", "degradable"}
    assert any(s.third_party for s in services)
    assert any(s.hot_key for s in services)
    assert any(call.degrade for call in calls)
    assert any(call.is_async for call in calls)
    assert peaks.peak_qps.shape == (200, 5, 120)
    assert np.isfinite(curves.instance_capacity_qps.values).all()


def test_the_same_seed_gives_the_same_company(company):
    again = make_company(120, 500, 200, entries=8, seed=1)
    assert (again[1].peak_qps.values == company[1].peak_qps.values).all()
    assert [s.calls for s in again[0].values()] == [s.calls for s in company[0].values()]


def test_the_figures_are_a_plans():
    row = plans.time_plan(120, 500, 1000, 8, seed=1)
    cost = row["cost"]
    assert row["wall_s"] > 0
    assert row["feasible"]
    assert row["core"] <= 0.05
    assert 0 <= cost["gap_fraction"] < 0.15
    assert row["points"][0] >= 3
    assert f"{100 * cost['gap_fraction']:.2f} %" in plans._sizes_table([row])


def test_one_service_is_sized_for_the_demand_that_netflix_is_asked_for():
    """5 % of futures above 8,400 requests/s, 300 an instance, a third of them lost: 42, some more for doubt."""
    assert 42 <= plans.time_one_service(n_samples=500)["instances"] <= 46


def test_without_its_environment_the_other_planner_is_left_out(tmp_path):
    assert "was not run" in plans._beside_netflix(Path(tmp_path / "venv" / "bin" / "python"))
