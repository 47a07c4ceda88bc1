"""The ordinary course of daily activity: what every day would be without promotions, in the past and ahead."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.forecast.calendar import holiday_regressors, seasons
from capacity.forecast.design import Design, join, slope_column
from capacity.forecast.fit import PanelFit, fit_panel
from capacity.forecast.intervals import ErrorModel
from capacity.forecast.level import robust_filter, smoothed
from capacity.forecast.panel import error_model_of

Floats = npt.NDArray[np.float64]
# Below a year nobody has seen the season: ordinary activity may drift by some 15 % in two months.
UNSEEN_SEASON_SD = 0.15


@dataclass(frozen=True)
class Base:
    """Ordinary course of some series on the log scale.

    ``inside`` (series, days) of history, from the days around; ``noise_variance`` (series, 1) of an observation about
    the true course, ``inside_variance`` (series, days) of ``inside`` about it: it grows within gaps and past the ends;
    ``middle`` (series, horizon) ahead, ``sd`` its error's scale, ``weekday`` (days + horizon,) the mean weekday effect.
    """

    fit: PanelFit
    errors: ErrorModel
    inside: Floats
    noise_variance: Floats
    inside_variance: Floats
    middle: Floats
    sd: Floats
    weekday: Floats

    def draw(self, rng: np.random.Generator, n_samples: int) -> Floats:
        """(n_samples, series, horizon) log volumes."""
        together = np.full(self.middle.shape, self.errors.together)
        draws = self.errors.draw(rng, n_samples=n_samples, together=together)
        return np.asarray(self.middle[None] + self.sd[None] * draws)


def base_design(dates: pd.DatetimeIndex, n_history: int, holidays: pd.DataFrame | None) -> Design:
    """Slope, seasons and holidays of ``dates``."""
    columns = [slope_column(n_history, len(dates)), *seasons(dates, n_history)]
    named = holiday_regressors(holidays, dates)
    return join([*columns, named] if named is not None else columns)


def fit_base(
    logs: Floats,
    masked: npt.NDArray[np.bool_],
    design: Design,
    *,
    known: npt.NDArray[np.bool_],
    earlier: npt.NDArray[np.intp],
) -> Base:
    """Fit the ordinary course of ``logs`` (series, days) leaving out the ``masked`` days (days,).

    ``earlier`` (days + horizon,) is the same date a year before; ``known`` (days,) are the days of which something is
    known, closed ones included: they count as season seen.
    """
    n_history = logs.shape[1]
    horizon = len(design.shared) - n_history
    seen = np.where(masked[None], np.nan, logs)
    fit = fit_panel(design, seen, horizon=horizon, earlier=earlier)
    errors = error_model_of(fit, np.zeros((len(logs), n_history + horizon), dtype=bool))
    inside = _inside(fit, n_history)
    known_days: npt.NDArray[np.bool_] = np.any(np.isfinite(seen), axis=0)
    n_seen = int((known & ~masked).sum())
    unseen = UNSEEN_SEASON_SD**2 / 60 * max(1 - n_seen / 365, 0.0)  # a day
    noise = fit.shrinkage.sigma[:, None] ** 2
    variance = (noise * fit.ratio[:, None] + unseen) * _bridge(known_days)[None]
    sd = errors.sd(fit.theory, np.zeros_like(fit.middle, dtype=bool))
    sd = np.sqrt(sd**2 + unseen * np.minimum(np.arange(1, horizon + 1), 120)[None])
    weekday = np.array([name.startswith("weekday") for name in design.names])
    pattern = design.shared @ (np.where(weekday, fit.theta.mean(axis=0), 0.0))
    return Base(fit, errors, inside, noise + 1e-6, variance, fit.middle, sd, pattern)


def _inside(fit: PanelFit, n_history: int) -> Floats:
    days = slice(0, n_history)
    effects = fit.design.predict(fit.theta, days)
    residual = fit.filtered.clean - effects
    again = robust_filter(residual, ratio=fit.ratio, sigma=fit.shrinkage.sigma)
    return np.asarray(smoothed(again, ratio=fit.ratio) + effects + fit.dates.effect[None, days])


def _bridge(known: npt.NDArray[np.bool_]) -> Floats:
    """(days,) variance of a walk of unit steps that is known on some days: a bridge between them, free past the ends.

    Examples
    --------
    >>> _bridge(np.array([False, True, False, False, False, True])).tolist()
    [1.0, 0.0, 0.75, 1.0, 0.75, 0.0]
    """
    at = np.flatnonzero(known)
    days = np.arange(len(known))
    if not len(at):
        return np.full(len(known), float(len(known)))
    after = np.searchsorted(at, days)
    later = np.where(after < len(at), at[np.minimum(after, len(at) - 1)] - days, np.inf)
    earlier = np.where((after > 0) | known, days - at[np.maximum(after - ~known, 0)], np.inf)
    with np.errstate(invalid="ignore"):
        between = later * earlier / np.maximum(later + earlier, 1)
    return np.asarray(np.where(np.isinf(later) | np.isinf(earlier), np.minimum(later, earlier), between), dtype=float)
