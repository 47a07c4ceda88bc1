"""oha: its JSON (``--output-format json``), one step a run.

It prints neither its connections nor the rate it was asked for; the number under way is by Little's law.

References
----------
.. [1] oha, ``schema.json``: times in seconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.quantities import ratio
from capacity.loadtest.readers.summaries import Summary, read_each, reading_of, refuse_only, with_timeouts, without_load
from capacity.loadtest.reading import Reading

NAME = "oha"

_KEYS = (b'"summary"', b'"latencyPercentiles"', b'"requestsPerSec"')


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether it has the keys of oha's JSON."""
    return head.lstrip().startswith(b"{") and all(key in head for key in _KEYS)


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read what oha wrote, each file as one step.

    Raises
    ------
    InputError
        Where nothing can be read.
    """
    refuse_only(only, tool=NAME)
    summaries, broken = read_each(files, _summaries_of)
    notes = ["oha does not print its connections: requests under way are by Little's law"]
    return reading_of(summaries, tool=NAME, broken=broken, notes=notes)


def _summaries_of(text: str, name: str) -> list[Summary]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("no JSON", problems=[Problem(name, str(error)[:100], "a whole JSON result")]) from None
    if not isinstance(document, dict):
        return []
    said, tails = document.get("summary"), document.get("latencyPercentiles")
    codes, errors = _counts(document.get("statusCodeDistribution")), _counts(document.get("errorDistribution"))
    # What was still under way at the end of the run did not fail.
    lost = sum(count for what, count in errors.items() if "deadline" not in what)
    refused = sum(count for code, count in codes.items() if code.isdecimal() and int(code[:9]) >= 400)
    answers = sum(codes.values())
    seconds = _number(said, "total")
    rate = answers / seconds if answers > 0 and seconds > 0 else _number(said, "requestsPerSec")
    refusing = refused / answers if answers > 0 else 0.0
    row = {f"p{share}_ms": 1e3 * _number(tails, f"p{share}") for share in (50, 95, 99)}
    row |= {"achieved_qps": rate * (1.0 - refusing), "mean_ms": 1e3 * _number(said, "average"), "seconds": seconds}
    row |= {"error_fraction": ratio(refused + lost, answers + lost)}
    timeouts = sum(count for what, count in errors.items() if "timeout" in what.lower() or "timed out" in what.lower())
    summary = Summary(name, without_load(row, answered_qps=rate))
    slowest_ms = 1e3 * _number(said, "slowest")
    return [with_timeouts(summary, timeouts, of=answers + lost, slowest_ms=slowest_ms)]


def _number(values: Any, key: str) -> float:
    value = values.get(key) if isinstance(values, dict) else None
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else math.nan


def _counts(values: Any) -> dict[str, float]:
    items = values.items() if isinstance(values, dict) else ()
    return {str(k): float(v) for k, v in items if isinstance(v, int | float) and 0 <= v < 1e300}
