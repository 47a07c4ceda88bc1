"""Limits: the textbook case, safety on random graphs, core first, monotone in capacity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.plan import instance_limits
from capacity.plan.limits import allocate
from capacity.plan.network import Network, injection, reach
from capacity.plan.rows import Rows


def graph(size, edges):
    """Edges are (caller, callee, calls, retries, binding)."""
    column = lambda k, t: np.array([e[k] for e in edges], dtype=t)  # noqa: E731
    calls = column(2, float)
    none = np.zeros(len(edges), dtype=bool)
    return Network(
        size, column(0, np.int64), column(1, np.int64), calls, calls, column(3, np.int64), column(4, bool), none
    )


def limits(network, capacity, demand, *, entry, core=None, pool=None, pooled=None, value=None):
    n = network.size
    rows = Rows.build(
        np.array(capacity, dtype=float),
        pool=np.arange(n) if pool is None else np.array(pool),
        pooled=np.full(n, np.inf) if pooled is None else np.array(pooled, dtype=float),
    )
    return allocate(
        network, rows, demand_qps=np.array(demand, dtype=float), entry=np.array(entry, dtype=bool),
        core=np.ones(n, dtype=bool) if core is None else np.array(core),
        value=np.zeros(n) if value is None else np.array(value),
    )  # fmt: skip


def test_textbook_b_with_three_instances_calls_c_that_takes_100():
    found = limits(graph(2, [(0, 1, 1.0, 0, True)]), [300, 100], [50, 0], entry=[True, False])
    assert found.cluster_qps == pytest.approx([100, 100])
    assert found.limited_by[0] == (1,)
    per_instance = instance_limits(float(found.cluster_qps[0]), 3, shares=[0.40, 0.33, 0.27])
    assert per_instance.safe_qps == pytest.approx(33.3333, abs=1e-3)
    assert per_instance.no_false_reject_qps == pytest.approx(40)
    assert per_instance.safe_admits_qps == pytest.approx(93.3333, abs=1e-3)
    assert per_instance.safe_rejects_wrongly == pytest.approx(0.066667, abs=1e-4)
    assert per_instance.no_false_reject_admits_qps == pytest.approx(120)


def test_fan_out_and_retries_divide_the_limit():
    found = limits(graph(2, [(0, 1, 4.0, 0, True)]), [1000, 100], [1, 0], entry=[True, False])
    assert found.cluster_qps[0] == pytest.approx(25)
    found = limits(graph(2, [(0, 1, 4.0, 2, True)]), [1000, 100], [1, 0], entry=[True, False])
    assert found.cluster_qps[0] == pytest.approx(25 / 1.1)


def test_a_chain_is_held_down_by_its_last_link():
    found = limits(graph(3, [(0, 1, 1.0, 0, True), (1, 2, 1.0, 0, True)]), [400, 300, 100], [10, 0, 0], entry=[1, 0, 0])
    assert found.cluster_qps == pytest.approx([100, 100, 100])
    assert found.limited_by[0] == (2,)


def test_optional_and_queued_callees_do_not_lower_the_caller():
    found = limits(graph(2, [(0, 1, 1.0, 0, False)]), [300, 10], [50, 0], entry=[True, False])
    assert found.cluster_qps == pytest.approx([300, 10])
    assert found.edge_qps == pytest.approx([10])


def test_core_flows_come_first_then_value():
    network = graph(3, [(0, 2, 1.0, 0, True), (1, 2, 1.0, 0, True)])
    found = limits(network, [1000, 1000, 100], [80, 80, 0], entry=[1, 1, 0], core=[True, False, True])
    assert found.cluster_qps[:2] == pytest.approx([80, 20])
    found = limits(network, [1000, 1000, 100], [80, 80, 0], entry=[1, 1, 0], value=[0.0, 5.0, 0.0])
    assert found.cluster_qps[:2] == pytest.approx([20, 80])


def test_equal_flows_share_fairly():
    network = graph(3, [(0, 2, 1.0, 0, True), (1, 2, 1.0, 0, True)])
    found = limits(network, [1000, 1000, 100], [80, 80, 0], entry=[1, 1, 0])
    assert found.cluster_qps[:2] == pytest.approx([50, 50], rel=0.35)
    assert found.cluster_qps[:2].sum() == pytest.approx(100)


def test_services_of_a_pool_share_its_instances():
    found = limits(graph(2, []), [np.inf, np.inf], [50, 50], entry=[1, 1], pool=[0, 0], pooled=[200, 100])
    assert (found.cluster_qps / np.array([200, 100])).sum() == pytest.approx(1.0)


def test_unknown_capacity_makes_no_limit():
    found = limits(graph(2, [(0, 1, 1.0, 0, True)]), [np.inf, np.inf], [50, 0], entry=[True, False])
    assert np.isinf(found.cluster_qps).all()


@st.composite
def companies(draw):
    size = draw(st.integers(2, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    edges = [
        (i, j, rng.uniform(0, 3), rng.integers(0, 4), rng.random() < 0.6)
        for i in range(size)
        for j in range(i + 1, size)
        if rng.random() < 0.45
    ]
    pool = np.minimum(np.arange(size), rng.integers(0, size, size))
    single = np.where(rng.random(size) < 0.4, rng.uniform(0.5, 500, size), np.inf)
    pooled = np.where(rng.random(size) < 0.7, rng.uniform(0.5, 500, size), np.inf)
    entry = rng.random(size) < 0.5
    entry[0] = True
    demand = rng.uniform(0, 300, size) * entry * (rng.random(size) < 0.8)
    core = rng.random(size) < 0.5
    return graph(size, edges), single, demand, {"entry": entry, "core": core, "pool": pool, "pooled": pooled}


@given(companies())
@settings(max_examples=150, deadline=None)
def test_no_sum_of_limits_pushes_any_downstream_past_its_capacity(company):
    network, single, demand, more = company
    found = limits(network, single, demand, **more)
    cluster, edge = found.cluster_qps, found.edge_qps
    assert (cluster <= single * (1 + 1e-6)).all()
    for p in np.unique(more["pool"]):
        members = (more["pool"] == p) & np.isfinite(more["pooled"])
        assert (cluster[members] / more["pooled"][members]).sum() <= 1 + 1e-6
    sent = np.bincount(network.callee, edge, minlength=network.size)
    assert (sent <= cluster * (1 + 1e-6) + 1e-9).all()
    full = cluster[network.caller] * network.calls * network.attempts
    assert edge[network.binding] == pytest.approx(full[network.binding])
    assert not (edge > full * (1 + 1e-9) + 1e-9).any()


@given(companies(), st.integers(0, 100), st.floats(1.01, 5.0), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_more_capacity_never_admits_less_core_value(company, which, factor, seed):
    network, single, demand, more = company
    at = np.flatnonzero(np.isfinite(single))
    larger = single.copy()
    larger[at[which % len(at)] if len(at) else 0] *= factor
    value = np.random.default_rng(seed).uniform(0.1, 5.0, network.size)
    core = more["entry"] & more["core"]
    before, after = (limits(network, c, demand, **more, value=value).served_qps for c in (single, larger))
    assert (after * value)[core].sum() >= (before * value)[core].sum() * (1 - 1e-6)
    if after[core] == pytest.approx(before[core]):
        rest = more["entry"] & ~core
        assert (after * value)[rest].sum() >= (before * value)[rest].sum() * (1 - 1e-5) - 1e-6


@given(companies())
@settings(max_examples=150, deadline=None)
def test_no_core_entry_is_cut_while_another_entry_uses_what_it_lacks(company):
    """Every core entry that is cut meets a capacity that core entries alone have used up."""
    network, single, demand, more = company
    found = limits(network, single, demand, **more)
    rows = Rows.build(single, pool=more["pool"], pooled=more["pooled"])
    every = reach(
        injection(range(network.size), network.size), network.matrix(only=network.binding, with_attempts=True)
    )
    take = (every @ rows.use.T).toarray()
    core, served = more["entry"] & more["core"], found.served_qps
    used_by_core = (served * core) @ take
    for s in np.flatnonzero(core & (served < demand * (1 - 1e-6))):
        lacking = (take[s] > 0) & (used_by_core > 1 - 1e-5)
        assert lacking.any()
        others = served * ~core @ take
        assert (others[lacking] < 1e-4).any()


@given(companies(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_prices_bound_what_one_more_request_per_second_admits(company, seed):
    """Admitted core value rises by no more than the price says, whichever capacity is raised."""
    network, single, demand, more = company
    core = more["entry"] & more["core"]
    value = np.random.default_rng(seed).uniform(0.1, 5.0, network.size)
    found = limits(network, single, demand, **more, value=value)
    for s in np.flatnonzero(np.isfinite(single))[:3]:
        larger = single.copy()
        step = 1e-4 * single[s]
        larger[s] += step
        gain = ((limits(network, larger, demand, **more, value=value).served_qps - found.served_qps) * value)[
            core
        ].sum()
        assert gain <= found.price[s] * step * (1 + 1e-3) + 1e-6 * (1 + (demand * value).sum())


def test_the_binding_service_has_its_price():
    """Three requests to the database make an order: one more there is a third of an order; at the shop it is none."""
    network = graph(3, [(0, 1, 1.0, 0, True), (1, 2, 3.0, 0, True)])
    found = limits(network, [400, 300, 150], [80, 0, 0], entry=[1, 0, 0], value=[1.0, 0.0, 0.0])
    assert found.limited_by[0] == (2,)
    assert found.price == pytest.approx([0, 0, 1 / 3], abs=1e-6)


def test_without_orders_prices_count_core_requests():
    found = limits(graph(2, [(0, 1, 4.0, 0, True)]), [1000, 100], [50, 0], entry=[True, False])
    assert found.price == pytest.approx([0, 0.25], abs=1e-6)


def test_among_equals_scarcity_is_shared_evenly_and_value_goes_before():
    network = graph(4, [(i, 3, 1.0, 0, True) for i in range(3)])
    found = limits(network, [9e9] * 3 + [100], [80, 80, 40, 0], entry=[1, 1, 1, 0])
    assert found.served_qps[:3] / [80, 80, 40] == pytest.approx([0.5] * 3, abs=0.07)
    found = limits(network, [9e9] * 3 + [100], [80, 80, 40, 0], entry=[1, 1, 1, 0], value=[0, 0, 1.0, 0])
    assert found.served_qps[2] == pytest.approx(40)
    assert found.served_qps[:2] == pytest.approx([30, 30], abs=6)


def test_the_largest_core_future_goes_before_what_is_left_for_others():
    network = graph(3, [(0, 2, 1.0, 0, True), (1, 2, 1.0, 0, True)])
    rows = Rows.build([9e9, 9e9, 100.0], pool=np.arange(3), pooled=np.full(3, np.inf))
    found = allocate(
        network, rows, demand_qps=np.array([20.0, 20, 0]), largest_qps=np.array([75.0, 75, 0]),
        entry=np.array([True, True, False]), core=np.array([True, False, True]), value=np.zeros(3),
    )  # fmt: skip
    assert found.cluster_qps[:2] == pytest.approx([75, 25])


def test_every_limit_of_a_large_graph_names_what_holds_it():
    """3,000 services in chains of three over one database: beyond all-pairs, still named and raised inside."""
    n = 3001
    at = np.arange(0, n - 1, 3)
    edges = [(c, c + 1, 1.0, 0, True) for c in at] + [(c + 1, c + 2, 2.0, 0, True) for c in at]
    edges += [(c + 2, n - 1, 1.0, 0, True) for c in at[:10]]
    capacity = np.full(n, 1000.0)
    capacity[n - 1] = 200.0
    entry = np.zeros(n, bool)
    entry[at] = True
    found = limits(graph(n, edges), capacity, 10.0 * entry, entry=entry)
    assert found.limited_by[0] == (n - 1,)
    assert found.cluster_qps[at[:10]] == pytest.approx(np.full(10, 10.0))
    assert found.limited_by[at[20]] == (at[20] + 2,)
    assert found.cluster_qps[at[20]] == pytest.approx(500)
    lone = found.cluster_qps[at[20] + 1]
    assert found.cluster_qps[at[20] + 2] == pytest.approx(2 * lone)


def test_instance_limits_refuse_nonsense():
    with pytest.raises(ValueError, match="at least 1"):
        instance_limits(10.0, 0)
    with pytest.raises(ValueError, match="add up to 1"):
        instance_limits(10.0, 2, shares=[0.5, 0.6])
