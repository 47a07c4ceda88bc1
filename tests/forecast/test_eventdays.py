"""Event days: aligned on the start instant, counted by the share of the day they cover."""

from datetime import datetime

import numpy as np
import pytest

from capacity.forecast.eventdays import MAIN, OPENING, PART, event_days, share_of_day, terms

FIRST = np.datetime64("2026-11-01", "D")


def _days(start, end):
    begins, ends = datetime.fromisoformat(start), datetime.fromisoformat(end)
    return event_days("p", "k", begins, ends, intensity=1.0, first=FIRST, years_from=0)


def test_midnight_opening_covers_whole_days():
    inside = [d for d in _days("2026-11-11T00:00", "2026-11-12T00:00") if d.inside]
    assert [d.day for d in inside] == [10]
    assert inside[0].cover == pytest.approx(1)
    assert inside[0].blocks[0] == pytest.approx(1)


def test_evening_opening_covers_four_hours_and_splits_the_next_day_at_twenty_four_hours():
    first, second = (d for d in _days("2026-11-10T20:00", "2026-11-12T00:00") if d.inside)
    assert first.cover == pytest.approx(share_of_day(20, 24))
    assert first.opens_late == pytest.approx(1 - first.cover)
    assert second.cover == pytest.approx(1)
    assert second.blocks[0] == pytest.approx(share_of_day(0, 20))
    assert second.blocks[1] == pytest.approx(share_of_day(20, 24))


def test_days_beside_count_from_the_ends():
    days = {d.day: d.side for d in _days("2026-11-10T20:00", "2026-11-12T00:00") if not d.inside}
    assert days[8] == 0  # the day before
    assert days[11] == 4  # the day after
    assert days[9 - 4] == 2
    assert max(days) == 10 + 7


def test_part_of_a_day_multiplies_volume_by_its_share():
    days = _days("2026-11-10T20:00", "2026-11-12T00:00")
    uplift = 3.0
    phi, known = terms(days, uplift={"": uplift}, rush={"": 0.0}, weekday=np.zeros(len(days)))
    cover = np.array([d.cover for d in days])
    effect = known + phi[:, MAIN].sum(axis=1) * np.log1p(uplift)
    np.testing.assert_allclose(effect, np.log1p(cover * uplift), atol=1e-9)
    # A little stronger promotion moves each day by the slope, evenings less than full days.
    stronger = known + phi[:, MAIN].sum(axis=1) * (np.log1p(uplift) + 0.01)
    np.testing.assert_allclose(stronger, np.log1p(cover * (np.exp(np.log1p(uplift) + 0.01) - 1)), atol=1e-4)
    assert (phi[:, PART] > 0).sum() == 1


def test_the_opening_rush_is_the_same_amount_at_midnight_and_in_the_evening():
    uplift, rush = {"": 3.0}, {"": 0.5}
    added = []
    for start, end in (("2026-11-10T20:00", "2026-11-12T00:00"), ("2026-11-11T00:00", "2026-11-12T00:00")):
        days = _days(start, end)
        phi, known = terms(days, uplift=uplift, rush=rush, weekday=np.zeros(len(days)))
        volume = np.exp(known + phi[:, MAIN].sum(axis=1) * np.log1p(uplift[""]))
        opening = next(k for k, day in enumerate(days) if day.opens)
        added.append(volume[opening] - 1 - days[opening].cover * uplift[""])
        assert phi[opening, OPENING] == pytest.approx(rush[""] * uplift[""] / volume[opening])
    assert added == pytest.approx([1.5, 1.5])


def test_shares_of_a_day_add_up():
    assert sum(share_of_day(h, h + 1) for h in range(24)) == pytest.approx(1)
