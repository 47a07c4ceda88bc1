"""Which columns a JTL file in CSV has: by its header line, or by the shape of its rows.

References
----------
.. [1] Apache JMeter, User's Manual, "Listeners", section "CSV Log format", and ``jmeter.properties``.
"""

from __future__ import annotations

import csv as standard
import re
from dataclasses import dataclass
from pathlib import Path

from capacity.errors import InputError, Problem

_DELIMITERS = ",;\t|"
_NAMED = frozenset({"timeStamp", "elapsed", "label"})
_SURE = frozenset({"elapsed", "responseCode", "threadName", "allThreads", "grpThreads", "responseMessage", "success"})
_BEFORE = ("timeStamp", "elapsed", "label", "responseCode", "responseMessage", "threadName", "dataType", "success")
_AFTER = ("Latency", "IdleTime", "Connect")
_DEFAULTS = (
    (
        *_BEFORE,
        "failureMessage",
        "bytes",
        "sentBytes",
        "grpThreads",
        "allThreads",
        "URL",
        "Latency",
        "IdleTime",
        "Connect",
    ),
    (*_BEFORE, "failureMessage", "bytes", "grpThreads", "allThreads", "URL", "Latency", "IdleTime", "Connect"),
    (*_BEFORE, "failureMessage", "bytes", "sentBytes", "grpThreads", "allThreads", "Latency", "IdleTime", "Connect"),
    (*_BEFORE, "failureMessage", "bytes", "grpThreads", "allThreads", "Latency", "IdleTime", "Connect"),
    (*_BEFORE, "failureMessage", "bytes", "grpThreads", "allThreads", "Latency", "IdleTime"),
    (*_BEFORE, "bytes", "grpThreads", "allThreads", "Latency", "IdleTime"),
    (*_BEFORE, "bytes", "grpThreads", "allThreads", "Latency"),
    (*_BEFORE, "bytes", "Latency"),
)
"""The columns that JMeter writes by default: 5.x and 4.0 to 3.2 with URLs, without, 3.1 and 3.0, 2.13 and 2.12, and
before."""

_COUNTS = frozenset({"bytes", "sentBytes", "grpThreads", "allThreads", "Latency", "IdleTime", "Connect"})
_BARE_ROW = re.compile(rb"^\d{12,13}([,;\t|])\d+\1")

HEADER = "timeStamp,elapsed,label,responseCode,responseMessage,threadName,success,allThreads"


@dataclass(frozen=True)
class Layout:
    """Delimiter and columns; ``headless`` where the file has no header line."""

    delimiter: str
    columns: tuple[str, ...]
    headless: bool = False


def first_line(head: bytes) -> str:
    r"""Give the first line that is not empty.

    Examples
    --------
    >>> first_line(b"\n a,b\r\nc")
    'a,b'
    """
    text = head.decode("utf-8", errors="replace").removeprefix("\ufeff").lstrip()
    return text.split("\n", 1)[0].strip()


def cells(line: str, delimiter: str) -> tuple[str, ...]:
    """Split a line at its delimiter, quotes heeded."""
    try:
        found = next(standard.reader([line], delimiter=delimiter), [])
    except standard.Error:
        found = line.split(delimiter)
    return tuple(cell.strip() for cell in found)


def looks_like_csv(head: bytes) -> bool:
    """Whether a file begins with a JTL header line or a JTL row."""
    line = first_line(head)
    for delimiter in _DELIMITERS:
        names = set(cells(line, delimiter))
        if len(names & (_NAMED | _SURE)) >= 3 or {"sampler_label", "aggregate_report_count"} <= names:
            return True
        if {"Label", "# Samples", "Average"} <= names:
            return True
    return _BARE_ROW.match(head) is not None and re.search(r"\b(true|false)\b", line, re.IGNORECASE) is not None


def layout_of(head: bytes, path: Path) -> Layout:
    r"""Find the columns.

    Raises
    ------
    InputError
        For a file without times, without durations or without a header line in an order that is not a default one,
        and for a summary.

    Examples
    --------
    >>> layout_of(b"timeStamp;elapsed;label\n1;2;a", Path("a.jtl")).delimiter
    ';'
    """
    line = first_line(head)
    for delimiter in _DELIMITERS:
        names = cells(line, delimiter)
        if "# Samples" in names or "aggregate_report_count" in names:
            raise _refused(path, "a summary of the whole run", "one row a request: it holds neither steps nor times")
        if len(set(names) & (_NAMED | _SURE)) >= 2:
            _check(names, path)
            return Layout(delimiter, names)
    return _headless(line, path)


def _check(names: tuple[str, ...], path: Path) -> None:
    missing = [n for n in ("timeStamp", "elapsed") if n not in names]
    if missing:
        kept = "save timestamps and elapsed times: jmeter.save.saveservice.timestamp_format=ms, …time=true"
        problems = [
            Problem(f"{path.name}:1", f"no column {n!r}", "when each request began and took", kept) for n in missing
        ]
        raise InputError("the JMeter results cannot be used", problems=problems)


def _headless(line: str, path: Path) -> Layout:
    for delimiter in _DELIMITERS:
        row = cells(line, delimiter)
        for names in _DEFAULTS:
            if len(names) == len(row) and _fits(names, row):
                return Layout(delimiter, names, headless=True)
    raise _refused(
        path,
        f"no header line: {line[:60]!r}",
        "a header line, or JMeter's default columns in their order",
        f"set jmeter.save.saveservice.print_field_names=true, or put the names before the first row, like {HEADER}",
    )


def _fits(names: tuple[str, ...], row: tuple[str, ...]) -> bool:
    of = dict(zip(names, row, strict=True))
    numbers = all(of[n].isdigit() for n in _COUNTS & of.keys())
    times = re.fullmatch(r"\d{12,13}", of["timeStamp"]) is not None and of["elapsed"].isdigit()
    return numbers and times and of["success"].lower() in ("true", "false")


def _refused(path: Path, got: str, expected: str, remedy: str = "") -> InputError:
    remedy = remedy or "give the JTL file of the run"
    return InputError("the JMeter results cannot be used", problems=[Problem(path.name, got, expected, remedy)])
