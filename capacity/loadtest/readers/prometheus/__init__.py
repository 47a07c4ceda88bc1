"""Prometheus: range queries saved as JSON, several files a run.

Wanted are a counter of requests or their rate, users or requests in progress, and latency. What each series is, is told
from the metric's name and labels or, for expressions, from the file's name: rate, inprogress, vus, mean, p95, errors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from capacity.errors import InputError, Problem
from capacity.loadtest.gate import Gate
from capacity.loadtest.readers.prometheus import kinds
from capacity.loadtest.readers.prometheus.document import Series, read_answer
from capacity.loadtest.readers.prometheus.document import recognizes as _recognizes
from capacity.loadtest.readers.prometheus.run import (
    Chosen,
    Tails,
    added,
    busiest,
    choose,
    held,
    level,
    seconds_of,
    step_s,
)
from capacity.loadtest.reading import Reading
from capacity.loadtest.requests import Seconds
from capacity.loadtest.steady import Model, steady_seconds
from capacity.loadtest.users import model_of

if TYPE_CHECKING:
    import pandas as pd

NAME = "prometheus"

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_COARSE_S = 15.0
_LAGS = 0.5
# A sample may meet a user between two requests; steps of a staircase lie further apart.
_SAME_LOAD = 0.15
_COLLAPSED = 0.5


def recognizes(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Whether the file is an answer of Prometheus' HTTP API."""
    return _recognizes(head)


def read(files: Sequence[Path], *, only: Collection[str] | None = None) -> Reading:
    """Read the range queries of one run; ``only`` keeps series whose handler, path or name is one of these.

    Raises
    ------
    InputError
        Where no series says how many requests there were.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    series = [s for path in files for s in read_answer(path, problems, notes)]
    if only is not None:
        series = [s for s in series if kinds.request_name(s) in only or kinds.request_name(s) == ""]
    chosen = choose(series)
    flow = chosen.of.get(kinds.COUNTER) or chosen.of.get(kinds.RATE)
    if not flow:
        seen = ", ".join(sorted({s.name for s in series})) or "no series"
        expected = "a counter of requests or their rate, by the metric's name or the file's (rate.json)"
        where = ", ".join(p.name for p in files)
        raise InputError(
            "no throughput can be read from Prometheus' answers", problems=[*problems, Problem(where, seen, expected)]
        )
    return _reading(chosen, flow, files, problems, notes)


def _reading(
    chosen: Chosen, flow: list[Series], files: Sequence[Path], problems: list[Problem], notes: list[str]
) -> Reading:
    second = seconds_of(flow)
    ends = added(flow, second, counter=kinds.COUNTER in chosen.of)
    if kinds.COUNTER not in chosen.of:
        # The window of the last sample may reach beyond the run.
        ends = np.where(second >= max(s.at_s[-2] if len(s.at_s) > 1 else 0.0 for s in flow), np.nan, ends)
    failures = _failures(chosen, flow, second, ends)
    users = _load(chosen, second)
    progress = _summed_level(chosen, kinds.IN_PROGRESS, second)
    scale = _scale(notes, progress if np.isfinite(progress).any() else users, ends)
    latency = _latency(chosen, second, ends, scale)
    model = _model(chosen)
    in_flight = next((x for x in (progress, latency, users) if np.isfinite(x).any()), users)
    known = np.isfinite(users)
    if model == "closed":
        # What was answered while the load changed belongs to no step.
        ends = np.where(known, ends, np.nan)
    seconds = Seconds(second, ends, ends, ends - np.nan_to_num(failures), latency, in_flight, users)
    lags = kinds.COUNTER not in chosen.of
    tails = Tails(chosen, scale, lag=0.0 if lags else _LAGS)
    if known.any():
        steady = steady_seconds(seconds, tails=tails, model=model, settle=_LAGS if lags else 0.0)
    else:
        steady = busiest(seconds, tails)
    steady = steady.required(where=", ".join(p.name for p in files), broken=problems)
    steps = steady.steps
    if not np.isfinite(failures).any():
        notes.append("no series tells failures")
        steps = steps.assign(error_fraction=np.nan)
    if kinds.CPU in chosen.of:
        steps = steps.assign(cpu_fraction=_cpu(chosen, steps, second))
    if lags or kinds.MEAN in chosen.of or set(kinds.PERCENTILE.values()) & set(chosen.of):
        notes.append("rates over a window lag behind the load: the first half of each step is left out")
    return Reading(
        steps,
        (*steady.gates, *_coarse(flow)),
        (f"samples every {step_s(flow):g} s", *chosen.notes, *notes, *steady.notes),
        tuple(problems),
        errors_counted=not np.isfinite(failures).any(),
        started_s=float(second[0]),
        requests=_requests(chosen),
    )


def _failures(chosen: Chosen, flow: list[Series], second: Ints, ends: Array) -> Array:
    """Failures in each second, (T,): by status, by a series of their own, or by their share; NaN where not known."""
    by_status = [s for s in flow if kinds.failing(s)]
    if any(set(kinds.STATUS) & s.labels.keys() or "expected_response" in s.labels for s in flow):
        # Where statuses are told and none fails, nothing failed.
        counter = kinds.COUNTER in chosen.of
        return np.nan_to_num(added(by_status, second, counter=counter)) if by_status else np.zeros(len(second))
    if kinds.FAILURES in chosen.of:
        return np.minimum(np.nan_to_num(added(chosen.of[kinds.FAILURES], second, counter=True)), ends)
    if kinds.FAILURE_RATE in chosen.of:
        return np.minimum(np.nan_to_num(added(chosen.of[kinds.FAILURE_RATE], second, counter=False)), ends)
    if kinds.ERROR_SHARE in chosen.of:
        share = level(chosen.of[kinds.ERROR_SHARE], second, combine=np.fmax)
        return np.clip(share, 0.0, 1.0) * ends
    return np.full(len(second), np.nan)


def _load(chosen: Chosen, second: Ints) -> Array:
    """Users, else requests in progress, in each second, (T,); NaN where they changed or are not known."""
    if kinds.USERS in chosen.of:
        users = held(chosen.of[kinds.USERS], second, tolerance=0.0)
        if kinds.IN_PROGRESS not in chosen.of:
            return users
        # Users that are still shown when the run is over.
        gone = np.isnan(held(chosen.of[kinds.IN_PROGRESS], second, tolerance=_COLLAPSED))
        return np.where(gone, np.nan, users)
    if kinds.IN_PROGRESS in chosen.of:
        return held(chosen.of[kinds.IN_PROGRESS], second, tolerance=_SAME_LOAD)
    return np.full(len(second), np.nan)


def _summed_level(chosen: Chosen, kind: str, second: Ints) -> Array:
    if kind not in chosen.of:
        return np.full(len(second), np.nan)
    return np.maximum(level(chosen.of[kind], second, combine=np.add), 0.0)


def _latency(chosen: Chosen, second: Ints, ends: Array, scale: Callable[[Series], float]) -> Array:
    """Sum of latencies of those that ended in each second, (T,)."""
    if kinds.LATENCY_SUM in chosen.of and kinds.COUNTER in chosen.of:
        series = chosen.of[kinds.LATENCY_SUM]
        return added(series, second, counter=True) * scale(series[0]) / 1e3
    if kinds.MEAN in chosen.of:
        series = chosen.of[kinds.MEAN]
        mean_s = level(series, second, combine=np.fmax) * scale(series[0]) / 1e3
        return np.asarray(np.maximum(mean_s, 0.0) * ends)
    return np.full(len(second), np.nan)


def _scale(notes: list[str], under_way: Array, ends: Array) -> Callable[[Series], float]:
    """Tell the unit of latencies by their name, else by Little's law, else seconds as Prometheus has it."""
    known = np.isfinite(under_way) & np.isfinite(ends) & (ends > 0) & (under_way > 0)
    response_s = float(np.median(under_way[known] / ends[known])) if known.any() else float("nan")

    def to_ms(series: Series) -> float:
        name = series.name.lower()
        if "milli" in name or name.endswith("_ms"):
            return 1.0
        if "seconds" in name:
            return 1e3
        values = series.numbers[series.numbers > 0]
        middle = float(np.median(values)) if len(values) else float("nan")
        if np.isfinite(response_s) and np.isfinite(middle):
            in_s = abs(np.log(middle / response_s))
            unit, factor = ("seconds", 1e3) if in_s <= abs(np.log(middle / 1e3 / response_s)) else ("milliseconds", 1.0)
            said = f"{series.name} is read in {unit}, as X·R = N asks"
        else:
            unit, factor = "seconds", 1e3
            said = f"{series.name} is read in seconds, Prometheus' own unit: its name does not say"
        if said not in notes:
            notes.append(said)
        return factor

    return to_ms


def _model(chosen: Chosen) -> Model:
    """Users make a closed test; requests in progress do where their number is held."""
    if kinds.USERS in chosen.of:
        return "closed"
    if kinds.IN_PROGRESS not in chosen.of:
        return "open"
    series = chosen.of[kinds.IN_PROGRESS]
    at = np.unique(np.concatenate([s.at_s for s in series]))
    return model_of(np.sum([np.interp(at, s.at_s, s.numbers) for s in series], axis=0))


def _cpu(chosen: Chosen, steps: pd.DataFrame, second: Ints) -> list[float]:
    used = level(chosen.of[kinds.CPU], second, combine=np.fmax)
    found = []
    for begins, length in zip(steps["begins_s"], steps["seconds"], strict=True):
        first = second[0] + begins
        inside = (second >= first) & (second < first + length) & np.isfinite(used)
        found.append(float(used[inside].mean()) if inside.any() else float("nan"))
    return found


def _coarse(flow: list[Series]) -> list[Gate]:
    step = step_s(flow)
    if not step > _COARSE_S:
        return []
    says = f"samples are {step:g} s apart: steps shorter than a few of them cannot be told from ramps"
    return [Gate("coarse_samples", "flagged", step, _COARSE_S, says, "query with a step of 5 s, and hold loads longer")]


def _requests(chosen: Chosen) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in chosen.of.get(kinds.COUNTER, []):
        change = np.diff(one.numbers)
        name = kinds.request_name(one) or one.name
        found[name] = found.get(name, 0) + int(change[change > 0].sum())
    return found


__all__ = ["NAME", "read", "recognizes"]
