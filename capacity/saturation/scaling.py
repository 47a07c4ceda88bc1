"""Capacity of a fleet against its instances: what they share makes n of them less than n times one.

The curve is C(n) = γ·n / (1 + α(n − 1) + βn(n − 1)), with β = 0 Amdahl's and with α = β = 0 a line. The three
compete by how likely each makes the capacities measured at different fleet sizes.

References
----------
.. [1] N. J. Gunther, "Guerrilla Capacity Planning", 2007, chapter 6: the law applied to nodes of a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from capacity.result import Result

if TYPE_CHECKING:
    import pandas as pd

    from capacity.display.figures import Chart

Array = NDArray[np.float64]

NEVER = 1e13
"""Instances that stand for "no number of them is enough"; above every quota."""
_LOSSES = np.geomspace(1e-3, 9.0, 24)
"""What sharing may cost at the largest fleet tested, as a share of what is left: from nothing that a test would show
to nine tenths. Every order of magnitude is as likely as another, for nothing is known before the test."""


def efficiency(instances: ArrayLike, alpha: ArrayLike, beta: ArrayLike) -> Array:
    """Share of a lone instance's capacity that each of n instances has.

    Examples
    --------
    >>> efficiency([1, 2, 10], 0.02, 0.0).round(3).tolist()
    [1.0, 0.98, 0.847]
    """
    n, a, b = (np.asarray(v, dtype=float) for v in (instances, alpha, beta))
    return np.asarray(1.0 / (1.0 + (n - 1.0) * (a + b * n)))


def instances_that_carry(lone: ArrayLike, alpha: ArrayLike, beta: ArrayLike) -> Array:
    """Instances (not rounded) whose capacity is that of so many without anything shared; `NEVER` where none are enough.

    Examples
    --------
    >>> instances_that_carry([1.0, 1.9607843, 60.0], 0.02, 0.0).round(3).tolist()
    [1.0, 2.0, 10000000000000.0]
    """
    v, a, b = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (lone, alpha, beta)))
    # n / (1 + α(n − 1) + βn(n − 1)) = v is a quadratic in n, of which the smaller root is on the rising side.
    linear = 1.0 - a * v + b * v
    inside = linear**2 - 4.0 * b * v**2 * (1.0 - a)
    root = linear + np.sqrt(np.maximum(inside, 0.0))
    reached = (inside >= 0) & (root > 0) & (linear > 0)
    found = np.divide(2.0 * v * (1.0 - a), root, out=np.full(v.shape, NEVER), where=reached)
    return np.asarray(np.minimum(found, NEVER))


@dataclass(frozen=True)
class FleetScaling(Result):
    """Capacity of a service's fleet against its instances, as samples.

    Attributes
    ----------
    service
        Its name.
    alpha, beta
        Contention and coherence of the fleet, (S,); both 0 where nothing is shared.
    lone_qps
        Capacity of one instance alone, requests/s, (S,).
    among
        Instances among which one takes the ``instance_capacity_qps`` of `Curves`: as many as run today.
    tested
        Sizes of the fleets that were tested, rising.
    measured_qps
        By run, its instances and the median of the fleet's capacity by that run alone.
    weights
        By family (``linear``, ``amdahl``, ``usl``), how likely it is after the tests.
    """

    service: str
    alpha: Array
    beta: Array
    lone_qps: Array
    among: int
    tested: tuple[int, ...]
    measured_qps: Mapping[str, tuple[int, float]]
    weights: Mapping[str, float]

    def fleet_capacity_qps(self, instances: float) -> Array:
        """Requests/s that so many instances take together at the objective, samples (S,).

        Beyond the largest fleet tested the curve goes on as each sample's does: the samples lie the further apart the
        further away. Past the fleet at which sharing costs more than an instance brings, capacity falls.
        """
        return np.asarray(self.lone_qps * instances * efficiency(instances, self.alpha, self.beta))

    def is_extrapolated(self, instances: float) -> bool:
        """Whether so many instances are more than were ever tested together."""
        return instances > self.tested[-1]

    def to_frame(self, instances: Sequence[int] | None = None) -> pd.DataFrame:
        """One row a fleet size: capacity q05, q50, q95, share of n times one, and whether it was extrapolated.

        Without sizes: those tested, and twice, four and eight times the largest.
        """
        import pandas as pd

        sizes = [*self.tested, *(self.tested[-1] * k for k in (2, 4, 8))] if instances is None else list(instances)
        rows = []
        for n in sizes:
            low, middle, high = np.quantile(self.fleet_capacity_qps(n), [0.05, 0.5, 0.95])
            share = float(np.median(efficiency(n, self.alpha, self.beta)))
            rows.append([n, low, middle, high, share, self.is_extrapolated(n)])
        return pd.DataFrame(rows, columns=["instances", "q05", "q50", "q95", "of_n_times_one", "extrapolated"])

    def plot(self) -> Chart:
        """Draw capacity against instances, beside n times one."""
        from capacity.saturation.fleet_figure import fleet

        return fleet(self)

    def summary(self) -> str:
        """Say the curve in one line."""
        return f"{self.service}: {self.says}"

    @property
    def says(self) -> str:
        """The finding in words, with its numbers and its consequence."""
        largest, smallest = self.tested[-1], self.tested[0]
        each = efficiency(largest, self.alpha, self.beta) / efficiency(smallest, self.alpha, self.beta)
        low, middle, high = np.quantile(1.0 - each, [0.05, 0.5, 0.95])
        likely = ", ".join(f"{name} {w:.0%}" for name, w in self.weights.items())
        return (
            f"an instance among {largest} takes {middle:.1%} ({low:.1%} to {high:.1%}) less than among {smallest}; "
            f"{likely}; beyond {largest} instances, the largest fleet tested, the curve is extrapolated"
        )

    def to_plain(self) -> dict[str, Any]:
        """Everything but the samples, for files."""
        return {
            "among": self.among,
            "tested": list(self.tested),
            "measured_qps": {run: [n, q] for run, (n, q) in self.measured_qps.items()},
            "weights": dict(self.weights),
        }

    def to_samples(self) -> Array:
        """Stack the samples (3, S) of alpha, beta and lone_qps."""
        return np.stack([self.alpha, self.beta, self.lone_qps])

    @classmethod
    def from_plain(cls, service: str, plain: Mapping[str, Any], samples: Array) -> FleetScaling:
        """Rebuild from `to_plain` and `to_samples`."""
        measured = {run: (int(n), float(q)) for run, (n, q) in plain["measured_qps"].items()}
        alpha, beta, lone_qps = samples
        return cls(
            service, alpha, beta, lone_qps, int(plain["among"]), tuple(plain["tested"]), measured, plain["weights"]
        )


@dataclass(frozen=True)
class Candidates:
    """Curves that compete: contention and coherence (G,), prior probability (G,), family of each (G,)."""

    alpha: Array
    beta: Array
    prior: Array
    family: NDArray[np.int64]

    names = ("linear", "amdahl", "usl")

    def log_efficiency(self, instances: ArrayLike) -> Array:
        """Log efficiency (G, k) at fleet sizes (k,)."""
        n = np.asarray(instances, dtype=float)
        return np.log(efficiency(n[None, :], self.alpha[:, None], self.beta[:, None]))


@cache
def candidates(largest: int) -> Candidates:
    """Curves worth trying where the largest fleet tested has so many instances; one line where that is one.

    The three families are as likely as one another before the test, and so is every order of magnitude of what sharing
    costs at the largest fleet.

    Examples
    --------
    >>> candidates(1).alpha.tolist(), bool(candidates(8).alpha.max() <= 1.0)
    ([0.0], True)
    """
    if largest <= 1:
        return Candidates(np.zeros(1), np.zeros(1), np.ones(1), np.zeros(1, dtype=np.int64))
    contention = np.minimum(_LOSSES / (largest - 1.0), 1.0)
    coherence = _LOSSES / (largest * (largest - 1.0))
    alpha, beta = (grid.ravel() for grid in np.meshgrid(contention, coherence, indexing="ij"))
    size = len(_LOSSES)
    return Candidates(
        alpha=np.concatenate([[0.0], contention, alpha]),
        beta=np.concatenate([np.zeros(1 + size), beta]),
        prior=np.concatenate([[1.0], np.full(size, 1.0 / size), np.full(size * size, 1.0 / size**2)]) / 3.0,
        family=np.repeat(np.arange(3), [1, size, size * size]),
    )
