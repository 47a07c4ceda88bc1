"""The engine against simulated panels whose parameters are known."""

import numpy as np
import pandas as pd
import pytest

from capacity.errors import InputError, NotCoveredError
from capacity.forecast import forecast_panel

DAYS, AHEAD = 800, 42
DATES = pd.date_range("2023-01-02", periods=DAYS + AHEAD)
EVENTS = pd.DataFrame([{"kind": "sale", "starts_on": d, "ends_on": d + pd.Timedelta(days=2)} for d in DATES[5::35]])
UPLIFT = np.array([0.6, 0.4, 0.3])


def _panel(seed, n_series=20, *, additive=False):
    rng = np.random.default_rng(seed)
    t = np.arange(DAYS + AHEAD)
    week = np.array([0.1, 0, 0, 0, 0, -0.1, 0.2])[t % 7]
    event = np.zeros(len(t))
    for start in range(5, len(t), 35):
        event[start : start + 3] += UPLIFT[: len(t) - start]
    shape = (n_series, len(t))
    level = rng.normal(6, 1, (n_series, 1)) + np.cumsum(rng.normal(0, 0.005, shape), axis=1)
    scale = rng.normal(1, 0.1, (n_series, 1))
    logs = level + week + scale * event + 0.1 * np.sin(2 * np.pi * t / 365.25)
    if additive:
        values = np.exp(logs) + np.exp(level) * 0.06 * rng.standard_t(6, shape)
        values = np.maximum(values, 0)
    else:
        values = np.exp(logs + rng.normal(0, 0.06, shape))
    return values


def _frame(values, days=DAYS):
    names = [f"s{k:02d}" for k in range(len(values))]
    return pd.DataFrame(
        {
            "date": np.tile(DATES[:days], len(values)),
            "series": np.repeat(names, days),
            "value": values[:, :days].ravel(),
        }
    )


@pytest.fixture(scope="module")
def values():
    return _panel(0)


@pytest.fixture(scope="module")
def forecast(values):
    return forecast_panel(_frame(values), events=EVENTS, horizon=AHEAD, quantiles=[0.05, 0.5, 0.95], n_samples=400)


def test_known_event_effects_are_recovered(forecast):
    parts = forecast.components
    first = parts[parts["date"].isin(EVENTS["starts_on"])]
    assert first["event"].mean() == pytest.approx(0.6, abs=0.03)
    second = parts[parts["date"].isin(EVENTS["starts_on"] + pd.Timedelta(days=1))]
    assert second["event"].mean() == pytest.approx(0.4, abs=0.03)


def test_components_add_up_on_the_log_scale(forecast):
    parts = forecast.components
    total = parts[["level", "season", "holiday", "event"]].sum(axis=1)
    np.testing.assert_allclose(np.exp(total) - parts["offset"], forecast.quantiles[0.5], rtol=1e-9)


def test_day_one_follows_the_panels_last_date(forecast):
    assert forecast.dates[0] == DATES[DAYS]
    assert len(forecast.quantiles) == 20 * AHEAD
    assert forecast.samples.shape == (400, 20, AHEAD)


def test_quantiles_do_not_cross_and_agree_with_samples(forecast):
    q = forecast.quantiles
    assert (q[0.05] < q[0.5]).all()
    assert (q[0.5] < q[0.95]).all()
    middle = np.quantile(forecast.samples, 0.5, axis=0).ravel()
    assert np.median(np.abs(middle / q[0.5] - 1)) < 0.02


@pytest.mark.parametrize("additive", [False, True])
def test_intervals_hold_what_they_claim_in_two_families(additive):
    held, error, volume = [], 0.0, 0.0
    for seed in range(6):
        truth = _panel(seed, additive=additive)
        found = forecast_panel(_frame(truth), events=EVENTS, horizon=AHEAD, quantiles=[0.05, 0.5, 0.95])
        actual = truth[:, DAYS:].ravel()
        q = found.quantiles
        held.append(((actual >= q[0.05]) & (actual <= q[0.95])).mean())
        error += np.abs(actual - q[0.5]).sum()
        volume += actual.sum()
    assert 0.86 < np.mean(held) < 0.95
    assert error / volume < 0.07  # the noise alone makes 0.048


def test_total_is_narrower_than_the_sum_of_the_parts_intervals(forecast):
    summed = forecast.quantiles.groupby("date")[[0.05, 0.95]].sum()
    total = forecast.total_quantiles.set_index("date")
    assert (total[0.95] - total[0.05] < summed[0.95] - summed[0.05]).all()


def test_totals_of_many_series_agree_with_samples():
    truth = _panel(1, 60)
    found = forecast_panel(_frame(truth), events=EVENTS, horizon=7, quantiles=[0.1, 0.5, 0.9], n_samples=2000)
    direct = forecast_panel(_frame(truth), events=EVENTS, horizon=7, quantiles=[0.1, 0.5, 0.9])
    np.testing.assert_allclose(
        found.total_quantiles[[0.1, 0.5, 0.9]], direct.total_quantiles[[0.1, 0.5, 0.9]], rtol=0.03
    )


def test_closed_days_are_zero_and_teach_nothing(values):
    shut = pd.DataFrame({"date": DATES[6::7], "series": "s00"})
    frame = _frame(values)
    frame.loc[(frame["series"] == "s00") & frame["date"].isin(shut["date"]), "value"] = 0.0
    found = forecast_panel(frame, events=EVENTS, closed=shut, horizon=AHEAD, quantiles=[0.05, 0.5])
    own = found.quantiles[found.quantiles["series"] == "s00"]
    inside = own["date"].isin(shut["date"])
    assert (own.loc[inside, [0.05, 0.5]] == 0).all(axis=None)
    assert own.loc[~inside, 0.5].min() > 0.5 * np.median(values[0, -100:])


def test_missing_days_are_unknown_not_zero(values):
    frame = _frame(values)
    rng = np.random.default_rng(0)
    some = forecast_panel(frame[rng.random(len(frame)) > 0.2], events=EVENTS, horizon=14, quantiles=[0.5])
    full = forecast_panel(frame, events=EVENTS, horizon=14, quantiles=[0.5])
    assert np.abs(some.quantiles[0.5] / full.quantiles[0.5] - 1).mean() < 0.03


def test_outliers_do_not_wreck_the_level(values):
    broken = values.copy()
    broken[:, DAYS - 3] *= 20
    frame = _frame(broken)
    plain = forecast_panel(_frame(values), events=EVENTS, horizon=7, quantiles=[0.5]).quantiles[0.5]
    assert (
        np.abs(forecast_panel(frame, events=EVENTS, horizon=7, quantiles=[0.5]).quantiles[0.5] / plain - 1).mean()
        < 0.05
    )


def test_same_seed_same_bytes(values):
    runs = [
        forecast_panel(_frame(values), events=EVENTS, horizon=5, quantiles=[0.5], n_samples=10, seed=4)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(runs[0].samples, runs[1].samples)
    pd.testing.assert_frame_equal(runs[0].total_quantiles, runs[1].total_quantiles)


def test_events_of_single_series_move_only_those(values):
    coming = pd.DataFrame(
        [{"kind": "sale", "starts_on": DATES[DAYS + 20], "ends_on": DATES[DAYS + 20], "series": "s03"}]
    )
    with_it = forecast_panel(_frame(values), events=pd.concat([EVENTS, coming]), horizon=AHEAD, quantiles=[0.5])
    without = forecast_panel(_frame(values), events=EVENTS, horizon=AHEAD, quantiles=[0.5])
    ratio = (with_it.quantiles[0.5] / without.quantiles[0.5])[with_it.quantiles["date"] == DATES[DAYS + 20]]
    moved = ratio.to_numpy()
    assert moved[3] > 1.3
    np.testing.assert_allclose(np.delete(moved, 3), 1, atol=0.02)


@pytest.mark.parametrize("days", [1, 3, 10, 40])
def test_thin_history_answers_finitely(days):
    found = forecast_panel(_frame(_panel(0, 2), days), events=None, horizon=7, quantiles=[0.05, 0.5, 0.95])
    assert np.isfinite(found.quantiles[[0.05, 0.5, 0.95]]).all(axis=None)


def test_all_zero_series_is_forecast_as_zero():
    values = np.vstack([_panel(0, 1), np.zeros((1, DAYS + AHEAD))])
    found = forecast_panel(_frame(values), events=None, horizon=7, quantiles=[0.5])
    assert (found.quantiles.loc[found.quantiles["series"] == "s01", 0.5] < 1e-6).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.drop(columns="value"), "value"),
        (lambda f: f.assign(value=-1.0), "negative"),
        (lambda f: f.assign(value=np.inf), "finite"),
        (lambda f: pd.concat([f, f.head(3)]), "3 rows repeat"),
        (lambda f: f.head(0), "0 rows"),
        (lambda f: f.assign(date="yesterday"), "date"),
    ],
)
def test_broken_history_is_told(values, change, says):
    with pytest.raises(InputError, match=says):
        forecast_panel(change(_frame(values[:2])), events=None, horizon=7, quantiles=[0.5])


def test_nothing_known_is_not_covered():
    frame = _frame(_panel(0, 1)).assign(value=np.nan)
    with pytest.raises(NotCoveredError):
        forecast_panel(frame, events=None, horizon=7, quantiles=[0.5])


@pytest.mark.parametrize("quantiles", [[], [0.0], [1.2]])
def test_impossible_quantiles_are_told(values, quantiles):
    with pytest.raises(InputError, match="quantiles"):
        forecast_panel(_frame(values[:1]), events=None, horizon=7, quantiles=quantiles)


@pytest.mark.parametrize("noise", [0.0, 1e-5, 1e-3])
@pytest.mark.parametrize(("days", "n_series"), [(125, 1), (300, 2), (500, 60)])
def test_series_that_hardly_move_are_forecast_as_they_are(noise, days, n_series):
    rng = np.random.default_rng(0)
    values = 1e5 * np.exp(noise * rng.standard_normal((n_series, days)))
    found = forecast_panel(_frame(values, days), events=EVENTS, horizon=AHEAD, quantiles=[0.01, 0.5, 0.99]).quantiles
    np.testing.assert_allclose(found[0.5], 1e5, rtol=0.02)
    assert found[0.99].max() < 1.5e5
    assert found[0.01].min() > 0.6e5


def test_a_series_of_zeros_is_forecast_near_zero_beside_others(values):
    beside = values[:4, :400].copy()
    beside[0] = 0.0
    found = forecast_panel(_frame(beside, 400), events=EVENTS, horizon=AHEAD, quantiles=[0.5, 0.99]).quantiles
    assert found.loc[found["series"] == "s00", 0.99].max() < 0.1
