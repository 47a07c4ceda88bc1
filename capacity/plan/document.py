"""The signature of a plan's document, and its check."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from capacity.errors import InputError, Problem

SCHEMA = "capacity.plan/1"
_TOP = (
    "schema", "promotion", "as_of", "risk", "demand", "peak_tps", "admitted_tps", "transactions_turned_away",
    "services", "edges", "degradation", "cost", "core_overload_probability", "total_overload_probability",
    "assumptions", "inputs", "signature",
)  # fmt: skip
_SERVICE = (
    "decision", "peak_qps", "peak_at", "instance_capacity_qps", "capacity_evidence", "instances", "instances_now",
    "instances_by_phase", "scale_schedule", "cluster_limit_qps", "instance_limit_qps",
    "instance_limit_no_false_reject_qps", "key_limit_qps", "limited_by", "rejected_fraction", "overload_probability",
    "why", "rejected",
)  # fmt: skip
DECISIONS = ("keep", "scale_out", "optimise", "degrade", "negotiate")


def signature(document: Mapping[str, Any]) -> str:
    """SHA-256 of the document without its signature, over its canonical JSON.

    Examples
    --------
    >>> signature({"b": 1, "a": "é"}) == signature({"a": "é", "b": 1, "signature": "…"})
    True
    """
    body = {key: value for key, value in document.items() if key != "signature"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def check_plan_document(document: Any, *, where: str = "plan.json") -> None:
    """Check that a document is a plan as this program writes it, and unchanged since.

    Raises
    ------
    InputError
        With every problem: missing keys, values that cannot be, a signature that does not fit.
    """
    problems = list(_problems(document, where))
    if problems:
        raise InputError(f"{where} is not a plan that can be used", problems=problems, remedy="make the plan again")


def _problems(document: Any, where: str) -> Iterator[Problem]:
    if not isinstance(document, dict):
        yield Problem(where, type(document).__name__, "a JSON object")
        return
    if document.get("schema") != SCHEMA:
        yield Problem(f"{where} schema", repr(document.get("schema")), repr(SCHEMA))
        return
    yield from (Problem(f"{where} {key}", "nothing", "a value") for key in _TOP if key not in document)
    services = document.get("services")
    if not isinstance(services, dict):
        yield Problem(f"{where} services", type(services).__name__, "an object by service name")
        return
    for name, entry in services.items():
        yield from _service_problems(f"{where} services.{name}", entry)
    yield from _numbers(document, where)
    try:
        signed = signature(document)
    except (ValueError, TypeError) as error:
        yield Problem(f"{where} signature", str(error), "values that JSON can hold")
        return
    if document.get("signature") != signed:
        got = str(document.get("signature"))[:12]
        yield Problem(f"{where} signature", f"{got}…", f"{signed[:12]}…", "the plan was changed after it was written")


def _service_problems(where: str, entry: Any) -> Iterator[Problem]:
    if not isinstance(entry, dict):
        yield Problem(where, type(entry).__name__, "an object")
        return
    yield from (Problem(f"{where}.{key}", "nothing", "a value") for key in _SERVICE if key not in entry)
    if entry.get("decision") not in DECISIONS:
        yield Problem(f"{where}.decision", repr(entry.get("decision")), f"one of {', '.join(DECISIONS)}")


def _numbers(document: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """NaN and infinities, which readers of JSON choke on."""
    stack: list[tuple[str, Any]] = [("", document)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack.extend((f"{path}.{key}", item) for key, item in value.items())
        elif isinstance(value, list):
            stack.extend((f"{path}[{i}]", item) for i, item in enumerate(value))
        elif isinstance(value, float) and not math.isfinite(value):
            yield Problem(f"{where} {path.lstrip('.')}", repr(value), "a finite number or null")
