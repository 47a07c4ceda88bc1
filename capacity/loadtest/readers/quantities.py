"""Times, durations and counts as load generators print them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_UNITS = (
    (1e-6, "ns"),
    (1e-3, "us µs μs"),
    (1.0, "ms"),
    (1e3, "s sec secs seconds"),
    (6e4, "m min"),
    (3.6e6, "h"),
    (8.64e7, "d"),
)
_MS = {name: size for size, names in _UNITS for name in names.split()}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-zµμ]+)")
_DURATION = re.compile(r"(?:(?:\d+(?:\.\d*)?|\.\d+)\s*[a-zµμ]+\s*)+")
_MANY = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_SWAPPED = str.maketrans(",.", ".,")
_COUNT = re.compile(r"([\d.,]+)\s*([kmgt]?)$", re.IGNORECASE)


def iso_seconds(texts: Sequence[str]) -> NDArray[np.float64]:
    """Read ISO 8601 times as seconds since 1970, NaN where a text is none, (n,).

    Examples
    --------
    >>> iso_seconds(["1970-01-01T00:01:00.5Z", "1970-01-01T01:00:00+01:00", "soon"]).tolist()
    [60.5, 0.0, nan]
    """
    import pandas as pd

    when = pd.to_datetime(pd.Series(list(texts), dtype=object), format="ISO8601", errors="coerce", utc=True)
    microseconds = when.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    return np.where(when.isna(), np.nan, microseconds / 1e6)


def duration_ms(text: str) -> float:
    """Read a duration with its units; NaN where it is none.

    Examples
    --------
    >>> duration_ms("1m2.5s"), duration_ms("706.00us"), duration_ms("13 ms"), duration_ms("fast")
    (62500.0, 0.706, 13.0, nan)
    """
    text = text.strip().lower()
    if text == "0":
        return 0.0
    if _DURATION.fullmatch(text) is None:
        return float("nan")
    parts = _PART.findall(text)
    if any(unit not in _MS for _, unit in parts):
        return float("nan")
    return sum(float(number) * _MS[unit] for number, unit in parts)


def count_of(text: str) -> float:
    """Read a count that may be shortened, with thousands set apart; NaN where it is none.

    Examples
    --------
    >>> count_of("221k"), count_of("2,333.7"), count_of("1.37k"), count_of("many")
    (221000.0, 2333.7, 1370.0, nan)
    >>> count_of("87.916,8")
    87916.8
    """
    found = _COUNT.match(text.strip())
    if found is None:
        return float("nan")
    digits = found[1]
    if digits.rfind(",") > digits.rfind(".") >= 0:
        digits = digits.translate(_SWAPPED)
    try:
        return float(digits.replace(",", "")) * _MANY[found[2].lower()]
    except ValueError:
        return float("nan")


def ratio(part: float, whole: float) -> float:
    """Divide; NaN where there is nothing to divide by.

    Examples
    --------
    >>> ratio(1.0, 4.0), ratio(1.0, 0.0)
    (0.25, nan)
    """
    return part / whole if whole > 0 else float("nan")


__all__ = ["count_of", "duration_ms", "iso_seconds", "ratio"]
