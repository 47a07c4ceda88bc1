"""Tools that write a summary of a run: each is one step, several make the staircase."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from capacity.errors import InputError, Problem
from capacity.loadtest.gate import Gate
from capacity.loadtest.readers.files import BREAKS, as_utf8, blocks_of
from capacity.loadtest.reading import Reading
from capacity.loadtest.steps import FRACTIONS, LARGEST, to_frame

_PERCENTILES = ("p50_ms", "p95_ms", "p99_ms")
# A latency of 0 is too short for the unit it was printed in, or was not measured.
_ABOVE_ZERO = ("offered_qps", "achieved_qps", "concurrency", "seconds", "mean_ms", *_PERCENTILES)
_MOST_BYTES = 1 << 26
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Summary:
    """What a tool says of one step.

    Attributes
    ----------
    where
        File, and the place in it where it holds several.
    row
        The step by the names of `capacity.loadtest.steps.COLUMNS` and ``OPTIONAL``; unknown is absent or NaN.
    began_s
        When, seconds since 1970; NaN where it does not say.
    gates
        What only this summary shows; their ``step`` is set where the steps are put in order.
    notes
        What was taken for granted.
    """

    where: str
    row: Mapping[str, float]
    began_s: float = float("nan")
    gates: tuple[Gate, ...] = ()
    notes: tuple[str, ...] = ()


def reading_of(
    summaries: Iterable[Summary],
    *,
    tool: str,
    broken: Sequence[Problem] = (),
    notes: Sequence[str] = (),
    requests: Mapping[str, int] | None = None,
) -> Reading:
    """Put summaries in the order of time, else of load, and make steps of them.

    Raises
    ------
    InputError
        Where none of them says how many requests were answered.
    """
    problems, usable = list(broken), []
    for summary in summaries:
        cleaned, wrong = _cleaned(summary)
        problems.extend(wrong)
        if "achieved_qps" in cleaned.row:
            usable.append(cleaned)
        else:
            problems.append(Problem(summary.where, "no number of answers a second", f"a whole summary of {tool}"))
    if not usable:
        raise InputError(
            f"no step of {tool} can be read",
            problems=problems or [Problem("files", "nothing", f"a summary of {tool}")],
            remedy="let the tool finish, and keep all it prints",
        )
    ordered = _ordered(usable)
    gates = [replace(gate, step=i) for i, summary in enumerate(ordered) for gate in summary.gates]
    said = dict.fromkeys(itertools.chain(notes, *(s.notes for s in ordered)))
    began = [s.began_s for s in ordered if math.isfinite(s.began_s)]
    return Reading(
        to_frame([s.row for s in ordered]),
        tuple(gates),
        tuple(said),
        tuple(problems),
        errors_counted=False,
        started_s=min(began, default=None),
        requests=dict(requests or {}),
    )


def _ordered(summaries: list[Summary]) -> list[Summary]:
    if all(math.isfinite(s.began_s) for s in summaries):
        ordered = sorted(summaries, key=lambda s: s.began_s)
        first = ordered[0].began_s
        return [replace(s, row={**s.row, "begins_s": s.began_s - first}) for s in ordered]
    return sorted(summaries, key=lambda s: s.row.get("offered_qps", s.row.get("concurrency", s.row["achieved_qps"])))


def _cleaned(summary: Summary) -> tuple[Summary, list[Problem]]:
    """Leave out numbers that cannot be: not finite, negative, too large, percentiles that fall."""
    row: dict[str, float] = {}
    wrong: list[Problem] = []
    all_failed = summary.row.get("error_fraction", 0.0) > 0
    for name, value in summary.row.items():
        if math.isnan(value):
            continue
        if not 0 <= value <= LARGEST or (name in FRACTIONS and value > 1):
            wrong.append(Problem(f"{summary.where} {name}", f"{value:g}", "a number that can be"))
        elif value > 0 or name not in _ABOVE_ZERO or (name == "achieved_qps" and all_failed):
            row[name] = value
    tails = [row[name] for name in _PERCENTILES if name in row]
    if any(low > high for low, high in itertools.pairwise(tails)):
        wrong.append(Problem(f"{summary.where} percentiles", " > ".join(f"{t:g}" for t in tails), "rising ones"))
        row = {name: value for name, value in row.items() if name not in _PERCENTILES}
    return replace(summary, row=row), wrong


def without_load(row: Mapping[str, float], *, answered_qps: float) -> dict[str, float]:
    """Give a step whose load the tool does not print the number under way by Little's law.

    ``answered_qps`` is the rate of the answers that its mean latency is of. That mean is left out, so that the law is
    not checked against itself.

    Examples
    --------
    >>> without_load({"achieved_qps": 100.0, "mean_ms": 50.0}, answered_qps=100.0)
    {'achieved_qps': 100.0, 'concurrency': 5.0}
    """
    mean = row.get("mean_ms", float("nan"))
    kept = {name: value for name, value in row.items() if name != "mean_ms"}
    return {**kept, "concurrency": answered_qps * mean / 1e3}


def with_timeouts(summary: Summary, timeouts: float, *, of: float, slowest_ms: float) -> Summary:
    """Mend percentiles of a tool that leaves out requests which timed out.

    A request that timed out waited longer than the slowest answer, so a percentile of all requests that falls among
    them is at least that.

    Parameters
    ----------
    summary
        With the percentiles of answers.
    timeouts, of
        How many requests timed out, and how many there were.
    slowest_ms
        The slowest answer; NaN where it is not known.

    Examples
    --------
    >>> row = {"p50_ms": 100.0, "p95_ms": 200.0, "p99_ms": 250.0}
    >>> mended = with_timeouts(Summary("a.txt", row), 20.0, of=1000.0, slowest_ms=900.0)
    >>> mended.row["p95_ms"], mended.row["p99_ms"], mended.gates[0].name
    (200.0, 900.0, 'timeouts_outside_percentiles')
    """
    share = timeouts / of if of > 0 else 0.0
    if not share > 0:
        return summary
    among = [name for name, q in zip(_PERCENTILES, (0.50, 0.95, 0.99), strict=True) if share >= 1.0 - q]
    row = {**summary.row, **{name: _largest(summary.row.get(name, math.nan), slowest_ms) for name in among}}
    where = f"; {', '.join(name.removesuffix('_ms') for name in among)} is at least the slowest answer" if among else ""
    says = f"{timeouts:g} requests ({share:.1%}) timed out and stand in no percentile that was printed{where}"
    remedy = "keep every request, or set the tool's timeout far above the objective"
    gate = Gate("timeouts_outside_percentiles", "flagged", share, 0.01, says, remedy)
    return replace(summary, row=row, gates=(*summary.gates, gate))


def _largest(one: float, other: float) -> float:
    return max((x for x in (one, other) if not math.isnan(x)), default=math.nan)


def refuse_only(only: Collection[str] | None, *, tool: str) -> None:
    """Refuse to keep some requests of a summary, which does not tell them apart.

    Raises
    ------
    InputError
        Where requests are named.
    """
    if only is not None:
        raise InputError(
            f"summaries of {tool} do not tell requests apart",
            problems=[Problem("requests", ", ".join(sorted(only)), "nothing")],
            remedy="remove requests from run.yaml, or keep the tool's output of every request",
        )


def read_each(
    files: Sequence[Path], summaries_of: Callable[[str, str], list[Summary]]
) -> tuple[list[Summary], list[Problem]]:
    """Read whole files with a function of their text and their name; what breaks is told and the rest read."""
    found: list[Summary] = []
    broken: list[Problem] = []
    for path in files:
        text, problem = text_of(path)
        broken.extend([problem] if problem is not None else [])
        try:
            here = summaries_of(text, path.name)
        except InputError as error:
            broken.extend(error.problems)
            continue
        if not here:
            broken.append(Problem(path.name, repr(text[:40]) if text else "nothing", "a summary"))
        found.extend(here)
    return found, broken


def text_of(path: Path) -> tuple[str, Problem | None]:
    """Return what can be had of a file as text, and where it broke."""
    got, problem = b"", None
    try:
        for block in blocks_of(path):
            got += block
            if len(got) > _MOST_BYTES:
                problem = Problem(path.name, f"more than {_MOST_BYTES >> 20} MB", "a summary", "the beginning was read")
                break
    except BREAKS as error:
        problem = Problem(f"{path.name} after {len(got)} bytes", str(error), "a whole file", "what is before was read")
    text = as_utf8(got).decode("utf-8", errors="replace").removeprefix("\ufeff")
    return _COLOURS.sub("", text).replace("\r\n", "\n"), problem


__all__ = ["Summary", "read_each", "reading_of", "refuse_only", "text_of", "with_timeouts", "without_load"]
