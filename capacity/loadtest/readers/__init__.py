"""One reader a tool; each turns a run's files into steady steps.

A reader is a module that follows `capacity.loadtest.reading.Tool`: its ``NAME`` as run.yaml says it, ``recognizes`` by
content, and ``read``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from capacity.errors import InputError, Problem, did_you_mean
from capacity.loadtest.readers import (
    ab,
    autocannon,
    csv,
    gatling,
    hey,
    jmeter,
    k6,
    locust,
    oha,
    prometheus,
    vegeta,
    wrk,
)
from capacity.loadtest.readers.files import head_of
from capacity.loadtest.reading import Tool

_ALL: tuple[Tool, ...] = (k6, vegeta, jmeter, gatling, locust, prometheus, wrk, hey, ab, autocannon, oha, csv)

READERS: dict[str, Tool] = {tool.NAME: tool for tool in _ALL}
"""The reader of each tool by its name in run.yaml; in the order in which they are asked whether a file is theirs."""

PLAIN_FORM = (
    "bring it to `tool: csv`, one row a steady step with offered_qps or concurrency, achieved_qps, and as far as known "
    "p50_ms, p95_ms, p99_ms, error_fraction, cpu_fraction, seconds"
)


def reader_of(tool: str, *, where: str) -> Tool:
    """Find the reader of a tool.

    Raises
    ------
    InputError
        For a tool that has none, with what is supported and how to bring its output to the plain form.

    Examples
    --------
    >>> reader_of("locst", where="run.yaml")
    Traceback (most recent call last):
    capacity.errors.InputError: no reader for the tool 'locst'
    ...
    """
    if tool in READERS:
        return READERS[tool]
    hint = did_you_mean(tool, READERS)
    raise InputError(
        f"no reader for the tool {tool!r}",
        problems=[Problem(f"{where} tool", repr(tool), "one of " + ", ".join(READERS), hint)],
        remedy=PLAIN_FORM,
    )


def recognize(path: Path) -> Tool | None:
    """Find whose file this is, by its content; None where nobody's.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.txt")
    ...     _ = path.write_text("achieved_qps,concurrency")
    ...     recognize(path).NAME
    'csv'
    """
    head = head_of(path)
    return next((tool for tool in _ALL if tool.recognizes(head, path)), None) if head else None


def group_by_tool(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Sort files by the tool that wrote them, in their order; what nobody wrote is left out."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        tool = recognize(path)
        if tool is not None:
            found.setdefault(tool.NAME, []).append(path)
    return found


__all__ = ["PLAIN_FORM", "READERS", "group_by_tool", "reader_of", "recognize"]
