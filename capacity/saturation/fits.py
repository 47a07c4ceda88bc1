"""Saturation curves of many services at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capacity.errors import InputError, Problem, UsageError, did_you_mean
from capacity.result import Result
from capacity.saturation.curve_intervals import parameter_ends, peaks_of, tails
from capacity.saturation.families import FAMILIES
from capacity.saturation.fit import CurveFit, check_family, curve_of
from capacity.saturation.points import MOST_SHOWN, read_points
from capacity.saturation.resample import parameter_draws
from capacity.saturation.stack import StackFit, fit_stack

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class CurveFits(Result):
    """Fitted saturation curves of many services; ``fits["checkout"]`` is one of them as `fit_curve` gives it.

    Attributes
    ----------
    services
        Names, in order of appearance.
    family
        The family of each.
    parameters
        By parameter, (B,); NaN where the service's family has no such parameter.
    peak_load, peak_throughput
        Load at which throughput is largest and that throughput, (B,); ``inf`` where there is none.
    misfit
        Root mean square of the relative residuals, (B,).
    weights, held_out_error
        By family, (B,): weight of each that competed, and its relative error on high load it was not shown; NaN where
        it could not take part.
    """

    services: tuple[str, ...]
    family: tuple[str, ...]
    parameters: Mapping[str, Array]
    peak_load: Array
    peak_throughput: Array
    misfit: Array
    weights: Mapping[str, Array]
    held_out_error: Mapping[str, Array]
    _stacks: tuple[tuple[Ints, StackFit], ...] = field(repr=False, default=())

    def __len__(self) -> int:
        return len(self.services)

    def __getitem__(self, service: str) -> CurveFit:
        if service not in self.services:
            raise UsageError(f"no service {service!r}", remedy=did_you_mean(service, self.services))
        row = self.services.index(service)
        for rows, stack in self._stacks:
            at = np.flatnonzero(rows == row)
            if len(at):
                return curve_of(stack, int(at[0]))
        raise AssertionError(service)

    def interval(self, level: float = 0.9, *, n: int = 200, seed: int = 0) -> pd.DataFrame:
        """Intervals of every service's parameters and of its peak, all in one pass.

        Parameters
        ----------
        level
            Coverage, between 0 and 1.
        n, seed
            Bootstrap rounds and their seed.

        Returns
        -------
        pandas.DataFrame
            Indexed by service and parameter, columns ``low`` and ``high``. Parameters are those of the service's
            family, as `CurveFit.interval` gives them; ``peak_load`` and ``peak_throughput`` are drawn from all families
            by their weights, for nobody knows which of two curves goes on as it began. With as many parameters as
            points nothing is known: the interval is then everything there may be.

        Examples
        --------
        >>> points = {"service": "a", "load": [1, 2, 4, 8, 16], "throughput": [10, 19, 36, 60, 81]}
        >>> fits = fit_curves(points, family="amdahl")
        >>> fits.interval(0.9).loc["a"].index.tolist()
        ['alpha', 'gamma', 'peak_load', 'peak_throughput']
        """
        import pandas as pd

        parts = [_intervals(rows, stack, level=level, n=n, seed=seed) for rows, stack in self._stacks]
        row, name, low, high = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = np.argsort(row, kind="stable")
        index = pd.MultiIndex.from_arrays(
            [np.array(self.services, dtype=object)[row[order]], name[order]], names=["service", "parameter"]
        )
        return pd.DataFrame({"low": low[order], "high": high[order]}, index=index)

    def summary(self) -> str:
        """Count the services by family."""
        counts = {name: self.family.count(name) for name in FAMILIES}
        families = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
        return f"{len(self)} curves: {families}; median misfit {np.median(self.misfit):.1%}"

    def to_frame(self) -> pd.DataFrame:
        """One row a service: family, parameters, peak, misfit and the families' weights."""
        import pandas as pd

        weights = {f"weight_{name}": values for name, values in self.weights.items()}
        peak = {"peak_load": self.peak_load, "peak_throughput": self.peak_throughput, "misfit": self.misfit}
        return pd.DataFrame(
            {"service": list(self.services), "family": list(self.family), **self.parameters, **peak, **weights}
        )


def fit_curves(points: Any, *, family: str | None = None) -> CurveFits:
    """Fit throughput against load for many services at once; what `fit_curve` does for one.

    Services with as many points as one another go through the contest and the fits as one stack, in blocks of bounded
    memory.

    Parameters
    ----------
    points
        A frame, or a mapping of arrays, with columns ``service``, ``load`` and ``throughput``, one row a point, in any
        order; services may have any number of points.
    family
        One family for all; None lets them compete, for each service by itself.

    Returns
    -------
    CurveFits

    Raises
    ------
    InputError
        With every unusable value and service at once.

    Examples
    --------
    >>> load = [1, 18, 36, 72, 108, 144, 216]
    >>> served = [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775, 1702.2]
    >>> points = {"service": ["a"] * 7 + ["b"] * 7, "load": load + load, "throughput": served + served[::-1]}
    >>> fits = fit_curves(points, family="usl")
    >>> round(float(fits.peak_load[0]), 1), fits["a"].family
    (96.5, 'usl')
    """
    check_family(family)
    names, code, load, throughput = read_points(points, family=family)
    order = np.lexsort((load, code))
    code, load, throughput = code[order], load[order], throughput[order]
    count = np.bincount(code, minlength=len(names))
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    stacks: list[tuple[Ints, StackFit]] = []
    for size in np.unique(count):
        rows = np.flatnonzero(count == size)
        at = first[rows][:, None] + np.arange(size)
        stacks.append((rows, fit_stack(load[at], throughput[at], family=family)))
    _check_enough(names, stacks)
    return _gathered(names, tuple(stacks))


def _check_enough(names: tuple[str, ...], stacks: list[tuple[Ints, StackFit]]) -> None:
    problems: list[Problem] = []
    for rows, stack in stacks:
        distinct = 1 + (np.diff(stack.load, axis=1) > 0).sum(axis=1)
        needed = np.array([len(FAMILIES[f].parameters) for f in stack.judged.families])[stack.winner]
        problems += [
            Problem(f"load of {names[rows[i]]}", f"{distinct[i]} distinct", f"{needed[i]} or more", "run more steps")
            for i in np.flatnonzero(distinct < needed)
        ]
    if problems:
        raise InputError("too few points for the curve", problems=problems[:MOST_SHOWN])


def _gathered(names: tuple[str, ...], stacks: tuple[tuple[Ints, StackFit], ...]) -> CurveFits:
    families = stacks[0][1].judged.families
    count = len(names)
    shown = list(dict.fromkeys(p for f in families for p in FAMILIES[f].parameters))
    parameters = {p: np.full(count, np.nan) for p in shown}
    weights, errors = ({f: np.full(count, np.nan) for f in families} for _ in range(2))
    family = np.empty(count, dtype=object)
    peak_load, peak, misfit = (np.empty(count) for _ in range(3))
    for rows, stack in stacks:
        misfit[rows] = stack.misfit
        for k, name in enumerate(families):
            weights[name][rows] = np.where(
                np.isnan(stack.judged.held_out_error[:, k]), np.nan, stack.judged.weights[:, k]
            )
            errors[name][rows] = stack.judged.held_out_error[:, k]
            won = np.flatnonzero(stack.winner == k)
            at, own = rows[won], stack.parameters[name][won]
            family[at] = name
            peak_load[at], peak[at] = FAMILIES[name].peak(own)
            for p, values in zip(FAMILIES[name].parameters, own.T, strict=True):
                parameters[p][at] = values
            alone = won[~np.isfinite(stack.judged.held_out_error[won]).any(axis=1)]
            weights[name][rows[alone]] = 1.0
    used = {p: v for p, v in parameters.items() if not np.isnan(v).all()}
    return CurveFits(names, tuple(family), used, peak_load, peak, misfit, weights, errors, stacks)


def _intervals(
    rows: Ints, stack: StackFit, *, level: float, n: int, seed: int
) -> tuple[Ints, NDArray[Any], Array, Array]:
    """Rows, parameter names, low and high ends of one stack's intervals."""
    count = len(stack.load)
    peak_load, peak = np.full((count, n), np.nan), np.full((count, n), np.nan)
    turn = _turns(stack, n)
    found: list[tuple[Ints, str, Array, Array]] = []
    for k, name in enumerate(stack.judged.families):
        one, at = FAMILIES[name], np.flatnonzero((turn == k).any(axis=1))
        if not len(at):
            continue
        load = stack.load[at]
        drawn = parameter_draws(one, stack.parameters[name][at], load, stack.throughput[at], n=n, seed=seed)
        ends = parameter_ends(one, drawn, stack.parameters[name][at], load, level=level)
        unknown = np.asarray(np.isnan(drawn).any(axis=(1, 2)))
        own = stack.winner[at] == k
        found += [(rows[at[own]], p, ends[0][own, j], ends[1][own, j]) for j, p in enumerate(one.parameters)]
        each = peaks_of(one, drawn.reshape(len(at) * n, -1), np.repeat(load, n, axis=0)).T
        mine = turn[at] == k
        for every, place in ((peak_load, each[0]), (peak, each[1])):
            values = np.where(unknown[:, None], np.nan, np.asarray(place).reshape(len(at), n))
            every[at] = np.where(mine, values, every[at])
    for label, values in (("peak_load", peak_load), ("peak_throughput", peak)):
        low, high = np.quantile(values, tails(level), axis=1, method="nearest")
        none = np.isnan(low)
        found.append((rows, label, np.where(none, 0.0, low), np.where(none, np.inf, high)))
    at_rows, labels, lows, highs = zip(*found, strict=True)
    sizes = [len(r) for r in at_rows]
    return (
        np.concatenate(at_rows),
        np.repeat(np.array(labels, dtype=object), sizes),
        np.concatenate(lows),
        np.concatenate(highs),
    )


def _turns(stack: StackFit, n: int) -> Ints:
    """Family whose curve each draw follows, (B, n): as many draws as its weight."""
    weight = np.stack([stack.weight_of(name) for name in stack.judged.families], axis=1)
    ends = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
    place = (np.arange(n) + 0.5) / n
    return np.asarray((place[None, :, None] > ends[:, None, :]).sum(axis=2), dtype=np.int64)
