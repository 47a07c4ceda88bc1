"""All that is drawn before a single request is: parameters, days, promotions, services, graph."""

from dataclasses import dataclass
from functools import cached_property

from capacity.demo.demand import Baseline, draw_baseline
from capacity.demo.events import Event, draw_events
from capacity.demo.graph import Edge, draw_edges
from capacity.demo.loadtests import Run, draw_runs
from capacity.demo.parameters import Parameters, draw_parameters
from capacity.demo.services import TrueService, draw_entries, draw_services
from capacity.demo.shapes import EntryRate, Rates, make_rates


@dataclass(frozen=True)
class World:
    """The company as a process."""

    parameters: Parameters
    events: tuple[Event, ...]
    baseline: Baseline
    entries: dict[str, EntryRate]
    rates: Rates
    edges: tuple[Edge, ...]
    services: dict[str, TrueService]

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The company's load tests."""
        return draw_runs(self.parameters, self.services)

    def event(self, name: str) -> Event:
        """Find the promotion of that id."""
        return next(event for event in self.events if event.id == name)


def draw_world(seed: int) -> World:
    """Draw the company of a seed.

    Examples
    --------
    >>> world = draw_world(0)
    >>> world.event("2026-double11").kind
    'double11'
    """
    parameters = draw_parameters(seed)
    events = draw_events(parameters)
    baseline = draw_baseline(parameters, events)
    entries = draw_entries(parameters)
    rates = make_rates(parameters, baseline, events, entries)
    return World(parameters, events, baseline, entries, rates, draw_edges(parameters), draw_services(parameters))
