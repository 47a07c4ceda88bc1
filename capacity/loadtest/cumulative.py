"""Numbers that are read now and then, made into numbers by second."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.requests import LONGEST_PAUSE_S

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_RAMP = 0.7
_MOST_SECONDS = 10_000_000


def by_second(at_s: Array, changes: Mapping[str, Array], unknown: Bools) -> tuple[Ints, dict[str, Array]]:
    """Spread what changed between readings evenly over the time between them.

    Parameters
    ----------
    at_s
        When it was read, increasing, (n,).
    changes
        What was added between each reading and the next, each (n - 1,).
    unknown
        Between which readings that is not known, (n - 1,).

    Returns
    -------
    second, changes
        Whole seconds that lie between readings at most a minute apart, (T,), and what was added in each; NaN where it
        is not known.

    Examples
    --------
    >>> second, added = by_second(np.array([0.0, 2.0, 3.0]), {"x": np.array([4.0, 1.0])}, np.array([False, True]))
    >>> second.tolist(), added["x"].tolist()
    ([0, 1, 2], [2.0, 2.0, nan])
    """
    none = np.zeros(0)
    if len(at_s) < 2:
        return none.astype(np.int64), dict.fromkeys(changes, none)
    second = _seconds_between(at_s)
    inside = (second >= at_s[0]) & (second + 1 <= at_s[-1])
    second = second[inside]
    unknown = unknown | (np.diff(at_s) > LONGEST_PAUSE_S)
    lost = _differences(at_s, unknown.astype(float), second) > 0
    found = {}
    for name, values in changes.items():
        missing = unknown | ~np.isfinite(values)
        also = _differences(at_s, missing.astype(float), second) > 0
        added = _differences(at_s, np.where(missing, 0.0, values), second)
        found[name] = np.where(lost | also, np.nan, added)
    return second, found


def _seconds_between(at_s: Array) -> Ints:
    """Whole seconds that lie wholly between readings at most a minute apart."""
    first, last = np.floor(at_s[:-1]).astype(np.int64), np.ceil(at_s[1:]).astype(np.int64)
    near = np.diff(at_s) <= LONGEST_PAUSE_S
    length = np.where(near, np.maximum(last - first, 0), 0)
    if not 0 < int(length.sum()) <= _MOST_SECONDS:
        return np.zeros(0, np.int64)
    begins = np.cumsum(length) - length
    return np.unique(np.repeat(first - begins, length) + np.arange(int(length.sum())))


def _differences(at_s: Array, changes: Array, second: Ints) -> Array:
    total = np.concatenate([[0.0], np.cumsum(changes)])
    return np.asarray(np.interp(second + 1.0, at_s, total) - np.interp(second.astype(np.float64), at_s, total))


def held_by_second(at_s: Array, values: Array, second: Ints, *, tolerance: float = 0.0) -> Array:
    """Values that were read now and then, such as numbers of users, in whole seconds, (T,).

    NaN where the value before and the value after a second differ by more than a share ``tolerance`` of the larger,
    since when it changed is not known; where it changes most of the time it is a ramp: the mean of the two is given.

    Examples
    --------
    >>> held_by_second(np.array([0.0, 5.0, 10.0, 15.0, 20.0]), np.array([1.0, 1.0, 1.0, 1.0, 2.0]), np.arange(14, 17))
    array([ 1., nan, nan])
    """
    if len(at_s) < 2:
        return np.full(len(second), np.nan)
    before = np.clip(np.searchsorted(at_s, second, side="right") - 1, 0, len(at_s) - 1)
    after = np.clip(np.searchsorted(at_s, second + 1.0, side="left"), 0, len(at_s) - 1)
    ramp = bool(np.mean(_differ(values[:-1], values[1:], tolerance)) > _RAMP)
    unknown = _differ(values[before], values[after], tolerance) & ~ramp
    return np.where(unknown, np.nan, (values[before] + values[after]) / 2.0)


def _differ(one: Array, other: Array, tolerance: float) -> Bools:
    # A value that is not known differs from every other.
    return np.asarray(~(np.abs(one - other) <= tolerance * np.maximum(np.abs(one), np.abs(other))))


def evenly_read(at_s: Array) -> Array:
    """When rows were written that are written evenly and dated to the whole second, (n,).

    A row every 1.001 s skips a second now and then; a straight line through all of them tells the time to a fraction.
    Where rows are not even, the middle of their seconds is given.

    Examples
    --------
    >>> evenly_read(np.array([0.0, 1.0, 2.0, 4.0, 5.0])).round(1).tolist()
    [0.3, 1.6, 2.9, 4.2, 5.5]
    """
    middle = np.floor(at_s) + 0.5
    if len(at_s) < 3:
        return middle
    place = np.arange(len(at_s), dtype=np.float64)
    slope, level = np.polyfit(place, middle - middle[0], 1)
    even = middle[0] + level + slope * place
    # Half a second of truncation, and as much again for a writer that was late.
    return even if slope > 0 and np.max(np.abs(even - middle)) <= 1.0 else middle
