"""One block of a delimited file: its cells as columns."""

from __future__ import annotations

import csv as standard
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Block:
    """Whole rows; ``first`` where the file's header may stand in them, ``quoted`` where quotes pair up."""

    data: bytes
    first: bool
    quoted: bool


@dataclass(frozen=True)
class Form:
    """How a file's rows are made.

    Attributes
    ----------
    columns
        The columns to be read, and their types.
    names
        All its columns; None until its header line was seen.
    delimiter
        Between cells.
    null_values
        Cells that mean unknown.
    header
        Whether the first line is a header.
    """

    columns: Mapping[str, pa.DataType]
    names: tuple[str, ...] | None
    delimiter: str
    null_values: Sequence[str]
    header: bool = False

    def named(self, data: bytes) -> Form:
        """Take the names from the first line."""
        return replace(self, names=header_cells(data, delimiter=self.delimiter), header=True)


def header_cells(data: bytes, *, delimiter: str = ",") -> tuple[str, ...]:
    r"""Split the first line that is not empty.

    Examples
    --------
    >>> header_cells(b'\xef\xbb\xbf"a b",c\r\n1,2')
    ('a b', 'c')
    """
    line = data.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").split(b"\n", 1)[0]
    text = line.decode("utf-8", errors="replace").rstrip("\r")
    try:
        cells = next(standard.reader([text], delimiter=delimiter), [])
    except standard.Error:
        cells = text.split(delimiter)
    return tuple(cells)


@dataclass
class Parsed:
    """What a block holds: batches, rows that do not fit, cells of another type by column, the number of lines.

    ``unclosed`` are lines with a quote that is never closed, by their number in the block, from 0.
    """

    batches: list[pa.RecordBatch] = field(default_factory=list)
    invalid: list[Any] = field(default_factory=list)
    misfits: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    unclosed: list[tuple[int, str]] = field(default_factory=list)
    error: BaseException | None = None


def parse(block: Block, form: Form) -> Parsed:
    """Read a block; never raises for what stands in it."""
    import pyarrow as pa

    found = Parsed(lines=int(np.count_nonzero(np.frombuffer(block.data, dtype=np.uint8) == 10)))
    block = replace(block, data=_as_utf8(block.data))
    if not block.quoted:
        block = _without_open_quotes(block, found)
    try:
        try:
            table = _table(block, form, form.columns, found)
        except pa.ArrowInvalid:
            found.invalid.clear()
            table = _by_cell(block, form, found)
        found.batches = table.combine_chunks().to_batches()
    except (pa.ArrowInvalid, pa.ArrowException, UnicodeDecodeError) as error:
        found.error = error
    return found


def _as_utf8(data: bytes) -> bytes:
    """Replace what is no UTF-8: pyarrow cannot say which row does not fit if it cannot decode it."""
    if data.isascii():
        return data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("utf-8", errors="replace").encode("utf-8")
    return data


def _without_open_quotes(block: Block, found: Parsed) -> Block:
    """Leave out lines with an open quote, of a block in which one is never closed and would swallow the rest."""
    lines = block.data.split(b"\n")
    odd = [i for i, line in enumerate(lines) if line.count(b'"') % 2]
    found.unclosed = [(i, lines[i].decode("utf-8", errors="replace")) for i in odd]
    for i in odd:
        lines[i] = b""
    return replace(block, data=b"\n".join(lines))


def _table(block: Block, form: Form, columns: Mapping[str, pa.DataType], found: Parsed) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv as pc

    def skip(invalid: Any) -> str:
        found.invalid.append(invalid)
        return "skip"

    names = form.names or ()
    read = pc.ReadOptions(
        column_names=list(names),
        block_size=max(len(block.data), 1) + 1,
        use_threads=False,
        skip_rows=1 if block.first and form.header else 0,
    )
    return pc.read_csv(
        pa.BufferReader(block.data),
        read_options=read,
        parse_options=pc.ParseOptions(
            delimiter=form.delimiter,
            invalid_row_handler=skip,
            newlines_in_values=block.quoted and b'"' in block.data,
        ),
        convert_options=pc.ConvertOptions(
            column_types=dict(columns),
            include_columns=list(columns),
            include_missing_columns=True,
            null_values=list(form.null_values),
            strings_can_be_null=True,
        ),
    )


def _by_cell(block: Block, form: Form, found: Parsed) -> pa.Table:
    """Read a block in which some cell is not of its column's type: that cell becomes unknown."""
    import pyarrow as pa

    table = _table(block, form, dict.fromkeys(form.columns, pa.binary()), found)
    fitted = {name: _fitted(table.column(name).combine_chunks(), kind) for name, kind in form.columns.items()}
    for name, column in fitted.items():
        lost = column.null_count - table.column(name).null_count
        if lost > 0:
            found.misfits[name] = lost
    return pa.table(fitted)


def _fitted(column: pa.Array, kind: pa.DataType) -> pa.Array:
    import pandas as pd
    import pyarrow as pa

    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    cells = [None if v is None else v.decode("utf-8", errors="replace") for v in column.to_pylist()]
    if pa.types.is_binary(plain):
        fitted = column
    elif pa.types.is_string(plain):
        fitted = pa.array(cells, pa.string())
    elif pa.types.is_boolean(plain):
        of_text = {"true": True, "1": True, "false": False, "0": False}
        fitted = pa.array([of_text.get((c or "").strip().lower()) for c in cells], pa.bool_())
    else:
        values = pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
        if pa.types.is_integer(plain):
            top = 2.0 ** (plain.bit_width - 1)
            exact = [_whole(c) for c in cells]
            fitted = pa.array([w if w is not None and -top <= w < top else None for w in exact], plain)
        else:
            fitted = pa.array(values, plain, from_pandas=True)
    return fitted.dictionary_encode() if pa.types.is_dictionary(kind) else fitted


def _whole(cell: str | None) -> int | None:
    if cell is None or len(cell) > 30:
        return None
    try:
        return int(cell)
    except ValueError:
        return None
