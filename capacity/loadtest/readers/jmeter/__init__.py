"""JMeter: JTL files in CSV, with any columns, and in XML; users who wait for answers, unless a timer sets a rate.

References
----------
.. [1] Apache JMeter, User's Manual, "Listeners", sections "CSV Log format" and "XML Log format 2.1".
.. [2] Apache JMeter, ``jmeter.properties``: ``sampleresult.timestamp.start``, ``jmeter.save.saveservice.*``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from capacity.errors import InputError, Problem
from capacity.loadtest.gate import Gate
from capacity.loadtest.readers.delimited import Breaks
from capacity.loadtest.readers.files import head_of
from capacity.loadtest.readers.jmeter.csv_rows import csv_rows
from capacity.loadtest.readers.jmeter.layout import looks_like_csv
from capacity.loadtest.readers.jmeter.rows import Found
from capacity.loadtest.readers.jmeter.run import FileOfRun, Run, runs_in_one, spans_of
from capacity.loadtest.readers.jmeter.xml_rows import looks_like_xml, xml_rows
from capacity.loadtest.reading import Reading
from capacity.loadtest.steady import Model, steady_steps
from capacity.loadtest.users import model_of

NAME = "jmeter"

_DASHBOARD = re.compile(rb'^\s*\{\s*"[^"]*"\s*:\s*\{\s*"transaction"\s*:')


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether the file begins with ``testResults``, JMeter's column names, or a row in their default order."""
    return looks_like_xml(head) or _DASHBOARD.match(head) is not None or looks_like_csv(head)


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read JTL files of one run; ``only`` keeps samples with these labels.

    Raises
    ------
    InputError
        Where no sample can be read: no times, no header line, statistical samples, a summary.
    """
    run = Run(only=only)
    for path in files:
        _read_file(path, run)
    if not run.tally.requests:
        said = [] if only is None else [Problem("requests", ", ".join(sorted(only)), "labels that the files have")]
        nothing = [Problem(", ".join(p.name for p in files), "no sample", "one row a sample")]
        raise InputError("no request of JMeter can be read", problems=[*run.broken, *said] or nothing)
    model = _add_users(run)
    where = ", ".join(p.name for p in files)
    steady = steady_steps(run.tally, model=model, spans=spans_of(run)).required(where=where, broken=run.broken)
    steps = steady.steps
    if not run.errors_known:
        steps = steps.assign(error_fraction=np.nan)
    return Reading(
        steps,
        (*steady.gates, *_gates(run)),
        (*run.notes, *steady.notes),
        tuple(run.broken),
        errors_counted=not run.errors_known,
        started_s=float(run.tally.seconds().second[0]) if run.dated else None,
        requests=run.requests,
    )


def _read_file(path: Path, run: Run) -> None:
    head = head_of(path)
    if _DASHBOARD.match(head):
        got, expected = "statistics of the whole run", "one row a request: it holds neither steps nor times"
        raise InputError(
            "the JMeter results cannot be used",
            problems=[Problem(path.name, got, expected, "give the JTL file of the run")],
        )
    found, breaks = Found(), Breaks(path)
    blocks = xml_rows(path, found, breaks) if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else None
    FileOfRun(run, found, name=path.name).add_all(blocks or csv_rows(path, found, breaks))
    run.broken.extend(breaks.problems())


def _add_users(run: Run) -> Model | None:
    """Give the tally its users, and tell whether their number was set or came of a rate."""
    seconds = run.tally.seconds().second
    second, users = run.users.by_second()
    if len(second):
        several = f", the sum of {run.users.sources} generators" if run.users.sources > 1 else ""
        run.notes.append(f"users are allThreads{several}")
        inside = (second >= seconds[0]) & (second <= seconds[-1])
        second, users = second[inside], users[inside]
    elif run.threads_known:
        second, users = run.lives.by_second(from_s=float(seconds[0]), until_s=float(seconds[-1] + 1))
        run.notes.append("no allThreads: users are counted by when the samples of each thread begin and end")
    else:
        run.notes.append("neither allThreads nor thread names: users are unknown")
        return None
    run.tally.add_users(second.astype(np.float64), users)
    model = model_of(users)
    if model == "open":
        run.notes.append("the number of threads goes to and fro: samples arrived at a rate")
    return model


def _gates(run: Run) -> list[Gate]:
    gates = []
    if run.sums or run.parents:
        says = f"{run.sums + run.parents} rows of transactions were left out: they repeat the samples they consist of"
        gates.append(Gate("transactions_counted_twice", "ok", run.sums + run.parents, None, says))
    if run.sums_kept:
        says = f"{run.sums_kept} rows are transactions whose samples were not written: each counts as one request"
        remedy = "untick 'Generate parent sample', so that every request is written"
        gates.append(Gate("transactions_as_requests", "flagged", run.sums_kept, 0, says, remedy))
    if run.parts:
        says = f"{run.parts} samples are parts of others (redirects, embedded resources) and count with them"
        gates.append(Gate("parts_of_samples", "ok", run.parts, None, says))
    count = runs_in_one(run)
    if count > 1:
        says = f"the files hold {count} runs, one after another: their steps stand side by side as if of one"
        remedy = "give each run its own file: -l appends to one that is there"
        gates.append(Gate("appended_runs", "flagged", count, 1, says, remedy))
    return gates
