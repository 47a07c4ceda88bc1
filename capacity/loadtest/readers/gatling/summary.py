"""Gatling's own summaries of a whole run: ``stats.json`` and ``global_stats.json`` in the report's folder ``js``."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.files import BREAKS, blocks_of
from capacity.loadtest.steps import LARGEST

_STATS = re.compile(rb'^\s*\{\s*"(type"\s*:\s*"GROUP|name"\s*:\s*")')
_ASSERTIONS = re.compile(rb'^\s*\{\s*"simulation"\s*:')
_LARGEST_FILE = 1 << 28


def recognizes(head: bytes) -> bool:
    """Whether a file is one of Gatling's summaries."""
    return is_assertions(head) or (_STATS.match(head) is not None and b'"numberOfRequests"' in head)


def is_assertions(head: bytes) -> bool:
    """Whether a file holds assertions, which measure nothing."""
    return _ASSERTIONS.match(head) is not None and b'"assertions"' in head


def read_summary(path: Path) -> dict[str, float]:
    """Give the whole run as one step.

    Raises
    ------
    InputError
        For a file that is no whole JSON, or has not the numbers of requests.
    """
    found = _document(path)
    stats = found.get("stats", found)
    row = {
        "achieved_qps": _number(stats, "meanNumberOfRequestsPerSecond", "ok"),
        "error_fraction": _share(_number(stats, "numberOfRequests", "ko"), _number(stats, "numberOfRequests", "total")),
        "mean_ms": _number(stats, "meanResponseTime", "total"),
        "seconds": _share(
            _number(stats, "numberOfRequests", "total"), _number(stats, "meanNumberOfRequestsPerSecond", "total")
        ),
    }
    for name, field in (("p50_ms", "percentiles1"), ("p95_ms", "percentiles3"), ("p99_ms", "percentiles4")):
        row[name] = max(_number(stats, field, "total"), _number(stats, field, "ok"))
    if not row["achieved_qps"] > 0:
        problem = Problem(path.name, "no requests per second", "meanNumberOfRequestsPerSecond with ok above 0")
        raise InputError("the summary of Gatling cannot be used", problems=[problem])
    return {k: v for k, v in row.items() if math.isfinite(v)}


def _document(path: Path) -> dict[str, Any]:
    text = b""
    try:
        for block in blocks_of(path):
            text += block
            if len(text) > _LARGEST_FILE:
                break
        found = json.loads(text)
    except (ValueError, RecursionError, *BREAKS) as error:
        said = str(error) or type(error).__name__
        problem = Problem(path.name, said, "a whole JSON file", "give simulation.log instead")
        raise InputError("the summary of Gatling cannot be read", problems=[problem]) from None
    return found if isinstance(found, dict) else {}


def _number(stats: Any, name: str, part: str) -> float:
    group = stats.get(name) if isinstance(stats, dict) else None
    value = group.get(part) if isinstance(group, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    return float(value) if 0 <= value <= LARGEST else math.nan


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan
