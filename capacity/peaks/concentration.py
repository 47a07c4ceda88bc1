"""The busiest minute of an hour, where only the hour is known: learnt where minutes are, a prior where nowhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.peaks import priors
from capacity.peaks.priors import Floats
from capacity.peaks.timeline import Ints

_HOUR = 60
_LEAST_SPREAD = {True: 0.2, False: 0.06}
_PRIOR_WORTH = 0.25  # hours of one's own that the prior counts for


@dataclass(frozen=True)
class Concentration:
    """Log ratio of the busiest minute to the mean of its hour.

    Attributes
    ----------
    loc, scale : mapping of bool to ndarray, shape (entry,)
        For an opening's first hour (True) and for any other (False).
    """

    loc: dict[bool, Floats]
    scale: dict[bool, Floats]

    @classmethod
    def prior(cls, n_entries: int) -> "Concentration":
        """Take what published figures say."""
        one = np.ones(n_entries)
        return cls(
            {True: priors.OPENING_CONCENTRATION_LOC * one, False: priors.REST_CONCENTRATION_LOC * one},
            {True: priors.OPENING_CONCENTRATION_SCALE * one, False: priors.REST_CONCENTRATION_SCALE * one},
        )

    def of_width(self, width_s: Floats, *, opening: bool) -> tuple[Floats, Floats]:
        """Log ratio and its spread for intervals of any width, shape (entry,).

        Zero up to a minute, all of it for an hour, in between by the logarithm of the width.
        """
        width = np.maximum(np.nan_to_num(width_s, nan=60.0), 60.0) / 60.0
        part = np.clip(np.log(width) / np.log(_HOUR), 0.0, 1.0)
        return part * self.loc[opening], part * self.scale[opening]

    def rows(self, entries: slice) -> "Concentration":
        """Return some entries."""
        return Concentration(
            {k: v[entries] for k, v in self.loc.items()}, {k: v[entries] for k, v in self.scale.items()}
        )


def learn_concentration(rates: Sequence[Floats], widths: Sequence[Floats], tau: Ints, n_entries: int) -> Concentration:
    """Learn it from past events' hours that were recorded by the minute.

    Parameters
    ----------
    rates, widths : sequence of ndarray, shape (entry, minute)
        One an event: requests/s (NaN where unknown) and the width of the interval each minute came from.
    tau : ndarray, shape (minute,)
        Minutes after the start.
    n_entries : int
    """
    prior = Concentration.prior(n_entries)
    loc, scale = {}, {}
    for opening in (True, False):
        seen = [_ratios(r, w, tau, opening=opening) for r, w in zip(rates, widths, strict=True)]
        values = np.stack(seen) if seen else np.full((0, n_entries), np.nan)
        loc[opening], scale[opening] = _pool(values, prior.loc[opening], prior.scale[opening], _LEAST_SPREAD[opening])
    return Concentration(loc, scale)


def _ratios(rate: Floats, width: Floats, tau: Ints, *, opening: bool) -> Floats:
    """Log ratio in the opening's first hour, or in the busiest other hour; NaN where it is not known by the minute."""
    first = int(np.flatnonzero(tau == 0)[0]) % _HOUR
    n_hours = (tau.size - first) // _HOUR
    span = slice(first, first + n_hours * _HOUR)
    hour_of_start = (int(np.flatnonzero(tau == 0)[0]) - first) // _HOUR
    hours = rate[:, span].reshape(rate.shape[0], n_hours, _HOUR)
    fine: NDArray[np.bool_] = np.asarray((np.isfinite(hours) & (width[:, span].reshape(hours.shape) <= 60.0)).all(-1))
    mean = np.where(fine, np.where(fine[..., None], hours, 0.0).mean(-1), -1.0)
    peak = np.where(fine, np.where(fine[..., None], hours, 0.0).max(-1), 0.0)
    # Hours just after the start belong to the opening.
    usable = (mean > 0) & ((np.arange(n_hours) == hour_of_start) == opening)
    if not opening:
        usable &= np.abs(np.arange(n_hours) - hour_of_start) > 1
    at = np.where(usable, mean, -1.0).argmax(1)
    rows = np.arange(at.size)
    good = usable[rows, at]
    return np.where(good, np.log(np.where(good, peak[rows, at], 1.0) / np.where(good, mean[rows, at], 1.0)), np.nan)


def _pool(values: Floats, prior_loc: Floats, prior_scale: Floats, least: float) -> tuple[Floats, Floats]:
    known: NDArray[np.bool_] = np.isfinite(values)
    if not known.any():
        return prior_loc, prior_scale
    count = known.sum(0)
    own = np.where(known, values, 0.0).sum(0) / np.maximum(count, 1)
    seen: NDArray[np.bool_] = np.asarray(count > 0)
    others = float(own[seen].mean())
    between = max(float(np.std(own[seen])), least)
    loc = np.where(seen, (count * own + _PRIOR_WORTH * prior_loc) / (count + _PRIOR_WORTH), others)
    spread = float(np.sqrt(np.where(known, (values - own) ** 2, 0.0).sum() / max(int((count - seen).sum()), 1)))
    scale = np.hypot(max(spread, least), prior_scale * _PRIOR_WORTH / (count + _PRIOR_WORTH))
    return loc, np.where(seen, scale, np.hypot(between, 0.5 * prior_scale))
