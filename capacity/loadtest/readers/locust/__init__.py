"""Locust: users who wait for answers; its history, its statistics, or requests one by one as a listener writes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from capacity.errors import InputError, Problem
from capacity.loadtest.gate import Gate
from capacity.loadtest.readers.delimited import Breaks
from capacity.loadtest.readers.files import head_of
from capacity.loadtest.readers.locust import history, rows, summary
from capacity.loadtest.readers.locust.differences import Tails, differences
from capacity.loadtest.reading import Reading
from capacity.loadtest.requests import RequestTally
from capacity.loadtest.steady import steady_seconds, steady_steps
from capacity.loadtest.steps import to_frame

NAME = "locust"

_KINDS: dict[str, Callable[[bytes], bool]] = {
    "requests": rows.recognizes,
    "history": history.recognizes,
    "stats": summary.is_stats,
    "json": summary.is_json,
    "errors": summary.is_errors,
}


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether the file's header or first entry is one that Locust writes."""
    return any(is_it(head) for is_it in _KINDS.values())


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read the best of what a run left: requests, else the history, else statistics of the whole; ``only`` keeps names.

    Raises
    ------
    InputError
        Where nothing can be read.
    """
    kinds: dict[str, list[Path]] = {}
    for path in files:
        head = head_of(path)
        kinds.setdefault(next((k for k, is_it in _KINDS.items() if is_it(head)), "other"), []).append(path)
    if "requests" in kinds:
        reading = _from_requests(kinds["requests"], kinds.get("history", []), only)
        used = {"requests", "history"}
    elif "history" in kinds:
        reading, used = _from_history(kinds["history"], only), {"history"}
    else:
        reading, used = _from_summaries(kinds, files, only), {"stats", "json"}
    passed = [p.name for k, paths in kinds.items() if k not in used for p in paths]
    if passed:
        reading = _with_note(reading, f"passed over, as it says nothing more of the steps: {', '.join(sorted(passed))}")
    return reading


def _with_note(reading: Reading, note: str) -> Reading:
    from dataclasses import replace

    return replace(reading, notes=(*reading.notes, note))


def _from_requests(paths: Sequence[Path], histories: Sequence[Path], only: Collection[str] | None) -> Reading:
    tally, requests, broken = RequestTally(), dict[str, int](), list[Problem]()
    failures_known = True
    for path in paths:
        breaks = Breaks(path)
        failures_known &= rows.read_rows(path, tally, breaks, requests, only=only)
        broken.extend(breaks.problems())
    where = ", ".join(p.name for p in paths)
    if not tally.requests:
        raise InputError("no request of Locust can be read", problems=broken or [Problem(where, "no rows", "rows")])
    notes = ["requests were read one by one"]
    seconds = tally.seconds()
    if not np.isfinite(seconds.users).any():
        for path in histories:
            found = history.read_history(path, Breaks(path), only=None)
            inside = (found.at_s >= seconds.second[0]) & (found.at_s <= seconds.second[-1]) & np.isfinite(found.users)
            tally.add_users(found.at_s[inside], found.users[inside])
            notes.append(f"users were taken from {path.name}")
    steady = steady_steps(tally, model="closed").required(where=where, broken=broken)
    steps = steady.steps if failures_known else steady.steps.assign(error_fraction=np.nan)
    return Reading(
        steps,
        steady.gates,
        (*notes, *steady.notes),
        tuple(broken),
        errors_counted=not failures_known,
        started_s=float(seconds.second[0]),
        requests=requests,
    )


def _from_history(paths: Sequence[Path], only: Collection[str] | None) -> Reading:
    if len(paths) > 1:
        names = ", ".join(p.name for p in paths)
        problem = Problem(names, f"{len(paths)} histories", "that of one run", "make a run.yaml for each")
        raise InputError("the histories of Locust cannot be used together", problems=[problem])
    (path,) = paths
    breaks = Breaks(path)
    found = history.read_history(path, breaks, only=only)
    spread = differences(found)
    tails = Tails(found, spread.reset_s)
    steady = steady_seconds(spread.seconds, tails=tails, model="closed")
    steady = steady.required(where=path.name, broken=breaks.problems())
    notes = [
        "throughput and mean latency by differences of cumulative numbers; users in service by Little's law",
        "percentiles are those of the last ten seconds (full history)"
        if found.windowed
        else "percentiles are cumulative (no full history): known only of steps at whose beginning counts were reset",
    ]
    if len(spread.reset_s):
        notes.append(f"counts were reset {len(spread.reset_s)} times")
    if not np.isfinite(found.users).any():
        notes.append("no column User Count: users are unknown")
    gates = list(steady.gates)
    if tails.cumulative:
        says = f"{tails.cumulative} steps have no percentiles: those in the file also count what came before the step"
        remedy = "run Locust with --csv-full-history, or reset statistics at each step"
        gates.append(Gate("percentiles_cumulative", "flagged", tails.cumulative, 0, says, remedy))
    return Reading(
        steady.steps,
        tuple(gates),
        (*notes, *steady.notes),
        tuple(breaks.problems()),
        errors_counted=False,
        started_s=float(found.at_s[0]),
        requests=found.names,
    )


def _from_summaries(kinds: dict[str, list[Path]], files: Sequence[Path], only: Collection[str] | None) -> Reading:
    requests: dict[str, int] = {}
    steps, broken = [], []
    for path in kinds.get("stats", []):
        breaks = Breaks(path)
        steps.append(summary.read_stats(path, breaks, requests, only=only))
        broken.extend(breaks.problems())
    steps.extend(summary.read_json(path, requests, only=only) for path in kinds.get("json", []))
    if not steps:
        problem = Problem(", ".join(p.name for p in files), "no measurements", "*_stats_history.csv of the run")
        raise InputError("the files of Locust cannot be used", problems=[problem])
    says = "the mean of all since the start or the last reset, ramps included; users unknown"
    gates = tuple(
        Gate("whole_run", "bounded", None, None, says, "give *_stats_history.csv", i) for i in range(len(steps))
    )
    notes = ("statistics of a whole run: one step, users unknown",)
    return Reading(to_frame(steps), gates, notes, tuple(broken), errors_counted=False, requests=requests)


__all__ = ["NAME", "read", "recognizes"]
