"""Rows of a JTL file, whichever way it was written."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Codes:
    """A number for every name seen.

    Examples
    --------
    >>> codes = Codes()
    >>> codes.of(["a", "b", "a"]).tolist(), codes.names
    ([0, 1, 0], ['a', 'b'])
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._code: dict[str, int] = {}

    def of(self, names: list[str]) -> Ints:
        """Give the number of each name."""
        code = self._code
        for name in names:
            if name not in code:
                code[name] = len(self.names)
                self.names.append(name)
        return np.array([code[name] for name in names], dtype=np.int64)


@dataclass(frozen=True)
class Rows:
    """Some rows in the order of the file, each array (n,).

    Attributes
    ----------
    stamp_ms, elapsed_ms
        As written; whether a stamp is a start or an end is not said.
    label, thread, host
        Numbers of names; -1 where the file has no such column.
    failed
        Whether it failed.
    users
        ``allThreads``; NaN where unknown.
    transaction
        Whether the row says itself that it sums up others.
    bare
        Whether the row has no URL in a file that writes them, or the file writes none.
    """

    stamp_ms: Array
    elapsed_ms: Array
    label: Ints
    thread: Ints
    host: Ints
    failed: Bools
    users: Array
    transaction: Bools
    bare: Bools

    def __len__(self) -> int:
        return len(self.stamp_ms)

    def where(self, keep: Bools) -> Rows:
        """Keep some rows."""
        return Rows(**{f.name: getattr(self, f.name)[keep] for f in fields(self)})


@dataclass
class Found:
    """What a file shows beside its rows; filled while it is read.

    Attributes
    ----------
    labels, threads, hosts
        Names by number.
    headers
        Header lines in the middle.
    unreadable
        Rows without a time, a duration or a success that can be read.
    statistical
        Rows that stand for several requests.
    parents, parts
        Transactions whose samples stand inside them, and samples that are part of another (XML only).
    errors_known
        Whether the file tells failures.
    dated
        Whether times count from 1970 by themselves.
    notes
        How the file was read.
    """

    labels: Codes = field(default_factory=Codes)
    threads: Codes = field(default_factory=Codes)
    hosts: Codes = field(default_factory=Codes)
    headers: int = 0
    unreadable: int = 0
    statistical: int = 0
    parents: int = 0
    parts: int = 0
    errors_known: bool = True
    dated: bool = True
    notes: list[str] = field(default_factory=list)
