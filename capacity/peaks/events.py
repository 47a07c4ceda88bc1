"""Log quantities that vary from event to event: few events, many series, honest spread.

One model serves the requests on promotion days, the share of the busiest minute, the burst inside it
and the calls per request::

    y[p, e] = a[e] + k[e, kind(p)] + b[e]·(year(p) − target year) + ε[p, e]

with Gaussian `a`, `k`, `b` (scales from `priors`) and ε whose scale is learnt. The prediction for the
next event integrates over a grid of ε's scale and of the slope's scale, so that its tails are as heavy
as few events warrant. Events long ago count less. Shocks of one event are shared between series.
"""

from dataclasses import dataclass
from dataclasses import replace as with_fields

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from capacity.peaks import priors
from capacity.peaks.priors import EventPrior, Floats

_SCALE_STEPS = np.linspace(-1.4, 1.4, 9)  # multiples of the prior scale, in log
_SLOPE_STEPS = np.array([0.2, 1.0, 2.0])
_SLOPE_WEIGHTS = np.array([0.35, 0.5, 0.15])
_UNKNOWN_VARIANCE = 1e8  # a missing value is one measured without any precision
_HALF_LIFE_YEARS = 4.0
_OTHERS = 0.5


@dataclass(frozen=True)
class EventForecast:
    """Mixture of Gaussians for the next event, one a series and grid point.

    Attributes
    ----------
    loc, scale : ndarray, shape (grid, series)
    weight : ndarray, shape (grid, series)
        Posterior weight of each grid point, sorted by scale.
    correlation : float
        Between two series' shocks in the same event.
    own, other : ndarray, shape (series,)
        Events of the kind and of other kinds that were seen.
    evidence : float
        Log probability of the values seen under this model, for comparing ways to lay past events out.
    """

    loc: Floats
    scale: Floats
    weight: Floats
    correlation: float
    own: NDArray[np.int64]
    other: NDArray[np.int64]
    evidence: float = 0.0

    @property
    def mean(self) -> Floats:
        """Mean of the prediction, shape (series,)."""
        return np.asarray((self.weight * self.loc).sum(0))

    @property
    def spread(self) -> Floats:
        """Standard deviation of the prediction, shape (series,)."""
        second = (self.weight * (self.scale**2 + self.loc**2)).sum(0)
        return np.asarray(np.sqrt(np.maximum(second - self.mean**2, 0.0)))

    def shifted(self, shift: Floats | float) -> "EventForecast":
        """Return the forecast moved by `shift` (series,) on the log scale."""
        return with_fields(self, loc=self.loc + shift)

    def widened(self, scale: Floats | float) -> "EventForecast":
        """Return the forecast with independent Gaussian spread added in quadrature."""
        return with_fields(self, scale=np.sqrt(self.scale**2 + np.asarray(scale) ** 2))


@dataclass(frozen=True)
class EventDraws:
    """Standard draws of one event's shocks: kept, so that one sample is one future in every phase."""

    grid: Floats
    shared: Floats
    own: Floats

    @classmethod
    def of(cls, n_samples: int, n_series: int, rng: np.random.Generator) -> "EventDraws":
        """Draw for `n_samples` futures and `n_series` series."""
        return cls(rng.random(n_samples), rng.standard_normal(n_samples), rng.standard_normal((n_samples, n_series)))


def draw_event(forecast: EventForecast, draws: EventDraws) -> Floats:
    """Sample the next event's log values.

    Returns
    -------
    ndarray, shape (sample, series)
    """
    steps = np.cumsum(forecast.weight, axis=0)
    point: NDArray[np.int64] = np.zeros(draws.own.shape, dtype=np.int64)
    for i in range(steps.shape[0] - 1):
        point += draws.grid[:, None] > steps[i]
    rho = forecast.correlation
    noise = np.sqrt(rho) * draws.shared[:, None] + np.sqrt(1.0 - rho) * draws.own
    series = np.arange(point.shape[1])
    return np.asarray(forecast.loc[point, series] + forecast.scale[point, series] * noise)


def predict_event(
    values: Floats,
    *,
    years: Floats,
    own_kind: NDArray[np.bool_],
    kinds: NDArray[np.int64],
    target_year: float,
    prior: EventPrior,
    noise: Floats | None = None,
) -> EventForecast:
    """Predict the next event of a kind from past events.

    Parameters
    ----------
    values : ndarray, shape (event, series)
        Log quantities; NaN where unknown.
    years : ndarray, shape (event,)
        When each was, in years.
    own_kind : ndarray of bool, shape (event,)
        Whether an event is of the target's kind.
    kinds : ndarray of int, shape (event,)
        Code of each event's kind.
    target_year : float
    prior : EventPrior
    noise : ndarray, shape (event, series), optional
        Known standard deviation with which each value was measured.

    Returns
    -------
    EventForecast

    Examples
    --------
    Three events near 1.0 and a learnt, not a fixed, spread:

    >>> import numpy as np
    >>> from capacity.peaks.priors import EventPrior
    >>> seen = np.array([[0.9], [1.0], [1.1]])
    >>> forecast = predict_event(seen, years=np.array([2023., 2024., 2025.]), own_kind=np.ones(3, bool),
    ...     kinds=np.zeros(3, int), target_year=2026.0, prior=EventPrior(0.0, 1.0, 0.3, 0.1, 0.05))
    >>> bool(0.95 < forecast.mean[0] < 1.2 and 0.08 < forecast.spread[0] < 0.25)
    True
    """
    values = np.asarray(values, dtype=float)
    known = np.isfinite(values)
    n_series = values.shape[1]
    loc = _pooled_location(values, known, own_kind, prior)
    steps, slopes = (a.ravel() for a in np.meshgrid(_SCALE_STEPS, _SLOPE_STEPS, indexing="ij"))
    log_weight = -0.5 * (steps / 0.7) ** 2 + np.log(np.repeat(_SLOPE_WEIGHTS[None], _SCALE_STEPS.size, 0).ravel())
    sigma2, slope2 = (prior.event_scale * np.exp(steps)) ** 2, (prior.slope_scale * slopes) ** 2
    base_variance = prior.loc_scale**2 + prior.kind_scale**2
    correlation = shared_correlation(values, kinds)
    if not known.any():
        scale = np.sqrt(base_variance + sigma2)[:, None] * np.ones((1, n_series))
        return _forecast(np.broadcast_to(loc, scale.shape), scale, log_weight, correlation, known, own_kind)
    age = years - target_year
    shared = prior.loc_scale**2 + prior.kind_scale**2 * (kinds[:, None] == kinds[None, :])
    grid_cov = shared[None] + slope2[:, None, None] * np.outer(age, age)[None]
    recency = np.asarray(2.0 ** ((years[np.asarray(known.any(1))].max() - years) / _HALF_LIFE_YEARS))
    extra = np.zeros_like(values) if noise is None else np.nan_to_num(noise) ** 2
    diagonal = sigma2[:, None, None] * recency[None, :, None] + np.where(known, extra, _UNKNOWN_VARIANCE)[None]
    residual = np.where(known, values - loc, 0.0)
    cross: Floats = prior.loc_scale**2 + prior.kind_scale**2 * own_kind.astype(float)
    solved, evidence = _condition(grid_cov, diagonal, residual, cross)
    predicted, reduction = solved
    variance = np.maximum(base_variance - reduction, 0.0) + sigma2[:, None]
    # A series' scale is learnt from itself and, at half their weight, from the others, whose shocks are partly its own.
    others = max(int(known.any(0).sum()) - 1, 0)
    worth = _OTHERS / (1.0 + max(others - 1, 0) * correlation**2)
    together = log_weight + evidence.sum(1) / (1.0 + others * correlation**2)
    log_weight = log_weight[:, None] + evidence + worth * (evidence.sum(1, keepdims=True) - evidence)
    forecast = _forecast(loc + predicted, np.sqrt(variance), log_weight, correlation, known, own_kind)
    return with_fields(forecast, evidence=float(logsumexp(together)))


def _condition(
    covariance: Floats, diagonal: Floats, residual: Floats, cross: Floats
) -> tuple[tuple[Floats, Floats], Floats]:
    """Gaussian conditioning for all grid points and series at once."""
    n_events = covariance.shape[1]
    full = covariance[:, None] + np.moveaxis(diagonal, 1, 2)[..., None] * np.eye(n_events)
    root = np.linalg.cholesky(full)
    right = np.stack([np.broadcast_to(residual.T[None], full.shape[:3]), np.broadcast_to(cross, full.shape[:3])], -1)
    half = np.linalg.solve(root, right)
    predicted = (half[..., 0] * half[..., 1]).sum(-1)
    reduction = (half[..., 1] ** 2).sum(-1)
    log_det = np.log(np.minimum(np.einsum("...ii->...i", root), np.sqrt(_UNKNOWN_VARIANCE / 2))).sum(-1)
    return (predicted, reduction), -0.5 * (half[..., 0] ** 2).sum(-1) - log_det


def _forecast(
    loc: Floats, scale: Floats, log_weight: Floats, correlation: float, known: NDArray[np.bool_], own: NDArray[np.bool_]
) -> EventForecast:
    log_weight = np.broadcast_to(log_weight if log_weight.ndim == 2 else log_weight[:, None], scale.shape)
    weight = np.exp(log_weight - log_weight.max(0))
    order = np.argsort(scale.mean(1))
    return EventForecast(
        loc=np.asarray(loc)[order],
        scale=scale[order],
        weight=(weight / weight.sum(0))[order],
        correlation=correlation,
        own=known[own].sum(0),
        other=known[~own].sum(0),
    )


def _pooled_location(
    values: Floats, known: NDArray[np.bool_], own_kind: NDArray[np.bool_], prior: EventPrior
) -> Floats:
    """Centre of the series: the prior's, moved by what the series with events show relative to theirs."""
    loc = np.broadcast_to(np.asarray(prior.loc, dtype=float), (values.shape[1],))
    use = known & (own_kind[:, None] | ~np.asarray(known[own_kind].any(0))[None])
    counts = use.sum(0)
    seen = counts > 0
    if not seen.any():
        return np.array(loc)
    mean = np.where(use, values - loc, 0.0).sum(0)[seen] / counts[seen]
    return np.asarray(loc + mean.sum() / (1.0 + seen.sum()))


def shared_correlation(values: Floats, kinds: NDArray[np.int64]) -> float:
    """Correlation of two series' residuals within an event, shrunk to its prior.

    Parameters
    ----------
    values : ndarray, shape (event, series)
    kinds : ndarray of int, shape (event,)

    Returns
    -------
    float
        Between 0 and 0.95.
    """
    prior, weight = priors.EVENT_CORRELATION, priors.EVENT_CORRELATION_WEIGHT
    total, pairs, n_squares, n_pairs, freedom = 0.0, 0.0, 0, 0, 0
    for kind in np.unique(kinds):
        rows = values[kinds == kind]
        rows = rows[:, np.isfinite(rows).all(0)] if rows.shape[0] else rows
        if rows.shape[0] < 2 or rows.shape[1] < 2:
            continue
        residual = rows - rows.mean(0)
        squares = (residual**2).sum()
        total, n_squares = total + squares, n_squares + residual.size
        pairs += (residual.sum(1) ** 2).sum() - squares
        n_pairs += residual.shape[0] * residual.shape[1] * (residual.shape[1] - 1)
        freedom += rows.shape[0] - 1
    if not freedom or total <= 0.0:
        return prior
    estimate = (pairs / n_pairs) / (total / n_squares)
    return float(np.clip((freedom * estimate + weight * prior) / (freedom + weight), 0.0, 0.95))
