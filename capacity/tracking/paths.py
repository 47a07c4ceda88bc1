"""The plan's futures by the clock: each service's rate in blocks of minutes, to hold what happens against."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from capacity.errors import InputError

if TYPE_CHECKING:
    from capacity.peaks import Peaks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLOCK_MIN, OPENING_MIN = 5, 15
MOST_FUTURES = 400


@dataclass(frozen=True)
class Paths:
    """Some futures of a plan, by blocks of five minutes, of single minutes around the start.

    Attributes
    ----------
    services, phases : tuple of str
    starts_s, ends_s : ndarray, shape (block,)
        Seconds after the promotion's start at which a block begins and ends.
    phase : ndarray of int, shape (block,)
        The phase it lies in; -1 outside of all.
    mean_qps, highest_qps : ndarray, shape (future, block, service)
        Mean of the block, and of its busiest minute: requests/s, internal calls included, nothing turned away.
    second_ratio : ndarray, shape (future, phase, service)
        The phase's worst second ÷ its busiest minute.
    """

    services: tuple[str, ...]
    phases: tuple[str, ...]
    starts_s: Floats
    ends_s: Floats
    phase: Ints
    mean_qps: NDArray[np.float32]
    highest_qps: NDArray[np.float32]
    second_ratio: Floats

    @property
    def n_futures(self) -> int:
        """Number of futures."""
        return int(self.mean_qps.shape[0])

    def block_at(self, second: float) -> int:
        """Return the block that a moment lies in; before the first and after the last the nearest."""
        return int(np.clip(np.searchsorted(self.starts_s, second, side="right") - 1, 0, self.starts_s.size - 1))

    def level(self, start_s: float, end_s: float) -> Floats:
        """Mean rate of each future between two moments, shape (future, service); NaN where no block touches them."""
        overlap = np.minimum(self.ends_s, end_s) - np.maximum(self.starts_s, start_s)
        weight = np.clip(overlap, 0.0, None)
        if not weight.any():
            return np.full((self.n_futures, len(self.services)), np.nan)
        used = np.flatnonzero(weight)
        return np.asarray(np.einsum("fbs,b->fs", self.mean_qps[:, used], weight[used] / weight.sum(), dtype=float))

    def remaining_peak(self, after_s: float) -> Floats:
        """Worst second still to come in each phase, shape (future, phase, service); NaN in phases that are over.

        The block that is running counts whole.
        """
        out = np.full(self.second_ratio.shape, np.nan)
        for phase in range(len(self.phases)):
            left = (self.phase == phase) & (self.ends_s > after_s)
            if left.any():
                out[:, phase] = self.highest_qps[:, left].max(1) * self.second_ratio[:, phase]
        return out


def follow_futures(peaks: "Peaks", *, reach: Floats | None = None, n_futures: int = MOST_FUTURES) -> Paths:
    """Lay some futures of a plan out by the clock.

    Parameters
    ----------
    peaks
        Of the plan.
    reach : ndarray, shape (entry, service)
        Requests at each service for one from outside, where the peaks were kept without it.
    n_futures
        How many, evenly taken from all.

    Raises
    ------
    InputError
        If neither says what one request from outside causes.
    """
    known = peaks.reach if reach is None else reach
    if known is None:
        raise InputError("the plan does not say what one request causes", remedy="make the plan again")
    arrivals = peaks.arrivals
    sample = np.unique(np.linspace(0, peaks.n_samples - 1, min(n_futures, peaks.n_samples)).astype(np.int64))
    edges = _edges(arrivals.day.size, start=-arrivals.first_minute)
    shape = (sample.size, edges.size - 1, len(peaks.services))
    mean, highest = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    for block, (first, last) in enumerate(pairwise(edges)):
        minutes = np.arange(first, last)
        total = arrivals.minute_rates(sample, minutes).transpose(0, 2, 1) @ known
        mean[:, block], highest[:, block] = total.mean(1), total.max(1)
    cell = arrivals.cell[edges[:-1]]
    phase = np.where(cell >= 0, arrivals.phase[np.maximum(cell, 0)], -1)
    return Paths(
        services=peaks.services,
        phases=peaks.phases,
        starts_s=np.asarray(60.0 * (arrivals.first_minute + edges[:-1]), dtype=np.float64),
        ends_s=np.asarray(60.0 * (arrivals.first_minute + edges[1:]), dtype=np.float64),
        phase=phase,
        mean_qps=mean,
        highest_qps=highest,
        second_ratio=_second_ratio(highest, phase, peaks.peak_qps.to_numpy()[sample]),
    )


def _edges(n_minutes: int, *, start: int) -> Ints:
    """Minutes at which blocks begin: every fifth, and every single one in the quarter of an hour after the start.

    An opening is over within minutes: five together would count its worst second as still to come.
    """
    opening = np.arange(start, start + OPENING_MIN + 1)
    edges = np.concatenate([np.arange(0, n_minutes, BLOCK_MIN), opening, [n_minutes]])
    return np.unique(edges[(edges >= 0) & (edges <= n_minutes)]).astype(np.int64)


def _second_ratio(highest: NDArray[np.float32], phase: Ints, peak_qps: Floats) -> Floats:
    out = np.ones(peak_qps.shape)
    for number in range(peak_qps.shape[1]):
        mine = phase == number
        if mine.any():
            top = highest[:, mine].max(1).astype(float)
            out[:, number] = np.where(top > 0, peak_qps[:, number] / np.where(top > 0, top, 1.0), 1.0)
    return out
