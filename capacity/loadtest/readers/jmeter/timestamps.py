"""Times as JMeter writes them: milliseconds since 1970, or text in any format."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Array = NDArray[np.float64]

_DAYS, _TIMES = ("%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%y/%m/%d"), ("%H:%M:%S", "%H:%M:%S.%f")
_SHORT = (*(f"{day} {time}" for day in _DAYS for time in _TIMES), *_TIMES)
"""With years of two digits, as in the example that jmeter.properties gives, or without a day."""


def numbers(column: pa.Array) -> Array:
    """Read cells as numbers, (n,); NaN where a cell is none.

    Examples
    --------
    >>> import pyarrow as pa
    >>> numbers(pa.array([b"12", b"x", None])).tolist()
    [12.0, nan, nan]
    """
    import pyarrow as pa

    try:
        whole = column.cast(pa.string()).cast(pa.int64())
    except (pa.ArrowInvalid, UnicodeDecodeError):
        import pandas as pd

        values = pd.to_numeric(pd.Series(_texts(column), dtype=object), errors="coerce").to_numpy(dtype=np.float64)
        return np.where(np.abs(values) < 1e15, values, np.nan)
    if whole.null_count:
        return np.asarray(whole.cast(pa.float64(), safe=False).fill_null(float("nan")).to_numpy(zero_copy_only=False))
    return np.asarray(whole.to_numpy(zero_copy_only=False), dtype=np.float64)


def _texts(column: pa.Array) -> list[str | None]:
    return [None if v is None else v.decode("utf-8", errors="replace") for v in column.to_pylist()]


def date_format(column: pa.Array) -> str | None:
    """Guess how times are written from the first cells that hold any; None for numbers and for what is no time.

    Examples
    --------
    >>> import pyarrow as pa
    >>> date_format(pa.array([b"2019/03/05 11:00:27.191"]))
    '%Y/%m/%d %H:%M:%S.%f'
    >>> date_format(pa.array([b"1551783627191"])) is None
    True
    """
    texts = [t for t in _texts(column.slice(0, 1000)) if t]
    for text in texts[:10]:
        if text.strip().replace(".", "", 1).isdigit():
            continue
        fits = [(int(dates(texts, g).notna().sum()), g) for g in _guesses(text.strip().replace(",", "."))]
        if fits:
            return max(fits, key=lambda f: f[0])[1]
    return None


def _guesses(text: str) -> list[str]:
    """Give formats a time may have: which of two small numbers is the month shows only where one is above 12."""
    from pandas.tseries.api import guess_datetime_format

    with warnings.catch_warnings():
        # It warns of an order that the text itself contradicts.
        warnings.simplefilter("ignore")
        guesses = [guess_datetime_format(text, dayfirst=first) for first in (False, True)]
    return [*dict.fromkeys(g for g in guesses if g), *(_SHORT if re.match(r"\d\d?[./:]\d\d", text) else ())]


def dates(texts: Sequence[str | None], form: str) -> pd.Series:
    """Read times in a format; NaT where a cell has another."""
    import pandas as pd

    plain = [None if t is None else t.strip().replace(",", ".") for t in texts]
    return pd.to_datetime(pd.Series(plain, dtype=object), format=form, errors="coerce", utc=True)


def milliseconds(column: pa.Array, form: str) -> Array:
    """Read times in a format as milliseconds, (n,); NaN where a cell has another."""
    values = dates(_texts(column), form).to_numpy(dtype="datetime64[ns]")
    return np.where(np.isnat(values), np.nan, values.astype(np.int64) / 1e6)
