"""Fleets whose instances share something: sized along their own curve."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.catalog import Catalog, Service
from capacity.plan import make_plan
from capacity.plan.fleet import NO_QUOTA, pool_overloaded, read_fleet
from capacity.plan.sharing import Sharing, nothing_shared
from capacity.settings import Risk

N = 400


@dataclass(frozen=True)
class FakeScaling:
    alpha: np.ndarray
    beta: np.ndarray
    among: int
    tested: tuple[int, ...] = (1, 2, 4, 8)


def one_service(**more):
    keys = {"name": "a", "tier": "core", "instances": 8, "zones": 3, "instance_cost": 1.0, "entry": {"per_dau": 1.0}}
    return Catalog.from_services([Service.model_validate(keys | more)])


def curved(bench, catalog, *, alpha, beta=0.0, among=8):
    @dataclass(frozen=True)
    class WithScaling(type(bench.curves_of(catalog, {"a": 100.0}, n=N))):
        fleet_scaling: dict = None

    plain = bench.curves_of(catalog, {"a": 100.0}, n=N)
    scaling = {"a": FakeScaling(np.full(N, alpha), np.full(N, beta), among)}
    return WithScaling(**plain.__dict__, fleet_scaling=scaling)


def planned(bench, catalog, curves, qps, **risk):
    peaks = bench.peaks_of(catalog, {"a": qps}, n=N)
    return make_plan(peaks, curves, services=catalog, risk=Risk(**risk))


def test_a_known_curve_gives_the_instances_it_needs(bench):
    catalog = one_service()
    straight = planned(bench, catalog, bench.curves_of(catalog, {"a": 100.0}, n=N), 3000.0)
    shared = planned(bench, catalog, curved(bench, catalog, alpha=0.01), 3000.0)
    n, m = (p.document["services"]["a"] for p in (straight, shared))
    # Among eight an instance takes 100: alone 107, so n of them n·107 / (1 + 0.01(n − 1)).
    left = {k: v["instances"] - -(-v["instances"] // 3) for k, v in (("n", n), ("m", m))}
    worth = left["m"] * 1.07 / (1 + 0.01 * (left["m"] - 1))
    assert worth == pytest.approx(left["n"], abs=1.0)
    assert m["instances"] > n["instances"]
    assert any("share something" in w and "beyond the largest fleet tested (8)" in w for w in m["why"])
    assert m["overload_probability"] <= 0.05


def test_a_curve_that_ends_below_the_load_is_said_not_bought(bench):
    catalog = one_service()
    plan = planned(bench, catalog, curved(bench, catalog, alpha=0.02, beta=2e-3), 3000.0)
    service = plan.document["services"]["a"]
    assert service["instances"] <= 24
    assert service["overload_probability"] > 0.9
    assert any("find what the instances of a share" in text for text in plan.document["infeasible_because"])


def test_limits_protect_what_the_shared_fleet_takes(bench):
    catalog = one_service()
    plan = planned(bench, catalog, curved(bench, catalog, alpha=0.03), 1500.0)
    service = plan.document["services"]["a"]
    left = service["instances"] - -(-service["instances"] // 3)
    whole = left * 100.0 * (1 + 0.03 * 7) / (1 + 0.03 * (left - 1))
    assert service["cluster_limit_qps"] < whole
    assert service["cluster_limit_qps"] > 0.8 * whole


@settings(max_examples=12, deadline=None)
@given(st.floats(0.0, 0.03), st.floats(1.0, 1.6))
def test_more_demand_and_more_sharing_never_cost_less(bench, alpha, more):
    catalog = one_service()
    curves = curved(bench, catalog, alpha=alpha, among=1)
    worse = curved(bench, catalog, alpha=alpha + 0.005, among=1)
    cost = [
        planned(bench, catalog, c, q).document["cost"]["per_hour_peak"]
        for c, q in ((curves, 900.0), (curves, 900.0 * more), (worse, 900.0))
    ]
    assert cost[0] <= cost[1]
    assert cost[0] <= cost[2]


def test_past_its_peak_a_fleet_is_overloaded_by_more_instances(bench):
    catalog = one_service()
    fleet = read_fleet(catalog, curved(bench, catalog, alpha=0.0, beta=1e-2, among=1), zone_losses=0)
    assert fleet.sharing.most.tolist() == [10]
    assert fleet.quota.tolist() == [10]
    assert fleet.is_held_by_sharing.tolist() == [True]
    used = np.full((N, 1), 5.0)
    assert not pool_overloaded(fleet, used, np.array([10])).any()
    assert pool_overloaded(fleet, used, np.array([60])).all()


def test_without_curves_nothing_changes(bench):
    catalog = one_service()
    fleet = read_fleet(catalog, bench.curves_of(catalog, {"a": 100.0}, n=N), zone_losses=0)
    assert fleet.quota.tolist() == [NO_QUOTA]
    used = np.array([[2.5], [7.0]])
    assert fleet.sharing.needed(used) is used
    assert nothing_shared().worth(np.array([3, 4])).tolist() == [[3.0, 4.0]]
    assert replace(fleet.sharing).of_samples(np.arange(3)).alpha.shape == (3, 0)


def test_worth_and_need_are_inverse():
    rng = np.random.default_rng(0)
    sharing = Sharing(
        np.array([1]), rng.uniform(0, 0.05, (50, 1)), rng.uniform(0, 1e-4, (50, 1)), np.array([6]), np.array([8])
    )
    worth = sharing.worth(np.array([5, 20]))
    np.testing.assert_allclose(sharing.needed(worth)[:, 1], 20.0, rtol=1e-9)
    assert (worth[:, 0] == 5).all()
