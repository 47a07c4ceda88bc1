"""The shape of a promotion's days: which share of a local day falls into each minute.

Past events are laid on this promotion's minutes (same time after the start). Where the start hour
moved, people's day moves against it: the past rate is ``B(clock)^κ · U(time after start)`` with B the
ordinary day, and nobody knows whether the opening multiplies the ordinary hour (κ = 1) or is a spike
without a clock (κ = 0); κ is uniform over futures, and grows back to 1 within hours after the start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from capacity.peaks import priors
from capacity.peaks.concentration import Concentration
from capacity.peaks.priors import Floats
from capacity.peaks.timeline import Cell, Ints, Timeline

_MISSING_ALLOWED = 0.1
_LEAST_LEFT = 0.3  # of the ordinary day's rate, in minutes that were not recorded
_EXPECTED_NOISE = 0.12  # of a day's requests where people and orders tell them, not logs
_OPENING_MIN = 5
_SMOOTH_MIN = 9


@dataclass(frozen=True)
class PastShape:
    """One past event on this promotion's minutes.

    Attributes
    ----------
    rate : ndarray, shape (entry, minute)
        External requests/s; NaN where unknown.
    resolution_s : ndarray, shape (entry, minute)
        Width of the interval each minute came from.
    clock, day : ndarray, shape (minute,)
        The past event's own clock minute and local day (ordinal).
    expected : mapping of int to ndarray, shape (entry,)
        Requests that its local days should have, from people and orders: for days whose logs are not whole.
    """

    rate: Floats
    resolution_s: Floats
    clock: Ints
    day: Ints
    expected: Mapping[int, Floats] = field(default_factory=dict)

    def rows(self, entries: slice) -> "PastShape":
        """Return some entries."""
        expected = {day: volume[entries] for day, volume in self.expected.items()}
        return PastShape(self.rate[entries], self.resolution_s[entries], self.clock, self.day, expected)


def complete(past: PastShape, ordinary: Floats) -> tuple[Floats, Floats]:
    """Give the minutes that were not recorded what the day's people and orders leave for them.

    Traffic of old events is often kept for the hours around them only; their minutes still say which share of the day
    they took.

    Returns
    -------
    rate : ndarray, shape (entry, minute)
        NaN where nothing is expected either.
    noise : ndarray, shape (entry, minute)
        Spread of the log share that this adds.
    """
    rate, noise = np.array(past.rate), np.zeros_like(past.rate)
    for day, volume in past.expected.items():
        here = past.day == day
        known = np.isfinite(past.rate[:, here])
        form = ordinary[:, past.clock[here]]
        missing_form = ordinary.sum(1) - np.where(known, form, 0.0).sum(1)
        left = volume / 60.0 - np.where(known, past.rate[:, here], 0.0).sum(1)
        least = _LEAST_LEFT * volume / 60.0 * missing_form / ordinary.sum(1)
        level = np.maximum(left, least) / np.maximum(missing_form, 1e-9)
        rate[:, here] = np.where(known, past.rate[:, here], level[:, None] * form)
        part = 1.0 - known.sum(1) / 1440.0
        noise[:, here] = np.where(part > _MISSING_ALLOWED, _EXPECTED_NOISE, 0.0)[:, None]
    return rate, noise


def shares(past: PastShape, line: Timeline, ordinary: Floats, *, kappa: float) -> Floats:
    """Share of each local day's requests in each minute, as the past event has it on this promotion's clock.

    Parameters
    ----------
    past : PastShape
    line : Timeline
    ordinary : ndarray, shape (entry, 1440)
        Ordinary day, mean one.
    kappa : float
        How far the opening follows the clock, 0 to 1.

    Returns
    -------
    ndarray, shape (entry, minute)
        Sums to one over each local day; NaN on days of which more than a tenth is unknown.
    """
    here, there = ordinary[:, line.clock], ordinary[:, past.clock]
    follow = 1.0 - (1.0 - kappa) * np.exp(-np.maximum(line.tau, 0) / priors.CLOCK_MEMORY_MIN) * (line.tau >= 0)
    moved = past.rate * (here / there) ** follow
    out = np.full_like(moved, np.nan)
    for day in range(len(line.dates)):
        rows = line.day == day
        out[:, rows] = _normalized(moved[:, rows], here[:, rows])
    return out


def _normalized(rate: Floats, ordinary: Floats) -> Floats:
    """Share of one day: gaps take the ordinary day's form at the level of what is known."""
    known = np.isfinite(rate)
    seen = np.where(known, rate, 0.0).sum(1)
    expected = np.where(known, ordinary, 0.0).sum(1)
    enough = (known.mean(1) >= 1.0 - _MISSING_ALLOWED) & (seen > 0.0)
    level = np.divide(seen, expected, out=np.zeros_like(seen), where=expected > 0)
    filled = np.where(known, rate, ordinary * level[:, None])
    total = filled.sum(1)
    share = filled / np.where(total > 0, total, 1.0)[:, None]
    return np.asarray(np.where(enough[:, None], share, np.nan))


def ordinary_shares(line: Timeline, ordinary: Floats) -> Floats:
    """Share of each local day in each minute if the day were an ordinary one, shape (entry, minute)."""
    here = ordinary[:, line.clock]
    out = np.empty_like(here)
    for day in range(len(line.dates)):
        rows = line.day == day
        out[:, rows] = here[:, rows] / here[:, rows].sum(1, keepdims=True)
    return out


def cell_peaks(
    share: Floats, past: PastShape, noise: Floats, line: Timeline, cell: Cell, hidden: Concentration
) -> tuple[Floats, Floats, Floats]:
    """Log share of a cell's busiest minute, and the spread with which it is known.

    Intervals wider than a minute hide the busiest minute: then its concentration is added, and the spread of that. The
    maximum of many noisy minutes is higher than their mean: that is taken out again, and the noise returned.

    Parameters
    ----------
    share : ndarray, shape (entry, minute)
    past : PastShape
        As recorded.
    noise : ndarray, shape (entry, minute)
        Spread that completing the day added.
    line : Timeline
    cell : Cell
    hidden : Concentration
        Of the busiest minute inside wider intervals.

    Returns
    -------
    log_peak, spread, wobble : ndarray, shape (entry,)
        The last is the relative noise from minute to minute beyond counts. NaN where less than nine tenths of the
        cell, or not all of the first minutes of an opening, were recorded.
    """
    span = slice(cell.first, cell.stop)
    recorded = np.isfinite(past.rate[:, span])
    enough = recorded.mean(1) >= 1.0 - _MISSING_ALLOWED
    if cell.opening:
        first = (line.tau[span] >= 0) & (line.tau[span] < _OPENING_MIN)
        enough &= recorded[:, first].all(1)
    part = np.where(recorded & np.isfinite(share[:, span]), share[:, span], -1.0)
    rows, at = np.arange(part.shape[0]), part.argmax(1)
    peak = part[rows, at]
    good = enough & (peak > 0)
    loc, scale = hidden.of_width(past.resolution_s[:, span][rows, at], opening=cell.opening)
    wobble, inflation = _plateau_noise(np.where(good[:, None], part, 0.0), past.rate[:, span][rows, at] * 60.0, cell)
    log_peak = np.where(good, np.log(np.where(good, peak, 1.0)) + loc - inflation, np.nan)
    return log_peak, np.hypot(scale, noise[:, span][rows, at]), np.where(good, wobble, np.nan)


def _plateau_noise(share: Floats, peak_count: Floats, cell: Cell) -> tuple[Floats, Floats]:
    """Relative noise from minute to minute beyond Poisson counts, and the log by which noise lifts the busiest minute.

    Neighbouring minutes tell the noise. The busiest of n minutes that are about as busy lies above their mean by the
    maximum of n normals; an opening is one minute, and its height is no noise but for its count.
    """
    if share.shape[1] < _SMOOTH_MIN:
        return np.zeros(share.shape[0]), np.zeros(share.shape[0])
    level = np.maximum(share, 0.0)
    smooth = running_mean(level, _SMOOTH_MIN)
    top = smooth.max(1)
    mean_count = np.nan_to_num(peak_count) * top / np.maximum(level.max(1), 1e-300)
    poisson = 1.0 / np.sqrt(np.maximum(mean_count, 1.0))
    step = np.abs(np.diff(level, axis=1)) / np.maximum(smooth[:, 1:], 1e-300)
    busy = smooth[:, 1:] >= 0.5 * top[:, None]
    # A normal difference's median absolute value is 0.954 of one value's standard deviation.
    total = np.array([np.median(s[b]) if b.any() else 0.0 for s, b in zip(step, busy, strict=True)]) / 0.954
    total = np.maximum(total, poisson)
    beyond = np.sqrt(np.maximum(total**2 - poisson**2, 0.0))
    if cell.opening:
        total, beyond = poisson, np.zeros_like(poisson)
    alike = (smooth >= (1.0 - np.minimum(2.0 * total, 0.9))[:, None] * top[:, None]).sum(1)
    largest = np.maximum(ndtri(0.5 ** (1.0 / np.maximum(alike, 1))), 0.0)
    return beyond, np.asarray(np.log1p(largest * total))


def running_mean(values: Floats, width: int) -> Floats:
    """Centred mean, narrower at the ends."""
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    n = values.shape[1]
    low, high = np.maximum(np.arange(n) - width // 2, 0), np.minimum(np.arange(n) + width // 2 + 1, n)
    return np.asarray((total[:, high] - total[:, low]) / (high - low))


def mean_profile(
    stack: Floats, weight: Floats, fallback: Floats, line: Timeline, coarse: NDArray[np.bool_], hidden: Concentration
) -> Floats:
    """Weighted mean of past shares, the ordinary day where there are none, sharpened where only hours were seen.

    Parameters
    ----------
    stack : ndarray, shape (event, entry, minute)
        Shares, NaN where unknown.
    weight : ndarray, shape (event,)
    fallback : ndarray, shape (entry, minute)
    line : Timeline
    coarse : ndarray of bool, shape (entry,)
        Entries whose opening was seen by the hour, or not at all.
    hidden : Concentration

    Returns
    -------
    ndarray, shape (entry, minute)
    """
    known = np.isfinite(stack) & (weight > 0)[:, None, None]
    mass = np.where(known, weight[:, None, None], 0.0)
    total = mass.sum(0)
    mean = (np.where(known, stack, 0.0) * mass).sum(0) / np.where(total > 0, total, 1.0)
    profile = np.where(total > 0, mean, fallback)
    return _sharpen(profile, line, coarse, np.exp(hidden.loc[True]))


def _sharpen(profile: Floats, line: Timeline, coarse: NDArray[np.bool_], ratio: Floats) -> Floats:
    """Give a flat opening hour the decay that its prior peak implies, keeping the hour's volume."""
    hour = np.flatnonzero((line.tau >= 0) & (line.tau < min(60, max(line.duration_min, 1))))
    if not hour.size or not coarse.any():
        return profile
    decay = np.exp(-line.tau[hour] * ratio[coarse, None] / 60.0)
    out = np.array(profile)
    out[np.ix_(coarse, hour)] *= decay / decay.mean(1, keepdims=True)
    return out


def choose_minutes(profile: Floats, cell: Cell, *, blocks: int, limit: int) -> Ints:
    """Choose the instants of a cell at which some service may be at its worst.

    The busiest minute of every entry, and of each of `blocks` equal parts of the cell for all entries together.

    Parameters
    ----------
    profile : ndarray, shape (entry, minute)
    cell : Cell
    blocks, limit : int
        At most `limit` minutes are returned.

    Returns
    -------
    ndarray of int
        Sorted positions on the timeline.

    Examples
    --------
    >>> choose_minutes(np.array([[1., 5., 2., 4.]]), Cell(0, 0, 0, 4, False), blocks=2, limit=4).tolist()
    [1, 3]
    """
    part = profile[:, cell.first : cell.stop]
    top = part.max(1, keepdims=True)
    relative = part / np.where(top > 0, top, 1.0)
    together = relative.mean(0)
    edges = np.linspace(0, part.shape[1], min(blocks, part.shape[1]) + 1).astype(int)
    grid = [int(a + together[a:b].argmax()) for a, b in pairwise(edges.tolist()) if b > a]
    own, votes = np.unique(relative.argmax(1), return_counts=True)
    chosen = list(
        dict.fromkeys([*own[np.argsort(-votes, kind="stable")].tolist(), *sorted(grid, key=lambda m: -together[m])])
    )
    minutes = np.array(sorted(chosen[:limit]), dtype=np.int64)
    return minutes + cell.first
