"""What `forecast_intraday` and `backtest_intraday` return."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capacity.display.numbers import format_number
from capacity.peaks.intraday.shape import Floats
from capacity.result import Result

if TYPE_CHECKING:
    from capacity.display.figures import Chart


@dataclass(frozen=True)
class IntradayForecast(Result):
    """Forecast of intervals, of each day's busiest interval and of peak seconds.

    Attributes
    ----------
    series : tuple of str
    interval_s : int
        Length of an interval in seconds.
    quantiles : DataFrame
        series, ts and one column a quantile, named by the floats passed: requests in each interval ahead.
    daily_peaks : DataFrame
        series, date, at (likeliest start of the busiest interval), so_far (busiest of a day that has begun, else
        empty) and the quantiles of the whole day's busiest interval; days that the horizon covers to their end.
    peak_qps, daily_peak_qps : DataFrame or None
        The same of the peak second, requests a second; ``None`` where no peak second is known.
    samples, peak_samples : ndarray, shape (n_samples, series, horizon)
        Joint futures of requests and of peak seconds: the same sample is the same future.
    history : DataFrame
        series, ts, value (and peak) of the last days, for figures.
    why : tuple of str
        What the forecast leans on where that is thin.
    """

    series: tuple[str, ...]
    interval_s: int
    quantiles: pd.DataFrame
    daily_peaks: pd.DataFrame
    peak_qps: pd.DataFrame | None
    daily_peak_qps: pd.DataFrame | None
    samples: Floats
    peak_samples: Floats
    history: pd.DataFrame
    why: tuple[str, ...]

    def summary(self) -> str:
        """Say the size, the span and the interval."""
        times = self.quantiles["ts"]
        n = len(self.series)
        return (
            f"{n} series, {len(times) // n} intervals of {self.interval_s / 60:g} min "
            f"from {times.iloc[0]:%Y-%m-%d %H:%M}" + (", with peak seconds" if self.peak_qps is not None else "")
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the quantiles of every interval."""
        return self.quantiles

    def plot(self, series: str | None = None) -> "Chart":
        """Draw the last days and the fan ahead of one series, the first without a name."""
        from capacity.peaks.intraday.figure import draw_intraday

        return draw_intraday(self, series)


@dataclass(frozen=True)
class IntradayBacktest(Result):
    """Every forecast of a past interval and of a past day's peak, each from what preceded it alone.

    Attributes
    ----------
    quantiles : tuple of float
    next : DataFrame
        series, ts, value, one column a quantile: each interval as forecast from its own start; with peak seconds also
        peak and ``peak_`` before each quantile (``peak_0.5``). Intervals of the first week are left out.
    daily : DataFrame
        series, date, lead_days (0: forecast at the day's start), value and the quantiles of the day's busiest interval,
        at_slot and expected_slot (counted from midnight): where it was and where it was expected.
    daily_peak_qps : DataFrame or None
        The same of the day's peak second.
    """

    quantiles: tuple[float, ...]
    next: pd.DataFrame
    daily: pd.DataFrame
    daily_peak_qps: pd.DataFrame | None

    def summary(self) -> str:
        """Say how many forecasts and how far off their medians were."""
        frame = self.to_frame()
        first = frame.iloc[0]
        return f"{len(self.next)} intervals forecast one ahead, WAPE {format_number(float(first['wape']))}"

    def to_frame(self) -> pd.DataFrame:
        """Return n, wape, median_error, bias and the share below each quantile, by target and lead."""
        parts = [self._score("interval", "next", self.next, "value", "")]
        if "peak" in self.next:
            parts.append(self._score("peak_qps", "next", self.next, "peak", "peak_"))
        for name, frame in (("daily_peak", self.daily), ("daily_peak_qps", self.daily_peak_qps)):
            if frame is not None:
                parts += [
                    self._score(name, f"{lead} days", part, "value", "")
                    for lead, part in frame.groupby("lead_days", sort=True)
                ]
        return pd.DataFrame(parts)

    def _score(self, target: str, lead: str, frame: pd.DataFrame, value: str, prefix: str) -> dict[str, object]:
        columns: dict[float, str | float] = {q: f"{prefix}{q:g}" if prefix else q for q in self.quantiles}
        middle = min(self.quantiles, key=lambda q: abs(q - 0.5))
        known = frame[[value, columns[middle]]].notna().all(axis=1).to_numpy()
        came = frame[value].to_numpy(dtype=float)[known]
        said = frame[columns[middle]].to_numpy(dtype=float)[known]
        error = np.abs(said - came)
        positive = came > 0
        row: dict[str, object] = {
            "target": target,
            "lead": lead,
            "n": int(known.sum()),
            "wape": float(error.sum() / max(came.sum(), 1e-12)),
            "median_error": float(np.median(error[positive] / came[positive])) if positive.any() else np.nan,
            "bias": float((said - came).sum() / max(came.sum(), 1e-12)),
        }
        for q, column in columns.items():
            below = came <= frame[column].to_numpy(dtype=float)[known]
            row[f"below_{q:g}"] = float(below.mean()) if below.size else np.nan
        return row
