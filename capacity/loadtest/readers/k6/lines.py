"""Rows of a few metrics out of a large file: what nobody asks for is left out before it is parsed.

A request writes a dozen rows of which one is its duration, so leaving out by the first cell is most of the speed.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BLOCK_BYTES = 1 << 22
_MOST_LINES_A_ROW = 20
_NEWLINE, _QUOTE = 10, 34

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class WantedRows(io.RawIOBase):
    r"""A stream of a CSV file's header line and of its rows that begin with one of some cells.

    Cells may hold line breaks inside quotes; a quote that is not closed within twenty lines is taken for damage, and
    its line left out.

    Attributes
    ----------
    unclosed
        Lines left out because a quote was not closed.

    Examples
    --------
    >>> file = io.BytesIO(b'metric_name,value\nvus,1\nchecks,2\nvus,"a\nb"\n')
    >>> WantedRows(file, [b"vus"]).read().decode().splitlines()
    ['metric_name,value', 'vus,1', 'vus,"a', 'b"']
    """

    def __init__(self, stream: io.RawIOBase, cells: Sequence[bytes]) -> None:
        super().__init__()
        self._stream = stream
        self._begins = [cell + b"," for cell in cells]
        self._rest = b""
        self._ready = memoryview(b"")
        self._header = True
        self._ended = False
        self.unclosed = 0

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with what is wanted; 0 at the end."""
        while not len(self._ready) and not self._ended:
            self._ready = memoryview(self._next())
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _next(self) -> bytes:
        got = self._stream.read(_BLOCK_BYTES)
        self._ended = not got
        block = self._rest + (got or b"\n")
        last = block.rfind(b"\n") + 1
        block, self._rest = block[:last], block[last:]
        if not block:
            return b""
        head = b""
        if self._header:
            self._header = False
            first = block.find(b"\n") + 1
            head, block = block[:first], block[first:]
        return head + self._wanted(block)

    def _wanted(self, block: bytes) -> bytes:
        data = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(data == _NEWLINE) + 1
        if not len(ends):
            return b""
        starts = np.concatenate([[0], ends[:-1]])
        kept = np.zeros(len(starts), dtype=bool)
        first, length = data[starts], ends - starts
        for cell in self._begins:
            found = np.flatnonzero((first == cell[0]) & (length > len(cell)))
            for place, byte in enumerate(cell[1:], start=1):
                found = found[data[starts[found] + place] == byte]
            kept[found] = True
        if b'"' in block:
            kept = self._with_whole_cells(data, starts, kept)
        return b"".join(block[a:b] for a, b in zip(starts[kept].tolist(), ends[kept].tolist(), strict=True))

    def _with_whole_cells(self, data: NDArray[np.uint8], starts: Ints, kept: Bools) -> Bools:
        """Add the lines that a kept line's quoted cells go on to."""
        odd = np.flatnonzero(np.add.reduceat(data == _QUOTE, starts) % 2 == 1)
        begins = np.flatnonzero(kept)
        for line in odd[kept[odd]]:
            last = odd[np.searchsorted(odd, line, side="right") :][:1]
            following = begins[np.searchsorted(begins, line, side="right") :][:1]
            whole = len(last) and last[0] - line <= _MOST_LINES_A_ROW
            if whole and not (len(following) and following[0] <= last[0]):
                kept[line : last[0] + 1] = True
            else:
                kept[line] = False
                self.unclosed += 1
        return kept
