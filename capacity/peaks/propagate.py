"""From entry arrivals to every service's worst second, instant by instant.

Means travel through the graph linearly. Within a minute the seconds' noise has two parts: Poisson counts,
independent between entries, and the wobble of each entry's rate (``φ λ²``), partly common to all. A service's
busiest second is its mean plus z standard deviations of what arrives from all its callers together: never the
sum of its callers' own busiest seconds, which do not coincide.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from capacity.peaks import priors
from capacity.peaks.priors import Floats

_SPARSE_BELOW = 0.1


@dataclass(frozen=True)
class Network:
    """Mean requests at each service per request from outside, prepared for many products.

    Attributes
    ----------
    reach : matrix, shape (entry, service)
    reach_squared : matrix, shape (entry, service)
        Squares, for the variance of the rates' wobble.
    counts : matrix, shape (entry, service)
        Second moment of the calls one request causes: for fewer than one call a thinned Poisson count.
    """

    reach: Any
    reach_squared: Any
    counts: Any

    @classmethod
    def of(cls, reach: Floats) -> "Network":
        """Prepare a reach matrix, shape (entry, service)."""
        parts = (reach, reach**2, np.maximum(reach, reach**2))
        if reach.size and np.count_nonzero(reach) < _SPARSE_BELOW * reach.size:
            return cls(*(sparse.csr_array(p) for p in parts))
        return cls(*parts)

    def worst_second(
        self, rate: Floats, dispersion: Floats, largest: Floats, *, correlation: float = priors.WOBBLE_CORRELATION
    ) -> Floats:
        """Busiest second of every service inside one minute.

        Parameters
        ----------
        rate : ndarray, shape (sample, entry)
            External requests/s, the opening's ramp included.
        dispersion : ndarray, shape (sample, entry) or (entry,)
            φ of each entry.
        largest : ndarray, shape (sample,)
            Maximum of the minute's standard normals.
        correlation : float
            Of two entries' wobble.

        Returns
        -------
        ndarray, shape (sample, service)

        Examples
        --------
        One entry that calls a store twice; without noise the store sees twice the rate:

        >>> network = Network.of(np.array([[1.0, 2.0]]))
        >>> network.worst_second(np.array([[50.0]]), np.array([0.0]), np.array([0.0])).tolist()
        [[50.0, 100.0]]
        """
        wobble = rate * np.sqrt(dispersion)
        common = wobble @ self.reach
        own = (wobble**2) @ self.reach_squared
        variance = rate @ self.counts + correlation * common**2 + (1.0 - correlation) * own
        return np.asarray(rate @ self.reach + largest[:, None] * np.sqrt(np.maximum(variance, 0.0)))


def external_second(rate: Floats, dispersion: Floats, largest: Floats) -> Floats:
    """Busiest second of what arrives from outside, shape (sample, entry): the same law without a graph."""
    return np.asarray(rate + largest[:, None] * np.sqrt(np.maximum(rate + dispersion * rate**2, 0.0)))
