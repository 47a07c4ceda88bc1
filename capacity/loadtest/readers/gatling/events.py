"""What a Gatling log tells, collected in blocks: requests, and users who come and go."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from capacity.errors import Problem
from capacity.loadtest.requests import RequestTally
from capacity.loadtest.users import Lifetimes

_BLOCK = 100_000
_MOST_NAMES = 1000
_OTHERS = "other requests"


@dataclass
class Events:
    """Requests and users of all files of a run.

    Attributes
    ----------
    only
        Names of the requests to be counted; all where None.
    versions, runs
        Versions that wrote the files, and how many run headers there are.
    groups, errors
        Records of groups, which repeat their requests, and of errors of the tool itself.
    backwards
        Requests that end before they begin.
    """

    only: Collection[str] | None = None
    tally: RequestTally = field(default_factory=RequestTally)
    lives: Lifetimes = field(default_factory=Lifetimes)
    requests: dict[str, int] = field(default_factory=dict)
    versions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: list[Problem] = field(default_factory=list)
    runs: int = 0
    groups: int = 0
    errors: int = 0
    users: int = 0
    backwards: int = 0
    _start: list[int] = field(default_factory=list)
    _end: list[int] = field(default_factory=list)
    _failed: list[bool] = field(default_factory=list)
    _came: list[int] = field(default_factory=list)
    _went: list[int] = field(default_factory=list)

    def request(self, name: str, start_ms: int, end_ms: int, *, failed: bool) -> None:
        """Count a request."""
        requests = self.requests
        if name not in requests and len(requests) >= _MOST_NAMES:
            name = _OTHERS
        requests[name] = requests.get(name, 0) + 1
        if self.only is not None and name not in self.only:
            return
        self._start.append(start_ms)
        self._end.append(end_ms)
        self._failed.append(failed)
        if len(self._start) >= _BLOCK:
            self.flush()

    def user(self, at_ms: int, *, came: bool) -> None:
        """Note a user who came or went."""
        self.users += came
        (self._came if came else self._went).append(at_ms)

    def flush(self) -> None:
        """Hand what was collected to the tally."""
        # As floats at once: a damaged file may hold numbers of any size.
        start_s, end_s = (np.array(t, dtype=np.float64) / 1e3 for t in (self._start, self._end))
        self.backwards += int((end_s < start_s).sum())
        self.tally.add(start_s, end_s - start_s, failed=np.array(self._failed, dtype=bool))
        self.lives.came(np.array(self._came, dtype=np.float64) / 1e3)
        self.lives.went(np.array(self._went, dtype=np.float64) / 1e3)
        self._start, self._end, self._failed, self._came, self._went = [], [], [], [], []
