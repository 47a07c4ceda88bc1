"""Statistical samples: rows of JMeter that stand for several requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.jmeter.rows import Array, Bools, Found


def single_requests(count: Array, transaction: Bools, found: Found, path: Path) -> Bools:
    """Find the rows that stand for one request, (n,); where most stand for several, raises `InputError`.

    Parameters
    ----------
    count
        Requests in the row, (n,); NaN is one.
    transaction
        Rows that say they sum up others; these are judged elsewhere.
    found
        Takes the number of rows left out.
    path
        The file, for the message.
    """
    several = (count > 1) & ~transaction
    found.statistical += int(several.sum())
    if len(count) and several.mean() > 0.5:
        first = count[np.flatnonzero(several)[0]]
        got = f"{first:g} requests in one row"
        expected = "one row a request: single latencies are lost in statistical samples"
        remedy = "set mode=Standard or StrippedBatch in jmeter.properties of the generators"
        raise InputError(
            "the JMeter results cannot be used",
            problems=[Problem(f"{path.name} SampleCount", got, expected, remedy)],
        )
    return np.asarray(~several & ~(count == 0))
