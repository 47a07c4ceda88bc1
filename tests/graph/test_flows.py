"""Flows: linear algebra and simulation agree."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from scipy import sparse

from capacity.catalog import Call, Catalog, Service, parse_services
from capacity.errors import CapacityError, InputError
from capacity.graph import (
    call_edges,
    call_matrix,
    downstream,
    find_cycle,
    is_acyclic,
    reach_matrix,
    total_rates,
    upstream,
)

TEXT = """
- name: shop
  tier: core
  calls:
    - {to: cache, per_request: 6.0, hit_fraction: 0.97, cold_hit_fraction: 0.5}
    - {to: hints, per_request: 0.5, degrade: {feature: recommendations}}
    - {to: db, per_request: 2.0}
    - {to: db, per_request: 1.0, mode: async}
- {name: cache, tier: core, calls: [{to: db}]}
- {name: hints, tier: degradable, calls: [{to: db, per_request: 3.0}]}
- {name: db, tier: core}
"""


@pytest.fixture
def catalog():
    return parse_services(TEXT)


@st.composite
def acyclic(draw):
    size = draw(st.integers(1, 8))
    matrix = draw(nps.arrays(float, (size, size), elements=st.floats(0, 3)))
    order = draw(st.permutations(range(size)))
    return np.triu(matrix, 1)[np.ix_(order, order)]


@pytest.mark.parametrize("shape", [(2,), (1, 2), (3, 2)])
def test_what_comes_from_outside_is_left_as_it_was(shape):
    external = np.ones(shape)
    for _ in range(2):
        assert total_rates([[0.0, 2.0], [0.0, 0.0]], external)[..., 1] == pytest.approx(3.0)
    assert (external == 1.0).all()


@given(acyclic(), st.integers(0, 2**32 - 1))
def test_total_rates_solve_the_traffic_equations(P, seed):
    external = np.random.default_rng(seed).uniform(0, 100, (3, 2, len(P)))
    total = total_rates(P, external)
    assert total.shape == external.shape
    np.testing.assert_allclose(total, external + total @ P, rtol=1e-9)
    np.testing.assert_allclose(total, external @ np.linalg.inv(np.eye(len(P)) - P), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(total_rates(sparse.csr_array(P), external), total)
    np.testing.assert_allclose(external @ reach_matrix(P), total, rtol=1e-9)


def test_rates_agree_with_requests_sent_one_by_one(catalog):
    rng = np.random.default_rng(1)
    P = call_matrix(catalog)
    counts = np.zeros(4)
    waiting = [0] * 4000
    while waiting:
        service = waiting.pop()
        counts[service] += 1
        for callee, mean in enumerate(P[service]):
            waiting += [callee] * rng.poisson(mean)
    np.testing.assert_allclose(counts / 4000, total_rates(P, [1.0, 0, 0, 0]), rtol=0.06)


def test_cache_misses_cold_caches_and_features_switched_off(catalog):
    warm = call_matrix(catalog)
    np.testing.assert_allclose(warm[0], [0, 0.18, 0.5, 3.0])
    np.testing.assert_allclose(call_matrix(catalog, cold=True)[0], [0, 3.0, 0.5, 3.0])
    np.testing.assert_allclose(call_matrix(catalog, degraded=["recommendations"])[0], [0, 0.18, 0, 3.0])
    with pytest.raises(InputError, match="did you mean 'recommendations'"):
        call_matrix(catalog, degraded=["recommendation"])


def test_upstream_and_downstream(catalog):
    assert upstream(catalog, "db") == ("shop", "cache", "hints")
    assert downstream(catalog, "shop") == ("cache", "hints", "db")
    assert upstream(catalog, "shop") == ()
    assert find_cycle(catalog) == ()


def test_cycles_are_refused():
    assert not is_acyclic([[0, 1], [1, 0]])
    assert not is_acyclic([[1.0]])
    with pytest.raises(CapacityError, match="cycle"):
        total_rates([[0, 1], [1, 0]], [1.0, 1.0])


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="expected 2"):
        total_rates(np.zeros((2, 2)), [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="square"):
        total_rates(np.zeros((2, 3)), [1.0, 2.0])


def test_inputs_stay_as_they_are():
    P = sparse.csr_array(np.array([[0.0, 2.0], [0.0, 0.0]]))
    P.data[:] = 0.0
    external = np.ones(2)
    total_rates(P, external)
    assert P.nnz == 1
    assert external.tolist() == [1.0, 1.0]


def test_no_services_and_no_calls():
    assert call_matrix(Catalog([])).shape == (0, 0)
    lonely = Catalog([Service(name="a", tier="core")])
    assert total_rates(call_matrix(lonely), [[5.0]]).tolist() == [[5.0]]


def test_ten_thousand_services_take_a_moment():
    rng = np.random.default_rng(0)
    callees = [sorted({*rng.integers(n + 1, min(n + 300, 10_000), 4)}) if n < 9_990 else [] for n in range(10_000)]
    services = [Service(name=str(n), tier="core", calls=[Call(to=str(m)) for m in to]) for n, to in enumerate(callees)]
    catalog = Catalog(services)
    before = time.perf_counter()
    edges = call_edges(catalog)
    edges.per_request[:] = 0.1
    total = total_rates(edges.to_sparse(), np.ones((50, 10_000)))
    assert time.perf_counter() - before < 3
    assert np.isfinite(total).all()
