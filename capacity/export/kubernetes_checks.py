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
    alone = [problem for one in objects for problem in _check(one, where)]
    return (*alone, *_check_quota(objects, where), *_check_budgets(objects, where), *_check_rivals(objects, where))


def _check(one: Mapping[str, Any], where: str) -> Iterator[Problem]:
    name, spec = _name(one), _spec(one)
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
    meta = one.get("metadata")
    return str(meta.get("name", "without a name") if isinstance(meta, dict) else "without a name")


def _spec(one: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = one.get("spec")
    return spec if isinstance(spec, dict) else {}


def _whole(value: Any) -> int | None:
    """Return a count, also one in quotes; percentages and what else people write are none."""
    if isinstance(value, bool):
        return None
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.strip().isdecimal()) else None


def _autoscaler(spec: Mapping[str, Any], place: str) -> Iterator[Problem]:
    low, high = _whole(spec.get("minReplicas", 1)), _whole(spec.get("maxReplicas"))
    if low is not None and high is not None and low > high:
        yield Problem(f"{place}.minReplicas", str(low), f"at most maxReplicas ({high})")


def _budget(spec: Mapping[str, Any], place: str) -> Iterator[Problem]:
    if spec.get("maxUnavailable") in (0, "0%") or spec.get("minAvailable") == "100%":
        yield Problem(place, "a budget that lets no pod go", "at least one", "nodes could never be drained")


def _scaled_object(spec: Mapping[str, Any], place: str) -> Iterator[Problem]:
    most, low = _whole(spec.get("maxReplicaCount", 100)), _whole(spec.get("minReplicaCount", 0))
    if low is not None and most is not None and low > most:
        yield Problem(f"{place}.minReplicaCount", str(low), f"at most maxReplicaCount ({most})")
    lines: set[str] = set()
    triggers = spec.get("triggers")
    for number, trigger in enumerate(triggers if isinstance(triggers, list) else []):
        meta = trigger.get("metadata") if isinstance(trigger, dict) else None
        if not isinstance(meta, dict) or trigger.get("type") != "cron":
            continue
        at = f"{place}.triggers[{number}]"
        wanted = meta.get("desiredReplicas")
        if not isinstance(wanted, str):
            yield Problem(f"{at}.desiredReplicas", repr(wanted), "text in quotes", "KEDA refuses numbers")
        elif _whole(wanted) is None:
            yield Problem(f"{at}.desiredReplicas", repr(wanted), "a whole number in quotes")
        elif most is not None and int(wanted) > most:
            yield Problem(f"{at}.desiredReplicas", wanted, f"at most maxReplicaCount ({most})")
        if meta.get("start") == meta.get("end"):
            yield Problem(f"{at}.end", repr(meta.get("end")), "another time than start", "the window would be empty")
        if str(meta.get("start")) in lines:
            yield Problem(f"{at}.start", repr(meta.get("start")), "a start that no other trigger has")
        lines.add(str(meta.get("start")))


def _check_quota(objects: list[dict[str, Any]], where: str) -> Iterator[Problem]:
    wanted = sum(
        _whole(_spec(one).get("minReplicas")) or 0 for one in objects if one.get("kind") == "HorizontalPodAutoscaler"
    )
    for one in objects:
        hard = _spec(one).get("hard")
        pods = _whole(hard.get("pods")) if isinstance(hard, dict) else None
        if one.get("kind") == "ResourceQuota" and pods is not None and pods < wanted:
            yield Problem(
                f"{where} {_name(one)} spec.hard.pods", str(pods), f"at least {wanted}, the autoscalers' floors"
            )


def _check_budgets(objects: list[dict[str, Any]], where: str) -> Iterator[Problem]:
    """Yield budgets that keep as many pods as their autoscaler may run at the least: none could go."""
    floors = {
        _name(one): _whole(_spec(one).get("minReplicas", 1))
        for one in objects
        if one.get("kind") == "HorizontalPodAutoscaler"
    }
    for one in objects:
        kept, floor = _whole(_spec(one).get("minAvailable")), floors.get(_name(one))
        if one.get("kind") == "PodDisruptionBudget" and kept is not None and floor is not None and kept >= floor:
            yield Problem(
                f"{where} {_name(one)} spec.minAvailable", str(kept), f"less than minReplicas ({floor})",
                "at its floor no node could be drained",
            )  # fmt: skip


def _check_rivals(objects: list[dict[str, Any]], where: str) -> Iterator[Problem]:
    """Yield targets of two autoscalers: KEDA makes one itself, and they undo each other's work."""
    targets: dict[str, str] = {}
    for one in objects:
        target = _spec(one).get("scaleTargetRef")
        if one.get("kind") not in {"HorizontalPodAutoscaler", "ScaledObject"} or not isinstance(target, dict):
            continue
        name, kind = str(target.get("name")), str(one["kind"])
        if targets.setdefault(name, kind) != kind:
            yield Problem(
                f"{where} {_name(one)} spec.scaleTargetRef", name, f"a target without a {targets[name]}",
                "KEDA makes an autoscaler itself: keep one of the two",
            )  # fmt: skip
