"""How good the forecast would have been: rolling origins over the history, beside two rules of thumb."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.errors import NotCoveredError
from capacity.forecast.activity import Activity, daily_arrays
from capacity.forecast.course import Course, as_known, forecast_course
from capacity.promotion import Promotion, Promotions
from capacity.result import Result

if TYPE_CHECKING:
    from capacity.history import DailyActivity

Floats = npt.NDArray[np.float64]
QUANTILES = (0.025, 0.05, 0.1, 0.5, 0.9, 0.95, 0.99)
HORIZONS = ((1, 7), (8, 14), (15, 28), (29, 400))
_FEWEST = 60  # days of history before an origin


@dataclass(frozen=True)
class Backtest(Result):
    """Forecasts as of past days against what came.

    Attributes
    ----------
    forecasts : DataFrame
        as_of, date, horizon, metric, on_event, actual, the forecast's quantiles (columns named by floats), and the
        rules ``seasonal_naive`` (the same weekday last) and ``last_year_times_growth``.
    """

    forecasts: pd.DataFrame

    def summary(self) -> str:
        """Say error and coverage of all days, and of promotion days."""
        frame = self.to_frame()
        everything = frame[(frame["method"] == "forecast") & (frame["days_ahead"] == "all")]
        parts = [
            f"{str(row.metric).upper()} on {row.days} days: error {row.wape:.1%}, "
            f"90 % interval holds {row.coverage_90:.0%}"
            for row in everything.itertuples()
        ]
        return f"{self.forecasts['as_of'].nunique()} origins; " + "; ".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a metric, method, kind of days and days ahead.

        ``wape`` Σ|error| / Σactual, ``bias`` Σerror / Σactual (positive: too high), ``coverage_80``, ``coverage_90``,
        ``width_90`` relative to the actual, ``interval_score_90`` and ``pinball`` (mean over quantiles) likewise, and
        ``pinball_99``; ``n`` days judged. The rules of thumb have no intervals.
        """
        rows = []
        for metric, frame in self.forecasts.groupby("metric", sort=True):
            for days, chosen in (("ordinary", frame[~frame["on_event"]]), ("event", frame[frame["on_event"]])):
                for label, part in _by_horizon(chosen):
                    if len(part):
                        rows += [
                            {"metric": metric, "days": days, "days_ahead": label, "method": method, "n": len(part)}
                            | score
                            for method, score in _scores(part).items()
                        ]
        return pd.DataFrame(rows)


def backtest_demand(
    daily_activity: "DailyActivity",
    *,
    promotions: Promotions,
    origins: Sequence[date] | None = None,
    horizon: int = 42,
    n_samples: int = 500,
    seed: int = 0,
) -> Backtest:
    """Forecast from past days and compare with what came.

    Parameters
    ----------
    daily_activity : DailyActivity
        The whole history.
    promotions : Promotions
        All promotions.
    origins : sequence of date, optional
        First forecast days; by default every four weeks of the last year, and three weeks before each promotion of it.
    horizon : int
        Days ahead.
    n_samples, seed : int
        Futures a forecast.

    Raises
    ------
    NotCoveredError
        No origin has enough history before it.
    """
    whole = daily_arrays(daily_activity)
    chosen = list(origins) if origins is not None else _default_origins(whole, promotions, horizon)
    frames = []
    for as_of in sorted(set(chosen)):
        day = whole.day_of(as_of)
        if day < _FEWEST or day >= whole.n_history:
            continue
        seen = daily_arrays(daily_activity, before=as_of)
        known = as_known(list(promotions.values()), as_of)
        course = forecast_course(
            seen,
            known,
            horizon=min(horizon, whole.n_history - day),
            timezone=daily_activity.timezone,
            country=daily_activity.country,
            lessons=None,
            n_samples=n_samples,
            seed=seed,
        )
        frames += _judged(course, whole, known)
    if not frames:
        raise NotCoveredError(
            f"no past day has {_FEWEST} days of history before it and a known day after it",
            remedy="ingest more daily_activity",
        )
    return Backtest(pd.concat(frames, ignore_index=True))


def _default_origins(whole: Activity, promotions: Promotions, horizon: int) -> list[date]:
    last = whole.as_of - timedelta(days=horizon)
    regular = [last - timedelta(days=28 * k) for k in range(13)]
    before = [p.dates[0] - timedelta(days=21) for p in promotions.values()]
    return regular + [day for day in before if regular[-1] <= day < whole.as_of - timedelta(days=22)]


def _judged(course: Course, whole: Activity, known: Sequence[Promotion]) -> list[pd.DataFrame]:
    seen = course.activity
    begin, horizon = seen.n_history, len(course.dates)
    on_event = np.zeros(horizon, dtype=bool)
    for day in course.calendar.ahead:
        on_event[day.day - begin] |= day.inside
    frames = []
    for metric, samples, values in (("dau", course.dau, whole.whole[0]), ("dat", course.dat, whole.whole[1])):
        total = samples[:, seen.lead] if seen.lead >= 0 else samples.sum(axis=1)
        actual = np.where(values > 0, values, np.nan)  # closed days are no evidence of how good a forecast is
        frame = pd.DataFrame(
            {
                "as_of": pd.Timestamp(seen.as_of),
                "date": course.dates,
                "horizon": np.arange(1, horizon + 1),
                "metric": metric,
                "on_event": on_event,
                "actual": actual[begin : begin + horizon],
            }
        )
        for q, row in zip(QUANTILES, np.quantile(total, QUANTILES, axis=0), strict=True):
            frame[q] = row
        frame["seasonal_naive"] = seasonal_naive(actual[:begin], horizon)
        frame["last_year_times_growth"] = last_year_times_growth(actual[:begin], horizon, known, seen)
        frames.append(frame[np.isfinite(frame["actual"])])
    return frames


def seasonal_naive(past: Floats, horizon: int) -> Floats:
    """(horizon,) value of the same weekday in the last known week.

    Examples
    --------
    >>> import numpy as np
    >>> seasonal_naive(np.arange(14.0), 8).tolist()
    [7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 7.0]
    """
    week = np.array([_last_known(past[len(past) - 7 + k :: -7]) for k in range(7)])
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
    recent = np.nanmedian(past[-28:])
    result = np.full(horizon, np.nan)
    for h in range(horizon):
        if begin + h - 364 >= 0:
            # More than a year ahead there is no day 52 weeks before yet.
            result[h] = past[begin + h - 364] * _growth(past, begin - 364, recent) if h < 364 else np.nan
    for coming in promotions:
        start = seen.day_of(coming.dates[0])
        previous = [p for p in promotions if p.kind == coming.kind and 28 <= seen.day_of(p.dates[-1]) < begin]
        if start < begin or not previous:
            continue
        model = previous[-1]
        # Last days are aligned: a first day of a few evening hours may be missing in one of them.
        shift = seen.day_of(coming.dates[-1]) - seen.day_of(model.dates[-1])
        growth = _growth(past, seen.day_of(model.dates[0]) - 7, recent)
        for day in coming.dates:
            at = seen.day_of(day)
            if begin <= at < begin + horizon and 0 <= at - shift < begin:
                result[at - begin] = past[at - shift] * growth
    return result


def _growth(past: Floats, before: int, recent: float) -> float:
    window = past[max(before - 28, 0) : max(before, 0)]
    return float(recent / np.nanmedian(window)) if np.isfinite(window).any() else float("nan")


def _by_horizon(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    parts = [("all", frame)]
    for low, high in HORIZONS:
        label = f"{low}–{high}" if high < 400 else f"{low}+"
        parts.append((label, frame[frame["horizon"].between(low, high)]))
    return parts


def _scores(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    actual = frame["actual"].to_numpy(dtype=float)
    q = {level: frame[level].to_numpy(dtype=float) for level in QUANTILES}
    scores = {"forecast": _points(actual, q[0.5]) | _intervals(actual, q)}
    for rule in ("seasonal_naive", "last_year_times_growth"):
        values = frame[rule].to_numpy(dtype=float)
        known = np.isfinite(values)
        if known.any():
            scores[rule] = _points(actual[known], values[known])
    return scores


def _points(actual: Floats, middle: Floats) -> dict[str, float]:
    error = middle - actual
    return {"wape": float(np.abs(error).sum() / actual.sum()), "bias": float(error.sum() / actual.sum())}


def _intervals(actual: Floats, q: dict[float, Floats]) -> dict[str, float]:
    low, high = q[0.05], q[0.95]
    score = high - low + 20 * (np.clip(low - actual, 0, None) + np.clip(actual - high, 0, None))
    losses = {level: pinball(actual, values, level) for level, values in q.items()}
    return {
        "coverage_80": float(np.mean((actual >= q[0.1]) & (actual <= q[0.9]))),
        "coverage_90": float(np.mean((actual >= low) & (actual <= high))),
        "width_90": float((high - low).sum() / actual.sum()),
        "interval_score_90": float(score.sum() / actual.sum()),
        "pinball": float(np.mean(list(losses.values()))),
        "pinball_99": losses[0.99],
    }


def pinball(actual: Floats, forecast: Floats, probability: float) -> float:
    """Pinball loss of a quantile forecast, as a fraction of the sum of actuals.

    Examples
    --------
    >>> import numpy as np
    >>> round(pinball(np.array([10.0]), np.array([12.0]), 0.9), 3)
    0.02
    """
    error = actual - forecast
    return float(np.maximum(probability * error, (probability - 1) * error).sum() / actual.sum())
