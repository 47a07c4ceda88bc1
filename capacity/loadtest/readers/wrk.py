"""wrk and wrk2: the text they print, one step a run.

wrk keeps a number of connections busy (closed); it prints 50, 75, 90 and 99 % of latency, and no 95. wrk2 sends at a
rate (open), which it does not print, and counts latency from when a request should have begun; its detailed spectrum
has every percentile.

References
----------
.. [1] wrk and wrk2, README and ``src/wrk.c``: a timeout is counted once a check, and its answer may still come.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from capacity.loadtest.gate import Gate
from capacity.loadtest.gates import GENERATOR_SHORTFALL
from capacity.loadtest.readers.quantities import count_of, duration_ms, ratio
from capacity.loadtest.readers.summaries import Summary, read_each, reading_of, refuse_only, with_timeouts
from capacity.loadtest.reading import Reading

NAME = "wrk"

_ROUNDED = 0.01
_THREADS = re.compile(r"^\s*(\d+) threads? and (\d+) connections?\s*$", re.MULTILINE)
_COMMAND = re.compile(r"^.*\bwrk2?\b.*\s(?:-R\s*|--rate[ =])(\d+(?:\.\d+)?[kKmM]?)\b.*$", re.MULTILINE)
_LATENCY = re.compile(r"^\s*Latency\s+(\S+)\s+\S+\s+(\S+)", re.MULTILINE)
_DISTRIBUTION = re.compile(r"^\s*Latency Distribution(.*)$", re.MULTILINE)
_SHARE = re.compile(r"^\s*(\d+(?:\.\d+)?)%\s+([\d.]+ ?[a-zµ]+)\s*$", re.MULTILINE)
_SPECTRUM = re.compile(r"^\s*(\d+\.\d+)\s+([01]\.\d+)\s+\d+\s+(?:\d+\.\d+|inf)\s*$", re.MULTILINE)
_DONE = re.compile(r"^\s*(\d+) requests in ([\d.]+[a-z]+)", re.MULTILINE)
_SOCKET = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_RATE = re.compile(r"^\s*Requests/sec:\s+([\d.]+)", re.MULTILINE)


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether it names threads and connections as wrk does."""
    return b"threads and" in head and _THREADS.search(head.decode("utf-8", errors="replace")) is not None


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read what wrk printed; a file may hold several runs.

    Raises
    ------
    InputError
        Where no run of any file came to its end.
    """
    refuse_only(only, tool=NAME)
    summaries, broken = read_each(files, lambda text, name: list(_runs(text, name)))
    note = "each run is one step: averages over all of it, its beginning included"
    if summaries and all(math.isnan(s.row["p95_ms"]) for s in summaries):
        note += "; p95 is not reported"
    return reading_of(summaries, tool=NAME, broken=broken, notes=[note])


def _runs(text: str, name: str) -> Iterator[Summary]:
    begins = list(_THREADS.finditer(text))
    edges = [0, *(m.end() for m in begins[:-1])]
    for k, (match, before) in enumerate(zip(begins, edges, strict=False)):
        end = begins[k + 1].start() if k + 1 < len(begins) else len(text)
        where = f"{name} run {k + 1}" if len(begins) > 1 else name
        commands = list(_COMMAND.finditer(text[before : match.start()]))
        # What stands after the run before and is no part of it says how this one was started.
        asked = count_of(commands[-1][1]) if commands else math.nan
        threads, connections = int(match[1][:9]), int(match[2][:9])
        # Every thread gets the same whole number of connections.
        used = connections // max(threads, 1) * threads
        yield _run(text[match.end() : end], where, connections=used, asked_qps=asked)


def _run(text: str, where: str, *, connections: int, asked_qps: float) -> Summary:
    done = _DONE.search(text)
    requests = float(done[1]) if done else math.nan
    seconds = duration_ms(done[2]) / 1e3 if done else math.nan
    rate = _first(_RATE, text, otherwise=ratio(requests, seconds))
    # A time of minutes is printed to a hundredth of them: the rate is the more exact.
    seconds = ratio(requests, rate) if abs(ratio(requests, rate) / max(seconds, 1e-9) - 1.0) < _ROUNDED else seconds
    refused = _first(_STATUS, text, otherwise=0.0)
    sockets = _SOCKET.search(text)
    lost = sum(float(count) for count in sockets.groups()) if sockets else 0.0
    row = {"error_fraction": ratio(refused + lost, requests + lost)}
    row |= {"achieved_qps": rate * (1.0 - refused / requests) if requests > 0 else rate, "seconds": seconds}
    tails, corrected = _tails(text)
    latency = _LATENCY.search(text)
    row |= tails | {"mean_ms": duration_ms(latency[1]) if latency else math.nan}
    notes = [f"{where}: {sockets[0]}"] if sockets else []
    slowest_ms = duration_ms(latency[2]) if latency else math.nan
    timeouts = float(sockets[4]) if sockets else 0.0
    summary = Summary(where, row, notes=tuple(notes))
    summary = with_timeouts(summary, timeouts, of=requests + lost, slowest_ms=slowest_ms)
    if not _is_wrk2(text) and math.isnan(asked_qps):
        return replace(summary, row={**summary.row, "concurrency": float(connections)})
    return _open(summary, rate, asked_qps, corrected=corrected)


def _first(pattern: re.Pattern[str], text: str, *, otherwise: float = math.nan) -> float:
    found = pattern.search(text)
    return count_of(found[1]) if found else otherwise


def _is_wrk2(text: str) -> bool:
    return "Thread calibration" in text or "HdrHistogram" in text


def _tails(text: str) -> tuple[dict[str, float], bool]:
    """Percentiles of the first distribution that counts latency from when a request should have begun, if any does."""
    parts = [(m[1], m.end()) for m in _DISTRIBUTION.finditer(text)]
    ends = [end for _, end in parts[1:]] + [len(text)]
    bodies = [("Uncorrected" not in title, text[a:b]) for (title, a), b in zip(parts, ends, strict=False)]
    corrected, body = max(bodies, key=lambda part: part[0], default=(True, ""))
    told = {float(share): duration_ms(value) for share, value in _SHARE.findall(body)}
    spectrum = np.array([(float(p), float(ms)) for ms, p in _SPECTRUM.findall(body)])
    found = {f"p{share}_ms": told.get(float(share), math.nan) for share in (50, 95, 99)}
    if len(spectrum) and np.all(np.diff(spectrum[:, 0]) >= 0):
        found["p95_ms"] = float(np.interp(0.95, spectrum[:, 0], spectrum[:, 1]))
    return found, corrected


def _open(summary: Summary, rate: float, asked_qps: float, *, corrected: bool) -> Summary:
    """Give a run at a rate its load: what was asked, or what was sent where it kept up.

    Latency counts from when a request should have begun, so a generator that falls behind by a share f of the rate has
    a median of f/2 of the run: the median bounds how far it fell behind.
    """
    gates = [] if corrected else [_uncorrected()]
    notes = [*summary.notes, "wrk2: latency counts from when a request should have begun"] if corrected else []
    row = dict(summary.row)
    behind = ratio(2.0 * row["p50_ms"] / 1e3, row["seconds"])
    if asked_qps > 0:
        row["offered_qps"] = asked_qps
    elif corrected and 0 < behind <= GENERATOR_SHORTFALL:
        row["offered_qps"] = rate
        notes.append(f"{summary.where}: the rate asked is not printed; by its median it was met to {behind:.2%}")
    else:
        says = "the rate asked is not printed, nor does latency show it was met: the load is not known"
        remedy = "keep the command (wrk2 … -R RATE) in the file, before what it prints"
        gates.append(Gate("load_unknown", "excluded", behind, GENERATOR_SHORTFALL, says, remedy))
    return Summary(summary.where, row, gates=(*summary.gates, *gates), notes=tuple(notes))


def _uncorrected() -> Gate:
    says = "latency counts from when a request was sent: what waited to be sent is left out of its percentiles"
    return Gate("coordinated_omission", "flagged", None, None, says, "print the recorded latency (--latency)")
