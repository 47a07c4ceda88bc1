"""Fit a saturation curve to plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from capacity.errors import InputError, Problem, did_you_mean
from capacity.result import Result
from capacity.saturation.compete import Contest
from capacity.saturation.curve_intervals import PEAK, interval_frame, parameter_ends, peak_draws, predicted_draws
from capacity.saturation.families import FAMILIES
from capacity.saturation.points import checked_points
from capacity.saturation.resample import parameter_draws
from capacity.saturation.stack import StackFit, fit_stack, relative_misfit

if TYPE_CHECKING:
    import pandas as pd

    from capacity.display.figures import Chart

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CurveFit(Result):
    """A fitted saturation curve.

    The family's parameters are attributes: ``fit.alpha``, ``fit.beta``, ``fit.gamma`` for the USL; ``c``,
    ``service_s``, ``kappa_s`` for the pool (see the families' own pages).

    Attributes
    ----------
    family
        Name of the family.
    parameters
        Value of each parameter.
    load, throughput
        The points, sorted by load.
    misfit
        Root mean square of the relative residuals.
    weights
        Weight of every family that competed, summing to 1; one entry where the family was given.
    held_out_error
        Relative error of every family on high-load points it was not shown.
    """

    family: str
    parameters: Mapping[str, float]
    load: Array
    throughput: Array
    misfit: float
    weights: Mapping[str, float]
    held_out_error: Mapping[str, float]

    def __getattr__(self, name: str) -> float:
        values = self.__dict__.get("parameters", {})
        if name in values:
            return float(values[name])
        msg = f"{type(self).__name__} of family {self.__dict__.get('family')!r} has no attribute {name!r}"
        raise AttributeError(msg)

    @property
    def _vector(self) -> Array:
        return np.array([[self.parameters[p] for p in FAMILIES[self.family].parameters]])

    @property
    def peak_load(self) -> float:
        """Load at which throughput is largest; ``inf`` where it never falls again."""
        return float(FAMILIES[self.family].peak(self._vector)[0][0])

    @property
    def peak_throughput(self) -> float:
        """Largest throughput, or the value it approaches; ``inf`` where it grows without bound."""
        return float(FAMILIES[self.family].peak(self._vector)[1][0])

    def predict(self, load: ArrayLike) -> Array:
        """Throughput at any loads, same shape as ``load``."""
        at = np.asarray(load, dtype=float)
        return np.asarray(FAMILIES[self.family].predict(self._vector, at.reshape(1, -1)).reshape(at.shape))

    def residuals(self) -> Array:
        """Observed minus fitted throughput, in the order of ``load``."""
        return self.throughput - self.predict(self.load)

    def draws(self, n: int = 400, *, seed: int = 0) -> Array:
        """Plausible parameters (n, P), see `resample.parameter_draws`; NaN where no noise can be seen."""
        family = FAMILIES[self.family]
        drawn = parameter_draws(family, self._vector, self.load[None], self.throughput[None], n=n, seed=seed)
        return np.asarray(drawn[0])

    def interval(self, level: float = 0.9, *, n: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Interval of every parameter.

        Parameters
        ----------
        level
            Coverage, between 0 and 1.
        n, seed
            Bootstrap rounds and their seed.

        Returns
        -------
        pandas.DataFrame
            Indexed by parameter, columns ``low`` and ``high``. With as many parameters as points nothing is known of
            the noise: the interval is then everything the parameter may be.

        Examples
        --------
        >>> fit = fit_curve([1, 2, 4, 8, 16], [10, 19, 41, 79, 161], family="linear")
        >>> fit.interval(0.9).round(1).loc["gamma"].tolist()
        [9.6, 10.4]
        """
        import pandas as pd

        family, drawn = FAMILIES[self.family], self.draws(n, seed=seed)
        low, high = parameter_ends(family, drawn[None], self._vector, self.load[None], level=level)
        index = pd.Index(family.parameters, name="parameter")
        return pd.DataFrame({"low": low[0], "high": high[0]}, index=index)

    def predict_interval(self, load: ArrayLike, *, level: float = 0.9, n: int = 400, seed: int = 0) -> pd.DataFrame:
        """Interval of the curve's throughput at any loads, with what is not known of its shape.

        Every family that competed is drawn by its weight; each is wrong by its misfit of shape among the points and by
        its held-out error for every doubling of load past the last one, where it may also bend as no point shows. With
        too few points to hide any, a curve past the last one may go anywhere between standing still and proportion.

        Returns
        -------
        pandas.DataFrame
            Indexed by load, columns ``low`` and ``high``; 0 and ``inf`` where nothing is known of the noise.

        Examples
        --------
        >>> fit = fit_curve([1, 2, 4, 8, 16], [10, 19, 41, 79, 161], family="linear")
        >>> inside, far = fit.predict_interval([16, 64])["low"] / fit.predict([16, 64])
        >>> far < inside < 1.0
        True
        """
        at = np.atleast_1d(np.asarray(load, dtype=float))
        return interval_frame(predicted_draws(self, at, n=n, seed=seed), at, name="load", level=level)

    def peak_interval(self, *, level: float = 0.9, n: int = 400, seed: int = 0) -> pd.DataFrame:
        """Interval of the peak over every family that competed, by weight.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``peak_load`` and ``peak_throughput``, columns ``low`` and ``high``; ``inf`` where it may be.
            With too few points to hide any from the curve nothing bounds the peak from above.

        Examples
        --------
        >>> fit = fit_curve([1, 2, 4, 8, 16, 32], [10, 19, 35, 58, 78, 79], family="usl")
        >>> low, high = fit.peak_interval().loc["peak_throughput"]
        >>> low <= fit.peak_throughput <= high
        True
        """
        return interval_frame(peak_draws(self, n=n, seed=seed), PEAK, name="peak", level=level)

    def plot(self) -> Chart:
        """Draw the points, the curves that competed, and the 90 % interval of the throughput."""
        from capacity.saturation.curve_figure import curve

        return curve(self)

    def summary(self) -> str:
        """Say the curve in one line."""
        values = ", ".join(f"{k}={v:.5g}" for k, v in self.parameters.items())
        return f"{self.family} curve, {values}, peak {self.peak_throughput:.4g}/s, misfit {self.misfit:.1%}"

    def to_frame(self) -> pd.DataFrame:
        """Points and fit: load, throughput, fitted, relative error."""
        import pandas as pd

        fitted = self.predict(self.load)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = (fitted - self.throughput) / self.throughput
        return pd.DataFrame(
            {"load": self.load, "throughput": self.throughput, "fitted": fitted, "relative_error": error}
        )


def fit_curve(load: ArrayLike, throughput: ArrayLike, *, family: str | None = None) -> CurveFit:
    """Fit throughput against load by least squares on throughput.

    Parameters
    ----------
    load
        Concurrency (users, connections, processors) of each point, above 0; the CPU fraction for ``utilization``.
    throughput
        Requests a second at each point.
    family
        One of ``linear, amdahl, usl, pool, mmc, utilization``; None lets all but the last compete on held-out
        high load.

    Returns
    -------
    CurveFit

    Raises
    ------
    InputError
        For arrays that hold no usable points, an unknown family, or fewer distinct loads than parameters.

    Examples
    --------
    >>> load = [1, 18, 36, 72, 108, 144, 216]
    >>> fit = fit_curve(load, [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775, 1702.2], family="usl")
    >>> round(fit.alpha, 5), round(fit.gamma, 3), round(fit.peak_load, 1)
    (0.02773, 89.995, 96.5)

    References
    ----------
    .. [1] N. J. Gunther, "Guerrilla Capacity Planning", 2007 (the data: SPEC SDM91).
    """
    check_family(family)
    x, y = checked_points(load, throughput, family=family)
    fit = curve_of(fit_stack(x[None, :], y[None, :], family=family), 0)
    needed = len(FAMILIES[fit.family].parameters)
    if len(np.unique(x)) < needed:
        raise InputError(
            f"too few points for the {fit.family} curve",
            problems=[
                Problem("load", f"{len(np.unique(x))} distinct", f"{needed} or more", "run more steps, or use 'linear'")
            ],
        )
    return fit


def check_family(family: str | None) -> None:
    """Refuse a family that does not exist."""
    if family is not None and family not in FAMILIES:
        raise InputError(
            "unknown curve family",
            problems=[Problem("family", repr(family), ", ".join(FAMILIES), did_you_mean(str(family), FAMILIES))],
        )


@dataclass(frozen=True)
class StackRow:
    """One test of a stack."""

    stack: StackFit
    row: int

    @property
    def judged(self) -> Contest:
        """What the contest said of it."""
        return self.stack.judged.of(self.row)

    def curve(self, family: str | None = None) -> CurveFit:
        """Its winner, or a family by itself."""
        return curve_of(self.stack, self.row, family=family)


def curve_of(stack: StackFit, row: int, *, family: str | None = None) -> CurveFit:
    """Take one test out of a stack: its winner, or a family by itself."""
    if family is not None and family != stack.judged.families[int(stack.winner[row])]:
        x, y, theta = stack.load[row], stack.throughput[row], stack.parameters[family][row]
        misfit = relative_misfit(y[None], FAMILIES[family].predict(theta[None], x[None]))
        values = dict(zip(FAMILIES[family].parameters, (float(v) for v in theta), strict=True))
        return CurveFit(family, values, x, y, float(misfit[0]), {family: 1.0}, {})
    name = stack.judged.families[int(stack.winner[row])]
    values = dict(zip(FAMILIES[name].parameters, (float(v) for v in stack.parameters[name][row]), strict=True))
    judged = stack.judged.of(row)
    weights = judged.weights if name in judged.weights else {name: 1.0}
    return CurveFit(
        name,
        values,
        stack.load[row],
        stack.throughput[row],
        float(stack.misfit[row]),
        weights,
        judged.held_out_error,
    )
