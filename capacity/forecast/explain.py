"""What drives a forecast, how thin its evidence is, and what would narrow it most: in words with numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capacity.forecast.activity import Activity
from capacity.forecast.adjust import estimate_of
from capacity.forecast.business import PRIOR_SD, BusinessEstimate
from capacity.forecast.course import Course
from capacity.forecast.doubt import SOURCES, Doubt
from capacity.forecast.explain_closed import closed_assumptions, closed_reasons
from capacity.forecast.heard import Heard

if TYPE_CHECKING:
    from capacity.lessons import Lessons
    from capacity.promotion import Promotion

_WORTH_DOING = 0.02  # of the interval's width on the log scale
_NAMED = 4  # past promotions of the kind whose weights are written out


def evidence_frame(course: Course, everything: Sequence["Promotion"], *, day: int | None) -> pd.DataFrame:
    """One row a past promotion and metric: its strongest day's effect, its weight, its error when left out.

    ``day`` is the place in the horizon that the weights are for.
    """
    kinds = {promotion.id: promotion.kind for promotion in everything}
    activity = course.activity
    rows = []
    for metric, part in course.parts.items():
        for name, (error, sd) in part.effects.left_out.items():
            days = [
                d.day for d in course.calendar.past if d.promotion == name and d.inside and d.day < activity.n_history
            ]
            seen = part.lead[days][np.isfinite(part.lead[days])] if days else np.array([])
            rows.append(
                {
                    "promotion": name,
                    "kind": kinds[name],
                    "metric": metric,
                    "largest_factor": float(np.exp(seen.max())) if len(seen) else None,
                    "weight": None if day is None else float(part.effects.follows[name][part.at == day][0]),
                    "left_out_error": error,
                    "left_out_sd": sd,
                }
            )
    columns = ["promotion", "kind", "metric", "largest_factor", "weight", "left_out_error", "left_out_sd"]
    return pd.DataFrame(rows, columns=columns)


def reasons(
    promotion: "Promotion",
    course: Course,
    heard: Heard,
    *,
    evidence: pd.DataFrame,
    found: Doubt | None,
    everything: Sequence["Promotion"],
) -> tuple[str, ...]:
    """Sentences, the most important first."""
    activity = course.activity
    dau, conversion = (course.parts[name].effects for name in ("dau", "dat_per_dau"))
    lines = [_leans_on(promotion, evidence), *_seen_in_part(promotion, everything, activity, evidence)]
    lines += closed_reasons(promotion, activity, course.closed)
    lines += [_weights(promotion, evidence)]
    lines.append(
        f"one promotion strays from its kind by about {dau.event_sd:.0%} in users and {conversion.event_sd:.0%} in "
        f"orders per user{_left_out(evidence)}"
    )
    widened = max(dau.inflation, conversion.inflation)
    if widened > 1.01:
        lines.append(f"past promotions came further off than expected; promotion days are widened by {widened:.2f}")
    if found is not None:
        lines.append(_biggest_day(course, found.day))
    known = int(activity.known.sum())
    if known < 365:
        lines.append(
            f"the history has {known} known days: a whole year's season has not been seen, intervals are wider"
        )
    lines += [f"{line}{_hidden_effect(course, found)}" for line in activity.hidden_says]
    if heard.business is not None:
        lines += _business_lines(heard.business)
    if heard.sold_out > 0 and promotion.inventory is not None:
        lines.append(
            f"inventory of {promotion.inventory.units:,} units caps orders: sold out in {heard.sold_out:.0%} of futures"
        )
    lines += _doubt_lines(found)
    return tuple(line for line in lines if line)


def _weights(promotion: "Promotion", evidence: pd.DataFrame) -> str:
    """Say which past promotions the middle forecast follows, and how far."""
    known = evidence.dropna(subset="weight")
    if not len(known):
        return ""
    wide = known.pivot_table(index="promotion", columns="metric", values="weight", sort=False)
    own = known.loc[known["kind"] == promotion.kind, "promotion"].unique()
    wide = wide.loc[list(own)].sort_values("dat_per_dau", ascending=False)
    told = [f"{row.Index} {row.dau:.0%} and {row.dat_per_dau:.0%}" for row in wide.head(_NAMED).itertuples()]
    sums = known.assign(own=known["kind"] == promotion.kind).groupby(["own", "metric"])["weight"].sum()
    others = [sums.get((False, metric), 0.0) for metric in ("dau", "dat_per_dau")]
    rest = [1 - known.loc[known["metric"] == metric, "weight"].sum() for metric in ("dau", "dat_per_dau")]
    told += [f"other kinds {others[0]:.0%} and {others[1]:.0%}"] if (known["kind"] != promotion.kind).any() else []
    told += [f"what is believed before any data {rest[0]:.0%} and {rest[1]:.0%}"]
    return f"weights in the day of most orders, in users and in orders per user: {', '.join(told)}"


def _hidden_effect(course: Course, found: Doubt | None) -> str:
    """How far the orders that limits hid move the middle forecast of the day of most orders."""
    if found is None:
        return ""
    part = course.parts["dat_per_dau"]
    day = np.zeros(len(part.seen.effect), dtype=np.intp)
    day[part.seen.row] = [event.day for event in part.seen.days]
    inside = (day >= 0) & (day < course.activity.n_history)
    added = np.where(inside, course.activity.hidden_log[np.where(inside, day, 0)], 0.0)
    moved = float((part.effects.gain @ added)[part.at == found.day][0])
    return f"; this moves orders on the day of most orders by {np.expm1(moved):+.1%}"


def _doubt_lines(found: Doubt | None) -> list[str]:
    """Where the width comes from, and what would narrow it, orders first."""
    if found is None:
        return []
    sources = found.sources[found.sources["metric"] == "dat"].sort_values("share", ascending=False)
    most = [f"{SOURCES[str(row.source)]} ({row.share:.0%})" for row in sources.head(2).itertuples()]
    lines = [f"the doubt about orders on the day of most orders comes from {most[0]}, then {most[1]}"]
    options = found.options[found.options["metric"] == "dat"].sort_values("ends_apart_then", kind="stable")
    now = float(options["ends_apart_now"].iloc[0])
    told = "; ".join(f"{row.option}: {row.ends_apart_then:.2f}" for row in options.itertuples())
    narrower = 1 - np.log(options["ends_apart_then"].min()) / np.log(now) if now > 1 else 0.0
    head = "what would narrow it most" if narrower >= _WORTH_DOING else "nothing asked here would narrow it much"
    ends = f"the upper end of the 90 % interval of orders is {now:.2f} times the lower"
    return [*lines, f"{head}: {ends}; measured by asking the model again, it would be, with {told}"]


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


def _biggest_day(course: Course, day: int) -> str:
    factors = [float(np.exp(part.effects.mean[part.at == day][0])) for part in course.parts.values()]
    return (
        f"on {course.dates[day]:%Y-%m-%d}, the day of most orders, the promotion multiplies users by {factors[0]:.2f} "
        f"and orders per user by {factors[1]:.2f}"
    )


def _business_lines(business: BusinessEstimate) -> list[str]:
    lines = []
    for metric, track in business.tracks.items():
        record = (
            f"{track.n} past estimates are on record: what came lay {np.expm1(track.bias):+.0%} from their middle, "
            f"shrunk, with a spread of {track.sd:.0%}"
            if track.n
            else f"no past estimate is on record: no bias and a spread of {PRIOR_SD:.0%} are assumed"
        )
        three = business.opinions[metric]
        lines.append(
            f"{metric.upper()} of the largest day: history {three['history'].q50:,.0f}, business "
            f"{three['business'].q50:,.0f}, combined {three['combined'].q50:,.0f}; the business weighs "
            f"{business.weights[metric]:.0%} ({record})"
        )
        if business.contradicts(metric):
            lines.append(
                f"history and the business, its past bias taken out, contradict each other on {metric.upper()}: at "
                "least one is wrong, the interval is widened; ask what the estimate knows that history does not"
            )
    return lines


def assumptions(
    course: Course, *, country: str | None, lessons: "Lessons | None", promotion: "Promotion"
) -> tuple[str, ...]:
    """Every default that was used, and its effect."""
    activity, calendar = course.activity, course.calendar
    lines = [*closed_assumptions(activity, course.dates, course.closed), *activity.hidden_assumes]
    if activity.left_out:
        names = ", ".join(activity.left_out)
        lines.append(f"segments with too few days, or none of late, are left out: {names}")
    if country is None:
        lines.append("country is not set: no public holidays are known, their days widen the forecast")
    if activity.lead < 0 and len(activity.segments) > 1:
        lines.append("no segment 'total': DAU is a sum over segments, an upper bound where people use several")
    if any(estimate_of(promotion, metric) is not None for metric in ("dau", "dat")):
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
