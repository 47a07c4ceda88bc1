"""What ``vegeta encode`` writes: CSV of twelve columns without a header, or JSON, a line a request.

References
----------
.. [1] vegeta, README, section "encode command".
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.readers.blocks import header_cells
from capacity.loadtest.readers.delimited import Breaks, numbers, record_batches, words
from capacity.loadtest.readers.files import BREAKS, head_of, lines_of
from capacity.loadtest.readers.labels import Names, Spans
from capacity.loadtest.readers.quantities import iso_seconds
from capacity.loadtest.requests import RequestTally

Array = NDArray[np.float64]
Words = tuple[NDArray[np.int64], list[str]]

_NAMES = (
    *("timestamp_ns", "code", "latency_ns", "bytes_out", "bytes_in", "error", "body"),
    *("attack", "sequence", "method", "url", "headers"),
)
_USED = ("timestamp_ns", "code", "latency_ns", "attack", "method", "url")
_ROW = re.compile(rb"^\d{16,19},\d{1,3},\d+,\d+,\d+,")
_JSON = (b'"attack"', b'"seq"', b'"code"', b'"timestamp"', b'"latency"')
_BLOCK_ROWS = 50_000
_FIRST_ROWS = 50


def is_csv(head: bytes) -> bool:
    """Whether the first line begins with nanoseconds, status, latency and two sizes."""
    return _ROW.match(head) is not None


def is_json_lines(head: bytes) -> bool:
    """Whether the first line is an object with the keys of a result."""
    first = head.split(b"\n", 1)[0]
    return first.lstrip().startswith(b"{") and all(key in first for key in _JSON)


def first_instant(head: bytes) -> tuple[str, float] | None:
    """Return start and latency (seconds) of the first request, which no other run shares to the nanosecond."""
    first = head.split(b"\n", 1)[0].decode("utf-8", errors="replace")
    try:
        if is_csv(head):
            cells = first.split(",", 3)
            start = np.datetime64(int(cells[0]), "ns")
            return str(start), float(cells[2]) / 1e9
        found = json.loads(first)
        moment = datetime.fromisoformat(found["timestamp"])
        digits = re.search(r"\.(\d+)", found["timestamp"])
        whole = np.datetime64(moment.astimezone(UTC).replace(tzinfo=None, microsecond=0), "ns")
        nanoseconds = int((digits.group(1) if digits else "0").ljust(9, "0")[:9])
        return str(whole + np.timedelta64(nanoseconds, "ns")), float(found["latency"]) / 1e9
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


@dataclass
class VegetaRun:
    """Everything that was read so far."""

    only: Collection[str] | None = None
    tally: RequestTally = field(default_factory=RequestTally)
    spans: Spans = field(default_factory=Spans)
    names: Names = field(default_factory=Names)

    def add(self, source: str, start_s: Array, code: Array, latency_s: Array, *, attack: Words, name: Words) -> None:
        """Count requests of a file: start, status (0 where there was no answer), latency; (n,) each."""
        known = np.isfinite(start_s) & np.isfinite(latency_s) & (latency_s >= 0)
        codes, names = name
        self.names.add(codes[known], names)
        if self.only is not None:
            known &= np.isin(codes, [i for i, word in enumerate(names) if word in self.only])
        rows = np.flatnonzero(known)
        code = np.nan_to_num(code[rows])
        self.tally.add(start_s[rows], latency_s[rows], failed=(code < 200) | (code >= 400))
        for place in np.unique(attack[0][rows]):
            begun = start_s[rows][attack[0][rows] == place]
            # An attack without a name is named by its file, so that a file a step is a step.
            label = f"{source} {attack[1][place]}".strip()
            self.spans.add(label, float(begun.min()), float(begun.max()), len(begun))


def read_csv(path: Path, run: VegetaRun, breaks: Breaks) -> None:
    """Add a CSV file's requests to a run."""
    import pyarrow as pa

    names = _names(head_of(path))
    columns = dict.fromkeys(_USED, pa.binary())
    for batch in record_batches(path, columns=columns, breaks=breaks, names=names):
        start, code, latency = (numbers(batch.column(c)) for c in ("timestamp_ns", "code", "latency_ns"))
        name = _joined(words(batch.column("method")), words(batch.column("url")))
        breaks.unread(int((~np.isfinite(start) | ~np.isfinite(latency)).sum()), "start and latency in nanoseconds")
        run.add(path.name, start / 1e9, code, latency / 1e9, attack=words(batch.column("attack")), name=name)


def _names(head: bytes) -> list[str]:
    """Name as many columns as most of the first rows have: earlier versions wrote fewer, the same ones first."""
    lines = head.splitlines()
    widths = [len(header_cells(line)) for line in lines[: max(min(len(lines) - 1, _FIRST_ROWS), 1)]]
    width = max(set(widths), key=widths.count, default=len(_NAMES))
    return [*_NAMES, *(f"more_{i}" for i in range(width))][:width]


def _joined(one: Words, other: Words) -> Words:
    pairs, place = np.unique(np.stack([one[0], other[0]]), axis=1, return_inverse=True)
    names = [f"{one[1][a]} {other[1][b]}".strip() for a, b in pairs.T]
    return np.asarray(place, dtype=np.int64).reshape(-1), names


def read_json_lines(path: Path, run: VegetaRun, breaks: Breaks) -> None:
    """Add a JSON file's requests to a run."""
    block: list[dict[str, Any]] = []
    for result in _results(path, breaks):
        block.append(result)
        if len(block) >= _BLOCK_ROWS:
            _add_block(path.name, block, run)
            block = []
    _add_block(path.name, block, run)


def _results(path: Path, breaks: Breaks) -> Iterator[dict[str, Any]]:
    number = 0
    try:
        for number, line in enumerate(lines_of(path), start=1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
                found["latency_s"], found["code"] = float(found["latency"]) / 1e9, float(found["code"])
                found["timestamp"] = str(found["timestamp"])
                yield found
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                breaks.line(number, line, str(error))
    except BREAKS as error:
        breaks.end(number, error)


def _add_block(source: str, block: list[dict[str, Any]], run: VegetaRun) -> None:
    if not block:
        return
    start = iso_seconds([result["timestamp"] for result in block])
    code, latency = (np.array([result[key] for result in block]) for key in ("code", "latency_s"))
    names = [f"{result.get('method', '')} {result.get('url', '')}".strip() for result in block]
    attacks = [str(result.get("attack", "")) for result in block]
    run.add(source, start, code, latency, attack=_coded(attacks), name=_coded(names))


def _coded(values: list[str]) -> Words:
    place = {word: code for code, word in enumerate(dict.fromkeys(values))}
    return np.array([place[v] for v in values], dtype=np.int64), list(place)
