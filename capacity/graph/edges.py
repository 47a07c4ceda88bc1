"""The calls of a catalogue as arrays, and who reaches whom."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from capacity.catalog import Call, Catalog, find_cycles
from capacity.errors import InputError, did_you_mean

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
    timeout_s
        When an attempt is given up, in seconds; infinite where nobody gives up.
    """

    services: tuple[str, ...]
    caller: NDArray[np.intp]
    callee: NDArray[np.intp]
    per_request: Floats
    retries: NDArray[np.intp]
    required: NDArray[np.bool_]
    is_async: NDArray[np.bool_]
    timeout_s: Floats

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
        (place[name], place[c.to], c.calls_reaching(cold=cold), c.retries, c.is_required, c.is_async, _timeout_s(c))
        for name, service in catalog.items()
        for c in service.calls
        if c.degrade is None or c.degrade.feature not in off
    ]
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * 7
    return Edges(
        services=catalog.names,
        caller=np.array(columns[0], dtype=np.intp),
        callee=np.array(columns[1], dtype=np.intp),
        per_request=np.array(columns[2], dtype=float),
        retries=np.array(columns[3], dtype=np.intp),
        required=np.array(columns[4], dtype=bool),
        is_async=np.array(columns[5], dtype=bool),
        timeout_s=np.array(columns[6], dtype=float),
    )


def _timeout_s(call: Call) -> float:
    # Work in a queue is not given up while it waits.
    return math.inf if call.timeout_ms is None or call.is_async else call.timeout_ms / 1000.0


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


def _closure(catalog: Catalog, name: str, neighbours: dict[str, list[str]]) -> tuple[str, ...]:
    waiting, found = [catalog[name].name], set()
    while waiting:
        for other in neighbours.get(waiting.pop(), ()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return tuple(other for other in catalog.names if other in found)
