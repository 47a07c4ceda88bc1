"""The plan's numbers as series that exist while the promotion runs, and at no other time of any year."""

from collections.abc import Iterator, Mapping
from typing import Any

from capacity.export.prometheus.rule import Rule, matcher, record
from capacity.export.source import Source
from capacity.operations import runbook_files

WINDOW, PHASE = "capacity:window", "capacity:phase"
_OF_SERVICE = (
    ("capacity:limit_qps", "cluster_limit_qps", "what the whole service admits"),
    ("capacity:safe_capacity_qps", "safe_capacity_qps", "what it takes within its objective after the loss"),
)
_QUANTILES = ("q50", "q95", "q99")


def window_rule(source: Source) -> Rule:
    """Return the series that is there from the first phase's start to the last one's end."""
    first, last = bounds_s(source)
    expr = f"vector(1) and on() (vector(time()) >= {first}) and on() (vector(time()) < {last})"
    phases = source.promotion.phases
    says = f"promotion phases, {phases[0].starts_at.isoformat()} to {phases[-1].ends_at.isoformat()}: this year alone"
    return record(WINDOW, expr, labels={"promotion": source.promotion.id}, comment=says)


def phase_rules(source: Source) -> Iterator[Rule]:
    """Yield a series a phase, there while the phase lasts."""
    for phase in source.promotion.phases:
        first, last = (round(moment.timestamp()) for moment in (phase.starts_at, phase.ends_at))
        expr = f"vector(1) and on() (vector(time()) >= {first}) and on() (vector(time()) < {last})"
        says = f"promotion phase {phase.name}, {phase.starts_at.isoformat()} to {phase.ends_at.isoformat()}"
        yield record(PHASE, expr, labels={"phase": phase.name}, comment=says)


def bounds_s(source: Source) -> tuple[int, int]:
    """Return the first and the last second of all phases, since 1970."""
    phases = source.promotion.phases
    return round(phases[0].starts_at.timestamp()), round(phases[-1].ends_at.timestamp())


def constant(value: float) -> str:
    """Return an expression of a value while the promotion runs."""
    return f"vector({value!r}) and on() {WINDOW}"


def labels_of(source: Source, service: str) -> dict[str, str]:
    """Return what alerts say of a service besides its name."""
    entry = source.services[service]
    runbook = runbook_files(source.services)[service]
    return {"service": service, "tier": entry.tier, "owner": entry.owner or "nobody", "runbook": runbook}


def is_queued(planned: Mapping[str, Any]) -> bool:
    """Whether a service stands behind a queue: what comes faster than it takes waits."""
    return bool(planned.get("queue"))


def service_rules(source: Source) -> Iterator[Rule]:
    """Yield the numbers of each service."""
    for name, planned in source.document["services"].items():
        labels = labels_of(source, name)
        where = f"plan.json services.{name}"
        for series, key, meaning in _OF_SERVICE:
            value = planned.get(key)
            if value is not None and not is_queued(planned):
                yield record(series, constant(value), labels=labels, comment=f"{where}.{key}: {meaning}")
        for quantile in _QUANTILES:
            yield record(
                "capacity:forecast_peak_qps", constant(planned["peak_qps"][quantile]),
                labels={"service": name, "quantile": f"0.{quantile[1:]}"},
                comment=f"{where}.peak_qps.{quantile}: worst second of the whole promotion",
            )  # fmt: skip
        yield from _objectives(source, name, labels)
        yield from _instances(source, name, planned, labels)


def _objectives(source: Source, name: str, labels: Mapping[str, str]) -> Iterator[Rule]:
    slo = source.services[name].slo
    where = f"services.yaml {name}.slo"
    if slo.error_fraction:
        yield record(
            "capacity:slo_error_fraction",
            constant(slo.error_fraction),
            labels=labels,
            comment=f"{where}.error_fraction",
        )
    for key, share in (("p99_ms", "0.99"), ("p95_ms", "0.95")):
        value = getattr(slo, key)
        if value is not None:
            yield record(
                "capacity:slo_latency_seconds", constant(value / 1000.0), labels={**labels, "quantile": share},
                comment=f"{where}.{key}",
            )  # fmt: skip


def _instances(source: Source, name: str, planned: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[Rule]:
    counts = planned.get("instances_by_phase") or {}
    phases = [phase.name for phase in source.promotion.phases if counts.get(phase.name)]
    if phases:
        parts = [f"(vector({counts[name]}) and on() {PHASE}{{phase={matcher(name)}}})" for name in phases]
        yield record(
            "capacity:planned_instances", " or ".join(parts), labels=labels,
            comment=f"plan.json services.{name}.instances_by_phase",
        )  # fmt: skip


def rung_rules(source: Source) -> Iterator[Rule]:
    """Yield the triggers of the ladder, up and down."""
    for rung in source.document["degradation"]:
        labels = {
            "rung": str(rung["order"]), "feature": rung["feature"], "switch": rung.get("switch") or rung["feature"],
            "owner": rung.get("owner") or "nobody", "runbook": runbook_files(source.services)[rung["service"]],
        }  # fmt: skip
        where = f"plan.json degradation[{rung['order']}]"
        watch, back = rung.get("watch"), rung.get("recover")
        if watch:
            at = {"service": watch["service"], "hold_s": f"{watch['for_s']:g}"}
            yield record(
                "capacity:degrade_above_qps", constant(watch["above_qps"]), labels=labels | at, comment=f"{where}.watch"
            )
        if back:
            at = {"service": back["service"], "hold_s": f"{back['for_s']:g}"}
            yield record(
                "capacity:restore_below_qps",
                constant(back["below_qps"]),
                labels=labels | at,
                comment=f"{where}.recover",
            )
