"""One service of the catalogue and everything written inside it."""

from collections.abc import Iterator
from typing import Literal

from capacity.document.contract import (
    Contract,
    Count,
    Day,
    Fault,
    Flag,
    Fraction,
    Name,
    NonNegative,
    Positive,
    PositiveCount,
    PositiveFraction,
    Range,
    Text,
)

Tier = Literal["core", "non_core", "degradable"]


class Slo(Contract):
    """What a service promises; all that are given must hold. None given: latency is not judged.

    Parameters
    ----------
    p99_ms, p95_ms
        Latency in milliseconds.
    error_fraction
        Failed requests, of those not turned away by a limit.
    """

    p99_ms: Positive | None = None
    p95_ms: Positive | None = None
    error_fraction: Fraction | None = None

    @property
    def judges_latency(self) -> bool:
        """Whether any latency is promised."""
        return self.p99_ms is not None or self.p95_ms is not None

    def faults(self) -> Iterator[Fault]:
        """Yield a 95th percentile above the 99th."""
        if self.p95_ms is not None and self.p99_ms is not None and self.p95_ms > self.p99_ms:
            yield Fault(("p95_ms",), f"{self.p95_ms:g}", f"at most p99_ms ({self.p99_ms:g})")


class Entry(Contract):
    """Requests that reach a service from outside. All zero means none; no entry at all means unknown.

    Parameters
    ----------
    per_dau
        Requests per active user and day.
    per_dat
        Requests per active transaction.
    extra_qps
        Requests per second apart from both: bots, callbacks, batch jobs.
    """

    per_dau: NonNegative = 0.0
    per_dat: NonNegative = 0.0
    extra_qps: Range | None = None

    @property
    def is_none(self) -> bool:
        """Whether nothing comes from outside."""
        extra = self.extra_qps.high if self.extra_qps is not None else 0.0
        return self.per_dau == 0 and self.per_dat == 0 and extra == 0


class HotKey(Contract):
    """The hottest item, which no number of instances mends.

    Parameters
    ----------
    top_share
        Its share of the service's requests.
    max_qps
        Requests per second that one key can take.
    """

    top_share: PositiveFraction
    max_qps: Positive


class Degrade(Contract):
    """A feature that a call serves and that can be switched off.

    Parameters
    ----------
    feature, switch
        What it is called, and what turns it off.
    owner
        Who may.
    value_per_request
        Business value lost per call left out, in the workspace's currency.
    takes_s
        From the decision to its effect, in seconds.
    """

    feature: Name
    switch: Text = ""
    owner: Text = ""
    value_per_request: NonNegative = 0.0
    takes_s: NonNegative = 60.0


class Call(Contract):
    """What one request to a service asks of another.

    Parameters
    ----------
    to
        The callee.
    per_request
        Mean calls per request, before the cache and without retries.
    retries
        Attempts after the first.
    timeout_ms
        When an attempt is given up.
    required
        Whether the request fails with it. Not given, a call that can be degraded is not required.
    mode
        ``async`` goes through a queue.
    max_delay_s
        How late the queue's work may be done; 0 means at once.
    hit_fraction, cold_hit_fraction
        Share answered by a cache before the callee, warm and just after a cold start.
    connections_per_instance
        Connections that one instance of the caller holds.
    degrade
        The feature that this call serves.

    Examples
    --------
    >>> Call(to="catalog", per_request=6.0, hit_fraction=0.97).calls_reaching()
    0.18
    >>> Call(to="catalog", per_request=6.0, hit_fraction=0.97).calls_reaching(cold=True)
    6.0
    """

    to: Name
    per_request: NonNegative = 1.0
    retries: Count = 0
    timeout_ms: Positive | None = None
    required: Flag = True
    mode: Literal["sync", "async"] = "sync"
    max_delay_s: NonNegative = 0.0
    hit_fraction: Fraction = 0.0
    cold_hit_fraction: Fraction = 0.0
    connections_per_instance: NonNegative = 0.0
    degrade: Degrade | None = None

    @property
    def is_async(self) -> bool:
        """Whether it goes through a queue."""
        return self.mode == "async"

    @property
    def is_required(self) -> bool:
        """Whether the caller's request fails when this call does; a queued call never fails it."""
        return self.required and not self.is_async and not (self.degrade is not None and self.assumed("required"))

    def calls_reaching(self, *, cold: bool = False) -> float:
        """Mean calls per request that get past the cache."""
        hits = self.cold_hit_fraction if cold else self.hit_fraction
        return float(f"{self.per_request * (1.0 - hits):.12g}")

    def faults(self) -> Iterator[Fault]:
        """Yield cache and queue keys that contradict each other."""
        if self.cold_hit_fraction > self.hit_fraction:
            expected = f"at most hit_fraction ({self.hit_fraction:g})"
            yield Fault(("cold_hit_fraction",), f"{self.cold_hit_fraction:g}", expected)
        if self.max_delay_s > 0 and not self.is_async:
            yield Fault(("max_delay_s",), f"{self.max_delay_s:g}", "mode: async beside it, as only a queue may wait")


class Service(Contract):
    """A service, or an API of one; only `name` and `tier` must be given.

    A key that is not given holds its default, and the catalogue's `assumptions` says so.

    Parameters
    ----------
    name
        Unique.
    tier
        ``core``, ``non_core``, or ``degradable`` (protected by limits, may be switched off).
    owner
        Who answers for it.
    instances
        Running today.
    zones
        Over which they are spread evenly.
    max_instances
        Quota; ``None`` when there is none.
    instance_cost
        Currency per instance-hour.
    instance_type, version
        What runs.
    startup_s
        From the request for an instance until it serves.
    slo
        What it promises.
    critical_paths
        Names of the user journeys it is part of.
    new_since
        First day, when it was not there at the last promotion.
    counts_as
        ``transaction`` when one request to it is one transaction.
    entry
        Requests from outside; ``None`` is unknown and estimated, zeros are none.
    hot_key
        See `HotKey`.
    calls
        What one request asks of others.
    runs_on
        The service whose instances it shares; then its own instances do not count.
    scalable
        False when more instances do not help, as with a database; then `max_qps` is its limit.
    max_qps
        In total, over all instances: what it takes at most; a third party's SLA.
    max_connections
        Connections that it takes at most, over all callers.
    third_party
        True when it is not ours to scale.

    Examples
    --------
    >>> service = Service(name="checkout", tier="core")
    >>> service.instances, service.assumed("instances"), service.is_fixed
    (1, True, False)
    """

    name: Name
    tier: Tier
    owner: Text = ""
    instances: PositiveCount = 1
    zones: PositiveCount = 1
    max_instances: PositiveCount | None = None
    instance_cost: NonNegative = 1.0
    instance_type: Text = ""
    version: Text = ""
    startup_s: NonNegative = 300.0
    slo: Slo = Slo()
    critical_paths: tuple[Text, ...] = ()
    new_since: Day | None = None
    counts_as: Literal["transaction"] | None = None
    entry: Entry | None = None
    hot_key: HotKey | None = None
    calls: tuple[Call, ...] = ()
    runs_on: Name | None = None
    scalable: Flag = True
    max_qps: Positive | None = None
    max_connections: Positive | None = None
    third_party: Flag = False

    @property
    def is_fixed(self) -> bool:
        """Whether more instances do not help: a third party, or not scalable."""
        return self.third_party or not self.scalable

    @property
    def has_pool(self) -> bool:
        """Whether it has instances of its own that a plan can count."""
        return self.runs_on is None and not self.is_fixed

    def faults(self) -> Iterator[Fault]:
        """Yield what contradicts itself inside one service."""
        if self.runs_on is not None:
            yield from self._faults_of_api(self.runs_on)
        if self.has_pool and self.max_instances is not None and self.max_instances < self.instances:
            expected = f"at least the instances running today ({self.instances})"
            yield Fault(("max_instances",), str(self.max_instances), expected)
        seen: set[tuple[str, str]] = set()
        for place, call in enumerate(self.calls):
            if (call.to, call.mode) in seen:
                expected = "each callee once, or once per mode"
                yield Fault(("calls", place, "to"), repr(call.to), expected, "add up per_request in one call")
            seen.add((call.to, call.mode))

    def _faults_of_api(self, host: str) -> Iterator[Fault]:
        if host == self.name:
            yield Fault(("runs_on",), repr(host), "another service")
        if self.third_party:
            yield Fault(("runs_on",), repr(host), "no runs_on for a third party")
