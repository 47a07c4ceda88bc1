"""The level of many series as a random walk seen through noise: filter, whitening, breaks, smoothing.

y_t = x_tᵀθ + m_t + ε_t, m_{t+1} = m_t + η_t, var η = q var ε. With the gains K_t of its Kalman filter, the same filter
applied to y and to every column of X turns the regression into independent innovations (generalized least squares):
slow movements of the level are no longer mistaken for season or events, nor believed twice.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
RATIOS = np.array([3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3])  # var η / var ε: from a level for years to one for days
_DIFFUSE = 1e6
UNSETTLED = 1e3  # variance of a level that has just begun, relative to the noise's
_BREAK_RUN = 5  # so many clipped days in a row on one side are a new level, not outliers
_CLIP = 2.5


@dataclass(frozen=True)
class Filtered:
    """Result of the robust filter, all (series, days).

    ``gain`` is K_t (0 where unknown), ``variance`` that of the innovation relative to the noise's, ``clean`` the
    observations with outliers pulled in, ``state`` the level predicted for each day from those before it, ``last``
    (series,) the level after the last day and ``last_variance`` (series,) its variance relative to the noise's.
    """

    gain: Floats
    variance: Floats
    clean: Floats
    state: Floats
    last: Floats
    last_variance: Floats
    breaks: npt.NDArray[np.bool_]

    def of(self, series: npt.NDArray[np.intp]) -> "Filtered":
        """Return some series."""
        return Filtered(*(getattr(self, name)[series] for name in self.__dataclass_fields__))


def robust_filter(residual: Floats, *, ratio: Floats, sigma: Floats) -> Filtered:
    """Filter ``residual`` (series, days; NaN unknown), clipping outliers and following breaks.

    Parameters
    ----------
    residual : (series, days) array
        Log volume without its regression; NaN where unknown.
    ratio, sigma : (series,) arrays
        Variance of the level's daily step relative to the noise's, and the noise's standard deviation.
    """
    n_series, n_days = residual.shape
    days = np.ascontiguousarray(residual.T)  # a day's values side by side: the loop below is over days
    known = np.isfinite(days)
    days = np.where(known, days, 0.0)
    gain, variance = np.zeros_like(days), np.ones_like(days)
    clean, state = np.zeros_like(days), np.zeros_like(days)
    breaks = np.zeros(days.shape, dtype=bool)
    m, p, run = np.zeros(n_series), np.full(n_series, _DIFFUSE), np.zeros(n_series)
    limit = _CLIP * sigma
    for t in range(n_days):
        state[t] = m
        here = known[t]
        f = p + 1
        innovation = (days[t] - m) * here
        # A level that has just begun takes its first day whole: there is nothing yet to hold it against.
        bound = np.where(f > UNSETTLED, np.inf, limit * np.sqrt(f))
        clipped = np.minimum(np.maximum(innovation, -bound), bound)
        out = clipped != innovation
        if out.any() or run.any():
            side = np.sign(innovation)
            run = np.where(out, np.where(side == np.sign(run), run, 0.0) + side, np.where(here, 0.0, run))
            broken = np.abs(run) >= _BREAK_RUN
            if broken.any():
                p = np.where(broken, _DIFFUSE, p)
                f = p + 1
                clipped = np.where(broken, innovation, clipped)
                breaks[t] = broken
                run = np.where(broken, 0.0, run)
        k = p / f * here
        gain[t], variance[t], clean[t] = k, f, m + clipped
        m = m + k * clipped
        p = p * (1 - k) + ratio
    clean = np.where(known, clean, np.nan)
    return Filtered(gain.T, variance.T, clean.T, state.T, m, p, breaks.T)


def log_likelihoods(residual: Floats, *, sigma: Floats, ratios: Floats = RATIOS) -> Floats:
    """(ratios, series) profile log likelihood of every ratio, for clipped innovations."""
    n_series = len(residual)
    stacked = np.tile(residual, (len(ratios), 1))
    ratio = np.repeat(ratios, n_series)
    # The noise is what the ratio leaves of the one-step spread, so that clipping is alike for every ratio.
    filtered = robust_filter(stacked, ratio=ratio, sigma=np.tile(sigma, len(ratios)))
    use = np.isfinite(stacked) & (filtered.variance < 100)
    scaled = np.where(use, (filtered.clean - filtered.state) ** 2 / filtered.variance, 0.0)
    count = np.maximum(use.sum(axis=1), 1)
    profile = -0.5 * count * np.log(np.maximum(scaled.sum(axis=1) / count, 1e-10))
    value = profile - 0.5 * np.where(use, np.log(filtered.variance), 0.0).sum(axis=1)
    return np.asarray(value.reshape(len(ratios), n_series))


def choose_ratio(likelihood: Floats, ratios: Floats = RATIOS) -> Floats:
    """(series,) ratio of each series: its own likelihood with the pool of all as prior (posterior mean, log scale)."""
    relative = likelihood - likelihood.max(axis=0)
    own = np.exp(relative) / np.exp(relative).sum(axis=0)
    prior = own.mean(axis=1) + 0.02  # nothing is ruled out
    posterior = own * prior[:, None]
    posterior /= posterior.sum(axis=0)
    # To a tenth of a power of ten: nobody can tell finer, and series with the same memory share their whitening.
    return np.asarray(10 ** np.round(np.log10(ratios) @ posterior, 1))


def whiten(values: Floats, filtered: Filtered, n_days: int) -> tuple[Floats, Floats]:
    """Innovations of columns under the filter of the series.

    Parameters
    ----------
    values : (series, days, columns) array
        Regressors and observations; unknown observations may hold anything finite.
    filtered : Filtered
        Gains of the same series.
    n_days : int
        Days to go through.

    Returns
    -------
    innovations, states : (series, days, columns) and (series, days + 1, columns) arrays
        Scaled innovations (0 where unknown), and the filter's prediction before each day.
    """
    n_series, n_columns = len(filtered.gain), values.shape[2]
    gain, variance = filtered.gain[:, :n_days], filtered.variance[:, :n_days]
    weight = (gain > 0) / np.sqrt(variance) * (variance < 0.5 * _DIFFUSE)
    states = np.zeros((n_series, n_days + 1, n_columns))
    for t in range(n_days):
        step = values[:, t] - states[:, t]
        step *= gain[:, t, None]
        np.add(states[:, t], step, out=states[:, t + 1])
    innovations = values - states[:, :-1]
    innovations *= weight[:, :, None]
    return innovations, states


def smoothed(filtered: Filtered, *, ratio: Floats) -> Floats:
    """(series, days) level given all days, before and after (fixed-interval smoother)."""
    n_days = filtered.gain.shape[1]
    level = np.empty_like(filtered.state)
    later = filtered.last
    for t in range(n_days - 1, -1, -1):
        k, f = filtered.gain[:, t], filtered.variance[:, t]
        innovation = np.where(k > 0, filtered.clean[:, t] - filtered.state[:, t], 0.0)
        here = filtered.state[:, t] + k * innovation
        spread = (f - 1) * (1 - k)
        back = spread / (spread + ratio)
        if t < n_days - 1:
            back = np.where(filtered.breaks[:, t + 1], 0.0, back)
        later = here + back * (later - here) if t < n_days - 1 else here
        level[:, t] = later
    return level
