"""Futures of a company of the second family: its own process, drawn anew from the planning day on."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.known_process.busy import busy_minutes, seconds_of
from benchmarks.known_process.streams import Spliced
from benchmarks.second_family import days as days_module
from benchmarks.second_family.clock import HOUR_S
from benchmarks.second_family.events import Event, _draw_event
from benchmarks.second_family.growth import Growth, draw_growth
from benchmarks.second_family.noise import minute_wobble
from benchmarks.second_family.rates import Rates
from benchmarks.second_family.season import Season, draw_season
from benchmarks.second_family.seconds import edge_factors, entry_arrivals, flow, windows_of
from benchmarks.second_family.setting import rng_of
from benchmarks.second_family.world import World, draw_world
from capacity.demo.truth import queued_rate

Floats = NDArray[np.float64]
_PILOTS = 6
_SCRIPTS_EVERY_S = 36000


@dataclass(frozen=True)
class SecondProcess:
    """The process of one company as known on the planning day.

    Parameters
    ----------
    world
        The company; of its promotion to plan only calendar and depth are used, the depth where it was told.
    """

    world: World

    @classmethod
    def of(cls, seed: int) -> "SecondProcess":
        """Make the process of the company of a seed."""
        return cls(draw_world(seed))

    @property
    def names(self) -> tuple[str, ...]:
        """Services."""
        return self.world.graph.names

    def offered(self, draws: int, rng: np.random.Generator, *, off: Collection[str] = ()) -> Floats:
        """Draw the largest second of every service, shape (draws, services).

        For a service behind a queue it is the smallest rate of completion that keeps every wait within what is allowed,
        from its mean arrivals by the minute. Of a long promotion the stretches that the truth plays by the second are
        played.

        Parameters
        ----------
        draws
            How many futures.
        rng
            Stream.
        off
            Features that are off all the time.
        """
        world = self.world
        spans = windows_of(world.target, remembered=True)
        minutes = np.concatenate([np.arange(first, last, 60.0) for first, last in spans])
        pilots = [self._draw(rng) for _ in range(_PILOTS)]
        busy = minutes[busy_minutes(np.array([_means(pilot, minutes, off) for pilot in pilots]))]
        hours = np.unique(busy // HOUR_S)
        around = (hours[:, None] * HOUR_S + np.arange(0.0, HOUR_S, 60.0)).reshape(-1)
        return np.array([_largest(self._draw(rng), minutes, busy, around, off, rng) for _ in range(draws)])

    def _draw(self, rng: np.random.Generator) -> World:
        world, known = self.world, self.world.target
        other = replace(world.setting, seed=int(rng.integers(2**31)))
        segments = len(world.days.segments)
        event = _draw_event(other, world.habits, known.kind, known.id, known.starts_s, known.ends_s, segments)
        if known.told_intensity is not None:
            event = _as_deep(world, event, other.seed, known.told_intensity, rng)
        events = tuple(event if one.id == known.id else one for one in world.events)
        fresh = np.random.default_rng(rng.integers(2**63))

        def days(_: object, *names: str) -> Spliced:
            own = rng_of(world.setting, *names)
            return Spliced(own, fresh, days=world.setting.days, known_days=world.setting.as_of_day)

        parts = {"draw_growth": lambda _: self._growth, "draw_season": lambda *_: self._season, "rng_of": days}
        with patch.multiple(days_module, **parts):
            drawn = days_module.draw_days(world.setting, world.days.segments, events, world.incidents)
        rates = Rates(world.setting, drawn, events, world.rates.entries, world.rates.shapes)
        return replace(world, setting=other, events=events, days=drawn, rates=rates)

    @cached_property
    def _growth(self) -> Growth:
        return draw_growth(self.world.setting)

    @cached_property
    def _season(self) -> Season:
        return draw_season(self.world.setting, self.world.days.segments)


def _as_deep(world: World, event: Event, seed: int, told: float, rng: np.random.Generator) -> Event:
    """Give a drawn promotion the depth that follows from what was told of it (σ 4 % beside σ 12 % of all offers)."""
    saturation = world.habits.saturation
    weight = 0.12**2 / (0.12**2 + 0.04**2)
    told_log = weight * np.log(told) + np.sqrt(1 - weight) * 0.12 * rng.normal()
    drawn_log = rng_of(replace(world.setting, seed=seed), "promotion", event.id).normal(0, 0.12)
    deeper = float(np.expm1(-saturation * np.exp(told_log)) / np.expm1(-saturation * np.exp(drawn_log)))
    conversion = (1 + event.orders) / (1 + event.dau) - 1
    dau = event.dau * deeper
    return replace(event, dau=dau, orders=(1 + dau) * (1 + conversion * deeper) - 1)


def _means(future: World, minutes: Floats, off: Collection[str]) -> Floats:
    """Mean rate of every service, the larger of two instants of each minute, shape (minutes, services)."""
    graph = future.graph
    entries = [graph.index[entry.name] for entry in future.rates.entries]
    reach = graph.reach(graph.matrix(without=off))[entries]
    return np.asarray(np.maximum(*(future.rates.entry_rates(minutes + at) @ reach for at in (6.0, 36.0))))


def _largest(
    future: World, minutes: Floats, busy: Floats, around: Floats, off: Collection[str], rng: np.random.Generator
) -> Floats:
    """Play the busy seconds as `second_family.seconds` plays all of them, and take each service's largest."""
    event, graph = future.target, future.graph
    bursts = _draw_scripts(future, minutes, rng)
    at = np.array([burst[1] for burst in bursts] or [busy[0]])
    struck = (np.floor(at / 60)[:, None] * 60 + np.array([0.0, 60.0, 120.0])).reshape(-1)
    seconds = seconds_of(np.union1d(busy, struck[np.isin(struck, minutes)]))
    scripts = np.ones((len(seconds), len(future.rates.entries)), np.float32)
    for entry, start, lasts, size in bursts:
        scripts[(seconds >= start) & (seconds < start + lasts), entry] += size
    arrivals = entry_arrivals(future, event, rng, seconds, scripts=scripts)
    external = np.zeros((len(seconds), len(graph.nodes)), np.float32)
    external[:, [graph.index[entry.name] for entry in future.rates.entries]] = arrivals
    fan_out = edge_factors(future, event.id)
    wobble = minute_wobble(rng, len(seconds) // 60, len(graph.nodes), scale=future.restlessness.mix, memory=0.8)

    def arrive(k: int, mean: NDArray[np.float32]) -> NDArray[np.float32]:
        return rng.poisson(mean * wobble[:, k]).astype(np.float32)

    offered = flow(future, event, seconds - event.starts_s, external, fan_out, arrive, tuple(off), None)
    largest = offered.max(axis=0).astype(np.float64)
    for edge, factor in zip(graph.edges, fan_out, strict=True):
        if edge.max_delay_s is not None:
            queued = future.rates.orders(around + 30) * 60 * edge.arrivals * factor
            rate = queued_rate(queued.astype(np.float32), max_delay_s=edge.max_delay_s / 60) / 60
            largest[graph.index[edge.callee]] = rate
    return largest


def _draw_scripts(future: World, minutes: Floats, rng: np.random.Generator) -> list[tuple[int, float, float, float]]:
    """Bursts of scripts in all that is played: entry, start, length in seconds, share added."""
    found = []
    for entry in np.flatnonzero(future.restlessness.hot > 0):
        count = rng.poisson(60 * len(minutes) / _SCRIPTS_EVERY_S)
        for minute in rng.choice(minutes, count):
            size = min(0.08 * (1 + rng.pareto(2.0)), 0.8)
            found.append((int(entry), float(minute + rng.integers(60)), float(rng.integers(20, 120)), size))
    return found
