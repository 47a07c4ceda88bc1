"""`forecast_demand`: DAU and DAT of every day up to and through a promotion, as joint samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from capacity.forecast import adjust, explain
from capacity.forecast.activity import Activity, activity_arrays, lead_effect
from capacity.forecast.base import Base, base_design, fit_base, parts_ahead
from capacity.forecast.calendar import country_holidays
from capacity.forecast.demand import Demand
from capacity.forecast.effects import (
    CONVERSION_PRIOR,
    DAU_PRIOR,
    EffectForecast,
    Prior,
    forecast_effects,
)
from capacity.forecast.events_of import Calendar, calendar_of, observations, remembered
from capacity.forecast.segments import add_up, deviations
from capacity.promotion import Promotion, Promotions

if TYPE_CHECKING:
    from capacity.history import DailyActivity
    from capacity.lessons import Lessons

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Metric:
    """Forecast of one metric (log DAU, or log DAT per DAU)."""

    base: Base
    effects: EffectForecast
    lead: Floats
    logs: Floats
    middle: Floats
    event: Floats


def forecast_demand(
    daily_activity: "DailyActivity",
    promotion: Promotion,
    *,
    promotions: Promotions,
    lessons: "Lessons | None" = None,
    n_samples: int = 2000,
    seed: int = 0,
    hidden: pd.DataFrame | None = None,
) -> Demand:
    """Forecast daily active users and orders from the history's end to the day after a promotion.

    Parameters
    ----------
    daily_activity : DailyActivity
        date, segment, dau, dat up to the eve of the first forecast day.
    promotion : Promotion
        The coming promotion.
    promotions : Promotions
        All promotions, past (their effects are learnt) and coming (their effects are counted when they overlap).
    lessons : Lessons, optional
        Corrections of ``dau`` and ``dat_per_dau`` that reviews taught: they move what is believed of a kind before
        its data, never count as a second observation of them.
    n_samples : int
        Joint futures to draw.
    seed : int
        Equal seeds give equal futures.
    hidden : DataFrame, optional
        date, dat: orders that limits turned away on past days. Without it a limited day's DAT is taken as it is.

    Returns
    -------
    Demand

    Raises
    ------
    NotCoveredError
        Hardly any history, a promotion that has begun, or one more than 400 days ahead.

    Notes
    -----
    log DAU and log(DAT / DAU) each are an ordinary course (level, season, holidays: the engine of `forecast_panel`
    on days away from promotions) plus the effects of promotions (a hierarchical model of kind, growth, event and day,
    aligned on the start instant; the spread between events is integrated over). Days ahead of one promotion share its
    event's deviation; users and orders move together because orders are users times conversion.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from capacity.history import DailyActivity
    >>> from capacity.promotion import Promotion, Promotions
    >>> dates = pd.date_range("2026-01-01", "2026-05-31")
    >>> frame = pd.DataFrame({"date": dates, "segment": "total", "dau": 1000, "dat": 50})
    >>> span = {"starts_at": "2026-06-18T00:00+08:00", "ends_at": "2026-06-19T00:00+08:00"}
    >>> coming = Promotion(id="2026-618", kind="618", **span)
    >>> history = DailyActivity.from_frame(frame, timezone="Asia/Shanghai")
    >>> demand = forecast_demand(history, coming, promotions=Promotions([coming]), n_samples=200)
    >>> dict(demand.dau.sizes)
    {'sample': 200, 'date': 19, 'segment': 1}
    >>> print(demand.why[0])
    no past promotion of the kind '618' is in the history: ...
    """
    activity = activity_arrays(daily_activity, promotion, hidden)
    horizon = (promotion.dates[-1] - activity.as_of).days + 2
    everything = _all(promotion, promotions, activity.as_of)
    calendar = calendar_of(everything, activity, timezone=daily_activity.timezone, horizon=horizon)
    dates = activity.dates(horizon)
    country = daily_activity.country
    holidays = country_holidays(country, range(dates[0].year - 1, dates[-1].year + 2)) if country else None
    design = base_design(dates, activity.n_history, holidays)
    rng = np.random.default_rng(seed)
    taught = adjust.taught_shifts(lessons, everything, activity.as_of)
    past = [p for p in everything if activity.day_of(p.dates[0]) < 0]
    tell = {"calendar": calendar, "past": past, "timezone": daily_activity.timezone, "n_samples": n_samples, "rng": rng}
    with np.errstate(divide="ignore", invalid="ignore"):
        logs_dau, logs_conversion = np.log(activity.dau), np.log(activity.dat / activity.dau)
    parts = {}
    for name, logs, prior in (("dau", logs_dau, DAU_PRIOR), ("dat_per_dau", logs_conversion, CONVERSION_PRIOR)):
        base = fit_base(logs, calendar.masked, design)
        volumes = _remembered_logs(past, name)
        parts[name] = _forecast_metric(
            base, logs, activity, prior=prior, shifts=taught.get(name, {}), volumes=volumes, **tell
        )
    return _demand(
        activity,
        promotion,
        everything,
        calendar,
        parts,
        dates[activity.n_history :],
        lessons=lessons,
        country=country,
    )


def _all(promotion: Promotion, promotions: Promotions, as_of: date) -> list[Promotion]:
    known = {p.id: p for p in promotions.values()} | {promotion.id: promotion}
    return sorted((p.as_of(as_of) for p in known.values()), key=lambda p: (p.starts_at.timestamp(), p.id))


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
    calendar: Calendar,
    past: Sequence[Promotion],
    timezone: str,
    n_samples: int,
    rng: np.random.Generator,
) -> _Metric:
    horizon = base.middle.shape[1]
    effects = logs - base.inside
    lead = lead_effect(effects, activity)
    variance = base.inside_variance[activity.lead] if activity.lead >= 0 else base.inside_variance.mean(axis=0)
    seen = observations(calendar, base, lead, variance)
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
    return _Metric(base, forecast, lead, base.draw(rng, n_samples) + events, base.middle + middle, middle)


def _demand(
    activity: Activity,
    promotion: Promotion,
    everything: list[Promotion],
    calendar: Calendar,
    parts: dict[str, _Metric],
    dates: pd.DatetimeIndex,
    *,
    lessons: "Lessons | None",
    country: str | None,
) -> Demand:
    dau_logs, conversion = parts["dau"], parts["dat_per_dau"]
    dau = add_up(np.exp(dau_logs.logs), dau_logs.middle, activity, activity.dau)
    dat = dau * np.exp(conversion.logs)
    dat = add_up(dat, dau_logs.middle + conversion.middle, activity, activity.dat)
    weight = _weight_of(promotion, calendar, activity, len(dates))
    dau, dat, business, review = adjust.with_business(dau, dat, promotion, everything, activity, weight)
    dat, sold_out = adjust.capped(dat, promotion, activity, weight)
    components = pd.concat(
        [_components(name, part, activity, dates, review[name] * weight) for name, part in parts.items()],
        ignore_index=True,
    )
    evidence = explain.evidence_frame(
        {name: (part.effects, part.lead) for name, part in parts.items()}, everything, calendar, activity
    )
    why = explain.reasons(
        promotion,
        activity,
        parts["dau"].effects,
        parts["dat_per_dau"].effects,
        calendar=calendar,
        evidence=evidence,
        business=business,
        sold_out=sold_out,
    )
    total = activity.lead if activity.lead >= 0 else None
    history = pd.DataFrame(
        {
            "date": activity.dates(0),
            "dau": activity.dau[total] if total is not None else activity.dau.sum(axis=0),
            "dat": activity.dat[total] if total is not None else activity.dat.sum(axis=0),
        }
    )
    coordinates = {"date": dates.to_numpy(), "segment": np.array(activity.segments, dtype=object)}
    dims = ("sample", "date", "segment")
    return Demand(
        promotion=promotion,
        as_of=activity.as_of,
        dau=xr.DataArray(dau.transpose(0, 2, 1), dims=dims, coords=coordinates, name="dau"),
        dat=xr.DataArray(dat.transpose(0, 2, 1), dims=dims, coords=coordinates, name="dat"),
        business=business,
        components=components,
        evidence=evidence,
        why=why,
        assumptions=explain.assumptions(
            activity, country=country, lessons=lessons, promotion=promotion, calendar=calendar
        ),
        history=history,
        dau_is_upper_bound=activity.lead < 0 and len(activity.segments) > 1,
        past=tuple(p for p in everything if activity.day_of(p.dates[0]) < activity.n_history),
    )


def _weight_of(promotion: Promotion, calendar: Calendar, activity: Activity, horizon: int) -> Floats:
    """(horizon,) share of each day's activity that lies in the promotion."""
    weight = np.zeros(horizon)
    for day in calendar.ahead:
        if day.promotion == promotion.id and day.inside:
            weight[day.day - activity.n_history] = day.cover
    return weight


def _components(name: str, part: _Metric, activity: Activity, dates: pd.DatetimeIndex, review: Floats) -> pd.DataFrame:
    shape = part.middle.shape
    frame = pd.DataFrame(
        {
            "metric": name,
            "segment": np.repeat(np.array(activity.segments, dtype=object), shape[1]),
            "date": np.tile(dates, shape[0]),
        }
    )
    for label, values in parts_ahead(part.base).items():
        frame[label] = values.ravel()
    frame["event"] = part.event.ravel()
    frame["review"] = np.broadcast_to(review, shape).ravel()
    return frame
