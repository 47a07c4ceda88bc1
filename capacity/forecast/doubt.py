"""Where the width of a forecast comes from, and what would narrow it: measured by asking the model, not guessed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.forecast.activity import Activity
from capacity.forecast.adjust import past_ratios
from capacity.forecast.business import BusinessEstimate, combine, learn_track
from capacity.forecast.course import Course, Metric
from capacity.forecast.heard import Heard
from capacity.promotion import Promotion

Floats = npt.NDArray[np.float64]
NEARER_DAYS = 7
_METRICS = {"dau": ("dau",), "dat": ("dau", "dat_per_dau")}
SOURCES = {
    "course": "the ordinary course until that day: level, season, noise",
    "event": "how far one promotion strays from its kind",
    "day": "how far a single day strays from its promotion",
    "kind": "what promotions of the kind do on average, and how that grows",
    "business": "how far the business's estimates stray",
}


@dataclass(frozen=True)
class Doubt:
    """Doubt about the day of most orders.

    ``day`` is its place in the horizon; ``sources`` has metric, source, share of the variance of the log; ``options``
    metric, option, and how many times the upper end of the 90 % interval is the lower one, now and then.
    """

    day: int
    sources: pd.DataFrame
    options: pd.DataFrame


def doubt(course: Course, heard: Heard, promotion: Promotion, everything: Sequence[Promotion]) -> Doubt | None:
    """Split the variance of the day of most orders, and measure what would narrow its 90 % interval.

    The business's part in the variance of the combination is its weight; the rest is history's. Each option is put to
    the same model: one more past promotion of the kind conditions the effects' posterior on days imagined a year before
    the first that is known; a nearer day has the course's error of so many days ahead; an estimate of the business is
    combined as one that agrees.

    Returns
    -------
    Doubt or None
        None where no day of the promotion has orders.
    """
    day = largest_day(heard, course.activity)
    if day is None:
        return None
    rows, options = [], []
    for metric, names in _METRICS.items():
        parts = [course.parts[name] for name in names]
        variance = _summed(parts, day)
        business = heard.business.weights.get(metric, 0.0) if heard.business is not None else 0.0
        part_of = (1 - business) / sum(variance.values())
        rows += [{"metric": metric, "source": name, "share": part_of * value} for name, value in variance.items()]
        rows += [{"metric": metric, "source": "business", "share": business}]
        apart = _ends_apart(heard, course.activity, metric, day)
        options += [
            {"metric": metric, "option": option, "ends_apart_now": apart, "ends_apart_then": apart**ratio}
            for option, ratio in _ratios(course, heard, promotion, everything, metric=metric, day=day).items()
        ]
    columns = ["metric", "option", "ends_apart_now", "ends_apart_then"]
    return Doubt(day, pd.DataFrame(rows), pd.DataFrame(options, columns=columns))


def largest_day(heard: Heard, activity: Activity) -> int | None:
    """Place in the horizon of the promotion's day with most orders; None where there are none."""
    whole = heard.dat[:, activity.lead] if activity.lead >= 0 else heard.dat.sum(axis=1)
    orders = np.where(heard.weight > 0, np.median(whole, axis=0), 0.0)
    return int(orders.argmax()) if orders.any() else None


def _summed(parts: Sequence[Metric], day: int) -> dict[str, float]:
    """Variance of the log on one day by source; users and orders per user err apart."""
    each = [_variance(part, day) for part in parts]
    return {source: sum(variance[source] for variance in each) for source in each[0]}


def _variance(part: Metric, day: int) -> dict[str, float]:
    at = np.flatnonzero(part.at == day)[0]
    sources = part.effects.sources
    return {
        "course": float(part.course_variance[day]),
        "event": float(sources.event[at]),
        "day": float(sources.day[at]),
        "kind": float(sources.kind[at]),
    }


def _ends_apart(heard: Heard, activity: Activity, metric: str, day: int) -> float:
    samples = heard.dau if metric == "dau" else heard.dat
    whole = samples[:, activity.lead] if activity.lead >= 0 else samples.sum(axis=1)
    low, high = np.quantile(whole[:, day], [0.05, 0.95])
    return float(high / low)


def _ratios(
    course: Course, heard: Heard, promotion: Promotion, everything: Sequence[Promotion], *, metric: str, day: int
) -> dict[str, float]:
    """Give the standard deviation after each option, as a part of today's."""
    parts = [course.parts[name] for name in _METRICS[metric]]
    now = sum(_summed(parts, day).values())
    then = {
        f"one more past {promotion.kind} promotion, before the first that is known": now
        - sum(_learnt(p, day) for p in parts)
    }
    first = int(np.flatnonzero(heard.weight > 0)[0])
    if first > NEARER_DAYS:
        nearer = NEARER_DAYS + day - first
        gone = sum(p.course_variance[day] * (1 - _course_ratio(p, course.activity, nearer, day) ** 2) for p in parts)
        then[f"forecasting it again {NEARER_DAYS} days before it begins"] = now - max(float(gone), 0.0)
    ratios = {name: _combined(heard.business, metric, now, value) for name, value in then.items()}
    if heard.business is None or metric not in heard.business.opinions:
        track = learn_track(past_ratios(metric, everything, course.activity))
        ratios[f"an estimate of {metric.upper()} by the business"] = (
            combine((0.0, now**0.5), (0.0, track.sd))[1] / now**0.5
        )
    return ratios


def _learnt(part: Metric, day: int) -> float:
    """Variance that one more past promotion of the kind takes away."""
    at = np.flatnonzero(part.at == day)[0]
    return max(float(part.effects.sources.total[at] - part.effects.one_more[at]), 0.0)


def _course_ratio(part: Metric, activity: Activity, nearer: int, day: int) -> float:
    scale = part.base.sd[activity.lead] if activity.lead >= 0 else part.base.sd.mean(axis=0)
    return float(scale[nearer] / scale[day])


def _combined(business: BusinessEstimate | None, metric: str, now: float, then: float) -> float:
    """Ratio of standard deviations, the business's estimate beside both."""
    if business is None or metric not in business.opinions:
        return float(np.sqrt(then / now))
    centre, _ = business.opinions[metric]["history"].on_log_scale()
    own = business.opinions[metric]["business_corrected"].on_log_scale()
    after, before = (combine((centre, value**0.5), own)[1] for value in (then, now))
    return float(after / before)
