"""Service level objectives in OpenSLO v1: errors and latency of each service, measured in Prometheus.

Read from the OpenSLO specification, version 1: kinds Service and SLO, ratio metrics, rolling windows.
"""

from collections.abc import Iterator
from typing import Any

import yaml

from capacity.export.prometheus.rule import matcher
from capacity.export.source import Export, Source
from capacity.export.words import dns_name, with_matchers

FILE = "objectives.yaml"
_WINDOW = "28d"


def export_openslo(source: Source) -> Export:
    """Make a Service and its SLOs for each service that promises anything."""
    documents = [document for name in source.document["services"] for document in _of_service(source, name)]
    header = "".join(f"# {line}\n" for line in source.header())
    text = header + yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=10_000)
    buckets = "latency objectives count requests in the bucket of their bound: the histogram must have that bucket"
    return Export(
        "openslo", {FILE: text}, next_steps=(f"oslo validate -f {FILE}",), warnings=(buckets,)
    )  # fmt: skip


def _of_service(source: Source, name: str) -> Iterator[dict[str, Any]]:
    service = source.services[name]
    objectives = list(_objectives(source, name))
    if objectives:
        spec = {"description": f"{service.tier}, owned by {service.owner or 'nobody'}"}
        yield _document(source, "Service", dns_name(name), name, spec)
        yield from objectives


def _objectives(source: Source, name: str) -> Iterator[dict[str, Any]]:
    names, slo = source.settings.monitoring, source.services[name].slo
    mine = f"{names.service_label}={matcher(name)}"
    total = f"sum(increase({with_matchers(names.requests, mine)}[5m]))"
    if slo.error_fraction is not None and names.errors:
        bad = f"sum(increase({with_matchers(names.errors, mine)}[5m]))"
        yield _slo(
            source,
            name,
            "errors",
            1.0 - slo.error_fraction,
            {"counter": True, "bad": _query(bad), "total": _query(total)},
        )
    for key, share in (("p99_ms", 0.99), ("p95_ms", 0.95)):
        bound = getattr(slo, key)
        if bound is not None and names.latency_buckets:
            selector = with_matchers(names.latency_buckets, f"{mine},le={matcher(f'{bound / 1000:g}')}")
            every = with_matchers(names.latency_buckets, f'{mine},le="+Inf"')
            good, all_ = (f"sum(increase({one}[5m]))" for one in (selector, every))
            ratio = {"counter": True, "good": _query(good), "total": _query(all_)}
            yield _slo(source, name, key.removesuffix("_ms"), share, ratio)


def _query(expression: str) -> dict[str, Any]:
    return {"metricSource": {"type": "Prometheus", "spec": {"query": expression}}}


def _slo(source: Source, name: str, what: str, target: float, ratio: dict[str, Any]) -> dict[str, Any]:
    spec = {
        "description": f"services.yaml slo: {what}",
        "service": dns_name(name),
        "indicator": {"metadata": {"name": f"{dns_name(name)}-{what}"}, "spec": {"ratioMetric": ratio}},
        "timeWindow": [{"duration": _WINDOW, "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"displayName": what, "target": round(target, 9)}],
    }
    return _document(source, "SLO", f"{dns_name(name)}-{what}", f"{name}: {what}", spec)


def _document(source: Source, kind: str, name: str, title: str, spec: dict[str, Any]) -> dict[str, Any]:
    annotations = {"capacity/plan-signature": source.signature}
    meta = {"name": name, "displayName": title, "annotations": annotations}
    return {"apiVersion": "openslo/v1", "kind": kind, "metadata": meta, "spec": spec}
