"""Streams of raw rows with their line numbers, in one shape whatever the file.

Every batch has ``_line`` (of the file, from 1; of Parquet, the row), ``_broken`` (why the row could not be split
into cells, else null), ``_text`` (what stood there then), and the contract's columns: text of text files,
the file's own types of Parquet. Nothing is held beyond a batch.
"""

import codecs
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from capacity.errors import InputError, Problem
from capacity.history.contracts import Contract
from capacity.history.sources import Source, read_head

_BLOCK_BYTES = 1 << 22
_BATCH_ROWS = 1 << 17
_LARGEST_DEPENDENCIES = 1 << 26
# Waiting for their place between good rows; beyond it the file is of another shape.
_MOST_BROKEN = 1_000_000
_HEAD = [("_line", pa.int64()), ("_broken", pa.string()), ("_text", pa.string())]


@dataclass
class RawRows:
    """A stream of raw rows.

    Parameters
    ----------
    schema
        Of every batch.
    batches
        Consumed once.
    as_json
        Rows are JSON texts in ``_text``, still to be taken apart.
    notes
        What was seen on the way; complete when the stream is consumed.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    as_json: bool = False
    notes: list[str] = field(default_factory=list)
    failure: InputError | None = None

    def reader(self) -> pa.RecordBatchReader:
        """Return the stream for an engine to read."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches)


def read_rows(source: Source, *, contract: Contract) -> RawRows:
    """Open a file as a stream of raw rows.

    Raises
    ------
    InputError
        While streaming, if the file breaks off or cannot be split into rows at all.
    """
    if source.format == "parquet":
        return _read_parquet(source, contract)
    if source.format == "json_lines":
        return _read_lines(source)
    if source.format == "dependencies":
        return _read_dependencies(source, contract)
    return _read_csv(source, contract)


def rows_of_table(table: pa.Table, *, contract: Contract) -> RawRows:
    """Return an Arrow table's rows as a stream; the line is the row, from 1."""
    return _typed_rows(table.schema, iter(table.to_batches(max_chunksize=_BATCH_ROWS)), contract)


class _Repaired(io.RawIOBase):
    """UTF-8 text with what is not UTF-8 replaced by U+FFFD, so that a row, not a file, is rejected."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = b""
        self._ended = False
        self.line_breaks = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._ended and (size < 0 or len(self._rest) < size):
            chunk = self._inner.read(_BLOCK_BYTES)
            self._ended = not chunk
            self.line_breaks += chunk.count(b"\n")
            # A cell with NUL would end the text in other programs.
            self._rest += self._decoder.decode(chunk, final=self._ended).replace("\0", "\ufffd").encode()
        taken, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return taken


def _read_csv(source: Source, contract: Contract) -> RawRows:
    import pyarrow.csv as pc

    wanted = [name for name in contract.names if name in source.columns]
    schema = pa.schema([*_HEAD, *((name, pa.string()) for name in wanted)])
    broken: list[tuple[int, str, str]] = []

    def put_aside(row: Any) -> str:
        said = f"{row.actual_columns} cells where the header has {row.expected_columns}"
        if len(broken) < _MOST_BROKEN:
            broken.append((row.number, said, row.text[:500]))
            return "skip"
        return "error"

    rows = RawRows(schema, iter(()))

    def stream() -> Iterator[pa.RecordBatch]:
        with pa.input_stream(str(source.path), compression=source.packing) as inner:
            repaired = _Repaired(inner)
            reader = pc.open_csv(
                repaired,
                read_options=pc.ReadOptions(
                    use_threads=False, column_names=_distinct(source.columns), skip_rows=1, block_size=_BLOCK_BYTES
                ),
                parse_options=pc.ParseOptions(
                    delimiter=source.delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=put_aside,
                ),
                convert_options=pc.ConvertOptions(
                    column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted
                ),
            )
            records = 1
            for batch in reader:
                lines = _number(len(batch), records, [number for number, _, _ in broken])
                records = int(lines[-1]) if len(lines) else records
                yield _headed(schema, lines, {name: batch[name] for name in wanted})
                yield from _flush(schema, broken, upto=records)
            records = max([records, *(number for number, _, _ in broken)])
            yield from _flush(schema, broken, upto=None)
            if repaired.line_breaks > records:
                rows.notes.append(f"{source.label}: cells span lines; line numbers count records")

    rows.batches = _guarded(rows, source, stream())
    return rows


def _number(n_rows: int, after: int, broken: list[int]) -> np.ndarray:
    """Line numbers of good rows that follow line `after`, jumping over broken ones."""
    ahead = np.asarray([number for number in broken if number > after], dtype=np.int64)
    good_before = ahead - (after + 1) - np.arange(len(ahead))
    ordinals = np.arange(n_rows)
    return after + 1 + ordinals + np.searchsorted(good_before, ordinals, side="right")


def _flush(schema: pa.Schema, broken: list[tuple[int, str, str]], *, upto: int | None) -> Iterator[pa.RecordBatch]:
    ready = [row for row in broken if upto is None or row[0] <= upto]
    if not ready:
        return
    broken[:] = broken[len(ready) :]
    head = {"_line": [r[0] for r in ready], "_broken": [r[1] for r in ready], "_text": [r[2] for r in ready]}
    empty = {name: pa.nulls(len(ready), schema.field(name).type) for name in schema.names if name not in head}
    yield pa.record_batch({**head, **empty}, schema=schema)


def _read_lines(source: Source) -> RawRows:
    import pyarrow.csv as pc

    schema = pa.schema(_HEAD)

    def stream() -> Iterator[pa.RecordBatch]:
        with pa.input_stream(str(source.path), compression=source.packing) as inner:
            # A CSV of one column whose delimiter cannot be in a JSON text.
            reader = pc.open_csv(
                _Repaired(inner),
                read_options=pc.ReadOptions(use_threads=False, column_names=["_text"], block_size=_BLOCK_BYTES),
                parse_options=pc.ParseOptions(delimiter="\x1f", quote_char=False, ignore_empty_lines=False),
                convert_options=pc.ConvertOptions(column_types={"_text": pa.string()}),
            )
            first = 1
            for batch in reader:
                lines = np.arange(first, first + len(batch))
                first += len(batch)
                yield pa.record_batch([lines, pa.nulls(len(batch), pa.string()), batch["_text"]], schema=schema)

    rows = RawRows(schema, iter(()), as_json=True)
    rows.batches = _guarded(rows, source, stream())
    return rows


def _read_parquet(source: Source, contract: Contract) -> RawRows:
    import pyarrow.parquet as pq

    wanted = [name for name in contract.names if name in source.columns]
    file = pq.ParquetFile(source.path)
    schema = pa.schema([file.schema_arrow.field(name) for name in wanted])
    rows = _typed_rows(schema, file.iter_batches(_BATCH_ROWS, columns=wanted), contract)
    rows.batches = _guarded(rows, source, rows.batches)
    return rows


def _typed_rows(schema: pa.Schema, batches: Iterator[pa.RecordBatch], contract: Contract) -> RawRows:
    wanted = [name for name in contract.names if name in schema.names]
    types = {name: _plain_type(schema.field(name).type, contract.column(name).kind) for name in wanted}
    headed = pa.schema([*_HEAD, *types.items()])

    def stream() -> Iterator[pa.RecordBatch]:
        first = 1
        for batch in batches:
            cells = {name: _plain(batch.column(name), types[name]) for name in wanted}
            yield _headed(headed, np.arange(first, first + len(batch)), cells)
            first += len(batch)

    return RawRows(headed, stream())


def _plain_type(kind_of_cell: pa.DataType, kind: str) -> pa.DataType:
    if pa.types.is_dictionary(kind_of_cell):
        return _plain_type(kind_of_cell.value_type, kind)
    if kind == "text":
        return pa.string()
    if pa.types.is_timestamp(kind_of_cell):
        # A day is the day on the clock it was written with.
        return pa.timestamp("us", None if kind == "day" or kind_of_cell.tz is None else "UTC")
    if pa.types.is_integer(kind_of_cell) or pa.types.is_floating(kind_of_cell) or pa.types.is_decimal(kind_of_cell):
        return pa.float64()
    if pa.types.is_date(kind_of_cell):
        return pa.date32()
    return pa.string()


def _plain(cells: pa.Array, wanted: pa.DataType) -> pa.Array:
    import pyarrow.compute as pc

    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    aware = pa.types.is_timestamp(cells.type) and cells.type.tz is not None
    if aware and pa.types.is_timestamp(wanted) and wanted.tz is None:
        cells = pc.local_timestamp(cells)
    if cells.type == wanted:
        return cells
    try:
        return cells.cast(wanted, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([None if cell is None else str(cell) for cell in cells.to_pylist()], wanted)


def _headed(schema: pa.Schema, lines: np.ndarray, cells: dict[str, pa.Array]) -> pa.RecordBatch:
    n = len(lines)
    head = [pa.array(lines, pa.int64()), pa.nulls(n, pa.string()), pa.nulls(n, pa.string())]
    return pa.record_batch([*head, *cells.values()], schema=schema)


def _read_dependencies(source: Source, contract: Contract) -> RawRows:
    """Jaeger's and Zipkin's dependencies: ``{parent, child, callCount}``, bare or below ``data``."""
    head = read_head(source.path, source.packing, _LARGEST_DEPENDENCIES)
    try:
        value = json.loads(head.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _not_dependencies(source, f"JSON that cannot be read ({error})") from None
    around = value if isinstance(value, dict) else {}
    edges = around.get("data", around.get("dependencies", value))
    if not isinstance(edges, list) or not all(isinstance(edge, dict) for edge in edges):
        raise _not_dependencies(source, "JSON of another shape")
    if not edges:
        raise _not_dependencies(source, "no dependency")
    names = {"caller": "parent", "callee": "child", "calls": "callCount", "window_start": "", "window_end": ""}
    cells = {
        name: pa.array([_cell(edge.get(theirs, edge.get(name, around.get(name)))) for edge in edges], pa.string())
        for name, theirs in names.items()
    }
    return rows_of_table(pa.table(cells), contract=contract)


def _cell(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else json.dumps(value)


def _not_dependencies(source: Source, got: str) -> InputError:
    expected = 'JSON lines of caller, callee, calls, or dependencies [{"parent": …, "child": …, "callCount": …}]'
    return InputError(f"{source.label} cannot be read", problems=[Problem(source.label, got, expected)])


def _distinct(names: tuple[str, ...]) -> list[str]:
    # Repeated names that the contract does not know must not make a file unreadable.
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}\x1f{seen[name]}")
    return distinct


def _guarded(rows: RawRows, source: Source, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Turn what Arrow says of a broken file into a problem of that file; keep it, for engines swallow it."""
    try:
        yield from batches
    except (pa.ArrowException, OSError, EOFError) as error:
        got = f"a file that breaks off or cannot be split into rows ({str(error).splitlines()[0]})"
        rows.failure = InputError(
            f"{source.label} cannot be read; nothing was taken in",
            problems=[Problem(source.label, got, "a whole file", "export it again")],
        )
        raise rows.failure from error
