"""What drives a forecast, how thin its evidence is, and what would narrow it most: in words with numbers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.forecast.activity import Activity
from capacity.forecast.business import PRIOR_SD, BusinessEstimate
from capacity.forecast.course import Course
from capacity.forecast.effects import EffectForecast
from capacity.forecast.events_of import Calendar
from capacity.forecast.explain_closed import closed_assumptions, closed_reasons

if TYPE_CHECKING:
    from capacity.lessons import Lessons
    from capacity.promotion import Promotion

Floats = npt.NDArray[np.float64]


def evidence_frame(
    parts: Mapping[str, tuple[EffectForecast, Floats]],
    everything: Sequence["Promotion"],
    calendar: Calendar,
    activity: Activity,
) -> pd.DataFrame:
    """One row a past promotion and metric: its strongest day's effect, and its error when forecast from the others."""
    kinds = {promotion.id: promotion.kind for promotion in everything}
    rows = []
    for metric, (forecast, lead) in parts.items():
        for name, (error, sd) in forecast.left_out.items():
            days = [
                d.day for d in calendar.past if d.promotion == name and d.inside and 0 <= d.day < activity.n_history
            ]
            seen = lead[days][np.isfinite(lead[days])] if days else np.array([])
            rows.append(
                {
                    "promotion": name,
                    "kind": kinds[name],
                    "metric": metric,
                    "largest_factor": float(np.exp(seen.max())) if len(seen) else None,
                    "left_out_error": error,
                    "left_out_sd": sd,
                }
            )
    columns = ["promotion", "kind", "metric", "largest_factor", "left_out_error", "left_out_sd"]
    return pd.DataFrame(rows, columns=columns)


def reasons(
    promotion: "Promotion",
    activity: Activity,
    dau: EffectForecast,
    conversion: EffectForecast,
    *,
    calendar: Calendar,
    evidence: pd.DataFrame,
    business: BusinessEstimate | None,
    sold_out: float,
    closed: npt.NDArray[np.bool_],
    orders: Floats,
    everything: Sequence["Promotion"],
) -> tuple[str, ...]:
    """Sentences, the most important first; ``closed`` (2, segments, horizon) and middle ``orders`` (horizon,) ahead."""
    lines = [_leans_on(promotion, evidence), *_seen_in_part(promotion, everything, activity, evidence)]
    lines += closed_reasons(promotion, activity, closed)
    lines.append(
        f"one promotion strays from its kind by about {dau.event_sd:.0%} in users and {conversion.event_sd:.0%} in "
        f"orders per user{_left_out(evidence)}"
    )
    widened = max(dau.inflation, conversion.inflation)
    if widened > 1.01:
        lines.append(f"past promotions came further off than expected; promotion days are widened by {widened:.2f}")
    lines.append(_biggest_day(promotion, calendar, activity, dau, conversion, orders=orders))
    known = int(activity.known.sum())
    if known < 365:
        lines.append(
            f"the history has {known} known days: a whole year's season has not been seen, intervals are wider"
        )
    if business is not None:
        lines += _business_lines(business)
    if sold_out > 0 and promotion.inventory is not None:
        lines.append(
            f"inventory of {promotion.inventory.units:,} units caps orders: sold out in {sold_out:.0%} of futures"
        )
    lines.append(_narrow(promotion, evidence, known))
    return tuple(line for line in lines if line)


def _leans_on(promotion: "Promotion", evidence: pd.DataFrame) -> str:
    own = list(dict.fromkeys(evidence.loc[evidence["kind"] == promotion.kind, "promotion"]))
    others = evidence.loc[evidence["kind"] != promotion.kind, "promotion"].nunique()
    if not own:
        rest = f"{others} promotions of other kinds" if others else "a stated prior (users × 1.2 to 3)"
        return (
            f"no past promotion of the kind {promotion.kind!r} is in the history: its effect is guessed from {rest}, "
            "so the interval is very wide"
        )
    thin = ": one event cannot show how events differ, their spread is that of other kinds" if len(own) == 1 else ""
    past = "promotion" if len(own) == 1 else "promotions"
    names = ", ".join(own)
    return f"leans on {len(own)} past {past} of the kind {promotion.kind!r} ({names}) and {others} of other kinds{thin}"


def _seen_in_part(
    promotion: "Promotion", everything: Sequence["Promotion"], activity: Activity, evidence: pd.DataFrame
) -> list[str]:
    """Past promotions of the kind of which the history holds some days only."""
    found = []
    for past in everything:
        if past.kind == promotion.kind and past.id in set(evidence["promotion"]):
            days = [activity.day_of(day) for day in past.dates]
            seen = [k for k, day in enumerate(days) if 0 <= day < activity.n_history and activity.known[day]]
            found += [(past.id, len(seen), len(days), seen[0])] if seen else []
    earliest = min((first for *_, first in found), default=0)
    guess = f": what days before its day {earliest + 1} do is guessed from those after, widely" if earliest else ""
    return [
        f"of {name} the history holds {n_seen} of {n_days} days, from day {first + 1} on{guess}"
        for name, n_seen, n_days, first in found
        if n_seen < n_days
    ]


def _left_out(evidence: pd.DataFrame) -> str:
    users = evidence.loc[evidence["metric"] == "dau", "left_out_error"]
    if not len(users):
        return ", which is a stated prior: no past promotion is known"
    return (
        f"; left out and forecast from the others, past promotions came {float(np.abs(users).mean()):.0%} off in users"
    )


def _biggest_day(
    promotion: "Promotion",
    calendar: Calendar,
    activity: Activity,
    dau: EffectForecast,
    conversion: EffectForecast,
    *,
    orders: Floats,
) -> str:
    at = np.unique([day.day for day in calendar.ahead])
    own = {day.day for day in calendar.ahead if day.promotion == promotion.id and day.inside}
    rows = [row for row, day in enumerate(at) if day in own and orders[day - activity.n_history] > 0]
    if not rows:
        return ""
    row = max(rows, key=lambda k: orders[at[k] - activity.n_history])
    day = pd.Timestamp(activity.first) + pd.Timedelta(days=int(at[row]))
    return (
        f"on {day:%Y-%m-%d}, the day of most orders, the promotion multiplies users by {np.exp(dau.mean[row]):.2f} and "
        f"orders per user by {np.exp(conversion.mean[row]):.2f}"
    )


def _business_lines(business: BusinessEstimate) -> list[str]:
    lines = []
    for metric, track in business.tracks.items():
        record = (
            f"{track.n} past estimates came {np.expm1(track.bias):+.0%} off on average (shrunk)"
            if track.n
            else f"no past estimate is on record: no bias and a spread of {PRIOR_SD:.0%} are assumed"
        )
        three = business.opinions[metric]
        lines.append(
            f"{metric.upper()} of the largest day: history {three['history'].q50:,.0f}, business "
            f"{three['business'].q50:,.0f}, combined {three['combined'].q50:,.0f}; the business weighs "
            f"{business.weights[metric]:.0%} ({record})"
        )
    return lines


def _narrow(promotion: "Promotion", evidence: pd.DataFrame, known: int) -> str:
    own = evidence.loc[evidence["kind"] == promotion.kind, "promotion"].nunique()
    if own < 2:
        return f"what would narrow it most: daily activity, or `actual`, of more past {promotion.kind!r} promotions"
    if known < 730:
        return "what would narrow it most: a second year of daily activity"
    return "what would narrow it most: forecasting nearer to the day, when the level it starts from is known"


def assumptions(
    course: Course, *, country: str | None, lessons: "Lessons | None", promotion: "Promotion"
) -> tuple[str, ...]:
    """Every default that was used, and its effect."""
    activity, calendar = course.activity, course.calendar
    lines = closed_assumptions(activity, course.dates, course.closed)
    if activity.left_out:
        names = ", ".join(activity.left_out)
        lines.append(f"segments with too few days, or none of late, are left out: {names}")
    if country is None:
        lines.append("country is not set: no public holidays are known, their days widen the forecast")
    if activity.lead < 0 and len(activity.segments) > 1:
        lines.append("no segment 'total': DAU is a sum over segments, an upper bound where people use several")
    if promotion.expected is not None and promotion.expected.dau is not None:
        lines.append(
            "errors of the business and of history are taken to be correlated by 0.3: two voices count as less than two"
        )
    if promotion.inventory is not None:
        lines.append("each order takes one unit of the inventory; only hours within the promotion draw on it")
    if calendar.masked.any():
        lines.append(
            f"{int(calendar.masked.sum())} days in and around promotions teach effects only, not the ordinary course"
        )
    if any(0 < day.cover < 0.95 for day in calendar.ahead):
        lines.append("a day that a promotion covers in part counts by a typical shop's activity in those hours")
    if lessons is not None and any(lesson.parameter in ("dau", "dat_per_dau") for lesson in lessons):
        lines.append("lessons on DAU and DAT per DAU move what is believed of a kind before its data")
    return tuple(lines)
