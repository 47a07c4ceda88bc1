"""The points curves are fitted to, of one service or of many, checked: every unusable value at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from capacity.errors import InputError, Problem

Array = NDArray[np.float64]

LARGEST = 1e15
"""Loads and rates above this are taken for errors of unit or type."""
MOST_SHOWN = 20
"""Problems that are told; of thousands, the first say it."""
_MOST_BUSY = 1.05
"""CPU fraction above which it is no reading error: a percentage, or cores."""
_NO_CURVE, _NO_CURVES = "no curve can be fitted", "no curves can be fitted"


def checked_points(load: ArrayLike, throughput: ArrayLike, *, family: str | None = None) -> tuple[Array, Array]:
    """Take loads and throughputs as arrays (n,), sorted by load, and tell every problem at once.

    They go together by position: an index of a Series says nothing.
    """
    arrays: dict[str, Array] = {}
    problems: list[Problem] = []
    for name, given in (("load", load), ("throughput", throughput)):
        try:
            values: Array = np.asarray(np.ma.filled(np.ma.asarray(given, dtype=float), np.nan))
        except (TypeError, ValueError) as error:
            problems.append(Problem(name, str(error), "numbers"))
            continue
        arrays[name] = values
        if values.ndim != 1 or values.size == 0:
            problems.append(Problem(name, f"shape {values.shape}", "one or more numbers in a row"))
        else:
            problems += _unusable(name, values, family=family)
    if not problems and arrays["load"].shape != arrays["throughput"].shape:
        problems.append(
            Problem("throughput", f"{arrays['throughput'].size} values", f"{arrays['load'].size}, one for each load")
        )
    if not problems and not arrays["throughput"].any():
        problems.append(Problem("throughput", "0 everywhere", "some requests served"))
    _tell(_NO_CURVE, problems)
    order = np.argsort(arrays["load"], kind="stable")
    return arrays["load"][order], arrays["throughput"][order]


def read_points(points: Any, *, family: str | None = None) -> tuple[tuple[str, ...], NDArray[np.int64], Array, Array]:
    """Check the three columns; names, each point's service, load and throughput."""
    import pandas as pd

    try:
        frame = pd.DataFrame(points)
    except ValueError as error:
        raise InputError(_NO_CURVES, problems=[Problem("points", str(error), "columns of one length")]) from None
    missing = [c for c in ("service", "load", "throughput") if c not in frame]
    if missing:
        raise InputError(_NO_CURVES, problems=[Problem(c, "no such column", "a column") for c in missing])
    if frame.empty:
        raise InputError(_NO_CURVES, problems=[Problem("points", "none", "one row a point")])
    problems: list[Problem] = []
    arrays = {}
    for name in ("load", "throughput"):
        arrays[name] = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        problems += _unusable(name, arrays[name], given=frame[name], family=family)
    code, names = pd.factorize(frame["service"])
    problems += [Problem(f"service[{i}]", "nothing", "a name") for i in np.flatnonzero(code < 0)]
    if not problems:
        most = np.zeros(len(names))
        np.maximum.at(most, code, arrays["throughput"])
        problems += [
            Problem(f"throughput of {names[int(i)]}", "0 everywhere", "some requests served")
            for i in np.flatnonzero(most == 0)
        ]
    _tell(_NO_CURVES, problems)
    return tuple(str(n) for n in names), code.astype(np.int64), arrays["load"], arrays["throughput"]


def _unusable(name: str, values: Array, *, given: Any = None, family: str | None) -> list[Problem]:
    """Find every value that is no load or no rate."""
    is_load = name == "load"
    found = [
        (~np.isfinite(values), "a finite number", "leave the point out"),
        ((values < 0) | (values > LARGEST), f"between 0 and {LARGEST:g}", "leave the point out"),
    ]
    if is_load:
        found.append((values == 0, "above 0", "leave out steps without load"))
    if is_load and family == "utilization":
        busy = (values > _MOST_BUSY) & (values <= LARGEST)
        found.append((busy, "a CPU fraction, at most 1", "divide a percentage by 100"))
    told = sorted((int(i), k) for k, (wrong, _, _) in enumerate(found) for i in np.flatnonzero(wrong))
    return [
        Problem(f"{name}[{i}]", f"{values[i]:g}" if given is None else repr(given.iloc[i]), *found[k][1:])
        for i, k in told
    ]


def _tell(headline: str, problems: list[Problem]) -> None:
    if problems:
        more = f"{len(problems) - MOST_SHOWN} more problems of this kind" if len(problems) > MOST_SHOWN else ""
        raise InputError(headline, problems=problems[:MOST_SHOWN], remedy=more)
