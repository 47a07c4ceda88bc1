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
_PART_BYTES = 1 << 16
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


def head_of(path: Path, *, size: int = HEAD_BYTES) -> bytes:
    """Return the first bytes of a file, decompressed; what can be had of a damaged one.

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
    with contextlib.suppress(*BREAKS), open_bytes(path) as stream:
        while len(got) < size and (more := stream.read(min(4096, size - len(got)))):
            got += more
    return got


class UntilBroken(io.RawIOBase):
    """A file's bytes, decompressed, to where it is damaged: there it ends, after the last whole line.

    Attributes
    ----------
    error
        What ended it early; None for a whole file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._stream = open_bytes(path)
        self._ready = b""
        self.error: BaseException | None = None

    def readable(self) -> bool:
        """See `io.IOBase.readable`."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes; none at the end or at the damage."""
        wanted = size if size is not None and size >= 0 else 1 << 62
        parts, got = [self._ready], len(self._ready)
        while got < wanted and self.error is None:
            try:
                part = self._stream.read(_PART_BYTES)
            except BREAKS as error:
                self.error = error
                break
            if not part:
                break
            parts.append(part)
            got += len(part)
        everything = b"".join(parts)
        if self.error is not None:
            # The line in which it broke may end in half a number.
            everything = everything[: everything.rfind(b"\n") + 1]
        given, self._ready = everything[:wanted], everything[wanted:]
        return given

    def close(self) -> None:
        """See `io.IOBase.close`."""
        self._stream.close()
        super().close()


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
