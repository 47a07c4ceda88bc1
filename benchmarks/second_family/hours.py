"""Hours that nobody plays by the second: requests, and the largest second in each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, pdtrik

from benchmarks.second_family.clock import HOUR_S
from benchmarks.second_family.seconds import edge_factors
from benchmarks.second_family.setting import rng_of
from benchmarks.second_family.world import World

Array = NDArray[np.float64]
_POINTS = 4
_FINE_S = 5


@dataclass(frozen=True)
class Hours:
    """Every hour from the origin on, as if no promotion were played by the second.

    Parameters
    ----------
    orders
        Offered orders by hour, shape (hours,), whole numbers.
    first
        First hour of the two arrays below.
    requests, peak_qps
        Requests and largest second, shape (hours − first, services).
    """

    orders: Array
    first: int
    requests: Array
    peak_qps: Array


def draw_hours(world: World) -> Hours:
    """Draw all hours; those with a rush in or before them are integrated on a fine grid."""
    rng = rng_of(world.setting, "hours")
    restless, graph = world.restlessness, world.graph
    external = _means(world)
    external *= world.incidents.hourly[: len(external), None]
    external *= np.exp(restless.hour * rng.normal(size=external.shape))
    external *= 1 + restless.calm + restless.calm**2
    names = [entry.name for entry in world.rates.entries]
    place = names.index(graph.orders)
    orders = _counts(rng, external[:, place] * HOUR_S)
    first = world.setting.traffic_from * 24
    rate = np.zeros((len(external) - first, len(graph.nodes)))
    rate[:, [graph.index[name] for name in names]] = external[first:]
    rate = rate @ graph.reach(graph.matrix(edge_factors(world, "ordinary days")))
    rate *= np.exp(restless.mix * rng.normal(size=rate.shape))
    requests = _counts(rng, rate * HOUR_S)
    requests[:, graph.index[graph.orders]] = orders[first:]
    return Hours(orders, first, requests, _largest_second(world, rng, requests / HOUR_S))


def _means(world: World) -> Array:
    """Mean rate of every entry in every hour."""
    hours = world.setting.recorded_days * 24
    means = np.empty((hours, len(world.rates.entries)))
    for at in range(0, hours, 720):
        block = np.arange(at, min(at + 720, hours))
        instants = (block[:, None] + (np.arange(_POINTS) + 0.5) / _POINTS).reshape(-1) * HOUR_S
        means[block] = world.rates.entry_rates(instants).reshape(len(block), _POINTS, -1).mean(axis=1)
    for event in world.events:
        busy = {beat.at_s // HOUR_S + k for beat in event.beats for k in (-1, 0, 1, 2, 3)}
        rows = np.array(sorted(hour for hour in busy if 0 <= hour < hours), dtype=np.intp)
        if len(rows):
            grid = (rows[:, None] * HOUR_S + np.arange(0.0, HOUR_S, _FINE_S) + _FINE_S / 2).reshape(-1)
            means[rows] = world.rates.entry_rates(grid).reshape(len(rows), HOUR_S // _FINE_S, -1).mean(axis=1)
    return means


def _counts(rng: np.random.Generator, mean: Array) -> Array:
    return rng.poisson(mean).astype(np.float64)


def _largest_second(world: World, rng: np.random.Generator, rate: Array) -> Array:
    """Largest of an hour's seconds: the course inside the hour, a slow random factor, and counting."""
    restless, graph = world.restlessness, world.graph
    names = [entry.name for entry in world.rates.entries]
    spread = np.full(len(graph.nodes), float(restless.spread.mean()) / 2)
    spread[[graph.index[name] for name in names]] = restless.spread
    within = rate * (1 + 0.05 * np.abs(rng.normal(size=rate.shape)))
    uniform = rng.random(rate.shape)
    # So many independent values has a factor that forgets within `memory_s` in an hour.
    slow = ndtri(uniform ** (restless.memory_s / HOUR_S)) * spread * within
    fast = ndtri(rng.random(rate.shape) ** (1 / HOUR_S)) * np.sqrt(within)
    largest = within + np.sqrt(slow.clip(0) ** 2 + fast**2)
    few = (rate < 20) & (rate > 0)
    largest[few] = np.ceil(pdtrik(uniform[few] ** (1 / HOUR_S), within[few]))
    return np.asarray(np.rint(np.maximum(largest, np.ceil(rate))))
