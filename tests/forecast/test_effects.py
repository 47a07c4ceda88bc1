"""The hierarchy of promotions against simulated events with known spread."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from capacity.forecast.effects import forecast_effects
from capacity.forecast.eventdays import event_days
from capacity.forecast.hierarchy import DAU_PRIOR, Observations

FIRST = np.datetime64("2022-01-01", "D")
NOW = 1400


def _event(day, kind):
    start = datetime.fromisoformat("2022-01-01T00:00") + timedelta(days=day)
    made = event_days(
        f"{kind}-{day}", kind, start, start + timedelta(days=1), intensity=1.0, first=FIRST, years_from=NOW
    )
    return [d for d in made if d.inside]


def _forecast(past, effects, kind="a", *, shifts=None, n_samples=4000, imagined=()):
    days = [d for day, k in past for d in _event(day, k)]
    n = len(days)
    seen = Observations(tuple(days), np.arange(n), np.asarray(effects, float), np.full(n, 1e-4), *np.zeros((3, n)))
    ahead = _event(NOW + 30, kind)
    return forecast_effects(
        seen,
        ahead,
        np.zeros(1, dtype=np.intp),
        1,
        np.zeros(1),
        prior=DAU_PRIOR,
        shifts=shifts or {},
        n_samples=n_samples,
        rng=np.random.default_rng(0),
        imagined=imagined,
    )


def _width(found):
    low, high = np.quantile(found.samples[:, 0], [0.05, 0.95])
    return high - low


def test_no_past_event_is_the_prior_and_very_wide():
    found = _forecast([], [])
    assert found.mean[0] == pytest.approx(DAU_PRIOR.uplift, abs=0.05)
    assert _width(found) > 1.2
    assert found.left_out == {}


def test_more_past_events_of_the_kind_narrow_and_move_to_them():
    many = [(1400 - 300 * k, "a") for k in range(1, 5)]
    widths = []
    for n in (0, 1, 4):
        found = _forecast(many[:n], [0.9] * n)
        widths.append(_width(found))
    assert widths[0] > 1.5 * widths[1] > 1.5 * widths[2]
    assert found.mean[0] == pytest.approx(0.9, abs=0.08)


def test_kinds_with_little_of_their_own_lean_on_the_others():
    others = [(1300 - 100 * k, f"kind{k}") for k in range(6)]
    found = _forecast(others, [1.2] * 6, kind="new")
    assert found.mean[0] > 0.9
    assert _width(found) < _width(_forecast([], []))


def test_spread_between_events_widens_the_forecast():
    past = [(1300 - 90 * k, "a") for k in range(8)]
    calm = _forecast(past, 0.6 + 0.01 * np.array([1, -1] * 4))
    wild = _forecast(past, 0.6 + 0.3 * np.array([1, -1] * 4))
    assert wild.event_sd > 2 * calm.event_sd
    assert _width(wild) > 2 * _width(calm)


def test_growth_over_the_years_is_carried_on():
    past = [(NOW - 365 * k, "a") for k in range(1, 4)]
    rising = _forecast(past, [1.0, 0.85, 0.7])
    assert rising.mean[0] > 0.95  # above the mean of 0.85 and its prior growth of 0.06


def test_lessons_move_a_kind_without_data_and_hardly_one_with_many():
    moved = _forecast([], [], shifts={"a": 0.2}).mean[0] - _forecast([], []).mean[0]
    # The day opens the promotion: its rush grows with the uplift, so that it moves a little more than a day without.
    assert 0.2 <= moved < 0.22
    past = [(1300 - 150 * k, "a") for k in range(7)]
    effects = [0.6] * 7
    after = _forecast(past, effects, shifts={"a": 0.2}).mean[0] - _forecast(past, effects).mean[0]
    assert 0 <= after < 0.05


@pytest.mark.parametrize("shock", [0.05, 0.15])
def test_intervals_of_events_hold_what_they_claim(shock):
    rng = np.random.default_rng(5)
    held, width = 0, 0.0
    n = 120
    for _ in range(n):
        kinds = {kind: rng.normal(0.6, 0.25) for kind in "abc"}
        past = [(NOW - 365 * year - 40 * k, kind) for year in (1, 2, 3) for k, kind in enumerate("abc")]
        found = _forecast(past, [kinds[kind] + rng.normal(0, shock) for _, kind in past], n_samples=500)
        low, high = np.quantile(found.samples[:, 0], [0.05, 0.95])
        width += high - low
        held += low <= kinds["a"] + rng.normal(0, shock) <= high
    assert held / n >= 0.83  # 0.90 less 2.6 standard errors
    assert width / n < 4 * (2 * 1.645 * shock * np.sqrt(4 / 3))  # the oracle knows spread, and that nothing grows


def _season(start, first_seen, *, effect, ahead):
    """A season of 32 days of which days from ``first_seen`` on are known, and the one after it."""

    def days(begin):
        start_at = datetime.fromisoformat("2022-01-01T00:00") + timedelta(days=begin)
        end_at = start_at + timedelta(days=32)
        made = event_days(str(begin), "a", start_at, end_at, intensity=1.0, first=FIRST, years_from=NOW)
        return [d for d in made if d.inside]

    past, coming = days(start)[first_seen:], days(ahead)
    n, h = len(past), len(coming)
    seen = Observations(
        tuple(past), np.arange(n), np.full(n, effect), np.full(n, 1e-3), np.full(n, 0.05), *np.zeros((2, n))
    )
    return forecast_effects(
        seen,
        coming,
        np.arange(h),
        h,
        np.zeros(h),
        prior=DAU_PRIOR,
        shifts={},
        n_samples=2000,
        rng=np.random.default_rng(0),
    )


@pytest.mark.parametrize("effect", [0.0, 0.3, 0.8])
def test_days_never_seen_are_centred_on_those_seen_and_wider(effect):
    found = _season(1000, 23, effect=effect, ahead=NOW + 20)
    middle, low, high = np.quantile(found.samples, [0.5, 0.05, 0.95], axis=0)
    np.testing.assert_allclose(middle[:8], middle[23:31].mean(), atol=0.15)  # no opening rush, and no dip
    assert middle[23:31].mean() == pytest.approx(effect, abs=0.1)
    assert ((high - low)[:8] > 1.3 * (high - low)[23:31].mean()).all()


def test_a_season_seen_from_its_begin_keeps_its_shape():
    found = _season(1000, 0, effect=0.3, ahead=NOW + 20)
    np.testing.assert_allclose(found.mean[:31], 0.3, atol=0.1)
    low, high = np.quantile(found.samples, [0.05, 0.95], axis=0)
    assert (high - low).max() < 1.5 * (high - low).min()


def test_an_ordinary_course_not_known_well_teaches_less():
    past = [d for day in (1300, 1000) for d in _event(day, "a")]
    ahead = _event(NOW + 30, "a")

    def mean(shared_sd):
        seen = Observations(
            tuple(past), np.arange(2), np.ones(2), np.full(2, 1e-4), np.full(2, shared_sd), *np.zeros((2, 2))
        )
        rng = np.random.default_rng(0)
        return forecast_effects(
            seen, ahead, np.zeros(1, dtype=np.intp), 1, np.zeros(1), prior=DAU_PRIOR, shifts={}, n_samples=2000, rng=rng
        )

    sure, unsure = mean(0.0), mean(0.5)
    assert DAU_PRIOR.uplift < unsure.mean[0] < sure.mean[0] < 1.05
    assert _width(unsure) > 1.3 * _width(sure)


def test_left_out_errors_are_those_of_really_leaving_events_out():
    past = [(NOW - 365, "a"), (NOW - 730, "a"), (NOW - 500, "b")]
    effects = [0.7, 0.5, 0.9]
    found = _forecast(past, effects)
    assert set(found.left_out) == {f"{kind}-{day}" for day, kind in past}
    assert found.left_out[f"a-{NOW - 365}"][0] > 0 > found.left_out[f"a-{NOW - 730}"][0]


def test_weights_are_how_far_the_forecast_follows_each_promotion():
    past = [(NOW - 365 * k, "a") for k in (1, 2, 3)] + [(NOW - 200 * k, "b") for k in (1, 2, 3)]
    effects = np.array([0.62, 0.6, 0.58, 0.9, 0.9, 0.9])
    found = _forecast(past, effects)
    weights = [found.follows[f"{kind}-{day}"][0] for day, kind in past]
    step = 0.005
    for place, weight in enumerate(weights):
        moved = effects + step * (np.arange(len(effects)) == place)
        # The spreads are learnt from the same effects, so that the derivative is not the weight alone.
        assert (_forecast(past, moved).mean[0] - found.mean[0]) / step == pytest.approx(weight, abs=0.06)
    assert sum(weights[:3]) > 0.7 > 0.2 > abs(sum(weights[3:]))
    # Days covered in full: one observation each, followed as far as kinds of unlike uplift lie in their promotions.
    np.testing.assert_allclose(found.gain[0], weights, rtol=0.02)


def test_without_a_past_promotion_nothing_is_followed():
    found = _forecast([], [])
    assert found.follows == {}
    assert found.gain.shape == (1, 0)


def test_sources_add_up_to_the_variance_of_the_samples():
    past = [(NOW - 300 * k, "a") for k in range(1, 5)]
    found = _forecast(past, [0.5, 0.62, 0.45, 0.7], n_samples=40_000)
    assert found.sources.total[0] == pytest.approx(found.samples[:, 0].var(), rel=0.05)
    alone = _forecast([], [], n_samples=40_000)
    assert alone.sources.kind[0] > 0.7 * alone.sources.total[0]
    many = _forecast([(NOW - 90 * k, "a") for k in range(1, 13)], [0.5, 0.7] * 6)
    assert many.sources.event[0] > many.sources.kind[0]


@pytest.mark.parametrize("n_past", [0, 1, 3])
def test_what_one_more_promotion_would_narrow_is_what_it_does(n_past):
    past = [(NOW - 365 * k, "a") for k in range(1, n_past + 1)]
    # Other kinds pin the spread between promotions, which the imagined one does not teach.
    past += [(NOW - 100 - 120 * k, kind) for k in range(6) for kind in "bc"]
    effects = [0.6] * n_past + [0.5, 0.9] * 6
    more = (NOW - 365 * (n_past + 1), "a")
    imagined = _event(*more)
    told = _forecast(past, effects, imagined=imagined)
    assert told.one_more[0] <= told.sources.total[0]
    seen = _forecast([*past, more], [*effects, 0.6])
    assert np.sqrt(told.one_more[0]) == pytest.approx(np.sqrt(seen.sources.total[0]), rel=0.12)
    np.testing.assert_allclose(told.samples, _forecast(past, effects).samples, rtol=1e-9)


def test_a_share_that_limits_hid_is_one_doubt_for_all_days():
    days = [d for day in (1300, 1000, 700) for d in _event(day, "a")]
    ahead = _event(NOW + 30, "a")

    def spread(hidden_sd, *, apart=False):
        variance = np.full(3, 1e-4 + apart * hidden_sd**2)
        hidden = np.full(3, 0.0 if apart else hidden_sd)
        seen = Observations(tuple(days), np.arange(3), np.full(3, 0.6), variance, np.zeros(3), hidden, np.zeros(3))
        rng = np.random.default_rng(0)
        row = np.zeros(1, dtype=np.intp)
        found = forecast_effects(seen, ahead, row, 1, np.zeros(1), prior=DAU_PRIOR, shifts={}, n_samples=200, rng=rng)
        return found.sources.total[0]

    assert spread(0.15) > spread(0.15, apart=True) > spread(0.0)
