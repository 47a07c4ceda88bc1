"""Ridge regressions of many series at once, each shrunk toward the pool of all (empirical Bayes).

Per series s, on the log scale and whitened by its level's filter: y_s = X_s θ_s + ε, θ_s ~ N(μ, diag τ²),
μ ~ N(0, diag κ²), with σ_s, τ and κ learnt. One Gram matrix a series and span of days; a fit as of any past day is a
sum of those and one small solve.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.forecast.design import Design
from capacity.forecast.level import Filtered, whiten

Floats = npt.NDArray[np.float64]
_CHUNK_CELLS = 2_000_000  # numbers of one working block: about 16 MB, which stays near the processor's cache


@dataclass(frozen=True)
class Moments:
    """Gram matrices (series, p, p), right sides (series, p), squares and counts (series,) of all days before one.

    ``state`` (series, p) and ``state_y`` (series,) are the level's filter of regressors and observations on that day:
    the level of a fit θ is ``state_y − state · θ``.
    """

    gram: Floats
    right: Floats
    square: Floats
    count: Floats
    state: Floats
    state_y: Floats

    def of(self, series: npt.NDArray[np.intp]) -> "Moments":
        """Moments of some series."""
        return Moments(*(getattr(self, name)[series] for name in self.__dataclass_fields__))

    def level(self, theta: Floats) -> Floats:
        """(series,) level after the last day, for effects ``theta``."""
        return np.asarray(self.state_y - np.einsum("sp,sp->s", self.state, theta))


@dataclass(frozen=True)
class Shrinkage:
    """What series have in common: pool ``mean`` (p,), spread around it ``sd`` (p,), noise ``sigma`` (series,).

    ``together`` is the mean correlation between the series' innovations: S series that move together are worth
    S / (1 + (S − 1) together) of them.
    """

    mean: Floats
    sd: Floats
    pool_sd: Floats
    sigma: Floats
    together: float

    def of(self, series: npt.NDArray[np.intp]) -> "Shrinkage":
        """Shrinkage of some series."""
        return Shrinkage(self.mean, self.sd, self.pool_sd, self.sigma[series], self.together)


def _chunks(n_series: int, n_days: int, n_columns: int) -> Iterator[npt.NDArray[np.intp]]:
    size = max(1, _CHUNK_CELLS // max(n_days * n_columns, 1))
    for start in range(0, n_series, size):
        yield np.arange(start, min(start + size, n_series))


def _part(filtered: Filtered, series: npt.NDArray[np.intp]) -> Filtered:
    return Filtered(*(getattr(filtered, name)[series] for name in filtered.__dataclass_fields__))


def moments(
    design: Design, filtered: Filtered, *, cuts: Sequence[int], series: npt.NDArray[np.intp] | None = None
) -> list[Moments]:
    """Moments of all days before each of the increasing ``cuts``; observations are the filter's clean ones."""
    chosen = np.arange(len(filtered.gain)) if series is None else series
    n_series, p, n_days = len(chosen), design.n_columns, cuts[-1]
    shapes = ((n_series, p, p), (n_series, p), (n_series,), (n_series,), (n_series, p), (n_series,))
    result = [Moments(*(np.zeros(shape) for shape in shapes)) for _ in cuts]
    for chunk in _chunks(n_series, n_days, p + 1):
        rows = design.rows(chosen[chunk], slice(0, n_days))
        part = _part(filtered, chosen[chunk])
        clean = np.nan_to_num(part.clean[:, :n_days, None])
        rows = np.concatenate([np.broadcast_to(rows, (len(chunk), *rows.shape[1:])), clean], axis=2)
        innovations, states = whiten(rows, part, n_days)
        total, start = np.zeros((len(chunk), p + 1, p + 1)), 0
        for moment, cut in zip(result, cuts, strict=True):
            span = innovations[:, start:cut]
            total = total + np.matmul(span.transpose(0, 2, 1), span)
            moment.gram[chunk], moment.right[chunk] = total[:, :p, :p], total[:, :p, p]
            moment.square[chunk] = total[:, p, p]
            moment.count[chunk] = np.isfinite(part.clean[:, :cut]).sum(axis=1)
            moment.state[chunk], moment.state_y[chunk] = states[:, cut, :p], states[:, cut, p]
            start = cut
    return result


def pooled_mean(spans: Moments, *, sigma: Floats, pool_sd: Floats, together: float) -> Floats:
    """Pool of all series' effects (p,): one ridge regression, counting series that move together as fewer."""
    weight = 1 / sigma**2 / (1 + (len(sigma) - 1) * together)
    gram = np.einsum("s,sij->ij", weight, spans.gram)
    return np.asarray(np.linalg.solve(gram + np.diag(1 / pool_sd**2), weight @ spans.right))


def pooled_covariance(spans: Moments, shrinkage: Shrinkage) -> Floats:
    """(p, p) covariance of the pool's effects, given that each series strays from it with its own spread."""
    n_series = len(spans.gram)
    worth = n_series / (1 + (n_series - 1) * shrinkage.together)
    typical = spans.gram.mean(axis=0) / np.median(shrinkage.sigma) ** 2
    own = np.linalg.inv(
        np.linalg.inv(worth * typical + 1e-9 * np.eye(len(typical))) + np.diag(shrinkage.sd**2 / n_series)
    )
    return np.asarray(np.linalg.inv(own + np.diag(1 / shrinkage.pool_sd**2)))


def solve(spans: Moments, shrinkage: Shrinkage) -> Floats:
    """(series, p) effects of every series, shrunk toward the pool."""
    precision = 1 / shrinkage.sd**2
    scale = shrinkage.sigma[:, None] ** 2
    left = spans.gram.copy()
    diagonal = np.arange(left.shape[1])
    left[:, diagonal, diagonal] += precision[None] * scale
    right = spans.right + precision[None] * scale * shrinkage.mean[None]
    return np.asarray(np.linalg.solve(left, right[:, :, None])[:, :, 0])


def residual_variance(spans: Moments, theta: Floats) -> Floats:
    """(series,) mean squared innovation of effects ``theta``."""
    explained = 2 * np.einsum("sp,sp->s", theta, spans.right)
    quadratic = np.einsum("sp,spq,sq->s", theta, spans.gram, theta)
    return np.asarray(np.maximum((spans.square - explained + quadratic) / np.maximum(spans.count, 1), 1e-8))


def learn_shrinkage(spans: Moments, design: Design, *, together: float = 0.0, n_rounds: int = 4) -> Shrinkage:
    """Learn noise, spread around the pool and the pool's own width by a few rounds of EM.

    Every variance keeps a prior worth four series (or four columns) at the design's stated width, so that few series
    or few columns do not drive it to zero.

    References
    ----------
    .. [1] B. Efron, C. Morris (1973). Stein's estimation rule and its competitors: an empirical Bayes approach.
    """
    n_series = len(spans.gram)
    prior = design.prior_sd
    own_prior = 0.5 * prior
    sigma = np.full(n_series, 0.2)
    pool_sd, sd = prior.copy(), own_prior.copy()
    diagonal = np.arange(len(prior))
    mean = np.zeros(len(prior))
    for _ in range(n_rounds):
        mean = pooled_mean(spans, sigma=sigma, pool_sd=pool_sd, together=together)
        theta = solve(spans, Shrinkage(mean, sd, pool_sd, sigma, together))
        left = spans.gram / sigma[:, None, None] ** 2
        left[:, diagonal, diagonal] += 1 / sd**2
        variance = np.linalg.inv(left)[:, diagonal, diagonal]
        spread = ((theta - mean) ** 2 + variance).sum(axis=0)
        sd = np.sqrt((spread + 4 * own_prior**2) / (n_series + 4))
        used = np.maximum(spans.count - (1 - variance / sd**2).sum(axis=1), spans.count / 4 + 1)
        sigma = np.sqrt(residual_variance(spans, theta) * np.maximum(spans.count, 1) / used)
        sigma = _shrink_scale(sigma, spans.count)
        pool_sd = _pool_width(mean, design.parts, prior)
    mean = pooled_mean(spans, sigma=sigma, pool_sd=pool_sd, together=together)
    return Shrinkage(mean, sd, pool_sd, sigma, together)


def _shrink_scale(sigma: Floats, count: Floats, worth: float = 14.0) -> Floats:
    """Shrink noise scales on the log scale toward their median; two weeks of data weigh as much as the pool."""
    centre = np.log(np.median(sigma))
    weight = count / (count + worth)
    return np.asarray(np.exp(centre + weight * (np.log(sigma) - centre)))


def _pool_width(mean: Floats, parts: npt.NDArray[np.str_], prior: Floats) -> Floats:
    """Scale the prior widths of each part by how large its pooled effects came out, relative to them."""
    width = prior.copy()
    for part in np.unique(parts):
        inside = parts == part
        ratio = ((mean[inside] / prior[inside]) ** 2).sum() + 4
        width[inside] = prior[inside] * np.sqrt(ratio / (inside.sum() + 4))
    return width


def mean_correlation(standardized: Floats) -> float:
    """Mean correlation between series of ``standardized`` innovations (series, days; NaN unknown), at least 0."""
    n_series = len(standardized)
    known = np.isfinite(standardized)
    count = known.sum(axis=0)
    days = count >= 2
    if n_series < 2 or days.sum() < 14:
        return 0.5 if n_series > 1 else 0.0
    total = np.where(known, standardized, 0.0).sum(axis=0)[days]
    squares = np.where(known, standardized**2, 0.0).sum(axis=0)[days]
    pairs = (count[days] * (count[days] - 1)).sum()
    return float(np.clip((total**2 - squares).sum() / pairs / (squares.sum() / count[days].sum()), 0.0, 1.0))
