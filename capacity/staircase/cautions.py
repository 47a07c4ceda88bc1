"""What may go wrong around a test, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capacity.catalog import Catalog, Service
from capacity.graph import upstream
from capacity.staircase.around import Downstream
from capacity.staircase.staircase import Staircase
from capacity.staircase.steps import said_qps

LITTLE = 0.01
"""Ordinary traffic below a hundredth of the last step is less than a capacity can be read to."""


def cautions(
    services: Catalog,
    test: Staircase,
    downstream: Sequence[Downstream],
    *,
    mocked: Sequence[str] = (),
    beside_qps: float = 0.0,
) -> tuple[str, ...]:
    """Say what may go wrong around a test, and what to do about it.

    Parameters
    ----------
    services
        With the terms of the promotion.
    test
        The test.
    downstream
        What it asks of others.
    mocked
        Those of them that are replaced.
    beside_qps
        Requests/s that the service gets anyway in the window.
    """
    service = services[test.service]
    real = [one for one in downstream if one.service not in mocked]
    found = [
        f"{one.service} is mocked: its time and failures are missing, capacity is flattered"
        for one in downstream
        if one.service in mocked
    ]
    found += [line for one in real if (line := _load_caution(services, test, one))]
    found += [*_retry_cautions(real), *_own_cautions(service, test, beside_qps), *_caller_cautions(services, service)]
    unowned = [one.service for one in real if not services[one.service].owner]
    if not service.owner:
        found.append(f"nobody is named as owner of {service.name}: name one in services.yaml before testing it")
    if unowned:
        verb = "gets" if len(unowned) == 1 else "get"
        found.append(f"nobody is named as owner of {', '.join(unowned)}, which {verb} load from this test")
    return tuple(found)


def _load_caution(services: Catalog, test: Staircase, one: Downstream) -> str:
    third = services[one.service].third_party
    kind = "third party " if third else ""
    asked = f"the last step asks {said_qps(one.total_qps)} of {kind}{one.service}"
    if one.known_qps is None or one.most_offered_qps is None:
        return f"{asked}, of which no limit is known: watch it, or mock it"
    step = sum(rate <= one.most_offered_qps for rate in test.offered_qps) + 1
    if one.total_qps > one.known_qps and not one.is_hard:
        what = f"what is known to hold ({one.evidence}) of {said_qps(one.known_qps)}"
        return f"{asked}, above {what} from step {step} on: watch it, or mock it from there"
    if not one.is_hard:
        return ""
    # Beyond the stated limit the generated files end the test by themselves.
    ask = "its contact" if third else f"the owner of {one.service}"
    do = f"the files end before step {step}; mock it, or agree on more with {ask}"
    if one.total_qps > one.known_qps:
        return f"{asked}, above its stated limit of {said_qps(one.known_qps)}: {do}"
    if step <= len(test.offered_qps):
        why = "in busy seconds or with retries" if one.counts_seconds else "with retries"
        return f"{asked}, within its stated limit of {said_qps(one.known_qps)} only on average, not {why}: {do}"
    if third:
        return f"{asked}, within its terms of {said_qps(one.known_qps)}: tell its contact, or mock it"
    return f"{asked}, which does not scale and takes {said_qps(one.known_qps)}: nobody else may load it then"


def _retry_cautions(downstream: Sequence[Downstream]) -> list[str]:
    """Name what holds while all goes well, and would not if every call were retried on cold caches."""
    at_risk = [
        f"{one.service} ({one.worst_qps:.4g} of {said_qps(one.known_qps)})"
        for one in downstream
        if one.known_qps is not None and one.total_qps <= one.known_qps < one.worst_qps
    ]
    if not at_risk:
        return []
    too_much = f"the last step may ask too much of {', '.join(at_risk)}"
    do = "warm the caches first, draw keys as users do, and watch them"
    return [f"if calls fail and are retried, or caches are cold, {too_much}: {do}"]


def _own_cautions(service: Service, test: Staircase, beside_qps: float) -> list[str]:
    found = []
    top = test.offered_qps[-1]
    if service.hot_key is not None:
        found.append(_hot_key_caution(service.hot_key.top_share, service.hot_key.max_qps, top))
    if service.counts_as == "transaction":
        found.append(
            "every request of it is an order: use accounts and items that nobody charges or ships, and mark the "
            "requests, so that they count as test_requests and not as traffic"
        )
    if beside_qps >= LITTLE * top:
        found.append(
            f"its ordinary {said_qps(beside_qps)} come beside the test on the same instances: what it takes is that "
            "much more than the test offers"
        )
    queued = [call.to for call in service.calls if call.is_async]
    if queued:
        found.append(
            f"its queue to {', '.join(queued)} fills during the test: see that it is worked off before the next"
        )
    if not test.reaches_target and test.known.low:
        needed = int(np.ceil(test.target_qps / (test.known.low / test.instances)))
        found.append(
            f"{test.instances} instances are known to end below the target of {said_qps(test.target_qps)}: scale out "
            f"to about {needed} first to test the target itself"
        )
    if not service.scalable:
        found.append(
            "the files speak HTTP: where it does not, offer these steps with its own tool and these stop rules, and "
            "bring the result to a CSV"
        )
    return found


def _hot_key_caution(top_share: float, max_qps: float, top: float) -> str:
    hottest = top_share * top
    over = (
        f"above the {said_qps(max_qps)} that one key takes"
        if hottest > max_qps
        else f"one key takes {said_qps(max_qps)}"
    )
    return (
        f"draw items as users do, {top_share:.1%} of requests for one item: {said_qps(hottest)} at the last step, "
        f"{over}; the files end where one request of their mix would pass it"
    )


def _caller_cautions(services: Catalog, service: Service) -> list[str]:
    found = []
    sharing = [n for n in services.names if n != service.name and services.pool_of(n) == services.pool_of(service.name)]
    if sharing:
        found.append(f"it shares its instances with {', '.join(sharing)}: their ordinary traffic is part of the result")
    patience = gives_up_ms(services, service.name)
    slo = service.slo
    if not slo.judges_latency and patience is None:
        found.append("no latency objective is given: the test only ends at errors or where answers fall behind")
    elif not slo.judges_latency:
        found.append(f"no latency objective is given: the test ends where callers give up, after {patience:g} ms")
    elif patience is not None and patience < min(v for v in (slo.p95_ms, slo.p99_ms) if v is not None):
        who = ", ".join(
            c for c in services.callers_of(service.name)
            if any(call.to == service.name and call.timeout_ms == patience for call in services[c].calls)
        )  # fmt: skip
        found.append(
            f"callers give up after {patience:g} ms ({who}), before its own objective is broken: their users see "
            "failures or retries while this test still goes on"
        )
    if upstream(services, service.name) and service.entry is not None and service.entry.is_none:
        found.append("no traffic comes from outside: replay what its callers send, not what a browser would")
    return found


def gives_up_ms(services: Catalog, name: str) -> float | None:
    """Return the time after which the least patient caller of a service gives up, None where none does.

    Examples
    --------
    >>> from capacity.catalog import parse_services
    >>> text = "[{name: a, tier: core, calls: [{to: b, timeout_ms: 50}]}, {name: b, tier: core}]"
    >>> gives_up_ms(parse_services(text), "b"), gives_up_ms(parse_services(text), "a")
    (50.0, None)
    """
    waits = [
        call.timeout_ms
        for caller in services.callers_of(name)
        for call in services[caller].calls
        if call.to == name and call.timeout_ms is not None and not call.is_async
    ]
    return min(waits, default=None)
