"""What a schema check of Kubernetes objects misses, and an evening does not forgive."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from capacity.errors import InputError, Problem


def check_kubernetes(text: str, *, where: str = "objects") -> tuple[Problem, ...]:
    """Return what is wrong with autoscalers, budgets, quotas and scaled objects although their schema is right.

    Parameters
    ----------
    text
        YAML, one object a document.
    where
        The file's name in messages.

    Raises
    ------
    InputError
        If the text is no YAML.

    Examples
    --------
    >>> hpa = "{kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: {minReplicas: 9, maxReplicas: 3}}"
    >>> print(check_kubernetes(hpa)[0])
    objects a spec.minReplicas: got 9, expected at most maxReplicas (3)
    """
    try:
        objects = [one for one in yaml.safe_load_all(text) if isinstance(one, dict)]
    except yaml.YAMLError as error:
        raise InputError(f"{where} is no YAML: {error}") from None
    return tuple(problem for one in objects for problem in _check(one, where)) + tuple(_check_quota(objects, where))


def _check(one: Mapping[str, Any], where: str) -> Iterator[Problem]:
    name, spec = _name(one), one.get("spec") or {}
    place = f"{where} {name} spec"
    rules = {
        "HorizontalPodAutoscaler": _autoscaler,
        "PodDisruptionBudget": _budget,
        "ScaledObject": _scaled_object,
    }
    check = rules.get(str(one.get("kind")))
    if check is not None:
        yield from check(spec, place)


def _name(one: Mapping[str, Any]) -> str:
    return str((one.get("metadata") or {}).get("name", "without a name"))


def _autoscaler(spec: Mapping[str, Any], place: str) -> Iterator[Problem]:
    low, high = spec.get("minReplicas", 1), spec.get("maxReplicas")
    if high is not None and low > high:
        yield Problem(f"{place}.minReplicas", str(low), f"at most maxReplicas ({high})")


def _budget(spec: Mapping[str, Any], place: str) -> Iterator[Problem]:
    if spec.get("maxUnavailable") in (0, "0%") or spec.get("minAvailable") == "100%":
        yield Problem(place, "a budget that lets no pod go", "at least one", "nodes could never be drained")


def _scaled_object(spec: Mapping[str, Any], place: str) -> Iterator[Problem]:
    most = spec.get("maxReplicaCount", 100)
    if spec.get("minReplicaCount", 0) > most:
        yield Problem(f"{place}.minReplicaCount", str(spec["minReplicaCount"]), f"at most maxReplicaCount ({most})")
    lines = set()
    for number, trigger in enumerate(spec.get("triggers") or []):
        meta = trigger.get("metadata") or {}
        if trigger.get("type") != "cron":
            continue
        at = f"{place}.triggers[{number}]"
        wanted = meta.get("desiredReplicas")
        if not isinstance(wanted, str):
            yield Problem(f"{at}.desiredReplicas", repr(wanted), "text in quotes", "KEDA refuses numbers")
        elif int(wanted) > most:
            yield Problem(f"{at}.desiredReplicas", wanted, f"at most maxReplicaCount ({most})")
        if meta.get("start") == meta.get("end"):
            yield Problem(f"{at}.end", repr(meta.get("end")), "another time than start", "the window would be empty")
        if meta.get("start") in lines:
            yield Problem(f"{at}.start", repr(meta.get("start")), "a start that no other trigger has")
        lines.add(meta.get("start"))


def _check_quota(objects: list[dict[str, Any]], where: str) -> Iterator[Problem]:
    wanted = sum(
        int((one.get("spec") or {}).get("minReplicas", 0))
        for one in objects
        if one.get("kind") == "HorizontalPodAutoscaler"
    )
    for one in objects:
        pods = ((one.get("spec") or {}).get("hard") or {}).get("pods")
        if one.get("kind") == "ResourceQuota" and pods is not None and int(pods) < wanted:
            yield Problem(
                f"{where} {_name(one)} spec.hard.pods", str(pods), f"at least {wanted}, the autoscalers' floors"
            )
