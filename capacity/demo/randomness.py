"""Independent random streams by name, so that a change in one part leaves every other part's draws alone."""

from zlib import crc32

import numpy as np


def stream(seed: int, *names: str) -> np.random.Generator:
    """Give the generator of one named part of the company.

    Parameters
    ----------
    seed
        Seed of the company, 0 or larger.
    *names
        What is drawn from it, such as ``"event", "2026-double11"``.

    Returns
    -------
    numpy.random.Generator
        The same stream for the same arguments, independent of every other.

    Examples
    --------
    >>> bool(stream(0, "demand").random() == stream(0, "demand").random())
    True
    >>> bool(stream(0, "demand").random() == stream(0, "shapes").random())
    False
    """
    return np.random.default_rng([seed, *(crc32(name.encode()) for name in names)])


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw log-uniformly between two positive bounds."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def nice(value: float, digits: int = 2) -> float:
    """Round to a few significant digits, as people do.

    Examples
    --------
    >>> nice(123456), nice(0.0347), nice(0)
    (120000.0, 0.035, 0.0)
    """
    return float(f"{value:.{digits}g}") if value else 0.0


def nice_up(value: float) -> float:
    """Round up to the next number of one digit and a half, as quotas and objectives are.

    Examples
    --------
    >>> nice_up(101), nice_up(0.163), nice_up(48)
    (120.0, 0.18, 50.0)
    """
    power = 10.0 ** np.floor(np.log10(value))
    steps = np.array([1, 1.2, 1.5, 1.8, 2, 2.2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10.0])
    step = float(steps[np.searchsorted(steps, value / power - 1e-9)])
    return float(f"{step * power:.3g}")
