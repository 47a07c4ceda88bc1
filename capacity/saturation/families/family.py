"""What every curve family offers to the shared fitting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NOTHING = 1e-9
"""Share of throughput that no measurement tells from nothing."""


class Family(ABC):
    """A family of curves X(N): throughput in requests a second against a load.

    Everything is vectorized over a stack of curves: parameters are arrays (B, P), loads (B, n).
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]]
    low: ClassVar[tuple[float, ...]]
    scale_power: ClassVar[tuple[int, ...]]
    """How each parameter follows when throughput is measured in another unit."""
    searches: ClassVar[int] = 2
    """From how many of its starts the least squares are searched: a smooth curve has one valley."""

    @abstractmethod
    def predict(self, parameters: Array, load: Array) -> Array:
        """Throughput (B, n) at loads (B, n)."""

    def rough(self, parameters: Array, load: Array) -> Array:
        """Throughput as `predict` has it, as fast as it can be had: for the thousands of fits of a contest."""
        return self.predict(parameters, load)

    @abstractmethod
    def slopes(self, parameters: Array, load: Array, at: Array) -> Array:
        """Give the derivatives (P, B, n) of throughput by each parameter; ``at`` is what `rough` gives there."""

    @abstractmethod
    def starts(self, load: Array, throughput: Array) -> Array:
        """Give starting parameters (B, K, P) for the least-squares search; their size need not be right."""

    @abstractmethod
    def peak(self, parameters: Array) -> tuple[Array, Array]:
        """Load (B,) at which throughput is largest and that throughput (B,).

        The load is ``inf`` where throughput never falls again; the throughput is then the value it approaches, and
        ``inf`` where it grows without bound.
        """

    def high(self, load: Array) -> Array:
        """Upper bounds (B, P) of the parameters; a knee beyond the largest load cannot be seen."""
        return np.full((load.shape[0], len(self.parameters)), np.inf)

    def settle(self, parameters: Array, load: Array) -> Array:  # noqa: ARG002
        """Replace values that the loads cannot tell from "none" by what they mean."""
        return parameters


def negligible(effect: Array, load: Array, *, of: Array | float = 1.0) -> NDArray[np.bool_]:
    """Whether what slows the heaviest load by ``effect`` (B,) is none to any measurement, (B,)."""
    return np.asarray((effect < _NOTHING * of) & (load.max(axis=1) > 1.0))


def slope(load: Array, throughput: Array) -> Array:
    """Throughput per unit of load at the lightest load, (B,): the first guess of every family's scale, above 0.

    Throughput is in units in which the largest is near one; of points that are left out none may have served anything.
    """
    first = np.argmin(np.where(load > 0, load, np.inf), axis=1)
    rows = np.arange(load.shape[0])
    each = np.max(throughput / np.maximum(load, 1e-300), axis=1)
    least = 1e-6 * np.maximum(each, 1.0 / np.maximum(load.max(axis=1), 1e-300))
    return np.asarray(np.maximum(throughput[rows, first] / np.maximum(load[rows, first], 1e-300), least))
