"""Where a run's load stood still: its steps, found on the load that was offered and never on throughput.

Past the knee throughput stands still while the load still rises, so steps found on throughput would be merged there.

References
----------
.. [1] B. Jackson et al., "An algorithm for optimal partitioning of data on an interval", IEEE Signal Processing Letters
   12 (2005).
.. [2] F. J. Anscombe, "The transformation of Poisson, binomial and negative-binomial data", Biometrika 35 (1948): the
   root of a count has the same noise at every level.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_LONGEST_PIECE = 1500
_SAME_LEVEL = 0.02
_SHORTEST_STEP_S = 5


@dataclass(frozen=True)
class Segment:
    """A stretch of constant load: whole seconds from ``begins_s`` to before ``ends_s``, and the load in it."""

    begins_s: int
    ends_s: int
    level: float

    @property
    def seconds(self) -> int:
        """Length."""
        return self.ends_s - self.begins_s


def plateaus(second: Ints, load: Array, *, counts: bool, shortest_s: int = _SHORTEST_STEP_S) -> tuple[Segment, ...]:
    """Find where load stood still.

    Parameters
    ----------
    second
        Whole seconds, increasing, (T,); a gap ends a step.
    load
        Users, or requests that began, in each, (T,); NaN is unknown.
    counts
        Whether ``load`` counts random arrivals, which scatter, rather than users, which do not.
    shortest_s
        Shorter stretches are ramps.

    Examples
    --------
    >>> found = plateaus(np.arange(40), np.repeat([5.0, 10.0], 20), counts=False)
    >>> [(s.begins_s, s.ends_s, s.level) for s in found]
    [(0, 20, 5.0), (20, 40, 10.0)]
    """
    known = np.isfinite(load)
    second, load = second[known], load[known]
    found: list[Segment] = []
    for piece in np.split(np.arange(len(second)), np.flatnonzero(np.diff(second) > 1) + 1):
        if len(piece):
            found.extend(_plateaus(second[piece], load[piece], counts=counts, shortest_s=shortest_s))
    return tuple(found)


def _plateaus(second: Ints, load: Array, *, counts: bool, shortest_s: int) -> list[Segment]:
    # In these units noise is the same at every level: roots of counts, logarithms of numbers of users.
    signal = 2.0 * np.sqrt(np.maximum(load, 0.0)) if counts else np.log(np.maximum(load, 0.1))
    edges = np.append(_long_changes(signal, noise=_noise(signal, load, counts=counts)), len(load))
    found = []
    for a, b in itertools.pairwise(edges):
        level = float(load[a:b].mean() if counts else np.median(load[a:b]))
        if b - a >= shortest_s and level > 0 and (counts or not _climbs(load[a:b])):
            found.append(Segment(int(second[a]), int(second[b - 1]) + 1, level))
    return found


def _climbs(users: Array) -> bool:
    """Whether users are still being added, slowly: steps of a ramp are no steps."""
    third = max(len(users) // 3, 1)
    return abs(float(users[-third:].mean() / max(users[:third].mean(), 0.1)) - 1.0) > _SAME_LEVEL


def _long_changes(signal: Array, *, noise: float) -> Ints:
    """Find changes in a signal of any length, piece by piece: a piece begins with the last level of the one before.

    Examples
    --------
    >>> _long_changes(np.repeat([1.0, 2.0, 1.0], [2500, 2500, 3500]), noise=0.01).tolist()
    [0, 2500, 5000]
    """
    edges: list[int] = []
    cuts: set[int] = set()
    begins = 0
    while begins < len(signal):
        ends = min(begins + _LONGEST_PIECE, len(signal))
        inside = (begins + changes(signal[begins:ends], noise=noise)).tolist()
        last = len(inside) > 1 and ends < len(signal)
        edges.extend(inside[:-1] if last else inside)
        begins = inside[-1] if last else ends
        if not last:
            cuts.add(ends)
    return _without_cuts(edges, cuts, signal, noise)


def _without_cuts(edges: list[int], cuts: set[int], signal: Array, noise: float) -> Ints:
    """Drop edges at which a piece merely ended: the levels on both sides are the same."""
    kept: list[int] = []
    for edge, end in itertools.pairwise([*edges, len(signal)]):
        if edge in cuts:
            before, after = signal[kept[-1] : edge], signal[edge:end]
            doubt = noise * math.sqrt(1.0 / len(before) + 1.0 / len(after))
            if abs(float(before.mean() - after.mean())) <= max(4.0 * doubt, noise):
                continue
        kept.append(edge)
    return np.array(kept, dtype=np.int64)


def _noise(signal: Array, mean: Array, *, counts: bool) -> float:
    """Estimate the noise from neighbouring differences; never below what is no change of load."""
    least = _SAME_LEVEL / 2.0
    if counts:
        least *= float(np.sqrt(max(np.median(mean), 1.0)))
    if len(signal) < 3:
        return least
    return max(float(np.median(np.abs(np.diff(signal)))) / (0.6745 * math.sqrt(2.0)), least)


def changes(signal: Array, *, noise: float) -> Ints:
    """Where the level of a noisy signal changes: first index of every stretch, the first being 0.

    Least sum of squares within stretches plus a price a stretch, over all partitions [1]_.

    Examples
    --------
    >>> changes(np.array([1.0, 1.1, 0.9, 5.0, 5.1, 4.9]), noise=0.1).tolist()
    [0, 3]
    """
    n = len(signal)
    centred = signal - signal.mean() if n else signal
    first = np.concatenate([[0.0], np.cumsum(centred)])
    square = np.concatenate([[0.0], np.cumsum(centred**2)])
    # Two unknowns a stretch, its level and its place, each worth log n squared deviations (Yao 1988), doubled because
    # the noise of neighbouring seconds goes together.
    price = 4.0 * noise**2 * np.log(max(n, 2))
    best = np.zeros(n + 1)
    best[0] = -price
    previous = np.zeros(n + 1, dtype=np.int64)
    for end in range(1, n + 1):
        length = end - np.arange(end)
        cost = best[:end] + (square[end] - square[:end]) - (first[end] - first[:end]) ** 2 / length + price
        previous[end] = int(np.argmin(cost))
        best[end] = cost[previous[end]]
    edges: list[int] = []
    end = n
    while end > 0:
        end = int(previous[end])
        edges.append(end)
    return np.array(edges[::-1], dtype=np.int64)
