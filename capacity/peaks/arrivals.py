"""Second-by-second arrivals of single futures, consistent with their worst seconds: what a rehearsal plays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.peaks.priors import Floats

_WIDTHS_S = (10.0, 4.0, 1.5)  # how fast a burst inside its minute fades, tried from wide to narrow


@dataclass(frozen=True)
class Arrivals:
    """What is needed to draw any future's minutes again.

    Attributes
    ----------
    first_minute : int
        Minutes after the start of the first minute.
    day : ndarray of int, shape (minute,)
    cell : ndarray of int, shape (minute,)
        Cell of each minute, -1 in none.
    phase : ndarray of int, shape (cell,)
        Phase of each cell.
    profile : ndarray, shape (kappa, entry, minute)
        Share of the day.
    kappa : ndarray of int, shape (sample,)
    volume : ndarray, shape (sample, date, entry)
    log_height : ndarray, shape (sample, cell, entry)
    peak_qps, peak_at_s : ndarray, shape (sample, phase, entry)
    """

    first_minute: int
    day: NDArray[np.int64]
    cell: NDArray[np.int64]
    phase: NDArray[np.int64]
    profile: NDArray[np.float32]
    kappa: NDArray[np.int64]
    volume: NDArray[np.float32]
    log_height: NDArray[np.float32]
    peak_qps: Floats
    peak_at_s: Floats

    def rates(self, sample: NDArray[np.int64], *, start_s: float, duration_s: float, step_s: float) -> Floats:
        """External requests/s, shape (sample, entry, step): means of each step's first second.

        A phase's worst second is in it at its time and at its height; the minute around it keeps its volume.
        Nothing in a phase is higher than its worst second. Outside the minutes that are known the rate is zero.
        """
        sample = np.asarray(sample, dtype=np.int64)
        second = start_s + step_s * np.arange(max(int(np.ceil(duration_s / step_s)), 0))
        minute = np.floor(second / 60.0).astype(np.int64) - self.first_minute
        inside = (minute >= 0) & (minute < self.day.size)
        m = np.clip(minute, 0, self.day.size - 1)
        unique, back = np.unique(m, return_inverse=True)
        rate = self.minute_rates(sample, unique)
        ceiling = self._ceilings(sample, unique)
        rate = np.minimum(rate, ceiling)[:, :, back]
        self._place_bursts(rate, sample, np.asarray(second), step_s)
        rate[:, :, ~inside] = 0.0
        return rate

    def minutes(self, sample: NDArray[np.int64], *, entry: int, every: int = 1) -> Floats:
        """Return one entry's requests/s by minute, shape (sample, step), the busiest minute of each step.

        Bursts inside the minute are left out.
        """
        n_steps = -(-self.day.size // every)
        out = np.empty((sample.size, n_steps))
        for i, s in enumerate(sample):
            cell = np.maximum(self.cell, 0)
            height = np.where(self.cell >= 0, self.log_height[s, cell, entry], 0.0)
            rate = self.volume[s, self.day, entry] * self.profile[self.kappa[s], entry] * np.exp(height) / 60.0
            padded = np.concatenate([rate, np.zeros(n_steps * every - rate.size)])
            out[i] = padded.reshape(n_steps, every).max(1)
        return out

    def minute_rates(self, sample: NDArray[np.int64], minute: NDArray[np.int64]) -> Floats:
        """External requests/s as means of minutes, counted from the first; shape (sample, entry, minute)."""
        share = self.profile[np.ix_(self.kappa[sample], np.arange(self.profile.shape[1]), minute)].astype(float)
        cell = self.cell[minute]
        height = self.log_height[sample][:, np.maximum(cell, 0)].astype(float)
        lifted = share * np.exp(np.where((cell >= 0)[None, :, None], height, 0.0)).transpose(0, 2, 1)
        volume = self.volume[sample][:, self.day[minute]].astype(float).transpose(0, 2, 1)
        return np.asarray(volume * lifted / 60.0)

    def _ceilings(self, sample: NDArray[np.int64], minute: NDArray[np.int64]) -> Floats:
        cell = self.cell[minute]
        phase = np.where(cell >= 0, self.phase[np.maximum(cell, 0)], 0)
        top = self.peak_qps[sample][:, phase].transpose(0, 2, 1)
        return np.where((cell >= 0)[None, None], top, np.inf)

    def _place_bursts(self, rate: Floats, sample: NDArray[np.int64], second: Floats, step_s: float) -> None:
        for i, s in enumerate(sample):
            for phase in range(self.peak_qps.shape[1]):
                for entry in range(rate.shape[1]):
                    at = self.peak_at_s[s, phase, entry]
                    rows = np.flatnonzero(np.floor(second / 60.0) == np.floor(at / 60.0))
                    if rows.size and self.peak_qps[s, phase, entry] > 0:
                        rate[i, entry, rows] = _burst(
                            float(rate[i, entry, rows[0]]), self.peak_qps[s, phase, entry], second[rows] - at, step_s
                        )


def _burst(mean: float, peak: float, away_s: Floats, step_s: float) -> Floats:
    """One minute with a given mean whose worst second is `peak`.

    Examples
    --------
    >>> wave = _burst(100.0, 150.0, np.arange(60.0) - 20, 1.0)
    >>> float(wave.max()), round(float(wave.mean()), 6)
    (150.0, 100.0)
    """
    nearest = np.abs(away_s) - np.abs(away_s).min()
    for width in _WIDTHS_S:
        kernel = np.exp(-nearest / width)
        if np.abs(away_s).min() > step_s:
            return np.full(away_s.size, mean)
        spread = kernel.mean()
        if spread >= 1.0:
            return np.full(away_s.size, peak)
        base = (mean - peak * spread) / (1.0 - spread)
        if base >= 0.0:
            return np.asarray(base + (peak - base) * kernel)
    return np.where(nearest <= 0.0, peak, mean)
