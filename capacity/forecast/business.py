"""The business's own estimate: how such estimates turned out, and how much one weighs beside history's forecast."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from capacity.result import Result

# Without a record: no bias, and two thirds of such estimates within about ±25 %. 2015's Double 11 was expected at
# 120 k orders/s and came at 140 k (+15 %), its payments at 60 k and came at 85.9 k (+36 %).
PRIOR_SD = 0.25
PRIOR_BIAS_SD = 0.2
PRIOR_WORTH = 3.0  # past estimates that weigh as much as the stated spread
# Both look at last year's promotion: their errors are not independent, and two agreeing voices are less than two.
SHARED = 0.3
Z90 = 3.29  # standard deviations between the ends of a normal's 90 % interval
_TOO_FAR = 2.7  # of a chi-square with one degree of freedom: one time in ten by chance


@dataclass(frozen=True)
class Track:
    """Record of past estimates: ``bias`` is the expected log(actual / mid), ``sd`` its spread for a new estimate."""

    bias: float
    sd: float
    n: int


@dataclass(frozen=True)
class Voice:
    """One opinion of the largest day: median and the ends of its 90 % interval."""

    q05: float
    q50: float
    q95: float

    def on_log_scale(self) -> tuple[float, float]:
        """Return its middle and its standard deviation, both of the log."""
        return float(np.log(self.q50)), float(max(np.log(self.q95 / self.q05) / Z90, 1e-6))


@dataclass(frozen=True)
class BusinessEstimate(Result):
    """History's forecast of the promotion's largest day, the business's estimate as given, and their combination.

    Attributes
    ----------
    opinions : dict
        Per metric (``dau``, ``dat``), the three as `Voice`: ``history``, ``business`` (as given: low, mid, high),
        ``business_corrected`` (with past bias and spread), ``combined``.
    tracks : dict
        Per metric, the record of past estimates.
    weights : dict
        Per metric, the weight of the business's estimate in the combination.
    """

    opinions: dict[str, dict[str, Voice]]
    tracks: dict[str, Track]
    weights: dict[str, float]

    def summary(self) -> str:
        """Say what each voice expects."""
        parts = [
            f"{metric.upper()}: history {three['history'].q50:,.0f}, business {three['business'].q50:,.0f}, "
            f"combined {three['combined'].q50:,.0f}"
            for metric, three in self.opinions.items()
        ]
        return "largest day; " + "; ".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a metric and voice."""
        rows = [
            {
                "metric": metric,
                "voice": name,
                "q05": voice.q05,
                "q50": voice.q50,
                "q95": voice.q95,
                "weight": self._weight(metric, name),
                "past_estimates": self.tracks[metric].n,
            }
            for metric, three in self.opinions.items()
            for name, voice in three.items()
        ]
        return pd.DataFrame(rows)

    def contradicts(self, metric: str) -> bool:
        """Tell whether history and the corrected estimate lie further apart than both claims allow."""
        (a, sa), (b, sb) = (self.opinions[metric][name].on_log_scale() for name in ("history", "business_corrected"))
        return apart((a, sa), (b, sb)) > _TOO_FAR

    def _weight(self, metric: str, voice: str) -> float | None:
        own = self.weights[metric]
        return {"history": 1 - own, "business_corrected": own}.get(voice)


def learn_track(log_ratios: Sequence[float]) -> Track:
    """Learn bias and spread of estimates from past log(actual / mid), shrunk to the stated prior.

    Examples
    --------
    >>> learn_track([])
    Track(bias=0.0, sd=0.320..., n=0)
    >>> track = learn_track([0.15, 0.20, 0.10, 0.16])
    >>> round(track.bias, 2), track.n
    (0.13, 4)
    """
    x = np.asarray(log_ratios, dtype=float)
    n = len(x)
    spread = float(((x - x.mean()) ** 2).sum()) if n else 0.0
    variance = (PRIOR_WORTH * PRIOR_SD**2 + spread) / (PRIOR_WORTH + max(n - 1, 0))
    posterior = 1 / (1 / PRIOR_BIAS_SD**2 + n / variance)
    bias = posterior * float(x.sum()) / variance
    return Track(bias, float(np.sqrt(variance + posterior)), n)


def combine(history: tuple[float, float], business: tuple[float, float]) -> tuple[float, float, float]:
    """Combine two correlated opinions (mean, sd) on the log scale.

    Returns
    -------
    mean, sd, weight
        Of the combination, and the business's weight in it (0 to 1).

    References
    ----------
    .. [1] J. M. Bates, C. W. J. Granger (1969). The combination of forecasts.

    Examples
    --------
    >>> mean, sd, weight = combine((0.0, 0.2), (0.2, 0.2))
    >>> round(mean, 3), round(sd, 3), round(weight, 3)
    (0.1, 0.161, 0.5)
    """
    (a, sa), (b, sb) = history, business
    covariance = SHARED * sa * sb
    weight = float(np.clip((sa**2 - covariance) / (sa**2 + sb**2 - 2 * covariance), 0.0, 1.0))
    variance = weight**2 * sb**2 + (1 - weight) ** 2 * sa**2 + 2 * weight * (1 - weight) * covariance
    # Two voices further apart than both claims allow: at least one is wrong, and nobody knows which.
    widened = max(1.0, apart(history, business) / _TOO_FAR)
    return a + weight * (b - a), float(np.sqrt(variance * widened)), weight


def apart(history: tuple[float, float], business: tuple[float, float]) -> float:
    """Squared distance of two opinions (mean, sd) over the variance that both claims allow it."""
    (a, sa), (b, sb) = history, business
    return float((a - b) ** 2 / (sa**2 + sb**2 - 2 * SHARED * sa * sb))


def voice(mean: float, sd: float) -> Voice:
    """Lognormal opinion as quantiles."""
    return Voice(*(float(np.exp(mean + z * sd)) for z in (-1.645, 0.0, 1.645)))
