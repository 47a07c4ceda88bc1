"""The rest of the promotion as its first minutes make it look."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.tracking.paths import Paths
from capacity.tracking.update import settle_levels, update_peaks

Floats = NDArray[np.float64]
BAND = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Projection:
    """Per service, in the plan's order; requests/s.

    Attributes
    ----------
    now_q05, now_q50, now_q95, now_q99 : ndarray, shape (service,)
        What the plan's futures said of the running minutes: quantiles of their mean, and from 0.95 on of their
        busiest minute.
    phase_peak, rest_peak : ndarray, shape (3, service)
        Worst second still to come in the running phase, and in all that is left: 0.05, 0.5 and 0.95 quantile; NaN
        where nothing is left.
    limit_probability : ndarray, shape (service,)
        Share of the futures in which the worst second to come passes the limit.
    minutes_to_limit : ndarray, shape (service,)
        Median over those futures; NaN where none does.
    """

    now_q05: Floats
    now_q50: Floats
    now_q95: Floats
    now_q99: Floats
    phase_peak: Floats
    rest_peak: Floats
    limit_probability: Floats
    minutes_to_limit: Floats


def project(
    paths: Paths,
    seen_qps: Floats,
    *,
    window_s: tuple[float, float],
    misfit: float,
    limit_qps: Floats,
    ratio: tuple[Floats, float] | None = None,
) -> Projection:
    """Project the peak to come from the last minutes.

    Parameters
    ----------
    paths
        The plan's futures.
    seen_qps : ndarray, shape (service,)
        Mean rate of the window; NaN where unknown.
    window_s
        Its first and last moment, in seconds after the promotion's start; the last one is now.
    misfit
        See `capacity.tracking.misfit`, of the running phase.
    limit_qps : ndarray, shape (service,)
        Infinite where there is none.
    ratio
        Mean log of peak ÷ level in past promotions by service, and how far it is believed; see `settle_levels`.
    """
    level = paths.level(*window_s)
    before = paths.remaining_peak(window_s[1])
    phase = int(paths.phase[paths.block_at(window_s[1])])
    if ratio is not None and phase >= 0:
        level = settle_levels(level, before[:, phase], ratio[0], weight=ratio[1])
    after = update_peaks(level, before, seen_qps, misfit=misfit, seed=int(window_s[1]) % 2**32)
    rest = _highest(after)
    none = np.full((len(BAND), level.shape[1]), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = np.where(before > 0, after / before, 1.0)
    passes = rest > limit_qps
    block = paths.block_at(window_s[1] - 1.0)
    low, middle = _quantiles(paths.mean_qps[:, block], (0.05, 0.5))
    high, highest = _quantiles(paths.highest_qps[:, block], (0.95, 0.99))
    return Projection(
        now_q05=low,
        now_q50=middle,
        now_q95=high,
        now_q99=highest,
        phase_peak=none if phase < 0 or np.isnan(after[:, phase]).all() else _quantiles(after[:, phase], BAND),
        rest_peak=_quantiles(rest, BAND),
        limit_probability=np.where(np.isnan(rest).any(0), 0.0, passes.mean(0)),
        minutes_to_limit=_minutes_to_limit(paths, moved, now_s=window_s[1], limit_qps=limit_qps),
    )


def _highest(peaks: Floats) -> Floats:
    gone = np.isnan(peaks).all(1)
    return np.asarray(np.where(gone, np.nan, np.max(np.where(np.isnan(peaks), -np.inf, peaks), axis=1)))


def _quantiles(values: NDArray[Any], probabilities: tuple[float, ...]) -> Floats:
    return np.asarray(np.quantile(values, probabilities, axis=0))


def _minutes_to_limit(paths: Paths, moved: Floats, *, now_s: float, limit_qps: Floats) -> Floats:
    first = np.full((paths.n_futures, len(paths.services)), np.nan)
    for block in range(paths.block_at(now_s), paths.starts_s.size):
        phase = int(paths.phase[block])
        if phase < 0 or np.isnan(moved[:, phase]).any():
            continue
        second = paths.highest_qps[:, block] * paths.second_ratio[:, phase] * moved[:, phase]
        away = max((paths.starts_s[block] + paths.ends_s[block]) / 2 - now_s, 0.0) / 60.0
        first = np.where(np.isnan(first) & (second > limit_qps), away, first)
    out = np.full(len(paths.services), np.nan)
    some = np.isfinite(first).any(0)
    if some.any():
        out[some] = np.nanmedian(first[:, some], axis=0)
    return out
