"""`forecast_demand`: DAU and DAT of every day up to and through a promotion, as joint samples."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from capacity.forecast import explain
from capacity.forecast.activity import Activity, activity_arrays
from capacity.forecast.course import Course, Metric, as_known, forecast_course
from capacity.forecast.demand import Demand
from capacity.forecast.doubt import doubt
from capacity.forecast.heard import hear
from capacity.forecast.hidden import with_hidden
from capacity.promotion import Promotion, Promotions

if TYPE_CHECKING:
    from capacity.history import DailyActivity
    from capacity.lessons import Lessons

Floats = npt.NDArray[np.float64]


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
        date, dat: orders known to have been lost to limits on past days. Without it they are told from the requests
        that ``daily_activity`` knows to have been rejected on past promotion days: between none and all of them, as
        people come back, with the doubt counted.

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
    activity = activity_arrays(daily_activity, promotion)
    everything = as_known(
        list(({p.id: p for p in promotions.values()} | {promotion.id: promotion}).values()), activity.as_of
    )
    activity = with_hidden(activity, daily_activity, everything, hidden)
    course = forecast_course(
        activity,
        everything,
        horizon=(promotion.dates[-1] - activity.as_of).days + 2,
        timezone=daily_activity.timezone,
        country=daily_activity.country,
        lessons=lessons,
        n_samples=n_samples,
        seed=seed,
        promotion=promotion,
    )
    known = promotion.as_of(activity.as_of)
    return _demand(course, known, everything, lessons=lessons, country=daily_activity.country)


def _demand(
    course: Course,
    promotion: Promotion,
    everything: list[Promotion],
    *,
    lessons: "Lessons | None",
    country: str | None,
) -> Demand:
    activity, parts, dates = course.activity, course.parts, course.dates
    heard = hear(course, promotion, everything)
    components = pd.concat(
        [
            _components(name, part, activity, dates, review=heard.review[name], closed=closed)
            for (name, part), closed in zip(parts.items(), course.closed, strict=True)
        ],
        ignore_index=True,
    )
    found = doubt(course, heard, promotion, everything)
    evidence = explain.evidence_frame(course, everything, day=None if found is None else found.day)
    why = explain.reasons(promotion, course, heard, evidence=evidence, found=found, everything=everything)
    history = pd.DataFrame({"date": activity.dates(0), "dau": activity.whole[0], "dat": activity.whole[1]})
    names = [*activity.segments, *(name for name, _ in activity.ended)]
    coordinates = {"date": dates.to_numpy(), "segment": np.array(names, dtype=object)}
    dims = ("sample", "date", "segment")
    padded = ((0, 0), (0, len(activity.ended)), (0, 0))
    dau, dat = (np.pad(values, padded) for values in (heard.dau, heard.dat))
    return Demand(
        promotion=promotion,
        as_of=activity.as_of,
        dau=xr.DataArray(dau.transpose(0, 2, 1), dims=dims, coords=coordinates, name="dau"),
        dat=xr.DataArray(dat.transpose(0, 2, 1), dims=dims, coords=coordinates, name="dat"),
        business=heard.business,
        components=components,
        evidence=evidence,
        doubt=found,
        why=why,
        assumptions=explain.assumptions(course, country=country, lessons=lessons, promotion=promotion),
        history=history,
        dau_is_upper_bound=activity.lead < 0 and len(activity.segments) > 1,
        past=tuple(p for p in everything if activity.day_of(p.dates[0]) < activity.n_history),
    )


def _components(
    name: str,
    part: Metric,
    activity: Activity,
    dates: pd.DatetimeIndex,
    *,
    review: Floats,
    closed: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    shape = part.middle.shape
    frame = pd.DataFrame(
        {
            "metric": name,
            "segment": np.repeat(np.array(activity.segments, dtype=object), shape[1]),
            "date": np.tile(dates, shape[0]),
        }
    )
    frame["closed"] = closed.ravel()
    for label, values in part.base.fit.parts_ahead().items():
        frame[label] = values.ravel()
    frame["event"] = part.event.ravel()
    frame["review"] = np.broadcast_to(review, shape).ravel()
    return frame
