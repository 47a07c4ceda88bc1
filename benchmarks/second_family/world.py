"""All that is drawn before a single request is."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.second_family.clock import DAY_S
from benchmarks.second_family.days import Days, draw_days, draw_segments
from benchmarks.second_family.events import Event, Habits, draw_events, draw_habits, target_id
from benchmarks.second_family.graph import Graph, draw_entries, draw_graph
from benchmarks.second_family.incidents import Incidents, draw_incidents
from benchmarks.second_family.rates import Rates, draw_shapes
from benchmarks.second_family.setting import Setting, draw_setting, rng_of
from capacity.demo.randomness import log_uniform


@dataclass(frozen=True)
class Restlessness:
    """How requests scatter, by entry where they differ.

    Parameters
    ----------
    spread, fall, memory_s, form
        The second's Cox process at the usual rate; see `noise.cox_factor`.
    usual
        The usual rate by entry.
    calm, hot
        Mean offspring of one request in quiet times, and just after an opening (retries and reloads), by entry.
    offspring_s
        Mean seconds until it comes.
    minute, minute_memory, hour
        Wobble from minute to minute and from hour to hour.
    mix, fan_out
        Wobble of a service's own calls, and of each edge from promotion to promotion.
    """

    spread: NDArray[np.float64]
    fall: float
    memory_s: float
    form: str
    usual: NDArray[np.float64]
    calm: NDArray[np.float64]
    hot: NDArray[np.float64]
    offspring_s: float
    minute: float
    minute_memory: float
    hour: float
    mix: float
    fan_out: float


@dataclass(frozen=True)
class World:
    """The company as a process."""

    setting: Setting
    habits: Habits
    events: tuple[Event, ...]
    incidents: Incidents
    days: Days
    graph: Graph
    rates: Rates
    restlessness: Restlessness

    @property
    def target(self) -> Event:
        """The promotion to plan."""
        return self.event(target_id(self.setting))

    @cached_property
    def played(self) -> tuple[Event, ...]:
        """Promotions that have an opening and lie inside the tables."""
        return tuple(event for event in self.events if event.is_played(self.setting.recorded_days))

    def event(self, name: str) -> Event:
        """Find the promotion of that id."""
        return next(event for event in self.events if event.id == name)

    def is_remembered(self, event: Event) -> bool:
        """Whether its minutes are still kept."""
        return event.first_day - 2 >= self.setting.minutes_from


def draw_world(seed: int) -> World:
    """Draw the company of a seed.

    Examples
    --------
    >>> world = draw_world(0)
    >>> world.target in world.played
    True
    """
    setting = draw_setting(seed)
    habits, segments = draw_habits(setting), draw_segments(setting)
    events = draw_events(setting, habits, len(segments))
    busy = {day for event in events if event.kind.script != "quiet" for day in event.days}
    incidents = draw_incidents(setting, busy)
    days = draw_days(setting, segments, events, incidents)
    graph = draw_graph(setting)
    usual_dau = float(days.total[max(setting.as_of_day - 28, 0) : setting.as_of_day].mean())
    entries = draw_entries(setting, graph, usual_dau)
    rates = Rates(setting, days, events, entries, draw_shapes(setting))
    mean = rates.entry_rates(np.arange(setting.as_of_day - 28.0, setting.as_of_day, 1 / 48) * DAY_S).mean(axis=0)
    return World(setting, habits, events, incidents, days, graph, rates, _draw_restlessness(setting, mean, graph))


def _draw_restlessness(setting: Setting, usual: NDArray[np.float64], graph: Graph) -> Restlessness:
    rng = rng_of(setting, "restlessness")
    count = len(usual)
    # An order that was placed is not placed again: only looking is repeated.
    repeats = np.array([name != graph.orders for name in graph.of_role("entry")])
    return Restlessness(
        spread=np.array([log_uniform(rng, 0.05, 0.15) for _ in range(count)]),
        fall=rng.uniform(0.15, 0.5),
        memory_s=log_uniform(rng, 2, 20),
        form=str(rng.choice(["log-gaussian", "gamma"])),
        usual=np.maximum(usual, 1e-3),
        calm=rng.uniform(0.0, 0.04, count) * repeats,
        hot=rng.uniform(0.0, 0.20, count) * repeats,
        offspring_s=log_uniform(rng, 3, 15),
        minute=rng.uniform(0.015, 0.04),
        minute_memory=rng.uniform(0.5, 0.9),
        hour=rng.uniform(0.01, 0.03),
        mix=rng.uniform(0.005, 0.02),
        fan_out=rng.uniform(0.01, 0.04),
    )
