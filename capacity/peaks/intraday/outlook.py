"""What a target will be, from any past origin or from the end: quantiles at `SCORES`, plain or as a mixture of heights.

An outlook has the same few questions for both kinds: quantiles along the path ahead of one origin, and quantiles of the
next interval for many origins. Origins go by the rules that were learnt before them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from capacity.peaks.intraday import due as dues
from capacity.peaks.intraday.bursts import learn_heights
from capacity.peaks.intraday.due import DueRule, Past
from capacity.peaks.intraday.shape import Floats, Ints
from capacity.peaks.intraday.track import State, Track, follow, nearest_knot, refit_days
from capacity.peaks.intraday.uncertainty import SCORES, score_under, tabulate_ladder

_CELLS = np.diff(np.concatenate([[0.0], ndtr((SCORES[:-1] + SCORES[1:]) / 2.0), [1.0]]))  # weight of each score


class Outlook(ABC):
    """Quantiles ahead. ``era`` is the position of a span in `spans`, -1 for the end of history."""

    n_slots: int
    spans: tuple[tuple[int, int], ...]

    @abstractmethod
    def path(self, era: int, origin: int, horizon: Ints) -> Floats:
        """Quantiles (series, horizon, score) after one origin; horizon 0 is the interval that starts there."""

    @abstractmethod
    def next(self, era: int, origin: Ints) -> Floats:
        """Quantiles (series, origin, score) of the interval that starts at each origin."""


@dataclass(frozen=True)
class PlainOutlook(Outlook):
    """One height."""

    track: Track
    n_slots: int
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, track: Track) -> "PlainOutlook":
        """Wrap a track."""
        n_slots = track.state.course.ahead.shape[3]
        return cls(track, n_slots, tuple((first, stop) for first, stop, _ in track.states))

    def state(self, era: int) -> State:
        """State that an era's origins go by."""
        return self.track.state if era < 0 else self.track.states[era][2]

    def path(self, era: int, origin: int, horizon: Ints) -> Floats:
        """Quantiles after one origin."""
        return self.track.quantiles(self.state(era), origin, horizon)

    def next(self, era: int, origin: Ints) -> Floats:
        """Quantiles of the next interval."""
        state, none = self.state(era), np.zeros(origin.size, dtype=np.int64)
        table = self.track.tables[0, origin // self.n_slots]
        return np.asarray(state.centre(origin, none)[..., None] + state.scale(origin, none)[..., None] * table)


@dataclass(frozen=True)
class MixedOutlook(Outlook):
    """Quiet intervals and bursts, and whether a burst is due.

    Attributes
    ----------
    quiet, burst : PlainOutlook
    present : tuple of ndarray of bool, shape (series,)
        Of each era and of the end.
    rules, pasts : tuple of DueRule and of Past
        Likewise.
    tables : ndarray, shape (knot, day + 1, score)
        What the mixture's own normal scores turned out to be.
    """

    quiet: PlainOutlook
    burst: PlainOutlook
    present: tuple[NDArray[np.bool_], ...]
    rules: tuple[DueRule, ...]
    pasts: tuple[Past, ...]
    tables: Floats
    n_slots: int
    spans: tuple[tuple[int, int], ...]

    def path(self, era: int, origin: int, horizon: Ints) -> Floats:
        """Quantiles after one origin."""
        share = dues.path(self.rules[era], self.pasts[era], origin, horizon) * self.present[era][:, None]
        table = self.tables[nearest_knot(self.quiet.track.knots, horizon), origin // self.n_slots]
        parts = self.quiet.path(era, origin, horizon), self.burst.path(era, origin, horizon)
        return mix(*parts, share, np.broadcast_to(ndtr(table), parts[0].shape))

    def next(self, era: int, origin: Ints) -> Floats:
        """Quantiles of the next interval."""
        share = self.due(era, origin, 0)
        table = self.tables[0, origin // self.n_slots]
        parts = self.quiet.next(era, origin), self.burst.next(era, origin)
        return mix(*parts, share, np.broadcast_to(ndtr(table), parts[0].shape))

    def due(self, era: int, origin: Ints, horizon: int) -> Floats:
        """Probability of a burst, (series, origin)."""
        share = dues.probability(self.rules[era], self.pasts[era], origin, horizon)
        return np.asarray(share * self.present[era][:, None])


def mix(quiet: Floats, burst: Floats, share: Floats, levels: Floats) -> Floats:
    """Quantiles of a mixture at probabilities.

    Parameters
    ----------
    quiet, burst : ndarray, shape (…, score)
        Quantiles at `SCORES`.
    share : ndarray, shape (…)
        Of bursts.
    levels : ndarray, shape (…, level)

    Examples
    --------
    A burst three in ten times: the ninth tenth is the burst's second third, the median the quiet's.

    >>> low, high = SCORES, 100.0 + SCORES
    >>> mix(low, high, np.array(0.3), np.array([0.35, 0.85])).round(1).tolist()
    [0.0, 100.0]
    """
    point = np.concatenate([quiet, burst], axis=-1)
    weight = np.concatenate([(1.0 - share)[..., None] * _CELLS, share[..., None] * _CELLS], axis=-1)
    order = np.argsort(point, axis=-1)
    point, weight = np.take_along_axis(point, order, -1), np.take_along_axis(weight, order, -1)
    reached = np.cumsum(weight, axis=-1) - weight / 2.0
    n_rows, width = int(np.prod(share.shape)), point.shape[-1]
    # All rows in one interpolation: each has a stretch of the axis to itself.
    place = 2.0 * np.arange(n_rows)[:, None]
    found = np.interp(
        (levels.reshape(n_rows, -1) + place).ravel(), (reached.reshape(n_rows, width) + place).ravel(), point.ravel()
    )
    return np.asarray(found).reshape(levels.shape)


def look_ahead(values: Floats, weekday: Ints, holiday: NDArray[np.bool_], *, longest: int, bursts: bool) -> Outlook:
    """Follow a target over its history.

    Parameters
    ----------
    values : ndarray, shape (series, day, slot)
        On the even scale, NaN where unknown.
    weekday, holiday : ndarray, shape (day + leads,)
    longest : int
        Horizon in intervals.
    bursts : bool
        Whether to look for two heights.
    """
    days = refit_days(values.shape[1])
    if bursts:
        heights = [learn_heights(values[:, :day]) for day in [*days, values.shape[1]]]
        if any(h.present.any() for h in heights):
            labels = [h.bursts(values) for h in heights]
            present = tuple(h.present for h in heights)
            return _mixed(values, labels, present, weekday, holiday, longest=longest)
    return PlainOutlook.of(follow([values] * (len(days) + 1), weekday, holiday, longest=longest))


def _mixed(
    values: Floats,
    labels: Sequence[Floats],
    present: tuple[NDArray[np.bool_], ...],
    weekday: Ints,
    holiday: NDArray[np.bool_],
    *,
    longest: int,
) -> MixedOutlook:
    n_days, n_slots = values.shape[1:]
    tracks = [
        follow([np.where(label == part, values, np.nan) for label in labels], weekday, holiday, longest=longest)
        for part in (0, 1)
    ]
    quiet, burst = (PlainOutlook.of(track) for track in tracks)
    stops = [*refit_days(n_days), n_days]
    rules = tuple(dues.learn_due(label[:, :day]) for label, day in zip(labels, stops, strict=True))
    pasts = tuple(dues.look_back(label) for label in labels)
    knots = quiet.track.knots
    flat = np.zeros((knots.size, n_days + 1, SCORES.size)) + SCORES
    rough = MixedOutlook(quiet, burst, present, rules, pasts, flat, n_slots, quiet.spans)
    tables = tabulate_ladder(_scores(rough, values), knots, n_slots, first=SCORES)
    return MixedOutlook(quiet, burst, present, rules, pasts, tables, n_slots, quiet.spans)


def _scores(outlook: MixedOutlook, values: Floats) -> Floats:
    """(knot, series, interval) normal scores of what came under the mixture that was forecast."""
    n_series, n_days, n_slots = values.shape
    n = n_days * n_slots
    flat = values.reshape(n_series, n)
    knots = outlook.quiet.track.knots
    out = np.full((knots.size, n_series, n), np.nan)
    for era, (first, stop) in enumerate(outlook.spans):
        for k, horizon in enumerate(knots):
            origin = np.arange(first * n_slots, min(stop * n_slots, n - int(horizon)))
            if not origin.size:
                continue
            target = origin + horizon
            share = outlook.due(era, origin, int(horizon))
            parts = []
            for part in (outlook.quiet.track, outlook.burst.track):
                table = part.tables[k, origin // n_slots]
                quantiles = part.centre[k][:, target, None] + part.scale[k][:, target, None] * table
                parts.append(ndtr(score_under(quantiles, flat[:, target])))
            reached = (1.0 - share) * parts[0] + share * parts[1]
            out[k][:, target] = ndtri(np.clip(reached, 1e-6, 1.0 - 1e-6))
    return np.where(np.isfinite(flat), out, np.nan)
