"""From entry arrivals to every service's worst second, instant by instant.

Means travel through the graph linearly. Within a minute the seconds' noise has two parts: Poisson counts,
independent between entries, and the wobble of each entry's rate (``φ λ²``), partly common to all. A service's
busiest second is its mean plus z standard deviations of what arrives from all its callers together: never the
sum of its callers' own busiest seconds, which do not coincide.

References
----------
E. A. Cornish and R. A. Fisher (1938), Moments and cumulants in the specification of distributions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from capacity.peaks import priors
from capacity.peaks.priors import Floats

_SPARSE_BELOW = 0.1


@dataclass(frozen=True)
class Network:
    """Mean requests at each service per request from outside, prepared for many products.

    Calls per request are a mean: that one request causes a Poisson number of them is the cautious reading, and
    matters only at low rates. For a service that the outside itself calls, its own requests come one by one.

    Attributes
    ----------
    reach : matrix, shape (entry, service)
    reach_squared : matrix, shape (entry, service)
        Squares, for the variance of the rates' wobble.
    second, third : matrix, shape (entry, service)
        Second and third moment of the calls that one request causes.
    """

    reach: Any
    reach_squared: Any
    second: Any
    third: Any

    @classmethod
    def of(cls, reach: Floats, entry_index: NDArray[np.int64] | None = None) -> "Network":
        """Prepare a reach matrix, shape (entry, service); `entry_index` are the entries' own columns."""
        second, third = reach + reach**2, reach + 3.0 * reach**2 + reach**3
        if entry_index is not None:
            rows = np.arange(reach.shape[0])
            second[rows, entry_index] = third[rows, entry_index] = 1.0
        parts = (reach, reach**2, second, third)
        if reach.size and np.count_nonzero(reach) < _SPARSE_BELOW * reach.size:
            return cls(*(sparse.csr_array(p) for p in parts))
        return cls(*parts)

    def mean(self, rate: Floats) -> Floats:
        """Mean requests/s of every service, shape (…, service)."""
        return np.asarray(rate @ self.reach)

    def variance(self, rate: Floats, dispersion: Floats, *, correlation: float = priors.WOBBLE_CORRELATION) -> Floats:
        """Variance of one second's requests at every service, shape (…, service)."""
        wobble = rate * np.sqrt(dispersion)
        common = wobble @ self.reach
        own = (wobble**2) @ self.reach_squared
        return np.asarray(rate @ self.second + correlation * common**2 + (1.0 - correlation) * own)

    def worst_second(self, rate: Floats, dispersion: Floats, largest: Floats) -> Floats:
        """Busiest second of every service inside one minute, or one of many alike.

        Parameters
        ----------
        rate : ndarray, shape (sample, entry)
            External requests/s, the opening's ramp included.
        dispersion : ndarray, shape (sample, entry) or (entry,)
            φ of each entry.
        largest : ndarray, shape (sample, service) or (sample, 1)
            Maximum of the competing seconds' standard normals.

        Returns
        -------
        ndarray, shape (sample, service)

        Examples
        --------
        One entry that calls a store twice; without noise the store sees twice the rate:

        >>> network = Network.of(np.array([[1.0, 2.0]]))
        >>> network.worst_second(np.array([[50.0]]), np.array([0.0]), np.array([[0.0]])).tolist()
        [[50.0, 100.0]]
        """
        return _largest(self.mean(rate), self.variance(rate, dispersion), rate @ self.third, largest)


def external_second(rate: Floats, dispersion: Floats, largest: Floats) -> Floats:
    """Busiest second of what arrives from outside, shape (sample, entry): the same law without a graph."""
    return _largest(rate, rate + dispersion * rate**2, rate, largest)


def _largest(mean: Floats, variance: Floats, third: Floats, z: Floats) -> Floats:
    """Cornish-Fisher: counts are skewed, and at low rates that decides their maximum."""
    spread = np.sqrt(np.maximum(variance, 0.0))
    skew = np.maximum(z**2 - 1.0, 0.0) / 6.0 * third / np.maximum(variance, 1e-300)
    return np.asarray(mean + z * spread + skew)
