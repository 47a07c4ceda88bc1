"""Connections: sizing stays within them where it can, else says the change that mends it, and that change does."""

import re

import numpy as np
import pytest

from capacity.catalog import Catalog, Service
from capacity.plan import make_plan
from capacity.settings import Risk


def _company(bench, *, max_connections, tier="degradable", n=1000):
    """A core and another caller of one database, 10 connections an instance, 100 requests/s each."""
    calls = [{"to": "db", "per_request": 0.01, "connections_per_instance": 10}]
    common = {"zones": 3, "instances": 2, "entry": {"per_dau": 1.0}, "calls": calls, "instance_cost": 1.0}
    catalog = Catalog.from_services(
        [
            Service.model_validate({"name": "shop", "tier": "core", **common}),
            Service.model_validate({"name": "extra", "tier": tier, **common}),
            Service.model_validate(
                {"name": "db", "tier": "core", "scalable": False, "max_qps": 1e6, "max_connections": max_connections}
            ),
        ]
    )
    peaks = bench.peaks_of(catalog, {"shop": 1000.0, "extra": 1000.0}, n=n)
    return catalog, peaks, bench.curves_of(catalog, {"shop": 100.0, "extra": 100.0}, n=n)


def _plan(bench, **keys):
    catalog, peaks, curves = _company(bench, **keys)
    return make_plan(peaks, curves, services=catalog, risk=Risk())


def _opened(plan):
    return 10 * sum(plan.document["services"][name]["instances"] for name in ("shop", "extra"))


def test_degradable_callers_are_held_back_before_core_ones(bench):
    wide, tight = _plan(bench, max_connections=10_000), _plan(bench, max_connections=300)
    assert _opened(wide) > 300
    assert _opened(tight) <= 300
    assert tight.feasible
    services = tight.document["services"]
    assert services["shop"]["instances"] == wide.document["services"]["shop"]["instances"]
    assert services["extra"]["instances"] < wide.document["services"]["extra"]["instances"]
    assert services["extra"]["rejected_fraction"]["q50"] > 0


def test_where_no_sizing_stays_within_them_the_named_change_mends_it(bench):
    plan = _plan(bench, max_connections=200)
    assert not plan.feasible
    reason = plan.infeasible_because[0]
    needed = int(re.search(r"raise max_connections to (\d+)", reason).group(1))
    assert needed < _opened(plan)
    assert _plan(bench, max_connections=needed).feasible
    assert not _plan(bench, max_connections=needed - 10).feasible


@pytest.mark.parametrize("most", [250, 300, 350, 500])
def test_more_connections_never_cost_core_services_anything(bench, most):
    few, many = _plan(bench, max_connections=most), _plan(bench, max_connections=most + 100)
    assert few.document["core_overload_probability"] <= 0.05 or not few.feasible
    assert len(many.infeasible_because) <= len(few.infeasible_because)


def test_connections_end_the_curve_of_orders(bench):
    plan = _plan(bench, max_connections=500)
    assert plan.feasible
    end = plan.document["frontier"]["ends_at_tps"]
    assert any("db takes 500 connections" in reason for reason in plan.frontier.why)
    assert plan.frontier.by_admitted_tps[-1]["admitted_tps"] == end
    assert end > np.quantile([plan.document["peak_tps"]["q50"]], 0.5)


def test_two_core_callers_share_what_is_left(bench):
    """Neither can be given up: the promise comes first, and the database is named."""
    plan = _plan(bench, max_connections=250, tier="core")
    assert not plan.feasible
    assert "db takes 250 connections" in plan.infeasible_because[0]
    assert plan.document["core_overload_probability"] <= 0.05
