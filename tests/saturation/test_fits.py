"""Many curves at once against one at a time, and against the truth."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.errors import InputError, UsageError
from capacity.saturation import fit_curve, fit_curves, resample, stack
from capacity.saturation.families import COMPETING, FAMILIES
from capacity.saturation.leastsquares import fit_batch, solve_held

LOADS = np.array([1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64.0])
TRUTHS = {
    "usl": [0.02, 3e-4, 20.0],
    "pool": [24.0, 0.05, 1e-5],
    "mmc": [20.0, 0.05],
    "amdahl": [0.03, 15.0],
    "linear": [9.0],
}


def simulated(*, seed: int, services: int = 20, noise: float = 0.02) -> pd.DataFrame:
    """Services of all families, each with its own steps and noise."""
    rng, parts = np.random.default_rng(seed), []
    for k in range(services):
        name = list(TRUTHS)[k % len(TRUTHS)]
        load = np.sort(rng.choice(LOADS, size=int(rng.integers(8, 13)), replace=False))
        exact = FAMILIES[name].predict(np.array([TRUTHS[name]]), load[None])[0]
        served = exact * np.exp(noise * rng.standard_normal(len(load)))
        parts.append(pd.DataFrame({"service": f"{name}-{k}", "load": load, "throughput": served}))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("family", [None, "usl", "mmc"])
def test_one_service_is_the_same_alone_and_among_many(family: str | None) -> None:
    points = simulated(seed=1)
    fits = fit_curves(points.sample(frac=1.0, random_state=2), family=family)
    intervals = fits.interval(0.8, n=60, seed=5)
    for name, own in points.groupby("service"):
        alone, among = fit_curve(own["load"], own["throughput"], family=family), fits[str(name)]
        assert among.family == alone.family
        assert list(among.parameters.values()) == pytest.approx(list(alone.parameters.values()), rel=1e-9)
        assert among.weights == pytest.approx(alone.weights, rel=1e-6)
        one = alone.interval(0.8, n=60, seed=5)
        several = intervals.loc[str(name)].loc[list(one.index)]
        np.testing.assert_allclose(several, one, rtol=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points = simulated(seed=3)
    whole = fit_curves(points)
    monkeypatch.setattr(stack, "_MOST_AT_ONCE", 1)
    monkeypatch.setattr(resample, "_MOST_AT_ONCE", 1)
    pieces = fit_curves(points)
    np.testing.assert_allclose(pieces.peak_throughput, whole.peak_throughput, rtol=1e-9)
    pd.testing.assert_frame_equal(pieces.interval(n=40), whole.interval(n=40), rtol=1e-6)


def test_frame_attributes_and_parameters_agree() -> None:
    fits = fit_curves(simulated(seed=4))
    frame = fits.to_frame().set_index("service")
    assert list(frame.index) == list(fits.services)
    for name in fits.services:
        one = fits[name]
        assert frame.loc[name, "peak_throughput"] == one.peak_throughput
        for parameter, value in one.parameters.items():
            assert frame.loc[name, parameter] == value
    competed = frame[[f"weight_{f}" for f in COMPETING]].sum(axis=1)
    assert competed.to_numpy() == pytest.approx(1.0)
    assert "20 curves" in fits.summary()


def test_the_peak_of_the_true_family_is_covered() -> None:
    rng, inside, count = np.random.default_rng(7), [], 60
    truth = np.array([TRUTHS["usl"]])
    exact = FAMILIES["usl"].predict(truth, LOADS[None])[0]
    served = exact + 0.02 * exact.max() * rng.standard_normal((count, len(LOADS)))
    points = {
        "service": np.repeat([f"s{k}" for k in range(count)], len(LOADS)),
        "load": np.tile(LOADS, count),
        "throughput": served.ravel(),
    }
    found = fit_curves(points, family="usl").interval(0.9).xs("peak_throughput", level="parameter")
    peak = float(FAMILIES["usl"].peak(truth)[1][0])
    inside = (found["low"] <= peak) & (peak <= found["high"])
    assert 0.8 <= inside.mean() <= 0.99


@pytest.mark.parametrize("size", [6, 8])
def test_noise_in_proportion_is_not_taken_for_less_where_few_loads_are_high(size: int) -> None:
    """The heaviest loads hold most of such noise, and a curve of three parameters takes it up."""
    rng, count = np.random.default_rng(12), 150
    load, truth = np.geomspace(1, 64, size), np.array([[0.03, 3e-4, 40.0]])
    exact = FAMILIES["usl"].predict(truth, load[None])[0]
    served = exact * (1.0 + 0.02 * rng.standard_normal((count, size)))
    points = {
        "service": np.repeat([f"s{k}" for k in range(count)], size),
        "load": np.tile(load, count),
        "throughput": served.ravel(),
    }
    found = fit_curves(points, family="usl").interval(0.9, n=150)
    for name, value in zip(("alpha", "beta", "gamma"), truth[0], strict=True):
        own = found.xs(name, level="parameter")
        assert ((own["low"] <= value) & (value <= own["high"])).mean() > 0.8, name


def test_two_curves_that_tell_the_points_alike_share_the_peak() -> None:
    load = np.array([1, 2, 4, 6, 8, 10, 12.0])
    served = FAMILIES["amdahl"].predict(np.array([[0.04, 10.0]]), load[None])[0]
    served = served * np.exp(0.02 * np.random.default_rng(2).standard_normal(len(load)))
    points = {"service": ["a"] * len(load), "load": load, "throughput": served}
    several = fit_curves(points).interval(0.9).loc[("a", "peak_throughput")]
    assert fit_curves(points)["a"].weights["usl"] > 0.05
    given = fit_curves(points, family="usl").interval(0.9).loc[("a", "peak_throughput")]
    assert several["high"] > 2 * served.max()
    assert several["low"] <= max(given["low"], several["high"])


def test_short_services_know_nothing_of_their_noise() -> None:
    fits = fit_curves({"service": ["a", "a"], "load": [1, 2], "throughput": [10, 18]}, family="amdahl")
    found = fits.interval().loc["a"]
    assert found.loc["alpha"].tolist() == [0.0, 1.0]
    assert found.loc["peak_throughput"].tolist() == [0.0, np.inf]


def test_every_problem_is_told_at_once() -> None:
    points = pd.DataFrame(
        {"service": ["a", "a", None, "b"], "load": [0.0, 1.0, 2.0, np.nan], "throughput": [1.0, -1.0, 2.0, "x"]}
    )
    with pytest.raises(InputError) as told:
        fit_curves(points)
    assert [p.where for p in told.value.problems] == [
        "load[0]",
        "load[3]",
        "throughput[1]",
        "throughput[3]",
        "service[2]",
    ]
    with pytest.raises(InputError, match="no such column"):
        fit_curves({"service": ["a"], "load": [1.0]})
    with pytest.raises(InputError, match="throughput of b"):
        fit_curves({"service": ["a", "b"], "load": [1, 1], "throughput": [1, 0]})
    with pytest.raises(InputError, match="load of a"):
        fit_curves({"service": ["a", "a"], "load": [1, 1], "throughput": [5, 5]}, family="usl")
    with pytest.raises(InputError, match="columns of one length"):
        fit_curves({"service": ["a", "b"], "load": [1], "throughput": [5, 5]})
    with pytest.raises(UsageError, match="did you mean 'a'"):
        fit_curves({"service": ["a"], "load": [1], "throughput": [5]})["aa"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-6, 9), st.sampled_from(["linear", "amdahl", "usl", "pool", "mmc"]))
def test_units_do_not_matter(seed: int, power: float, family: str) -> None:
    points = simulated(seed=seed, services=3)
    other = points.assign(throughput=points["throughput"] * 10.0**power)
    own, moved = fit_curves(points, family=family), fit_curves(other, family=family)
    finite = np.isfinite(own.peak_throughput)
    assert (np.isfinite(moved.peak_throughput) == finite).all()
    np.testing.assert_allclose(moved.peak_throughput[finite] / 10.0**power, own.peak_throughput[finite], rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_small_systems_are_solved_and_held_parameters_stay(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((5, size, size))
    matrix = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(size)
    right, held = rng.standard_normal((5, size)), rng.random((5, size)) < 0.3
    moved = solve_held(matrix.transpose(1, 2, 0), right.T.copy(), held.T, damping=0.0).T
    for k in range(5):
        free = ~held[k]
        expected = np.zeros(size)
        expected[free] = np.linalg.solve(matrix[k][np.ix_(free, free)], right[k][free])
        np.testing.assert_allclose(moved[k], expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_slopes_are_the_derivatives(family: str) -> None:
    one = FAMILIES[family]
    theta = np.array([{**TRUTHS, "utilization": [0.004, 0.03]}[family]])
    load = (LOADS / (80 if family == "utilization" else 1) + 0.1)[None]
    exact = one.slopes(theta, load, one.rough(theta, load))
    for k in range(theta.shape[1]):
        step = 1e-5 * theta[0, k]
        up, down = theta.copy(), theta.copy()
        up[0, k] += step
        down[0, k] -= step
        numeric = (one.rough(up, load) - one.rough(down, load)) / (2 * step)
        np.testing.assert_allclose(exact[k], numeric, rtol=2e-2, atol=1e-3 * np.abs(numeric).max())


def test_table_of_the_queue_is_near_its_formula() -> None:
    rng, mmc = np.random.default_rng(0), FAMILIES["mmc"]
    theta = np.stack([np.exp(rng.uniform(0, 8, 300)), np.full(300, 0.1)], axis=1)
    load = np.exp(rng.uniform(-1, 9, (300, 12)))
    np.testing.assert_allclose(mmc.rough(theta, load), mmc.predict(theta, load), rtol=3e-4)


def test_a_search_that_is_done_leaves_the_stack() -> None:
    load = np.tile(LOADS, (3, 1))
    truth = np.array([[0.0, 0.0, 1.0], [0.05, 1e-4, 1.0], [1.0, 0.0, 1.0]])
    usl = FAMILIES["usl"]
    found = fit_batch(
        usl.predict, load, usl.predict(truth, load), start=np.tile([0.01, 1e-5, 0.5], (3, 1)), low=np.zeros(3),
        high=usl.high(load), slopes=usl.slopes,
    )  # fmt: skip
    np.testing.assert_allclose(found.parameters, truth, atol=1e-6)
