"""What a load test is worth: named verdicts, each with its number, its consequence and its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.gate import Gate
from capacity.loadtest.pace import check_pace

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

LITTLE_TOLERANCE = 0.05
LITTLE_TOLERANCE_FROM_MEDIAN = 0.25
GENERATOR_SHORTFALL = 0.03
FLAT_LATENCY = 0.10
ERRORS_AS_THROUGHPUT = 0.01
LEAST_STEPS = 4
SAME_LOAD = 0.02
KNEE_ELASTICITY = 0.5
SERVER_FULL = "the server was full"


def check_steps(steps: pd.DataFrame, *, errors_counted: bool | None = None) -> tuple[Gate, ...]:
    """Check the steps of a run by themselves.

    Parameters
    ----------
    steps
        Columns as `capacity.loadtest.steps.COLUMNS`.
    errors_counted
        Whether ``achieved_qps`` counts answers that failed; None: told from the steps as far as they tell.

    Examples
    --------
    >>> from capacity.loadtest.steps import to_frame
    >>> rows = [{"achieved_qps": 90.0, "concurrency": 10.0, "mean_ms": 200.0}]
    >>> [(g.name, g.verdict, round(g.value, 2)) for g in check_steps(to_frame(rows)) if g.name == "littles_law"]
    [('littles_law', 'excluded', 0.8)]
    """
    counted = errors_in_throughput(steps, errors_counted)
    found = [*_littles_law(steps, counted), *_generator(steps), *_errors(steps, counted)]
    excluded = {g.step for g in found if g.verdict == "excluded"}
    answered = np.nan_to_num(_column(steps, "achieved_qps")) > 0
    usable = steps.loc[[i for i in range(len(steps)) if answered[i] and i not in excluded]]
    return (*found, *check_pace(steps), *_enough(usable), *_knee(usable, found))


def _column(steps: pd.DataFrame, name: str) -> Array:
    if name not in steps:
        return np.full(len(steps), np.nan)
    return steps[name].to_numpy(dtype=float)


def _littles_law(steps: pd.DataFrame, counted: NDArray[np.bool_]) -> Iterator[Gate]:
    """X·R = N must hold in any steady step; a step where it does not was not steady, or its columns disagree."""
    failed = np.where(counted, 0.0, np.minimum(np.nan_to_num(_column(steps, "error_fraction")), 0.999))
    beyond = _column(steps, "achieved_qps") < (1 - GENERATOR_SHORTFALL) * _column(steps, "offered_qps") * (1 - failed)
    x, n = _column(steps, "achieved_qps"), _column(steps, "concurrency")
    mean, p50, p95 = (_column(steps, c) for c in ("mean_ms", "p50_ms", "p95_ms"))
    # Every answer took its time, also those that failed.
    x = x / (1.0 - failed)
    remedy = "compute X, R and N from the tool's per-request rows over the same window, warm-up left out"
    for i in range(len(steps)):
        if not n[i] > 0:
            continue
        if np.isfinite(mean[i]):
            gap = float(x[i] * mean[i] / 1e3 / n[i] - 1.0)
            bad = abs(gap) > LITTLE_TOLERANCE
            if bad and beyond[i]:
                # More came than was answered: the queue grew, which is the finding and no fault of the step.
                says = f"X·R/N − 1 = {gap:+.1%}: the queue grew through the step, its latency says only that it did"
                yield Gate("littles_law", "flagged", abs(gap), LITTLE_TOLERANCE, says, "", i)
                continue
            says = f"X·R/N − 1 = {gap:+.1%}" + ("; not of one steady step: it is left out" if bad else "")
            yield Gate(
                "littles_law", "excluded" if bad else "ok", abs(gap), LITTLE_TOLERANCE, says, remedy if bad else "", i
            )
        elif np.isfinite(p50[i]) and np.isfinite(p95[i]) and p50[i] > 0:
            yield _little_from_median(i, x[i], p50[i], p95[i], n[i], remedy)
        else:
            yield Gate("littles_law", "unknown", None, LITTLE_TOLERANCE, "no mean latency", "add mean_ms", i)


def _little_from_median(i: int, x: float, p50: float, p95: float, n: float, remedy: str) -> Gate:
    # The median is not the mean. A lognormal through p50 and p95 gives a mean that may be wrong by a quarter, so only a
    # gap larger than that says something, and a smaller one says nothing.
    sigma = np.log(p95 / p50) / 1.6449
    gap = float(x * p50 / 1e3 * np.exp(min(sigma, 2.0) ** 2 / 2) / n - 1.0)
    if abs(gap) > LITTLE_TOLERANCE_FROM_MEDIAN:
        says = f"X·R/N − 1 ≈ {gap:+.0%} even with the mean guessed from p50 and p95"
        return Gate("littles_law", "flagged", abs(gap), LITTLE_TOLERANCE_FROM_MEDIAN, says, remedy, i)
    says = "the mean latency is not given, and p50 is not the mean"
    return Gate("littles_law", "unknown", abs(gap), LITTLE_TOLERANCE_FROM_MEDIAN, says, "add mean_ms", i)


def _tail(steps: pd.DataFrame) -> Array:
    for name in ("p95_ms", "p99_ms", "p50_ms", "mean_ms"):
        values = _column(steps, name)
        if np.isfinite(values).sum() >= 2:
            return values
    return np.full(len(steps), np.nan)


def _generator(steps: pd.DataFrame) -> Iterator[Gate]:
    """Tell a server that is full, and answers slower or refuses, from one that is merely asked less."""
    offered, x = _column(steps, "offered_qps"), _column(steps, "achieved_qps")
    tail, cpu, errors = _tail(steps), _column(steps, "cpu_fraction"), np.nan_to_num(_column(steps, "error_fraction"))
    seconds = np.nan_to_num(_column(steps, "seconds"), nan=60.0)
    remedy = "run the step from more generators, or with more connections"
    with np.errstate(divide="ignore", invalid="ignore"):
        missing = 1.0 - x / offered
    chance = np.minimum(3.0 / np.sqrt(np.maximum(np.nan_to_num(offered) * seconds, 1.0)), 0.2)
    kept_up = missing <= GENERATOR_SHORTFALL + chance
    for i in range(len(steps)):
        if np.isnan(offered[i]):
            continue
        short = missing[i]
        if kept_up[i]:
            yield Gate(
                "generator_saturated", "ok", float(short), GENERATOR_SHORTFALL, "achieved what was offered", "", i
            )
            continue
        before = [k for k in np.flatnonzero(kept_up & np.isfinite(tail)) if x[k] <= 1.03 * x[i]]
        near = max(before, key=lambda k: x[k], default=None)
        if near is None or np.isnan(tail[i]):
            says = f"achieved {short:.0%} less than offered; nothing tells whether server or generator was full"
            yield Gate("generator_saturated", "unknown", float(short), GENERATOR_SHORTFALL, says, remedy, i)
            continue
        flat = tail[i] <= (1 + FLAT_LATENCY) * tail[near] and errors[i] <= errors[near] + 0.01
        busy = np.isfinite(cpu[i]) and cpu[i] >= 0.9
        if flat and not busy and x[near] >= 0.5 * x[i]:
            says = f"achieved {short:.0%} less than offered while latency stayed flat: it counts as what was achieved"
            yield Gate("generator_saturated", "bounded", float(short), GENERATOR_SHORTFALL, says, remedy, i)
        else:
            says = f"achieved {short:.0%} less than offered while latency rose: {SERVER_FULL}"
            yield Gate("generator_saturated", "ok", float(short), GENERATOR_SHORTFALL, says, "", i)


def errors_in_throughput(steps: pd.DataFrame, known: bool | None = None) -> NDArray[np.bool_]:
    """Whether each step's throughput counts its errors, (n,); where nothing tells, it is taken to.

    ``known`` is what the tool's reader says.

    Examples
    --------
    >>> from capacity.loadtest.steps import to_frame
    >>> step = {"offered_qps": 100.0, "error_fraction": 0.2}
    >>> errors_in_throughput(to_frame([step | {"achieved_qps": 80.0}, step | {"achieved_qps": 100.0}])).tolist()
    [False, True]
    """
    if known is not None:
        return np.full(len(steps), known)
    offered, x = _column(steps, "offered_qps"), _column(steps, "achieved_qps")
    left = offered * (1.0 - np.nan_to_num(_column(steps, "error_fraction")))
    return np.asarray(~(np.isfinite(left) & (x <= 1.02 * left)))


def _errors(steps: pd.DataFrame, counted: NDArray[np.bool_]) -> Iterator[Gate]:
    errors = np.nan_to_num(_column(steps, "error_fraction"))
    for i in np.flatnonzero((errors > ERRORS_AS_THROUGHPUT) & counted):
        says = f"{errors[i]:.1%} errors are in its throughput; only answers without error are counted as served"
        remedy = "count errors apart, and find out what fails"
        yield Gate("errors_as_throughput", "flagged", float(errors[i]), ERRORS_AS_THROUGHPUT, says, remedy, int(i))


def _enough(steps: pd.DataFrame) -> Iterator[Gate]:
    offered = _column(steps, "offered_qps")
    load = np.where(np.isfinite(offered), offered, _column(steps, "concurrency"))
    count = _levels(load[load > 0])
    if count < LEAST_STEPS:
        worth = "no curve can be judged, it bounds capacity at most" if count else "nothing is known of capacity"
        says = f"usable steps at different loads: {count}; {worth}"
        yield Gate(
            "too_few_steps",
            "bounded",
            count,
            LEAST_STEPS,
            says,
            "test more steps: small ones, up to and past the objective",
        )
    else:
        yield Gate("too_few_steps", "ok", count, LEAST_STEPS, f"usable steps at different loads: {count}")


def _levels(load: Array) -> int:
    """Count different loads: one that was repeated comes out a little different each time.

    Examples
    --------
    >>> _levels(np.array([100.0, 99.5, 100.4, 120.0]))
    2
    """
    count, level = 0, 0.0
    for each in np.sort(load).tolist():
        if each > (1 + SAME_LOAD) * level:
            count, level = count + 1, each
    return count


def _knee(steps: pd.DataFrame, found: Sequence[Gate]) -> Iterator[Gate]:
    offered, x = _column(steps, "offered_qps"), _column(steps, "achieved_qps")
    limited = {g.step for g in found if g.name == "generator_saturated" and g.verdict == "bounded"}
    full = [g for g in found if g.name == "generator_saturated" and g.says.endswith(SERVER_FULL)]
    if full:
        short = max(g.value or 0.0 for g in full)
        says = f"of the rate that was offered {short:.0%} were not answered: {SERVER_FULL}"
        yield Gate("knee_reached", "ok", short, GENERATOR_SHORTFALL, says)
        return
    load = np.where(np.isfinite(offered), offered, _column(steps, "concurrency"))
    keep = np.array([i not in limited for i in steps.index], dtype=bool) & (x > 0) if len(steps) else np.zeros(0, bool)
    load, x = load[keep], x[keep]
    if len(np.unique(load)) < 3:
        yield Gate("knee_reached", "unknown", None, KNEE_ELASTICITY, "too few steps to tell", "test heavier loads")
        return
    order = np.argsort(load, kind="stable")
    load, x = load[order], x[order]
    top = np.unique(np.concatenate([np.flatnonzero(load >= 0.6 * load[-1]), [len(load) - 2, len(load) - 1]]))
    growth = np.polyfit(np.log(load[top]), np.log(x[top]), 1)[0] if np.ptp(load[top]) > 0 else 1.0
    growth = min(growth, float(np.log(x[-1] / x[-2]) / np.log(load[-1] / load[-2])) if load[-1] > load[-2] else growth)
    if growth > KNEE_ELASTICITY:
        says = f"throughput still grew by {growth:.2f} % per 1 % of load at the top: where it ends was not seen"
        yield Gate("knee_reached", "bounded", float(growth), KNEE_ELASTICITY, says, "test heavier loads")
    else:
        says = f"throughput grew by {growth:.2f} % per 1 % of load at the top"
        yield Gate("knee_reached", "ok", float(growth), KNEE_ELASTICITY, says)


def check_run(*, environment: str | None, approach: str | None, mocked: Sequence[str], dated: bool) -> tuple[Gate, ...]:
    """Check what run.yaml says of the circumstances.

    Examples
    --------
    >>> gates = check_run(environment="staging", approach=None, mocked=[], dated=True)
    >>> [g.name for g in gates if g.verdict == "flagged"]
    ['not_production']
    """
    gates: list[Gate] = []
    if environment is None:
        says = "run.yaml does not say where the test ran: taken as not production"
        gates.append(Gate("not_production", "flagged", None, None, says, "write environment: production if it was"))
    elif environment != "production":
        says = f"ran in {environment!r}: misleading for production until a service was tested in both"
        gates.append(Gate("not_production", "flagged", None, None, says, "repeat in production, off-peak"))
    else:
        gates.append(Gate("not_production", "ok", None, None, "ran in production"))
    if approach == "before_scaling":
        says = "ran before scaling: what is shared by all instances was not under the promotion's load"
        gates.append(Gate("before_scaling", "flagged", None, None, says, "repeat after scaling out"))
    if mocked:
        says = f"mocked: {', '.join(mocked)}; their time and failures are missing, capacity is flattered"
        gates.append(Gate("dependency_mocked", "flagged", len(mocked), 0, says, "test with them, or their sandbox"))
    if not dated:
        says = "run.yaml has no started_at: its age is unknown, and no as_of hides it"
        gates.append(Gate("undated", "flagged", None, None, says, "write started_at"))
    return tuple(gates)
