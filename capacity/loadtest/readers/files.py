"""Opening what tools write: compressed or not, whole or cut off."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

HEAD_BYTES = 65_536
_MOST_LINE = 1 << 22
_PIECE_BYTES, _PLAIN_BYTES = 1 << 13, 1 << 22
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))

BREAKS = (EOFError, OSError, zlib.error, lzma.LZMAError)
"""What a compressed file that was cut off or damaged raises in the middle of reading."""


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading bytes, decompressed by what its first bytes say (gzip, bzip2, xz), not by its name."""
    with path.open("rb") as raw:
        magic = raw.read(6)
    for begins, opener in _OPENERS:
        if magic.startswith(begins):
            return opener(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


class UntilBreak(io.RawIOBase):
    """A stream that ends where a damaged file cannot be read on, so that all before it is had.

    Attributes
    ----------
    error
        What was raised there; None where the file is whole.

    Examples
    --------
    >>> cut = gzip.compress(bytes(range(256)) * 99)[:-9]
    >>> stream = UntilBreak(gzip.open(io.BytesIO(cut)))
    >>> len(stream.read()) > 0, type(stream.error).__name__
    (True, 'EOFError')
    """

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream
        # A decompressor asked for much at once loses what it had when it comes to the break.
        self._piece = _PLAIN_BYTES if isinstance(stream, io.BufferedReader) else _PIECE_BYTES
        self.error: BaseException | None = None

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; 0 at the end and at the break."""
        done = 0
        with memoryview(buffer).cast("B") as view:
            while done < len(view) and self.error is None:
                try:
                    got = self._stream.read(min(len(view) - done, self._piece))
                except BREAKS as error:
                    self.error = error
                    break
                if not got:
                    break
                view[done : done + len(got)] = got
                done += len(got)
        return done


def head_of(path: Path, *, size: int = HEAD_BYTES) -> bytes:
    """Return the first bytes of a file, decompressed; what can be had of a damaged one.

    Raises
    ------
    OSError
        Where it cannot be opened: that is no empty file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.gz")
    ...     _ = path.write_bytes(gzip.compress(b"ts,elapsed"))
    ...     head_of(path)
    b'ts,elapsed'
    """
    got = b""
    with open_bytes(path) as stream, contextlib.suppress(*BREAKS):
        while len(got) < size and (more := stream.read(min(4096, size - len(got)))):
            got += more
    return as_utf8(got)


def as_utf8(got: bytes) -> bytes:
    """Turn UTF-16, which a Windows shell writes of what a program prints, into UTF-8."""
    return got.decode("utf-16", errors="replace").encode() if got.startswith(_UTF16) else got


def blocks_of(path: Path, *, size: int = 1 << 20) -> Iterator[bytes]:
    """Yield a file's bytes, decompressed; raises one of `BREAKS` where it is damaged, after all that could be had."""
    with open_bytes(path) as stream:
        whole = UntilBreak(stream)
        while block := whole.read(size):
            yield block
        if whole.error is not None:
            raise whole.error


def lines_of(path: Path) -> Iterator[str]:
    """Yield a file's lines as text, decompressed, without their ends; a byte that is no UTF-8 becomes U+FFFD.

    Raises
    ------
    OSError, EOFError, zlib.error, lzma.LZMAError
        Where a compressed file is damaged, after the lines before it.
    """
    with open_bytes(path) as stream:
        first = True
        while line := stream.readline(_MOST_LINE):
            text = line.decode("utf-8", errors="replace").rstrip("\r\n")
            yield text.removeprefix("\ufeff") if first else text
            first = False
