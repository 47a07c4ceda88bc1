"""How far the peak to come strays from what the last minutes say, learnt from past promotions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.promotion import Phase, Promotion

if TYPE_CHECKING:
    from capacity.history import Traffic

WINDOW_MIN = 10
UNKNOWN = 0.25
"""Without two past promotions of the kind: a peak strays by a quarter from what the last minutes say. Openings of
published promotions differ that much in peak second ÷ mean of the day from one year to the next (25.9, 23.0, 34.6,
40.7, 36.4 in 2015 to 2019: standard deviation of the log 0.25)."""


_WEIGHT = 2.0  # so many past promotions that default counts for beside those that are known
_SAME_CLOCK_MIN = 60


@dataclass(frozen=True)
class Misfit:
    """The spread of log(peak to come ÷ level of the last minutes) from one promotion to another, by phase.

    Attributes
    ----------
    spread : mapping of str to float
        Standard deviation by phase.
    why : mapping of str to str
        What each rests on.
    ratio : mapping of str to Series
        By phase: the mean of that log by service.
    weight : mapping of str to float
        By phase: how far it is believed, from 0 (no promotion compares) toward 1.
    """

    spread: Mapping[str, float]
    why: Mapping[str, str]
    ratio: Mapping[str, "pd.Series[float]"] = field(default_factory=dict)
    weight: Mapping[str, float] = field(default_factory=dict)

    def ratio_of(self, phase: str, services: Sequence[str]) -> tuple[NDArray[np.float64], float]:
        """Return the mean log ratio of services in a phase, NaN where unknown, and how far it is believed."""
        known = self.ratio.get(phase)
        if known is None:
            return np.full(len(services), np.nan), 0.0
        return np.asarray(known.reindex(list(services)).to_numpy(dtype=float)), self.weight.get(phase, 0.0)


def learn_misfit(traffic: "Traffic", promotion: Promotion, past: Sequence[Promotion]) -> Misfit:
    """Learn the spread at the tenth minute of each phase from the minutes of past promotions.

    Phases are comparable where they begin at the same time of day, openings always. The spread is taken between
    promotions of one kind, pooled over kinds and services, and shrunk toward the stated default.

    Parameters
    ----------
    traffic
        History.
    promotion
        The one that runs.
    past
        Those before it, of any kind.
    """
    ratios = [(one, found) for one in past if (found := _log_ratios(traffic, one)) is not None]
    spread, why, ratio, believed = {}, {}, {}, {}
    for phase in promotion.phases:
        alike = [(one.kind, by_phase[phase.name]) for one, by_phase in ratios if _comparable(one, promotion, phase)]
        variance, freedom = _between(alike)
        weight = freedom + _WEIGHT
        spread[phase.name] = float(np.sqrt((freedom * variance + _WEIGHT * UNKNOWN**2) / weight))
        own = [values for kind, values in alike if kind == promotion.kind] or [values for _, values in alike]
        if own:
            ratio[phase.name] = pd.concat(own, axis=1).mean(axis=1)
            believed[phase.name] = len(own) / (len(own) + _WEIGHT)
        source = f"{len(alike)} past promotions" if freedom else "no two past promotions of one kind that compare"
        why[phase.name] = f"{source}: the peak to come strays {100 * spread[phase.name]:.0f} % from the last minutes"
    return Misfit(spread, why, ratio, believed)


def _comparable(past: Promotion, promotion: Promotion, phase: Phase) -> bool:
    same = next((one for one in past.phases if one.name == phase.name), None)
    if same is None:
        return False
    if phase.starts_at == promotion.starts_at:
        return same.starts_at == past.starts_at
    apart = abs(_clock_min(same) - _clock_min(phase))
    return min(apart, 1440 - apart) <= _SAME_CLOCK_MIN


def _clock_min(phase: Phase) -> int:
    return phase.starts_at.hour * 60 + phase.starts_at.minute


def _between(alike: "Sequence[tuple[str, pd.Series[float]]]") -> tuple[float, float]:
    """Variance between promotions of one kind, a mean over services, and its degrees of freedom."""
    squares, freedom = 0.0, 0.0
    for kind in dict.fromkeys(kind for kind, _ in alike):
        columns = [values for own, values in alike if own == kind]
        table = pd.concat(columns, axis=1).dropna() if len(columns) > 1 else pd.DataFrame()
        if not table.empty:
            squares += float(table.var(axis=1, ddof=1).mean()) * (len(columns) - 1)
            freedom += len(columns) - 1
    return (squares / freedom if freedom else 0.0), freedom


def _log_ratios(traffic: "Traffic", past: Promotion) -> "dict[str, pd.Series[float]] | None":
    """Log of peak to come ÷ level at each phase's tenth minute, by phase and service; None without minutes."""
    rows = traffic.window(past.phases[0].starts_at, past.phases[-1].ends_at)
    fine = rows[rows["interval_s"] <= 60]
    if fine.empty:
        return None
    rate = fine["requests"] / fine["interval_s"]
    table = fine.assign(rate=rate, second=fine["peak_qps"].fillna(rate))
    return {phase.name: _of_phase(table, phase) for phase in past.phases}


def _of_phase(table: pd.DataFrame, phase: Phase) -> "pd.Series[float]":
    at = pd.Timestamp(phase.starts_at) + timedelta(minutes=WINDOW_MIN)
    before = table[(table["ts"] >= phase.starts_at) & (table["ts"] < at)].groupby("service")["rate"]
    after = table[(table["ts"] >= at) & (table["ts"] < phase.ends_at)].groupby("service")["second"]
    level = before.mean()[before.count() >= WINDOW_MIN / 2]
    both = pd.concat([level, after.max()], axis=1, keys=["level", "peak"]).dropna()
    both = both[(both > 0).all(axis=1)]
    return pd.Series(np.log(both["peak"] / both["level"]))
