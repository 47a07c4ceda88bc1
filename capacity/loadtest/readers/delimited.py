"""Large delimited files in blocks: columns by name, rows that do not fit named, memory bounded."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capacity.errors import Problem
from capacity.loadtest.readers.blocks import Block, Form, Parsed, parse
from capacity.loadtest.readers.files import UntilBreak, open_bytes

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_BYTES = 1 << 23
_MOST_SHOWN = 20
_WORKERS = 2
_MOST_TRIES = 10_000


@dataclass
class Breaks:
    """Where a file broke: rows that do not fit its header, and where reading had to end."""

    path: Path
    rows: int = 0
    found: list[Problem] = field(default_factory=list)
    damage: BaseException | None = None
    _unread: dict[str, int] = field(default_factory=dict)

    def row(self, invalid: Any, *, first_line: int | None = 1) -> str:
        """Note a row that pyarrow cannot fit, and skip it."""
        self.rows += 1
        if len(self.found) < _MOST_SHOWN:
            line = None if invalid.number is None or first_line is None else first_line + invalid.number - 1
            where = f"{self.path.name}:{line}" if line is not None else self.path.name
            cells = f"{invalid.actual_columns} cells: {invalid.text[:60]!r}"
            self.found.append(Problem(where, cells, f"{invalid.expected_columns}, as the header has"))
        return "skip"

    def cells(self, misfits: Mapping[str, int], *, first_line: int, last_line: int) -> None:
        """Note cells that are not of their column's type."""
        for column, count in misfits.items():
            where = f"{self.path.name} lines {first_line} to {last_line} {column}"
            if len(self.found) < _MOST_SHOWN:
                self.found.append(Problem(where, f"{count} cells that are no numbers", "numbers", "left out"))

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

    def close(self, read_rows: int) -> None:
        """Note the damage at which a compressed file ended, if there was any."""
        if self.damage is not None:
            self.end(read_rows, self.damage)

    def problems(self) -> list[Problem]:
        """All that was noted; many rows alike are counted."""
        shown = sum(1 for p in self.found if p.expected.startswith("a whole line") or p.expected.endswith("header has"))
        left = [Problem(self.path.name, f"{n} rows without it", expected) for expected, n in self._unread.items()]
        more = self.rows - shown
        rest = [Problem(self.path.name, f"{more} more rows that do not fit", "none")] if more > 0 else []
        return [*self.found, *left, *rest]


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
    """Read chosen columns of a delimited file in blocks, two at a time.

    Parameters
    ----------
    path
        The file, compressed or not.
    columns
        Column to Arrow type; columns that the file does not have are null throughout. A cell that does not fit its
        type is null, and counted.
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

    Notes
    -----
    A quote that is never closed would swallow the rest of the file: where a block holds no end of a row outside
    quotes, each of its lines is taken for itself.
    """
    form = Form(dict(columns), tuple(names) if names is not None else None, delimiter, tuple(null_values))
    done, line = 0, 1
    with ThreadPoolExecutor(_WORKERS) as pool:
        for parsed in _in_order(pool, _blocks(path, breaks, through), form):
            for invalid in parsed.invalid:
                # Where rows were left out before, lines are not those of the file.
                breaks.row(invalid, first_line=line if through is None else None)
            for number, text in parsed.unclosed:
                breaks.line(line + number, text, "its quote is never closed")
            if parsed.misfits:
                breaks.cells(parsed.misfits, first_line=line, last_line=line + parsed.lines)
            if parsed.error is not None:
                breaks.end(done, parsed.error)
            line += parsed.lines
            for batch in parsed.batches:
                yield batch
                done += batch.num_rows
    breaks.close(done)


def _in_order(pool: ThreadPoolExecutor, blocks: Iterator[Block], form: Form) -> Iterator[Parsed]:
    """Parse blocks in the pool, a few ahead of what is used."""
    waiting: deque[Future[Parsed]] = deque()
    for block in blocks:
        form = form.named(block.data) if form.names is None else form
        waiting.append(pool.submit(parse, block, form))
        if len(waiting) > _WORKERS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _blocks(path: Path, breaks: Breaks, through: Callable[[io.RawIOBase], Any] | None) -> Iterator[Block]:
    """Cut a file where rows end; what a damaged file still gives comes first."""
    rest = b""
    first = True
    with open_bytes(path) as raw:
        whole = UntilBreak(raw)
        # What is not compressed does not break, and is read without a copy.
        stream = through(whole) if through else raw if isinstance(raw, io.BufferedReader) else whole
        while data := stream.read(_BLOCK_BYTES):
            block, rest = _cut(rest + data)
            if block.data:
                yield replace(block, first=first)
                first = False
        breaks.damage = whole.error
    # Where a file is damaged its last line may end in half a number.
    if rest and breaks.damage is None:
        yield Block(rest, first, quoted=rest.count(b'"') % 2 == 0)


def _cut(data: bytes) -> tuple[Block, bytes]:
    end = data.rfind(b"\n") + 1
    # To look for one is ten times faster than to count them.
    quotes = data.count(b'"', 0, end) if b'"' in data else 0
    tries = 0
    while end and quotes % 2 and tries < _MOST_TRIES:
        # The last line end stands within quotes.
        before = data.rfind(b"\n", 0, end - 1) + 1
        quotes -= data.count(b'"', before, end)
        end, tries = before, tries + 1
    if end and quotes % 2 == 0:
        return Block(data[:end], False, quoted=True), data[end:]
    if len(data) < 2 * _BLOCK_BYTES and not end:
        return Block(b"", False, quoted=True), data
    end = data.rfind(b"\n") + 1 or len(data)
    return Block(data[:end], False, quoted=False), data[end:]


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
