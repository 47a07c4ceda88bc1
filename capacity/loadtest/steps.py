"""The columns of a run's steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "offered_qps",
    "achieved_qps",
    "concurrency",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "error_fraction",
    "cpu_fraction",
    "seconds",
)
"""The names of formats.md: over all instances under test, one row a steady step; unknown is NaN in the frame."""

OPTIONAL = ("mean_ms", "begins_s")
"""Given where known: the mean latency, by which Little's law is checked, and when the step began after the run did."""

FRACTIONS = ("error_fraction", "cpu_fraction")

LARGEST = 1e12
"""No load test of one service has more of anything."""


def to_frame(rows: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """Put rows into a frame with every column, floats, unknown as NaN.

    Examples
    --------
    >>> to_frame([{"achieved_qps": 10.0, "concurrency": 1.0}])[["achieved_qps", "seconds"]].values.tolist()
    [[10.0, nan]]
    """
    import pandas as pd

    names = list(COLUMNS) + [n for n in OPTIONAL if any(n in row for row in rows)]
    return pd.DataFrame(list(rows), columns=names, dtype="float64")
