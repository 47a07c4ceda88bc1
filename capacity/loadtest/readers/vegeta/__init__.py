"""Vegeta: requests sent at a rate, whatever the answers do.

Read are what ``vegeta encode`` writes, a request a line, and the reports of ``vegeta report``; what ``vegeta attack``
writes itself is a format of the Go language and of vegeta's version, which ``vegeta encode`` turns into either.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.delimited import Breaks
from capacity.loadtest.readers.files import head_of
from capacity.loadtest.readers.summaries import refuse_only
from capacity.loadtest.readers.vegeta import report
from capacity.loadtest.readers.vegeta.rows import (
    VegetaRun,
    first_instant,
    is_csv,
    is_json_lines,
    read_csv,
    read_json_lines,
)
from capacity.loadtest.reading import Reading
from capacity.loadtest.steady import steady_steps

NAME = "vegeta"

_ENCODE = "run `vegeta encode --to csv --output FILE.csv FILE` and give that"
_PLOT = "run `vegeta report -type=json` or `vegeta encode --to csv` on the results and give that"


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether the file begins as one of vegeta's outputs does."""
    return is_csv(head) or is_json_lines(head) or report.recognizes(head) or _unreadable(head) is not None


def _unreadable(head: bytes) -> tuple[str, str] | None:
    """Say what is vegeta's and holds no step that can be read, and what to do."""
    begins = head[:400]
    if b"Result" in begins and b"Latency" in begins and b"Attack" in begins and b"\xff" in begins:
        return "vegeta's own binary results", _ENCODE
    if begins.split(b"\n", 1)[0].split() == [b"Value(ms)", b"Percentile", b"TotalCount", b"1/(1-Percentile)"]:
        return "a latency plot, which says nothing of rates", _PLOT
    return None


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read requests where there are any, else reports; ``only`` keeps requests by "METHOD URL".

    Raises
    ------
    InputError
        Where nothing can be read.
    """
    run, broken = VegetaRun(only), []
    reports: list[Path] = []
    again: list[Path] = []
    begun: dict[bool, set[tuple[str, float]]] = {True: set(), False: set()}
    for path in files:
        head, breaks = head_of(path), Breaks(path)
        first = first_instant(head) if is_csv(head) or is_json_lines(head) else None
        if first is not None and first in begun[not is_csv(head)]:  # the same run in the other form
            again.append(path)
            continue
        if first is not None:
            begun[is_csv(head)].add(first)
        if (what := _unreadable(head)) is not None:
            broken.append(Problem(path.name, what[0], "results in CSV or JSON, or a report", what[1]))
        elif is_csv(head):
            read_csv(path, run, breaks)
        elif is_json_lines(head):
            read_json_lines(path, run, breaks)
        else:
            reports.append(path)
        broken.extend(breaks.problems())
    if run.tally.requests:
        return _of_requests(run, broken, [*again, *reports])
    if not reports:
        missing = run.names.missing(only) if only is not None else "no request"
        problems = broken or [Problem("files", missing, "requests of vegeta")]
        raise InputError("no request of vegeta can be read", problems=problems, remedy=_ENCODE if broken else "")
    refuse_only(only, tool="vegeta")
    found = report.read(reports)
    return Reading(**{**vars(found), "broken": (*broken, *found.broken)})


def _of_requests(run: VegetaRun, broken: list[Problem], reports: Sequence[Path]) -> Reading:
    steady = steady_steps(run.tally, model="open", spans=run.spans.found()).required(where="files", broken=broken)
    aside = [f"not counted twice, as of the same run: {', '.join(p.name for p in reports)}"] if reports else []
    return Reading(
        steady.steps,
        steady.gates,
        (*aside, *steady.notes),
        tuple(broken),
        errors_counted=False,
        started_s=run.spans.begins_s,
        requests=run.names.counts,
    )
