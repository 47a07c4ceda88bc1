"""The rehearsal's picture: demand against capacity of the services that come closest to it, and what breaks when."""

from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.display.escape import plain
from capacity.display.figures import BLUE, GREY, INK, VERMILION, Chart, draw_band, label_line, new_figure, number_axis

if TYPE_CHECKING:
    import pandas as pd

    from capacity.rehearsal.result import Rehearsal

_MOST = 4
_MOST_BREAKS = 8
_BIN_MIN = 10 / 60
_APART = 0.13  # of a panel's height


def draw_rehearsal(rehearsal: "Rehearsal") -> Chart:
    """Draw the services that break most often or come closest to it, one panel each; below them what breaks when."""
    frame = worst_stretch(rehearsal.timeline)
    names = _tightest(frame)
    broken = _broken(frame)
    n, lanes = max(len(names), 1), len(broken)
    heights = [1.6] * n + ([0.6 + 0.22 * lanes] if lanes else [])
    figure = new_figure(8.0, 0.9 + sum(heights))
    panels = np.atleast_1d(figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}))
    for axes, name in zip(panels, names, strict=False):
        _panel(axes, frame[frame["service"] == name], name)
    if lanes:
        _lanes(panels[-1], frame, broken)
    panels[-1].set_xlabel("minutes after the start")
    return Chart(
        figure=figure,
        title=rehearsal.summary(),
        alt=_alt(names, broken, frame),
        frame=frame[frame["service"].isin({*names, *broken})].reset_index(drop=True),
    )


def worst_stretch(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the longest stretch without a jump in time: the half-hour around the worst second."""
    at = np.unique(frame["seconds"].to_numpy())
    if not len(at):
        return frame
    part = np.cumsum(np.diff(at, prepend=at[0]) > 15)
    longest = at[part == np.bincount(part).argmax()]
    return frame[frame["seconds"].isin(longest)]


def _panel(axes: Any, part: "pd.DataFrame", name: str) -> None:
    minutes = part["seconds"].to_numpy() / 60
    draw_band(axes, minutes, part["demand_q05"], part["demand_q95"], coverage=0.9, color=BLUE)
    lines = (("demand", BLUE, "-"), ("answered", GREY, "--"), ("capacity", VERMILION, "-"))
    for column, color, style in lines:
        axes.plot(minutes, part[f"{column}_q50"], color=color, linestyle=style)
    number_axis(axes.yaxis, unit="/s")
    top = float(np.nanmax([part["demand_q95"].max(), part["capacity_q50"].max(), 1e-9]))
    axes.set_ylim(0, 1.08 * top)
    waits = float(part["backlog_q50"].max()) > 0 and not part["broken_share"].any()
    queue = ": what exceeds capacity waits in its queue" if waits else ""
    axes.set_title(plain(name) + queue, loc="left", fontsize=9)
    last = part.iloc[-1]
    _label(axes, float(minutes[-1]), sorted((float(last[f"{c}_q50"]), c, color) for c, color, _ in lines))


def _label(axes: Any, right: float, ranked: list[tuple[float, str, str]]) -> None:
    """Write the lines' names at their ends, apart from one another as far as these low panels need."""
    apart = _APART * axes.get_ylim()[1]
    heights: list[float] = []
    for height, _, _ in ranked:
        heights.append(max(height, heights[-1] + apart) if heights else height)
    sunk = max(heights[-1] - axes.get_ylim()[1], 0.0)
    for height, (_, name, color) in zip(heights, ranked, strict=True):
        label_line(axes, right, max(height - sunk, 0.0), name, color=color)


def _lanes(axes: Any, frame: "pd.DataFrame", broken: list[str]) -> None:
    """One lane a service that breaks, in the order of their first breaks, darker where it is broken more often."""
    for lane, name in enumerate(broken):
        part = frame[(frame["service"] == name) & (frame["broken_share"] > 0)]
        spans = [(float(s) / 60, _BIN_MIN) for s in part["seconds"]]
        axes.broken_barh(spans, (lane - 0.4, 0.8), color=[_shade(v) for v in part["broken_share"]], linewidth=0)
    axes.set_yticks(range(len(broken)), [plain(name) for name in broken])
    axes.set_ylim(len(broken) - 0.5, -0.5)
    axes.set_title("broken: the darker, the more futures", loc="left", fontsize=9, color=INK)


def _shade(share: float) -> tuple[float, float, float, float]:
    red, green, blue = (int(VERMILION[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue, 0.2 + 0.8 * float(share)


def _broken(frame: "pd.DataFrame") -> list[str]:
    found = frame[frame["broken_share"] > 0]
    first = found.groupby("service", sort=False)["seconds"].min().sort_values(kind="stable")
    return [str(name) for name in first.index[:_MOST_BREAKS]]


def _alt(names: list[str], broken: list[str], frame: "pd.DataFrame") -> str:
    of = f"{len(names)} services: {', '.join(names) or 'none'}"
    said = f"Demand, requests answered in time and capacity over time of {of}"
    if not broken:
        return f"{said}; nothing breaks"
    first = frame[(frame["service"] == broken[0]) & (frame["broken_share"] > 0)].iloc[0]
    return f"{said}; below, when services break: first {broken[0]}, {first['seconds'] / 60:.1f} minutes after the start"


def _tightest(frame: "pd.DataFrame") -> list[str]:
    known = frame.dropna(subset=["capacity_q50"])
    known = known[known["capacity_q50"] > 0]
    by = known.assign(use=known["demand_q50"] / known["capacity_q50"]).groupby("service", sort=False)
    ranked = by[["broken_share", "use"]].max().sort_values(["broken_share", "use"], ascending=False, kind="stable")
    return [str(name) for name in ranked.index[:_MOST]]
