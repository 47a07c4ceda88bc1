"""The catalogue as Backstage entities: components with their owners, systems and what they depend on.

Read from Backstage's documentation, "Descriptor Format of Catalog Entities".
"""

from collections.abc import Iterator
from typing import Any

import yaml

from capacity.catalog import Service
from capacity.export.source import Export, Source
from capacity.export.words import dns_name

FILE = "catalog-info.yaml"
NAME = "capacity/service"


def export_backstage(source: Source) -> Export:
    """Make one entity a service: a Component, a Resource where it cannot be scaled or is a third party's."""
    entities = [_entity(source, source.services[name]) for name in source.document["services"]]
    groups = [
        _group(owner) for owner in sorted({source.services[name].owner for name in source.document["services"]} - {""})
    ]
    header = "".join(f"# {line}\n" for line in source.header())
    text = yaml.safe_dump_all([*groups, *entities], sort_keys=False, allow_unicode=True, width=10_000)
    return Export("backstage", {FILE: header + text}, next_steps=(f"register {FILE} as a location of the catalogue",))


def kind_of(service: Service) -> str:
    """Return ``Component``, or ``Resource`` for what is not scaled by its owners."""
    return "Resource" if service.third_party or not service.scalable else "Component"


def _entity(source: Source, service: Service) -> dict[str, Any]:
    planned = source.document["services"][service.name]
    kind = kind_of(service)
    annotations = {
        NAME: service.name,
        "capacity/tier": service.tier,
        "capacity/plan-signature": source.signature,
        "capacity/peak-qps-q95": f"{planned['peak_qps']['q95']:g}",
        "capacity/instances": str(planned["instances"]),
    }
    spec: dict[str, Any] = {
        "type": "third-party" if service.third_party else "database" if kind == "Resource" else "service",
        "owner": dns_name(service.owner) if service.owner else "unknown",
        "dependsOn": list(_needs(source, service)),
    }
    if kind == "Component":
        spec["lifecycle"] = "production"
    meta = {
        "name": dns_name(service.name),
        "title": service.name,
        "annotations": annotations,
        "tags": [service.tier.replace("_", "-")],
    }
    return {"apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}


def _needs(source: Source, service: Service) -> Iterator[str]:
    for name in dict.fromkeys([*(call.to for call in service.calls), *([service.runs_on] if service.runs_on else [])]):
        if name in source.document["services"]:
            yield f"{kind_of(source.services[name]).lower()}:{dns_name(name)}"


def _group(owner: str) -> dict[str, Any]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Group",
        "metadata": {"name": dns_name(owner), "title": owner},
        "spec": {"type": "team", "children": []},
    }
