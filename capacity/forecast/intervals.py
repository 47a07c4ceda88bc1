"""How far off forecasts are, learnt from rolling origins by horizon and for event days; and joint samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.special import ndtr
from scipy.stats import t as student

Floats = npt.NDArray[np.float64]
_GRID = np.linspace(-3.5, 3.5, 141)  # normal scores at which the error's quantile function is tabulated
_TAIL_DF = 5.0  # of the t that stands in for the error's shape where data are few
_HORIZON_WORTH = 4.0  # independent errors of a stretch of days that weigh as much as the theory's growth
_PRIOR_WORTH = 30.0  # independent errors that weigh as much as that prior


@dataclass(frozen=True)
class ErrorModel:
    """Log errors as ``scale × theory × shape(z)``, z standard normal with the correlations named.

    ``parts`` (4,) factors on the theory's variances of noise, level, usual and rare effects; ``scale`` (series,),
    ``by_horizon`` (horizon,), ``event_factor``; ``shape`` values at normal scores `_GRID`; ``together`` is the
    correlation between series,
    ``lasting`` the share of an error that stays over the horizon.
    """

    parts: Floats
    scale: Floats
    by_horizon: Floats
    event_factor: float
    shape: Floats
    together: float
    lasting: float

    def sd(self, theory: Floats, on_event: npt.NDArray[np.bool_]) -> Floats:
        """(series, horizon) scale of the error."""
        factor = np.where(on_event, self.event_factor, 1.0)
        spread = np.sqrt(theory @ self.parts)
        return np.asarray(spread * self.scale[:, None] * self.by_horizon[None] * factor)

    def together_on(self, theory: Floats, common: Floats) -> Floats:
        """(series, horizon) correlation between series; ``common`` (horizon,) of the variance is one shock to all."""
        variance = theory @ self.parts
        shock = np.minimum(self.parts[3] * common[None], variance)
        return np.asarray((self.together * (variance - shock) + shock) / np.maximum(variance, 1e-12))

    def quantile(self, probability: float) -> float:
        """Quantile of the standardized error."""
        score = float(np.clip(student.ppf(probability, 1e9), _GRID[0], _GRID[-1]))
        return float(np.interp(score, _GRID, self.shape))

    def draw(self, rng: np.random.Generator, *, n_samples: int, together: Floats) -> Floats:
        """(n_samples, series, horizon) standardized errors whose correlation is ``together`` (series, horizon)."""
        n_series, horizon = together.shape
        common = _paths(rng, (n_samples, 1), horizon, self.lasting)
        own = _paths(rng, (n_samples, n_series), horizon, self.lasting)
        score = np.sqrt(together) * common + np.sqrt(1 - together) * own
        return np.asarray(np.interp(score, _GRID, self.shape))

    def common(self, rng: np.random.Generator, *, n_samples: int, horizon: int) -> Floats:
        """(n_samples, horizon) normal scores of what all series share."""
        return _paths(rng, (n_samples, 1), horizon, self.lasting)[:, 0]

    def own_part(self, common: float, together: Floats) -> Iterator[tuple[Floats, float]]:
        """Yield standardized errors and weights of a series' own part, given the common score (Gauss–Hermite)."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(7)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            score = np.sqrt(together) * common + np.sqrt(1 - together) * node
            yield np.interp(score, _GRID, self.shape), float(weight)


def _paths(rng: np.random.Generator, shape: tuple[int, int], horizon: int, lasting: float) -> Floats:
    """Draw normal paths whose daily values share a lasting part that builds up as a random walk does."""
    noise = rng.standard_normal((*shape, horizon))
    start, steps = rng.standard_normal((*shape, 1)), rng.standard_normal((*shape, horizon))
    # Half of the lasting part is there on the first day, the rest walks in: nearby days share more than far ones.
    decay = 0.5 ** (1 / max(horizon, 1))
    gain = np.sqrt(1 - decay**2)
    walk = np.empty_like(noise)
    value = start[..., 0]
    for h in range(horizon):
        value = decay * value + gain * steps[..., h]
        walk[..., h] = value
    return np.asarray(np.sqrt(lasting) * walk + np.sqrt(1 - lasting) * noise)


def learn_errors(
    errors: Floats, theory: Floats, on_event: npt.NDArray[np.bool_], *, series: npt.NDArray[np.intp], n_series: int
) -> ErrorModel:
    """Learn scale, growth with the horizon, shape and dependence of errors.

    Parameters
    ----------
    errors, on_event : (origins, learners, horizon) arrays
        Log errors (NaN unknown), and whether the day lies in an event.
    theory : (origins, learners, horizon, 4) array
        Variances that the model alone expects of them: noise, level, usual and rare effects.
    series : (learners,) array of int
        Which series they are of ``n_series``; others get the learners' typical scale.

    References
    ----------
    .. [1] J. Lei et al. (2018). Distribution-free predictive inference for regression (split conformal, scaled).
    """
    known = np.isfinite(errors)
    if known.sum() < 30:
        none = _tabulate(np.array([]), 0.0)
        return ErrorModel(np.ones(4), np.full(n_series, 1.2), np.ones(errors.shape[2]), 1.0, none, 0.5, 0.5)
    parts = _learn_parts(errors[known], theory[known], paths=float(known.any(axis=2).sum()))
    z = errors / np.sqrt(theory @ parts)
    together, lasting = _dependence(z)
    paths = float(known.any(axis=2).sum())
    worth = paths / (1 + (z.shape[1] - 1) * together) * 2
    plain, event = _spread_of(z[known & ~on_event]), _spread_of(z[known & on_event])
    n_event = worth * float((known & on_event).sum()) / known.sum()
    factor = float((event / plain) ** (n_event / (n_event + 8.0))) if n_event > 0 and plain > 0 and event > 0 else 1.0
    z = np.where(on_event, z / factor, z)
    by_horizon = _by_horizon(z, worth=worth)
    z = z / by_horizon
    scale = _scales(z)
    z = z / scale[None, :, None]
    everywhere = np.full(n_series, float(np.exp(np.log(scale).mean())))
    everywhere[series] = scale
    return ErrorModel(parts, everywhere, by_horizon, factor, _tabulate(z[known], worth), together, lasting)


def _learn_parts(errors: Floats, theory: Floats, *, paths: float) -> Floats:
    """(4,) factors on the theory's variances that fit squared errors best, none below 0.

    The error of usual effects goes into the noise's factor as past origins really had it: a theory that was unsure of
    a season it had seen once, and found right, must not make today's surer theory look too wide. The prior, that the
    theory is right, weighs five paths.
    """
    used = [0, 1, 3]
    parts = np.array([1.0, 1.0, 0.0, 1.0])
    row_weight = paths / len(errors)
    for _ in range(3):
        expected = theory @ parts
        share = theory[:, used] / expected[:, None]
        target = np.minimum(errors**2 / expected, 16.0)
        left = row_weight * share.T @ share + 5.0 * np.eye(3)
        right = row_weight * share.T @ target + 5.0
        root = np.linalg.cholesky(left)
        found, _ = nnls(root.T, np.linalg.solve(root, right))
        parts[used] = np.maximum(found, 0.02)
    return parts


def _spread_of(z: Floats) -> float:
    """Scale at which a normal's 90 % interval would hold 90 % of ``z``."""
    return float(np.quantile(np.abs(z), 0.9) / 1.645) if len(z) >= 10 else float("nan")


def _by_horizon(z: Floats, *, worth: float) -> Floats:
    """(horizon,) factor that makes near and far days hold alike: what the theory's growth with the horizon missed.

    Four stretches of days, each shrunk to none by how many independent errors it has, and lines between their middles.
    """
    horizon = z.shape[2]
    edges = np.unique([0, *(edge for edge in (7, 14, 28) if edge < horizon), horizon])
    known = z[np.isfinite(z)]
    everywhere = _spread_of(known)
    factors = []
    for first, stop in pairwise(edges):
        part = z[:, :, first:stop]
        part = part[np.isfinite(part)]
        own, here = _spread_of(part), worth * len(part) / max(len(known), 1)
        trust = here / (here + _HORIZON_WORTH)
        factors.append(float((own / everywhere) ** trust) if own > 0 and everywhere > 0 else 1.0)
    middles = np.log((edges[:-1] + 1 + edges[1:]) / 2)
    return np.asarray(np.exp(np.interp(np.log(np.arange(1, horizon + 1)), middles, np.log(factors))))


def _scales(z: Floats) -> Floats:
    """(series,) scale of each series' errors, shrunk to all series' by how many paths it has."""
    n_paths = np.isfinite(z).any(axis=2).sum(axis=0)
    size = np.abs(z).transpose(1, 0, 2).reshape(z.shape[1], -1)
    own = np.array([np.nanmean(row) if np.isfinite(row).any() else np.nan for row in size]) / np.sqrt(2 / np.pi)
    typical = float(np.nanmean(np.log(np.maximum(own, 1e-3))))
    logs = np.where(np.isfinite(own), np.log(np.maximum(own, 1e-3)), typical)
    weight = n_paths / (n_paths + 6.0)
    return np.asarray(np.exp(typical + weight * (logs - typical)))


def _dependence(z: Floats) -> tuple[float, float]:
    """Mean correlation between series, and the share of an error's variance that lasts over the horizon."""
    known = np.isfinite(z)
    filled = np.where(known, np.clip(z, -4, 4), 0.0)
    count = known.sum(axis=1)
    pairs = (count * (count - 1)).sum()
    variance = (filled**2).sum() / known.sum()
    cross = ((filled.sum(axis=1) ** 2 - (filled**2).sum(axis=1)).sum() / pairs) if pairs else 0.5 * variance
    days = known.sum(axis=2)
    within = (days * (days - 1)).sum()
    same = (filled.sum(axis=2) ** 2 - (filled**2).sum(axis=2)).sum() / max(within, 1)
    return float(np.clip(cross / variance, 0.0, 0.95)), float(np.clip(same / variance, 0.0, 0.95))


def _tabulate(z: Floats, worth: float) -> Floats:
    """Quantiles of ``z`` at normal scores, mixed with a t's by how many independent errors there are.

    The median is taken out: a mean error shared by a few origins is an accident, not a bias to carry forward.
    """
    probability = ndtr(_GRID)
    prior = student.ppf(probability, _TAIL_DF) / student.ppf(0.95, _TAIL_DF) * 1.645
    if not len(z):
        return np.asarray(prior)
    own = np.quantile(z, probability)
    own = (own - np.quantile(z, 0.5)) * float(student.ppf(0.95, max(worth, 4.0))) / 1.645
    # A 90 % interval from few independent errors must be wider than their own 90 %: as Student's t is.
    body = float(np.quantile(np.abs(z), 0.9)) / 1.645 * float(student.ppf(0.95, max(worth, 4.0))) / 1.645
    # Beyond the last tenth-of-a-per-cent or the last few independent errors only the t's tail is known.
    trust = worth / (worth + _PRIOR_WORTH) * np.clip(np.minimum(probability, 1 - probability) * worth / 2, 0, 1)
    mixed = trust * own + (1 - trust) * body * prior
    return np.asarray(np.maximum.accumulate(mixed))


def on_event_windows(inside: npt.NDArray[np.bool_], origins: Sequence[int], horizon: int) -> npt.NDArray[np.bool_]:
    """(origins, series, horizon) windows of ``inside`` (series, days) after each origin; beyond its end ``False``."""
    n_series, n_days = inside.shape
    windows = np.zeros((len(origins), n_series, horizon), dtype=bool)
    for window, origin in zip(windows, origins, strict=True):
        last = min(origin + horizon, n_days)
        window[:, : last - origin] = inside[:, origin:last]
    return windows
