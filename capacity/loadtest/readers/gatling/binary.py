"""Gatling's log in binary, 3.13 on (and snapshots that call themselves 3.12).

Big-endian. One byte says what a record is: 0 run, 1 request, 2 user, 3 group, 4 error. Times are milliseconds after the
run's start. A string is its length in bytes, the bytes and one byte of coding (0 Latin-1, 1 UTF-16), an empty one its
length alone. A string that repeats is written once with a number, and later as that number negated.

References
----------
.. [1] Gatling 3.13, ``io.gatling.core.stats.writer``: what its own report generator reads.
"""

from __future__ import annotations

import struct
from pathlib import Path

from capacity.errors import Problem
from capacity.loadtest.readers.files import BREAKS, blocks_of
from capacity.loadtest.readers.gatling.events import Events

_RUN = 0
_LONGEST_STRING = 1 << 20
_MOST_NAMES = 100_000
_DEEPEST = 1000
_LONGEST_RECORD = 1 << 24
_INT, _LONG = struct.Struct(">i"), struct.Struct(">q")
_TIMES = struct.Struct(">ii?")


class CutOffError(Exception):
    """A record ends after the bytes that were given."""


class DamagedError(Exception):
    """Bytes that cannot be a record."""


def recognizes(head: bytes) -> bool:
    """Whether a file begins with a run record: a version, a class and a time.

    Examples
    --------
    >>> recognizes(bytes([0, 0, 0, 0, 6]) + b"3.13.1" + bytes([0, 0, 0, 0, 1]) + b"S" + bytes([0]))
    True
    """
    if not head.startswith(b"\x00\x00\x00\x00"):
        return False
    try:
        version, at = _string(head, 1)
        _, _ = _string(head, at)
    except (CutOffError, DamagedError):
        return False
    return version[:1].isdigit() and "." in version


def _int(data: bytes, at: int) -> tuple[int, int]:
    if at + 4 > len(data):
        raise CutOffError
    return _INT.unpack_from(data, at)[0], at + 4


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _int(data, at)
    if not 0 <= size <= _LONGEST_STRING:
        raise DamagedError(f"a length of {size}")
    if at + size > len(data):
        raise CutOffError
    return data[at : at + size], at + size


def _string(data: bytes, at: int) -> tuple[str, int]:
    raw, at = _bytes(data, at)
    if not raw:
        return "", at
    if at >= len(data):
        raise CutOffError
    if data[at] not in (0, 1):
        raise DamagedError(f"a coding of {data[at]}")
    return raw.decode("latin-1" if data[at] == 0 else "utf-16-le", errors="replace"), at + 1


class _Records:
    """Reads records out of bytes; a record that is not whole leaves nothing behind."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.begun_ms: int | None = None
        self._cached: dict[int, str] = {}
        # In the order of their numbers.
        self._readers = (self._run, self._request, self._user, self._group, self._error)

    def read(self, data: bytes, at: int) -> int:
        """Read one record and return where the next begins."""
        kind = data[at]
        if kind >= len(self._readers) or (kind == _RUN) != (self.begun_ms is None):
            raise DamagedError(f"a record of kind {kind}")
        return self._readers[kind](data, at + 1)

    def _name(self, data: bytes, at: int) -> tuple[str, int]:
        number, at = _int(data, at)
        if number >= 0:
            if number > _MOST_NAMES:
                raise DamagedError(f"a string with the number {number}")
            name, at = _string(data, at)
            self._cached[number] = name
            return name, at
        if -number not in self._cached:
            raise DamagedError(f"a string with the number {-number} that was never written")
        return self._cached[-number], at

    def _groups(self, data: bytes, at: int) -> int:
        count, at = _int(data, at)
        if not 0 <= count <= _DEEPEST:
            raise DamagedError(f"{count} groups")
        for _ in range(count):
            _, at = self._name(data, at)
        return at

    def _run(self, data: bytes, at: int) -> int:
        version, at = _string(data, at)
        _, at = _string(data, at)
        if at + 8 > len(data):
            raise CutOffError
        begun_ms = _LONG.unpack_from(data, at)[0]
        _, at = _string(data, at + 8)
        for read in (_string, _bytes):
            count, at = _int(data, at)
            if not 0 <= count <= _MOST_NAMES:
                raise DamagedError(f"{count} scenarios or assertions")
            for _ in range(count):
                _, at = read(data, at)
        self.begun_ms = begun_ms
        self.events.runs += 1
        self.events.versions.append(version)
        return at

    def _request(self, data: bytes, at: int) -> int:
        at = self._groups(data, at)
        name, at = self._name(data, at)
        if at + _TIMES.size > len(data):
            raise CutOffError
        start, end, good = _TIMES.unpack_from(data, at)
        _, at = self._name(data, at + _TIMES.size)
        begun = self.begun_ms or 0
        self.events.request(name, begun + start, begun + end, failed=not good)
        return at

    def _user(self, data: bytes, at: int) -> int:
        if at + 9 > len(data):
            raise CutOffError
        after = _INT.unpack_from(data, at + 5)[0]
        self.events.user((self.begun_ms or 0) + after, came=data[at + 4] != 0)
        return at + 9

    def _group(self, data: bytes, at: int) -> int:
        at = self._groups(data, at)
        if at + 13 > len(data):
            raise CutOffError
        self.events.groups += 1
        return at + 13

    def _error(self, data: bytes, at: int) -> int:
        _, at = self._name(data, at)
        _, at = _int(data, at)
        self.events.errors += 1
        return at


def read_binary(path: Path, events: Events) -> None:
    """Count the records of one file; where it breaks is noted in ``events.broken``, by byte."""
    records = _Records(events)
    data, done = b"", 0
    damage: BaseException | None = None
    try:
        for block in blocks_of(path):
            data += block
            at, damage = _read_whole(records, data)
            data, done = data[at:], done + at
            if damage is not None:
                break
    except BREAKS as error:
        damage = error
    if damage is not None or data:
        where = f"{path.name} at byte {done}"
        said = str(damage) or type(damage).__name__ if damage is not None else f"{len(data)} bytes of a record cut off"
        events.broken.append(Problem(where, said, "a whole record", "what stands before was read"))


def _read_whole(records: _Records, data: bytes) -> tuple[int, DamagedError | None]:
    """Read all records that are whole: where the first begins that is not, and what is wrong with it."""
    at = 0
    while at < len(data):
        try:
            at = records.read(data, at)
        except CutOffError:
            endless = len(data) - at > _LONGEST_RECORD
            return at, DamagedError("a record without end") if endless else None
        except DamagedError as error:
            return at, error
    return at, None
