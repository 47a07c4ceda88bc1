"""Where each service stands in load testing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capacity.catalog import Catalog, Service
    from capacity.loadtest import LoadTest

EVIDENCE = {
    "measured": "load test",
    "bounded": "load test, as a lower bound",
    "production": "production traffic, as a lower bound",
    "sla": "agreed limit",
    "none": "nothing",
}


@dataclass(frozen=True)
class Tested:
    """What the load tests say of one service.

    Attributes
    ----------
    runs : int
        Load tests on file.
    last_on : date or None
        Day of the newest with a time.
    in_production : bool
        Whether any ran in production.
    troubles : tuple of str
        Gates against the newest run.
    outdated : str
        What ran then and does not run now; empty when nothing is known to differ.
    """

    runs: int = 0
    last_on: date | None = None
    in_production: bool = False
    troubles: tuple[str, ...] = ()
    outdated: str = ""

    def __str__(self) -> str:
        if not self.runs:
            return "untested"
        where = "tested" if self.in_production else "tested outside production"
        return f"{where}{f' {self.last_on.isoformat()}' if self.last_on else ''}"


def read_tested(services: "Catalog", tests: "Iterable[LoadTest]") -> Mapping[str, Tested]:
    """Return every service's standing; APIs that share instances stand with those that were tested for them."""
    runs: dict[str, list[LoadTest]] = {name: [] for name in services.names}
    for test in tests:
        if test.service in runs:
            runs[test.service].append(test)
    return {name: _stand(services[name], found) for name, found in runs.items()}


def _stand(service: "Service", runs: "list[LoadTest]") -> Tested:
    if not runs:
        return Tested()
    newest = max(runs, key=lambda run: (run.started_at is not None, run.started_at and run.started_at.timestamp()))
    return Tested(
        runs=len(runs),
        last_on=newest.started_at.date() if newest.started_at is not None else None,
        in_production=any(run.is_production for run in runs),
        troubles=newest.troubles,
        outdated=_outdated(service, newest),
    )


def _outdated(service: "Service", newest: "LoadTest") -> str:
    pairs = (
        ("version", newest.version, service.version),
        ("instance_type", newest.instance_type, service.instance_type),
    )
    return ", ".join(f"{key} {then} was tested, {now} runs" for key, then, now in pairs if then and now and then != now)
