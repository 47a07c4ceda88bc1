"""Gatling: ``simulation.log`` as text or in binary, and the summaries of its report.

Users who come at a rate make an open test, a number of users that is held a closed one; the log does not say which was
meant, so it is told from how the number of users moves. Groups repeat the requests in them and are not counted.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from capacity.errors import InputError, Problem
from capacity.loadtest.gate import Gate
from capacity.loadtest.readers.files import head_of
from capacity.loadtest.readers.gatling import binary, summary, text
from capacity.loadtest.readers.gatling.events import Events
from capacity.loadtest.reading import Reading
from capacity.loadtest.steady import Model, steady_steps
from capacity.loadtest.steps import to_frame
from capacity.loadtest.users import model_of

NAME = "gatling"


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether the file is a log of Gatling, by its run header or records, or one of its summaries."""
    return text.recognizes(head) or binary.recognizes(head) or summary.recognizes(head)


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read the logs of one run, or where there is none its summary; ``only`` keeps requests of these names.

    Raises
    ------
    InputError
        Where no request can be read.
    """
    heads = {path: head_of(path) for path in files}
    logs = [p for p in files if not summary.recognizes(heads[p])]
    if not logs:
        return _whole_run([p for p in files if not summary.is_assertions(heads[p])], files, only)
    events = Events(only=only)
    for path in logs:
        (binary.read_binary if binary.recognizes(heads[path]) else text.read_text)(path, events)
    events.flush()
    if not events.tally.requests:
        nothing = [Problem(", ".join(p.name for p in logs), "no request", "REQUEST records")]
        missing = [] if only is None else [Problem("requests", ", ".join(sorted(only)), "names that the log has")]
        raise InputError("no request of Gatling can be read", problems=[*events.broken, *missing] or nothing)
    return _reading(events, where=", ".join(p.name for p in logs), passed_over=len(files) - len(logs))


def _reading(events: Events, *, where: str, passed_over: int) -> Reading:
    notes = [f"written by Gatling {', '.join(sorted(set(events.versions))) or 'of an unknown version'}", *events.notes]
    if passed_over:
        notes.append("the log was read; summaries beside it were passed over")
    if events.groups:
        notes.append(f"{events.groups} records of groups repeat their requests and were passed over")
    if events.backwards:
        notes.append(f"{events.backwards} requests end before they begin and were left out")
    steady = steady_steps(events.tally, model=_users(events, notes)).required(where=where, broken=events.broken)
    return Reading(
        steady.steps,
        (*steady.gates, *_gates(events)),
        (*notes, *steady.notes),
        tuple(events.broken),
        errors_counted=False,
        started_s=float(events.tally.seconds().second[0]),
        requests=events.requests,
    )


def _users(events: Events, notes: list[str]) -> Model | None:
    seconds = events.tally.seconds().second
    second, users = events.lives.by_second(from_s=float(seconds[0]), until_s=float(seconds[-1] + 1))
    if not len(second):
        notes.append("no user records: users are unknown")
        return None
    # Also where nothing began or ended: whoever waits is no pause.
    events.tally.add_users(second.astype(np.float64), users)
    model = model_of(users)
    how = "is held" if model == "closed" else "goes to and fro: they arrived at a rate"
    notes.append(f"{events.users} users; their number {how}")
    return model


def _gates(events: Events) -> list[Gate]:
    gates = []
    if events.runs > 1:
        says = f"{events.runs} logs were read as one run: of several generators, or of runs one after another"
        gates.append(Gate("several_logs", "flagged", events.runs, 1, says, "give each run its own folder"))
    if events.errors:
        says = f"Gatling noted {events.errors} errors of its own: users that did not do what the scenario says"
        gates.append(Gate("tool_errors", "flagged", events.errors, 0, says, "read the ERROR records in the log"))
    return gates


def _whole_run(summaries: list[Path], files: Sequence[Path], only: Collection[str] | None) -> Reading:
    if only is not None or not summaries:
        got = "a summary of all requests" if summaries else "assertions, which hold no measurements"
        problem = Problem(", ".join(p.name for p in files), got, "simulation.log of the run")
        raise InputError("the files of Gatling cannot be used", problems=[problem])
    rows = [summary.read_summary(path) for path in summaries]
    # stats.json and global_stats.json of one run say the same.
    rows = [r for i, r in enumerate(rows) if r not in rows[:i]]
    count = round(statistics.fmean(r["achieved_qps"] * r.get("seconds", 0.0) for r in rows))
    notes = (
        "a summary of the whole run: one step, users unknown, ramps and pauses averaged in",
        "percentiles are taken as the 50th, 75th, 95th and 99th, which Gatling writes by default",
        f"about {count} answers without error",
    )
    says = "the mean of a whole run, ramps included: throughput was at least this much"
    gates = tuple(Gate("whole_run", "bounded", None, None, says, "give simulation.log", i) for i in range(len(rows)))
    return Reading(to_frame(rows), gates, notes, errors_counted=False)


__all__ = ["NAME", "read", "recognizes"]
