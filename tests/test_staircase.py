"""The next load test: target, steps, lengths, stop rules."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from capacity.catalog import Catalog, Service
from capacity.errors import NotCoveredError, UsageError
from capacity.loadtest import LoadTest
from capacity.loadtest.steps import to_frame
from capacity.saturation import fit_saturation
from capacity.staircase import plan_load_test, step_seconds

SERVICE = Service.model_validate(
    {"name": "s", "tier": "core", "instances": 10, "slo": {"p99_ms": 100.0, "error_fraction": 0.001},
     "calls": [{"to": "db"}]}
)  # fmt: skip


def peaks(values: np.ndarray) -> SimpleNamespace:
    array = xr.DataArray(values[:, None], dims=("sample", "service"), coords={"service": ["s"]})
    return SimpleNamespace(services=("s",), max_qps=array)


def test_target_is_the_upper_peak_on_the_instances_tested() -> None:
    values = np.linspace(1000.0, 2000.0, 1001)
    plan = plan_load_test(SERVICE, peaks(values), instances=2)
    assert plan.target_qps == pytest.approx(1950.0 / 5)
    assert plan.offered_qps[-1] >= plan.target_qps
    frame = plan.to_frame()
    assert (np.diff(frame["offered_qps"]) > 0).all()
    fine = np.diff(frame["offered_qps"])[5:] / plan.target_qps
    assert (fine < 0.06).all()
    watched = {rule.watches for rule in plan.stop_rules}
    assert {"offered_qps", "p99_ms", "error_fraction", "cpu_fraction", "downstream_error_fraction"} <= watched
    assert "<Staircase: s: " in repr(plan)


def test_steps_reach_past_the_expected_end() -> None:
    rows = [{"offered_qps": r, "achieved_qps": r, "p99_ms": 50.0} for r in (100.0, 200, 300, 400, 500)]
    test = LoadTest(run="r", service="s", instances=1, steps=to_frame(rows), environment="production")
    curves = fit_saturation([test], Catalog.from_services([SERVICE.model_copy(update={"calls": ()})]), n_samples=100)
    plan = plan_load_test(SERVICE, peaks(np.full(10, 1000.0)), curves, instances=1)
    assert plan.offered_qps[-1] > 500.0


def test_a_far_target_does_not_multiply_steps() -> None:
    rows = [{"offered_qps": r, "achieved_qps": r, "p99_ms": 50.0} for r in (1.0, 2, 3, 4, 5)]
    test = LoadTest(run="r", service="s", instances=1, steps=to_frame(rows), environment="production")
    curves = fit_saturation([test], Catalog.from_services([SERVICE.model_copy(update={"calls": ()})]), n_samples=100)
    assert len(plan_load_test(SERVICE, peaks(np.full(10, 1e9)), curves).offered_qps) <= 30


def test_nothing_known() -> None:
    with pytest.raises(NotCoveredError, match="neither its peak nor its capacity"):
        plan_load_test(SERVICE, None)
    with pytest.raises(UsageError):
        plan_load_test(SERVICE, peaks(np.ones(3)), instances=0)


def test_rarer_requests_need_longer_steps() -> None:
    assert step_seconds(5.0) > step_seconds(50.0)
    assert step_seconds(50.0, precision=0.01) > step_seconds(50.0)
    assert step_seconds(0.01) == 900.0
    with pytest.raises(UsageError):
        step_seconds(0.0)
