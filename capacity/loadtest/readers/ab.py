"""ApacheBench: its text, and the rows of ``-g``; percentiles of ``-e`` say nothing of throughput.

ab keeps a number of connections busy (closed). A request fails of ``Length`` where its answer is not as long as the
first one: that is no failure of a page that changes, and is not counted.

References
----------
.. [1] Apache HTTP Server documentation, "ab", and ``support/ab.c``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.delimited import Breaks, numbers, record_batches
from capacity.loadtest.readers.files import head_of
from capacity.loadtest.readers.quantities import count_of
from capacity.loadtest.readers.summaries import Summary, read_each, reading_of, refuse_only, without_load
from capacity.loadtest.reading import Reading
from capacity.loadtest.requests import RequestTally, spread_over_second

NAME = "ab"

_BEGINS = re.compile(r"^\s*Concurrency Level:", re.MULTILINE)
_LINE = re.compile(r"^[ \t]*([A-Z][A-Za-z0-9 -]+?):[ \t]+([\d.]+)", re.MULTILINE)
_WHY = re.compile(r"\(Connect: (\d+), Receive: (\d+), Length: (\d+), Exceptions: (\d+)\)")
_TOTAL = re.compile(r"^\s*Total:\s+(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)\s", re.MULTILINE)
_SHARE = re.compile(r"^\s*(\d+)%\s+(\d+(?:\.\d+)?)\b", re.MULTILINE)
_LEAST_S = 5
_ROWS = b"starttime\tseconds\tctime\tdtime\tttime\twait"
_SHARES = b"Percentage served,Time in ms"


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether it is ab's text, its rows, or its percentiles."""
    return head.startswith((_ROWS, _SHARES)) or (b"Concurrency Level:" in head and b"Complete requests:" in head)


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read what ab wrote: its text, each run a step, else the rows of ``-g``.

    Raises
    ------
    InputError
        Where nothing can be read.
    """
    refuse_only(only, tool=NAME)
    heads = {path: head_of(path, size=256) for path in files}
    shares = [path for path in files if heads[path].startswith(_SHARES)]
    rows = [path for path in files if heads[path].startswith(_ROWS)]
    texts = [path for path in files if path not in shares and path not in rows]
    if texts:
        summaries, broken = read_each(texts, lambda text, name: list(_runs(text, name)))
        notes = ["each run is one step: averages over all of it, its beginning included"]
        aside = ", ".join(path.name for path in [*rows, *shares])
        notes += [f"not counted twice, as the same runs: {aside}"] if aside else []
        return reading_of(summaries, tool=NAME, broken=broken, notes=notes)
    if rows:
        return _read_rows(rows)
    problems = [Problem(path.name, "percentiles alone", "the text ab prints, or its rows (-g)") for path in shares]
    raise InputError("percentiles say nothing of throughput", problems=problems, remedy="keep what ab prints as well")


def _runs(text: str, name: str) -> Iterator[Summary]:
    begins = [m.start() for m in _BEGINS.finditer(text)]
    for k, begin in enumerate(begins):
        end = begins[k + 1] if k + 1 < len(begins) else len(text)
        yield _run(text[begin:end], f"{name} run {k + 1}" if len(begins) > 1 else name)


def _run(text: str, where: str) -> Summary:
    said: dict[str, float] = {}
    for label, value in _LINE.findall(text):
        # "Time per request" stands twice: first as seen by a connection, then over all of them.
        said.setdefault(label, count_of(value))
    complete, seconds = said.get("Complete requests", math.nan), said.get("Time taken for tests", math.nan)
    rate = complete / seconds if seconds > 0 else said.get("Requests per second", math.nan)
    why = _WHY.search(text)
    failed = said.get("Failed requests", 0.0) - (float(why[3]) if why else 0.0)
    failing = min((failed + said.get("Non-2xx responses", 0.0)) / complete, 1.0) if complete > 0 else math.nan
    tails = {int(share): float(value) for share, value in _SHARE.findall(text)}
    total = _TOTAL.search(text)
    row = {f"p{share}_ms": tails.get(share, math.nan) for share in (50, 95, 99)}
    row |= {"achieved_qps": rate * (1.0 - (0.0 if math.isnan(failing) else failing)), "error_fraction": failing}
    row |= {"concurrency": said.get("Concurrency Level", math.nan), "seconds": seconds}
    row |= {"mean_ms": float(total[2]) if total else said.get("Time per request", math.nan)}
    other = why[3] if why else "0"
    notes = (f"{where}: {other} answers of another length than the first are not counted as failed",)
    return Summary(where, row, notes=notes if float(other) > 0 else ())


def _read_rows(files: Sequence[Path]) -> Reading:
    found, broken = list[Summary](), list[Problem]()
    for path in files:
        breaks = Breaks(path)
        tally = _tally_of(path, breaks)
        broken.extend(breaks.problems())
        found.extend(_steady_of(tally, path.name) if tally.requests else [])
    notes = [
        "starts are whole seconds, in the order of latency: the number under way is by Little's law, a file a step",
        "rows of ab do not say whether a request failed: all count as answered",
    ]
    reading = reading_of(found, tool=NAME, broken=broken, notes=notes)
    return replace(reading, errors_counted=None)


def _tally_of(path: Path, breaks: Breaks) -> RequestTally:
    import pyarrow as pa

    tally, columns = RequestTally(), dict.fromkeys(("seconds", "ttime"), pa.binary())
    for batch in record_batches(path, columns=columns, breaks=breaks, delimiter="\t"):
        start, latency = numbers(batch.column("seconds")), numbers(batch.column("ttime")) / 1e3
        breaks.unread(int((~np.isfinite(start + latency)).sum()), "seconds and ttime")
        tally.add(start + spread_over_second(len(start)), latency, failed=np.zeros(len(start), bool))
    return tally


def _steady_of(tally: RequestTally, name: str) -> list[Summary]:
    """Measure the seconds in which requests both began and ended, the first two and the last left out."""
    seconds = tally.seconds()
    first, last = int(seconds.second[0]), int(seconds.second[np.flatnonzero(seconds.starts)[-1]])
    begins_s, ends_s = (first + 2, last) if last - first >= _LEAST_S else (first, last + 1)
    inside = (seconds.second >= begins_s) & (seconds.second < ends_s)
    answered = float(seconds.ends[inside].sum())
    if answered <= 0:
        return []
    rate = answered / (ends_s - begins_s)
    mean_ms = 1e3 * float(seconds.latency_s[inside].sum()) / answered
    row = {f"p{q}_ms": 1e3 * tally.percentile_s(q / 100, begins_s=begins_s, ends_s=ends_s) for q in (50, 95, 99)}
    row |= {"achieved_qps": rate, "seconds": float(ends_s - begins_s), "mean_ms": mean_ms}
    return [Summary(name, without_load(row, answered_qps=rate), began_s=float(begins_s))]
