"""Past peaks that only `promotions.yaml` still remembers, worked back to shares of the day."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from capacity.peaks.burst import noise_ratio
from capacity.peaks.picture import Picture
from capacity.peaks.priors import Floats
from capacity.peaks.seconds import Seconds
from capacity.peaks.volume import modelled


def remembered_shares(services: Mapping[str, Any], picture: Picture, seconds: Seconds) -> Floats:
    """Log share of the busiest minute from a remembered busiest second, shape (event, entry).

    ``peak_qps ÷ burst × 60 ÷ requests of the day``, the day's requests from its remembered DAU and DAT (or the
    history's), the burst from what is known of seconds. Orders speak for the entry that counts transactions.
    """
    entries = picture.entries
    out = np.full((len(picture.events), entries.index.size), np.nan)
    names = [picture.names[i] for i in entries.index]
    counts = np.array([services[n].counts_as == "transaction" for n in names], dtype=bool)
    ramp = np.exp(seconds.ramp.mean)
    for p, event in enumerate(picture.events):
        dau, dat = _people(picture, event.actual, event.starts_at.date().toordinal(), event.duration_min)
        if not (np.isfinite(dau) and np.isfinite(dat)):
            continue
        volume = modelled(entries.rates, np.array(dau), np.array(dat))
        peak = np.array([event.actual.get(f"qps:{n}", np.nan) for n in names])
        if "peak_tps" in event.actual and dat > 0:
            orders = event.actual["peak_tps"] * volume / dat
            peak = np.where(counts & ~np.isfinite(peak), orders, peak)
        good = np.isfinite(peak) & (peak > 0) & (volume > 0)
        rate = np.where(good, peak, 1.0) / ramp
        rate = rate / noise_ratio(rate, np.exp(seconds.log_dispersion))
        out[p] = np.where(good, np.log(np.maximum(rate * 60.0 / np.where(good, volume, 1.0), 1e-12)), np.nan)
    return out


def _people(picture: Picture, actual: Mapping[str, float], first: int, duration_min: int) -> tuple[float, float]:
    """DAU and DAT of the event's largest day: remembered, else the largest of its days in history."""
    dau, dat = actual.get("dau", np.nan), actual.get("dat", np.nan)
    daily = picture.daily
    rows = (daily.day >= first) & (daily.day <= first + duration_min // 1440 + 1)
    if not np.isfinite(dau) and np.isfinite(daily.dau[rows]).any():
        dau = float(np.nanmax(daily.dau[rows]))
    if not np.isfinite(dat) and np.isfinite(daily.dat[rows]).any():
        dat = float(np.nanmax(daily.dat[rows]))
    return dau, dat
