"""How narrow an interval could be: maximum likelihood told the true model and the true noise.

The model is the one that made the test, with what an analyst would have to learn of it: how fast it is, how its rate
bends with the number inside, how uneven its requests are. The noise is the one that was drawn. The width follows from
the Fisher information, its derivatives from simulations that share their random numbers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.saturation.engine import simulate
from benchmarks.saturation.services import Known, capacity_near, grouped, stations
from benchmarks.saturation.staircases import REQUESTS, Staircase, steady_seconds

Array = NDArray[np.float64]

_MOVE = 0.02
_HALF_LEVEL = 1.6449
_PERCENTILES = (0.5, 0.95, 0.99)


def _moved(known: Known, which: int) -> Known:
    """Make one of the three unknowns of a service a little larger."""
    if which == 0:
        return replace(known, rates=tuple(r * np.exp(_MOVE) for r in known.rates))
    if which == 1:
        bend = [np.maximum(np.arange(len(r)), 1.0) / max(np.argmax(r >= 0.5 * r.max()), 1) for r in known.rates]
        return replace(known, rates=tuple(r * b**_MOVE for r, b in zip(known.rates, bend, strict=True)))
    return replace(known, sigma=tuple(s * (1.0 + 5.0 * _MOVE) for s in known.sigma))


def ml_widths(plans: list[Staircase], *, seed: int) -> Array:
    """Width of the 90 % interval of capacity over capacity, (tests,)."""
    usual = [p.known for p in plans]
    moved = [[_moved(k, which) for k in usual] for which in range(3)]
    figures = _log_figures(plans, [usual, *moved], seed=seed)
    everyone = [one for services in [usual, *moved] for one in services]
    seeds = np.tile(np.arange(len(usual)), 1 + len(moved))
    capacity = np.log(capacity_near(everyone, usual * (1 + len(moved)), seeds=seeds)).reshape(-1, len(usual))
    widths = np.empty(len(plans))
    for i, p in enumerate(plans):
        use = [0, 1] if np.isnan(p.known.sigma[0]) else [0, 1, 2]
        slopes = np.stack([(figures[1 + k][i] - figures[0][i]) / _MOVE for k in use], axis=-1)
        gradient = np.array([(capacity[1 + k][i] - capacity[0][i]) / _MOVE for k in use])
        variance = _variance(p, slopes, gradient, figures[0][i])
        widths[i] = 2.0 * _HALF_LEVEL * np.sqrt(variance)
    return widths


def _variance(p: Staircase, slopes: Array, gradient: Array, figures: Array) -> float:
    """Variance of log capacity: what the steps leave open, and the night that no step can tell from the usual."""
    information = 1e-9 * np.eye(slopes.shape[-1])
    for step in range(len(slopes)):
        served = float(np.exp(figures[step, 0]))
        throughput = served * p.instances * steady_seconds(p, served)
        hazard = np.log(5.0) / max(figures[step, 3] - figures[step, 2], 0.05)
        tail = 1.0 - np.array(_PERCENTILES)
        chance = (1.0 - tail) / (tail * max(throughput / 2.0, 1.0)) / hazard**2
        noise = np.diag(np.concatenate([[1.0 / throughput], chance]))
        noise += p.step_sd**2 * np.outer(slopes[step, :, 0], slopes[step, :, 0])
        information += slopes[step].T @ np.linalg.solve(noise, slopes[step])
    learnt = gradient @ np.linalg.solve(information, gradient)
    return float(learnt + (gradient[0] * p.night_sd) ** 2)


def _log_figures(plans: list[Staircase], variants: list[list[Known]], *, seed: int) -> list[list[Array]]:
    """Log of throughput and percentiles (steps, 4) of every test by every variant of its service."""
    cells = [(v, i, k) for v in range(len(variants)) for i, p in enumerate(plans) for k in range(len(p.load))]
    services = [variants[v][i] for v, i, _ in cells]
    out = [[np.zeros((len(p.load), 4)) for p in plans] for _ in variants]
    for rows in grouped(services):
        mine = [cells[r] for r in rows]
        load = np.array([plans[i].load[k] for _, i, k in mine])
        is_open = np.array([plans[i].is_open for _, i, _ in mine])
        found = simulate(
            stations([services[r] for r in rows], speed=np.ones(len(rows))),
            rate=np.where(is_open, load, 1.0),
            users=np.where(is_open, 0, load).astype(np.int64),
            most=np.array([services[r].most for r in rows]),
            requests=REQUESTS // 2,
            seeds=seed * 7919 + np.array([i * 64 + k for _, i, k in mine]),
        )
        latency = np.nanquantile(found.latency_s, _PERCENTILES, axis=1)
        for place, (v, i, k) in enumerate(mine):
            out[v][i][k] = np.log([found.throughput[place], *latency[:, place]])
    return out
