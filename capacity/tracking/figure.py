"""What a service gets, against the forecast's band, its limit, and the peak that is still to come."""

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

import matplotlib.dates as mdates
import numpy as np
import pandas as pd

from capacity.display.figures import BLUE, GREY, INK, ORANGE, VERMILION, Chart, new_figure
from capacity.display.numbers import format_number

if TYPE_CHECKING:
    from capacity.tracking.status import Status


def draw_service(status: "Status", service: str) -> Chart:
    """Draw one service from the beginning of its phases to their end."""
    at = status.seen.services.index(service)
    paths = status.paths
    used = paths.phase >= 0
    start = pd.Timestamp(status.starts_at)
    moments = (start + pd.to_timedelta((paths.starts_s + paths.ends_s)[used] / 2, unit="s")).tz_localize(None)
    low, mid, high = np.quantile(paths.mean_qps[:, used, at], [0.05, 0.5, 0.95], axis=0)
    figure = new_figure(8.0, 4.2)
    axes = figure.subplots()
    axes.fill_between(moments, low, high, color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(moments, mid, color=BLUE, linewidth=1.0)
    own = status.minutes[status.minutes["service"] == service] if len(status.minutes) else status.minutes
    zone = start.tz
    if len(own):
        seen_at = own["ts"].dt.tz_convert(zone).dt.tz_localize(None)
        axes.plot(seen_at, own["requests"] / own["interval_s"], color=INK, linewidth=1.2)
    begin, now, end = (
        float(mdates.date2num(moment))  # type: ignore[no-untyped-call]
        for moment in (moments[0].to_pydatetime(), _local(status.now, zone), moments[-1].to_pydatetime())
    )
    limit, takes = status.limits_qps[at], status.capacity_qps[at]
    for value, colour, name in ((limit, VERMILION, "limit"), (takes, ORANGE, "safely takes")):
        if np.isfinite(value) and not (name == "safely takes" and np.isclose(value, limit)):
            axes.axhline(value, color=colour, linewidth=1.2)
            axes.annotate(
                f"{name} {format_number(value)}/s", (0.005, value), xycoords=("axes fraction", "data"),
                xytext=(0, 3), textcoords="offset points", color=colour, fontsize=9,
            )  # fmt: skip
    axes.axvline(now, color=GREY, linewidth=0.8, linestyle=":")
    left, middle, right = status.projection.rest_peak[:, at]
    if np.isfinite(middle):
        axes.fill_between([now, end], left, right, color=ORANGE, alpha=0.22, linewidth=0)
        axes.plot([now, end], [middle, middle], color=ORANGE, linewidth=1.4)
        axes.annotate(
            f"peak to come {format_number(middle)}/s ({format_number(left)} to {format_number(right)}, 90 %)",
            (end, right), xytext=(0, 3), textcoords="offset points", ha="right", fontsize=9, color=INK,
        )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.set_ylabel("requests/s")
    axes.set_xlim(begin, end)
    data = pd.DataFrame({"at": moments, "forecast_q05": low, "forecast_q50": mid, "forecast_q95": high})
    return Chart(
        figure,
        title=f"{service}: seen (black), forecast (blue, 5-minute means, 90 % band), limit, and the peak to come",
        alt=f"{service} at {status.now:%H:%M}: {format_number(status.seen.latest_qps[at])}/s now, "
        f"peak to come {format_number(middle)}/s, limit {format_number(limit)}/s",
        frame=data,
        units=dict.fromkeys(("forecast_q05", "forecast_q50", "forecast_q95"), "requests/s"),
    )


def _local(moment: datetime, zone: tzinfo | None) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)
