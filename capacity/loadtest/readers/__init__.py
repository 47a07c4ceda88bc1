"""One reader a tool; each turns a run's files into steady steps.

A reader is a function that takes the run's files and returns the steps as a frame with the columns of
`capacity.loadtest.steps.COLUMNS`. It raises `InputError` with every problem it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from capacity.errors import InputError, Problem, did_you_mean
from capacity.loadtest.readers import csv

if TYPE_CHECKING:
    import pandas as pd

Reader = Callable[[Sequence[Path]], "pd.DataFrame"]

READERS: dict[str, Reader] = {"csv": csv.read}
"""The reader of each tool by its name in run.yaml."""

PLAIN_FORM = (
    "bring it to `tool: csv`, one row a steady step with offered_qps or concurrency, achieved_qps, and as far as known "
    "p50_ms, p95_ms, p99_ms, error_fraction, cpu_fraction, seconds"
)


def reader_of(tool: str, *, where: str) -> Reader:
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


__all__ = ["PLAIN_FORM", "READERS", "Reader", "reader_of"]
