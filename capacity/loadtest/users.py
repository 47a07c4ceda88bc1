"""Users by second, from what tools write of them: numbers of each generator, or when each user came and went."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.requests import LONGEST_PAUSE_S, grouped

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_TO_AND_FRO = 0.25
_LEAST_TURNS = 8
_SOON, _NOBODY = 3, 0.5
"""Arrivals turn their number about every second or third time it is looked at; a step of users lasts longer."""
_LONGEST_STILL_S = 86_400
_MOST_SECONDS = 10_000_000


class UserCount:
    """Mean number of users by second, summed over generators that each know only their own.

    Examples
    --------
    >>> count = UserCount()
    >>> count.add("a", np.array([0, 1, 3]), np.array([2.0, 2.0, 4.0]))
    >>> count.add("b", np.array([1, 2]), np.array([1.0, 1.0]))
    >>> [x.tolist() for x in count.by_second()]
    [[0, 1, 2, 3], [2.0, 3.0, 3.0, 4.0]]
    """

    def __init__(self) -> None:
        self._of: dict[object, tuple[Ints, Array, Array]] = {}

    def add(self, source: object, second: Ints, users: Array) -> None:
        """Note users as one generator wrote them, each (n,); NaN and negative numbers are passed over."""
        known = np.isfinite(users) & (users >= 0)
        if not known.any():
            return
        before = self._of.get(source, (np.zeros(0, np.int64), np.zeros(0), np.zeros(0)))
        values = np.concatenate([before[1], users[known]])
        weights = np.concatenate([before[2], np.ones(int(known.sum()))])
        places, group = grouped(np.concatenate([before[0], second[known]]))
        # Sums, not means: what is added later weighs the same.
        self._of[source] = (
            places,
            _sums(group, values, len(places)),
            _sums(group, weights, len(places)),
        )

    @property
    def sources(self) -> int:
        """How many generators wrote numbers."""
        return len(self._of)

    def by_second(self) -> tuple[Ints, Array]:
        """Give seconds and users, (T,): a second without a number has that of the second before it."""
        filled = [_held(second, sums / weights) for second, sums, weights in self._of.values()]
        return _summed(filled)


class Lifetimes:
    """Users by second from when each came and went.

    Examples
    --------
    >>> lives = Lifetimes()
    >>> lives.came(np.array([0.0, 1.0]))
    >>> lives.went(np.array([3.0]))
    >>> [x.tolist() for x in lives.by_second(from_s=0.0, until_s=4.0)]
    [[0, 1, 2, 3], [1.0, 2.0, 2.0, 1.0]]
    """

    def __init__(self) -> None:
        self._came: list[Array] = []
        self._went: list[Array] = []

    def came(self, at_s: Array) -> None:
        """Note when users came, (n,) seconds since 1970."""
        self._came.append(at_s)

    def went(self, at_s: Array) -> None:
        """Note when users went, (n,) seconds since 1970."""
        self._went.append(at_s)

    def by_second(self, *, from_s: float, until_s: float) -> tuple[Ints, Array]:
        """Give seconds between two times and the mean number of users in each, (T,); times without any are left out."""
        came, went = (_joined(times) for times in (self._came, self._went))
        if not len(came):
            return np.zeros(0, np.int64), np.zeros(0)
        at = np.concatenate([came, went])
        sign = np.concatenate([np.ones(len(came)), -np.ones(len(went))])
        keep = at <= until_s
        second = np.floor(at[keep]).astype(np.int64)
        # Who comes within a second is there for the rest of it.
        share = sign[keep] * (second + 1 - at[keep])
        places, group = np.unique(second, return_inverse=True)
        step = _sums(group, sign[keep], len(places))
        within = _sums(group, share, len(places))
        before = np.cumsum(step) - step
        found, users = _spread(places, before + within, np.cumsum(step), last=int(np.ceil(until_s)) - 1)
        inside = found >= np.floor(from_s)
        return found[inside], users[inside]


def _sums(group: Ints, values: Array, size: int) -> Array:
    return np.bincount(group, weights=values, minlength=size).astype(np.float64, copy=False)


def _joined(times: list[Array]) -> Array:
    if not times:
        return np.zeros(0)
    joined = np.concatenate(times)
    return joined[np.isfinite(joined) & (np.abs(joined) < 1e11)]


def _spread(places: Ints, inside: Array, after: Array, *, last: int) -> tuple[Ints, Array]:
    """Fill seconds between events with the number that stayed; a stretch with nobody is left out."""
    length = np.diff(places, append=max(last, int(places[-1])) + 1)
    # Nobody, or nothing for a day: a user whose end was never written must not fill a calendar.
    length = np.where((after > 0.5) & (length <= _LONGEST_STILL_S), length, 1)
    length = length if int(length.sum()) <= _MOST_SECONDS else np.minimum(length, LONGEST_PAUSE_S)
    begins = np.cumsum(length) - length
    second = np.repeat(places - begins, length) + np.arange(int(length.sum()))
    users = np.repeat(after, length)
    users[begins] = inside
    return second, np.maximum(users, 0.0)


def _held(second: Ints, users: Array) -> tuple[Ints, Array]:
    gap = np.diff(second, append=second[-1] + 1)
    length = np.where(gap <= LONGEST_PAUSE_S, gap, 1)
    begins = np.cumsum(length) - length
    return np.repeat(second - begins, length) + np.arange(int(length.sum())), np.repeat(users, length)


def _summed(pieces: list[tuple[Ints, Array]]) -> tuple[Ints, Array]:
    if not pieces:
        return np.zeros(0, np.int64), np.zeros(0)
    places, group = np.unique(np.concatenate([s for s, _ in pieces]), return_inverse=True)
    return places, _sums(group, np.concatenate([u for _, u in pieces]), len(places))


def model_of(users: Array) -> Literal["open", "closed"]:
    """Tell from users by second, or as often as read, (T,), whether their number was set or came of arrivals.

    A number that is set stands still, or moves one way for a while; one that comes of arrivals goes to and fro from
    second to second. Where steps are short and users leave between them, their number falls and rises too, but stands
    still in between.

    Examples
    --------
    >>> model_of(np.repeat([1.0, 2.0, 4.0], 20))
    'closed'
    >>> model_of(np.random.default_rng(1).poisson(20.0, 60).astype(float))
    'open'
    """
    present = np.round(users[np.isfinite(users) & (users > _NOBODY)])
    change = np.sign(np.diff(present))
    moves = np.flatnonzero(change)
    moved = change[moves]
    turns = int(np.count_nonzero((moved[1:] != moved[:-1]) & (np.diff(moves) <= _SOON)))
    often = turns >= max(_TO_AND_FRO * len(moved), _TO_AND_FRO * len(change) / 2, _LEAST_TURNS)
    return "open" if often else "closed"
