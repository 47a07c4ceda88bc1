"""Flows through the call graph, on plain arrays.

Rows of a matrix are callers, columns callees; services are in the order of `Catalog.names`. With P the
mean calls an edge carries per request, the total rates of an acyclic graph solve

    λ = λ_external + Pᵀ λ,   that is   λ = (I − Pᵀ)⁻¹ λ_external.

The sum is taken level by level (every caller before its callees), which is exact, needs no inverse and
touches every edge once, for any number of futures together.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from capacity.errors import CapacityError

Floats = NDArray[np.float64]


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
    matrix = as_sparse(P)
    rates = np.asarray(external, dtype=float)
    if rates.shape[-1] != matrix.shape[0]:
        raise ValueError(f"external: got {rates.shape[-1]} services, expected {matrix.shape[0]}")
    # Services first: rows of the sparse transpose then meet contiguous futures.
    # A copy, always: of a single future it would else be the caller's own array that changes.
    total = np.array(rates.reshape(-1, rates.shape[-1]).T, order="C")
    callers = sparse.csr_array(matrix.T)
    for level in levels(matrix)[1:]:
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
    return total_rates(P, np.eye(as_sparse(P).shape[0]))


def is_acyclic(P: ArrayLike | sparse.csr_array) -> bool:
    """Tell whether no service calls itself, directly or through others.

    Examples
    --------
    >>> is_acyclic([[0, 1], [0, 0]]), is_acyclic([[0, 1], [1, 0]])
    (True, False)
    """
    matrix = as_sparse(P)
    return sum(len(level) for level in _peeled(matrix)) == matrix.shape[0]


def as_sparse(P: ArrayLike | sparse.csr_array) -> sparse.csr_array:
    """Return a square matrix as a sparse one of its own, without stored zeros."""
    matrix = sparse.csr_array(P if sparse.issparse(P) else np.asarray(P, dtype=float), copy=True)
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


def levels(matrix: sparse.csr_array) -> list[NDArray[np.intp]]:
    """Return the services in layers, every caller in an earlier layer than its callees."""
    layers = _peeled(matrix)
    if sum(len(layer) for layer in layers) != matrix.shape[0]:
        raise CapacityError("the calls form a cycle, in which requests would never end")
    return layers
