"""The plain form that any tool can be brought to: one row a steady step."""

from __future__ import annotations

import csv as standard
import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from capacity.errors import InputError, Problem, did_you_mean
from capacity.loadtest.reading import Reading
from capacity.loadtest.steps import COLUMNS, FRACTIONS, LARGEST, OPTIONAL, to_frame

NAME = "csv"

_KNOWN = (*COLUMNS, *OPTIONAL)
_MOST_PROBLEMS = 50
_MOST_STEPS = 10_000


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether the first line names ``achieved_qps``."""
    return b"achieved_qps" in head.split(b"\n", 1)[0]


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read steps from plain CSV files, in their order.

    Parameters
    ----------
    files
        UTF-8 files with a header line. ``achieved_qps`` and one of ``offered_qps``, ``concurrency`` are required;
        an empty cell is unknown.
    only
        Not possible: the plain form does not tell requests apart.

    Raises
    ------
    InputError
        With every problem of every file.
    """
    rows: list[dict[str, float]] = []
    problems: list[Problem] = []
    if only is not None:
        problems.append(Problem("requests", ", ".join(sorted(only)), "nothing: steps do not tell requests apart"))
    for path in files:
        for item in _rows(path):
            if isinstance(item, Problem):
                problems.append(item)
            else:
                rows.append(item)
    if not rows and not problems:
        names = ", ".join(p.name for p in files)
        problems.append(Problem(names, "no rows", "one row a steady step", "a single row is enough for a lower bound"))
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        shown = problems[:_MOST_PROBLEMS] + ([Problem("…", f"{more} more", "none")] if more > 0 else [])
        raise InputError("the steps of the load test cannot be used", problems=shown)
    return Reading(to_frame(rows))


def _rows(path: Path) -> Iterator[dict[str, float] | Problem]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        yield Problem(path.name, "bytes that are not UTF-8", "a CSV file in UTF-8")
        return
    if "\0" in text:
        yield Problem(path.name, "binary content", "a CSV file in UTF-8")
        return
    lines = standard.reader(text.splitlines())
    try:
        header = next(lines, None)
        if header is None:
            yield Problem(path.name, "an empty file", "a header line and one row a step")
            return
        names = [cell.strip() for cell in header]
        found = list(_header_problems(path.name, names))
        yield from found
        if found:
            return
        for count, cells in enumerate(lines, start=1):
            if count > _MOST_STEPS:
                yield Problem(f"{path.name}:{lines.line_num}", f"more than {_MOST_STEPS} rows", "one row a steady step")
                return
            if any(cell.strip() for cell in cells):
                yield from _row(f"{path.name}:{lines.line_num}", names, cells)
    except standard.Error as error:
        yield Problem(f"{path.name}:{lines.line_num}", str(error), "comma-separated values")


def _header_problems(where: str, names: Sequence[str]) -> Iterator[Problem]:
    for name in names:
        if name not in _KNOWN:
            yield Problem(f"{where}:1", f"column {name!r}", "one of " + ", ".join(_KNOWN), did_you_mean(name, _KNOWN))
        elif names.count(name) > 1:
            yield Problem(f"{where}:1", f"column {name!r} {names.count(name)} times", "each column once")
    if "achieved_qps" not in names:
        yield Problem(f"{where}:1", "no column 'achieved_qps'", "requests answered per second at each step")
    if "offered_qps" not in names and "concurrency" not in names:
        yield Problem(f"{where}:1", "neither 'offered_qps' nor 'concurrency'", "one of them: the load that was set")


def _row(where: str, names: Sequence[str], cells: Sequence[str]) -> Iterator[dict[str, float] | Problem]:
    if len(cells) != len(names):
        yield Problem(where, f"{len(cells)} cells", f"{len(names)}, as the header has")
        return
    row: dict[str, float] = {}
    problems: list[Problem] = []
    for name, cell in zip(names, (c.strip() for c in cells), strict=True):
        if cell == "":
            continue
        try:
            row[name] = _number(name, cell)
        except ValueError as error:
            problems.append(Problem(f"{where} {name}", repr(cell), str(error)))
    failed = {p.where.rsplit(" ", 1)[-1] for p in problems}
    if "achieved_qps" not in row and "achieved_qps" not in failed:
        problems.append(Problem(f"{where} achieved_qps", "nothing", "a number"))
    if not {"offered_qps", "concurrency"} & (row.keys() | failed):
        problems.append(Problem(where, "neither offered_qps nor concurrency", "one of them"))
    problems.extend(_order_problems(where, row))
    if problems:
        yield from problems
    else:
        yield row


def _number(name: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise ValueError("a number, or an empty cell when unknown") from None
    if not math.isfinite(value):
        raise ValueError("a finite number; unknown is an empty cell")
    if value < 0:
        raise ValueError("a number that is not negative")
    if name in FRACTIONS and value > 1:
        raise ValueError("a fraction from 0 to 1")
    if value > LARGEST:
        raise ValueError(f"a number below {LARGEST:g}")
    if value == 0 and name in ("offered_qps", "concurrency", "seconds"):
        raise ValueError("a number above 0")
    return value


def _order_problems(where: str, row: dict[str, float]) -> Iterator[Problem]:
    tails = [(n, row[n]) for n in ("p50_ms", "p95_ms", "p99_ms") if n in row]
    for (low, a), (high, b) in itertools.pairwise(tails):
        if b < a:
            yield Problem(f"{where} {high}", f"{b:g}", f"at least {low} ({a:g})")
