"""k6: CSV and JSON lines with every sample, and its summaries.

A request's sample is taken at its end. ``http_req_duration`` is sending, waiting and receiving, without connecting.
Which executor ran is not written; `capacity.loadtest.readers.k6.model` tells it from the samples.

References
----------
.. [1] k6 documentation, "Results output" and "Built-in metrics".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from capacity.errors import InputError, Problem
from capacity.loadtest.gate import Gate
from capacity.loadtest.readers.delimited import Breaks
from capacity.loadtest.readers.files import head_of
from capacity.loadtest.readers.k6 import points, rows, summary
from capacity.loadtest.readers.k6.model import Told, dropped_by_second, model_of
from capacity.loadtest.readers.k6.run import K6Run
from capacity.loadtest.reading import Reading
from capacity.loadtest.requests import RequestTally
from capacity.loadtest.steady import Steady, steady_steps

NAME = "k6"

_DROPPED_SHARE = 0.01


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether the file begins as one of k6's outputs does."""
    return rows.recognizes(head) or points.recognizes(head) or summary.recognizes(head)


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read what k6 wrote: samples where there are any, else summaries; ``only`` keeps requests by their name.

    The same run in two forms is counted once: of samples CSV goes before JSON, and summaries are left aside.

    Raises
    ------
    InputError
        Where nothing can be read.
    """
    by_row = [path for path in files if rows.recognizes(head_of(path))]
    by_point = [path for path in files if points.recognizes(head_of(path))]
    rest = [path for path in files if path not in by_row and path not in by_point]
    used = by_row or by_point
    if not used:
        return summary.read(rest, only=only)
    run, broken = K6Run(only), []
    for source, path in enumerate(used):
        run.source, breaks = source, Breaks(path)
        (rows.read_rows if by_row else points.read_points)(path, run, breaks)
        broken.extend(breaks.problems())
    aside = [path.name for path in files if path not in used]
    notes = [f"not counted twice, as another form of the same run: {', '.join(aside)}"] if aside else []
    return _reading(run, broken, notes)


def _reading(run: K6Run, broken: list[Problem], notes: list[str]) -> Reading:
    tally, what = _tally_of(run)
    if not tally.requests:
        wanted = Problem("files", "no request", "rows of http_req_duration or grpc_req_duration", _other_names(run))
        raise InputError("no request of k6 can be read", problems=[*broken, wanted])
    second, users = run.users.by_second()
    tally.add_users(second.astype(np.float64), users)
    told = model_of(run, tally.seconds())
    found = steady_steps(tally, model=told.model, spans=run.scenarios.found()).required(where="files", broken=broken)
    steady = _with_dropped(run, tally, found)
    return Reading(
        steady.steps,
        steady.gates,
        (*notes, *_notes(run, told, what), *steady.notes),
        tuple(broken),
        errors_counted=False,
        started_s=float(np.floor(tally.seconds().second[0])),
        requests=run.names.counts,
    )


def _tally_of(run: K6Run) -> tuple[RequestTally, str]:
    if run.tally.requests or run.only is not None:
        return run.tally, "latency is k6's request duration, without the time to connect"
    if run.sessions.requests:
        return run.sessions, "no request but WebSocket sessions: a step counts sessions"
    return run.iterations, "no request of a kind that is known: a step counts iterations"


def _other_names(run: K6Run) -> str:
    return run.names.missing(run.only) if run.only is not None else ""


def _notes(run: K6Run, told: Told, what: str) -> list[str]:
    notes = [what] + ([f"{told.model}: {told.because}"] if told.because else [])
    if run.whole_seconds:
        notes.append("times are whole seconds: ends are spread evenly over each")
    if run.failures_unknown:
        notes.append(f"{run.failures_unknown} requests do not say whether they failed, and count as answered")
    by_scenario = run.scenarios.shares()
    if len(by_scenario) > 1:
        shares = ", ".join(f"{name or 'unnamed'} {share:.0%}" for name, share in by_scenario.items())
        notes.append(f"scenarios by their share of requests: {shares}; those at the same time are measured as a mix")
    return notes


def _with_dropped(run: K6Run, tally: RequestTally, steady: Steady) -> Steady:
    """Say of each step how many iterations never began, and count them as offered: that was asked, not sent."""
    when, count = dropped_by_second(run)
    if not len(when) or "begins_s" not in steady.steps:
        return steady
    first, frame = float(tally.seconds().second[0]), steady.steps.copy()
    begins, length = (frame[name].to_numpy(dtype=float) for name in ("begins_s", "seconds"))
    edges = np.searchsorted(when, np.stack([first + begins, first + begins + length]))
    lost = np.diff(np.concatenate([[0.0], np.cumsum(count)])[edges], axis=0)[0]
    per_iteration = tally.requests / max(run.iterations_begun, 1)
    lost_qps = lost * per_iteration / length
    asked_qps = frame["offered_qps"].to_numpy(dtype=float) + lost_qps
    gates = [
        _closed_step(lost_qps[i], asked_qps[i], int(lost[i]), int(i)) for i in np.flatnonzero(lost * (asked_qps > 0))
    ]
    return replace(steady, steps=frame.assign(offered_qps=asked_qps), gates=(*steady.gates, *gates))


def _closed_step(lost_qps: float, asked_qps: float, iterations: int, step: int) -> Gate:
    share = lost_qps / asked_qps
    if share <= _DROPPED_SHARE:
        says = f"{iterations} iterations ({share:.1%}) did not begin"
        return Gate("closed_step_posing_as_open", "ok", share, _DROPPED_SHARE, says, "", step)
    says = (
        f"{iterations} iterations ({share:.0%}) did not begin because no user was free: of {asked_qps:.4g}/s asked "
        f"{asked_qps - lost_qps:.4g}/s were sent, and their latency is that of users who wait, not of arrivals"
    )
    remedy = "raise maxVUs until no iteration is dropped, or take the step as one of users"
    return Gate("closed_step_posing_as_open", "flagged", share, _DROPPED_SHARE, says, remedy, step)
