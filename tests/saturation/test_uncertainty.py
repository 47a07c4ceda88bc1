"""Intervals of curves: what they hold, where they widen, and what they say when nothing is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.errors import InputError
from capacity.saturation import fit_curve
from capacity.saturation.families import COMPETING, FAMILIES

LOAD = np.array([1, 2, 4, 8, 12, 16, 20, 24, 32, 48.0])
TRUTHS = {
    "linear": (12.5,),
    "amdahl": (0.08, 9.0),
    "usl": (0.03, 2e-4, 40.0),
    "pool": (16.0, 0.1, 0.00015),
    "mmc": (12.0, 0.05),
}


def curve(family: str, load=LOAD) -> np.ndarray:  # type: ignore[no-untyped-def]
    return FAMILIES[family].predict(np.array([TRUTHS[family]]), np.asarray(load, dtype=float)[None, :])[0]


@pytest.mark.parametrize("noise", ["even", "relative"])
def test_predictions_hold_the_true_curve_in_nine_of_ten(noise: str) -> None:
    rng, inside = np.random.default_rng(4), []
    for k in range(40):
        family = COMPETING[k % len(COMPETING)]
        x = curve(family)
        z = 0.02 * rng.standard_normal(len(x))
        fit = fit_curve(LOAD, np.maximum(x + z * (x.max() if noise == "even" else x), 0.0))
        found = fit.predict_interval([10.0, 40.0], n=120, seed=k)
        truth = curve(family, [10.0, 40.0])
        inside.append((found["low"].to_numpy() <= truth) & (truth <= found["high"].to_numpy()))
    assert 0.8 <= np.mean(inside) <= 0.97


def test_below_the_knee_the_curve_may_bend_or_go_on() -> None:
    load = np.array([1, 2, 4, 6, 8, 10, 12.0])
    x = load * 10 * (1 + 0.004 * np.array([1, -1, 1, 0, -1, 1, -1]))
    found = fit_curve(load, x).predict_interval([24.0]).loc[24.0]
    assert found["low"] < 145.0
    assert found["high"] > 230.0


def test_a_plateau_that_was_seen_is_known_and_not_the_load_of_its_peak() -> None:
    rng = np.random.default_rng(1)
    fit = fit_curve(LOAD, curve("pool") * np.exp(0.01 * rng.standard_normal(len(LOAD))))
    peak = fit.peak_interval(level=0.9)
    low, high = peak.loc["peak_throughput"]
    assert low <= curve("pool", [16.0])[0] <= high
    assert high / low < 1.15
    assert list(peak.index) == ["peak_load", "peak_throughput"]


def test_nothing_bounds_the_peak_of_a_line() -> None:
    peak = fit_curve(LOAD, curve("linear"), family="linear").peak_interval()
    assert np.isinf(peak.to_numpy()).all()


@pytest.mark.parametrize("family", [*COMPETING, "utilization"])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e12])
def test_data_without_noise_give_a_narrow_interval_round_the_truth(family: str, unit: float) -> None:
    load, truth = (LOAD, TRUTHS[family]) if family != "utilization" else (LOAD / 60 + 0.05, (0.004, 0.03))
    family_ = FAMILIES[family]
    scaled = np.array([truth]) * unit ** np.array(family_.scale_power, dtype=float)
    found = fit_curve(load, family_.predict(scaled, load[None, :])[0], family=family).interval(0.9, n=200)
    # A float's last digit is 2e-16 of its value; a search ends a little before it.
    slack = 1e-12 * np.abs(scaled[0])
    assert (found["low"] <= scaled[0] + slack).all()
    assert (found["high"] >= scaled[0] - slack).all()
    assert (found["high"] / found["low"] < 1 + 1e-3).all()


def test_as_many_points_as_parameters_say_nothing() -> None:
    fit = fit_curve([1, 4, 16], [10, 35, 80], family="usl")
    assert fit.predict([1, 4, 16]) == pytest.approx([10, 35, 80], rel=1e-6)
    assert fit.predict_interval([4.0]).iloc[0].tolist() == [0.0, np.inf]
    assert fit.peak_interval().loc["peak_throughput"].tolist() == [0.0, np.inf]


def test_three_points_that_bend_are_not_taken_for_a_line() -> None:
    fit = fit_curve([1, 4, 16], [10, 35, 80])
    assert fit.family == "amdahl"
    assert fit.misfit < 0.05
    assert np.isfinite(fit.interval().to_numpy()).all()


def test_a_step_that_served_nothing_widens_and_does_not_break() -> None:
    whole = fit_curve([1, 2, 4, 8, 16], [10, 20, 40, 70, 100])
    holed = fit_curve([1, 2, 4, 8, 16], [10, 20, 0, 70, 100])
    width = [np.ptp(f.predict_interval([8.0]).to_numpy()) for f in (whole, holed)]
    assert np.isfinite(width).all()
    assert width[1] > 2 * width[0]


def test_levels_nest_and_are_checked() -> None:
    fit = fit_curve(LOAD, curve("usl") * (1 + 0.02 * np.sin(LOAD)))
    for ask in (fit.interval, lambda level: fit.predict_interval([8.0, 64.0], level=level)):
        narrow, wide = ask(0.5), ask(0.95)
        assert (wide["low"] <= narrow["low"]).all()
        assert (narrow["high"] <= wide["high"]).all()
    with pytest.raises(InputError, match="between 0 and 1"):
        fit.predict_interval([8.0], level=90)


def test_published_sets_have_finite_intervals(shared_data) -> None:  # type: ignore[no-untyped-def]
    data = pd.read_csv(shared_data / "published_saturation.csv")
    for _, rows in data.groupby("dataset"):
        for family in (None, *COMPETING):
            fit = fit_curve(rows["load"], rows["throughput"], family=family)
            found = fit.predict_interval(fit.load)
            assert np.isfinite(found.to_numpy()).all()
            if family is None:
                held = (found["low"].to_numpy() <= fit.throughput) & (fit.throughput <= found["high"].to_numpy())
                assert held.mean() >= 0.7


@settings(max_examples=6, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.5, 1e4), st.floats(0.0, 1e9, allow_subnormal=False)), min_size=1, max_size=10
    ).filter(lambda points: any(y > 0 for _, y in points)),
    st.sampled_from([None, "linear"]),
)
def test_any_points_give_ordered_intervals(points: list[tuple[float, float]], family: str | None) -> None:
    load, throughput = (list(v) for v in zip(*points, strict=True))
    fit = fit_curve(load, throughput, family=family)
    for found in (fit.interval(n=50), fit.predict_interval([0.5, 2e4], n=50), fit.peak_interval(n=50)):
        assert not np.isnan(found.to_numpy()).any()
        assert (found["low"] <= found["high"]).all()
