"""Large delimited files in blocks: columns by name, rows that do not fit named, memory bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capacity.errors import Problem
from capacity.loadtest.readers.files import BREAKS, UntilBroken

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

    def row(self, invalid: Any) -> str:
        """Note a row that pyarrow cannot fit, and skip it."""
        self.rows += 1
        if len(self.found) < _MOST_SHOWN:
            where = f"{self.path.name}:{invalid.number}" if invalid.number is not None else self.path.name
            cells = f"{invalid.actual_columns} cells: {invalid.text[:60]!r}"
            self.found.append(Problem(where, cells, f"{invalid.expected_columns}, as the header has"))
        return "skip"

    def end(self, read_rows: int, error: BaseException) -> None:
        """Note where reading ended."""
        said = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        where = f"{self.path.name} after {read_rows} rows"
        self.found.append(Problem(where, said, "a whole file", "what stands before was read"))

    def problems(self) -> list[Problem]:
        """All that was noted; many rows alike are counted."""
        more = self.rows - sum(1 for p in self.found if ":" in p.where)
        return self.found + ([Problem(self.path.name, f"{more} more rows that do not fit", "none")] if more > 0 else [])


def record_batches(
    path: Path,
    *,
    columns: Mapping[str, pa.DataType],
    breaks: Breaks,
    names: Sequence[str] | None = None,
    delimiter: str = ",",
    null_values: Sequence[str] = ("", "null", "NaN", "N/A"),
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
    """
    import pyarrow as pa
    import pyarrow.csv as pc

    done = 0
    try:
        with UntilBroken(path) as stream:
            reader = pc.open_csv(
                pa.PythonFile(stream, mode="r"),
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
