"""What `forecast_demand` returns: joint futures of DAU and DAT, and what they rest on."""

from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
import xarray as xr

from capacity.forecast.activity import TOTAL
from capacity.forecast.business import BusinessEstimate
from capacity.forecast.doubt import Doubt
from capacity.promotion import Promotion
from capacity.result import Result

if TYPE_CHECKING:
    from capacity.display.figures import Chart

PROBABILITIES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}


@dataclass(frozen=True)
class Demand(Result):
    """Daily active users (DAU) and daily active transactions (DAT: orders placed) ahead, as joint samples.

    Attributes
    ----------
    promotion : Promotion
        The promotion asked for.
    as_of : date
        First forecast day; nothing at or after it was seen.
    dau, dat : DataArray
        (sample, date, segment); the same sample is the same future in both, and in everything made from them.
    business : BusinessEstimate or None
        The business's estimate beside history's and their combination.
    components : DataFrame
        metric (``dau``, ``dat_per_dau``), segment, date and what adds up to the log of the middle forecast: level,
        season, holiday, event, review (what business and lessons moved); ``closed`` days have users or orders of 0
        instead.
    evidence : DataFrame
        Past promotions that the events' effects rest on: promotion, kind, metric, largest_factor (effect seen on its
        strongest day), weight (by how many per cent the middle forecast of the day of most orders would move had its
        uplift been one per cent more; what is left to 1 is the pool of kinds and the prior), left_out_error and
        left_out_sd (error when forecast from the others, and the one expected).
    doubt : Doubt or None
        Where the width on the day of most orders comes from, and what would narrow it.
    why, assumptions : tuple of str
        What drives the numbers and how thin it is; every default that was used.
    history : DataFrame
        date, dau, dat of the whole; dat with what limits hid.
    dau_is_upper_bound : bool
        Whether the total is a sum over segments, in which a person may count twice.

    Examples
    --------
    See `forecast_demand`.
    """

    units: ClassVar[dict[str, str]] = {"q05": "a day", "q50": "a day", "q95": "a day"}

    promotion: Promotion
    as_of: date
    dau: xr.DataArray
    dat: xr.DataArray
    business: BusinessEstimate | None
    components: pd.DataFrame
    evidence: pd.DataFrame
    doubt: Doubt | None
    why: tuple[str, ...]
    assumptions: tuple[str, ...]
    history: pd.DataFrame
    dau_is_upper_bound: bool
    past: tuple[Promotion, ...] = field(default=())

    @property
    def total_dau(self) -> xr.DataArray:
        """(sample, date) users of the whole site; a sum over segments where history has no total (an upper bound)."""
        return _total(self.dau)

    @property
    def total_dat(self) -> xr.DataArray:
        """(sample, date) orders of the whole site."""
        return _total(self.dat)

    @property
    def n_samples(self) -> int:
        """Futures drawn."""
        return int(self.dau.sizes["sample"])

    def summary(self) -> str:
        """Say the largest day."""
        days = [np.datetime64(day) for day in self.promotion.dates]
        parts = []
        for name, total in (("DAU", self.total_dau), ("DAT", self.total_dat)):
            q05, q50, q95 = np.quantile(total.sel(date=days).max("date"), [0.05, 0.5, 0.95])
            parts.append(f"{name} {q50:,.0f} ({q05:,.0f} to {q95:,.0f})")
        return f"{self.promotion.id} as of {self.as_of}: largest day {', '.join(parts)} at 90 %"

    def to_frame(self) -> pd.DataFrame:
        """Return one row a date and metric of the whole site: q05, q50, q95."""
        frames = []
        for metric, total in (("dau", self.total_dau), ("dat", self.total_dat)):
            values = np.quantile(total.to_numpy(), list(PROBABILITIES.values()), axis=0)
            frame = pd.DataFrame({"date": total["date"].to_numpy(), "metric": metric})
            for name, row in zip(PROBABILITIES, values, strict=True):
                frame[name] = row
            frames.append(frame)
        return pd.concat(frames).sort_values(["date", "metric"], kind="stable").reset_index(drop=True)

    def plot(self) -> "Chart":
        """Draw history, the fan ahead, and past promotions of the kind aligned on the start day."""
        from capacity.forecast.figure import draw_demand

        return draw_demand(self)

    def scaled(self, factor: float) -> "Demand":
        """Return the same futures with ``factor`` times as many users and orders (a what-if).

        Raises
        ------
        ValueError
            The factor is not a finite positive number.
        """
        if not (np.isfinite(factor) and factor > 0):
            raise ValueError(f"factor must be a finite number above 0, got {factor!r}")
        note = f"what-if: demand × {factor:g}"
        return replace(self, dau=self.dau * factor, dat=self.dat * factor, assumptions=(*self.assumptions, note))


def _total(values: xr.DataArray) -> xr.DataArray:
    if TOTAL in values["segment"].to_numpy():
        return values.sel(segment=TOTAL, drop=True)
    return values.sum("segment")
