"""Requests one by one, as a listener of Locust's ``request`` event writes them: a header and one row a request."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from capacity.loadtest.readers.blocks import header_cells
from capacity.loadtest.readers.delimited import Breaks, numbers, record_batches, words
from capacity.loadtest.requests import RequestTally

_TIMES = ("start_time",)
_LATENCIES = ("response_time_ms", "response_time")
_NAMES = ("name", "request_name")
_FAILURES = ("exception", "error")
_USERS = ("user_count", "users")
_MOST_NAMES = 1000


def recognizes(head: bytes) -> bool:
    """Whether a file's header names when each request began and how long it took."""
    names = set(header_cells(head))
    return "start_time" in names and bool(names & set(_LATENCIES))


def read_rows(
    path: Path, tally: RequestTally, breaks: Breaks, requests: dict[str, int], *, only: Collection[str] | None
) -> bool:
    """Count the requests of one file; returns whether failures are known."""
    import pyarrow as pa

    from capacity.loadtest.readers.files import head_of

    have = header_cells(head_of(path))
    of = {kind: next((n for n in known if n in have), None) for kind, known in _KINDS.items()}
    wanted = dict.fromkeys(sorted(n for n in of.values() if n is not None), pa.binary())
    for batch in record_batches(path, columns=wanted, breaks=breaks):
        start_s, latency_ms = numbers(batch.column(of["time"])), numbers(batch.column(of["latency"]))
        failed = np.zeros(batch.num_rows, dtype=bool)
        if of["failure"] is not None:
            failed = np.asarray(batch.column(of["failure"]).is_valid().to_numpy(zero_copy_only=False), dtype=bool)
        users = numbers(batch.column(of["users"])) if of["users"] is not None else None
        readable = np.isfinite(start_s) & np.isfinite(latency_ms)
        breaks.unread(int((~readable).sum()), "start_time and response_time as numbers")
        if of["name"] is not None:
            codes, names = words(batch.column(of["name"]))
            for code, count in enumerate(np.bincount(codes[readable], minlength=len(names)).tolist()):
                if count and (names[code] in requests or len(requests) < _MOST_NAMES):
                    requests[names[code]] = requests.get(names[code], 0) + count
            if only is not None:
                readable &= np.isin(np.array(names, dtype=object)[codes], sorted(only))
        tally.add(
            start_s[readable],
            latency_ms[readable] / 1e3,
            failed=failed[readable],
            users=None if users is None else users[readable],
        )
    return of["failure"] is not None


_KINDS = {"time": _TIMES, "latency": _LATENCIES, "name": _NAMES, "failure": _FAILURES, "users": _USERS}
