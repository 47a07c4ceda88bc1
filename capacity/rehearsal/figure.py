"""The rehearsal's picture: demand against capacity over time, of the services that come closest to it."""

from typing import TYPE_CHECKING

import numpy as np

from capacity.display.escape import plain
from capacity.display.figures import BLUE, GREY, VERMILION, Chart, draw_band, new_figure, number_axis

if TYPE_CHECKING:
    import pandas as pd

    from capacity.rehearsal.result import Rehearsal

_MOST = 4


def draw_rehearsal(rehearsal: "Rehearsal") -> Chart:
    """Draw the services whose demand comes closest to their capacity, one panel each."""
    frame = rehearsal.timeline
    names = _tightest(frame)
    figure = new_figure(8.0, 0.8 + 1.7 * max(len(names), 1))
    panels = np.atleast_1d(figure.subplots(max(len(names), 1), 1, sharex=True))
    for axes, name in zip(panels, names, strict=False):
        part = frame[frame["service"] == name]
        part = part[part["seconds"].diff().fillna(0).abs().cummax() < 60]  # the stretch around the worst second
        minutes = part["seconds"] / 60
        draw_band(axes, minutes, part["demand_q05"], part["demand_q95"], coverage=0.9, color=BLUE)
        axes.plot(minutes, part["demand_q50"], color=BLUE)
        axes.plot(minutes, part["served_q50"], color=GREY, linestyle=":")
        axes.plot(minutes, part["capacity_q50"], color=VERMILION)
        number_axis(axes.yaxis, unit="/s")
        axes.set_ylim(bottom=0)
        axes.set_title(plain(name), loc="left", fontsize=9)
    panels[-1].set_xlabel("minutes after the start; blue: demand with its 90 % band, dotted: served, red: capacity")
    return Chart(
        figure=figure,
        title=rehearsal.summary(),
        alt=f"Demand, served requests and capacity over time of {len(names)} services: {', '.join(names) or 'none'}",
        frame=frame[frame["service"].isin(names)].reset_index(drop=True),
    )


def _tightest(frame: "pd.DataFrame") -> list[str]:
    known = frame.dropna(subset=["capacity_q50"])
    known = known[known["capacity_q50"] > 0]
    use = (known["demand_q50"] / known["capacity_q50"]).groupby(known["service"]).max()
    return [str(name) for name in use.sort_values(ascending=False, kind="stable").index[:_MOST]]
