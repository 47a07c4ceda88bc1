"""Quantiles and shares of all services at once, for what is written about each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capacity.plan.sizing import Floats

if TYPE_CHECKING:
    from capacity.plan.decide import Decided
    from capacity.plan.fleet import Offered


@dataclass(frozen=True)
class Digest:
    """Axis ``s`` is services; the first axis quantiles.

    Attributes
    ----------
    peak : ndarray (4, s)
        5, 50, 95 and 99 % of the worst second over all phases.
    undegraded_mid : ndarray (s,)
        Its median, were nothing switched off.
    capacity : ndarray (3, s)
        5, 50 and 95 % of one instance's capacity; NaN unknown.
    rejected : ndarray (2, s)
        50 and 95 % of the share turned away in the worst second.
    overloaded : ndarray (s,)
        Share of futures.
    beyond_roof : ndarray (s,)
        Share of futures above what the hottest key or ``max_qps`` takes.
    """

    peak: Floats
    undegraded_mid: Floats
    capacity: Floats
    rejected: Floats
    overloaded: Floats
    beyond_roof: Floats


def digest(decided: "Decided") -> Digest:
    """Compute what is written about every service."""
    fleet = decided.fleet
    same = decided.offered is decided.undegraded
    peak = np.quantile(_worst(decided.offered), [0.05, 0.5, 0.95, 0.99], axis=0)
    return Digest(
        peak=peak,
        undegraded_mid=peak[1] if same else np.median(_worst(decided.undegraded), axis=0),
        capacity=np.quantile(fleet.capacity, [0.05, 0.5, 0.95], axis=0),
        rejected=np.quantile(decided.rejected, [0.5, 0.95], axis=0),
        overloaded=decided.overloaded.mean(axis=0),
        beyond_roof=(decided.offered.most() > fleet.roof_qps).mean(axis=0),
    )


def _worst(offered: "Offered") -> Floats:
    return np.asarray(offered.peak_qps.max(axis=1), dtype=float)
