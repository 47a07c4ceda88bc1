"""What Locust says of a whole run: ``*_stats.csv`` and the list that ``--json`` prints."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.blocks import header_cells
from capacity.loadtest.readers.delimited import Breaks, numbers, record_batches, words
from capacity.loadtest.readers.files import BREAKS, blocks_of
from capacity.loadtest.readers.locust.history import AGGREGATED
from capacity.loadtest.requests import weighted_quantile
from capacity.loadtest.steps import LARGEST

_STATS = {"Name", "Request Count", "Failure Count", "Average Response Time", "Requests/s"}
_ERRORS = ({"Name", "Error", "Occurrences"}, {"Count", "Message", "Traceback"})
_ENTRY = re.compile(rb'^\s*\[\s*\{[^\]]*"num_requests"\s*:', re.DOTALL)
_PERCENTILES = {"p50_ms": "50%", "p95_ms": "95%", "p99_ms": "99%"}
_LARGEST_FILE = 1 << 28

Row = dict[str, float]


def is_stats(head: bytes) -> bool:
    """Whether a file's header is that of ``*_stats.csv``."""
    return set(header_cells(head)) >= _STATS


def is_json(head: bytes) -> bool:
    """Whether a file begins as the list that ``--json`` prints."""
    return _ENTRY.match(head) is not None


def is_errors(head: bytes) -> bool:
    """Whether a file lists failures or exceptions, which say nothing of load."""
    names = set(header_cells(head))
    return any(names >= known for known in _ERRORS)


def read_stats(path: Path, breaks: Breaks, requests: dict[str, int], *, only: Collection[str] | None) -> Row:
    """Give the run as one step, from the row of all requests or the one row that was asked for."""
    import pyarrow as pa

    wanted = ["Name", "Request Count", "Failure Count", "Average Response Time", "Requests/s", *_PERCENTILES.values()]
    rows: list[tuple[str, dict[str, float]]] = []
    for batch in record_batches(path, columns=dict.fromkeys(wanted, pa.binary()), breaks=breaks):
        codes, names = words(batch.column("Name"))
        values = {n: numbers(batch.column(n)).tolist() for n in wanted[1:]}
        rows.extend((names[c], {n: v[i] for n, v in values.items()}) for i, c in enumerate(codes.tolist()))
    for name, row in rows:
        if name not in AGGREGATED and 0 <= row["Request Count"] < LARGEST:
            requests[name] = int(row["Request Count"])
    chosen = [row for name, row in rows if (name in AGGREGATED if only is None else name in only)]
    if len(chosen) != 1:
        expected = (
            "one row named Aggregated" if only is None else "one row of these requests: percentiles do not add up"
        )
        raise InputError(
            "the statistics of Locust cannot be used",
            problems=[*breaks.problems(), Problem(path.name, f"{len(chosen)} rows", expected)],
        )
    row = chosen[0]
    count, failures, rate = row["Request Count"], row["Failure Count"], row["Requests/s"]
    share = failures / count if count > 0 and 0 <= failures <= count else math.nan
    step = {
        "achieved_qps": rate * (1.0 - share),
        "error_fraction": share,
        "mean_ms": row["Average Response Time"],
        "seconds": count / rate if rate > 0 else math.nan,
    }
    step |= {name: row[column] or math.nan for name, column in _PERCENTILES.items()}
    return _usable(step, path)


def read_json(path: Path, requests: dict[str, int], *, only: Collection[str] | None) -> Row:
    """Give the run as one step, from the counts of all entries."""
    entries = [e for e in _entries(path) if only is None or e.get("name") in only]
    counts = {"num_requests": 0.0, "num_failures": 0.0, "total_response_time": 0.0}
    begins, ends = math.inf, -math.inf
    times: dict[float, float] = {}
    for entry in entries:
        for name in counts:
            counts[name] += _number(entry.get(name))
        requests[str(entry.get("name"))] = int(_number(entry.get("num_requests")))
        begins = min(begins, _number(entry.get("start_time")) or math.inf)
        ends = max(ends, _number(entry.get("last_request_timestamp")) or -math.inf)
        _add_times(times, entry.get("response_times"))
    total, seconds = counts["num_requests"], ends - begins
    if not (total > 0 and 0 < seconds < LARGEST):
        got = f"{total:g} requests in {seconds:g} s"
        expected = "entries with num_requests, start_time and last_request_timestamp"
        raise InputError("the statistics of Locust cannot be used", problems=[Problem(path.name, got, expected)])
    good = max(total - counts["num_failures"], 0.0)
    step = {
        "achieved_qps": good / seconds,
        "error_fraction": 1.0 - good / total,
        "mean_ms": counts["total_response_time"] / total,
        "seconds": seconds,
    }
    values = np.array(sorted(times))
    weights = np.array([times[v] for v in values])
    for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        step[name] = weighted_quantile(values, weights, share)
    return _usable(step, path)


def _entries(path: Path) -> list[dict[str, Any]]:
    text = b""
    try:
        for block in blocks_of(path):
            text += block
            if len(text) > _LARGEST_FILE:
                break
        found = json.loads(text)
    except (ValueError, RecursionError, *BREAKS) as error:
        said = str(error) or type(error).__name__
        problem = Problem(path.name, said, "a whole JSON list", "keep all that --json prints, without other lines")
        raise InputError("the statistics of Locust cannot be read", problems=[problem]) from None
    return [e for e in found if isinstance(e, dict)] if isinstance(found, list) else []


def _add_times(times: dict[float, float], response_times: Any) -> None:
    if not isinstance(response_times, Mapping):
        return
    for key, count in response_times.items():
        try:
            value = float(key)
        except (TypeError, ValueError):
            continue
        if 0 <= value <= LARGEST:
            times[value] = times.get(value, 0.0) + _number(count)


def _number(value: Any) -> float:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= LARGEST
    return float(value) if known else 0.0


def _usable(step: Row, path: Path) -> Row:
    usable = {k: v for k, v in step.items() if 0 <= v <= LARGEST}
    if not usable.get("achieved_qps", 0.0) > 0:
        problem = Problem(path.name, "no answers a second", "a run with requests in it")
        raise InputError("the statistics of Locust cannot be used", problems=[problem])
    return usable
