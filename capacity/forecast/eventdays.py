"""What a promotion asks of each day around it: regressors aligned on its start instant, not on the calendar.

A day counts by the share of an ordinary day's activity that the promotion covers, so that a first day of four evening
hours is not taken for a full one; hours are told apart by how long after the start they lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Share of a day's activity in each local hour at an ordinary online shop: a night, a plateau, an evening. Only days
# that a promotion covers in part read it, and what it gets wrong the `part` regressor learns.
HOURS = np.array([28, 18, 12, 9, 9, 12, 20, 30, 40, 50, 56, 56, 54, 52, 50, 50, 50, 50, 50, 55, 64, 68, 62, 47], float)
HOURS /= HOURS.sum()
BLOCKS = (0.0, 24.0, 48.0, 96.0, 192.0, np.inf)  # hours after the start
BEFORE = ((1, 1), (2, 2), (3, 4), (5, 7))  # days before the first day
AFTER = ((1, 1), (2, 2), (3, 4), (5, 7))  # days after the last day
N_BLOCKS = len(BLOCKS) - 1
MAIN = slice(0, N_BLOCKS)
PART, LAST, WEEKDAY, OPENING = range(N_BLOCKS, N_BLOCKS + 4)
SIDES = slice(N_BLOCKS + 4, N_BLOCKS + 4 + len(BEFORE) + len(AFTER))
N_TERMS = SIDES.stop
REACH = (BEFORE[-1][1], AFTER[-1][1])
_MINUTES = np.concatenate([[0.0], np.cumsum(np.repeat(HOURS / 60, 60))])


@dataclass(frozen=True)
class EventDay:
    """One day of one promotion: ``cover`` (0–1) of the day's activity, by block since the start, and its place.

    ``opens`` tells that the start instant lies in it.
    """

    promotion: str
    kind: str
    day: int
    cover: float
    blocks: tuple[float, ...]
    side: int
    opens_late: float
    is_last: bool
    intensity: float
    years: float
    opens: bool

    @property
    def inside(self) -> bool:
        """Whether any hour of the day lies in the promotion."""
        return self.cover > 0


def share_of_day(start_h: float, end_h: float) -> float:
    """Share of a day's activity between two local hours.

    Examples
    --------
    >>> share_of_day(0, 24)
    1.0
    >>> 4 / 24 < share_of_day(20, 24) < 0.3
    True
    """
    at = np.interp([start_h * 60, end_h * 60], np.arange(1441), _MINUTES)
    return float(round(at[1] - at[0], 12))


def event_days(
    identity: str,
    kind: str,
    starts_at: datetime,
    ends_at: datetime,
    *,
    intensity: float,
    first: np.datetime64,
    years_from: int,
) -> list[EventDay]:
    """Days of a promotion with those before and after it.

    Parameters
    ----------
    identity, kind : str
        Which promotion.
    starts_at, ends_at : datetime
        Local wall-clock times.
    intensity : float
        Depth of the offer relative to others of its kind.
    first : datetime64
        Day 0 of the counting.
    years_from : int
        Day from which years are counted (negative in the past).
    """
    start = np.datetime64(starts_at.replace(tzinfo=None), "s")
    end = np.datetime64(ends_at.replace(tzinfo=None), "s")
    one = np.timedelta64(1, "D")
    start_day = start.astype("datetime64[D]")
    last_day = (end - np.timedelta64(1, "s")).astype("datetime64[D]")
    n_days = int((last_day - start_day) / one) + 1
    offset = int((start_day - first.astype("datetime64[D]")) / one)
    days: list[EventDay] = []
    for k in range(-REACH[0], n_days + REACH[1]):
        midnight = (start_day + k * one).astype("datetime64[s]")
        begin = max((start - midnight) / np.timedelta64(1, "h"), 0.0)
        finish = min((end - midnight) / np.timedelta64(1, "h"), 24.0)
        since = float((midnight - start) / np.timedelta64(1, "h"))
        blocks = tuple(
            share_of_day(max(begin, lo - since), min(finish, hi - since))
            if min(finish, hi - since) > max(begin, lo - since)
            else 0.0
            for lo, hi in pairwise(BLOCKS)
        )
        cover = min(sum(blocks), 1.0)
        side = _side(-k if k < 0 else 0, k - n_days + 1 if k >= n_days else 0)
        days.append(
            EventDay(
                identity,
                kind,
                offset + k,
                cover,
                blocks,
                side,
                1.0 - cover if k == 0 and cover < 0.95 else 0.0,
                k == n_days - 1 and n_days > 2,
                intensity,
                (offset + k - years_from) / 365.25,
                k == 0,
            )
        )
    return days


def _side(before: int, after: int) -> int:
    """Index of the term of a day before or after, −1 within."""
    for index, (lo, hi) in enumerate(BEFORE):
        if lo <= before <= hi:
            return index
    for index, (lo, hi) in enumerate(AFTER):
        if lo <= after <= hi:
            return len(BEFORE) + index
    return -1


def terms(
    days: Sequence[EventDay], *, uplift: dict[str, float], rush: dict[str, float], weekday: Floats
) -> tuple[Floats, Floats]:
    """Regressors (days, terms) and a known part (days,) of each event day's log effect.

    A promotion that multiplies a full day by e^m multiplies a day covered by a share c by 1 + c (e^m − 1). The opening
    rush comes on top, at whatever hour the start lies: r (e^m − 1) more, the same for a midnight's full day as for an
    evening. Both are linear in m and log r near the kind's typical m₀, r₀: the slopes are the regressors, what is left
    there the known part, so that a stronger promotion moves an evening by as much as it really does. ``uplift`` holds
    e^m₀ − 1 of each kind, ``rush`` r₀;
    ``weekday`` (days,) is the day's ordinary weekday effect, which strong events override in part.
    """
    values, known = np.zeros((len(days), N_TERMS)), np.zeros(len(days))
    for row, (day, effect) in enumerate(zip(days, weekday, strict=True)):
        if day.inside:
            typical = day.intensity * np.log1p(max(uplift.get(day.kind, uplift[""]), 0.05))
            opening = rush.get(day.kind, rush[""]) * day.opens
            volume = 1 + (day.cover + opening) * np.expm1(typical)
            slope = (day.cover + opening) * np.exp(typical) / volume
            known[row] = np.log(volume) - slope * typical
            weight = slope * day.intensity
            values[row, MAIN] = weight * np.array(day.blocks) / day.cover
            values[row, OPENING] = opening * np.expm1(typical) / volume
            values[row, PART] = day.opens_late * weight
            values[row, LAST] = weight * day.is_last
            values[row, WEEKDAY] = weight * effect
        elif day.side >= 0:
            values[row, SIDES.start + day.side] = day.intensity
    return values, known
