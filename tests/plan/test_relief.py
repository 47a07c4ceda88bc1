"""Planned degradation: the program against every subset, nested features, what it says when nothing suffices."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capacity.catalog import Catalog, Service
from capacity.plan.degradation import read_features, saved_by, shed, value_lost_per_hour, without
from capacity.plan.fleet import Offered, read_fleet
from capacity.plan.implied import unimplied
from capacity.plan.network import injection, reach, read_network
from capacity.plan.relief import plan_relief
from capacity.plan.strain import read_strain


def catalog_of(rng, size, features):
    """A random graph whose optional calls serve features, nested ones among them; the last services are fixed."""
    services, left = [], features
    for i in range(size):
        calls = []
        for j in range(i + 1, size):
            if rng.random() > 0.5:
                continue
            call = {"to": f"s{j}", "per_request": float(rng.uniform(0.3, 2.0))}
            if left and rng.random() < 0.6:
                name = f"f{rng.integers(0, features)}" if rng.random() < 0.3 else f"f{left - 1}"
                left -= 1
                call["degrade"] = {"feature": name, "value_per_request": float(rng.choice([0.0, 0.1, 1.0, 3.0]))}
            calls.append(call)
        more = {"entry": {"per_dau": 1.0}} if i < 2 else {}
        if i >= size - 2:
            more |= {"scalable": False, "max_qps": 1.0}
        else:
            more |= {"max_instances": 3, "instances": 1}
        services.append(Service.model_validate({"name": f"s{i}", "tier": "core", "calls": calls, **more}))
    return services


def company(rng, *, size=6, features=6, n=40):
    services = catalog_of(rng, size, features)
    network = read_network(Catalog.from_services(services))
    outside = np.exp(0.3 * rng.standard_normal((n, 2, 2))) * np.array([[1.0, 1.0], [0.7, 1.2]]) * 50.0
    load = np.asarray(outside.reshape(-1, 2) @ reach(injection([0, 1], size), network.matrix())).reshape(n, 2, size)
    top = np.quantile(load.max(axis=1), 0.5, axis=0)
    services = [
        s
        if s.scalable
        else Service.model_validate(
            {k: getattr(s, k) for k in s.model_fields_set}
            | {"max_qps": max(float(top[i] * rng.uniform(0.3, 1.1)), 1.0)}
        )
        for i, s in enumerate(services)
    ]
    catalog = Catalog.from_services(services)
    capacity = np.tile(np.maximum(top, 1.0) * rng.uniform(0.3, 1.0, size), (n, 1))
    capacity *= np.exp(0.1 * rng.standard_normal((n, size)))
    return catalog, Offered(load, np.ones(size)), capacity


def fleet_of(bench, catalog, capacity):
    curves = bench.curves_of(catalog, dict.fromkeys(catalog.names, 1.0), n=len(capacity))
    return replace(read_fleet(catalog, curves, zone_losses=1), capacity=capacity)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_what_is_saved_together_is_what_the_smaller_graph_carries(seed):
    """Loads made again without the calls, from the same arrivals."""
    rng = np.random.default_rng(seed)
    network = read_network(Catalog.from_services(catalog_of(rng, 7, 8)))
    features = read_features(network)
    arrivals = rng.uniform(0, 100, (3, network.size))
    off = [f for f in features if rng.random() < 0.6]
    every = injection(range(network.size), network.size)
    load = arrivals @ reach(every, network.matrix()).toarray()
    left = arrivals @ reach(every, without(network, off).matrix()).toarray()
    assert shed(load, off) == pytest.approx(left)
    if off:
        alone = sum((f.saves for f in off[1:]), off[0].saves)
        assert (saved_by(off) - alone).toarray().max(initial=0) <= 1e-9


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 2, 6]))
@settings(max_examples=60, deadline=None)
@example(228339, 0)  # what is saved by the others' absence was once counted as more than a feature's whole load
def test_no_subset_that_mends_as_much_loses_less_value(bench, seed, allowed):
    catalog, offered, capacity = company(np.random.default_rng(seed))
    fleet = fleet_of(bench, catalog, capacity)
    features = read_features(fleet.network)
    typical = np.median(offered.peak_qps, axis=0).max(axis=0)
    strain = read_strain(fleet, offered)
    found = plan_relief(strain, features, typical=typical, allowed=allowed)

    def lost(off):
        return int(strain.fails(off).any(axis=1).sum())

    fewest = max(lost(features), allowed)
    subsets = [c for k in range(len(features) + 1) for c in itertools.combinations(features, k)]
    values = [value_lost_per_hour(c, features, typical=typical) for c in subsets if lost(c) <= fewest]
    assert lost(found.off) <= fewest or not found.off
    if lost(()) <= allowed or lost(features) == lost(()):
        assert found.off == ()
    else:
        assert found.value_per_hour == pytest.approx(min(values), rel=1e-4, abs=1e-3 * (max(values) > 0))
        assert found.gap <= 1e-4
    assert (found.lost[0], found.lost[2]) == pytest.approx((lost(()) / 40, lost(features) / 40))
    # The stretch in which they are off is as short as the promise allows, which may lose more than all phases would.
    assert lost(found.off) / 40 - 1e-9 <= found.lost[1] <= max(fewest, lost(()) if not found.off else 0) / 40 + 1e-9


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_strain_is_what_a_count_over_all_futures_says(bench, seed):
    """Fixed services against their capacity, pools against what their quota leaves, in the shed loads themselves."""
    rng = np.random.default_rng(seed)
    catalog, offered, capacity = company(rng)
    fleet = fleet_of(bench, catalog, capacity)
    features = [f for f in read_features(fleet.network) if rng.random() < 0.5]
    load = shed(offered.peak_qps, features)
    roof = np.where(fleet.is_fixed, fleet.fixed_qps, 3.0 * capacity[:, None, :])
    over = (load > roof * (1 + 1e-9)).any(axis=(1, 2))
    strain = read_strain(fleet, offered)
    found = np.zeros(len(over), dtype=bool)
    found[strain.sample] = strain.fails(features).any(axis=1)
    assert (found == over).all()


def test_switches_are_off_for_as_short_a_stretch_as_the_promise_allows(bench):
    used = 0
    for seed in range(20):
        catalog, offered, capacity = company(np.random.default_rng(seed))
        fleet = fleet_of(bench, catalog, capacity)
        quiet, calm = 1e-3 * offered.peak_qps[:, :1], 0.9 * offered.peak_qps[:, :1]
        spread = Offered(np.concatenate([quiet, offered.peak_qps, calm, quiet], axis=1), offered.smoothing)
        features = read_features(fleet.network)
        typical = np.median(offered.peak_qps, axis=0).max(axis=0)
        strain = read_strain(fleet, spread)
        allowed = seed % 5
        found = plan_relief(strain, features, typical=typical, allowed=allowed)
        assert not found.phases[[0, -1]].any()
        assert found.phases.any() == bool(found.off)
        degraded = found.degrade(spread)
        assert np.array_equal(degraded.peak_qps[:, ~found.phases], spread.peak_qps[:, ~found.phases])
        if found.off:
            used += 1
            left = read_strain(fleet, degraded).sample
            assert len(left) == round(found.lost[1] * 40)
            assert len(left) <= max(allowed, round(found.lost[2] * 40))
    assert used > 5


def lean_on_one(bench, *, features, n, wobble, seed=0):
    """A database that all features lean on, some much and some little: a knapsack in every future."""
    rng = np.random.default_rng(seed)
    calls = [
        {
            "to": "db",
            "per_request": float(rng.uniform(0.005, 0.02)),
            "degrade": {"feature": f"f{i}", "value_per_request": float(rng.uniform(0.1, 1.0))},
        }
        for i in range(features)
    ]
    services = [
        Service.model_validate({"name": f"w{i}", "tier": "core", "entry": {"per_dau": 1.0}, "calls": [call]})
        for i, call in enumerate(calls)
    ]
    roof = 20.0 / 3 * features
    services.append(Service.model_validate({"name": "db", "tier": "core", "scalable": False, "max_qps": roof}))
    catalog = Catalog.from_services(services)
    network = read_network(catalog)
    common, own = rng.standard_normal((n, 1)), rng.standard_normal((n, features))
    outside = 1000.0 * np.exp(0.1 * common + wobble * own)
    load = np.asarray(outside @ reach(injection(range(features), features + 1), network.matrix()))[:, None, :]
    fleet = fleet_of(bench, catalog, np.full((n, features + 1), 1e9))
    return read_strain(fleet, Offered(load, np.ones(features + 1))), read_features(network), np.median(load, axis=0)[0]


@pytest.mark.parametrize(("features", "n", "wobble"), [(40, 1000, 0.05), (150, 200, 0.02)])
def test_among_many_features_and_futures_it_is_better_than_greed_and_tells_its_gap(bench, features, n, wobble):
    strain, known, typical = lean_on_one(bench, features=features, n=n, wobble=wobble)
    allowed = n // 25
    found = plan_relief(strain, known, typical=typical, allowed=allowed)
    assert int(strain.fails(found.off).any(axis=1).sum()) <= allowed
    order = sorted(known, key=lambda f: f.value_per_hour(typical) / float(f.saved_qps(typical)[-1]))
    enough = next(k for k in range(len(order)) if strain.fails(order[:k]).any(axis=1).sum() <= allowed)
    greedy = value_lost_per_hour(order[:enough], known, typical=typical)
    assert found.value_per_hour <= greedy * (1 + 1e-9)
    assert 0 < found.bound_per_hour <= found.value_per_hour
    assert found.gap < 0.3


def test_futures_that_move_together_leave_few_rows_and_no_gap(bench):
    strain, known, typical = lean_on_one(bench, features=25, n=2000, wobble=0.002)
    found = plan_relief(strain, known, typical=typical, allowed=80)
    assert found.gap <= 0.005


@given(st.integers(0, 2**32 - 1), st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_rows_that_are_left_out_hold_whenever_the_others_do(seed, budget):
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.integers(0, 10, 25))
    gain = np.round(rng.uniform(0.2, 1.0, (25, 1)) * rng.uniform(0.5, 1.0, (25, 4)), 1)
    keep = unimplied(sample, gain, budget=budget)
    for on in itertools.product([0.0, 1.0], repeat=4):
        short = gain @ np.array(on) < 1.0
        every = len(np.unique(sample[short])) <= budget
        assert every == (len(np.unique(sample[short & keep])) <= budget)
