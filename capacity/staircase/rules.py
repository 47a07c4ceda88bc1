"""When a load test ends: what is watched, the limit, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from capacity.catalog import Service, Slo

ABOVE_OBJECTIVE = 1.5
"""A latency so far above its objective is not noise: the end was seen, and users wait meanwhile."""

LONG_ENOUGH_S = 20.0
"""A percentile is read over this time: a shorter pause of one instance ends no test."""

ERRORS_WITHIN_S = 10.0
LEAST_ERRORS = 0.01
"""Fewer errors than one in a hundred are no reason to stop at once; the objective is judged after the step."""

ERRORS_WITHOUT_OBJECTIVE = 0.05
BUSY_CPU = 0.95
GC_PAUSES = 0.10
"""A runtime that pauses a tenth of the time measures its garbage collector, not the service."""

ACHIEVED_SHARE = 0.9
DOWNSTREAM_ERRORS = 0.01
LATE_REQUESTS = 0.01
WATCHED_S = 30.0
"""Monitoring is asked every ten seconds: three answers in a row."""


@dataclass(frozen=True)
class StopRule:
    """When to stop a test: what is watched, the limit, and why.

    Parameters
    ----------
    watches
        ``offered_qps``, ``p95_ms``, ``p99_ms``, ``error_fraction``, ``achieved_share``, ``generator_late_fraction``,
        or, from monitoring, ``cpu_fraction``, ``gc_pause_fraction``, ``downstream_error_fraction``.
    limit
        The test ends above it (``achieved_share``: below it).
    says
        What it then means.
    judged
        ``at_once``: over the last `sustained_s` seconds, while the step runs; ``after_step``: over the whole step, and
        the load is not raised.
    sustained_s
        How long the limit must have been passed.
    """

    watches: str
    limit: float
    says: str
    judged: Literal["at_once", "after_step"] = "at_once"
    sustained_s: float = LONG_ENOUGH_S


def stop_rules(
    service: Service, top: float, *, target: float | None = None, gives_up_ms: float | None = None
) -> tuple[StopRule, ...]:
    """Return the rules of one service's test; any of them ends it.

    Parameters
    ----------
    service
        Its objective gives the limits.
    top
        Rate of the last step.
    target
        What the fleet under test must take; `top` by default.
    gives_up_ms
        When its least patient caller gives up: the limit where no latency objective is given.

    Examples
    --------
    >>> [rule.watches for rule in stop_rules(Service(name="a", tier="core"), 100.0)][:3]
    ['offered_qps', 'error_fraction', 'achieved_share']
    """
    done = "the target was reached" if top >= (target or top) * 0.999 else "the load is where this test was to end"
    rules = [
        StopRule("offered_qps", top, f"the last step is done: {done}", judged="after_step"),
        *_latency_rules(service.slo, gives_up_ms),
        *_error_rules(service.slo),
        StopRule(
            "achieved_share", ACHIEVED_SHARE, "answered below 90 % of what was offered: the service is full, and queues"
        ),
        StopRule(
            "generator_late_fraction",
            LATE_REQUESTS,
            "requests leave late or not at all: the generator is full, use more processes or machines",
            sustained_s=ERRORS_WITHIN_S,
        ),
        StopRule("cpu_fraction", BUSY_CPU, "nothing is left: the next step would only queue", sustained_s=WATCHED_S),
        StopRule(
            "gc_pause_fraction", GC_PAUSES, "pauses, not load, make the latency: mend the heap", sustained_s=WATCHED_S
        ),
    ]
    if service.calls:
        callees = ", ".join(dict.fromkeys(call.to for call in service.calls))
        says = f"one of {callees} is in trouble"
        rules.append(StopRule("downstream_error_fraction", DOWNSTREAM_ERRORS, says, sustained_s=WATCHED_S))
    return tuple(rules)


def _latency_rules(slo: Slo, gives_up_ms: float | None) -> list[StopRule]:
    if not slo.judges_latency and gives_up_ms is not None:
        return [StopRule("p99_ms", gives_up_ms, f"its callers give up after {gives_up_ms:g} ms: their users see it")]
    given = [(part, value) for part, value in (("p95_ms", slo.p95_ms), ("p99_ms", slo.p99_ms)) if value is not None]
    at_once = [
        StopRule(part, ABOVE_OBJECTIVE * value, f"well above the objective of {value:g} ms: the end was seen")
        for part, value in given
    ]
    after = [
        StopRule(part, value, f"the objective of {value:g} ms was broken: the load is not raised", judged="after_step")
        for part, value in given
    ]
    return at_once + after


def _error_rules(slo: Slo) -> list[StopRule]:
    objective = slo.error_fraction
    limit = ERRORS_WITHOUT_OBJECTIVE if objective is None else max(2 * objective, LEAST_ERRORS)
    rules = [StopRule("error_fraction", limit, "requests fail: stop at once", sustained_s=ERRORS_WITHIN_S)]
    if objective is not None:
        says = f"more errors than the objective of {objective:g}: the load is not raised"
        rules.append(StopRule("error_fraction", objective, says, judged="after_step"))
    return rules
