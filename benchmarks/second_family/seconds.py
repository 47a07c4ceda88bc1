"""The hours around the rushes of a promotion, second by second: arrivals, flows through the graph, limits."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.second_family.clock import HOUR_S
from benchmarks.second_family.events import Event
from benchmarks.second_family.noise import cox_factor, excited, minute_wobble
from benchmarks.second_family.setting import rng_of
from benchmarks.second_family.world import World

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Window:
    """A stretch of whole hours of one promotion, before any limit.

    Parameters
    ----------
    world, event
        What it belongs to.
    starts_s
        First second from the origin.
    external
        Requests from outside, whole numbers, shape (seconds, services).
    ratio
        What arrived from inside over its mean, shape (seconds, services).
    fan_out
        Factor of each edge in this promotion.
    offered
        Requests at every service, shape (seconds, services).
    """

    world: World
    event: Event
    starts_s: int
    external: Floats
    ratio: Floats
    fan_out: NDArray[np.float64]
    offered: Floats

    @property
    def ends_s(self) -> int:
        """Second after the last."""
        return self.starts_s + len(self.offered)

    def admitting(self, limit_qps: float | None) -> tuple[Floats, Floats]:
        """Give what arrived while at most so many orders a second were let through, and the orders turned away."""
        place = self.world.graph.index[self.world.graph.orders]
        asked = self.offered[:, place]
        if limit_qps is None or asked.max() <= limit_qps:
            return self.offered, np.zeros(len(asked), np.float32)
        admitted = np.minimum(asked, np.float32(np.floor(limit_qps)))
        return self._again(admitted=admitted), asked - admitted

    def without(self, features: Collection[str]) -> Floats:
        """Give the requests at every service with these features off throughout."""
        return self._again(features=features)

    def _again(self, *, features: Collection[str] = (), admitted: Floats | None = None) -> Floats:
        def arrive(k: int, mean: Floats) -> Floats:
            return np.asarray(np.rint(mean * self.ratio[:, k]))

        since = np.arange(len(self.external)) + self.starts_s - self.event.starts_s
        return flow(self.world, self.event, since, self.external, self.fan_out, arrive, features, admitted)


def windows_of(event: Event, *, remembered: bool) -> list[tuple[int, int]]:
    """First and last second of the stretches that are played by the second.

    All of a short promotion with 3 h before and 2 h after; of a long one the first 26 h, the last 26 h and an hour
    before to two hours after every rush between; of one that is not remembered only the opening.
    """
    start, end = event.starts_s, event.ends_s
    if not remembered:
        return [(start - HOUR_S, min(start + 3 * HOUR_S, end))]
    spans = [(start - 3 * HOUR_S, start + 26 * HOUR_S), (end - 26 * HOUR_S, end + 2 * HOUR_S)]
    at = [beat.at_s // HOUR_S * HOUR_S for beat in event.beats]
    spans += [(hour - HOUR_S, hour + 2 * HOUR_S) for hour in at]
    merged: list[tuple[int, int]] = []
    for first, last in sorted((max(a, start - 3 * HOUR_S), min(b, end + 2 * HOUR_S)) for a, b in spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def play_window(world: World, event: Event, starts_s: int, ends_s: int) -> Window:
    """Play one stretch of a promotion."""
    rng = rng_of(world.setting, "seconds", event.id, str(starts_s))
    seconds = np.arange(starts_s, ends_s, dtype=np.float64)
    arrivals = entry_arrivals(world, event, rng, seconds)
    external = np.zeros((len(seconds), len(world.graph.nodes)), np.float32)
    external[:, [world.graph.index[entry.name] for entry in world.rates.entries]] = arrivals
    fan_out = edge_factors(world, event.id)
    minutes = len(seconds) // 60
    wobble = minute_wobble(rng, minutes, len(world.graph.nodes), scale=world.restlessness.mix, memory=0.8)
    ratio = np.ones_like(external)

    def arrive(k: int, mean: Floats) -> Floats:
        counts = rng.poisson(mean * wobble[:, k]).astype(np.float32)
        np.divide(counts, mean, out=ratio[:, k], where=mean > 0)
        return np.asarray(np.rint(mean * ratio[:, k]))

    offered = flow(world, event, seconds - event.starts_s, external, fan_out, arrive, (), None)
    return Window(world, event, starts_s, external, ratio, fan_out, offered)


def edge_factors(world: World, name: str) -> NDArray[np.float64]:
    """Draw how the mix of pages changes each edge's mean in one promotion."""
    rng = rng_of(world.setting, "fan-out", name)
    return np.asarray(np.exp(world.restlessness.fan_out * rng.normal(size=len(world.graph.edges))))


def entry_arrivals(
    world: World, event: Event, rng: np.random.Generator, seconds: NDArray[np.float64], *, scripts: Floats | None = None
) -> Floats:
    """Draw the requests from outside in whole minutes of a promotion, shape (seconds, entries).

    Parameters
    ----------
    world, event, rng
        The company, the promotion, a stream.
    seconds
        From the origin.
    scripts
        Factor of scripts' bursts by second and entry; drawn where not given.
    """
    restless = world.restlessness
    means = world.rates.entry_rates(seconds).astype(np.float32)
    count = means.shape[1]
    scale, memory = restless.minute / np.sqrt(2), restless.minute_memory
    shared = minute_wobble(rng, len(seconds) // 60, 1, scale=scale, memory=memory)
    means *= shared * minute_wobble(rng, len(seconds) // 60, count, scale=scale, memory=memory)
    since = seconds - event.starts_s
    heat = np.where(since >= 0, np.exp(-since.clip(0) / 300), 0.0)
    for k in range(count):
        if restless.hot[k] > 0:
            means[:, k] *= _scripts(rng, len(seconds)) if scripts is None else scripts[:, k]
        factor = cox_factor(
            rng, means[:, k], spread=float(restless.spread[k] * event.burst), usual=float(restless.usual[k]),
            fall=restless.fall, memory_s=restless.memory_s, form=restless.form,
        )  # fmt: skip
        counts = rng.poisson(means[:, k] * factor).astype(np.float32)
        branching = (restless.calm[k] + (restless.hot[k] - restless.calm[k]) * heat).astype(np.float32)
        if restless.hot[k] > 0:
            counts = excited(rng, counts, branching, memory_s=restless.offspring_s)
        means[:, k] = counts
    return means


def _scripts(rng: np.random.Generator, seconds: int) -> Floats:
    """Bursts of scripts: one in ten hours, 20 to 120 s long, by a Pareto-distributed share of the traffic."""
    factor = np.ones(seconds, np.float32)
    for at in rng.integers(0, seconds, rng.poisson(seconds / 36000)):
        factor[at : at + int(rng.integers(20, 120))] += min(0.08 * (1 + rng.pareto(2.0)), 0.8)
    return factor


def flow(
    world: World,
    event: Event,
    since: NDArray[np.float64] | NDArray[np.int64],
    external: Floats,
    fan_out: NDArray[np.float64],
    arrive: Callable[[int, Floats], Floats],
    features: Collection[str],
    admitted: Floats | None,
) -> Floats:
    """Carry every second's requests from callers to callees; `arrive` turns a mean into whole numbers.

    `since` are the seconds from the promotion's start, `external` what comes from outside, shape (seconds, services).
    """
    graph = world.graph
    offered = external.copy()
    cold = np.where((since >= 0) & (since < 2 * HOUR_S), event.cold_misses * np.exp(-since.clip(0) / 600), 0.0)
    for k, node in enumerate(graph.nodes):
        mean = np.zeros(len(external), np.float32)
        for edge, factor in zip(graph.edges, fan_out, strict=True):
            if edge.callee != node.name or (edge.feature is not None and edge.feature in features):
                continue
            caller = offered[:, graph.index[edge.caller]]
            if admitted is not None and edge.caller == graph.orders:
                caller = admitted
            part = caller * np.float32(edge.arrivals * factor)
            if edge.hit_fraction:
                more = (edge.hit_fraction - edge.cold_hit_fraction) / (1 - edge.hit_fraction)
                part = part * (1 + more * cold).astype(np.float32)
            mean += part
        if mean.any():
            offered[:, k] += arrive(k, mean)
    return offered
