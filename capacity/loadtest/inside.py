"""What the seconds inside a step show: whether it was steady, whether the service paused, whether users did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.gate import Gate, Verdict
from capacity.loadtest.requests import Seconds

Model = Literal["open", "closed"]

TREND = 0.10
FEW_ANSWERS, NO_ANSWERS = 50, 10
"""Below the first, counts alone scatter by more than a quarter (two standard deviations), below the second by more than
half."""


def check_inside(seconds: Seconds, window: NDArray[np.int64], model: Model, *, step: int) -> list[Gate]:
    """Check the seconds of one step.

    Parameters
    ----------
    seconds
        The run by second.
    window
        Places of the step's seconds in it, (n,).
    model
        Whether its users wait for answers or its requests arrive at a rate.
    step
        Its number, for the gates.
    """
    few = _few(seconds, window, step=step)
    return [*few, *_unsteady(seconds, window, model, step=step), *_pauses(seconds, window, step=step)]


def _few(seconds: Seconds, window: NDArray[np.int64], *, step: int) -> list[Gate]:
    """Say where a step rests on so few answers that their number is mostly chance."""
    count = float(seconds.ends[window].sum())
    if count >= FEW_ANSWERS:
        return []
    scatter = 2.0 / np.sqrt(max(count, 1.0))
    says = f"{count:.0f} answers in {len(window)} s: throughput is known to ±{scatter:.0%} at best"
    verdict: Verdict = "excluded" if count < NO_ANSWERS else "flagged"
    return [Gate("few_answers", verdict, count, FEW_ANSWERS, says, "hold each load longer", step)]


def _unsteady(seconds: Seconds, window: NDArray[np.int64], model: Model, *, step: int) -> list[Gate]:
    """Compare the halves of a step: a queue that grows, a service that warms up or tires."""
    half = len(window) // 2
    if half < 3:
        return []
    series = seconds.in_flight if model == "open" else seconds.ends
    first, second = series[window[:half]], series[window[-half:]]
    before, after = float(first.mean()), float(second.mean())
    if before <= 0:
        return []
    change = after / before - 1.0
    # Neighbouring seconds share a queue: three count as one. The trend itself is no noise.
    when = np.arange(len(window)) - (len(window) - 1) / 2.0
    whole = series[window] - series[window].mean()
    noise = np.sqrt(3.0 * 2.0 / half) * np.std(whole - when * (when @ whole) / (when @ when))
    if abs(change) <= TREND or abs(after - before) <= 3.0 * noise:
        says = f"first and second half differ by {change:+.0%}"
        return [Gate("unsteady_step", "ok", abs(change), TREND, says, "", step)]
    if model == "open" and change > 0:
        says = f"requests under way grew by {change:.0%} within the step: its latency depends on how long it lasted"
    else:
        what = "requests under way" if model == "open" else "throughput"
        says = f"{what} changed by {change:+.0%} within the step: it was not steady"
    remedy = "hold the load longer, after a warm-up; where a queue grows, the load is beyond capacity"
    return [Gate("unsteady_step", "flagged", abs(change), TREND, says, remedy, step)]


def _pauses(seconds: Seconds, window: NDArray[np.int64], *, step: int) -> list[Gate]:
    """Seconds in which nearly nothing was answered while requests waited: garbage collection, failover, a lock."""
    ends, waiting = seconds.ends[window], seconds.in_flight[window]
    usual = float(np.median(ends))
    if usual < 20:
        return []
    stood = (ends < 0.2 * usual) & (waiting >= 0.5 * np.median(waiting))
    if not stood.any():
        return []
    share = float(stood.mean())
    says = f"{int(stood.sum())} of {len(window)} seconds answered nearly nothing while requests waited"
    remedy = "look at garbage-collection and database logs of these seconds; a capacity that hides pauses is not one"
    return [Gate("pauses", "flagged", share, 0.0, says, remedy, step)]


def check_thinking(rows: Sequence[Mapping[str, float]], *, in_service: float) -> list[Gate]:
    """Users who pause between requests are not in service; the curve is drawn over those who are.

    Parameters
    ----------
    rows
        Steps with ``users``, where known, beside their columns.
    in_service
        Share of the users under way from which on all are taken to be.
    """
    found = []
    for i, row in enumerate(rows):
        users = row.get("users", 0.0)
        if users > 0 and 0 < row.get("concurrency", 0.0) < in_service * users:
            rate = max(row["achieved_qps"] / max(1.0 - row["error_fraction"], 1e-9), 1e-9)
            think_s = users / rate - row["mean_ms"] / 1e3
            waiting = row["concurrency"]
            says = f"{users:g} users of whom {waiting:.3g} wait for an answer; {think_s:.2g} s between requests"
            found.append(Gate("users_think", "ok", think_s, None, says, "", i))
    return found
