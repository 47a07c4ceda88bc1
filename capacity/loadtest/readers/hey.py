"""hey: its summary, and its CSV (``-o csv``) with every answer.

hey keeps a number of workers busy (closed) and prints that number nowhere. Its CSV holds answers alone, no failed
connections, and at most the first million.

References
----------
.. [1] hey, ``requester/print.go``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.delimited import Breaks, numbers, record_batches
from capacity.loadtest.readers.files import head_of
from capacity.loadtest.readers.quantities import duration_ms, ratio
from capacity.loadtest.readers.summaries import Summary, read_each, reading_of, refuse_only, with_timeouts, without_load
from capacity.loadtest.reading import Reading
from capacity.loadtest.requests import LONGEST_PAUSE_S, RequestTally
from capacity.loadtest.steady import Span, steady_steps

NAME = "hey"

_SUMMARY = re.compile(r"^Summary:\s*$", re.MULTILINE)
_LINE = re.compile(r"^\s*(Total|Slowest|Average|Requests/sec):\s+([\d.]+)", re.MULTILINE)
_SHARE = re.compile(r"^\s*(\d+)%+ in ([\d.]+) secs", re.MULTILINE)
_STATUS = re.compile(r"^\s*\[(\d{3})\]\s+(\d+) responses", re.MULTILINE)
_ERRORS = re.compile(r"^Error distribution:\s*$", re.MULTILINE)
_ERROR = re.compile(r"^\s*\[(\d+)\]\s+(\S.*)$", re.MULTILINE)
_TIMEOUT = re.compile(r"deadline exceeded|time-?d? ?out", re.IGNORECASE)
_COMMAND = re.compile(r"^.*\bhey\b.*\s-c[ =]?(\d+)\b.*$", re.MULTILINE)
_COLUMNS = ("response-time", "status-code", "offset")
_MOST_ROWS = 1_000_000


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether it is hey's CSV header, or a summary with its words."""
    if head.startswith(b"response-time,DNS+dialup"):
        return True
    return b"Summary:" in head and b" secs" in head and b"Requests/sec:" in head


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read what hey wrote: CSV where there is any, each file a step, else summaries.

    Raises
    ------
    InputError
        Where nothing can be read.
    """
    refuse_only(only, tool=NAME)
    by_row = [path for path in files if head_of(path, size=64).startswith(b"response-time")]
    rest = [path for path in files if path not in by_row]
    if by_row:
        return _read_rows(by_row, [path.name for path in rest])
    summaries, broken = read_each(rest, lambda text, name: list(_summaries_of(text, name)))
    note = "each summary is one step: averages over all of it, its beginning included"
    return reading_of(summaries, tool=NAME, broken=broken, notes=[note])


def _summaries_of(text: str, name: str) -> Iterator[Summary]:
    begins = [m.start() for m in _SUMMARY.finditer(text)]
    for k, begin in enumerate(begins):
        end = begins[k + 1] if k + 1 < len(begins) else len(text)
        commands = _COMMAND.findall(text[begins[k - 1] if k else 0 : begin])
        where = f"{name} summary {k + 1}" if len(begins) > 1 else name
        yield _summary(text[begin:end], where, workers=float(commands[-1]) if commands else math.nan)


def _summary(text: str, where: str, *, workers: float) -> Summary:
    said = {label: float(value) for label, value in _LINE.findall(text) if value.count(".") < 2}
    rate, seconds = said.get("Requests/sec", math.nan), said.get("Total", math.nan)
    codes = {int(code): float(count) for code, count in _STATUS.findall(text)}
    errors = _ERRORS.search(text)
    why = [(float(count), what) for count, what in _ERROR.findall(text[errors.end() :])] if errors else []
    lost, timeouts = sum(n for n, _ in why), sum(n for n, what in why if _TIMEOUT.search(what))
    failed = lost + sum(count for code, count in codes.items() if code >= 400)
    total = sum(codes.values()) + lost
    failing = ratio(failed, total)
    tails = {int(share): duration_ms(f"{value}s") for share, value in _SHARE.findall(text) if value.count(".") < 2}
    row = {f"p{share}_ms": tails.get(share, math.nan) for share in (50, 95, 99)}
    row |= {"achieved_qps": rate * (1.0 - (failing if total > 0 else 0.0)), "error_fraction": failing}
    row |= {"seconds": seconds, "mean_ms": 1e3 * said.get("Average", math.nan)}
    answered = rate * (1.0 - (lost / total if total > 0 else 0.0))
    note = "hey does not print its workers (keep the command, hey … -c N, before it): number under way by Little's law"
    if workers > 0:
        summary = Summary(where, row | {"concurrency": workers})
    else:
        summary = Summary(where, without_load(row, answered_qps=answered), notes=(note,))
    return with_timeouts(summary, timeouts, of=total, slowest_ms=1e3 * said.get("Slowest", math.nan))


def _read_rows(files: Sequence[Path], aside: Sequence[str]) -> Reading:
    import pyarrow as pa

    tally, spans, broken, notes = RequestTally(), [], list[Problem](), []
    begins_s = 0.0
    for path in files:
        breaks, ends_s, rows = Breaks(path), begins_s, 0
        for batch in record_batches(path, columns=dict.fromkeys(_COLUMNS, pa.binary()), breaks=breaks):
            latency, code, offset = (numbers(batch.column(name)) for name in _COLUMNS)
            fine = np.isfinite(latency) & np.isfinite(offset) & (latency >= 0) & (offset >= 0) & (offset < 1e7)
            breaks.unread(int((~fine).sum()), "response-time and offset in seconds")
            start, latency, code = begins_s + offset[fine], latency[fine], np.nan_to_num(code[fine])
            tally.add(start, latency, failed=(code < 200) | (code >= 400))
            ends_s = max(ends_s, float((start + latency).max(initial=ends_s)))
            rows += batch.num_rows
        broken.extend(breaks.problems())
        spans.append(Span(begins_s, ends_s + 1.0, path.name))
        notes += [f"{path.name}: hey keeps the first million answers; later ones are missing"] * (rows >= _MOST_ROWS)
        # Files do not say when they were: they are laid one after another, apart.
        begins_s = float(np.ceil(ends_s)) + 2.0 * LONGEST_PAUSE_S
    if not tally.requests:
        problems = broken or [Problem("files", "no rows", "a row a request with response-time, status-code, offset")]
        raise InputError("no request of hey can be read", problems=problems)
    steady = steady_steps(tally, model="closed", spans=spans).required(where="files", broken=broken)
    notes.append("hey's CSV holds answers alone: requests that got none are not counted, nor under way")
    notes += [f"not counted twice, as summaries of the same run: {', '.join(aside)}"] if aside else []
    return Reading(
        steady.steps, steady.gates, (*notes, *steady.notes), tuple(broken), errors_counted=False, requests={}
    )
