"""Answers of Prometheus' HTTP API as they were saved: range queries, and what else may lie beside them.

References
----------
.. [1] Prometheus, "HTTP API", section "Range queries": resultType matrix, values of [seconds, "number"].
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.errors import Problem
from capacity.loadtest.readers.files import BREAKS, blocks_of
from capacity.loadtest.steps import LARGEST

Array = NDArray[np.float64]

_ANSWER = re.compile(rb'^\s*\{\s*"(status"\s*:\s*"(success|error)"|data"\s*:\s*\{\s*"resultType")')
_SERIES = re.compile(r'"metric"\s*:\s*(\{[^{}]*\})\s*,\s*"values"\s*:\s*\[\s*((?:\[[^\[\]]*\][\s,]*)*)')
_VALUE = re.compile(r'\[\s*([-+0-9.eE]+)\s*,\s*"([^"]*)"\s*\]')
_LARGEST_FILE = 1 << 28
_MOST_SERIES = 20_000


@dataclass(frozen=True)
class Series:
    """One series: labels, the file it stands in, when it was read in seconds since 1970, and its values, (n,)."""

    labels: dict[str, str]
    stem: str
    at_s: Array
    numbers: Array

    @property
    def name(self) -> str:
        """The metric's name; where an expression left none, that of the file."""
        return self.labels.get("__name__") or self.stem


def recognizes(head: bytes) -> bool:
    """Whether a file begins as an answer of the HTTP API.

    Examples
    --------
    >>> recognizes(b'{"status":"success","data":{"resultType":"matrix","result":[')
    True
    """
    return _ANSWER.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def read_answer(path: Path, problems: list[Problem], notes: list[str]) -> list[Series]:
    """Read the series of one file; what is no range query is noted, what is broken gives what stands before."""
    text, damage = _text(path)
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        said = str(damage) if damage is not None else str(error) or type(error).__name__
        found = list(_salvaged(text, path))
        where = f"{path.name} after {sum(len(s.at_s) for s in found)} values"
        problems.append(Problem(where, said, "a whole answer", "what stands before was read"))
        return found
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        _no_range(path, answer, problems, notes)
        return []
    if data.get("resultType") != "matrix":
        got = f"resultType {data.get('resultType')!r}"
        expected = "matrix: a range query"
        problems.append(Problem(path.name, got, expected, "ask /api/v1/query_range with start, end and step"))
        return []
    return list(_series(data.get("result"), path))


def _text(path: Path) -> tuple[str, BaseException | None]:
    raw = b""
    damage: BaseException | None = None
    try:
        for block in blocks_of(path):
            raw += block
            if len(raw) > _LARGEST_FILE:
                break
    except BREAKS as error:
        damage = error
    return raw.decode("utf-8", errors="replace").removeprefix("\ufeff"), damage


def _no_range(path: Path, answer: Any, problems: list[Problem], notes: list[str]) -> None:
    if isinstance(answer, dict) and isinstance(answer.get("data"), list):
        notes.append(f"{path.name} lists names and holds no measurements: passed over")
        return
    said = answer.get("error") if isinstance(answer, dict) else None
    got = f"an error: {said}" if said else "no data"
    problems.append(Problem(path.name, got, "the answer to a range query", "repeat the query"))


def _series(result: Any, path: Path) -> Iterator[Series]:
    for item in (result if isinstance(result, list) else [])[:_MOST_SERIES]:
        metric, values = (item.get("metric"), item.get("values")) if isinstance(item, dict) else (None, None)
        if not isinstance(metric, dict) or not isinstance(values, list):
            continue
        pairs = [v for v in values if isinstance(v, list) and len(v) == 2]
        yield _made({str(k): str(v) for k, v in metric.items()}, path, [(_real(t), _real(v)) for t, v in pairs])


def _salvaged(text: str, path: Path) -> Iterator[Series]:
    for found in _SERIES.finditer(text):
        try:
            labels = json.loads(found.group(1))
        except ValueError:
            labels = {}
        pairs = [(_real(t), _real(v)) for t, v in _VALUE.findall(found.group(2))]
        yield _made({str(k): str(v) for k, v in labels.items()}, path, pairs)


def _made(labels: dict[str, str], path: Path, pairs: list[tuple[float, float]]) -> Series:
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    table = table[(np.abs(table[:, 0]) < 1e11) & np.isfinite(table[:, 1]) & (np.abs(table[:, 1]) < LARGEST)]
    at, first = np.unique(table[:, 0], return_index=True)
    return Series(labels, path.name.split(".")[0], at, table[first, 1])


def _real(value: Any) -> float:
    """Read a number; NaN for what is none, as Prometheus itself writes it."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return float("nan")
    try:
        return float(value)
    except (ValueError, OverflowError):
        return float("nan")
