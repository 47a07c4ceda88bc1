"""Futures of a company of the first family: its own process, drawn anew from the planning day on."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.known_process.busy import busy_minutes, seconds_of
from benchmarks.known_process.streams import Spliced
from capacity.demo import demand as days_module
from capacity.demo.catalogue import MAX_DELAY_S
from capacity.demo.events import HORIZON_DAYS, ORIGIN, Event, _draw_event
from capacity.demo.graph import Edge, draw_counts, event_matrix, without_features
from capacity.demo.parameters import KIND_SCALE, Parameters
from capacity.demo.randomness import stream
from capacity.demo.services import ENTRIES, INDEX, NAMES, NEW_SINCE
from capacity.demo.shapes import Rates
from capacity.demo.simulate import _first_flow, _minute_noise
from capacity.demo.truth import queued_rate
from capacity.demo.world import World, draw_world

Floats = NDArray[np.float64]
_PILOTS = 6


@dataclass(frozen=True)
class FirstProcess:
    """The process of one company as known on the planning day.

    Parameters
    ----------
    world
        The company.
    event
        The promotion to plan as it truly will be; only what is known of it is used: its calendar and intensity.
    known_days
        Days from the company's origin that have passed.
    """

    world: World
    event: Event
    known_days: int

    @classmethod
    def of(cls, seed: int, promotion: str, as_of: str) -> "FirstProcess":
        """Make the process of the company of a seed."""
        world = draw_world(seed)
        return cls(world, world.event(promotion), (date.fromisoformat(as_of) - ORIGIN.date()).days)

    @property
    def names(self) -> tuple[str, ...]:
        """Services."""
        return NAMES

    def offered(self, draws: int, rng: np.random.Generator, *, off: Collection[str] = ()) -> Floats:
        """Draw the largest second of every service, shape (draws, services).

        For a service behind a queue it is the smallest rate of completion that keeps every wait within what is allowed,
        from its mean arrivals by the minute.

        Parameters
        ----------
        draws
            How many futures.
        rng
            Stream.
        off
            Features that are off all the time.
        """
        minutes = np.arange(self.event.starts_s - 3600.0, self.event.ends_s + 3600.0, 60.0)
        pilots = [self._draw(rng) for _ in range(_PILOTS)]
        means = np.array([_means(future, minutes, off) for future in pilots])
        busy = seconds_of(minutes[busy_minutes(means)])
        return np.array([_largest(self._draw(rng), busy, minutes, off, rng) for _ in range(draws)])

    def _draw(self, rng: np.random.Generator) -> "Future":
        world, known = self.world, self.event
        p = replace(world.parameters, seed=int(rng.integers(2**31)))
        drawn = _draw_event(
            p, known.kind, known.id, known.starts_at.replace(tzinfo=None).isoformat(),
            known.ends_at.replace(tzinfo=None).isoformat(),
        )  # fmt: skip
        # How deep the offer is was decided before and is written down.
        deeper = KIND_SCALE[known.kind] * (known.intensity - drawn.intensity)
        event = replace(
            drawn, intensity=known.intensity, log_dau=drawn.log_dau + deeper * p.events.log_dau,
            log_dat=drawn.log_dat + deeper * p.events.log_dat,
        )  # fmt: skip
        events = tuple(event if one.id == known.id else one for one in world.events)
        fresh = np.random.default_rng(rng.integers(2**63))

        def days(seed: int, *names: str) -> Spliced:
            return Spliced(stream(seed, *names), fresh, days=HORIZON_DAYS, known_days=self.known_days)

        with patch.object(days_module, "stream", days):
            baseline = days_module.draw_baseline(world.parameters, events)
        rates = Rates(baseline, events, world.entries, world.rates.browse_shape, world.rates.order_shape)
        matrix = event_matrix(p, world.edges, event.id, with_new=event.starts_at.date().isoformat() >= NEW_SINCE)
        return Future(p, event, rates, matrix, world.edges)


@dataclass(frozen=True)
class Future:
    """One drawn future before its seconds: a promotion, the days it falls on, its mix of calls."""

    parameters: Parameters
    event: Event
    rates: Rates
    matrix: Floats
    edges: tuple[Edge, ...]


def _means(future: Future, minutes: Floats, off: Collection[str]) -> Floats:
    """Mean rate of every service, the larger of two instants of each minute, shape (minutes, services)."""
    matrix = without_features(future.matrix, tuple(off))
    reach = np.linalg.inv(np.eye(len(NAMES)) - matrix)[[INDEX[name] for name in ENTRIES]]
    instants = [future.rates.entry_rates(minutes + at) @ reach for at in (6.0, 36.0)]
    return np.asarray(np.maximum(*instants))


def _largest(future: Future, busy: Floats, minutes: Floats, off: Collection[str], rng: np.random.Generator) -> Floats:
    """Play the busy seconds as `capacity.demo.simulate` plays all of them, and take each service's largest."""
    p, event = future.parameters, future.event
    means = future.rates.entry_rates(busy).astype(np.float32)
    count = len(busy) // 60
    shared = _minute_noise(rng, count, 0.7 * p.minute_noise)
    external = {}
    for k, name in enumerate(ENTRIES):
        own = shared * _minute_noise(rng, count, 0.7 * p.minute_noise)
        dispersion = (p.second_noise[name] * event.burst) ** 2
        external[name] = draw_counts(rng, means[:, k] * own, dispersion=dispersion)
    matrix = without_features(future.matrix, tuple(off))
    offered = _first_flow(p, rng, external, matrix, {}, event, busy)
    largest = np.array([float(offered[name].max()) for name in NAMES])
    orders = future.rates.orders(minutes + 30) * 60 * matrix[INDEX["checkout"], INDEX["fulfilment"]]
    largest[INDEX["fulfilment"]] = queued_rate(orders.astype(np.float32), max_delay_s=MAX_DELAY_S / 60) / 60
    return largest
