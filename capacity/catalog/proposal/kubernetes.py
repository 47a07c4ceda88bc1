"""Services as Kubernetes runs them: replica counts and versions of Deployments and StatefulSets."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from capacity.catalog.catalog import Catalog
from capacity.catalog.proposal.sighting import Sighting, Sightings, mapping

_KINDS = ("Deployment", "StatefulSet")
_NAMED_BY = ("app.kubernetes.io/name", "app")
_VERSION = "app.kubernetes.io/version"
_MOST_NAMED = 10


def see_kubernetes(objects: Sequence[Mapping[str, Any]], catalog: Catalog) -> Sightings:
    """Say which services run with how many replicas.

    A workload is the service that its annotation ``capacity/service`` names, else the one with its own name, else the
    one that its label ``app.kubernetes.io/name`` or ``app`` names. Autoscalers are only told of: their ceiling is no
    quota, and what they scale is as large as it was when the file was written.

    Parameters
    ----------
    objects
        As ``kubectl get deployments,statefulsets,hpa -o yaml`` writes them.
    catalog
        The services known today.
    """
    workloads = [one for one in objects if one.get("kind") in _KINDS]
    found: dict[str, list[Mapping[str, Any]]] = {}
    strangers = []
    for one in workloads:
        name = _service_of(one, catalog)
        if name is None:
            strangers.append(_label(one))
        else:
            found.setdefault(name, []).append(one)
    scaled = {_target(one): one for one in objects if one.get("kind") == "HorizontalPodAutoscaler"}
    seen: list[Sighting] = []
    notes: list[str] = []
    for name, same in found.items():
        _see(name, same, catalog, scaled, seen, notes)
    if strangers:
        more = f" and {len(strangers) - _MOST_NAMED} more" if len(strangers) > _MOST_NAMED else ""
        notes.append(f"not in services.yaml, left out: {', '.join(strangers[:_MOST_NAMED])}{more}")
    absent = [name for name in catalog.pools if name not in found]
    if absent:
        notes.append(f"in services.yaml but not in the file: {', '.join(absent)}")
    return Sightings(tuple(seen), tuple(notes))


def _see(
    name: str,
    same: Sequence[Mapping[str, Any]],
    catalog: Catalog,
    scaled: Mapping[tuple[str, str], Mapping[str, Any]],
    seen: list[Sighting],
    notes: list[str],
) -> None:
    if not catalog[name].has_pool:
        notes.append(f"{name}: {_label(same[0])} is left out, as services.yaml counts no instances of it")
        return
    if len(same) > 1:
        several = ", ".join(_label(one) for one in same)
        notes.append(f"{name}: several workloads ({several}); export one namespace with kubectl -n")
        return
    one = same[0]
    replicas = _count(mapping(one, "spec").get("replicas", 1))
    if replicas is None or replicas < 1:
        notes.append(
            f"{name}: {_label(one)} has {mapping(one, 'spec').get('replicas')!r} replicas: nothing to take over"
        )
        return
    values: dict[str, str | int | bool] = {"instances": replicas}
    quota = catalog[name].max_instances
    if quota is not None and replicas > quota:
        values["max_instances"] = replicas
        notes.append(f"{name}: {replicas} replicas run, so max_instances ({quota}) cannot be the quota: raised to it")
    version = mapping(one, "metadata", "labels").get(_VERSION)
    if isinstance(version, str) and version:
        values["version"] = version
    seen.append(Sighting(name, values, f"{_label(one)} spec.replicas {replicas}"))
    notes.extend(_remarks(name, one, replicas, scaled.get(_key(one))))


def _remarks(name: str, one: Mapping[str, Any], replicas: int, autoscaler: Mapping[str, Any] | None) -> Iterator[str]:
    ready = _count(mapping(one, "status").get("readyReplicas", 0)) if mapping(one, "status") else replicas
    if ready != replicas:
        yield f"{name}: {ready} of {replicas} replicas were ready when the file was written"
    if autoscaler is not None:
        least, most = (mapping(autoscaler, "spec").get(key) for key in ("minReplicas", "maxReplicas"))
        yield f"{name}: an autoscaler holds it between {least or 1} and {most}: {replicas} is its count at that moment"


def _service_of(one: Mapping[str, Any], catalog: Catalog) -> str | None:
    meta = mapping(one, "metadata")
    labels = mapping(meta, "labels")
    given = mapping(meta, "annotations").get("capacity/service")
    names = [given] if given else [meta.get("name"), *(labels.get(key) for key in _NAMED_BY)]
    return next((name for name in names if isinstance(name, str) and name in catalog), None)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _label(one: Mapping[str, Any]) -> str:
    meta = mapping(one, "metadata")
    return f"{one.get('kind')} {meta.get('namespace', 'default')}/{meta.get('name')}"


def _key(one: Mapping[str, Any]) -> tuple[str, str]:
    meta = mapping(one, "metadata")
    return str(meta.get("namespace", "default")), f"{one.get('kind')}/{meta.get('name')}"


def _target(one: Mapping[str, Any]) -> tuple[str, str]:
    target = mapping(one, "spec", "scaleTargetRef")
    return str(mapping(one, "metadata").get("namespace", "default")), f"{target.get('kind')}/{target.get('name')}"
