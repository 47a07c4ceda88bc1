"""k6's JSON output (``--out json``): a line an object, ``Metric`` once for each metric, ``Point`` for each sample.

References
----------
.. [1] k6 documentation, "JSON" under "Results output".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.readers.delimited import Breaks
from capacity.loadtest.readers.files import BREAKS, lines_of
from capacity.loadtest.readers.k6.run import FAILED, TAGS, WANTED, K6Run, Samples
from capacity.loadtest.readers.quantities import iso_seconds

_BLOCK_ROWS = 50_000
_POINT = re.compile(rb'^\s*\{[^\n]*"type"\s*:\s*"(?:Point|Metric)"')
_METRIC = re.compile(rb'"metric"\s*:\s*"[a-z_]+')
_NAMED = re.compile(r'"metric"\s*:\s*"(?:' + "|".join((*WANTED, FAILED)) + '")')


def recognizes(head: bytes) -> bool:
    """Whether the first line is a ``Point`` or ``Metric`` of k6."""
    first = head.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    return _POINT.match(first) is not None and _METRIC.search(first) is not None


def read_points(path: Path, run: K6Run, breaks: Breaks) -> None:
    """Add a file's samples to a run."""
    block: list[tuple[str, str, float, dict[str, Any]]] = []
    for point in _points(path, breaks):
        block.append(point)
        if len(block) >= _BLOCK_ROWS:
            run.add(_samples(block))
            block = []
    if block:
        run.add(_samples(block))


def _points(path: Path, breaks: Breaks) -> Iterator[tuple[str, str, float, dict[str, Any]]]:
    number = 0
    try:
        for number, line in enumerate(lines_of(path), start=1):
            if _NAMED.search(line) is None:
                continue
            try:
                found = json.loads(line)
                if found["type"] != "Point":
                    continue
                data = found["data"]
                tags = data.get("tags")
                yield found["metric"], str(data["time"]), float(data["value"]), tags if isinstance(tags, dict) else {}
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                breaks.line(number, line, str(error))
    except BREAKS as error:
        breaks.end(number, error)


def _samples(block: list[tuple[str, str, float, dict[str, Any]]]) -> Samples:
    tags = {}
    for name in TAGS:
        values = [str(point[3].get(name, "")) for point in block]
        if any(values):
            tags[name] = _coded(values)
    return Samples(
        _coded([str(point[0]) for point in block]),
        iso_seconds([point[1] for point in block]),
        np.array([point[2] for point in block], dtype=np.float64),
        tags,
    )


def _coded(values: list[str]) -> tuple[NDArray[np.int64], list[str]]:
    place = {word: code for code, word in enumerate(dict.fromkeys(values))}
    return np.array([place[v] for v in values], dtype=np.int64), list(place)
