"""What stands beside history: lessons of reviews, the business's estimate, and how much there is to sell."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from capacity.forecast.activity import Activity, largest
from capacity.forecast.business import Z90, BusinessEstimate, Track, Voice, combine, learn_track, voice

if TYPE_CHECKING:
    from capacity.lessons import Lessons
    from capacity.promotion import Promotion, Range

Floats = npt.NDArray[np.float64]
# How far off a forecast's centre usually is for reasons that stay: a lesson is believed by its precision beside this.
_BIAS_SD = 0.15


def taught_shifts(
    lessons: "Lessons | None", promotions: Sequence["Promotion"], as_of: date
) -> dict[str, dict[str, float]]:
    """Shift of a kind's prior mean (log) by lessons on ``dau`` and ``dat_per_dau``, a kind.

    A lesson tells what the program would have got wrong, not what happened: what happened is in the history already.
    So it moves only what is believed before the kind's own data, by its precision.
    """
    shifts: dict[str, dict[str, float]] = {}
    for lesson in lessons or ():
        if lesson.parameter not in ("dau", "dat_per_dau") or lesson.learned_at >= as_of:
            continue
        q = lesson.quantiles
        sd = max(float(np.log(q.q95 / q.q05)) / Z90, 0.02)
        moved = float(np.log(q.q50)) * _BIAS_SD**2 / (_BIAS_SD**2 + sd**2)
        for kind in sorted({p.kind for p in promotions}):
            if lesson.holds_for(kind=kind):
                shifts.setdefault(lesson.parameter, {}).setdefault(kind, moved)
                # Several lessons on one kind: the newest speaks, as it was learnt with the older ones applied.
                shifts[lesson.parameter][kind] = moved
    return shifts


def with_business(
    dau: Floats,
    dat: Floats,
    promotion: "Promotion",
    everything: Sequence["Promotion"],
    activity: Activity,
    lean: dict[str, Floats],
) -> tuple[Floats, Floats, BusinessEstimate | None, dict[str, Floats]]:
    """Combine the futures of the promotion's days with the business's estimate of its largest day.

    Parameters
    ----------
    lean : dict
        Per metric, (horizon,) how far each day follows the largest one when the promotion turns out stronger: an
        evening that opens it does more than its share of the day; 0 outside the promotion.

    Returns
    -------
    dau, dat, business, review
        Moved futures; the three opinions; and the log shift (horizon,) of DAU and of DAT per DAU that was made.
    """
    review = {"dau": np.zeros(dau.shape[2]), "dat_per_dau": np.zeros(dau.shape[2])}
    said = {metric: estimate_of(promotion, metric) for metric in ("dau", "dat")}
    opinions: dict[str, dict[str, Voice]] = {}
    tracks: dict[str, Track] = {}
    weights: dict[str, float] = {}
    moved = np.ones((1, 1, 1))
    if said["dau"] is not None and dau[:, :, lean["dau"] > 0].any():
        tracks["dau"] = learn_track(past_ratios("dau", everything, activity))
        found = _moved(dau, said["dau"], tracks["dau"], activity, lean["dau"])
        moved, opinions["dau"], weights["dau"], shift = found
        review["dau"] = shift * lean["dau"]
        dau = dau * moved
    if said["dat"] is not None and dat[:, :, lean["dat"] > 0].any():
        # Orders have an estimate of their own: the users' shift is not counted a second time in them.
        tracks["dat"] = learn_track(past_ratios("dat", everything, activity))
        found = _moved(dat, said["dat"], tracks["dat"], activity, lean["dat"])
        moved, opinions["dat"], weights["dat"], shift = found
        review["dat_per_dau"] = shift * lean["dat"] - review["dau"]
    dat = dat * moved
    # A promotion on closed days alone leaves the business's estimate nothing to be combined with.
    business = BusinessEstimate(opinions, tracks, weights) if opinions else None
    return dau, dat, business, review


def _moved(
    samples: Floats, expected: "Range", track: Track, activity: Activity, lean: Floats
) -> tuple[Floats, dict[str, Voice], float, float]:
    """Factor (n, 1, horizon) that turns history's futures into combined ones, and what it rests on."""
    days = lean > 0
    whole = samples[:, activity.lead] if activity.lead >= 0 else samples.sum(axis=1)
    logs = np.log(whole[:, days].max(axis=1))
    q05, centre, q95 = np.quantile(logs, [0.05, 0.5, 0.95])
    spread = float(max((q95 - q05) / Z90, 1e-6))
    stated = max(float(np.log(expected.high / expected.low)) / Z90, 0.0) if expected.low > 0 else 0.0
    own_sd = max(track.sd, stated)
    own = float(np.log(expected.mid)) + track.bias
    mean, sd, share = combine((float(centre), spread), (own, own_sd))
    target = mean + (logs - centre) * sd / spread
    shift = (target - logs)[:, None, None] * lean[None, None]
    voices = {
        "history": Voice(*(float(np.exp(q)) for q in (q05, centre, q95))),
        "business": Voice(expected.low, expected.mid, expected.high),
        "business_corrected": voice(own, own_sd),
        "combined": Voice(*(float(np.exp(q)) for q in np.quantile(target, [0.05, 0.5, 0.95]))),
    }
    return np.exp(shift), voices, share, mean - float(centre)


def estimate_of(promotion: "Promotion", metric: str) -> "Range | None":
    """Return the business's estimate of a promotion; a middle of nothing is none, it cannot be a guess."""
    given: Range | None = getattr(promotion.expected, metric) if promotion.expected is not None else None
    return given if given is not None and given.mid > 0 else None


def past_ratios(metric: str, everything: Sequence["Promotion"], activity: Activity) -> list[float]:
    """Log(actual / mid) of past promotions that had an estimate and whose largest day is known."""
    found = []
    values = activity.whole[0 if metric == "dau" else 1]
    for past in everything:
        expected = estimate_of(past, metric)
        if past.dates[-1] >= activity.as_of or expected is None:
            continue
        actual = largest(values, [activity.day_of(day) for day in past.dates])
        if actual is None and past.actual is not None:
            actual = getattr(past.actual, metric)
        if actual:
            found.append(float(np.log(actual / expected.mid)))
    return found


def capped(dat: Floats, promotion: "Promotion", activity: Activity, weight: Floats) -> tuple[Floats, float]:
    """Cap the promotion's orders at what there is to sell, day by day; returns the share of futures sold out.

    Only the part of a day that lies in the promotion draws on its inventory.
    """
    if promotion.inventory is None:
        return dat, 0.0
    whole = dat[:, activity.lead] if activity.lead >= 0 else dat.sum(axis=1)
    wanted = whole * weight[None]
    sold = np.minimum(np.cumsum(wanted, axis=1), promotion.inventory.units)
    lost = wanted - np.diff(sold, axis=1, prepend=0.0)
    factor = 1 - lost / np.where(whole > 0, whole, 1.0)  # a closed day loses nothing
    return dat * factor[:, None], float((lost.sum(axis=1) > 0).mean())
