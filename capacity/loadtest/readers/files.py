"""Opening what tools write: compressed or not, whole or cut off."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

HEAD_BYTES = 65_536
_MOST_LINE = 1 << 22
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


def blocks_of(path: Path, *, size: int = 1 << 20) -> Iterator[bytes]:
    """Yield a file's bytes, decompressed; raises one of `BREAKS` where it is damaged, after all that could be had."""
    with open_bytes(path) as stream:
        while block := stream.read(size):
            yield block


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
