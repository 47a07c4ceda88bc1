"""autocannon: its JSON and the tables it prints, one step a run.

autocannon keeps connections busy, each with as many requests as its pipelining factor (closed). It reports 90 and
97.5 % of latency, and no 95.

References
----------
.. [1] autocannon, README, section "API", and ``lib/printResult.js``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.quantities import count_of, duration_ms, iso_seconds, ratio
from capacity.loadtest.readers.summaries import Summary, read_each, reading_of, refuse_only, with_timeouts
from capacity.loadtest.reading import Reading

NAME = "autocannon"

_JSON = (b'"connections"', b'"pipelining"', b'"latency"', b'"requests"', b'"2xx"')
_LOAD = re.compile(r"^\s*(\d+) connections(?: with (\d+) pipelining factor)?", re.MULTILINE)
_DONE = re.compile(r"^\s*([\d.,]+[kKmM]?) requests in ([\d.]+\s?[a-z]+)", re.MULTILINE)
_ERRORS = re.compile(r"([\d.,]+[kKmM]?) errors \(([\d.,]+[kKmM]?) timeouts\)")
_ANSWERS = re.compile(r"([\d.,]+[kKmM]?) 2xx responses, ([\d.,]+[kKmM]?) non 2xx responses")
_ROUNDED = 0.1
_ROW = re.compile(r"[│|]")


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether it has the keys of its JSON, or its table."""
    if head.lstrip().startswith(b"{"):
        return all(key in head for key in _JSON)
    return b"connections" in head and b"97.5%" in head and (b"Req/Sec" in head or b"Latency" in head)


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read what autocannon wrote; a file may hold several runs.

    Raises
    ------
    InputError
        Where nothing can be read.
    """
    refuse_only(only, tool=NAME)
    summaries, broken = read_each(files, lambda text, name: list(_summaries_of(text, name)))
    note = "each run is one step: averages over all of it, its beginning included; p95 is not reported"
    return reading_of(summaries, tool=NAME, broken=broken, notes=[note])


def _summaries_of(text: str, name: str) -> Iterator[Summary]:
    if not text.lstrip().startswith("{"):
        yield from _tables(text, name)
        return
    decoder, place, found = json.JSONDecoder(), 0, 0
    while place < len(text):
        try:
            document, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            if not found:
                problem = Problem(name, str(error)[:100], "a whole JSON result")
                raise InputError("no JSON", problems=[problem]) from None
            return
        place += len(text[place:]) - len(text[place:].lstrip())
        found += 1
        if isinstance(document, dict):
            yield _from_json(document, name if found == 1 else f"{name} result {found}")


def _number(values: Any, key: str) -> float:
    value = values.get(key) if isinstance(values, dict) else None
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else math.nan


def _from_json(document: Mapping[str, Any], name: str) -> Summary:
    latency, requests = document.get("latency"), document.get("requests")
    seconds, total = _number(document, "duration"), _number(requests, "total")
    refused = _number(document, "4xx") + _number(document, "5xx")
    refused = _number(document, "non2xx") if math.isnan(refused) else refused
    row = {column: _number(latency, key) for column, key in (("p50_ms", "p50"), ("p95_ms", "p95"), ("p99_ms", "p99"))}
    mean = _number(latency, "mean")
    row["mean_ms"] = _number(latency, "average") if math.isnan(mean) else mean
    slowest_ms = _number(latency, "max")
    row |= {"concurrency": _number(document, "connections") * max(_or(_number(document, "pipelining"), 1.0), 1.0)}
    errors = _number(document, "errors")
    row |= _answered(total, seconds, _or(refused, 0.0), _or(errors, 0.0))
    began = float(iso_seconds([str(document.get("start"))])[0])
    summary = Summary(name, row, began_s=began if began > 0 else math.nan)
    return with_timeouts(summary, _number(document, "timeouts"), of=total + _or(errors, 0.0), slowest_ms=slowest_ms)


def _or(value: float, other: float) -> float:
    return other if math.isnan(value) else value


def _answered(total: float, seconds: float, refused: float, lost: float) -> dict[str, float]:
    """Rate of good answers and share of bad ones: of all answers some were refusals, and errors are apart from them."""
    sent = total + lost
    return {
        "achieved_qps": ratio(total - refused, seconds),
        "error_fraction": ratio(refused + lost, sent),
        "seconds": seconds,
    }


def _rate(average: float, requests: str, seconds: float) -> float:
    """Take the average of its seconds, unless that was written with a point for thousands.

    The count of requests is shortened ("1k" is 1,342 as well), so it is the less exact of the two.

    Examples
    --------
    >>> _rate(165.25, "1k", 8.04), round(_rate(87.9168, "879k", 10.0))
    (165.25, 87917)
    """
    counted = ratio(count_of(requests), seconds)
    doubt = _ROUNDED * counted + 2.0 + ratio(_last_digit(requests), seconds)
    for rate in (average, 1e3 * average):
        if math.isnan(counted) or abs(rate - counted) <= doubt:
            return rate
    return counted


def _last_digit(text: str) -> float:
    """Give what one of the last digit stands for: some versions round a count, some cut it.

    Examples
    --------
    >>> _last_digit("1k"), _last_digit("1.37k"), _last_digit("137")
    (1000.0, 10.0, 0.0)
    """
    digits, unit = text.rstrip("kKmM"), text[-1:].lower()
    if unit not in ("k", "m"):
        return 0.0
    return (1e3 if unit == "k" else 1e6) / 10.0 ** len(digits.partition(".")[2])


def _tables(text: str, name: str) -> Iterator[Summary]:
    begins = list(_LOAD.finditer(text))
    for k, match in enumerate(begins):
        end = begins[k + 1].start() if k + 1 < len(begins) else len(text)
        yield _table(text[match.end() : end], match, f"{name} run {k + 1}" if len(begins) > 1 else name)


def _table(text: str, load: re.Match[str], where: str) -> Summary:
    rows = [[cell.strip() for cell in _ROW.split(line)[1:-1]] for line in text.splitlines() if _ROW.search(line)]
    latency: dict[str, str] = {}
    per_second: dict[str, str] = {}
    header: list[str] = []
    for cells in rows:
        label = cells[0] if cells else ""
        if label == "Stat":
            header = cells
        elif label == "Latency":
            latency = dict(zip(header, cells, strict=False))
        elif label == "Req/Sec":
            per_second = dict(zip(header, cells, strict=False))
    row = {"p50_ms": duration_ms(latency.get("50%", "")), "p99_ms": duration_ms(latency.get("99%", ""))}
    row |= {"mean_ms": duration_ms(latency.get("Avg", ""))}
    row |= {"concurrency": float(load[1][:12]) * float((load[2] or "1")[:12])}
    done, errors, answers = _DONE.search(text), _ERRORS.search(text), _ANSWERS.search(text)
    seconds = duration_ms(done[2]) / 1e3 if done else math.nan
    rate = _rate(count_of(per_second.get("Avg", "")), done[1] if done else "", seconds)
    refused, good = (count_of(answers[2]), count_of(answers[1])) if answers else (0.0, 0.0)
    refusing = refused / (refused + good) if refused + good > 0 else 0.0
    lost, timeouts = (count_of(errors[1]), count_of(errors[2])) if errors else (0.0, 0.0)
    row |= _answered(rate * seconds, seconds, rate * seconds * refusing, lost)
    notes = (f"{where}: errors are {errors[0]}",) if errors else ()
    summary = Summary(where, row, notes=notes)
    return with_timeouts(summary, timeouts, of=rate * seconds + lost, slowest_ms=duration_ms(latency.get("Max", "")))
