"""What k6 measured, added up block by block: requests, users, iterations that never began."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.readers.labels import Names, Spans
from capacity.loadtest.requests import RequestTally, spread_over_second
from capacity.loadtest.users import UserCount

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

REQUESTS = ("http_req_duration", "grpc_req_duration")
SESSIONS = ("ws_session_duration",)
ITERATIONS = "iteration_duration"
USERS, DROPPED, FAILED = "vus", "dropped_iterations", "http_req_failed"
WANTED = (*REQUESTS, *SESSIONS, ITERATIONS, USERS, DROPPED)
TAGS = ("expected_response", "status", "error_code", "scenario", "group", "name", "url")

# The last is what a generated script asks of the monitoring meanwhile.
_NOT_LOAD = ("::setup", "::teardown", "::monitoring")
_LEAST_GAPS = 100
# The year 5138, and a duration of four months in milliseconds: beyond them a file is damaged.
_LATEST_S, _LARGEST = 1e11, 1e10


@dataclass(frozen=True)
class Samples:
    """Samples of wanted metrics in the order of the file.

    Attributes
    ----------
    metric, tags
        Codes (n,) and the words they stand for; tags by name, those the file has.
    time_s
        When each was taken, which for a duration is its end; seconds since 1970, (n,).
    value
        As k6 wrote it: durations in milliseconds, (n,).
    """

    metric: tuple[Ints, list[str]]
    time_s: Array
    value: Array
    tags: Mapping[str, tuple[Ints, list[str]]]

    def of(self, *names: str) -> Ints:
        """Give the rows of some metrics."""
        codes, words = self.metric
        return np.flatnonzero(np.isin(codes, [i for i, word in enumerate(words) if word in names]))

    def said(self, tag: str, answers: Mapping[str, float], *, other: float) -> Array:
        """Answer for every row by the word of a tag; NaN where the file has no such tag."""
        if tag not in self.tags:
            return np.full(len(self.value), np.nan)
        codes, words = self.tags[tag]
        return np.array([answers.get(word, other) for word in words], dtype=np.float64)[codes]


@dataclass
class K6Run:
    """Everything that was read so far."""

    only: Collection[str] | None = None
    tally: RequestTally = field(default_factory=RequestTally)
    sessions: RequestTally = field(default_factory=RequestTally)
    iterations: RequestTally = field(default_factory=RequestTally)
    names: Names = field(default_factory=Names)
    scenarios: Spans = field(default_factory=Spans)
    users: UserCount = field(default_factory=UserCount)
    dropped: list[tuple[Array, Array]] = field(default_factory=list)
    evenness: list[tuple[float, int]] = field(default_factory=list)
    whole_seconds: int = 0
    failures_unknown: int = 0
    iterations_begun: int = 0
    source: int = 0

    def add(self, samples: Samples) -> None:
        """Count a block of samples."""
        whole = len(samples.time_s) > 1 and bool(np.all(np.mod(samples.time_s[np.isfinite(samples.time_s)], 1.0) == 0))
        known = (np.abs(samples.time_s) < _LATEST_S) & (samples.value >= 0) & (samples.value < _LARGEST)
        of_users, of_dropped = (rows[known[rows]] for rows in (samples.of(USERS), samples.of(DROPPED)))
        self.users.add(self.source, np.floor(samples.time_s[of_users]).astype(np.int64), samples.value[of_users])
        self.dropped.append((samples.time_s[of_dropped], samples.value[of_dropped]))
        load = known & (samples.said("group", dict.fromkeys(_NOT_LOAD, 0.0), other=1.0) != 0.0)
        self.iterations_begun += int(load[samples.of(ITERATIONS)].sum())
        failed = _failed(samples)
        ended = samples.time_s + (spread_over_second(len(samples.time_s)) if whole else 0.0)
        rows = samples.of(*REQUESTS)
        rows = rows[load[rows]]
        if len(rows):
            self.whole_seconds += len(rows) if whole else 0
            self._count(samples, self._named(samples, rows), ended, failed)
        for tally, metrics in ((self.sessions, SESSIONS), (self.iterations, (ITERATIONS,))):
            rows = samples.of(*metrics)
            # Only where there is no request at all do sessions or iterations stand for them.
            if not self.tally.requests and len(rows := rows[load[rows]]):
                value = samples.value[rows] / 1e3
                tally.add(ended[rows] - value, value, failed=np.zeros(len(rows), bool))
        if not whole:
            self._measure_evenness(samples, load)

    def _named(self, samples: Samples, rows: Ints) -> Ints:
        names = [tag for tag in ("name", "url") if tag in samples.tags]
        if not names:
            return rows
        codes, words = samples.tags[names[0]]
        here = codes[rows]
        self.names.add(here, words)
        if self.only is None:
            return rows
        return rows[np.isin(here, [i for i, word in enumerate(words) if word in self.only])]

    def _count(self, samples: Samples, rows: Ints, ended: Array, failed: Array) -> None:
        if not len(rows):
            return
        latency = samples.value[rows] / 1e3
        self.failures_unknown += int(np.isnan(failed[rows]).sum())
        self.tally.add(ended[rows] - latency, latency, failed=failed[rows] > 0)
        codes, words = samples.tags.get("scenario", (np.zeros(len(samples.value), np.int64), [""]))
        for code in np.unique(codes[rows]):
            of = rows[codes[rows] == code]
            begins, ends = float((ended[of] - samples.value[of] / 1e3).min()), float(ended[of].max())
            self.scenarios.add(words[code], begins, ends, len(of))

    def _measure_evenness(self, samples: Samples, load: Bools) -> None:
        """Compare gaps between the starts of iterations: an arrival-rate executor starts them by the clock."""
        rows = samples.of(ITERATIONS)
        rows = rows[load[rows]]
        if "scenario" in samples.tags and len(rows):
            codes = samples.tags["scenario"][0][rows]
            rows = rows[codes == np.bincount(codes).argmax()]
        if len(rows) < _LEAST_GAPS:
            return
        gaps = np.diff(np.sort(samples.time_s[rows] - samples.value[rows] / 1e3))
        usual = float(np.median(gaps))
        if usual > 0:
            self.evenness.append((float(np.median(np.abs(np.diff(gaps)))) / usual, len(gaps)))


def _failed(samples: Samples) -> Array:
    """1 where a request failed, 0 where it did not, NaN where the file does not say, (n,)."""
    failed = samples.said("expected_response", {"true": 0.0, "false": 1.0}, other=np.nan)
    grpc = np.zeros(len(failed), bool)
    grpc[samples.of("grpc_req_duration")] = True
    status = samples.said("status", _numbers_of(samples, "status"), other=np.nan)
    # HTTP answers from 400 on, and none at all (0), have failed; of gRPC's numbers only 0 is success.
    by_status = np.where(grpc, status != 0, (status == 0) | (status >= 400)).astype(np.float64)
    failed = np.where(np.isfinite(failed), failed, np.where(np.isfinite(status), by_status, np.nan))
    failed = np.where(np.isnan(failed), samples.said("error_code", {"": 0.0}, other=1.0), failed)
    return _by_next_row(samples, failed) if np.isnan(failed).any() else failed


def _numbers_of(samples: Samples, tag: str) -> dict[str, float]:
    words = samples.tags[tag][1] if tag in samples.tags else []
    return {word: float(word) for word in words if word.isdecimal()}


def _by_next_row(samples: Samples, failed: Array) -> Array:
    """k6 writes whether a request failed some rows after its duration; so is it told where no tag says it."""
    told = samples.of(FAILED)
    if not len(told):
        return failed
    nearest = np.searchsorted(told, np.arange(len(failed)))
    known = nearest < len(told)
    row = told[np.minimum(nearest, len(told) - 1)]
    return np.where(np.isnan(failed) & known, samples.value[row], failed)
