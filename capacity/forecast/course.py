"""Joint futures of DAU and DAT over the days ahead: the ordinary course, and the promotions on top of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.forecast import adjust
from capacity.forecast.activity import Activity, lead_effect
from capacity.forecast.base import Base, base_design, fit_base
from capacity.forecast.calendar import a_year_before, country_holidays
from capacity.forecast.closed import holiday_days
from capacity.forecast.effects import EffectForecast, forecast_effects
from capacity.forecast.eventdays import EventDay
from capacity.forecast.events_of import Calendar, calendar_of, observations, once_more, remembered
from capacity.forecast.hierarchy import CONVERSION_PRIOR, DAU_PRIOR, Observations, Prior
from capacity.forecast.segments import add_up, deviations
from capacity.promotion import Promotion

if TYPE_CHECKING:
    from capacity.lessons import Lessons

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """Forecast of one metric (log DAU, or log DAT per DAU).

    ``seen`` are the observations behind ``effects``; ``at`` the days ahead that effects are forecast for;
    ``course_variance`` (horizon,) that of the whole's ordinary course.
    """

    base: Base
    seen: Observations
    at: npt.NDArray[np.intp]
    effects: EffectForecast
    lead: Floats
    logs: Floats
    middle: Floats
    event: Floats
    course_variance: Floats


@dataclass(frozen=True)
class Course:
    """Futures before the business's estimate is heard: ``dau`` and ``dat`` (n_samples, segments, horizon).

    ``closed`` (2, segments, horizon): days on which nobody comes, and on which nobody orders.
    """

    activity: Activity
    calendar: Calendar
    dates: pd.DatetimeIndex
    parts: dict[str, Metric]
    dau: Floats
    dat: Floats
    closed: npt.NDArray[np.bool_]


def forecast_course(
    activity: Activity,
    everything: Sequence[Promotion],
    *,
    horizon: int,
    timezone: str,
    country: str | None,
    lessons: "Lessons | None",
    n_samples: int,
    seed: int,
    promotion: Promotion | None = None,
) -> Course:
    """Forecast the days after the history, with all promotions known to fall into them.

    Parameters
    ----------
    activity : Activity
        History.
    everything : sequence of Promotion
        Past and coming, as known on the first forecast day.
    horizon : int
        Days ahead.
    timezone, country
        Local zone, and holiday calendar (``None``: no holidays).
    lessons : Lessons or None
        What reviews taught.
    n_samples, seed : int
        Futures to draw.
    promotion : Promotion, optional
        Ask also how much one more past promotion like this one would narrow the effects.
    """
    calendar = calendar_of(everything, activity, timezone=timezone, horizon=horizon)
    dates = activity.dates(horizon)
    holidays = country_holidays(country, range(dates[0].year - 1, dates[-1].year + 2)) if country else None
    design = base_design(dates, activity.n_history, holidays)
    rng = np.random.default_rng(seed)
    taught = adjust.taught_shifts(lessons, everything, activity.as_of)
    past = [p for p in everything if activity.day_of(p.dates[0]) < 0]
    imagined = once_more(promotion, everything, activity, ZoneInfo(timezone)) if promotion is not None else []
    logs = _logs(activity)
    parts = {}
    for name, prior in (("dau", DAU_PRIOR), ("dat_per_dau", CONVERSION_PRIOR)):
        parts[name] = _forecast_metric(
            fit_base(logs[name], calendar.masked, design, known=activity.known, earlier=a_year_before(dates)),
            logs[name],
            activity,
            prior=prior,
            shifts=taught.get(name, {}),
            volumes=_remembered_logs(past, name),
            hidden_sd=activity.hidden_sd * (name == "dat_per_dau"),
            calendar=calendar,
            past=past,
            timezone=timezone,
            imagined=imagined,
            n_samples=n_samples,
            rng=rng,
        )
    users, orders = parts["dau"], parts["dat_per_dau"]
    closed = _closed_ahead(activity, dates[activity.n_history :], holidays)
    filled, rest, lead = activity.filled, activity.rest, activity.lead
    dau = add_up(np.exp(users.logs), users.middle, ~closed[0], lead=lead, past=filled[0], rest=rest[0])
    middle = users.middle + orders.middle
    dat = add_up(dau * np.exp(orders.logs), middle, ~closed[1], lead=lead, past=filled[1], rest=rest[1])
    return Course(activity, calendar, dates[activity.n_history :], parts, dau, dat, closed)


def _logs(activity: Activity) -> dict[str, Floats]:
    """Take logs of users and of orders per user; a zero that is a small number counts as a half."""
    dau, dat = (np.where(values == 0, 0.5, values) for values in (activity.dau, activity.dat))
    return {"dau": np.log(dau), "dat_per_dau": np.log(dat / dau)}


def _closed_ahead(activity: Activity, dates: pd.DatetimeIndex, holidays: pd.DataFrame | None) -> npt.NDArray[np.bool_]:
    """(2, segments, horizon) days on which nobody comes, and on which nobody orders."""
    calendar = dates.day_of_week.to_numpy().astype(np.intp), holiday_days(dates, holidays)
    users = activity.users.ahead(*calendar)
    return np.stack([users, users | activity.orders.ahead(*calendar)])


def as_known(promotions: Sequence[Promotion], as_of: date) -> list[Promotion]:
    """Return what was known of promotions when a day began, in time order."""
    return sorted((p.as_of(as_of) for p in promotions), key=lambda p: (p.starts_at.timestamp(), p.id))


def _remembered_logs(past: Sequence[Promotion], name: str) -> dict[str, float]:
    """Log of what is remembered of promotions before the history."""
    found: dict[str, float] = {}
    for promotion in past:
        actual = promotion.actual
        if actual is None or not actual.dau:
            continue
        if name == "dau":
            found[promotion.id] = float(np.log(actual.dau))
        elif actual.dat:
            found[promotion.id] = float(np.log(actual.dat / actual.dau))
    return found


def _forecast_metric(
    base: Base,
    logs: Floats,
    activity: Activity,
    *,
    prior: Prior,
    shifts: dict[str, float],
    volumes: dict[str, float],
    hidden_sd: Floats,
    calendar: Calendar,
    past: Sequence[Promotion],
    timezone: str,
    imagined: Sequence[EventDay],
    n_samples: int,
    rng: np.random.Generator,
) -> Metric:
    horizon = base.middle.shape[1]
    effects = logs - base.inside
    lead = lead_effect(effects, activity)
    who = slice(activity.lead, activity.lead + 1) if activity.lead >= 0 else slice(None)
    noise = float(base.noise_variance[who].mean())
    course = base.inside_variance[who].mean(axis=0)
    seen = observations(calendar, base, lead, noise=noise, course=course, hidden_sd=hidden_sd)
    early = np.nanmean(lead_effect(base.inside[:, :28], activity))
    seen = remembered(seen, past, activity, base, timezone=timezone, volumes=volumes, level=float(early))
    days = calendar.ahead
    at, row = np.unique([day.day for day in days], return_inverse=True)
    at = at.astype(np.intp) - activity.n_history
    forecast = forecast_effects(
        seen,
        days,
        row.astype(np.intp),
        len(at),
        base.weekday[[day.day for day in days]] if days else np.zeros(0),
        prior=prior,
        shifts=shifts,
        n_samples=n_samples,
        rng=rng,
        imagined=imagined,
    )
    kinds = sorted({day.kind for day in (*calendar.past, *days)})
    by_kind, spread = deviations(effects, lead, calendar.past, kinds)
    events = np.zeros((n_samples, len(logs), horizon))
    events[:, :, at] = forecast.samples[:, None, :]
    middle = np.zeros((len(logs), horizon))
    middle[:, at] = forecast.mean
    strays = (
        rng.standard_normal((n_samples, len(logs), len({day.promotion for day in days}) or 1)) * spread[None, :, None]
    )
    if activity.lead >= 0:
        strays[:, activity.lead] = 0.0
    order = {name: k for k, name in enumerate(dict.fromkeys(day.promotion for day in days))}
    for day in days:
        if day.inside:
            h, size = day.day - activity.n_history, min(day.cover * day.intensity, 2.0)
            middle[:, h] += size * by_kind[day.kind]
            events[:, :, h] += size * (by_kind[day.kind][None] + strays[:, :, order[day.promotion]])
    drawn = base.draw(rng, n_samples)
    variance = np.tensordot(drawn, _weights(activity), axes=(1, 0)).var(axis=0)
    return Metric(base, seen, at, forecast, lead, drawn + events, base.middle + middle, middle, variance)


def _weights(activity: Activity) -> Floats:
    """(segments,) parts of the whole: all in the total where there is one, else by volume."""
    if activity.lead >= 0:
        return np.asarray(np.arange(len(activity.segments)) == activity.lead, dtype=float)
    volume = np.nanmedian(activity.dau, axis=1)
    return np.asarray(volume / volume.sum())
