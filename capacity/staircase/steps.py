"""Rates and lengths of a staircase's steps.

References
----------
.. [1] A. Stuart, J. K. Ord, "Kendall's Advanced Theory of Statistics", vol. 1, section 10.10: the variance of a
   percentile, from which a step's length follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from capacity.errors import UsageError

COARSE = (0.2, 0.4, 0.55, 0.7, 0.8)
"""Shares of what is known to hold at which a test warms up: caches and pools fill, nothing is learnt of the end."""

FINE = 0.05
"""Where the end may lie, steps of a twentieth: the end is then known to about that."""

FIRST = 0.05
"""Share of the target at which the test of a service begins of which nothing is known."""

MOST_FINE = 24
"""Steps in one stretch; more would take a night. Where the stretch is longer they grow with the load."""

PRECISE, ROUGH = 0.03, 0.10
"""Wanted standard error of a latency percentile: where the end may lie, and where nothing is learnt of it."""

MARGIN = 1.15
"""How far past the larger of target and expected end a test goes: the end is only known when it was seen."""

WARM_UP_S = 15.0
"""Left out at the beginning of each step: queues and pools settle within a few of the slowest requests."""

_SHORTEST_S, _LONGEST_S = 60.0, 900.0
_TYPICAL_HAZARD = 4.0


@dataclass(frozen=True)
class Known:
    """What is known of the whole fleet under test, in requests/s.

    Parameters
    ----------
    low, high
        It takes more than `low` and less than `high`, as far as is known; None where nothing is.
    end_seen
        Whether `high` is an end that was seen, and not how far a rule dares to look.
    """

    low: float | None = None
    high: float | None = None
    end_seen: bool = False


NOTHING = Known()
"""Where no test and no traffic tells."""


def step_seconds(rate_qps: float, *, probability: float = 0.95, precision: float = PRECISE) -> float:
    """Length of a step after which a latency percentile is known well enough.

    Parameters
    ----------
    rate_qps
        Requests a second during the step.
    probability
        The percentile, as a share.
    precision
        Wanted standard error of its logarithm: 0.03 is 3 %.

    Examples
    --------
    >>> step_seconds(100.0), step_seconds(1e6)
    (60.0, 60.0)
    >>> step_seconds(20.0, probability=0.99) > step_seconds(20.0)
    True
    """
    if not (rate_qps > 0 and 0 < probability < 1 and precision > 0):
        raise UsageError(f"a step of {rate_qps}/s, probability {probability}, precision {precision} has no length")
    # Neighbouring requests share a queue: two are worth one.
    needed = 2.0 * probability / ((1 - probability) * (_TYPICAL_HAZARD * precision) ** 2)
    return float(np.clip(10.0 * math.ceil((needed / rate_qps + WARM_UP_S) / 10.0), _SHORTEST_S, _LONGEST_S))


def said_qps(rate: float) -> str:
    """Write a rate for a sentence.

    Examples
    --------
    >>> said_qps(62.6138), said_qps(27745.5)
    ('62.61/s', '27,746/s')
    """
    return f"{rate:,.0f}/s" if rate >= 1e4 else f"{rate:.4g}/s"


def is_precise(rate: float, *, target: float, known: Known) -> bool:
    """Whether the end may lie at a rate: above the coarse steps, or past half of a target of which nothing is known.

    Examples
    --------
    >>> is_precise(80.0, target=200.0, known=Known(low=100.0)), is_precise(85.0, target=200.0, known=Known(low=100.0))
    (False, True)
    """
    rough = 0.5 * target if not known.low else COARSE[-1] * known.low
    return rate > rough * 1.001


def top_rate(target: float, known: Known) -> float:
    """Return the rate of the last step.

    Past the target, or past the expected end if that is higher. Where the end was seen below the target, no further
    than past that end: what lies beyond would only be queues.

    Examples
    --------
    >>> round(top_rate(100.0, Known())), round(top_rate(100.0, Known(low=40.0, high=60.0, end_seen=True)))
    (115, 69)
    """
    if known.high is None:
        return MARGIN * target
    if known.end_seen:
        return MARGIN * known.high
    return MARGIN * max(target, known.high)


def step_rates(target: float, known: Known, *, ceiling: float = math.inf) -> tuple[float, ...]:
    """Return the rates of all steps, rising.

    Coarse steps where the service is known to hold, small ones from there to past the expected end, growing ones
    beyond; where nothing is known, steps that grow by about a seventh from a twentieth of the target on.

    Parameters
    ----------
    target
        Requests/s that the fleet under test must take.
    known
        What is known of it.
    ceiling
        A stated limit that no step may pass.

    Examples
    --------
    >>> step_rates(100.0, Known(low=90.0, high=90.0, end_seen=True))[:7]
    (18.0, 36.0, 49.5, 63.0, 72.0, 76.5, 81.0)
    >>> rates = step_rates(100.0, Known())
    >>> rates[0], rates[-1], len(rates)
    (5.0, 115.0, 24)
    """
    top = min(top_rate(target, known), ceiling)
    if known.low is None or known.low <= 0:
        return _rounded(np.geomspace(min(FIRST * target, top), top, MOST_FINE), top)
    base = min(known.low, top)
    end = min(max(MARGIN * (known.high or known.low), base), top)
    first = (COARSE[-1] + FINE) * base
    fine = _small_steps(first, end, FINE * base)
    beyond = _growing_steps(fine[-1], top)
    return _rounded(np.array([*(share * base for share in COARSE), *fine, *beyond]), top)


def _small_steps(first: float, end: float, width: float) -> list[float]:
    count = int((end - first) / width + 1e-9) + 1
    if count > MOST_FINE:
        return [float(v) for v in np.geomspace(first, end, MOST_FINE)]
    return [first + width * k for k in range(max(count, 1))]


def _growing_steps(start: float, top: float) -> list[float]:
    if top <= start * (1 + 1e-6):
        return []
    # From a step of a twentieth on, each may be a fifth wider than the one before, as long as nothing is wrong.
    rates: list[float] = []
    width = FINE * start
    while (rates[-1] if rates else start) < top:
        rates.append((rates[-1] if rates else start) + width)
        width *= 1.2
        if len(rates) == MOST_FINE:
            return [float(v) for v in np.geomspace(start + FINE * start, top, MOST_FINE)]
    rates[-1] = top
    return rates


def _rounded(rates: np.ndarray, top: float) -> tuple[float, ...]:
    inside = rates[rates <= top * (1 + 1e-9)]
    return tuple(dict.fromkeys(float(f"{rate:.4g}") for rate in inside))
