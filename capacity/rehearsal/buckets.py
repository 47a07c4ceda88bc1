"""The limits as they are enforced: token buckets of clusters, instances, hot keys and callers."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from capacity.rehearsal.bucket import admit
from capacity.rehearsal.world import BURST_S, Guards, Precision

Floats = NDArray[np.floating]

_THIRDS = 3  # instances are told apart by thirds: the fullest, the middle, the emptiest
_FULL = 0.999  # of a bucket: what is missing beyond that matters


class Buckets:
    """State of all buckets of services; arrays are (s, path).

    A request passes the cluster's bucket, then that of the instance it was sent to, then that of its key.

    *Instances under skew*: thirds of the instances get 1 + skew, 1 and 1 − skew times the mean. With ``wobble`` the
    count of one instance varies as a multinomial's: with n instances and λ requests in a second its mean is
    m = w λ / n, its variance m (1 − w / n), and what its bucket of L tokens admits is
    E[min(N, L)] = m − σ φ(z) − (m − L) Φ(z), z = (m − L) / σ, by the normal approximation. The tokens of a third are
    followed in their mean, which admits up to 1 % too much where every bucket is nearly empty.
    """

    def __init__(self, guards: Guards, paths: int, *, dtype: Precision = np.float64) -> None:
        self.guards = guards
        self.paths = paths
        size = len(guards.cluster_qps)
        self.rate, self.burst = _column(guards.cluster_qps, dtype), _column(guards.cluster_burst, dtype)
        self.tokens = np.broadcast_to(self.burst, (size, paths)).copy()
        self.keys = np.flatnonzero(np.isfinite(guards.key_qps) & (guards.key_share > 0))
        self.key_tokens = np.broadcast_to(_column(guards.key_qps * BURST_S, dtype), (size, paths)).copy()
        self.per_instance = bool(np.isfinite(guards.instance_qps).any())
        self.shares = 1.0 + guards.skew * np.array([1.0, 0.0, -1.0])
        self.held = np.zeros((_THIRDS, size, paths), dtype=dtype)
        if self.per_instance:
            self.held += np.nan_to_num(_column(guards.instance_burst, dtype), posinf=0.0)
        self.low = np.zeros(size, dtype=bool)  # services with a bucket that is not full

    def refill(self) -> None:
        """Fill every bucket, as after a long quiet time."""
        np.copyto(self.tokens, self.burst)
        np.copyto(self.key_tokens, self.guards.key_qps[:, None] * BURST_S)
        if self.per_instance:
            self.held[:] = np.nan_to_num(self.guards.instance_burst[:, None], posinf=0.0)
        self.low[:] = False

    def admit(self, at: slice, offered: Floats, *, on: NDArray[np.bool_], instances: Floats) -> Floats:
        """Let through what the buckets of the services ``at`` hold; ``on`` says whose limiter works."""
        passed = self._cluster(at, offered, on)
        if self.per_instance:
            passed = self._instances(at, passed, on, instances)
        for s in self.keys[(self.keys >= at.start) & (self.keys < at.stop)]:
            if on[s - at.start]:
                passed = self._key(int(s), at, passed)
        return passed

    def _cluster(self, at: slice, offered: Floats, on: NDArray[np.bool_]) -> Floats:
        rate = self.rate[at] if on.all() else np.where(on[:, None], self.rate[at], np.inf)
        if not self.low[at].any() and (offered <= rate).all():
            return offered
        passed, tokens = admit(self.tokens[at], offered, rate=rate, burst=self.burst[at])
        self.tokens[at] = tokens
        with np.errstate(invalid="ignore"):
            self.low[at] = (tokens < _FULL * self.burst[at]).any(axis=1)
        return passed

    def _key(self, s: int, at: slice, passed: Floats) -> Floats:
        """Cut the hottest item's requests to what one key may take."""
        row = s - at.start
        share, most = self.guards.key_share[s], self.guards.key_qps[s]
        hot = passed[row] * share
        let, self.key_tokens[s] = admit(self.key_tokens[s], hot, rate=most, burst=most * BURST_S)
        self.low[s] |= bool((self.key_tokens[s] < _FULL * most * BURST_S).any())
        if (let < hot).any():
            passed = passed.copy()
            passed[row] -= hot - let
        return passed

    def _instances(self, at: slice, passed: Floats, on: NDArray[np.bool_], instances: Floats) -> Floats:
        limit, burst = self.guards.instance_qps[at, None], self.guards.instance_burst[at, None]
        bound = (np.isfinite(limit[:, 0])) & on
        if not bound.any():
            return passed
        rows = np.flatnonzero(bound)
        n = np.maximum(instances[rows, None], 1.0)
        out = np.zeros((len(rows), passed.shape[1]))
        for third, weight in enumerate(self.shares):
            mean = passed[rows] * (weight / n)
            tokens = self.held[third, at.start + rows] + limit[rows]
            let = _expected_admitted(mean, tokens, share=weight / n) if self.guards.wobble else np.minimum(mean, tokens)
            self.held[third, at.start + rows] = np.clip(tokens - let, 0.0, burst[rows])
            out += let * (n / _THIRDS)
        passed = passed.copy()
        passed[rows] = np.minimum(out, passed[rows])
        return passed


def _expected_admitted(mean: Floats, tokens: Floats, *, share: Floats) -> Floats:
    """E[min(N, tokens)] of a binomial count by its normal approximation."""
    sigma = np.sqrt(np.maximum(mean * (1.0 - np.minimum(share, 1.0)), 1e-12))
    z = (mean - tokens) / sigma
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    excess = sigma * density + (mean - tokens) * ndtr(z)
    return np.asarray(np.clip(mean - excess, 0.0, np.minimum(mean, tokens)))


def _column(values: Floats, dtype: Precision) -> Floats:
    return values.astype(dtype)[:, None]
