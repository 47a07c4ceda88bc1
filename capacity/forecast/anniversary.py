"""Single dates that stand out in all series together and come again a year later, named by no calendar.

A date's common residual r is part chance, part anniversary. Small ones are chance, as most days show; what is left of
large ones is believed to come again by the share ρ that earlier ones did: E[r | a year later] = ρ w(r) r.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
# Before any date has been seen twice, one that stood out is as likely a holiday as an accident; worth two dates.
_PRIOR_RETURN, _PRIOR_WORTH = 0.5, 2.0
_ORDINARY = 3.0  # common residuals within so many times the usual one are more chance than date


@dataclass(frozen=True)
class Anniversaries:
    """What dates are expected to add on the log scale: ``effect`` and its ``variance``, both (days,), 0 for most.

    ``returns`` is the share of a date's deviation that came again a year later.
    """

    effect: Floats
    variance: Floats
    returns: float


def none(n_days: int) -> Anniversaries:
    """Return no anniversaries."""
    return Anniversaries(np.zeros(n_days), np.zeros(n_days), _PRIOR_RETURN)


def learn_anniversaries(common: Floats, earlier: Ints) -> Anniversaries:
    """Learn which dates come again.

    Parameters
    ----------
    common : (history,) array
        Mean residual of all series on each day, log scale; NaN where unknown.
    earlier : (days,) array of int
        The same date a year before, of every day of history and horizon; below 0 where the panel has none.

    Notes
    -----
    With m the median of absolute residuals ÷ 0.674, w = r² / (r² + (3 m)²): as a heavy-tailed prior would, it keeps
    large deviations and drops ordinary ones (cf. I. M. Johnstone, B. W. Silverman, 2004, Needles and straw in
    haystacks).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> common = rng.normal(0, 0.02, 730); common[[100, 465]] = -0.5
    >>> found = learn_anniversaries(common, np.arange(1095) - 365)
    >>> bool(-0.5 < found.effect[830] < -0.3), bool(abs(found.effect[900]) < 0.03)
    (True, True)
    """
    n_history, n_days = len(common), len(earlier)
    known = np.isfinite(common)
    if known.sum() < 28 or n_days <= 365:
        return none(n_days)
    usual = float(np.median(np.abs(common[known]))) / 0.674
    kept = np.where(known, common, 0.0)
    kept = kept**3 / (kept**2 + (_ORDINARY * usual) ** 2 + 1e-12)
    pair = np.flatnonzero((earlier[:n_history] >= 0) & known)
    pair = pair[known[earlier[pair]]]
    before = kept[earlier[pair]]
    worth = _PRIOR_WORTH * (_ORDINARY * usual) ** 2 + 1e-12
    returns = float(np.clip((_PRIOR_RETURN * worth + before @ common[pair]) / (worth + before @ before), 0.0, 1.0))
    source = np.where(earlier >= n_history, earlier[np.minimum(earlier, n_days - 1)], earlier)  # two years ahead
    value = np.where((source >= 0) & (source < n_history), kept[np.clip(source, 0, n_history - 1)], 0.0)
    return Anniversaries(returns * value, returns * (1 - returns) * value**2, returns)
