"""What ``vegeta report`` writes of an attack, as JSON or text: one step each.

Its ``rate`` is requests over the time they were sent in, its ``throughput`` is answers without error over that time and
the wait for the last answer; latencies are nanoseconds.

References
----------
.. [1] vegeta, README, section "report command".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.quantities import count_of, duration_ms, iso_seconds, ratio
from capacity.loadtest.readers.summaries import Summary, read_each, reading_of
from capacity.loadtest.reading import Reading

_TEXT = re.compile(r"^([A-Z][A-Za-z ]+?)\s+\[([^\]]+)\]\s+(.*)$", re.MULTILINE)
_REPORT = re.compile(rb'"latencies"\s*:\s*\{')
_KEYS = {"mean": "mean_ms", "50th": "p50_ms", "95th": "p95_ms", "99th": "p99_ms"}
_LABELS = {"mean": "mean_ms", "50": "p50_ms", "95": "p95_ms", "99": "p99_ms"}


def recognizes(head: bytes) -> bool:
    """Whether it is a report, by its keys or its labels."""
    if head.lstrip().startswith(b"{"):
        return _REPORT.search(head) is not None
    return b"Requests" in head and b"[total, rate" in head


def read(files: Sequence[Path]) -> Reading:
    """Read reports, each as one step."""
    summaries, broken = read_each(files, _summaries_of)
    note = "reports: throughput is over the attack and the wait for its last answer, latency over all of it"
    return reading_of(summaries, tool="vegeta", broken=broken, notes=[note])


def _summaries_of(text: str, name: str) -> list[Summary]:
    if not text.lstrip().startswith("{"):
        return _from_text(text, name)
    try:
        # Reports on the way (``-every``) follow one another; the last is the whole.
        document = json.loads(text.strip().splitlines()[-1] if "\n{" in text.strip() else text)
    except (ValueError, RecursionError) as error:
        raise InputError("no JSON", problems=[Problem(name, str(error)[:100], "a whole JSON report")]) from None
    return [_from_json(document, name)] if isinstance(document, dict) else []


def _number(values: Mapping[str, Any], key: str) -> float:
    value = values.get(key)
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else math.nan


def _from_json(document: Mapping[str, Any], name: str) -> Summary:
    latencies = document.get("latencies")
    tails = latencies if isinstance(latencies, dict) else {}
    row = {column: _number(tails, key) / 1e6 for key, column in _KEYS.items()}
    seconds, success = _number(document, "duration") / 1e9, _number(document, "success")
    requests, wait = _number(document, "requests"), _number(document, "wait") / 1e9
    throughput = _number(document, "throughput")
    if math.isnan(throughput):
        throughput = ratio(requests * success, seconds + wait)
    row |= {"offered_qps": _number(document, "rate"), "achieved_qps": throughput}
    row |= {"error_fraction": 1.0 - success, "seconds": seconds}
    began = float(iso_seconds([str(document.get("earliest"))])[0])
    return Summary(name, row, began_s=began if began > 0 else math.nan)


def _from_text(text: str, name: str) -> list[Summary]:
    found: list[dict[str, str]] = []
    for title, labels, values in _TEXT.findall(text):
        if title == "Requests":
            found.append({})
        if found:
            pairs = zip(labels.split(","), values.split(","), strict=False)
            found[-1] |= {f"{title} {label.strip()}": value.strip() for label, value in pairs}
    return [_step(said, f"{name} report {i + 1}" if len(found) > 1 else name) for i, said in enumerate(found)]


def _step(said: Mapping[str, str], name: str) -> Summary:
    success = count_of(said.get("Success ratio", "").rstrip("%")) / 100.0
    total, attack = duration_ms(said.get("Duration total", "")), duration_ms(said.get("Duration attack", ""))
    rate, requests = count_of(said.get("Requests rate", "")), count_of(said.get("Requests total", ""))
    throughput = count_of(said.get("Requests throughput", ""))
    if math.isnan(throughput):
        throughput = ratio(requests * success, total / 1e3)
    row = {column: duration_ms(said.get(f"Latencies {label}", "")) for label, column in _LABELS.items()}
    row |= {"offered_qps": rate, "achieved_qps": throughput}
    row |= {"error_fraction": 1.0 - success, "seconds": attack / 1e3}
    return Summary(name, row)
