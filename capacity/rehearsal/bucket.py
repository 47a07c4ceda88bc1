"""Token buckets, as arrays."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]


def admit(
    tokens: Floats, offered: Floats, *, rate: ArrayLike, burst: ArrayLike, step_s: float = 1.0
) -> tuple[Floats, Floats]:
    """Admit what the bucket holds; return what was admitted and what the bucket holds then.

    The bucket fills while it is drawn on: what comes in during the step may be spent in it. So from a full bucket
    a flood is admitted exactly rate · T + burst requests in a time T, as by a bucket that acts on single requests.

    Parameters
    ----------
    tokens, offered : ndarray
        What the bucket holds, and what arrives in the step.
    rate, burst : array
        Tokens per second and most tokens held; infinite for no limit.
    step_s : float
        Length of the step.

    Examples
    --------
    >>> admit(np.array([10.0]), np.array([99.0]), rate=np.array([5.0]), burst=np.array([10.0]))
    (array([15.]), array([0.]))
    """
    held = tokens + np.asarray(rate, dtype=tokens.dtype) * step_s
    admitted = np.minimum(offered, held)
    with np.errstate(invalid="ignore"):
        left = np.minimum(held - admitted, burst)
    return admitted, np.where(np.isinf(held), burst, left) if np.isinf(held).any() else left
