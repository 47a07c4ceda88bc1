"""What the pace of a test does to its result: raised too fast, held too long, users who wait for the slowest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.gate import Gate

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

RAISED_BY = 1.5
SHORTEST_STEP_S = 10.0
RESPONSES_A_STEP = 20.0
HELD_S = 600.0
LONGEST_REST_S = 3600.0
NEAR_THE_TOP, NEAR_THE_END = 0.95, 0.75
STALLED = 5.0
SAME_CONCURRENCY = 0.03


def check_pace(steps: pd.DataFrame) -> Iterator[Gate]:
    """Check how load was raised and held, and what users who wait for answers hide.

    Examples
    --------
    >>> from capacity.loadtest.steps import to_frame
    >>> rows = [{"concurrency": n, "achieved_qps": x, "seconds": 60.0} for n, x in ((8, 80.0), (10, 99.0), (30, 160.0))]
    >>> [(g.name, g.step, g.value) for g in check_pace(to_frame(rows)) if g.verdict == "flagged"]
    [('load_raised_too_fast', 2, 3.0)]
    """
    yield from _runs(steps)
    yield from _raised(steps)
    yield from _short(steps)
    yield from _held(steps)
    yield from _omission(steps)
    yield from _closed_as_open(steps)


def _numbers(steps: pd.DataFrame, name: str) -> Array:
    return steps[name].to_numpy(dtype=float) if name in steps else np.full(len(steps), np.nan)


def _load(steps: pd.DataFrame) -> Array:
    offered = _numbers(steps, "offered_qps")
    return np.where(np.isfinite(offered), offered, _numbers(steps, "concurrency"))


def _runs(steps: pd.DataFrame) -> Iterator[Gate]:
    """Find steps hours apart: what was under test need not have been the same."""
    begins = _numbers(steps, "begins_s")
    ends = begins + np.nan_to_num(_numbers(steps, "seconds"))
    known = np.isfinite(begins)
    order = np.argsort(begins[known], kind="stable")
    pause = begins[known][order][1:] - np.maximum.accumulate(ends[known][order])[:-1]
    count = 1 + int(np.count_nonzero(pause > LONGEST_REST_S))
    if count > 1:
        hours = float(pause.max()) / 3600.0
        says = f"the steps lie up to {hours:,.0f} h apart: they are of {count} runs and stand side by side as if of one"
        remedy = "give each run by itself: what was tested, and what else ran, need not have been the same"
        yield Gate("appended_runs", "flagged", count, 1, says, remedy)


def _raised(steps: pd.DataFrame) -> Iterator[Gate]:
    """Find large jumps near the end: they say only that capacity lies somewhere inside."""
    load, x = _load(steps), _numbers(steps, "achieved_qps")
    known = np.flatnonzero(np.isfinite(load) & (load > 0) & np.isfinite(x))
    if len(known) < 2:
        return
    order = known[np.argsort(load[known], kind="stable")]
    ratio = load[order[1:]] / load[order[:-1]]
    # Only steps on the way to the largest throughput and down from it bracket its end; between steps that both reach
    # it nothing ends.
    most = x[known].max()
    full = x[order] >= NEAR_THE_TOP * most
    rising = np.arange(1, len(order)) <= int(np.argmax(full))
    near = (x[order[1:]] >= NEAR_THE_END * most) & (rising | (full[:-1] & ~full[1:]))
    for k in np.flatnonzero(near & (ratio > RAISED_BY * (1 + 1e-9))):
        says = f"load was raised {ratio[k]:.2g}-fold in one step near the end: where in between it ends was not seen"
        remedy = "raise by 5 to 10 % a step from half of the expected capacity on"
        step = int(order[k + 1])
        yield Gate("load_raised_too_fast", "flagged", float(ratio[k]), RAISED_BY, says, remedy, step)


def _short(steps: pd.DataFrame) -> Iterator[Gate]:
    seconds, mean = _numbers(steps, "seconds"), _numbers(steps, "mean_ms")
    mean = np.where(np.isfinite(mean), mean, _numbers(steps, "p50_ms"))
    needed = np.fmax(SHORTEST_STEP_S, RESPONSES_A_STEP * np.nan_to_num(mean) / 1e3)
    for i in np.flatnonzero(seconds < needed):
        says = f"{seconds[i]:.3g} s were measured, {needed[i]:.3g} s are needed for queues to settle at this latency"
        remedy = "hold each load longer"
        yield Gate("load_raised_too_fast", "flagged", float(seconds[i]), float(needed[i]), says, remedy, int(i))


def _held(steps: pd.DataFrame) -> Iterator[Gate]:
    x, seconds = _numbers(steps, "achieved_qps"), np.nan_to_num(_numbers(steps, "seconds"))
    if not len(x) or not np.isfinite(x).any():
        return
    at_the_top = float(seconds[x >= NEAR_THE_TOP * np.nanmax(x)].sum())
    if at_the_top > HELD_S:
        says = f"{at_the_top:.0f} s at {NEAR_THE_TOP:.0%} of the largest throughput or more: in production that hurts"
        remedy = "a few minutes show the end; stop there"
        yield Gate("high_load_held_too_long", "flagged", at_the_top, HELD_S, says, remedy)


def _omission(steps: pd.DataFrame) -> Iterator[Gate]:
    """Find stalls: a user who waits ten times as long as usual leaves out nine requests that would have been slow.

    G. Tene, "How NOT to measure latency", 2013.
    """
    offered, n = _numbers(steps, "offered_qps"), _numbers(steps, "concurrency")
    mean, p99 = _numbers(steps, "mean_ms"), _numbers(steps, "p99_ms")
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = p99 / mean
    closed = np.isnan(offered) & np.isfinite(n)
    for i in np.flatnonzero(closed & (ratio > STALLED)):
        says = (
            f"the slowest 1 % took {ratio[i]:.1f} times the mean, and their users sent nothing meanwhile: at a fixed "
            "rate more requests would have met the stall, so the percentiles are lower bounds"
        )
        remedy = "repeat at a fixed arrival rate (k6 constant-arrival-rate, vegeta, wrk2)"
        yield Gate("coordinated_omission", "flagged", float(ratio[i]), STALLED, says, remedy, int(i))


def _closed_as_open(steps: pd.DataFrame) -> Iterator[Gate]:
    """Find rates that were asked for and not sent because all senders waited: that is a closed test."""
    offered, x, n = (_numbers(steps, c) for c in ("offered_qps", "achieved_qps", "concurrency"))
    known = np.flatnonzero(np.isfinite(offered) & np.isfinite(n) & np.isfinite(x) & (n > 0) & (offered > 0))
    order = known[np.argsort(offered[known], kind="stable")]
    for before, step in itertools.pairwise(order):
        capped = abs(n[step] / n[before] - 1.0) <= SAME_CONCURRENCY and offered[step] >= 1.1 * offered[before]
        if capped and x[step] < 0.95 * offered[step] and x[before] < 0.95 * offered[before]:
            says = (
                f"{offered[step]:.4g}/s were asked for and {x[step]:.4g}/s sent by the same {n[step]:.3g} under way: "
                "senders waited for answers, so this is a closed step"
            )
            remedy = "allow more connections or virtual users, so that the rate is kept"
            share = float(1.0 - x[step] / offered[step])
            yield Gate("closed_step_posing_as_open", "flagged", share, 0.05, says, remedy, int(step))
