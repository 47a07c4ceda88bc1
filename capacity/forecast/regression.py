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
_INVERTED = 16  # series whose uncertainty is worked out in full while learning
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


def moments(design: Design, filtered: Filtered, *, cuts: Sequence[int]) -> list[Moments]:
    """Moments of all days before each of the increasing ``cuts``; observations are the filter's clean ones.

    Series with the same gains (the same memory, days and breaks) and regressors have the same whitened regressors and
    Gram matrix: these are made once a group.
    """
    n_series, p, n_days = len(filtered.gain), design.n_columns, cuts[-1]
    shapes = ((n_series, p, p), (n_series, p), (n_series,), (n_series,), (n_series, p), (n_series,))
    result = [Moments(*(np.zeros(shape) for shape in shapes)) for _ in cuts]
    first, group = _groups(design, filtered, n_days)
    order = np.argsort(group, kind="stable")
    bounds = np.searchsorted(group[order], np.arange(len(first) + 1))
    for chunk in _chunks(len(first), n_days, p):
        rows = design.rows(first[chunk], slice(0, n_days))
        rows = np.broadcast_to(rows, (len(chunk), *rows.shape[1:]))
        whitened, states = whiten(rows, filtered.of(first[chunk]), n_days)
        members = order[bounds[chunk[0]] : bounds[chunk[-1] + 1]]
        own = group[members] - chunk[0]
        part = filtered.of(members)
        clean, states_y = whiten(np.nan_to_num(part.clean[:, :n_days, None]), part, n_days)
        gram, right, square = np.zeros((len(chunk), p, p)), np.zeros((len(members), p)), np.zeros(len(members))
        start = 0
        for moment, cut in zip(result, cuts, strict=True):
            span, y = whitened[:, start:cut], clean[:, start:cut, 0]
            gram = gram + np.matmul(span.transpose(0, 2, 1), span)
            right = right + _products(span, y, own)
            square = square + np.einsum("st,st->s", y, y)
            moment.gram[members], moment.right[members], moment.square[members] = gram[own], right, square
            moment.count[members] = np.isfinite(part.clean[:, :cut]).sum(axis=1)
            moment.state[members], moment.state_y[members] = states[own, cut], states_y[:, cut, 0]
            start = cut
    return result


def _chunks(n_series: int, n_days: int, n_columns: int) -> Iterator[npt.NDArray[np.intp]]:
    size = max(1, _CHUNK_CELLS // max(n_days * n_columns, 1))
    for start in range(0, n_series, size):
        yield np.arange(start, min(start + size, n_series))


def _groups(design: Design, filtered: Filtered, n_days: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """First member of each group of series with the same gains and regressors, and the group (series,) of each."""
    if design.specific is not None:
        everyone = np.arange(len(filtered.gain))
        return everyone, everyone
    gains = np.ascontiguousarray(filtered.gain[:, :n_days])
    _, first, group = np.unique(
        gains.view(np.dtype((np.void, gains.dtype.itemsize * n_days))).ravel(), return_index=True, return_inverse=True
    )
    return first.astype(np.intp), group.ravel().astype(np.intp)


def _products(span: Floats, y: Floats, own: npt.NDArray[np.intp]) -> Floats:
    """(members, p) products of each member's observations with the regressors of its group; members are in order."""
    if len(own) == len(span):
        return np.asarray(np.matmul(span.transpose(0, 2, 1), y[:, :, None])[:, :, 0])
    bounds = np.searchsorted(own, np.arange(len(span) + 1))
    return np.concatenate([y[a:b] @ rows for rows, a, b in zip(span, bounds[:-1], bounds[1:], strict=True)])


def _pool_weights(sigma: Floats, together: float) -> Floats:
    return np.asarray(1 / sigma**2 / (1 + (len(sigma) - 1) * together))


def pooled_mean(spans: Moments, *, sigma: Floats, prior_mean: Floats, pool_sd: Floats, together: float) -> Floats:
    """Pool of all series' effects (p,): one ridge regression, counting series that move together as fewer."""
    weight = _pool_weights(sigma, together)
    gram = np.einsum("s,sij->ij", weight, spans.gram)
    right = weight @ spans.right + prior_mean / pool_sd**2
    return np.asarray(np.linalg.solve(gram + np.diag(1 / pool_sd**2), right))


def pooled_system(spans: Moments, shrinkage: Shrinkage, design: Design) -> tuple[Floats, Floats]:
    """Left (p, p) and right side (p,) of the pool's regression, prior included."""
    weight = _pool_weights(shrinkage.sigma, shrinkage.together)
    left = np.einsum("s,sij->ij", weight, spans.gram) + np.diag(1 / shrinkage.pool_sd**2)
    return left, weight @ spans.right + design.prior_mean / shrinkage.pool_sd**2


def pooled_windows(
    design: Design, filtered: Filtered, shrinkage: Shrinkage, windows: Sequence[tuple[int, int]]
) -> tuple[Floats, Floats]:
    """Return what the days of each window (start, stop) add to both sides of `pooled_system`: (w, p, p), (w, p)."""
    n_series, p, n_days = len(filtered.gain), design.n_columns, max(stop for _, stop in windows)
    weight = np.sqrt(_pool_weights(shrinkage.sigma, shrinkage.together))
    gram, right = np.zeros((len(windows), p, p)), np.zeros((len(windows), p))
    for chunk in _chunks(n_series, n_days, p + 1):
        part = filtered.of(chunk)
        rows = np.broadcast_to(design.rows(chunk, slice(0, n_days)), (len(chunk), n_days, p))
        rows = np.concatenate([rows, np.nan_to_num(part.clean[:, :n_days, None])], axis=2)
        whitened, _ = whiten(rows, part, n_days)
        whitened *= weight[chunk, None, None]
        for index, (start, stop) in enumerate(windows):
            block = whitened[:, start:stop].reshape(-1, p + 1)
            product = block.T @ block
            gram[index] += product[:p, :p]
            right[index] += product[:p, p]
    return gram, right


def pooled_covariance(spans: Moments, shrinkage: Shrinkage) -> Floats:
    """(p, p) covariance of the pool's effects, given that each series strays from it with its own spread."""
    n_series = len(spans.gram)
    worth = n_series / (1 + (n_series - 1) * shrinkage.together)
    typical = spans.gram.mean(axis=0) / np.median(shrinkage.sigma) ** 2
    # (G⁻¹ + D)⁻¹ without G⁻¹: columns that no day before an origin fills, or that are told twice, leave G singular.
    spread = shrinkage.sd / np.sqrt(n_series)
    value, vector = np.linalg.eigh(worth * typical * np.outer(spread, spread))
    seen = np.maximum(value, 0.0)
    root = vector * np.sqrt(seen / (1 + seen)) / spread[:, None]
    own = root @ root.T
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
    # The uncertainty of a few series' effects stands for that of those next to them: it costs most of a round.
    some = np.unique(np.linspace(0, n_series - 1, min(n_series, _INVERTED)).astype(np.intp))
    of_some = np.abs(np.arange(n_series)[:, None] - some[None]).argmin(axis=1)
    for _ in range(n_rounds):
        mean = pooled_mean(spans, sigma=sigma, prior_mean=design.prior_mean, pool_sd=pool_sd, together=together)
        theta = solve(spans, Shrinkage(mean, sd, pool_sd, sigma, together))
        left = spans.gram[some] / sigma[some, None, None] ** 2
        left[:, diagonal, diagonal] += 1 / sd**2
        variance = np.linalg.inv(left)[:, diagonal, diagonal][of_some]
        spread = ((theta - mean) ** 2 + variance).sum(axis=0)
        sd = np.sqrt((spread + 4 * own_prior**2) / (n_series + 4))
        used = np.maximum(spans.count - (1 - variance / sd**2).sum(axis=1), spans.count / 4 + 1)
        sigma = np.sqrt(residual_variance(spans, theta) * np.maximum(spans.count, 1) / used)
        sigma = _shrink_scale(sigma, spans.count)
        pool_sd = _pool_width(mean - design.prior_mean, design.groups, prior)
    mean = pooled_mean(spans, sigma=sigma, prior_mean=design.prior_mean, pool_sd=pool_sd, together=together)
    return Shrinkage(mean, sd, pool_sd, sigma, together)


def _shrink_scale(sigma: Floats, count: Floats, worth: float = 14.0) -> Floats:
    """Shrink noise scales on the log scale toward their median; two weeks of data weigh as much as the pool."""
    centre = np.log(np.median(sigma))
    weight = count / (count + worth)
    return np.asarray(np.exp(centre + weight * (np.log(sigma) - centre)))


def _pool_width(mean: Floats, groups: npt.NDArray[np.intp], prior: Floats) -> Floats:
    """Scale the prior widths of each group by how large its pooled effects came out, relative to them."""
    squares = np.bincount(groups, (mean / prior) ** 2)
    return np.asarray(prior * np.sqrt((squares + 4) / (np.bincount(groups) + 4))[groups])


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
