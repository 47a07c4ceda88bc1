"""Rules of thumb that a forecast must beat, with intervals from their own past errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from capacity.forecast.activity import Activity
from capacity.promotion import Promotion

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
RULES = ("seasonal_naive", "last_year_times_growth")
HORIZONS = ((1, 7), (8, 14), (15, 28), (29, 400))
_YEAR = 364  # days: the same weekday a year before
_FEWEST_ERRORS = 30  # past errors of ordinary days, or a rule has no interval there
_FEWEST_PROMOTIONS = 3  # past promotions, or it has none on promotion days
_EVERY_DAYS = 7  # a past origin


@dataclass(frozen=True)
class PastErrors:
    """Log errors (origins, horizon) of one rule, made on days ``origin``; ``promotion`` (days,) index or −1."""

    origin: npt.NDArray[np.intp]
    errors: Floats
    promotion: npt.NDArray[np.intp]


def point(rule: str, past: Floats, horizon: int, promotions: Sequence[Promotion], seen: Activity) -> Floats:
    """(horizon,) forecast of a rule from ``past`` (days,), NaN where it has none."""
    if rule == "seasonal_naive":
        return seasonal_naive(past, horizon)
    return last_year_times_growth(past, horizon, promotions, seen)


def past_errors(
    rule: str, actual: Floats, horizon: int, promotions: Sequence[Promotion], activity: Activity, *, fewest: int
) -> PastErrors:
    """Errors of a rule as it would have been used once a week, from ``fewest`` days of history on."""
    origins = np.arange(fewest, len(actual), _EVERY_DAYS, dtype=np.intp)
    padded = np.concatenate([actual, np.full(horizon, np.nan)])
    errors = np.full((len(origins), horizon), np.nan)
    for row, origin in zip(errors, origins, strict=True):
        said = point(rule, actual[:origin], horizon, promotions, activity)
        with np.errstate(divide="ignore", invalid="ignore"):
            row[:] = np.log(padded[origin : origin + horizon] / said)
    errors[~np.isfinite(errors)] = np.nan
    return PastErrors(origins, errors, days_of(promotions, activity, len(actual) + horizon))


def days_of(promotions: Sequence[Promotion], activity: Activity, n_days: int) -> npt.NDArray[np.intp]:
    """(n_days,) place of the promotion that each day lies in; of several, the one that began last; −1 for none."""
    found = np.full(n_days, -1, dtype=np.intp)
    for place, promotion in enumerate(promotions):
        days = np.array([activity.day_of(day) for day in promotion.dates])
        found[days[(days >= 0) & (days < n_days)]] = place
    return found


def intervals(said: Floats, past: PastErrors, begin: int, probabilities: Sequence[float]) -> Floats:
    """(probabilities, horizon) quantiles of a rule's forecast ``said`` made on day ``begin``.

    Only errors of days before ``begin`` are used. Ordinary days have the empirical quantiles of the errors so many days
    ahead; promotion days, of which there are few, Student's t over past promotions (each day's errors averaged, as many
    degrees of freedom as promotions less one). The median is the rule itself. NaN where too little is known.
    """
    horizon = len(said)
    day = past.origin[:, None] + np.arange(past.errors.shape[1])[None]
    known = np.isfinite(past.errors) & (day < begin)
    inside = past.promotion[day] >= 0
    on_event = past.promotion[begin : begin + horizon] >= 0
    logs = np.full((len(probabilities), horizon), np.nan)
    for low, high in HORIZONS:
        own = past.errors[:, low - 1 : high][(known & ~inside)[:, low - 1 : high]]
        if len(own) >= _FEWEST_ERRORS:
            steps = slice(low - 1, min(high, horizon))
            logs[:, steps] = np.quantile(own, probabilities, method="weibull")[:, None]
    logs[:, on_event] = _on_promotions(past, day, known & inside, probabilities)[:, None]
    logs[np.asarray(probabilities) == 0.5] = 0.0
    return np.asarray(said * np.exp(logs))


def _on_promotions(past: PastErrors, day: npt.NDArray[np.intp], known: Bools, probabilities: Sequence[float]) -> Floats:
    days = np.unique(day[known])
    names = np.unique(past.promotion[days])
    if len(names) < _FEWEST_PROMOTIONS:
        return np.full(len(probabilities), np.nan)
    means = np.array([past.errors[known & (day == one)].mean() for one in days])
    scale = means.std(ddof=1) * np.sqrt(1 + 1 / len(names))
    return np.asarray(means.mean() + scale * student.ppf(probabilities, len(names) - 1))


def seasonal_naive(past: Floats, horizon: int) -> Floats:
    """(horizon,) the last known week again: each weekday's last known value.

    Examples
    --------
    >>> import numpy as np
    >>> seasonal_naive(np.arange(14.0), 8).tolist()
    [7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 7.0]
    """
    week = np.array([_last_known(past[max(len(past) - 7 + k, 0) :: -7]) for k in range(7)])
    return np.asarray(np.resize(week, horizon))


def _last_known(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known[0]) if len(known) else float("nan")


def last_year_times_growth(past: Floats, horizon: int, promotions: Sequence[Promotion], seen: Activity) -> Floats:
    """(horizon,) the day 52 weeks before, on promotion days that of the kind's last promotion, times growth.

    Growth is the last four weeks' median over that of the same weeks 52 weeks before (for a promotion day: of the
    weeks before that promotion). NaN where history is too short: what an analyst would do with a spreadsheet.
    """
    begin = len(past)
    recent = _median(past[-28:])
    result = np.full(horizon, np.nan)
    # More than a year ahead there is no day 52 weeks before yet.
    steps = np.arange(max(_YEAR - begin, 0), min(horizon, _YEAR))
    result[steps] = past[begin + steps - _YEAR] * _growth(past, begin - _YEAR, recent)
    for coming in promotions:
        start = seen.day_of(coming.dates[0])
        if not begin <= start < begin + horizon:
            continue
        previous = [p for p in promotions if p.kind == coming.kind and 28 <= seen.day_of(p.dates[-1]) < begin]
        result[start - begin :][: len(coming.dates)] = np.nan
        if not previous:
            continue
        model = previous[-1]
        # Last days are aligned: a first day of a few evening hours may be missing in one of them.
        shift = seen.day_of(coming.dates[-1]) - seen.day_of(model.dates[-1])
        growth = _growth(past, seen.day_of(model.dates[0]) - 7, recent)
        for day in coming.dates:
            at = seen.day_of(day)
            if at < begin + horizon and 0 <= at - shift < begin:
                result[at - begin] = past[at - shift] * growth
    return result


def _growth(past: Floats, before: int, recent: float) -> float:
    return recent / _median(past[max(before - 28, 0) : max(before, 0)])


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
