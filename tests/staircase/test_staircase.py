"""The next load test: target, steps, lengths, stop rules."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from capacity.catalog import Catalog, Service
from capacity.errors import NotCoveredError, UsageError
from capacity.loadtest import LoadTest
from capacity.loadtest.steps import to_frame
from capacity.saturation import Curves, fit_saturation
from capacity.staircase import Known, plan_load_test, step_seconds
from capacity.staircase.steps import step_rates

SERVICE = Service.model_validate(
    {"name": "s", "tier": "core", "instances": 10, "slo": {"p99_ms": 100.0, "error_fraction": 0.001},
     "calls": [{"to": "db"}]}
)  # fmt: skip
RATES = st.floats(min_value=0.5, max_value=1e6)


def peaks(values: np.ndarray) -> SimpleNamespace:
    array = xr.DataArray(values[:, None], dims=("sample", "service"), coords={"service": ["s"]})
    return SimpleNamespace(services=("s",), max_qps=array)


def curves_of(*rates: float, p99_ms: tuple[float, ...] | None = None) -> Curves:
    latencies = p99_ms or (50.0,) * len(rates)
    rows = [
        {"offered_qps": r, "achieved_qps": r, "p99_ms": ms, "seconds": 60.0}
        for r, ms in zip(rates, latencies, strict=True)
    ]
    test = LoadTest(run="r", service="s", instances=1, steps=to_frame(rows), environment="production")
    return fit_saturation([test], Catalog.from_services([SERVICE.model_copy(update={"calls": ()})]), n_samples=100)


def test_target_is_the_upper_peak_on_the_instances_tested() -> None:
    values = np.linspace(1000.0, 2000.0, 1001)
    plan = plan_load_test(SERVICE, peaks(values), instances=2)
    assert plan.target_qps == pytest.approx(1950.0 / 5)
    assert plan_load_test(SERVICE, peaks(values), instances=2, fleet=40).target_qps == pytest.approx(1950.0 / 20)
    assert plan.offered_qps[-1] >= plan.target_qps
    assert plan.reaches_target
    frame = plan.to_frame()
    assert (np.diff(frame["offered_qps"]) > 0).all()
    watched = {rule.watches for rule in plan.stop_rules}
    assert watched == {
        "offered_qps", "p99_ms", "error_fraction", "cpu_fraction", "gc_pause_fraction", "achieved_share",
        "generator_late_fraction", "downstream_error_fraction",
    }  # fmt: skip
    assert {rule.judged for rule in plan.stop_rules if rule.watches == "p99_ms"} == {"at_once", "after_step"}
    assert "<Staircase: s: " in repr(plan)


def test_steps_are_small_where_the_end_may_lie() -> None:
    plan = plan_load_test(SERVICE, peaks(np.full(10, 5000.0)), curves_of(100.0, 200, 300, 400, 500), instances=1)
    low, high = plan.known.low, plan.known.high
    assert plan.offered_qps[-1] > 500.0
    near = [r for r in plan.offered_qps if 0.8 * low * 0.999 <= r <= high]
    assert len(near) >= 5
    assert max(np.diff(near)) <= 0.051 * low


def test_the_end_that_was_seen_is_passed_and_no_more() -> None:
    seen = curves_of(100.0, 200, 300, 400, 450, 480, 500, p99_ms=(20, 22, 27, 40, 60, 90, 150))
    assert seen.evidence["s"] == "measured"
    plan = plan_load_test(SERVICE, peaks(np.full(10, 20_000.0)), seen, instances=1)
    assert plan.known.high < plan.offered_qps[-1] <= 1.16 * plan.known.high
    assert not plan.reaches_target
    assert "out of reach" in " ".join(plan.why)


def test_a_far_target_does_not_multiply_steps() -> None:
    plan = plan_load_test(SERVICE, peaks(np.full(10, 1e9)), curves_of(1.0, 2, 3, 4, 5))
    assert len(plan.offered_qps) <= 53
    assert plan.reaches_target


def test_no_step_passes_a_stated_limit() -> None:
    database = SERVICE.model_copy(update={"scalable": False, "max_qps": 800.0})
    assert plan_load_test(database, peaks(np.full(10, 1000.0))).offered_qps[-1] == 800.0
    assert plan_load_test(database, peaks(np.full(10, 100.0))).offered_qps[-1] == pytest.approx(115.0)
    assert plan_load_test(database, None).target_qps == 800.0


def test_nothing_known() -> None:
    with pytest.raises(NotCoveredError, match="neither its peak nor its capacity"):
        plan_load_test(SERVICE, None)
    with pytest.raises(UsageError):
        plan_load_test(SERVICE, peaks(np.ones(3)), instances=0)
    rates = np.array(plan_load_test(SERVICE, peaks(np.full(3, 1000.0))).offered_qps)
    assert rates[0] == pytest.approx(50.0)
    assert (rates[1:] / rates[:-1] < 1.16).all()


def test_rarer_requests_need_longer_steps() -> None:
    assert step_seconds(5.0) > step_seconds(50.0)
    assert step_seconds(50.0, precision=0.01) > step_seconds(50.0)
    assert step_seconds(0.01) == 900.0
    with pytest.raises(UsageError):
        step_seconds(0.0)


def test_where_nothing_is_learnt_of_the_end_steps_are_short() -> None:
    seen = curves_of(10.0, 20, 30, 40, 45, 48, 50, p99_ms=(20, 22, 27, 40, 60, 90, 150))
    plan = plan_load_test(SERVICE, peaks(np.full(10, 2000.0)), seen, instances=1)
    coarse = [s for r, s in zip(plan.offered_qps, plan.seconds, strict=True) if r <= 0.801 * plan.known.low]
    fine = [s for r, s in zip(plan.offered_qps, plan.seconds, strict=True) if r > 0.801 * plan.known.low]
    assert len(coarse) == 5
    assert sum(coarse) < 0.2 * sum(fine)
    assert fine[0] == step_seconds(plan.offered_qps[5], probability=0.99)


@st.composite
def knowledge(draw: st.DrawFn) -> Known:
    if draw(st.booleans()):
        return Known()
    low = draw(RATES)
    return Known(low, low * draw(st.floats(1.0, 20.0)), end_seen=draw(st.booleans()))


@given(target=RATES, known=knowledge(), ceiling=st.one_of(st.just(np.inf), RATES))
def test_steps_rise_to_the_top_and_never_past_a_ceiling(target: float, known: Known, ceiling: float) -> None:
    rates = np.array(step_rates(target, known, ceiling=ceiling))
    assert (np.diff(rates) > 0).all()
    assert rates[0] > 0
    assert rates[-1] <= ceiling * 1.001
    assert len(rates) <= 53
    if not known.end_seen and ceiling == np.inf:
        assert rates[-1] >= target
    if known.high is not None and ceiling == np.inf:
        assert rates[-1] >= known.high


@given(target=RATES, more=st.floats(1.0, 100.0), known=knowledge())
def test_a_larger_target_never_has_a_lower_top(target: float, more: float, known: Known) -> None:
    assert step_rates(target * more, known)[-1] >= step_rates(target, known)[-1] * 0.999
