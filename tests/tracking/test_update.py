"""The projection's core against closed forms: conditional normals, and what must never move."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.journal import Journal
from capacity.tracking.anomalies import Anomaly
from capacity.tracking.record import entries_of, open_alerts
from capacity.tracking.update import settle_levels, update_peaks

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)


@given(slope=st.floats(0.2, 1.5), noise=st.floats(0.02, 0.3), seen=st.floats(-0.5, 0.5))
def test_of_normals_it_is_the_conditional(slope: float, noise: float, seen: float) -> None:
    """log peak = slope · log level + noise: known levels leave mean slope · seen and the noise alone."""
    rng = np.random.default_rng(7)
    x, e = rng.normal(0, 0.3, 20_000), rng.normal(0, noise, 20_000)
    x, e = x - x.mean(), e - e.mean()
    e -= x * (x * e).mean() / (x**2).mean()
    level, peak = np.exp(x)[:, None], np.exp(slope * x + e)[:, None]
    moved = np.log(update_peaks(level, peak, np.array([np.exp(seen)]), misfit=0.0, seed=1))[:, 0]
    assert moved.mean() == pytest.approx(slope * seen, abs=0.01)
    assert moved.std() == pytest.approx(noise, rel=0.05)


def test_doubt_about_the_ratio_widens_and_weakens() -> None:
    rng = np.random.default_rng(3)
    level = np.exp(rng.normal(0, 0.2, (4000, 1)))
    peak, seen = 3.0 * level, np.array([1.5])
    moved = [np.log(update_peaks(level, peak, seen, misfit=misfit, seed=2)) for misfit in (0.01, 0.2, 1.0)]
    middles, widths = [m.mean() for m in moved], [m.std() for m in moved]
    assert middles[0] > middles[1] > middles[2] > np.log(3.0)
    assert widths[0] < widths[1] < widths[2] <= np.log(peak).std() * 1.05


def test_what_is_not_known_moves_nothing() -> None:
    rng = np.random.default_rng(1)
    level, peak = rng.uniform(1, 2, (50, 4)), rng.uniform(2, 3, (50, 3, 4))
    peak[:, 1] = np.nan
    seen = np.array([np.nan, 0.0, 1.5, 1.5])
    level[3, 2] = 0.0
    moved = update_peaks(level, peak, seen, misfit=0.1, seed=0)
    assert np.array_equal(moved[:, :, :3], peak[:, :, :3], equal_nan=True)
    assert np.isnan(moved[:, 1]).all()
    assert not np.allclose(moved[:, 0, 3], peak[:, 0, 3])


@given(weight=st.floats(0, 1), ratio=st.floats(-1, 2))
def test_settled_levels_stand_to_peaks_as_history_had_it(weight: float, ratio: float) -> None:
    rng = np.random.default_rng(5)
    level, peak = rng.uniform(1, 2, (60, 2)), rng.uniform(2, 4, (60, 2))
    own = np.log(peak / level).mean(0)
    settled = settle_levels(level, peak, np.array([ratio, np.nan]), weight=weight)
    assert np.log(peak / settled).mean(0)[0] == pytest.approx(own[0] + weight * (ratio - own[0]))
    assert np.array_equal(settled[:, 1], level[:, 1])


@given(rounds=st.lists(st.sets(st.sampled_from(["a", "b", "c"])), min_size=1, max_size=6))
def test_the_journal_opens_and_ends_each_alert_once(rounds: list[set[str]]) -> None:
    journal = Journal(timezone="UTC")
    now_open: set[str] = set()
    for number, names in enumerate(rounds):
        found = [Anomaly("slow", name, True, "x") for name in sorted(names)]
        now = NOW + timedelta(minutes=number)
        new = entries_of(found, journal, now=now, timezone="UTC")
        assert {one.service for one in new if one.kind == "alert"} == names - now_open
        assert {one.service for one in new if one.kind == "note"} == now_open - names
        journal = Journal((*journal.entries, *new), timezone="UTC")
        now_open = set(names)
        assert {service for _, service in open_alerts(journal)} == now_open
        assert entries_of(found, journal, now=now, timezone="UTC") == (), "the same look again adds nothing"
    assert all(
        one.kind == "alert"
        for one in entries_of([Anomaly("silent", "", True, "x")], journal, now=NOW, timezone="UTC", watched=False)
    )
