"""Pictures of the worst second: all services, and the shape of one entry's day."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capacity.display.figures import BLUE, GREY, Chart, draw_band, new_figure, number_axis
from capacity.display.numbers import format_qps
from capacity.errors import InputError, did_you_mean
from capacity.result import quantiles

if TYPE_CHECKING:
    from capacity.peaks.result import Peaks

_MOST_SERVICES, _FAN_PATHS, _FAN_STEPS = 24, 200, 600


def draw_peaks(peaks: "Peaks") -> Chart:
    """Draw every service's worst second over all phases, the busiest first."""
    frame = _worst(peaks)
    shown = frame.head(_MOST_SERVICES)
    figure = new_figure(8.0, 1.2 + 0.28 * max(len(shown), 1))
    axis = figure.subplots()
    rows = np.arange(len(shown))[::-1]
    axis.hlines(rows, shown["q05"], shown["q95"], color=BLUE, linewidth=5, alpha=0.35)
    axis.plot(shown["q50"], rows, "o", color=BLUE, markersize=5)
    axis.plot(shown["q99"], rows, "|", color=BLUE, markersize=9)
    axis.set_yticks(rows, shown["service"])
    if len(shown) and float(shown["q05"].min()) > 0:
        axis.set_xscale("log")
    number_axis(axis.xaxis, unit="requests/s")
    axis.set_title("bar: 90 % of futures, dot: middle, tick: 99 %", loc="left", fontsize=9, color=GREY)
    left = f" ({len(frame) - len(shown)} calmer services not drawn)" if len(frame) > len(shown) else ""
    top = f"; busiest {shown['service'].iloc[0]} at {format_qps(float(shown['q50'].iloc[0]))}" if len(shown) else ""
    return Chart(
        figure=figure,
        title=f"Worst second of each service, {peaks.promotion.id}",
        alt=f"Requests per second in the worst second of {len(shown)} services with 90 % intervals{top}{left}",
        frame=frame,
    )


def _worst(peaks: "Peaks") -> pd.DataFrame:
    values = quantiles(peaks.max_qps.to_numpy(), (0.05, 0.5, 0.95, 0.99))
    frame = pd.DataFrame(dict(zip(("q05", "q50", "q95", "q99"), values, strict=True)))
    frame.insert(0, "service", list(peaks.services))
    return frame.sort_values("q50", ascending=False, kind="stable").reset_index(drop=True)


def draw_service(peaks: "Peaks", service: str) -> Chart:
    """Draw one service: the fan of its arrivals over the promotion if it is an entry, else its phases.

    Raises
    ------
    InputError
        If there is no such service.
    """
    if service not in peaks.services:
        raise InputError(f"no service {service!r} in these peaks", remedy=did_you_mean(service, peaks.services))
    return _fan(peaks, service) if service in peaks.entries else _phases(peaks, service)


def _fan(peaks: "Peaks", service: str) -> Chart:
    arrivals = peaks.arrivals
    entry = peaks.entries.index(service)
    start, length = 60.0 * arrivals.first_minute, 60.0 * arrivals.day.size
    step = max(60.0, 60.0 * np.ceil(length / 60.0 / _FAN_STEPS))
    index = np.linspace(0, peaks.n_samples - 1, min(_FAN_PATHS, peaks.n_samples)).astype(np.int64)
    paths = arrivals.minutes(index, entry=entry, every=int(step // 60))
    low, mid, high = quantiles(paths, (0.05, 0.5, 0.95))
    hours = (start + step * np.arange(mid.size)) / 3600.0
    figure = new_figure()
    axis = figure.subplots()
    draw_band(axis, hours, low, high, coverage=0.9)
    axis.plot(hours, mid, color=BLUE)
    axis.axvline(0.0, color=GREY, linewidth=0.8)
    axis.set_xlabel("hours after the start")
    number_axis(axis.yaxis, unit="requests/s")
    frame = pd.DataFrame({"hours_after_start": hours, "q05": low, "q50": mid, "q95": high})
    top = int(mid.argmax())
    return Chart(
        figure=figure,
        title=f"Arrivals from outside at {service}, {peaks.promotion.id}",
        alt=f"Requests per second by minute with a 90 % band; highest {format_qps(float(mid[top]))} "
        f"{hours[top]:.1f} hours after the start",
        frame=frame,
    )


def _phases(peaks: "Peaks", service: str) -> Chart:
    values: Any = peaks.peak_qps.sel(service=service).to_numpy()
    low, mid, high = quantiles(values, (0.05, 0.5, 0.95))
    figure = new_figure(8.0, 3.0)
    axis = figure.subplots()
    at = np.arange(len(peaks.phases))
    axis.vlines(at, low, high, color=BLUE, linewidth=7, alpha=0.35)
    axis.plot(at, mid, "o", color=BLUE)
    axis.set_xticks(at, peaks.phases)
    axis.set_ylim(bottom=0)
    number_axis(axis.yaxis, unit="requests/s")
    top = int(mid.argmax())
    return Chart(
        figure=figure,
        title=f"Worst second of {service} by phase, {peaks.promotion.id}",
        alt=f"Requests per second in each phase with 90 % bars; highest in {peaks.phases[top]} "
        f"at {format_qps(float(mid[top]))}",
        frame=pd.DataFrame({"phase": peaks.phases, "q05": low, "q50": mid, "q95": high}),
    )
