"""Figure of a fleet's capacity against its instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from capacity.display.figures import BLUE, GREY, INK, Chart, draw_band, label_line, new_figure, number_axis
from capacity.display.numbers import format_qps

if TYPE_CHECKING:
    from capacity.saturation.scaling import FleetScaling


def fleet(scaling: FleetScaling) -> Chart:
    """Draw capacity against instances to twice the largest fleet tested, beside n times one."""
    last = scaling.tested[-1]
    sizes = np.unique(np.round(np.geomspace(1, 2 * last, 60)))
    low, middle, high = np.quantile(
        np.stack([scaling.fleet_capacity_qps(n) for n in sizes], axis=1), [0.05, 0.5, 0.95], axis=0
    )
    figure = new_figure(6.0, 3.6)
    axes = figure.subplots()
    draw_band(axes, sizes, low, high, coverage=0.9, color=BLUE)
    axes.plot(sizes, middle, color=BLUE)
    line = float(np.median(scaling.lone_qps)) * sizes
    axes.plot(sizes, line, color=GREY, linewidth=1.0, linestyle="--")
    label_line(axes, sizes[-1], float(line[-1]), "n times one", color=GREY)
    axes.axvline(last, color=GREY, linewidth=0.8)
    for instances, qps in scaling.measured_qps.values():
        axes.plot(instances, qps, "o", color=INK, markersize=4)
    axes.set_xlabel(f"instances; beyond {last} nothing was tested")
    axes.set_ylabel("requests/s of the fleet")
    axes.set_ylim(bottom=0)
    number_axis(axes.yaxis)
    at = int(np.argmin(np.abs(sizes - last)))
    said = f"{format_qps(middle[at])} ({format_qps(low[at])} to {format_qps(high[at])}) with {last} instances"
    alt = (
        f"Capacity of the fleet of {scaling.service} against its instances, with a band, runs as points, n times one "
        f"dashed: {said}; to the right of {last} instances it is extrapolated."
    )
    frame = scaling.to_frame([int(n) for n in sizes])
    return Chart(figure, f"{scaling.service}: {said}", alt, frame, {"q05": "requests/s", "q50": "requests/s"})
