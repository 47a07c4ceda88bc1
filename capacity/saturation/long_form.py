"""The points of many services, checked: every unusable value at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.errors import InputError, Problem

Array = NDArray[np.float64]

LARGEST = 1e15
"""Loads and rates above this are taken for errors of unit or type."""
MOST_SHOWN = 20
"""Problems that are told; of thousands, the first say it."""


def read_points(points: Any) -> tuple[tuple[str, ...], NDArray[np.int64], Array, Array]:
    """Check the three columns; names, each point's service, load and throughput."""
    import pandas as pd

    try:
        frame = pd.DataFrame(points)
    except ValueError as error:
        problem = Problem("points", str(error), "columns of one length")
        raise InputError("no curves can be fitted", problems=[problem]) from None
    missing = [c for c in ("service", "load", "throughput") if c not in frame]
    if missing:
        raise InputError(
            "no curves can be fitted", problems=[Problem(c, "no such column", "a column") for c in missing]
        )
    if frame.empty:
        raise InputError("no curves can be fitted", problems=[Problem("points", "none", "one row a point")])
    problems: list[Problem] = []
    arrays = {}
    for name in ("load", "throughput"):
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        arrays[name] = values
        wrong = ~np.isfinite(values) | (values < 0) | (values > LARGEST) | ((values == 0) if name == "load" else False)
        expected = f"a number {'above' if name == 'load' else 'of at least'} 0 and up to {LARGEST:g}"
        problems += [
            Problem(f"{name}[{i}]", repr(frame[name].iloc[i]), expected, "leave the point out")
            for i in np.flatnonzero(wrong)
        ]
    code, names = pd.factorize(frame["service"])
    problems += [Problem(f"service[{i}]", "nothing", "a name") for i in np.flatnonzero(code < 0)]
    if not problems:
        most = np.zeros(len(names))
        np.maximum.at(most, code, arrays["throughput"])
        problems += [
            Problem(f"throughput of {names[int(i)]}", "0 everywhere", "some requests served")
            for i in np.flatnonzero(most == 0)
        ]
    if problems:
        more = f"{len(problems) - MOST_SHOWN} more problems of this kind" if len(problems) > MOST_SHOWN else ""
        raise InputError("no curves can be fitted", problems=problems[:MOST_SHOWN], remedy=more)
    return tuple(str(n) for n in names), code.astype(np.int64), arrays["load"], arrays["throughput"]
