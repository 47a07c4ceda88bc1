"""Curves against published fits and closed forms."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.errors import InputError
from capacity.saturation import fit_curve
from capacity.saturation.erlang import erlang_b, erlang_c, mean_in_system, response_quantile, tail_probability
from capacity.saturation.families import FAMILIES

RAYTRACER = (
    [1, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64],
    [20, 78, 130, 170, 190, 200, 210, 230, 260, 280, 310],
)
SPECSDM91 = ([1, 18, 36, 72, 108, 144, 216], [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775, 1702.2])


def test_raytracer_reference_fit() -> None:
    fit = fit_curve(*RAYTRACER, family="usl")
    assert fit.alpha == pytest.approx(0.057771, rel=5e-5)
    assert fit.beta == 0.0
    assert fit.gamma == pytest.approx(21.848843, rel=5e-5)
    assert fit.peak_load == math.inf
    assert fit.peak_throughput == pytest.approx(21.848843 / 0.057771, rel=1e-4)


def test_specsdm91_reference_fit() -> None:
    fit = fit_curve(*SPECSDM91, family="usl")
    assert fit.alpha == pytest.approx(0.0277285, rel=5e-5)
    assert fit.beta == pytest.approx(1.044e-4, rel=5e-4)
    assert fit.gamma == pytest.approx(89.9952, rel=5e-5)
    assert fit.peak_load == pytest.approx(96.52, abs=0.005)


def test_published_series(shared_data) -> None:  # type: ignore[no-untyped-def]
    data = pd.read_csv(shared_data / "published_saturation.csv")
    cisco = data[data["dataset"] == "cisco"]
    fit = fit_curve(cisco["load"], cisco["throughput"], family="usl")
    assert fit.alpha == pytest.approx(0.02671591, rel=5e-5)
    assert fit.beta == pytest.approx(7.69094e-4, rel=5e-5)
    assert fit.gamma == pytest.approx(995.6486, rel=5e-5)
    shuffled = cisco.sample(frac=1.0, random_state=1)
    assert fit_curve(shuffled["load"], shuffled["throughput"], family="usl").alpha == pytest.approx(fit.alpha, rel=1e-9)


PUBLISHED = {
    # α, β, γ by least squares on throughput: the booklet's forecast from ten of the 32 points, and Gunther's examples.
    "first ten of Cisco": (
        range(1, 11),
        [955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61],
        (0.01700277, 4.465392e-4, 938.3793),
    ),
    "memcached": (
        [2, 4, 6, 8, 10, 12],
        [152.22, 242.49, 278.63, 269.67, 250.36, 241.69],
        (0.03049778, 0.02140612, 82.01863),
    ),
    "memcached 1.2.8": (
        [1, 2, 4, 6, 8, 10, 12],
        [81.91, 144.01, 239.38, 285.82, 286.08, 258.10, 239.96],
        (0.0, 0.02128463, 76.72631),
    ),
    "Varnish": (
        [1, 2, 5, 10, 25, 50, 75, 100, 150, 250, 300, 400],
        [1.4, 2.7, 6.4, 12.8, 32, 64, 98, 131, 197, 320, 392, 518],
        (1.457859e-5, 0.0, 1.302896),
    ),
    "raytracer without its first point": (
        [4, 8, 12, 16, 20, 24, 28, 32, 48, 64],
        [78, 130, 170, 190, 210, 220, 245, 255, 280, 310],
        (0.06026631, 0.0, 22.75312),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_examples_to_four_digits(name: str) -> None:
    load, throughput, expected = PUBLISHED[name]
    fit = fit_curve(list(load), throughput, family="usl")
    assert [fit.alpha, fit.beta, fit.gamma] == pytest.approx(expected, rel=5e-5)


def test_no_bound_is_no_bound_and_not_a_large_number() -> None:
    """Points without noise on a simpler curve: what the richer one adds is nothing, and its peak is nowhere."""
    load = [1, 2, 4, 8, 16, 32]
    line = [10.0 * n for n in load]
    bent = [10.0 * n / (1 + 0.05 * (n - 1)) for n in load]
    assert fit_curve(load, line, family="amdahl").peak_throughput == math.inf
    assert fit_curve(load, line, family="usl").peak_throughput == math.inf
    assert fit_curve(load, bent, family="usl").peak_load == math.inf
    assert fit_curve(load, bent, family="usl").peak_throughput == pytest.approx(200.0, rel=1e-6)
    for family in ("pool", "mmc"):
        fit = fit_curve(load, line, family=family)
        assert fit.c == math.inf
        assert fit.predict([64.0]) == pytest.approx([640.0], rel=1e-3)
        assert fit.interval().loc["c"].tolist() == [32.0, math.inf]
        assert fit.peak_interval().loc["peak_throughput"].tolist() == pytest.approx([320.0, math.inf], rel=1e-3)


def test_the_kind_of_array_does_not_matter() -> None:
    load, served = [1, 2, 4, 8, 16], [10, 19, 35, 60, 70]
    expected = fit_curve(load, served, family="usl").parameters
    shuffled = pd.Series(served[::-1], index=[9, 8, 7, 7, 7])
    for arrays in (
        (tuple(load), np.array(served, dtype=np.int16)),
        (np.array(load, dtype=np.uint8), pd.array(served, dtype="Int64")),
        (pd.Series(load[::-1], index=list("zyxwv")), shuffled),
        (np.ma.masked_array(load), served),
    ):
        assert fit_curve(*arrays, family="usl").parameters == pytest.approx(expected, rel=1e-9)  # type: ignore[arg-type]


def test_a_test_that_served_nothing_but_once_is_fitted_all_the_same() -> None:
    for family in (None, "linear", "amdahl", "usl", "pool", "mmc"):
        fit = fit_curve([1, 2, 4, 8, 16], [0, 0, 0, 0, 5], family=family)
        assert np.isfinite(fit.predict([1, 16])).all()
        assert not fit.peak_interval(n=50).isna().any().any()


def test_a_curve_from_which_no_point_could_be_hidden_promises_nothing_past_its_points() -> None:
    fit = fit_curve([1, 2, 3], [10, 19, 27])
    low, high = fit.peak_interval().loc["peak_throughput"]
    assert low <= 28.0
    assert high == math.inf
    doubled = fit.predict_interval([6.0]).iloc[0]
    assert doubled["low"] < 32.0
    assert doubled["high"] > 54.0


def test_a_fit_draws_its_points_and_its_band() -> None:
    chart = fit_curve(*SPECSDM91).plot()
    assert "7 loads from 1 to 216" in chart.alt
    assert list(chart.frame["load"]) == SPECSDM91[0]
    assert b"<svg" in chart.to_svg()
    assert "pool" in fit_curve(*SPECSDM91)._repr_html_()


@pytest.mark.parametrize(("c", "a"), [(1, 0.5), (2, 1.0), (5, 3.0), (16, 14.2), (100, 95.0)])
def test_erlang_against_the_sums(c: int, a: float) -> None:
    terms = [a**k / math.factorial(k) for k in range(c + 1)]
    b = terms[-1] / sum(terms)
    assert float(erlang_b(c, a)) == pytest.approx(b, rel=1e-6)
    assert float(erlang_c(c, a)) == pytest.approx(b / (1 - a / c * (1 - b)), rel=1e-6)


def test_mm1_closed_forms() -> None:
    assert float(mean_in_system(1, 0.8)) == pytest.approx(4.0, rel=1e-6)
    assert float(tail_probability(8.0, servers=1, service_s=0.1, after_s=1.0)) == pytest.approx(math.exp(-2), rel=1e-6)
    assert float(response_quantile(8.0, servers=1, service_s=0.1, probability=0.99)) == pytest.approx(
        math.log(100) / 2, rel=1e-6
    )
    assert float(response_quantile(10.0, servers=1, service_s=0.1, probability=0.99)) == math.inf
    assert float(mean_in_system(3, 3.0)) == math.inf


def test_response_quantile_of_many_servers_against_simulation() -> None:
    rng = np.random.default_rng(5)
    rate, c, service, n = 35.0, 4, 0.1, 200_000
    arrivals, work = np.cumsum(rng.exponential(1 / rate, n)), rng.exponential(service, n)
    free, late = [0.0] * c, np.empty(n)
    for i in range(n):
        k = min(range(c), key=free.__getitem__)
        free[k] = max(free[k], arrivals[i]) + work[i]
        late[i] = free[k] - arrivals[i]
    expected = np.quantile(late[5000:], 0.95)
    got = float(response_quantile(rate, servers=c, service_s=service, probability=0.95))
    assert got == pytest.approx(expected, rel=0.03)


TRUTHS = {
    "linear": {"gamma": 12.5},
    "amdahl": {"alpha": 0.08, "gamma": 9.0},
    "usl": {"alpha": 0.03, "beta": 2e-4, "gamma": 40.0},
    "pool": {"c": 16.0, "service_s": 0.1, "kappa_s": 0.00015},
    "mmc": {"c": 12.0, "service_s": 0.05},
    "utilization": {"demand_s": 0.004, "idle": 0.03},
}


@pytest.mark.parametrize("family", TRUTHS)
@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e9])
def test_exact_data_give_the_parameters_back(family: str, unit: float) -> None:
    load = np.array([1, 2, 4, 8, 12, 16, 24, 32, 48, 64.0]) / (100 if family == "utilization" else 1)
    curve = FAMILIES[family]
    truth = np.array([[TRUTHS[family][p] for p in curve.parameters]]) * unit ** np.array(curve.scale_power, dtype=float)
    fit = fit_curve(load, np.maximum(curve.predict(truth, load[None, :])[0], 0), family=family)
    if family == "utilization":
        load = load[load > 0.04]
        fit = fit_curve(load, curve.predict(truth, load[None, :])[0], family=family)
    got = [getattr(fit, p) for p in curve.parameters]
    assert got == pytest.approx(truth[0], rel=1e-4)
    assert fit.predict(load) == pytest.approx(curve.predict(truth, load[None, :])[0], rel=1e-6)


@pytest.mark.parametrize("family", ["amdahl", "usl", "pool", "linear"])
def test_the_true_family_wins_or_ties(family: str) -> None:
    rng = np.random.default_rng(3)
    load = np.array([1, 2, 4, 8, 12, 16, 20, 24, 32, 48, 64.0])
    curve = FAMILIES[family]
    truth = np.array([[TRUTHS[family][p] for p in curve.parameters]])
    x = curve.predict(truth, load[None, :])[0] * np.exp(0.01 * rng.standard_normal(len(load)))
    fit = fit_curve(load, x)
    assert fit.weights[family] > 0.05
    assert fit.predict(load) == pytest.approx(x, rel=0.06)
    assert sum(fit.weights.values()) == pytest.approx(1.0)


def test_interval_covers_in_nine_of_ten() -> None:
    rng = np.random.default_rng(11)
    load = np.array([1, 4, 8, 16, 24, 32, 48, 64.0])
    truth = np.array([[0.03, 3e-4, 20.0]])
    x = FAMILIES["usl"].predict(truth, load[None, :])[0]
    inside = []
    for k in range(80):
        y = x + 5.0 * rng.standard_normal(len(load))
        found = fit_curve(load, y, family="usl").interval(0.9, n=120, seed=k)
        inside.append((found["low"].to_numpy() <= truth[0]) & (truth[0] <= found["high"].to_numpy()))
    share = np.mean(inside, axis=0)
    assert ((share >= 0.84) & (share <= 0.985)).all(), share


def test_interval_keeps_the_bounds() -> None:
    found = fit_curve(*RAYTRACER, family="usl").interval(0.95)
    assert list(found.index) == ["alpha", "beta", "gamma"]
    assert found.loc["beta", "low"] == 0.0
    assert (found["low"] <= found["high"]).all()


def test_as_many_parameters_as_points_know_nothing_of_their_error() -> None:
    found = fit_curve([1, 2], [10, 18], family="amdahl").interval()
    assert found.loc["alpha"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("load", "throughput", "family", "said"),
    [
        ([], [], None, "one or more numbers"),
        ([1, 2, 3], [1, 2], None, "3, one for each load"),
        ([1, math.nan], [1, 2], None, "finite"),
        ([1, 2], [1, math.inf], None, "finite"),
        ([-1, 2], [1, 2], None, "between 0"),
        ([0, 2], [1, 2], None, "above 0"),
        ([1, 2], [1, 1e18], None, "between 0"),
        ([1, 2], [0, 0], None, "some requests"),
        ([1, 2], ["a", 2], None, "numbers"),
        ([1, 1, 1], [5, 5, 5], "usl", "3 or more"),
        ([1, 2, 3], [1, 2, 3], "ulsl", "did you mean 'usl'"),
        ([10, 20, 40, 80], [1, 2, 4, 8], "utilization", r"load\[3\]: got 80, expected a CPU fraction"),
        (np.ma.masked_array([1.0, 2.0, 4.0], mask=[0, 1, 0]), [1, 2, 4], None, r"load\[1\]: got nan"),
        ([1, -2, math.nan], [1, 2, 3], None, r"load\[1\].*-2[\s\S]*load\[2\]: got nan"),
    ],
)
def test_unusable_arrays_are_told(load, throughput, family, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=said):
        fit_curve(load, throughput, family=family)


def test_identical_and_single_points_give_a_line() -> None:
    assert fit_curve([4, 4, 4], [10, 11, 12]).family == "linear"
    assert fit_curve([4], [10]).gamma == pytest.approx(2.5)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.5, 1e4), st.floats(0.0, 1e9, allow_subnormal=False)), min_size=1, max_size=14
    ).filter(lambda points: any(y > 0 for _, y in points))
)
def test_any_points_give_finite_predictions(points: list[tuple[float, float]]) -> None:
    load, throughput = (list(v) for v in zip(*points, strict=True))
    fit = fit_curve(load, throughput)
    assert np.isfinite(fit.predict(load)).all()
    assert (fit.predict(load) >= 0).all()


def test_unknown_attribute() -> None:
    fit = fit_curve([1, 2, 4], [1, 2, 4], family="linear")
    with pytest.raises(AttributeError, match="no attribute 'beta'"):
        _ = fit.beta
