"""A run of JMeter, counted while its rows are read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np

from capacity.errors import Problem
from capacity.loadtest.readers.jmeter.rows import Array, Bools, Found, Ints, Rows
from capacity.loadtest.readers.jmeter.threads import Order, contains_the_one_before, meaning_of_times
from capacity.loadtest.requests import LONGEST_PAUSE_S, RequestTally
from capacity.loadtest.steady import Span
from capacity.loadtest.users import Lifetimes, UserCount

_MOST_NAMES = 1000
_OTHERS = "other requests"
_SUMS_WITH_MESSAGE, _SUMS_WITHOUT = 0.5, 0.9
_MOST_RESUMED = 100_000
_THREAD_NUMBER = re.compile(r"[ _-]*\d+-\d+$")


@dataclass
class Run:
    """What all files of a run add up to."""

    only: Collection[str] | None = None
    tally: RequestTally = field(default_factory=RequestTally)
    users: UserCount = field(default_factory=UserCount)
    lives: Lifetimes = field(default_factory=Lifetimes)
    groups: dict[str, tuple[float, float]] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    resumed: list[tuple[float, float]] = field(default_factory=list)
    sums: int = 0
    sums_kept: int = 0
    headers: int = 0
    parents: int = 0
    parts: int = 0
    errors_known: bool = True
    dated: bool = True
    threads_known: bool = True
    notes: list[str] = field(default_factory=list)
    broken: list[Problem] = field(default_factory=list)


class FileOfRun:
    """One file: its names, the order in its threads, the meaning of its times."""

    def __init__(self, run: Run, found: Found, *, name: str) -> None:
        self.run = run
        self.found = found
        self.name = name
        self._order = Order()
        self._ends: bool | None = None
        self._seen = np.zeros((2, 0))

    def add_all(self, blocks: Iterator[Rows]) -> None:
        """Count all rows."""
        for rows in blocks:
            if len(rows):
                self._add(rows)
        self.run.lives.went(self._order.last_end_ms / 1e3)
        self._close()

    def _close(self) -> None:
        run, found = self.run, self.found
        run.headers += found.headers
        run.parents += found.parents
        run.parts += found.parts
        run.errors_known &= found.errors_known
        run.dated &= found.dated
        run.notes.extend(f"{self.name}: {note}" for note in found.notes)
        if found.unreadable:
            got = f"{found.unreadable} rows whose time, duration or success cannot be read"
            run.broken.append(Problem(self.name, got, "numbers, true or false", "they were left out"))
        if found.statistical:
            got = f"{found.statistical} rows that stand for several requests"
            run.broken.append(Problem(self.name, got, "one row a request", "they were left out"))

    def _add(self, rows: Rows) -> None:
        thread = self._threads(rows)
        if self._ends is None:
            meaning = meaning_of_times(rows, thread)
            self._ends = meaning.ends
            self.found.notes.append(meaning.said)
        start = rows.stamp_ms - rows.elapsed_ms if self._ends else rows.stamp_ms
        end = start + rows.elapsed_ms
        before = self._order.before(thread, start, end)
        self._lives(thread, start, before.end_ms)
        sums = self._sums(rows, contains_the_one_before(before, start, end), known=thread >= 0)
        self._count(rows.where(~sums), start[~sums] / 1e3, end[~sums] / 1e3)

    def _threads(self, rows: Rows) -> Ints:
        if "" in self.found.threads.names:
            unnamed = self.found.threads.names.index("")
            thread = np.where(rows.thread == unnamed, -1, rows.thread)
        else:
            thread = rows.thread
        self.run.threads_known &= bool((thread >= 0).any())
        hosts = len(self.found.hosts.names)
        if hosts < 2:
            return thread
        pairs, group = np.unique(np.where(thread >= 0, rows.host, 0) * (1 << 32) + thread, return_inverse=True)
        names = [f"{p}" for p in pairs.tolist()]
        return np.where(thread >= 0, self._pairs(names)[group], -1)

    def _pairs(self, names: list[str]) -> Ints:
        self._codes = getattr(self, "_codes", None) or type(self.found.threads)()
        return self._codes.of(names)

    def _lives(self, thread: Ints, start_ms: Array, before_end_ms: Array) -> None:
        pause = start_ms - before_end_ms > LONGEST_PAUSE_S * 1e3
        known = thread >= 0
        self.run.lives.came(start_ms[known & (np.isnan(before_end_ms) | pause)] / 1e3)
        self.run.lives.went(before_end_ms[known & pause] / 1e3)
        room = _MOST_RESUMED - len(self.run.resumed)
        for at in np.flatnonzero(known & pause)[: max(room, 0)].tolist():
            self.run.resumed.append((float(before_end_ms[at]) / 1e3, float(start_ms[at]) / 1e3))

    def _sums(self, rows: Rows, contains: Bools, *, known: Bools) -> Bools:
        """Rows that sum up rows which are there too: by what they say, or by having no URL and spanning others."""
        suspect = rows.transaction | rows.bare
        labels = max(len(self.found.labels.names), 1)
        if labels > self._seen.shape[1]:
            grown = np.zeros((2, max(labels, 2 * self._seen.shape[1])))
            grown[:, : self._seen.shape[1]] = self._seen
            self._seen = grown
        label = np.maximum(rows.label, 0)
        for part, which in enumerate((suspect, suspect & contains)):
            counted = np.bincount(label[which], minlength=self._seen.shape[1])
            self._seen[part] += counted
        share = self._seen[1] / np.maximum(self._seen[0], 1.0)
        # Where threads have no names, a row that says it sums up others does so if others are there.
        mixed = not known.any() and not rows.transaction.all()
        spans = (share[label] >= _SUMS_WITH_MESSAGE) | mixed
        sums = (rows.transaction & spans) | (suspect & (share[label] >= _SUMS_WITHOUT))
        self.run.sums += int(sums.sum())
        self.run.sums_kept += int((rows.transaction & ~sums).sum())
        return np.asarray(sums)

    def _count(self, rows: Rows, start_s: Array, end_s: Array) -> None:
        self._name_requests(rows.label)
        for host in np.unique(rows.host).tolist():
            of_host = rows.host == host
            self.run.users.add((self.name, host), np.floor(end_s[of_host]).astype(np.int64), rows.users[of_host])
        self._groups(rows.thread, start_s, end_s)
        if self.run.only is not None:
            wanted = np.array([name in self.run.only for name in [*self.found.labels.names, ""]], dtype=bool)
            keep = wanted[rows.label]
            rows, start_s, end_s = rows.where(keep), start_s[keep], end_s[keep]
        self.run.tally.add(start_s, end_s - start_s, failed=rows.failed)

    def _name_requests(self, label: Ints) -> None:
        requests = self.run.requests
        count = np.bincount(label[label >= 0])
        for code in np.flatnonzero(count).tolist():
            name = self.found.labels.names[code]
            name = name if name in requests or len(requests) < _MOST_NAMES else _OTHERS
            requests[name] = requests.get(name, 0) + int(count[code])

    def _groups(self, thread: Ints, start_s: Array, end_s: Array) -> None:
        known = thread >= 0
        codes, group = np.unique(thread[known], return_inverse=True)
        if not len(codes):
            return
        begins, ends = np.full(len(codes), np.inf), np.full(len(codes), -np.inf)
        np.minimum.at(begins, group, start_s[known])
        np.maximum.at(ends, group, end_s[known])
        for code, a, b in zip(codes.tolist(), begins.tolist(), ends.tolist(), strict=True):
            name = _THREAD_NUMBER.sub("", self.found.threads.names[code])
            old = self.run.groups.get(name, (a, b))
            if name in self.run.groups or len(self.run.groups) < _MOST_NAMES:
                self.run.groups[name] = (min(old[0], a), max(old[1], b))


def spans_of(run: Run) -> list[Span]:
    """Thread groups as steps."""
    return [Span(a, b, name) for name, (a, b) in run.groups.items()]


def runs_in_one(run: Run) -> int:
    """How many runs were written into the files: a pause through which nothing waits, after which threads go on.

    A thread group that begins later brings new threads; a second run has those of the first.
    """
    seconds = run.tally.seconds()
    gaps = np.flatnonzero(np.diff(seconds.second) > 1)
    waiting = np.cumsum(seconds.starts - seconds.ends)
    count = 1
    for gap in gaps.tolist():
        ends, begins = float(seconds.second[gap]), float(seconds.second[gap + 1])
        if waiting[gap] < 0.5 and any(end < ends + 1.0 and start >= begins for end, start in run.resumed):
            count += 1
    return max(count, run.headers + 1)
