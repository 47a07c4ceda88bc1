"""Token buckets, as arrays."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def admit(
    tokens: Floats, offered: Floats, *, rate: Floats, burst: Floats, step_s: float = 1.0
) -> tuple[Floats, Floats]:
    """Admit what the bucket holds; return what was admitted and what the bucket holds then.

    The bucket is filled before it is drawn on. From a full bucket a time T admits at most rate · T + burst.

    Parameters
    ----------
    tokens, offered : ndarray
        What the bucket holds, and what arrives in the step.
    rate, burst : ndarray
        Tokens per second and most tokens held; infinite for no limit.
    step_s : float
        Length of the step.

    Examples
    --------
    >>> admit(np.array([10.0]), np.array([99.0]), rate=np.array([5.0]), burst=np.array([10.0]))
    (array([15.]), array([0.]))
    """
    held = tokens + rate * step_s
    admitted = np.minimum(offered, held)
    with np.errstate(invalid="ignore"):
        left = np.where(np.isinf(held), burst, np.minimum(held - admitted, burst))
    return admitted, left
