"""Vegeta: requests sent at a rate, whatever the answers do.

``vegeta encode --to csv`` writes no header and twelve columns: start in nanoseconds, status, latency in nanoseconds,
bytes out and in, error, body, attack name, sequence number, method, URL, headers.

References
----------
.. [1] vegeta, README, section "encode command".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.delimited import Breaks, record_batches
from capacity.loadtest.reading import Reading
from capacity.loadtest.requests import RequestTally
from capacity.loadtest.steady import Span, steady_steps

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "vegeta"

_NAMES = (
    "timestamp_ns",
    "code",
    "latency_ns",
    "bytes_out",
    "bytes_in",
    "error",
    "body",
    "attack",
    "sequence",
    "method",
    "url",
    "headers",
)
_ROW = re.compile(rb"^\d{16,19},\d{1,3},\d+,\d+,\d+,")


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether the file begins with nanoseconds, status and latency."""
    return _ROW.match(head) is not None


@dataclass
class _Run:
    tally: RequestTally = field(default_factory=RequestTally)
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read what ``vegeta encode`` wrote; ``only`` keeps requests by "METHOD URL"."""
    run, broken = _Run(), []
    for path in files:
        breaks = Breaks(path)
        _read_csv(path, run, breaks, only)
        broken.extend(breaks.problems())
    if not run.tally.requests:
        raise InputError("no request of vegeta can be read", problems=broken or [Problem("files", "no rows", "rows")])
    steady = steady_steps(run.tally, model="open", spans=[Span(*span, label) for label, span in run.spans.items()])
    return Reading(
        steady.steps,
        steady.gates,
        steady.notes,
        tuple(broken),
        errors_counted=False,
        started_s=min(begins for begins, _ in run.spans.values()),
        requests=run.requests,
    )


def _read_csv(path: Path, run: _Run, breaks: Breaks, only: Collection[str] | None) -> None:
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    columns = {"timestamp_ns": number, "code": pa.int16(), "latency_ns": number, "attack": text}
    columns |= {"method": text, "url": text, "error": text}
    for batch in record_batches(path, columns=columns, breaks=breaks, names=_NAMES):
        _count(batch, run, only)


def _count(batch: pa.RecordBatch, run: _Run, only: Collection[str] | None) -> None:
    frame = batch.to_pandas()
    frame["name"] = frame["method"].fillna("") + " " + frame["url"].fillna("")
    for name, count in frame["name"].value_counts().items():
        run.requests[str(name)] = run.requests.get(str(name), 0) + int(count)
    if only is not None:
        frame = frame[frame["name"].isin(list(only))]
    if frame.empty:
        return
    start_s = frame["timestamp_ns"].to_numpy(dtype=np.float64) / 1e9
    latency_s = frame["latency_ns"].to_numpy(dtype=np.float64) / 1e9
    code = frame["code"].fillna(0).to_numpy(dtype=np.int64)
    run.tally.add(start_s, latency_s, failed=(code < 200) | (code >= 400))
    spans = frame.assign(start=start_s).groupby(frame["attack"].fillna(""))["start"].agg(["min", "max"])
    for label, begins, ends in spans.itertuples():
        old = run.spans.get(str(label), (begins, ends))
        run.spans[str(label)] = (min(old[0], begins), max(old[1], ends))
