"""What is open about a company's services before a promotion, as a worklist."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capacity.plan.evaluation.tested import Tested

if TYPE_CHECKING:
    from capacity.catalog import Call, Catalog, Service

_TIERS = ("core", "non_core", "degradable")
KINDS = (
    "unknown_capacity", "untested", "test_outdated", "test_outside_production", "unowned", "single_zone",
    "third_party_without_sla", "third_party_without_fallback", "leans_on_external", "no_slo", "no_timeout",
)  # fmt: skip


@dataclass(frozen=True)
class Gap:
    """One thing to do about a service.

    Attributes
    ----------
    kind : str
        One of `KINDS`, the gravest first.
    service, tier, owner : str
    says, remedy : str
    """

    kind: str
    service: str
    tier: str
    owner: str
    says: str
    remedy: str


def find_gaps(
    services: "Catalog",
    *,
    tested: Mapping[str, Tested],
    evidence: Mapping[str, str] | None = None,
    zone_losses: int = 1,
) -> tuple[Gap, ...]:
    """List what is open: core services first, then by how grave it is.

    Parameters
    ----------
    services
        The catalogue.
    tested
        Load tests on file, by service.
    evidence
        What each capacity rests on, as `Curves.evidence` says; when left out only the load tests are known.
    zone_losses
        Zones that may be lost.
    """
    callers = _callers(services)
    found = [
        Gap(kind, name, service.tier, service.owner, says, remedy)
        for name, service in services.items()
        for kind, says, remedy in _of_service(
            services, service, tested[name], (evidence or {}).get(name), zone_losses=zone_losses, callers=callers[name]
        )
    ]
    return tuple(sorted(found, key=lambda gap: (_TIERS.index(gap.tier), KINDS.index(gap.kind), gap.service)))


_Found = Iterator[tuple[str, str, str]]


def _of_service(
    services: "Catalog",
    service: "Service",
    tested: Tested,
    evidence: str | None,
    *,
    zone_losses: int,
    callers: "list[tuple[str, Call]]",
) -> _Found:
    if not service.owner and not service.third_party:
        yield "unowned", "nobody is named as its owner", "name the owner in services.yaml"
    if service.third_party:
        yield from _third_party(service, callers)
    else:
        yield from _evidence(service, tested, evidence)
        yield from _promises(service)
    if service.has_pool and service.zones <= zone_losses:
        yield (
            "single_zone",
            f"runs in {service.zones} zone{'s' if service.zones > 1 else ''}: losing {zone_losses} stops it",
            f"spread it over {zone_losses + 1} zones or more",
        )
    yield from _leaning(services, service)


def _evidence(service: "Service", tested: Tested, evidence: str | None) -> _Found:
    if evidence == "none":
        yield "unknown_capacity", "nothing says what it takes: no plan can promise it", "load test it before the plan"
    elif not tested.runs and not service.is_fixed and evidence != "measured":
        rests = " (production traffic bounds it from below)" if evidence == "production" else ""
        yield "untested", f"no load test of it is on file{rests}", "capacity loadtest plan says how to test it"
    if tested.runs and not tested.in_production:
        yield (
            "test_outside_production",
            "its load tests ran outside production, where they mislead",
            "test it in production, or note how the environments compare",
        )
    if tested.outdated:
        yield "test_outdated", tested.outdated, "test what runs now"


def _promises(service: "Service") -> _Found:
    if service.tier == "core" and not service.slo.judges_latency and not (service.is_fixed and service.max_qps):
        yield "no_slo", "no latency SLO: its capacity means what it serves at all, however slowly", "agree on p99_ms"
    waiting = [call.to for call in service.calls if call.is_required and call.timeout_ms is None]
    if service.tier == "core" and waiting:
        yield (
            "no_timeout",
            f"waits for {_some(waiting)} as long as it takes: a slow callee stops it",
            "set timeout_ms on these calls",
        )


def _third_party(service: "Service", callers: "list[tuple[str, Call]]") -> _Found:
    if service.max_qps is None:
        yield (
            "third_party_without_sla",
            "no max_qps: nothing is agreed on what it takes",
            "agree on an SLA and write it",
        )
    stuck = [caller for caller, call in callers if call.is_required]
    if stuck:
        yield (
            "third_party_without_fallback",
            f"{_some(stuck)} cannot answer without it",
            "give it a fallback (required: false, degrade), a queue, or a second provider",
        )


def _leaning(services: "Catalog", service: "Service") -> _Found:
    """Yield the ways on which a core entry cannot answer without a third party."""
    if service.tier != "core" or service.name not in services.entries:
        return
    for way in _external_ways(services, service.name):
        yield (
            "leans_on_external",
            f"cannot answer without {way[-1]}, which is not ours: {' → '.join(way)}",
            "cut the dependence (queue, cache, fallback), or rehearse its loss",
        )


def _external_ways(services: "Catalog", entry: str) -> list[tuple[str, ...]]:
    """Shortest way of required calls from an entry to each third party."""
    ways: dict[str, tuple[str, ...]] = {entry: (entry,)}
    front = [entry]
    for name in front:
        for call in services[name].calls:
            if call.is_required and call.to not in ways:
                ways[call.to] = (*ways[name], call.to)
                front.append(call.to)
    return [way for name, way in ways.items() if services[name].third_party]


def _callers(services: "Catalog") -> "dict[str, list[tuple[str, Call]]]":
    found: dict[str, list[tuple[str, Call]]] = {name: [] for name in services.names}
    for caller, service in services.items():
        for call in service.calls:
            found[call.to].append((caller, call))
    return found


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
