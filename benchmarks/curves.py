"""Saturation curves of ten thousand services with intervals, beside a loop of scipy's `curve_fit`.

Services are simulated: twelve steps each, 2 % noise. The loop does for each service what ours does for all: with
the USL given, one fit and 200 residual-bootstrap rounds; with families in competition, the same contest on held-out
high load, the winner's fit and 200 rounds of it. It is run on 200 services and extrapolated; ours runs on all.
``bounded`` keeps the parameters' bounds (scipy's trust-region method), ``unbounded`` (Levenberg–Marquardt in
MINPACK) is the fastest that scipy has and may return what cannot be, such as negative contention. Only fitting
counts, not the making of the points.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, curve_fit

from capacity.saturation import fit_curves
from capacity.saturation.families import COMPETING, FAMILIES

Array = NDArray[np.float64]

LOADS = np.array([1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64.0])
NOISE = 0.02
ROUNDS = 200
TAILS = (0.05, 0.95)


@dataclass(frozen=True)
class Services:
    """Points (B, 12) of simulated services and their true peak throughput (B,)."""

    throughput: Array
    peak: Array

    def points(self) -> dict[str, Array]:
        """As `fit_curves` takes them."""
        count = len(self.throughput)
        return {
            "service": np.repeat(np.arange(count), len(LOADS)),
            "load": np.tile(LOADS, count),
            "throughput": self.throughput.ravel(),
        }


def simulate(count: int, *, families: tuple[str, ...], seed: int = 0) -> Services:
    """Draw services of these families in turn, whose knee lies inside the tested range."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(3.0, 1.0, count))
    draws = {
        "usl": np.stack([rng.uniform(0.005, 0.05, count), rng.uniform(2e-4, 2e-3, count), size], axis=1),
        "pool": np.stack([rng.uniform(8, 48, count), 1 / size, rng.uniform(0, 0.003, count) / size], axis=1),
        "mmc": np.stack([rng.uniform(4, 40, count), 1 / size], axis=1),
    }
    served, peak = np.empty((count, len(LOADS))), np.empty(count)
    for k, name in enumerate(families):
        rows = np.arange(k, count, len(families))
        served[rows] = FAMILIES[name].predict(draws[name][rows], np.tile(LOADS, (len(rows), 1)))
        peak[rows] = FAMILIES[name].peak(draws[name][rows])[1]
    return Services(served * np.exp(NOISE * rng.standard_normal(served.shape)), peak)


def timed(work: Callable[[], pd.DataFrame]) -> tuple[pd.DataFrame, float, float]:
    """Run it; its result, seconds of CPU and of the wall clock."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.process_time() - cpu, time.perf_counter() - wall


def ours(services: Services, family: str | None) -> pd.DataFrame:
    """Peak throughput of each service with its interval: columns peak, low, high."""
    fits = fit_curves(services.points(), family=family)
    found = fits.interval(0.9, n=ROUNDS).xs("peak_throughput", level="parameter")
    return found.assign(peak=fits.peak_throughput).reset_index(drop=True)


def loop(services: Services, family: str | None, *, bounded: bool) -> pd.DataFrame:
    """Run the same by `curve_fit`, one service after the other."""
    rng, rows = np.random.default_rng(1), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        for y in services.throughput:
            name = family if family is not None else _winner(y, bounded=bounded)
            rows.append(_with_rounds(name, y, rng, bounded=bounded))
    return pd.DataFrame(rows, columns=["peak", "low", "high"])


def _model(name: str) -> Callable[..., Array]:
    one = FAMILIES[name]

    def predict(load: Array, *parameters: float) -> Array:
        return one.rough(np.array([parameters]), load[None, :])[0]

    return _usl if name == "usl" else predict


def _usl(load: Array, alpha: float, beta: float, gamma: float) -> Array:
    return gamma * load / (1.0 + alpha * (load - 1.0) + beta * load * (load - 1.0))


def _start(name: str, load: Array, y: Array) -> Array:
    """Guess a start as an analyst would: scale from the first point, a knee in the middle."""
    first = y[0] / load[0]
    guesses = {
        "linear": [first],
        "amdahl": [0.02, first],
        "usl": [0.02, 1e-4, first],
        "pool": [min(float(y.max() / first), float(load[-1])), 1 / first, 1e-5 / first],
        "mmc": [min(float(y.max() / first), float(load[-1])), 1 / first],
    }
    return np.maximum(guesses[name], np.array(FAMILIES[name].low) * (1 + 1e-9) + 1e-12)


def _fitted(name: str, load: Array, y: Array, start: Array, *, bounded: bool) -> Array:
    one = FAMILIES[name]
    bounds = (np.array(one.low), one.high(load[None, :])[0]) if bounded else (-np.inf, np.inf)
    try:
        found: Array = curve_fit(_model(name), load, y, p0=start, bounds=bounds, maxfev=4000)[0]
    except (RuntimeError, ValueError):
        return start
    return found


def _winner(y: Array, *, bounded: bool) -> str:
    """Judge by relative error on each high point that was not shown, and on the last two together."""
    hidden = [[k] for k in range(len(y) // 2, len(y))] + [[len(y) - 2, len(y) - 1]]
    scores = {}
    for name in COMPETING:
        miss = []
        for out in hidden:
            shown = np.delete(np.arange(len(y)), out)
            start = _start(name, LOADS[shown], y[shown])
            found = _fitted(name, LOADS[shown], y[shown], start, bounded=bounded)
            miss += list(_model(name)(LOADS[out], *found) / y[out] - 1.0)
        scores[name] = float(np.sqrt(np.mean(np.square(miss))))
    return min(scores, key=lambda name: scores[name])


def _with_rounds(name: str, y: Array, rng: np.random.Generator, *, bounded: bool) -> tuple[float, float, float]:
    found = _fitted(name, LOADS, y, _start(name, LOADS, y), bounded=bounded)
    fitted = _model(name)(LOADS, *found)
    residual = y - fitted
    again = np.array(
        [_fitted(name, LOADS, fitted + rng.choice(residual, len(y)), found, bounded=bounded) for _ in range(ROUNDS)]
    )
    peaks = FAMILIES[name].peak(np.concatenate([found[None], again]))[1]
    low, high = np.quantile(peaks[1:], TAILS, method="nearest")
    return float(peaks[0]), float(low), float(high)


def _row(label: str, found: pd.DataFrame, truth: Array, spent: tuple[float, float], count: int) -> dict[str, object]:
    inside = (found["low"] <= truth) & (truth <= found["high"])
    width = (found["high"] - found["low"]) / truth
    return {
        "method": label,
        "services": len(found),
        "CPU s": spent[0],
        "wall s": spent[1],
        f"CPU s of {count}": spent[0] * count / len(found),
        f"wall s of {count}": spent[1] * count / len(found),
        "median error of the peak": float(np.median(np.abs(found["peak"] / truth - 1.0))),
        "90 % holds": float(inside.mean()),
        "median width": float(width.median()),
    }


def compare(family: str | None, *, count: int, few: int) -> pd.DataFrame:
    """One row a method; the ratio of times, and how its estimates and widths differ from ours on the same services."""
    families = ("usl",) if family == "usl" else ("usl", "pool", "mmc")
    services = simulate(count, families=families)
    some = Services(services.throughput[:few], services.peak[:few])
    ours(Services(some.throughput[:5], some.peak[:5]), family)
    mine, *spent = timed(lambda: ours(services, family))
    rows = [_row("capacity", mine, services.peak, (spent[0], spent[1]), count)]
    for bounded in (True, False):
        found, *theirs = timed(lambda bounded=bounded: loop(some, family, bounded=bounded))  # type: ignore[misc]
        label = f"curve_fit, {'bounded' if bounded else 'unbounded'}"
        row = _row(label, found, some.peak, (theirs[0], theirs[1]), count)
        both = np.isfinite(found["peak"]) & np.isfinite(mine["peak"][:few])
        own = mine[:few]
        row["median difference of the peak"] = float(np.median(np.abs(found["peak"] / own["peak"] - 1.0)[both]))
        width = (found["high"] - found["low"]) / (own["high"] - own["low"])
        row["width ÷ ours"] = float(width[np.isfinite(width)].median())
        row["CPU ÷ ours"] = row[f"CPU s of {count}"] / rows[0][f"CPU s of {count}"]  # type: ignore[operator]
        row["wall ÷ ours"] = row[f"wall s of {count}"] / rows[0][f"wall s of {count}"]  # type: ignore[operator]
        rows.append(row)
    return pd.DataFrame(rows)


def run(*, count: int = 10_000, few: int = 200) -> str:
    """Both comparisons as text."""
    with pd.option_context("display.width", 250, "display.max_columns", 20, "display.float_format", "{:.4g}".format):
        parts = [
            f"{title}\n{compare(family, count=count, few=few).T.to_string(header=False)}"
            for title, family in (("USL given", "usl"), ("families in competition", None))
        ]
    return "\n\n".join(parts)
