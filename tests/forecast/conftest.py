"""Simulated sites with known truth: two families of processes, and daily activity in the form the history gives."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from capacity.promotion import Promotion, Promotions


@dataclass(frozen=True)
class Activity:
    """The part of `capacity.history.DailyActivity` that the forecast reads."""

    frame: pd.DataFrame
    timezone: str = "Asia/Shanghai"
    country: str | None = None
    as_of: date | None = None
    order_requests: pd.DataFrame | None = None

    @property
    def first_forecast_day(self) -> date:
        return self.as_of or (self.frame["date"].max() + pd.Timedelta(days=1)).date()

    def before(self, day: Any) -> "Activity":
        rows = self.order_requests
        seen = rows if rows is None else rows[rows["date"] < pd.Timestamp(day)]
        return Activity(self.frame[self.frame["date"] < pd.Timestamp(day)], self.timezone, self.country, day, seen)


@dataclass(frozen=True)
class Site:
    activity: Activity
    promotions: Promotions
    truth: pd.DataFrame


def promote(year: int, kind: str, day: str, *, evening: bool = False, days: int = 1, **brief: Any) -> Promotion:
    start = pd.Timestamp(f"{year}-{day}")
    begin = start - pd.Timedelta(hours=4 * evening)
    end = start + pd.Timedelta(days=days)
    times = {"starts_at": f"{begin:%Y-%m-%dT%H:%M}+08:00", "ends_at": f"{end:%Y-%m-%dT%H:%M}+08:00"}
    return Promotion(id=f"{year}-{kind}", kind=kind, **times, **brief)


def _event_effects(rng: np.random.Generator, promotions: list[Promotion], dates: pd.DatetimeIndex, shock: float) -> Any:
    effects = np.zeros((2, len(dates)))
    kinds = {p.kind: (rng.uniform(0.35, 0.9), rng.uniform(0.4, 1.2)) for p in promotions}
    growth = rng.normal(0.05, 0.03)
    for promotion in promotions:
        start = pd.Timestamp(promotion.starts_at.replace(tzinfo=None))
        end = pd.Timestamp(promotion.ends_at.replace(tzinfo=None))
        strays = rng.normal(0, shock, 2) + growth * (start.year - 2025)
        for offset in range(-3, 5):
            day = start.normalize() + pd.Timedelta(days=offset)
            at = (day - dates[0]).days
            if not 0 <= at < len(dates):
                continue
            overlap = min(end, day + pd.Timedelta(days=1)) - max(start, day)
            cover = max(overlap / pd.Timedelta(days=1), 0.0)
            if cover > 0:
                cover = min(cover * 1.5, 1.0)
                effects[:, at] += np.log1p(cover * np.expm1(np.array(kinds[promotion.kind]) + strays))
            else:
                effects[:, at] -= (0.05, 0.1)[offset < 0] / abs(offset)
    return effects


def simulate(seed: int, family: str, *, shock: float = 0.1, start: str = "2023-01-01") -> Site:
    """A site: ``lognormal`` (random-walk level, multiplicative noise) or ``additive`` (logistic growth, t noise)."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range(start, "2025-12-31")
    t = np.arange(len(dates))
    evening = bool(rng.random() < 0.5)
    promotions = [
        promote(year, kind, day, evening=evening and year >= 2024)
        for year in (2023, 2024, 2025)
        for kind, day in (("618", "06-18"), ("double11", "11-11"), ("double12", "12-12"))
    ]
    effects = _event_effects(rng, promotions, dates, shock)
    week, year = rng.normal(0, 0.06, 7)[t % 7], 0.08 * np.sin(2 * np.pi * (t / 365.25 + rng.random()))
    conversion = np.log(0.1) + np.cumsum(rng.normal(0, 0.003, len(t))) + effects[1] + 0.5 * week
    if family == "lognormal":
        level = np.cumsum(rng.normal(0, 0.006, len(t))) + rng.normal(0.15, 0.08) * t / 365
        dau = 2e6 * np.exp(level + week + year + effects[0] + rng.normal(0, 0.025, len(t)))
        dat = dau * np.exp(conversion + rng.normal(0, 0.03, len(t)))
    else:
        level = np.log(1 + 2 / (1 + np.exp(-(t - 500) / 200))) + np.cumsum(0.004 * rng.standard_t(4, len(t)))
        dau = 2e6 * (np.exp(level + week + year + effects[0]) + 0.03 * rng.standard_t(5, len(t)))
        dat = np.maximum(dau * np.exp(conversion) + 4e3 * rng.standard_t(5, len(t)), 1)
    frame = pd.DataFrame({"date": dates, "segment": "total", "dau": dau.round(), "dat": dat.round()})
    return Site(Activity(frame), Promotions(promotions), frame.set_index("date"))


@pytest.fixture(scope="session")
def make_site() -> Callable[..., Site]:
    return simulate


@pytest.fixture(scope="session")
def make_promotion() -> Callable[..., Promotion]:
    return promote


@pytest.fixture(scope="session")
def make_activity() -> type[Activity]:
    return Activity


@pytest.fixture(scope="session")
def site() -> Site:
    return simulate(3, "lognormal")
