"""Fit many tests of as many points each: the contest of the families, then the fits of those that still count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.saturation.compete import Contests, contests, fit_family
from capacity.saturation.families import COMPETING, FAMILIES

Array = NDArray[np.float64]

LEAST_WEIGHT = 0.02
"""Families of less weight than this are not drawn from."""
_MOST_AT_ONCE = 1 << 18
"""Numbers in one array of the contest; memory stays within a hundred megabytes."""


@dataclass(frozen=True)
class StackFit:
    """Fits of a stack of tests.

    Attributes
    ----------
    load, throughput
        The points (B, m), sorted by load.
    judged
        What the contest said.
    winner
        Index of each test's family in ``judged.families``, (B,).
    parameters
        By family, (B, P); NaN where the family has hardly any weight.
    misfit
        Root mean square of the winner's relative residuals, (B,).
    """

    load: Array
    throughput: Array
    judged: Contests
    winner: NDArray[np.int64]
    parameters: Mapping[str, Array]
    misfit: Array

    def weight_of(self, family: str) -> Array:
        """Weight of a family for drawing, (B,): the winner's alone where nothing could be judged."""
        k = self.judged.families.index(family)
        weight = np.where(self.judged.weights[:, k] >= LEAST_WEIGHT, self.judged.weights[:, k], 0.0)
        return np.where(self.judged.weights.sum(axis=1) > 0, weight, self.winner == k)


def fit_stack(load: Array, throughput: Array, *, family: str | None) -> StackFit:
    """Fit a stack of tests, in blocks.

    Parameters
    ----------
    load, throughput
        Arrays (B, m), each row sorted by load.
    family
        One family for all; None lets those compete whose load is a concurrency.
    """
    parts = [_fit_block(load[rows], throughput[rows], family=family) for rows in _blocks(*load.shape)]
    if len(parts) == 1:
        return parts[0]
    names = parts[0].judged.families
    return StackFit(
        load=load,
        throughput=throughput,
        judged=Contests(
            names,
            np.concatenate([p.judged.held_out_error for p in parts]),
            np.concatenate([p.judged.weights for p in parts]),
        ),
        winner=np.concatenate([p.winner for p in parts]),
        parameters={name: np.concatenate([p.parameters[name] for p in parts]) for name in names},
        misfit=np.concatenate([p.misfit for p in parts]),
    )


def _blocks(count: int, size: int) -> Iterator[slice]:
    # A test of so many points has half as many trials, each from a few starts.
    block = max(1, _MOST_AT_ONCE // (2 * size * size + 48 * size))
    for first in range(0, max(count, 1), block):
        yield slice(first, first + block)


def _fit_block(load: Array, throughput: Array, *, family: str | None) -> StackFit:
    families = COMPETING if family is None else (family,)
    judged = contests(load, throughput, families=families)
    # Too few points to judge by: a line.
    winner = np.where(judged.winner < 0, families.index("linear") if family is None else 0, judged.winner)
    parameters: dict[str, Array] = {}
    fitted = np.full(load.shape, np.nan)
    for k, name in enumerate(families):
        one = FAMILIES[name]
        parameters[name] = np.full((len(load), len(one.parameters)), np.nan)
        rows = np.flatnonzero((judged.weights[:, k] >= LEAST_WEIGHT) | (winner == k))
        if len(rows):
            parameters[name][rows] = fit_family(one, load[rows], throughput[rows], exact=True).parameters
        won = np.flatnonzero(winner == k)
        fitted[won] = one.predict(parameters[name][won], load[won])
    return StackFit(load, throughput, judged, winner, parameters, relative_misfit(throughput, fitted))


def relative_misfit(throughput: Array, fitted: Array) -> Array:
    """Root mean square of the relative residuals of points (B, m), (B,)."""
    known = throughput > 1e-9 * throughput.max(axis=1, keepdims=True)
    error = np.divide(fitted, throughput, out=np.ones_like(fitted), where=known) - 1.0
    return np.asarray(np.sqrt((error**2).sum(axis=1) / known.sum(axis=1)))
