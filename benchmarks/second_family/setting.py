"""What is drawn first: market, promotion to plan, planning day, and how far back the company remembers."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from benchmarks.second_family.calendars import Kind
from benchmarks.second_family.clock import Clock
from benchmarks.second_family.markets import MARKETS, WEIGHTS, Market
from capacity.demo.randomness import log_uniform, stream

MONTH_DAYS = 30.44


@dataclass(frozen=True)
class Setting:
    """The frame of one company.

    Parameters
    ----------
    seed
        Of the company.
    market
        Where it trades.
    clock
        Its time axis; day 0 is the first of `daily_activity`.
    target
        Kind of the promotion to plan, and its local start and end.
    as_of
        The planning day: nothing of this day or later is known.
    recorded_days, days
        Days in the tables, and days drawn.
    minutes_from, traffic_from
        First day whose promotions are kept by the minute, and first day of any traffic.
    """

    seed: int
    market: Market
    clock: Clock
    target: tuple[Kind, str, str]
    as_of: date
    recorded_days: int
    days: int
    minutes_from: int
    traffic_from: int

    @property
    def as_of_day(self) -> int:
        """Days from the origin to the planning day."""
        return self.clock.day_of(self.as_of)


def draw_setting(seed: int) -> Setting:
    """Draw the frame of a company.

    History is 14 months to 4 years long (log-uniform), the planning day 14 to 42 days before the start. Minutes are
    kept for 14 to 26 months, in one company of ten for 3 to 10 only; hours at least for 8 to 15 months.

    Examples
    --------
    >>> setting = draw_setting(0)
    >>> 14 <= (date.fromisoformat(setting.target[1][:10]) - setting.as_of).days <= 42
    True
    """
    rng = stream(seed, "setting")
    market = MARKETS[str(rng.choice(list(MARKETS), p=WEIGHTS))]
    name = str(rng.choice(market.targets))
    kind = next(kind for kind in market.kinds if kind.name == name)
    year = int(rng.choice([2024, 2025, 2026], p=[0.25, 0.375, 0.375]))
    occurrences = [dates for dates in kind.dates if dates[0].startswith(str(year))]
    starts, ends = occurrences[int(rng.integers(len(occurrences)))]
    as_of = date.fromisoformat(starts[:10]) - timedelta(days=int(rng.integers(14, 43)))
    origin = as_of - timedelta(days=round(log_uniform(rng, 14, 48) * MONTH_DAYS))
    clock = Clock(market.zone, market.offset_s, origin)
    last = clock.second_of(ends) // 86400 + int(rng.integers(3, 8))
    minutes = rng.uniform(3, 10) if rng.random() < 0.1 else rng.uniform(14, 26)
    hours = max(float(minutes), float(rng.uniform(8, 15)))
    first = clock.day_of(as_of)
    return Setting(
        seed=seed,
        market=market,
        clock=clock,
        target=(kind, starts, ends),
        as_of=as_of,
        recorded_days=last,
        days=last + 20,
        minutes_from=max(first - round(float(minutes) * MONTH_DAYS), 0),
        traffic_from=max(first - round(hours * MONTH_DAYS), 0),
    )


def rng_of(setting: Setting, *names: str) -> np.random.Generator:
    """Give the random stream of one named part of the company."""
    return stream(setting.seed, "second family", *names)
