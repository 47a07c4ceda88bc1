"""What a test does to the services around it, and who must know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capacity.catalog import Catalog, Service
from capacity.graph import call_matrix, reach_matrix, upstream
from capacity.promotion import Promotion
from capacity.staircase.staircase import Staircase

if TYPE_CHECKING:
    from capacity.saturation import Curves


@dataclass(frozen=True)
class Downstream:
    """What the last step of a test asks of one service that it calls, directly or not.

    Parameters
    ----------
    service
        Its name.
    per_request
        Requests to it that one request of the test causes, retries not counted.
    test_qps
        Requests/s at the last step.
    usual_qps
        What it gets beside the test in that window; None where unknown.
    known_qps
        What it is known to take in all; None where nothing is known.
    evidence
        How that is known: ``sla`` is a stated limit.
    is_hard
        Whether the limit is stated and no instance raises it: a third party's terms, a database's.
    """

    service: str
    per_request: float
    test_qps: float
    usual_qps: float | None
    known_qps: float | None
    evidence: str
    is_hard: bool

    @property
    def total_qps(self) -> float:
        """Requests/s with what comes anyway."""
        return self.test_qps + (self.usual_qps or 0.0)

    @property
    def is_safe(self) -> bool | None:
        """Whether it stays below what is known; None where nothing is."""
        return None if self.known_qps is None else self.total_qps <= self.known_qps

    @property
    def most_offered_qps(self) -> float | None:
        """Rate of the test at which it gets all that it is known to take; None where nothing is known."""
        if self.known_qps is None:
            return None
        return max(self.known_qps - (self.usual_qps or 0.0), 0.0) / self.per_request


@dataclass(frozen=True)
class Told:
    """Somebody to tell before a test, and why."""

    who: str
    why: str


class Surroundings:
    """The call graph around tests, read once for all of them.

    Parameters
    ----------
    services
        With the terms of the promotion.
    curves
        What each is known to take.
    """

    def __init__(self, services: Catalog, curves: Curves | None) -> None:
        self._services = services
        self._curves = curves
        self._place = {name: number for number, name in enumerate(services.names)}
        self._reach = reach_matrix(call_matrix(services)) if len(services) else np.zeros((0, 0))

    def path(self, name: str) -> tuple[str, ...]:
        """Return the service and all that gets requests from it."""
        row = self._reach[self._place[name]]
        return (name, *(other for other, place in self._place.items() if other != name and row[place] > 0))

    def downstream(self, test: Staircase, usual: dict[str, float]) -> tuple[Downstream, ...]:
        """Return what the test asks of each service that it reaches, the tightest first."""
        row = self._reach[self._place[test.service]]
        found = [
            self._one(name, float(row[self._place[name]]), test.offered_qps[-1], usual.get(name))
            for name in self.path(test.service)[1:]
        ]
        return tuple(sorted(found, key=lambda one: -one.total_qps / one.known_qps if one.known_qps else 0.0))

    def _one(self, name: str, per_request: float, offered: float, usual: float | None) -> Downstream:
        service = self._services[name]
        known, evidence = self._takes(service)
        hard = evidence == "sla" and service.is_fixed
        return Downstream(name, per_request, per_request * offered, usual, known, evidence, hard)

    def _takes(self, service: Service) -> tuple[float | None, str]:
        if service.max_qps is not None and service.is_fixed:
            return service.max_qps, "sla"
        curves = self._curves
        if curves is None or service.name not in curves.services or curves.evidence[service.name] == "none":
            return service.max_qps, "none" if service.max_qps is None else "sla"
        low = float(np.quantile(curves.instance_capacity_qps.sel(service=service.name).to_numpy(), 0.05))
        instances = self._services[self._services.pool_of(service.name)].instances
        total = low if service.is_fixed else low * instances
        return min(total, service.max_qps or np.inf), curves.evidence[service.name]


def who_is_told(services: Catalog, name: str, path: Sequence[str], promotion: Promotion) -> tuple[Told, ...]:
    """Owners of the service, of who calls it and of what it reaches, and third parties' contacts.

    Examples
    --------
    >>> from capacity.catalog import parse_services
    >>> text = "[{name: a, tier: core, owner: x, calls: [{to: b}]}, {name: b, tier: core, owner: y}]"
    >>> services = parse_services(text)
    >>> promotion = Promotion(id="p", kind="p", starts_at="2026-11-10T20:00Z", ends_at="2026-11-11T20:00Z")
    >>> [(t.who, t.why) for t in who_is_told(services, "b", ["b"], promotion)]
    [('y', 'owns b'), ('x', 'owns a, which calls it')]
    """
    contacts = {term.name: term.contact for term in promotion.third_parties if term.contact}
    reasons: dict[str, list[str]] = {}

    def tell(who: str, why: str) -> None:
        if who:
            reasons.setdefault(who, []).append(why)

    tell(services[name].owner, f"owns {name}")
    callers = services.callers_of(name)
    for caller in callers:
        tell(services[caller].owner, f"owns {caller}, which calls it")
    for other in path[1:]:
        tell(services[other].owner, f"owns {other}, which gets load from it")
        tell(contacts.get(other, ""), f"answers for the third party {other}")
    return tuple(Told(who, "; ".join(why)) for who, why in reasons.items())


def cautions(
    services: Catalog, test: Staircase, downstream: Sequence[Downstream], *, mocked: Sequence[str] = ()
) -> tuple[str, ...]:
    """Say what may go wrong around a test, and what to do about it."""
    service = services[test.service]
    found = [*_load_cautions(services, test, downstream, mocked), *_own_cautions(services, service, test)]
    unowned = [one.service for one in downstream if not services[one.service].owner]
    if not service.owner:
        found.append(f"nobody is named as owner of {service.name}: name one in services.yaml before testing it")
    if unowned:
        found.append(f"nobody is named as owner of {', '.join(unowned)}, which get load from this test")
    return tuple(found)


def _load_cautions(
    services: Catalog, test: Staircase, downstream: Sequence[Downstream], mocked: Sequence[str]
) -> list[str]:
    found = []
    for one in downstream:
        name, third = one.service, services[one.service].third_party
        if name in mocked:
            found.append(f"{name} is mocked: its time and failures are missing, capacity is flattered")
            continue
        kind = "third party " if third else ""
        asked = f"the last step asks {one.total_qps:.4g}/s of {kind}{name}"
        if one.known_qps is None:
            found.append(f"{asked}, of which no limit is known: watch it, or mock it")
        elif one.total_qps > one.known_qps:
            step = sum(rate <= (one.most_offered_qps or 0.0) for rate in test.offered_qps) + 1
            what = {"sla": "its stated limit"}.get(one.evidence, f"what is known to hold ({one.evidence})")
            do = "mock it from there, or agree on more with its contact" if third else "watch it, or mock it from there"
            found.append(f"{asked}, above {what} of {one.known_qps:.4g}/s from step {step} on: {do}")
        elif third:
            found.append(f"{asked}, within its terms of {one.known_qps:.4g}/s: tell its contact, or mock it")
        elif one.is_hard:
            found.append(f"{asked}, which does not scale and takes {one.known_qps:.4g}/s: nobody else may load it then")
    return found


def _own_cautions(services: Catalog, service: Service, test: Staircase) -> list[str]:
    found = []
    top = test.offered_qps[-1]
    if service.hot_key is not None:
        hottest = service.hot_key.top_share * top
        over = (
            f"above the {service.hot_key.max_qps:.4g}/s that one key takes"
            if hottest > service.hot_key.max_qps
            else (f"one key takes {service.hot_key.max_qps:.4g}/s")
        )
        found.append(
            f"draw items as users do, {service.hot_key.top_share:.1%} of requests for one item: {hottest:.4g}/s at the "
            f"last step, {over}"
        )
    sharing = [n for n in services.names if n != service.name and services.pool_of(n) == services.pool_of(service.name)]
    if sharing:
        found.append(f"it shares its instances with {', '.join(sharing)}: their ordinary traffic is part of the result")
    queued = [call.to for call in service.calls if call.is_async]
    if queued:
        found.append(
            f"its queue to {', '.join(queued)} fills during the test: see that it is worked off before the next"
        )
    if not test.reaches_target and test.known.low:
        needed = int(np.ceil(test.target_qps / (test.known.low / test.instances)))
        found.append(
            f"{test.instances} instances are known to end below the target of {test.target_qps:.4g}/s: scale out to "
            f"about {needed} first to test the target itself"
        )
    if not service.slo.judges_latency:
        found.append("no latency objective is given: the test only ends at errors or where answers fall behind")
    if upstream(services, service.name) and service.entry is not None and service.entry.is_none:
        found.append("no traffic comes from outside: replay what its callers send, not what a browser would")
    return found
