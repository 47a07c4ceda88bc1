"""The shape of a promotion's days: which share of a local day falls into each minute.

Past events are laid on this promotion's minutes (same time after the start). Where the start hour
moved, people's day moves against it: the past rate is ``B(clock)^κ · U(time after start)`` with B the
ordinary day, and nobody knows whether the opening multiplies the ordinary hour (κ = 1) or is a spike
without a clock (κ = 0); κ is uniform over futures, and grows back to 1 within hours after the start.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from capacity.peaks import priors
from capacity.peaks.priors import Floats
from capacity.peaks.timeline import Cell, Ints, Timeline

_MISSING_ALLOWED = 0.1


@dataclass(frozen=True)
class PastShape:
    """One past event on this promotion's minutes.

    Attributes
    ----------
    rate : ndarray, shape (entry, minute)
        External requests/s; NaN where unknown.
    resolution_s : ndarray, shape (entry, minute)
        Width of the interval each minute came from.
    clock : ndarray, shape (minute,)
        The past event's own clock minute.
    """

    rate: Floats
    resolution_s: Floats
    clock: Ints


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


def cell_peaks(share: Floats, resolution_s: Floats, cell: Cell) -> tuple[Floats, Floats]:
    """Log share of a cell's busiest minute, and the spread with which it is known.

    Intervals wider than a minute hide the busiest minute: then a prior concentration is added, and its spread.

    Returns
    -------
    log_peak, noise : ndarray, shape (entry,)
    """
    part, width = share[:, cell.first : cell.stop], resolution_s[:, cell.first : cell.stop]
    empty = ~np.isfinite(part).any(1)
    filled = np.where(np.isfinite(part), part, -1.0)
    at = filled.argmax(1)
    peak = filled[np.arange(at.size), at]
    widest = width[np.arange(at.size), at]
    loc, scale = concentration(widest, opening=cell.opening)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_peak = np.where(empty | (peak <= 0), np.nan, np.log(np.maximum(peak, 1e-300))) + loc
    return log_peak, scale


def concentration(resolution_s: Floats, *, opening: bool) -> tuple[Floats, Floats]:
    """Prior log ratio of the busiest minute to the mean of its interval, and its spread.

    Zero for intervals up to a minute, the full prior for an hour, in between by the logarithm of the width.
    """
    part = np.clip(np.log(np.maximum(np.nan_to_num(resolution_s, nan=60.0), 60.0) / 60.0) / np.log(60.0), 0.0, 1.0)
    if opening:
        return part * priors.OPENING_CONCENTRATION_LOC, part * priors.OPENING_CONCENTRATION_SCALE
    return part * priors.REST_CONCENTRATION_LOC, part * priors.REST_CONCENTRATION_SCALE


def mean_profile(stack: Floats, weight: Floats, fallback: Floats, line: Timeline, coarse: NDArray[np.bool_]) -> Floats:
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

    Returns
    -------
    ndarray, shape (entry, minute)
    """
    known = np.isfinite(stack) & (weight > 0)[:, None, None]
    mass = np.where(known, weight[:, None, None], 0.0)
    total = mass.sum(0)
    mean = (np.where(known, stack, 0.0) * mass).sum(0) / np.where(total > 0, total, 1.0)
    profile = np.where(total > 0, mean, fallback)
    return _sharpen(profile, line, coarse)


def _sharpen(profile: Floats, line: Timeline, coarse: NDArray[np.bool_]) -> Floats:
    """Give a flat opening hour the decay that its prior peak implies, keeping the hour's volume."""
    hour = np.flatnonzero((line.tau >= 0) & (line.tau < min(60, max(line.duration_min, 1))))
    if not hour.size or not coarse.any():
        return profile
    ratio = float(np.exp(priors.OPENING_CONCENTRATION_LOC))
    decay = np.exp(-line.tau[hour] * ratio / 60.0)
    out = np.array(profile)
    out[np.ix_(coarse, hour)] *= decay / decay.mean()
    return out


def choose_minutes(profile: Floats, cell: Cell, *, blocks: int, limit: int) -> tuple[Ints, Ints]:
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
    minutes : ndarray of int
        Sorted positions on the timeline.
    stands_for : ndarray of int
        How many minutes about as busy each stands for.

    Examples
    --------
    >>> choose_minutes(np.array([[1., 5., 2., 4.]]), Cell(0, 0, 0, 4, False), blocks=2, limit=4)[0].tolist()
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
    near = together >= 0.97 * np.maximum.reduceat(together, edges[:-1]).max()
    owner = np.abs(np.arange(part.shape[1])[:, None] - minutes[None]).argmin(1)
    stands_for = np.maximum(np.bincount(owner[near], minlength=minutes.size), 1)
    return minutes + cell.first, stands_for.astype(np.int64)
