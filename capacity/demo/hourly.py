"""Hours outside promotions: requests, the orders of every day, and the largest second of each hour."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, pdtrik

from capacity.demo.events import RECORDED_DAYS
from capacity.demo.graph import Edge, event_matrix, without_features
from capacity.demo.parameters import Parameters
from capacity.demo.randomness import stream
from capacity.demo.services import ENTRIES, INDEX, NAMES, NEW_SERVICE
from capacity.demo.shapes import Rates

Array = NDArray[np.float64]
_POINTS = 6  # instants an hour at which rates are taken


@dataclass(frozen=True)
class Hours:
    """Mean rates and counts of every hour from the origin to the end of the data.

    Parameters
    ----------
    requests
        Arrived requests, shape (hours, services), whole numbers.
    peak_qps
        Largest second of the hour; 0 before the hours that were asked for.
    """

    requests: Array
    peak_qps: Array


def draw_hours(
    parameters: Parameters,
    rates: Rates,
    edges: tuple[Edge, ...],
    *,
    first: int,
    new_from: int,
    off_from: Mapping[str, int],
) -> Hours:
    """Draw every hour as if no promotion window were played by the second.

    Parameters
    ----------
    parameters, rates, edges
        The company.
    first
        First hour whose largest second is wanted.
    new_from
        First hour of the new service.
    off_from
        By feature: first hour from which it stayed switched off.
    """
    rng = stream(parameters.seed, "hours")
    hours = RECORDED_DAYS * 24
    instants = (np.arange(hours * _POINTS) + 0.5) * 3600 / _POINTS
    means = rates.entry_rates(instants).reshape(hours, _POINTS, len(ENTRIES)).mean(axis=1)
    means *= np.exp(parameters.hour_noise * rng.normal(size=means.shape))
    rate = np.zeros((hours, len(NAMES)))
    for k, name in enumerate(ENTRIES):
        rate[:, INDEX[name]] = means[:, k]
    rate = _through_graph(parameters, edges, rate, new_from=new_from, off_from=off_from)
    rate *= np.exp(parameters.mix_noise * rng.normal(size=rate.shape))
    checkout = INDEX["checkout"]
    rate[:, checkout] = means[:, ENTRIES.index("checkout")]
    counts = np.rint(rng.normal(rate * 3600, np.sqrt(rate * 3600)).clip(0))
    few = rate * 3600 < 200
    counts[few] = rng.poisson(rate[few] * 3600)
    largest = np.zeros_like(rate)
    largest[first:] = _largest_second(parameters, rng, rate[first:])
    return Hours(counts, largest)


def _through_graph(
    parameters: Parameters, edges: tuple[Edge, ...], external: Array, *, new_from: int, off_from: Mapping[str, int]
) -> Array:
    matrix = event_matrix(parameters, edges, "ordinary days", with_new=True)
    old = matrix.copy()
    old[:, INDEX[NEW_SERVICE]] = 0
    late = min(off_from.values(), default=len(external))
    identity = np.eye(len(NAMES))
    parts = (
        (slice(0, new_from), old),
        (slice(new_from, late), matrix),
        (slice(late, None), without_features(matrix, off_from)),
    )
    rate = np.empty_like(external)
    for hours, flows in parts:
        rate[hours] = np.linalg.solve((identity - flows).T, external[hours].T).T
    return rate


def _largest_second(parameters: Parameters, rng: np.random.Generator, rate: Array) -> Array:
    """Largest of 3,600 over-dispersed seconds, drawn from its distribution."""
    typical = float(np.mean(list(parameters.second_noise.values())))
    noise = np.array([parameters.second_noise.get(name, typical / 2) for name in NAMES])
    uniform = rng.random(rate.shape) ** (1 / 3600)
    within = rate * (1 + 0.04 * np.abs(rng.normal(size=rate.shape)))
    largest = within + ndtri(uniform) * np.sqrt(within + (noise * within) ** 2)
    few = (rate < 20) & (rate > 0)
    largest[few] = np.ceil(pdtrik(uniform[few], within[few]))
    return np.rint(np.maximum(largest, np.ceil(rate)))
