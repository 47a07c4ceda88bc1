"""Flows through the call graph, on plain arrays.

Rows of a matrix are callers, columns callees; services are in the order of `Catalog.names`. With P the
mean calls an edge carries per request, the total rates of an acyclic graph solve

    λ = λ_external + Pᵀ λ,   that is   λ = (I − Pᵀ)⁻¹ λ_external.

The sum is taken level by level (every caller before its callees), which is exact, needs no inverse and
touches every edge once, for any number of futures together.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from capacity.catalog import Catalog, find_cycles
from capacity.errors import CapacityError, InputError, did_you_mean

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Edges:
    """The calls of a catalogue as arrays, one element a call.

    Parameters
    ----------
    services
        Names; the numbers in `caller` and `callee` are places in it.
    caller, callee
        Places of services.
    per_request
        Mean calls per request of the caller that get past the cache, without retries.
    retries
        Attempts after the first.
    required
        Whether the caller's request fails with the call.
    is_async
        Whether it goes through a queue.
    """

    services: tuple[str, ...]
    caller: NDArray[np.intp]
    callee: NDArray[np.intp]
    per_request: Floats
    retries: NDArray[np.intp]
    required: NDArray[np.bool_]
    is_async: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.caller)

    def to_sparse(self) -> sparse.csr_array:
        """Return P as a sparse matrix; calls of one pair add up."""
        size = len(self.services)
        return sparse.csr_array((self.per_request, (self.caller, self.callee)), shape=(size, size))


def call_edges(catalog: Catalog, *, cold: bool = False, degraded: Collection[str] = ()) -> Edges:
    """Return the calls as arrays.

    Parameters
    ----------
    catalog
        The services.
    cold
        Take caches as just started (`cold_hit_fraction`).
    degraded
        Features that are switched off; their calls are left out.

    Raises
    ------
    InputError
        When a feature is not known.
    """
    off = _known_features(catalog, degraded)
    place = {name: number for number, name in enumerate(catalog.names)}
    rows = [
        (place[name], place[c.to], c.calls_reaching(cold=cold), c.retries, c.is_required, c.is_async)
        for name, service in catalog.items()
        for c in service.calls
        if c.degrade is None or c.degrade.feature not in off
    ]
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * 6
    return Edges(
        services=catalog.names,
        caller=np.array(columns[0], dtype=np.intp),
        callee=np.array(columns[1], dtype=np.intp),
        per_request=np.array(columns[2], dtype=float),
        retries=np.array(columns[3], dtype=np.intp),
        required=np.array(columns[4], dtype=bool),
        is_async=np.array(columns[5], dtype=bool),
    )


def _known_features(catalog: Catalog, degraded: Collection[str]) -> frozenset[str]:
    if not degraded:
        return frozenset()
    known = {c.degrade.feature for s in catalog.values() for c in s.calls if c.degrade is not None}
    for feature in degraded:
        if feature not in known:
            raise InputError(f"no call serves a feature {feature!r}", remedy=did_you_mean(feature, sorted(known)))
    return frozenset(degraded)


def call_matrix(catalog: Catalog, *, cold: bool = False, degraded: Collection[str] = ()) -> Floats:
    """Return P: ``P[i, j]`` is the mean calls to j that one request to i causes, without retries.

    For thousands of services use ``call_edges(…).to_sparse()``; every function here takes either.

    Parameters
    ----------
    catalog, cold, degraded
        As for `call_edges`.

    Returns
    -------
    ndarray
        Shape ``(services, services)``.

    Examples
    --------
    >>> from capacity.catalog import parse_services
    >>> catalog = parse_services("[{name: a, tier: core, calls: [{to: b, per_request: 2}]}, {name: b, tier: core}]")
    >>> call_matrix(catalog)
    array([[0., 2.],
           [0., 0.]])
    """
    return np.asarray(call_edges(catalog, cold=cold, degraded=degraded).to_sparse().toarray())


def total_rates(P: ArrayLike | sparse.csr_array, external: ArrayLike) -> Floats:
    """Return all requests per second at every service from those that come from outside.

    Parameters
    ----------
    P
        Calls per request, ``(services, services)``, dense or sparse.
    external
        Requests per second from outside, ``(…, services)``.

    Returns
    -------
    ndarray
        As `external`.

    Raises
    ------
    CapacityError
        When the calls form a cycle: the catalogue's never do.

    Examples
    --------
    >>> total_rates([[0.0, 2.0], [0.0, 0.0]], [[10.0, 1.0]])
    array([[10., 21.]])
    """
    matrix = _sparse(P)
    rates = np.asarray(external, dtype=float)
    if rates.shape[-1] != matrix.shape[0]:
        raise ValueError(f"external: got {rates.shape[-1]} services, expected {matrix.shape[0]}")
    # Services first: rows of the sparse transpose then meet contiguous futures.
    total = np.ascontiguousarray(rates.reshape(-1, rates.shape[-1]).T)
    callers = sparse.csr_array(matrix.T)
    for level in _levels(matrix)[1:]:
        total[level] += callers[level] @ total
    return np.ascontiguousarray(total.T).reshape(rates.shape)


def reach_matrix(P: ArrayLike | sparse.csr_array) -> Floats:
    """Return M with ``total = external @ M``: requests to j that one request from outside to i causes.

    Parameters
    ----------
    P
        Calls per request, ``(services, services)``.

    Returns
    -------
    ndarray
        Dense, ones on its diagonal.

    Examples
    --------
    >>> reach_matrix([[0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    array([[1., 2., 6.],
           [0., 1., 3.],
           [0., 0., 1.]])
    """
    return total_rates(P, np.eye(_sparse(P).shape[0]))


def is_acyclic(P: ArrayLike | sparse.csr_array) -> bool:
    """Tell whether no service calls itself, directly or through others.

    Examples
    --------
    >>> is_acyclic([[0, 1], [0, 0]]), is_acyclic([[0, 1], [1, 0]])
    (True, False)
    """
    matrix = _sparse(P)
    return sum(len(level) for level in _peeled(matrix)) == matrix.shape[0]


def find_cycle(catalog: Catalog) -> tuple[str, ...]:
    """Return one cycle of calls, first service repeated at its end; empty when there is none."""
    cycles = find_cycles({name: [call.to for call in service.calls] for name, service in catalog.items()})
    return cycles[0] if cycles else ()


def upstream(catalog: Catalog, name: str) -> tuple[str, ...]:
    """Return all services whose requests end up at `name`, in the order of the file."""
    callers: dict[str, list[str]] = {}
    for caller, service in catalog.items():
        for call in service.calls:
            callers.setdefault(call.to, []).append(caller)
    return _closure(catalog, name, callers)


def downstream(catalog: Catalog, name: str) -> tuple[str, ...]:
    """Return all services that a request to `name` may reach, in the order of the file."""
    return _closure(catalog, name, {n: [call.to for call in service.calls] for n, service in catalog.items()})


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
    return np.where(success == 0.0, r + 1.0, np.where(np.isnan(p), np.nan, mean))


def _sparse(P: ArrayLike | sparse.csr_array) -> sparse.csr_array:
    matrix = sparse.csr_array(P if sparse.issparse(P) else np.asarray(P, dtype=float))
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"P: got shape {matrix.shape}, expected a square matrix")
    matrix.eliminate_zeros()
    return matrix


def _peeled(matrix: sparse.csr_array) -> list[NDArray[np.intp]]:
    """Layers of services, each called by earlier layers only; services on or behind a cycle are missing."""
    waiting = np.bincount(matrix.indices, minlength=matrix.shape[0])
    layers = []
    layer = np.flatnonzero(waiting == 0)
    while len(layer):
        layers.append(layer)
        called = np.bincount(matrix[layer].indices, minlength=matrix.shape[0])
        waiting = waiting - called
        layer = np.flatnonzero((waiting == 0) & (called > 0))
    return layers


def _levels(matrix: sparse.csr_array) -> list[NDArray[np.intp]]:
    layers = _peeled(matrix)
    if sum(len(layer) for layer in layers) != matrix.shape[0]:
        raise CapacityError("the calls form a cycle, in which requests would never end")
    return layers


def _closure(catalog: Catalog, name: str, neighbours: dict[str, list[str]]) -> tuple[str, ...]:
    waiting, found = [catalog[name].name], set()
    while waiting:
        for other in neighbours.get(waiting.pop(), ()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return tuple(other for other in catalog.names if other in found)
