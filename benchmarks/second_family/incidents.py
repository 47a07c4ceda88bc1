"""What went wrong on ordinary days: outages that come twice, logs that are lost, a day that is like no other."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.second_family.clock import HOUR_S
from benchmarks.second_family.setting import Setting, rng_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Incidents:
    """Incidents of a company.

    Parameters
    ----------
    hourly
        Share of requests that came in each hour, shape (hours,): small in an outage, above 1 in the rush back.
    outlier
        Log effect on users of a day that stands out for no known reason, shape (days,).
    lost_days
        Days without rows in `daily_activity`.
    lost_hours
        First and last hour of the traffic logs that are lost.
    """

    hourly: Array
    outlier: Array
    lost_days: tuple[int, ...]
    lost_hours: tuple[tuple[int, int], ...]


def draw_incidents(setting: Setting, busy_days: Collection[int]) -> Incidents:
    """Draw incidents, all on days without a promotion.

    Outages come at 0.8 a year, last one to three hours, leave 5 … 30 % of the requests, are followed by an hour of
    130 %, and every other one comes back within three days. Outliers come at 0.5 a year (±15 … 50 %, Pareto-like),
    lost days at 0.7, lost stretches of traffic logs (2 to 60 hours) at 1.

    Parameters
    ----------
    setting
        Of the company.
    busy_days
        Days of promotions.

    Examples
    --------
    >>> from benchmarks.second_family.setting import draw_setting
    >>> incidents = draw_incidents(draw_setting(3), range(100, 110))
    >>> bool((incidents.hourly > 0).all())
    True
    """
    rng = rng_of(setting, "incidents")
    years = setting.as_of_day / 365.25
    hourly, outlier = np.ones(setting.days * 24), np.zeros(setting.days)
    for first in rng.integers(0, setting.days - 4, rng.poisson(0.8 * years)):
        again = [int(first), int(first) + int(rng.integers(1, 4))][: 1 + int(rng.random() < 0.5)]
        for day in again:
            if day not in busy_days and day + 1 not in busy_days:
                hour, lasts = day * 24 + int(rng.integers(0, 24)), int(rng.integers(1, 4))
                hourly[hour : hour + lasts] = rng.uniform(0.05, 0.30)
                hourly[hour + lasts] = 1.3
    for day in rng.integers(0, setting.days, rng.poisson(0.5 * years)):
        size = min(0.15 * (1 + rng.pareto(2.5)), 0.5) * rng.choice([-1.0, 1.0])
        outlier[day] += 0.0 if int(day) in busy_days else np.log1p(size)
    lost = [int(day) for day in rng.integers(0, setting.as_of_day, rng.poisson(0.7 * years))]
    starts = rng.integers(setting.traffic_from * 24, setting.as_of_day * 24, rng.poisson(1.0))
    gaps = [(int(hour), int(hour) + int(rng.integers(2, 61))) for hour in starts]
    return Incidents(
        hourly,
        outlier,
        tuple(sorted({day for day in lost if day not in busy_days})),
        tuple(
            (first, last) for first, last in gaps if not any(h * HOUR_S // 86400 in busy_days for h in (first, last))
        ),
    )
