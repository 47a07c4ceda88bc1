"""Every run's capacity: steps read once, curves of many runs fitted together."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.catalog import Catalog
from capacity.loadtest import LoadTest
from capacity.saturation.fit import StackRow
from capacity.saturation.run_steps import curve_points, to_steps
from capacity.saturation.runs import RunCapacity, run_capacity
from capacity.saturation.stack import fit_stack
from capacity.saturation.steps import Steps

Array = NDArray[np.float64]

_TOGETHER = 1000
"""Runs whose curves are fitted at once: enough to be fast, few enough to be held."""


@dataclass(frozen=True)
class ReadTest:
    """A run of a service of the catalogue, and its usable steps."""

    test: LoadTest
    steps: Steps


def read_steps(tests: Sequence[LoadTest], services: Catalog) -> list[ReadTest]:
    """Keep the runs of services of the catalogue that have a usable step."""
    known = set(services.names)
    pairs = ((test, to_steps(test)) for test in tests if test.service in known)
    return [ReadTest(test, steps) for test, steps in pairs if steps is not None]


def run_capacities(
    read: Sequence[ReadTest], services: Catalog, *, n_samples: int, seed: int
) -> dict[str, list[RunCapacity]]:
    """Ask each run for its capacity, by service; a run's samples depend on its name, its service and the seed alone."""
    found: dict[str, list[RunCapacity]] = {name: [] for name in services.names}
    for first in range(0, len(read), _TOGETHER):
        some = read[first : first + _TOGETHER]
        curves = _curves([one.steps for one in some])
        for place, one in enumerate(some):
            test, service = one.test, services[one.test.service]
            rng = np.random.default_rng([seed, zlib.crc32(test.run.encode()), zlib.crc32(test.service.encode())])
            capacity = run_capacity(
                test, service, rng=rng, n_samples=n_samples, steps=one.steps, curves=curves.get(place)
            )
            if capacity is not None:
                found[test.service].append(capacity)
    return found


def _curves(steps: Sequence[Steps]) -> Mapping[int, StackRow]:
    """Fit the curves of runs with as many points together; by the run's place, absent where points are too few."""
    groups: dict[int, list[tuple[int, tuple[Array, Array]]]] = {}
    for place, one in enumerate(steps):
        points = curve_points(one)
        if points is not None:
            groups.setdefault(len(points[0]), []).append((place, points))
    found = {}
    for members in groups.values():
        load, throughput = (np.stack([points[k] for _, points in members]) for k in (0, 1))
        stack = fit_stack(load, throughput, family=None)
        found.update({place: StackRow(stack, row) for row, (place, _) in enumerate(members)})
    return found
