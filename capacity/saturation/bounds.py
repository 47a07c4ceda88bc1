"""What a load that held says of samples: nothing below it, and by the stated rule not too far above it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capacity.saturation import rules

Array = NDArray[np.float64]


def beyond(
    qps: Array, *, upper_qps: float | Array, reached_qps: Array | None = None, rng: np.random.Generator
) -> Array:
    """Draw above a load that held, by the stated rule: any factor it is short of capacity is as likely as another.

    Never above `rules.MOST_BEYOND` times the highest load tried (``reached_qps``, without it the load that held), nor
    above a bound that is known (the utilization law's, or what latency that bends upward allows); lower values are
    likelier, as the logarithm is drawn evenly.
    """
    base = np.maximum(qps, 1e-300)
    rule = rules.MOST_BEYOND * (np.maximum(reached_qps / base, 1.0) if reached_qps is not None else 1.0)
    most = np.clip(np.divide(upper_qps, base), 1.0, rule)
    return np.asarray(qps * most ** rng.uniform(size=qps.shape))


def raise_to(samples: Array, lower_qps: float, *, upper_qps: float, rng: np.random.Generator) -> tuple[Array, float]:
    """Condition samples on a load that production has proven.

    Returns
    -------
    tuple
        Samples at or above the bound, and the share that was below it. What survives is drawn again in place of what
        did not; where hardly anything survives, the bound itself and the stated rule beyond it take over.
    """
    below = samples < lower_qps
    share = float(below.mean())
    if share == 0.0:
        return samples, share
    if share > 0.9:
        return beyond(np.full_like(samples, lower_qps), upper_qps=upper_qps, rng=rng), share
    kept = samples[~below]
    raised = samples.copy()
    raised[below] = rng.choice(kept, size=int(below.sum()))
    return raised, share
