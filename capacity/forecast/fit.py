"""Fit a panel of log volumes: regression, level, what rolling origins teach of both, and the forecast's middle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from capacity.forecast import anniversary, occurrences, regression, rolling
from capacity.forecast.design import DAMPED, Design
from capacity.forecast.level import RATIOS, UNSETTLED, Filtered, choose_ratio, log_likelihoods, robust_filter
from capacity.forecast.tables import Event

Floats = npt.NDArray[np.float64]
_MEMORY_DAYS = 450  # recent days that tell how long a level is remembered
_USUAL_RATIO = 0.01  # of the level's daily variance to the noise's, before any is learnt
LEARNERS = 96  # series that teach what all share (noise, spread, memory); more change nothing but the time it takes


@dataclass(frozen=True)
class PanelFit:
    """A fitted panel.

    ``theta`` (series, p), ``level`` (series, horizon), ``middle`` (series, horizon) on the log scale;
    ``theory`` (series, horizon, 4) the variances that the model alone expects of the error; ``rolling`` errors of the
    ``learners``, and ``rolling_theory``, the theory for them.
    """

    design: Design
    n_history: int
    theta: Floats
    shrinkage: regression.Shrinkage
    filtered: Filtered
    ratio: Floats
    level: Floats
    middle: Floats
    theory: Floats
    learners: npt.NDArray[np.intp]
    rolling: rolling.Rolling
    rolling_theory: Floats
    dates: anniversary.Anniversaries
    spread: occurrences.Spread

    @property
    def horizon(self) -> int:
        """Days ahead."""
        return int(self.middle.shape[1])

    def parts_ahead(self) -> dict[str, Floats]:
        """(series, horizon) level, season, holiday and event effects ahead; they add up to ``middle``."""
        ahead = slice(self.n_history, self.n_history + self.horizon)
        parts = {part: self.design.predict(self.theta, ahead, (part,)) for part in rolling.AROUND_LEVEL}
        parts["season"] = parts["season"] + self.dates.effect[None, ahead]
        return {"level": self.level} | parts


def fit_panel(
    design: Design, logs: Floats, *, horizon: int, earlier: npt.NDArray[np.intp], events: Sequence[Event] = ()
) -> PanelFit:
    """Fit all series together and forecast the days after the history.

    Parameters
    ----------
    design : Design
        Regressors of history and horizon.
    logs : (series, days) array
        Log volumes; NaN where unknown.
    horizon : int
        Days ahead; the design must reach so far.
    earlier : (days + horizon,) array of int
        The same date a year before; below 0 where history does not reach back so far.
    events : sequence of Event
        Past and coming events of the design: how single ones stray is learnt from those that all series share.

    References
    ----------
    .. [1] A. C. Harvey (1989). Forecasting, Structural Time Series Models and the Kalman Filter, section 3.4
       (regression in innovations).
    """
    n_series, n_history = logs.shape
    learners = np.unique(np.linspace(0, n_series - 1, min(LEARNERS, n_series)).astype(np.intp))
    design, dates, span, shrinkage = _first_look(design, learners, logs, earlier)
    logs = logs - dates.effect[None, :n_history]
    shrinkage, ratio, filtered, span = _learn(design.of(learners), logs[learners], span, shrinkage)
    if len(learners) < n_series:
        # All others get the pool's mean as a first fit, and noise and memory of their own from what it leaves.
        theta = np.broadcast_to(shrinkage.mean, (n_series, design.n_columns))
        shrinkage, filtered, ratio = _noise_of_all(design, logs, theta, shrinkage)
        (span,) = regression.moments(design, filtered, cuts=[n_history])
    theta = regression.solve(span, shrinkage)
    shrinkage = replace(shrinkage, sigma=_noise(span, theta))
    own, own_filtered = design.of(learners), filtered.of(learners)
    origins = rolling.choose_origins(n_history, horizon=horizon)
    spread = occurrences.learn_spread(
        events,
        own,
        logs=logs[learners],
        theta=theta[learners],
        filtered=own_filtered,
        span=span.of(learners),
        shrinkage=shrinkage.of(learners),
        ratio=ratio[learners],
    )
    doubt = dates.variance + spread.variance
    rolled, rolling_theory = rolling.roll(
        own,
        logs[learners],
        own_filtered,
        shrinkage.of(learners),
        ratio=ratio[learners],
        origins=origins,
        horizon=horizon,
        doubt=doubt,
    )
    start, terms = rolling.start_of(design, theta, filtered.clean, span, horizon=horizon)
    level = start[:, None] + rolled.rule.apply(terms)
    ahead = slice(n_history, n_history + horizon)
    middle = level + design.predict(theta, ahead, rolling.AROUND_LEVEL) + dates.effect[None, ahead]
    theory = rolling.theory_variance(design, span, shrinkage, ratio, filtered.last_variance, days=ahead, doubt=doubt)
    return PanelFit(
        design,
        n_history,
        theta,
        shrinkage,
        filtered,
        ratio,
        level,
        middle,
        theory,
        learners,
        rolled,
        rolling_theory,
        dates,
        spread,
    )


def _first_look(
    design: Design, learners: npt.NDArray[np.intp], logs: Floats, earlier: npt.NDArray[np.intp]
) -> tuple[Design, anniversary.Anniversaries, regression.Moments, regression.Shrinkage]:
    """Fit once to see what weekdays and events do together, and which dates stand out that nothing names."""
    own, logs = design.of(learners), logs[learners]
    span, shrinkage = _first_fit(own, logs)
    if DAMPED in design.names:
        design = design.damped(shrinkage.mean)
        own = design.of(learners)
        span, shrinkage = _first_fit(own, logs)
    fitted = own.predict(regression.solve(span, shrinkage), slice(0, logs.shape[1]))
    filtered = robust_filter(logs - fitted, ratio=np.full(len(logs), _USUAL_RATIO), sigma=shrinkage.sigma)
    off = logs - fitted - filtered.state
    known = np.isfinite(off) & (filtered.variance < UNSETTLED)
    count = known.sum(axis=0)
    enough = count >= max(1.0, 0.25 * count.max(initial=0))
    total = np.where(known, off, 0.0).sum(axis=0)
    common = np.where(enough & (count > 0), total / np.maximum(count, 1), np.nan)
    return design, anniversary.learn_anniversaries(common, earlier), span, shrinkage


def _first_fit(design: Design, logs: Floats) -> tuple[regression.Moments, regression.Shrinkage]:
    """Moments at a usual memory, and what series share by them."""
    n_series, n_history = logs.shape
    filtered = robust_filter(logs, ratio=np.full(n_series, _USUAL_RATIO), sigma=np.full(n_series, np.inf))
    (span,) = regression.moments(design, filtered, cuts=[n_history])
    return span, regression.learn_shrinkage(span, design, together=0.3 if n_series > 1 else 0.0)


def _learn(
    design: Design, logs: Floats, span: regression.Moments, shrinkage: regression.Shrinkage
) -> tuple[regression.Shrinkage, Floats, Filtered, regression.Moments]:
    """Learn what series share, in two rounds from a first fit: noise and memory of residuals, then effects."""
    n_history = logs.shape[1]
    for _ in range(2):
        fitted = design.predict(regression.solve(span, shrinkage), slice(0, n_history))
        ratio = choose_ratio(log_likelihoods(logs - fitted, sigma=shrinkage.sigma))
        filtered = robust_filter(logs - fitted, ratio=ratio, sigma=shrinkage.sigma)
        together = regression.mean_correlation(_standardized(filtered, shrinkage.sigma))
        filtered = _with_fit(filtered, fitted)
        (span,) = regression.moments(design, filtered, cuts=[n_history])
        shrinkage = regression.learn_shrinkage(span, design, together=together, n_rounds=3)
    return shrinkage, ratio, filtered, span


def _noise_of_all(
    design: Design, logs: Floats, theta: Floats, shrinkage: regression.Shrinkage
) -> tuple[regression.Shrinkage, Filtered, Floats]:
    """Noise, memory and cleaned observations of every series, given first effects ``theta``."""
    n_series = len(logs)
    fitted = design.predict(theta, slice(0, logs.shape[1]))
    residual = logs - fitted
    first = robust_filter(residual, ratio=np.full(n_series, _USUAL_RATIO), sigma=np.full(n_series, np.inf))
    spread = _spread(_standardized(first, np.ones(n_series)))
    ratio = choose_ratio(log_likelihoods(residual[:, -_MEMORY_DAYS:], sigma=spread, ratios=RATIOS[::2]), RATIOS[::2])
    filtered = robust_filter(residual, ratio=ratio, sigma=spread)
    return replace(shrinkage, sigma=spread), _with_fit(filtered, fitted), ratio


def _spread(standardized: Floats) -> Floats:
    """(series,) robust standard deviation of innovations; the median series' where nothing is known."""
    known = np.isfinite(standardized)
    spread = np.full(len(standardized), np.nan)
    some = known.sum(axis=1) >= 3
    if some.any():
        spread[some] = 1.4826 * np.nanmedian(np.abs(standardized[some]), axis=1)
    typical = np.nanmedian(spread) if some.any() else 0.2
    return np.asarray(np.where(np.isfinite(spread), np.maximum(spread, 1e-4 + 0.05 * typical), typical))


def _noise(span: regression.Moments, theta: Floats) -> Floats:
    variance = regression.residual_variance(span, theta)
    worth = span.count / (span.count + 14.0)
    centre = np.median(np.log(variance))
    return np.asarray(np.exp(0.5 * (centre + worth * (np.log(variance) - centre))))


def _standardized(filtered: Filtered, sigma: Floats) -> Floats:
    scaled = (filtered.clean - filtered.state) / np.sqrt(filtered.variance) / sigma[:, None]
    return np.asarray(np.where(filtered.variance < UNSETTLED, scaled, np.nan))


def _with_fit(filtered: Filtered, fitted: Floats) -> Filtered:
    """Observations again from what was filtered without the regression."""
    return replace(filtered, clean=filtered.clean + fitted)
