"""Large delimited files in blocks: columns by name, rows that do not fit named, memory bounded."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capacity.errors import Problem
from capacity.loadtest.readers.files import BREAKS, UntilBreak, open_bytes

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_BYTES = 1 << 23
_MOST_SHOWN = 20


@dataclass
class Breaks:
    """Where a file broke: rows that do not fit its header, and where reading had to end."""

    path: Path
    rows: int = 0
    found: list[Problem] = field(default_factory=list)
    _unread: dict[str, int] = field(default_factory=dict)

    def row(self, invalid: Any) -> str:
        """Note a row that pyarrow cannot fit, and skip it."""
        self.rows += 1
        if len(self.found) < _MOST_SHOWN:
            where = f"{self.path.name}:{invalid.number}" if invalid.number is not None else self.path.name
            cells = f"{invalid.actual_columns} cells: {invalid.text[:60]!r}"
            self.found.append(Problem(where, cells, f"{invalid.expected_columns}, as the header has"))
        return "skip"

    def unread(self, rows: int, expected: str) -> None:
        """Note rows that were left out because cells in them are not what they should be."""
        if rows:
            self._unread[expected] = self._unread.get(expected, 0) + rows

    def line(self, number: int, text: str, said: str) -> None:
        """Note a line that cannot be read, and go on."""
        self.rows += 1
        if len(self.found) < _MOST_SHOWN:
            self.found.append(Problem(f"{self.path.name}:{number}", repr(text[:60]), f"a whole line ({said[:80]})"))

    def end(self, read_rows: int, error: BaseException) -> None:
        """Note where reading ended."""
        said = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        where = f"{self.path.name} after {read_rows} rows"
        self.found.append(Problem(where, said, "a whole file", "what stands before was read"))

    def problems(self) -> list[Problem]:
        """All that was noted; many rows alike are counted."""
        more = self.rows - sum(1 for p in self.found if ":" in p.where)
        left = [Problem(self.path.name, f"{n} rows without it", expected) for expected, n in self._unread.items()]
        return (
            self.found
            + left
            + ([Problem(self.path.name, f"{more} more rows that do not fit", "none")] if more > 0 else [])
        )


def record_batches(
    path: Path,
    *,
    columns: Mapping[str, pa.DataType],
    breaks: Breaks,
    names: Sequence[str] | None = None,
    delimiter: str = ",",
    null_values: Sequence[str] = ("", "null", "NaN", "N/A"),
    through: Callable[[io.RawIOBase], Any] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Read chosen columns of a delimited file in blocks.

    Parameters
    ----------
    path
        The file, compressed or not.
    columns
        Column to Arrow type; columns that the file does not have are left out. A cell that does not fit its type
        breaks the block it stands in: read what may be dirty as strings.
    breaks
        Takes what does not fit; reading never raises for the file's content.
    names
        Column names of a file without a header line.
    delimiter
        Between cells.
    null_values
        Cells that mean unknown.
    through
        Makes of the file's stream what is read in its stead: one that leaves out rows nobody asks for.
    """
    import pyarrow as pa
    import pyarrow.csv as pc

    done = 0
    try:
        with open_bytes(path) as raw:
            stream = UntilBreak(raw)
            reader = pc.open_csv(
                pa.PythonFile(through(stream) if through else stream, mode="r"),
                read_options=pc.ReadOptions(
                    column_names=list(names) if names is not None else None, block_size=_BLOCK_BYTES, use_threads=True
                ),
                parse_options=pc.ParseOptions(
                    delimiter=delimiter, invalid_row_handler=breaks.row, newlines_in_values=True
                ),
                convert_options=pc.ConvertOptions(
                    column_types=dict(columns),
                    include_columns=list(columns),
                    include_missing_columns=True,
                    null_values=list(null_values),
                    strings_can_be_null=True,
                ),
            )
            for batch in reader:
                yield batch
                done += batch.num_rows
            if stream.error is not None:
                breaks.end(done, stream.error)
    except (*BREAKS, pa.ArrowInvalid, pa.ArrowException, UnicodeDecodeError) as error:
        breaks.end(done, error)


def numbers(column: Any) -> NDArray[np.float64]:
    """Turn a column of text cells into numbers, NaN where a cell is none.

    Examples
    --------
    >>> import pyarrow as pa
    >>> numbers(pa.array([b"1.5", b"x", None], pa.binary())).tolist()
    [1.5, nan, nan]
    """
    import pandas as pd
    import pyarrow as pa

    try:
        values = column.cast(pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        values = pd.to_numeric(pd.Series([_text(v) for v in column.to_pylist()], dtype=object), errors="coerce")
    return np.asarray(values, dtype=np.float64)


def words(column: Any) -> tuple[NDArray[np.int64], list[str]]:
    """Turn a column of text cells into codes of its distinct words; an empty cell is the empty word.

    Examples
    --------
    >>> import pyarrow as pa
    >>> codes, names = words(pa.array([b"GET", None, b"GET"], pa.binary()))
    >>> [names[c] for c in codes]
    ['GET', '', 'GET']
    """
    encoded = column.dictionary_encode()
    names = [_text(v) for v in encoded.dictionary.to_pylist()]
    codes = encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, [*names, ""]


def _text(value: object) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)
