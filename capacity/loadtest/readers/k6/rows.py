"""k6's CSV output (``--out csv``): a row a sample, columns by what ``--system-tags`` asked for.

References
----------
.. [1] k6 documentation, "CSV" under "Results output": timestamps are whole seconds unless ``K6_CSV_TIME_FORMAT`` says
   ``unix_milli``, ``unix_micro``, ``unix_nano``, ``rfc3339`` or ``rfc3339_nano``.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capacity.errors import Problem
from capacity.loadtest.readers.blocks import header_cells
from capacity.loadtest.readers.delimited import Breaks, numbers, record_batches, words
from capacity.loadtest.readers.files import head_of
from capacity.loadtest.readers.k6.lines import WantedRows
from capacity.loadtest.readers.k6.run import FAILED, TAGS, WANTED, K6Run, Samples
from capacity.loadtest.readers.quantities import iso_seconds

if TYPE_CHECKING:
    import pyarrow as pa

_NEEDED = ("metric_name", "timestamp", "metric_value")
# Seconds of the years 2001 to 5138 have at most eleven digits; each finer unit has three more.
_UNITS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))


def recognizes(head: bytes) -> bool:
    """Whether the first line names k6's columns."""
    return b"metric_name" in head[:4096] and set(_NEEDED) <= {name.strip() for name in header_cells(head)}


def read_rows(path: Path, run: K6Run, breaks: Breaks) -> None:
    """Add a file's samples to a run."""
    import pyarrow as pa

    names = [name.strip() for name in header_cells(head_of(path))]
    told = {"expected_response", "status", "error_code"} & set(names)
    cells = WANTED if told else (*WANTED, FAILED)
    streams: list[WantedRows] = []

    def through(stream: io.RawIOBase) -> WantedRows:
        streams.append(WantedRows(stream, [cell.encode() for cell in cells]))
        return streams[-1]

    columns = dict.fromkeys([*_NEEDED, *(tag for tag in TAGS if tag in names)], pa.binary())
    first = names[:1] == ["metric_name"]
    for batch in record_batches(path, columns=columns, breaks=breaks, through=through if first else None):
        if batch.num_rows:
            samples = samples_of(batch)
            run.add(samples)
            breaks.unread(int((~np.isfinite(samples.time_s + samples.value)).sum()), "a time and a value")
    unclosed = sum(stream.unclosed for stream in streams)
    if unclosed:
        breaks.found.append(Problem(path.name, f"{unclosed} rows with a quote that is not closed", "whole rows"))


def samples_of(batch: pa.RecordBatch) -> Samples:
    """Turn a block of rows into samples."""
    tags = {name: words(batch.column(name)) for name in batch.schema.names if name in TAGS}
    return Samples(
        words(batch.column("metric_name")),
        times_s(batch.column("timestamp")),
        numbers(batch.column("metric_value")),
        {name: tag for name, tag in tags.items() if any(tag[1])},
    )


def times_s(column: Any) -> NDArray[np.float64]:
    """Read times in any of k6's formats as seconds since 1970, NaN where a cell is none.

    Examples
    --------
    >>> import pyarrow as pa
    >>> times_s(pa.array([b"1700000000", b"1700000000500", b"2023-11-14T22:13:21Z", b"x"])).tolist()
    [1700000000.0, 1700000000.5, 1700000001.0, nan]
    """
    found = numbers(column).copy()
    unread = np.isnan(found)
    if unread.any():
        texts = [str(v, "utf-8", "replace") if isinstance(v, bytes) else "" for v in column.to_pylist()]
        found[unread] = iso_seconds([text for text, none in zip(texts, unread, strict=True) if none])
    for from_value, unit in _UNITS:
        found = np.where(np.abs(found) >= from_value, found * unit, found)
    return found
