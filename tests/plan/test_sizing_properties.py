"""Sizing against truth that can be had: closed forms, every subset tried, and what may never happen."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from capacity.catalog import Catalog, Service
from capacity.plan import make_plan, relaxation
from capacity.plan.giving_up import GivingUp, rules_of
from capacity.plan.promise import keep_promise
from capacity.plan.relaxation import least_cost
from capacity.plan.sizing import allowed_samples, instances_for, needed_survivors, size_jointly
from capacity.settings import Risk


def _lognormal(rng, n, p, common, own):
    mean = np.exp(rng.uniform(0.5, 3, p))
    return mean * np.exp(common * rng.standard_normal((n, 1)) + own * rng.standard_normal((n, p)))


def _by_every_subset(rows, budget):
    """Cheapest over all sets of given-up rows: Luedtke, Ahmed and Nemhauser's program by enumeration."""
    best = np.inf
    for count in range(budget + 1):
        for gone in itertools.combinations(range(len(rows)), count):
            kept = np.delete(rows, gone, axis=0)
            best = min(best, float(kept.max(axis=0).sum()) if len(kept) else 0.0)
    return best


@given(seed=st.integers(0, 10_000), budget=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_between_the_bound_and_the_optimum_over_all_subsets(seed, budget):
    rng = np.random.default_rng(seed)
    rows = np.ceil(_lognormal(rng, 11, 3, 0.2, 0.3))
    best = _by_every_subset(rows, budget)
    found = GivingUp.of(rows, budget).levels(budget)
    assert ((rows > found).any(axis=1)).sum() <= budget
    assert least_cost(rows, budget) <= best + 1e-6
    assert best <= found.sum() + 1e-9
    assert found.sum() <= 1.25 * best


@given(seed=st.integers(0, 10_000), budget=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_every_rule_loses_no_more_than_it_may_and_never_rises(seed, budget):
    rng = np.random.default_rng(seed)
    rows = np.ceil(_lognormal(rng, 100, 5, rng.uniform(0, 0.3), rng.uniform(0, 0.4)))
    found = GivingUp.of(rows, 50)
    for rule in range(rules_of(5)):
        levels, lower = found.levels(budget, rule), found.levels(budget + 7, rule)
        assert (rows > levels).any(axis=1).sum() <= budget
        assert (lower <= levels).all()


@given(seed=st.integers(0, 10_000), budget=st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_the_dual_bound_is_below_the_program_and_near_it(seed, budget):
    rng = np.random.default_rng(seed)
    rows = np.ceil(10 * _lognormal(rng, 120, 6, 0.2, 0.2))
    exact = least_cost(rows, budget)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relaxation, "_EXACT", 0)
        dual = least_cost(rows, budget)
    assert dual <= exact * (1 + 1e-9)
    assert dual >= 0.99 * exact


def test_one_pool_needs_its_quantile():
    """Lognormal load of one pool: t = exp(μ + σ z) rounded up, within what 20,000 samples can say."""
    rng = np.random.default_rng(4)
    load = np.exp(4.0 + 0.25 * rng.standard_normal((20_000, 1)))
    for probability in (0.2, 0.05, 0.01):
        low, high = (
            np.exp(4.0 + 0.25 * stats.norm.isf(probability + slack))
            for slack in (0.0, -3.0 * np.sqrt(probability * (1 - probability) / len(load)))
        )
        promise = keep_promise(load, [1.0], probability=probability, zones=[3], losses=[1])
        assert np.floor(low) <= promise.sizing.surviving[0] <= np.ceil(high)
        assert promise.sizing.gap < 0.02


def test_independent_pools_of_one_kind_share_the_risk_evenly():
    """Ten alike, independent: each holds with 0.95^(1/10)."""
    rng = np.random.default_rng(5)
    load = np.exp(5.0 + 0.2 * rng.standard_normal((20_000, 10)))
    promise = keep_promise(load, np.ones(10), probability=0.05, zones=[3] * 10, losses=[1] * 10)
    each = np.exp(5.0 + 0.2 * stats.norm.ppf(0.95**0.1))
    assert promise.sizing.surviving.mean() == pytest.approx(each, rel=0.015)
    assert promise.overload_probability <= 0.05


@given(seed=st.integers(0, 10_000), quota=st.integers(5, 60), more=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_more_quota_never_covers_fewer_futures(seed, quota, more):
    rng = np.random.default_rng(seed)
    load = _lognormal(rng, 150, 3, 0.2, 0.1)
    terms = {"zones": [3] * 3, "losses": [1] * 3, "allowed": 7, "bound": False}
    few = size_jointly(load, np.ones(3), quota=[quota] * 3, **terms)
    many = size_jointly(load, np.ones(3), quota=[quota + more] * 3, **terms)
    lost_few, lost_many = (~few.kept).sum(), (~many.kept).sum()
    assert lost_many <= max(lost_few, 7)
    if lost_few <= 7:  # it holds: then more quota only adds choices
        assert many.cost <= few.cost * 1.05


@given(seed=st.integers(0, 10_000), factor=st.floats(1.05, 3.0), probability=st.sampled_from([0.02, 0.05, 0.2]))
@settings(max_examples=20, deadline=None)
def test_more_demand_never_costs_less_and_the_bound_says_so_too(seed, factor, probability):
    rng = np.random.default_rng(seed)
    load = 20 * _lognormal(rng, 400, 4, 0.2, 0.1)
    cost = rng.uniform(0.3, 3, 4)
    terms = {"probability": probability, "zones": [3] * 4, "losses": [1] * 4}
    calm, busy = keep_promise(load, cost, **terms), keep_promise(load * factor, cost, **terms)
    assert busy.sizing.cost >= calm.sizing.cost
    assert calm.sizing.cost_bound <= calm.sizing.cost
    assert busy.sizing.cost_bound >= calm.sizing.cost_bound * (1 - 1e-9)


@given(seed=st.integers(0, 10_000), probability=st.floats(0.003, 0.3), factor=st.floats(1.01, 3.0))
@settings(max_examples=25, deadline=None)
def test_more_risk_never_costs_more_outside_the_samples_either(seed, probability, factor):
    rng = np.random.default_rng(seed)
    load = _lognormal(rng, 400, 5, 0.15, 0.15)
    terms = {"zones": [3] * 5, "losses": [1] * 5}
    cost = rng.uniform(0.2, 3, 5)
    tight = keep_promise(load, cost, probability=probability, **terms)
    loose = keep_promise(load, cost, probability=min(probability * factor, 0.9), **terms)
    assert loose.sizing.cost <= tight.sizing.cost


def test_the_promise_of_the_cheapest_of_several_rules_holds_outside_the_samples():
    true = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        mean, spread = np.exp(rng.uniform(0.5, 4, 60)), rng.uniform(0.04, 0.12, 60)

        def draw(n, mean=mean, spread=spread, rng=rng):
            return mean * np.exp(0.2 * rng.standard_normal((n, 1)) + spread * rng.standard_normal((n, 60)))

        promise = keep_promise(
            draw(2000), rng.uniform(0.3, 3, 60), probability=0.05, zones=[3] * 60, losses=[1] * 60, thorough=False
        )
        true.append((needed_survivors(draw(20_000)) > promise.sizing.surviving).any(axis=1).mean())
    assert np.mean(true) <= 0.052


@pytest.fixture(scope="module")
def shop(bench):
    catalog = bench.shop()
    return catalog, bench.peaks_of(catalog, bench.entry_qps)


def _changed(catalog, **changes):
    return Catalog.from_services(
        [
            Service.model_validate({k: getattr(s, k) for k in s.model_fields_set} | changes.get(s.name, {}))
            for s in catalog.values()
        ]
    )


def _number(text):
    """A number as people read it: 1,240 or 12.4 k."""
    return float(text.replace(",", "").removesuffix(" k")) * (1000.0 if text.endswith(" k") else 1.0)


@pytest.mark.parametrize(
    ("service", "broken", "says", "key"),
    [
        ("cache", {"max_instances": 6}, r"quota of cache from \d+ to ([\d,]+) instances", "max_instances"),
        ("web", {"max_instances": 20}, r"quota of web from \d+ to ([\d,]+) instances", "max_instances"),
    ],
)
def test_the_least_change_that_is_named_makes_it_feasible_and_less_does_not(shop, bench, service, broken, says, key):
    catalog, peaks = shop

    def plan(**keys):
        changed = _changed(catalog, **{service: keys})
        return make_plan(peaks, bench.curves_of(changed, bench.capacity), services=changed, risk=Risk())

    bad = plan(**broken)
    assert not bad.feasible
    named = _number(re.search(says, bad.infeasible_because[0]).group(1))
    assert plan(**{key: int(named)}).feasible
    assert not plan(**{key: int(0.9 * named)}).feasible


@pytest.mark.parametrize(
    ("service", "before", "after", "says"),
    [
        ("payco", {"max_qps": 1000.0}, "max_qps", r"capacity of payco from \S+ to ([\d,.]+(?: k)?)/s"),
        ("order-db", {"max_qps": 3300.0}, "max_qps", r"capacity of order-db from [^;]+? to ([\d,.]+(?: k)?)/s"),
        ("inventory", {"max_qps": 2100.0}, "max_qps", r"leaves of inventory from [^;]+? to ([\d,.]+(?: k)?)/s"),
    ],
)
def test_the_rate_that_is_named_is_enough_as_it_is_written(shop, bench, service, before, after, says):
    catalog, peaks = shop

    def plan(**keys):
        changed = _changed(catalog, **{service: keys})
        return make_plan(peaks, bench.curves_of(changed, bench.capacity), services=changed, risk=Risk())

    bad = plan(**before)
    assert not bad.feasible
    named = _number(re.search(says, bad.infeasible_because[0]).group(1))
    assert plan(**{after: named}).feasible
    assert not plan(**{after: 0.9 * named}).feasible


def test_holding_back_as_much_demand_as_is_named_is_enough(shop, bench):
    catalog, peaks = shop
    changed = _changed(catalog, payco={"max_qps": 1000.0})
    curves = bench.curves_of(changed, bench.capacity)
    bad = make_plan(peaks, curves, services=changed, risk=Risk())
    share = float(re.search(r"hold back ([\d.]+) % of the demand", bad.infeasible_because[0]).group(1)) / 100.0
    assert make_plan(peaks.scaled(1.0 - share), curves, services=changed, risk=Risk()).feasible


def test_instances_of_one_service_are_those_of_its_capacity_after_the_loss(bench):
    """No noise at all: n = z·⌈λ/(q(z−k))⌉ or what the emptiest zones leave."""
    catalog = Catalog.from_services(
        [Service.model_validate({"name": "a", "tier": "core", "zones": 3, "entry": {"per_dau": 1.0}})]
    )
    peaks = bench.peaks_of(catalog, {"a": 1000.0}, n=200, sd=0.0)
    load = float(peaks.peak_qps.values.max())
    plan = make_plan(peaks, bench.curves_of(catalog, {"a": 70.0}, n=200, sd=0.0), services=catalog, risk=Risk())
    left = plan.document["services"]["a"]["surviving_instances"]
    worst = np.sort(peaks.peak_qps.values.max(axis=(1, 2)))[::-1][allowed_samples(0.05, 200)]
    assert np.ceil(worst / 70.0) <= left <= np.ceil(load / 70.0)
    assert plan.document["services"]["a"]["instances"] == instances_for(left, 3, 1)
