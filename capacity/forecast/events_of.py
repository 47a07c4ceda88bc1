"""Promotions of a workspace as event days of the history and of the days ahead, and the effects the past ones had."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from capacity.forecast.activity import Activity
from capacity.forecast.base import Base
from capacity.forecast.eventdays import REACH, EventDay, event_days
from capacity.forecast.hierarchy import Observations
from capacity.promotion import Promotion

Floats = npt.NDArray[np.float64]
# What a base extrapolated backward past the history's begin may be off by, a year.
BACKCAST_SD = 0.25
FARTHEST_BACK_YEARS = 3.0


@dataclass(frozen=True)
class Calendar:
    """Event days split at the forecast's begin; days are counted from the history's first."""

    past: tuple[EventDay, ...]
    ahead: tuple[EventDay, ...]
    masked: npt.NDArray[np.bool_]


def calendar_of(promotions: Iterable[Promotion], activity: Activity, *, timezone: str, horizon: int) -> Calendar:
    """Event days of all promotions, and the days of history (mask) that say nothing of ordinary days.

    The days around promotions are left out as widely as they may feel them, less widely where promotions come so often
    that hardly an ordinary day would be left.
    """
    zone, n_history = ZoneInfo(timezone), activity.n_history
    days = [day for promotion in promotions for day in _days_of(promotion, activity, zone)]
    masked = np.zeros(n_history, dtype=bool)
    known = np.isfinite(activity.dau).any(axis=0)
    for before, after in (REACH, (2, 2), (1, 1), (0, 0)):
        masked[:] = False
        for day in days:
            if 0 <= day.day < n_history and (day.inside or _within(day, before, after)):
                masked[day.day] = True
        if (known & ~masked).sum() >= 0.6 * known.sum():
            break
    used = [day for day in days if day.inside or _within(day, before, after)]
    return Calendar(
        past=tuple(day for day in used if 0 <= day.day < n_history),
        ahead=tuple(day for day in used if n_history <= day.day < n_history + horizon),
        masked=masked,
    )


def _within(day: EventDay, before: int, after: int) -> bool:
    """Whether a day beside a promotion is among the nearest so many; sides are numbered from near to far."""
    reach = (1, 2, 4, 7, 1, 2, 4, 7)[day.side]
    return reach <= (before if day.side < 4 else after)


def _days_of(promotion: Promotion, activity: Activity, zone: ZoneInfo) -> list[EventDay]:
    return event_days(
        promotion.id,
        promotion.kind,
        promotion.starts_at.astimezone(zone),
        promotion.ends_at.astimezone(zone),
        intensity=promotion.intensity,
        first=activity.first,
        years_from=activity.n_history,
    )


def observations(
    calendar: Calendar, base: Base, effect: Floats, *, noise: float, course: Floats, hidden_sd: Floats
) -> Observations:
    """Effects of past promotions on days where they are known.

    ``effect`` (days,) of history, ``noise`` the variance of a day, ``course`` (days,) that of the ordinary course,
    ``hidden_sd`` (days,) the doubt of what limits hid.
    """
    known = [day for day in calendar.past if np.isfinite(effect[day.day])]
    at, row = np.unique([day.day for day in known], return_inverse=True)
    at = at.astype(np.intp)
    return Observations(
        days=tuple(known),
        row=row.astype(np.intp),
        effect=effect[at],
        variance=np.full(len(at), noise),
        shared_sd=np.sqrt(course[at]),
        hidden_sd=hidden_sd[at],
        weekday=base.weekday[[day.day for day in known]] if known else np.zeros(0),
    )


def remembered(
    seen: Observations,
    promotions: Sequence[Promotion],
    activity: Activity,
    base: Base,
    *,
    timezone: str,
    volumes: dict[str, float],
    level: float,
) -> Observations:
    """Add the largest days of promotions before the history, from what is remembered of them (log ``volumes``).

    The ordinary course is carried back from the history's first weeks, and the further back the less it is believed.
    """
    zone = ZoneInfo(timezone)
    days, rows, effects, variances = list(seen.days), list(seen.row), list(seen.effect), list(seen.variance)
    weekdays, shared = list(seen.weekday), list(seen.shared_sd)
    for promotion in promotions:
        inside = [day for day in _days_of(promotion, activity, zone) if day.inside]
        largest = max(inside, key=lambda day: (day.cover, -day.day))
        gap = -largest.day / 365.25
        if promotion.id not in volumes or largest.day >= 0 or gap > FARTHEST_BACK_YEARS:
            continue
        days.append(largest)
        rows.append(len(effects))
        effects.append(volumes[promotion.id] - level)
        variances.append((BACKCAST_SD * gap) ** 2 + 0.1**2)
        shared.append(0.0)
        weekdays.append(float(base.weekday[largest.day % 7]))
    return Observations(
        days=tuple(days),
        row=np.array(rows, dtype=np.intp),
        effect=np.array(effects),
        variance=np.array(variances),
        shared_sd=np.array(shared),
        hidden_sd=np.concatenate([seen.hidden_sd, np.zeros(len(effects) - len(seen.effect))]),
        weekday=np.array(weekdays),
    )


def once_more(
    promotion: Promotion, everything: Iterable[Promotion], activity: Activity, zone: ZoneInfo
) -> list[EventDay]:
    """Days of one more promotion like this one, a year before the first of its kind that is known."""
    known = [past for past in everything if past.kind == promotion.kind and past.starts_at <= promotion.starts_at]
    years = 1 + max(round((promotion.starts_at - past.starts_at).days / 365.25) for past in known)
    return [
        replace(day, promotion=f"{promotion.id} once more", day=day.day - 365 * years, years=day.years - years)
        for day in _days_of(promotion, activity, zone)
        if day.inside
    ]
