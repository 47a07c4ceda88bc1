"""The level of a company over the years: adoption, steps and jumps, or slow decline; never a wandering slope."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.second_family.setting import Setting, rng_of
from capacity.demo.randomness import log_uniform

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Growth:
    """Log level of daily users by day, promotions and seasons apart, and how it came about."""

    log_level: Array
    form: str


def draw_growth(setting: Setting) -> Growth:
    """Draw one of three forms of growth, then jumps.

    - ``adoption``: a logistic curve, 0.8 … 2.5 a year steep, entered anywhere between 15 and 85 % of its ceiling;
    - ``piecewise``: one to three straight pieces of −15 … +35 % a year;
    - ``decline``: −2 … −15 % a year.

    Acquisitions come at 0.25 a year (+6 … 30 % over 10 to 60 days), viral jumps at 0.3 a year (+8 … 40 %, up in three
    days, fading as a power of time toward a quarter of it), both anywhere in the drawn days, those after the planning
    day included.

    Examples
    --------
    >>> from benchmarks.second_family.setting import draw_setting
    >>> draw_growth(draw_setting(1)).form in {"adoption", "piecewise", "decline"}
    True
    """
    rng = rng_of(setting, "growth")
    years = np.arange(setting.days) / 365.25
    form = str(rng.choice(["adoption", "piecewise", "decline"], p=[0.4, 0.4, 0.2]))
    if form == "adoption":
        share = rng.uniform(0.15, 0.85)
        curve = 1 / (1 + np.exp(-rng.uniform(0.8, 2.5) * years - np.log(share / (1 - share))))
        path = np.log(curve / curve[0])
    elif form == "piecewise":
        knots = np.sort(rng.uniform(0, years[-1], int(rng.integers(0, 3))))
        slopes = rng.uniform(-0.15, 0.35, len(knots) + 1)
        path = slopes[0] * years
        for knot, change in zip(knots, np.diff(slopes), strict=True):
            path = path + change * np.maximum(years - knot, 0)
    else:
        path = -rng.uniform(0.02, 0.15) * years
    path = path + _acquisitions(rng, years) + _viral_jumps(rng, years)
    return Growth(path + np.log(log_uniform(rng, 1e5, 1e7)) - path[setting.as_of_day], form)


def _acquisitions(rng: np.random.Generator, years: Array) -> Array:
    count = int(rng.poisson(0.25 * years[-1]))
    total = np.zeros(len(years))
    for at, size, lasts in zip(
        rng.uniform(0, years[-1], count), rng.uniform(0.06, 0.30, count), rng.uniform(10, 60, count), strict=True
    ):
        total += np.log1p(size) * np.clip((years - at) * 365.25 / lasts, 0, 1)
    return total


def _viral_jumps(rng: np.random.Generator, years: Array) -> Array:
    count = int(rng.poisson(0.3 * years[-1]))
    total = np.zeros(len(years))
    for at, size, exponent in zip(
        rng.uniform(0, years[-1], count), rng.uniform(0.08, 0.40, count), rng.uniform(0.6, 1.4, count), strict=True
    ):
        since = (years - at) * 365.25
        fading = 0.25 + 0.75 * (1 + np.maximum(since - 3, 0) / 4) ** -exponent
        total += np.log1p(size) * np.clip(since / 3, 0, 1) * fading
    return total
