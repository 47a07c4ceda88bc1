"""What nobody could have known of a day or a second: heavy tails, restless times, rates that wander."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


def daily_shocks(rng: np.random.Generator, days: int, *, scale: float) -> Array:
    """Student-t shocks with a memory, in calm and restless times.

    Degrees of freedom 3 … 8; restless spells come every 40 to 120 days, last 8 to 30 and are 1.6 to 2.8 times as wide;
    memory 0.2 … 0.7.

    Parameters
    ----------
    rng, days
        Stream and length.
    scale
        Standard deviation in calm times, as if the shocks were normal.

    Returns
    -------
    ndarray, shape (days,)
        Log shocks.

    Examples
    --------
    >>> shocks = daily_shocks(np.random.default_rng(0), 4000, scale=0.01)
    >>> bool(0.008 < shocks.std() < 0.03)
    True
    """
    freedom, memory = rng.uniform(3, 8), rng.uniform(0.2, 0.7)
    calm, restless = rng.uniform(40, 120), rng.uniform(8, 30)
    lengths = rng.exponential(np.where(np.arange(2 * days // 8 + 4) % 2, restless, calm)).clip(1)
    regime = np.searchsorted(np.cumsum(lengths), np.arange(days), side="right") % 2
    wide = np.where(regime == 1, rng.uniform(1.6, 2.8), 1.0)
    innovations = rng.standard_t(freedom, days) * np.sqrt((freedom - 2) / freedom) * wide
    return np.asarray(lfilter([scale * np.sqrt(1 - memory**2)], [1.0, -memory], innovations))


def gamma_factor(rng: np.random.Generator, *, variation: float, normal: float, wide: float = 0.08) -> float:
    """Draw a factor of mean 1 from a mixture of two gammas, the second (share `wide`) twice as dispersed.

    The place inside the distribution is that of `normal` in the standard normal, so that factors can be correlated.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> factors = [gamma_factor(rng, variation=0.1, normal=rng.normal()) for _ in range(2000)]
    >>> bool(abs(np.mean(factors) - 1) < 0.02)
    True
    """
    from scipy.special import ndtr
    from scipy.stats import gamma

    spread = variation * (2.0 if rng.random() < wide else 1.0)
    shape = spread**-2
    return float(gamma.ppf(ndtr(normal), shape, scale=1 / shape))


def minute_wobble(rng: np.random.Generator, minutes: int, columns: int, *, scale: float, memory: float) -> Floats:
    """Lognormal factors that change every minute and remember the last, shape (60 × minutes, columns)."""
    noise = rng.normal(size=(minutes, columns)) * scale * np.sqrt(1 - memory**2)
    noise[:1] /= np.sqrt(1 - memory**2)
    return np.repeat(np.exp(lfilter([1.0], [1.0, -memory], noise, axis=0)).astype(np.float32), 60, axis=0)


def cox_factor(
    rng: np.random.Generator, rate: Floats, *, spread: float, usual: float, fall: float, memory_s: float, form: str
) -> Floats:
    r"""Random factor of a rate from second to second: a Cox process whose over-dispersion falls with the rate.

    .. math:: s(\lambda) = s_0 (\lambda / \lambda_0)^{-b / 2}

    is the factor's coefficient of variation; its logarithm (``log-gaussian``) or a gamma of the same variation
    (``gamma``, by Wilson and Hilferty) follows an Ornstein–Uhlenbeck process.

    Parameters
    ----------
    rng
        Stream.
    rate
        Mean rate by second.
    spread, usual, fall
        s₀, λ₀ and b.
    memory_s
        Seconds after which the factor has forgotten.
    form
        ``log-gaussian`` or ``gamma``.
    """
    decay = np.exp(-1 / memory_s)
    noise = rng.standard_normal(len(rate), dtype=np.float32)
    noise[1:] *= np.float32(np.sqrt(1 - decay**2))
    normal = lfilter([1.0], [1.0, -decay], noise).astype(np.float32)
    size = np.minimum(spread * (np.maximum(rate, 1e-3) / usual) ** (-fall / 2), 0.6).astype(np.float32)
    if form == "log-gaussian":
        return np.asarray(np.exp(size * normal - size**2 / 2))
    part = size**2 / 9
    return np.asarray(np.maximum(1 - part + normal * np.sqrt(part), 0) ** 3)


def excited(rng: np.random.Generator, counts: Floats, branching: Floats, *, memory_s: float) -> Floats:
    """Add what arrivals provoke: retries, reloads, scripts; two generations of a self-exciting process.

    Parameters
    ----------
    rng
        Stream.
    counts
        Arrivals by second that came by themselves.
    branching
        Mean offspring of one arrival, by second.
    memory_s
        Mean time until the offspring comes.
    """
    decay = np.exp(-1 / memory_s)
    total, parents = counts.copy(), counts
    for _ in range(2):
        mean = lfilter([0.0, 1 - decay], [1.0, -decay], branching * parents)
        parents = rng.poisson(mean).astype(np.float32)
        total += parents
    return total
