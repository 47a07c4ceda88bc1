"""What a test does to the services around it, and who must know of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from capacity.catalog import Catalog, Service
from capacity.graph import Edges, attempts, call_edges, reach_matrix, total_rates, upstream
from capacity.promotion import Promotion
from capacity.staircase.staircase import Staircase

if TYPE_CHECKING:
    from capacity.saturation import Curves

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Downstream:
    """What the last step of a test asks of one service that it calls, directly or not.

    Parameters
    ----------
    service
        Its name.
    per_request
        Requests to it that one request of the test causes while all goes well.
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
    counts_seconds
        Whether the limit is on every single second, as a third party's terms are, and not on the mean.
    troubled_per_request
        As `per_request`, where calls fail as often as the test's rule on errors lets pass, and are tried again.
        Failures that the service's answers do not show are retried as often as they may be.
    worst_per_request
        As `per_request`, where every call is tried as often as it may be and caches are cold.

    Examples
    --------
    >>> bank = Downstream("bank", 0.5, 50.0, 2.0, 100.0, "sla", is_hard=True, counts_seconds=True)
    >>> bank.total_qps, bank.is_safe, round(bank.most_offered_qps)
    (52.0, True, 144)
    """

    service: str
    per_request: float
    test_qps: float
    usual_qps: float | None
    known_qps: float | None
    evidence: str
    is_hard: bool
    counts_seconds: bool = False
    troubled_per_request: float | None = None
    worst_per_request: float | None = None

    @property
    def total_qps(self) -> float:
        """Requests/s with what comes anyway."""
        return self.test_qps + (self.usual_qps or 0.0)

    @property
    def is_safe(self) -> bool | None:
        """Whether it stays below what is known; None where nothing is."""
        return None if self.known_qps is None else self.total_qps <= self.known_qps

    @property
    def worst_qps(self) -> float:
        """Requests/s at the last step with all retries and cold caches, and what comes anyway."""
        more = 1.0 if self.worst_per_request is None else self.worst_per_request / self.per_request
        return more * self.test_qps + (self.usual_qps or 0.0)

    @property
    def most_offered_qps(self) -> float | None:
        """Rate of the test at which it gets all that it is known to take; None where nothing is known.

        A hard limit holds with the retries of a test in trouble; one on single seconds holds in busy ones too, three
        standard deviations above the mean of a Poisson process.
        """
        if self.known_qps is None:
            return None
        takes = self.known_qps
        if self.counts_seconds:
            takes = ((math.sqrt(9.0 + 4.0 * takes) - 3.0) / 2.0) ** 2
        asks = self.troubled_per_request if self.is_hard and self.troubled_per_request else self.per_request
        return max(takes - (self.usual_qps or 0.0), 0.0) / asks


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
    mocked
        Downstreams that the tests replace: what these would call gets nothing.
    """

    def __init__(self, services: Catalog, curves: Curves | None, *, mocked: Sequence[str] = ()) -> None:
        self._services = services
        self._curves = curves
        self._place = {name: number for number, name in enumerate(services.names)}
        silent = [self._place[name] for name in mocked]
        self._warm, self._cold = (_without(call_edges(services, cold=cold), silent) for cold in (False, True))
        self._reach = reach_matrix(self._warm.to_sparse()) if len(services) else np.zeros((0, 0))

    def path(self, name: str) -> tuple[str, ...]:
        """Return the service and all that gets requests from it."""
        row = self._reach[self._place[name]]
        return (name, *(other for other, place in self._place.items() if other != name and row[place] > 0))

    def sufferers(self, name: str) -> tuple[str, ...]:
        """Return who else feels a test: what depends on the service, and what shares instances with it or its path."""
        path = self.path(name)
        pools = {self._services.pool_of(other) for other in path}
        above = upstream(self._services, name)
        return tuple(
            n for n in self._services.names if n not in path and (n in above or self._services.pool_of(n) in pools)
        )

    def downstream(self, test: Staircase, usual: dict[str, float]) -> tuple[Downstream, ...]:
        """Return what the test asks of each service that it reaches, the tightest first."""
        row, troubled, worst = self._asked(test)
        found = []
        for name in self.path(test.service)[1:]:
            place, service = self._place[name], self._services[name]
            known, evidence = self._takes(service)
            one = Downstream(
                name, float(row[place]), float(row[place]) * test.offered_qps[-1], usual.get(name), known, evidence,
                is_hard=evidence == "sla" and service.is_fixed, counts_seconds=service.third_party,
                troubled_per_request=float(troubled[place]), worst_per_request=float(worst[place]),
            )  # fmt: skip
            found.append(one)
        return tuple(sorted(found, key=lambda one: -one.total_qps / one.known_qps if one.known_qps else 0.0))

    def _asked(self, test: Staircase) -> tuple[Floats, Floats, Floats]:
        """Count requests to every service by one of the test: when all goes well, in trouble, and at worst."""
        place = self._place[test.service]
        passes = next((r.limit for r in test.stop_rules if (r.watches, r.judged) == ("error_fraction", "at_once")), 1.0)
        warm, cold = self._warm, self._cold
        # A call fails for good with probability p^(r+1): what the rule lets pass gives p.
        fails = np.where(warm.required, passes ** (1.0 / (warm.retries + 1.0)), 1.0)
        one = np.zeros(len(self._services))
        one[place] = 1.0
        troubled = total_rates(_times(warm, attempts(fails, warm.retries)), one)
        return self._reach[place], troubled, total_rates(_times(cold, 1.0 + cold.retries.astype(float)), one)

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


def who_is_told(
    services: Catalog, name: str, path: Sequence[str], promotion: Promotion, *, sufferers: Sequence[str]
) -> tuple[Told, ...]:
    """Owners of the service, of who feels its test and of what it reaches, and third parties' contacts.

    Examples
    --------
    >>> from capacity.catalog import parse_services
    >>> text = "[{name: a, tier: core, owner: x, calls: [{to: b}]}, {name: b, tier: core, owner: y}]"
    >>> services = parse_services(text)
    >>> promotion = Promotion(id="p", kind="p", starts_at="2026-11-10T20:00Z", ends_at="2026-11-11T20:00Z")
    >>> [(t.who, t.why) for t in who_is_told(services, "b", ["b"], promotion, sufferers=["a"])]
    [('y', 'owns b'), ('x', 'owns a, which calls it')]
    """
    contacts = {term.name: term.contact for term in promotion.third_parties if term.contact}
    above = upstream(services, name)
    reasons: dict[str, list[str]] = {}

    def tell(who: str, why: str) -> None:
        if who:
            reasons.setdefault(who, []).append(why)

    tell(services[name].owner, f"owns {name}")
    direct = services.callers_of(name)
    for other in sufferers:
        how = "calls it" if other in direct else "depends on it" if other in above else "shares instances with it"
        tell(services[other].owner, f"owns {other}, which {how}")
    for other in path[1:]:
        tell(services[other].owner, f"owns {other}, which gets load from it")
        tell(contacts.get(other, ""), f"answers for the third party {other}")
    return tuple(Told(who, "; ".join(why)) for who, why in reasons.items())


def _without(edges: Edges, callers: Sequence[int]) -> Edges:
    return replace(edges, per_request=np.where(np.isin(edges.caller, callers), 0.0, edges.per_request))


def _times(edges: Edges, attempts_per_call: Floats) -> sparse.csr_array:
    return replace(edges, per_request=edges.per_request * attempts_per_call).to_sparse()
