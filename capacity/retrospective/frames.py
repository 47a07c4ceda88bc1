"""Frames' rows and values as plain Python."""

from typing import Any

import numpy as np
import pandas as pd


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def number(value: object) -> float:
    """Return a value as a float, NaN when it is unknown or no number.

    Examples
    --------
    >>> number(3), number(None), number("3")
    (3.0, nan, nan)
    """
    if isinstance(value, np.generic):
        value = value.item()
    return float(value) if isinstance(value, (int, float)) else float("nan")


def json_value(value: object) -> object:
    """Return a value as JSON knows it: times in ISO form, unknown as ``None``.

    Examples
    --------
    >>> json_value(float("nan")), json_value(pd.NA), json_value(np.int64(3)), json_value(pd.Timestamp("2026-11-11"))
    (None, None, 3, '2026-11-11T00:00:00')
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value.isoformat() if hasattr(value, "isoformat") else value


def json_rows(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return a frame's rows as JSON objects."""
    return [{key: json_value(value) for key, value in row.items()} for row in rows_of(frame)]


def some(names: list[str], most: int = 5) -> str:
    """List the first few names and how many there are beyond.

    Examples
    --------
    >>> some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
