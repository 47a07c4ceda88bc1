"""DAU and orders of every day, without the hours inside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from capacity.demo.events import HORIZON_DAYS, ZONE, Event, seconds_of
from capacity.demo.parameters import SEGMENTS, Parameters
from capacity.demo.randomness import stream

# First day, days, log effect on DAU, log effect on orders. Written down, not taken from the library that forecasts use.
_LUNAR_NEW_YEARS = ("2024-02-10", "2025-01-29", "2026-02-17")
_HOLIDAYS = (
    ("2023-10-01", 6, -0.03, -0.07),
    ("2024-04-04", 3, -0.02, -0.04),
    ("2024-05-01", 5, -0.03, -0.07),
    ("2024-06-10", 1, -0.02, -0.03),
    ("2024-09-15", 3, -0.02, -0.04),
    ("2024-10-01", 7, -0.03, -0.07),
    ("2025-04-04", 3, -0.02, -0.04),
    ("2025-05-01", 5, -0.03, -0.07),
    ("2025-05-31", 3, -0.02, -0.03),
    ("2025-10-01", 8, -0.03, -0.07),
    ("2026-04-04", 3, -0.02, -0.04),
    ("2026-05-01", 5, -0.03, -0.07),
    ("2026-06-19", 3, -0.02, -0.03),
    ("2026-09-25", 3, -0.02, -0.04),
    ("2026-10-01", 7, -0.03, -0.07),
)


@dataclass(frozen=True)
class Baseline:
    """What each day would bring without its hour-by-hour promotion effects.

    Parameters
    ----------
    dau, dat
        Ordinary active users and orders by day from `ORIGIN` and segment, shape (days, segments).
    overlap
        Share of users seen in more than one segment, by day: total = sum × (1 − overlap).
    event_share
        How much of a promotion's full log uplift of DAU the day shows, 0 on ordinary days.
    uplift
        Log uplift of DAU by day and segment, dips included.
    """

    dau: NDArray[np.float64]
    dat: NDArray[np.float64]
    overlap: NDArray[np.float64]
    event_share: NDArray[np.float64]
    uplift: NDArray[np.float64]

    @property
    def total_dau(self) -> NDArray[np.float64]:
        """De-duplicated ordinary users by day."""
        return np.asarray(self.dau.sum(axis=1) * (1 - self.overlap))

    @property
    def total_dat(self) -> NDArray[np.float64]:
        """Ordinary orders by day."""
        return np.asarray(self.dat.sum(axis=1))

    @property
    def segment_active(self) -> NDArray[np.float64]:
        """Users by day and segment, promotions included."""
        return self.dau * np.exp(self.uplift)

    @property
    def total_active(self) -> NDArray[np.float64]:
        """De-duplicated users by day, promotions included."""
        return np.asarray(self.segment_active.sum(axis=1) * (1 - self.overlap))


def draw_baseline(parameters: Parameters, events: Sequence[Event]) -> Baseline:
    """Draw level, growth, seasons, holidays and noise of every day of the horizon.

    Examples
    --------
    >>> from capacity.demo.events import draw_events
    >>> from capacity.demo.parameters import draw_parameters
    >>> parameters = draw_parameters(0)
    >>> draw_baseline(parameters, draw_events(parameters)).dau.shape[1]
    3
    """
    p, days = parameters.demand, np.arange(HORIZON_DAYS)
    rng = stream(parameters.seed, "baseline")
    years = days / 365.25
    share, uplift = _event_days(events)
    damping = 1 - 0.6 * np.clip(share, 0, 1)
    weekend = (((days + 6) % 7) >= 5) * damping  # day 0 is a Sunday
    season = p.yearly_amplitude * np.cos(2 * np.pi * years + p.yearly_phase)
    season += 0.4 * p.yearly_amplitude * np.sin(4 * np.pi * years)
    holiday_dau, holiday_dat = _holidays(p.holiday_scale, rng)
    slope = np.cumsum(p.slope_wander * rng.normal(size=HORIZON_DAYS) / np.sqrt(365.25)) / 365.25
    shared = np.cumsum(slope) + season + holiday_dau + _autoregression(rng, p.noise_memory, p.shared_noise)
    log_dau = shared[:, None] + np.log(p.dau * np.asarray(p.segment_share))
    log_dau = log_dau + years[:, None] * np.asarray(p.segment_growth) + weekend[:, None] * np.asarray(p.weekend_dau)
    log_dau += p.segment_noise * rng.normal(size=log_dau.shape)
    break_day, segment = int(rng.integers(250, 900)), int(rng.integers(0, len(SEGMENTS)))
    log_dau[break_day:, segment] += p.break_size
    conversion = p.conversion_growth * years + weekend * p.weekend_conversion + holiday_dat
    conversion = conversion + _autoregression(rng, p.noise_memory, p.conversion_noise)
    log_conversion = conversion[:, None] + np.log(np.asarray(p.conversion))
    log_conversion = log_conversion + p.segment_noise * rng.normal(size=log_dau.shape)
    overlap = p.overlap * np.exp(0.01 * rng.normal(size=HORIZON_DAYS)) * (1 + 0.25 * np.clip(share, 0, 1))
    return Baseline(np.exp(log_dau), np.exp(log_dau + log_conversion), overlap, share, uplift)


def _autoregression(rng: np.random.Generator, memory: float, scale: float) -> NDArray[np.float64]:
    """First-order autoregression with that stationary standard deviation."""
    from scipy.signal import lfilter

    noise = rng.normal(size=HORIZON_DAYS) * scale
    noise[1:] *= np.sqrt(1 - memory**2)
    result: NDArray[np.float64] = np.asarray(lfilter([1.0], [1.0, -memory], noise))
    return result


def _event_days(events: Sequence[Event]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    share = np.zeros(HORIZON_DAYS)
    uplift = np.zeros((HORIZON_DAYS, len(SEGMENTS)))
    for event in events:
        strength = np.asarray([event.log_dau]) + np.asarray(event.segment_dau)
        for day, part in event.day_share().items():
            share[day] = max(share[day], part)
            uplift[day] += part * strength
        after = np.arange(event.days[-1] + 1, min(event.days[-1] + 16, HORIZON_DAYS))
        uplift[after] -= (0.2 * event.after_dip * np.exp(-(after - after[0]) / 4))[:, None]
        before = np.arange(event.days[0] - 12, event.days[0] - 2)
        uplift[before] -= (0.1 * event.before_dip * (before - before[0]) / len(before))[:, None]
    return share, uplift


def _holidays(scale: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    dau, dat = np.zeros(HORIZON_DAYS), np.zeros(HORIZON_DAYS)
    for first, length, effect_dau, effect_dat in _HOLIDAYS:
        day, vary = _day(first), np.exp(0.15 * rng.normal())
        dau[day : day + length] += effect_dau * scale * vary
        dat[day : day + length] += effect_dat * scale * vary
    for first in _LUNAR_NEW_YEARS:
        offset, vary = np.arange(-10, 12), np.exp(0.10 * rng.normal())
        days = _day(first) + offset
        # Parcels stop before the feast; people shop less, and orders fall far more than visits.
        dau[days] -= 0.13 * scale * vary * np.interp(offset, [-5, -1, 3, 9], [0, 1, 1, 0])
        dat[days] -= 0.42 * scale * vary * np.interp(offset, [-10, -3, 4, 11], [0, 1, 1, 0])
    return dau, dat


def _day(date: str) -> int:
    return seconds_of(datetime.fromisoformat(date).replace(tzinfo=ZONE)) // 86400
