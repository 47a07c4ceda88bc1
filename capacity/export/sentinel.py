"""Rules for Sentinel: flow, cluster flow, circuit breaking and system protection, as its data sources read them.

Read from Sentinel's documentation ("Flow Control", "Cluster Flow Control", "Circuit Breaking", "System Adaptive
Protection"). ``controlBehavior`` is 0, rejecting at once: warming up would give a third of the rate at the opening
second, and queueing would hold requests past their callers' timeouts.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from capacity.export.source import Export, Source
from capacity.export.words import to_json

FLOW, CLUSTER, DEGRADE, SYSTEM, ORIGINS = (
    "flow-rules.json", "cluster-flow-rules.json", "degrade-rules.json", "system-rules.json", "origins.json",
)  # fmt: skip
_QPS, _ANYONE, _REJECT, _GLOBAL = 1, "default", 0, 1
_SLOW_RATIO, _ERROR_RATIO = 0, 1
_SHARE_SLOW = 0.5
_SYSTEM_CPU = 0.9
# Of Sentinel's token server, a namespace (ServerFlowConfig.DEFAULT_MAX_ALLOWED_QPS): what is beyond is not judged.
_SERVER_QPS = 30_000


def export_sentinel(source: Source) -> Export:
    """Make the four kinds of rules; their origins stand in a file of their own, as JSON has no comments."""
    services = {name: one for name, one in source.document["services"].items() if not one.get("queue")}
    flow = list(_flow(source, services))
    files = {
        FLOW: to_json(flow),
        CLUSTER: to_json(list(_cluster(services))),
        DEGRADE: to_json(list(_degrade(source))),
        SYSTEM: to_json([{"highestCpuUsage": _SYSTEM_CPU}]),
        ORIGINS: to_json(_origins(source, services)),
    }
    return Export(
        "sentinel", files,
        next_steps=(
            "give each file to the data source of its kind (file, Nacos, Apollo …) of the services it names",
            "start a token server for the cluster rules, and give their flowIds to its namespace",
        ),
        warnings=(
            "Sentinel counts in a sliding second of two halves: up to twice the limit may pass around their edge",
            "flow rules hold each instance's limit, those of callers the instance's part of the edge's",
            "no Sentinel ran on these files here: they are checked against its documented fields and semantics",
            *_server_warnings(services), *_small_warnings(flow),
        ),
    )  # fmt: skip


def _server_warnings(services: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say that a token server judges only so many requests: the rest falls back, and is not limited together."""
    asked = sum(float(one["peak_qps"]["q95"]) for one in services.values() if one.get("cluster_limit_qps"))
    if asked > _SERVER_QPS:
        yield (
            f"the cluster rules ask the token server {asked:,.0f} times a second (the peaks' 95th percentile); it "
            f"judges {_SERVER_QPS:,} a namespace unless maxAllowedQps is raised: raise it, or split the namespace"
        )
    yield (
        "where no token server answers, each instance falls back to the rule's own count, which is the whole "
        "cluster's, or passes: only the instance's rule holds then"
    )


def _small_warnings(rules: list[dict[str, Any]]) -> Iterator[str]:
    """Say which limits are too small for Sentinel, which compares whole requests of one second."""
    for rule in rules:
        if rule["count"] < 1:
            yield f"{rule['resource']} from {rule['limitApp']}: {rule['count']:g} a second lets nothing through at all"


def _flow(source: Source, services: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for name, planned in services.items():
        if planned.get("instance_limit_qps"):
            yield _rule(name, _ANYONE, float(planned["instance_limit_qps"]))
    for edge in source.document["edges"]:
        callee = services.get(edge["callee"])
        left = callee and (callee.get("surviving_instances") or callee.get("instances"))
        if callee is not None and left and edge.get("limit_qps"):
            yield _rule(edge["callee"], edge["caller"], edge["limit_qps"] / left)


def _rule(resource: str, limit_app: str, qps: float) -> dict[str, Any]:
    return {
        "resource": resource,
        "limitApp": limit_app,
        "grade": _QPS,
        "count": math.floor(qps * 1000) / 1000,
        "strategy": 0,
        "controlBehavior": _REJECT,
        "clusterMode": False,
    }


def _cluster(services: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for number, (name, planned) in enumerate(services.items(), start=1):
        if planned.get("cluster_limit_qps"):
            yield _rule(name, _ANYONE, float(planned["cluster_limit_qps"])) | {
                "clusterMode": True,
                "clusterConfig": {
                    "flowId": number,
                    "thresholdType": _GLOBAL,
                    "fallbackToLocalWhenFail": (planned.get("limiter_failure") or {}).get("choose") != "open",
                    "sampleCount": 10,
                    "windowIntervalMs": 1000,
                },
            }


def _degrade(source: Source) -> Iterator[dict[str, Any]]:
    for name in _optional(source):
        slo = source.services[name].slo
        latency = slo.p99_ms or slo.p95_ms
        if latency:
            yield {
                "resource": name, "grade": _SLOW_RATIO, "count": math.ceil(latency), "slowRatioThreshold": _SHARE_SLOW,
                "timeWindow": 10, "minRequestAmount": 20, "statIntervalMs": 10_000,
            }  # fmt: skip
        if slo.error_fraction:
            yield {
                "resource": name, "grade": _ERROR_RATIO, "count": min(max(50 * slo.error_fraction, 0.1), 1.0),
                "timeWindow": 10, "minRequestAmount": 20, "statIntervalMs": 10_000,
            }  # fmt: skip


def _optional(source: Source) -> list[str]:
    """Return services that only calls which may fail lead to: a circuit broken to any other stops its callers."""
    calls = [call for one in source.services.values() for call in one.calls if not call.is_async]
    needed = {call.to for call in calls if call.is_required}
    spared = {call.to for call in calls} - needed
    return [name for name in source.document["services"] if name in spared]


def _origins(source: Source, services: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    where = "plan.json services"
    return {
        "about": list(source.header()),
        "signature": source.signature,
        "flow": {name: f"{where}.instance_limit_qps {one.get('instance_limit_qps')}" for name, one in services.items()},
        "cluster": {name: f"{where}.cluster_limit_qps {one['cluster_limit_qps']}" for name, one in services.items()},
        "degrade": "services.yaml slo, of services that no caller needs: half of 10 s slower, or 50 times its errors",
        "system": f"a machine at {_SYSTEM_CPU:.0%} of its CPU takes nothing more",
    }
