"""Retries: attempts, and the equilibria they settle in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from capacity.catalog import parse_services
from capacity.graph import (
    attempts,
    call_edges,
    call_matrix,
    loss_failure,
    retry_fixed_point,
    timeout_failure,
    total_rates,
)

PAIR = "[{name: a, tier: core, calls: [{to: b, retries: 2, timeout_ms: 1000}]}, {name: b, tier: core}]"


def edges(text):
    return call_edges(parse_services(text))


@given(st.floats(0, 1), st.integers(0, 10))
def test_attempts_are_the_geometric_sum(p, retries):
    expected = sum(p**k for k in range(retries + 1))
    assert attempts(p, retries) == pytest.approx(expected, rel=1e-12)
    assert 1 <= attempts(p, retries) <= retries + 1


def test_attempts_near_certain_failure_keep_their_digits():
    assert attempts(1 - 1e-15, 3) == pytest.approx(4, rel=1e-12)


def test_attempts_agree_with_trying():
    rng = np.random.default_rng(0)
    fails = rng.random((200_000, 4)) < 0.4
    tries = 1 + np.cumprod(fails[:, :3], axis=1).sum(axis=1)
    assert tries.mean() == pytest.approx(attempts(0.4, 3), rel=0.005)


def test_attempts_refuse_what_is_no_probability():
    with pytest.raises(ValueError, match="0 to 1"):
        attempts(1.5, 2)


def test_without_load_the_rates_are_the_plain_flows():
    catalog = parse_services(PAIR)
    rest = retry_fixed_point(call_edges(catalog), [[10.0, 1.0]], capacity_qps=np.nan)
    np.testing.assert_allclose(rest.rates_qps, total_rates(call_matrix(catalog), [[10.0, 1.0]]))
    assert not rest.has_overload_equilibrium.any()
    assert rest.converged


def test_a_constant_failure_multiplies_attempts_only():
    rest = retry_fixed_point(edges(PAIR), [10.0, 0.0], capacity_qps=np.inf, base_failure=[0.0, 0.5])
    np.testing.assert_allclose(rest.rates_qps, [10.0, 17.5])
    np.testing.assert_allclose(rest.failure_probability, [0.5])


@pytest.mark.parametrize(
    ("offered", "overloaded", "metastable"),
    [
        (20.0, False, False),
        (33.0, False, False),
        (34.0, False, True),
        (60.0, False, True),
        (90.0, False, True),
        (120.0, True, False),
    ],
)
def test_three_attempts_hold_an_overload_from_a_third_of_capacity_on(offered, overloaded, metastable):
    rest = retry_fixed_point(edges(PAIR), [offered, 0.0], capacity_qps=[1e6, 100.0])
    assert bool(rest.rates_qps[1] > 100.0) == overloaded
    assert bool(rest.is_metastable[1]) == metastable
    assert bool(rest.has_overload_equilibrium) == metastable


def test_a_limit_that_turns_away_at_once_leaves_no_second_equilibrium():
    low = retry_fixed_point(edges(PAIR), [90.0, 0.0], capacity_qps=[1e6, 100.0], failure=loss_failure)
    assert not low.has_overload_equilibrium
    # Beyond capacity: served = capacity, so a · (1 − p³) = 100 with p = 1 − 100 / λ.
    over = retry_fixed_point(edges(PAIR), [150.0, 0.0], capacity_qps=[1e6, 100.0], failure=loss_failure)
    p = (1 - 100 / 150) ** (1 / 3)
    assert over.rates_qps[1] == pytest.approx(100 / (1 - p), rel=1e-6)


def test_the_lowest_equilibrium_is_the_root_of_the_equation():
    rest = retry_fixed_point(edges(PAIR.replace("1000", "50")), [70.0, 0.0], capacity_qps=[1e6, 100.0])

    def gap(rate):
        p = float(timeout_failure(np.array([rate / 100.0]), np.array([5.0]))[0])
        return 70.0 * float(attempts(p, 2)) - rate

    grid = np.linspace(70.0, 210.0, 4001)
    first = next(k for k in range(len(grid) - 1) if gap(grid[k]) > 0 >= gap(grid[k + 1]))
    assert rest.rates_qps[1] == pytest.approx(brentq(gap, grid[first], grid[first + 1]), rel=1e-6)


def test_failures_multiply_upwards_through_layers():
    text = (
        "[{name: a, tier: core, calls: [{to: b, retries: 3, timeout_ms: 100}]},"
        " {name: b, tier: core, calls: [{to: c, retries: 3, timeout_ms: 100}]}, {name: c, tier: core}]"
    )
    rest = retry_fixed_point(edges(text), [10.0, 0.0, 0.0], capacity_qps=[np.inf] * 3, base_failure=[0.0, 0.0, 1.0])
    np.testing.assert_allclose(rest.rates_qps, [10.0, 40.0, 160.0])
    optional = text.replace("{to: c,", "{to: c, required: false,")
    rest = retry_fixed_point(edges(optional), [10.0, 0.0, 0.0], capacity_qps=[np.inf] * 3, base_failure=[0.0, 0.0, 1.0])
    np.testing.assert_allclose(rest.rates_qps, [10.0, 10.0, 40.0])


def test_futures_are_independent_of_each_other():
    external = np.array([[[20.0, 0.0], [60.0, 0.0]], [[120.0, 0.0], [0.0, 0.0]]])
    together = retry_fixed_point(edges(PAIR), external, capacity_qps=[1e6, 100.0])
    for i in range(2):
        for j in range(2):
            alone = retry_fixed_point(edges(PAIR), external[i, j], capacity_qps=[1e6, 100.0])
            np.testing.assert_allclose(together.rates_qps[i, j], alone.rates_qps)
            assert together.has_overload_equilibrium[i, j] == alone.has_overload_equilibrium


@given(st.lists(st.floats(0, 200), min_size=3, max_size=3), st.floats(1, 200), st.integers(0, 3), st.floats(0, 0.9))
def test_the_lowest_is_below_the_highest_and_more_demand_is_never_less_load(external, limit, retries, base):
    again = f"{{to: c, retries: {retries}, timeout_ms: 20}}"
    text = (
        f"[{{name: a, tier: core, calls: [{{to: b, retries: {retries}, timeout_ms: 9}}, {{to: c, per_request: 0.5}}]}},"
        f" {{name: b, tier: core, calls: [{again}]}}, {{name: c, tier: core}}]"
    )
    graph = edges(text)
    rest = retry_fixed_point(graph, external, capacity_qps=limit, base_failure=base)
    assert (rest.rates_qps <= rest.overload_rates_qps * (1 + 1e-6) + 1e-9).all()
    more = retry_fixed_point(graph, np.asarray(external) * 1.1, capacity_qps=limit, base_failure=base)
    assert (more.rates_qps >= rest.rates_qps * (1 - 1e-6) - 1e-9).all()
    assert (rest.rates_qps >= np.asarray(external)).all()
