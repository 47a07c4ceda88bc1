"""Past peaks that only `promotions.yaml` still remembers, worked back to shares of the day."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from capacity.peaks.burst import noise_ratio
from capacity.peaks.picture import Picture
from capacity.peaks.priors import Floats
from capacity.peaks.seconds import Seconds
from capacity.peaks.volume import modelled

_NOISE = 0.2  # burst and requests per order of that day are not remembered
_OTHER_DAY = 0.4


def remembered_shares(services: Mapping[str, Any], picture: Picture, seconds: Seconds) -> tuple[Floats, Floats]:
    """Log share of the busiest minute from a remembered busiest second, and its spread, each of shape (event, entry).

    ``peak_qps ÷ burst × 60 ÷ requests of the day``, the day's requests from its remembered DAU and DAT (or the
    history's), the burst from what is known of seconds. Orders speak for the entry that counts transactions.
    """
    entries = picture.entries
    out = np.full((len(picture.events), entries.index.size), np.nan)
    noise = np.full_like(out, _NOISE)
    names = [picture.names[i] for i in entries.index]
    counts = np.array([services[n].counts_as == "transaction" for n in names], dtype=bool)
    ramp = np.exp(seconds.ramp.mean)
    for p, event in enumerate(picture.events):
        dau, dat, spread = _people(picture, event.actual, event.starts_at.date().toordinal(), event.duration_min)
        if not (np.isfinite(dau) and np.isfinite(dat)):
            continue
        noise[p] = np.hypot(_NOISE, spread)
        volume = modelled(entries.rates, np.array(dau), np.array(dat))
        peak = np.array([event.actual.get(f"qps:{n}", np.nan) for n in names])
        if "peak_tps" in event.actual and dat > 0:
            orders = event.actual["peak_tps"] * volume / dat
            peak = np.where(counts & ~np.isfinite(peak), orders, peak)
        good = np.isfinite(peak) & (peak > 0) & (volume > 0)
        rate = np.where(good, peak, 1.0) / ramp
        rate = rate / noise_ratio(rate, np.exp(seconds.log_dispersion))
        out[p] = np.where(good, np.log(np.maximum(rate * 60.0 / np.where(good, volume, 1.0), 1e-12)), np.nan)
    return out, noise


def _people(picture: Picture, actual: Mapping[str, float], first: int, duration_min: int) -> tuple[float, float, float]:
    """DAU and DAT of the event's first day, else of its largest; and the spread that the latter costs.

    The opening's share is one of the day it lies in. Where only the largest day is remembered and the first was an
    evening, that day may have had half of its volume.
    """
    daily = picture.daily
    row = int(first - daily.day[0]) if daily.day.size else -1
    if 0 <= row < daily.day.size and np.isfinite(daily.dau[row]) and np.isfinite(daily.dat[row]):
        return float(daily.dau[row]), float(daily.dat[row]), 0.0
    rows = (daily.day >= first) & (daily.day <= first + duration_min // 1440 + 1)
    largest = [
        actual.get(n, float(np.nanmax(v[rows], initial=0.0))) for n, v in (("dau", daily.dau), ("dat", daily.dat))
    ]
    spread = _OTHER_DAY if duration_min > 1440 else 0.0
    return largest[0] or float("nan"), largest[1] or float("nan"), spread
