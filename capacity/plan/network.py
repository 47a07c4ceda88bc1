"""The call graph as sparse arrays: what a request at one service asks of every other."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from capacity.plan.sizing import Bools, Floats, Ints

if TYPE_CHECKING:
    from capacity.catalog import Call, Catalog

RETRY_BUDGET = 0.1  # share of requests that may be retries; a caller with retries has to keep to it

_NOTHING = 1e-12  # calls per request: rarer ones are not followed

Matrix = sparse.csr_array


@dataclass(frozen=True)
class Network:
    """Edges of a call graph on positions ``0 … size − 1``.

    Attributes
    ----------
    size : int
        Number of services.
    caller, callee : ndarray (edge,)
        Positions.
    calls : ndarray (edge,)
        Mean calls that one request causes, behind a warm cache, without retries.
    cold_calls : ndarray (edge,)
        The same behind a cold cache.
    retries : ndarray (edge,)
        Most retries of one call.
    binding : ndarray (edge,)
        Whether the caller cannot answer without it: required and synchronous. Only these lower a
        caller's limit.
    queued : ndarray (edge,)
        Whether the call goes through a queue.
    call : tuple
        The catalogue's calls, aligned with the edges; empty where the graph was built from arrays.
    """

    size: int
    caller: Ints
    callee: Ints
    calls: Floats
    cold_calls: Floats
    retries: Ints
    binding: Bools
    queued: Bools
    call: "tuple[Call, ...]" = field(default=(), repr=False)

    @cached_property
    def attempts(self) -> Floats:
        """Attempts per call that limits must allow for: the retry budget where there are retries."""
        return 1.0 + np.minimum(self.retries, RETRY_BUDGET)

    def matrix(self, *, only: Bools | None = None, cold: bool = False, with_attempts: bool = False) -> Matrix:
        """Mean calls per request, caller by row and callee by column."""
        use = np.ones(len(self.caller), dtype=bool) if only is None else only
        rate = (self.cold_calls if cold else self.calls) * (self.attempts if with_attempts else 1.0)
        shape = (self.size, self.size)
        return Matrix(sparse.coo_array((rate[use], (self.caller[use], self.callee[use])), shape=shape))


def reach(start: Matrix, matrix: Matrix) -> Matrix:
    """Total requests at every service caused by each row of ``start``: start · (I − P)⁻¹ of an acyclic graph.

    Examples
    --------
    >>> chain = Matrix(np.array([[0.0, 2.0], [0.0, 0.0]]))
    >>> reach(Matrix(np.array([[1.0, 0.0]])), chain).toarray()
    array([[1., 2.]])
    """
    total, front = start.copy(), start
    for _ in range(matrix.shape[0]):
        front = Matrix(front @ matrix)
        front.data[np.abs(front.data) < _NOTHING] = 0.0
        front.eliminate_zeros()
        if front.nnz == 0:
            return Matrix(total)
        total = total + front
    raise ValueError("the call graph has a cycle: got calls that never end, expected an acyclic graph")


def through(rates: Floats, matrix: Matrix) -> Floats:
    """Count requests at every service when ``rates`` (s,) arrive from outside: `reach` of a single vector.

    Examples
    --------
    >>> through(np.array([3.0, 1.0]), Matrix(np.array([[0.0, 2.0], [0.0, 0.0]])))
    array([3., 7.])
    """
    down = Matrix(matrix.T)
    total = front = np.asarray(rates, dtype=float)
    for _ in range(matrix.shape[0]):
        front = np.asarray(down @ front)
        if not front.any():
            return np.asarray(total, dtype=float)
        total = total + front
    raise ValueError("the call graph has a cycle: got calls that never end, expected an acyclic graph")


def downwards_least(network: "Network", values: Floats) -> Floats:
    """Smallest of ``values`` (s,) at each service and at everything that it cannot answer without.

    Examples
    --------
    >>> one, yes = np.array([1.0]), np.array([True])
    >>> chain = Network(2, np.array([0]), np.array([1]), one, one, np.array([0]), yes, ~yes)
    >>> downwards_least(chain, np.array([5.0, 2.0]))
    array([2., 2.])
    """
    use = network.binding & (network.calls > 0)
    caller, callee = network.caller[use], network.callee[use]
    least = np.array(values, dtype=float)
    for _ in range(network.size):
        before = least[caller]
        np.minimum.at(least, caller, least[callee])
        if np.array_equal(before, least[caller]):
            break
    return least


def injection(rows: Iterable[int], size: int) -> Matrix:
    """One request at each of ``rows``."""
    at = np.fromiter(rows, dtype=np.int64)
    return Matrix(sparse.coo_array((np.ones(len(at)), (np.arange(len(at)), at)), shape=(len(at), size)))


def read_network(catalog: "Catalog") -> Network:
    """Take the call graph out of a catalogue."""
    position = {name: i for i, name in enumerate(catalog.names)}
    found = [(position[name], position[c.to], c) for name in catalog.names for c in catalog[name].calls]
    calls = [c for _, _, c in found]

    def column(values: Iterable[Any], dtype: Any) -> Any:
        return np.array(list(values), dtype=dtype)

    return Network(
        size=len(position),
        caller=column((i for i, _, _ in found), np.int64),
        callee=column((j for _, j, _ in found), np.int64),
        calls=column((c.calls_reaching() for c in calls), float),
        cold_calls=column((c.calls_reaching(cold=True) for c in calls), float),
        retries=column((c.retries for c in calls), np.int64),
        binding=column((c.is_required for c in calls), bool),
        queued=column((c.is_async for c in calls), bool),
        call=tuple(calls),
    )
