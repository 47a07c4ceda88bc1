"""Retries: the load that failures add, and the overload that feeds itself.

A call that fails is tried again, so its callee sees ``A = (1 − p^{r+1}) / (1 − p)`` attempts per call. The
probability p rises with the callee's load, which rises with A: a fixed point. Load and failure only ever
raise each other, so iterating from "nothing fails" climbs to the lowest equilibrium, and iterating from
"everything fails" falls to the highest (Knaster and Tarski). Where the two differ, the system has a second
state: once pushed over, it stays overloaded by its own retries although the demand alone would fit.

References
----------
Bronson, Aghayev, Charapko, Zhu: Metastable Failures in Distributed Systems, HotOS 2021.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from capacity.graph.edges import Edges
from capacity.graph.flows import levels

Floats = NDArray[np.float64]
FailureModel = Callable[[Floats, Floats], Floats]
"""From utilization (load by capacity) and patience (requests served within one time-out) to the
probability that an attempt fails; must not fall when utilization rises."""


def attempts(failure_probability: ArrayLike, retries: ArrayLike) -> Floats:
    """Mean attempts per call, ``(1 − p^{r+1}) / (1 − p)``: each failure is tried again, at most r times.

    Parameters
    ----------
    failure_probability
        Of one attempt, 0 to 1.
    retries
        Attempts after the first.

    Returns
    -------
    ndarray
        From 1 (nothing fails) to ``retries + 1`` (all fails).

    Examples
    --------
    >>> attempts([0.0, 0.5, 1.0], 2)
    array([1.  , 1.75, 3.  ])
    """
    p, r = np.broadcast_arrays(np.asarray(failure_probability, dtype=float), np.asarray(retries, dtype=float))
    if np.any((p < 0) | (p > 1)):
        raise ValueError("failure_probability: expected 0 to 1")
    success = 1.0 - p
    with np.errstate(divide="ignore", invalid="ignore"):
        # expm1 keeps the digits that 1 − p^{r+1} loses when nearly everything fails.
        mean = -np.expm1((r + 1.0) * np.log1p(-success)) / success
    within = np.clip(mean, 1.0, r + 1.0)  # the last digit may lie outside
    return np.where(success == 0.0, r + 1.0, np.where(np.isnan(p), np.nan, within))


def timeout_failure(utilization: Floats, patience: Floats) -> Floats:
    """Probability that an attempt waits longer than its time-out, in first-come-first-served order.

    The response-time tail of M/M/1, ``exp(−patience · (1 − utilization))``: next to nothing until the
    service is almost full, certain beyond. Where nobody gives up (infinite patience) nothing fails.

    Examples
    --------
    >>> timeout_failure(np.array([0.5, 0.5, 1.2]), np.array([2.0, np.inf, 100.0])).round(4)
    array([0.3679, 0.    , 1.    ])
    """
    spare = np.maximum(1.0 - utilization, 0.0)
    with np.errstate(invalid="ignore"):
        tail = np.exp(-patience * spare)
    return np.where(np.isinf(patience), 0.0, tail)


def loss_failure(utilization: Floats, patience: Floats) -> Floats:
    """Probability that an attempt is turned away at once, where a limit admits the capacity and no more.

    ``1 − 1 / utilization`` beyond the capacity; `patience` plays no part.

    Examples
    --------
    >>> loss_failure(np.array([0.5, 2.0]), np.array([1.0, 1.0]))
    array([0. , 0.5])
    """
    return 1.0 - 1.0 / np.maximum(utilization, 1.0) + 0.0 * np.nan_to_num(patience, posinf=0.0)


@dataclass(frozen=True, eq=False)
class RetryEquilibrium:
    """Where load and failures come to rest.

    Parameters
    ----------
    rates_qps
        Attempts per second at every service, ``(…, services)``, in the lowest equilibrium.
    failure_probability
        Of an attempt on every edge, ``(…, edges)``, in the lowest equilibrium.
    overload_rates_qps
        As `rates_qps`, in the highest equilibrium.
    is_metastable
        ``(…, services)``: within capacity in the lowest, beyond it in the highest equilibrium.
    converged
        Whether both iterations came to rest; if not, the lowest is at least, the highest at most this.
    """

    rates_qps: Floats
    failure_probability: Floats
    overload_rates_qps: Floats
    is_metastable: NDArray[np.bool_]
    converged: bool

    @property
    def has_overload_equilibrium(self) -> NDArray[np.bool_]:
        """``(…)``: whether some service can be held beyond its capacity by retries alone."""
        return np.asarray(self.is_metastable.any(axis=-1))


def retry_fixed_point(
    edges: Edges,
    external: ArrayLike,
    *,
    capacity_qps: ArrayLike,
    failure: FailureModel = timeout_failure,
    base_failure: ArrayLike = 0.0,
    tolerance: float = 1e-9,
    max_rounds: int = 500,
) -> RetryEquilibrium:
    """Find the rates at which retries and failures agree, from below and from above.

    A request fails when one of its required calls fails after all its attempts; its own callers then try
    again, so that failures multiply upwards. Calls that a failing request would have left out are counted
    all the same: the rates are upper bounds there.

    Parameters
    ----------
    edges
        From `call_edges`.
    external
        Requests per second from outside, ``(…, services)``.
    capacity_qps
        ``(services,)`` or as `external`: the most that can be served, not the capacity at an SLO, which is
        less and would make failures of mere slowness. NaN or infinite where unknown: load then makes nothing
        fail.
    failure
        `timeout_failure` (slow when full) or `loss_failure` (turns away when full), or another model.
    base_failure
        Probability that an attempt fails whatever the load; a number or one a service.
    tolerance
        Largest relative change of a rate in the last round.
    max_rounds
        Of each iteration.

    Returns
    -------
    RetryEquilibrium
        For all futures together.

    Examples
    --------
    Three attempts a call, 60 calls a second, 100 attempts a second served: 60 fit, but 180 would not, and
    would go on not fitting.

    >>> from capacity.catalog import parse_services
    >>> from capacity.graph import call_edges
    >>> catalog = parse_services(
    ...     "[{name: a, tier: core, calls: [{to: b, retries: 2, timeout_ms: 1000}]}, {name: b, tier: core}]")
    >>> rest = retry_fixed_point(call_edges(catalog), [60.0, 0.0], capacity_qps=[1000.0, 100.0])
    >>> rest.rates_qps.round(6), rest.overload_rates_qps, bool(rest.has_overload_equilibrium)
    (array([60., 60.]), array([ 60., 180.]), True)
    """
    outside = np.asarray(external, dtype=float)
    network = _Network(edges, outside, capacity_qps, failure=failure, base_failure=base_failure)
    low = network.settle(np.zeros((len(edges), network.futures)), tolerance=tolerance, max_rounds=max_rounds)
    high = network.settle(np.ones((len(edges), network.futures)), tolerance=tolerance, max_rounds=max_rounds)
    limit = np.where(np.isnan(network.capacity), np.inf, network.capacity)
    metastable = (low.rates <= limit) & (high.rates > limit)
    return RetryEquilibrium(
        rates_qps=low.rates.T.reshape(outside.shape),
        failure_probability=low.failures.T.reshape(*outside.shape[:-1], len(edges)),
        overload_rates_qps=high.rates.T.reshape(outside.shape),
        is_metastable=metastable.T.reshape(outside.shape),
        converged=low.converged and high.converged,
    )


@dataclass(frozen=True, eq=False)
class _Rest:
    rates: Floats  # (services, futures)
    failures: Floats  # (edges, futures)
    converged: bool


class _Network:
    """The graph prepared for many rounds: edges grouped by level, services and edges first, futures last."""

    def __init__(
        self, edges: Edges, outside: Floats, capacity_qps: ArrayLike, *, failure: FailureModel, base_failure: ArrayLike
    ) -> None:
        size = len(edges.services)
        if outside.shape[-1] != size:
            raise ValueError(f"external: got {outside.shape[-1]} services, expected {size}")
        self.edges = edges
        self.outside = outside.reshape(-1, size).T
        self.futures = self.outside.shape[1]
        capacity = np.broadcast_to(np.asarray(capacity_qps, dtype=float), outside.shape)
        self.capacity = capacity.reshape(-1, size).T
        base = np.broadcast_to(np.asarray(base_failure, dtype=float), (size,))
        self._base = base[edges.callee][:, None]
        self._failure = failure
        self._patience = np.nan_to_num(self.capacity, nan=np.inf)[edges.callee] * edges.timeout_s[:, None]
        level = np.zeros(size, dtype=np.intp)
        for depth, members in enumerate(levels(edges.to_sparse())):
            level[members] = depth
        depths = range(1, int(level.max(initial=0)) + 1)
        self._into = [self._group(np.flatnonzero(level[edges.callee] == d), edges.callee) for d in depths]
        matters = edges.required & (edges.per_request > 0)
        self._out_of = [
            self._group(np.flatnonzero((level[edges.caller] == d) & matters), edges.caller)
            for d in reversed([0, *depths])
        ]

    def settle(self, failures: Floats, *, tolerance: float, max_rounds: int) -> _Rest:
        rates = self._rates(failures)
        for _ in range(max_rounds):
            failures = self._failures(rates)
            last, rates = rates, self._rates(failures)
            if np.all(np.abs(rates - last) <= tolerance * np.maximum(last, 1.0)):
                return _Rest(rates, failures, converged=True)
        return _Rest(rates, failures, converged=False)

    def _group(self, members: NDArray[np.intp], ends: NDArray[np.intp]) -> tuple[NDArray[np.intp], sparse.csr_array]:
        """Edges of one level with the matrix that adds them up at their end."""
        shape = (len(self.edges.services), len(members))
        return members, sparse.csr_array((np.ones(len(members)), (ends[members], np.arange(len(members)))), shape=shape)

    def _rates(self, failures: Floats) -> Floats:
        edges = self.edges
        load = edges.per_request[:, None] * attempts(failures, edges.retries[:, None])
        rates = self.outside.copy()
        for members, adding in self._into:
            rates += adding @ (rates[edges.caller[members]] * load[members])
        return rates

    def _failures(self, rates: Floats) -> Floats:
        """Failure of an attempt: of the callee itself, or of what the callee requires."""
        edges = self.edges
        with np.errstate(divide="ignore", invalid="ignore"):
            utilization = np.nan_to_num(rates / self.capacity, nan=0.0, posinf=np.inf)[edges.callee]
        by_load = np.clip(self._failure(utilization, self._patience), 0.0, 1.0)
        answered = (1.0 - self._base) * (1.0 - by_load)
        log_success = np.zeros_like(rates)
        for members, adding in self._out_of:
            attempt = 1.0 - answered[members] * np.exp(log_success[edges.callee[members]])
            final = attempt ** (edges.retries[members, None] + 1.0)
            log_success = log_success + adding @ _log_all_succeed(final, edges.per_request[members, None])
        return 1.0 - answered * np.exp(log_success[edges.callee])


def _log_all_succeed(failure: Floats, calls: Floats) -> Floats:
    """Log of the probability that every call succeeds; fewer than one call is a call now and then."""
    with np.errstate(divide="ignore"):
        often = calls * np.log1p(-failure)
        seldom = np.log1p(-np.minimum(calls, 1.0) * failure)
    # A large negative number in place of −∞: it must survive a product with a zero of the sparse matrix.
    return np.maximum(np.where(calls >= 1.0, often, seldom), -1e3)
