"""Forecasts as of past days: what the fit would have said, how far off it was, and what that teaches of the level."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from capacity.forecast import regression
from capacity.forecast.design import Design
from capacity.forecast.level import Filtered

Floats = npt.NDArray[np.float64]
AROUND_LEVEL = ("season", "holiday", "event")
HALF_LIVES = (3.0, 12.0, 45.0, 180.0)  # days: last days, fortnight, season, half-year


@dataclass(frozen=True)
class LevelRule:
    """Share of each difference that persists: ``weights`` (terms, 2) for a constant and a part rising with h."""

    weights: Floats
    horizon: int

    def apply(self, features: Floats) -> Floats:
        """(..., series, horizon) shift of the level for ``features`` (..., series, terms)."""
        return np.asarray(np.einsum("...k,kj,jh->...h", features, self.weights, _basis(self.horizon)))


@dataclass(frozen=True)
class Rolling:
    """Errors (origins, series, horizon) on the log scale of forecasts made before each of ``origins``; NaN unknown."""

    origins: tuple[int, ...]
    rule: LevelRule
    errors: Floats


def _basis(horizon: int) -> Floats:
    """(2, horizon): a constant, and a ramp from 0 to 1 with the square root of the horizon (differences fade so)."""
    h = np.sqrt(np.arange(1, horizon + 1))
    return np.stack([np.ones(horizon), (h - 1) / max(h[-1] - 1, 1.0)])


def features(adjusted: Floats, slope: Floats, level: Floats, *, horizon: int) -> Floats:
    """(series, terms) differences between means of several memories, and the fitted slope over the horizon.

    ``adjusted`` (series, days) is the log volume without season, holidays and events; NaN where unknown.
    """
    n_days = adjusted.shape[1]
    known = np.isfinite(adjusted)
    age = n_days - 1 - np.arange(n_days)
    weights = 0.5 ** (age[:, None] / np.array(HALF_LIVES)[None])
    weights += 1e-9 * 0.5 ** (age[:, None] / 30.0)  # after a long gap the newest known days still speak
    total = known @ weights
    means = np.where(known, adjusted, 0.0) @ weights / np.where(total > 0, total, 1.0)
    differences = np.concatenate([means[:, :1] - level[:, None], means[:, 1:-1] - means[:, 2:]], axis=1)
    differences[total[:, 0] == 0] = 0.0
    return np.concatenate([differences, slope[:, None] * horizon / 365.25], axis=1)


def learn_rules(terms: Floats, errors: Floats, *, scale: Floats, together: float) -> tuple[LevelRule, list[LevelRule]]:
    """Learn how much of each difference persists from the errors of forecasts that hold the level.

    Parameters
    ----------
    terms : (origins, series, terms) array
    errors : (origins, series, horizon) array
        What followed minus the forecast, log scale; NaN where unknown.
    scale : (series,) array
        Noise of each series, so that quiet series count more.
    together : float
        Correlation between series: those that move together are not independent witnesses.

    Returns
    -------
    rule, left_out
        From all origins; and for each origin from all others, by which its own errors are judged.

    Notes
    -----
    Days of one origin and series share one level error, so a path counts as about two observations. The prior is that
    nothing persists beyond the filtered level, and that half the slope does at the far end.
    """
    horizon, n_terms = errors.shape[2], terms.shape[2]
    curve = _basis(horizon)
    known = np.isfinite(errors)
    worth = 2.0 / horizon / (1 + (len(scale) - 1) * together)
    weight = known / scale[None, :, None] ** 2 * worth
    size = 2 * n_terms
    gram = np.einsum("osk,osl,osh,ih,jh->okilj", terms, terms, weight, curve, curve, optimize=True)
    gram = gram.reshape(-1, size, size)
    right = np.einsum("osk,osh,ih->oki", terms, weight * np.where(known, errors, 0.0), curve, optimize=True)
    right = right.reshape(-1, size)
    prior = np.zeros((n_terms, 2))
    prior[-1, 1] = 0.5
    precision = np.eye(size) / 0.25**2

    def solved(left: Floats, side: Floats) -> LevelRule:
        found: Floats = np.asarray(
            np.linalg.solve(left + precision, side + precision @ prior.reshape(size)), dtype=float
        )
        return LevelRule(found.reshape(n_terms, 2), horizon)

    total, side = gram.sum(axis=0), right.sum(axis=0)
    return solved(total, side), [solved(total - own, side - its) for own, its in zip(gram, right, strict=True)]


def choose_origins(n_history: int, *, horizon: int, count: int = 13, step: int = 28) -> tuple[int, ...]:
    """Choose past days to forecast from, four weeks apart, in time order.

    Thirteen of them walk through one year, so that every season and most kinds of events are met once.
    """
    first = max(28, min(n_history // 2, 730))
    newest = n_history - min(horizon, max(7, n_history // 4))
    return tuple(sorted(range(newest, first - 1, -step)[:count]))


def roll(
    design: Design,
    logs: Floats,
    filtered: Filtered,
    shrinkage: regression.Shrinkage,
    *,
    ratio: Floats,
    origins: tuple[int, ...],
    horizon: int,
    doubt: Floats,
) -> tuple[Rolling, Floats]:
    """Refit as of every origin, forecast the days after it and learn the level's rule from all of them.

    ``filtered`` holds the cleaned observations that fits see; ``logs`` (series, days) are what forecasts are judged by;
    ``doubt`` (days,) is the variance that single dates and events add.
    Returns the errors, (origins, series, horizon) in the first, and the variances that the theory expects of each, with
    a last axis of four parts.
    """
    n_history = logs.shape[1]
    errors = np.full((len(origins), len(logs), horizon), np.nan)
    expected = np.full((*errors.shape, 4), np.nan)
    terms = np.zeros((len(origins), len(logs), len(HALF_LIVES)))
    spans = regression.moments(design, filtered, cuts=origins) if origins else []
    for index, (origin, span) in enumerate(zip(origins, spans, strict=True)):
        mean = regression.pooled_mean(
            span,
            sigma=shrinkage.sigma,
            prior_mean=design.prior_mean,
            pool_sd=shrinkage.pool_sd,
            together=shrinkage.together,
        )
        fit = replace(shrinkage, mean=mean)
        theta = regression.solve(span, fit)
        last = min(origin + horizon, n_history)
        ahead = slice(origin, last)
        level, terms[index] = start_of(design, theta, filtered.clean[:, :origin], span, horizon=horizon)
        around = design.predict(theta, ahead, AROUND_LEVEL)
        errors[index, :, : last - origin] = logs[:, ahead] - around - level[:, None]
        spread = np.maximum(filtered.variance[:, origin] - 1, 0.0)
        expected[index, :, : last - origin] = theory_variance(design, span, fit, ratio, spread, days=ahead, doubt=doubt)
    rule, left_out = learn_rules(terms, errors, scale=shrinkage.sigma, together=shrinkage.together)
    shifts = [rule.apply(own) for rule, own in zip(left_out, terms, strict=True)]
    return Rolling(origins, rule, errors - np.stack(shifts) if shifts else errors), expected


def theory_variance(
    design: Design,
    span: regression.Moments,
    shrinkage: regression.Shrinkage,
    ratio: Floats,
    spread: Floats,
    *,
    days: slice,
    doubt: Floats,
) -> Floats:
    """(series, days, 4) variances of the log error by the model alone: noise, level, effects in two parts.

    The effects' uncertainty is that of a typical series and of the pool; it is what widens days of a kind seldom or
    never seen: what they add to the median day's is the last part. ``spread`` (series,)
    is the level's variance relative to the noise's when the forecast begins.
    """
    typical = span.gram.mean(axis=0) / np.median(shrinkage.sigma) ** 2
    own = np.linalg.inv(typical + np.diag(1 / shrinkage.sd**2))
    pool = regression.pooled_covariance(span, shrinkage)
    rows = design.rows(slice(None), days)
    leaning = own / shrinkage.sd**2  # how far a series' effects follow the pool's
    effects = np.einsum("stp,stp->st", rows @ (own + leaning @ pool @ leaning.T), rows)
    ahead = np.arange(1, rows.shape[1] + 1)
    walk = np.minimum(spread, 25.0)[:, None] + ratio[:, None] * ahead[None]
    noise = shrinkage.sigma[:, None] ** 2
    effects = np.broadcast_to(effects, walk.shape)
    typical = np.median(effects, axis=1, keepdims=True)
    parts = (noise, noise * walk, np.minimum(effects, typical), np.maximum(effects - typical, 0.0) + doubt[days])
    return np.stack([np.broadcast_to(part, walk.shape) for part in parts], axis=2)


def start_of(
    design: Design, theta: Floats, clean: Floats, span: regression.Moments, *, horizon: int
) -> tuple[Floats, Floats]:
    """Level (series,) at the end of ``clean`` and the terms its rule reads."""
    n_days = clean.shape[1]
    drift = design.predict(theta, slice(n_days, n_days + 1), ("level",))[:, 0]
    level = span.level(theta) + drift
    adjusted = clean - design.predict(theta, slice(0, n_days), AROUND_LEVEL)
    return level, features(adjusted, theta[:, 0], level, horizon=horizon)
