"""Fleets for Kubernetes: autoscalers whose floor is the plan, disruption budgets, a quota; and KEDA's cron instead.

Read from Kubernetes's reference (HorizontalPodAutoscaler v2, PodDisruptionBudget v1, ResourceQuota v1) and KEDA's
documentation, "Cron scaler".
"""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import yaml

from capacity.display.escape import plain
from capacity.export.kubernetes_checks import check_kubernetes
from capacity.export.source import Export, Source
from capacity.export.words import cron_at, dns_name

HPA, BUDGETS, KEDA = "autoscalers.yaml", "budgets.yaml", "keda.yaml"
_CPU_PERCENT = 60
_SURGE = 0.25  # Kubernetes's default of a rolling update: so many pods more for a while


def export_kubernetes(source: Source) -> Export:
    """Make autoscalers, budgets and quota, and scaled objects of KEDA as the other way."""
    fleets = dict(_fleets(source))
    files = {
        HPA: _write(source, (_autoscaler(source, *one) for one in fleets.items())),
        BUDGETS: _write(source, [*(_budget(source, *one) for one in fleets.items()), _quota(source, fleets)]),
        KEDA: _write(source, (_scaled_object(source, *one) for one in fleets.items())),
    }
    problems = [problem for name, text in files.items() for problem in check_kubernetes(text, where=name)]
    assert not problems, problems  # noqa: S101 - our own files keep our own rules
    until = source.promotion.phases[-1].ends_at
    return Export(
        "kubernetes", files,
        next_steps=(
            f"kubectl apply --dry-run=server -f {HPA} -f {BUDGETS}   (or {KEDA} in place of {HPA}: not both)",
            f"delete them after {until.isoformat()}: cron knows no year, and would scale again next year",
        ),
        warnings=(
            "the targets are Deployments named like the services: change scaleTargetRef where yours differ",
            "autoscalers react too late for an opening of one second: the floor holds the plan, they only add to it",
            f"with {KEDA} a step of 10 % or less is not taken: autoscalers tolerate so much, see to it by hand",
            "what a zone may take is Kubernetes's to spread: topologySpreadConstraints belong into the Deployments",
        ),
    )  # fmt: skip


def _fleets(source: Source) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, planned in source.document["services"].items():
        service = source.services[name]
        if service.scalable and not service.third_party and not service.runs_on and planned.get("instances"):
            yield name, planned


def _meta(source: Source, name: str, kind: str) -> dict[str, Any]:
    return {
        "name": dns_name(name) if kind != "quota" else "capacity",
        "labels": {"app.kubernetes.io/managed-by": "capacity"},
        "annotations": {
            "capacity/service": plain(name),
            "capacity/promotion": source.promotion.id,
            "capacity/plan-signature": source.signature,
            "capacity/valid-until": source.promotion.phases[-1].ends_at.isoformat(),
        },
    }


def _from(meta: dict[str, Any], **origins: str) -> dict[str, Any]:
    meta["annotations"] |= {f"capacity/{key.replace('_', '-')}": text for key, text in origins.items()}
    return meta


def _autoscaler(source: Source, name: str, planned: Mapping[str, Any]) -> dict[str, Any]:
    most = source.services[name].max_instances or planned["instances"]
    floor = planned["instances"]
    quota = "services.yaml max_instances" if source.services[name].max_instances else "no quota is known"
    meta = _from(
        _meta(source, name, "hpa"),
        floor=f"{floor} instances: plan.json services.instances, the loss of a zone included",
        ceiling=f"{max(most, floor)}: {quota}",
    )  # fmt: skip
    cpu = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": _CPU_PERCENT}},
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": meta,
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": dns_name(name)},
            "minReplicas": floor,
            "maxReplicas": max(most, floor),
            "metrics": [cpu],
            "behavior": {"scaleDown": {"selectPolicy": "Disabled"}},
        },
    }


def _budget(source: Source, name: str, planned: Mapping[str, Any]) -> dict[str, Any]:
    meta = _from(
        _meta(source, name, "pdb"),
        floor=f"{planned['instances'] - 1} of {planned['instances']}: the reserve is for a zone, not for maintenance",
    )
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": meta,
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": dns_name(name)}}},
    }


def _quota(source: Source, fleets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    planned = sum(int(one["instances"]) for one in fleets.values())
    pods = planned + sum(math.ceil(_SURGE * int(one["instances"])) for one in fleets.values())
    meta = _from(_meta(source, "all", "quota"), pods=f"{planned} planned and a quarter of each for rolling updates")
    spec = {"hard": {"pods": str(pods)}}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": spec}


def _scaled_object(source: Source, name: str, planned: Mapping[str, Any]) -> dict[str, Any]:
    most = max(source.services[name].max_instances or 0, planned["instances"])
    meta = _from(
        _meta(source, name, "keda"),
        origin="plan.json services.scale_schedule; cron has no year: delete after capacity/valid-until",
    )
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": meta,
        "spec": {
            "scaleTargetRef": {"name": dns_name(name)},
            "minReplicaCount": min(int(planned.get("instances_now") or 1) or 1, most),
            "maxReplicaCount": most,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": _at_once(most)}}},
            "triggers": list(_cron(source, planned)),
        },
    }


def _at_once(most: int) -> dict[str, Any]:
    """Let a step be taken whole: by default an autoscaler at most doubles, or adds 4 pods, every 15 s."""
    return {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": most, "periodSeconds": 15}]}


def _cron(source: Source, planned: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    zone = source.settings.zone
    steps = [
        (datetime.fromisoformat(step["start_at"]).astimezone(zone), int(step["instances"]))
        for step in planned.get("scale_schedule") or []
    ]
    begin = (steps[0][0] if steps else source.promotion.phases[0].starts_at.astimezone(zone), planned["instances"])
    steps = steps or [begin]
    ends = [at for at, _ in steps[1:]] + [max(source.promotion.phases[-1].ends_at.astimezone(zone), steps[-1][0])]
    for (start, count), end in zip(steps, ends, strict=True):
        if end > start and count > 0:
            yield {
                "type": "cron",
                "metadata": {
                    "timezone": source.settings.timezone,
                    "start": cron_at(start),
                    "end": cron_at(end),
                    "desiredReplicas": str(count),
                },
            }


def _write(source: Source, objects: Any) -> str:
    header = "".join(f"# {line}\n" for line in source.header())
    return header + yaml.safe_dump_all(list(objects), sort_keys=False, allow_unicode=True, width=10_000)
