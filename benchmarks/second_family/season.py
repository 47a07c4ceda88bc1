"""What the calendar does to ordinary days: weekdays that change with the season, terms, troughs, paydays, holidays."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.second_family.setting import Setting, rng_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Season:
    """Log effects by day: on users, shape (days,) and by weekday and segment (days, segments); on orders per user."""

    users: Array
    weekday: Array
    conversion: Array


def draw_season(setting: Setting, segments: tuple[str, ...]) -> Season:
    """Draw the calendar's effects.

    Weekends bring −20 … +12 % by segment, and 20 … 80 % less of it in the quiet season; the quiet season takes
    0 … 10 % of the users around midsummer, school holidays −4 … +6 %, the ramp to the year's end adds 0 … 12 %; payday
    adds 0 … 3 % users and 1 … 12 % orders per user for two to five days (0.4 times that where salaries are spread over
    the month). Every public holiday has an effect of its own in this company, kept from year to year within a quarter.

    Examples
    --------
    >>> from benchmarks.second_family.setting import draw_setting
    >>> setting = draw_setting(2)
    >>> draw_season(setting, ("app", "web")).weekday.shape == (setting.days, 2)
    True
    """
    rng = rng_of(setting, "season")
    dates = setting.clock.dates(setting.days)
    day_of_year = dates.day_of_year.to_numpy(dtype=np.float64)
    southern = setting.market.country == "BR"
    quiet = _bump(day_of_year, 15 if southern else 212, rng.uniform(25, 45))
    schools = np.maximum(_bump(day_of_year, 30, 18), _bump(day_of_year, 15 if southern else 208, 28))
    ramp = np.interp(day_of_year, [1, 20, 265, 345, 366], [0.8, 0, 0, 1, 0.8])
    paid, fading = _since_payday(dates.day.to_numpy(), setting.market.payday), rng.uniform(2, 5)
    payday = np.exp(-paid / fading) * (0.4 if setting.market.country in ("CN", "IN") else 1.0)
    users = -rng.uniform(0, 0.10) * quiet + rng.uniform(-0.04, 0.06) * schools + rng.uniform(0, 0.12) * ramp
    users = users + rng.uniform(0, 0.03) * payday
    conversion = rng.uniform(0.01, 0.12) * payday + rng.uniform(-0.02, 0.08) * ramp - rng.uniform(0, 0.06) * quiet
    on_users, on_orders = _holidays(setting)
    weekday = _weekdays(setting, rng, segments, dates.day_of_week.to_numpy(), quiet)
    return Season(users + on_users, weekday, conversion + on_orders)


def _weekdays(
    setting: Setting, rng: np.random.Generator, segments: tuple[str, ...], weekday: NDArray[np.int32], quiet: Array
) -> Array:
    profile = rng.normal(0, 0.012, size=(7, len(segments)))
    off = [rng.uniform(-0.20, -0.06) if "web" in name else rng.uniform(-0.06, 0.12) for name in segments]
    profile[list(setting.market.weekend)] += off
    return np.asarray(profile[weekday] * (1 - rng.uniform(0.2, 0.8) * quiet)[:, None])


def _bump(day_of_year: Array, centre: float, width: float) -> Array:
    distance = np.abs((day_of_year - centre + 182.6) % 365.25 - 182.6)
    return np.asarray(np.exp(-0.5 * (distance / width) ** 2))


def _since_payday(day_of_month: NDArray[np.int32], payday: int) -> Array:
    return np.asarray((day_of_month - payday) % 30.4)


def _holidays(setting: Setting) -> tuple[Array, Array]:
    """Effects of public holidays, of the great ones with the days around them, and of one feast that no list knows."""
    import holidays

    users, orders = np.zeros(setting.days), np.zeros(setting.days)
    years = range(setting.clock.origin.year, setting.clock.date_of(setting.days).year + 1)
    listed = holidays.country_holidays(setting.market.country, years=years, language="en_US")
    begun: set[tuple[str, int]] = set()
    for day, label in sorted(listed.items()):
        name, at = re.sub(r" \(.*\)", "", label), setting.clock.day_of(day)
        great = any(part in label for part in setting.market.great_holidays)
        if great and (name, day.year) in begun:
            continue
        begun.add((name, day.year))
        rng, jitter = rng_of(setting, "holiday", name), rng_of(setting, "holiday", label, str(day.year))
        vary = float(np.exp(0.25 * jitter.normal()))
        if not great:
            effect = rng.normal([-0.02, -0.03], [0.035, 0.05]) * vary
            _add(users, [at], [effect[0]])
            _add(orders, [at], [effect[1]])
            continue
        around = np.arange(at - 14, at + 9)
        rise = np.interp(around - at, [-14, -8, -4, -1], [0, 1, 1, 0])
        fall = np.interp(around - at, [-4, 0, 3, 8], [0, 1, 1, 0])
        _add(users, around, (rng.uniform(-0.02, 0.08) * rise - rng.uniform(0.03, 0.22) * fall) * vary)
        _add(orders, around, (rng.uniform(-0.05, 0.12) * rise - rng.uniform(0.05, 0.40) * fall) * vary)
    return users + _unlisted(setting), orders


def _unlisted(setting: Setting) -> Array:
    """Add two days a year that no calendar lists: a town's feast, an exam week, a derby."""
    rng, effect = rng_of(setting, "unlisted feast"), np.zeros(setting.days)
    first, size = int(rng.integers(365)), float(rng.normal(0, 0.05))
    for start in range(first, setting.days, 365):
        _add(effect, [start, start + 1], [size, size])
    return effect


def _add(values: Array, days: "NDArray[np.int64] | list[int]", effect: "Array | list[float]") -> None:
    at, size = np.asarray(days), np.asarray(effect)
    inside = (at >= 0) & (at < len(values))
    values[at[inside]] += size[inside]
