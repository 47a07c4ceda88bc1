"""The picture of a what-if: where overload moves, held and planned anew."""

from typing import TYPE_CHECKING

import numpy as np

from capacity.display.escape import plain
from capacity.display.figures import BLUE, GREEN, GREY, VERMILION, Chart, new_figure, percent_axis

if TYPE_CHECKING:
    from capacity.plan.what_if.result import Difference

_MOST = 20


def draw_difference(difference: "Difference") -> Chart:
    """Draw each touched service's overload probability: in the plan, held under the change, planned anew."""
    frame = difference.to_frame()
    columns = ("overload", "overload_held", "overload_anew")
    shown = frame.dropna(subset=list(columns)).head(_MOST).iloc[::-1]
    figure = new_figure(8.0, 1.5 + 0.27 * max(len(shown), 1))
    axes = figure.subplots()
    rows = np.arange(len(shown))
    low, high = (shown[list(columns)].agg(how, axis=1) for how in ("min", "max"))
    axes.hlines(rows, low, high, color=GREY, linewidth=1)
    for column, color, marker in zip(columns, (BLUE, VERMILION, GREEN), ("o", "X", "|"), strict=True):
        axes.plot(shown[column], rows, marker, color=color, markersize=9 if marker == "|" else 6, markeredgewidth=1.5)
    axes.set_yticks(rows, [plain(str(name)) for name in shown["service"]])
    axes.set_xlim(left=0)
    percent_axis(axes.xaxis)
    axes.set_xlabel("probability of overload in the promotion, the planned zone loss included")
    axes.set_title("blue: as planned, red cross: held, green tick: planned anew", loc="left", fontsize=9, color=GREY)
    return Chart(
        figure=figure,
        title=difference.summary(),
        alt=f"Overload probability of {len(shown)} services as planned, held under {difference.changes}, and anew",
        frame=frame,
    )
