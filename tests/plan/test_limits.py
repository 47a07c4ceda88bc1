"""Limits: the textbook case, safety on random graphs, core first, monotone in capacity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.plan import instance_limits
from capacity.plan.limits import Rows, allocate
from capacity.plan.network import Network


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


@given(companies(), st.integers(0, 100), st.floats(1.01, 5.0))
@settings(max_examples=100, deadline=None)
def test_more_capacity_never_admits_less_of_what_is_wished_for(company, which, factor):
    """The admitted value of the core entries' demand, which the first program maximises, never falls."""
    network, single, demand, more = company
    at = np.flatnonzero(np.isfinite(single))
    if len(at) == 0:
        return
    larger = single.copy()
    larger[at[which % len(at)]] *= factor
    core = more["entry"] & more["core"]
    only = [{**more, "entry": core | False}, demand * core]

    def served(capacity):
        # one entry at a time measures what a lone flow can get: there capacity can only help
        out = []
        for e in np.flatnonzero(core):
            alone = np.zeros(network.size, dtype=bool)
            alone[e] = True
            found = limits(network, capacity, only[1] * alone, **{**more, "entry": alone})
            out.append(found.cluster_qps[e])
        return np.array(out)

    before, after = served(single), served(larger)
    assert (after >= before * (1 - 1e-6)).all()


def test_instance_limits_refuse_nonsense():
    with pytest.raises(ValueError, match="at least 1"):
        instance_limits(10.0, 0)
    with pytest.raises(ValueError, match="add up to 1"):
        instance_limits(10.0, 2, shares=[0.5, 0.6])
