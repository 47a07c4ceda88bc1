"""Counts on a scale where noise is even: logarithmic where counts are large, like a root near zero.

Counts with mean λ vary as ``Var = λ + φ λ²``. ``y = 2·arsinh(√(κ x))`` has ``dy/dx = √κ / √(x (1 + κ x))``: with κ = φ
its noise is the same at every λ (Anscombe's transform of negative binomial counts). Far above 1/κ it is ``log(4 κ x)``,
so levels and shapes that multiply counts add here; a zero is finite.

References
----------
F. J. Anscombe (1948), The transformation of Poisson, binomial and negative-binomial data, Biometrika 35.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_MOST_CURVATURE = 1.0  # there ``y`` is log(x + ½) to within 0.2: the usual guard of a logarithm


def spread(counts: Floats, curvature: Floats) -> Floats:
    """Bring counts to the even scale; `curvature` κ broadcasts.

    Examples
    --------
    >>> spread(np.array([0.0, 100.0, 200.0]), np.array(1.0)).round(2).tolist()
    [0.0, 6.0, 6.69]
    """
    return np.asarray(2.0 * np.arcsinh(np.sqrt(curvature * np.maximum(counts, 0.0))))


def gather(even: Floats, curvature: Floats) -> Floats:
    """Return counts from the even scale: the inverse of `spread`; below zero there is zero."""
    return np.asarray(np.sinh(np.maximum(even, 0.0) / 2.0) ** 2 / curvature)


def estimate_overdispersion(counts: Floats) -> Floats:
    """φ of counts of one interval around their neighbours' mean, shape (series,).

    Parameters
    ----------
    counts : ndarray, shape (series, interval)
        NaN where unknown.

    Returns
    -------
    ndarray
        Not below zero; 0 where fewer than three neighbouring intervals are known.

    Notes
    -----
    ``d = x_t − (x_{t−1} + x_{t+1})/2`` has variance ``1.5 (λ + φ λ²)`` where λ hardly curves, so
    ``φ = Σ(d²/1.5 − λ) / Σ(λ² − 1.5 var λ̂)``, summed over intervals whose `d` is not among the largest per cent: a few
    outliers must not decide it.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mean = 200 * (1 + 0.5 * np.sin(np.arange(20_000) / 300))
    >>> counts = rng.poisson(mean * rng.gamma(1 / 0.05, 0.05, 20_000)).astype(float)
    >>> 0.04 < float(estimate_overdispersion(counts[None])[0]) < 0.06
    True
    """
    if counts.shape[1] < 3:
        return np.zeros(len(counts))
    middle, around = counts[:, 1:-1], (counts[:, :-2] + counts[:, 2:]) / 2.0
    known = np.isfinite(middle) & np.isfinite(around)
    squared = np.where(known, (middle - around) ** 2 / 1.5, 0.0)
    mean = np.where(known, (middle + 2.0 * around) / 3.0, 0.0)
    relative = squared / np.maximum(mean, 1.0) ** 2
    bound = np.array([np.quantile(r[k], 0.99) if k.any() else 0.0 for r, k in zip(relative, known, strict=True)])
    use = known & (relative <= bound[:, None])
    excess = np.where(use, squared - mean, 0.0).sum(1)
    # The mean of three is itself noisy by a third of the variance.
    square = np.where(use, mean**2 - squared / 3.0, 0.0).sum(1)
    return np.where(square > 0, np.maximum(excess, 0.0) / np.maximum(square, 1e-300), 0.0)


def choose_curvature(counts: Floats) -> Floats:
    """κ of every series, shape (series, 1): its φ, at least one over the typical count, at most 1.

    Below ``1 / typical`` nothing would be gained: that noise is Poisson's, and levels would no longer add.
    """
    known = np.isfinite(counts) & (counts > 0)
    typical = np.array([np.median(c[k]) if k.any() else 1.0 for c, k in zip(counts, known, strict=True)])
    phi = estimate_overdispersion(counts)
    return np.asarray(np.clip(np.maximum(phi, 1.0 / np.maximum(typical, 1.0)), None, _MOST_CURVATURE))[:, None]
