"""Every default of a catalogue, as a sentence with its effect on the plan."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from capacity.catalog.service import Call, Service


class _Rule(NamedTuple):
    applies: Callable[[Service], bool]
    says: str
    effect: str


_SERVICE_RULES = (
    _Rule(
        lambda s: s.has_pool and s.assumed("instances"),
        "instances not given: 1 running today assumed for {}",
        "cost today and the decision to scale out rest on it",
    ),
    _Rule(
        lambda s: s.has_pool and s.assumed("zones"),
        "zones not given: 1 zone assumed for {}",
        "losing that zone stops them, so plans are sized without a zone loss there",
    ),
    _Rule(
        lambda s: s.has_pool and s.max_instances is None,
        "max_instances not given: no quota assumed for {}",
        "a plan may ask for more than can be had",
    ),
    _Rule(
        lambda s: s.has_pool and s.assumed("instance_cost"),
        "instance_cost not given: 1 per instance-hour assumed for {}",
        "costs count instances there, not money",
    ),
    _Rule(
        lambda s: s.has_pool and s.assumed("startup_s"),
        "startup_s not given: 300 s assumed for {}",
        "scaling starts that much before it is needed",
    ),
    _Rule(
        lambda s: not s.third_party and not s.slo.judges_latency,
        "no latency SLO given for {}",
        "capacity there means what it can serve at all, however slowly",
    ),
    _Rule(
        lambda s: not s.third_party and s.slo.error_fraction is None,
        "no error_fraction in the SLO of {}",
        "errors do not bound capacity there",
    ),
    _Rule(
        lambda s: s.third_party and s.max_qps is None,
        "third party without max_qps: {}",
        "its limit is unknown, nothing protects it and no plan can promise it",
    ),
    _Rule(
        lambda s: not s.third_party and not s.scalable and s.max_qps is None,
        "not scalable and without max_qps: {}",
        "only load tests and past traffic bound it",
    ),
    _Rule(
        lambda s: s.entry is None and not s.third_party,
        "entry not given for {}",
        "traffic from outside is estimated from history",
    ),
    _Rule(
        lambda s: s.runs_on is not None and not (s.assumed("instances") and s.assumed("max_instances")),
        "instances of {} are not counted",
        "runs_on says whose instances they share",
    ),
    _Rule(
        lambda s: s.owner == "" and not s.third_party,
        "owner not given for {}",
        "nobody is named for what the plan asks of it",
    ),
)

_CALL_RULES: tuple[tuple[Callable[[Call], bool], str, str], ...] = (
    (
        lambda c: c.assumed("per_request"),
        "per_request not given: 1 call per request assumed for {}",
        "the callee's load rests on it",
    ),
    (
        lambda c: c.assumed("retries"),
        "retries not given: none assumed for {}",
        "failures there do not multiply load",
    ),
    (
        lambda c: c.timeout_ms is None and not c.is_async,
        "timeout_ms not given for {}",
        "callers wait as long as it takes",
    ),
    (
        lambda c: c.is_async and c.assumed("max_delay_s"),
        "max_delay_s not given: 0 s assumed for {}",
        "the callee is sized to keep up at once",
    ),
    (
        lambda c: c.hit_fraction > 0 and c.assumed("cold_hit_fraction"),
        "cold_hit_fraction not given: 0 assumed for {}",
        "after a cold start every request reaches the callee",
    ),
    (
        lambda c: c.degrade is not None and c.assumed("required"),
        "required not given: false assumed for {}, which can be degraded",
        "requests succeed without it",
    ),
    (
        lambda c: c.degrade is not None and c.degrade.assumed("value_per_request"),
        "value_per_request not given: 0 assumed for the feature behind {}",
        "it is switched off first",
    ),
    (
        lambda c: c.degrade is not None and c.degrade.assumed("takes_s"),
        "takes_s not given: 60 s assumed for the feature behind {}",
        "switching it off starts that much before it is needed",
    ),
)


def catalog_assumptions(services: Sequence[Service]) -> tuple[str, ...]:
    """Say every default that services and their calls use.

    Parameters
    ----------
    services
        Of the catalogue.

    Returns
    -------
    tuple of str
        One sentence a default, services that share it together.

    Examples
    --------
    >>> services = [Service(name=n, tier="core", instances=2, owner="t") for n in "abcde"]
    >>> catalog_assumptions(services)[0]
    'zones not given: 1 zone assumed for 5 services (a, b, c, …): losing that zone stops them, ...'
    """
    found = []
    for rule in _SERVICE_RULES:
        names = [service.name for service in services if rule.applies(service)]
        if names:
            found.append(f"{rule.says.format(_group(names, 'services'))}: {rule.effect}")
    if not any(service.counts_as for service in services):
        found.append("no service counts_as transaction: peak TPS is estimated from DAT, not from requests")
    calls = [(f"{service.name} → {call.to}", call) for service in services for call in service.calls]
    for applies, says, effect in _CALL_RULES:
        names = [name for name, call in calls if applies(call)]
        if names:
            found.append(f"{says.format(_group(names, 'calls'))}: {effect}")
    return tuple(found)


def _group(names: Sequence[str], noun: str) -> str:
    if len(names) <= 3:
        return ", ".join(names)
    return f"{len(names):,} {noun} ({', '.join(names[:3])}, …)"
