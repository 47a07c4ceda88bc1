"""Users and ordinary orders of every day, by segment and without doubles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.second_family.events import Event
from benchmarks.second_family.growth import draw_growth
from benchmarks.second_family.incidents import Incidents
from benchmarks.second_family.noise import daily_shocks
from benchmarks.second_family.season import draw_season
from benchmarks.second_family.setting import Setting, rng_of

Array = NDArray[np.float64]
_SEGMENTS: tuple[tuple[str, ...], ...] = (
    ("all",),
    ("app", "web"),
    ("app", "web", "mini-program"),
    ("android", "ios", "web"),
    ("north", "south", "east", "west"),
    ("app", "app-lite", "mobile-web", "web", "partner"),
)


@dataclass(frozen=True)
class Days:
    """What each day brings.

    Parameters
    ----------
    segments
        Names; ``("all",)`` for a company that counts none.
    active
        Users by day and segment, promotions included, shape (days, segments).
    total
        Users without doubles, shape (days,).
    ordinary_orders
        Orders by day and segment before any effect of a promotion, shape (days, segments).
    brought
        Share of the day's users that promotions brought, shape (days,).
    form
        Form of the growth.
    """

    segments: tuple[str, ...]
    active: Array
    total: Array
    ordinary_orders: Array
    brought: Array
    form: str


def draw_segments(setting: Setting) -> tuple[str, ...]:
    """Draw what the company tells apart; one of six nothing."""
    rng = rng_of(setting, "segments")
    return _SEGMENTS[int(rng.integers(len(_SEGMENTS)))]


def draw_days(setting: Setting, segments: tuple[str, ...], events: Sequence[Event], incidents: Incidents) -> Days:
    r"""Draw users and ordinary orders.

    Segments' shares drift on the logit scale (σ 0.25 a year, apps up by 0.1 … 0.4). People without doubles: with an
    audience of N people, each segment met by chance, :math:`N (1 - \prod_i (1 - a_i / N))`, N 3.5 … 7 times the
    ordinary users. Orders per user are 2 … 8 % by segment and drift by σ 4 % a year.

    Examples
    --------
    >>> from benchmarks.second_family.incidents import draw_incidents
    >>> from benchmarks.second_family.setting import draw_setting
    >>> setting = draw_setting(4)
    >>> days = draw_days(setting, ("app", "web"), (), draw_incidents(setting, ()))
    >>> bool((days.total < days.active.sum(axis=1)).all())
    True
    """
    rng = rng_of(setting, "days")
    count, years = len(segments), np.arange(setting.days) / 365.25
    growth, season = draw_growth(setting), draw_season(setting, segments)
    logit = rng.normal(0, 0.6, count) + years[:, None] * _drift(rng, segments)
    share = np.exp(logit)
    share /= share.sum(axis=1, keepdims=True)
    outage = incidents.hourly.reshape(-1, 24).mean(axis=1)
    shared = season.users + incidents.outlier + daily_shocks(rng, setting.days, scale=rng.uniform(0.008, 0.022))
    shared = growth.log_level + shared + 0.5 * np.log(np.minimum(outage, 1.0))
    own = season.weekday + rng.uniform(0.006, 0.02) * rng.normal(size=share.shape)
    ordinary = np.exp(shared[:, None] + own) * share
    lifted = ordinary * _lift(setting, events, count)
    audience = rng.uniform(3.5, 7.0) * np.exp(growth.log_level)
    met = np.minimum(lifted / audience[:, None], 0.95)
    total = audience * -np.expm1(np.log1p(-met).sum(axis=1))
    per_user = season.conversion + daily_shocks(rng, setting.days, scale=rng.uniform(0.015, 0.035))
    per_user = per_user + float(rng.normal(0, 0.04)) * years - 0.6 * incidents.outlier
    orders = ordinary * np.exp(per_user)[:, None] * np.exp(rng.uniform(np.log(0.02), np.log(0.08), count))
    brought = 1 - ordinary.sum(axis=1) / lifted.sum(axis=1)
    return Days(segments, lifted, np.asarray(total), orders, np.maximum(brought, 0), growth.form)


def _drift(rng: np.random.Generator, segments: tuple[str, ...]) -> Array:
    apps = np.array([name.startswith(("app", "android", "ios")) for name in segments])
    return np.asarray(rng.normal(0, 0.25, len(segments)) * ~apps + rng.uniform(0.1, 0.4, len(segments)) * apps)


def _lift(setting: Setting, events: Sequence[Event], count: int) -> Array:
    """Factor of each day's users: on the promotion, while deposits are taken, the day before, and the days after."""
    lift = np.ones((setting.days, count))
    for event in events:
        own = np.exp(np.asarray(event.segment_dau))
        days = np.asarray(event.days)
        lift[days] *= 1 + event.dau * np.asarray(event.day_presence)[:, None] * own
        before = np.arange(max(days[0] - max(event.presale_days, 1), 0), days[0])
        since = before - (days[0] - event.presale_days)
        curious = np.where(event.presale_days > 0, 0.25 * np.exp(-since / 2.0), 0.0) + 0.10 * (before == days[0] - 1)
        lift[before] *= 1 + event.dau * curious[:, None] * own
        after = np.arange(days[-1] + 1, min(days[-1] + 13, setting.days))
        lift[after] *= (1 - 0.3 * event.tail * (1 + (after - after[0]) / 3) ** -1.2)[:, None] if len(after) else 1.0
    return lift
