"""Numeric cores against closed forms and simulated parameters."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.peaks.burst import draw_largest_normal, estimate_dispersion
from capacity.peaks.concentration import Concentration, learn_concentration
from capacity.peaks.events import EventDraws, draw_event, predict_event, shared_correlation
from capacity.peaks.evidence import minute_grid
from capacity.peaks.plateau import competing_minutes, largest_of_minutes
from capacity.peaks.priors import EventPrior
from capacity.peaks.propagate import Network, external_second
from capacity.peaks.shape import PastShape, cell_peaks, choose_minutes, complete, shares
from capacity.peaks.timeline import Cell, lay_out, past_day, past_minute
from capacity.peaks.volume import fit_rates, level_before, log_ratio

SHANGHAI = ZoneInfo("Asia/Shanghai")
PRIOR = EventPrior(loc=-4.5, loc_scale=0.7, kind_scale=0.45, event_scale=0.18, slope_scale=0.1)


def test_largest_of_sixty_normals_has_its_known_mean() -> None:
    draws = draw_largest_normal(np.random.default_rng(1).random(200_000), 60)
    assert draws.mean() == pytest.approx(2.319, abs=0.01)  # order statistics tables: E of the maximum of 60


def test_dispersion_is_recovered_from_peak_seconds() -> None:
    rng = np.random.default_rng(2)
    rate, phi = 4000.0, 0.004
    seconds = rate * (1 + np.sqrt(phi + 1 / rate) * rng.standard_normal((2000, 60)))
    found = estimate_dispersion(seconds.mean(1), seconds.max(1) / seconds.mean(1))
    assert float(found) == pytest.approx(phi, rel=0.1)


def test_dispersion_without_seconds_is_unknown() -> None:
    assert np.isnan(estimate_dispersion(np.ones(5), np.full(5, np.nan)))


@pytest.mark.parametrize(("n_events", "spread"), [(1, 0.18), (2, 0.1), (3, 0.25)])
def test_next_event_is_covered(n_events: int, spread: float) -> None:
    rng = np.random.default_rng(3)
    years = 2026.0 - np.arange(n_events, 0, -1)
    hits = []
    for _ in range(200):
        level = rng.normal(-4.5, 0.5, 3)
        shared, own = (
            rng.normal(0, spread * 0.6**0.5, (n_events + 1, 1)),
            rng.normal(0, spread * 0.4**0.5, (n_events + 1, 3)),
        )
        values = level + shared + own
        forecast = predict_event(
            values[:-1], years=years, own_kind=np.ones(n_events, bool), kinds=np.zeros(n_events, np.int64),
            target_year=2026.0, prior=PRIOR,
        )  # fmt: skip
        low, high = np.quantile(draw_event(forecast, EventDraws.of(400, 3, rng)), [0.05, 0.95], axis=0)
        hits.append((low <= values[-1]) & (values[-1] <= high))
    assert 0.85 <= np.mean(hits) <= 1.0


def test_more_events_narrow_and_none_is_the_prior() -> None:
    def spread(n: int) -> float:
        forecast = predict_event(
            np.full((n, 1), -4.0), years=2026.0 - np.arange(n, 0, -1), own_kind=np.ones(n, bool),
            kinds=np.zeros(n, np.int64), target_year=2026.0, prior=PRIOR,
        )  # fmt: skip
        return float(forecast.spread[0])

    spreads = [spread(n) for n in (0, 1, 2, 4)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > np.hypot(PRIOR.loc_scale, PRIOR.kind_scale)


def test_other_kinds_help_less_than_the_own() -> None:
    def spread(own: bool) -> float:
        forecast = predict_event(
            np.full((2, 1), -4.0), years=np.array([2024.0, 2025.0]), own_kind=np.full(2, own),
            kinds=np.zeros(2, np.int64), target_year=2026.0, prior=PRIOR,
        )  # fmt: skip
        return float(forecast.spread[0])

    assert spread(own=False) > 1.3 * spread(own=True)


def test_growth_over_the_years_is_followed_in_part() -> None:
    years = np.array([2022.0, 2023, 2024, 2025])
    values = (-4.0 + 0.1 * (years - 2025))[:, None] + np.zeros((1, 4))
    forecast = predict_event(
        values, years=years, own_kind=np.ones(4, bool), kinds=np.zeros(4, np.int64), target_year=2026.0, prior=PRIOR
    )
    assert -4.15 < float(forecast.mean[0]) < -3.9
    assert float(forecast.mean[0]) > values.mean() + 0.1


def test_shared_shocks_are_seen() -> None:
    rng = np.random.default_rng(4)
    shared = rng.normal(0, 1, (12, 1)) + rng.normal(0, 0.1, (12, 5))
    assert shared_correlation(shared, np.zeros(12, np.int64)) > 0.8
    assert shared_correlation(rng.normal(0, 1, (12, 5)), np.zeros(12, np.int64)) < 0.35


def test_samples_of_one_event_move_together() -> None:
    forecast = predict_event(
        np.zeros((0, 2)), years=np.zeros(0), own_kind=np.zeros(0, bool), kinds=np.zeros(0, np.int64),
        target_year=2026.0, prior=PRIOR,
    )  # fmt: skip
    draws = draw_event(forecast, EventDraws.of(20_000, 2, np.random.default_rng(5)))
    assert np.corrcoef(draws.T)[0, 1] == pytest.approx(forecast.correlation, abs=0.05)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**31 - 1))
@settings(max_examples=40, deadline=None)
def test_propagation_is_the_direct_sum(n_entries: int, n_services: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reach, rate = rng.random((n_entries, n_services)) * 3, rng.random((7, n_entries)) * 100
    none = np.zeros(n_entries)
    direct = np.array([[sum(r[e] * reach[e, s] for e in range(n_entries)) for s in range(n_services)] for r in rate])
    np.testing.assert_allclose(Network.of(reach).worst_second(rate, none, np.zeros((7, 1))), direct)


def test_sparse_and_dense_networks_agree() -> None:
    rng = np.random.default_rng(6)
    reach = np.where(rng.random((8, 100)) < 0.05, rng.random((8, 100)) * 3, 0.0)
    rate, phi, z = rng.random((5, 8)) * 1000, np.full(8, 0.01), rng.random((5, 1)) * 3
    dense = Network(reach, reach**2, reach + reach**2, reach + 3 * reach**2 + reach**3).worst_second(rate, phi, z)
    np.testing.assert_allclose(Network.of(reach).worst_second(rate, phi, z), dense)


def test_callers_worst_seconds_do_not_add_up() -> None:
    network = Network.of(np.array([[1.0, 0, 1.0], [0, 1.0, 1.0]]))
    worst = network.worst_second(np.array([[100.0, 100.0]]), np.full(2, 0.01), np.array([[2.3]]))[0]
    assert 200 < worst[2] < worst[0] + worst[1]


def test_simulated_seconds_of_a_callee_reach_the_predicted_worst() -> None:
    rng = np.random.default_rng(7)
    rate, phi = 500.0, 0.004
    common = rng.standard_normal((4000, 60, 1)) * 0.5**0.5
    noisy = rate * (1 + phi**0.5 * (common + rng.standard_normal((4000, 60, 2)) * 0.5**0.5))
    entry = rng.poisson(np.maximum(noisy, 0))
    callee = (2 * entry[:, :, 0] + entry[:, :, 1]).max(1)
    network = Network.of(np.array([[2.0], [1.0]]))
    predicted = network.worst_second(np.full((1, 2), rate), np.full(2, phi), np.array([[2.319]]))
    assert float(predicted[0, 0]) == pytest.approx(callee.mean(), rel=0.01)


def test_rates_are_recovered_from_history() -> None:
    rng = np.random.default_rng(8)
    dau = 1e6 * np.exp(rng.normal(0, 0.05, 400))
    dat = 0.05 * dau * np.exp(rng.normal(0, 0.2, 400))
    volume = np.stack([12 * dau + 3 * dat, 2 * dat, np.full(400, 5e5)], 1) * np.exp(rng.normal(0, 0.005, (400, 3)))
    found = fit_rates(volume, dau, dat)
    assert found[0, 0] == pytest.approx(12, rel=0.03)
    assert found[1, 1] == pytest.approx(2, rel=0.02)
    assert found[2, 2] == pytest.approx(5e5, rel=0.05)
    assert (found >= 0).all()


def test_rates_of_too_few_days_are_unknown() -> None:
    assert np.isnan(fit_rates(np.array([[1.0], [np.nan], [2.0]]), np.ones(3), np.ones(3))).all()


def test_level_looks_at_ordinary_days_before_only() -> None:
    day = np.arange(40)
    ratio = np.where(day < 30, 0.1, 9.0)[:, None]
    ordinary = np.ones(40, bool)
    ordinary[20] = False
    ratio[20] = 5.0
    assert float(level_before(ratio, day, ordinary, before=30)[0]) == pytest.approx(0.1)
    assert np.isnan(level_before(ratio, day, ordinary, before=2)[0])


def test_log_ratio_of_nothing_is_unknown() -> None:
    assert np.isnan(log_ratio(np.array([0.0, np.nan, 1.0]), np.array([1.0, 1.0, 0.0]))).all()


def test_days_have_their_own_length_where_clocks_change() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start, end = datetime(2026, 10, 24, 20, tzinfo=zone), datetime(2026, 10, 26, tzinfo=zone)
    line = lay_out(start, end, [("opening", start, start + timedelta(hours=2))], timezone="Europe/Berlin")
    assert [int((line.day == d).sum()) for d in range(2)] == [1440, 1500]
    assert line.duration_min == 29 * 60


def test_zone_of_the_workspace_decides_the_days() -> None:
    start = datetime(2026, 11, 10, 12, tzinfo=ZoneInfo("UTC"))
    line = lay_out(start, start + timedelta(hours=28), [], timezone="Asia/Shanghai")
    assert line.clock[line.tau == 0].tolist() == [20 * 60]
    assert line.touched.tolist() == [True, True]


@given(st.integers(60, 4000), st.integers(60, 4000))
@settings(max_examples=40, deadline=None)
def test_past_minutes_keep_order_start_and_end(duration: int, past: int) -> None:
    tau = np.arange(-100, duration + 100)
    mapped = past_minute(tau, duration, past)
    assert (np.diff(mapped) >= 0).all()
    assert mapped[100] == 0
    assert mapped[100 + duration] == past


def test_past_day_of_an_evening_start_is_the_evening() -> None:
    start = datetime(2026, 11, 10, 20, tzinfo=SHANGHAI)
    line = lay_out(start, datetime(2026, 11, 12, tzinfo=SHANGHAI), [], timezone="Asia/Shanghai")
    past = datetime(2025, 11, 10, 20, tzinfo=SHANGHAI)
    assert [past_day(line, d, past, 28 * 60).isoformat() for d in range(2)] == ["2025-11-10", "2025-11-11"]


def _line(hour: int = 20) -> object:
    start = datetime(2026, 11, 10, hour, tzinfo=SHANGHAI)
    return lay_out(
        start,
        datetime(2026, 11, 12, tzinfo=SHANGHAI),
        [("all", start, start + timedelta(hours=4))],
        timezone="Asia/Shanghai",
    )


def test_shares_of_a_day_add_up_to_one_and_ignore_its_volume() -> None:
    line = _line()
    rate = np.random.default_rng(9).random((2, line.size)) + 0.1
    rate[:, 100:120] = np.nan
    past = PastShape(rate, np.full_like(rate, 60.0), line.clock, line.day)
    found = shares(past, line, np.ones((2, 1440)), kappa=1.0)
    for day in range(2):
        np.testing.assert_allclose(found[:, line.day == day].sum(1), 1.0)
    doubled = PastShape(rate * 2, past.resolution_s, past.clock, past.day)
    np.testing.assert_allclose(shares(doubled, line, np.ones((2, 1440)), kappa=1.0), found)


def test_days_with_lost_logs_are_unknown() -> None:
    line = _line()
    rate = np.ones((1, line.size))
    rate[0, :300] = np.nan
    found = shares(PastShape(rate, np.full_like(rate, 60.0), line.clock, line.day), line, np.ones((1, 1440)), kappa=1.0)
    assert np.isnan(found[0, line.day == 0]).all()
    assert np.isfinite(found[0, line.day == 1]).all()


def test_a_moved_start_lies_between_multiplicative_and_clock_free() -> None:
    line = _line(hour=20)
    ordinary = 1 + 0.8 * np.sin(2 * np.pi * (np.arange(1440) - 840) / 1440)[None]
    past_clock = (line.clock + 240) % 1440  # the past one began at midnight
    rate = ordinary[:, past_clock] * np.where((line.tau >= 0) & (line.tau < 3), 10.0, 1.0)
    past = PastShape(rate, np.full_like(rate, 60.0), past_clock, line.day)
    peaks = [shares(past, line, ordinary, kappa=k)[0, line.tau == 0][0] for k in (0.0, 0.5, 1.0)]
    assert peaks == sorted(peaks)
    # κ = 1: ten times what the ordinary day has at 20:00.
    day = line.day == line.day[line.tau == 0][0]
    expected = (
        ordinary[0, 1200]
        * 10
        / (ordinary[0, line.clock[day]] * np.where((line.tau[day] >= 0) & (line.tau[day] < 3), 10, 1)).sum()
    )
    assert peaks[2] == pytest.approx(expected)


def test_hours_hide_the_busiest_minute() -> None:
    loc, scale = Concentration.prior(3).of_width(np.array([60.0, 300.0, 3600.0]), opening=True)
    assert loc[0] == scale[0] == 0.0
    assert 0 < loc[1] < loc[2]
    assert 0 < scale[1] < scale[2]


def test_concentration_is_learnt_where_minutes_are() -> None:
    tau = np.arange(-1440, 1440)
    rate = 1 + np.where(tau >= 0, 4 * np.exp(-np.maximum(tau, 0) / 10), 0.0)[None] * np.array([[1.0], [2.0]])
    fine = np.full(rate.shape, 60.0)
    found = learn_concentration([rate, rate], [fine, fine], tau, 2)
    truth = np.log(rate[:, 1440] / rate[:, 1440:1500].mean(1))
    np.testing.assert_allclose(found.loc[True], truth, atol=0.1)
    assert (found.scale[True] < Concentration.prior(2).scale[True]).all()
    blind = learn_concentration([rate], [np.full(rate.shape, 3600.0)], tau, 2)
    np.testing.assert_array_equal(blind.loc[True], Concentration.prior(2).loc[True])


def test_chosen_minutes_hold_every_entrys_maximum() -> None:
    profile = np.random.default_rng(10).random((4, 600))
    minutes = choose_minutes(profile, Cell(0, 0, 100, 500, False), blocks=6, limit=10)
    assert set(profile[:, 100:500].argmax(1) + 100) <= set(minutes.tolist())
    assert len(minutes) <= 10


@pytest.mark.parametrize("rate", [3.0, 40.0, 2000.0])
def test_worst_second_of_an_hour_of_counts(rate: float) -> None:
    rng = np.random.default_rng(11)
    minute = rate * (1 - 0.1 * np.linspace(-1, 1, 60) ** 2)  # a hill an hour wide
    worst = rng.poisson(np.repeat(minute, 60), (600, 3600)).max(1)
    n = competing_minutes(minute[:, None], np.array([29]), np.array([[rate**-0.5]]))
    z = largest_of_minutes(rng.random(4000), n[0])
    found = external_second(np.full((4000, 1), rate), np.zeros(1), z)
    assert float(np.median(found)) == pytest.approx(float(np.median(worst)), rel=0.03, abs=0.5)
    assert np.quantile(found, 0.95) == pytest.approx(np.quantile(worst, 0.95), rel=0.04, abs=0.9)  # counts are whole


def test_days_kept_in_part_are_completed_from_people() -> None:
    line = _line()
    rate = np.ones((1, line.size))
    rate[0, line.tau == 0] = 50.0
    volume = float(rate[0, line.day == 0].sum() * 60)
    kept = np.where(np.abs(line.tau) < 240, rate, np.nan)
    past = PastShape(
        kept, np.full_like(rate, 60.0), line.clock, line.day, {0: np.array([volume]), 1: np.array([volume])}
    )
    filled, noise = complete(past, np.ones((1, 1440)))
    np.testing.assert_allclose(filled[0, line.day == 0], rate[0, line.day == 0])
    assert (noise[0, line.day == 0] > 0).all()


def test_the_maximum_of_many_counts_is_not_taken_for_their_mean() -> None:
    line = _line()
    rng = np.random.default_rng(12)
    counts = rng.poisson(np.full((200, line.size), 20.0))
    past = PastShape(counts / 60, np.full(counts.shape, 60.0), line.clock, line.day)
    share = shares(past, line, np.ones((200, 1440)), kappa=1.0)
    found, _, wobble = cell_peaks(
        share, past, np.zeros(counts.shape), line, Cell(0, 0, 0, 1440, False), Concentration.prior(200)
    )
    assert np.median(found) == pytest.approx(np.log(1 / 1440), abs=0.1)
    assert np.median(wobble) < 0.1  # it is all counts


def test_any_interval_width_lands_on_minutes() -> None:
    import pandas as pd

    start = datetime(2026, 11, 10, 20, tzinfo=SHANGHAI)
    ts = [start + timedelta(seconds=s) for s in (*range(60), 60)] + [start + timedelta(minutes=5)]
    frame = pd.DataFrame({
        "ts": pd.to_datetime(ts), "service": "a", "interval_s": [1] * 60 + [60] + [300],
        "requests": [10] * 59 + [50] + [1200] + [6000], "peak_qps": [np.nan] * 60 + [40.0] + [np.nan],
    })  # fmt: skip
    grid = minute_grid(frame, start, 12, ["a", "b"])
    assert grid.rate[0, 0] == pytest.approx((59 * 10 + 50) / 60)
    assert grid.peak_qps[0, 0] == 50.0
    assert grid.rate[0, 1] == 20.0
    assert grid.peak_qps[0, 1] == 40.0
    assert np.isnan(grid.rate[0, 2:5]).all()
    np.testing.assert_allclose(grid.rate[0, 5:10], 20.0)
    assert (grid.width_s[0, 5:10] == 300).all()
    assert np.isnan(grid.rate[1]).all()
