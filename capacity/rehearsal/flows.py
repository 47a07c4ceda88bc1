"""How requests fan out: prepared matrices for every set of features that the calendar switches off."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from capacity.plan.network import Matrix, injection, reach
from capacity.plan.sizing import Bools
from capacity.rehearsal.arrange import Arranged
from capacity.rehearsal.world import Precision

Floats = NDArray[np.floating]

# Nanoseconds of one product, measured on one core with 100 futures in single precision, from 10 × 5 to 1,000 × 200
# cells: a sparse one takes 3 µs to call and 0.1–0.45 ns a stored number and future, a dense one 0.8 µs and
# 0.02–0.03 ns a cell and future.
_SPARSE_CALL, _SPARSE_EACH, _DENSE_CALL, _DENSE_EACH = 3_000.0, 0.3, 800.0, 0.025
_MOST_DENSE = 4_000_000  # cells of a matrix: beyond that memory counts


def handy(matrix: Matrix, *, paths: int, dtype: Precision) -> Any:
    """Return the matrix in the form, dense or sparse, whose product with (n, path) takes less time."""
    cells = matrix.shape[0] * matrix.shape[1]
    dense = _DENSE_CALL + _DENSE_EACH * cells * paths
    if cells <= _MOST_DENSE and dense < _SPARSE_CALL + _SPARSE_EACH * matrix.nnz * paths:
        return np.ascontiguousarray(matrix.toarray().astype(dtype))
    return matrix.astype(dtype)


@dataclass(frozen=True)
class Temperature:
    """The matrices behind warm caches, or behind cold ones.

    Attributes
    ----------
    through : (s, entry)
        Requests at every service that one at an entry causes when nothing fails.
    down, queued : tuple of (later services, level)
        Synchronous and queued calls of one level's services to those of later levels; None where there are none.
    """

    through: Any
    down: tuple[Any, ...]
    queued: tuple[Any, ...]

    @classmethod
    def of(cls, arranged: Arranged, keep: Bools, *, cold: bool, paths: int, dtype: Precision) -> "Temperature":
        """Prepare the calls of ``keep``."""
        network = arranged.world.network
        total = reach(injection(arranged.world.entries, network.size), network.matrix(only=keep, cold=cold))
        sync = network.matrix(only=keep & ~network.queued, cold=cold)
        queued = network.matrix(only=keep & network.queued, cold=cold)
        return cls(
            handy(Matrix(total.T), paths=paths, dtype=dtype),
            tuple(_levels(sync, arranged, paths, dtype)),
            tuple(_levels(queued, arranged, paths, dtype)),
        )


def _levels(matrix: Matrix, arranged: Arranged, paths: int, dtype: Precision) -> list[Any]:
    out: list[Any] = []
    for start, stop in zip(arranged.bounds[:-1], arranged.bounds[1:], strict=True):
        part = Matrix(matrix[start:stop, stop:].T)
        out.append(handy(part, paths=paths, dtype=dtype) if part.nnz else None)
    return out


class Flows:
    """Fan-out of one set of features, at any warmth of the caches."""

    def __init__(self, arranged: Arranged, keep: Bools, *, paths: int, dtype: Precision) -> None:
        network = arranged.world.network
        self.keep = keep
        self.warm = Temperature.of(arranged, keep, cold=False, paths=paths, dtype=dtype)
        same = np.array_equal(network.calls, network.cold_calls)
        self.cold = self.warm if same else Temperature.of(arranged, keep, cold=True, paths=paths, dtype=dtype)
        self.calls = np.where(keep, network.calls, 0.0).astype(dtype)
        self.cold_calls = np.where(keep, network.cold_calls, 0.0).astype(dtype)

    def demand(self, external: Floats, warmth: float) -> Floats:
        """Requests/s at every service when nothing fails, (s, path)."""
        return self._mix(self.warm.through, self.cold.through, external, warmth)

    def down(self, level: int, done: Floats, warmth: float) -> Floats | None:
        """Return the synchronous calls that one level's work makes, at the services of later levels."""
        matrix = self.warm.down[level]
        return None if matrix is None else self._mix(matrix, self.cold.down[level], done, warmth)

    def queued(self, level: int, done: Floats, warmth: float) -> Floats | None:
        """Return the same of the calls that go through a queue."""
        matrix = self.warm.queued[level]
        return None if matrix is None else self._mix(matrix, self.cold.queued[level], done, warmth)

    def calls_now(self, warmth: float) -> Floats:
        """Return the calls per request of every edge."""
        if warmth >= 1.0 or self.cold is self.warm:
            return self.calls
        return np.asarray(warmth * self.calls + (1.0 - warmth) * self.cold_calls, dtype=self.calls.dtype)

    def _mix(self, warm: Any, cold: Any, value: Floats, warmth: float) -> Floats:
        if warmth >= 1.0 or self.cold is self.warm:
            return np.asarray(warm @ value)
        share = np.asarray(warmth, dtype=value.dtype)
        return np.asarray(warm @ (share * value) + cold @ ((1 - share) * value))


def is_sparse(matrix: Any) -> bool:
    """Whether a prepared matrix was kept sparse."""
    return bool(sparse.issparse(matrix))
