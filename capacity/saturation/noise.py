"""How steady the world was during a test: what all figures of a step share beyond chance.

A neighbour, a collection of garbage, a warmer cache make an instance a little faster or slower for a whole step: its
throughput and all its latencies together. Counting requests knows nothing of that. Where latency hardly grows yet,
each step is compared with the line between its two neighbours; what is left after chance is the step's own.

References
----------
.. [1] P. Hall, J. W. Kay, D. M. Titterington, "Asymptotically optimal difference-based estimation of variance in
   nonparametric regression", Biometrika 77 (1990).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capacity.saturation.steps import Steps

Array = NDArray[np.float64]

_USUAL = 0.01
"""Log standard deviation of a step's speed before any step is seen, as if two steps had shown it."""
_PRIOR_STEPS = 2.0
_BENDS = 0.35
"""Log growth of latency up to which a line between neighbours is good enough."""


def step_noise(steps: Steps) -> tuple[float, float]:
    """Estimate the log standard deviation of a step's speed, and how many steps it rests on.

    Examples
    --------
    >>> import numpy as np
    >>> n, none = np.arange(1.0, 9.0), np.full(8, np.nan)
    >>> p50 = np.array([10.0, 10.4, 9.6, 10.4, 9.6, 10.4, 9.6, 10.0])
    >>> steps = Steps(True, n, n, {"p50_ms": p50, "p95_ms": none, "p99_ms": none}, none, none, np.full(8, 1e6))
    >>> sd, known = step_noise(steps)
    >>> round(sd, 2), known
    (0.05, 8.0)
    """
    value, chance = _speed(steps)
    known = np.isfinite(value)
    load, value, chance = np.log(steps.load[known]), value[known], chance[known]
    light = value <= (value.min() + _BENDS if len(value) else 0.0)
    load, value, chance = load[light], value[light], chance[light]
    if len(value) < 3:
        return _USUAL, _PRIOR_STEPS
    share = (load[1:-1] - load[:-2]) / np.maximum(load[2:] - load[:-2], 1e-12)
    left = value[1:-1] - (1.0 - share) * value[:-2] - share * value[2:]
    width = 1.0 + (1.0 - share) ** 2 + share**2
    by_chance = chance[1:-1] + (1.0 - share) ** 2 * chance[:-2] + share**2 * chance[2:]
    found = np.maximum(left**2 - by_chance, 0.0) / width
    total = _PRIOR_STEPS + len(found)
    return float(np.sqrt((_PRIOR_STEPS * _USUAL**2 + found.sum()) / total)), float(total)


def _speed(steps: Steps) -> tuple[Array, Array]:
    """Log of a time that follows the step's speed, (n,), and its variance by chance."""
    count = np.maximum(steps.counted, 1.0)
    if not steps.is_open:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(steps.load / steps.good_qps), 1.0 / count
    # Of the percentiles the median is the surest: a lognormal with a log spread of a half gives its error.
    return np.log(steps.latency_ms["p50_ms"]), (np.pi / 2.0) * 0.5**2 / count


def speed_draws(steps: Steps, *, run_sd: float, rng: np.random.Generator, n: int) -> Array:
    """Draw the log of each step's speed relative to the usual, (n, steps).

    Parameters
    ----------
    run_sd
        Log standard deviation of what all steps of the run share: its night, its instances.
    """
    sd, known = step_noise(steps)
    unsure = np.sqrt(known / rng.chisquare(known, size=(n, 1)))
    whole = run_sd * rng.standard_normal((n, 1))
    return np.asarray(whole + np.minimum(sd * unsure, 0.3) * rng.standard_normal((n, len(steps))))
