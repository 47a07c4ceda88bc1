"""k6's summaries of a whole run, one step each: JSON in three forms, and the text it prints.

- ``--summary-export``: statistics beside ``thresholds``, in which ``true`` means that a threshold was crossed;
- the object ``handleSummary`` gets: statistics in ``values``, thresholds as ``{"ok": true}``;
- ``--new-machine-readable-summary``: a list in ``results.metrics``, the duration in ``config``.

References
----------
.. [1] k6 documentation, "End-of-test summary" and "Custom summary".
.. [2] k6 source, ``internal/lib/summary``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from capacity.errors import InputError, Problem
from capacity.loadtest.gate import Gate
from capacity.loadtest.readers.quantities import count_of, duration_ms, ratio
from capacity.loadtest.readers.summaries import Summary, read_each, reading_of, refuse_only, without_load
from capacity.loadtest.reading import Reading

Statistics = dict[str, dict[str, float]]

_REQUESTS = (
    ("http_req_duration", "http_reqs"),
    ("grpc_req_duration", "iterations"),
    ("iteration_duration", "iterations"),
)
_SAME_USERS = 0.02
_IN_SERVICE = 0.95
_DROPPED_SHARE = 0.01
_OLD = re.compile(rb'"(?:http_req_duration|http_reqs|iteration_duration|iterations|vus_max)"\s*:\s*\{')
_NEW = re.compile(rb'"name"\s*:\s*"(?:http_req_duration|http_reqs|iteration_duration|iterations|vus_max)"')
_TEXT = re.compile(r"^[\s✓✗]*(?:\w+-\d+\s*\|\s*)?[✓✗]?\s*([a-z_]+)\.{2,}:\s*(.+)$", re.MULTILINE)
_PART = re.compile(r"([a-z]+(?:\([\d.]+\))?)=(\S+)")
_PERCENT = re.compile(r"([\d.]+)%")
_RATE = re.compile(r"([\d.]+)/s")


def recognizes(head: bytes) -> bool:
    """Whether it is a summary, by the names of k6's metrics."""
    begins = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if begins.startswith(b"{"):
        return (b'"metrics"' in head and _OLD.search(head) is not None) or (
            b'"results"' in head and _NEW.search(head) is not None
        )
    found = {match[1] for match in _TEXT.finditer(head.decode("utf-8", errors="replace"))}
    return bool(found & {"http_req_duration", "iteration_duration"}) and bool(found & {"http_reqs", "iterations"})


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read summaries, each as one step."""
    refuse_only(only, tool="k6")
    summaries, broken = read_each(files, _summaries_of)
    note = "each summary is one step: averages over the whole run, its beginning included"
    return reading_of(summaries, tool="k6", broken=broken, notes=[note])


def _summaries_of(text: str, name: str) -> list[Summary]:
    if not text.lstrip().startswith("{"):
        found = _from_text(text)
        return [_summary(found, [], name)] if found else []
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("no JSON", problems=[Problem(name, str(error)[:100], "a whole JSON summary")]) from None
    found, crossed = _from_json(document)
    return [_summary(found, crossed, name)] if found else []


def _from_json(document: Any) -> tuple[Statistics, list[str]]:
    if not isinstance(document, dict):
        return {}, []
    results, metrics = document.get("results"), document.get("metrics")
    if isinstance(results, dict) and isinstance(results.get("metrics"), list):
        metrics = {str(m.get("name")): m for m in results["metrics"] if isinstance(m, dict)}
    found: Statistics = {}
    crossed: list[str] = []
    for name, metric in metrics.items() if isinstance(metrics, dict) else ():
        if not isinstance(metric, dict):
            continue
        values = metric.get("values", metric)
        found[name] = dict(_numbers(values)) if isinstance(values, dict) else {}
        crossed.extend(f"{name}: {threshold}" for threshold in _crossed(metric.get("thresholds")))
    config, state = document.get("config"), document.get("state")
    stated = dict(_numbers(config)) if isinstance(config, dict) else {}
    ended = dict(_numbers(state)) if isinstance(state, dict) else {}
    found["run"] = {"seconds": stated.get("duration", ended.get("testRunDurationMs", math.nan) / 1e3)}
    return found, crossed


def _numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
            yield name, float(value)


def _crossed(thresholds: Any) -> Iterator[str]:
    """Give the thresholds that were crossed: ``true`` in the old form, ``{"ok": false}`` in the newer."""
    for threshold, result in thresholds.items() if isinstance(thresholds, dict) else ():
        if result is True or (isinstance(result, dict) and result.get("ok") is False):
            yield str(threshold)


def _from_text(text: str) -> Statistics:
    found: Statistics = {}
    for name, said in _TEXT.findall(text):
        if name in found:
            continue
        values = {stat: _quantity(value) for stat, value in _PART.findall(said)}
        first = next(iter(said.split()), "")
        values["count" if "/s" in said else "value"] = count_of(first)
        if rate := _RATE.search(said):
            values["rate"] = count_of(rate[1])
        elif percent := _PERCENT.match(said):
            values["rate"] = count_of(percent[1]) / 100.0
        found[name] = {stat: value for stat, value in values.items() if math.isfinite(value)}
    return found


def _quantity(text: str) -> float:
    value = duration_ms(text)
    return count_of(text) if math.isnan(value) else value


def _summary(found: Statistics, crossed: list[str], name: str) -> Summary:
    latency, counter = next((r for r in _REQUESTS if found.get(r[0], {}).get("avg") is not None), _REQUESTS[0])
    trend, counted = found.get(latency, {}), found.get(counter, {})
    seconds = _seconds(found, counted)
    rate = counted.get("rate", ratio(counted.get("count", math.nan), seconds))
    failed = found.get("http_req_failed", {}) if latency == "http_req_duration" else {}
    error_fraction = failed.get("rate", failed.get("value", math.nan))
    row = {
        "achieved_qps": rate * (1.0 - (0.0 if math.isnan(error_fraction) else error_fraction)),
        "error_fraction": error_fraction,
        "seconds": seconds,
        "mean_ms": trend.get("avg", math.nan),
        "p50_ms": trend.get("med", trend.get("p(50)", math.nan)),
        "p95_ms": trend.get("p(95)", math.nan),
        "p99_ms": trend.get("p(99)", math.nan),
    }
    notes = [f"{name}: thresholds crossed: {', '.join(crossed)}"] if crossed else []
    if latency == "iteration_duration":
        notes.append(f"{name}: no request of a kind that is known: it counts iterations")
    return _with_load(Summary(name, row, notes=tuple(notes)), found, rate)


def _seconds(found: Statistics, counted: Mapping[str, float]) -> float:
    stated = found.get("run", {}).get("seconds", math.nan)
    if stated > 0:
        return stated
    count, rate = counted.get("count", math.nan), counted.get("rate", math.nan)
    return ratio(count, rate)


def _with_load(summary: Summary, found: Statistics, rate: float) -> Summary:
    row, users = dict(summary.row), found.get("vus", {})
    low, high = users.get("min", math.nan), users.get("max", math.nan)
    iterations, dropped = found.get("iterations", {}), found.get("dropped_iterations", {})
    began, lost = iterations.get("count", math.nan), dropped.get("count", 0.0)
    if lost > 0 and began > 0:
        row["offered_qps"] = rate * (1.0 + lost / began)
        gate = _dropped(lost, lost / (lost + began))
        return Summary(summary.where, row, gates=(gate,), notes=summary.notes)
    if high > 0 and low < (1.0 - _SAME_USERS) * high:
        # The summary writes users as they were at whole seconds: the first and the last may be of the ramps alone.
        says = f"its users went from {low:g} to {high:g}: averages over several loads are of no one step"
        remedy = "hold one number of users a run, or write every sample (--out csv)"
        gate = Gate("several_loads", "excluded", high, low, says, remedy)
        return Summary(summary.where, without_load(row, answered_qps=rate), gates=(gate,), notes=summary.notes)
    if high > 0 and rate * row["mean_ms"] / 1e3 >= _IN_SERVICE * high:
        return Summary(summary.where, row | {"concurrency": high}, notes=summary.notes)
    note = f"{summary.where}: users think, or wait for an arrival rate; those under way are by Little's law"
    return Summary(summary.where, without_load(row, answered_qps=rate), notes=(*summary.notes, note))


def _dropped(iterations: float, share: float) -> Gate:
    if share <= _DROPPED_SHARE:
        says = f"{iterations:.0f} iterations ({share:.1%}) did not begin"
        return Gate("closed_step_posing_as_open", "ok", share, _DROPPED_SHARE, says)
    says = (
        f"{iterations:.0f} iterations ({share:.0%}) did not begin because no user was free: the rate asked was not "
        "sent, and latency is that of users who wait, not of arrivals"
    )
    remedy = "raise maxVUs until no iteration is dropped, or take the step as one of users"
    return Gate("closed_step_posing_as_open", "flagged", share, _DROPPED_SHARE, says, remedy)


__all__ = ["read", "recognizes"]
